//! What must hold after every block. The ledger's equalities are the margin pallet's.

use crate::{
    expiry::LEAST_COVERED, funding::PAST_MINUTES, Config, NextRequest, OldestRequest, Pallet,
    Pending, PortfolioRules, PremiumHistory, Requests, Scenarios, Settlements, States, View,
};
use alloc::collections::{BTreeMap, BTreeSet};
use frame_support::{ensure, traits::Get};
use novate_risk::portfolio::rows;
use novate_types::{math, Ledger, Listing};
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
    /// Checks the view against the listing and its own order, that every position and order has a market in it, what options are priced at
    /// under scenarios against the view, the funding hour's sums, the auctions that the view shows, the means of what expires, and the queue's
    /// counts.
    ///
    /// # Errors
    ///
    /// The first thing that does not hold.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        Self::try_view()?;
        Self::try_holdings()?;
        Self::try_scenarios()?;
        Self::try_states()?;
        Self::try_settlements()?;
        Self::try_queue()
    }

    fn try_scenarios() -> Result<(), TryRuntimeError> {
        let view = View::<T>::get();
        let expected = rows(&view, &PortfolioRules::<T>::get());
        ensure!(
            Scenarios::<T>::iter_keys().count() == expected.len(),
            "options are priced that the view does not mark"
        );
        for (of, rows) in expected {
            ensure!(
                Scenarios::<T>::get(of) == Some(rows),
                "options are not priced as the view marks them"
            );
        }
        Ok(())
    }

    fn try_view() -> Result<(), TryRuntimeError> {
        let view = View::<T>::get();
        ensure!(
            view.markets
                .iter()
                .zip(view.markets.iter().skip(1))
                .all(|(a, b)| a.id < b.id),
            "the view's markets are not sorted by id"
        );
        ensure!(
            view.collaterals
                .iter()
                .zip(view.collaterals.iter().skip(1))
                .all(|(a, b)| a.asset < b.asset),
            "the view's collaterals are not sorted by asset"
        );
        for market in &view.markets {
            let listed = T::Listing::market(market.id).ok_or("the view has an unlisted market")?;
            ensure!(
                (
                    listed.tick_size,
                    listed.lot_size,
                    listed.tick_value,
                    listed.underlying
                ) == (
                    market.tick_size,
                    market.lot_size,
                    market.tick_value,
                    market.underlying
                ),
                "the view's contract terms are not the listing's"
            );
            ensure!(
                market
                    .contract
                    .legs
                    .iter()
                    .all(|leg| leg.market < market.id && T::Listing::market(leg.market).is_some()),
                "a combination has a leg that is not listed, or was not before it"
            );
            ensure!(
                market.mark == Default::default() || market.index != Default::default(),
                "a market has a mark without an index"
            );
            ensure!(
                !market.fresh
                    || market.contract.kind.is_option()
                    || market.mark != Default::default(),
                "a market without a mark calls its price fresh"
            );
        }
        for collateral in &view.collaterals {
            ensure!(
                collateral.fresh || collateral.price == Default::default(),
                "a collateral counts at a stale price"
            );
        }
        Ok(())
    }

    fn try_holdings() -> Result<(), TryRuntimeError> {
        const AT_ONCE: u32 = 256;
        let view = View::<T>::get();
        let is_combination = |id| {
            let market = view.market(id);
            market.is_ok_and(|market| market.contract.kind.is_combination())
        };
        let mut last = None;
        loop {
            let found = T::Ledger::accounts_after(last.as_ref(), AT_ONCE);
            for account in found.iter().filter_map(T::Ledger::account) {
                let positions = account.positions.iter().map(|p| p.market);
                let orders = account.orders.iter().map(|o| o.market);
                ensure!(
                    account.positions.iter().all(|p| !is_combination(p.market)),
                    "somebody holds a position in a combination"
                );
                ensure!(
                    positions.chain(orders).all(|id| view.market(id).is_ok()),
                    "a position or an order is of a market that the view does not have"
                );
            }
            last = found.last().cloned();
            if last.is_none() {
                return Ok(());
            }
        }
    }

    fn try_settlements() -> Result<(), TryRuntimeError> {
        let now = View::<T>::get().now;
        let awaited: BTreeSet<_> = T::Listing::markets()
            .into_iter()
            .filter_map(|(_, i)| Some((i.underlying, i.kind.expiry()?)))
            .collect();
        let means = Settlements::<T>::get();
        ensure!(
            means.is_sorted_by(|a, b| (a.underlying, a.expiry) < (b.underlying, b.expiry)),
            "the means are not sorted by underlying and expiry"
        );
        for mean in &means {
            ensure!(
                awaited.contains(&(mean.underlying, mean.expiry)),
                "a mean that no market waits for"
            );
            ensure!(
                (mean.covered == 0) == (mean.weighted == 0),
                "a mean of no time, or of no price"
            );
            ensure!(
                mean.price.is_none() || (mean.expiry <= now && mean.covered >= LEAST_COVERED),
                "a settlement price before its time, or of too little of it"
            );
        }
        Ok(())
    }

    fn try_states() -> Result<(), TryRuntimeError> {
        let states = States::<T>::get();
        let listed: BTreeSet<_> = T::Listing::markets()
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        let view = View::<T>::get();
        let mut seen = BTreeSet::new();
        for state in &states {
            ensure!(seen.insert(state.id), "a market has two states");
            let shown = view.market(state.id).map_or(0, |m| m.auction_at);
            ensure!(
                shown == state.phase.auction_at(),
                "the view does not show a market's auction"
            );
            let mut sum = 0;
            for bucket in PremiumHistory::<T>::get(state.id) {
                ensure!(
                    bucket.minute < state.premiums.minute
                        && bucket.minute.saturating_add(PAST_MINUTES) >= state.premiums.minute,
                    "a minute of premium lies outside the hour"
                );
                sum = math::add(sum, bucket.sum).map_err(|_| "the premium's hour overflows")?;
            }
            ensure!(
                sum == state.premiums.past,
                "the premium's hour is not the sum of its minutes"
            );
        }
        ensure!(seen.is_subset(&listed), "an unlisted market has a state");
        Ok(())
    }

    fn try_queue() -> Result<(), TryRuntimeError> {
        let (oldest, next) = (OldestRequest::<T>::get(), NextRequest::<T>::get());
        let mut pending = BTreeMap::<_, u32>::new();
        let mut count = 0u64;
        for (id, request) in Requests::<T>::iter() {
            ensure!(
                (oldest..next).contains(&id),
                "a request lies outside the queue"
            );
            let owners = pending.entry(request.owner).or_default();
            *owners = owners.saturating_add(1);
            count = count.saturating_add(1);
        }
        ensure!(
            next.checked_sub(oldest) == Some(count),
            "the queue has holes"
        );
        ensure!(
            count <= u64::from(T::MaxQueue::get()),
            "the queue is longer than its bound"
        );
        let stored: BTreeMap<_, _> = Pending::<T>::iter().collect();
        ensure!(
            stored == pending,
            "the owners' counts are not those of the queue"
        );
        ensure!(
            stored.values().all(|n| *n <= T::MaxPendingPerOwner::get()),
            "an owner has more requests than the quota"
        );
        Ok(())
    }
}
