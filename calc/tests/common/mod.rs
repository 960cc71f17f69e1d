//! Cases from files as lines, and answers as numbers.

#![allow(dead_code)]

use novate_calc::answer;
use novate_math::Scaled;
use proptest::prelude::*;
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

/// What people and programs send by mistake, and on purpose.
pub fn anything() -> impl Strategy<Value = Value> {
    let words = [
        "",
        "0",
        "-0",
        "-1",
        "1",
        "2",
        "NaN",
        "inf",
        "-inf",
        "1e400",
        "1e-400",
        "-1e-400",
        "1e4999",
        "1e5001",
        "0.1",
        "1e18",
        "1e38",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "18446744073709551615",
        "4611686018427387904",
        "170141183460469231731687303715884105727",
        "-170141183460469231731687303715884105728",
        "1/3",
        "0x10",
        "１",
        "a0",
        "call",
        "buy",
        "sell",
        "FOK",
        "cancel",
        "first",
        "mean20",
    ];
    prop_oneof![
        6 => prop::sample::select(words.to_vec()).prop_map(Value::from),
        1 => "[0-9]{0,1200}".prop_map(Value::from),
        1 => "[+-]?[0-9]{0,25}[.]?[0-9]{0,25}(e[+-]?[0-9]{1,4})?".prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => prop::sample::select(vec![json!(null), json!(true), json!([]), json!({}), json!([["1"]])]),
    ]
}

/// Puts `new` in the place that `at` chooses among all places of a value, or takes it away.
pub fn mutate(value: &mut Value, at: &mut usize, new: &Option<Value>) -> bool {
    let count = match value {
        Value::Array(values) => values.len(),
        Value::Object(values) => values.len(),
        _ => 0,
    };
    for child in 0..count {
        if *at == 0 {
            match (value, new) {
                (Value::Array(values), Some(new)) => values[child] = new.clone(),
                (Value::Array(values), None) => drop(values.remove(child)),
                (Value::Object(values), new) => {
                    let key = values.keys().nth(child).unwrap().clone();
                    match new {
                        Some(new) => drop(values.insert(key, new.clone())),
                        None => drop(values.remove(&key)),
                    }
                }
                _ => unreachable!("a value without children"),
            }
            return true;
        }
        *at -= 1;
        let inner = match value {
            Value::Array(values) => &mut values[child],
            Value::Object(values) => values.values_mut().nth(child).unwrap(),
            _ => unreachable!("a value without children"),
        };
        if mutate(inner, at, new) {
            return true;
        }
    }
    false
}

pub fn places(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.iter().map(|v| 1 + places(v)).sum(),
        Value::Object(values) => values.values().map(|v| 1 + places(v)).sum(),
        _ => 0,
    }
}
