use crate::{mock::*, GenesisConfig, SeriesRule, SeriesRules};
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

fn rule(base: &[u8]) -> SeriesRule {
    SeriesRule {
        base: base.to_vec().try_into().unwrap(),
        tick_size: tick(),
        lot_size: lot(),
        futures: params(),
        options: params(),
        strike_step: 2_000,
        strikes: 1,
    }
}

fn with_rules(series_rules: Vec<(novate_types::FeedId, SeriesRule)>) -> GenesisConfig<Test> {
    GenesisConfig {
        tiers: vec![(0, tier())],
        series_rules,
        ..Default::default()
    }
}

#[test]
fn genesis_sets_the_rules_that_it_names() {
    let storage = with_rules(vec![(3, rule(b"BTC")), (1, rule(b"ETH"))])
        .build_storage()
        .unwrap();
    sp_io::TestExternalities::new(storage).execute_with(|| {
        let rules = SeriesRules::<Test>::get();
        assert_eq!(rules.get(&3), Some(&rule(b"BTC")));
        assert_eq!(rules.get(&1), Some(&rule(b"ETH")));
        assert_eq!(rules.len(), 2);
        Instruments::do_try_state().unwrap();
    });
}

#[test]
#[should_panic(expected = "InvalidRule")]
fn genesis_is_refused_when_a_rule_breaks_a_bound() {
    build(with_rules(vec![(0, rule(b""))]));
}

#[test]
#[should_panic(expected = "BaseTaken")]
fn genesis_is_refused_when_two_rules_list_the_same_tickers() {
    build(with_rules(vec![(0, rule(b"BTC")), (1, rule(b"BTC"))]));
}

#[test]
#[should_panic(expected = "stands twice")]
fn genesis_is_refused_when_an_underlying_has_two_rules() {
    build(with_rules(vec![(0, rule(b"BTC")), (0, rule(b"XBT"))]));
}
