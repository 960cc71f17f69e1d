//! Weights of the call and of the close's parts.

use core::marker::PhantomData;
use frame_support::{traits::Get, weights::Weight};

/// What the pallet's call and its parts of the close cost.
pub trait WeightInfo {
    /// An extrinsic with `places` orders that come in and `changes` orders that leave or shrink; their entries in the book, their
    /// margin assessments and their share of writing pages at the close are in it.
    fn submit(places: u32, changes: u32) -> Weight;
    /// Loading one market, matching it without any fill, committing it and refreshing its quotes; what it reads of the book for
    /// the match is counted by [`WeightInfo::read`].
    fn match_market() -> Weight;
    /// Reading one resting order with its share of a page, and entering it into a match.
    fn read() -> Weight;
    /// Everything that housekeeping does at most, for `pages` pages of expiries and as many of evictions, and fresh quotes of
    /// `markets` markets.
    fn housekeep(pages: u32, markets: u32) -> Weight;
}

const fn micros(ref_time: u64) -> Weight {
    Weight::from_parts(ref_time.saturating_mul(1_000_000), 0)
}

/// Round figures, for tests.
impl WeightInfo for () {
    fn submit(places: u32, changes: u32) -> Weight {
        micros(150)
            .saturating_add(micros(200).saturating_mul(u64::from(places)))
            .saturating_add(micros(120).saturating_mul(u64::from(changes)))
    }

    fn match_market() -> Weight {
        micros(800)
    }

    fn read() -> Weight {
        micros(2)
    }

    fn housekeep(pages: u32, markets: u32) -> Weight {
        micros(2_000)
            .saturating_add(micros(12_000).saturating_mul(u64::from(pages)))
            .saturating_add(micros(300).saturating_mul(u64::from(markets)))
    }
}

// Measured: `make weights` writes everything below this line.

/// As measured on AMD EPYC, 2 cores.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    /// 116 µs, 7 keys read, 5 written; 50.97 µs, 1 keys read, 1 written for each of `places`; 4.71 µs, 1 keys read, 1 written for each of `changes`.
    fn submit(places: u32, changes: u32) -> Weight {
        Weight::from_parts(115_790_000, 0)
            .saturating_add(T::DbWeight::get().reads_writes(7, 5))
            .saturating_add(Weight::from_parts(50_970_000, 0).saturating_mul(places.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(1, 1)
                    .saturating_mul(places.into()),
            )
            .saturating_add(Weight::from_parts(4_710_000, 0).saturating_mul(changes.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(1, 1)
                    .saturating_mul(changes.into()),
            )
    }
    /// 382 µs, 72 keys read, 7 written.
    fn match_market() -> Weight {
        Weight::from_parts(382_220_000, 0).saturating_add(T::DbWeight::get().reads_writes(72, 7))
    }
    /// 1.24 µs, 0 keys read, 0 written, one among 128.
    fn read() -> Weight {
        Weight::from_parts(1_250_000, 0)
    }
    /// 112 µs, 71 keys read, 5 written; 4094 µs, 148 keys read, 149 written for each of `pages`; 236 µs, 67 keys read, 5 written for each of `markets`.
    fn housekeep(pages: u32, markets: u32) -> Weight {
        Weight::from_parts(112_460_000, 0)
            .saturating_add(T::DbWeight::get().reads_writes(71, 5))
            .saturating_add(Weight::from_parts(4_094_470_000, 0).saturating_mul(pages.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(148, 149)
                    .saturating_mul(pages.into()),
            )
            .saturating_add(Weight::from_parts(236_170_000, 0).saturating_mul(markets.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(67, 5)
                    .saturating_mul(markets.into()),
            )
    }
}
