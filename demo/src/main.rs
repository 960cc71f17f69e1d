//! The whole chain on real prices in three minutes: a node, the night USDC lost its peg, a market maker and traders, options on a recorded surface, and
//! the books added up at the end.

mod actors;
mod compete;
mod exchanges;
mod network;
mod node;
mod options;
mod second_act;
mod story;
mod tape;

use actors::Actor;
use anyhow::{bail, ensure, Context, Result};
use clap::{Args, Parser, Subcommand};
use exchanges::Replay;
use node::Node;
use novate_client::{
    conservation::FullState,
    decimal::cash_floor,
    event::Event,
    recompute::{MarketTerms, Recomputed},
    Account, BlockId, Chain, Market,
};
use novate_types::{AssetId, Cash, FeedId, MarketId, MarketStatus, Side};
use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};
use story::{Seen, Story};
use tape::{Clock, Tape};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{sleep, sleep_until, timeout, Instant},
};

/// 2023-03-11 02:00 UTC: the hour before BTC turns.
const START: u64 = 1_678_500_000;
/// 2023-03-11 08:08 UTC: after its low.
const END: u64 = START + 368 * tape::BAR;
/// The symbol of BTC's feed.
const BTC: &[u8] = b"BTC";
/// The settlement currency's smallest units in one.
const UNIT: u128 = 1_000_000;
/// How long the chain may take until the market is open.
const OPENING: Duration = Duration::from_secs(60);
/// How long the last block may take to become final.
const FINALITY: Duration = Duration::from_secs(30);
/// Blocks between two checks of the books.
const AUDIT: u32 = 30;

/// Runs a development chain on recorded prices.
#[derive(Parser)]
#[command(name = "novate-demo", version)]
struct Cli {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// Plays the night once, tells it, checks it, and ends.
    Run(Options),
    /// The same, and stays up until Ctrl-C.
    Dev(Options),
    /// An account in open competition, and `novate liquidator` bidding for it on a development chain.
    Compete {
        /// The node's binary, if it is not beside this one.
        #[arg(long)]
        node: Option<PathBuf>,
    },
    /// Starts four validators, one with sources that lie, stops another, and watches the index, blocks and finality.
    Network {
        /// The node's binary, if it is not beside this one.
        #[arg(long)]
        node: Option<PathBuf>,
    },
}

#[derive(Args)]
struct Options {
    /// The node's binary, if it is not beside this one.
    #[arg(long)]
    node: Option<PathBuf>,
    /// The node's RPC port; run takes a free one, dev 9944.
    #[arg(long)]
    rpc_port: Option<u16>,
    /// How many times as fast as the world the prices are replayed.
    #[arg(long, default_value_t = 225, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    speed: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let played = match Cli::parse().mode {
        Mode::Run(options) => play(options, false).await,
        Mode::Dev(options) => play(options, true).await,
        Mode::Compete { node } => compete::play(node).await.map(|last| println!("{last}")),
        Mode::Network { node } => network::play(node).await.map(|last| println!("{last}")),
    };
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("novate-demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Starts the prices and the node, plays, and ends the node whatever happens.
async fn play(options: Options, stays: bool) -> Result<()> {
    let replay = Arc::new(Replay {
        tape: Tape::recorded()?,
        clock: Clock::held(START, END, options.speed),
    });
    let prices = exchanges::serve(replay.clone()).await?;
    println!(
        "prices of 2023-03-11, 02:00 to 08:08 UTC, on http://{prices}, {} times as fast",
        options.speed
    );

    let binary = options.node.map_or_else(node::sibling, Ok)?;
    let rpc_port = options.rpc_port.or(stays.then_some(9944));
    let (said, oracle) = mpsc::unbounded_channel();
    let mut node = Node::start(&binary, rpc_port, prices, said)?;
    println!("node {} on {}", binary.display(), node.url);

    let ended = tokio::select! {
        ended = perform(&mut node, replay, oracle, stays) => ended,
        () = interrupted() => if stays { Ok(None) } else { Err(anyhow::anyhow!("interrupted")) },
    };
    if ended.is_err() {
        eprint!("the end of the node's log:\n{}", node.log());
    }
    node.stop().await;
    if let Some(last_line) = ended? {
        println!("{last_line}");
    }
    Ok(())
}

async fn interrupted() {
    use tokio::signal::unix::{signal, SignalKind};
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        },
        // Without a handler for it, Ctrl-C alone ends the demo.
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

/// Who is on the stage.
struct Cast {
    alice: Actor,
    maker: Arc<Actor>,
    charlie: Arc<Actor>,
    dave: Actor,
    eve: Arc<Actor>,
    ferdie: Arc<Actor>,
}

impl Cast {
    fn new(chain: &Chain) -> Result<Self> {
        let actor = |name, uri| Actor::new(name, uri, chain);
        Ok(Self {
            alice: actor("alice", "//Alice")?,
            maker: Arc::new(actor("maker", "//Bob")?),
            charlie: Arc::new(actor("charlie", "//Charlie")?),
            dave: actor("dave", "//Dave")?,
            eve: Arc::new(actor("eve", "//Eve")?),
            ferdie: Arc::new(actor("ferdie", "//Ferdie")?),
        })
    }

    fn traders(&self) -> [&Actor; 5] {
        [
            &self.maker,
            &self.charlie,
            &self.dave,
            &self.eve,
            &self.ferdie,
        ]
    }

    /// Deposits, and what the backstops start with.
    async fn fund(&self, usdc: AssetId, vault: Account) -> Result<()> {
        tokio::try_join!(
            self.alice.give(vault, usdc, 200_000 * UNIT),
            self.maker.deposit(usdc, 2_000_000 * UNIT),
            self.charlie.deposit(usdc, 150_000 * UNIT),
            self.dave.deposit(usdc, 5_000 * UNIT),
            self.eve.deposit(usdc, 300_000 * UNIT),
            self.ferdie.deposit(usdc, 200_000 * UNIT),
        )?;
        Ok(())
    }
}

/// The play itself. Returns the last line of a run.
async fn perform(
    node: &mut Node,
    replay: Arc<Replay>,
    oracle: mpsc::UnboundedReceiver<String>,
    stays: bool,
) -> Result<Option<String>> {
    let chain = node.connect().await?;
    let cast = Cast::new(&chain)?;
    let second = second_act::Cast::new(&chain)?;
    let (vault, insurance) = (chain.vault()?, chain.insurance_fund()?);
    let names = cast
        .traders()
        .into_iter()
        .chain([&cast.alice])
        .chain(second.all())
        .map(|a| (a.account().owner, a.name))
        .chain([
            (vault.owner, "the vault"),
            (insurance.owner, "the insurance fund"),
        ]);
    let assets = chain.assets(chain.best().await?.hash).await?;
    let story = Arc::new(Story::new(replay.clone(), names, assets));
    let usdc = chain.settlement_asset()?;
    let accounts: Vec<_> = cast
        .traders()
        .into_iter()
        .chain(second.all())
        .map(Actor::account)
        .collect();
    let mut witness = Witness::new(&chain, story.clone(), usdc, &accounts, oracle).await?;

    let opening = async {
        wait_for_market(&chain).await?;
        cast.fund(usdc, vault).await?;
        let mut crowd = JoinSet::new();
        crowd.spawn(actors::make_market(cast.maker.clone(), story.clone()));
        let market = wait_for_depth(&chain).await?;
        for (actor, seed) in [(&cast.charlie, 1), (&cast.eve, 2), (&cast.ferdie, 3)] {
            crowd.spawn(actors::trade_at_random(actor.clone(), seed, story.clone()));
        }
        // Open interest against which one account is small: its liquidation is the market's to absorb.
        cast.eve.trade(&market, Side::Ask, 400_000).await?;
        cast.charlie.trade(&market, Side::Bid, 200_000).await?;
        cast.ferdie.trade(&market, Side::Bid, 300_000).await?;
        let lots = cast.dave.trade_all_in(&market, Side::Bid).await?;
        story.tell(format!(
            "dave goes all in: long {} {}",
            market.size(lots),
            market.symbol
        ));
        replay.clock.release();
        Ok::<_, anyhow::Error>(crowd)
    };
    let mut crowd = tokio::select! {
        opened = timeout(2 * OPENING, opening) => opened.context("the opening took too long")??,
        failed = witness.watch(None) => { failed?; bail!("the chain ended") }
    };
    let curtain = Instant::now() + replay.clock.length() + Duration::from_secs(4);
    witness.watch(Some(curtain)).await?;

    let played = tokio::select! {
        played = second_act::play(&second, &cast.alice, &replay, &story, &mut crowd) => played.context("the second act")?,
        failed = witness.watch(None) => { failed?; bail!("the chain ended") }
    };
    witness.read_until(played.until).await?;

    let verdict = witness.verdict(&played).await;
    if stays {
        match verdict {
            Ok(line) => println!("{line}"),
            Err(error) => eprintln!("novate-demo: {error:#}"),
        }
        println!(
            "the chain stays up on {url}; the prices stand still\n\
             try: novate --url {url} markets\n     novate --url {url} --account //Ferdie account\n     \
             novate --url {url} --account //Ferdie order buy 0.1 --market-order\n     \
             novate --url {url} book --watch\n     novate --url {url} chain BTC --watch\nCtrl-C ends it",
            url = chain.url()
        );
        witness.watch(None).await?;
    } else {
        drop(crowd);
        return verdict.map(Some);
    }
    Ok(None)
}

/// Waits until prices have opened the market.
async fn wait_for_market(chain: &Chain) -> Result<()> {
    let open = async {
        loop {
            let market = chain.market(actors::MARKET, None).await?;
            let view = market.info.view.as_ref();
            if market.status() == MarketStatus::Open && view.is_some_and(|v| v.fresh) {
                return Ok(());
            }
            sleep(Duration::from_millis(500)).await;
        }
    };
    timeout(OPENING, open)
        .await
        .context("the market does not open: no prices?")?
}

/// Waits until the maker quotes both sides.
async fn wait_for_depth(chain: &Chain) -> Result<Market> {
    let quoted = async {
        loop {
            let market = chain.market(actors::MARKET, None).await?;
            let book = chain.book(market.id, 10, None).await?;
            if book.bids.len() >= 5 && book.asks.len() >= 5 {
                return Ok(market);
            }
            sleep(Duration::from_millis(500)).await;
        }
    };
    timeout(OPENING, quoted).await.context("nobody quotes")?
}

/// Reads every block as it comes, tells it, and keeps the traders' accounts from their fills. That all of it became final is
/// checked before the verdict.
struct Witness {
    chain: Chain,
    story: Arc<Story>,
    blocks: novate_client::Blocks,
    oracle: mpsc::UnboundedReceiver<String>,
    feeds: BTreeMap<FeedId, String>,
    accounts: Vec<Recomputed>,
    /// Every market that there was: what settles is removed, perhaps by the close that books the last of it.
    markets: BTreeMap<MarketId, Market>,
    seen: Seen,
    read: Vec<BlockId>,
}

impl Witness {
    async fn new(
        chain: &Chain,
        story: Arc<Story>,
        usdc: AssetId,
        accounts: &[Account],
        oracle: mpsc::UnboundedReceiver<String>,
    ) -> Result<Self> {
        let feeds = chain.prices(None).await?;
        Ok(Self {
            chain: chain.clone(),
            story,
            blocks: chain.blocks(false).await?,
            oracle,
            feeds: feeds
                .into_iter()
                .map(|f| (f.feed, String::from_utf8_lossy(&f.symbol).into_owned()))
                .collect(),
            accounts: accounts.iter().map(|a| Recomputed::new(*a, usdc)).collect(),
            markets: BTreeMap::new(),
            seen: Seen::default(),
            read: Vec::new(),
        })
    }

    /// The block to read next.
    fn next(&self) -> u32 {
        self.read.last().map_or(1, |last| last.number + 1)
    }

    /// Reads blocks until `until`, or for ever.
    async fn watch(&mut self, until: Option<Instant>) -> Result<()> {
        loop {
            let over = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => return Ok(()),
                Some(said) = self.oracle.recv() => self.seen.hear(&self.story, &said),
                block = self.blocks.next() => self.read_until(block?).await?,
            }
        }
    }

    /// Reads the blocks up to this one that it has not read.
    async fn read_until(&mut self, block: BlockId) -> Result<()> {
        while self.next() <= block.number {
            let known = self.chain.block_at(self.next()).await?;
            self.read(known.context("a block is missing")?).await?;
        }
        Ok(())
    }

    /// Reads a block. It is taken in without a pause, so that whoever stops waiting for it stops before or after.
    async fn read(&mut self, block: BlockId) -> Result<()> {
        let listed = self.chain.markets(Some(block.hash)).await?;
        let events = self.chain.events(block.hash).await?;
        self.markets.extend(listed.into_iter().map(|m| (m.id, m)));
        let markets: Vec<_> = self.markets.values().cloned().collect();
        let mut terms: BTreeMap<MarketId, MarketTerms> = markets
            .iter()
            .filter_map(|m| {
                let view = m.info.view.as_ref()?;
                let terms = MarketTerms {
                    tick_value: view.tick_value,
                    funding_index: view.funding_index,
                    short_funding_index: view.short_funding_index,
                    is_option: view.contract.kind.is_option(),
                };
                Some((m.id, terms))
            })
            .collect();
        self.story.at(block.number);
        for record in &events {
            if let Event::LossShared { charges, .. } = &record.event {
                for charge in charges {
                    if let Some(terms) = terms.get_mut(&charge.market) {
                        terms.uncharge(charge)?;
                    }
                }
            }
        }
        for record in events {
            self.seen
                .read(&self.story, &markets, &self.feeds, &record.event);
            for account in &mut self.accounts {
                account
                    .apply(&record.event, &terms)
                    .with_context(|| format!("block {}: {:?}", block.number, record.event))?;
            }
        }
        self.seen.blocks += 1;
        self.read.push(block);
        if block.number % AUDIT == 0 {
            self.audit(block).await?;
        }
        Ok(())
    }

    /// Adds the books up from the full state of a block, and returns what nobody covers.
    async fn audit(&self, block: BlockId) -> Result<Cash> {
        let at = block.hash;
        let state = FullState::read(&self.chain, at).await?;
        let sums = state.recompute()?;
        let own = &sums.conservation;
        ensure!(
            sums.holds(),
            "the books do not add up at block {}: {sums:?}",
            block.number
        );
        let theirs = self.chain.conservation(Some(at)).await?;
        ensure!(
            theirs.settlement == own.settlement
                && theirs.accounts == own.accounts
                && theirs.holds(),
            "the chain adds up otherwise at block {}: {theirs:?}, not {own:?}",
            block.number
        );
        let mut deficit: Cash = 0;
        for (account, _) in &state.accounts {
            let info = self.chain.account(*account, Some(at)).await?;
            deficit = deficit.saturating_sub(info.assessment.equity.min(0));
        }
        self.story.tell(format!(
            "books add up over {} accounts: {} USDC in the ledger, {} in custody",
            own.accounts,
            cash_floor(own.settlement.ledger),
            cash_floor(own.settlement.custody)
        ));
        Ok(deficit)
    }

    /// The last block read, once it and all before it are final.
    async fn finality(&self) -> Result<BlockId> {
        let last = *self.read.last().context("no block was read")?;
        let finalized = async {
            while self.chain.finalized().await?.number < last.number {
                sleep(Duration::from_millis(200)).await;
            }
            Ok::<_, anyhow::Error>(())
        };
        timeout(FINALITY, finalized)
            .await
            .context("the chain does not finalize")??;
        for block in &self.read {
            let canonical = self.chain.block_at(block.number).await?;
            ensure!(
                canonical == Some(*block),
                "block {} was told and then taken back",
                block.number
            );
        }
        Ok(last)
    }

    /// Checks everything at the last block read, and gives the last line.
    async fn verdict(&self, second: &second_act::Played) -> Result<String> {
        let last = self.finality().await?;
        let deficit = self.audit(last).await?;
        for account in &self.accounts {
            let of = account.account();
            let info = self.chain.account(of, Some(last.hash)).await?;
            let differences = account.differences(&info.account);
            ensure!(
                differences.is_empty(),
                "{}'s account is not what its fills make it: {}",
                self.story.name(&of),
                differences
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("; ")
            );
            self.story.tell(format!(
                "{}'s account equals its {} fills: cash {}, equity {}",
                self.story.name(&of),
                account.fills,
                cash_floor(account.cash),
                cash_floor(info.assessment.equity)
            ));
        }
        let missing = self.seen.missing();
        ensure!(
            missing.is_empty(),
            "not seen on chain: {}",
            missing.join(", ")
        );
        ensure!(
            self.seen.options_settled == second.settled,
            "{} positions in options were settled, and {} were held",
            self.seen.options_settled,
            second.settled
        );
        Ok(format!(
            "novate-demo: blocks={} fills={} liquidations={} deficit={deficit} conserved=yes options_settled={} margin_offset={}%",
            self.seen.blocks, self.seen.fills, self.seen.liquidations, second.settled, second.offset
        ))
    }
}
