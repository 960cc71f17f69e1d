//! `novate calc`: the chain's formulas without a chain.

use super::Report;
use clap::Subcommand;
use flate2::read::GzDecoder;
use novate_client::{Refusal, Result};
use serde_json::{json, Value};
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// What to calculate. It needs no node; numbers are decimals and exact.
#[derive(Debug, Subcommand)]
pub enum Calc {
    /// Price and Greeks of a call and a put on a forward (Black-76).
    Option {
        /// The forward's price.
        #[arg(long)]
        forward: String,
        /// The strike.
        #[arg(long)]
        strike: String,
        /// Volatility per year: 0.55 is 55 %.
        #[arg(long)]
        vol: String,
        /// Time left: 14d, 36h, 30m, 2w, 0.5y.
        #[arg(long)]
        expiry: String,
        /// Continuous rate per year.
        #[arg(long, default_value = "0", allow_hyphen_values = true)]
        rate: String,
    },
    /// Equity, initial and maintenance margin and liquidation prices of a portfolio.
    Margin {
        /// The portfolio as JSON; docs/calculator.md has the schema.
        file: PathBuf,
    },
    /// The mark at which a single position would be liquidated.
    LiquidationPrice {
        /// Size in units of the underlying, below zero for a short.
        #[arg(long, allow_hyphen_values = true)]
        size: String,
        /// The price it was entered at.
        #[arg(long)]
        entry: String,
        /// The cash behind it.
        #[arg(long, allow_hyphen_values = true)]
        cash: String,
        /// Maintenance margin fraction: 0.03 is 3 %.
        #[arg(long)]
        maintenance: String,
        /// The mark now; the entry if not given.
        #[arg(long)]
        mark: Option<String>,
    },
    /// The one price of a call auction, and who gets what.
    Auction {
        /// The orders as JSON; docs/calculator.md has the schema.
        file: PathBuf,
    },
    /// How often recorded losses were greater than volatility forecasts covered, and Kupiec's test of it.
    Backtest {
        /// Bars as CSV with ts, exchange, symbol and close, compressed by gzip or not.
        file: PathBuf,
        /// Only series whose exchange:symbol ends so: USDC-USD, kraken:USDC-USD.
        #[arg(long)]
        series: Option<String>,
        /// Time in which a position is closed; one loss is counted in each.
        #[arg(long, default_value = "10m")]
        horizon: String,
        /// Half-life of the exponentially weighted variance.
        #[arg(long, default_value = "5d")]
        half_life: String,
        /// Time that seeds the variances and is not tested.
        #[arg(long, default_value = "1d")]
        warm_up: String,
        /// GARCH's weight of the last return.
        #[arg(long, default_value = "0.05")]
        alpha: String,
        /// GARCH's weight of the last variance.
        #[arg(long, default_value = "0.94")]
        beta: String,
        /// Share of losses to be covered.
        #[arg(long, default_value = "0.99")]
        coverage: String,
    },
    /// Answers cases from standard input, one a line, as docs/calculator.md describes.
    Cases,
}

/// Carries the command out.
pub fn run(calc: &Calc, as_json: bool) -> Result<()> {
    let report = match calc {
        Calc::Option {
            forward,
            strike,
            vol,
            expiry,
            rate,
        } => novate_calc::option(&json!({
            "forward": forward, "strike": strike, "vol": vol, "expiry": expiry, "rate": rate,
        })),
        Calc::Margin { file } => novate_calc::margin(&read(file)?),
        Calc::LiquidationPrice {
            size,
            entry,
            cash,
            maintenance,
            mark,
        } => novate_calc::liquidation_price(&json!({
            "size": size, "entry": entry, "cash": cash, "maintenance": maintenance, "mark": mark,
        })),
        Calc::Auction { file } => novate_calc::auction(&read(file)?),
        Calc::Backtest {
            file,
            series,
            horizon,
            half_life,
            warm_up,
            alpha,
            beta,
            coverage,
        } => novate_calc::backtest(
            &text(file)?,
            &json!({
                "series": series, "horizon": horizon, "half_life": half_life, "warm_up": warm_up,
                "alpha": alpha, "beta": beta, "coverage": coverage,
            }),
        ),
        Calc::Cases => return cases(),
    };
    let report = report.map_err(|error| Refusal::plain(error.name, error.words))?;
    Report::new(report.json, report.text).print(as_json);
    Ok(())
}

fn read(file: &Path) -> Result<Value> {
    let text = text(file)?;
    Ok(serde_json::from_str(&text).map_err(|error| unreadable(file, error.to_string()))?)
}

/// A file's text, decompressed where its name ends in `.gz`.
fn text(file: &Path) -> Result<String> {
    let mut text = String::new();
    let read = fs::File::open(file).and_then(|mut opened| match file.extension() {
        Some(ending) if ending == "gz" => GzDecoder::new(opened).read_to_string(&mut text),
        _ => opened.read_to_string(&mut text),
    });
    read.map_err(|error| unreadable(file, error.to_string()))?;
    Ok(text)
}

fn unreadable(file: &Path, error: String) -> Refusal {
    let message = format!("{} cannot be read: {error}", file.display());
    Refusal::plain("unreadable", message)
}

fn cases() -> Result<()> {
    match novate_calc::answer_all(io::stdin().lock(), io::stdout().lock()) {
        // A reader that closes the pipe has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Refusal::plain("stream", error.to_string()).into())
        }
        _ => Ok(()),
    }
}
