use crate::{mock::*, Error, Event};
use frame_support::{assert_noop, assert_ok};
use novate_types::{Listing, MarketStatus::*};
use sp_runtime::DispatchError::BadOrigin;

#[test]
fn governance_moves_a_market_either_way() {
    run(|| {
        for (old_value, new_value) in [(Open, Halted), (Halted, ReduceOnly), (ReduceOnly, Open)] {
            assert_ok!(Instruments::set_status(RuntimeOrigin::root(), 0, new_value));
            assert_eq!(Instruments::market(0).unwrap().status, new_value);
            assert_eq!(
                last_event(),
                Event::StatusChanged {
                    market: 0,
                    old_value,
                    new_value
                }
            );
        }
    });
}

#[test]
fn status_is_refused_when_it_is_in_force_or_the_market_unknown() {
    run(|| {
        assert_noop!(
            Instruments::set_status(RuntimeOrigin::root(), 0, Open),
            Error::<Test>::Unchanged
        );
        for market in [1, u16::MAX] {
            assert_noop!(
                Instruments::set_status(RuntimeOrigin::root(), market, Halted),
                Error::<Test>::UnknownMarket
            );
        }
    });
}

#[test]
fn status_is_refused_when_the_origin_is_not_governance() {
    run(|| {
        for origin in [
            RuntimeOrigin::none(),
            RuntimeOrigin::signed(NOBODY),
            RuntimeOrigin::signed(EMERGENCY),
        ] {
            assert_noop!(Instruments::set_status(origin, 0, Halted), BadOrigin);
        }
    });
}
