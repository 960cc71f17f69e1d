//! Whom a crash works off last, and what kept them: since when they are below maintenance margin, when they were queued, when each
//! remedy began, and where prices and funding stood.

use super::Chain;
use novate_risk::funding_owed_ceil;
use novate_runtime::{
    configs::exchange::RiskRules, AccountId, Clearing, Margin, Runtime, RuntimeEvent, System,
};
use novate_types::{
    AccountRef, BlockNumber, Cash, CurrentView, Ledger, MarginAccount, RiskModel, RiskView,
    QUANTUMS,
};
use pallet_liquidation::{Event, Queue};
use pallet_margin::Accounts;
use std::collections::BTreeMap;

/// Accounts that are told of.
const TOLD: usize = 20;

/// An account as the harness first saw it below maintenance margin, or queued.
#[derive(Clone, Copy, Debug)]
struct Picture {
    equity: Cash,
    maintenance: Cash,
    notional: Cash,
    /// How far the mark that is farthest from its index is from it, of that.
    basis: f64,
    /// Owed and not settled yet.
    funding: Cash,
}

impl Picture {
    fn of(account: &MarginAccount, view: &RiskView) -> Self {
        let assessed = RiskRules::assess(account, view).expect("every account can be assessed");
        let (mut basis, mut funding) = (0f64, 0);
        for position in &account.positions {
            let market = view.market(position.market).expect("the market is listed");
            let [mark, index] = [market.mark, market.index].map(|price| price.into_inner() as f64);
            let off = mark / index - 1.0;
            if off.abs() > basis.abs() {
                basis = off;
            }
            funding += funding_owed_ceil(position, market).expect("funding is in range");
        }
        Self {
            equity: assessed.equity,
            maintenance: assessed.maintenance,
            notional: assessed.notional,
            basis,
            funding,
        }
    }
}

/// What became of an account, by blocks since the fall.
#[derive(Clone, Debug, Default)]
struct Journey {
    /// First seen below maintenance margin.
    below: Option<(u32, Picture)>,
    queued: Option<u32>,
    begun: Option<u32>,
    competed: Option<u32>,
    left: Option<(u32, String)>,
}

/// All accounts that a fall brought below maintenance margin.
#[derive(Default)]
pub struct Journeys(BTreeMap<AccountRef<AccountId>, Journey>);

impl Journeys {
    /// Takes in block `block` after the fall, and its events.
    pub fn follow(
        &mut self,
        chain: &Chain,
        block: u32,
        events: &[RuntimeEvent],
    ) -> anyhow::Result<()> {
        chain.read(|| self.look(block))?;
        for event in events {
            if let RuntimeEvent::Liquidation(event) = event {
                self.note(block, event);
            }
        }
        Ok(())
    }

    /// Every account after the first block, then those in the queue. Runs natively.
    fn look(&mut self, block: u32) {
        let view = Clearing::view();
        if block == 1 {
            for (of, account) in Accounts::<Runtime>::iter() {
                let picture = Picture::of(&account, &view);
                if picture.equity < picture.maintenance {
                    self.0.entry(of).or_default().below = Some((block, picture));
                }
            }
        }
        let now: BlockNumber = System::block_number();
        for (of, queued) in Queue::<Runtime>::iter() {
            let journey = self.0.entry(of.clone()).or_default();
            if journey.queued.is_none() {
                journey.queued = Some(block.saturating_sub(now.saturating_sub(queued.since)));
            }
            if journey.below.is_none() {
                let account = Margin::account(&of);
                let picture = account.map(|account| Picture::of(&account, &view));
                journey.below = picture.map(|picture| (block, picture));
            }
        }
    }

    fn note(&mut self, block: u32, event: &Event<Runtime>) {
        let (Event::LiquidationStarted { account, .. }
        | Event::CompetitionStarted { account, .. }
        | Event::TakenOver { account, .. }
        | Event::Recovered { account, .. }) = event
        else {
            return;
        };
        let journey = self.0.entry(account.clone()).or_default();
        // Whoever comes and goes within a block is queued in it.
        journey.queued.get_or_insert(block);
        match event {
            Event::LiquidationStarted { .. } => {
                journey.begun.get_or_insert(block);
            }
            Event::CompetitionStarted { .. } => {
                journey.competed.get_or_insert(block);
            }
            Event::TakenOver { why, .. } => {
                journey.left = Some((block, format!("to the vault, {why:?}")));
            }
            _ => journey.left = Some((block, "recovered".into())),
        }
    }

    /// Prints those who left last.
    pub fn tell(&self) {
        let mut all: Vec<&Journey> = self.0.values().collect();
        all.sort_by_key(|journey| {
            std::cmp::Reverse(journey.left.as_ref().map_or(u32::MAX, |(block, _)| *block))
        });
        let at = |block: Option<u32>| block.map_or("never".into(), |block| block.to_string());
        for journey in all.into_iter().take(TOLD) {
            let below = journey.below.map(|(block, _)| block);
            let (left, how) = match &journey.left {
                Some((block, how)) => (block.to_string(), how.as_str()),
                None => ("never".into(), "still there"),
            };
            println!(
                "   last: below MM seen {}, queued {}, begun {}, in competition {}, left {left} ({how})",
                at(below),
                at(journey.queued),
                at(journey.begun),
                at(journey.competed),
            );
            if let Some((block, seen)) = &journey.below {
                let dollars = |quantums: Cash| quantums as f64 / QUANTUMS as f64;
                println!(
                    "         in block {block}: equity {:.2} of {:.2} USD, notional {:.2} USD, mark {:+.4} % off its index, funding owed {:.6} USD",
                    dollars(seen.equity),
                    dollars(seen.maintenance),
                    dollars(seen.notional),
                    100.0 * seen.basis,
                    dollars(seen.funding),
                );
            }
        }
    }
}
