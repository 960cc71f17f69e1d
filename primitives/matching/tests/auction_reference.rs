//! The call auction against one that looks at every tick, and what it promises.

mod common;

use common::{any_order, auction::reference, hash, rules, told, Told, SMALL};
use novate_matching::{call_auction, Kind, Order, Outcome, Terms};
use novate_types::{Lots, Side, SignedLots, Ticks};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Limits are drawn below.
const TICKS: Ticks = 130;

#[derive(Clone, Debug)]
struct Call {
    /// Cents, and the band.
    mark: Option<(u64, u32)>,
    orders: Vec<Order>,
    positions: BTreeMap<u32, SignedLots>,
}

impl Call {
    fn of(&self, orders: &[Order]) -> Outcome {
        self.part(orders, u32::MAX, &Terms::default())
    }

    fn part(&self, orders: &[Order], max_fills: u32, terms: &Terms) -> Outcome {
        let rules = self.mark.map(|(cents, band)| rules(cents, band, max_fills));
        let position = |account| self.positions.get(&account).copied().unwrap_or(0);
        call_auction(rules.as_ref(), terms, orders, &position).expect("small numbers")
    }

    fn find(&self, id: u32) -> &Order {
        &self.orders[id as usize]
    }

    fn side(&self, side: Side) -> impl Iterator<Item = &Order> {
        self.orders.iter().filter(move |o| o.side == side)
    }
}

fn any_call(most: usize, lots: Lots) -> impl Strategy<Value = Call> {
    let mark = (
        8_500u64..11_500,
        prop_oneof![Just(20_000u32), Just(50_000), Just(300_000)],
    );
    let order = (any_order(common::Shape { lots, ..SMALL }), 0u32..4);
    let orders = prop::collection::vec(order, 0..=most);
    let positions = prop::collection::vec(-20i64..20, 12);
    (prop::option::weighted(0.7, mark), orders, positions).prop_map(|(mark, drawn, positions)| {
        let numbered = drawn
            .into_iter()
            .zip(0..)
            .map(|((order, block), id)| Order {
                id,
                block,
                tie: hash(id),
                ..order
            });
        Call {
            mark,
            orders: numbered.collect(),
            positions: (0..).zip(positions).collect(),
        }
    })
}

type Checked = Result<(), TestCaseError>;

fn everybody_trades_at_one_price_within_limits(call: &Call, told: &Told) -> Checked {
    let mut traded = [0, 0];
    for ((id, ticks), (lots, _)) in &told.fills {
        let order = call.find(*id);
        prop_assert_eq!(Some(*ticks), told.last);
        prop_assert!(order.side.accepts(order.limit, *ticks), "order {}", id);
        prop_assert!(order.kind != Kind::FillOrKill);
        if let Some((cents, band)) = call.mark {
            let off = (ticks * 100).abs_diff(cents) * 1_000_000;
            prop_assert!(off <= cents * u64::from(band));
        }
        traded[usize::from(order.side == Side::Ask)] += lots;
    }
    prop_assert_eq!(traded, [told.volume; 2]);
    Ok(())
}

fn every_lot_is_accounted_for(call: &Call, told: &Told) -> Checked {
    for order in &call.orders {
        let rests = told.joined.get(&order.id).map_or(0, |(_, lots)| *lots);
        let known = told.filled(order.id) + told.cancelled_lots(order.id) + rests;
        prop_assert_eq!(order.lots, known, "order {}", order.id);
    }
    Ok(())
}

/// Nobody executes where somebody with a better limit, or an older order at the same one, was left with lots.
fn priority_is_price_then_block(call: &Call, told: &Told) -> Checked {
    for left in call
        .orders
        .iter()
        .filter(|o| told.joined.contains_key(&o.id))
    {
        let limit = told.joined[&left.id].0;
        for (id, _) in told.fills.keys() {
            let other = call.find(*id);
            // Of a position used up by others nothing is left to execute.
            if other.side != left.side || left.reduce_only {
                continue;
            }
            // Limits beyond the edge of the band are the edge.
            let better = match left.side {
                Side::Bid => limit > other.limit,
                Side::Ask => limit < other.limit,
            };
            let older = left.limit == other.limit && left.block < other.block;
            prop_assert!(!better && !older, "{} executed before {}", id, left.id);
        }
    }
    Ok(())
}

fn what_rests_is_not_crossed(call: &Call, told: &Told) -> Checked {
    let limits = |side| {
        let rest = call.side(side).filter_map(|o| told.joined.get(&o.id));
        rest.map(|(limit, _)| *limit)
    };
    if let (Some(bid), Some(ask)) = (limits(Side::Bid).max(), limits(Side::Ask).min()) {
        prop_assert!(bid < ask, "{} bid, {} asked", bid, ask);
    }
    Ok(())
}

fn reduce_only_fills_at_most_the_position(call: &Call, told: &Told) -> Checked {
    let mut reduced: BTreeMap<u32, Lots> = BTreeMap::new();
    for ((id, _), (lots, _)) in &told.fills {
        let order = call.find(*id);
        if order.reduce_only {
            let held = call.positions.get(&order.account).copied().unwrap_or(0);
            prop_assert!((held > 0) == (order.side == Side::Ask));
            let sum = reduced.entry(order.account).or_default();
            *sum += lots;
            prop_assert!(*sum <= held.unsigned_abs());
        }
    }
    Ok(())
}

fn no_owner_is_on_both_sides(call: &Call, told: &Told) -> Checked {
    let executed = |side| {
        let ids = told.fills.keys().map(|(id, _)| call.find(*id));
        ids.filter(move |o| o.side == side)
    };
    for bid in executed(Side::Bid) {
        prop_assert!(executed(Side::Ask).all(|ask| ask.owner != bid.owner));
    }
    Ok(())
}

proptest! {
    #![proptest_config(common::cases(2_000))]

    #[test]
    fn outcome_is_the_reference_and_every_property_holds(
        call in prop_oneof![any_call(14, 12), any_call(40, 30), any_call(25, 1)],
    ) {
        let told = told(&call.of(&call.orders));
        prop_assert_eq!(&told, &reference(call.mark, &call.orders, &call.positions, TICKS));
        everybody_trades_at_one_price_within_limits(&call, &told)?;
        every_lot_is_accounted_for(&call, &told)?;
        priority_is_price_then_block(&call, &told)?;
        what_rests_is_not_crossed(&call, &told)?;
        reduce_only_fills_at_most_the_position(&call, &told)?;
        no_owner_is_on_both_sides(&call, &told)?;
    }

    /// However few may execute at a time, everybody does at one price, within limits and by priority, and in the end as much as at once.
    #[test]
    fn parts_of_an_auction_add_up_to_the_whole(
        call in any_call(40, 12), max_fills in 2u32..12, seed: u64,
    ) {
        let mark = Some(call.mark.unwrap_or((10_000, 300_000)));
        // Orders that rest, of as many owners: what leaves with a part must not change what is left.
        let orders = call.orders.iter().map(|order| Order {
            kind: Kind::Rest,
            reduce_only: false,
            owner: order.id,
            account: order.id,
            ..*order
        });
        let call = Call { mark, orders: orders.collect(), ..call };
        let whole = call.of(&call.orders);
        let mut left = call.orders.clone();
        left.sort_by_key(|o| (u64::from(o.id) + 1).wrapping_mul(seed | 1));
        let (mut terms, mut volume) = (Terms::default(), 0);
        loop {
            let part = call.part(&left, max_fills, &terms);
            let part_told = told(&part);
            let here = Call { orders: call.orders.iter().map(|order| {
                let of = left.iter().find(|o| o.id == order.id);
                of.copied().unwrap_or(Order { lots: 0, ..*order })
            }).collect(), ..call.clone() };
            everybody_trades_at_one_price_within_limits(&here, &part_told)?;
            prop_assert!(part.executed_resting <= max_fills);
            prop_assert_eq!(part.executed_resting as usize, part.fills.len());
            volume += part.volume;
            if part.left > 0 {
                prop_assert!(part.volume > 0 && part.crosses);
                prop_assert_eq!(part.last, whole.last);
            }
            left = left.iter().filter_map(|order| {
                let (limit, lots) = *part_told.joined.get(&order.id)?;
                Some(Order { limit, lots, ..*order })
            }).collect();
            if part.left == 0 {
                prop_assert!(!part.crosses);
                prop_assert!(part.last.is_none() || part.last == whole.last);
                break;
            }
            terms.price = part.last;
        }
        prop_assert_eq!(volume, whole.volume);
    }

    #[test]
    fn outcome_is_the_same_when_the_orders_are_shuffled(call in any_call(14, 12), seed: u64) {
        let mut shuffled = call.orders.clone();
        shuffled.sort_by_key(|o| (u64::from(o.id) + 1).wrapping_mul(seed | 1));
        prop_assert_eq!(told(&call.of(&shuffled)), told(&call.of(&call.orders)));
    }

    /// What remains has nothing to say to a second auction.
    #[test]
    fn nothing_executes_when_the_remainder_is_called_again(call in any_call(14, 12)) {
        let first = told(&call.of(&call.orders));
        let left: Vec<_> = call.orders.iter().filter_map(|order| {
            let (limit, lots) = *first.joined.get(&order.id)?;
            Some(Order { limit, lots, reduce_only: false, ..*order })
        }).collect();
        let second = told(&call.of(&left));
        prop_assert_eq!((second.volume, second.last), (0, None));
        prop_assert_eq!(second.joined, first.joined);
    }
}

/// The random calls must reach every rule.
#[test]
fn random_calls_reach_every_rule() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let mut see = |what: &str| *seen.entry(what.into()).or_default() += 1;
    let mut runner = TestRunner::deterministic();
    for _ in 0..1_000 {
        let call = any_call(14, 12)
            .new_tree(&mut runner)
            .expect("a call")
            .current();
        let told = told(&call.of(&call.orders));
        told.cancelled.keys().for_each(|(_, reason)| see(reason));
        let unmarked = Call {
            mark: None,
            ..call.clone()
        };
        if told.last.is_some() && told.last != unmarked.of(&call.orders).last {
            see("the mark decides");
        }
        let edge = |o: &&Order| {
            told.joined
                .get(&o.id)
                .is_some_and(|(limit, _)| *limit != o.limit)
        };
        call.orders
            .iter()
            .filter(edge)
            .for_each(|_| see("cut to the band"));
        let shared = |o: &&Order| told.filled(o.id) > 0 && told.joined.contains_key(&o.id);
        if call.orders.iter().filter(shared).count() > 1 {
            see("a cohort shares");
        }
        if told.volume == 0 {
            see("nothing executes");
        }
        for (id, _) in told.fills.keys() {
            if call.find(*id).reduce_only {
                see("reduces");
            }
        }
    }
    for what in [
        "NotImmediate",
        "NotWhole",
        "SelfTrade",
        "NothingToReduce",
        "the mark decides",
        "cut to the band",
        "a cohort shares",
        "nothing executes",
        "reduces",
    ] {
        assert!(
            seen.get(what).is_some_and(|times| *times >= 10),
            "{what} is too rare: {seen:?}"
        );
    }
}
