//! Decimal text to fixed point and back, without floats.

use core::fmt;
use novate_types::Price;
use sp_runtime::FixedPointNumber;

/// Longest number that is read.
pub const MAX_LENGTH: usize = 64;
/// Decimals of a [`Price`].
const DECIMALS: i32 = 18;
/// Longest exponent, in digits.
const MAX_EXPONENT_DIGITS: usize = 3;

/// Why a text is no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// There is none.
    Empty,
    /// Longer than [`MAX_LENGTH`].
    TooLong,
    /// Below zero.
    Negative,
    /// Not a number as JSON writes it.
    Malformed,
    /// More than 18 decimals that are not zero.
    Inexact,
    /// Beyond the range of a price.
    Overflow,
}

impl fmt::Display for DecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty",
            Self::TooLong => "too long",
            Self::Negative => "negative",
            Self::Malformed => "not a number",
            Self::Inexact => "more than 18 decimals",
            Self::Overflow => "out of range",
        })
    }
}

/// Reads a number in JSON's grammar (RFC 8259, section 6) that is not negative, exactly.
///
/// An exponent is read where the result is exact: `2.5e4` is 25,000, `1e-19` is refused.
pub fn parse(text: &str) -> Result<Price, DecimalError> {
    if text.is_empty() {
        return Err(DecimalError::Empty);
    }
    if text.len() > MAX_LENGTH {
        return Err(DecimalError::TooLong);
    }
    if text.starts_with('-') {
        return Err(DecimalError::Negative);
    }
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, parse_exponent(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return Err(DecimalError::Malformed),
        Some(parts) => parts,
        None => (number, ""),
    };
    if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) {
        return Err(DecimalError::Malformed);
    }

    // The mantissa is kept without its trailing zeros, so that it is exact if and only if its scale is not negative.
    let (mut mantissa, mut zeros) = (0u128, 0u32);
    for digit in whole.chars().chain(fraction.chars()) {
        let digit = digit.to_digit(10).ok_or(DecimalError::Malformed)?;
        zeros = zeros.saturating_add(u32::from(mantissa != 0));
        if digit != 0 {
            mantissa = 10u128
                .checked_pow(zeros)
                .and_then(|shift| mantissa.checked_mul(shift))
                .and_then(|shifted| shifted.checked_add(u128::from(digit)))
                .ok_or(DecimalError::Overflow)?;
            zeros = 0;
        }
    }
    if mantissa == 0 {
        return Ok(Price::from_inner(0));
    }
    // Each term is at most a thousand in magnitude.
    let scale = DECIMALS
        .saturating_add(exponent)
        .saturating_add_unsigned(zeros)
        .saturating_sub_unsigned(u32::try_from(fraction.len()).unwrap_or(u32::MAX));
    let scale = u32::try_from(scale).map_err(|_| DecimalError::Inexact)?;
    10u128
        .checked_pow(scale)
        .and_then(|factor| mantissa.checked_mul(factor))
        .map(Price::from_inner)
        .ok_or(DecimalError::Overflow)
}

fn parse_exponent(text: &str) -> Result<i32, DecimalError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || digits.len() > MAX_EXPONENT_DIGITS {
        return Err(DecimalError::Malformed);
    }
    let magnitude = digits.chars().try_fold(0i32, |sum, digit| {
        let digit = i32::try_from(digit.to_digit(10)?).ok()?;
        sum.checked_mul(10)?.checked_add(digit)
    });
    let magnitude = magnitude.ok_or(DecimalError::Malformed)?;
    Ok(if text.starts_with('-') {
        magnitude.saturating_neg()
    } else {
        magnitude
    })
}

/// A price for people: at most eight decimals, the rest cut off, no trailing zeros.
pub struct Short(
    /// The price.
    pub Price,
);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const EIGHT: u128 = 10_000_000_000;
        let inner = self.0.into_inner();
        let whole = inner.checked_div(Price::DIV).unwrap_or(0);
        let mut rest = inner.checked_rem(Price::DIV).unwrap_or(0) / EIGHT;
        write!(f, "{whole}")?;
        if rest == 0 {
            return Ok(());
        }
        let mut width = 8usize;
        while rest.is_multiple_of(10) {
            rest /= 10;
            width = width.saturating_sub(1);
        }
        write!(f, ".{rest:0width$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: u128 = Price::DIV;

    #[test]
    fn parse_is_exact_when_the_text_is_a_decimal() {
        for (text, inner) in [
            ("0", 0),
            ("0.000", 0),
            ("0e99", 0),
            ("1", ONE),
            ("20123.45", 2_012_345 * ONE / 100),
            ("0.000000000000000001", 1),
            ("0.0000000000000000010000000", 1),
            ("1.00000000000000000000000000000000000000000000000000", ONE),
            ("2.5e4", 25_000 * ONE),
            ("2.5E+04", 25_000 * ONE),
            ("1e-18", 1),
            ("12000e-3", 12 * ONE),
            ("10e-19", 1),
            ("0.00001e5", ONE),
            ("340282366920938463463.374607431768211455", u128::MAX),
        ] {
            assert_eq!(parse(text), Ok(Price::from_inner(inner)), "{text}");
        }
    }

    #[test]
    fn parse_names_the_fault_when_the_text_is_no_price() {
        use DecimalError::*;
        let long = "1".repeat(MAX_LENGTH + 1);
        for (text, error) in [
            ("", Empty),
            (long.as_str(), TooLong),
            ("-1", Negative),
            ("-0", Negative),
            ("+1", Malformed),
            (" 1", Malformed),
            ("1 ", Malformed),
            ("1.", Malformed),
            (".5", Malformed),
            ("01", Malformed),
            ("1.2.3", Malformed),
            ("1e", Malformed),
            ("1e+", Malformed),
            ("1e0001", Malformed),
            ("1e1e1", Malformed),
            ("e5", Malformed),
            ("NaN", Malformed),
            ("inf", Malformed),
            ("0x10", Malformed),
            ("1,000", Malformed),
            ("١", Malformed),
            ("null", Malformed),
            ("0.0000000000000000001", Inexact),
            ("1e-19", Inexact),
            ("1e-999", Inexact),
            ("340282366920938463463.374607431768211456", Overflow),
            ("1e21", Overflow),
            ("1e999", Overflow),
            ("9999999999999999999999999999999999999999", Overflow),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn short_reads_well() {
        for (text, short) in [
            ("20123.450", "20123.45"),
            ("1", "1"),
            ("0.9", "0.9"),
            ("1.000000009", "1"),
            ("0.00000001", "0.00000001"),
        ] {
            assert_eq!(Short(parse(text).unwrap()).to_string(), short);
        }
    }

    proptest! {
        #[test]
        fn parse_gives_back_what_was_written(inner: u128) {
            let text = format!("{}.{:018}", inner / ONE, inner % ONE);
            prop_assert_eq!(parse(&text), Ok(Price::from_inner(inner)));
        }

        #[test]
        fn parse_is_the_same_in_any_notation(digits in 1u64..u64::MAX, decimals in 0usize..=18, shift in 0usize..=10) {
            let digits = digits.to_string();
            let padded = format!("{:0>width$}", digits, width = decimals + 1);
            let (whole, fraction) = padded.split_at(padded.len() - decimals);
            let plain = if decimals == 0 { whole.to_string() } else { format!("{whole}.{fraction}") };
            let scaled = format!("{digits}e-{decimals}");
            prop_assert_eq!(parse(&plain), parse(&scaled));
            let zeros = "0".repeat(shift);
            let longer = format!("{digits}{zeros}e-{}", decimals + shift);
            prop_assert_eq!(parse(&longer), parse(&plain));
        }

        #[test]
        fn parse_never_panics(text in "\\PC{0,70}") {
            let _ = parse(&text);
        }

        #[test]
        fn parse_never_panics_on_near_numbers(text in "[-+]?[0-9.eE+-]{0,66}") {
            if let Ok(price) = parse(&text) {
                let reference: f64 = text.parse().unwrap();
                let got = price.into_inner() as f64 / ONE as f64;
                prop_assert!((got - reference).abs() <= reference.abs() * 1e-9 + 1e-17);
            }
        }
    }
}
