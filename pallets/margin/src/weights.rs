//! Weights of the calls and of the close's part.

use core::marker::PhantomData;
use frame_support::{traits::Get, weights::Weight};

/// What this pallet asks of a runtime's weights.
pub trait WeightInfo {
    #![allow(missing_docs)]
    fn deposit() -> Weight;
    fn close_account() -> Weight;
    fn schedule_collateral() -> Weight;
    fn cancel_collateral() -> Weight;
    fn lower_global_cap() -> Weight;
    fn set_fee_tier() -> Weight;
    /// A block begins: `n` changes of collateral come into force.
    fn apply_due(n: u32) -> Weight;
}

// Measured: `make weights` writes everything below this line.

/// As measured on AMD EPYC, 2 cores.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    /// 73.71 µs, 8 keys read, 6 written.
    fn deposit() -> Weight {
        Weight::from_parts(73_720_000, 0).saturating_add(T::DbWeight::get().reads_writes(8, 6))
    }
    /// 18.03 µs, 2 keys read, 2 written.
    fn close_account() -> Weight {
        Weight::from_parts(18_030_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 2))
    }
    /// 21.58 µs, 2 keys read, 1 written.
    fn schedule_collateral() -> Weight {
        Weight::from_parts(21_590_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }
    /// 11.04 µs, 1 keys read, 1 written.
    fn cancel_collateral() -> Weight {
        Weight::from_parts(11_040_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
    /// 16.73 µs, 2 keys read, 2 written.
    fn lower_global_cap() -> Weight {
        Weight::from_parts(16_730_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 2))
    }
    /// 30.63 µs, 4 keys read, 2 written.
    fn set_fee_tier() -> Weight {
        Weight::from_parts(30_630_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 2))
    }
    /// 7.30 µs, 2 keys read, 2 written; 8.76 µs, 0 keys read, 0 written for each of `n`.
    fn apply_due(n: u32) -> Weight {
        Weight::from_parts(7_310_000, 0)
            .saturating_add(T::DbWeight::get().reads_writes(2, 2))
            .saturating_add(Weight::from_parts(8_770_000, 0).saturating_mul(n.into()))
    }
}
