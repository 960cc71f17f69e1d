//! The threshold index: accounts near their maintenance margin are found without scanning the others (section 7).
//!
//! Every account stands in a bucket of each axis on which its equity can fall, drawn with the stricter of the parameters in
//! force and those that are coming ([`crate::ahead`]). While no axis has moved past the account's
//! bucket, it cannot have come below maintenance margin (`novate_risk::safe_moves` says why); when one has, the account is
//! taken out, assessed exactly, and put back or queued. Which buckets are crossed depends on where the price is now, not on
//! where it was: what one close has no budget for stays crossed, and the directory itself is the cursor. The bucket of the
//! price itself is crossed in every close, so accounts near the line are looked at again and again: large ones come first, and
//! none of the classes (`crate::scale`) gets more than half of what the larger ones left while another waits.
//!
//! An account that is below maintenance margin goes to the queue at once. If something it holds has no usable price,
//! nothing may be done to it: it waits in a bucket that is crossed at any price, on the axis that is missing, and is the first to
//! be looked at when that price comes back. Until then it costs nobody anything.
//!
//! Slots outlive their axes: closing and opening a position again and again appends nothing. They do not outlive the way into
//! the queue.

use crate::{
    meter::{Meter, Size},
    pages::{Entry, Shelf},
    scale,
    types::{steps, Search, QUEUED_STEPS},
    Config, Event, Pallet, Queue, Refusal, RiskDirectory, SweepState, Sweeping, Tightenings,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use frame_support::{storage::with_storage_layer, traits::Get};
use novate_risk::{
    all_collateral_value, debt_ceil, holds_settled, hurting_price, more_thresholds, safe_moves,
    Move, RELATIVE_ONE,
};
use novate_types::{
    math::{mul_div_ceil, mul_div_floor},
    AccountRef, Assessment, BlockNumber, Direction, Ledger, LoanView, MarginAccount, MarketView,
    Position, RankSlot, RiskAxis, RiskError, RiskIndex, RiskModel, RiskSlot, RiskView, Side,
    Standing, ThresholdSweep, QUANTUMS,
};

/// Accounts that [`Pallet::candidates`] looks for at most.
pub const MOST_CANDIDATES: u32 = 4_096;
/// Keys that going to the queue changes: the account's place in it, and a page.
const QUEUED_KEYS: u32 = 2;
/// Entries it reads for each of them: one account has several, and some are stale.
const ENTRIES_PER_CANDIDATE: usize = 4;

/// A threshold an account needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Threshold {
    pub(crate) axis: RiskAxis,
    pub(crate) direction: Direction,
    pub(crate) bucket: u32,
}

/// A threshold an account needs, and the bucket that it is put into where it does not stand near enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needed {
    /// The farthest that will do.
    at: Threshold,
    /// As near, or nearer.
    drawn: u32,
}

impl Needed {
    const fn exactly(at: Threshold) -> Self {
        Self {
            drawn: at.bucket,
            at,
        }
    }

    /// Whether an entry stands where it would be put.
    fn is_drawn_at(&self, at: &Threshold) -> bool {
        let drawn = Threshold {
            bucket: self.drawn,
            ..self.at
        };
        drawn == *at
    }
}

/// Where an account belongs.
pub(crate) enum Place {
    /// In the queue: below maintenance margin, not yet let go, or in debt beyond what is lent to it.
    Queue,
    /// In this bucket until a price is back: it would belong into the queue.
    Waits(Needed),
    /// In these buckets.
    Thresholds(Vec<Needed>),
}

impl Place {
    /// The thresholds it asks for; none for the queue.
    fn thresholds(&self) -> Option<&[Needed]> {
        match self {
            Self::Queue => None,
            Self::Waits(at) => Some(core::slice::from_ref(at)),
            Self::Thresholds(needed) => Some(needed),
        }
    }
}

/// Crossed buckets of one axis and class.
struct Crossed {
    axis: RiskAxis,
    direction: Direction,
    class: u32,
    /// The farthest crossed last.
    buckets: Vec<u32>,
    /// Entries taken from them by this search.
    taken: u32,
}

/// An account's entry that was taken out of the index.
#[derive(Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) at: Threshold,
    pub(crate) generation: u32,
}

impl Taken {
    /// The slot of the account that it is live by.
    const fn slot(&self) -> RiskSlot {
        RiskSlot {
            axis: self.at.axis,
            direction: self.at.direction,
            bucket: self.at.bucket,
            generation: self.generation,
        }
    }
}

/// What became of an account that was looked at.
enum Became {
    /// It stays where it was.
    Same,
    /// It is in the queue.
    Queued,
    /// It stands behind so many new entries.
    Moved(u32),
}

/// An account, and its entries that were taken out.
type OfAccount<AccountId> = (AccountRef<AccountId>, Vec<Taken>);

/// What looking at an account came to.
#[derive(Default)]
pub(crate) struct Looked {
    /// Steps it took: of one that goes to the queue no threshold is drawn again.
    steps: u32,
    /// Its entries that belong where they were.
    pub(crate) stays: Vec<Taken>,
}

/// Entries taken out of the index in one close, by account: who stands on several crossed axes is looked at once, when
/// the first of its entries came up.
struct Popped<AccountId> {
    /// Where each account is in `all`.
    places: BTreeMap<AccountRef<AccountId>, usize>,
    all: Vec<OfAccount<AccountId>>,
    /// Keys that taking them out changed.
    keys: u32,
}

impl<AccountId> Default for Popped<AccountId> {
    fn default() -> Self {
        Self {
            places: BTreeMap::new(),
            all: Vec::new(),
            keys: 0,
        }
    }
}

impl<AccountId: Ord + Clone> Popped<AccountId> {
    fn add(&mut self, of: AccountRef<AccountId>, taken: Taken) {
        let next = self.all.len();
        let place = *self.places.entry(of.clone()).or_insert(next);
        match self.all.get_mut(place) {
            Some((_, all)) => all.push(taken),
            None => self.all.push((of, alloc::vec![taken])),
        }
    }

    /// Largest class first, and within one as they came up.
    fn by_class(self) -> impl Iterator<Item = Vec<OfAccount<AccountId>>> {
        let mut classes: BTreeMap<u32, Vec<_>> = BTreeMap::new();
        for (of, taken) in self.all {
            let class = taken.first().map_or(0, |t| scale::class(t.at.bucket));
            classes.entry(class).or_default().push((of, taken));
        }
        classes.into_values().rev()
    }
}

/// Whether a stored step is found no later than a needed one.
fn is_as_near(direction: Direction, stored: u32, needed: u32) -> bool {
    match direction {
        Direction::Down => stored >= needed,
        Direction::Up => stored <= needed,
    }
}

fn covers(slot: &RiskSlot, Needed { at: needed, .. }: &Needed) -> bool {
    slot.axis == needed.axis
        && slot.direction == needed.direction
        && scale::class(slot.bucket) >= scale::class(needed.bucket)
        && is_as_near(
            needed.direction,
            scale::step(slot.bucket),
            scale::step(needed.bucket),
        )
}

/// Whether whoever stands in the bucket waits for a price.
pub(crate) fn is_waiting(bucket: u32) -> bool {
    scale::step(bucket) == scale::ALWAYS
}

/// A number for an entry; zero is never given.
fn next_generation(account: &mut MarginAccount) -> u32 {
    account.next_generation = account.next_generation.checked_add(1).unwrap_or(1);
    account.next_generation
}

/// The side whose deleveraging index a position stands in.
pub(crate) fn side_of(position: &Position) -> Side {
    if position.lots > 0 {
        Side::Bid
    } else {
        Side::Ask
    }
}

/// Bucket of a position's entry price. Unrealised profit over cost is `mark / entry − 1` for a long and the opposite for
/// a short: within a market and side it is ordered by the entry price alone.
///
/// An option's premium has moved in cash and left no entry price: the largest come first. Within a market they have one forward, so lots alone
/// order them, and no price moves anybody.
pub(crate) fn entry_bucket(position: &Position, view: &RiskView) -> u16 {
    let is_option = |market: &MarketView| market.contract.kind.is_option();
    if view.market(position.market).is_ok_and(is_option) {
        let size = scale::floor(position.lots.unsigned_abs().into());
        let bucket = match side_of(position) {
            // The lowest comes first.
            Side::Bid => scale::LAST.saturating_sub(size),
            Side::Ask => size,
        };
        return u16::try_from(bucket).unwrap_or(u16::MAX);
    }
    let entry = position
        .cost
        .unsigned_abs()
        .checked_div(u128::from(position.lots.unsigned_abs()))
        .unwrap_or(0);
    u16::try_from(scale::floor(entry)).unwrap_or(u16::MAX)
}

/// Whether deleveraging finds a position no later than it deserves.
fn is_ranked(position: &Position, view: &RiskView) -> bool {
    let bucket = entry_bucket(position, view);
    position.rank.generation != 0
        && match side_of(position) {
            Side::Bid => position.rank.bucket <= bucket,
            Side::Ask => position.rank.bucket >= bucket,
        }
}

/// The axis that keeps an account from being touched, if any: a price that is not fresh. A halt does not: it stops the market,
/// not the losses.
pub(crate) fn missing_axis(
    account: &MarginAccount,
    view: &RiskView,
) -> Result<Option<RiskAxis>, RiskError> {
    for position in &account.positions {
        let axis = RiskAxis::Mark(position.market);
        view.market(position.market)?;
        if !is_usable(axis, view) {
            return Ok(Some(axis));
        }
    }
    for (asset, _) in &account.collateral {
        let axis = RiskAxis::Collateral(*asset);
        view.collateral(*asset)?;
        if !is_usable(axis, view) {
            return Ok(Some(axis));
        }
    }
    Ok(None)
}

/// Whether accounts may be liquidated on what the axis says.
fn is_usable(axis: RiskAxis, view: &RiskView) -> bool {
    match axis {
        RiskAxis::Mark(market)
        | RiskAxis::Funding(market)
        | RiskAxis::Index(market)
        | RiskAxis::Variance(market)
        | RiskAxis::Expiry(market) => view.market(market).is_ok_and(|m| m.fresh),
        RiskAxis::Collateral(asset) => view.collateral(asset).is_ok_and(|c| c.fresh),
        RiskAxis::Parameters | RiskAxis::Interest => true,
    }
}

/// Where the axis stands: a step of its scale. `None` if the view does not hold it.
fn position_on<T: Config>(axis: RiskAxis, direction: Direction, view: &RiskView) -> Option<u32> {
    let at = match axis {
        RiskAxis::Parameters => return Some(Tightenings::<T>::get()),
        // Where the pot is short of what is owed, everybody who owes is looked at.
        RiskAxis::Interest if view.loans.is_short => return Some(scale::LAST),
        RiskAxis::Interest => return Some(scale::floor(view.loans.index)),
        RiskAxis::Funding(market) => {
            // A rise hurts longs, a fall shorts: each by its own index.
            let market = view.market(market).ok()?;
            return Some(match direction {
                Direction::Down => scale::signed_ceil(market.short_funding_index),
                Direction::Up => scale::signed_floor(market.funding_index),
            });
        }
        relative => relative_to(relative, view).ok()?,
    };
    Some(match direction {
        Direction::Down => scale::ceil(at),
        Direction::Up => scale::floor(at),
    })
}

/// What relative moves along the axis are of; nothing of an axis that has others.
fn relative_to(axis: RiskAxis, view: &RiskView) -> Result<u128, RiskError> {
    Ok(match axis {
        RiskAxis::Mark(market) => hurting_price(view.market(market)?)?.into_inner(),
        RiskAxis::Collateral(asset) => view.collateral(asset)?.price.into_inner(),
        RiskAxis::Index(market) => view.market(market)?.index.into_inner(),
        RiskAxis::Variance(market) => view.market(market)?.contract.variance.into(),
        RiskAxis::Expiry(market) => {
            let expiry = view.market(market)?.contract.expiry;
            expiry.saturating_sub(view.now).into()
        }
        RiskAxis::Funding(_) | RiskAxis::Parameters | RiskAxis::Interest => 0,
    })
}

/// Every axis and direction that can be crossed now, with the step where it stands, rotated by block so that none always
/// comes first.
fn crossings<T: Config>(view: &RiskView) -> Vec<(RiskAxis, Direction, u32)> {
    // Nobody holds a position in a combination.
    let is_held = |m: &&MarketView| !m.contract.kind.is_combination();
    let both = |axis| [(axis, Direction::Down), (axis, Direction::Up)];
    let marks = view
        .markets
        .iter()
        .filter(is_held)
        .flat_map(|m| [RiskAxis::Mark(m.id), RiskAxis::Funding(m.id)])
        .flat_map(both);
    let options = view.markets.iter().filter(|m| m.contract.kind.is_option());
    let options = options
        .flat_map(|m| [RiskAxis::Index(m.id), RiskAxis::Variance(m.id)])
        .flat_map(both);
    let expiring = view
        .markets
        .iter()
        .filter(|m| m.contract.expiry != 0 && is_held(m));
    let expiring = expiring.map(|m| (RiskAxis::Expiry(m.id), Direction::Down));
    let collaterals = view
        .collaterals
        .iter()
        .map(|c| (RiskAxis::Collateral(c.asset), Direction::Down));
    let mut all: Vec<_> = marks
        .chain(options)
        .chain(expiring)
        .chain(collaterals)
        .chain([(RiskAxis::Parameters, Direction::Up)])
        .chain((view.loans != LoanView::default()).then_some((RiskAxis::Interest, Direction::Up)))
        .filter(|(axis, _)| is_usable(*axis, view))
        .filter_map(|(axis, direction)| {
            position_on::<T>(axis, direction, view).map(|at| (axis, direction, at))
        })
        .collect();
    let turn = usize::try_from(view.block)
        .ok()
        .and_then(|block| block.checked_rem(all.len()))
        .unwrap_or(0);
    all.rotate_left(turn);
    all
}

/// Half of a distance on the index of funding or of interest. Both are slow, and slack changes with every trade: a threshold drawn nearer than it must
/// be is not drawn again until half of the slack is gone.
fn halved_index(move_: Move) -> Move {
    match move_ {
        Move::FundingDelta(delta) => Move::FundingDelta(delta.checked_div(2).unwrap_or(delta)),
        Move::InterestDelta(delta) => Move::InterestDelta(delta.checked_div(2).unwrap_or(delta)),
        relative => relative,
    }
}

/// The step for a threshold `move_` away from where its axis is, rounded towards it. `None` if it lies out of reach.
fn step_of(
    axis: RiskAxis,
    direction: Direction,
    move_: Move,
    view: &RiskView,
) -> Result<Option<u32>, RiskError> {
    let at = match (axis, move_) {
        (RiskAxis::Funding(market), Move::FundingDelta(delta)) => {
            let market = view.market(market)?;
            let fallen = market.short_funding_index.checked_sub(delta);
            return Ok(match direction {
                Direction::Down => fallen.map(scale::signed_ceil),
                Direction::Up => {
                    let risen = market.funding_index.checked_add(delta);
                    risen.map(scale::signed_floor)
                }
            });
        }
        (RiskAxis::Interest, Move::InterestDelta(delta)) => {
            return Ok(view.loans.index.checked_add(delta).map(scale::floor));
        }
        (
            RiskAxis::Mark(_)
            | RiskAxis::Collateral(_)
            | RiskAxis::Index(_)
            | RiskAxis::Variance(_)
            | RiskAxis::Expiry(_),
            Move::Relative(_),
        ) => relative_to(axis, view)?,
        // A distance of the wrong kind for its axis: crossed at once, so that the account is looked at.
        _ => {
            return Ok(Some(if direction == Direction::Down {
                scale::ALWAYS
            } else {
                0
            }))
        }
    };
    let Move::Relative(distance) = move_ else {
        return Ok(None);
    };
    let one = u128::from(RELATIVE_ONE);
    Ok(match direction {
        Direction::Down => match RELATIVE_ONE.checked_sub(distance) {
            None | Some(0) => None,
            Some(left) => Some(scale::ceil(mul_div_ceil(at, u128::from(left), one)?)),
        },
        Direction::Up => RELATIVE_ONE
            .checked_add(distance)
            .and_then(|times| mul_div_floor(at, u128::from(times), one).ok())
            .map(scale::floor),
    })
}

impl<T: Config> Pallet<T> {
    /// Whether the account owes more than is lent to it, by its own cap or because the pot is short, and has collateral to pay with: as much as
    /// the debt or a USD, at its haircut value, as anyone can send it less. The vault is the one that pays, never paid for.
    pub(crate) fn owes_too_much(
        of: &AccountRef<T::AccountId>,
        account: &MarginAccount,
        view: &RiskView,
    ) -> Result<bool, RiskError> {
        if account.cash >= 0 || account.collateral.is_empty() || *of == T::Vault::get() {
            return Ok(false);
        }
        let debt = debt_ceil(account, view)?;
        if debt <= view.loans.account_cap && !view.loans.is_short {
            return Ok(false);
        }
        Ok(all_collateral_value(account, view)? >= debt.min(QUANTUMS))
    }

    /// Where an account belongs.
    pub(crate) fn place(
        of: &AccountRef<T::AccountId>,
        account: &MarginAccount,
        view: &RiskView,
        assessment: &Assessment,
    ) -> Result<Place, RiskError> {
        let needs_remedies = assessment.is_below_maintenance()
            || account.standing != Standing::Good
            || Self::owes_too_much(of, account, view)?;
        let class = scale::class_by_notional(assessment.notional.unsigned_abs());
        if needs_remedies {
            return Ok(match missing_axis(account, view)? {
                None => Place::Queue,
                Some(axis) => Place::Waits(Needed::exactly(Threshold {
                    axis,
                    direction: Direction::Down,
                    bucket: scale::bucket(class, scale::ALWAYS),
                })),
            });
        }
        let mut needed = Vec::new();
        let mut waits_for_parameters = assessment.scanned != 0;
        let safe_moves = match Self::view_ahead(account, view)? {
            None => safe_moves(account, view, assessment)?,
            Some(ahead) => {
                let coming = T::Risk::assess_held(account, &ahead)?;
                waits_for_parameters |= coming.scanned != 0;
                if coming.is_below_maintenance() {
                    waits_for_parameters = true;
                    safe_moves(account, view, assessment)?
                } else {
                    safe_moves(account, &ahead, &coming)?
                }
            }
        };
        if waits_for_parameters {
            let next = Tightenings::<T>::get().saturating_add(1).min(scale::LAST);
            needed.push(Needed::exactly(Threshold {
                axis: RiskAxis::Parameters,
                direction: Direction::Up,
                bucket: scale::bucket(class, next),
            }));
        }
        for safe in safe_moves {
            let step = |move_| step_of(safe.axis, safe.direction, move_, view);
            let Some(farthest) = step(safe.move_)? else {
                continue;
            };
            let at = Threshold {
                axis: safe.axis,
                direction: safe.direction,
                bucket: scale::bucket(class, farthest),
            };
            let drawn = step(halved_index(safe.move_))?.unwrap_or(farthest);
            needed.push(Needed {
                at,
                drawn: scale::bucket(class, drawn),
            });
        }
        Ok(Place::Thresholds(needed))
    }

    /// Whether an account's slots find it no later than it needs.
    fn is_covered(account: &MarginAccount, needed: &[Needed]) -> bool {
        needed
            .iter()
            .all(|n| account.risk.iter().any(|slot| covers(slot, n)))
    }

    /// Whether an entry of a page is the account's current one.
    pub(crate) fn is_live(shelf: Shelf, bucket: u32, entry: &Entry<T::AccountId>) -> bool {
        match shelf {
            Shelf::Queue => true,
            Shelf::Threshold(axis, direction) => {
                T::Ledger::account(&entry.account).is_some_and(|account| {
                    let slot = RiskSlot {
                        axis,
                        direction,
                        bucket,
                        generation: entry.generation,
                    };
                    account.risk.contains(&slot)
                })
            }
            Shelf::Rank(market, side) => {
                T::Ledger::account(&entry.account).is_some_and(|account| {
                    account.position(market).is_some_and(|p| {
                        side_of(p) == side
                            && u32::from(p.rank.bucket) == bucket
                            && p.rank.generation == entry.generation
                    })
                })
            }
        }
    }

    /// Puts the account into every bucket that it needs, unless it already stands in one that is as near. Returns how many it was put
    /// into.
    fn set_thresholds(
        of: &AccountRef<T::AccountId>,
        account: &mut MarginAccount,
        needed: &[Needed],
    ) -> Result<u32, RiskError> {
        let mut set = 0u32;
        for at in needed {
            if !account.risk.iter().any(|slot| covers(slot, at)) {
                Self::set_threshold(of, account, needed, *at)?;
                set = set.saturating_add(1);
            }
        }
        Ok(set)
    }

    fn set_threshold(
        of: &AccountRef<T::AccountId>,
        account: &mut MarginAccount,
        needed: &[Needed],
        Needed { at, drawn: bucket }: Needed,
    ) -> Result<(), RiskError> {
        let generation = next_generation(account);
        let Threshold {
            axis, direction, ..
        } = at;
        let entry = Entry {
            account: of.clone(),
            generation,
        };
        Self::append(Shelf::Threshold(axis, direction), bucket, entry)?;
        let slot = RiskSlot {
            axis,
            direction,
            bucket,
            generation,
        };
        let held = account
            .risk
            .iter_mut()
            .find(|s| s.axis == axis && s.direction == direction);
        if let Some(held) = held {
            *held = slot;
            return Ok(());
        }
        if account.risk.is_full() {
            let is_needed = |s: &RiskSlot| {
                needed
                    .iter()
                    .any(|n| n.at.axis == s.axis && n.at.direction == s.direction)
            };
            account.risk.retain(is_needed);
        }
        let place = account
            .risk
            .partition_point(|s| (s.axis, s.direction) < (axis, direction));
        account
            .risk
            .try_insert(place, slot)
            .map_err(|_| RiskError::Full)
    }

    /// Puts each position where deleveraging finds it. An entry in a better bucket than its position deserves stays: whoever
    /// reads it moves it. Returns how many were put somewhere.
    fn rank(
        of: &AccountRef<T::AccountId>,
        account: &mut MarginAccount,
        view: &RiskView,
    ) -> Result<u32, RiskError> {
        let mut generation = account.next_generation;
        let mut ranked = 0u32;
        for position in account.positions.iter_mut() {
            if !is_ranked(position, view) {
                let (side, bucket) = (side_of(position), entry_bucket(position, view));
                generation = generation.checked_add(1).unwrap_or(1);
                let entry = Entry {
                    account: of.clone(),
                    generation,
                };
                Self::append(Shelf::Rank(position.market, side), u32::from(bucket), entry)?;
                position.rank = RankSlot { bucket, generation };
                ranked = ranked.saturating_add(1);
            }
        }
        account.next_generation = generation;
        Ok(ranked)
    }

    /// Takes the accounts behind crossed thresholds, class by class while the budget lasts, and puts each where it belongs now.
    ///
    /// Each class takes from all axes alike, page by page, of every axis the farthest crossed first: no axis has its crowd near the line
    /// looked at while others' accounts far beyond it wait.
    pub(crate) fn pop_crossed(now: &RiskView, meter: &mut Meter<T>) -> Search {
        let queued = Queue::<T>::count();
        let capacity = Self::capacity();
        let (mut pops, mut steps) = (capacity.pops, capacity.looks);
        let mut open = Self::crossed(now);
        let mut looked_at = 0u32;
        let mut stay = Vec::new();
        // Batch by batch: what is taken out can be looked at, if its accounts are small ones. Each takes an entry at least.
        let is_used_up = loop {
            open.retain(|crossed| !crossed.buckets.is_empty());
            if open.is_empty() {
                break false;
            }
            let mut budget = pops.min(meter.entries());
            if budget == 0 {
                break true;
            }
            let allowed = budget;
            let mut popped = Popped::default();
            // At first half of what is left for each class, so that none starves; then whatever remains.
            for part in [2, 1] {
                for class in (0..scale::CLASSES).rev() {
                    let of_class = open.iter_mut().filter(|crossed| crossed.class == class);
                    let mut of_class: Vec<_> = of_class.collect();
                    of_class.sort_by_key(|crossed| crossed.taken);
                    let ration = budget.div_ceil(part);
                    let left = Self::pop_class(of_class, ration, &mut popped);
                    budget = budget.saturating_sub(ration.saturating_sub(left));
                }
            }
            let taken = allowed.saturating_sub(budget);
            pops = pops.saturating_sub(taken);
            meter.spend(meter.popped(taken, popped.keys));
            let later =
                Self::look_behind(popped, now, &mut steps, meter, &mut looked_at, &mut stay);
            for (of, taken) in &later {
                Self::put_back(of, taken);
            }
            if !later.is_empty() || taken == 0 {
                break true;
            }
        };
        // Behind those that were not looked at: these come first in the next close.
        for (of, taken) in &stay {
            Self::put_back(of, taken);
        }
        Search {
            is_used_up,
            looked_at,
            found: Queue::<T>::count().saturating_sub(queued),
        }
    }

    /// Looks at accounts whose entries were taken out, as far as steps and time go, and returns those that they did not suffice for.
    /// Both are shared out as entries are: half of what is left for each class, then whatever remains.
    fn look_behind(
        popped: Popped<T::AccountId>,
        now: &RiskView,
        steps: &mut u32,
        meter: &mut Meter<T>,
        looked_at: &mut u32,
        stay: &mut Vec<OfAccount<T::AccountId>>,
    ) -> Vec<OfAccount<T::AccountId>> {
        let (mut later, mut still_later) = (Vec::new(), Vec::new());
        let mut look = |of: AccountRef<T::AccountId>,
                        taken: Vec<Taken>,
                        ration: &mut u32,
                        meter: &mut Meter<T>,
                        later: &mut Vec<OfAccount<T::AccountId>>| {
            match Self::recheck(&of, &taken, now, *ration, meter) {
                Some(looked) => {
                    *ration = ration.saturating_sub(looked.steps);
                    *looked_at = looked_at.saturating_add(1);
                    stay.push((of, looked.stays));
                }
                None => later.push((of, taken)),
            }
        };
        for of_class in popped.by_class() {
            let mut ration = steps.div_ceil(2);
            let rationed = ration;
            let mut part = meter.split(2);
            for (of, taken) in of_class {
                look(of, taken, &mut ration, &mut part, &mut later);
            }
            meter.give_back(part);
            *steps = steps.saturating_sub(rationed.saturating_sub(ration));
        }
        for (of, taken) in later {
            look(of, taken, steps, meter, &mut still_later);
        }
        still_later
    }

    /// Takes the accounts of one class, the farthest crossed first on each axis, page by page from axis to axis. Returns what
    /// is left of the budget.
    fn pop_class(
        mut open: Vec<&mut Crossed>,
        mut budget: u32,
        popped: &mut Popped<T::AccountId>,
    ) -> u32 {
        while budget > 0 && !open.is_empty() {
            open.retain_mut(|crossed| {
                let Some(bucket) = crossed.buckets.last().copied().filter(|_| budget > 0) else {
                    return false;
                };
                let shelf = Shelf::Threshold(crossed.axis, crossed.direction);
                // The directory changes once.
                let directory = u32::from(crossed.taken == 0);
                let keys = Self::keys_of_page(shelf, bucket).saturating_add(directory);
                popped.keys = popped.keys.saturating_add(keys);
                let entries = Self::take(shelf, bucket, budget);
                let taken = u32::try_from(entries.len()).unwrap_or(u32::MAX);
                budget = budget.saturating_sub(taken);
                crossed.taken = crossed.taken.saturating_add(taken);
                let at = Threshold {
                    axis: crossed.axis,
                    direction: crossed.direction,
                    bucket,
                };
                for entry in entries {
                    let generation = entry.generation;
                    popped.add(entry.account, Taken { at, generation });
                }
                if Self::span(shelf, bucket).is_none() {
                    crossed.buckets.pop();
                }
                true
            });
        }
        budget
    }

    /// The crossed buckets of every axis and class.
    fn crossed(now: &RiskView) -> Vec<Crossed> {
        let mut all = Vec::new();
        for (axis, direction, at) in crossings::<T>(now) {
            let directory = RiskDirectory::<T>::get(Shelf::Threshold(axis, direction));
            for class in 0..scale::CLASSES {
                let within = |first, last| {
                    directory.within(scale::bucket(class, first), scale::bucket(class, last))
                };
                let buckets: Vec<u32> = match direction {
                    Direction::Down => within(at, scale::ALWAYS).collect(),
                    Direction::Up => within(0, at).rev().collect(),
                };
                if !buckets.is_empty() {
                    all.push(Crossed {
                        axis,
                        direction,
                        class,
                        buckets,
                        taken: 0,
                    });
                }
            }
        }
        all
    }

    /// Looks at an account of which `taken` are entries, live or not, that were taken out of the index. Does nothing and
    /// returns none if `left` steps or the time are not enough.
    pub(crate) fn recheck(
        of: &AccountRef<T::AccountId>,
        taken: &[Taken],
        now: &RiskView,
        left: u32,
        meter: &mut Meter<T>,
    ) -> Option<Looked> {
        if left == 0 {
            return None;
        }
        let Some(account) = T::Ledger::account(of) else {
            if taken.iter().any(|t| is_waiting(t.at.bucket)) {
                // Its owner closed it: it lacks nothing any more.
                if let Err(error) = Self::resume(of) {
                    log::error!(target: crate::LOG, "a deficit stays counted: {error:?}");
                }
            }
            return Some(Looked::default());
        };
        let is_live = |t: &&Taken| account.risk.contains(&t.slot());
        let live: Vec<Taken> = taken.iter().filter(is_live).copied().collect();
        if live.is_empty() {
            return Some(Looked::default());
        }
        let size = Size::of(&account, now);
        let steps = steps(&account);
        if steps > left || !meter.affords(meter.worst_look(size)) {
            return None;
        }
        let became = with_storage_layer(|| Self::reindex(of, &account, &live, now));
        let became = became.unwrap_or_else(|error| {
            log::error!(target: crate::LOG, "{of:?} cannot be indexed: {error:?}");
            Became::Same
        });
        let (steps, changed) = match became {
            Became::Same => (steps, 0),
            Became::Queued => {
                meter.put_by_for(size);
                (QUEUED_STEPS, meter.keys(2))
            }
            Became::Moved(entries) => {
                let changed = meter.keys(1).saturating_add(meter.appended(entries));
                (steps, changed)
            }
        };
        meter.spend(meter.look(size).saturating_add(changed));
        let stays = match became {
            Became::Same => live,
            _ => Vec::new(),
        };
        Some(Looked { steps, stays })
    }

    /// Moves an account of which `live` were taken out to where it belongs. If it belongs where it was, they have to be put back.
    fn reindex(
        of: &AccountRef<T::AccountId>,
        account: &MarginAccount,
        live: &[Taken],
        now: &RiskView,
    ) -> Result<Became, Refusal> {
        let assessment = T::Risk::assess_held(account, now)?;
        let place = Self::place(of, account, now, &assessment)?;
        let waited = live.iter().any(|t| is_waiting(t.at.bucket));
        if waited && !matches!(place, Place::Waits(_)) {
            Self::resume(of)?;
        }
        let Some(needed) = place.thresholds() else {
            Self::enqueue(of, &assessment, now.block)?;
            return T::Ledger::update(of, |account| {
                account.risk.clear();
                Ok(Became::Queued)
            });
        };
        let is_drawn = |t: &Taken| needed.iter().any(|n| n.is_drawn_at(&t.at));
        if live.iter().all(is_drawn) && Self::is_covered(account, needed) {
            return Ok(Became::Same);
        }
        T::Ledger::update(of, |account| {
            account
                .risk
                .retain(|slot| live.iter().all(|t| t.slot() != *slot));
            Self::set_thresholds(of, account, needed)
                .map(Became::Moved)
                .map_err(Refusal::from)
        })
    }

    /// Entries that would be appended to the indices if the account were settled as it is.
    pub(crate) fn unsettled(
        of: &AccountRef<T::AccountId>,
        account: &MarginAccount,
        view: &RiskView,
        assessment: &Assessment,
    ) -> Result<u32, RiskError> {
        let place = Self::place(of, account, view, assessment)?;
        let needed = place.thresholds().unwrap_or_default();
        let uncovered = needed
            .iter()
            .filter(|n| !account.risk.iter().any(|slot| covers(slot, n)));
        let unranked = account.positions.iter().filter(|p| !is_ranked(p, view));
        Ok(u32::try_from(uncovered.count().saturating_add(unranked.count())).unwrap_or(u32::MAX))
    }

    fn put_back(of: &AccountRef<T::AccountId>, taken: &[Taken]) {
        for t in taken {
            let entry = Entry {
                account: of.clone(),
                generation: t.generation,
            };
            let shelf = Shelf::Threshold(t.at.axis, t.at.direction);
            if let Err(error) = Self::append(shelf, t.at.bucket, entry) {
                log::error!(target: crate::LOG, "an entry of the threshold index is lost: {error:?}");
            }
        }
    }

    /// Looks at the next few accounts, whatever the index says of them, and draws their thresholds again: parameters may
    /// have changed since.
    pub(crate) fn sweep(now: &RiskView, mut state: SweepState<T::AccountId>, meter: &mut Meter<T>) {
        let most = T::SweepPerClose::get();
        let accounts = T::Ledger::accounts_after(state.cursor.as_ref(), most);
        if state.cursor.is_none() {
            Self::begin_stress(&mut state, now);
        }
        let is_last = u32::try_from(accounts.len()).is_ok_and(|found| found < most);
        // What options take more comes out of the close's time, and leaves the dearest step to whoever waits.
        let kept = match Queue::<T>::count() {
            0 => 0,
            _ => meter.largest_step(),
        };
        let mut is_cut = false;
        for of in accounts {
            let account = T::Ledger::account(&of);
            let more = account.as_ref().map_or(0, |a| more_thresholds(a, now));
            let cost = meter.more(more);
            // A scan may margin all of them.
            let worst = if state.deviations.is_empty() {
                cost
            } else {
                meter.worst_swept(more)
            };
            if more > 0 && !meter.affords(worst.saturating_add(kept)) {
                is_cut = true;
                break;
            }
            meter.spend(cost);
            let verified = with_storage_layer(|| Self::verify(&of, now, &mut state, meter));
            if let Err(error) = verified {
                log::error!(target: crate::LOG, "{of:?} cannot be swept: {error:?}");
            }
            state.cursor = Some(of);
        }
        if is_last && !is_cut {
            if let Some(sums) = state.stress.take() {
                Self::publish(sums, state.began, now);
            }
            state.completed = Some(state.began);
            state.began = now.block.saturating_add(1);
            state.cursor = None;
        }
        Sweeping::<T>::put(state);
    }

    fn verify(
        of: &AccountRef<T::AccountId>,
        now: &RiskView,
        state: &mut SweepState<T::AccountId>,
        meter: &mut Meter<T>,
    ) -> Result<(), Refusal> {
        let Some(account) = T::Ledger::account(of) else {
            return Ok(());
        };
        if holds_settled(&account, now) {
            return T::Ledger::settle(of, now, false, |_| Ok(()));
        }
        let assessment = T::Risk::assess_held(&account, now)?;
        // Forecasts are about what may come; what has come is looked at whatever becomes of them.
        let call = Self::pass(of, &account, &assessment, now, state, meter);
        let call = call.unwrap_or_else(|error| {
            log::error!(target: crate::LOG, "the stress of {of:?} is not known: {error:?}");
            None
        });
        if Queue::<T>::contains_key(of) {
            return Ok(());
        }
        if let Some(call) = call {
            Self::call_margin(of, call, &assessment)?;
        }
        let place = Self::place(of, &account, now, &assessment)?;
        if place
            .thresholds()
            .is_some_and(|needed| Self::is_covered(&account, needed))
        {
            return Ok(());
        }
        if assessment.is_below_maintenance() && !Self::is_crossed(&account, now) {
            Self::deposit_event(Event::FoundBySweep {
                account: of.clone(),
            });
        }
        T::Ledger::settle(of, now, false, |_| Ok(()))
    }

    /// Accounts by nearness to their maintenance margin, `count` from the `from`-th: the queue, largest notional first,
    /// then the thresholds on marks, forwards and collateral by their distance from the price. For queries, not for the close: at most
    /// the nearest [`MOST_CANDIDATES`], and fewer where many entries are stale.
    pub fn candidates(view: &RiskView, from: u32, count: u32) -> Vec<AccountRef<T::AccountId>> {
        let most = from.saturating_add(count).min(MOST_CANDIDATES);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let mut near: Vec<(u32, Shelf, u32)> = Vec::new();
        for (axis, direction, price) in crossings::<T>(view) {
            let is_price = matches!(
                axis,
                RiskAxis::Mark(_) | RiskAxis::Collateral(_) | RiskAxis::Index(_)
            );
            if !is_price {
                continue;
            }
            let shelf = Shelf::Threshold(axis, direction);
            for bucket in RiskDirectory::<T>::get(shelf).buckets() {
                let distance = match direction {
                    Direction::Down => price.saturating_sub(scale::step(bucket)),
                    Direction::Up => scale::step(bucket).saturating_sub(price),
                };
                near.push((distance, shelf, bucket));
            }
        }
        near.sort_unstable();
        let mut found: Vec<_> = Self::queue(most).into_iter().map(|(of, _)| of).collect();
        let mut known: BTreeSet<_> = found.iter().cloned().collect();
        let entries = near
            .into_iter()
            .flat_map(|(_, shelf, bucket)| {
                Self::entries(shelf, bucket).map(move |entry| (shelf, bucket, entry))
            })
            .take(most.saturating_mul(ENTRIES_PER_CANDIDATE));
        for (shelf, bucket, entry) in entries {
            if found.len() >= most {
                break;
            }
            if !known.contains(&entry.account) && Self::is_live(shelf, bucket, &entry) {
                known.insert(entry.account.clone());
                found.push(entry.account);
            }
        }
        found
            .into_iter()
            .skip(usize::try_from(from).unwrap_or(usize::MAX))
            .collect()
    }

    /// Whether an account's own entries are crossed at `view`: the next close looks at it.
    pub(crate) fn is_crossed(account: &MarginAccount, view: &RiskView) -> bool {
        account.risk.iter().any(|slot| {
            is_waiting(slot.bucket)
                || position_on::<T>(slot.axis, slot.direction, view)
                    .is_some_and(|at| is_as_near(slot.direction, scale::step(slot.bucket), at))
        })
    }
}

impl<T: Config> RiskIndex<T::AccountId> for Pallet<T> {
    fn refresh(
        of: &AccountRef<T::AccountId>,
        account: &mut MarginAccount,
        view: &RiskView,
    ) -> Result<u32, RiskError> {
        let ranked = Self::rank(of, account, view)?;
        let assessment = T::Risk::assess_held(account, view)?;
        let place = Self::place(of, account, view, &assessment)?;
        let waited = account.risk.iter().any(|slot| is_waiting(slot.bucket));
        if waited && !matches!(place, Place::Waits(_)) {
            Self::resume(of)?;
        }
        match place.thresholds() {
            None => {
                // The queue has it now. It gets thresholds again when it leaves.
                account.risk.clear();
                Self::enqueue(of, &assessment, view.block)?;
                Ok(ranked.saturating_add(QUEUED_KEYS))
            }
            Some(needed) => {
                let set = Self::set_thresholds(of, account, needed)?;
                Ok(ranked.saturating_add(set))
            }
        }
    }
}

impl<T: Config> ThresholdSweep for Pallet<T> {
    fn completed_since(since: BlockNumber) -> bool {
        Sweeping::<T>::get()
            .and_then(|sweep| sweep.completed)
            .is_some_and(|began| began >= since)
    }
}
