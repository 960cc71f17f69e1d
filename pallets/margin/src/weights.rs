//! Weights of the calls and of the close's part.

use core::marker::PhantomData;
use frame_support::{traits::Get, weights::Weight};

/// What this pallet asks of a runtime's weights.
pub trait WeightInfo {
    #![allow(missing_docs)]
    fn deposit() -> Weight;
    /// Into an account that is as large as one can be.
    fn deposit_more() -> Weight;
    fn close_account() -> Weight;
    fn schedule_collateral() -> Weight;
    fn cancel_collateral() -> Weight;
    fn lower_global_cap() -> Weight;
    fn set_fee_tier() -> Weight;
    fn schedule_loans() -> Weight;
    fn cancel_loans() -> Weight;
    fn lower_utilisation_cap() -> Weight;
    /// A block begins: `n` changes of collateral come into force.
    fn apply_due(n: u32) -> Weight;
}

// Measured: `make weights` writes everything below this line.

/// As measured on AMD EPYC, 2 cores. What says "÷ 2.2" was measured later, on an instance that took 2.2 times as long for the others (median of 60), and divided by that.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    /// 67.22 µs, 8 keys read, 6 written.
    fn deposit() -> Weight {
        Weight::from_parts(67_220_000, 0).saturating_add(T::DbWeight::get().reads_writes(8, 6))
    }
    /// 67.27 µs, 8 keys read, 7 written; ÷ 2.2.
    fn deposit_more() -> Weight {
        Weight::from_parts(67_210_000, 0).saturating_add(T::DbWeight::get().reads_writes(8, 7))
    }
    /// 16.59 µs, 2 keys read, 2 written.
    fn close_account() -> Weight {
        Weight::from_parts(16_600_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 2))
    }
    /// 15.50 µs, 2 keys read, 1 written.
    fn schedule_collateral() -> Weight {
        Weight::from_parts(15_510_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }
    /// 9.94 µs, 1 keys read, 1 written.
    fn cancel_collateral() -> Weight {
        Weight::from_parts(9_940_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
    /// 15.28 µs, 2 keys read, 2 written.
    fn lower_global_cap() -> Weight {
        Weight::from_parts(15_290_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 2))
    }
    /// 29.38 µs, 4 keys read, 2 written.
    fn set_fee_tier() -> Weight {
        Weight::from_parts(29_390_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 2))
    }
    /// 8.89 µs, 1 keys read, 1 written; ÷ 2.2.
    fn schedule_loans() -> Weight {
        Weight::from_parts(8_890_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
    /// 8.73 µs, 1 keys read, 1 written; ÷ 2.2.
    fn cancel_loans() -> Weight {
        Weight::from_parts(8_730_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
    /// 9.93 µs, 1 keys read, 1 written; ÷ 2.2.
    fn lower_utilisation_cap() -> Weight {
        Weight::from_parts(9_940_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
    /// 5.87 µs, 2 keys read, 2 written; 8.47 µs, 0 keys read, 0 written for each of `n`.
    fn apply_due(n: u32) -> Weight {
        Weight::from_parts(5_870_000, 0)
            .saturating_add(T::DbWeight::get().reads_writes(2, 2))
            .saturating_add(Weight::from_parts(8_470_000, 0).saturating_mul(n.into()))
    }
}
