use crate::{
    mock::*, series::LOOK_EVERY, Error, Event, Instruments as Listed, SeriesRule, SeriesRules,
    LEAST_TERM, MOST_RULES, MOST_STRIKES, RESERVED_MARKETS,
};
use frame_support::{assert_noop, assert_ok};
use novate_types::{
    symbol::{expiries, EXPIRIES},
    BlockNumber, FeedId, InstrumentKind, Listing, Millis, OptionRight, Price, Ticks, MAX_MARKETS,
};
use sp_runtime::{DispatchError::BadOrigin, DispatchResult};

fn rule() -> SeriesRule {
    SeriesRule {
        base: b"BTC".to_vec().try_into().unwrap(),
        tick_size: tick(),
        lot_size: lot(),
        futures: params(),
        options: params(),
        strike_step: 2_000,
        strikes: 1,
    }
}

fn set(feed: FeedId, rule: Option<SeriesRule>) -> DispatchResult {
    Instruments::set_series_rule(RuntimeOrigin::root(), feed, rule)
}

fn dollars(n: u128) -> Price {
    Price::from_inner(n * 10u128.pow(18))
}

/// So many looks at the rules, at that time and price.
fn look(looks: BlockNumber, now: Millis, price: Option<u128>) {
    for n in 0..looks {
        <Instruments as Listing>::list_due(n * LOOK_EVERY, now, |_| price.map(dollars));
        // Nothing happens in between.
        let before = Listed::<Test>::count();
        <Instruments as Listing>::list_due(n * LOOK_EVERY + 1, now, |_| price.map(dollars));
        assert_eq!(Listed::<Test>::count(), before);
        Instruments::do_try_state().unwrap();
    }
}

/// Strikes of an expiry, in ticks, each with a call and a put.
fn strikes(expiry: Millis) -> Vec<Ticks> {
    let of = |wanted| {
        let mut strikes: Vec<_> = Listed::<Test>::iter_values()
            .filter_map(|listed| match listed.kind {
                InstrumentKind::Option {
                    expiry: of,
                    strike,
                    right,
                } => (of == expiry && right == wanted).then_some(strike),
                _ => None,
            })
            .collect();
        strikes.sort_unstable();
        strikes
    };
    let calls = of(OptionRight::Call);
    assert_eq!(calls, of(OptionRight::Put));
    calls
}

#[test]
fn futures_then_options_nearest_to_the_index_are_listed_one_a_look() {
    run(|| {
        assert_ok!(set(0, Some(rule())));
        let before = Listed::<Test>::count();
        let ahead = expiries(NOW, LEAST_TERM);
        look(1, NOW, Some(60_300));
        assert_eq!(Listed::<Test>::count(), before + 1);
        let newest = Listed::<Test>::iter_values()
            .find(|listed| listed.kind.expiry() == Some(ahead[0]))
            .unwrap();
        assert!(newest.symbol.starts_with(b"BTC-"));
        assert!(matches!(last_event(), Event::MarketListed { .. }));
        look(100, NOW, Some(60_300));
        // Six futures, and six times three strikes on the grid of 1,000 USD, twice.
        assert_eq!(Listed::<Test>::count(), before + 6 + 6 * 3 * 2);
        for expiry in ahead {
            assert_eq!(strikes(expiry), [118_000, 120_000, 122_000]);
        }
        // The grid follows the price, as far as there is room.
        look(100, NOW, Some(61_000));
        assert_eq!(strikes(ahead[0]), [118_000, 120_000, 122_000, 124_000]);
        // A day later the next day is listed, and nothing twice, as far as rules may.
        let most = MAX_MARKETS - RESERVED_MARKETS;
        assert_eq!(Listed::<Test>::count(), most - 1);
        look(100, NOW + 86_400_000, Some(61_000));
        assert_eq!(Listed::<Test>::count(), most);
        // Governance can list still.
        let (kind, tick, lot) = (InstrumentKind::Perpetual, tick(), lot());
        let root = RuntimeOrigin::root();
        assert_ok!(Instruments::list_market(
            root,
            symbol("ETH-PERP"),
            kind,
            1,
            tick,
            lot,
            params()
        ));
    });
}

/// Contracts of an underlying that expire.
fn expiring(feed: FeedId) -> u32 {
    let listed = Listed::<Test>::iter_values();
    let own = listed.filter(|listed| listed.underlying == feed && listed.kind.expiry().is_some());
    own.count() as u32
}

#[test]
fn rules_share_the_markets_evenly_however_many_strikes_they_want() {
    run(|| {
        let wide = |base: &[u8]| SeriesRule {
            base: base.to_vec().try_into().unwrap(),
            strikes: MOST_STRIKES,
            ..rule()
        };
        assert_ok!(set(0, Some(wide(b"BTC"))));
        assert_ok!(set(3, Some(wide(b"ETH"))));
        // Two that look in turn.
        look(200, NOW, Some(60_000));
        let part = (MAX_MARKETS - RESERVED_MARKETS) / 2;
        // One market is governance's.
        assert_eq!((expiring(0), expiring(3)), (part, part - 1));
    });
}

#[test]
fn what_cannot_be_listed_is_passed_over() {
    run(|| {
        // Governance has the first future's ticker, for something else.
        let first = InstrumentKind::Future {
            expiry: expiries(NOW, LEAST_TERM)[0],
        };
        let ticker = novate_types::symbol::symbol_of("BTC", &first, tick())
            .unwrap()
            .unwrap();
        let root = RuntimeOrigin::root();
        let kind = InstrumentKind::Perpetual;
        assert_ok!(Instruments::list_market(
            root,
            ticker,
            kind,
            1,
            tick(),
            lot(),
            params()
        ));
        assert_ok!(set(0, Some(rule())));
        look(5, NOW, Some(60_000));
        assert_eq!(expiring(0) as usize, EXPIRIES - 1);
        look(1, NOW, Some(60_000));
        assert_eq!(strikes_of_all(), 1);
    });
}

/// Options that are listed.
fn strikes_of_all() -> usize {
    let listed = Listed::<Test>::iter_values();
    listed.filter(|listed| listed.kind.is_option()).count()
}

#[test]
fn no_options_are_listed_without_a_fresh_price_or_a_grid() {
    run(|| {
        let before = Listed::<Test>::count();
        assert_ok!(set(0, Some(rule())));
        look(50, NOW, None);
        assert_eq!(Listed::<Test>::count() as usize, before as usize + EXPIRIES);
        let without = SeriesRule {
            strike_step: 0,
            ..rule()
        };
        assert_ok!(set(0, Some(without)));
        look(50, NOW, Some(60_000));
        assert_eq!(Listed::<Test>::count() as usize, before as usize + EXPIRIES);
        assert_ok!(set(0, None));
        assert!(!SeriesRules::<Test>::exists());
        look(50, NOW + 20 * 86_400_000, Some(60_000));
        assert_eq!(Listed::<Test>::count() as usize, before as usize + EXPIRIES);
    });
}

#[test]
fn rules_take_turns() {
    run(|| {
        assert_ok!(set(0, Some(rule())));
        let other = SeriesRule {
            base: b"ETH".to_vec().try_into().unwrap(),
            ..rule()
        };
        assert_ok!(set(3, Some(other)));
        look(6, NOW, Some(60_000));
        assert_eq!((expiring(0), expiring(3)), (3, 3));
    });
}

#[test]
fn a_rule_is_refused_when_it_breaks_a_bound() {
    run(|| {
        let refused = |change: &dyn Fn(&mut SeriesRule), error: Error<Test>| {
            let mut bad = rule();
            change(&mut bad);
            assert_noop!(set(0, Some(bad)), error);
        };
        refused(&|r| r.base = Default::default(), Error::InvalidRule);
        refused(
            &|r| r.base = b"B C".to_vec().try_into().unwrap(),
            Error::InvalidRule,
        );
        refused(&|r| r.strikes = MOST_STRIKES + 1, Error::InvalidRule);
        refused(
            &|r| r.tick_size = Price::from_inner(1),
            Error::TickValueNotWhole,
        );
        refused(&|r| r.options.tier = 200, Error::UnknownTier);
        refused(&|r| r.futures.min_notional = 0, Error::InvalidMinNotional);
        assert_noop!(set(FEEDS, Some(rule())), Error::<Test>::UnknownFeed);
        assert_noop!(set(0, None), Error::<Test>::Unchanged);
        assert_noop!(
            Instruments::set_series_rule(RuntimeOrigin::signed(EMERGENCY), 0, Some(rule())),
            BadOrigin
        );
        let named = |feed: FeedId| SeriesRule {
            base: format!("B{feed}").into_bytes().try_into().unwrap(),
            ..rule()
        };
        assert_ok!(set(1, Some(rule())));
        assert_noop!(set(0, Some(rule())), Error::<Test>::BaseTaken);
        for feed in (0..MOST_RULES as FeedId).filter(|feed| *feed != 1) {
            assert_ok!(set(feed, Some(named(feed))));
        }
        assert_noop!(
            set(MOST_RULES as FeedId, Some(named(9))),
            Error::<Test>::TooManyRules
        );
        assert_noop!(set(1, Some(rule())), Error::<Test>::Unchanged);
        // A broken rule, and two under one name, are detected.
        let good = SeriesRules::<Test>::get();
        for bad in [
            SeriesRule {
                strikes: MOST_STRIKES + 1,
                ..named(2)
            },
            named(3),
        ] {
            SeriesRules::<Test>::mutate(|rules| rules.try_insert(2, bad).unwrap());
            assert!(Instruments::do_try_state().is_err());
            SeriesRules::<Test>::put(good.clone());
        }
        assert_ok!(set(1, None));
        assert_eq!(
            last_event(),
            Event::SeriesRuleSet {
                underlying: 1,
                old_value: Some(rule()),
                new_value: None
            }
        );
    });
}
