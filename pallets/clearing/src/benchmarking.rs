//! Calls with the execution of what they ask for, and the parts of the close. They run as tests too.
//!
//! Every account is as full as the runtime's helper makes it, and whoever executes something has one of its own.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used
)]

use super::*;
use crate::novation::Budget;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use frame_benchmarking::v2::*;
use frame_support::{traits::Get, BoundedVec};
use frame_system::RawOrigin;
use novate_types::{AccountRef, AssetId, Ledger, Listing, Loans, RiskModel, MAX_POSITIONS};

type Account<T> = AccountRef<<T as frame_system::Config>::AccountId>;

/// What moves, of the settlement currency.
const AMOUNT: u128 = 1_000;

fn funded<T: Config>(owner: &T::AccountId) -> Account<T> {
    let account = AccountRef::new(owner.clone(), 0);
    T::BenchmarkHelper::fund(&account);
    account
}

/// An owner with an account, another's account, and the asset.
fn two<T: Config>() -> (T::AccountId, Account<T>, AssetId) {
    let caller: T::AccountId = whitelisted_caller();
    funded::<T>(&caller);
    let to = funded::<T>(&account("to", 0, 0));
    (caller, to, T::Ledger::settlement_asset())
}

fn cash<T: Config>(of: &Account<T>) -> i128 {
    T::Ledger::account(of).map_or(0, |account| account.cash)
}

/// Orders of one account, and accounts with one order each, that execute.
const ORDERS: u32 = 64;
const PARTIES: u32 = 64;

/// Matches the first market, in which `fills` resting orders execute, and indexes those who traded.
fn cross<T: Config>(view: &novate_types::RiskView, fills: u32) {
    let market = view.markets.first().expect("it is listed");
    let (mut budget, mut traded) = (enough::<T>(), BTreeMap::new());
    Pallet::<T>::match_market(
        view,
        market,
        Default::default(),
        Vec::new(),
        &mut budget,
        &mut traded,
    );
    Pallet::<T>::index_traded(view, traded);
    assert_eq!(enough::<T>().fills - budget.fills, fills);
}

fn enough<T: Config>() -> Budget {
    Budget {
        parties: Weight::MAX,
        ..Budget::full::<T>(false)
    }
}

#[benchmarks]
mod benches {
    use super::*;

    #[benchmark]
    fn withdraw() -> Result<(), BenchmarkError> {
        let (caller, _, asset) = two::<T>();
        let from = AccountRef::new(caller.clone(), 0);
        let (before, view) = (cash::<T>(&from), View::<T>::get());
        #[block]
        {
            Pallet::<T>::withdraw(RawOrigin::Signed(caller).into(), 0, asset, AMOUNT)?;
            Pallet::<T>::execute_requests(&view);
        }
        assert_eq!(cash::<T>(&from) + AMOUNT as i128, before);
        Ok(())
    }

    #[benchmark]
    fn schedule_portfolio_rules() {
        let mut params = novate_risk::portfolio::PortfolioParams::standard();
        params.factors.initial = sp_runtime::FixedU128::from_rational(11, 10);
        assert_eq!(params.grid.scenarios.len() as u32, T::MaxScenarios::get());
        #[extrinsic_call]
        _(RawOrigin::Root, Some(alloc::boxed::Box::new(params)));
        assert!(NextPortfolioRules::<T>::exists());
    }

    #[benchmark]
    fn transfer() -> Result<(), BenchmarkError> {
        let (caller, to, asset) = two::<T>();
        let (before, view) = (cash::<T>(&to), View::<T>::get());
        #[block]
        {
            let origin = RawOrigin::Signed(caller).into();
            Pallet::<T>::transfer(origin, 0, to.clone(), asset, AMOUNT)?;
            Pallet::<T>::execute_requests(&view);
        }
        assert_eq!(cash::<T>(&to), before + AMOUNT as i128);
        Ok(())
    }

    #[benchmark]
    fn deposit_for() -> Result<(), BenchmarkError> {
        let (caller, to, asset) = two::<T>();
        let (before, view) = (cash::<T>(&to), View::<T>::get());
        #[block]
        {
            let origin = RawOrigin::Signed(caller).into();
            Pallet::<T>::deposit_for(origin, to.clone(), asset, AMOUNT)?;
            Pallet::<T>::execute_requests(&view);
        }
        assert_eq!(cash::<T>(&to), before + AMOUNT as i128);
        Ok(())
    }

    #[benchmark]
    fn supply() -> Result<(), BenchmarkError> {
        let (caller, _, _) = two::<T>();
        let view = View::<T>::get();
        #[block]
        {
            Pallet::<T>::supply(RawOrigin::Signed(caller.clone()).into(), AMOUNT)?;
            Pallet::<T>::execute_requests(&view);
        }
        assert!(T::Loans::shares(&caller) > 0);
        Ok(())
    }

    #[benchmark]
    fn redeem() -> Result<(), BenchmarkError> {
        let (caller, _, _) = two::<T>();
        let view = View::<T>::get();
        Pallet::<T>::supply(RawOrigin::Signed(caller.clone()).into(), AMOUNT)?;
        Pallet::<T>::execute_requests(&view);
        let shares = T::Loans::shares(&caller);
        #[block]
        {
            Pallet::<T>::redeem(RawOrigin::Signed(caller.clone()).into(), shares)?;
            Pallet::<T>::execute_requests(&view);
        }
        assert_eq!(T::Loans::shares(&caller), 0);
        Ok(())
    }

    #[benchmark]
    fn borrow() -> Result<(), BenchmarkError> {
        let caller: T::AccountId = whitelisted_caller();
        let from = AccountRef::new(caller.clone(), 0);
        let view = T::BenchmarkHelper::lend(&from);
        let before = cash::<T>(&from);
        #[block]
        {
            Pallet::<T>::borrow(RawOrigin::Signed(caller).into(), 0, AMOUNT)?;
            Pallet::<T>::execute_requests(&view);
        }
        assert_eq!(cash::<T>(&from) + AMOUNT as i128, before);
        assert!(cash::<T>(&from) < 0);
        Ok(())
    }

    /// What a supply executes more than a withdrawal does.
    #[benchmark]
    fn lending(n: Linear<0, { T::MaxRequestsPerClose::get() }>) {
        for number in 0..n {
            let owner: T::AccountId = account("owner", number, 0);
            funded::<T>(&owner);
            let asset = T::Ledger::settlement_asset();
            assert_eq!(
                Pallet::<T>::enqueue(owner, Action::Supply, asset, AMOUNT),
                Ok(())
            );
        }
        let view = View::<T>::get();
        #[block]
        {
            Pallet::<T>::execute_requests(&view);
        }
        for number in 0..n {
            assert!(T::Loans::shares(&account("owner", number, 0)) > 0);
        }
    }

    #[benchmark]
    fn interest() -> Result<(), BenchmarkError> {
        let of = AccountRef::new(whitelisted_caller::<T::AccountId>(), 0);
        let mut view = T::BenchmarkHelper::lend(&of);
        let before = cash::<T>(&T::InsuranceFund::get());
        let (block, _) = Pallet::<T>::now();
        #[block]
        {
            T::Loans::accrue(block, 1_000);
            view.loans.index = view.loans.index.max(1);
            Pallet::<T>::reserve_interest(&view);
        }
        assert!(cash::<T>(&T::InsuranceFund::get()) > before);
        Ok(())
    }

    /// Withdrawals, of as many owners.
    #[benchmark]
    fn request(n: Linear<0, { T::MaxRequestsPerClose::get() }>) {
        let asset = T::Ledger::settlement_asset();
        for number in 0..n {
            let owner: T::AccountId = account("owner", number, 0);
            funded::<T>(&owner);
            let action = Action::Withdraw { sub: 0 };
            assert_eq!(Pallet::<T>::enqueue(owner, action, asset, AMOUNT), Ok(()));
        }
        let view = View::<T>::get();
        #[block]
        {
            Pallet::<T>::execute_requests(&view);
        }
        assert_eq!(Pallet::<T>::queued_requests(), 0);
        let untouched = cash::<T>(&funded::<T>(&account("untouched", 0, 0)));
        for number in 0..n {
            let of: Account<T> = AccountRef::new(account("owner", number, 0), 0);
            assert_eq!(cash::<T>(&of) + AMOUNT as i128, untouched);
        }
    }

    /// Marks and funding at the end of a minute, the view, and markets in which there is nothing to match.
    #[benchmark]
    fn close(m: Linear<1, { novate_types::MAX_MARKETS }>) {
        T::BenchmarkHelper::list(m);
        let (block, now) = Pallet::<T>::now();
        #[block]
        {
            let before = View::<T>::get();
            let mut states = States::<T>::get().into_inner();
            let (view, matching) = Pallet::<T>::advance(&before, &mut states, block, now);
            View::<T>::put(&view);
            for market in matching.iter().filter_map(|id| view.market(*id).ok()) {
                let (mut budget, mut traded) = (Budget::full::<T>(false), BTreeMap::new());
                let none = Vec::new();
                Pallet::<T>::match_market(
                    &view,
                    market,
                    Default::default(),
                    none,
                    &mut budget,
                    &mut traded,
                );
            }
            States::<T>::put(BoundedVec::truncate_from(states));
            Pallet::<T>::execute_requests(&view);
        }
        assert_eq!(View::<T>::get().markets.len(), m as usize);
    }

    /// All markets that can be listed have settled, and nobody holds anything: those that a close deals with are looked at, and one is removed.
    #[benchmark]
    fn ending() {
        T::BenchmarkHelper::list(novate_types::MAX_MARKETS);
        let mut view = View::<T>::get();
        for market in view.markets.iter_mut() {
            market.contract = novate_types::Contract {
                kind: novate_types::ContractKind::Future,
                expiry: 1,
                settled: true,
                ..Default::default()
            };
        }
        let listed = T::Listing::markets().len();
        #[block]
        {
            Pallet::<T>::remove_settled(&mut view);
        }
        assert_eq!(T::Listing::markets().len() + 1, listed);
    }

    /// Of as many options as can be listed: logarithm and price. The surface's part is the oracle's to measure.
    #[benchmark]
    fn option_mark(n: Linear<0, { novate_types::MAX_MARKETS }>) {
        let price = |dollars: u32| novate_types::Price::from_rational(dollars.into(), 1);
        let variance = novate_types::Price::from_rational(n.into(), 1_000);
        let mut sum = 0u128;
        #[block]
        {
            for strike in 0..n {
                let forward = novate_risk::Forward {
                    price: price(60_000),
                    settled: Default::default(),
                    left: 86_400_000,
                };
                let strike = price(50_000 + 300 * strike);
                let moneyness = novate_risk::log_moneyness(forward.price, strike);
                let right = novate_types::OptionRight::Put;
                let mark = novate_risk::option_mark_floor(right, &forward, strike, variance);
                sum += mark.map_or(0, |mark| mark.into_inner());
                sum += moneyness.map_or(0, |k| k.into_inner().unsigned_abs());
            }
        }
        assert_eq!(sum > 0, n > 0);
    }

    /// Of as many options as can be listed, a strike and an expiry each: priced at every point, their slopes bounded, and written.
    #[benchmark]
    fn scenarios(n: Linear<0, { novate_types::MAX_MARKETS }>) {
        T::BenchmarkHelper::list(novate_types::MAX_MARKETS);
        let mut view = View::<T>::get();
        view.markets.truncate(n as usize);
        let day = 86_400_000;
        for (at, market) in (1u32..).zip(view.markets.iter_mut()) {
            market.contract = novate_types::Contract {
                variance: 1_000_000_000 * u64::from(at),
                ..novate_types::InstrumentKind::Option {
                    expiry: view.now + day * u64::from(at),
                    strike: 1_000 * u64::from(at),
                    right: novate_types::OptionRight::Put,
                }
                .into()
            };
            let left = market.contract.expiry - view.now;
            let moved =
                novate_risk::moved_option(market, novate_types::OptionRight::Put, left, 0).unwrap();
            market.mark = moved.mark.max(novate_types::Price::from_inner(1));
        }
        #[block]
        {
            Pallet::<T>::price_scenarios(&Default::default(), &view);
        }
        assert_eq!(Scenarios::<T>::iter().count(), n as usize);
    }

    /// What an execution costs in the book is in it. All of one account.
    #[benchmark]
    fn fill(n: Linear<0, { ORDERS }>) {
        let view = T::BenchmarkHelper::cross(1, n, 1);
        #[block]
        {
            cross::<T>(&view, n);
        }
    }

    #[benchmark]
    fn small_party(n: Linear<0, { PARTIES }>) {
        let view = T::BenchmarkHelper::cross(n, 1, 1);
        #[block]
        {
            cross::<T>(&view, n);
        }
    }

    #[benchmark]
    fn full_party(n: Linear<0, { PARTIES }>) {
        let view = T::BenchmarkHelper::cross(n, 1, MAX_POSITIONS);
        #[block]
        {
            cross::<T>(&view, n);
        }
    }

    /// An account of options alone, short and long by turns, assessed once.
    #[benchmark]
    fn option_scan(n: Linear<0, { MAX_POSITIONS }>) {
        let view = T::BenchmarkHelper::options();
        let mut account = novate_types::MarginAccount::default();
        for (at, market) in view.markets.iter().take(n as usize).enumerate() {
            let lots = if at % 2 == 0 { -1 } else { 1 };
            novate_risk::apply_trade(&mut account, market, lots, 0).unwrap();
        }
        let assessed;
        #[block]
        {
            assessed = T::Risk::assess_held(&account, &view);
        }
        assert!(assessed.is_ok());
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
