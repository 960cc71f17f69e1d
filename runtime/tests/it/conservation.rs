//! Nothing is created or lost: random operations by twenty accounts over hundreds of blocks, with crashes, outages and
//! governance, and the equalities of section 2 after every step.
//!
//! `PROPTEST_CASES` runs, `NOVATE_OPERATIONS` operations each, or one run of `NOVATE_SEED`.

use crate::common::{crowd::*, *};
use novate_runtime::System;

#[test]
fn equalities_hold_after_every_step_when_anything_happens() {
    let operations = configured("NOVATE_OPERATIONS", 10_000);
    for seed in seeds(3) {
        let (mut run, mut chain) = Run::new(seed, Climate::ROUGH);
        while run.tally.operations < operations {
            chain.execute_with(|| {
                run.block(conserved);
                equalities();
            });
            chain.commit_all().unwrap();
        }
        let blocks = chain.execute_with(System::block_number);
        println!("{blocks} blocks, {:#?}", run.tally);
        assert!(run.tally.fills * 20 > operations, "too few fills");
        assert!(run.tally.crashes > 0 && run.tally.withdrawals > 0);
        assert!(run.tally.remedies.len() >= 3, "too few remedies");
    }
}
