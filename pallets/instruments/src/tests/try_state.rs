//! Every invariant is broken once, and seen.

use crate::{
    mock::*, AboveFloor, Change, FeeTierList, Followed, Instruments as Listed, NextMarket, Pending,
    Scheduled, Tiers,
};
use novate_types::{FeeTier, Instrument, MarketParams, RiskTier};

fn detects(drift: impl FnOnce()) {
    new_test_ext().execute_with(|| {
        Instruments::do_try_state().unwrap();
        drift();
        assert!(Instruments::do_try_state().is_err());
    });
}

#[test]
fn drift_is_detected_when_an_instrument_breaks_a_bound() {
    detects(|| {
        Listed::<Test>::insert(
            0,
            Instrument {
                tick_value: 0,
                ..instrument("BTC-PERP")
            },
        )
    });
    detects(|| {
        let params = MarketParams {
            tier: 77,
            ..params()
        };
        Listed::<Test>::insert(
            0,
            Instrument {
                params,
                ..instrument("BTC-PERP")
            },
        );
    });
}

#[test]
fn drift_is_detected_when_two_markets_share_a_symbol_or_a_number_is_not_given_yet() {
    detects(|| {
        NextMarket::<Test>::put(2);
        Listed::<Test>::insert(1, instrument("BTC-PERP"));
    });
    detects(|| Listed::<Test>::insert(1, instrument("ETH-PERP")));
}

#[test]
fn drift_is_detected_when_the_count_is_wrong() {
    detects(|| {
        let key = Listed::<Test>::hashed_key_for(0);
        frame_support::storage::unhashed::kill(&key);
    });
}

#[test]
fn drift_is_detected_when_a_tier_or_fee_breaks_a_bound() {
    detects(|| Tiers::<Test>::insert(7, RiskTier { mmf: 0, ..tier() }));
    detects(|| {
        FeeTierList::<Test>::mutate(|f| {
            f[1] = FeeTier {
                maker_ppm: -500,
                taker_ppm: 400,
            }
        })
    });
}

#[test]
fn drift_is_detected_when_two_changes_have_one_subject_or_a_due_block_is_too_early() {
    let add = |due| {
        Pending::<Test>::try_append(Scheduled {
            change: Change::Tier(0, tier()),
            since: 1,
            due,
        })
        .unwrap();
    };
    detects(|| {
        add(2);
        add(3);
    });
    detects(|| add(0));
}

#[test]
fn drift_is_detected_when_a_tier_is_not_the_multiple_of_its_floor() {
    let followed = |factor| Followed {
        floor: tier(),
        factor,
    };
    detects(|| AboveFloor::<Test>::insert(0, followed(1_250_000)));
    detects(|| AboveFloor::<Test>::insert(0, followed(1_000_000)));
    detects(|| {
        let broken = RiskTier {
            mark_band: 0,
            ..tier()
        };
        AboveFloor::<Test>::insert(
            0,
            Followed {
                floor: broken,
                factor: 1_250_000,
            },
        );
    });
}
