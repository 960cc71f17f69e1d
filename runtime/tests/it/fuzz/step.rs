//! What can happen, as data. Sizes, prices and amounts are said in terms of what stands when the step is taken (one lot beyond the
//! position, the band's edge, all that may leave), so that a case stays one about the same edge when steps before it are left out.

use super::govern::Rule;
use novate_types::{Anchor, AssetId, Direction, MarketId, Millis, Ppm, Side};

/// One of the accounts that act, by number.
pub type Who = u8;

/// Accounts that act: two of each owner.
pub const ACTORS: Who = 12;
/// The vault, as somebody who is paid.
pub const VAULT: Who = ACTORS;
/// The insurance fund, likewise.
pub const FUND: Who = ACTORS + 1;
/// An account that nobody opened.
pub const NOBODY: Who = ACTORS + 2;
/// The market that was listed last.
pub const NEWEST: MarketId = 999;
/// From here on numbers are of markets that expire, in the order of listing and begun again at their end, whichever are listed.
pub const DATED: MarketId = 1_000;

/// Where the chain begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scene {
    /// Two bystanders hold most of the open interest, and the vault is rich: accounts go through the market and the competition.
    Crowded,
    /// Nobody else, and an empty vault: whoever falls is a tenth of open interest, and is deleveraged.
    Thin,
}

/// A limit, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A market order.
    Market,
    /// So far from the mark.
    Mark(i64),
    /// So far from the highest price inside the band.
    Upper(i64),
    /// So far from the lowest.
    Lower(i64),
    /// Of somebody's order: whose and which.
    Of(Who, u8),
    /// At that price.
    Exactly(u64),
}

/// A size, in lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// So many.
    Exactly(u64),
    /// So many more than the least that may be ordered.
    Least(i64),
    /// So many more than the account's position.
    Held(i64),
    /// So many more than its margin covers, about.
    Covered(i64),
    /// So many more than open interest may still grow by.
    Cap(i64),
}

/// What an iceberg shows, in lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// One part of so many of the whole.
    Part(u64),
    /// So many more than the whole.
    Whole(i64),
    /// A size of its own.
    Lots(Size),
}

/// An amount of an asset, in its smallest units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So much.
    Exactly(u128),
    /// So much more than the account holds.
    Held(i64),
    /// So much more than may leave it.
    Free(i64),
    /// So much more than its owner has outside.
    Wallet(i64),
    /// So much more than it may borrow, what it holds included.
    Lendable(i64),
    /// So much more than it owes.
    Owed(i64),
}

/// Shares of the vault, or of the liquidity pot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shares {
    /// So many.
    Exactly(u128),
    /// So many more than the owner holds.
    Held(i64),
    /// So many more than of these may leave.
    Free(i64),
    /// One part of so many of what the owner holds.
    Part(u128),
}

/// How long an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    GoodTilCancelled,
    /// So many blocks from this one.
    Blocks(i64),
    ImmediateOrCancel,
    PostOnly,
    FillOrKill,
}

/// An order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub market: MarketId,
    pub side: Side,
    pub size: Size,
    pub level: Level,
    pub life: Life,
    pub reduce_only: bool,
    /// Of orders that would trade with one another the oldest gives way.
    pub oldest: bool,
    pub client: u8,
}

/// What a trigger waits for, and for how many blocks at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    pub direction: Direction,
    pub level: Level,
    pub expires: Option<i64>,
}

/// Something that the account asked for and that is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// An open order.
    Nth(u8),
    /// A trigger.
    Trigger(u8),
    /// A TWAP.
    Twap(u8),
    /// Whatever has that client id.
    Client(u8),
}

/// One operation of an extrinsic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Place(Terms),
    /// A trigger.
    Arm(Terms, Wait),
    Iceberg(Terms, Shown),
    /// An order or a trigger, and a trigger, that exclude each other.
    Pair(Terms, Option<Wait>, Terms, Wait),
    /// So many slices at such an interval.
    Twap(Terms, u16, u16),
    /// What it follows, and at which distance; the terms' level is its worst limit.
    Peg(Terms, Anchor, i32),
    Cancel(Target),
    CancelAll(Option<MarketId>),
    Amend(Target, Option<Level>, Option<Size>),
}

/// What the next observations say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Bitcoin moves, in ppm.
    By(i64),
    /// To where an account is at its maintenance margin, and so many cents further up.
    Line(Who, i64),
    /// So many ppm beyond where an account is worth nothing.
    Bankruptcy(Who, i64),
    /// To where it began.
    Home,
    /// No observation for so many blocks.
    Silence(u8),
    /// USDC, in a thousandth of a USD.
    Usdc(u16),
    /// USDT; zero for none in the observations.
    Usdt(u16),
    /// Bitcoin's volatility at the money, in percent, of a smile that is in order again.
    Volatility(u16),
    /// So many percent of variance more at each place of the smile away from the money.
    Wings(u16),
    /// The smile is off at that place.
    Kink(u8),
    /// The nearest expiry has more variance than those after it.
    Inverted,
    /// Nobody sees options for so many blocks.
    Blind(u8),
}

/// A moment in the life of the contract that expires next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The mean that it settles at begins.
    Mean,
    /// It expires.
    Expiry,
}

/// An error put into storage, see [`super::faults`].
pub type Fault = usize;

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// One extrinsic with an account's operations.
    Orders(Who, Vec<Op>),
    Deposit(Who, AssetId, Amount),
    /// From an owner's wallet into another's account.
    DepositFor(Who, Who, AssetId, Amount),
    Withdraw(Who, AssetId, Amount),
    Transfer(Who, Who, AssetId, Amount),
    CloseAccount(Who),
    /// From an owner's wallet to another's, or to custody without a deposit.
    Give(Who, Option<Who>, AssetId, Amount),
    /// An owner's wallet can neither send nor receive an asset any more, or again.
    Block(Who, AssetId, bool),
    BuyShares(Who, Amount),
    SellShares(Who, Shares),
    /// From an owner's wallet to the liquidity pot.
    Supply(Who, Amount),
    /// Shares of the pot, to the wallet.
    Redeem(Who, Shares),
    /// To the wallet, what the account does not hold included.
    Borrow(Who, Amount),
    /// The validator takes other keys.
    Keys(u8),
    /// For the account in competition, or called, of that number; for that actor if there is none.
    Bid {
        taker: Who,
        nth: u8,
        fraction: Ppm,
        least_discount: Ppm,
    },
    Govern(Rule),
    /// The same call, signed by somebody who may not.
    Usurp(Who, Rule),
    Price(Move),
    /// The block's close, and the next block so many milliseconds later.
    Close(Millis),
    /// The same, and the next block is a day of blocks away: what was scheduled is due.
    Due,
    /// The same, and the next block begins the next hour: an epoch of the vault and a session.
    Hour,
    /// The same, and the next block is more than a week of blocks away: shares of the vault may leave again.
    Week,
    /// The same, and the next block begins so many milliseconds after the next such moment; a second later where nothing expires.
    Until(Moment, i64),
    /// Something that must not be.
    Break(Fault),
}

impl Step {
    /// How many steps it counts as: an extrinsic's operations are one each.
    pub fn count(&self) -> u64 {
        match self {
            Self::Orders(_, ops) => ops.len() as u64,
            _ => 1,
        }
    }
}
