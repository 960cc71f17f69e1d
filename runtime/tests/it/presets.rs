//! Genesis states by name.

use crate::common::genesis_of;
use frame_support::assert_ok;
use novate_runtime::{
    configs::exchange::BTC_FEED,
    genesis_presets::{preset_names, DEMO_PRESET, DEVELOPMENT_PRESET},
    Runtime,
};
use novate_types::Listing;

/// Feeds are not asked for when instruments' genesis is built.
#[test]
fn what_a_preset_lists_has_a_feed() {
    for name in preset_names() {
        genesis_of(&name).execute_with(|| {
            let feeds = pallet_price_oracle::Feeds::<Runtime>::get();
            let markets = novate_runtime::Instruments::markets();
            assert!(!markets.is_empty(), "{name}");
            let rules = pallet_instruments::SeriesRules::<Runtime>::get();
            let listed = markets.iter().map(|(_, market)| market.underlying);
            for underlying in listed.chain(rules.keys().copied()) {
                assert!(feeds.contains_key(&underlying), "{name}: {underlying}");
            }
            assert_ok!(novate_runtime::Instruments::do_try_state());
            assert_ok!(novate_runtime::Oracle::do_try_state());
        });
    }
}

#[test]
fn demo_preset_alone_lists_by_rule_and_has_two_venues_for_its_surface() {
    let seen = |preset: &str| {
        genesis_of(preset).execute_with(|| {
            let chains = pallet_price_oracle::Sources::<Runtime>::iter_values()
                .filter(|source| source.options.is_some())
                .count();
            let feeds = pallet_price_oracle::Feeds::<Runtime>::get();
            let least = feeds.get(&BTC_FEED).map(|feed| feed.min_chains);
            let rules = pallet_instruments::SeriesRules::<Runtime>::get();
            (rules.contains_key(&BTC_FEED), chains, least)
        })
    };
    assert_eq!(seen(DEMO_PRESET), (true, 2, Some(2)));
    assert_eq!(seen(DEVELOPMENT_PRESET), (false, 0, Some(0)));
}
