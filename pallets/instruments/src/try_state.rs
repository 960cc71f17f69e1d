//! What always holds of the stored parameters.

use crate::{
    AboveFloor, Config, FeeTierList, Instruments, NextMarket, Pallet, Pending, SeriesRules, Tiers,
};
use alloc::collections::BTreeSet;
use codec::Encode;
use frame_support::ensure;
use novate_types::{MAX_MARKETS, MILLION};
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
    /// Every listed market, tier, fee tier, rule of listing and scheduled change obeys the rules under which it was taken.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        let mut symbols = BTreeSet::new();
        let mut listed = 0u32;
        for (id, instrument) in Instruments::<T>::iter() {
            Self::check_instrument(&instrument)?;
            ensure!(
                id < NextMarket::<T>::get(),
                "a market's number is still to be given"
            );
            ensure!(
                symbols.insert(instrument.symbol),
                "two markets have one symbol"
            );
            listed = listed.saturating_add(1);
        }
        ensure!(
            listed == Instruments::<T>::count(),
            "the count of markets drifted"
        );
        ensure!(listed <= MAX_MARKETS, "more markets than a close can carry");

        for tier in Tiers::<T>::iter_values() {
            Self::check_tier(&tier)?;
        }
        for (id, followed) in AboveFloor::<T>::iter() {
            Self::check_tier(&followed.floor)?;
            ensure!(
                followed.factor > MILLION,
                "a tier is above its floor by nothing"
            );
            ensure!(
                followed.in_force().ok() == Tiers::<T>::get(id),
                "a tier is not the multiple of its floor that it should be"
            );
        }
        let fees = FeeTierList::<T>::get();
        if !fees.is_empty() {
            Self::check_fee_tiers(&fees)?;
        }

        let rules = SeriesRules::<T>::get();
        for (underlying, rule) in &rules {
            Self::check_rule(rule)?;
            ensure!(
                Self::has_own_base(&rules, *underlying, rule),
                "two rules list under the same tickers"
            );
        }

        let mut subjects = BTreeSet::new();
        for scheduled in Pending::<T>::get() {
            ensure!(
                subjects.insert(scheduled.change.subject().encode()),
                "two changes of one subject"
            );
            ensure!(
                scheduled.since <= scheduled.due,
                "a change is due before it was scheduled"
            );
        }
        Ok(())
    }
}
