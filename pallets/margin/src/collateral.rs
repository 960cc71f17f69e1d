//! Which assets are collateral, the bounds of their parameters, and the steps and timelock of changes.

use crate::{Collaterals, Config, Error, Event, Pallet, PendingCollaterals, MAX_COLLATERAL_ASSETS};
use alloc::vec::Vec;
use codec::{Decode, Encode, MaxEncodedLen};
use frame_support::{
    ensure,
    traits::{
        fungibles::{metadata, Inspect},
        Contains, Get,
    },
};
use novate_types::{
    math, AssetId, BlockNumber, Cash, CollateralParams, MathError, Ppm, ThresholdSweep, MILLION,
};
use scale_info::TypeInfo;

/// Most decimals of a collateral asset: one whole unit in smallest units stays far within range.
const MAX_DECIMALS: u8 = 24;

/// How far each parameter moves in one change: by `relative` of what is in force, or by the least step of its unit,
/// whichever is farther. The least steps let a parameter leave zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct CollateralStep {
    /// Of the old value, for every parameter.
    pub relative: Ppm,
    /// Least step of haircuts.
    pub haircut: Ppm,
    /// Least step of values, in quantums.
    pub cash: u128,
    /// Least step of the global cap, in whole units of the asset.
    pub units: u64,
}

/// A change of collateral that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct ScheduledCollateral {
    /// The new parameters.
    pub params: CollateralParams,
    /// Block in which they were scheduled.
    pub since: BlockNumber,
    /// The first block that can begin with them.
    pub due: BlockNumber,
}

impl<T: Config> Pallet<T> {
    /// The bounds of an asset's parameters by themselves.
    pub(crate) fn check_collateral_bounds(
        asset: AssetId,
        params: &CollateralParams,
    ) -> Result<(), Error<T>> {
        let CollateralParams {
            decimals,
            haircut,
            large_value,
            large_haircut,
            value_cap,
            global_cap,
            ..
        } = *params;
        ensure!(
            asset != T::SettlementAsset::get(),
            Error::<T>::IsSettlementAsset
        );
        ensure!(decimals <= MAX_DECIMALS, Error::<T>::WrongDecimals);
        ensure!(
            haircut <= large_haircut && large_haircut <= MILLION,
            Error::<T>::InvalidHaircuts
        );
        ensure!(
            large_value >= 0 && value_cap >= 0 && Cash::try_from(global_cap).is_ok(),
            Error::<T>::InvalidAmounts
        );
        Ok(())
    }

    /// Whether an asset may be listed with `new`, or follow with it what is in force now.
    fn check_collateral(asset: AssetId, new: &CollateralParams) -> Result<(), Error<T>> {
        Self::check_collateral_bounds(asset, new)?;
        let Some(old) = Collaterals::<T>::get().get(&asset).copied() else {
            ensure!(T::Assets::asset_exists(asset), Error::<T>::NoSuchAsset);
            ensure!(T::Feeds::contains(&new.feed), Error::<T>::UnknownFeed);
            let decimals = <T::Assets as metadata::Inspect<T::AccountId>>::decimals(asset);
            ensure!(decimals == new.decimals, Error::<T>::WrongDecimals);
            return Ok(());
        };
        ensure!(*new != old, Error::<T>::Unchanged);
        ensure!(
            old.feed == new.feed && old.decimals == new.decimals,
            Error::<T>::FeedAndDecimalsFixed
        );
        ensure!(
            is_step(&T::MaxStep::get(), &old, new)?,
            Error::<T>::StepTooLarge
        );
        Ok(())
    }

    pub(crate) fn schedule(
        asset: AssetId,
        params: CollateralParams,
    ) -> Result<BlockNumber, Error<T>> {
        Self::check_collateral(asset, &params)?;
        let since = Self::now();
        let due = since
            .checked_add(T::Timelock::get())
            .ok_or(Error::<T>::OutOfRange)?;
        PendingCollaterals::<T>::try_mutate(|pending| {
            ensure!(!pending.contains_key(&asset), Error::<T>::ChangePending);
            // Every asset that is scheduled finds its place when its time comes.
            let listed = Collaterals::<T>::get();
            let new = pending
                .keys()
                .chain([&asset])
                .filter(|a| !listed.contains_key(a))
                .count();
            let most = usize::try_from(MAX_COLLATERAL_ASSETS).unwrap_or(usize::MAX);
            ensure!(
                listed.len().checked_add(new).is_some_and(|all| all <= most),
                Error::<T>::TooManyCollaterals
            );
            pending
                .try_insert(asset, ScheduledCollateral { params, since, due })
                .map_err(|_| Error::<T>::TooManyCollaterals)
        })?;
        Ok(due)
    }

    /// Withdraws the change scheduled for `asset`, if there is one.
    pub(crate) fn withdraw_change(asset: AssetId) -> bool {
        let found = PendingCollaterals::<T>::mutate(|pending| pending.remove(&asset).is_some());
        if found {
            Self::deposit_event(Event::CollateralCancelled { asset });
        }
        found
    }

    /// Puts into force the changes whose time has come. Returns how many there were; at most one an asset.
    pub(crate) fn apply_due_collaterals() -> u32 {
        let now = Self::now();
        let pending = PendingCollaterals::<T>::get();
        let due: Vec<(AssetId, CollateralParams)> = pending
            .iter()
            .filter(|(_, s)| s.due <= now)
            .filter(|(asset, s)| {
                !Self::lowers_worth(**asset, &s.params) || T::Sweep::completed_since(s.since)
            })
            .map(|(asset, s)| (*asset, s.params))
            .collect();
        if due.is_empty() {
            return 0;
        }
        PendingCollaterals::<T>::mutate(|pending| {
            for (asset, _) in &due {
                pending.remove(asset);
            }
        });
        for (asset, new_value) in &due {
            Self::deposit_event(match Self::put_collateral(*asset, *new_value) {
                Ok(old_value) => Event::CollateralChanged {
                    asset: *asset,
                    old_value,
                    new_value: *new_value,
                },
                Err(error) => Event::CollateralDropped {
                    asset: *asset,
                    error: error.into(),
                },
            });
        }
        u32::try_from(due.len()).unwrap_or(u32::MAX)
    }

    fn put_collateral(
        asset: AssetId,
        new: CollateralParams,
    ) -> Result<Option<CollateralParams>, Error<T>> {
        Self::check_collateral(asset, &new)?;
        Collaterals::<T>::try_mutate(|all| {
            all.try_insert(asset, new)
                .map_err(|_| Error::<T>::TooManyCollaterals)
        })
    }

    /// An asset's parameters as they may be once the change scheduled now is in force: of each the one that counts for
    /// less. A threshold drawn with them stays sound when it takes effect; the sweep that such a change waits for uses
    /// them.
    pub fn collateral_ahead(asset: AssetId) -> Option<CollateralParams> {
        let now = Collaterals::<T>::get().get(&asset).copied()?;
        let Some(next) = PendingCollaterals::<T>::get().get(&asset).map(|s| s.params) else {
            return Some(now);
        };
        Some(CollateralParams {
            haircut: now.haircut.max(next.haircut),
            large_haircut: now.large_haircut.max(next.large_haircut),
            large_value: now.large_value.min(next.large_value),
            value_cap: now.value_cap.min(next.value_cap),
            ..now
        })
    }

    /// Whether some holding of the asset would be worth less with `new`.
    fn lowers_worth(asset: AssetId, new: &CollateralParams) -> bool {
        Collaterals::<T>::get().get(&asset).is_some_and(|old| {
            new.haircut > old.haircut
                || new.large_haircut > old.large_haircut
                || new.large_value < old.large_value
                || new.value_cap < old.value_cap
        })
    }
}

fn is_step(
    step: &CollateralStep,
    old: &CollateralParams,
    new: &CollateralParams,
) -> Result<bool, MathError> {
    let within = |old, new, least| math::is_within_step(old, new, step.relative, least);
    let whole = 10u128
        .checked_pow(u32::from(old.decimals))
        .ok_or(MathError::Overflow)?;
    let units = whole
        .checked_mul(u128::from(step.units))
        .ok_or(MathError::Overflow)?;
    Ok(
        within(old.haircut.into(), new.haircut.into(), step.haircut.into())?
            && within(
                old.large_haircut.into(),
                new.large_haircut.into(),
                step.haircut.into(),
            )?
            && within(old.large_value, new.large_value, step.cash)?
            && within(old.value_cap, new.value_cap, step.cash)?
            && within(
                math::signed(old.global_cap)?,
                math::signed(new.global_cap)?,
                units,
            )?,
    )
}
