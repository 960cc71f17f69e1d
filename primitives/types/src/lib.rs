//! What the chain and its clients share: identifiers, units, orders, accounts, parameters, and the traits in which
//! pallets meet. No FRAME, no storage, no formula beyond a unit conversion.
//!
//! | name | type | unit |
//! |---|---|---|
//! | [`Price`] | `FixedU128` (18 decimals) | USD per one unit of the underlying |
//! | [`Ticks`] | `u64` | price in multiples of the instrument's tick size |
//! | [`Lots`], [`SignedLots`] | `u64`, `i64` | size in multiples of the instrument's lot size |
//! | [`Cash`] | `i128` | quantums: 10⁻⁶ of the settlement currency |
//! | [`Ppm`] | `u32` | parts per million |
//! | [`Millis`] | `u64` | milliseconds of Unix time, or a span of them |
//! | [`FundingIndex`] | `i128` | quantums per lot with 32 fractional bits, owed by a long since the listing |

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

pub mod account;
pub mod error;
pub mod instrument;
pub mod loan;
pub mod math;
pub mod order;
pub mod score;
pub mod share;
pub mod symbol;
pub mod traits;
pub mod view;
pub mod weight;

pub use account::*;
pub use error::*;
pub use instrument::*;
pub use loan::*;
pub use order::*;
pub use score::*;
pub use share::*;
pub use traits::*;
pub use view::*;
pub use weight::Part;

/// An instrument, as listed: the key of its book, positions and parameters.
pub type MarketId = u16;
/// A price feed of the oracle, one per underlying or collateral asset.
pub type FeedId = u16;
/// An asset of the chain's assets pallet.
pub type AssetId = u32;
/// Which of an owner's margin accounts.
pub type SubaccountId = u8;
/// The number an account's order was given at intake; with the account it is the order's public id.
pub type Sequence = u64;
/// The number an account chose for an order; unique among its open orders.
pub type ClientId = u64;
/// Block height.
pub type BlockNumber = u32;
/// USD per one unit of the underlying, 18 decimals.
pub type Price = sp_arithmetic::FixedU128;
/// Size of one lot in units of the underlying, 18 decimals.
pub type Size = sp_arithmetic::FixedU128;
/// A price in multiples of the instrument's tick size.
pub type Ticks = u64;
/// A size in multiples of the instrument's lot size.
pub type Lots = u64;
/// A position or a change of one: long above zero, short below.
pub type SignedLots = i64;
/// Quantums: 10⁻⁶ of the settlement currency.
pub type Cash = i128;
/// Parts per million.
pub type Ppm = u32;
/// Milliseconds.
pub type Millis = u64;
/// Cumulative funding owed by one long lot, in quantums with [`FUNDING_FRACTION_BITS`] fractional bits.
pub type FundingIndex = i128;

/// One whole in [`Ppm`].
pub const MILLION: Ppm = 1_000_000;
/// Quantums in one unit of the settlement currency.
pub const QUANTUMS: Cash = 1_000_000;
/// Fractional bits of a [`FundingIndex`].
pub const FUNDING_FRACTION_BITS: u32 = 32;
/// Positions one account can hold.
pub const MAX_POSITIONS: u32 = 32;
/// Collateral assets one account can hold beside the settlement currency.
pub const MAX_COLLATERALS: u32 = 8;
/// Positions and collaterals of one account, at most.
pub const MAX_HOLDINGS: u32 = MAX_POSITIONS + MAX_COLLATERALS;
/// Markets that can be listed at once.
pub const MAX_MARKETS: u32 = 64;
/// Open orders of one account over all markets, triggers among them: one that fires finds room.
pub const MAX_OPEN_ORDERS: u32 = 128;
/// Triggers of one account over all markets.
pub const MAX_TRIGGERS: u32 = 32;
/// Icebergs, pairs and TWAPs of one account over all markets.
pub const MAX_ARRANGEMENTS: u32 = 32;
/// Operations in one order extrinsic.
pub const MAX_OPERATIONS: u32 = 64;
/// Entries of the threshold index one account can have: a funding entry per position and a mark each way, or of an option that a scan margins
/// index and variance each way and the expiry; one per collateral, one for parameters, one for interest.
pub const MAX_RISK_SLOTS: u32 = 6 * MAX_POSITIONS + MAX_COLLATERALS + 2;
