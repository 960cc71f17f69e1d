//! The rules of section 4, each by an example with numbers; and the attacks they answer.

mod common;

use common::{ask, bid, rules, run, told, Levels};
use novate_matching::{match_block, Book, Kind, Order, Rules, FILL_OR_KILL_RUNS};
use novate_types::{CancelReason::*, Price, Role, SelfTradePrevention::*, Side, SignedLots};

/// Mark 100, band 95 to 105.
fn at_100() -> Rules {
    rules(10_000, 50_000, 100)
}

fn immediate(order: Order) -> Order {
    Order {
        kind: Kind::Immediate,
        ..order
    }
}

fn fill_or_kill(order: Order) -> Order {
    Order {
        kind: Kind::FillOrKill,
        ..order
    }
}

fn post_only(order: Order) -> Order {
    Order {
        kind: Kind::PostOnly,
        ..order
    }
}

fn reducing(order: Order) -> Order {
    Order {
        reduce_only: true,
        ..order
    }
}

fn in_block(block: u32, order: Order) -> Order {
    Order { block, ..order }
}

// Cross.

#[test]
fn new_orders_meet_at_the_mark_when_both_reach_it() {
    let outcome = run(
        &at_100(),
        &[],
        &[bid(1, 1, 103, 10), ask(2, 2, 98, 6), ask(3, 3, 104, 4)],
    );
    assert_eq!(
        (outcome.volume, outcome.last, outcome.executed_resting),
        (6, Some(100), 0)
    );
    assert_eq!(outcome.joined, [(1, 103, 4), (3, 104, 4)]);
    let told = told(&outcome);
    assert_eq!(told.fills[&(1, 100)], (6, vec![Role::Taker]));
    assert_eq!(told.fills[&(2, 100)], (6, vec![Role::Taker]));
}

#[test]
fn buyers_remainder_walks_what_joined_in_its_own_block() {
    let outcome = run(
        &at_100(),
        &[],
        &[bid(1, 1, 103, 10), ask(2, 2, 98, 6), ask(3, 3, 101, 3)],
    );
    let told = told(&outcome);
    assert_eq!(told.fills[&(1, 100)], (6, vec![Role::Taker]));
    assert_eq!(told.fills[&(1, 101)], (3, vec![Role::Taker]));
    assert_eq!(told.fills[&(3, 101)], (3, vec![Role::Maker]));
    assert_eq!(told.joined[&1], (103, 1));
    assert_eq!((told.last, told.executed_resting), (Some(101), 1));
}

#[test]
fn cross_is_at_the_nearest_quote_when_the_mark_lies_outside_the_spread() {
    let resting = [
        in_block(0, bid(1, 1, 102, 5)),
        in_block(0, ask(2, 2, 104, 5)),
    ];
    let told = told(&run(
        &at_100(),
        &resting,
        &[bid(3, 3, 103, 4), ask(4, 4, 99, 6)],
    ));
    // New orders meet at 102; what is left of the ask takes the resting bid there.
    assert_eq!(told.fills[&(3, 102)], (4, vec![Role::Taker]));
    assert_eq!(told.fills[&(4, 102)], (6, vec![Role::Taker]));
    assert_eq!(told.fills[&(1, 102)], (2, vec![Role::Maker]));
}

#[test]
fn longer_side_shares_pro_rata_by_owner() {
    let asks = [ask(1, 1, 100, 10)];
    let bids = [bid(2, 2, 100, 5), bid(3, 3, 101, 15), bid(4, 4, 102, 1_000)];
    let told = told(&run(&at_100(), &[], &[asks.as_slice(), &bids].concat()));
    // Weights 5, 10, 10: sizes beyond the ten lots shared count for ten.
    assert_eq!([2, 3, 4].map(|id| told.filled(id)), [2, 4, 4]);
}

#[test]
fn post_only_orders_meet_post_only_orders_alone() {
    let new = [
        post_only(bid(1, 1, 101, 5)),
        post_only(ask(2, 2, 99, 3)),
        ask(3, 3, 100, 2),
        bid(4, 4, 90, 1),
    ];
    let told = told(&run(&at_100(), &[], &new));
    assert_eq!(told.fills[&(1, 100)], (3, vec![Role::Maker]));
    assert_eq!(told.fills[&(2, 100)], (3, vec![Role::Maker]));
    // What is left of the posted bid joins at its limit, and the plain ask takes it there.
    assert_eq!(told.fills[&(1, 101)], (2, vec![Role::Maker]));
    assert_eq!(told.fills[&(3, 101)], (2, vec![Role::Taker]));
    assert_eq!(told.joined.keys().collect::<Vec<_>>(), [&4]);
}

#[test]
fn post_only_order_is_cancelled_when_it_would_cross() {
    let resting = [in_block(0, ask(1, 1, 102, 5))];
    let outcome = run(
        &at_100(),
        &resting,
        &[post_only(bid(2, 2, 102, 5)), post_only(bid(3, 3, 101, 5))],
    );
    assert_eq!(outcome.cancelled, [(2, 5, WouldCross)]);
    assert_eq!(outcome.joined, [(3, 101, 5)]);
    assert!(outcome.fills.is_empty());
    // An ask that joins in the same block is as much of a book.
    let outcome = run(
        &at_100(),
        &[],
        &[ask(1, 1, 102, 5), post_only(bid(2, 2, 102, 5))],
    );
    assert_eq!(outcome.cancelled, [(2, 5, WouldCross)]);
}

#[test]
fn immediate_order_is_cancelled_when_it_does_not_reach() {
    let outcome = run(
        &at_100(),
        &[],
        &[immediate(bid(1, 1, 99, 5)), immediate(bid(2, 2, 101, 5))],
    );
    assert_eq!(
        outcome.cancelled,
        [(1, 5, NotImmediate), (2, 5, NotImmediate)]
    );
}

// Walk.

#[test]
fn cohorts_are_walked_oldest_first_and_share_within() {
    let resting = [
        in_block(0, ask(1, 1, 101, 2)),
        in_block(3, ask(2, 2, 101, 4)),
        in_block(3, ask(3, 3, 101, 8)),
        in_block(5, ask(4, 4, 101, 9)),
    ];
    let told = told(&run(&at_100(), &resting, &[bid(9, 9, 101, 8)]));
    // Two from the oldest; of the next cohort six lots, weighing 4 and 6.
    assert_eq!([1, 2, 3, 4].map(|id| told.filled(id)), [2, 2, 4, 0]);
    assert_eq!(told.executed_resting, 3);
}

#[test]
fn walking_orders_share_each_cohort_by_what_is_left_of_them() {
    let resting = [
        in_block(0, ask(1, 1, 101, 6)),
        in_block(0, ask(2, 2, 102, 6)),
    ];
    let new = [bid(3, 3, 102, 6), bid(4, 4, 102, 3), bid(5, 5, 101, 3)];
    let told = told(&run(&at_100(), &resting, &new));
    // At 101 weights 6, 3, 3: 3, 1.5, 1.5. At 102 the third is out of reach, and there is enough for the others.
    assert_eq!(told.fills[&(3, 101)].0, 3);
    assert_eq!(told.fills[&(4, 101)].0 + told.fills[&(5, 101)].0, 3);
    assert_eq!(told.filled(3), 6);
    assert_eq!(told.filled(4), 3);
    assert!(!told.fills.contains_key(&(5, 102)));
    // What the third could not get at 101 rests there, below the asks that are left at 102.
    assert_eq!(told.joined[&5].0, 101);
}

#[test]
fn last_cohort_is_cut_by_hash_when_f_is_used_up() {
    let tied = |order: Order, tie| Order {
        tie,
        block: 0,
        ..order
    };
    let resting = [
        tied(ask(1, 1, 101, 5), 30),
        tied(ask(2, 2, 101, 5), 10),
        tied(ask(3, 3, 101, 5), 20),
        tied(ask(4, 4, 102, 5), 1),
    ];
    let f = |max_fills| rules(10_000, 50_000, max_fills);
    let two = run(&f(2), &resting, &[bid(9, 9, 102, 20)]);
    assert_eq!(
        told(&two)
            .fills
            .keys()
            .map(|(id, _)| *id)
            .collect::<Vec<_>>(),
        [2, 3, 9]
    );
    // The remainder touches what it was not let at.
    assert_eq!(two.cancelled, [(9, 10, Touching)]);
    assert_eq!(two.executed_resting, 2);
    let none = run(
        &f(0),
        &resting,
        &[bid(9, 9, 102, 20), bid(8, 8, 100, 1), ask(7, 7, 100, 1)],
    );
    assert_eq!((none.volume, none.executed_resting), (1, 0));
}

// Self-trades.

#[test]
fn oldest_orders_side_stays_when_an_owner_meets_itself_at_the_cross() {
    let new = [
        bid(1, 7, 101, 5),
        ask(2, 7, 99, 5),
        bid(3, 7, 102, 5),
        ask(4, 8, 100, 20),
    ];
    let outcome = run(&at_100(), &[], &new);
    assert_eq!(outcome.cancelled, [(2, 5, SelfTrade)]);
    assert_eq!([1, 3, 4].map(|id| told(&outcome).filled(id)), [5, 5, 10]);
}

#[test]
fn walking_order_or_resting_order_gives_way_as_the_account_chose() {
    let resting = [
        in_block(0, ask(1, 1, 101, 5)),
        in_block(0, ask(2, 7, 102, 5)),
        in_block(0, ask(3, 3, 102, 5)),
    ];
    let outcome = run(&at_100(), &resting, &[bid(9, 7, 103, 12)]);
    assert_eq!(outcome.cancelled, [(9, 7, SelfTrade)]);
    assert_eq!(outcome.volume, 5);
    let outcome = run(
        &at_100(),
        &resting,
        &[Order {
            self_trade: CancelOldest,
            ..bid(9, 7, 103, 12)
        }],
    );
    assert_eq!(outcome.cancelled, [(2, 5, SelfTrade)]);
    assert_eq!(outcome.volume, 10);
    assert_eq!(outcome.joined, [(9, 103, 2)]);
}

// Band.

#[test]
fn limit_beyond_the_far_edge_is_cut_for_good() {
    let outcome = run(&at_100(), &[], &[bid(1, 1, 1_000, 5)]);
    assert_eq!(outcome.joined, [(1, 105, 5)]);
    let outcome = run(&at_100(), &[], &[ask(1, 1, 0, 5)]);
    assert_eq!(outcome.joined, [(1, 95, 5)]);
}

#[test]
fn limit_beyond_the_near_edge_waits() {
    let resting = [in_block(0, ask(1, 1, 106, 5))];
    let outcome = run(&at_100(), &resting, &[bid(2, 2, 110, 5), bid(3, 3, 80, 5)]);
    assert_eq!(outcome.volume, 0);
    assert_eq!(outcome.joined, [(3, 80, 5), (2, 105, 5)]);
}

#[test]
fn resting_order_executes_at_the_edge_when_its_limit_lies_beyond() {
    let resting = [
        in_block(0, bid(1, 1, 110, 5)),
        in_block(0, bid(2, 2, 107, 5)),
        in_block(0, bid(3, 3, 105, 5)),
    ];
    let told = told(&run(&at_100(), &resting, &[ask(9, 9, 100, 12)]));
    // All at 105, in the order of their own limits.
    assert_eq!(told.fills[&(9, 105)].0, 12);
    assert_eq!([1, 2, 3].map(|id| told.fills[&(id, 105)].0), [5, 5, 2]);
}

#[test]
fn new_order_is_cancelled_when_it_touches_a_limit_beyond_the_edge() {
    let resting = [in_block(0, bid(1, 1, 110, 5))];
    // Asked at 108, the bid of 110 executes at 105 only: they cannot trade, and must not rest together.
    let outcome = run(&at_100(), &resting, &[ask(2, 2, 108, 5)]);
    assert_eq!(outcome.cancelled, [(2, 5, Touching)]);
    // Unless somebody else took the bid.
    let outcome = run(&at_100(), &resting, &[ask(2, 2, 108, 5), ask(3, 3, 105, 5)]);
    assert_eq!(outcome.joined, [(2, 108, 5)]);
    assert_eq!((outcome.volume, outcome.last), (5, Some(105)));
}

#[test]
fn everything_new_is_refused_when_there_is_no_price_to_match_at() {
    let resting = [in_block(0, ask(1, 1, 100, 5))];
    let new = [bid(2, 2, 100, 5), ask(3, 3, 101, 5)];
    for broken in [
        Rules {
            mark: Price::from_u32(0),
            ..at_100()
        },
        Rules {
            tick_size: Price::from_u32(0),
            ..at_100()
        },
        Rules {
            mark: Price::from_inner(u128::MAX),
            ..at_100()
        },
        Rules {
            mark: Price::from_rational(1005, 10),
            band: 10,
            ..at_100()
        },
    ] {
        let outcome = run(&broken, &resting, &new);
        assert_eq!(
            outcome.cancelled,
            [(2, 5, MarketRestricted), (3, 5, MarketRestricted)]
        );
        assert!(outcome.fills.is_empty() && outcome.joined.is_empty());
    }
    let huge = [
        bid(1, 1, 101, u64::MAX),
        bid(2, 2, 101, u64::MAX),
        ask(3, 3, 100, u64::MAX),
        ask(4, 4, 100, 1),
    ];
    assert!(run(&at_100(), &[], &huge)
        .cancelled
        .iter()
        .all(|(_, _, why)| *why == MarketRestricted));
    let large = [
        bid(1, 1, 101, u64::MAX),
        bid(2, 2, 101, u64::MAX),
        ask(3, 3, 100, 10),
    ];
    assert_eq!(run(&at_100(), &[], &large).volume, 10);
}

// Reduce-only.

fn with_positions(
    positions: &[(u32, SignedLots)],
    resting: &[Order],
    new: &[Order],
) -> novate_matching::Outcome {
    let held = |account| {
        positions
            .iter()
            .find(|(a, _)| *a == account)
            .map_or(0, |(_, lots)| *lots)
    };
    match_block(&at_100(), &mut Levels::new(resting), new, &held)
}

#[test]
fn reduce_only_orders_of_an_account_fill_its_position_together() {
    let resting = [in_block(0, bid(1, 1, 99, 100))];
    let new = [
        reducing(ask(2, 2, 98, 6)),
        immediate(reducing(ask(3, 2, 97, 7))),
        ask(4, 2, 99, 3),
    ];
    let outcome = with_positions(&[(2, 10)], &resting, &new);
    let told = told(&outcome);
    // The older reduces first; ordinary orders of the account do not count.
    assert_eq!([2, 3, 4].map(|id| told.filled(id)), [6, 4, 3]);
    assert_eq!(outcome.cancelled, [(3, 3, NothingToReduce)]);
}

#[test]
fn reduce_only_order_is_cut_to_the_position_or_refused() {
    let outcome = with_positions(
        &[(1, 4), (2, -4)],
        &[],
        &[reducing(ask(1, 1, 103, 9)), reducing(ask(2, 2, 103, 9))],
    );
    assert_eq!(
        outcome.cancelled,
        [(1, 5, NothingToReduce), (2, 9, NothingToReduce)]
    );
    assert_eq!(outcome.joined, [(1, 103, 4)]);
}

#[test]
fn resting_reduce_only_order_is_no_quote_when_there_is_nothing_to_reduce() {
    let resting = [
        in_block(0, reducing(bid(1, 1, 104, 5))),
        in_block(0, bid(2, 2, 99, 5)),
        in_block(0, reducing(ask(3, 3, 101, 8))),
    ];
    // Account 1 has nothing to buy back: x stays at the mark, not at 104. Account 3 has five to sell.
    let new = [bid(4, 4, 105, 7), ask(5, 5, 100, 1)];
    let outcome = with_positions(&[(3, 5)], &resting, &new);
    assert_eq!(
        outcome.cancelled,
        [(1, 5, NothingToReduce), (3, 3, NothingToReduce)]
    );
    let told = told(&outcome);
    assert_eq!((told.fills[&(5, 100)].0, told.fills[&(3, 101)].0), (1, 5));
    assert_eq!(outcome.joined, [(4, 105, 1)]);
}

#[test]
fn allowance_serves_the_order_that_reaches_whatever_its_age() {
    // The older take-profit rests; the newer exit takes the whole position.
    let resting = [in_block(0, bid(1, 1, 99, 10))];
    let new = [
        reducing(ask(2, 2, 103, 10)),
        immediate(reducing(ask(3, 2, 95, 10))),
    ];
    let outcome = with_positions(&[(2, 10)], &resting, &new);
    assert_eq!(told(&outcome).filled(3), 10);
    assert_eq!(outcome.cancelled, [(2, 10, NothingToReduce)]);
}

// Fill-or-kill.

#[test]
fn fill_or_kill_executes_whole_at_the_cross_and_on_the_walk_or_is_cancelled() {
    let resting = [
        in_block(0, ask(1, 1, 101, 4)),
        in_block(0, ask(2, 2, 102, 4)),
    ];
    let new = |lots| [fill_or_kill(bid(3, 3, 102, lots)), ask(4, 4, 100, 2)];
    let outcome = run(&at_100(), &resting, &new(10));
    assert_eq!((outcome.volume, outcome.cancelled.len()), (10, 0));
    // One lot more than there is: nobody walks, the ask of this block rests.
    let outcome = run(&at_100(), &resting, &new(11));
    assert_eq!(outcome.cancelled, [(3, 11, NotWhole)]);
    assert_eq!((outcome.volume, outcome.executed_resting), (0, 0));
    assert_eq!(outcome.joined, [(4, 100, 2)]);
    // What does not reach the mark executes nowhere.
    let outcome = run(
        &at_100(),
        &[],
        &[fill_or_kill(bid(3, 3, 99, 2)), ask(4, 4, 99, 2)],
    );
    assert_eq!(outcome.cancelled, [(3, 2, NotWhole)]);
}

#[test]
fn fewest_of_those_that_lack_most_are_killed_when_not_all_can_fill() {
    let filled = |asked, bids: &[Order]| {
        let new = [bids, &[ask(9, 9, 100, asked)]].concat();
        let told = told(&run(&at_100(), &[], &new));
        Vec::from_iter(bids.iter().map(|o| told.filled(o.id)))
    };
    let tied = |id, lots, tie| Order {
        tie,
        ..fill_or_kill(bid(id, id, 100, lots))
    };
    // Twenty lots for four times ten: each gets five, and two must go, of the greatest hash.
    let four = [
        tied(1, 10, 3),
        tied(2, 10, 9),
        tied(3, 10, 1),
        tied(4, 10, 7),
    ];
    assert_eq!(filled(20, &four), [10, 0, 10, 0]);
    // For three times ten 7, 7 and 6, and one must go.
    assert_eq!(filled(20, &four[..3]), [10, 0, 10]);
    // Size that nobody offers takes nothing from others, however much of it there is.
    let giant = |id| tied(id, 1_000_000, 0);
    assert_eq!(
        filled(20, &[giant(1), giant(2), giant(3), tied(4, 10, 9)]),
        [0, 0, 0, 10]
    );
    // What is freed goes to all that share, other kinds too.
    let others = [tied(1, 10, 0), tied(2, 10, 1), bid(3, 3, 100, 10)];
    assert_eq!(filled(20, &others), [10, 0, 10]);
}

#[test]
fn both_sides_are_tried_when_fill_or_kill_orders_meet() {
    // Ten bid and six asked, both all or nothing: the ask fills, the bid does not, and then the ask has nobody.
    let new = [
        fill_or_kill(bid(1, 1, 100, 10)),
        fill_or_kill(ask(2, 2, 100, 6)),
        bid(3, 3, 100, 5),
    ];
    let outcome = run(&at_100(), &[], &new);
    assert_eq!(outcome.cancelled, [(1, 10, NotWhole), (2, 6, NotWhole)]);
    assert_eq!(outcome.joined, [(3, 100, 5)]);
    let outcome = run(&at_100(), &[], &[new[0], new[1], bid(3, 3, 100, 6)]);
    assert_eq!((outcome.volume, outcome.cancelled.len()), (6, 1));
}

#[test]
fn fill_or_kill_is_cancelled_whole_when_f_ends_or_it_meets_its_own() {
    let resting = [
        in_block(0, ask(1, 1, 101, 5)),
        in_block(0, ask(2, 7, 102, 5)),
        in_block(0, ask(3, 3, 103, 5)),
    ];
    let taker = |lots, self_trade| Order {
        self_trade,
        ..fill_or_kill(bid(9, 7, 105, lots))
    };
    let outcome = run(&at_100(), &resting, &[taker(10, CancelNewest)]);
    assert_eq!(outcome.cancelled, [(9, 10, NotWhole)]);
    let outcome = run(&at_100(), &resting, &[taker(10, CancelOldest)]);
    assert_eq!(outcome.cancelled, [(2, 5, SelfTrade)]);
    assert_eq!(outcome.volume, 10);
    // In vain its own order would have given way: it stays.
    let outcome = run(&at_100(), &resting, &[taker(11, CancelOldest)]);
    assert_eq!(outcome.cancelled, [(9, 11, NotWhole)]);
    // F is one order.
    let one = rules(10_000, 50_000, 1);
    let outcome = run(&one, &resting, &[fill_or_kill(bid(9, 9, 105, 6))]);
    assert_eq!(outcome.cancelled, [(9, 6, NotWhole)]);
    assert_eq!(outcome.executed_resting, 0);
}

#[test]
fn fill_or_kill_fills_the_position_when_it_only_reduces() {
    let resting = [in_block(0, bid(1, 1, 99, 6))];
    let exit = |lots| reducing(fill_or_kill(ask(2, 2, 98, lots)));
    let outcome = with_positions(&[(2, 6)], &resting, &[exit(8)]);
    assert_eq!(told(&outcome).filled(2), 6);
    assert_eq!(outcome.cancelled, [(2, 2, NothingToReduce)]);
    // A position of seven finds six bids.
    let outcome = with_positions(&[(2, 7)], &resting, &[exit(8)]);
    assert_eq!(outcome.volume, 0);
    assert_eq!(
        outcome.cancelled,
        [(2, 1, NothingToReduce), (2, 7, NotWhole)]
    );
    // An older order of the account reduces first, and five are left where six are wanted.
    let older = reducing(immediate(ask(1, 2, 98, 1)));
    let resting = [in_block(0, bid(3, 1, 99, 20))];
    let outcome = with_positions(&[(2, 6)], &resting, &[older, exit(6)]);
    assert_eq!([1, 2].map(|id| told(&outcome).filled(id)), [1, 0]);
}

#[test]
fn no_fill_or_kill_order_is_left_when_the_last_run_that_admits_any_fails() {
    // Beside an immediate order for all there is, most of what is freed goes to that one.
    let resting = [in_block(0, ask(0, 0, 101, 100_000))];
    let match_of = |orders: u32| {
        let mut new: Vec<_> = (1..=orders)
            .map(|id| fill_or_kill(bid(id, id, 101, 100)))
            .collect();
        new.push(immediate(bid(1_000, 1_000, 101, 100_000)));
        let mut book = Levels::new(&resting);
        let told = told(&match_block(&at_100(), &mut book, &new, &|_| 0));
        assert_eq!(told.volume, 100_000);
        let whole = (1..=orders).filter(|id| told.filled(*id) == 100).count();
        // The level is asked for once a run.
        (book.levels_decoded as u32, whole)
    };
    assert_eq!(match_of(1), (1, 1));
    assert_eq!(match_of(60), (FILL_OR_KILL_RUNS, 2));
    assert_eq!(match_of(150), (FILL_OR_KILL_RUNS + 1, 0));
}

/// A book with work for so many runs that admit fill-or-kill orders; what it was told of the others.
struct Tired {
    levels: Levels,
    runs: usize,
    handled: Vec<u32>,
}

impl Book for Tired {
    fn level(&mut self, side: Side, depth: usize) -> Option<&[Order]> {
        self.levels.level(side, depth)
    }

    fn again(&mut self, handled: u32) -> bool {
        self.handled.push(handled);
        self.handled.len() <= self.runs
    }
}

#[test]
fn all_fill_or_kill_orders_are_killed_when_the_book_has_no_more_work_to_spare() {
    let resting = [in_block(0, ask(0, 0, 101, 10))];
    let whole = |id, lots| fill_or_kill(bid(id, id, 101, lots));
    let match_of = |runs: usize, new: &[Order]| {
        let mut book = Tired {
            levels: Levels::new(&resting),
            runs,
            handled: Vec::new(),
        };
        let told = told(&match_block(&at_100(), &mut book, new, &|_| 0));
        let filled: Vec<_> = new.iter().map(|o| told.filled(o.id)).collect();
        (filled, book.handled.len(), book.levels.levels_decoded)
    };
    let new = [whole(1, 6), whole(2, 6), immediate(bid(3, 3, 101, 4))];
    // Without any there is one run, in which they have no part; the first fails, the second holds.
    assert_eq!(match_of(0, &new), (vec![0, 0, 4], 1, 1));
    assert_eq!(match_of(1, &new), (vec![0, 0, 4], 2, 2));
    let (filled, asked, levels) = match_of(2, &new);
    assert_eq!(
        (filled.iter().sum::<u64>(), filled[2], asked, levels),
        (10, 4, 2, 2)
    );
    // Nobody asks where there are none.
    assert_eq!(
        match_of(0, &[immediate(bid(3, 3, 101, 4))]),
        (vec![4], 0, 1)
    );
}

#[test]
fn work_of_a_run_counts_new_orders_levels_and_all_that_share() {
    let resting = [
        in_block(0, ask(0, 0, 101, 10)),
        in_block(0, ask(4, 4, 102, 10)),
    ];
    let mut book = Tired {
        levels: Levels::new(&resting),
        runs: 1,
        handled: Vec::new(),
    };
    let new = [fill_or_kill(bid(1, 1, 102, 21))];
    match_block(&at_100(), &mut book, &new, &|_| 0);
    // The new order. Then it, again as it meets nobody at the mark, and each of two levels as it is loaded and as both share.
    assert_eq!(book.handled, [1, 1 + 1 + 2 * (1 + 2)]);
}

// Attacks.

#[test]
fn ask_far_away_reprices_nobody() {
    // In cents: 99 lots at 100.10 and one at 105.00; the buyer of 100 is content with 105.00.
    let cents = Rules {
        mark: Price::from_u32(100),
        tick_size: Price::from_rational(1, 100),
        ..at_100()
    };
    for attack_rests in [true, false] {
        let honest = in_block(0, ask(1, 1, 10_010, 99));
        let attack = in_block(u32::from(!attack_rests), ask(2, 2, 10_500, 1));
        let buyer = bid(3, 3, 10_500, 100);
        let (resting, new) = if attack_rests {
            (vec![honest, attack], vec![buyer])
        } else {
            (vec![honest], vec![attack, buyer])
        };
        let told = told(&run(&cents, &resting, &new));
        assert_eq!(told.fills[&(3, 10_010)].0, 99);
        assert_eq!(told.fills[&(3, 10_500)].0, 1);
    }
}

#[test]
fn accounts_of_one_owner_do_not_trade_with_each_other() {
    // At the band's edge, to move margin from one account to the other: at the cross and on the walk.
    let seller = |order: Order| Order {
        account: 70,
        ..order
    };
    let outcome = run(
        &at_100(),
        &[],
        &[bid(1, 7, 105, 5), seller(ask(2, 7, 95, 5))],
    );
    assert_eq!(outcome.volume, 0);
    let resting = [in_block(0, seller(ask(2, 7, 105, 5)))];
    let outcome = run(&at_100(), &resting, &[bid(1, 7, 105, 5)]);
    assert_eq!(outcome.volume, 0);
}

#[test]
fn idle_reduce_only_orders_exhaust_f_and_no_more() {
    // A wall of dead orders costs one match at most F cancellations.
    let mut resting: Vec<_> = (0..50)
        .map(|id| in_block(0, reducing(ask(id, id, 101, 1))))
        .collect();
    resting.push(in_block(1, ask(50, 50, 101, 1)));
    let f = rules(10_000, 50_000, 20);
    let outcome = run(&f, &resting, &[bid(99, 99, 101, 1)]);
    assert_eq!(
        outcome
            .cancelled
            .iter()
            .filter(|(_, _, why)| *why == NothingToReduce)
            .count(),
        20
    );
    assert_eq!(outcome.volume, 0);
    assert_eq!(outcome.cancelled.last(), Some(&(99, 1, Touching)));
}

/// A limit of largest remainders, kept on purpose (the protocol names the method): an order whose part rounds to nothing
/// can still decide which of two others gets the odd lot. It never changes the lots they get together.
#[test]
fn odd_lot_may_change_hands_when_a_part_rounds_to_nothing() {
    let resting = [in_block(0, ask(1, 1, 100, 13))];
    let fills = |dust: &[Order]| {
        let new = [
            &[bid(2, 2, 100, 6), bid(3, 3, 100, 11), bid(4, 4, 100, 13)],
            dust,
        ]
        .concat();
        let told = told(&run(&at_100(), &resting, &new));
        [2, 3, 4, 5].map(|id| told.filled(id))
    };
    assert_eq!(fills(&[]), [2, 5, 6, 0]);
    assert_eq!(fills(&[immediate(bid(5, 5, 100, 1))]), [3, 5, 5, 0]);
}
