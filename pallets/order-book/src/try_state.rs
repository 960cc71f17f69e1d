//! What always holds, as equalities.

use crate::{
    book::group_of,
    types::{Note, PageKey, Place},
    Config, Directories, Expiries, ExpiryCounts, Intake, Orders, Pages, Pallet,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use frame_support::ensure;
use novate_types::{
    AccountRef, Ledger, MarketId, OrderAggregate, Sequence, Side, Ticks, MAX_MARKETS,
};
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
    /// Checks, between extrinsics as well as between blocks:
    ///
    /// 1. what the ledger holds for an account's orders is the sum over its open orders;
    /// 2. resting orders and slots of pages correspond one to one, and agree;
    /// 3. orders in the intake and the intake's notes of them correspond one to one;
    /// 4. directories count every page, those that a note announces excepted;
    /// 5. no book is crossed;
    /// 6. entries of the expiry index are as many as counted;
    /// 7. an account without open orders is stored only until the close that forgets it, and orders that wait are noted.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        let mut rest = 0usize;
        let mut waiting = BTreeSet::new();
        let emptied: BTreeSet<_> = crate::Emptied::<T>::get().into_iter().collect();
        for (of, orders) in Orders::<T>::iter() {
            ensure!(
                !orders.open.is_empty() || emptied.contains(&of),
                "an account without open orders stays"
            );
            let mut sums: BTreeMap<MarketId, OrderAggregate> = BTreeMap::new();
            for order in &orders.open {
                ensure!(order.lots > 0, "an open order without lots");
                let sum = sums.entry(order.market).or_insert(OrderAggregate {
                    market: order.market,
                    ..Default::default()
                });
                let side = match order.side {
                    Side::Bid => &mut sum.bid_lots,
                    Side::Ask => &mut sum.ask_lots,
                };
                *side = side.checked_add(order.lots).ok_or("lots overflow")?;
                sum.reserve = sum
                    .reserve
                    .checked_add(order.reserve)
                    .ok_or("reserve overflows")?;
                match order.place {
                    Place::Intake => {
                        waiting.insert((order.market, of.clone(), order.sequence));
                    }
                    Place::Page(page) => {
                        rest = rest.saturating_add(1);
                        let key = (order.market, order.side, group_of(order.ticks), page);
                        let slots = Pages::<T>::get(key).ok_or("an order's page is not there")?;
                        let held = slots
                            .iter()
                            .find(|s| s.account == of && s.sequence == order.sequence)
                            .ok_or("an order's slot is not there")?;
                        ensure!(
                            (
                                held.ticks,
                                held.lots,
                                held.block,
                                held.expires,
                                held.reduce_only
                            ) == (
                                order.ticks,
                                order.lots,
                                order.block,
                                order.expires(),
                                order.reduce_only
                            ),
                            "an order and its slot disagree"
                        );
                    }
                }
            }
            let ascending = orders.open.iter().zip(orders.open.iter().skip(1));
            ensure!(
                ascending.into_iter().all(|(a, b)| a.sequence < b.sequence),
                "open orders are not sorted by sequence"
            );
            let held = T::Ledger::account(&of)
                .map(|a| a.orders.into_inner())
                .unwrap_or_default();
            ensure!(
                sums.into_values().collect::<Vec<_>>() == held,
                "the ledger's order margin is not the sum of the account's orders"
            );
        }
        Self::check_intake(waiting)?;
        Self::check_book(rest)?;
        Self::check_expiries()
    }

    fn check_intake(
        waiting: BTreeSet<(MarketId, AccountRef<T::AccountId>, Sequence)>,
    ) -> Result<(), TryRuntimeError> {
        let mut noted = BTreeSet::new();
        for (market, notes) in Intake::<T>::iter() {
            for note in notes {
                if let Note::New { account, sequence } = note {
                    let waits = Orders::<T>::get(&account)
                        .get(sequence)
                        .is_some_and(|o| o.market == market && o.place == Place::Intake);
                    ensure!(
                        !waits || noted.insert((market, account, sequence)),
                        "an order is noted twice"
                    );
                }
            }
        }
        ensure!(
            noted == waiting,
            "orders in the intake are not those its notes name"
        );
        for (market, waiting) in crate::Waiting::<T>::iter() {
            let notes = Intake::<T>::get(market);
            let new = notes.iter().filter(|n| matches!(n, Note::New { .. }));
            ensure!(
                u32::try_from(new.count()).is_ok_and(|n| n >= waiting),
                "more orders wait than are noted"
            );
        }
        Ok(())
    }

    fn check_book(rest: usize) -> Result<(), TryRuntimeError> {
        let now = Self::now();
        let mut touched: BTreeSet<PageKey> = BTreeSet::new();
        for (market, notes) in Intake::<T>::iter() {
            touched.extend(notes.into_iter().filter_map(|note| match note {
                Note::Touched { side, group, page } => Some((market, side, group, page)),
                Note::New { .. } => None,
            }));
        }
        let mut counted: BTreeMap<PageKey, usize> = BTreeMap::new();
        let mut matching = BTreeSet::new();
        for ((market, side), directory) in Directories::<T>::iter() {
            let ascending = directory.groups.iter().zip(directory.groups.iter().skip(1));
            ensure!(
                ascending.into_iter().all(|(a, b)| a.id < b.id),
                "groups are not sorted"
            );
            for group in directory.groups.iter() {
                matching.insert((market, side, group.id));
            }
            for group in directory.groups.iter().chain(directory.evicted.iter()) {
                ensure!(
                    group.pages.last().is_some_and(|n| *n > 0),
                    "a directory holds dead pages"
                );
                for (page, orders) in (0u16..).zip(group.pages.iter()) {
                    let twice =
                        counted.insert((market, side, group.id, page), usize::from(*orders));
                    ensure!(twice.is_none(), "a group stands twice in a directory");
                }
            }
        }

        let mut slots = 0usize;
        let mut best: BTreeMap<MarketId, (Ticks, Ticks)> = BTreeMap::new();
        for (key, page) in Pages::<T>::iter() {
            let (market, side, group, _) = key;
            ensure!(!page.is_empty(), "an empty page did not disappear");
            slots = slots.saturating_add(page.len());
            let count = counted.remove(&key).ok_or("a page is in no directory")?;
            ensure!(
                count == page.len() || touched.contains(&key),
                "a directory miscounts one of its pages"
            );
            for slot in page {
                ensure!(
                    group_of(slot.ticks) == group,
                    "a slot lies in another price's group"
                );
                if matching.contains(&(market, side, group)) && slot.stands(now) {
                    let (bid, ask) = best.entry(market).or_insert((0, Ticks::MAX));
                    match side {
                        Side::Bid => *bid = slot.ticks.max(*bid),
                        Side::Ask => *ask = slot.ticks.min(*ask),
                    }
                }
            }
        }
        ensure!(
            counted
                .into_iter()
                .all(|(key, orders)| orders == 0 || touched.contains(&key)),
            "a directory counts a page that is not there"
        );
        ensure!(
            slots == rest,
            "slots and resting orders are not equally many"
        );
        ensure!(
            best.into_values().all(|(bid, ask)| bid < ask),
            "a book is crossed"
        );
        Ok(())
    }

    fn check_expiries() -> Result<(), TryRuntimeError> {
        let mut entries: BTreeMap<u32, u32> = BTreeMap::new();
        let (cursor, page) = crate::ExpiryCursor::<T>::get();
        for ((block, _), page) in Expiries::<T>::iter() {
            let found = u32::try_from(page.len()).unwrap_or(u32::MAX);
            let sum = entries.entry(block).or_default();
            *sum = sum.saturating_add(found);
        }
        for (block, count) in ExpiryCounts::<T>::iter() {
            let done = if block == cursor {
                page.saturating_mul(crate::types::EXPIRY_PAGE).min(count)
            } else {
                0
            };
            let left = entries.remove(&block).unwrap_or(0);
            ensure!(
                left.saturating_add(done) == count,
                "the expiry index is miscounted"
            );
        }
        ensure!(
            entries.is_empty(),
            "the expiry index holds uncounted entries"
        );
        let sides = crate::Evicting::<T>::get().len();
        let most = usize::try_from(MAX_MARKETS.saturating_mul(2)).unwrap_or(usize::MAX);
        ensure!(sides <= most, "more sides evict than there are");
        Ok(())
    }
}
