//! What a large portfolio costs in one block: 64 strikes in 33 scenarios. Compiled natively and, by `tests/guest`, into WebAssembly.

use core::hint::black_box;
use novate_math::{
    black76::{self, Deviation, Kind, Level},
    Result, Scaled,
};

/// Forwards of the grid.
pub const FORWARDS: u32 = 33;
/// Strikes of the grid, each with a volatility of its own.
pub const STRIKES: u32 = 64;

fn forward(n: u32) -> Result<Level> {
    Level::new(Scaled::from(20_000 + 3_001 * u64::from(n)))
}

fn strike(n: u32) -> Result<Level> {
    Level::new(Scaled::from(30_000 + 1_000 * u64::from(n)))
}

fn deviation(n: u32) -> Result<Deviation> {
    Deviation::new(Scaled::ratio(10 + u128::from(n), 400)?)
}

/// Every price of the grid, by so many rounds, into one word.
pub fn prices(rounds: u32) -> u64 {
    let forwards: [_; FORWARDS as usize] = core::array::from_fn(|n| forward(n as u32));
    let strikes: [_; STRIKES as usize] =
        core::array::from_fn(|n| (strike(n as u32), deviation(n as u32)));
    let mut all = 0;
    for round in 0..rounds {
        let kind = if round % 2 == 0 {
            Kind::Call
        } else {
            Kind::Put
        };
        for forward in forwards.iter().flatten() {
            for (strike, deviation) in &strikes {
                if let (Ok(strike), Ok(deviation)) = (strike, deviation) {
                    let price = black76::price(kind, forward, strike, deviation, Scaled::ONE);
                    all = fold(all, price);
                }
            }
        }
    }
    all
}

/// So many forwards, into one word.
pub fn levels(count: u32) -> u64 {
    (0..count).fold(0, |all, n| {
        fold(all, forward(n).map(|level| black_box(level).price()))
    })
}

/// So many deviations, into one word.
pub fn deviations(count: u32) -> u64 {
    (0..count).fold(0, |all, n| {
        fold(all, deviation(n).map(|s| black_box(s).value()))
    })
}

fn fold(all: u64, x: Result<Scaled>) -> u64 {
    all.rotate_left(1) ^ x.map_or(0, |x| (x.mantissa() >> 64) as u64)
}
