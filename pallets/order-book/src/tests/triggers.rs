//! Stops and take-profits.

use crate::{mock::*, types::*, Armed, Pallet, Reaches, TriggerExpiries, Unowned};
use novate_types::{Direction::*, OrderBook as _, *};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A market order that only reduces.
fn closing(client_id: ClientId, side: Side, lots: Lots) -> NewOrder {
    NewOrder {
        price: OrderPrice::Market,
        time_in_force: TimeInForce::ImmediateOrCancel,
        reduce_only: true,
        ..limit(client_id, side, lots, 1)
    }
}

/// The trigger is refused with `error` and nothing is stored.
fn refused(owner: AccountId, trigger: NewTrigger, error: OrderError) {
    let before = stored();
    assert_eq!(arm(owner, trigger), Err(error));
    assert_eq!(stored(), before);
}

/// A position of `lots` for 1, bought from 2.
fn long(lots: Lots) {
    place(1, limit(90, Side::Bid, lots, MARK)).unwrap();
    place(2, limit(90, Side::Ask, lots, MARK)).unwrap();
    assert_eq!(close().fills.len(), 2);
}

fn nothing_is_left() {
    assert_eq!(Armed::<Test>::iter().count(), 0);
    assert_eq!(TriggerExpiries::<Test>::iter().count(), 0);
    assert_eq!(Unowned::<Test>::get(), 0);
    assert!(Reaches::<Test>::get().is_empty());
}

/// Room for so many triggers (at most five) that are taken in, of accounts with few orders, and for finding that no reach of two markets
/// holds any.
fn room(triggers: u64) {
    use crate::WeightInfo;
    type W = ();
    let looks = W::triggers(16) - W::triggers(0);
    let each = W::fire() + W::came_in(20);
    let room = triggers
        .checked_sub(1)
        .map(|others| Pallet::<Test>::most_of_trigger() + each * others + looks);
    TriggerRoom::set(room.map_or(0, |room| room.ref_time()));
}

#[test]
fn stop_fills_in_the_close_whose_mark_falls_to_its_level() {
    new_test_ext().execute_with(|| {
        long(10);
        place(3, limit(1, Side::Bid, 50, MARK - 110)).unwrap();
        let stop = trigger(closing(7, Side::Ask, 10), Down, MARK - 100);
        let sequence = arm(1, stop).unwrap();
        // It holds nothing, and is in no book.
        assert!(MockLedger::account(&account(1)).unwrap().orders.is_empty());
        mark(BTC, MARK - 99);
        assert!(next_close().fills.is_empty() && fired().is_empty());
        assert_eq!(armed(1).len(), 1);

        mark(BTC, MARK - 100);
        let closed = next_close();
        assert_eq!(fired(), [(1, sequence, Ok(()))]);
        let fill = closed.fills.iter().find(|f| f.account.owner == 1).unwrap();
        assert_eq!(
            (fill.sequence, fill.lots, fill.ticks),
            (sequence, 10, MARK - 110)
        );
        assert_eq!(lots_of(1), 0);
        assert!(armed(1).is_empty());
        nothing_is_left();
    });
}

#[test]
fn trigger_fires_at_the_exact_mark_when_that_lies_between_ticks() {
    for (direction, level, fires_at) in [(Up, MARK + 10, 2), (Down, MARK - 10, -2)] {
        new_test_ext().execute_with(|| {
            arm(
                1,
                trigger(limit(1, Side::Bid, 10, MARK - 500), direction, level),
            )
            .unwrap();
            let quarter = |n: i64| {
                let tick = market(BTC).tick_size.into_inner();
                let inner = u128::from(level) * tick;
                let moved = inner.checked_add_signed(i128::from(n) * (tick / 4) as i128);
                MockView::change(BTC, |m| m.mark = Price::from_inner(moved.unwrap()));
            };
            quarter(-fires_at);
            next_close();
            assert!(fired().is_empty());
            quarter(fires_at);
            next_close();
            assert_eq!(fired().len(), 1);
            assert_eq!(open(1).len(), 1);
        });
    }
}

#[test]
fn trigger_fires_in_its_own_block_when_the_mark_gets_there() {
    new_test_ext().execute_with(|| {
        arm(1, trigger(limit(1, Side::Bid, 10, MARK), Up, MARK + 10)).unwrap();
        mark(BTC, MARK + 10);
        next_close();
        assert_eq!(fired(), [(1, 0, Ok(()))]);
        // A limit that the book does not meet rests, under the trigger's number and in its place among the orders.
        place(1, limit(2, Side::Bid, 10, MARK)).unwrap();
        let numbers: Vec<_> = open(1).iter().map(|o| (o.sequence, o.client_id)).collect();
        assert_eq!(numbers, [(0, 1), (1, 2)]);
    });
}

#[test]
fn order_of_a_trigger_stands_before_younger_ones_when_it_fires_later() {
    new_test_ext().execute_with(|| {
        arm(
            1,
            trigger(limit(1, Side::Bid, 10, MARK - 50), Down, MARK - 10),
        )
        .unwrap();
        place(1, limit(2, Side::Bid, 10, MARK - 60)).unwrap();
        close();
        mark(BTC, MARK - 10);
        close();
        let numbers: Vec<_> = open(1).iter().map(|o| o.sequence).collect();
        assert_eq!(numbers, [0, 1]);
        assert_eq!(
            operate(1, Operation::Cancel(OrderTarget::Client(1))),
            Ok(Accepted::Cancelled(1))
        );
    });
}

#[test]
fn market_orders_limit_is_drawn_from_the_mark_when_it_fires() {
    new_test_ext().execute_with(|| {
        let order = NewOrder {
            reduce_only: false,
            ..closing(1, Side::Bid, 10)
        };
        arm(1, trigger(order, Up, MARK + 1_000)).unwrap();
        place(2, limit(1, Side::Ask, 10, MARK * 1_005 / 1_000 + 800)).unwrap();
        close();
        mark(BTC, MARK + 1_000);
        assert_eq!(next_close().fills.len(), 2);
    });
}

#[test]
fn trigger_is_cancelled_by_name_when_margin_fails_as_it_fires() {
    new_test_ext().execute_with(|| {
        fund(&account(1), 100);
        // 6,000 USD at 5 %: three times what the account has. It takes no margin now.
        arm(
            1,
            trigger(limit(1, Side::Bid, 1_000, MARK + 10), Up, MARK + 10),
        )
        .unwrap();
        mark(BTC, MARK + 10);
        next_close();
        assert_eq!(fired(), [(1, 0, Err(OrderError::InsufficientMargin))]);
        let held = MockLedger::account(&account(1)).unwrap();
        assert!(held.orders.is_empty() && held.open.is_empty() && held.triggers.is_empty());
        nothing_is_left();
    });
}

#[test]
fn reduce_only_trigger_is_cut_to_the_position_when_it_fires() {
    new_test_ext().execute_with(|| {
        long(10);
        let order = NewOrder {
            price: OrderPrice::Limit(MARK - 50),
            ..closing(1, Side::Ask, 500)
        };
        let order = NewOrder {
            time_in_force: TimeInForce::GoodTilCancelled,
            ..order
        };
        arm(1, trigger(order, Down, MARK - 10)).unwrap();
        // Nothing is left to lose but the position's own margin.
        let mut held = MockLedger::account(&account(1)).unwrap();
        held.cash = 2 * QUANTUMS;
        MockLedger::put(&account(1), &held);
        place(3, limit(1, Side::Bid, 500, MARK - 20)).unwrap();
        mark(BTC, MARK - 10);
        next_close();
        assert_eq!(fired()[0].2, Ok(()));
        assert_eq!(lots_of(1), 0);
        assert!(open(1).is_empty());

        // The other way round, and without a position, there is nothing to do.
        for (client_id, side) in [(2, Side::Bid), (3, Side::Ask)] {
            arm(1, trigger(closing(client_id, side, 50), Up, MARK)).unwrap();
        }
        mark(BTC, MARK);
        next_close();
        let outcomes: Vec<_> = fired().into_iter().map(|f| f.2).collect();
        assert_eq!(outcomes, [Err(OrderError::NothingToReduce); 2]);
    });
}

#[test]
fn trigger_is_refused_by_name_when_it_cannot_be_kept() {
    new_test_ext().execute_with(|| {
        let order = limit(1, Side::Bid, 10, MARK);
        let good = trigger(order, Up, MARK + 10);
        let with = |order| NewTrigger { order, ..good };
        refused(
            1,
            with(NewOrder { market: 8, ..order }),
            OrderError::UnknownMarket,
        );
        refused(1, with(NewOrder { lots: 0, ..order }), OrderError::ZeroLots);
        refused(1, with(limit(1, Side::Bid, 10, 0)), OrderError::ZeroPrice);
        refused(
            1,
            with(limit(1, Side::Bid, 10, 1)),
            OrderError::BelowMinNotional,
        );
        refused(
            1,
            with(limit(1, Side::Bid, Lots::MAX, MARK)),
            OrderError::OutOfRange,
        );
        refused(1, NewTrigger { ticks: 0, ..good }, OrderError::ZeroPrice);
        for (direction, ticks) in [(Up, MARK), (Up, MARK - 1), (Down, MARK), (Down, MARK + 1)] {
            refused(
                1,
                NewTrigger {
                    direction,
                    ticks,
                    ..good
                },
                OrderError::TriggerMet,
            );
        }
        let until = |block| NewTrigger {
            expires: Some(block),
            ..good
        };
        refused(1, until(1), OrderError::ExpiryPast);
        refused(1, until(1_002), OrderError::ExpiryTooFar);
        let post_only = NewOrder {
            time_in_force: TimeInForce::PostOnly,
            ..closing(1, Side::Ask, 10)
        };
        refused(1, with(post_only), OrderError::Contradiction);
        MockView::change(BTC, |m| m.status = MarketStatus::Halted);
        refused(1, good, OrderError::MarketHalted);
        MockView::change(BTC, |m| m.status = MarketStatus::Open);

        arm(1, good).unwrap();
        refused(1, good, OrderError::DuplicateClientId);
        assert_eq!(place(1, order), Err(OrderError::DuplicateClientId));
        let amend = Operation::Amend {
            target: OrderTarget::Client(1),
            price: None,
            lots: Some(1),
        };
        assert_eq!(operate(1, amend), Err(OrderError::TriggerNotAmended));
        let more = |n| NewTrigger {
            order: NewOrder {
                client_id: n,
                ..order
            },
            ..good
        };
        for n in 2..=u64::from(MAX_TRIGGERS) {
            arm(1, more(n)).unwrap();
        }
        refused(1, more(99), OrderError::TooManyTriggers);
        let place = |n| Operation::Place(limit(1_000 + n, Side::Bid, 1, MARK - 9));
        let room = u64::from(MAX_OPEN_ORDERS - MAX_TRIGGERS);
        for first in [0, 48] {
            let all = (first..first + 48).map(place).collect();
            assert!(first + 48 <= room && submit(1, all).iter().all(Result::is_ok));
        }
        assert_eq!(operate(1, place(500)), Err(OrderError::TooManyOrders));
        MockLedger::put(
            &account(9),
            &MarginAccount {
                standing: Standing::Frozen,
                ..Default::default()
            },
        );
        refused(9, good, OrderError::NotTrading);
    });
}

#[test]
fn triggers_count_as_new_orders_when_the_quota_is_used_up() {
    new_test_ext().execute_with(|| {
        IntakeQuota::set(1);
        arm(1, trigger(limit(1, Side::Bid, 10, MARK), Up, MARK + 10)).unwrap();
        refused(
            1,
            trigger(limit(2, Side::Bid, 10, MARK), Up, MARK + 10),
            OrderError::QuotaExceeded,
        );
        close();
        // What fires does not count: it did.
        place(1, limit(3, Side::Bid, 10, MARK)).unwrap();
        mark(BTC, MARK + 10);
        next_close();
        assert_eq!(fired(), [(1, 0, Ok(()))]);
        IntakeQuota::set(256);
    });
}

#[test]
fn cancel_takes_a_trigger_off_when_it_is_named_or_swept() {
    new_test_ext().execute_with(|| {
        let mut all = Vec::new();
        for n in 1..=4 {
            let market = if n == 4 { ETH } else { BTC };
            let order = NewOrder {
                market,
                ..limit(n, Side::Bid, 10, MARK)
            };
            let expires = (n % 2 == 0).then_some(100);
            all.push(NewTrigger {
                expires,
                ..trigger(order, Up, MARK + 10)
            });
        }
        assert!(all.iter().all(|t| arm(1, *t).is_ok()));
        let by = |target| operate(1, Operation::Cancel(target));
        assert_eq!(by(OrderTarget::Client(1)), Ok(Accepted::Cancelled(1)));
        refused(1, all[0], OrderError::ClientIdCancelled);
        assert_eq!(by(OrderTarget::Client(1)), Err(OrderError::NoSuchOrder));
        assert_eq!(by(OrderTarget::Sequence(1)), Ok(Accepted::Cancelled(1)));
        place(1, limit(9, Side::Bid, 10, MARK - 9)).unwrap();
        let sweep = |market| operate(1, Operation::CancelAll { market });
        assert_eq!(sweep(Some(BTC)), Ok(Accepted::Cancelled(2)));
        assert_eq!(armed(1).len(), 1);
        assert_eq!(sweep(None), Ok(Accepted::Cancelled(1)));
        nothing_is_left();
        mark(BTC, MARK + 10);
        next_close();
        assert!(fired().is_empty() && MockLedger::account(&account(1)).unwrap().open.is_empty());
    });
}

#[test]
fn trigger_leaves_at_its_expiry_as_many_a_close_as_may() {
    new_test_ext().execute_with(|| {
        for owner in 1..=6 {
            let stop = trigger(limit(1, Side::Ask, 10, MARK - 50), Down, MARK - 10);
            arm(
                owner,
                NewTrigger {
                    expires: Some(3),
                    ..stop
                },
            )
            .unwrap();
        }
        next_close();
        next_close();
        assert!(cancellations().is_empty());
        next_close();
        let left = cancellations();
        assert_eq!(left.len(), ExpiringTriggers::get() as usize);
        assert!(left
            .iter()
            .all(|(_, lots, why)| (*lots, *why) == (10, CancelReason::Expired)));
        // Those that still wait to be removed do not fire.
        mark(BTC, MARK - 10);
        next_close();
        assert!(fired().is_empty());
        assert_eq!(cancellations().len(), 2);
        assert!((1..=6).all(|owner| armed(owner).is_empty()));
        nothing_is_left();
    });
}

#[test]
fn trigger_leaves_with_its_accounts_liquidation_and_its_key_when_it_is_reached() {
    new_test_ext().execute_with(|| {
        let stop = trigger(limit(1, Side::Ask, 10, MARK - 50), Down, MARK - 10);
        arm(1, stop).unwrap();
        let order = limit(2, Side::Ask, 10, MARK - 50);
        arm(
            1,
            NewTrigger {
                expires: Some(4),
                order,
                ticks: MARK - 900,
                ..stop
            },
        )
        .unwrap();
        place(1, limit(3, Side::Bid, 10, MARK - 50)).unwrap();
        close();
        System::reset_events();
        let of = account(1);
        let mut held = MockLedger::account(&of).unwrap();
        let orders = Pallet::<Test>::cancel_all(&of, &mut held, CancelReason::Liquidation);
        MockLedger::put(&of, &held);
        assert_eq!(orders, 3);
        assert_eq!(cancellations(), vec![(1, 10, CancelReason::Liquidation); 3]);
        assert!(held.triggers.is_empty() && held.open.is_empty());
        assert_eq!(Unowned::<Test>::get(), 2);
        mark(BTC, MARK - 10);
        next_close();
        assert!(fired().is_empty());
        assert_eq!(Unowned::<Test>::get(), 1);
        (0..3).for_each(|_| drop(next_close()));
        nothing_is_left();
    });
}

#[test]
fn triggers_wait_when_their_market_does_not_match_or_has_no_fresh_price() {
    new_test_ext().execute_with(|| {
        arm(
            1,
            trigger(limit(1, Side::Ask, 10, MARK - 50), Down, MARK - 10),
        )
        .unwrap();
        mark(BTC, MARK - 10);
        MockView::change(BTC, |m| m.status = MarketStatus::Halted);
        next_close();
        assert!(fired().is_empty());
        MockView::change(BTC, |m| (m.status, m.fresh) = (MarketStatus::Open, false));
        next_close();
        assert!(fired().is_empty() && Reaches::<Test>::get().is_empty());
        MockView::change(BTC, |m| m.fresh = true);
        TriggerRoom::set(0);
        next_close();
        assert_eq!(Reaches::<Test>::get().len(), 1);
        // What was reached, but not worked off, before a halt is worked off after it.
        MockView::change(BTC, |m| m.status = MarketStatus::Halted);
        TriggerRoom::set(u64::MAX);
        mark(BTC, MARK);
        next_close();
        assert!(fired().is_empty());
        MockView::change(BTC, |m| m.status = MarketStatus::Open);
        next_close();
        assert_eq!(fired().len(), 1);
        nothing_is_left();
    });
}

#[test]
fn triggers_that_fired_are_carried_over_in_their_order_when_room_is_used_up() {
    new_test_ext().execute_with(|| {
        let stop = |owner: AccountId, market, level| {
            let order = NewOrder {
                market,
                ..limit(level, Side::Ask, 10, MARK - 5_000)
            };
            arm(owner, trigger(order, Down, level)).unwrap();
        };
        stop(1, BTC, MARK - 30);
        stop(2, BTC, MARK - 10);
        stop(3, BTC, MARK - 20);
        stop(4, ETH, MARK - 10);
        stop(5, BTC, MARK - 60);
        room(1);
        mark(BTC, MARK - 30);
        next_close();
        let owners = || fired().into_iter().map(|f| f.0).collect::<Vec<_>>();
        assert_eq!(owners(), [2]);
        // The mark is back; what fired has fired, and comes before what fires now.
        mark(BTC, MARK);
        mark(ETH, MARK - 10);
        next_close();
        assert_eq!(owners(), [3]);
        // Between the mark and what is still to be worked off nothing is taken; beyond it, and on the other side, it is.
        let order = limit(777, Side::Ask, 10, MARK);
        refused(
            6,
            trigger(order, Down, MARK - 30),
            OrderError::TriggersWaiting,
        );
        refused(
            6,
            trigger(order, Down, MARK - 1),
            OrderError::TriggersWaiting,
        );
        arm(6, trigger(order, Down, MARK - 61)).unwrap();
        arm(
            6,
            trigger(
                NewOrder {
                    client_id: 778,
                    ..order
                },
                Up,
                MARK + 500,
            ),
        )
        .unwrap();
        // A mark that goes farther fires what was out of reach before, after the others.
        mark(BTC, MARK - 60);
        next_close();
        assert_eq!(owners(), [1]);
        next_close();
        assert_eq!(owners(), [4]);
        next_close();
        assert_eq!(owners(), [5]);
        assert!(Reaches::<Test>::get().is_empty());
        next_close();
        assert!(owners().is_empty());
        mark(BTC, MARK);
        arm(
            6,
            trigger(
                NewOrder {
                    client_id: 779,
                    ..order
                },
                Down,
                MARK - 30,
            ),
        )
        .unwrap();
    });
}

#[test]
fn reaches_stay_bounded_when_a_mark_falls_on_and_on() {
    new_test_ext().execute_with(|| {
        for n in 1..=9u64 {
            let order = limit(1, Side::Ask, 10, MARK - 9_000);
            arm(n, trigger(order, Down, MARK - 10 * n)).unwrap();
        }
        TriggerRoom::set(0);
        for n in 1..=9u64 {
            mark(BTC, MARK - 10 * n);
            next_close();
            assert_eq!(Reaches::<Test>::get().len(), MAX_STEPS.min(n as usize));
        }
        TriggerRoom::set(u64::MAX);
        next_close();
        let owners: Vec<_> = fired().into_iter().map(|f| f.0).collect();
        assert_eq!(owners, (1..=9).collect::<Vec<_>>());
        nothing_is_left();
    });
}

#[test]
fn what_is_reached_is_worked_off_only_as_far_as_there_is_room() {
    new_test_ext().execute_with(|| {
        for owner in 1..=5 {
            arm(
                owner,
                trigger(limit(1, Side::Ask, 10, MARK), Down, MARK - 10),
            )
            .unwrap();
        }
        mark(BTC, MARK - 10);
        let most = Pallet::<Test>::most_of_trigger().ref_time();
        let view = MockView::view();
        System::reset_events();
        assert_eq!(Pallet::<Test>::fire(&view, most - 1), 0);
        assert!(fired().is_empty());
        let used = Pallet::<Test>::fire(&view, most);
        assert!(used > 0 && used <= most);
        assert_eq!(fired().len(), 1);
        System::reset_events();
        // Each is only begun while there is enough left for the dearest.
        assert_eq!(Pallet::<Test>::fire(&view, most + 2 * used), 3 * used);
        assert_eq!(fired().len(), 3);
    });
}

#[test]
fn operations_on_triggers_never_cost_more_than_they_prepaid() {
    new_test_ext().execute_with(|| {
        let stop = |n| trigger(limit(n, Side::Ask, 10, MARK), Down, MARK - 10);
        let some = |from: u64| (from..from + 9).map(|n| Operation::PlaceTrigger(stop(n)));
        let cancel = |n| Operation::Cancel(OrderTarget::Client(n));
        let sweep = Operation::CancelAll { market: None };
        for operations in [
            some(0).collect(),
            some(20).chain((0..12).map(cancel)).collect(),
            some(40).chain([sweep, sweep]).collect::<Vec<_>>(),
        ] {
            let prepaid = Pallet::<Test>::weight_of(&operations);
            let submit = Pallet::<Test>::submit;
            let origin = RuntimeOrigin::signed(1);
            let done = submit(origin, 0, operations.try_into().unwrap()).unwrap();
            let actual = done.actual_weight.unwrap();
            assert!(actual.all_lte(prepaid), "{actual:?} {prepaid:?}");
        }
        let placed = Pallet::<Test>::weight_of(&[Operation::Place(stop(1).order)]);
        let armed = Pallet::<Test>::weight_of(&[Operation::PlaceTrigger(stop(1))]);
        assert_eq!(armed - placed, <() as crate::WeightInfo>::arm());
    });
}

#[test]
fn reach_without_triggers_left_is_dropped_when_their_owners_cancelled_them() {
    new_test_ext().execute_with(|| {
        arm(1, trigger(limit(1, Side::Ask, 10, MARK), Down, MARK - 10)).unwrap();
        mark(BTC, MARK - 10);
        TriggerRoom::set(0);
        next_close();
        assert_eq!(Reaches::<Test>::get().len(), 1);
        operate(1, Operation::CancelAll { market: None }).unwrap();
        TriggerRoom::set(u64::MAX);
        next_close();
        assert!(fired().is_empty());
        nothing_is_left();
    });
}

/// What one owner does in a block of the random test.
#[derive(Clone, Debug)]
enum Step {
    Arm {
        eth: bool,
        up: bool,
        away: u64,
        lots: Lots,
        expires: Option<u32>,
    },
    Cancel(usize),
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any::<bool>(), any::<bool>(), 1u64..30, 1u64..9, prop::option::weighted(0.2, 1u32..6))
            .prop_map(|(eth, up, away, lots, expires)| Step::Arm { eth, up, away, lots, expires }),
        2 => (0usize..8).prop_map(Step::Cancel),
        1 => Just(Step::Sweep),
    ]
}

/// A block: what owners do, how far each mark moves, and how many triggers there is room for.
type Block = (Vec<(AccountId, Vec<Step>)>, [i64; 2], u64);

fn blocks() -> impl Strategy<Value = Vec<Block>> {
    let owner = (1u64..6, prop::collection::vec(step(), 1..4));
    let block = (
        prop::collection::vec(owner, 0..5),
        [-25i64..25, -25i64..25],
        0u64..4,
    );
    prop::collection::vec(block, 1..14)
}

fn play(steps: &[(AccountId, Vec<Step>)], order: &[usize], marks: &[Ticks; 2]) {
    for at in order {
        let (owner, steps) = &steps[*at];
        let operations = steps.iter().enumerate().map(|(n, step)| match step {
            Step::Arm {
                eth,
                up,
                away,
                lots,
                expires,
            } => {
                let id = System::block_number() * 1_000 + (at * 10 + n) as u64;
                let (market, mark) = if *eth {
                    (ETH, marks[1])
                } else {
                    (BTC, marks[0])
                };
                let (direction, level) = if *up {
                    (Up, mark + away)
                } else {
                    (Down, mark - away)
                };
                let order = NewOrder {
                    market,
                    ..limit(id, Side::Bid, *lots, MARK - 9_000)
                };
                let now = System::block_number() as BlockNumber;
                let expires = expires.map(|blocks| now + blocks);
                Operation::PlaceTrigger(NewTrigger {
                    expires,
                    ..trigger(order, direction, level)
                })
            }
            Step::Cancel(at) => {
                let armed = armed(*owner);
                let target = armed
                    .get(at % armed.len().max(1))
                    .map_or(u64::MAX, |t| t.sequence);
                Operation::Cancel(OrderTarget::Sequence(target))
            }
            Step::Sweep => Operation::CancelAll { market: Some(ETH) },
        });
        let operations = operations.collect();
        submit(*owner, operations);
        Pallet::<Test>::do_try_state().unwrap();
    }
}

fn everybodys() -> BTreeMap<(AccountId, Sequence), Trigger> {
    let of = |owner| {
        armed(owner)
            .into_iter()
            .map(move |t| ((owner, t.sequence), t))
    };
    (1..6).flat_map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Against a list of all triggers, each tried at every close.
    #[test]
    fn triggers_fire_like_a_list_of_all_that_is_tried_at_every_close(blocks in blocks()) {
        new_test_ext().execute_with(|| {
            ExpiringTriggers::set(u32::MAX);
            let mut marks = [MARK, MARK];
            // When each fired that has not been worked off.
            let mut waiting: BTreeMap<(AccountId, Sequence), BlockNumber> = BTreeMap::new();
            for (steps, moves, many) in &blocks {
                let order: Vec<usize> = (0..steps.len()).collect();
                play(steps, &order, &marks);
                let all = everybodys();
                waiting.retain(|id, _| all.contains_key(id));
                for (mark, by) in marks.iter_mut().zip(moves) {
                    *mark = mark.checked_add_signed(*by).unwrap();
                }
                mark(BTC, marks[0]);
                mark(ETH, marks[1]);
                let now = System::block_number() as BlockNumber;
                let side = |t: &Trigger| (t.terms.order.market, t.terms.direction);
                for (id, trigger) in &all {
                    let at = marks[usize::from(trigger.terms.order.market == ETH)];
                    let is_met = match trigger.terms.direction {
                        Up => at >= trigger.terms.ticks,
                        Down => at <= trigger.terms.ticks,
                    };
                    if is_met {
                        waiting.entry(*id).or_insert(now);
                    }
                }
                let expired = |t: &Trigger| t.terms.expires.is_some_and(|block| block <= now);
                room(*many);
                next_close();
                let fired: Vec<_> = fired().into_iter().map(|f| (f.0, f.1)).collect();
                let left = everybodys();
                // Whatever fired had been reached since it came in, and its time was not up.
                for id in &fired {
                    prop_assert!(waiting.contains_key(id) && !expired(&all[id]));
                }
                // Nothing else left but what expired, and nothing was left while there was room.
                for (id, trigger) in &all {
                    let gone = fired.contains(id) || expired(trigger);
                    prop_assert_eq!(left.contains_key(id), !gone);
                }
                prop_assert!(fired.len() as u64 <= *many);
                let still: Vec<_> = waiting.keys().filter(|id| left.contains_key(id)).collect();
                let looked = fired.len() + all.iter().filter(|(id, t)| {
                    waiting.contains_key(id) && expired(t)
                }).count();
                prop_assert!(still.is_empty() || looked as u64 >= *many);
                // On one side of a market the nearest come first, in this close and before what stays.
                let rank = |id: &(AccountId, Sequence)| {
                    let terms = all[id].terms;
                    if terms.direction == Up { terms.ticks } else { Ticks::MAX - terms.ticks }
                };
                let in_order: Vec<_> = fired.iter().chain(still.iter().copied()).collect();
                for (n, id) in in_order.iter().enumerate().filter(|(n, _)| *n < fired.len()) {
                    let mut later = in_order[n + 1..].iter();
                    let same = |other: &&&(AccountId, Sequence)| side(&all[**other]) == side(&all[*id]);
                    prop_assert!(later.all(|other| !same(&other) || rank(id) <= rank(other)));
                    // Over all markets who fired in an earlier block leaves nobody behind, while no market has more reaches than are
                    // told apart.
                    let steps = waiting.iter().map(|(id, block)| (side(&all[id]), *block));
                    let steps: BTreeSet<_> = steps.collect();
                    if steps.len() < MAX_STEPS {
                        prop_assert!(still.iter().all(|other| waiting[*id] <= waiting[*other]));
                    }
                }
                waiting.retain(|id, _| left.contains_key(id));
            }
            ExpiringTriggers::set(4);
            Ok(())
        })?;
    }

    #[test]
    fn nothing_changes_when_the_extrinsics_with_triggers_are_shuffled(
        blocks in blocks(),
        seed: u64,
    ) {
        let run = |shuffle: bool| {
            new_test_ext().execute_with(|| {
                let mut marks = [MARK, MARK];
                let mut seen = Vec::new();
                for (steps, moves, many) in &blocks {
                    let mut order: Vec<usize> = (0..steps.len()).collect();
                    if shuffle {
                        order.sort_by_key(|at| steps[*at].0.wrapping_mul(seed | 1) ^ seed);
                    }
                    play(steps, &order, &marks);
                    for (mark, by) in marks.iter_mut().zip(moves) {
                        *mark = mark.checked_add_signed(*by).unwrap();
                    }
                    mark(BTC, marks[0]);
                    mark(ETH, marks[1]);
                    room(*many);
                    let closed = next_close();
                    seen.push((closed, fired(), stored()));
                }
                seen
            })
        };
        prop_assert_eq!(run(false), run(true));
    }
}
