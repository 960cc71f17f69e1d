//! Remedy 5: the insurance fund tops an account up to zero, as far as its cash goes.

use crate::{Config, Event, Pallet, Refusal};
use frame_support::{storage::with_storage_layer, traits::Get};
use novate_types::{
    math::{add, sub},
    AccountRef, Cash, Ledger, RiskView,
};

impl<T: Config> Pallet<T> {
    /// Cash of the insurance fund, at least zero.
    pub fn insurance_cash() -> Cash {
        T::Ledger::account(&T::InsuranceFund::get()).map_or(0, |fund| fund.cash.max(0))
    }

    /// Pays what `deficit` needs, or all there is. Returns whether that was anything.
    pub(crate) fn top_up(
        of: &AccountRef<T::AccountId>,
        view: &RiskView,
        deficit: Cash,
    ) -> Result<bool, Refusal> {
        let fund = T::InsuranceFund::get();
        let paid = deficit.min(Self::insurance_cash());
        if paid <= 0 || *of == fund {
            return Ok(false);
        }
        with_storage_layer(|| {
            T::Ledger::settle(&fund, view, false, |fund| {
                fund.cash = sub(fund.cash, paid)?;
                Ok::<_, Refusal>(())
            })?;
            T::Ledger::settle(of, view, false, |account| {
                account.cash = add(account.cash, paid)?;
                Ok::<_, Refusal>(())
            })
        })?;
        let left = sub(deficit, paid)?;
        Self::deposit_event(Event::InsurancePaid {
            account: of.clone(),
            paid,
            left,
        });
        Ok(true)
    }
}
