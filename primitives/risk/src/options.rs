//! Contracts that expire: what they settle at, an option's mark, what a short option needs by itself, and how a position in a contract that
//! has settled becomes cash (sections 10 and 11).
//!
//! **Settlement.** A contract settles at the time-weighted mean `M` of the index over the last [`SETTLEMENT_MILLIS`] before its expiry. Within
//! these the part that has happened is fixed: of `M = settled + rest` only the rest can still move.
//!
//! **Marks.** Black-76 on the forward of the expiry. `M` being a mean, its variance is less than the index's: for `τ` left and `σ²τ` of variance up
//! to the expiry it is `σ²·(τ − 20 min)` before the mean begins and `σ²τ/3` of the rest after (the mean of a Brownian motion over its own
//! time has a third of its variance); both are the same when it begins. With `x = settled` an option is worth what one on the rest alone
//! is: forward `F − x`, strike `K − x`.
//!
//! **Margin by itself.** A long option needs its own value, and so finances nothing ([`crate::liquidation`] says what that means below maintenance
//! margin). A short one needs `max(a·S − otm, b·S)` for each unit, `S`
//! being the forward, a put at most its strike, beside its value and [`MIN_MAINTENANCE`]. `a` is the market's margin fraction, `b` two thirds
//! of it for initial and three quarters for maintenance margin (Deribit's and Derive's proportions: 15 and 10 %, 10 and 7.5 %).

use crate::{
    cash_after_interest, funding_owed_ceil,
    greeks::{fixed, variance_of},
    linear::MIN_MAINTENANCE,
    portfolio::{short_option_ceil, ShortOption, Unsigned},
    ModelError,
};
use alloc::vec::Vec;
use novate_math::{
    black76::{self, Deviation, Kind, Level},
    ln, Scaled,
};
use novate_types::{
    math::{
        add, neg, notional_ceil, position_value_floor, ppm_ceil, price_of, shift_floor, signed, sub,
    },
    Cash, Contract, Lots, MarginAccount, MarketId, MarketView, MathError, Millis, OptionRight,
    Position, Ppm, Price, RiskError, RiskView, SignedLots, Ticks,
};
use sp_arithmetic::FixedI128;

/// Milliseconds of the mean that a contract settles at.
pub const SETTLEMENT_MILLIS: Millis = 1_800_000;
/// Of these, how much less time of variance a mean has than its end: two thirds.
const WITHOUT_VARIANCE: Millis = 1_200_000;
/// Of an [`Unsigned`], one of the parts that [`novate_types::Contract::variance`] is counted in.
pub const VARIANCE_UNIT: u128 = 1_000_000;
/// An option's mark is at least this part of a tick: a price that is too small for its band to reach a tick would close the market to whoever wants
/// to buy back.
pub const LEAST_MARK_PARTS: u128 = 1_000;
/// 10¹⁸ in parts per million: an [`Unsigned`] of one ppm.
const PPM: u128 = 1_000_000_000_000;

/// The side of Black-76 that a right is.
pub const fn kind_of(right: OptionRight) -> Kind {
    match right {
        OptionRight::Call => Kind::Call,
        OptionRight::Put => Kind::Put,
    }
}

/// `ln(strike / forward)`, rounded to the nearest 10⁻¹⁸.
///
/// An error unless both are above zero.
pub fn log_moneyness(forward: Price, strike: Price) -> Result<FixedI128, ModelError> {
    let ratio = number(strike)?.over(number(forward)?)?;
    fixed(ln(ratio)?)
}

/// An expiry as its options are marked on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// What it is expected to settle at, `settled` included.
    pub price: Price,
    /// What of it no price can move any more.
    pub settled: Price,
    /// Milliseconds until it expires.
    pub left: Millis,
}

/// What a unit of an option is worth, undiscounted and rounded down, `variance` being that of the index until the expiry (`σ²T`).
///
/// Intrinsic value where nothing can move any more.
pub fn option_mark_floor(
    right: OptionRight,
    forward: &Forward,
    strike: Price,
    variance: Unsigned,
) -> Result<Price, ModelError> {
    let settled = forward.settled.min(forward.price);
    let rest = Price::from_inner(difference(forward.price, settled)?);
    let Some(beyond) = strike
        .into_inner()
        .checked_sub(settled.into_inner())
        .filter(|beyond| *beyond > 0)
    else {
        // What has happened is above the strike already.
        return Ok(payoff(right, forward.price, strike));
    };
    if rest.into_inner() == 0 {
        return Ok(payoff(right, forward.price, strike));
    }
    let variance = number(variance)?.times(mean_share(forward.left)?)?;
    let value = black76::price(
        kind_of(right),
        &Level::new(number(rest)?)?,
        &Level::new(Scaled::from_18_decimals(beyond)?)?,
        &Deviation::from_variance(variance)?,
        Scaled::ONE,
    )?;
    Ok(Price::from_inner(value.to_18_decimals_floor()?))
}

/// What of the index's variance over `left` the mean has.
pub(crate) fn mean_share(left: Millis) -> Result<Scaled, ModelError> {
    Ok(if left <= SETTLEMENT_MILLIS {
        Scaled::ratio(1, 3)?
    } else {
        Scaled::ratio(
            u128::from(left.saturating_sub(WITHOUT_VARIANCE)),
            u128::from(left),
        )?
    })
}

/// What a unit of an option pays at a price.
pub fn payoff(right: OptionRight, price: Price, strike: Price) -> Price {
    let (price, strike) = (price.into_inner(), strike.into_inner());
    Price::from_inner(match right {
        OptionRight::Call => price.saturating_sub(strike),
        OptionRight::Put => strike.saturating_sub(price),
    })
}

/// [`payoff`] in ticks.
pub const fn payoff_ticks(right: OptionRight, price: Ticks, strike: Ticks) -> Ticks {
    match right {
        OptionRight::Call => price.saturating_sub(strike),
        OptionRight::Put => strike.saturating_sub(price),
    }
}

pub(crate) fn number(x: Unsigned) -> novate_math::Result<Scaled> {
    Scaled::from_18_decimals(x.into_inner())
}

fn difference(a: Price, b: Price) -> Result<u128, MathError> {
    a.into_inner()
        .checked_sub(b.into_inner())
        .ok_or(MathError::Overflow)
}

/// Which of the two margins.
#[derive(Clone, Copy)]
enum Rule {
    Maintenance,
    Initial,
}

/// What a short unit needs beside its value, rounded up.
fn short_unit_ceil(
    market: &MarketView,
    right: OptionRight,
    rule: Rule,
) -> Result<Price, MathError> {
    let strike = price_of(market.contract.strike, market.tick_size)?;
    let (most, parts, of) = match rule {
        Rule::Maintenance => (market.mmf, 3, 4),
        Rule::Initial => (market.imf.max(market.mmf), 2, 3),
    };
    let fraction = |ppm: u128| ppm.checked_mul(PPM).map(Unsigned::from_inner);
    let least = u128::from(most)
        .checked_mul(parts)
        .map(|ppm| ppm.div_ceil(of));
    let (most, least) = fraction(most.into())
        .zip(least.and_then(fraction))
        .ok_or(MathError::Overflow)?;
    short_option_ceil(
        &ShortOption { most, least },
        kind_of(right),
        market.index,
        strike,
    )
    .map_err(as_money)
}

/// What a short unit needs initially beside its value and [`MIN_MAINTENANCE`], rounded up.
pub(crate) fn initial_unit_ceil(
    market: &MarketView,
    right: OptionRight,
) -> Result<Price, MathError> {
    let initial = short_unit_ceil(market, right, Rule::Initial)?;
    Ok(initial.max(short_unit_ceil(market, right, Rule::Maintenance)?))
}

/// What a price has no number for, money has none for either.
pub(crate) fn as_money(error: ModelError) -> MathError {
    match error {
        ModelError::Money(error) => error,
        _ => MathError::Overflow,
    }
}

/// A price once what is open of it has moved by `ppm` of itself, rounded down: what of a settlement has happened already stands still.
fn moved_floor(price: Price, fixed: Price, ppm: i32) -> Result<Price, MathError> {
    let open = open_part(price, fixed);
    let fixed = price.into_inner().saturating_sub(open.into_inner());
    shift_floor(open, ppm.into())?
        .into_inner()
        .checked_add(fixed)
        .map(Price::from_inner)
        .ok_or(MathError::Overflow)
}

/// What of a price can still move.
pub(crate) const fn open_part(price: Price, fixed: Price) -> Price {
    Price::from_inner(price.into_inner().saturating_sub(fixed.into_inner()))
}

/// The least mark of an option.
pub fn least_mark(tick_size: Price) -> Price {
    Price::from_inner((tick_size.into_inner() / LEAST_MARK_PARTS).max(1))
}

/// A market as it is once the price of its underlying has moved by `ppm` of itself, an option on the mark that a close would give it then.
pub(crate) fn moved_market(
    market: &MarketView,
    now: Millis,
    ppm: i32,
) -> Result<MarketView, MathError> {
    let Contract {
        kind,
        expiry,
        fixed,
        ..
    } = market.contract;
    if let Some(right) = kind.right() {
        let moved = moved_option(market, right, expiry.saturating_sub(now), ppm)?;
        let mark = moved.mark.max(least_mark(market.tick_size));
        return Ok(MarketView { mark, ..moved });
    }
    Ok(MarketView {
        mark: moved_floor(market.mark, fixed, ppm)?,
        index: moved_floor(market.index, fixed, ppm)?,
        ..market.clone()
    })
}

/// An option's market as it is once what is open of its forward has moved by `ppm` of itself, at the variance of its contract.
pub fn moved_option(
    market: &MarketView,
    right: OptionRight,
    left: Millis,
    ppm: i32,
) -> Result<MarketView, MathError> {
    let settled = market.contract.fixed;
    let index = moved_floor(market.index, settled, ppm)?;
    let forward = Forward {
        price: index,
        settled,
        left,
    };
    let strike = price_of(market.contract.strike, market.tick_size)?;
    let variance = variance_of(market)?;
    let mark = option_mark_floor(right, &forward, strike, variance).map_err(as_money)?;
    Ok(MarketView {
        mark,
        index,
        ..market.clone()
    })
}

/// The price that a market's thresholds are about: whoever is hurt by a rise of it, or by a fall, is hurt by nothing else there but the
/// cumulative index. The mark; of an option, the mark and what a short unit needs beside it: a long one is hurt by neither.
pub fn hurting_price(market: &MarketView) -> Result<Price, MathError> {
    let Some(right) = market.contract.kind.right() else {
        return Ok(market.mark);
    };
    let needed = short_unit_ceil(market, right, Rule::Maintenance)?;
    market
        .mark
        .into_inner()
        .checked_add(needed.into_inner())
        .map(Price::from_inner)
        .ok_or(MathError::Overflow)
}

/// An option position by itself.
pub(crate) struct OptionMargin {
    /// Signed value, rounded against the account.
    pub value: Cash,
    /// What maintenance margin it needs.
    pub maintenance: Cash,
    /// What initial margin it needs.
    pub initial: Cash,
    /// What its value and its maintenance margin can take together for each whole rise of [`hurting_price`].
    pub hurting: Cash,
}

impl OptionMargin {
    /// Of `lots` at the mark.
    pub fn of(
        market: &MarketView,
        right: OptionRight,
        lots: SignedLots,
    ) -> Result<Self, MathError> {
        let value = position_value_floor(lots, market.mark, market.lot_size)?;
        if lots >= 0 {
            return Ok(Self {
                value,
                maintenance: value,
                initial: value,
                hurting: 0,
            });
        }
        let size = lots.unsigned_abs();
        let beside = |unit: Price| -> Result<Cash, MathError> {
            // Of mark and need together: what rounds then rounds once, and grows with their sum.
            let whole = market
                .mark
                .into_inner()
                .checked_add(unit.into_inner())
                .ok_or(MathError::Overflow)?;
            let whole = signed(notional_ceil(
                size,
                Price::from_inner(whole),
                market.lot_size,
            )?)?;
            add(add(whole, value)?, MIN_MAINTENANCE)
        };
        let maintenance = beside(short_unit_ceil(market, right, Rule::Maintenance)?)?;
        let initial = beside(short_unit_ceil(market, right, Rule::Initial)?)?.max(maintenance);
        Ok(Self {
            value,
            maintenance,
            initial,
            hurting: signed(notional_ceil(
                size,
                hurting_price(market)?,
                market.lot_size,
            )?)?,
        })
    }
}

/// The price that says how large a lot is: the forward for an option, whose mark may be next to nothing, what all legs come to for a combination,
/// else the mark.
pub const fn sizing_price(market: &MarketView) -> Price {
    if market.contract.kind.is_linear() {
        market.mark
    } else {
        market.index
    }
}

/// What so many lots come to at [`sizing_price`], rounded up.
pub fn size_ceil(market: &MarketView, lots: Lots) -> Result<u128, MathError> {
    notional_ceil(lots, sizing_price(market), market.lot_size)
}

/// How far from the mark orders of an option execute, in ppm of the mark: as far as `band` of the forward.
pub fn option_band(mark: Price, forward: Price, band: Ppm) -> Ppm {
    let distance = ppm_ceil(forward.into_inner(), band);
    distance
        .and_then(|distance| {
            novate_types::math::mul_div_floor(
                distance,
                u128::from(novate_types::MILLION),
                mark.into_inner(),
            )
        })
        .ok()
        .and_then(|ppm| Ppm::try_from(ppm).ok())
        .map_or(Ppm::MAX, |ppm| ppm.max(band))
}

/// What a position in a contract that has settled comes to: its value for good, less cost and what it owes for shared losses. Exact, but
/// for the last.
pub fn settlement_cash(position: &Position, market: &MarketView) -> Result<Cash, MathError> {
    let value = position_value_floor(position.lots, market.mark, market.lot_size)?;
    sub(
        sub(value, position.cost)?,
        funding_owed_ceil(position, market)?,
    )
}

/// Cash as it is once what is due is booked: interest, and what has settled.
pub fn booked_cash(account: &MarginAccount, view: &RiskView) -> Result<Cash, RiskError> {
    let mut cash = cash_after_interest(account, view)?;
    for position in account.positions.iter().filter(|p| is_settled(p, view)) {
        cash = add(
            cash,
            settlement_cash(position, view.market(position.market)?)?,
        )?;
    }
    Ok(cash)
}

/// Whether the account holds a position in a contract that has settled.
pub fn holds_settled(account: &MarginAccount, view: &RiskView) -> bool {
    account
        .positions
        .iter()
        .any(|position| is_settled(position, view))
}

fn is_settled(position: &Position, view: &RiskView) -> bool {
    view.market(position.market)
        .is_ok_and(|market| market.contract.settled)
}

/// A position in a contract that has settled, booked as cash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booked {
    /// The market.
    pub market: MarketId,
    /// What was held, signed.
    pub lots: SignedLots,
    /// What the account receives: [`settlement_cash`].
    pub cash: Cash,
    /// What the market's funding pot receives: what is owed for shared losses, less what the position is worth. The worths of all positions
    /// of a market sum to zero, so the pot has nothing of them once everybody is booked, and nothing is missing before.
    pub pot: Cash,
}

/// Books the account's positions in contracts that have settled as cash. Returns what was booked, and with it what each market's funding pot
/// receives.
///
/// Neither equity nor what the account may withdraw changes by it, whoever does it and when: [`crate::Linear`] counts such a position as the
/// cash that it is. As settlement prices are whole ticks, values sum to zero over all accounts.
pub fn settle_expired(
    account: &mut MarginAccount,
    view: &RiskView,
) -> Result<Vec<Booked>, RiskError> {
    let mut all = Vec::new();
    let mut cash = account.cash;
    for position in account.positions.iter().filter(|p| is_settled(p, view)) {
        let market = view.market(position.market)?;
        let received = settlement_cash(position, market)?;
        let before_cost = add(received, position.cost)?;
        cash = add(cash, received)?;
        all.push(Booked {
            market: position.market,
            lots: position.lots,
            cash: received,
            pot: neg(before_cost)?,
        });
    }
    account.cash = cash;
    account
        .positions
        .retain(|position| !is_settled(position, view));
    Ok(all)
}
