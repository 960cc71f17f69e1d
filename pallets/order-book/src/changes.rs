//! Open orders that fill or leave in a close: pages, directories, open-order lists and margin releases change together here,
//! and are written once.

use crate::{
    book::Books,
    due,
    intake::page_of,
    triggers,
    types::{AccountOrders, CancelledOrder, Locator, Note, Place},
    Config, Event, Intake, Pallet, Waiting,
};
use alloc::{collections::BTreeMap, vec::Vec};
use frame_support::defensive;
use novate_types::{
    AccountRef, BlockNumber, CancelReason, Cash, Ledger, Lots, MarginAccount, MarketId,
    OrderTarget, Release, ReleasedMargin, Sequence, Side,
};

/// Orders that one event names.
pub(crate) const ORDERS_PER_EVENT: usize = 512;

/// One account's orders in a close.
struct Touched {
    /// As it was read, if it is there.
    account: Option<MarginAccount>,
    orders: AccountOrders,
    changed: bool,
    released: BTreeMap<MarketId, ReleasedMargin>,
    /// Triggers that left.
    disarmed: Vec<Sequence>,
}

impl Touched {
    /// Margin that an order of the market needs no longer.
    fn release(&mut self, market: MarketId, side: Side, lots: Lots, reserve: Cash) {
        let sum = self
            .released
            .entry(market)
            .or_insert_with(|| ReleasedMargin {
                market,
                bid_lots: 0,
                ask_lots: 0,
                reserve: 0,
            });
        let side = match side {
            Side::Bid => &mut sum.bid_lots,
            Side::Ask => &mut sum.ask_lots,
        };
        // Sums of parts of the account's aggregate, which was a checked sum at intake.
        match (side.checked_add(lots), sum.reserve.checked_add(reserve)) {
            (Some(lots), Some(reserve)) => {
                *side = lots;
                sum.reserve = reserve;
            }
            _ => {
                defensive!("releases exceed what was reserved");
            }
        }
    }
}

/// What a close does to orders, not yet written.
pub(crate) struct Changes<T: Config> {
    /// Pages and directories.
    pub books: Books<T>,
    accounts: BTreeMap<AccountRef<T::AccountId>, Touched>,
    cancelled: BTreeMap<MarketId, Vec<CancelledOrder<T::AccountId>>>,
    /// Icebergs of which all that they showed has filled.
    spent: Vec<(AccountRef<T::AccountId>, Locator)>,
    /// Keys of indices that were left behind.
    unowned: usize,
}

impl<T: Config> Default for Changes<T> {
    fn default() -> Self {
        Self {
            books: Books::default(),
            accounts: BTreeMap::new(),
            cancelled: BTreeMap::new(),
            spent: Vec::new(),
            unowned: 0,
        }
    }
}

impl<T: Config> Changes<T> {
    fn account(&mut self, of: &AccountRef<T::AccountId>) -> &mut Touched {
        self.accounts.entry(of.clone()).or_insert_with(|| {
            let account = T::Ledger::account(of);
            Touched {
                orders: account
                    .as_ref()
                    .map_or_else(AccountOrders::default, AccountOrders::of),
                account,
                changed: false,
                released: BTreeMap::new(),
                disarmed: Vec::new(),
            }
        })
    }

    /// Numbers of those of an account's open orders that are `meant`.
    pub fn sequences(
        &mut self,
        of: &AccountRef<T::AccountId>,
        meant: impl Fn(&Locator) -> bool,
    ) -> Vec<Sequence> {
        let open = &self.account(of).orders.open;
        open.iter()
            .filter(|o| meant(o))
            .map(|o| o.sequence)
            .collect()
    }

    /// One of an account's open orders.
    pub fn order(&mut self, of: &AccountRef<T::AccountId>, sequence: Sequence) -> Option<Locator> {
        self.account(of).orders.get(sequence).copied()
    }

    /// Changes one of an account's open orders.
    pub fn change(
        &mut self,
        of: &AccountRef<T::AccountId>,
        sequence: Sequence,
        change: impl FnOnce(&mut Locator),
    ) {
        let touched = self.account(of);
        let found = touched.orders.find(OrderTarget::Sequence(sequence));
        if let Some(order) = found.and_then(|at| touched.orders.open.get_mut(at)) {
            change(order);
            touched.changed = true;
        }
    }

    /// Forgets the client ids that an account without open orders cancelled in this block.
    pub fn forget(&mut self, of: &AccountRef<T::AccountId>) {
        self.account(of).changed = true;
    }

    /// Takes `lots` off an order: off its page, its locator and its account's margin. It leaves with its last lot. Returns what remains.
    fn take(
        &mut self,
        of: &AccountRef<T::AccountId>,
        sequence: Sequence,
        lots: Lots,
    ) -> Option<Locator> {
        let touched = self.account(of);
        let orders = &mut touched.orders;
        let Some(at) = orders.find(OrderTarget::Sequence(sequence)) else {
            defensive!("an order left that was not open");
            return None;
        };
        let order = orders.open.get_mut(at)?;
        let Ok(reserve) = order.take(lots) else {
            defensive!("more of an order left than there was");
            return None;
        };
        let order = *order;
        touched.changed = true;
        let mut unpegged = None;
        if order.lots == 0 {
            touched.orders.open.remove(at);
            unpegged = touched.orders.unpeg(sequence);
        }
        touched.release(order.market, order.side, lots, reserve);
        if unpegged.is_some() {
            self.unowned = self.unowned.saturating_add(1);
        }
        if let Some(page) = page_of(&order) {
            if order.lots == 0 {
                self.books.remove(page, of, sequence);
            } else {
                self.books.resize(page, of, sequence, order.lots);
            }
        }
        Some(order)
    }

    /// Lots of an order executed. What excludes it leaves; if it was all that an iceberg showed, [`Changes::show`] comes next.
    pub fn fill(&mut self, of: &AccountRef<T::AccountId>, sequence: Sequence, lots: Lots) {
        let Some(order) = self.take(of, sequence, lots) else {
            return;
        };
        let orders = &mut self.account(of).orders;
        if let Some(twap) = orders.twap_mut(sequence) {
            twap.left = twap.left.saturating_sub(lots);
        }
        let twin = orders.part(sequence);
        if order.lots == 0 && orders.display(sequence).is_some() {
            self.spent.push((of.clone(), order));
        }
        if let Some(twin) = twin {
            self.disarm(of, twin);
        }
    }

    /// Takes a trigger off its account, whose key stays behind.
    fn disarm(&mut self, of: &AccountRef<T::AccountId>, sequence: Sequence) {
        let touched = self.account(of);
        let Some(account) = touched.account.as_mut() else {
            return;
        };
        let Some(at) = account.triggers.iter().position(|t| t.sequence == sequence) else {
            defensive!("one of a pair is not there");
            return;
        };
        let trigger = account.triggers.remove(at);
        touched.disarmed.push(sequence);
        self.unowned = self.unowned.saturating_add(1);
        let left = triggers::as_cancelled(of, &trigger, CancelReason::OtherExecuted);
        let market = trigger.terms.order.market;
        self.cancelled.entry(market).or_default().push(left);
    }

    /// Lets icebergs of the market show their next part: it goes into the intake of the next close, and waits there as what a close had no
    /// turn for. To be called once this block's intake has been cleared.
    pub fn show(&mut self, market: MarketId, now: BlockNumber) {
        let mut notes = Notes::<T>::default();
        for (of, order) in core::mem::take(&mut self.spent) {
            let orders = &mut self.account(&of).orders;
            let Some(next) = orders.show(&order) else {
                defensive!("what an iceberg hides cannot be shown");
                continue;
            };
            let next = Locator {
                block: now,
                place: Place::Intake,
                ..next
            };
            let at = orders.open.partition_point(|o| o.sequence < next.sequence);
            if orders.open.try_insert(at, next).is_err() {
                defensive!("an order that filled left no room");
                continue;
            }
            notes.came_in(&of, market, next.sequence);
        }
        notes.leave();
    }

    /// Sets free what an order hides. Returns its lots.
    fn give_up_hidden(&mut self, of: &AccountRef<T::AccountId>, order: &Locator) -> Lots {
        let touched = self.account(of);
        let (lots, reserve) = touched.orders.hidden(order.sequence);
        if lots > 0 {
            touched.orders.hide(order.sequence, 0, 0);
            touched.release(order.market, order.side, lots, reserve);
        }
        lots
    }

    fn say_cancelled(
        &mut self,
        of: &AccountRef<T::AccountId>,
        order: &Locator,
        lots: Lots,
        reason: CancelReason,
    ) {
        let cancelled = CancelledOrder {
            account: of.clone(),
            sequence: order.sequence,
            lots,
            reason,
        };
        let here = self.cancelled.entry(order.market).or_default();
        here.push(cancelled);
    }

    /// Cancels `lots` of an order, and all that it hides, and says so. What excludes it stands, once it is gone by itself.
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
        let lots = lots.min(order.lots);
        if lots > 0 {
            self.take(of, sequence, lots);
            let hidden = self.give_up_hidden(of, &order);
            if lots == order.lots {
                self.account(of).orders.part(sequence);
            }
            self.say_cancelled(of, &order, lots.saturating_add(hidden), reason);
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

    /// Writes the book, and returns what the accounts have to take over.
    pub fn write(self) -> Vec<Release<T::AccountId>> {
        let Self {
            books,
            accounts,
            cancelled,
            unowned,
            ..
        } = self;
        books.write();
        triggers::count_unowned::<T>(unowned);
        for (market, orders) in cancelled {
            deposit_cancelled::<T>(market, orders);
        }
        accounts
            .into_iter()
            .filter(|(_, touched)| touched.changed)
            .filter_map(|(account, mut touched)| {
                // The block's extrinsics are over.
                touched.orders.enter(BlockNumber::MAX);
                Some(Release {
                    account,
                    margin: touched.released.into_values().collect(),
                    open: touched.orders.to_bytes(),
                    disarmed: touched.disarmed,
                    read: touched.account?,
                })
            })
            .collect()
    }
}

pub(crate) fn deposit_cancelled<T: Config>(
    market: MarketId,
    orders: Vec<CancelledOrder<T::AccountId>>,
) {
    for orders in orders.chunks(ORDERS_PER_EVENT) {
        Pallet::<T>::deposit_event(Event::Cancelled {
            market,
            orders: orders.to_vec(),
        });
    }
}

/// Notes for the close, by market: what one extrinsic leaves to a market is appended at once.
pub(crate) struct Notes<T: Config>(BTreeMap<MarketId, Vec<Note<T::AccountId>>>);

impl<T: Config> Default for Notes<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Config> Notes<T> {
    /// An order came in.
    pub fn came_in(&mut self, of: &AccountRef<T::AccountId>, market: MarketId, sequence: Sequence) {
        self.0.entry(market).or_default().push(Note::New {
            account: of.clone(),
            sequence,
        });
    }

    /// A resting order has `lots` left.
    pub fn shrank(&mut self, of: &AccountRef<T::AccountId>, order: &Locator, lots: Lots) {
        if let Some((market, side, group, page)) = page_of(order) {
            self.0.entry(market).or_default().push(Note::Shrank {
                account: of.clone(),
                sequence: order.sequence,
                side,
                group,
                page,
                lots,
            });
        }
    }

    /// Leaves them to the close.
    pub fn leave(self) {
        for (market, notes) in self.0 {
            Intake::<T>::append(market, notes);
        }
    }

    /// Those that a market's close finds.
    pub fn of(market: MarketId) -> Vec<Note<T::AccountId>> {
        Intake::<T>::get(market).into_iter().flatten().collect()
    }
}

/// Cancels every open order, trigger and TWAP of an account outside a match, and clears what its margin holds for them.
pub(crate) fn cancel_all<T: Config>(
    of: &AccountRef<T::AccountId>,
    account: &mut MarginAccount,
    reason: CancelReason,
) -> u32 {
    let orders = AccountOrders::of(account);
    account.orders.truncate(0);
    account.open.truncate(0);
    let mut cancelled: BTreeMap<MarketId, Vec<CancelledOrder<T::AccountId>>> = BTreeMap::new();
    let mut notes = Notes::<T>::default();
    for order in &orders.open {
        notes.shrank(of, order, 0);
        // Of a TWAP's slice, its TWAP says so.
        if orders
            .find_twap(OrderTarget::Sequence(order.sequence))
            .is_some()
        {
            continue;
        }
        let (hidden, _) = orders.hidden(order.sequence);
        cancelled
            .entry(order.market)
            .or_default()
            .push(CancelledOrder {
                account: of.clone(),
                sequence: order.sequence,
                lots: order.lots.saturating_add(hidden),
                reason,
            });
    }
    notes.leave();
    let twaps = due::leave_behind::<T>(of, &orders, reason);
    for (market, left) in triggers::leave_behind::<T>(of, account, reason)
        .into_iter()
        .chain(twaps)
    {
        cancelled.entry(market).or_default().push(left);
    }
    let mut many = 0usize;
    for (market, orders) in cancelled {
        many = many.saturating_add(orders.len());
        deposit_cancelled::<T>(market, orders);
    }
    u32::try_from(many).unwrap_or(u32::MAX)
}

/// The orders that came in and are still open, in canonical order, each with its account.
pub(crate) fn new_orders<T: Config>(
    market: MarketId,
    notes: &[Note<T::AccountId>],
    changes: &mut Changes<T>,
) -> Vec<(AccountRef<T::AccountId>, Locator)> {
    let mut by_account = BTreeMap::<&AccountRef<T::AccountId>, Vec<Sequence>>::new();
    for note in notes {
        if let Note::New { account, sequence } = note {
            by_account.entry(account).or_default().push(*sequence);
        }
    }
    let mut found = Vec::new();
    for (account, mut sequences) in by_account {
        sequences.sort_unstable();
        let orders = &changes.account(account).orders;
        for order in sequences
            .into_iter()
            .filter_map(|sequence| orders.get(sequence))
        {
            if order.market == market && order.place == Place::Intake {
                found.push((account.clone(), *order));
            }
        }
    }
    found
}

/// Ends the intake of a market.
pub(crate) fn clear_intake<T: Config>(market: MarketId) {
    Waiting::<T>::remove(market);
    Intake::<T>::remove(market);
}
