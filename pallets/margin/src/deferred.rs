//! What extrinsics leave to the close of their block, lest their place in it be worth anything: deposits of collateral, which
//! share the room under a global cap, and fee tiers, which the intake of orders reads.

use crate::{AtClose, Collaterals, Config, Custody, Error, Event, Pallet};
use codec::{Decode, DecodeWithMemTracking, Encode};
use frame_support::{
    ensure,
    storage::{transactional::with_transaction_unchecked, TransactionOutcome},
    traits::fungibles::Inspect,
};
use novate_types::{AccountRef, AssetId, CurrentView, Ledger, RiskView};
use scale_info::TypeInfo;

/// What the close of this block does.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum Deferred<AccountId> {
    /// Moves an asset from the owner's wallet into a margin account.
    #[codec(index = 0)]
    Deposit {
        /// Whose, and which.
        account: AccountRef<AccountId>,
        /// A collateral asset.
        asset: AssetId,
        /// In the asset's smallest unit.
        amount: u128,
    },
    /// Puts an account into another fee tier.
    #[codec(index = 1)]
    FeeTier {
        /// Whose, and which.
        account: AccountRef<AccountId>,
        /// The tier.
        new_value: u8,
    },
}

impl<AccountId> Deferred<AccountId> {
    fn owner(&self) -> &AccountId {
        match self {
            Self::Deposit { account, .. } | Self::FeeTier { account, .. } => &account.owner,
        }
    }
}

impl<T: Config> Pallet<T> {
    pub(crate) fn leave_to_close(what: Deferred<T::AccountId>) {
        AtClose::<T>::append(&what);
        Self::deposit_event(Event::LeftToClose { what });
    }

    /// Acts on what was left to this close: an owner's in the order of asking, owners in an order that nobody knows before
    /// the parent block is known.
    pub(crate) fn act_on_deferred() {
        let mut all = AtClose::<T>::get();
        if all.is_empty() {
            return;
        }
        AtClose::<T>::kill();
        let parent = frame_system::Pallet::<T>::parent_hash();
        all.sort_by_cached_key(|what| {
            (parent, what.owner()).using_encoded(sp_io::hashing::blake2_128)
        });
        let view = T::View::view();
        for what in all {
            if let Err(error) = Self::act(&view, &what) {
                Self::deposit_event(Event::Dropped {
                    what,
                    error: error.into(),
                });
            }
        }
    }

    fn act(view: &RiskView, what: &Deferred<T::AccountId>) -> Result<(), Error<T>> {
        match what {
            Deferred::Deposit {
                account,
                asset,
                amount,
            } => {
                let cap = Collaterals::<T>::get()
                    .get(asset)
                    .ok_or(Error::<T>::UnknownAsset)?
                    .global_cap;
                Self::take_collateral(view, cap, account, *asset, *amount)
            }
            Deferred::FeeTier { account, new_value } => {
                let old_value = <Self as Ledger<T::AccountId>>::update(account, |held| {
                    ensure!(held.fee_tier != *new_value, Error::<T>::Unchanged);
                    Ok::<_, Error<T>>(core::mem::replace(&mut held.fee_tier, *new_value))
                })?;
                Self::deposit_event(Event::FeeTierChanged {
                    account: account.clone(),
                    old_value,
                    new_value: *new_value,
                });
                Ok(())
            }
        }
    }

    /// Whether a deposit of collateral would be taken if it were this block's only one: done, and undone. All that it reads
    /// beside the owner's own is as the last close left it, the cap included.
    pub(crate) fn try_collateral(
        of: &AccountRef<T::AccountId>,
        asset: AssetId,
        amount: u128,
    ) -> Result<(), Error<T>> {
        ensure!(
            Collaterals::<T>::get().contains_key(&asset),
            Error::<T>::UnknownAsset
        );
        let view = T::View::view();
        let cap = view
            .collateral(asset)
            .map_err(|_| Error::<T>::NoFreshPrice)?
            .params
            .global_cap;
        with_transaction_unchecked(|| {
            TransactionOutcome::Rollback(Self::take_collateral(&view, cap, of, asset, amount))
        })
    }

    fn take_collateral(
        view: &RiskView,
        cap: u128,
        of: &AccountRef<T::AccountId>,
        asset: AssetId,
        amount: u128,
    ) -> Result<(), Error<T>> {
        ensure!(
            view.collateral(asset).is_ok_and(|terms| terms.fresh),
            Error::<T>::NoFreshPrice
        );
        let held = Custody::<T>::get(asset)
            .checked_add(amount)
            .ok_or(Error::<T>::OutOfRange)?;
        ensure!(held <= cap, Error::<T>::GlobalCapReached);
        Self::take_deposit(of, asset, amount)
    }

    /// Moves an asset from the owner's wallet into the account.
    pub(crate) fn take_deposit(
        of: &AccountRef<T::AccountId>,
        asset: AssetId,
        amount: u128,
    ) -> Result<(), Error<T>> {
        T::Assets::can_withdraw(asset, &of.owner, amount)
            .into_result(false)
            .map_err(|_| Error::<T>::NotSpendable)?;
        Self::fund(of, asset, amount)?;
        Self::deposit_event(Event::Deposited {
            account: of.clone(),
            asset,
            amount,
        });
        Ok(())
    }
}
