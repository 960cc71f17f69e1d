//! Throughput and crashes, measured: real blocks in process, built and imported by the node's own client.

mod baseline;
mod chain;
mod crowd;
mod measure;
mod oracle;
mod replay;
mod rpc;
mod scenarios;
mod traders;
mod watch;
mod world;

use anyhow::Context;
use clap::Parser;
use measure::{Reach, Report};
use scenarios::{Bench, SCENARIOS};
use std::{path::PathBuf, sync::atomic::Ordering};

/// Measures what the chain carries.
///
/// Without options every scenario is measured in turn. Figures are ratios to a transfer of the same run where there is something
/// to reach; absolute times are this machine's.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only this scenario; may be given several times.
    #[arg(long = "scenario", value_name = "NUMBER")]
    scenarios: Vec<usize>,
    /// Rounds of each scenario. One more, that does not count, comes before them.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Another runtime than the one built in: a WebAssembly blob with the same storage layout.
    #[arg(long, value_name = "FILE")]
    wasm: Option<PathBuf>,
    /// Writes every figure to this file, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Directory for the databases; on a disk, or commits cost nothing.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
    /// Also tells which storage items a block asked for, and how often; of a crash each block, and whom it worked off last.
    #[arg(long)]
    details: bool,
    /// An argument for the node whose configuration the clients have, such as `--node-arg=--trie-cache-size=0`; may be given several
    /// times.
    #[arg(long = "node-arg", value_name = "ARG", allow_hyphen_values = true)]
    node_args: Vec<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Sends signed orders over WebSocket to a running node.
    Rpc(rpc::Options),
    /// Replays a crash that happened, minute by minute, on a chain in process.
    Replay(replay::Options),
    /// Compares a run's ratios with the committed ones; fails if one is more than 15 % worse.
    Check {
        /// What was committed, one JSON object a line.
        #[arg(long, value_name = "FILE")]
        baseline: PathBuf,
        /// What `--json` of a run wrote.
        run: PathBuf,
    },
}

/// What it was measured on.
fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == "model name").then(|| value.trim().to_string())
    });
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{count} x {}, {} {}",
        model.unwrap_or_else(|| "unknown processor".into()),
        std::env::consts::OS,
        kernel.trim()
    )
}

/// The runtime's blob.
fn built_in() -> anyhow::Result<Vec<u8>> {
    let blob = novate_runtime::WASM_BINARY.context(
        "this binary was built without the runtime's WASM; build without SKIP_WASM_BUILD",
    )?;
    Ok(blob.to_vec())
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let tokio = tokio::runtime::Runtime::new()?;
    match cli.command {
        Some(Command::Rpc(options)) => return tokio.block_on(rpc::run(options)),
        Some(Command::Check { baseline, run }) => return baseline::check(&baseline, &run),
        Some(Command::Replay(options)) => {
            println!("{}", machine());
            let place = replay::Place {
                dir: &cli.dir,
                code: &built_in()?,
                tokio: tokio.handle(),
            };
            return replay::run(&options, &place);
        }
        None => {}
    }
    let code = match &cli.wasm {
        Some(file) => std::fs::read(file).with_context(|| format!("{}", file.display()))?,
        None => built_in()?,
    };
    println!("{}", machine());
    chain::NODE_ARGS
        .set(cli.node_args)
        .map_err(|_| anyhow::anyhow!("set once"))?;
    let mut bench = Bench {
        dir: cli.dir,
        code,
        tokio: tokio.handle().clone(),
        rounds: cli.rounds,
        details: cli.details,
        verification: measure::verification(),
        report: Report::new(cli.json.as_deref())?,
    };
    let all: Vec<usize> = SCENARIOS.iter().map(|(number, ..)| *number).collect();
    let chosen = match cli.scenarios.as_slice() {
        [] => &all[..],
        some => some,
    };
    chosen.iter().try_for_each(|number| bench.run(*number))?;
    let report = &mut bench.report;
    report.scenario("all");
    let agreed = chain::AGREED.load(Ordering::Relaxed);
    report.compare(
        "blocks with one state root at author and importer",
        agreed as f64,
        "blocks",
        1.0,
        Some(Reach::AtLeast(1.0)),
    )
}
