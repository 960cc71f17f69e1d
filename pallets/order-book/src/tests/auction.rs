//! Call auctions on the book: the call phase, and uncrossing in one close or in several.

use crate::{close::Ties, mock::*, types::*, Pallet};
use novate_matching::{call_auction, Kind, Order, Rules, Terms};
use novate_types::{CancelReason::*, *};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

fn fills(parts: &[Closed]) -> BTreeMap<(AccountId, Sequence), Lots> {
    let mut sums = BTreeMap::<_, Lots>::new();
    for fill in parts.iter().flat_map(|closed| &closed.fills) {
        *sums.entry((fill.account.owner, fill.sequence)).or_default() += fill.lots;
    }
    sums
}

fn prices(parts: &[Closed]) -> Vec<Ticks> {
    let mut prices: Vec<_> = parts
        .iter()
        .flat_map(|c| &c.fills)
        .map(|f| f.ticks)
        .collect();
    prices.sort_unstable();
    prices.dedup();
    prices
}

fn bought(parts: &[Closed], owner: AccountId) -> Lots {
    fills(parts)
        .iter()
        .filter(|((o, _), _)| *o == owner)
        .map(|(_, lots)| lots)
        .sum()
}

fn number(value: &Value) -> u64 {
    value
        .as_str()
        .expect("numbers are strings")
        .parse()
        .expect("a whole number")
}

/// Source: `call_auction.json` of the project's shared numeric vectors ("computed by brute force over every tick"), through intake, the
/// book's pages, the match and its commit.
#[test]
fn price_and_volume_are_the_vectors_on_the_chains_path() {
    let file = include_str!("../../../../primitives/matching/tests/vectors/call_auction.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 45);
    for case in cases {
        let name = &case["id"];
        let rows = case["in"]["orders"].as_array().unwrap();
        let out = &case["out"];
        let volume = number(&out["max_volume"]);
        let interval = out["min_imbalance_prices"].as_array().map(|all| {
            let pair = all[0].as_array().unwrap();
            (number(&pair[0]), number(&pair[1]))
        });
        new_test_ext().execute_with(|| {
            let last = interval.map_or_else(|| number(&rows[0][2]), |(_, last)| last);
            MockView::change(BTC, |m| {
                m.price_band = MILLION;
                m.min_notional = 0;
            });
            // Nearest to the mark.
            mark(BTC, last + 1);
            call(4);
            for (n, row) in rows.iter().enumerate() {
                let owner = 1_000 + n as u64;
                fund(&account(owner), 1_000_000_000_000_000_000_000_000);
                let side = if row[1] == "buy" {
                    Side::Bid
                } else {
                    Side::Ask
                };
                place(owner, limit(1, side, number(&row[3]), number(&row[2]))).unwrap();
                if n % 8 == 7 && n / 8 < 3 {
                    assert!(close().fills.is_empty());
                }
            }
            let parts = uncross(u32::MAX);
            let traded: Lots = fills(&parts).values().sum();
            assert_eq!(traded, 2 * volume, "volume of {name}");
            assert_eq!(
                prices(&parts),
                interval.map(|_| last).into_iter().collect::<Vec<_>>()
            );
            for fill in parts.iter().flat_map(|closed| &closed.fills) {
                let row = &rows[fill.account.owner as usize - 1_000];
                assert!(fill.side.accepts(number(&row[2]), fill.ticks), "{name}");
                assert!(fill.lots <= number(&row[3]), "{name}");
            }
        });
    }
}

#[test]
fn orders_of_a_call_rest_and_cross_until_they_execute_at_one_price() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Bid, 5, MARK - 100)).unwrap();
        close();
        call(3);
        place(2, limit(1, Side::Bid, 10, MARK + 50)).unwrap();
        close();
        place(3, limit(1, Side::Ask, 8, MARK - 50)).unwrap();
        close();
        assert_eq!(
            book(),
            (
                vec![(MARK + 50, 10, 1), (MARK - 100, 5, 1)],
                vec![(MARK - 50, 8, 1)]
            )
        );
        // Cancels are as ever, and amendments.
        place(4, limit(1, Side::Ask, 3, MARK - 60)).unwrap();
        operate(4, Operation::Cancel(OrderTarget::Client(1))).unwrap();
        let parts = uncross(FILLS);
        assert_eq!(parts.len(), 1);
        assert_eq!(prices(&parts), [MARK]);
        assert_eq!((bought(&parts, 2), bought(&parts, 3)), (8, 8));
        assert_eq!(
            book(),
            (vec![(MARK + 50, 2, 1), (MARK - 100, 5, 1)], vec![])
        );
    });
}

#[test]
fn an_older_order_of_the_call_executes_before_a_younger_one_of_its_limit() {
    new_test_ext().execute_with(|| {
        call(3);
        place(1, limit(1, Side::Bid, 5, MARK)).unwrap();
        close();
        place(2, limit(1, Side::Bid, 5, MARK)).unwrap();
        place(3, limit(1, Side::Bid, 5, MARK)).unwrap();
        close();
        place(4, limit(1, Side::Ask, 9, MARK)).unwrap();
        let parts = uncross(FILLS);
        assert_eq!([1, 2, 3].map(|owner| bought(&parts, owner)), [5, 2, 2]);
        let taker = parts[0].fills.iter().all(|f| f.role == Role::Taker);
        assert!(taker, "in an auction nobody makes");
    });
}

#[test]
fn intake_takes_only_what_rests_when_a_market_is_called() {
    new_test_ext().execute_with(|| {
        call(9);
        let of = |time_in_force| NewOrder {
            time_in_force,
            ..limit(1, Side::Bid, 5, MARK)
        };
        use TimeInForce::*;
        for refused in [
            of(ImmediateOrCancel),
            of(FillOrKill),
            of(PostOnly),
            NewOrder {
                price: OrderPrice::Market,
                ..of(ImmediateOrCancel)
            },
        ] {
            assert_eq!(place(1, refused), Err(OrderError::CallPhase));
        }
        let pegged = NewPegged {
            order: of(PostOnly),
            anchor: Anchor::Mark,
            offset: 0,
        };
        assert_eq!(
            operate(1, Operation::PlacePegged(pegged)),
            Err(OrderError::CallPhase)
        );
        assert!(open(1).is_empty());
        place(1, of(GoodTilCancelled)).unwrap();
        place(2, of(GoodTilBlock(50))).unwrap();
        operate(3, iceberg(of(GoodTilCancelled), 2)).unwrap();
        // What waits for the mark or the clock is taken at any time.
        let stop = NewOrder {
            client_id: 2,
            ..of(ImmediateOrCancel)
        };
        arm(4, trigger(stop, Direction::Up, MARK + 9)).unwrap();
        let terms = NewTwap {
            order: NewOrder {
                lots: 20,
                ..of(ImmediateOrCancel)
            },
            slices: 2,
            interval: 1,
        };
        schedule(5, terms).unwrap();
        // Smaller, or at another limit.
        let amend = |price, lots| Operation::Amend {
            target: OrderTarget::Client(1),
            price,
            lots,
        };
        assert_eq!(operate(1, amend(None, Some(4))), Ok(Accepted::Reduced));
        assert!(matches!(
            operate(1, amend(Some(MARK + 1), None)),
            Ok(Accepted::Placed(_))
        ));
        // A slice is refused by name; the TWAP goes on.
        System::reset_events();
        close();
        assert_eq!(fired().last().unwrap().2, Err(OrderError::CallPhase));
        // A post-only order that rests may not be amended into the call.
        MockView::change(BTC, |m| m.auction_at = 0);
        place(6, of(PostOnly)).unwrap();
        close();
        call(9);
        assert_eq!(
            operate(6, amend(Some(MARK - 1), None)),
            Err(OrderError::CallPhase)
        );
    });
}

#[test]
fn no_order_comes_in_while_an_auction_that_has_its_price_goes_on() {
    new_test_ext().execute_with(|| {
        call(1);
        for owner in 1..4 {
            place(owner, limit(1, Side::Bid, 5, MARK + 10)).unwrap();
            place(owner + 3, limit(1, Side::Ask, 5, MARK - 10)).unwrap();
        }
        let first = close_within(&MatchLimits::first(2));
        assert_eq!(first.unfinished, Some(Unfinished { price: Some(MARK) }));
        assert_eq!(
            place(7, limit(1, Side::Bid, 5, MARK + 10)),
            Err(OrderError::Uncrossing)
        );
        let amended = Operation::Amend {
            target: OrderTarget::Client(1),
            price: Some(MARK + 20),
            lots: None,
        };
        let waits = (1..4).find(|owner| !open(*owner).is_empty()).unwrap();
        assert_eq!(operate(waits, amended), Err(OrderError::Uncrossing));
        // Cancels are.
        operate(waits, Operation::CancelAll { market: None }).unwrap();
        MockView::change(BTC, |m| {
            m.mark = math::price_of(MARK + 900, m.tick_size).unwrap();
        });
        let mut limits = MatchLimits::first(FILLS);
        limits.auction.price = Some(MARK);
        let second = close_within(&limits);
        assert_eq!(second.unfinished, None);
        let both = [first, second];
        assert_eq!(prices(&both), [MARK]);
        assert_eq!(fills(&both).values().sum::<Lots>(), 2 * 10);
        MockView::change(BTC, |m| m.auction_at = 0);
        Pallet::<Test>::do_try_state().unwrap();
        place(7, limit(1, Side::Bid, 5, MARK)).unwrap();
    });
}

#[test]
fn another_price_is_found_when_what_is_left_crosses_and_not_at_the_first() {
    new_test_ext().execute_with(|| {
        call(1);
        place(1, limit(1, Side::Bid, 5, MARK + 40)).unwrap();
        place(2, limit(1, Side::Bid, 5, MARK + 40)).unwrap();
        place(3, limit(1, Side::Ask, 5, MARK)).unwrap();
        place(4, limit(1, Side::Ask, 5, MARK)).unwrap();
        place(5, limit(1, Side::Ask, 5, MARK + 30)).unwrap();
        let first = close_within(&MatchLimits::first(2));
        assert_eq!(first.unfinished, Some(Unfinished { price: Some(MARK) }));
        for owner in [3, 4] {
            operate(owner, Operation::CancelAll { market: None }).unwrap();
        }
        let mut limits = MatchLimits::first(FILLS);
        limits.auction.price = Some(MARK);
        let second = close_within(&limits);
        assert_eq!(
            (second.fills.len(), second.unfinished),
            (0, Some(Unfinished { price: None }))
        );
        let third = close();
        assert_eq!(prices(&[third]), [MARK + 30]);
        MockView::change(BTC, |m| m.auction_at = 0);
        Pallet::<Test>::do_try_state().unwrap();
    });
}

#[test]
fn what_waited_for_its_market_is_cancelled_in_a_call_unless_it_rests() {
    new_test_ext().execute_with(|| {
        BlockReads::set(0);
        use TimeInForce::*;
        for (owner, time_in_force) in [(1, ImmediateOrCancel), (2, FillOrKill), (3, PostOnly)] {
            let order = NewOrder {
                time_in_force,
                ..limit(1, Side::Bid, 5, MARK)
            };
            place(owner, order).unwrap();
        }
        close();
        BlockReads::set(20_480);
        call(2);
        System::reset_events();
        close();
        assert_eq!(cancellations(), [(1, 5, NotImmediate), (2, 5, NotWhole)]);
        place(4, limit(1, Side::Ask, 5, MARK - 10)).unwrap();
        assert_eq!(bought(&uncross(FILLS), 3), 5);
    });
}

#[test]
fn nothing_fires_or_follows_in_a_call() {
    new_test_ext().execute_with(|| {
        let pegged = NewPegged {
            order: NewOrder {
                time_in_force: TimeInForce::PostOnly,
                ..limit(1, Side::Bid, 5, MARK + 50)
            },
            anchor: Anchor::Mark,
            offset: -10,
        };
        operate(1, Operation::PlacePegged(pegged)).unwrap();
        let stop = limit(1, Side::Ask, 5, MARK + 500);
        arm(2, trigger(stop, Direction::Down, MARK - 100)).unwrap();
        close();
        call(2);
        mark(BTC, MARK - 200);
        System::reset_events();
        close();
        assert!(fired().is_empty());
        assert_eq!(book().0, [(MARK - 10, 5, 1)]);
        // It stands where it was, and takes part as any other.
        place(3, limit(1, Side::Ask, 2, MARK - 300)).unwrap();
        let parts = uncross(FILLS);
        assert_eq!(bought(&parts, 1), 2);
        assert!(fired().is_empty());
        // Afterwards both do.
        System::reset_events();
        close();
        assert_eq!(fired().len(), 1);
        assert_eq!(open(1)[0].ticks, MARK - 210);
    });
}

#[test]
fn an_iceberg_takes_part_with_what_it_shows() {
    new_test_ext().execute_with(|| {
        call(2);
        operate(1, iceberg(limit(1, Side::Bid, 10, MARK), 4)).unwrap();
        close();
        place(2, limit(1, Side::Ask, 7, MARK)).unwrap();
        assert_eq!(bought(&uncross(FILLS), 1), 4);
        // The next part comes into the next close.
        assert_eq!(bought(&[close()], 1), 3);
        assert_eq!(open(1)[0].lots, 1);
    });
}

#[test]
fn the_trigger_of_a_pair_leaves_when_its_order_fills_in_an_auction() {
    new_test_ext().execute_with(|| {
        place(1, limit(90, Side::Bid, 10, MARK)).unwrap();
        place(2, limit(90, Side::Ask, 10, MARK)).unwrap();
        close();
        call(2);
        let stop = NewTrigger {
            expires: Some(900),
            ..trigger(
                limit(2, Side::Ask, 10, MARK - 90),
                Direction::Down,
                MARK - 90,
            )
        };
        pair(1, Leg::Order(limit(1, Side::Ask, 10, MARK + 5)), stop).unwrap();
        close();
        place(3, limit(1, Side::Bid, 4, MARK + 5)).unwrap();
        System::reset_events();
        assert_eq!(bought(&uncross(FILLS), 3), 4);
        assert!(armed(1).is_empty());
        assert_eq!(cancellations(), [(1, 10, OtherExecuted)]);
    });
}

#[test]
fn owners_own_orders_do_not_meet_and_what_only_reduces_is_cut_to_the_position() {
    new_test_ext().execute_with(|| {
        place(1, limit(90, Side::Bid, 10, MARK)).unwrap();
        place(2, limit(90, Side::Ask, 10, MARK)).unwrap();
        close();
        call(2);
        let reducing = NewOrder {
            reduce_only: true,
            ..limit(1, Side::Ask, 30, MARK - 10)
        };
        place(1, reducing).unwrap();
        place(3, limit(1, Side::Ask, 5, MARK - 10)).unwrap();
        place(3, limit(2, Side::Bid, 5, MARK + 10)).unwrap();
        close();
        place(4, limit(1, Side::Bid, 20, MARK + 10)).unwrap();
        System::reset_events();
        let parts = uncross(FILLS);
        assert_eq!([1, 3, 4].map(|owner| bought(&parts, owner)), [10, 5, 15]);
        let mut cancelled = cancellations();
        cancelled.sort_by_key(|c| c.0);
        assert_eq!(cancelled, [(1, 20, NothingToReduce), (3, 5, SelfTrade)]);
        assert_eq!(lots_of(1), 0);
    });
}

#[test]
fn limits_beyond_the_band_are_cut_to_it_when_they_are_called() {
    new_test_ext().execute_with(|| {
        call(3);
        // 2 % are 2,400 ticks.
        place(1, limit(1, Side::Bid, 9, MARK + 5_000)).unwrap();
        let expiring = NewOrder {
            time_in_force: TimeInForce::GoodTilBlock(40),
            ..limit(1, Side::Bid, 9, MARK + 4_000)
        };
        place(2, expiring).unwrap();
        close();
        place(3, limit(1, Side::Ask, 6, MARK - 9_000)).unwrap();
        place(4, limit(1, Side::Ask, 6, MARK + 3_000)).unwrap();
        close();
        assert_eq!(book().0[0], (MARK + 5_000, 9, 1));
        let parts = uncross(FILLS);
        // At the edge they are equals, and what is left there is older than what comes.
        assert_eq!(
            [1, 2, 3, 4].map(|owner| bought(&parts, owner)),
            [3, 3, 6, 0]
        );
        assert_eq!(prices(&parts), [MARK]);
        assert_eq!(
            book(),
            (vec![(MARK + 2_400, 12, 2)], vec![(MARK + 3_000, 6, 1)])
        );
        assert_eq!(open(2)[0].block, 1);
        for _ in 0..40 {
            close();
        }
        assert!(open(2).is_empty());
        assert_eq!(open(1).len(), 1);
    });
}

#[test]
fn what_may_not_take_part_leaves_where_it_crosses() {
    new_test_ext().execute_with(|| {
        place(1, limit(90, Side::Bid, 10, MARK)).unwrap();
        place(2, limit(90, Side::Ask, 10, MARK)).unwrap();
        close();
        call(2);
        // 1 reduces its 10 lots with 12, 3 and 4 open.
        place(1, limit(1, Side::Ask, 12, MARK - 10)).unwrap();
        place(3, limit(1, Side::Bid, 4, MARK + 10)).unwrap();
        place(4, limit(1, Side::Bid, 4, MARK - 100)).unwrap();
        place(2, limit(1, Side::Bid, 6, MARK + 10)).unwrap();
        close();
        MockView::change(BTC, |m| m.status = MarketStatus::ReduceOnly);
        System::reset_events();
        let parts = uncross(FILLS);
        assert_eq!([1, 2, 3].map(|owner| bought(&parts, owner)), [6, 6, 0]);
        let mut cancelled = cancellations();
        cancelled.sort_by_key(|c| c.0);
        assert_eq!(
            cancelled,
            [(1, 2, MarketRestricted), (3, 4, MarketRestricted)]
        );
        assert_eq!(book(), (vec![(MARK - 100, 4, 1)], vec![(MARK - 10, 4, 1)]));
    });
}

#[test]
fn whom_the_last_round_did_not_look_at_waits_for_the_next_close() {
    new_test_ext().execute_with(|| {
        call(1);
        for owner in 1..3 {
            place(owner, limit(1, Side::Bid, 5, MARK + 10)).unwrap();
            place(owner + 2, limit(1, Side::Ask, 5, MARK - 10)).unwrap();
        }
        place(5, limit(1, Side::Ask, 5, MARK - 20)).unwrap();
        let limits = MatchLimits {
            admitted: Some([account(1), account(3)].into()),
            cancelled: [account(5)].into(),
            ..MatchLimits::first(FILLS)
        };
        System::reset_events();
        let first = close_within(&limits);
        assert_eq!(first.unfinished, Some(Unfinished { price: Some(MARK) }));
        assert_eq!(fills(&[first]).len(), 2);
        assert_eq!(cancellations(), [(5, 5, InsufficientMargin)]);
        let mut limits = MatchLimits::first(FILLS);
        limits.auction.price = Some(MARK);
        let second = close_within(&limits);
        assert_eq!((second.fills.len(), second.unfinished), (2, None));
        MockView::change(BTC, |m| m.auction_at = 0);
        Pallet::<Test>::do_try_state().unwrap();
    });
}

#[test]
fn an_auction_goes_on_when_more_crosses_than_a_close_reads() {
    new_test_ext().execute_with(|| {
        call(2);
        // A group of the book is about 60 ticks wide here.
        for n in 0..8u64 {
            let (bidder, asker) = (100 + n, 200 + n);
            fund(&account(bidder), 1_000_000);
            fund(&account(asker), 1_000_000);
            place(bidder, limit(1, Side::Bid, 5, MARK + 100 + 100 * n)).unwrap();
            place(asker, limit(1, Side::Ask, 5, MARK - 100 - 100 * n)).unwrap();
        }
        close();
        LoadLimit::set(1);
        let parts = uncross(u32::MAX);
        LoadLimit::set(512);
        assert!(parts.len() > 2, "{}", parts.len());
        assert_eq!(prices(&parts), [MARK]);
        assert_eq!(fills(&parts).values().sum::<Lots>(), 2 * 40);
        assert_eq!(book(), (vec![], vec![]));
    });
}

#[test]
fn nothing_executes_without_a_price_within_both_bands() {
    new_test_ext().execute_with(|| {
        call(1);
        place(1, limit(1, Side::Bid, 5, MARK + 10)).unwrap();
        place(2, limit(1, Side::Ask, 5, MARK - 10)).unwrap();
        let mut limits = MatchLimits::first(FILLS);
        limits.auction.reference = math::price_of(MARK + 9_000, market(BTC).tick_size).unwrap();
        let closed = close_within(&limits);
        assert_eq!(
            (closed.fills.len(), closed.unfinished),
            (0, Some(Unfinished { price: None }))
        );
        assert_eq!(book(), (vec![(MARK + 10, 5, 1)], vec![(MARK - 10, 5, 1)]));
        limits.auction.reference = math::price_of(MARK + 2_455, market(BTC).tick_size).unwrap();
        let closed = close_within(&limits);
        // The lower edge around the reference is 120,005.9 ticks.
        assert_eq!(prices(&[closed]), [MARK + 6]);
    });
}

#[test]
fn the_side_that_is_not_read_to_its_end_does_not_choose_the_price() {
    new_test_ext().execute_with(|| {
        call(2);
        place(4, limit(1, Side::Bid, 5, MARK + 300)).unwrap();
        place(5, limit(1, Side::Bid, 5, MARK + 100)).unwrap();
        close();
        // Ten trade up to 500 above the mark; of what is known least is left over from 301 on.
        place(1, limit(1, Side::Bid, 10, MARK + 500)).unwrap();
        place(2, limit(1, Side::Bid, 90, MARK + 200)).unwrap();
        place(3, limit(1, Side::Ask, 10, MARK - 10)).unwrap();
        LoadLimit::set(1);
        let parts = uncross(FILLS);
        LoadLimit::set(512);
        assert_eq!(prices(&parts), [MARK]);
        assert_eq!([1, 3].map(|owner| bought(&parts, owner)), [10, 10]);
    });
}

#[test]
fn where_only_reductions_match_both_sides_are_looked_up_by_turns() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Bid, 80, MARK)).unwrap();
        for n in 0..80 {
            fund(&account(100 + n), 1_000);
            place(100 + n, limit(1, Side::Ask, 1, MARK)).unwrap();
        }
        close_within(&MatchLimits::first(u32::MAX));
        assert_eq!(lots_of(1), 80);
        call(2);
        for n in 0..80 {
            place(100 + n, limit(2, Side::Bid, 1, MARK + 10)).unwrap();
        }
        place(1, limit(2, Side::Ask, 80, MARK - 10)).unwrap();
        close();
        MockView::change(BTC, |m| m.status = MarketStatus::ReduceOnly);
        // Enough for the positions of some sixty of them.
        BlockReads::set(1_100);
        let parts = uncross(u32::MAX);
        BlockReads::set(20_480);
        assert_eq!(prices(&parts), [MARK]);
        assert!(parts.len() > 1);
        assert_eq!(lots_of(1), 0);
    });
}

#[test]
fn liquidation_orders_execute_in_an_auction() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Bid, 10, MARK)).unwrap();
        place(2, limit(1, Side::Ask, 10, MARK)).unwrap();
        close();
        call(2);
        place(3, limit(1, Side::Bid, 6, MARK + 10)).unwrap();
        close();
        System::reset_events();
        let order = LiquidationOrder {
            account: account(1),
            market: BTC,
            side: Side::Ask,
            lots: 10,
            limit: MARK - 20,
        };
        let closed = close_with(&MatchLimits::first(FILLS), vec![order]);
        assert_eq!(closed.unfinished, None);
        assert_eq!((lots_of(1), lots_of(3)), (4, 6));
        assert_eq!(prices(&[closed]), [MARK]);
        assert!(cancellations().is_empty());
        assert_eq!(book(), (vec![], vec![]));
    });
}

#[test]
fn a_match_says_whether_it_ended_at_the_edge_of_its_band() {
    new_test_ext().execute_with(|| {
        // A lot there is worth 6.12 USD, and 600 are wanted.
        let edge = MARK + 2_400;
        place(1, limit(1, Side::Ask, 5, edge - 1)).unwrap();
        place(2, limit(1, Side::Bid, 3, edge - 1)).unwrap();
        assert!(!close().at_edge);
        // What stands there is worth 599.76 USD, then a lot more,
        place(2, limit(2, Side::Bid, 100, edge + 900)).unwrap();
        assert!(!close().at_edge);
        place(3, limit(1, Side::Bid, 1, edge + 5)).unwrap();
        assert!(close().at_edge);
        // still is,
        place(3, limit(2, Side::Bid, 5, MARK - 900)).unwrap();
        assert!(close().at_edge);
        // and what trades there counts with it, in its own match.
        place(4, limit(1, Side::Ask, 3, MARK)).unwrap();
        let traded = close();
        assert!(traded.at_edge);
        assert_eq!(prices(&[traded]), [edge]);
        place(4, limit(2, Side::Ask, 1, MARK)).unwrap();
        assert!(!close().at_edge);
        // An order that only reduces may be gone tomorrow.
        let reducing = NewOrder {
            reduce_only: true,
            ..limit(3, Side::Bid, 900, edge)
        };
        place(4, reducing).unwrap();
        assert!(!close().at_edge);
        place(5, limit(1, Side::Bid, 4, edge)).unwrap();
        assert!(close().at_edge);
        mark(BTC, MARK + 100);
        place(3, limit(3, Side::Ask, 1, edge + 100)).unwrap();
        assert!(!close().at_edge);
        // Downwards.
        place(6, limit(1, Side::Ask, 400, MARK - 20_000)).unwrap();
        assert!(close().at_edge);
        MockView::change(BTC, |m| m.status = MarketStatus::ReduceOnly);
        place(
            2,
            NewOrder {
                reduce_only: true,
                ..limit(9, Side::Ask, 1, MARK)
            },
        )
        .unwrap();
        assert!(!close().at_edge);
    });
}

/// A call's order: owner, block, side, ticks from the mark, lots.
type Drawn = (AccountId, usize, bool, i64, Lots);

fn any_call() -> impl Strategy<Value = Vec<Drawn>> {
    let order = (1u64..9, 0usize..3, any::<bool>(), -40i64..40, 1u64..20);
    prop::collection::vec(order, 0..40)
}

fn side(bids: bool) -> Side {
    if bids {
        Side::Bid
    } else {
        Side::Ask
    }
}

/// Plays a call of three blocks, in each of them owners in this direction, and uncrosses it.
fn play(drawn: &[Drawn], reversed: bool, max_fills: u32) -> Vec<Closed> {
    call(4);
    for block in 0..3 {
        let mut owners: Vec<_> = (1..9).collect();
        if reversed {
            owners.reverse();
        }
        for owner in owners {
            let own = drawn.iter().enumerate();
            let own = own.filter(|(_, order)| (order.0, order.1) == (owner, block));
            let operations: Vec<_> = own
                .map(|(n, (_, _, bids, from, lots))| {
                    let ticks = MARK.checked_add_signed(*from).unwrap();
                    Operation::Place(limit(n as u64, side(*bids), *lots, ticks))
                })
                .collect();
            if !operations.is_empty() {
                assert!(submit(owner, operations).iter().all(Result::is_ok));
            }
        }
        assert!(close().fills.is_empty());
    }
    uncross(max_fills)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn an_auction_is_that_of_the_pure_function(drawn in any_call()) {
        new_test_ext().execute_with(|| {
            let parts = play(&drawn, false, u32::MAX);
            prop_assert_eq!(parts.len(), 1);
            let mut next = BTreeMap::<AccountId, Sequence>::new();
            let mut ordered: Vec<(usize, &Drawn)> = drawn.iter().enumerate().collect();
            ordered.sort_by_key(|(n, order)| (order.1, *n));
            let ties = Ties::now::<Test>();
            let mut names = BTreeMap::new();
            let first = MockLedger::account(&account(1)).unwrap().next_sequence
                - drawn.iter().filter(|order| order.0 == 1).count() as u64;
            let mut orders = Vec::new();
            for (n, (owner, block, bids, from, lots)) in ordered {
                let sequence = *next.entry(*owner).and_modify(|s| *s += 1).or_insert(first);
                names.insert(n as u32, (*owner, sequence));
                orders.push(Order {
                    id: n as u32,
                    owner: *owner as u32,
                    account: *owner as u32,
                    side: side(*bids),
                    limit: MARK.checked_add_signed(*from).unwrap(),
                    lots: *lots,
                    block: *block as BlockNumber,
                    sequence,
                    kind: Kind::Rest,
                    reduce_only: false,
                    self_trade: SelfTradePrevention::CancelNewest,
                    tie: ties.of(&account(*owner), sequence),
                });
            }
            let view = market(BTC);
            let rules = Rules {
                mark: view.mark,
                tick_size: view.tick_size,
                band: view.price_band,
                max_fills: u32::MAX,
            };
            let expected = call_auction(Some(&rules), &Terms::default(), &orders, &|_| 0).unwrap();
            let mut lots = BTreeMap::<_, Lots>::new();
            for fill in &expected.fills {
                *lots.entry(names[&fill.order]).or_default() += fill.lots;
            }
            prop_assert_eq!(fills(&parts), lots);
            prop_assert_eq!(prices(&parts), expected.last.into_iter().collect::<Vec<_>>());
            Ok(())
        })?;
    }

    #[test]
    fn parts_of_an_auction_trade_as_much_at_the_same_price(
        drawn in any_call(), max_fills in 2u32..9,
    ) {
        let at_once = new_test_ext().execute_with(|| play(&drawn, false, u32::MAX));
        // Checks conservation and the book after each close, and at the end that it does not cross.
        let parts = new_test_ext().execute_with(|| play(&drawn, false, max_fills));
        let sum = |parts: &[Closed]| fills(parts).values().sum::<Lots>();
        prop_assert_eq!(prices(&parts), prices(&at_once));
        prop_assert_eq!(sum(&parts), sum(&at_once));
        prop_assert!(parts.iter().all(|part| part.fills.len() <= max_fills as usize));
        let last = parts.len() - 1;
        prop_assert!(parts[..last].iter().all(|part| part.unfinished.is_some()));
    }

    #[test]
    fn an_auction_is_the_same_whatever_the_order_in_which_owners_came(
        drawn in any_call(), max_fills in 2u32..20,
    ) {
        let run = |reversed| {
            new_test_ext().execute_with(|| {
                let parts = play(&drawn, reversed, max_fills);
                (fills(&parts), stored())
            })
        };
        prop_assert_eq!(run(false), run(true));
    }
}
