//! Published cases of a price-time book, one event a block.
//!
//! Source: `clob.json` of the project's shared numeric vectors ("computed by a brute-force reference"); its `rules` are
//! those of this matcher with one order a block. All kinds run.
//!
//! The vectors have no mark and no band: one mark of 1,000,000 ticks with a band of 100 % lets every price of theirs trade,
//! and with one order a block the mark decides nothing else. "rejected" is our `WouldCross`, `Touching` (post-only) or
//! `NothingToReduce` before any fill.

mod common;

use common::{rules, told, Levels, Told};
use novate_matching::{match_block, Kind, Order, Rules};
use novate_types::{Lots, SelfTradePrevention, Side, SignedLots, Ticks};
use serde_json::Value;
use std::collections::BTreeMap;

fn number(value: &Value) -> u64 {
    value
        .as_str()
        .expect("numbers are strings")
        .parse()
        .expect("a whole number")
}

struct Venue {
    rules: Rules,
    stp: SelfTradePrevention,
    book: Vec<Order>,
    positions: BTreeMap<u32, SignedLots>,
    trades: Vec<(u64, u64, Ticks, Lots)>,
    states: BTreeMap<u64, (&'static str, Lots)>,
    height: u32,
}

impl Venue {
    fn event(&mut self, event: &[Value], accounts: &mut Vec<String>) {
        let id = number(&event[1]);
        if event[0] == "cancel" {
            if let Some(at) = self.book.iter().position(|o| u64::from(o.id) == id) {
                self.book.remove(at);
                self.states.get_mut(&id).unwrap().0 = "cancelled";
            }
            return;
        }
        self.height += 1;
        let account = index(accounts, event[2].as_str().unwrap());
        let side = if event[3] == "buy" {
            Side::Bid
        } else {
            Side::Ask
        };
        let limit = match (&event[4], side) {
            (Value::Null, Side::Bid) => Ticks::MAX,
            (Value::Null, Side::Ask) => 0,
            (price, _) => number(price),
        };
        let kind = match event[6].as_str().unwrap() {
            "GTC" => Kind::Rest,
            "post_only" => Kind::PostOnly,
            "IOC" | "market" => Kind::Immediate,
            "FOK" => Kind::FillOrKill,
            other => panic!("unknown time in force {other}"),
        };
        let order = Order {
            id: id as u32,
            account,
            block: self.height,
            sequence: id,
            kind,
            reduce_only: event[7] == true,
            self_trade: self.stp,
            ..common::order(id as u32, account, side, limit, number(&event[5]))
        };
        self.submit(order);
    }

    fn submit(&mut self, order: Order) {
        let position = |account| self.positions.get(&account).copied().unwrap_or(0);
        let outcome = match_block(
            &self.rules,
            &mut Levels::new(&self.book),
            &[order],
            &position,
        );
        for pair in outcome.fills.chunks(2) {
            let (taker, maker) = (pair[0], pair[1]);
            assert_eq!((taker.ticks, taker.lots), (maker.ticks, maker.lots));
            self.trades.push((
                taker.order.into(),
                maker.order.into(),
                taker.ticks,
                taker.lots,
            ));
        }
        let told = told(&outcome);
        for maker in self.book.iter().chain([&order]) {
            let lots = maker.side.signed(told.filled(maker.id)).unwrap();
            *self.positions.entry(maker.account).or_default() += lots;
        }
        self.settle(&told);
        let filled = told.filled(order.id);
        let reason = |name: &str| told.cancelled.contains_key(&(order.id, name.into()));
        let unfilled = ["NotImmediate", "NotWhole", "SelfTrade"]
            .into_iter()
            .any(reason);
        let state = if let Some((limit, lots)) = told.joined.get(&order.id) {
            self.book.push(Order {
                limit: *limit,
                lots: *lots,
                ..order
            });
            "resting"
        } else if filled == 0
            && ["WouldCross", "Touching", "NothingToReduce"]
                .into_iter()
                .any(reason)
            && !unfilled
        {
            "rejected"
        } else if unfilled {
            "cancelled"
        } else {
            "filled"
        };
        self.states.insert(order.id.into(), (state, filled));
    }

    /// What the outcome did to the orders that rested.
    fn settle(&mut self, told: &Told) {
        for order in &mut self.book {
            let (filled, cancelled) = (told.filled(order.id), told.cancelled_lots(order.id));
            order.lots -= filled + cancelled;
            let state = self.states.get_mut(&order.id.into()).unwrap();
            state.1 += filled;
            if order.lots == 0 {
                state.0 = if cancelled > 0 { "cancelled" } else { "filled" };
            }
        }
        self.book.retain(|o| o.lots > 0);
    }

    fn side(&self, side: Side) -> Vec<(Ticks, Lots, u64)> {
        let mut orders: Vec<_> = self.book.iter().filter(|o| o.side == side).collect();
        orders.sort_by_key(|o| match side {
            Side::Bid => (Ticks::MAX - o.limit, o.block),
            Side::Ask => (o.limit, o.block),
        });
        orders
            .iter()
            .map(|o| (o.limit, o.lots, o.id.into()))
            .collect()
    }
}

fn index(accounts: &mut Vec<String>, name: &str) -> u32 {
    if !accounts.iter().any(|a| a == name) {
        accounts.push(name.into());
    }
    accounts.iter().position(|a| a == name).unwrap() as u32
}

fn rows<const N: usize>(rows: &Value) -> Vec<[u64; N]> {
    let row = |row: &Value| std::array::from_fn(|at| number(&row[at]));
    rows.as_array().unwrap().iter().map(row).collect()
}

fn check(case: &Value) {
    let (input, output, name) = (&case["in"], &case["out"], &case["id"]);
    let mut accounts = Vec::new();
    let mut venue = Venue {
        rules: rules(100_000_000, 1_000_000, 1_000),
        stp: match input["stp"].as_str().unwrap() {
            "cancel_oldest" => SelfTradePrevention::CancelOldest,
            "cancel_newest" | "none" => SelfTradePrevention::CancelNewest,
            other => panic!("unknown self-trade rule {other}"),
        },
        book: Vec::new(),
        positions: BTreeMap::new(),
        trades: Vec::new(),
        states: BTreeMap::new(),
        height: 0,
    };
    for (account, lots) in input["positions"].as_object().unwrap() {
        let lots = lots.as_str().unwrap().parse().unwrap();
        venue.positions.insert(index(&mut accounts, account), lots);
    }
    for event in input["events"].as_array().unwrap() {
        venue.event(event.as_array().unwrap(), &mut accounts);
    }

    let trades: Vec<_> = rows::<4>(&output["trades"])
        .into_iter()
        .map(|[t, m, p, s]| (t, m, p, s))
        .collect();
    assert_eq!(venue.trades, trades, "trades of {name}");
    for (id, state) in output["status"].as_object().unwrap() {
        let expected = (state[0].as_str().unwrap(), number(&state[1]));
        assert_eq!(
            venue.states[&id.parse().unwrap()],
            expected,
            "order {id} of {name}"
        );
    }
    for (side, key) in [(Side::Bid, "bids"), (Side::Ask, "asks")] {
        let book: Vec<_> = rows::<3>(&output[key])
            .into_iter()
            .map(|[p, s, o]| (p, s, o))
            .collect();
        assert_eq!(venue.side(side), book, "{key} of {name}");
    }
    for (account, lots) in output["positions"].as_object().unwrap() {
        let held = venue
            .positions
            .get(&index(&mut accounts, account))
            .copied()
            .unwrap_or(0);
        assert_eq!(
            held.to_string(),
            lots.as_str().unwrap(),
            "{account} of {name}"
        );
    }
}

#[test]
fn outcome_is_the_vectors_when_each_block_has_one_event() {
    let file: Value = serde_json::from_str(include_str!("vectors/clob.json")).unwrap();
    let mut run: BTreeMap<&str, u32> = BTreeMap::new();
    for case in file["cases"].as_array().unwrap() {
        let kind = case["kind"].as_str().unwrap();
        check(case);
        *run.entry(kind).or_default() += 1;
    }
    let expected = BTreeMap::from([
        ("deep", 1),
        ("fok", 5),
        ("gtc", 8),
        ("ioc", 5),
        ("market", 3),
        ("mixed", 5),
        ("post_only", 4),
        ("reduce_only", 6),
        ("stp_cancel_newest", 4),
        ("stp_cancel_oldest", 4),
    ]);
    assert_eq!(run, expected);
}
