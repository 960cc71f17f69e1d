//! A market's orders matched as pure functions: in every block by cross, join and walk ([`match_block`]); at a reopening or
//! listing by a call auction, at one price ([`call_auction`]).
//!
//! All orders of a block arrived together. Those that reach the price `x` (the mark, within the resting spread) meet there;
//! those that do not join the book; what is left of the first, on one side only, walks the opposite book, price by price
//! and cohort by cohort. With one order a block this is a price-time book. Section 4 of the protocol is the specification;
//! where it leaves a choice, the choice in the matcher is this:
//!
//! * *Cross*: an owner with orders on both sides keeps the side of its oldest order (least sequence number), and those of
//!   the other side are cancelled: what each order, oldest first, would have met.
//! * *Sharing*: an owner's share goes to its orders pro rata again. In a tie each owner draws with its oldest order.
//! * *Reduce-only*: the position at the start is one allowance for all reduce-only orders of the account; its older ones
//!   are offered first wherever they could execute together. Lots of a new order beyond the allowance are cancelled, and so is a
//!   resting order without allowance, when its level becomes the best or its cohort is reached: it is no quote.
//! * *F*: cancellations in the walked book (self-trades, nothing to reduce) count like executions, so that F bounds the work.
//!   A cohort larger than what is left of F is cut to the orders of least hash, and the walk ends with it.
//! * *Odd lots*: an order that neither executes nor rests, and meets none of its owner's, changes nothing for anybody else,
//!   with one exception that largest remainders have by nature: where its own part rounds to nothing, it can decide which of
//!   two others gets the odd lot.
//! * *Touching*: a walking remainder gives way to all that rests or joined, a joined order to what rests.
//! * *Fill-or-kill*: the order, cut to its position if it only reduces, executes whole or not at all. One that does not reach `x`
//!   is cancelled as an immediate one is. The others take part as immediate ones; where some fall short, orders are
//!   killed and the match runs again from the start: on each side those that lack most lots (of equals, who got more, then the
//!   greater tie and id), until what they got covers what the others lack, and from the second run on at least half of those
//!   that fell short. The first run in which all fill is the match. Run [`FILL_OR_KILL_RUNS`] is the last that admits any, or one before
//!   it if the book has no more work to spare ([`Book::again`]): if it fails too, all are killed. A killed order, though it changes nothing in the match that holds, may have decided who else was
//!   killed.
//!
//! The cost of a run is `O(n log n)` in the new orders and in the orders of each level reached, plus walking orders times cohorts
//! reached (at most F) for the sharing. There is one run, and with fill-or-kill orders at most [`FILL_OR_KILL_RUNS`] more,
//! each of which asks the book for its levels again.

#![cfg_attr(not(feature = "std"), no_std)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

extern crate alloc;

mod allowance;
mod auction;
mod band;
mod entry;
mod fill_or_kill;
mod matcher;
mod order;
mod record;
pub mod share;

pub use fill_or_kill::FILL_OR_KILL_RUNS;
pub use order::*;

use alloc::vec::Vec;
use novate_types::{CancelReason, MathError, SignedLots, Ticks};

/// Matches one market's orders of one block against its book. `position` is what an account held at the start.
///
/// The result depends on the set of new orders, never on their order in `new`. Orders of zero lots are ignored.
///
/// A match that cannot be computed does nothing: without a mark or a tick within the band, or with sums beyond the range
/// of [`Lots`](novate_types::Lots), every new order is cancelled as [`CancelReason::MarketRestricted`] and the book stays.
pub fn match_block(
    rules: &Rules,
    book: &mut impl Book,
    new: &[Order],
    position: &dyn Fn(u32) -> SignedLots,
) -> Outcome {
    fill_or_kill::run(rules, book, new, position).unwrap_or_else(|_| Outcome {
        cancelled: Vec::from_iter(
            new.iter()
                .map(|order| (order.id, order.lots, CancelReason::MarketRestricted)),
        ),
        ..Outcome::default()
    })
}

/// Executes all that can execute at one price, [`Outcome::last`]: of the prices in whole ticks with the greatest executable
/// volume `min(D(p), S(p))` and then the least imbalance `|D(p) − S(p)|`, the one nearest to the mark (which is rounded to the nearest
/// tick, half a tick upwards). Without `rules` there is neither mark nor band: it is the middle of those prices, rounded down,
/// and the limits alone bound it. `D` and `S` are the lots that bids of at least `p` and asks of at most `p` could execute.
/// Section 4 of the protocol is the specification.
///
/// `terms` bound the price further: it lies within the band of the mark and of [`Terms::reference`]. A price found before is not
/// looked for again, and holds wherever the mark has gone: it is the caller who drops one that is too far from it. Of some of the orders
/// ([`Terms::partial`]) it is, of the prices with the greatest volume, the one nearest to the mark: whoever filled one side with more orders than are
/// read could otherwise choose the imbalance, and with it the price.
///
/// `orders` are all that take part, resting and new, in any sequence; they are treated alike, and the sides may overlap.
/// `position` is what an account held at the start. In turn:
///
/// * Limits beyond the far edge of the band are cut to it for good. Without a band an ask's limit is at least one tick.
/// * A reduce-only order is cut to the position; what exceeds it is cancelled. Fill-or-kill orders are cancelled: they have
///   no part in an auction.
/// * Self-trades: where a bid and an ask of an owner touch, its orders that touch one of its own on the other side stay on the
///   side of the oldest of them (least sequence number), and those of the other side are cancelled.
/// * On each side the better limit executes first and within a limit the older cohort; the last cohort shares pro rata, as
///   in [`match_block`]. An account's reduce-only orders use up its position in the same sequence, within a cohort the oldest
///   first.
/// * Everybody pays the taker's fee, a post-only order the maker's.
/// * No more than `max_fills` orders execute, of both sides together, and no more than [`Terms::most`] lots. Where more would, price and volume are those of all orders, and
///   of each side those execute that are first in line by limit, block and hash, one side or the other by turns so that the lots of
///   both are as equal as can be. What is [`Outcome::left`] executes in further auctions at the same price ([`Terms::price`]): equal
///   lots having left both sides from the front, that price has the greatest volume still, unless orders leave or come.
/// * What remains rests and is told in [`Outcome::joined`], whether or not it rested before; an immediate order is cancelled, and so
///   is what has nothing left to reduce. Unless something is left, or the price was given, what rests does not cross.
///
/// The cost is `O(n log n)` in the orders.
///
/// # Errors
///
/// No mark, no tick within the band or within both, or a volume beyond the range of [`Lots`](novate_types::Lots): nothing is to change.
pub fn call_auction(
    rules: Option<&Rules>,
    terms: &Terms,
    orders: &[Order],
    position: &dyn Fn(u32) -> SignedLots,
) -> Result<Outcome, MathError> {
    auction::run(rules, terms, orders, position)
}

/// The least and the greatest price within the band, in ticks.
///
/// # Errors
///
/// No tick of at least one lies within it.
pub fn band_edges(rules: &Rules) -> Result<(Ticks, Ticks), MathError> {
    band::Band::new(rules).map(|band| band.edges())
}
