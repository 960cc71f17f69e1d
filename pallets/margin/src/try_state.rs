//! What always holds of the ledger.

use crate::{Accounts, Collaterals, Config, Custody, Lending, OpenInterest, Pallet, Subaccounts};
use alloc::collections::BTreeMap;
use frame_support::{ensure, traits::fungibles::Inspect};
use novate_types::{Lots, MarketId};
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
    /// The equalities, and what is derived from accounts: open interest, subaccounts, their references.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        let conservation =
            Self::conservation().map_err(|_| "a sum over accounts is out of range")?;
        ensure!(
            conservation.lots.iter().all(|(_, sum)| *sum == 0),
            "a market's lots do not sum to zero"
        );
        let settlement = conservation.settlement;
        ensure!(
            settlement.ledger == settlement.custody,
            "cash less cost plus pots is not what custody holds"
        );
        ensure!(
            conservation
                .collaterals
                .iter()
                .all(|(_, e)| e.ledger == e.custody),
            "a collateral's amounts are not what custody holds"
        );
        ensure!(
            conservation.loans.0 == conservation.loans.1,
            "what debtors owe or suppliers hold is not what the liquidity pot's book says"
        );
        Self::check_loan_bounds(&Lending::<T>::get().params)?;
        for (asset, recorded) in Custody::<T>::iter() {
            let balance = T::Assets::balance(asset, &Self::custody_account());
            ensure!(recorded <= balance, "custody holds less than was deposited");
        }

        let collaterals = Collaterals::<T>::get();
        for (asset, params) in &collaterals {
            Self::check_collateral_bounds(*asset, params)?;
        }

        let mut open: BTreeMap<MarketId, Lots> = BTreeMap::new();
        let mut subaccounts: BTreeMap<T::AccountId, u16> = BTreeMap::new();
        for (of, account) in Accounts::<T>::iter() {
            ensure!(
                is_ascending(account.positions.iter().map(|p| p.market))
                    && is_ascending(account.orders.iter().map(|o| o.market)),
                "an account's positions or orders are not sorted by market"
            );
            ensure!(
                account.loan.map_or(0, |loan| loan.principal)
                    == account.cash.min(0).saturating_neg()
                    && account.loan.is_none_or(|loan| loan.principal > 0),
                "an account's loan is not what its cash is below zero"
            );
            for position in &account.positions {
                ensure!(position.lots != 0, "an account has a position without lots");
                let sum = open.entry(position.market).or_default();
                let long = Lots::try_from(position.lots).unwrap_or(0);
                *sum = sum
                    .checked_add(long)
                    .ok_or("open interest is out of range")?;
            }
            for (at, (asset, amount)) in account.collateral.iter().enumerate() {
                let listed = *amount != 0 && collaterals.contains_key(asset);
                ensure!(
                    listed,
                    "an account holds nothing of an asset, or one that is no collateral"
                );
                let twice = account
                    .collateral
                    .iter()
                    .skip(at)
                    .filter(|(a, _)| a == asset)
                    .count();
                ensure!(twice == 1, "an account holds an asset twice");
            }
            let count = subaccounts.entry(of.owner).or_default();
            *count = count.saturating_add(1);
        }
        open.retain(|_, lots| *lots != 0);
        ensure!(
            open == OpenInterest::<T>::iter().collect(),
            "open interest is not the sum of long positions"
        );
        ensure!(
            subaccounts == Subaccounts::<T>::iter().collect(),
            "the count of an owner's accounts drifted"
        );
        ensure!(
            subaccounts
                .keys()
                .all(|owner| frame_system::Pallet::<T>::providers(owner) > 0),
            "an owner of a margin account can be reaped"
        );
        Ok(())
    }
}

fn is_ascending(markets: impl Iterator<Item = MarketId>) -> bool {
    let mut last = None;
    for market in markets {
        if last.is_some_and(|last| last >= market) {
            return false;
        }
        last = Some(market);
    }
    true
}
