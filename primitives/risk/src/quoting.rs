//! How the vault quotes what it has taken over, after dYdX v4's Megavault (`protocol/x/vault/keeper/orders.go`, one layer).
//!
//! Around the mark `P`, with leverage `l` = the position's value over equity and `s = skew_factor·l`:
//!
//! - `spread = max(spread_min, spread_buffer + one tick)`, as parts of the mark;
//! - on the side that reduces the position the distance from the mark is `(1 − |s|)·spread`: the more there is to work off the nearer, and
//!   beyond `|s| = 1` on the other side of the mark;
//! - on the side that adds to it `(1 + |s|)²·spread`;
//! - either order is worth `order_size` of the equity; of an option, its size at the forward is.
//!
//! Two things differ, for a vault that stands behind all markets with one account. What reduces is never more than the position, so an order
//! cannot turn it around. And it goes no farther through the mark than `concession`: whoever empties the book for a moment is not sold
//! the vault's book at a price of his choosing.

use crate::{least_slice, size_ceil};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use novate_types::{
    math::{
        add, mul_div_ceil, mul_div_floor, neg, position_value_floor, ppm_floor, shift_ceil,
        shift_floor, signed, signed_mul_div_ceil, sub, ticks_ceil, ticks_floor,
    },
    Cash, Lots, MarketView, MathError, Ppm, Price, Side, SignedLots, Ticks, MILLION,
};
use scale_info::TypeInfo;

const ONE: Cash = MILLION as Cash;
/// Lots that are valued together: one alone may be worth less than a quantum.
const MANY: Lots = 1_000_000;

/// How the vault quotes.
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
pub struct QuoteParams {
    /// Least distance from the mark without a position.
    pub spread_min: Ppm,
    /// Least distance beyond one tick.
    pub spread_buffer: Ppm,
    /// How fast the two distances part as leverage grows, in parts per million of one.
    pub skew_factor: Ppm,
    /// An order's part of the vault's equity.
    pub order_size: Ppm,
    /// Farthest beyond the mark that an order reduces the position.
    pub concession: Ppm,
    /// An order stays as long as its price is no farther from where it would be put now.
    pub requote: Ppm,
}

/// An order that the vault wants in the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Limit.
    pub ticks: Ticks,
    /// Size.
    pub lots: Lots,
}

/// What the vault wants to bid and ask for, holding so many lots and worth so much: prices are rounded away from the mark, sizes down. Nothing
/// without equity, a price or a position; on a side nothing if it would come to less than the market's least notional.
pub fn quotes(
    market: &MarketView,
    held: SignedLots,
    equity: Cash,
    p: &QuoteParams,
) -> Result<(Option<Quote>, Option<Quote>), MathError> {
    if equity <= 0 || held == 0 || market.mark.into_inner() == 0 {
        return Ok((None, None));
    }
    let value = position_value_floor(held, market.mark, market.lot_size)?;
    let leverage = signed_mul_div_ceil(value, MILLION.into(), equity.unsigned_abs())?;
    let skew = signed_mul_div_ceil(leverage, p.skew_factor.into(), MILLION.into())?;
    let tick = mul_div_ceil(
        market.tick_size.into_inner(),
        MILLION.into(),
        market.mark.into_inner(),
    )?;
    let spread = signed(tick)?;
    let spread = add(spread, p.spread_buffer.into())?.max(p.spread_min.into());

    // In parts per million of the spread.
    let skew = skew.checked_abs().ok_or(MathError::Overflow)?;
    let reducing = sub(ONE, skew)?;
    let root = add(ONE, skew)?;
    let adding = signed_mul_div_ceil(root, root.unsigned_abs(), MILLION.into())?;
    let (bid_at, ask_at) = if held > 0 {
        (adding, reducing)
    } else {
        (reducing, adding)
    };
    let distance = |parts: Cash| parts.checked_mul(spread).ok_or(MathError::Overflow);
    let mut bid = moved(market.mark, neg(distance(bid_at)?)?, false)?;
    let mut ask = moved(market.mark, distance(ask_at)?, true)?;
    let concession = i64::from(p.concession);
    if held > 0 {
        ask = ask.max(shift_ceil(market.mark, concession.saturating_neg())?);
    } else {
        bid = bid.min(shift_floor(market.mark, concession)?);
    }

    let worth = ppm_floor(equity.unsigned_abs(), p.order_size)?;
    let per_many = size_ceil(market, MANY)?;
    let lots = mul_div_floor(worth, MANY.into(), per_many)?;
    let lots = Lots::try_from(lots).unwrap_or(Lots::MAX);
    let least = least_slice(market)?;
    let quote = |side: Side, ticks: Ticks| {
        let reduces = (side == Side::Ask) == (held > 0);
        let lots = if reduces {
            lots.max(least).min(held.unsigned_abs())
        } else {
            lots
        };
        (ticks > 0 && (reduces || lots >= least)).then_some(Quote { ticks, lots })
    };
    Ok((
        quote(Side::Bid, ticks_floor(bid, market.tick_size)?),
        quote(Side::Ask, ticks_ceil(ask, market.tick_size)?),
    ))
}

/// Whether an order stands near enough to where it would be put now, and is of about its size: no less than half of it, nor more than twice.
pub fn stays(now: &Quote, ticks: Ticks, lots: Lots, market: &MarketView, p: &QuoteParams) -> bool {
    let grid = ticks_floor(market.mark, market.tick_size).unwrap_or(0);
    let most = ppm_floor(grid.into(), p.requote).unwrap_or(0);
    u128::from(ticks.abs_diff(now.ticks)) <= most
        && lots >= now.lots.div_ceil(2)
        && lots.div_ceil(2) <= now.lots
}

/// The mark moved by `parts` in 10⁻¹² of it; zero if it would be below.
fn moved(mark: Price, parts: Cash, up: bool) -> Result<Price, MathError> {
    const WHOLE: u128 = 1_000_000_000_000;
    let factor = add(signed(WHOLE)?, parts)?.max(0).unsigned_abs();
    let mark = mark.into_inner();
    let moved = if up {
        mul_div_ceil(mark, factor, WHOLE)?
    } else {
        mul_div_floor(mark, factor, WHOLE)?
    };
    Ok(Price::from_inner(moved))
}
