//! Who trades: market makers that follow the mark, people who come and go, and one with far too much leverage.

use crate::{second_act, story::Story};
use anyhow::{bail, Context, Result};
use novate_client::{
    event::{Accepted, OrderError},
    refusal, Account, Call, Chain, Error, Event, Included, Market, Signer, Wallet,
};
use novate_runtime_api::{HypotheticalTrade, QuoteInfo};
use novate_types::{
    math, AssetId, FeedId, Lots, MarketStatus, NewOrder, OpenOrder, Operation, OrderPrice,
    OrderTarget, Price, SelfTradePrevention, Side, Ticks, TimeInForce,
};
use rand::{rngs::StdRng, Rng, SeedableRng};
use std::{sync::Arc, time::Duration};

/// The market they trade.
pub const MARKET: &str = "BTC-PERP";
/// Levels of the maker's ladder on each side.
const LEVELS: u64 = 10;
/// Distance of the first level from the mark, and of each further one, in parts per million.
const SPREAD: i64 = 200;
const STEP: i64 = 250;
/// A level moves at once when it is farther than this from where it belongs; else only every other block, so that half of
/// the ladder always rests.
const DRIFT: u64 = 2_000;
/// How far from the mark an order that takes all it can afford may fill, in parts per million.
const REACH: i64 = 1_500;
/// Options that are quoted: the nearest to the money of the nearest expiry.
const OPTIONS: usize = 8;
/// Lots of each, on either side.
const OPTION_LOTS: Lots = 50_000;

/// One outcome for each operation of an extrinsic.
type Outcomes = Vec<std::result::Result<Accepted, OrderError>>;

/// Somebody with a key and the first of its margin accounts.
pub struct Actor {
    /// What the story calls them.
    pub name: &'static str,
    signer: Signer,
    next_client: std::sync::atomic::AtomicU64,
}

impl Actor {
    /// A development account, by its derivation.
    pub fn new(name: &'static str, uri: &str, chain: &Chain) -> Result<Self> {
        let signer = Signer::new(chain.clone(), Wallet::from_uri(uri).map_err(Error::from)?);
        Ok(Self {
            name,
            signer,
            next_client: 1_000.into(),
        })
    }

    /// Its margin account.
    pub fn account(&self) -> Account {
        Account::new(self.signer.account_id(), 0)
    }

    /// Its connection.
    pub fn chain(&self) -> &Chain {
        self.signer.chain()
    }

    /// Signs a call and waits until it is in a block.
    pub async fn execute(&self, call: &Call) -> Result<Included> {
        Ok(self.signer.execute(call).await?)
    }

    /// Moves cash into its margin account.
    pub async fn deposit(&self, asset: AssetId, amount: u128) -> Result<()> {
        self.signer
            .execute(&Call::deposit(0, asset, amount))
            .await?;
        Ok(())
    }

    /// Moves cash into somebody's margin account.
    pub async fn give(&self, to: Account, asset: AssetId, amount: u128) -> Result<()> {
        self.signer
            .execute(&Call::deposit_for(to, asset, amount))
            .await?;
        Ok(())
    }

    async fn submit(&self, operations: &[Operation]) -> Result<Outcomes> {
        Ok(self.submitted(operations).await?.1)
    }

    async fn submitted(&self, operations: &[Operation]) -> Result<(Included, Outcomes)> {
        let included = self.execute(&Call::submit(0, operations)).await?;
        let outcomes = outcomes(&included).context("the chain reported no outcomes")?;
        Ok((included, outcomes))
    }

    fn take(&self, market: &Market, side: Side, lots: Lots, price: OrderPrice) -> Operation {
        let client_id = self
            .next_client
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Operation::Place(NewOrder {
            market: market.id,
            client_id,
            side,
            lots,
            price,
            time_in_force: TimeInForce::ImmediateOrCancel,
            reduce_only: false,
            self_trade_prevention: SelfTradePrevention::CancelNewest,
        })
    }

    /// Takes `lots` at the market. Returns the block in which that was.
    pub async fn trade(&self, market: &Market, side: Side, lots: Lots) -> Result<Included> {
        self.trade_at(market, side, lots, OrderPrice::Market).await
    }

    /// Takes `lots` at that price at most, or at least. Returns the block in which that was.
    pub async fn trade_at(
        &self,
        market: &Market,
        side: Side,
        lots: Lots,
        price: OrderPrice,
    ) -> Result<Included> {
        let order = self.take(market, side, lots, price);
        let (included, outcomes) = self.submitted(&[order]).await?;
        match outcomes.first() {
            Some(Err(error)) => bail!("{}", refusal::of_order(error, Some(market), None)),
            _ => Ok(included),
        }
    }

    /// Rests one order to sell, a level away from the mark.
    pub async fn offer(&self, market: &Market, lots: Lots) -> Result<()> {
        let mark = market.mark().context("the market has no mark")?;
        let limit = math::shift_ceil(mark, SPREAD)
            .ok()
            .and_then(|p| market.ticks_within(p, Side::Ask));
        let limit = OrderPrice::Limit(limit.context("the mark is out of range")?);
        let Operation::Place(order) = self.take(market, Side::Ask, lots, limit) else {
            bail!("an order is placed")
        };
        let order = Operation::Place(NewOrder {
            time_in_force: TimeInForce::GoodTilCancelled,
            ..order
        });
        match self.submit(&[order]).await?.first() {
            Some(Err(error)) => bail!("{}", refusal::of_order(error, Some(market), None)),
            _ => Ok(()),
        }
    }

    /// Cancels every open order.
    pub async fn withdraw_orders(&self) -> Result<()> {
        self.submit(&[Operation::CancelAll { market: None }])
            .await?;
        Ok(())
    }

    /// Takes the largest position that its margin allows close to the mark, and says how large it is.
    pub async fn trade_all_in(&self, market: &Market, side: Side) -> Result<Lots> {
        let mark = market.mark().context("the market has no mark")?;
        let away = if side == Side::Bid { REACH } else { -REACH };
        let limit = math::shift_floor(mark, away)
            .ok()
            .and_then(|p| market.ticks_within(p, side));
        let limit = OrderPrice::Limit(limit.context("the mark is out of range")?);
        let mut lots = self.most(market, side).await?;
        while lots > 0 {
            let order = self.take(market, side, lots, limit);
            match self.submit(&[order]).await?.first() {
                Some(Err(OrderError::InsufficientMargin)) => lots = lots * 49 / 50,
                Some(Err(error)) => bail!("{}", refusal::of_order(error, Some(market), None)),
                _ => return Ok(lots),
            }
        }
        bail!("{} cannot afford a single lot", self.name)
    }

    /// The most lots whose trade at the mark leaves initial margin covered, by halving.
    async fn most(&self, market: &Market, side: Side) -> Result<Lots> {
        let at = Some(self.chain().best().await?.hash);
        let (mut low, mut high): (Lots, Lots) = (0, 1_000_000);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            let lots = side.signed(middle).context("out of range")?;
            let trade = HypotheticalTrade {
                market: market.id,
                lots,
                ticks: None,
            };
            let after = self.chain().simulate(self.account(), &[trade], at).await?;
            if after.assessment.covers_initial() {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        Ok(low)
    }
}

fn outcomes(included: &Included) -> Option<Outcomes> {
    included.own().find_map(|event| match event {
        Event::Submitted { outcomes, .. } => Some(outcomes.clone()),
        _ => None,
    })
}

/// One level of the maker's ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rung {
    client_id: u64,
    side: Side,
    ticks: Ticks,
    lots: Lots,
    even: bool,
}

/// The ladder around a mark: sizes grow with the distance.
fn ladder(mark: Price, tick: Price) -> Option<Vec<Rung>> {
    let mut rungs = Vec::new();
    for level in 0..LEVELS {
        let away = SPREAD + STEP * i64::try_from(level).ok()?;
        let bid = math::ticks_floor(math::shift_floor(mark, -away).ok()?, tick).ok()?;
        let ask = math::ticks_ceil(math::shift_ceil(mark, away).ok()?, tick).ok()?;
        for (side, ticks, base) in [(Side::Bid, bid, 1), (Side::Ask, ask, 101)] {
            rungs.push(Rung {
                client_id: base + level,
                side,
                ticks,
                lots: 40_000 + 20_000 * level,
                even: level % 2 == 0,
            });
        }
    }
    Some(rungs)
}

/// What turns the open orders into the ladder. `turn` alternates which half moves.
fn requote(rungs: &[Rung], open: &[OpenOrder], market: &Market, turn: bool) -> Vec<Operation> {
    let mut operations = Vec::new();
    for rung in rungs {
        let Some(order) = open.iter().find(|o| o.client_id == rung.client_id) else {
            operations.push(Operation::Place(NewOrder {
                market: market.id,
                client_id: rung.client_id,
                side: rung.side,
                lots: rung.lots,
                price: OrderPrice::Limit(rung.ticks),
                time_in_force: TimeInForce::PostOnly,
                reduce_only: false,
                self_trade_prevention: SelfTradePrevention::CancelNewest,
            }));
            continue;
        };
        let strays = order.ticks.abs_diff(rung.ticks) > rung.ticks / (1_000_000 / DRIFT);
        let thin = order.lots < rung.lots / 2;
        if (order.ticks != rung.ticks && (strays || rung.even == turn)) || thin {
            operations.push(Operation::Amend {
                target: OrderTarget::Client(rung.client_id),
                price: Some(rung.ticks),
                lots: Some(rung.lots),
            });
        }
    }
    operations
}

/// Quotes both sides of the market with every block, in one extrinsic.
pub async fn make_market(maker: Arc<Actor>, story: Arc<Story>) {
    loop {
        if let Err(error) = quote_until_error(&maker).await {
            story.tell(format!("{} stumbles: {error}", maker.name));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn quote_until_error(maker: &Actor) -> Result<()> {
    let chain = maker.chain();
    let mut blocks = chain.blocks(false).await?;
    loop {
        let block = blocks.next().await?;
        let at = Some(block.hash);
        let market = chain.market(MARKET, at).await?;
        let Some(mark) = market
            .mark()
            .filter(|_| market.status() == MarketStatus::Open)
        else {
            continue;
        };
        let open = chain.account(maker.account(), at).await?.open_orders;
        let rungs =
            ladder(mark, market.info.instrument.tick_size).context("the mark is out of range")?;
        let operations = requote(&rungs, &open, &market, block.number % 2 == 0);
        if !operations.is_empty() {
            maker.submit(&operations).await?;
        }
    }
}

/// Quotes options with every block.
pub async fn make_options(maker: Arc<Actor>, feed: FeedId, story: Arc<Story>) {
    loop {
        if let Err(error) = quote_options_until_error(&maker, feed).await {
            story.tell(format!("{} stumbles: {error}", maker.name));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn quote_options_until_error(maker: &Actor, feed: FeedId) -> Result<()> {
    let chain = maker.chain();
    let mut blocks = chain.blocks(false).await?;
    loop {
        let block = blocks.next().await?;
        let at = Some(block.hash);
        let mut options = second_act::open_options(chain, feed, at).await?;
        options.sort_by_key(|(m, _)| (second_act::expiry_of(m), second_act::distance(m)));
        let first = options.first().and_then(|(m, _)| second_act::expiry_of(m));
        options.retain(|(market, _)| second_act::expiry_of(market) == first);
        options.truncate(OPTIONS);
        if options.is_empty() {
            continue;
        }
        let open = chain.account(maker.account(), at).await?.open_orders;
        let operations: Vec<_> = options
            .iter()
            .flat_map(|(market, quote)| {
                let rungs = around_surface(market, quote).unwrap_or_default();
                requote(&rungs, &open, market, block.number % 2 == 0)
            })
            .collect();
        if !operations.is_empty() {
            maker.submit(&operations).await?;
        }
    }
}

/// A bid a point of volatility below what the option is marked with, which is the surface's, and an ask a point above it. No bid where that is worth
/// less than a tick.
fn around_surface(market: &Market, quote: &QuoteInfo) -> Option<Vec<Rung>> {
    let tick = market.info.instrument.tick_size;
    let mark = quote.mark?.into_inner();
    let point = quote.greeks?.vega.into_inner().unsigned_abs();
    let bid = Price::from_inner(mark.saturating_sub(point));
    let ask = Price::from_inner(mark.checked_add(point)?);
    let (bid, ask) = (
        math::ticks_floor(bid, tick).ok()?,
        math::ticks_ceil(ask, tick).ok()?,
    );
    let rung = |(side, ticks, place): (Side, Ticks, u64)| Rung {
        client_id: 2 * u64::from(market.id) + place,
        side,
        ticks,
        lots: OPTION_LOTS,
        even: true,
    };
    let sides = [(Side::Bid, bid, 0), (Side::Ask, ask, 1)];
    let worth_it = sides.into_iter().filter(|(_, ticks, _)| *ticks > 0);
    Some(worth_it.map(rung).collect())
}

/// Trades small sizes either way, every few blocks, as people do.
pub async fn trade_at_random(trader: Arc<Actor>, seed: u64, story: Arc<Story>) {
    let mut chance = StdRng::seed_from_u64(seed);
    loop {
        tokio::time::sleep(Duration::from_millis(chance.gen_range(2_000..6_000))).await;
        let side = if chance.gen() { Side::Bid } else { Side::Ask };
        let lots = chance.gen_range(200..8_000);
        let traded = async {
            let market = trader.chain().market(MARKET, None).await?;
            trader.trade(&market, side, lots).await.map(drop)
        };
        if let Err(error) = traded.await {
            story.tell(format!("{} is refused: {error}", trader.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Price = Price::from_rational(1, 2);

    fn rungs(mark: u128) -> Vec<Rung> {
        ladder(Price::from_rational(mark, 1), TICK).unwrap()
    }

    #[test]
    fn ladder_never_crosses_itself_and_fits_one_extrinsic() {
        let rungs = rungs(20_000);
        let best_bid = rungs
            .iter()
            .filter(|r| r.side == Side::Bid)
            .map(|r| r.ticks)
            .max()
            .unwrap();
        let best_ask = rungs
            .iter()
            .filter(|r| r.side == Side::Ask)
            .map(|r| r.ticks)
            .min()
            .unwrap();
        assert!(best_bid < 40_000 && 40_000 < best_ask);
        assert!(rungs.len() <= novate_types::MAX_OPERATIONS as usize);
        let mut ids: Vec<_> = rungs.iter().map(|r| r.client_id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), rungs.len());
    }
}
