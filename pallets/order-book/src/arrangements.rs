//! What belongs to an account's orders and is no order of the book: the hidden part of icebergs, pairs, TWAPs, pegs. Each lies with its
//! account's open orders, which whoever needs it reads anyway; an account without any pays one byte.
//!
//! **Icebergs.** The open order is what shows. It fills, rests and is matched as any other; behind it stands what it hides, with the
//! margin for it, as venues hold it: an order that is on its way can always be filled. When all that shows has filled, the next part
//! enters the market's intake at the end of that close, under the same number, and meets the market in the next close as any new order:
//! it has no time, and pays the taker's fee if it crosses. The close's housekeeping counts it among those that wait
//! ([`Waiting`](crate::Waiting)), as orders for which a market had no turn: the close that matches it sets its work aside, the account's check
//! is in the makers' budget, and of more than can wait in a market those of the greatest hash are cancelled. Whatever cancels a part of what shows,
//! the chain or the owner, ends the whole. It is hidden from the book, not from who reads the account.
//!
//! **Pairs.** Of a pair at most one is an order, so that never more than one of it takes part in a match: of the two nothing executes in
//! one close but one. If the order fills, its trigger leaves in that close. If the trigger fires, the order leaves first, before any
//! market matches, and with it its margin; should the trigger's order then be refused, that stands as it was. So where one close would
//! fill the one and fire the other, the trigger comes first. What the chain cancels (an expiry, a full book) leaves the other standing: a stop is to outlast
//! its take-profit. A trigger that leaves in a close leaves its key behind, as in a liquidation, since a write costs more than the
//! fill; that is why it needs a block of expiry, at which the key goes.

use crate::types::{share, AccountOrders, Locator, OrderError};
use novate_types::{
    Arrangement, Cash, ClientId, Lots, MathError, OrderTarget, Peg, Sequence, Twap,
    MAX_ARRANGEMENTS,
};

impl AccountOrders {
    /// Whether there is room for one more arrangement.
    pub(crate) fn ensure_arrangeable(&self) -> Result<(), OrderError> {
        let room = u32::try_from(self.arrangements.len()).is_ok_and(|n| n < MAX_ARRANGEMENTS);
        room.then_some(()).ok_or(OrderError::TooManyArrangements)
    }

    pub(crate) fn arrange(&mut self, arrangement: Arrangement) -> Result<(), OrderError> {
        self.arrangements
            .try_push(arrangement)
            .map_err(|_| OrderError::TooManyArrangements)
    }

    /// Lots that an order hides, and the margin held for them.
    pub fn hidden(&self, sequence: Sequence) -> (Lots, Cash) {
        let hidden = |a: &Arrangement| match a {
            Arrangement::Hidden {
                sequence: of,
                lots,
                reserve,
                ..
            } => (*of == sequence).then_some((*lots, *reserve)),
            _ => None,
        };
        self.arrangements
            .iter()
            .find_map(hidden)
            .unwrap_or_default()
    }

    /// Lots that an order shows at a time, if it hides any.
    pub(crate) fn display(&self, sequence: Sequence) -> Option<Lots> {
        self.arrangements.iter().find_map(|a| match a {
            Arrangement::Hidden {
                sequence: of,
                display,
                ..
            } => (*of == sequence).then_some(*display),
            _ => None,
        })
    }

    /// Sets what an order hides from now on; nothing if there are no lots.
    pub(crate) fn hide(&mut self, of: Sequence, left: Lots, held: Cash) {
        let is_meant =
            |a: &Arrangement| matches!(a, Arrangement::Hidden { sequence, .. } if *sequence == of);
        if left == 0 {
            self.arrangements.retain(|a| !is_meant(a));
        } else if let Some(Arrangement::Hidden { lots, reserve, .. }) =
            self.arrangements.iter_mut().find(|a| is_meant(a))
        {
            (*lots, *reserve) = (left, held);
        }
    }

    /// The order as if it hid nothing.
    pub(crate) fn whole(&self, order: &Locator) -> Result<Locator, MathError> {
        let (lots, reserve) = self.hidden(order.sequence);
        Ok(Locator {
            lots: order.lots.checked_add(lots).ok_or(MathError::Overflow)?,
            reserve: novate_types::math::add(order.reserve, reserve)?,
            ..*order
        })
    }

    /// What an order shows next once all that it showed has filled; the rest goes on hiding. `None` if it hid nothing.
    pub(crate) fn show(&mut self, filled: &Locator) -> Option<Locator> {
        let display = self.display(filled.sequence)?;
        let (lots, reserve) = self.hidden(filled.sequence);
        let shown = display.min(lots);
        let part = share(reserve, shown, lots).ok()?;
        let (left, rest) = (lots.checked_sub(shown)?, reserve.checked_sub(part)?);
        self.hide(filled.sequence, left, rest);
        Some(Locator {
            lots: shown,
            reserve: part,
            ..*filled
        })
    }

    /// The other one of the pair.
    pub(crate) fn twin(&self, of: Sequence) -> Option<Sequence> {
        self.arrangements.iter().find_map(|a| match a {
            Arrangement::Pair(one, other) if *one == of => Some(*other),
            Arrangement::Pair(one, other) if *other == of => Some(*one),
            _ => None,
        })
    }

    /// Dissolves the pair, and returns the other one.
    pub(crate) fn part(&mut self, of: Sequence) -> Option<Sequence> {
        let twin = self.twin(of)?;
        self.arrangements
            .retain(|a| !matches!(a, Arrangement::Pair(one, other) if *one == of || *other == of));
        Some(twin)
    }

    /// Gives one of a pair its new number.
    pub(crate) fn renumber(&mut self, old: Sequence, new: Sequence) {
        for arrangement in self.arrangements.iter_mut() {
            if let Arrangement::Pair(one, other) = arrangement {
                for sequence in [one, other] {
                    if *sequence == old {
                        *sequence = new;
                    }
                }
            }
        }
    }

    /// Orders in slices.
    pub fn twaps(&self) -> impl Iterator<Item = &Twap> {
        self.arrangements.iter().filter_map(|a| match a {
            Arrangement::Twap(twap) => Some(twap),
            _ => None,
        })
    }

    pub(crate) fn twap_mut(&mut self, of: Sequence) -> Option<&mut Twap> {
        self.arrangements.iter_mut().find_map(|a| match a {
            Arrangement::Twap(twap) if twap.sequence == of => Some(twap),
            _ => None,
        })
    }

    /// Ends an order in slices.
    pub(crate) fn end(&mut self, of: Sequence) {
        self.arrangements
            .retain(|a| !matches!(a, Arrangement::Twap(twap) if twap.sequence == of));
    }

    /// The number of an order in slices.
    pub(crate) fn find_twap(&self, target: OrderTarget) -> Option<Sequence> {
        let is_meant = |twap: &&Twap| match target {
            OrderTarget::Sequence(sequence) => twap.sequence == sequence,
            OrderTarget::Client(id) => twap.terms.order.client_id == id,
        };
        self.twaps().find(is_meant).map(|twap| twap.sequence)
    }

    /// Terms of pegged orders.
    pub fn pegs(&self) -> impl Iterator<Item = &Peg> {
        self.arrangements.iter().filter_map(|a| match a {
            Arrangement::Peg(peg) => Some(peg),
            _ => None,
        })
    }

    pub(crate) fn peg_mut(&mut self, of: Sequence) -> Option<&mut Peg> {
        self.arrangements.iter_mut().find_map(|a| match a {
            Arrangement::Peg(peg) if peg.sequence == of => Some(peg),
            _ => None,
        })
    }

    /// Takes the terms of a pegged order, if it is one, from an order that has left.
    pub(crate) fn unpeg(&mut self, of: Sequence) -> Option<Peg> {
        let peg = self.pegs().find(|peg| peg.sequence == of).copied()?;
        self.arrangements
            .retain(|a| !matches!(a, Arrangement::Peg(peg) if peg.sequence == of));
        Some(peg)
    }

    /// Orders that can be open at once of what is open and in slices: a slice has the place that its order keeps.
    pub(crate) fn places(&self) -> usize {
        let idle = |twap: &&Twap| self.get(twap.sequence).is_none();
        let idle = self.twaps().filter(idle).count();
        self.open.len().saturating_add(idle)
    }

    /// Whether an open order or one in slices has this client id.
    pub(crate) fn has_client(&self, id: ClientId) -> bool {
        self.open.iter().any(|o| o.client_id == id)
            || self.twaps().any(|t| t.terms.order.client_id == id)
    }
}
