//! Open orders that fill or leave in a close: pages, directories, open-order lists and margin releases change together here,
//! and are written once.

use crate::{
    book::Books,
    intake::page_of,
    types::{AccountOrders, CancelledOrder, Locator, Note, Place},
    Config, Event, Intake, Orders, Pallet, Quotas, Waiting,
};
use alloc::{collections::BTreeMap, vec::Vec};
use frame_support::defensive;
use novate_types::{
    AccountRef, CancelReason, Lots, MarginAccount, MarketId, OrderTarget, Release, Sequence, Side,
};

/// Orders that one event names.
const ORDERS_PER_EVENT: usize = 512;

/// Margin released so far, by market and account.
type Releases<AccountId> = BTreeMap<(MarketId, AccountRef<AccountId>), Release<AccountId>>;

/// What a close does to orders, not yet written.
pub(crate) struct Changes<T: Config> {
    /// Pages and directories.
    pub books: Books<T>,
    orders: BTreeMap<AccountRef<T::AccountId>, (AccountOrders, bool)>,
    releases: Releases<T::AccountId>,
    cancelled: BTreeMap<MarketId, Vec<CancelledOrder<T::AccountId>>>,
}

impl<T: Config> Default for Changes<T> {
    fn default() -> Self {
        Self {
            books: Books::default(),
            orders: BTreeMap::new(),
            releases: BTreeMap::new(),
            cancelled: BTreeMap::new(),
        }
    }
}

impl<T: Config> Changes<T> {
    /// An account's open orders.
    pub fn orders(&mut self, of: &AccountRef<T::AccountId>) -> &AccountOrders {
        &self.entry(of).0
    }

    fn entry(&mut self, of: &AccountRef<T::AccountId>) -> &mut (AccountOrders, bool) {
        self.orders
            .entry(of.clone())
            .or_insert_with(|| (Orders::<T>::get(of), false))
    }

    /// One of an account's open orders.
    pub fn order(&mut self, of: &AccountRef<T::AccountId>, sequence: Sequence) -> Option<Locator> {
        self.orders(of).get(sequence).copied()
    }

    /// Changes one of an account's open orders.
    pub fn change(
        &mut self,
        of: &AccountRef<T::AccountId>,
        sequence: Sequence,
        change: impl FnOnce(&mut Locator),
    ) {
        let (orders, changed) = self.entry(of);
        let found = orders.find(OrderTarget::Sequence(sequence));
        if let Some(order) = found.and_then(|at| orders.open.get_mut(at)) {
            change(order);
            *changed = true;
        }
    }

    /// Takes `lots` off an order: off its page, its locator and its account's margin. It leaves with its last lot.
    pub fn take(&mut self, of: &AccountRef<T::AccountId>, sequence: Sequence, lots: Lots) {
        let (orders, changed) = self.entry(of);
        let Some(at) = orders.find(OrderTarget::Sequence(sequence)) else {
            defensive!("an order left that was not open");
            return;
        };
        let Some(order) = orders.open.get_mut(at) else {
            return;
        };
        let Ok(reserve) = order.take(lots) else {
            defensive!("more of an order left than there was");
            return;
        };
        let order = *order;
        *changed = true;
        if order.lots == 0 {
            orders.open.remove(at);
        }
        if let Some(page) = page_of(&order) {
            if order.lots == 0 {
                self.books.remove(page, of, sequence);
            } else {
                self.books.resize(page, of, sequence, order.lots);
            }
        }
        let release = self
            .releases
            .entry((order.market, of.clone()))
            .or_insert_with(|| Release {
                account: of.clone(),
                bid_lots: 0,
                ask_lots: 0,
                reserve: 0,
            });
        let side = match order.side {
            Side::Bid => &mut release.bid_lots,
            Side::Ask => &mut release.ask_lots,
        };
        // Sums of parts of the account's aggregate, which was a checked sum at intake.
        match (side.checked_add(lots), release.reserve.checked_add(reserve)) {
            (Some(lots), Some(reserve)) => {
                *side = lots;
                release.reserve = reserve;
            }
            _ => {
                defensive!("releases exceed what was reserved");
            }
        }
    }

    /// Cancels `lots` of an order, and says so.
    pub fn cancel_lots(
        &mut self,
        of: &AccountRef<T::AccountId>,
        sequence: Sequence,
        lots: Lots,
        reason: CancelReason,
    ) {
        let Some(order) = self.order(of, sequence) else {
            return;
        };
        let (market, lots) = (order.market, lots.min(order.lots));
        if lots > 0 {
            self.take(of, sequence, lots);
            let order = CancelledOrder {
                account: of.clone(),
                sequence,
                lots,
                reason,
            };
            self.cancelled.entry(market).or_default().push(order);
        }
    }

    /// Cancels what remains of an order, and says so.
    pub fn cancel(
        &mut self,
        of: &AccountRef<T::AccountId>,
        sequence: Sequence,
        reason: CancelReason,
    ) {
        self.cancel_lots(of, sequence, Lots::MAX, reason);
    }

    /// Writes everything and returns the releases, by market and account.
    pub fn write(self) -> Vec<(MarketId, Release<T::AccountId>)> {
        let Self {
            books,
            orders,
            releases,
            cancelled,
        } = self;
        books.write();
        for (of, (orders, changed)) in orders {
            // The block's extrinsics are over: client ids cancelled in it are free again.
            if changed && orders.open.is_empty() {
                Orders::<T>::remove(&of);
            } else if changed {
                Orders::<T>::insert(&of, orders);
            }
        }
        for (market, orders) in cancelled {
            deposit_cancelled::<T>(market, orders);
        }
        releases
            .into_iter()
            .map(|((market, _), release)| (market, release))
            .collect()
    }
}

fn deposit_cancelled<T: Config>(market: MarketId, orders: Vec<CancelledOrder<T::AccountId>>) {
    for orders in orders.chunks(ORDERS_PER_EVENT) {
        Pallet::<T>::deposit_event(Event::Cancelled {
            market,
            orders: orders.to_vec(),
        });
    }
}

/// Cancels every open order of an account outside a match, and clears what its margin holds for them.
pub(crate) fn cancel_all<T: Config>(
    of: &AccountRef<T::AccountId>,
    account: &mut MarginAccount,
    reason: CancelReason,
) -> u32 {
    let orders = Orders::<T>::take(of);
    account.orders.truncate(0);
    let mut books = Books::<T>::default();
    let mut cancelled: BTreeMap<MarketId, Vec<CancelledOrder<T::AccountId>>> = BTreeMap::new();
    for order in &orders.open {
        if let Some(page) = page_of(order) {
            books.remove(page, of, order.sequence);
        }
        cancelled
            .entry(order.market)
            .or_default()
            .push(CancelledOrder {
                account: of.clone(),
                sequence: order.sequence,
                lots: order.lots,
                reason,
            });
    }
    books.write_noted();
    for (market, orders) in cancelled {
        deposit_cancelled::<T>(market, orders);
    }
    u32::try_from(orders.open.len()).unwrap_or(u32::MAX)
}

/// Counts again the pages that extrinsics touched, and returns whether there were any.
pub(crate) fn recount_touched<T: Config>(
    market: MarketId,
    notes: &[Note<T::AccountId>],
    books: &mut Books<T>,
) -> bool {
    let mut any = false;
    for note in notes {
        if let Note::Touched { side, group, page } = note {
            books.recount((market, *side, *group, *page));
            any = true;
        }
    }
    any
}

/// The orders that came in and are still open, in canonical order, each with its account.
pub(crate) fn new_orders<T: Config>(
    market: MarketId,
    notes: &[Note<T::AccountId>],
    changes: &mut Changes<T>,
) -> Vec<(AccountRef<T::AccountId>, Locator)> {
    let mut ids: Vec<(&AccountRef<T::AccountId>, Sequence)> = notes
        .iter()
        .filter_map(|note| match note {
            Note::New { account, sequence } => Some((account, *sequence)),
            Note::Touched { .. } => None,
        })
        .collect();
    ids.sort();
    ids.into_iter()
        .filter_map(|(account, sequence)| {
            let order = changes.order(account, sequence)?;
            let alive = order.market == market && order.place == Place::Intake;
            alive.then(|| (account.clone(), order))
        })
        .collect()
}

/// Ends the intake of a market: its notes and the quotas of those who sent orders.
pub(crate) fn clear_intake<T: Config>(market: MarketId) {
    Waiting::<T>::remove(market);
    clear_quotas::<T>(&Intake::<T>::take(market));
}

/// Gives back the quotas of those who sent orders.
pub(crate) fn clear_quotas<T: Config>(notes: &[Note<T::AccountId>]) {
    for note in notes {
        if let Note::New { account, .. } = note {
            Quotas::<T>::remove(&account.owner);
        }
    }
}
