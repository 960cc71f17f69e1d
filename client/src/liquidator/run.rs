//! The loop: with every block it looks at what is in competition, bids, and follows each bid to what became of it.

use super::{
    config::Config,
    decide::{self, Competition, Plan, Policy},
    metrics::Metrics,
    outcome::{percent, Outcome},
};
use crate::{
    address_of, chain::BlockId, decimal::cash_floor, Account, Call, Chain, Error, Refusal, Result,
    Signer, Wallet,
};
use novate_types::{
    BlockNumber, MarginAccount, MarketId, NewOrder, Operation, OrderPrice, SelfTradePrevention,
    Side, SignedLots, TimeInForce,
};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::mpsc;

/// Nearest accounts that are counted for the metrics.
const CANDIDATES: u32 = 64;

/// Something to say, for people and programs.
#[derive(Debug, Serialize)]
pub struct Said {
    /// At which block.
    pub block: BlockNumber,
    /// About what: `plan`, `pass`, `bid`, `hedge`.
    pub about: &'static str,
    /// About which account.
    pub account: Account,
    /// In words.
    pub text: String,
}

/// One of our accounts, and the key that signs for it; none in a dry run.
struct Bidder {
    account: Account,
    signer: Option<Arc<Signer>>,
}

/// What came back of something that was sent.
enum Answer {
    Bid {
        bidder: usize,
        plan: Box<Plan>,
        result: Result<(BlockNumber, Outcome)>,
    },
    Hedge {
        bidder: usize,
        result: Result<BlockNumber>,
    },
}

struct Liquidator<Say> {
    chain: Chain,
    bidders: Vec<Bidder>,
    policy: Policy,
    /// Markets in which what is taken is closed at once.
    hedged: BTreeSet<MarketId>,
    metrics: Metrics,
    /// Bids that are on their way: whose, and for which account.
    under_way: BTreeSet<(usize, Account)>,
    answers: mpsc::UnboundedSender<Answer>,
    say: Say,
}

/// Runs until interrupted. With `dry_run` it says what it would bid, and signs nothing.
///
/// # Errors
///
/// `config` when a key, a market or the metrics' port cannot be had; what the node answers or does not.
pub async fn run(config: Config, dry_run: bool, say: impl Fn(&Said)) -> Result<()> {
    let chain = Chain::connect(&config.url).await?;
    let metrics = Metrics::default();
    if let Some(at) = config.metrics {
        metrics.serve(at).await.map_err(|e| {
            let message = format!("metrics cannot be served at {at}: {e}");
            Refusal::new("config", message, "another port")
        })?;
    }
    let (answers, mut answered) = mpsc::unbounded_channel();
    let mut policy = Policy {
        most_notional: config.most_notional,
        least_profit: config.least_profit,
        spare_margin: config.spare_margin,
        ..Policy::default()
    };
    let mut hedged = BTreeSet::new();
    for terms in &config.markets {
        let market = chain.market(&terms.symbol, None).await?.id;
        policy.costs.insert(market, terms.cost_ppm);
        if terms.hedge {
            hedged.insert(market);
        }
    }
    let mut liquidator = Liquidator {
        bidders: bidders(&config, &chain, dry_run)?,
        chain,
        policy,
        hedged,
        metrics,
        under_way: BTreeSet::new(),
        answers,
        say,
    };
    let mut blocks = liquidator.chain.blocks(false).await?;
    loop {
        tokio::select! {
            block = blocks.next() => liquidator.at(block?).await?,
            Some(answer) = answered.recv() => liquidator.hear(answer),
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

fn bidders(config: &Config, chain: &Chain, dry_run: bool) -> Result<Vec<Bidder>> {
    let one = |bidder: &super::config::Bidder| {
        let secret = std::env::var(&bidder.key).map_err(|_| {
            Refusal::new(
                "config",
                format!("the environment variable {} is not set", bidder.key),
                format!("{}=//Alice", bidder.key),
            )
        })?;
        let signer = if dry_run {
            None
        } else {
            let wallet = Wallet::from_uri(&secret)?;
            Some(Arc::new(Signer::new(chain.clone(), wallet)))
        };
        Ok(Bidder {
            account: Account::new(address_of(&secret)?, bidder.sub),
            signer,
        })
    };
    config.accounts.iter().map(one).collect()
}

impl<Say: Fn(&Said)> Liquidator<Say> {
    /// What there is to do at a block.
    async fn at(&mut self, block: BlockId) -> Result<()> {
        let at = Some(block.hash);
        let competitions = self.chain.competitions(at).await?;
        let near = self.chain.liquidation_candidates(0, CANDIDATES, at).await?;
        let below = near.iter().filter(|c| c.equity < c.maintenance).count();
        let gauge = |family, value: usize| {
            self.metrics
                .set(family, "", i128::try_from(value).unwrap_or(i128::MAX));
        };
        gauge("competitions", competitions.len());
        gauge("candidates_below_maintenance", below);
        self.metrics.set("block", "", block.number.into());
        if competitions.is_empty() {
            return Ok(());
        }
        let view = self.chain.view(at).await?;
        let mut open: Vec<(Competition, MarginAccount)> = Vec::new();
        for terms in competitions {
            let target = self.chain.account(terms.account, at).await?;
            open.push((terms, target.account));
        }
        for bidder in 0..self.bidders.len() {
            let own = self.chain.account(self.bidders[bidder].account, at).await?;
            let label = self.bidders[bidder].account.owner.to_string();
            self.metrics
                .set("equity_quantums", &label, own.assessment.equity);
            // Not against ourselves, and not twice.
            open.retain(|(terms, _)| !self.under_way.iter().any(|(_, of)| *of == terms.account));
            let (plans, passes) = decide::plan(&own.account, &open, &view, &self.policy);
            for (account, pass) in passes {
                self.metrics.add("passes_total", pass.name(), 1);
                self.says(block.number, "pass", account, pass.to_string());
            }
            for plan in plans {
                open.retain(|(terms, _)| terms.account != plan.account);
                self.bid(bidder, plan, block.number);
            }
        }
        Ok(())
    }

    fn says(&self, block: BlockNumber, about: &'static str, account: Account, text: String) {
        (self.say)(&Said {
            block,
            about,
            account,
            text,
        });
    }

    /// Sends a bid, and waits for its block elsewhere.
    fn bid(&mut self, bidder: usize, plan: Plan, block: BlockNumber) {
        let text = format!(
            "bidding for {} at a discount of {}: {} USD of positions, {} USD expected",
            percent(plan.fraction),
            percent(plan.least_discount),
            cash_floor(plan.notional),
            cash_floor(plan.profit)
        );
        self.says(block, "plan", plan.account, text);
        let Bidder { account, signer } = &self.bidders[bidder];
        let (taker, answers) = (*account, self.answers.clone());
        let Some(signer) = signer.clone() else {
            return;
        };
        self.metrics.add("bids_total", "sent", 1);
        self.under_way.insert((bidder, plan.account));
        tokio::spawn(async move {
            let call = Call::bid(taker.sub, plan.account, plan.fraction, plan.least_discount);
            let result = signer.execute(&call).await.map(|included| {
                let close: Vec<_> = included.close().collect();
                let outcome =
                    Outcome::of(close.iter().copied(), &taker, &plan.account, plan.fraction);
                (included.block.number, outcome)
            });
            // Nobody hears it once the loop has ended.
            let _ = answers.send(Answer::Bid {
                bidder,
                plan: Box::new(plan),
                result,
            });
        });
    }

    fn hear(&mut self, answer: Answer) {
        match answer {
            Answer::Bid {
                bidder,
                plan,
                result,
            } => {
                self.under_way.remove(&(bidder, plan.account));
                self.became(bidder, &plan, result);
            }
            Answer::Hedge { bidder, result } => {
                let account = self.bidders[bidder].account;
                let (name, block, text) = match result {
                    Ok(block) => ("sent", block, "orders to close it are in the book".into()),
                    Err(error) => ("failed", 0, format!("what was taken stays open: {error}")),
                };
                self.metrics.add("hedges_total", name, 1);
                self.says(block, "hedge", account, text);
            }
        }
    }

    /// A bid's block is there.
    fn became(&self, bidder: usize, plan: &Plan, result: Result<(BlockNumber, Outcome)>) {
        let (block, outcome) = match result {
            Ok(answer) => answer,
            Err(error) => {
                self.metrics.add("bids_total", "refused", 1);
                let late = match &error {
                    Error::Refused(refusal) if refusal.rule.ends_with("NotCompeting") => {
                        ": the competition ended before the bid was in a block"
                    }
                    _ => "",
                };
                return self.says(0, "bid", plan.account, format!("refused{late}: {error}"));
            }
        };
        self.metrics.add("bids_total", outcome.name(), 1);
        self.says(block, "bid", plan.account, outcome.to_string());
        if let Outcome::Filled {
            portion, discount, ..
        } = outcome
        {
            self.metrics.add("discount_quantums_total", "", discount);
            self.hedge(bidder, &portion.positions);
        }
    }

    /// Closes what was taken in the markets that are to be hedged.
    fn hedge(&self, bidder: usize, taken: &[(MarketId, SignedLots, i128)]) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_micros());
        let first = u64::try_from(now).unwrap_or(0);
        let orders = closing_orders(taken, &self.hedged, first);
        let Bidder { account, signer } = &self.bidders[bidder];
        let Some(signer) = signer.clone().filter(|_| !orders.is_empty()) else {
            return;
        };
        let (sub, answers) = (account.sub, self.answers.clone());
        tokio::spawn(async move {
            let call = Call::submit(sub, &orders);
            let result = signer.execute(&call).await;
            let result = result.map(|included| included.block.number);
            let _ = answers.send(Answer::Hedge { bidder, result });
        });
    }
}

/// Reduce-only market orders for the lots that were taken in `hedged` markets, numbered from `first`.
fn closing_orders(
    taken: &[(MarketId, SignedLots, i128)],
    hedged: &BTreeSet<MarketId>,
    first: u64,
) -> Vec<Operation> {
    let taken = taken.iter().filter(|(market, ..)| hedged.contains(market));
    (first..)
        .zip(taken)
        .map(|(client_id, (market, lots, _))| {
            Operation::Place(NewOrder {
                market: *market,
                client_id,
                side: if *lots > 0 { Side::Ask } else { Side::Bid },
                lots: lots.unsigned_abs(),
                price: OrderPrice::Market,
                time_in_force: TimeInForce::ImmediateOrCancel,
                reduce_only: true,
                self_trade_prevention: SelfTradePrevention::CancelNewest,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_closed_on_the_other_side_in_hedged_markets_alone() {
        let orders = closing_orders(&[(1, 5, 9), (2, -7, 9), (3, 4, 9)], &[1, 2].into(), 100);
        let placed: Vec<_> = orders
            .iter()
            .map(|order| match order {
                Operation::Place(order) => {
                    assert!(order.reduce_only);
                    (order.market, order.side, order.lots, order.client_id)
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(placed, vec![(1, Side::Ask, 5, 100), (2, Side::Bid, 7, 101)]);
    }
}
