//! The liquidity pot: what suppliers bring is lent to accounts whose cash is below zero (protocol, section 2).
//!
//! [`Pot::Loans`] counts what suppliers brought and interest brought in, lent or not; a debtor's cash is below zero by what it owes, so
//! the second equality needs no term for loans. The book beside it sums over debtors what the pot has to know: the principals, and the interest
//! that accrued and was not yet settled. Both sums are exact, as an account leaves the latter by as much as its principal and the
//! index say; what it pays is that rounded up, and the fraction of a quantum is the suppliers'. What the pot counts and is owed, less what is
//! reserved for the insurance fund, is what shares are worth: it falls for nothing.
//!
//! An account without a loan never reads the book. One with a loan settles when its cash changes, and not before: until then its equity counts
//! the interest (`novate_risk::cash_after_interest`).

use crate::{Config, Event, Lending, Pallet, Pots, Suppliers};
use codec::{Decode, Encode};
use frame_support::{ensure, traits::Get};
use novate_risk::{LoanBook, INTEREST_UNIT};
use novate_types::{
    math::{self, add, signed, sub},
    AccountRef, BlockNumber, Cash, Ledger, LedgerError, Loan, LoanParams, LoanView, Loans,
    MarginAccount, MathError, Millis, Pot, Ppm, INTEREST_FRACTION_BITS, MILLION, QUANTUMS,
};
use scale_info::TypeInfo;

/// Most that a year may cost, in ppm of the principal: ten times as much.
const MOST_RATE: u64 = 10 * MILLION as u64;

/// How far each parameter of loans moves in one change: by `relative` of what is in force, or by the least step of its unit, whichever is
/// farther.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct LoanStep {
    /// Of the old value, for every parameter.
    pub relative: Ppm,
    /// Least step of rates and fractions.
    pub fraction: Ppm,
    /// Least step of the account cap, in quantums.
    pub cash: u128,
}

impl<T: Config> Pallet<T> {
    /// Bounds of the parameters by themselves.
    pub(crate) fn check_loan_bounds(params: &LoanParams) -> Result<(), crate::Error<T>> {
        let rates = [params.base_rate, params.slope, params.steep_slope];
        let most: u64 = rates
            .iter()
            .fold(0, |sum, rate| sum.saturating_add(u64::from(*rate)));
        let is_fraction = |ppm: Ppm| ppm <= MILLION;
        let all_zero = *params == LoanParams::default();
        ensure!(
            all_zero
                || (most <= MOST_RATE
                    && (1..MILLION).contains(&params.kink)
                    && is_fraction(params.reserve_factor)
                    && is_fraction(params.utilisation_cap)
                    && params.account_cap >= 0),
            crate::Error::<T>::InvalidLoanParams
        );
        Ok(())
    }

    /// Schedules parameters of loans. Returns the first block whose close puts them into force.
    pub(crate) fn schedule_loan_params(new: LoanParams) -> Result<BlockNumber, crate::Error<T>> {
        let due = Self::now()
            .checked_add(T::Timelock::get())
            .ok_or(crate::Error::<T>::OutOfRange)?;
        Self::check_loan_bounds(&new)?;
        Lending::<T>::try_mutate(|book| {
            ensure!(book.pending.is_none(), crate::Error::<T>::ChangePending);
            ensure!(new != book.params, crate::Error::<T>::Unchanged);
            let step = T::MaxLoanStep::get();
            let old = book.params;
            // The first parameters come in one step, as a listing does.
            let is_first = old == LoanParams::default();
            let within = |old: Ppm, new: Ppm| {
                math::is_within_step(old.into(), new.into(), step.relative, step.fraction.into())
            };
            let is_step = within(old.base_rate, new.base_rate)?
                && within(old.slope, new.slope)?
                && within(old.steep_slope, new.steep_slope)?
                && within(old.kink, new.kink)?
                && within(old.reserve_factor, new.reserve_factor)?
                && within(old.utilisation_cap, new.utilisation_cap)?
                && math::is_within_step(
                    old.account_cap,
                    new.account_cap,
                    step.relative,
                    step.cash,
                )?;
            ensure!(is_first || is_step, crate::Error::<T>::StepTooLarge);
            book.pending = Some((new, due));
            Ok(due)
        })
    }

    /// An account's loan follows its cash: where that is below zero by something else than the principal, or came to be so, the interest until
    /// now is taken out of it, and what is below zero then is the principal from now on.
    pub(crate) fn keep_loan(
        of: &AccountRef<T::AccountId>,
        account: &mut MarginAccount,
    ) -> Result<(), LedgerError> {
        let principal = account.loan.map_or(0, |loan| loan.principal);
        if sub(0, account.cash.min(0))? == principal {
            return Ok(());
        }
        Lending::<T>::try_mutate(|book| {
            if let Some(loan) = account.loan.take() {
                let exact = loan.interest(book.index)?;
                let paid = signed(exact.div_ceil(INTEREST_UNIT))?;
                account.cash = sub(account.cash, paid)?;
                book.accrued = book.accrued.checked_sub(exact).ok_or(MathError::Overflow)?;
                if paid > 0 {
                    <Self as Ledger<T::AccountId>>::credit_pot(Pot::Loans, paid)?;
                    Self::deposit_event(Event::InterestPaid {
                        account: of.clone(),
                        paid,
                    });
                }
            }
            let owes = sub(0, account.cash.min(0))?;
            book.borrowed = add(sub(book.borrowed, principal)?, owes)?;
            if owes > 0 {
                account.loan = Some(Loan {
                    principal: owes,
                    index: book.index,
                });
            }
            Ok(())
        })
    }

    fn loans_pot() -> Cash {
        Pots::<T>::get(Pot::Loans)
    }

    /// The book after a close that began so much later, and the parameters that came into force.
    fn accrued_book(
        mut book: LoanBook,
        block: BlockNumber,
        elapsed: Millis,
    ) -> Result<LoanBook, MathError> {
        if book.borrowed > 0 {
            book.accrue(Self::loans_pot(), elapsed)?;
        }
        if let Some((params, _)) = book.pending.filter(|(_, due)| *due <= block) {
            (book.params, book.pending) = (params, None);
        }
        Ok(book)
    }
}

impl<T: Config> Loans<T::AccountId> for Pallet<T> {
    fn accrue(block: BlockNumber, elapsed: Millis) -> LoanView {
        let before = Lending::<T>::get();
        let after = Self::accrued_book(before, block, elapsed).unwrap_or_else(|error| {
            log::error!(target: "novate::margin", "no interest accrues: {error:?}");
            before
        });
        if after != before {
            Lending::<T>::put(after);
        }
        if after.params != before.params {
            Self::deposit_event(Event::LoanParamsChanged {
                old_value: before.params,
                new_value: after.params,
            });
        }
        match after.borrowed {
            // Nobody owes anything: the pot need not be read.
            0 => after.view(0),
            _ => after.view(Self::loans_pot()),
        }
    }

    fn take_reserve() -> Result<Cash, LedgerError> {
        let mut book = Lending::<T>::get();
        let whole = book
            .reserve
            .checked_shr(INTEREST_FRACTION_BITS)
            .unwrap_or(0);
        let whole = signed(whole)?;
        if whole < QUANTUMS || whole > book.removable_floor(Self::loans_pot())? {
            return Ok(0);
        }
        book.reserve &= INTEREST_UNIT.saturating_sub(1);
        Lending::<T>::put(book);
        <Self as Ledger<T::AccountId>>::credit_pot(Pot::Loans, math::neg(whole)?)?;
        Self::deposit_event(Event::InterestReserved { amount: whole });
        Ok(whole)
    }

    fn shares(owner: &T::AccountId) -> u128 {
        Suppliers::<T>::get(owner)
    }

    fn supply(owner: &T::AccountId, amount: Cash) -> Result<u128, LedgerError> {
        let mut book = Lending::<T>::get();
        let value = book.share_value(Self::loans_pot())?;
        let shares = value.ok_or(LedgerError::Shares)?.shares_floor(amount)?;
        ensure!(shares > 0, LedgerError::Shares);
        let sum = |a: u128| a.checked_add(shares).ok_or(MathError::Overflow);
        book.shares = sum(book.shares)?;
        Suppliers::<T>::insert(owner, sum(Suppliers::<T>::get(owner))?);
        Lending::<T>::put(book);
        <Self as Ledger<T::AccountId>>::credit_pot(Pot::Loans, amount)?;
        Self::deposit_event(Event::Supplied {
            owner: owner.clone(),
            amount,
            shares,
        });
        Ok(shares)
    }

    fn redeem(owner: &T::AccountId, shares: u128) -> Result<Cash, LedgerError> {
        let (mut book, pot) = (Lending::<T>::get(), Self::loans_pot());
        let left = Suppliers::<T>::get(owner).checked_sub(shares);
        let left = left.ok_or(LedgerError::Shares)?;
        let value = book.share_value(pot)?.ok_or(LedgerError::Shares)?;
        let amount = value.worth_floor(shares)?;
        ensure!(amount <= book.removable_floor(pot)?, LedgerError::Lent);
        book.shares = book.shares.checked_sub(shares).ok_or(MathError::Overflow)?;
        if left == 0 {
            Suppliers::<T>::remove(owner);
        } else {
            Suppliers::<T>::insert(owner, left);
        }
        Lending::<T>::put(book);
        <Self as Ledger<T::AccountId>>::credit_pot(Pot::Loans, math::neg(amount)?)?;
        Self::deposit_event(Event::Redeemed {
            owner: owner.clone(),
            shares,
            amount,
        });
        Ok(amount)
    }

    fn lendable() -> Cash {
        let book = Lending::<T>::get();
        let cap = book.cap_floor(Self::loans_pot());
        cap.and_then(|cap| sub(cap, book.borrowed))
            .map_or(0, |left| left.max(0))
    }

    fn is_within_cap() -> bool {
        let book = Lending::<T>::get();
        let cap = book.cap_floor(Self::loans_pot());
        cap.is_ok_and(|cap| book.borrowed <= cap)
    }
}
