//! Parameters that are coming. A change that raises what accounts need waits until every threshold has been drawn with it in
//! sight: with the stricter of the parameters in force and those scheduled. Then it comes into force without anybody's
//! threshold becoming wrong, and needs no scan.
//!
//! An account that the coming parameters put below maintenance margin, and the present ones do not, has no such threshold.
//! Its thresholds are drawn with the present ones, and it waits on an axis of its own, [`RiskAxis::Parameters`], one step
//! ahead. The axis moves a step whenever a parameter in force became stricter; then, and not before, whoever waits
//! there is looked at, within the budget of all thresholds and carried over like them.
//!
//! Parameters of the portfolio model come into force at once: no threshold is drawn ahead of another grid, as each option would have to be priced under both.
//! Whoever a scan margins waits on that axis too, so that a new grid is to it what a gap in a price is: it is looked at when it is its turn.

use crate::{scale, Coming, Config, Pallet, Tightenings};
use codec::{Decode, Encode, MaxEncodedLen};
use frame_support::{pallet_prelude::TypeInfo, BoundedVec};
use novate_types::{
    AssetId, CollateralParams, MarginAccount, MarketId, MarketView, ParametersAhead, Ppm,
    RiskError, RiskView, MAX_MARKETS, MILLION,
};
use sp_core::ConstU32;

#[cfg(doc)]
use novate_types::RiskAxis;

/// Parameters that may come to be stricter than those in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Stricter {
    /// Maintenance margin fractions.
    pub maintenance: BoundedVec<(MarketId, Ppm), ConstU32<MAX_MARKETS>>,
    /// Collateral parameters.
    pub collaterals: BoundedVec<(AssetId, CollateralParams), ConstU32<16>>,
}

impl Stricter {
    fn maintenance(&self, market: MarketId) -> Option<Ppm> {
        let found = self.maintenance.iter().find(|(id, _)| *id == market);
        found.map(|(_, fraction)| *fraction)
    }

    fn collateral(&self, asset: AssetId) -> Option<CollateralParams> {
        let found = self.collaterals.iter().find(|(id, _)| *id == asset);
        found.map(|(_, params)| *params)
    }

    fn concerns(&self, account: &MarginAccount) -> bool {
        let positions = &account.positions;
        positions
            .iter()
            .any(|p| self.maintenance(p.market).is_some())
            || account
                .collateral
                .iter()
                .any(|(asset, _)| self.collateral(*asset).is_some())
    }
}

/// Of each parameter the one by which a holding counts for less.
fn lesser(now: CollateralParams, next: CollateralParams) -> CollateralParams {
    CollateralParams {
        haircut: now.haircut.max(next.haircut),
        large_haircut: now.large_haircut.max(next.large_haircut),
        large_value: now.large_value.min(next.large_value),
        value_cap: now.value_cap.min(next.value_cap),
        ..now
    }
}

/// Whether any parameter that `before` holds is stricter in `now`.
fn became_stricter(before: &RiskView, now: &RiskView) -> bool {
    let of_market = now
        .markets
        .iter()
        .any(|new| before.market(new.id).is_ok_and(|old| new.mmf > old.mmf));
    let of_collateral = now.collaterals.iter().any(|new| {
        before
            .collateral(new.asset)
            .is_ok_and(|old| lesser(old.params, new.params) != old.params)
    });
    of_market || of_collateral
}

/// What [`ParametersAhead`] says beyond what `now` has in force.
fn coming<T: Config>(now: &RiskView) -> Stricter {
    let maintenance = now.markets.iter().filter_map(|market| {
        let fraction = T::Ahead::maintenance(market.id)?;
        (fraction > market.mmf).then_some((market.id, fraction))
    });
    let collaterals = now.collaterals.iter().filter_map(|view| {
        let params = lesser(view.params, T::Ahead::collateral(view.asset)?);
        (params != view.params).then_some((view.asset, params))
    });
    // No more of either than the view holds.
    Stricter {
        maintenance: BoundedVec::truncate_from(maintenance.collect()),
        collaterals: BoundedVec::truncate_from(collaterals.collect()),
    }
}

/// What is added to a market's scan risk once its maintenance margin fraction is `mmf`, at most: where following volatility raises that, it raises scan
/// risk as much, and fractions are rounded.
fn scan_added_ahead(market: &MarketView, mmf: Ppm) -> Ppm {
    let factor = u64::from(MILLION).saturating_add(market.contract.scan_added.into());
    let most = u64::from(mmf).saturating_add(1);
    let least = u64::from(market.mmf.saturating_sub(1).max(1));
    let ahead = factor.saturating_mul(most).div_ceil(least);
    let added = ahead.saturating_sub(MILLION.into());
    // A scan's whole risk three times over is more than anything follows.
    Ppm::try_from(added)
        .unwrap_or(Ppm::MAX)
        .min(3 * MILLION)
        .max(market.contract.scan_added)
}

impl<T: Config> Pallet<T> {
    /// The axis of parameters moves a step: whoever waits there is looked at.
    pub(crate) fn tighten() {
        // At the end of the scale whoever waits is looked at in every close: dear, but nobody is missed.
        Tightenings::<T>::mutate(|n| *n = n.saturating_add(1).min(scale::LAST));
    }

    /// Notes once a close, before thresholds are drawn with them, which parameters came into force and which are coming.
    pub(crate) fn note_parameters(before: &RiskView, now: &RiskView) {
        if became_stricter(before, now) {
            Self::tighten();
        }
        let next = coming::<T>(now);
        if next == Coming::<T>::get() {
            return;
        }
        if next == Stricter::default() {
            Coming::<T>::kill();
        } else {
            Coming::<T>::put(next);
        }
    }

    /// `view` with the parameters that are coming, as far as the account's margin depends on it; none if that is the same.
    pub(crate) fn view_ahead(
        account: &MarginAccount,
        view: &RiskView,
    ) -> Result<Option<RiskView>, RiskError> {
        let coming = Coming::<T>::get();
        if !coming.concerns(account) {
            return Ok(None);
        }
        let mut ahead = RiskView {
            block: view.block,
            now: view.now,
            loans: view.loans,
            ..Default::default()
        };
        let is_held = |id| account.position(id).is_some() || account.order_aggregate(id).is_some();
        for market in view.markets.iter().filter(|m| is_held(m.id)) {
            let mut market = market.clone();
            if let Some(mmf) = coming.maintenance(market.id) {
                market.contract.scan_added = scan_added_ahead(&market, mmf);
                market.mmf = market.mmf.max(mmf);
            }
            ahead
                .markets
                .try_push(market)
                .map_err(|_| RiskError::Full)?;
        }
        for collateral in &view.collaterals {
            let mut collateral = collateral.clone();
            if let Some(params) = coming.collateral(collateral.asset) {
                collateral.params = lesser(collateral.params, params);
            }
            ahead
                .collaterals
                .try_push(collateral)
                .map_err(|_| RiskError::Full)?;
        }
        Ok(Some(ahead))
    }
}
