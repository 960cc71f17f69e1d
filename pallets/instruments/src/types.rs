//! Changes of parameters and how far they may go.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use novate_types::{
    BlockNumber, Cash, FeeTier, FeedId, Lots, MarketId, MarketParams, Millis, Ppm, Price, RiskTier,
    Size, Ticks, TierId, MILLION,
};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};
use sp_core::{
    bounded::{BoundedBTreeMap, BoundedVec},
    ConstU32,
};

/// Most that an amount among the parameters can be, in quantums (10¹⁸ USD): no valuation overflows on a parameter.
pub const MAX_AMOUNT: Cash = 1_000_000_000_000_000_000_000_000;
/// Farthest from zero that the interest component of funding can be, in ppm per eight hours.
pub const MAX_INTEREST: Ppm = 10_000;
/// Most that the funding cap's factor can be: one hundred times `IMF − MMF`.
pub const MAX_FUNDING_CAP_FACTOR: Ppm = 100 * MILLION;

/// Most blocks of deposits and orders before a call auction: an hour of blocks of a second.
pub const MAX_CALL_BLOCKS: BlockNumber = 3_600;
/// Most blocks that a market wants to trade at its band's edge before it goes through a call auction: a day of blocks of a second.
pub const MAX_EDGE_BLOCKS: BlockNumber = 86_400;
/// Least time between listing and expiry: an hour, of which the settlement's mean is the second half.
pub const LEAST_TERM: Millis = 3_600_000;
/// Most time between listing and expiry: two years of 366 days.
pub const MOST_TERM: Millis = 2 * 366 * 86_400_000;

/// Strikes that a rule lists on each side of the index, at most.
pub const MOST_STRIKES: u8 = 20;
/// Underlyings that contracts are listed on by rule, at most.
pub const MOST_RULES: u32 = 8;
/// Of the markets that there can be, how many no rule takes: governance always has room to list some.
pub const RESERVED_MARKETS: u32 = 8;

/// On which terms contracts are listed by rule on an underlying.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct SeriesRule {
    /// What their tickers begin with, ASCII, such as `BTC`.
    pub base: BoundedVec<u8, ConstU32<8>>,
    /// Smallest step of the price, USD per unit.
    pub tick_size: Price,
    /// Smallest step of the size, units of the underlying.
    pub lot_size: Size,
    /// Parameters of dated futures.
    pub futures: MarketParams,
    /// Parameters of options.
    pub options: MarketParams,
    /// Distance between strikes, in ticks; none are listed if it is zero.
    pub strike_step: Ticks,
    /// Strikes listed on each side of the one nearest to the index.
    pub strikes: u8,
}

/// The rules, by underlying.
pub type Rules = BoundedBTreeMap<FeedId, SeriesRule, ConstU32<MOST_RULES>>;

/// All fee tiers, dearest first.
pub type FeeTiers = BoundedVec<FeeTier, ConstU32<8>>;

/// How far each parameter moves in one change: by `relative` of what is in force, or by the least step of its unit,
/// whichever is farther. The least steps let a parameter leave zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct Step {
    /// Of the old value, for every parameter.
    pub relative: Ppm,
    /// Least step of margin fractions, bands and factors.
    pub fraction: Ppm,
    /// Least step of fees and of the interest rate.
    pub rate: Ppm,
    /// Least step of amounts, in quantums.
    pub cash: u128,
    /// Least step of the open-interest cap.
    pub lots: Lots,
    /// Least step of numbers of blocks.
    pub blocks: BlockNumber,
}

/// A change of parameters, complete: the new values, not their differences.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Change {
    /// A tier's parameters.
    #[codec(index = 0)]
    Tier(TierId, RiskTier),
    /// A market's own parameters.
    #[codec(index = 1)]
    Market(MarketId, MarketParams),
    /// The fee tiers.
    #[codec(index = 2)]
    FeeTiers(FeeTiers),
    /// What a tier's margin fractions are multiplied by while volatility is high, in ppm; the forecast schedules it, nobody else.
    #[codec(index = 3)]
    Follow(TierId, Ppm),
}

impl Change {
    /// What it changes.
    pub const fn subject(&self) -> Subject {
        match self {
            Self::Tier(id, _) | Self::Follow(id, _) => Subject::Tier(*id),
            Self::Market(id, _) => Subject::Market(*id),
            Self::FeeTiers(_) => Subject::FeeTiers,
        }
    }
}

/// What a change is about. At most one is scheduled for each.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub enum Subject {
    /// A tier.
    #[codec(index = 0)]
    Tier(TierId),
    /// A market.
    #[codec(index = 1)]
    Market(MarketId),
    /// The fee tiers.
    #[codec(index = 2)]
    FeeTiers,
}

/// A change that waits.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Scheduled {
    /// The change.
    pub change: Change,
    /// Block in which it was scheduled.
    pub since: BlockNumber,
    /// The first block whose close can put it in force.
    pub due: BlockNumber,
}

/// A tier whose margin follows volatility above what governance set.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct Followed {
    /// What governance set: margin never is below it.
    pub floor: RiskTier,
    /// What both margin fractions are multiplied by, in ppm; at least one.
    pub factor: Ppm,
}
