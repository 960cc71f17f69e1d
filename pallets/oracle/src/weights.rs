//! Provisional weights, not measured: they err high. A multiple of what an sr25519 verification (50 µs), an overlay
//! access (1 µs), a dirty key at the block's end (60 µs) and sorting are known to cost.

use crate::types::MAX_SOURCES;
use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{constants::WEIGHT_REF_TIME_PER_MICROS, Weight},
};
use novate_types::MAX_MARKETS;

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
}

fn micros(time: u64, proof: u64) -> Weight {
    Weight::from_parts(time.saturating_mul(WEIGHT_REF_TIME_PER_MICROS), proof)
}

/// Provisional figures on the runtime's database weights.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> SubstrateWeight<T> {
    /// Who refers to a feed: every source and every market is read, a step of the iterator and the read behind it counting
    /// as two, and a few values beside them.
    fn references() -> Weight {
        let listed = u64::from(MAX_SOURCES).saturating_add(u64::from(MAX_MARKETS));
        micros(1_000, 262_144)
            .saturating_add(T::DbWeight::get().reads(listed.saturating_mul(2).saturating_add(8)))
    }
}

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn authorize_observe() -> Weight {
        micros(200, 16_384).saturating_add(T::DbWeight::get().reads(6))
    }

    fn observe() -> Weight {
        micros(100, 8_192).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }

    fn close_round(v: u32, f: u32) -> Weight {
        let (v, f) = (u64::from(v), u64::from(f));
        let each = micros(5, 0).saturating_mul(v.saturating_mul(f));
        micros(200, 16_384)
            .saturating_add(micros(20, 4_096).saturating_mul(v))
            .saturating_add(micros(5, 256).saturating_mul(f))
            .saturating_add(each)
            .saturating_add(T::DbWeight::get().reads(v))
            .saturating_add(T::DbWeight::get().reads_writes(6, 4))
    }

    fn schedule_source() -> Weight {
        micros(300, 32_768).saturating_add(T::DbWeight::get().reads_writes(6, 1))
    }

    fn schedule_feed() -> Weight {
        micros(300, 32_768)
            .saturating_add(Self::references())
            .saturating_add(T::DbWeight::get().reads_writes(4, 1))
    }

    fn cancel_change() -> Weight {
        micros(200, 32_768).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }

    fn disable_source() -> Weight {
        micros(300, 32_768).saturating_add(T::DbWeight::get().reads_writes(4, 3))
    }

    fn apply_due(n: u32) -> Weight {
        let each = micros(300, 8_192)
            .saturating_add(Self::references())
            .saturating_add(T::DbWeight::get().reads_writes(6, 5));
        micros(100, 32_768)
            .saturating_add(T::DbWeight::get().reads_writes(1, 1))
            .saturating_add(each.saturating_mul(u64::from(n)))
    }
}

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
        micros(300, 0)
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
}
