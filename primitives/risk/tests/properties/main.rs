//! Properties that margin, ledger, funding and liquidation hold for every input, and worked examples with numbers.

mod combinations;
mod common;
mod competition;
mod fees;
mod funding;
mod greeks;
mod ledger;
mod lesser;
mod liquidation;
mod long_options;
mod margin;
mod options;
mod portfolios;
mod quoting;
mod thresholds;
