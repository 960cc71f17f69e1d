//! Weights of the calls and of the close's parts.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{constants::WEIGHT_REF_TIME_PER_MICROS, Weight},
};

/// Weights of the calls and of the close's parts.
pub trait WeightInfo {
    /// A withdrawal: intake and execution.
    fn withdraw() -> Weight;
    /// A transfer: intake and execution.
    fn transfer() -> Weight;
    /// A deposit for another account: intake and execution.
    fn deposit_for() -> Weight;
    /// The close without fills, requests and liquidations, with `markets` listed.
    fn close(markets: u32) -> Weight;
    /// One resting order's execution: check and novation of its account and of its counterparty.
    fn fill() -> Weight;
    /// The execution of one request.
    fn request() -> Weight;
}

fn micros(n: u64) -> Weight {
    Weight::from_parts(n.saturating_mul(WEIGHT_REF_TIME_PER_MICROS), 0)
}

/// Round figures, for tests.
impl WeightInfo for () {
    fn withdraw() -> Weight {
        micros(500)
    }
    fn transfer() -> Weight {
        micros(500)
    }
    fn deposit_for() -> Weight {
        micros(500)
    }
    fn close(markets: u32) -> Weight {
        micros(5_000).saturating_add(micros(150).saturating_mul(u64::from(markets)))
    }
    fn fill() -> Weight {
        micros(80)
    }
    fn request() -> Weight {
        micros(250)
    }
}

// Measured: `make weights` writes everything below this line.

/// Bytes of proof an account costs.
const ACCOUNT: u64 = 8_192;

/// Provisional: estimates that `make weights` replaces.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn withdraw() -> Weight {
        micros(60)
            .saturating_add(T::DbWeight::get().reads_writes(4, 4))
            .saturating_add(Weight::from_parts(0, ACCOUNT))
            .saturating_add(Self::request())
    }
    fn transfer() -> Weight {
        Self::withdraw()
    }
    fn deposit_for() -> Weight {
        Self::withdraw()
    }
    fn close(markets: u32) -> Weight {
        // Per market: feed, quotes, open interest and directory read; quotes, premiums and book written. What the match reads
        // and executes is counted apart.
        micros(5_000)
            .saturating_add(micros(150).saturating_mul(u64::from(markets)))
            .saturating_add(T::DbWeight::get().reads_writes(16, 8))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(8, 6)
                    .saturating_mul(u64::from(markets)),
            )
            .saturating_add(Weight::from_parts(0, 65_536))
    }
    fn fill() -> Weight {
        micros(80).saturating_add(Weight::from_parts(0, ACCOUNT))
    }
    fn request() -> Weight {
        micros(250)
            .saturating_add(T::DbWeight::get().reads_writes(8, 8))
            .saturating_add(Weight::from_parts(0, ACCOUNT.saturating_mul(2)))
    }
}
