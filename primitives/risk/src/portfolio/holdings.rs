//! An account's legs, netted where they are the same thing.

use super::{
    fine::{times, Fine, Unit},
    Contract, Leg, Pair, Underlying,
};
use crate::ModelError;
use alloc::{collections::BTreeMap, vec::Vec};
use novate_types::{
    math::{add, neg},
    Price,
};
use sp_arithmetic::traits::Zero;

/// What moves with the underlying one for one.
pub(super) struct Linear {
    pub(super) lots: i128,
    pub(super) price: Price,
    /// The part of the price that stands still.
    pub(super) settled: Price,
    pub(super) unit: Unit,
    pub(super) term: Option<u16>,
}

impl Linear {
    /// Value of what can move, all lots.
    pub(super) fn exposure(&self) -> Result<Fine, ModelError> {
        let moving = self
            .unit
            .value(super::fine::number(self.price)?.minus(super::fine::number(self.settled)?)?)?;
        Ok(times(self.lots, moving)?)
    }
}

/// The options of a series.
#[derive(Default)]
pub(super) struct Options {
    pub(super) call: i128,
    pub(super) put: i128,
}

impl Options {
    /// What they are worth, a lot of each being so much. Most series are held on one side only.
    pub(super) fn value(&self, lot: &Pair) -> Result<Fine, ModelError> {
        Ok(match (self.call, self.put) {
            (call, 0) => times(call, lot.call)?,
            (0, put) => times(put, lot.put)?,
            (call, put) => add(times(call, lot.call)?, times(put, lot.put)?)?,
        })
    }

    /// Lots that are short, calls and puts netted.
    pub(super) fn net_short(&self) -> Result<i128, ModelError> {
        Ok(neg(add(self.call, self.put)?)?.max(0))
    }
}

/// All of it.
pub(super) struct Holdings {
    pub(super) linear: Vec<Linear>,
    /// By expiry, then series.
    pub(super) options: BTreeMap<(u16, u16), Options>,
}

impl Holdings {
    pub(super) fn of(legs: &[Leg], market: &Underlying) -> Result<Self, ModelError> {
        let mut linear = Vec::new();
        let mut options = BTreeMap::<_, Options>::new();
        for leg in legs {
            let lots = i128::from(leg.lots);
            match leg.contract {
                Contract::Linear {
                    mark,
                    lot_size,
                    term,
                    ..
                } => {
                    let settled = match term {
                        Some(at) => market.term(at)?.settled.min(mark),
                        None => Price::zero(),
                    };
                    linear.push(Linear {
                        lots,
                        price: mark,
                        settled,
                        unit: Unit::of(lot_size)?,
                        term,
                    });
                }
                Contract::Collateral {
                    price,
                    lot_size,
                    moves: true,
                    ..
                } => linear.push(Linear {
                    lots,
                    price,
                    settled: Price::zero(),
                    unit: Unit::of(lot_size)?,
                    term: None,
                }),
                Contract::Collateral { moves: false, .. } => {}
                Contract::Option { series, kind } => {
                    let term = market.series(series)?.term;
                    let held = options.entry((term, series)).or_default();
                    let side = match kind {
                        novate_math::black76::Kind::Call => &mut held.call,
                        novate_math::black76::Kind::Put => &mut held.put,
                    };
                    *side = add(*side, lots)?;
                }
            }
        }
        Ok(Self { linear, options })
    }
}
