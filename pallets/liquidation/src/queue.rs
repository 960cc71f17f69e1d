//! The queue: accounts in need of remedies, by octaves of their notional at risk, first come first served within one.
//!
//! An account is in the map [`Queue`] and exactly once in the pages of [`Shelf::Queue`], or in [`Working`] while a close is at
//! work on it. Those that wait for others (frozen while counterparties are found, or called for a debt while neither bids nor the vault pay it)
//! stand behind all others, so that they cannot keep the queue from draining.

use crate::{
    meter::{Meter, Size},
    pages::{Entry, Shelf},
    remedies::stays,
    types::{steps, ACCOUNT_STEPS},
    Config, Pallet, Queue, Queued, RiskDirectory, Suspended, UncoveredDeficit,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use frame_support::traits::Get;
use novate_risk::holds_settled;
use novate_types::{
    math::{add, sub},
    AccountRef, Assessment, BlockNumber, Cash, Ledger, MarginAccount, MarketId, RiskError,
    RiskModel, RiskView, Standing, MILLION,
};

/// Accounts from which nothing can be reckoned about others.
const FEW: u128 = 16;
/// Bucket of those that wait behind all others.
pub(crate) const WAITING: u8 = 0;

/// What equity is below zero.
fn deficit_of(assessment: &Assessment) -> Result<Cash, RiskError> {
    Ok(sub(0, assessment.equity.min(0))?)
}

/// Octave of the notional at risk, or of the deficit where there is no position left.
fn priority_of(assessment: &Assessment, deficit: Cash) -> u8 {
    let at_risk = assessment.notional.max(deficit).unsigned_abs();
    at_risk
        .checked_ilog2()
        .and_then(|octave| u8::try_from(octave).ok())
        .map_or(1, |octave| octave.saturating_add(1))
}

/// An account being worked on.
pub(crate) struct Case<AccountId> {
    pub of: AccountRef<AccountId>,
    /// None if it was closed.
    pub account: Option<MarginAccount>,
    /// What it is worth and needs, if it is there.
    pub assessment: Result<Assessment, RiskError>,
}

/// Accounts that were reached, and those passed over.
pub(crate) type Reached<AccountId> = (Vec<Case<AccountId>>, Vec<AccountRef<AccountId>>);

impl<AccountId> Case<AccountId> {
    /// What it holds; nothing if it was closed.
    pub fn size(&self, view: &RiskView) -> Size {
        let nothing = Size {
            holdings: 0,
            more: 0,
        };
        let account = self.account.as_ref();
        account.map_or(nothing, |account| Size::of(account, view))
    }

    /// Whether its remedy is the market, or begins with it. What cannot be said counts as the dearer.
    pub fn is_at_market(&self) -> bool {
        match (&self.account, &self.assessment) {
            (Some(account), Ok(assessment)) => {
                !matches!(account.standing, Standing::Competing { .. })
                    && stays(account, assessment).unwrap_or(true)
            }
            _ => false,
        }
    }

    /// Triggers that leave when its remedies begin; later it has none.
    pub fn triggers(&self) -> u32 {
        let many = self
            .account
            .as_ref()
            .map_or(0, |account| account.triggers.len());
        u32::try_from(many).unwrap_or(u32::MAX)
    }
}

impl<T: Config> Pallet<T> {
    /// Takes an account in, unless it is in.
    pub(crate) fn enqueue(
        of: &AccountRef<T::AccountId>,
        assessment: &Assessment,
        since: BlockNumber,
    ) -> Result<(), RiskError> {
        if Queue::<T>::contains_key(of) {
            return Ok(());
        }
        Self::resume(of)?;
        let deficit = deficit_of(assessment)?;
        let priority = priority_of(assessment, deficit);
        Self::append(Shelf::Queue, priority.into(), Self::queue_entry(of))?;
        UncoveredDeficit::<T>::put(add(UncoveredDeficit::<T>::get(), deficit)?);
        Queue::<T>::insert(
            of,
            Queued {
                since,
                priority,
                deficit,
            },
        );
        Ok(())
    }

    /// Puts an account that was reached back in. Returns whether its place is another one.
    pub(crate) fn requeue(
        of: &AccountRef<T::AccountId>,
        assessment: &Assessment,
        waits: bool,
    ) -> Result<bool, RiskError> {
        let Some(before) = Queue::<T>::get(of) else {
            return Ok(false);
        };
        let deficit = deficit_of(assessment)?;
        let others = sub(UncoveredDeficit::<T>::get(), before.deficit)?;
        let queued = Queued {
            priority: if waits {
                WAITING
            } else {
                priority_of(assessment, deficit)
            },
            deficit,
            ..before
        };
        Self::append(Shelf::Queue, queued.priority.into(), Self::queue_entry(of))?;
        let is_moved = queued != before;
        if is_moved {
            UncoveredDeficit::<T>::put(add(others, deficit)?);
            Queue::<T>::insert(of, queued);
        }
        Ok(is_moved)
    }

    /// An account in the queue lacks nothing any more.
    pub(crate) fn cover(of: &AccountRef<T::AccountId>) -> Result<(), RiskError> {
        let Some(queued) = Queue::<T>::get(of) else {
            return Ok(());
        };
        UncoveredDeficit::<T>::put(sub(UncoveredDeficit::<T>::get(), queued.deficit)?);
        Queue::<T>::insert(
            of,
            Queued {
                deficit: 0,
                ..queued
            },
        );
        Ok(())
    }

    /// Puts an account back as it was, behind all others: nothing could be done for it.
    pub(crate) fn requeue_unchanged(of: &AccountRef<T::AccountId>) -> Result<(), RiskError> {
        Self::append(Shelf::Queue, WAITING.into(), Self::queue_entry(of))?;
        if let Some(queued) = Queue::<T>::get(of) {
            Queue::<T>::insert(
                of,
                Queued {
                    priority: WAITING,
                    ..queued
                },
            );
        }
        Ok(())
    }

    /// Lets an account that was reached go.
    pub(crate) fn dequeue(of: &AccountRef<T::AccountId>) -> Result<(), RiskError> {
        if let Some(queued) = Queue::<T>::take(of) {
            UncoveredDeficit::<T>::put(sub(UncoveredDeficit::<T>::get(), queued.deficit)?);
        }
        Ok(())
    }

    /// Lets an account go that waits for a price. What it lacked when it was last assessed stays counted: an old price covers
    /// nothing.
    pub(crate) fn suspend(of: &AccountRef<T::AccountId>) {
        if let Some(queued) = Queue::<T>::take(of).filter(|queued| queued.deficit > 0) {
            Suspended::<T>::insert(of, queued.deficit);
        }
    }

    /// Stops counting what an account lacked when its price went missing: it can be assessed again.
    pub(crate) fn resume(of: &AccountRef<T::AccountId>) -> Result<(), RiskError> {
        if let Some(deficit) = Suspended::<T>::take(of) {
            UncoveredDeficit::<T>::put(sub(UncoveredDeficit::<T>::get(), deficit)?);
        }
        Ok(())
    }

    fn queue_entry(of: &AccountRef<T::AccountId>) -> Entry<T::AccountId> {
        Entry {
            account: of.clone(),
            generation: 0,
        }
    }

    /// Takes accounts to work on out of the pages, greatest notional first, and looks at them: as many as there are `steps` for, and
    /// what they are reckoned to take leaves time for. Those that are `done` are passed over without a look, and returned beside them.
    pub(crate) fn reach(
        now: &RiskView,
        done: &BTreeSet<AccountRef<T::AccountId>>,
        steps_left: &mut u32,
        meter: &Meter<T>,
    ) -> Reached<T::AccountId> {
        let mut reckoned = 0u64;
        let (mut cases, mut passed) = (Vec::new(), Vec::new());
        while let Some(bucket) = RiskDirectory::<T>::get(Shelf::Queue).buckets().next_back() {
            let mut is_full = false;
            Self::take_while(Shelf::Queue, bucket, |entry| {
                if done.contains(&entry.account) {
                    reckoned = reckoned.saturating_add(meter.passed(1));
                    is_full |= !meter.affords(reckoned);
                    if !is_full {
                        passed.push(entry.account.clone());
                    }
                    return !is_full;
                }
                let case = Self::look_at(&entry.account, now);
                let steps = case.account.as_ref().map_or(ACCOUNT_STEPS, steps);
                let sum = reckoned
                    .saturating_add(Self::reckoned(&case, now, meter))
                    .saturating_add(meter.left_behind(case.triggers()));
                is_full |= steps > *steps_left || !meter.affords(sum);
                if !is_full {
                    *steps_left = steps_left.saturating_sub(steps);
                    reckoned = sum;
                    cases.push(case);
                }
                !is_full
            });
            if is_full || *steps_left == 0 {
                break;
            }
        }
        (cases, passed)
    }

    /// What a case is reckoned to take. Who stays with the market or in competition is closed against nobody: were it reckoned to be,
    /// large accounts that wait for bids would take all of a close's time on paper, and smaller ones behind them would not come to begin.
    fn reckoned(case: &Case<T::AccountId>, view: &RiskView, meter: &Meter<T>) -> u64 {
        let is_staying = match (&case.account, &case.assessment) {
            (Some(account), Ok(assessment)) => stays(account, assessment).unwrap_or(false),
            _ => false,
        };
        if is_staying {
            meter.liquidation(case.size(view), false, case.is_at_market())
        } else {
            meter.expected(case.size(view), case.is_at_market())
        }
    }

    /// Puts an account back where it was: there was no time for it.
    pub(crate) fn put_back_queued(of: &AccountRef<T::AccountId>) -> Result<(), RiskError> {
        match Queue::<T>::get(of) {
            Some(queued) => {
                Self::append(Shelf::Queue, queued.priority.into(), Self::queue_entry(of))
            }
            None => Ok(()),
        }
    }

    /// Whether an account came into the queue in this block.
    pub(crate) fn is_found_now(of: &AccountRef<T::AccountId>, now: BlockNumber) -> bool {
        Queue::<T>::get(of).is_some_and(|queued| queued.since == now)
    }

    /// An account of the queue as it is.
    pub(crate) fn look_at(of: &AccountRef<T::AccountId>, view: &RiskView) -> Case<T::AccountId> {
        let mut account = T::Ledger::account(of);
        // No remedy deals with what is cash already.
        if account.as_ref().is_some_and(|a| holds_settled(a, view)) {
            if let Err(error) = T::Ledger::settle_expired(of, view) {
                log::error!(target: crate::LOG, "{of:?} cannot be settled: {error:?}");
            }
            account = T::Ledger::account(of);
        }
        let assessment = account
            .as_ref()
            .map(|account| T::Risk::assess_held(account, view));
        Case {
            of: of.clone(),
            account,
            assessment: assessment.unwrap_or(Err(RiskError::Underflow)),
        }
    }

    /// Markets in which the queue holds more than [`Config::BacklogShare`] of open interest. What the accounts being worked on hold is
    /// counted; those that a close has no room for stand behind them, and are reckoned to hold what the least of these do on average.
    pub(crate) fn backlogged(cases: &[Case<T::AccountId>]) -> BTreeSet<MarketId> {
        // Counts of lots, not money: no more than 2³² positions of fewer than 2⁶⁴ lots each. Where what is reckoned from them has no number
        // it is more than any share, which is what a sum that stops at the largest number says too.
        let mut queued = BTreeMap::<MarketId, u128>::new();
        let mut of_least = BTreeMap::<MarketId, u128>::new();
        let below = cases.iter().filter_map(|case| {
            let assessment = case.assessment.as_ref().ok()?;
            let priority = priority_of(assessment, deficit_of(assessment).ok()?);
            let account = case.account.as_ref()?;
            assessment
                .is_below_maintenance()
                .then_some((account, priority))
        });
        let below: Vec<_> = below.collect();
        let least = below.iter().map(|(_, priority)| *priority).min();
        let mut many = 0u128;
        for (account, priority) in &below {
            let is_least = Some(*priority) == least;
            many = many.saturating_add(u128::from(is_least));
            for position in &account.positions {
                let held = u128::from(position.lots.unsigned_abs());
                for (sum, counts) in [(&mut queued, true), (&mut of_least, is_least)] {
                    if counts {
                        let lots = sum.entry(position.market).or_default();
                        *lots = lots.saturating_add(held);
                    }
                }
            }
        }
        let worked = u32::try_from(cases.len()).unwrap_or(u32::MAX);
        // Those who wait for others cannot be helped by haste.
        let elsewhere = worked.saturating_add(Self::count(Shelf::Queue, WAITING.into()));
        let others = u128::from(Queue::<T>::count().saturating_sub(elsewhere));
        // Of few nothing can be said: then what all of them hold.
        let (sample, many) = if many < FEW {
            let all = u128::try_from(below.len()).unwrap_or(u128::MAX);
            (queued.clone(), all)
        } else {
            (of_least, many)
        };
        for (market, lots) in sample {
            let reckoned = lots.saturating_mul(others).checked_div(many).unwrap_or(0);
            let sum = queued.entry(market).or_default();
            *sum = sum.saturating_add(reckoned);
        }
        let share = u128::from(T::BacklogShare::get());
        queued
            .into_iter()
            .filter(|(market, lots)| {
                let open = u128::from(T::Ledger::open_interest(*market));
                lots.saturating_mul(u128::from(MILLION)) > open.saturating_mul(share)
            })
            .map(|(market, _)| market)
            .collect()
    }

    /// At most `most` accounts of the queue and their places in it, in the order in which they are worked on. For queries.
    pub fn queue(most: usize) -> Vec<(AccountRef<T::AccountId>, Queued)> {
        let mut found = Vec::new();
        for bucket in RiskDirectory::<T>::get(Shelf::Queue).buckets().rev() {
            for entry in Self::entries(Shelf::Queue, bucket) {
                if found.len() >= most {
                    return found;
                }
                found.extend(Queue::<T>::get(&entry.account).map(|place| (entry.account, place)));
            }
        }
        found
    }
}
