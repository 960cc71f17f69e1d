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
//! **Parts.** Price and volume are those of the orders read: of each side the best `LoadLimit`. Where more cross, or more would execute
//! than may in a close, or the check's last round looks at only some of them, the auction goes on in the next close, the book still
//! crossing: at the price that was found as long as anything executes there, and at one found anew after that. Meanwhile no order comes
//! in, so that nobody trades at a price that is known.

use super::{Market, Screen};
use crate::Config;
use alloc::{collections::BTreeMap, vec::Vec};
use core::cell::RefCell;
use novate_matching::{call_auction, Kind, Order, Outcome, Rules, Terms};
use novate_types::{
    BlockNumber, CancelReason, Lots, MarketView, MatchLimits, Side, Ticks, Unfinished,
};

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
        for order in resting.iter().chain(&self.new) {
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
        let mut cut_short;
        loop {
            let mut read_on = false;
            cut_short = false;
            for side in [Side::Bid, Side::Ask] {
                let across = self.best(side.opposite());
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
            let Some(across) = self.best(side.opposite()) else {
                continue;
            };
            let orders = self.levels(side).iter().flatten();
            crossing.extend(orders.filter(|o| side.accepts(o.limit, across)).copied());
        }
        (crossing, cut_short)
    }

    fn levels(&self, side: Side) -> &[Vec<Order>] {
        match side {
            Side::Bid => &self.bids.levels,
            Side::Ask => &self.asks.levels,
        }
    }

    /// The best limit of a side among the orders read and the new ones.
    fn best(&self, side: Side) -> Option<Ticks> {
        let resting = self.levels(side).first().and_then(|level| level.first());
        let new = self.new.iter().filter(|o| o.side == side);
        let limits = resting.into_iter().chain(new).map(|o| o.limit);
        match side {
            Side::Bid => limits.max(),
            Side::Ask => limits.min(),
        }
    }
}
