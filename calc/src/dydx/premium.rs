//! `dydx_premium`: the premium of impact prices over the index.

use super::ten_fraction;
use crate::{
    input::{integer, Input},
    Error, Result,
};
use novate_risk::premium;
use novate_types::Price;
use primitive_types::U256;
use serde_json::{json, Value};

/// Parts of a ppm in the chain's premium.
const PPT: i64 = 1_000_000;

/// A positive fraction.
#[derive(Clone, Copy)]
struct Fraction(U256, U256);

/// `{"book": [{"side", "size", "subticks"}], "index_price", "index_exponent", "base_resolution", "conversion_exponent", "impact_notional",
/// "max_abs_ppm"}` to `{"premium_ppm"}`.
pub fn case(input: &Input) -> Result<Value> {
    let power = |key| Ok::<_, Error>(i32::from(input.get(key)?.whole::<i16>()?));
    let conversion = power("conversion_exponent")?;
    let unit = power("index_exponent")? - conversion + power("base_resolution")? + 6;
    let (up, down) = ten_fraction(unit)?;
    let price: u64 = input.get("index_price")?.whole()?;
    let index = Fraction(product(price, up)?, down.into());

    let notional: u64 = input.get("impact_notional")?.whole()?;
    let (larger, finer) = ten_fraction(conversion)?;
    let notional = product(notional, finer)?;
    let (mut bids, mut asks) = (Vec::new(), Vec::new());
    for order in input.rows("book", &["side", "size", "subticks"])? {
        let size = product(order.get("size")?.whole::<u64>()?, larger)?;
        let subticks = order.get("subticks")?;
        let price: u64 = subticks.whole()?;
        if price == 0 {
            return Err(subticks.error("not_positive", "is zero"));
        }
        let buys = order
            .get("side")?
            .one_of(&[("buy", true), ("sell", false)])?;
        if buys { &mut bids } else { &mut asks }.push((price, size));
    }
    bids.sort_unstable_by(|a, b| b.cmp(a));
    asks.sort_unstable();

    // One side at a time: the two prices have different denominators.
    let above = impact(&bids, notional)?.map_or(Ok(0), |bid| {
        let (bid, index) = common(bid, index)?;
        Ok::<_, Error>(premium(Some(bid), None, index)?)
    })?;
    let below = impact(&asks, notional)?.map_or(Ok(0), |ask| {
        let (ask, index) = common(ask, index)?;
        Ok::<_, Error>(premium(None, Some(ask), index)?)
    })?;
    let most: u32 = input.get("max_abs_ppm")?.whole()?;
    let ppm = (above.saturating_add(below) / PPT).clamp(-i64::from(most), most.into());
    Ok(json!({ "premium_ppm": integer(ppm) }))
}

fn too_large() -> Error {
    Error::new("overflow", "the result is too large for its type")
}

fn product(a: u64, b: u128) -> Result<U256> {
    U256::from(a).checked_mul(b.into()).ok_or_else(too_large)
}

/// The mean price at which orders (price, size), best first, trade a notional; the best price for none at all. `None` without the depth.
fn impact(orders: &[(u64, U256)], notional: U256) -> Result<Option<Fraction>> {
    let (mut left, mut base) = (notional, U256::zero());
    for (price, size) in orders {
        let price = U256::from(*price);
        let value = price.checked_mul(*size).ok_or_else(too_large)?;
        if notional.is_zero() {
            return Ok(Some(Fraction(price, U256::one())));
        }
        if value >= left {
            // notional / (base + left / price)
            let over = notional.checked_mul(price);
            let under = base
                .checked_mul(price)
                .and_then(|base| base.checked_add(left));
            let (over, under) = over.zip(under).ok_or_else(too_large)?;
            return Ok(Some(Fraction(over, under)));
        }
        left -= value;
        base = base.checked_add(*size).ok_or_else(too_large)?;
    }
    Ok(None)
}

/// Both over one denominator, as prices of the same unit. Numbers beyond 128 bits lose their last bits together.
fn common(a: Fraction, b: Fraction) -> Result<(Price, Price)> {
    let numerators = a.0.checked_mul(b.1).zip(b.0.checked_mul(a.1));
    let (a, b) = numerators.ok_or_else(too_large)?;
    let excess = a.max(b).bits().saturating_sub(128);
    let price = |x: U256| Price::from_inner((x >> excess).low_u128());
    Ok((price(a), price(b)))
}
