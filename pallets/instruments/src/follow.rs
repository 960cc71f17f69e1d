//! Margin that follows volatility (protocol, section 12).
//!
//! What governance set of a tier is its floor. While its underlyings are forecast to move by more than that covers, both of the tier's margin
//! fractions are multiplied by one factor above one, so that the tier in force is what [`Tiers`] holds and nobody who reads it has to ask for
//! more. The factor moves as governance's changes do: scheduled, one change a tier at a time, no farther than [`Config::MaxStep`], after
//! [`Config::Timelock`], and up only once thresholds were drawn with it. Governance comes first: what it schedules takes the place of what the forecast did.

use crate::{AboveFloor, Change, Config, Error, Followed, Instruments, Pallet, Pending, Tiers};
use alloc::{collections::BTreeMap, vec::Vec};
use frame_support::{ensure, traits::Get};
use novate_types::{
    math::{mul_div_ceil, ppm_ceil, ppm_floor},
    FeedId, FollowVolatility, MathError, Ppm, RiskTier, TierId, MILLION,
};

/// A factor that would move by less than this part of itself stays, unless it goes back to one: changes are not made of noise.
const LEAST_MOVE: Ppm = 50_000;

fn fraction(ppm: u128) -> Result<Ppm, MathError> {
    Ppm::try_from(ppm).map_err(|_| MathError::Overflow)
}

impl Followed {
    /// The tier in force: margin fractions times the factor, rounded up.
    pub fn in_force(&self) -> Result<RiskTier, MathError> {
        let times = |of: Ppm| fraction(ppm_ceil(of.into(), self.factor)?);
        Ok(RiskTier {
            imf: times(self.floor.imf)?,
            mmf: times(self.floor.mmf)?,
            ..self.floor
        })
    }
}

impl<T: Config> Pallet<T> {
    /// What governance set of a tier, and what its margin fractions are multiplied by.
    pub fn followed(tier: TierId) -> Option<Followed> {
        let at_floor = || {
            Some(Followed {
                floor: Tiers::<T>::get(tier)?,
                factor: MILLION,
            })
        };
        AboveFloor::<T>::get(tier).or_else(at_floor)
    }

    /// The largest factor of a tier: no margin fraction becomes more than one.
    fn most(floor: &RiskTier) -> Result<Ppm, MathError> {
        let whole = u64::from(MILLION);
        let most = whole.saturating_mul(whole).checked_div(floor.imf.into());
        let most = Ppm::try_from(most.ok_or(MathError::DivisionByZero)?).unwrap_or(Ppm::MAX);
        Ok(most.min(T::MostFollowed::get()).max(MILLION))
    }

    /// A tier's factor after governance changed its floor: as it was, unless that would be too much.
    pub(crate) fn rebased(tier: TierId, floor: RiskTier) -> Result<Followed, Error<T>> {
        let factor = AboveFloor::<T>::get(tier).map_or(MILLION, |known| known.factor);
        Ok(Followed {
            floor,
            factor: factor.min(Self::most(&floor)?),
        })
    }

    /// Puts a floor and a factor in force, and returns the tiers before and after.
    pub(crate) fn put_followed(
        tier: TierId,
        followed: Followed,
    ) -> Result<(RiskTier, RiskTier), Error<T>> {
        let old_value = Tiers::<T>::get(tier).ok_or(Error::<T>::UnknownTier)?;
        let new_value = followed.in_force()?;
        Tiers::<T>::insert(tier, new_value);
        if followed.factor == MILLION {
            AboveFloor::<T>::remove(tier);
        } else {
            AboveFloor::<T>::insert(tier, followed);
        }
        Ok((old_value, new_value))
    }

    /// Whether a tier's factor may become this.
    pub(crate) fn check_factor(tier: TierId, factor: Ppm) -> Result<(), Error<T>> {
        let old = Self::followed(tier).ok_or(Error::<T>::UnknownTier)?;
        ensure!(factor != old.factor, Error::<T>::Unchanged);
        ensure!(
            (MILLION..=Self::most(&old.floor)?).contains(&factor),
            Error::<T>::InvalidMarginFractions
        );
        Self::check_factor_step(&old, factor)
    }

    /// Whether the tier in force moves no farther than one change may.
    fn check_factor_step(followed: &Followed, factor: Ppm) -> Result<(), Error<T>> {
        let next = Followed {
            factor,
            ..*followed
        };
        Self::check_tier_step(&followed.in_force()?, &next.in_force()?)
    }

    /// Between what one change can bring a factor: governance's step, of the factor.
    fn reach(factor: Ppm) -> Result<(Ppm, Ppm), MathError> {
        let step = fraction(ppm_floor(factor.into(), T::MaxStep::get().relative)?)?;
        Ok((factor.saturating_sub(step), factor.saturating_add(step)))
    }

    /// The factor that brings a tier nearest to a maintenance margin fraction in one change; none if that is not worth one.
    fn next_factor(followed: &Followed, asked: Ppm) -> Result<Option<Ppm>, MathError> {
        let wanted = mul_div_ceil(asked.into(), MILLION.into(), followed.floor.mmf.into())?;
        let wanted = Ppm::try_from(wanted).unwrap_or(Ppm::MAX);
        let wanted = wanted.clamp(MILLION, Self::most(&followed.floor)?);
        let old = followed.factor;
        let (least, most) = Self::reach(old)?;
        let mut next = wanted.max(least).min(most);
        if Self::check_factor_step(followed, next).is_err() {
            // Margin fractions are rounded: less by what a millionth of the smaller one is worth.
            let spare = MILLION
                .div_ceil(followed.floor.mmf.max(1))
                .saturating_add(1);
            next = wanted
                .max(least.saturating_add(spare))
                .min(most.saturating_sub(spare));
        }
        let least_move = fraction(ppm_ceil(old.into(), LEAST_MOVE)?)?;
        let is_worth_it = next.abs_diff(old) >= least_move || (next == MILLION && old != MILLION);
        Ok(is_worth_it.then_some(next))
    }

    /// Whether nothing is scheduled that moves whoever is in the tier.
    fn is_at_rest(tier: TierId) -> bool {
        Pending::<T>::get().iter().all(|p| match &p.change {
            Change::Tier(id, _) | Change::Follow(id, _) => *id != tier,
            Change::Market(_, new) => new.tier != tier,
            Change::FeeTiers(_) => true,
        })
    }

    /// Schedules the next step of a tier towards a maintenance margin fraction.
    fn follow_one(tier: TierId, asked: Ppm) -> Result<(), sp_runtime::DispatchError> {
        let followed = Self::followed(tier).ok_or(Error::<T>::UnknownTier)?;
        let next = Self::next_factor(&followed, asked).map_err(Error::<T>::from)?;
        match next {
            Some(factor) if Self::is_at_rest(tier) => Self::schedule(Change::Follow(tier, factor)),
            _ => Ok(()),
        }
    }
}

impl<T: Config> FollowVolatility for Pallet<T> {
    fn follow(asked: &[(FeedId, Ppm)]) {
        // Of a tier's markets the one whose underlying moves most.
        let mut tiers = BTreeMap::<TierId, Ppm>::new();
        let listed: Vec<_> = Instruments::<T>::iter_values()
            .map(|market| (market.underlying, market.params.tier))
            .collect();
        for (underlying, tier) in listed {
            let Some((_, fraction)) = asked.iter().find(|(feed, _)| *feed == underlying) else {
                continue;
            };
            let most = tiers.entry(tier).or_default();
            *most = (*most).max(*fraction);
        }
        for (tier, fraction) in tiers {
            if let Err(error) = Self::follow_one(tier, fraction) {
                log::warn!(target: crate::LOG, "tier {tier} does not follow its volatility: {error:?}");
            }
        }
    }
}
