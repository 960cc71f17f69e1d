//! `dydx_liquidation`: bankruptcy and fillable price.
//!
//! dYdX truncates a position's value, rounds its maintenance margin up twice and knows no least one; given those, the prices are the chain's.

use super::{margin::fraction, ten_fraction};
use crate::{
    input::{decimal, integer, Input},
    Result,
};
use novate_math::Scaled;
use novate_risk::{bankruptcy_value_of, fillable_spread_floor, LiquidationParams};
use novate_types::{
    math::{add, mul_div_floor, neg, ppm_ceil, signed, sub},
    Cash, MathError, Ppm, MILLION,
};
use serde_json::{json, Value};

/// Decimals of a quantum in which the fillable price is computed, as far as they fit: a decimal of fewer digits comes out exactly.
const MOST_DECIMALS: u32 = 24;
/// Decimals in which equity and maintenance margin are exact when multiplied by a ppm.
const PPM_DECIMALS: u32 = 6;

/// `bankruptcy_price` and `fillable_price`.
pub fn case(kind: &Input, input: &Input) -> Result<Value> {
    let case = kind.one_of::<fn(&Input) -> Result<Value>>(&[
        ("bankruptcy_price", bankruptcy_price),
        ("fillable_price", fillable_price),
    ])?;
    case(input)
}

/// A perpetual's price and margin.
struct Perpetual {
    price: u128,
    /// `10^(exponent + resolution + 6)`, quote quantums per base quantum and unit of price.
    unit: (u128, u128),
    imf: Ppm,
    maintenance_fraction: Ppm,
}

impl Perpetual {
    fn read(input: &Input) -> Result<Self> {
        let power = |key| input.get(key)?.whole::<i16>();
        let power = i32::from(power("exponent")?) + i32::from(power("resolution")?) + 6;
        Ok(Self {
            price: input.get("price")?.whole::<u64>()?.into(),
            unit: ten_fraction(power)?,
            imf: fraction(input, "im_ppm")?,
            maintenance_fraction: fraction(input, "maintenance_fraction_ppm")?,
        })
    }

    /// Value in quote quantums, truncated towards zero.
    fn value(&self, size: Cash) -> Result<Cash> {
        let (up, down) = self.unit;
        let price = self.price.checked_mul(up).ok_or(MathError::Overflow)?;
        let value = signed(mul_div_floor(size.unsigned_abs(), price, down)?)?;
        Ok(if size < 0 { neg(value)? } else { value })
    }

    /// Maintenance margin of a value.
    fn maintenance(&self, value: Cash) -> Result<Cash> {
        let initial = ppm_ceil(value.unsigned_abs(), self.imf)?;
        Ok(signed(ppm_ceil(initial, self.maintenance_fraction)?)?)
    }
}

/// An account, and the position that a case is about.
struct Account {
    equity: Cash,
    maintenance: Cash,
    perpetual: Perpetual,
    size: Cash,
    delta: Cash,
}

impl Account {
    fn read(input: &Input) -> Result<Self> {
        let (account, perpetuals) = (input.get("account")?, input.get("perps")?);
        let subject = input.get("perp")?.whole::<u32>()?;
        let (mut equity, mut maintenance) = (account.get("quote")?.whole()?, 0);
        let mut held = None;
        for position in account.get("positions")?.list()? {
            let id: u32 = position.get("perp")?.whole()?;
            let perpetual = Perpetual::read(&perpetuals.get(&id.to_string())?)?;
            let size = position.get("size")?.whole()?;
            let value = perpetual.value(size)?;
            equity = add(equity, value)?;
            maintenance = add(maintenance, perpetual.maintenance(value)?)?;
            if id == subject && held.replace((perpetual, size)).is_some() {
                return Err(
                    position.error("duplicate_id", "is the second position of its perpetual")
                );
            }
        }
        let delta = input.get("delta")?;
        let invalid = || {
            delta.error(
                "invalid_delta",
                "has not the sign opposite to the position's, or exceeds it",
            )
        };
        let (perpetual, size) = held.ok_or_else(invalid)?;
        let delta: Cash = delta.whole()?;
        if delta.signum() * size.signum() != -1 || delta.unsigned_abs() > size.unsigned_abs() {
            return Err(invalid());
        }
        Ok(Self {
            equity,
            maintenance,
            perpetual,
            size,
            delta,
        })
    }
}

fn bankruptcy_price(input: &Input) -> Result<Value> {
    let account = Account::read(input)?;
    let perpetual = &account.perpetual;
    let before = perpetual.value(account.size)?;
    let after = perpetual.value(add(account.size, account.delta)?)?;
    let freed = sub(
        perpetual.maintenance(before)?,
        perpetual.maintenance(after)?,
    )?;
    let paid = bankruptcy_value_of(
        account.equity,
        account.maintenance,
        sub(after, before)?,
        freed,
    )?;
    Ok(json!({
        "bankruptcy_quote": integer(neg(paid)?),
        "tnc": integer(account.equity),
        "tmmr": integer(account.maintenance),
    }))
}

fn fillable_price(input: &Input) -> Result<Value> {
    let account = Account::read(input)?;
    let ppm = |key| input.get(key)?.whole::<Ppm>();
    let params = LiquidationParams {
        bankruptcy_adjustment: ppm("bankruptcy_adjustment_ppm")?,
        spread_to_maintenance: ppm("spread_to_mm_ratio_ppm")?,
        fee: 0,
        concession: 0,
        target_buffer: 0,
        depth_share: MILLION,
    };
    let mut price = fillable_with_decimals(&account, &params, MOST_DECIMALS);
    for decimals in (0..MOST_DECIMALS).rev() {
        if price.is_ok() {
            break;
        }
        price = fillable_with_decimals(&account, &params, decimals);
    }
    Ok(json!({ "fillable_price": decimal(price?)? }))
}

/// Quote quantums per base quantum, the spread rounded down in so many decimals of a quantum.
fn fillable_with_decimals(
    account: &Account,
    params: &LiquidationParams,
    decimals: u32,
) -> Result<Scaled> {
    let fine = |quantums: Cash, decimals| {
        let unit = 10i128.checked_pow(decimals);
        unit.and_then(|unit| quantums.checked_mul(unit))
            .ok_or(MathError::Overflow)
    };
    let value = account.perpetual.value(account.size)?;
    let spread = fillable_spread_floor(
        fine(account.equity, PPM_DECIMALS)?,
        fine(account.maintenance, PPM_DECIMALS)?,
        fine(account.perpetual.maintenance(value)?, decimals)?,
        params,
    )?;
    let all = Scaled::from(sub(fine(value, decimals)?, spread)?);
    let size = Scaled::from(account.size).times(Scaled::from(fine(1, decimals)?))?;
    Ok(all.over(size)?)
}
