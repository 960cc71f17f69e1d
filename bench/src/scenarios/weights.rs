//! What blocks are charged against what they take, filled with one thing after the other: orders that come to rest and orders that execute, of
//! accounts as large as there can be and of small ones, batches, and transfers. The worst of them is what takes most of its charge:
//! whoever fills blocks with it slows the chain down as far as it goes.
//!
//! Weights are times of the instance that they were measured on. What extrinsics that do nothing take of the weight measured for them tells
//! how much longer this one takes, and the others are held to that.

use super::{Bench, Chain, Outcome, World};
use crate::{
    measure::{median, millis, quantile, Reach},
    traders::{submit, Traders},
    world::{secret, MARK},
};
use anyhow::ensure;
use novate_risk::apply_trade;
use novate_runtime::{AccountId, Clearing, Margin, Runtime, RuntimeCall, System, UNIT};
use novate_types::{
    math, AccountRef, ClientId, CurrentView, Ledger, LedgerError, Lots, MarginAccount, MarketId,
    Operation, OrderTarget, RiskView, Side, SignedLots, Ticks, TimeInForce, MAX_POSITIONS,
};
use sp_runtime::OpaqueExtrinsic;
use std::collections::{BTreeMap, VecDeque};

/// Accounts on each side.
const ACCOUNTS: usize = 600;
/// Markets.
const MARKETS: u16 = 40;
/// Resting orders of an account.
const ORDERS: usize = 4;
/// Size of an order: enough to move its account's thresholds to other buckets.
const LOTS: Lots = 1_000;
/// Lots of a position.
const HELD: SignedLots = 1_000;
/// Orders of a batch, and their size: all of them are covered.
const BATCH: usize = 50;
const FEW: Lots = 20;
/// Transfers of an account and round.
const TRANSFERS: u32 = 8;
/// Other accounts, with as many wallets: the database's weight was measured on a trie of that many keys.
const OTHERS: u32 = 250_000;
/// Of them, those written in one block.
const IN_BLOCK: u32 = 25_000;

/// Writes the other accounts, which nobody uses.
fn crowd(chain: &mut Chain) -> anyhow::Result<()> {
    for first in (0..OTHERS).step_by(IN_BLOCK as usize) {
        chain.seed(|| {
            for number in first..OTHERS.min(first + IN_BLOCK) {
                let owner = AccountId::from(secret("other", number));
                let of = AccountRef::new(owner.clone(), 0);
                pallet_margin::Accounts::<Runtime>::insert(of, MarginAccount::default());
                frame_system::Account::<Runtime>::mutate(owner, |wallet| {
                    wallet.providers = 1;
                    wallet.data.free = UNIT;
                });
            }
        })?;
    }
    Ok(())
}

/// Two sides whose accounts hold positions in so many markets, opposite ones. Each begins with another market.
struct Sides {
    makers: Traders,
    takers: Traders,
    round: usize,
}

fn hold(of: &Traders, sign: SignedLots, positions: u32, view: &RiskView) {
    for (number, trader) in of.all.iter().enumerate() {
        Margin::settle(&trader.margin(), view, false, |account| {
            let markets = view
                .markets
                .iter()
                .cycle()
                .skip(number % view.markets.len());
            for market in markets.take(positions as usize) {
                let lots = sign * HELD;
                let value = math::position_value_floor(lots, market.mark, market.lot_size)?;
                apply_trade(account, market, lots, value)?;
                // Between 20 % and 80 %, so that few stand in the same buckets.
                account.cash += value.abs() / 100 * 20;
                account.cash += value.abs() * 60 / 100 * number as i128 / ACCOUNTS as i128;
            }
            Ok::<_, LedgerError>(())
        })
        .expect("the ledger takes it");
    }
    System::reset_events();
}

impl Sides {
    fn new(chain: &mut Chain, positions: u32) -> anyhow::Result<Self> {
        let sides = Self {
            makers: Traders::new("large maker", ACCOUNTS as u32, chain.genesis()),
            takers: Traders::new("large taker", ACCOUNTS as u32, chain.genesis()),
            round: 0,
        };
        chain.seed(|| {
            sides.makers.fund(1_000);
            sides.takers.fund(1_000);
            let view = Clearing::view();
            hold(&sides.makers, 1, positions, &view);
            hold(&sides.takers, -1, positions, &view);
        })?;
        Ok(sides)
    }

    /// The makers' orders, one an extrinsic, that come to rest: each maker's in markets that it holds, at prices in many pages. By turns
    /// they add to what it holds and reduce it, so that margin lasts.
    fn posts(&mut self) -> VecDeque<OpaqueExtrinsic> {
        self.round += 1;
        let mut calls = Vec::new();
        for order in 0..ORDERS {
            for (number, maker) in self.makers.all.iter_mut().enumerate() {
                let market = ((number + order) % usize::from(MARKETS)) as MarketId;
                let away = 1 + (number * 37 + order) as Ticks % 600;
                let (side, limit) = match self.round % 2 {
                    1 => (Side::Bid, MARK - away),
                    _ => (Side::Ask, MARK + away),
                };
                let order = maker.order(market, side, LOTS, limit);
                calls.push((number, submit(vec![Operation::Place(order)])));
            }
        }
        self.makers.sign(calls)
    }

    /// The takers' orders, one an extrinsic, that execute against those.
    fn takes(&mut self) -> VecDeque<OpaqueExtrinsic> {
        let calls = (0..ACCOUNTS)
            .map(|number| {
                let market = (number % usize::from(MARKETS)) as MarketId;
                let taker = &mut self.takers.all[number];
                let (side, limit) = match self.round % 2 {
                    1 => (Side::Ask, MARK - 700),
                    _ => (Side::Bid, MARK + 700),
                };
                let mut order = taker.order(market, side, 2 * LOTS, limit);
                order.time_in_force = TimeInForce::ImmediateOrCancel;
                (number, submit(vec![Operation::Place(order)]))
            })
            .collect();
        self.takers.sign(calls)
    }

    /// The takers place a batch each, far from the market; and the same orders are cancelled.
    fn batches(&mut self) -> [VecDeque<OpaqueExtrinsic>; 2] {
        let (mut places, mut cancels) = (Vec::new(), Vec::new());
        for (number, taker) in self.takers.all.iter_mut().enumerate() {
            let market = (number % usize::from(MARKETS)) as MarketId;
            let orders: Vec<_> = (0..BATCH)
                .map(|order| {
                    let away = 701 + (number * 13 + order * 29) as Ticks % 800;
                    taker.order(market, Side::Ask, FEW, MARK + away)
                })
                .collect();
            let client = |id: ClientId| Operation::Cancel(OrderTarget::Client(id));
            let ids = orders.iter().map(|order| client(order.client_id));
            cancels.push((number, submit(ids.collect())));
            places.push((
                number,
                submit(orders.into_iter().map(Operation::Place).collect()),
            ));
        }
        [self.takers.sign(places), self.takers.sign(cancels)]
    }

    /// Extrinsics of the takers that do nothing.
    fn idles(&mut self) -> VecDeque<OpaqueExtrinsic> {
        let call = frame_system::Call::<Runtime>::remark { remark: Vec::new() };
        let calls = 0..ACCOUNTS * TRANSFERS as usize;
        let calls = calls.map(|number| (number % ACCOUNTS, RuntimeCall::from(call.clone())));
        self.takers.sign(calls.collect())
    }

    /// Transfers from the takers to wallets out of the crowd, each to another.
    fn transfers(&mut self) -> VecDeque<OpaqueExtrinsic> {
        let first = self.round as u32 * ACCOUNTS as u32 * TRANSFERS;
        let calls = (0..ACCOUNTS as u32 * TRANSFERS)
            .map(|number| {
                let other = AccountId::from(secret("other", (first + number) % OTHERS));
                let call = pallet_balances::Call::<Runtime>::transfer_keep_alive {
                    dest: other.into(),
                    value: 1_000_000_000,
                };
                (number as usize % ACCOUNTS, RuntimeCall::from(call))
            })
            .collect();
        self.takers.sign(calls)
    }
}

/// What blocks filled with one thing took over what they were charged.
#[derive(Default)]
struct Filled {
    ratios: Vec<f64>,
    fills: usize,
}

impl Filled {
    /// Makes blocks as full as they get until the queue is empty. The last one is not full, and not counted.
    fn fill(
        &mut self,
        chain: &mut Chain,
        mut queue: VecDeque<OpaqueExtrinsic>,
    ) -> anyhow::Result<()> {
        while !queue.is_empty() {
            let made = chain.make(&mut queue, usize::MAX)?;
            let outcome = Outcome::of(chain)?;
            ensure!(
                outcome.failed == 0 && outcome.refused.is_empty(),
                "not everything was carried out: {outcome:?}"
            );
            self.fills += outcome.made;
            if !queue.is_empty() {
                let charged =
                    chain.read(|| System::block_weight().total().ref_time())? as f64 / 1e9;
                self.ratios.push(millis(made.imported.total()) / charged);
            }
        }
        Ok(())
    }
}

/// What tells this instance from the one that weights were measured on.
const IDLE: &str = "extrinsics that do nothing";

/// What blocks are filled with, by name.
type Mixes = BTreeMap<String, Filled>;

/// Fills blocks with everything in turn, on a chain whose accounts hold so many positions.
fn measure(bench: &Bench, size: &str, positions: u32, mixes: &mut Mixes) -> anyhow::Result<()> {
    let world = World {
        markets: MARKETS,
        ..World::default()
    };
    let (mut chain, _) = bench.chain(world)?;
    crowd(&mut chain)?;
    let mut sides = Sides::new(&mut chain, positions)?;
    for _ in 0..bench.rounds {
        let mut fill = |what: &str, chain: &mut Chain, queue| {
            let name = format!("{what} of {size} accounts");
            mixes.entry(name).or_default().fill(chain, queue)
        };
        fill("resting orders", &mut chain, sides.posts())?;
        chain.wait(1)?;
        fill("executing orders", &mut chain, sides.takes())?;
        let [places, cancels] = sides.batches();
        fill("batches that place", &mut chain, places)?;
        fill("batches that cancel", &mut chain, cancels)?;
        fill("transfers", &mut chain, sides.transfers())?;
        fill(IDLE, &mut chain, sides.idles())?;
    }
    let executing = mixes.get(&format!("executing orders of {size} accounts"));
    ensure!(
        executing.is_some_and(|filled| filled.fills > 0),
        "no order of {size} accounts executed"
    );
    Ok(())
}

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let mut mixes = Mixes::new();
    for (size, positions) in [("full", MAX_POSITIONS), ("small", 1)] {
        measure(bench, size, positions, &mut mixes)?;
    }
    let idle = mixes.iter().filter(|(name, _)| name.starts_with(IDLE));
    let idle: Vec<f64> = idle
        .flat_map(|(_, filled)| &filled.ratios)
        .copied()
        .collect();
    ensure!(!idle.is_empty(), "no block was full of {IDLE}");
    let instance = median(&idle);
    mixes.retain(|name, _| !name.starts_with(IDLE));
    let report = &mut bench.report;
    report.tell(
        &format!("{IDLE}: import over weight charged, p50"),
        100.0 * instance,
        "%",
    )?;
    let (mut worst, mut most) = (0.0_f64, 0.0_f64);
    for (name, Filled { ratios, .. }) in &mixes {
        ensure!(!ratios.is_empty(), "no block was full of {name}");
        let (typical, highest) = (median(ratios), quantile(ratios, 1.0));
        report.tell(
            &format!("{name}: full blocks"),
            ratios.len() as f64,
            "blocks",
        )?;
        report.compare(
            &format!("{name}: import over weight charged, p50"),
            100.0 * typical,
            "%",
            typical / instance,
            None,
        )?;
        report.tell(
            &format!("{name}: import over weight charged, the most"),
            100.0 * highest,
            "%",
        )?;
        (worst, most) = (worst.max(typical), most.max(highest));
    }
    report.compare(
        "the worst of them: import over weight charged, the most",
        100.0 * most,
        "%",
        most / instance,
        Some(Reach::AtMost(1.0)),
    )?;
    report.compare(
        "the worst of them: import over weight charged, p50",
        100.0 * worst,
        "%",
        worst / instance,
        Some(Reach::AtLeast(1.0 / 3.0)),
    )
}
