//! Weights of the calls. **Provisional**: each is a round upper estimate of its execution, generous by several times,
//! plus its storage accesses at their worst, until `make weights` measures them on the benchmarks of this pallet.

use core::marker::PhantomData;
use frame_support::{traits::Get, weights::Weight};
use novate_types::MAX_MARKETS;

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

/// Provisional weights over the runtime's own cost of storage.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> SubstrateWeight<T> {
    fn estimate(micros: u64, reads: u64, writes: u64) -> Weight {
        Weight::from_parts(micros.saturating_mul(1_000_000), 0)
            .saturating_add(T::DbWeight::get().reads_writes(reads, writes))
    }
}

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn list_market() -> Weight {
        // Every symbol is compared; a step of the iterator and the read behind it count as two.
        Self::estimate(
            400,
            u64::from(MAX_MARKETS).saturating_mul(2).saturating_add(5),
            4,
        )
    }
    fn add_tier() -> Weight {
        Self::estimate(50, 1, 1)
    }
    fn schedule_tier_change() -> Weight {
        Self::estimate(100, 3, 1)
    }
    fn schedule_market_params() -> Weight {
        Self::estimate(100, 5, 1)
    }
    fn schedule_fee_tiers() -> Weight {
        Self::estimate(100, 3, 1)
    }
    fn cancel_change() -> Weight {
        Self::estimate(100, 1, 1)
    }
    fn set_status() -> Weight {
        Self::estimate(50, 1, 1)
    }
    fn restrict_market() -> Weight {
        Self::estimate(50, 1, 1)
    }
    fn lower_open_interest_cap() -> Weight {
        Self::estimate(150, 2, 2)
    }
    fn delist_market() -> Weight {
        // Whether it is vacant is asked of other pallets.
        Self::estimate(200, 12, 4)
    }
    fn apply_due(n: u32) -> Weight {
        let n = u64::from(n);
        Self::estimate(
            n.saturating_mul(100).saturating_add(100),
            n.saturating_mul(6).saturating_add(4),
            n.saturating_add(1),
        )
    }
}
