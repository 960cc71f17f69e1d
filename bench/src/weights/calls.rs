//! Runs the runtime's benchmarks and fits a line to what they took.

use crate::{
    blob::Blob,
    write::{self, Cost, Line, Measured},
};
use anyhow::{anyhow, bail, Context, Result};
use clap::Args;
use codec::{Decode, Encode};
use frame_benchmarking::{
    Analysis, BenchmarkBatch, BenchmarkConfig, BenchmarkList, BenchmarkParameter, BenchmarkResult,
    BenchmarkSelector,
};
use frame_support::traits::StorageInfo;
use sc_client_db::BenchmarkingState;

use sp_runtime::traits::BlakeTwo256;
use sp_state_machine::OverlayedChanges;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Instant,
};

#[derive(Args)]
pub struct Options {
    /// The runtime's WASM, built with `runtime-benchmarks`.
    #[arg(long)]
    wasm: PathBuf,
    /// Only benchmarks of `pallet` or `pallet::benchmark`; all if none is named. What is written are pallets that are measured
    /// whole.
    #[arg(long)]
    only: Vec<String>,
    /// Values of each component.
    #[arg(long, default_value_t = 12)]
    steps: u32,
    /// Runs of each value.
    #[arg(long, default_value_t = 7)]
    repeat: u32,
    /// Seconds after which a benchmark is not repeated any more, once every value has been run.
    #[arg(long, default_value_t = 25)]
    patience: u64,
}

impl Options {
    fn wants(&self, pallet: &str, benchmark: &str) -> bool {
        let full = format!("{pallet}::{benchmark}");
        self.only.is_empty() || self.only.iter().any(|only| only == pallet || *only == full)
    }
}

type State = BenchmarkingState<BlakeTwo256>;

/// Measures everything and writes each pallet's weights.
pub fn run(options: &Options, root: Option<&Path>) -> Result<()> {
    let blob = Blob::load(&options.wasm)?;
    let begun = blob.begun("benchmarks")?;
    let state = State::new(begun, None, false, true).map_err(|e| anyhow!(e))?;
    let (lists, _): (Vec<BenchmarkList>, Vec<StorageInfo>) =
        call(&blob, &state, "Benchmark_benchmark_metadata", false)?;

    let mut broken = Vec::new();
    println!(
        "{:<42} {:>10} {:>7} {:>7}  per component",
        "benchmark", "base µs", "reads", "writes"
    );
    for list in lists {
        let pallet = String::from_utf8(list.pallet.clone())?;
        let mut all = BTreeMap::new();
        for benchmark in &list.benchmarks {
            let name = String::from_utf8(benchmark.name.clone())?;
            if !options.wants(&pallet, &name) {
                continue;
            }
            let bench = Bench {
                blob: &blob,
                state: &state,
                pallet: &list.pallet,
                instance: &list.instance,
                name: &benchmark.name,
                components: &benchmark.components,
            };
            match bench.measure(options) {
                Ok(measured) => {
                    println!("{:<42} {measured}", format!("{pallet}::{name}"));
                    all.insert(name, measured.cover_worst());
                }
                Err(error) => {
                    println!("{pallet}::{name} failed: {error:#}");
                    broken.push(format!("{pallet}::{name}"));
                }
            }
        }
        if let Some(root) = root.filter(|_| all.len() == list.benchmarks.len()) {
            write::pallet(root, &pallet, &all)?;
        }
    }
    if !broken.is_empty() {
        bail!("not measured: {}", broken.join(", "));
    }
    Ok(())
}

fn call<R: Decode>(blob: &Blob, state: &State, method: &str, arguments: impl Encode) -> Result<R> {
    let mut changes = OverlayedChanges::<BlakeTwo256>::default();
    blob.call(state, &mut changes, method, arguments)
}

/// One benchmark.
struct Bench<'a> {
    blob: &'a Blob,
    state: &'a State,
    pallet: &'a [u8],
    instance: &'a [u8],
    name: &'a [u8],
    components: &'a [(BenchmarkParameter, u32, u32)],
}

impl Bench<'_> {
    fn run(&self, values: &[u32], verify: bool) -> Result<Vec<BenchmarkResult>> {
        let names = self.components.iter().map(|c| c.0);
        let config = BenchmarkConfig {
            pallet: self.pallet.to_vec(),
            instance: self.instance.to_vec(),
            benchmark: self.name.to_vec(),
            selected_components: names.zip(values.iter().copied()).collect(),
            verify,
            internal_repeats: 1,
        };
        let done: Result<Vec<BenchmarkBatch>, String> = call(
            self.blob,
            self.state,
            "Benchmark_dispatch_benchmark",
            config,
        )?;
        let batches = done.map_err(|error| anyhow!("with {values:?}: {error}"))?;
        Ok(batches
            .into_iter()
            .flat_map(|batch| batch.results)
            .collect())
    }

    fn least(&self) -> Vec<u32> {
        self.components.iter().map(|c| c.1).collect()
    }

    fn greatest(&self) -> Vec<u32> {
        self.components.iter().map(|c| c.2).collect()
    }

    /// Every value that is run: each component from its least to its greatest, the others at their least and at their greatest.
    fn values(&self, steps: u32) -> BTreeSet<Vec<u32>> {
        let mut all = BTreeSet::from([self.least(), self.greatest()]);
        for (at, (_, low, high)) in self.components.iter().enumerate() {
            let span = high - low;
            let last = steps.saturating_sub(1).clamp(1, span.max(1));
            for step in 0..=last {
                for mut values in [self.least(), self.greatest()] {
                    if let Some(varied) = values.get_mut(at) {
                        *varied = low + span * step / last;
                    }
                    all.insert(values);
                }
            }
        }
        all
    }

    fn measure(&self, options: &Options) -> Result<Measured> {
        let began = Instant::now();
        // What the benchmark says of its own outcome, before its time is worth anything.
        self.run(&self.least(), true)?;
        self.run(&self.greatest(), true)?;
        let values = self.values(options.steps);
        let repeat = if self.components.is_empty() {
            options.repeat * 4
        } else {
            options.repeat
        };
        let mut results = Vec::new();
        for round in 0..repeat {
            if round > 1 && began.elapsed().as_secs() >= options.patience {
                break;
            }
            for values in &values {
                results.extend(self.run(values, false)?);
            }
        }
        let typical = typical(&results);
        let fit = |selector| -> Result<Analysis> {
            Analysis::min_squares_iqr(&typical, selector).context("no line fits")
        };
        let line = |selector| -> Result<Line> {
            let fitted = fit(selector)?;
            let slopes = fitted.slopes.into_iter().map(u64::try_from);
            Ok(Line {
                base: u64::try_from(fitted.base)?,
                slopes: slopes.collect::<Result<_, _>>()?,
            })
        };
        let is_greatest = |run: &&BenchmarkResult| {
            let values = run.components.iter().map(|c| c.1);
            values.eq(self.components.iter().map(|c| c.2))
        };
        let worst = typical.iter().find(is_greatest);
        let worst = worst.context("it was not run with its greatest values")?;
        Ok(Measured {
            // An analysis of times is in picoseconds.
            time: line(BenchmarkSelector::ExtrinsicTime)?,
            reads: line(BenchmarkSelector::Reads)?,
            writes: line(BenchmarkSelector::Writes)?,
            components: self
                .components
                .iter()
                .map(|c| (c.0.to_string(), c.1, c.2))
                .collect(),
            worst: Cost {
                time: u64::try_from(worst.extrinsic_time)?.saturating_mul(1_000),
                reads: worst.reads.into(),
                writes: worst.writes.into(),
            },
            runs: results.len(),
        })
    }
}

/// Of the runs with the same values the one at the first quartile of their times: whatever else the machine did meanwhile is in
/// the slower ones.
fn typical(results: &[BenchmarkResult]) -> Vec<BenchmarkResult> {
    let mut by_values = BTreeMap::<Vec<u32>, Vec<&BenchmarkResult>>::new();
    for result in results {
        let values = result.components.iter().map(|c| c.1).collect();
        by_values.entry(values).or_default().push(result);
    }
    let quartile = |mut runs: Vec<&BenchmarkResult>| {
        runs.sort_by_key(|run| run.extrinsic_time);
        runs.get(runs.len() / 4).map(|run| (*run).clone())
    };
    by_values.into_values().filter_map(quartile).collect()
}
