//! What a lot of each series is worth under every scenario: computed once, shared by all accounts.

use super::{
    exposure::{self, PerLot},
    fine::{number, signed_number, Fine, Unit},
    Basis, Grid, PortfolioParams, PriceShock, Series, Signed, SkewCap, StaticDiscount, Term,
    Underlying, Unsigned, VolatilityRange, VolatilityShock,
};
use crate::ModelError;
use alloc::{rc::Rc, vec::Vec};
use core::cell::Cell;
use novate_math::{
    black76::{self, Deviation, Kind, Level},
    exp, ln, pow, Scaled,
};
use novate_types::Price;
use sp_arithmetic::traits::Zero;

type Result<T> = core::result::Result<T, ModelError>;

/// Least forward of an absolute shock, USD: 10⁻⁹.
const LEAST_FORWARD: Price = Price::from_inner(1_000_000_000);

/// A price move and a volatility move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) price: Signed,
    pub(super) volatility: VolatilityShock,
}

/// The point where nothing has moved.
const STILL: Point = Point {
    price: Signed::from_inner(0),
    volatility: VolatilityShock::Same,
};

/// The values of a lot of a call and a put at one point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The call's.
    pub call: Fine,
    /// The put's.
    pub put: Fine,
}

impl Pair {
    /// The value of either.
    pub const fn of(&self, kind: Kind) -> Fine {
        match kind {
            Kind::Call => self.call,
            Kind::Put => self.put,
        }
    }
}

/// An expiry: factors on its values.
struct TermPrices {
    /// What its series share to be priced, once one is.
    shape: Option<Shape>,
    long: Unsigned,
    short: Unsigned,
    basis: Unsigned,
}

/// What the series of an expiry share.
struct Shape {
    /// `√T`.
    root: Scaled,
    /// The shocked forward at every point; none where it is zero.
    forwards: Vec<Option<Level>>,
    /// `m` of [`VolatilityRange::Relative`].
    multiple: Scaled,
}

/// The distinct points of a grid, which whatever is valued under it shares.
pub(super) struct Points {
    /// The first is [`STILL`].
    distinct: Vec<Point>,
    /// The point of every scenario.
    cells: Vec<usize>,
    /// The points of the basis moves, up and down.
    basis: (usize, usize),
    /// The steepest of what is linear and of no term, once it is computed.
    steepest: Cell<Option<Scaled>>,
}

impl Points {
    pub(super) fn of(grid: &Grid) -> Self {
        let mut distinct = Vec::from([STILL]);
        let mut place = |point: Point| match distinct.iter().position(|p| *p == point) {
            Some(at) => at,
            None => {
                distinct.push(point);
                distinct.len().saturating_sub(1)
            }
        };
        let cells = grid
            .scenarios
            .iter()
            .map(|cell| {
                place(Point {
                    price: cell.price,
                    volatility: cell.volatility,
                })
            })
            .collect();
        let mut moved = |price| place(Point { price, ..STILL });
        let basis = if grid.basis.is_none() {
            (0, 0)
        } else {
            (moved(grid.basis.up), moved(grid.basis.down))
        };
        Self {
            distinct,
            cells,
            basis,
            steepest: Cell::new(None),
        }
    }
}

/// Values of every listed series at every distinct point of a grid, computed when first asked for.
///
/// For one block: it holds what [`Underlying`] and parameters said when it was made.
pub struct Prices<'a> {
    market: &'a Underlying,
    params: &'a PortfolioParams,
    points: Rc<Points>,
    terms: Vec<TermPrices>,
    rows: Vec<Option<Vec<Pair>>>,
    slopes: Vec<Option<PerLot>>,
    /// By term, the steepest of what is linear. What has none is the same for all who share the points.
    steepest: Vec<(Option<u16>, Scaled)>,
    priced: u64,
}

impl<'a> Prices<'a> {
    /// Prepares every expiry. An error if a price or time is not one.
    pub fn new(market: &'a Underlying, params: &'a PortfolioParams) -> Result<Self> {
        Self::on(Rc::new(Points::of(&params.grid)), market, params)
    }

    /// The same, on the points of these parameters' grid.
    pub(super) fn on(
        points: Rc<Points>,
        market: &'a Underlying,
        params: &'a PortfolioParams,
    ) -> Result<Self> {
        let terms = market
            .terms
            .iter()
            .map(|term| TermPrices::new(term, &params.grid))
            .collect::<Result<_>>()?;
        Ok(Self {
            market,
            params,
            points,
            terms,
            rows: market.series.iter().map(|_| None).collect(),
            slopes: market.series.iter().map(|_| None).collect(),
            steepest: Vec::new(),
            priced: 0,
        })
    }

    /// The market it was made of.
    pub const fn market(&self) -> &'a Underlying {
        self.market
    }

    /// The parameters it was made with.
    pub const fn params(&self) -> &'a PortfolioParams {
        self.params
    }

    /// How many option prices have been computed; a call and a put on the same terms are one.
    pub const fn priced(&self) -> u64 {
        self.priced
    }

    /// What is kept of a term's linear contracts.
    pub(super) fn steepest(&self, term: Option<u16>) -> Option<Scaled> {
        if term.is_none() {
            return self.points.steepest.get();
        }
        let known = self.steepest.iter().find(|(known, _)| *known == term);
        known.map(|(_, slope)| *slope)
    }

    pub(super) fn keep_steepest(&mut self, term: Option<u16>, slope: Scaled) {
        match term {
            None => self.points.steepest.set(Some(slope)),
            Some(_) => self.steepest.push((term, slope)),
        }
    }

    /// The value of a lot as marked.
    pub fn mark(&mut self, series: u16) -> Result<Pair> {
        self.row(series)?
            .first()
            .copied()
            .ok_or(ModelError::Missing)
    }

    pub(super) fn points(&self) -> &[Point] {
        &self.points.distinct
    }

    /// The point of every scenario, in the grid's order.
    pub(super) fn cells(&self) -> &[usize] {
        &self.points.cells
    }

    pub(super) fn basis_points(&self) -> (usize, usize) {
        self.points.basis
    }

    /// Factors on an expiry's value above and below zero, and on its basis loss.
    pub(super) fn term_factors(&self, term: u16) -> Result<(Unsigned, Unsigned, Unsigned)> {
        let term = self.term(term)?;
        Ok((term.long, term.short, term.basis))
    }

    /// The volatility of a series at a point.
    pub(super) fn volatility(&self, series: &Series, shock: VolatilityShock) -> Result<Scaled> {
        let market = self.market.term(series.term)?;
        self.shape(series.term)?
            .volatility(series, market, shock, &self.params.grid)
    }

    /// `√T`.
    pub(super) fn root(&self, term: u16) -> Result<Scaled> {
        Ok(self.shape(term)?.root)
    }

    fn term(&self, term: u16) -> Result<&TermPrices> {
        self.terms.get(usize::from(term)).ok_or(ModelError::Missing)
    }

    fn shape(&self, term: u16) -> Result<&Shape> {
        self.term(term)?.shape.as_ref().ok_or(ModelError::Missing)
    }

    /// Prepares the expiry of a series, unless that is done.
    fn prepare(&mut self, series: u16) -> Result<()> {
        let at = self.market.series(series)?.term;
        let term = self.market.term(at)?;
        let known = self.terms.get_mut(usize::from(at));
        let known = known.ok_or(ModelError::Missing)?;
        if known.shape.is_none() {
            known.shape = Some(Shape::new(term, &self.params.grid, &self.points.distinct)?);
        }
        Ok(())
    }

    /// Takes the values of a lot at all points as they are known, in the order of [`Prices::values`], and what it can lose along each axis.
    pub(super) fn know(&mut self, series: u16, kind: Kind, values: &[Fine], slopes: PerLot) {
        let at = usize::from(series);
        if let Some(row) = self.rows.get_mut(at) {
            let row = row.get_or_insert_with(|| {
                let none = Pair { call: 0, put: 0 };
                values.iter().map(|_| none).collect()
            });
            for (pair, value) in row.iter_mut().zip(values) {
                match kind {
                    Kind::Call => pair.call = *value,
                    Kind::Put => pair.put = *value,
                }
            }
        }
        if let Some(place) = self.slopes.get_mut(at) {
            *place = Some(slopes);
        }
    }

    /// The values of a lot of an option at every point.
    pub(super) fn values(&mut self, series: u16, kind: Kind) -> Result<Vec<Fine>> {
        Ok(self.row(series)?.iter().map(|pair| pair.of(kind)).collect())
    }

    /// The values of a series at all points.
    pub(super) fn row(&mut self, series: u16) -> Result<&[Pair]> {
        let at = usize::from(series);
        if self.rows.get(at).is_some_and(Option::is_none) {
            self.prepare(series)?;
            let row = self.compute(series)?;
            self.priced = self.priced.saturating_add(row.len() as u64);
            if let Some(place) = self.rows.get_mut(at) {
                *place = Some(row);
            }
        }
        self.rows
            .get(at)
            .and_then(Option::as_deref)
            .ok_or(ModelError::Missing)
    }

    /// What a lot of a series can lose along each axis.
    pub(super) fn slopes(&mut self, series: u16) -> Result<PerLot> {
        let at = usize::from(series);
        if let Some(Some(known)) = self.slopes.get(at) {
            return Ok(*known);
        }
        self.prepare(series)?;
        let slopes = exposure::option(series, self)?;
        if let Some(place) = self.slopes.get_mut(at) {
            *place = Some(slopes);
        }
        Ok(slopes)
    }

    fn compute(&self, series: u16) -> Result<Vec<Pair>> {
        let series = self.market.series(series)?;
        let market = self.market.term(series.term)?;
        let term = self.shape(series.term)?;
        let strike = Level::new(number(series.strike)?)?;
        let unit = Unit::of(series.lot_size)?;
        // Few shocks, each for many points.
        let mut deviations = Vec::<(VolatilityShock, Deviation)>::new();
        let mut row = Vec::with_capacity(self.points().len());
        for (point, forward) in self.points().iter().zip(&term.forwards) {
            let shock = point.volatility;
            let known = deviations.iter().find(|(known, _)| *known == shock);
            let deviation = match known {
                Some((_, deviation)) => *deviation,
                None => {
                    let volatility = term.volatility(series, market, shock, &self.params.grid)?;
                    let deviation = Deviation::new(volatility.times(term.root)?)?;
                    deviations.push((shock, deviation));
                    deviation
                }
            };
            let prices = match forward {
                Some(forward) => black76::prices(forward, &strike, &deviation, market.discount)?,
                None => black76::Prices {
                    call: Scaled::ZERO,
                    put: strike.price().times(market.discount)?,
                },
            };
            row.push(Pair {
                call: unit.value(prices.call)?,
                put: unit.value(prices.put)?,
            });
        }
        Ok(row)
    }
}

impl TermPrices {
    fn new(term: &Term, grid: &Grid) -> Result<Self> {
        // Most grids have none, and an exponential costs.
        let factor = |discount: &StaticDiscount, down| {
            if *discount == StaticDiscount::NONE {
                return Ok(Scaled::ONE);
            }
            growth(discount, term, down)
        };
        let (long, short) = (factor(&grid.long, true)?, factor(&grid.short, false)?);
        Ok(Self {
            shape: None,
            long: Unsigned::from_inner(long.to_18_decimals_floor()?),
            short: Unsigned::from_inner(
                short
                    .min(Scaled::ONE.over(term.discount)?)
                    .to_18_decimals_ceil()?,
            ),
            basis: basis_factor(&grid.basis, term)?,
        })
    }
}

impl Shape {
    fn new(term: &Term, grid: &Grid, points: &[Point]) -> Result<Self> {
        let mut forwards = Vec::<Option<Level>>::with_capacity(points.len());
        for (at, point) in points.iter().enumerate() {
            // Logarithms cost: the same move has the same forward.
            let before = points.iter().take(at).position(|p| p.price == point.price);
            let level = match before.and_then(|before| forwards.get(before)) {
                Some(level) => *level,
                None => {
                    let forward = shocked(grid.price, term.forward, term.settled, point.price)?;
                    if forward.is_positive() {
                        Some(Level::new(forward)?)
                    } else {
                        None
                    }
                }
            };
            forwards.push(level);
        }
        Ok(Self {
            root: term.years.sqrt_floor()?,
            forwards,
            multiple: multiple(&grid.volatility, term.years)?,
        })
    }

    fn volatility(
        &self,
        series: &Series,
        term: &Term,
        shock: VolatilityShock,
        grid: &Grid,
    ) -> Result<Scaled> {
        let volatility = number(series.volatility)?;
        let relative = |factor: Scaled| volatility.times(factor.max(Scaled::ZERO));
        let skewed = |cap: &SkewCap, both: bool| -> Result<Scaled> {
            let change = self.skew(series, term, grid, cap, both)?;
            Ok(relative(Scaled::ONE.plus(change)?)?)
        };
        match (shock, &grid.volatility) {
            (VolatilityShock::Same, _) => Ok(volatility),
            (VolatilityShock::SkewLinear, _) => skewed(&grid.skew.linear, false),
            (VolatilityShock::SkewAbsolute, _) => skewed(&grid.skew.absolute, true),
            (VolatilityShock::Up, VolatilityRange::Relative { up, least_up, .. }) => {
                let change = number(*up)?.times(self.multiple)?;
                Ok(relative(Scaled::ONE.plus(change)?)?.max(number(*least_up)?))
            }
            (VolatilityShock::Down, VolatilityRange::Relative { down, .. }) => {
                let change = number(*down)?.times(self.multiple)?;
                Ok(relative(Scaled::ONE.minus(change)?)?)
            }
            (VolatilityShock::Up, VolatilityRange::Absolute { range, least }) => {
                Ok(volatility.plus(number(*range)?)?.max(number(*least)?))
            }
            (VolatilityShock::Down, VolatilityRange::Absolute { range, least }) => {
                Ok(volatility.minus(number(*range)?)?.max(number(*least)?))
            }
        }
    }

    /// The relative change of a volatility by a skew shock.
    fn skew(
        &self,
        series: &Series,
        term: &Term,
        grid: &Grid,
        cap: &SkewCap,
        both: bool,
    ) -> Result<Scaled> {
        let k = ln(number(series.strike)?.over(number(term.forward)?)?)?;
        let k = if both { k.abs() } else { k };
        let (cap, width) = skew_shape(&grid.skew, cap, self.root)?;
        let change = k.times(cap)?.over(width)?;
        Ok(if k.is_negative() {
            change.max(cap.negated())
        } else {
            change.min(cap)
        })
    }
}

/// The volatilities of a series with volatility up, and with it down.
pub(super) fn up_and_down(series: &Series, term: &Term, grid: &Grid) -> Result<(Scaled, Scaled)> {
    let shape = Shape::new(term, grid, &[])?;
    let shocked = |shock| shape.volatility(series, term, shock, grid);
    Ok((
        shocked(VolatilityShock::Up)?,
        shocked(VolatilityShock::Down)?,
    ))
}

/// The cap `c` and the width `k*` of a skew shock.
pub(super) fn skew_shape(
    skew: &super::Skew,
    cap: &SkewCap,
    root: Scaled,
) -> Result<(Scaled, Scaled)> {
    let cap = signed_number(cap.flat)?.plus(signed_number(cap.per_root_year)?.times(root)?)?;
    let level =
        signed_number(skew.level)?.plus(signed_number(skew.level_per_root_year)?.times(root)?)?;
    let width = root.times(number(skew.width)?)?.times(level)?;
    Ok((cap, width.max(number(skew.least_width)?)))
}

/// A price after a move, `settled` of it standing still.
pub(super) fn shocked(
    shock: PriceShock,
    price: Price,
    settled: Price,
    by: Signed,
) -> Result<Scaled> {
    let (price, settled, by) = (number(price)?, number(settled)?, signed_number(by)?);
    Ok(match shock {
        PriceShock::Relative => {
            let part = price.minus(settled)?;
            part.times(Scaled::ONE.plus(by)?)?.plus(settled)?
        }
        PriceShock::Absolute { range } => price
            .plus(by.times(number(range)?)?)?
            .max(number(LEAST_FORWARD)?),
    })
}

/// `(30 d / max(time left, least_days))^p`; one where the range is absolute.
fn multiple(range: &VolatilityRange, years: Scaled) -> Result<Scaled> {
    let VolatilityRange::Relative {
        short_power,
        long_power,
        least_days,
        ..
    } = range
    else {
        return Ok(Scaled::ONE);
    };
    let month = black76::years(30 * 86_400)?;
    let least = number(*least_days)?.over(Scaled::from(365u64))?;
    let power = if years <= month {
        short_power
    } else {
        long_power
    };
    Ok(pow(month.over(years.max(least))?, number(*power)?)?)
}

/// `base·exp(± T·(max(0, r)·per_rate + flat))`.
fn growth(discount: &StaticDiscount, term: &Term, down: bool) -> Result<Scaled> {
    let rate = term
        .rate
        .max(Scaled::ZERO)
        .times(number(discount.per_rate)?)?
        .plus(number(discount.flat)?)?
        .times(term.years)?;
    let growth = exp(if down { rate.negated() } else { rate })?;
    Ok(number(discount.base)?.times(growth)?)
}

/// `flat + per_year·T`, rounded up.
fn basis_factor(basis: &Basis, term: &Term) -> Result<Unsigned> {
    if basis.per_year.is_zero() {
        return Ok(basis.flat);
    }
    let factor = number(basis.per_year)?
        .times(term.years)?
        .plus(number(basis.flat)?)?;
    Ok(Unsigned::from_inner(factor.to_18_decimals_ceil()?))
}
