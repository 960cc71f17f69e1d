//! Market makers: extrinsics of fifty operations, of which 70 % amend, 20 % place and 10 % cancel.

use super::{Bench, Chain, Measured, Outcome, World};
use crate::{
    measure::Reach,
    traders::{submit, Trader, Traders},
    world::MARK,
};
use novate_types::{ClientId, MarketId, Operation, OrderTarget, Side, Ticks};
use std::collections::VecDeque;

const MAKERS: u32 = 100;
/// Orders that each of them has in the book at the beginning. Every batch adds five.
const QUOTES: usize = 60;

/// Makers with their open orders, oldest first.
pub struct Makers {
    pub traders: Traders,
    open: Vec<VecDeque<(ClientId, Side, Ticks)>>,
    /// Moves every quote.
    turn: u64,
    is_odd: bool,
}

impl Makers {
    /// As many as told, each with `quotes` orders in the book of market zero. Their orders reach `reach` ticks from the market.
    pub fn new(
        chain: &mut Chain,
        purpose: &str,
        count: u32,
        quotes: usize,
        reach: u64,
    ) -> anyhow::Result<Self> {
        let traders = Traders::new(purpose, count, chain.genesis());
        chain.seed(|| traders.fund(1_000_000))?;
        let mut makers = Self {
            open: vec![VecDeque::new(); traders.all.len()],
            traders,
            turn: 0,
            is_odd: false,
        };
        let mut left = quotes;
        while left > 0 {
            let now = left.min(50);
            let calls = (0..makers.open.len())
                .map(|maker| {
                    (
                        maker,
                        submit((0..now).map(|n| makers.place(0, maker, n, reach)).collect()),
                    )
                })
                .collect();
            let mut queue = makers.traders.sign(calls);
            while !queue.is_empty() {
                chain.make(&mut queue, usize::MAX)?;
                Outcome::of(chain)?.all_well()?;
            }
            left -= now;
        }
        Ok(makers)
    }

    /// Where the maker's quote number `number` stands now.
    fn ticks(&mut self, maker: usize, number: usize, side: Side, reach: u64) -> Ticks {
        self.turn += 1;
        let away = 1 + (maker as u64 * 13 + number as u64 * 29 + self.turn * 3) % reach;
        match side {
            Side::Bid => MARK - away,
            Side::Ask => MARK + away,
        }
    }

    fn place(&mut self, market: MarketId, maker: usize, number: usize, reach: u64) -> Operation {
        let side = match number % 2 {
            0 => Side::Bid,
            _ => Side::Ask,
        };
        let ticks = self.ticks(maker, number, side, reach);
        let trader: &mut Trader = &mut self.traders.all[maker];
        let order = trader.order(market, side, 100, ticks);
        self.open[maker].push_back((order.client_id, side, ticks));
        Operation::Place(order)
    }

    /// Fifty operations of one maker: 35 amend its oldest orders, the others place and cancel.
    fn batch(&mut self, maker: usize, places: usize, reach: u64) -> Vec<Operation> {
        let mut operations = Vec::new();
        for number in 0..35 {
            // An amended order is the newest again.
            let Some((client, side, before)) = self.open[maker].pop_front() else {
                break;
            };
            let mut ticks = self.ticks(maker, number, side, reach);
            if ticks == before {
                ticks = match side {
                    Side::Bid => ticks - 1,
                    Side::Ask => ticks + 1,
                };
            }
            self.open[maker].push_back((client, side, ticks));
            operations.push(Operation::Amend {
                target: OrderTarget::Client(client),
                price: Some(ticks),
                lots: None,
            });
        }
        for number in 0..places {
            operations.push(self.place(0, maker, number, reach));
        }
        for _ in places..15 {
            if let Some((client, ..)) = self.open[maker].pop_front() {
                operations.push(Operation::Cancel(OrderTarget::Client(client)));
            }
        }
        operations
    }

    /// One batch of each maker: 20 % of its operations place and 10 % cancel.
    fn quote(&mut self, chain: &mut Chain, reach: u64) -> anyhow::Result<Measured> {
        self.batches(chain, 10, reach)
    }

    /// One batch of each maker after which, taken with the next, there are as many orders as before.
    pub fn steady(&mut self, chain: &mut Chain, reach: u64) -> anyhow::Result<Measured> {
        self.is_odd = !self.is_odd;
        self.batches(chain, 7 + usize::from(self.is_odd), reach)
    }

    fn batches(
        &mut self,
        chain: &mut Chain,
        places: usize,
        reach: u64,
    ) -> anyhow::Result<Measured> {
        let calls = (0..self.open.len())
            .map(|maker| (maker, submit(self.batch(maker, places, reach))))
            .collect();
        let mut queue = self.traders.sign(calls);
        let mut measured = Measured::default();
        while !queue.is_empty() {
            let made = chain.make(&mut queue, usize::MAX)?;
            let outcome = Outcome::of(chain)?;
            outcome.all_well()?;
            measured.add(made, outcome.accepted);
        }
        Ok(measured)
    }
}

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let (mut chain, mut payers) = bench.chain(World::default())?;
    let reach = 800;
    let mut makers = Makers::new(&mut chain, "maker", MAKERS, QUOTES, reach)?;
    let rounds = bench.interleaved(&mut chain, &mut payers, |chain, _| {
        makers.quote(chain, reach)
    })?;
    let report = &mut bench.report;
    report.compare(
        "an operation in a batch of 50, import",
        rounds.tally.import_each(),
        "us",
        rounds.ratio(),
        Some(Reach::AtMost(0.12)),
    )?;
    report.compare(
        "an operation in a batch of 50, building",
        rounds.tally.build_each(),
        "us",
        rounds.build_ratio(),
        None,
    )?;
    bench.tell(&chain, &rounds.tally, &rounds.last)
}
