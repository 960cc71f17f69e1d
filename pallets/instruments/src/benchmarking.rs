//! Every call at its worst: all markets listed, all changes scheduled. They run as tests too, without the feature.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use super::*;
use alloc::{format, vec::Vec};
use frame_benchmarking::v2::*;
use frame_support::traits::{Contains, Get};
use novate_types::{
    FeeTier, FeedId, Instrument, InstrumentKind, Listing, MarketId, MarketParams, MarketStatus,
    Price, RiskTier, Symbol, MAX_MARKETS, QUANTUMS,
};

/// Changes are scheduled for tiers from here on, so that they do not meet those of a genesis.
const FIRST_TIER: u8 = 100;

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

fn a_tier() -> RiskTier {
    RiskTier {
        imf: 50_000,
        mmf: 30_000,
        open_interest_lower: 1_000_000 * QUANTUMS,
        open_interest_upper: 4_000_000 * QUANTUMS,
        profit_credit: 1_000 * QUANTUMS,
        impact_notional: 1_000 * QUANTUMS,
        mark_band: 10_000,
        price_band: 50_000,
        call_blocks: 10,
        edge_blocks: 30,
    }
}

fn some_params() -> MarketParams {
    MarketParams {
        tier: FIRST_TIER,
        min_notional: QUANTUMS,
        open_interest_cap: 1_000_000,
        interest_8h_ppm: 100,
        funding_cap_factor: 6_000_000,
    }
}

fn a_symbol(number: u32) -> Symbol {
    format!("BENCHMARK-{number:014}")
        .into_bytes()
        .try_into()
        .unwrap()
}

fn a_market(number: u32) -> Instrument {
    Instrument {
        symbol: a_symbol(number),
        kind: InstrumentKind::Perpetual,
        underlying: 0,
        tick_size: Price::from_rational(1, 2),
        lot_size: Price::from_rational(1, 10_000),
        tick_value: 50,
        status: MarketStatus::Open,
        params: some_params(),
    }
}

fn a_rule() -> SeriesRule {
    SeriesRule {
        base: b"BENCHMRK".to_vec().try_into().unwrap(),
        tick_size: Price::from_rational(1, 2),
        lot_size: Price::from_rational(1, 10_000),
        futures: some_params(),
        options: some_params(),
        strike_step: 2_000,
        strikes: MOST_STRIKES,
    }
}

/// Lists markets until `free` numbers are left, and returns the last.
fn list<T: Config>(free: u32) -> MarketId {
    Tiers::<T>::insert(FIRST_TIER, a_tier());
    Tiers::<T>::insert(
        FIRST_TIER + 1,
        RiskTier {
            imf: 51_000,
            ..a_tier()
        },
    );
    for number in Instruments::<T>::count()..MAX_MARKETS - free {
        Pallet::<T>::insert_market(a_market(number)).unwrap_or_else(|e| panic!("{e:?}"));
    }
    NextMarket::<T>::get() - 1
}

/// Schedules changes of tiers that no market is in until `free` places are left.
fn schedule<T: Config>(free: u32) -> Result<(), BenchmarkError> {
    for tier in 0..T::MaxPending::get().saturating_sub(free) {
        let id = FIRST_TIER + 2 + u8::try_from(tier).map_err(|_| "more changes than tiers")?;
        Tiers::<T>::insert(id, a_tier());
        Pallet::<T>::schedule(Change::Tier(
            id,
            RiskTier {
                imf: 51_000,
                ..a_tier()
            },
        ))?;
    }
    Ok(())
}

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn list_market() -> Result<(), BenchmarkError> {
        let (governance, _) = origins::<T>()?;
        list::<T>(1);
        let m = a_market(MAX_MARKETS);
        #[extrinsic_call]
        _(
            governance as T::RuntimeOrigin,
            m.symbol,
            m.kind,
            m.underlying,
            m.tick_size,
            m.lot_size,
            m.params,
        );
        assert_eq!(Instruments::<T>::count(), MAX_MARKETS);
        Ok(())
    }

    #[benchmark]
    fn add_tier() -> Result<(), BenchmarkError> {
        let (governance, _) = origins::<T>()?;
        #[extrinsic_call]
        _(governance as T::RuntimeOrigin, FIRST_TIER, a_tier());
        assert_eq!(Tiers::<T>::get(FIRST_TIER), Some(a_tier()));
        Ok(())
    }

    #[benchmark]
    fn schedule_tier_change() -> Result<(), BenchmarkError> {
        let (governance, _) = origins::<T>()?;
        list::<T>(0);
        schedule::<T>(1)?;
        #[extrinsic_call]
        _(
            governance as T::RuntimeOrigin,
            FIRST_TIER,
            RiskTier {
                imf: 52_000,
                ..a_tier()
            },
        );
        assert_eq!(Pending::<T>::get().len() as u32, T::MaxPending::get());
        Ok(())
    }

    #[benchmark]
    fn schedule_market_params() -> Result<(), BenchmarkError> {
        let (governance, _) = origins::<T>()?;
        let market = list::<T>(0);
        schedule::<T>(1)?;
        let moved = MarketParams {
            tier: FIRST_TIER + 1,
            ..some_params()
        };
        #[extrinsic_call]
        _(governance as T::RuntimeOrigin, market, moved);
        assert_eq!(Pending::<T>::get().len() as u32, T::MaxPending::get());
        Ok(())
    }

    #[benchmark]
    fn schedule_fee_tiers() -> Result<(), BenchmarkError> {
        let (governance, _) = origins::<T>()?;
        schedule::<T>(1)?;
        FeeTierList::<T>::kill();
        let new: FeeTiers = (0..8)
            .map(|_| FeeTier {
                maker_ppm: 0,
                taker_ppm: 0,
            })
            .collect::<Vec<_>>()
            .try_into()
            .unwrap();
        #[extrinsic_call]
        _(governance as T::RuntimeOrigin, new);
        assert_eq!(Pending::<T>::get().len() as u32, T::MaxPending::get());
        Ok(())
    }

    #[benchmark]
    fn cancel_change() -> Result<(), BenchmarkError> {
        let (governance, _) = origins::<T>()?;
        schedule::<T>(0)?;
        #[extrinsic_call]
        _(
            governance as T::RuntimeOrigin,
            Subject::Tier(FIRST_TIER + 2),
        );
        assert_eq!(Pending::<T>::get().len() as u32 + 1, T::MaxPending::get());
        Ok(())
    }

    #[benchmark]
    fn set_status() -> Result<(), BenchmarkError> {
        let (governance, _) = origins::<T>()?;
        let market = list::<T>(0);
        #[extrinsic_call]
        _(governance as T::RuntimeOrigin, market, MarketStatus::Halted);
        assert_eq!(
            Pallet::<T>::market(market).map(|m| m.status),
            Some(MarketStatus::Halted)
        );
        Ok(())
    }

    #[benchmark]
    fn restrict_market() -> Result<(), BenchmarkError> {
        let (_, emergency) = origins::<T>()?;
        let market = list::<T>(0);
        #[extrinsic_call]
        _(
            emergency as T::RuntimeOrigin,
            market,
            MarketStatus::ReduceOnly,
        );
        assert_eq!(
            Pallet::<T>::market(market).map(|m| m.status),
            Some(MarketStatus::ReduceOnly)
        );
        Ok(())
    }

    #[benchmark]
    fn lower_open_interest_cap() -> Result<(), BenchmarkError> {
        let (_, emergency) = origins::<T>()?;
        let market = list::<T>(0);
        schedule::<T>(1)?;
        Pallet::<T>::schedule(Change::Market(
            market,
            MarketParams {
                interest_8h_ppm: 0,
                ..some_params()
            },
        ))?;
        #[extrinsic_call]
        _(emergency as T::RuntimeOrigin, market, 0);
        assert_eq!(Pending::<T>::get().len() as u32 + 1, T::MaxPending::get());
        Ok(())
    }

    /// Where no market is ever vacant it is the refusal that is measured.
    #[benchmark]
    fn delist_market() -> Result<(), BenchmarkError> {
        let (governance, _) = origins::<T>()?;
        let market = list::<T>(0);
        Pallet::<T>::change_status(market, |_| Ok(MarketStatus::Halted))?;
        schedule::<T>(1)?;
        Pallet::<T>::schedule(Change::Market(
            market,
            MarketParams {
                interest_8h_ppm: 0,
                ..some_params()
            },
        ))?;
        let is_vacant = T::Vacant::contains(&market);
        let done;
        #[block]
        {
            done = Pallet::<T>::delist_market(governance, market);
        }
        assert_eq!(done.is_ok(), is_vacant);
        assert_eq!(Pallet::<T>::market(market).is_none(), is_vacant);
        Ok(())
    }

    #[benchmark]
    fn apply_due(n: Linear<1, { T::MaxAppliedPerBlock::get() }>) -> Result<(), BenchmarkError> {
        schedule::<T>(T::MaxPending::get().saturating_sub(n))?;
        let scheduled = Pending::<T>::get().len();
        #[block]
        {
            <Pallet<T> as Listing>::apply_due(novate_types::BlockNumber::MAX);
        }
        assert_eq!(scheduled as u32, n.min(T::MaxPending::get()));
        assert!(Pending::<T>::get().is_empty());
        Ok(())
    }

    #[benchmark]
    fn set_series_rule() -> Result<(), BenchmarkError> {
        let (governance, _) = origins::<T>()?;
        list::<T>(0);
        for other in 1..MOST_RULES {
            let feed = FeedId::try_from(other).map_err(|_| "more rules than feeds")?;
            let base = alloc::vec![b'X', b'A'.saturating_add(other as u8)];
            let rule = SeriesRule {
                base: base.try_into().map_err(|_| "a long base")?,
                ..a_rule()
            };
            SeriesRules::<T>::mutate(|rules| rules.try_insert(feed, rule).map(|_| ()))
                .map_err(|_| "more rules than there may be")?;
        }
        #[extrinsic_call]
        _(governance as T::RuntimeOrigin, 0, Some(a_rule()));
        assert_eq!(SeriesRules::<T>::get().len() as u32, MOST_RULES);
        Ok(())
    }

    /// All but one of as many markets as rules list are, and the last is listed.
    #[benchmark]
    fn list_due() -> Result<(), BenchmarkError> {
        // A genesis may list more.
        let most = usize::try_from(MAX_MARKETS - RESERVED_MARKETS - 1).unwrap_or(0);
        for market in Instruments::<T>::iter_keys().skip(most).collect::<Vec<_>>() {
            Instruments::<T>::remove(market);
        }
        list::<T>(RESERVED_MARKETS + 1);
        SeriesRules::<T>::mutate(|rules| rules.try_insert(0, a_rule()).map(|_| ()))
            .map_err(|_| "more rules than there may be")?;
        let listed = Instruments::<T>::count();
        #[block]
        {
            <Pallet<T> as Listing>::list_due(0, 1_800_000_000_000, |_| {
                Some(Price::from_rational(60_000, 1))
            });
        }
        assert_eq!(Instruments::<T>::count(), listed + 1);
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
