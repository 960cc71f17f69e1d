//! Options, and what hedges them: margined as a portfolio.

use super::{
    account::{price, size_text, Portfolio},
    cash, seconds, shown, Report,
};
use crate::{
    grain::{self, Grain},
    input::{decimal, Input},
    Result, Table,
};
use novate_math::{
    black76::{self, Expiry, Kind, Level},
    Scaled,
};
use novate_risk::portfolio::{
    option_value_floor, Contract, Leg, Margins, PortfolioMargin, PortfolioParams, Prices, Series,
    Term, Underlying, Unsigned,
};
use novate_types::{math::add, SignedLots};
use serde_json::json;

/// Equity and requirement of an account in one underlying, by the default parameters of the portfolio model: the lesser of what its parts need and
/// what the scan says.
///
/// An option is `{"type", "strike", "expiry", "vol", "size", "forward", "rate"}`: the forward is the index if it is absent, the rate zero.
pub fn margin(input: &Input, portfolio: &Portfolio, options: &[Input]) -> Result<Report> {
    let one = Unsigned::from_u32(1);
    let mut market = Underlying {
        index: price(&input.get("index")?)?,
        confidence: one,
        settlement: one,
        open_interest: 0,
        terms: Vec::new(),
        series: Vec::new(),
    };
    let mut legs: Vec<Leg> = portfolio
        .positions()
        .map(|(position, market, _)| Leg {
            contract: Contract::Linear {
                mark: market.mark,
                lot_size: market.lot_size,
                term: None,
                mmf: market.mmf,
                imf: market.imf,
            },
            lots: position.lots,
        })
        .collect();

    let sizes: Vec<_> = options
        .iter()
        .map(|o| o.get("size"))
        .collect::<Result<_>>()?;
    let decimals = grain::decimals(&sizes)?;
    let lot_size = Grain::NONE.lot_size(decimals)?;
    let mut table = Table::new(&["option", "strike", "expiry", "size", "price", "delta"]);
    let mut rows = Vec::new();
    for (option, size) in options.iter().zip(&sizes) {
        let term = term(option, market.index)?;
        let place =
            |at: usize| u16::try_from(at).map_err(|_| option.error("too_many", "is one too many"));
        let at = position_or_push(&mut market.terms, term);
        let series = Series {
            term: place(at)?,
            strike: price(&option.get("strike")?)?,
            volatility: grain::unsigned(&option.get("vol")?)?,
            lot_size,
        };
        let (kind, name) = option
            .get("type")?
            .one_of(&[("call", (Kind::Call, "call")), ("put", (Kind::Put, "put"))])?;
        let greeks = greeks(kind, &market.terms[at], &series)?;
        let lots: SignedLots = grain::lots(size, decimals)?;
        let of = |key| option.get(key)?.text().map(str::to_owned);
        let size = size_text(lots, lot_size)?;
        rows.push(json!({
            "type": name, "strike": of("strike")?, "expiry": of("expiry")?, "size": size,
            "price": decimal(greeks.price)?, "delta": decimal(greeks.delta)?,
        }));
        let (unit, delta) = (shown(greeks.price)?, shown(greeks.delta)?);
        table.row([
            name.to_owned(),
            of("strike")?,
            of("expiry")?,
            size,
            unit,
            delta,
        ]);
        let series = place(position_or_push(&mut market.series, series))?;
        if lots != 0 {
            legs.push(Leg {
                contract: Contract::Option { series, kind },
                lots,
            });
        }
    }

    let params = PortfolioParams::standard();
    let mut prices = Prices::new(&market, &params)?;
    let needed = PortfolioMargin::of(&legs, &mut prices)?;
    let value = option_value_floor(&legs, &mut prices)?;
    let equity = add(portfolio.assess()?.equity, value)?;
    let required = needed.required();
    let (covers, liquidated) = (equity >= required.initial, equity < required.maintenance);

    let margins =
        |of: Margins| json!({ "initial": cash(of.initial), "maintenance": cash(of.maintenance) });
    let mut sums = Table::new(&["", "initial", "maintenance"]);
    for (name, of) in [
        ("by parts", needed.by_parts),
        ("by scan", needed.by_scan),
        ("required", required),
    ] {
        sums.row([name.to_owned(), cash(of.initial), cash(of.maintenance)]);
    }
    let verdict = super::verdict(covers, liquidated);
    Ok(Report {
        json: json!({
            "equity": cash(equity), "option_value": cash(value), "by_parts": margins(needed.by_parts),
            "by_scan": margins(needed.by_scan), "required": margins(required), "options": rows,
            "covers_initial": covers, "liquidated": liquidated,
        }),
        text: format!("equity  {}\n\n{sums}\n{table}\n{verdict}\n", cash(equity)),
    })
}

/// The place of an equal one, added if there is none.
fn position_or_push<T: PartialEq>(list: &mut Vec<T>, wanted: T) -> usize {
    let at = list.iter().position(|known| *known == wanted);
    at.unwrap_or_else(|| {
        list.push(wanted);
        list.len() - 1
    })
}

fn term(option: &Input, index: Unsigned) -> Result<Term> {
    let expiry = option.get("expiry")?;
    let left = u64::try_from(seconds(&expiry)?.floor()?)
        .map_err(|_| expiry.error("out_of_range", "is no time that is left"))?;
    let forward = option.or("forward", index, price)?;
    let rate = match option.find("rate") {
        Some(rate) => grain::signed(&rate)?,
        None => novate_risk::portfolio::Signed::from_u32(0),
    };
    Ok(Term::new(left, forward, Unsigned::from_u32(0), rate)?)
}

fn greeks(kind: Kind, term: &Term, series: &Series) -> Result<black76::Greeks> {
    let number = |x: Unsigned| Scaled::from_18_decimals(x.into_inner());
    let levels = (
        Level::new(number(term.forward)?)?,
        Level::new(number(series.strike)?)?,
    );
    let expiry = Expiry::new(term.years, term.rate.max(Scaled::ZERO))?;
    let volatility = number(series.volatility)?;
    Ok(black76::greeks(
        kind, &levels.0, &levels.1, volatility, &expiry,
    )?)
}

#[cfg(test)]
mod tests {
    use crate::margin;
    use serde_json::{json, Value};

    fn future(size: &str) -> Value {
        json!({
            "market": "BTC-PERP", "size": size, "mark": "60000", "initial": "0.05", "maintenance": "0.03",
        })
    }

    fn call(size: &str) -> Value {
        json!({ "type": "call", "strike": "65000", "expiry": "14d", "vol": "0.55", "size": size })
    }

    fn report(positions: Value, options: Value) -> Value {
        let given = json!({
            "cash": "20000", "index": "60000", "positions": positions, "options": options,
        });
        margin(&given).unwrap().json
    }

    fn amount(value: &Value) -> f64 {
        value.as_str().unwrap().parse().unwrap()
    }

    #[test]
    fn spread_needs_less_than_its_short_leg() {
        let mut far = call("1");
        far["strike"] = "66000".into();
        let spread = report(json!([]), json!([call("-1"), far]));
        let naked = report(json!([]), json!([call("-1")]));
        for margin in ["initial", "maintenance"] {
            let of = |report: &Value, by: &str| amount(&report[by][margin]);
            assert!(of(&spread, "by_scan") < of(&spread, "by_parts"), "{margin}");
            assert_eq!(of(&spread, "required"), of(&spread, "by_scan"), "{margin}");
            assert!(of(&spread, "required") < of(&naked, "required"), "{margin}");
        }
        // Short at 892.17869438978: its value is owed, a fraction of a quantum more.
        assert_eq!(naked["option_value"], "-892.178695");
        assert_eq!(naked["equity"], "19107.821305");
        assert_eq!(naked["covers_initial"], true);
    }

    #[test]
    fn perpetual_alone_needs_what_the_linear_rule_says() {
        let alone = report(json!([future("-1")]), json!([]));
        assert_eq!(
            alone["required"],
            json!({ "initial": "3000", "maintenance": "1800" })
        );
        assert_eq!(alone["equity"], "20000");
    }

    #[test]
    fn options_of_a_strike_and_expiry_are_netted() {
        let flat = report(json!([]), json!([call("-1.5"), call("1"), call("0.5")]));
        assert_eq!(
            flat["required"],
            json!({ "initial": "0", "maintenance": "0" })
        );
        assert_eq!(flat["equity"], "20000");
    }
}
