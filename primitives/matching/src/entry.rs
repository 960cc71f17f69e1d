//! Orders while they are matched.

use crate::{Kind, Order};
use alloc::vec::Vec;
use novate_types::{Lots, Role, Side, Ticks};

/// An order and what is left of it.
#[derive(Clone, Copy)]
pub struct Entry {
    pub order: Order,
    pub left: Lots,
    /// Which fee its fills pay.
    pub role: Role,
}

impl Entry {
    /// A new order with `left` lots that may execute.
    pub fn new(order: Order, left: Lots) -> Self {
        let role = match order.kind {
            Kind::PostOnly => Role::Maker,
            Kind::Rest | Kind::Immediate | Kind::FillOrKill => Role::Taker,
        };
        Self { order, left, role }
    }

    /// An order of the book.
    pub fn resting(order: Order) -> Self {
        Self::new(order, order.lots).joining()
    }

    /// The same, joining the book.
    pub fn joining(self) -> Self {
        Self {
            role: Role::Maker,
            ..self
        }
    }

    /// Adjacent by owner, each owner's oldest first.
    pub fn seniority(&self) -> (u32, u64, u64, u32) {
        (
            self.order.owner,
            self.order.sequence,
            self.order.tie,
            self.order.id,
        )
    }

    /// Whether it accepts `opposite`, the best price of the other side.
    pub fn touches(&self, opposite: Option<Ticks>) -> bool {
        opposite.is_some_and(|price| self.order.side.accepts(self.order.limit, price))
    }
}

/// One of something for each side.
#[derive(Default)]
pub struct Sides<T> {
    pub bids: T,
    pub asks: T,
}

impl<T> Sides<T> {
    pub fn of(&mut self, side: Side) -> &mut T {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }
}

impl Sides<Vec<Entry>> {
    pub fn push(&mut self, entry: Entry) {
        self.of(entry.order.side).push(entry);
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.bids.iter().chain(&self.asks)
    }
}

/// The best of some prices of a side.
pub fn best_of(side: Side, prices: impl Iterator<Item = Ticks>) -> Option<Ticks> {
    match side {
        Side::Bid => prices.max(),
        Side::Ask => prices.min(),
    }
}

/// Greater for the better limit.
pub fn rank(side: Side, limit: Ticks) -> Ticks {
    match side {
        Side::Bid => limit,
        Side::Ask => Ticks::MAX ^ limit,
    }
}
