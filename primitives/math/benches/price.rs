//! What a price costs natively and in WebAssembly: `cargo bench -p novate-math`.
//!
//! `price` and `greeks` are the nanoseconds of one option: with its forward, strike and deviation at hand, as in a scan, and with all Greeks from plain
//! numbers. `grid` is 64 strikes in 33 scenarios; its throughput is prices a second.

#[path = "../tests/common/grid.rs"]
mod grid;
#[path = "../tests/common/guest.rs"]
mod guest;

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use guest::Guest;
use novate_math::black76;
use std::hint::black_box;

fn native(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("native");
    group.throughput(Throughput::Elements(1));
    let parts: Vec<_> = (0..1_000)
        .map(|n| grid::parts(n).expect("in range"))
        .collect();
    let mut each = parts.iter().cycle();
    group.bench_function("price", |b| {
        b.iter(|| {
            let (kind, forward, strike, deviation, discount) = black_box(each.next()?);
            black76::price(*kind, forward, strike, deviation, *discount).ok()
        })
    });
    let mut each = (0..1_000).cycle();
    group.bench_function("greeks", |b| {
        b.iter(|| each.next().map(|n| grid::option(black_box(n))))
    });
    group.bench_function("level", |b| b.iter(|| grid::levels(black_box(1))));
    group.bench_function("deviation", |b| b.iter(|| grid::deviations(black_box(1))));
    group.throughput(Throughput::Elements(
        (grid::FORWARDS * grid::STRIKES).into(),
    ));
    group.bench_function("grid", |b| b.iter(|| grid::prices(black_box(1))));
}

fn webassembly(criterion: &mut Criterion) {
    let mut guest = Guest::build(env!("CARGO_TARGET_TMPDIR").as_ref());
    let mut group = criterion.benchmark_group("webassembly");
    for (name, count) in [
        ("levels", 1_000),
        ("deviations", 1_000),
        ("greeks", 1_000),
        ("prices", 1),
    ] {
        let function = guest.function::<u32, u64>(name);
        let each = if name == "prices" {
            grid::FORWARDS * grid::STRIKES
        } else {
            1_000
        };
        group.throughput(Throughput::Elements(each.into()));
        group.bench_function(name, |b| b.iter(|| guest.call(&function, black_box(count))));
    }
}

criterion_group!(benches, native, webassembly);
criterion_main!(benches);
