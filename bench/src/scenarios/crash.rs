//! The crash: prices fall by 10, 20 and 30 % within one block, on a hundred thousand accounts with leveraged positions, and by 20 % where a tenth
//! of them hold options; and what a price costs that crosses nobody's threshold.

use super::{latest::Journeys, Bench, Chain, World};
use crate::{
    crowd,
    measure::{median, millis, quantile, Reach},
    oracle::cents,
    world::{feed_of, PRICE},
};
use anyhow::{bail, ensure};
use novate_risk::surface::{Smile, GRID, UNIT};
use novate_runtime::{configs::system::MAXIMUM_BLOCK_WEIGHT, RuntimeEvent, System};
use novate_types::{Cash, QUANTUMS};
use pallet_liquidation::Event;
use pallet_price_oracle::surface::ObservedSmile;
use std::collections::VecDeque;

const ACCOUNTS: u32 = 100_000;
const FEW: u32 = 1_000;
/// Groups of accounts opened in one block.
const IN_BLOCK: u32 = 2_000;
/// Blocks from the listing of options to the end of the call that each market begins with.
const OPENING: u32 = 30;
/// Blocks after which a crash that still goes on is given up.
const MOST_BLOCKS: u32 = 300;

/// A chain with a crowd, of which a tenth hold options or none do.
fn crowded(bench: &Bench, accounts: u32, has_options: bool) -> anyhow::Result<Chain> {
    let (mut chain, _) = bench.chain(World {
        markets: crowd::MARKETS,
        has_surface: has_options,
        ..World::default()
    })?;
    chain.seed(crowd::back)?;
    if has_options {
        let now = chain.time();
        chain.oracle.smiles = crowd::expiries(now)
            .map(|expiry| ObservedSmile {
                expiry,
                smile: Smile([VARIANCE; GRID.len()]),
            })
            .to_vec();
        chain.seed(|| crowd::list(now))?;
        chain.wait(OPENING)?;
    }
    let groups = crowd::groups(accounts);
    for from in (0..groups).step_by(IN_BLOCK as usize) {
        chain.seed(|| crowd::seed(from, groups.min(from + IN_BLOCK)))?;
    }
    chain.wait(2)?;
    Ok(chain)
}

/// Of the options, a year: a volatility of 60 % at every strike.
const VARIANCE: u64 = UNIT / 100 * 36;

fn set_price(chain: &mut Chain, price: u64) {
    for market in 0..crowd::MARKETS {
        chain.oracle.prices.insert(feed_of(market), cents(price));
    }
}

/// What remedies did in a block.
#[derive(Default)]
struct Remedies {
    started: usize,
    taken_over: usize,
    recovered: usize,
    insured: Cash,
    deleveraged: u64,
    swept: usize,
}

impl Remedies {
    fn note(&mut self, event: RuntimeEvent) {
        let RuntimeEvent::Liquidation(event) = event else {
            return;
        };
        match event {
            Event::LiquidationStarted { .. } => self.started += 1,
            Event::TakenOver { .. } => self.taken_over += 1,
            Event::Recovered { .. } => self.recovered += 1,
            Event::InsurancePaid { paid, .. } => self.insured += paid,
            Event::Deleveraged { lots, .. } => self.deleveraged += lots,
            Event::FoundBySweep { .. } => self.swept += 1,
            _ => {}
        }
    }
}

fn dollars(quantums: Cash) -> f64 {
    quantums as f64 / QUANTUMS as f64
}

/// Lets prices fall by `percent` and waits until nobody is below maintenance margin. What holds for the crowd is said in `who`.
fn fall(bench: &mut Bench, chain: &mut Chain, percent: u64, who: &str) -> anyhow::Result<()> {
    set_price(chain, PRICE * (100 - percent) / 100);
    let mut remedies = Remedies::default();
    let mut journeys = Journeys::default();
    let (mut imports, mut builds, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    let mut first = crowd::Scan::default();
    let mut last = None;
    for block in 1..=MOST_BLOCKS {
        let made = chain.make(&mut VecDeque::new(), 0)?;
        imports.push(millis(made.imported.total()));
        builds.push(millis(made.built.execute));
        let events = chain.events()?;
        if bench.details {
            journeys.follow(chain, block, &events)?;
        }
        for event in events {
            remedies.note(event);
        }
        let (weight, queued) = chain.read(|| {
            let queued = pallet_liquidation::Queue::<novate_runtime::Runtime>::count();
            (System::block_weight().total().ref_time(), queued)
        })?;
        weights.push(weight as f64 / MAXIMUM_BLOCK_WEIGHT.ref_time() as f64);
        if bench.details {
            let Remedies {
                started,
                taken_over,
                recovered,
                ..
            } = remedies;
            let weight = weights.last().unwrap_or(&0.0) * 100.0;
            println!(
                "   block {block}: found {started}, to the vault {taken_over}, recovered {recovered}, queued {queued}, {weight:.0} % charged"
            );
        }
        if block == 1 {
            first = chain.read(crowd::scan)?;
        }
        if queued == 0 && chain.read(crowd::scan)?.below == 0 {
            last = Some(block);
            break;
        }
    }
    if bench.details {
        journeys.tell();
    }
    let end = chain.read(crowd::scan)?;
    if let Err(why) = chain.read(crowd::check)? {
        bail!("after a fall of {percent} % the books do not balance: {why}");
    }
    let what = |figure: &str| format!("-{percent} %{who}: {figure}");
    let report = &mut bench.report;
    let below = 100.0 * first.below as f64 / first.accounts.max(1) as f64;
    report.tell(&what("accounts below MM after the fall"), below, "%")?;
    let bankrupt = 100.0 * first.bankrupt as f64 / first.accounts.max(1) as f64;
    report.tell(&what("accounts bankrupt after the fall"), bankrupt, "%")?;
    // One more than was waited for if it still goes on.
    let blocks = f64::from(last.unwrap_or(MOST_BLOCKS + 1));
    let figure = what("blocks until nobody is below MM");
    match percent {
        20 => {
            let reach = Some(Reach::AtMost(60.0));
            report.compare(&figure, blocks, "blocks", blocks, reach)?
        }
        _ => report.tell(&figure, blocks, "blocks")?,
    }
    report.tell(&what("accounts below MM at the end"), end.below as f64, "")?;
    report.tell(
        &what("import of all blocks"),
        imports.iter().sum::<f64>() / 1e3,
        "s",
    )?;
    report.tell(&what("import of a block, p50"), median(&imports), "ms")?;
    report.tell(
        &what("import of a block, slowest"),
        quantile(&imports, 1.0),
        "ms",
    )?;
    report.tell(
        &what("building a block, slowest"),
        quantile(&builds, 1.0),
        "ms",
    )?;
    let heaviest = quantile(&weights, 1.0);
    report.compare(
        &what("heaviest block, of the limit"),
        100.0 * heaviest,
        "%",
        heaviest,
        Some(Reach::AtMost(1.0)),
    )?;
    let speed = quantile(&imports, 1.0) / (heaviest * MAXIMUM_BLOCK_WEIGHT.ref_time() as f64 / 1e9);
    report.tell(
        &what("slowest import over the heaviest weight"),
        100.0 * speed,
        "%",
    )?;
    report.tell(&what("accounts found"), remedies.started as f64, "")?;
    report.tell(
        &what("accounts taken over by the vault"),
        remedies.taken_over as f64,
        "",
    )?;
    report.tell(&what("accounts recovered"), remedies.recovered as f64, "")?;
    report.tell(
        &what("accounts that only the sweep found"),
        remedies.swept as f64,
        "",
    )?;
    report.tell(
        &what("deficit after the fall"),
        dollars(first.deficit),
        "USD",
    )?;
    report.tell(
        &what("paid by the insurance fund"),
        dollars(remedies.insured),
        "USD",
    )?;
    report.tell(
        &what("deficit uncovered at the end"),
        dollars(end.uncovered),
        "USD",
    )?;
    report.tell(&what("lots bankrupt"), first.bankrupt_lots as f64, "lots")?;
    report.tell(
        &what("lots deleveraged"),
        remedies.deleveraged as f64,
        "lots",
    )?;
    let over = remedies.deleveraged as f64 / first.bankrupt_lots.max(1) as f64;
    report.tell(&what("lots deleveraged over lots bankrupt"), over, "")
}

/// Import of blocks that bring a new price that nobody's threshold lies on, the same for two chains in turn.
fn price_updates(bench: &mut Bench, many: &mut Chain, few: &mut Chain) -> anyhow::Result<()> {
    let mut times = [Vec::new(), Vec::new()];
    let mut found = 0;
    for block in 0..u64::from(bench.rounds as u32) * 20 {
        for (chain, times) in [&mut *many, &mut *few].into_iter().zip(&mut times) {
            set_price(chain, PRICE + block % 2 * 100);
            let made = chain.make(&mut VecDeque::new(), 0)?;
            // Those near the line were looked at, once.
            if block >= 20 {
                times.push(millis(made.imported.total()));
                let mut remedies = Remedies::default();
                chain
                    .events()?
                    .into_iter()
                    .for_each(|event| remedies.note(event));
                found += remedies.started;
            }
        }
    }
    let [many, few] = &times;
    let ratios: Vec<f64> = many.iter().zip(few).map(|(many, few)| many / few).collect();
    let report = &mut bench.report;
    report.tell(
        "price update: accounts that it brought below MM",
        found as f64,
        "",
    )?;
    report.tell("price update, 1,000 accounts", median(few), "ms")?;
    report.compare(
        "price update, 100,000 accounts over 1,000",
        median(many),
        "ms",
        median(&ratios),
        Some(Reach::AtMost(1.1)),
    )
}

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let mut many = crowded(bench, ACCOUNTS, false)?;
    if let Err(why) = many.read(crowd::check)? {
        bail!("the crowd's books do not balance: {why}");
    }
    let mut few = crowded(bench, FEW, false)?;
    price_updates(bench, &mut many, &mut few)?;
    drop(few);
    let before = many.hold();
    for percent in [10, 20, 30] {
        fall(bench, &mut many, percent, "")?;
        many.back_to(&before);
    }
    bench
        .report
        .tell("peak memory", crate::measure::peak_memory(), "MB")
}

/// A fall of 20 % where a tenth of the crowd holds options.
pub fn with_options(bench: &mut Bench) -> anyhow::Result<()> {
    let mut chain = crowded(bench, ACCOUNTS, true)?;
    if let Err(why) = chain.read(crowd::check)? {
        bail!("the books of a crowd with options do not balance: {why}");
    }
    let (holders, scanned, marked) = chain.read(crowd::options)?;
    ensure!(
        holders == ACCOUNTS as usize / 10 && scanned > 0 && marked,
        "of {ACCOUNTS} accounts {holders} hold options, {scanned} are scanned, and all are marked: {marked}"
    );
    let report = &mut bench.report;
    report.tell("accounts that hold options", holders as f64, "")?;
    report.tell("accounts that a scan margins", scanned as f64, "")?;
    fall(bench, &mut chain, 20, ", options")
}
