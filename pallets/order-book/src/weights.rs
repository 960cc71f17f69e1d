//! Weights of the pallet. Provisional: estimated from the costs in the design notes, not measured, and high on purpose.

use frame_support::weights::Weight;

/// What the pallet's call and its parts of the close cost.
pub trait WeightInfo {
    /// An extrinsic with `places` orders that come in and `changes` orders that leave or shrink; their entries in the book, their
    /// margin assessments and their share of writing pages at the close are in it.
    fn submit(places: u32, changes: u32) -> Weight;
    /// Loading one market, matching it without any fill, committing it and refreshing its quotes; what it reads of the book for
    /// the match is counted by [`WeightInfo::read`].
    fn match_market() -> Weight;
    /// Reading, matching and committing one resting order.
    fn match_order() -> Weight;
    /// Reading one resting order with its share of a page, and entering it into a match.
    fn read() -> Weight;
    /// Everything that housekeeping does at most, for `pages` pages of expiries and as many of evictions, and fresh quotes of
    /// `markets` markets.
    fn housekeep(pages: u32, markets: u32) -> Weight;
}

const fn micros(ref_time: u64) -> Weight {
    Weight::from_parts(ref_time.saturating_mul(1_000_000), 0)
}

impl WeightInfo for () {
    fn submit(places: u32, changes: u32) -> Weight {
        micros(150)
            .saturating_add(micros(200).saturating_mul(u64::from(places)))
            .saturating_add(micros(120).saturating_mul(u64::from(changes)))
    }

    fn match_market() -> Weight {
        micros(800)
    }

    fn match_order() -> Weight {
        micros(60)
    }

    fn read() -> Weight {
        micros(2)
    }

    fn housekeep(pages: u32, markets: u32) -> Weight {
        micros(2_000)
            .saturating_add(micros(12_000).saturating_mul(u64::from(pages)))
            .saturating_add(micros(300).saturating_mul(u64::from(markets)))
    }
}
