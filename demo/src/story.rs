//! The story as it happens, one line an event, and what of it has to have been seen.

use crate::exchanges::Replay;
use novate_client::{
    decimal::{cash, cash_floor, signed_units, Decimal},
    event::{Action, Escalation, Event},
    market::price_floor,
    Account, AccountId, Asset, Market,
};
use novate_types::{AssetId, FeedId, Fill, MarketStatus, Price, Side, FUNDING_FRACTION_BITS};
use std::{
    collections::BTreeMap,
    sync::{
        atomic::{AtomicU32, Ordering},
        Arc,
    },
};

/// A price is told again when it has moved by this share: one part in so many.
const NEWS: u128 = 700;

/// Tells lines with the block and the replayed time.
pub struct Story {
    replay: Arc<Replay>,
    block: AtomicU32,
    names: BTreeMap<AccountId, &'static str>,
    assets: Vec<Asset>,
}

impl Story {
    /// A story that knows these accounts by name, and what these assets are.
    pub fn new(
        replay: Arc<Replay>,
        names: impl IntoIterator<Item = (AccountId, &'static str)>,
        assets: Vec<Asset>,
    ) -> Self {
        Self {
            replay,
            block: AtomicU32::new(0),
            names: names.into_iter().collect(),
            assets,
        }
    }

    /// The block that lines told from now on belong to.
    pub fn at(&self, block: u32) {
        self.block.store(block, Ordering::Relaxed);
    }

    /// Tells a line.
    pub fn tell(&self, line: impl AsRef<str>) {
        let minute = self.replay.clock.now() / 60;
        println!(
            "[block {:>4}  {:02}:{:02}] {}",
            self.block.load(Ordering::Relaxed),
            minute / 60 % 24,
            minute % 60,
            line.as_ref()
        );
    }

    /// An account's name.
    pub fn name(&self, account: &Account) -> String {
        self.names
            .get(&account.owner)
            .map_or_else(|| account.owner.to_string(), |n| (*n).to_owned())
    }

    fn amount(&self, asset: AssetId, units: u128) -> String {
        match self.assets.iter().find(|a| a.id == asset) {
            Some(asset) => format!("{} {}", asset.text(units), asset.symbol),
            None => format!("{units} of asset {asset}"),
        }
    }

    fn fills(&self, market: &Market, fills: &[Fill<AccountId>]) -> String {
        let mut by_order: BTreeMap<(Account, Side, u64, bool), (u64, i128)> = BTreeMap::new();
        for fill in fills {
            let sums = by_order
                .entry((fill.account, fill.side, fill.ticks, fill.liquidation))
                .or_default();
            sums.0 += fill.lots;
            sums.1 += fill.fee;
        }
        let told = by_order
            .iter()
            .map(|((account, side, ticks, liquidation), (lots, fee))| {
                format!(
                    "{} {} {} at {}{} (fee {})",
                    self.name(account),
                    if *side == Side::Bid { "buys" } else { "sells" },
                    market.size(*lots),
                    market.price(*ticks),
                    if *liquidation { " in liquidation" } else { "" },
                    cash_floor(*fee),
                )
            });
        told.collect::<Vec<_>>().join(", ")
    }
}

/// What was seen on chain.
#[derive(Default)]
pub struct Seen {
    /// Blocks read.
    pub blocks: u32,
    /// Orders' fills.
    pub fills: u64,
    /// Accounts found below maintenance margin.
    pub shortfalls: u64,
    /// Fills, takeovers and deleveragings of accounts under liquidation.
    pub liquidations: u64,
    /// Aggregates of prices.
    pub prices: u64,
    /// Reports of funding other than zero.
    pub funding: u64,
    /// Sources that validators left out, by their own word.
    pub left_out: u64,
    /// Surfaces that validators saw, by their own word.
    pub surfaces: u64,
    /// Fills in options.
    pub option_fills: u64,
    /// Positions in options that were settled.
    pub options_settled: u64,
    told: BTreeMap<FeedId, Price>,
}

impl Seen {
    /// Counts a block's events and tells those worth a line. `feeds` names feeds.
    pub fn read(
        &mut self,
        story: &Story,
        markets: &[Market],
        feeds: &BTreeMap<FeedId, String>,
        event: &Event,
    ) {
        let market = |id: &u16| markets.iter().find(|m| m.id == *id);
        match event {
            Event::PricesAggregated { prices } => {
                self.prices += 1;
                let told = &mut self.told;
                let mut news = Vec::new();
                for p in prices {
                    let (old, new) = (told.get(&p.feed), p.price.into_inner());
                    if old.is_some_and(|old| old.into_inner().abs_diff(new) * NEWS <= new) {
                        continue;
                    }
                    told.insert(p.feed, p.price);
                    let name = feeds.get(&p.feed).map_or("?", String::as_str);
                    let (price, spread) = (price_floor(p.price, 4), price_floor(p.confidence, 4));
                    news.push(format!("{name} {price} +/- {spread}"));
                }
                if !news.is_empty() {
                    story.tell(format!("prices: {}", news.join(", ")));
                }
            }
            Event::Cleared {
                market: id,
                fills,
                volume,
                ..
            } => {
                self.fills += fills.len() as u64;
                self.liquidations += fills.iter().filter(|f| f.liquidation).count() as u64;
                if let Some(m) = market(id) {
                    if m.contract().kind.is_option() {
                        self.option_fills += fills.len() as u64;
                    }
                    story.tell(format!(
                        "cleared {} {}: {}",
                        m.size(*volume),
                        m.symbol,
                        story.fills(m, fills)
                    ));
                }
            }
            Event::CheckFailed {
                market: id,
                cancelled,
            } => {
                if let (Some(m), 1..) = (market(id), cancelled) {
                    story.tell(format!(
                        "{}: {cancelled} accounts would not have covered their fills; their orders left",
                        m.symbol
                    ));
                }
            }
            Event::StatusChanged {
                market: id,
                from,
                to,
            } => {
                if let Some(m) = market(id) {
                    story.tell(format!(
                        "{} goes from {} to {}",
                        m.symbol,
                        admits(*from),
                        admits(*to)
                    ));
                }
            }
            Event::AuctionCalled { market: id, at, .. } => {
                if let Some(m) = market(id) {
                    story.tell(format!(
                        "{} collects orders for an auction in block {at}",
                        m.symbol
                    ));
                }
            }
            Event::Uncrossed {
                market: id,
                price,
                volume,
                ..
            } => {
                if let (Some(m), Some(price)) = (market(id), price) {
                    story.tell(format!(
                        "{} uncrossed {} at {}",
                        m.symbol,
                        m.size(*volume),
                        m.price(*price)
                    ));
                }
            }
            Event::FundingAccrued {
                market: id,
                rate,
                index,
            } => {
                self.funding += u64::from(*index != 0);
                if let Some(m) = market(id) {
                    let lots_a_unit =
                        Decimal::from_units(1, 0).and_then(|one| one.on_grid(m.lot()).ok());
                    let a_unit =
                        lots_a_unit.and_then(|lots| index.checked_mul(i128::try_from(lots).ok()?));
                    story.tell(format!(
                        "funding of {}: {} % per 8 h; a long has paid {} USDC a {} since the listing",
                        m.symbol,
                        signed_units(i128::from(*rate), 10),
                        a_unit.map_or("?".into(), |sum| cash(sum >> FUNDING_FRACTION_BITS)),
                        m.base(),
                    ));
                }
            }
            Event::Settled {
                market: id,
                price,
                worth,
            } => {
                if let Some(m) = market(id) {
                    story.tell(format!(
                        "{} settles at {}: {} a unit",
                        m.symbol,
                        m.price(*price),
                        m.price(*worth)
                    ));
                }
            }
            Event::PositionSettled {
                account,
                market: id,
                lots,
                cash,
            } => {
                if let Some(m) = market(id) {
                    self.options_settled += u64::from(m.contract().kind.is_option());
                    story.tell(format!(
                        "{}'s {} {} come to {}",
                        story.name(account),
                        m.signed_size(*lots),
                        m.symbol,
                        cash_floor(*cash)
                    ));
                }
            }
            Event::Deposited {
                account,
                asset,
                amount,
            } => {
                let amount = story.amount(*asset, *amount);
                story.tell(format!("{} deposits {amount}", story.name(account)));
            }
            Event::Executed { request, .. } => {
                let amount = story.amount(request.asset, request.amount);
                let owner = story.name(&Account::new(request.owner, 0));
                story.tell(match request.action {
                    Action::Withdraw { .. } => format!("{owner} withdraws {amount}"),
                    Action::Supply => format!("{owner} supplies the liquidity pot with {amount}"),
                    Action::Redeem => format!("{owner} gives shares of the liquidity pot back"),
                    Action::Borrow { .. } => format!("{owner} borrows {amount}"),
                    Action::Transfer { to, .. } | Action::DepositFor { to } => {
                        format!("{owner} gives {} {amount}", story.name(&to))
                    }
                });
            }
            Event::LiquidationStarted {
                account,
                equity,
                maintenance,
            } => {
                self.shortfalls += 1;
                story.tell(format!(
                    "margin shortfall: {} has equity {} and needs {}; liquidation begins",
                    story.name(account),
                    cash_floor(*equity),
                    cash_floor(*maintenance)
                ));
            }
            Event::OrdersCancelled { account, orders } => {
                story.tell(format!(
                    "liquidation: {orders} open orders of {} are gone",
                    story.name(account)
                ));
            }
            Event::LiquidationOrderPlaced {
                account,
                market: id,
                side,
                lots,
                limit,
                ..
            } => {
                if let Some(m) = market(id) {
                    story.tell(format!(
                        "liquidation: {} {} for {}, no worse than {}",
                        if *side == Side::Bid {
                            "buying"
                        } else {
                            "selling"
                        },
                        m.size(*lots),
                        story.name(account),
                        m.price(*limit)
                    ));
                }
            }
            Event::TakenOver {
                account,
                why,
                equity,
                ..
            } => {
                self.liquidations += 1;
                let why = match why {
                    Escalation::DeepShortfall => "its shortfall is deep",
                    Escalation::Backlog => "too much is queued",
                    Escalation::MarketExhausted => "the market was not enough",
                    Escalation::Frozen => "it was frozen",
                    Escalation::CompetitionExhausted => "nobody took enough of it",
                };
                story.tell(format!(
                    "liquidation: the vault takes over {} with equity {}; {why}",
                    story.name(account),
                    cash_floor(*equity)
                ));
            }
            Event::CollateralCalled { account, debt } => story.tell(format!(
                "liquidation: {}'s collateral is auctioned for {} of debt",
                story.name(account),
                cash_floor(*debt)
            )),
            Event::DebtPaid { account, paid } => story.tell(format!(
                "liquidation: the vault pays {} of {}'s debt for collateral",
                cash_floor(*paid),
                story.name(account)
            )),
            Event::InsurancePaid {
                account,
                paid,
                left,
            } => story.tell(format!(
                "insurance fund pays {} for {}, {} are left",
                cash_floor(*paid),
                story.name(account),
                cash_floor(*left)
            )),
            Event::Deleveraged {
                account,
                counterparty,
                lots,
                market: id,
                ..
            } => {
                self.liquidations += 1;
                if let Some(m) = market(id) {
                    story.tell(format!(
                        "deleveraged: {} of {} close against {}",
                        m.size(*lots),
                        story.name(counterparty),
                        story.name(account)
                    ));
                }
            }
            Event::Recovered {
                account,
                equity,
                maintenance,
            } => story.tell(format!(
                "{} is out of liquidation with equity {} over {}",
                story.name(account),
                cash_floor(*equity),
                cash_floor(*maintenance)
            )),
            Event::LossShared { account, loss, .. } => story.tell(format!(
                "liquidation: nobody covers {} of {}; those across bear it",
                cash_floor(*loss),
                story.name(account)
            )),
            Event::DeficitUncovered { account, deficit } => story.tell(format!(
                "nobody covered {} of {}'s losses",
                cash_floor(*deficit),
                story.name(account)
            )),
            _ => {}
        }
    }

    /// Counts what a validator's oracle said of its sources, and tells it when it left one out or saw volatilities.
    pub fn hear(&mut self, story: &Story, said: &str) {
        let (left_out, surface) = (
            said.contains("left out: "),
            said.starts_with("volatility of "),
        );
        self.left_out += u64::from(left_out);
        self.surfaces += u64::from(surface);
        if left_out || surface {
            story.tell(format!("validator: {said}"));
        }
    }

    /// Steps that were not seen.
    pub fn missing(&self) -> Vec<&'static str> {
        [
            (self.prices, "prices aggregated"),
            (self.left_out, "a source left out"),
            (self.fills, "fills"),
            (self.funding, "funding accrued"),
            (self.shortfalls, "a margin shortfall"),
            (self.liquidations, "a liquidation"),
            (self.surfaces, "a volatility surface"),
            (self.option_fills, "fills in options"),
            (self.options_settled, "an option settled"),
        ]
        .into_iter()
        .filter_map(|(count, step)| (count == 0).then_some(step))
        .collect()
    }
}

fn admits(status: MarketStatus) -> &'static str {
    match status {
        MarketStatus::Open => "open",
        MarketStatus::ReduceOnly => "reduce-only",
        MarketStatus::Halted => "halted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_steps_are_named() {
        let mut seen = Seen {
            prices: 1,
            fills: 1,
            funding: 1,
            surfaces: 1,
            option_fills: 1,
            ..Seen::default()
        };
        assert_eq!(
            seen.missing(),
            [
                "a source left out",
                "a margin shortfall",
                "a liquidation",
                "an option settled"
            ]
        );
        (seen.left_out, seen.shortfalls, seen.liquidations) = (1, 1, 1);
        assert_eq!(seen.missing(), ["an option settled"]);
        seen.options_settled = 1;
        assert!(seen.missing().is_empty());
    }
}
