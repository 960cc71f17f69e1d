//! The block matcher: cross, join, walk, as a pure function of book, orders and band.
//!
//! All orders of a block arrived together. Those that reach the price `x` (the mark, within the resting spread) meet there;
//! those that do not join the book; what is left of the first, on one side only, walks the opposite book, price by price
//! and cohort by cohort. With one order a block this is a price-time book. Section 4 of the protocol is the specification;
//! where it leaves a choice, the choice is this:
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
//!
//! The cost is `O(n log n)` in the new orders and in the orders of each level reached, plus walking orders times cohorts
//! reached (at most F) for the sharing.

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

mod band;
mod matcher;
mod order;
mod share;

pub use order::*;

use alloc::vec::Vec;
use matcher::Match;
use novate_types::{CancelReason, SignedLots};

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
    Match::new(rules, book, position)
        .and_then(|m| m.run(new))
        .unwrap_or_else(|_| Outcome {
            cancelled: Vec::from_iter(
                new.iter()
                    .map(|order| (order.id, order.lots, CancelReason::MarketRestricted)),
            ),
            ..Outcome::default()
        })
}
