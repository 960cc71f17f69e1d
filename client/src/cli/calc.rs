//! `novate calc`: the chain's formulas without a chain.

use super::Report;
use clap::Subcommand;
use novate_client::{Refusal, Result};
use serde_json::{json, Value};
use std::{
    fs, io,
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
        Calc::Cases => return cases(),
    };
    let report = report.map_err(|error| Refusal::plain(error.name, error.words))?;
    Report::new(report.json, report.text).print(as_json);
    Ok(())
}

fn read(file: &Path) -> Result<Value> {
    let unreadable = |error: String| {
        let message = format!("{} cannot be read: {error}", file.display());
        Refusal::plain("unreadable", message)
    };
    let text = fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
    Ok(serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?)
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
