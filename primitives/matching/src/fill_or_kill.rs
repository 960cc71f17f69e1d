//! All or nothing, in a match that shares: it runs again without those who got less.

use crate::{entry::Entry, matcher::Match, Book, Kind, Order, Outcome, Rules};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use novate_types::{Lots, MathError, Side, SignedLots};

/// Runs of a match that admit fill-or-kill orders. One more, if the last of them fails, admits none.
pub const FILL_OR_KILL_RUNS: u32 = 8;

/// The first run in which every fill-or-kill order that takes part fills.
pub fn run(
    rules: &Rules,
    book: &mut impl Book,
    new: &[Order],
    position: &dyn Fn(u32) -> SignedLots,
) -> Result<Outcome, MathError> {
    let all: BTreeSet<u32> = new
        .iter()
        .filter(|o| o.kind == Kind::FillOrKill)
        .map(|o| o.id)
        .collect();
    let mut killed = BTreeSet::new();
    let mut handled = u32::try_from(new.len()).unwrap_or(u32::MAX);
    for run in 0..FILL_OR_KILL_RUNS {
        if !all.is_empty() && !book.again(handled) {
            break;
        }
        let ran = Match::new(rules, book, position)?.run(new, &killed)?;
        let broken = broken(&ran.admitted, &ran.outcome, run > 0)?;
        if broken.is_empty() {
            return Ok(ran.outcome);
        }
        killed.extend(broken);
        handled = ran.handled;
    }
    Ok(Match::new(rules, book, position)?.run(new, &all)?.outcome)
}

/// The orders to kill after a run: on each side those that lack most, until what they got covers what the others lack. What
/// they got may go to other kinds of orders, which is why `again` at least half of those that lack go.
fn broken(admitted: &[Entry], outcome: &Outcome, again: bool) -> Result<Vec<u32>, MathError> {
    let mut got: BTreeMap<u32, Lots> = admitted.iter().map(|e| (e.order.id, 0)).collect();
    for fill in &outcome.fills {
        if let Some(sum) = got.get_mut(&fill.order) {
            *sum = sum.checked_add(fill.lots).ok_or(MathError::Overflow)?;
        }
    }
    let mut kill = Vec::new();
    for side in [Side::Bid, Side::Ask] {
        let mut short = Vec::new();
        let mut lacking: u128 = 0;
        for entry in admitted.iter().filter(|e| e.order.side == side) {
            let got = got.get(&entry.order.id).copied().unwrap_or(0);
            let lacks = entry.left.checked_sub(got).ok_or(MathError::Overflow)?;
            if lacks > 0 {
                short.push((lacks, got, entry.order.tie, entry.order.id));
                lacking = lacking
                    .checked_add(lacks.into())
                    .ok_or(MathError::Overflow)?;
            }
        }
        short.sort_unstable();
        let stay = if again { short.len() / 2 } else { short.len() };
        let mut freed: u128 = 0;
        while let Some((lacks, got, _, id)) = short.pop() {
            kill.push(id);
            lacking = lacking
                .checked_sub(lacks.into())
                .ok_or(MathError::Overflow)?;
            freed = freed.checked_add(got.into()).ok_or(MathError::Overflow)?;
            if freed >= lacking && short.len() <= stay {
                break;
            }
        }
    }
    Ok(kill)
}
