//! `novate calc option`.

use super::{seconds, shown, Report};
use crate::{
    input::{decimal, Input},
    options::Terms,
    Result, Table,
};
use novate_math::{
    black76::{Greeks, SECONDS_PER_YEAR},
    Scaled,
};
use serde_json::{json, Value};

/// Price and Greeks of call and put on a forward: `{"forward", "strike", "vol", "expiry", "rate"}`, the rate zero if it is absent.
///
/// `expiry` is a time from now with its unit, such as `14d`, `36h`, `0.5y` (a year has 365 days). Theta is shown per day and vega per volatility
/// point, as section 9 of the protocol says.
pub fn option(given: &Value) -> Result<Report> {
    let input = Input::new(given);
    let of = |key| input.get(key)?.number();
    let terms = Terms {
        forward: of("forward")?,
        strike: of("strike")?,
        years: seconds(&input.get("expiry")?)?.over(Scaled::from(SECONDS_PER_YEAR))?,
        rate: input.or("rate", Scaled::ZERO, Input::number)?,
    };
    let (call, put) = terms.greeks(of("vol")?)?;
    let expiry = terms.expiry()?;

    let rows = |greeks: &Greeks| -> Result<[(&'static str, Scaled); 6]> {
        Ok([
            ("price", greeks.price),
            ("delta", greeks.delta),
            ("gamma", greeks.gamma),
            ("vega_per_point", greeks.vega_per_point()?),
            ("theta_per_day", greeks.theta_per_day(&expiry)?),
            ("rho", greeks.rho),
        ])
    };
    let (call, put) = (rows(&call)?, rows(&put)?);
    let mut table = Table::new(&["", "call", "put"]);
    for ((name, call), (_, put)) in call.iter().zip(&put) {
        table.row([name.replace('_', " "), shown(*call)?, shown(*put)?]);
    }
    let side = |rows: [(&str, Scaled); 6]| -> Result<Value> {
        let of = rows.into_iter();
        of.map(|(name, x)| Ok((name.to_owned(), decimal(x)?)))
            .collect()
    };
    Ok(Report {
        json: json!({ "years": decimal(terms.years)?, "call": side(call)?, "put": side(put)? }),
        text: table.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn option_is_priced_as_the_chain_does_in_units_of_people() {
        // The example of `novate_math::black76`.
        let given =
            json!({ "forward": "60000", "strike": "65000", "vol": "0.55", "expiry": "14d" });
        let report = option(&given).unwrap();
        for (name, digits, row) in [
            ("price", "892.178694389781", "892.17869439"),
            ("delta", "0.2453386006", "0.24533860063"),
        ] {
            let value = report.json["call"][name].as_str().unwrap();
            assert!(value.starts_with(digits) && value.len() > 20, "{value}");
            assert!(report.text.contains(row), "{}", report.text);
        }
    }
}
