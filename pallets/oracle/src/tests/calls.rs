//! The configuration calls, and what they refuse.

use crate::{mock::*, types::*, venues, Error, Event, Feeds, Pending, Prices, Sources};
use frame_support::{assert_noop, assert_ok, BoundedVec};
use sp_runtime::{DispatchError, DispatchResult};

fn schedule_source(called: &str, new_value: Option<Source>) -> DispatchResult {
    Oracle::schedule_source(RuntimeOrigin::root(), name(called), new_value.map(Box::new))
}

fn schedule_feed(feed: u16, new_value: Option<Feed>) -> DispatchResult {
    Oracle::schedule_feed(RuntimeOrigin::root(), feed, new_value)
}

fn sound() -> Source {
    venues::coinbase(vec![venues::usd(BTC, "BTC-USD")])
}

#[test]
fn schedule_source_says_what_will_be_and_when() {
    with_validators(1, |_| {
        let change = Change::Source(name("new"), Some(Box::new(sound())));
        assert_ok!(schedule_source("new", Some(sound())));
        let due = BLOCK + TIMELOCK;
        System::assert_last_event(RuntimeEvent::Oracle(Event::ChangeScheduled {
            change: change.clone(),
            due,
        }));
        let scheduled = Scheduled {
            change,
            since: BLOCK,
            due,
        };
        assert_eq!(Pending::<Test>::get().into_inner(), vec![scheduled]);
        assert_eq!(Sources::<Test>::get(name("new")), None);
    });
}

#[test]
fn schedule_source_adds_and_replaces_with_both_values_in_the_event() {
    with_validators(1, |_| {
        assert_ok!(schedule_source("new", Some(sound())));
        close_when_due();
        System::assert_last_event(RuntimeEvent::Oracle(Event::SourceChanged {
            name: name("new"),
            old_value: None,
            new_value: Some(Box::new(sound())),
        }));
        let other = Source {
            min_interval: 2_000,
            ..sound()
        };
        assert_ok!(schedule_source("new", Some(other.clone())));
        close_when_due();
        System::assert_last_event(RuntimeEvent::Oracle(Event::SourceChanged {
            name: name("new"),
            old_value: Some(Box::new(sound())),
            new_value: Some(Box::new(other.clone())),
        }));
        assert_eq!(Sources::<Test>::get(name("new")), Some(other));
    });
}

#[test]
fn schedule_source_names_the_fault_when_the_source_cannot_be_asked() {
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
            (
                quotes(
                    ["A", "B", "C"]
                        .map(|symbol| quote(BTC, symbol, usd))
                        .to_vec(),
                ),
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
            assert_noop!(schedule_source("new", Some(source)), error);
        }
        for bad in ["", "a b", "a:b", "é"] {
            assert_noop!(schedule_source(bad, Some(sound())), Error::<Test>::BadText);
        }
    });
}

#[test]
fn schedule_source_is_refused_when_there_are_as_many_as_there_can_be() {
    with_validators(1, |_| {
        for i in Sources::<Test>::count()..MAX_SOURCES {
            let name = name(&format!("s{i}"));
            put(Change::Source(name, Some(Box::new(sound()))));
        }
        assert_noop!(
            schedule_source("new", Some(sound())),
            Error::<Test>::TooManySources
        );
        // One of them can still change.
        assert_ok!(schedule_source("okx", Some(sound())));
    });
}

#[test]
fn schedule_source_removes_only_what_is_there() {
    with_validators(1, |_| {
        let okx = Sources::<Test>::get(name("okx")).map(Box::new);
        assert!(okx.is_some());
        assert_ok!(schedule_source("okx", None));
        close_when_due();
        assert_eq!(Sources::<Test>::get(name("okx")), None);
        System::assert_last_event(RuntimeEvent::Oracle(Event::SourceChanged {
            name: name("okx"),
            old_value: okx,
            new_value: None,
        }));
        for unknown in ["okx", "", "a b", "é", "okx2"] {
            assert_noop!(schedule_source(unknown, None), Error::<Test>::UnknownSource);
        }
    });
}

#[test]
fn schedule_feed_changes_policy_with_both_values_in_the_event() {
    with_validators(1, |_| {
        let policy = Feed {
            min_configured: 7,
            ..Feed::new("BTC")
        };
        assert_ok!(schedule_feed(BTC, Some(policy.clone())));
        assert_eq!(Feeds::<Test>::get()[&BTC], Feed::new("BTC"));
        close_when_due();
        System::assert_last_event(RuntimeEvent::Oracle(Event::FeedChanged {
            feed: BTC,
            old_value: Some(Feed::new("BTC")),
            new_value: Some(policy.clone()),
        }));
        assert_eq!(Feeds::<Test>::get()[&BTC], policy);
    });
}

#[test]
fn schedule_feed_moves_each_minimum_by_one_step() {
    with_validators(1, |_| {
        let policy = |min_configured, min_accepted, min_usd| {
            let symbol = Text::truncated("BTC");
            Some(Feed {
                symbol,
                min_configured,
                min_accepted,
                min_usd,
                min_chains: 0,
            })
        };
        put(Change::Feed(9, policy(20, 10, 5)));
        for (configured, accepted, usd) in [
            (23, 10, 5),
            (17, 10, 5),
            (20, 13, 5),
            (20, 7, 5),
            (20, 10, 8),
            (20, 10, 2),
            (255, 12, 7),
        ] {
            let farther = policy(configured, accepted, usd);
            assert_noop!(schedule_feed(9, farther), Error::<Test>::StepTooLarge);
        }
        for at in [(22, 12, 7), (20, 10, 5), (18, 8, 3)] {
            let next = policy(at.0, at.1, at.2);
            assert_ok!(schedule_feed(9, next.clone()));
            close_when_due();
            assert_eq!(Feeds::<Test>::get().get(&9).cloned(), next);
        }
        // It starts anywhere.
        assert_ok!(schedule_feed(10, policy(255, 255, 255)));
    });
}

#[test]
fn schedule_feed_names_the_fault_when_the_policy_makes_no_sense() {
    with_validators(1, |_| {
        for (configured, accepted, usd) in [
            (5, 3, 0),
            (5, 2, 3),
            (2, 3, 1),
            (0, 0, 0),
            (254, 255, 1),
            (0, 255, 255),
        ] {
            let policy = Feed {
                min_configured: configured,
                min_accepted: accepted,
                min_usd: usd,
                ..Feed::new("BTC")
            };
            assert_noop!(schedule_feed(BTC, Some(policy)), Error::<Test>::BadPolicy);
        }
        for symbol in ["", "a b", "\0", "é"] {
            assert_noop!(
                schedule_feed(BTC, Some(Feed::new(symbol))),
                Error::<Test>::BadText
            );
        }
        for feed in 10..10 + MAX_FEEDS as u16 - 3 {
            put(Change::Feed(feed, Some(Feed::new("X"))));
        }
        assert_noop!(
            schedule_feed(9, Some(Feed::new("X"))),
            Error::<Test>::TooManyFeeds
        );
        // One of them can still change.
        assert_ok!(schedule_feed(10, Some(Feed::new("Y"))));
    });
}

#[test]
fn schedule_feed_removes_only_what_nothing_refers_to() {
    with_validators(1, |_| {
        for unknown in [0, 99, u16::MAX] {
            assert_noop!(schedule_feed(unknown, None), Error::<Test>::UnknownFeed);
        }
        assert_noop!(schedule_feed(BTC, None), Error::<Test>::FeedInUse);
        // USDT is still the currency of quotes.
        assert_noop!(schedule_feed(USDT, None), Error::<Test>::FeedInUse);
        put(Change::Feed(9, Some(Feed::new("ETH"))));
        Needed::set(vec![9]);
        assert_noop!(schedule_feed(9, None), Error::<Test>::FeedNeeded);
        // Its policy can change.
        let looser = Feed {
            min_configured: 4,
            ..Feed::new("ETH")
        };
        assert_ok!(schedule_feed(9, Some(looser)));
        close_when_due();
        Needed::set(vec![BTC]);
        set_price(9, "1500", NOW);
        assert_ok!(schedule_feed(9, None));
        assert!(Prices::<Test>::get().contains_key(&9));
        close_when_due();
        assert!(!Feeds::<Test>::get().contains_key(&9));
        assert!(!Prices::<Test>::get().contains_key(&9));
    });
}

#[test]
fn scheduling_is_refused_when_it_changes_nothing() {
    with_validators(1, |_| {
        let okx = Sources::<Test>::get(name("okx"));
        assert_noop!(schedule_source("okx", okx), Error::<Test>::Unchanged);
        let same = Some(Feed::new("BTC"));
        assert_noop!(schedule_feed(BTC, same), Error::<Test>::Unchanged);
    });
}

#[test]
fn scheduling_is_refused_when_a_change_of_the_subject_waits() {
    with_validators(1, |_| {
        assert_ok!(schedule_source("okx", Some(sound())));
        for new in [None, Some(sound())] {
            assert_noop!(schedule_source("okx", new), Error::<Test>::ChangePending);
        }
        assert_ok!(schedule_feed(BTC, Some(Feed::new("XBT"))));
        assert_noop!(
            schedule_feed(BTC, Some(Feed::new("X"))),
            Error::<Test>::ChangePending
        );
        // Others are free, and so are these two once theirs are in force.
        assert_ok!(schedule_source("bybit", None));
        close_when_due();
        assert_ok!(schedule_source("okx", None));
        assert_ok!(schedule_feed(BTC, Some(Feed::new("BTC"))));
    });
}

#[test]
fn scheduling_is_refused_when_as_many_changes_wait_as_can() {
    with_validators(1, |_| {
        for feed in 10..10 + MAX_PENDING as u16 {
            assert_ok!(schedule_feed(feed, Some(Feed::new("X"))));
        }
        assert_noop!(schedule_source("okx", None), Error::<Test>::TooManyChanges);
        assert_noop!(
            schedule_feed(9, Some(Feed::new("X"))),
            Error::<Test>::TooManyChanges
        );
        assert_ok!(Oracle::cancel_change(
            RuntimeOrigin::root(),
            Subject::Feed(10)
        ));
        assert_ok!(schedule_source("okx", None));
    });
}

#[test]
fn scheduling_is_refused_when_the_timelock_ends_beyond_the_last_block() {
    with_validators(1, |_| {
        System::set_block_number(u32::MAX - TIMELOCK + 1);
        assert_noop!(schedule_source("okx", None), Error::<Test>::OutOfRange);
        System::set_block_number(u32::MAX - TIMELOCK);
        assert_ok!(schedule_source("okx", None));
    });
}

#[test]
fn change_never_happens_when_it_was_cancelled() {
    with_validators(1, |_| {
        assert_ok!(schedule_source("okx", None));
        assert_ok!(schedule_source("bybit", None));
        let subject = Subject::Source(name("okx"));
        assert_ok!(Oracle::cancel_change(
            RuntimeOrigin::root(),
            subject.clone()
        ));
        System::assert_last_event(RuntimeEvent::Oracle(Event::ChangeCancelled { subject }));
        close_when_due();
        assert!(Sources::<Test>::contains_key(name("okx")));
        assert!(!Sources::<Test>::contains_key(name("bybit")));
    });
}

#[test]
fn cancelling_is_refused_when_nothing_is_scheduled() {
    with_validators(1, |_| {
        assert_ok!(schedule_feed(BTC, Some(Feed::new("XBT"))));
        for subject in [
            Subject::Source(name("okx")),
            Subject::Source(name("")),
            Subject::Source(name("BTC")),
            Subject::Feed(USDC),
            Subject::Feed(u16::MAX),
        ] {
            assert_noop!(
                Oracle::cancel_change(RuntimeOrigin::root(), subject),
                Error::<Test>::NoSuchChange
            );
        }
        close_when_due();
        assert_noop!(
            Oracle::cancel_change(RuntimeOrigin::root(), Subject::Feed(BTC)),
            Error::<Test>::NoSuchChange
        );
    });
}

fn disable(called: &str) -> DispatchResult {
    Oracle::disable_source(RuntimeOrigin::signed(EMERGENCY), name(called))
}

#[test]
fn disable_source_acts_at_once_and_says_what_was() {
    with_validators(1, |_| {
        let okx = Sources::<Test>::get(name("okx")).unwrap();
        assert_ok!(disable("okx"));
        assert_eq!(
            events(),
            [Event::SourceDisabled {
                name: name("okx"),
                old_value: Box::new(okx.clone()),
            }]
        );
        assert_eq!(Sources::<Test>::get(name("okx")), None);
        for unknown in ["okx", "", "a b", "novenue"] {
            assert_noop!(disable(unknown), Error::<Test>::UnknownSource);
        }
        // It comes back as it went in: by governance, after the timelock.
        assert_ok!(schedule_source("okx", Some(okx.clone())));
        close();
        assert_eq!(Sources::<Test>::get(name("okx")), None);
        close_when_due();
        assert_eq!(Sources::<Test>::get(name("okx")), Some(okx));
    });
}

#[test]
fn disable_source_cancels_what_would_bring_it_back() {
    with_validators(1, |_| {
        assert_ok!(schedule_source("okx", Some(sound())));
        assert_ok!(schedule_source("bybit", Some(sound())));
        System::reset_events();
        assert_ok!(disable("okx"));
        let subject = Subject::Source(name("okx"));
        assert_eq!(events()[0], Event::ChangeCancelled { subject });
        assert_eq!(events().len(), 2);
        close_when_due();
        assert!(!Sources::<Test>::contains_key(name("okx")));
        assert_eq!(Sources::<Test>::get(name("bybit")), Some(sound()));
    });
}

#[test]
fn disable_source_cannot_stop_what_is_only_scheduled() {
    with_validators(1, |_| {
        assert_ok!(schedule_source("new", Some(sound())));
        assert_noop!(disable("new"), Error::<Test>::UnknownSource);
        close_when_due();
        assert_ok!(disable("new"));
    });
}

#[test]
fn configuration_is_refused_when_the_origin_is_not_governance() {
    with_validators(1, |_| {
        assert_ok!(schedule_source("bybit", None));
        for origin in [
            RuntimeOrigin::signed(1),
            RuntimeOrigin::signed(EMERGENCY),
            RuntimeOrigin::none(),
            frame_system::RawOrigin::Authorized.into(),
        ] {
            let calls: [DispatchResult; 5] = [
                Oracle::schedule_source(origin.clone(), name("new"), Some(Box::new(sound()))),
                Oracle::schedule_source(origin.clone(), name("okx"), None),
                Oracle::schedule_feed(origin.clone(), BTC, Some(Feed::new("X"))),
                Oracle::schedule_feed(origin.clone(), BTC, None),
                Oracle::cancel_change(origin.clone(), Subject::Source(name("bybit"))),
            ];
            for call in calls {
                assert_noop!(call, DispatchError::BadOrigin);
            }
        }
    });
}

#[test]
fn disable_source_is_refused_when_the_origin_is_not_for_emergencies() {
    with_validators(1, |_| {
        for origin in [
            RuntimeOrigin::signed(1),
            RuntimeOrigin::none(),
            frame_system::RawOrigin::Authorized.into(),
        ] {
            assert_noop!(
                Oracle::disable_source(origin, name("okx")),
                DispatchError::BadOrigin
            );
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
