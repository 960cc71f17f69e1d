//! What reduce-only orders may execute.

use crate::Order;
use alloc::collections::BTreeMap;
use novate_types::{Lots, MathError, Side, SignedLots};

/// What reduce-only orders may still execute, by account.
pub struct Allowances<'a> {
    position: &'a dyn Fn(u32) -> SignedLots,
    left: BTreeMap<u32, (Side, Lots)>,
}

impl<'a> Allowances<'a> {
    pub fn new(position: &'a dyn Fn(u32) -> SignedLots) -> Self {
        Self {
            position,
            left: BTreeMap::new(),
        }
    }

    /// Lots that `order`, by itself, may still execute; no limit unless it only reduces.
    pub fn of(&mut self, order: &Order) -> Lots {
        if !order.reduce_only {
            return Lots::MAX;
        }
        let (side, left) = *self.left.entry(order.account).or_insert_with(|| {
            let lots = (self.position)(order.account);
            let reducing = if lots < 0 { Side::Bid } else { Side::Ask };
            (reducing, lots.unsigned_abs())
        });
        if side == order.side {
            left
        } else {
            0
        }
    }

    pub fn spend(&mut self, order: &Order, lots: Lots) -> Result<(), MathError> {
        if let Some((_, left)) = self
            .left
            .get_mut(&order.account)
            .filter(|_| order.reduce_only)
        {
            *left = left.checked_sub(lots).ok_or(MathError::Overflow)?;
        }
        Ok(())
    }
}
