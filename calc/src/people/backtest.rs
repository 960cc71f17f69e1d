//! `novate calc backtest`.

use super::{seconds, Report};
use crate::{
    input::{decimal, integer, Input},
    Error, Result, Table,
};
use novate_math::{normal_inverse, Scaled};
use novate_risk::stress::{
    buffered, decay, ewma_next, kupiec, kupiec_p_value, log_return, variance_over, Garch,
};
use novate_types::Ppm;
use serde_json::{json, Value};
use std::collections::BTreeMap;

/// Weight of the stress period: RTS 153/2013 Art. 28(1)(b).
const STRESS_WEIGHT: Ppm = 250_000;
/// Below this probability of as bad a count a forecast is rejected.
const SIGNIFICANCE: &str = "0.05";
/// What is forecast.
const MODELS: [&str; 4] = ["EWMA", "EWMA, buffered", "GARCH", "GARCH, buffered"];
/// Who loses when the price falls, and who when it rises.
const SIDES: [&str; 2] = ["long", "short"];

/// How often losses were greater than volatility forecasts covered, and Kupiec's test of it, by series, model and side.
///
/// `bars` are CSV with a head that has `ts` (Unix seconds), `exchange`, `symbol` and `close`; `given` is `{"series", "horizon", "half_life", "warm_up", "alpha",
/// "beta", "coverage"}`: how `exchange:symbol` of a series ends (all without it), times with their units, plain numbers. `docs/calculator.md` has the defaults.
pub fn backtest(bars: &str, given: &Value) -> Result<Report> {
    let input = Input::new(given);
    let rules = Rules::read(&input)?;
    let wanted = input.or("series", "", Input::text)?;
    let significance: Scaled = SIGNIFICANCE.parse()?;
    let mut table = Table::new(&[
        "series",
        "model",
        "side",
        "tested",
        "exceptions",
        "expected",
        "LR",
        "p",
        "verdict",
    ]);
    let mut all = Vec::new();
    for (name, bars) in read(bars, wanted)? {
        let tested = Tested::of(&bars, &rules).map_err(|error| about(&name, error))?;
        if tested.observations == 0 {
            continue;
        }
        let missing = Scaled::ONE.minus(rules.coverage)?;
        let expected = missing.times(Scaled::from(u64::from(tested.observations)))?;
        for (model, counts) in MODELS.iter().zip(tested.exceptions) {
            for (side, count) in SIDES.iter().zip(counts) {
                let statistic = kupiec(tested.observations, count, missing)?;
                let p = kupiec_p_value(statistic)?;
                let verdict = if p >= significance {
                    "kept"
                } else if Scaled::from(u64::from(count)) > expected {
                    "too many"
                } else {
                    "too few"
                };
                table.row([
                    name.clone(),
                    (*model).into(),
                    (*side).into(),
                    tested.observations.to_string(),
                    count.to_string(),
                    expected.to_decimal(4)?,
                    statistic.to_decimal(4)?,
                    p.to_decimal(2)?,
                    verdict.into(),
                ]);
                all.push(json!({
                    "series": name, "model": model, "side": side,
                    "tested": integer(tested.observations), "exceptions": integer(count), "expected": decimal(expected)?,
                    "statistic": decimal(statistic)?, "p": decimal(p)?, "verdict": verdict,
                }));
            }
        }
    }
    if table.is_empty() {
        let words = "no series of that name has a bar a horizon after its warm-up";
        return Err(Error::new("out_of_range", words));
    }
    Ok(Report {
        json: json!({ "tests": all }),
        text: table.to_string(),
    })
}

/// What is forecast, from what.
struct Rules {
    /// `horizon`, the time in which a position is closed, seconds; 10 minutes if it is not given. One loss is counted in each.
    horizon: u64,
    /// `half_life` of the exponentially weighted variance, seconds; 5 days.
    half_life: u64,
    /// `warm_up`: the time whose returns seed variances and are not tested, seconds; 1 day.
    warm_up: u64,
    /// `alpha`, GARCH's weight of the last return; 0.05.
    alpha: Scaled,
    /// `beta`, GARCH's weight of the last variance; 0.94.
    beta: Scaled,
    /// `coverage`, the share of losses to be covered; 0.99.
    coverage: Scaled,
    /// So many standard deviations cover that share of a normal distribution.
    quantile: Scaled,
}

impl Rules {
    fn read(input: &Input) -> Result<Self> {
        let time = |key, default| {
            input.or(key, default, |time| {
                let whole = u64::try_from(seconds(time)?.floor()?).ok();
                whole
                    .filter(|time| *time > 0)
                    .ok_or_else(|| time.error("out_of_range", "is no time of a second or more"))
            })
        };
        let number = |key, default: &str| input.or(key, default.parse::<Scaled>()?, Input::number);
        let coverage = number("coverage", "0.99")?;
        let rest = Scaled::ONE.minus(coverage)?;
        if !rest.is_positive() || rest >= coverage {
            return Err(input.error("out_of_range", "has no coverage between 0.5 and 1"));
        }
        Ok(Self {
            horizon: time("horizon", 600)?,
            half_life: time("half_life", 432_000)?,
            warm_up: time("warm_up", 86_400)?,
            alpha: number("alpha", "0.05")?,
            beta: number("beta", "0.94")?,
            coverage,
            quantile: normal_inverse(rest)?.negated(),
        })
    }
}

/// A bar's opening and the price it closed at.
struct Bar {
    at: u64,
    close: Scaled,
}

/// The bars of every series whose name ends with `wanted`.
fn read(csv: &str, wanted: &str) -> Result<BTreeMap<String, Vec<Bar>>> {
    let mut lines = csv.lines().enumerate();
    let (_, head) = lines
        .next()
        .ok_or_else(|| Error::new("missing", "the file is empty"))?;
    let column = |name: &str| {
        head.split(',')
            .position(|column| column.trim() == name)
            .ok_or_else(|| Error::new("missing", format!("the file has no column {name}")))
    };
    let columns = [
        column("ts")?,
        column("exchange")?,
        column("symbol")?,
        column("close")?,
    ];
    let mut series = BTreeMap::<_, Vec<Bar>>::new();
    for (at, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let here = |error: Error| about(&format!("line {}", at + 1), error);
        let cells: Vec<_> = line.split(',').map(str::trim).collect();
        let [Some(ts), Some(exchange), Some(symbol), Some(close)] =
            columns.map(|column| cells.get(column).copied())
        else {
            return Err(here(Error::new(
                "missing",
                "has fewer columns than the head",
            )));
        };
        let name = format!("{exchange}:{symbol}");
        if !name.ends_with(wanted) {
            continue;
        }
        let bar = Bar {
            at: ts.parse().map_err(|_| {
                here(Error::new(
                    "malformed_number",
                    "its ts is no whole number of seconds",
                ))
            })?,
            close: close
                .parse()
                .map_err(|error: novate_math::Error| here(error.into()))?,
        };
        if !bar.close.is_positive() {
            return Err(here(Error::new(
                "not_positive",
                "its close is no price above zero",
            )));
        }
        let bars = series.entry(name).or_default();
        if bars.last().is_some_and(|last| last.at >= bar.at) {
            return Err(here(Error::new(
                "inconsistent",
                "is not later than its series' last",
            )));
        }
        bars.push(bar);
    }
    Ok(series)
}

/// An error with its place.
fn about(place: &str, error: Error) -> Error {
    Error::new(error.name, format!("{place}: {}", error.words))
}

/// What is known of a series' volatility. Variances are those of one period.
struct Forecasts<'a> {
    rules: &'a Rules,
    lambda: Scaled,
    /// Periods of the warm-up and of the horizon.
    warm_up: u64,
    horizon: u32,
    /// Returns so far, and the sum of their squares.
    returns: u64,
    squares: Scaled,
    /// The next period's variances; none before the warm-up is over.
    next: Option<[Scaled; 2]>,
    /// The largest forecasts so far: the stress that has been seen.
    worst: [Scaled; 2],
}

impl<'a> Forecasts<'a> {
    fn new(rules: &'a Rules, period: u64) -> Result<Self> {
        let periods = |time: u64| Scaled::ratio(u128::from(time), u128::from(period));
        if rules.horizon % period != 0 || rules.warm_up < period {
            let words = format!("horizon or warm-up is no number of its bars, {period} s each");
            return Err(Error::new("out_of_range", words));
        }
        Ok(Self {
            rules,
            lambda: decay(periods(rules.half_life)?)?,
            warm_up: rules.warm_up / period,
            horizon: u32::try_from(rules.horizon / period)
                .map_err(|_| Error::new("out_of_range", "the horizon has too many bars"))?,
            returns: 0,
            squares: Scaled::ZERO,
            next: None,
            worst: [Scaled::ZERO; 2],
        })
    }

    /// The mean square of all returns so far.
    fn long_run(&self) -> Result<Scaled> {
        Ok(self.squares.over(Scaled::from(self.returns))?)
    }

    /// The model whose long run is what has been.
    fn garch(&self) -> Result<Garch> {
        Ok(Garch::new(
            self.long_run()?,
            self.rules.alpha,
            self.rules.beta,
        )?)
    }

    fn learn(&mut self, change: Scaled) -> Result<()> {
        self.returns += 1;
        self.squares = self.squares.plus(change.times(change)?)?;
        self.next = match self.next {
            Some([ewma, garch]) => Some([
                ewma_next(ewma, self.lambda, change)?,
                self.garch()?.next(garch, change)?,
            ]),
            None if self.returns == self.warm_up => Some([self.long_run()?; 2]),
            None => None,
        };
        Ok(())
    }

    /// The log returns over the next horizon that are covered, in the order of [`MODELS`]. Each is made of what is known now.
    fn covered(&mut self) -> Result<Option<[Scaled; 4]>> {
        let Some([ewma, garch]) = self.next else {
            return Ok(None);
        };
        let periods = Scaled::from(u64::from(self.horizon));
        let floor = variance_over(self.long_run()?, periods)?.sqrt_floor()?;
        let variances = [
            variance_over(ewma, periods)?,
            self.garch()?.variance_over(garch, self.horizon)?,
        ];
        let mut covered = [Scaled::ZERO; 4];
        for ((variance, worst), covered) in variances
            .iter()
            .zip(&mut self.worst)
            .zip(covered.chunks_mut(2))
        {
            let forecast = variance.sqrt_floor()?;
            *worst = (*worst).max(forecast);
            let volatilities = [forecast, buffered(forecast, *worst, STRESS_WEIGHT, floor)?];
            for (covered, volatility) in covered.iter_mut().zip(volatilities) {
                *covered = volatility.times(self.rules.quantile)?;
            }
        }
        Ok(Some(covered))
    }
}

/// What came of a series.
struct Tested {
    observations: u32,
    /// Losses that were not covered, by model and side.
    exceptions: [[u32; 2]; 4],
}

/// A forecast whose horizon is not over.
struct Pending {
    due: u64,
    from: Scaled,
    covered: [Scaled; 4],
}

impl Tested {
    /// Horizons follow one another and do not overlap. A return is that of two bars next to each other; a gap has none, and a horizon that ends in one is not counted.
    fn of(bars: &[Bar], rules: &Rules) -> Result<Self> {
        let mut tested = Self {
            observations: 0,
            exceptions: [[0; 2]; 4],
        };
        let steps = bars.windows(2).map(|pair| pair[1].at - pair[0].at);
        let Some(period) = steps.min() else {
            return Ok(tested);
        };
        let mut forecasts = Forecasts::new(rules, period)?;
        let mut pending: Option<Pending> = None;
        for pair in bars.windows(2) {
            let [before, bar] = pair else { continue };
            if bar.at - before.at == period {
                forecasts.learn(log_return(before.close, bar.close)?)?;
            }
            if pending.as_ref().is_some_and(|open| bar.at < open.due) {
                continue;
            }
            if let Some(over) = pending.take().filter(|open| open.due == bar.at) {
                tested.count(log_return(over.from, bar.close)?, over.covered);
            }
            pending = forecasts.covered()?.map(|covered| Pending {
                due: bar.at.saturating_add(rules.horizon),
                from: bar.close,
                covered,
            });
        }
        Ok(tested)
    }

    fn count(&mut self, change: Scaled, covered: [Scaled; 4]) {
        self.observations += 1;
        for (counts, covered) in self.exceptions.iter_mut().zip(covered) {
            for (count, loss) in counts.iter_mut().zip([change.negated(), change]) {
                *count += u32::from(loss > covered);
            }
        }
    }
}
