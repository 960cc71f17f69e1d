//! Trading fees, and the margin one open order reserves for itself.

use novate_types::{
    math::{
        add, negative, notional_ceil, notional_floor, ppm_ceil, ppm_floor, signed, sub, trade_value,
    },
    Cash, FeeTier, Lots, MarketView, MathError, Side, Ticks,
};

/// Fee on a traded value, whichever its sign: `⌈|value|·ppm/10⁶⌉`. A negative rate is a rebate, `−⌊|value|·|ppm|/10⁶⌋`.
///
/// As both roundings favour the fee pot, maker plus taker of one trade is at least zero whenever their rates' sum is.
pub fn fee(value: Cash, ppm: i32) -> Result<Cash, MathError> {
    if ppm >= 0 {
        signed(ppm_ceil(value.unsigned_abs(), ppm.unsigned_abs())?)
    } else {
        negative(ppm_floor(value.unsigned_abs(), ppm.unsigned_abs())?)
    }
}

/// What an order's own fill can cost beyond the margin of its lots: `max(0, signed size·(limit − mark))` plus the dearer of the
/// two fees at the limit, each rounded up. Fixed at intake and released with the order.
///
/// A fill at a better price than the limit improves the first term by more than it raises the fee, so the limit is the worst.
///
/// Errors: overflow, also for more lots than a position can hold.
pub fn order_reserve(
    market: &MarketView,
    tier: FeeTier,
    side: Side,
    lots: Lots,
    limit: Ticks,
) -> Result<Cash, MathError> {
    let size = Side::Bid.signed(lots).ok_or(MathError::Overflow)?;
    let at_limit = trade_value(size, limit, market.tick_value)?;
    add(
        limit_loss(market, side, lots, limit)?,
        fee(at_limit, tier.dearer_ppm())?,
    )
}

/// `max(0, signed size·(limit − mark))`, rounded up.
pub(crate) fn limit_loss(
    market: &MarketView,
    side: Side,
    lots: Lots,
    limit: Ticks,
) -> Result<Cash, MathError> {
    let size = Side::Bid.signed(lots).ok_or(MathError::Overflow)?;
    let at_limit = trade_value(size, limit, market.tick_value)?;
    let loss = match side {
        Side::Bid => sub(
            at_limit,
            signed(notional_floor(lots, market.mark, market.lot_size)?)?,
        )?,
        Side::Ask => sub(
            signed(notional_ceil(lots, market.mark, market.lot_size)?)?,
            at_limit,
        )?,
    };
    Ok(loss.max(0))
}
