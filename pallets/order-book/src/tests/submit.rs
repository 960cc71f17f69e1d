//! Taking in new orders.

use crate::{mock::*, types::*, Error, Intake, Pallet};
use frame_support::{assert_noop, assert_ok, weights::Weight, BoundedVec};
use novate_types::*;
use sp_runtime::DispatchError;

/// The order is refused with `error` and nothing is stored.
fn refused(owner: AccountId, order: NewOrder, error: OrderError) {
    let before = (stored(), MockLedger::account(&account(owner)));
    assert_eq!(place(owner, order), Err(error));
    assert_eq!((stored(), MockLedger::account(&account(owner))), before);
}

fn at_market(client_id: ClientId, side: Side, lots: Lots) -> NewOrder {
    NewOrder {
        price: OrderPrice::Market,
        time_in_force: TimeInForce::ImmediateOrCancel,
        ..limit(client_id, side, lots, 1)
    }
}

#[test]
fn a_limit_order_rests_when_nothing_meets_it() {
    new_test_ext().execute_with(|| {
        assert_eq!(place(1, limit(1, Side::Bid, 10, MARK - 100)), Ok(0));
        let held = MockLedger::account(&account(1)).unwrap();
        assert_eq!(held.orders[0].bid_lots, 10);
        assert_eq!(close(), Closed::default());
        assert_eq!(book(), (vec![(MARK - 100, 10, 1)], vec![]));
        assert!(Intake::<Test>::get(BTC).is_empty());
    });
}

#[test]
fn orders_meet_at_the_mark_when_they_arrive_together() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Bid, 1, MARK + 5)).unwrap();
        place(2, limit(1, Side::Ask, 1, MARK - 5)).unwrap();
        let closed = close();
        assert!(closed.fills.iter().all(|f| f.ticks == MARK && f.lots == 1));
        assert_eq!(closed.fills.len(), 2);
        let emptied = |owner| {
            let held = MockLedger::account(&account(owner)).unwrap();
            assert!(held.orders.is_empty() && held.open.is_empty());
            held.lots(BTC)
        };
        assert_eq!((emptied(1), emptied(2)), (1, -1));
    });
}

#[test]
fn extrinsic_is_refused_when_it_cannot_act_at_all() {
    new_test_ext().execute_with(|| {
        let operations: BoundedVec<_, _> = vec![Operation::Place(limit(1, Side::Bid, 1, MARK))]
            .try_into()
            .unwrap();
        let submit = Pallet::<Test>::submit;
        assert_noop!(
            submit(RuntimeOrigin::signed(77), 0, operations.clone()),
            Error::<Test>::NoAccount
        );
        assert_noop!(
            submit(RuntimeOrigin::signed(1), 9, operations.clone()),
            Error::<Test>::NoAccount
        );
        assert_noop!(
            submit(RuntimeOrigin::root(), 0, operations),
            DispatchError::BadOrigin
        );
        assert_noop!(
            submit(RuntimeOrigin::signed(1), 0, BoundedVec::new()),
            Error::<Test>::NoOperations
        );
    });
}

#[test]
fn order_is_refused_by_name_when_its_terms_are_impossible() {
    new_test_ext().execute_with(|| {
        let good = limit(1, Side::Bid, 10, MARK);
        refused(1, NewOrder { market: 8, ..good }, OrderError::UnknownMarket);
        refused(1, NewOrder { lots: 0, ..good }, OrderError::ZeroLots);
        refused(1, limit(1, Side::Bid, 10, 0), OrderError::ZeroPrice);
        refused(1, limit(1, Side::Bid, Lots::MAX, 1), OrderError::OutOfRange);
        refused(
            1,
            limit(1, Side::Ask, Lots::MAX, Ticks::MAX),
            OrderError::OutOfRange,
        );
        refused(
            1,
            limit(1, Side::Bid, i64::MAX as Lots, Ticks::MAX),
            OrderError::OutOfRange,
        );
        refused(
            1,
            limit(1, Side::Bid, i64::MAX as Lots, MARK),
            OrderError::InsufficientMargin,
        );
        refused(
            1,
            limit(1, Side::Bid, 1, Ticks::MAX),
            OrderError::InsufficientMargin,
        );
        refused(1, limit(1, Side::Bid, 10, 1), OrderError::BelowMinNotional);
        let with = |time_in_force| NewOrder {
            time_in_force,
            ..good
        };
        refused(
            1,
            with(TimeInForce::GoodTilBlock(1)),
            OrderError::ExpiryPast,
        );
        refused(
            1,
            with(TimeInForce::GoodTilBlock(0)),
            OrderError::ExpiryPast,
        );
        refused(
            1,
            with(TimeInForce::GoodTilBlock(1_002)),
            OrderError::ExpiryTooFar,
        );
        refused(
            1,
            with(TimeInForce::GoodTilBlock(u32::MAX)),
            OrderError::ExpiryTooFar,
        );
        for time_in_force in [TimeInForce::PostOnly, TimeInForce::GoodTilBlock(9)] {
            let order = NewOrder {
                time_in_force,
                ..at_market(1, Side::Bid, 10)
            };
            refused(1, order, OrderError::Contradiction);
        }
    });
}

#[test]
fn operations_fail_one_by_one_when_some_are_wrong() {
    new_test_ext().execute_with(|| {
        let outcomes = submit(
            1,
            vec![
                Operation::Place(limit(1, Side::Bid, 10, MARK - 9)),
                Operation::Place(limit(1, Side::Bid, 10, MARK - 8)),
                Operation::Cancel(OrderTarget::Client(5)),
                Operation::Place(limit(2, Side::Ask, 10, MARK + 9)),
                Operation::Cancel(OrderTarget::Sequence(0)),
                Operation::Place(limit(1, Side::Bid, 10, MARK - 7)),
                Operation::CancelAll { market: Some(ETH) },
            ],
        );
        assert_eq!(
            outcomes,
            vec![
                Ok(Accepted::Placed(0)),
                Err(OrderError::DuplicateClientId),
                Err(OrderError::NoSuchOrder),
                Ok(Accepted::Placed(1)),
                Ok(Accepted::Cancelled(1)),
                Err(OrderError::ClientIdCancelled),
                Ok(Accepted::Cancelled(0)),
            ]
        );
        close();
        assert_eq!(book(), (vec![], vec![(MARK + 9, 10, 1)]));
    });
}

#[test]
fn client_id_is_free_again_when_the_block_of_its_cancel_is_over() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Bid, 10, MARK - 9)).unwrap();
        operate(1, Operation::Cancel(OrderTarget::Client(1))).unwrap();
        refused(
            1,
            limit(1, Side::Bid, 10, MARK - 9),
            OrderError::ClientIdCancelled,
        );
        close();
        assert_ok!(place(1, limit(1, Side::Bid, 10, MARK - 9)));
    });
}

#[test]
fn market_order_carries_a_limit_when_taken_in() {
    new_test_ext().execute_with(|| {
        place(1, at_market(1, Side::Bid, 10)).unwrap();
        place(1, at_market(2, Side::Ask, 10)).unwrap();
        let limits = |n: usize| open(1)[n].ticks;
        assert_eq!(
            (limits(0), limits(1)),
            (MARK * 1_005 / 1_000, MARK * 995 / 1_000)
        );
        MockView::change(BTC, |m| m.price_band = 1_000);
        let good_til_cancelled = NewOrder {
            time_in_force: TimeInForce::GoodTilCancelled,
            ..at_market(3, Side::Bid, 10)
        };
        place(1, good_til_cancelled).unwrap();
        assert_eq!(limits(2), MARK * 1_001 / 1_000);
        let last = open(1)[2];
        assert_eq!(last.time_in_force, TimeInForce::ImmediateOrCancel);
    });
}

#[test]
fn fill_or_kill_order_pays_for_further_runs_when_it_is_taken_in() {
    new_test_ext().execute_with(|| {
        let weight = |time_in_force| {
            let order = NewOrder {
                time_in_force,
                ..at_market(1, Side::Bid, 10)
            };
            Pallet::<Test>::weight_of(&[Operation::Place(order)])
        };
        let more = <() as crate::WeightInfo>::read() * u64::from(FILL_OR_KILL_READS);
        let kept = weight(TimeInForce::ImmediateOrCancel);
        assert_eq!(weight(TimeInForce::FillOrKill) - kept, more);
        let order = NewOrder {
            time_in_force: TimeInForce::FillOrKill,
            ..at_market(1, Side::Bid, 10)
        };
        place(1, order).unwrap();
        assert_eq!(open(1)[0].time_in_force, TimeInForce::FillOrKill);
    });
}

#[test]
fn orders_pay_for_the_options_that_are_scanned_for_them() {
    new_test_ext().execute_with(|| {
        type Weights = ();
        let scanned = <Weights as crate::WeightInfo>::scanned;
        let most = <Weights as crate::WeightInfo>::most_scanned;
        assert_eq!(scanned(0, MAX_POSITIONS), Weight::zero());
        assert!(scanned(2, 1).ref_time() > scanned(1, 1).ref_time());
        assert!(scanned(1, 2).ref_time() > scanned(1, 1).ref_time());
        assert!(most(2).ref_time() > most(1).ref_time());
        assert_eq!(most(MAX_OPERATIONS), most(1) * 4);

        // The same order of the same account, which holds a perpetual, and then an option.
        let taken = |client| {
            let operations = vec![Operation::Place(limit(client, Side::Bid, 10, MARK))];
            let prepaid = Pallet::<Test>::weight_of(&operations);
            let origin = RuntimeOrigin::signed(1);
            let done = Pallet::<Test>::submit(origin, 0, operations.try_into().unwrap()).unwrap();
            let actual = done.actual_weight.unwrap();
            assert!(actual.all_lte(prepaid), "{actual:?} {prepaid:?}");
            operate(1, Operation::CancelAll { market: None }).unwrap();
            actual
        };
        let mut holder = MockLedger::account(&account(1)).unwrap();
        novate_risk::apply_trade(&mut holder, &market(ETH), 1, 0).unwrap();
        MockLedger::put(&account(1), &holder);
        let without = taken(1);
        let was = MockView::view().market(ETH).unwrap().contract.clone();
        MockView::change(ETH, |market| {
            market.contract = InstrumentKind::Option {
                expiry: 10,
                strike: MARK,
                right: OptionRight::Call,
            }
            .into();
        });
        assert_eq!(taken(2), without + scanned(1, 1));
        MockView::change(ETH, |market| market.contract = was.clone());
        assert_eq!(taken(3), without);
    });
}

#[test]
fn operations_are_refused_when_their_scans_take_more_than_an_extrinsic_may() {
    new_test_ext().execute_with(|| {
        let most = <() as crate::WeightInfo>::most_scanned(MAX_OPERATIONS);
        let each = <() as crate::WeightInfo>::scanned(1, 0);
        let mut holder = MockLedger::account(&account(1)).unwrap();
        novate_risk::apply_trade(&mut holder, &market(ETH), 1, 0).unwrap();
        let assess = |spent: Weight| {
            let mut spent = spent;
            let assessed = crate::intake::assess::<Test>(&holder, &MockView::view(), &mut spent);
            assessed.map(|_| spent)
        };
        // Without an option nothing is scanned.
        assert_eq!(assess(most), Ok(most));
        MockView::change(ETH, |market| {
            market.contract = InstrumentKind::Option {
                expiry: 10,
                strike: MARK,
                right: OptionRight::Call,
            }
            .into();
        });
        assert_eq!(assess(Weight::zero()), Ok(each));
        assert_eq!(assess(most - each), Ok(most));
        assert_eq!(assess(most), Err(OrderError::TooManyScans));
    });
}

#[test]
fn order_is_refused_when_the_account_is_full() {
    new_test_ext().execute_with(|| {
        for first in [0, 64] {
            let batch = (first..first + 64)
                .map(|n| Operation::Place(limit(n, Side::Bid, 1, MARK - 1_000 + n)))
                .collect();
            assert!(submit(1, batch).iter().all(Result::is_ok));
        }
        refused(
            1,
            limit(500, Side::Bid, 1, MARK - 9),
            OrderError::TooManyOrders,
        );
        let amended = Operation::Amend {
            target: OrderTarget::Client(3),
            price: Some(MARK - 9),
            lots: None,
        };
        assert_eq!(operate(1, amended), Ok(Accepted::Placed(128)));
    });
}

#[test]
fn order_is_refused_when_the_accounts_quota_is_used_up() {
    new_test_ext().execute_with(|| {
        IntakeQuota::set(3);
        let all = (1..4)
            .map(|n| Operation::Place(limit(n, Side::Bid, 1, MARK - 9)))
            .collect();
        assert!(submit(1, all).iter().all(Result::is_ok));
        // Orders that leave again still counted.
        operate(1, Operation::CancelAll { market: None }).unwrap();
        refused(
            1,
            limit(9, Side::Bid, 1, MARK - 9),
            OrderError::QuotaExceeded,
        );
        assert_ok!(place(2, limit(9, Side::Bid, 1, MARK - 9)));
        close();
        assert_ok!(place(1, limit(9, Side::Bid, 1, MARK - 9)));
        IntakeQuota::set(256);
    });
}

#[test]
fn order_is_refused_when_margin_with_orders_is_not_covered() {
    new_test_ext().execute_with(|| {
        fund(&account(1), 100);
        // 100 USD carry 2,000 USD of notional, less the fee: 333 lots are 1,998 USD and 99.9 of margin.
        refused(
            1,
            limit(1, Side::Bid, 333, MARK),
            OrderError::InsufficientMargin,
        );
        assert_ok!(place(1, limit(1, Side::Bid, 320, MARK)));
        refused(
            1,
            limit(2, Side::Bid, 100, MARK),
            OrderError::InsufficientMargin,
        );
        // The other side needs no more, as the larger counts; but a loss against the mark is never netted.
        assert_ok!(place(1, limit(3, Side::Ask, 20, MARK)));
        refused(
            1,
            limit(4, Side::Ask, 20, MARK * 9 / 10),
            OrderError::InsufficientMargin,
        );
    });
}

#[test]
fn order_is_taken_without_margin_when_it_reduces_risk_and_only_then() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Bid, 100, MARK)).unwrap();
        place(2, limit(1, Side::Ask, 100, MARK)).unwrap();
        close();
        let mut poor = MockLedger::account(&account(1)).unwrap();
        poor.cash = 0;
        MockLedger::put(&account(1), &poor);
        refused(
            1,
            limit(2, Side::Bid, 1, MARK),
            OrderError::InsufficientMargin,
        );
        refused(
            1,
            limit(2, Side::Ask, 201, MARK),
            OrderError::InsufficientMargin,
        );
        assert_ok!(place(1, limit(3, Side::Ask, 100, MARK)));
        assert_ok!(place(1, limit(4, Side::Ask, 100, MARK)));
        // A third would leave a short of 200 if all filled.
        refused(
            1,
            limit(5, Side::Ask, 100, MARK),
            OrderError::InsufficientMargin,
        );
    });
}

#[test]
fn reduce_only_order_may_be_small_when_it_closes_the_whole_position() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Bid, 3, MARK)).unwrap();
        place(2, limit(1, Side::Ask, 3, MARK)).unwrap();
        close();
        MockView::change(BTC, |m| m.min_notional = 100 * QUANTUMS);
        let reducing = |lots| NewOrder {
            reduce_only: true,
            ..limit(7, Side::Ask, lots, MARK)
        };
        refused(
            1,
            limit(7, Side::Ask, 3, MARK),
            OrderError::BelowMinNotional,
        );
        refused(1, reducing(2), OrderError::BelowMinNotional);
        assert_ok!(place(1, reducing(3)));
    });
}

#[test]
fn market_takes_only_what_its_status_allows() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Bid, 10, MARK)).unwrap();
        place(2, limit(1, Side::Ask, 10, MARK)).unwrap();
        place(3, limit(1, Side::Bid, 10, MARK - 100)).unwrap();
        close();
        MockView::change(BTC, |m| m.status = MarketStatus::ReduceOnly);
        refused(
            1,
            limit(2, Side::Bid, 1, MARK),
            OrderError::MarketReduceOnly,
        );
        refused(
            1,
            limit(2, Side::Ask, 11, MARK),
            OrderError::MarketReduceOnly,
        );
        refused(
            3,
            limit(2, Side::Ask, 1, MARK),
            OrderError::MarketReduceOnly,
        );
        assert_ok!(place(1, limit(2, Side::Ask, 10, MARK + 50)));
        MockView::change(BTC, |m| m.status = MarketStatus::Halted);
        refused(1, limit(3, Side::Ask, 1, MARK), OrderError::MarketHalted);
        let smaller = Operation::Amend {
            target: OrderTarget::Client(1),
            price: None,
            lots: Some(5),
        };
        assert_eq!(operate(3, smaller), Err(OrderError::MarketHalted));
        assert_ok!(operate(3, Operation::Cancel(OrderTarget::Client(1))));
        MockView::change(BTC, |m| {
            m.status = MarketStatus::Open;
            m.mark = Price::from_inner(0);
        });
        refused(1, limit(3, Side::Ask, 1, MARK), OrderError::NoPrice);
    });
}

#[test]
fn account_under_liquidation_cancels_and_does_nothing_else() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Bid, 10, MARK - 100)).unwrap();
        place(1, limit(2, Side::Bid, 10, MARK - 100)).unwrap();
        close();
        let mut held = MockLedger::account(&account(1)).unwrap();
        held.standing = Standing::Liquidating {
            since: 1,
            closes: 0,
        };
        MockLedger::put(&account(1), &held);
        refused(1, limit(3, Side::Bid, 1, MARK), OrderError::NotTrading);
        let smaller = Operation::Amend {
            target: OrderTarget::Client(1),
            price: None,
            lots: Some(5),
        };
        assert_eq!(operate(1, smaller), Err(OrderError::NotTrading));
        assert_ok!(operate(1, Operation::Cancel(OrderTarget::Client(1))));
        assert_eq!(
            operate(1, Operation::CancelAll { market: None }),
            Ok(Accepted::Cancelled(1))
        );
    });
}

#[test]
fn weight_is_refunded_when_a_sweep_finds_few_orders() {
    new_test_ext().execute_with(|| {
        let sweep: BoundedVec<_, _> = vec![Operation::CancelAll { market: None }]
            .try_into()
            .unwrap();
        let prepaid = Pallet::<Test>::weight_of(&sweep);
        let post = Pallet::<Test>::submit(RuntimeOrigin::signed(1), 0, sweep).unwrap();
        assert!(post.actual_weight.unwrap().all_lt(prepaid) || prepaid.proof_size() == 0);
        assert!(post.actual_weight.unwrap().ref_time() * 10 < prepaid.ref_time());
    });
}
