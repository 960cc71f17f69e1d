//! Orders as they are submitted, kept and reported.

use crate::{
    AccountRef, BlockNumber, Cash, ClientId, Direction, Lots, MarketId, Sequence, SignedLots, Ticks,
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// Bid buys, ask sells.
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
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Buys.
    Bid,
    /// Sells.
    Ask,
}

impl Side {
    /// The other side.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Bid => Self::Ask,
            Self::Ask => Self::Bid,
        }
    }

    /// `lots` as a change of position: above zero for a bid. `None` beyond the range of [`SignedLots`].
    pub fn signed(self, lots: Lots) -> Option<SignedLots> {
        let lots = SignedLots::try_from(lots).ok()?;
        match self {
            Self::Bid => Some(lots),
            Self::Ask => lots.checked_neg(),
        }
    }

    /// Whether an order of this side with `limit` accepts `price`.
    pub const fn accepts(self, limit: Ticks, price: Ticks) -> bool {
        match self {
            Self::Bid => price <= limit,
            Self::Ask => price >= limit,
        }
    }
}

/// How long an order stands.
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
#[serde(rename_all = "snake_case")]
pub enum TimeInForce {
    /// GTC: until it fills or is cancelled.
    GoodTilCancelled,
    /// GTT: it leaves at the close of this block, unmatched from then on.
    GoodTilBlock(BlockNumber),
    /// IOC: what does not execute in the first match is cancelled.
    ImmediateOrCancel,
    /// GTC, but never takes: cancelled where it would cross the rested book.
    PostOnly,
    /// FOK: it executes whole in the first match, or is cancelled.
    FillOrKill,
}

/// Which of an owner's two orders gives way when they would trade with each other on the walk.
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
#[serde(rename_all = "snake_case")]
pub enum SelfTradePrevention {
    /// The incoming one.
    #[default]
    CancelNewest,
    /// The resting one.
    CancelOldest,
}

/// A price, or what the market gives within a limit.
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
#[serde(rename_all = "snake_case")]
pub enum OrderPrice {
    /// No worse than these ticks.
    Limit(Ticks),
    /// At the market, no farther from the mark than the default slippage limit. Always immediate-or-cancel.
    Market,
}

/// A new order.
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
pub struct NewOrder {
    /// The market.
    pub market: MarketId,
    /// The account's own number for it, not used by another of its open orders.
    pub client_id: ClientId,
    /// Bid or ask.
    pub side: Side,
    /// Size.
    pub lots: Lots,
    /// Limit, or market.
    pub price: OrderPrice,
    /// How long it stands.
    pub time_in_force: TimeInForce,
    /// Only ever brings the position nearer to zero.
    pub reduce_only: bool,
    /// Which order gives way to avoid a self-trade.
    pub self_trade_prevention: SelfTradePrevention,
}

/// An order that waits for the mark: a stop or a take-profit. It is in no book and needs no margin until it fires.
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
pub struct NewTrigger {
    /// What it becomes. A market order's limit is drawn from the mark at which it fires.
    pub order: NewOrder,
    /// Fires on a fall to the level, or on a rise to it.
    pub direction: Direction,
    /// The level: it fires at the first close whose mark is at or below it, or at or above it.
    pub ticks: Ticks,
    /// Block at whose close it leaves if it has not fired before.
    pub expires: Option<BlockNumber>,
}

/// A trigger as its account holds it. The order that it becomes keeps its sequence number and its client id.
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
pub struct Trigger {
    /// The chain's number for it.
    pub sequence: Sequence,
    /// Breaks ties between triggers of one level: a hash of its intake's parent block, the account and the sequence number.
    pub tie: u64,
    /// What was asked for.
    pub terms: NewTrigger,
}

/// Which of the account's orders, triggers among them, is meant.
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
#[serde(rename_all = "snake_case")]
pub enum OrderTarget {
    /// By the account's own number.
    Client(ClientId),
    /// By the number the chain gave.
    Sequence(Sequence),
}

/// One step of an order extrinsic. Steps succeed or fail one by one.
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
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Take in a new order; it meets the market at this block's close.
    Place(NewOrder),
    /// Cancel one order or trigger now.
    Cancel(OrderTarget),
    /// Change an order now. Only a smaller size at the same price keeps its time; anything else makes it a new order
    /// with the same client id.
    Amend {
        /// The order.
        target: OrderTarget,
        /// The new limit, or the old one.
        price: Option<Ticks>,
        /// The new remaining size, or the old one.
        lots: Option<Lots>,
    },
    /// Cancel every order and trigger of the account in one market, or everywhere.
    CancelAll {
        /// The market, or all of them.
        market: Option<MarketId>,
    },
    /// Keep an order until the mark reaches a level. Cancelled as orders are; never amended.
    PlaceTrigger(NewTrigger),
}

/// Why an order left without having filled.
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
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// Its owner asked.
    Requested,
    /// Amended into a new order.
    Replaced,
    /// Its time was up.
    Expired,
    /// Immediate-or-cancel, and this much did not execute.
    NotImmediate,
    /// Post-only, and it would have crossed.
    WouldCross,
    /// It touched an opposite order's own limit after the match.
    Touching,
    /// It would have traded with its own owner.
    SelfTrade,
    /// Reduce-only, and there was no position left to reduce.
    NothingToReduce,
    /// Its fills would have left the account without margin.
    InsufficientMargin,
    /// The account is being liquidated.
    Liquidation,
    /// The market took no new risk at its close (halted, reduce-only, or at its open-interest cap).
    MarketRestricted,
    /// The book was full on that side, and it was the farthest from the market.
    BookFull,
    /// Fill-or-kill, and not all of it could execute.
    NotWhole,
}

/// Whether a fill pays the maker's or the taker's fee.
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
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Rested, or posted.
    Maker,
    /// Crossed.
    Taker,
}

/// One order's fill at one price, as an event reports it and as clearing novates it.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Fill<AccountId> {
    /// Whose order.
    pub account: AccountRef<AccountId>,
    /// Which order.
    pub sequence: Sequence,
    /// Bid or ask.
    pub side: Side,
    /// Which fee it pays.
    pub role: Role,
    /// Price.
    pub ticks: Ticks,
    /// Size.
    pub lots: Lots,
    /// Fee in quantums, below zero for a rebate; zero until novated.
    pub fee: Cash,
    /// It comes from a liquidation's order.
    pub liquidation: bool,
}

/// An open order as queries report it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct OpenOrder {
    /// The market.
    pub market: MarketId,
    /// The chain's number for it.
    pub sequence: Sequence,
    /// The account's number for it.
    pub client_id: ClientId,
    /// Bid or ask.
    pub side: Side,
    /// Limit.
    pub ticks: Ticks,
    /// What remains.
    pub lots: Lots,
    /// Block of its intake.
    pub block: BlockNumber,
    /// How long it stands.
    pub time_in_force: TimeInForce,
    /// Only ever reduces.
    pub reduce_only: bool,
    /// Quantums the account's margin holds for it.
    pub reserve: Cash,
}
