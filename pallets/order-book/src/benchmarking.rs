//! Benchmarks; as tests they run on the mock.

// Set-up may panic; what is measured may not, and is elsewhere.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used
)]

use crate::{types::PAGE_SLOTS, BenchmarkHelper, Call, Config, Pallet};
use alloc::vec::Vec;
use frame_benchmarking::v2::*;
use frame_support::BoundedVec;
use frame_system::RawOrigin;
use novate_types::{
    math::ticks_nearest, AccountRef, MarketView, MatchLimits, NewOrder, Operation, OrderBook,
    OrderPrice, OrderTarget, RiskView, SelfTradePrevention, Side, TimeInForce, MAX_OPERATIONS,
};

fn order(view: &MarketView, client_id: u64, side: Side, away: u64) -> NewOrder {
    let mark = ticks_nearest(view.mark, view.tick_size).unwrap_or(1);
    let ticks = match side {
        Side::Bid => mark.saturating_sub(away),
        Side::Ask => mark.saturating_add(away),
    };
    NewOrder {
        market: view.id,
        client_id,
        side,
        lots: 1_000,
        price: OrderPrice::Limit(ticks.max(1)),
        time_in_force: TimeInForce::GoodTilCancelled,
        reduce_only: false,
        self_trade_prevention: SelfTradePrevention::CancelNewest,
    }
}

fn trader<T: Config>(number: u32) -> AccountRef<T::AccountId> {
    let of = AccountRef::new(account("trader", number, 0), 0);
    T::BenchmarkHelper::fund(&of);
    of
}

fn close<T: Config>(view: &MarketView, fills: u32) -> u32 {
    let Some(mut market) = Pallet::<T>::load(view, Vec::new()) else {
        return 0;
    };
    let tentative = Pallet::<T>::run(&mut market, &MatchLimits::first(fills));
    Pallet::<T>::commit(market);
    tentative.executed
}

#[benchmarks]
mod benchmarks {
    use super::*;

    /// `p` orders, all far from each other, and `c` cancels of resting ones.
    #[benchmark]
    fn submit(p: Linear<0, 32>, c: Linear<1, 32>) -> Result<(), BenchmarkError> {
        let view = T::BenchmarkHelper::market();
        let of = trader::<T>(0);
        let placed: Vec<Operation> = (0..u64::from(c))
            .map(|n| Operation::Place(order(&view, n, Side::Bid, 100 + n)))
            .collect();
        Pallet::<T>::execute(&of, &placed).map_err(|_| BenchmarkError::Stop("refused"))?;
        close::<T>(&view, 1);

        let cancels = (0..u64::from(c)).map(|n| Operation::Cancel(OrderTarget::Client(n)));
        let places = (0..u64::from(p))
            .map(|n| Operation::Place(order(&view, 1_000 + n, Side::Bid, 200 + n)));
        let operations: BoundedVec<Operation, frame_support::traits::ConstU32<MAX_OPERATIONS>> =
            BoundedVec::truncate_from(cancels.chain(places).collect());

        #[extrinsic_call]
        _(RawOrigin::Signed(of.owner.clone()), 0, operations);

        assert_eq!(Pallet::<T>::open_orders(&of).len(), p as usize);
        Ok(())
    }

    /// One order walks through `n` resting ones of as many accounts.
    #[benchmark]
    fn match_order(n: Linear<1, 128>) -> Result<(), BenchmarkError> {
        let view = T::BenchmarkHelper::market();
        for number in 0..n {
            let of = trader::<T>(number.saturating_add(1));
            let ask = Operation::Place(order(&view, 0, Side::Ask, 10));
            Pallet::<T>::execute(&of, &[ask]).map_err(|_| BenchmarkError::Stop("refused"))?;
        }
        close::<T>(&view, n);
        let of = trader::<T>(0);
        let mut taker = order(&view, 0, Side::Bid, 0);
        taker.price = match order(&view, 0, Side::Ask, 10).price {
            OrderPrice::Limit(ticks) => OrderPrice::Limit(ticks),
            OrderPrice::Market => return Err(BenchmarkError::Stop("a limit was asked for")),
        };
        taker.lots = u64::from(n).saturating_mul(1_000);
        Pallet::<T>::execute(&of, &[Operation::Place(taker)])
            .map_err(|_| BenchmarkError::Stop("refused"))?;
        let executed;

        #[block]
        {
            executed = close::<T>(&view, n);
        }

        assert_eq!(executed, n);
        Ok(())
    }

    /// An order comes to rest in front of `n` of as many accounts, which the match reads.
    #[benchmark]
    fn read(n: Linear<1, 128>) -> Result<(), BenchmarkError> {
        let view = T::BenchmarkHelper::market();
        for number in 0..n {
            let of = trader::<T>(number.saturating_add(1));
            let ask = Operation::Place(order(&view, 0, Side::Ask, 10));
            Pallet::<T>::execute(&of, &[ask]).map_err(|_| BenchmarkError::Stop("refused"))?;
        }
        close::<T>(&view, 1);
        crate::Reads::<T>::kill();
        let bid = Operation::Place(order(&view, 0, Side::Bid, 10));
        Pallet::<T>::execute(&trader::<T>(0), &[bid])
            .map_err(|_| BenchmarkError::Stop("refused"))?;

        #[block]
        {
            close::<T>(&view, 1);
        }

        assert_eq!(crate::Reads::<T>::get(), n);
        Ok(())
    }

    /// A page of orders expires.
    #[benchmark]
    fn housekeep() -> Result<(), BenchmarkError> {
        let market = T::BenchmarkHelper::market();
        let mut view = RiskView::default();
        view.markets
            .try_push(market.clone())
            .map_err(|_| BenchmarkError::Stop("a view holds a market"))?;
        let expiry = Pallet::<T>::now().saturating_add(1);
        for number in 0..PAGE_SLOTS {
            let of = trader::<T>(number);
            let mut bid = order(&market, 0, Side::Bid, 100);
            bid.time_in_force = TimeInForce::GoodTilBlock(expiry);
            Pallet::<T>::execute(&of, &[Operation::Place(bid)])
                .map_err(|_| BenchmarkError::Stop("refused"))?;
        }
        close::<T>(&market, 1);
        crate::ExpiryCursor::<T>::put((expiry, 0));
        frame_system::Pallet::<T>::set_block_number(expiry.into());
        let released;

        #[block]
        {
            released = Pallet::<T>::housekeep(&view);
        }

        assert_eq!(released.len(), PAGE_SLOTS as usize);
        Ok(())
    }

    #[cfg(test)]
    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
