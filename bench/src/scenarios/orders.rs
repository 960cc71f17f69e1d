//! Orders one by one: each extrinsic places one, which rests, and each account sends one.

use super::{Bench, Chain, Measured, Outcome, World};
use crate::{
    measure::Reach,
    traders::{submit, Traders},
    world::MARK,
};
use novate_types::{Operation, Side};

const ACCOUNTS: u32 = 10_000;

/// Places one order of each of `count` accounts from number `first` on, on both sides of the market.
pub fn place(
    chain: &mut Chain,
    traders: &mut Traders,
    first: usize,
    count: usize,
) -> anyhow::Result<Measured> {
    let calls = (first..first + count)
        .map(|number| {
            let away = 1 + (number as u64 * 7) % 4_000;
            let (side, ticks) = match number % 2 {
                0 => (Side::Bid, MARK - away),
                _ => (Side::Ask, MARK + away),
            };
            let order = traders.all[number].order(0, side, 100, ticks);
            (number, submit(vec![Operation::Place(order)]))
        })
        .collect();
    let mut queue = traders.sign(calls);
    let mut measured = Measured::default();
    while !queue.is_empty() {
        let made = chain.make(&mut queue, usize::MAX)?;
        let outcome = Outcome::of(chain)?;
        outcome.all_well()?;
        measured.add(made, outcome.accepted);
    }
    Ok(measured)
}

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let (mut chain, mut payers) = bench.chain(World::default())?;
    let mut traders = Traders::new("trader", ACCOUNTS, chain.genesis());
    chain.seed(|| traders.fund(10_000))?;
    let each = traders.all.len() / (bench.rounds + 1);
    let rounds = bench.interleaved(&mut chain, &mut payers, |chain, round| {
        place(chain, &mut traders, round * each, each)
    })?;
    let report = &mut bench.report;
    report.compare(
        "a single-order extrinsic, import",
        rounds.tally.import_each(),
        "us",
        rounds.ratio(),
        Some(Reach::AtMost(1.4)),
    )?;
    report.compare(
        "a single-order extrinsic, building",
        rounds.tally.build_each(),
        "us",
        rounds.build_ratio(),
        None,
    )?;
    let share = bench.verification.as_secs_f64() * rounds.tally.signatures as f64
        / rounds.tally.imported.as_secs_f64();
    report.compare(
        "share of signatures",
        100.0 * share,
        "%",
        share,
        Some(Reach::AtLeast(0.25)),
    )?;
    bench.tell(&chain, &rounds.tally, &rounds.last)
}
