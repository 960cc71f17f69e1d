//! What blocks are charged against what they take: filled with orders of accounts as large as there can be, with orders of small
//! ones, and with transfers.

use super::{Bench, Chain, Outcome, World};
use crate::{
    measure::{median, millis, quantile, Reach},
    traders::{submit, Traders},
    world::{secret, MARK},
};
use anyhow::{bail, ensure};
use novate_risk::apply_trade;
use novate_runtime::{AccountId, Clearing, Margin, Runtime, System, UNIT};
use novate_types::{
    math, AccountRef, CurrentView, Ledger, LedgerError, Lots, MarginAccount, MarketId, Operation,
    RiskView, Side, SignedLots, Ticks, TimeInForce, MAX_POSITIONS,
};
use std::collections::VecDeque;

/// Accounts on each side.
const ACCOUNTS: usize = 600;
/// Markets.
const MARKETS: u16 = 40;
/// Resting orders of an account.
const ORDERS: usize = 4;
/// Size of an order.
const LOTS: Lots = 500;
/// Lots of a position.
const HELD: SignedLots = 1_000;
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

/// Two sides whose accounts hold positions in so many markets, opposite ones.
struct Sides {
    makers: Traders,
    takers: Traders,
    round: usize,
}

fn hold(of: &Traders, sign: SignedLots, positions: u32, view: &RiskView) {
    for (number, trader) in of.all.iter().enumerate() {
        Margin::settle(&trader.margin(), view, false, |account| {
            for market in view.markets.iter().take(positions as usize) {
                let lots = sign * HELD;
                let value = math::position_value_floor(lots, market.mark, market.lot_size)?;
                apply_trade(account, market, lots, value)?;
                // No two stand in the same buckets.
                account.cash += value.abs() / 100 * (5 + number as i128 % 60);
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

    /// The makers' bids come to rest, each in some markets, at prices in many pages.
    fn post(&mut self, chain: &mut Chain) -> anyhow::Result<()> {
        self.round += 1;
        let calls = (0..ACCOUNTS)
            .map(|number| {
                let maker = &mut self.makers.all[number];
                let place = |order: usize| {
                    let market = ((number * ORDERS + order) % usize::from(MARKETS)) as MarketId;
                    let away = 1 + (number * 37 + order) as Ticks % 600;
                    Operation::Place(maker.order(market, Side::Bid, LOTS, MARK - away))
                };
                (number, submit((0..ORDERS).map(place).collect()))
            })
            .collect();
        let mut queue = self.makers.sign(calls);
        while !queue.is_empty() {
            chain.make(&mut queue, usize::MAX)?;
            let outcome = Outcome::of(chain)?;
            ensure!(outcome.failed == 0, "makers failed: {outcome:?}");
        }
        chain.wait(1)
    }

    /// The takers' asks, one an extrinsic, that execute against those bids.
    fn takes(&mut self) -> VecDeque<sp_runtime::OpaqueExtrinsic> {
        let calls = (0..ACCOUNTS)
            .map(|number| {
                let market = (number % usize::from(MARKETS)) as MarketId;
                let taker = &mut self.takers.all[number];
                let mut ask = taker.order(market, Side::Ask, 2 * LOTS, MARK - 700);
                ask.time_in_force = TimeInForce::ImmediateOrCancel;
                (number, submit(vec![Operation::Place(ask)]))
            })
            .collect();
        self.takers.sign(calls)
    }
}

/// Blocks as full as they get: what each took over what it was charged.
fn full_blocks(
    chain: &mut Chain,
    queue: &mut VecDeque<sp_runtime::OpaqueExtrinsic>,
    ratios: &mut Vec<f64>,
    fills: &mut usize,
) -> anyhow::Result<()> {
    while !queue.is_empty() {
        let made = chain.make(queue, usize::MAX)?;
        let outcome = Outcome::of(chain)?;
        ensure!(
            outcome.failed == 0,
            "not everything was carried out: {outcome:?}"
        );
        *fills += outcome.made;
        if queue.is_empty() {
            // The last one is not full.
            break;
        }
        let charged = chain.read(|| System::block_weight().total().ref_time())? as f64 / 1e9;
        ratios.push(millis(made.imported.total()) / charged);
    }
    Ok(())
}

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    for (what, positions) in [("full", MAX_POSITIONS), ("small", 1)] {
        let world = World {
            markets: MARKETS,
            ..World::default()
        };
        let (mut chain, _) = bench.chain(world)?;
        crowd(&mut chain)?;
        let mut sides = Sides::new(&mut chain, positions)?;
        let (mut ratios, mut fills) = (Vec::new(), 0);
        for _ in 0..bench.rounds {
            sides.post(&mut chain)?;
            let mut queue = sides.takes();
            full_blocks(&mut chain, &mut queue, &mut ratios, &mut fills)?;
        }
        if ratios.is_empty() || fills == 0 {
            bail!(
                "no block was full of orders of {what} accounts, or none executed: {fills} fills"
            );
        }
        let report = &mut bench.report;
        report.tell(
            &format!("full blocks of {what} accounts' orders"),
            ratios.len() as f64,
            "blocks",
        )?;
        report.tell(&format!("fills in them, {what} accounts"), fills as f64, "")?;
        report.compare(
            &format!("{what} accounts' orders: import over weight charged, the most"),
            100.0 * quantile(&ratios, 1.0),
            "%",
            quantile(&ratios, 1.0),
            Some(Reach::AtMost(1.0)),
        )?;
        report.compare(
            &format!("{what} accounts' orders: import over weight charged, p50"),
            100.0 * median(&ratios),
            "%",
            median(&ratios),
            Some(Reach::AtLeast(1.0 / 3.0)),
        )?;
    }
    Ok(())
}
