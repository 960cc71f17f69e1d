//! How far prices, volatilities and time can go before an account has to be looked at again (section 7).
//!
//! Let `s = equity − maintenance margin`, of one underlying. [`Exposure`] says what `s` can lose, at most:
//!
//! ```text
//! s′ ≥ s − price·δ − deviation·ρ − carry·g − rounding
//! ```
//!
//! while index, marks and forwards have each moved by at most `δ` of themselves, every `σ√T` by at most `ρ ≤ 1` of itself, and every discount factor by at most `g`
//! of itself, each in whatever direction. Volatility and time are one axis: an expiry's surface is a mark of total deviation, which falls by `1 − √(T′/T)` as
//! time passes, and `g = exp(r·(T − T′)) − 1`.
//!
//! Why. `s` is the greater of what each of the two requirements leaves, so it loses at most the greater of what each can lose. With
//! `c = factor·weight` what the scan leaves is, but for contingencies, the least over scenarios of
//!
//! ```text
//! V + c·(f(V′) − V) = (1 − c)·V + c·f(V′)            V′ the value in the scenario
//! ```
//!
//! and of `V` itself.
//!
//! - *Prices.* An option's value moves by no more than its forward, in the scenario by no more than the shocked one, and `f` stretches by `b` at
//!   most: a scenario with price move `x` takes `|lots|·F·(|1 − c| + c·b·(1 + x))·δ`, or, where `c` is above one, the larger of both terms, which then
//!   oppose each other. The basis is a scenario of weight `flat + per_year·T`. A skew scenario counts its gain as a loss too, `(1 + c)·V − c·f(V′)`,
//!   where both move the same way, and turns the volatility with `ln(K/F)`: `1 + c + c·b·κ` with `κ = √T·σ·φ(0)·|cap|/k*`.
//!   By parts, a long option's value is its own requirement; a short call just out of the money loses its value and, as `most·S − (K − S)` rises with
//!   `S`, `(1 + most)·S`.
//! - *Deviations.* `∂V/∂(σ√T) = D·F·φ(d₁) ≤ F·φ(0)`, with shocked forwards and deviations for the scenarios. As time passes, with powers up to one half,
//!   no shocked deviation falls by more than the greater of it and the unshocked one does; for a skew of an expiry within a year, whose cap and
//!   width depend on time as well, half as much again.
//! - *Discounts.* No option is worth more than the greater of forward and strike, discounted.
//!
//! Deviations and discounts are bounded at the forwards before, prices at every deviation: the three add up in that order.
//!
//! One factor for all, `(1 + x)·(1 + 0.8·x)` of the largest undamped move `x` as in section 7, covers the regular cells, but not the rule by parts: a
//! short call at the money can lose `(Δ + 1 + most)·S·δ`. `tests/portfolio/exposure.rs` has such an account.
//!
//! In the last half hour before an expiry the settled part of its forward grows, which moves hedges against each other: accounts that hold it are
//! to be looked at in every block of it.

use super::{
    fine::{cash_ceil, number, signed_number, times, Fine, Unit},
    prices::{shocked, skew_shape},
    Contract, Leg, PriceShock, Prices, Series, SkewCap, VolatilityShock,
};
use crate::ModelError;
use novate_math::{normal_pdf, Scaled};
use novate_types::{math::add, Cash, Price};
use sp_arithmetic::traits::Zero;

type Result<T> = core::result::Result<T, ModelError>;

/// Quantums that rounding alone can take from `equity − maintenance margin`, for each leg and once more.
pub const ROUNDING_PER_LEG: Cash = 4;

/// What `equity − maintenance margin` can lose per unit of relative move, quantums, rounded up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exposure {
    /// Of index, marks, forwards and collateral prices.
    pub price: Cash,
    /// Of every `σ√T`, by volatility or by time.
    pub deviation: Cash,
    /// Of every discount factor.
    pub carry: Cash,
}

impl Exposure {
    /// Of a portfolio in one underlying, its parameters being valid ([`super::PortfolioParams::validate`]). What a series takes is computed once.
    pub fn of(legs: &[Leg], prices: &mut Prices) -> Result<Self> {
        let (mut parts, mut scan) = (Axes::default(), Axes::default());
        for leg in legs {
            let lots = i128::from(leg.lots.unsigned_abs());
            let lot = match leg.contract {
                Contract::Option { series, .. } => prices.slopes(series)?,
                _ => linear(&leg.contract, prices.market().index, prices)?,
            };
            // By parts a long option's value is its requirement: nothing moves.
            if leg.lots < 0 || !matches!(leg.contract, Contract::Option { .. }) {
                parts.add(lots, &lot.parts)?;
            }
            scan.add(lots, &lot.scan)?;
        }
        Ok(Self {
            price: cash_ceil(parts.price.max(scan.price))?,
            deviation: cash_ceil(parts.deviation.max(scan.deviation))?,
            carry: cash_ceil(parts.carry.max(scan.carry))?,
        })
    }
}

/// What each axis takes by one requirement.
#[derive(Clone, Copy, Default)]
pub(super) struct Axes {
    price: Fine,
    deviation: Fine,
    carry: Fine,
}

impl Axes {
    fn add(&mut self, lots: i128, lot: &Self) -> Result<()> {
        self.price = add(self.price, times(lots, lot.price)?)?;
        self.deviation = add(self.deviation, times(lots, lot.deviation)?)?;
        self.carry = add(self.carry, times(lots, lot.carry)?)?;
        Ok(())
    }
}

/// Of a lot, by parts (of an option, if it is short) and by scan.
#[derive(Clone, Copy)]
pub(super) struct PerLot {
    parts: Axes,
    scan: Axes,
}

impl PerLot {
    /// By scan alone: by price and by deviation.
    pub(super) const fn of_scan(price: Fine, deviation: Fine) -> Self {
        let scan = Axes {
            price,
            deviation,
            carry: 0,
        };
        Self { parts: scan, scan }
    }

    /// By scan, by price and by deviation.
    pub(super) const fn scan(&self) -> (Fine, Fine) {
        (self.scan.price, self.scan.deviation)
    }
}

/// Of a portfolio by scan, without what discount factors take, and the contingencies of linear contracts at their marks.
pub(super) fn by_scan(legs: &[Leg], prices: &mut Prices) -> Result<(Cash, Cash)> {
    let mut sum = Axes::default();
    for leg in legs {
        let lot = match leg.contract {
            Contract::Option { series, .. } => prices.slopes(series)?,
            Contract::Linear { mark, .. } => linear(&leg.contract, mark, prices)?,
            Contract::Collateral { price, .. } => linear(&leg.contract, price, prices)?,
        };
        sum.add(i128::from(leg.lots.unsigned_abs()), &lot.scan)?;
    }
    Ok((cash_ceil(sum.price)?, cash_ceil(sum.deviation)?))
}

/// Of a unit, USD.
#[derive(Clone, Copy)]
struct Slopes {
    price: Scaled,
    deviation: Scaled,
    carry: Scaled,
}

impl Slopes {
    /// What only prices move.
    const fn of_price(price: Scaled) -> Self {
        Self {
            price,
            deviation: Scaled::ZERO,
            carry: Scaled::ZERO,
        }
    }

    /// Of a lot, whose value is rounded to the nearest.
    fn of_lot(&self, unit: Unit) -> Result<Axes> {
        let lot = |slope| -> Result<Fine> { Ok(add(unit.value(slope)?, 1)?) };
        Ok(Axes {
            price: lot(self.price)?,
            deviation: lot(self.deviation)?,
            carry: lot(self.carry)?,
        })
    }
}

/// A scenario, or a basis move, as the requirement weighs it.
struct Cell {
    /// Factor times weight.
    c: Scaled,
    shock: VolatilityShock,
    by: super::Signed,
}

impl Cell {
    /// `|1 − c|`.
    fn kept(&self) -> Result<Scaled> {
        Ok(Scaled::ONE.minus(self.c)?.abs())
    }

    /// The most of `(1 − c)·a + c·b` whose parts move the same way: their sum, or the larger where `c` is above one and they work against each other.
    fn combined(&self, kept: Scaled, moved: Scaled) -> Result<Scaled> {
        Ok(if self.c > Scaled::ONE {
            kept.max(moved)
        } else {
            kept.plus(moved)?
        })
    }

    /// `1 + x` of a relative move, one of an absolute one.
    fn growth(&self, shock: PriceShock) -> Result<Scaled> {
        Ok(match shock {
            PriceShock::Relative => Scaled::ONE.plus(signed_number(self.by)?)?.max(Scaled::ZERO),
            PriceShock::Absolute { .. } => Scaled::ONE,
        })
    }
}

/// The basis moves if there is an expiry, and all scenarios.
fn cells<'a>(
    prices: &'a Prices,
    term: Option<u16>,
) -> Result<impl Iterator<Item = Result<Cell>> + 'a> {
    let params = prices.params();
    let factor = number(params.factors.maintenance)?;
    let basis = match term {
        Some(term) if !params.grid.basis.is_none() => Some(prices.term_factors(term)?.2),
        _ => None,
    };
    let moves =
        [params.grid.basis.up, params.grid.basis.down].map(|by| (by, VolatilityShock::Same));
    let moves = basis
        .into_iter()
        .flat_map(move |weight| moves.map(|(by, shock)| (weight, shock, by)));
    let scenarios = params
        .grid
        .scenarios
        .iter()
        .map(|cell| (cell.weight, cell.volatility, cell.price));
    Ok(moves.chain(scenarios).map(move |(weight, shock, by)| {
        Ok(Cell {
            c: factor.times(number(weight)?)?,
            shock,
            by,
        })
    }))
}

/// The most that a unit of what moves with the underlying can lose under any cell, per unit of relative move; of a term computed once.
fn steepest(prices: &mut Prices, term: Option<u16>) -> Result<Scaled> {
    if let Some(known) = prices.steepest(term) {
        return Ok(known);
    }
    // The scenarios are every term's, and its basis moves come before them.
    let (mut slope, many) = match term {
        None => (Scaled::ONE, usize::MAX),
        Some(_) if prices.params().grid.basis.is_none() => (steepest(prices, None)?, 0),
        Some(_) => (steepest(prices, None)?, 2),
    };
    for cell in cells(prices, term)?.take(many) {
        let cell = cell?;
        let growth = cell.growth(prices.params().grid.price)?;
        slope = slope.max(cell.combined(cell.kept()?, cell.c.times(growth)?)?);
    }
    prices.keep_steepest(term, slope);
    Ok(slope)
}

/// Of a linear contract or collateral, contingencies being rates of a price `at`.
fn linear(contract: &Contract, at: Price, prices: &mut Prices) -> Result<PerLot> {
    let (price, lot_size, term, alone, moves) = match contract {
        Contract::Linear {
            mark,
            lot_size,
            term,
            mmf,
            ..
        } => {
            let margin = Scaled::ratio(u128::from(*mmf), 1_000_000)?;
            (mark, lot_size, *term, margin, true)
        }
        Contract::Collateral {
            price,
            lot_size,
            moves,
            ..
        } => (price, lot_size, None, Scaled::ZERO, *moves),
        Contract::Option { .. } => return Err(ModelError::Missing),
    };
    let price = number(*price)?;
    let slope = if moves {
        steepest(prices, term)?
    } else {
        Scaled::ONE
    };
    let rate = match contract {
        Contract::Linear { .. } => prices.params().contingencies.linear.maintenance,
        _ => super::Unsigned::zero(),
    };
    let contingency = number(at)?.times(number(rate)?)?;
    let unit = Unit::of(*lot_size)?;
    Ok(PerLot {
        parts: Slopes::of_price(price.times(Scaled::ONE.plus(alone)?)?).of_lot(unit)?,
        scan: Slopes::of_price(price.times(slope)?.plus(contingency)?).of_lot(unit)?,
    })
}

/// Of an option, call or put.
pub(super) fn option(at: u16, prices: &Prices) -> Result<PerLot> {
    let (market, params) = (prices.market(), prices.params());
    let series = market.series(at)?;
    let term = market.term(series.term)?;
    let (forward, index) = (number(term.forward)?, number(market.index)?);
    let worth = forward.max(number(series.strike)?).times(term.discount)?;
    let peak = normal_pdf(Scaled::ZERO)?;
    let root = prices.root(series.term)?;
    let still = number(series.volatility)?.times(root)?;
    let plain = Slopes {
        price: forward,
        deviation: forward.times(still)?.times(peak)?,
        carry: worth,
    };
    let most = number(params.parts.maintenance.most)?;
    let parts = Slopes {
        price: forward.plus(index.times(Scaled::ONE.plus(most)?)?)?,
        ..plain
    };

    let (long, owed, _) = prices.term_factors(series.term)?;
    let stretch = number(long.max(owed))?.max(Scaled::ONE);
    let mut scan = plain;
    for cell in cells(prices, Some(series.term))? {
        let cell = cell?;
        let weight = cell.c.times(stretch)?;
        let moved = prices
            .volatility(series, cell.shock)?
            .times(root)?
            .max(still);
        let (kept, more) = (cell.kept()?, Scaled::ONE.plus(cell.c)?);
        let shifted = shocked(params.grid.price, term.forward, term.settled, cell.by)?;
        let growth = cell.growth(params.grid.price)?;
        let at_rest = forward.times(still)?;
        let in_motion = weight.times(shifted)?.times(moved)?;
        let slope = cell.combined(kept, weight.times(growth)?)?;
        let carried = cell.combined(kept, weight.times(growth.max(Scaled::ONE))?)?;
        let (slope, deviation, carried) = if cell.shock < VolatilityShock::SkewLinear {
            (
                slope,
                cell.combined(kept.times(at_rest)?, in_motion)?,
                carried,
            )
        } else {
            let turn = turn(series, cell.shock, prices)?;
            let turn = weight.times(turn)?;
            // Time moves cap and width too.
            let in_motion = in_motion.plus(in_motion.shift(-1)?)?;
            (
                slope.max(more).plus(turn)?,
                cell.combined(kept.times(at_rest)?, in_motion)?
                    .max(more.times(at_rest)?),
                carried.max(more),
            )
        };
        scan.price = scan.price.max(slope.times(forward)?);
        scan.deviation = scan.deviation.max(deviation.times(peak)?);
        scan.carry = scan.carry.max(carried.times(worth)?);
    }
    let rate = number(params.contingencies.short_option.maintenance)?;
    scan.price = scan.price.plus(index.times(rate)?)?;
    let unit = Unit::of(series.lot_size)?;
    Ok(PerLot {
        parts: parts.of_lot(unit)?,
        scan: scan.of_lot(unit)?,
    })
}

/// `κ`: what a skew's dependence on the forward adds to an option's slope, at up to twice its volatility.
fn turn(series: &Series, shock: VolatilityShock, prices: &Prices) -> Result<Scaled> {
    let skew = &prices.params().grid.skew;
    let cap: &SkewCap = match shock {
        VolatilityShock::SkewAbsolute => &skew.absolute,
        _ => &skew.linear,
    };
    let root = prices.root(series.term)?;
    let (cap, width) = skew_shape(skew, cap, root)?;
    let vega = root
        .times(number(series.volatility)?)?
        .times(normal_pdf(Scaled::ZERO)?)?;
    Ok(vega.times(cap.abs())?.over(width)?.shift(1)?)
}
