//! A market in a call auction: its orders join the book without matching, whatever they cross, and then all that crosses executes at one
//! price.
//!
//! **Call.** New orders go into the pages of the book as they are, each a cohort of its block, so that the book crosses; the band cuts them
//! when they are called. Intake takes no immediate, fill-or-kill or post-only order by then; one that waited for its market from before is
//! cancelled, and a post-only one joins as any other.
//!
//! **Uncrossing.** Of each side the orders that reach the other's best price are called, with those of this block. An iceberg takes part
//! with what it shows. What the check screens out is cancelled, as it has no place in a book that it crosses. What the band cut joins
//! again at its edge, with its time.
//!
//! **Parts.** Price and volume are those of the orders read: of each side the best `LoadLimit`. Where more cross the price is that of the
//! greatest volume nearest to the mark: what is left over of some orders says nothing of all. Where more cross, or more would execute
//! than may in a close, or the check's last round looks at only some of them, the auction goes on in the next close, the book still
//! crossing: at the price that was found as long as anything executes there and it lies within the mark's band, and at one found anew after
//! that. Meanwhile no order comes in, so that nobody trades at a price that is known.
//!
//! **Work.** The check may have an auction sorted [`AUCTION_RUNS`] times. What is called again counts as read again, and `reads_beyond` has room for it.

use super::{Market, Screen};
use crate::Config;
use alloc::{collections::BTreeMap, vec::Vec};
use core::cell::RefCell;
use novate_matching::{call_auction, Execution, Kind, Order, Outcome, Rules, Terms};
use novate_types::{
    BlockNumber, CancelReason, Lots, MarketView, MatchLimits, Side, Ticks, Unfinished,
};

/// Runs of an auction at most: those of the check, and the one that executes nothing.
pub(crate) const AUCTION_RUNS: u32 = 5;

/// What a close does with a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It matches.
    Continuous,
    /// It collects orders.
    Call,
    /// It is uncrossed.
    Auction,
}

impl Mode {
    pub const fn of(view: &MarketView, now: BlockNumber) -> Self {
        if !view.is_in_auction() {
            Self::Continuous
        } else if view.auction_at > now {
            Self::Call
        } else {
            Self::Auction
        }
    }
}

/// An auction's part in a close.
pub(super) struct Called {
    /// What the check screened out.
    pub refused: Vec<(u32, Lots, CancelReason)>,
    pub outcome: Outcome,
    pub unfinished: Option<Unfinished>,
}

/// Orders come to rest without matching.
pub(super) fn collect(new: &[Order]) -> Outcome {
    let mut outcome = Outcome::default();
    for order in new {
        let reason = match order.kind {
            Kind::Rest | Kind::PostOnly => {
                outcome.joined.push((order.id, order.limit, order.lots));
                continue;
            }
            Kind::Immediate => CancelReason::NotImmediate,
            Kind::FillOrKill => CancelReason::NotWhole,
        };
        outcome.cancelled.push((order.id, order.lots, reason));
    }
    outcome
}

impl<T: Config> Market<T> {
    /// Calls what crosses.
    pub(super) fn call(
        &mut self,
        rules: &Rules,
        limits: &MatchLimits<T::AccountId>,
        screen: &Screen<'_, T::AccountId>,
    ) -> Called {
        let (resting, cut_short) = self.crossing();
        let own: BTreeMap<u32, Ticks> = resting.iter().map(|o| (o.id, o.limit)).collect();
        let mut called = Vec::new();
        let mut refused = Vec::new();
        let mut held = Vec::new();
        // By turns: what is looked up of one side must not leave the other without, or nothing would execute in this close nor in any.
        let all = || resting.iter().chain(&self.new);
        let mut bids = all().filter(|o| o.side == Side::Bid);
        let mut asks = all().filter(|o| o.side == Side::Ask);
        let turns = core::iter::from_fn(|| match (bids.next(), asks.next()) {
            (None, None) => None,
            turn => Some(turn),
        });
        for order in turns.flat_map(|(bid, ask)| bid.into_iter().chain(ask)) {
            let looked_at = !screen.reducing_only
                || order.reduce_only
                || self
                    .parties
                    .affordable_position::<T::Ledger>(order.account)
                    .is_some();
            if !looked_at {
                held.push(*order);
                continue;
            }
            // The last round admits those whom it looked at; the others are not to leave for that.
            let is_barred = || {
                let of = self.parties.account(order.account);
                of.is_some_and(|of| limits.cancelled.contains(of))
            };
            let waits = limits.admitted.is_some() && !is_barred();
            match screen.admit::<T::Ledger>(order, false, &mut self.parties) {
                Ok(order) => called.push(order),
                Err(_) if waits => held.push(*order),
                Err(reason) => refused.push((order.id, order.lots, reason)),
            }
        }

        // Called again, they count as read again.
        if self.settled.is_some() {
            let again = u32::try_from(called.len()).unwrap_or(u32::MAX);
            self.parties.left = self.parties.left.saturating_sub(again);
        }
        let terms = Terms {
            reference: Some(limits.auction.reference).filter(|price| price.into_inner() > 0),
            price: limits.auction.price,
            most: Some(limits.auction_lots),
            partial: cut_short || !held.is_empty(),
        };
        let empty = super::Parties::new(self.view.id, 0, self.parties.ties);
        let parties = RefCell::new(core::mem::replace(&mut self.parties, empty));
        let outcome = call_auction(Some(rules), &terms, &called, &|account| {
            parties.borrow_mut().position::<T::Ledger>(account)
        });
        self.parties = parties.into_inner();

        let is_new = |order: &&Order| !own.contains_key(&order.id);
        let Ok(mut outcome) = outcome else {
            // Without a price everybody waits.
            let new: Vec<Order> = called.iter().chain(&held).filter(is_new).copied().collect();
            let price = terms.price;
            return Called {
                refused,
                outcome: collect(&new),
                unfinished: Some(Unfinished { price }),
            };
        };
        let waits = !held.is_empty();
        let found = outcome.last.or(terms.price);
        let goes_on = outcome.left > 0 || waits || (cut_short && outcome.volume > 0);
        let unfinished = goes_on || outcome.crosses || cut_short;
        // What rests and was not cut stays where it is.
        outcome
            .joined
            .retain(|(id, ticks, _)| own.get(id) != Some(ticks));
        let new: Vec<Order> = held.iter().filter(is_new).copied().collect();
        let others = collect(&new);
        outcome.joined.extend(others.joined);
        outcome.cancelled.extend(others.cancelled);
        Called {
            refused,
            outcome,
            unfinished: unfinished.then(|| Unfinished {
                price: found.filter(|_| goes_on),
            }),
        }
    }

    /// Resting orders that reach the best price of the other side, new orders included in that; and whether more of them were not read.
    fn crossing(&mut self) -> (Vec<Order>, bool) {
        let (new_bid, new_ask) = (self.best_new(Side::Bid), self.best_new(Side::Ask));
        let across = |market: &Self, side: Side| match side {
            Side::Bid => market.best(Side::Ask, new_ask),
            Side::Ask => market.best(Side::Bid, new_bid),
        };
        let mut cut_short;
        loop {
            let mut read_on = false;
            cut_short = false;
            for side in [Side::Bid, Side::Ask] {
                let across = across(self, side);
                let last = self.levels(side).last();
                let last = last.and_then(|level| level.first());
                let reaches =
                    |order: &Order| across.is_some_and(|price| side.accepts(order.limit, price));
                if !last.is_none_or(reaches) {
                    continue;
                }
                let (resting, mut reader) = self.reader(side);
                if reader.read_level(resting) {
                    read_on = true;
                } else {
                    cut_short |= !resting.ahead.is_empty();
                }
            }
            if !read_on {
                break;
            }
        }
        let mut crossing = Vec::new();
        for side in [Side::Bid, Side::Ask] {
            let Some(across) = across(self, side) else {
                continue;
            };
            let orders = self.levels(side).iter().flatten();
            crossing.extend(orders.filter(|o| side.accepts(o.limit, across)).copied());
        }
        (crossing, cut_short)
    }

    /// Whether as much as the impact notional of one side traded at the edge of the band or stands there. Less is no demand: a bid of the
    /// least notional would interrupt a thin book. What only reduces is no quote, as it is none for the mark.
    /// `left` are lots that executed or leave.
    pub(super) fn presses(
        &mut self,
        side: Side,
        edge: Ticks,
        fills: &[Execution],
        joined: &[(u32, Ticks, Lots)],
        left: &BTreeMap<u32, Lots>,
        gone: &dyn Fn(u32, &Self) -> bool,
    ) -> bool {
        let wanted = u128::try_from(self.view.impact_notional)
            .unwrap_or(0)
            .max(1);
        let tick_value = u128::from(self.view.tick_value);
        let at_edge = |ticks: Ticks| match side {
            Side::Bid => ticks >= edge,
            Side::Ask => ticks <= edge,
        };
        let worth = |ticks: Ticks, lots: Lots| {
            let weight = u128::from(lots).saturating_mul(u128::from(ticks));
            weight.saturating_mul(tick_value)
        };
        let is_of = |id: u32, quotes: bool| {
            let of = self.party(id).map(|(known, _)| known);
            of.is_some_and(|known| known.side == side && !(quotes && known.reduce_only))
        };
        let traded = fills
            .iter()
            .filter(|fill| at_edge(fill.ticks) && is_of(fill.order, false))
            .map(|fill| worth(fill.ticks, fill.lots));
        let came = joined
            .iter()
            .filter(|(id, ticks, _)| at_edge(*ticks) && is_of(*id, true))
            .map(|(_, ticks, lots)| worth(*ticks, *lots));
        let mut sum = traded.chain(came).fold(0u128, u128::saturating_add);

        let mut depth = 0usize;
        while sum < wanted {
            let level = match side {
                Side::Bid => self.bids.levels.get(depth),
                Side::Ask => self.asks.levels.get(depth),
            };
            let Some(level) = level else {
                let (resting, mut reader) = self.reader(side);
                if reader.read_level(resting) {
                    continue;
                }
                return false;
            };
            if !level.first().is_some_and(|order| at_edge(order.limit)) {
                return false;
            }
            let stands = |order: &&Order| !order.reduce_only && !gone(order.id, self);
            sum = level
                .iter()
                .filter(stands)
                .map(|order| {
                    let gone = left.get(&order.id).copied().unwrap_or(0);
                    worth(order.limit, order.lots.saturating_sub(gone))
                })
                .fold(sum, u128::saturating_add);
            depth = depth.saturating_add(1);
        }
        true
    }

    fn levels(&self, side: Side) -> &[Vec<Order>] {
        match side {
            Side::Bid => &self.bids.levels,
            Side::Ask => &self.asks.levels,
        }
    }

    /// The best limit of a side among the orders read and `new`.
    fn best(&self, side: Side, new: Option<Ticks>) -> Option<Ticks> {
        let resting = self.levels(side).first().and_then(|level| level.first());
        best_of(side, resting.map(|o| o.limit).into_iter().chain(new))
    }

    /// The best limit of a side's new orders.
    fn best_new(&self, side: Side) -> Option<Ticks> {
        let new = self.new.iter().filter(|o| o.side == side);
        best_of(side, new.map(|o| o.limit))
    }
}

fn best_of(side: Side, limits: impl Iterator<Item = Ticks>) -> Option<Ticks> {
    match side {
        Side::Bid => limits.max(),
        Side::Ask => limits.min(),
    }
}
