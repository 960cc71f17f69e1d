//! Errors of pure functions. Pallets map them onto their own named errors.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// Why arithmetic on money, prices or sizes gave no answer. Nothing wraps, clamps or panics.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub enum MathError {
    /// The result lies outside its type's range.
    Overflow,
    /// A divisor is zero.
    DivisionByZero,
}

/// Why an account could not be assessed or changed.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub enum RiskError {
    /// The account or the change refers to a market that the view does not hold.
    UnknownMarket(crate::MarketId),
    /// The account holds an asset that the view does not hold.
    UnknownCollateral(crate::AssetId),
    /// A list of the account (positions, collaterals, order aggregates, risk slots) is full.
    Full,
    /// A release or a debit is larger than what stands.
    Underflow,
    /// Arithmetic.
    Math(MathError),
}

impl From<MathError> for RiskError {
    fn from(e: MathError) -> Self {
        Self::Math(e)
    }
}
