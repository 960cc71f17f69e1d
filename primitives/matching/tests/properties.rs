//! What section 4 of the protocol promises, checked on every block of random markets.

mod common;

use common::{any_block, bid, rules, told, Levels, Market, Matched, SMALL};
use novate_matching::{match_block, Kind, Order};
use novate_types::{Lots, Role, Side, Ticks};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

type Checked = Result<(), TestCaseError>;

/// Where an order's lots execute: at its limit, or at the edge of the band beyond which it lies.
fn executes_at(matched: &Matched, order: &Order) -> Ticks {
    let cents = matched.rules.mark.into_inner() / 10u128.pow(16);
    let (band, million) = (u128::from(matched.rules.band), 1_000_000);
    let edges = (
        (cents * (million - band)).div_ceil(100 * million) as Ticks,
        (cents * (million + band) / (100 * million)) as Ticks,
    );
    match order.side {
        Side::Bid => order.limit.min(edges.1),
        Side::Ask => order.limit.max(edges.0),
    }
}

fn left_in_book(matched: &Matched, order: &Order) -> Lots {
    order.lots - matched.told.filled(order.id) - matched.told.cancelled_lots(order.id)
}

fn every_lot_is_accounted_for(matched: &Matched) -> Checked {
    let told = &matched.told;
    for order in &matched.new {
        let joined = told.joined.get(&order.id).map_or(0, |(_, lots)| *lots);
        let known = told.filled(order.id) + told.cancelled_lots(order.id) + joined;
        prop_assert_eq!(order.lots, known, "order {}", order.id);
    }
    for order in &matched.resting {
        prop_assert!(order.lots >= told.filled(order.id) + told.cancelled_lots(order.id));
        prop_assert!(!told.joined.contains_key(&order.id));
    }
    Ok(())
}

fn nobody_trades_outside_limit_or_band(matched: &Matched) -> Checked {
    for (id, ticks) in matched.told.fills.keys() {
        let order = matched.find(*id);
        let price = executes_at(matched, order);
        prop_assert!(
            order.side.accepts(order.limit, *ticks),
            "order {} at {}",
            id,
            ticks
        );
        prop_assert!(
            order.side.accepts(price, *ticks),
            "order {} at {}",
            id,
            ticks
        );
        let opposite = Order {
            side: order.side.opposite(),
            limit: *ticks,
            ..*order
        };
        prop_assert_eq!(executes_at(matched, &opposite), *ticks);
    }
    Ok(())
}

fn bought_is_sold_at_every_price(matched: &Matched) -> Checked {
    let mut sums: BTreeMap<Ticks, (Lots, Lots)> = BTreeMap::new();
    for ((id, ticks), (lots, _)) in &matched.told.fills {
        let sum = sums.entry(*ticks).or_default();
        match matched.find(*id).side {
            Side::Bid => sum.0 += lots,
            Side::Ask => sum.1 += lots,
        }
    }
    prop_assert!(sums.values().all(|(bought, sold)| bought == sold));
    prop_assert_eq!(
        sums.values().map(|(bought, _)| bought).sum::<Lots>(),
        matched.told.volume
    );
    prop_assert_eq!(matched.told.last.is_some(), matched.told.volume > 0);
    Ok(())
}

fn resting_orders_keep_their_priority(matched: &Matched) -> Checked {
    for order in matched
        .resting
        .iter()
        .filter(|o| left_in_book(matched, o) > 0)
    {
        let price = executes_at(matched, order);
        for (id, ticks) in matched.told.fills.keys() {
            let other = matched.find(*id);
            let new = matched.new.iter().any(|o| o.id == *id);
            if other.side != order.side {
                // Who took at a worse price passed this order over.
                let better = match order.side {
                    Side::Bid => price > *ticks,
                    Side::Ask => price < *ticks,
                };
                prop_assert!(
                    !(new && better),
                    "{} took at {} before {}",
                    id,
                    ticks,
                    order.id
                );
            } else if !new {
                // So did who made at a worse limit, or at the same one in a later block.
                let worse =
                    other.limit != order.limit && other.side.accepts(order.limit, other.limit);
                let later = other.limit == order.limit && other.block > order.block;
                prop_assert!(!worse && !later, "{} made before {}", id, order.id);
            }
        }
    }
    Ok(())
}

fn at_most_f_orders_of_the_book_execute(matched: &Matched) -> Checked {
    let resting: BTreeSet<_> = matched.resting.iter().map(|o| o.id).collect();
    let executed = matched
        .told
        .fills
        .keys()
        .filter(|(id, _)| resting.contains(id));
    let executed = executed.map(|(id, _)| id).collect::<BTreeSet<_>>().len();
    prop_assert!(executed <= matched.told.executed_resting as usize);
    prop_assert!(matched.told.executed_resting <= matched.rules.max_fills);
    Ok(())
}

fn reduce_only_fills_at_most_the_position(matched: &Matched) -> Checked {
    let mut reduced: BTreeMap<u32, Lots> = BTreeMap::new();
    for ((id, _), (lots, _)) in &matched.told.fills {
        let order = matched.find(*id);
        if order.reduce_only {
            let held = matched.positions.get(&order.account).copied().unwrap_or(0);
            prop_assert!((held > 0) == (order.side == Side::Ask));
            let sum = reduced.entry(order.account).or_default();
            *sum += lots;
            prop_assert!(*sum <= held.unsigned_abs());
        }
    }
    Ok(())
}

fn fees_follow_the_role(matched: &Matched) -> Checked {
    for ((id, _), (_, roles)) in &matched.told.fills {
        let order = matched.find(*id);
        let rested = matched.resting.iter().any(|o| o.id == *id);
        if rested || order.kind == Kind::PostOnly {
            prop_assert_eq!(roles, &vec![Role::Maker]);
        }
        if matches!(order.kind, Kind::Immediate | Kind::FillOrKill) {
            prop_assert_eq!(roles, &vec![Role::Taker]);
        }
    }
    Ok(())
}

fn fill_or_kill_fills_whole_or_not_at_all(matched: &Matched) -> Checked {
    for order in fill_or_kill(matched) {
        let (filled, whole) = (matched.told.filled(order.id), whole(matched, order));
        prop_assert!(filled == 0 || filled == whole, "order {}", order.id);
        let not_whole = matched
            .told
            .cancelled
            .get(&(order.id, "NotWhole".into()))
            .copied()
            .unwrap_or(0);
        prop_assert_eq!(not_whole, whole - filled);
        prop_assert!(!matched.told.joined.contains_key(&order.id));
    }
    Ok(())
}

/// What is killed changes nothing in the run that is left: it is a match without them, of immediate orders.
fn others_match_as_if_the_killed_were_not_there(matched: &Matched) -> Checked {
    let all = || matched.new.iter().copied().map(common::immediate);
    let mut left = matched.told.clone();
    let mut new: Vec<_> = all().collect();
    for order in fill_or_kill(matched).filter(|o| matched.told.filled(o.id) == 0) {
        left = left.without(order.id);
        new.retain(|o| o.id != order.id);
    }
    prop_assert_eq!(matched.again(&new), left);

    // Nobody is killed who fills beside all the others, and one alone is killed only if it does not fill.
    let together = matched.again(&all().collect::<Vec<_>>());
    let short = |o: &&Order| together.filled(o.id) < whole(matched, o);
    if fill_or_kill(matched).filter(short).count() == 0 {
        prop_assert_eq!(&together, &matched.told);
    } else if let [alone] = fill_or_kill(matched).collect::<Vec<_>>().as_slice() {
        prop_assert_eq!(matched.told.filled(alone.id), 0);
    }
    Ok(())
}

fn fill_or_kill(matched: &Matched) -> impl Iterator<Item = &Order> {
    matched.new.iter().filter(|o| o.kind == Kind::FillOrKill)
}

/// The size that a fill-or-kill order has to fill.
fn whole(matched: &Matched, order: &Order) -> Lots {
    let held = matched.positions.get(&order.account).copied().unwrap_or(0);
    match (order.reduce_only, order.side) {
        (false, _) => order.lots,
        (true, Side::Bid) => order.lots.min((-held).max(0) as Lots),
        (true, Side::Ask) => order.lots.min(held.max(0) as Lots),
    }
}

fn book_is_not_crossed(market: &Market) -> Checked {
    let limits = |side| {
        market
            .resting
            .iter()
            .filter(move |o| o.side == side)
            .map(|o| o.limit)
    };
    if let (Some(bid), Some(ask)) = (limits(Side::Bid).max(), limits(Side::Ask).min()) {
        prop_assert!(bid < ask, "{} bid, {} asked", bid, ask);
    }
    Ok(())
}

/// The new orders without one, if that one neither executed nor rests, and its owner has no other.
fn onlookers(matched: &Matched) -> impl Iterator<Item = &Order> {
    let all = || matched.resting.iter().chain(&matched.new);
    matched
        .new
        .iter()
        .filter(|o| matched.told.filled(o.id) == 0 && !matched.told.joined.contains_key(&o.id))
        .filter(move |o| all().filter(|other| other.owner == o.owner).count() == 1)
}

/// Whether somebody of its side executed at a price that it took too, so that it had a part in a sharing.
fn had_a_share(matched: &Matched, order: &Order) -> bool {
    matched.told.fills.keys().any(|(id, ticks)| {
        let other = matched.find(*id);
        other.side == order.side && order.side.accepts(order.limit, *ticks)
    })
}

proptest! {
    #![proptest_config(common::cases(2_000))]

    #[test]
    fn every_property_holds_when_blocks_follow_blocks(
        blocks in prop::collection::vec(any_block(SMALL), 1..12),
    ) {
        let mut market = Market::default();
        for block in &blocks {
            let matched = market.step(block);
            every_lot_is_accounted_for(&matched)?;
            nobody_trades_outside_limit_or_band(&matched)?;
            bought_is_sold_at_every_price(&matched)?;
            resting_orders_keep_their_priority(&matched)?;
            at_most_f_orders_of_the_book_execute(&matched)?;
            reduce_only_fills_at_most_the_position(&matched)?;
            fees_follow_the_role(&matched)?;
            fill_or_kill_fills_whole_or_not_at_all(&matched)?;
            others_match_as_if_the_killed_were_not_there(&matched)?;
            book_is_not_crossed(&market)?;
            prop_assert_eq!(market.positions.values().sum::<i64>(), 0);
        }
    }

    #[test]
    fn outcome_is_the_same_when_the_intake_is_shuffled(
        blocks in prop::collection::vec(any_block(SMALL), 1..6), seed: u64,
    ) {
        let mut market = Market::default();
        for block in &blocks {
            let matched = market.step(block);
            let mut shuffled = matched.new.clone();
            shuffled.sort_by_key(|o| (u64::from(o.id) + 1).wrapping_mul(seed | 1));
            prop_assert_eq!(matched.again(&shuffled), matched.told);
        }
    }

    #[test]
    fn nothing_changes_for_others_when_an_order_neither_executes_nor_rests(
        blocks in prop::collection::vec(any_block(SMALL), 1..6),
    ) {
        let mut market = Market::default();
        for block in &blocks {
            // Who is killed may have decided who else was.
            let matched = market.step(&block.without_fill_or_kill());
            for order in onlookers(&matched).filter(|o| !had_a_share(&matched, o)) {
                let others: Vec<_> = matched.new.iter().filter(|o| o.id != order.id).copied().collect();
                prop_assert_eq!(matched.again(&others), matched.told.clone().without(order.id));
            }
        }
    }
}

/// The filter above must leave something to check, and the random markets must reach every rule.
#[test]
fn random_markets_reach_every_rule() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let mut see = |what: &str| *seen.entry(what.into()).or_default() += 1;
    let mut runner = TestRunner::deterministic();
    let markets = prop::collection::vec(any_block(SMALL), 12);
    for _ in 0..400 {
        let blocks = markets.new_tree(&mut runner).expect("a market").current();
        let mut market = Market::default();
        for block in &blocks {
            let matched = market.step(block);
            matched
                .told
                .cancelled
                .keys()
                .for_each(|(_, reason)| see(reason));
            let idle = |o: &&Order| {
                matched
                    .told
                    .cancelled
                    .contains_key(&(o.id, "NothingToReduce".into()))
            };
            matched
                .resting
                .iter()
                .filter(idle)
                .for_each(|_| see("resting and idle"));
            onlookers(&matched)
                .filter(|o| o.kind != Kind::FillOrKill && !had_a_share(&matched, o))
                .for_each(|_| see("onlooker"));
            let killed = |o: &&Order| matched.told.filled(o.id) == 0 && whole(&matched, o) > 0;
            match fill_or_kill(&matched).filter(killed).count() {
                0 => {}
                dead if dead < fill_or_kill(&matched).count() => {
                    see("killed beside one that fills")
                }
                1 => see("killed alone"),
                _ => see("several killed"),
            }
            for ((id, ticks), (_, roles)) in &matched.told.fills {
                let order = matched.find(*id);
                let new = matched.new.contains(order);
                see(match (new, roles.as_slice()) {
                    (false, _) => "maker of an earlier block",
                    (true, [Role::Taker]) => "taker",
                    (true, [Role::Maker]) if order.kind == Kind::PostOnly => "posted",
                    (true, [Role::Maker]) => "maker of this block",
                    (true, _) => "taker and maker at one price",
                });
                if order.limit != executes_at(&matched, order)
                    && *ticks == executes_at(&matched, order)
                {
                    see(if new {
                        "new at the edge"
                    } else {
                        "resting at the edge"
                    });
                }
            }
            if matched.told.executed_resting > 0 && matched.told.executed_resting == block.max_fills
            {
                see("all of F");
            }
            let takers = matched
                .told
                .fills
                .values()
                .filter(|(_, roles)| roles == &[Role::Taker])
                .count();
            if takers > 2 && matched.told.executed_resting > 1 {
                see("several walk");
            }
        }
    }
    for what in [
        "NotImmediate",
        "WouldCross",
        "Touching",
        "SelfTrade",
        "NothingToReduce",
        "resting and idle",
        "onlooker",
        "maker of an earlier block",
        "taker",
        "posted",
        "maker of this block",
        "new at the edge",
        "resting at the edge",
        "all of F",
        "several walk",
        "NotWhole",
        "killed beside one that fills",
        "killed alone",
        "several killed",
    ] {
        assert!(
            seen.get(what).is_some_and(|times| *times >= 10),
            "{what} is too rare: {seen:?}"
        );
    }
}

/// Everybody asks or bids within a block, one owner an order.
fn crowd(side: Side, sizes: &[Lots], first_id: u32) -> Vec<Order> {
    let ids = first_id..;
    sizes
        .iter()
        .zip(ids)
        .map(|(lots, id)| common::order(id, id, side, 100, *lots))
        .collect()
}

proptest! {
    #![proptest_config(common::cases(500))]

    #[test]
    fn inflated_size_buys_nothing_when_it_exceeds_the_lots_shared(
        sellers in prop::collection::vec(1u64..20, 1..6),
        buyers in prop::collection::vec(1u64..40, 1..6),
        factor in 2u64..1_000_000,
        rested: bool,
    ) {
        // Either the asks rest and are walked, or both sides meet at the cross.
        let asks = crowd(Side::Ask, &sellers, 0);
        let shared: Lots = sellers.iter().sum();
        let fills = |inflated: Lots| {
            let mut sizes = vec![inflated];
            sizes.extend(&buyers);
            let bids = crowd(Side::Bid, &sizes, 100);
            let (book, new) = if rested { (asks.clone(), bids) } else { (vec![], [asks.clone(), bids].concat()) };
            let outcome = match_block(&rules(10_000, 50_000, 100), &mut Levels::new(&book), &new, &|_| 0);
            told(&outcome).filled(100)
        };
        prop_assert_eq!(fills(shared), fills(shared * factor));
        prop_assert!(fills(shared) <= fills(shared + 1));
    }

    #[test]
    fn splitting_an_order_among_own_accounts_buys_nothing(
        sellers in prop::collection::vec(1u64..20, 1..6),
        buyers in prop::collection::vec(1u64..40, 1..6),
        size in 2u64..60,
        pieces in 2u64..6,
    ) {
        let asks = crowd(Side::Ask, &sellers, 0);
        let others = crowd(Side::Bid, &buyers, 100);
        let filled = |own: &[Order]| {
            let new = [own.to_vec(), others.clone()].concat();
            let outcome = match_block(&rules(10_000, 50_000, 100), &mut Levels::new(&asks), &new, &|_| 0);
            let told = told(&outcome);
            own.iter().map(|o| told.filled(o.id)).sum::<Lots>()
        };
        let whole = filled(&[bid(200, 200, 100, size)]);
        let pieces = pieces.min(size);
        let split: Vec<_> = (0..pieces)
            .map(|i| Order {
                account: 300 + i as u32,
                ..bid(200 + i as u32, 200, 100, size / pieces + u64::from(i < size % pieces))
            })
            .collect();
        // The owner's ticket in a tie is its oldest order's, which is the same order here.
        prop_assert_eq!(filled(&split), whole);
    }
}
