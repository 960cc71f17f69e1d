//! `clob`: a book in continuous trading. One event is one block, and the block matcher with one order a block is a price-time book.

use crate::{
    input::{integer, Input},
    Error, Result,
};
use novate_matching::{match_block, Book, Kind, Order, Rules};
use novate_types::{
    CancelReason, Lots, Price, SelfTradePrevention, Side, SignedLots, Ticks, MILLION,
};
use serde_json::{json, Value};
use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound::{Excluded, Unbounded},
};

/// The highest price; twice as much still is one.
const HIGHEST: Ticks = 1 << 62;

/// Resting orders by price.
#[derive(Default)]
struct Resting {
    bids: BTreeMap<Ticks, Vec<Order>>,
    asks: BTreeMap<Ticks, Vec<Order>>,
    /// The level that a match asked for last, as its side, depth and price: the one behind it is next to it.
    asked: Option<(Side, usize, Ticks)>,
}

impl Resting {
    fn side(&mut self, side: Side) -> &mut BTreeMap<Ticks, Vec<Order>> {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }

    /// Takes lots off an order; one of none leaves.
    fn shrink(&mut self, order: &Order, lots: Lots) {
        let levels = self.side(order.side);
        if let Some(level) = levels.get_mut(&order.limit) {
            if let Some(found) = level.iter_mut().find(|o| o.id == order.id) {
                found.lots = found.lots.saturating_sub(lots);
            }
            level.retain(|o| o.lots > 0);
            if level.is_empty() {
                levels.remove(&order.limit);
            }
        }
    }

    /// In priority order.
    fn all(&self, side: Side) -> Vec<&Order> {
        match side {
            Side::Bid => self.bids.values().rev().flatten().collect(),
            Side::Ask => self.asks.values().flatten().collect(),
        }
    }
}

impl Book for Resting {
    fn level(&mut self, side: Side, depth: usize) -> Option<&[Order]> {
        let (bids, asks) = (&self.bids, &self.asks);
        let before = depth.checked_sub(1);
        let (ticks, level) = match (side, self.asked) {
            (Side::Bid, Some((Side::Bid, last, ticks))) if Some(last) == before => {
                bids.range(..ticks).next_back()
            }
            (Side::Ask, Some((Side::Ask, last, ticks))) if Some(last) == before => {
                asks.range((Excluded(ticks), Unbounded)).next()
            }
            (Side::Bid, _) => bids.iter().nth_back(depth),
            (Side::Ask, _) => asks.iter().nth(depth),
        }?;
        self.asked = Some((side, depth, *ticks));
        Some(level)
    }
}

/// A market and what became of its orders.
struct Market<'a> {
    rules: Rules,
    self_trade: SelfTradePrevention,
    resting: Resting,
    /// Orders as they came, by the matcher's number, with their ids.
    orders: Vec<(Order, &'a str)>,
    numbers: HashMap<&'a str, u32>,
    accounts: HashMap<&'a str, u32>,
    positions: HashMap<u32, SignedLots>,
    trades: Vec<Value>,
}

impl<'a> Market<'a> {
    fn account(&mut self, name: &'a str) -> u32 {
        let next = self.accounts.len() as u32;
        *self.accounts.entry(name).or_insert(next)
    }

    fn cancel(&mut self, id: &str) {
        let number = self.numbers.get(id).copied();
        if let Some((order, _)) = number.and_then(|at| self.orders.get(at as usize)) {
            self.resting.shrink(order, Lots::MAX);
        }
    }

    fn submit(&mut self, event: &Input<'a>) -> Result<()> {
        let number = u32::try_from(self.orders.len())
            .map_err(|_| event.error("too_many", "is one order too many"))?;
        let id = event.get("id")?;
        if self.numbers.insert(id.text()?, number).is_some() {
            return Err(id.error("duplicate_id", "is an earlier order's"));
        }
        let account = self.account(event.get("account")?.text()?);
        let (kind, is_market) = event.get("tif")?.one_of(&[
            ("GTC", (Kind::Rest, false)),
            ("IOC", (Kind::Immediate, false)),
            ("FOK", (Kind::FillOrKill, false)),
            ("post_only", (Kind::PostOnly, false)),
            ("market", (Kind::Immediate, true)),
        ])?;
        let side = side(&event.get("side")?)?;
        let limit = match (is_market, side) {
            (true, Side::Bid) => Ticks::MAX,
            (true, Side::Ask) => 0,
            (false, _) => ticks(&event.get("price")?)?,
        };
        let order = Order {
            id: number,
            owner: account,
            account,
            side,
            limit,
            lots: lots(&event.get("size")?)?,
            block: number,
            sequence: number.into(),
            kind,
            reduce_only: event.or("reduce_only", false, Input::flag)?,
            self_trade: self.self_trade,
            tie: 0,
        };
        self.orders.push((order, id.text()?));
        self.clear(order)
    }

    /// Matches a block of one order.
    fn clear(&mut self, order: Order) -> Result<()> {
        let positions = &self.positions;
        let position = |account| positions.get(&account).copied().unwrap_or(0);
        self.resting.asked = None;
        let outcome = match_block(&self.rules, &mut self.resting, &[order], &position);
        let overflow = || Error::from(novate_types::MathError::Overflow);
        let restricted = |(_, _, reason): &(_, _, _)| *reason == CancelReason::MarketRestricted;
        if outcome.cancelled.iter().any(restricted) {
            return Err(overflow());
        }
        // What walks fills against one resting order at a time.
        let makers = outcome.fills.iter().filter(|fill| fill.order != order.id);
        for fill in makers.clone() {
            let (_, maker) = self.order(fill.order)?;
            self.trades.push(json!([
                self.order(order.id)?.1,
                maker,
                integer(fill.ticks),
                integer(fill.lots)
            ]));
        }
        for fill in &outcome.fills {
            let (filled, _) = self.order(fill.order)?;
            let lots = filled.side.signed(fill.lots).ok_or_else(overflow)?;
            let position = self.positions.entry(filled.account).or_default();
            *position = position.checked_add(lots).ok_or_else(overflow)?;
        }
        let left = outcome.cancelled.iter().map(|(id, lots, _)| (*id, *lots));
        for (id, lots) in makers.map(|fill| (fill.order, fill.lots)).chain(left) {
            let (order, _) = self.order(id)?;
            self.resting.shrink(&order, lots);
        }
        for (_, limit, lots) in outcome.joined {
            let rests = Order {
                limit,
                lots,
                ..order
            };
            self.resting
                .side(order.side)
                .entry(limit)
                .or_default()
                .push(rests);
        }
        Ok(())
    }

    fn order(&self, number: u32) -> Result<(Order, &'a str)> {
        self.orders.get(number as usize).copied().ok_or_else(|| {
            Error::new(
                "unknown_order",
                "the matcher told of an order it was not given",
            )
        })
    }

    fn book(&self, side: Side) -> Result<Vec<Value>> {
        let row = |order: &Order| {
            Ok(json!([
                integer(order.limit),
                integer(order.lots),
                self.order(order.id)?.1
            ]))
        };
        self.resting.all(side).into_iter().map(row).collect()
    }
}

/// `"buy"` or `"sell"`.
pub fn side(input: &Input) -> Result<Side> {
    input.one_of(&[("buy", Side::Bid), ("sell", Side::Ask)])
}

/// A price of at least one tick.
pub fn ticks(input: &Input) -> Result<Ticks> {
    let ticks = input.whole()?;
    if !(1..=HIGHEST).contains(&ticks) {
        return Err(input.error("out_of_range", "is not between 1 and 2^62 ticks"));
    }
    Ok(ticks)
}

/// A size of at least one lot that a position can hold.
pub fn lots(input: &Input) -> Result<Lots> {
    let lots: SignedLots = input.whole()?;
    if lots < 1 {
        return Err(input.error("out_of_range", "is less than one lot"));
    }
    Ok(lots.unsigned_abs())
}

/// `{"stp", "positions": {account: lots}, "events"}` to `{"trades", "bids", "asks"}`. An event is `["new", id, account, side, price, size, tif,
/// reduce_only]` or `["cancel", id]`.
pub fn case(input: &Input) -> Result<Value> {
    let columns = [
        "op",
        "id",
        "account",
        "side",
        "price",
        "size",
        "tif",
        "reduce_only",
    ];
    let events = input.rows("events", &columns)?;
    let stp = |input: &Input| {
        input.one_of(&[
            ("none", SelfTradePrevention::CancelNewest),
            ("cancel_newest", SelfTradePrevention::CancelNewest),
            ("cancel_oldest", SelfTradePrevention::CancelOldest),
        ])
    };
    // With one order a block the mark decides nothing, and a band of 100 % around the highest price is all prices up to twice as much.
    let highest = events
        .iter()
        .filter_map(|e| ticks(&e.find("price")?).ok())
        .max();
    let mut market = Market {
        rules: Rules {
            mark: Price::from_inner(highest.unwrap_or(1).into()),
            tick_size: Price::from_inner(1),
            band: MILLION,
            max_fills: u32::MAX,
        },
        self_trade: input.or("stp", SelfTradePrevention::CancelNewest, stp)?,
        resting: Resting::default(),
        orders: Vec::new(),
        numbers: HashMap::new(),
        accounts: HashMap::new(),
        positions: HashMap::new(),
        trades: Vec::new(),
    };
    for (name, lots) in input.or("positions", Vec::new(), Input::entries)? {
        let account = market.account(name);
        market.positions.insert(account, lots.whole()?);
    }
    for event in &events {
        if event
            .get("op")?
            .one_of(&[("new", true), ("cancel", false)])?
        {
            market.submit(event)?;
        } else {
            market.cancel(event.get("id")?.text()?);
        }
    }
    Ok(json!({
        "bids": market.book(Side::Bid)?,
        "asks": market.book(Side::Ask)?,
        "trades": market.trades,
    }))
}
