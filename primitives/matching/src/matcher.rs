//! The three steps.

use crate::{
    band::Band,
    share::{share, total, Offer},
    Book, Execution, Kind, Order, Outcome, Rules,
};
use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};
use novate_types::{
    CancelReason, Lots, MathError, Role, SelfTradePrevention, Side, SignedLots, Ticks,
};

type Result<T> = core::result::Result<T, MathError>;

/// An order and what is left of it.
struct Entry {
    order: Order,
    left: Lots,
}

impl Entry {
    /// Adjacent by owner, each owner's oldest first.
    fn seniority(&self) -> (u32, u64, u64, u32) {
        (
            self.order.owner,
            self.order.sequence,
            self.order.tie,
            self.order.id,
        )
    }
}

/// One of something for each side.
#[derive(Default)]
struct Sides<T> {
    bids: T,
    asks: T,
}

impl<T> Sides<T> {
    fn of(&mut self, side: Side) -> &mut T {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }
}

/// What reduce-only orders may still execute, by account.
struct Allowances<'a> {
    position: &'a dyn Fn(u32) -> SignedLots,
    left: BTreeMap<u32, (Side, Lots)>,
}

impl Allowances<'_> {
    /// Lots that `order`, by itself, may still execute; no limit unless it only reduces.
    fn of(&mut self, order: &Order) -> Lots {
        if !order.reduce_only {
            return Lots::MAX;
        }
        let (side, left) = *self.left.entry(order.account).or_insert_with(|| {
            let lots = (self.position)(order.account);
            let reducing = if lots < 0 { Side::Bid } else { Side::Ask };
            (reducing, lots.unsigned_abs())
        });
        if side == order.side {
            left
        } else {
            0
        }
    }

    fn spend(&mut self, order: &Order, lots: Lots) -> Result<()> {
        if let Some((_, left)) = self
            .left
            .get_mut(&order.account)
            .filter(|_| order.reduce_only)
        {
            *left = left.checked_sub(lots).ok_or(MathError::Overflow)?;
        }
        Ok(())
    }
}

/// The best level of one side of the rested book.
#[derive(Default)]
struct Ladder {
    /// Levels loaded so far.
    depth: usize,
    /// What is left of the last one loaded, oldest cohort first, none of them empty.
    cohorts: VecDeque<Vec<Entry>>,
}

/// One market's match.
pub struct Match<'a, B> {
    band: Band,
    book: &'a mut B,
    ladders: Sides<Ladder>,
    allowances: Allowances<'a>,
    /// What is left of F.
    budget: u32,
    outcome: Outcome,
}

impl<'a, B: Book> Match<'a, B> {
    /// An error if there is no price to match at.
    pub fn new(
        rules: &Rules,
        book: &'a mut B,
        position: &'a dyn Fn(u32) -> SignedLots,
    ) -> Result<Self> {
        Ok(Self {
            band: Band::new(rules)?,
            book,
            ladders: Sides::default(),
            allowances: Allowances {
                position,
                left: BTreeMap::new(),
            },
            budget: rules.max_fills,
            outcome: Outcome::default(),
        })
    }

    /// Cross, join, walk.
    pub fn run(mut self, new: &[Order]) -> Result<Outcome> {
        let (best_bid, best_ask) = (self.best(Side::Bid)?, self.best(Side::Ask)?);
        let x = self.band.cross(best_bid, best_ask);

        let mut crossing: Sides<Vec<Entry>> = Sides::default();
        let mut posting: Sides<Vec<Entry>> = Sides::default();
        let mut joined: Sides<Vec<Entry>> = Sides::default();
        for order in new {
            let mut order = *order;
            order.limit = self.band.cut(order.side, order.limit);
            let Some(left) = self.reducible(&order, order.lots) else {
                continue;
            };
            let entry = Entry { order, left };
            if order.side.accepts(order.limit, x) {
                let pool = if order.kind == Kind::PostOnly {
                    &mut posting
                } else {
                    &mut crossing
                };
                pool.of(order.side).push(entry);
            } else if order.kind == Kind::Immediate {
                self.cancel(&entry, CancelReason::NotImmediate);
            } else {
                joined.of(order.side).push(entry);
            }
        }

        self.cross(x, &mut crossing, Role::Taker)?;
        self.cross(x, &mut posting, Role::Maker)?;

        for side in [Side::Bid, Side::Ask] {
            let resting = self.best(side.opposite())?;
            let joining = joined.of(side.opposite()).iter().map(|e| e.order.limit);
            let opposite = best_of(side.opposite(), joining.chain(resting));
            for entry in posting.of(side).drain(..) {
                if touches(&entry.order, opposite) {
                    self.cancel(&entry, CancelReason::WouldCross);
                } else {
                    joined.of(side).push(entry);
                }
            }
        }

        // The cross has used up one side of `crossing`.
        for side in [Side::Bid, Side::Ask] {
            self.walk(side, crossing.of(side), joined.of(side.opposite()))?;
        }

        let mut rested = Sides {
            bids: self.best(Side::Bid)?,
            asks: self.best(Side::Ask)?,
        };
        for side in [Side::Bid, Side::Ask] {
            let opposite = *rested.of(side.opposite());
            joined
                .of(side)
                .retain_mut(|entry| self.rests(entry, opposite));
        }
        for side in [Side::Bid, Side::Ask] {
            let joining = joined.of(side.opposite()).iter().map(|e| e.order.limit);
            let resting = *rested.of(side.opposite());
            let opposite = best_of(side.opposite(), joining.chain(resting));
            crossing
                .of(side)
                .retain_mut(|entry| self.rests(entry, opposite));
        }
        for side in [Side::Bid, Side::Ask] {
            for entry in joined.of(side).iter().chain(crossing.of(side).iter()) {
                self.outcome
                    .joined
                    .push((entry.order.id, entry.order.limit, entry.left));
            }
        }
        Ok(self.outcome)
    }

    /// Step 1 for one pool: no owner on both sides, then everybody at `x`, the longer side sharing.
    fn cross(&mut self, x: Ticks, pool: &mut Sides<Vec<Entry>>, role: Role) -> Result<()> {
        let mut oldest = BTreeMap::new();
        for entry in pool.bids.iter().chain(&pool.asks) {
            let (owner, sequence, tie, id) = entry.seniority();
            let age = (sequence, tie, id, entry.order.side);
            oldest
                .entry(owner)
                .and_modify(|first| *first = age.min(*first))
                .or_insert(age);
        }
        for side in [Side::Bid, Side::Ask] {
            pool.of(side).retain(|entry| {
                let stays = oldest
                    .get(&entry.order.owner)
                    .is_none_or(|first| first.3 == side);
                if !stays {
                    self.cancel(entry, CancelReason::SelfTrade);
                }
                stays
            });
            pool.of(side).sort_unstable_by_key(Entry::seniority);
        }
        self.trade(x, (&mut pool.bids, role), (&mut pool.asks, role))?;
        self.drop_spent(&mut pool.bids);
        self.drop_spent(&mut pool.asks);
        Ok(())
    }

    /// Step 3: `takers`, sorted by seniority, take from the opposite book: what rests and what `joined`. Leaves in both what
    /// did not execute.
    fn walk(&mut self, side: Side, takers: &mut Vec<Entry>, joined: &mut Vec<Entry>) -> Result<()> {
        let maker = side.opposite();
        // Best last, so that levels come off the end.
        joined.sort_unstable_by_key(|e| {
            let rank = if maker == Side::Bid {
                e.order.limit
            } else {
                Ticks::MAX ^ e.order.limit
            };
            (rank, e.seniority())
        });
        let mut stopped = Vec::new();
        while !takers.is_empty() && self.budget > 0 {
            let resting = self.best(maker)?;
            let joining = joined.last().map(|e| e.order.limit);
            let Some(level) = best_of(maker, resting.into_iter().chain(joining)) else {
                break;
            };
            let price = self.band.cut(maker, level);
            let reaches = |e: &Entry| side.accepts(e.order.limit, price);
            if !takers.iter().all(reaches) {
                stopped.extend(takers.extract_if(.., |e| !reaches(e)));
            }
            if resting == Some(level) {
                while let Some(mut cohort) = self.next_cohort(maker, takers) {
                    self.meet(price, takers, &mut cohort)?;
                    if !cohort.is_empty() {
                        self.ladders.of(maker).cohorts.push_front(cohort);
                    }
                }
            }
            if joining == Some(level) && !takers.is_empty() && self.budget > 0 {
                let first = joined.partition_point(|e| e.order.limit != level);
                let mut cohort = joined.split_off(first);
                self.meet(price, takers, &mut cohort)?;
                joined.append(&mut cohort);
            }
        }
        takers.append(&mut stopped);
        Ok(())
    }

    /// The next cohort of the best level, if there is anybody to take it.
    fn next_cohort(&mut self, maker: Side, takers: &[Entry]) -> Option<Vec<Entry>> {
        if takers.is_empty() || self.budget == 0 {
            return None;
        }
        self.ladders.of(maker).cohorts.pop_front()
    }

    /// One cohort meets those who reach it. Leaves in `takers` who goes on, in `cohort` what stays in the book.
    fn meet(
        &mut self,
        price: Ticks,
        takers: &mut Vec<Entry>,
        cohort: &mut Vec<Entry>,
    ) -> Result<()> {
        let mut cut = Vec::new();
        let budget = usize::try_from(self.budget).map_err(|_| MathError::Overflow)?;
        if cohort.len() > budget {
            cohort.select_nth_unstable_by_key(budget, |e| (e.order.tie, e.order.id));
            cut = cohort.split_off(budget);
        }
        let last = !cut.is_empty();

        self.drop_idle(cohort);
        self.prevent_self_trades(takers, cohort);
        cohort.sort_unstable_by_key(Entry::seniority);
        let executed = self.trade(price, (takers, Role::Taker), (cohort, Role::Maker))?;
        self.spend_budget(executed);
        self.outcome.executed_resting = self
            .outcome
            .executed_resting
            .checked_add(executed)
            .ok_or(MathError::Overflow)?;
        cohort.retain(|e| e.left > 0);
        self.drop_spent(takers);
        if !takers.is_empty() {
            // Everything that could execute did.
            self.drop_idle(cohort);
        }

        cohort.append(&mut cut);
        if last {
            self.budget = 0;
        }
        Ok(())
    }

    /// Before a cohort is shared: each walking order that meets its owner's own acts as its account chose.
    fn prevent_self_trades(&mut self, takers: &mut Vec<Entry>, cohort: &mut Vec<Entry>) {
        let owners: BTreeSet<u32> = cohort.iter().map(|e| e.order.owner).collect();
        let mut give_way = BTreeSet::new();
        takers.retain(|taker| {
            if !owners.contains(&taker.order.owner) {
                return true;
            }
            match taker.order.self_trade {
                SelfTradePrevention::CancelNewest => {
                    self.cancel(taker, CancelReason::SelfTrade);
                    false
                }
                SelfTradePrevention::CancelOldest => {
                    give_way.insert(taker.order.owner);
                    true
                }
            }
        });
        cohort.retain(|maker| {
            let stays = !give_way.contains(&maker.order.owner);
            if !stays {
                self.cancel(maker, CancelReason::SelfTrade);
                self.spend_budget(1);
            }
            stays
        });
    }

    /// The lesser of what two sides offer changes hands at `price`. Both are sorted by seniority. Returns how many orders
    /// of the second executed.
    fn trade(
        &mut self,
        price: Ticks,
        (first, first_role): (&mut [Entry], Role),
        (second, second_role): (&mut [Entry], Role),
    ) -> Result<u32> {
        let (one, two) = (self.offers(first)?, self.offers(second)?);
        let lots =
            Lots::try_from(total(&one)?.min(total(&two)?)).map_err(|_| MathError::Overflow)?;
        if lots == 0 {
            return Ok(0);
        }
        self.outcome.volume = self
            .outcome
            .volume
            .checked_add(lots)
            .ok_or(MathError::Overflow)?;
        self.outcome.last = Some(price);
        self.execute(price, first_role, first, &share(lots, &one)?)?;
        self.execute(price, second_role, second, &share(lots, &two)?)
    }

    /// What each entry could execute; an account's reduce-only orders share its allowance, the first in line first.
    fn offers(&mut self, entries: &[Entry]) -> Result<Vec<Offer>> {
        let mut taken = BTreeMap::new();
        let mut offers = Vec::with_capacity(entries.len());
        for Entry { order, left } in entries {
            let mut lots = *left;
            if order.reduce_only {
                let taken: &mut Lots = taken.entry(order.account).or_default();
                let free = self
                    .allowances
                    .of(order)
                    .checked_sub(*taken)
                    .ok_or(MathError::Overflow)?;
                lots = lots.min(free);
                *taken = taken.checked_add(lots).ok_or(MathError::Overflow)?;
            }
            offers.push(Offer {
                owner: order.owner,
                lots,
                tie: order.tie,
            });
        }
        Ok(offers)
    }

    fn execute(
        &mut self,
        ticks: Ticks,
        role: Role,
        entries: &mut [Entry],
        parts: &[Lots],
    ) -> Result<u32> {
        let mut executed: u32 = 0;
        for (entry, lots) in entries
            .iter_mut()
            .zip(parts.iter().copied())
            .filter(|(_, lots)| *lots > 0)
        {
            entry.left = entry.left.checked_sub(lots).ok_or(MathError::Overflow)?;
            self.allowances.spend(&entry.order, lots)?;
            self.outcome.fills.push(Execution {
                order: entry.order.id,
                ticks,
                lots,
                role,
            });
            executed = executed.checked_add(1).ok_or(MathError::Overflow)?;
        }
        Ok(executed)
    }

    /// The best resting price of a side, its level loaded if it was not. Orders that have nothing to reduce leave as
    /// their level is loaded.
    fn best(&mut self, side: Side) -> Result<Option<Ticks>> {
        while self.ladders.of(side).cohorts.is_empty() {
            let ladder = self.ladders.of(side);
            let Some(level) = self.book.level(side, ladder.depth) else {
                return Ok(None);
            };
            ladder.depth = ladder.depth.checked_add(1).ok_or(MathError::Overflow)?;
            let cohorts: Vec<Vec<Entry>> = level
                .chunk_by(|a, b| a.block == b.block)
                .map(|orders| {
                    orders
                        .iter()
                        .map(|o| Entry {
                            order: *o,
                            left: o.lots,
                        })
                        .collect()
                })
                .collect();
            for mut cohort in cohorts {
                self.drop_idle(&mut cohort);
                if !cohort.is_empty() {
                    self.ladders.of(side).cohorts.push_back(cohort);
                }
            }
        }
        let front = self.ladders.of(side).cohorts.front();
        Ok(front
            .and_then(|cohort| cohort.first())
            .map(|e| e.order.limit))
    }

    /// Cancels orders of the book that have nothing to reduce, as far as F goes.
    fn drop_idle(&mut self, cohort: &mut Vec<Entry>) {
        cohort.retain(|entry| {
            let idle = self.budget > 0 && self.allowances.of(&entry.order) == 0;
            if idle {
                self.cancel(entry, CancelReason::NothingToReduce);
                self.spend_budget(1);
            }
            !idle
        });
    }

    /// Removes new orders that have filled, and cancels those that have nothing to reduce any more.
    fn drop_spent(&mut self, entries: &mut Vec<Entry>) {
        entries.retain(|entry| {
            let idle = self.allowances.of(&entry.order) == 0;
            if idle && entry.left > 0 {
                self.cancel(entry, CancelReason::NothingToReduce);
            }
            entry.left > 0 && !idle
        });
    }

    /// What of `lots` the order may execute; the rest is cancelled. `None` if nothing remains.
    fn reducible(&mut self, order: &Order, lots: Lots) -> Option<Lots> {
        let allowed = self.allowances.of(order).min(lots);
        if let Some(excess) = lots.checked_sub(allowed).filter(|excess| *excess > 0) {
            self.outcome
                .cancelled
                .push((order.id, excess, CancelReason::NothingToReduce));
        }
        Some(allowed).filter(|lots| *lots > 0)
    }

    /// Whether a new order's remainder rests beside `opposite`, the best price of the other side; cancels it if not.
    fn rests(&mut self, entry: &mut Entry, opposite: Option<Ticks>) -> bool {
        let Some(left) = self.reducible(&entry.order, entry.left) else {
            return false;
        };
        entry.left = left;
        if entry.order.kind == Kind::Immediate {
            self.cancel(entry, CancelReason::NotImmediate);
            return false;
        }
        if touches(&entry.order, opposite) {
            self.cancel(entry, CancelReason::Touching);
            return false;
        }
        true
    }

    fn cancel(&mut self, entry: &Entry, reason: CancelReason) {
        self.outcome
            .cancelled
            .push((entry.order.id, entry.left, reason));
    }

    /// A count of work, not of money: it stops at zero.
    fn spend_budget(&mut self, orders: u32) {
        self.budget = self.budget.saturating_sub(orders);
    }
}

fn best_of(side: Side, prices: impl Iterator<Item = Ticks>) -> Option<Ticks> {
    match side {
        Side::Bid => prices.max(),
        Side::Ask => prices.min(),
    }
}

fn touches(order: &Order, opposite: Option<Ticks>) -> bool {
    opposite.is_some_and(|price| order.side.accepts(order.limit, price))
}
