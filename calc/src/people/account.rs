//! `novate calc margin` and `novate calc liquidation-price`.

use super::{cash, fixed, Report};
use crate::{input::Input, Error, Result, Table};
use novate_risk::{
    initial_ceil, liquidation_price as chain_liquidation_price, maintenance_ceil, Linear,
};
use novate_types::{
    math::{neg, position_value_floor, sub},
    Assessment, Lots, MarginAccount, MarketId, MarketStatus, MarketView, MathError, Position, Ppm,
    Price, RankSlot, RiskModel, RiskView, SignedLots, Size, MILLION,
};
use serde_json::{json, Value};

/// An account in markets of its own.
struct Portfolio<'a> {
    account: MarginAccount,
    view: RiskView,
    names: Vec<&'a str>,
}

impl<'a> Portfolio<'a> {
    fn new(input: &Input) -> Result<Self> {
        Ok(Self {
            account: MarginAccount {
                cash: input.get("cash")?.in_units(6)?,
                ..MarginAccount::default()
            },
            view: RiskView::default(),
            names: Vec::new(),
        })
    }

    /// Adds `{"size", "entry", "mark", "maintenance", "initial"}`: the entry is the mark if it is absent and the other way round, the initial margin
    /// fraction is the maintenance margin fraction.
    fn hold(&mut self, name: &'a str, input: &Input) -> Result<()> {
        let id = MarketId::try_from(self.names.len()).map_err(|_| too_many(input))?;
        let (lots, lot_size) = size(&input.get("size")?)?;
        let [entry, mark] = match (input.find("entry"), input.find("mark")) {
            (Some(entry), Some(mark)) => [price(&entry)?, price(&mark)?],
            (Some(one), None) | (None, Some(one)) => [price(&one)?; 2],
            (None, None) => return Err(input.error("missing", "has neither entry nor mark")),
        };
        let maintenance = fraction(&input.get("maintenance")?)?;
        let market = MarketView {
            id,
            underlying: id,
            status: MarketStatus::Open,
            tick_size: Price::from_inner(1),
            lot_size,
            tick_value: 1,
            mark,
            index: mark,
            observed_at: 0,
            fresh: true,
            funding_index: 0,
            imf: input.or("initial", maintenance, fraction)?,
            mmf: maintenance,
            profit_credit: 0,
            price_band: 0,
            min_notional: 0,
            impact_notional: 0,
            open_interest_cap: Lots::MAX,
        };
        let position = Position {
            market: id,
            lots,
            // What it cost is rounded up: minus the value of the opposite position.
            cost: neg(position_value_floor(-lots, entry, lot_size)?)?,
            funding_index: 0,
            rank: RankSlot::default(),
        };
        let full = |_| too_many(input);
        self.view.markets.try_push(market).map_err(full)?;
        self.account
            .positions
            .try_push(position)
            .map_err(|_| too_many(input))?;
        self.names.push(name);
        Ok(())
    }

    fn assess(&self) -> Result<Assessment> {
        Ok(Linear::assess(&self.account, &self.view)?)
    }
}

fn too_many(input: &Input) -> Error {
    input.error("too_many", "is more than one account can hold")
}

/// A size that is not zero, as lots of the largest power of ten that divides it.
fn size(input: &Input) -> Result<(SignedLots, Size)> {
    let (mut units, mut lot): (i128, u128) = (input.in_units(18)?, 1);
    if units == 0 {
        return Err(input.error("out_of_range", "is zero"));
    }
    while units % 10 == 0 {
        (units, lot) = (units / 10, lot * 10);
    }
    let lots = SignedLots::try_from(units)
        .ok()
        .filter(|lots| *lots != SignedLots::MIN)
        .ok_or_else(|| input.error("out_of_range", "has more digits than a position can hold"))?;
    Ok((lots, Size::from_inner(lot)))
}

fn size_text(lots: SignedLots, lot: Size) -> Result<String> {
    let units = u128::from(lots.unsigned_abs()).checked_mul(lot.into_inner());
    Ok(fixed(lots < 0, units.ok_or(MathError::Overflow)?, 18))
}

fn price(input: &Input) -> Result<Price> {
    match input.fixed()? {
        0 => Err(input.error("not_positive", "is zero")),
        inner => Ok(Price::from_inner(inner)),
    }
}

/// A fraction of at most one, in ppm.
fn fraction(input: &Input) -> Result<Ppm> {
    let ppm = input.in_units(6)?;
    if ppm > MILLION {
        return Err(input.error("out_of_range", "is above 1: write 0.03 for 3 %"));
    }
    Ok(ppm)
}

fn price_text(price: Price) -> String {
    fixed(false, price.into_inner(), 18)
}

/// Equity, margins and liquidation prices of `{"cash", "positions": [{"market", "size", "entry", "mark", "initial", "maintenance"}]}` by the
/// chain's linear model.
pub fn margin(given: &Value) -> Result<Report> {
    let input = Input::new(given);
    let mut portfolio = Portfolio::new(&input)?;
    for position in input.get("positions")?.list()? {
        portfolio.hold(position.get("market")?.text()?, &position)?;
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
    let held = portfolio.account.positions.iter().zip(&portfolio.names);
    for (position, name) in held {
        let market = portfolio.view.market(position.market)?;
        let value = position_value_floor(position.lots, market.mark, market.lot_size)?;
        let amounts = [
            value,
            sub(value, position.cost)?,
            initial_ceil(market, position.lots)?,
            maintenance_ceil(market, position.lots)?,
        ];
        let [value, profit, initial, maintenance] = amounts.map(cash);
        let at = chain_liquidation_price(&sum, &portfolio.account, &portfolio.view, market.id)?;
        let at = at.map(price_text);
        let size = size_text(position.lots, market.lot_size)?;
        let mark = price_text(market.mark);
        positions.push(json!({
            "market": name, "size": size, "mark": mark, "value": value, "profit": profit,
            "initial": initial, "maintenance": maintenance, "liquidation_price": at,
        }));
        let at = at.unwrap_or_else(|| "never".into());
        table.row([
            (*name).to_owned(),
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
    let verdict = match (sum.is_below_maintenance(), sum.covers_initial()) {
        (true, _) => "below maintenance margin: it would be liquidated",
        (false, true) => "covers initial margin",
        (false, false) => "below initial margin: it may only reduce",
    };
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
    let at = chain_liquidation_price(&sum, &portfolio.account, &portfolio.view, 0)?;
    let at = at.map(price_text);
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
