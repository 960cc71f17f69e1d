//! A margin account: what one read and one write of the ledger moves.

use crate::{
    AssetId, BlockNumber, Cash, FundingIndex, Loan, Lots, MarketId, Sequence, SignedLots,
    SubaccountId, Trigger, MAX_COLLATERALS, MAX_POSITIONS, MAX_RISK_SLOTS, MAX_TRIGGERS,
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};
use sp_core::{bounded::BoundedVec, ConstU32};

/// Whose margin account: an owner and one of its 256 subaccounts.
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
pub struct AccountRef<AccountId> {
    /// The key that signs for it.
    pub owner: AccountId,
    /// Which of the owner's accounts.
    pub sub: SubaccountId,
}

impl<AccountId> AccountRef<AccountId> {
    /// The owner's account number `sub`.
    pub const fn new(owner: AccountId, sub: SubaccountId) -> Self {
        Self { owner, sub }
    }
}

/// Whether an account trades freely.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
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
pub enum Standing {
    /// Yes.
    #[default]
    Good,
    /// Below maintenance margin and queued for the remedies since that block: it may deposit, and cancel, nothing else.
    Liquidating {
        /// Block at which it was found.
        since: BlockNumber,
        /// Closes it has spent in remedy 2.
        closes: u8,
    },
    /// Taken out of trading while its positions are deleveraged.
    Frozen,
    /// In open competition (remedy 3) since that block: as in remedy 2 it may deposit, nothing else.
    Competing {
        /// Block at which the competition began.
        since: BlockNumber,
        /// Closes it has spent in remedy 3.
        closes: u8,
    },
    /// It owes more than is lent to it, or than its collateral counts for, and that collateral is auctioned since that block. It may deposit,
    /// nothing else.
    Called {
        /// Block at which the auction began.
        since: BlockNumber,
        /// Closes that the auction has lasted.
        closes: u8,
    },
}

/// The last margin call of an account: how near to liquidation it said the account is, in forecast standard deviations of what it has
/// beyond maintenance margin.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
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
pub enum MarginCall {
    /// Farther than two, or not known.
    #[default]
    #[codec(index = 0)]
    None,
    /// Nearer than two.
    #[codec(index = 1)]
    TwoSigma,
    /// Nearer than one.
    #[codec(index = 2)]
    OneSigma,
}

/// Where a position stands in the deleveraging index.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
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
pub struct RankSlot {
    /// Bucket of the entry price.
    pub bucket: u16,
    /// The live entry's generation; older ones in the pages are stale. Zero: none yet.
    pub generation: u32,
}

/// A position in one market. `value − cost + funding owed to it` is its unrealised profit.
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
pub struct Position {
    /// The market.
    pub market: MarketId,
    /// Long above zero, short below; never zero.
    pub lots: SignedLots,
    /// Quantums paid for it: above zero for a long, below for a short.
    pub cost: Cash,
    /// The market's cumulative funding up to which it has settled.
    pub funding_index: FundingIndex,
    /// Its entry of the deleveraging index.
    pub rank: RankSlot,
}

/// What an account's open orders in one market may cost it, kept up to date at intake, match and cancel.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
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
pub struct OrderAggregate {
    /// The market.
    pub market: MarketId,
    /// Lots bid.
    pub bid_lots: Lots,
    /// Lots asked.
    pub ask_lots: Lots,
    /// Quantums reserved for fills away from the mark and for fees, fixed at intake order by order.
    pub reserve: Cash,
}

/// An axis along which an account's equity can fall towards its maintenance margin.
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
pub enum RiskAxis {
    /// The mark of a market.
    Mark(MarketId),
    /// The cumulative funding of a market.
    Funding(MarketId),
    /// The settlement value of a collateral asset.
    Collateral(AssetId),
    /// The parameters in force: it moves up whenever one of them becomes stricter.
    Parameters,
    /// The borrow index.
    Interest,
    /// The index of a market: of an option, the forward of its expiry. For those whom a scan margins, whom a price hurts either way.
    Index(MarketId),
    /// The variance that an option is marked with.
    Variance(MarketId),
    /// The time until a market's contract expires.
    Expiry(MarketId),
}

/// A fall or a rise: in which direction an axis hurts an account, or a trigger's level is reached.
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
pub enum Direction {
    /// A fall.
    Down,
    /// A rise.
    Up,
}

/// The account's live entry of the threshold index on one axis.
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
pub struct RiskSlot {
    /// The axis.
    pub axis: RiskAxis,
    /// The direction that hurts.
    pub direction: Direction,
    /// The bucket of its threshold.
    pub bucket: u32,
    /// The live entry's generation; older ones in the pages are stale.
    pub generation: u32,
}

/// Positions of one account, one per market.
pub type Positions = BoundedVec<Position, ConstU32<MAX_POSITIONS>>;
/// Collateral of one account, one entry per asset, amounts in the asset's smallest unit.
pub type Collaterals = BoundedVec<(AssetId, u128), ConstU32<MAX_COLLATERALS>>;
/// Order aggregates of one account, one per market with open orders.
pub type OrderAggregates = BoundedVec<OrderAggregate, ConstU32<MAX_POSITIONS>>;
/// Threshold entries of one account.
pub type RiskSlots = BoundedVec<RiskSlot, ConstU32<MAX_RISK_SLOTS>>;

/// Triggers of one account.
pub type Triggers = BoundedVec<Trigger, ConstU32<MAX_TRIGGERS>>;

/// Bytes of one account's open orders, at most.
pub const MAX_ORDER_BYTES: u32 = 16_384;
/// The open orders of one account, in the order book's own encoding. They lie in the account because whoever changes the one
/// changes the other: what is written together is one key. Nobody but the book looks into them.
pub type OpaqueOrders = BoundedVec<u8, ConstU32<MAX_ORDER_BYTES>>;

/// One margin account.
#[derive(
    Clone,
    Debug,
    Default,
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
pub struct MarginAccount {
    /// Quantums; below zero it is a debt to the liquidity pot, with interest since to come (`loan`).
    pub cash: Cash,
    /// Sequence number of the next order.
    pub next_sequence: Sequence,
    /// Fee tier, an index into the view's fee tiers.
    pub fee_tier: u8,
    /// Whether it trades freely.
    pub standing: Standing,
    /// Assets other than the settlement currency.
    pub collateral: Collaterals,
    /// Positions, none with zero lots, sorted by market.
    pub positions: Positions,
    /// Margin held for open orders, sorted by market.
    pub orders: OrderAggregates,
    /// Live entries of the threshold index, sorted by axis.
    pub risk: RiskSlots,
    /// Generation given to the next threshold or rank entry.
    pub next_generation: u32,
    /// Open orders; empty without any.
    pub open: OpaqueOrders,
    /// Orders that wait for the mark, sorted by sequence.
    pub triggers: Triggers,
    /// What bears interest; none while nothing is owed.
    pub loan: Option<Loan>,
    /// What the sweep of the threshold index last said of it.
    pub call: MarginCall,
}

impl MarginAccount {
    /// The position in `market`.
    pub fn position(&self, market: MarketId) -> Option<&Position> {
        self.positions.iter().find(|p| p.market == market)
    }

    /// Positions and collaterals: what work on an account is counted by.
    pub fn holdings(&self) -> u32 {
        let all = self.positions.len().saturating_add(self.collateral.len());
        u32::try_from(all).unwrap_or(u32::MAX)
    }

    /// Signed lots held in `market`.
    pub fn lots(&self, market: MarketId) -> SignedLots {
        self.position(market).map_or(0, |p| p.lots)
    }

    /// Margin held for orders in `market`.
    pub fn order_aggregate(&self, market: MarketId) -> Option<&OrderAggregate> {
        self.orders.iter().find(|o| o.market == market)
    }

    /// Whether nothing but cash is in it: such an account withdraws at any age of prices.
    pub fn is_plain(&self) -> bool {
        self.positions.is_empty() && self.orders.is_empty() && self.collateral.is_empty()
    }
}
