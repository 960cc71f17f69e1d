use crate::{
    mock::*, Error, Event, Instruments as Listed, NextMarket, LEAST_TERM, MAX_AMOUNT,
    MAX_FUNDING_CAP_FACTOR, MOST_TERM,
};
use frame_support::{assert_noop, assert_ok};
use novate_types::{
    CombinationLegs, FeedId, InstrumentKind, MarketId, MarketParams, Millis, OptionRight, Price,
    MAX_MARKETS,
};
use sp_runtime::{DispatchError::BadOrigin, DispatchResult};

fn list(name: &str, feed: FeedId, tick: Price, lot: Price, params: MarketParams) -> DispatchResult {
    let kind = InstrumentKind::Perpetual;
    Instruments::list_market(
        RuntimeOrigin::root(),
        symbol(name),
        kind,
        feed,
        tick,
        lot,
        params,
    )
}

#[test]
fn market_gets_the_next_number_when_it_is_listed() {
    run(|| {
        assert_ok!(list("ETH-PERP", 3, tick(), lot(), params()));
        let expected = novate_types::Instrument {
            underlying: 3,
            ..instrument("ETH-PERP")
        };
        assert_eq!(Listed::<Test>::get(1), Some(expected.clone()));
        assert_eq!(NextMarket::<Test>::get(), 2);
        assert_eq!(
            last_event(),
            Event::MarketListed {
                market: 1,
                instrument: expected
            }
        );
    });
}

#[test]
fn market_is_refused_when_the_origin_is_not_governance() {
    run(|| {
        for origin in [
            RuntimeOrigin::none(),
            RuntimeOrigin::signed(NOBODY),
            RuntimeOrigin::signed(EMERGENCY),
        ] {
            let kind = InstrumentKind::Perpetual;
            assert_noop!(
                Instruments::list_market(origin, symbol("A"), kind, 0, tick(), lot(), params()),
                BadOrigin
            );
        }
    });
}

#[test]
fn market_is_refused_when_its_symbol_is_no_ticker() {
    run(|| {
        for bad in ["", "BTC PERP", "BTC\u{7f}", "ΒTC", "A\n"] {
            assert_noop!(
                list(bad, 0, tick(), lot(), params()),
                Error::<Test>::InvalidSymbol
            );
        }
    });
}

#[test]
fn market_is_refused_when_its_symbol_is_taken() {
    run(|| {
        assert_noop!(
            list("BTC-PERP", 0, tick(), lot(), params()),
            Error::<Test>::SymbolTaken
        );
    });
}

#[test]
fn market_is_refused_when_its_feed_is_unknown() {
    run(|| {
        for feed in [FEEDS, u16::MAX] {
            assert_noop!(
                list("A", feed, tick(), lot(), params()),
                Error::<Test>::UnknownFeed
            );
        }
    });
}

#[test]
fn market_is_refused_when_its_tick_value_is_not_whole() {
    let (zero, most) = (Price::from_inner(0), Price::from_inner(u128::MAX));
    run(|| {
        for (tick, lot) in [
            (zero, lot()),
            (tick(), zero),
            (
                Price::from_rational(1, 100),
                Price::from_rational(1, 100_000),
            ),
            (
                Price::from_rational(3, 2_000_000),
                Price::from_rational(1, 1),
            ),
            (most, most),
        ] {
            assert_noop!(
                list("A", 0, tick, lot, params()),
                Error::<Test>::TickValueNotWhole
            );
        }
    });
}

#[test]
fn market_is_refused_when_a_parameter_is_out_of_bounds() {
    type E = Error<Test>;
    run(|| {
        for (bad, error) in [
            (
                MarketParams {
                    tier: 9,
                    ..params()
                },
                E::UnknownTier,
            ),
            (
                MarketParams {
                    min_notional: 0,
                    ..params()
                },
                E::InvalidMinNotional,
            ),
            (
                MarketParams {
                    min_notional: i128::MIN,
                    ..params()
                },
                E::InvalidMinNotional,
            ),
            (
                MarketParams {
                    min_notional: MAX_AMOUNT + 1,
                    ..params()
                },
                E::InvalidMinNotional,
            ),
            (
                MarketParams {
                    open_interest_cap: 1 << 63,
                    ..params()
                },
                E::InvalidOpenInterestCap,
            ),
            (
                MarketParams {
                    open_interest_cap: u64::MAX,
                    ..params()
                },
                E::InvalidOpenInterestCap,
            ),
            (
                MarketParams {
                    interest_8h_ppm: 10_001,
                    ..params()
                },
                E::InvalidInterest,
            ),
            (
                MarketParams {
                    interest_8h_ppm: i32::MIN,
                    ..params()
                },
                E::InvalidInterest,
            ),
            (
                MarketParams {
                    funding_cap_factor: 0,
                    ..params()
                },
                E::InvalidFundingCapFactor,
            ),
            (
                MarketParams {
                    funding_cap_factor: MAX_FUNDING_CAP_FACTOR + 1,
                    ..params()
                },
                E::InvalidFundingCapFactor,
            ),
        ] {
            assert_noop!(list("A", 0, tick(), lot(), bad), error);
        }
    });
}

#[test]
fn market_is_refused_when_a_close_can_carry_no_more() {
    run(|| {
        for n in 1..MAX_MARKETS {
            assert_ok!(list(&format!("M-{n}"), 0, tick(), lot(), params()));
        }
        assert_noop!(
            list("ONE-MORE", 0, tick(), lot(), params()),
            Error::<Test>::TooManyMarkets
        );
    });
}

#[test]
fn market_is_refused_when_the_numbers_are_used_up() {
    run(|| {
        NextMarket::<Test>::put(u16::MAX);
        assert_noop!(
            list("A", 0, tick(), lot(), params()),
            Error::<Test>::OutOfRange
        );
    });
}

fn list_kind(kind: InstrumentKind) -> DispatchResult {
    Instruments::list_market(
        RuntimeOrigin::root(),
        symbol("BTC-X"),
        kind,
        0,
        tick(),
        lot(),
        params(),
    )
}

#[test]
fn contracts_that_expire_are_listed_when_there_is_time_to_trade_them() {
    run(|| {
        let future = |expiry| InstrumentKind::Future { expiry };
        for bad in [0, NOW, NOW + LEAST_TERM - 1, NOW + MOST_TERM + 1, u64::MAX] {
            assert_noop!(list_kind(future(bad)), Error::<Test>::InvalidExpiry);
        }
        assert_ok!(list_kind(future(NOW + LEAST_TERM)));
        assert_eq!(
            Listed::<Test>::get(1).unwrap().kind.expiry(),
            Some(NOW + LEAST_TERM)
        );
    });
}

#[test]
fn an_option_is_refused_when_its_strike_is_no_price() {
    run(|| {
        let option = |strike| InstrumentKind::Option {
            expiry: NOW + MOST_TERM,
            strike,
            right: OptionRight::Put,
        };
        assert_noop!(list_kind(option(0)), Error::<Test>::InvalidStrike);
        assert_noop!(
            list_kind(InstrumentKind::Option {
                expiry: NOW,
                strike: 1,
                right: OptionRight::Call,
            }),
            Error::<Test>::InvalidExpiry
        );
        assert_ok!(list_kind(option(1)));
    });
}

fn combination(legs: &[(MarketId, i8)], expiry: Option<Millis>) -> InstrumentKind {
    InstrumentKind::Combination {
        legs: CombinationLegs::new(legs).unwrap(),
        expiry,
    }
}

/// Futures 1 and 2, the second of which expires later, and a market 3 of a coarser tick.
fn list_legs() {
    for (name, expiry) in [("BTC-A", NOW + 2 * LEAST_TERM), ("BTC-B", NOW + MOST_TERM)] {
        assert_ok!(Instruments::list_market(
            RuntimeOrigin::root(),
            symbol(name),
            InstrumentKind::Future { expiry },
            0,
            tick(),
            lot(),
            params()
        ));
    }
    assert_ok!(list("BTC-C", 0, Price::from_u32(1), lot(), params()));
}

#[test]
fn a_combination_is_listed_when_its_legs_can_be_traded_together() {
    run(|| {
        list_legs();
        let calendar = combination(&[(2, 1), (1, -1)], Some(NOW + 2 * LEAST_TERM));
        assert_ok!(list_kind(calendar));
        assert_eq!(Listed::<Test>::get(4).unwrap().kind, calendar);
        // Three of one leg for one of another, and with what never expires.
        assert_ok!(Instruments::list_market(
            RuntimeOrigin::root(),
            symbol("BTC-Y"),
            combination(&[(0, 3), (2, -1), (1, -2)], Some(NOW + 2 * LEAST_TERM)),
            0,
            tick(),
            lot(),
            params()
        ));
    });
}

#[test]
fn a_combination_is_refused_when_its_legs_do_not_fit() {
    run(|| {
        list_legs();
        assert_ok!(list("ETH-PERP", 3, tick(), lot(), params()));
        assert_ok!(Instruments::list_market(
            RuntimeOrigin::root(),
            symbol("BTC-Y"),
            combination(&[(0, 1), (2, -1)], Some(NOW + MOST_TERM)),
            0,
            tick(),
            lot(),
            params()
        ));
        let first = Some(NOW + 2 * LEAST_TERM);
        type E = Error<Test>;
        for (legs, error) in [
            // One alone, nothing of one, twice the same, of another tick, of another underlying, another combination, none to take the rest.
            (vec![(1, 1)], E::InvalidLegs),
            (vec![(1, 1), (2, 0)], E::InvalidLegs),
            (vec![(1, 1), (1, -1)], E::InvalidLegs),
            (vec![(1, 1), (3, -1)], E::InvalidLegs),
            (vec![(1, 1), (4, -1)], E::InvalidLegs),
            (vec![(1, 1), (5, -1)], E::InvalidLegs),
            (vec![(1, 2), (2, -2)], E::InvalidLegs),
            (vec![(1, 1), (9, -1)], E::UnknownMarket),
        ] {
            assert_noop!(list_kind(combination(&legs, first)), error);
        }
        // It ends with the first of them, and not another time.
        for expiry in [None, Some(NOW + MOST_TERM)] {
            let calendar = combination(&[(2, 1), (1, -1)], expiry);
            assert_noop!(list_kind(calendar), Error::<Test>::InvalidExpiry);
        }
        assert_eq!(CombinationLegs::new(&[(0, 1); 5]), None);
    });
}
