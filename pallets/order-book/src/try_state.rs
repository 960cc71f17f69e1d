//! What always holds, as equalities.

use crate::{
    book::group_of,
    due,
    triggers::key_of,
    types::{AccountOrders, Note, PageKey, Place, Slot},
    Armed, Config, Directories, Due, Expiries, ExpiryCounts, Intake, Pages, Pallet, Reaches,
    TriggerExpiries, Unowned,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use codec::Encode;
use frame_support::ensure;
use novate_types::{
    AccountRef, Arrangement, CurrentView, Ledger, MarginAccount, MarketId, OrderAggregate,
    Sequence, Side, Ticks, MAX_MARKETS, MAX_OPEN_ORDERS,
};
use sp_runtime::TryRuntimeError;

/// Accounts read at once.
const BATCH: u32 = 1_000;

/// Orders in the intake.
type Waiting<AccountId> = BTreeSet<(MarketId, AccountRef<AccountId>, Sequence)>;
/// Orders by page.
type Book<AccountId> = BTreeMap<PageKey, Vec<Slot<AccountId>>>;

impl<T: Config> Pallet<T> {
    /// Checks, between extrinsics as well as between blocks:
    ///
    /// 1. what the ledger holds for an account's orders is the sum over its open orders;
    /// 2. resting orders and slots of pages correspond one to one, and agree, after what notes say of them;
    /// 3. orders in the intake and the intake's notes of them correspond one to one;
    /// 4. directories count every page;
    /// 5. no book is crossed, unless an auction is to uncross it;
    /// 6. entries of the expiry index are as many as counted;
    /// 7. triggers and keys of their index correspond one to one, those left behind counted; so do keys and expiries; an account's are
    ///    sorted, of other client ids than its orders, and with these no more than can be open; reaches are in the order of their blocks;
    /// 8. an account without open orders is stored only until the close that forgets it, or for its arrangements, and orders that wait
    ///    are noted;
    /// 9. what is hidden belongs to an open order, one entry an order; of a pair both are there and at most one is an order; pegged
    ///    orders are within their worst limits; these and TWAPs and keys of their index correspond one to one, those left behind counted with the triggers'.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        let pages = Self::pages_after_notes()?;
        let mut rest = 0usize;
        let mut waiting = BTreeSet::new();
        let mut armed = BTreeSet::new();
        let mut due = BTreeSet::new();
        let emptied: BTreeSet<_> = crate::Emptied::<T>::get().into_iter().collect();
        let mut last = None;
        loop {
            let accounts = T::Ledger::accounts_after(last.as_ref(), BATCH);
            for of in &accounts {
                let account = T::Ledger::account(of).ok_or("an account is not in the ledger")?;
                let stays = !account.open.is_empty() && !emptied.contains(of);
                rest = rest.saturating_add(Self::check_orders(
                    of,
                    &account,
                    stays,
                    &pages,
                    &mut waiting,
                )?);
                Self::check_triggers(of, &account, &mut armed)?;
                Self::check_arrangements(of, &account, &mut due)?;
            }
            last = accounts.into_iter().next_back();
            if last.is_none() {
                break;
            }
        }
        Self::check_intake(waiting)?;
        Self::check_book(&pages, rest)?;
        Self::check_expiries()?;
        Self::check_index(armed, due)
    }

    /// The triggers of one account.
    fn check_triggers(
        of: &AccountRef<T::AccountId>,
        account: &MarginAccount,
        armed: &mut BTreeSet<Vec<u8>>,
    ) -> Result<(), TryRuntimeError> {
        let (orders, triggers) = (AccountOrders::of(account), &account.triggers);
        let mut ascending = triggers.iter().zip(triggers.iter().skip(1));
        ensure!(
            ascending.all(|(a, b)| a.sequence < b.sequence),
            "triggers are not sorted by sequence"
        );
        let open = orders.places().saturating_add(triggers.len());
        ensure!(
            u32::try_from(open).is_ok_and(|n| n <= MAX_OPEN_ORDERS),
            "more orders and triggers than can be open"
        );
        for trigger in triggers {
            let id = trigger.terms.order.client_id;
            ensure!(
                !orders.has_client(id),
                "a trigger and an order have one client id"
            );
            let key = key_of(of, trigger);
            ensure!(
                Armed::<T>::get(&key) == Some(trigger.terms.expires),
                "a trigger is not in the index"
            );
            armed.insert(key.encode());
        }
        Ok(())
    }

    /// The icebergs, pairs and TWAPs of one account.
    fn check_arrangements(
        of: &AccountRef<T::AccountId>,
        account: &MarginAccount,
        due: &mut BTreeSet<Vec<u8>>,
    ) -> Result<(), TryRuntimeError> {
        let orders = AccountOrders::of(account);
        let is_trigger = |sequence| account.triggers.iter().any(|t| t.sequence == sequence);
        let mut hiding = BTreeSet::new();
        let mut paired = BTreeSet::new();
        for arrangement in &orders.arrangements {
            match arrangement {
                Arrangement::Hidden {
                    sequence,
                    display,
                    lots,
                    ..
                } => {
                    ensure!(
                        orders.get(*sequence).is_some() && hiding.insert(*sequence),
                        "lots are hidden that belong to no order"
                    );
                    ensure!(*display > 0 && *lots > 0, "an iceberg hides nothing");
                }
                Arrangement::Pair(one, other) => {
                    ensure!(
                        (orders.get(*one).is_some() || is_trigger(*one)) && is_trigger(*other),
                        "one of a pair is not there"
                    );
                    ensure!(
                        paired.insert(*one) && paired.insert(*other),
                        "an order or trigger is in two pairs"
                    );
                }
                Arrangement::Peg(peg) => {
                    let key = due::look_of(of, peg);
                    ensure!(
                        Due::<T>::contains_key(&key) && due.insert(key.encode()),
                        "a pegged order is not in the index"
                    );
                    let held = orders.get(peg.sequence);
                    ensure!(
                        held.is_some_and(|o| o.side.accepts(peg.worst, o.ticks)),
                        "a pegged order is not there, or beyond its worst limit"
                    );
                }
                Arrangement::Twap(twap) => {
                    let key = due::slice_of(of, twap);
                    ensure!(
                        Due::<T>::contains_key(&key) && due.insert(key.encode()),
                        "a TWAP is not in the index"
                    );
                }
            }
        }
        Ok(())
    }

    /// The indices of triggers and TWAPs, of which `armed` and `due` are owned.
    fn check_index(
        armed: BTreeSet<Vec<u8>>,
        due: BTreeSet<Vec<u8>>,
    ) -> Result<(), TryRuntimeError> {
        let (mut unowned, mut expiring) = (0u32, 0usize);
        for (key, expires) in Armed::<T>::iter() {
            if !armed.contains(&key.encode()) {
                unowned = unowned.saturating_add(1);
            }
            if let Some(block) = expires {
                expiring = expiring.saturating_add(1);
                let expiry = TriggerExpiries::<T>::get((block.to_be_bytes(), &key.4, key.5));
                ensure!(expiry == Some(key), "a trigger's expiry is not known");
            }
        }
        for key in Due::<T>::iter_keys() {
            if !due.contains(&key.encode()) {
                unowned = unowned.saturating_add(1);
            }
        }
        ensure!(
            unowned == Unowned::<T>::get(),
            "keys left behind by triggers or TWAPs are miscounted"
        );
        ensure!(
            TriggerExpiries::<T>::iter_keys().count() == expiring,
            "an expiry is known of no trigger"
        );
        let reaches = Reaches::<T>::get();
        let mut ascending = reaches.iter().zip(reaches.iter().skip(1));
        ensure!(
            ascending.all(|(a, b)| a.block <= b.block),
            "reaches are not in the order of their blocks"
        );
        Ok(())
    }

    /// The orders of one account; says how many of them rest. `has_some`: bytes of orders are stored, and the close will not
    /// forget them.
    fn check_orders(
        of: &AccountRef<T::AccountId>,
        account: &MarginAccount,
        has_some: bool,
        pages: &Book<T::AccountId>,
        waiting: &mut Waiting<T::AccountId>,
    ) -> Result<usize, TryRuntimeError> {
        let orders = AccountOrders::of(account);
        ensure!(
            !has_some || !orders.open.is_empty() || !orders.arrangements.is_empty(),
            "what an account without open orders cancelled stays"
        );
        let mut rest = 0usize;
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
            let whole = orders.whole(order).map_err(|_| "an iceberg overflows")?;
            *side = side.checked_add(whole.lots).ok_or("lots overflow")?;
            sum.reserve = sum
                .reserve
                .checked_add(whole.reserve)
                .ok_or("reserve overflows")?;
            match order.place {
                Place::Intake => {
                    waiting.insert((order.market, of.clone(), order.sequence));
                }
                Place::Page(page) => {
                    rest = rest.saturating_add(1);
                    let key = (order.market, order.side, group_of(order.ticks), page);
                    let slots = pages.get(&key).ok_or("an order's page is not there")?;
                    let held = slots
                        .iter()
                        .find(|s| s.account == *of && s.sequence == order.sequence)
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
        ensure!(
            sums.into_values().collect::<Vec<_>>() == account.orders.to_vec(),
            "the ledger's order margin is not the sum of the account's orders"
        );
        Ok(rest)
    }

    /// Pages as the close will find them once it has read the notes.
    fn pages_after_notes() -> Result<Book<T::AccountId>, TryRuntimeError> {
        let mut pages: Book<T::AccountId> = Pages::<T>::iter()
            .map(|(key, slots)| (key, slots.into_inner()))
            .collect();
        for (market, notes) in Intake::<T>::iter() {
            for note in notes.into_iter().flatten() {
                let Note::Shrank {
                    account,
                    sequence,
                    side,
                    group,
                    page,
                    lots,
                } = note
                else {
                    continue;
                };
                let slots = pages.get_mut(&(market, side, group, page));
                let slots = slots.ok_or("a note names a page that is not there")?;
                let at = slots
                    .iter()
                    .position(|s| s.account == account && s.sequence == sequence)
                    .ok_or("a note names a slot that is not there")?;
                if lots == 0 {
                    slots.remove(at);
                } else if let Some(slot) = slots.get_mut(at) {
                    slot.lots = lots;
                }
            }
        }
        Ok(pages)
    }

    fn check_intake(waiting: Waiting<T::AccountId>) -> Result<(), TryRuntimeError> {
        let mut noted = BTreeSet::new();
        for (market, notes) in Intake::<T>::iter() {
            for note in notes.into_iter().flatten() {
                if let Note::New { account, sequence } = note {
                    let waits = Self::orders(&account)
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
            let new = notes
                .iter()
                .flatten()
                .filter(|n| matches!(n, Note::New { .. }));
            ensure!(
                u32::try_from(new.count()).is_ok_and(|n| n >= waiting),
                "more orders wait than are noted"
            );
        }
        Ok(())
    }

    fn check_book(pages: &Book<T::AccountId>, rest: usize) -> Result<(), TryRuntimeError> {
        let now = Self::now();
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
        for (key, page) in pages {
            let (market, side, group, _) = *key;
            let stored = Pages::<T>::decode_len(key).unwrap_or(0);
            ensure!(stored > 0, "an empty page did not disappear");
            let count = counted.remove(key).ok_or("a page is in no directory")?;
            ensure!(count == stored, "a directory miscounts one of its pages");
            slots = slots.saturating_add(page.len());
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
            counted.into_values().all(|orders| orders == 0),
            "a directory counts a page that is not there"
        );
        ensure!(
            slots == rest,
            "slots and resting orders are not equally many"
        );
        // A market that halts before its auction has another when it opens.
        let view = T::View::view();
        let may_cross = |market: MarketId| {
            let market = view.market(market);
            market.is_ok_and(|m| m.is_in_auction() || !m.status.allows_matching())
        };
        ensure!(
            best.into_iter()
                .all(|(market, (bid, ask))| bid < ask || may_cross(market)),
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
