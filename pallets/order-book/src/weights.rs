//! Weights of the call and of the close's parts.

use core::marker::PhantomData;
use frame_support::{traits::Get, weights::Weight};
use novate_types::{MAX_OPEN_ORDERS, MAX_POSITIONS};

/// Times that margin is asked for an order that comes in, at most: with it, and, where that is not covered, before it and once it is filled.
const SCANS_PER_PLACE: u32 = 3;
/// Times that the largest account's positions may be scanned for the operations of one extrinsic, or so much of smaller accounts'.
const MOST_SCANS: u32 = 12;

/// What the pallet's call and its parts of the close cost.
pub trait WeightInfo {
    /// An extrinsic with `places` orders that come in and `changes` orders that leave or shrink, of an account with `open` others. What the
    /// close does about them is not in it.
    fn submit(places: u32, changes: u32, open: u32) -> Weight;
    /// In the close, an account with all the open orders there can be, one of which came in: it comes to rest in a page of its own.
    fn closing() -> Weight;
    /// The same of one without other open orders.
    fn small_closing() -> Weight;
    /// One more order of that account that came in.
    fn placed() -> Weight;
    /// One of its orders that left, in a page of its own.
    fn left() -> Weight;
    /// Loading one market, matching it without any fill, committing it and refreshing its quotes; what it reads of the book for
    /// the match is counted by [`WeightInfo::read`].
    fn match_market() -> Weight;
    /// Reading one resting order with its share of a page, and entering it into a match.
    fn read() -> Weight;
    /// A trigger that comes in: its keys in the index.
    fn arm() -> Weight;
    /// A trigger that is cancelled: the same keys.
    fn disarm() -> Weight;
    /// Finding that of `markets` none has a trigger that the mark reached, though each has some in both directions.
    fn triggers(markets: u32) -> Weight;
    /// A trigger that fires, of an account with all the open orders there can be: out of the index, and into the intake.
    fn fire() -> Weight;
    /// A trigger whose time is up, of such an account.
    fn expire() -> Weight;
    /// A slice that is due, of such an account: out of the index and into it again, and into the intake.
    fn slice() -> Weight;
    /// A position that a scan may margin, an option, priced once under the grid with its part of the rows that are read for it.
    fn option_scan() -> Weight;
    /// Orders of an account with such a position, in one market: both ends of what can fill there, priced by themselves.
    fn order_scan() -> Weight;
    /// Everything that housekeeping does at most, for `pages` pages of expiries and as many of evictions, and fresh quotes of
    /// `markets` markets.
    fn housekeep(pages: u32, markets: u32) -> Weight;

    /// An extrinsic, and what the close does about its orders in the book.
    fn orders(places: u32, changes: u32, open: u32) -> Weight {
        let placed = match places {
            0 => Weight::zero(),
            _ => Self::placed()
                .saturating_mul(places.saturating_sub(1).into())
                .saturating_add(Self::came_in(open)),
        };
        Self::submit(places, changes, open)
            .saturating_add(placed)
            .saturating_add(Self::left().saturating_mul(changes.into()))
    }

    /// Assessing once an account of which a scan may margin so many `positions`, and that has orders in `markets`, beyond what one by parts takes: the rows of
    /// its options, its positions under the grid, and by themselves both ends of what can fill in each market.
    fn scanned(positions: u32, markets: u32) -> Weight {
        if positions == 0 {
            return Weight::zero();
        }
        Self::option_scan()
            .saturating_mul(positions.into())
            .saturating_add(Self::order_scan().saturating_mul(markets.into()))
    }

    /// Scans for `places` orders of one extrinsic, at most.
    fn most_scanned(places: u32) -> Weight {
        let scans = places.saturating_mul(SCANS_PER_PLACE).min(MOST_SCANS);
        Self::scanned(MAX_POSITIONS, MAX_POSITIONS).saturating_mul(scans.into())
    }

    /// In the close, an account with so many open orders, one of which came in.
    fn came_in(open: u32) -> Weight {
        let (small, full) = (Self::small_closing(), Self::closing());
        full.saturating_sub(small)
            .saturating_mul(open.min(MAX_OPEN_ORDERS).into())
            .saturating_div(MAX_OPEN_ORDERS.into())
            .saturating_add(small)
    }
}

const fn micros(ref_time: u64) -> Weight {
    Weight::from_parts(ref_time.saturating_mul(1_000_000), 0)
}

/// Round figures, for tests.
impl WeightInfo for () {
    fn submit(places: u32, changes: u32, open: u32) -> Weight {
        micros(50)
            .saturating_add(micros(50).saturating_mul(u64::from(places)))
            .saturating_add(micros(20).saturating_mul(u64::from(changes)))
            .saturating_add(micros(1).saturating_mul(u64::from(open)))
    }

    fn closing() -> Weight {
        micros(200)
    }

    fn small_closing() -> Weight {
        micros(100)
    }

    fn placed() -> Weight {
        micros(50)
    }

    fn left() -> Weight {
        micros(50)
    }

    fn match_market() -> Weight {
        micros(800)
    }

    fn read() -> Weight {
        micros(2)
    }

    fn arm() -> Weight {
        micros(100)
    }

    fn disarm() -> Weight {
        micros(100)
    }

    fn triggers(markets: u32) -> Weight {
        micros(100).saturating_add(micros(5).saturating_mul(u64::from(markets)))
    }

    fn fire() -> Weight {
        micros(400)
    }

    fn expire() -> Weight {
        micros(300)
    }

    fn slice() -> Weight {
        micros(400)
    }

    fn option_scan() -> Weight {
        micros(10)
    }

    fn order_scan() -> Weight {
        micros(40)
    }

    fn housekeep(pages: u32, markets: u32) -> Weight {
        micros(2_000)
            .saturating_add(micros(12_000).saturating_mul(u64::from(pages)))
            .saturating_add(micros(300).saturating_mul(u64::from(markets)))
    }
}

// Measured: `make weights` writes everything below this line.

/// As measured on AMD EPYC, 2 cores. What says "÷ 2.2" was measured later, on an instance that took 2.2 times as long for the others (median of 60), and divided by that.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    /// 54.50 µs, 3 keys read, 1 written; 19.53 µs, 0 keys read, 0 written for each of `places`; 0.94 µs, 0 keys read, 0 written for each of `changes`; 0.19 µs, 0 keys read, 0 written for each of `open`.
    fn submit(places: u32, changes: u32, open: u32) -> Weight {
        Weight::from_parts(54_500_000, 0)
            .saturating_add(T::DbWeight::get().reads_writes(3, 1))
            .saturating_add(Weight::from_parts(19_530_000, 0).saturating_mul(places.into()))
            .saturating_add(Weight::from_parts(950_000, 0).saturating_mul(changes.into()))
            .saturating_add(Weight::from_parts(190_000, 0).saturating_mul(open.into()))
    }
    /// 34.52 µs, 2 keys read, 2 written, one among 32.
    fn closing() -> Weight {
        Weight::from_parts(34_530_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 2))
    }
    /// 18.46 µs, 2 keys read, 2 written, one among 32.
    fn small_closing() -> Weight {
        Weight::from_parts(18_470_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 2))
    }
    /// 2.77 µs, 1 keys read, 1 written, one among 32.
    fn placed() -> Weight {
        Weight::from_parts(2_770_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
    /// 2.93 µs, 1 keys read, 1 written, one among 32.
    fn left() -> Weight {
        Weight::from_parts(2_930_000, 0).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
    /// 188 µs, 40 keys read, 7 written.
    fn match_market() -> Weight {
        Weight::from_parts(188_280_000, 0).saturating_add(T::DbWeight::get().reads_writes(40, 7))
    }
    /// 0.68 µs, 0 keys read, 0 written, one among 128.
    fn read() -> Weight {
        Weight::from_parts(690_000, 0)
    }
    /// 2.59 µs, 0 keys read, 2 written, one among 31.
    fn arm() -> Weight {
        Weight::from_parts(2_590_000, 0).saturating_add(T::DbWeight::get().writes(2))
    }
    /// 1.74 µs, 0 keys read, 2 written, one among 31.
    fn disarm() -> Weight {
        Weight::from_parts(1_750_000, 0).saturating_add(T::DbWeight::get().writes(2))
    }
    /// 6.22 µs, 2 keys read, 0 written; 10.41 µs, 2 keys read, 0 written for each of `markets`.
    fn triggers(markets: u32) -> Weight {
        Weight::from_parts(6_220_000, 0)
            .saturating_add(T::DbWeight::get().reads(2))
            .saturating_add(Weight::from_parts(10_410_000, 0).saturating_mul(markets.into()))
            .saturating_add(T::DbWeight::get().reads(2).saturating_mul(markets.into()))
    }
    /// 40.41 µs, 2 keys read, 3 written, one among 32.
    fn fire() -> Weight {
        Weight::from_parts(40_420_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 3))
    }
    /// 15.57 µs, 2 keys read, 3 written, one among 8.
    fn expire() -> Weight {
        Weight::from_parts(15_570_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 3))
    }
    /// 44.00 µs, 2 keys read, 3 written, one among 32.
    fn slice() -> Weight {
        Weight::from_parts(44_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(2, 3))
    }
    /// 5.97 µs, 1 keys read, 0 written, one among 32; ÷ 1.8.
    fn option_scan() -> Weight {
        Weight::from_parts(5_970_000, 0).saturating_add(T::DbWeight::get().reads(1))
    }
    /// 11.37 µs, 1 keys read, 0 written, one among 32; ÷ 1.8.
    fn order_scan() -> Weight {
        Weight::from_parts(11_370_000, 0).saturating_add(T::DbWeight::get().reads(1))
    }
    /// 49.26 µs, 70 keys read, 2 written; 2075 µs, 98 keys read, 100 written for each of `pages`; 136 µs, 35 keys read, 5 written for each of `markets`.
    fn housekeep(pages: u32, markets: u32) -> Weight {
        Weight::from_parts(49_270_000, 0)
            .saturating_add(T::DbWeight::get().reads_writes(70, 2))
            .saturating_add(Weight::from_parts(2_074_960_000, 0).saturating_mul(pages.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(98, 100)
                    .saturating_mul(pages.into()),
            )
            .saturating_add(Weight::from_parts(135_920_000, 0).saturating_mul(markets.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(35, 5)
                    .saturating_mul(markets.into()),
            )
    }
}
