//! Commands for people: what a person gives is read as a case is, and the report is a table that also is JSON.

mod account;
mod auction;
mod backtest;
mod margin;
mod option;
mod portfolio;

pub use auction::auction;
pub use backtest::backtest;
pub use margin::{liquidation_price, margin};
pub use option::option;

use crate::{input::Input, Result};
use novate_math::Scaled;
use novate_types::Cash;
use serde_json::Value;

/// Significant digits shown to people; the JSON has all of them.
const SHOWN: u32 = 12;

/// What a command has to say, in both forms.
#[derive(Clone, Debug)]
pub struct Report {
    /// Numbers are decimal strings.
    pub json: Value,
    /// Aligned columns.
    pub text: String,
}

fn shown(x: Scaled) -> Result<String> {
    Ok(x.to_decimal(SHOWN)?)
}

/// Quantums in units of the settlement currency, exactly.
fn cash(quantums: Cash) -> String {
    fixed(quantums < 0, quantums.unsigned_abs(), 6)
}

/// `± units · 10^−decimals`, exactly.
fn fixed(negative: bool, units: u128, decimals: usize) -> String {
    let digits = format!("{units:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let sign = if negative { "-" } else { "" };
    let text = format!("{sign}{whole}.{fraction}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Whether an account may go on, in words.
fn verdict(covers_initial: bool, liquidated: bool) -> &'static str {
    match (liquidated, covers_initial) {
        (true, _) => "below maintenance margin: it would be liquidated",
        (false, true) => "covers initial margin",
        (false, false) => "below initial margin: it may only reduce",
    }
}

/// Seconds in what a time may be given in.
const UNITS: [(char, u64); 6] = [
    ('s', 1),
    ('m', 60),
    ('h', 3_600),
    ('d', 86_400),
    ('w', 604_800),
    ('y', 31_536_000),
];

/// A time with its unit, such as `14d`, `36h`, `0.5y` (a year has 365 days), in seconds.
fn seconds(input: &Input) -> Result<Scaled> {
    let text = input.text()?;
    let unit = UNITS.iter().find(|(unit, _)| text.ends_with(*unit));
    let (amount, seconds) = unit
        .and_then(|(unit, seconds)| Some((text.strip_suffix(*unit)?, seconds)))
        .ok_or_else(|| {
            input.error(
                "malformed_number",
                "has no unit: write 14d, 36h, 30m or 0.5y",
            )
        })?;
    let amount: Scaled = amount.parse().map_err(|error: novate_math::Error| {
        input.error("malformed_number", format!("is {error}"))
    })?;
    Ok(amount.times(Scaled::from(*seconds))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_a_time_when_it_has_a_unit() {
        let of = |text: &str| {
            let value = serde_json::json!(text);
            seconds(&Input::new(&value)).map(|seconds| seconds.to_decimal(20).unwrap())
        };
        assert_eq!(of("365d").unwrap(), "31536000");
        assert_eq!(of("0.5y").unwrap(), "15768000");
        assert_eq!(of("8760h"), of("1y"));
        assert_eq!(of("2w"), of("14d"));
        for text in ["", "14", "d", "x5d", "5µ", "é"] {
            assert_eq!(of(text).unwrap_err().name, "malformed_number", "{text}");
        }
    }

    #[test]
    fn amounts_are_exact_when_written() {
        for (quantums, text) in [
            (0, "0"),
            (1, "0.000001"),
            (-1_500_000, "-1.5"),
            (20_000_000, "20"),
            (i128::MAX, "170141183460469231731687303715884.105727"),
        ] {
            assert_eq!(cash(quantums), text);
        }
    }
}
