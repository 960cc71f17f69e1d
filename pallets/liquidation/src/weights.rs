//! Weights. Provisional: not measured yet, and meant to err high; `make weights` replaces them.
//!
//! Reckoned from the costs that are known: a distinct dirty key 60 µs, a storage access of the overlay 1 µs, assessing an account of
//! 32 positions 50 µs. One account settled is its own key, up to three page edits and an assessment.

use core::marker::PhantomData;
use frame_support::weights::{constants::WEIGHT_REF_TIME_PER_MICROS, Weight};

/// Proof size is not limited on a solo chain; this is what one account and its pages decode to.
const PROOF: u64 = 16_384;

/// What calls, and this pallet's part of the close, cost.
pub trait WeightInfo {
    /// The call.
    fn set_loss_cap() -> Weight;
    /// Both parts of the close with nothing to do.
    fn idle() -> Weight;
    /// One entry of the threshold index looked at and its account put back.
    fn pop() -> Weight;
    /// One account swept.
    fn sweep() -> Weight;
    /// One account taken through all remedies that a single close takes: 128 orders cancelled, an order, the fund, the vault.
    fn liquidate() -> Weight;
    /// One counterparty deleveraged.
    fn deleverage() -> Weight;

    /// What a close needs with `queue` accounts queued, when it may pop, liquidate and deleverage so many.
    fn budget(queue: u32, pops: u32, liquidations: u32, deleveraged: u32, swept: u32) -> Weight {
        Self::idle()
            .saturating_add(Self::pop().saturating_mul(pops.into()))
            .saturating_add(Self::sweep().saturating_mul(swept.into()))
            .saturating_add(Self::liquidate().saturating_mul(queue.min(liquidations).into()))
            .saturating_add(if queue > 0 {
                Self::deleverage().saturating_mul(deleveraged.into())
            } else {
                Weight::zero()
            })
    }
}

const fn micros(n: u64) -> Weight {
    Weight::from_parts(n.saturating_mul(WEIGHT_REF_TIME_PER_MICROS), PROOF)
}

/// Provisional weights of the runtime.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T> WeightInfo for SubstrateWeight<T> {
    fn set_loss_cap() -> Weight {
        micros(200)
    }
    fn idle() -> Weight {
        micros(2_000)
    }
    fn pop() -> Weight {
        micros(150)
    }
    fn sweep() -> Weight {
        micros(150)
    }
    fn liquidate() -> Weight {
        micros(3_000)
    }
    fn deleverage() -> Weight {
        micros(500)
    }
}

impl WeightInfo for () {
    fn set_loss_cap() -> Weight {
        SubstrateWeight::<()>::set_loss_cap()
    }
    fn idle() -> Weight {
        SubstrateWeight::<()>::idle()
    }
    fn pop() -> Weight {
        SubstrateWeight::<()>::pop()
    }
    fn sweep() -> Weight {
        SubstrateWeight::<()>::sweep()
    }
    fn liquidate() -> Weight {
        SubstrateWeight::<()>::liquidate()
    }
    fn deleverage() -> Weight {
        SubstrateWeight::<()>::deleverage()
    }
}
