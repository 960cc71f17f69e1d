//! Liquidators in a replay. They decide by the code of `novate liquidator`, on what the chain says after each block, and close what they
//! take by reduce-only market orders, as it does.

use super::books::Books;
use crate::traders::{submit, Traders};
use anyhow::{Context, Result};
use codec::{Decode, Encode};
use novate_client::liquidator::{
    closing_orders,
    decide::{self, Competition, Plan, Policy},
};
use novate_runtime::{AccountId, Runtime, RuntimeCall};
use novate_types::{AccountRef, Cash, MarginAccount, MarketId, Ppm, RiskView, QUANTUMS};
use sp_runtime::OpaqueExtrinsic;
use std::collections::{BTreeSet, VecDeque};

/// USD that each begins with.
pub const CAPITAL: u64 = 250_000;
/// Notional that one bid takes at most, in USD.
const MOST_NOTIONAL: Cash = 250_000;
/// What it costs to close what is taken, of its notional.
const COST: Ppm = 1_000;
/// Initial equity that stays free, of initial margin.
const SPARE_MARGIN: Ppm = 200_000;
/// USD that the first wants to make of a bid. Each of the others wants so much more: they do not all come at one discount.
const LEAST_PROFIT: Cash = 5;

/// All of them.
pub struct Bots {
    traders: Traders,
}

impl Bots {
    /// So many, on the chain that begins with `genesis`.
    pub fn new(count: u32, genesis: novate_runtime::Hash) -> Self {
        Self {
            traders: Traders::new("bot", count, genesis),
        }
    }

    /// Gives them their capital. Runs natively.
    pub fn fund(&self) {
        self.traders.fund(CAPITAL);
    }

    /// What they send after a block: orders that close what they hold, and bids.
    pub fn act(
        &mut self,
        view: &RiskView,
        books: &Books,
        competitions: &[novate_runtime_api::Competition<AccountId>],
    ) -> Result<VecDeque<OpaqueExtrinsic>> {
        let mut targets = Vec::new();
        for terms in competitions {
            let account = books
                .account(&terms.account)
                .context("who competes has an account")?;
            // The client's accounts are subxt's.
            let terms = Competition::decode(&mut &terms.encode()[..])?;
            targets.push((terms, account.clone()));
        }
        let mut calls = Vec::new();
        for number in 0..self.traders.all.len() {
            let trader = &mut self.traders.all[number];
            let Some(own) = books.account(&trader.margin()) else {
                continue;
            };
            let held: Vec<_> = own
                .positions
                .iter()
                .map(|p| (p.market, p.lots, p.cost))
                .collect();
            let first = trader.client_ids(held.len());
            let closing = closing_orders(&held, &markets(view), first);
            if !closing.is_empty() {
                calls.push((number, submit(closing)));
            }
            for plan in plans(number, own, &targets, view) {
                calls.push((number, bid(&plan)?));
            }
        }
        Ok(self.traders.sign(calls))
    }
}

fn markets(view: &RiskView) -> BTreeSet<MarketId> {
    view.markets.iter().map(|market| market.id).collect()
}

fn plans(
    number: usize,
    own: &MarginAccount,
    targets: &[(Competition, MarginAccount)],
    view: &RiskView,
) -> Vec<Plan> {
    let policy = Policy {
        most_notional: MOST_NOTIONAL * QUANTUMS,
        least_profit: LEAST_PROFIT * QUANTUMS * (number as Cash + 1),
        spare_margin: SPARE_MARGIN,
        costs: markets(view)
            .into_iter()
            .map(|market| (market, COST))
            .collect(),
    };
    decide::plan(own, targets, view, &policy).0
}

fn bid(plan: &Plan) -> Result<RuntimeCall> {
    let account = AccountRef::<AccountId>::decode(&mut &plan.account.encode()[..])?;
    let bid = pallet_liquidation::Call::<Runtime>::bid {
        sub: 0,
        account,
        fraction: plan.fraction,
        least_discount: plan.least_discount,
    };
    Ok(bid.into())
}
