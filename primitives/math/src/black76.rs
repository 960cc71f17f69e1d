//! Black-76: European options on a forward, with their Greeks.
//!
//! With `s = σ√T` and the discount `D = exp(−rT)`: `call = D·(F·N(d₁) − K·N(d₂))`, `d₁ = ln(F/K)/s + s/2`, `d₂ = d₁ − s` (Black 1976).
//!
//! Computed is the side out of the money; the other follows by put–call parity. With `A` the lesser of `F` and `K`, `a = |ln(F/K)|/s` and
//! `t = s/2`, both sides' value out of the money is `A·N(t−a) − max(F, K)·N(−t−a)`. Since `F·φ(d₁) = K·φ(d₂)`, one exponential is enough: with
//! `E = exp(−(a−t)²/2)` and `N(−x) = exp(−x²/2)·tail(x)`,
//!
//! - for `a ≥ t`: `A·E·(tail(a−t) − tail(a+t))`, a product of relatively exact factors however far out;
//! - else: `A·(1 − E·(tail(t−a) + tail(a+t)))`.
//!
//! `a − t` is clamped to ±37: beyond, the value is zero or `A`, with an error of less than 10⁻²⁹⁸·A.
//!
//! ```
//! use novate_math::{black76::{self, Expiry, Kind, Level}, Scaled};
//!
//! let expiry = Expiry::new(black76::years(14 * 86_400)?, Scaled::ZERO)?;
//! let (forward, strike) = (Level::new(60_000u64.into())?, Level::new(65_000u64.into())?);
//! let volatility: Scaled = "0.55".parse()?;
//! let call = black76::greeks(Kind::Call, &forward, &strike, volatility, &expiry)?;
//! assert_eq!(call.price.to_decimal(12)?, "892.17869439");
//! assert_eq!(call.delta.to_decimal(12)?, "0.24533860063");
//!
//! // Many prices: what an expiry and a volatility come to once, then each strike.
//! let deviation = expiry.deviation(volatility)?;
//! let price = black76::price(Kind::Call, &forward, &strike, &deviation, expiry.discount())?;
//! assert_eq!(price, call.price);
//! # Ok::<(), novate_math::Error>(())
//! ```

use crate::{
    elementary, exp,
    normal::{bell, inverse_sqrt_2_pi, tail, DISTANCE_BITS},
    tables::LN_2,
    wide, Error, Result, Scaled,
};

/// The year of option maturities: 365 days.
pub const SECONDS_PER_YEAR: u64 = 31_536_000;

/// Days of [`SECONDS_PER_YEAR`].
const DAYS_PER_YEAR: u64 = 365;

/// Where `d₁` and `d₂` are cut off, in units of 2⁻¹²².
const CLAMP: u128 = 37 << DISTANCE_BITS;

/// Fractional bits of logarithms of prices, which lie within ±89.
const LN_BITS: u32 = 119;

/// Seconds as years of 365 days.
pub fn years(seconds: u64) -> Result<Scaled> {
    Scaled::ratio(u128::from(seconds), u128::from(SECONDS_PER_YEAR))
}

/// The right an option gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To buy at the strike.
    Call,
    /// To sell at the strike.
    Put,
}

/// A forward or a strike together with its logarithm. Make it once and use it for every price it takes part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    price: Scaled,
    /// In units of 2⁻¹¹⁹. Absolute error 2⁻¹¹⁸.
    ln: i128,
}

impl Level {
    /// From a price above zero in [2⁻¹²⁸, 2¹²⁸), in any unit that forward and strike share.
    pub fn new(price: Scaled) -> Result<Self> {
        if !price.is_positive() {
            return Err(Error::NotPositive);
        }
        let power = elementary::binary_exponent(price);
        if !(-128..128).contains(&power) {
            return Err(Error::PriceOutOfRange);
        }
        let (whole, _) = wide::multiply(LN_2, u128::from(power.unsigned_abs()) << LN_BITS);
        let part = elementary::ln_mantissa(price.mantissa()) >> 128u32.saturating_sub(LN_BITS);
        // Both are below 2¹²⁶.
        let (whole, part) = (whole as i128, part as i128);
        Ok(Self {
            price,
            ln: if power < 0 {
                part.saturating_sub(whole)
            } else {
                part.saturating_add(whole)
            },
        })
    }

    /// The price.
    pub const fn price(&self) -> Scaled {
        self.price
    }
}

/// `s = σ√T`, what volatility and time come to, with its reciprocal. Make it once for every pair of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deviation {
    s: Scaled,
    /// `1/s`; zero if `s` is.
    inverse: Scaled,
    /// `s/2` in units of 2⁻¹²².
    half: u128,
}

impl Deviation {
    /// From `σ√T` itself, which is not negative.
    pub fn new(s: Scaled) -> Result<Self> {
        if s.is_negative() {
            return Err(Error::Negative);
        }
        Ok(Self {
            s,
            inverse: if s.is_zero() {
                Scaled::ZERO
            } else {
                Scaled::ONE.over(s)?
            },
            half: s.magnitude_floor(DISTANCE_BITS.saturating_sub(1)),
        })
    }

    /// From the total variance `σ²T`.
    pub fn from_variance(variance: Scaled) -> Result<Self> {
        Self::new(variance.sqrt_floor()?)
    }

    /// `σ√T`.
    pub const fn value(&self) -> Scaled {
        self.s
    }

    /// `|ln(F/K)| / s` in units of 2⁻¹²², cut off at the largest word.
    fn distance(&self, forward: &Level, strike: &Level) -> u128 {
        let difference = forward.ln.abs_diff(strike.ln);
        let (upper, lower) = wide::multiply(difference, self.inverse.mantissa());
        // In units of 2^(128 + exponent − 119); to come to 2⁻¹²²:
        let left = self.inverse.exponent().saturating_add(131);
        match u32::try_from(left) {
            Ok(left @ 0..=127) => match wide::split(upper, lower, left) {
                (0, distance) => distance,
                _ => u128::MAX,
            },
            Ok(_) if difference == 0 => 0,
            Ok(_) => u128::MAX,
            Err(_) => upper.checked_shr(left.unsigned_abs()).unwrap_or(0),
        }
    }
}

/// Time, interest and what follows from them, once for every expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    years: Scaled,
    sqrt_years: Scaled,
    rate: Scaled,
    discount: Scaled,
}

impl Expiry {
    /// From the years left, not negative, and the continuous rate per year.
    pub fn new(years: Scaled, rate: Scaled) -> Result<Self> {
        if years.is_negative() {
            return Err(Error::Negative);
        }
        Ok(Self {
            years,
            sqrt_years: years.sqrt_floor()?,
            rate,
            discount: exp(rate.times(years)?.negated())?,
        })
    }

    /// `exp(−rT)`.
    pub const fn discount(&self) -> Scaled {
        self.discount
    }

    /// `σ√T` of a volatility per √year, not negative.
    pub fn deviation(&self, volatility: Scaled) -> Result<Deviation> {
        Deviation::new(volatility.times(self.sqrt_years)?)
    }
}

/// The values of a call and a put on the same terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices {
    /// The call's.
    pub call: Scaled,
    /// The put's.
    pub put: Scaled,
}

/// A price and how it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeks {
    /// The price.
    pub price: Scaled,
    /// `∂V/∂F`.
    pub delta: Scaled,
    /// `∂²V/∂F²`.
    pub gamma: Scaled,
    /// `∂V/∂σ`, per 1.00 of volatility.
    pub vega: Scaled,
    /// `−∂V/∂T` per year, the forward and the rate being constant.
    pub theta: Scaled,
    /// `∂V/∂r` per 1.00 of rate, the forward being constant.
    pub rho: Scaled,
}

impl Greeks {
    /// Vega per volatility point, as shown to people.
    pub fn vega_per_point(&self) -> Result<Scaled> {
        self.vega.over(Scaled::from(100u64))
    }

    /// Theta per day, as shown to people: what the option loses in a day, or in what is left of one, and no more than it is worth,
    /// `−min(|θ|·min(T, 1 day), price)`. Where interest outweighs the decay (`θ > 0`) it is the gain.
    ///
    /// Deribit shows it so, as a recorded chain says (`tests/deribit.rs`).
    pub fn theta_per_day(&self, expiry: &Expiry) -> Result<Scaled> {
        let change = if expiry.years >= years(86_400)? {
            self.theta.over(Scaled::from(DAYS_PER_YEAR))?
        } else {
            self.theta.times(expiry.years)?
        };
        Ok(change.max(self.price.negated()))
    }
}

/// The parts all values are made of.
struct Shape {
    /// The lesser of forward and strike.
    least: Scaled,
    /// `exp(−(a−t)²/2)`; no mantissa beyond the clamp.
    bell: (u128, i32),
    /// `a ≥ t`: `N(t−a)` is at most one half.
    out: bool,
    /// `tail(|a−t|)`.
    near: u128,
    /// `tail(a+t)`.
    far: u128,
}

impl Shape {
    fn new(forward: &Level, strike: &Level, deviation: &Deviation) -> Self {
        let least = forward.price.min(strike.price);
        let (a, t) = if deviation.s.is_zero() {
            (u128::MAX, 0)
        } else {
            (deviation.distance(forward, strike), deviation.half)
        };
        let (out, distance) = (a >= t, a.abs_diff(t));
        if distance > CLAMP {
            return Self {
                least,
                bell: (0, 0),
                out,
                near: 0,
                far: 0,
            };
        }
        Self {
            least,
            bell: bell(distance),
            out,
            near: tail(distance),
            far: tail(a.saturating_add(t)),
        }
    }

    /// `E · x` of a fraction.
    fn times_bell(&self, x: u128) -> Result<Scaled> {
        let (mantissa, exponent) = self.bell;
        let (upper, lower) = wide::multiply(mantissa, x);
        Scaled::normal(false, upper, lower, i64::from(exponent))
    }

    /// The value out of the money before discounting.
    fn out_of_the_money(&self) -> Result<Scaled> {
        let part = if self.out {
            self.times_bell(self.near.saturating_sub(self.far))?
        } else {
            Scaled::ONE.minus(self.times_bell(self.near.saturating_add(self.far))?)?
        };
        self.least.times(part)
    }

    /// The price of either side.
    fn price(
        &self,
        kind: Kind,
        forward: &Level,
        strike: &Level,
        discount: Scaled,
    ) -> Result<Scaled> {
        let out = self.out_of_the_money()?.times(discount)?;
        if in_the_money(kind, forward, strike) {
            out.plus(intrinsic(forward, strike, discount)?)
        } else {
            Ok(out)
        }
    }

    /// `F·φ(d₁) = K·φ(d₂)`.
    fn density(&self) -> Result<Scaled> {
        let (mantissa, exponent) = self.bell;
        Scaled::new(false, mantissa, exponent)?
            .times(self.least)?
            .times(inverse_sqrt_2_pi())
    }
}

/// The price of an option, in the unit of forward and strike.
///
/// Error at most 2·10⁻³⁰ of the greater of forward and strike, and 2·10⁻³⁰·(1 + (1 + d)/s) of the price, `d` being `|ln(F/K)|/s`: where an option is
/// worth more than 10⁻⁹·F, better than 10⁻²⁰ of it. So the price never falls when the volatility rises by 10⁻¹⁸ or more, nor when a forward or
/// strike below 10⁹ moves in its favour by that much. An error only where the discount takes the price out of [`Scaled`].
pub fn price(
    kind: Kind,
    forward: &Level,
    strike: &Level,
    deviation: &Deviation,
    discount: Scaled,
) -> Result<Scaled> {
    Shape::new(forward, strike, deviation).price(kind, forward, strike, discount)
}

/// The prices of call and put, for the work of one. `call − put = D·(F − K)` to the last bit.
pub fn prices(
    forward: &Level,
    strike: &Level,
    deviation: &Deviation,
    discount: Scaled,
) -> Result<Prices> {
    let out = Shape::new(forward, strike, deviation)
        .out_of_the_money()?
        .times(discount)?;
    let other = out.plus(intrinsic(forward, strike, discount)?)?;
    Ok(if in_the_money(Kind::Call, forward, strike) {
        Prices {
            call: other,
            put: out,
        }
    } else {
        Prices {
            call: out,
            put: other,
        }
    })
}

/// The price and its derivatives.
///
/// Where `s = 0` the price is the discounted intrinsic value, delta its slope (half of it at the strike), gamma and vega are zero.
pub fn greeks(
    kind: Kind,
    forward: &Level,
    strike: &Level,
    volatility: Scaled,
    expiry: &Expiry,
) -> Result<Greeks> {
    let deviation = expiry.deviation(volatility)?;
    let discount = expiry.discount;
    let shape = Shape::new(forward, strike, &deviation);
    let price = shape.price(kind, forward, strike, discount)?;
    let discounted = discount.times(shape.density()?)?;
    let (gamma, vega, decay) = if deviation.s.is_zero() {
        (Scaled::ZERO, Scaled::ZERO, Scaled::ZERO)
    } else {
        (
            discounted
                .over(forward.price)?
                .over(forward.price)?
                .times(deviation.inverse)?,
            discounted.times(expiry.sqrt_years)?,
            discounted
                .times(volatility)?
                .over(expiry.sqrt_years)?
                .shift(-1)?,
        )
    };
    let (below, above) = delta_parts(&shape, forward, strike, &deviation)?;
    let delta = match kind {
        Kind::Call => below,
        Kind::Put => above.negated(),
    };
    Ok(Greeks {
        price,
        delta: discount.times(delta)?,
        gamma,
        vega,
        theta: expiry.rate.times(price)?.minus(decay)?,
        rho: expiry.years.times(price)?.negated(),
    })
}

/// `N(d₁)` and `N(−d₁)`.
fn delta_parts(
    shape: &Shape,
    forward: &Level,
    strike: &Level,
    deviation: &Deviation,
) -> Result<(Scaled, Scaled)> {
    if deviation.s.is_zero() && forward.price == strike.price {
        let half = Scaled::ONE.shift(-1)?;
        return Ok((half, half));
    }
    if in_the_money(Kind::Call, forward, strike) {
        // d₁ = a + t, and E is of d₂: N(−d₁) = φ(d₁)·tail(d₁), φ(d₁) = φ(d₂)·K/F.
        let above = shape
            .times_bell(shape.far)?
            .times(strike.price)?
            .over(forward.price)?;
        return Ok((Scaled::ONE.minus(above)?, above));
    }
    // d₁ = t − a.
    let least = shape.times_bell(shape.near)?;
    let most = Scaled::ONE.minus(least)?;
    Ok(if shape.out {
        (least, most)
    } else {
        (most, least)
    })
}

/// Whether exercise at the forward would pay.
fn in_the_money(kind: Kind, forward: &Level, strike: &Level) -> bool {
    match kind {
        Kind::Call => forward.price > strike.price,
        Kind::Put => forward.price < strike.price,
    }
}

/// `D·|F − K|`.
fn intrinsic(forward: &Level, strike: &Level, discount: Scaled) -> Result<Scaled> {
    forward.price.minus(strike.price)?.abs().times(discount)
}
