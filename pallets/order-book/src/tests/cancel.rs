//! Orders that leave at once.

use crate::{mock::*, Pages, Pallet};
use frame_support::assert_ok;
use novate_types::{OrderBook as _, *};

#[test]
fn cancelled_order_is_not_matched_when_it_came_in_with_the_same_block() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Bid, 10, MARK)).unwrap();
        place(2, limit(1, Side::Ask, 10, MARK)).unwrap();
        operate(1, Operation::Cancel(OrderTarget::Client(1))).unwrap();
        assert!(MockLedger::account(&account(1)).unwrap().orders.is_empty());
        assert!(close().fills.is_empty());
        assert_eq!(book(), (vec![], vec![(MARK, 10, 1)]));
    });
}

#[test]
fn resting_order_is_met_by_nobody_when_cancelled_in_the_same_block() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Bid, 10, MARK - 100)).unwrap();
        close();
        let sequence = open(1)[0].sequence;
        assert_ok!(operate(
            1,
            Operation::Cancel(OrderTarget::Sequence(sequence))
        ));
        // Its page hears of it at the close.
        assert_eq!(Pages::<Test>::iter().count(), 1);
        Pallet::<Test>::do_try_state().unwrap();
        place(2, limit(1, Side::Ask, 10, MARK - 100)).unwrap();
        assert!(close().fills.is_empty());
        assert_eq!(book(), (vec![], vec![(MARK - 100, 10, 1)]));
        assert!(MockLedger::account(&account(1)).unwrap().orders.is_empty());
    });
}

#[test]
fn others_stay_where_they_are_when_one_of_a_page_leaves() {
    new_test_ext().execute_with(|| {
        for owner in 1..5 {
            place(owner, limit(1, Side::Bid, owner, MARK - 100)).unwrap();
        }
        close();
        operate(2, Operation::Cancel(OrderTarget::Client(1))).unwrap();
        close();
        assert_eq!(book(), (vec![(MARK - 100, 8, 3)], vec![]));
        place(2, limit(2, Side::Bid, 7, MARK - 100)).unwrap();
        close();
        assert_eq!(Pages::<Test>::iter().count(), 1);
        assert_eq!(book(), (vec![(MARK - 100, 15, 4)], vec![]));
    });
}

#[test]
fn every_order_of_an_account_leaves_when_it_is_liquidated() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Bid, 10, MARK - 100)).unwrap();
        place(
            1,
            NewOrder {
                market: ETH,
                ..limit(2, Side::Ask, 10, MARK + 100)
            },
        )
        .unwrap();
        close();
        place(1, limit(3, Side::Bid, 10, MARK)).unwrap();
        place(2, limit(1, Side::Ask, 10, MARK)).unwrap();
        System::reset_events();
        let mut held = MockLedger::account(&account(1)).unwrap();
        let reason = CancelReason::Liquidation;
        assert_eq!(
            Pallet::<Test>::cancel_all(&account(1), &mut held, reason),
            3
        );
        assert!(held.orders.is_empty());
        MockLedger::put(&account(1), &held);
        assert_eq!(cancellations(), vec![(1, 10, reason); 3]);
        Pallet::<Test>::do_try_state().unwrap();
        let closed = close();
        assert!(closed.fills.is_empty() && closed.releases.is_empty());
        assert_eq!(book(), (vec![], vec![(MARK, 10, 1)]));
    });
}

#[test]
fn order_of_cancels_leaves_no_trace_when_they_share_a_page() {
    let after = |order: [AccountId; 3]| {
        new_test_ext().execute_with(|| {
            for owner in 1..8 {
                place(owner, limit(1, Side::Bid, owner, MARK - 100)).unwrap();
            }
            close();
            for owner in order {
                operate(owner, Operation::Cancel(OrderTarget::Client(1))).unwrap();
            }
            close();
            stored()
        })
    };
    assert_eq!(after([1, 4, 6]), after([6, 1, 4]));
    assert_eq!(after([1, 4, 6]), after([4, 6, 1]));
}
