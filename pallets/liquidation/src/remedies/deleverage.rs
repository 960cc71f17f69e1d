//! Remedy 6: what fund and vault refuse is closed against the accounts that profit most, at the bankruptcy price.
//!
//! In each market the price is the one at which closing the whole position leaves the account at zero, given its other
//! positions (`novate_risk::bankruptcy_value`). Slices share that value by lots, each rounded against the
//! counterparty, the last one taking what is left of it: both sides book the same amount, so nothing is created or lost.
//!
//! Counterparties come best entry price first, which within a market and side is the order of profit over cost, and by a hash of
//! account and block within a bucket. Nobody closes more than its position, the bankrupt account closes no more than its own,
//! and a counterparty that would end below maintenance margin is left out. What a close has no quota for stays frozen until
//! the next.

use crate::{
    index::{entry_bucket, side_of},
    pages::{Entry, Shelf, PAGE},
    types::opened,
    Config, Event, Pallet, Refusal, RiskDirectory, RiskSpan,
};
use alloc::vec::Vec;
use codec::Encode;
use frame_support::{ensure, storage::with_storage_layer};
use novate_risk::{apply_trade, bankruptcy_value};
use novate_types::{
    math::{neg, signed_mul_div_floor, sub},
    AccountRef, Cash, Ledger, Lots, MarginAccount, MarketId, MathError, Pot, RankSlot, RiskModel,
    RiskView, Side, SignedLots,
};

/// What deleveraging may still do in this close.
pub(crate) struct Quota {
    accounts: u32,
    reads: u32,
    is_touched: bool,
}

impl Quota {
    pub(crate) fn of<T: Config>() -> Self {
        let capacity = Pallet::<T>::capacity();
        Self {
            accounts: capacity.deleveraged,
            reads: capacity.ranks,
            is_touched: false,
        }
    }

    /// Whether counterparties were looked at, and may have changed.
    pub(crate) const fn is_touched(&self) -> bool {
        self.is_touched
    }

    /// Whether nobody can be deleveraged any more in this close.
    pub(crate) const fn is_used_up(&self) -> bool {
        self.accounts == 0 || self.reads == 0
    }
}

/// A bucket of the deleveraging index.
#[derive(Clone, Copy)]
struct Bucket {
    market: MarketId,
    side: Side,
    number: u32,
}

/// What is left of a position to close, and what the account pays for closing it (below zero: receives).
struct Remainder {
    lots: Lots,
    value: Cash,
}

impl Remainder {
    /// The part of `value` that falls on `lots`. The account pays less, or receives more, by what rounds.
    fn share(&self, lots: Lots) -> Result<Cash, MathError> {
        signed_mul_div_floor(self.value, u128::from(lots), u128::from(self.lots))
    }
}

impl<T: Config> Pallet<T> {
    /// Closes as much of the account as quota and counterparties allow.
    pub(crate) fn deleverage(
        of: &AccountRef<T::AccountId>,
        view: &RiskView,
        quota: &mut Quota,
    ) -> Result<(), Refusal> {
        quota.is_touched = true;
        for position in &opened(T::Ledger::account(of))?.positions {
            if quota.is_used_up() {
                break;
            }
            let account = opened(T::Ledger::account(of))?;
            let closing = position.lots.checked_neg().ok_or(MathError::Overflow)?;
            let mut rest = Remainder {
                lots: position.lots.unsigned_abs(),
                value: bankruptcy_value(&account, view, position.market, closing)?,
            };
            let side = side_of(position).opposite();
            let mut reached = None;
            while rest.lots > 0 && !quota.is_used_up() {
                let Some(bucket) = Self::next_bucket(position.market, side, reached) else {
                    break;
                };
                let at = Bucket {
                    market: position.market,
                    side,
                    number: bucket,
                };
                Self::deleverage_bucket(of, view, at, &mut rest, quota)?;
                reached = Some(bucket);
            }
        }
        Ok(())
    }

    /// The best bucket of counterparties, or the best after `reached`: lowest entry price of longs, highest of shorts.
    fn next_bucket(market: MarketId, side: Side, reached: Option<u32>) -> Option<u32> {
        let directory = RiskDirectory::<T>::get(Shelf::Rank(market, side));
        let mut buckets = directory.buckets();
        match side {
            Side::Bid => buckets.find(|b| reached.is_none_or(|r| *b > r)),
            Side::Ask => buckets.rev().find(|b| reached.is_none_or(|r| *b < r)),
        }
    }

    /// Reads a bucket of counterparties and closes against them.
    fn deleverage_bucket(
        of: &AccountRef<T::AccountId>,
        view: &RiskView,
        at: Bucket,
        rest: &mut Remainder,
        quota: &mut Quota,
    ) -> Result<(), Refusal> {
        let (shelf, bucket) = (Shelf::Rank(at.market, at.side), at.number);
        let pages = RiskSpan::<T>::get((shelf, bucket)).map_or(0, |span| {
            span.last.saturating_sub(span.first).saturating_add(1)
        });
        let mut entries = Vec::new();
        for _ in 0..pages {
            let found = Self::take(shelf, bucket, PAGE.min(quota.reads));
            quota.reads = quota
                .reads
                .saturating_sub(u32::try_from(found.len()).unwrap_or(PAGE));
            entries.extend(found);
            if quota.reads == 0 {
                break;
            }
        }
        entries.sort_by_cached_key(|entry| {
            sp_io::hashing::blake2_128(&(view.block, &entry.account).encode())
        });
        for entry in entries {
            if !Self::is_live(shelf, bucket, &entry) {
                continue;
            }
            if rest.lots > 0 && quota.accounts > 0 {
                let done = with_storage_layer(|| {
                    if Self::has_moved(&entry, view, at)? {
                        return Ok(None);
                    }
                    Self::deleverage_one(of, &entry.account, view, at, rest).map(Some)
                });
                match done {
                    Ok(Some(left)) => {
                        *rest = left;
                        quota.accounts = quota.accounts.saturating_sub(1);
                    }
                    Ok(None) => {}
                    Err(refusal) => {
                        log::debug!(target: crate::LOG, "{:?} left out: {refusal:?}", entry.account)
                    }
                }
            }
            if Self::is_live(shelf, bucket, &entry) {
                Self::append(shelf, bucket, entry)?;
            }
        }
        Ok(())
    }

    /// Moves an entry that stands better than its position's entry price deserves.
    fn has_moved(
        entry: &Entry<T::AccountId>,
        view: &RiskView,
        at: Bucket,
    ) -> Result<bool, Refusal> {
        let account = opened(T::Ledger::account(&entry.account))?;
        let deserved = account.position(at.market).map(entry_bucket).map(u32::from);
        if deserved == Some(at.number) {
            return Ok(false);
        }
        T::Ledger::settle(&entry.account, view, false, |account| {
            for position in account
                .positions
                .iter_mut()
                .filter(|p| p.market == at.market)
            {
                position.rank = RankSlot::default();
            }
            Ok::<_, Refusal>(())
        })?;
        Ok(true)
    }

    /// Closes one counterparty's position, or as much of it as is needed. Returns what then remains.
    fn deleverage_one(
        of: &AccountRef<T::AccountId>,
        counterparty: &AccountRef<T::AccountId>,
        view: &RiskView,
        at: Bucket,
        rest: &Remainder,
    ) -> Result<Remainder, Refusal> {
        let held = opened(T::Ledger::account(counterparty))?.lots(at.market);
        let lots = held.unsigned_abs().min(rest.lots);
        let value = rest.share(lots)?;
        // Against longs the account buys, against shorts it sells.
        let change = at.side.signed(lots).ok_or(MathError::Overflow)?;
        T::Ledger::settle(of, view, false, |account| {
            Self::trade(account, view, at.market, change, value)
        })?;
        T::Ledger::settle(counterparty, view, false, |account| {
            let back = change.checked_neg().ok_or(MathError::Overflow)?;
            Self::trade(account, view, at.market, back, neg(value)?)?;
            let after = T::Risk::assess(account, view)?;
            ensure!(!after.is_below_maintenance(), Refusal::CounterpartyMargin);
            Ok::<_, Refusal>(())
        })?;
        Self::deposit_event(Event::Deleveraged {
            account: of.clone(),
            counterparty: counterparty.clone(),
            market: at.market,
            lots,
            value,
        });
        Ok(Remainder {
            lots: rest.lots.checked_sub(lots).ok_or(MathError::Overflow)?,
            value: sub(rest.value, value)?,
        })
    }

    fn trade(
        account: &mut MarginAccount,
        view: &RiskView,
        market: MarketId,
        lots: SignedLots,
        value: Cash,
    ) -> Result<(), Refusal> {
        let traded = apply_trade(account, view.market(market)?, lots, value)?;
        Ok(T::Ledger::credit_pot(
            Pot::Funding(market),
            traded.funding_to_pot,
        )?)
    }
}
