//! The project's shared numeric vectors, through [`novate_calc::answer`] (`vectors/README.md`).
//!
//! Where the vectors' own tolerance is that of doubles, these tests ask for twenty digits and more, which is what the calculator promises.

mod common;

use common::*;
use serde_json::Value;
use std::collections::BTreeMap;

/// Asserts that each key of a case's `out` is answered within the relative error `most`.
fn within(family: &str, kinds: &[&str], most: f64) -> usize {
    let cases = cases(family, kinds);
    for case in &cases {
        let answer = ask(family, case);
        for (key, want) in case["out"].as_object().unwrap() {
            let error = relative(&answer["out"][key], want);
            assert!(error <= most, "{} {key}: {error:e} in {answer}", case["id"]);
        }
    }
    cases.len()
}

/// Asserts that the named keys of `out` are answered as they stand.
fn exactly(family: &str, kinds: &[&str], keys: &[&str]) -> usize {
    let cases = cases(family, kinds);
    for case in &cases {
        let answer = ask(family, case);
        for key in keys {
            assert!(!case["out"][key].is_null(), "{} has no {key}", case["id"]);
            assert_eq!(answer["out"][key], case["out"][key], "{} {key}", case["id"]);
        }
    }
    cases.len()
}

#[test]
fn elementary_functions_have_thirty_digits() {
    let tight = ["exp", "expm1", "log1p", "log10", "pow", "sqrt"];
    assert_eq!(within("exp_ln_sqrt", &tight, 1e-30), 107);
    // Near one, the 128th bit of x is that much of its logarithm.
    assert_eq!(within("exp_ln_sqrt", &["ln"], 1e-20), 39);
}

#[test]
fn normal_distribution_has_twenty_eight_digits() {
    assert_eq!(within("normal_cdf", &[], 1e-28), 82);
}

#[test]
fn options_have_twenty_four_digits() {
    let cases = cases("options_black", &[]);
    for case in &cases {
        let answer = ask("options_black", case);
        let (got, want) = (&answer["out"]["black76"], &case["out"]["black76"]);
        assert_eq!(got.as_array().unwrap().len(), 10, "{answer}");
        for (at, want) in want.as_array().unwrap().iter().enumerate() {
            // Values below 1e-250 fall under the clamp of d at 37.
            let error = relative(&got[at], want).min(absolute(&got[at], want) * 1e270);
            assert!(error <= 1e-24, "{} {at}: {error:e}", case["id"]);
        }
    }
    assert_eq!(cases.len(), 300);
}

#[test]
fn implied_volatility_is_as_exact_as_its_price() {
    let (mut solved, mut refused) = (0, 0);
    for case in cases("implied_vol", &[]) {
        let answer = ask("implied_vol", &case);
        if let Some(name) = case["out"]["error"].as_str() {
            let error = answer["error"].as_str().unwrap();
            assert!(error.starts_with(&format!("{name}: ")), "{answer}");
            refused += 1;
            continue;
        }
        // The vectors allow 64 double_tol + 1e-12; double_tol is what 2⁻⁵² of the inputs is worth.
        let tolerance = float(number(&case["out"]["double_tol"])) * 1e-14 + 1e-26;
        let error = absolute(&answer["out"]["v"], &case["out"]["v"]);
        assert!(
            error <= tolerance,
            "{}: {error:e} above {tolerance:e}",
            case["id"]
        );
        solved += 1;
    }
    assert_eq!((solved, refused), (84, 6));
}

#[test]
fn book_is_the_vectors_when_each_event_is_a_block() {
    assert_eq!(exactly("clob", &[], &["trades", "bids", "asks"]), 45);
}

/// A call auction's answer against its orders: the checks of the vectors' own rules.
fn check_auction(case: &Value, out: &Value) {
    let (id, want) = (&case["id"], &case["out"]);
    let whole = |value: &Value| value.as_str().unwrap().parse::<u128>().unwrap();
    assert_eq!(out["volume"], want["max_volume"], "{id}");
    let fills: BTreeMap<&str, u128> = out["fills"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fill| (fill[0].as_str().unwrap(), whole(&fill[1])))
        .collect();
    if want["prices"].is_null() {
        assert!(out["price"].is_null() && fills.is_empty(), "{id}");
        return;
    }
    let price = whole(&out["price"]);
    let within = |intervals: &Value| {
        let mut all = intervals.as_array().unwrap().iter();
        all.any(|interval| whole(&interval[0]) <= price && price <= whole(&interval[1]))
    };
    assert!(
        within(&want["prices"]) && within(&want["min_imbalance_prices"]),
        "{id}: {price}"
    );
    // Without a mark, the middle of the prices of least imbalance, rounded down.
    let least = &want["min_imbalance_prices"];
    let ends = (
        whole(&least[0][0]),
        whole(&least[least.as_array().unwrap().len() - 1][1]),
    );
    assert_eq!(price, (ends.0 + ends.1) / 2, "{id}");
    let mut sums = BTreeMap::from([("buy", [0; 2]), ("sell", [0; 2])]);
    for order in case["in"]["orders"].as_array().unwrap() {
        let (side, limit, size) = (
            order[1].as_str().unwrap(),
            whole(&order[2]),
            whole(&order[3]),
        );
        let filled = fills.get(order[0].as_str().unwrap()).copied().unwrap_or(0);
        let eligible = if side == "buy" {
            limit >= price
        } else {
            limit <= price
        };
        assert!(
            filled <= size && (eligible || filled == 0),
            "{id}: order {}",
            order[0]
        );
        let [all, got] = sums.get_mut(side).unwrap();
        *all += if eligible { size } else { 0 };
        *got += filled;
    }
    let ([bids, bought], [asks, sold]) = (sums["buy"], sums["sell"]);
    assert_eq!((bought, sold), (bids.min(asks), bids.min(asks)), "{id}");
    assert_eq!(bought, whole(&want["max_volume"]), "{id}");
}

#[test]
fn auction_has_the_greatest_volume_and_the_middle_price() {
    let cases = cases("call_auction", &[]);
    for case in &cases {
        check_auction(case, &ask("call_auction", case)["out"]);
    }
    assert_eq!(cases.len(), 45);
}

#[test]
fn returns_have_twenty_digits_and_k_is_exact() {
    let series = &file("ewma_es")["series"];
    let cases = cases("ewma_es", &[]);
    for case in &cases {
        let mut inline = case.clone();
        let input = &case["in"];
        let all = series[input["series"].as_str().unwrap()]
            .as_array()
            .unwrap();
        let of = |key: &str| input[key].as_str().unwrap().parse::<usize>().unwrap();
        let window = all[of("start")..][..of("n") + 1].to_vec();
        // The whole series, and only its window.
        for prices in [all.clone(), window] {
            inline["in"]["series"] = prices.into();
            let answer = ask("ewma_es", &inline);
            for (key, want) in case["out"].as_object().unwrap() {
                let error = relative(&answer["out"][key], want);
                assert!(
                    error <= 1e-20,
                    "{} {key}: {error:e} in {answer}",
                    case["id"]
                );
            }
        }
    }
    assert_eq!(cases.len(), 36);
}

#[test]
fn sixteen_scenarios_have_eighteen_digits_of_gross_notional() {
    let cases = cases("span16", &[]);
    for case in &cases {
        let (input, answer) = (&case["in"], ask("span16", case));
        let (got, want) = (&answer["out"], &case["out"]);
        assert!(got.is_object(), "{answer}");
        let gross: f64 = input["positions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|position| {
                let at: usize = position["expiry"].as_str().unwrap().parse().unwrap();
                float(number(&position["quantity"]).abs())
                    * float(number(&input["expiries"][at]["F"]))
            })
            .sum::<f64>()
            * float(number(&input["multiplier"]));
        let near = |got: &Value, want: &Value| {
            let error = absolute(got, want) / gross;
            // A third of the price scan range has 18 decimals; the vectors allow 1e-12.
            assert!(
                error <= 1e-18,
                "{}: {got} for {want}, {error:e}",
                case["id"]
            );
        };
        let losses = want["losses"].as_array().unwrap();
        assert_eq!(got["losses"].as_array().unwrap().len(), losses.len());
        for (at, want) in losses.iter().enumerate() {
            near(&got["losses"][at], want);
        }
        near(&got["scan_risk"], &want["scan_risk"]);
        near(&got["net_option_value"], &want["net_option_value"]);
        assert_eq!(got["worst"], want["worst"], "{}", case["id"]);
    }
    assert_eq!(cases.len(), 8);
}

#[test]
fn published_portfolios_come_out_as_published() {
    let cases = cases("derive_pm_v2", &[]);
    let mut largest = 0f64;
    for case in &cases {
        let answer = ask("derive_pm_v2", case);
        assert!(answer["out"].is_object(), "{answer}");
        for (key, want) in case["out"].as_object().unwrap() {
            // Published as doubles; the vectors allow 1e-6.
            let error = absolute(&answer["out"][key], want) / float(number(want).abs()).max(1.0);
            assert!(error <= 1e-9, "{} {key}: {error:e} in {answer}", case["id"]);
            largest = largest.max(error);
        }
    }
    println!("largest error {largest:e}");
    assert_eq!(cases.len(), 21);
}

#[test]
fn margin_is_dydx_to_the_unit() {
    let kinds = ["adjusted_imf_ppm", "initial_margin", "maintenance_ppm"];
    let keys = ["imf_ppm", "initial_margin", "maintenance_ppm"];
    for ((kind, key), count) in kinds.iter().zip(keys).zip([2, 2, 1]) {
        assert_eq!(exactly("dydx_margin", &[kind], &[key]), count);
    }
}

#[test]
fn liquidation_prices_are_dydx_to_the_unit() {
    let (mut exact, mut refused) = (0, 0);
    for case in cases("dydx_liquidation", &["bankruptcy_price", "fillable_price"]) {
        let answer = ask("dydx_liquidation", &case);
        if let Some(name) = case["out"]["error"].as_str() {
            let error = answer["error"].as_str().unwrap();
            assert!(error.starts_with(&format!("{name}: ")), "{answer}");
            refused += 1;
            continue;
        }
        assert_eq!(answer["out"], case["out"], "{}", case["id"]);
        exact += 1;
    }
    assert_eq!((exact, refused), (4, 1));
}

#[test]
fn premium_is_dydx_to_the_ppm() {
    assert_eq!(exactly("dydx_premium", &["premium"], &["premium_ppm"]), 3);
}

#[test]
fn kinds_outside_the_calculator_are_refused_by_name() {
    for (family, kind) in [
        ("dydx_margin", "price_to_subticks"),
        ("dydx_liquidation", "insurance_delta"),
    ] {
        let cases = cases(family, &[kind]);
        assert!(!cases.is_empty());
        let answer: Value = ask(family, &cases[0]);
        assert!(
            answer["error"]
                .as_str()
                .unwrap()
                .starts_with("unknown_value: kind "),
            "{answer}"
        );
    }
}
