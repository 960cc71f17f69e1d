//! Margin, fees, funding and liquidation as pure functions of an account, a view of the markets and parameters.
//!
//! Sections 1, 2, 5, 6 and 7 of the protocol, one file a concern. What an account has is rounded down, what it needs or
//! pays up; all sums are quantums unless a name says otherwise. Overflow is an error, and an error changes nothing.
//!
//! | file | what |
//! |---|---|
//! | [`ledger`] | trades, funding settlement and order aggregates of one account |
//! | [`linear`] | [`Linear`]: equity, initial and maintenance margin, collateral, the check before novation |
//! | [`fees`] | trading fees, and what an open order reserves |
//! | [`funding`] | premium, rate and accrual of perpetuals |
//! | [`loans`] | interest on negative cash, and what the pot charges |
//! | [`liquidation`] | bankruptcy and fillable prices, and how much to close |
//! | [`competition`] | uniform fractions of a portfolio, their discount, and how much of it may go |
//! | [`combination`] | what several markets traded together are marked at and need, and their trades leg by leg |
//! | [`options`] | settlement of what expires, an option's mark, a short option by itself |
//! | [`greeks`] | [`Greeks`] of a unit, a position and an account |
//! | [`portfolio`] | options, futures and perpetuals of one underlying under a grid of scenarios; the lesser of that and by parts |
//! | [`quoting`] | how the backstop vault quotes what it has taken over |
//! | [`shortfall`] | what an account would lack if prices and volatilities moved, and how near to liquidation it is in forecast deviations |
//! | [`surface`] | volatility surfaces: smiles on a grid, between expiries, and arbitrage in them |
//! | [`stress`] | volatility forecasts, historical losses, back-tests, the size of the default fund |
//! | [`thresholds`] | how far prices and funding may move before an account has to be looked at again |
//! | [`volatility`] | what is kept of a price's past, and what is forecast from it |

#![cfg_attr(not(feature = "std"), no_std)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

extern crate alloc;

pub mod combination;
pub mod competition;
pub mod error;
pub mod fees;
pub mod funding;
pub mod greeks;
pub mod ledger;
pub mod linear;
pub mod liquidation;
pub mod loans;
pub mod options;
pub mod portfolio;
pub mod quoting;
pub mod shortfall;
pub mod stress;
pub mod surface;
pub mod thresholds;
pub mod volatility;

pub use combination::{combine, Combined, Legs};
pub use competition::*;
pub use error::*;
pub use fees::*;
pub use funding::*;
pub use greeks::*;
pub use ledger::*;
pub use linear::*;
pub use liquidation::*;
pub use loans::*;
pub use options::*;
pub use quoting::*;
pub use shortfall::*;
pub use thresholds::*;
pub use volatility::{Forecast, Volatility, VolatilityParams};
