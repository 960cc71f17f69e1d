//! Decimals as people type them, kept exactly: no floating point touches a price, a size or an amount.

use std::{fmt, str::FromStr};

/// Decimal places kept, those of the chain's own prices and sizes.
pub const PLACES: u32 = 18;
const ONE: u128 = 10u128.pow(PLACES);

/// A number of at least zero with up to 18 decimal places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal(u128);

/// Why a text is not a [`Decimal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Nothing was typed, or nothing but a point.
    #[error("is empty")]
    Empty,
    /// Signs are not written: sides and verbs say the direction.
    #[error("has a sign; write it without one")]
    Sign,
    /// A character that is neither a digit nor the one decimal point.
    #[error("has the character '{0}', where only digits and one decimal point are read")]
    Character(char),
    /// More than 18 places after the point.
    #[error("has more than {PLACES} decimals")]
    Places,
    /// Above 3.4·10²⁰.
    #[error("is too large")]
    Range,
}

impl Decimal {
    /// From the chain's 18-decimal fixed point.
    pub const fn from_inner(inner: u128) -> Self {
        Self(inner)
    }

    /// As the chain's 18-decimal fixed point.
    pub const fn inner(self) -> u128 {
        self.0
    }

    /// `units · 10^−decimals`, if it fits and `decimals` is at most 18.
    pub fn from_units(units: u128, decimals: u32) -> Option<Self> {
        units
            .checked_mul(10u128.pow(PLACES.checked_sub(decimals)?))
            .map(Self)
    }

    /// `steps · self`, if it fits.
    pub fn times(self, steps: u64) -> Option<Self> {
        self.0.checked_mul(u128::from(steps)).map(Self)
    }

    /// How many times `step` goes into it, or the multiples of `step` around it.
    ///
    /// A `step` of zero has no multiples; the grid then says so by having neither neighbour.
    pub fn on_grid(self, step: Self) -> Result<u128, Neighbours> {
        let (Some(count), Some(rest)) = (self.0.checked_div(step.0), self.0.checked_rem(step.0))
        else {
            return Err(Neighbours {
                below: None,
                above: None,
                nearest: None,
            });
        };
        if rest == 0 {
            return Ok(count);
        }
        let below = Self(self.0 - rest);
        let above = below.0.checked_add(step.0).map(Self);
        let nearest = if rest < step.0 - rest {
            Some(below)
        } else {
            above.or(Some(below))
        };
        let positive = |d: Option<Self>| d.filter(|d| d.0 > 0);
        Err(Neighbours {
            below: positive(Some(below)),
            above,
            nearest: positive(nearest).or(above),
        })
    }
}

/// The multiples of a step on both sides of a value that is none; zero is never one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbours {
    /// The largest below it, above zero.
    pub below: Option<Decimal>,
    /// The smallest above it.
    pub above: Option<Decimal>,
    /// The nearer of the two; halfway, the larger.
    pub nearest: Option<Decimal>,
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let text = text.trim();
        if text.starts_with(['-', '+', '\u{2212}']) {
            return Err(DecimalError::Sign);
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if whole.is_empty() && fraction.is_empty() {
            return Err(DecimalError::Empty);
        }
        let mut inner = 0u128;
        for c in whole.chars().filter(|c| *c != '_') {
            let digit = c.to_digit(10).ok_or(DecimalError::Character(c))?;
            inner = inner
                .checked_mul(10)
                .and_then(|v| v.checked_add(u128::from(digit)))
                .ok_or(DecimalError::Range)?;
        }
        inner = inner.checked_mul(ONE).ok_or(DecimalError::Range)?;
        let mut place = ONE;
        for c in fraction.chars() {
            let digit = c.to_digit(10).ok_or(DecimalError::Character(c))?;
            place /= 10;
            if place == 0 && digit != 0 {
                return Err(DecimalError::Places);
            }
            inner = inner
                .checked_add(u128::from(digit) * place)
                .ok_or(DecimalError::Range)?;
        }
        Ok(Self(inner))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / ONE, self.0 % ONE);
        if fraction == 0 {
            return f.pad(&whole.to_string());
        }
        let digits = format!("{fraction:018}");
        f.pad(&format!("{whole}.{}", digits.trim_end_matches('0')))
    }
}

/// Quantums as the settlement currency, exact, without trailing zeros: `−1.5`, `0`, `20000`.
pub fn cash(quantums: i128) -> String {
    signed_units(quantums, 6)
}

/// Quantums as the settlement currency with two decimals, rounded towards −∞: for tables, never for machines.
pub fn cash_floor(quantums: i128) -> String {
    let cents = quantums.div_euclid(10_000);
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

/// `units · 10^−decimals` rounded to `places` decimals, half away from zero, with all of them: for tables, never for machines.
pub fn rounded(units: i128, decimals: u32, places: u32) -> String {
    let step = 10u128.pow(decimals.saturating_sub(places));
    let magnitude = units.unsigned_abs();
    let whole = magnitude / step + u128::from(magnitude % step >= step.div_ceil(2).max(1));
    let places = places.min(decimals) as usize;
    let digits = format!("{whole:0width$}", width = places + 1);
    let (whole_part, fraction) = digits.split_at(digits.len() - places);
    let sign = if units < 0 && whole > 0 { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole_part}{point}{fraction}")
}

/// `units · 10^−decimals`, exact, without trailing zeros.
pub fn signed_units(units: i128, decimals: u32) -> String {
    let sign = if units < 0 { "-" } else { "" };
    format!("{sign}{}", unsigned_units(units.unsigned_abs(), decimals))
}

/// `units · 10^−decimals`, exact, without trailing zeros.
pub fn unsigned_units(units: u128, decimals: u32) -> String {
    let digits = format!("{units:0width$}", width = decimals as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals as usize);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn decimal_is_refused_by_name_when_it_is_not_one() {
        for (text, error) in [
            ("", DecimalError::Empty),
            (".", DecimalError::Empty),
            ("-1", DecimalError::Sign),
            ("+1", DecimalError::Sign),
            ("1,5", DecimalError::Character(',')),
            ("1e3", DecimalError::Character('e')),
            ("1.2.3", DecimalError::Character('.')),
            ("NaN", DecimalError::Character('N')),
            ("0.0000000000000000001", DecimalError::Places),
            ("340282366920938463464", DecimalError::Range),
            (
                "9999999999999999999999999999999999999999",
                DecimalError::Range,
            ),
        ] {
            assert_eq!(text.parse::<Decimal>(), Err(error), "{text}");
        }
    }

    #[test]
    fn decimal_reads_what_people_type() {
        assert_eq!(decimal("60_000.50").to_string(), "60000.5");
        assert_eq!(decimal(".5").to_string(), "0.5");
        assert_eq!(decimal("7.").to_string(), "7");
        assert_eq!(decimal(" 0.000000000000000001 ").inner(), 1);
        assert_eq!(decimal("1.0000000000000000000000").inner(), ONE);
    }

    #[test]
    fn grid_names_both_neighbours_when_the_value_is_between() {
        let found = decimal("60000.3").on_grid(decimal("0.5")).unwrap_err();
        assert_eq!(found.below.unwrap().to_string(), "60000");
        assert_eq!(found.above.unwrap().to_string(), "60000.5");
        assert_eq!(found.nearest.unwrap().to_string(), "60000.5");
        assert_eq!(decimal("60000.5").on_grid(decimal("0.5")), Ok(120_001));
    }

    #[test]
    fn grid_never_suggests_zero_when_the_value_is_below_one_step() {
        let found = decimal("0.00001").on_grid(decimal("0.0001")).unwrap_err();
        assert_eq!(found.below, None);
        assert_eq!(found.nearest.unwrap().to_string(), "0.0001");
        assert_eq!(decimal("1").on_grid(Decimal(0)).unwrap_err().nearest, None);
    }

    #[test]
    fn units_print_exactly() {
        assert_eq!(cash(-1_500_000), "-1.5");
        assert_eq!(cash(1), "0.000001");
        assert_eq!(cash(0), "0");
        assert_eq!(cash(i128::MIN), "-170141183460469231731687303715884.105728");
        assert_eq!(unsigned_units(5, 0), "5");
        assert_eq!(cash_floor(-1), "-0.01");
        assert_eq!(cash_floor(19_999), "0.01");
    }

    #[test]
    fn units_round_to_the_nearest_for_tables() {
        assert_eq!(rounded(-1_234_500, 6, 3), "-1.235");
        assert_eq!(rounded(1_234_499, 6, 3), "1.234");
        assert_eq!(rounded(-499, 6, 3), "0.000");
        assert_eq!(rounded(999_500, 6, 3), "1.000");
        assert_eq!(rounded(1_500_000, 6, 0), "2");
        assert_eq!(rounded(7, 2, 4), "0.07");
        assert_eq!(rounded(0, 18, 2), "0.00");
    }

    proptest! {
        #[test]
        fn decimal_reads_back_when_printed(inner: u128) {
            let printed = Decimal(inner).to_string();
            prop_assert_eq!(printed.parse::<Decimal>(), Ok(Decimal(inner)));
        }

        #[test]
        fn grid_suggestions_are_on_the_grid_and_nearest(value in 1u128..1 << 100, step in 1u128..1 << 90) {
            match Decimal(value).on_grid(Decimal(step)) {
                Ok(count) => prop_assert_eq!(count * step, value),
                Err(found) => {
                    let nearest = found.nearest.unwrap().0;
                    prop_assert!(nearest > 0);
                    prop_assert_eq!(nearest % step, 0);
                    let distance = nearest.abs_diff(value);
                    for other in [found.below, found.above].into_iter().flatten() {
                        prop_assert_eq!(other.0 % step, 0);
                        prop_assert!(distance <= other.0.abs_diff(value));
                    }
                }
            }
        }

        #[test]
        fn decimal_never_panics(text in ".{0,50}") {
            let _ = text.parse::<Decimal>();
        }
    }
}
