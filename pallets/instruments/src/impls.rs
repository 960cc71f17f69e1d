//! Scheduling, the close's part, and [`Listing`].

use crate::{
    Change, Config, Error, Event, FeeTierList, Followed, Instruments, Pallet, Pending, Scheduled,
    Subject, Tiers,
};
use alloc::vec::Vec;
use frame_support::{ensure, traits::Get};
use novate_types::{
    BlockNumber, FeeTier, FeedId, Instrument, Listing, MarketId, MarketStatus, Millis, Ppm, Price,
    RiskTier, ThresholdSweep, TierId, MILLION,
};
use sp_runtime::{DispatchError, DispatchResult, SaturatedConversion};

impl<T: Config> Pallet<T> {
    pub(crate) fn now() -> BlockNumber {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    /// Checks a change against what is in force and starts its timelock.
    pub(crate) fn schedule(change: Change) -> DispatchResult {
        Self::check(&change)?;
        let (subject, since) = (change.subject(), Self::now());
        let due = since
            .checked_add(T::Timelock::get())
            .ok_or(Error::<T>::OutOfRange)?;
        Self::give_way(&change);
        Pending::<T>::try_mutate(|pending| {
            ensure!(
                pending.iter().all(|p| p.change.subject() != subject),
                Error::<T>::ChangePending
            );
            ensure!(
                pending
                    .iter()
                    .all(|p| !Self::doubles(&p.change, &change)
                        && !Self::doubles(&change, &p.change)),
                Error::<T>::TierChanging
            );
            pending
                .try_push(Scheduled {
                    change: change.clone(),
                    since,
                    due,
                })
                .map_err(|_| Error::<T>::TooManyChanges)
        })?;
        Self::deposit_event(Event::ChangeScheduled { change, due });
        Ok(())
    }

    /// Withdraws what the forecast scheduled for a tier that governance's `change` concerns: it will look again.
    fn give_way(change: &Change) {
        let tier = match change {
            Change::Tier(tier, _) => *tier,
            Change::Market(_, new) => new.tier,
            Change::Follow(..) | Change::FeeTiers(_) => return,
        };
        let is_in_the_way = |other: &Change| {
            matches!(other, Change::Follow(id, _) if *id == tier)
                && (other.subject() == change.subject() || Self::doubles(change, other))
        };
        if Pending::<T>::get().iter().any(|p| is_in_the_way(&p.change)) {
            Self::withdraw_change(Subject::Tier(tier));
        }
    }

    /// Whether the market of `moved` would go to a tier that `changed` changes: two steps for whoever is in it.
    fn doubles(moved: &Change, changed: &Change) -> bool {
        match (moved, changed) {
            (Change::Market(id, new), Change::Tier(tier, _) | Change::Follow(tier, _)) => {
                new.tier == *tier
                    && Instruments::<T>::get(id).is_some_and(|old| old.params.tier != *tier)
            }
            _ => false,
        }
    }

    /// Withdraws the change scheduled for `subject`, if there is one.
    pub(crate) fn withdraw_change(subject: Subject) -> bool {
        let found = Pending::<T>::mutate(|pending| {
            let before = pending.len();
            pending.retain(|p| p.change.subject() != subject);
            pending.len() < before
        });
        if found {
            Self::deposit_event(Event::ChangeCancelled { subject });
        }
        found
    }

    pub(crate) fn change_status(
        market: MarketId,
        next: impl FnOnce(MarketStatus) -> Result<MarketStatus, Error<T>>,
    ) -> DispatchResult {
        let (old_value, new_value) = Instruments::<T>::try_mutate(market, |listed| {
            let listed = listed.as_mut().ok_or(Error::<T>::UnknownMarket)?;
            let new_value = next(listed.status)?;
            Ok::<_, DispatchError>((core::mem::replace(&mut listed.status, new_value), new_value))
        })?;
        if old_value != new_value {
            Self::deposit_event(Event::StatusChanged {
                market,
                old_value,
                new_value,
            });
        }
        Ok(())
    }

    /// Maintenance margin fraction that a market may have once the changes scheduled now are in force: the greatest of
    /// its tier's in force, its tier's scheduled, and that of the tier to which it moves, which does not change meanwhile.
    /// A threshold drawn with it stays sound when they take effect; the sweep that such changes wait for uses it.
    pub fn maintenance_ahead(market: MarketId) -> Option<Ppm> {
        let own = Instruments::<T>::get(market)?.params.tier;
        let in_force = |id: TierId| Tiers::<T>::get(id).map(|tier| tier.mmf);
        let pending = Pending::<T>::get();
        let scheduled = pending.iter().filter_map(|p| match &p.change {
            Change::Market(id, new) if *id == market => in_force(new.tier),
            change if change.subject() == Subject::Tier(own) => Self::maintenance_after(change),
            _ => None,
        });
        in_force(own).into_iter().chain(scheduled).max()
    }

    /// A tier's maintenance margin fraction once a change of it is in force.
    fn maintenance_after(change: &Change) -> Option<Ppm> {
        let followed = match change {
            Change::Tier(id, new) => Self::rebased(*id, *new).ok()?,
            Change::Follow(id, factor) => Followed {
                factor: *factor,
                ..Self::followed(*id)?
            },
            Change::Market(..) | Change::FeeTiers(_) => return None,
        };
        followed.in_force().ok().map(|tier| tier.mmf)
    }

    fn raises_maintenance(change: &Change) -> bool {
        let mmf = |id: &TierId| Tiers::<T>::get(id).map_or(0, |t| t.mmf);
        match change {
            Change::Tier(id, _) | Change::Follow(id, _) => {
                Self::maintenance_after(change).is_some_and(|after| after > mmf(id))
            }
            Change::Market(id, new) => {
                Instruments::<T>::get(id).is_some_and(|old| mmf(&new.tier) > mmf(&old.params.tier))
            }
            Change::FeeTiers(_) => false,
        }
    }

    fn change_tier(tier: TierId, followed: Followed) -> Result<(), Error<T>> {
        let (old_value, new_value) = Self::put_followed(tier, followed)?;
        Self::deposit_event(Event::TierChanged {
            tier,
            old_value,
            new_value,
        });
        Ok(())
    }

    /// Puts a change in force that may still follow what is in force now.
    fn apply(change: Change) -> Result<(), Error<T>> {
        Self::check(&change)?;
        match change {
            Change::Tier(tier, floor) => Self::change_tier(tier, Self::rebased(tier, floor)?)?,
            Change::Follow(tier, factor) => {
                let floor = Self::followed(tier).ok_or(Error::<T>::UnknownTier)?.floor;
                Self::change_tier(tier, Followed { floor, factor })?;
            }
            Change::Market(market, new_value) => {
                let old_value = Instruments::<T>::try_mutate(market, |listed| {
                    let params = &mut listed.as_mut().ok_or(Error::<T>::UnknownMarket)?.params;
                    Ok::<_, Error<T>>(core::mem::replace(params, new_value))
                })?;
                Self::deposit_event(Event::MarketParamsChanged {
                    market,
                    old_value,
                    new_value,
                });
            }
            Change::FeeTiers(new_value) => {
                let old_value = FeeTierList::<T>::get();
                FeeTierList::<T>::put(&new_value);
                Self::deposit_event(Event::FeeTiersChanged {
                    old_value,
                    new_value,
                });
            }
        }
        Ok(())
    }
}

impl<T: Config> Listing for Pallet<T> {
    fn markets() -> Vec<(MarketId, Instrument)> {
        let mut markets: Vec<_> = Instruments::<T>::iter().collect();
        markets.sort_unstable_by_key(|(id, _)| *id);
        markets
    }

    fn market(id: MarketId) -> Option<Instrument> {
        Instruments::<T>::get(id)
    }

    fn tier(id: TierId) -> Option<RiskTier> {
        Tiers::<T>::get(id)
    }

    fn factor(id: TierId) -> Ppm {
        Self::followed(id).map_or(MILLION, |followed| followed.factor)
    }

    fn fee_tiers() -> Vec<FeeTier> {
        FeeTierList::<T>::get().into_inner()
    }

    fn apply_due(now: BlockNumber) {
        let pending = Pending::<T>::get();
        let is_due = |p: &Scheduled| {
            p.due <= now
                && (!Self::raises_maintenance(&p.change) || T::Sweep::completed_since(p.since))
        };
        let most = usize::try_from(T::MaxAppliedPerBlock::get()).unwrap_or(usize::MAX);
        let due: Vec<Change> = pending
            .iter()
            .filter(|p| is_due(p))
            .take(most)
            .map(|p| p.change.clone())
            .collect();
        if due.is_empty() {
            return;
        }
        Pending::<T>::mutate(|pending| {
            pending.retain(|p| due.iter().all(|d| d.subject() != p.change.subject()));
        });
        for change in due {
            let subject = change.subject();
            if let Err(error) = Self::apply(change) {
                Self::deposit_event(Event::ChangeDropped {
                    subject,
                    error: error.into(),
                });
            }
        }
    }

    fn list_due(block: BlockNumber, now: Millis, price: impl Fn(FeedId) -> Option<Price>) {
        Self::list_next(block, now, price);
    }

    fn restrict(market: MarketId, status: MarketStatus) {
        // A breaker for a market that is not listed has nothing to do.
        let _ = Self::change_status(market, |old| Ok(old.strictest(status)));
    }

    fn remove(market: MarketId) {
        if Instruments::<T>::take(market).is_some() {
            Self::withdraw_change(Subject::Market(market));
            Self::deposit_event(Event::MarketDelisted { market });
        }
    }
}
