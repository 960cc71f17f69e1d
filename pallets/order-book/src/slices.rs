//! Orders in slices over time (TWAP).
//!
//! A TWAP lies with its account's open orders. Its index is one key, `(block of its next slice, tie, account, sequence)`: what is due is at
//! the front, and a close in which nothing is due reads one key. A slice is an immediate order under the TWAP's own number, with
//! intake's own check at the marks of the close: margin is held for a slice at a time, as the whole would lie idle for hours. One
//! that is refused is reported, and the TWAP goes on: what it did not get the next make up for, up to
//! [`TWAP_CATCH_UP`](novate_types::TWAP_CATCH_UP) times a slice (as Hyperliquid has it), so that an outage is not answered by one
//! large order. The same holds for slices for which a close has no room: they stay at the front, and ask then for what they missed.

use crate::{
    intake::{Session, Step},
    triggers::{count_unowned, found_unowned, Firing},
    types::{AccountOrders, CancelledOrder, DueKey, FiredTrigger},
    weights::WeightInfo,
    Config, Due, Pallet,
};
use alloc::{borrow::Cow, vec::Vec};
use frame_support::weights::Weight;
use novate_types::{
    AccountRef, BlockNumber, CancelReason, Ledger, MarketId, Twap, MAX_HOLDINGS, MAX_OPEN_ORDERS,
};

/// Where a TWAP's next slice is found.
pub(crate) fn key_of<AccountId: Clone>(
    of: &AccountRef<AccountId>,
    twap: &Twap,
) -> DueKey<AccountId> {
    (twap.due.to_be_bytes(), twap.tie, of.clone(), twap.sequence)
}

/// Enters a TWAP's next slice into the index.
pub(crate) fn expect<T: Config>(of: &AccountRef<T::AccountId>, twap: &Twap) {
    Due::<T>::insert(key_of(of, twap), ());
}

/// Takes it out.
pub(crate) fn forget<T: Config>(of: &AccountRef<T::AccountId>, twap: &Twap) {
    Due::<T>::remove(key_of(of, twap));
}

/// The TWAPs of an account that is liquidated, as cancelled, by market. Their keys stay until they are due.
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
    count_unowned::<T>(left.len());
    left
}

impl<T: Config> Firing<'_, T> {
    /// Brings the slices that are due, as far as there is room.
    pub(crate) fn bring_slices(&mut self) {
        let most = Pallet::<T>::most_of_slice().ref_time();
        for key in Due::<T>::iter_keys() {
            if BlockNumber::from_be_bytes(key.0) > self.now || self.left < most {
                return;
            }
            let used = self.bring(&key).ref_time();
            self.left = self.left.saturating_sub(used);
        }
    }

    /// Brings one slice. Returns what it costs in this close.
    fn bring(&mut self, key: &DueKey<T::AccountId>) -> Weight {
        let (of, sequence) = (&key.2, key.3);
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
                    Ok(()) => looked_at
                        .saturating_add(Pallet::<T>::order_of_close(held.open, held.holdings)),
                    Err(_) => looked_at,
                }
            }
        }
    }
}

impl<T: Config> Pallet<T> {
    /// What bringing one slice costs at most.
    pub(crate) fn most_of_slice() -> Weight {
        Self::order_of_close(MAX_OPEN_ORDERS, MAX_HOLDINGS).saturating_add(T::WeightInfo::slice())
    }
}
