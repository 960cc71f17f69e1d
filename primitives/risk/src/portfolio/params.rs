//! The governed numbers of the portfolio model. All have 18 decimals; whole grids are instances of one engine.

use crate::ModelError;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use novate_types::Price;
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};
use sp_arithmetic::{FixedI128, FixedPointNumber, FixedU128};
use sp_core::{bounded::BoundedVec, ConstU32};

/// A number that may be negative, 18 decimals.
pub type Signed = FixedI128;
/// A number that is not negative, 18 decimals.
pub type Unsigned = FixedU128;

/// Scenarios of one grid.
pub const MAX_SCENARIOS: u32 = 64;
/// Steps of the add-on for size.
pub const MAX_SIZE_STEPS: u32 = 4;

/// How a scenario's `price` moves a forward.
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
    Serialize,
    Deserialize,
)]
pub enum PriceShock {
    /// `F·(1 + price)` of the part of the forward that is not settled yet. Derive, Deribit.
    Relative,
    /// `max(F + price·range, 10⁻⁹)`, the same amount for every expiry. SPAN's price scan range.
    Absolute {
        /// USD.
        range: Price,
    },
}

/// What a scenario does to volatilities.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub enum VolatilityShock {
    /// Nothing.
    Same,
    /// Up by the range.
    Up,
    /// Down by the range.
    Down,
    /// Wings turned about the forward: `σ·(1 + clip(k·c/k*, ±c))`, `k = ln(K/F)`; each expiry loses whichever way it turns.
    SkewLinear,
    /// Both wings raised or lowered: the same with `|k|`.
    SkewAbsolute,
}

/// How far volatilities move.
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
    Serialize,
    Deserialize,
)]
pub enum VolatilityRange {
    /// Up `max(least_up, σ·(1 + up·m))`, down `σ·max(0, 1 − down·m)`, with `m = (30 d / max(time left, least_days))^p`. Derive.
    Relative {
        /// At 30 days.
        up: Unsigned,
        /// At 30 days.
        down: Unsigned,
        /// Least volatility of a scenario with volatility up.
        least_up: Unsigned,
        /// `p` up to 30 days.
        short_power: Unsigned,
        /// `p` beyond.
        long_power: Unsigned,
        /// Days that are left at least.
        least_days: Unsigned,
    },
    /// `max(least, σ ± range)`. SPAN's volatility scan range.
    Absolute {
        /// Volatility, 1.00 being 100 % a year.
        range: Unsigned,
        /// Least volatility of both.
        least: Unsigned,
    },
}

/// The most a skew shock changes a volatility, relative: `c = flat + per_root_year·√T`.
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
    Serialize,
    Deserialize,
)]
pub struct SkewCap {
    /// At expiry.
    pub flat: Signed,
    /// Per root of a year.
    pub per_root_year: Signed,
}

/// Skew shocks. `k* = max(least_width, √T·width·(level + level_per_root_year·√T))` is where the cap is reached.
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
    Serialize,
    Deserialize,
)]
pub struct Skew {
    /// Of [`VolatilityShock::SkewLinear`].
    pub linear: SkewCap,
    /// Of [`VolatilityShock::SkewAbsolute`].
    pub absolute: SkewCap,
    /// Least `k*`.
    pub least_width: Unsigned,
    /// Deviations from the forward to `k*`.
    pub width: Unsigned,
    /// The volatility those deviations are of, at expiry.
    pub level: Signed,
    /// Per root of a year.
    pub level_per_root_year: Signed,
}

/// A factor on an expiry's value under a scenario, `base·exp(± T·(max(0, r)·per_rate + flat))`: minus where the options are worth something,
/// plus (and at most one over the discount) where they are owed.
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
    Serialize,
    Deserialize,
)]
pub struct StaticDiscount {
    /// At expiry.
    pub base: Unsigned,
    /// Per unit of the expiry's rate.
    pub per_rate: Unsigned,
    /// A year.
    pub flat: Unsigned,
}

/// Forwards of different expiries move by themselves: each expiry's worst of the two price moves times `flat + per_year·T`, added up.
/// The scan risk is at least that.
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
    Serialize,
    Deserialize,
)]
pub struct Basis {
    /// A price move as in a scenario, above zero.
    pub up: Signed,
    /// One below zero.
    pub down: Signed,
    /// Part of the loss that counts at expiry.
    pub flat: Unsigned,
    /// Per year.
    pub per_year: Unsigned,
}

/// One cell.
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
    Serialize,
    Deserialize,
)]
pub struct Scenario {
    /// Price move: relative, or in ranges.
    pub price: Signed,
    /// Volatility move.
    pub volatility: VolatilityShock,
    /// Part of the loss that counts; below one for tails.
    pub weight: Unsigned,
}

/// What positions are valued under.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct Grid {
    /// What a price move is.
    pub price: PriceShock,
    /// What a volatility move is.
    pub volatility: VolatilityRange,
    /// Skew shocks.
    pub skew: Skew,
    /// Factor on values above zero.
    pub long: StaticDiscount,
    /// Factor on values below zero.
    pub short: StaticDiscount,
    /// Between expiries.
    pub basis: Basis,
    /// The cells.
    pub scenarios: BoundedVec<Scenario, ConstU32<MAX_SCENARIOS>>,
}

/// What multiplies the scan risk. `initial + max(0, peg − settlement price)·per_peg` for initial margin.
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
    Serialize,
    Deserialize,
)]
pub struct Factors {
    /// Of maintenance margin.
    pub maintenance: Unsigned,
    /// Of initial margin while the settlement currency is worth `peg` or more.
    pub initial: Unsigned,
    /// USD per unit of the settlement currency.
    pub peg: Unsigned,
    /// Per USD below it.
    pub per_peg: Unsigned,
}

/// A rate of maintenance margin, and what initial margin takes on top of it.
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
    Serialize,
    Deserialize,
)]
pub struct Rates {
    /// Of both.
    pub maintenance: Unsigned,
    /// Of initial margin alone, in addition.
    pub initial_extra: Unsigned,
}

/// From `above` (quantums at the index) on, size costs `rate` of itself, at the margin.
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
    Serialize,
    Deserialize,
)]
pub struct SizeStep {
    /// Notional.
    pub above: novate_types::Cash,
    /// Added to the rates of the steps before it.
    pub rate: Unsigned,
}

/// What is added to the scan. Size is the notional at the index of linear contracts, gross, and of net short options.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct Contingencies {
    /// Of the notional at the index of linear contracts.
    pub linear: Rates,
    /// Of the notional at the index of the options that are short, calls and puts of a strike and expiry netted.
    pub short_option: Rates,
    /// Initial margin: confidence in a price below which `(1 − confidence)·per_confidence` of what it values is added.
    pub least_confidence: Unsigned,
    /// Rate per unit of missing confidence.
    pub per_confidence: Unsigned,
    /// Initial margin: share of the open interest above which `(share − least_share)·per_share` of size is added.
    pub least_share: Unsigned,
    /// Rate per unit of share above it.
    pub per_share: Unsigned,
    /// Initial margin: by size.
    pub sizes: BoundedVec<SizeStep, ConstU32<MAX_SIZE_STEPS>>,
}

/// A short option by itself: `max(most − out of the money / S, least)·S`, a put's at most its strike.
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
    Serialize,
    Deserialize,
)]
pub struct ShortOption {
    /// At the money and in it.
    pub most: Unsigned,
    /// Far out of it.
    pub least: Unsigned,
}

/// Short options by themselves.
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
    Serialize,
    Deserialize,
)]
pub struct Parts {
    /// Maintenance margin.
    pub maintenance: ShortOption,
    /// Initial margin.
    pub initial: ShortOption,
}

/// Everything governed, of whatever underlying.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct PortfolioParams {
    /// What the scan values.
    pub grid: Grid,
    /// What multiplies its risk.
    pub factors: Factors,
    /// What is added to it.
    pub contingencies: Contingencies,
    /// The other of the two requirements.
    pub parts: Parts,
}
impl Basis {
    /// Whether nothing counts.
    pub fn is_none(&self) -> bool {
        self.flat.into_inner() == 0 && self.per_year.into_inner() == 0
    }
}

impl Skew {
    /// Whether no volatility is turned by more than three eighths within a year, and widths grow with time. With `u` the turn and `u′` what it changes by per
    /// relative change of `√T`, at most one half, a shocked deviation then moves as the unshocked one does, by `1 + u + u′ ≤ 3/2·max(1, 1 + u)` times it.
    fn is_mild(&self) -> bool {
        let magnitude = |x: Signed| x.into_inner().unsigned_abs();
        let mild = |cap: &SkewCap| {
            magnitude(cap.flat) <= Unsigned::DIV / 4
                && magnitude(cap.per_root_year) <= Unsigned::DIV / 8
        };
        let level = magnitude(self.level);
        mild(&self.linear)
            && mild(&self.absolute)
            && self.least_width.into_inner() > 0
            && self.level.into_inner() > 0
            && magnitude(self.level_per_root_year) <= level / 2
    }
}

impl PortfolioParams {
    /// Whether every number is such as a grid can be meant to have: prices move tenfold at most, volatilities too, nothing is weighed or charged with more than the whole
    /// of it, a scan is multiplied tenfold at most, a discount or what undoes one tenfold, and an absolute move is no more than 10⁹ USD. What is beyond that is a slip, and might leave nothing with a number.
    pub fn is_plausible(&self) -> bool {
        let one = Unsigned::DIV;
        let ten = one.saturating_mul(10);
        let is_move = |x: Signed| x.into_inner().unsigned_abs() <= ten;
        let is_factor = |x: Unsigned| x.into_inner() <= ten;
        let is_part = |x: Unsigned| x.into_inner() <= one;
        let (grid, contingencies) = (&self.grid, &self.contingencies);
        let is_rate = |rates: &Rates| is_part(rates.maintenance) && is_part(rates.initial_extra);
        let volatility = match grid.volatility {
            VolatilityRange::Relative {
                up,
                down,
                least_up,
                least_days,
                ..
            } => is_factor(up) && is_factor(down) && is_factor(least_up) && is_factor(least_days),
            VolatilityRange::Absolute { range, least } => is_factor(range) && is_factor(least),
        };
        let basis = &grid.basis;
        let range = match grid.price {
            PriceShock::Relative => true,
            PriceShock::Absolute { range } => range <= Price::from_u32(1_000_000_000),
        };
        let is_discount = |of: &StaticDiscount| {
            is_factor(of.base) && is_factor(of.per_rate) && is_factor(of.flat)
        };
        volatility
            && range
            && is_discount(&grid.long)
            && is_discount(&grid.short)
            && grid
                .scenarios
                .iter()
                .all(|cell| is_move(cell.price) && is_part(cell.weight))
            && is_move(basis.up)
            && is_move(basis.down)
            && is_factor(basis.flat)
            && is_factor(basis.per_year)
            && is_factor(self.factors.maintenance)
            && is_factor(self.factors.initial)
            && is_rate(&contingencies.linear)
            && is_rate(&contingencies.short_option)
    }

    /// Whether initial margin is at least maintenance margin for every account; a combination never costs more than its legs, but for what
    /// concentration and size add; and [`super::Exposure`] bounds what time takes. Governance must hold to it.
    ///
    /// [`ModelError::Invalid`] otherwise. The engine computes with any parameters: Derive's published cases include some that no exchange would take.
    pub fn validate(&self) -> Result<(), ModelError> {
        let one = Unsigned::DIV;
        let (grid, parts) = (&self.grid, &self.parts);
        let falls = |price: Signed| price.into_inner() < Signed::DIV.saturating_neg();
        let relative = matches!(grid.price, PriceShock::Relative);
        let times = match grid.volatility {
            VolatilityRange::Relative {
                short_power,
                long_power,
                least_days,
                ..
            } => {
                let half = Unsigned::from_inner(one / 2);
                least_days.into_inner() > 0 && short_power <= half && long_power <= half
            }
            VolatilityRange::Absolute { .. } => true,
        };
        let plain = grid.long == StaticDiscount::NONE && grid.short == StaticDiscount::NONE;
        let turns = |scenario: &Scenario| scenario.volatility >= VolatilityShock::SkewLinear;
        let skewed = grid.scenarios.iter().any(turns);
        let sound = !grid.scenarios.is_empty()
            && (!skewed || (plain && grid.skew.is_mild()))
            && !(relative && grid.scenarios.iter().any(|cell| falls(cell.price)))
            && !(relative && falls(grid.basis.down))
            && grid.long.base.into_inner() <= one
            && grid.short.base.into_inner() >= one
            && times
            && self.factors.initial >= self.factors.maintenance
            && parts.maintenance.most <= parts.initial.most
            && parts.maintenance.least <= parts.initial.least;
        sound.then_some(()).ok_or(ModelError::Invalid)
    }
}
