//! Weights of the calls and of the close's part.

use core::marker::PhantomData;
use frame_support::{traits::Get, weights::Weight};

/// What this pallet asks of a runtime's weights.
pub trait WeightInfo {
    #![allow(missing_docs)]
    fn list_market() -> Weight;
    fn add_tier() -> Weight;
    fn schedule_tier_change() -> Weight;
    fn schedule_market_params() -> Weight;
    fn schedule_fee_tiers() -> Weight;
    fn cancel_change() -> Weight;
    fn set_status() -> Weight;
    fn restrict_market() -> Weight;
    fn lower_open_interest_cap() -> Weight;
    fn delist_market() -> Weight;
    /// The close's part: `n` changes come into force.
    fn apply_due(n: u32) -> Weight;
}

// Measured: `make weights` writes everything below this line.

/// As measured on AMD EPYC, 2 cores.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    /// 199 µs, 69 keys read, 3 written.
    fn list_market() -> Weight {
        Weight::from_parts(199_390_000, 0).saturating_add(T::DbWeight::get().reads_writes(69, 3))
    }
    /// 8.92 µs, 1 keys read, 1 written.
    fn add_tier() -> Weight {
        Weight::from_parts(8_930_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
    /// 26.09 µs, 2 keys read, 1 written.
    fn schedule_tier_change() -> Weight {
        Weight::from_parts(26_090_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }
    /// 33.76 µs, 4 keys read, 1 written.
    fn schedule_market_params() -> Weight {
        Weight::from_parts(33_770_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 1))
    }
    /// 16.02 µs, 2 keys read, 1 written.
    fn schedule_fee_tiers() -> Weight {
        Weight::from_parts(16_030_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }
    /// 16.27 µs, 1 keys read, 1 written.
    fn cancel_change() -> Weight {
        Weight::from_parts(16_280_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
    /// 12.46 µs, 1 keys read, 1 written.
    fn set_status() -> Weight {
        Weight::from_parts(12_460_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
    /// 13.33 µs, 1 keys read, 1 written.
    fn restrict_market() -> Weight {
        Weight::from_parts(13_330_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
    /// 24.74 µs, 2 keys read, 2 written.
    fn lower_open_interest_cap() -> Weight {
        Weight::from_parts(24_740_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 2))
    }
    /// 12.47 µs, 1 keys read, 0 written.
    fn delist_market() -> Weight {
        Weight::from_parts(12_470_000, 0).saturating_add(T::DbWeight::get().reads(1))
    }
    /// 5.36 µs, 1 keys read, 1 written; 7.31 µs, 1 keys read, 1 written for each of `n`.
    fn apply_due(n: u32) -> Weight {
        Weight::from_parts(5_360_000, 0)
            .saturating_add(T::DbWeight::get().reads_writes(1, 1))
            .saturating_add(Weight::from_parts(7_310_000, 0).saturating_mul(n.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(1, 1)
                    .saturating_mul(n.into()),
            )
    }
}
