//! Remedy 7: what fund, vault and counterparties left uncovered is charged to everybody across, through the cumulative index.
//!
//! An account that could be closed against nobody any more, and whose equity is below zero all the same, is brought to zero: it receives
//! its deficit out of the funding pots of the markets that lost it, and every lot across in those markets owes its part, as it owes
//! funding. Each market bears what it is of the account's losses at the marks; where none of its positions has one (what was
//! lost is realised already), by notional. What a short option lost is not known, since its premium is cash and may have been more than it is
//! worth: it bears what the losses of the others do not explain, by what it owes. So a market never bears more than was lost in it to spare an option's.
//!
//! A deficit without a position is that of a debt whose collateral fell, or of a contract that has settled: no market is there to be charged. It stays
//! in the queue for the fund, and pauses withdrawals as long as the fund is smaller. So that it need not come to that, a market whose settlement
//! price stands keeps its positions for a few closes more, and for longer while liquidation is behind: remedies 6 and 7 work at that price, and only
//! then is a position cash.
//!
//! Conservation is exact: the pots give what the account receives, and are repaid as those across settle. A charge per lot is rounded up to
//! the index's last bit, and payers round up, so no pot is left short; what rounds stays in it. Nobody is looked for: the
//! charge moves an axis of the threshold index, and whoever it brings below maintenance margin is found by the next close.
//!
//! Longs and shorts have an index each (`MarketView::funding_index_of`): were it one, what shorts are charged would be paid to all longs, who lost
//! nothing with the account.

use crate::{meter::Size, types::opened, Config, Event, LossCharge, Pallet, Refusal};
use alloc::vec::Vec;
use frame_support::{storage::with_storage_layer, traits::Get};
use novate_types::{
    math::{add, mul_div_ceil, mul_div_floor, neg, position_value_floor, signed, sub},
    AccountRef, Cash, Ledger, Lots, MarginAccount, MarketId, MathError, Pot, RiskError, RiskModel,
    RiskView, Side, FUNDING_FRACTION_BITS,
};

/// One quantum in a cumulative index.
const UNIT: u128 = 1 << FUNDING_FRACTION_BITS;

/// Those who bear a loss: all lots of one side of a market.
struct Bearer {
    market: MarketId,
    side: Side,
    lots: Lots,
    /// Its part of the loss is this over the sum.
    weight: u128,
}

impl<T: Config> Pallet<T> {
    /// Remedy 7 for accounts that could be closed against nobody any more. Returns what of `left`, the close's time, remains, and whether the
    /// indices of `view` moved.
    pub(crate) fn share_losses(
        unpaid: Vec<AccountRef<T::AccountId>>,
        view: &mut RiskView,
        left: u64,
    ) -> (u64, bool) {
        if unpaid.is_empty() {
            return (left, false);
        }
        let before = view.clone();
        let mut meter = crate::meter::Meter::<T>::of(left);
        for of in unpaid {
            let account = T::Ledger::account(&of).unwrap_or_default();
            // Pots are among the keys that all accounts of a close share.
            let size = Size::of(&account, view);
            let cost = meter.look(size).saturating_add(meter.keys(2));
            let shared = if meter.affords(cost) {
                meter.spend(cost);
                with_storage_layer(|| Self::share_loss(&of, view))
            } else {
                Ok(None)
            };
            match shared {
                Ok(Some(moved)) => *view = moved,
                Ok(None) => Self::say_uncovered(&of, view),
                Err(refusal) => {
                    log::error!(target: crate::LOG, "the loss of {of:?} is not shared: {refusal:?}");
                    Self::say_uncovered(&of, view);
                }
            }
        }
        let is_moved = *view != before;
        if is_moved {
            let vault = T::Ledger::account(&T::Vault::get());
            Self::count_vault_loss(vault.as_ref(), &before, view);
        }
        (meter.left(), is_moved)
    }

    /// Brings an account to zero at the expense of those across. Returns the view after it; none if there is nothing to cover, or
    /// nobody to bear it.
    fn share_loss(
        of: &AccountRef<T::AccountId>,
        view: &RiskView,
    ) -> Result<Option<RiskView>, Refusal> {
        let account = opened(T::Ledger::account(of))?;
        let loss = neg(T::Risk::assess_held(&account, view)?.equity)?;
        if loss <= 0 {
            return Ok(None);
        }
        let parts = Self::parts(&account, view, loss)?;
        if parts.is_empty() {
            return Ok(None);
        }
        let mut moved = view.clone();
        let mut charges = Vec::new();
        for (bearer, part) in parts {
            let per_lot = signed(mul_div_ceil(
                part.unsigned_abs(),
                UNIT,
                u128::from(bearer.lots),
            )?)?;
            moved
                .market_mut(bearer.market)?
                .charge(bearer.side, per_lot)?;
            T::Ledger::credit_pot(Pot::Funding(bearer.market), neg(part)?)?;
            charges.push(LossCharge {
                market: bearer.market,
                side: bearer.side,
                loss: part,
                lots: bearer.lots,
                per_lot,
            });
        }
        T::Ledger::update(of, |account| {
            account.cash = add(account.cash, loss)?;
            Ok::<_, Refusal>(())
        })?;
        Self::cover(of)?;
        Self::deposit_event(Event::LossShared {
            account: of.clone(),
            loss,
            charges,
        });
        Ok(Some(moved))
    }

    /// Who bears how much of an account's loss.
    fn parts(
        account: &MarginAccount,
        view: &RiskView,
        loss: Cash,
    ) -> Result<Vec<(Bearer, Cash)>, RiskError> {
        let (mut by_loss, mut by_debt, mut by_notional) = (Vec::new(), Vec::new(), Vec::new());
        for position in &account.positions {
            let market = view.market(position.market)?;
            let value = position_value_floor(position.lots, market.mark, market.lot_size)?;
            let owed = novate_risk::funding_owed_ceil(position, market)?;
            let lost = sub(add(position.cost, owed)?, value)?;
            let bearer = |weight| Bearer {
                market: market.id,
                side: crate::index::side_of(position).opposite(),
                // As many as there are on the other side.
                lots: T::Ledger::open_interest(market.id),
                weight,
            };
            let losing = if market.contract.kind.is_option() {
                &mut by_debt
            } else {
                &mut by_loss
            };
            if lost > 0 {
                losing.push(bearer(lost.unsigned_abs()));
            }
            by_notional.push(bearer(value.unsigned_abs()));
        }
        for bearers in [&mut by_loss, &mut by_debt, &mut by_notional] {
            bearers.retain(Bearer::bears);
        }
        Ok(match (by_loss.is_empty(), by_debt.is_empty()) {
            (true, true) => split(loss, by_notional)?,
            (true, false) => split(loss, by_debt)?,
            (false, true) => split(loss, by_loss)?,
            (false, false) => {
                let lost = signed(sum_of(&by_loss)?)?.min(loss);
                let mut parts = split(lost, by_loss)?;
                parts.extend(split(sub(loss, lost)?, by_debt)?);
                parts
            }
        })
    }

    fn say_uncovered(of: &AccountRef<T::AccountId>, view: &RiskView) {
        let assessed = T::Ledger::account(of).map(|account| T::Risk::assess_held(&account, view));
        let Some(Ok(assessment)) = assessed.filter(|a| a.as_ref().is_ok_and(|a| a.equity < 0))
        else {
            return;
        };
        Self::deposit_event(Event::DeficitUncovered {
            account: of.clone(),
            deficit: assessment.equity.saturating_neg(),
        });
    }
}

impl Bearer {
    const fn bears(&self) -> bool {
        self.lots > 0 && self.weight > 0
    }
}

fn sum_of(bearers: &[Bearer]) -> Result<u128, MathError> {
    let sum = |sum: u128, bearer: &Bearer| sum.checked_add(bearer.weight);
    bearers.iter().try_fold(0, sum).ok_or(MathError::Overflow)
}

/// Splits a loss by weights, whole: each has the difference of two rounded sums. Those whose part rounds to nothing are left out.
fn split(loss: Cash, bearers: Vec<Bearer>) -> Result<Vec<(Bearer, Cash)>, MathError> {
    let total = sum_of(&bearers)?;
    let (mut weight, mut given) = (0u128, 0);
    let mut parts = Vec::new();
    for bearer in bearers {
        weight = weight
            .checked_add(bearer.weight)
            .ok_or(MathError::Overflow)?;
        let until = signed(mul_div_floor(loss.unsigned_abs(), weight, total)?)?;
        let part = sub(until, given)?;
        given = until;
        if part > 0 {
            parts.push((bearer, part));
        }
    }
    Ok(parts)
}
