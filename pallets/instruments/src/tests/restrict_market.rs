use crate::{mock::*, Error, Event};
use frame_support::{assert_noop, assert_ok};
use novate_types::{Listing, MarketStatus::*};
use sp_runtime::DispatchError::BadOrigin;

fn emergency() -> RuntimeOrigin {
    RuntimeOrigin::signed(EMERGENCY)
}

#[test]
fn market_becomes_stricter_when_the_emergency_origin_says_so() {
    run(|| {
        assert_ok!(Instruments::restrict_market(emergency(), 0, ReduceOnly));
        assert_eq!(
            last_event(),
            Event::StatusChanged {
                market: 0,
                old_value: Open,
                new_value: ReduceOnly
            }
        );
        assert_ok!(Instruments::restrict_market(emergency(), 0, Halted));
        assert_eq!(Instruments::market(0).unwrap().status, Halted);
    });
}

#[test]
fn restriction_is_refused_when_it_is_none() {
    run(|| {
        assert_noop!(
            Instruments::restrict_market(emergency(), 0, Open),
            Error::<Test>::NotStricter
        );
        assert_ok!(Instruments::restrict_market(emergency(), 0, Halted));
        for status in [Open, ReduceOnly, Halted] {
            assert_noop!(
                Instruments::restrict_market(emergency(), 0, status),
                Error::<Test>::NotStricter
            );
        }
    });
}

#[test]
fn restriction_is_refused_when_the_market_is_unknown_or_the_origin_wrong() {
    run(|| {
        assert_noop!(
            Instruments::restrict_market(emergency(), u16::MAX, Halted),
            Error::<Test>::UnknownMarket
        );
        for origin in [RuntimeOrigin::none(), RuntimeOrigin::signed(NOBODY)] {
            assert_noop!(Instruments::restrict_market(origin, 0, Halted), BadOrigin);
        }
    });
}
