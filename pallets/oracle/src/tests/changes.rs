//! Scheduled changes at the close: when, in which order, how many, and which no longer.

use crate::{mock::*, types::*, venues, Error, Event, Feeds, Pending, Prices, Sources};
use frame_support::{assert_noop, assert_ok};
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

fn replace(venue: &str, new: Option<Source>) -> sp_runtime::DispatchResult {
    Oracle::schedule_source(root(), name(venue), new.map(Box::new))
}

#[test]
fn one_source_of_a_feed_changes_in_a_timelock_when_the_feed_has_a_price() {
    with_validators(1, |_| {
        set_price(BTC, "20000", NOW);
        let btc = |symbol| venues::okx(vec![venues::usd(BTC, symbol)]);
        assert_ok!(replace("okx", None));
        // Removed, changed or added, in its quotes or in its interface.
        let kraken = Sources::<Test>::get(name("kraken")).unwrap();
        let slower = Source {
            min_interval: kraken.min_interval + 1,
            ..kraken
        };
        for (venue, new) in [
            ("kraken", None),
            ("kraken", Some(slower.clone())),
            (
                "coinbase",
                Some(venues::coinbase(vec![venues::usd(USDT, "USDT-USD")])),
            ),
            (
                "binance",
                Some(venues::binance(vec![venues::usd(BTC, "BTCUSD")])),
            ),
            ("new", Some(btc("BTC-USD"))),
        ] {
            assert_noop!(replace(venue, new), Error::<Test>::FeedChanging);
        }
        // Emergency removals are not steps, and cannot be undone but by one.
        let bybit = Sources::<Test>::get(name("bybit")).unwrap();
        assert_ok!(Oracle::disable_source(
            RuntimeOrigin::signed(EMERGENCY),
            name("bybit")
        ));
        assert_noop!(replace("bybit", Some(bybit)), Error::<Test>::FeedChanging);

        System::set_block_number(BLOCK + TIMELOCK - 1);
        assert_noop!(replace("kraken", None), Error::<Test>::FeedChanging);
        next_block(1_000);
        assert_noop!(replace("kraken", None), Error::<Test>::FeedChanging);
        close();
        assert!(!Sources::<Test>::contains_key(name("okx")));
        assert_ok!(replace("kraken", Some(slower)));
        assert_ok!(Oracle::cancel_change(
            root(),
            Subject::Source(name("kraken"))
        ));
        assert_ok!(replace("new", Some(btc("BTC-USD"))));
    });
}

#[test]
fn sources_change_together_when_no_feed_with_a_price_is_concerned_twice() {
    with_validators(1, |_| {
        put(Change::Feed(ETH, Some(Feed::new("ETH"))));
        set_price(BTC, "20000", NOW);
        // A new feed is quoted by venues that have been asked for another one all along.
        for venue in ["okx", "bybit"] {
            let mut source = Sources::<Test>::get(name(venue)).unwrap();
            let quote = venues::usd(ETH, "ETH-USD");
            source.quotes.try_push(quote).unwrap();
            assert_ok!(replace(venue, Some(source)));
        }
        assert_ok!(replace("new", Some(eth_source())));
        // And one source of BTC beside them.
        assert_ok!(replace("bitstamp", None));
        close_when_due();
        close();
        assert!(Pending::<Test>::get().is_empty());
        let quotes = |venue| Sources::<Test>::get(name(venue)).map(|s| s.quotes.len());
        assert_eq!(
            ["okx", "bybit", "new", "bitstamp"].map(quotes),
            [Some(2), Some(2), Some(1), None]
        );
    });
}

#[test]
fn source_is_dropped_when_its_feed_came_to_have_a_price_and_another_waits() {
    with_validators(1, |_| {
        for venue in ["okx", "bybit", "kraken"] {
            assert_ok!(replace(venue, None));
        }
        set_price(BTC, "20000", NOW);
        System::reset_events();
        close_when_due();
        next_block(1_000);
        close();
        let left = |venue| Sources::<Test>::contains_key(name(venue));
        assert_eq!(["okx", "bybit", "kraken"].map(left), [true, true, false]);
        assert!(Pending::<Test>::get().is_empty());
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
    Price(u8),
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
        1 => (0u8..4).prop_map(Act::Price),
        8 => (1u32..8).prop_map(Act::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever governance schedules: between closes nothing changes but a source that the emergency origin disables, and
    /// at a close only subjects scheduled a timelock ago change, to what was scheduled, and no more than a block may. A
    /// feed that is needed never goes, and of one that has a price one source changes in a timelock.
    #[test]
    fn nothing_changes_but_what_was_scheduled_a_timelock_ago(acts in prop::collection::vec(act(), 1..60)) {
        new_test_ext().execute_with(|| {
            let state = || {
                let sources: std::collections::BTreeMap<_, _> = Sources::<Test>::iter().collect();
                (sources, Feeds::<Test>::get())
            };
            // When a source last changed that quoted, or came to quote, a feed with a price.
            let mut touched = std::collections::BTreeMap::<u16, u32>::new();
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
                    Act::Price(of) => {
                        if feeds.contains_key(&feed(of)) {
                            set_price(feed(of), "1", NOW);
                        }
                    }
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
                                        let kept = new_value.clone();
                                        let old = match new_value {
                                            Some(new) => expected_sources.insert(name, *new),
                                            None => expected_sources.remove(&name),
                                        };
                                        let quoted = |s: Option<&Source>| -> Vec<u16> {
                                            s.map(|s| s.quotes.iter().map(|q| q.feed).collect()).unwrap_or_default()
                                        };
                                        assert_eq!(old.clone().map(Box::new), old_value);
                                        // Every replacement here is of another venue's interface, or of other quotes alone.
                                        let (was, is) = (quoted(old.as_ref()), quoted(kept.as_deref()));
                                        for feed in was.into_iter().chain(is).collect::<std::collections::BTreeSet<_>>() {
                                            if Prices::<Test>::get().contains_key(&feed) {
                                                let now = System::block_number();
                                                let last = touched.insert(feed, now);
                                                assert!(last.is_none_or(|last| last + TIMELOCK <= now), "{feed}");
                                            }
                                        }
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
