//! Every call at its worst: full lists, full accounts. They run as tests too, without the feature.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use super::*;
use alloc::{vec, vec::Vec};
use frame_benchmarking::v2::*;
use frame_support::traits::{
    fungibles::{Inspect, Mutate},
    Get,
};
use frame_system::RawOrigin;
use novate_types::{
    AccountRef, AssetId, BlockNumber, CollateralParams, CurrentView, Direction, Loan, LoanParams,
    MarginAccount, MarketId, NewOrder, NewTrigger, OrderAggregate, OrderPrice, Position, RankSlot,
    RiskAxis, RiskSlot, SelfTradePrevention, Side, TimeInForce, Trigger, MAX_COLLATERALS,
    MAX_ORDER_BYTES, MAX_POSITIONS, MAX_RISK_SLOTS, MAX_TRIGGERS, QUANTUMS,
};

/// Collateral of the benchmarks: ids no genesis uses. Their assets need not exist.
const FIRST_ASSET: AssetId = 1_000_000;

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
    let root = || RawOrigin::Root.into();
    Ok((root(), root()))
}

fn params() -> CollateralParams {
    CollateralParams {
        feed: 0,
        decimals: 18,
        haircut: 100_000,
        large_value: QUANTUMS,
        large_haircut: 200_000,
        value_cap: QUANTUMS,
        global_cap: 1_000_000,
    }
}

fn loan_params() -> LoanParams {
    LoanParams {
        base_rate: 10_000,
        slope: 90_000,
        steep_slope: 1_000_000,
        kink: 800_000,
        reserve_factor: 100_000,
        utilisation_cap: 900_000,
        account_cap: QUANTUMS,
    }
}

fn changed() -> CollateralParams {
    CollateralParams {
        haircut: 100_001,
        ..params()
    }
}

/// As many collaterals as there can be, all but `free` of them scheduled to change. Returns the last asset.
fn schedule<T: Config>(free: u32) -> Result<AssetId, BenchmarkError> {
    Collaterals::<T>::kill();
    let last = FIRST_ASSET + MAX_COLLATERAL_ASSETS - 1;
    for asset in FIRST_ASSET..=last {
        Collaterals::<T>::mutate(|all| all.try_insert(asset, params())).map_err(|_| "full")?;
    }
    for asset in FIRST_ASSET..=last.saturating_sub(free) {
        Pallet::<T>::schedule(asset, changed()).map_err(|_| "not scheduled")?;
    }
    Ok(last)
}

/// An account whose every list is full.
fn full_account() -> MarginAccount {
    let markets = || 0..MAX_POSITIONS as u16;
    let position = |market| Position {
        market,
        lots: i64::MAX,
        cost: i128::MAX,
        funding_index: i128::MAX,
        rank: RankSlot::default(),
    };
    let order = |market| OrderAggregate {
        market,
        bid_lots: u64::MAX,
        ask_lots: u64::MAX,
        reserve: i128::MAX,
    };
    let slot = RiskSlot {
        axis: RiskAxis::Parameters,
        direction: Direction::Down,
        bucket: u32::MAX,
        generation: u32::MAX,
    };
    MarginAccount {
        collateral: (0..MAX_COLLATERALS)
            .map(|a| (FIRST_ASSET + a, 1))
            .collect::<Vec<_>>()
            .try_into()
            .unwrap(),
        positions: markets()
            .map(position)
            .collect::<Vec<_>>()
            .try_into()
            .unwrap(),
        orders: markets().map(order).collect::<Vec<_>>().try_into().unwrap(),
        triggers: (0..MAX_TRIGGERS)
            .map(trigger)
            .collect::<Vec<_>>()
            .try_into()
            .unwrap(),
        risk: vec![slot; MAX_RISK_SLOTS as usize].try_into().unwrap(),
        open: vec![u8::MAX; MAX_ORDER_BYTES as usize].try_into().unwrap(),
        ..Default::default()
    }
}

fn trigger(number: u32) -> Trigger {
    Trigger {
        sequence: number.into(),
        tie: u64::MAX,
        terms: NewTrigger {
            order: NewOrder {
                market: MarketId::MAX,
                client_id: number.into(),
                side: Side::Ask,
                lots: u64::MAX,
                price: OrderPrice::Limit(u64::MAX),
                time_in_force: TimeInForce::GoodTilBlock(BlockNumber::MAX),
                reduce_only: true,
                self_trade_prevention: SelfTradePrevention::CancelNewest,
            },
            direction: Direction::Down,
            ticks: u64::MAX,
            expires: Some(BlockNumber::MAX),
        },
    }
}

#[benchmarks]
mod benchmarks {
    use super::*;

    /// Of cash: the owner's first account is opened and the wallet emptied. Collateral counts as several of these.
    #[benchmark]
    fn deposit() -> Result<(), BenchmarkError> {
        let owner: T::AccountId = whitelisted_caller();
        let asset = T::SettlementAsset::get();
        let amount = T::Assets::minimum_balance(asset) * 1_000;
        T::Assets::mint_into(asset, &owner, amount)?;
        #[extrinsic_call]
        _(RawOrigin::Signed(owner.clone()), 0, asset, amount);
        let account = Accounts::<T>::get(AccountRef::new(owner, 0)).ok_or("not opened")?;
        assert_eq!(account.cash.unsigned_abs(), amount);
        Ok(())
    }

    #[benchmark]
    fn deposit_more() -> Result<(), BenchmarkError> {
        let owner: T::AccountId = whitelisted_caller();
        let of = AccountRef::new(owner.clone(), 0);
        let asset = T::SettlementAsset::get();
        let amount = T::Assets::minimum_balance(asset) * 1_000;
        Pallet::<T>::fund(&of, asset, 0).map_err(|_| "not opened")?;
        // It owes a quantum, and interest on it.
        let (cash, loan) = (
            -1,
            Some(Loan {
                principal: 1,
                index: 0,
            }),
        );
        let debtor = MarginAccount {
            cash,
            loan,
            ..full_account()
        };
        Accounts::<T>::insert(&of, debtor);
        Lending::<T>::mutate(|book| {
            (book.borrowed, book.index, book.accrued) = (1, 1, 1);
        });
        T::Assets::mint_into(asset, &owner, amount)?;
        #[extrinsic_call]
        Pallet::<T>::deposit(RawOrigin::Signed(owner), 0, asset, amount);
        let account = Accounts::<T>::get(&of).ok_or("not opened")?;
        assert_eq!(account.cash.unsigned_abs(), amount - 2);
        Ok(())
    }

    #[benchmark]
    fn close_account() -> Result<(), BenchmarkError> {
        let owner: T::AccountId = whitelisted_caller();
        let of = AccountRef::new(owner.clone(), 0);
        Pallet::<T>::fund(&of, T::SettlementAsset::get(), 0).map_err(|_| "not opened")?;
        #[extrinsic_call]
        _(RawOrigin::Signed(owner.clone()), 0);
        assert!(!Subaccounts::<T>::contains_key(&owner));
        Ok(())
    }

    #[benchmark]
    fn schedule_collateral() -> Result<(), BenchmarkError> {
        let (governance, _) = origins::<T>()?;
        let asset = schedule::<T>(1)?;
        #[extrinsic_call]
        _(governance as T::RuntimeOrigin, asset, changed());
        assert_eq!(
            PendingCollaterals::<T>::get().len() as u32,
            MAX_COLLATERAL_ASSETS
        );
        Ok(())
    }

    #[benchmark]
    fn cancel_collateral() -> Result<(), BenchmarkError> {
        let (governance, _) = origins::<T>()?;
        let asset = schedule::<T>(0)?;
        #[extrinsic_call]
        _(governance as T::RuntimeOrigin, asset);
        assert_eq!(
            PendingCollaterals::<T>::get().len() as u32,
            MAX_COLLATERAL_ASSETS - 1
        );
        Ok(())
    }

    #[benchmark]
    fn lower_global_cap() -> Result<(), BenchmarkError> {
        let (_, emergency) = origins::<T>()?;
        let asset = schedule::<T>(0)?;
        #[extrinsic_call]
        _(emergency as T::RuntimeOrigin, asset, 0);
        assert_eq!(Collaterals::<T>::get()[&asset].global_cap, 0);
        Ok(())
    }

    /// The close's part included.
    #[benchmark]
    fn set_fee_tier() -> Result<(), BenchmarkError> {
        let (governance, _) = origins::<T>()?;
        if T::View::view().fee_tiers.is_empty() {
            return Err(BenchmarkError::Weightless);
        }
        let of = AccountRef::new(whitelisted_caller::<T::AccountId>(), 0);
        Accounts::<T>::insert(
            &of,
            MarginAccount {
                fee_tier: 1,
                ..full_account()
            },
        );
        #[block]
        {
            Pallet::<T>::set_fee_tier(governance, of.clone(), 0)?;
            Pallet::<T>::act_on_deferred();
        }
        assert_eq!(Accounts::<T>::get(&of).map(|a| a.fee_tier), Some(0));
        Ok(())
    }

    #[benchmark]
    fn schedule_loans() -> Result<(), BenchmarkError> {
        let (governance, _) = origins::<T>()?;
        Lending::<T>::kill();
        #[extrinsic_call]
        _(governance as T::RuntimeOrigin, loan_params());
        assert!(Lending::<T>::get().pending.is_some());
        Ok(())
    }

    #[benchmark]
    fn cancel_loans() -> Result<(), BenchmarkError> {
        let (governance, _) = origins::<T>()?;
        Lending::<T>::mutate(|book| book.pending = Some((loan_params(), BlockNumber::MAX)));
        #[extrinsic_call]
        _(governance as T::RuntimeOrigin);
        assert!(Lending::<T>::get().pending.is_none());
        Ok(())
    }

    #[benchmark]
    fn lower_utilisation_cap() -> Result<(), BenchmarkError> {
        let (_, emergency) = origins::<T>()?;
        Lending::<T>::mutate(|book| {
            book.params = loan_params();
            book.pending = Some((loan_params(), BlockNumber::MAX));
        });
        #[extrinsic_call]
        _(emergency as T::RuntimeOrigin, 0);
        assert_eq!(Lending::<T>::get().params.utilisation_cap, 0);
        Ok(())
    }

    #[benchmark]
    fn apply_due(n: Linear<1, { MAX_COLLATERAL_ASSETS }>) -> Result<(), BenchmarkError> {
        schedule::<T>(MAX_COLLATERAL_ASSETS)?;
        for asset in FIRST_ASSET..FIRST_ASSET + n {
            // A change that no sweep has to precede.
            let better = CollateralParams {
                haircut: 99_999,
                ..params()
            };
            Pallet::<T>::schedule(asset, better).map_err(|_| "not scheduled")?;
        }
        frame_system::Pallet::<T>::set_block_number(BlockNumber::MAX.into());
        let applied;
        #[block]
        {
            applied = Pallet::<T>::apply_due_collaterals();
        }
        assert_eq!(applied, n);
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
