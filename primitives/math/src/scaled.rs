//! A number as 128 significant bits and a power of two: for what leaves the range of [`Q96`], and for everything on the way to it.

use crate::{wide, Error, Result, Q96};
use core::cmp::Ordering;

/// The largest power of two: ± 2³⁰. Results above it are an error, results below minus it are zero.
const LIMIT: i32 = 1 << 30;

/// 10¹⁸, the unit of prices with 18 decimals.
pub(crate) const UNIT_18: u128 = 1_000_000_000_000_000_000;

/// `± mantissa · 2^exponent`. Every operation is rounded to the nearest number of 128 bits, ties away from zero: a relative error of
/// 2⁻¹²⁸ at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scaled {
    /// Zero, or with its highest bit set.
    mantissa: u128,
    /// Zero if the mantissa is.
    exponent: i32,
    /// Never if the mantissa is zero.
    negative: bool,
}

impl Scaled {
    /// 0.
    pub const ZERO: Self = Self {
        mantissa: 0,
        exponent: 0,
        negative: false,
    };
    /// 1.
    pub const ONE: Self = Self {
        mantissa: 1 << 127,
        exponent: -127,
        negative: false,
    };

    /// `± mantissa · 2^exponent`, exactly.
    pub fn new(negative: bool, mantissa: u128, exponent: i32) -> Result<Self> {
        Self::normal(negative, mantissa, 0, i64::from(exponent))
    }

    /// `± (upper + lower / 2¹²⁸) · 2^exponent`.
    pub(crate) fn normal(negative: bool, upper: u128, lower: u128, exponent: i64) -> Result<Self> {
        if upper == 0 && lower == 0 {
            return Ok(Self::ZERO);
        }
        let (upper, lower, exponent) = if upper == 0 {
            (lower, 0, exponent.saturating_sub(128))
        } else {
            (upper, lower, exponent)
        };
        let zeros = upper.leading_zeros();
        let (_, mut mantissa) = wide::split(upper, lower, zeros);
        let mut exponent = exponent.saturating_sub(i64::from(zeros));
        // The first bit that does not fit.
        if (lower << zeros) >> 127 == 1 {
            match mantissa.checked_add(1) {
                Some(up) => mantissa = up,
                None => {
                    mantissa = 1 << 127;
                    exponent = exponent.saturating_add(1);
                }
            }
        }
        if exponent > i64::from(LIMIT) {
            return Err(Error::Overflow);
        }
        if exponent < i64::from(LIMIT).saturating_neg() {
            return Ok(Self::ZERO);
        }
        Ok(Self {
            mantissa,
            exponent: exponent as i32,
            negative,
        })
    }

    /// What [`Scaled::normal`] gives for a mantissa that has its highest bit and an exponent far within the limit.
    pub(crate) const fn positive(mantissa: u128, exponent: i32) -> Self {
        Self {
            mantissa,
            exponent,
            negative: false,
        }
    }

    /// `x / 2¹²⁸`.
    pub(crate) fn from_fraction(x: u128) -> Self {
        let zeros = x.leading_zeros();
        if zeros == 128 {
            return Self::ZERO;
        }
        Self::positive(
            x << zeros,
            (zeros as i32).saturating_neg().saturating_sub(128),
        )
    }

    /// `⌊|x| · 2^bits⌋`, or the largest word if it is larger.
    pub(crate) fn magnitude_floor(self, bits: i32) -> u128 {
        let shift = self.exponent.saturating_add(bits);
        match u32::try_from(shift) {
            Ok(0) => self.mantissa,
            Ok(_) if self.mantissa == 0 => 0,
            Ok(_) => u128::MAX,
            Err(_) => self.mantissa.checked_shr(shift.unsigned_abs()).unwrap_or(0),
        }
    }

    /// The significant bits: zero, or with the highest bit set.
    pub const fn mantissa(self) -> u128 {
        self.mantissa
    }

    /// The power of two that belongs to [`Scaled::mantissa`].
    pub const fn exponent(self) -> i32 {
        self.exponent
    }

    /// Below zero.
    pub const fn is_negative(self) -> bool {
        self.negative
    }

    /// Zero.
    pub const fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// Above zero.
    pub const fn is_positive(self) -> bool {
        !self.negative && self.mantissa != 0
    }

    /// `|x|`, exactly.
    pub const fn abs(self) -> Self {
        Self {
            negative: false,
            ..self
        }
    }

    /// `−x`, exactly.
    pub const fn negated(self) -> Self {
        Self {
            negative: !self.negative && self.mantissa != 0,
            ..self
        }
    }

    /// `x · 2^power`, exactly.
    pub fn shift(self, power: i32) -> Result<Self> {
        Self::normal(
            self.negative,
            self.mantissa,
            0,
            i64::from(self.exponent).saturating_add(i64::from(power)),
        )
    }

    /// `x + y`.
    pub fn plus(self, other: Self) -> Result<Self> {
        let (large, small) = if self.abs().cmp(&other.abs()).is_lt() {
            (other, self)
        } else {
            (self, other)
        };
        if small.is_zero() {
            return Ok(large);
        }
        // Both one to the right, so that the sum fits; what falls off the lower word is below 2⁻¹²⁷ of the last bit.
        let distance = i64::from(large.exponent)
            .saturating_sub(i64::from(small.exponent))
            .saturating_add(1);
        let (upper, lower) = match u32::try_from(distance) {
            Ok(right @ 0..=127) => (
                small.mantissa >> right,
                small.mantissa << 128u32.saturating_sub(right),
            ),
            Ok(right @ 128..=255) => (0, small.mantissa >> right.saturating_sub(128)),
            _ => return Ok(large),
        };
        let (big_upper, big_lower) = (large.mantissa >> 1, large.mantissa << 127);
        let (upper, lower) = if large.negative == small.negative {
            let (lower, carry) = big_lower.overflowing_add(lower);
            (
                big_upper
                    .wrapping_add(upper)
                    .wrapping_add(u128::from(carry)),
                lower,
            )
        } else {
            let (lower, borrow) = big_lower.overflowing_sub(lower);
            (
                big_upper
                    .wrapping_sub(upper)
                    .wrapping_sub(u128::from(borrow)),
                lower,
            )
        };
        Self::normal(
            large.negative,
            upper,
            lower,
            i64::from(large.exponent).saturating_add(1),
        )
    }

    /// `x − y`.
    pub fn minus(self, other: Self) -> Result<Self> {
        self.plus(other.negated())
    }

    /// `x · y`.
    pub fn times(self, other: Self) -> Result<Self> {
        let (upper, lower) = wide::multiply(self.mantissa, other.mantissa);
        Self::normal(
            self.negative != other.negative,
            upper,
            lower,
            i64::from(self.exponent)
                .saturating_add(i64::from(other.exponent))
                .saturating_add(128),
        )
    }

    /// `x / y`.
    pub fn over(self, other: Self) -> Result<Self> {
        if other.is_zero() {
            return Err(Error::DivisionByZero);
        }
        if self.is_zero() {
            return Ok(self);
        }
        // A dividend from a half of the divisor up to it: a quotient of 128 bits.
        let (upper, lower, taken) = if self.mantissa < other.mantissa {
            (self.mantissa, 0, 128)
        } else {
            (self.mantissa >> 1, self.mantissa << 127, 127)
        };
        let (quotient, rest) = wide::divide(upper, lower, other.mantissa);
        let half = u128::from(rest >= other.mantissa.saturating_sub(rest)) << 127;
        Self::normal(
            self.negative != other.negative,
            quotient,
            half,
            i64::from(self.exponent)
                .saturating_sub(i64::from(other.exponent))
                .saturating_sub(taken),
        )
    }

    /// `√x`, rounded down in the 128th bit.
    pub fn sqrt_floor(self) -> Result<Self> {
        if self.negative {
            return Err(Error::Negative);
        }
        if self.is_zero() {
            return Ok(self);
        }
        // An even power of two, and the root of 256 bits.
        let (upper, lower, taken) = if self.exponent & 1 == 0 {
            (self.mantissa, 0, 128)
        } else {
            (self.mantissa >> 1, self.mantissa << 127, 127)
        };
        let exponent = self.exponent.saturating_sub(taken) >> 1;
        Ok(Self::positive(wide::root(upper, lower), exponent))
    }

    /// `n / d`.
    pub fn ratio(n: u128, d: u128) -> Result<Self> {
        Self::from(n).over(Self::from(d))
    }

    /// A price with 18 decimals (the inner value of a `FixedU128`).
    pub fn from_18_decimals(inner: u128) -> Result<Self> {
        Self::ratio(inner, UNIT_18)
    }

    /// With 18 decimals, rounded down. An error below zero.
    pub fn to_18_decimals_floor(self) -> Result<u128> {
        self.to_18_decimals(|_| false)
    }

    /// With 18 decimals, rounded up. An error below zero.
    pub fn to_18_decimals_ceil(self) -> Result<u128> {
        self.to_18_decimals(|rest| rest != 0)
    }

    /// With 18 decimals, rounded to the nearest, ties up. What [`Scaled::from_18_decimals`] made of less than 2¹²⁷
    /// comes back. An error below zero.
    pub fn to_18_decimals_nearest(self) -> Result<u128> {
        self.to_18_decimals(|rest| rest >> 127 == 1)
    }

    fn to_18_decimals(self, up: impl Fn(u128) -> bool) -> Result<u128> {
        if self.negative {
            return Err(Error::Negative);
        }
        let (upper, lower) = wide::multiply(self.mantissa, UNIT_18);
        let (whole, rest) = integer(upper, lower, self.exponent)?;
        whole
            .checked_add(u128::from(up(rest)))
            .ok_or(Error::Overflow)
    }

    /// The whole number at or below.
    pub fn floor(self) -> Result<i128> {
        self.whole(|rest| self.negative && rest != 0)
    }

    /// The whole number at or above.
    pub fn ceil(self) -> Result<i128> {
        self.whole(|rest| !self.negative && rest != 0)
    }

    /// The nearest whole number, ties away from zero.
    pub fn nearest(self) -> Result<i128> {
        self.whole(|rest| rest >> 127 == 1)
    }

    fn whole(self, away: impl Fn(u128) -> bool) -> Result<i128> {
        let (whole, rest) = integer(0, self.mantissa, self.exponent)?;
        signed(self.negative, whole.checked_add(u128::from(away(rest))))
    }

    /// In units of 2⁻⁹⁶, rounded to the nearest, ties away from zero.
    pub fn to_q96(self) -> Result<Q96> {
        self.shift(96)?.nearest().map(Q96::from_bits)
    }
}

/// A magnitude with its sign, if it fits.
pub(crate) fn signed(negative: bool, magnitude: Option<u128>) -> Result<i128> {
    let magnitude = magnitude.ok_or(Error::Overflow)?;
    if negative {
        0i128.checked_sub_unsigned(magnitude)
    } else {
        i128::try_from(magnitude).ok()
    }
    .ok_or(Error::Overflow)
}

/// `(upper, lower) · 2^exponent` of two words: the whole number, and what is left in units of 2⁻¹²⁸ (at least one if not nothing).
fn integer(upper: u128, lower: u128, exponent: i32) -> Result<(u128, u128)> {
    if upper == 0 && lower == 0 {
        return Ok((0, 0));
    }
    let bits = exponent.unsigned_abs();
    if exponent >= 0 {
        let whole = if upper == 0 && bits <= lower.leading_zeros() {
            lower.checked_shl(bits)
        } else {
            None
        };
        return Ok((whole.ok_or(Error::Overflow)?, 0));
    }
    match bits {
        ..=127 => {
            let left = 128u32.saturating_sub(bits);
            let (over, whole) = wide::split(upper, lower, left);
            if over != 0 {
                return Err(Error::Overflow);
            }
            Ok((whole, lower << left))
        }
        128..=255 => {
            let right = bits.saturating_sub(128);
            let left = 128u32.saturating_sub(right);
            let rest = (lower >> right) | upper.checked_shl(left).unwrap_or(0);
            let lost = lower.checked_shl(left).is_some_and(|lost| lost != 0);
            Ok((upper >> right, rest | u128::from(lost)))
        }
        _ => Ok((0, 1)),
    }
}

impl PartialOrd for Scaled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scaled {
    fn cmp(&self, other: &Self) -> Ordering {
        let magnitude = |x: &Self| (x.mantissa != 0).then_some((x.exponent, x.mantissa));
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => magnitude(self).cmp(&magnitude(other)),
            (true, true) => magnitude(other).cmp(&magnitude(self)),
        }
    }
}

impl Default for Scaled {
    fn default() -> Self {
        Self::ZERO
    }
}

impl From<u128> for Scaled {
    fn from(x: u128) -> Self {
        let zeros = x.leading_zeros();
        if zeros == 128 {
            return Self::ZERO;
        }
        Self::positive(x << zeros, (zeros as i32).saturating_neg())
    }
}

impl From<u64> for Scaled {
    fn from(x: u64) -> Self {
        Self::from(u128::from(x))
    }
}

impl From<i128> for Scaled {
    fn from(x: i128) -> Self {
        let magnitude = Self::from(x.unsigned_abs());
        if x < 0 {
            magnitude.negated()
        } else {
            magnitude
        }
    }
}

impl From<Q96> for Scaled {
    fn from(x: Q96) -> Self {
        let whole = Self::from(x.to_bits());
        if whole.is_zero() {
            return whole;
        }
        Self {
            exponent: whole.exponent.saturating_sub(96),
            ..whole
        }
    }
}
