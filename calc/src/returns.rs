//! `ewma_es`: volatility and expected shortfall of a price series.

use crate::{
    input::{decimal, integer, Input},
    Result,
};
use novate_math::Scaled;
use novate_risk::stress::{ewma_variance, log_return, variance_over, HistoricalLoss};
use novate_types::Price;
use serde_json::{json, Value};

/// Days of a year of daily prices.
const DAYS_PER_YEAR: u64 = 365;
/// Significant bits of the largest loss: a million of them add up within 128 bits.
const LOSS_BITS: i32 = 104;
/// Losses at most.
const MOST_LOSSES: usize = 1 << 20;

/// `ewma`: `{"series", "start", "n", "lambda", "seed"}` to `{"variance", "vol_annual"}`; `hist_es` and `hist_es_h`: `{"series", "start", "n",
/// "alpha", "quantity", "h"}` to `{"var", "es_mean_k", "es_exact", "k"}`.
pub fn case(kind: &Input, input: &Input) -> Result<Value> {
    let case = kind.one_of::<fn(&Input) -> Result<Value>>(&[
        ("ewma", ewma),
        ("hist_es", historical),
        ("hist_es_h", historical),
    ])?;
    case(input)
}

/// The `n + 1` prices from `start` on; without `n` all of them. A series of just `n + 1` prices is that window itself, wherever it was cut from.
fn window(input: &Input) -> Result<Vec<Scaled>> {
    let series = input.get("series")?;
    let prices = series.list()?;
    let start: usize = input.or("start", 0, Input::whole)?;
    let rest = prices.len().saturating_sub(start);
    let n: usize = input.or("n", rest.saturating_sub(1), Input::whole)?;
    let count = n.saturating_add(1);
    let start = if count == prices.len() { 0 } else { start };
    let window = start
        .checked_add(count)
        .and_then(|end| prices.get(start..end))
        .filter(|window| window.len() > 1)
        .ok_or_else(|| {
            series.error(
                "out_of_range",
                "has not n + 1 prices from start on, n at least 1",
            )
        })?;
    let price = |input: &Input| {
        let price = input.number()?;
        if price.is_positive() {
            Ok(price)
        } else {
            Err(input.error("not_positive", "is no price above zero"))
        }
    };
    window.iter().map(price).collect()
}

fn ewma(input: &Input) -> Result<Value> {
    let prices = window(input)?;
    let returns: Vec<_> = prices
        .windows(2)
        .map(|pair| log_return(pair[0], pair[1]))
        .collect::<Result<_, _>>()?;
    let seed = input.get("seed")?;
    let first = seed.one_of(&[("first", 1), ("mean20", 20)])?;
    if first > returns.len() {
        return Err(seed.error("out_of_range", "asks for more returns than there are"));
    }
    let lambda = input.get("lambda")?;
    let weight = lambda.number()?;
    if weight.is_negative() || weight > Scaled::ONE {
        return Err(lambda.error("out_of_range", "is not between 0 and 1"));
    }
    let variance = ewma_variance(&returns, weight, first)?;
    let annual = variance_over(variance, Scaled::from(DAYS_PER_YEAR))?;
    Ok(json!({ "variance": decimal(variance)?, "vol_annual": decimal(annual.sqrt_floor()?)? }))
}

fn historical(input: &Input) -> Result<Value> {
    let prices = window(input)?;
    let days = input.or("h", 1, Input::whole)?;
    let horizon = input.find("h").unwrap_or_else(|| input.clone());
    if !(1..prices.len()).contains(&days) {
        return Err(horizon.error("out_of_range", "is no number of days that the series has"));
    }
    let quantity = input.get("quantity")?.number()?;
    let exposure = match prices.last() {
        Some(last) => quantity.times(*last)?,
        None => Scaled::ZERO,
    };
    // exp of the sum of the log returns is the ratio of the prices.
    let losses: Vec<_> = prices
        .iter()
        .zip(prices.iter().skip(days))
        .map(|(before, after)| {
            let gain = after.over(*before)?.minus(Scaled::ONE)?;
            exposure.times(gain).map(Scaled::negated)
        })
        .collect::<Result<_, _>>()?;
    if losses.len() > MOST_LOSSES {
        return Err(input.error("too_many", "holds more than 1048576 losses"));
    }

    // The unit of the whole numbers that the chain sorts and sums: a power of two far below the largest loss.
    let largest = losses
        .iter()
        .map(|loss| loss.abs())
        .max()
        .unwrap_or_default();
    let unit = largest.exponent().saturating_add(128 - LOSS_BITS);
    let mut whole = losses
        .iter()
        .map(|loss| loss.shift(unit.saturating_neg())?.nearest())
        .collect::<Result<Vec<_>, _>>()?;
    let alpha = Price::from_inner(input.get("alpha")?.fixed()?);
    let loss = HistoricalLoss::of(&mut whole, alpha)?;
    let shown = |units: i128| decimal(Scaled::from(units).shift(unit)?);
    Ok(json!({
        "k": integer(loss.k),
        "var": shown(loss.value_at_risk)?,
        "es_mean_k": shown(loss.mean_of_worst_ceil)?,
        "es_exact": shown(loss.expected_shortfall_ceil)?,
    }))
}
