use crate::{mock::*, Error, Event, Pending, Subject, Tiers};
use frame_support::{assert_noop, assert_ok};
use novate_types::RiskTier;
use sp_runtime::DispatchError::BadOrigin;

#[test]
fn change_never_happens_when_it_was_cancelled() {
    run(|| {
        let new = RiskTier {
            imf: 60_000,
            ..tier()
        };
        assert_ok!(Instruments::schedule_tier_change(
            RuntimeOrigin::root(),
            0,
            new
        ));
        assert_ok!(Instruments::schedule_fee_tiers(
            RuntimeOrigin::root(),
            fees(&[(200, 450)])
        ));
        assert_ok!(Instruments::cancel_change(
            RuntimeOrigin::root(),
            Subject::Tier(0)
        ));
        assert_eq!(
            last_event(),
            Event::ChangeCancelled {
                subject: Subject::Tier(0)
            }
        );
        assert_eq!(Pending::<Test>::get().len(), 1);
        close(11);
        assert_eq!(Tiers::<Test>::get(0), Some(tier()));
    });
}

#[test]
fn cancelling_is_refused_when_nothing_is_scheduled() {
    run(|| {
        for subject in [
            Subject::Tier(0),
            Subject::Market(u16::MAX),
            Subject::FeeTiers,
        ] {
            assert_noop!(
                Instruments::cancel_change(RuntimeOrigin::root(), subject),
                Error::<Test>::NoSuchChange
            );
        }
    });
}

#[test]
fn cancelling_is_refused_when_the_origin_is_not_governance() {
    run(|| {
        let new = RiskTier {
            imf: 60_000,
            ..tier()
        };
        assert_ok!(Instruments::schedule_tier_change(
            RuntimeOrigin::root(),
            0,
            new
        ));
        for origin in [
            RuntimeOrigin::none(),
            RuntimeOrigin::signed(NOBODY),
            RuntimeOrigin::signed(EMERGENCY),
        ] {
            assert_noop!(
                Instruments::cancel_change(origin, Subject::Tier(0)),
                BadOrigin
            );
        }
    });
}
