//! Margin that follows volatility: within steps, never below what governance set, and after a sweep if it rises.

use crate::{mock::*, AboveFloor, Change, Error, Event, Followed, Pending, Subject, Tiers};
use frame_support::{assert_noop, assert_ok};
use novate_types::{FollowVolatility, Listing, MarketParams, Ppm, RiskTier, MILLION};
use proptest::prelude::*;

/// The forecast of the market's underlying asks for a maintenance margin fraction.
fn ask(fraction: Ppm) {
    Instruments::follow(&[(0, fraction)]);
}

fn in_force() -> RiskTier {
    Tiers::<Test>::get(0).unwrap()
}

fn factor() -> Ppm {
    Instruments::followed(0).unwrap().factor
}

/// Asks again and again, a timelock apart, from block `from` on.
fn ask_for_long(fraction: Ppm, from: u32, times: u32) -> u32 {
    let mut block = from;
    for _ in 0..times {
        ask(fraction);
        block += TIMELOCK;
        close(block);
    }
    block
}

#[test]
fn margin_rises_step_by_step_to_what_the_forecast_asks_for() {
    run(|| {
        ask(54_000);
        assert_eq!(
            last_event(),
            Event::ChangeScheduled {
                change: Change::Follow(0, 1_250_000),
                due: 1 + TIMELOCK
            }
        );
        assert_eq!(Instruments::maintenance_ahead(0), Some(37_500));
        close(TIMELOCK);
        assert_eq!(in_force(), tier());
        close(1 + TIMELOCK);
        let first = RiskTier {
            imf: 62_500,
            mmf: 37_500,
            ..tier()
        };
        assert_eq!(in_force(), first);
        assert_eq!(Instruments::tier(0), Some(first));
        assert_eq!(
            last_event(),
            Event::TierChanged {
                tier: 0,
                old_value: tier(),
                new_value: first
            }
        );
        // 1.25² is less than what it takes, 1.8.
        ask_for_long(54_000, 1 + TIMELOCK, 3);
        assert_eq!(
            (factor(), in_force().mmf, in_force().imf),
            (1_800_000, 54_000, 90_000)
        );
        let before = events().len();
        ask(54_000);
        assert_eq!(events().len(), before);
    });
}

#[test]
fn a_rise_waits_for_a_sweep_and_a_fall_does_not() {
    run(|| {
        sweep_began_at(0);
        ask(36_000);
        close(1 + TIMELOCK);
        assert_eq!(in_force(), tier());
        sweep_began_at(1);
        close(2 + TIMELOCK);
        assert_eq!(in_force().mmf, 36_000);
        sweep_began_at(0);
        ask(10_000);
        close(2 + 2 * TIMELOCK);
        assert_eq!(in_force(), tier());
        assert_eq!(AboveFloor::<Test>::get(0), None);
    });
}

#[test]
fn margin_never_falls_below_the_floor_and_noise_moves_nothing() {
    run(|| {
        // Less than governance set, and 4 % more.
        for asked in [0, 29_999, 30_000, 31_200] {
            ask(asked);
            assert!(Pending::<Test>::get().is_empty());
        }
        ask(45_000);
        close(1 + TIMELOCK);
        let high = in_force();
        // A twentieth less than what is in force is not worth a change, the floor itself is.
        ask(36_000);
        assert!(Pending::<Test>::get().is_empty());
        assert_eq!(in_force(), high);
        ask_for_long(0, 1 + TIMELOCK, 2);
        assert_eq!(in_force(), tier());
    });
}

#[test]
fn margin_rises_no_farther_than_allowed() {
    run(|| {
        ask_for_long(Ppm::MAX, 1, 12);
        assert_eq!(factor(), 3 * MILLION);
        assert_eq!(in_force().mmf, 90_000);
    });
}

#[test]
fn a_margin_fraction_never_exceeds_the_whole() {
    run(|| {
        Tiers::<Test>::insert(
            0,
            RiskTier {
                imf: 600_000,
                mmf: 599_999,
                ..tier()
            },
        );
        ask_for_long(Ppm::MAX, 1, 12);
        assert_eq!(factor(), 1_666_666);
        let now = in_force();
        assert!(now.mmf < now.imf && now.imf <= MILLION, "{now:?}");
    });
}

#[test]
fn the_most_volatile_of_a_tiers_underlyings_counts() {
    run(|| {
        assert_ok!(Instruments::list_market(
            RuntimeOrigin::root(),
            symbol("ETH-PERP"),
            novate_types::InstrumentKind::Perpetual,
            1,
            tick(),
            lot(),
            params(),
        ));
        Instruments::follow(&[(0, 33_000), (1, 36_000), (2, 90_000)]);
        close(1 + TIMELOCK);
        assert_eq!(in_force().mmf, 36_000);
        // Nothing is known of either: nothing changes.
        Instruments::follow(&[(2, 90_000)]);
        Instruments::follow(&[]);
        assert!(Pending::<Test>::get().is_empty());
    });
}

#[test]
fn governance_takes_the_place_of_the_forecast_and_moves_the_floor() {
    run(|| {
        let dearer = RiskTier {
            imf: 60_000,
            mmf: 36_000,
            ..tier()
        };
        ask(37_500);
        close(1 + TIMELOCK);
        assert_eq!((factor(), in_force().mmf), (1_250_000, 37_500));
        // The forecast wants more, and gives way.
        ask(60_000);
        assert_ok!(Instruments::schedule_tier_change(
            RuntimeOrigin::root(),
            0,
            dearer
        ));
        assert!(events().contains(&Event::ChangeCancelled {
            subject: Subject::Tier(0)
        }));
        ask(60_000);
        assert_eq!(Pending::<Test>::get().len(), 1);
        assert_eq!(Instruments::maintenance_ahead(0), Some(45_000));
        close(1 + 2 * TIMELOCK);
        assert_eq!(
            AboveFloor::<Test>::get(0),
            Some(Followed {
                floor: dearer,
                factor: 1_250_000
            })
        );
        assert_eq!((in_force().imf, in_force().mmf), (75_000, 45_000));
        // What it sets is measured against the floor.
        assert_noop!(
            Instruments::schedule_tier_change(RuntimeOrigin::root(), 0, dearer),
            Error::<Test>::Unchanged
        );
        assert_noop!(
            Instruments::schedule_tier_change(
                RuntimeOrigin::root(),
                0,
                RiskTier {
                    imf: 80_000,
                    ..dearer
                }
            ),
            Error::<Test>::StepTooLarge
        );
        // A scheduled step of the forecast can be cancelled like any.
        ask(60_000);
        assert_ok!(Instruments::cancel_change(
            RuntimeOrigin::root(),
            Subject::Tier(0)
        ));
        assert!(Pending::<Test>::get().is_empty());
    });
}

#[test]
fn a_market_that_moves_finds_its_new_tier_at_rest() {
    run(|| {
        let moved = MarketParams {
            tier: 1,
            ..params()
        };
        // Tier 1 has another market, whose forecast asks for more.
        assert_ok!(Instruments::insert_market(novate_types::Instrument {
            underlying: 3,
            params: moved,
            ..instrument("SOL-PERP")
        }));
        Instruments::follow(&[(3, 40_000)]);
        assert_eq!(Pending::<Test>::get().len(), 1);
        assert_ok!(Instruments::schedule_market_params(
            RuntimeOrigin::root(),
            0,
            moved
        ));
        Instruments::follow(&[(3, 40_000)]);
        assert_eq!(Pending::<Test>::get().len(), 1);
        close(1 + TIMELOCK);
        assert_eq!(Instruments::market(0).unwrap().params.tier, 1);
        Instruments::follow(&[(3, 40_000)]);
        close(1 + 2 * TIMELOCK);
        assert_eq!(Tiers::<Test>::get(1).unwrap().mmf, 40_001);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is asked for, margin stays between the floor and the most, and is at what was asked for once that stood long enough.
    #[test]
    fn margin_reaches_what_is_asked_for_within_its_bounds(
        asked in prop::collection::vec(0u32..200_000, 1..12),
    ) {
        run(|| {
            let mut block = 1;
            for fraction in asked {
                block = ask_for_long(fraction, block, 1);
                let now = in_force();
                assert!((30_000..=90_000).contains(&now.mmf));
                assert!(now.mmf < now.imf && now.mark_band <= now.mmf / 2);
                Instruments::do_try_state().unwrap();
            }
            let last = 47_000;
            ask_for_long(last, block, 12);
            // Within the twentieth that is not worth a change.
            assert!(in_force().mmf.abs_diff(last) <= last / 18, "{}", in_force().mmf);
        });
    }
}

/// What a tier's following adds to scans comes in its own steps, which wait for a sweep: nobody is moved into it.
#[test]
fn a_market_moves_to_no_tier_that_follows_more() {
    run(|| {
        let followed = Instruments::followed(1).unwrap();
        let half = Followed {
            floor: RiskTier {
                imf: followed.floor.imf / 2,
                mmf: followed.floor.mmf / 2,
                ..followed.floor
            },
            factor: 2 * MILLION,
        };
        assert_ok!(Instruments::put_followed(1, half));
        assert_eq!(
            (Instruments::factor(0), Instruments::factor(1)),
            (MILLION, 2 * MILLION)
        );
        let moved = |tier| MarketParams { tier, ..params() };
        let schedule = |to| Instruments::schedule_market_params(RuntimeOrigin::root(), 0, to);
        assert_noop!(schedule(moved(1)), Error::<Test>::StepTooLarge);
        assert_ok!(Instruments::put_followed(1, followed));
        assert_ok!(schedule(moved(1)));
    });
}
