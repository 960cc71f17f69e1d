//! Signed orders over WebSocket to a running node: how many a second it takes and includes, and how long one waits.

use crate::{
    measure::{median, quantile, Report},
    oracle::{cents, Oracle},
    traders::{submit, Traders},
    world::{MARK, PRICE},
};
use anyhow::{bail, Context};
use futures::{stream, StreamExt};
use novate_node::chain_spec;
use novate_runtime::{
    configs::exchange::{BTC_FEED, USDC, USDC_FEED, USDT_FEED},
    genesis_presets::{get_preset, DEVELOPMENT_PRESET},
    Hash, UNIT,
};
use novate_types::{BlockNumber, Operation, Side};
use sc_service::ChainType;
use serde_json::{json, Value};
use sp_core::bytes::{from_hex, to_hex};
use sp_keyring::Sr25519Keyring;
use sp_runtime::OpaqueExtrinsic;
use std::{
    collections::HashMap,
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use subxt::rpcs::{client::rpc_params, RpcClient};
use tokio::time::{interval, sleep, MissedTickBehavior};

/// Accounts that send orders at once, and those that send them steadily: an order that the pool refuses leaves a gap in its
/// account's nonces.
const AT_ONCE: (&str, u32) = ("trader", 2_000);
const STEADILY: (&str, u32) = ("steady", 500);
/// USDC in each one's margin account, in whole units.
const DOLLARS: u128 = 10_000;
/// Requests under way at once.
const UNDER_WAY: usize = 256;
/// How long the node may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// After so long without an order in a block, those under way are given up.
const SILENCE: Duration = Duration::from_secs(10);

/// Orders over RPC.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// A running node's WebSocket, such as ws://127.0.0.1:9944. Its chain must begin with what `--write-spec` writes, and its
    /// validator is Alice. Without one, a node is started.
    #[arg(long)]
    url: Option<String>,
    /// The node's binary; else the one beside this binary.
    #[arg(long, value_name = "FILE")]
    node: Option<PathBuf>,
    /// An argument for the node that is started, such as `--node-arg=--pool-limit=16384`; may be given several times.
    #[arg(long = "node-arg", value_name = "ARG", allow_hyphen_values = true)]
    node_args: Vec<String>,
    /// Writes the chain's specification and does nothing else.
    #[arg(long, value_name = "FILE")]
    write_spec: Option<PathBuf>,
    /// Orders sent as fast as the node takes them.
    #[arg(long, default_value_t = 10_000)]
    orders: u32,
    /// Seconds of orders at half the rate at which they were included, for latencies.
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Writes every figure to this file, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A node that dies with the run.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The `development` chain, on which all traders hold margin.
fn spec() -> anyhow::Result<String> {
    let code = novate_runtime::WASM_BINARY.context("built without the runtime's WASM")?;
    let patch = get_preset(&DEVELOPMENT_PRESET.into()).context("the preset exists")?;
    let mut patch: Value = serde_json::from_slice(&patch)?;
    let traders =
        [AT_ONCE, STEADILY].map(|(purpose, count)| Traders::new(purpose, count, Hash::default()));
    for trader in traders.into_iter().flat_map(|traders| traders.all) {
        let who = json!(trader.account);
        let mut add = |list: &str, item: Value| -> anyhow::Result<()> {
            let list = patch.pointer_mut(list).and_then(Value::as_array_mut);
            list.context("the preset has such a list")?.push(item);
            Ok(())
        };
        add("/balances/balances", json!([who, 1_000 * UNIT as u64]))?;
        add("/assets/accounts", json!([USDC, who, DOLLARS * 1_000_000]))?;
        add("/margin/accounts", json!([who, 0, DOLLARS * 1_000_000]))?;
    }
    let spec = chain_spec::ChainSpec::builder(code, None)
        .with_name("Novate Bench")
        .with_id("novate_bench")
        .with_chain_type(ChainType::Development)
        .with_protocol_id("novate-bench")
        .with_genesis_config_patch(patch)
        .build();
    sc_service::ChainSpec::as_json(&spec, false).map_err(anyhow::Error::msg)
}

fn start(
    node: Option<PathBuf>,
    more: &[String],
    spec: &Path,
    log: &Path,
) -> anyhow::Result<(Node, String)> {
    let node = match node {
        Some(node) => node,
        None => std::env::current_exe()?.with_file_name("novate-node"),
    };
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let child = Command::new(&node)
        .arg("--chain")
        .arg(spec)
        .args([
            "--alice",
            "--force-authoring",
            "--tmp",
            "--no-mdns",
            "--no-telemetry",
            "--unsafe-force-node-key-generation",
        ])
        .args([
            "--no-prometheus",
            "--port",
            "0",
            "--rpc-port",
            &port.to_string(),
        ])
        // The harness observes prices in the validator's place.
        .args(["--offchain-worker", "never"])
        .args(more)
        .stdout(Stdio::null())
        .stderr(File::create(log)?)
        .spawn()
        .with_context(|| format!("{}", node.display()))?;
    Ok((Node(child), format!("ws://127.0.0.1:{port}")))
}

async fn connect(url: &str) -> anyhow::Result<RpcClient> {
    let began = Instant::now();
    loop {
        match RpcClient::from_insecure_url(url).await {
            Ok(client) => return Ok(client),
            Err(why) if began.elapsed() > PATIENCE => return Err(why).context(url.to_string()),
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

fn bytes(hex: &Value) -> anyhow::Result<Vec<u8>> {
    let hex = hex.as_str().context("bytes are in hex")?;
    from_hex(hex).map_err(|why| anyhow::anyhow!("{why:?}"))
}

async fn genesis(rpc: &RpcClient) -> anyhow::Result<Hash> {
    let hash: Value = rpc.request("chain_getBlockHash", rpc_params![0]).await?;
    Ok(Hash::from_slice(&bytes(&hash)?))
}

/// Orders under way by hash, and those that arrived: when they were sent, and when seen in a block.
#[derive(Default)]
struct Waiting {
    sent: HashMap<[u8; 32], Instant>,
    included: Vec<(Instant, Instant)>,
}

/// Reads every new block, sends the validator's observation on it, and notes which orders it holds.
async fn follow(
    rpc: RpcClient,
    mut oracle: Oracle,
    waiting: Arc<Mutex<Waiting>>,
) -> anyhow::Result<()> {
    let mut heads = rpc
        .subscribe::<Value>(
            "chain_subscribeNewHeads",
            rpc_params![],
            "chain_unsubscribeNewHeads",
        )
        .await?;
    while let Some(head) = heads.next().await {
        let head = head?;
        let number = head["number"].as_str().context("a header has a number")?;
        let number = BlockNumber::from_str_radix(number.trim_start_matches("0x"), 16)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
        for observation in oracle.observe(number, now) {
            // One that comes late is refused; the next is on its way.
            let _ = send(&rpc, &observation).await;
        }
        let hash: Value = rpc
            .request("chain_getBlockHash", rpc_params![number])
            .await?;
        let block: Value = rpc.request("chain_getBlock", rpc_params![hash]).await?;
        let arrived = Instant::now();
        let extrinsics = block["block"]["extrinsics"].as_array().cloned();
        let mut waiting = waiting.lock().expect("nobody panics with it");
        for extrinsic in extrinsics.unwrap_or_default() {
            let hash = sp_io::hashing::blake2_256(&bytes(&extrinsic)?);
            if let Some(sent) = waiting.sent.remove(&hash) {
                waiting.included.push((sent, arrived));
            }
        }
    }
    bail!("the node closed the subscription")
}

fn encoded(extrinsic: &OpaqueExtrinsic) -> Vec<u8> {
    codec::Encode::encode(extrinsic)
}

async fn send(rpc: &RpcClient, extrinsic: &OpaqueExtrinsic) -> anyhow::Result<()> {
    let hex = to_hex(&encoded(extrinsic), false);
    let _: Value = rpc
        .request("author_submitExtrinsic", rpc_params![hex])
        .await?;
    Ok(())
}

/// Orders, one an extrinsic, of one trader after the other.
fn orders(traders: &mut Traders, count: u32) -> Vec<OpaqueExtrinsic> {
    let number_of = traders.all.len();
    let calls = (0..count as usize)
        .map(|number| {
            let trader = &mut traders.all[number % number_of];
            let away = 1 + (number as u64 * 7) % 4_000;
            let (side, ticks) = match number % 2 {
                0 => (Side::Bid, MARK - away),
                _ => (Side::Ask, MARK + away),
            };
            let order = trader.order(0, side, 10, ticks);
            (number % number_of, submit(vec![Operation::Place(order)]))
        })
        .collect();
    traders.sign(calls).into()
}

struct Sender {
    connections: Vec<RpcClient>,
    waiting: Arc<Mutex<Waiting>>,
}

impl Sender {
    /// Sends one, and says whether the node took it.
    async fn send(&self, number: usize, order: OpaqueExtrinsic) -> bool {
        let hash = sp_io::hashing::blake2_256(&encoded(&order));
        let rpc = &self.connections[number % self.connections.len()];
        let forget = || {
            self.waiting
                .lock()
                .expect("nobody panics with it")
                .sent
                .remove(&hash)
        };
        self.waiting
            .lock()
            .expect("nobody panics with it")
            .sent
            .insert(hash, Instant::now());
        let taken = send(rpc, &order).await.is_ok();
        if !taken {
            forget();
        }
        taken
    }

    /// Waits until nothing is under way, or nothing arrives any more. Returns how many were lost.
    async fn drained(&self) -> usize {
        let mut arrived = (0, Instant::now());
        loop {
            sleep(Duration::from_millis(50)).await;
            let mut waiting = self.waiting.lock().expect("nobody panics with it");
            if waiting.included.len() > arrived.0 {
                arrived = (waiting.included.len(), Instant::now());
            }
            if waiting.sent.is_empty() || arrived.1.elapsed() > SILENCE {
                return std::mem::take(&mut waiting.sent).len();
            }
        }
    }

    fn take(&self) -> Vec<(Instant, Instant)> {
        std::mem::take(&mut self.waiting.lock().expect("nobody panics with it").included)
    }
}

/// Measures, and tells.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let spec = spec()?;
    if let Some(file) = options.write_spec {
        return Ok(std::fs::write(file, spec)?);
    }
    let dir = tempfile::tempdir()?;
    let (file, log) = (dir.path().join("spec.json"), dir.path().join("node.log"));
    std::fs::write(&file, spec)?;
    let (_node, url) = match options.url {
        Some(url) => (None, url),
        None => {
            let (node, url) = start(options.node, &options.node_args, &file, &log)?;
            (Some(node), url)
        }
    };
    let mut connections = Vec::new();
    for _ in 0..4 {
        let told = || std::fs::read_to_string(&log).unwrap_or_default();
        connections.push(connect(&url).await.with_context(told)?);
    }
    let rpc = connect(&url).await?;
    let genesis = genesis(&rpc).await?;
    let one = cents(100);
    let prices = [(BTC_FEED, cents(PRICE)), (USDC_FEED, one), (USDT_FEED, one)];
    let oracle = Oracle::new(vec![Sr25519Keyring::Alice.pair()], 0, prices.into()).on(genesis);
    let waiting = Arc::default();
    let follower = tokio::spawn(follow(rpc, oracle, Arc::clone(&waiting)));
    let sender = Sender {
        connections,
        waiting,
    };

    let of = |(purpose, count)| Traders::new(purpose, count, genesis);
    let flood = orders(&mut of(AT_ONCE), options.orders);
    // Markets open ten blocks after their first price.
    sleep(Duration::from_secs(15)).await;
    let mut report = Report::new(options.json.as_deref())?;
    report.scenario("9 orders over RPC");

    let began = Instant::now();
    let taken = stream::iter(flood.into_iter().enumerate())
        .map(|(number, order)| sender.send(number, order))
        .buffer_unordered(UNDER_WAY)
        .filter(|taken| std::future::ready(*taken))
        .count()
        .await;
    let accepted = taken as f64 / began.elapsed().as_secs_f64();
    let lost = sender.drained().await;
    let included = sender.take();
    let last = included
        .iter()
        .map(|(_, at)| *at)
        .max()
        .context("orders were included")?;
    let rate = included.len() as f64 / (last - began).as_secs_f64();
    report.tell("orders sent at once", f64::from(options.orders), "")?;
    report.tell(
        "orders refused by the pool",
        f64::from(options.orders) - taken as f64,
        "",
    )?;
    report.tell("orders accepted and never included", lost as f64, "")?;
    report.tell("orders accepted", accepted, "/s")?;
    report.tell("orders included", rate, "/s")?;

    let pace = (rate / 2.0).max(1.0);
    let steady = orders(
        &mut of(STEADILY),
        (pace * f64::from(options.seconds)) as u32,
    );
    let mut tick = interval(Duration::from_secs_f64(1.0 / pace));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let refused = Arc::new(Mutex::new(0u32));
    let sender = Arc::new(sender);
    let mut under_way = Vec::new();
    for (number, order) in steady.into_iter().enumerate() {
        tick.tick().await;
        let (sender, refused) = (sender.clone(), refused.clone());
        under_way.push(tokio::spawn(async move {
            if !sender.send(number, order).await {
                *refused.lock().expect("nobody panics with it") += 1;
            }
        }));
    }
    futures::future::try_join_all(under_way).await?;
    let lost = sender.drained().await;
    let waits: Vec<f64> = sender
        .take()
        .into_iter()
        .map(|(sent, arrived)| (arrived - sent).as_secs_f64() * 1e3)
        .collect();
    report.tell("orders sent steadily", pace, "/s")?;
    let refused = *refused.lock().expect("nobody panics with it");
    report.tell("of them refused by the pool", f64::from(refused), "")?;
    report.tell("of them accepted and never included", lost as f64, "")?;
    report.tell("from submit to a block, p50", median(&waits), "ms")?;
    report.tell("from submit to a block, p99", quantile(&waits, 0.99), "ms")?;
    follower.abort();
    Ok(())
}
