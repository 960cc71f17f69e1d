//! The bound that the threshold index rests on, against full revaluation.

use crate::{common::float, generate::*};
use novate_math::{black76::Kind, exp, Scaled};
use novate_risk::portfolio::*;
use novate_types::{
    math::{asset_value_floor, position_value_floor},
    Cash, Price,
};
use proptest::{collection::vec, prelude::*};

/// Equity less maintenance margin, without cash.
fn slack(legs: &[Leg], market: &Underlying, params: &PortfolioParams) -> Cash {
    let mut prices = Prices::new(market, params).unwrap();
    let mut equity = option_value_floor(legs, &mut prices).unwrap();
    for leg in legs {
        match leg.contract {
            Contract::Linear { mark, lot_size, .. } => {
                equity += position_value_floor(leg.lots, mark, lot_size).unwrap();
            }
            Contract::Collateral { price, .. } => {
                equity += asset_value_floor(leg.lots as u128, 3, price).unwrap() as Cash;
            }
            Contract::Option { .. } => {}
        }
    }
    equity
        - PortfolioMargin::of(legs, &mut prices)
            .unwrap()
            .required()
            .maintenance
}

/// A price after a signed move in ppm.
fn moved(price: Price, ppm: i64) -> Price {
    part(price, (1_000_000 + ppm) as u64)
}

fn moved_legs(legs: &[Leg], by: impl Fn(usize) -> i64) -> Vec<Leg> {
    let mut legs = legs.to_vec();
    for (at, leg) in legs.iter_mut().enumerate() {
        match &mut leg.contract {
            Contract::Linear { mark: price, .. } | Contract::Collateral { price, .. } => {
                *price = moved(*price, by(at));
            }
            Contract::Option { .. } => {}
        }
    }
    legs
}

/// What the account may have lost, at most.
fn bound(
    legs: &[Leg],
    market: &Underlying,
    params: &PortfolioParams,
    delta: u64,
    rho: u64,
    growth: f64,
) -> f64 {
    let mut prices = Prices::new(market, params).unwrap();
    let exposure = Exposure::of(legs, &mut prices).unwrap();
    // The second account finds what the first computed.
    assert_eq!(Exposure::of(legs, &mut prices), Ok(exposure));
    let rounding = ROUNDING_PER_LEG * (legs.len() as Cash + 1);
    exposure.price as f64 * delta as f64 / 1e6
        + exposure.deviation as f64 * rho as f64 / 1e6
        + exposure.carry as f64 * growth
        + rounding as f64
        // A moved price drops digits, and a float has 53 bits.
        + exposure.price as f64 * 1e-12
}

/// Where a mark ends within its bound: at an end of it, or anywhere.
fn any_within() -> impl Strategy<Value = i64> {
    prop_oneof![
        2 => Just(1_000_000i64),
        2 => Just(-1_000_000i64),
        1 => Just(0i64),
        2 => -1_000_000i64..=1_000_000,
    ]
}

fn within(part: i64, most: u64) -> i64 {
    (i128::from(part) * i128::from(most) / 1_000_000) as i64
}

fn any_move() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..1_000, 0u64..20_000, 0u64..300_000]
}

proptest! {
    #![proptest_config(runs(600))]

    /// One price for all, from end to end of the bound.
    #[test]
    fn account_stays_above_maintenance_when_prices_move_within_the_bound(
        (market, legs) in any_portfolio(3_600), delta in any_move(),
    ) {
        let params = PortfolioParams::standard();
        let before = slack(&legs, &market, &params);
        let allowed = bound(&legs, &market, &params, delta, 0, 0.0);
        for step in -10i64..=10 {
            let by = within(step * 100_000, delta);
            let mut there = market.clone();
            there.index = moved(market.index, by);
            for term in &mut there.terms {
                term.forward = moved(term.forward, by);
            }
            let after = slack(&moved_legs(&legs, |_| by), &there, &params);
            prop_assert!((before - after) as f64 <= allowed, "lost {} of {} at {}", before - after, allowed, by);
        }
    }

    #[test]
    fn account_stays_above_maintenance_when_volatilities_move_within_the_bound(
        (market, legs) in any_portfolio(3_600), rho in prop_oneof![any_move(), Just(1_000_000)],
    ) {
        let params = PortfolioParams::standard();
        let before = slack(&legs, &market, &params);
        let allowed = bound(&legs, &market, &params, 0, rho, 0.0);
        for step in -10i64..=10 {
            let mut there = market.clone();
            for series in &mut there.series {
                series.volatility = moved(series.volatility, within(step * 100_000, rho));
            }
            let after = slack(&legs, &there, &params);
            prop_assert!((before - after) as f64 <= allowed, "lost {} of {}", before - after, allowed);
        }
    }

    #[test]
    fn account_stays_above_maintenance_when_time_passes_within_the_bound(
        (market, legs) in any_portfolio(3_600), rho in prop_oneof![any_move(), Just(999_999)],
    ) {
        let params = PortfolioParams::standard();
        let before = slack(&legs, &market, &params);
        for step in 0u64..=10 {
            let fall = rho * step / 10;
            let (there, growth) = later(&market, |_| fall);
            let allowed = bound(&legs, &market, &params, 0, rho, growth);
            let after = slack(&legs, &there, &params);
            prop_assert!((before - after) as f64 <= allowed, "lost {} of {}", before - after, allowed);
        }
    }

    /// Every mark by itself, at once with volatilities and time.
    #[test]
    fn account_stays_above_maintenance_when_everything_moves_within_the_bound(
        (market, legs) in any_portfolio(3_600),
        (delta, rho) in (any_move(), any_move()),
        parts in vec(any_within(), 32),
    ) {
        let params = PortfolioParams::standard();
        let before = slack(&legs, &market, &params);
        let part = |at: usize| parts[at % parts.len()];
        // Volatility takes one half of the deviation's move, time the other.
        let half = rho / 2;
        let (mut there, growth) = later(&market, |at| part(at).unsigned_abs() * half / 1_000_000);
        there.index = moved(market.index, within(part(3), delta));
        for (at, term) in there.terms.iter_mut().enumerate() {
            term.forward = moved(term.forward, within(part(4 + at), delta));
        }
        for (at, series) in there.series.iter_mut().enumerate() {
            series.volatility = moved(series.volatility, within(part(8 + at), half));
        }
        let after = slack(&moved_legs(&legs, |at| within(part(20 + at), delta)), &there, &params);
        let allowed = bound(&legs, &market, &params, delta, rho, growth);
        prop_assert!((before - after) as f64 <= allowed, "lost {} of {}", before - after, allowed);
    }
}

/// The market after every `√T` has fallen by so many ppm, and by how much its discounts have grown at most.
fn later(market: &Underlying, fall: impl Fn(usize) -> u64) -> (Underlying, f64) {
    let mut there = market.clone();
    let mut growth = 0f64;
    for (at, term) in there.terms.iter_mut().enumerate() {
        let left = Scaled::ratio(u128::from(1_000_000 - fall(at)), 1_000_000).unwrap();
        let before = term.discount;
        term.years = term.years.times(left.times(left).unwrap()).unwrap();
        let discount = exp(term.rate.times(term.years).unwrap().negated()).unwrap();
        term.discount = discount.min(Scaled::ONE);
        growth = growth.max(float(term.discount.over(before).unwrap()) - 1.0);
    }
    (there, growth)
}

/// One option, short, of a strike on an index and forward of 1,000.
fn short(kind: Kind, strike: u32, volatility: u64, days: u64, rate: i64) -> (Underlying, Vec<Leg>) {
    let price = Price::from_u32;
    let term = Term::new(days * DAY, price(1_000), price(0), signed_ppm(rate));
    let market = Underlying {
        index: price(1_000),
        confidence: ppm(1_000_000),
        settlement: ppm(1_000_000),
        open_interest: 0,
        terms: vec![term.unwrap()],
        series: vec![Series {
            term: 0,
            strike: price(strike),
            volatility: ppm(volatility),
            lot_size: LOT,
        }],
    };
    let contract = Contract::Option { series: 0, kind };
    let lots = -UNIT;
    (market, vec![Leg { contract, lots }])
}

/// A call 2 % out of the money, 30 days: by parts it needs 8 % there and 10 % at the money, so its margin rises as fast as the index.
fn short_call() -> (Underlying, Vec<Leg>) {
    short(Kind::Call, 1_020, 600_000, 30, 0)
}

/// At the money and 10 % up; the margin by parts stays.
#[test]
fn bound_on_volatility_is_not_twice_what_an_option_at_the_money_loses() {
    let params = PortfolioParams::standard();
    let (market, legs) = short(Kind::Call, 1_000, 600_000, 30, 0);
    let mut there = market.clone();
    there.series[0].volatility = ppm(660_000);
    let lost = slack(&legs, &market, &params) - slack(&legs, &there, &params);
    let allowed = bound(&legs, &market, &params, 0, 100_000, 0.0);
    assert!(lost as f64 > 0.55 * allowed, "{lost} of {allowed}");
}

/// Far in the money at a rate of 50 %: what a year's put is worth grows as three quarters of it pass.
#[test]
fn bound_on_discounts_is_not_four_times_what_an_option_in_the_money_loses() {
    let params = PortfolioParams::standard();
    let (market, legs) = short(Kind::Put, 4_000, 50_000, 365, 500_000);
    let (there, growth) = later(&market, |_| 500_000);
    let lost = slack(&legs, &market, &params) - slack(&legs, &there, &params);
    let allowed = bound(&legs, &market, &params, 0, 500_000, growth);
    let without = bound(&legs, &market, &params, 0, 500_000, 0.0);
    assert!(lost as f64 > without, "discounts decide");
    assert!(lost as f64 > 0.3 * allowed, "{lost} of {allowed}");
}

/// Section 7 with `m = 0.8 ×` the largest undamped shock: `|lots|·P·(1 + 0.18)·(1 + 0.8·0.18)` per unit of move.
#[test]
fn one_factor_for_all_is_not_safe_when_parts_are_the_lesser() {
    let params = PortfolioParams::standard();
    let (market, legs) = short_call();
    let mut prices = Prices::new(&market, &params).unwrap();
    let margin = PortfolioMargin::of(&legs, &mut prices).unwrap();
    assert!(margin.by_parts.maintenance < margin.by_scan.maintenance);
    let before = slack(&legs, &market, &params);
    // 2 %: the account has a slack of just what that factor allows for.
    let by = 20_000;
    let single = 1_000e6 * 1.18 * 1.144 * 0.02;
    let mut there = market.clone();
    there.index = moved(market.index, by);
    there.terms[0].forward = moved(market.terms[0].forward, by);
    let lost = (before - slack(&legs, &there, &params)) as f64;
    let allowed = bound(&legs, &market, &params, 20_000, 0, 0.0);
    assert!(lost > 1.1 * single, "lost {lost}, {single} allowed for");
    assert!(lost <= allowed);
    // Not idle: three quarters of the bound.
    assert!(lost > 0.7 * allowed, "{lost} of {allowed}");
}

#[test]
fn exposure_of_a_perpetual_is_its_notional_with_the_margin_of_either_rule() {
    let params = PortfolioParams::standard();
    let (market, _) = short_call();
    let mut prices = Prices::new(&market, &params).unwrap();
    let contract = perpetual(market.index);
    let exposure = Exposure::of(
        &[Leg {
            contract,
            lots: UNIT,
        }],
        &mut prices,
    )
    .unwrap();
    // 1,000·(1 + 0.8·0.18) and 1.5 % of contingency; by parts it would be 1,030.
    let want = 1_159_000_000;
    assert!((want..want + 2).contains(&exposure.price), "{exposure:?}");
    // Two roundings of nothing.
    assert!(exposure.deviation <= 1 && exposure.carry <= 1);
}
