//! The normal distribution.
//!
//! `N(−x) = exp(−x²/2) · t(x)` for `x ≥ 0`, where `t` falls from one half like `1 / (x√2π)`: so tails keep their relative accuracy (Cody 1969
//! splits `erfc` the same way). `t` comes from a table of polynomials, one for each eighth of an octave: no division.

use crate::{elementary, ln, tables::*, wide, Error, Result, Scaled};

/// The significant bits of a distance after the point: distances go up to 64.
pub(crate) const DISTANCE_BITS: i32 = 122;

/// `exp(x²/2) · N(−x)` as a fraction, for a distance `x` in units of 2⁻¹²². From 48 on, zero.
pub(crate) fn tail(x: u128) -> u128 {
    let zeros = x.leading_zeros();
    // Eighths of [0, 2), of [2, 4), …, of [32, 64): which, and how far into it from the left.
    let (octave, place) = match 4u32.checked_sub(zeros) {
        Some(octave) => (octave.saturating_add(1), (x << zeros) & (u128::MAX >> 1)),
        None => (0, x << 4),
    };
    let row = (octave << 3).saturating_add((place >> 124) as u32) as usize;
    match TAIL.get(row) {
        Some(coefficients) => wide::polynomial(coefficients, !(place << 4)),
        None => 0,
    }
}

/// `exp(−x²/2)` as `mantissa · 2^exponent` with the mantissa's highest bit set, for a distance in units of 2⁻¹²².
pub(crate) fn bell(x: u128) -> (u128, i32) {
    let (square, _) = wide::multiply(x, x);
    // x²/2 · log₂ e in units of 2⁻²⁴⁴ as two words: twelve bits before the point.
    let (upper, lower) = wide::multiply(square, LOG2_E);
    let (whole, fraction) = wide::split(upper, lower, 12);
    let below = (whole as i32).saturating_neg().saturating_sub(127);
    match fraction {
        0 => (1 << 127, below),
        _ => (
            elementary::exp2_fraction(fraction.wrapping_neg()),
            below.saturating_sub(1),
        ),
    }
}

/// `N(−x)` for a distance in units of 2⁻¹²².
fn beyond(x: u128) -> Result<Scaled> {
    let (mantissa, exponent) = bell(x);
    let (upper, lower) = wide::multiply(mantissa, tail(x));
    Scaled::normal(false, upper, lower, i64::from(exponent))
}

/// `N(x)`, the probability that a standard normal variable is at most `x`.
///
/// Relative error 2⁻¹⁰⁰ above −48; zero from there down. `N(x) + N(−x) = 1` to the last bit.
pub fn normal_cdf(x: Scaled) -> Result<Scaled> {
    if x.is_zero() {
        return Scaled::ONE.shift(-1);
    }
    let beyond = beyond(x.magnitude_floor(DISTANCE_BITS))?;
    if x.is_negative() {
        Ok(beyond)
    } else {
        Scaled::ONE.minus(beyond)
    }
}

/// `exp(−x²/2) / √(2π)`, the density of the standard normal distribution. Relative error 2⁻¹¹⁵ + x² · 2⁻¹²⁶.
pub fn normal_pdf(x: Scaled) -> Result<Scaled> {
    elementary::exp(x.times(x)?.shift(-1)?.negated())?.times(inverse_sqrt_2_pi())
}

/// `1 / √(2π)`.
pub(crate) fn inverse_sqrt_2_pi() -> Scaled {
    Scaled::positive(INV_SQRT_2_PI, -129)
}

/// The smallest probability of [`normal_inverse`], as a power of two: its quantile is −45.4.
const SMALLEST_PROBABILITY: i32 = -1500;
/// Newton's steps of [`normal_inverse`] at most; seven have been enough.
const STEPS: usize = 12;

/// The quantile `z` with `N(z) = p`, for 2⁻¹⁵⁰⁰ ≤ p < 1. Absolute error 10⁻³⁰, and above one half what the rounding of `1 − p` is worth.
///
/// For tools: each of its up to seven steps costs several times a [`normal_cdf`].
pub fn normal_inverse(p: Scaled) -> Result<Scaled> {
    let half = Scaled::ONE.shift(-1)?;
    if p < Scaled::ONE.shift(SMALLEST_PROBABILITY)? || p >= Scaled::ONE {
        return Err(Error::NotAProbability);
    }
    if p == half {
        return Ok(Scaled::ZERO);
    }
    if p > half {
        return Ok(normal_inverse(Scaled::ONE.minus(p)?)?.negated());
    }
    // ln N is concave, so Newton's steps on it from below stay below; and N(z) ≤ exp(−z²/2) / 2.
    let mut z = ln(p)?.shift(1)?.negated().sqrt_floor()?.negated();
    for _ in 0..STEPS {
        let cdf = normal_cdf(z)?;
        let step = ln(cdf.over(p)?)?.times(cdf.over(normal_pdf(z)?)?)?;
        let next = z.minus(step)?;
        if next == z {
            break;
        }
        z = next;
    }
    Ok(z)
}
