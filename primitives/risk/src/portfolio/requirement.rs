//! The two valid requirements of a portfolio, and the lesser of them.

use super::{
    fine::{cash_ceil, from_cash, product_ceil, scale_ceil, times, Fine, Unit},
    holdings::Holdings,
    scan, Contract, Leg, Prices, Rates, ShortOption, Unsigned,
};
use crate::{linear::Margin, ModelError};
use novate_math::black76::Kind;
use novate_types::{
    math::{add, mul_div_ceil, signed, sub},
    Cash, MathError, Price,
};
use sp_arithmetic::{
    traits::{CheckedAdd, Saturating, Zero},
    FixedPointNumber,
};

type Result<T> = core::result::Result<T, ModelError>;

/// What a portfolio needs, quantums, rounded up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Margins {
    /// Below it the account is liquidated.
    pub maintenance: Cash,
    /// Below it risk may not grow.
    pub initial: Cash,
}

/// Both requirements of a portfolio in one underlying.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortfolioMargin {
    /// Each instrument by itself: the linear rule; a short option's `max(most − otm, least)·S`, a put's at most its strike; a long option's own value.
    pub by_parts: Margins,
    /// The scan risk times its factor, and the contingencies.
    pub by_scan: Margins,
}

impl PortfolioMargin {
    /// Computes both. Equity counts options as marked, linear contracts and collateral at their marks without haircuts.
    pub fn of(legs: &[Leg], prices: &mut Prices) -> Result<Self> {
        let holdings = Holdings::of(legs, prices.market())?;
        let haircuts = haircuts(legs)?;
        let by_parts = by_parts(legs, &holdings, prices)?;
        let by_scan = by_scan(legs, &holdings, prices)?;
        let margins = |sum: Sum| -> Result<Margins> {
            Ok(Margins {
                maintenance: cash_ceil(add(sum.maintenance, haircuts.maintenance)?)?,
                initial: cash_ceil(add(sum.initial, haircuts.initial)?)?,
            })
        };
        Ok(Self {
            by_parts: margins(by_parts)?,
            by_scan: margins(by_scan)?,
        })
    }

    /// The lesser of the two, of maintenance and initial margin alike.
    pub fn required(&self) -> Margins {
        Margins {
            maintenance: self.by_parts.maintenance.min(self.by_scan.maintenance),
            initial: self.by_parts.initial.min(self.by_scan.initial),
        }
    }
}

/// The options as marked; a fraction of a quantum is dropped where they are worth something, and counts where they are owed.
pub fn option_value_floor(legs: &[Leg], prices: &mut Prices) -> Result<Cash> {
    let holdings = Holdings::of(legs, prices.market())?;
    let mut sum = 0;
    for ((_, series), held) in &holdings.options {
        let mark = prices.mark(*series)?;
        sum = add(sum, times(held.call, mark.call)?)?;
        sum = add(sum, times(held.put, mark.put)?)?;
    }
    Ok(sum >> super::FINE_BITS)
}

/// What multiplies the scan risk for initial margin: the settlement currency's fall below its peg raises it.
pub fn initial_factor(prices: &Prices) -> Result<Unsigned> {
    let (factors, market) = (&prices.params().factors, prices.market());
    let below = factors.peg.saturating_sub(market.settlement);
    let depeg = product_ceil(below, factors.per_peg)?;
    let sum = factors.initial.checked_add(&depeg);
    Ok(sum.ok_or(MathError::Overflow)?)
}

/// Two margins before rounding.
#[derive(Clone, Copy, Default)]
struct Sum {
    maintenance: Fine,
    initial: Fine,
}

impl Sum {
    fn add(&mut self, maintenance: Fine, initial: Fine) -> Result<()> {
        self.maintenance = add(self.maintenance, maintenance)?;
        self.initial = add(self.initial, initial)?;
        Ok(())
    }

    /// `⌈rate · notional⌉`, and what initial margin takes on top.
    fn rates(&mut self, notional: Fine, rates: &Rates) -> Result<()> {
        let maintenance = scale_ceil(notional, rates.maintenance)?;
        let extra = scale_ceil(notional, rates.initial_extra)?;
        self.add(maintenance, add(maintenance, extra)?)
    }
}

fn haircuts(legs: &[Leg]) -> Result<Sum> {
    let mut sum = Sum::default();
    for leg in legs {
        if let Contract::Collateral {
            price,
            lot_size,
            haircut,
            ..
        } = &leg.contract
        {
            let value = times(i128::from(leg.lots), Unit::of(*lot_size)?.at(*price)?)?;
            sum.rates(value, haircut)?;
        }
    }
    Ok(sum)
}

fn by_parts(legs: &[Leg], holdings: &Holdings, prices: &mut Prices) -> Result<Sum> {
    let mut sum = Sum::default();
    for leg in legs {
        if let Contract::Linear {
            mark,
            lot_size,
            mmf,
            imf,
            ..
        } = leg.contract
        {
            let margin = Margin::at(leg.lots, mark, lot_size, mmf, imf)?;
            sum.add(from_cash(margin.maintenance)?, from_cash(margin.initial)?)?;
        }
    }
    let parts = prices.params().parts;
    let market = prices.market();
    for ((_, series), held) in &holdings.options {
        let mark = prices.mark(*series)?;
        let series = market.series(*series)?;
        let unit = Unit::of(series.lot_size)?;
        for (kind, lots) in [(Kind::Call, held.call), (Kind::Put, held.put)] {
            if lots >= 0 {
                let value = times(lots, mark.of(kind))?;
                sum.add(value, value)?;
                continue;
            }
            let short = |rule: &ShortOption| -> Result<Fine> {
                let price = short_option_ceil(rule, kind, market.index, series.strike)?;
                Ok(times(signed(lots.unsigned_abs())?, unit.at(price)?)?)
            };
            sum.add(short(&parts.maintenance)?, short(&parts.initial)?)?;
        }
    }
    Ok(sum)
}

/// What a short option of one unit needs by itself, rounded up: `max(most·S − out of the money, least·S)`, a put's at most the strike.
pub fn short_option_ceil(
    rule: &ShortOption,
    kind: Kind,
    index: Price,
    strike: Price,
) -> Result<Price> {
    let out_of_the_money = match kind {
        Kind::Call => strike.saturating_sub(index),
        Kind::Put => index.saturating_sub(strike),
    };
    let near = product_ceil(index, rule.most)?.saturating_sub(out_of_the_money);
    let needed = near.max(product_ceil(index, rule.least)?);
    Ok(match kind {
        Kind::Call => needed,
        Kind::Put => needed.min(strike),
    })
}

fn by_scan(legs: &[Leg], holdings: &Holdings, prices: &mut Prices) -> Result<Sum> {
    let risk = scan::risk(holdings, prices)?;
    let (market, params) = (prices.market(), prices.params());
    let rules = &params.contingencies;
    let mut sum = Sum::default();
    sum.add(
        scale_ceil(risk, params.factors.maintenance)?,
        scale_ceil(risk, initial_factor(prices)?)?,
    )?;

    let mut size = 0;
    for leg in legs {
        match &leg.contract {
            Contract::Linear { lot_size, .. } => {
                let lots = i128::from(leg.lots.unsigned_abs());
                let notional = times(lots, Unit::of(*lot_size)?.at(market.index)?)?;
                sum.rates(notional, &rules.linear)?;
                size = add(size, notional)?;
                sum.add(0, confidence_ceil(prices, notional, market.confidence)?)?;
            }
            Contract::Collateral {
                price,
                lot_size,
                confidence,
                ..
            } => {
                let lots = i128::from(leg.lots.unsigned_abs());
                let value = times(lots, Unit::of(*lot_size)?.at(*price)?)?;
                sum.add(0, confidence_ceil(prices, value, *confidence)?)?;
            }
            Contract::Option { .. } => {}
        }
    }
    for ((term, series), held) in &holdings.options {
        let unit = Unit::of(market.series(*series)?.lot_size)?;
        let notional = times(held.net_short()?, unit.at(market.index)?)?;
        sum.rates(notional, &rules.short_option)?;
        size = add(size, notional)?;
        let confidence = market.confidence.min(market.term(*term)?.confidence);
        sum.add(0, confidence_ceil(prices, notional, confidence)?)?;
    }
    sum.add(0, concentration_ceil(prices, size)?)?;
    for step in &rules.sizes {
        let above = sub(size, from_cash(step.above)?)?;
        sum.add(0, scale_ceil(above.max(0), step.rate)?)?;
    }
    Ok(sum)
}

/// `(1 − confidence)·per_confidence` of a notional where confidence is too low.
fn confidence_ceil(prices: &Prices, notional: Fine, confidence: Unsigned) -> Result<Fine> {
    let rules = &prices.params().contingencies;
    if confidence >= rules.least_confidence {
        return Ok(0);
    }
    let missing = Unsigned::from_inner(Unsigned::DIV).saturating_sub(confidence);
    let rate = product_ceil(missing, rules.per_confidence)?;
    Ok(scale_ceil(notional, rate)?)
}

/// `(share − least_share)·per_share` of a size that is too large a share of the open interest.
fn concentration_ceil(prices: &Prices, size: Fine) -> Result<Fine> {
    let rules = &prices.params().contingencies;
    let open = from_cash(prices.market().open_interest.max(0))?;
    if open.is_zero() || rules.per_share.is_zero() {
        return Ok(0);
    }
    let share = mul_div_ceil(size.unsigned_abs(), Unsigned::DIV, open.unsigned_abs())?;
    let over = Unsigned::from_inner(share).saturating_sub(rules.least_share);
    Ok(scale_ceil(size, product_ceil(over, rules.per_share)?)?)
}
