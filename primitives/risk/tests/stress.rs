//! Section 12: real price series and worked numbers.
//!
//! `ewma_es.json` is the project's shared numeric vectors (`vectors/README.md`): daily closes of the S&P 500, the NASDAQ Composite and WTI
//! crude, statistics computed with mpmath to 50 digits. All kinds run, to 10⁻⁹ as their README asks; the code is far nearer, and the tests hold it to that.

mod common;

use common::{cases, number, relative, text, Case};
use novate_math::{exp, Scaled};
use novate_risk::{stress::*, ModelError};
use proptest::prelude::*;
use serde_json::Value;
use sp_arithmetic::FixedU128;

const SERIES: &str = include_str!("vectors/ewma_es.json");

fn whole(value: &Value) -> usize {
    text(value).parse().unwrap()
}

/// The prices of a case: `span + 1` of them.
fn prices(file: &Value, case: &Case, span: usize) -> Vec<Scaled> {
    let series = file["series"][text(&case.input["series"])]
        .as_array()
        .unwrap();
    let start = whole(&case.input["start"]);
    series[start..=start + span].iter().map(number).collect()
}

/// Losses in parts of 10¹⁸.
fn fine(x: Scaled) -> i128 {
    x.times(Scaled::from(10u64.pow(18)))
        .unwrap()
        .nearest()
        .unwrap()
}

#[test]
fn volatility_of_real_series_meets_the_vectors() {
    let file: Value = serde_json::from_str(SERIES).unwrap();
    let mut met = 0;
    for case in cases(SERIES).iter().filter(|case| case.kind == "ewma") {
        let prices = prices(&file, case, whole(&case.input["n"]));
        let returns: Vec<_> = prices
            .windows(2)
            .map(|pair| log_return(pair[0], pair[1]).unwrap())
            .collect();
        let seed = match text(&case.input["seed"]) {
            "first" => 1,
            "mean20" => 20,
            other => panic!("unknown seed {other}"),
        };
        let variance = ewma_variance(&returns, number(&case.input["lambda"]), seed).unwrap();
        let annual = variance_over(variance, Scaled::from(365u64))
            .unwrap()
            .sqrt_floor()
            .unwrap();
        for (got, want) in [(variance, "variance"), (annual, "vol_annual")] {
            assert!(
                relative(got, number(&case.out[want])) < 1e-30,
                "{}",
                case.id
            );
        }
        met += 1;
    }
    assert!(met > 0, "no case");
}

#[test]
fn historical_loss_of_real_series_meets_the_vectors() {
    let file: Value = serde_json::from_str(SERIES).unwrap();
    let mut met = 0;
    for case in cases(SERIES)
        .iter()
        .filter(|case| case.kind.starts_with("hist_es"))
    {
        let horizon = whole(&case.input["h"]);
        let prices = prices(&file, case, whole(&case.input["n"]));
        let held = number(&case.input["quantity"])
            .times(*prices.last().unwrap())
            .unwrap();
        let mut losses: Vec<_> = prices
            .windows(horizon + 1)
            .map(|run| {
                let growth = exp(log_return(run[0], run[horizon]).unwrap()).unwrap();
                fine(held.times(Scaled::ONE.minus(growth).unwrap()).unwrap())
            })
            .collect();
        let alpha = number(&case.input["alpha"])
            .to_18_decimals_nearest()
            .unwrap();
        let got = HistoricalLoss::of(&mut losses, FixedU128::from_inner(alpha)).unwrap();
        assert_eq!(got.k, whole(&case.out["k"]), "{}", case.id);
        for (got, want) in [
            (got.value_at_risk, "var"),
            (got.mean_of_worst_ceil, "es_mean_k"),
            (got.expected_shortfall_ceil, "es_exact"),
        ] {
            let want = number(&case.out[want]);
            let got = Scaled::from(got).over(Scaled::from(10u64.pow(18))).unwrap();
            assert!(relative(got, want) < 1e-16, "{}", case.id);
        }
        met += 1;
    }
    assert!(met > 0, "no case");
}

fn n(text: &str) -> Scaled {
    text.parse().unwrap()
}

#[test]
fn decay_halves_a_weight_in_its_half_life() {
    for half_life in [1u64, 5, 11, 365] {
        let lambda = decay(Scaled::from(half_life)).unwrap();
        let mut weight = Scaled::ONE;
        for _ in 0..half_life {
            weight = weight.times(lambda).unwrap();
        }
        assert!(relative(weight, n("0.5")) < 1e-32);
    }
    assert_eq!(decay(Scaled::ZERO), Err(ModelError::Invalid));
    assert_eq!(decay(n("-1")), Err(ModelError::Invalid));
}

#[test]
fn ewma_is_refused_without_a_seed() {
    let one = [Scaled::ONE];
    assert_eq!(ewma_variance(&one, n("0.9"), 2), Err(ModelError::Invalid));
    assert!(ewma_variance(&one, n("0.9"), 0).is_err());
    assert_eq!(ewma_variance(&one, n("0.9"), 1), Ok(Scaled::ONE));
}

/// Computed with mpmath from Kupiec's formula; the last four rows are the edges of the non-rejection region 37 < x < 65 that Kupiec
/// (1995) gives for n = 1000 and p = 5 % at 95 % confidence.
#[test]
fn kupiec_statistic_is_exact_on_known_counts() {
    for (observations, exceedances, expected, want) in [
        (250, 0, "0.01", "5.025167926750720591774428779"),
        (250, 7, "0.01", "5.496990447792699319874309066"),
        (255, 6, "0.01", "3.415357526264531755981163573"),
        (1000, 17, "0.01", "4.09097255454562384927299353"),
        (10, 10, "0.01", "92.10340371976182736071965819"),
        (1000, 37, "0.05", "3.895311928005986707107444232"),
        (1000, 38, "0.05", "3.293744447501042631405881603"),
        (1000, 64, "0.05", "3.805426780221651421135592722"),
        (1000, 65, "0.05", "4.345452958741734896553386622"),
    ] {
        let got = kupiec(observations, exceedances, n(expected)).unwrap();
        assert!(
            relative(got, n(want)) < 1e-23,
            "{observations} {exceedances}"
        );
    }
    let at = |x| kupiec(1000, x, n("0.05")).unwrap() > n("3.841");
    assert_eq!([37, 38, 64, 65].map(at), [true, false, false, true]);
}

/// Quantiles of χ² with one degree of freedom, `2·erfinv(1 − p)²`, and its tail far out, `erfc(√(x/2))`, computed with mpmath.
#[test]
fn p_value_is_the_tail_of_chi_squared() {
    for (statistic, want) in [
        ("0", "1"),
        ("0.4549364231195727519425166469796493963164", "0.5"),
        ("3.841458820694125958361375437362596846213", "0.05"),
        ("6.634896601021215138436525933979198124855", "0.01"),
        ("10.82756617066273229311292322202367866634", "0.001"),
        ("51.2", "8.341862847891266965645379009655235014089e-13"),
        ("1019.869", "8.619927022738619286749492613038729832606e-224"),
    ] {
        let got = kupiec_p_value(n(statistic)).unwrap();
        assert!(relative(got, n(want)) < 1e-28, "{statistic}");
    }
    assert!(kupiec_p_value(n("-1")).is_err());
}

#[test]
fn kupiec_is_refused_when_there_is_nothing_to_test() {
    for (observations, exceedances, expected) in
        [(0, 0, "0.01"), (5, 6, "0.01"), (5, 1, "0"), (5, 1, "1")]
    {
        assert_eq!(
            kupiec(observations, exceedances, n(expected)),
            Err(ModelError::Invalid)
        );
    }
    assert_eq!(kupiec(100, 1, n("0.01")), Ok(Scaled::ZERO));
}

#[test]
fn buffer_takes_a_quarter_of_the_stress_and_stops_at_the_floor() {
    let of = |forecast, floor| buffered(n(forecast), n("0.8"), 250_000, n(floor)).unwrap();
    assert!(relative(of("0.4", "0.1"), n("0.5")) < 1e-35);
    assert_eq!(of("0.1", "0.3"), n("0.3"));
}

#[test]
fn garch_is_refused_when_it_has_no_long_run() {
    let of = |alpha, beta| Garch::new(n("1"), n(alpha), n(beta));
    assert!(of("0.1", "0.89").is_ok());
    assert_eq!(of("0.1", "0.9"), Err(ModelError::Invalid));
    assert_eq!(of("-0.1", "0.9"), Err(ModelError::Invalid));
    let flat = of("0", "0").unwrap();
    assert_eq!(flat.forecast(n("9"), 1), Ok(n("9")));
    assert_eq!(flat.forecast(n("9"), 2), Ok(n("1")));
    assert_eq!(flat.forecast(n("9"), 0), Err(ModelError::Invalid));
}

#[test]
fn default_fund_covers_the_largest_losses_of_the_worst_scenario() {
    let mut scenarios = [vec![5, -9, 7, 1], vec![11, 0], vec![-3], vec![]];
    let of = |scenarios: &mut [Vec<i128>], cover| {
        default_fund_ceil(
            scenarios.iter_mut().map(Vec::as_mut_slice),
            cover,
            1_100_000,
        )
    };
    // 1.1 · (7 + 5) = 13.2; alone 1.1 · 11; of all 1.1 · 13.
    assert_eq!(of(&mut scenarios, 2), Ok(14));
    assert_eq!(of(&mut scenarios, 1), Ok(13));
    assert_eq!(of(&mut scenarios, 9), Ok(15));
    assert_eq!(of(&mut [], 2), Ok(0));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    /// Against the definition, in fractions: losses repeated so often that `a` becomes whole.
    #[test]
    fn historical_loss_is_the_mean_of_the_tail(
        losses in prop::collection::vec(-1_000i128..1_000, 1..60),
        beyond in 1u32..1_000,
    ) {
        let confidence = FixedU128::from_rational(u128::from(1_000 - beyond), 1_000);
        let got = HistoricalLoss::of(&mut losses.clone(), confidence).unwrap();
        // Every loss a thousand times: the tail has n · beyond of them, exactly.
        let mut repeated: Vec<_> = losses.iter().flat_map(|loss| [*loss; 1_000]).collect();
        repeated.sort_by_key(|loss| -loss);
        let tail = losses.len() * beyond as usize;
        let sum: i128 = repeated[..tail].iter().sum();
        let k = tail.div_ceil(1_000);
        let worst: i128 = repeated.iter().step_by(1_000).take(k).sum();
        let ceil = |a: i128, b: usize| a.div_euclid(b as i128) + i128::from(a.rem_euclid(b as i128) != 0);
        prop_assert_eq!(got, HistoricalLoss {
            k,
            value_at_risk: repeated[tail - 1],
            mean_of_worst_ceil: ceil(worst, k),
            expected_shortfall_ceil: ceil(sum, tail),
        });
    }

    #[test]
    fn garch_forecast_is_its_recursion_when_returns_are_as_expected(
        (long_run, next) in (1u64..1_000, 1u64..1_000), (alpha, beta) in (0u32..500, 0u32..500), k in 1u32..60,
    ) {
        let part = |x: u32| Scaled::ratio(x.into(), 1_000).unwrap();
        let garch = Garch::new(Scaled::from(long_run), part(alpha), part(beta)).unwrap();
        let (mut variance, mut sum) = (Scaled::from(next), Scaled::ZERO);
        for _ in 1..k {
            sum = sum.plus(variance).unwrap();
            // The expected square of a return is its variance.
            variance = garch.next(variance, variance.sqrt_floor().unwrap()).unwrap();
        }
        sum = sum.plus(variance).unwrap();
        prop_assert!(relative(garch.forecast(Scaled::from(next), k).unwrap(), variance) < 1e-35);
        prop_assert!(relative(garch.variance_over(Scaled::from(next), k).unwrap(), sum) < 1e-35);
    }

    #[test]
    fn default_fund_never_falls_when_more_are_covered(
        losses in prop::collection::vec(-100i128..100, 0..12), cover in 0usize..12,
    ) {
        let of = |cover| largest_losses(&mut losses.clone(), cover).unwrap();
        let most: i128 = losses.iter().filter(|loss| **loss > 0).sum();
        prop_assert!(of(cover) <= of(cover + 1) && of(losses.len()) == most);
    }
}
