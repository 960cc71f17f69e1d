//! Four validators: one reads sources that lie, one is stopped. The index stays with the honest ones, and blocks and finality
//! go on. The liar's score alone says that prices strayed.

use crate::{
    exchanges::{self, Replay},
    node::{self, Node},
    tape::{Clock, Tape},
    BTC, START,
};
use anyhow::{anyhow, bail, ensure, Context, Result};
use novate_client::{address_of, Chain};
use novate_types::{Price, Verdict};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    time::{sleep, timeout},
};

/// Where BTC traded on the honest venues in the recorded minute, with room for the worst of them.
const HONEST: (u32, u32) = (20_000, 21_500);
/// How long the network may take for any one thing.
const PATIENCE: Duration = Duration::from_secs(120);
/// Blocks of index watched with a liar among four, and again with one of the honest stopped.
const WATCHED: u32 = 15;

/// Plays it, and returns the last line.
pub async fn play(binary: Option<PathBuf>) -> Result<String> {
    let binary = binary.map_or_else(node::sibling, Ok)?;
    let still = || Clock::held(START, START, 1);
    let honest = Arc::new(Replay {
        tape: Tape::recorded()?,
        clock: still(),
    });
    let lying = Arc::new(Replay {
        tape: Tape::recorded()?.tenfold(),
        clock: still(),
    });
    let honest = exchanges::serve(honest).await?;
    let lying = exchanges::serve(lying).await?;

    let (quiet, _) = mpsc::unbounded_channel();
    let (said, liar) = mpsc::unbounded_channel();
    let first = node::free_port()?;
    let mut alice = Node::validator(&binary, "alice", first, None, honest, quiet.clone())?;
    let mut bob = Node::validator(
        &binary,
        "bob",
        node::free_port()?,
        Some(first),
        honest,
        quiet.clone(),
    )?;
    let charlie = Node::validator(
        &binary,
        "charlie",
        node::free_port()?,
        Some(first),
        honest,
        quiet,
    )?;
    let mut dave = Node::validator(
        &binary,
        "dave",
        node::free_port()?,
        Some(first),
        lying,
        said,
    )?;
    println!("four validators; dave's sources say ten times the price");

    let chain = alice.connect().await?;
    bob.connect().await?;
    dave.connect().await?;

    waits("blocks, finality and an index", async {
        while chain.finalized().await?.number < 5 || index(&chain).await?.is_none() {
            sleep(Duration::from_millis(500)).await;
        }
        Ok(())
    })
    .await?;
    let lie = waits("dave's own price", lie(liar)).await?;
    println!("dave's worker sees BTC at {lie}, and says so on chain");
    watch(&chain).await?;
    println!(
        "for {WATCHED} blocks the index stayed at {}",
        shown(&chain).await?
    );
    let strayed = scores(&chain).await?;
    println!("dave's price was an outlier in {strayed} rounds, nobody else's in any");

    charlie.stop().await;
    let stopped = chain.finalized().await?.number;
    println!("charlie is stopped at block {stopped}");
    watch(&chain).await?;
    waits("finality with three of four", async {
        while chain.finalized().await?.number < stopped + WATCHED {
            sleep(Duration::from_millis(500)).await;
        }
        Ok(())
    })
    .await?;

    scores(&chain).await?;
    let (best, finalized) = (chain.best().await?.number, chain.finalized().await?.number);
    let last = format!(
        "novate-network: blocks={best} finalized={finalized} liar=10x stopped=1 index={}",
        shown(&chain).await?
    );
    for node in [alice, bob, dave] {
        node.stop().await;
    }
    Ok(last)
}

/// What the liar's log says of BTC.
async fn lie(mut log: UnboundedReceiver<String>) -> Result<String> {
    while let Some(line) = log.recv().await {
        let Some(price) = line
            .strip_prefix("BTC ")
            .and_then(|rest| rest.split(' ').next())
        else {
            continue;
        };
        if price
            .split('.')
            .next()
            .and_then(|whole| whole.parse().ok())
            .is_some_and(|whole: u32| whole > 5 * HONEST.1)
        {
            return Ok(price.to_owned());
        }
    }
    bail!("the node ended")
}

/// Reads the index of [`WATCHED`] blocks; each lies within the honest range and is fresh.
async fn watch(chain: &Chain) -> Result<()> {
    let mut blocks = chain.blocks(false).await?;
    for _ in 0..WATCHED {
        let block = timeout(PATIENCE, blocks.next())
            .await
            .context("no more blocks")??;
        let feeds = chain.prices(Some(block.hash)).await?;
        let btc = feeds
            .iter()
            .find(|f| f.symbol == BTC)
            .context("no feed of BTC")?;
        let price = btc.price.context("no index of BTC")?;
        ensure!(
            Price::from_u32(HONEST.0) < price && price < Price::from_u32(HONEST.1),
            "block {}: the index is {price}, outside of what honest sources say",
            block.number
        );
        ensure!(
            btc.age <= 6_000,
            "block {}: the index is {} ms old",
            block.number,
            btc.age
        );
    }
    Ok(())
}

/// The liar's outliers in the running era, once it is made sure that the others have none.
async fn scores(chain: &Chain) -> Result<u32> {
    let dave = address_of("//Dave").map_err(|refusal| anyhow!("{refusal}"))?;
    let scores = chain.oracle_scores(None).await?.running.scores;
    ensure!(
        scores.len() == 4,
        "four validators have a score: {scores:?}"
    );
    let (liar, honest): (Vec<_>, Vec<_>) = scores.into_iter().partition(|s| s.validator == dave);
    for one in &honest {
        ensure!(
            one.score.outliers == 0 && one.verdict == Verdict::Good,
            "an honest validator strayed: {one:?}"
        );
    }
    let liar = liar.first().context("dave has a score")?;
    ensure!(
        liar.score.outliers > 0 && liar.verdict == Verdict::Withheld,
        "the liar is not seen to stray: {liar:?}"
    );
    Ok(liar.score.outliers)
}

async fn index(chain: &Chain) -> Result<Option<Price>> {
    let feeds = chain.prices(None).await?;
    Ok(feeds
        .into_iter()
        .find(|f| f.symbol == BTC)
        .and_then(|f| f.price))
}

async fn shown(chain: &Chain) -> Result<String> {
    let price = index(chain).await?.context("no index of BTC")?;
    Ok(format!("{} USD", price.into_inner() / 10u128.pow(18)))
}

async fn waits<R>(what: &str, done: impl std::future::Future<Output = Result<R>>) -> Result<R> {
    timeout(PATIENCE, done)
        .await
        .with_context(|| format!("waited {PATIENCE:?} in vain for {what}"))?
}
