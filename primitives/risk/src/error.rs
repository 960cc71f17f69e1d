//! Why a model gave no answer.

use novate_types::{MathError, RiskError};

/// Why the portfolio model or a stress figure does not exist. Nothing has changed; no function here has state of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelError {
    /// A number left its range, or a price, time or volatility is not one. The inputs are wrong, or far too large.
    Numeric(novate_math::Error),
    /// A sum of money left its range.
    Money(MathError),
    /// A leg names an expiry or a series, or an account a market, that the market data does not hold.
    Missing,
    /// Too few observations, a probability outside (0, 1), or parameters that contradict each other.
    Invalid,
}

impl From<novate_math::Error> for ModelError {
    fn from(e: novate_math::Error) -> Self {
        Self::Numeric(e)
    }
}

impl From<MathError> for ModelError {
    fn from(e: MathError) -> Self {
        Self::Money(e)
    }
}

impl From<RiskError> for ModelError {
    fn from(e: RiskError) -> Self {
        match e {
            RiskError::Math(e) => Self::Money(e),
            _ => Self::Missing,
        }
    }
}
