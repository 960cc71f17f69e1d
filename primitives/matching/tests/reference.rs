//! The matcher against the slow reference, block after block on the book that the last one left.

mod common;

use common::{any_block, reference::reference, Market, Shape, SMALL};
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
