//! Orders and triggers that exclude each other.

use crate::{mock::*, types::*, Armed, Pallet, TriggerExpiries, Unowned};
use novate_types::{CancelReason::*, Direction::*, *};

/// A stop of a long: a market order that only reduces.
fn stop(client_id: ClientId, lots: Lots, ticks: Ticks) -> NewTrigger {
    let order = NewOrder {
        price: OrderPrice::Market,
        time_in_force: TimeInForce::ImmediateOrCancel,
        reduce_only: true,
        ..limit(client_id, Side::Ask, lots, 1)
    };
    until(trigger(order, Down, ticks), 900)
}

fn until(trigger: NewTrigger, block: BlockNumber) -> NewTrigger {
    NewTrigger {
        expires: Some(block),
        ..trigger
    }
}

/// 10 lots long, for 1.
fn long() {
    place(1, limit(90, Side::Bid, 10, MARK)).unwrap();
    place(2, limit(90, Side::Ask, 10, MARK)).unwrap();
    assert_eq!(close().fills.len(), 2);
}

/// A take-profit 50 above the mark and a stop 100 below it, of all 10 lots.
fn bracket() -> (Sequence, Sequence) {
    let profit = limit(1, Side::Ask, 10, MARK + 50);
    pair(1, Leg::Order(profit), stop(2, 10, MARK - 100)).unwrap()
}

fn nothing_is_left(owner: AccountId) {
    let held = MockLedger::account(&account(owner)).unwrap();
    assert!(held.orders.is_empty() && held.open.is_empty() && held.triggers.is_empty());
}

#[test]
fn stop_leaves_in_the_close_in_which_any_of_the_take_profit_fills() {
    new_test_ext().execute_with(|| {
        long();
        let (profit, _) = bracket();
        close();
        place(3, limit(1, Side::Bid, 4, MARK + 50)).unwrap();
        let closed = next_close();
        assert_eq!(fills_of(&closed, 1), [(profit, 4, MARK + 50)]);
        assert_eq!(cancellations(), [(1, 10, OtherExecuted)]);
        assert!(armed(1).is_empty() && arrangements(1).is_empty());
        // The rest of the order stands by itself.
        assert_eq!(open(1)[0].lots, 6);
        // The key stays, counted, until the mark or its expiry reaches it, and fires nothing.
        assert_eq!(
            (Armed::<Test>::iter().count(), Unowned::<Test>::get()),
            (1, 1)
        );
        mark(BTC, MARK - 100);
        next_close();
        assert!(fired().is_empty());
        assert_eq!(
            (Armed::<Test>::iter().count(), Unowned::<Test>::get()),
            (0, 0)
        );
        assert_eq!(TriggerExpiries::<Test>::iter().count(), 0);
    });
}

#[test]
fn key_left_behind_goes_with_its_expiry() {
    new_test_ext().execute_with(|| {
        long();
        let profit = limit(1, Side::Ask, 10, MARK + 50);
        pair(1, Leg::Order(profit), until(stop(2, 10, MARK - 100), 6)).unwrap();
        close();
        place(3, limit(1, Side::Bid, 10, MARK + 50)).unwrap();
        close();
        assert_eq!(Unowned::<Test>::get(), 1);
        while System::block_number() <= 6 {
            close();
        }
        assert_eq!(
            (Armed::<Test>::iter().count(), Unowned::<Test>::get()),
            (0, 0)
        );
        nothing_is_left(1);
    });
}

#[test]
fn only_the_stop_trades_when_one_close_would_fill_both() {
    new_test_ext().execute_with(|| {
        long();
        let (profit, stop) = bracket();
        close();
        // Enough for the stop at the mark, and then for the take-profit behind it.
        place(3, limit(1, Side::Bid, 20, MARK + 50)).unwrap();
        mark(BTC, MARK - 100);
        let closed = next_close();
        assert_eq!(fired(), [(1, stop, Ok(()))]);
        assert_eq!(fills_of(&closed, 1), [(stop, 10, MARK - 100)]);
        assert!(cancellations().contains(&(1, 10, OtherExecuted)));
        assert_eq!((lots_of(1), lots_of(3)), (0, 10));
        assert!(open(1).iter().all(|o| o.sequence != profit));
        nothing_is_left(1);
    });
}

#[test]
fn order_leaves_before_it_meets_the_market_when_its_trigger_fires_in_the_block_of_both() {
    new_test_ext().execute_with(|| {
        long();
        bracket();
        place(3, limit(1, Side::Bid, 20, MARK + 50)).unwrap();
        mark(BTC, MARK - 100);
        let closed = next_close();
        assert_eq!(fills_of(&closed, 1).iter().map(|f| f.1).sum::<Lots>(), 10);
        assert_eq!(lots_of(1), 0);
        nothing_is_left(1);
    });
}

#[test]
fn other_trigger_leaves_when_one_of_two_fires() {
    new_test_ext().execute_with(|| {
        long();
        let profit = NewOrder {
            reduce_only: true,
            ..limit(1, Side::Ask, 10, MARK - 500)
        };
        let profit = until(trigger(profit, Up, MARK + 50), 900);
        let (first, _) = pair(1, Leg::Trigger(profit), stop(2, 10, MARK - 100)).unwrap();
        place(3, limit(1, Side::Bid, 40, MARK - 120)).unwrap();
        close();
        mark(BTC, MARK + 50);
        let closed = next_close();
        assert_eq!(fired(), [(1, first, Ok(()))]);
        assert_eq!(cancellations(), [(1, 10, OtherExecuted)]);
        assert_eq!(fills_of(&closed, 1).len(), 1);
        nothing_is_left(1);
        assert_eq!(Unowned::<Test>::get(), 1);
        mark(BTC, MARK - 100);
        next_close();
        assert!(fired().is_empty());
        assert_eq!(Unowned::<Test>::get(), 0);
    });
}

#[test]
fn cancel_of_one_cancels_the_other() {
    new_test_ext().execute_with(|| {
        for client_id in [1, 2] {
            for waits in [true, false] {
                bracket();
                if waits {
                    close();
                }
                let cancel = Operation::Cancel(OrderTarget::Client(client_id));
                assert_eq!(operate(1, cancel), Ok(Accepted::Cancelled(2)));
                // Neither number is used again in this block.
                for id in [1, 2] {
                    assert_eq!(
                        place(1, limit(id, Side::Bid, 1, MARK - 10)),
                        Err(OrderError::ClientIdCancelled)
                    );
                }
                close();
                nothing_is_left(1);
                assert_eq!(
                    (Armed::<Test>::iter().count(), Unowned::<Test>::get()),
                    (0, 0)
                );
                assert!(book().1.is_empty());
            }
        }
    });
}

#[test]
fn pair_holds_when_its_order_is_amended() {
    new_test_ext().execute_with(|| {
        long();
        let (profit, stop) = bracket();
        close();
        let amend = |price, lots| Operation::Amend {
            target: OrderTarget::Client(1),
            price,
            lots,
        };
        operate(1, amend(None, Some(8))).unwrap();
        assert_eq!(arrangements(1), [Arrangement::Pair(profit, stop)]);
        let Ok(Accepted::Placed(moved)) = operate(1, amend(Some(MARK + 60), None)) else {
            panic!("not amended");
        };
        assert_eq!(arrangements(1), [Arrangement::Pair(moved, stop)]);
        close();
        mark(BTC, MARK - 100);
        next_close();
        assert!(open(1).is_empty());
    });
}

#[test]
fn order_stands_by_itself_when_its_triggers_order_is_refused() {
    new_test_ext().execute_with(|| {
        fund(&account(1), 100);
        // 600 USD at 5 %, and 6,000: three times what the account has.
        let order = limit(1, Side::Bid, 100, MARK - 50);
        let large = until(
            trigger(limit(2, Side::Bid, 1_000, MARK + 10), Up, MARK + 10),
            900,
        );
        let (small, large) = pair(1, Leg::Order(order), large).unwrap();
        close();
        let before = MockLedger::account(&account(1)).unwrap().orders;
        mark(BTC, MARK + 10);
        next_close();
        assert_eq!(fired(), [(1, large, Err(OrderError::InsufficientMargin))]);
        assert!(cancellations().is_empty() && arrangements(1).is_empty());
        assert_eq!(open(1)[0].sequence, small);
        assert_eq!(MockLedger::account(&account(1)).unwrap().orders, before);
        assert_eq!(book().0, vec![(MARK - 50, 100, 1)]);
    });
}

#[test]
fn margin_of_the_order_is_free_for_the_triggers_as_it_fires() {
    new_test_ext().execute_with(|| {
        fund(&account(1), 400);
        // 300 USD each: not both.
        let order = limit(1, Side::Bid, 1_000, MARK - 50);
        let other = until(
            trigger(limit(2, Side::Bid, 1_000, MARK - 60), Up, MARK + 10),
            900,
        );
        pair(1, Leg::Order(order), other).unwrap();
        close();
        mark(BTC, MARK + 10);
        next_close();
        assert_eq!(fired()[0].2, Ok(()));
        assert_eq!(book().0, vec![(MARK - 60, 1_000, 1)]);
        let held = MockLedger::account(&account(1)).unwrap();
        assert_eq!(held.order_aggregate(BTC).unwrap().bid_lots, 1_000);
    });
}

#[test]
fn other_one_stands_by_itself_when_the_chain_cancels_one() {
    new_test_ext().execute_with(|| {
        let profit = NewOrder {
            time_in_force: TimeInForce::GoodTilBlock(5),
            ..limit(1, Side::Ask, 10, MARK + 50)
        };
        pair(1, Leg::Order(profit), stop(2, 10, MARK - 100)).unwrap();
        let lasting = limit(3, Side::Ask, 10, MARK + 60);
        pair(1, Leg::Order(lasting), until(stop(4, 10, MARK - 100), 5)).unwrap();
        let two = [5, 6].map(|id| until(stop(id, 10, MARK - 100), if id == 5 { 5 } else { 6 }));
        pair(1, Leg::Trigger(two[0]), two[1]).unwrap();
        while System::block_number() <= 6 {
            close();
        }
        let left: Vec<_> = armed(1).iter().map(|t| t.terms.order.client_id).collect();
        assert_eq!(left, [2]);
        let left: Vec<_> = open(1).iter().map(|o| o.client_id).collect();
        assert_eq!(left, [3]);
        assert!(arrangements(1).is_empty());
    });
}

#[test]
fn both_are_refused_by_name_or_none_is() {
    new_test_ext().execute_with(|| {
        place(1, limit(50, Side::Bid, 1, MARK - 10)).unwrap();
        let order = limit(1, Side::Ask, 10, MARK + 50);
        let good = stop(2, 10, MARK - 100);
        let refused = |first, second, error| {
            let before = stored();
            assert_eq!(pair(1, first, second), Err(error));
            assert_eq!(stored(), before);
        };
        let elsewhere = NewOrder {
            market: ETH,
            ..order
        };
        refused(Leg::Order(elsewhere), good, OrderError::PairApart);
        let endless = NewTrigger {
            expires: None,
            ..good
        };
        refused(Leg::Order(order), endless, OrderError::PairWithoutExpiry);
        refused(Leg::Trigger(endless), good, OrderError::PairWithoutExpiry);
        // The first would do, the second not: nothing of the first remains.
        let met = stop(2, 10, MARK + 100);
        refused(Leg::Order(order), met, OrderError::TriggerMet);
        refused(
            Leg::Trigger(stop(1, 10, MARK - 50)),
            met,
            OrderError::TriggerMet,
        );
        let twin = stop(1, 10, MARK - 100);
        refused(Leg::Order(order), twin, OrderError::DuplicateClientId);
        let huge = limit(1, Side::Ask, 100_000_000, MARK + 50);
        refused(Leg::Order(huge), good, OrderError::InsufficientMargin);
        assert_eq!(
            (Armed::<Test>::iter().count(), Unowned::<Test>::get()),
            (0, 0)
        );
        pair(1, Leg::Order(order), good).unwrap();
        Pallet::<Test>::do_try_state().unwrap();
    });
}
