//! What holds of the pallet's storage between blocks.

use crate::{aggregate::Aggregate, pallet::*, surface, types::MAX_SOURCES};
use alloc::collections::BTreeSet;
use frame_support::{
    ensure,
    traits::{Get, Time},
};
use novate_types::OracleScore;
use sp_runtime::{traits::Zero, TryRuntimeError};

impl<T: Config> Pallet<T> {
    /// Checks that
    ///
    /// 1. every observation is one that its validator could have made: its index is of the set and its own, its round has
    ///    begun, its feeds ascend and its prices are above zero;
    /// 2. every feed and source is one that the calls would take, and their number is the one counted;
    /// 3. every price is of a feed, above zero, of a block that has been, and not observed after the block's time;
    /// 4. every price written in this block *equals* the aggregate of the observations that stand;
    /// 5. a subject has one change scheduled at most, none of them due before the block after it was scheduled;
    /// 6. the running era has the session's validators, and nothing is noted of others; the eras kept are *exactly* the last; nobody
    ///    is in one twice, nor missed or strayed in more rounds than there were;
    /// 7. every observation of volatilities is one that its validator could have made; a surface is of a feed that has one, its expiries ascend, its
    ///    variances are some, and nothing in it was seen after the block's time; a feed waits once to be renewed, no longer than the window.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        let block = Self::block();
        let validators = Observers::<T>::get().keys.len();
        for (validator, observation) in Observations::<T>::iter() {
            ensure!(
                usize::try_from(validator).is_ok_and(|v| v < validators),
                "an observation of nobody in the set"
            );
            ensure!(
                observation.validator == validator,
                "an observation under another's index"
            );
            ensure!(
                observation.round <= block,
                "an observation of a round to come"
            );
            ensure!(
                observation.prices.is_sorted_by(|a, b| a.feed < b.feed),
                "an observation's feeds do not ascend"
            );
            ensure!(
                observation.prices.iter().all(|p| !p.price.is_zero()),
                "an observation of a price of zero"
            );
        }

        let feeds = Feeds::<T>::get();
        ensure!(
            feeds.values().all(|f| f.check().is_ok()),
            "a feed that schedule_feed would refuse"
        );
        let mut sources = 0u32;
        for source in Sources::<T>::iter_values() {
            sources = sources.saturating_add(1);
            ensure!(
                source.check().is_ok(),
                "a source that schedule_source would refuse"
            );
            ensure!(
                source.feeds().all(|f| feeds.contains_key(&f)),
                "a source of an unknown feed"
            );
        }
        ensure!(
            sources == Sources::<T>::count(),
            "the sources' count differs from their number"
        );
        ensure!(sources <= MAX_SOURCES, "too many sources");

        let mut subjects = BTreeSet::new();
        for scheduled in Pending::<T>::get() {
            ensure!(
                subjects.insert(scheduled.change.subject()),
                "two changes of one subject"
            );
            ensure!(
                scheduled.since < scheduled.due,
                "a change is due when it is scheduled"
            );
        }

        Self::check_scores()?;
        Self::check_surfaces()?;

        let now = T::Time::now();
        let aggregates = Self::round(now).aggregates;
        for (feed, stored) in Prices::<T>::get() {
            ensure!(feeds.contains_key(&feed), "a price of an unknown feed");
            ensure!(!stored.price.is_zero(), "a price of zero");
            ensure!(stored.block <= block, "a price of a block to come");
            ensure!(
                stored.observed_at <= now,
                "a price observed after the block's time"
            );
            if stored.block == block {
                let expected = Aggregate {
                    price: stored.price,
                    confidence: stored.confidence,
                    observed_at: stored.observed_at,
                };
                let found = aggregates
                    .iter()
                    .find(|(id, _, _)| *id == feed)
                    .map(|(_, a, _)| *a);
                ensure!(
                    found == Some(expected),
                    "a price of this block differs from the observations' aggregate"
                );
            }
        }
        Ok(())
    }

    fn check_surfaces() -> Result<(), TryRuntimeError> {
        let (block, now) = (Self::block(), T::Time::now());
        let validators = Observers::<T>::get().keys.len();
        for (validator, feed, observation) in SurfaceObservations::<T>::iter() {
            ensure!(
                usize::try_from(validator).is_ok_and(|v| v < validators),
                "volatilities of nobody in the set"
            );
            ensure!(
                observation.validator == validator && observation.feed == feed,
                "volatilities under another's key"
            );
            ensure!(
                observation.round <= block,
                "volatilities of a round to come"
            );
            ensure!(
                observation.smiles.is_sorted_by(|a, b| a.expiry < b.expiry)
                    && observation.smiles.iter().all(|s| s.smile.is_valid()),
                "volatilities that observe_surface would refuse"
            );
        }
        let feeds = Feeds::<T>::get();
        for (feed, surface) in Surfaces::<T>::iter() {
            ensure!(
                feeds.get(&feed).is_some_and(|feed| feed.min_chains > 0),
                "a surface of a feed that has none"
            );
            ensure!(
                surface.0.is_sorted_by(|a, b| a.expiry < b.expiry),
                "a surface's expiries do not ascend"
            );
            ensure!(
                surface
                    .0
                    .iter()
                    .all(|s| s.smile.is_valid() && s.observed_at <= now),
                "a slice of no variance, or seen after the block's time"
            );
        }
        let mut waiting = BTreeSet::new();
        for (feed, due) in SurfacesDue::<T>::get() {
            ensure!(waiting.insert(feed), "a feed's surface is due twice");
            ensure!(
                due <= block.saturating_add(surface::WINDOW),
                "a surface is due beyond the window"
            );
        }
        Ok(())
    }

    fn check_scores() -> Result<(), TryRuntimeError> {
        let era = CurrentEra::<T>::get();
        let noted = SessionScores::<T>::get();
        ensure!(
            era.validators.len() == Observers::<T>::get().keys.len(),
            "the running session has other validators than observers"
        );
        ensure!(
            noted.len() <= era.validators.len(),
            "something is noted of nobody in the set"
        );
        ensure!(
            era.sessions <= T::SessionsPerEra::get(),
            "the running era has too many sessions"
        );
        let rounds = Self::block().saturating_add(1).saturating_sub(era.since);
        ensure!(
            noted.iter().all(|s| s.rounds == 0)
                && noted
                    .iter()
                    .all(|s| is_possible(&OracleScore { rounds, ..*s })),
            "a score of the running session of more than its rounds"
        );
        let mut scored = BTreeSet::new();
        for (validator, score) in &era.scores {
            ensure!(
                is_possible(score),
                "a score of the running era of more than its rounds"
            );
            ensure!(
                scored.insert(validator),
                "a validator twice in the running era"
            );
        }

        let oldest = era.index.saturating_sub(T::KeptEras::get());
        let mut kept = BTreeSet::new();
        for (index, scores) in Eras::<T>::iter() {
            kept.insert(index);
            ensure!(
                scores.iter().all(|s| is_possible(&s.score)),
                "a score of a kept era of more than its rounds"
            );
            let validators: BTreeSet<_> = scores.iter().map(|s| &s.validator).collect();
            ensure!(
                validators.len() == scores.len(),
                "a validator twice in a kept era"
            );
        }
        ensure!(
            kept.into_iter().eq(oldest..era.index),
            "the eras kept are not the last"
        );
        Ok(())
    }
}

/// A round has one thing to say of a validator at most, and an outlier has a distance.
fn is_possible(score: &OracleScore) -> bool {
    let said = score.missed.saturating_add(score.outliers);
    said <= score.rounds && (score.outliers > 0) == score.farthest.is_some()
}
