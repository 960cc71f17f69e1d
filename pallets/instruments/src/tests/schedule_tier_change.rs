use crate::{mock::*, Change, Error, Event, Pending, Subject, Tiers};
use frame_support::{assert_noop, assert_ok};
use novate_types::{RiskTier, QUANTUMS};
use sp_runtime::{DispatchError::BadOrigin, DispatchResult};

fn schedule(new: RiskTier) -> DispatchResult {
    Instruments::schedule_tier_change(RuntimeOrigin::root(), 0, new)
}

fn dearer() -> RiskTier {
    RiskTier {
        imf: 60_000,
        ..tier()
    }
}

#[test]
fn change_comes_into_force_when_the_timelock_has_passed() {
    run(|| {
        assert_ok!(schedule(dearer()));
        assert_eq!(
            last_event(),
            Event::ChangeScheduled {
                change: Change::Tier(0, dearer()),
                due: 1 + TIMELOCK
            }
        );
        close(TIMELOCK);
        assert_eq!(Tiers::<Test>::get(0), Some(tier()));
        close(1 + TIMELOCK);
        assert_eq!(Tiers::<Test>::get(0), Some(dearer()));
        assert_eq!(
            last_event(),
            Event::TierChanged {
                tier: 0,
                old_value: tier(),
                new_value: dearer()
            }
        );
        assert!(Pending::<Test>::get().is_empty());
    });
}

#[test]
fn change_is_refused_when_the_origin_is_not_governance() {
    run(|| {
        for origin in [
            RuntimeOrigin::none(),
            RuntimeOrigin::signed(NOBODY),
            RuntimeOrigin::signed(EMERGENCY),
        ] {
            assert_noop!(
                Instruments::schedule_tier_change(origin, 0, dearer()),
                BadOrigin
            );
        }
    });
}

#[test]
fn change_is_refused_when_the_tier_is_unknown() {
    run(|| {
        assert_noop!(
            Instruments::schedule_tier_change(RuntimeOrigin::root(), 200, dearer()),
            Error::<Test>::UnknownTier
        );
    });
}

#[test]
fn change_is_refused_when_nothing_changes() {
    run(|| {
        assert_noop!(schedule(tier()), Error::<Test>::Unchanged);
    });
}

#[test]
fn change_is_refused_when_a_bound_is_broken() {
    run(|| {
        assert_noop!(
            schedule(RiskTier { mmf: 0, ..tier() }),
            Error::<Test>::InvalidMarginFractions
        );
        assert_noop!(
            schedule(RiskTier {
                mark_band: 15_001,
                ..tier()
            }),
            Error::<Test>::InvalidMarkBand
        );
    });
}

#[test]
fn change_is_refused_when_any_parameter_moves_more_than_a_step() {
    let thousand = 1_000 * QUANTUMS;
    run(|| {
        for new in [
            RiskTier {
                imf: 62_501,
                ..tier()
            },
            RiskTier {
                imf: 37_499,
                ..tier()
            },
            RiskTier {
                mmf: 37_501,
                ..tier()
            },
            RiskTier {
                mark_band: 12_501,
                ..tier()
            },
            RiskTier {
                price_band: 37_499,
                ..tier()
            },
            RiskTier {
                open_interest_lower: 12_500_000 * QUANTUMS + 1,
                ..tier()
            },
            RiskTier {
                open_interest_upper: 30_000_000 * QUANTUMS - 1,
                ..tier()
            },
            RiskTier {
                profit_credit: 6_250 * QUANTUMS + 1,
                ..tier()
            },
            RiskTier {
                impact_notional: 7_500 * QUANTUMS - 1,
                ..tier()
            },
            RiskTier {
                call_blocks: 13,
                ..tier()
            },
            RiskTier {
                edge_blocks: 22,
                ..tier()
            },
        ] {
            assert_noop!(schedule(new), Error::<Test>::StepTooLarge);
        }
        // Exactly one step, of everything at once; and from zero by the least step.
        assert_ok!(schedule(RiskTier {
            imf: 62_500,
            mmf: 37_500,
            mark_band: 12_500,
            price_band: 37_500,
            open_interest_lower: 12_500_000 * QUANTUMS,
            open_interest_upper: 30_000_000 * QUANTUMS,
            profit_credit: 6_250 * QUANTUMS,
            impact_notional: 7_500 * QUANTUMS,
            call_blocks: 12,
            edge_blocks: 23,
        }));
        Tiers::<Test>::insert(
            1,
            RiskTier {
                profit_credit: 0,
                ..tier()
            },
        );
        let credit = |profit_credit| {
            let new = RiskTier {
                profit_credit,
                ..tier()
            };
            Instruments::schedule_tier_change(RuntimeOrigin::root(), 1, new)
        };
        assert_noop!(credit(thousand + 1), Error::<Test>::StepTooLarge);
        assert_ok!(credit(thousand));
    });
}

#[test]
fn change_is_refused_when_another_of_the_tier_waits() {
    run(|| {
        assert_ok!(schedule(dearer()));
        assert_noop!(
            schedule(RiskTier {
                imf: 61_000,
                ..tier()
            }),
            Error::<Test>::ChangePending
        );
        // So a parameter moves at most one step a timelock.
        close(1 + TIMELOCK);
        assert_ok!(schedule(RiskTier {
            imf: 75_000,
            ..tier()
        }));
        close(2 * TIMELOCK);
        assert_eq!(Tiers::<Test>::get(0), Some(dearer()));
    });
}

#[test]
fn change_is_refused_when_too_many_wait() {
    run(|| {
        for id in 10..10 + 8 {
            Tiers::<Test>::insert(id, tier());
            assert_ok!(Instruments::schedule_tier_change(
                RuntimeOrigin::root(),
                id,
                dearer()
            ));
        }
        assert_noop!(schedule(dearer()), Error::<Test>::TooManyChanges);
    });
}

#[test]
fn change_is_refused_when_the_timelock_ends_beyond_the_last_block() {
    run(|| {
        System::set_block_number(u32::MAX);
        assert_noop!(schedule(dearer()), Error::<Test>::OutOfRange);
    });
}

#[test]
fn change_waits_for_a_sweep_when_it_raises_maintenance() {
    run(|| {
        let raised = RiskTier {
            mmf: 32_000,
            ..tier()
        };
        System::set_block_number(5);
        assert_ok!(schedule(raised));
        assert_eq!(Instruments::maintenance_ahead(0), Some(32_000));
        sweep_began_at(4);
        close(5 + TIMELOCK);
        assert_eq!(Tiers::<Test>::get(0), Some(tier()));
        sweep_began_at(5);
        close(6 + TIMELOCK);
        assert_eq!(Tiers::<Test>::get(0), Some(raised));
        assert_eq!(Instruments::maintenance_ahead(0), Some(32_000));
    });
}

#[test]
fn change_does_not_wait_for_a_sweep_when_maintenance_stays_or_falls() {
    run(|| {
        sweep_began_at(0);
        let lowered = RiskTier {
            mmf: 28_000,
            imf: 60_000,
            ..tier()
        };
        assert_ok!(schedule(lowered));
        assert_eq!(Instruments::maintenance_ahead(0), Some(30_000));
        close(1 + TIMELOCK);
        assert_eq!(Tiers::<Test>::get(0), Some(lowered));
    });
}

#[test]
fn others_are_applied_when_one_waits_for_a_sweep() {
    run(|| {
        sweep_began_at(0);
        for id in 10..13 {
            Tiers::<Test>::insert(id, tier());
            let raised = RiskTier {
                mmf: 32_000,
                ..tier()
            };
            assert_ok!(Instruments::schedule_tier_change(
                RuntimeOrigin::root(),
                id,
                raised
            ));
        }
        assert_ok!(schedule(dearer()));
        close(1 + TIMELOCK);
        assert_eq!(Tiers::<Test>::get(0), Some(dearer()));
        assert!(Pending::<Test>::get()
            .iter()
            .all(|p| p.change.subject() != Subject::Tier(0)));
        assert_eq!(Pending::<Test>::get().len(), 3);
    });
}

#[test]
fn change_is_dropped_when_it_is_no_longer_a_step_at_its_due_block() {
    run(|| {
        assert_ok!(schedule(dearer()));
        Tiers::<Test>::insert(
            0,
            RiskTier {
                imf: 40_000,
                ..tier()
            },
        );
        close(1 + TIMELOCK);
        assert_eq!(
            Tiers::<Test>::get(0),
            Some(RiskTier {
                imf: 40_000,
                ..tier()
            })
        );
        let error = Error::<Test>::StepTooLarge.into();
        assert_eq!(
            last_event(),
            Event::ChangeDropped {
                subject: Subject::Tier(0),
                error
            }
        );
        assert!(Pending::<Test>::get().is_empty());
    });
}
