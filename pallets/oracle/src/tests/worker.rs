//! Whole rounds of the worker, against venues that answer well, badly, late or not at all.

use crate::{
    decimal::Short,
    mock::*,
    types::*,
    worker::{run, HTTP_DEADLINE, MAX_BODY, SOURCE_PREFIX},
    Feeds, Prices, Sources,
};
use novate_types::PriceFeeds;
use sp_core::offchain::StorageKind;

const ROUND: u32 = BLOCK - 1;

/// Runs a round and returns the observed price of BTC, if one was submitted.
fn btc(pool: &Pool) -> Option<String> {
    run::<Test>(ROUND);
    price_in(pool.observation()?, BTC)
}

fn price_in(observation: Observation, feed: u16) -> Option<String> {
    let seen = observation.prices.iter().find(|p| p.feed == feed)?;
    Some(Short(seen.price).to_string())
}

fn coinbase_body(bid: &str, ask: &str, last: &str) -> String {
    format!(r#"{{"bid":"{bid}","ask":"{ask}","price":"{last}"}}"#)
}

const BITSTAMP: &str = URLS[1];
const COINBASE: &str = URLS[3];
const CRYPTO_COM: &str = URLS[5];

#[test]
fn worker_submits_what_the_chain_accepts_when_all_venues_answer() {
    with_venues(|venues, pool| {
        run::<Test>(ROUND);
        assert_eq!(venues.requests(), URLS);
        let transaction = pool.take().unwrap();
        apply(transaction.clone()).unwrap();
        close();
        assert_eq!(Oracle::price(BTC).unwrap().price, price("20000"));
        assert_eq!(Oracle::price(BTC).unwrap().observed_at, NOW);
        assert_eq!(Oracle::price(USDC).unwrap().price, price("1"));
        assert_eq!(Oracle::price(USDT).unwrap().price, price("1"));
        assert!(apply(transaction).is_err(), "not twice");
    });
}

#[test]
fn worker_is_idle_when_the_node_holds_no_key_of_the_set() {
    with_venues(|venues, pool| {
        let other = sp_core::sr25519::Public::from_raw([7; 32]).into();
        set_validators(&[other]);
        run::<Test>(ROUND);
        assert!(venues.requests().is_empty());
        assert!(pool.take().is_none());
    });
}

#[test]
fn worker_acts_for_the_validator_whose_key_it_holds() {
    with_venues(|_, pool| {
        let other = sp_core::sr25519::Public::from_raw([7; 32]).into();
        set_validators(&[other, generate("//Validator0")]);
        run::<Test>(ROUND);
        let transaction = pool.take().unwrap();
        apply(transaction).unwrap();
        assert!(crate::Observations::<Test>::contains_key(1));
    });
}

/// One bad venue of seven, bad in every way: the price stands on the other six, whatever it is that it sends.
#[test]
fn worker_leaves_out_a_venue_when_it_answers_badly() {
    let good = coinbase_body("20000", "20000", "20000");
    let truncated = &good[..good.len() - 9];
    let huge = format!(
        r#"{{"bid":"20000","ask":"20000","price":"20000","x":"{}"}}"#,
        "y".repeat(MAX_BODY)
    );
    let not_utf8 = vec![b'{', 0xff, 0xfe, b'}'];
    let with = |body: &str| Answer::ok(body);
    let bad: Vec<(&str, Answer)> = vec![
        (
            "429",
            Answer {
                status: 429,
                ..with(&good)
            },
        ),
        (
            "500",
            Answer {
                status: 500,
                ..with("")
            },
        ),
        (
            "redirected",
            Answer {
                status: 302,
                ..with(&good)
            },
        ),
        (
            "slow",
            Answer {
                after: HTTP_DEADLINE + 1,
                ..with(&good)
            },
        ),
        ("truncated", with(truncated)),
        (
            "broken off",
            Answer {
                breaks: true,
                ..with(truncated)
            },
        ),
        ("empty", with("")),
        ("not JSON", with("<html>Bad gateway</html>")),
        ("not UTF-8", Answer::ok(not_utf8)),
        ("too long", with(&huge)),
        ("no bid", with(r#"{"ask":"20000","price":"20000"}"#)),
        (
            "null",
            with(r#"{"bid":null,"ask":"20000","price":"20000"}"#),
        ),
        ("zero", with(&coinbase_body("0", "20000", "20000"))),
        (
            "zero written out",
            with(&coinbase_body("20000", "20000", "0.00000000")),
        ),
        ("negative", with(&coinbase_body("20000", "-20000", "20000"))),
        ("words", with(&coinbase_body("20000", "20000", "NaN"))),
        ("empty text", with(&coinbase_body("20000", "", "20000"))),
        (
            "10 times off",
            with(&coinbase_body("200000", "200000", "200000")),
        ),
        ("a tenth", with(&coinbase_body("2000", "2000", "2000"))),
        (
            "beyond range",
            with(&coinbase_body("1e400", "1e400", "1e400")),
        ),
        (
            "largest there is",
            with(&coinbase_body(
                "340282366920938463463",
                "340282366920938463463",
                "340282366920938463463",
            )),
        ),
    ];
    for (case, answer) in bad {
        with_venues(|venues, pool| {
            // The others disagree a little, so that any weight of the bad one would show.
            venues.quote_bitstamp("20002", NOW);
            venues.answer(COINBASE, answer);
            run::<Test>(ROUND);
            let observation = pool
                .observation()
                .unwrap_or_else(|| panic!("{case}: no observation"));
            assert_eq!(
                price_in(observation.clone(), BTC).as_deref(),
                Some("20000"),
                "{case}"
            );
            // Its other quote comes with an answer of its own, and stands.
            assert_eq!(price_in(observation, USDT).as_deref(), Some("1"), "{case}");
            assert!(
                venues.clock() <= NOW + HTTP_DEADLINE,
                "{case}: past the deadline"
            );
        });
    }
}

#[test]
fn worker_leaves_out_a_venue_when_its_own_time_is_stale() {
    // Two venues at 20,000 and two at 20,020: the median tells whether bitstamp counts.
    let at = |time: u64, expected: &str| {
        with_venues(|venues, pool| {
            only_dollars();
            venues.answer(
                COINBASE,
                Answer::ok(coinbase_body("20020", "20020", "20020")),
            );
            venues.quote_bitstamp("20020", time);
            assert_eq!(btc(pool).as_deref(), Some(expected), "{time}");
        });
    };
    at(NOW, "20010");
    at(NOW - 60_000, "20010");
    at(NOW - 61_000, "20000");
    at(NOW + 60_000, "20010");
    // A venue whose clock runs ahead is as little to be believed.
    at(NOW + 61_000, "20000");
    at(0, "20000");
}

/// Leaves BTC its four quotes in dollars, and asks no more than four.
fn only_dollars() {
    for venue in ["binance", "bybit", "okx"] {
        Sources::<Test>::remove(name(venue));
    }
    let four = Feed {
        min_configured: 4,
        ..Feed::new("BTC")
    };
    Feeds::<Test>::mutate(|feeds| feeds.try_insert(BTC, four).unwrap());
}

#[test]
fn worker_stays_with_four_when_one_source_of_five_lies() {
    for lie in ["10000", "19000", "20300", "21000", "200000", "1"] {
        with_venues(|venues, pool| {
            Sources::<Test>::remove(name("bybit"));
            Sources::<Test>::remove(name("okx"));
            venues.answer(COINBASE, Answer::ok(coinbase_body(lie, lie, lie)));
            run::<Test>(ROUND);
            let seen = pool.observation().unwrap().prices[0];
            assert_eq!(Short(seen.price).to_string(), "20000", "{lie}");
            assert!(
                seen.confidence <= price("0.000001"),
                "{lie}: {:?}",
                seen.confidence
            );
        });
    }
}

#[test]
fn worker_takes_the_median_of_bid_ask_and_last() {
    with_venues(|venues, pool| {
        only_dollars();
        // A print far from the book moves nothing; nor does a hollow side.
        venues.answer(
            COINBASE,
            Answer::ok(coinbase_body("20000", "20000.5", "25000")),
        );
        venues.answer(
            CRYPTO_COM,
            Answer::ok(format!(r#"{{"result":{{"data":[{{"i":"BTC_USD","a":20001,"b":1,"k":20001.5,"t":{NOW}}}]}}}}"#)),
        );
        // 20,000 (bitstamp, kraken), 20,000.5, 20,001.
        assert_eq!(btc(pool).as_deref(), Some("20000.25"));
    });
}

#[test]
fn worker_converts_through_the_chains_price_when_a_quote_currency_depegs() {
    with_venues(|venues, pool| {
        // USDC at 0.88: the same bitcoin costs 22,727.27 of them.
        set_price(USDC, "0.88", NOW - 1_000);
        venues.quote("20000", "0.88", "1", NOW);
        run::<Test>(ROUND);
        let observation = pool.observation().unwrap();
        assert_eq!(price_in(observation.clone(), USDC).as_deref(), Some("0.88"));
        assert_eq!(price_in(observation, BTC).as_deref(), Some("20000"));
    });
    // All quotes but two are in the depegged currency: what a blind median would report is 13 % off.
    with_venues(|venues, pool| {
        set_price(USDT, "0.88", NOW - 1_000);
        venues.quote("20000", "1", "0.88", NOW);
        for venue in [BITSTAMP, CRYPTO_COM] {
            venues.answer(
                venue,
                Answer {
                    status: 500,
                    ..Answer::ok("")
                },
            );
        }
        run::<Test>(ROUND);
        let seen = pool.observation().unwrap().prices[0];
        assert!(
            seen.price <= price("20000") && seen.price >= price("19999.9999"),
            "{seen:?}"
        );
    });
}

#[test]
fn worker_leaves_out_quotes_when_their_currency_has_no_fresh_price() {
    // Venues in USDT and USDC quote 20,100: they count only while those have a fresh price.
    let at = |age: u64| {
        let mut seen = None;
        with_venues(|venues, pool| {
            set_price(USDC, "1", NOW - age);
            set_price(USDT, "1", NOW - age);
            venues.answer(
                BITSTAMP,
                Answer {
                    status: 500,
                    ..Answer::ok("")
                },
            );
            venues.quote_stable("20100");
            seen = btc(pool);
        });
        seen
    };
    assert_eq!(at(6_000).as_deref(), Some("20050"));
    assert_eq!(at(6_001).as_deref(), Some("20000"));
    with_venues(|venues, pool| {
        Prices::<Test>::kill();
        venues.quote_stable("20100");
        assert_eq!(btc(pool).as_deref(), Some("20000"));
    });
}

#[test]
fn worker_abstains_when_too_few_sources_are_left() {
    // Of four dollar quotes two fail: three accepted needed.
    with_venues(|venues, pool| {
        only_dollars();
        for venue in [BITSTAMP, CRYPTO_COM] {
            venues.answer(
                venue,
                Answer {
                    status: 500,
                    ..Answer::ok("")
                },
            );
        }
        run::<Test>(ROUND);
        let observation = pool.observation().unwrap();
        assert_eq!(
            price_in(observation.clone(), BTC),
            None,
            "it abstains for the feed"
        );
        assert_eq!(
            price_in(observation, USDT).as_deref(),
            Some("1"),
            "and for no other"
        );
    });
}

#[test]
fn worker_abstains_when_too_few_dollar_quotes_are_left() {
    with_venues(|venues, pool| {
        for venue in [BITSTAMP, CRYPTO_COM, COINBASE] {
            venues.answer(
                venue,
                Answer {
                    status: 500,
                    ..Answer::ok("")
                },
            );
        }
        // Binance, okx, bybit and kraken are left: four, but one in dollars.
        assert_eq!(btc(pool), None);
    });
}

#[test]
fn worker_abstains_when_too_few_sources_are_configured() {
    with_venues(|_, pool| {
        for venue in ["binance", "okx", "bybit"] {
            Sources::<Test>::remove(name(venue));
        }
        assert_eq!(btc(pool), None, "four answer, five must be configured");
    });
}

#[test]
fn worker_asks_a_source_no_longer_when_it_is_disabled() {
    let disable = |venue| {
        let emergency = RuntimeOrigin::signed(EMERGENCY);
        Oracle::disable_source(emergency, name(venue)).unwrap()
    };
    // Seven quotes of BTC, of which five must be configured: two can go.
    with_venues(|venues, pool| {
        disable("coinbase");
        disable("bitstamp");
        assert_eq!(btc(pool).as_deref(), Some("20000"));
        let asked = venues.requests();
        assert!(!asked.contains(&COINBASE.to_string()) && !asked.contains(&BITSTAMP.to_string()));
        assert_eq!(asked.len(), URLS.len() - 3);
    });
    // Three leave four: they all answer, and still the validator abstains.
    with_venues(|venues, pool| {
        for venue in ["binance", "okx", "bybit"] {
            disable(venue);
        }
        run::<Test>(ROUND);
        assert_eq!(venues.requests().len(), URLS.len() - 3);
        let observation = pool.observation().unwrap();
        assert_eq!(price_in(observation.clone(), BTC), None);
        assert_eq!(price_in(observation, USDT).as_deref(), Some("1"));
    });
}

#[test]
fn worker_submits_nothing_when_nobody_answers() {
    with_venues(|venues, pool| {
        for url in URLS {
            venues.answer(
                url,
                Answer {
                    after: 60_000,
                    ..Answer::ok("{}")
                },
            );
        }
        run::<Test>(ROUND);
        assert!(pool.take().is_none());
        assert_eq!(
            venues.clock(),
            NOW + HTTP_DEADLINE,
            "all at once, one deadline for all"
        );
    });
}

/// The price moves `by` after `millis`; whether the worker speaks.
fn speaks(millis: i64, to: &str) -> bool {
    let mut spoke = false;
    with_venues(|venues, pool| {
        run::<Test>(ROUND);
        assert!(pool.take().is_some());
        let now = NOW.saturating_add_signed(millis);
        venues.requests();
        venues.set_clock(now);
        venues.quote(to, "1", "1", now);
        run::<Test>(ROUND + 1);
        spoke = pool.take().is_some();
    });
    spoke
}

#[test]
fn worker_speaks_when_a_price_deviates_or_the_heart_beats() {
    assert!(!speaks(1_000, "20000"));
    assert!(!speaks(2_999, "20019.9"));
    assert!(speaks(1_000, "20020"));
    assert!(speaks(1_000, "19980"));
    assert!(speaks(3_000, "20000"));
    // The clock was set back.
    assert!(speaks(-5_000, "20000"));
}

#[test]
fn worker_speaks_when_the_set_changed_under_its_last_observation() {
    with_venues(|venues, pool| {
        run::<Test>(ROUND);
        assert!(pool.take().is_some());
        venues.requests();
        venues.set_clock(NOW + 1_000);
        let other = sp_core::sr25519::Public::from_raw([7; 32]).into();
        set_validators(&[generate("//Validator0"), other]);
        run::<Test>(ROUND + 1);
        assert!(pool.take().is_some());
    });
}

#[test]
fn worker_asks_a_source_no_sooner_than_its_interval() {
    with_venues(|venues, pool| {
        run::<Test>(ROUND);
        assert_eq!(venues.requests().len(), URLS.len());
        pool.take();
        venues.set_clock(NOW + 749);
        run::<Test>(ROUND);
        assert!(venues.requests().is_empty());
        assert!(pool.take().is_none());
        venues.set_clock(NOW + 750);
        run::<Test>(ROUND);
        assert_eq!(venues.requests().len(), URLS.len());
    });
}

#[test]
fn worker_leaves_the_round_to_another_when_one_is_at_work() {
    use sp_runtime::offchain::storage_lock::{StorageLock, Time};
    with_venues(|venues, pool| {
        let mut lock = StorageLock::<Time>::new(b"novate::oracle::lock");
        let guard = lock.lock();
        run::<Test>(ROUND);
        assert!(venues.requests().is_empty());
        drop(guard);
        run::<Test>(ROUND);
        assert!(pool.take().is_some());
    });
    // A holder that died does not hold for ever.
    with_venues(|venues, pool| {
        StorageLock::<Time>::new(b"novate::oracle::lock")
            .lock()
            .forget();
        venues.set_clock(NOW + 20_001);
        venues.quote("20000", "1", "1", NOW + 20_001);
        run::<Test>(ROUND);
        assert!(pool.take().is_some());
    });
}

#[test]
fn worker_asks_the_validators_own_gateway_when_it_is_set() {
    with_venues(|venues, pool| {
        let key = [SOURCE_PREFIX, b"coinbase"].concat();
        let set =
            |url: &[u8]| sp_io::offchain::local_storage_set(StorageKind::PERSISTENT, &key, url);
        set(b"http://127.0.0.1:8080/coinbase");
        let own = "http://127.0.0.1:8080/coinbase/products/BTC-USD/ticker";
        venues.answer(own, Answer::ok(coinbase_body("20000", "20000", "20000")));
        run::<Test>(ROUND);
        let asked = venues.requests();
        assert!(asked.contains(&own.to_string()) && !asked.contains(&COINBASE.to_string()));
        assert!(pool.take().is_some());
        // What is no URL is not used.
        for bad in [&b"127.0.0.1"[..], b"http://", b"http://x/", b"\xff", b""] {
            set(bad);
            venues.set_clock(venues.clock() + 1_000);
            run::<Test>(ROUND);
            assert!(venues.requests().contains(&COINBASE.to_string()));
        }
    });
}

#[test]
fn worker_survives_what_is_in_its_local_storage() {
    with_venues(|_, pool| {
        for key in ["requested", "submitted", "reported"] {
            let key = format!("novate::oracle::{key}");
            sp_io::offchain::local_storage_set(StorageKind::PERSISTENT, key.as_bytes(), &[0xff; 7]);
        }
        assert_eq!(btc(pool).as_deref(), Some("20000"));
    });
}
