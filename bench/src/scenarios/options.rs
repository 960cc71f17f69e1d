//! Options inside WebAssembly: what a price with its Greeks costs there, and the margin of a large portfolio. No chain: none of it
//! touches storage.

use super::Bench;
use crate::measure::{median, micros, millis, Reach, Stopwatch};
use anyhow::{ensure, Context};
use std::time::Duration;
use wasmtime::{Engine, Instance, Module, Store, TypedFunc};

/// `guest`, which `build.rs` compiles; empty where it was told not to.
const GUEST: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest.wasm"));
/// Rounds of prices in a round.
const PRICES: u32 = 5;
/// Options of a round.
const OPTIONS: u32 = 10_000;
/// Accounts of a round that find every series priced.
const ACCOUNTS: u32 = 100;

/// The guest, running.
struct Guest {
    store: Store<()>,
    instance: Instance,
}

impl Guest {
    fn new() -> anyhow::Result<Self> {
        ensure!(
            !GUEST.is_empty(),
            "this binary was built without its guest; build without SKIP_WASM_BUILD"
        );
        let engine = Engine::default();
        let module = Module::new(&engine, GUEST)?;
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[])?;
        Ok(Self { store, instance })
    }

    /// Calls an exported function, whose answer must be the native one.
    fn time(
        &mut self,
        name: &str,
        native: extern "C" fn(u32) -> u64,
        count: u32,
    ) -> anyhow::Result<Duration> {
        let function: TypedFunc<u32, u64> = self.instance.get_typed_func(&mut self.store, name)?;
        let watch = Stopwatch::start();
        let answer = function.call(&mut self.store, count)?;
        let time = watch.elapsed();
        ensure!(
            answer == native(count),
            "{name} of {count} is other bits in WebAssembly than natively"
        );
        Ok(time)
    }
}

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let mut guest = Guest::new().context("the guest")?;
    let (mut prices, mut options) = (Vec::new(), Vec::new());
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for round in 0..=bench.rounds {
        let grid = guest.time("prices", novate_bench_guest::prices, PRICES)?;
        let many = guest.time("greeks", novate_bench_guest::greeks, OPTIONS)?;
        let one = guest.time("margin", novate_bench_guest::margin, 1)?;
        let all = guest.time("margin", novate_bench_guest::margin, 1 + ACCOUNTS)?;
        if round == 0 {
            continue;
        }
        prices.push(micros(grid) / f64::from(PRICES * novate_bench_guest::PRICES));
        options.push(micros(many) / f64::from(OPTIONS));
        first.push(millis(one));
        again.push(millis(all.saturating_sub(one)) / f64::from(ACCOUNTS));
    }
    let (option, first, again) = (median(&options), median(&first), median(&again));
    let report = &mut bench.report;
    report.tell("a Black-76 price of a scan", median(&prices), "us")?;
    report.compare(
        "a Black-76 price with Greeks, from plain numbers",
        option,
        "us",
        option,
        Some(Reach::AtMost(8.0)),
    )?;
    report.tell("margin of 64 legs, pricing 60 series for it", first, "ms")?;
    report.compare(
        "margin of 64 legs, the block's prices known",
        again,
        "ms",
        again,
        Some(Reach::AtMost(2.0)),
    )
}
