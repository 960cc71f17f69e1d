//! Weights of the calls and of the close's parts.

use crate::{types::steps_of, Work};
use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{constants::WEIGHT_REF_TIME_PER_MICROS, Weight},
};
use novate_types::{MAX_HOLDINGS, MAX_POSITIONS};

/// What calls, and this pallet's part of the close, cost.
pub trait WeightInfo {
    /// Any of the calls.
    fn loss_cap() -> Weight;
    /// Both parts of the close with nothing to do but the vault's orders.
    fn idle() -> Weight;
    /// One entry taken out of the threshold index that is live no longer.
    fn pop() -> Weight;
    /// An account with [`MAX_POSITIONS`] behind live entries: looked at, and all of its thresholds drawn again.
    fn look() -> Weight;
    /// The same of one with [`SMALL_POSITIONS`].
    fn small_look() -> Weight;
    /// An account with [`MAX_POSITIONS`] taken through all remedies that a single close takes: the fund, the vault.
    fn liquidate() -> Weight;
    /// The same of one with [`SMALL_POSITIONS`].
    fn small_liquidate() -> Weight;
    /// As many orders as one close cancels, and their pages.
    fn cancel() -> Weight;
    /// One counterparty deleveraged whose thresholds move away.
    fn deleverage() -> Weight;
    /// One entry of the deleveraging index read and put back.
    fn rank() -> Weight;

    /// The work between `calm` and `all` for which there is `room`: of what `all` is more, the same part of everything. Calm at least,
    /// for which there is always room.
    fn fit(calm: Work, all: Work, room: Weight) -> Work {
        let (least, most) = (Self::budget(calm), Self::budget(all));
        let room = room.min(most).saturating_sub(least).ref_time();
        let more = most.saturating_sub(least).ref_time();
        let part = |calm: u32, all: u32| {
            let more = u128::from(all.saturating_sub(calm))
                .saturating_mul(room.into())
                .checked_div(more.into())
                .and_then(|more| u32::try_from(more).ok());
            calm.saturating_add(more.unwrap_or(0))
        };
        Work {
            pops: part(calm.pops, all.pops),
            looks: part(calm.looks, all.looks),
            liquidations: part(calm.liquidations, all.liquidations),
            deleveraged: part(calm.deleveraged, all.deleveraged),
            ranks: part(calm.ranks, all.ranks),
            swept: calm.swept,
        }
    }

    /// What a close with so much work needs.
    fn budget(work: Work) -> Weight {
        let look = step(Self::look(), Self::small_look());
        let liquidate = step(Self::liquidate(), Self::small_liquidate());
        // All of a counterparty's thresholds may come nearer.
        let deleverage = Self::deleverage()
            .saturating_div(steps_of(SMALL_POSITIONS).max(1).into())
            .saturating_add(look);
        // The sweep may meet the largest accounts.
        let swept = work.swept.saturating_mul(steps_of(MAX_HOLDINGS));
        Self::idle()
            .saturating_add(Self::cancel())
            .saturating_add(Self::pop().saturating_mul(work.pops.into()))
            .saturating_add(look.saturating_mul(work.looks.saturating_add(swept).into()))
            .saturating_add(liquidate.saturating_mul(work.liquidations.into()))
            .saturating_add(deleverage.saturating_mul(work.deleveraged.into()))
            .saturating_add(Self::rank().saturating_mul(work.ranks.into()))
    }
}

/// Positions of the small account that work is measured on beside the largest.
pub const SMALL_POSITIONS: u32 = 2;

/// A step of whichever account takes more for each: see [`Work`].
fn step(full: Weight, small: Weight) -> Weight {
    let each = |of: Weight, positions: u32| of.saturating_div(steps_of(positions).max(1).into());
    each(full, MAX_POSITIONS).max(each(small, SMALL_POSITIONS))
}

const fn micros(n: u64) -> Weight {
    Weight::from_parts(n.saturating_mul(WEIGHT_REF_TIME_PER_MICROS), 0)
}

/// Round figures, for tests.
impl WeightInfo for () {
    fn loss_cap() -> Weight {
        micros(200)
    }
    fn idle() -> Weight {
        micros(2_000)
    }
    fn pop() -> Weight {
        micros(10)
    }
    fn look() -> Weight {
        micros(2_000)
    }
    fn small_look() -> Weight {
        micros(240)
    }
    fn liquidate() -> Weight {
        micros(2_000)
    }
    fn small_liquidate() -> Weight {
        micros(240)
    }
    fn cancel() -> Weight {
        micros(10_000)
    }
    fn deleverage() -> Weight {
        micros(100)
    }
    fn rank() -> Weight {
        micros(10)
    }
}

// Measured: `make weights` writes everything below this line.

/// As measured on AMD EPYC, 2 cores.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    /// 42.87 µs, 2 keys read, 1 written.
    fn loss_cap() -> Weight {
        Weight::from_parts(42_870_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }
    /// 810 µs, 353 keys read, 2 written.
    fn idle() -> Weight {
        Weight::from_parts(809_920_000, 0).saturating_add(T::DbWeight::get().reads_writes(353, 2))
    }
    /// 6.27 µs, 1 keys read, 0 written, one among 256.
    fn pop() -> Weight {
        Weight::from_parts(6_280_000, 0).saturating_add(T::DbWeight::get().reads(1))
    }
    /// 417 µs, 86 keys read, 62 written, one among 3.
    fn look() -> Weight {
        Weight::from_parts(417_410_000, 0).saturating_add(T::DbWeight::get().reads_writes(86, 62))
    }
    /// 33.46 µs, 6 keys read, 3 written, one among 32.
    fn small_look() -> Weight {
        Weight::from_parts(33_470_000, 0).saturating_add(T::DbWeight::get().reads_writes(6, 3))
    }
    /// 607 µs, 91 keys read, 57 written, one among 3.
    fn liquidate() -> Weight {
        Weight::from_parts(606_750_000, 0).saturating_add(T::DbWeight::get().reads_writes(91, 57))
    }
    /// 82.52 µs, 3 keys read, 2 written, one among 32.
    fn small_liquidate() -> Weight {
        Weight::from_parts(82_520_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 2))
    }
    /// 1912 µs, 580 keys read, 158 written.
    fn cancel() -> Weight {
        Weight::from_parts(1_912_460_000, 0)
            .saturating_add(T::DbWeight::get().reads_writes(580, 158))
    }
    /// 42.35 µs, 1 keys read, 1 written, one among 16.
    fn deleverage() -> Weight {
        Weight::from_parts(42_360_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
    /// 7.05 µs, 1 keys read, 0 written, one among 128.
    fn rank() -> Weight {
        Weight::from_parts(7_060_000, 0).saturating_add(T::DbWeight::get().reads(1))
    }
}
