//! What the pallet stores and reports.

use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{traits::ConstU32, BoundedVec};
use novate_types::{
    math::mul_div_floor, AccountRef, Arrangement, BlockNumber, CancelReason, Cash, ClientId,
    Direction, Lots, MarginAccount, MarketId, MathError, OpaqueOrders, OpenOrder, OrderTarget,
    RestedQuotes, RiskError, SelfTradePrevention, Sequence, Side, Ticks, TimeInForce,
    MAX_ARRANGEMENTS, MAX_MARKETS, MAX_OPEN_ORDERS,
};
use scale_info::TypeInfo;

/// Orders in one page of the book.
pub const PAGE_SLOTS: u32 = 32;
/// Pages of one tick group. The best price of a group is known only when all of it was read, so this is the least that a match
/// of the market may have to read of a side: an order that finds its group full is cancelled as [`CancelReason::BookFull`].
pub const GROUP_PAGES: u32 = 16;
/// Orders of one tick group.
pub const GROUP_ORDERS: u32 = PAGE_SLOTS * GROUP_PAGES;
/// Tick groups of one side of a market that match.
pub const MAX_GROUPS: u32 = 512;
/// Groups pushed out of a side that wait for their orders to be removed.
pub const MAX_EVICTED: u32 = 64;
/// Client ids of one account's orders cancelled in one block.
pub const MAX_CANCELLED: u32 = 512;
/// New orders of a market that wait for a later close: it had no turn, or they are the next part of an iceberg. They prepaid their match in the block they came
/// in with: the close that takes them all up has to bear it, [`WAITING_READS`] each.
pub const MAX_WAITING: u32 = 512;
/// What reading a tick group costs at least, in resting orders read: a page is fetched and decoded for however few.
pub const GROUP_READ: u32 = 8;
/// What matching an order that waited costs, in resting orders read.
pub const WAITING_READS: u32 = 32;
/// What looking up an account's position costs, in resting orders read.
pub const POSITION_READS: u32 = 16;
/// What looking up an order that waits costs, in resting orders read.
pub const NOTE_READS: u32 = 4;
/// What a fill-or-kill order prepays for further runs of its market's match, in resting orders read.
pub const FILL_OR_KILL_READS: u32 = 64;
/// Expiries in one page of the expiry index.
pub const EXPIRY_PAGE: u32 = 64;
/// Pages of the expiry index that a close reads for each page of orders that it may remove. Entries of orders that left before
/// cost only the look: faster than they can be made, so that cancelled orders do not hold up those that expire.
pub const EXPIRY_READS: u32 = 8;

/// Where an open order waits.
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
pub enum Place {
    /// In this block's intake: it meets the market at the close.
    Intake,
    /// In this page of its price's tick group.
    Page(u16),
}

/// An open order as its account holds it: what the public id (account, sequence) leads to.
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
pub struct Locator {
    /// The market.
    pub market: MarketId,
    /// The chain's number for it.
    #[codec(compact)]
    pub sequence: Sequence,
    /// The account's number for it.
    #[codec(compact)]
    pub client_id: ClientId,
    /// Bid or ask.
    pub side: Side,
    /// Limit.
    #[codec(compact)]
    pub ticks: Ticks,
    /// What remains.
    #[codec(compact)]
    pub lots: Lots,
    /// Quantums the account's margin still holds for it.
    pub reserve: Cash,
    /// Block of its intake; once it rests, block of the match in which it joined. They differ only where a market had to wait.
    pub block: BlockNumber,
    /// How long it stands.
    pub time_in_force: TimeInForce,
    /// Only ever reduces.
    pub reduce_only: bool,
    /// Which order gives way to avoid a self-trade.
    pub self_trade: SelfTradePrevention,
    /// Where it waits.
    pub place: Place,
}

impl Locator {
    /// The reserve that leaves with `lots` of what remains: the share rounded down, all of it with the last lot.
    pub fn reserve_of(&self, lots: Lots) -> Result<Cash, RiskError> {
        Ok(share(self.reserve, lots, self.lots)?)
    }

    /// Takes `lots` (at most what remains) off, and returns the reserve that leaves with them.
    pub fn take(&mut self, lots: Lots) -> Result<Cash, RiskError> {
        let reserve = self.reserve_of(lots)?;
        let rest = self
            .reserve
            .checked_sub(reserve)
            .ok_or(MathError::Overflow)?;
        self.lots = self.lots.checked_sub(lots).ok_or(RiskError::Underflow)?;
        self.reserve = rest;
        Ok(reserve)
    }

    /// As queries report it.
    pub const fn open_order(&self) -> OpenOrder {
        OpenOrder {
            market: self.market,
            sequence: self.sequence,
            client_id: self.client_id,
            side: self.side,
            ticks: self.ticks,
            lots: self.lots,
            block: self.block,
            time_in_force: self.time_in_force,
            reduce_only: self.reduce_only,
            reserve: self.reserve,
        }
    }

    /// Block at whose close it leaves by itself; [`BlockNumber::MAX`] for never.
    pub const fn expires(&self) -> BlockNumber {
        match self.time_in_force {
            TimeInForce::GoodTilBlock(block) => block,
            _ => BlockNumber::MAX,
        }
    }
}

/// The part of `reserve`, held for `all` lots, that goes with `lots` of them: rounded down, all of it with the last lot.
pub(crate) fn share(reserve: Cash, lots: Lots, all: Lots) -> Result<Cash, MathError> {
    if lots >= all {
        return Ok(reserve);
    }
    let part = mul_div_floor(reserve.unsigned_abs(), u128::from(lots), u128::from(all))?;
    novate_types::math::signed(part)
}

/// The open orders of one account over all markets.
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
)]
pub struct AccountOrders {
    /// Sorted by sequence.
    pub open: BoundedVec<Locator, ConstU32<MAX_OPEN_ORDERS>>,
    /// Client ids of orders cancelled in block `block`.
    pub cancelled: BoundedVec<ClientId, ConstU32<MAX_CANCELLED>>,
    /// New orders that came in with block `block`.
    #[codec(compact)]
    pub new: u32,
    /// What `cancelled` and `new` are about; in any other block they are of no account.
    pub block: BlockNumber,
    /// What belongs to orders and is none of the book: see [`crate::arrangements`].
    pub arrangements: BoundedVec<Arrangement, ConstU32<MAX_ARRANGEMENTS>>,
}

impl AccountOrders {
    /// The orders that an account carries.
    pub fn of(account: &MarginAccount) -> Self {
        if account.open.is_empty() {
            return Self::default();
        }
        Self::decode(&mut account.open.as_slice()).unwrap_or_else(|_| {
            frame_support::defensive!("an account carries bytes that are no orders");
            Self::default()
        })
    }

    /// As an account carries them.
    pub fn to_bytes(&self) -> OpaqueOrders {
        if self.is_empty() {
            return OpaqueOrders::default();
        }
        // The pallet's integrity test compares the bounds.
        OpaqueOrders::truncate_from(self.encode())
    }

    /// Begins block `now`, or ends one: what only counted in another is forgotten.
    pub fn enter(&mut self, now: BlockNumber) {
        if self.block != now {
            self.cancelled.truncate(0);
            self.new = 0;
            self.block = now;
        }
    }

    /// Where in `open` the order is.
    pub fn find(&self, target: OrderTarget) -> Option<usize> {
        match target {
            OrderTarget::Sequence(sequence) => self
                .open
                .binary_search_by_key(&sequence, |o| o.sequence)
                .ok(),
            OrderTarget::Client(id) => self.open.iter().position(|o| o.client_id == id),
        }
    }

    /// The order with that sequence number.
    pub fn get(&self, sequence: Sequence) -> Option<&Locator> {
        self.find(OrderTarget::Sequence(sequence))
            .and_then(|at| self.open.get(at))
    }

    /// Whether an order of that client id was cancelled in the block that was entered.
    pub fn was_cancelled(&self, id: ClientId) -> bool {
        self.cancelled.contains(&id)
    }

    /// Remembers that an order of that client id was cancelled. The list holds an account's whole open orders and intake quota of a
    /// block (checked by the pallet's integrity test), so nothing is forgotten within one.
    pub fn remember_cancelled(&mut self, id: ClientId) {
        if self.cancelled.try_push(id).is_err() {
            frame_support::defensive!("more orders cancelled in a block than could be open");
        }
    }

    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.arrangements.is_empty() && !self.is_of_this_block()
    }

    /// Whether it holds what is of account in one block only.
    pub fn is_of_this_block(&self) -> bool {
        !self.cancelled.is_empty() || self.new > 0
    }
}

/// A resting order as the book holds it: all that matching reads.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Slot<AccountId> {
    /// Whose.
    pub account: AccountRef<AccountId>,
    /// Which of its orders.
    pub sequence: Sequence,
    /// Limit.
    pub ticks: Ticks,
    /// What remains.
    pub lots: Lots,
    /// Block of the match in which it joined, its cohort.
    pub block: BlockNumber,
    /// Block at whose close it leaves, unmatched from then on; [`BlockNumber::MAX`] for never.
    pub expires: BlockNumber,
    /// Only ever reduces.
    pub reduce_only: bool,
}

impl<AccountId> Slot<AccountId> {
    /// Whether it still stands at the close of block `now`.
    pub const fn stands(&self, now: BlockNumber) -> bool {
        self.expires > now
    }
}

/// A page of the book, in the order in which its orders joined.
pub type Page<AccountId> = BoundedVec<Slot<AccountId>, ConstU32<PAGE_SLOTS>>;

/// A page's key: market, side, tick group, number in the group.
pub type PageKey = (MarketId, Side, u16, u16);

/// One tick group of a side: how many orders each of its pages holds.
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
)]
pub struct Group {
    /// The group, ascending with the price.
    pub id: u16,
    /// Orders by page; zero for a page that is not there. The last is not zero.
    pub pages: BoundedVec<u8, ConstU32<GROUP_PAGES>>,
}

/// The tick groups of one side of a market.
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
)]
pub struct Directory {
    /// Groups that match, ascending, none empty.
    pub groups: BoundedVec<Group, ConstU32<MAX_GROUPS>>,
    /// Groups pushed out as the farthest: their orders no longer match and leave a few pages a close.
    pub evicted: BoundedVec<Group, ConstU32<MAX_EVICTED>>,
}

impl Directory {
    /// Whether nothing rests on the side.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.evicted.is_empty()
    }
}

/// What extrinsics leave for the close of a market, in any order.
#[derive(
    Clone,
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
)]
pub enum Note<AccountId> {
    /// An order came in. It is alive if its account's list still holds it in the intake; its content is there.
    New {
        /// Whose.
        account: AccountRef<AccountId>,
        /// Which of its orders.
        sequence: Sequence,
    },
    /// A resting order left or shrank. Its account's list says so at once, its page from the close on.
    Shrank {
        /// Whose.
        account: AccountRef<AccountId>,
        /// Which of its orders.
        sequence: Sequence,
        /// Side of the book.
        side: Side,
        /// Tick group.
        group: u16,
        /// Page of the group.
        page: u16,
        /// What remains; zero if it left.
        lots: Lots,
    },
}

/// Quotes of a market as they stood after the close of block `at`.
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
)]
pub struct Quotes {
    /// The last close that changed the book.
    pub at: BlockNumber,
    /// Of orders that had joined before that close.
    pub seasoned: RestedQuotes,
    /// Of all orders.
    pub standing: RestedQuotes,
}

/// What a close's upkeep did, as its weight counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Upkept {
    /// Resting orders read, those of the matches included.
    pub read: u32,
    /// Pages of expiries, and as many of evictions; those of markets that have ended, too.
    pub pages: u32,
    /// Markets whose quotes were taken again.
    pub refreshed: u32,
    /// Markets that there are: triggers were sought in each.
    pub markets: u32,
    /// Triggers whose time was up.
    pub triggers: u32,
}

/// What an accepted operation did.
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
pub enum Accepted {
    /// An order was taken in under this sequence number: a new one, or one amended in a way that loses its time.
    Placed(Sequence),
    /// An order got smaller and kept its time.
    Reduced,
    /// This many orders and triggers were cancelled.
    Cancelled(u32),
    /// A trigger was taken in under this sequence number.
    Armed(Sequence),
    /// Two that exclude each other were taken in under these sequence numbers.
    Paired(Sequence, Sequence),
    /// An order in slices was taken in under this sequence number.
    Scheduled(Sequence),
}

/// Why an operation was refused. It changed nothing.
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
pub enum OrderError {
    /// No such market is listed. List the markets and use one of their ids.
    UnknownMarket,
    /// The market is halted: only cancels are taken until it reopens.
    MarketHalted,
    /// The market takes only orders that reduce the account's position, at most by all of it. Lower the size, turn the
    /// side, or mark the order reduce-only.
    MarketReduceOnly,
    /// The market has no price yet. Try again when its feed has one.
    NoPrice,
    /// A size of zero. Use at least one lot; to end an order, cancel it.
    ZeroLots,
    /// A limit of zero ticks. Use at least one.
    ZeroPrice,
    /// Size or limit beyond what a position's value can express. Lower them.
    OutOfRange,
    /// Worth less (at the lower of limit and mark; of a combination, at what all its legs come to; of an option, at its forward, and its premium less
    /// than a hundredth) than the market's least
    /// notional, and not closing the whole position reduce-only. Raise the size.
    BelowMinNotional,
    /// An open order or trigger of the account has this client id. Choose another.
    DuplicateClientId,
    /// An order with this client id was cancelled in this block. Use another, or wait for the next block.
    ClientIdCancelled,
    /// The account has the most open orders there can be, its triggers counted. Cancel some first.
    TooManyOrders,
    /// The account has positions and orders in the most markets there can be, the legs of combinations counted. Leave one first.
    TooManyMarkets,
    /// The account's quota of new orders for this block is used up. Send the rest in the next.
    QuotaExceeded,
    /// The account is being liquidated or deleveraged: it can cancel and deposit, nothing else.
    NotTrading,
    /// Initial margin with this order is not covered, and the order does not reduce risk. Deposit, or lower the size.
    InsufficientMargin,
    /// The block of expiry is this one or past. Use a later one.
    ExpiryPast,
    /// The block of expiry is too far ahead. Use an earlier one, or good-til-cancelled.
    ExpiryTooFar,
    /// A market order is immediate-or-cancel or fill-or-kill: it is neither post-only nor good til a block. An iceberg rests, and
    /// slices are immediate-or-cancel.
    Contradiction,
    /// The account has no such open order: it never was, filled, or left.
    NoSuchOrder,
    /// The amendment is what the order already is.
    NothingToChange,
    /// The account could not be assessed.
    Risk(RiskError),
    /// The account has the most triggers there can be. Cancel some first.
    TooManyTriggers,
    /// The mark is at the trigger's level already, or beyond it. Place the order itself, or turn the direction.
    TriggerMet,
    /// Triggers of this level fired before and are still to be worked off. Try again in a later block, or use a level that the
    /// mark has not reached.
    TriggersWaiting,
    /// Neither a trigger nor an order in slices nor a pegged one is ever amended. Cancel it and place another, under another client id.
    TriggerNotAmended,
    /// There is no position that the order would reduce: the trigger fired, or the slice came, for nothing.
    NothingToReduce,
    /// An iceberg shows at least one lot, and not all of them. Change the size shown.
    BadDisplay,
    /// Two that exclude each other are of one market. Use the same market for both.
    PairApart,
    /// A trigger that excludes another has a block of expiry. Give it one.
    PairWithoutExpiry,
    /// An order in slices has at least two, an interval of at least one block, and no fewer lots than slices. Change these.
    BadSchedule,
    /// The account has the most icebergs, pairs, pegged orders and orders in slices there can be. Cancel some first.
    TooManyArrangements,
    /// A pegged order has a limit, its worst, and is post-only. Give it these.
    BadPeg,
    /// There is no price that the order could follow: the book has none that stood, or it lies beyond what there is. Try again later, or
    /// follow the mark.
    NothingToFollow,
    /// The market collects orders for a call auction: it takes none that is immediate, fill-or-kill, at the market or post-only, nor
    /// another price or more lots for one that rests and is post-only. Use a limit that is good-til-cancelled or good-til-block, or wait for the
    /// auction.
    CallPhase,
    /// The market's auction has begun and is not done: it executes what did not fit into one block, or has no price yet at which anything
    /// may execute. No order is taken until it is done, but cancels are. Try again in a later block.
    Uncrossing,
    /// The account's cash does not pay for all the options that it bids for, this order included: premiums are paid in cash, whatever else covers
    /// margin. Deposit the settlement currency, or lower size, limit or other bids.
    PremiumNotCovered,
    /// Nobody holds a position in a combination, so that nothing reduces one. Place the order without reduce-only, or reduce the positions in its
    /// legs' own markets.
    CombinationNotReduced,
    /// The account holds options, and assessing them with all its orders for each operation takes more than one extrinsic may. Send the rest
    /// in another, or cancel orders in some markets first.
    TooManyScans,
}

impl From<RiskError> for OrderError {
    fn from(e: RiskError) -> Self {
        match e {
            RiskError::UnknownMarket(_) => Self::UnknownMarket,
            RiskError::Full => Self::TooManyMarkets,
            RiskError::Math(_) => Self::OutOfRange,
            other => Self::Risk(other),
        }
    }
}

impl From<MathError> for OrderError {
    fn from(_: MathError) -> Self {
        Self::OutOfRange
    }
}

/// Where a trigger is found: market, direction, rank of its level, tie, account, sequence number. Numbers begin with their most
/// significant byte, so that keys are in order.
pub type TriggerKey<AccountId> = (
    [u8; 2],
    Direction,
    [u8; 8],
    u64,
    AccountRef<AccountId>,
    Sequence,
);

/// What an order asks of closes to come.
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
pub enum Duty {
    /// Its next slice.
    Slice,
    /// A look at what its limit follows.
    Follow,
}

/// Where the next slice of a TWAP, or the next look at a pegged order, is found: which of these, its block (most significant byte
/// first), tie, account, sequence number.
pub type DueKey<AccountId> = (Duty, [u8; 4], u64, AccountRef<AccountId>, Sequence);

/// Triggers that a market's mark has reached: all of its direction up to that rank, none of which came in after this block.
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
pub struct Reach {
    /// Block at whose close they fired.
    pub block: BlockNumber,
    /// The market.
    pub market: MarketId,
    /// A fall or a rise.
    pub direction: Direction,
    /// The greatest rank reached.
    pub rank: Ticks,
}

/// Reaches of one market and direction that are not worked off. A mark that goes farther still moves the last of them: what it
/// fires then comes before what other markets fired in between.
pub const MAX_STEPS: usize = 4;
/// Reaches of all markets that are not worked off.
pub type MaxReaches = ConstU32<{ 2 * MAX_MARKETS * MAX_STEPS as u32 }>;

/// A trigger that fired, or a slice that was due, and what became of it.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct FiredTrigger<AccountId> {
    /// Whose.
    pub account: AccountRef<AccountId>,
    /// Which; the order that it became has the same number.
    pub sequence: Sequence,
    /// It is an order of this close's match, or why it was cancelled.
    pub outcome: Result<(), OrderError>,
}

/// An order, or part of one, that left without having filled.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct CancelledOrder<AccountId> {
    /// Whose.
    pub account: AccountRef<AccountId>,
    /// Which of its orders.
    pub sequence: Sequence,
    /// Lots that left.
    pub lots: Lots,
    /// Why.
    pub reason: CancelReason,
}

/// A price level as queries report it: price, lots, orders.
pub type Level = (Ticks, Lots, u32);

/// A side's levels, best first.
pub type Levels = Vec<Level>;
