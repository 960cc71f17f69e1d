//! Crashes that happened, through the whole chain: recorded minutes drive the validators' oracle, and accounts drawn from a
//! distribution live or die on the prices.
//!
//! Time is the recording's: a block's timestamp is the moment whose prices it sees, so that funding, averages and staleness are what they
//! would have been. With fewer blocks a minute than sixty the blocks lie farther apart; what is counted in blocks (closes in the market,
//! blocks of a reopening, work done in a close) is then slower against the price than on the chain.

mod books;
mod bots;
mod cast;
mod clock;
mod picture;
mod record;
mod tape;

use crate::{chain::Chain, measure::quantile, world};
use anyhow::{bail, ensure, Context, Result};
use books::Books;
use bots::Bots;
use cast::Makers;
use novate_runtime::{
    configs::exchange::{InsuranceFund, Vault, BTC_FEED, USDC_FEED, USDT_FEED},
    Clearing, Liquidation, Runtime, System,
};
use novate_types::{
    math, AccountRef, Cash, CurrentView, FeedId, Lots, MarketId, Millis, Price, RiskModel,
    RiskView, Symbol, MILLION, QUANTUMS,
};
use pallet_price_oracle::Feed;
use picture::{Line, Panel};
use record::{Record, Unsettled};
use sp_keyring::Sr25519Keyring;
use sp_runtime::OpaqueExtrinsic;
use sp_storage::Storage;
use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    time::Instant,
};
use tape::Tape;
use tokio::runtime::Handle;

/// Minutes that are replayed if nothing else is said: those of the deepest fall.
const MINUTES: u64 = 360;
/// Blocks within which the queue is empty once the price stands still.
const DRAINED: u32 = 60;
/// Seconds before the first minute in which accounts are opened, at its first price.
const OPENING: u64 = 20;
/// Blocks between two looks at the indices.
const INSPECTION: u64 = 1_800;
/// What rounding may pass on, in quantums: less is nothing.
const NOTHING: Cash = QUANTUMS;

/// Which stablecoin contracts settle in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Settlement {
    /// USDC; USDT is collateral.
    Usdc,
    /// USDT; USDC is collateral.
    Usdt,
}

/// What to replay, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Minute bars as CSV, compressed by gzip or not; columns ts, exchange, symbol, open, high, low, close.
    file: PathBuf,
    /// First moment, UTC: 2022-11-08T16:40 or Unix seconds. Without it, where the six hours of the deepest fall begin.
    #[arg(long, value_parser = clock::parse, value_name = "MOMENT")]
    from: Option<u64>,
    /// The moment after the last. Without it, six hours after the first.
    #[arg(long, value_parser = clock::parse, value_name = "MOMENT")]
    to: Option<u64>,
    /// Blocks a minute; at 60 a block is a second, as on the chain.
    #[arg(long, default_value_t = 60, value_parser = parse_pace)]
    blocks_per_minute: u64,
    /// The oracle is silent from then on for so many seconds.
    #[arg(long, value_parser = parse_outage, value_name = "MOMENT,SECONDS")]
    outage: Option<(u64, u64)>,
    /// Accounts.
    #[arg(long, default_value_t = 2_000)]
    accounts: u32,
    /// What the accounts are drawn with.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// USD in the insurance fund.
    #[arg(long, default_value_t = 250_000)]
    insurance: u64,
    /// USD in the backstop vault.
    #[arg(long, default_value_t = 2_000_000)]
    vault: u64,
    /// Liquidators that bid in open competition, each with 250,000 USD. Everything is played without them first, and the two are compared.
    #[arg(long, default_value_t = 0, conflicts_with = "bisect")]
    bots: u32,
    /// What contracts settle in. The chain has one settlement currency; it is given this coin's price, and the collateral the other's.
    #[arg(long, value_enum, default_value = "usdc")]
    settlement: Settlement,
    /// Looks for the smallest insurance fund with which nothing is passed on to others, by halving.
    #[arg(long)]
    bisect: bool,
    /// Writes a picture of prices, queue and funds; of the run with liquidators, if there are any.
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
}

fn parse_pace(text: &str) -> Result<u64> {
    let blocks: u64 = text.parse()?;
    // Farther than six seconds apart no price is fresh in the block after its own.
    ensure!(
        (12..=60).contains(&blocks) && 60_000 % blocks == 0,
        "12 to 60 blocks a minute, a divisor of 60,000"
    );
    Ok(blocks)
}

fn parse_outage(text: &str) -> Result<(u64, u64)> {
    let (from, seconds) = text.split_once(',').context("MOMENT,SECONDS is needed")?;
    Ok((clock::parse(from)?, seconds.parse()?))
}

/// Where chains are kept, and what runs on them.
pub struct Place<'a> {
    /// Below which directory databases are kept.
    pub dir: &'a Path,
    /// The runtime's blob.
    pub code: &'a [u8],
    /// For the client's tasks.
    pub tokio: &'a Handle,
}

/// Replays, and tells.
pub fn run(options: &Options, place: &Place<'_>) -> Result<()> {
    let tape = Tape::open(&options.file)?;
    let (first, last) = tape.span();
    let from = options.from.unwrap_or_else(|| tape.worst(MINUTES));
    let to = options.to.unwrap_or(from + MINUTES * tape::BAR).min(last);
    ensure!(
        first <= from && from < to && from % tape::BAR == 0 && to % tape::BAR == 0,
        "the file holds whole minutes from {first} to before {last}"
    );
    let stage = Stage {
        options,
        place,
        tape,
        from,
        to,
    };
    if options.bisect {
        return stage.bisect();
    }
    let alone = stage.perform(0, None)?.record;
    if options.bots == 0 {
        return Ok(());
    }
    let with = stage.perform(options.bots, Some(&alone))?.record;
    compare(&alone, &with)
}

/// What bids took, and what the vault did, in lots.
const fn taken(record: &Record) -> (Lots, Lots) {
    (record.remedies[2].lots, record.remedies[3].lots)
}

/// Fails unless liquidators did what they are for: bids take more, and the vault less. That the books balance and that nobody is left below
/// maintenance margin was judged of both.
fn compare(alone: &Record, with: &Record) -> Result<()> {
    let ((bids, vault), (with_bids, with_vault)) = (taken(alone), taken(with));
    ensure!(
        with_bids > bids,
        "bids took no more lots with liquidators than without: {with_bids} and {bids}"
    );
    ensure!(
        with_vault < vault,
        "the vault took no fewer lots with liquidators than without: {with_vault} and {vault}"
    );
    Ok(())
}

/// One replay's setting.
struct Stage<'a> {
    options: &'a Options,
    place: &'a Place<'a>,
    tape: Tape,
    from: u64,
    to: u64,
}

/// What a replay came to.
struct Done {
    record: Record,
    /// Why the books do not balance, if they do not.
    broken: Option<String>,
    /// Blocks after the price stood still until nobody was below maintenance margin or in remedies 2 to 7, and the queue held nobody but those
    /// who are called for a debt; none if that did not come.
    drained: Option<u32>,
    /// Who was left after the last block.
    unsettled: Unsettled,
    history: History,
    blocks: u64,
    seconds: f64,
    /// Farthest from the mark that orders execute, as a part of it.
    band: f64,
}

impl Done {
    /// Whether nobody but vault and fund bore anything.
    fn is_covered(&self) -> bool {
        self.record.passed_on() < NOTHING
    }

    /// Fails where something was seen that must not be.
    fn judge(&self) -> Result<()> {
        if let Some(why) = &self.broken {
            bail!("not conserved: {why}");
        }
        let drained = self.drained.unwrap_or(u32::MAX);
        ensure!(
            drained <= DRAINED,
            "somebody was below maintenance margin, in the remedies or queued {DRAINED} blocks after the price stood still; at the end {:?}",
            self.unsettled
        );
        let record = &self.record;
        ensure!(
            record.deleveraged() <= record.bankrupt,
            "{} lots deleveraged for {} bankrupt",
            record.deleveraged(),
            record.bankrupt
        );
        for (reopened, distance) in record
            .reopened
            .iter()
            .filter_map(|r| Some((r, r.distance()?)))
        {
            ensure!(
                distance.abs() <= self.band,
                "market {} reopened {:.2} % from the first fresh index",
                reopened.market,
                100.0 * distance
            );
        }
        Ok(())
    }
}

/// What the picture shows, minute by minute.
#[derive(Default)]
struct History {
    times: Vec<String>,
    prices: BTreeMap<String, Vec<f64>>,
    queue: Vec<f64>,
    fund: Vec<f64>,
    vault: Vec<f64>,
}

impl History {
    fn panels(&self, stage: &Stage<'_>) -> Vec<Panel> {
        let prices = self.prices.iter().map(|(coin, values)| {
            let first = values
                .iter()
                .copied()
                .find(|v| v.is_finite())
                .unwrap_or(1.0);
            Line {
                name: coin.clone(),
                values: values.iter().map(|value| 100.0 * value / first).collect(),
            }
        });
        let line = |name: &str, values: &[f64]| Line {
            name: name.into(),
            values: values.to_vec(),
        };
        vec![
            Panel {
                title: format!("price, % of the first ({})", stage.name()),
                lines: prices.collect(),
            },
            Panel {
                title: "accounts queued, most in a minute".into(),
                lines: vec![line("queue", &self.queue)],
            },
            Panel {
                title: "equity, USD".into(),
                lines: vec![
                    line("insurance fund", &self.fund),
                    line("vault", &self.vault),
                ],
            },
        ]
    }
}

fn dollars(quantums: Cash) -> f64 {
    quantums as f64 / QUANTUMS as f64
}

impl Stage<'_> {
    fn name(&self) -> String {
        let name = self.options.file.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    fn minutes(&self) -> u64 {
        (self.to - self.from) / tape::BAR
    }

    /// The feed that a coin's price goes to.
    fn feed(&self, coin: &str) -> FeedId {
        let swapped = self.options.settlement == Settlement::Usdt;
        match coin {
            "USDC" if swapped => USDT_FEED,
            "USDT" if swapped => USDC_FEED,
            "USDC" => USDC_FEED,
            "USDT" => USDT_FEED,
            "BTC" => BTC_FEED,
            _ => {
                let others = self.tape.underlyings().into_iter().filter(|o| o != "BTC");
                let place = others.take_while(|other| other != coin).count();
                USDT_FEED + 1 + place as FeedId
            }
        }
    }

    /// What validators see at a moment, as long as the tape runs: then what they saw last.
    fn prices(&self, now: Millis) -> BTreeMap<String, Price> {
        self.tape
            .prices(now.clamp(self.from * 1_000, self.to * 1_000 - 1))
    }

    fn is_silent(&self, now: Millis) -> bool {
        self.options
            .outage
            .is_some_and(|(from, seconds)| (from * 1_000..(from + seconds) * 1_000).contains(&now))
    }

    fn observed(&self, now: Millis) -> BTreeMap<FeedId, Price> {
        if self.is_silent(now) {
            return BTreeMap::new();
        }
        let prices = self.prices(now).into_iter();
        prices
            .map(|(coin, price)| (self.feed(&coin), price))
            .collect()
    }

    /// The first state: a perpetual on each underlying of the tape, with the preset's parameters, and an empty insurance fund.
    fn genesis(&self) -> Result<(Storage, crate::oracle::Oracle)> {
        let mut config = world::preset()?;
        let listed = config.instruments.markets.first();
        let preset = listed.context("the preset lists a market")?.clone();
        config.instruments.markets.clear();
        let prices = self.prices(self.from * 1_000);
        for coin in self.tape.underlyings() {
            let price = prices.get(&coin).with_context(|| {
                format!(
                    "{coin} has no price at {}: choose another --from",
                    self.from
                )
            })?;
            let mut market = preset.clone();
            market.symbol = Symbol::try_from(format!("{coin}-PERP").into_bytes())
                .map_err(|_| anyhow::anyhow!("{coin} is too long a name"))?;
            market.underlying = self.feed(&coin);
            // Half a dollar and 0.0001 at 20,000 USD, as the preset has it, and in proportion.
            let digits = price.into_inner().ilog10();
            ensure!(
                (10..36).contains(&digits),
                "{coin} at {price:?} cannot be listed"
            );
            market.tick_size = Price::from_inner(5 * 10u128.pow(digits - 5));
            market.lot_size = Price::from_inner(10u128.pow(36 - digits));
            market.tick_value = math::tick_value(market.tick_size, market.lot_size)
                .context("tick and lot fit each other")?;
            config.instruments.markets.push(market);
            if self.feed(&coin) > USDT_FEED {
                config
                    .oracle
                    .feeds
                    .push((self.feed(&coin), Feed::new(&coin)));
            }
        }
        for (_, _, amount) in &mut config.margin.accounts {
            *amount = 0;
        }
        let validators = vec![Sr25519Keyring::Alice.pair()];
        let observed = prices.iter().map(|(coin, price)| (self.feed(coin), *price));
        world::begin(config, self.place.code, validators, observed.collect())
    }

    /// Replays with so many liquidators, tells, beside what it was without them if that is known, and judges.
    fn perform(&self, bots: u32, alone: Option<&Record>) -> Result<Done> {
        let done = self.replay(self.options.insurance, bots, true)?;
        self.tell(&done);
        if let Some(alone) = alone {
            let ((bids, vault), (with_bids, with_vault)) = (taken(alone), taken(&done.record));
            println!("with {bots} liquidators bids took {with_bids} lots instead of {bids}, the vault {with_vault} instead of {vault}");
        }
        if let Some(file) = self
            .options
            .png
            .as_ref()
            .filter(|_| bots == self.options.bots)
        {
            let panels = done.history.panels(self);
            picture::write(file, &done.history.times, &panels)?;
        }
        println!("{}", self.last_line(&done));
        done.judge()?;
        Ok(done)
    }

    /// From the first minute until the queue is empty after the last.
    fn replay(&self, insurance: u64, bots: u32, loud: bool) -> Result<Done> {
        let began = Instant::now();
        let mut show = Show::open(self, insurance, bots)?;
        let pace = 60_000 / self.options.blocks_per_minute;
        let start = self.from * 1_000;
        show.chain.set_clock(start - pace, pace);
        if loud {
            show.introduce(bots);
        }
        let mut broken = None;
        let mut blocks = 0;
        let mut drained = None;
        for minute in 0..self.minutes() {
            for _ in 0..self.options.blocks_per_minute {
                blocks += 1;
                broken = show.block()?;
                if broken.is_none() && blocks % INSPECTION == 0 {
                    broken = show.inspect()?;
                }
                if broken.is_some() {
                    break;
                }
            }
            show.end_minute(self.from + minute * tape::BAR, loud)?;
            if broken.is_some() {
                break;
            }
        }
        for still in 0..=2 * DRAINED {
            if broken.is_some() {
                break;
            }
            if show.unsettled()?.is_drained(show.queued) {
                drained = Some(still);
                break;
            }
            blocks += 1;
            broken = show.block()?;
        }
        if broken.is_none() {
            broken = show.inspect()?;
        }
        let unsettled = show.unsettled()?;
        let band = show
            .view
            .markets
            .iter()
            .map(|market| market.price_band)
            .min();
        Ok(Done {
            record: show.record,
            broken,
            drained,
            unsettled,
            history: show.history,
            blocks,
            seconds: began.elapsed().as_secs_f64(),
            band: f64::from(band.unwrap_or(0)) / f64::from(MILLION),
        })
    }

    /// The smallest insurance fund with which nothing is passed on.
    fn bisect(&self) -> Result<()> {
        let holds = |insurance: u64| -> Result<bool> {
            let done = self.replay(insurance, 0, false)?;
            if let Some(why) = &done.broken {
                bail!("not conserved: {why}");
            }
            let record = &done.record;
            println!(
                "insurance {insurance}: deficit {:.0}, paid {:.0}, passed on {:.0} USD, {} lots deleveraged; {:.0} s",
                dollars(record.deficit()),
                dollars(record.insurance),
                dollars(record.passed_on()),
                record.deleveraged(),
                done.seconds
            );
            Ok(done.is_covered())
        };
        let (mut too_little, mut enough) = (None, None);
        if holds(0)? {
            enough = Some(0);
        } else {
            let mut tried = self.options.insurance.max(1_000);
            too_little = Some(0);
            while enough.is_none() {
                if holds(tried)? {
                    enough = Some(tried);
                } else {
                    too_little = Some(tried);
                    ensure!(tried < 1_000_000_000_000, "no fund is large enough");
                    tried *= 4;
                }
            }
        }
        let mut enough = enough.unwrap_or(0);
        while let Some(least) = too_little.filter(|least| enough - least > (enough / 50).max(100)) {
            let middle = least.midpoint(enough);
            if holds(middle)? {
                enough = middle;
            } else {
                too_little = Some(middle);
            }
        }
        println!(
            "novate-replay: file={} minutes={} insurance_needed={enough} too_little={}",
            self.name(),
            self.minutes(),
            too_little.map_or("none".into(), |least| least.to_string())
        );
        Ok(())
    }

    fn tell(&self, done: &Done) {
        let record = &done.record;
        let names = [
            "1 orders cancelled",
            "2 market",
            "3 competition",
            "4 vault",
            "5 insurance fund",
            "6 deleveraging",
            "7 shared loss",
        ];
        println!(
            "\n{:<20} {:>9} {:>14} {:>16}",
            "remedy", "accounts", "lots", "USD"
        );
        for (name, remedy) in names.iter().zip(&record.remedies) {
            println!(
                "{name:<20} {:>9} {:>14} {:>16.0}",
                remedy.accounts.len(),
                remedy.lots,
                dollars(remedy.notional)
            );
        }
        println!(
            "\nliquidations {}, orders cancelled {}, still in the remedies {}, fills {}",
            record.liquidations,
            record.orders,
            record.in_remedies(),
            record.fills
        );
        println!(
            "deficit {:.2} USD, insurance paid {:.2}, given up by counterparties {:.2}, uncovered {:.2} (between closes at most {:.2}), shared {:.2}",
            dollars(record.deficit()),
            dollars(record.insurance),
            dollars(record.given_up),
            dollars(record.uncovered),
            dollars(record.uncovered_most),
            dollars(record.shared)
        );
        println!(
            "lots deleveraged {} of {} bankrupt; takeovers refused: {:?}",
            record.deleveraged(),
            record.bankrupt,
            record.refusals
        );
        println!(
            "orders into the market {}; beyond it because: {:?}",
            record.placed, record.escalations
        );
        let seconds = |samples: &[f64], part| quantile(samples, part) / 1e3;
        println!(
            "from breach to flat: {} cases, p50 {:.0} s, p99 {:.0} s; {} waited for their first remedy, at most {:.0} s",
            record.breaches.len(),
            seconds(&record.breaches, 0.5),
            seconds(&record.breaches, 0.99),
            record.late.len(),
            seconds(&record.late, 1.0)
        );
        for reopened in &record.reopened {
            let traded = match reopened.distance() {
                Some(distance) => {
                    format!("at {:+.3} % from the first fresh index", 100.0 * distance)
                }
                None => "nothing".into(),
            };
            println!(
                "market {} had no price for {} s; its auction traded {traded}; the band is {:.1} %; nobody was liquidated before it ended",
                reopened.market,
                (reopened.fresh - reopened.halted) / 1_000,
                100.0 * done.band
            );
        }
        println!(
            "the vault worked off {} lots, {:.0} USD; {} blocks had no room for an order",
            record.worked_off.lots,
            dollars(record.worked_off.notional),
            record.crowded
        );
        println!(
            "queue at most {}; nobody below maintenance margin, in the remedies or queued {} blocks after the price stood still, but {} above it who are called for a debt, {} of them without collateral",
            record.queue,
            done.drained.map_or("not even 120".into(), |blocks| blocks.to_string()),
            done.unsettled.called,
            done.unsettled.bare
        );
        println!("{} blocks in {:.0} s", done.blocks, done.seconds);
    }

    fn last_line(&self, done: &Done) -> String {
        let record = &done.record;
        format!(
            "novate-replay: file={} minutes={} liquidated={} deficit={} insurance={} bankrupt_lots={} deleveraged_lots={} shared={} queue_max={} conserved={}",
            self.name(),
            self.minutes(),
            record.liquidations,
            record.deficit(),
            record.insurance,
            record.bankrupt,
            record.deleveraged(),
            record.shared,
            record.queue,
            if done.broken.is_none() { "yes" } else { "no" }
        )
    }
}

/// A replay as it runs.
struct Show<'a> {
    stage: &'a Stage<'a>,
    chain: Chain,
    books: Books,
    makers: Makers,
    bots: Bots,
    /// What makers and bots sent and no block took yet.
    sent: VecDeque<OpaqueExtrinsic>,
    record: Record,
    history: History,
    view: RiskView,
    queued: u32,
    /// The longest queue of the present minute.
    queued_most: u32,
}

impl<'a> Show<'a> {
    /// A chain on which accounts, funds and makers stand ready at the first price.
    fn open(stage: &'a Stage<'a>, insurance: u64, bots: u32) -> Result<Self> {
        let (genesis, oracle) = stage.genesis()?;
        let place = stage.place;
        let mut chain = Chain::alone(place.dir, &genesis, oracle, place.tokio)?;
        chain.set_clock((stage.from - OPENING) * 1_000, 1_000);
        let makers = Makers::new(chain.genesis());
        let options = stage.options;
        let bots = Bots::new(bots, chain.genesis());
        chain.seed(|| {
            makers.fund();
            bots.fund();
        })?;
        // Markets open ten blocks after their first price.
        chain.wait(12)?;
        chain
            .seed(|| cast::populate(options.seed, options.accounts, insurance, options.vault))??;
        chain.wait(2)?;
        let (books, view) = chain.read(|| (Books::read(), Clearing::view()))?;
        let mut show = Self {
            stage,
            chain,
            books,
            makers,
            bots,
            sent: VecDeque::new(),
            record: Record::default(),
            history: History::default(),
            view,
            queued: 0,
            queued_most: 0,
        };
        if let Some(why) = show.inspect()? {
            bail!("the first books do not balance: {why}");
        }
        show.sent = show.makers.act(&show.view, &show.books);
        Ok(show)
    }

    /// The next block. Says why, if the books do not balance after it.
    fn block(&mut self) -> Result<Option<String>> {
        let stage = self.stage;
        self.chain.oracle.prices = stage.observed(self.chain.next());
        let made = self.chain.make_as_it_comes(&mut self.sent, usize::MAX)?;
        self.record.crowded += u64::from(made.full && made.taken == 0);
        let before = self.books.follow(made.changes)?;
        let (view, events, balances, queued, uncovered, competitions) = self.chain.read(|| {
            let events = System::events().into_iter().map(|record| record.event);
            (
                Clearing::view(),
                events.collect(),
                books::balances(),
                pallet_liquidation::Queue::<Runtime>::count(),
                pallet_liquidation::UncoveredDeficit::<Runtime>::get(),
                novate_runtime::queries::competitions(),
            )
        })?;
        self.view = view;
        self.queued = queued;
        self.queued_most = self.queued_most.max(queued);
        let record = &mut self.record;
        record.queue = record.queue.max(queued);
        record.uncovered = uncovered;
        record.uncovered_most = record.uncovered_most.max(uncovered);
        let number = self.view.block;
        if let Err(why) = self.books.conserved(&balances) {
            return Ok(Some(format!("block {number}: {why}")));
        }
        record
            .note(&self.view, events, &before, &self.books)
            .with_context(|| format!("block {number}"))?;
        self.makers.watch(&self.view);
        // Whoever still waits for a block sends nothing more.
        if self.sent.is_empty() {
            self.sent = self.makers.act(&self.view, &self.books);
            self.sent
                .extend(self.bots.act(&self.view, &self.books, &competitions)?);
        }
        Ok(None)
    }

    /// The whole state against what was followed, and the indices against the accounts.
    fn inspect(&self) -> Result<Option<String>> {
        let books = &self.books;
        let seen = self.chain.read(|| {
            books.agrees().map_err(|why| why.to_string())?;
            Liquidation::do_try_state().map_err(|why| format!("{why:?}"))
        })?;
        Ok(seen.err())
    }

    /// Who is not as everybody should be.
    fn unsettled(&self) -> Result<Unsettled> {
        Unsettled::of(&self.view, &self.books)
    }

    /// Tells what it begins with.
    fn introduce(&self, bots: u32) {
        let mut open: BTreeMap<MarketId, u64> = BTreeMap::new();
        let (mut longs, mut equity) = (0, 0.0);
        for (of, account) in self.books.accounts() {
            equity += self.equity(of);
            longs += u32::from(account.positions.iter().any(|position| position.lots > 0));
            for position in &account.positions {
                let long = u64::try_from(position.lots).unwrap_or(0);
                *open.entry(position.market).or_default() += long;
            }
        }
        println!(
            "{} accounts beside {} makers and {} liquidators; equity of all {:.1} million USD, {longs} with a long",
            self.stage.options.accounts,
            cast::MAKERS,
            bots,
            equity / 1e6
        );
        for market in &self.view.markets {
            let lots = open.get(&market.id).copied().unwrap_or(0);
            let price = market.mark.into_inner() as f64 * market.lot_size.into_inner() as f64;
            println!(
                "market {}: {:.1} million USD open at {:.4}",
                market.id,
                lots as f64 * price / 1e36 / 1e6,
                market.mark.into_inner() as f64 / 1e18
            );
        }
    }

    fn equity(&self, of: &AccountRef<novate_runtime::AccountId>) -> f64 {
        let account = self.books.account(of).cloned().unwrap_or_default();
        let assessed = novate_risk::Linear::assess(&account, &self.view);
        assessed.map_or(f64::NAN, |assessed| dollars(assessed.equity))
    }

    /// Tells a minute, and keeps it for the picture.
    fn end_minute(&mut self, minute: u64, loud: bool) -> Result<()> {
        let stage = self.stage;
        let time = clock::minute(minute);
        let now = self.chain.time();
        let prices = stage.prices(now);
        let mut quoted = Vec::new();
        for coin in stage.tape.coins() {
            let price = prices.get(&coin).filter(|_| !stage.is_silent(now));
            let price = price.map_or(f64::NAN, |price| price.into_inner() as f64 / 1e18);
            quoted.push(match price {
                none if none.is_nan() => format!("{coin} -"),
                large if large > 10.0 => format!("{coin} {large:.1}"),
                small => format!("{coin} {small:.4}"),
            });
            self.history.prices.entry(coin).or_default().push(price);
        }
        let (fund, vault) = (
            self.equity(&InsuranceFund::get()),
            self.equity(&Vault::get()),
        );
        self.history.times.push(time.clone());
        self.history.queue.push(f64::from(self.queued_most));
        self.history.fund.push(fund);
        self.history.vault.push(vault);
        if loud {
            let markets = self.view.markets.iter();
            let makers: Vec<String> = markets
                .map(|market| format!("{:?} {}", market.status, self.makers.present(market.id)))
                .collect();
            let record = &self.record;
            println!(
                "{time} {} | makers {} | liquidated {} vault {} deleveraged {} | queue {} | fund {fund:.0} vault {vault:.0}",
                quoted.join(" "),
                makers.join(", "),
                record.liquidations,
                record.remedies[3].accounts.len(),
                record.remedies[5].accounts.len(),
                self.queued_most
            );
        }
        self.queued_most = self.queued;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn liquidators_are_compared_by_what_bids_and_the_vault_took() {
        let took = |bids, vault| {
            let mut record = Record::default();
            (record.remedies[2].lots, record.remedies[3].lots) = (bids, vault);
            record
        };
        let alone = took(0, 10);
        assert!(compare(&alone, &took(1, 9)).is_ok());
        for (bids, vault) in [(0, 9), (1, 10), (1, 11)] {
            assert!(compare(&alone, &took(bids, vault)).is_err());
        }
    }
}
