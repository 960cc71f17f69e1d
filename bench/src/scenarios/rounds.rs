//! The oracle: every one of 21 validators observes twenty feeds in each block.

use super::{Bench, Measured, Rounds, World};
use crate::{oracle::cents, world::PRICE};
use std::collections::VecDeque;

/// Validators and feeds, the market's and the stablecoins' among them.
const VALIDATORS: u32 = 21;
const FEEDS: u16 = 20;
/// Blocks of a round.
const BLOCKS: u64 = 10;

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    // Transfers are measured where one validator observes.
    let (mut plain, mut payers) = bench.chain(World::default())?;
    let (mut chain, _) = bench.chain(World {
        validators: VALIDATORS,
        other_feeds: FEEDS - 3,
        ..World::default()
    })?;
    let feeds = chain.oracle.prices.len();
    let mut rounds = Rounds::default();
    for round in 0..=bench.rounds {
        let unit = payers.pay(&mut plain, round)?;
        let mut measured = Measured::default();
        for block in 0..BLOCKS {
            for price in chain.oracle.prices.values_mut().skip(3) {
                *price = cents(PRICE + block % 2 * 2_500);
            }
            let made = chain.make(&mut VecDeque::new(), 0)?;
            measured.add(made, chain.oracle.validators());
        }
        if round > 0 {
            rounds.add(&unit, measured);
        }
    }
    let report = &mut bench.report;
    report.tell("feeds", feeds as f64, "")?;
    report.compare(
        "an observation, its share of the round included, import",
        rounds.tally.import_each(),
        "us",
        rounds.ratio(),
        None,
    )?;
    let blocks = rounds.tally.blocks.len().max(1) as f64;
    let round = rounds.tally.imported.as_secs_f64() * 1e3 / blocks;
    report.tell("a round, import", round, "ms")?;
    bench.tell(&chain, &rounds.tally, &rounds.last)
}
