//! Aggressive flow: blocks in which takers cross five hundred resting orders, of few makers and of many, in one market and
//! over fifty.

use super::{Bench, Chain, Measured, Outcome, Payers, Rounds, World};
use crate::{
    measure::{median, Reach},
    traders::{submit, Traders},
    world::MARK,
};
use anyhow::bail;
use novate_types::{Lots, MarketId, Operation, Side, Ticks, TimeInForce};
use std::collections::BTreeMap;

/// Resting orders that are crossed.
const ORDERS: usize = 500;
/// Those who cross them: few with large orders, or one for each order.
pub const FEW_TAKERS: usize = 5;
/// Size of a resting order.
const LOTS: Lots = 100;
/// Price levels of a market's orders.
const LEVELS: u64 = 20;
/// Blocks after which a crossing that is not done is given up.
const MOST_BLOCKS: usize = 50;

/// Makers and takers, and how many markets they trade in.
pub struct Flow {
    makers: Traders,
    takers: Traders,
    markets: usize,
    levels: u64,
}

impl Flow {
    pub fn new(
        chain: &mut Chain,
        makers: u32,
        takers: usize,
        markets: usize,
        levels: u64,
    ) -> anyhow::Result<Self> {
        let flow = Self {
            makers: Traders::new("maker", makers, chain.genesis()),
            takers: Traders::new("taker", takers as u32, chain.genesis()),
            markets,
            levels,
        };
        chain.seed(|| {
            flow.makers.fund(1_000_000);
            flow.takers.fund(10_000_000)
        })?;
        Ok(flow)
    }

    /// The market of a maker's order: over many markets each of its orders is in another.
    fn market(&self, maker: usize, order: usize) -> MarketId {
        ((maker * 2 + order) % self.markets) as MarketId
    }

    fn limit(side: Side, away: u64) -> Ticks {
        match side {
            Side::Bid => MARK - away,
            Side::Ask => MARK + away,
        }
    }

    /// The makers' orders come to rest on `side`.
    pub fn post(&mut self, chain: &mut Chain, side: Side) -> anyhow::Result<Measured> {
        let makers = self.makers.all.len();
        let each = ORDERS / makers;
        let mut calls = Vec::new();
        for maker in 0..makers {
            let place = |order: usize| {
                let market = self.market(maker, order);
                let level = (maker * each + order) as u64 * 7 % self.levels;
                let limit = Self::limit(side, 1 + level);
                let trader = &mut self.makers.all[maker];
                Operation::Place(trader.order(market, side, LOTS, limit))
            };
            calls.push((maker, submit((0..each).map(place).collect())));
        }
        let mut queue = self.makers.sign(calls);
        let mut measured = Measured::default();
        while !queue.is_empty() {
            let made = chain.make(&mut queue, usize::MAX)?;
            let outcome = Outcome::of(chain)?;
            outcome.all_well()?;
            measured.add(made, outcome.accepted);
        }
        Ok(measured)
    }

    /// A taker's order that executes at any price of the makers'.
    fn taking(&mut self, taker: usize, market: MarketId, side: Side, lots: Lots) -> Operation {
        let limit = Self::limit(side.opposite(), 2 * self.levels);
        let mut order = self.takers.all[taker].order(market, side, lots, limit);
        order.time_in_force = TimeInForce::ImmediateOrCancel;
        Operation::Place(order)
    }

    /// Takers cross all of it, each one resting order with an extrinsic of its own, in as many blocks as it takes.
    pub fn cross_singly(&mut self, chain: &mut Chain, side: Side) -> anyhow::Result<Measured> {
        let mut measured = Measured::default();
        let mut left: Vec<MarketId> = (0..ORDERS)
            .map(|order| (order % self.markets) as MarketId)
            .collect();
        while !left.is_empty() {
            if measured.tally.blocks.len() >= MOST_BLOCKS {
                bail!("after {MOST_BLOCKS} blocks these are not crossed: {left:?}");
            }
            let calls = left
                .iter()
                .enumerate()
                .map(|(taker, market)| {
                    (taker, submit(vec![self.taking(taker, *market, side, LOTS)]))
                })
                .collect();
            let mut queue = self.takers.sign(calls);
            while !queue.is_empty() {
                let made = chain.make(&mut queue, usize::MAX)?;
                let outcome = Outcome::of(chain)?;
                if outcome.failed > 0 || !outcome.refused.is_empty() {
                    bail!("not everything was carried out: {outcome:?}");
                }
                for (market, lots) in &outcome.volume {
                    for _ in 0..lots.div_ceil(LOTS) {
                        let at = left.iter().position(|m| m == market);
                        at.map(|at| left.swap_remove(at));
                    }
                }
                let operations = made.taken;
                measured.add(made, operations);
            }
        }
        Ok(measured)
    }

    /// The takers cross all of it, in as many blocks as it takes.
    pub fn cross(&mut self, chain: &mut Chain, side: Side) -> anyhow::Result<Measured> {
        let in_market = LOTS * (ORDERS / self.markets) as u64;
        let mut left: BTreeMap<MarketId, Lots> = (0..self.markets)
            .map(|market| (market as MarketId, in_market))
            .collect();
        let mut measured = Measured::default();
        while !left.is_empty() {
            if measured.tally.blocks.len() == MOST_BLOCKS {
                bail!("after {MOST_BLOCKS} blocks these lots still rest: {left:?}");
            }
            let mut operations: BTreeMap<usize, Vec<Operation>> = BTreeMap::new();
            for (market, lots) in &left {
                // One market is crossed by all of them, each of many by one.
                let takers: Vec<usize> = match self.markets {
                    1 => (0..FEW_TAKERS).collect(),
                    _ => vec![usize::from(*market) % FEW_TAKERS],
                };
                let share = lots.div_ceil(takers.len() as u64);
                let mut rest = *lots;
                for taker in takers {
                    let lots = share.min(rest);
                    rest -= lots;
                    if lots == 0 {
                        continue;
                    }
                    let order = self.taking(taker, *market, side, lots);
                    operations.entry(taker).or_default().push(order);
                }
            }
            let calls = operations
                .into_iter()
                .map(|(taker, operations)| (taker, submit(operations)))
                .collect();
            let mut queue = self.takers.sign(calls);
            let made = chain.make(&mut queue, usize::MAX)?;
            if !queue.is_empty() {
                bail!("the takers' orders do not fit one block");
            }
            let outcome = Outcome::of(chain)?;
            if outcome.failed > 0 || !outcome.refused.is_empty() {
                bail!("not everything was carried out: {outcome:?}");
            }
            for (market, lots) in &outcome.volume {
                let rest = left.entry(*market).or_default();
                *rest = rest.saturating_sub(*lots);
            }
            left.retain(|_, lots| *lots > 0);
            measured.add(made, outcome.made);
        }
        Ok(measured)
    }
}

/// The side on which the makers stand: it changes, so that positions do not grow.
pub fn side_of(round: usize) -> Side {
    match round % 2 {
        0 => Side::Ask,
        _ => Side::Bid,
    }
}

/// Scenario 4.
pub fn one_market(bench: &mut Bench) -> anyhow::Result<()> {
    for (makers, reach) in [(25, 0.15), (500, 0.6)] {
        let (mut chain, mut payers) = bench.chain(World::default())?;
        let mut flow = Flow::new(&mut chain, makers, FEW_TAKERS, 1, LEVELS)?;
        let rounds = bench.interleaved(&mut chain, &mut payers, |chain, round| {
            let side = side_of(round);
            flow.post(chain, side)?;
            chain.wait(1)?;
            flow.cross(chain, side.opposite())
        })?;
        bench.report.compare(
            &format!("a fill, 500 fills of {makers} makers, import"),
            rounds.tally.import_each(),
            "us",
            rounds.ratio(),
            Some(Reach::AtMost(reach)),
        )?;
        bench.report.compare(
            &format!("a fill, 500 fills of {makers} makers, building"),
            rounds.tally.build_each(),
            "us",
            rounds.build_ratio(),
            None,
        )?;
        bench.tell(&chain, &rounds.tally, &rounds.last)?;
    }
    Ok(())
}

/// A chain with its flow, measured in turn with another.
struct Venue {
    chain: Chain,
    payers: Payers,
    flow: Flow,
    placed: Vec<f64>,
    filled: Vec<f64>,
    crossed: Vec<f64>,
    rounds: Rounds,
}

impl Venue {
    fn new(bench: &Bench, markets: u16) -> anyhow::Result<Self> {
        let world = World {
            markets,
            ..World::default()
        };
        let (mut chain, payers) = bench.chain(world)?;
        let flow = Flow::new(&mut chain, 25, ORDERS, usize::from(markets), LEVELS)?;
        Ok(Self {
            chain,
            payers,
            flow,
            placed: Vec::new(),
            filled: Vec::new(),
            crossed: Vec::new(),
            rounds: Rounds::default(),
        })
    }

    fn round(&mut self, round: usize) -> anyhow::Result<()> {
        let side = side_of(round);
        let unit = self.payers.pay(&mut self.chain, round)?.tally;
        let posted = self.flow.post(&mut self.chain, side)?.tally;
        self.chain.wait(1)?;
        let filled = self.flow.cross(&mut self.chain, side.opposite())?.tally;
        self.flow.post(&mut self.chain, side)?;
        self.chain.wait(1)?;
        let crossed = self.flow.cross_singly(&mut self.chain, side.opposite())?;
        if round > 0 {
            self.placed.push(posted.import_each());
            self.filled.push(filled.import_each());
            self.crossed.push(crossed.tally.import_each());
            self.rounds.unit.merge(&unit);
            self.rounds.tally.merge(&crossed.tally);
            self.rounds.last = crossed.sample;
        }
        Ok(())
    }
}

/// Scenario 5.
pub fn many_markets(bench: &mut Bench) -> anyhow::Result<()> {
    let (mut one, mut fifty) = (Venue::new(bench, 1)?, Venue::new(bench, 50)?);
    for round in 0..=bench.rounds {
        one.round(round)?;
        fifty.round(round)?;
    }
    let over = |a: &[f64], b: &[f64]| {
        let ratios: Vec<f64> = a.iter().zip(b).map(|(a, b)| a / b).collect();
        median(&ratios)
    };
    let reach = Some(Reach::AtMost(1.25));
    let placed = over(&fifty.placed, &one.placed);
    let filled = over(&fifty.filled, &one.filled);
    let crossed = over(&fifty.crossed, &one.crossed);
    let report = &mut bench.report;
    report.compare(
        "an order that executes, 50 markets over 1",
        median(&fifty.crossed),
        "us",
        crossed,
        reach,
    )?;
    report.compare(
        "an order of a batch placed, 50 markets over 1",
        median(&fifty.placed),
        "us",
        placed,
        None,
    )?;
    report.compare(
        "a fill of a batch, 50 markets over 1",
        median(&fifty.filled),
        "us",
        filled,
        None,
    )?;
    let unit = fifty.rounds.unit.import_each() / one.rounds.unit.import_each();
    report.compare(
        "a transfer, 50 markets over 1",
        fifty.rounds.unit.import_each(),
        "us",
        unit,
        None,
    )?;
    bench.tell(&fifty.chain, &fifty.rounds.tally, &fifty.rounds.last)
}
