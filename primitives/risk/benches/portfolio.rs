//! What a portfolio of 64 legs costs under the default grid, natively: `cargo bench -p novate-risk`.
//!
//! `first` prices every series, `again` finds them priced, as the second account of a block does; `delta` has no options; `exposure` is the bound, again.

extern crate alloc;

#[path = "common/legs.rs"]
mod legs;

use criterion::{criterion_group, criterion_main, Criterion};
use legs::{legs, market};
use novate_risk::portfolio::*;
use std::hint::black_box;

fn portfolio(criterion: &mut Criterion) {
    let (market, params) = (market(), PortfolioParams::standard());
    let legs = legs(&market, 0);
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
