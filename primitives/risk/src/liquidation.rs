//! Prices and sizes of liquidation (section 7), after dYdX v4 (`x/clob/keeper/liquidations.go`).
//!
//! dYdX quotes what the account *receives*; here a `value` is what it *pays*, as in [`crate::apply_trade`].

use crate::linear::{maintenance_ceil, Linear, MIN_MAINTENANCE};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use novate_types::{
    math::{
        add, mul_div_ceil, mul_div_floor, notional_ceil, notional_floor, position_value_floor,
        ppm_ceil, ppm_floor, signed, signed_mul_div_floor, sub, ticks_floor,
    },
    Assessment, Cash, Lots, MarginAccount, MarketId, MarketView, MathError, Ppm, Price, RiskError,
    RiskModel, RiskView, SignedLots, Ticks, MILLION,
};
use scale_info::TypeInfo;

/// How liquidation orders are priced and sized.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct LiquidationParams {
    /// BA: how fast the fillable price leaves the mark as equity falls below maintenance margin.
    pub bankruptcy_adjustment: Ppm,
    /// SMMR: the farthest it goes, as a part of the position's maintenance margin.
    pub spread_to_maintenance: Ppm,
    /// Worst trading fee a liquidation fill pays.
    pub fee: Ppm,
    /// Distance from the mark that the sizing expects fills at.
    pub concession: Ppm,
    /// Equity above maintenance margin to come back to, as a part of maintenance margin.
    pub target_buffer: Ppm,
    /// Part of the resting depth that one close may take.
    pub depth_share: Ppm,
}

/// What the account pays for `lots` more (signed) in `market` at its bankruptcy price: `ΔNNV + ⌊TNC·|ΔMMR|/TMMR⌋` on the state
/// before, with NNV the position's value at the mark, TNC equity and TMMR maintenance margin.
///
/// A trade at this value or less leaves `equity/MM` no lower, exactly: what rounds, rounds for the account. Below zero the account
/// receives.
///
/// Errors: [`RiskError::Underflow`] if the change would raise maintenance margin; there is no such price then.
pub fn bankruptcy_value(
    account: &MarginAccount,
    view: &RiskView,
    market: MarketId,
    lots: SignedLots,
) -> Result<Cash, RiskError> {
    if lots == 0 {
        return Ok(0);
    }
    let before = Linear::assess(account, view)?;
    let market = view.market(market)?;
    let held = account.lots(market.id);
    let left = held.checked_add(lots).ok_or(MathError::Overflow)?;
    let freed = sub(
        maintenance_ceil(market, held)?,
        maintenance_ceil(market, left)?,
    )?;
    let value_of = |lots| position_value_floor(lots, market.mark, market.lot_size);
    let moved = sub(value_of(left)?, value_of(held)?)?;
    bankruptcy_value_of(before.equity, before.maintenance, moved, freed)
}

/// [`bankruptcy_value`] of a change that is valued already: it moves the value of the positions by `moved` and frees `freed` of `maintenance`.
pub fn bankruptcy_value_of(
    equity: Cash,
    maintenance: Cash,
    moved: Cash,
    freed: Cash,
) -> Result<Cash, RiskError> {
    if freed < 0 {
        return Err(RiskError::Underflow);
    }
    let share = signed_mul_div_floor(equity, freed.unsigned_abs(), maintenance.unsigned_abs())?;
    Ok(add(moved, share)?)
}

/// [`bankruptcy_value`] as a limit: the worst whole tick at which trading `lots` is not worse than bankruptcy.
///
/// A purchase for which no price would be low enough has limit zero, where nothing trades; a sale for which any price is high
/// enough has limit zero too, which every price meets. Zero `lots` give zero.
pub fn bankruptcy_ticks(
    account: &MarginAccount,
    view: &RiskView,
    market: MarketId,
    lots: SignedLots,
) -> Result<Ticks, RiskError> {
    if lots == 0 {
        return Ok(0);
    }
    let value = bankruptcy_value(account, view, market, lots)?;
    limit_for_value(view.market(market)?, lots, value)
}

/// The worst whole tick at which trading `lots` costs at most `value`; see [`bankruptcy_ticks`] for zero.
fn limit_for_value(market: &MarketView, lots: SignedLots, value: Cash) -> Result<Ticks, RiskError> {
    let per_tick = u128::from(lots.unsigned_abs())
        .checked_mul(u128::from(market.tick_value))
        .ok_or(MathError::Overflow)?;
    let ticks = match (lots > 0, value > 0) {
        (true, true) => mul_div_floor(value.unsigned_abs(), 1, per_tick)?,
        (false, false) => mul_div_ceil(value.unsigned_abs(), 1, per_tick)?,
        _ => 0,
    };
    Ok(Ticks::try_from(ticks).map_err(|_| MathError::Overflow)?)
}

/// The fillable price of the whole position in `market`: `(PNNV − ABR·SMMR·PMMR)/size`, notional and size signed, with
/// `ABR = clamp(BA·(1 − TNC/TMMR), 0, 1)`; rounded to the tick that is better for the account. Zero without a position.
///
/// By itself it may lie beyond bankruptcy: [`liquidation_limit`] joins the two.
pub fn fillable_ticks(
    assessment: &Assessment,
    account: &MarginAccount,
    view: &RiskView,
    market: MarketId,
    p: &LiquidationParams,
) -> Result<Ticks, RiskError> {
    let market = view.market(market)?;
    let held = account.lots(market.id);
    let Some(closing) = held.checked_neg().filter(|lots| *lots != 0) else {
        return Ok(0);
    };
    let size = held.unsigned_abs();
    let spread = fillable_spread_floor(
        assessment.equity,
        assessment.maintenance,
        maintenance_ceil(market, held)?,
        p,
    )?;
    let value = if closing > 0 {
        add(
            signed(notional_floor(size, market.mark, market.lot_size)?)?,
            spread,
        )?
    } else {
        sub(
            spread,
            signed(notional_ceil(size, market.mark, market.lot_size)?)?,
        )?
    };
    limit_for_value(market, closing, value)
}

/// How far from the mark the whole of a position with maintenance margin `margin` may be filled, in quantums: `ABR·SMMR·PMMR`.
pub fn fillable_spread_floor(
    equity: Cash,
    maintenance: Cash,
    margin: Cash,
    p: &LiquidationParams,
) -> Result<Cash, MathError> {
    let short_of = sub(maintenance, equity)?.max(0).unsigned_abs();
    let maintenance = maintenance.unsigned_abs();
    let adjusted = ppm_floor(short_of, p.bankruptcy_adjustment)?.min(maintenance);
    let widest = ppm_floor(margin.unsigned_abs(), p.spread_to_maintenance)?;
    signed(mul_div_floor(widest, adjusted, maintenance)?)
}

/// Limit of a liquidation order that closes `lots` of the position in `market`: the fillable price, never worse than bankruptcy.
///
/// Errors: [`RiskError::Underflow`] if `lots` exceeds the position.
pub fn liquidation_limit(
    assessment: &Assessment,
    account: &MarginAccount,
    view: &RiskView,
    market: MarketId,
    lots: Lots,
    p: &LiquidationParams,
) -> Result<Ticks, RiskError> {
    let held = account.lots(market);
    if lots > held.unsigned_abs() {
        return Err(RiskError::Underflow);
    }
    let lots = SignedLots::try_from(lots).map_err(|_| MathError::Overflow)?;
    let closing = if held > 0 {
        lots.checked_neg().ok_or(MathError::Overflow)?
    } else {
        lots
    };
    let fillable = fillable_ticks(assessment, account, view, market, p)?;
    let bankruptcy = bankruptcy_ticks(account, view, market, closing)?;
    Ok(if held > 0 {
        fillable.max(bankruptcy)
    } else {
        fillable.min(bankruptcy)
    })
}

/// Lots to close in `market` so that the account has `equity ≥ MM·(1 + target_buffer)` again, at most its position there:
/// `(MM·(1 + b) − equity) / (P·(m·(1 + b) − fee − concession))`, rounded up; of an option `P·m` is its own maintenance margin for each lot. What would be left at the least maintenance
/// margin is closed too. Zero at target already.
///
/// `None`: closing here costs more equity than it frees, or there is nothing to close; go to the next remedy.
pub fn liquidation_lots(
    assessment: &Assessment,
    account: &MarginAccount,
    view: &RiskView,
    market: MarketId,
    p: &LiquidationParams,
) -> Result<Option<Lots>, RiskError> {
    let market = view.market(market)?;
    let held = account.lots(market.id);
    if held == 0 {
        return Ok(None);
    }
    let size = held.unsigned_abs();
    let target = MILLION
        .checked_add(p.target_buffer)
        .ok_or(MathError::Overflow)?;
    let needed = signed(ppm_ceil(assessment.maintenance.unsigned_abs(), target)?)?;
    let shortage = sub(needed, assessment.equity)?;
    if shortage <= 0 {
        return Ok(Some(0));
    }

    let spent = p.fee.checked_add(p.concession).ok_or(MathError::Overflow)?;
    let gain = if market.contract.kind.is_option() {
        let freed = ppm_floor(maintenance_ceil(market, held)?.unsigned_abs(), target)?;
        let value = notional_ceil(size, market.mark, market.lot_size)?;
        freed.saturating_sub(ppm_ceil(value, spent)?)
    } else {
        let freed = ppm_floor(u128::from(market.mmf), target)?;
        let net = match freed.checked_sub(spent.into()) {
            Some(net) => Ppm::try_from(net).map_err(|_| MathError::Overflow)?,
            None => return Ok(None),
        };
        ppm_floor(notional_floor(size, market.mark, market.lot_size)?, net)?
    };
    if gain == 0 {
        return Ok(None);
    }
    let lots = mul_div_ceil(shortage.unsigned_abs(), u128::from(size), gain)
        .ok()
        .and_then(|lots| Lots::try_from(lots).ok())
        .map_or(size, |lots| lots.min(size));
    let left = if held > 0 {
        held.checked_sub_unsigned(lots)
    } else {
        held.checked_add_unsigned(lots)
    };
    let dust = maintenance_ceil(market, left.ok_or(MathError::Overflow)?)? <= MIN_MAINTENANCE;
    Ok(Some(if dust { size } else { lots }))
}

/// The mark of `market` at which equity would meet maintenance margin, all else as it is: `P·(1 ∓ s/(|value|·(1 ∓ MMF)))` with
/// `s = equity − MM`, minus for a long. For display: the least maintenance margin is left out, and rounding is towards the
/// mark. The mark itself for an account that is below already.
///
/// `None` without a position there, in an option, or for a long that stays above maintenance margin at any price.
pub fn liquidation_price(
    assessment: &Assessment,
    account: &MarginAccount,
    view: &RiskView,
    market: MarketId,
) -> Result<Option<Price>, RiskError> {
    let market = view.market(market)?;
    let held = account.lots(market.id);
    if held == 0 || market.contract.kind.is_option() || market.contract.settled {
        return Ok(None);
    }
    let slack = sub(assessment.equity, assessment.maintenance)?
        .max(0)
        .unsigned_abs();
    let value = position_value_floor(held, market.mark, market.lot_size)?.unsigned_abs();
    let margin = ppm_ceil(value, market.mmf)?;
    let mark = market.mark.into_inner();
    if held > 0 {
        let rate = value.checked_sub(margin).ok_or(MathError::Overflow)?;
        if slack >= rate {
            return Ok(None);
        }
        let distance = mul_div_floor(mark, slack, rate)?;
        Ok(mark
            .checked_sub(distance)
            .filter(|price| *price > 0)
            .map(Price::from_inner))
    } else {
        let rate = value.checked_add(margin).ok_or(MathError::Overflow)?;
        let distance = mul_div_floor(mark, slack, rate)?;
        Ok(Some(Price::from_inner(
            mark.checked_add(distance).ok_or(MathError::Overflow)?,
        )))
    }
}

/// `lots` cut to `depth_share` of the resting `depth`, but at least one lot.
pub fn slice_to_depth(lots: Lots, depth: Lots, p: &LiquidationParams) -> Result<Lots, MathError> {
    let share = ppm_floor(u128::from(depth), p.depth_share)?.max(1);
    Ok(Lots::try_from(share).map_or(lots, |share| lots.min(share)))
}

/// Fewest lots of a slice: what the least notional of an order buys at the mark, rounded up, at least one. Smaller slices
/// would only litter the book.
pub fn least_slice(market: &MarketView) -> Result<Lots, MathError> {
    let per_lot = u128::from(ticks_floor(market.mark, market.tick_size)?.max(1))
        .checked_mul(u128::from(market.tick_value))
        .ok_or(MathError::Overflow)?;
    let least = mul_div_ceil(market.min_notional.max(0).unsigned_abs(), 1, per_lot)?.max(1);
    Lots::try_from(least).map_err(|_| MathError::Overflow)
}
