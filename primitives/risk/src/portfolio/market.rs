//! What the portfolio model sees: an underlying, its expiries and series, and an account's legs.

use crate::ModelError;
use alloc::vec::Vec;
use novate_math::{
    black76::{years, Kind},
    exp, Scaled,
};
use novate_types::{Cash, Ppm, Price, SignedLots, Size};
use sp_arithmetic::{traits::Zero, FixedPointNumber};

use super::{Signed, Unsigned};

/// Seconds of the mean that settles an expiry.
pub const SETTLEMENT_SECONDS: u64 = 1_800;

/// An expiry as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Years of 365 days left, not negative.
    pub years: Scaled,
    /// The forward, with what of it is settled.
    pub forward: Price,
    /// The part of the forward that no price can move any more.
    pub settled: Price,
    /// Continuous rate a year.
    pub rate: Scaled,
    /// Discount factor of its options, at most one.
    pub discount: Scaled,
    /// Confidence in forward and volatilities, 1 being all.
    pub confidence: Unsigned,
}

impl Term {
    /// An expiry with so many seconds left whose options are not discounted and of which nothing is settled.
    pub fn undiscounted(seconds: u64, forward: Price) -> Result<Self, ModelError> {
        Ok(Self {
            years: years(seconds)?,
            forward,
            settled: Price::zero(),
            rate: Scaled::ZERO,
            discount: Scaled::ONE,
            confidence: Unsigned::from_inner(Unsigned::DIV),
        })
    }

    /// An expiry with so many seconds left; none after expiry.
    ///
    /// Within the last [`SETTLEMENT_SECONDS`], if `settled` is zero, the part of the mean that has happened counts at the forward:
    /// `forward·(1 − seconds/1800)`, rounded down. A rate below zero discounts nothing.
    pub fn new(
        seconds: u64,
        forward: Price,
        settled: Price,
        rate: Signed,
    ) -> Result<Self, ModelError> {
        let settled = match SETTLEMENT_SECONDS.checked_sub(seconds) {
            Some(past) if settled.is_zero() && past > 0 => {
                Price::from_inner(novate_types::math::mul_div_floor(
                    forward.into_inner(),
                    u128::from(past),
                    u128::from(SETTLEMENT_SECONDS),
                )?)
            }
            _ => settled,
        };
        let (years, rate) = (years(seconds)?, super::signed_number(rate)?);
        Ok(Self {
            years,
            forward,
            settled,
            rate,
            discount: exp(rate.times(years)?.negated())?.min(Scaled::ONE),
            confidence: Unsigned::from_inner(Unsigned::DIV),
        })
    }
}

/// The calls and puts of a strike and expiry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Its expiry, by place in [`Underlying::terms`].
    pub term: u16,
    /// The strike.
    pub strike: Price,
    /// Marked volatility, 1.00 being 100 % a year.
    pub volatility: Unsigned,
    /// Units of the underlying in a lot.
    pub lot_size: Size,
}

/// An underlying and what is listed on it. Each (expiry, strike) once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Underlying {
    /// The index.
    pub index: Price,
    /// Confidence in it and in linear marks, 1 being all.
    pub confidence: Unsigned,
    /// USD per unit of the settlement currency.
    pub settlement: Price,
    /// Notional open at the index (quantums); zero where it is not known, and then concentration adds nothing.
    pub open_interest: Cash,
    /// Expiries.
    pub terms: Vec<Term>,
    /// Series.
    pub series: Vec<Series>,
}

impl Underlying {
    /// An expiry, or that there is none in that place.
    pub fn term(&self, at: u16) -> Result<&Term, ModelError> {
        self.terms.get(usize::from(at)).ok_or(ModelError::Missing)
    }

    /// A series, or that there is none in that place.
    pub fn series(&self, at: u16) -> Result<&Series, ModelError> {
        self.series.get(usize::from(at)).ok_or(ModelError::Missing)
    }
}

/// What a leg is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contract {
    /// A perpetual (no term) or a dated future, margined at its mark.
    Linear {
        /// Its mark.
        mark: Price,
        /// Units of the underlying in a lot.
        lot_size: Size,
        /// Its expiry.
        term: Option<u16>,
        /// Maintenance margin fraction of the linear rule.
        mmf: Ppm,
        /// Initial margin fraction of the linear rule.
        imf: Ppm,
    },
    /// A European option.
    Option {
        /// By place in [`Underlying::series`].
        series: u16,
        /// Call or put.
        kind: Kind,
    },
    /// Collateral at its price, haircuts being a requirement. What is of the underlying itself moves with it and covers its calls.
    Collateral {
        /// Settlement value of a unit.
        price: Price,
        /// Units in a lot.
        lot_size: Size,
        /// Whether it moves with the underlying.
        moves: bool,
        /// Haircuts.
        haircut: super::Rates,
        /// Confidence in the price, 1 being all.
        confidence: Unsigned,
    },
}

/// A position in a contract, above zero if long. One leg a linear contract, as the linear rule does not net legs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// What.
    pub contract: Contract,
    /// How much.
    pub lots: SignedLots,
}
