//! `call_auction`: one price for everybody.

use crate::{
    book::{lots, side, ticks},
    input::{integer, Input},
    Error, Result,
};
use novate_matching::{Kind, Order, Outcome, Rules, Terms};
use novate_types::{Lots, MathError, Ppm, Price, SelfTradePrevention, SignedLots, Ticks, MILLION};
use serde_json::{json, Value};
use std::collections::HashMap;

/// An order's id and what it got.
type Fill<'a> = (&'a str, Lots);

/// What an auction decides.
pub struct Auction<'a> {
    /// The price, if anything trades.
    pub price: Option<Ticks>,
    /// Lots traded, each counted once.
    pub volume: Lots,
    /// Every order, as given, with what it got.
    pub orders: Vec<(Order, Fill<'a>)>,
}

/// `{"orders": [[id, side, price, size], …]}` with, if known, `mark` (ticks) and `band_ppm`; an order can name its `account` and `block`.
///
/// Orders are GTC. Without accounts each has an owner of its own, without blocks all came in one.
pub fn read<'a>(input: &Input<'a>) -> Result<Auction<'a>> {
    let mut ids: HashMap<&str, u32> = HashMap::new();
    let mut accounts: HashMap<&str, u32> = HashMap::new();
    let mut orders = Vec::new();
    for row in input.rows(
        "orders",
        &["id", "side", "price", "size", "account", "block"],
    )? {
        let number = u32::try_from(orders.len())
            .map_err(|_| row.error("too_many", "is one order too many"))?;
        let id = row.get("id")?;
        if ids.insert(id.text()?, number).is_some() {
            return Err(id.error("duplicate_id", "is an earlier order's"));
        }
        // Named accounts count from above, so that they are nobody else's.
        let account = match row.find("account") {
            Some(name) => {
                let next = u32::MAX.saturating_sub(accounts.len() as u32);
                *accounts.entry(name.text()?).or_insert(next)
            }
            None => number,
        };
        let order = Order {
            id: number,
            owner: account,
            account,
            side: side(&row.get("side")?)?,
            limit: ticks(&row.get("price")?)?,
            lots: lots(&row.get("size")?)?,
            block: row.or("block", 0, Input::whole)?,
            sequence: number.into(),
            kind: Kind::Rest,
            reduce_only: false,
            self_trade: SelfTradePrevention::CancelNewest,
            tie: number.into(),
        };
        orders.push((order, (id.text()?, 0)));
    }
    let rules = rules(input, &orders)?;
    let of: Vec<_> = orders.iter().map(|(order, _)| *order).collect();
    let outcome: Outcome = novate_matching::call_auction(
        rules.as_ref(),
        &Terms::default(),
        &of,
        &|_| -> SignedLots { 0 },
    )?;
    for fill in &outcome.fills {
        let (_, (_, got)) = orders.get_mut(fill.order as usize).ok_or_else(|| {
            Error::new(
                "unknown_order",
                "the auction told of an order it was not given",
            )
        })?;
        *got = got.checked_add(fill.lots).ok_or(MathError::Overflow)?;
    }
    Ok(Auction {
        price: outcome.last,
        volume: outcome.volume,
        orders,
    })
}

/// A mark in ticks; without a band, one that no order lies beyond.
fn rules(input: &Input, orders: &[(Order, Fill)]) -> Result<Option<Rules>> {
    let Some(given) = input.find("mark") else {
        return Ok(None);
    };
    let mark = ticks(&given)?;
    let band = match input.find("band_ppm") {
        Some(band) => band.whole()?,
        None => {
            let highest = orders.iter().map(|(order, _)| order.limit).max();
            let beyond = highest.unwrap_or(0).saturating_sub(mark);
            let band = (u128::from(beyond) * u128::from(MILLION)).div_ceil(mark.into());
            let band = Ppm::try_from(band).map_err(|_| {
                given.error(
                    "out_of_range",
                    "is less than a 4,000th of the highest price",
                )
            })?;
            band.max(MILLION)
        }
    };
    Ok(Some(Rules {
        mark: Price::from_inner(mark.into()),
        tick_size: Price::from_inner(1),
        band,
        max_fills: u32::MAX,
    }))
}

/// To `{"price", "volume", "fills": [[id, lots], …]}`; the price is null where nothing trades.
pub fn out(auction: &Auction) -> Value {
    let filled = auction.orders.iter().filter(|(_, (_, lots))| *lots > 0);
    let fills: Vec<_> = filled
        .map(|(_, (id, lots))| json!([id, integer(lots)]))
        .collect();
    json!({
        "price": auction.price.map(integer),
        "volume": integer(auction.volume),
        "fills": fills,
    })
}

/// A case.
pub fn case(input: &Input) -> Result<Value> {
    Ok(out(&read(input)?))
}
