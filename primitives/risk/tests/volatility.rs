//! What a chain keeps of a price's past against the formulas over the whole of it, and what an account would lack against a valuation of it
//! from scratch.

use novate_math::Scaled;
use novate_risk::{stress::*, volatility::mean_next, Forecast, Volatility, VolatilityParams};
use novate_types::{Ppm, Price, MILLION};
use proptest::prelude::*;

/// Hours: five days and a day, a month, a fortnight.
const PARAMS: VolatilityParams = VolatilityParams {
    half_life: 120,
    seed: 24,
    alpha: 60_000,
    beta: 900_000,
    long_run: 720,
    memory: 336,
    horizon: 4,
    stress_weight: 250_000,
    covered: 3_000_000,
};

fn at(ppm: u128) -> Price {
    Price::from_inner(ppm * 50_000 * 10u128.pow(12))
}

/// Prices whose returns are so many ppm, roughly.
fn path(changes: &[i64]) -> Vec<Price> {
    let mut price = 1_000_000u128;
    let mut all = vec![at(price)];
    for ppm in changes {
        price = price * (1_000_000 + *ppm) as u128 / 1_000_000;
        all.push(at(price.max(1)));
    }
    all
}

fn kept(prices: &[Price]) -> Volatility {
    prices.iter().fold(Volatility::default(), |kept, price| {
        kept.after(*price, &PARAMS).unwrap()
    })
}

fn forecast(prices: &[Price]) -> Forecast {
    kept(prices).forecast(&PARAMS).unwrap().unwrap()
}

fn returns(prices: &[Price]) -> Vec<Scaled> {
    let number = |price: Price| Scaled::from_18_decimals(price.into_inner()).unwrap();
    prices
        .windows(2)
        .map(|pair| log_return(number(pair[0]), number(pair[1])).unwrap())
        .collect()
}

fn parts(variance: Scaled) -> Ppm {
    let deviation = variance.sqrt_floor().unwrap();
    let parts = deviation.times(Scaled::from(u64::from(MILLION))).unwrap();
    parts.ceil().unwrap().try_into().unwrap()
}

fn whole(n: u32) -> Scaled {
    Scaled::from(u64::from(n))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn forecasts_are_those_of_the_formulas_over_the_whole_past(
        changes in prop::collection::vec(-60_000i64..60_000, 24..160),
    ) {
        let prices = path(&changes);
        let returns = returns(&prices);
        let seed = PARAMS.seed as usize;
        let lambda = decay(whole(PARAMS.half_life)).unwrap();
        let ewma = ewma_variance(&returns, lambda, seed).unwrap();

        let mean = ewma_variance(&returns[..seed], lambda, seed).unwrap();
        let (mut long_run, mut garch, mut stressed) = (mean, mean, mean);
        let part = |ppm: Ppm| Scaled::ratio(ppm.into(), 1_000_000).unwrap();
        let model = |long_run| Garch::new(long_run, part(PARAMS.alpha), part(PARAMS.beta)).unwrap();
        for (n, change) in returns.iter().enumerate().skip(seed) {
            let square = change.times(*change).unwrap();
            long_run = mean_next(long_run, square, n as u32 + 1).unwrap();
            garch = model(long_run).next(garch, *change).unwrap();
            let so_far = ewma_variance(&returns[..=n], lambda, seed).unwrap();
            let forgotten = decay(whole(PARAMS.memory)).unwrap();
            stressed = stressed.times(forgotten).unwrap().max(so_far);
        }

        let kept = kept(&prices);
        prop_assert_eq!(kept.ewma.scaled().unwrap(), ewma);
        prop_assert_eq!(kept.garch.scaled().unwrap(), garch);
        prop_assert_eq!(kept.stressed.scaled().unwrap(), stressed);
        // The long run is the mean square of all returns, but for rounding.
        let all = ewma_variance(&returns, lambda, returns.len()).unwrap();
        let off = kept.long_run.scaled().unwrap().minus(all).unwrap().abs();
        prop_assert!(off <= all.shift(-100).unwrap());

        let horizon = |variance| variance_over(variance, whole(PARAMS.horizon)).unwrap();
        let garch = model(long_run).variance_over(garch, PARAMS.horizon).unwrap();
        let seen = forecast(&prices);
        prop_assert_eq!(seen.ewma, parts(horizon(ewma)));
        prop_assert_eq!(seen.garch, parts(garch));
        prop_assert_eq!(seen.stressed, parts(horizon(stressed)));
        prop_assert_eq!(seen.long_run, parts(horizon(long_run)));
        let root = |variance: Scaled| variance.sqrt_floor().unwrap();
        let margined = buffered(
            root(horizon(ewma)).max(root(garch)),
            root(horizon(stressed)),
            PARAMS.stress_weight,
            root(horizon(long_run)),
        )
        .unwrap();
        let margined = margined.times(whole(MILLION)).unwrap().ceil().unwrap();
        prop_assert_eq!(i128::from(seen.deviation), margined);
        let covered = seen.maintenance_ceil(&PARAMS).unwrap();
        prop_assert_eq!(covered, 3 * seen.deviation);
    }

    /// However calm it becomes: never below the long run, and a quarter of the stress that is remembered.
    #[test]
    fn margin_is_not_procyclical(
        storm in prop::collection::vec(20_000i64..60_000, 24..48),
        calm in prop::collection::vec(0i64..2_000, 1..300),
    ) {
        let turned = |changes: &[i64]| -> Vec<i64> {
            let turns = changes.iter().enumerate();
            turns.map(|(n, ppm)| if n % 2 == 0 { *ppm } else { -*ppm }).collect()
        };
        let mut changes = turned(&storm);
        let in_storm = forecast(&path(&changes));
        changes.extend(turned(&calm));
        let after = forecast(&path(&changes));
        prop_assert!(after.deviation >= after.long_run);
        let least = u64::from(after.stressed) / 4 + 3 * u64::from(after.ewma) / 4;
        // Each of them is rounded up.
        prop_assert!(u64::from(after.deviation) + 1 >= least);
        // What the unbuffered forecast has come down by, margin has not.
        prop_assert!(after.ewma < in_storm.ewma || calm.len() < 2);
        prop_assert!(after.deviation + 1 >= after.ewma.max(after.garch) * 3 / 4);
        prop_assert!(after.deviation <= in_storm.deviation);
    }
}

#[test]
fn there_is_no_forecast_before_there_is_history_enough() {
    let prices = path(&[10_000; 30]);
    for (seen, price) in prices.iter().enumerate() {
        let before = kept(&prices[..=seen]);
        assert_eq!(before.samples as usize, seen);
        let known = before.forecast(&PARAMS).unwrap();
        assert_eq!(known.is_some(), seen >= 24, "{price:?}");
    }
}

#[test]
fn a_price_that_is_none_is_refused_and_one_that_stands_still_forecasts_nothing() {
    let still = [at(1_000_000); 40];
    assert_eq!(forecast(&still), Forecast::default());
    let kept = kept(&still);
    assert!(kept.after(Price::from_inner(0), &PARAMS).is_err());
    // The whole range of prices has a logarithm.
    let widest = kept.after(Price::from_inner(u128::MAX), &PARAMS).unwrap();
    assert!(widest.after(Price::from_inner(1), &PARAMS).is_ok());
}

#[test]
fn parameters_without_a_forecast_or_a_long_run_are_refused() {
    assert!(PARAMS.validate().is_ok());
    let wrong = [
        VolatilityParams {
            half_life: 0,
            ..PARAMS
        },
        VolatilityParams { seed: 0, ..PARAMS },
        VolatilityParams {
            seed: 721,
            ..PARAMS
        },
        VolatilityParams {
            long_run: 0,
            ..PARAMS
        },
        VolatilityParams {
            memory: 0,
            ..PARAMS
        },
        VolatilityParams {
            horizon: 0,
            ..PARAMS
        },
        VolatilityParams {
            alpha: 100_000,
            ..PARAMS
        },
        VolatilityParams {
            beta: Ppm::MAX,
            alpha: Ppm::MAX,
            ..PARAMS
        },
        VolatilityParams {
            stress_weight: MILLION + 1,
            ..PARAMS
        },
    ];
    for params in wrong {
        assert!(params.validate().is_err(), "{params:?}");
    }
}
