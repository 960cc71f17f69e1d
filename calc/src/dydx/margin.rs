//! `dydx_margin`: margin fractions and initial margin.

use crate::{
    input::{integer, Input},
    Error, Result,
};
use novate_risk::effective_imf;
use novate_types::{
    math::{mul_div_floor, ppm_floor, signed_mul_div_ceil},
    Cash, Ppm, RiskTier, MILLION,
};
use serde_json::{json, Value};

/// `adjusted_imf_ppm`, `initial_margin` and `maintenance_ppm`.
pub fn case(kind: &Input, input: &Input) -> Result<Value> {
    let case = kind.one_of::<fn(&Input) -> Result<Value>>(&[
        ("adjusted_imf_ppm", |input| {
            Ok(json!({ "imf_ppm": integer(adjusted_imf_floor(input)?) }))
        }),
        ("initial_margin", |input| {
            let notional: Cash = input.get("notional")?.whole()?;
            let imf = adjusted_imf_floor(input)?.into();
            let margin = signed_mul_div_ceil(notional, imf, MILLION.into())?;
            Ok(json!({ "initial_margin": integer(margin) }))
        }),
        ("maintenance_ppm", |input| {
            let imf = fraction(input, "im_ppm")?;
            let part = fraction(input, "maintenance_fraction_ppm")?;
            Ok(json!({ "maintenance_ppm": integer(ppm_floor(imf.into(), part)?) }))
        }),
    ])?;
    case(input)
}

/// A fraction in ppm of at most one.
pub(super) fn fraction(input: &Input, key: &str) -> Result<Ppm> {
    let input = input.get(key)?;
    let ppm = input.whole()?;
    if ppm > MILLION {
        return Err(input.error("out_of_range", "is above 1000000 ppm"));
    }
    Ok(ppm)
}

/// The chain's initial margin fraction scaled by open interest, but rounded down as dYdX does.
///
/// dYdX turns scaling off by an upper cap of zero, the chain by caps out of reach.
fn adjusted_imf_floor(input: &Input) -> Result<Ppm> {
    let imf = fraction(input, "im_ppm")?;
    let cap = |key| input.get(key)?.whole::<Cash>();
    let (open, lower, upper) = (cap("oi_notional")?, cap("lower_cap")?, cap("upper_cap")?);
    if open < 0 || lower < 0 || upper < 0 {
        return Err(Error::new(
            "negative",
            "in holds a cap or an open interest below zero",
        ));
    }
    let (lower, upper) = match upper {
        0 => (Cash::MAX, Cash::MAX),
        _ => (lower, upper),
    };
    let tier = RiskTier {
        imf,
        mmf: 0,
        open_interest_lower: lower,
        open_interest_upper: upper,
        profit_credit: 0,
        impact_notional: 0,
        mark_band: 0,
        price_band: 0,
        call_blocks: 0,
        edge_blocks: 0,
    };
    let ceil = effective_imf(&tier, open, 0)?;
    if open <= lower || open >= upper {
        return Ok(ceil);
    }
    // Between the caps all three are above zero, and the rest is what both round.
    let (over, room) = (open.abs_diff(lower), upper.abs_diff(lower));
    let rest = u128::from(MILLION.abs_diff(imf));
    let floor = mul_div_floor(rest, over, room)?;
    Ok(ceil.min(imf.saturating_add(u32::try_from(floor).unwrap_or(MILLION))))
}
