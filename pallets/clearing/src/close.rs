//! The close of a block (protocol, section 4): everything that happens once a block, in its order.

use crate::{
    novation::{Budget, Unmoved},
    CloseReserve, Config, LastTrade, MarketState, Pallet, States, View, WeightInfo,
};
use alloc::{collections::BTreeMap, vec::Vec};
use frame_support::{defensive, traits::UnixTime, weights::Weight, BoundedVec};
use novate_types::{
    BlockNumber, Liquidations, Listing, MarketId, Millis, OrderBook, PriceFeeds, RiskView,
};
use sp_runtime::traits::UniqueSaturatedInto;

impl<T: Config> Pallet<T> {
    pub(crate) fn now() -> (BlockNumber, Millis) {
        let block = frame_system::Pallet::<T>::block_number().unique_saturated_into();
        (
            block,
            Millis::try_from(T::Time::now().as_millis()).unwrap_or(Millis::MAX),
        )
    }

    /// Oracle round, marks, funding, interest, thresholds, triggers, markets, waterfall, requests, in this order.
    pub(crate) fn close() {
        let (block, now) = Self::now();
        // As it was reserved for: thresholds may press from now on.
        let presses = T::Liquidations::presses();
        let for_expiring = Self::for_expiring();
        let mut budget = Budget::full::<T>(presses);
        T::Listing::apply_due(block);
        T::Feeds::close_round(now);
        T::Listing::list_due(block, now, |feed| {
            let fresh = T::Feeds::price(feed).filter(|price| Self::is_fresh(now, price));
            fresh.map(|price| price.price)
        });

        let before = View::<T>::get();
        let mut states = States::<T>::get().into_inner();
        let reserved_for = u32::try_from(states.len()).unwrap_or(u32::MAX);
        let (mut view, matching) = Self::advance(&before, &mut states, block, now);
        View::<T>::put(&view);
        Self::take_up_rules(block);
        Self::price_scenarios(&before, &view);
        Self::reserve_interest(&view);

        let liquidations = T::Liquidations::on_marks(&before, &view);
        let liquidated = u64::try_from(liquidations.len()).unwrap_or(u64::MAX);
        let mut orders = BTreeMap::<MarketId, Vec<_>>::new();
        for order in liquidations {
            orders.entry(order.market).or_default().push(order);
        }
        budget.spend_on_triggers(T::Book::fire(&view, budget.for_triggers()));
        let unmoved = Self::match_markets(&view, &matching, orders, &mut states, &mut budget);
        if Self::show_auctions(&mut view, &states) {
            View::<T>::put(&view);
        }
        States::<T>::put(BoundedVec::truncate_from(states));

        let matches = budget
            .spent::<T>(presses)
            .saturating_add(Self::party(1, 0).saturating_mul(liquidated));
        let left = Self::matches_reserve(presses)
            .saturating_sub(matches)
            .saturating_add(T::Others::unmatched(
                reserved_for.saturating_sub(budget.matched),
            ));
        if T::Liquidations::waterfall(&mut view, left.ref_time()) {
            View::<T>::put(&view);
        }
        let executed = Self::execute_requests(&view);
        Self::housekeep(&view);
        Self::remove_settled(&mut view);

        let markets = u32::try_from(view.markets.len()).unwrap_or(u32::MAX);
        let interest = match view.loans.index {
            0 => Weight::zero(),
            _ => T::WeightInfo::interest(),
        };
        let spent = T::WeightInfo::close(markets)
            .saturating_add(for_expiring)
            .saturating_add(matches)
            .saturating_add(interest)
            .saturating_add(Self::a_request().saturating_mul(executed))
            .saturating_add(T::Others::spent(budget.matched))
            .saturating_sub(unmoved.by_close);
        Self::reclaim(spent, unmoved.by_orders);
    }

    /// Matches markets one after another: first those that liquidation orders go into, as these are good for this close only,
    /// then the others; each by id, beginning with another one in every block. Returns what was paid for accounts that traded and
    /// they did not need.
    fn match_markets(
        view: &RiskView,
        matching: &[MarketId],
        mut orders: BTreeMap<MarketId, Vec<novate_types::LiquidationOrder<T::AccountId>>>,
        states: &mut [MarketState],
        budget: &mut Budget,
    ) -> Unmoved {
        let mut traded = BTreeMap::new();
        let count = matching.len();
        let first = usize::try_from(view.block)
            .ok()
            .and_then(|block| block.checked_rem(count));
        let rotated = matching.iter().cycle().skip(first.unwrap_or(0)).take(count);
        let (urgent, others): (Vec<&MarketId>, Vec<_>) =
            rotated.partition(|id| orders.contains_key(id));
        for id in urgent.into_iter().chain(others) {
            // If no order is left that may execute it waits for the next close as it stands.
            if !budget.is_left::<T>() {
                break;
            }
            let Ok(market) = view.market(*id) else {
                continue;
            };
            let Some(state) = states.iter_mut().find(|state| state.id == *id) else {
                continue;
            };
            let orders = orders.remove(id).unwrap_or_default();
            let terms = state.auction;
            let matched = Self::match_market(view, market, terms, orders, budget, &mut traded);
            if let Some(matched) = matched {
                let last = matched.last.map(|ticks| LastTrade {
                    ticks,
                    at: view.now,
                });
                state.last = last.or(state.last);
                Self::note_match(view, market, &matched, state);
            }
        }
        Self::index_traded(view, traded)
    }

    /// The book's own work, and the margin it sets free.
    fn housekeep(view: &RiskView) {
        for release in T::Book::housekeep(view) {
            if let Err(error) = Self::take_release(release) {
                defensive!("an order left whose margin was not held", error);
            }
        }
    }
}
