//! Portfolio margin of one underlying (section 11): what a sub-portfolio can lose under a governed grid of scenarios, what is added to
//! that, and the lesser of it and the sum of its parts.
//!
//! | file | what |
//! |---|---|
//! | [`params`](PortfolioParams) | the governed numbers: grids, factors, contingencies |
//! | [`defaults`](PortfolioParams::standard) | section 11's defaults, SPAN's sixteen |
//! | [`market`](Underlying) | an underlying with its expiries and series; an account's legs |
//! | [`prices`](Prices) | every series under every scenario, priced once, shared by all accounts of a block |
//! | [`scan`](Scan) | losses by scenario; the closed form without options |
//! | [`requirement`](PortfolioMargin) | by parts, by scan, the lesser |
//! | [`of_view`](Portfolio) | an account and the view of the markets as the model takes them |
//! | [`model`](Lesser) | the margin model of the chain: the lesser of by parts and by scan; rows that a close prices for all accounts |
//! | [`exposure`](Exposure) | how far prices, volatilities and time can go before an account has to be looked at again |
//!
//! A lot's value is held in quantums with [`FINE_BITS`] fractional bits, rounded to the nearest; lots times that are summed exactly, so that
//! a hedge cancels to the last bit and what holds for fractions holds for the code: the scan of a combination is at most the sum of its
//! legs' scans. A requirement is rounded up once, at its end.
//!
//! Sources: Derive v2-core's PMRM and PMRM2 for grid, volatility and skew shocks, basis and contingencies; CME's SPAN for the second grid;
//! Deribit for short options by themselves. `tests/portfolio` holds the engine to published portfolios of the first and to SPAN in 50 digits.
//!
//! ```
//! use novate_math::black76::Kind;
//! use novate_risk::portfolio::*;
//! use novate_types::{Price, QUANTUMS};
//!
//! let one = Unsigned::from_u32(1);
//! let lot_size = Price::from_rational(1, 1_000);
//! let market = Underlying {
//!     index: Price::from_u32(60_000),
//!     confidence: one,
//!     settlement: one,
//!     open_interest: 0,
//!     terms: vec![Term::new(14 * 86_400, Price::from_u32(60_000), Price::from_u32(0), Signed::from_u32(0))?],
//!     series: [65_000, 70_000]
//!         .map(|strike| Series { term: 0, strike: Price::from_u32(strike), volatility: Price::from_rational(55, 100), lot_size })
//!         .into(),
//! };
//! let params = PortfolioParams::standard();
//! let mut prices = Prices::new(&market, &params)?;
//! let call = |series, lots| Leg { contract: Contract::Option { series, kind: Kind::Call }, lots };
//! // A thousand lots are one unit. Short the nearer strike alone, and as a spread against the farther one.
//! let naked = PortfolioMargin::of(&[call(0, -1_000)], &mut prices)?;
//! let spread = PortfolioMargin::of(&[call(0, -1_000), call(1, 1_000)], &mut prices)?;
//! assert_eq!(naked.required(), naked.by_parts);
//! assert_eq!(naked.required().initial, 6_000 * QUANTUMS);
//! assert_eq!(spread.required(), spread.by_scan);
//! assert!(spread.required().initial < 4_000 * QUANTUMS);
//! # Ok::<(), novate_risk::ModelError>(())
//! ```

mod defaults;
mod exposure;
mod fine;
mod holdings;
mod market;
mod model;
mod of_view;
mod params;
mod prices;
mod requirement;
mod scan;

pub use defaults::STANDARD_SCENARIOS;
pub use exposure::{Exposure, ROUNDING_PER_LEG};
pub use fine::{cash_ceil, Fine, FINE_BITS};
pub use market::*;
pub(crate) use model::is_netted;
pub use model::*;
pub(crate) use of_view::up_and_down_variances;
pub use of_view::*;
pub use params::*;
pub use prices::{Pair, Prices};
pub use requirement::*;
pub use scan::{scan_risk, Scan};

use fine::signed_number;
