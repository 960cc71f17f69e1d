//! What a portfolio of 64 legs costs under the default grid, natively: `cargo bench -p novate-risk`.
//!
//! `first` prices every series, `again` finds them priced, as the second account of a block does; `delta` has no options; `exposure` is the bound, again.

use criterion::{criterion_group, criterion_main, Criterion};
use novate_math::black76::Kind;
use novate_risk::portfolio::*;
use novate_types::Price;
use std::hint::black_box;

fn market() -> Underlying {
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

/// 60 options, each series once, and four linear contracts.
fn legs(market: &Underlying) -> Vec<Leg> {
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
        .zip(lots.into_iter().cycle())
        .map(|(contract, lots)| Leg { contract, lots })
        .collect()
}

fn portfolio(criterion: &mut Criterion) {
    let (market, params) = (market(), PortfolioParams::standard());
    let legs = legs(&market);
    let mut shared = Prices::new(&market, &params).expect("prices");
    let mut group = criterion.benchmark_group("portfolio");
    group.bench_function("first", |b| {
        b.iter(|| {
            let mut prices = Prices::new(black_box(&market), &params).expect("prices");
            PortfolioMargin::of(black_box(&legs), &mut prices)
        })
    });
    group.bench_function("again", |b| {
        b.iter(|| PortfolioMargin::of(black_box(&legs), &mut shared))
    });
    group.bench_function("delta", |b| {
        b.iter(|| PortfolioMargin::of(black_box(&legs[..4]), &mut shared))
    });
    group.bench_function("exposure", |b| {
        b.iter(|| Exposure::of(black_box(&legs), &mut shared))
    });
}

criterion_group!(benches, portfolio);
criterion_main!(benches);
