//! The equalities, computed over the whole state: for operators, queries and tests, not for a block.

use crate::{Accounts, Booked, Collaterals, Config, Custody, Lending, Pallet, Pots, Suppliers};
use alloc::{collections::BTreeMap, vec::Vec};
use codec::{Decode, Encode};
use frame_support::traits::{fungibles::Inspect, Get};
use novate_types::{math, AssetId, Cash, LoanTotals, MarketId, MathError, Pot};
use scale_info::TypeInfo;

/// Both sides of an equality between the ledger and custody, in the asset's smallest unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct Equality {
    /// What the ledger says is held.
    pub ledger: Cash,
    /// What custody holds of what was deposited; what was sent to it without a deposit is left out.
    pub custody: Cash,
}

/// The equalities of conservation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct Conservation {
    /// Per market with positions, `Σ lots`, those booked since it settled included: zero.
    pub lots: Vec<(MarketId, i128)>,
    /// `Σ cash − Σ cost + Σ pots` against the settlement currency in custody.
    pub settlement: Equality,
    /// Per collateral asset, `Σ amounts` against what is in custody.
    pub collaterals: Vec<(AssetId, Equality)>,
    /// What each pot holds.
    pub pots: Vec<(Pot, Cash)>,
    /// What debtors owe and suppliers hold, summed, against the liquidity pot's book.
    pub loans: (LoanTotals, LoanTotals),
    /// Accounts summed.
    pub accounts: u32,
}

impl Conservation {
    /// Whether every equality holds.
    pub fn holds(&self) -> bool {
        let equal = |e: &Equality| e.ledger == e.custody;
        self.lots.iter().all(|(_, sum)| *sum == 0)
            && equal(&self.settlement)
            && self.collaterals.iter().all(|(_, e)| equal(e))
            && self.loans.0 == self.loans.1
    }
}

impl<T: Config> Pallet<T> {
    /// Sums every account and pot and sets the sums against custody.
    ///
    /// # Errors
    ///
    /// [`MathError::Overflow`] if a sum leaves its range.
    pub fn conservation() -> Result<Conservation, MathError> {
        let mut lots: BTreeMap<MarketId, i128> = Booked::<T>::iter()
            .map(|(market, booked)| (market, booked.into()))
            .collect();
        let mut collaterals: BTreeMap<AssetId, Cash> = Collaterals::<T>::get()
            .keys()
            .map(|asset| (*asset, 0))
            .collect();
        let mut settlement: Cash = 0;
        let mut accounts = 0u32;
        let (book, mut loans) = (Lending::<T>::get(), LoanTotals::default());
        for account in Accounts::<T>::iter_values() {
            accounts = accounts.checked_add(1).ok_or(MathError::Overflow)?;
            settlement = math::add(settlement, account.cash)?;
            loans.count(&account, book.index)?;
            for position in &account.positions {
                settlement = math::sub(settlement, position.cost)?;
                let sum = lots.entry(position.market).or_default();
                *sum = math::add(*sum, position.lots.into())?;
            }
            for (asset, amount) in &account.collateral {
                let sum = collaterals.entry(*asset).or_default();
                *sum = math::add(*sum, math::signed(*amount)?)?;
            }
        }
        let mut pots: Vec<(Pot, Cash)> = Pots::<T>::iter().collect();
        pots.sort_unstable();
        for (_, held) in &pots {
            settlement = math::add(settlement, *held)?;
        }
        for shares in Suppliers::<T>::iter_values() {
            loans.shares = loans
                .shares
                .checked_add(shares)
                .ok_or(MathError::Overflow)?;
        }
        let against_custody = |asset: AssetId, ledger: Cash| {
            let balance = T::Assets::balance(asset, &Self::custody_account());
            let custody = math::signed(Custody::<T>::get(asset).min(balance))?;
            Ok(Equality { ledger, custody })
        };
        Ok(Conservation {
            lots: lots.into_iter().collect(),
            settlement: against_custody(T::SettlementAsset::get(), settlement)?,
            collaterals: collaterals
                .into_iter()
                .map(|(asset, ledger)| Ok((asset, against_custody(asset, ledger)?)))
                .collect::<Result<_, MathError>>()?,
            pots,
            loans: (loans, book.totals()),
            accounts,
        })
    }
}
