//! Weights of the calls and of the close's parts.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{constants::WEIGHT_REF_TIME_PER_MICROS, Weight},
};
use novate_types::{Part, MAX_HOLDINGS};

/// Weights of the calls and of the close's parts.
pub trait WeightInfo {
    /// A withdrawal: intake and execution.
    fn withdraw() -> Weight;
    /// A transfer: intake and execution.
    fn transfer() -> Weight;
    /// A deposit for another account: intake and execution.
    fn deposit_for() -> Weight;
    /// A supply of the liquidity pot: intake and execution.
    fn supply() -> Weight;
    /// Shares of the liquidity pot given back: intake and execution.
    fn redeem() -> Weight;
    /// A loan of the liquidity pot: intake and execution.
    fn borrow() -> Weight;
    /// What executing a request takes more where it is the liquidity pot's.
    fn lending() -> Weight;
    /// Interest accrues, and the insurance fund is given its part.
    fn interest() -> Weight;
    /// The close without fills, requests and liquidations, with `markets` listed.
    fn close(markets: u32) -> Weight;
    /// One resting order's execution: in the match, in the book, in the event.
    fn fill() -> Weight;
    /// An account with one position whose order executes in a market: read, checked, novated, written and put where the risk
    /// indices find it, everything near and moving nearer.
    fn small_party() -> Part;
    /// The same with [`MAX_HOLDINGS`] positions and collaterals.
    fn full_party() -> Part;
    /// The execution of one request.
    fn request() -> Weight;
    /// Looking at the markets whose contract has expired that a close deals with, and removing one of as many as can be listed.
    fn ending() -> Weight;
    /// The mark of one option.
    fn option_mark() -> Weight;

    /// An account with so many positions and collaterals whose order executes, in the first market of a close. In each further one it
    /// costs less than a small one does in its first: nothing is written that is not already.
    fn party(holdings: u32) -> Part {
        let most = MAX_HOLDINGS.saturating_sub(1);
        Self::small_party().towards(Self::full_party(), holdings.saturating_sub(1), most)
    }
}

fn micros(n: u64) -> Weight {
    Weight::from_parts(n.saturating_mul(WEIGHT_REF_TIME_PER_MICROS), 0)
}

const fn part(micros: u64, writes: u64) -> Part {
    Part {
        time: micros.saturating_mul(WEIGHT_REF_TIME_PER_MICROS),
        reads: 0,
        writes,
    }
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
    fn supply() -> Weight {
        micros(500)
    }
    fn redeem() -> Weight {
        micros(500)
    }
    fn borrow() -> Weight {
        micros(500)
    }
    fn lending() -> Weight {
        micros(50)
    }
    fn interest() -> Weight {
        micros(100)
    }
    fn close(markets: u32) -> Weight {
        micros(5_000).saturating_add(micros(150).saturating_mul(u64::from(markets)))
    }
    fn fill() -> Weight {
        micros(80)
    }
    fn small_party() -> Part {
        part(300, 3)
    }
    fn full_party() -> Part {
        part(4_000, 40)
    }
    fn request() -> Weight {
        micros(250)
    }
    fn ending() -> Weight {
        micros(500)
    }
    fn option_mark() -> Weight {
        micros(100)
    }
}

// Measured: `make weights` writes everything below this line.

/// As measured on AMD EPYC, 2 cores. What says "÷ 2.2" was measured later, on an instance that took 2.2 times as long for the others (median of 60), and "÷ 1.8" on one that took 1.8 times as long; they are divided by that.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    /// 174 µs, 11 keys read, 9 written.
    fn withdraw() -> Weight {
        Weight::from_parts(173_620_000, 0).saturating_add(T::DbWeight::get().reads_writes(11, 9))
    }
    /// 178 µs, 8 keys read, 6 written.
    fn transfer() -> Weight {
        Weight::from_parts(177_970_000, 0).saturating_add(T::DbWeight::get().reads_writes(8, 6))
    }
    /// 150 µs, 10 keys read, 9 written.
    fn deposit_for() -> Weight {
        Weight::from_parts(150_260_000, 0).saturating_add(T::DbWeight::get().reads_writes(10, 9))
    }
    /// 122 µs, 11 keys read, 11 written; ÷ 2.2.
    fn supply() -> Weight {
        Weight::from_parts(122_480_000, 0).saturating_add(T::DbWeight::get().reads_writes(11, 11))
    }
    /// 119 µs, 12 keys read, 11 written; ÷ 2.2.
    fn redeem() -> Weight {
        Weight::from_parts(118_880_000, 0).saturating_add(T::DbWeight::get().reads_writes(12, 11))
    }
    /// 298 µs, 13 keys read, 10 written; ÷ 2.2.
    fn borrow() -> Weight {
        Weight::from_parts(298_080_000, 0).saturating_add(T::DbWeight::get().reads_writes(13, 10))
    }
    /// 64.09 µs, 4 keys read, 4 written, one among 8; ÷ 2.2.
    fn lending() -> Weight {
        Weight::from_parts(64_240_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 4))
    }
    /// 45.45 µs, 4 keys read, 3 written; ÷ 2.2.
    fn interest() -> Weight {
        Weight::from_parts(45_660_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 3))
    }
    /// 136 µs, 12 keys read, 2 written; 19.64 µs, 5 keys read, 1 written for each of `markets`.
    fn close(markets: u32) -> Weight {
        Weight::from_parts(136_250_000, 0)
            .saturating_add(T::DbWeight::get().reads_writes(12, 2))
            .saturating_add(Weight::from_parts(19_640_000, 0).saturating_mul(markets.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(5, 1)
                    .saturating_mul(markets.into()),
            )
    }
    /// 4.62 µs, 1 keys read, 1 written, one among 64.
    fn fill() -> Weight {
        Weight::from_parts(4_630_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
    /// 35.51 µs, 8 keys read, 5 written, one among 64; ÷ 1.8.
    fn small_party() -> Part {
        Part {
            time: 35_510_000,
            reads: 8,
            writes: 5,
        }
    }
    /// 322 µs, 71 keys read, 37 written, one among 64.
    fn full_party() -> Part {
        Part {
            time: 321_790_000,
            reads: 71,
            writes: 37,
        }
    }
    /// 106 µs, 4 keys read, 4 written, one among 8.
    fn request() -> Weight {
        Weight::from_parts(106_410_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 4))
    }
    /// 194 µs, 84 keys read, 19 written; ÷ 2.2.
    fn ending() -> Weight {
        Weight::from_parts(193_570_000, 0).saturating_add(T::DbWeight::get().reads_writes(84, 19))
    }
    /// 2.30 µs, 0 keys read, 0 written, one among 64; ÷ 2.2.
    fn option_mark() -> Weight {
        Weight::from_parts(2_310_000, 0)
    }
}
