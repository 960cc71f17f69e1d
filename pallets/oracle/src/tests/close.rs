//! The aggregate of a block, and what `try_state` finds.

use crate::{
    mock::*, AggregatedPrice, Change, Event, Observations, Observers, Pending, Prices, Scheduled,
    Sources,
};
use novate_types::{FeedPrice, PriceFeeds};
use sp_runtime::DispatchError;

fn btc() -> Option<FeedPrice> {
    Oracle::price(BTC)
}

fn aggregated() -> Vec<AggregatedPrice> {
    let prices = |event| match event {
        RuntimeEvent::Oracle(Event::PricesAggregated { prices }) => Some(prices),
        _ => None,
    };
    let mut found: Vec<_> = System::events()
        .into_iter()
        .filter_map(|record| prices(record.event))
        .collect();
    assert!(found.len() <= 1, "one event a block");
    found.pop().unwrap_or_default()
}

#[test]
fn close_takes_the_weighted_median_when_there_is_a_quorum() {
    with_validators(4, |keys| {
        observe_all(keys, BTC, &["20000", "20010", "20020", "90000"]);
        close();
        let expected = FeedPrice {
            price: price("20015"),
            // Quartiles 20,005 and 55,010.
            confidence: price("17502.5"),
            observed_at: NOW,
            block: BLOCK,
        };
        assert_eq!(btc(), Some(expected));
        assert_eq!(
            aggregated(),
            vec![AggregatedPrice {
                feed: BTC,
                price: price("20015"),
                confidence: price("17502.5"),
                observers: 4
            }]
        );
    });
}

#[test]
fn close_keeps_the_last_price_when_the_quorum_is_missed() {
    with_validators(4, |keys| {
        observe_all(keys, BTC, &["20000", "20000", "20000"]);
        close();
        let last = btc();
        assert!(last.is_some());
        next_block(6_001);
        // Two of four speak: half, not more than two thirds. The first four observations are older than two heartbeats.
        observe_all(&keys[..2], BTC, &["21000", "21000"]);
        close();
        assert_eq!(btc(), last);
        assert!(aggregated().is_empty());
    });
}

#[test]
fn close_has_no_price_when_exactly_two_thirds_speak() {
    with_validators(3, |keys| {
        observe_all(&keys[..2], BTC, &["20000", "20000"]);
        close();
        assert_eq!(btc(), None);
        next_block(1_000);
        apply(transaction(observe(&keys[2], 2, &[(BTC, "20001")], |_| {}))).unwrap();
        close();
        assert_eq!(btc().unwrap().price, price("20000"));
    });
}

#[test]
fn close_counts_an_observation_up_to_two_heartbeats() {
    with_validators(1, |keys| {
        let late = observe(&keys[0], 0, &[(BTC, "20000")], |o| {
            o.observed_at = NOW - 6_000
        });
        apply(transaction(late)).unwrap();
        close();
        assert_eq!(btc().unwrap().observed_at, NOW - 6_000);
    });
    with_validators(1, |keys| {
        let late = observe(&keys[0], 0, &[(BTC, "20000")], |o| {
            o.observed_at = NOW - 6_001
        });
        apply(transaction(late)).unwrap();
        close();
        assert_eq!(btc(), None);
    });
}

#[test]
fn close_dates_a_price_with_the_median_time_and_never_ahead_of_the_block() {
    with_validators(3, |keys| {
        for (index, time) in [NOW - 5_000, NOW - 2_000, NOW + 10_000]
            .into_iter()
            .enumerate()
        {
            let signed = observe(&keys[index], index as u32, &[(BTC, "20000")], |o| {
                o.observed_at = time
            });
            apply(transaction(signed)).unwrap();
        }
        close();
        assert_eq!(btc().unwrap().observed_at, NOW - 2_000);
    });
    with_validators(1, |keys| {
        let ahead = observe(&keys[0], 0, &[(BTC, "20000")], |o| {
            o.observed_at = NOW + 9_000
        });
        apply(transaction(ahead)).unwrap();
        close();
        assert_eq!(btc().unwrap().observed_at, NOW);
    });
}

#[test]
fn close_never_goes_back_in_time() {
    with_validators(2, |keys| {
        observe_all(keys, BTC, &["20000", "20000"]);
        close();
        let last = btc();
        next_block(1_000);
        for (index, key) in keys.iter().enumerate() {
            let older = observe(key, index as u32, &[(BTC, "19000")], |o| {
                o.observed_at = NOW - 1_000
            });
            apply(transaction(older)).unwrap();
        }
        close();
        assert_eq!(btc(), last);
    });
}

#[test]
fn close_changes_nothing_when_nobody_spoke_again() {
    with_validators(3, |keys| {
        observe_all(keys, BTC, &["20000", "20000", "20000"]);
        close();
        let last = btc();
        next_block(1_000);
        close();
        assert_eq!(btc(), last, "the same observations give no newer price");
        assert!(aggregated().is_empty());
    });
}

#[test]
fn close_refreshes_without_an_event_when_the_price_stood_still() {
    with_validators(1, |keys| {
        observe_all(keys, BTC, &["20000"]);
        close();
        next_block(1_000);
        observe_all(keys, BTC, &["20000"]);
        close();
        assert_eq!(btc().unwrap().observed_at, NOW + 1_000);
        assert_eq!(btc().unwrap().block, BLOCK + 1);
        assert!(aggregated().is_empty());
    });
}

#[test]
fn close_prices_each_feed_by_its_own_quorum() {
    with_validators(3, |keys| {
        for (index, key) in keys.iter().enumerate() {
            let prices: &[(u16, &str)] = match index {
                0 => &[(BTC, "20000")],
                _ => &[(BTC, "20000"), (USDC, "0.88")],
            };
            apply(transaction(observe(key, index as u32, prices, |_| {}))).unwrap();
        }
        close();
        assert!(btc().is_some());
        assert_eq!(Oracle::price(USDC), None);
    });
}

#[test]
fn close_ignores_a_feed_that_was_removed() {
    with_validators(1, |keys| {
        observe_all(keys, BTC, &["20000"]);
        close();
        for (name, _) in genesis_sources() {
            put(Change::Source(name, None));
        }
        put(Change::Feed(BTC, None));
        close();
        assert_eq!(btc(), None);
    });
}

/// Each damage alone is found, and named.
#[test]
fn try_state_finds_drift() {
    let damages: [(&str, fn()); 12] = [
        ("an observation of nobody in the set", || {
            Observers::<Test>::mutate(|set| set.keys.truncate(2));
        }),
        ("an observation under another's index", || {
            Observations::<Test>::swap(0, 1);
        }),
        ("an observation of a round to come", || {
            Observations::<Test>::mutate(0, |o| o.as_mut().unwrap().round = BLOCK + 1);
        }),
        ("an observation's feeds do not ascend", || {
            Observations::<Test>::mutate(0, |o| {
                let prices = &mut o.as_mut().unwrap().prices;
                let first = prices[0];
                prices.try_push(first).unwrap();
            });
        }),
        ("an observation of a price of zero", || {
            Observations::<Test>::mutate(0, |o| o.as_mut().unwrap().prices[0].price = price("0"));
        }),
        ("a source of an unknown feed", || {
            crate::Feeds::<Test>::mutate(|feeds| feeds.remove(&USDT));
        }),
        ("the sources' count differs from their number", || {
            let key = Sources::<Test>::hashed_key_for(name("okx"));
            frame_support::storage::unhashed::kill(&key);
        }),
        ("two changes of one subject", || {
            let twice = || Scheduled {
                change: Change::Feed(BTC, None),
                since: BLOCK,
                due: BLOCK + TIMELOCK,
            };
            Pending::<Test>::put(frame_support::BoundedVec::truncate_from(vec![
                twice(),
                twice(),
            ]));
        }),
        ("a change is due when it is scheduled", || {
            let at_once = Scheduled {
                change: Change::Feed(BTC, None),
                since: BLOCK,
                due: BLOCK,
            };
            Pending::<Test>::put(frame_support::BoundedVec::truncate_from(vec![at_once]));
        }),
        ("a price observed after the block's time", || {
            set_price(USDC, "1", NOW + 1);
        }),
        ("a price of zero", || {
            set_price(USDC, "0", NOW);
        }),
        (
            "a price of this block differs from the observations' aggregate",
            || {
                Prices::<Test>::mutate(|prices| {
                    prices.get_mut(&BTC).unwrap().price = price("20000.000000000000000001")
                });
            },
        ),
    ];
    for (finding, damage) in damages {
        new_test_ext().execute_with(|| {
            let keys: Vec<_> = (0..3)
                .map(|i| generate(&format!("//Validator{i}")))
                .collect();
            set_validators(&keys);
            observe_all(&keys, BTC, &["20000", "20000", "20000"]);
            close();
            damage();
            assert_eq!(
                Oracle::do_try_state(),
                Err(DispatchError::Other(finding)),
                "{finding}"
            );
        });
    }
}
