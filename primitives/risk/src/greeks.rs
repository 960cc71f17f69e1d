//! Greeks: what a unit, a position and an account gain by small moves, in the names and units of Deribit.
//!
//! | | unit | of |
//! |---|---|---|
//! | delta | USD for each USD | the underlying's price |
//! | gamma | delta for each USD | the underlying's price |
//! | vega | USD for each volatility point (0.01 a year) | the volatility of the option's own strike and expiry |
//! | theta | USD a day | time; within the last day what is left of it, `−min(\|θ\|·min(T, 1 day), value)` |
//! | rho | USD for each percentage point (0.01 a year) | the interest rate, the spot price staying: `T·(F·Δ − V)` |
//!
//! **Options.** Those of the mark ([`crate::options`]): Black-76 on what of the settlement mean is still open, with the variance that a mean has. As time
//! passes the volatility stays, and so does the forward. Before the last [`SETTLEMENT_MILLIS`] time takes variance from the mean one for one; within them a
//! third as much, and the part of the forward that stands grows at the expense of the one that is open:
//!
//! ```text
//! −dV/dt = F'·φ(d₁)·σ²/(6·s) + (N(d₁) − N(d₂))·F'/τ        F' = F − x, s = σ·√(τ/3)
//! ```
//!
//! **What stands does not move.** A move of the underlying takes with it only what is open of an expiry's forward, in proportion. So within the last half
//! hour delta and gamma of futures and options are those of the forward times the open share `(F − x)/F` (gamma twice), and a perpetual against them is the hedge it
//! seems to be. Before, the share is one: a perpetual and a future have a delta of 1.
//!
//! **Rho.** No rate enters a mark. With one, what is open of the forward would grow as the spot price does not, and what an option pays would be worth less by
//! then: `T·(F'·Δ' − V)` for an option, `Δ'` being that of the open part, `T·F'` for a future, which pays nothing before it settles, nothing for a perpetual.
//!
//! Numbers of a unit are rounded to the nearest 10⁻¹⁸, those of a position towards zero, and sums are exact.

use crate::{
    options::{kind_of, mean_share, number},
    portfolio::{Signed, Unsigned},
    Forward, ModelError, SETTLEMENT_MILLIS, VARIANCE_UNIT,
};
use alloc::vec::Vec;
use codec::{Decode, Encode};
use novate_math::{
    black76::{self, Expiry, Level, SECONDS_PER_YEAR},
    Scaled,
};
use novate_types::{
    math::{mul_div_floor, price_of, signed},
    ContractKind, FeedId, MarginAccount, MarketView, MathError, Millis, OptionRight, Price,
    RiskView, SignedLots, Size,
};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};
use sp_arithmetic::{
    traits::{CheckedAdd, One, Zero},
    FixedPointNumber,
};

/// Milliseconds of a year of 365 days.
const YEAR: u128 = SECONDS_PER_YEAR as u128 * 1_000;

/// How a value moves. See the [module](self) for units.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize,
)]
pub struct Greeks {
    /// USD per USD of the underlying.
    pub delta: Signed,
    /// Delta per USD of the underlying.
    pub gamma: Signed,
    /// USD per volatility point.
    pub vega: Signed,
    /// USD per day.
    pub theta: Signed,
    /// USD per percentage point of the interest rate, the spot price staying.
    pub rho: Signed,
}

impl Greeks {
    /// Of what moves with the underlying in this proportion, as a straight line does.
    const fn linear(delta: Signed, rho: Signed) -> Self {
        Self {
            delta,
            gamma: Signed::from_inner(0),
            vega: Signed::from_inner(0),
            theta: Signed::from_inner(0),
            rho,
        }
    }

    /// Both together.
    pub fn plus(&self, other: &Self) -> Result<Self, MathError> {
        let sum = |a: Signed, b: Signed| a.checked_add(&b).ok_or(MathError::Overflow);
        Ok(Self {
            delta: sum(self.delta, other.delta)?,
            gamma: sum(self.gamma, other.gamma)?,
            vega: sum(self.vega, other.vega)?,
            theta: sum(self.theta, other.theta)?,
            rho: sum(self.rho, other.rho)?,
        })
    }

    /// Of a position in it: `lots · lot_size` times those of a unit, rounded towards zero, so that the other side of it has the same with the other
    /// sign.
    pub fn of_lots(&self, lots: SignedLots, lot_size: Size) -> Result<Self, MathError> {
        let size = u128::from(lots.unsigned_abs())
            .checked_mul(lot_size.into_inner())
            .ok_or(MathError::Overflow)?;
        let times = |unit: Signed| -> Result<Signed, MathError> {
            let unit = unit.into_inner();
            let magnitude = signed(mul_div_floor(size, unit.unsigned_abs(), Price::DIV)?)?;
            Ok(Signed::from_inner(if (lots < 0) == (unit < 0) {
                magnitude
            } else {
                // Not the least number: it was a magnitude.
                magnitude.saturating_neg()
            }))
        };
        Ok(Self {
            delta: times(self.delta)?,
            gamma: times(self.gamma)?,
            vega: times(self.vega)?,
            theta: times(self.theta)?,
            rho: times(self.rho)?,
        })
    }
}

/// The nearest number of 18 decimals.
pub(crate) fn fixed(x: Scaled) -> Result<Signed, ModelError> {
    let magnitude = signed(x.abs().to_18_decimals_nearest()?)?;
    Ok(Signed::from_inner(if x.is_negative() {
        magnitude.saturating_neg()
    } else {
        magnitude
    }))
}

/// Milliseconds in years of 365 days.
fn years(left: Millis) -> Result<Scaled, ModelError> {
    Ok(Scaled::ratio(left.into(), YEAR)?)
}

/// `σ` of a total variance `σ²T`: zero where no time is left.
fn annual(variance: Unsigned, left: Millis) -> Result<Scaled, ModelError> {
    if left == 0 {
        return Ok(Scaled::ZERO);
    }
    Ok(number(variance)?.over(years(left)?)?.sqrt_floor()?)
}

/// The volatility a year, 1.00 being 100 %, that an option's mark was reckoned with, rounded down. None of what is no option, has settled or has no time left,
/// and before the first mark.
pub fn mark_volatility_floor(
    market: &MarketView,
    now: Millis,
) -> Result<Option<Unsigned>, ModelError> {
    let left = market.contract.expiry.saturating_sub(now);
    if !market.contract.kind.is_option() || !is_alive(market) || left == 0 {
        return Ok(None);
    }
    let volatility = annual(variance_of(market)?, left)?;
    Ok(Some(Unsigned::from_inner(
        volatility.to_18_decimals_floor()?,
    )))
}

/// The variance until the expiry that an option's mark was reckoned with.
pub(crate) fn variance_of(market: &MarketView) -> Result<Unsigned, MathError> {
    u128::from(market.contract.variance)
        .checked_mul(VARIANCE_UNIT)
        .map(Unsigned::from_inner)
        .ok_or(MathError::Overflow)
}

/// It has a mark, and something can still move that.
fn is_alive(market: &MarketView) -> bool {
    !market.contract.settled && !market.mark.is_zero()
}

/// Those of a unit of an option, whose mark is [`crate::option_mark_floor`] of the same arguments.
pub fn option_greeks(
    right: OptionRight,
    forward: &Forward,
    strike: Price,
    variance: Unsigned,
) -> Result<Greeks, ModelError> {
    let settled = forward.settled.min(forward.price).into_inner();
    let above = |price: Price| price.into_inner().checked_sub(settled);
    let Some(open) = above(forward.price).filter(|open| *open > 0) else {
        return Ok(Greeks::default());
    };
    let share = open_share(forward)?;
    let open = Scaled::from_18_decimals(open)?;
    let left = years(forward.left)?;
    let Some(beyond) = above(strike).filter(|beyond| *beyond > 0) else {
        // What has happened is above the strike already: a call is a future less its strike, a put is worth nothing.
        let price = Scaled::from_18_decimals(forward.price.into_inner())?
            .minus(Scaled::from_18_decimals(strike.into_inner())?)?;
        return Ok(match right {
            OptionRight::Call => Greeks::linear(fixed(share)?, rho(left, open, price)?),
            OptionRight::Put => Greeks::default(),
        });
    };
    let beyond = Scaled::from_18_decimals(beyond)?;
    let of_mean = black76::greeks(
        kind_of(right),
        &Level::new(open)?,
        &Level::new(beyond)?,
        annual(variance, forward.left)?,
        &Expiry::new(left.times(mean_share(forward.left)?)?, Scaled::ZERO)?,
    )?;
    let theta = if forward.left > SETTLEMENT_MILLIS || forward.left == 0 {
        of_mean.theta
    } else {
        // N(d₁) − N(d₂), of call and put alike.
        let strike_part = of_mean.price.minus(open.times(of_mean.delta)?)?;
        let between = of_mean.delta.plus(strike_part.over(beyond)?)?;
        let standing = between.times(open)?.over(left)?;
        of_mean.theta.over(Scaled::from(3u64))?.minus(standing)?
    };
    let shown = black76::Greeks { theta, ..of_mean };
    Ok(Greeks {
        delta: fixed(of_mean.delta.times(share)?)?,
        gamma: fixed(of_mean.gamma.times(share)?.times(share)?)?,
        vega: fixed(shown.vega_per_point()?)?,
        theta: fixed(shown.theta_per_day(&Expiry::new(left, Scaled::ZERO)?)?)?,
        rho: rho(left, open.times(of_mean.delta)?, of_mean.price)?,
    })
}

/// Per percentage point: of what grows with the forward and is worth `price`, paid at the end of so many years.
fn rho(years: Scaled, moving: Scaled, price: Scaled) -> Result<Signed, ModelError> {
    let whole = years.times(moving.minus(price)?)?;
    fixed(whole.over(Scaled::from(100u64))?)
}

/// Those of a unit of a market's contract. None before it has a mark, and once it has settled: then it is cash.
///
/// `settled` is what of the contract's settlement no price can move any more, zero before its last [`SETTLEMENT_MILLIS`]. The view does not tell.
pub fn unit_greeks(
    market: &MarketView,
    settled: Price,
    now: Millis,
) -> Result<Option<Greeks>, ModelError> {
    // A combination's are its legs'.
    if !is_alive(market) || market.contract.kind.is_combination() {
        return Ok(None);
    }
    let forward = Forward {
        price: market.index,
        settled,
        left: market.contract.expiry.saturating_sub(now),
    };
    Ok(Some(
        match (market.contract.kind, market.contract.kind.right()) {
            (_, Some(right)) => {
                let strike = price_of(market.contract.strike, market.tick_size)?;
                option_greeks(right, &forward, strike, variance_of(market)?)?
            }
            (ContractKind::Future, _) => {
                let share = open_share(&forward)?;
                let open = share.times(Scaled::from_18_decimals(forward.price.into_inner())?)?;
                let rho = rho(years(forward.left)?, open, Scaled::ZERO)?;
                Greeks::linear(fixed(share)?, rho)
            }
            _ => Greeks::linear(Signed::one(), Signed::zero()),
        },
    ))
}

/// What part of a forward can still move; none of one that is zero.
pub(crate) fn open_share(forward: &Forward) -> Result<Scaled, ModelError> {
    let whole = forward.price.into_inner();
    let settled = forward.settled.into_inner().min(whole);
    if whole == 0 {
        return Ok(Scaled::ZERO);
    }
    let open = whole.checked_sub(settled).ok_or(MathError::Overflow)?;
    Ok(Scaled::ratio(open, whole)?)
}

/// Those of so many lots. None as of a unit.
pub fn position_greeks(
    market: &MarketView,
    lots: SignedLots,
    settled: Price,
    now: Millis,
) -> Result<Option<Greeks>, ModelError> {
    let unit = unit_greeks(market, settled, now)?;
    let whole = unit.map(|unit| unit.of_lots(lots, market.lot_size));
    Ok(whole.transpose()?)
}

/// Those of an account, by underlying: the sums of its positions' that have any. `settled` is what [`unit_greeks`] asks for, of a market.
pub fn account_greeks(
    account: &MarginAccount,
    view: &RiskView,
    settled: impl Fn(&MarketView) -> Price,
) -> Result<Vec<(FeedId, Greeks)>, ModelError> {
    let mut sums = Vec::<(FeedId, Greeks)>::new();
    for position in &account.positions {
        let market = view.market(position.market)?;
        let greeks = position_greeks(market, position.lots, settled(market), view.now)?;
        let Some(greeks) = greeks else {
            continue;
        };
        match sums.iter_mut().find(|(of, _)| *of == market.underlying) {
            Some((_, sum)) => *sum = sum.plus(&greeks)?,
            None => sums.push((market.underlying, greeks)),
        }
    }
    Ok(sums)
}
