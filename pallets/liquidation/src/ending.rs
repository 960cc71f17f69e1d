//! What the indices hold of markets whose contract has settled (derivatives, section 10).
//!
//! A position in one is cash that has not been booked, and most accounts book it when they are touched. Those that nobody touches are found
//! here: all of a market's positions stand in its deleveraging index. What time liquidation leaves of a close goes into reading that, an entry
//! an account, and then the thresholds of the market, which lead nowhere any more, until the market's shelves are empty and it can be
//! removed. How long that takes changes nothing for anybody: the settlement price stands.

use crate::{
    index::{is_waiting, Taken, Threshold},
    meter::Meter,
    pages::{Entry, Shelf, PAGE},
    Config, LossCaps, Pallet, Refusal, RiskDirectory, VaultLosses,
};
use novate_types::{Direction, Ledger, MarketId, RiskAxis, RiskView, Side};

/// Where the indices hold something of a market: positions, then thresholds.
fn shelves(market: MarketId) -> impl Iterator<Item = Shelf> {
    let ranks = [Side::Bid, Side::Ask].map(|side| Shelf::Rank(market, side));
    let axes = [RiskAxis::Mark(market), RiskAxis::Funding(market)];
    let thresholds = axes.into_iter().flat_map(|axis| {
        [Direction::Down, Direction::Up].map(|direction| Shelf::Threshold(axis, direction))
    });
    ranks.into_iter().chain(thresholds)
}

impl<T: Config> Pallet<T> {
    /// Empties the shelves of markets that have settled as far as `left` picoseconds last. Returns what is left of them.
    pub(crate) fn empty_shelves(view: &RiskView, left: u64) -> u64 {
        let mut meter = Meter::<T>::of(left);
        let settled = view.ended().filter(|market| market.contract.settled);
        for shelf in settled.flat_map(|market| shelves(market.id)) {
            // Each round takes an entry out at least.
            while let Some(bucket) = RiskDirectory::<T>::get(shelf).buckets().next() {
                if !Self::empty_some(shelf, bucket, view, &mut meter) {
                    return meter.left();
                }
            }
        }
        meter.left()
    }

    /// Takes entries of a bucket out, as many as there is time for if their accounts are small ones. Whether there was time for all of these.
    fn empty_some(shelf: Shelf, bucket: u32, view: &RiskView, meter: &mut Meter<T>) -> bool {
        let most = meter.entries().min(PAGE);
        if most == 0 {
            return false;
        }
        let mut entries = Self::take(shelf, bucket, most).into_iter();
        let taken = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        meter.spend(meter.popped(taken, 1));
        while let Some(entry) = entries.next() {
            if Self::let_end(shelf, bucket, &entry, view, meter) {
                continue;
            }
            for entry in core::iter::once(entry).chain(entries) {
                if let Err(error) = Self::append(shelf, bucket, entry) {
                    log::error!(target: crate::LOG, "an entry of a market that ends is lost: {error:?}");
                }
            }
            return false;
        }
        true
    }

    /// Settles the account that an entry leads to, or puts it where it belongs. False, and nothing changes, if there is no time for it.
    fn let_end(
        shelf: Shelf,
        bucket: u32,
        entry: &Entry<T::AccountId>,
        view: &RiskView,
        meter: &mut Meter<T>,
    ) -> bool {
        let of = &entry.account;
        if let Shelf::Threshold(axis, direction) = shelf {
            let at = Threshold {
                axis,
                direction,
                bucket,
            };
            let generation = entry.generation;
            let taken = Taken { at, generation };
            return Self::recheck(of, &[taken], view, u32::MAX, meter).is_some();
        }
        let Some(account) = T::Ledger::account(of) else {
            return true;
        };
        let holdings = account.holdings();
        if !novate_risk::holds_settled(&account, view) {
            meter.spend(meter.look(holdings));
            return true;
        }
        if !meter.affords(meter.worst_look(holdings)) {
            return false;
        }
        meter.spend(meter.worst_look(holdings));
        // Who waits for a price is looked at where it waits.
        let is_left = |axis| match axis {
            RiskAxis::Mark(market) | RiskAxis::Funding(market) => view
                .market(market)
                .is_ok_and(|market| !market.contract.settled),
            RiskAxis::Collateral(_) | RiskAxis::Parameters | RiskAxis::Interest => true,
        };
        let settled = T::Ledger::settle(of, view, false, |account| {
            account
                .risk
                .retain(|slot| is_waiting(slot.bucket) || is_left(slot.axis));
            Ok::<_, Refusal>(())
        });
        if let Err(error) = settled {
            log::error!(target: crate::LOG, "{of:?} cannot be settled: {error:?}");
        }
        true
    }

    /// Forgets what is kept of a market beside the indices, if these hold nothing of it.
    pub(crate) fn forget_market(market: MarketId) -> bool {
        let is_left =
            shelves(market).any(|shelf| RiskDirectory::<T>::get(shelf).buckets().next().is_some());
        if !is_left {
            for shelf in shelves(market) {
                RiskDirectory::<T>::remove(shelf);
            }
            LossCaps::<T>::remove(market);
            VaultLosses::<T>::remove(market);
        }
        !is_left
    }
}
