//! Cases from files as lines, and answers as numbers.

#![allow(dead_code)]

use novate_calc::answer;
use novate_math::Scaled;
use serde_json::{json, Value};

/// A family's file. Those of the chain's crates lie with them.
pub fn file(family: &str) -> Value {
    let text = match family {
        "options_black" => {
            include_str!("../../../primitives/math/tests/vectors/options_black.json")
        }
        "normal_cdf" => include_str!("../../../primitives/math/tests/vectors/normal_cdf.json"),
        "exp_ln_sqrt" => include_str!("../../../primitives/math/tests/vectors/exp_ln_sqrt.json"),
        "implied_vol" => include_str!("../vectors/implied_vol.json"),
        "call_auction" => {
            include_str!("../../../primitives/matching/tests/vectors/call_auction.json")
        }
        "ewma_es" => include_str!("../../../primitives/risk/tests/vectors/ewma_es.json"),
        "span16" => include_str!("../../../primitives/risk/tests/vectors/span16.json"),
        "derive_pm_v2" => include_str!("../../../primitives/risk/tests/vectors/derive_pm_v2.json"),
        "clob" => include_str!("../../../primitives/matching/tests/vectors/clob.json"),
        "dydx_margin" => include_str!("../../../primitives/risk/tests/vectors/dydx_margin.json"),
        "dydx_liquidation" => {
            include_str!("../../../primitives/risk/tests/vectors/dydx_liquidation.json")
        }
        "dydx_premium" => include_str!("../../../primitives/risk/tests/vectors/dydx_premium.json"),
        other => panic!("no file of {other}"),
    };
    serde_json::from_str(text).unwrap()
}

/// A family's cases of some kinds, of all without any.
pub fn cases(family: &str, kinds: &[&str]) -> Vec<Value> {
    let file = file(family);
    let all = file["cases"].as_array().unwrap();
    assert_eq!(all.len() as u64, file["count"].as_u64().unwrap());
    let wanted =
        |case: &&Value| kinds.is_empty() || kinds.contains(&case["kind"].as_str().unwrap());
    all.iter().filter(wanted).cloned().collect()
}

/// A case as a program sends it.
pub fn line(family: &str, case: &Value) -> String {
    json!({ "id": case["id"], "family": family, "kind": case["kind"], "in": case["in"] })
        .to_string()
}

/// What the calculator says to a case.
pub fn ask(family: &str, case: &Value) -> Value {
    let answer: Value = serde_json::from_str(&answer(&line(family, case))).unwrap();
    assert_eq!(answer["id"], case["id"]);
    answer
}

/// A decimal string, or `p/q`.
pub fn number(value: &Value) -> Scaled {
    let text = value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no string"));
    match text.split_once('/') {
        Some((p, q)) => {
            let (p, q): (Scaled, Scaled) = (p.parse().unwrap(), q.parse().unwrap());
            p.over(q).unwrap()
        }
        None => text.parse().unwrap(),
    }
}

/// For comparing errors only.
pub fn float(x: Scaled) -> f64 {
    x.to_decimal(17).unwrap().parse().unwrap()
}

/// `|got − want|`.
pub fn absolute(got: &Value, want: &Value) -> f64 {
    float(number(got).minus(number(want)).unwrap().abs())
}

/// `|got − want| / |want|`, or zero if both are.
pub fn relative(got: &Value, want: &Value) -> f64 {
    let difference = number(got).minus(number(want)).unwrap().abs();
    if difference.is_zero() {
        return 0.0;
    }
    float(difference.over(number(want).abs()).unwrap())
}

/// As many cases as a property needs, or as `PROPTEST_CASES` asks for.
pub fn runs(needed: u32) -> proptest::test_runner::Config {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok());
    proptest::test_runner::Config {
        cases: asked.unwrap_or(needed),
        failure_persistence: None,
        ..Default::default()
    }
}
