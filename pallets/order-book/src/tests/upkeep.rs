//! Expiry and halts.

use crate::{mock::*, Expiries, ExpiryCounts, Intake, OrderError, Pallet, MAX_WAITING};
use novate_types::{OrderBook as _, *};

fn until(block: BlockNumber, order: NewOrder) -> NewOrder {
    NewOrder {
        time_in_force: TimeInForce::GoodTilBlock(block),
        ..order
    }
}

#[test]
fn order_leaves_unmatched_at_the_close_of_its_block_of_expiry() {
    new_test_ext().execute_with(|| {
        place(1, until(3, limit(1, Side::Bid, 10, MARK - 10))).unwrap();
        place(2, until(4, limit(1, Side::Bid, 10, MARK - 20))).unwrap();
        close();
        close();
        assert_eq!(book().0.len(), 1 + 1);
        System::reset_events();
        place(3, limit(1, Side::Ask, 10, MARK - 30)).unwrap();
        let closed = close();
        // The other one, at its own price.
        assert!(closed.fills.iter().all(|f| f.ticks == MARK - 20));
        assert_eq!(closed.fills.len(), 2);
        assert_eq!(cancellations(), vec![(1, 10, CancelReason::Expired)]);
        assert!(with_orders().is_empty());
        close();
        assert_eq!(
            Expiries::<Test>::iter().count() + ExpiryCounts::<Test>::iter().count(),
            0
        );
    });
}

#[test]
fn expired_orders_neither_match_nor_block_when_there_are_too_many_for_one_close() {
    new_test_ext().execute_with(|| {
        for owner in 1..6 {
            let batch = (0..64)
                .map(|n| Operation::Place(until(2, limit(n, Side::Bid, 1, MARK - 10))))
                .collect();
            submit(owner, batch);
        }
        close();
        place(9, limit(1, Side::Ask, 5, MARK - 15)).unwrap();
        let closed = close();
        assert!(closed.fills.is_empty());
        // Two pages of 64 a close.
        assert_eq!((1..10).flat_map(open).count(), 1 + 3 * 64);
        assert_eq!(book(), (vec![], vec![(MARK - 15, 5, 1)]));
        close();
        close();
        assert_eq!((1..10).flat_map(open).count(), 1);
    });
}

#[test]
fn entry_of_the_index_is_harmless_when_the_order_left_before() {
    new_test_ext().execute_with(|| {
        place(1, until(3, limit(1, Side::Bid, 10, MARK - 10))).unwrap();
        close();
        operate(1, Operation::Cancel(OrderTarget::Client(1))).unwrap();
        place(1, limit(2, Side::Bid, 10, MARK - 10)).unwrap();
        close();
        System::reset_events();
        close();
        assert!(cancellations().is_empty());
        assert_eq!(book().0, vec![(MARK - 10, 10, 1)]);
    });
}

#[test]
fn orders_expire_in_time_when_many_that_left_before_share_their_block() {
    new_test_ext().execute_with(|| {
        for owner in 1..6 {
            let batch = (0..64)
                .map(|n| Operation::Place(until(3, limit(n, Side::Bid, 1, MARK - 10))))
                .collect();
            submit(owner, batch);
        }
        close();
        place(9, until(3, limit(1, Side::Bid, 1, MARK - 10))).unwrap();
        close();
        for owner in 1..6 {
            operate(owner, Operation::CancelAll { market: None }).unwrap();
        }
        System::reset_events();
        // Five pages of what left before stand ahead of it.
        close();
        assert_eq!(cancellations(), vec![(9, 1, CancelReason::Expired)]);
        assert_eq!(Expiries::<Test>::iter().count(), 0);
    });
}

#[test]
fn nothing_is_stored_of_an_account_when_all_its_orders_were_cancelled() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Bid, 10, MARK - 10)).unwrap();
        place(3, limit(1, Side::Ask, 10, MARK + 10)).unwrap();
        close();
        // A resting order, one of this block, and one that fills after another of its owner was cancelled.
        operate(1, Operation::Cancel(OrderTarget::Client(1))).unwrap();
        place(2, limit(1, Side::Bid, 10, MARK - 10)).unwrap();
        operate(2, Operation::Cancel(OrderTarget::Client(1))).unwrap();
        operate(3, Operation::CancelAll { market: None }).unwrap();
        place(3, limit(2, Side::Ask, 10, MARK)).unwrap();
        place(4, limit(1, Side::Bid, 10, MARK)).unwrap();
        // Within the block the ids are remembered.
        assert_eq!(
            place(2, limit(1, Side::Bid, 10, MARK - 10)),
            Err(OrderError::ClientIdCancelled)
        );
        assert_eq!(with_orders().len(), 4);
        assert_eq!(close().fills.len(), 2);
        assert_eq!(with_orders().len(), 0);
        assert!(!crate::Emptied::<Test>::exists());
    });
}

#[test]
fn a_long_list_of_waiting_orders_is_sorted_out_later_when_a_close_has_no_room_for_it() {
    new_test_ext().execute_with(|| {
        let owners = u64::from(MAX_WAITING) / 128 + 1;
        for owner in 1_000..1_000 + owners {
            fund(&account(owner), 1_000_000);
            for first in [0, 64] {
                let batch = (first..first + 64)
                    .map(|n| Operation::Place(limit(n, Side::Bid, 1, MARK - 10)))
                    .collect();
                assert!(submit(owner, batch).iter().all(Result::is_ok));
            }
        }
        crate::Reads::<Test>::put(BlockReads::get());
        assert!(Pallet::<Test>::housekeep(&MockView::view()).is_empty());
        Pallet::<Test>::do_try_state().unwrap();
        assert_eq!(crate::Waiting::<Test>::get(BTC), MAX_WAITING + 128);
        assert!(!Pallet::<Test>::housekeep(&MockView::view()).is_empty());
        assert_eq!(crate::Waiting::<Test>::get(BTC), MAX_WAITING);
    });
}

#[test]
fn intake_is_cancelled_and_the_book_waits_when_the_market_halts() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Bid, 10, MARK - 10)).unwrap();
        close();
        place(2, limit(1, Side::Ask, 10, MARK - 10)).unwrap();
        MockView::change(BTC, |m| m.status = MarketStatus::Halted);
        System::reset_events();
        let closed = close();
        assert!(closed.fills.is_empty());
        assert_eq!(
            cancellations(),
            vec![(2, 10, CancelReason::MarketRestricted)]
        );
        assert!(MockLedger::account(&account(2)).unwrap().orders.is_empty());
        assert_eq!(book().0, vec![(MARK - 10, 10, 1)]);
    });
}

#[test]
fn orders_wait_when_their_market_has_no_turn_in_a_close() {
    new_test_ext().execute_with(|| {
        IntakeQuota::set(2);
        place(1, limit(1, Side::Bid, 10, MARK - 10)).unwrap();
        place(1, until(2, limit(2, Side::Bid, 10, MARK - 10))).unwrap();
        // A close that only keeps house.
        assert!(Pallet::<Test>::housekeep(&MockView::view()).is_empty());
        Pallet::<Test>::do_try_state().unwrap();
        System::set_block_number(2);
        place(1, limit(3, Side::Bid, 10, MARK - 10)).unwrap();
        System::reset_events();
        close();
        assert_eq!(cancellations(), vec![(1, 10, CancelReason::Expired)]);
        // They joined together, and none is taken for older than its first close.
        assert!(open(1).iter().all(|o| o.block == 2));
        assert_eq!(Pallet::<Test>::rested(BTC), RestedQuotes::default());
        IntakeQuota::set(256);
    });
}

#[test]
fn no_more_orders_wait_than_one_close_can_take_up_and_the_latest_leave_first() {
    new_test_ext().execute_with(|| {
        let keep_house = || {
            let kept = Pallet::<Test>::housekeep(&MockView::view());
            kept.iter().for_each(apply);
            Pallet::<Test>::do_try_state().unwrap();
            System::set_block_number(System::block_number() + 1);
        };
        let owners = MAX_WAITING as u64 / 128;
        let submit_128 = |owner| {
            fund(&account(owner), 1_000_000);
            for first in [0, 64] {
                let batch = (first..first + 64)
                    .map(|n| Operation::Place(limit(n, Side::Bid, 1, MARK - 10)))
                    .collect();
                assert!(submit(owner, batch).iter().all(Result::is_ok));
            }
        };
        (0..owners).for_each(|n| submit_128(1_000 + n));
        keep_house();
        assert_eq!(cancellations(), vec![]);
        submit_128(2_000);
        keep_house();
        assert!(cancellations()
            .iter()
            .all(|c| *c == (2_000, 1, CancelReason::MarketRestricted)));
        assert_eq!(cancellations().len(), 128);
        assert_eq!(Intake::<Test>::get(BTC).concat().len() as u32, MAX_WAITING);
        close();
        assert_eq!(book().0[0].2 as usize, 256);
    });
}

/// The market's contract expires, and the market halts.
fn end(id: MarketId) {
    let mut view = MockView::view();
    view.now = 10;
    let market = view.market_mut(id).unwrap();
    market.contract = InstrumentKind::Future { expiry: 10 }.into();
    market.status = MarketStatus::Halted;
    frame_support::storage::unhashed::put(b"mock:view", &view);
}

#[test]
fn what_rests_in_a_market_that_has_expired_leaves_a_few_pages_a_close() {
    new_test_ext().execute_with(|| {
        // Four pages of bids in one group, and one of asks; others in another market.
        for owner in 1..3 {
            let batch = (0..64)
                .map(|n| Operation::Place(limit(n, Side::Bid, 1, MARK - 10)))
                .collect();
            submit(owner, batch);
        }
        place(3, limit(1, Side::Ask, 1, MARK + 10)).unwrap();
        let elsewhere = NewOrder {
            market: ETH,
            ..limit(2, Side::Ask, 1, MARK + 10)
        };
        place(3, elsewhere).unwrap();
        close();
        // One comes in with the block of the expiry.
        place(4, limit(1, Side::Ask, 1, MARK + 20)).unwrap();
        end(BTC);
        System::reset_events();
        close();
        assert!(!Pallet::<Test>::forget(BTC));
        let left = cancellations();
        let count = |reason| left.iter().filter(|(.., why)| *why == reason).count();
        assert_eq!(count(CancelReason::MarketRestricted), 1);
        assert_eq!(count(CancelReason::Expired), 64);
        close();
        assert_eq!((1..3).flat_map(open).count(), 0);
        assert!(!Pallet::<Test>::forget(BTC));
        close();
        assert_eq!((1..10).flat_map(open).count(), 1);
        let margin = |owner| MockLedger::account(&account(owner)).unwrap().orders;
        assert!(margin(1).is_empty() && margin(4).is_empty());
        assert!(Pallet::<Test>::forget(BTC));
        assert!(!crate::RestedQuotes::<Test>::contains_key(BTC));
        // The other market stands.
        assert!(!Pallet::<Test>::forget(ETH));
    });
}

#[test]
fn a_market_that_has_expired_empties_while_another_is_pushed_over_its_bound() {
    new_test_ext().execute_with(|| {
        MockView::change(BTC, |m| m.min_notional = 0);
        let mut ticks = (100..).take(crate::types::MAX_GROUPS as usize);
        for owner in 100..108 {
            fund(&account(owner), 1_000_000);
            let batch = ticks.by_ref().take(64);
            let batch = batch.map(|t| Operation::Place(limit(t, Side::Bid, 1, t)));
            assert!(submit(owner, batch.collect()).iter().all(Result::is_ok));
        }
        let elsewhere = NewOrder {
            market: ETH,
            ..limit(1, Side::Ask, 1, MARK + 10)
        };
        place(1, elsewhere).unwrap();
        close();
        for (client, ticks) in [(2, 1_000), (3, 1_001), (4, 1_002)] {
            place(1, limit(client, Side::Bid, 1, ticks)).unwrap();
        }
        UpkeepPages::set(1);
        end(ETH);
        System::reset_events();
        close();
        UpkeepPages::set(2);
        let of = |reason| cancellations().iter().filter(|c| c.2 == reason).count();
        assert_eq!(
            (of(CancelReason::BookFull), of(CancelReason::Expired)),
            (1, 1)
        );
        // Both were reserved for, and are given back where there was nothing.
        let weight = |pages| <() as crate::WeightInfo>::housekeep(pages, 2).ref_time();
        let spent = Pallet::<Test>::spent(0).ref_time();
        assert!(spent >= weight(2) && spent < Pallet::<Test>::close_weight(2).ref_time());
    });
}

#[test]
fn triggers_of_a_market_that_has_expired_leave_a_few_a_close() {
    new_test_ext().execute_with(|| {
        for owner in 1..4 {
            for n in 0..5 {
                let order = limit(n, Side::Ask, 1, MARK + 200);
                let expires = (n == 0).then_some(30);
                let terms = NewTrigger {
                    expires,
                    ..trigger(order, Direction::Up, MARK + 100 + n)
                };
                arm(owner, terms).unwrap();
            }
        }
        let elsewhere = NewOrder {
            market: ETH,
            ..limit(9, Side::Ask, 1, MARK + 200)
        };
        arm(1, trigger(elsewhere, Direction::Up, MARK + 100)).unwrap();
        end(BTC);
        System::reset_events();
        let most =
            <<Test as crate::Config>::ExpiringTriggers as frame_support::traits::Get<u32>>::get();
        let mut left = 15;
        while left > 0 {
            let before = cancellations().len();
            close();
            let now = cancellations().len() - before;
            assert_eq!(now, left.min(most as usize));
            left -= now;
        }
        assert!(cancellations()
            .iter()
            .all(|(.., why)| *why == CancelReason::Expired));
        assert_eq!((1..4).flat_map(armed).count(), 1);
        assert_eq!(crate::TriggerExpiries::<Test>::iter().count(), 0);
        assert!(Pallet::<Test>::forget(BTC) && !Pallet::<Test>::forget(ETH));
    });
}

#[test]
fn an_option_is_worth_an_order_by_its_forward_and_a_hundredth_of_that_by_its_premium() {
    new_test_ext().execute_with(|| {
        make_call(BTC);
        // A lot's premium is 100 quantums at its mark, its underlying 6 USD; the least notional is 1 USD.
        let bid = |client, lots, ticks| place(1, limit(client, Side::Bid, lots, ticks)).map(|_| ());
        let too_small = Err(OrderError::BelowMinNotional);
        assert_eq!(bid(1, 1, 2), too_small);
        assert_eq!(bid(1, 99, 2), too_small);
        assert_eq!(bid(1, 100, 2), Ok(()));
        assert_eq!(bid(2, 50, 4), Ok(()));
        MockView::change(BTC, |market| market.min_notional = 601 * QUANTUMS);
        assert_eq!(bid(3, 100, 2_000), too_small);
        MockView::change(BTC, |market| market.min_notional = QUANTUMS);
        // Whoever has it offers no less at its mark, whatever the limit; whoever writes it holds margin.
        let ask = |client, lots, ticks| place(1, limit(client, Side::Ask, lots, ticks)).map(|_| ());
        assert_eq!(ask(4, 1, 2), Ok(()));
        hold_of(1, BTC, 200, 0);
        assert_eq!(ask(5, 99, 1_000), too_small);
        assert_eq!(ask(5, 100, 1_000), Ok(()));
        // All of it may go, reduce-only, however little it is worth.
        hold_of(2, BTC, 5, 0);
        let all = NewOrder {
            reduce_only: true,
            ..limit(6, Side::Ask, 5, 2)
        };
        assert_eq!(place(2, all).map(|_| ()), Ok(()));
    });
}

/// The market is one of calls, whose mark is two ticks, and a lot's premium at that 100 quantums.
fn make_call(id: MarketId) {
    MockView::change(id, |market| {
        market.mark = math::price_of(2, market.tick_size).unwrap();
        market.price_band = 2_000_000;
        market.contract = InstrumentKind::Option {
            expiry: 10,
            strike: MARK,
            right: OptionRight::Call,
        }
        .into();
    });
}

/// The account has so many lots, which cost it so much.
fn hold_of(owner: AccountId, market: MarketId, lots: SignedLots, cost: Cash) {
    let mut of = MockLedger::account(&account(owner)).unwrap();
    of.positions.retain(|position| position.market != market);
    let position = Position {
        market,
        lots,
        cost,
        funding_index: 0,
        rank: Default::default(),
    };
    let at = of.positions.partition_point(|p| p.market < market);
    of.positions.try_insert(at, position).unwrap();
    MockLedger::put(&account(owner), &of);
}

#[test]
fn a_bid_for_an_option_is_refused_when_cash_does_not_pay_for_all_bids() {
    new_test_ext().execute_with(|| {
        make_call(BTC);
        make_call(ETH);
        fund(&account(9), 10);
        // Margin is not what it lacks: a perpetual has earned a million.
        let perpetual = 10;
        let mut view = MockView::view();
        view.markets.try_push(market(perpetual)).unwrap();
        frame_support::storage::unhashed::put(b"mock:view", &view);
        hold_of(9, perpetual, 1, -1_000_000 * QUANTUMS);
        let bid = |client, market, lots| NewOrder {
            market,
            ..limit(client, Side::Bid, lots, 10)
        };
        let put = |order| place(9, order).map(|_| ());
        let short_of = Err(OrderError::PremiumNotCovered);
        // A lot is 500 quantums, and the dearer fee 500 ppm: 10 USD pay for 19,990.
        assert_eq!(put(bid(1, BTC, 19_991)), short_of);
        assert_eq!(put(bid(1, BTC, 10_000)), Ok(()));
        // Those of other markets count too, and what is replaced does not.
        assert_eq!(put(bid(2, ETH, 9_991)), short_of);
        assert_eq!(put(bid(2, ETH, 9_000)), Ok(()));
        let amend = |lots| Operation::Amend {
            target: OrderTarget::Client(2),
            price: None,
            lots: Some(lots),
        };
        assert_eq!(operate(9, amend(9_991)).map(|_| ()), short_of);
        assert_eq!(operate(9, amend(9_990)).map(|_| ()), Ok(()));
        // What it may owe for: buying back a short, or reducing alone.
        let reducing = NewOrder {
            reduce_only: true,
            ..bid(3, ETH, 5_000)
        };
        assert_eq!(put(reducing), Ok(()));
        hold_of(9, ETH, -12_000, 0);
        assert_eq!(put(bid(4, ETH, 2_011)), short_of);
        assert_eq!(put(bid(4, ETH, 2_010)), Ok(()));
    });
}
