//! Work of every close that needs no match: the intake of halted markets, expiries of orders and of contracts, evictions, and the quotes of
//! the books these change. Each kind is bounded; what is left waits for the next close and does not match meanwhile.

use crate::{
    changes::{clear_intake, new_orders, Changes, Notes},
    close::{matches, Ties},
    rested, triggers,
    types::{
        Group, Locator, Note, PageKey, Upkept, EXPIRY_PAGE, EXPIRY_READS, MAX_WAITING, NOTE_READS,
    },
    Config, Emptied, Evicting, Expiries, ExpiryCounts, ExpiryCursor, Intake, Pallet, Reads,
    UpkeptNow, Waiting,
};
use alloc::{collections::BTreeSet, vec::Vec};
use frame_support::traits::Get;
use novate_types::{
    AccountRef, BlockNumber, CancelReason, Ledger, MarketId, Release, RiskView, Sequence, Side,
};

/// All of it. To be called after the markets matched. Returns the releases.
pub(crate) fn housekeep<T: Config>(view: &RiskView) -> Vec<Release<T::AccountId>> {
    let now = Pallet::<T>::now();
    let expired_triggers = triggers::expire::<T>(view, now);
    let mut changes = Changes::<T>::default();
    let mut dirty = BTreeSet::new();
    let mut read = Reads::<T>::take();
    let mut left = T::BlockReads::get().saturating_sub(read);
    for market in &view.markets {
        let notes = Notes::<T>::of(market.id);
        if notes.is_empty() {
            continue;
        }
        // Whoever reads a page after this finds in it what is open.
        if changes.books.heed(market.id, &notes) {
            dirty.insert(market.id);
        }
        let came_in = count_new(&notes);
        if matches(market) && came_in > 0 {
            // The market had no turn in this close, or icebergs showed their next part at its end: these orders wait for the next.
            let cost = came_in.saturating_mul(NOTE_READS);
            // What this close has no room to sort out, another will: each adds what one block's orders prepaid.
            let waiting = if came_in > MAX_WAITING && cost <= left {
                left = left.saturating_sub(cost);
                read = read.saturating_add(cost);
                keep_the_first::<T>(market.id, &notes, &mut changes)
            } else {
                let mut waiting: Vec<_> = notes.into_iter().filter(is_new).collect();
                // The order in which they came in leaves no trace.
                waiting.sort_unstable();
                waiting
            };
            Waiting::<T>::insert(market.id, count_new(&waiting));
            Intake::<T>::insert(market.id, alloc::vec![waiting]);
            continue;
        }
        for (of, order) in new_orders::<T>(market.id, &notes, &mut changes) {
            changes.cancel(&of, order.sequence, CancelReason::MarketRestricted);
        }
        clear_intake::<T>(market.id);
    }
    let expired = expire::<T>(now, &mut changes, &mut dirty);
    // Each has pages of its own: books that are pushed over their bound do not keep the markets that have ended.
    let most = T::UpkeepPages::get();
    let mut pages = most;
    evict::<T>(&mut pages, &mut changes, &mut dirty);
    let evicted = pages < most;
    pages = most;
    for market in view.ended() {
        empty::<T>(market.id, &mut pages, &mut changes, &mut dirty);
    }
    let emptied = pages < most;
    changes.books.recount_changed();
    for market in view.markets.iter().filter(|m| dirty.contains(&m.id)) {
        rested::refresh::<T>(market, now, &mut changes.books);
    }
    for of in Emptied::<T>::take() {
        // Its owner may have closed it since.
        if T::Ledger::account(&of).is_some() {
            changes.forget(&of);
        }
    }
    UpkeptNow::<T>::put(Upkept {
        read,
        pages: [expired || evicted, emptied]
            .into_iter()
            .filter(|any| *any)
            .fold(0, |sum: u32, _| sum.saturating_add(most)),
        refreshed: u32::try_from(dirty.len()).unwrap_or(u32::MAX),
        markets: u32::try_from(view.markets.len()).unwrap_or(u32::MAX),
        triggers: expired_triggers,
    });
    changes.write()
}

fn count_new<AccountId>(notes: &[Note<AccountId>]) -> u32 {
    u32::try_from(notes.iter().filter(|note| is_new(note)).count()).unwrap_or(u32::MAX)
}

const fn is_new<AccountId>(note: &Note<AccountId>) -> bool {
    matches!(note, Note::New { .. })
}

/// Cancels the orders that wait beyond [`MAX_WAITING`], those of the latest blocks first and by hash within a block. Returns
/// the notes of those that go on waiting.
fn keep_the_first<T: Config>(
    market: MarketId,
    notes: &[Note<T::AccountId>],
    changes: &mut Changes<T>,
) -> Vec<Note<T::AccountId>> {
    let mut waiting = new_orders::<T>(market, notes, changes);
    let ties = Ties::now::<T>();
    waiting.sort_by_cached_key(|(of, order)| (order.block, ties.of(of, order.sequence)));
    let most = usize::try_from(MAX_WAITING).unwrap_or(usize::MAX);
    let beyond = waiting.split_off(most.min(waiting.len()));
    for (of, order) in beyond {
        changes.cancel(&of, order.sequence, CancelReason::MarketRestricted);
    }
    let note = |(account, order): (_, Locator)| Note::New {
        account,
        sequence: order.sequence,
    };
    waiting.into_iter().map(note).collect()
}

/// Orders whose block of expiry has come leave, a few pages of them a close. An entry whose order left before counts only towards
/// the greater bound of pages read. Returns whether any was looked at.
fn expire<T: Config>(
    now: BlockNumber,
    changes: &mut Changes<T>,
    dirty: &mut BTreeSet<MarketId>,
) -> bool {
    let mut any = false;
    let (mut block, mut page) = ExpiryCursor::<T>::get();
    let start = (block, page);
    let mut orders = T::UpkeepPages::get().saturating_mul(EXPIRY_PAGE);
    // Each step ends a block or works off a page; the cursor keeps up with one block a close.
    for _ in 0..T::UpkeepPages::get().saturating_mul(EXPIRY_READS) {
        if block > now || orders < EXPIRY_PAGE {
            break;
        }
        let first = page.saturating_mul(EXPIRY_PAGE);
        if first >= ExpiryCounts::<T>::get(block) {
            ExpiryCounts::<T>::remove(block);
            (block, page) = (block.saturating_add(1), 0);
            continue;
        }
        any = true;
        for (of, sequence) in Expiries::<T>::take((block, page)) {
            if let Some(order) = changes.order(&of, sequence) {
                dirty.insert(order.market);
                changes.cancel(&of, sequence, CancelReason::Expired);
                orders = orders.saturating_sub(1);
            }
        }
        page = page.saturating_add(1);
    }
    if (block, page) != start {
        ExpiryCursor::<T>::put((block, page));
    }
    any
}

/// Orders of evicted groups leave, as long as there are `pages` to be removed in this close.
fn evict<T: Config>(pages: &mut u32, changes: &mut Changes<T>, dirty: &mut BTreeSet<MarketId>) {
    let mut sides = Evicting::<T>::get();
    if sides.is_empty() {
        return;
    }
    while let (Some((market, side)), true) = (sides.first().copied(), *pages > 0) {
        let group = changes.books.first_evicted(market, side);
        let Some(page) = group.and_then(|group| last_page(market, side, &group)) else {
            sides.remove(0);
            continue;
        };
        remove_page::<T>(page, CancelReason::BookFull, changes);
        dirty.insert(market);
        *pages = pages.saturating_sub(1);
    }
    Evicting::<T>::put(sides);
}

/// What rests in a market whose contract has expired leaves, as long as there are `pages` to be removed in this close.
fn empty<T: Config>(
    market: MarketId,
    pages: &mut u32,
    changes: &mut Changes<T>,
    dirty: &mut BTreeSet<MarketId>,
) {
    for side in [Side::Bid, Side::Ask] {
        while *pages > 0 {
            let group = changes.books.first_group(market, side);
            let Some(page) = group.and_then(|group| last_page(market, side, &group)) else {
                break;
            };
            remove_page::<T>(page, CancelReason::Expired, changes);
            dirty.insert(market);
            *pages = pages.saturating_sub(1);
        }
    }
}

/// The last page of a group, so that those before keep their numbers.
fn last_page(market: MarketId, side: Side, group: &Group) -> Option<PageKey> {
    let last = u16::try_from(group.pages.len()).ok()?.checked_sub(1)?;
    Some((market, side, group.id, last))
}

fn remove_page<T: Config>(key: PageKey, reason: CancelReason, changes: &mut Changes<T>) {
    let orders: Vec<(AccountRef<T::AccountId>, Sequence)> = changes
        .books
        .slots(key)
        .map(|order| (order.account, order.sequence))
        .collect();
    for (of, sequence) in orders {
        changes.cancel(&of, sequence, reason);
    }
    changes.books.recount(key);
}
