//! What goes into a match and what comes out of it.

use alloc::vec::Vec;
use novate_types::{
    BlockNumber, CancelReason, Lots, Ppm, Price, Role, SelfTradePrevention, Side, Ticks,
};

/// What becomes of the part of an order that does not execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It rests (GTC, GTT).
    Rest,
    /// It is cancelled (IOC, market).
    Immediate,
    /// It rests, and never takes from the book.
    PostOnly,
    /// There is none: the order executes whole in its first match, or is cancelled.
    FillOrKill,
}

/// An order in one match, resting or new. `id`, `owner` and `account` are numbers of the caller's, good for one match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Unique in the match. Decides nothing, unless everything else is equal.
    pub id: u32,
    /// The owner: self-trades are prevented, and shares are taken, owner by owner.
    pub owner: u32,
    /// The margin account: reduce-only orders look at its position. One account has one owner.
    pub account: u32,
    /// Bid or ask.
    pub side: Side,
    /// The worst price it takes.
    pub limit: Ticks,
    /// What remains of it, at least one.
    pub lots: Lots,
    /// Block of its intake. The orders of one block and price are equals, a *cohort*.
    pub block: BlockNumber,
    /// Its number in its account; the newest is the greatest.
    pub sequence: u64,
    /// What becomes of its remainder.
    pub kind: Kind,
    /// Only ever brings the account's position nearer to zero.
    pub reduce_only: bool,
    /// Which order gives way when it meets its owner's own in the book.
    pub self_trade: SelfTradePrevention,
    /// Breaks ties: a hash of the parent block, the account (subaccount included) and the sequence number.
    pub tie: u64,
}

/// What a match heeds beside the orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The mark, USD per unit.
    pub mark: Price,
    /// USD per unit and tick.
    pub tick_size: Price,
    /// Nothing executes farther than this from the mark.
    pub band: Ppm,
    /// Resting orders that may execute, or be cancelled on the way.
    pub max_fills: u32,
}

/// What a call auction heeds beside the market's rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// A price, USD per unit, from which the auction's is no farther than the band either: the index at which the call began.
    pub reference: Option<Price>,
    /// The price that an earlier part of this auction found.
    pub price: Option<Ticks>,
    /// Lots that may execute at most.
    pub most: Option<Lots>,
    /// The orders are not all that cross. What is left over of these says nothing then, and only the greatest volume counts.
    pub partial: bool,
}

/// The rested book, best price first. A level is asked for when the match reaches it, so that the caller decodes no more
/// of the book than a match touches.
pub trait Book {
    /// The orders of the `depth`-th best price (0 is the best) that has any, sorted by block, or `None` beyond the last.
    /// The answer does not change during a match, and the two sides do not touch.
    fn level(&mut self, side: Side, depth: usize) -> Option<&[Order]>;

    /// Whether the match may admit fill-or-kill orders once more, a further run behind it if some fall short again. Asked before the
    /// first run that does, and after each that failed; `handled` is the work of the run before, in orders each time one was
    /// looked at, and of no run the new orders. Refused, the match kills all of them and runs once more.
    fn again(&mut self, handled: u32) -> bool {
        let _ = handled;
        true
    }
}

/// One order's fill at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Execution {
    /// The order's id.
    pub order: u32,
    /// Price.
    pub ticks: Ticks,
    /// Size, at least one.
    pub lots: Lots,
    /// Which fee it pays.
    pub role: Role,
}

/// What a match did. Of every new order `lots = filled + cancelled + joined`; a resting order that is not mentioned stands
/// as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Fills, in the order in which they happened.
    pub fills: Vec<Execution>,
    /// Orders, resting or new, that left unfilled in whole or in part, and by how many lots.
    pub cancelled: Vec<(u32, Lots, CancelReason)>,
    /// New orders that rest from now on: id, limit (cut to the band), remaining lots.
    pub joined: Vec<(u32, Ticks, Lots)>,
    /// Lots traded, each counted once.
    pub volume: Lots,
    /// Price of the last trade.
    pub last: Option<Ticks>,
    /// Orders of the book (those that joined it in this match included) that executed in the walk; of an auction, all that executed.
    pub executed_resting: u32,
    /// Of an auction, lots that could have executed at its price too, had there been more of [`Rules::max_fills`] or [`Terms::most`].
    pub left: Lots,
    /// Of an auction, whether what rests still crosses. It then goes on in another, at the same price while anything is `left` there.
    pub crosses: bool,
}
