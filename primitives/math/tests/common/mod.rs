//! Cases from files, and how far a result is from what it should be.

#![allow(dead_code)]

use novate_math::Scaled;
use serde_json::Value;

/// A case of a vector file.
pub struct Case {
    pub id: String,
    pub kind: String,
    input: Value,
    out: Value,
}

pub fn cases(file: &str) -> Vec<Case> {
    let file: Value = serde_json::from_str(file).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len() as u64, file["count"].as_u64().unwrap());
    cases
        .iter()
        .map(|case| Case {
            id: case["id"].as_str().unwrap().into(),
            kind: case["kind"].as_str().unwrap().into(),
            input: case["in"].clone(),
            out: case["out"].clone(),
        })
        .collect()
}

impl Case {
    pub fn input(&self, key: &str) -> Scaled {
        number(&self.input[key])
    }

    pub fn out(&self, key: &str) -> Scaled {
        number(&self.out[key])
    }

    pub fn list(&self, key: &str) -> Vec<Scaled> {
        self.out[key]
            .as_array()
            .unwrap()
            .iter()
            .map(number)
            .collect()
    }
}

fn number(value: &Value) -> Scaled {
    value.as_str().unwrap().parse().unwrap()
}

/// For comparing errors only.
pub fn float(x: Scaled) -> f64 {
    x.to_decimal(17).unwrap().parse().unwrap()
}

/// `|got − want|`.
pub fn absolute(got: Scaled, want: Scaled) -> f64 {
    float(got.minus(want).unwrap().abs())
}

/// `|got − want| / |want|`, or zero if both are.
pub fn relative(got: Scaled, want: Scaled) -> f64 {
    let difference = got.minus(want).unwrap().abs();
    if difference.is_zero() {
        return 0.0;
    }
    float(difference.over(want.abs()).unwrap())
}

/// The largest error and where it was.
#[derive(Default)]
pub struct Worst {
    error: f64,
    at: String,
}

impl Worst {
    pub fn at_most(&mut self, bound: f64, error: f64, at: &str) {
        assert!(error <= bound, "{at}: error {error:e} above {bound:e}");
        if error > self.error {
            (self.error, self.at) = (error, at.into());
        }
    }
}

impl std::fmt::Display for Worst {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1e} at {}", self.error, self.at)
    }
}

/// As many cases as a property needs, or as `PROPTEST_CASES` asks for.
pub fn runs(needed: u32) -> proptest::test_runner::Config {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok());
    let cases = asked.unwrap_or(needed);
    proptest::test_runner::Config {
        cases,
        max_global_rejects: 20 * cases,
        failure_persistence: None,
        ..Default::default()
    }
}
