//! What is wrong with a case, by name.

use novate_risk::ModelError;
use novate_types::{MathError, RiskError};
use std::fmt;

/// Why there is no answer. Shown as `name: words`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// For programs; `docs/calculator.md` lists them.
    pub name: &'static str,
    /// For people.
    pub words: String,
}

/// An answer, or why there is none.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of that name.
    pub fn new(name: &'static str, words: impl Into<String>) -> Self {
        Self {
            name,
            words: words.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.words)
    }
}

impl std::error::Error for Error {}

impl From<novate_math::Error> for Error {
    fn from(error: novate_math::Error) -> Self {
        use novate_math::Error::*;
        let name = match error {
            Overflow => "overflow",
            DivisionByZero => "division_by_zero",
            NotPositive => "not_positive",
            Negative => "negative",
            PriceOutOfRange => "price_out_of_range",
            NotAProbability => "not_a_probability",
            Malformed => "malformed_number",
        };
        Self::new(name, error.to_string())
    }
}

impl From<MathError> for Error {
    fn from(error: MathError) -> Self {
        match error {
            MathError::Overflow => Self::new("overflow", "the result is too large for its type"),
            MathError::DivisionByZero => Self::new("division_by_zero", "division by zero"),
        }
    }
}

impl From<RiskError> for Error {
    fn from(error: RiskError) -> Self {
        match error {
            RiskError::Math(error) => error.into(),
            RiskError::UnknownMarket(id) => {
                Self::new("unknown_market", format!("there is no market {id}"))
            }
            RiskError::UnknownCollateral(id) => {
                Self::new("unknown_collateral", format!("there is no asset {id}"))
            }
            RiskError::Full => Self::new("too_many", "more than one account can hold"),
            RiskError::Underflow => {
                Self::new("invalid_delta", "the change is larger than the position")
            }
        }
    }
}

impl From<ModelError> for Error {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Numeric(error) => error.into(),
            ModelError::Money(error) => error.into(),
            ModelError::Missing => Self::new("missing", "a leg names an expiry that is not given"),
            ModelError::Invalid => Self::new(
                "invalid",
                "too few observations, a probability outside (0, 1), or parameters that contradict each other",
            ),
        }
    }
}
