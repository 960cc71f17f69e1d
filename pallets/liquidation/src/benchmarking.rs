//! The call, and the steps of which the close consists, each by itself. They run as tests too, without the feature.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use super::*;
use frame_benchmarking::v2::*;
use frame_support::traits::Get;
use novate_risk::apply_trade;
use novate_types::{
    AccountRef, Cash, Ledger, LedgerError, Lots, MarketId, Pot, Price, RiskAxis, RiskSlots,
    SignedLots, QUANTUMS,
};

const MARKET: MarketId = 0;
const LOTS: SignedLots = 10;

#[cfg(feature = "runtime-benchmarks")]
fn origin<T: Config>() -> Result<T::RuntimeOrigin, BenchmarkError> {
    use frame_support::traits::EnsureOrigin;
    T::GovernanceOrigin::try_successful_origin().map_err(|()| BenchmarkError::Weightless)
}

#[cfg(not(feature = "runtime-benchmarks"))]
fn origin<T: Config>() -> Result<T::RuntimeOrigin, BenchmarkError> {
    Ok(frame_system::RawOrigin::Root.into())
}

/// What `lots` are worth at the mark.
fn worth(lots: SignedLots, view: &RiskView) -> Cash {
    let market = view.market(MARKET).unwrap();
    novate_types::math::position_value_floor(lots, market.mark, market.lot_size).unwrap()
}

/// Gives an account `lots` at the mark, and cash worth `part` ppm of them.
fn hold<T: Config>(of: &AccountRef<T::AccountId>, view: &RiskView, lots: SignedLots, part: i128) {
    T::Ledger::settle(of, view, true, |account| {
        let value = worth(lots, view);
        account.cash += value.abs() * part / 1_000_000;
        let traded = apply_trade(account, view.market(MARKET)?, lots, value)?;
        T::Ledger::credit_pot(Pot::Funding(MARKET), traded.funding_to_pot)
    })
    .unwrap_or_else(|e: LedgerError| panic!("{e:?}"));
}

/// The view with market 0 at a part of its mark.
fn at<T: Config>(view: &RiskView, ppm: u128) -> RiskView {
    let mut now = view.clone();
    now.block += 1;
    let market = now.markets.iter_mut().find(|m| m.id == MARKET).unwrap();
    market.mark = Price::from_inner(market.mark.into_inner() / 1_000_000 * ppm);
    now
}

/// A long account with 12 % of margin against a rich short one, and a vault with `vault` quantums.
fn pair<T: Config>(view: &RiskView, vault: Cash) -> AccountRef<T::AccountId> {
    let (long, short) = (
        T::BenchmarkHelper::account(1),
        T::BenchmarkHelper::account(2),
    );
    hold::<T>(&long, view, LOTS, 120_000);
    hold::<T>(&short, view, -LOTS, 10_000_000);
    T::Ledger::settle(&T::Vault::get(), view, true, |account| {
        account.cash += vault;
        Ok::<_, LedgerError>(())
    })
    .unwrap_or_else(|e| panic!("{e:?}"));
    long
}

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn set_loss_cap() -> Result<(), BenchmarkError> {
        let origin = origin::<T>()?;
        T::BenchmarkHelper::view();
        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, MARKET, QUANTUMS);
        assert_eq!(Pallet::<T>::loss_cap(MARKET), QUANTUMS);
        Ok(())
    }

    #[benchmark]
    fn idle() -> Result<(), BenchmarkError> {
        let view = T::BenchmarkHelper::view();
        #[block]
        {
            Pallet::<T>::on_marks(&view, &view);
            Pallet::<T>::waterfall(&view);
        }
        assert_eq!(Pallet::<T>::queued(), 0);
        Ok(())
    }

    #[benchmark]
    fn pop() -> Result<(), BenchmarkError> {
        let view = T::BenchmarkHelper::view();
        let of = T::BenchmarkHelper::account(0);
        hold::<T>(&of, &view, LOTS, 120_000);
        // Cash that comes in without a settlement leaves the threshold where it was: crossed below, and to be moved.
        T::Ledger::update(&of, |account| {
            account.cash += worth(LOTS, &view);
            Ok::<_, LedgerError>(())
        })
        .unwrap_or_else(|e| panic!("{e:?}"));
        let before = T::Ledger::account(&of).unwrap().risk;
        let now = at::<T>(&view, 900_000);
        #[block]
        {
            Pallet::<T>::pop_crossed(&now);
        }
        assert_eq!(Pallet::<T>::queued(), 0);
        let after = T::Ledger::account(&of).unwrap().risk;
        let moved = |axis: RiskAxis| {
            let bucket =
                |slots: &RiskSlots| slots.iter().find(|s| s.axis == axis).map(|s| s.bucket);
            bucket(&before) != bucket(&after)
        };
        assert!(moved(RiskAxis::Mark(MARKET)));
        Ok(())
    }

    #[benchmark]
    fn sweep() -> Result<(), BenchmarkError> {
        let view = T::BenchmarkHelper::view();
        hold::<T>(&T::BenchmarkHelper::account(0), &view, LOTS, 120_000);
        let now = at::<T>(&view, 960_000);
        #[block]
        {
            Pallet::<T>::sweep(&now);
        }
        assert!(Sweeping::<T>::exists());
        Ok(())
    }

    #[benchmark]
    fn liquidate() -> Result<(), BenchmarkError> {
        let view = T::BenchmarkHelper::view();
        let long = pair::<T>(&view, 100 * worth(LOTS, &view));
        let now = at::<T>(&view, 885_000);
        #[block]
        {
            Pallet::<T>::on_marks(&view, &now);
            Pallet::<T>::waterfall(&now);
        }
        assert_eq!(Pallet::<T>::queued(), 0);
        assert_eq!(T::Ledger::account(&long).unwrap().lots(MARKET), 0);
        assert_eq!(
            T::Ledger::account(&T::Vault::get()).unwrap().lots(MARKET),
            LOTS
        );
        Ok(())
    }

    #[benchmark]
    fn deleverage() -> Result<(), BenchmarkError> {
        let view = T::BenchmarkHelper::view();
        let long = pair::<T>(&view, 0);
        let now = at::<T>(&view, 885_000);
        #[block]
        {
            Pallet::<T>::on_marks(&view, &now);
            Pallet::<T>::waterfall(&now);
        }
        assert_eq!(T::Ledger::account(&long).unwrap().lots(MARKET), 0);
        assert_eq!(T::Ledger::open_interest(MARKET), 0 as Lots);
        Ok(())
    }

    #[benchmark]
    fn rank() -> Result<(), BenchmarkError> {
        let view = T::BenchmarkHelper::view();
        let of = T::BenchmarkHelper::account(0);
        hold::<T>(&of, &view, LOTS, 120_000);
        let shelf = crate::pages::Shelf::Rank(MARKET, novate_types::Side::Bid);
        let bucket = T::Ledger::account(&of).unwrap().positions[0].rank.bucket;
        let bucket = u32::from(bucket);
        let mut live = 0;
        #[block]
        {
            for entry in Pallet::<T>::take(shelf, bucket, 1) {
                live += u32::from(Pallet::<T>::is_live(shelf, bucket, &entry));
                Pallet::<T>::append(shelf, bucket, entry).unwrap();
            }
        }
        assert_eq!(live, 1);
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
