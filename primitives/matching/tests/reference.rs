//! The matcher against the slow reference, block after block on the book that the last one left.

mod common;

use common::{any_block, ask, bid, reference::reference, Block, Market, Shape, SMALL};
use novate_matching::{Kind, Order};
use proptest::prelude::*;

const MANY: Shape = Shape {
    orders: 40,
    lots: 30,
    max_fills: 30,
    reduce_only: true,
};
const DUST: Shape = Shape {
    orders: 25,
    lots: 1,
    max_fills: 8,
    reduce_only: true,
};

fn follows(blocks: &[common::Block]) -> Result<(), TestCaseError> {
    let mut market = Market::default();
    for block in blocks {
        let matched = market.step(block);
        let rules = (block.mark_cents, block.band, block.max_fills);
        let expected = reference(rules, &matched.resting, &matched.new, &matched.positions);
        prop_assert_eq!(&matched.told, &expected);
    }
    Ok(())
}

proptest! {
    #![proptest_config(common::cases(3_000))]
    #[test]
    fn outcome_is_the_reference_when_blocks_are_small(
        blocks in prop::collection::vec(any_block(SMALL), 1..10),
    ) {
        follows(&blocks)?;
    }
}

proptest! {
    #![proptest_config(common::cases(400))]
    #[test]
    fn outcome_is_the_reference_when_blocks_are_crowded(
        blocks in prop::collection::vec(any_block(MANY), 1..6),
    ) {
        follows(&blocks)?;
    }

    #[test]
    fn outcome_is_the_reference_when_orders_are_dust(
        blocks in prop::collection::vec(any_block(DUST), 1..8),
    ) {
        follows(&blocks)?;
    }
}

/// Fill-or-kill bids beside an immediate one for about as much as is asked.
fn contest() -> impl Strategy<Value = [Block; 2]> {
    let block = |orders| Block {
        mark_cents: 10_000,
        band: 50_000,
        max_fills: u32::MAX,
        orders,
    };
    let asks = prop::collection::vec((100u64..103, 1u64..6_000), 1..4);
    let bids = prop::collection::vec((100u64..104, 1u64..150), 1..160);
    (asks, bids, 1u64..20_000).prop_map(move |(asks, bids, large)| {
        let asks = asks.into_iter().zip(0..);
        let asks = asks.map(|((limit, lots), id)| ask(id, id, limit, lots));
        let of = |kind, limit, owner, lots| Order {
            kind,
            sequence: 0,
            ..bid(0, owner, limit, lots)
        };
        let bids = bids.into_iter().zip(10..);
        let bids = bids.map(|((limit, lots), owner)| of(Kind::FillOrKill, limit, owner, lots));
        let large = of(Kind::Immediate, 103, 9, large);
        [block(asks.collect()), block(bids.chain([large]).collect())]
    })
}

proptest! {
    #![proptest_config(common::cases(150))]
    #[test]
    fn outcome_is_the_reference_when_many_fill_or_kill_orders_compete(blocks in contest()) {
        follows(&blocks)?;
    }
}

/// A joined order waits at the level whose resting one is gone; the next level is not reached before it, and what has nothing to reduce there
/// costs no budget yet.
#[test]
fn a_level_is_done_with_when_its_joined_orders_are_met() {
    let reduces = |order: Order| Order {
        reduce_only: true,
        ..order
    };
    let block = |mark_cents, max_fills, orders| Block {
        mark_cents,
        band: 20_000,
        max_fills,
        orders,
    };
    let post_only = Order {
        kind: Kind::PostOnly,
        ..ask(0, 0, 85, 1)
    };
    let blocks = [
        block(9_800, u32::MAX, vec![ask(0, 0, 85, 1), bid(0, 4, 97, 1)]),
        block(
            10_103,
            u32::MAX,
            vec![reduces(ask(0, 4, 85, 1)), reduces(ask(0, 4, 101, 1))],
        ),
        block(10_103, 2, vec![post_only, bid(0, 0, 100, 2)]),
    ];
    follows(&blocks).unwrap();
}
