use crate::{mock::*, Change, Error, Event, Instruments as Listed, Pending, Subject, Tiers};
use frame_support::{assert_noop, assert_ok};
use novate_types::{MarketParams, RiskTier, QUANTUMS};
use sp_runtime::{DispatchError::BadOrigin, DispatchResult};

fn schedule(new: MarketParams) -> DispatchResult {
    Instruments::schedule_market_params(RuntimeOrigin::root(), 0, new)
}

fn in_force() -> MarketParams {
    Listed::<Test>::get(0).unwrap().params
}

#[test]
fn change_comes_into_force_when_the_timelock_has_passed() {
    run(|| {
        let new_value = MarketParams {
            open_interest_cap: 1_250_000,
            min_notional: 12 * QUANTUMS,
            ..params()
        };
        assert_ok!(schedule(new_value));
        assert_eq!(
            last_event(),
            Event::ChangeScheduled {
                change: Change::Market(0, new_value),
                due: 11
            }
        );
        close(10);
        assert_eq!(in_force(), params());
        close(11);
        assert_eq!(in_force(), new_value);
        assert_eq!(
            last_event(),
            Event::MarketParamsChanged {
                market: 0,
                old_value: params(),
                new_value
            }
        );
    });
}

#[test]
fn change_is_refused_when_the_origin_is_not_governance() {
    let new = MarketParams {
        interest_8h_ppm: 0,
        ..params()
    };
    run(|| {
        for origin in [
            RuntimeOrigin::none(),
            RuntimeOrigin::signed(NOBODY),
            RuntimeOrigin::signed(EMERGENCY),
        ] {
            assert_noop!(
                Instruments::schedule_market_params(origin, 0, new),
                BadOrigin
            );
        }
    });
}

#[test]
fn change_is_refused_when_the_market_is_unknown() {
    let new = MarketParams {
        interest_8h_ppm: 0,
        ..params()
    };
    run(|| {
        for market in [1, u16::MAX] {
            assert_noop!(
                Instruments::schedule_market_params(RuntimeOrigin::root(), market, new),
                Error::<Test>::UnknownMarket
            );
        }
    });
}

#[test]
fn change_is_refused_when_a_bound_or_a_step_is_broken() {
    type E = Error<Test>;
    run(|| {
        for (new, error) in [
            (params(), E::Unchanged),
            (
                MarketParams {
                    tier: 9,
                    ..params()
                },
                E::UnknownTier,
            ),
            (
                MarketParams {
                    min_notional: -1,
                    ..params()
                },
                E::InvalidMinNotional,
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
                    open_interest_cap: 1_250_001,
                    ..params()
                },
                E::StepTooLarge,
            ),
            (
                MarketParams {
                    min_notional: 1_010 * QUANTUMS + 1,
                    ..params()
                },
                E::StepTooLarge,
            ),
            (
                MarketParams {
                    interest_8h_ppm: -1,
                    ..params()
                },
                E::StepTooLarge,
            ),
            (
                MarketParams {
                    funding_cap_factor: 7_500_001,
                    ..params()
                },
                E::StepTooLarge,
            ),
        ] {
            assert_noop!(schedule(new), error);
        }
        assert_ok!(schedule(MarketParams {
            interest_8h_ppm: 0,
            ..params()
        }));
        assert_noop!(
            schedule(MarketParams {
                interest_8h_ppm: 1,
                ..params()
            }),
            E::ChangePending
        );
    });
}

#[test]
fn market_is_refused_a_tier_when_that_is_farther_than_a_step() {
    run(|| {
        Tiers::<Test>::insert(
            5,
            RiskTier {
                imf: 100_000,
                ..tier()
            },
        );
        assert_noop!(
            schedule(MarketParams {
                tier: 5,
                ..params()
            }),
            Error::<Test>::StepTooLarge
        );
    });
}

#[test]
fn market_moves_to_a_dearer_tier_when_a_sweep_has_completed() {
    run(|| {
        sweep_began_at(0);
        assert_ok!(schedule(MarketParams {
            tier: 1,
            ..params()
        }));
        assert_eq!(Instruments::maintenance_ahead(0), Some(33_000));
        close(11);
        assert_eq!(in_force().tier, 0);
        sweep_began_at(1);
        close(12);
        assert_eq!(in_force().tier, 1);
    });
}

#[test]
fn maintenance_ahead_counts_what_the_market_moves_to_and_a_rise_of_where_it_is() {
    run(|| {
        assert_eq!(Instruments::maintenance_ahead(0), Some(30_000));
        assert_eq!(Instruments::maintenance_ahead(9), None);
        assert_ok!(schedule(MarketParams {
            tier: 1,
            ..params()
        }));
        assert_eq!(Instruments::maintenance_ahead(0), Some(33_000));
        let raised = RiskTier {
            mmf: 36_000,
            ..tier()
        };
        assert_ok!(Instruments::schedule_tier_change(
            RuntimeOrigin::root(),
            0,
            raised
        ));
        assert_eq!(Instruments::maintenance_ahead(0), Some(36_000));
    });
}

#[test]
fn change_is_dropped_when_its_tier_moved_away_meanwhile() {
    run(|| {
        assert_ok!(schedule(MarketParams {
            tier: 1,
            ..params()
        }));
        Tiers::<Test>::insert(
            1,
            RiskTier {
                mmf: 45_000,
                ..tier()
            },
        );
        close(11);
        assert_eq!(in_force(), params());
        let error = Error::<Test>::StepTooLarge.into();
        assert_eq!(
            last_event(),
            Event::ChangeDropped {
                subject: Subject::Market(0),
                error
            }
        );
        assert!(Pending::<Test>::get().is_empty());
    });
}

#[test]
fn market_does_not_move_to_a_tier_that_is_about_to_change() {
    let moved = MarketParams {
        tier: 1,
        ..params()
    };
    let raised = RiskTier {
        mmf: 36_000,
        ..tier()
    };
    let change_tier = |id, new| Instruments::schedule_tier_change(RuntimeOrigin::root(), id, new);
    run(|| {
        assert_ok!(change_tier(1, raised));
        assert_noop!(schedule(moved), Error::<Test>::TierChanging);
        assert_ok!(Instruments::cancel_change(
            RuntimeOrigin::root(),
            Subject::Tier(1)
        ));
        assert_ok!(schedule(moved));
        assert_noop!(change_tier(1, raised), Error::<Test>::TierChanging);
        // The tier that it leaves may change: the step to the other is judged against both.
        assert_ok!(change_tier(
            0,
            RiskTier {
                mmf: 31_000,
                ..tier()
            }
        ));
        close(11);
        assert_eq!(in_force().tier, 1);
        // A timelock later than the market's own step.
        assert_ok!(change_tier(1, raised));
        close(20);
        assert_eq!(Tiers::<Test>::get(1).map(|t| t.mmf), Some(33_000));
        close(21);
        assert_eq!(Tiers::<Test>::get(1), Some(raised));
        // A change of the tier is none for a market that stays in it.
        assert_ok!(change_tier(
            1,
            RiskTier {
                mmf: 37_000,
                ..raised
            }
        ));
        assert_ok!(schedule(MarketParams {
            min_notional: 11 * QUANTUMS,
            ..moved
        }));
    });
}
