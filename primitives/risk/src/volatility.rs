//! An underlying's volatility, one return after the other: what a chain keeps of a price's past, and what it forecasts from it.
//!
//! Three numbers of constant size stand for the whole history: the exponentially weighted variance, the variance that GARCH(1,1) expects
//! next, and the long run's, which is the mean square of all returns, of the last year once there are so many. Beside them the worst that was seen is
//! remembered, and forgotten without a cliff. All are of one period of the sampling; [`crate::stress`] has the formulas.

use crate::{
    stress::{buffered, decay, ewma_next, log_return, variance_over, Garch},
    ModelError,
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use novate_math::Scaled;
use novate_types::{math::ppm_ceil, MathError, Ppm, Price, MILLION};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

type Result<T> = core::result::Result<T, ModelError>;

/// How volatility is estimated and forecast. Times are periods of the sampling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct VolatilityParams {
    /// Time in which the weight of a return halves; five days at least.
    pub half_life: u32,
    /// Returns whose mean square the estimates begin with. With fewer there is no forecast.
    pub seed: u32,
    /// Weight of the last return's square in GARCH.
    pub alpha: Ppm,
    /// Weight of the last variance in GARCH. Together they are below one.
    pub beta: Ppm,
    /// Returns that the long run's variance is the mean square of, at most; then each counts for one in so many.
    pub long_run: u32,
    /// Time in which the worst variance that was seen halves.
    pub memory: u32,
    /// Time that it takes to liquidate: what forecasts are for.
    pub horizon: u32,
    /// Weight of the stress period, 25 % in RTS 153/2013 Art. 28(1)(b).
    pub stress_weight: Ppm,
    /// Forecast standard deviations that maintenance margin covers, in ppm of one.
    pub covered: Ppm,
}

impl VolatilityParams {
    /// An error unless forecasts exist and have a long run.
    pub fn validate(&self) -> Result<()> {
        let counts = [
            self.half_life,
            self.seed,
            self.long_run,
            self.memory,
            self.horizon,
        ];
        let persists = u64::from(self.alpha).saturating_add(u64::from(self.beta));
        let is_sound = counts.iter().all(|count| *count > 0)
            && persists < u64::from(MILLION)
            && self.stress_weight <= MILLION
            && self.seed <= self.long_run;
        is_sound.then_some(()).ok_or(ModelError::Invalid)
    }

    fn garch(&self, long_run: Scaled) -> Result<Garch> {
        let part = |ppm: Ppm| Scaled::ratio(ppm.into(), MILLION.into());
        Garch::new(long_run, part(self.alpha)?, part(self.beta)?)
    }
}

/// A variance as it is stored: every bit of it.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
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
pub struct Variance {
    mantissa: u128,
    exponent: i32,
}

impl Variance {
    fn of(x: Scaled) -> Result<Self> {
        if x.is_negative() {
            return Err(ModelError::Invalid);
        }
        Ok(Self {
            mantissa: x.mantissa(),
            exponent: x.exponent(),
        })
    }

    /// As a number: of squared returns a period.
    pub fn scaled(self) -> Result<Scaled> {
        Ok(Scaled::new(false, self.mantissa, self.exponent)?)
    }
}

/// What is kept of an underlying's past.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
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
pub struct Volatility {
    /// The price sampled last; zero before the first.
    pub price: Price,
    /// Returns seen.
    pub samples: u32,
    /// Exponentially weighted variance; while there are fewer returns than the seed, the sum of their squares.
    pub ewma: Variance,
    /// The variance that GARCH expects of the next period.
    pub garch: Variance,
    /// The long run's.
    pub long_run: Variance,
    /// The largest weighted variance that is remembered.
    pub stressed: Variance,
}

/// Standard deviations of the return over the horizon, in ppm, each rounded up.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
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
pub struct Forecast {
    /// By the exponentially weighted variance.
    pub ewma: Ppm,
    /// By GARCH(1,1).
    pub garch: Ppm,
    /// In the stress that is remembered.
    pub stressed: Ppm,
    /// In the long run.
    pub long_run: Ppm,
    /// What margin is held for: the larger of the first two, weighted with the stress period, never below the long run.
    pub deviation: Ppm,
}

impl Forecast {
    /// The maintenance margin fraction that covers it, rounded up.
    pub fn maintenance_ceil(&self, params: &VolatilityParams) -> Result<Ppm> {
        let fraction = ppm_ceil(self.deviation.into(), params.covered)?;
        Ok(Ppm::try_from(fraction).map_err(|_| MathError::Overflow)?)
    }
}

/// `mean + (x − mean) / n`: the mean of `n` numbers of which `x` is the last and `mean` was the others'.
pub fn mean_next(mean: Scaled, x: Scaled, n: u32) -> Result<Scaled> {
    Ok(x.minus(mean)?
        .over(Scaled::from(u64::from(n)))?
        .plus(mean)?)
}

fn deviation(variance: Scaled) -> Result<Scaled> {
    Ok(variance.max(Scaled::ZERO).sqrt_floor()?)
}

fn parts_ceil(deviation: Scaled) -> Result<Ppm> {
    let parts = deviation.times(Scaled::from(u64::from(MILLION)))?.ceil()?;
    Ok(Ppm::try_from(parts).map_err(|_| MathError::Overflow)?)
}

impl Volatility {
    /// After one more price, a period later. Across a gap the whole return counts as one period's: what was not seen is reckoned as if
    /// it had happened at once.
    ///
    /// An error if the price is zero, or a number is out of range.
    pub fn after(&self, price: Price, params: &VolatilityParams) -> Result<Self> {
        if price.into_inner() == 0 {
            return Err(ModelError::Invalid);
        }
        if self.price.into_inner() == 0 {
            return Ok(Self { price, ..*self });
        }
        let at = |price: Price| Scaled::from_18_decimals(price.into_inner());
        let change = log_return(at(self.price)?, at(price)?)?;
        let square = change.times(change)?;
        let samples = self.samples.saturating_add(1);
        let next = Self {
            price,
            samples,
            ..*self
        };
        if samples <= params.seed {
            let sum = self.ewma.scaled()?.plus(square)?;
            if samples < params.seed {
                let ewma = Variance::of(sum)?;
                return Ok(Self { ewma, ..next });
            }
            let mean = Variance::of(sum.over(Scaled::from(u64::from(samples)))?)?;
            return Ok(Self {
                ewma: mean,
                garch: mean,
                long_run: mean,
                stressed: mean,
                ..next
            });
        }
        let ewma = ewma_next(
            self.ewma.scaled()?,
            decay(Scaled::from(u64::from(params.half_life)))?,
            change,
        )?;
        let counted = samples.min(params.long_run);
        let long_run = mean_next(self.long_run.scaled()?, square, counted)?.max(Scaled::ZERO);
        let garch = params.garch(long_run)?.next(self.garch.scaled()?, change)?;
        let remembered = decay(Scaled::from(u64::from(params.memory)))?;
        let stressed = self.stressed.scaled()?.times(remembered)?.max(ewma);
        Ok(Self {
            ewma: Variance::of(ewma)?,
            garch: Variance::of(garch)?,
            long_run: Variance::of(long_run)?,
            stressed: Variance::of(stressed)?,
            ..next
        })
    }

    /// What is expected over the horizon; none before there is history enough.
    pub fn forecast(&self, params: &VolatilityParams) -> Result<Option<Forecast>> {
        if self.samples < params.seed {
            return Ok(None);
        }
        let over = |variance: Variance| {
            let horizon = Scaled::from(u64::from(params.horizon));
            deviation(variance_over(variance.scaled()?, horizon)?)
        };
        let ewma = over(self.ewma)?;
        let garch = params
            .garch(self.long_run.scaled()?)?
            .variance_over(self.garch.scaled()?, params.horizon)?;
        let garch = deviation(garch)?;
        let (stressed, long_run) = (over(self.stressed)?, over(self.long_run)?);
        let margined = buffered(ewma.max(garch), stressed, params.stress_weight, long_run)?;
        Ok(Some(Forecast {
            ewma: parts_ceil(ewma)?,
            garch: parts_ceil(garch)?,
            stressed: parts_ceil(stressed)?,
            long_run: parts_ceil(long_run)?,
            deviation: parts_ceil(margined)?,
        }))
    }
}
