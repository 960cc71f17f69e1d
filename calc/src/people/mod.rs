//! Commands for people: what a person gives is read as a case is, and the report is a table that also is JSON.

mod account;
mod auction;
mod option;

pub use account::{liquidation_price, margin};
pub use auction::auction;
pub use option::option;

use crate::Result;
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

#[cfg(test)]
mod tests {
    use super::*;

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
