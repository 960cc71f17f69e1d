//! How much of the book a match asks for, and that its largest cases end soon.

mod common;

use common::{ask, bid, rules, told, Levels};
use novate_matching::{call_auction, match_block, Kind, Order, Outcome, Terms, FILL_OR_KILL_RUNS};
use novate_types::Side;
use std::time::{Duration, Instant};

/// A debug build on a busy machine stays far below; a quadratic loop does not.
const SOON: Duration = Duration::from_secs(10);

fn timed(book: &mut Levels, new: &[Order], max_fills: u32) -> Outcome {
    let start = Instant::now();
    let outcome = match_block(&rules(100_000, 500_000, max_fills), book, new, &|_| 0);
    let took = start.elapsed();
    println!(
        "{} new orders, {} fills: {took:?}",
        new.len(),
        outcome.fills.len()
    );
    assert!(took < SOON, "{took:?}");
    outcome
}

/// One-lot asks, one a level from `from` ticks up.
fn ladder(levels: u32, from: u64) -> Vec<Order> {
    (0..levels)
        .map(|i| Order {
            block: 0,
            ..ask(i, i, from + u64::from(i), 1)
        })
        .collect()
}

#[test]
fn levels_are_asked_for_only_when_the_match_reaches_them() {
    let mut book = Levels::new(&ladder(400, 1_001));
    let outcome = timed(&mut book, &[bid(1_000, 1_000, 1_400, 7)], 500);
    assert_eq!(outcome.volume, 7);
    // Seven levels taken, and the one that is now the best.
    assert_eq!(book.levels_decoded, 8);

    let mut book = Levels::new(&ladder(400, 1_001));
    timed(&mut book, &[bid(1_000, 1_000, 900, 7)], 500);
    assert_eq!(book.levels_decoded, 1);

    let mut book = Levels::new(&ladder(400, 1_001));
    timed(&mut book, &[bid(1_000, 1_000, 1_400, 400)], 25);
    assert!(book.levels_decoded <= 26);
}

#[test]
fn one_order_takes_five_hundred() {
    let outcome = timed(
        &mut Levels::new(&ladder(499, 1_001)),
        &[bid(1_000, 1_000, 1_500, 10_000)],
        500,
    );
    assert_eq!((outcome.volume, outcome.executed_resting), (499, 499));
    // As many of a hundred thousand at one price, by hash.
    let wall: Vec<_> = (0..100_000)
        .map(|i| Order {
            limit: 1_001,
            ..ask(i, i, 1_001, 1)
        })
        .collect();
    let outcome = timed(
        &mut Levels::new(&wall),
        &[bid(200_000, 200_000, 1_500, 100_000)],
        500,
    );
    assert_eq!((outcome.volume, outcome.executed_resting), (500, 500));
}

#[test]
fn two_thousand_new_orders_meet() {
    let new: Vec<_> = (0..2_000)
        .map(|i| match i % 2 {
            0 => bid(i, i, 1_000 + u64::from(i % 50), 3 + u64::from(i % 7)),
            _ => ask(i, i, 1_000 - u64::from(i % 50), 3 + u64::from(i % 5)),
        })
        .collect();
    let outcome = timed(&mut Levels::default(), &new, 500);
    let asked: u64 = new.iter().filter(|o| o.id % 2 == 1).map(|o| o.lots).sum();
    assert_eq!(outcome.volume, asked);
}

#[test]
fn two_thousand_orders_walk_five_hundred_cohorts() {
    let new: Vec<_> = (0..2_000)
        .map(|i| bid(1_000 + i, 1_000 + i, 1_500, 5))
        .collect();
    let outcome = timed(&mut Levels::new(&ladder(499, 1_001)), &new, 500);
    assert_eq!(outcome.volume, 499);
    // One lot a level, each to somebody whose bid has as much left as any other's: nobody has two more than another.
    assert_eq!(
        told(&outcome)
            .joined
            .values()
            .map(|(_, lots)| lots)
            .sum::<u64>(),
        10_000 - 499
    );
}

#[test]
fn fill_or_kill_orders_have_the_match_run_nine_times_at_most() {
    // Each lacks a little, and so in every run only half of them go.
    let mut new: Vec<_> = (0..2_000)
        .map(|i| Order {
            kind: Kind::FillOrKill,
            ..bid(i, i, 1_001, 100)
        })
        .collect();
    new.push(Order {
        kind: Kind::Immediate,
        ..bid(9_999, 9_999, 1_001, 1_000_000)
    });
    let mut book = Levels::new(&[Order {
        block: 0,
        ..ask(5_000, 5_000, 1_001, 1_000_000)
    }]);
    let outcome = timed(&mut book, &new, 500);
    assert_eq!(outcome.volume, 1_000_000);
    assert_eq!(book.levels_decoded as u32, FILL_OR_KILL_RUNS + 1);
}

#[test]
fn hundred_thousand_orders_are_called() {
    let orders: Vec<_> = (0..100_000)
        .map(|i| {
            let lots = 1 + u64::from(i % 7);
            let side = if i % 2 == 0 { Side::Bid } else { Side::Ask };
            Order {
                block: i % 5,
                ..common::order(
                    i,
                    i % 60_000,
                    side,
                    500 + u64::from(i) * 7_919 % 1_000,
                    lots,
                )
            }
        })
        .collect();
    let start = Instant::now();
    let rules = rules(100_000, 500_000, u32::MAX);
    let outcome = call_auction(Some(&rules), &Terms::default(), &orders, &|_| 0);
    let took = start.elapsed();
    let outcome = outcome.expect("small numbers");
    println!(
        "{} orders, {} fills: {took:?}",
        orders.len(),
        outcome.fills.len()
    );
    assert!(outcome.volume > 50_000 && took < SOON, "{took:?}");
}
