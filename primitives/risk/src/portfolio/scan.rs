//! The worst loss of a portfolio under a grid.

use super::{
    fine::{scale_ceil, scale_floor, times, Fine},
    holdings::{Holdings, Linear},
    prices::shocked,
    Leg, PriceShock, Prices, Signed, Unsigned, VolatilityShock,
};
use crate::ModelError;
use alloc::{collections::BTreeMap, vec, vec::Vec};
use novate_types::{
    math::{add, neg, signed_mul_div_floor, sub},
    MathError,
};
use sp_arithmetic::{traits::Zero, FixedPointNumber};

type Result<T> = core::result::Result<T, ModelError>;

/// `10³⁶`: a move times a weight.
pub(super) const SQUARE: u128 = 1_000_000_000_000_000_000_000_000_000_000_000_000;

/// A portfolio under every scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Loss in every scenario, weighted, rounded up; below zero a gain.
    pub losses: Vec<Fine>,
    /// Loss by forwards of different expiries moving by themselves, rounded up.
    pub basis: Fine,
    /// The options as marked.
    pub option_value: Fine,
}

impl Scan {
    /// Values the whole portfolio under every scenario.
    ///
    /// Per scenario `Σ over expiries (f(V′) − V) + Σ of linear legs`, times the weight; `f` multiplies by the grid's factor on values above or below zero,
    /// and in a skew scenario each expiry loses `|f(V′) − V|`.
    pub fn of(legs: &[Leg], prices: &mut Prices) -> Result<Self> {
        let holdings = Holdings::of(legs, prices.market())?;
        scan(&holdings, prices)
    }

    /// The scan risk: the worst loss, at least that of the basis and zero.
    pub fn risk(&self) -> Fine {
        let worst = self.losses.iter().copied().max().unwrap_or(0);
        worst.max(self.basis).max(0)
    }

    /// The first scenario with the largest loss.
    pub fn worst(&self) -> Option<usize> {
        let worst = self.losses.iter().max()?;
        self.losses.iter().position(|loss| loss == worst)
    }
}

/// The scan risk alone. Without options, and with relative moves, from the two outermost weighted moves: [`Scan::risk`] to the last bit.
pub fn scan_risk(legs: &[Leg], prices: &mut Prices) -> Result<Fine> {
    let holdings = Holdings::of(legs, prices.market())?;
    risk(&holdings, prices)
}

pub(super) fn risk(holdings: &Holdings, prices: &mut Prices) -> Result<Fine> {
    let relative = matches!(prices.params().grid.price, PriceShock::Relative);
    if !relative || !holdings.options.is_empty() {
        return Ok(scan(holdings, prices)?.risk());
    }
    let exposure = exposure(&holdings.linear, |_| true)?;
    // Losses rise with the move against the exposure.
    let mut worst = 0;
    let mut outermost = 0;
    for cell in &prices.params().grid.scenarios {
        let by = weighted(cell)?;
        let farther = if exposure >= 0 {
            by < outermost
        } else {
            by > outermost
        };
        if farther {
            outermost = by;
            worst = neg(moved(exposure, by, SQUARE)?)?;
        }
    }
    Ok(worst.max(basis(holdings, &BTreeMap::new(), prices)?).max(0))
}

/// The values of an expiry's options at every point.
type Values = BTreeMap<u16, Vec<Fine>>;

pub(super) fn scan(holdings: &Holdings, prices: &mut Prices) -> Result<Scan> {
    let mut values = Values::new();
    for ((term, series), held) in &holdings.options {
        let points = prices.points().len();
        let sums = values.entry(*term).or_insert_with(|| vec![0; points]);
        for (sum, pair) in sums.iter_mut().zip(prices.row(*series)?) {
            let value = held.value(pair)?;
            *sum = add(*sum, value)?;
        }
    }
    let mut option_value = 0;
    for sums in values.values() {
        option_value = add(option_value, at(sums, 0)?)?;
    }
    let grid = &prices.params().grid;
    let relative = match grid.price {
        PriceShock::Relative => Some(exposure(&holdings.linear, |_| true)?),
        PriceShock::Absolute { .. } => None,
    };
    let mut losses = Vec::with_capacity(grid.scenarios.len());
    for (cell, point) in grid.scenarios.iter().zip(prices.cells()) {
        let turned = cell.volatility >= VolatilityShock::SkewLinear;
        let mut options = 0;
        for (term, sums) in &values {
            let (long, short, _) = prices.term_factors(*term)?;
            let value = at(sums, *point)?;
            let value = scale_floor(value, if value >= 0 { long } else { short })?;
            let change = sub(value, at(sums, 0)?)?;
            options = add(
                options,
                if turned && change > 0 {
                    neg(change)?
                } else {
                    change
                },
            )?;
        }
        let options = scale_floor(options, cell.weight)?;
        let linear = match relative {
            Some(exposure) => moved(exposure, weighted(cell)?, SQUARE)?,
            None => scale_floor(
                shifted(&holdings.linear, grid.price, cell.price, |_| true)?,
                cell.weight,
            )?,
        };
        losses.push(neg(add(options, linear)?)?);
    }
    Ok(Scan {
        losses,
        basis: basis(holdings, &values, prices)?,
        option_value,
    })
}

/// Each expiry's worst of the two basis moves, times its factor, rounded up.
fn basis(holdings: &Holdings, values: &Values, prices: &Prices) -> Result<Fine> {
    let grid = &prices.params().grid;
    if grid.basis.is_none() {
        return Ok(0);
    }
    let mut terms: Vec<u16> = holdings.linear.iter().filter_map(|leg| leg.term).collect();
    terms.extend(values.keys());
    terms.sort_unstable();
    terms.dedup();
    let (up, down) = prices.basis_points();
    let mut sum = 0;
    for term in terms {
        let mut worst = 0;
        for (point, by) in [(up, grid.basis.up), (down, grid.basis.down)] {
            let of_term = |leg: &Linear| leg.term == Some(term);
            let linear = match grid.price {
                PriceShock::Relative => moved(
                    exposure(&holdings.linear, of_term)?,
                    by.into_inner(),
                    Unsigned::DIV,
                )?,
                shock => shifted(&holdings.linear, shock, by, of_term)?,
            };
            let options = match values.get(&term) {
                Some(sums) => sub(at(sums, point)?, at(sums, 0)?)?,
                None => 0,
            };
            worst = add(linear, options)?.min(worst);
        }
        let (_, _, factor) = prices.term_factors(term)?;
        sum = add(sum, scale_ceil(worst, factor)?)?;
    }
    Ok(sum)
}

fn at(sums: &[Fine], point: usize) -> Result<Fine> {
    sums.get(point).copied().ok_or(ModelError::Missing)
}

/// Value of what can move, all lots of some legs.
fn exposure(legs: &[Linear], which: impl Fn(&Linear) -> bool) -> Result<Fine> {
    let mut sum = 0;
    for leg in legs.iter().filter(|leg| which(leg)) {
        sum = add(sum, leg.exposure()?)?;
    }
    Ok(sum)
}

/// A scenario's move times its weight, 36 decimals.
pub(super) fn weighted(cell: &super::Scenario) -> core::result::Result<i128, MathError> {
    i128::try_from(cell.weight.into_inner())
        .ok()
        .and_then(|weight| cell.price.into_inner().checked_mul(weight))
        .ok_or(MathError::Overflow)
}

/// `⌊exposure · by / one⌋`.
fn moved(exposure: Fine, by: i128, one: u128) -> core::result::Result<Fine, MathError> {
    let exposure = if by < 0 { neg(exposure)? } else { exposure };
    signed_mul_div_floor(exposure, by.unsigned_abs(), one)
}

/// Change of the value of some legs by an absolute move.
fn shifted(
    legs: &[Linear],
    shock: PriceShock,
    by: Signed,
    which: impl Fn(&Linear) -> bool,
) -> Result<Fine> {
    let mut sum = 0;
    if by.is_zero() {
        return Ok(sum);
    }
    for leg in legs.iter().filter(|leg| which(leg)) {
        let after = leg
            .unit
            .value(shocked(shock, leg.price, leg.settled, by)?)?;
        let change = sub(after, leg.unit.at(leg.price)?)?;
        sum = add(sum, times(leg.lots, change)?)?;
    }
    Ok(sum)
}
