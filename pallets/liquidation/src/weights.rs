//! Weights. Provisional: not measured yet, and meant to err high; `make weights` replaces them.
//!
//! Reckoned from the costs that are known: a distinct dirty key 60 µs, a storage access of the overlay 1 µs, assessing an account of
//! 32 positions 50 µs, walking the depth of a book 300 µs. One account settled is its own key, an assessment or two, and page
//! edits that it mostly shares with others.

use core::marker::PhantomData;
use frame_support::weights::{constants::WEIGHT_REF_TIME_PER_MICROS, Weight};

/// Proof size is not limited on a solo chain; this is what one account and its pages decode to.
const PROOF: u64 = 16_384;

/// What calls, and this pallet's part of the close, cost.
pub trait WeightInfo {
    /// The call.
    fn set_loss_cap() -> Weight;
    /// Both parts of the close with nothing to do but the vault's orders.
    fn idle() -> Weight;
    /// One entry of the threshold index looked at and its account put back.
    fn pop() -> Weight;
    /// One account swept.
    fn sweep() -> Weight;
    /// One account taken through all remedies that a single close takes: its share of the orders that one close cancels, an
    /// order, the fund, the vault.
    fn liquidate() -> Weight;
    /// One counterparty deleveraged.
    fn deleverage() -> Weight;
    /// One entry of the deleveraging index read and put back.
    fn rank() -> Weight;

    /// What a close with so much work needs.
    fn budget(work: Work) -> Weight {
        let liquidations = work.queue.min(work.liquidations);
        let mut sum = Self::idle()
            .saturating_add(Self::pop().saturating_mul(work.pops.into()))
            .saturating_add(Self::sweep().saturating_mul(work.swept.into()))
            .saturating_add(Self::liquidate().saturating_mul(liquidations.into()));
        if work.queue > 0 {
            sum = sum
                .saturating_add(Self::deleverage().saturating_mul(work.deleveraged.into()))
                .saturating_add(Self::rank().saturating_mul(work.ranks.into()));
        }
        sum
    }
}

/// Work of one close at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Accounts in the queue.
    pub queue: u32,
    /// Entries of the threshold index looked at.
    pub pops: u32,
    /// Accounts for which remedies are taken.
    pub liquidations: u32,
    /// Counterparties deleveraged.
    pub deleveraged: u32,
    /// Entries of the deleveraging index read.
    pub ranks: u32,
    /// Accounts swept.
    pub swept: u32,
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
        micros(5_000)
    }
    fn pop() -> Weight {
        micros(150)
    }
    fn sweep() -> Weight {
        micros(150)
    }
    fn liquidate() -> Weight {
        micros(2_500)
    }
    fn deleverage() -> Weight {
        micros(500)
    }
    fn rank() -> Weight {
        micros(20)
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
    fn rank() -> Weight {
        SubstrateWeight::<()>::rank()
    }
}
