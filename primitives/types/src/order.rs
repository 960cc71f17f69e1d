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

/// One of two that exclude each other: an order that meets the market, or a trigger that waits for the mark.
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
pub enum Leg {
    /// An order.
    Order(NewOrder),
    /// A trigger, which needs a block of expiry.
    Trigger(NewTrigger),
}

/// An order that is worked off in slices of equal size at equal intervals (TWAP). Each slice is an immediate order of this one's number,
/// limit and direction. What earlier slices did not get the later ones make up for, up to [`TWAP_CATCH_UP`] times their size; what is
/// left an interval after the last one is cancelled.
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
pub struct NewTwap {
    /// The whole. A market order's limit is drawn from the mark at each slice.
    pub order: NewOrder,
    /// Slices; the first enters this block's close.
    pub slices: u16,
    /// Blocks from one slice to the next.
    pub interval: u16,
}

impl NewTwap {
    /// Lots of one slice, rounded up. `None` without slices.
    pub fn slice(&self) -> Option<Lots> {
        let slices = Lots::from(self.slices);
        (slices > 0).then(|| self.order.lots.div_ceil(slices))
    }

    /// Lots that are to have been asked for once `begun` slices have begun, rounded down; all with the last.
    pub fn target(&self, begun: u32) -> Lots {
        let whole = u128::from(self.order.lots).saturating_mul(begun.into());
        let part = whole.checked_div(self.slices.into()).unwrap_or(0);
        Lots::try_from(part)
            .unwrap_or(Lots::MAX)
            .min(self.order.lots)
    }

    /// Blocks from the first slice to the end.
    pub fn span(&self) -> BlockNumber {
        BlockNumber::from(self.slices).saturating_mul(self.interval.into())
    }
}

/// A TWAP as its account holds it.
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
pub struct Twap {
    /// The chain's number for it, and for the orders of its slices.
    #[codec(compact)]
    pub sequence: Sequence,
    /// Breaks ties between those due in one block, as a trigger's.
    pub tie: u64,
    /// Block of its first slice.
    pub start: BlockNumber,
    /// Block of its next slice, or of its end.
    pub due: BlockNumber,
    /// Lots not executed yet.
    #[codec(compact)]
    pub left: Lots,
    /// What was asked for.
    pub terms: NewTwap,
}

impl Twap {
    /// The slice that block `now` is to bring, and the block of the next; `None` once it is over. What an earlier block had no room for
    /// is made up for.
    pub fn step(&self, now: BlockNumber) -> Option<(Lots, BlockNumber)> {
        let passed = now.saturating_sub(self.start);
        let begun = passed.checked_div(self.terms.interval.into())?;
        let begun = begun.checked_add(1)?;
        if self.left == 0 || begun > self.terms.slices.into() {
            return None;
        }
        let done = self.terms.order.lots.saturating_sub(self.left);
        let behind = self.terms.target(begun).saturating_sub(done);
        let most = self.terms.slice()?.saturating_mul(TWAP_CATCH_UP);
        let next = begun.saturating_mul(self.terms.interval.into());
        Some((behind.min(most), self.start.checked_add(next)?))
    }
}

/// Slices that one of a TWAP may make up for, itself included.
pub const TWAP_CATCH_UP: Lots = 3;

/// What a pegged order follows.
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
pub enum Anchor {
    /// The mark, rounded to the tick away from the other side.
    Mark,
    /// The best price of its own side of the book that stood after both previous closes.
    Best,
}

/// An order whose limit follows a price, and never takes.
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
pub struct NewPegged {
    /// The order, post-only; its limit is the worst that it ever has, and margin is held for that.
    pub order: NewOrder,
    /// What it follows.
    pub anchor: Anchor,
    /// Ticks that its limit lies above that, or below.
    pub offset: i32,
}

/// A pegged order's terms, beside the open order.
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
pub struct Peg {
    /// The open order.
    #[codec(compact)]
    pub sequence: Sequence,
    /// Breaks ties between those looked at in one block, as a trigger's.
    pub tie: u64,
    /// Block in which it is looked at next.
    pub due: BlockNumber,
    /// The worst limit.
    #[codec(compact)]
    pub worst: Ticks,
    /// What it follows.
    pub anchor: Anchor,
    /// Ticks that its limit lies above that, or below.
    pub offset: i32,
}

impl Peg {
    /// The limit of an order of `side` while the anchor is at `at` and the best price across is `across`: no worse than its worst, and none
    /// at which it would take. `None` if there is no such price.
    pub fn limit(&self, side: Side, at: Ticks, across: Option<Ticks>) -> Option<Ticks> {
        let target = at.checked_add_signed(self.offset.into())?;
        let limit = match (side, across) {
            (Side::Bid, None) => target.min(self.worst),
            (Side::Bid, Some(ask)) => target.min(self.worst).min(ask.checked_sub(1)?),
            (Side::Ask, None) => target.max(self.worst),
            (Side::Ask, Some(bid)) => target.max(self.worst).max(bid.checked_add(1)?),
        };
        (limit > 0).then_some(limit)
    }
}

/// What belongs to an account's orders and is no order of the book.
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
pub enum Arrangement {
    /// What the open order of this number does not show (iceberg).
    Hidden {
        /// The order.
        #[codec(compact)]
        sequence: Sequence,
        /// Lots that it shows at a time.
        #[codec(compact)]
        display: Lots,
        /// Lots behind those that it shows.
        #[codec(compact)]
        lots: Lots,
        /// Quantums the account's margin holds for these.
        reserve: Cash,
    },
    /// Of these two, an order and a trigger or two triggers, the first to execute, to fire or to be cancelled by its owner cancels the other.
    Pair(#[codec(compact)] Sequence, #[codec(compact)] Sequence),
    /// An order in slices over time.
    /// An order in slices.
    Twap(Twap),
    /// What the limit of an open order follows.
    Peg(Peg),
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
    /// Take in an order that shows the market a part of itself at a time. Margin is held for all of it. Once what it shows has filled, the
    /// next part enters the next close as a new order of the same number. Cancelled and amended as a whole.
    PlaceIceberg {
        /// The whole; it rests.
        order: NewOrder,
        /// Lots that it shows.
        display: Lots,
    },
    /// Take in two of one market of which the first to execute, to fire or to be cancelled cancels the other: both or none.
    PlacePair {
        /// Such as a take-profit with a limit.
        first: Leg,
        /// Such as a stop. It needs a block of expiry.
        second: NewTrigger,
    },
    /// Work off an order in slices over time. Cancelled as orders are; never amended.
    PlaceTwap(NewTwap),
    /// Take in an order whose limit follows a price. Whenever a close moves it, it is a new order of the same number. Cancelled as orders
    /// are; never amended.
    PlacePegged(NewPegged),
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
    /// The other one of its pair executed, or fired.
    OtherExecuted,
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
