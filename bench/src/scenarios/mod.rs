//! What is measured. Each scenario has a chain of its own, and the transfers of its own run to compare with.

mod batches;
mod crash;
mod depth;
mod fills;
mod latest;
mod options;
mod orders;
mod rounds;
mod transfers;
mod weights;

use crate::{
    chain::{Chain, Made},
    measure::{self, median, Report, Tally},
    traders::Traders,
    world::World,
};
use anyhow::{bail, Context};
use frame_support::traits::StorageInfoTrait;
use novate_runtime::{AllPalletsWithSystem, RuntimeEvent};
use novate_types::{Lots, MarketId, Role};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::runtime::Handle;

/// What all scenarios share.
pub struct Bench {
    /// Below which directory databases are kept.
    pub dir: PathBuf,
    /// The runtime's blob.
    pub code: Vec<u8>,
    /// For the clients' tasks.
    pub tokio: Handle,
    /// Rounds that count; one more comes before them.
    pub rounds: usize,
    /// Tell every storage item's calls.
    pub details: bool,
    /// Time of one signature's verification.
    pub verification: Duration,
    /// Where figures go.
    pub report: Report,
}

/// Measures, and tells.
type Scenario = fn(&mut Bench) -> anyhow::Result<()>;

/// What there is, by number; the ninth is `novate-bench rpc`.
pub const SCENARIOS: &[(usize, &str, Scenario)] = &[
    (1, "transfers", transfers::run),
    (2, "single orders of 10,000 accounts", orders::run),
    (3, "batches of 50 operations of 100 makers", batches::run),
    (4, "fills in one market", fills::one_market),
    (5, "fills over 50 markets", fills::many_markets),
    (6, "a book of 100,000 resting orders", depth::run),
    (7, "the crash", crash::run),
    (
        8,
        "oracle rounds of 21 validators and 20 feeds",
        rounds::run,
    ),
    (10, "weights charged and time taken", weights::run),
    (11, "options in WebAssembly", options::run),
    (12, "the crash, a tenth in options", crash::with_options),
];

impl Bench {
    /// Runs scenario `number`.
    pub fn run(&mut self, number: usize) -> anyhow::Result<()> {
        let (_, name, run) = SCENARIOS
            .iter()
            .find(|(known, ..)| *known == number)
            .with_context(|| format!("there is no scenario {number} in process"))?;
        let name = &format!("{number} {name}");
        self.report.scenario(name);
        let began = Instant::now();
        run(self).with_context(|| format!("scenario {name}"))?;
        println!("   {:.0} s", began.elapsed().as_secs_f64());
        Ok(())
    }

    /// A chain, and those who pay each other on it.
    fn chain(&self, world: World) -> anyhow::Result<(Chain, Payers)> {
        let (genesis, oracle) = world.genesis(&self.code)?;
        let mut chain = Chain::new(&self.dir, &genesis, oracle, &self.tokio)?;
        let payers = Payers(Traders::new("payer", 2 * TRANSFERS as u32, chain.genesis()));
        chain.seed(|| payers.0.fund(0))?;
        // Markets open ten blocks after their first price.
        chain.wait(12)?;
        Ok((chain, payers))
    }

    /// Measures `act` in rounds, after the same number of transfers each time. The first round is not counted.
    fn interleaved(
        &self,
        chain: &mut Chain,
        payers: &mut Payers,
        mut act: impl FnMut(&mut Chain, usize) -> anyhow::Result<Measured>,
    ) -> anyhow::Result<Rounds> {
        let mut rounds = Rounds::default();
        for round in 0..=self.rounds {
            let unit = payers.pay(chain, round)?;
            let measured = act(chain, round)?;
            if round == 0 {
                continue;
            }
            rounds.add(&unit, measured);
        }
        Ok(rounds)
    }

    /// Tells a scenario's tally, with one block counted.
    fn tell(
        &mut self,
        chain: &Chain,
        tally: &Tally,
        sample: &Option<(Made, usize)>,
    ) -> anyhow::Result<()> {
        let counted = match sample {
            Some((made, operations)) => Some((chain.count(&made.block)?, *operations)),
            None => None,
        };
        let verification = self.verification;
        let of = counted
            .as_ref()
            .map(|(accesses, operations)| (accesses, *operations));
        self.report.tally(tally, verification, of)?;
        if let Some((accesses, operations)) = of.filter(|_| self.details) {
            measure::describe(accesses, operations, &item_names());
        }
        Ok(())
    }
}

/// A round's tally, and one of its blocks with its operations.
#[derive(Default)]
struct Measured {
    tally: Tally,
    sample: Option<(Made, usize)>,
}

impl Measured {
    fn add(&mut self, made: Made, operations: usize) {
        self.tally.add(&made, operations);
        // The fullest.
        if self
            .sample
            .as_ref()
            .is_none_or(|(_, most)| operations > *most)
        {
            self.sample = Some((made, operations));
        }
    }
}

/// Rounds added up.
#[derive(Default)]
struct Rounds {
    /// Import of an operation over that of a transfer, round by round.
    ratios: Vec<f64>,
    /// The same at the author.
    build_ratios: Vec<f64>,
    unit: Tally,
    tally: Tally,
    last: Option<(Made, usize)>,
}

impl Rounds {
    fn add(&mut self, unit: &Measured, measured: Measured) {
        let (unit, tally) = (&unit.tally, &measured.tally);
        self.ratios.push(tally.import_each() / unit.import_each());
        self.build_ratios
            .push(tally.build_each() / unit.build_each());
        self.unit.merge(unit);
        self.tally.merge(tally);
        self.last = measured.sample;
    }

    fn ratio(&self) -> f64 {
        median(&self.ratios)
    }

    fn build_ratio(&self) -> f64 {
        median(&self.build_ratios)
    }
}

/// Transfers of a round.
const TRANSFERS: usize = 1_000;

/// Two thousand who pay each other.
struct Payers(Traders);

impl Payers {
    /// One half pays the other, each to somebody else; next time the other way.
    fn pay(&mut self, chain: &mut Chain, round: usize) -> anyhow::Result<Measured> {
        let calls = (0..TRANSFERS)
            .map(|number| {
                let (from, to) = match round % 2 {
                    0 => (number, number + TRANSFERS),
                    _ => (number + TRANSFERS, number),
                };
                let dest = self.0.all[to].account.clone().into();
                let call = pallet_balances::Call::transfer_keep_alive {
                    dest,
                    value: 1_000_000_000,
                };
                (from, call.into())
            })
            .collect();
        let mut queue = self.0.sign(calls);
        let mut measured = Measured::default();
        while !queue.is_empty() {
            let made = chain.make(&mut queue, usize::MAX)?;
            let outcome = Outcome::of(chain)?;
            if outcome.failed > 0 {
                bail!("{} transfers failed", outcome.failed);
            }
            let operations = made.taken;
            measured.add(made, operations);
        }
        Ok(measured)
    }
}

/// What a block's extrinsics and its close did.
#[derive(Debug, Default)]
struct Outcome {
    /// Extrinsics that failed.
    failed: usize,
    /// Operations on orders that were carried out.
    accepted: usize,
    /// Operations that were refused, by reason.
    refused: BTreeMap<String, usize>,
    /// Fills of resting orders.
    made: usize,
    /// Lots traded by market.
    volume: BTreeMap<MarketId, Lots>,
    /// Orders that left without their owner's wish, by reason.
    cancelled: BTreeMap<String, usize>,
}

impl Outcome {
    fn of(chain: &Chain) -> anyhow::Result<Self> {
        let mut outcome = Self::default();
        for event in chain.events()? {
            outcome.note(event);
        }
        Ok(outcome)
    }

    fn note(&mut self, event: RuntimeEvent) {
        match event {
            RuntimeEvent::System(frame_system::Event::ExtrinsicFailed {
                dispatch_error, ..
            }) => {
                self.failed += 1;
                *self
                    .refused
                    .entry(format!("{dispatch_error:?}"))
                    .or_default() += 1;
            }
            RuntimeEvent::OrderBook(pallet_order_book::Event::Submitted { outcomes, .. }) => {
                for outcome in outcomes {
                    match outcome {
                        Ok(_) => self.accepted += 1,
                        Err(why) => *self.refused.entry(format!("{why:?}")).or_default() += 1,
                    }
                }
            }
            RuntimeEvent::OrderBook(pallet_order_book::Event::Cancelled { orders, .. }) => {
                for order in orders {
                    *self
                        .cancelled
                        .entry(format!("{:?}", order.reason))
                        .or_default() += 1;
                }
            }
            RuntimeEvent::Clearing(pallet_clearing::Event::Cleared { market, fills, .. }) => {
                for fill in fills.iter().filter(|fill| fill.role == Role::Maker) {
                    self.made += 1;
                    *self.volume.entry(market).or_default() += fill.lots;
                }
            }
            _ => {}
        }
    }

    /// Nothing was refused, failed, or cancelled against its owner's wish.
    fn all_well(&self) -> anyhow::Result<()> {
        if self.failed > 0 || !self.refused.is_empty() || !self.cancelled.is_empty() {
            bail!("not everything was carried out: {self:?}");
        }
        Ok(())
    }
}

/// Storage items by the prefix of their keys.
fn item_names() -> BTreeMap<Vec<u8>, String> {
    AllPalletsWithSystem::storage_info()
        .into_iter()
        .map(|info| {
            let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
            let name = format!("{}.{}", text(&info.pallet_name), text(&info.storage_name));
            (info.prefix.get(..32).unwrap_or(&info.prefix).to_vec(), name)
        })
        .collect()
}
