//! Commands for people: what a person gives is read as a case is, and the report is a table that also is JSON.

mod account;
mod option;

pub use account::{liquidation_price, margin};
pub use option::option;

use crate::Result;
use novate_math::Scaled;
use novate_types::{Cash, QUANTUMS};
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
fn cash(quantums: Cash) -> Result<String> {
    let units = Scaled::from(quantums).over(Scaled::from(QUANTUMS))?;
    Ok(units.to_decimal(39)?)
}
