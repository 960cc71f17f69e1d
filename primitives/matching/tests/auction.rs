//! The call auction's rules, each by an example with numbers; and published cases.
//!
//! Source of the cases: `call_auction.json` of the project's shared numeric vectors ("computed by brute force over every tick"). All
//! kinds run. Where they leave the price open our convention is tested: the least imbalance, then the tick nearest to the mark, or
//! the middle rounded down.

mod common;

use common::{ask, bid, rules, told};
use novate_matching::{band_edges, call_auction, Kind, Order, Outcome, Rules, Terms};
use novate_types::{CancelReason::*, Lots, MathError, Price, Role, Side, SignedLots, Ticks};
use serde_json::Value;
use std::collections::BTreeMap;

/// Nobody holds a position.
fn call(rules: Option<&Rules>, orders: &[Order]) -> Outcome {
    on_terms(rules, Terms::default(), orders)
}

fn on_terms(rules: Option<&Rules>, terms: Terms, orders: &[Order]) -> Outcome {
    call_auction(rules, &terms, orders, &|_| 0).expect("small numbers")
}

/// A mark in whole ticks, and a band of everything up to twice the mark.
fn at(mark: Ticks) -> Rules {
    rules(mark * 100, 1_000_000, u32::MAX)
}

fn number(value: &Value) -> u64 {
    value
        .as_str()
        .expect("numbers are strings")
        .parse()
        .expect("a whole number")
}

fn check(case: &Value) {
    let name = &case["id"];
    let orders: Vec<Order> = case["in"]["orders"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let id = number(&row[0]) as u32;
            let side = match row[1].as_str().unwrap() {
                "buy" => Side::Bid,
                "sell" => Side::Ask,
                other => panic!("unknown side {other}"),
            };
            common::order(id, id, side, number(&row[2]), number(&row[3]))
        })
        .collect();
    let out = &case["out"];
    let volume = number(&out["max_volume"]);
    let interval = |key: &str| match out[key].as_array().map(Vec::as_slice) {
        None => None,
        Some([pair]) => Some((number(&pair[0]), number(&pair[1]))),
        Some(_) => panic!("{name}: {key} is one interval, demand and supply being monotone"),
    };

    let outcome = call(None, &orders);
    assert_eq!(outcome.volume, volume, "volume of {name}");
    let Some((first, last)) = interval("min_imbalance_prices") else {
        assert_eq!((interval("prices"), volume), (None, 0), "{name}");
        assert_eq!(outcome.last, None, "{name}");
        assert_eq!(outcome.joined.len(), orders.len(), "{name}");
        return;
    };
    valid(&orders, &outcome, interval("prices").unwrap(), name);
    assert_eq!(outcome.last, Some(first + (last - first) / 2), "{name}");
    for (mark, price) in [
        (first, first),
        (last, last),
        (first - 1, first),
        (last + 1, last),
        (first / 2 + last / 2, first / 2 + last / 2),
    ] {
        let outcome = call(Some(&at(mark)), &orders);
        valid(&orders, &outcome, (first, last), name);
        assert_eq!(outcome.volume, volume, "volume of {name} at mark {mark}");
        assert_eq!(
            outcome.last,
            Some(price.max(first)),
            "{name} at mark {mark}"
        );
    }
}

/// The file's `checks`.
fn valid(orders: &[Order], outcome: &Outcome, (first, last): (Ticks, Ticks), name: &Value) {
    let price = outcome.last.expect("something trades");
    assert!(first <= price && price <= last, "price of {name}");
    let told = told(outcome);
    for side in [Side::Bid, Side::Ask] {
        let mut filled = 0;
        let mut reaching: Lots = 0;
        for order in orders.iter().filter(|o| o.side == side) {
            let lots = told.filled(order.id);
            let accepts = order.side.accepts(order.limit, price);
            assert!(lots <= order.lots && (accepts || lots == 0), "{name}");
            filled += lots;
            reaching += if accepts { order.lots } else { 0 };
        }
        assert_eq!(filled, outcome.volume, "lots of {name}");
        assert!(filled <= reaching, "{name}");
    }
    let lots = |side| {
        let reach = |o: &&Order| o.side == side && o.side.accepts(o.limit, price);
        orders.iter().filter(reach).map(|o| o.lots).sum::<Lots>()
    };
    assert_eq!(
        outcome.volume,
        lots(Side::Bid).min(lots(Side::Ask)),
        "{name}"
    );
}

#[test]
fn price_and_volume_are_the_vectors() {
    let file: Value = serde_json::from_str(include_str!("vectors/call_auction.json")).unwrap();
    let mut run: BTreeMap<&str, u32> = BTreeMap::new();
    for case in file["cases"].as_array().unwrap() {
        check(case);
        *run.entry(case["kind"].as_str().unwrap()).or_default() += 1;
    }
    let expected = BTreeMap::from([
        ("crossed", 13),
        ("deep_cross", 4),
        ("large", 3),
        ("locked", 4),
        ("no_cross", 5),
        ("one_sided", 3),
        ("pair", 3),
        ("plateau", 4),
        ("ties", 6),
    ]);
    assert_eq!(run, expected);
}

// Price.

#[test]
fn price_is_the_nearest_to_the_mark_of_those_with_most_volume_and_least_imbalance() {
    let orders = [bid(1, 1, 110, 5), bid(2, 2, 104, 3), ask(3, 3, 100, 5)];
    // Five trade at 100 to 110; above 104 the bids and asks are equal.
    for (mark, price) in [(90, 105), (105, 105), (107, 107), (110, 110), (150, 110)] {
        let outcome = call(Some(&at(mark)), &orders);
        assert_eq!((outcome.volume, outcome.last), (5, Some(price)), "{mark}");
    }
    // 105 to 110: the middle is 107.5.
    assert_eq!(call(None, &orders).last, Some(107));
    // Half a tick goes up: 106.5 to 107.
    let outcome = call(Some(&rules(10_650, 1_000_000, u32::MAX)), &orders);
    assert_eq!(outcome.last, Some(107));
}

#[test]
fn price_is_found_on_both_sides_of_a_tick_where_surplus_turns_into_shortage() {
    // Two more bid than asked up to 100, two more asked than bid from 101: five trade anywhere from 90 to 110.
    let orders = [
        bid(1, 1, 110, 5),
        bid(2, 2, 100, 2),
        ask(3, 3, 90, 5),
        ask(4, 4, 101, 2),
    ];
    for price in [90, 95, 100, 101, 105, 110] {
        let outcome = call(Some(&at(price)), &orders);
        assert_eq!((outcome.volume, outcome.last), (5, Some(price)));
    }
    assert_eq!(call(None, &orders).last, Some(100));
}

#[test]
fn nothing_trades_and_all_rests_when_no_bid_reaches_an_ask() {
    let outcome = call(None, &[bid(1, 1, 99, 5), ask(2, 2, 100, 5)]);
    assert_eq!((outcome.volume, outcome.last), (0, None));
    assert_eq!(outcome.joined, [(1, 99, 5), (2, 100, 5)]);
    assert_eq!(call(Some(&at(100)), &[]), Outcome::default());
}

#[test]
fn limits_beyond_the_band_are_cut_to_it_for_good() {
    // 95 to 105; 120 is bid and 110 asked.
    let band = rules(10_000, 50_000, u32::MAX);
    let orders = [bid(1, 1, 120, 9), ask(2, 2, 80, 4), ask(3, 3, 110, 5)];
    let outcome = call(Some(&band), &orders);
    assert_eq!((outcome.volume, outcome.last), (4, Some(100)));
    assert_eq!(outcome.joined, [(1, 105, 5), (3, 110, 5)]);
    // Bids of 120 and of 105 are equals then.
    let outcome = call(
        Some(&band),
        &[bid(1, 1, 120, 4), bid(2, 2, 105, 4), ask(3, 3, 100, 4)],
    );
    assert_eq!([1, 2].map(|id| told(&outcome).filled(id)), [2, 2]);
    let orders = [bid(1, 1, Ticks::MAX, 4), ask(2, 2, 0, 4)];
    assert_eq!(call(Some(&band), &orders).last, Some(100));
    // Without a band any tick will do, but for zero.
    assert_eq!(
        call(None, &[bid(1, 1, 1, 4), ask(2, 2, 0, 4)]).last,
        Some(1)
    );
    assert_eq!(call(None, &[bid(1, 1, 0, 4), ask(2, 2, 0, 4)]).last, None);
    assert_eq!(call(None, &orders).last, Some(Ticks::MAX / 2 + 1));
}

#[test]
fn auction_is_refused_when_it_cannot_be_computed() {
    let orders = [bid(1, 1, 100, 5), ask(2, 2, 100, 5)];
    let no_mark = Rules {
        mark: Price::from_u32(0),
        ..at(100)
    };
    assert!(call_auction(Some(&no_mark), &Terms::default(), &orders, &|_| 0).is_err());
    let huge = |id: u32, side| common::order(id, id, side, 100, u64::MAX);
    let both = [1, 2, 3, 4].map(|id| huge(id, if id < 3 { Side::Bid } else { Side::Ask }));
    assert_eq!(
        call_auction(None, &Terms::default(), &both, &|_| 0),
        Err(MathError::Overflow)
    );
    // Sums beyond a side's own range are no harm.
    let outcome = call(None, &[both[0], both[1], ask(9, 9, 100, 10)]);
    assert_eq!(outcome.volume, 10);
}

// Who executes.

#[test]
fn better_limits_then_older_cohorts_execute_first_and_the_last_cohort_shares() {
    let in_block = |block, order| Order { block, ..order };
    let orders = [
        in_block(9, bid(1, 1, 102, 4)),
        in_block(3, bid(2, 2, 101, 2)),
        in_block(7, bid(3, 3, 101, 6)),
        in_block(7, bid(4, 4, 101, 3)),
        in_block(8, bid(5, 5, 101, 9)),
        ask(6, 6, 101, 12),
    ];
    let told = told(&call(None, &orders));
    // Four at 102, two of block 3, and of the six left two parts of three to one of three.
    assert_eq!([1, 2, 3, 4, 5].map(|id| told.filled(id)), [4, 2, 4, 2, 0]);
    assert_eq!(told.joined[&3], (101, 2));
    assert_eq!(told.last, Some(101));
}

#[test]
fn immediate_remainder_is_cancelled_and_fill_or_kill_has_no_part() {
    let of = |kind, order| Order { kind, ..order };
    let orders = [
        of(Kind::Immediate, bid(1, 1, 101, 4)),
        of(Kind::Immediate, bid(2, 2, 99, 4)),
        of(Kind::FillOrKill, bid(3, 3, 105, 1)),
        of(Kind::PostOnly, ask(4, 4, 100, 3)),
    ];
    let outcome = call(None, &orders);
    assert_eq!(
        outcome.cancelled,
        [(3, 1, NotWhole), (1, 1, NotImmediate), (2, 4, NotImmediate)]
    );
    // Three at 100 or 101: the middle rounded down.
    let told = told(&outcome);
    assert_eq!(told.fills[&(1, 100)], (3, vec![Role::Taker]));
    assert_eq!(told.fills[&(4, 100)], (3, vec![Role::Maker]));
}

#[test]
fn owner_keeps_the_side_of_its_oldest_order_where_its_own_touch() {
    // Quotes on both sides that do not touch stay both.
    let quotes = [
        bid(1, 7, 99, 5),
        ask(2, 7, 101, 5),
        ask(3, 3, 98, 2),
        bid(4, 4, 90, 1),
    ];
    let outcome = call(None, &quotes);
    assert_eq!((outcome.volume, outcome.cancelled.len()), (2, 0));
    // The ask of 98 touches both bids, and is the oldest of the three; that of 103 touches none.
    let own = [
        ask(1, 7, 103, 5),
        ask(2, 7, 98, 5),
        bid(3, 7, 99, 5),
        bid(4, 7, 102, 5),
        bid(5, 8, 98, 3),
    ];
    let outcome = call(None, &own);
    assert_eq!(outcome.cancelled, [(3, 5, SelfTrade), (4, 5, SelfTrade)]);
    assert_eq!((outcome.volume, outcome.last), (3, Some(98)));
    assert_eq!(outcome.joined, [(2, 98, 2), (1, 103, 5)]);
}

#[test]
fn reduce_only_orders_of_an_account_execute_its_position_best_limit_first() {
    let reducing = |order| Order {
        reduce_only: true,
        ..order
    };
    let held = |account| -> SignedLots {
        if account == 2 {
            10
        } else {
            0
        }
    };
    let orders = [
        bid(1, 1, 100, 20),
        reducing(ask(2, 2, 99, 8)),
        reducing(ask(3, 2, 97, 6)),
        ask(4, 2, 98, 3),
        reducing(bid(5, 2, 100, 1)),
        reducing(ask(6, 2, 120, 30)),
    ];
    let outcome = call_auction(None, &Terms::default(), &orders, &held).unwrap();
    let told = told(&outcome);
    // Six at 97 and four at 99 are the position; ordinary orders of the account do not count.
    assert_eq!([2, 3, 4].map(|id| told.filled(id)), [4, 6, 3]);
    assert_eq!(
        outcome.cancelled,
        [
            (5, 1, NothingToReduce),
            (6, 20, NothingToReduce),
            (2, 4, NothingToReduce),
            (6, 10, NothingToReduce)
        ]
    );
    // The newer order has the position where the older one does not reach.
    let orders = [
        bid(1, 1, 100, 5),
        reducing(ask(2, 2, 105, 10)),
        reducing(ask(3, 2, 95, 10)),
    ];
    let outcome = call_auction(None, &Terms::default(), &orders, &held).unwrap();
    assert_eq!(outcome.volume, 5);
    assert_eq!(outcome.joined, [(3, 95, 5), (2, 105, 5)]);
}

// In parts.

#[test]
fn price_lies_within_the_bands_of_mark_and_reference() {
    // The mark is at 100, the reference at 103: 95 to 105, and 98 (97.85 inwards) to 108.
    let band = rules(10_000, 50_000, u32::MAX);
    let reference = |ticks: u64| Terms {
        reference: Some(Price::from_u32(ticks as u32)),
        ..Terms::default()
    };
    let orders = [bid(1, 1, 97, 9), ask(2, 2, 90, 4)];
    assert_eq!(
        on_terms(Some(&band), Terms::default(), &orders).last,
        Some(97)
    );
    assert_eq!(on_terms(Some(&band), reference(103), &orders).last, None);
    let orders = [bid(1, 1, 120, 9), ask(2, 2, 90, 4)];
    // Nearest to the mark: at it, or where the reference's band ends, 105 (104.5 inwards) to 115 and 87 to 96.
    for (at, price) in [(100, 100), (110, 105), (92, 96)] {
        let outcome = on_terms(Some(&band), reference(at), &orders);
        assert_eq!((outcome.last, outcome.volume), (Some(price), 4), "{at}");
    }
    assert_eq!(band_edges(&rules(11_000, 50_000, 0)), Ok((105, 115)));
    // 105, and 111 (110.2 inwards): nothing lies within both.
    let apart = call_auction(Some(&band), &reference(116), &orders, &|_| 0);
    assert_eq!(apart, Err(MathError::Overflow));
}

#[test]
fn more_orders_than_may_execute_go_on_at_the_same_price() {
    let in_block = |block, order| Order { block, ..order };
    let orders = [
        in_block(1, bid(1, 1, 103, 4)),
        in_block(2, bid(2, 2, 102, 4)),
        in_block(1, bid(3, 3, 102, 4)),
        in_block(1, ask(4, 4, 98, 3)),
        in_block(1, ask(5, 5, 99, 3)),
        in_block(1, ask(6, 6, 100, 6)),
    ];
    let few = |max_fills| Rules {
        max_fills,
        ..at(101)
    };
    // Twelve trade at 101: two bids and two asks may, then what is left.
    let first = on_terms(Some(&few(4)), Terms::default(), &orders);
    assert_eq!((first.volume, first.last, first.left), (6, Some(101), 6));
    assert!(first.crosses);
    assert_eq!(first.executed_resting, 4);
    let told_first = told(&first);
    // The older of the two bids at 102 is the second in line, and not all of it is asked for.
    assert_eq!([1, 3, 2].map(|id| told_first.filled(id)), [4, 2, 0]);
    let left: Vec<Order> = orders
        .iter()
        .filter_map(|order| {
            let (limit, lots) = *told_first.joined.get(&order.id)?;
            Some(Order {
                limit,
                lots,
                ..*order
            })
        })
        .collect();
    // Wherever the mark has gone.
    let terms = Terms {
        price: first.last,
        ..Terms::default()
    };
    let far = Rules {
        band: 10_000,
        ..few(8)
    };
    let far = Rules {
        mark: Price::from_u32(150),
        ..far
    };
    let second = on_terms(Some(&far), terms, &left);
    assert_eq!((second.volume, second.last, second.left), (6, Some(101), 0));
    assert!(!second.crosses && second.joined.is_empty());
    // No more lots than are asked for, the best limits and then the oldest orders first.
    let bounded = Terms {
        most: Some(5),
        ..Terms::default()
    };
    let part = on_terms(Some(&few(8)), bounded, &orders);
    assert_eq!((part.volume, part.last, part.left), (5, Some(101), 7));
    assert_eq!([1, 3, 2].map(|id| told(&part).filled(id)), [4, 1, 0]);
    // One order cannot execute alone.
    let none = on_terms(Some(&few(1)), Terms::default(), &orders);
    assert_eq!((none.volume, none.last, none.left), (0, None, 12));
    assert!(none.crosses);
}

#[test]
fn remainder_crosses_at_another_price_when_orders_left_before_it_could_execute() {
    let terms = Terms {
        price: Some(100),
        ..Terms::default()
    };
    let orders = [bid(1, 1, 110, 5), ask(2, 2, 105, 5)];
    let outcome = on_terms(Some(&at(100)), terms, &orders);
    assert_eq!(
        (outcome.volume, outcome.left, outcome.crosses),
        (0, 0, true)
    );
}

#[test]
fn what_is_left_over_says_nothing_of_orders_that_are_not_all() {
    // Ten trade from 100 to 110; from 103 on nothing is left over.
    let orders = [bid(1, 1, 110, 10), bid(2, 2, 102, 90), ask(3, 3, 100, 10)];
    for (partial, price) in [(false, 103), (true, 101)] {
        let terms = Terms {
            partial,
            ..Terms::default()
        };
        let outcome = on_terms(Some(&at(101)), terms, &orders);
        assert_eq!((outcome.volume, outcome.last), (10, Some(price)));
    }
    // The greatest volume is still what counts first.
    let orders = [bid(1, 1, 110, 10), ask(2, 2, 100, 4), ask(3, 3, 108, 6)];
    let terms = Terms {
        partial: true,
        ..Terms::default()
    };
    let outcome = on_terms(Some(&at(101)), terms, &orders);
    assert_eq!((outcome.volume, outcome.last), (10, Some(108)));
}
