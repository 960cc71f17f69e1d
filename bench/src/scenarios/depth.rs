//! A book of a hundred thousand resting orders: an operation costs no more than in a book of a hundred.
//!
//! Depth alone is compared: both chains hold the same accounts with the same hundred thousand orders, which on one of them rest in another
//! market than the one that is operated on. A transfer on both, which touches no book, tells whether that is so. What the larger
//! state costs everybody is told beside it, against a third chain that holds none of these orders.

use super::{
    batches::Makers,
    fills::{side_of, Flow, FEW_TAKERS},
    Bench, Chain, Payers, Rounds, World,
};
use crate::{
    measure::{median, Reach},
    traders::Traders,
    world::MARK,
};
use anyhow::bail;
use novate_runtime::OrderBook;
use novate_types::{MarketId, Operation, Side};

/// Those who move their orders, and how many each of them has: a hundred in all.
const ACTIVE: u32 = 10;
const QUOTES: usize = 10;
/// Those whose orders rest, and how many each of them has.
const PASSIVE: u32 = 1_000;
const RESTING: u64 = 100;
/// Of them, accounts whose orders are taken in by one block.
const IN_BLOCK: usize = 100;
/// Farthest that orders rest from the market, in ticks.
const REACH: u64 = 8_000;
/// Levels of the orders that are crossed: a tick group of the deep book has no room for many more.
const LEVELS: u64 = 400;
/// Farthest that the active ones do.
const NEAR: u64 = 800;

/// Market that is operated on.
const OPERATED: MarketId = 0;
/// The other one.
const ELSEWHERE: MarketId = 1;

/// Brings the orders of the passive ones to rest in a market, natively.
fn rest(chain: &mut Chain, market: MarketId) -> anyhow::Result<()> {
    let mut passive = Traders::new("passive", PASSIVE, chain.genesis());
    chain.seed(|| passive.fund(1_000_000))?;
    for (block, traders) in passive.all.chunks_mut(IN_BLOCK).enumerate() {
        let first = (block * IN_BLOCK) as u64;
        let refused = chain.seed(|| {
            let mut refused = Vec::new();
            for (number, trader) in (first..).zip(traders) {
                let of = trader.margin();
                let orders: Vec<Operation> = (0..RESTING)
                    .map(|order| {
                        let away = 1 + (number * 17 + order / 2 * 160) % REACH;
                        let (side, ticks) = match order % 2 {
                            0 => (Side::Bid, MARK - away),
                            _ => (Side::Ask, MARK + away),
                        };
                        Operation::Place(trader.order(market, side, 100, ticks))
                    })
                    .collect();
                match OrderBook::execute(&of, &orders) {
                    Ok(outcomes) => refused.extend(outcomes.into_iter().filter_map(Result::err)),
                    Err(why) => panic!("{why:?}"),
                }
            }
            refused
        })?;
        if !refused.is_empty() {
            bail!("orders were refused: {refused:?}");
        }
    }
    chain.wait(1)
}

/// A book, in a state, and who works in it.
struct Depth {
    chain: Chain,
    payers: Payers,
    makers: Makers,
    rounds: Rounds,
    each: Vec<f64>,
}

impl Depth {
    /// With the passive ones' orders in a market, or without them.
    fn new(bench: &Bench, resting: Option<MarketId>) -> anyhow::Result<Self> {
        let world = World {
            markets: 2,
            ..World::default()
        };
        let (mut chain, payers) = bench.chain(world)?;
        if let Some(market) = resting {
            rest(&mut chain, market)?;
        }
        let makers = Makers::new(&mut chain, "active", ACTIVE, QUOTES, NEAR)?;
        Ok(Self {
            chain,
            payers,
            makers,
            rounds: Rounds::default(),
            each: Vec::new(),
        })
    }

    fn round(&mut self, round: usize) -> anyhow::Result<()> {
        let unit = self.payers.pay(&mut self.chain, round)?;
        // Several times, as ten makers' batches are few.
        for _ in 0..5 {
            let measured = self.makers.steady(&mut self.chain, NEAR)?;
            if round > 0 {
                self.each.push(measured.tally.import_each());
                self.rounds.tally.merge(&measured.tally);
                self.rounds.last = measured.sample;
            }
        }
        if round > 0 {
            self.rounds.unit.merge(&unit.tally);
        }
        Ok(())
    }
}

/// Import of a fill of 500 on chains in turn, whose makers are no longer needed.
fn cross(chains: [&mut Chain; 2], rounds: usize) -> anyhow::Result<[Vec<f64>; 2]> {
    let [shallow, deep] = chains;
    let flows = [
        Flow::new(shallow, 500, FEW_TAKERS, 1, LEVELS)?,
        Flow::new(deep, 500, FEW_TAKERS, 1, LEVELS)?,
    ];
    let mut venues = [(shallow, Vec::new()), (deep, Vec::new())]
        .into_iter()
        .zip(flows)
        .collect::<Vec<_>>();
    for round in 0..=rounds {
        let side = side_of(round);
        for ((chain, each), flow) in &mut venues {
            flow.post(chain, side)?;
            chain.wait(1)?;
            let crossed = flow.cross(chain, side.opposite())?;
            if round > 0 {
                each.push(crossed.tally.import_each());
            }
        }
    }
    let mut times = venues.into_iter().map(|((_, each), _)| each);
    Ok([
        times.next().unwrap_or_default(),
        times.next().unwrap_or_default(),
    ])
}

/// Tells what an operation takes in a deep book over one in another, and a transfer on the same two chains.
fn compare(
    bench: &mut Bench,
    deep: &Depth,
    other: &Depth,
    over_what: &str,
    reach: Option<Reach>,
) -> anyhow::Result<()> {
    let report = &mut bench.report;
    report.compare(
        &format!("an operation, 100,000 orders resting over {over_what}"),
        median(&deep.each),
        "us",
        over(&deep.each, &other.each),
        reach,
    )?;
    let unit = deep.rounds.unit.import_each();
    report.compare(
        &format!("a transfer, 100,000 orders resting over {over_what}"),
        unit,
        "us",
        unit / other.rounds.unit.import_each(),
        None,
    )
}

fn over(deep: &[f64], shallow: &[f64]) -> f64 {
    let ratios: Vec<f64> = deep.iter().zip(shallow).map(|(a, b)| a / b).collect();
    median(&ratios)
}

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let mut small = Depth::new(bench, None)?;
    let mut shallow = Depth::new(bench, Some(ELSEWHERE))?;
    let mut deep = Depth::new(bench, Some(OPERATED))?;
    let resting = deep.chain.read(|| {
        pallet_margin::Accounts::<novate_runtime::Runtime>::iter_values()
            .map(|account| pallet_order_book::AccountOrders::of(&account).open.len())
            .sum::<usize>()
    })?;
    for round in 0..=bench.rounds {
        small.round(round)?;
        shallow.round(round)?;
        deep.round(round)?;
    }
    bench.report.tell("orders resting", resting as f64, "")?;
    let reach = Some(Reach::AtMost(1.15));
    compare(bench, &deep, &shallow, "100", reach)?;
    compare(bench, &deep, &small, "100 and none elsewhere", None)?;
    // Its databases are not needed any more.
    drop(small);
    bench.tell(&deep.chain, &deep.rounds.tally, &deep.rounds.last)?;
    let [shallow, deep] = cross([&mut shallow.chain, &mut deep.chain], bench.rounds)?;
    bench.report.compare(
        "a fill, 500 fills of as many makers, 100,000 orders resting over 100",
        median(&deep),
        "us",
        over(&deep, &shallow),
        None,
    )
}
