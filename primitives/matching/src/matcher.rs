//! The three steps.

use crate::{
    band::Band,
    entry::{best_of, rank, Entry, Sides},
    record::Record,
    share::{share, total},
    Book, Kind, Order, Outcome, Rules,
};
use alloc::{
    collections::{BTreeSet, VecDeque},
    vec::Vec,
};
use novate_types::{CancelReason, Lots, MathError, SelfTradePrevention, Side, SignedLots, Ticks};

type Result<T> = core::result::Result<T, MathError>;

/// The best level of one side of the rested book.
#[derive(Default)]
struct Ladder {
    /// Levels loaded so far.
    depth: usize,
    /// What is left of the last one loaded, oldest cohort first, none of them empty.
    cohorts: VecDeque<Vec<Entry>>,
}

/// What a run did.
pub struct Ran {
    /// It holds only if all that were `admitted` filled.
    pub outcome: Outcome,
    /// Fill-or-kill orders that took part, as they entered.
    pub admitted: Vec<Entry>,
    /// Its work, in orders each time one was looked at.
    pub handled: u32,
}

/// One market's match.
pub struct Match<'a, B> {
    band: Band,
    book: &'a mut B,
    ladders: Sides<Ladder>,
    record: Record<'a>,
    /// What is left of F.
    budget: u32,
    /// Fill-or-kill orders that took part, as they entered.
    admitted: Vec<Entry>,
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
            record: Record::new(position),
            budget: rules.max_fills,
            admitted: Vec::new(),
        })
    }

    /// Cross, join, walk; the fill-or-kill orders among `killed` take no part.
    pub fn run(mut self, new: &[Order], killed: &BTreeSet<u32>) -> Result<Ran> {
        self.record.handle(new.len());
        let (best_bid, best_ask) = (self.best(Side::Bid)?, self.best(Side::Ask)?);
        let x = self.band.cross(best_bid, best_ask);

        let mut crossing: Sides<Vec<Entry>> = Sides::default();
        let mut posting: Sides<Vec<Entry>> = Sides::default();
        let mut joined: Sides<Vec<Entry>> = Sides::default();
        for order in new {
            let mut order = *order;
            order.limit = self.band.cut(order.side, order.limit);
            let Some(left) = self.record.reducible(&order, order.lots) else {
                continue;
            };
            let entry = Entry::new(order, left);
            let reaches = order.side.accepts(order.limit, x);
            match order.kind {
                Kind::PostOnly if reaches => posting.push(entry),
                Kind::Rest | Kind::Immediate if reaches => crossing.push(entry),
                Kind::FillOrKill if reaches && !killed.contains(&order.id) => {
                    self.admitted.push(entry);
                    crossing.push(entry);
                }
                Kind::Rest | Kind::PostOnly => joined.push(entry.joining()),
                Kind::Immediate => self.record.cancel(&entry, CancelReason::NotImmediate),
                Kind::FillOrKill => self.record.cancel(&entry, CancelReason::NotWhole),
            }
        }

        self.cross(x, &mut crossing)?;
        self.cross(x, &mut posting)?;

        for side in [Side::Bid, Side::Ask] {
            let resting = self.best(side.opposite())?;
            let joining = joined.of(side.opposite()).iter().map(|e| e.order.limit);
            let opposite = best_of(side.opposite(), joining.chain(resting));
            for entry in posting.of(side).drain(..) {
                if entry.touches(opposite) {
                    self.record.cancel(&entry, CancelReason::WouldCross);
                } else {
                    joined.push(entry);
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
                self.record.join(entry);
            }
        }
        Ok(Ran {
            outcome: self.record.outcome,
            admitted: self.admitted,
            handled: self.record.handled,
        })
    }

    /// Step 1 for one pool: no owner on both sides, then everybody at `x`, the longer side sharing.
    fn cross(&mut self, x: Ticks, pool: &mut Sides<Vec<Entry>>) -> Result<()> {
        self.record.keep_oldest_sides(pool);
        for side in [Side::Bid, Side::Ask] {
            pool.of(side).sort_unstable_by_key(Entry::seniority);
        }
        self.trade(x, &mut pool.bids, &mut pool.asks)?;
        self.drop_spent(&mut pool.bids);
        self.drop_spent(&mut pool.asks);
        Ok(())
    }

    /// Step 3: `takers`, sorted by seniority, take from the opposite book: what rests and what `joined`. Leaves in both what
    /// did not execute.
    fn walk(&mut self, side: Side, takers: &mut Vec<Entry>, joined: &mut Vec<Entry>) -> Result<()> {
        let maker = side.opposite();
        // Best last, so that levels come off the end.
        joined.sort_unstable_by_key(|e| (rank(maker, e.order.limit), e.seniority()));
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
        let executed = self.trade(price, takers, cohort)?;
        self.spend_budget(executed);
        let resting = &mut self.record.outcome.executed_resting;
        *resting = resting.checked_add(executed).ok_or(MathError::Overflow)?;
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
                    self.record.cancel(taker, CancelReason::SelfTrade);
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
                self.record.cancel(maker, CancelReason::SelfTrade);
                self.spend_budget(1);
            }
            stays
        });
    }

    /// The lesser of what two sides offer changes hands at `price`. Both are sorted by seniority. Returns how many orders
    /// of the second executed.
    fn trade(&mut self, price: Ticks, first: &mut [Entry], second: &mut [Entry]) -> Result<u32> {
        let (one, two) = (self.record.offers(first)?, self.record.offers(second)?);
        let lots =
            Lots::try_from(total(&one)?.min(total(&two)?)).map_err(|_| MathError::Overflow)?;
        if lots == 0 {
            return Ok(0);
        }
        self.record.trade(price, lots)?;
        self.record.execute(price, first, &share(lots, &one)?)?;
        self.record.execute(price, second, &share(lots, &two)?)
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
            self.record.handle(level.len());
            let cohorts: Vec<Vec<Entry>> = level
                .chunk_by(|a, b| a.block == b.block)
                .map(|orders| orders.iter().map(|o| Entry::resting(*o)).collect())
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
            let idle = self.budget > 0 && self.record.allowances.of(&entry.order) == 0;
            if idle {
                self.record.cancel(entry, CancelReason::NothingToReduce);
                self.spend_budget(1);
            }
            !idle
        });
    }

    /// Removes new orders that have filled, and cancels those that have nothing to reduce any more.
    fn drop_spent(&mut self, entries: &mut Vec<Entry>) {
        entries.retain(|entry| {
            let idle = self.record.allowances.of(&entry.order) == 0;
            if idle && entry.left > 0 {
                self.record.cancel(entry, CancelReason::NothingToReduce);
            }
            entry.left > 0 && !idle
        });
    }

    /// Whether a new order's remainder rests beside `opposite`, the best price of the other side; cancels it if not.
    fn rests(&mut self, entry: &mut Entry, opposite: Option<Ticks>) -> bool {
        let remains = self.record.remains(entry);
        let touches = entry.touches(opposite);
        if remains && touches {
            self.record.cancel(entry, CancelReason::Touching);
        }
        remains && !touches
    }

    /// A count of work, not of money: it stops at zero.
    fn spend_budget(&mut self, orders: u32) {
        self.budget = self.budget.saturating_sub(orders);
    }
}
