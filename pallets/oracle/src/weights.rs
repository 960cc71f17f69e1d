//! Weights of the calls and of the close's part.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{constants::WEIGHT_REF_TIME_PER_MICROS, Weight},
};

/// Weights of the pallet's calls and hooks.
pub trait WeightInfo {
    /// Checking an observation of [`crate::MAX_OBSERVED`] prices, signature included.
    fn authorize_observe() -> Weight;
    /// Recording it.
    fn observe() -> Weight;
    /// Aggregating `v` validators' observations of `f` feeds each.
    fn close_round(v: u32, f: u32) -> Weight;
    /// Scheduling a source.
    fn schedule_source() -> Weight;
    /// Scheduling a feed, or its removal.
    fn schedule_feed() -> Weight;
    /// Withdrawing what is scheduled.
    fn cancel_change() -> Weight;
    /// Disabling a source.
    fn disable_source() -> Weight;
    /// The close's part: `n` changes come into force.
    fn apply_due(n: u32) -> Weight;
    /// Checking an observation of volatilities of [`novate_risk::surface::MAX_EXPIRIES`] expiries, signature included.
    fn authorize_observe_surface() -> Weight;
    /// Recording it.
    fn observe_surface() -> Weight;
    /// The close's part: a surface from `v` validators' observations of `e` expiries each.
    fn close_surface(v: u32, e: u32) -> Weight;
    /// Looking at one more smile for butterflies.
    fn try_smile() -> Weight;
}

fn micros(time: u64, proof: u64) -> Weight {
    Weight::from_parts(time.saturating_mul(WEIGHT_REF_TIME_PER_MICROS), proof)
}

/// Round figures, for tests.
impl WeightInfo for () {
    fn authorize_observe() -> Weight {
        micros(200, 0)
    }
    fn observe() -> Weight {
        micros(100, 0)
    }
    fn close_round(v: u32, f: u32) -> Weight {
        micros(200, 0)
            .saturating_add(micros(30, 0).saturating_mul(u64::from(v).saturating_mul(u64::from(f))))
    }
    fn schedule_source() -> Weight {
        micros(600, 0)
    }
    fn schedule_feed() -> Weight {
        micros(1_300, 0)
    }
    fn cancel_change() -> Weight {
        micros(200, 0)
    }
    fn disable_source() -> Weight {
        micros(300, 0)
    }
    fn apply_due(n: u32) -> Weight {
        micros(100, 0).saturating_add(micros(1_300, 0).saturating_mul(u64::from(n)))
    }
    fn authorize_observe_surface() -> Weight {
        micros(250, 0)
    }
    fn observe_surface() -> Weight {
        micros(100, 0)
    }
    fn close_surface(v: u32, e: u32) -> Weight {
        micros(300, 0)
            .saturating_add(micros(20, 0).saturating_mul(u64::from(v).saturating_mul(u64::from(e))))
            .saturating_add(micros(3_000, 0).saturating_mul(u64::from(e)))
    }
    fn try_smile() -> Weight {
        micros(1_000, 0)
    }
}

// Measured: `make weights` writes everything below this line.

/// As measured on AMD EPYC, 2 cores. What says "÷ 2.2" was measured later, on an instance that took 2.2 times as long for the others (median of 60), and divided by that.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    /// 78.11 µs, 5 keys read, 0 written.
    fn authorize_observe() -> Weight {
        Weight::from_parts(78_110_000, 0).saturating_add(T::DbWeight::get().reads(5))
    }
    /// 17.00 µs, 0 keys read, 1 written.
    fn observe() -> Weight {
        Weight::from_parts(17_000_000, 0).saturating_add(T::DbWeight::get().writes(1))
    }
    /// 30.00 µs, 6 keys read, 2 written; 5.60 µs, 1 keys read, 0 written for each of `v`; 6.50 µs, 0 keys read, 0 written for each of `f`.
    fn close_round(v: u32, f: u32) -> Weight {
        Weight::from_parts(30_000_000, 0)
            .saturating_add(T::DbWeight::get().reads_writes(6, 2))
            .saturating_add(Weight::from_parts(5_600_000, 0).saturating_mul(v.into()))
            .saturating_add(T::DbWeight::get().reads(1).saturating_mul(v.into()))
            .saturating_add(Weight::from_parts(6_500_000, 0).saturating_mul(f.into()))
    }
    /// 105 µs, 20 keys read, 1 written.
    fn schedule_source() -> Weight {
        Weight::from_parts(104_530_000, 0).saturating_add(T::DbWeight::get().reads_writes(20, 1))
    }
    /// 357 µs, 100 keys read, 1 written.
    fn schedule_feed() -> Weight {
        Weight::from_parts(356_640_000, 0).saturating_add(T::DbWeight::get().reads_writes(100, 1))
    }
    /// 33.03 µs, 1 keys read, 1 written.
    fn cancel_change() -> Weight {
        Weight::from_parts(33_030_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
    /// 45.73 µs, 3 keys read, 3 written.
    fn disable_source() -> Weight {
        Weight::from_parts(45_730_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 3))
    }
    /// 144 µs, 101 keys read, 3 written; 183 µs, 0 keys read, 0 written for each of `n`.
    fn apply_due(n: u32) -> Weight {
        Weight::from_parts(143_720_000, 0)
            .saturating_add(T::DbWeight::get().reads_writes(101, 3))
            .saturating_add(Weight::from_parts(182_980_000, 0).saturating_mul(n.into()))
    }
    /// 76.82 µs, 5 keys read, 0 written; ÷ 2.2.
    fn authorize_observe_surface() -> Weight {
        Weight::from_parts(76_910_000, 0).saturating_add(T::DbWeight::get().reads(5))
    }
    /// 19.82 µs, 1 keys read, 2 written; ÷ 2.2.
    fn observe_surface() -> Weight {
        Weight::from_parts(19_830_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 2))
    }
    /// 120 µs, 6 keys read, 2 written; 6.39 µs, 1 keys read, 0 written for each of `v`; 91.82 µs, 0 keys read, 0 written for each of `e`; ÷ 2.2.
    fn close_surface(v: u32, e: u32) -> Weight {
        Weight::from_parts(119_800_000, 0)
            .saturating_add(T::DbWeight::get().reads_writes(6, 2))
            .saturating_add(Weight::from_parts(6_390_000, 0).saturating_mul(v.into()))
            .saturating_add(T::DbWeight::get().reads(1).saturating_mul(v.into()))
            .saturating_add(Weight::from_parts(91_840_000, 0).saturating_mul(e.into()))
    }
    /// 210 µs, 0 keys read, 0 written; ÷ 2.2.
    fn try_smile() -> Weight {
        Weight::from_parts(209_470_000, 0)
    }
}
