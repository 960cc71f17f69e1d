//! Scheduled changes at the close: when, in which order, how many, and which no longer.

use crate::{mock::*, types::*, venues, Error, Event, Feeds, Pending, Prices, Sources};
use frame_support::assert_ok;
use novate_types::PriceFeeds;
use proptest::prelude::*;

fn root() -> RuntimeOrigin {
    RuntimeOrigin::root()
}

fn eth_source() -> Source {
    venues::coinbase(vec![venues::usd(ETH, "ETH-USD")])
}

const ETH: u16 = 9;

fn dropped(subject: Subject, error: Error<Test>) -> Event<Test> {
    Event::ChangeDropped {
        subject,
        error: error.into(),
    }
}

#[test]
fn change_waits_for_the_timelock() {
    with_validators(1, |_| {
        assert_ok!(Oracle::schedule_source(root(), name("okx"), None));
        for _ in 0..TIMELOCK {
            close();
            assert!(Sources::<Test>::contains_key(name("okx")));
            next_block(1_000);
        }
        assert_eq!(System::block_number(), BLOCK + TIMELOCK);
        close();
        assert!(!Sources::<Test>::contains_key(name("okx")));
        assert!(Pending::<Test>::get().is_empty());
    });
}

#[test]
fn change_is_in_force_before_the_prices_of_its_close() {
    with_validators(1, |keys| {
        put(Change::Feed(ETH, Some(Feed::new("ETH"))));
        assert_ok!(Oracle::schedule_feed(root(), ETH, None));
        System::set_block_number(BLOCK + TIMELOCK);
        observe_all(keys, ETH, &["1500"]);
        close();
        assert_eq!(Oracle::price(ETH), None);
        assert!(!Prices::<Test>::get().contains_key(&ETH));
    });
}

#[test]
fn changes_come_into_force_in_their_order_and_as_many_as_a_block_may() {
    with_validators(1, |_| {
        // The other way round than by name, so that no other order passes for this one.
        let names = ["okx", "kraken", "coinbase", "bybit"];
        assert_eq!(names.len() as u32, MAX_PENDING);
        for venue in names {
            assert_ok!(Oracle::schedule_source(root(), name(venue), None));
        }
        System::set_block_number(BLOCK + TIMELOCK - 1);
        for expected in names.chunks(MAX_APPLIED as usize) {
            next_block(1_000);
            close();
            let gone: Vec<SourceName> = events()
                .into_iter()
                .map(|event| match event {
                    Event::SourceChanged {
                        name,
                        old_value: Some(_),
                        new_value: None,
                    } => name,
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(gone, expected.iter().map(|n| name(n)).collect::<Vec<_>>());
        }
        assert!(Pending::<Test>::get().is_empty());
    });
}

#[test]
fn source_is_dropped_when_its_feed_is_gone() {
    with_validators(1, |_| {
        put(Change::Feed(ETH, Some(Feed::new("ETH"))));
        assert_ok!(Oracle::schedule_feed(root(), ETH, None));
        let source = Some(Box::new(eth_source()));
        assert_ok!(Oracle::schedule_source(root(), name("eth"), source));
        System::reset_events();
        close_when_due();
        let subject = Subject::Source(name("eth"));
        assert_eq!(events()[1], dropped(subject, Error::UnknownFeed));
        assert!(!Sources::<Test>::contains_key(name("eth")));
        assert!(!Feeds::<Test>::get().contains_key(&ETH));
        assert!(Pending::<Test>::get().is_empty());
    });
}

#[test]
fn removal_of_a_feed_is_dropped_when_a_source_came_to_quote_it() {
    with_validators(1, |_| {
        put(Change::Feed(ETH, Some(Feed::new("ETH"))));
        let source = Some(Box::new(eth_source()));
        assert_ok!(Oracle::schedule_source(root(), name("eth"), source));
        assert_ok!(Oracle::schedule_feed(root(), ETH, None));
        System::reset_events();
        close_when_due();
        assert_eq!(events()[1], dropped(Subject::Feed(ETH), Error::FeedInUse));
        assert!(Feeds::<Test>::get().contains_key(&ETH));
    });
}

#[test]
fn removal_of_a_feed_is_dropped_when_a_market_came_to_need_it() {
    with_validators(1, |_| {
        put(Change::Feed(ETH, Some(Feed::new("ETH"))));
        set_price(ETH, "1500", NOW);
        assert_ok!(Oracle::schedule_feed(root(), ETH, None));
        Needed::set(vec![ETH]);
        System::reset_events();
        close_when_due();
        assert_eq!(events(), [dropped(Subject::Feed(ETH), Error::FeedNeeded)]);
        assert!(Feeds::<Test>::get().contains_key(&ETH));
        assert!(Oracle::price(ETH).is_some());
        // It is not tried again.
        Needed::set(vec![]);
        next_block(1_000);
        close();
        assert!(Feeds::<Test>::get().contains_key(&ETH));
    });
}

#[test]
fn source_is_dropped_when_the_places_are_taken() {
    with_validators(1, |_| {
        let source = || Some(Box::new(venues::okx(vec![venues::usd(BTC, "BTC-USD")])));
        for i in Sources::<Test>::count() + 1..MAX_SOURCES {
            put(Change::Source(name(&format!("s{i}")), source()));
        }
        for new in ["first", "second"] {
            assert_ok!(Oracle::schedule_source(root(), name(new), source()));
        }
        System::reset_events();
        close_when_due();
        assert_eq!(Sources::<Test>::count(), MAX_SOURCES);
        assert!(Sources::<Test>::contains_key(name("first")));
        let subject = Subject::Source(name("second"));
        assert_eq!(events()[1], dropped(subject, Error::TooManySources));
    });
}

#[test]
fn the_close_is_reserved_with_the_changes_that_wait() {
    with_validators(1, |_| {
        let idle = Oracle::close_weight();
        for (feed, count) in (10..).zip(1..=MAX_PENDING) {
            assert_ok!(Oracle::schedule_feed(root(), feed, Some(Feed::new("X"))));
            let extra = |n| <() as crate::WeightInfo>::apply_due(n);
            assert_eq!(
                Oracle::close_weight() - idle,
                extra(count.min(MAX_APPLIED)) - extra(0)
            );
        }
    });
}

/// What somebody does in a block.
#[derive(Clone, Debug)]
enum Act {
    Source(u8, Option<u8>),
    Feed(u8, Option<u8>),
    Cancel(Subject),
    Disable(u8),
    Need(Option<u16>),
    Wait(u32),
}

fn venue(of: u8) -> SourceName {
    name(["coinbase", "okx", "new"][usize::from(of % 3)])
}

fn feed(of: u8) -> u16 {
    [BTC, USDT, ETH, 10][usize::from(of % 4)]
}

fn act() -> impl Strategy<Value = Act> {
    let to = || prop::option::of(0u8..4);
    prop_oneof![
        4 => (0u8..3, to()).prop_map(|(of, to)| Act::Source(of, to)),
        4 => (0u8..4, to()).prop_map(|(of, to)| Act::Feed(of, to)),
        1 => (0u8..3).prop_map(|of| Act::Cancel(Subject::Source(venue(of)))),
        1 => (0u8..4).prop_map(|of| Act::Cancel(Subject::Feed(feed(of)))),
        1 => (0u8..3).prop_map(Act::Disable),
        1 => prop::option::of((0u8..4).prop_map(feed)).prop_map(Act::Need),
        8 => (1u32..8).prop_map(Act::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever governance schedules: between closes nothing changes but a source that the emergency origin disables, and
    /// at a close only subjects scheduled a timelock ago change, to what was scheduled, and no more than a block may. A
    /// feed that is needed never goes.
    #[test]
    fn nothing_changes_but_what_was_scheduled_a_timelock_ago(acts in prop::collection::vec(act(), 1..60)) {
        new_test_ext().execute_with(|| {
            let state = || {
                let sources: std::collections::BTreeMap<_, _> = Sources::<Test>::iter().collect();
                (sources, Feeds::<Test>::get())
            };
            for act in acts {
                let (mut sources, feeds) = state();
                match act {
                    Act::Source(of, to) => {
                        let quoted = to.map(feed);
                        let new = quoted.map(|f| Box::new(venues::okx(vec![venues::usd(f, "X-USD")])));
                        let _ = Oracle::schedule_source(root(), venue(of), new);
                    }
                    Act::Feed(of, to) => {
                        let new = to.map(|n| Feed { min_configured: 5 + n, ..Feed::new("X") });
                        let _ = Oracle::schedule_feed(root(), feed(of), new);
                    }
                    Act::Cancel(subject) => {
                        let _ = Oracle::cancel_change(root(), subject);
                    }
                    Act::Disable(of) => {
                        let done = Oracle::disable_source(RuntimeOrigin::signed(EMERGENCY), venue(of));
                        assert_eq!(done.is_ok(), sources.remove(&venue(of)).is_some());
                    }
                    Act::Need(feed) => Needed::set(feed.into_iter().collect()),
                    Act::Wait(blocks) => {
                        for _ in 0..blocks {
                            let (sources, feeds) = state();
                            next_block(1_000);
                            let due: Vec<Scheduled> = Pending::<Test>::get()
                                .into_iter()
                                .filter(|p| p.since + TIMELOCK <= System::block_number())
                                .take(MAX_APPLIED as usize)
                                .collect();
                            close();
                            let (mut expected_sources, mut expected_feeds) = (sources, feeds);
                            let mut settled = 0;
                            for event in events() {
                                settled += 1;
                                match event {
                                    Event::SourceChanged { name, old_value, new_value } => {
                                        assert!(due.iter().any(|p| p.change == Change::Source(name.clone(), new_value.clone())));
                                        let old = match new_value {
                                            Some(new) => expected_sources.insert(name, *new),
                                            None => expected_sources.remove(&name),
                                        };
                                        assert_eq!(old.map(Box::new), old_value);
                                    }
                                    Event::FeedChanged { feed, old_value, new_value } => {
                                        assert!(due.iter().any(|p| p.change == Change::Feed(feed, new_value.clone())));
                                        let old = match new_value {
                                            Some(new) => expected_feeds.try_insert(feed, new).unwrap(),
                                            None => {
                                                assert!(!Needed::get().contains(&feed));
                                                expected_feeds.remove(&feed)
                                            }
                                        };
                                        assert_eq!(old, old_value);
                                    }
                                    Event::ChangeDropped { subject, .. } => {
                                        assert!(due.iter().any(|p| p.change.subject() == subject));
                                    }
                                    other => panic!("{other:?}"),
                                }
                            }
                            assert_eq!(settled, due.len());
                            assert_eq!(state(), (expected_sources, expected_feeds));
                        }
                        continue;
                    }
                }
                assert_eq!(state(), (sources, feeds));
                Oracle::do_try_state().unwrap();
            }
        });
    }
}
