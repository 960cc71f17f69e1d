//! Cases from files.

#![allow(dead_code)]

use novate_math::Scaled;
use serde_json::Value;

/// A case of a vector file.
pub struct Case {
    pub kind: String,
    pub id: String,
    pub input: Value,
    pub out: Value,
}

/// All cases of a file, as many as it says.
pub fn cases(file: &str) -> Vec<Case> {
    let file: Value = serde_json::from_str(file).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len().to_string(), file["count"].to_string());
    cases
        .iter()
        .map(|case| Case {
            kind: case["kind"].as_str().unwrap().into(),
            id: case["id"].as_str().unwrap().into(),
            input: case["in"].clone(),
            out: case["out"].clone(),
        })
        .collect()
}

/// A decimal string.
pub fn number(value: &Value) -> Scaled {
    text(value).parse().unwrap()
}

/// A string.
pub fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no string: {value}"))
}

/// For comparing errors only.
pub fn float(x: Scaled) -> f64 {
    x.to_decimal(17).unwrap().parse().unwrap()
}

/// `|got − want| / |want|`, or zero if both are.
pub fn relative(got: Scaled, want: Scaled) -> f64 {
    let difference = got.minus(want).unwrap().abs();
    if difference.is_zero() {
        return 0.0;
    }
    float(difference.over(want.abs()).unwrap())
}
