//! What an account holds in each underlying, as the model takes it, from the view of the markets.
//!
//! - *Forwards* are those that the chain marks with: of an option's expiry the one that the market's `index` holds, of an expiry with futures alone what they
//!   settle at if the index stays where it is. The index is that of the underlying's perpetual, or else of what expires first.
//! - *Volatilities* are such that `σ·√T` is what marks are reckoned with: they have the variance of the settlement mean, which is less than the index's. In
//!   the last half hour the deviation is of what is open of the forward; of the whole it is that times the open share.
//! - *By parts* is the linear model's own sum, with the fractions in force: open interest, confidence and depeg add to them there. The scan adds nothing for
//!   these, as the view tells neither open notional nor confidence nor the settlement currency's price.
//! - *Collateral* is not in it: equity counts it after its haircut.
//! - What has settled is cash.

use super::{
    cash_ceil, fine::number, Contract, Leg, Margins, PortfolioMargin, PortfolioParams, Prices,
    Scan, Scenario, Series, Signed, Term, Underlying, Unsigned,
};
use crate::{
    greeks::{open_share, variance_of},
    initial_ceil, maintenance_ceil,
    options::{kind_of, mean_share},
    Forward, ModelError,
};
use alloc::vec::Vec;
use codec::{Decode, Encode};
use novate_math::Scaled;
use novate_types::{
    math::{add, price_of},
    Cash, FeedId, MarginAccount, MarketView, MathError, Millis, Price, RiskView, SignedLots,
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
}

impl Portfolio {
    /// By underlying, in the order in which the account holds them. `settled` is what of a contract's settlement no price can move any more.
    pub fn of(
        account: &MarginAccount,
        view: &RiskView,
        settled: impl Fn(&MarketView) -> Price,
    ) -> Result<Vec<Self>> {
        let mut all = Vec::<Self>::new();
        for position in &account.positions {
            let market = view.market(position.market)?;
            if market.contract.settled {
                continue;
            }
            let known = all.iter().position(|p| p.underlying == market.underlying);
            let at = known.unwrap_or(all.len());
            if known.is_none() {
                all.push(Self::empty(view, market));
            }
            let portfolio = all.get_mut(at).ok_or(ModelError::Missing)?;
            let forward = Forward {
                price: market.index,
                settled: settled(market).min(market.index),
                left: market.contract.expiry.saturating_sub(view.now),
            };
            portfolio.hold(market, position.lots, &forward)?;
        }
        Ok(all)
    }

    fn empty(view: &RiskView, market: &MarketView) -> Self {
        let one = Unsigned::from_inner(Unsigned::DIV);
        // A perpetual's expiry is zero: it is the first.
        let nearest = view
            .markets
            .iter()
            .filter(|m| m.underlying == market.underlying && !m.contract.settled)
            .filter(|m| !m.contract.kind.is_combination())
            .min_by_key(|m| m.contract.expiry)
            .unwrap_or(market);
        Self {
            underlying: market.underlying,
            market: Underlying {
                index: nearest.index,
                confidence: one,
                settlement: one,
                open_interest: 0,
                terms: Vec::new(),
                series: Vec::new(),
            },
            legs: Vec::new(),
            by_parts: Margins::default(),
            expiries: Vec::new(),
        }
    }

    fn hold(&mut self, market: &MarketView, lots: SignedLots, forward: &Forward) -> Result<()> {
        let parts = &mut self.by_parts;
        parts.maintenance = add(parts.maintenance, maintenance_ceil(market, lots)?)?;
        parts.initial = add(parts.initial, initial_ceil(market, lots)?)?;
        let contract = match market.contract.kind.right() {
            None => Contract::Linear {
                mark: market.mark,
                lot_size: market.lot_size,
                term: match market.contract.expiry {
                    0 => None,
                    _ => Some(self.term(market, forward)?),
                },
                mmf: market.mmf,
                imf: market.imf,
            },
            Some(right) => {
                let term = self.term(market, forward)?;
                let series = Series {
                    term,
                    strike: price_of(market.contract.strike, market.tick_size)?,
                    volatility: volatility(market, forward, self.market.term(term)?.years)?,
                    lot_size: market.lot_size,
                };
                let kind = kind_of(right);
                let series = place_of(&mut self.market.series, series)?;
                Contract::Option { series, kind }
            }
        };
        self.legs.push(Leg { contract, lots });
        Ok(())
    }

    /// The place of the market's expiry.
    fn term(&mut self, market: &MarketView, forward: &Forward) -> Result<u16> {
        let expiry = market.contract.expiry;
        // Whole seconds, of which there is one as long as there is time.
        let seconds = forward.left.div_ceil(1_000);
        let mut term = Term::new(seconds, forward.price, forward.settled, Signed::zero())?;
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
        let margins = PortfolioMargin::of(&self.legs, &mut prices)?.by_scan;
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

/// The place of an equal series, added if there is none.
fn place_of(list: &mut Vec<Series>, wanted: Series) -> Result<u16> {
    let known = list.iter().position(|series| *series == wanted);
    let at = known.unwrap_or_else(|| {
        list.push(wanted);
        list.len().saturating_sub(1)
    });
    u16::try_from(at).map_err(|_| MathError::Overflow.into())
}
