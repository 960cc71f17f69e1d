//! What volatilities are taken, and the surface that the close makes of them.

use super::{
    aggregate::{choose, SmileVote},
    Flaw, Freshness, ListedStrikes, ObservedSmile, SurfaceObservation, HORIZON, LEAST_TIME, WINDOW,
};
use crate::{
    crypto::AuthoritySignature,
    impls::{Refusal, LONGEVITY},
    pallet::*,
    ValidatorWeights, WeightInfo,
};
use alloc::{collections::BTreeMap, vec::Vec};
use codec::Encode;
use frame_support::{
    pallet_prelude::{TransactionSource, TransactionValidityWithRefund, ValidTransaction, Weight},
    traits::Get,
    BoundedVec,
};
use novate_math::{ln, Scaled};
use novate_risk::surface::{admits_calendar, Slice, Surface, MAX_EXPIRIES};
use novate_types::{FeedId, Millis, Price, VolatilitySurface};
use sp_runtime::{traits::Zero, FixedI128, FixedPointNumber, FixedU128, RuntimeAppPublic};

/// Leaves out the smiles that admit arbitrage: by a butterfly, at the grid's places and those of `strikes` (`ln(K/F)`), then by a calendar spread
/// between neighbours, both of whom go. What cannot be computed is left out as well.
pub(crate) fn without_arbitrage(
    smiles: Vec<ObservedSmile>,
    now: Millis,
    strikes: impl Fn(Millis) -> Vec<FixedI128>,
) -> (Vec<ObservedSmile>, Vec<(Millis, Flaw)>) {
    let mut refused = Vec::new();
    let mut left = Vec::new();
    for seen in smiles {
        let time = seen.expiry.saturating_sub(now);
        match seen.smile.admits_butterfly(time, &strikes(seen.expiry)) {
            Ok(false) => left.push(seen),
            _ => refused.push((seen.expiry, Flaw::Butterfly)),
        }
    }
    // Two that go make neighbours of those before and behind them. Every step goes on by one, or takes two away and goes back by one.
    let mut at = 0usize;
    for _ in 0..left.len().saturating_mul(2) {
        let pair = left.get(at).zip(left.get(at.saturating_add(1)));
        let Some((near, far)) = pair else { break };
        let conflict = admits_calendar(
            &near.smile,
            near.expiry.saturating_sub(now),
            &far.smile,
            far.expiry.saturating_sub(now),
        );
        if matches!(conflict, Ok(false)) {
            at = at.saturating_add(1);
            continue;
        }
        let pair = left.drain(at..at.saturating_add(2));
        refused.extend(pair.map(|seen| (seen.expiry, Flaw::Calendar)));
        at = at.saturating_sub(1);
    }
    refused.sort_unstable_by_key(|(expiry, _)| *expiry);
    (left, refused)
}

/// What was renewed, with the last good slices of the other expiries: those that are not over, and between which and what was renewed there is no
/// calendar arbitrage. Where there is, the older gives way, and its expiry lies between its neighbours'.
fn merge(renewed: Vec<Slice>, old: Surface, now: Millis) -> Surface {
    let most = usize::try_from(MAX_EXPIRIES).unwrap_or(usize::MAX);
    let mut merged = renewed;
    for slice in old.0 {
        let at = merged.partition_point(|s| s.expiry < slice.expiry);
        let after = merged.get(at);
        let before = at.checked_sub(1).and_then(|at| merged.get(at));
        let replaced = after.is_some_and(|next| next.expiry == slice.expiry);
        if replaced || slice.expiry <= now || merged.len() >= most {
            continue;
        }
        let conflict = before.is_some_and(|b| b.admits_calendar(&slice, now).unwrap_or(true))
            || after.is_some_and(|a| slice.admits_calendar(a, now).unwrap_or(true));
        if !conflict {
            merged.insert(at, slice);
        }
    }
    Surface(BoundedVec::truncate_from(merged))
}

impl<T: Config> Pallet<T> {
    /// What a validator of the set `set` signs of volatilities.
    pub fn surface_payload(set: u64, observation: &SurfaceObservation) -> Vec<u8> {
        let genesis = frame_system::Pallet::<T>::block_hash(
            frame_system::pallet_prelude::BlockNumberFor::<T>::zero(),
        );
        (b"novate/surface", genesis, set, observation).encode()
    }

    pub(crate) fn authorize_observe_surface(
        _source: TransactionSource,
        observation: &SurfaceObservation,
        signature: &AuthoritySignature,
    ) -> TransactionValidityWithRefund {
        Self::check_surface(observation, signature)?;
        let (validator, feed) = (observation.validator, observation.feed);
        let valid = ValidTransaction::with_tag_prefix("NovateSurface")
            .priority(u64::MAX / 2)
            .and_provides((validator, feed, observation.round))
            .longevity(LONGEVITY)
            .propagate(true)
            .into();
        Ok((valid, Weight::zero()))
    }

    /// Every precondition of an observation of volatilities, the signature last since it costs the most.
    pub(crate) fn check_surface(
        observation: &SurfaceObservation,
        signature: &AuthoritySignature,
    ) -> Result<(), Refusal> {
        let set = Observers::<T>::get();
        let (validator, feed) = (observation.validator, observation.feed);
        let recorded = SurfaceObservations::<T>::get(validator, feed).map(|last| last.round);
        let key = Self::check_observer(
            &set,
            validator,
            observation.round,
            recorded,
            observation.observed_at,
        )?;
        let wanted = Feeds::<T>::get()
            .get(&feed)
            .is_some_and(|feed| feed.min_chains > 0);
        let smiles = &observation.smiles;
        let (soonest, latest) = (
            observation.observed_at.saturating_add(LEAST_TIME),
            observation.observed_at.saturating_add(HORIZON),
        );
        let valid = smiles
            .iter()
            .all(|s| (soonest..=latest).contains(&s.expiry) && s.smile.is_valid());
        if !wanted
            || smiles.is_empty()
            || !smiles.is_sorted_by(|a, b| a.expiry < b.expiry)
            || !valid
        {
            return Err(Refusal::BadSmiles);
        }
        if !key.verify(&Self::surface_payload(set.id, observation), signature) {
            return Err(Refusal::BadSignature);
        }
        Ok(())
    }

    /// Records an observation, and has its feed's surface renewed some blocks later.
    pub(crate) fn record_surface(observation: SurfaceObservation) {
        let feed = observation.feed;
        SurfaceObservations::<T>::insert(observation.validator, feed, observation);
        let mut due = SurfacesDue::<T>::get();
        if due.iter().any(|(waiting, _)| *waiting == feed) {
            return;
        }
        // In an order that is not that of the block's extrinsics.
        let entry = (feed, Self::block().saturating_add(WINDOW));
        let at = due.partition_point(|(feed, block)| (*block, *feed) < (entry.1, entry.0));
        if due.try_insert(at, entry).is_err() {
            // No more feeds want a surface than that, but one may have waited here when its policy changed.
            log::debug!(target: crate::worker::LOG_TARGET, "feed {feed} waits until another was renewed");
            return;
        }
        SurfacesDue::<T>::put(due);
    }

    /// The close's worst case for volatilities: one surface, if one is due. It was due before the block began, or its feed's first new
    /// observation is of this block, and it is not due yet.
    pub(crate) fn surface_weight() -> Weight {
        let block = Self::block();
        let is_due = SurfacesDue::<T>::get().iter().any(|(_, due)| *due <= block);
        let read = T::DbWeight::get().reads(1);
        if is_due {
            T::WeightInfo::close_surface(T::MaxValidators::get(), MAX_EXPIRIES).saturating_add(read)
        } else {
            read
        }
    }

    /// Renews the surface that has been due for the longest, if one is.
    pub(crate) fn close_surface(now: Millis) {
        let mut due = SurfacesDue::<T>::get();
        let block = Self::block();
        let Some(at) = due.iter().position(|(_, at)| *at <= block) else {
            return;
        };
        let (feed, _) = due.remove(at);
        SurfacesDue::<T>::put(due);
        Self::renew_surface(feed, now);
    }

    fn renew_surface(feed: FeedId, now: Millis) {
        let policy = Feeds::<T>::get().get(&feed).cloned();
        if policy.is_none_or(|policy| policy.min_chains == 0) {
            return;
        }
        let (chosen, times) = Self::chosen_smiles(feed, now);
        if chosen.is_empty() {
            return;
        }
        let listed = Self::moneyness_listed(feed);
        let strikes = |expiry: Millis| -> Vec<FixedI128> {
            let of_expiry = listed.iter().filter(|(of, _)| *of == expiry);
            of_expiry.map(|(_, k)| *k).collect()
        };
        let (left, refused) = without_arbitrage(chosen, now, strikes);
        let renewed: Vec<Slice> = left
            .into_iter()
            .map(|seen| Slice {
                expiry: seen.expiry,
                observed_at: times.get(&seen.expiry).copied().unwrap_or(0),
                smile: seen.smile,
            })
            .collect();
        let expiries: Vec<Millis> = renewed.iter().map(|slice| slice.expiry).collect();
        let old = Surfaces::<T>::get(feed);
        Surfaces::<T>::insert(feed, merge(renewed, old, now));
        Self::deposit_event(Event::SurfaceRenewed {
            feed,
            renewed: expiries,
            refused,
        });
    }

    /// For each expiry of which enough validators have a fresh smile, the chosen one, and when it was seen.
    fn chosen_smiles(feed: FeedId, now: Millis) -> (Vec<ObservedSmile>, BTreeMap<Millis, Millis>) {
        let validators = u32::try_from(Observers::<T>::get().keys.len()).unwrap_or(0);
        let oldest = now.saturating_sub(Self::max_surface_age());
        let mut total = 0u128;
        let mut ballots: BTreeMap<Millis, Vec<SmileVote>> = BTreeMap::new();
        for validator in 0..validators {
            let weight = T::Weights::weight(validator);
            total = total.saturating_add(weight);
            let observation = SurfaceObservations::<T>::get(validator, feed);
            let Some(observation) = observation.filter(|o| o.observed_at >= oldest) else {
                continue;
            };
            for seen in observation.smiles.iter().filter(|seen| seen.expiry > now) {
                ballots.entry(seen.expiry).or_default().push(SmileVote {
                    smile: seen.smile,
                    // A validator's clock may run ahead.
                    observed_at: observation.observed_at.min(now),
                    weight,
                });
            }
        }
        let (mut chosen, mut times) = (Vec::new(), BTreeMap::new());
        for (expiry, votes) in ballots {
            if let Some((smile, observed_at)) = choose(&votes, total) {
                chosen.push(ObservedSmile { expiry, smile });
                times.insert(expiry, observed_at);
            }
        }
        chosen.truncate(usize::try_from(MAX_EXPIRIES).unwrap_or(usize::MAX));
        (chosen, times)
    }

    /// `ln(K/F)` of the options that are listed, the feed's price standing for the forward; none without a price.
    fn moneyness_listed(feed: FeedId) -> Vec<(Millis, FixedI128)> {
        let Some(index) = Prices::<T>::get().get(&feed).map(|price| price.price) else {
            return Vec::new();
        };
        let moneyness = |strike: Price| {
            let ratio = Scaled::ratio(strike.into_inner(), index.into_inner()).ok()?;
            let units = Scaled::from(Price::DIV);
            let k = ln(ratio).ok()?.times(units).ok()?.nearest().ok()?;
            Some(FixedI128::from_inner(k))
        };
        T::Strikes::strikes(feed)
            .into_iter()
            .filter_map(|(expiry, strike)| Some((expiry, moneyness(strike)?)))
            .collect()
    }

    /// Age (milliseconds) beyond which an observation of volatilities no longer counts: two of their heartbeats.
    pub fn max_surface_age() -> Millis {
        T::SurfaceHeartbeat::get().saturating_mul(2)
    }

    /// How old what stands for an expiry is: the older of the slices on its sides.
    pub fn surface_freshness(feed: FeedId, expiry: Millis, now: Millis) -> Freshness {
        let seen = Surfaces::<T>::get(feed).observed_at(expiry);
        match seen.map(|at| now.saturating_sub(at)) {
            Some(age) if age <= Self::max_surface_age() => Freshness::Fresh,
            Some(age) if age <= T::SurfaceFreshFor::get() => Freshness::Standing,
            _ => Freshness::Stale,
        }
    }
}

impl<T: Config> VolatilitySurface for Pallet<T> {
    fn total_variance(
        underlying: FeedId,
        expiry: Millis,
        log_moneyness: FixedI128,
        now: Millis,
    ) -> Option<FixedU128> {
        Surfaces::<T>::get(underlying).total_variance(expiry, log_moneyness, now)
    }

    fn is_fresh(underlying: FeedId, expiry: Millis, now: Millis) -> bool {
        Self::surface_freshness(underlying, expiry, now) != Freshness::Stale
    }
}
