//! Weights of the calls. **Provisional**: each is a round upper estimate of its execution, generous by several times,
//! plus its storage accesses at their worst, until `make weights` measures them on the benchmarks of this pallet.

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

/// Provisional weights over the runtime's own cost of storage.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> SubstrateWeight<T> {
    fn estimate(micros: u64, reads: u64, writes: u64) -> Weight {
        Weight::from_parts(micros.saturating_mul(1_000_000), 0)
            .saturating_add(T::DbWeight::get().reads_writes(reads, writes))
    }
}

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn deposit() -> Weight {
        // The account, its owner's count, both system accounts; the asset and both its accounts; the custody record;
        // the view.
        Self::estimate(300, 11, 8)
    }
    fn close_account() -> Weight {
        Self::estimate(150, 3, 3)
    }
    fn schedule_collateral() -> Weight {
        Self::estimate(150, 6, 1)
    }
    fn cancel_collateral() -> Weight {
        Self::estimate(100, 1, 1)
    }
    fn lower_global_cap() -> Weight {
        Self::estimate(150, 2, 2)
    }
    fn set_fee_tier() -> Weight {
        Self::estimate(200, 2, 1)
    }
    fn apply_due(n: u32) -> Weight {
        let n = u64::from(n);
        Self::estimate(
            n.saturating_mul(100).saturating_add(20),
            n.saturating_mul(5).saturating_add(2),
            n.min(1).saturating_mul(2),
        )
    }
}
