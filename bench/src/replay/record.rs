//! What happened, counted from events, and what must not have happened: a remedy out of order, on a stale price or before a reopening's
//! auction has ended, an auction at more than one price, more lots closed than were held, a position that no event explains.

use super::books::Books;
use anyhow::{bail, ensure, Result};
use novate_risk::Linear;
use novate_runtime::{
    configs::exchange::{InsuranceFund, Vault},
    AccountId, Runtime, RuntimeEvent,
};
use novate_types::{
    math, AccountRef, BlockNumber, Cash, Lots, MarginAccount, MarketId, Millis, Price, RiskModel,
    RiskView, Side, SignedLots, Standing, Ticks, QUANTUMS,
};
use pallet_clearing::CallReason;
use pallet_liquidation::{Escalation, Event, Refusal};
use std::collections::{BTreeMap, BTreeSet};

type Of = AccountRef<AccountId>;
type Before = BTreeMap<Of, Option<MarginAccount>>;

/// Age up to which a price may liquidate.
const FRESH: Millis = 6_000;

/// The presets' blocks of a call, and for so many closes beyond the first of an auction liquidation waits for it.
const CALL: BlockNumber = 10;

/// What one remedy did.
#[derive(Clone, Debug, Default)]
pub struct Remedy {
    /// To whom.
    pub accounts: BTreeSet<Of>,
    /// Lots that it moved.
    pub lots: Lots,
    /// Their notional in quantums.
    pub notional: Cash,
}

impl Remedy {
    fn add(&mut self, of: &Of, lots: Lots, notional: Cash) {
        self.accounts.insert(of.clone());
        self.lots += lots;
        self.notional += notional;
    }
}

/// How far an account is on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Its orders are cancelled, and the market is asked; or its collateral is called for a debt.
    #[default]
    Market,
    /// Bids for the whole of it are taken.
    Competition,
    /// Fund, vault, counterparties, everybody across.
    Beyond,
}

/// One account's way through the remedies.
#[derive(Clone, Debug, Default)]
struct Episode {
    stage: Stage,
    /// Orders of its own were placed into the market.
    placed: bool,
    /// It was in competition to its end.
    competed: bool,
    /// The block in which its loss was shared: nobody across was left for it.
    shared: Option<BlockNumber>,
    /// Lots held when the vault refused it, by market: what deleveraging may close.
    refused: Option<BTreeMap<MarketId, Lots>>,
    /// The greatest that it lacked so far, in quantums.
    deficit: Cash,
    /// What the fund paid for it.
    insured: Cash,
}

/// Who is not as everybody should be after a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsettled {
    /// Below maintenance margin.
    pub below: u32,
    /// In remedies 2 to 7.
    pub in_remedies: u32,
    /// Above maintenance margin, and called for a debt: they wait for bids, or for the vault to pay.
    pub called: u32,
    /// Of these, without any collateral.
    pub bare: u32,
}

impl Unsettled {
    /// Looks at every account.
    pub fn of(view: &RiskView, books: &Books) -> Result<Self> {
        let mut found = Self::default();
        for (_, account) in books.accounts() {
            let assessed =
                Linear::assess(account, view).map_err(|why| anyhow::anyhow!("{why:?}"))?;
            let is_below = assessed.is_below_maintenance();
            found.below += u32::from(is_below);
            match account.standing {
                Standing::Good => {}
                Standing::Called { .. } if is_below => {}
                Standing::Called { .. } => {
                    found.called += 1;
                    found.bare += u32::from(account.collateral.is_empty());
                }
                Standing::Liquidating { .. } | Standing::Competing { .. } | Standing::Frozen => {
                    found.in_remedies += 1;
                }
            }
        }
        Ok(found)
    }

    /// Whether a queue of so many holds nobody but those who are called.
    pub const fn is_drained(&self, queued: u32) -> bool {
        self.below == 0 && self.in_remedies == 0 && queued == self.called
    }
}

/// A market's auction after a halt.
#[derive(Clone, Debug)]
pub struct Reopened {
    /// Where.
    pub market: MarketId,
    /// Time of its last price before the halt.
    pub halted: Millis,
    /// Time of its first fresh price after it.
    pub fresh: Millis,
    /// The first fresh index after the halt, in ticks: that at which the call began, or began again.
    pub index: f64,
    /// Its one price; none if nobody traded.
    pub price: Option<Ticks>,
    /// The last block in which liquidation waits for it, however often its call begins again.
    until: BlockNumber,
}

impl Reopened {
    /// How far from the first fresh index it traded.
    pub fn distance(&self) -> Option<f64> {
        self.price.map(|price| price as f64 / self.index - 1.0)
    }
}

#[derive(Clone, Debug)]
enum Reopening {
    /// Since when it has no price.
    Halted(Millis),
    /// It collects orders or is uncrossed, and what is known of that.
    Called(Reopened),
}

/// Everything that is counted.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// By number, from one: cancelled orders, the market, competition, the vault, the insurance fund, deleveraging, shared loss.
    pub remedies: [Remedy; 7],
    /// What the vault sold and bought of what it had taken over.
    pub worked_off: Remedy,
    /// Blocks in which no order found room.
    pub crowded: u64,
    /// Accounts that went to the remedies, each time counted.
    pub liquidations: u64,
    /// Orders cancelled by the first.
    pub orders: u64,
    /// What accounts lacked when vault and fund were reached, in quantums, from those accounts that are done.
    deficit: Cash,
    /// What the fund paid.
    pub insurance: Cash,
    /// Lots of accounts that vault and fund refused.
    pub bankrupt: Lots,
    /// What counterparties gave up by closing at a bankruptcy price instead of the mark, in quantums.
    pub given_up: Cash,
    /// What stands uncovered after the last close, in quantums.
    pub uncovered: Cash,
    /// What stood uncovered after the worst close: those whom it had no time for are in it.
    pub uncovered_most: Cash,
    /// Charged to everybody across.
    pub shared: Cash,
    /// Why accounts went from the market to the vault or beyond it.
    pub escalations: BTreeMap<&'static str, u64>,
    /// Refusals of the vault, by reason.
    pub refusals: BTreeMap<&'static str, u64>,
    /// Longest queue after a close.
    pub queue: u32,
    /// Milliseconds from breach to flat, or to maintenance margin regained.
    pub breaches: Vec<f64>,
    /// Milliseconds from breach to the first remedy, of those whose remedies did not begin in the close of their breach.
    pub late: Vec<f64>,
    /// Orders placed by the second.
    pub placed: u64,
    /// Fills of any kind.
    pub fills: u64,
    /// Trading after halts.
    pub reopened: Vec<Reopened>,
    episodes: BTreeMap<Of, Episode>,
    /// Whose collateral is auctioned for what they owe: remedies deal with them whether they are below maintenance margin or not.
    called: BTreeSet<Of>,
    breached: BTreeMap<Of, Millis>,
    reopening: BTreeMap<MarketId, Reopening>,
}

impl Episode {
    /// It goes to the vault for this reason.
    fn go_beyond(&mut self, of: &Of, why: Escalation) -> Result<()> {
        let is_in_order = match why {
            Escalation::DeepShortfall | Escalation::Backlog => true,
            // The market's end is the competition's beginning.
            Escalation::MarketExhausted => false,
            Escalation::CompetitionExhausted => self.competed,
            Escalation::Frozen => self.refused.is_some(),
        };
        ensure!(
            is_in_order && self.stage != Stage::Competition,
            "{of:?}: remedy 4 ({}) while {:?}",
            escalation(why),
            self.stage
        );
        self.stage = Stage::Beyond;
        Ok(())
    }
}

/// Positions as events leave them, within one block.
struct Held<'a> {
    before: &'a Before,
    books: &'a Books,
    /// What the fund paid, in quantums.
    paid: Cash,
    lots: BTreeMap<(Of, MarketId), SignedLots>,
}

impl<'a> Held<'a> {
    fn account(&self, of: &Of) -> Option<&'a MarginAccount> {
        match self.before.get(of) {
            Some(before) => before.as_ref(),
            None => self.books.account(of),
        }
    }

    /// Whether the fund may have had nothing left: it spent what it had before the block, whatever it was paid in it.
    fn is_fund_empty(&self) -> bool {
        let had = self.account(&InsuranceFund::get()).map_or(0, |f| f.cash);
        had <= self.paid
    }

    fn lots(&mut self, of: &Of, market: MarketId) -> &mut SignedLots {
        let before = self.account(of).map_or(0, |account| account.lots(market));
        self.lots.entry((of.clone(), market)).or_insert(before)
    }

    /// An account's positions, by market.
    fn all(&mut self, of: &Of, view: &RiskView) -> BTreeMap<MarketId, SignedLots> {
        let markets = view.markets.iter().map(|market| market.id);
        markets
            .map(|market| (market, *self.lots(of, market)))
            .filter(|(_, lots)| *lots != 0)
            .collect()
    }
}

fn notional(lots: Lots, market: MarketId, view: &RiskView) -> Result<Cash> {
    let market = view
        .market(market)
        .map_err(|why| anyhow::anyhow!("{why:?}"))?;
    let lots = SignedLots::try_from(lots)?;
    math::position_value_floor(lots, market.mark, market.lot_size)
        .map_err(|why| anyhow::anyhow!("{why:?}"))
}

impl Record {
    /// What accounts lacked below zero that came to vault and fund, in quantums.
    pub fn deficit(&self) -> Cash {
        self.deficit + self.episodes.values().map(|e| e.deficit).sum::<Cash>()
    }

    /// Lots closed against others.
    pub fn deleveraged(&self) -> Lots {
        self.remedies[5].lots
    }

    /// Everything that somebody other than vault and fund had to bear, in quantums.
    pub fn passed_on(&self) -> Cash {
        self.given_up + self.uncovered + self.shared
    }

    /// Accounts in the remedies now.
    pub fn in_remedies(&self) -> usize {
        self.episodes.len()
    }

    /// Takes a block in. `before` holds the accounts that it changed; `books` are as it left them.
    pub fn note(
        &mut self,
        view: &RiskView,
        events: Vec<RuntimeEvent>,
        before: &Before,
        books: &Books,
    ) -> Result<()> {
        let mut held = Held {
            before,
            books,
            paid: 0,
            lots: BTreeMap::new(),
        };
        let mut traded = BTreeMap::<MarketId, BTreeSet<Ticks>>::new();
        for event in events {
            match event {
                RuntimeEvent::Liquidation(event) => self.note_remedy(event, view, &mut held)?,
                RuntimeEvent::Clearing(pallet_clearing::Event::AuctionCalled {
                    market,
                    reason,
                    at,
                    reference,
                }) => self.note_call(market, reason, at, reference, view)?,
                RuntimeEvent::Clearing(pallet_clearing::Event::Uncrossed {
                    market,
                    price,
                    done,
                    ..
                }) => {
                    let traded = traded.get(&market).into_iter().flatten();
                    self.note_uncrossed(market, price, done, traded)?;
                }
                RuntimeEvent::Clearing(pallet_clearing::Event::Cleared {
                    market, fills, ..
                }) => {
                    for fill in &fills {
                        let signed = SignedLots::try_from(fill.lots)?;
                        *held.lots(&fill.account, market) += match fill.side {
                            Side::Bid => signed,
                            Side::Ask => -signed,
                        };
                        self.fills += 1;
                        if fill.account == Vault::get() {
                            self.worked_off.add(
                                &fill.account,
                                fill.lots,
                                notional(fill.lots, market, view)?,
                            );
                        } else if fill.liquidation {
                            let notional = notional(fill.lots, market, view)?;
                            self.remedies[1].add(&fill.account, fill.lots, notional);
                        }
                    }
                    let prices = fills.iter().map(|fill| fill.ticks);
                    traded.entry(market).or_default().extend(prices);
                }
                _ => {}
            }
        }
        for ((of, market), lots) in &held.lots {
            let is = books.account(of).map_or(0, |account| account.lots(*market));
            ensure!(
                is == *lots,
                "{of:?} holds {is} lots of market {market}; events explain {lots}"
            );
        }
        for (of, was) in before {
            let lots =
                |account: Option<&MarginAccount>, market| account.map_or(0, |a| a.lots(market));
            for market in view.markets.iter().map(|market| market.id) {
                let unexplained = !held.lots.contains_key(&(of.clone(), market))
                    && lots(was.as_ref(), market) != lots(books.account(of), market);
                ensure!(
                    !unexplained,
                    "no event explains {of:?}'s position in market {market}"
                );
            }
        }
        self.note_halts(view);
        self.note_breaches(view, books)
    }

    fn note_remedy(
        &mut self,
        event: Event<Runtime>,
        view: &RiskView,
        held: &mut Held<'_>,
    ) -> Result<()> {
        match event {
            Event::LiquidationStarted {
                account, equity, ..
            } => {
                self.on_fresh_prices(&account, view, held)?;
                self.liquidations += 1;
                let breached = *self.breached.entry(account.clone()).or_insert(view.now);
                if breached < view.now {
                    self.late.push((view.now - breached) as f64);
                }
                let deficit = (-equity).max(0);
                let episode = Episode {
                    deficit,
                    ..Episode::default()
                };
                // Who is called for a debt goes on to the market from there.
                let is_called = self.called.contains(&account);
                if let Some(was) = self.episodes.insert(account.clone(), episode) {
                    ensure!(
                        is_called,
                        "{account:?} went to the remedies while it was there"
                    );
                    self.deficit += was.deficit;
                }
            }
            Event::CollateralCalled { account, .. } => {
                self.called.insert(account);
            }
            Event::OrdersCancelled { account, orders } => {
                let episode = self.episode(&account)?;
                ensure!(
                    episode.stage == Stage::Market && !episode.placed,
                    "{account:?}: remedy 1 after another"
                );
                self.orders += u64::from(orders);
                self.remedies[0].add(&account, 0, 0);
            }
            Event::LiquidationOrderPlaced { account, .. } => {
                self.on_fresh_prices(&account, view, held)?;
                let episode = self.episode(&account)?;
                ensure!(
                    episode.stage == Stage::Market,
                    "{account:?}: remedy 2 while {:?}",
                    episode.stage
                );
                episode.placed = true;
                self.placed += 1;
            }
            Event::CompetitionStarted { account, .. } => {
                self.on_fresh_prices(&account, view, held)?;
                let episode = self.episode(&account)?;
                ensure!(
                    episode.stage == Stage::Market,
                    "{account:?}: remedy 3 while {:?}",
                    episode.stage
                );
                episode.stage = Stage::Competition;
            }
            Event::CompetitionEnded { account, why, .. } => {
                let episode = self.episode(&account)?;
                ensure!(
                    episode.stage == Stage::Competition,
                    "{account:?}: the competition ends while {:?}",
                    episode.stage
                );
                // Who is above maintenance margin again is let go, or called for a debt.
                episode.competed = why.is_some();
                episode.stage = match why {
                    Some(_) => Stage::Beyond,
                    None => Stage::Market,
                };
            }
            Event::BidFilled {
                account,
                taker,
                portion,
                ..
            } => {
                self.on_fresh_prices(&account, view, held)?;
                let episode = self.episode(&account)?;
                // Beside the market collateral is for sale, for a debt, and no position.
                let is_in_order = match episode.stage {
                    Stage::Market => portion.positions.is_empty(),
                    Stage::Competition => true,
                    Stage::Beyond => false,
                };
                ensure!(
                    is_in_order,
                    "{account:?}: positions sold to bids while {:?}",
                    episode.stage
                );
                for (market, lots, _) in portion.positions {
                    *held.lots(&account, market) -= lots;
                    *held.lots(&taker, market) += lots;
                    let lots = lots.unsigned_abs();
                    self.remedies[2].add(&account, lots, notional(lots, market, view)?);
                }
            }
            Event::InsurancePaid {
                account,
                paid,
                left,
            } => {
                self.on_fresh_prices(&account, view, held)?;
                self.insurance += paid;
                held.paid += paid;
                ensure!(
                    left == 0 || held.is_fund_empty(),
                    "the fund left {left} of {account:?} uncovered, and has more"
                );
                self.remedies[4].add(&account, 0, paid);
                let episode = self.episode(&account)?;
                ensure!(
                    episode.stage != Stage::Competition,
                    "{account:?}: remedy 5 while {:?}",
                    episode.stage
                );
                episode.stage = Stage::Beyond;
                episode.insured += paid;
                episode.deficit = episode.deficit.max(episode.insured + left);
            }
            Event::TakenOver {
                account,
                equity,
                why,
                ..
            } => {
                *self.escalations.entry(escalation(why)).or_default() += 1;
                self.on_fresh_prices(&account, view, held)?;
                ensure!(equity >= 0, "the vault took {account:?} below zero");
                self.episode(&account)?.go_beyond(&account, why)?;
                for (market, lots) in held.all(&account, view) {
                    *held.lots(&account, market) = 0;
                    *held.lots(&Vault::get(), market) += lots;
                    let lots = lots.unsigned_abs();
                    self.remedies[3].add(&account, lots, notional(lots, market, view)?);
                }
            }
            Event::TakeoverRefused {
                account,
                refusal,
                why,
            } => {
                *self.escalations.entry(escalation(why)).or_default() += 1;
                self.on_fresh_prices(&account, view, held)?;
                let lots = held.all(&account, view).into_iter();
                let lots: BTreeMap<_, _> = lots.map(|(m, l)| (m, l.unsigned_abs())).collect();
                *self.refusals.entry(reason(&refusal)).or_default() += 1;
                ensure!(
                    refusal != Refusal::Deficit || held.is_fund_empty(),
                    "{account:?} went below zero to the vault, and the fund has cash"
                );
                let episode = self.episode(&account)?;
                episode.go_beyond(&account, why)?;
                if episode.refused.is_none() {
                    episode.refused = Some(lots.clone());
                    self.bankrupt += lots.values().sum::<Lots>();
                }
            }
            Event::Deleveraged {
                account,
                counterparty,
                market,
                lots,
                value,
            } => {
                self.on_fresh_prices(&account, view, held)?;
                let episode = self.episode(&account)?;
                ensure!(
                    episode.shared != Some(view.block),
                    "{account:?} is deleveraged after its loss was shared: somebody was left across"
                );
                let left = episode
                    .refused
                    .as_mut()
                    .and_then(|all| all.get_mut(&market));
                let Some(left) = left.filter(|left| **left >= lots) else {
                    bail!("{account:?} is deleveraged in market {market} by {lots} lots that were not refused");
                };
                *left -= lots;
                let signed = SignedLots::try_from(lots)?;
                let sign = held.lots(&account, market).signum();
                for (of, sign) in [(&account, sign), (&counterparty, -sign)] {
                    let lots = held.lots(of, market);
                    ensure!(
                        *lots * sign >= signed,
                        "{of:?} holds {lots} lots of market {market} and {signed} are closed"
                    );
                    *lots -= signed * sign;
                }
                let fair = notional(lots, market, view)?;
                // A long receives for its lots, a short pays.
                let lost = if sign > 0 {
                    -value - fair
                } else {
                    fair - value
                };
                self.given_up += lost.max(0);
                self.remedies[5].add(&account, lots, fair);
            }
            Event::LossShared { account, loss, .. } => {
                self.on_fresh_prices(&account, view, held)?;
                // Rounding may leave a little more to share than the vault saw.
                ensure!(
                    held.is_fund_empty() || loss < QUANTUMS,
                    "a loss of {account:?} is shared, and the fund has cash"
                );
                let episode = self.episode(&account)?;
                ensure!(
                    episode.refused.is_some(),
                    "{account:?}: remedy 7 before the vault refused it"
                );
                episode.shared = Some(view.block);
                episode.deficit = episode.deficit.max(episode.insured + loss);
                self.shared += loss;
                let lots: Lots = held
                    .all(&account, view)
                    .values()
                    .map(|lots| lots.unsigned_abs())
                    .sum();
                self.remedies[6].add(&account, lots, loss);
            }
            Event::DeficitUncovered { account, deficit } => {
                let episode = self.episode(&account)?;
                episode.deficit = episode.deficit.max(episode.insured + deficit);
            }
            _ => {}
        }
        Ok(())
    }

    fn episode(&mut self, of: &Of) -> Result<&mut Episode> {
        if self.called.contains(of) {
            return Ok(self.episodes.entry(of.clone()).or_default());
        }
        match self.episodes.get_mut(of) {
            Some(episode) => Ok(episode),
            None => bail!("a remedy for {of:?}, which is not being liquidated"),
        }
    }

    /// Everything the account holds has a price that may liquidate.
    fn on_fresh_prices(&self, of: &Of, view: &RiskView, held: &mut Held<'_>) -> Result<()> {
        for market in held.all(of, view).into_keys() {
            let market = view
                .market(market)
                .map_err(|why| anyhow::anyhow!("{why:?}"))?;
            let age = view.now.saturating_sub(market.observed_at);
            ensure!(
                market.fresh && age <= FRESH,
                "{of:?} is liquidated on a price of market {} that is {age} ms old",
                market.id
            );
            let waits = match self.reopening.get(&market.id) {
                Some(Reopening::Called(reopened)) => view.block <= reopened.until,
                _ => false,
            };
            ensure!(
                !waits,
                "{of:?} is liquidated before the reopening auction of market {} has ended",
                market.id
            );
        }
        for (asset, _) in held
            .account(of)
            .iter()
            .flat_map(|account| &account.collateral)
        {
            let priced = view
                .collateral(*asset)
                .is_ok_and(|collateral| collateral.fresh);
            ensure!(
                priced,
                "{of:?} is liquidated on a stale price of asset {asset}"
            );
        }
        Ok(())
    }

    /// A call begins, or begins again.
    fn note_call(
        &mut self,
        market: MarketId,
        reason: CallReason,
        at: BlockNumber,
        reference: Price,
        view: &RiskView,
    ) -> Result<()> {
        let listed = view
            .market(market)
            .map_err(|why| anyhow::anyhow!("{why:?}"))?;
        let size = listed.tick_size.into_inner().max(1) as f64;
        let index = reference.into_inner() as f64 / size;
        match (self.reopening.get_mut(&market), reason) {
            (Some(Reopening::Called(reopened)), CallReason::Moved) => reopened.index = index,
            (Some(reopening), CallReason::Opening) => {
                let halted = match &*reopening {
                    Reopening::Halted(since) => *since,
                    Reopening::Called(reopened) => reopened.halted,
                };
                *reopening = Reopening::Called(Reopened {
                    market,
                    halted,
                    fresh: view.now,
                    index,
                    price: None,
                    until: at.saturating_add(CALL),
                });
            }
            // Governance's halt, and an interruption, leave the price fresh.
            _ => {}
        }
        Ok(())
    }

    /// An auction, or a part of it, was held; the market `traded` at these prices in this block.
    fn note_uncrossed<'a>(
        &mut self,
        market: MarketId,
        price: Option<Ticks>,
        done: bool,
        mut traded: impl Iterator<Item = &'a Ticks>,
    ) -> Result<()> {
        ensure!(
            traded.all(|ticks| Some(*ticks) == price),
            "market {market} was uncrossed at more than one price"
        );
        let Some(Reopening::Called(reopened)) = self.reopening.get_mut(&market) else {
            return Ok(());
        };
        reopened.price = price.or(reopened.price);
        if done {
            self.reopened.push(reopened.clone());
            self.reopening.remove(&market);
        }
        Ok(())
    }

    fn note_halts(&mut self, view: &RiskView) {
        for market in &view.markets {
            let age = view.now.saturating_sub(market.observed_at);
            if market.status.allows_matching() || age <= FRESH {
                continue;
            }
            let since = match self.reopening.get(&market.id) {
                Some(Reopening::Halted(since)) => *since,
                Some(Reopening::Called(reopened)) => reopened.halted,
                None => market.observed_at,
            };
            let halted = Reopening::Halted(since);
            self.reopening.insert(market.id, halted);
        }
    }

    /// Looks at every account, as nothing on the chain does.
    fn note_breaches(&mut self, view: &RiskView, books: &Books) -> Result<()> {
        let is_called = |of: &Of| {
            let account = books.account(of);
            account.is_some_and(|account| matches!(account.standing, Standing::Called { .. }))
        };
        self.called.retain(is_called);
        for (of, account) in books.accounts() {
            let is_flat = account.positions.is_empty();
            if is_flat && !self.breached.contains_key(of) && !self.episodes.contains_key(of) {
                continue;
            }
            let assessed =
                Linear::assess(account, view).map_err(|why| anyhow::anyhow!("{why:?}"))?;
            let is_called = matches!(account.standing, Standing::Called { .. });
            let owes_alone = is_called && !assessed.is_below_maintenance();
            if account.standing == Standing::Good || owes_alone {
                if let Some(episode) = self.episodes.remove(of) {
                    self.deficit += episode.deficit;
                }
            } else if assessed.fresh && *of != InsuranceFund::get() {
                if let Some(episode) = self.episodes.get_mut(of) {
                    let lacks = episode.insured - assessed.equity.min(0);
                    episode.deficit = episode.deficit.max(lacks);
                }
            }
            let is_breached = !is_flat && assessed.is_below_maintenance();
            if !is_breached {
                if let Some(since) = self.breached.remove(of) {
                    self.breaches.push((view.now - since) as f64);
                }
            } else if assessed.fresh && !self.breached.contains_key(of) {
                self.breached.insert(of.clone(), view.now);
            }
        }
        Ok(())
    }
}

fn escalation(why: Escalation) -> &'static str {
    match why {
        Escalation::DeepShortfall => "below two thirds of maintenance margin",
        Escalation::Backlog => "backlog",
        Escalation::MarketExhausted => "market exhausted",
        Escalation::Frozen => "vault asked again",
        Escalation::CompetitionExhausted => "competition exhausted",
    }
}

fn reason(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Deficit => "below zero, fund empty",
        Refusal::Margin => "vault's margin",
        Refusal::Cash => "vault's cash",
        Refusal::LossCap(_) => "loss cap",
        Refusal::OwnAccount => "vault itself",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::Encode;
    use frame_support::BoundedVec;
    use novate_types::{LedgerError, MarketStatus, MarketView, Position, Price};
    use pallet_margin::Accounts;

    const NOW: Millis = 1_000_000;

    fn view() -> RiskView {
        let one = Price::from_inner(1_000_000_000_000_000_000);
        let market = MarketView {
            id: 0,
            underlying: 0,
            status: MarketStatus::Open,
            tick_size: one,
            lot_size: one,
            tick_value: 1_000_000,
            mark: Price::from_inner(100 * one.into_inner()),
            index: Price::from_inner(100 * one.into_inner()),
            observed_at: NOW,
            fresh: true,
            funding_index: 0,
            short_funding_index: 0,
            imf: 50_000,
            mmf: 30_000,
            profit_credit: 0,
            price_band: 30_000,
            min_notional: 0,
            impact_notional: 0,
            open_interest_cap: u64::MAX,
            auction_at: 0,
            contract: Default::default(),
        };
        RiskView {
            block: 7,
            now: NOW,
            markets: BoundedVec::truncate_from(vec![market]),
            ..RiskView::default()
        }
    }

    fn of(number: u8) -> Of {
        AccountRef::new([number; 32].into(), 0)
    }

    /// Two accounts across from each other: before, with `was` lots, and now with `is`.
    fn state(was: i64, is: i64) -> (Books, Before) {
        state_in(Standing::Frozen, was, is)
    }

    fn state_in(standing: Standing, was: i64, is: i64) -> (Books, Before) {
        let account = |lots: i64| {
            let mut account = MarginAccount {
                standing,
                ..MarginAccount::default()
            };
            let position = Position {
                market: 0,
                lots,
                cost: i128::from(lots) * 98_000_000,
                funding_index: 0,
                rank: Default::default(),
            };
            if lots != 0 {
                account.positions.try_push(position).unwrap();
            }
            account
        };
        let change = |number, lots| {
            let key = Accounts::<Runtime>::hashed_key_for(of(number));
            (key, Some(account(lots).encode()))
        };
        let mut books = Books::default();
        books.follow(vec![change(1, was), change(2, -was)]).unwrap();
        let before = books.follow(vec![change(1, is), change(2, -is)]).unwrap();
        (books, before)
    }

    fn started() -> Event<Runtime> {
        Event::LiquidationStarted {
            account: of(1),
            equity: -5,
            maintenance: 10,
        }
    }

    fn refused() -> Event<Runtime> {
        Event::TakeoverRefused {
            account: of(1),
            why: Escalation::DeepShortfall,
            refusal: Refusal::Ledger(LedgerError::NoAccount),
        }
    }

    fn deleveraged(lots: Lots) -> Event<Runtime> {
        Event::Deleveraged {
            account: of(1),
            counterparty: of(2),
            market: 0,
            lots,
            value: -(lots as Cash) * 101_000_000,
        }
    }

    fn note(view: &RiskView, (was, is): (i64, i64), events: &[Event<Runtime>]) -> Result<Record> {
        let (books, before) = state(was, is);
        let events = events.iter().cloned().map(RuntimeEvent::Liquidation);
        let mut record = Record::default();
        record.note(view, events.collect(), &before, &books)?;
        Ok(record)
    }

    #[test]
    fn deleveraging_is_counted_with_what_counterparties_gave_up() {
        let record = note(&view(), (10, 4), &[started(), refused(), deleveraged(6)]).unwrap();
        assert_eq!((record.deleveraged(), record.bankrupt), (6, 10));
        assert_eq!(record.remedies[5].notional, 600_000_000);
        // A short who buys 6 lots at 101 instead of 100.
        assert_eq!(record.given_up, 6_000_000);
    }

    #[test]
    fn more_lots_than_were_refused_or_held_are_noticed() {
        let orders = [
            vec![started(), refused(), deleveraged(11)],
            vec![started(), refused(), deleveraged(6), deleveraged(6)],
            vec![started(), deleveraged(6)],
        ];
        for events in orders {
            assert!(note(&view(), (10, 4), &events).is_err(), "{events:?}");
        }
    }

    #[test]
    fn who_is_called_for_a_debt_first_is_followed_to_the_remedies() {
        let called = Standing::Called {
            since: 6,
            closes: 1,
        };
        let call = RuntimeEvent::Liquidation(Event::CollateralCalled {
            account: of(1),
            debt: 5,
        });
        let market = RuntimeEvent::Liquidation(started());
        let competition = RuntimeEvent::Liquidation(Event::CompetitionStarted {
            account: of(1),
            equity: 20_000_000,
            maintenance: 30_000_000,
        });
        let liquidating = Standing::Liquidating {
            since: 7,
            closes: 1,
        };
        for (standing, said, goes_on) in [
            (liquidating, vec![market], true),
            (liquidating, vec![], false),
            (Standing::Good, vec![], false),
        ] {
            let mut record = Record::default();
            let (books, before) = state_in(called, 10, 10);
            let view = view();
            record
                .note(&view, vec![call.clone()], &before, &books)
                .unwrap();
            let (books, before) = state_in(standing, 10, 10);
            record.note(&view, said, &before, &books).unwrap();
            let noted = record.note(&view, vec![competition.clone()], &before, &books);
            assert_eq!(noted.is_ok(), goes_on, "{standing:?}");
        }
    }

    #[test]
    fn remedies_out_of_order_are_noticed() {
        let paid = Event::InsurancePaid {
            account: of(1),
            paid: 5,
            left: 0,
        };
        let cancelled = Event::OrdersCancelled {
            account: of(1),
            orders: 1,
        };
        assert!(note(&view(), (10, 10), &[started(), paid.clone()]).is_ok());
        assert!(note(&view(), (10, 10), &[paid]).is_err());
        assert!(note(&view(), (10, 10), &[started(), refused(), cancelled]).is_err());
        assert!(note(&view(), (10, 10), &[started(), started()]).is_err());
    }

    fn placed() -> Event<Runtime> {
        Event::LiquidationOrderPlaced {
            account: of(1),
            market: 0,
            side: Side::Ask,
            lots: 1,
            limit: 100,
            equity: 5,
            maintenance: 10,
        }
    }

    fn competes() -> Event<Runtime> {
        Event::CompetitionStarted {
            account: of(1),
            equity: 5,
            maintenance: 10,
        }
    }

    fn competed(why: Option<Escalation>) -> Event<Runtime> {
        Event::CompetitionEnded {
            account: of(1),
            why,
            equity: 5,
            maintenance: 10,
        }
    }

    fn refused_for(why: Escalation, refusal: Refusal) -> Event<Runtime> {
        Event::TakeoverRefused {
            account: of(1),
            why,
            refusal,
        }
    }

    /// So many lots of the account, at the mark.
    fn filled(lots: SignedLots) -> Event<Runtime> {
        let positions = Some((0, lots, 0)).filter(|_| lots != 0);
        Event::BidFilled {
            account: of(1),
            taker: of(2),
            fraction: 1,
            portion: novate_risk::Portion {
                positions: positions.into_iter().collect(),
                ..Default::default()
            },
            worth: 0,
            discount: 0,
        }
    }

    fn paid(left: Cash) -> Event<Runtime> {
        Event::InsurancePaid {
            account: of(1),
            paid: 5,
            left,
        }
    }

    fn shared(loss: Cash) -> Event<Runtime> {
        Event::LossShared {
            account: of(1),
            loss,
            charges: vec![],
        }
    }

    fn cancelled() -> Event<Runtime> {
        Event::OrdersCancelled {
            account: of(1),
            orders: 1,
        }
    }

    #[test]
    fn whoever_is_not_settled_is_counted_where_it_is() {
        let called = Standing::Called {
            since: 1,
            closes: 5,
        };
        // Ten lots at 98 are worth 20 at 100, of which 30 are needed; without any nothing is.
        let found = |standing, lots| {
            let (books, _) = state_in(standing, lots, lots);
            Unsettled::of(&view(), &books).unwrap()
        };
        let is = |below, in_remedies, called| Unsettled {
            below,
            in_remedies,
            called,
            bare: called,
        };
        assert_eq!(found(Standing::Good, 10), is(2, 0, 0));
        assert_eq!(found(called, 10), is(2, 0, 0));
        assert_eq!(found(called, 0), is(0, 0, 2));
        assert_eq!(found(Standing::Frozen, 0), is(0, 2, 0));
        assert_eq!(found(Standing::Good, 0), is(0, 0, 0));
        assert!(is(0, 0, 2).is_drained(2) && is(0, 0, 0).is_drained(0));
        for (wrong, queued) in [(is(1, 0, 0), 0), (is(0, 1, 0), 0), (is(0, 0, 2), 3)] {
            assert!(!wrong.is_drained(queued));
        }
        let (mut books, _) = state_in(called, 0, 0);
        let with_collateral = MarginAccount {
            standing: called,
            collateral: BoundedVec::truncate_from(vec![(2, 5)]),
            ..MarginAccount::default()
        };
        let key = Accounts::<Runtime>::hashed_key_for(of(1));
        books
            .follow(vec![(key, Some(with_collateral.encode()))])
            .unwrap();
        let mut view = view();
        view.collaterals = BoundedVec::truncate_from(vec![a_collateral(2)]);
        let found = Unsettled::of(&view, &books).unwrap();
        assert_eq!((found.called, found.bare), (2, 1));
    }

    fn a_collateral(asset: novate_types::AssetId) -> novate_types::CollateralView {
        novate_types::CollateralView {
            asset,
            price: Price::from_inner(1_000_000_000_000_000_000),
            fresh: true,
            params: novate_types::CollateralParams {
                feed: 1,
                decimals: 6,
                haircut: 100_000,
                large_value: 1_000_000 * QUANTUMS,
                large_haircut: 200_000,
                value_cap: 10_000_000 * QUANTUMS,
                global_cap: u128::MAX,
            },
        }
    }

    #[test]
    fn remedies_in_order_are_let_be() {
        let exhausted = Some(Escalation::CompetitionExhausted);
        let cap = Refusal::LossCap(0);
        let orders = [
            vec![started(), cancelled(), placed(), placed()],
            vec![started(), placed(), filled(0), competes(), filled(0)],
            vec![competes(), competed(None)],
            vec![
                competes(),
                competed(exhausted),
                refused_for(Escalation::CompetitionExhausted, cap),
                refused_for(Escalation::Frozen, cap),
            ],
            vec![paid(7), refused_for(Escalation::Backlog, Refusal::Deficit)],
            vec![refused(), shared(2 * QUANTUMS)],
        ];
        for (n, mut events) in orders.into_iter().enumerate() {
            if n > 1 {
                events.insert(0, started());
            }
            note(&view(), (10, 10), &events).unwrap();
        }
        // Positions go to bids in competition.
        let sold = [started(), competes(), filled(6)];
        assert_eq!(note(&view(), (10, 4), &sold).unwrap().remedies[2].lots, 6);
        let held = [started(), refused(), deleveraged(6), shared(2 * QUANTUMS)];
        note(&view(), (10, 4), &held).unwrap();
    }

    #[test]
    fn each_step_out_of_order_is_noticed() {
        let deep = Some(Escalation::DeepShortfall);
        let cap = Refusal::LossCap(0);
        let wrong = [
            ("an order in competition", vec![competes(), placed()]),
            (
                "an order beyond it",
                vec![competes(), competed(deep), placed()],
            ),
            ("an order after the vault", vec![refused(), placed()]),
            ("cancelled after an order", vec![placed(), cancelled()]),
            ("cancelled in competition", vec![competes(), cancelled()]),
            ("competition twice", vec![competes(), competes()]),
            ("competition after the vault", vec![refused(), competes()]),
            ("the end of no competition", vec![competed(None)]),
            (
                "collateral sold after the vault",
                vec![refused(), filled(0)],
            ),
            ("the vault in competition", vec![competes(), refused()]),
            ("the fund in competition", vec![competes(), paid(0)]),
            (
                "the vault for a competition that was none",
                vec![refused_for(Escalation::CompetitionExhausted, cap)],
            ),
            (
                "the vault right after the market",
                vec![refused_for(Escalation::MarketExhausted, cap)],
            ),
            (
                "the vault again before it refused",
                vec![refused_for(Escalation::Frozen, cap)],
            ),
            ("shared before the vault refused", vec![shared(5)]),
            ("shared in competition", vec![competes(), shared(5)]),
        ];
        for (what, events) in wrong {
            let events = [vec![started()], events].concat();
            assert!(note(&view(), (10, 10), &events).is_err(), "{what}");
        }
        // Positions sold beside the market, and deleveraging before a refusal or after the loss was shared.
        for events in [
            vec![started(), filled(6)],
            vec![started(), competes(), deleveraged(6)],
            vec![started(), refused(), shared(5), deleveraged(6)],
        ] {
            assert!(note(&view(), (10, 4), &events).is_err(), "{events:?}");
        }
    }

    #[test]
    fn the_fund_pays_all_that_it_has_first() {
        let fund = |cash: Cash| {
            let fund = MarginAccount {
                cash,
                ..MarginAccount::default()
            };
            let key = Accounts::<Runtime>::hashed_key_for(InsuranceFund::get());
            (key, Some(fund.encode()))
        };
        let deficit = || refused_for(Escalation::DeepShortfall, Refusal::Deficit);
        let loss = 2 * QUANTUMS;
        for (has, events, is_fine) in [
            (5, vec![paid(7), deficit(), shared(loss)], true),
            (6, vec![paid(7)], false),
            (6, vec![paid(0)], true),
            (0, vec![deficit()], true),
            (1, vec![deficit()], false),
            (0, vec![refused(), shared(loss)], true),
            (1, vec![refused(), shared(loss)], false),
            (1, vec![refused(), shared(3)], true),
        ] {
            let (mut books, before) = state(10, 10);
            books.follow(vec![fund(has)]).unwrap();
            let events = [vec![started()], events].concat();
            let events = events.into_iter().map(RuntimeEvent::Liquidation).collect();
            let noted = Record::default().note(&view(), events, &before, &books);
            assert_eq!(noted.is_ok(), is_fine, "{has}: {noted:?}");
        }
    }

    #[test]
    fn a_remedy_on_a_stale_price_is_noticed() {
        let mut view = view();
        assert!(note(&view, (10, 10), &[started()]).is_ok());
        view.markets[0].observed_at = NOW - FRESH - 1;
        assert!(note(&view, (10, 10), &[started()]).is_err());
        view.markets[0].observed_at = NOW;
        view.markets[0].fresh = false;
        assert!(note(&view, (10, 10), &[started()]).is_err());
    }

    #[test]
    fn a_position_that_no_event_explains_is_noticed() {
        assert!(note(&view(), (10, 10), &[]).is_ok());
        assert!(note(&view(), (10, 9), &[]).is_err());
        let events = [started(), refused(), deleveraged(5)];
        assert!(note(&view(), (10, 4), &events).is_err());
    }

    fn clearing(event: pallet_clearing::Event<Runtime>) -> RuntimeEvent {
        RuntimeEvent::Clearing(event)
    }

    fn called(reason: CallReason, at: BlockNumber, index: u128) -> RuntimeEvent {
        clearing(pallet_clearing::Event::AuctionCalled {
            market: 0,
            reason,
            at,
            reference: Price::from_inner(index * 1_000_000_000_000_000_000),
        })
    }

    fn uncrossed(price: Option<Ticks>, done: bool) -> RuntimeEvent {
        clearing(pallet_clearing::Event::Uncrossed {
            market: 0,
            price,
            volume: 0,
            done,
        })
    }

    fn cleared(prices: &[Ticks]) -> RuntimeEvent {
        let fill = |ticks: &Ticks| novate_types::Fill {
            account: of(1),
            sequence: 1,
            side: Side::Bid,
            role: novate_types::Role::Taker,
            ticks: *ticks,
            lots: 0,
            fee: 0,
            liquidation: false,
        };
        let fills: Vec<_> = prices.iter().map(fill).collect();
        clearing(pallet_clearing::Event::Cleared {
            market: 0,
            price: 0,
            volume: 0,
            part: 0,
            fills: BoundedVec::truncate_from(fills),
        })
    }

    /// A market that was halted for 70 seconds, and whose call has begun at 100.
    fn reopening(books: &Books) -> (Record, RiskView) {
        let mut record = Record::default();
        let mut view = view();
        view.markets[0].status = MarketStatus::Halted;
        view.now = NOW + 70_000;
        record.note(&view, vec![], &Before::new(), books).unwrap();
        view.markets[0].status = MarketStatus::Open;
        (view.block, view.now) = (8, NOW + 80_000);
        view.markets[0].observed_at = view.now;
        let events = vec![called(CallReason::Opening, 18, 100)];
        record.note(&view, events, &Before::new(), books).unwrap();
        (record, view)
    }

    #[test]
    fn a_reopened_market_is_known_by_the_auction_that_it_waited_for() {
        let (books, _) = state(10, 10);
        let none = Before::new();
        let (mut record, view) = reopening(&books);
        assert!(record.reopened.is_empty());
        let part = vec![cleared(&[102, 102]), uncrossed(Some(102), false)];
        record.note(&view, part, &none, &books).unwrap();
        assert!(record.reopened.is_empty());
        let rest = vec![cleared(&[102]), uncrossed(Some(102), true)];
        record.note(&view, rest, &none, &books).unwrap();
        let reopened = &record.reopened[0];
        assert_eq!((reopened.halted, reopened.fresh), (NOW, NOW + 80_000));
        assert_eq!(reopened.price, Some(102));
        assert!((reopened.distance().unwrap() - 0.02).abs() < 1e-12);
        // A call that begins again has another first index.
        let (mut record, view) = reopening(&books);
        let events = vec![called(CallReason::Moved, 28, 120), uncrossed(None, true)];
        record.note(&view, events, &none, &books).unwrap();
        assert_eq!(record.reopened[0].index, 120.0);
        assert_eq!(record.reopened[0].distance(), None);
    }

    #[test]
    fn an_auction_at_two_prices_is_noticed() {
        let (books, _) = state(10, 10);
        let (mut record, view) = reopening(&books);
        let events = vec![cleared(&[102, 101]), uncrossed(Some(102), true)];
        assert!(record.note(&view, events, &Before::new(), &books).is_err());
    }

    #[test]
    fn a_remedy_before_the_reopening_auction_has_ended_is_noticed() {
        let (books, before) = state(10, 10);
        let started = || vec![RuntimeEvent::Liquidation(started())];
        let (mut record, view) = reopening(&books);
        assert!(record.note(&view, started(), &before, &books).is_err());
        // Nobody waits for ever, whether the auction goes on or its call begins again.
        let goes_on = || vec![uncrossed(None, false)];
        let again = || vec![called(CallReason::Moved, 28, 120)];
        for more in [goes_on(), again()] {
            for (block, allowed) in [(28, false), (29, true)] {
                let (mut record, mut view) = reopening(&books);
                view.block = block;
                record.note(&view, more.clone(), &before, &books).unwrap();
                let noted = record.note(&view, started(), &before, &books);
                assert_eq!(noted.is_ok(), allowed);
            }
        }
        let (mut record, view) = reopening(&books);
        let done = vec![uncrossed(None, true)];
        record.note(&view, done, &before, &books).unwrap();
        record.note(&view, started(), &before, &books).unwrap();
    }
}
