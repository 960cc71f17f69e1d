//! The loop: with every block it looks at what is in competition, bids, and follows each bid to what became of it.

use super::{
    config::Config,
    decide::{self, Competition, Pending, Plan, Policy},
    metrics::Metrics,
    outcome::{percent, Outcome},
    ranking::{self, Candidate, Course, Ranked},
};
use crate::{
    address_of, chain::BlockId, decimal::cash_floor, event::Accepted, refusal::of_order, Account,
    Call, Chain, Error, Event, Refusal, Result, Signer, Wallet,
};
use novate_types::{
    BlockNumber, MarginAccount, MarketId, NewOrder, Operation, OrderPrice, RiskView,
    SelfTradePrevention, Side, SignedLots, TimeInForce,
};
use serde::Serialize;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::mpsc;

/// Nearest accounts that are ranked.
const CANDIDATES: u32 = 64;
/// Competitions of a block whose accounts are asked for: those that may make most.
const LOOKED_AT: usize = 64;
/// How long to wait for a node that went away, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After so long without a block the connection is given up.
const SILENCE: Duration = Duration::from_secs(60);

/// Something to say, for people and programs.
#[derive(Debug, Serialize)]
pub struct Said {
    /// At which block.
    pub block: BlockNumber,
    /// About what: `candidates`, `candidate`, `plan`, `pass`, `bid`, `hedge`.
    pub about: &'static str,
    /// About which account; none if about many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// In words.
    pub text: String,
    /// The candidates that it is about, the least healthy first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Ranked>,
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
        result: Result<(BlockNumber, Hedged)>,
    },
}

struct Liquidator<'a, Say> {
    chain: Chain,
    bidders: Vec<Bidder>,
    policy: Policy,
    /// Markets in which what is taken is closed at once.
    hedged: BTreeSet<MarketId>,
    metrics: Metrics,
    /// Bids that are on their way: whose, and for which account.
    under_way: BTreeMap<(usize, Account), Pending>,
    /// What was last said of a candidate.
    told: BTreeMap<Account, &'static str>,
    /// The whole ranking is still to be shown, as it only looks.
    shows_all: bool,
    /// Where answers come back to, and from.
    answers: mpsc::UnboundedSender<Answer>,
    answered: mpsc::UnboundedReceiver<Answer>,
    say: &'a Say,
}

/// Runs until interrupted. With `dry_run` it says what it would bid, and signs nothing. Once it was connected it connects again, however often
/// the node goes away.
///
/// # Errors
///
/// `config` when a key, a market or the metrics' port cannot be had; `Unreachable` when nobody answers at first.
pub async fn run(config: Config, dry_run: bool, say: impl Fn(&Said)) -> Result<()> {
    let metrics = Metrics::default();
    if let Some(at) = config.metrics {
        metrics.serve(at).await.map_err(|e| {
            let message = format!("metrics cannot be served at {at}: {e}");
            Refusal::new("config", message, "another port")
        })?;
    }
    let mut chain = Chain::connect(&config.url).await?;
    loop {
        match on_node(chain, &config, dry_run, &metrics, &say).await {
            Err(lost) if is_gone(&lost) => {}
            ended => return ended,
        }
        metrics.set("connected", "", 0);
        metrics.add("reconnections_total", "", 1);
        let Some(again) = reconnected(&config.url).await? else {
            return Ok(());
        };
        chain = again;
    }
}

/// The same as long as the node is there.
async fn on_node(
    chain: Chain,
    config: &Config,
    dry_run: bool,
    metrics: &Metrics,
    say: &impl Fn(&Said),
) -> Result<()> {
    let mut liquidator = Liquidator::on(chain, config, dry_run, metrics, say).await?;
    metrics.set("connected", "", 1);
    let ended = liquidator.follow().await;
    if let Err(lost) = &ended {
        liquidator.leave(lost);
    }
    ended
}

/// Whether an error says no more than that the node is not there, or not well.
const fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Unreachable { .. } | Error::Rpc(_))
}

/// Tries until the node is there again, at growing intervals; none if it was interrupted.
async fn reconnected(url: &str) -> Result<Option<Chain>> {
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = tokio::signal::ctrl_c() => return Ok(None),
        }
        pause = (2 * pause).min(LONGEST_PAUSE);
        match Chain::connect(url).await {
            Err(error) if is_gone(&error) => {}
            connected => return connected.map(Some),
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

impl<'a, Say: Fn(&Said)> Liquidator<'a, Say> {
    /// On a node.
    async fn on(
        chain: Chain,
        config: &Config,
        dry_run: bool,
        metrics: &Metrics,
        say: &'a Say,
    ) -> Result<Self> {
        let (answers, answered) = mpsc::unbounded_channel();
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
        Ok(Self {
            bidders: bidders(config, &chain, dry_run)?,
            chain,
            policy,
            hedged,
            metrics: metrics.clone(),
            under_way: BTreeMap::new(),
            told: BTreeMap::new(),
            shows_all: dry_run,
            answers,
            answered,
            say,
        })
    }

    /// Until interrupted, or the node goes away.
    async fn follow(&mut self) -> Result<()> {
        let mut blocks = self.chain.blocks(false).await?;
        loop {
            tokio::select! {
                block = tokio::time::timeout(SILENCE, blocks.next()) => {
                    let block = block.unwrap_or_else(|_| Err(self.silent()))?;
                    // Whoever lags behind looks at the newest alone: the others' competitions are over.
                    if self.chain.best().await?.number <= block.number {
                        self.at(block).await?;
                    }
                }
                Some(answer) = self.answered.recv() => self.hear(answer),
                _ = tokio::signal::ctrl_c() => return Ok(()),
            }
        }
    }

    /// A connection over which no block comes is none.
    fn silent(&self) -> Error {
        Error::Unreachable {
            url: self.chain.url().to_owned(),
            reason: format!("no block for {} s", SILENCE.as_secs()),
        }
    }

    /// The node is gone: what is on its way has no answer any more.
    fn leave(&self, lost: &Error) {
        for (bidder, of) in self.under_way.keys() {
            self.metrics.add("bids_total", "unknown", 1);
            let taker = self.bidders[*bidder].account.owner;
            let text = format!(
                "no answer ({lost}): look at {taker} for what it took, nothing of it is hedged"
            );
            self.says(0, "bid", *of, text);
        }
    }

    /// What there is to do at a block.
    async fn at(&mut self, block: BlockId) -> Result<()> {
        let at = Some(block.hash);
        let competitions = self.chain.competitions(at).await?;
        let mut near = self.chain.liquidation_candidates(0, CANDIDATES, at).await?;
        let below = near.iter().filter(|c| c.equity < c.maintenance).count();
        let gauge = |family, value: usize| {
            self.metrics
                .set(family, "", i128::try_from(value).unwrap_or(i128::MAX));
        };
        gauge("competitions", competitions.len());
        gauge("candidates_below_maintenance", below);
        self.metrics.set("block", "", block.number.into());
        let mut courses = BTreeMap::new();
        if !competitions.is_empty() {
            let (found, decided) = self.bid_for(competitions, &block).await?;
            near.extend(found);
            courses = decided;
        }
        self.tell_candidates(block.number, ranking::rank(near, &courses));
        Ok(())
    }

    /// Bids for what is for sale at a block, or passes. Returns those accounts, and what is done about each.
    async fn bid_for(
        &mut self,
        competitions: Vec<Competition>,
        block: &BlockId,
    ) -> Result<(Vec<Candidate>, BTreeMap<Account, Course>)> {
        let at = Some(block.hash);
        let pending: BTreeSet<Account> = self.under_way.keys().map(|(_, of)| *of).collect();
        let (busy, mut free): (Vec<_>, Vec<_>) = competitions
            .into_iter()
            .partition(|terms| pending.contains(&terms.account));
        // As many as a block leaves time to ask for.
        free.sort_by_cached_key(|terms| Reverse(decide::most_profit(terms)));
        let mut courses = BTreeMap::new();
        for terms in free.iter().skip(LOOKED_AT) {
            courses.insert(terms.account, Course::NotLookedAt);
        }
        free.truncate(LOOKED_AT);
        let view = self.chain.view(at).await?;
        let mut open = self.targets(free, block).await?;
        let busy = self.targets(busy, block).await?;
        let found = open
            .iter()
            .chain(&busy)
            .filter_map(|(terms, target)| ranking::candidate(terms.account, target, &view))
            .collect();
        for ((_, of), Pending { profit, .. }) in &self.under_way {
            courses.insert(*of, Course::UnderWay { profit: *profit });
        }
        for bidder in 0..self.bidders.len() {
            let own = self.chain.account(self.bidders[bidder].account, at).await?;
            let Account { owner, sub } = self.bidders[bidder].account;
            let label = format!("{owner}/{sub}");
            self.metrics
                .set("equity_quantums", &label, own.assessment.equity);
            let Some(own) = self.reserved(bidder, &own.account, &busy, &view) else {
                let text = "a bid under way cannot be valued: nothing else is bid for".to_owned();
                self.says(block.number, "pass", self.bidders[bidder].account, text);
                continue;
            };
            // Not against ourselves, and not twice: what is under way is not among them.
            let (plans, passes) = decide::plan(&own, &open, &view, &self.policy);
            for (account, pass) in passes {
                self.metrics.add("passes_total", pass.name(), 1);
                self.says(block.number, "pass", account, pass.to_string());
                courses.insert(account, Course::Passes(pass));
            }
            for plan in plans {
                open.retain(|(terms, _)| terms.account != plan.account);
                courses.insert(plan.account, Course::from(&plan));
                self.bid(bidder, plan, block.number);
            }
        }
        Ok((found, courses))
    }

    /// The accounts that are for sale on these terms.
    async fn targets(
        &self,
        competitions: Vec<Competition>,
        block: &BlockId,
    ) -> Result<Vec<(Competition, MarginAccount)>> {
        let mut targets = Vec::new();
        for terms in competitions {
            let target = self.chain.account(terms.account, Some(block.hash)).await?;
            targets.push((terms, target.account));
        }
        Ok(targets)
    }

    /// One of our accounts with all that its bids under way may add to it; none if that cannot be said.
    fn reserved(
        &self,
        bidder: usize,
        own: &MarginAccount,
        busy: &[(Competition, MarginAccount)],
        view: &RiskView,
    ) -> Option<MarginAccount> {
        let bids = busy.iter().filter_map(|(terms, target)| {
            let bid = self.under_way.get(&(bidder, terms.account))?;
            Some((*bid, target))
        });
        decide::reserved(own, bids, view).ok()
    }

    /// Says who is nearest to liquidation, as far as that changed; where it only looks, of all of them once.
    fn tell_candidates(&mut self, block: BlockNumber, mut ranked: Vec<Ranked>) {
        if std::mem::take(&mut self.shows_all) {
            (self.say)(&Said {
                block,
                about: "candidates",
                account: None,
                text: ranking::table(&ranked),
                candidates: ranked.clone(),
            });
        }
        ranked.retain(Ranked::matters);
        let label = |one: &Ranked| format!("{}/{}", one.account.owner, one.account.sub);
        let health = ranked.iter().map(|one| (label(one), one.health.into()));
        self.metrics.replace("candidate_health_ppm", health);
        let profit = ranked
            .iter()
            .filter_map(|one| Some((label(one), one.expected?)));
        self.metrics.replace("candidate_profit_quantums", profit);
        let now: BTreeMap<_, _> = ranked
            .iter()
            .map(|one| (one.account, one.course_name))
            .collect();
        for (one, place) in ranked.into_iter().zip(1u32..) {
            if self.told.get(&one.account) != Some(&one.course_name) {
                (self.say)(&Said {
                    block,
                    about: "candidate",
                    account: Some(one.account),
                    text: format!("place {place}, {one}"),
                    candidates: vec![one],
                });
            }
        }
        let told = std::mem::replace(&mut self.told, now);
        for account in told.into_keys().filter(|of| !self.told.contains_key(of)) {
            let text = "above maintenance margin, taken over or closed".to_owned();
            self.says(block, "candidate", account, text);
        }
    }

    fn says(&self, block: BlockNumber, about: &'static str, account: Account, text: String) {
        (self.say)(&Said {
            block,
            about,
            account: Some(account),
            text,
            candidates: Vec::new(),
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
        let pending = Pending {
            fraction: plan.fraction,
            least_discount: plan.least_discount,
            profit: plan.profit,
        };
        self.under_way.insert((bidder, plan.account), pending);
        tokio::spawn(async move {
            let call = Call::bid(taker.sub, plan.account, plan.fraction, plan.least_discount);
            let result = signer.execute(&call).await.map(|included| {
                // Of the whole block: others' bids may have taken its place before the close.
                let all = included.events.iter().map(|record| &record.event);
                let outcome = Outcome::of(all, &taker, &plan.account, plan.fraction);
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
                    Ok((block, hedged)) => (hedged.name(), block, hedged.to_string()),
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
        let (account, answers) = (*account, self.answers.clone());
        tokio::spawn(async move {
            let call = Call::submit(account.sub, &orders);
            let result = signer.execute(&call).await.map(|included| {
                let own: Vec<_> = included.own().collect();
                let close: Vec<_> = included.close().collect();
                let hedged = Hedged::of(&own, &close, &account, &orders);
                (included.block.number, hedged)
            });
            let _ = answers.send(Answer::Hedge { bidder, result });
        });
    }
}

/// What became of the orders that close what was taken.
#[derive(Debug, PartialEq, Eq)]
struct Hedged {
    /// Lots that were to be closed, and that were.
    wanted: u128,
    closed: u128,
    /// Why orders were refused.
    refused: Vec<String>,
}

impl Hedged {
    /// What the events of the transaction and of its block's close say of `account`'s `orders`.
    fn of(own: &[&Event], close: &[&Event], account: &Account, orders: &[Operation]) -> Self {
        let lots = orders.iter().map(|order| match order {
            Operation::Place(order) => u128::from(order.lots),
            _ => 0,
        });
        let outcomes = own.iter().find_map(|event| match event {
            Event::Submitted { outcomes, .. } => Some(outcomes.as_slice()),
            _ => None,
        });
        let mut placed = BTreeSet::new();
        let mut refused = Vec::new();
        for outcome in outcomes.unwrap_or_default() {
            match outcome {
                Ok(Accepted::Placed(sequence)) => {
                    placed.insert(*sequence);
                }
                Ok(_) => {}
                Err(error) => refused.push(of_order(error, None, None).to_string()),
            }
        }
        let fills = close.iter().filter_map(|event| match event {
            Event::Cleared { fills, .. } => Some(fills),
            _ => None,
        });
        let fills = fills
            .flatten()
            .filter(|fill| fill.account == *account && placed.contains(&fill.sequence));
        Self {
            wanted: lots.sum(),
            closed: fills.map(|fill| u128::from(fill.lots)).sum(),
            refused,
        }
    }

    /// Its name, for metrics.
    const fn name(&self) -> &'static str {
        if self.closed >= self.wanted {
            "closed"
        } else if self.closed > 0 {
            "partly_closed"
        } else {
            "failed"
        }
    }
}

impl fmt::Display for Hedged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "closed {} of {} lots", self.closed, self.wanted)?;
        if self.closed < self.wanted {
            f.write_str("; the rest stays open")?;
        }
        if !self.refused.is_empty() {
            write!(f, "; refused: {}", self.refused.join(", "))?;
        }
        Ok(())
    }
}

/// Reduce-only market orders for the lots that were taken in `hedged` markets, numbered from `first`.
pub fn closing_orders(
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
    use crate::event::OrderError;
    use novate_types::{Fill, Role};

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

    #[test]
    fn hedge_says_what_stays_open_when_orders_are_refused_or_do_not_fill() {
        let orders = closing_orders(&[(1, 5, 9), (2, -7, 9)], &[1, 2].into(), 100);
        let account = Account::new([1; 32].into(), 0);
        let fill = |owner: u8, sequence, lots| Fill {
            account: Account::new([owner; 32].into(), 0),
            sequence,
            side: Side::Ask,
            role: Role::Taker,
            ticks: 1,
            lots,
            fee: 0,
            liquidation: false,
        };
        let of = |outcomes, fills| {
            let own = Event::Submitted { account, outcomes };
            let close = Event::Cleared {
                market: 1,
                price: 1,
                volume: 0,
                fills,
            };
            Hedged::of(&[&own], &[&close], &account, &orders)
        };
        let placed = |sequence| Ok(Accepted::Placed(sequence));
        let all = of(
            vec![placed(7), placed(8)],
            vec![fill(1, 7, 5), fill(1, 8, 7)],
        );
        assert_eq!(
            (all.name(), all.to_string().as_str()),
            ("closed", "closed 12 of 12 lots")
        );
        // Neither another's fills nor those of another order count.
        let some = of(
            vec![placed(7), placed(8)],
            vec![fill(1, 7, 3), fill(2, 8, 7), fill(1, 9, 7)],
        );
        assert_eq!(some.name(), "partly_closed");
        assert!(some
            .to_string()
            .contains("3 of 12 lots; the rest stays open"));
        let refused = of(vec![Err(OrderError::MarketHalted); 2], vec![]);
        assert_eq!(refused.name(), "failed");
        assert!(refused.to_string().contains("refused: "), "{refused}");
    }
}
