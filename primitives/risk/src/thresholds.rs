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
//! The first three lines add up to `exposure·δ`. Distances are chosen so that all of it together is at most `s`. An account
//! whose `s` does not even cover the rounding has distance zero everywhere: then nothing that moves in its favour lowers `s`.

use crate::{
    ledger::FUNDING_UNIT,
    loans::{debt_ceil, INTEREST_UNIT},
    options::size_ceil,
};
use alloc::vec::Vec;
use novate_types::{
    math::{mul_div_floor, position_value_floor, signed, sub},
    Assessment, Cash, Direction, FundingIndex, MarginAccount, MathError, RiskAxis, RiskError,
    RiskView,
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
/// Part of the slack kept for funding, one in this many. Funding is slow: a sixteenth of a slack worth ten percent of the
/// notional lasts for weeks at usual rates, and prices keep nearly all of theirs.
const FUNDING_SHARE: Cash = 16;

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
/// A mark and a funding entry per position (of a long option the latter alone), one per collateral that counts for something, and one for a debt, by
/// axis. That one is also no farther than where the debt is at its cap, if there is collateral to be auctioned for it. `assessment` is the
/// account's against the same view. Rounded down.
pub fn safe_moves(
    account: &MarginAccount,
    view: &RiskView,
    assessment: &Assessment,
) -> Result<Vec<SafeMove>, RiskError> {
    let slack = spendable(account, assessment)?;
    let for_funding = if account.positions.is_empty() {
        0
    } else {
        slack
            .checked_div(FUNDING_SHARE)
            .ok_or(MathError::DivisionByZero)?
    };
    let for_interest = match &account.loan {
        None => 0,
        Some(_) => slack
            .checked_div(INTEREST_SHARE)
            .ok_or(MathError::DivisionByZero)?,
    };
    let for_prices = slack
        .checked_sub(for_funding)
        .and_then(|left| left.checked_sub(for_interest))
        .ok_or(MathError::Overflow)?;
    let fall = relative(for_prices, assessment.exposure, RELATIVE_ONE);
    let rise = relative(for_prices, assessment.exposure, LARGEST_RISE);

    let mut moves = Vec::new();
    for position in &account.positions {
        let contract = view.market(position.market)?.contract;
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
        let delta = funding_delta(for_funding, notional, assessment.notional, size)?;
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
        let mut delta = interest_delta(for_interest, loan.principal)?
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
fn spendable(account: &MarginAccount, assessment: &Assessment) -> Result<Cash, MathError> {
    let count = |length: usize| Cash::try_from(length).map_err(|_| MathError::Overflow);
    let positions = ROUNDING_PER_POSITION.checked_mul(count(account.positions.len())?);
    let collaterals = ROUNDING_PER_COLLATERAL.checked_mul(count(account.collateral.len())?);
    let slack = assessment.slack().ok_or(MathError::Overflow)?;
    let loan = account.loan.map_or(0, |_| ROUNDING_PER_LOAN);
    Ok(positions
        .zip(collaterals)
        .and_then(|(p, c)| slack.checked_sub(p)?.checked_sub(c)?.checked_sub(loan))
        .ok_or(MathError::Overflow)?
        .max(0))
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
