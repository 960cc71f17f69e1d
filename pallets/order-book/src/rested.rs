//! Quotes that cannot be pulled before they are hit, depth, and levels for queries.
//!
//! An order never grows, and its block is that of the close in which it joined. So the orders that stood after both previous
//! closes, at the smaller of their two sizes, are simply those that stood after the last one and joined before it: no list of
//! orders has to be kept. Each close that changes a book stores the quotes of those orders, and of all, which become the rested
//! ones as soon as a close has passed without a change.

use crate::{
    book::Books,
    types::{Levels, Quotes, Slot, GROUP_READ},
    Config, Pallet, RestedQuotes as Stored,
};
use frame_support::traits::Get;
use novate_types::{
    math::{mul_div_ceil, mul_div_floor},
    BlockNumber, Cash, Lots, MarketId, MarketView, Price, RestedQuotes, Side, Ticks,
};

/// Quotes of orders that stood in the book after both previous closes. Cancels of this block do not change them.
pub(crate) fn rested<T: Config>(market: MarketId) -> RestedQuotes {
    let quotes = Stored::<T>::get(market);
    // Unchanged since the last close but one: what stood after that stands after the last.
    if quotes.at.saturating_add(1) < Pallet::<T>::now() {
        quotes.standing
    } else {
        quotes.seasoned
    }
}

/// Stores the quotes of a book that the close of block `now` changed. Reduce-only orders are left out: beyond their account's
/// position nobody can hit them, and it may be gone tomorrow while they stay.
pub(crate) fn refresh<T: Config>(view: &MarketView, now: BlockNumber, books: &mut Books<T>) {
    let mut seasoned = RestedQuotes::default();
    let mut standing = RestedQuotes::default();
    for side in [Side::Bid, Side::Ask] {
        let mut all = Impact::new(view, side);
        let mut old = Impact::new(view, side);
        walk(view.id, side, now, books, |slot| {
            if slot.reduce_only {
                return true;
            }
            all.add(slot);
            if slot.block < now {
                old.add(slot);
            }
            !(all.is_full() && old.is_full())
        });
        all.store(&mut standing);
        old.store(&mut seasoned);
    }
    Stored::<T>::insert(
        view.id,
        Quotes {
            at: now,
            seasoned,
            standing,
        },
    );
}

/// Lots of a side at prices no farther than `limit`, of at most `QuoteDepth` orders from the best. Before the market was matched in
/// a close, orders that left in its block count as well.
pub(crate) fn depth<T: Config>(market: MarketId, side: Side, limit: Ticks) -> Lots {
    let mut lots: Lots = 0;
    walk(
        market,
        side,
        Pallet::<T>::now(),
        &mut Books::<T>::default(),
        |slot| {
            // A taker's limit: resting bids at or above it, asks at or below.
            let within = side.opposite().accepts(limit, slot.ticks);
            if within {
                lots = lots.saturating_add(slot.lots);
            }
            within
        },
    );
    lots
}

/// The `count` best levels of a side, of at most `QuoteDepth` orders.
pub(crate) fn levels<T: Config>(market: MarketId, side: Side, count: u32) -> Levels {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut levels = Levels::new();
    walk(
        market,
        side,
        Pallet::<T>::now(),
        &mut Books::<T>::default(),
        |slot| {
            if let Some((_, lots, orders)) = levels.last_mut().filter(|l| l.0 == slot.ticks) {
                *lots = lots.saturating_add(slot.lots);
                *orders = orders.saturating_add(1);
                return true;
            }
            let room = levels.len() < count;
            if room {
                levels.push((slot.ticks, slot.lots, 1));
            }
            room
        },
    );
    levels
}

/// Visits standing orders best first while `visit` says so, at most `QuoteDepth` of them. Whatever is read counts: an expired
/// order that still waits to be removed, too.
fn walk<T: Config>(
    market: MarketId,
    side: Side,
    now: BlockNumber,
    books: &mut Books<T>,
    mut visit: impl FnMut(&Slot<T::AccountId>) -> bool,
) {
    let mut left = T::QuoteDepth::get();
    for group in books.groups(market, side) {
        if left == 0 {
            return;
        }
        let (slots, read) = books.standing(market, side, group, now, left);
        for slot in &slots {
            if !visit(slot) {
                return;
            }
        }
        left = left.saturating_sub(read.max(GROUP_READ));
    }
}

/// Adds up orders, best first, until they are worth the impact notional.
struct Impact {
    side: Side,
    tick_value: u128,
    tick_size: Price,
    notional: u128,
    best: Option<Ticks>,
    /// `Σ lots · tick_value` of whole orders.
    weight: u128,
    /// What the notional still lacks.
    rest: u128,
    price: Option<Price>,
}

impl Impact {
    fn new(view: &MarketView, side: Side) -> Self {
        let notional = u128::try_from(Cash::max(view.impact_notional, 0)).unwrap_or(0);
        Self {
            side,
            tick_value: u128::from(view.tick_value),
            tick_size: view.tick_size,
            notional,
            best: None,
            weight: 0,
            rest: notional,
            price: None,
        }
    }

    fn is_full(&self) -> bool {
        self.best.is_some() && (self.price.is_some() || self.notional == 0)
    }

    fn add<AccountId>(&mut self, slot: &Slot<AccountId>) {
        self.best.get_or_insert(slot.ticks);
        if self.is_full() {
            return;
        }
        let weight = u128::from(slot.lots).checked_mul(self.tick_value);
        let value = weight.and_then(|w| w.checked_mul(u128::from(slot.ticks)));
        match (weight, value) {
            (Some(weight), Some(value)) if value < self.rest => {
                self.rest = self.rest.saturating_sub(value);
                self.weight = self.weight.saturating_add(weight);
            }
            // The order, worth more than any notional if its value has no number, completes it.
            _ => self.price = self.mean(slot.ticks),
        }
    }

    /// The mean price of the notional when what lacks trades at `ticks`: `notional / (weight + rest/ticks)` ticks, which is
    /// `notional · ticks / (weight · ticks + rest)`. A bid is rounded down, an ask up.
    fn mean(&self, ticks: Ticks) -> Option<Price> {
        let ticks = u128::from(ticks);
        let numerator = self.notional.checked_mul(ticks)?;
        let divisor = self.weight.checked_mul(ticks)?.checked_add(self.rest)?;
        let tick = self.tick_size.into_inner();
        let inner = match self.side {
            Side::Bid => mul_div_floor(numerator, tick, divisor),
            Side::Ask => mul_div_ceil(numerator, tick, divisor),
        };
        inner.ok().map(Price::from_inner)
    }

    fn store(&self, quotes: &mut RestedQuotes) {
        match self.side {
            Side::Bid => {
                quotes.bid = self.best;
                quotes.impact_bid = self.price;
            }
            Side::Ask => {
                quotes.ask = self.best;
                quotes.impact_ask = self.price;
            }
        }
    }
}
