//! The unit: `balances.transfer_keep_alive` between accounts that are all different. And blocks with nothing in them.

use super::{Bench, Measured, World};
use std::collections::VecDeque;

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let (mut chain, mut payers) = bench.chain(World::default())?;
    let rounds = bench.interleaved(&mut chain, &mut payers, |chain, _| {
        let mut idle = Measured::default();
        for _ in 0..5 {
            let made = chain.make(&mut VecDeque::new(), 0)?;
            idle.add(made, 1);
        }
        Ok(idle)
    })?;
    let sample = payers.pay(&mut chain, 0)?.sample;
    let unit = rounds.unit.import_each();
    bench.report.tell("a transfer, import", unit, "us")?;
    bench
        .report
        .tell("a transfer, building", rounds.unit.build_each(), "us")?;
    bench.report.tell(
        "a block with an observation alone",
        rounds.tally.import_each(),
        "us",
    )?;
    let verification = bench.verification.as_secs_f64() * 1e6;
    bench
        .report
        .tell("verifying a signature", verification, "us")?;
    bench.tell(&chain, &rounds.unit, &sample)
}
