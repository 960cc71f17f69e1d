//! Matching within limits.

use crate::{
    mock::*,
    types::{GROUP_ORDERS, GROUP_PAGES, GROUP_READ, PAGE_SLOTS, POSITION_READS, WAITING_READS},
    Pallet, Reads, Waiting,
};
use novate_types::{OrderBook as _, *};
use std::collections::{BTreeMap, BTreeSet};

fn fills_of(closed: &Closed, owner: AccountId) -> Vec<(Ticks, Lots)> {
    let own = closed.fills.iter().filter(|f| f.account.owner == owner);
    own.map(|f| (f.ticks, f.lots)).collect()
}

/// Account 1 is long and account 2 short 10 lots.
fn with_positions() {
    place(1, limit(100, Side::Bid, 10, MARK)).unwrap();
    place(2, limit(100, Side::Ask, 10, MARK)).unwrap();
    close();
}

#[test]
fn an_order_of_one_lot_takes_one_lot() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Ask, 2, MARK + 10)).unwrap();
        close();
        place(2, limit(1, Side::Bid, 1, MARK + 10)).unwrap();
        let closed = close();
        assert_eq!(fills_of(&closed, 2), vec![(MARK + 10, 1)]);
        assert_eq!(book(), (vec![], vec![(MARK + 10, 1, 1)]));
    });
}

#[test]
fn fills_are_bounded_when_one_order_crosses_ten_thousand() {
    new_test_ext().execute_with(|| {
        for owner in 0..80u64 {
            fund(&account(1_000 + owner), 1_000_000);
            for first in [0, 64] {
                let ticks = |n: u64| MARK + 1 + (owner * 128 + n) / 8;
                let batch = (first..first + 64)
                    .map(|n| Operation::Place(limit(n, Side::Ask, 1, ticks(n))))
                    .collect();
                assert!(submit(1_000 + owner, batch).iter().all(Result::is_ok));
            }
            if owner % 2 == 1 {
                close();
            }
        }
        place(1, limit(1, Side::Bid, 10_000, MARK + 2_000)).unwrap();
        let view = MockView::view();
        let mut market = Pallet::<Test>::load(&view.markets[0], vec![]).unwrap();
        Pallet::<Test>::run(&mut market, &MatchLimits::first(FILLS));
        let group = (PAGE_SLOTS * GROUP_PAGES) as usize;
        assert!(market.read() < group, "one group is enough");
        let first = MatchLimits {
            admitted: Some(BTreeSet::from([account(1)])),
            ..MatchLimits::first(FILLS)
        };
        assert_eq!(Pallet::<Test>::run(&mut market, &first).volume, 0);
        assert!(market.read() < LoadLimit::get() as usize + group);
        System::reset_events();
        let closed = close();
        assert_eq!(
            closed.fills.iter().filter(|f| f.account.owner != 1).count(),
            FILLS as usize
        );
        assert_eq!(
            cancellations(),
            vec![(1, 10_000 - Lots::from(FILLS), CancelReason::Touching)]
        );
        let first = MARK + 1 + Ticks::from(FILLS) / 8;
        assert_eq!(book().1.first(), Some(&(first, 6, 6)));
    });
}

#[test]
fn match_is_repeated_from_the_loaded_state_when_limits_narrow() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Ask, 10, MARK + 10)).unwrap();
        place(2, limit(1, Side::Ask, 10, MARK + 20)).unwrap();
        close();
        place(3, limit(1, Side::Bid, 10, MARK + 30)).unwrap();
        place(4, limit(1, Side::Bid, 10, MARK + 25)).unwrap();
        let view = MockView::view();
        let before = stored();
        let mut market = Pallet::<Test>::load(&view.markets[0], vec![]).unwrap();
        let first = Pallet::<Test>::run(&mut market, &MatchLimits::first(FILLS));
        assert_eq!(
            (first.volume, first.last, first.executed),
            (20, Some(MARK + 20), 2)
        );
        let accounts: Vec<_> = Pallet::<Test>::candidates(&market, FILLS)
            .into_iter()
            .map(|c| c.0.owner)
            .collect();
        assert_eq!(accounts, vec![1, 2, 3, 4]);

        let mut limits = MatchLimits::first(FILLS);
        limits.cancelled.insert(account(1));
        limits.cancelled.insert(account(3));
        let second = Pallet::<Test>::run(&mut market, &limits);
        assert_eq!((second.volume, second.last), (10, Some(MARK + 20)));
        assert_eq!(
            second
                .fills
                .iter()
                .map(|f| f.account.owner)
                .collect::<Vec<_>>(),
            vec![2, 4]
        );
        assert_eq!(
            Pallet::<Test>::run(&mut market, &MatchLimits::first(FILLS)),
            first
        );
        // Nothing is written before the commit, and dropping the market leaves the intake for another load.
        drop(market);
        assert_eq!(stored(), before);

        System::reset_events();
        let closed = close_within(&limits);
        assert_eq!(closed.fills.len(), 2);
        let reason = CancelReason::InsufficientMargin;
        let mut cancelled = cancellations();
        cancelled.sort_by_key(|c| c.0);
        assert_eq!(cancelled, vec![(1, 10, reason), (3, 10, reason)]);
        assert_eq!(book(), (vec![], vec![]));
    });
}

#[test]
fn resting_orders_wait_and_new_ones_leave_when_only_some_are_admitted() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Ask, 10, MARK + 10)).unwrap();
        place(2, limit(1, Side::Ask, 10, MARK + 20)).unwrap();
        close();
        place(3, limit(1, Side::Bid, 15, MARK + 30)).unwrap();
        place(4, limit(1, Side::Bid, 10, MARK - 30)).unwrap();
        let limits = MatchLimits {
            admitted: Some(BTreeSet::from([account(2), account(3)])),
            ..MatchLimits::first(FILLS)
        };
        System::reset_events();
        let closed = close_within(&limits);
        assert_eq!(fills_of(&closed, 3), vec![(MARK + 20, 10)]);
        let mut cancelled = cancellations();
        cancelled.sort_by_key(|c| c.0);
        // What is left of 3's bid touches 1's suspended ask.
        assert_eq!(
            cancelled,
            vec![
                (3, 5, CancelReason::Touching),
                (4, 10, CancelReason::InsufficientMargin)
            ]
        );
        assert_eq!(book(), (vec![], vec![(MARK + 10, 10, 1)]));
    });
}

#[test]
fn only_reductions_take_part_when_the_market_is_reduce_only() {
    new_test_ext().execute_with(|| {
        with_positions();
        place(3, limit(1, Side::Ask, 10, MARK + 10)).unwrap();
        place(1, limit(1, Side::Ask, 4, MARK + 20)).unwrap();
        close();
        MockView::change(BTC, |m| m.status = MarketStatus::ReduceOnly);
        place(2, limit(1, Side::Bid, 6, MARK + 30)).unwrap();
        System::reset_events();
        let closed = close();
        assert_eq!(fills_of(&closed, 2), vec![(MARK + 20, 4)]);
        assert_eq!(fills_of(&closed, 3), vec![]);
        assert_eq!(cancellations(), vec![(2, 2, CancelReason::Touching)]);
        assert_eq!(book(), (vec![], vec![(MARK + 10, 10, 1)]));
        // Open again, the suspended order matches again.
        MockView::change(BTC, |m| m.status = MarketStatus::Open);
        place(4, limit(1, Side::Bid, 10, MARK + 10)).unwrap();
        assert_eq!(fills_of(&close(), 3), vec![(MARK + 10, 10)]);
    });
}

#[test]
fn orders_that_raise_risk_leave_when_the_cap_admits_only_reductions() {
    new_test_ext().execute_with(|| {
        with_positions();
        place(3, limit(1, Side::Bid, 10, MARK)).unwrap();
        place(1, limit(1, Side::Ask, 25, MARK)).unwrap();
        place(2, limit(1, Side::Bid, 15, MARK)).unwrap();
        let limits = MatchLimits {
            reducing_only: true,
            ..MatchLimits::first(FILLS)
        };
        System::reset_events();
        let closed = close_within(&limits);
        // Neither goes through zero.
        assert_eq!(fills_of(&closed, 1), vec![(MARK, 10)]);
        assert_eq!(fills_of(&closed, 2), vec![(MARK, 10)]);
        assert!(cancellations().contains(&(3, 10, CancelReason::MarketRestricted)));
        let lots = |owner| MockLedger::account(&account(owner)).unwrap().lots(BTC);
        assert_eq!((lots(1), lots(2), lots(3)), (0, 0, 0));
    });
}

#[test]
fn reduce_only_orders_execute_no_worse_when_tightened() {
    new_test_ext().execute_with(|| {
        with_positions();
        let reducing = |client, ticks| NewOrder {
            reduce_only: true,
            ..limit(client, Side::Ask, 4, ticks)
        };
        place(1, reducing(1, MARK + 10)).unwrap();
        close();
        place(1, reducing(2, MARK - 50)).unwrap();
        place(3, limit(1, Side::Bid, 10, MARK + 40)).unwrap();
        let limits = MatchLimits {
            tightened: BTreeMap::from([(account(1), MARK + 20)]),
            ..MatchLimits::first(FILLS)
        };
        let closed = close_within(&limits);
        assert!(fills_of(&closed, 1)
            .iter()
            .all(|(ticks, _)| *ticks >= MARK + 20));
        assert_eq!(fills_of(&closed, 1).len(), 1);
    });
}

#[test]
fn a_tightened_order_does_not_rest_at_a_limit_that_is_not_its_owners() {
    new_test_ext().execute_with(|| {
        with_positions();
        let reducing = NewOrder {
            reduce_only: true,
            ..limit(1, Side::Ask, 4, MARK + 10)
        };
        place(1, reducing).unwrap();
        let limits = MatchLimits {
            tightened: BTreeMap::from([(account(1), Ticks::MAX)]),
            ..MatchLimits::first(FILLS)
        };
        System::reset_events();
        close_within(&limits);
        assert_eq!(
            cancellations(),
            vec![(1, 4, CancelReason::InsufficientMargin)]
        );
        assert_eq!(book(), (vec![], vec![]));
    });
}

fn in_eth(order: NewOrder) -> NewOrder {
    NewOrder {
        market: ETH,
        ..order
    }
}

#[test]
fn a_market_waits_for_the_next_close_when_the_blocks_reading_is_used_up() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Ask, 10, MARK + 10)).unwrap();
        place(1, in_eth(limit(2, Side::Ask, 10, MARK + 10))).unwrap();
        close();
        place(2, limit(1, Side::Bid, 4, MARK + 10)).unwrap();
        place(2, in_eth(limit(2, Side::Bid, 4, MARK + 10))).unwrap();
        // The best groups of one market, and no more.
        BlockReads::set(2 * GROUP_ORDERS);
        close();
        let held = |id| MockLedger::account(&account(2)).unwrap().lots(id);
        assert_eq!((held(BTC), held(ETH)), (4, 0));
        assert_eq!(Waiting::<Test>::iter().collect::<Vec<_>>(), [(ETH, 1)]);
        assert!(!Reads::<Test>::exists());
        // It waited, which the close that takes it up has to bear too.
        BlockReads::set(2 * GROUP_ORDERS + WAITING_READS - 1);
        close();
        assert_eq!(held(ETH), 0);
        BlockReads::set(2 * GROUP_ORDERS + WAITING_READS);
        close();
        assert_eq!(held(ETH), 4);
        assert_eq!(Waiting::<Test>::iter().count(), 0);
        BlockReads::set(20_480);
    });
}

#[test]
fn a_match_stops_reading_when_the_blocks_bound_is_reached() {
    new_test_ext().execute_with(|| {
        // A group of 512, then groups of 100, each a percent further.
        for (owner, ticks, lots) in (0..12).map(|n| (100 + n, MARK + 1_200 * (n / 4), 1)) {
            fund(&account(owner), 1_000_000);
            for first in [0, 64] {
                let batch = (first..first + 64)
                    .map(|n| Operation::Place(limit(n, Side::Ask, lots, ticks)))
                    .collect();
                assert!(submit(owner, batch).iter().all(Result::is_ok));
            }
        }
        close();
        place(1, limit(1, Side::Bid, 1_600, MARK + 2_400)).unwrap();
        let read = |bound| {
            BlockReads::set(bound);
            LoadLimit::set(u32::MAX);
            let mut loaded = Pallet::<Test>::load(&market(BTC), vec![]).unwrap();
            Pallet::<Test>::run(&mut loaded, &MatchLimits::first(10_000));
            LoadLimit::set(512);
            BlockReads::set(20_480);
            loaded.read() as u32
        };
        assert_eq!(read(20_480), 3 * GROUP_ORDERS);
        assert_eq!(read(2 * GROUP_ORDERS), 2 * GROUP_ORDERS);
    });
}

#[test]
fn positions_behind_resting_orders_are_looked_up_within_the_bound_when_a_market_only_reduces() {
    new_test_ext().execute_with(|| {
        with_positions();
        // Account 2 is short, its bid reduces, and it stands behind a hundred that do not.
        for owner in 100..200 {
            fund(&account(owner), 1_000);
            place(owner, limit(1, Side::Bid, 2, MARK - 1)).unwrap();
        }
        place(2, limit(1, Side::Bid, 10, MARK - 2)).unwrap();
        close();
        MockView::change(BTC, |m| m.status = MarketStatus::ReduceOnly);
        place(1, limit(1, Side::Ask, 10, MARK - 5)).unwrap();
        let run = |bound| {
            BlockReads::set(bound);
            let view = MockView::view();
            let mut loaded = Pallet::<Test>::load(&view.markets[0], vec![]).unwrap();
            let tentative = Pallet::<Test>::run(&mut loaded, &MatchLimits::first(FILLS));
            BlockReads::set(20_480);
            (tentative.volume, loaded.looked())
        };
        assert_eq!(run(20_480), (10, 102));
        // The group costs 101; what is left pays for (1,024 − 101) / 16, and account 1 sent its order in this block.
        assert_eq!(run(2 * GROUP_ORDERS), (0, 57 + 1));
    });
}

#[test]
fn reduce_only_orders_count_with_their_position_when_they_are_read() {
    new_test_ext().execute_with(|| {
        with_positions();
        let reducing = NewOrder {
            reduce_only: true,
            ..limit(1, Side::Bid, 10, MARK - 1)
        };
        place(2, reducing).unwrap();
        close();
        place(3, limit(1, Side::Ask, 1, MARK - 1)).unwrap();
        let mut loaded = Pallet::<Test>::load(&market(BTC), vec![]).unwrap();
        Pallet::<Test>::run(&mut loaded, &MatchLimits::first(FILLS));
        Pallet::<Test>::commit(loaded);
        assert_eq!(Reads::<Test>::get(), GROUP_READ + POSITION_READS);
    });
}

#[test]
fn the_reserve_covers_reading_markets_and_housekeeping() {
    new_test_ext().execute_with(|| {
        type W = ();
        use crate::WeightInfo;
        let weight = Pallet::<Test>::close_weight;
        let market = <W as WeightInfo>::match_market() + <W as WeightInfo>::housekeep(0, 1)
            - <W as WeightInfo>::housekeep(0, 0)
            + <W as WeightInfo>::triggers(1)
            - <W as WeightInfo>::triggers(0);
        assert_eq!(weight(2) - weight(1), market);
        let less = weight(1);
        BlockReads::mutate(|n| *n += 7);
        assert_eq!(weight(1) - less, <W as WeightInfo>::read() * 7);
        BlockReads::mutate(|n| *n -= 7);
        ExpiringTriggers::mutate(|n| *n += 3);
        assert_eq!(weight(1) - less, <W as WeightInfo>::expire() * 3);
        ExpiringTriggers::mutate(|n| *n -= 3);
    });
}

#[test]
fn candidates_are_those_that_fills_reach_when_the_book_is_deep() {
    new_test_ext().execute_with(|| {
        for owner in 1..7 {
            place(owner, limit(1, Side::Ask, 1, MARK + 10)).unwrap();
        }
        close();
        place(7, limit(1, Side::Bid, 10, MARK + 10)).unwrap();
        let view = market(BTC);
        let mut loaded = Pallet::<Test>::load(&view, vec![]).unwrap();
        // As many on each side as are asked for, and the new one.
        Pallet::<Test>::run(&mut loaded, &MatchLimits::first(4));
        assert_eq!(Pallet::<Test>::candidates(&loaded, 2).len(), 3);
        assert_eq!(Pallet::<Test>::candidates(&loaded, 0).len(), 1);
    });
}

#[test]
fn liquidation_order_matches_once_and_never_rests() {
    new_test_ext().execute_with(|| {
        with_positions();
        place(3, limit(1, Side::Bid, 4, MARK - 10)).unwrap();
        close();
        let order = LiquidationOrder {
            account: account(1),
            market: BTC,
            side: Side::Ask,
            lots: 10,
            limit: MARK - 20,
        };
        System::reset_events();
        let closed = close_with(&MatchLimits::first(FILLS), vec![order]);
        assert_eq!(fills_of(&closed, 1), vec![(MARK - 10, 4)]);
        assert!(closed
            .fills
            .iter()
            .all(|f| f.liquidation == (f.account.owner == 1)));
        assert!(cancellations().is_empty());
        assert_eq!(book(), (vec![], vec![]));
        assert_eq!(closed.releases.len(), 1);
    });
}

#[test]
fn immediate_and_post_only_remainders_leave_with_their_reasons() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Ask, 5, MARK + 10)).unwrap();
        close();
        let with = |time_in_force, order| NewOrder {
            time_in_force,
            ..order
        };
        place(
            2,
            with(
                TimeInForce::ImmediateOrCancel,
                limit(1, Side::Bid, 8, MARK + 10),
            ),
        )
        .unwrap();
        System::reset_events();
        close();
        assert_eq!(cancellations(), vec![(2, 3, CancelReason::NotImmediate)]);
        place(1, limit(2, Side::Ask, 5, MARK + 10)).unwrap();
        close();
        place(
            3,
            with(TimeInForce::PostOnly, limit(1, Side::Bid, 8, MARK + 10)),
        )
        .unwrap();
        System::reset_events();
        assert!(close().fills.is_empty());
        assert_eq!(cancellations(), vec![(3, 8, CancelReason::WouldCross)]);
    });
}

#[test]
fn releases_return_the_whole_reserve_when_an_order_fills_in_parts() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Bid, 7, MARK - 11)).unwrap();
        close();
        for owner in 2..5 {
            place(owner, limit(1, Side::Ask, 2, MARK - 11)).unwrap();
            close();
        }
        assert_eq!(
            MockLedger::account(&account(1)).unwrap().orders[0].bid_lots,
            1
        );
        place(5, limit(1, Side::Ask, 1, MARK - 11)).unwrap();
        close();
        assert!(MockLedger::account(&account(1)).unwrap().orders.is_empty());
        assert_eq!(MockLedger::account(&account(1)).unwrap().lots(BTC), 7);
    });
}

fn whole(client_id: ClientId, lots: Lots) -> NewOrder {
    NewOrder {
        time_in_force: TimeInForce::FillOrKill,
        ..limit(client_id, Side::Bid, lots, MARK + 10)
    }
}

/// Who filled, and how much.
fn filled(closed: &Closed) -> Vec<(AccountId, Lots)> {
    let bids = closed.fills.iter().filter(|f| f.side == Side::Bid);
    bids.map(|f| (f.account.owner, f.lots)).collect()
}

#[test]
fn fill_or_kill_order_executes_whole_or_leaves_what_there_is_to_others() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Ask, 10, MARK + 5)).unwrap();
        close();
        place(2, whole(1, 11)).unwrap();
        System::reset_events();
        assert!(close().fills.is_empty());
        assert_eq!(cancellations(), [(2, 11, CancelReason::NotWhole)]);
        place(2, whole(1, 10)).unwrap();
        place(3, limit(1, Side::Bid, 4, MARK - 5)).unwrap();
        assert_eq!(filled(&close()), [(2, 10)]);

        place(1, limit(2, Side::Ask, 10, MARK + 5)).unwrap();
        close();
        // Six of ten each is too much for both; one of them goes, and the other has it all.
        place(2, whole(2, 6)).unwrap();
        place(3, whole(2, 6)).unwrap();
        let immediate = NewOrder {
            time_in_force: TimeInForce::ImmediateOrCancel,
            ..whole(2, 4)
        };
        place(4, immediate).unwrap();
        let closed = filled(&close());
        assert_eq!(closed.iter().map(|f| f.1).collect::<Vec<_>>(), [6, 4]);
        assert_eq!((open(2).len(), open(3).len()), (0, 1));
    });
}

#[test]
fn fill_or_kill_order_does_not_fill_in_part_when_only_reductions_are_admitted() {
    for (lots, fills) in [(25, None), (11, None), (10, Some(10)), (4, Some(4))] {
        new_test_ext().execute_with(|| {
            with_positions();
            // 1 is long ten lots, and would go through zero with more.
            let whole = NewOrder {
                side: Side::Ask,
                ..whole(1, lots)
            };
            let limit_at_mark = NewOrder {
                price: OrderPrice::Limit(MARK),
                ..whole
            };
            place(1, limit_at_mark).unwrap();
            place(2, limit(1, Side::Bid, 10, MARK)).unwrap();
            let limits = MatchLimits {
                reducing_only: true,
                ..MatchLimits::first(FILLS)
            };
            System::reset_events();
            let closed = close_within(&limits);
            let expected: Vec<_> = fills.iter().map(|lots| (MARK, *lots)).collect();
            assert_eq!(fills_of(&closed, 1), expected);
            let killed = (1, lots, CancelReason::MarketRestricted);
            assert_eq!(cancellations().contains(&killed), fills.is_none());
        });
    }
}

#[test]
fn fill_or_kill_orders_are_killed_when_no_reads_are_left_for_further_runs() {
    for (reads, fills) in [(20_480, true), (16_390, false)] {
        new_test_ext().execute_with(|| {
            place(1, limit(1, Side::Ask, 10, MARK + 5)).unwrap();
            close();
            BlockReads::set(reads);
            // All that two thirds of the reads leave.
            crate::Reads::<Test>::put(15_360);
            place(2, whole(1, 5)).unwrap();
            for owner in 3..10 {
                let rest = |n| Operation::Place(limit(n, Side::Bid, 1, MARK - 10 - n));
                submit(owner, (0..40).map(rest).collect());
            }
            let immediate = NewOrder {
                time_in_force: TimeInForce::ImmediateOrCancel,
                ..whole(2, 3)
            };
            place(2, immediate).unwrap();
            System::reset_events();
            let closed = close();
            let expected: &[_] = if fills { &[(2, 5), (2, 3)] } else { &[(2, 3)] };
            assert_eq!(filled(&closed), expected);
            let killed = (2, 5, CancelReason::NotWhole);
            assert_eq!(cancellations().contains(&killed), !fills);
            BlockReads::set(20_480);
        });
    }
}

#[test]
fn orders_that_the_close_brings_match_like_those_of_its_block() {
    let fills = |in_close: bool| {
        new_test_ext().execute_with(|| {
            place(2, limit(1, Side::Ask, 9, MARK)).unwrap();
            place(3, limit(1, Side::Bid, 9, MARK)).unwrap();
            let order = limit(1, Side::Bid, 9, MARK);
            if in_close {
                let of = account(1);
                let mut operations = vec![Operation::Place(order)];
                // One that fails changes nothing.
                operations.push(Operation::Cancel(OrderTarget::Client(7)));
                let view = MockView::view();
                assert_eq!(Pallet::<Test>::order(&of, &view, &operations), 1);
            } else {
                place(1, order).unwrap();
            }
            let closed = close();
            let all = [1, 2, 3].map(|owner| fills_of(&closed, owner));
            (all, book())
        })
    };
    assert_eq!(fills(true), fills(false));
}

#[test]
fn an_order_that_the_close_brings_is_checked_at_its_marks() {
    new_test_ext().execute_with(|| {
        let nobody = account(77);
        let operations = [Operation::Place(limit(1, Side::Bid, 9, MARK))];
        let view = MockView::view();
        assert_eq!(Pallet::<Test>::order(&nobody, &view, &operations), 0);
        let mut halted = view;
        halted.markets[0].status = MarketStatus::Halted;
        assert_eq!(Pallet::<Test>::order(&account(1), &halted, &operations), 0);
        assert!(open(1).is_empty());
    });
}
