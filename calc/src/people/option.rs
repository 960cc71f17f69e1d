//! `novate calc option`.

use super::{shown, Report};
use crate::{
    input::{decimal, Input},
    options::Terms,
    Result, Table,
};
use novate_math::{
    black76::{years, Greeks},
    Scaled,
};
use serde_json::{json, Value};

/// Seconds in what a time may be given in.
const UNITS: [(char, u64); 6] = [
    ('s', 1),
    ('m', 60),
    ('h', 3_600),
    ('d', 86_400),
    ('w', 604_800),
    ('y', 31_536_000),
];

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
        years: time(&input.get("expiry")?)?,
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

/// A time with its unit, in years.
fn time(input: &Input) -> Result<Scaled> {
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
    Ok(amount.times(years(*seconds)?)?)
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

    #[test]
    fn expiry_is_a_time_when_it_has_a_unit() {
        let of = |text: &str| {
            let value = json!(text);
            time(&Input::new(&value)).map(|years| years.to_decimal(20).unwrap())
        };
        assert_eq!(of("365d").unwrap(), "1");
        assert_eq!(of("0.5y").unwrap(), "0.5");
        assert_eq!(of("8760h"), of("1y"));
        assert_eq!(of("2w"), of("14d"));
        for text in ["", "14", "d", "x5d", "5µ", "é"] {
            assert_eq!(of(text).unwrap_err().name, "malformed_number", "{text}");
        }
    }
}
