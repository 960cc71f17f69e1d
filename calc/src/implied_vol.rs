//! `implied_vol`: the volatility at which Black-76 gives a price.
//!
//! A solver in doubles, such as Jäckel's (2013), has sixteen digits; this one inverts the chain's own price and has as many as that.
//! Newton's steps go in the logarithm of the price out of the money, which is concave in `s = σ√T`: from below they stay below.

use crate::{
    input::{decimal, Input},
    options::Terms,
    Error, Result,
};
use novate_math::{
    black76::{self, Expiry, Kind, Level},
    ln, Scaled,
};
use serde_json::{json, Value};

/// Beyond so many bits below the greater of forward and strike, a price in the money tells nothing: the discount has an error of 2⁻¹¹⁵.
const GRAIN: i32 = -112;
/// A step of less than so many bits of `s` is the last.
const LAST_STEP: i32 = -96;
/// How near the price has to be in the end.
const NEAR: i32 = -60;
/// Doublings and halvings to find where to start.
const MOST_DOUBLINGS: u32 = 512;
/// Steps at most; a dozen are usual.
const MOST_STEPS: u32 = 256;

/// The volatility per √year at which the option is worth `price`; about 28 digits where the price tells that many.
///
/// Errors: `below_intrinsic`, `at_intrinsic`, `at_upper_bound`, `above_upper_bound`: no volatility gives such a price; `no_time`: at expiry none
/// matters; `unresolved`: it lies in a tail that Black-76 cuts off, below 10⁻²⁹⁸ of forward and strike.
pub fn implied_volatility(terms: &Terms, kind: Kind, price: Scaled) -> Result<Scaled> {
    let (expiry, (forward, strike)) = (terms.expiry()?, terms.levels()?);
    let price = price.over(expiry.discount())?;
    let payoff = terms.forward.minus(terms.strike)?;
    let (payoff, bound, other) = match kind {
        Kind::Call => (payoff, terms.forward, Kind::Put),
        Kind::Put => (payoff.negated(), terms.strike, Kind::Call),
    };
    let in_the_money = payoff.is_positive();
    let intrinsic = if in_the_money { payoff } else { Scaled::ZERO };
    let grain = terms.forward.max(terms.strike).shift(GRAIN)?;
    let grain_below = if in_the_money { grain } else { Scaled::ZERO };

    let time_value = price.minus(intrinsic)?;
    let no = |name, words: &str| Err(Error::new(name, words));
    if time_value < grain_below.negated() {
        return no(
            "below_intrinsic",
            "the price is below what exercise at the forward is worth",
        );
    }
    if time_value <= grain_below {
        return no(
            "at_intrinsic",
            "the price is what exercise at the forward is worth",
        );
    }
    let to_bound = bound.minus(price)?;
    if to_bound < grain.negated() {
        return no(
            "above_upper_bound",
            "the price is above the discounted forward (call) or strike (put)",
        );
    }
    if to_bound <= grain {
        return no(
            "at_upper_bound",
            "the price is the discounted forward (call) or strike (put)",
        );
    }
    if terms.years.is_zero() {
        return no(
            "no_time",
            "at expiry an option is worth its payoff at any volatility",
        );
    }
    let out_of_the_money = if in_the_money { other } else { kind };
    let s = deviation(&forward, &strike, out_of_the_money, time_value)?;
    Ok(s.over(terms.years.sqrt_floor()?)?)
}

/// `s` at which an option out of the money is worth `target` before discounting.
fn deviation(forward: &Level, strike: &Level, kind: Kind, target: Scaled) -> Result<Scaled> {
    // In a year without interest, s is the volatility.
    let year = Expiry::new(Scaled::ONE, Scaled::ZERO)?;
    let at = |s| black76::greeks(kind, forward, strike, s, &year);
    let (mut low, mut high) = (Scaled::ONE, Scaled::ONE);
    for _ in 0..MOST_DOUBLINGS {
        if at(low)?.price <= target {
            break;
        }
        (low, high) = (low.shift(-1)?, low);
    }
    for _ in 0..MOST_DOUBLINGS {
        if at(high)?.price >= target {
            break;
        }
        (low, high) = (high, high.shift(1)?);
    }

    let mut s = low;
    for _ in 0..MOST_STEPS {
        let now = at(s)?;
        if now.price > target {
            high = s;
        } else {
            low = s;
        }
        let newton = if now.price.is_zero() || now.vega.is_zero() {
            None
        } else {
            let step = ln(now.price.over(target)?)?.times(now.price.over(now.vega)?)?;
            Some(s.minus(step)?)
        };
        let next = match newton.filter(|next| low <= *next && *next <= high) {
            Some(next) => next,
            None => low.plus(high)?.shift(-1)?,
        };
        let moved = next.minus(s)?.abs();
        s = next;
        if moved <= s.shift(LAST_STEP)? {
            break;
        }
    }
    let off = at(s)?.price.minus(target)?.abs();
    if off > target.shift(NEAR)? {
        return Err(Error::new(
            "unresolved",
            "the price lies in a tail that Black-76 cuts off",
        ));
    }
    Ok(s)
}

/// `{"type", "F", "K", "T", "r", "price"}` to `{"v"}`.
pub fn case(input: &Input) -> Result<Value> {
    let kind = input
        .get("type")?
        .one_of(&[("call", Kind::Call), ("put", Kind::Put)])?;
    let price = input.get("price")?.number()?;
    let volatility = implied_volatility(&Terms::read(input)?, kind, price)?;
    Ok(json!({ "v": decimal(volatility)? }))
}
