//! Orders whose limit follows a price.

use crate::{mock::*, types::*, Due, Pallet, Unowned};
use novate_types::{CancelReason::*, OrderBook as _, *};

fn follow(
    owner: AccountId,
    order: NewOrder,
    anchor: Anchor,
    offset: i32,
) -> Result<Sequence, OrderError> {
    let order = NewOrder {
        time_in_force: TimeInForce::PostOnly,
        ..order
    };
    let pegged = NewPegged {
        order,
        anchor,
        offset,
    };
    match operate(owner, Operation::PlacePegged(pegged))? {
        Accepted::Placed(sequence) => Ok(sequence),
        other => panic!("{other:?}"),
    }
}

fn bid(owner: AccountId, anchor: Anchor, offset: i32) -> Sequence {
    follow(owner, limit(1, Side::Bid, 10, MARK + 50), anchor, offset).unwrap()
}

fn held(owner: AccountId) -> OrderAggregates {
    MockLedger::account(&account(owner)).unwrap().orders
}

/// Limit of the owner's only order.
fn ticks_of(owner: AccountId) -> Ticks {
    open(owner)[0].ticks
}

#[test]
fn limit_follows_the_mark_under_one_number_and_margin_stays_that_of_the_worst() {
    new_test_ext().execute_with(|| {
        let sequence = bid(1, Anchor::Mark, -10);
        place(2, limit(1, Side::Bid, 10, MARK + 50)).unwrap();
        assert_eq!(held(1), held(2));
        operate(2, Operation::CancelAll { market: None }).unwrap();
        let before = held(1);
        close();
        assert_eq!(book().0, vec![(MARK - 10, 10, 1)]);
        for (at, limit) in [
            (3, -7),
            (-200, -210),
            (55, 45),
            (61, 50),
            (500, 50),
            (0, -10),
        ] {
            mark(BTC, MARK.checked_add_signed(at).unwrap());
            close();
            let limit = MARK.checked_add_signed(limit).unwrap();
            assert_eq!(book().0, vec![(limit, 10, 1)]);
            assert_eq!((open(1)[0].sequence, held(1)), (sequence, before.clone()));
        }
    });
}

#[test]
fn order_keeps_its_time_until_a_tick_moves_it() {
    new_test_ext().execute_with(|| {
        bid(1, Anchor::Mark, -10);
        close();
        let joined = open(1)[0].block;
        let tick = market(BTC).tick_size.into_inner();
        let at = |parts: u128| {
            let mark = Price::from_inner(u128::from(MARK) * tick + parts * tick / 4);
            MockView::change(BTC, |m| m.mark = mark);
        };
        at(3);
        close();
        assert_eq!((ticks_of(1), open(1)[0].block), (MARK - 10, joined));
        at(4);
        close();
        assert_eq!((ticks_of(1), open(1)[0].block), (MARK - 9, joined + 2));
    });
}

#[test]
fn order_that_was_moved_stands_behind_those_that_were_there() {
    new_test_ext().execute_with(|| {
        bid(1, Anchor::Mark, -10);
        close();
        place(2, limit(1, Side::Bid, 10, MARK - 7)).unwrap();
        close();
        mark(BTC, MARK + 3);
        close();
        assert_eq!(book().0, vec![(MARK - 7, 20, 2)]);
        let order = NewOrder {
            time_in_force: TimeInForce::ImmediateOrCancel,
            ..limit(1, Side::Ask, 10, MARK - 7)
        };
        place(3, order).unwrap();
        let closed = next_close();
        assert_eq!(
            (fills_of(&closed, 1).len(), fills_of(&closed, 2).len()),
            (0, 1)
        );
    });
}

#[test]
fn limit_follows_the_best_price_that_stood_and_not_its_own() {
    new_test_ext().execute_with(|| {
        place(2, limit(1, Side::Bid, 10, MARK - 20)).unwrap();
        close();
        // It has not stood after two closes.
        assert_eq!(
            follow(1, limit(1, Side::Bid, 10, MARK), Anchor::Best, -1),
            Err(OrderError::NothingToFollow)
        );
        close();
        bid(1, Anchor::Best, -1);
        close();
        assert_eq!(ticks_of(1), MARK - 21);
        let other = place(2, limit(2, Side::Bid, 10, MARK - 5)).unwrap();
        close();
        assert_eq!(ticks_of(1), MARK - 21);
        close();
        close();
        assert_eq!(ticks_of(1), MARK - 6);
        // Alone at the best it follows nothing.
        for target in [OrderTarget::Sequence(other), OrderTarget::Client(1)] {
            operate(2, Operation::Cancel(target)).unwrap();
        }
        (0..5).for_each(|_| drop(close()));
        assert_eq!(ticks_of(1), MARK - 6);
    });
}

#[test]
fn limit_stops_short_of_what_it_would_take() {
    new_test_ext().execute_with(|| {
        place(2, limit(1, Side::Ask, 10, MARK + 4)).unwrap();
        place(2, limit(2, Side::Bid, 10, MARK - 4)).unwrap();
        close();
        close();
        bid(1, Anchor::Mark, 10);
        let ask = limit(1, Side::Ask, 10, MARK - 50);
        follow(3, ask, Anchor::Mark, -10).unwrap();
        close();
        // Of two that would meet each other both are new, and meet as post-only orders do.
        assert_eq!((lots_of(1), lots_of(3)), (10, -10));
        bid(4, Anchor::Mark, 10);
        close();
        assert_eq!((ticks_of(4), lots_of(4)), (MARK + 3, 0));
    });
}

#[test]
fn order_stays_where_it_is_in_a_market_that_takes_no_new_risk() {
    new_test_ext().execute_with(|| {
        bid(1, Anchor::Mark, -10);
        close();
        mark(BTC, MARK + 20);
        for status in [MarketStatus::Halted, MarketStatus::ReduceOnly] {
            MockView::change(BTC, |m| m.status = status);
            close();
            assert_eq!(book().0, vec![(MARK - 10, 10, 1)]);
        }
        MockView::change(BTC, |m| m.status = MarketStatus::Open);
        close();
        assert_eq!(book().0, vec![(MARK + 10, 10, 1)]);
    });
}

#[test]
fn orders_are_moved_in_turn_when_a_close_has_room_for_few() {
    new_test_ext().execute_with(|| {
        for owner in 1..=3 {
            bid(owner, Anchor::Mark, -10);
        }
        close();
        TriggerRoom::set(Pallet::<Test>::most_of_look().ref_time());
        let mut moved = Vec::new();
        for step in 1..=6 {
            mark(BTC, MARK + 5 * step);
            let before: Vec<_> = (1..=3).map(ticks_of).collect();
            close();
            let after: Vec<_> = (1..=3).map(ticks_of).collect();
            let those: Vec<_> = (0..3).filter(|n| before[*n] != after[*n]).collect();
            assert_eq!(those.len(), 1);
            moved.extend(those);
        }
        // Each has its second turn when all had their first, in the same order.
        let mut first = moved[..3].to_vec();
        assert_eq!(moved[3..], moved[..3]);
        first.sort();
        assert_eq!(first, [0, 1, 2]);
        TriggerRoom::set(u64::MAX);
    });
}

#[test]
fn key_goes_with_the_order() {
    new_test_ext().execute_with(|| {
        let keys = || (Due::<Test>::iter().count(), Unowned::<Test>::get());
        bid(1, Anchor::Mark, -10);
        close();
        assert_eq!(keys(), (1, 0));
        let cancel = Operation::Cancel(OrderTarget::Client(1));
        assert_eq!(operate(1, cancel), Ok(Accepted::Cancelled(1)));
        assert_eq!(keys(), (0, 0));
        close();

        bid(1, Anchor::Mark, -10);
        close();
        place(2, limit(1, Side::Ask, 10, MARK - 10)).unwrap();
        assert_eq!(fills_of(&next_close(), 1).len(), 1);
        // In a close it stays until it is due.
        assert_eq!(keys(), (1, 1));
        assert!(arrangements(1).is_empty());
        close();
        assert_eq!(keys(), (0, 0));

        bid(1, Anchor::Mark, -10);
        close();
        let mut account_of = MockLedger::account(&account(1)).unwrap();
        Pallet::<Test>::cancel_all(&account(1), &mut account_of, Liquidation);
        MockLedger::put(&account(1), &account_of);
        assert_eq!(keys(), (1, 1));
        close();
        assert_eq!(keys(), (0, 0));
    });
}

#[test]
fn pegged_order_is_refused_by_name_and_never_amended() {
    new_test_ext().execute_with(|| {
        let order = NewOrder {
            time_in_force: TimeInForce::PostOnly,
            ..limit(1, Side::Bid, 10, MARK)
        };
        let refused = |order, anchor, offset, error| {
            let before = stored();
            let pegged = NewPegged {
                order,
                anchor,
                offset,
            };
            assert_eq!(operate(1, Operation::PlacePegged(pegged)), Err(error));
            assert_eq!(stored(), before);
        };
        let market_order = NewOrder {
            price: OrderPrice::Market,
            ..order
        };
        refused(market_order, Anchor::Mark, 0, OrderError::BadPeg);
        let resting = NewOrder {
            time_in_force: TimeInForce::GoodTilCancelled,
            ..order
        };
        refused(resting, Anchor::Mark, 0, OrderError::BadPeg);
        refused(order, Anchor::Best, 0, OrderError::NothingToFollow);
        let far = -i32::try_from(MARK).unwrap();
        refused(order, Anchor::Mark, far, OrderError::NothingToFollow);
        // Margin is that of its worst limit.
        fund(&account(1), 320);
        let dear = NewOrder {
            lots: 1_000,
            price: OrderPrice::Limit(MARK + 2_000),
            ..order
        };
        refused(dear, Anchor::Mark, -10, OrderError::InsufficientMargin);
        let cheap = NewOrder {
            price: OrderPrice::Limit(MARK),
            ..dear
        };
        follow(1, cheap, Anchor::Mark, -10).unwrap();
        let amend = Operation::Amend {
            target: OrderTarget::Client(1),
            price: None,
            lots: Some(500),
        };
        assert_eq!(operate(1, amend), Err(OrderError::TriggerNotAmended));
    });
}
