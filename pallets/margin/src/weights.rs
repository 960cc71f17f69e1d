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
    /// 69.35 µs, 8 keys read, 6 written.
    fn deposit() -> Weight {
        Weight::from_parts(69_360_000, 0).saturating_add(T::DbWeight::get().reads_writes(8, 6))
    }
    /// 17.25 µs, 2 keys read, 2 written.
    fn close_account() -> Weight {
        Weight::from_parts(17_250_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 2))
    }
    /// 16.46 µs, 2 keys read, 1 written.
    fn schedule_collateral() -> Weight {
        Weight::from_parts(16_470_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }
    /// 10.69 µs, 1 keys read, 1 written.
    fn cancel_collateral() -> Weight {
        Weight::from_parts(10_690_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
    /// 15.99 µs, 2 keys read, 2 written.
    fn lower_global_cap() -> Weight {
        Weight::from_parts(16_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 2))
    }
    /// 30.68 µs, 4 keys read, 2 written.
    fn set_fee_tier() -> Weight {
        Weight::from_parts(30_680_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 2))
    }
    /// 5.71 µs, 2 keys read, 2 written; 8.89 µs, 0 keys read, 0 written for each of `n`.
    fn apply_due(n: u32) -> Weight {
        Weight::from_parts(5_720_000, 0)
            .saturating_add(T::DbWeight::get().reads_writes(2, 2))
            .saturating_add(Weight::from_parts(8_890_000, 0).saturating_mul(n.into()))
    }
}
