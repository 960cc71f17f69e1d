//! Samples, what they come to, and how that is told.

use crate::{chain::Made, watch::Accesses};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

/// Takes the time of what the present thread does. While it waits for a processor that others use, the watch stands still, where
/// the system tells how long that was: figures of a busy machine are those of an idle one, but for its caches.
pub struct Stopwatch {
    waited: Duration,
    began: Instant,
}

impl Stopwatch {
    /// Begins now.
    pub fn start() -> Self {
        Self {
            waited: waited(),
            began: Instant::now(),
        }
    }

    /// The time since, and how much longer it was on the wall.
    pub fn read(&self) -> (Duration, Duration) {
        let whole = self.began.elapsed();
        let waited = waited().saturating_sub(self.waited).min(whole);
        (whole - waited, waited)
    }

    /// The time since.
    pub fn elapsed(&self) -> Duration {
        self.read().0
    }
}

/// What this thread has spent ready to run without a processor; zero where the system does not say.
fn waited() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split_whitespace().nth(1).and_then(|n| n.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// Milliseconds.
pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Microseconds.
pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The value below which a share `part` of the samples lies; zero if there are none.
pub fn quantile(samples: &[f64], part: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len().saturating_sub(1)) as f64 * part;
    sorted.get(at.round() as usize).copied().unwrap_or(0.0)
}

/// The middle one.
pub fn median(samples: &[f64]) -> f64 {
    quantile(samples, 0.5)
}

/// Blocks added up.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Operations: transfers, orders, fills; whatever the scenario counts.
    pub operations: usize,
    /// Extrinsics, observations and inherents aside.
    pub extrinsics: usize,
    /// Signatures verified.
    pub signatures: usize,
    /// Bytes of extrinsics.
    pub bytes: usize,
    /// Keys changed, each once a block.
    pub written: usize,
    /// Time at the author, its database included.
    pub built: Duration,
    /// Time at the importer.
    pub imported: Duration,
    /// Of that, storage roots.
    pub root: Duration,
    /// Of that, writing to the database.
    pub commit: Duration,
    /// What author and importer waited for a processor, beside all of this.
    pub waited: Duration,
    /// Import of each block, in milliseconds.
    pub blocks: Vec<f64>,
    /// Building of each block up to its header, in milliseconds.
    pub builds: Vec<f64>,
    /// Most operations in one block.
    pub fullest: usize,
}

impl Tally {
    /// Adds a block with so many operations.
    pub fn add(&mut self, made: &Made, operations: usize) {
        self.operations += operations;
        self.extrinsics += made.taken;
        self.signatures += made.signatures;
        self.bytes += made.bytes;
        self.written += made.written;
        self.built += made.built.total();
        self.imported += made.imported.total();
        self.root += made.imported.root;
        self.commit += made.imported.commit;
        self.waited += made.built.waited + made.imported.waited;
        self.blocks.push(millis(made.imported.total()));
        self.builds.push(millis(made.built.execute));
        self.fullest = self.fullest.max(operations);
    }

    /// Adds another tally.
    pub fn merge(&mut self, other: &Self) {
        self.operations += other.operations;
        self.extrinsics += other.extrinsics;
        self.signatures += other.signatures;
        self.bytes += other.bytes;
        self.written += other.written;
        self.built += other.built;
        self.imported += other.imported;
        self.root += other.root;
        self.commit += other.commit;
        self.waited += other.waited;
        self.blocks.extend(&other.blocks);
        self.builds.extend(&other.builds);
        self.fullest = self.fullest.max(other.fullest);
    }

    /// Microseconds of import for each operation.
    pub fn import_each(&self) -> f64 {
        micros(self.imported) / self.operations.max(1) as f64
    }

    /// Microseconds at the author for each operation.
    pub fn build_each(&self) -> f64 {
        micros(self.built) / self.operations.max(1) as f64
    }
}

/// What is to be reached.
#[derive(Clone, Copy, Debug)]
pub enum Reach {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

impl Reach {
    fn bound(self) -> f64 {
        match self {
            Self::AtMost(bound) | Self::AtLeast(bound) => bound,
        }
    }

    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

/// A figure as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Scenario, by number and name.
    pub scenario: String,
    /// What was measured.
    pub figure: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: String,
    /// In what is to be reached, where something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// The bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<f64>,
    /// Whether it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<bool>,
}

/// Collects figures: a table on standard output, JSON lines in a file.
pub struct Report {
    scenario: String,
    json: Option<File>,
    /// Everything so far.
    pub figures: Vec<Figure>,
}

impl Report {
    /// Into `json` too, if there is one.
    pub fn new(json: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self {
            scenario: String::new(),
            json: json.map(File::create).transpose()?,
            figures: Vec::new(),
        })
    }

    /// What follows belongs to this scenario.
    pub fn scenario(&mut self, name: &str) {
        self.scenario = name.into();
        println!("\n== {name}");
    }

    /// A figure without a bound.
    pub fn tell(&mut self, figure: &str, value: f64, unit: &str) -> anyhow::Result<()> {
        self.put(figure, value, unit, None, None)
    }

    /// A figure compared with another, and what the comparison is to reach.
    pub fn compare(
        &mut self,
        figure: &str,
        value: f64,
        unit: &str,
        ratio: f64,
        reach: Option<Reach>,
    ) -> anyhow::Result<()> {
        self.put(figure, value, unit, Some(ratio), reach)
    }

    fn put(
        &mut self,
        figure: &str,
        value: f64,
        unit: &str,
        ratio: Option<f64>,
        reach: Option<Reach>,
    ) -> anyhow::Result<()> {
        let holds = reach.zip(ratio).map(|(reach, ratio)| reach.holds(ratio));
        let figure = Figure {
            scenario: self.scenario.clone(),
            figure: figure.into(),
            value: rounded(value),
            unit: unit.into(),
            ratio: ratio.map(rounded),
            reach: reach.map(Reach::bound),
            holds,
        };
        let ratio = ratio.map_or(String::new(), |ratio| format!("   ratio {ratio:.3}"));
        let verdict = match (reach, holds) {
            (Some(reach), Some(true)) => format!("   reach {} holds", reach.bound()),
            (Some(reach), _) => format!("   reach {} MISSED", reach.bound()),
            (None, _) => String::new(),
        };
        println!(
            "{:<52} {:>12.2} {}{ratio}{verdict}",
            figure.figure, figure.value, figure.unit
        );
        if let Some(json) = &mut self.json {
            writeln!(json, "{}", serde_json::to_string(&figure)?)?;
        }
        self.figures.push(figure);
        Ok(())
    }

    /// All that a tally says, with what its `counted` block asked of storage.
    pub fn tally(
        &mut self,
        tally: &Tally,
        verification: Duration,
        counted: Option<(&Accesses, usize)>,
    ) -> anyhow::Result<()> {
        let operations = tally.operations.max(1) as f64;
        let per_second = |count: usize, time: Duration| count as f64 / time.as_secs_f64();
        self.tell(
            "operations built",
            per_second(tally.operations, tally.built),
            "/s",
        )?;
        self.tell(
            "operations imported",
            per_second(tally.operations, tally.imported),
            "/s",
        )?;
        self.tell(
            "extrinsics built",
            per_second(tally.extrinsics, tally.built),
            "/s",
        )?;
        self.tell(
            "extrinsics imported",
            per_second(tally.extrinsics, tally.imported),
            "/s",
        )?;
        let whole = tally.imported.as_secs_f64();
        let signatures = verification.as_secs_f64() * tally.signatures as f64;
        let (root, commit) = (tally.root.as_secs_f64(), tally.commit.as_secs_f64());
        let share = |part: f64| 100.0 * part / whole;
        self.tell("share of signatures", share(signatures), "%")?;
        self.tell(
            "share of the runtime",
            share(whole - signatures - root - commit),
            "%",
        )?;
        self.tell("share of the storage root", share(root), "%")?;
        self.tell("share of the commit", share(commit), "%")?;
        self.tell(
            "keys changed an operation",
            tally.written as f64 / operations,
            "keys",
        )?;
        self.tell("bytes an operation", tally.bytes as f64 / operations, "B")?;
        if let Some((accesses, in_block)) = counted {
            let each = in_block.max(1) as f64;
            self.tell(
                "keys read an operation",
                accesses.read.len() as f64 / each,
                "keys",
            )?;
            self.tell(
                "storage calls an operation",
                accesses.total() as f64 / each,
                "calls",
            )?;
            self.tell(
                "bytes read an operation",
                accesses.read_bytes as f64 / each,
                "B",
            )?;
            self.tell(
                "bytes written an operation",
                accesses.written_bytes as f64 / each,
                "B",
            )?;
        }
        self.tell("operations in the fullest block", tally.fullest as f64, "")?;
        self.tell("block, p50", median(&tally.blocks), "ms")?;
        self.tell("block, p99", quantile(&tally.blocks, 0.99), "ms")?;
        self.tell("building a block, p50", median(&tally.builds), "ms")?;
        self.tell("building a block, p99", quantile(&tally.builds, 0.99), "ms")?;
        let busy = tally.waited.as_secs_f64()
            / (tally.waited + tally.built + tally.imported).as_secs_f64();
        self.tell("waited for a processor and left out", 100.0 * busy, "%")?;
        self.tell("peak memory", peak_memory(), "MB")
    }
}

/// Four significant digits: more is noise.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let scale = 10f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

/// Calls by storage item, most first: what a profile begins with.
pub fn describe(accesses: &Accesses, operations: usize, names: &BTreeMap<Vec<u8>, String>) {
    let each = operations.max(1) as f64;
    println!(
        "   storage calls, of {operations} operations in a block, with their time on the wall:"
    );
    for (name, (calls, time)) in &accesses.calls {
        println!(
            "      {name:<22} {:>9.2} an operation, {:>8.2} us",
            *calls as f64 / each,
            micros(*time) / each
        );
    }
    let mut items: Vec<_> = accesses.by_item.iter().collect();
    items.sort_by_key(|(_, (reads, writes))| std::cmp::Reverse(reads + writes));
    for (item, (reads, writes)) in items.into_iter().take(24) {
        let known = names.get(item);
        let name = known
            .cloned()
            .unwrap_or_else(|| sp_core::bytes::to_hex(item, false));
        println!(
            "      {name:<44} {:>8.2} reads, {:>8.2} writes",
            *reads as f64 / each,
            *writes as f64 / each
        );
    }
}

/// Most memory that this process ever held, in megabytes; zero where the system does not say.
pub fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}

/// Time of one signature's verification: the code behind the host function, on keys and messages that are all different.
pub fn verification() -> Duration {
    use sp_core::{sr25519, Pair};
    const SIGNATURES: u32 = 2_000;
    let signed: Vec<_> = (0..SIGNATURES)
        .map(|number| {
            let pair = sr25519::Pair::from_seed(&crate::world::secret("verification", number));
            let message = [number as u8; 100];
            (pair.sign(&message), message, pair.public())
        })
        .collect();
    let watch = Stopwatch::start();
    let valid = signed
        .iter()
        .filter(|(signature, message, public)| {
            sp_io::crypto::sr25519_verify(signature, message, public)
        })
        .count();
    assert_eq!(valid, signed.len());
    watch.elapsed() / SIGNATURES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let samples = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(median(&samples), 3.0);
        assert_eq!(quantile(&samples, 0.99), 5.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    #[test]
    fn a_bound_holds_on_its_own_side() {
        assert!(Reach::AtMost(0.12).holds(0.12) && !Reach::AtMost(0.12).holds(0.13));
        assert!(Reach::AtLeast(0.25).holds(0.25) && !Reach::AtLeast(0.25).holds(0.24));
    }

    #[test]
    fn figures_keep_four_digits() {
        assert_eq!(rounded(123_456.0), 123_500.0);
        assert_eq!(rounded(0.012_345), 0.012_35);
        assert_eq!(rounded(0.0), 0.0);
    }
}
