//! The worker's round of volatilities, against venues that answer well, badly or late.

use super::recorded::*;
use crate::{
    mock::*,
    surface::{
        worker::{DEADLINE, MAX_CHAIN_BODY},
        SurfaceObservation,
    },
    types::*,
    venues::*,
    worker::run,
    Event, Surfaces,
};
use novate_types::Millis;

const ROUND: u32 = BLOCK - 1;
const DERIBIT: &str =
    "https://www.deribit.com/api/v2/public/get_book_summary_by_currency?currency=BTC&kind=option";
const OKX: &str = "https://www.okx.com/api/v5/public/opt-summary?instFamily=BTC-USD";
const BYBIT: &str = "https://api.bybit.com/v5/market/tickers?category=option&baseCoin=BTC";

/// The recorded tickers, dated a millisecond before the moment of the request.
fn dated(now: Millis) -> Vec<Row> {
    let mut rows = rows();
    rows.iter_mut().for_each(|row| row.ts = now - 1);
    rows
}

/// Deribit and OKX answer with the recorded chain, and nobody quotes prices.
fn with_chains(test: impl FnOnce(&Venues, &Pool)) {
    with_venues(|venues, pool| {
        for (name, _) in genesis_sources() {
            put(Change::Source(name, None));
        }
        want_surface();
        for (source, made) in [
            ("deribit", with_options(deribit(vec![]), deribit_chain())),
            ("okx", with_options(okx(vec![]), okx_chain())),
        ] {
            put(Change::Source(name(source), Some(Box::new(made))));
        }
        crate::Prices::<Test>::kill();
        BlockMillis::set(THEN);
        venues.set_clock(THEN);
        answer(venues, 1_000_000);
        System::reset_events();
        test(venues, pool);
    });
}

/// OKX's volatilities are the recorded ones times `ppm`.
fn answer(venues: &Venues, ppm: u128) {
    let rows = dated(venues.clock());
    venues.answer(DERIBIT, Answer::ok(deribit_body(&rows)));
    venues.answer(OKX, Answer::ok(okx_body(&rows, ppm)));
}

fn observed(pool: &Pool) -> Option<SurfaceObservation> {
    let (prices, mut surfaces) = pool.observations();
    assert!(prices.is_empty() && surfaces.len() <= 1);
    surfaces.pop()
}

/// A round some seconds later.
fn later(venues: &Venues, pool: &Pool, seconds: u64) -> Option<SurfaceObservation> {
    venues.set_clock(venues.clock() + seconds * 1_000);
    answer(venues, 1_000_000);
    run::<Test>(ROUND);
    observed(pool)
}

#[test]
fn worker_submits_what_becomes_the_surface_when_two_venues_answer() {
    with_chains(|venues, pool| {
        run::<Test>(ROUND);
        assert_eq!(venues.requests(), [DERIBIT, OKX]);
        let transaction = pool.take().unwrap();
        apply(transaction.clone()).unwrap();
        assert!(apply(transaction).is_err(), "not twice");
        for _ in 0..crate::surface::WINDOW {
            next_block(1_000);
        }
        close();
        let expiries: Vec<Millis> = EXPIRIES
            .iter()
            .map(|d| FIRST_EXPIRY + d * 86_400_000)
            .collect();
        assert!(events().contains(&Event::SurfaceRenewed {
            feed: BTC,
            renewed: expiries.clone(),
            refused: vec![],
        }));
        let surface = Surfaces::<Test>::get(BTC);
        assert!(surface.0.iter().map(|s| s.expiry).eq(expiries));
        assert!(surface.0.iter().all(|s| s.observed_at == THEN));
        // Deribit's mark of the recorded day at the money: 80 % for three weeks.
        let money = surface.0[3].smile.at_the_money() as f64 / 1e12;
        assert!((money.sqrt() - 0.78).abs() < 0.01, "{}", money.sqrt());
    });
}

#[test]
fn worker_takes_the_mean_of_two_venues_and_nothing_when_they_disagree() {
    with_chains(|venues, pool| {
        run::<Test>(ROUND);
        let same = observed(pool).unwrap();
        // Volatility a tenth higher: variance 21 % higher, and the mean of the two 10.5 %.
        venues.set_clock(venues.clock() + 30_000);
        answer(venues, 1_100_000);
        run::<Test>(ROUND);
        let mean = observed(pool).unwrap();
        for (a, b) in same.smiles.iter().zip(&mean.smiles) {
            let ratio = b.smile.at_the_money() as f64 / a.smile.at_the_money() as f64;
            assert!((ratio - 1.105).abs() < 1e-3, "{ratio}");
        }
        venues.set_clock(venues.clock() + 30_000);
        answer(venues, 1_600_000);
        run::<Test>(ROUND);
        assert_eq!(observed(pool), None);
    });
}

#[test]
fn worker_stands_on_two_of_three_venues_when_the_third_fails_in_any_way() {
    let huge = format!("[\"{}\"]", "x".repeat(MAX_CHAIN_BODY));
    let deep = "[".repeat(100_000);
    let late = Answer {
        after: DEADLINE + 1,
        ..Answer::ok(bybit_body(&dated(THEN)))
    };
    let broken = Answer {
        breaks: true,
        ..Answer::ok(bybit_body(&dated(THEN)))
    };
    let refused = Answer {
        status: 503,
        ..Answer::ok("")
    };
    let mut lies = dated(THEN);
    lies.iter_mut()
        .for_each(|row| row.volatility = "300".into());
    let answers = [
        Answer::ok(""),
        Answer::ok("{}"),
        Answer::ok(huge),
        Answer::ok(deep),
        Answer::ok(vec![0xff, 0xfe]),
        Answer::ok(bybit_body(&lies)),
        late,
        broken,
        refused,
    ];
    for bad in answers {
        with_chains(|venues, pool| {
            let third = with_options(bybit(vec![]), bybit_chain());
            put(Change::Source(name("bybit"), Some(Box::new(third))));
            venues.answer(BYBIT, bad.clone());
            run::<Test>(ROUND);
            assert_eq!(venues.requests().len(), 3);
            let seen = observed(pool).unwrap();
            assert_eq!(seen.smiles.len(), EXPIRIES.len());
            assert!((seen.smiles[3].smile.at_the_money() as f64 / 1e12 - 0.61).abs() < 0.02);
        });
    }
}

#[test]
fn worker_is_silent_when_one_venue_is_left() {
    with_chains(|venues, pool| {
        venues.answer(OKX, Answer::ok("{}"));
        run::<Test>(ROUND);
        assert_eq!(observed(pool), None);
    });
}

#[test]
fn worker_asks_when_every_source_is_due_and_submits_on_news_or_a_heartbeat() {
    with_chains(|venues, pool| {
        run::<Test>(ROUND);
        assert!(observed(pool).is_some());
        venues.requests();
        assert_eq!(later(venues, pool, 9), None);
        assert!(
            venues.requests().is_empty(),
            "a source is asked every ten seconds"
        );
        assert_eq!(later(venues, pool, 1), None);
        assert_eq!(venues.requests().len(), 2);
        assert_eq!(later(venues, pool, 10), None);
        assert!(later(venues, pool, 10).is_some(), "a heartbeat");
        // One per cent of variance is no news, two are.
        venues.set_clock(venues.clock() + 10_000);
        answer(venues, 1_009_000);
        run::<Test>(ROUND);
        assert_eq!(observed(pool), None);
        venues.set_clock(venues.clock() + 10_000);
        answer(venues, 1_021_000);
        run::<Test>(ROUND);
        assert!(observed(pool).is_some());
    });
}

#[test]
fn worker_asks_for_no_options_when_no_feed_wants_a_surface() {
    with_chains(|venues, pool| {
        put(Change::Feed(BTC, Some(Feed::new("BTC"))));
        run::<Test>(ROUND);
        assert!(venues.requests().is_empty());
        assert_eq!(observed(pool), None);
    });
}

/// Prices are asked for and submitted first: option chains keep no price waiting.
#[test]
fn prices_come_before_volatilities() {
    with_chains(|venues, pool| {
        let quoted = with_options(okx(vec![quoted_in(BTC, "BTC-USDT", USDT)]), okx_chain());
        put(Change::Source(name("okx"), Some(Box::new(quoted))));
        run::<Test>(ROUND);
        assert_eq!(venues.requests(), [URLS[7], DERIBIT, OKX]);
        assert!(observed(pool).is_some());
    });
}

#[test]
fn a_source_is_refused_when_its_options_could_not_be_asked() {
    use crate::types::ConfigError::*;
    let check = |change: &dyn Fn(&mut OptionChain)| {
        let mut chain = deribit_chain();
        change(&mut chain);
        with_options(deribit(vec![]), chain).check()
    };
    assert_eq!(check(&|_| {}), Ok(()));
    assert_eq!(deribit(vec![]).check(), Err(BadQuotes));
    assert_eq!(
        check(&|c| c.path = Text::truncated("x/{symbol}")),
        Err(BadUrl)
    );
    assert_eq!(check(&|c| c.path = Text::truncated("/x")), Err(BadUrl));
    assert_eq!(
        check(&|c| c.path = Text::truncated("/{symbol} ")),
        Err(BadText)
    );
    assert_eq!(
        check(&|c| c.list = Text::truncated("result")),
        Err(BadPointer)
    );
    assert_eq!(
        check(&|c| c.min_interval = MAX_CHAIN_INTERVAL + 1),
        Err(BadInterval)
    );
    assert_eq!(
        check(&|c| c.underlyings[0].symbol = Text::truncated("")),
        Err(BadText)
    );
    assert_eq!(
        check(&|c| c.underlyings = Default::default()),
        Err(BadQuotes)
    );
    let twice = |c: &mut OptionChain| {
        let again = c.underlyings[0].clone();
        c.underlyings.try_push(again).unwrap();
    };
    assert_eq!(check(&twice), Err(BadQuotes));
}
