//! The queue: accounts in need of remedies, by octaves of their notional at risk, first come first served within one.
//!
//! An account is in the map [`Queue`] and exactly once in the pages of [`Shelf::Queue`], or in [`Working`] while a close is at
//! work on it. Those that wait for others (frozen while counterparties are found, or in debt while the vault has no cash)
//! stand behind all others, so that they cannot keep the queue from draining.

use crate::{
    pages::{Entry, Shelf},
    Config, Pallet, Queue, Queued, RiskDirectory, Suspended, UncoveredDeficit, Working,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use frame_support::traits::Get;
use novate_types::{
    math::{add, sub},
    AccountRef, Assessment, BlockNumber, Cash, Ledger, Lots, MarketId, RiskError, RiskModel,
    RiskView, MILLION,
};

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

    /// Puts an account that was reached back in.
    pub(crate) fn requeue(
        of: &AccountRef<T::AccountId>,
        assessment: &Assessment,
        waits: bool,
    ) -> Result<(), RiskError> {
        let Some(mut queued) = Queue::<T>::get(of) else {
            return Ok(());
        };
        let deficit = deficit_of(assessment)?;
        let others = sub(UncoveredDeficit::<T>::get(), queued.deficit)?;
        queued.priority = if waits {
            WAITING
        } else {
            priority_of(assessment, deficit)
        };
        queued.deficit = deficit;
        Self::append(Shelf::Queue, queued.priority.into(), Self::queue_entry(of))?;
        UncoveredDeficit::<T>::put(add(others, deficit)?);
        Queue::<T>::insert(of, queued);
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

    /// Takes the accounts to work on in this close out of the pages, greatest notional first.
    pub(crate) fn reach() {
        let mut working = Working::<T>::get();
        let most = T::MaxLiquidations::get();
        while let Some(bucket) = RiskDirectory::<T>::get(Shelf::Queue).buckets().next_back() {
            let room = most.saturating_sub(u32::try_from(working.len()).unwrap_or(most));
            if room == 0 {
                break;
            }
            for entry in Self::take(Shelf::Queue, bucket, room) {
                // Never more than `room`.
                let _ = working.try_push(entry.account);
            }
        }
        Working::<T>::put(working);
    }

    /// Markets in which the accounts being worked on hold more than [`Config::BacklogShare`] of open interest. With the
    /// budget used up these are the largest of the queue, which is where a crash shows first.
    pub(crate) fn backlogged(
        accounts: &[AccountRef<T::AccountId>],
        view: &RiskView,
    ) -> BTreeSet<MarketId> {
        let mut queued = BTreeMap::<MarketId, Lots>::new();
        for account in accounts.iter().filter_map(T::Ledger::account) {
            let is_below = T::Risk::assess(&account, view).is_ok_and(|a| a.is_below_maintenance());
            for position in account.positions.iter().filter(|_| is_below) {
                let lots = queued.entry(position.market).or_default();
                // Beyond the range of lots it is beyond any share too.
                *lots = lots
                    .checked_add(position.lots.unsigned_abs())
                    .unwrap_or(Lots::MAX);
            }
        }
        let share = u128::from(T::BacklogShare::get());
        queued
            .into_iter()
            .filter(|(market, lots)| {
                let open = u128::from(T::Ledger::open_interest(*market));
                u128::from(*lots).saturating_mul(u128::from(MILLION)) > open.saturating_mul(share)
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
