//! Seeing stress before it arrives (section 12): volatility forecasts, historical losses, back-tests, the size of the default fund.
//!
//! Returns, variances and volatilities are plain numbers per period (a return of one percent is 0.01), rounded to the nearest of 128
//! bits. Money is whole units of whatever the caller counts in, and a loss is rounded up. Every loop is as long as its input.
//!
//! Sources: J.P. Morgan/Reuters, RiskMetrics (1996) for the exponentially weighted variance; Bollerslev (1986) for GARCH; Acerbi and Tasche
//! (2002) for expected shortfall of an empirical distribution; Kupiec (1995) for the back-test; RTS 153/2013 Art. 28 for the buffer;
//! CPMI-IOSCO PFMI, Principle 4, for the cover.

use crate::ModelError;
use novate_math::{exp, ln, Scaled};
use novate_types::{
    math::{add, mul_div_ceil, ppm_ceil, signed, sub},
    Cash, MathError, Ppm,
};
use sp_arithmetic::{FixedPointNumber, FixedU128};

type Result<T> = core::result::Result<T, ModelError>;

/// `ln(price / previous)`; both above zero.
pub fn log_return(previous: Scaled, price: Scaled) -> Result<Scaled> {
    Ok(ln(price.over(previous)?)?)
}

/// `λ = exp(−ln 2 / half-life)`, the weight that halves in that many periods.
///
/// An error unless the half-life is above zero.
pub fn decay(half_life: Scaled) -> Result<Scaled> {
    if !half_life.is_positive() {
        return Err(ModelError::Invalid);
    }
    Ok(exp(ln(Scaled::from(2u64))?.over(half_life)?.negated())?)
}

/// `λ·s + (1 − λ)·r²`: the variance after one more return.
pub fn ewma_next(variance: Scaled, lambda: Scaled, change: Scaled) -> Result<Scaled> {
    let kept = lambda.times(variance)?;
    let fresh = Scaled::ONE.minus(lambda)?.times(change.times(change)?)?;
    Ok(kept.plus(fresh)?)
}

/// Variance of a period after all returns: the mean square of the first `seed` of them, then [`ewma_next`] for each of the others.
///
/// An error if `seed` is zero or there are fewer returns.
pub fn ewma_variance(returns: &[Scaled], lambda: Scaled, seed: usize) -> Result<Scaled> {
    let (first, rest) = returns.split_at_checked(seed).ok_or(ModelError::Invalid)?;
    let mut squares = Scaled::ZERO;
    for change in first {
        squares = squares.plus(change.times(*change)?)?;
    }
    let mut variance = squares.over(Scaled::from(seed as u64))?;
    for change in rest {
        variance = ewma_next(variance, lambda, *change)?;
    }
    Ok(variance)
}

/// The variance of `periods` independent periods: a year's, or a liquidation horizon's.
pub fn variance_over(variance: Scaled, periods: Scaled) -> Result<Scaled> {
    Ok(variance.times(periods)?)
}

/// GARCH(1,1): `σ²ₜ₊₁ = ω + α·r²ₜ + β·σ²ₜ`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garch {
    long_run: Scaled,
    alpha: Scaled,
    beta: Scaled,
    persistence: Scaled,
}

impl Garch {
    /// From the long-run variance and the weights of the last return and the last variance.
    ///
    /// An error if one is negative, or if the weights' sum is not below one: there is no long run then.
    pub fn new(long_run: Scaled, alpha: Scaled, beta: Scaled) -> Result<Self> {
        let persistence = alpha.plus(beta)?;
        let negative = long_run.is_negative() || alpha.is_negative() || beta.is_negative();
        if negative || persistence >= Scaled::ONE {
            return Err(ModelError::Invalid);
        }
        Ok(Self {
            long_run,
            alpha,
            beta,
            persistence,
        })
    }

    /// The variance of the next period, from this period's and its return. `ω = σ²_LR·(1 − α − β)`.
    pub fn next(&self, variance: Scaled, change: Scaled) -> Result<Scaled> {
        let omega = self.long_run.times(Scaled::ONE.minus(self.persistence)?)?;
        let news = self.alpha.times(change.times(change)?)?;
        Ok(omega.plus(news)?.plus(self.beta.times(variance)?)?)
    }

    /// `E[σ²ₜ₊ₖ] = σ²_LR + (α+β)^{k−1}·(σ²ₜ₊₁ − σ²_LR)`, `k ≥ 1`, from the next period's variance.
    pub fn forecast(&self, next: Scaled, k: u32) -> Result<Scaled> {
        let before = k.checked_sub(1).ok_or(ModelError::Invalid)?;
        let Decay { left, gone, .. } = Decay::after(self.persistence, before)?;
        Ok(left.times(next)?.plus(gone.times(self.long_run)?)?)
    }

    /// The sum of the forecasts of the next `periods`: `n·σ²_LR + (σ²ₜ₊₁ − σ²_LR)·(1 − (α+β)ⁿ)/(1 − α − β)`.
    pub fn variance_over(&self, next: Scaled, periods: u32) -> Result<Scaled> {
        let decay = Decay::after(self.persistence, periods)?;
        let transient = decay.sum_left.times(next)?;
        Ok(transient.plus(decay.sum_gone.times(self.long_run)?)?)
    }
}

/// How much of a shock is left after `n` periods that keep `p` of it each, with no difference of near numbers anywhere: each field
/// is exact to a few roundings however near `p` is to one.
#[derive(Clone, Copy)]
struct Decay {
    /// `pⁿ`.
    left: Scaled,
    /// `1 − pⁿ`.
    gone: Scaled,
    /// `Σ pⁱ`, `i < n`.
    sum_left: Scaled,
    /// `Σ (1 − pⁱ)`, `i < n`.
    sum_gone: Scaled,
}

impl Decay {
    const NONE: Self = Self {
        left: Scaled::ONE,
        gone: Scaled::ZERO,
        sum_left: Scaled::ZERO,
        sum_gone: Scaled::ZERO,
    };

    /// `n` periods in at most 64 steps: the bits of `n`, highest first.
    fn after(persistence: Scaled, n: u32) -> Result<Self> {
        let once = Self {
            left: persistence,
            gone: Scaled::ONE.minus(persistence)?,
            sum_left: Scaled::ONE,
            ..Self::NONE
        };
        let mut total = Self::NONE;
        for bit in (0..n
            .checked_ilog2()
            .map_or(0, |highest| highest.saturating_add(1)))
            .rev()
        {
            total = total.then(total, n.checked_shr(bit.saturating_add(1)).unwrap_or(0))?;
            if n.checked_shr(bit).unwrap_or(0) & 1 == 1 {
                total = total.then(once, 1)?;
            }
        }
        Ok(total)
    }

    /// These periods and then `other`, which are `periods`.
    fn then(self, other: Self, periods: u32) -> Result<Self> {
        let periods = Scaled::from(u64::from(periods));
        // 1 − p^{n+i} = (1 − pⁿ) + pⁿ·(1 − pⁱ)
        let sum_gone = periods.times(self.gone)?;
        Ok(Self {
            left: self.left.times(other.left)?,
            gone: self.gone.plus(self.left.times(other.gone)?)?,
            sum_left: self.sum_left.plus(self.left.times(other.sum_left)?)?,
            sum_gone: self
                .sum_gone
                .plus(sum_gone)?
                .plus(self.left.times(other.sum_gone)?)?,
        })
    }
}

/// A margin number that does not follow the forecast down in calm times: `max((1 − w)·forecast + w·stressed, floor)`.
///
/// `weight` is the stress period's, 25 % in Art. 28(1)(b).
pub fn buffered(forecast: Scaled, stressed: Scaled, weight: Ppm, floor: Scaled) -> Result<Scaled> {
    let weight = Scaled::ratio(u128::from(weight), 1_000_000)?;
    let calm = Scaled::ONE.minus(weight)?.times(forecast)?;
    Ok(calm.plus(weight.times(stressed)?)?.max(floor))
}

/// The worst of `n` observed losses at confidence `α`; `a = n·(1 − α)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoricalLoss {
    /// `k = ⌈a⌉`.
    pub k: usize,
    /// Value at risk: the `k`-th worst loss.
    pub value_at_risk: Cash,
    /// The mean of the `k` worst, rounded up.
    pub mean_of_worst_ceil: Cash,
    /// Expected shortfall of the empirical distribution: `(Σ of the ⌊a⌋ worst + (a − ⌊a⌋)·next) / a`, rounded up.
    pub expected_shortfall_ceil: Cash,
}

impl HistoricalLoss {
    /// Sorts the losses (a profit is below zero) from the worst.
    ///
    /// An error if there are none, or unless `0 < α < 1`.
    pub fn of(losses: &mut [Cash], confidence: FixedU128) -> Result<Self> {
        let one = FixedU128::DIV;
        let beyond = one
            .checked_sub(confidence.into_inner())
            .filter(|beyond| *beyond > 0 && *beyond < one)
            .ok_or(ModelError::Invalid)?;
        losses.sort_unstable_by(|a, b| b.cmp(a));
        // `a` in parts of 10¹⁸.
        let a = beyond
            .checked_mul(losses.len() as u128)
            .ok_or(MathError::Overflow)?;
        let k = usize::try_from(a.div_ceil(one)).map_err(|_| MathError::Overflow)?;
        let worst = losses.get(..k).ok_or(ModelError::Invalid)?;
        let value_at_risk = *worst.last().ok_or(ModelError::Invalid)?;
        // The k-th loss is the least of them; where ⌊a⌋ is k it belongs to the sum, and adds nothing to the excess.
        let mut excess = 0;
        for loss in worst {
            excess = add(excess, sub(*loss, value_at_risk)?)?;
        }
        let mean = |parts: u128, whole: u128| {
            let above = mul_div_ceil(excess.unsigned_abs(), whole, parts)?;
            add(value_at_risk, signed(above)?)
        };
        Ok(Self {
            k,
            value_at_risk,
            mean_of_worst_ceil: mean(k as u128, 1)?,
            expected_shortfall_ceil: mean(a, one)?,
        })
    }
}

/// Kupiec's proportion-of-failures statistic of `exceedances` among `observations` where a share `expected` was to be expected:
/// `LR = 2·[(n−x)·ln((1−x/n)/(1−p)) + x·ln((x/n)/p)]`, asymptotically χ² with one degree of freedom.
///
/// Coverage of 99 % (`p` = 0.01) is rejected at 95 % confidence above 3.841, at 99 % above 6.635. Not below zero. An error unless
/// `0 < p < 1` and `0 ≤ x ≤ n ≠ 0`.
pub fn kupiec(observations: u32, exceedances: u32, expected: Scaled) -> Result<Scaled> {
    let kept = observations
        .checked_sub(exceedances)
        .filter(|_| observations > 0)
        .ok_or(ModelError::Invalid)?;
    let rest = Scaled::ONE.minus(expected)?;
    if !expected.is_positive() || !rest.is_positive() {
        return Err(ModelError::Invalid);
    }
    let part = |count: u32, probability: Scaled| {
        if count == 0 {
            return Ok(Scaled::ZERO);
        }
        let share = Scaled::ratio(u128::from(count), u128::from(observations))?;
        Scaled::from(u64::from(count)).times(ln(share.over(probability)?)?)
    };
    let half = part(kept, rest)?.plus(part(exceedances, expected)?)?;
    Ok(half.shift(1)?.max(Scaled::ZERO))
}

/// How likely a [`kupiec`] statistic as large as this one is where the share is as expected: `2·N(−√LR)`, the upper tail of χ² with one degree
/// of freedom. An error below zero.
pub fn kupiec_p_value(statistic: Scaled) -> Result<Scaled> {
    let deviations = statistic.sqrt_floor()?;
    Ok(novate_math::normal_cdf(deviations.negated())?.shift(1)?)
}

/// What the `cover` largest of the accounts' stress losses over margin come to; who has none counts nothing. Reorders them.
pub fn largest_losses(losses: &mut [Cash], cover: usize) -> Result<Cash> {
    losses.sort_unstable_by(|a, b| b.cmp(a));
    let mut sum = 0;
    for loss in losses.iter().take(cover) {
        sum = add(sum, (*loss).max(0))?;
    }
    Ok(sum)
}

/// The least default fund: `factor · max over scenarios of the cover largest losses over margin`, rounded up. The factor is 1.1 in section 12.
pub fn default_fund_ceil<'a>(
    scenarios: impl Iterator<Item = &'a mut [Cash]>,
    cover: usize,
    factor: Ppm,
) -> Result<Cash> {
    let mut worst = 0;
    for losses in scenarios {
        worst = largest_losses(losses, cover)?.max(worst);
    }
    Ok(signed(ppm_ceil(worst.unsigned_abs(), factor)?)?)
}
