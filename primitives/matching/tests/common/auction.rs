//! A call auction by looking at every tick.

use super::{
    reference::{Place, State, World},
    Told,
};
use novate_matching::{Kind, Order};
use novate_types::{CancelReason, Lots, Role, Side, SignedLots, Ticks};
use std::collections::{BTreeMap, BTreeSet};

/// Tick of one USD; a mark in cents and a band, or neither. Limits are below `ticks`.
pub fn reference(
    mark: Option<(u64, u32)>,
    orders: &[Order],
    positions: &BTreeMap<u32, SignedLots>,
    ticks: Ticks,
) -> Told {
    let mut world = match mark {
        Some((cents, band)) => World::within(cents, band),
        // From one tick to any.
        None => World::within(100 * ticks / 2, 1_000_000),
    };
    world.know(orders.iter(), positions);
    for order in orders {
        let at = world.orders.len();
        let limit = match mark {
            None => order.limit.max(u64::from(order.side == Side::Ask)),
            Some(_) => world.cut(order.side, order.limit),
        };
        world.orders.push(State {
            order: *order,
            limit,
            left: order.lots,
            place: Place::Crossing,
        });
        world.cut_to_room(at);
        if world.orders[at].left == 0 {
            world.orders[at].place = Place::Gone;
        } else if order.kind == Kind::FillOrKill {
            world.cancel(at, CancelReason::NotWhole);
        }
    }
    prevent_self_trades(&mut world);

    let at_tick = |p: Ticks| {
        let (demand, supply) = (
            executable(&world, Side::Bid, p),
            executable(&world, Side::Ask, p),
        );
        (demand.min(supply), demand.abs_diff(supply), p)
    };
    let all: Vec<_> = (1..=ticks).map(at_tick).collect();
    let most = all.iter().map(|t| t.0).max().unwrap();
    let least = all.iter().filter(|t| t.0 == most).map(|t| t.1).min();
    let tied: Vec<Ticks> = all
        .iter()
        .filter(|t| t.0 == most && Some(t.1) == least)
        .map(|t| t.2)
        .collect();
    let price = match mark {
        // The higher of two that are equally near.
        Some((cents, _)) => *tied
            .iter()
            .rev()
            .min_by_key(|p| (*p * 100).abs_diff(cents))
            .unwrap(),
        None => tied[(tied.len() - 1) / 2],
    };

    if most > 0 {
        world.told.volume = most;
        world.told.last = Some(price);
        fill(&mut world, Side::Bid, price, most);
        fill(&mut world, Side::Ask, price, most);
        // Of both sides, each order once: all have one price.
        world.told.executed_resting = world.told.fills.len() as u32;
    }
    for at in world.all(|s| s.place == Place::Crossing) {
        world.remain(at, &[]);
        if world.orders[at].place == Place::Crossing && world.orders[at].left > 0 {
            world.join(at);
        }
    }
    world.told
}

fn touch(one: &State, other: &State) -> bool {
    match (one.order.side, other.order.side) {
        (Side::Bid, Side::Ask) => one.limit >= other.limit,
        (Side::Ask, Side::Bid) => one.limit <= other.limit,
        _ => false,
    }
}

fn prevent_self_trades(world: &mut World) {
    let owners: BTreeSet<u32> = world.orders.iter().map(|s| s.order.owner).collect();
    for owner in owners {
        let own = world.all(|s| s.order.owner == owner && s.place == Place::Crossing);
        let meets = |at: &usize| {
            let me = &world.orders[*at];
            own.iter().any(|other| touch(me, &world.orders[*other]))
        };
        let meeting: Vec<_> = own.iter().copied().filter(meets).collect();
        let age = |at: &usize| {
            (
                world.orders[*at].order.sequence,
                world.orders[*at].order.tie,
            )
        };
        let Some(oldest) = meeting.iter().copied().min_by_key(age) else {
            continue;
        };
        let stays = world.orders[oldest].order.side;
        for at in meeting {
            if world.orders[at].order.side != stays {
                world.cancel(at, CancelReason::SelfTrade);
            }
        }
    }
}

/// Lots that could execute at `price`: what reaches it, an account's reduce-only orders together at most its position.
fn executable(world: &World, side: Side, price: Ticks) -> Lots {
    let mut plain = 0;
    let mut reducing: BTreeMap<u32, (Lots, Lots)> = BTreeMap::new();
    for at in reaching(world, side, price) {
        let s = &world.orders[at];
        if s.order.reduce_only {
            let sum = reducing.entry(s.order.account).or_default();
            *sum = (sum.0 + s.left, world.room_of(at));
        } else {
            plain += s.left;
        }
    }
    plain
        + reducing
            .values()
            .map(|(lots, room)| lots.min(room))
            .sum::<Lots>()
}

fn reaching(world: &World, side: Side, price: Ticks) -> Vec<usize> {
    world.all(|s| {
        let open = s.place == Place::Crossing && s.left > 0;
        let reaches = match side {
            Side::Bid => s.limit >= price,
            Side::Ask => s.limit <= price,
        };
        open && s.order.side == side && reaches
    })
}

fn fill(world: &mut World, side: Side, price: Ticks, mut lots: Lots) {
    let mut queue = reaching(world, side, price);
    while lots > 0 {
        // The best limit's oldest block.
        let first = |at: &usize| {
            let s = &world.orders[*at];
            let rank = match side {
                Side::Bid => Ticks::MAX - s.limit,
                Side::Ask => s.limit,
            };
            (rank, s.order.block)
        };
        let best = queue.iter().map(first).min().unwrap();
        let cohort: Vec<_> = queue
            .iter()
            .copied()
            .filter(|at| first(at) == best)
            .collect();
        queue.retain(|at| !cohort.contains(at));
        let offers = world.offers(&cohort);
        let part = offers.iter().map(|(_, lots)| lots).sum::<Lots>().min(lots);
        world.give(price, part, &offers, |order| match order.kind {
            Kind::PostOnly => Role::Maker,
            _ => Role::Taker,
        });
        lots -= part;
    }
}
