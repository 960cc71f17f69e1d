//! The chain's own formulas offline: for people as tables, for programs as lines of JSON.
//!
//! Nothing is computed here that the chain computes too: prices come from `novate_math`, matches from `novate_matching`, margin from
//! `novate_risk`. This crate reads, calls and writes. `docs/calculator.md` has the schemas.
//!
//! | file | what |
//! |---|---|
//! | [`cases`] | [`answer`]: one case a line, for programs |
//! | [`people`] | what the commands for people report |
//! | `options`, `implied_vol`, `elementary`, `normal` | options mathematics |
//! | `book`, `call_auction` | matching |
//! | `span`, `derive`, `grain` | portfolio margin |
//! | `returns` | volatility and expected shortfall of price series |
//! | `dydx` | margin, liquidation and premium by dYdX's published rules |

#![warn(missing_docs)]

mod book;
mod call_auction;
pub mod cases;
mod derive;
mod dydx;
mod elementary;
mod error;
mod grain;
mod implied_vol;
mod input;
mod normal;
mod options;
pub mod people;
mod returns;
mod span;
mod table;

pub use cases::{answer, answer_all};
pub use error::{Error, Result};
pub use people::{auction, backtest, liquidation_price, margin, option, Report};
pub use table::Table;
