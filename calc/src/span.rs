//! `span16`: SPAN's sixteen scenarios on the portfolio engine.

use crate::{
    grain::{unsigned, Grain},
    input::{decimal, integer, Input},
    Error, Result,
};
use novate_math::{black76::Kind, exp, Scaled};
use novate_risk::portfolio::{
    Contract, Grid, Leg, PortfolioParams, Prices, Scan, Series, Term, Underlying, Unsigned,
};
use novate_types::MathError;
use serde_json::{json, Value};

/// Extremes are three price scan ranges away.
const FARTHEST: u64 = 3;

/// `{"psr", "vsr", "extreme_weight", "multiplier", "expiries": [{"T", "F", "r"}], "positions": [{"type", "expiry", "strike", "vol", "quantity"}]}` to
/// `{"losses", "scan_risk", "worst", "net_option_value"}`.
pub fn case(input: &Input) -> Result<Value> {
    let one = Unsigned::from_u32(1);
    let range = input.get("psr")?;
    let multiplier = input.get("multiplier")?.number()?;
    let terms = input.get("expiries")?.list()?;
    let positions = input.get("positions")?.list()?;
    let expiry = |position: &Input| -> Result<u16> {
        let place = position.get("expiry")?;
        let at: u16 = place.whole()?;
        match terms.get(usize::from(at)) {
            Some(_) => Ok(at),
            None => Err(place.error("missing", "is the place of no expiry")),
        }
    };

    let farthest = range.number()?.times(Scaled::from(FARTHEST))?;
    let mut gross = Scaled::ZERO;
    for position in &positions {
        let forward = terms[usize::from(expiry(position)?)].get("F")?.number()?;
        let quantity = position.get("quantity")?.number()?.abs();
        let price = forward.abs().plus(farthest.abs())?;
        gross = gross.plus(quantity.times(price)?.times(multiplier.abs())?)?;
    }
    let grain = Grain::of(gross)?;

    let mut market = Underlying {
        index: one,
        confidence: one,
        settlement: one,
        open_interest: 0,
        terms: terms.iter().map(term).collect::<Result<_>>()?,
        series: Vec::new(),
    };
    // The engine's discounts are at most one: what a negative rate adds is in the size of an option's lot.
    let mut growth = Vec::new();
    for term in &mut market.terms {
        growth.push(term.discount.max(Scaled::ONE));
        term.discount = term.discount.min(Scaled::ONE);
    }
    let mut legs = Vec::new();
    for position in &positions {
        let term = expiry(position)?;
        let quantity = position.get("quantity")?;
        let held = quantity.number()?.times(multiplier)?;
        let kind = position.get("type")?.one_of(&[
            ("future", None),
            ("call", Some(Kind::Call)),
            ("put", Some(Kind::Put)),
        ])?;
        let (lots, contract) = match kind {
            None => {
                let (lots, lot_size) = grain.one_lot(held)?;
                let contract = Contract::Linear {
                    mark: market.term(term)?.forward,
                    lot_size,
                    term: Some(term),
                    mmf: 0,
                    imf: 0,
                };
                (lots, contract)
            }
            // A series a position: two positions in one strike may have two volatilities.
            Some(kind) => {
                let (lots, lot_size) = grain.one_lot(held.times(growth[usize::from(term)])?)?;
                let series = u16::try_from(market.series.len())
                    .map_err(|_| position.error("too_many", "is one option too many"))?;
                market.series.push(Series {
                    term,
                    strike: unsigned(&position.get("strike")?)?,
                    volatility: unsigned(&position.get("vol")?)?,
                    lot_size,
                });
                (lots, Contract::Option { series, kind })
            }
        };
        // A leg of nothing is none: there is no bound to what a lot of it is worth.
        if lots != 0 {
            legs.push(Leg { contract, lots });
        }
    }

    let grid = Grid::span16(
        unsigned(&range)?,
        unsigned(&input.get("vsr")?)?,
        unsigned(&input.get("extreme_weight")?)?,
    );
    let params = PortfolioParams {
        grid,
        ..PortfolioParams::standard()
    };
    let mut prices = Prices::new(&market, &params)?;
    let scan = Scan::of(&legs, &mut prices)?;
    let usd = |value| decimal(grain.usd(value)?);
    let losses: Vec<_> = scan
        .losses
        .iter()
        .map(|loss| usd(*loss))
        .collect::<Result<_>>()?;
    let worst = scan.worst().and_then(|at| at.checked_add(1));
    Ok(json!({
        "losses": losses,
        "scan_risk": usd(scan.risk())?,
        "worst": integer(worst.ok_or(Error::from(MathError::Overflow))?),
        "net_option_value": usd(scan.option_value)?,
    }))
}

fn term(input: &Input) -> Result<Term> {
    let (years, rate) = (input.get("T")?.number()?, input.get("r")?.number()?);
    if years.is_negative() {
        return Err(input.error("negative", "has a T below zero"));
    }
    Ok(Term {
        years,
        forward: unsigned(&input.get("F")?)?,
        settled: Unsigned::from_u32(0),
        rate,
        discount: exp(years.times(rate)?.negated())?,
        confidence: Unsigned::from_u32(1),
    })
}
