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
    fn set_series_rule() -> Weight;
    /// The close's part: `n` changes come into force.
    fn apply_due(n: u32) -> Weight;
    /// The close's part in a block in which it looks at the rules of listing: one market is listed.
    fn list_due() -> Weight;
}

// Measured: `make weights` writes everything below this line.

/// As measured on AMD EPYC, 2 cores. What says "÷ 1.8" was measured later, on an instance that took 1.8 times as long for the calls here (median of 12 ratios, 1.78), and divided by that.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    /// 197 µs, 69 keys read, 3 written.
    fn list_market() -> Weight {
        Weight::from_parts(197_310_000, 0).saturating_add(T::DbWeight::get().reads_writes(69, 3))
    }
    /// 8.54 µs, 1 keys read, 1 written.
    fn add_tier() -> Weight {
        Weight::from_parts(8_550_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
    /// 29.78 µs, 3 keys read, 1 written; ÷ 1.8.
    fn schedule_tier_change() -> Weight {
        Weight::from_parts(29_780_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 1))
    }
    /// 29.58 µs, 4 keys read, 1 written.
    fn schedule_market_params() -> Weight {
        Weight::from_parts(29_590_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 1))
    }
    /// 15.27 µs, 2 keys read, 1 written.
    fn schedule_fee_tiers() -> Weight {
        Weight::from_parts(15_280_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }
    /// 15.63 µs, 1 keys read, 1 written.
    fn cancel_change() -> Weight {
        Weight::from_parts(15_640_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
    /// 11.44 µs, 1 keys read, 1 written.
    fn set_status() -> Weight {
        Weight::from_parts(11_440_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
    /// 11.53 µs, 1 keys read, 1 written.
    fn restrict_market() -> Weight {
        Weight::from_parts(11_530_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
    /// 24.83 µs, 2 keys read, 2 written.
    fn lower_open_interest_cap() -> Weight {
        Weight::from_parts(24_830_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 2))
    }
    /// 11.45 µs, 1 keys read, 0 written.
    fn delist_market() -> Weight {
        Weight::from_parts(11_450_000, 0).saturating_add(T::DbWeight::get().reads(1))
    }
    /// 5.63 µs, 1 keys read, 1 written; 11.45 µs, 2 keys read, 2 written for each of `n`; ÷ 1.8.
    fn apply_due(n: u32) -> Weight {
        Weight::from_parts(5_630_000, 0)
            .saturating_add(T::DbWeight::get().reads_writes(1, 1))
            .saturating_add(Weight::from_parts(11_450_000, 0).saturating_mul(n.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(2, 2)
                    .saturating_mul(n.into()),
            )
    }
    /// 24.05 µs, 3 keys read, 1 written; ÷ 1.8.
    fn set_series_rule() -> Weight {
        Weight::from_parts(24_050_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 1))
    }
    /// 221 µs, 61 keys read, 3 written; ÷ 1.8.
    fn list_due() -> Weight {
        Weight::from_parts(220_620_000, 0).saturating_add(T::DbWeight::get().reads_writes(61, 3))
    }
}
