//! Options as the runtime computes them: what scenario 11 times inside WebAssembly, into which `bench/build.rs` compiles this. Natively it
//! comes to the same words.

#![cfg_attr(not(feature = "std"), no_std)]
#![warn(missing_docs)]

extern crate alloc;

#[cfg(target_arch = "wasm32")]
mod bare;
#[path = "../../../primitives/math/tests/common/grid.rs"]
mod grid;
#[path = "../../../primitives/risk/benches/common/legs.rs"]
mod legs;

use core::hint::black_box;
use novate_risk::portfolio::{PortfolioMargin, PortfolioParams, Prices};

/// Prices of options as in a scan, 64 strikes at 33 forwards, logarithms and deviations at hand; so many rounds of them. Into one word.
#[cfg_attr(target_arch = "wasm32", no_mangle)]
pub extern "C" fn prices(rounds: u32) -> u64 {
    grid::prices(rounds)
}

/// Prices of a round.
pub const PRICES: u32 = grid::FORWARDS * grid::STRIKES;

/// So many options with all Greeks, each from plain numbers: logarithms, roots and discount included. Into one word.
#[cfg_attr(target_arch = "wasm32", no_mangle)]
pub extern "C" fn greeks(count: u32) -> u64 {
    grid::greeks(count)
}

/// Both margins of so many accounts of 64 legs in one block: every series is priced for the first of them. Into one word.
#[cfg_attr(target_arch = "wasm32", no_mangle)]
pub extern "C" fn margin(accounts: u32) -> u64 {
    let (market, params) = (legs::market(), PortfolioParams::standard());
    let mut prices = Prices::new(&market, &params).expect("a market");
    (0..accounts).fold(0, |all, account| {
        let legs = legs::legs(&market, account as usize);
        let margin = PortfolioMargin::of(black_box(&legs), &mut prices).expect("margins in range");
        let margins = [margin.by_parts, margin.by_scan];
        margins.iter().fold(all, |all, of| {
            fold(fold(all, of.maintenance as u64), of.initial as u64)
        })
    })
}

fn fold(all: u64, word: u64) -> u64 {
    all.rotate_left(7) ^ word
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn words_differ_when_options_and_accounts_do() {
        let price = |n| grid::option(n).unwrap().price.mantissa();
        let options: BTreeSet<_> = (0..1_000).map(price).collect();
        assert_eq!(options.len(), 1_000);
        for function in [greeks as extern "C" fn(u32) -> u64, margin] {
            let words: BTreeSet<_> = (1..8).map(|count| function(count)).collect();
            assert_eq!(words.len(), 7);
        }
        // Calls, then puts.
        assert_ne!(prices(1), prices(2));
    }

    #[test]
    fn accounts_of_a_block_share_what_was_priced() {
        let (market, params) = (legs::market(), PortfolioParams::standard());
        let mut prices = Prices::new(&market, &params).unwrap();
        for account in 0..3 {
            let legs = legs::legs(&market, account);
            assert_eq!(legs.len(), 64);
            let margin = PortfolioMargin::of(&legs, &mut prices).unwrap();
            assert!(margin.required().maintenance > 0);
            assert_eq!(prices.priced(), 60 * 33);
        }
    }
}
