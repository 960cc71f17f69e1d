//! Greeks and portfolio margin, as cells of tables and as JSON with exact decimal strings.

use novate_client::decimal::{cash, rounded, signed_units};
use novate_risk::{
    portfolio::{Scenario, Signed, Unsigned, VolatilityShock, Worst},
    Greeks,
};
use novate_runtime_api::{MarginsInfo, PortfolioInfo};
use serde_json::{json, Value};

/// Decimals of what the chain counts in 10⁻¹⁸.
const DECIMALS: u32 = 18;

/// Names of the cells of [`cells`].
pub const HEAD: [&str; 5] = ["delta", "gamma", "vega", "theta", "rho"];

/// Delta, gamma, vega, theta and rho, rounded as tables show them; dashes where there are none.
pub fn cells(greeks: Option<&Greeks>) -> [String; 5] {
    let Some(greeks) = greeks else {
        return HEAD.map(|_| "-".into());
    };
    // A gamma is small where a delta is not: of bitcoin it begins in the fifth place.
    [
        (greeks.delta, 4),
        (greeks.gamma, 7),
        (greeks.vega, 2),
        (greeks.theta, 2),
        (greeks.rho, 2),
    ]
    .map(|(greek, places)| rounded(greek.into_inner(), DECIMALS, places))
}

/// The same, exact.
pub fn to_json(greeks: &Greeks) -> Value {
    let exact = |greek: Signed| signed_units(greek.into_inner(), DECIMALS);
    json!({
        "delta": exact(greeks.delta),
        "gamma": exact(greeks.gamma),
        "vega": exact(greeks.vega),
        "theta": exact(greeks.theta),
        "rho": exact(greeks.rho),
    })
}

/// A fraction, 1.00 being 100 %, in percent; exact.
pub fn percent(fraction: Signed) -> String {
    signed_units(fraction.into_inner(), DECIMALS - 2)
}

/// A volatility in percent with one decimal, as tables show it.
pub fn volatility_cell(volatility: Option<Unsigned>) -> String {
    let inner = volatility.and_then(|v| i128::try_from(v.into_inner()).ok());
    inner.map_or_else(|| "-".into(), |v| rounded(v, DECIMALS - 2, 1))
}

/// A volatility in percent, exact, as Deribit's `mark_iv`.
pub fn volatility_percent(volatility: Unsigned) -> String {
    novate_client::decimal::unsigned_units(volatility.into_inner(), DECIMALS - 2)
}

/// Which of the two rules asks for less.
fn rule(parts: i128, scan: Option<i128>) -> &'static str {
    match scan {
        Some(scan) if scan < parts => "scan",
        _ => "parts",
    }
}

fn shock(volatility: VolatilityShock) -> (&'static str, &'static str) {
    match volatility {
        VolatilityShock::Same => ("same", "volatility the same"),
        VolatilityShock::Up => ("up", "volatility up"),
        VolatilityShock::Down => ("down", "volatility down"),
        VolatilityShock::SkewLinear => ("skew_linear", "smile turned"),
        VolatilityShock::SkewAbsolute => ("skew_absolute", "wings bent"),
    }
}

/// Where a portfolio loses most, in words.
fn worst_text(worst: &Worst) -> String {
    match worst {
        Worst::Nothing => "nothing is lost".into(),
        Worst::Basis => "forwards of different expiries move by themselves".into(),
        Worst::Scenario(scenario) => {
            let sign = if scenario.price > Signed::from_inner(0) {
                "+"
            } else {
                ""
            };
            let counts = if scenario.weight == Unsigned::from_inner(10u128.pow(DECIMALS)) {
                String::new()
            } else {
                let weight = i128::try_from(scenario.weight.into_inner()).unwrap_or(i128::MAX);
                format!(
                    ", {} % of the loss counts",
                    rounded(weight, DECIMALS - 2, 1)
                )
            };
            format!(
                "price {sign}{} %, {}{counts}",
                percent(scenario.price),
                shock(scenario.volatility).1
            )
        }
    }
}

fn scenario_json(scenario: &Scenario) -> Value {
    json!({
        "price_percent": percent(scenario.price),
        "volatility": shock(scenario.volatility).0,
        "weight": novate_client::decimal::unsigned_units(scenario.weight.into_inner(), DECIMALS),
    })
}

fn margins(of: MarginsInfo) -> Value {
    json!({ "initial": cash(of.initial), "maintenance": cash(of.maintenance) })
}

/// A portfolio. `worst` names a scenario, `basis` or `nothing`.
pub fn portfolio_json(underlying: &str, portfolio: &PortfolioInfo) -> Value {
    let (parts, scan) = (portfolio.by_parts, portfolio.by_scan);
    json!({
        "underlying": underlying,
        "greeks": portfolio.greeks.as_ref().map(to_json),
        "by_parts": margins(parts),
        "by_scan": scan.map(|s| margins(s.margins)),
        "required": margins(portfolio.required()),
        "initial_rule": rule(parts.initial, scan.map(|s| s.margins.initial)),
        "maintenance_rule": rule(parts.maintenance, scan.map(|s| s.margins.maintenance)),
        "worst_loss": scan.map(|s| cash(s.loss)),
        "worst": scan.map(|s| match s.worst {
            Worst::Nothing => json!("nothing"),
            Worst::Basis => json!("basis"),
            Worst::Scenario(scenario) => scenario_json(&scenario),
        }),
    })
}

/// A portfolio's margin in lines: both rules, which of them binds, and the worst scenario.
pub fn portfolio_lines(underlying: &str, portfolio: &PortfolioInfo) -> String {
    let two = |amount: i128| rounded(amount, 6, 2);
    let parts = portfolio.by_parts;
    let mut text = format!(
        "{underlying} by parts: {} initial, {} maintenance\n",
        two(parts.initial),
        two(parts.maintenance)
    );
    let Some(scan) = portfolio.by_scan else {
        return text + &format!("{underlying} by scan: not while a price is missing\n");
    };
    text += &format!(
        "{underlying} by scan: {} initial, {} maintenance\n",
        two(scan.margins.initial),
        two(scan.margins.maintenance)
    );
    text += &format!(
        "{underlying} lesser: {} initial ({}), {} maintenance ({})\n",
        two(portfolio.required().initial),
        rule(parts.initial, Some(scan.margins.initial)),
        two(portfolio.required().maintenance),
        rule(parts.maintenance, Some(scan.margins.maintenance)),
    );
    text + &format!(
        "{underlying} worst: {} lost, {}\n",
        two(scan.loss),
        worst_text(&scan.worst)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use novate_runtime_api::ScanInfo;

    fn tail() -> PortfolioInfo {
        let unit = |parts: i128| Signed::from_inner(parts * 10i128.pow(12));
        PortfolioInfo {
            underlying: 1,
            greeks: Some(Greeks {
                delta: unit(-245_339),
                gamma: unit(-35),
                vega: unit(-37_004_000),
                theta: unit(72_694_500),
                rho: unit(-9_876_540),
            }),
            by_parts: MarginsInfo {
                initial: 4_001_500_000,
                maintenance: 3_001_000_000,
            },
            by_scan: Some(ScanInfo {
                margins: MarginsInfo {
                    initial: 4_100_000_000,
                    maintenance: 2_900_000_001,
                },
                loss: 3_500_000_000,
                worst: Worst::Scenario(Scenario {
                    price: unit(1_000_000),
                    volatility: VolatilityShock::Up,
                    weight: Unsigned::from_inner(36_000_000_000_000_000),
                }),
            }),
        }
    }

    #[test]
    fn portfolio_says_which_rule_binds_and_where_it_loses_most() {
        let json = portfolio_json("BTC", &tail());
        assert_eq!(json["required"]["initial"], "4001.5");
        assert_eq!(json["required"]["maintenance"], "2900.000001");
        assert_eq!(json["initial_rule"], "parts");
        assert_eq!(json["maintenance_rule"], "scan");
        assert_eq!(json["worst"]["price_percent"], "100");
        assert_eq!(json["worst"]["weight"], "0.036");
        assert_eq!(json["greeks"]["gamma"], "-0.000035");
        assert_eq!(json["greeks"]["rho"], "-9.87654");
        let text = portfolio_lines("BTC", &tail());
        assert!(text.contains("lesser: 4001.50 initial (parts), 2900.00 maintenance (scan)"));
        assert!(text.ends_with(
            "worst: 3500.00 lost, price +100 %, volatility up, 3.6 % of the loss counts\n"
        ));
    }

    #[test]
    fn portfolio_stands_on_its_parts_when_a_price_is_missing() {
        let lacking = PortfolioInfo {
            by_scan: None,
            greeks: None,
            ..tail()
        };
        let json = portfolio_json("BTC", &lacking);
        assert_eq!(json["required"], json["by_parts"]);
        assert_eq!(json["initial_rule"], "parts");
        assert_eq!(json["worst"], Value::Null);
        assert!(portfolio_lines("BTC", &lacking).ends_with("not while a price is missing\n"));
    }

    #[test]
    fn greeks_print_in_the_places_of_tables() {
        let cells = |greeks| cells(greeks).join(" ");
        let told = tail();
        assert_eq!(
            cells(told.greeks.as_ref()),
            "-0.2453 -0.0000350 -37.00 72.69 -9.88"
        );
        assert_eq!(cells(None), "- - - - -");
        let volatility = Unsigned::from_inner(554_500_000_000_000_000);
        assert_eq!(volatility_cell(Some(volatility)), "55.5");
        assert_eq!(volatility_percent(volatility), "55.45");
        assert_eq!(volatility_cell(None), "-");
    }
}
