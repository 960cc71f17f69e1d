//! Benchmarks: the calls at intake, the execution of requests, and the close as it stands. They run
//! as tests too.

use super::*;
use frame_benchmarking::v2::*;
use frame_system::RawOrigin;
use novate_types::{AccountRef, Ledger};

fn funded<T: Config>(owner: &T::AccountId) -> AccountRef<T::AccountId> {
    let account = AccountRef::new(owner.clone(), 0);
    T::BenchmarkHelper::fund(&account);
    account
}

#[benchmarks]
mod benches {
    use super::*;

    #[benchmark]
    fn withdraw() {
        let caller: T::AccountId = whitelisted_caller();
        funded::<T>(&caller);
        #[extrinsic_call]
        _(
            RawOrigin::Signed(caller),
            0,
            T::Ledger::settlement_asset(),
            1,
        );
        assert_eq!(Pallet::<T>::queued_requests(), 1);
    }

    #[benchmark]
    fn transfer() {
        let caller: T::AccountId = whitelisted_caller();
        funded::<T>(&caller);
        let to = AccountRef::new(caller.clone(), 1);
        #[extrinsic_call]
        _(
            RawOrigin::Signed(caller),
            0,
            to,
            T::Ledger::settlement_asset(),
            1,
        );
        assert_eq!(Pallet::<T>::queued_requests(), 1);
    }

    #[benchmark]
    fn deposit_for() {
        let caller: T::AccountId = whitelisted_caller();
        let to = funded::<T>(&caller);
        #[extrinsic_call]
        _(
            RawOrigin::Signed(caller),
            to,
            T::Ledger::settlement_asset(),
            1,
        );
        assert_eq!(Pallet::<T>::queued_requests(), 1);
    }

    #[benchmark]
    fn request() {
        let caller: T::AccountId = whitelisted_caller();
        funded::<T>(&caller);
        let to = AccountRef::new(caller.clone(), 1);
        let asset = T::Ledger::settlement_asset();
        let action = Action::Transfer {
            sub: 0,
            to: to.clone(),
        };
        assert_eq!(Pallet::<T>::enqueue(caller, action, asset, 1), Ok(()));
        let view = View::<T>::get();
        #[block]
        {
            Pallet::<T>::execute_requests(&view);
        }
        assert_eq!(T::Ledger::account(&to).map(|account| account.cash), Some(1));
    }

    #[benchmark]
    fn close() {
        #[block]
        {
            Pallet::<T>::close();
        }
        assert_eq!(View::<T>::get().markets.len(), States::<T>::get().len());
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
