use crate::{mock::*, Error, Event, NextMarket, Pending};
use frame_support::{assert_noop, assert_ok};
use novate_types::{CombinationLegs, InstrumentKind, Listing, MarketParams, MarketStatus};
use sp_runtime::DispatchError::BadOrigin;

fn halt() {
    assert_ok!(Instruments::set_status(
        RuntimeOrigin::root(),
        0,
        MarketStatus::Halted
    ));
}

#[test]
fn market_disappears_when_it_is_halted_and_vacant() {
    run(|| {
        halt();
        let new = MarketParams {
            interest_8h_ppm: 0,
            ..params()
        };
        assert_ok!(Instruments::schedule_market_params(
            RuntimeOrigin::root(),
            0,
            new
        ));
        assert_ok!(Instruments::delist_market(RuntimeOrigin::root(), 0));
        assert_eq!(last_event(), Event::MarketDelisted { market: 0 });
        assert!(Instruments::markets().is_empty());
        assert!(Pending::<Test>::get().is_empty());
    });
}

#[test]
fn number_is_not_used_again_when_its_market_was_removed() {
    run(|| {
        halt();
        assert_ok!(Instruments::delist_market(RuntimeOrigin::root(), 0));
        assert_ok!(Instruments::list_market(
            RuntimeOrigin::root(),
            symbol("BTC-PERP"),
            InstrumentKind::Perpetual,
            0,
            tick(),
            lot(),
            params()
        ));
        assert_eq!(
            Instruments::markets()
                .into_iter()
                .map(|(id, _)| id)
                .collect::<Vec<_>>(),
            [1]
        );
        assert_eq!(NextMarket::<Test>::get(), 2);
    });
}

#[test]
fn removal_is_refused_when_the_market_trades_or_holds_something() {
    run(|| {
        assert_noop!(
            Instruments::delist_market(RuntimeOrigin::root(), 0),
            Error::<Test>::NotHalted
        );
        halt();
        occupy(0);
        assert_noop!(
            Instruments::delist_market(RuntimeOrigin::root(), 0),
            Error::<Test>::NotVacant
        );
    });
}

#[test]
fn removal_is_refused_when_the_market_is_unknown_or_the_origin_wrong() {
    run(|| {
        halt();
        assert_noop!(
            Instruments::delist_market(RuntimeOrigin::root(), 3),
            Error::<Test>::UnknownMarket
        );
        for origin in [
            RuntimeOrigin::none(),
            RuntimeOrigin::signed(NOBODY),
            RuntimeOrigin::signed(EMERGENCY),
        ] {
            assert_noop!(Instruments::delist_market(origin, 0), BadOrigin);
        }
    });
}

#[test]
fn removal_is_refused_when_a_combination_trades_in_the_market() {
    run(|| {
        let list = |name, kind| {
            let root = RuntimeOrigin::root();
            Instruments::list_market(root, symbol(name), kind, 0, tick(), lot(), params())
        };
        assert_ok!(list("BTC-A", InstrumentKind::Perpetual));
        let spread = InstrumentKind::Combination {
            legs: CombinationLegs::new(&[(1, 2), (0, -1)]).unwrap(),
            expiry: None,
        };
        assert_ok!(list("BTC-B", spread));
        halt();
        assert_noop!(
            Instruments::delist_market(RuntimeOrigin::root(), 0),
            Error::<Test>::InCombination
        );
        <Instruments as Listing>::remove(2);
        assert_ok!(Instruments::delist_market(RuntimeOrigin::root(), 0));
    });
}
