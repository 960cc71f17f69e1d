//! The crate inside WebAssembly, for `tests/identity.rs` and the benchmark.

#![no_std]

#[path = "../../common/grid.rs"]
mod grid;
#[path = "../../common/sample.rs"]
mod sample;

use core::sync::atomic::{AtomicU64, Ordering};

const COUNT: usize = sample::RESULTS * sample::WORDS;
static WORDS: [AtomicU64; COUNT] = [const { AtomicU64::new(0) }; COUNT];

/// The words of a seed's results: how many, and from which address on.
#[no_mangle]
pub extern "C" fn sample(seed: u64) -> u64 {
    let mut words = WORDS.iter();
    let mut count = 0;
    sample::sample(seed, |result| {
        for (word, to) in result.into_iter().zip(words.by_ref()) {
            to.store(word, Ordering::Relaxed);
            count += 1;
        }
    });
    (count << 32) | WORDS.as_ptr() as usize as u64
}

/// `grid::prices`.
#[no_mangle]
pub extern "C" fn prices(rounds: u32) -> u64 {
    grid::prices(rounds)
}

/// `grid::levels`.
#[no_mangle]
pub extern "C" fn levels(count: u32) -> u64 {
    grid::levels(count)
}

/// `grid::deviations`.
#[no_mangle]
pub extern "C" fn deviations(count: u32) -> u64 {
    grid::deviations(count)
}

/// `grid::greeks`.
#[no_mangle]
pub extern "C" fn greeks(count: u32) -> u64 {
    grid::greeks(count)
}

#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
