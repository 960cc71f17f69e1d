use crate::{mock::*, Error, Event, Pending, Subject};
use frame_support::{assert_noop, assert_ok};
use novate_types::{Listing, MarketParams};
use sp_runtime::DispatchError::BadOrigin;

fn emergency() -> RuntimeOrigin {
    RuntimeOrigin::signed(EMERGENCY)
}

fn cap() -> u64 {
    Instruments::market(0).unwrap().params.open_interest_cap
}

#[test]
fn cap_falls_by_any_amount_when_the_emergency_origin_lowers_it() {
    run(|| {
        assert_ok!(Instruments::lower_open_interest_cap(emergency(), 0, 10));
        assert_eq!(
            last_event(),
            Event::OpenInterestCapLowered {
                market: 0,
                old_value: 1_000_000,
                new_value: 10
            }
        );
        assert_ok!(Instruments::lower_open_interest_cap(emergency(), 0, 0));
        assert_eq!(cap(), 0);
    });
}

#[test]
fn cap_is_refused_when_it_is_not_lower() {
    run(|| {
        for new in [1_000_000, 1_000_001, u64::MAX] {
            assert_noop!(
                Instruments::lower_open_interest_cap(emergency(), 0, new),
                Error::<Test>::NotLower
            );
        }
    });
}

#[test]
fn cap_is_refused_when_the_market_is_unknown_or_the_origin_wrong() {
    run(|| {
        assert_noop!(
            Instruments::lower_open_interest_cap(emergency(), 7, 0),
            Error::<Test>::UnknownMarket
        );
        for origin in [RuntimeOrigin::none(), RuntimeOrigin::signed(NOBODY)] {
            assert_noop!(
                Instruments::lower_open_interest_cap(origin, 0, 0),
                BadOrigin
            );
        }
    });
}

#[test]
fn cap_stays_low_when_a_raise_was_scheduled() {
    run(|| {
        let raised = MarketParams {
            open_interest_cap: 1_100_000,
            ..params()
        };
        assert_ok!(Instruments::schedule_market_params(
            RuntimeOrigin::root(),
            0,
            raised
        ));
        assert_ok!(Instruments::lower_open_interest_cap(
            emergency(),
            0,
            999_999
        ));
        assert!(events().contains(&Event::ChangeCancelled {
            subject: Subject::Market(0)
        }));
        assert!(Pending::<Test>::get().is_empty());
        close(100);
        assert_eq!(cap(), 999_999);
    });
}

#[test]
fn cap_leaves_zero_by_the_least_step() {
    run(|| {
        assert_ok!(Instruments::lower_open_interest_cap(emergency(), 0, 0));
        let raise = |open_interest_cap| {
            let new = MarketParams {
                open_interest_cap,
                ..params()
            };
            Instruments::schedule_market_params(RuntimeOrigin::root(), 0, new)
        };
        assert_noop!(raise(11), Error::<Test>::StepTooLarge);
        assert_ok!(raise(10));
        close(11);
        assert_eq!(cap(), 10);
    });
}
