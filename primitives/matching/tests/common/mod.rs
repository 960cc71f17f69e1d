//! A market that runs block after block, random blocks for it, and how an outcome is compared.

#![allow(dead_code)]

pub mod auction;
pub mod reference;

use novate_matching::{match_block, Book, Kind, Order, Outcome, Rules};
use novate_types::{
    BlockNumber, CancelReason, Lots, Ppm, Price, Role, SelfTradePrevention, Side, SignedLots, Ticks,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A book in memory that counts the orders it was asked for.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    bids: Vec<Vec<Order>>,
    asks: Vec<Vec<Order>>,
    pub orders_decoded: usize,
    pub levels_decoded: usize,
}

impl Levels {
    pub fn new(resting: &[Order]) -> Self {
        let side = |side: Side| {
            let mut levels: BTreeMap<Ticks, Vec<Order>> = BTreeMap::new();
            for order in resting.iter().filter(|o| o.side == side) {
                levels.entry(order.limit).or_default().push(*order);
            }
            let mut levels: Vec<_> = levels.into_values().collect();
            levels
                .iter_mut()
                .for_each(|level| level.sort_by_key(|o| (o.block, o.id)));
            levels
        };
        let (mut bids, asks) = (side(Side::Bid), side(Side::Ask));
        bids.reverse();
        Self {
            bids,
            asks,
            orders_decoded: 0,
            levels_decoded: 0,
        }
    }
}

impl Book for Levels {
    fn level(&mut self, side: Side, depth: usize) -> Option<&[Order]> {
        let level = match side {
            Side::Bid => self.bids.get(depth),
            Side::Ask => self.asks.get(depth),
        }?;
        self.orders_decoded += level.len();
        self.levels_decoded += 1;
        Some(level)
    }
}

/// Rules with a tick of one USD; the mark in cents.
pub fn rules(mark_cents: u64, band: Ppm, max_fills: u32) -> Rules {
    Rules {
        mark: Price::from_rational(u128::from(mark_cents), 100),
        tick_size: Price::from_u32(1),
        band,
        max_fills,
    }
}

/// A plain resting-kind order; fields are changed from there.
pub fn order(id: u32, owner: u32, side: Side, limit: Ticks, lots: Lots) -> Order {
    Order {
        id,
        owner,
        account: owner,
        side,
        limit,
        lots,
        block: 1,
        sequence: u64::from(id),
        kind: Kind::Rest,
        reduce_only: false,
        self_trade: SelfTradePrevention::CancelNewest,
        tie: hash(id),
    }
}

pub fn bid(id: u32, owner: u32, limit: Ticks, lots: Lots) -> Order {
    order(id, owner, Side::Bid, limit, lots)
}

pub fn ask(id: u32, owner: u32, limit: Ticks, lots: Lots) -> Order {
    order(id, owner, Side::Ask, limit, lots)
}

/// Distinct for distinct ids, and in no order.
pub fn hash(id: u32) -> u64 {
    u64::from(id)
        .wrapping_add(1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Matches with nobody holding a position.
pub fn run(rules: &Rules, resting: &[Order], new: &[Order]) -> Outcome {
    match_block(rules, &mut Levels::new(resting), new, &|_| 0)
}

/// An outcome without the order in which things are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub fills: BTreeMap<(u32, Ticks), (Lots, Vec<Role>)>,
    pub cancelled: BTreeMap<(u32, String), Lots>,
    pub joined: BTreeMap<u32, (Ticks, Lots)>,
    pub volume: Lots,
    pub last: Option<Ticks>,
    pub executed_resting: u32,
}

impl Told {
    pub fn fill(&mut self, order: u32, ticks: Ticks, lots: Lots, role: Role) {
        let (sum, roles) = self.fills.entry((order, ticks)).or_default();
        *sum += lots;
        if !roles.contains(&role) {
            roles.push(role);
            roles.sort();
        }
    }

    pub fn cancel(&mut self, order: u32, lots: Lots, reason: CancelReason) {
        *self
            .cancelled
            .entry((order, format!("{reason:?}")))
            .or_default() += lots;
    }

    pub fn filled(&self, id: u32) -> Lots {
        self.fills
            .iter()
            .filter(|((order, _), _)| *order == id)
            .map(|(_, (lots, _))| lots)
            .sum()
    }

    pub fn cancelled_lots(&self, id: u32) -> Lots {
        self.cancelled
            .iter()
            .filter(|((order, _), _)| *order == id)
            .map(|(_, lots)| lots)
            .sum()
    }

    /// Without what is told of one order.
    pub fn without(mut self, id: u32) -> Self {
        self.fills.retain(|(order, _), _| *order != id);
        self.cancelled.retain(|(order, _), _| *order != id);
        self.joined.remove(&id);
        self
    }
}

pub fn told(outcome: &Outcome) -> Told {
    let mut told = Told {
        volume: outcome.volume,
        last: outcome.last,
        executed_resting: outcome.executed_resting,
        ..Told::default()
    };
    for fill in &outcome.fills {
        assert!(fill.lots > 0, "an empty fill is told");
        told.fill(fill.order, fill.ticks, fill.lots, fill.role);
    }
    for (id, lots, reason) in &outcome.cancelled {
        assert!(*lots > 0, "a cancellation of nothing is told");
        told.cancel(*id, *lots, *reason);
    }
    for (id, limit, lots) in &outcome.joined {
        assert!(*lots > 0, "an empty order joins");
        assert!(
            told.joined.insert(*id, (*limit, *lots)).is_none(),
            "an order joins twice"
        );
    }
    told
}

/// A block as it is drawn: a mark in cents, a band, F, and orders without id, block or hash.
#[derive(Clone, Debug)]
pub struct Block {
    pub mark_cents: u64,
    pub band: Ppm,
    pub max_fills: u32,
    pub orders: Vec<Order>,
}

/// That many cases, or as many as `PROPTEST_CASES` says.
pub fn cases(default: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(default),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

impl Block {
    /// The same with immediate orders in place of fill-or-kill ones.
    pub fn without_fill_or_kill(&self) -> Self {
        Self {
            orders: self.orders.iter().copied().map(immediate).collect(),
            ..self.clone()
        }
    }
}

/// An order, immediate if it is fill-or-kill.
pub fn immediate(order: Order) -> Order {
    let kind = match order.kind {
        Kind::FillOrKill => Kind::Immediate,
        other => other,
    };
    Order { kind, ..order }
}

/// How large the numbers of a block are.
#[derive(Clone, Copy)]
pub struct Shape {
    pub orders: usize,
    pub lots: Lots,
    pub max_fills: u32,
    pub reduce_only: bool,
}

pub const SMALL: Shape = Shape {
    orders: 9,
    lots: 12,
    max_fills: 12,
    reduce_only: true,
};

pub fn any_order(shape: Shape) -> impl Strategy<Value = Order> {
    let lots = prop_oneof![4 => 1..=shape.lots, 1 => 1..=shape.lots * 100];
    let kind = prop_oneof![
        5 => Just(Kind::Rest),
        2 => Just(Kind::Immediate),
        2 => Just(Kind::PostOnly),
        2 => Just(Kind::FillOrKill),
    ];
    let self_trade = prop_oneof![
        Just(SelfTradePrevention::CancelNewest),
        Just(SelfTradePrevention::CancelOldest)
    ];
    let who = (0u32..6, 0u32..2);
    let reduce_only = prop::bool::weighted(if shape.reduce_only { 0.25 } else { 0.0 });
    // Sequence numbers count within an account, so those of an owner's accounts may be equal.
    (
        who,
        any::<bool>(),
        85u64..116,
        lots,
        kind,
        reduce_only,
        self_trade,
        0u64..40,
    )
        .prop_map(
            |((owner, sub), buys, limit, lots, kind, reduce_only, self_trade, sequence)| Order {
                account: owner * 2 + sub,
                kind,
                reduce_only,
                self_trade,
                sequence,
                ..order(
                    0,
                    owner,
                    if buys { Side::Bid } else { Side::Ask },
                    limit,
                    lots,
                )
            },
        )
}

pub fn any_block(shape: Shape) -> impl Strategy<Value = Block> {
    let mark = prop_oneof![3 => 9_800u64..10_200, 1 => 8_500u64..11_500];
    let band = prop_oneof![Just(20_000), Just(50_000), Just(300_000)];
    let max_fills = prop_oneof![3 => Just(u32::MAX), 2 => 0..=shape.max_fills];
    let orders = prop::collection::vec(any_order(shape), 0..=shape.orders);
    (mark, band, max_fills, orders).prop_map(|(mark_cents, band, max_fills, orders)| Block {
        mark_cents,
        band,
        max_fills,
        orders,
    })
}

/// A market between blocks.
#[derive(Clone, Debug, Default)]
pub struct Market {
    pub resting: Vec<Order>,
    pub positions: BTreeMap<u32, SignedLots>,
    pub height: BlockNumber,
    next_id: u32,
}

/// One block's match with everything that went into it.
pub struct Matched {
    pub rules: Rules,
    pub resting: Vec<Order>,
    pub new: Vec<Order>,
    pub positions: BTreeMap<u32, SignedLots>,
    pub outcome: Outcome,
    pub told: Told,
}

impl Matched {
    pub fn find(&self, id: u32) -> &Order {
        self.resting
            .iter()
            .chain(&self.new)
            .find(|o| o.id == id)
            .expect("the id is an order's")
    }

    /// The same match with other new orders.
    pub fn again(&self, new: &[Order]) -> Told {
        let position = |account| self.positions.get(&account).copied().unwrap_or(0);
        told(&match_block(
            &self.rules,
            &mut Levels::new(&self.resting),
            new,
            &position,
        ))
    }
}

impl Market {
    /// The block's orders with their ids, block and hashes.
    pub fn admit(&mut self, block: &Block) -> Vec<Order> {
        self.height += 1;
        let mut new = Vec::new();
        for drawn in &block.orders {
            let id = self.next_id;
            self.next_id += 1;
            // Sequence numbers grow from block to block.
            let sequence = u64::from(self.height) * 100 + drawn.sequence;
            new.push(Order {
                id,
                block: self.height,
                sequence,
                tie: hash(id),
                ..*drawn
            });
        }
        new
    }

    pub fn step(&mut self, block: &Block) -> Matched {
        let new = self.admit(block);
        let rules = rules(block.mark_cents, block.band, block.max_fills);
        let position = |account| self.positions.get(&account).copied().unwrap_or(0);
        let outcome = match_block(&rules, &mut Levels::new(&self.resting), &new, &position);
        let told = told(&outcome);
        let (resting, positions) = (self.resting.clone(), self.positions.clone());
        let matched = Matched {
            rules,
            resting,
            new,
            positions,
            outcome,
            told,
        };
        self.apply(&matched);
        matched
    }

    /// What the chain does with an outcome: positions move, orders shrink, leave and join.
    fn apply(&mut self, matched: &Matched) {
        for fill in &matched.outcome.fills {
            let order = matched.find(fill.order);
            let lots = order.side.signed(fill.lots).expect("small");
            *self.positions.entry(order.account).or_default() += lots;
        }
        for order in &mut self.resting {
            order.lots -= matched.told.filled(order.id) + matched.told.cancelled_lots(order.id);
        }
        self.resting.retain(|o| o.lots > 0);
        for (id, (limit, lots)) in &matched.told.joined {
            self.resting.push(Order {
                limit: *limit,
                lots: *lots,
                ..*matched.find(*id)
            });
        }
    }
}
