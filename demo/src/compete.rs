//! A liquidator at work: somebody all in, a fall that leaves him between two thirds of maintenance margin and all of it, an empty book, and
//! `novate liquidator` as a process of its own that takes fractions of him until he is above it again. A second one only looks.

use crate::{
    actors::{Actor, MARKET},
    exchanges::{self, Replay},
    node::{self, Node},
    story::{Seen, Story},
    tape::{Clock, Tape, BAR},
    wait_for_market, START, UNIT,
};
use anyhow::{bail, ensure, Context, Result};
use novate_client::{conservation::FullState, decimal::cash_floor, event::Event, Chain};
use novate_types::{Cash, Side};
use serde::Deserialize;
use std::{
    collections::BTreeMap, path::Path, path::PathBuf, process::Stdio, sync::Arc, time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::mpsc,
    time::timeout,
};

/// By how much BTC falls, in ppm: initial margin is 5 %, maintenance 3 %, so that five sixths of it are left.
const FALL: u32 = 25_000;
/// Closes within which it must be over: five in the market, twenty in competition, and room for the fall to arrive.
const CLOSES: u32 = 60;
/// How long any one thing may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Lots that the maker sells.
const OFFERED: u64 = 800_000;
/// Lots of somebody with little leverage: open interest against which whoever is all in is no backlog, which would go to the vault at once.
const CALM: u64 = 600_000;

/// What the liquidator says, a line.
#[derive(Debug, Deserialize)]
struct Said {
    about: String,
    text: String,
}

/// A running liquidator. It ends when this is dropped.
struct Liquidator {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Liquidator {
    /// Starts the binary beside this one with a configuration of its own, for `//Ferdie`.
    fn start(dir: &Path, url: &str, port: u16, dry: bool) -> Result<Self> {
        let file = dir.join(if dry { "look.toml" } else { "bid.toml" });
        std::fs::write(
            &file,
            format!(
                "url = \"{url}\"\nmetrics = \"127.0.0.1:{port}\"\nmost_notional = \"250000\"\nleast_profit = \"5\"\n\
                 [[account]]\nkey = \"NOVATE_DEMO_LIQUIDATOR\"\n[[market]]\nsymbol = \"{MARKET}\"\ncost_ppm = 700\n"
            ),
        )?;
        let binary = std::env::current_exe()?.with_file_name("novate");
        let mut command = Command::new(&binary);
        command.args(["--json", "liquidator"]).arg(&file);
        if dry {
            command.arg("--dry-run");
        }
        let mut child = command
            .env("NOVATE_DEMO_LIQUIDATOR", "//Ferdie")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} does not start", binary.display()))?;
        let stdout = child.stdout.take().context("it says nothing")?;
        let lines = BufReader::new(stdout).lines();
        Ok(Self { child, lines })
    }

    /// Waits until it says something about `about`.
    async fn says(&mut self, about: &str) -> Result<String> {
        let said = async {
            while let Some(line) = self.lines.next_line().await? {
                let said: Said = serde_json::from_str(&line).with_context(|| line.clone())?;
                if said.about == about {
                    return Ok(said.text);
                }
            }
            bail!("the liquidator ended: {:?}", self.child.try_wait()?)
        };
        timeout(PATIENCE, said)
            .await
            .with_context(|| format!("the liquidator says nothing about a {about}"))?
    }
}

/// Plays it, and returns the last line.
pub async fn play(binary: Option<PathBuf>) -> Result<String> {
    let binary = binary.map_or_else(node::sibling, Ok)?;
    let replay = Arc::new(Replay {
        tape: Tape::recorded()?.falling(START, FALL),
        clock: Clock::held(START, START + BAR, BAR),
    });
    let prices = exchanges::serve(replay.clone()).await?;
    let (said, _oracle) = mpsc::unbounded_channel();
    let mut node = Node::start(&binary, None, prices, said)?;
    let played = perform(&mut node, replay).await;
    if played.is_err() {
        eprint!("the end of the node's log:\n{}", node.log());
    }
    node.stop().await;
    played
}

async fn perform(node: &mut Node, replay: Arc<Replay>) -> Result<String> {
    let chain = node.connect().await?;
    let actor = |name, uri| Actor::new(name, uri, &chain);
    let (maker, reckless) = (actor("the maker", "//Bob")?, actor("dave", "//Dave")?);
    let calm = actor("eve", "//Eve")?;
    let taker = actor("the liquidator", "//Ferdie")?;
    let usdc = chain.settlement_asset()?;
    let named = [&maker, &reckless, &calm, &taker].map(|a| (a.account().owner, a.name));
    let assets = chain.assets(chain.best().await?.hash).await?;
    let story = Story::new(replay.clone(), named, assets);

    wait_for_market(&chain).await?;
    tokio::try_join!(
        maker.deposit(usdc, 2_000_000 * UNIT),
        reckless.deposit(usdc, 5_000 * UNIT),
        calm.deposit(usdc, 300_000 * UNIT),
        taker.deposit(usdc, 200_000 * UNIT),
    )?;
    let market = chain.market(MARKET, None).await?;
    maker.offer(&market, OFFERED).await?;
    calm.trade(&market, Side::Bid, CALM).await?;
    let lots = reckless.trade_all_in(&market, Side::Bid).await?;
    maker.withdraw_orders().await?;
    story.tell(format!(
        "dave goes all in: long {} {MARKET}; the maker leaves",
        market.size(lots)
    ));

    let dir = tempfile::tempdir()?;
    let port = node::free_port()?;
    let mut bidder = Liquidator::start(dir.path(), chain.url(), port, false)?;
    let mut looker = Liquidator::start(dir.path(), chain.url(), node::free_port()?, true)?;
    replay.clock.release();

    let (watched, bid, plan) = tokio::join!(
        watch(&chain, &story, &reckless, &taker),
        bidder.says("bid"),
        looker.says("plan"),
    );
    let (bids, discount) = watched?;
    story.tell(format!("the liquidator: {}", bid?));
    story.tell(format!("the one that only looks: {}", plan?));
    let filled = metric(port, "novate_liquidator_bids_total{of=\"filled\"}").await?;
    ensure!(filled >= 1, "the liquidator counts no bid that was filled");

    let sums = FullState::read(&chain, chain.best().await?.hash)
        .await?
        .recompute()?;
    ensure!(sums.holds(), "the books do not add up: {sums:?}");
    Ok(format!(
        "novate-compete: bids_filled={bids} discount={} vault=0 conserved=yes",
        cash_floor(discount)
    ))
}

/// Reads blocks until the account is out of the remedies. Returns how many bids were filled, and what the taker did not pay.
async fn watch(chain: &Chain, story: &Story, of: &Actor, taker: &Actor) -> Result<(u32, Cash)> {
    let mut blocks = chain.blocks(false).await?;
    let (mut seen, mut bids, mut discounts) = (Seen::default(), 0, 0);
    for _ in 0..CLOSES {
        let block = timeout(PATIENCE, blocks.next())
            .await
            .context("no more blocks")??;
        story.at(block.number);
        let markets = chain.markets(Some(block.hash)).await?;
        for record in chain.events(block.hash).await? {
            seen.read(story, &markets, &BTreeMap::new(), &record.event);
            match &record.event {
                Event::BidFilled {
                    account,
                    taker: by,
                    discount,
                    ..
                } => {
                    ensure!(
                        *account == of.account() && *by == taker.account(),
                        "somebody else bid"
                    );
                    bids += 1;
                    discounts += discount;
                }
                Event::TakenOver { .. } => {
                    bail!("the vault took over what a bidder stood ready for")
                }
                Event::Recovered { .. } => {
                    ensure!(bids > 0, "it recovered without a bid");
                    return Ok((bids, discounts));
                }
                _ => {}
            }
        }
    }
    bail!("after {CLOSES} closes it is still below maintenance margin")
}

/// A counter of the liquidator's, from its metrics.
async fn metric(port: u16, name: &str) -> Result<u64> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.with_context(|| format!("no {name} in\n{text}"))?;
    Ok(value.trim().parse()?)
}
