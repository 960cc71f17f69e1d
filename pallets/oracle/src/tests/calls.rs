//! The configuration calls.

use crate::{mock::*, types::*, venues, Error, Event, Feeds, Prices, Sources};
use frame_support::{assert_noop, assert_ok, BoundedVec};
use sp_runtime::DispatchError;

fn set_source(source: Source) -> Result<(), DispatchError> {
    Oracle::set_source(RuntimeOrigin::root(), name("new"), Box::new(source))
}

fn sound() -> Source {
    venues::coinbase(vec![venues::usd(BTC, "BTC-USD")])
}

#[test]
fn set_source_adds_and_replaces_with_both_values_in_the_event() {
    with_validators(1, |_| {
        assert_ok!(set_source(sound()));
        System::assert_last_event(RuntimeEvent::Oracle(Event::SourceChanged {
            name: name("new"),
            old_value: None,
            new_value: Some(Box::new(sound())),
        }));
        let other = Source {
            min_interval: 2_000,
            ..sound()
        };
        assert_ok!(set_source(other.clone()));
        System::assert_last_event(RuntimeEvent::Oracle(Event::SourceChanged {
            name: name("new"),
            old_value: Some(Box::new(sound())),
            new_value: Some(Box::new(other.clone())),
        }));
        assert_eq!(Sources::<Test>::get(name("new")), Some(other));
    });
}

#[test]
fn set_source_names_the_fault_when_the_source_cannot_be_asked() {
    with_validators(1, |_| {
        let quote = |feed, symbol, currency| Quote {
            feed,
            symbol: Text::truncated(symbol),
            currency,
        };
        let quotes = |quotes: Vec<Quote>| Source {
            quotes: BoundedVec::truncate_from(quotes),
            ..sound()
        };
        let usd = QuoteCurrency::Usd;
        let url = |url| Source {
            base_url: Text::truncated(url),
            ..sound()
        };
        for (source, error) in [
            (url(""), Error::<Test>::BadUrl),
            (url("ftp://example.org"), Error::BadUrl),
            (url("https://"), Error::BadUrl),
            (url("https://example.org/"), Error::BadUrl),
            (url("https://exam ple.org"), Error::BadText),
            (
                Source {
                    path: Text::truncated("ticker"),
                    ..sound()
                },
                Error::BadUrl,
            ),
            (
                Source {
                    path: Text::truncated("/a b"),
                    ..sound()
                },
                Error::BadText,
            ),
            (
                Source {
                    bid: Text::truncated("bid"),
                    ..sound()
                },
                Error::BadPointer,
            ),
            (
                Source {
                    last: Text::truncated(""),
                    ..sound()
                },
                Error::BadPointer,
            ),
            (quotes(vec![]), Error::BadQuotes),
            (
                quotes(vec![quote(BTC, "A", usd), quote(BTC, "A", usd)]),
                Error::BadQuotes,
            ),
            (quotes(vec![quote(BTC, "", usd)]), Error::BadText),
            (quotes(vec![quote(BTC, "A/B", usd)]), Error::BadText),
            (quotes(vec![quote(BTC, "A&x=1", usd)]), Error::BadText),
            (
                quotes(vec![quote(BTC, "A", QuoteCurrency::Feed(BTC))]),
                Error::QuotedInItself,
            ),
            (quotes(vec![quote(99, "A", usd)]), Error::UnknownFeed),
            (
                quotes(vec![quote(BTC, "A", QuoteCurrency::Feed(99))]),
                Error::UnknownFeed,
            ),
            (
                Source {
                    min_interval: MAX_INTERVAL + 1,
                    ..sound()
                },
                Error::BadInterval,
            ),
        ] {
            assert_noop!(set_source(source), error);
        }
        for bad in ["", "a b", "a:b", "é"] {
            let call = Oracle::set_source(RuntimeOrigin::root(), name(bad), Box::new(sound()));
            assert_noop!(call, Error::<Test>::BadText);
        }
    });
}

#[test]
fn set_source_is_refused_when_there_are_as_many_as_there_can_be() {
    with_validators(1, |_| {
        for i in Sources::<Test>::count()..MAX_SOURCES {
            let name = name(&format!("s{i}"));
            assert_ok!(Oracle::set_source(
                RuntimeOrigin::root(),
                name,
                Box::new(sound())
            ));
        }
        assert_noop!(set_source(sound()), Error::<Test>::TooManySources);
        // One of them can still change.
        assert_ok!(Oracle::set_source(
            RuntimeOrigin::root(),
            name("okx"),
            Box::new(sound())
        ));
    });
}

#[test]
fn remove_source_takes_only_what_is_there() {
    with_validators(1, |_| {
        assert_ok!(Oracle::remove_source(RuntimeOrigin::root(), name("okx")));
        assert_eq!(Sources::<Test>::get(name("okx")), None);
        assert_noop!(
            Oracle::remove_source(RuntimeOrigin::root(), name("okx")),
            Error::<Test>::UnknownSource
        );
    });
}

#[test]
fn set_feed_changes_policy_with_both_values_in_the_event() {
    with_validators(1, |_| {
        let policy = Feed {
            min_configured: 7,
            ..Feed::new("BTC")
        };
        assert_ok!(Oracle::set_feed(
            RuntimeOrigin::root(),
            BTC,
            Some(policy.clone())
        ));
        System::assert_last_event(RuntimeEvent::Oracle(Event::FeedChanged {
            feed: BTC,
            old_value: Some(Feed::new("BTC")),
            new_value: Some(policy),
        }));
    });
}

#[test]
fn set_feed_names_the_fault_when_the_policy_makes_no_sense() {
    with_validators(1, |_| {
        for (configured, accepted, usd) in [(5, 3, 0), (5, 2, 3), (2, 3, 1), (0, 0, 0)] {
            let policy = Feed {
                min_configured: configured,
                min_accepted: accepted,
                min_usd: usd,
                ..Feed::new("BTC")
            };
            assert_noop!(
                Oracle::set_feed(RuntimeOrigin::root(), BTC, Some(policy)),
                Error::<Test>::BadPolicy
            );
        }
        for symbol in ["", "a b"] {
            assert_noop!(
                Oracle::set_feed(RuntimeOrigin::root(), BTC, Some(Feed::new(symbol))),
                Error::<Test>::BadText
            );
        }
        for feed in 10..10 + MAX_FEEDS as u16 - 3 {
            assert_ok!(Oracle::set_feed(
                RuntimeOrigin::root(),
                feed,
                Some(Feed::new("X"))
            ));
        }
        assert_noop!(
            Oracle::set_feed(RuntimeOrigin::root(), 9, Some(Feed::new("X"))),
            Error::<Test>::TooManyFeeds
        );
    });
}

#[test]
fn set_feed_removes_only_what_nothing_refers_to() {
    with_validators(1, |_| {
        let remove = |feed| Oracle::set_feed(RuntimeOrigin::root(), feed, None);
        assert_noop!(remove(99), Error::<Test>::UnknownFeed);
        assert_noop!(remove(BTC), Error::<Test>::FeedInUse);
        // USDT is still the currency of quotes.
        assert_noop!(remove(USDT), Error::<Test>::FeedInUse);
        assert_ok!(Oracle::set_feed(
            RuntimeOrigin::root(),
            9,
            Some(Feed::new("ETH"))
        ));
        set_price(9, "1500", NOW);
        assert_ok!(remove(9));
        assert!(!Feeds::<Test>::get().contains_key(&9));
        assert!(!Prices::<Test>::get().contains_key(&9));
    });
}

#[test]
fn configuration_is_refused_when_the_origin_is_not_governance() {
    with_validators(1, |_| {
        for origin in [RuntimeOrigin::signed(1), RuntimeOrigin::none()] {
            let calls = [
                Oracle::set_source(origin.clone(), name("new"), Box::new(sound())),
                Oracle::remove_source(origin.clone(), name("okx")),
                Oracle::set_feed(origin.clone(), BTC, None),
            ];
            for call in calls {
                assert_noop!(call, DispatchError::BadOrigin);
            }
        }
    });
}

#[test]
fn genesis_reads_as_json_with_plain_strings() {
    let config = crate::GenesisConfig::<Test> {
        feeds: genesis_feeds(),
        sources: genesis_sources(),
        ..Default::default()
    };
    let json = serde_json::to_string(&config).unwrap();
    assert!(
        json.contains(r#""base_url":"https://api.kraken.com""#),
        "{json}"
    );
    assert!(
        json.contains(r#"{"feed":1,"symbol":"BTCUSDT","currency":{"feed":3}}"#),
        "{json}"
    );
    let back: crate::GenesisConfig<Test> = serde_json::from_str(&json).unwrap();
    assert_eq!(back.sources, config.sources);
    assert_eq!(back.feeds, config.feeds);
    let long = format!(r#"{{"symbol":"{}"}}"#, "X".repeat(13));
    assert!(serde_json::from_str::<Feed>(&long).is_err());
}

#[test]
#[should_panic(expected = "source bad of the genesis")]
fn genesis_is_refused_when_a_call_would_refuse_it() {
    use sp_runtime::BuildStorage;
    let config = crate::GenesisConfig::<Test> {
        sources: vec![(name("bad"), sound())],
        ..Default::default()
    };
    let _ = RuntimeGenesisConfig {
        oracle: config,
        ..Default::default()
    }
    .build_storage();
}
