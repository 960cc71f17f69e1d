//! How far each axis may move before an account has to be looked at again (section 7): the threshold index stores these
//! distances, and everything nearer than them is found without scanning.
//!
//! Why it is safe. Let `s = equity − MM`. When every price of the account moves by at most `δ` of itself and every funding index by
//! at most its own distance, in whatever directions, `s` falls by at most
//!
//! - `notional·(1 + MMF)·δ` per linear position: its value moves by `notional·δ` and its maintenance margin by `MMF` of that; a move in
//!   its favour never lowers `s`, as `MMF ≤ 1` and both are fractions of the same rounded value;
//! - `|lots|·p·δ` per short option, `p` being [`crate::hurting_price`], which is the price of its axis: mark and need of a unit together. A long
//!   option needs what it is worth, whatever that is, and has no such axis; nor has what is settled;
//! - `value·δ` per collateral: the haircut value is concave in the price and zero at zero;
//! - `|lots|·Δ` per funding index;
//! - `2·principal·Δ` for the borrow index, while `Δ ≤ 1`: interest is simple until cash changes and is then added to the principal, so
//!   however often that happens it is at most `principal·(e^Δ − 1)`;
//! - [`ROUNDING_PER_LOAN`], [`ROUNDING_PER_POSITION`] and [`ROUNDING_PER_COLLATERAL`] quantums.
//!
//! Where an underlying is margined by scan ([`crate::portfolio`]) its positions are hedges of each other, and each may be hurt by a rise and by a
//! fall. Of them `s` loses at most `price·δ + deviation·ρ` ([`crate::portfolio::Exposure`]) while every forward and linear mark moves by at most `δ` of
//! itself, and every deviation, shocked or not, by at most `ρ`; by parts it needs no less, so it does not matter which rule asks for less afterwards.
//! A deviation is `√(variance·share)` of the open part, `share` being the mean's ([`crate::options`]), which falls by at most twice as much of itself as
//! time does while the mean has not begun; a shocked one may follow time by half as much again. Let a variance move by `v ≤ ½` of itself and time
//! fall by `t ≤ ½`: logarithms move by at most `2v` and `2t`, that of a deviation by at most `v + 3t`, and so
//! `ρ ≤ exp(v + 3t) − 1 ≤ 2·(v + 3t)` while that sum is at most one. With [`DEVIATION_SHARE`] of the slack, `D` = that over `2·deviation` and at
//! most `½`, distances are `v = D/2` and `t = D/6`. From when the mean begins time's distance is zero: what is fixed of a forward grows in every
//! block, and the account is looked at in each.
//!
//! As it needs no more than by parts, `s` is never less than equity less what that asks for, and an account that is above it by parts may have the
//! distances of the lines before instead, as one that no scan margins. It has them where its prices reach as far that way: long options alone
//! then have no axis of a price, a volatility or time, whatever a scan says that they may lose.
//!
//! All lines with `δ` add up to `exposure·δ`. Distances are chosen so that all of it together is at most `s`. An account
//! whose `s` does not even cover the rounding has distance zero everywhere: then nothing that moves in its favour lowers `s`.

use crate::{
    ledger::FUNDING_UNIT,
    linear::Linear,
    loans::{debt_ceil, INTEREST_UNIT},
    options::{least_mark, size_ceil, SETTLEMENT_MILLIS},
    portfolio::ROUNDING_PER_LEG,
};
use alloc::vec::Vec;
use novate_types::{
    math::{add, mul_div_floor, notional_ceil, position_value_floor, signed, sub},
    Assessment, Cash, Direction, FeedId, FundingIndex, MarginAccount, MarketId, MarketView,
    MathError, Millis, Price, RiskAxis, RiskError, RiskModel, RiskView, MAX_POSITIONS,
};

/// One whole in [`Move::Relative`].
pub const RELATIVE_ONE: u64 = 1_000_000_000;
/// Largest rise that [`safe_moves`] reports, ten times the price; nearer is always safe.
pub const LARGEST_RISE: u64 = 10 * RELATIVE_ONE;
/// Quantums that rounding alone can take from `equity − MM` of one position when its axes move against it: one each for value
/// and funding, two for margin.
pub const ROUNDING_PER_POSITION: Cash = 4;
/// The same of one collateral: its value, and each of the two haircut parts.
pub const ROUNDING_PER_COLLATERAL: Cash = 3;
/// The same of a loan: interest rounds up.
pub const ROUNDING_PER_LOAN: Cash = 1;
/// Part of the slack kept for interest, one in this many, of an account that owes something.
const INTEREST_SHARE: Cash = 16;
/// Part of the slack kept for deviations, one in this many, of an account that a scan margins.
pub const DEVIATION_SHARE: Cash = 4;
/// Part of the slack kept for funding, one in this many. Funding is slow: a sixteenth of a slack worth ten percent of the
/// notional lasts for weeks at usual rates, and prices keep nearly all of theirs.
const FUNDING_SHARE: Cash = 16;

/// Thresholds that a scan gives a position beyond the two that any has: of an option index and variance either way, the expiry, and funding.
pub const MORE_PER_POSITION: u32 = 4;
/// What [`more_thresholds`] comes to at most.
pub const MOST_MORE_THRESHOLDS: u32 = MORE_PER_POSITION * MAX_POSITIONS;

/// Thresholds that an account can have beyond two for each of its holdings, at most: a scan may margin all of its positions in an underlying where it holds
/// an option, or something in two markets.
pub fn more_thresholds(account: &MarginAccount, view: &RiskView) -> u32 {
    more_thresholds_in(account.positions.iter().map(|p| p.market), view)
}

/// The same of an account that holds something in these markets, or in their legs.
pub fn more_thresholds_in(markets: impl Iterator<Item = MarketId>, view: &RiskView) -> u32 {
    let mut held = Vec::<&MarketView>::new();
    for market in markets.filter_map(|id| view.market(id).ok()) {
        let is_combination = market.contract.kind.is_combination();
        let legs = market.contract.legs.iter();
        let legs = legs.filter_map(|leg| view.market(leg.market).ok());
        held.extend(legs.chain((!is_combination).then_some(market)));
    }
    held.sort_unstable_by_key(|market| (market.underlying, market.id));
    held.dedup_by_key(|market| market.id);
    let mut positions = 0usize;
    for of in held.chunk_by(|a, b| a.underlying == b.underlying) {
        if of.len() > 1 || of.iter().any(|market| market.contract.kind.is_option()) {
            positions = positions.saturating_add(of.len());
        }
    }
    u32::try_from(positions)
        .unwrap_or(u32::MAX)
        .min(MAX_POSITIONS)
        .saturating_mul(MORE_PER_POSITION)
}

/// A distance along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Of the price, in parts of [`RELATIVE_ONE`]; at most one downwards.
    Relative(u64),
    /// Of the cumulative funding index.
    FundingDelta(FundingIndex),
    /// Of the borrow index.
    InterestDelta(u128),
}

/// How far one axis may move in the direction that hurts, bound included, while all others move by theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SafeMove {
    /// The axis.
    pub axis: RiskAxis,
    /// The direction that hurts.
    pub direction: Direction,
    /// How far; zero without slack.
    pub move_: Move,
}

/// Distances such that the account cannot come below maintenance margin while no axis has moved by more than its own.
///
/// A mark and a funding entry per position (of a long option the latter alone; of what a scan margins marks, forwards and variances either way, and
/// expiries, unless by parts prices may move as far), one per collateral that counts for something, and one for a debt, by axis. That one is also no farther than where the debt is at its cap, if there is collateral to be auctioned for it. `assessment` is the
/// account's against the same view. Rounded down.
pub fn safe_moves(
    account: &MarginAccount,
    view: &RiskView,
    assessment: &Assessment,
) -> Result<Vec<SafeMove>, RiskError> {
    let by_rule = Budget::of(account, view, assessment)?;
    if assessment.scanned == 0 {
        return moves_within(account, view, assessment, &by_rule);
    }
    // Whatever a scan says, it asks for no more than by parts.
    let parts = Linear::assess(account, view)?;
    let by_parts = Budget::of(account, view, &parts)?;
    if parts.is_below_maintenance() || by_parts.rise < by_rule.rise {
        moves_within(account, view, assessment, &by_rule)
    } else {
        moves_within(account, view, &parts, &by_parts)
    }
}

/// What the slack of an account by some rule pays for.
struct Budget {
    funding: Cash,
    interest: Cash,
    deviations: Cash,
    /// How far prices may fall, and rise, in parts of [`RELATIVE_ONE`].
    fall: u64,
    rise: u64,
}

impl Budget {
    fn of(
        account: &MarginAccount,
        view: &RiskView,
        assessment: &Assessment,
    ) -> Result<Self, RiskError> {
        let slack = spendable(account, view, assessment)?;
        let part = |is_needed: bool, share: Cash| match is_needed {
            false => Ok(0),
            true => slack.checked_div(share).ok_or(MathError::DivisionByZero),
        };
        let funding = part(!account.positions.is_empty(), FUNDING_SHARE)?;
        let interest = part(account.loan.is_some(), INTEREST_SHARE)?;
        let deviations = part(assessment.scanned != 0, DEVIATION_SHARE)?;
        let prices = sub(sub(sub(slack, funding)?, interest)?, deviations)?;
        Ok(Self {
            funding,
            interest,
            deviations,
            fall: relative(prices, assessment.exposure, RELATIVE_ONE),
            rise: relative(prices, assessment.exposure, LARGEST_RISE),
        })
    }
}

/// The moves that a rule's budget pays for; `assessment` is by that rule.
fn moves_within(
    account: &MarginAccount,
    view: &RiskView,
    assessment: &Assessment,
    budget: &Budget,
) -> Result<Vec<SafeMove>, RiskError> {
    let (fall, rise) = (budget.fall, budget.rise);
    let scanned = Distances {
        fall,
        rise,
        deviation: relative(budget.deviations, assessment.deviation, RELATIVE_ONE)
            .checked_div(2)
            .unwrap_or(0)
            .min(RELATIVE_ONE / 2),
    };

    let mut moves = Vec::new();
    let mut expiries = Vec::new();
    for (place, position) in account.positions.iter().enumerate() {
        let market = view.market(position.market)?;
        let contract = market.contract;
        if assessment.is_scanned(place) {
            scanned.of(market, view.now, &mut expiries, &mut moves);
            continue;
        }
        if contract.settled || (contract.kind.is_option() && position.lots > 0) {
            continue;
        }
        let (direction, distance) = if position.lots > 0 {
            (Direction::Down, fall)
        } else {
            (Direction::Up, rise)
        };
        moves.push(SafeMove {
            axis: RiskAxis::Mark(position.market),
            direction,
            move_: Move::Relative(distance),
        });
    }
    for position in &account.positions {
        let market = view.market(position.market)?;
        if market.contract.settled {
            continue;
        }
        let size = position.lots.unsigned_abs();
        let notional = if market.contract.kind.is_option() {
            size_ceil(market, size)?
        } else {
            position_value_floor(position.lots, market.mark, market.lot_size)?.unsigned_abs()
        };
        let delta = funding_delta(budget.funding, notional, assessment.notional, size)?;
        moves.push(SafeMove {
            axis: RiskAxis::Funding(position.market),
            direction: if position.lots > 0 {
                Direction::Up
            } else {
                Direction::Down
            },
            move_: Move::FundingDelta(delta),
        });
    }
    for (asset, amount) in &account.collateral {
        if crate::collateral_value(view.collateral(*asset)?, *amount)? > 0 {
            moves.push(SafeMove {
                axis: RiskAxis::Collateral(*asset),
                direction: Direction::Down,
                move_: Move::Relative(fall),
            });
        }
    }
    if let Some(loan) = &account.loan {
        let mut delta = interest_delta(budget.interest, loan.principal)?
            .checked_div(2)
            .unwrap_or(0)
            .min(INTEREST_UNIT);
        if !account.collateral.is_empty() {
            let room = sub(view.loans.account_cap, debt_ceil(account, view)?)?;
            delta = delta.min(interest_delta(room.max(0), loan.principal)?);
        }
        moves.push(SafeMove {
            axis: RiskAxis::Interest,
            direction: Direction::Up,
            move_: Move::InterestDelta(delta),
        });
    }
    Ok(moves)
}

/// How far what a scan margins may move, in parts of [`RELATIVE_ONE`].
struct Distances {
    fall: u64,
    rise: u64,
    /// `D`.
    deviation: u64,
}

impl Distances {
    /// Adds those of a market's axes. One expiry has one time, and one forward, which the first of its options stands for.
    fn of(
        &self,
        market: &MarketView,
        now: Millis,
        expiries: &mut Vec<Expiring>,
        moves: &mut Vec<SafeMove>,
    ) {
        let contract = &market.contract;
        let both = |axis, fall, rise| {
            [(Direction::Down, fall), (Direction::Up, rise)].map(|(direction, distance)| SafeMove {
                axis,
                direction,
                move_: Move::Relative(distance),
            })
        };
        if contract.kind.is_option() {
            let expiring = (market.underlying, contract.expiry, Some(market.index));
            if !expiries.contains(&expiring) {
                expiries.push(expiring);
                moves.extend(both(RiskAxis::Index(market.id), self.fall, self.rise));
            }
            let half = self.deviation / 2;
            moves.extend(both(RiskAxis::Variance(market.id), half, half));
        } else {
            moves.extend(both(RiskAxis::Mark(market.id), self.fall, self.rise));
        }
        let expiring = (market.underlying, contract.expiry, None);
        if contract.expiry == 0 || expiries.contains(&expiring) {
            return;
        }
        expiries.push(expiring);
        let left = contract.expiry.saturating_sub(now);
        // Until the mean begins at the latest.
        let open = left.saturating_sub(SETTLEMENT_MILLIS);
        let part = relative(Cash::from(open), Cash::from(left), RELATIVE_ONE);
        moves.push(SafeMove {
            axis: RiskAxis::Expiry(market.id),
            direction: Direction::Down,
            move_: Move::Relative((self.deviation / 6).min(part)),
        });
    }
}

/// An expiry of an underlying, and a forward of it.
type Expiring = (FeedId, Millis, Option<Price>);

/// How far the index moves until a principal has borne so much interest; far for none.
fn interest_delta(interest: Cash, principal: Cash) -> Result<u128, MathError> {
    match mul_div_floor(
        interest.unsigned_abs(),
        INTEREST_UNIT,
        principal.unsigned_abs(),
    ) {
        Err(MathError::DivisionByZero) => Ok(INTEREST_UNIT),
        delta => delta,
    }
}

/// `equity − MM` less what rounding may take, at least zero.
fn spendable(
    account: &MarginAccount,
    view: &RiskView,
    assessment: &Assessment,
) -> Result<Cash, RiskError> {
    let count = |length: usize| Cash::try_from(length).map_err(|_| MathError::Overflow);
    let positions = ROUNDING_PER_POSITION.checked_mul(count(account.positions.len())?);
    let collaterals = ROUNDING_PER_COLLATERAL.checked_mul(count(account.collateral.len())?);
    let slack = assessment.slack().ok_or(MathError::Overflow)?;
    let loan = account.loan.map_or(0, |_| ROUNDING_PER_LOAN);
    let slack = slack
        .checked_sub(scan_rounding(account, view, assessment)?)
        .ok_or(MathError::Overflow)?;
    Ok(positions
        .zip(collaterals)
        .and_then(|(p, c)| slack.checked_sub(p)?.checked_sub(c)?.checked_sub(loan))
        .ok_or(MathError::Overflow)?
        .max(0))
}

/// What of it may round where a scan margins: each leg's worth, and an option's mark, which is a part of a tick at least.
fn scan_rounding(
    account: &MarginAccount,
    view: &RiskView,
    assessment: &Assessment,
) -> Result<Cash, RiskError> {
    let mut sum = 0;
    for (place, position) in account.positions.iter().enumerate() {
        if !assessment.is_scanned(place) {
            continue;
        }
        let market = view.market(position.market)?;
        sum = add(sum, ROUNDING_PER_LEG)?;
        if market.contract.kind.is_option() {
            let least = least_mark(market.tick_size);
            let size = position.lots.unsigned_abs();
            sum = add(sum, signed(notional_ceil(size, least, market.lot_size)?)?)?;
        }
    }
    Ok(if sum == 0 {
        0
    } else {
        add(sum, ROUNDING_PER_LEG)?
    })
}

/// `slack / exposure` in parts of [`RELATIVE_ONE`], at most `most`; that much too where nothing is exposed.
fn relative(slack: Cash, exposure: Cash, most: u64) -> u64 {
    mul_div_floor(
        slack.unsigned_abs(),
        u128::from(RELATIVE_ONE),
        exposure.unsigned_abs(),
    )
    .ok()
    .and_then(|parts| u64::try_from(parts).ok())
    .map_or(most, |parts| parts.min(most))
}

/// A position's part of the funding slack, by notional, over its lots; zero while its mark is.
fn funding_delta(
    slack: Cash,
    notional: u128,
    total: Cash,
    lots: u64,
) -> Result<FundingIndex, MathError> {
    if total <= 0 {
        return Ok(0);
    }
    let part = mul_div_floor(slack.unsigned_abs(), notional, total.unsigned_abs())?;
    signed(mul_div_floor(part, FUNDING_UNIT, u128::from(lots))?)
}
