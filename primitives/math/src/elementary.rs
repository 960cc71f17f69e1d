//! Exponentials, logarithms, powers and roots.
//!
//! A table brings the argument near zero, a polynomial does the rest: no division on the way.

use crate::{tables::*, wide, Error, Result, Scaled};

/// Below this power of two, [`exp_m1`] and [`ln_1p`] take the series that keep a relative error.
const NEAR: i32 = -6;

/// `log₂ |x|`, rounded down, of a number that is not zero.
pub(crate) fn binary_exponent(x: Scaled) -> i32 {
    x.exponent().saturating_add(127)
}

/// Whether `|x| < 2⁻⁶`.
fn is_near_zero(x: Scaled) -> bool {
    x.is_zero() || binary_exponent(x) < NEAR
}

/// `2^(x / 2¹²⁸)` in units of 2⁻¹²⁷.
///
/// `x = (j + v) / 32`: `2^(j/32)` from a table, times `1 + v · p(v)`.
pub(crate) fn exp2_fraction(x: u128) -> u128 {
    let (v, step) = (x << 5, (x >> 123) as usize);
    let step = EXP2_STEPS.get(step).copied().unwrap_or(1 << 127);
    let growth = wide::fraction(v, wide::polynomial(&EXP2, v));
    step.saturating_add(wide::fraction(step, growth))
}

/// `eˣ`. Relative error 2⁻¹¹⁵ + |x| · 2⁻¹²⁶. From 2²⁹ on an error, from −2²⁹ down zero.
pub fn exp(x: Scaled) -> Result<Scaled> {
    if x.is_zero() {
        return Ok(Scaled::ONE);
    }
    let power = binary_exponent(x);
    if power >= 29 {
        return if x.is_negative() {
            Ok(Scaled::ZERO)
        } else {
            Err(Error::Overflow)
        };
    }
    // |x| · log₂ e in units of 2^(power − 254) as two words; the point lies `power + 2` bits into the upper one.
    let (upper, lower) = wide::multiply(x.mantissa(), LOG2_E);
    let point = power.saturating_add(2);
    let (whole, fraction) = match u32::try_from(point) {
        Ok(left) => wide::split(upper, lower, left),
        Err(_) => (0, upper.checked_shr(point.unsigned_abs()).unwrap_or(0)),
    };
    let whole = whole as i32;
    let (whole, fraction) = if !x.is_negative() {
        (whole, fraction)
    } else if fraction == 0 {
        (whole.saturating_neg(), 0)
    } else {
        (
            whole.saturating_neg().saturating_sub(1),
            fraction.wrapping_neg(),
        )
    };
    Ok(Scaled::positive(
        exp2_fraction(fraction),
        whole.saturating_sub(127),
    ))
}

/// `eˣ − 1`, with a relative error of 2⁻¹¹⁰ also near zero.
pub fn exp_m1(x: Scaled) -> Result<Scaled> {
    if !is_near_zero(x) {
        return exp(x)?.minus(Scaled::ONE);
    }
    // |x| = v · ln 2 / 32 with v below 0.73.
    let v = x.abs().times(Scaled::positive(LOG2_E, -122))?;
    let growth = v.times(Scaled::from_fraction(wide::polynomial(
        &EXP2,
        v.magnitude_floor(128),
    )))?;
    if x.is_negative() {
        // e⁻ˣ − 1 = −(eˣ − 1) / eˣ
        growth.negated().over(Scaled::ONE.plus(growth)?)
    } else {
        Ok(growth)
    }
}

/// `ln` of `mantissa / 2¹²⁷` in units of 2⁻¹²⁸, for a mantissa with its highest bit. Absolute error 2⁻¹²⁵.
///
/// A table's reciprocal brings it to `1 − u` with `0 < u < 2⁻⁶`; `−ln(1 − u)` has a series of positive terms.
pub(crate) fn ln_mantissa(mantissa: u128) -> u128 {
    let step = ((mantissa << 1) >> 122) as usize;
    let (Some(&reciprocal), Some(&ln)) = (LN_RECIPROCALS.get(step), LN_STEPS.get(step)) else {
        return 0;
    };
    let (upper, lower) = wide::multiply(mantissa, u128::from(reciprocal) << 114);
    // The words are (1 − u)/2: a zero, six ones, and then 64·(1 − u) after its point, which 64·u completes to one.
    let (_, near_one) = wide::split(upper, lower, 7);
    let v = near_one.wrapping_neg();
    ln.saturating_sub(wide::fraction(v, wide::polynomial(&LN, v)))
}

/// `ln x` of a number above zero. Relative error 2⁻¹¹⁸, near one as well.
pub fn ln(x: Scaled) -> Result<Scaled> {
    if !x.is_positive() {
        return Err(Error::NotPositive);
    }
    let from_one = x.minus(Scaled::ONE)?;
    if is_near_zero(from_one) {
        return ln_near_one(from_one, x);
    }
    let whole = Scaled::from(i128::from(binary_exponent(x)));
    whole
        .times(Scaled::from_fraction(LN_2))?
        .plus(Scaled::from_fraction(ln_mantissa(x.mantissa())))
}

/// `ln(1 + x)`, with a relative error of 2⁻¹¹⁸ also near zero.
pub fn ln_1p(x: Scaled) -> Result<Scaled> {
    let sum = Scaled::ONE.plus(x)?;
    if is_near_zero(x) {
        ln_near_one(x, sum)
    } else {
        ln(sum)
    }
}

/// `ln(1 + x)` for `|x| < 2⁻⁶`: minus `ln(1 − u)` with `u = x / (1 + x)` above zero, `ln(1 − u)` with `u = −x` below.
fn ln_near_one(x: Scaled, one_plus_x: Scaled) -> Result<Scaled> {
    let u = if x.is_negative() {
        x.abs()
    } else {
        x.over(one_plus_x)?
    };
    let v = u.shift(6)?;
    let ln = v.times(Scaled::from_fraction(wide::polynomial(
        &LN,
        v.magnitude_floor(128),
    )))?;
    Ok(if x.is_negative() { ln.negated() } else { ln })
}

/// `baseᵖᵒʷᵉʳ` of a positive base, as `exp(power · ln base)`: relative error 2⁻¹¹⁵ + |power · ln base| · 2⁻¹¹⁸.
pub fn pow(base: Scaled, power: Scaled) -> Result<Scaled> {
    exp(ln(base)?.times(power)?)
}

/// `√x`, rounded down in the 128th significant bit. [`crate::Q96::sqrt_floor`] is the one in fixed point.
pub fn sqrt(x: Scaled) -> Result<Scaled> {
    x.sqrt_floor()
}
