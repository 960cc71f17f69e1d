//! Amounts of any size as the portfolio engine's whole lots, with all the digits that its 128 bits have.

use crate::{input::Input, Result};
use novate_math::Scaled;
use novate_risk::portfolio::{Fine, Signed, Unsigned, FINE_BITS};
use novate_types::{Cash, MathError, SignedLots, Size, QUANTUMS};

/// The engine adds up 6·10¹⁷ USD; this much leaves room for what a scenario makes of it.
const MOST_USD: u64 = 1_000_000_000_000_000;
/// Decimals of a lot, and powers of ten by which values are enlarged, at most.
const MOST_DECIMALS: u8 = 18;
/// Lots of one leg, at most.
const MOST_LOTS: u64 = 1 << 62;

/// `10^power`.
fn ten(power: u8) -> Result<Scaled> {
    let ten = 10u128.checked_pow(power.into());
    Ok(Scaled::from(ten.ok_or(MathError::Overflow)?))
}

/// By how many powers of ten lots are enlarged, so that what the engine rounds lies far below the digits shown.
#[derive(Clone, Copy, Debug)]
pub struct Grain(u8);

impl Grain {
    /// Lots as they are.
    pub const NONE: Self = Self(0);

    /// For a portfolio of that gross value in USD.
    pub fn of(gross: Scaled) -> Result<Self> {
        let mut power = 0;
        while power < MOST_DECIMALS && gross.times(ten(power + 1)?)? <= Scaled::from(MOST_USD) {
            power += 1;
        }
        Ok(Self(power))
    }

    /// The engine's size of a lot of `10^−decimals` units.
    pub fn lot_size(self, decimals: u8) -> Result<Size> {
        self.size(Scaled::ONE.over(ten(decimals)?)?)
    }

    /// So many units, in whole or in part, as one lot: nothing is netted with it.
    pub fn one_lot(self, units: Scaled) -> Result<(SignedLots, Size)> {
        let lots = match (units.is_zero(), units.is_negative()) {
            (true, _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        };
        Ok((lots, self.size(units.abs())?))
    }

    fn size(self, units: Scaled) -> Result<Size> {
        let size = units.times(ten(self.0)?)?;
        Ok(Size::from_inner(size.to_18_decimals_nearest()?))
    }

    /// An engine's value in USD.
    pub fn usd(self, value: Fine) -> Result<Scaled> {
        Ok(self.cash(value)?.shift(-(FINE_BITS as i32))?)
    }

    /// An engine's quantums in USD.
    pub fn cash(self, quantums: Cash) -> Result<Scaled> {
        let unit = Scaled::from(QUANTUMS).times(ten(self.0)?)?;
        Ok(Scaled::from(quantums).over(unit)?)
    }
}

/// Decimals of the coarsest lot of which all amounts are multiples, if they are not too many.
pub fn decimals(amounts: &[Input]) -> Result<u8> {
    let (mut decimals, mut most) = (0, Scaled::ZERO);
    for amount in amounts {
        decimals = amount.decimals()?.unwrap_or(MOST_DECIMALS).max(decimals);
        most = amount.number()?.abs().max(most);
    }
    while decimals > 0 && most.times(ten(decimals)?)? > Scaled::from(MOST_LOTS) {
        decimals -= 1;
    }
    Ok(decimals)
}

/// An amount in lots of `10^−decimals`, the nearest.
pub fn lots(amount: &Input, decimals: u8) -> Result<SignedLots> {
    let lots = amount.number()?.times(ten(decimals)?)?.nearest()?;
    SignedLots::try_from(lots)
        .map_err(|_| amount.error("out_of_range", "is more than a position can hold"))
}

/// A number of the model that is not negative, to 18 decimals.
pub fn unsigned(input: &Input) -> Result<Unsigned> {
    let number = input.number()?;
    if number.is_negative() {
        return Err(input.error("negative", "is below zero"));
    }
    let inner = number.to_18_decimals_nearest();
    Ok(Unsigned::from_inner(inner.map_err(|_| {
        input.error("out_of_range", "is outside the range of its type")
    })?))
}

/// A number of the model with a sign, to 18 decimals.
pub fn signed(input: &Input) -> Result<Signed> {
    number_signed(input.number()?)
        .ok_or_else(|| input.error("out_of_range", "is outside the range of its type"))
}

/// The same of a number in hand.
pub fn number_signed(number: Scaled) -> Option<Signed> {
    let inner = number.abs().to_18_decimals_nearest().ok()?;
    let inner = i128::try_from(inner).ok()?;
    Some(Signed::from_inner(if number.is_negative() {
        -inner
    } else {
        inner
    }))
}
