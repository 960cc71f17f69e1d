//! Loans: negative cash is lent by a pot that anyone can supply (protocol, section 2).
//!
//! A loan needs no transfer: the pot keeps counting what it lent, and the debtor's cash is below zero by as much. What the pot can
//! pay out is what it counts less what is borrowed.

use crate::{
    math::{mul_div_ceil, sub},
    Cash, MarginAccount, MathError, Millis, Ppm, MILLION,
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// Fractional bits of a borrow index, and of sums of interest in quantums.
pub const INTEREST_FRACTION_BITS: u32 = 48;
/// Milliseconds of the year that rates are given for: 365 days.
pub const YEAR: Millis = 365 * 86_400_000;

/// What an account owes the liquidity pot beside interest since.
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
    Serialize,
    Deserialize,
)]
pub struct Loan {
    /// Quantums that cash was below zero when the ledger last wrote it: what bears interest.
    pub principal: Cash,
    /// The borrow index up to which interest was taken out of cash.
    pub index: u128,
}

impl Loan {
    /// Interest up to an index, exactly: in quantums with [`INTEREST_FRACTION_BITS`] fractional bits. None at one that it was settled beyond.
    pub fn interest(&self, index: u128) -> Result<u128, MathError> {
        let moved = index.saturating_sub(self.index);
        self.principal
            .unsigned_abs()
            .checked_mul(moved)
            .ok_or(MathError::Overflow)
    }
}

/// What the pot charges and lends. With all of it zero nobody may owe anything.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct LoanParams {
    /// Rate a year while nothing is lent, in ppm.
    pub base_rate: Ppm,
    /// What the rate rises by up to the kink, in ppm a year.
    pub slope: Ppm,
    /// What it rises by from the kink to where all is lent, in ppm a year.
    pub steep_slope: Ppm,
    /// Utilisation from which the rate is steep, in ppm; above zero and below one.
    pub kink: Ppm,
    /// Part of interest that goes to the insurance fund, in ppm.
    pub reserve_factor: Ppm,
    /// Utilisation up to which the pot lends to whoever asks, in ppm; the rest is for suppliers who leave, and for losses.
    pub utilisation_cap: Ppm,
    /// What one account may owe before its collateral is auctioned, in quantums.
    pub account_cap: Cash,
}

impl LoanParams {
    /// The rate a year at a utilisation, in ppm, rounded up: `base + slope·u/kink` up to the kink, then
    /// `base + slope + steep·(u − kink)/(1 − kink)`. A kink at or below zero, or at or above one, is passed where it stands.
    pub fn rate_ceil(&self, utilisation: Ppm) -> Result<Ppm, MathError> {
        let utilisation = utilisation.min(MILLION);
        let part =
            |slope: Ppm, of: Ppm, whole: Ppm| mul_div_ceil(slope.into(), of.into(), whole.into());
        let above = utilisation.saturating_sub(self.kink);
        let first = match self.kink {
            0 => self.slope.into(),
            kink => part(self.slope, utilisation.min(kink), kink)?,
        };
        let second = match MILLION.saturating_sub(self.kink) {
            0 => 0,
            rest => part(self.steep_slope, above, rest)?,
        };
        u128::from(self.base_rate)
            .checked_add(first)
            .and_then(|rate| rate.checked_add(second))
            .and_then(|rate| Ppm::try_from(rate).ok())
            .ok_or(MathError::Overflow)
    }
}

/// Loans as margin sees them during a block.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct LoanView {
    /// Interest on one quantum since the first loan, in quantums with [`INTEREST_FRACTION_BITS`] fractional bits. It only rises.
    pub index: u128,
    /// What one account may owe before its collateral is auctioned.
    pub account_cap: Cash,
    /// More is owed than the pot has: the collateral of whoever owes is auctioned.
    pub is_short: bool,
}

/// What is summed over debtors and suppliers: the pot's book keeps the same sums.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize,
)]
pub struct LoanTotals {
    /// What cash is below zero, in quantums.
    pub borrowed: Cash,
    /// Interest since the last settlements, in quantums with [`INTEREST_FRACTION_BITS`] fractional bits.
    pub accrued: u128,
    /// Shares of suppliers.
    pub shares: u128,
}

impl LoanTotals {
    /// Adds an account's debt, at a borrow index.
    pub fn count(&mut self, account: &MarginAccount, index: u128) -> Result<(), MathError> {
        self.borrowed = sub(self.borrowed, account.cash.min(0))?;
        if let Some(loan) = &account.loan {
            let due = loan.interest(index)?;
            self.accrued = self.accrued.checked_add(due).ok_or(MathError::Overflow)?;
        }
        Ok(())
    }
}
