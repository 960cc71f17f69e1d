//! Values per lot with a fraction, so that sums are exact and only their last step rounds.

use super::{Signed, Unsigned};
use novate_math::Scaled;
use novate_types::{
    math::{add, mul_div_ceil, signed, signed_mul_div_floor},
    Cash, MathError, Price, Size, QUANTUMS,
};
use sp_arithmetic::FixedPointNumber;

/// Quantums with [`FINE_BITS`] fractional bits.
pub type Fine = i128;

/// Fractional bits of [`Fine`]: a lot's value is known to 2 · 10⁻¹⁵ quantums, and 6 · 10¹⁷ USD can be added up.
pub const FINE_BITS: u32 = 48;

/// `⌈x⌉` in quantums.
pub fn cash_ceil(x: Fine) -> Result<Cash, MathError> {
    add(x >> FINE_BITS, i128::from(x & ((1 << FINE_BITS) - 1) != 0))
}

/// Quantums, exactly.
pub(super) fn from_cash(x: Cash) -> Result<Fine, MathError> {
    x.checked_mul(1 << FINE_BITS).ok_or(MathError::Overflow)
}

/// `lots · per_lot`.
pub(super) fn times(lots: i128, per_lot: Fine) -> Result<Fine, MathError> {
    lots.checked_mul(per_lot).ok_or(MathError::Overflow)
}

/// `⌊x · factor⌋`.
pub(super) fn scale_floor(x: Fine, factor: Unsigned) -> Result<Fine, MathError> {
    let (factor, one) = (factor.into_inner(), Unsigned::DIV);
    if factor == one {
        return Ok(x);
    }
    signed_mul_div_floor(x, factor, one)
}

/// `⌈x · factor⌉` of a magnitude.
pub(super) fn scale_ceil(x: Fine, factor: Unsigned) -> Result<Fine, MathError> {
    signed(mul_div_ceil(
        x.unsigned_abs(),
        factor.into_inner(),
        Unsigned::DIV,
    )?)
}

/// `⌈a · b⌉` with 18 decimals.
pub(super) fn product_ceil(a: Unsigned, b: Unsigned) -> Result<Unsigned, MathError> {
    mul_div_ceil(a.into_inner(), b.into_inner(), Unsigned::DIV).map(Unsigned::from_inner)
}

/// A number with 18 decimals.
pub(super) fn number(x: Unsigned) -> novate_math::Result<Scaled> {
    Scaled::from_18_decimals(x.into_inner())
}

/// A number with 18 decimals and a sign.
pub(super) fn signed_number(x: Signed) -> novate_math::Result<Scaled> {
    let magnitude = Scaled::from_18_decimals(x.into_inner().unsigned_abs())?;
    Ok(if x.into_inner() < 0 {
        magnitude.negated()
    } else {
        magnitude
    })
}

/// What turns a price into the [`Fine`] value of a lot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit(Scaled);

impl Unit {
    pub(super) fn of(lot_size: Size) -> novate_math::Result<Self> {
        let quantums = Scaled::from(QUANTUMS).shift(FINE_BITS as i32)?;
        Ok(Self(number(lot_size)?.times(quantums)?))
    }

    /// The value of a lot, rounded to the nearest: what is long and short in the same thing cancels.
    pub(super) fn value(self, price: Scaled) -> novate_math::Result<Fine> {
        price.times(self.0)?.nearest()
    }

    /// The value of a lot at a price.
    pub(super) fn at(self, price: Price) -> novate_math::Result<Fine> {
        self.value(number(price)?)
    }
}
