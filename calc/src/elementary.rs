//! `exp_ln_sqrt`: elementary functions.

use crate::{
    input::{decimal, Input},
    Result,
};
use novate_math::{exp, exp_m1, ln, ln_1p, pow, sqrt, Scaled};
use serde_json::{json, Value};

/// `{"x"}`, for `pow` `{"x", "y"}`, to `{"y"}`.
pub fn case(kind: &Input, input: &Input) -> Result<Value> {
    type Function = fn(Scaled, &Input) -> Result<Scaled>;
    let function = kind.one_of::<Function>(&[
        ("exp", |x, _| Ok(exp(x)?)),
        ("expm1", |x, _| Ok(exp_m1(x)?)),
        ("ln", |x, _| Ok(ln(x)?)),
        ("log1p", |x, _| Ok(ln_1p(x)?)),
        ("log10", |x, _| Ok(ln(x)?.over(ln(Scaled::from(10u64))?)?)),
        ("pow", |x, input| Ok(pow(x, input.get("y")?.number()?)?)),
        ("sqrt", |x, _| Ok(sqrt(x)?)),
    ])?;
    let x = input.get("x")?.number()?;
    Ok(json!({ "y": decimal(function(x, input)?)? }))
}
