//! What an account holds in each underlying, as the model takes it, from the view of the markets.
//!
//! - *Forwards* are those that the chain marks with: of an option's expiry the one that the market's `index` holds, of an expiry with futures alone what they
//!   settle at if the index stays where it is.
//! - *Volatilities* are such that `σ·√T` is what marks are reckoned with: they have the variance of the settlement mean, which is less than the index's. In
//!   the last half hour the deviation is of what is open of the forward; of the whole it is that times the open share.
//! - *By parts* is the linear model's own sum, with the fractions in force.
//! - *By scan* contingencies are rates of notional, of a linear contract at its mark and of an option at its forward. What open interest, confidence and
//!   depeg add to the linear rule's initial margin they add here too, to the same notional: a hedge is no way around a market that is full. Of each
//!   position that is not a long option maintenance margin is a dollar at least, as everywhere.
//! - *What follows volatility* (section 12) multiplies scan risk as it does the tiers' fractions, by the largest factor of the markets held: rows are priced once
//!   a close for everybody, so it is losses that grow, and not the grid's moves.
//! - *Collateral* is not in it: equity counts it after its haircut.
//! - What has settled is cash.

use super::{
    cash_ceil,
    fine::{number, scale_ceil, times, Fine, Unit},
    holdings::Holdings,
    prices::up_and_down,
    scan, Contract, Grid, Leg, Margins, PortfolioParams, Prices, Rates, Scan, Scenario, Series,
    Term, Underlying, Unsigned,
};
use crate::{
    greeks::{open_share, variance_of},
    initial_ceil,
    linear::MIN_MAINTENANCE,
    maintenance_ceil,
    options::{kind_of, mean_share},
    Forward, ModelError, VARIANCE_UNIT,
};
use alloc::vec::Vec;
use codec::{Decode, Encode};
use novate_math::Scaled;
use novate_types::{
    math::{add, ppm_ceil, price_of, signed},
    Cash, Contract as Terms, FeedId, MarginAccount, MarketView, MathError, Millis, Ppm, Price,
    RiskView, SignedLots,
};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};
use sp_arithmetic::{traits::Zero, FixedPointNumber};

type Result<T> = core::result::Result<T, ModelError>;

/// An account's positions in one underlying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portfolio {
    /// The feed of the underlying.
    pub underlying: FeedId,
    /// The underlying, and of its expiries and series those that the account holds something in.
    pub market: Underlying,
    /// The positions.
    pub legs: Vec<Leg>,
    /// What they need one by one, by the linear model.
    pub by_parts: Margins,
    /// When each of the terms ends.
    expiries: Vec<Millis>,
    /// Of each leg, what is added to its initial margin fraction.
    added: Vec<Ppm>,
    /// What is added to scan risk, in ppm of it: the most of its markets.
    pub(super) scan_added: Ppm,
}

impl Portfolio {
    /// By underlying, in the order in which the account holds them.
    pub fn of(account: &MarginAccount, view: &RiskView) -> Result<Vec<Self>> {
        let mut all = Vec::<Self>::new();
        for position in &account.positions {
            let market = view.market(position.market)?;
            if market.contract.settled {
                continue;
            }
            let known = all.iter().position(|p| p.underlying == market.underlying);
            let at = known.unwrap_or(all.len());
            if known.is_none() {
                all.push(Self::empty(market.underlying, market.index));
            }
            let portfolio = all.get_mut(at).ok_or(ModelError::Missing)?;
            portfolio.hold(market, position.lots, view.now, None)?;
            let parts = &mut portfolio.by_parts;
            parts.maintenance = add(parts.maintenance, maintenance_ceil(market, position.lots)?)?;
            parts.initial = add(parts.initial, initial_ceil(market, position.lots)?)?;
        }
        Ok(all)
    }

    pub(super) const fn empty(underlying: FeedId, index: Price) -> Self {
        let one = Unsigned::from_inner(Unsigned::DIV);
        Self {
            underlying,
            market: Underlying {
                index,
                confidence: one,
                settlement: one,
                open_interest: 0,
                terms: Vec::new(),
                series: Vec::new(),
            },
            legs: Vec::new(),
            by_parts: Margins {
                maintenance: 0,
                initial: 0,
            },
            expiries: Vec::new(),
            added: Vec::new(),
            scan_added: 0,
        }
    }

    /// Adds a position. Of an option whose volatility is not known it is reckoned.
    pub(super) fn hold(
        &mut self,
        market: &MarketView,
        lots: SignedLots,
        now: Millis,
        known: Option<Unsigned>,
    ) -> Result<()> {
        let forward = Forward {
            price: market.index,
            settled: market.contract.fixed.min(market.index),
            left: market.contract.expiry.saturating_sub(now),
        };
        let contract = match market.contract.kind.right() {
            None => Contract::Linear {
                mark: market.mark,
                lot_size: market.lot_size,
                term: match market.contract.expiry {
                    0 => None,
                    _ => Some(self.term(market, &forward)?),
                },
                mmf: market.mmf,
                imf: market.imf,
            },
            Some(right) => {
                let term = self.term(market, &forward)?;
                let volatility = match known {
                    Some(volatility) => volatility,
                    None => volatility(market, &forward, self.market.term(term)?.years)?,
                };
                let series = Series {
                    term,
                    strike: price_of(market.contract.strike, market.tick_size)?,
                    volatility,
                    lot_size: market.lot_size,
                };
                let kind = kind_of(right);
                let series = place_of(&mut self.market.series, series)?;
                Contract::Option { series, kind }
            }
        };
        self.legs.push(Leg { contract, lots });
        self.added.push(market.contract.initial_added);
        self.scan_added = self.scan_added.max(market.contract.scan_added);
        Ok(())
    }

    /// Whether its positions may offset each other: there is an option in it, or it is both long and short. Else the linear rule alone says what it needs.
    pub fn is_netted(&self) -> bool {
        let is_option = |leg: &Leg| matches!(leg.contract, Contract::Option { .. });
        let is_on = |sign| self.legs.iter().any(|leg| leg.lots.signum() == sign);
        self.legs.iter().any(is_option) || (is_on(1) && is_on(-1))
    }

    /// What it needs by scan, `added` to its risk, in ppm of it.
    pub(super) fn required_by_scan(&self, added: Ppm, prices: &mut Prices) -> Result<Margins> {
        let holdings = Holdings::of(&self.legs, &self.market)?;
        let risk = scan::risk(&holdings, prices)?;
        let risk = add(risk, ppm_of(risk, added)?)?;
        let params = prices.params();
        let rules = &params.contingencies;
        let mut maintenance = scale_ceil(risk, params.factors.maintenance)?;
        let mut initial = scale_ceil(risk, params.factors.initial)?;
        let mut rates = |notional: Fine, rates: &Rates| -> Result<()> {
            let base = scale_ceil(notional, rates.maintenance)?;
            let extra = scale_ceil(notional, rates.initial_extra)?;
            maintenance = add(maintenance, base)?;
            initial = add(add(initial, base)?, extra)?;
            Ok(())
        };
        let mut least: Cash = 0;
        let mut added: Fine = 0;
        for (leg, ppm) in self.legs.iter().zip(&self.added) {
            let many = i128::from(leg.lots.unsigned_abs());
            let notional = match leg.contract {
                Contract::Linear { mark, lot_size, .. } => {
                    let notional = times(many, Unit::of(lot_size)?.at(mark)?)?;
                    rates(notional, &rules.linear)?;
                    notional
                }
                Contract::Option { series, .. } if leg.lots < 0 => {
                    let series = self.market.series(series)?;
                    let forward = self.market.term(series.term)?.forward;
                    times(many, Unit::of(series.lot_size)?.at(forward)?)?
                }
                _ => continue,
            };
            least = add(least, MIN_MAINTENANCE)?;
            added = add(added, ppm_of(notional, *ppm)?)?;
        }
        for ((term, series), held) in &holdings.options {
            let unit = Unit::of(self.market.series(*series)?.lot_size)?;
            let forward = self.market.term(*term)?.forward;
            let notional = times(held.net_short()?, unit.at(forward)?)?;
            rates(notional, &rules.short_option)?;
        }
        let maintenance = cash_ceil(maintenance)?.max(least);
        Ok(Margins {
            maintenance,
            initial: cash_ceil(add(initial, added)?)?.max(maintenance),
        })
    }

    /// The place of the market's expiry.
    fn term(&mut self, market: &MarketView, forward: &Forward) -> Result<u16> {
        let expiry = market.contract.expiry;
        // Whole seconds, of which there is one as long as there is time.
        let seconds = forward.left.div_ceil(1_000);
        let mut term = Term::undiscounted(seconds, forward.price)?;
        // What is known of the mean, instead of what time alone says.
        term.settled = forward.settled;
        let known = self.expiries.iter().position(|known| *known == expiry);
        let at = match known {
            Some(at) => {
                // An option's forward has the basis too, which a future knows as its mark.
                if let (true, Some(known)) = (
                    market.contract.kind.is_option(),
                    self.market.terms.get_mut(at),
                ) {
                    *known = term;
                }
                at
            }
            None => {
                self.expiries.push(expiry);
                self.market.terms.push(term);
                self.expiries.len().saturating_sub(1)
            }
        };
        u16::try_from(at).map_err(|_| MathError::Overflow.into())
    }

    /// What it needs under a grid, and where it loses most.
    pub fn scan(&self, params: &PortfolioParams) -> Result<Scanned> {
        let mut prices = Prices::new(&self.market, params)?;
        let margins = self.required_by_scan(self.scan_added, &mut prices)?;
        let scan = Scan::of(&self.legs, &mut prices)?;
        let loss = scan.risk();
        let worst = scan.worst().and_then(|at| {
            let scenario = params.grid.scenarios.get(at)?;
            (*scan.losses.get(at)? == loss).then_some(*scenario)
        });
        Ok(Scanned {
            margins,
            loss: cash_ceil(loss)?,
            worst: match worst {
                _ if loss == 0 => Worst::Nothing,
                Some(scenario) => Worst::Scenario(scenario),
                None => Worst::Basis,
            },
        })
    }
}

/// A portfolio under a grid. All in quantums, rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// What it needs by scan.
    pub margins: Margins,
    /// The scan risk: its worst loss, as the grid weighs it.
    pub loss: Cash,
    /// Where that is.
    pub worst: Worst,
}

/// Where a portfolio loses most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Worst {
    /// It loses nowhere.
    Nothing,
    /// In a scenario of the grid, the first of those that are equally bad.
    Scenario(Scenario),
    /// Where the forwards of different expiries move by themselves.
    Basis,
}

/// The volatility that gives a series, over `years`, the deviation that its mark was reckoned with.
fn volatility(market: &MarketView, forward: &Forward, years: Scaled) -> Result<Unsigned> {
    if years.is_zero() {
        return Ok(Unsigned::zero());
    }
    let variance = number(variance_of(market)?)?.times(mean_share(forward.left)?)?;
    let annual = variance.over(years)?.sqrt_floor()?;
    let volatility = annual.times(open_share(forward)?)?;
    Ok(Unsigned::from_inner(volatility.to_18_decimals_nearest()?))
}

/// The variances that an option has, in parts of [`VARIANCE_UNIT`], with the volatility of what is open of its forward up and down by the range of
/// a grid.
pub(crate) fn up_and_down_variances(
    market: &MarketView,
    now: Millis,
    grid: &Grid,
) -> Result<(u64, u64)> {
    let contract = Terms {
        fixed: Price::zero(),
        ..market.contract
    };
    let open = MarketView {
        contract,
        ..market.clone()
    };
    let mut alone = Portfolio::empty(market.underlying, market.index);
    alone.hold(&open, 1, now, None)?;
    let (series, term) = (alone.market.series(0)?, alone.market.term(0)?);
    let share = mean_share(contract.expiry.saturating_sub(now))?;
    // The other way round than [`volatility`].
    let variance = |volatility: Scaled| -> Result<u64> {
        let variance = volatility.times(volatility)?.times(term.years)?;
        let parts = variance.over(share)?.to_18_decimals_nearest()? / VARIANCE_UNIT;
        Ok(u64::try_from(parts).map_err(|_| MathError::Overflow)?)
    };
    let (up, down) = up_and_down(series, term, grid)?;
    Ok((variance(up)?, variance(down)?))
}

/// `⌈notional · ppm⌉`.
fn ppm_of(notional: Fine, ppm: Ppm) -> Result<Fine> {
    Ok(signed(ppm_ceil(notional.unsigned_abs(), ppm)?)?)
}

/// The place of an equal series, added if there is none.
fn place_of(list: &mut Vec<Series>, wanted: Series) -> Result<u16> {
    let known = list.iter().position(|series| *series == wanted);
    let at = known.unwrap_or_else(|| {
        list.push(wanted);
        list.len().saturating_sub(1)
    });
    u16::try_from(at).map_err(|_| MathError::Overflow.into())
}
