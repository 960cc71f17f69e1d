//! What volatilities are taken, and the surface that the close makes of them.

use super::{
    aggregate::{rank, Ranking, SmileVote},
    Flaw, Freshness, ListedStrike, ListedStrikes, ObservedSmile, SurfaceObservation, HORIZON,
    LEAST_TIME, WINDOW,
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
use novate_risk::surface::{admits_calendar, Slice, Smile, Surface, MAX_EXPIRIES};
use novate_types::{BlockNumber, FeedId, Millis, Price, VolatilitySurface};
use sp_runtime::{traits::Zero, FixedI128, FixedPointNumber, FixedU128, RuntimeAppPublic};

/// Smiles beyond the first of each expiry that are looked at for one surface, by so many validators: as many as there may be liars among them,
/// so that the expiry whose slice is the oldest is renewed in any case, and the others in the closes after.
pub(crate) const fn spare_tries(validators: u32) -> u32 {
    let liars = validators.div_ceil(3);
    if liars > MAX_EXPIRIES {
        liars
    } else {
        MAX_EXPIRIES
    }
}

/// Whether no butterfly costs less than nothing, at the grid's places and at `strikes` (`ln(K/F)`). What cannot be computed is not sound.
fn is_sound(smile: &Smile, time: Millis, strikes: &[FixedI128]) -> bool {
    matches!(smile.admits_butterfly(time, strikes), Ok(false))
}

/// Leaves out the smiles that admit arbitrage: by a butterfly at the grid's places, then by a calendar spread.
pub(crate) fn without_arbitrage(
    smiles: Vec<ObservedSmile>,
    now: Millis,
) -> (Vec<ObservedSmile>, Vec<(Millis, Flaw)>) {
    let (sound, bad): (Vec<_>, Vec<_>) = smiles
        .into_iter()
        .partition(|seen| is_sound(&seen.smile, seen.expiry.saturating_sub(now), &[]));
    let (left, mut refused) = without_calendars(sound, now);
    refused.extend(bad.iter().map(|seen| (seen.expiry, Flaw::Butterfly)));
    refused.sort_unstable_by_key(|(expiry, _)| *expiry);
    (left, refused)
}

/// Leaves out smiles, by expiry, of which a calendar spread between neighbours costs less than nothing: both go. So do those of whom that cannot
/// be computed.
fn without_calendars(
    mut left: Vec<ObservedSmile>,
    now: Millis,
) -> (Vec<ObservedSmile>, Vec<(Millis, Flaw)>) {
    let mut refused = Vec::new();
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
    (left, refused)
}

/// What was renewed, with the last good slices of the other expiries: those that are not over, and between which and what was renewed there is no
/// calendar arbitrage. Where there is, the older gives way. If its expiry lies between its neighbours' it is interpolated; the first and the last
/// have nothing that stands for them until they are renewed, and their options keep the variance that they were last marked with.
///
/// Where there are more than fit, the last but one gives way: what lies between others can be interpolated.
pub(crate) fn merge(renewed: Vec<Slice>, old: Surface, now: Millis) -> Surface {
    let most = usize::try_from(MAX_EXPIRIES).unwrap_or(usize::MAX);
    let mut merged = renewed;
    for slice in old.0 {
        let at = merged.partition_point(|s| s.expiry < slice.expiry);
        let after = merged.get(at);
        let before = at.checked_sub(1).and_then(|at| merged.get(at));
        let replaced = after.is_some_and(|next| next.expiry == slice.expiry);
        if replaced || slice.expiry <= now {
            continue;
        }
        let conflict = before.is_some_and(|b| b.admits_calendar(&slice, now).unwrap_or(true))
            || after.is_some_and(|a| slice.admits_calendar(a, now).unwrap_or(true));
        if conflict {
            continue;
        }
        merged.insert(at, slice);
        if merged.len() > most {
            merged.remove(most.saturating_sub(1));
        }
    }
    Surface(BoundedVec::truncate_from(merged))
}

/// How old what stands for an expiry is: the older of the slices on its sides. None without one, or once it is over.
///
/// Nobody observes an expiry in its last [`LEAST_TIME`]. Its slice is then as old as it was when observation ended, or the market would
/// not be open in that time for anybody.
fn age(surface: &Surface, expiry: Millis, now: Millis) -> Option<Millis> {
    let near = surface.0.iter().rev().find(|s| s.expiry <= expiry)?;
    let far = surface.0.iter().find(|s| s.expiry >= expiry)?;
    let of = |slice: &Slice| {
        let end = slice.expiry.saturating_sub(LEAST_TIME);
        let is_over = slice.expiry <= now;
        (!is_over).then_some(now.min(end).saturating_sub(slice.observed_at))
    };
    Some(of(near)?.max(of(far)?))
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
        Self::surface_weight_at(Self::block())
    }

    /// The same of the close after this one.
    pub fn next_surface_weight() -> Weight {
        Self::surface_weight_at(Self::block().saturating_add(1))
    }

    fn surface_weight_at(block: BlockNumber) -> Weight {
        let is_due = SurfacesDue::<T>::get().iter().any(|(_, due)| *due <= block);
        let read = T::DbWeight::get().reads(1);
        if is_due {
            Self::most_for_surface().saturating_add(read)
        } else {
            read
        }
    }

    /// What renewing a surface costs a close at most.
    pub fn most_for_surface() -> Weight {
        let validators = T::MaxValidators::get();
        T::WeightInfo::close_surface(validators, MAX_EXPIRIES).saturating_add(
            T::WeightInfo::try_smile().saturating_mul(spare_tries(validators).into()),
        )
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
        let (mut ballots, total) = Self::ballots(feed, now);
        if ballots.is_empty() {
            return;
        }
        let old = Surfaces::<T>::get(feed);
        // Further tries are for what has waited for the longest.
        let seen = |expiry: Millis| old.0.iter().find(|slice| slice.expiry == expiry);
        ballots.sort_by_key(|(expiry, _)| (seen(*expiry).map(|s| s.observed_at), *expiry));
        let validators = u32::try_from(Observers::<T>::get().keys.len()).unwrap_or(0);
        let mut spare = spare_tries(validators);
        let listed = moneyness(&T::Strikes::strikes(feed));
        let (mut chosen, mut times, mut refused) = (Vec::new(), BTreeMap::new(), Vec::new());
        for (expiry, ranking) in ballots {
            let strikes = listed.get(&expiry).map(Vec::as_slice).unwrap_or_default();
            let time = expiry.saturating_sub(now);
            let sound = |smile: &Smile| is_sound(smile, time, strikes);
            match ranking.first_sound(total, &mut spare, sound) {
                Some(smile) => {
                    chosen.push(ObservedSmile { expiry, smile });
                    times.insert(expiry, ranking.observed_at);
                }
                None => refused.push((expiry, Flaw::Butterfly)),
            }
        }
        chosen.sort_unstable_by_key(|seen| seen.expiry);
        let (left, apart) = without_calendars(chosen, now);
        refused.extend(apart);
        refused.sort_unstable_by_key(|(expiry, _)| *expiry);
        let renewed: Vec<Slice> = left
            .into_iter()
            .map(|seen| Slice {
                expiry: seen.expiry,
                observed_at: times.get(&seen.expiry).copied().unwrap_or(0),
                smile: seen.smile,
            })
            .collect();
        let expiries: Vec<Millis> = renewed.iter().map(|slice| slice.expiry).collect();
        Surfaces::<T>::insert(feed, merge(renewed, old, now));
        Self::deposit_event(Event::SurfaceRenewed {
            feed,
            renewed: expiries,
            refused,
        });
    }

    /// For each expiry of which enough validators have a fresh smile, their smiles, by expiry; and the weight of all validators.
    fn ballots(feed: FeedId, now: Millis) -> (Vec<(Millis, Ranking)>, u128) {
        let validators = u32::try_from(Observers::<T>::get().keys.len()).unwrap_or(0);
        let oldest = now.saturating_sub(Self::max_surface_age());
        let mut total = 0u128;
        let mut votes: BTreeMap<Millis, Vec<SmileVote>> = BTreeMap::new();
        for validator in 0..validators {
            let weight = T::Weights::weight(validator);
            total = total.saturating_add(weight);
            let observation = SurfaceObservations::<T>::get(validator, feed);
            let Some(observation) = observation.filter(|o| o.observed_at >= oldest) else {
                continue;
            };
            for seen in observation.smiles.iter().filter(|seen| seen.expiry > now) {
                votes.entry(seen.expiry).or_default().push(SmileVote {
                    smile: seen.smile,
                    // A validator's clock may run ahead.
                    observed_at: observation.observed_at.min(now),
                    weight,
                });
            }
        }
        let most = usize::try_from(MAX_EXPIRIES).unwrap_or(usize::MAX);
        let ranked = votes
            .into_iter()
            .filter_map(|(expiry, votes)| Some((expiry, rank(&votes, total)?)));
        (ranked.take(most).collect(), total)
    }

    /// Age (milliseconds) beyond which an observation of volatilities no longer counts: two of their heartbeats.
    pub fn max_surface_age() -> Millis {
        T::SurfaceHeartbeat::get().saturating_mul(2)
    }

    /// How old what stands for an expiry is.
    pub fn surface_freshness(feed: FeedId, expiry: Millis, now: Millis) -> Freshness {
        Self::freshness(&Surfaces::<T>::get(feed), expiry, now)
    }

    fn freshness(surface: &Surface, expiry: Millis, now: Millis) -> Freshness {
        match age(surface, expiry, now) {
            Some(age) if age <= Self::max_surface_age() => Freshness::Fresh,
            Some(age) if age <= T::SurfaceFreshFor::get() => Freshness::Standing,
            _ => Freshness::Stale,
        }
    }
}

/// `ln(K/F)` of the options that are listed, by expiry: each once, the nearest to the money first.
fn moneyness(listed: &[ListedStrike]) -> BTreeMap<Millis, Vec<FixedI128>> {
    let log = |of: &ListedStrike| {
        let ratio = Scaled::ratio(of.strike.into_inner(), of.forward.into_inner()).ok()?;
        let units = Scaled::from(Price::DIV);
        let k = ln(ratio).ok()?.times(units).ok()?.nearest().ok()?;
        Some(FixedI128::from_inner(k))
    };
    let mut all: BTreeMap<Millis, Vec<FixedI128>> = BTreeMap::new();
    for of in listed {
        all.entry(of.expiry).or_default().extend(log(of));
    }
    for strikes in all.values_mut() {
        strikes.sort_unstable_by_key(|k| (k.into_inner().unsigned_abs(), *k));
        strikes.dedup();
    }
    all
}

impl<T: Config> VolatilitySurface for Pallet<T> {
    type Surface = Surface;

    fn surface(underlying: FeedId) -> Surface {
        Surfaces::<T>::get(underlying)
    }

    fn total_variance(
        surface: &Surface,
        expiry: Millis,
        log_moneyness: FixedI128,
        now: Millis,
    ) -> Option<FixedU128> {
        surface.total_variance(expiry, log_moneyness, now)
    }

    fn is_fresh(surface: &Surface, expiry: Millis, now: Millis) -> bool {
        Self::freshness(surface, expiry, now) != Freshness::Stale
    }
}
