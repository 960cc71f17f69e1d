//! Changes of parameters and how far they may go.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use novate_types::{
    BlockNumber, Cash, FeeTier, Lots, MarketId, MarketParams, Ppm, RiskTier, TierId, MILLION,
};
use scale_info::TypeInfo;
use sp_core::{bounded::BoundedVec, ConstU32};

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
}

impl Change {
    /// What it changes.
    pub const fn subject(&self) -> Subject {
        match self {
            Self::Tier(id, _) => Subject::Tier(*id),
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
