//! Benchmarks of every call, of authorisation and of the close. They run as tests too.

use crate::{
    crypto::{AuthorityId, AuthoritySignature},
    pallet::*,
    surface::{ObservedSmile, SurfaceObservation, WINDOW},
    types::*,
    venues,
};
use alloc::{boxed::Box, format, vec::Vec};
use frame_benchmarking::v2::*;
use frame_support::{
    pallet_prelude::{Authorize, TransactionSource},
    traits::{Get, Time},
    BoundedVec,
};
use novate_risk::surface::{Smile, GRID, MAX_EXPIRIES, MAX_STRIKES, UNIT};
use novate_types::{FeedId, OracleScore, Price, PriceFeeds};
use sp_runtime::{FixedI128, FixedPointNumber, RuntimeAppPublic};

#[cfg(feature = "runtime-benchmarks")]
fn origins<T: Config>() -> Result<(T::RuntimeOrigin, T::RuntimeOrigin), BenchmarkError> {
    use frame_support::traits::EnsureOrigin;
    let of = |o: Result<_, ()>| o.map_err(|()| BenchmarkError::Weightless);
    Ok((
        of(T::GovernanceOrigin::try_successful_origin())?,
        of(T::EmergencyOrigin::try_successful_origin())?,
    ))
}

#[cfg(not(feature = "runtime-benchmarks"))]
fn origins<T: Config>() -> Result<(T::RuntimeOrigin, T::RuntimeOrigin), BenchmarkError> {
    let root = || frame_system::RawOrigin::Root.into();
    Ok((root(), root()))
}

fn put<T: Config>(change: Change) {
    Pallet::<T>::apply(change).map_err(|_| ()).unwrap();
}

/// As many feeds as there can be, in place of those of the genesis.
fn fill_feeds<T: Config>() {
    let _ = Sources::<T>::clear(u32::MAX, None);
    Feeds::<T>::kill();
    for feed in 0..MAX_FEEDS as FeedId {
        put::<T>(Change::Feed(feed, Some(Feed::new("LONGSYMBOL12"))));
    }
}

/// A source with as many quotes and options as it can have.
fn full_source() -> Source {
    let quotes = (0..MAX_QUOTES as FeedId).map(|feed| {
        venues::quoted_in(
            feed,
            &format!("SYMBOL-{feed}-USDT"),
            feed + MAX_QUOTES as FeedId,
        )
    });
    let underlyings = (0..MAX_UNDERLYINGS as FeedId)
        .map(|feed| venues::underlying(feed, &format!("SYMBOL-{feed}-USD")));
    let options = venues::okx_options(underlyings.collect());
    venues::with_options(venues::binance(quotes.collect()), options)
}

fn source_name(index: u32) -> SourceName {
    Text::truncated(&format!("source-{index}"))
}

/// As many sources as there can be, but one.
fn fill_sources<T: Config>() {
    fill_feeds::<T>();
    for index in 1..MAX_SOURCES {
        put::<T>(Change::Source(
            source_name(index),
            Some(Box::new(full_source())),
        ));
    }
}

/// Schedules new sources, the largest there can be, until `free` places are left. They take no source's place before
/// they are due.
fn fill_pending<T: Config>(free: u32) {
    for index in 0..T::MaxPending::get().saturating_sub(free) {
        let name = Text::truncated(&format!("scheduled-{index}"));
        schedule::<T>(Change::Source(name, Some(Box::new(full_source()))));
    }
}

fn schedule<T: Config>(change: Change) {
    Pallet::<T>::schedule(change).map_err(|_| ()).unwrap();
}

/// The last feed: no source refers to it.
const UNUSED: FeedId = MAX_FEEDS as FeedId - 1;

fn observation<T: Config>(validator: u32, feeds: u32) -> Observation {
    let prices: Vec<ObservedPrice> = (0..feeds as FeedId)
        .map(|feed| ObservedPrice {
            feed,
            // One of four is an outlier, so that distances are sorted.
            price: Price::from_u32(match validator % 4 {
                3 => 30_000,
                _ => 20_000 + (validator * 7919) % 101,
            }),
            confidence: Price::from_u32(1 + validator % 5),
        })
        .collect();
    Observation {
        validator,
        round: Pallet::<T>::block(),
        observed_at: T::Time::now(),
        prices: BoundedVec::truncate_from(prices),
    }
}

fn set_observers<T: Config>(count: u32) -> Vec<AuthorityId> {
    let keys: Vec<AuthorityId> = (0..count)
        .map(|i| AuthorityId::generate_pair(Some(format!("//Validator{i}").into_bytes())))
        .collect();
    begin_session::<T>(&keys);
    keys
}

fn begin_session<T: Config>(keys: &[AuthorityId]) {
    let accounts: Vec<T::AccountId> = (0..keys.len() as u32)
        .map(|n| account("validator", n, 0))
        .collect();
    Pallet::<T>::begin_session(accounts.iter().zip(keys.iter().cloned()));
}

/// The last validator's observation of every feed, signed.
fn signed<T: Config>() -> (Observation, AuthoritySignature) {
    fill_feeds::<T>();
    let keys = set_observers::<T>(T::MaxValidators::get());
    let last = keys.len() as u32 - 1;
    let mut earlier = observation::<T>(last, MAX_OBSERVED);
    earlier.round = earlier.round.saturating_sub(1);
    Observations::<T>::insert(last, earlier);
    let observation = observation::<T>(last, MAX_OBSERVED);
    let payload = Pallet::<T>::payload(Observers::<T>::get().id, &observation);
    let signature = keys[last as usize]
        .sign(&payload)
        .expect("the key was generated");
    (observation, signature)
}

/// The first feed with a surface.
fn want_surface<T: Config>() {
    put::<T>(Change::Feed(
        0,
        Some(with_surface(Feed::new("LONGSYMBOL12"), 2)),
    ));
}

fn with_surface(feed: Feed, min_chains: u8) -> Feed {
    Feed { min_chains, ..feed }
}

/// Smiles of as many expiries, a week apart. Every validator's differ a little, and none admits arbitrage.
fn surface_observation<T: Config>(validator: u32, expiries: u32) -> SurfaceObservation {
    let now = T::Time::now();
    let smiles = (1..=u64::from(expiries)).map(|week| ObservedSmile {
        expiry: now + week * 7 * 86_400_000,
        smile: Smile(GRID.map(|x| {
            let wing = x.unsigned_abs() / 10;
            UNIT / 2 + wing + u64::from((validator * 7919) % 101) * (UNIT / 100_000)
        })),
    });
    SurfaceObservation {
        validator,
        round: Pallet::<T>::block(),
        observed_at: now,
        feed: 0,
        smiles: BoundedVec::truncate_from(smiles.collect()),
    }
}

/// The last validator's observation of a full surface, signed.
fn signed_surface<T: Config>() -> (SurfaceObservation, AuthoritySignature) {
    fill_feeds::<T>();
    want_surface::<T>();
    let keys = set_observers::<T>(T::MaxValidators::get());
    let last = keys.len() as u32 - 1;
    let mut earlier = surface_observation::<T>(last, MAX_EXPIRIES);
    earlier.round = earlier.round.saturating_sub(1);
    SurfaceObservations::<T>::insert(last, 0, earlier);
    let observation = surface_observation::<T>(last, MAX_EXPIRIES);
    let payload = Pallet::<T>::surface_payload(Observers::<T>::get().id, &observation);
    let signature = keys[last as usize]
        .sign(&payload)
        .expect("the key was generated");
    (observation, signature)
}

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn authorize_observe_surface() -> Result<(), BenchmarkError> {
        let (observation, signature) = signed_surface::<T>();
        let call = Call::<T>::observe_surface {
            observation,
            signature,
        };

        #[block]
        {
            call.authorize(TransactionSource::External)
                .ok_or("an authorised call")??;
        }

        Ok(())
    }

    #[benchmark]
    fn observe_surface() -> Result<(), BenchmarkError> {
        let (observation, signature) = signed_surface::<T>();
        let validator = observation.validator;

        #[extrinsic_call]
        _(
            frame_system::Origin::<T>::Authorized,
            observation.clone(),
            signature,
        );

        assert_eq!(
            SurfaceObservations::<T>::get(validator, 0),
            Some(observation)
        );
        assert_eq!(SurfacesDue::<T>::get().len(), 1);
        Ok(())
    }

    /// Everything is renewed: each expiry is looked at for butterflies and for calendar spreads with its neighbour.
    #[benchmark]
    fn close_surface(v: Linear<1, { T::MaxValidators::get() }>, e: Linear<1, MAX_EXPIRIES>) {
        fill_feeds::<T>();
        want_surface::<T>();
        let keys: Vec<AuthorityId> = (0..v)
            .map(|i| sp_core::sr25519::Public::from_raw([i as u8 + 1; 32]).into())
            .collect();
        begin_session::<T>(&keys);
        for validator in 0..v {
            Pallet::<T>::record_surface(surface_observation::<T>(validator, e));
        }
        let due = Pallet::<T>::block() + WINDOW;
        frame_system::Pallet::<T>::set_block_number(due.into());

        #[block]
        {
            Pallet::<T>::close_surface(T::Time::now());
        }

        assert_eq!(Surfaces::<T>::get(0).0.len() as u32, e);
        assert!(SurfacesDue::<T>::get().is_empty());
    }

    /// A smile of a week beside as many strikes as count, and none of its butterflies costs less than nothing.
    #[benchmark]
    fn try_smile() {
        let smile = surface_observation::<T>(0, 1).smiles[0].smile;
        let most = MAX_STRIKES as i128;
        // From 30 % below the money to 30 % above it.
        let strikes: Vec<FixedI128> = (0..most)
            .map(|n| FixedI128::from_inner((n * 2 - most) * FixedI128::DIV / (most * 3)))
            .collect();
        let found;

        #[block]
        {
            found = smile.admits_butterfly(7 * 86_400_000, &strikes);
        }

        assert_eq!(found, Ok(false));
    }

    #[benchmark]
    fn authorize_observe() -> Result<(), BenchmarkError> {
        let (observation, signature) = signed::<T>();
        let call = Call::<T>::observe {
            observation,
            signature,
        };

        #[block]
        {
            call.authorize(TransactionSource::External)
                .ok_or("an authorised call")??;
        }

        Ok(())
    }

    #[benchmark]
    fn observe() -> Result<(), BenchmarkError> {
        let (observation, signature) = signed::<T>();
        let validator = observation.validator;

        #[extrinsic_call]
        _(
            frame_system::Origin::<T>::Authorized,
            observation.clone(),
            signature,
        );

        assert_eq!(Observations::<T>::get(validator), Some(observation));
        Ok(())
    }

    #[benchmark]
    fn close_round(v: Linear<1, { T::MaxValidators::get() }>, f: Linear<1, MAX_FEEDS>) {
        fill_feeds::<T>();
        let keys: Vec<AuthorityId> = (0..v)
            .map(|i| sp_core::sr25519::Public::from_raw([i as u8 + 1; 32]).into())
            .collect();
        begin_session::<T>(&keys);
        for validator in 0..v {
            Observations::<T>::insert(validator, observation::<T>(validator, f));
        }
        // There was something to say of everybody before.
        let noted = OracleScore {
            missed: 1,
            outliers: 1,
            farthest: Some(novate_types::Outlier {
                distance: 10_001,
                feed: 0,
            }),
            ..Default::default()
        };
        SessionScores::<T>::put(BoundedVec::truncate_from(alloc::vec![noted; v as usize]));

        #[block]
        {
            Pallet::<T>::close_round(T::Time::now());
        }

        assert_eq!(Prices::<T>::get().len() as u32, f);
        let outliers = (3..v).step_by(4).count();
        let scores = SessionScores::<T>::get();
        assert_eq!(scores.iter().filter(|s| s.outliers == 2).count(), outliers);
    }

    #[benchmark]
    fn schedule_source() -> Result<(), BenchmarkError> {
        let (governance, _) = origins::<T>()?;
        fill_sources::<T>();
        fill_pending::<T>(1);

        #[extrinsic_call]
        _(
            governance as T::RuntimeOrigin,
            source_name(0),
            Some(Box::new(full_source())),
        );

        assert_eq!(Pending::<T>::get().len() as u32, T::MaxPending::get());
        Ok(())
    }

    /// A removal is the worst: every source is read, and whoever may be priced by the feed.
    #[benchmark]
    fn schedule_feed() -> Result<(), BenchmarkError> {
        let (governance, _) = origins::<T>()?;
        fill_sources::<T>();
        fill_pending::<T>(1);

        #[extrinsic_call]
        _(governance as T::RuntimeOrigin, UNUSED, None);

        assert_eq!(Pending::<T>::get().len() as u32, T::MaxPending::get());
        Ok(())
    }

    #[benchmark]
    fn cancel_change() -> Result<(), BenchmarkError> {
        let (governance, _) = origins::<T>()?;
        fill_sources::<T>();
        fill_pending::<T>(1);
        schedule::<T>(Change::Source(source_name(1), None));

        #[extrinsic_call]
        _(
            governance as T::RuntimeOrigin,
            Subject::Source(source_name(1)),
        );

        assert_eq!(Pending::<T>::get().len() as u32 + 1, T::MaxPending::get());
        Ok(())
    }

    #[benchmark]
    fn disable_source() -> Result<(), BenchmarkError> {
        let (_, emergency) = origins::<T>()?;
        fill_sources::<T>();
        fill_pending::<T>(1);
        schedule::<T>(Change::Source(source_name(1), None));

        #[extrinsic_call]
        _(emergency as T::RuntimeOrigin, source_name(1));

        assert!(!Sources::<T>::contains_key(source_name(1)));
        assert_eq!(Pending::<T>::get().len() as u32 + 1, T::MaxPending::get());
        Ok(())
    }

    /// Removals of feeds, the last first.
    #[benchmark]
    fn apply_due(n: Linear<1, { T::MaxAppliedPerBlock::get() }>) {
        fill_sources::<T>();
        for index in 0..n as FeedId {
            schedule::<T>(Change::Feed(UNUSED - index, None));
        }
        let due = Pallet::<T>::block() + T::Timelock::get();
        frame_system::Pallet::<T>::set_block_number(due.into());

        #[block]
        {
            Pallet::<T>::apply_due();
        }

        assert!(Pending::<T>::get().is_empty());
        assert_eq!(Feeds::<T>::get().len() as u32, MAX_FEEDS - n);
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
