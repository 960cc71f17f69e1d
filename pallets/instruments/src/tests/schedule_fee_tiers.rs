use crate::{mock::*, Change, Error, Event, FeeTierList};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::{DispatchError::BadOrigin, DispatchResult};

fn schedule(tiers: &[(i32, i32)]) -> DispatchResult {
    Instruments::schedule_fee_tiers(RuntimeOrigin::root(), fees(tiers))
}

#[test]
fn fees_come_into_force_when_the_timelock_has_passed() {
    run(|| {
        let (old_value, new_value) = (
            FeeTierList::<Test>::get(),
            fees(&[(250, 600), (-100, 350), (-200, 300)]),
        );
        assert_ok!(Instruments::schedule_fee_tiers(
            RuntimeOrigin::root(),
            new_value.clone()
        ));
        assert_eq!(
            last_event(),
            Event::ChangeScheduled {
                change: Change::FeeTiers(new_value.clone()),
                due: 11
            }
        );
        close(10);
        assert_eq!(FeeTierList::<Test>::get(), old_value);
        close(11);
        assert_eq!(FeeTierList::<Test>::get(), new_value);
        assert_eq!(
            last_event(),
            Event::FeeTiersChanged {
                old_value,
                new_value
            }
        );
    });
}

#[test]
fn fees_are_refused_when_the_origin_is_not_governance() {
    run(|| {
        for origin in [
            RuntimeOrigin::none(),
            RuntimeOrigin::signed(NOBODY),
            RuntimeOrigin::signed(EMERGENCY),
        ] {
            assert_noop!(
                Instruments::schedule_fee_tiers(origin, fees(&[(200, 500)])),
                BadOrigin
            );
        }
    });
}

#[test]
fn fees_are_refused_when_some_pair_of_tiers_would_be_paid_to_trade() {
    run(|| {
        // Each tier by itself is above zero: it is the dearest maker's rebate against the cheapest taker's fee.
        assert_noop!(
            schedule(&[(200, 500), (-150, 140)]),
            Error::<Test>::FeePairBelowZero
        );
        assert_noop!(
            schedule(&[(-200, 500), (-200, 199)]),
            Error::<Test>::FeePairBelowZero
        );
        assert_ok!(schedule(&[(200, 500), (-200, 300), (-200, 200)]));
    });
}

#[test]
fn fees_are_refused_when_a_bound_or_a_step_is_broken() {
    type E = Error<Test>;
    run(|| {
        assert_noop!(schedule(&[]), E::NoFeeTier);
        assert_noop!(schedule(&[(200, 500), (-100, 400)]), E::Unchanged);
        assert_noop!(schedule(&[(200, 500), (-100, 501)]), E::FeeTiersUnsorted);
        assert_noop!(schedule(&[(200, 500), (201, 400)]), E::FeeTiersUnsorted);
        assert_noop!(schedule(&[(200, 10_001)]), E::FeeTooHigh);
        assert_noop!(schedule(&[(i32::MIN, i32::MAX)]), E::FeeTooHigh);
        assert_noop!(schedule(&[(200, 626)]), E::StepTooLarge);
        assert_noop!(schedule(&[(301, 500)]), E::StepTooLarge);
        assert_ok!(schedule(&[(300, 625)]));
        assert_noop!(schedule(&[(200, 500)]), E::ChangePending);
    });
}
