//! Weights of the calls and of the close's parts.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{constants::WEIGHT_REF_TIME_PER_MICROS, Weight},
};
use novate_risk::MORE_PER_POSITION;
use novate_types::{Part, MAX_HOLDINGS};

/// Scans of an account behind an order that executes: before and after its fills, for its bankruptcy price, in a round or two more, and for its thresholds.
const PARTY_SCANS: u64 = 8;

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
    /// Scheduling parameters of the portfolio model, of as many scenarios as there may be.
    fn schedule_portfolio_rules() -> Weight;
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
    /// A position of an account that holds options, priced once under the grid with its part of the rows that are read for it.
    fn option_scan() -> Part;
    /// The execution of one request.
    fn request() -> Weight;
    /// Looking at the markets whose contract has expired that a close deals with, and removing one of as many as can be listed.
    fn ending() -> Weight;
    /// The mark of one option.
    fn option_mark() -> Weight;
    /// The worth of one option under every scenario, written, and looking whether its thresholds are crossed.
    fn scenarios() -> Weight;

    /// An account with so many positions and collaterals, and so many thresholds beyond two for each of them, whose order executes, in the first
    /// market of a close. In each further one it costs less than a small one does in its first: nothing is written that is not already.
    fn party(holdings: u32, thresholds: u32) -> Part {
        let most = MAX_HOLDINGS.saturating_sub(1);
        Self::small_party()
            .towards(Self::full_party(), holdings.saturating_sub(1), most)
            .with(Self::scanned(), thresholds)
    }

    /// One of the thresholds that such an account can have more because a scan margins it (`novate_risk::more_thresholds`): it comes nearer, as one of each
    /// holding does in [`WeightInfo::full_party`], and has its part, a quarter of a position's, of the scans that the check and the index take.
    fn scanned() -> Part {
        let nearer =
            Self::small_party().towards(Self::full_party(), 1, MAX_HOLDINGS.saturating_sub(1));
        let small = Self::small_party();
        let scans = |of: u64| {
            of.saturating_mul(PARTY_SCANS)
                .div_ceil(MORE_PER_POSITION.into())
        };
        let scan = Self::option_scan();
        Part {
            time: nearer
                .time
                .saturating_sub(small.time)
                .saturating_add(scans(scan.time)),
            reads: nearer
                .reads
                .saturating_sub(small.reads)
                .saturating_add(scans(scan.reads)),
            writes: nearer.writes.saturating_sub(small.writes).max(1),
        }
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
    fn schedule_portfolio_rules() -> Weight {
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
    fn option_scan() -> Part {
        part(1, 0)
    }
    fn scanned() -> Part {
        part(5, 1)
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
    fn scenarios() -> Weight {
        micros(150)
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
    /// 22.37 µs, 2 keys read, 1 written; ÷ 1.8.
    fn schedule_portfolio_rules() -> Weight {
        Weight::from_parts(22_370_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }
    /// 64.09 µs, 4 keys read, 4 written, one among 8; ÷ 2.2.
    fn lending() -> Weight {
        Weight::from_parts(64_240_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 4))
    }
    /// 45.45 µs, 4 keys read, 3 written; ÷ 2.2.
    fn interest() -> Weight {
        Weight::from_parts(45_660_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 3))
    }
    /// 136 µs, 12 keys read, 2 written; 19.64 µs, 6 keys read, 1 written for each of `markets`: five when it was measured, and its tier's factor.
    fn close(markets: u32) -> Weight {
        Weight::from_parts(136_250_000, 0)
            .saturating_add(T::DbWeight::get().reads_writes(12, 2))
            .saturating_add(Weight::from_parts(19_640_000, 0).saturating_mul(markets.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(6, 1)
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
    /// 6.01 µs, 1 keys read, 0 written, one among 32; ÷ 1.8.
    fn option_scan() -> Part {
        Part {
            time: 6_010_000,
            reads: 1,
            writes: 0,
        }
    }
    /// 106 µs, 4 keys read, 4 written, one among 8.
    fn request() -> Weight {
        Weight::from_parts(106_410_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 4))
    }
    /// 226 µs, 90 keys read, 25 written; ÷ 1.8.
    fn ending() -> Weight {
        Weight::from_parts(226_110_000, 0).saturating_add(T::DbWeight::get().reads_writes(90, 25))
    }
    /// 2.30 µs, 0 keys read, 0 written, one among 64; ÷ 2.2.
    fn option_mark() -> Weight {
        Weight::from_parts(2_310_000, 0)
    }
    /// 86.67 µs, 0 keys read, 1 written, one among 64; ÷ 1.8. What looking for its thresholds reads, six keys, is added.
    fn scenarios() -> Weight {
        Weight::from_parts(86_670_000, 0).saturating_add(T::DbWeight::get().reads_writes(6, 1))
    }
}
