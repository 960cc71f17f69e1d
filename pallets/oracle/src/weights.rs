//! Provisional weights, not measured: they err high. A multiple of what an sr25519 verification (50 µs), an overlay
//! access (1 µs), a dirty key at the block's end (60 µs) and sorting are known to cost.

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
    /// Adding a source.
    fn set_source() -> Weight;
    /// Removing a source.
    fn remove_source() -> Weight;
    /// Changing or removing a feed.
    fn set_feed() -> Weight;
}

fn micros(time: u64, proof: u64) -> Weight {
    Weight::from_parts(time.saturating_mul(WEIGHT_REF_TIME_PER_MICROS), proof)
}

/// Provisional figures on the runtime's database weights.
pub struct SubstrateWeight<T>(PhantomData<T>);

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

    fn set_source() -> Weight {
        micros(200, 16_384).saturating_add(T::DbWeight::get().reads_writes(6, 5))
    }

    fn remove_source() -> Weight {
        micros(150, 8_192).saturating_add(T::DbWeight::get().reads_writes(5, 5))
    }

    fn set_feed() -> Weight {
        micros(1_000, 163_840).saturating_add(T::DbWeight::get().reads_writes(40, 5))
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
    fn set_source() -> Weight {
        micros(200, 0)
    }
    fn remove_source() -> Weight {
        micros(150, 0)
    }
    fn set_feed() -> Weight {
        micros(1_000, 0)
    }
}
