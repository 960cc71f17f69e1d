//! Random markets and portfolios.

use novate_math::{black76::Kind, Scaled};
use novate_risk::portfolio::*;
use novate_types::{Price, Size};
use proptest::{collection::vec, prelude::*};

/// Units of the underlying in a lot: 10⁻³.
pub const LOT: Size = Size::from_inner(1_000_000_000_000_000);
/// Lots of one unit.
pub const UNIT: i64 = 1_000;
pub const DAY: u64 = 86_400;

/// `parts / 10⁶` with 18 decimals.
pub fn ppm(parts: u64) -> Unsigned {
    Unsigned::from_inner(u128::from(parts) * 1_000_000_000_000)
}

pub fn signed_ppm(parts: i64) -> Signed {
    Signed::from_inner(i128::from(parts) * 1_000_000_000_000)
}

/// `price · parts / 10⁶`, rounded down.
pub fn part(price: Price, parts: u64) -> Price {
    Price::from_inner(price.into_inner() / 1_000_000 * u128::from(parts))
}

/// As many cases as a property needs, or as `PROPTEST_CASES` asks for.
pub fn runs(needed: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: asked.and_then(|n| n.parse().ok()).unwrap_or(needed),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// One expiry with its strikes: seconds left, forward and rate in ppm of index and one, strikes and volatilities in ppm.
type Listed = (u64, u64, i64, Vec<(u64, u64)>);

fn any_listed(least: u64) -> impl Strategy<Value = Listed> {
    let seconds = prop_oneof![
        2 => least..=DAY,
        4 => DAY.max(least)..30 * DAY,
        3 => 30 * DAY..120 * DAY,
        1 => Just(30 * DAY),
        1 => 120 * DAY..365 * DAY,
    ];
    let strike = prop_oneof![3 => 800_000u64..1_250_000, 1 => 200_000u64..4_000_000];
    (
        seconds,
        950_000u64..1_100_000,
        -100_000i64..500_000,
        vec((strike, 50_000u64..3_000_000), 1..4),
    )
}

/// A market whose expiries are at least so many seconds away.
pub fn any_market(least: u64) -> impl Strategy<Value = Underlying> {
    (1u64..100_000_000, vec(any_listed(least), 1..4)).prop_map(|(millis, listed)| {
        let index = Price::from_rational(u128::from(millis), 1_000);
        let mut market = Underlying {
            index,
            confidence: ppm(1_000_000),
            settlement: ppm(1_000_000),
            open_interest: 0,
            terms: Vec::new(),
            series: Vec::new(),
        };
        for (seconds, forward, rate, strikes) in listed {
            let forward = part(index, forward);
            let term = market.terms.len() as u16;
            market
                .terms
                .push(Term::new(seconds, forward, Price::from_u32(0), signed_ppm(rate)).unwrap());
            for (strike, volatility) in strikes {
                let strike = part(index, strike);
                let listed = |s: &Series| s.term == term && s.strike == strike;
                if !market.series.iter().any(listed) {
                    market.series.push(Series {
                        term,
                        strike,
                        volatility: ppm(volatility),
                        lot_size: LOT,
                    });
                }
            }
        }
        market
    })
}

/// What a leg is in (a perpetual, a future, options, collateral), which of it, and lots.
pub type Pick = (u8, u16, i64);

pub fn any_picks() -> impl Strategy<Value = Vec<Pick>> {
    let lots = prop_oneof![
        4 => -20 * UNIT..20 * UNIT,
        1 => -1_000_000 * UNIT..1_000_000 * UNIT,
        1 => -3i64..4,
    ];
    vec((0u8..8, any::<u16>(), lots), 1..8)
}

pub fn perpetual(mark: Price) -> Contract {
    Contract::Linear {
        mark,
        lot_size: LOT,
        term: None,
        mmf: 30_000,
        imf: 50_000,
    }
}

pub fn leg(market: &Underlying, (what, which, lots): Pick) -> Leg {
    let term = which % market.terms.len() as u16;
    let series = which % market.series.len() as u16;
    let option = |kind| Contract::Option { series, kind };
    let contract = match what {
        0 => perpetual(part(market.index, 999_000)),
        1 => Contract::Linear {
            mark: part(market.terms[usize::from(term)].forward, 1_001_000),
            lot_size: LOT,
            term: Some(term),
            mmf: 40_000,
            imf: 80_000,
        },
        2 => Contract::Collateral {
            price: part(market.index, 995_000),
            lot_size: LOT,
            moves: which % 2 == 0,
            haircut: Rates {
                maintenance: ppm(30_000),
                initial_extra: ppm(20_000),
            },
            confidence: ppm(1_000_000),
        },
        3..=5 => option(Kind::Call),
        _ => option(Kind::Put),
    };
    let lots = if what == 2 { lots.abs() } else { lots };
    Leg { contract, lots }
}

pub fn legs(market: &Underlying, picks: &[Pick]) -> Vec<Leg> {
    picks.iter().map(|pick| leg(market, *pick)).collect()
}

/// A market, and what its picks come to.
pub fn any_portfolio(least: u64) -> impl Strategy<Value = (Underlying, Vec<Leg>)> {
    (any_market(least), any_picks()).prop_map(|(market, picks)| {
        let legs = legs(&market, &picks);
        (market, legs)
    })
}

pub fn number(x: Unsigned) -> Scaled {
    Scaled::from_18_decimals(x.into_inner()).unwrap()
}
