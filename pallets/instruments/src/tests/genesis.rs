use crate::{mock::*, GenesisConfig};
use novate_types::{FeeTier, Instrument, Listing, RiskTier};
use sp_runtime::BuildStorage;

fn build(genesis: GenesisConfig<Test>) {
    genesis.build_storage().map(|_| ()).unwrap();
}

#[test]
fn genesis_lists_what_it_names() {
    run(|| {
        assert_eq!(Instruments::markets(), [(0, instrument("BTC-PERP"))]);
        assert_eq!(Instruments::tier(0), Some(tier()));
        assert_eq!(Instruments::tier(2), None);
        assert_eq!(
            Instruments::fee_tiers()[1],
            FeeTier {
                maker_ppm: -100,
                taker_ppm: 400
            }
        );
    });
}

#[test]
#[should_panic(expected = "stands twice")]
fn genesis_is_refused_when_a_tier_stands_twice() {
    build(GenesisConfig {
        tiers: vec![(0, tier()), (0, tier())],
        ..Default::default()
    });
}

#[test]
#[should_panic(expected = "InvalidMarginFractions")]
fn genesis_is_refused_when_a_tier_breaks_a_bound() {
    build(GenesisConfig {
        tiers: vec![(0, RiskTier { mmf: 0, ..tier() })],
        ..Default::default()
    });
}

#[test]
#[should_panic(expected = "UnknownTier")]
fn genesis_is_refused_when_a_market_has_no_tier() {
    build(GenesisConfig {
        markets: vec![instrument("A")],
        ..Default::default()
    });
}

#[test]
#[should_panic(expected = "TickValueNotWhole")]
fn genesis_is_refused_when_a_tick_value_is_wrong() {
    let wrong = Instrument {
        tick_value: 51,
        ..instrument("A")
    };
    build(GenesisConfig {
        tiers: vec![(0, tier())],
        markets: vec![wrong],
        ..Default::default()
    });
}

#[test]
#[should_panic(expected = "FeePairBelowZero")]
fn genesis_is_refused_when_it_pays_for_trades() {
    build(GenesisConfig {
        fee_tiers: vec![FeeTier {
            maker_ppm: -2,
            taker_ppm: 1,
        }],
        ..Default::default()
    });
}
