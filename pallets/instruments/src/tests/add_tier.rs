use crate::{mock::*, Error, Event, Tiers, MAX_AMOUNT, MAX_CALL_BLOCKS, MAX_EDGE_BLOCKS};
use frame_support::{assert_noop, assert_ok};
use novate_types::{RiskTier, TierId, MILLION};
use sp_runtime::DispatchError::BadOrigin;

fn add(id: TierId, tier: RiskTier) -> sp_runtime::DispatchResult {
    Instruments::add_tier(RuntimeOrigin::root(), id, tier)
}

#[test]
fn tier_is_stored_when_it_is_new() {
    run(|| {
        assert_ok!(add(9, tier()));
        assert_eq!(Tiers::<Test>::get(9), Some(tier()));
        assert_eq!(
            last_event(),
            Event::TierAdded {
                tier: 9,
                new_value: tier()
            }
        );
    });
}

#[test]
fn tier_is_refused_when_the_origin_is_not_governance() {
    run(|| {
        for origin in [
            RuntimeOrigin::none(),
            RuntimeOrigin::signed(NOBODY),
            RuntimeOrigin::signed(EMERGENCY),
        ] {
            assert_noop!(Instruments::add_tier(origin, 9, tier()), BadOrigin);
        }
    });
}

#[test]
fn tier_is_refused_when_it_exists() {
    run(|| {
        assert_noop!(add(0, tier()), Error::<Test>::TierExists);
    });
}

#[test]
fn tier_is_refused_when_a_parameter_is_out_of_bounds() {
    type E = Error<Test>;
    let cases = [
        (RiskTier { mmf: 0, ..tier() }, E::InvalidMarginFractions),
        (
            RiskTier {
                mmf: 50_000,
                ..tier()
            },
            E::InvalidMarginFractions,
        ),
        (
            RiskTier {
                imf: MILLION + 1,
                ..tier()
            },
            E::InvalidMarginFractions,
        ),
        (
            RiskTier {
                imf: u32::MAX,
                mmf: u32::MAX,
                ..tier()
            },
            E::InvalidMarginFractions,
        ),
        (
            RiskTier {
                mark_band: 0,
                ..tier()
            },
            E::InvalidMarkBand,
        ),
        (
            RiskTier {
                mark_band: 15_001,
                ..tier()
            },
            E::InvalidMarkBand,
        ),
        (
            RiskTier {
                mark_band: u32::MAX,
                ..tier()
            },
            E::InvalidMarkBand,
        ),
        (
            RiskTier {
                price_band: 0,
                ..tier()
            },
            E::InvalidPriceBand,
        ),
        (
            RiskTier {
                price_band: MILLION,
                ..tier()
            },
            E::InvalidPriceBand,
        ),
        (
            RiskTier {
                open_interest_lower: -1,
                ..tier()
            },
            E::InvalidOpenInterestLimits,
        ),
        (
            RiskTier {
                open_interest_upper: tier().open_interest_lower,
                ..tier()
            },
            E::InvalidOpenInterestLimits,
        ),
        (
            RiskTier {
                open_interest_upper: i128::MAX,
                ..tier()
            },
            E::InvalidOpenInterestLimits,
        ),
        (
            RiskTier {
                profit_credit: -1,
                ..tier()
            },
            E::InvalidProfitCredit,
        ),
        (
            RiskTier {
                profit_credit: MAX_AMOUNT + 1,
                ..tier()
            },
            E::InvalidProfitCredit,
        ),
        (
            RiskTier {
                impact_notional: 0,
                ..tier()
            },
            E::InvalidImpactNotional,
        ),
        (
            RiskTier {
                impact_notional: i128::MIN,
                ..tier()
            },
            E::InvalidImpactNotional,
        ),
        (
            RiskTier {
                call_blocks: 0,
                ..tier()
            },
            E::InvalidCallBlocks,
        ),
        (
            RiskTier {
                call_blocks: MAX_CALL_BLOCKS + 1,
                ..tier()
            },
            E::InvalidCallBlocks,
        ),
        (
            RiskTier {
                edge_blocks: 0,
                ..tier()
            },
            E::InvalidEdgeBlocks,
        ),
        (
            RiskTier {
                edge_blocks: MAX_EDGE_BLOCKS + 1,
                ..tier()
            },
            E::InvalidEdgeBlocks,
        ),
    ];
    run(|| {
        for (bad, error) in cases {
            assert_noop!(add(9, bad), error);
        }
    });
}

#[test]
fn tier_is_taken_when_every_parameter_lies_on_its_bound() {
    run(|| {
        let edge = RiskTier {
            imf: MILLION,
            mmf: MILLION - 1,
            open_interest_lower: 0,
            open_interest_upper: MAX_AMOUNT,
            profit_credit: 0,
            impact_notional: MAX_AMOUNT,
            mark_band: (MILLION - 1) / 2,
            price_band: MILLION - 1,
            call_blocks: MAX_CALL_BLOCKS,
            edge_blocks: 1,
        };
        assert_ok!(add(u8::MAX, edge));
        assert_ok!(add(
            9,
            RiskTier {
                mark_band: 15_000,
                ..tier()
            }
        ));
    });
}
