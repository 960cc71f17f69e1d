//! The node under the demo: started with its sources pointed at the price server, listened to, and ended with it.

use anyhow::{anyhow, bail, Context, Result};
use novate_client::Chain;
use std::{
    collections::VecDeque,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::mpsc,
};

/// The sources of the built-in chains, by their names on chain.
const SOURCES: [&str; 7] = [
    "binanceus",
    "bybit",
    "coinbase",
    "cryptocom",
    "deribit",
    "kraken",
    "okx",
];
/// The network key of a local network's first node, and the peer it makes it.
const FIRST_KEY: &str = "0000000000000000000000000000000000000000000000000000000000000001";
const FIRST_PEER: &str = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp";
/// How long the node may take until it answers.
const START: Duration = Duration::from_secs(180);
/// Lines of the node's log kept for a failure.
const KEPT: usize = 40;

/// A running node. It ends when this is dropped.
pub struct Node {
    child: Child,
    /// Its WebSocket.
    pub url: String,
    log: Arc<Mutex<VecDeque<String>>>,
}

/// A port of the loopback interface that nobody listens on at this moment.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The node's binary beside this one.
pub fn sibling() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let node = own.with_file_name("novate-node");
    if !node.exists() {
        bail!(
            "{} is not there; build the workspace, or name the node with --node",
            node.display()
        );
    }
    Ok(node)
}

impl Node {
    /// Starts a chain of one validator that lists options and reads every source from `prices`. What its oracle says goes to `oracle`.
    pub fn start(
        binary: &Path,
        rpc_port: Option<u16>,
        prices: SocketAddr,
        oracle: mpsc::UnboundedSender<String>,
    ) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(["--dev", "--chain", "demo"]);
        command.args(["--port", &free_port()?.to_string()]);
        Self::run(command, rpc_port, prices, oracle)
    }

    /// Starts one validator of the local network, by its development name. Without `first` it is the first
    /// node, which the others find at that port.
    pub fn validator(
        binary: &Path,
        name: &str,
        port: u16,
        first: Option<u16>,
        prices: SocketAddr,
        oracle: mpsc::UnboundedSender<String>,
    ) -> Result<Self> {
        let mut command = Command::new(binary);
        command
            .args(["--chain", "local", "--rpc-methods", "unsafe"])
            .args([&format!("--{name}"), "--listen-addr"])
            .arg(format!("/ip4/127.0.0.1/tcp/{port}"));
        match first {
            None => command.args(["--node-key", FIRST_KEY]),
            Some(port) => {
                let address = format!("/ip4/127.0.0.1/tcp/{port}/p2p/{FIRST_PEER}");
                command.args([
                    "--unsafe-force-node-key-generation",
                    "--bootnodes",
                    &address,
                ])
            }
        };
        Self::run(command, None, prices, oracle)
    }

    fn run(
        mut command: Command,
        rpc_port: Option<u16>,
        prices: SocketAddr,
        oracle: mpsc::UnboundedSender<String>,
    ) -> Result<Self> {
        let rpc_port = rpc_port.map_or_else(free_port, Ok)?;
        command
            .args(["--tmp", "--no-prometheus", "--no-telemetry", "--no-mdns"])
            .args(["--state-pruning", "archive", "-lwarn,oracle=info"])
            .args(["--rpc-port", &rpc_port.to_string()]);
        for source in SOURCES {
            command.args(["--oracle-source", &format!("{source}=http://{prices}")]);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{:?} does not start", command.as_std().get_program()))?;
        let stderr = child
            .stderr
            .take()
            .ok_or_else(|| anyhow!("the node's log cannot be read"))?;
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let kept = log.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some((_, said)) = line.rsplit_once("oracle: ") {
                    // Nobody listens any more once the demo ends.
                    let _ = oracle.send(said.trim_end().to_owned());
                }
                let mut kept = kept.lock().unwrap_or_else(|e| e.into_inner());
                if kept.len() == KEPT {
                    kept.pop_front();
                }
                kept.push_back(line);
            }
        });
        Ok(Self {
            child,
            url: format!("ws://127.0.0.1:{rpc_port}"),
            log,
        })
    }

    /// Connects as soon as it answers.
    pub async fn connect(&mut self) -> Result<Chain> {
        let deadline = tokio::time::Instant::now() + START;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the node ended at its start ({status}):\n{}", self.log());
            }
            match Chain::connect(&self.url).await {
                Ok(chain) => return Ok(chain),
                Err(error) if tokio::time::Instant::now() > deadline => {
                    bail!("the node does not answer: {error}\n{}", self.log())
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        let log = self.log.lock().unwrap_or_else(|e| e.into_inner());
        log.iter().map(|line| format!("  node: {line}\n")).collect()
    }

    /// Ends it, and waits until it is gone.
    pub async fn stop(mut self) {
        // An error means that it is gone already.
        let _ = self.child.kill().await;
    }
}
