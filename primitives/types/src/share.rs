//! Shares of a fund: of the backstop vault, and of the liquidity pot.

use crate::{
    math::{mul_div_ceil, mul_div_floor, signed},
    Cash, MathError,
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// Shares that a quantum buys while a fund has neither gained nor lost.
pub const SHARES_PER_QUANTUM: u128 = 1_000;

/// What shares are worth: `assets / supply`, a fund's equity over its shares, with one quantum and [`SHARES_PER_QUANTUM`] shares of nobody
/// added to each.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct ShareValue {
    /// Quantums, above zero.
    pub assets: u128,
    /// Shares, above zero.
    pub supply: u128,
}

impl ShareValue {
    /// Of a fund with so much equity and so many shares; none below zero, or where there are shares in nothing.
    pub fn of(equity: Cash, shares: u128) -> Result<Option<Self>, MathError> {
        let Some(equity) = u128::try_from(equity)
            .ok()
            .filter(|equity| *equity > 0 || shares == 0)
        else {
            return Ok(None);
        };
        let assets = equity.checked_add(1).ok_or(MathError::Overflow)?;
        let supply = shares.checked_add(SHARES_PER_QUANTUM);
        let supply = supply.ok_or(MathError::Overflow)?;
        Ok(Some(Self { assets, supply }))
    }

    /// Shares for quantums.
    pub fn shares_floor(&self, amount: Cash) -> Result<u128, MathError> {
        let amount = u128::try_from(amount).map_err(|_| MathError::Overflow)?;
        mul_div_floor(amount, self.supply, self.assets)
    }

    /// Quantums for shares.
    pub fn worth_floor(&self, shares: u128) -> Result<Cash, MathError> {
        signed(mul_div_floor(shares, self.assets, self.supply)?)
    }

    /// The same, rounded up.
    pub fn worth_ceil(&self, shares: u128) -> Result<Cash, MathError> {
        signed(mul_div_ceil(shares, self.assets, self.supply)?)
    }
}
