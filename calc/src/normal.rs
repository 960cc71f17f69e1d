//! `normal_cdf`: the standard normal distribution.

use crate::{
    input::{decimal, Input},
    Result,
};
use novate_math::{normal_cdf, normal_inverse, normal_pdf};
use serde_json::{json, Value};

/// `cdf`: `{"x"}` to `{"cdf", "sf", "pdf"}`; `inverse`: `{"p"}` to `{"z"}`.
pub fn case(kind: &Input, input: &Input) -> Result<Value> {
    if kind.one_of(&[("cdf", false), ("inverse", true)])? {
        let z = normal_inverse(input.get("p")?.number()?)?;
        return Ok(json!({ "z": decimal(z)? }));
    }
    let x = input.get("x")?.number()?;
    Ok(json!({
        "cdf": decimal(normal_cdf(x)?)?,
        "sf": decimal(normal_cdf(x.negated())?)?,
        "pdf": decimal(normal_pdf(x)?)?,
    }))
}
