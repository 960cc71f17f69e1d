//! Options mathematics in integers: the same bits in WebAssembly as natively, on every machine.
//!
//! Section 9 of the protocol. No floating point, no storage, no dependency, no panic; every loop is bounded by a constant.
//!
//! | file | what |
//! |---|---|
//! | [`q96`] | [`Q96`]: fixed point with 96 fractional bits, for what is stored and sent |
//! | [`scaled`] | [`Scaled`]: 128 significant bits and an exponent, for what is computed |
//! | [`elementary`] | [`exp`], [`exp_m1`], [`ln`], [`ln_1p`], [`pow`], [`sqrt`] |
//! | [`normal`] | [`normal_cdf`], [`normal_pdf`], [`normal_inverse`] |
//! | [`black76`] | prices and Greeks of European options on a forward |
//! | `decimal` | decimal strings, read and written (with `std`) |
//!
//! Relative errors, measured against mpmath with 50 digits and more (`tests/reference.rs`), beside those that section 9 asks for:
//!
//! | function | asked | promised | largest seen |
//! |---|---|---|---|
//! | `exp` | 10⁻¹⁸ | 2⁻¹¹⁵ | 1.1·10⁻³⁵ |
//! | `ln` | 10⁻¹⁸, absolute | 2⁻¹¹⁸ | 1.6·10⁻³⁶ |
//! | `sqrt` | floor | floor of 128 bits, and of 96 fractional ones | the same |
//! | `N(x)` | 10⁻¹⁵ | 2⁻¹⁰⁰ | 6.8·10⁻³¹ |
//! | Black-76, of `max(F, K)` | 10⁻¹⁵ | 2·10⁻³⁰ | 2.1·10⁻³¹ |
//! | Black-76, of a price above 10⁻⁹·F | 10⁻¹² | 10⁻²⁰ | see [`black76::price`] |
//!
//! The way to many prices: a [`black76::Level`] for every forward and every strike, a [`black76::Deviation`] for every pair of volatility
//! and time, then [`black76::price`] for each combination of them.

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

pub mod black76;
#[cfg(feature = "std")]
pub mod decimal;
pub mod elementary;
pub mod normal;
pub mod q96;
pub mod scaled;
mod tables;
mod wide;

pub use elementary::*;
pub use normal::*;
pub use q96::Q96;
pub use scaled::Scaled;

/// Why a result does not exist. Nothing has changed; no function of this crate has state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The result is too large for its type. Compute in [`Scaled`], or scale the inputs.
    Overflow,
    /// Division by zero.
    DivisionByZero,
    /// A logarithm, a price or a strike needs a number above zero.
    NotPositive,
    /// A square root, a volatility or a time needs a number that is not negative.
    Negative,
    /// A price or strike outside [2⁻¹²⁸, 2¹²⁸). Black-76 is homogeneous: divide forward and strike by the same number.
    PriceOutOfRange,
    /// A probability outside (0, 1).
    NotAProbability,
    /// Not a decimal number, or one with more than 1,000 digits or an exponent beyond ±5,000.
    Malformed,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Overflow => "the result is too large for its type",
            Self::DivisionByZero => "division by zero",
            Self::NotPositive => "a logarithm, a price or a strike needs a number above zero",
            Self::Negative => {
                "a square root, a volatility or a time needs a number that is not negative"
            }
            Self::PriceOutOfRange => {
                "a price or strike outside [2^-128, 2^128): divide both by the same number"
            }
            Self::NotAProbability => "a probability lies between 0 and 1",
            Self::Malformed => {
                "not a decimal number of at most 1,000 digits and an exponent within ±5,000"
            }
        })
    }
}

impl core::error::Error for Error {}

/// What a computation gives, or why it gives nothing.
pub type Result<T> = core::result::Result<T, Error>;
