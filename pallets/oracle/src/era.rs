//! Scores: what a close notes of its round, what sessions add up to, and what the end of an era means.

use crate::{
    pallet::*,
    score::{judge, Rules},
    types::Remark,
    Consequences,
};
use alloc::{collections::BTreeMap, vec::Vec};
use core::{iter, marker::PhantomData};
use frame_support::{traits::Get, BoundedVec};
use novate_types::{BlockNumber, EraIndex, OracleScore, ValidatorScore, Verdict};

/// The most validators that an era can have: others in every session.
pub struct MaxScored<T>(PhantomData<T>);

impl<T: Config> Get<u32> for MaxScored<T> {
    fn get() -> u32 {
        T::MaxValidators::get().saturating_mul(T::SessionsPerEra::get())
    }
}

/// The scores of an era that ended.
pub type EraScores<T> =
    BoundedVec<ValidatorScore<<T as frame_system::Config>::AccountId>, MaxScored<T>>;

impl<T: Config> Era<T> {
    /// Adds what the running session has come to before block `until`.
    fn add_session(&mut self, noted: &[OracleScore], until: BlockNumber) {
        let rounds = until.saturating_sub(self.since);
        let noted = noted
            .iter()
            .copied()
            .chain(iter::repeat(OracleScore::default()));
        for (validator, noted) in self.validators.iter().zip(noted) {
            let session = OracleScore { rounds, ..noted };
            let known = self.scores.iter_mut().find(|(who, _)| who == validator);
            if let Some((_, score)) = known {
                score.add(&session);
                continue;
            }
            let added = self.scores.try_push((validator.clone(), session));
            if added.is_err() {
                frame_support::defensive!("an era has no more validators than that");
            }
        }
    }
}

impl<T: Config> Pallet<T> {
    fn rules() -> Rules {
        Rules {
            share: T::OutlierShare::get(),
            offence: T::OffenceEras::get(),
        }
    }

    /// Notes what there is to say of a round. Nothing is read or written where all observed and nobody strayed.
    pub(crate) fn note(remarks: BTreeMap<u32, Remark>) {
        if remarks.is_empty() {
            return;
        }
        SessionScores::<T>::mutate(|scores| {
            for (validator, remark) in remarks {
                let place = usize::try_from(validator).unwrap_or(usize::MAX);
                if place >= scores.len() {
                    scores.bounded_resize(place.saturating_add(1), OracleScore::default());
                }
                let Some(score) = scores.get_mut(place) else {
                    frame_support::defensive!("there are no more observers than validators");
                    continue;
                };
                score.add(&remark.into());
            }
        });
    }

    /// Ends the running session for the scores, and the era with its last. Its weight is the session pallet's, which
    /// charges a whole block for a rotation.
    pub(crate) fn turn_session(validators: Vec<T::AccountId>) {
        let block = Self::block();
        let mut era = CurrentEra::<T>::get();
        era.add_session(&SessionScores::<T>::take(), block);
        if era.sessions >= T::SessionsPerEra::get() {
            let scores = core::mem::take(&mut era.scores).into_inner();
            Self::end_era(era.index, scores);
            era.index = era.index.saturating_add(1);
            era.sessions = 0;
        }
        era.sessions = era.sessions.saturating_add(1);
        // The genesis block has no close.
        era.since = block.max(1);
        era.validators = BoundedVec::truncate_from(validators);
        CurrentEra::<T>::put(era);
    }

    fn end_era(era: EraIndex, scores: Vec<(T::AccountId, OracleScore)>) {
        let scores = Self::judged(era, scores);
        for entry in &scores {
            let validator = &entry.validator;
            if entry.verdict != Verdict::Good {
                T::Consequences::withhold(validator, era);
            }
            if entry.verdict == Verdict::Reported {
                T::Consequences::report(validator, era);
            }
        }
        if let Some(oldest) = era.checked_sub(T::KeptEras::get()) {
            Eras::<T>::remove(oldest);
        }
        Eras::<T>::insert(era, EraScores::<T>::truncate_from(scores.clone()));
        Self::deposit_event(Event::EraEnded { era, scores });
    }

    /// What scores mean in `era`, by them and by the eras before it that are kept.
    fn judged(
        era: EraIndex,
        scores: Vec<(T::AccountId, OracleScore)>,
    ) -> Vec<ValidatorScore<T::AccountId>> {
        let first = era.saturating_sub(T::KeptEras::get().saturating_sub(1));
        let mut earlier: BTreeMap<T::AccountId, u32> = BTreeMap::new();
        for kept in (first..era).flat_map(Eras::<T>::get) {
            if kept.verdict != Verdict::Good {
                let count = earlier.entry(kept.validator).or_default();
                *count = count.saturating_add(1);
            }
        }
        scores
            .into_iter()
            .map(|(validator, score)| {
                let earlier = earlier.get(&validator).copied().unwrap_or(0);
                ValidatorScore {
                    verdict: judge(&score, earlier, Self::rules()),
                    validator,
                    score,
                }
            })
            .collect()
    }

    /// The running era with its scores up to this block's close, and the verdicts that it would end with now.
    pub fn running_era() -> (EraIndex, Vec<ValidatorScore<T::AccountId>>) {
        let mut era = CurrentEra::<T>::get();
        let next = Self::block().saturating_add(1);
        era.add_session(&SessionScores::<T>::get(), next);
        (era.index, Self::judged(era.index, era.scores.into_inner()))
    }

    /// The eras that ended and are kept, the last first.
    pub fn kept_eras() -> Vec<(EraIndex, Vec<ValidatorScore<T::AccountId>>)> {
        let running = CurrentEra::<T>::get().index;
        (running.saturating_sub(T::KeptEras::get())..running)
            .rev()
            .map(|era| (era, Eras::<T>::get(era).into_inner()))
            .collect()
    }
}
