use crate::{
    mock::*, Error, Event, Instruments as Listed, NextMarket, LEAST_TERM, MAX_AMOUNT,
    MAX_FUNDING_CAP_FACTOR, MOST_TERM,
};
use frame_support::{assert_noop, assert_ok};
use novate_types::{FeedId, InstrumentKind, MarketParams, OptionRight, Price, MAX_MARKETS};
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
