//! Prices and sizes of liquidation (section 7), after dYdX v4 (`x/clob/keeper/liquidations.go`).
//!
//! dYdX quotes what the account *receives*; here a `value` is what it *pays*, as in [`crate::apply_trade`].
//!
//! **Long options.** One needs what it is worth, `V` in sum: `V` is a part of equity `E` and the same part of maintenance margin `M`, and says
//! nothing of the rest, which has `E′ = E − V` and needs `M′ = M − V`. The account is below maintenance margin where `E < M`, that is `E′ < M′`;
//! but `E/M` is near one whatever the rest lost, once `V` is large. So all that is shared out is shared out of `E′` over `M′`:
//!
//! - *Equity at stake* is `B = max(E′, min(E, 0))` ([`Assessment::bankruptcy_equity`]). While `E′ ≥ 0` the options are nobody else's. Where it is
//!   below zero they are assets like cash, and pay: the rest is closed at the mark (`B = 0`) and they are sold for what it lacks. Only what
//!   they do not suffice for is a deficit, and the rest made it: `B = E < 0`. `B` has no jumps, and is `E` without long options.
//! - *All else* is closed at `ΔNNV + B·|ΔM′|/M′` at worst: `B/M′` does not fall, exactly.
//! - *A long option* frees nothing of `M′`. It passes to others at its mark less a spread of [`LONG_OPTION_SPREAD`], which is never
//!   more than the account has beyond `B`: `S = min(s·V, E − B)` for all of them, and `S·ΔV/V` for some. So equity never comes below zero by it, a
//!   deficit is none of the writers' (`E < 0` gives `S = 0`), and `E′` rises by `ΔV − S·ΔV/V ≥ 0`. Who is not below maintenance margin may
//!   part with one for anything: the rest stands without it, as if its price had been withdrawn.
//! - *A fraction* `f` of everything at the mark turns `f·V` into cash. The most that the seller gives up is `f·(B + S)` beside what haircuts hide.
//!   With `E′ ≥ 0` it has `E′·(1 − f) + f·(V − S)` against `M′·(1 − f)`: no lower a ratio. With `E′ < 0 ≤ E` that is `E′ + f·(V − S)`, and no lower than
//!   `E′·(1 − f)` as `E′ + V − S = E − S ≥ 0`; a lot more or less than `f` of something changes nothing of `B/M′`, which does not fall either.
//!   It reaches `T = M′·(1 + b)` where `E′·(1 − f) + f·paid ≥ T·(1 − f)` ([`crate::largest_fraction_ceil`]).
//! - *By scan* an underlying needs `M`, less than its parts `V + P`, `P` being what all but long options need. What of its long options stands by itself
//!   is `V = M − min(P, M)` then: none where they are all hedge, all where they hedge nothing, with no jump between. The above holds of this `V`: all
//!   of it scales with a fraction, the scan exactly. What one trade does is not a difference of parts: `M` is assessed before and after. If `V` grows by
//!   it, as what was a hedge stands alone now, what it grows by is needed like all else ([`Assessment::since`]), and `ΔM` is the fall of all margin.
//!   Closing a leg that hedges frees nothing: it has no such price, and goes with the rest.
//! - *Closing out* an account (vault, deleveraging) takes all else, and of long options only what pays for `E′` below zero ([`closing_lots`]). No hedge is left by
//!   it: it is reckoned by parts, with [`crate::Linear`], whatever margins the account.

use crate::{
    linear::{is_long_option, maintenance_ceil, MIN_MAINTENANCE},
    options::sizing_price,
    portfolio::is_netted,
};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use novate_types::{
    math::{
        add, mul_div_ceil, mul_div_floor, neg, notional_ceil, notional_floor, position_value_floor,
        ppm_ceil, ppm_floor, signed, signed_mul_div_floor, sub, ticks_floor,
    },
    Assessment, Cash, Lots, MarginAccount, MarketId, MarketView, MathError, Ppm, Price, RiskError,
    RiskModel, RiskView, SignedLots, Ticks, MILLION,
};
use scale_info::TypeInfo;

/// How far below its mark a long option of an account below maintenance margin may pass to others: a tenth, as wide as option markets usually
/// quote.
pub const LONG_OPTION_SPREAD: Ppm = 100_000;
/// Quantums that rounding takes from what a part of a long option pays.
const ROUNDING_OF_PART: Cash = 2;

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
/// before, with NNV the position's value at the mark, TNC equity and TMMR maintenance margin, both without long options; for a long option
/// its value less a spread. The module's documentation says why.
///
/// A trade at this value or less leaves equity over maintenance margin no lower, exactly: what rounds, rounds for the account. Below zero the
/// account receives.
///
/// Errors: [`RiskError::Underflow`] if the change would raise maintenance margin, or pass from a short option to a long one; there is no
/// such price then.
pub fn bankruptcy_value<Risk: RiskModel>(
    account: &MarginAccount,
    view: &RiskView,
    market: MarketId,
    lots: SignedLots,
) -> Result<Cash, RiskError> {
    if lots == 0 {
        return Ok(0);
    }
    let before = Risk::assess_held(account, view)?;
    let market = view.market(market)?;
    let held = account.lots(market.id);
    let left = held.checked_add(lots).ok_or(MathError::Overflow)?;
    let (freed, passed) = if is_netted(account, view, market.underlying)? {
        if left.signum().checked_mul(held.signum()) == Some(-1) && market.contract.kind.is_option()
        {
            return Err(RiskError::Underflow);
        }
        changed::<Risk>(&before, account, view, market, left)?
    } else {
        let long_option = |lots| {
            if is_long_option(market, lots) {
                position_value_floor(lots, market.mark, market.lot_size)
            } else {
                Ok(0)
            }
        };
        let passed = sub(long_option(held)?, long_option(left)?)?;
        let needed = |lots| maintenance_ceil(market, lots);
        (sub(sub(needed(held)?, needed(left)?)?, passed)?, passed)
    };
    if passed < 0 || freed < 0 {
        return Err(RiskError::Underflow);
    }
    let value_of = |lots| position_value_floor(lots, market.mark, market.lot_size);
    let moved = sub(value_of(left)?, value_of(held)?)?;
    let value = if freed > 0 {
        let (equity, maintenance) = (before.bankruptcy_equity()?, before.net_maintenance()?);
        bankruptcy_value_of(equity, maintenance, moved, freed)?
    } else {
        moved
    };
    let given = if before.is_below_maintenance() {
        long_option_spread_floor(&before, passed)?
    } else {
        passed
    };
    Ok(add(value, given)?)
}

/// What an account assessed as `before` needs less once it has `left` lots in a market: without long options, and of these.
fn changed<Risk: RiskModel>(
    before: &Assessment,
    account: &MarginAccount,
    view: &RiskView,
    market: &MarketView,
    left: SignedLots,
) -> Result<(Cash, Cash), RiskError> {
    let mut changed = account.clone();
    changed.orders = Default::default();
    match changed.positions.iter_mut().find(|p| p.market == market.id) {
        Some(position) => position.lots = left,
        None => return Err(RiskError::Underflow),
    }
    changed.positions.retain(|position| position.lots != 0);
    let after = Risk::assess(&changed, view)?.since(before);
    let freed = sub(before.net_maintenance()?, after.net_maintenance()?)?;
    let passed = sub(before.long_options, after.long_options)?;
    Ok((freed, passed))
}

/// What an account may give up at most of so much worth of its long options, in quantums, rounded down.
pub fn long_option_spread_floor(assessment: &Assessment, value: Cash) -> Result<Cash, MathError> {
    let all = assessment.long_options.max(0).unsigned_abs();
    if all == 0 || value <= 0 {
        return Ok(0);
    }
    let beyond = sub(assessment.equity, assessment.bankruptcy_equity()?)?;
    let most = signed(ppm_floor(all, LONG_OPTION_SPREAD)?)?.min(beyond);
    signed(mul_div_floor(
        most.max(0).unsigned_abs(),
        value.unsigned_abs().min(all),
        all,
    )?)
}

/// Equity with long options at what they are sold for at worst, in quantums, rounded down: what closing the account out now leaves of it.
pub fn closed_out_equity_floor(assessment: &Assessment) -> Result<Cash, MathError> {
    let all = assessment.long_options.max(0).unsigned_abs();
    sub(
        assessment.equity,
        signed(ppm_ceil(all, LONG_OPTION_SPREAD)?)?,
    )
}

/// What goes of each position when an account below maintenance margin is closed out: signed lots. All of what is not a long option, and then of
/// those as much as pays at bankruptcy value for what equity without them is below zero, rounded up; everything where equity itself is below zero.
pub fn closing_lots(
    account: &MarginAccount,
    view: &RiskView,
    assessment: &Assessment,
) -> Result<Vec<(MarketId, SignedLots)>, RiskError> {
    let (mut all, mut long_options) = (Vec::new(), Vec::new());
    let mut lacks = neg(assessment.net_equity()?)?;
    for position in &account.positions {
        let market = view.market(position.market)?;
        if !is_long_option(market, position.lots) || assessment.equity < 0 {
            all.push((market.id, position.lots));
            continue;
        }
        if lacks <= 0 {
            continue;
        }
        let value = position_value_floor(position.lots, market.mark, market.lot_size)?;
        let pays = sub(value, long_option_spread_floor(assessment, value)?)?;
        let needed = add(lacks, ROUNDING_OF_PART)?;
        let lots = if pays <= needed {
            position.lots
        } else {
            let lots = mul_div_ceil(
                position.lots.unsigned_abs().into(),
                needed.unsigned_abs(),
                pays.unsigned_abs(),
            )?;
            SignedLots::try_from(lots).map_err(|_| MathError::Overflow)?
        };
        lacks = sub(lacks, pays)?;
        long_options.push((market.id, lots));
    }
    all.extend(long_options);
    Ok(all)
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
pub fn bankruptcy_ticks<Risk: RiskModel>(
    account: &MarginAccount,
    view: &RiskView,
    market: MarketId,
    lots: SignedLots,
) -> Result<Ticks, RiskError> {
    if lots == 0 {
        return Ok(0);
    }
    let value = bankruptcy_value::<Risk>(account, view, market, lots)?;
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
/// TNC and TMMR are without long options; PMMR of one of these is its value. Where nothing else is held, the farthest.
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
    let margin = maintenance_ceil(market, held)?;
    let (equity, maintenance) = (assessment.net_equity()?, assessment.net_maintenance()?);
    let spread = if maintenance == 0 && equity < 0 {
        signed(ppm_floor(margin.unsigned_abs(), p.spread_to_maintenance)?)?
    } else if maintenance == 0 {
        0
    } else {
        fillable_spread_floor(equity, maintenance, margin, p)?
    };
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
pub fn liquidation_limit<Risk: RiskModel>(
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
    let bankruptcy = bankruptcy_ticks::<Risk>(account, view, market, closing)?;
    Ok(if held > 0 {
        fillable.max(bankruptcy)
    } else {
        fillable.min(bankruptcy)
    })
}

/// Lots to close in `market` so that the account has `equity ≥ MM·(1 + target_buffer)` again, both without long options, at most its position there:
/// `(MM·(1 + b) − equity) / (P·(m·(1 + b) − fee − concession))`, rounded up; of a short option `P·m` is its own maintenance margin for each lot, and a long one
/// brings `P·(1 − fee − concession)`. What would be left at the least maintenance margin is closed too. Zero at target already.
///
/// Where positions net, what closing frees is assessed instead: of all of the position, or of a half, a quarter or an eighth of it if more frees
/// nothing, and of fewer lots in proportion, as the scan is convex along one position, unless that many have no bankruptcy price.
///
/// `None`: closing here costs more equity than it frees, or there is nothing to close; go to the next remedy.
pub fn liquidation_lots<Risk: RiskModel>(
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
    let maintenance = assessment.net_maintenance()?;
    let needed = signed(ppm_ceil(maintenance.unsigned_abs(), target)?)?;
    let shortage = sub(needed, assessment.net_equity()?)?;
    if shortage <= 0 {
        return Ok(Some(0));
    }

    let spent = p.fee.checked_add(p.concession).ok_or(MathError::Overflow)?;
    if is_netted(account, view, market.underlying)? {
        for part in [1, 2, 4, 8] {
            let Some(closed) = size.checked_div(part).filter(|lots| *lots > 0) else {
                break;
            };
            let left = left_of(held, closed)?;
            let (freed, passed) = changed::<Risk>(assessment, account, view, market, left)?;
            let value = notional_ceil(closed, market.mark, market.lot_size)?;
            let cost = signed(ppm_ceil(value, spent)?)?;
            let gain = add(sub(ppm_signed(freed, target)?, cost)?, passed)?;
            if freed < 0 || passed < 0 || gain <= 0 {
                continue;
            }
            let lots = mul_div_ceil(
                shortage.unsigned_abs(),
                u128::from(closed),
                gain.unsigned_abs(),
            )?;
            let lots = Lots::try_from(lots).map_or(closed, |lots| lots.min(closed));
            let left = left_of(held, lots)?;
            let is_dust = closed == size && maintenance_ceil(market, left)? <= MIN_MAINTENANCE;
            if is_dust {
                return Ok(Some(size));
            }
            // By parts may be the lesser at one end and the scan at the other: what fewer lots free is then not in proportion, and can be less
            // than nothing.
            let is_priced = lots == closed || {
                let (freed, passed) = changed::<Risk>(assessment, account, view, market, left)?;
                freed >= 0 && passed >= 0
            };
            return Ok(Some(if is_priced { lots } else { closed }));
        }
        return Ok(None);
    }
    let gain = if market.contract.kind.is_option() {
        let margin = maintenance_ceil(market, held)?.unsigned_abs();
        let freed = if held > 0 {
            margin
        } else {
            ppm_floor(margin, target)?
        };
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
    let dust = maintenance_ceil(market, left_of(held, lots)?)? <= MIN_MAINTENANCE;
    Ok(Some(if dust { size } else { lots }))
}

/// What is left of a position once so many of its lots are closed.
fn left_of(held: SignedLots, closed: Lots) -> Result<SignedLots, MathError> {
    let left = if held > 0 {
        held.checked_sub_unsigned(closed)
    } else {
        held.checked_add_unsigned(closed)
    };
    left.ok_or(MathError::Overflow)
}

/// A part in ppm of what may be below zero, rounded towards less.
fn ppm_signed(x: Cash, ppm: Ppm) -> Result<Cash, MathError> {
    signed_mul_div_floor(x, ppm.into(), MILLION.into())
}

/// The mark of `market` at which equity would meet maintenance margin, all else as it is: `P·(1 ∓ s/(|value|·(1 ∓ MMF)))` with
/// `s = equity − MM`, minus for a long. For display: the least maintenance margin is left out, and rounding is towards the
/// mark. The mark itself for an account that is below already.
///
/// `None` without a position there, in an option, where it is margined by scan, or for a long that stays above maintenance margin at any price.
pub fn liquidation_price(
    assessment: &Assessment,
    account: &MarginAccount,
    view: &RiskView,
    market: MarketId,
) -> Result<Option<Price>, RiskError> {
    let market = view.market(market)?;
    let held = account.lots(market.id);
    let place = account.positions.iter().position(|p| p.market == market.id);
    let is_scanned = place.is_some_and(|place| assessment.is_scanned(place));
    if held == 0 || is_scanned || market.contract.kind.is_option() || market.contract.settled {
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

/// Fewest lots of a slice: what the least notional of an order comes to, by [`crate::sizing_price`], rounded up, at least one. Smaller slices
/// would only litter the book.
pub fn least_slice(market: &MarketView) -> Result<Lots, MathError> {
    let per_lot = u128::from(ticks_floor(sizing_price(market), market.tick_size)?.max(1))
        .checked_mul(u128::from(market.tick_value))
        .ok_or(MathError::Overflow)?;
    let least = mul_div_ceil(market.min_notional.max(0).unsigned_abs(), 1, per_lot)?.max(1);
    Lots::try_from(least).map_err(|_| MathError::Overflow)
}
