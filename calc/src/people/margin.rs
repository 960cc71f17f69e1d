//! `novate calc margin` and `novate calc liquidation-price`.

use super::{
    account::{price_text, size_text, Portfolio},
    cash, portfolio, verdict, Report,
};
use crate::{input::Input, Result, Table};
use novate_risk::{initial_ceil, maintenance_ceil};
use novate_types::math::{position_value_floor, sub};
use serde_json::{json, Value};

/// Equity, margins and liquidation prices of `{"cash", "positions": [{"market", "size", "entry", "mark", "initial", "maintenance"}]}` by the
/// chain's linear model.
///
/// With `"options"` and an `"index"`, all of it is in one underlying and margined as a portfolio: see [`super::portfolio`].
pub fn margin(given: &Value) -> Result<Report> {
    let input = Input::new(given);
    let mut portfolio = Portfolio::new(&input)?;
    for position in input.or("positions", Vec::new(), Input::list)? {
        portfolio.hold(position.get("market")?.text()?, &position)?;
    }
    if let Some(options) = input.find("options") {
        return portfolio::margin(&input, &portfolio, &options.list()?);
    }
    let sum = portfolio.assess()?;
    let totals = [
        ("equity", sum.equity),
        ("initial_equity", sum.initial_equity),
        ("initial", sum.initial),
        ("maintenance", sum.maintenance),
        ("withdrawable", sum.withdrawable),
    ];
    let mut json = json!({
        "covers_initial": sum.covers_initial(), "liquidated": sum.is_below_maintenance(),
    });
    let mut text = Table::new(&["", "amount"]);
    for (name, quantums) in totals {
        json[name] = cash(quantums).into();
        text.row([name.replace('_', " "), cash(quantums)]);
    }

    let mut table = Table::new(&[
        "market",
        "size",
        "mark",
        "value",
        "profit",
        "initial",
        "maintenance",
        "liquidated at",
    ]);
    let mut positions = Vec::new();
    for (position, market, name) in portfolio.positions() {
        let value = position_value_floor(position.lots, market.mark, market.lot_size)?;
        let amounts = [
            value,
            sub(value, position.cost)?,
            initial_ceil(market, position.lots)?,
            maintenance_ceil(market, position.lots)?,
        ];
        let [value, profit, initial, maintenance] = amounts.map(cash);
        let at = portfolio.liquidation_price(&sum, market.id)?;
        let size = size_text(position.lots, market.lot_size)?;
        let mark = price_text(market.mark);
        positions.push(json!({
            "market": name, "size": size, "mark": mark, "value": value, "profit": profit,
            "initial": initial, "maintenance": maintenance, "liquidation_price": at,
        }));
        let at = at.unwrap_or_else(|| "never".into());
        table.row([
            name.to_owned(),
            size,
            mark,
            value,
            profit,
            initial,
            maintenance,
            at,
        ]);
    }
    json["positions"] = positions.into();
    let verdict = verdict(sum.covers_initial(), sum.is_below_maintenance());
    Ok(Report {
        json,
        text: format!("{text}\n{table}\n{verdict}\n"),
    })
}

/// Where a single position `{"size", "entry", "mark", "maintenance"}` with `cash` behind it would be liquidated. The price is null for a long
/// that never is.
pub fn liquidation_price(given: &Value) -> Result<Report> {
    let input = Input::new(given);
    let mut portfolio = Portfolio::new(&input)?;
    portfolio.hold("", &input)?;
    let sum = portfolio.assess()?;
    let at = portfolio.liquidation_price(&sum, 0)?;
    let mut table = Table::new(&["", "amount"]);
    for (name, quantums) in [("equity", sum.equity), ("maintenance", sum.maintenance)] {
        table.row([name.into(), cash(quantums)]);
    }
    let never = || "never".to_owned();
    table.row(["liquidated at".into(), at.clone().unwrap_or_else(never)]);
    Ok(Report {
        json: json!({
            "liquidation_price": at,
            "equity": cash(sum.equity),
            "maintenance": cash(sum.maintenance),
            "liquidated": sum.is_below_maintenance(),
        }),
        text: table.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn liquidation_price_is_where_equity_meets_maintenance_margin() {
        // 4000 + 0.5·(P − 60000) = 0.5·P·0.03, and the same with the other signs.
        let of = |size: &str| {
            let given =
                json!({ "size": size, "entry": "60000", "cash": "4000", "maintenance": "0.03" });
            liquidation_price(&given).unwrap().json["liquidation_price"].clone()
        };
        let near = |value: Value, exact: f64| {
            let price: f64 = value.as_str().unwrap().parse().unwrap();
            assert!((price - exact).abs() < 1e-9 * exact, "{price} for {exact}");
        };
        near(of("0.5"), 26_000.0 / 0.485);
        near(of("-0.5"), 34_000.0 / 0.515);
        // A long of less than its cash is never liquidated.
        assert_eq!(of("0.05"), Value::Null);
    }

    #[test]
    fn margin_adds_up_its_positions() {
        let given = json!({ "cash": "5000.5", "positions": [
            { "market": "BTC-PERP", "size": "0.5", "entry": "58000", "mark": "60000", "initial": "0.05", "maintenance": "0.03" },
            { "market": "ETH-PERP", "size": "-2", "entry": "3000", "mark": "3100", "initial": "0.1", "maintenance": "0.05" },
        ] });
        let report = margin(&given).unwrap();
        // 5000.5 + 1000 − 200; 30000·0.05 + 6200·0.1; 900 + 310.
        for (key, amount) in [
            ("equity", "5800.5"),
            ("initial", "2120"),
            ("maintenance", "1210"),
        ] {
            assert_eq!(report.json[key], amount, "{key}");
        }
        assert_eq!(report.json["positions"][0]["profit"], "1000");
        assert_eq!(report.json["covers_initial"], true);
        assert!(report.text.contains("ETH-PERP"), "{}", report.text);
    }

    #[test]
    fn portfolio_is_refused_by_name_when_a_number_is_out_of_range() {
        for (key, value, name) in [
            ("size", "0", "out_of_range"),
            ("size", "1.2345678901234567891", "too_many_decimals"),
            ("size", "nan", "malformed_number"),
            ("entry", "0", "not_positive"),
            ("entry", "-1", "out_of_range"),
            ("maintenance", "3", "out_of_range"),
            ("maintenance", "0.0000001", "too_many_decimals"),
            ("cash", "1e40", "out_of_range"),
        ] {
            let mut given =
                json!({ "size": "1", "entry": "1", "cash": "1", "maintenance": "0.03" });
            given[key] = value.into();
            assert_eq!(
                liquidation_price(&given).unwrap_err().name,
                name,
                "{key} {value}"
            );
        }
    }
}
