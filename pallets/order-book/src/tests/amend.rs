//! Orders that change.

use crate::{mock::*, types::*};
use novate_types::*;

fn amend(
    owner: AccountId,
    price: Option<Ticks>,
    lots: Option<Lots>,
) -> Result<Accepted, OrderError> {
    operate(
        owner,
        Operation::Amend {
            target: OrderTarget::Client(1),
            price,
            lots,
        },
    )
}

fn only(owner: AccountId) -> Locator {
    let orders = open(owner);
    assert_eq!(orders.len(), 1);
    orders[0]
}

#[test]
fn smaller_order_keeps_its_time_when_the_price_stays() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Bid, 10, MARK - 10)).unwrap();
        close();
        place(2, limit(1, Side::Bid, 10, MARK - 10)).unwrap();
        close();
        let before = only(1);
        assert_eq!(amend(1, None, Some(4)), Ok(Accepted::Reduced));
        assert_eq!(amend(1, Some(MARK - 10), Some(3)), Ok(Accepted::Reduced));
        let after = only(1);
        assert_eq!(
            (after.sequence, after.block, after.lots),
            (before.sequence, before.block, 3)
        );
        // The fee of 10 lots, 29,997.5 quantums rounded up, less ⌊6/10⌋ of it, less ⌊1/4⌋ of the rest.
        assert_eq!(
            (before.reserve, after.reserve),
            (29_998, 29_998 - 17_998 - 3_000)
        );
        close();
        assert_eq!(book().0, vec![(MARK - 10, 13, 2)]);
        // It still comes before the other.
        place(3, limit(1, Side::Ask, 5, MARK - 10)).unwrap();
        let closed = close();
        let bought = |owner| {
            closed
                .fills
                .iter()
                .find(|f| f.account.owner == owner)
                .map(|f| f.lots)
        };
        assert_eq!((bought(1), bought(2)), (Some(3), Some(2)));
    });
}

#[test]
fn amended_order_is_a_new_one_when_price_or_a_greater_size_asks_for_it() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Bid, 10, MARK - 10)).unwrap();
        close();
        for (price, lots, sequence) in [
            (Some(MARK - 11), None, 1),
            (None, Some(20), 2),
            (Some(MARK - 9), Some(3), 3),
        ] {
            assert_eq!(amend(1, price, lots), Ok(Accepted::Placed(sequence)));
            let order = only(1);
            assert_eq!((order.sequence, order.client_id), (sequence, 1));
            assert_eq!(order.place, Place::Intake);
        }
        assert_eq!(
            MockLedger::account(&account(1)).unwrap().orders[0].bid_lots,
            3
        );
        close();
        assert_eq!(book().0, vec![(MARK - 9, 3, 1)]);
    });
}

#[test]
fn order_of_this_block_shrinks_when_amended_before_the_match() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Bid, 10, MARK)).unwrap();
        assert_eq!(amend(1, None, Some(4)), Ok(Accepted::Reduced));
        place(2, limit(1, Side::Ask, 10, MARK)).unwrap();
        assert!(close().fills.iter().all(|f| f.lots == 4));
        assert_eq!(book(), (vec![], vec![(MARK, 6, 1)]));
    });
}

#[test]
fn failed_amendment_changes_nothing() {
    new_test_ext().execute_with(|| {
        fund(&account(1), 100);
        place(1, limit(1, Side::Bid, 300, MARK - 10)).unwrap();
        close();
        let before = (stored(), MockLedger::account(&account(1)));
        for (price, lots, error) in [
            (None, None, OrderError::NothingToChange),
            (Some(MARK - 10), Some(300), OrderError::NothingToChange),
            (None, Some(0), OrderError::ZeroLots),
            (Some(0), None, OrderError::ZeroPrice),
            (None, Some(400), OrderError::InsufficientMargin),
            (Some(MARK * 2), None, OrderError::InsufficientMargin),
            (None, Some(Lots::MAX), OrderError::OutOfRange),
        ] {
            assert_eq!(amend(1, price, lots), Err(error));
            assert_eq!((stored(), MockLedger::account(&account(1))), before);
        }
        let target = OrderTarget::Sequence(99);
        assert_eq!(
            operate(
                1,
                Operation::Amend {
                    target,
                    price: None,
                    lots: Some(1)
                }
            ),
            Err(OrderError::NoSuchOrder)
        );
        MockView::change(BTC, |m| m.min_notional = 100 * QUANTUMS);
        assert_eq!(amend(1, None, Some(10)), Err(OrderError::BelowMinNotional));
    });
}

#[test]
fn amendment_needs_margin_only_for_the_difference() {
    new_test_ext().execute_with(|| {
        fund(&account(1), 100);
        place(1, limit(1, Side::Bid, 300, MARK - 10)).unwrap();
        close();
        assert_eq!(
            amend(1, Some(MARK - 11), Some(310)),
            Ok(Accepted::Placed(1))
        );
    });
}
