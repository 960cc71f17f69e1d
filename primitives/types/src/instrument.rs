//! What is listed, and the parameters that decide what it costs to hold.

use crate::{BlockNumber, Cash, FeedId, Lots, Ppm, Price, Size};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};
use sp_core::{bounded::BoundedVec, ConstU32};

/// A market's ticker, ASCII, such as `BTC-PERP`.
pub type Symbol = BoundedVec<u8, ConstU32<24>>;
/// A set of risk parameters shared by markets of like liquidity.
pub type TierId = u8;

/// What kind of contract it is. Dated futures, options and combinations take the next indices.
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
    Serialize,
    Deserialize,
)]
pub enum InstrumentKind {
    /// A linear perpetual future, kept near its index by funding.
    #[codec(index = 0)]
    Perpetual,
}

/// What a market admits. A circuit breaker only ever moves it to the right; governance moves it back.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub enum MarketStatus {
    /// Everything.
    Open,
    /// Orders that reduce positions, and cancels. Resting orders that would raise risk are suspended.
    ReduceOnly,
    /// Cancels only: nothing matches, no funding accrues. Whoever falls below maintenance margin at a fresh price is
    /// liquidated all the same, without the market.
    Halted,
}

impl MarketStatus {
    /// Whether an order that may raise an account's risk is taken and matched.
    pub const fn allows_risk(self) -> bool {
        matches!(self, Self::Open)
    }
    /// Whether anything is matched at all.
    pub const fn allows_matching(self) -> bool {
        !matches!(self, Self::Halted)
    }
    /// The more restrictive of two.
    pub fn strictest(self, other: Self) -> Self {
        self.max(other)
    }
}

/// Parameters by which markets of like liquidity are margined. Changes go through the timelock, in bounded steps.
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
    Serialize,
    Deserialize,
)]
pub struct RiskTier {
    /// Initial margin fraction below `open_interest_lower`.
    pub imf: Ppm,
    /// Maintenance margin fraction, whatever the open interest.
    pub mmf: Ppm,
    /// Open notional (quantums) up to which `imf` stands.
    pub open_interest_lower: Cash,
    /// Open notional (quantums) at which the initial margin fraction is one.
    pub open_interest_upper: Cash,
    /// Unrealised profit (quantums) of one market that counts towards initial margin elsewhere.
    pub profit_credit: Cash,
    /// Notional (quantums) for which impact prices are taken.
    pub impact_notional: Cash,
    /// Farthest the mark may lie from the index; at most `mmf / 2`.
    pub mark_band: Ppm,
    /// Farthest from the mark that orders execute.
    pub price_band: Ppm,
    /// Blocks of deposits and orders before a call auction.
    pub call_blocks: BlockNumber,
    /// Blocks at whose end a market that wanted to trade at the edge of its band in all its matches goes through a call auction.
    pub edge_blocks: BlockNumber,
}

/// What a market has of its own beside its tier.
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
    Serialize,
    Deserialize,
)]
pub struct MarketParams {
    /// The tier it belongs to.
    pub tier: TierId,
    /// Least notional (quantums) of a new order.
    pub min_notional: Cash,
    /// Most lots that may be open (the long side); matches beyond admit only reductions.
    pub open_interest_cap: Lots,
    /// Interest component of funding per eight hours, signed.
    pub interest_8h_ppm: i32,
    /// The funding cap's factor `k` in `k · (IMF − MMF)`, in ppm of one.
    pub funding_cap_factor: Ppm,
}

/// A listed market.
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
pub struct Instrument {
    /// Its ticker.
    pub symbol: Symbol,
    /// What kind of contract.
    pub kind: InstrumentKind,
    /// The feed of its underlying.
    pub underlying: FeedId,
    /// Smallest step of the price, USD per unit.
    pub tick_size: Price,
    /// Smallest step of the size, units of the underlying.
    pub lot_size: Size,
    /// `tick_size · lot_size · 10⁶`, whole and at least one.
    pub tick_value: u64,
    /// What governance and circuit breakers admit; the age of the price may restrict further.
    pub status: MarketStatus,
    /// Its own parameters.
    pub params: MarketParams,
}

/// Trading fees by volume tier. Maker plus taker is at least zero for every pair of tiers.
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
    Serialize,
    Deserialize,
)]
pub struct FeeTier {
    /// Fee of the side that rested or posted, in ppm of the traded value; below zero it is a rebate.
    pub maker_ppm: i32,
    /// Fee of the side that crossed, in ppm of the traded value.
    pub taker_ppm: i32,
}

/// How an asset counts as collateral. Value is its USD price over `max(1, settlement currency's USD price)`.
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
    Serialize,
    Deserialize,
)]
pub struct CollateralParams {
    /// The feed that prices it.
    pub feed: FeedId,
    /// Decimals of the asset.
    pub decimals: u8,
    /// Haircut on value up to `large_value`.
    pub haircut: Ppm,
    /// Value (quantums) of one account's holding from which the larger haircut applies, at the margin.
    pub large_value: Cash,
    /// Haircut on the value beyond `large_value`.
    pub large_haircut: Ppm,
    /// Most value (quantums, after haircuts) that one account's holding counts for.
    pub value_cap: Cash,
    /// Most of the asset (in its smallest units) the chain takes; binds at deposit only.
    pub global_cap: u128,
}
