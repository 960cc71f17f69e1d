//! What a match has done so far, and what its reduce-only orders may still do.

use crate::{
    allowance::Allowances,
    entry::{Entry, Sides},
    share::Offer,
    Execution, Kind, Order, Outcome,
};
use alloc::{collections::BTreeMap, vec::Vec};
use novate_types::{CancelReason, Lots, MathError, Side, SignedLots, Ticks};

type Result<T> = core::result::Result<T, MathError>;

pub struct Record<'a> {
    pub allowances: Allowances<'a>,
    pub outcome: Outcome,
    /// Orders, each time one was looked at. A count of work, not of money: it stops at its greatest.
    pub handled: u32,
}

impl<'a> Record<'a> {
    pub fn new(position: &'a dyn Fn(u32) -> SignedLots) -> Self {
        Self {
            allowances: Allowances::new(position),
            outcome: Outcome::default(),
            handled: 0,
        }
    }

    pub fn handle(&mut self, orders: usize) {
        let orders = u32::try_from(orders).unwrap_or(u32::MAX);
        self.handled = self.handled.saturating_add(orders);
    }

    pub fn cancel(&mut self, entry: &Entry, reason: CancelReason) {
        self.outcome
            .cancelled
            .push((entry.order.id, entry.left, reason));
    }

    /// What of `lots` the order may execute; the rest is cancelled. `None` if nothing remains.
    pub fn reducible(&mut self, order: &Order, lots: Lots) -> Option<Lots> {
        let allowed = self.allowances.of(order).min(lots);
        if let Some(excess) = lots.checked_sub(allowed).filter(|excess| *excess > 0) {
            self.outcome
                .cancelled
                .push((order.id, excess, CancelReason::NothingToReduce));
        }
        Some(allowed).filter(|lots| *lots > 0)
    }

    /// An owner with orders on both sides keeps the side of its oldest one; those of the other side are cancelled.
    pub fn keep_oldest_sides(&mut self, pool: &mut Sides<Vec<Entry>>) {
        let mut oldest = BTreeMap::new();
        for entry in pool.iter() {
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
        }
    }

    /// What each entry could execute; an account's reduce-only orders share its allowance, the first in line first.
    pub fn offers(&mut self, entries: &[Entry]) -> Result<Vec<Offer>> {
        self.handle(entries.len());
        let mut taken = BTreeMap::new();
        let mut offers = Vec::with_capacity(entries.len());
        for Entry { order, left, .. } in entries {
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

    /// `lots` more change hands at `price`.
    pub fn trade(&mut self, price: Ticks, lots: Lots) -> Result<()> {
        self.outcome.volume = self
            .outcome
            .volume
            .checked_add(lots)
            .ok_or(MathError::Overflow)?;
        self.outcome.last = Some(price);
        Ok(())
    }

    /// Each entry executes its part. Returns how many did.
    pub fn execute(&mut self, ticks: Ticks, entries: &mut [Entry], parts: &[Lots]) -> Result<u32> {
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
                role: entry.role,
            });
            executed = executed.checked_add(1).ok_or(MathError::Overflow)?;
        }
        Ok(executed)
    }

    /// Whether a remainder may rest, cut to what it can reduce; cancels what may not.
    pub fn remains(&mut self, entry: &mut Entry) -> bool {
        let Some(left) = self.reducible(&entry.order, entry.left) else {
            return false;
        };
        entry.left = left;
        match entry.order.kind {
            Kind::Rest | Kind::PostOnly => true,
            Kind::Immediate => {
                self.cancel(entry, CancelReason::NotImmediate);
                false
            }
            Kind::FillOrKill => {
                self.cancel(entry, CancelReason::NotWhole);
                false
            }
        }
    }

    pub fn join(&mut self, entry: &Entry) {
        self.outcome
            .joined
            .push((entry.order.id, entry.order.limit, entry.left));
    }
}
