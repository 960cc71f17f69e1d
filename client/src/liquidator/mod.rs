//! The liquidator: bids for fractions of accounts in open competition, and says what became of each bid.
//!
//! ```text
//! head ─> candidates, competitions, accounts, view ─> decide, rank (pure) ─> bid ─> the including block's events ─> outcome (pure) ─> hedge, metrics
//! ```
//!
//! | file | what |
//! |---|---|
//! | [`config`] | the configuration file |
//! | [`decide`] | what to bid for and how much: the chain's own formulas, on what the chain says |
//! | [`ranking`] | the accounts nearest to liquidation, and what is done about each |
//! | [`outcome`] | what became of a bid, in words |
//! | [`metrics`] | counters, for Prometheus on loopback |
//! | [`run`](mod@run) | the loop that joins them |

pub mod config;
pub mod decide;
pub mod metrics;
pub mod outcome;
pub mod ranking;
pub mod run;

pub use config::Config;
pub use run::{closing_orders, run};
