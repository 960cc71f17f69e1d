//! A page of the book as storage has it. Orders are all as long as one another, so one that joins, shrinks or leaves costs none of its
//! neighbours a decoding: of a deep book a block touches most pages, and of each an order or two.

use crate::types::{Slot, PAGE_SLOTS};
use alloc::vec::Vec;
use codec::{Compact, Decode, Encode, MaxEncodedLen};
use core::marker::PhantomData;
use novate_types::{AccountRef, Lots, Sequence, Ticks};

/// A page's orders, one after another in the encoding of [`Slot`]. One without lots is a hole.
pub(crate) struct RawPage<AccountId> {
    orders: Vec<u8>,
    holes: bool,
    account: PhantomData<AccountId>,
}

impl<AccountId> Default for RawPage<AccountId> {
    fn default() -> Self {
        Self {
            orders: Vec::new(),
            holes: false,
            account: PhantomData,
        }
    }
}

impl<AccountId: Encode + Decode + MaxEncodedLen> RawPage<AccountId> {
    /// A page as it is stored; one that is not there has no orders. `None` if it is no page.
    pub fn parse(stored: Option<&[u8]>) -> Option<Self> {
        let Some(mut input) = stored else {
            return Some(Self::default());
        };
        let count = Compact::<u32>::decode(&mut input).ok()?.0;
        let bytes = usize::try_from(count).ok()?.checked_mul(Self::width())?;
        (count <= PAGE_SLOTS && input.len() == bytes).then(|| Self {
            orders: input.to_vec(),
            ..Self::default()
        })
    }

    /// As it is to be stored; none if it holds no order.
    pub fn stored(mut self) -> Option<Vec<u8>> {
        self.close_holes();
        let count = self.len();
        let mut stored = Compact(count).encode();
        stored.append(&mut self.orders);
        (count > 0).then_some(stored)
    }

    /// Bytes of an order.
    fn width() -> usize {
        Slot::<AccountId>::max_encoded_len()
    }

    fn is_hole(order: &[u8]) -> bool {
        Self::lots_of(order.len()).is_some_and(|at| {
            order
                .get(at)
                .is_some_and(|lots| lots.iter().all(|byte| *byte == 0))
        })
    }

    /// Where an order's lots are, if it ends at `end`: what comes before them is the account, the sequence and the price.
    fn lots_of(end: usize) -> Option<core::ops::Range<usize>> {
        let before = AccountRef::<AccountId>::max_encoded_len()
            .checked_add(Sequence::max_encoded_len())?
            .checked_add(Ticks::max_encoded_len())?;
        let from = end.checked_sub(Self::width())?.checked_add(before)?;
        Some(from..from.checked_add(Lots::max_encoded_len())?)
    }

    /// Orders of the page, holes taken out before.
    pub fn len(&mut self) -> u32 {
        self.close_holes();
        let many = self.orders.len().checked_div(Self::width()).unwrap_or(0);
        u32::try_from(many).unwrap_or(u32::MAX)
    }

    /// The orders keep their order, so that the order of cancels leaves no trace.
    fn close_holes(&mut self) {
        if core::mem::take(&mut self.holes) {
            let orders = self.orders.chunks_exact(Self::width());
            let kept: Vec<&[u8]> = orders.filter(|order| !Self::is_hole(order)).collect();
            self.orders = kept.concat();
        }
    }

    /// Sets what remains of an order; nothing makes a hole of it. Whether it is there.
    pub fn resize(
        &mut self,
        account: &AccountRef<AccountId>,
        sequence: Sequence,
        lots: Lots,
    ) -> bool {
        let begins = (account, sequence).encode();
        let found = self
            .orders
            .chunks_exact(Self::width())
            .position(|order| order.starts_with(&begins) && !Self::is_hole(order));
        let lots_of = found
            .and_then(|at| at.checked_add(1)?.checked_mul(Self::width()))
            .and_then(Self::lots_of)
            .and_then(|at| self.orders.get_mut(at));
        let Some(stored) = lots_of else {
            return false;
        };
        stored.copy_from_slice(&lots.to_le_bytes());
        self.holes |= lots == 0;
        true
    }

    /// Adds an order, behind the others.
    pub fn push(&mut self, order: &Slot<AccountId>) {
        self.close_holes();
        order.encode_to(&mut self.orders);
    }

    /// The orders, decoded.
    pub fn orders(&mut self) -> impl Iterator<Item = Slot<AccountId>> + '_ {
        self.close_holes();
        self.orders
            .chunks_exact(Self::width())
            .filter_map(|mut order| Slot::decode(&mut order).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Page;
    use frame_support::BoundedVec;
    use novate_types::BlockNumber;
    use proptest::prelude::*;

    type Raw = RawPage<u64>;

    fn order() -> impl Strategy<Value = Slot<u64>> {
        let some = (0..4u64, 0..2u8, 0..3u64, any::<u64>(), 1..9u64);
        (
            some,
            any::<BlockNumber>(),
            any::<BlockNumber>(),
            any::<bool>(),
        )
            .prop_map(
                |((owner, sub, sequence, ticks, lots), block, expires, reduce_only)| Slot {
                    account: AccountRef::new(owner, sub),
                    sequence,
                    ticks,
                    lots,
                    block,
                    expires,
                    reduce_only,
                },
            )
    }

    proptest! {
        #[test]
        fn a_page_in_bytes_is_the_decoded_page(
            orders in prop::collection::vec(order(), 0..=PAGE_SLOTS as usize),
            changes in prop::collection::vec((order(), any::<bool>()), 0..20),
        ) {
            // What names an order is its own.
            let mut known = std::collections::BTreeSet::new();
            let mut orders = orders;
            orders.retain(|o| known.insert((o.account, o.sequence)));
            let stored = Page::try_from(orders.clone()).unwrap().encode();
            let mut raw = Raw::parse(Some(&stored)).unwrap();
            for (change, joins) in changes {
                let found = orders
                    .iter()
                    .position(|o| (o.account, o.sequence) == (change.account, change.sequence));
                if joins && found.is_none() && orders.len() < PAGE_SLOTS as usize {
                    raw.push(&change);
                    orders.push(change);
                } else if !joins {
                    let lots = change.lots / 2;
                    prop_assert_eq!(raw.resize(&change.account, change.sequence, lots), found.is_some());
                    match found {
                        Some(at) if lots == 0 => { orders.remove(at); }
                        Some(at) => orders[at].lots = lots,
                        None => {}
                    }
                }
            }
            prop_assert_eq!(raw.len() as usize, orders.len());
            prop_assert_eq!(raw.orders().collect::<Vec<_>>(), orders.clone());
            let page: Page<u64> = BoundedVec::try_from(orders).unwrap();
            prop_assert_eq!(raw.stored(), (!page.is_empty()).then(|| page.encode()));
        }

        #[test]
        fn bytes_of_another_length_are_no_page(
            orders in prop::collection::vec(order(), 0..=PAGE_SLOTS as usize),
            cut in 1usize..100,
        ) {
            let mut stored = Page::try_from(orders).unwrap().encode();
            stored.push(0);
            prop_assert!(Raw::parse(Some(&stored)).is_none());
            stored.truncate(stored.len().saturating_sub(1 + cut));
            prop_assert!(Raw::parse(Some(&stored)).is_none());
        }
    }
}
