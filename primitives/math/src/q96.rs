//! Fixed point with 96 fractional bits.

use crate::{
    scaled::{signed, UNIT_18},
    wide, Error, Result, Scaled,
};

/// A number in units of 2⁻⁹⁶ (1.3 · 10⁻²⁹), from −2³¹ up to below 2³¹.
///
/// For what is stored and sent: volatilities, rates, years, prices in units of something of their size. Compute in [`Scaled`], into which every
/// one converts exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Q96(i128);

impl Q96 {
    /// 0.
    pub const ZERO: Self = Self(0);
    /// 1.
    pub const ONE: Self = Self(1 << 96);
    /// The largest: 2³¹ − 2⁻⁹⁶.
    pub const MAX: Self = Self(i128::MAX);
    /// The smallest: −2³¹.
    pub const MIN: Self = Self(i128::MIN);
    /// The unit in the last place: 2⁻⁹⁶.
    pub const UNIT: Self = Self(1);

    /// `bits · 2⁻⁹⁶`.
    pub const fn from_bits(bits: i128) -> Self {
        Self(bits)
    }

    /// The number in units of 2⁻⁹⁶.
    pub const fn to_bits(self) -> i128 {
        self.0
    }

    /// A number with 18 decimals (the inner value of a `FixedU128`), rounded down.
    pub fn from_18_decimals_floor(inner: u128) -> Result<Self> {
        signed(false, Some(mul_div(inner, 1 << 96, UNIT_18)?.0)).map(Self)
    }

    /// With 18 decimals, rounded to the nearest. An error below zero.
    pub fn to_18_decimals_nearest(self) -> Result<u128> {
        Scaled::from(self).to_18_decimals_nearest()
    }

    /// `x + y`, exactly.
    pub fn plus(self, other: Self) -> Result<Self> {
        self.0.checked_add(other.0).map(Self).ok_or(Error::Overflow)
    }

    /// `x − y`, exactly.
    pub fn minus(self, other: Self) -> Result<Self> {
        self.0.checked_sub(other.0).map(Self).ok_or(Error::Overflow)
    }

    /// `−x`, exactly.
    pub fn negated(self) -> Result<Self> {
        self.0.checked_neg().map(Self).ok_or(Error::Overflow)
    }

    /// `x · y`, rounded towards −∞.
    pub fn mul_floor(self, other: Self) -> Result<Self> {
        self.mul_div(other, Self::ONE, false)
    }

    /// `x · y`, rounded towards +∞.
    pub fn mul_ceil(self, other: Self) -> Result<Self> {
        self.mul_div(other, Self::ONE, true)
    }

    /// `x / y`, rounded towards −∞.
    pub fn div_floor(self, other: Self) -> Result<Self> {
        self.mul_div(Self::ONE, other, false)
    }

    /// `x / y`, rounded towards +∞.
    pub fn div_ceil(self, other: Self) -> Result<Self> {
        self.mul_div(Self::ONE, other, true)
    }

    /// `√x`, rounded down, exactly.
    pub fn sqrt_floor(self) -> Result<Self> {
        let root = Scaled::from(self).sqrt_floor()?;
        // The root's magnitude is below 2¹⁶: 112 bits with the fraction.
        signed(false, Some(root.magnitude_floor(96))).map(Self)
    }

    /// `x · y / z` with a product of 256 bits.
    fn mul_div(self, y: Self, z: Self, up: bool) -> Result<Self> {
        let (quotient, exact) = mul_div(
            self.0.unsigned_abs(),
            y.0.unsigned_abs(),
            z.0.unsigned_abs(),
        )?;
        let negative = (self.0 < 0) ^ (y.0 < 0) ^ (z.0 < 0);
        let away = u128::from(!exact && negative != up);
        signed(negative, quotient.checked_add(away)).map(Self)
    }
}

/// `⌊a · b / c⌋` and whether it is exact.
fn mul_div(a: u128, b: u128, c: u128) -> Result<(u128, bool)> {
    if c == 0 {
        return Err(Error::DivisionByZero);
    }
    let (upper, lower) = wide::multiply(a, b);
    if upper >= c {
        return Err(Error::Overflow);
    }
    // Dividend and divisor by the same power of two, so that the divisor has its highest bit.
    let left = c.leading_zeros();
    let (_, upper) = wide::split(upper, lower, left);
    let (quotient, rest) = wide::divide(upper, lower << left, c << left);
    Ok((quotient, rest == 0))
}
