//! Weights of the calls and of the close's parts.

use crate::Work;
use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{constants::WEIGHT_REF_TIME_PER_MICROS, Weight},
};

/// What calls, and this pallet's part of the close, cost.
pub trait WeightInfo {
    /// Any of the calls.
    fn loss_cap() -> Weight;
    /// Both parts of the close with nothing to do but the vault's orders.
    fn idle() -> Weight;
    /// One entry taken out of the threshold index that is live no longer.
    fn pop() -> Weight;
    /// One step, see [`Work`], of an account behind live entries: looked at, and all of its thresholds drawn again.
    fn look() -> Weight;
    /// One account swept.
    fn sweep() -> Weight;
    /// One step of an account taken through all remedies that a single close takes: its share of the orders that one close
    /// cancels, an order, the fund, the vault.
    fn liquidate() -> Weight;
    /// One counterparty deleveraged.
    fn deleverage() -> Weight;
    /// One entry of the deleveraging index read and put back.
    fn rank() -> Weight;

    /// What a close with so much work needs.
    fn budget(work: Work) -> Weight {
        Self::idle()
            .saturating_add(Self::pop().saturating_mul(work.pops.into()))
            .saturating_add(Self::look().saturating_mul(work.looks.into()))
            .saturating_add(Self::sweep().saturating_mul(work.swept.into()))
            .saturating_add(Self::liquidate().saturating_mul(work.liquidations.into()))
            .saturating_add(Self::deleverage().saturating_mul(work.deleveraged.into()))
            .saturating_add(Self::rank().saturating_mul(work.ranks.into()))
    }
}

const fn micros(n: u64) -> Weight {
    Weight::from_parts(n.saturating_mul(WEIGHT_REF_TIME_PER_MICROS), 0)
}

/// Round figures, for tests, and for the runtime until measured ones are in force: chosen by a first measurement of the largest
/// accounts (32 positions, 128 orders), writes included. Small accounts, entries that are put back and the pages of cancelled
/// orders were not measured. What a close costs however few accounts it touches is in [`WeightInfo::idle`].
impl WeightInfo for () {
    fn loss_cap() -> Weight {
        micros(200)
    }
    fn idle() -> Weight {
        micros(65_000)
    }
    fn pop() -> Weight {
        micros(20)
    }
    fn look() -> Weight {
        micros(100)
    }
    fn sweep() -> Weight {
        micros(8_000)
    }
    fn liquidate() -> Weight {
        micros(60)
    }
    fn deleverage() -> Weight {
        micros(250)
    }
    fn rank() -> Weight {
        micros(10)
    }
}

// Measured: `make weights` writes everything below this line.

/// Provisional: estimates that `make weights` replaces.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn loss_cap() -> Weight {
        <() as WeightInfo>::loss_cap().saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }
    fn idle() -> Weight {
        <() as WeightInfo>::idle()
    }
    fn pop() -> Weight {
        <() as WeightInfo>::pop()
    }
    fn look() -> Weight {
        <() as WeightInfo>::look()
    }
    fn sweep() -> Weight {
        <() as WeightInfo>::sweep()
    }
    fn liquidate() -> Weight {
        <() as WeightInfo>::liquidate()
    }
    fn deleverage() -> Weight {
        <() as WeightInfo>::deleverage()
    }
    fn rank() -> Weight {
        <() as WeightInfo>::rank()
    }
}
