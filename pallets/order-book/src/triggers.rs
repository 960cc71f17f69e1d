//! Stops and take-profits: orders that wait in their account until the mark reaches a level.
//!
//! **Index.** A trigger is one key, `(market, direction, rank, tie, account, sequence)`, in which the rank of a level grows with
//! its distance from the side that the mark comes from. Storage keeps keys in order, so the triggers that a mark has fired are those at
//! the front of their market and direction: nothing else is looked at, and the order in which extrinsics came leaves no trace.
//!
//! **Firing.** What a close's mark has reached is noted as one [`Reach`], whatever the number of triggers behind it, and worked off
//! from the oldest reach on, the nearest level first. What a close has no room for has fired all the same: it goes first in
//! the next, wherever the mark is by then. So that nothing fires that came later, intake takes no trigger at a level within a reach
//! that is not worked off. A trigger can fire at the close of its own block.
//!
//! **Margin.** A trigger holds none. When it fires it is a new order to intake's own check, at the marks of this close; the order
//! is taken in, or it is cancelled by name. One that only reduces is cut to what there is to reduce.
//!
//! **Left behind.** Liquidation cancels an account's triggers in the account alone, as in a crash each key counts; so does a close in
//! which the other one of a pair executes. Their keys are counted in `Unowned` and leave when a mark or their expiry reaches them.

use crate::{
    changes::{deposit_cancelled, ORDERS_PER_EVENT},
    close::{matches, Ties},
    intake::{Held, Session},
    types::{
        AccountOrders, CancelledOrder, FiredTrigger, MaxReaches, Reach, TriggerKey, MAX_STEPS,
    },
    weights::WeightInfo,
    Armed, Config, Event, Novating, Pallet, Reaches, TriggerExpiries, Unowned,
};
use alloc::{borrow::Cow, collections::BTreeMap, vec::Vec};
use frame_support::{defensive, traits::Get, weights::Weight, BoundedVec};
use novate_types::{
    math::{ticks_ceil, ticks_floor},
    AccountRef, BlockNumber, CancelReason, Direction, Ledger, MarginAccount, MarketId, MarketView,
    RiskView, Sequence, Ticks, TimeInForce, Trigger,
};

/// Distance of a level from where the mark comes from: what fires first is the least.
const fn rank(direction: Direction, ticks: Ticks) -> Ticks {
    match direction {
        Direction::Up => ticks,
        Direction::Down => !ticks,
    }
}

/// The greatest rank that the market's mark has reached; `None` without a mark on the grid.
fn reached(market: &MarketView, direction: Direction) -> Option<Ticks> {
    // A level is reached exactly: by a rise if it is at or below the mark, by a fall if it is at or above it.
    let ticks = match direction {
        Direction::Up => ticks_floor(market.mark, market.tick_size),
        Direction::Down => ticks_ceil(market.mark, market.tick_size),
    };
    ticks.ok().map(|ticks| rank(direction, ticks))
}

/// Whether triggers of the market fire: it matches, and its price is fresh enough to liquidate on. Until then they wait, through a halt
/// and any call auction.
fn fires(market: &MarketView) -> bool {
    matches(market) && market.fresh && !market.is_in_auction()
}

/// Whether the market's mark is at the level already, or beyond it.
pub(crate) fn is_met(market: &MarketView, direction: Direction, ticks: Ticks) -> bool {
    reached(market, direction).is_some_and(|most| rank(direction, ticks) <= most)
}

/// Whether triggers of that level that fired before are still to be worked off.
pub(crate) fn are_waiting<T: Config>(market: MarketId, direction: Direction, ticks: Ticks) -> bool {
    let rank = rank(direction, ticks);
    let within = |r: &Reach| r.market == market && r.direction == direction && rank <= r.rank;
    Reaches::<T>::get().iter().any(within)
}

/// Where a trigger is found.
pub(crate) fn key_of<AccountId: Clone>(
    of: &AccountRef<AccountId>,
    trigger: &Trigger,
) -> TriggerKey<AccountId> {
    let terms = &trigger.terms;
    (
        terms.order.market.to_be_bytes(),
        terms.direction,
        rank(terms.direction, terms.ticks).to_be_bytes(),
        trigger.tie,
        of.clone(),
        trigger.sequence,
    )
}

/// Where expiries of a block are found.
const fn expiry_of(block: BlockNumber) -> [u8; 4] {
    block.to_be_bytes()
}

/// Enters a trigger into the index.
pub(crate) fn arm<T: Config>(of: &AccountRef<T::AccountId>, trigger: &Trigger) {
    let key = key_of(of, trigger);
    if let Some(block) = trigger.terms.expires {
        TriggerExpiries::<T>::insert((expiry_of(block), of.clone(), trigger.sequence), &key);
    }
    Armed::<T>::insert(key, trigger.terms.expires);
}

/// Takes a trigger out of the index.
pub(crate) fn disarm<T: Config>(of: &AccountRef<T::AccountId>, trigger: &Trigger) {
    forget::<T>(&key_of(of, trigger), trigger.terms.expires);
}

fn forget<T: Config>(key: &TriggerKey<T::AccountId>, expires: Option<BlockNumber>) {
    Armed::<T>::remove(key);
    if let Some(block) = expires {
        TriggerExpiries::<T>::remove((expiry_of(block), &key.4, key.5));
    }
}

/// The tie of a trigger of this block.
pub(crate) fn tie<T: Config>(of: &AccountRef<T::AccountId>, sequence: Sequence) -> u64 {
    Ties::now::<T>().of(of, sequence)
}

/// Counts keys whose trigger or TWAP is no longer in its account.
pub(crate) fn count_unowned<T: Config>(many: usize) {
    if many > 0 {
        let many = u32::try_from(many).unwrap_or(u32::MAX);
        Unowned::<T>::mutate(|sum| *sum = sum.saturating_add(many));
    }
}

/// A key was removed that its trigger or TWAP had left behind.
pub(crate) fn found_unowned<T: Config>() {
    Unowned::<T>::mutate(|sum| *sum = sum.saturating_sub(1));
}

/// Takes all triggers off an account, whose keys stay behind. Returns them as cancelled, by market.
pub(crate) fn leave_behind<T: Config>(
    of: &AccountRef<T::AccountId>,
    account: &mut MarginAccount,
    reason: CancelReason,
) -> Vec<(MarketId, CancelledOrder<T::AccountId>)> {
    let triggers = core::mem::take(&mut account.triggers);
    count_unowned::<T>(triggers.len());
    let cancelled = |trigger: Trigger| {
        (
            trigger.terms.order.market,
            as_cancelled(of, &trigger, reason),
        )
    };
    triggers.into_iter().map(cancelled).collect()
}

pub(crate) fn as_cancelled<AccountId: Clone>(
    of: &AccountRef<AccountId>,
    trigger: &Trigger,
    reason: CancelReason,
) -> CancelledOrder<AccountId> {
    CancelledOrder {
        account: of.clone(),
        sequence: trigger.sequence,
        lots: trigger.terms.order.lots,
        reason,
    }
}

/// What became of triggers in a close, by market, to be said at its end.
pub(crate) struct Told<AccountId> {
    pub fired: BTreeMap<MarketId, Vec<FiredTrigger<AccountId>>>,
    pub left: BTreeMap<MarketId, Vec<CancelledOrder<AccountId>>>,
}

impl<AccountId> Default for Told<AccountId> {
    fn default() -> Self {
        Self {
            fired: BTreeMap::new(),
            left: BTreeMap::new(),
        }
    }
}

impl<AccountId: Clone> Told<AccountId> {
    fn say<T: Config<AccountId = AccountId>>(self) {
        for (market, triggers) in self.fired {
            for some in triggers.chunks(ORDERS_PER_EVENT) {
                let triggers = some.to_vec();
                Pallet::<T>::deposit_event(Event::Fired { market, triggers });
            }
        }
        for (market, orders) in self.left {
            deposit_cancelled::<T>(market, orders);
        }
    }
}

/// Notes what the marks of `view` have reached, and works off as much as `room` picoseconds are enough for, then what slices are due.
/// Returns what it used.
pub(crate) fn fire<T: Config>(view: &RiskView, room: u64) -> u64 {
    let before = Reaches::<T>::get();
    let mut reaches = before.clone();
    note::<T>(view, &mut reaches);
    let mut close = Firing::<T> {
        view,
        now: Pallet::<T>::now(),
        left: room,
        told: Told::default(),
    };
    reaches.retain(|reach| !close.work_off(reach));
    // Stops come first: a slice that has no room is made up for.
    close.do_what_is_due();
    if reaches.is_empty() {
        if !before.is_empty() {
            Reaches::<T>::kill();
        }
    } else if reaches != before {
        Reaches::<T>::put(reaches);
    }
    close.told.say::<T>();
    room.saturating_sub(close.left)
}

/// Notes a reach for each market and direction in which the mark fired a trigger that no earlier reach holds. Markets begin with
/// another one in every block, as they do in the match.
fn note<T: Config>(view: &RiskView, reaches: &mut BoundedVec<Reach, MaxReaches>) {
    let count = view.markets.len();
    let first = usize::try_from(view.block)
        .ok()
        .and_then(|block| block.checked_rem(count))
        .unwrap_or(0);
    let rotated = view.markets.iter().cycle().skip(first).take(count);
    for market in rotated.filter(|market| fires(market)) {
        for direction in [Direction::Down, Direction::Up] {
            let Some(most) = reached(market, direction) else {
                continue;
            };
            let is_here = |r: &Reach| r.market == market.id && r.direction == direction;
            let known: Vec<Ticks> = reaches
                .iter()
                .filter(|r| is_here(r))
                .map(|r| r.rank)
                .collect();
            let Some(next) = known
                .iter()
                .max()
                .map_or(Some(0), |rank| rank.checked_add(1))
            else {
                continue;
            };
            if first_from::<T>(market.id, direction, next).is_none_or(|rank| rank > most) {
                continue;
            }
            if known.len() >= MAX_STEPS {
                let last = reaches.iter_mut().rev().find(|r| is_here(r));
                last.into_iter().for_each(|last| last.rank = most);
                continue;
            }
            let reach = Reach {
                block: Pallet::<T>::now(),
                market: market.id,
                direction,
                rank: most,
            };
            if reaches.try_push(reach).is_err() {
                defensive!("more reaches than markets can have");
            }
        }
    }
}

/// Storage keys of a market's and direction's triggers come after this one, from that rank on.
fn start<T: Config>(market: MarketId, direction: Direction, rank: Ticks) -> Vec<u8> {
    use codec::Encode;
    use frame_support::storage::StoragePrefixedMap;
    let mut key = Armed::<T>::final_prefix().to_vec();
    (market.to_be_bytes(), direction, rank.to_be_bytes()).encode_to(&mut key);
    key
}

/// The least rank of a trigger, from `rank` on.
fn first_from<T: Config>(market: MarketId, direction: Direction, rank: Ticks) -> Option<Ticks> {
    let (id, way, found, ..) =
        Armed::<T>::iter_keys_from(start::<T>(market, direction, rank)).next()?;
    (id == market.to_be_bytes() && way == direction).then(|| Ticks::from_be_bytes(found))
}

/// A close's firing of triggers, and its slices.
pub(crate) struct Firing<'a, T: Config> {
    pub view: &'a RiskView,
    pub now: BlockNumber,
    /// Of its room, in picoseconds.
    pub left: u64,
    pub told: Told<T::AccountId>,
}

impl<T: Config> Firing<'_, T> {
    /// Fires what lies within the reach, as far as there is room. Whether that was all.
    fn work_off(&mut self, reach: &Reach) -> bool {
        // A market that halted since keeps its own until it runs again.
        if !self.view.market(reach.market).is_ok_and(fires) {
            return false;
        }
        let most = Pallet::<T>::most_of_trigger().ref_time();
        if self.left < most {
            return false;
        }
        for (key, expires) in Armed::<T>::iter_from(start::<T>(reach.market, reach.direction, 0)) {
            let (market, direction, rank, ..) = &key;
            let within = *market == reach.market.to_be_bytes()
                && *direction == reach.direction
                && Ticks::from_be_bytes(*rank) <= reach.rank;
            if !within {
                break;
            }
            if self.left < most {
                return false;
            }
            let used = self.fire_one(&key, expires).ref_time();
            self.left = self.left.saturating_sub(used);
        }
        self.left = self.left.saturating_sub(Self::looking().ref_time());
        true
    }

    /// What it costs to find a market's next trigger of one direction, or none.
    fn looking() -> Weight {
        T::WeightInfo::triggers(1).saturating_sub(T::WeightInfo::triggers(0))
    }

    /// Fires one. Returns what it costs in this close.
    fn fire_one(&mut self, key: &TriggerKey<T::AccountId>, expires: Option<BlockNumber>) -> Weight {
        let (of, sequence) = (&key.4, key.5);
        forget::<T>(key, expires);
        let looked_at = T::WeightInfo::fire();
        let owned = T::Ledger::account(of).map(|account| {
            (
                account.triggers.iter().position(|t| t.sequence == sequence),
                account,
            )
        });
        let Some((Some(at), mut account)) = owned else {
            found_unowned::<T>();
            return looked_at;
        };
        let trigger = account.triggers.remove(at);
        let market = trigger.terms.order.market;
        if expires.is_some_and(|block| block <= self.now) {
            dissolve(&mut account, sequence);
            T::Ledger::write_orders(of, account);
            let expired = as_cancelled(of, &trigger, CancelReason::Expired);
            self.told.left.entry(market).or_default().push(expired);
            return looked_at;
        }
        let mut session = Session::<T>::begin(of, account, Cow::Borrowed(self.view), self.now);
        let outcome = session.take_in(&trigger);
        let held = session.held();
        let mut looked_at = looked_at.saturating_add(held.scanned);
        if let Some(excluded) = session.close() {
            looked_at = looked_at.saturating_add(T::WeightInfo::left());
            self.told.left.entry(market).or_default().push(excluded);
        }
        let fired = FiredTrigger {
            account: of.clone(),
            sequence,
            outcome,
        };
        self.told.fired.entry(market).or_default().push(fired);
        match outcome {
            Ok(()) => looked_at
                .saturating_add(Pallet::<T>::order_of_close(held))
                .saturating_add(Pallet::<T>::further_runs(trigger.terms.order.time_in_force)),
            Err(_) => looked_at,
        }
    }
}

impl<T: Config> Pallet<T> {
    /// What an order that came in by itself costs in the close, of an account that has so much open and holds so much.
    pub(crate) fn order_of_close(held: Held) -> Weight {
        let trades = held.legs.saturating_add(1);
        T::WeightInfo::came_in(held.open)
            .saturating_add(T::Novating::order().saturating_mul(trades.into()))
            .saturating_add(held.party::<T>())
    }

    /// What firing one trigger costs at most: of a pair, the other one leaves.
    pub(crate) fn most_of_trigger() -> Weight {
        let most = Held::most::<T>();
        Self::order_of_close(most)
            .saturating_add(most.scanned)
            .saturating_add(Self::further_runs(TimeInForce::FillOrKill))
            .saturating_add(T::WeightInfo::fire())
            .saturating_add(T::WeightInfo::left())
    }
}

/// A trigger left: what it excluded, if there was such, stands by itself.
fn dissolve(account: &mut MarginAccount, sequence: Sequence) {
    let mut orders = AccountOrders::of(account);
    if orders.part(sequence).is_some() {
        account.open = orders.to_bytes();
    }
}

/// Triggers whose block of expiry has come leave, and those of markets whose contract has expired, at most [`Config::ExpiringTriggers`] a
/// close; one that waits for it does not fire meanwhile. Accounts are written here: to be called before anything else of the close's
/// housekeeping reads them. Returns how many were looked at.
pub(crate) fn expire<T: Config>(view: &RiskView, now: BlockNumber) -> u32 {
    let most = usize::try_from(T::ExpiringTriggers::get()).unwrap_or(usize::MAX);
    let mut due: Vec<_> = TriggerExpiries::<T>::iter()
        .take(most)
        .take_while(|((block, ..), _)| BlockNumber::from_be_bytes(*block) <= now)
        .map(|((block, ..), key)| (key, Some(BlockNumber::from_be_bytes(block))))
        .collect();
    let ended = view.ended().flat_map(|market| of_market::<T>(market.id));
    for (key, expires) in ended.take(most.saturating_sub(due.len())) {
        if due.iter().all(|(known, _)| *known != key) {
            due.push((key, expires));
        }
    }
    let looked_at = u32::try_from(due.len()).unwrap_or(u32::MAX);
    let mut told = Told::default();
    for (key, expires) in due {
        let (of, sequence) = (&key.4, key.5);
        forget::<T>(&key, expires);
        let owned = T::Ledger::account(of).map(|account| {
            (
                account.triggers.iter().position(|t| t.sequence == sequence),
                account,
            )
        });
        let Some((Some(at), mut account)) = owned else {
            found_unowned::<T>();
            continue;
        };
        let trigger = account.triggers.remove(at);
        dissolve(&mut account, sequence);
        T::Ledger::write_orders(of, account);
        let market = trigger.terms.order.market;
        let expired = as_cancelled(of, &trigger, CancelReason::Expired);
        told.left.entry(market).or_default().push(expired);
    }
    told.say::<T>();
    looked_at
}

/// The triggers of a market, each with its block of expiry.
fn of_market<T: Config>(
    market: MarketId,
) -> impl Iterator<Item = (TriggerKey<T::AccountId>, Option<BlockNumber>)> {
    Armed::<T>::iter_from(start::<T>(market, Direction::Down, 0))
        .take_while(move |(key, _)| key.0 == market.to_be_bytes())
}

/// Whether a market has triggers, owned or left behind.
pub(crate) fn any_of<T: Config>(market: MarketId) -> bool {
    of_market::<T>(market).next().is_some()
}
