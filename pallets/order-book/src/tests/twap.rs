//! Orders in slices over time.

use crate::{mock::*, types::*, Due, Pallet, Unowned};
use novate_types::{CancelReason::*, OrderBook as _, *};

/// A bid in four slices, five blocks apart.
fn bid(client_id: ClientId, lots: Lots) -> NewTwap {
    let order = NewOrder {
        time_in_force: TimeInForce::ImmediateOrCancel,
        ..limit(client_id, Side::Bid, lots, MARK + 20)
    };
    NewTwap {
        order,
        slices: 4,
        interval: 5,
    }
}

fn offer(client_id: ClientId, lots: Lots) {
    place(2, limit(client_id, Side::Ask, lots, MARK + 10)).unwrap();
}

/// Closes up to and with block `last`; the lots that 1 bought, by block.
fn bought_until(last: u64) -> Vec<(u64, Lots)> {
    let mut bought = Vec::new();
    while System::block_number() <= last {
        let block = System::block_number();
        let lots = fills_of(&close(), 1).iter().map(|f| f.1).sum::<Lots>();
        if lots > 0 {
            bought.push((block, lots));
        }
    }
    bought
}

fn left(owner: AccountId) -> Lots {
    match arrangements(owner).as_slice() {
        [Arrangement::Twap(twap)] => twap.left,
        other => panic!("{other:?}"),
    }
}

fn nothing_is_left(owner: AccountId) {
    let held = MockLedger::account(&account(owner)).unwrap();
    assert!(held.orders.is_empty() && held.open.is_empty());
    assert_eq!(
        (Due::<Test>::iter().count(), Unowned::<Test>::get()),
        (0, 0)
    );
}

#[test]
fn slices_come_at_their_blocks_under_one_number_until_all_is_done() {
    new_test_ext().execute_with(|| {
        offer(1, 100);
        close();
        let sequence = schedule(1, bid(1, 41)).unwrap();
        // It holds nothing between its slices.
        assert!(MockLedger::account(&account(1)).unwrap().orders.is_empty());
        let closed = close();
        assert_eq!(fills_of(&closed, 1), [(sequence, 10, MARK + 10)]);
        assert_eq!(left(1), 31);
        assert!(MockLedger::account(&account(1)).unwrap().orders.is_empty());
        assert_eq!(bought_until(25), [(7, 10), (12, 10), (17, 11)]);
        assert_eq!(lots_of(1), 41);
        nothing_is_left(1);
    });
}

#[test]
fn later_slices_make_up_for_what_earlier_ones_did_not_get_up_to_three_times() {
    new_test_ext().execute_with(|| {
        let twap = NewTwap {
            slices: 8,
            ..bid(1, 80)
        };
        schedule(1, twap).unwrap();
        assert!(bought_until(21).is_empty());
        offer(1, 1_000);
        // Six slices are due by block 26: three at once, then again three, then what is left.
        assert_eq!(bought_until(45), [(26, 30), (31, 30), (36, 20)]);
        nothing_is_left(1);
    });
}

#[test]
fn rest_is_cancelled_at_the_end() {
    new_test_ext().execute_with(|| {
        schedule(1, bid(1, 40)).unwrap();
        offer(1, 15);
        bought_until(20);
        assert_eq!(left(1), 25);
        // What a slice does not get is said of the slice, and at the end of the whole.
        next_close();
        assert_eq!(cancellations(), [(1, 25, Expired)]);
        nothing_is_left(1);
        assert_eq!(lots_of(1), 15);
    });
}

#[test]
fn slices_keep_their_turn_when_a_close_has_no_room() {
    new_test_ext().execute_with(|| {
        offer(1, 100);
        close();
        TriggerRoom::set(0);
        schedule(1, bid(1, 40)).unwrap();
        assert!(bought_until(8).is_empty());
        assert_eq!(left(1), 40);
        TriggerRoom::set(Pallet::<Test>::most_of_slice().ref_time());
        // By block 9 two were due; the next is where it would have been.
        assert_eq!(bought_until(30), [(9, 20), (12, 10), (17, 10)]);
        nothing_is_left(1);
    });
}

#[test]
fn one_that_came_later_waits_behind_one_that_is_carried_over() {
    new_test_ext().execute_with(|| {
        offer(1, 100);
        close();
        TriggerRoom::set(0);
        schedule(1, bid(1, 40)).unwrap();
        close();
        schedule(3, bid(1, 40)).unwrap();
        close();
        TriggerRoom::set(Pallet::<Test>::most_of_slice().ref_time());
        let first = next_close();
        assert_eq!(
            (fills_of(&first, 1).len(), fills_of(&first, 3).len()),
            (1, 0)
        );
        let second = next_close();
        assert_eq!(
            (fills_of(&second, 1).len(), fills_of(&second, 3).len()),
            (0, 1)
        );
        TriggerRoom::set(u64::MAX);
    });
}

#[test]
fn slice_that_is_refused_is_reported_and_the_next_makes_up_for_it() {
    new_test_ext().execute_with(|| {
        let mut twap = bid(1, 40);
        twap.order.reduce_only = true;
        let sequence = schedule(1, twap).unwrap();
        offer(1, 100);
        next_close();
        assert_eq!(fired(), [(1, sequence, Err(OrderError::NothingToReduce))]);
        place(1, limit(2, Side::Ask, 12, MARK)).unwrap();
        place(3, limit(2, Side::Bid, 12, MARK)).unwrap();
        close();
        assert_eq!(bought_until(5), []);
        assert_eq!(lots_of(1), -12);
        // Cut to the position.
        assert_eq!(bought_until(6), [(6, 12)]);
        assert_eq!((lots_of(1), left(1)), (0, 28));
        // A halt is no end either.
        let other = schedule(4, bid(1, 40)).unwrap();
        MockView::change(BTC, |m| m.status = MarketStatus::Halted);
        next_close();
        assert_eq!(fired(), [(4, other, Err(OrderError::MarketHalted))]);
        MockView::change(BTC, |m| m.status = MarketStatus::Open);
        bought_until(12);
        assert_eq!(lots_of(4), 20);
    });
}

#[test]
fn margin_is_held_for_a_slice_at_a_time() {
    new_test_ext().execute_with(|| {
        fund(&account(1), 400);
        // 6,000 USD a slice at 5 %: the second finds the first one's position in its way.
        offer(1, 10_000);
        let sequence = schedule(1, bid(1, 4_000)).unwrap();
        next_close();
        assert_eq!(fired(), [(1, sequence, Ok(()))]);
        assert_eq!(lots_of(1), 1_000);
        bought_until(5);
        next_close();
        assert_eq!(
            fired(),
            [(1, sequence, Err(OrderError::InsufficientMargin))]
        );
        assert_eq!(left(1), 3_000);
    });
}

#[test]
fn cancel_ends_it_and_nothing_amends_it() {
    new_test_ext().execute_with(|| {
        let cancels = [
            Operation::Cancel(OrderTarget::Client(1)),
            Operation::CancelAll { market: Some(BTC) },
        ];
        for cancel in cancels {
            schedule(1, bid(1, 40)).unwrap();
            assert_eq!(
                place(1, limit(1, Side::Bid, 1, MARK)),
                Err(OrderError::DuplicateClientId)
            );
            let amend = Operation::Amend {
                target: OrderTarget::Client(1),
                price: None,
                lots: Some(10),
            };
            assert_eq!(operate(1, amend), Err(OrderError::TriggerNotAmended));
            close();
            assert_eq!(operate(1, cancel), Ok(Accepted::Cancelled(1)));
            assert_eq!(schedule(1, bid(1, 40)), Err(OrderError::ClientIdCancelled));
            close();
            nothing_is_left(1);
        }
    });
}

#[test]
fn liquidation_ends_it_and_its_key_goes_when_it_is_due() {
    new_test_ext().execute_with(|| {
        schedule(1, bid(1, 40)).unwrap();
        close();
        let mut held = MockLedger::account(&account(1)).unwrap();
        System::reset_events();
        assert_eq!(
            Pallet::<Test>::cancel_all(&account(1), &mut held, Liquidation),
            1
        );
        MockLedger::put(&account(1), &held);
        assert_eq!(cancellations(), [(1, 40, Liquidation)]);
        assert_eq!(
            (Due::<Test>::iter().count(), Unowned::<Test>::get()),
            (1, 1)
        );
        bought_until(6);
        nothing_is_left(1);
    });
}

#[test]
fn slice_waits_with_its_market_and_no_other_joins_it() {
    new_test_ext().execute_with(|| {
        schedule(1, bid(1, 40)).unwrap();
        offer(1, 100);
        // No market has a turn.
        BlockReads::set(0);
        while System::block_number() <= 7 {
            close();
        }
        assert_eq!((open(1)[0].lots, left(1)), (10, 40));
        BlockReads::set(20_480);
        assert_eq!(bought_until(8), [(8, 10)]);
        assert_eq!(bought_until(11), [(11, 20)]);
        assert_eq!(left(1), 10);
    });
}

#[test]
fn twap_is_refused_by_name_and_nothing_is_stored() {
    new_test_ext().execute_with(|| {
        let refused = |twap, error| {
            let before = stored();
            assert_eq!(schedule(1, twap), Err(error));
            assert_eq!(stored(), before);
        };
        let good = bid(1, 40);
        let with = |order| NewTwap { order, ..good };
        for bad in [
            NewTwap { slices: 0, ..good },
            NewTwap { slices: 1, ..good },
            NewTwap {
                interval: 0,
                ..good
            },
            bid(1, 3),
        ] {
            refused(bad, OrderError::BadSchedule);
        }
        let long = NewTwap {
            interval: 251,
            ..good
        };
        refused(long, OrderError::ExpiryTooFar);
        for time_in_force in [
            TimeInForce::GoodTilCancelled,
            TimeInForce::PostOnly,
            TimeInForce::FillOrKill,
        ] {
            let order = NewOrder {
                time_in_force,
                ..good.order
            };
            refused(with(order), OrderError::Contradiction);
        }
        MockView::change(BTC, |m| m.min_notional = 61 * QUANTUMS);
        refused(good, OrderError::BelowMinNotional);
        MockView::change(BTC, |m| m.status = MarketStatus::Halted);
        refused(good, OrderError::MarketHalted);
    });
}
