//! The resting book: tick groups, their pages, and a directory of groups per side.
//!
//! The price fixes the group: the eleven leading binary digits of its ticks, so a group is between 1/2048 and 1/1024 of the
//! price wide, whatever the market, and one tick below 2,048. Group numbers ascend with the price. An order stays in the page in
//! which it came to rest; a hole is filled by the next order that joins the group, and an empty page is removed.
//!
//! Extrinsics write neither pages nor directories: they leave notes, and each close reads a page that any of them names
//! once, however many orders left it.

use crate::{
    page::RawPage,
    types::{Directory, Group, Note, PageKey, Slot, PAGE_SLOTS},
    Config, Directories, Pages,
};
use alloc::{collections::BTreeMap, vec::Vec};
use core::cmp::Ordering;
use frame_support::{defensive, storage::unhashed, BoundedVec};
use novate_types::{AccountRef, BlockNumber, Lots, MarketId, Sequence, Side, Ticks};

/// Groups of one order of magnitude (to base two): what ten binary digits after the leading one tell apart.
const GROUPS: u64 = 1 << GROUP_DIGITS;
const GROUP_DIGITS: u32 = 10;

/// The tick group of a price.
pub fn group_of(ticks: Ticks) -> u16 {
    let digits = Ticks::BITS.saturating_sub(ticks.leading_zeros());
    let dropped = digits.saturating_sub(GROUP_DIGITS.saturating_add(1));
    let kept = ticks.checked_shr(dropped).unwrap_or(0);
    // At most 53 · 1,024 + 2,047, below 2¹⁶.
    let group = GROUPS
        .saturating_mul(u64::from(dropped))
        .saturating_add(kept);
    u16::try_from(group).unwrap_or(u16::MAX)
}

/// The lowest and the highest price of a tick group.
pub fn group_range(group: u16) -> (Ticks, Ticks) {
    let group = u64::from(group);
    let dropped = group.checked_div(GROUPS).unwrap_or(0).saturating_sub(1);
    let kept = group.saturating_sub(GROUPS.saturating_mul(dropped));
    let width = u32::try_from(dropped)
        .ok()
        .and_then(|n| 1u64.checked_shl(n))
        .unwrap_or(u64::MAX);
    let low = kept.saturating_mul(width);
    (low, low.saturating_add(width.saturating_sub(1)))
}

/// Whether `a` is the better price for an incoming order to meet on `side`; `Less` comes first.
pub fn best_first(side: Side, a: Ticks, b: Ticks) -> Ordering {
    match side {
        Side::Bid => b.cmp(&a),
        Side::Ask => a.cmp(&b),
    }
}

struct CachedPage<AccountId> {
    orders: RawPage<AccountId>,
    changed: bool,
}

/// Pages and directories read so far, each read once and written at most once.
pub(crate) struct Books<T: Config> {
    pages: BTreeMap<PageKey, CachedPage<T::AccountId>>,
    directories: BTreeMap<(MarketId, Side), (Directory, bool)>,
}

impl<T: Config> Default for Books<T> {
    fn default() -> Self {
        Self {
            pages: BTreeMap::new(),
            directories: BTreeMap::new(),
        }
    }
}

impl<T: Config> Books<T> {
    fn page(&mut self, key: PageKey) -> &mut CachedPage<T::AccountId> {
        self.pages.entry(key).or_insert_with(|| {
            let stored = unhashed::get_raw(&Pages::<T>::hashed_key_for(key));
            let orders = RawPage::parse(stored.as_deref()).unwrap_or_else(|| {
                defensive!("a page of the book cannot be read");
                RawPage::default()
            });
            CachedPage {
                orders,
                changed: false,
            }
        })
    }

    fn directory(&mut self, market: MarketId, side: Side) -> &mut (Directory, bool) {
        self.directories
            .entry((market, side))
            .or_insert_with(|| (Directories::<T>::get((market, side)), false))
    }

    /// Brings the pages up to date with what notes of a market say. Returns whether any did.
    pub fn heed(&mut self, market: MarketId, notes: &[Note<T::AccountId>]) -> bool {
        let mut any = false;
        for note in notes {
            if let Note::Shrank {
                account,
                sequence,
                side,
                group,
                page,
                lots,
            } = note
            {
                let key = (market, *side, *group, *page);
                any |= self.resize(key, account, *sequence, *lots);
            }
        }
        if any {
            self.recount_changed();
        }
        any
    }

    /// Takes an order out of its page.
    pub fn remove(
        &mut self,
        key: PageKey,
        account: &AccountRef<T::AccountId>,
        sequence: Sequence,
    ) -> bool {
        self.resize(key, account, sequence, 0)
    }

    /// Sets what remains of an order in its page.
    pub fn resize(
        &mut self,
        key: PageKey,
        account: &AccountRef<T::AccountId>,
        sequence: Sequence,
        lots: Lots,
    ) -> bool {
        let page = self.page(key);
        if !page.orders.resize(account, sequence, lots) {
            defensive!("a locator leads to a slot that is not there");
            return false;
        }
        page.changed = true;
        true
    }

    /// Puts an order into its price's group, and returns the page. `None` if the group is full or the side takes no group
    /// so far from the market; a new group nearer than the farthest of a full side evicts that one.
    pub fn join(&mut self, market: MarketId, side: Side, slot: Slot<T::AccountId>) -> Option<u16> {
        let id = group_of(slot.ticks);
        let (directory, changed) = self.directory(market, side);
        if directory.evicted.iter().any(|g| g.id == id) {
            return None;
        }
        if directory
            .groups
            .binary_search_by_key(&id, |g| g.id)
            .is_err()
        {
            if directory.groups.is_full() {
                let farthest = match side {
                    Side::Bid => 0,
                    Side::Ask => directory.groups.len().saturating_sub(1),
                };
                let last = directory.groups.get(farthest)?.id;
                let nearer = best_first(side, Ticks::from(id), Ticks::from(last)).is_lt();
                if !nearer || directory.evicted.is_full() {
                    return None;
                }
                let evicted = directory.groups.remove(farthest);
                directory.evicted.try_push(evicted).ok()?;
            }
            let at = directory.groups.partition_point(|g| g.id < id);
            let group = Group {
                id,
                pages: BoundedVec::new(),
            };
            directory.groups.try_insert(at, group).ok()?;
            *changed = true;
        }
        let at = directory.groups.binary_search_by_key(&id, |g| g.id).ok()?;
        let pages = &mut directory.groups.get_mut(at)?.pages;
        let page = match pages.iter().position(|n| u32::from(*n) < PAGE_SLOTS) {
            Some(page) => page,
            None => {
                pages.try_push(0).ok()?;
                pages.len().saturating_sub(1)
            }
        };
        let count = pages.get_mut(page)?;
        *count = count.saturating_add(1);
        *changed = true;
        let page = u16::try_from(page).ok()?;
        let cached = self.page((market, side, id, page));
        cached.orders.push(&slot);
        cached.changed = true;
        Some(page)
    }

    /// Tick groups of a side that match, best first.
    pub fn groups(&mut self, market: MarketId, side: Side) -> Vec<u16> {
        let ids = self.directory(market, side).0.groups.iter().map(|g| g.id);
        match side {
            Side::Bid => ids.rev().collect(),
            Side::Ask => ids.collect(),
        }
    }

    /// The first evicted group of a side, with its pages.
    pub fn first_evicted(&mut self, market: MarketId, side: Side) -> Option<Group> {
        self.directory(market, side).0.evicted.first().cloned()
    }

    /// The first group of a side that matches, with its pages.
    pub fn first_group(&mut self, market: MarketId, side: Side) -> Option<Group> {
        self.directory(market, side).0.groups.first().cloned()
    }

    /// Whether groups of the side wait to be removed.
    pub fn evicts(&mut self, market: MarketId, side: Side) -> bool {
        !self.directory(market, side).0.evicted.is_empty()
    }

    /// The orders of one page.
    pub fn slots(&mut self, key: PageKey) -> impl Iterator<Item = Slot<T::AccountId>> + '_ {
        self.page(key).orders.orders()
    }

    /// The `most` best orders of one matching group that stand at the close of block `now`, best price first, then by cohort,
    /// account and sequence; and how many orders were read for it, expired ones included.
    pub fn standing(
        &mut self,
        market: MarketId,
        side: Side,
        group: u16,
        now: BlockNumber,
        most: u32,
    ) -> (Vec<Slot<T::AccountId>>, u32) {
        let pages = {
            let groups = &self.directory(market, side).0.groups;
            groups
                .binary_search_by_key(&group, |g| g.id)
                .ok()
                .and_then(|at| groups.get(at))
                .map_or(0, |g| g.pages.len())
        };
        let mut found = Vec::new();
        let mut read = 0u32;
        for page in 0..u16::try_from(pages).unwrap_or(u16::MAX) {
            let orders = &mut self.page((market, side, group, page)).orders;
            read = read.saturating_add(orders.len());
            found.extend(orders.orders().filter(|order| order.stands(now)));
        }
        let priority = |a: &Slot<T::AccountId>, b: &Slot<T::AccountId>| {
            best_first(side, a.ticks, b.ticks)
                .then_with(|| a.block.cmp(&b.block))
                .then_with(|| a.account.cmp(&b.account))
                .then_with(|| a.sequence.cmp(&b.sequence))
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if found.len() > most {
            found.select_nth_unstable_by(most, priority);
            found.truncate(most);
        }
        found.sort_unstable_by(priority);
        (found, read)
    }

    /// Counts a page again in its directory; a group without orders leaves it.
    pub fn recount(&mut self, (market, side, group, page): PageKey) {
        let orders = self.page((market, side, group, page)).orders.len();
        let orders = u8::try_from(orders).unwrap_or(u8::MAX);
        let (directory, changed) = self.directory(market, side);
        let Directory { groups, evicted } = directory;
        let Some(found) = groups
            .iter_mut()
            .chain(evicted.iter_mut())
            .find(|g| g.id == group)
        else {
            // The group emptied before, and left.
            return;
        };
        let Some(count) = found.pages.get_mut(usize::from(page)) else {
            return;
        };
        if *count == orders {
            return;
        }
        *count = orders;
        *changed = true;
        while found.pages.last() == Some(&0) {
            found.pages.pop();
        }
        if found.pages.is_empty() {
            groups.retain(|g| g.id != group);
            evicted.retain(|g| g.id != group);
        }
    }

    /// Counts every page that was changed.
    pub fn recount_changed(&mut self) {
        let changed: Vec<PageKey> = self
            .pages
            .iter()
            .filter(|(_, page)| page.changed)
            .map(|(key, _)| *key)
            .collect();
        for key in changed {
            self.recount(key);
        }
    }

    /// Writes pages and directories: the end of a close's work on them.
    pub fn write(mut self) {
        self.recount_changed();
        for (key, (directory, changed)) in core::mem::take(&mut self.directories) {
            match (changed, directory.is_empty()) {
                (false, _) => {}
                (true, true) => Directories::<T>::remove(key),
                (true, false) => Directories::<T>::insert(key, directory),
            }
        }
        self.write_pages();
    }

    fn write_pages(self) {
        for (key, page) in self.pages.into_iter().filter(|(_, page)| page.changed) {
            let at = Pages::<T>::hashed_key_for(key);
            match page.orders.stored() {
                Some(stored) => unhashed::put_raw(&at, &stored),
                None => unhashed::kill(&at),
            }
        }
    }
}
