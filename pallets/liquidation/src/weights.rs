//! Weights of the calls and of the close's parts.

use crate::{types::steps_of, Work};
use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{constants::WEIGHT_REF_TIME_PER_MICROS, RuntimeDbWeight, Weight},
};
use novate_types::{Part, MAX_POSITIONS};

/// What calls, and this pallet's part of the close, cost.
pub trait WeightInfo {
    /// Any of the calls.
    fn loss_cap() -> Weight;
    /// Both parts of the close with nothing to do but the vault's orders.
    fn idle() -> Weight;
    /// One entry taken out of the threshold index that is live no longer.
    fn pop() -> Part;
    /// An account with [`MAX_POSITIONS`] behind live entries: looked at, and all of its thresholds drawn again.
    fn look() -> Part;
    /// The same of one with [`SMALL_POSITIONS`].
    fn small_look() -> Part;
    /// An account with [`MAX_POSITIONS`] taken through all remedies that a single close takes: the fund, the vault.
    fn liquidate() -> Part;
    /// The same of one with [`SMALL_POSITIONS`].
    fn small_liquidate() -> Part;
    /// As many orders as one close cancels, and their pages.
    fn cancel() -> Weight;
    /// A trigger that leaves with its account's liquidation, of a market of its own: told, its key left behind.
    fn left_behind() -> Part;
    /// One counterparty with [`MAX_POSITIONS`] deleveraged whose thresholds move away.
    fn deleverage() -> Part;
    /// The same of one with [`SMALL_POSITIONS`].
    fn small_deleverage() -> Part;
    /// One entry of the deleveraging index read and put back.
    fn rank() -> Part;
    /// A bid in its extrinsic, in the place of another where its block takes no more.
    fn bid() -> Weight;
    /// A bid in the close that takes part of an account with [`MAX_POSITIONS`].
    fn fill_bid() -> Part;
    /// The same of one with [`SMALL_POSITIONS`].
    fn small_fill_bid() -> Part;
    /// A request to buy shares of the vault, which holds [`MAX_POSITIONS`].
    fn vault_deposit() -> Weight;
    /// A request to sell some.
    fn vault_withdraw() -> Weight;
    /// An epoch settled: the vault, which holds [`MAX_POSITIONS`], is valued and written.
    fn settle_shares() -> Weight;
    /// A request for shares executed: a wallet is paid.
    fn execute_share_request() -> Weight;
    /// One of as many underlyings as there can be is sampled, and every tier made to follow.
    fn sample() -> Weight;
    /// The stress of a sweep with a loss in every market is published. The vault holds [`MAX_POSITIONS`].
    fn publish() -> Weight;
    /// An option of an account that the sweep passes, priced again under every move.
    fn option_at_stake() -> Weight;
    /// An option that a scan margins, priced again under the grid for a forecast deviation of its account: where nothing moved, and either way.
    fn scan_at_stake() -> Weight;
    /// A position of an account that a scan margins, priced once under the grid with its part of the rows that are read for it.
    fn option_scan() -> Part;

    /// What every close takes: nothing to do, as many orders cancelled as may be, the largest accounts swept, and the keys that all who are
    /// liquidated share.
    fn fixed(swept: u32, shared: u32, db: RuntimeDbWeight) -> Weight {
        let look = Self::look().weight(db);
        Self::idle()
            .saturating_add(Self::cancel())
            .saturating_add(look.saturating_mul(swept.into()))
            .saturating_add(db.writes(shared.into()))
    }

    /// What so much work takes at worst, beside [`WeightInfo::fixed`].
    fn work(work: Work, db: RuntimeDbWeight) -> Weight {
        let look = step(Self::look(), Self::small_look(), db);
        let liquidate = step(Self::liquidate(), Self::small_liquidate(), db);
        // All of a counterparty's thresholds may come nearer.
        let deleverage =
            step(Self::deleverage(), Self::small_deleverage(), db).saturating_add(look);
        let times = |weight: Weight, many: u32| weight.saturating_mul(many.into());
        times(Self::pop().weight(db), work.pops)
            .saturating_add(times(look, work.looks))
            .saturating_add(times(liquidate, work.liquidations))
            .saturating_add(times(deleverage, work.deleveraged))
            .saturating_add(times(Self::rank().weight(db), work.ranks))
    }
}

/// Positions of the small account that work is measured on beside the largest.
pub const SMALL_POSITIONS: u32 = 2;

/// A step of whichever account takes more for each: see [`Work`].
fn step(full: Part, small: Part, db: RuntimeDbWeight) -> Weight {
    let each = |of: Part, positions: u32| {
        of.weight(db)
            .saturating_div(steps_of(positions).max(1).into())
    };
    each(full, MAX_POSITIONS).max(each(small, SMALL_POSITIONS))
}

const fn micros(n: u64) -> Weight {
    Weight::from_parts(n.saturating_mul(WEIGHT_REF_TIME_PER_MICROS), 0)
}

const fn part(micros: u64) -> Part {
    Part {
        time: micros.saturating_mul(WEIGHT_REF_TIME_PER_MICROS),
        reads: 0,
        writes: 0,
    }
}

/// Round figures, for tests.
impl WeightInfo for () {
    fn loss_cap() -> Weight {
        micros(200)
    }
    fn idle() -> Weight {
        micros(2_000)
    }
    fn pop() -> Part {
        part(10)
    }
    fn look() -> Part {
        part(2000)
    }
    fn small_look() -> Part {
        part(240)
    }
    fn liquidate() -> Part {
        part(2000)
    }
    fn small_liquidate() -> Part {
        part(240)
    }
    fn cancel() -> Weight {
        micros(10_000)
    }
    fn left_behind() -> Part {
        part(10)
    }
    fn deleverage() -> Part {
        part(1000)
    }
    fn small_deleverage() -> Part {
        part(100)
    }
    fn rank() -> Part {
        part(10)
    }
    fn bid() -> Weight {
        micros(200)
    }
    fn fill_bid() -> Part {
        part(2000)
    }
    fn small_fill_bid() -> Part {
        part(240)
    }
    fn vault_deposit() -> Weight {
        micros(300)
    }
    fn vault_withdraw() -> Weight {
        micros(100)
    }
    fn settle_shares() -> Weight {
        micros(2_000)
    }
    fn execute_share_request() -> Weight {
        micros(200)
    }
    fn sample() -> Weight {
        micros(200)
    }
    fn publish() -> Weight {
        micros(300)
    }
    fn option_at_stake() -> Weight {
        micros(60)
    }
    fn scan_at_stake() -> Weight {
        micros(300)
    }
    fn option_scan() -> Part {
        part(10)
    }
}

// Measured: `make weights` writes everything below this line.

/// As measured on AMD EPYC, 2 cores. What says "÷ 2.2" was measured later, on an instance that took 2.2 times as long for the others (median of 60), and divided by that.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    /// 38.37 µs, 2 keys read, 1 written.
    fn loss_cap() -> Weight {
        Weight::from_parts(38_370_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }
    /// 719 µs, 359 keys read, 5 written.
    fn idle() -> Weight {
        Weight::from_parts(718_630_000, 0).saturating_add(T::DbWeight::get().reads_writes(359, 5))
    }
    /// 4.26 µs, 1 keys read, 0 written, one among 64.
    fn pop() -> Part {
        Part {
            time: 4_270_000,
            reads: 1,
            writes: 0,
        }
    }
    /// 174 µs, 21 keys read, 21 written, one among 3.
    fn look() -> Part {
        Part {
            time: 173_660_000,
            reads: 21,
            writes: 21,
        }
    }
    /// 23.85 µs, 5 keys read, 3 written, one among 32.
    fn small_look() -> Part {
        Part {
            time: 23_850_000,
            reads: 5,
            writes: 3,
        }
    }
    /// 533 µs, 91 keys read, 57 written, one among 3.
    fn liquidate() -> Part {
        Part {
            time: 532_520_000,
            reads: 91,
            writes: 57,
        }
    }
    /// 65.22 µs, 3 keys read, 2 written, one among 32.
    fn small_liquidate() -> Part {
        Part {
            time: 65_220_000,
            reads: 3,
            writes: 2,
        }
    }
    /// 1425 µs, 587 keys read, 161 written.
    fn cancel() -> Weight {
        Weight::from_parts(1_424_680_000, 0)
            .saturating_add(T::DbWeight::get().reads_writes(587, 161))
    }
    /// 1.40 µs, 0 keys read, 0 written, one among 32; ÷ 2.2.
    fn left_behind() -> Part {
        Part {
            time: 1_410_000,
            reads: 0,
            writes: 0,
        }
    }
    /// 94.20 µs, 2 keys read, 2 written, one among 3.
    fn deleverage() -> Part {
        Part {
            time: 94_200_000,
            reads: 2,
            writes: 2,
        }
    }
    /// 13.44 µs, 1 keys read, 1 written, one among 32.
    fn small_deleverage() -> Part {
        Part {
            time: 13_440_000,
            reads: 1,
            writes: 1,
        }
    }
    /// 6.17 µs, 1 keys read, 0 written, one among 128.
    fn rank() -> Part {
        Part {
            time: 6_180_000,
            reads: 1,
            writes: 0,
        }
    }
    /// 101 µs, 5 keys read, 1 written; ÷ 2.2.
    fn bid() -> Weight {
        Weight::from_parts(101_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(5, 1))
    }
    /// 262 µs, 39 keys read, 45 written, one among 3.
    fn fill_bid() -> Part {
        Part {
            time: 261_650_000,
            reads: 39,
            writes: 45,
        }
    }
    /// 19.88 µs, 1 keys read, 1 written, one among 16.
    fn small_fill_bid() -> Part {
        Part {
            time: 19_890_000,
            reads: 1,
            writes: 1,
        }
    }
    /// 83.18 µs, 10 keys read, 8 written; ÷ 2.2.
    fn vault_deposit() -> Weight {
        Weight::from_parts(83_080_000, 0).saturating_add(T::DbWeight::get().reads_writes(10, 8))
    }
    /// 32.23 µs, 2 keys read, 3 written; ÷ 2.2.
    fn vault_withdraw() -> Weight {
        Weight::from_parts(32_240_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 3))
    }
    /// 83.64 µs, 9 keys read, 6 written; ÷ 2.2.
    fn settle_shares() -> Weight {
        Weight::from_parts(83_470_000, 0).saturating_add(T::DbWeight::get().reads_writes(9, 6))
    }
    /// 36.43 µs, 4 keys read, 3 written, one among 8; ÷ 2.2.
    fn execute_share_request() -> Weight {
        Weight::from_parts(36_440_000, 0).saturating_add(T::DbWeight::get().reads_writes(4, 3))
    }
    /// 189 µs, 69 keys read, 2 written; ÷ 2.2.
    fn sample() -> Weight {
        Weight::from_parts(189_020_000, 0).saturating_add(T::DbWeight::get().reads_writes(69, 2))
    }
    /// 48.18 µs, 3 keys read, 2 written; ÷ 2.2.
    fn publish() -> Weight {
        Weight::from_parts(47_980_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 2))
    }
    /// 41.17 µs, 0 keys read, 0 written; ÷ 1.8.
    fn option_at_stake() -> Weight {
        Weight::from_parts(41_170_000, 0)
    }
    /// 283 µs, 0 keys read, 0 written, one among 32; ÷ 1.8.
    fn scan_at_stake() -> Weight {
        Weight::from_parts(282_780_000, 0)
    }
    /// 6.55 µs, 1 keys read, 0 written, one among 32; ÷ 1.8.
    fn option_scan() -> Part {
        Part {
            time: 6_550_000,
            reads: 1,
            writes: 0,
        }
    }
}
