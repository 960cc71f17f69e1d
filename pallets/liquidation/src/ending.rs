//! What the indices hold of markets whose contract has settled (derivatives, section 10).
//!
//! A position in one is cash that has not been booked, and most accounts book it when they are touched. Those that nobody touches are found
//! here: all of a market's positions stand in its deleveraging index. What time liquidation leaves of a close goes into reading that, an entry
//! an account, and then the thresholds of the market, which lead nowhere any more, until the market's shelves are empty and it can be
//! removed. How long that takes changes nothing for anybody: the settlement price stands. An account that cannot be settled keeps its entry, behind
//! the others of its bucket, and is tried again by the next close; until it is settled its market stays.

use crate::{
    index::{is_waiting, Taken, Threshold},
    meter::{Meter, Size, KEYS_OF_MANY},
    pages::{Entry, Shelf, PAGE},
    Config, LossCaps, Pallet, Refusal, RiskDirectory, VaultLosses,
};
use alloc::vec::Vec;
use novate_types::{Direction, Ledger, MarketId, RiskAxis, RiskView, Side};

/// Where the indices hold something of a market: positions, then thresholds.
fn shelves(market: MarketId) -> impl Iterator<Item = Shelf> {
    let ranks = [Side::Bid, Side::Ask].map(|side| Shelf::Rank(market, side));
    let axes = [
        RiskAxis::Mark(market),
        RiskAxis::Funding(market),
        RiskAxis::Index(market),
        RiskAxis::Variance(market),
        RiskAxis::Expiry(market),
    ];
    let thresholds = axes.into_iter().flat_map(|axis| {
        [Direction::Down, Direction::Up].map(|direction| Shelf::Threshold(axis, direction))
    });
    ranks.into_iter().chain(thresholds)
}

/// What became of an entry, or of all that were taken out together.
enum Ending {
    /// It is gone.
    Done,
    /// It goes back: its account cannot be settled now.
    Stays,
    /// It goes back: there was no time for it.
    Later,
}

impl<T: Config> Pallet<T> {
    /// Empties the shelves of markets that have settled as far as `left` picoseconds last. Returns what is left of them.
    pub(crate) fn empty_shelves(view: &RiskView, left: u64) -> u64 {
        let mut meter = Meter::<T>::of(left);
        let settled = view.ended().filter(|market| market.contract.settled);
        for shelf in settled.flat_map(|market| shelves(market.id)) {
            let buckets: Vec<_> = RiskDirectory::<T>::get(shelf).buckets().collect();
            for bucket in buckets {
                // Each round takes an entry out for good, or is the last one here.
                while Self::span(shelf, bucket).is_some() {
                    match Self::empty_some(shelf, bucket, view, &mut meter) {
                        Ending::Done => (),
                        Ending::Stays => break,
                        Ending::Later => return meter.left(),
                    }
                }
            }
        }
        meter.left()
    }

    /// Takes entries of a bucket out, as many as there is time for if their accounts are small ones. Those that go back stand behind all others.
    fn empty_some(shelf: Shelf, bucket: u32, view: &RiskView, meter: &mut Meter<T>) -> Ending {
        let most = meter.entries().min(PAGE);
        if most == 0 {
            return Ending::Later;
        }
        let mut entries = Self::take(shelf, bucket, most).into_iter();
        let taken = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        meter.spend(meter.popped(taken, KEYS_OF_MANY));
        let (mut later, mut stays) = (Vec::new(), Vec::new());
        for entry in entries.by_ref() {
            match Self::let_end(shelf, bucket, &entry, view, meter) {
                Ending::Done => (),
                Ending::Stays => stays.push(entry),
                Ending::Later => {
                    later.push(entry);
                    break;
                }
            }
        }
        later.extend(entries);
        let ending = match (later.is_empty(), stays.is_empty()) {
            (true, true) => Ending::Done,
            (true, false) => Ending::Stays,
            (false, _) => Ending::Later,
        };
        for entry in later.into_iter().chain(stays) {
            if let Err(error) = Self::append(shelf, bucket, entry) {
                log::error!(target: crate::LOG, "an entry of a market that ends is lost: {error:?}");
            }
        }
        ending
    }

    /// Settles the account that an entry leads to, or puts it where it belongs. Nothing changes unless that is done.
    fn let_end(
        shelf: Shelf,
        bucket: u32,
        entry: &Entry<T::AccountId>,
        view: &RiskView,
        meter: &mut Meter<T>,
    ) -> Ending {
        let of = &entry.account;
        if let Shelf::Threshold(axis, direction) = shelf {
            let at = Threshold {
                axis,
                direction,
                bucket,
            };
            let generation = entry.generation;
            let taken = Taken { at, generation };
            return match Self::recheck(of, &[taken], view, u32::MAX, meter) {
                None => Ending::Later,
                Some(looked) if looked.stays.is_empty() => Ending::Done,
                Some(_) => Ending::Stays,
            };
        }
        let Some(account) = T::Ledger::account(of) else {
            return Ending::Done;
        };
        let size = Size::of(&account, view);
        if !novate_risk::holds_settled(&account, view) {
            meter.spend(meter.look(size));
            return Ending::Done;
        }
        let worst = meter.worst_look(size);
        if !meter.affords(worst) {
            return Ending::Later;
        }
        meter.spend(worst);
        // Who waits for a price is looked at where it waits.
        let is_left = |axis| match axis {
            RiskAxis::Mark(market)
            | RiskAxis::Funding(market)
            | RiskAxis::Index(market)
            | RiskAxis::Variance(market)
            | RiskAxis::Expiry(market) => view
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
        match settled {
            Ok(()) => Ending::Done,
            Err(error) => {
                log::error!(target: crate::LOG, "{of:?} cannot be settled: {error:?}");
                Ending::Stays
            }
        }
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
