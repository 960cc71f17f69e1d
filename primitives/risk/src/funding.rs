//! Funding of perpetuals (section 5), after dYdX v4 (`x/perpetuals`): the premium of impact prices over the index, a rate per
//! eight hours between caps, and a cumulative index per lot that positions settle against.
//!
//! Premium and rate are in parts per 10¹² ("ppt"): the product of two [`Ppm`] is one exactly.

use crate::ledger::FUNDING_UNIT;
use novate_types::{
    math::{mul_div_floor, sub},
    FundingIndex, MathError, Millis, Ppm, Price, RiskTier, Size, QUANTUMS,
};
use primitive_types::U512;
use sp_arithmetic::FixedPointNumber;

/// One whole in a premium or a funding rate.
pub const TRILLION: i64 = 1_000_000_000_000;
/// The period a funding rate is quoted for.
pub const FUNDING_PERIOD: Millis = 8 * 60 * 60 * 1_000;
/// Farthest that interest moves the rate away from the mean premium, ±0.05 %, in ppt.
pub const INTEREST_CLAMP: i64 = 500_000_000;
/// From parts per million to ppt.
const PPM: i64 = 1_000_000;

/// `(max(0, impact_bid − index) − max(0, index − impact_ask)) / index` in ppt, each term truncated towards zero. A side without
/// the depth for an impact price counts zero.
///
/// Errors: division by zero without an index, overflow beyond ±9·10⁶ times the index.
pub fn premium(
    impact_bid: Option<Price>,
    impact_ask: Option<Price>,
    index: Price,
) -> Result<i64, MathError> {
    let index = index.into_inner();
    let above = impact_bid
        .and_then(|bid| bid.into_inner().checked_sub(index))
        .unwrap_or(0);
    let below = impact_ask
        .and_then(|ask| index.checked_sub(ask.into_inner()))
        .unwrap_or(0);
    let share = |distance| {
        let ppt = mul_div_floor(distance, u128::from(TRILLION.unsigned_abs()), index)?;
        i64::try_from(ppt).map_err(|_| MathError::Overflow)
    };
    share(above)?
        .checked_sub(share(below)?)
        .ok_or(MathError::Overflow)
}

/// Rate per eight hours in ppt: `clamp(P̄ + clamp(interest − P̄, ±0.05 %), ±k·(IMF − MMF))`, longs pay above zero. Exact.
///
/// `mean_premium` is the one-hour time-weighted mean of [`premium`] in ppt, `cap_factor` is `k` in ppm of one. The tier's own IMF
/// counts, not the one scaled by open interest.
pub fn funding_rate_8h(
    mean_premium: i64,
    interest_ppm: i32,
    cap_factor: Ppm,
    tier: &RiskTier,
) -> Result<i64, MathError> {
    let interest = i64::from(interest_ppm)
        .checked_mul(PPM)
        .ok_or(MathError::Overflow)?;
    let pull = interest
        .checked_sub(mean_premium)
        .ok_or(MathError::Overflow)?
        .clamp(-INTEREST_CLAMP, INTEREST_CLAMP);
    let rate = mean_premium.checked_add(pull).ok_or(MathError::Overflow)?;
    let width = tier.imf.saturating_sub(tier.mmf);
    let cap = u64::from(cap_factor)
        .checked_mul(u64::from(width))
        .ok_or(MathError::Overflow)?;
    let cap = i64::try_from(cap).map_err(|_| MathError::Overflow)?;
    let floor = cap.checked_neg().ok_or(MathError::Overflow)?;
    Ok(rate.clamp(floor, cap))
}

/// The cumulative index after `elapsed` at `rate_8h` (ppt): it moves by `rate · price · lot_size · elapsed / 8 h` quantums per
/// long lot, truncated towards zero at its 32nd fractional bit. As longs and shorts settle against the same index, its own
/// rounding creates nothing.
pub fn accrue(
    index: FundingIndex,
    rate_8h: i64,
    price: Price,
    lot_size: Size,
    elapsed: Millis,
) -> Result<FundingIndex, MathError> {
    // At most 63 + 128 + 128 + 20 + 64 + 33 bits: the product always fits.
    let moved = [
        u128::from(rate_8h.unsigned_abs()),
        price.into_inner(),
        lot_size.into_inner(),
        QUANTUMS.unsigned_abs(),
        u128::from(elapsed),
        FUNDING_UNIT,
    ];
    let unit = [
        u128::from(TRILLION.unsigned_abs()),
        Price::DIV,
        Size::DIV,
        u128::from(FUNDING_PERIOD),
    ];
    let step = product(&moved)?
        .checked_div(product(&unit)?)
        .ok_or(MathError::DivisionByZero)?;
    let step = u128::try_from(step)
        .ok()
        .and_then(|step| FundingIndex::try_from(step).ok())
        .ok_or(MathError::Overflow)?;
    if rate_8h < 0 {
        sub(index, step)
    } else {
        index.checked_add(step).ok_or(MathError::Overflow)
    }
}

fn product(factors: &[u128]) -> Result<U512, MathError> {
    factors
        .iter()
        .try_fold(U512::one(), |product, factor| {
            product.checked_mul(U512::from(*factor))
        })
        .ok_or(MathError::Overflow)
}
