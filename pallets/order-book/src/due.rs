//! What orders ask of closes to come: slices over time (TWAP), and limits that follow a price (pegged orders).
//!
//! The terms lie with their account's open orders. Their index is one key each, `(which, block, tie, account, sequence)`: what is due is
//! at the front, and a close reads one key if there are none. What a close has no room for stays there, and goes first in the next.
//!
//! **Slices.** A slice is an immediate order under the TWAP's own number, with intake's own check at the marks of the close: margin is held
//! for a slice at a time, as the whole would lie idle for hours. One that is refused is reported, and the TWAP goes on: what it did not get
//! the next make up for, up to [`TWAP_CATCH_UP`](novate_types::TWAP_CATCH_UP) times a slice (as Hyperliquid has it), so that an outage is
//! not answered by one large order. Slices that had no room ask, once they have, for what they missed.
//!
//! **Pegged orders** rest in the book as any other, at the limit that they have now. In each close each is looked at, after the triggers and
//! slices and before any market matches; if what it follows has moved by a tick or more it leaves its page and meets the market as a new
//! post-only order at its new limit. Its margin was held for its worst limit from the start, so that moving it needs no check and
//! changes no margin. It follows the mark, or the best price of its side that stood after both previous closes, which nobody can push
//! within a block; while that best price is its own it stays, as it would follow itself. It stays as well in a market that takes no new risk. Where there
//! are more than closes have room for, each is looked at every few blocks, in turn.

use crate::{
    close::matches,
    intake::{Held, Session, Step},
    rested::rested,
    triggers::{count_unowned, found_unowned, Firing},
    types::{AccountOrders, CancelledOrder, DueKey, Duty, FiredTrigger, OrderError},
    weights::WeightInfo,
    Config, Due, Pallet,
};
use alloc::{borrow::Cow, vec::Vec};
use codec::Encode;
use frame_support::{storage::StoragePrefixedMap, weights::Weight};
use novate_types::{
    math::{ticks_ceil, ticks_floor},
    AccountRef, Anchor, BlockNumber, CancelReason, Ledger, MarketId, MarketView, Peg, Side, Ticks,
    Twap,
};

/// Where a TWAP's next slice is found.
pub(crate) fn slice_of<AccountId: Clone>(
    of: &AccountRef<AccountId>,
    twap: &Twap,
) -> DueKey<AccountId> {
    let due = twap.due.to_be_bytes();
    (Duty::Slice, due, twap.tie, of.clone(), twap.sequence)
}

/// Where the next look at a pegged order is found.
pub(crate) fn look_of<AccountId: Clone>(
    of: &AccountRef<AccountId>,
    peg: &Peg,
) -> DueKey<AccountId> {
    let due = peg.due.to_be_bytes();
    (Duty::Follow, due, peg.tie, of.clone(), peg.sequence)
}

/// The limit that a pegged order of the side is to have now; one that is at `held` may be the best price itself.
pub(crate) fn limit_of<T: Config>(
    market: &MarketView,
    side: Side,
    peg: &Peg,
    held: Option<Ticks>,
) -> Result<Ticks, OrderError> {
    let quotes = rested::<T>(market.id);
    let (best, across) = match side {
        Side::Bid => (quotes.bid, quotes.ask),
        Side::Ask => (quotes.ask, quotes.bid),
    };
    let at = match (peg.anchor, side) {
        (Anchor::Mark, Side::Bid) => Some(ticks_floor(market.mark, market.tick_size)?),
        (Anchor::Mark, Side::Ask) => Some(ticks_ceil(market.mark, market.tick_size)?),
        (Anchor::Best, _) => best.filter(|best| held != Some(*best)),
    };
    at.and_then(|at| peg.limit(side, at, across))
        .ok_or(OrderError::NothingToFollow)
}

/// The TWAPs of an account that is liquidated, as cancelled, by market. Their keys and those of its pegged orders stay until they are due.
pub(crate) fn leave_behind<T: Config>(
    of: &AccountRef<T::AccountId>,
    orders: &AccountOrders,
    reason: CancelReason,
) -> Vec<(MarketId, CancelledOrder<T::AccountId>)> {
    let cancelled = |twap: &Twap| {
        let left = CancelledOrder {
            account: of.clone(),
            sequence: twap.sequence,
            lots: twap.left,
            reason,
        };
        (twap.terms.order.market, left)
    };
    let left: Vec<_> = orders.twaps().map(cancelled).collect();
    count_unowned::<T>(left.len().saturating_add(orders.pegs().count()));
    left
}

/// Whether a close moves pegged orders of the market. Elsewhere they stay where they are: as new orders they would be cancelled, and in
/// the call phase of an auction there is nothing to follow that could be hit.
pub(crate) fn are_moved(market: &MarketView) -> bool {
    matches(market) && market.status.allows_risk() && !market.is_in_auction()
}

/// Storage keys of a duty come after this one.
fn start<T: Config>(duty: Duty) -> Vec<u8> {
    let mut key = Due::<T>::final_prefix().to_vec();
    duty.encode_to(&mut key);
    key
}

impl<T: Config> Firing<'_, T> {
    /// Does what is due, as far as there is room: slices first.
    pub(crate) fn do_what_is_due(&mut self) {
        let Some((first, ..)) = Due::<T>::iter_keys().next() else {
            return;
        };
        if first == Duty::Slice {
            self.work_through(Duty::Slice, Pallet::<T>::most_of_slice(), Self::bring);
        }
        self.work_through(Duty::Follow, Pallet::<T>::most_of_look(), Self::follow);
    }

    fn work_through(
        &mut self,
        duty: Duty,
        most: Weight,
        one: fn(&mut Self, &DueKey<T::AccountId>) -> Weight,
    ) {
        for key in Due::<T>::iter_keys_from(start::<T>(duty)) {
            let is_due = key.0 == duty && BlockNumber::from_be_bytes(key.1) <= self.now;
            if !is_due || self.left < most.ref_time() {
                return;
            }
            let used = one(self, &key).ref_time();
            self.left = self.left.saturating_sub(used);
        }
    }

    /// Looks at a pegged order, and moves it. Returns what that costs in this close.
    fn follow(&mut self, key: &DueKey<T::AccountId>) -> Weight {
        let (of, sequence) = (&key.3, key.4);
        Due::<T>::remove(key);
        let looked_at = T::WeightInfo::slice();
        let Some(account) = T::Ledger::account(of) else {
            found_unowned::<T>();
            return looked_at;
        };
        let mut session = Session::<T>::begin(of, account, Cow::Borrowed(self.view), self.now);
        let Some(moved) = session.follow(sequence) else {
            found_unowned::<T>();
            return looked_at;
        };
        let held = session.held();
        session.close();
        if moved {
            looked_at
                .saturating_add(T::WeightInfo::left())
                .saturating_add(Pallet::<T>::order_of_close(held))
        } else {
            looked_at
        }
    }

    /// Brings one slice. Returns what it costs in this close.
    fn bring(&mut self, key: &DueKey<T::AccountId>) -> Weight {
        let (of, sequence) = (&key.3, key.4);
        Due::<T>::remove(key);
        let looked_at = T::WeightInfo::slice();
        let Some(account) = T::Ledger::account(of) else {
            found_unowned::<T>();
            return looked_at;
        };
        let mut session = Session::<T>::begin(of, account, Cow::Borrowed(self.view), self.now);
        let Some((market, step)) = session.step(sequence) else {
            found_unowned::<T>();
            return looked_at;
        };
        let held = session.held();
        let looked_at = looked_at.saturating_add(held.scanned);
        session.close();
        match step {
            Step::Over(lots) => {
                if lots > 0 {
                    let left = CancelledOrder {
                        account: of.clone(),
                        sequence,
                        lots,
                        reason: CancelReason::Expired,
                    };
                    self.told.left.entry(market).or_default().push(left);
                }
                looked_at
            }
            Step::Nothing => looked_at,
            Step::Slice(outcome) => {
                let fired = FiredTrigger {
                    account: of.clone(),
                    sequence,
                    outcome,
                };
                self.told.fired.entry(market).or_default().push(fired);
                match outcome {
                    Ok(()) => looked_at.saturating_add(Pallet::<T>::order_of_close(held)),
                    Err(_) => looked_at,
                }
            }
        }
    }
}

impl<T: Config> Pallet<T> {
    /// What bringing one slice costs at most.
    pub(crate) fn most_of_slice() -> Weight {
        let most = Held::most::<T>();
        Self::order_of_close(most)
            .saturating_add(most.scanned)
            .saturating_add(T::WeightInfo::slice())
    }
    /// What looking at a pegged order costs at most.
    pub(crate) fn most_of_look() -> Weight {
        Self::most_of_slice().saturating_add(T::WeightInfo::left())
    }
}
