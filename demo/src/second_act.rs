//! The second act: options listed by rule and quoted from the surface trade, a covered position needs less than its parts, and an expiry settles.
//!
//! Contracts listed by rule live for an hour at least, and settle at a mean of which the chain wants fifteen minutes: longer than anybody watches. So root
//! sets two things, by `System.set_storage`, and nothing else: the expiry of the nearest series, to a few seconds from now; and, once that has passed, how
//! long the chain has seen prices for the mean, to the half hour. The mean itself stays what the closes made it, and so does all that follows from it.

use crate::{
    actors::{self, Actor},
    exchanges::Replay,
    story::Story,
    tape::BAR,
    BTC, END, UNIT,
};
use anyhow::{bail, ensure, Context, Result};
use novate_client::{
    conservation::FullState,
    decimal::{cash_floor, rounded},
    event::Event,
    Account, BlockId, Call, Chain, Hash, Included, Market,
};
use novate_runtime_api::{MarginsInfo, PortfolioInfo, QuoteInfo, SliceInfo};
use novate_types::{
    math, AssetId, Cash, FeedId, Instrument, InstrumentKind, Lots, MarketId, MarketStatus,
    MathError, Millis, OptionRight, OrderPrice, Price, Side, SignedLots, Ticks,
};
use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::timeout};

/// Where the prices stand at its end: 09:28 UTC. From where the first act left them they go on once the expiry is set.
const LATE: u64 = END + 80 * BAR;
/// How long any one thing may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// From when root is asked until the nearest series expires.
const TERM: Millis = 10_000;
/// The mean that a contract settles at is over the half hour before its expiry.
const MEAN: Millis = 1_800_000;
/// Lots of a bitcoin.
const BITCOIN: Lots = 10_000;
/// How far from its mark somebody takes an option, in points of volatility. A market order would reach half a percent of the mark, which is less than one.
const REACH: u128 = 2;
/// How far an option's volatility may lie from the surface's, or a fill's from the mark's, in points.
const NEAR: f64 = 0.5;
const FAR: f64 = 3.0;

/// Who plays it, beside the governor.
pub struct Cast {
    /// Quotes options.
    pub maker: Arc<Actor>,
    /// Buys calls and a put.
    pub buyer: Actor,
    /// Buys a bitcoin and covers it.
    pub writer: Actor,
}

impl Cast {
    /// Development accounts that have no part in the first act.
    pub fn new(chain: &Chain) -> Result<Self> {
        let actor = |name, uri| Actor::new(name, uri, chain);
        Ok(Self {
            maker: Arc::new(actor("olga", "//Bob//stash")?),
            buyer: actor("heidi", "//Charlie//stash")?,
            writer: actor("grace", "//Eve//stash")?,
        })
    }

    /// All of them.
    pub fn all(&self) -> [&Actor; 3] {
        [&self.maker, &self.buyer, &self.writer]
    }

    async fn fund(&self, usdc: AssetId) -> Result<()> {
        tokio::try_join!(
            self.maker.deposit(usdc, 1_000_000 * UNIT),
            self.buyer.deposit(usdc, 50_000 * UNIT),
            self.writer.deposit(usdc, 50_000 * UNIT),
        )?;
        Ok(())
    }
}

/// What came of it.
pub struct Played {
    /// The block that booked the last position.
    pub until: BlockId,
    /// Positions in options that were settled.
    pub settled: u64,
    /// By how many percent a covered position needed less than its parts, rounded down.
    pub offset: Cash,
}

/// Plays it. `crowd` takes in the market maker.
pub async fn play(
    cast: &Cast,
    governor: &Actor,
    replay: &Replay,
    story: &Arc<Story>,
    crowd: &mut JoinSet<()>,
) -> Result<Played> {
    let chain = governor.chain();
    let feed = chain.feed(&String::from_utf8_lossy(BTC), None).await?.feed;
    let series = waits("no option on BTC is open", series(chain, feed)).await?;
    story.tell(format!(
        "{} options of the first expiry, listed by rule, are open on the surface of two venues",
        series.count
    ));
    cast.fund(chain.settlement_asset()?).await?;
    crowd.spawn(actors::make_options(
        cast.maker.clone(),
        feed,
        story.clone(),
    ));
    for option in [&series.call, &series.put] {
        waits("nobody quotes options", quoted(chain, option.id)).await?;
    }
    trade(cast, &series, feed, story).await?;
    let offset = cover(cast, &series, feed, story).await?;
    let (until, settled) = settle(&series, feed, governor, replay, story).await?;
    Ok(Played {
        until,
        settled,
        offset,
    })
}

/// A number that has none.
fn number(why: MathError) -> anyhow::Error {
    anyhow::anyhow!("{why:?}")
}

async fn waits<R>(what: &'static str, done: impl Future<Output = Result<R>>) -> Result<R> {
    timeout(PATIENCE, done).await.context(what)?
}

/// The nearest expiry, and its options nearest to the money.
struct Series {
    expiry: Millis,
    call: Market,
    put: Market,
    count: usize,
}

/// Waits until a call and a put at the same strike of the nearest expiry trade.
async fn series(chain: &Chain, feed: FeedId) -> Result<Series> {
    let mut blocks = chain.blocks(false).await?;
    loop {
        let at = Some(blocks.next().await?.hash);
        let mut open = open_options(chain, feed, at).await?;
        let Some(expiry) = open.iter().filter_map(|(m, _)| expiry_of(m)).min() else {
            continue;
        };
        open.retain(|(market, _)| expiry_of(market) == Some(expiry));
        let count = open.len();
        let nearest = |wanted: OptionRight| {
            let of_right = open
                .iter()
                .filter(|(m, _)| right_of(m).is_some_and(|(right, _)| right == wanted));
            of_right.min_by_key(|(m, _)| distance(m)).map(|(m, _)| m)
        };
        let (Some(call), Some(put)) = (nearest(OptionRight::Call), nearest(OptionRight::Put))
        else {
            continue;
        };
        if right_of(call).map(|c| c.1) == right_of(put).map(|p| p.1) {
            let (call, put) = (call.clone(), put.clone());
            return Ok(Series {
                expiry,
                call,
                put,
                count,
            });
        }
    }
}

/// Options that trade and have a volatility, each as it is quoted.
pub async fn open_options(
    chain: &Chain,
    feed: FeedId,
    at: Option<Hash>,
) -> Result<Vec<(Market, QuoteInfo)>> {
    let markets = chain.markets(at).await?;
    let quotes = chain.quotes(feed, at).await?;
    let trades = |market: &Market| {
        let view = market.info.view.as_ref();
        market.status() == MarketStatus::Open && view.is_some_and(|v| !v.is_in_auction())
    };
    let open = markets.into_iter().filter(trades).filter_map(|market| {
        let quote = quotes.iter().find(|q| q.market == market.id)?;
        (quote.volatility.is_some() && quote.greeks.is_some()).then_some((market, *quote))
    });
    Ok(open.collect())
}

/// When a market's contract settles.
pub fn expiry_of(market: &Market) -> Option<Millis> {
    market.info.instrument.kind.expiry()
}

fn right_of(market: &Market) -> Option<(OptionRight, Ticks)> {
    match market.info.instrument.kind {
        InstrumentKind::Option { strike, right, .. } => Some((right, strike)),
        _ => None,
    }
}

/// From its forward to its strike, in ticks.
pub fn distance(market: &Market) -> Option<Ticks> {
    let forward = market.info.view.as_ref()?.index;
    let forward = math::ticks_nearest(forward, market.info.instrument.tick_size).ok()?;
    Some(right_of(market)?.1.abs_diff(forward))
}

async fn quoted(chain: &Chain, market: MarketId) -> Result<()> {
    let mut blocks = chain.blocks(false).await?;
    loop {
        let at = Some(blocks.next().await?.hash);
        let book = chain.book(market, 1, at).await?;
        if !book.bids.is_empty() && !book.asks.is_empty() {
            return Ok(());
        }
    }
}

/// What somebody's fills in a market came to in a block: lots, and the last one's price.
fn filled(included: &Included, market: MarketId, of: Account) -> (Lots, Option<Ticks>) {
    let mut sum = (0, None);
    for event in included.close() {
        let Event::Cleared {
            market: id, fills, ..
        } = event
        else {
            continue;
        };
        for fill in fills.iter().filter(|f| *id == market && f.account == of) {
            sum = (sum.0 + fill.lots, Some(fill.ticks));
        }
    }
    sum
}

/// A number of the chain's, for comparisons that nothing follows from on chain.
fn float(inner: u128) -> f64 {
    inner as f64 / 1e18
}

/// The surface's volatility at a strike, in percent: linear in variance between the points of the smile, flat beyond.
fn surface_volatility(slice: &SliceInfo, forward: f64, strike: f64) -> Option<f64> {
    let years = slice.left as f64 / (365.0 * 86_400_000.0);
    let place = (strike / forward).ln() / years.sqrt();
    let points: Vec<(f64, f64)> = slice
        .points
        .iter()
        .map(|p| (p.moneyness as f64 / 1e12, p.variance as f64 / 1e12))
        .collect();
    let variance = match points.iter().position(|(at, _)| *at >= place) {
        Some(0) => points.first()?.1,
        None => points.last()?.1,
        Some(next) => {
            let ((a, low), (b, high)) = (points[next - 1], points[next]);
            low + (high - low) * (place - a) / (b - a)
        }
    };
    Some(variance.sqrt() * 100.0)
}

/// Somebody takes an option, no farther than [`REACH`] from its mark. Returns the block in which that was.
async fn take(
    of: &Actor,
    option: &Market,
    feed: FeedId,
    side: Side,
    lots: Lots,
) -> Result<Included> {
    let quotes = of.chain().quotes(feed, None).await?;
    let quote = quotes.iter().find(|q| q.market == option.id);
    let (mark, greeks) = quote
        .and_then(|q| q.mark.zip(q.greeks))
        .with_context(|| format!("{} has no mark", option.symbol))?;
    let reach = REACH * greeks.vega.into_inner().unsigned_abs();
    let limit = Price::from_inner(match side {
        Side::Bid => mark.into_inner() + reach,
        Side::Ask => mark.into_inner().saturating_sub(reach),
    });
    let limit = option.ticks_within(limit, side);
    let limit = OrderPrice::Limit(limit.context("the mark is out of range")?);
    of.trade_at(option, side, lots, limit).await
}

/// Two calls and a put are bought of the maker, at a volatility that is the surface's or near it.
async fn trade(cast: &Cast, series: &Series, feed: FeedId, story: &Story) -> Result<()> {
    let chain = cast.buyer.chain();
    let buyer = cast.buyer.account();
    for (option, lots) in [(&series.call, 2 * BITCOIN), (&series.put, BITCOIN)] {
        let at = Some(chain.best().await?.hash);
        let quotes = chain.quotes(feed, at).await?;
        let quote = quotes.iter().find(|q| q.market == option.id);
        let quote = quote.context("the option is gone")?;
        let (mark, volatility, greeks) = quote
            .mark
            .zip(quote.volatility)
            .zip(quote.greeks)
            .map(|((mark, volatility), greeks)| (mark, volatility, greeks))
            .with_context(|| format!("{} has no mark", option.symbol))?;
        let slices = chain.surface(feed, at).await?;
        let slice = slices
            .iter()
            .find(|s| s.expiry == series.expiry && s.is_fresh)
            .with_context(|| format!("the surface has nothing fresh for {}", option.symbol))?;
        let market = chain.market(&option.symbol, at).await?;
        let forward = market.info.view.as_ref().map(|v| v.index.into_inner());
        let (_, strike) = right_of(option).context("it is an option")?;
        let tick = float(option.info.instrument.tick_size.into_inner());
        let seen = surface_volatility(
            slice,
            float(forward.context("it has no forward")?),
            strike as f64 * tick,
        )
        .context("the surface's slice is empty")?;
        let marked = float(volatility.into_inner()) * 100.0;
        ensure!(
            (marked - seen).abs() < NEAR,
            "{} is marked with a volatility of {marked:.2} %, and the surface says {seen:.2} %",
            option.symbol
        );

        let included = take(&cast.buyer, option, feed, Side::Bid, lots).await?;
        let (bought, ticks) = filled(&included, option.id, buyer);
        ensure!(
            bought == lots,
            "{} of {} {} were bought",
            option.size(bought),
            option.size(lots),
            option.symbol
        );
        let ticks = ticks.context("it was filled")?;
        let (maker_sold, _) = filled(&included, option.id, cast.maker.account());
        ensure!(
            maker_sold == lots,
            "somebody else than the maker sold {}",
            option.symbol
        );
        let vega = float(greeks.vega.into_inner().unsigned_abs());
        let paid = marked + (ticks as f64 * tick - float(mark.into_inner())) / vega;
        ensure!(
            (paid - seen).abs() < FAR,
            "{} was bought at a volatility of {paid:.2} %, and the surface says {seen:.2} %",
            option.symbol
        );
        story.tell(format!(
            "{} buys {} {} of {} at {}: a volatility of {paid:.1} %, of which the surface says {seen:.1} %",
            cast.buyer.name,
            option.size(lots),
            option.symbol,
            cast.maker.name,
            option.price(ticks),
        ));
    }
    Ok(())
}

/// The account's portfolio in an underlying, and what the chain holds the account to.
async fn portfolio(
    of: &Actor,
    feed: FeedId,
    included: &Included,
) -> Result<(PortfolioInfo, MarginsInfo)> {
    let info = of
        .chain()
        .account(of.account(), Some(included.block.hash))
        .await?;
    let portfolio = info.portfolios.iter().find(|p| p.underlying == feed);
    let held = MarginsInfo {
        initial: info.assessment.initial,
        maintenance: info.assessment.maintenance,
    };
    Ok((*portfolio.context("the account has no portfolio")?, held))
}

/// A bitcoin is bought, a call on it sold and a put bought, which cover it on both sides. Returns by how many percent the three need less than one by one.
async fn cover(cast: &Cast, series: &Series, feed: FeedId, story: &Story) -> Result<Cash> {
    let writer = &cast.writer;
    let perpetual = writer.chain().market(actors::MARKET, None).await?;
    let mut seen = Vec::new();
    for (market, side) in [
        (&perpetual, Side::Bid),
        (&series.call, Side::Ask),
        (&series.put, Side::Bid),
    ] {
        let included = if market.contract().kind.is_option() {
            take(writer, market, feed, side, BITCOIN).await?
        } else {
            writer.trade(market, side, BITCOIN).await?
        };
        let (lots, _) = filled(&included, market.id, writer.account());
        ensure!(
            lots == BITCOIN,
            "{} of a {} were traded",
            market.size(lots),
            market.symbol
        );
        seen.push(portfolio(writer, feed, &included).await?);
    }
    let (Some((alone, _)), Some((covered, held))) = (seen.first(), seen.last()) else {
        bail!("nothing was traded")
    };
    let scan = covered.by_scan.context("nothing was scanned")?;
    let (parts, lesser) = (covered.by_parts, covered.required());
    for (parts, lesser) in [
        (parts.initial, lesser.initial),
        (parts.maintenance, lesser.maintenance),
    ] {
        ensure!(
            0 < lesser && lesser < parts,
            "a covered position needs {}, no less than its parts, which need {}",
            cash_floor(lesser),
            cash_floor(parts)
        );
    }
    ensure!(
        (held.initial, held.maintenance) == (lesser.initial, lesser.maintenance),
        "the chain holds {} to {}, and not to the lesser of the two, {}",
        writer.name,
        cash_floor(held.initial),
        cash_floor(lesser.initial)
    );
    let delta = |of: &PortfolioInfo| of.greeks.map(|greeks| greeks.delta.into_inner());
    let (before, after) = delta(alone)
        .zip(delta(covered))
        .context("the position has no Greeks")?;
    ensure!(
        after.abs() * 10 < before,
        "the options cover nothing: a delta of {before} before them, {after} with them"
    );
    let offset = (parts.initial - lesser.initial) * 100 / parts.initial;
    let name = writer.name;
    story.tell(format!(
        "{name} is long 1 {}, short 1 {} and long 1 {}: delta {} instead of {}",
        perpetual.symbol,
        series.call.symbol,
        series.put.symbol,
        rounded(after, 18, 4),
        rounded(before, 18, 4)
    ));
    story.tell(format!(
        "{name} needs {} initial margin by parts, {} by scan: the chain holds the account to {}, {offset} % less",
        cash_floor(parts.initial),
        cash_floor(scan.margins.initial),
        cash_floor(held.initial)
    ));
    Ok(offset)
}

/// `Clearing.Settlements` as it is stored: underlying, expiry, Σ price · milliseconds, milliseconds, index of the last close, price that stands, closes
/// since, and whether positions are cash.
type Stored = Vec<(
    FeedId,
    Millis,
    u128,
    Millis,
    Option<Price>,
    Option<Price>,
    u8,
    bool,
)>;

/// The mean as the index and the time of every block make it.
struct Mean {
    weighted: u128,
    covered: Millis,
    /// The index of the last block, if it was fresh, and its time.
    last: Option<Price>,
    at: Millis,
}

impl Mean {
    fn advance(&mut self, index: Option<Price>, now: Millis, most: Millis) {
        if let Some(price) = self.last {
            let counted = now.saturating_sub(self.at).min(most);
            self.weighted += price.into_inner() * u128::from(counted);
            self.covered += counted;
        }
        (self.last, self.at) = (index, now);
    }
}

/// A block's time, and its index if that was fresh.
async fn index_at(chain: &Chain, feed: FeedId, block: BlockId) -> Result<(Millis, Option<Price>)> {
    let fresh_for: Millis = chain.constant("Clearing", "FreshFor")?;
    let now = chain.view(Some(block.hash)).await?.now;
    let feeds = chain.prices(Some(block.hash)).await?;
    let index = feeds
        .iter()
        .find(|f| f.feed == feed && f.age <= fresh_for)
        .and_then(|f| f.price);
    Ok((now, index))
}

/// The nearest series expires, settles at the mean, and its holders are paid. Returns the block in which the last was, and how many positions in options.
async fn settle(
    series: &Series,
    feed: FeedId,
    governor: &Actor,
    replay: &Replay,
    story: &Story,
) -> Result<(BlockId, u64)> {
    let chain = governor.chain();
    let (expiry, set) = expire(series.expiry, governor, story).await?;
    replay.clock.go_on(LATE);

    // The mean, from what every block shows.
    let most: Millis = chain.constant("Clearing", "MaxFundingSpan")?;
    let (at, last) = index_at(chain, feed, set).await?;
    let mut mean = Mean {
        weighted: 0,
        covered: 0,
        last,
        at,
    };
    let mut block = set;
    while mean.at < expiry {
        block = next(chain, block).await?;
        let (now, index) = index_at(chain, feed, block).await?;
        mean.advance(index, now, most);
    }
    let hash = Some(block.hash);
    let stored: Option<Stored> = chain.value("Clearing", "Settlements", (), hash).await?;
    let mut stored = stored.context("nothing is to settle")?;
    let own = stored
        .iter_mut()
        .find(|s| (s.0, s.1) == (feed, expiry))
        .context("the chain makes no mean of the expiry")?;
    ensure!(
        (own.2, own.3, own.5) == (mean.weighted, mean.covered, None) && mean.covered > 0,
        "the chain's mean is {own:?}, and its blocks make it {} over {} ms",
        mean.weighted,
        mean.covered
    );

    // Its length, and nothing else of it.
    own.2 = math::mul_div_floor(mean.weighted, MEAN.into(), mean.covered.into()).map_err(number)?;
    own.3 = MEAN;
    let price = Price::from_inner(own.2 / u128::from(MEAN));
    let item = chain.item("Clearing", "Settlements", (), &stored)?;
    let done = root(governor, &[item]).await?;
    story.tell(format!(
        "root lets the {} s of prices that the chain has seen stand for half an hour",
        mean.covered / 1_000
    ));
    let held = holders(chain, expiry, block).await?;
    paid(chain, done, price, held, story).await
}

/// Has everything of an expiry expire in [`TERM`]. Returns when that is, and the block since which it is so.
async fn expire(expiry: Millis, governor: &Actor, story: &Story) -> Result<(Millis, BlockId)> {
    let chain = governor.chain();
    let at = Some(chain.best().await?.hash);
    let soon = chain.view(at).await?.now + TERM;
    let mut items = Vec::new();
    for market in chain.markets(at).await? {
        let kind = match market.info.instrument.kind {
            InstrumentKind::Future { expiry: of } if of == expiry => {
                InstrumentKind::Future { expiry: soon }
            }
            InstrumentKind::Option {
                expiry: of,
                strike,
                right,
            } if of == expiry => InstrumentKind::Option {
                expiry: soon,
                strike,
                right,
            },
            _ => continue,
        };
        let instrument = Instrument {
            kind,
            ..market.info.instrument
        };
        items.push(chain.item("Instruments", "Instruments", (market.id,), instrument)?);
    }
    let set = root(governor, &items).await?;
    story.tell(format!(
        "root has the {} contracts of the first expiry expire {} s from now",
        items.len(),
        TERM / 1_000
    ));
    Ok((soon, set))
}

/// Root sets storage. Returns the block that did.
async fn root(governor: &Actor, items: &[(Vec<u8>, Vec<u8>)]) -> Result<BlockId> {
    let call = governor.chain().by_root(&Call::set_storage(items))?;
    Ok(governor.execute(&call).await?.block)
}

/// The block after another.
async fn next(chain: &Chain, after: BlockId) -> Result<BlockId> {
    let next = async {
        loop {
            match chain.block_at(after.number + 1).await? {
                Some(block) => return Ok(block),
                None => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    waits("no more blocks", next).await
}

/// A contract that is about to settle.
struct Held {
    market: Market,
    /// By account, signed.
    lots: BTreeMap<Account, SignedLots>,
    /// What a unit came to, once that stands.
    worth: Option<Ticks>,
}

/// Who holds what of an expiry.
async fn holders(chain: &Chain, expiry: Millis, at: BlockId) -> Result<BTreeMap<MarketId, Held>> {
    let mut held = BTreeMap::new();
    for market in chain.markets(Some(at.hash)).await? {
        if expiry_of(&market) == Some(expiry) {
            let lots = BTreeMap::new();
            let of = Held {
                market,
                lots,
                worth: None,
            };
            held.insert(of.market.id, of);
        }
    }
    for (account, state) in FullState::read(chain, at.hash).await?.accounts {
        for position in &state.positions {
            if let Some(of) = held.get_mut(&position.market) {
                of.lots.insert(account, position.lots);
            }
        }
    }
    ensure!(
        held.values().any(|of| !of.lots.is_empty()),
        "nobody holds what expires"
    );
    Ok(held)
}

/// Follows the blocks until everybody has been paid what a contract came to at `price`.
async fn paid(
    chain: &Chain,
    from: BlockId,
    price: Price,
    mut held: BTreeMap<MarketId, Held>,
    story: &Story,
) -> Result<(BlockId, u64)> {
    let (mut block, mut settled) = (from, 0);
    for _ in 0..PATIENCE.as_secs() {
        for record in chain.events(block.hash).await? {
            match record.event {
                Event::Settled {
                    market,
                    price: ticks,
                    worth,
                } => {
                    let of = held.get_mut(&market).context("something else settled")?;
                    let (own, unit) = payoff(&of.market, price)?;
                    ensure!(
                        (ticks, worth) == (own, unit),
                        "{} settles at {ticks} ticks, {worth} a unit; the mean makes it {own} and {unit}",
                        of.market.symbol
                    );
                    of.worth = Some(worth);
                }
                Event::PositionSettled {
                    account,
                    market,
                    lots,
                    cash,
                } => {
                    let of = held.get_mut(&market).context("something else was booked")?;
                    let symbol = &of.market.symbol;
                    let own = of.lots.remove(&account);
                    ensure!(
                        own == Some(lots),
                        "{} is paid for {lots} lots of {symbol}, and held {own:?}",
                        story.name(&account)
                    );
                    let worth = of
                        .worth
                        .with_context(|| format!("{symbol} is paid too soon"))?;
                    let value = of.market.value(lots.unsigned_abs(), worth);
                    let value = if lots < 0 { -value } else { value };
                    if of.market.contract().kind.is_option() {
                        ensure!(
                            cash == value,
                            "{} gets {} for {symbol}, which comes to {}",
                            story.name(&account),
                            cash_floor(cash),
                            cash_floor(value)
                        );
                        settled += 1;
                    }
                }
                _ => {}
            }
        }
        if held
            .values()
            .all(|of| of.worth.is_some() && of.lots.is_empty())
        {
            return Ok((block, settled));
        }
        block = next(chain, block).await?;
    }
    let left: Vec<_> = held
        .values()
        .filter(|of| of.worth.is_none() || !of.lots.is_empty())
        .map(|of| of.market.symbol.as_str())
        .collect();
    bail!("what expired is not settled: {}", left.join(", "))
}

/// What a contract settles at at a price, and what a unit is worth then, in ticks: the specification once more.
fn payoff(market: &Market, price: Price) -> Result<(Ticks, Ticks)> {
    let ticks = math::ticks_nearest(price, market.info.instrument.tick_size).map_err(number)?;
    let unit = match right_of(market) {
        Some((OptionRight::Call, strike)) => ticks.saturating_sub(strike),
        Some((OptionRight::Put, strike)) => strike.saturating_sub(ticks),
        None => ticks,
    };
    Ok((ticks, unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use novate_runtime_api::SmilePoint;

    #[test]
    fn mean_counts_each_price_until_the_next_block_and_no_longer_than_a_close_may() {
        let price = Price::from_u32;
        let mut mean = Mean {
            weighted: 0,
            covered: 0,
            last: Some(price(100)),
            at: 1_000,
        };
        mean.advance(Some(price(200)), 2_000, 60_000);
        mean.advance(None, 2_500, 60_000);
        // A price that was not fresh does not count.
        mean.advance(Some(price(300)), 9_000, 60_000);
        mean.advance(None, 100_000, 60_000);
        let unit = price(1).into_inner();
        assert_eq!(
            (mean.weighted, mean.covered),
            (
                (100 * 1_000 + 200 * 500 + 300 * 60_000) * unit,
                1_500 + 60_000
            )
        );
    }

    #[test]
    fn surface_is_read_between_its_points_and_flat_beyond() {
        let year = 365 * 86_400_000;
        let point = |(moneyness, variance)| SmilePoint {
            moneyness,
            variance,
        };
        let trillion = 1_000_000_000_000;
        let slice = SliceInfo {
            expiry: 2 * year,
            left: year,
            observed_at: year,
            age: 0,
            is_fresh: true,
            points: [
                (-trillion, 360_000_000_000),
                (0, 160_000_000_000),
                (trillion, 360_000_000_000),
            ]
            .map(point)
            .to_vec(),
        };
        let at = |strike: f64| surface_volatility(&slice, 100.0, strike).unwrap();
        assert!((at(100.0) - 40.0).abs() < 1e-9);
        assert!((at(100.0 * 0.5f64.exp()) - 26f64.sqrt() * 10.0).abs() < 1e-9);
        assert!((at(1_000.0) - 60.0).abs() < 1e-9);
        assert!((at(1.0) - 60.0).abs() < 1e-9);
    }
}
