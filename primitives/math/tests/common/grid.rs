//! What a large portfolio costs in one block, 64 strikes in 33 scenarios, and what an option costs by itself. Compiled natively and, by
//! `tests/guest` and `bench/guest`, into WebAssembly.

#![allow(dead_code)]

use core::hint::black_box;
use novate_math::{
    black76::{self, Deviation, Expiry, Greeks, Kind, Level},
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

/// What an option's price takes: its kind, forward, strike, deviation and discount.
pub type Parts = (Kind, Level, Level, Deviation, Scaled);

/// Some option from plain numbers: 1 to 90 days, a third of the forward to either side, 30 to 109 percent of volatility, 4 percent of interest.
fn terms(n: u32) -> Result<(Kind, Level, Level, Scaled, Expiry)> {
    let n = u64::from(n);
    let years = black76::years(86_400 * (1 + n % 90))?;
    Ok((
        if n % 2 == 0 { Kind::Call } else { Kind::Put },
        Level::new(Scaled::from(60_000 + n % 1_009))?,
        Level::new(Scaled::from(40_000 + 1_000 * (n % 41)))?,
        Scaled::ratio(u128::from(30 + n % 80), 100)?,
        Expiry::new(years, Scaled::ratio(4, 100)?)?,
    ))
}

/// That option with logarithms, root and discount taken.
pub fn parts(n: u32) -> Result<Parts> {
    let (kind, forward, strike, volatility, expiry) = terms(n)?;
    let deviation = expiry.deviation(volatility)?;
    Ok((kind, forward, strike, deviation, expiry.discount()))
}

/// That option with all its Greeks, logarithms, roots and discount included.
pub fn option(n: u32) -> Result<Greeks> {
    let (kind, forward, strike, volatility, expiry) = terms(n)?;
    black76::greeks(kind, &forward, &strike, volatility, &expiry)
}

/// So many options with all their Greeks, into one word.
pub fn greeks(count: u32) -> u64 {
    (0..count).fold(0, |all, n| {
        let of = option(black_box(n));
        let numbers: [fn(&Greeks) -> Scaled; 6] = [
            |of| of.price,
            |of| of.delta,
            |of| of.gamma,
            |of| of.vega,
            |of| of.theta,
            |of| of.rho,
        ];
        let each = numbers.iter().map(|number| of.as_ref().map(number));
        each.fold(all, |all, x| fold(all, x.map_err(|error| *error)))
    })
}

fn fold(all: u64, x: Result<Scaled>) -> u64 {
    all.rotate_left(1) ^ x.map_or(0, |x| (x.mantissa() >> 64) as u64)
}
