//! A market with sixty series, and accounts of 64 legs in it. Compiled natively and, by `bench/guest`, into WebAssembly.

use alloc::vec::Vec;
use novate_math::black76::Kind;
use novate_risk::portfolio::*;
use novate_types::Price;

/// Six expiries up to 90 days, ten strikes each.
pub fn market() -> Underlying {
    let index = Price::from_u32(60_000);
    let one = Price::from_u32(1);
    let terms = [1, 2, 7, 14, 30, 90].map(|days| {
        Term::new(
            days * 86_400,
            index,
            Price::from_u32(0),
            Signed::from_u32(0),
        )
        .expect("a term")
    });
    let series = (0..60).map(|at| Series {
        term: at % 6,
        strike: Price::from_u32(50_000 + 2_000 * u32::from(at / 6)),
        volatility: Price::from_rational(50 + u128::from(at), 100),
        lot_size: Price::from_rational(1, 10_000),
    });
    Underlying {
        index,
        confidence: one,
        settlement: one,
        open_interest: 0,
        terms: terms.into(),
        series: series.collect(),
    }
}

/// 60 options, each series once, and four linear contracts. Accounts hold other lots of them.
pub fn legs(market: &Underlying, account: usize) -> Vec<Leg> {
    let linear = (0..4).map(|at| Contract::Linear {
        mark: market.index,
        lot_size: Price::from_rational(1, 10_000),
        term: (at > 0).then_some(at),
        mmf: 30_000,
        imf: 50_000,
    });
    let options = (0..60).map(|series| Contract::Option {
        series,
        kind: if series % 2 == 0 {
            Kind::Call
        } else {
            Kind::Put
        },
    });
    let lots = [7_000i64, -3_000, 12_000, -9_000, 500];
    linear
        .chain(options)
        .zip(lots.into_iter().cycle().skip(account % lots.len()))
        .map(|(contract, lots)| Leg { contract, lots })
        .collect()
}
