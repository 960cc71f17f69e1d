//! Icebergs.

use crate::{mock::*, types::*, Pallet};
use novate_types::{CancelReason::*, OrderBook as _, *};

fn place_iceberg(owner: AccountId, order: NewOrder, display: Lots) -> Sequence {
    match operate(owner, iceberg(order, display)) {
        Ok(Accepted::Placed(sequence)) => sequence,
        other => panic!("{other:?}"),
    }
}

fn held(owner: AccountId) -> OrderAggregate {
    let account = MockLedger::account(&account(owner)).unwrap();
    account.order_aggregate(BTC).copied().unwrap_or_default()
}

/// Lots shown and hidden by the owner's only order.
fn parts(owner: AccountId) -> (Lots, Lots) {
    let orders = Pallet::<Test>::orders(&account(owner));
    let order = orders.open[0];
    (order.lots, orders.hidden(order.sequence).0)
}

/// What it takes from the asks at `ticks`.
fn buy(owner: AccountId, client_id: ClientId, lots: Lots, ticks: Ticks) -> Closed {
    let order = NewOrder {
        time_in_force: TimeInForce::ImmediateOrCancel,
        ..limit(client_id, Side::Bid, lots, ticks)
    };
    place(owner, order).unwrap();
    next_close()
}

fn nothing_is_held(owner: AccountId) {
    let account = MockLedger::account(&account(owner)).unwrap();
    assert!(account.orders.is_empty() && account.open.is_empty());
}

#[test]
fn iceberg_shows_a_part_and_holds_margin_for_all_of_it() {
    new_test_ext().execute_with(|| {
        place_iceberg(1, limit(1, Side::Bid, 100, MARK + 200), 10);
        place(2, limit(1, Side::Bid, 100, MARK + 200)).unwrap();
        assert_eq!(held(1), held(2));
        assert!(held(1).reserve > 0);
        assert_eq!(parts(1), (10, 90));
        operate(2, Operation::CancelAll { market: None }).unwrap();
        close();
        assert_eq!(book().0, vec![(MARK + 200, 10, 1)]);
        assert_eq!(held(1).bid_lots, 100);
    });
}

#[test]
fn next_part_enters_the_next_close_behind_those_that_rest() {
    new_test_ext().execute_with(|| {
        let sequence = place_iceberg(1, limit(1, Side::Ask, 30, MARK + 10), 10);
        close();
        place(2, limit(1, Side::Ask, 10, MARK + 10)).unwrap();
        close();
        // Its first part stood before, and fills first. The next is in no book before the close after.
        assert_eq!(
            fills_of(&buy(3, 1, 10, MARK + 10), 1),
            [(sequence, 10, MARK + 10)]
        );
        assert_eq!(book().1, vec![(MARK + 10, 10, 1)]);
        assert_eq!((parts(1), open(1)[0].place), ((10, 10), Place::Intake));
        close();
        assert_eq!(book().1, vec![(MARK + 10, 20, 2)]);
        // By then the other stands before it.
        let closed = buy(3, 2, 10, MARK + 10);
        assert_eq!(
            (fills_of(&closed, 1).len(), fills_of(&closed, 2).len()),
            (0, 1)
        );
    });
}

#[test]
fn iceberg_fills_whole_part_by_part_and_the_last_may_be_smaller() {
    new_test_ext().execute_with(|| {
        let sequence = place_iceberg(1, limit(1, Side::Ask, 25, MARK - 10), 10);
        close();
        let mut filled = Vec::new();
        for number in 0.. {
            // A part is met by no more than it shows, and asks for all that is bid.
            let lots: Vec<_> = fills_of(&buy(3, number, 100, MARK + 10), 1);
            filled.extend(lots);
            if open(1).is_empty() {
                break;
            }
        }
        let lots: Vec<_> = filled.iter().map(|(of, lots, _)| (*of, *lots)).collect();
        assert_eq!(lots, [(sequence, 10), (sequence, 10), (sequence, 5)]);
        assert_eq!((lots_of(1), lots_of(3)), (-25, 25));
        nothing_is_held(1);
    });
}

#[test]
fn next_part_waits_for_nothing_but_its_own_fill_when_a_part_fills_partly() {
    new_test_ext().execute_with(|| {
        place_iceberg(1, limit(1, Side::Ask, 30, MARK + 10), 10);
        close();
        buy(3, 1, 4, MARK + 10);
        assert_eq!(parts(1), (6, 20));
        assert_eq!(book().1, vec![(MARK + 10, 6, 1)]);
        assert_eq!(held(1).ask_lots, 26);
    });
}

#[test]
fn cancel_takes_the_whole_when_it_rests_and_when_its_next_part_waits() {
    new_test_ext().execute_with(|| {
        place_iceberg(1, limit(1, Side::Ask, 30, MARK + 10), 10);
        close();
        let cancel = |id| Operation::Cancel(OrderTarget::Client(id));
        assert_eq!(operate(1, cancel(1)), Ok(Accepted::Cancelled(1)));
        assert_eq!(held(1), OrderAggregate::default());
        close();
        nothing_is_held(1);

        place_iceberg(1, limit(2, Side::Ask, 30, MARK + 10), 10);
        close();
        buy(3, 1, 10, MARK + 10);
        assert_eq!(open(1)[0].place, Place::Intake);
        assert_eq!(operate(1, cancel(2)), Ok(Accepted::Cancelled(1)));
        close();
        nothing_is_held(1);
        assert!(book().1.is_empty());
    });
}

#[test]
fn amendment_is_of_the_whole() {
    new_test_ext().execute_with(|| {
        let sequence = place_iceberg(1, limit(1, Side::Ask, 30, MARK + 10), 10);
        close();
        let amend = |price, lots| Operation::Amend {
            target: OrderTarget::Client(1),
            price,
            lots,
        };
        assert_eq!(
            operate(1, amend(None, Some(30))),
            Err(OrderError::NothingToChange)
        );
        // Smaller: what is hidden goes first, and the part that shows keeps its time.
        assert_eq!(operate(1, amend(None, Some(15))), Ok(Accepted::Reduced));
        assert_eq!((parts(1), held(1).ask_lots), ((10, 5), 15));
        assert_eq!(operate(1, amend(None, Some(8))), Ok(Accepted::Reduced));
        assert_eq!((parts(1), held(1).ask_lots), ((8, 0), 8));
        assert!(arrangements(1).is_empty());
        assert_eq!(open(1)[0].sequence, sequence);
        close();
        assert_eq!(book().1, vec![(MARK + 10, 8, 1)]);
        operate(1, Operation::CancelAll { market: None }).unwrap();
        close();

        // Another price or a greater size makes it a new one, which shows as much.
        place_iceberg(1, limit(1, Side::Ask, 30, MARK + 10), 10);
        close();
        for (price, lots, whole) in [(Some(MARK + 20), None, 30), (None, Some(40), 40)] {
            let before = open(1)[0].sequence;
            let Ok(Accepted::Placed(after)) = operate(1, amend(price, lots)) else {
                panic!("not amended");
            };
            assert!(after > before);
            assert_eq!((parts(1), held(1).ask_lots), ((10, whole - 10), whole));
            close();
            assert_eq!(book().1, vec![(MARK + 20, 10, 1)]);
        }
        // One that would show all of itself is an iceberg no longer.
        operate(1, amend(Some(MARK + 30), Some(10))).unwrap();
        assert_eq!((parts(1), arrangements(1).len()), ((10, 0), 0));
        close();
        assert_eq!(held(1).ask_lots, 10);
    });
}

#[test]
fn whole_leaves_with_what_shows_when_the_chain_cancels_it() {
    new_test_ext().execute_with(|| {
        place(2, limit(1, Side::Bid, 50, MARK - 10)).unwrap();
        close();
        let order = limit(1, Side::Ask, 30, MARK - 20);
        let post_only = NewOrder {
            time_in_force: TimeInForce::PostOnly,
            ..order
        };
        place_iceberg(1, post_only, 10);
        next_close();
        assert_eq!(cancellations(), [(1, 30, WouldCross)]);
        nothing_is_held(1);

        let until = NewOrder {
            time_in_force: TimeInForce::GoodTilBlock(5),
            ..limit(2, Side::Ask, 30, MARK + 10)
        };
        place_iceberg(1, until, 10);
        while System::block_number() < 5 {
            close();
        }
        next_close();
        assert_eq!(cancellations(), [(1, 30, Expired)]);
        nothing_is_held(1);

        // Only so much as there is to reduce, and a part alone that goes beyond it.
        place(1, limit(3, Side::Bid, 15, MARK + 10)).unwrap();
        place(3, limit(3, Side::Ask, 15, MARK + 10)).unwrap();
        close();
        assert_eq!(lots_of(1), 15);
        let reducing = NewOrder {
            reduce_only: true,
            ..limit(4, Side::Ask, 30, MARK + 10)
        };
        place_iceberg(1, reducing, 10);
        close();
        buy(3, 5, 100, MARK + 10);
        next_close();
        assert_eq!(cancellations(), [(1, 15, NothingToReduce)]);
        assert_eq!(parts(1), (5, 0));

        let mut account_of = MockLedger::account(&account(1)).unwrap();
        place_iceberg(2, limit(5, Side::Ask, 30, MARK + 10), 10);
        close();
        let mut other = MockLedger::account(&account(2)).unwrap();
        System::reset_events();
        for (owner, held) in [(1, &mut account_of), (2, &mut other)] {
            Pallet::<Test>::cancel_all(&account(owner), held, Liquidation);
            MockLedger::put(&account(owner), held);
        }
        assert_eq!(
            cancellations(),
            [
                (1, 5, Liquidation),
                (2, 50, Liquidation),
                (2, 30, Liquidation)
            ]
        );
        close();
        nothing_is_held(1);
        nothing_is_held(2);
    });
}

#[test]
fn next_part_is_cancelled_with_the_whole_when_its_market_halts() {
    new_test_ext().execute_with(|| {
        place_iceberg(1, limit(1, Side::Ask, 30, MARK + 10), 10);
        close();
        buy(3, 1, 10, MARK + 10);
        MockView::change(BTC, |m| m.status = MarketStatus::Halted);
        next_close();
        assert_eq!(cancellations(), [(1, 20, MarketRestricted)]);
        nothing_is_held(1);
    });
}

#[test]
fn iceberg_is_refused_by_name_and_nothing_is_stored() {
    new_test_ext().execute_with(|| {
        let order = limit(1, Side::Bid, 30, MARK - 10);
        let refused = |order, display, error| {
            let before = stored();
            assert_eq!(operate(1, iceberg(order, display)), Err(error));
            assert_eq!(stored(), before);
        };
        for display in [0, 30, 31] {
            refused(order, display, OrderError::BadDisplay);
        }
        for time_in_force in [TimeInForce::ImmediateOrCancel, TimeInForce::FillOrKill] {
            let order = NewOrder {
                time_in_force,
                ..order
            };
            refused(order, 10, OrderError::Contradiction);
        }
        MockView::change(BTC, |m| m.min_notional = 30 * QUANTUMS);
        refused(order, 4, OrderError::BelowMinNotional);
        // Margin for all of it, not for what shows: 18,000 USD at 5 %.
        fund(&account(1), 800);
        let order = limit(1, Side::Bid, 3_000, MARK - 10);
        refused(order, 10, OrderError::InsufficientMargin);

        fund(&account(1), 1_000_000);
        for number in 0..u64::from(MAX_ARRANGEMENTS) {
            place_iceberg(1, limit(number, Side::Bid, 30, MARK - 10), 10);
        }
        let order = limit(99, Side::Bid, 30, MARK - 10);
        assert_eq!(
            operate(1, iceberg(order, 10)),
            Err(OrderError::TooManyArrangements)
        );
        place(1, order).unwrap();
    });
}

#[test]
fn parts_beyond_what_can_wait_are_cancelled_by_hash() {
    new_test_ext().execute_with(|| {
        let many = u64::from(MAX_WAITING) + 8;
        for owner in 100..100 + many {
            fund(&account(owner), 1_000);
            place_iceberg(owner, limit(1, Side::Bid, 2, MARK), 1);
        }
        place(1, limit(1, Side::Ask, many, MARK)).unwrap();
        next_close();
        let left = cancellations();
        assert_eq!(left.len(), 8);
        assert!(left.iter().all(|c| (c.1, c.2) == (1, MarketRestricted)));
        assert_eq!(crate::Waiting::<Test>::get(BTC), MAX_WAITING);
        close();
        let resting: usize = crate::Pages::<Test>::iter()
            .map(|(_, page)| page.len())
            .sum();
        assert_eq!(resting, MAX_WAITING as usize);
    });
}
