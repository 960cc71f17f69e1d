//! Interest on negative cash (section 2): a cumulative index, as funding has one.
//!
//! The index says what one quantum has cost since the first loan. It moves once a block, by `rate · elapsed`, and an account settles against
//! it when its cash changes: one without a loan is never looked at. Between two settlements interest is simple, so what all accounts
//! owe grows in a block by exactly what is borrowed times the step of the index, and nothing rounds until somebody pays: debtors round up.

use crate::{linear::collateral_value, portfolio::netted_positions};
use codec::{Decode, Encode, MaxEncodedLen};
use novate_types::{
    math::{add, mul_div_ceil, mul_div_floor, ppm_ceil, ppm_floor, signed, sub},
    BlockNumber, Cash, LoanParams, LoanTotals, LoanView, MarginAccount, MathError, Millis, Ppm,
    RiskError, RiskView, ShareValue, INTEREST_FRACTION_BITS, MILLION, YEAR,
};
use scale_info::TypeInfo;

/// One quantum in a borrow index.
pub const INTEREST_UNIT: u128 = 1 << INTEREST_FRACTION_BITS;
/// Of what an account is to owe when it borrows, the part that it keeps free beside, in ppm: interest is due from the next close on.
pub const BORROW_BUFFER: Ppm = 50_000;
/// Of what is lent, the part that stays in the pot beside it when somebody takes cash out of it, in ppm: losses beyond cash are lent without
/// being asked for.
pub const LOSS_CUSHION: Ppm = 50_000;

/// What of the pot is lent, in ppm, rounded up, and at most all: also where there is a debt and no pot.
pub fn utilisation_ceil(borrowed: Cash, supplied: Cash) -> Result<Ppm, MathError> {
    if borrowed <= 0 {
        return Ok(0);
    }
    if borrowed >= supplied {
        return Ok(MILLION);
    }
    let ppm = mul_div_ceil(
        borrowed.unsigned_abs(),
        MILLION.into(),
        supplied.unsigned_abs(),
    )?;
    Ok(Ppm::try_from(ppm).unwrap_or(MILLION).min(MILLION))
}

/// How far the index moves in a time at a rate a year, rounded up.
pub fn interest_step_ceil(rate: Ppm, elapsed: Millis) -> Result<u128, MathError> {
    let year = u128::from(YEAR)
        .checked_mul(MILLION.into())
        .ok_or(MathError::Overflow)?;
    let time = u128::from(rate)
        .checked_mul(elapsed.into())
        .ok_or(MathError::Overflow)?;
    mul_div_ceil(time, INTEREST_UNIT, year)
}

/// Interest due, in quantums, rounded up.
pub fn interest_due_ceil(account: &MarginAccount, index: u128) -> Result<Cash, MathError> {
    let Some(loan) = &account.loan else {
        return Ok(0);
    };
    signed(loan.interest(index)?.div_ceil(INTEREST_UNIT))
}

/// Cash after the interest that is due.
pub fn cash_after_interest(account: &MarginAccount, view: &RiskView) -> Result<Cash, MathError> {
    sub(account.cash, interest_due_ceil(account, view.loans.index)?)
}

/// What an account owes, interest due included, in quantums.
pub fn debt_ceil(account: &MarginAccount, view: &RiskView) -> Result<Cash, MathError> {
    sub(0, cash_after_interest(account, view)?.min(0))
}

/// What an account's collateral counts for, in quantums, rounded down.
pub fn all_collateral_value(account: &MarginAccount, view: &RiskView) -> Result<Cash, RiskError> {
    let mut held = account.collateral.iter();
    held.try_fold(0, |sum, (asset, amount)| {
        let value = collateral_value(view.collateral(*asset)?, *amount)?;
        Ok(add(sum, value)?)
    })
}

/// Whether a trade has an account borrow on what is not realised, long options' worth or a hedge's gain: it owes more than it did, more than is lent to it without being asked
/// for, and more than its collateral counts for.
///
/// Whoever covers initial margin owes no more than collateral and profit credits. A trade that is allowed for lowering maintenance margin alone asks
/// for no such thing: where positions are hedges of each other it may realise any loss of one of them, and give up what the other is worth beyond the scan,
/// and nobody could call the debt that it leaves, as an auction is of collateral. A loss of what is liquidated is realised all the same.
pub fn borrows_on_unrealised(
    before: &MarginAccount,
    after: &MarginAccount,
    view: &RiskView,
) -> Result<bool, RiskError> {
    let debt = debt_ceil(after, view)?;
    let lent = match view.loans.is_short {
        true => 0,
        false => view.loans.account_cap,
    };
    if debt <= lent.max(debt_ceil(before, view)?) {
        return Ok(false);
    }
    let has_offset = |account| Ok::<_, RiskError>(netted_positions(account, view)? > 0);
    Ok((has_offset(before)? || has_offset(after)?) && debt > all_collateral_value(after, view)?)
}

/// Most that an account may take out, in quantums, rounded down: `v + buffer·max(0, v − own) ≤ free`, with [`BORROW_BUFFER`]; `free` is what
/// margin leaves it, collateral at its haircut value included, and `own` its cash after interest. What it has is taken out without a buffer.
pub fn borrowable_floor(free: Cash, own: Cash) -> Result<Cash, MathError> {
    if free <= own {
        return Ok(free.max(0));
    }
    let times = |amount: Cash, ppm: Ppm| {
        amount
            .checked_mul(Cash::from(ppm))
            .ok_or(MathError::Overflow)
    };
    let whole = add(times(free, MILLION)?, times(own, BORROW_BUFFER)?)?;
    let each = MILLION
        .checked_add(BORROW_BUFFER)
        .ok_or(MathError::Overflow)?;
    whole
        .max(0)
        .checked_div(each.into())
        .ok_or(MathError::DivisionByZero)
}

/// The pot's parameters, and its sums over suppliers and debtors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct LoanBook {
    /// In force.
    pub params: LoanParams,
    /// Scheduled, and the first block whose close puts it into force.
    pub pending: Option<(LoanParams, BlockNumber)>,
    /// Shares of all suppliers.
    pub shares: u128,
    /// Sum of all principals, in quantums.
    pub borrowed: Cash,
    /// Interest on one quantum since the first loan, in quantums with [`INTEREST_FRACTION_BITS`] fractional bits.
    pub index: u128,
    /// Interest that accrued and was not settled, in the same unit: the sum of `principal · (index − theirs)` over debtors.
    pub accrued: u128,
    /// Of all interest, settled or not, what is the insurance fund's and was not yet given to it, in the same unit.
    pub reserve: u128,
}

impl LoanBook {
    /// What suppliers have, in quantums, rounded down: what the pot counts, and is owed as interest, less the reserve.
    pub fn supplied_floor(&self, pot: Cash) -> Result<Cash, MathError> {
        let counted = pot
            .unsigned_abs()
            .checked_mul(INTEREST_UNIT)
            .and_then(|counted| counted.checked_add(self.accrued))
            .and_then(|counted| counted.checked_sub(self.reserve))
            .ok_or(MathError::Overflow)?;
        signed(counted.checked_shr(INTEREST_FRACTION_BITS).unwrap_or(0))
    }

    /// What a share is worth; none if nothing is left in the pot of those who hold some.
    pub fn share_value(&self, pot: Cash) -> Result<Option<ShareValue>, MathError> {
        ShareValue::of(self.supplied_floor(pot)?, self.shares)
    }

    /// What part of the pot is lent, in ppm, rounded up.
    pub fn utilisation_ceil(&self, pot: Cash) -> Result<Ppm, MathError> {
        utilisation_ceil(self.borrowed, pot)
    }

    /// What the pot may have lent for others to ask for more, in quantums, rounded down.
    pub fn cap_floor(&self, pot: Cash) -> Result<Cash, MathError> {
        signed(ppm_floor(
            pot.max(0).unsigned_abs(),
            self.params.utilisation_cap,
        )?)
    }

    /// What of the borrowed suppliers lent, in quantums: as much as is in the pot, and nothing where nobody supplies. The rest the fund bears.
    fn lent_by_suppliers(&self, pot: Cash) -> Cash {
        match self.shares {
            0 => 0,
            _ => self.borrowed.min(pot).max(0),
        }
    }

    /// What may be taken out of the pot, in quantums, rounded down; below zero if it has to come back first. What is lent stays in it, and
    /// [`LOSS_CUSHION`] of that beside.
    pub fn removable_floor(&self, pot: Cash) -> Result<Cash, MathError> {
        let cushion = signed(ppm_ceil(self.borrowed.max(0).unsigned_abs(), LOSS_CUSHION)?)?;
        sub(sub(pot, self.borrowed)?, cushion)
    }

    /// What suppliers earn a year, in ppm of what they have, rounded down.
    pub fn supply_rate_floor(&self, pot: Cash) -> Result<Ppm, MathError> {
        let rate = self.params.rate_ceil(self.utilisation_ceil(pot)?)?;
        let (lent, supplied) = (self.lent_by_suppliers(pot), self.supplied_floor(pot)?);
        if supplied <= 0 {
            return Ok(0);
        }
        let earned = mul_div_floor(rate.into(), lent.unsigned_abs(), supplied.unsigned_abs())?;
        let kept = MILLION.saturating_sub(self.params.reserve_factor);
        Ok(Ppm::try_from(ppm_floor(earned, kept)?).unwrap_or(Ppm::MAX))
    }

    /// What is summed over debtors and suppliers.
    pub const fn totals(&self) -> LoanTotals {
        LoanTotals {
            borrowed: self.borrowed,
            accrued: self.accrued,
            shares: self.shares,
        }
    }

    /// As margin sees it.
    pub fn view(&self, pot: Cash) -> LoanView {
        LoanView {
            index: self.index,
            account_cap: self.params.account_cap,
            is_short: self.borrowed > pot,
        }
    }

    /// Interest accrues on all principals. Of what suppliers lent a part is the fund's, and of what is owed beyond that, all.
    pub fn accrue(&mut self, pot: Cash, elapsed: Millis) -> Result<(), MathError> {
        let rate = self.params.rate_ceil(self.utilisation_ceil(pot)?)?;
        let step = interest_step_ceil(rate, elapsed)?;
        let interest = |on: Cash| {
            on.unsigned_abs()
                .checked_mul(step)
                .ok_or(MathError::Overflow)
        };
        let earned = interest(self.borrowed)?;
        let suppliers = interest(self.lent_by_suppliers(pot))?;
        let beyond = earned.checked_sub(suppliers).ok_or(MathError::Overflow)?;
        let to_fund = ppm_floor(suppliers, self.params.reserve_factor)?
            .checked_add(beyond)
            .ok_or(MathError::Overflow)?;
        let sum = |a: u128, b: u128| a.checked_add(b).ok_or(MathError::Overflow);
        let (index, accrued) = (sum(self.index, step)?, sum(self.accrued, earned)?);
        self.reserve = sum(self.reserve, to_fund)?;
        (self.index, self.accrued) = (index, accrued);
        Ok(())
    }
}
