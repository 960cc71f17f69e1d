//! The backstop vault as an investment: shares that enter and leave at an epoch's value.
//!
//! Whoever wants in pays at once, into [`Pot::Vault`]; whoever wants out hands in shares that are no longer locked. Nothing more
//! happens until the epoch is over ([`Config::EpochLength`] blocks). The first close after it that has fresh prices values the vault once, at its
//! marks, and settles all requests of the epoch at that one value:
//!
//! 1. what enters moves from the pot to the vault, and what those who leave are paid moves from the vault to the pot: once, whoever asked and
//!    in whatever order;
//! 2. requests are then executed out of the pot, at most [`Config::MaxShareRequests`] a close: shares are given, wallets are paid. The terms
//!    do not change meanwhile, so it does not matter who comes first.
//!
//! What leaves is cash that the vault's initial margin with orders does not need. Where that is not enough each who leaves is paid the same
//! part, and the rest of its shares waits for the next epoch. While withdrawals pause nobody is paid, and nothing is settled.
//!
//! **Rounding** goes against who enters and who leaves, so the value of a share never falls by either; the residue stays in the vault.
//!
//! **The first of all** cannot be robbed (the inflation attack on ERC-4626 vaults: own the only share, give the vault a fortune, and whoever
//! deposits less than a share is worth gets none). What is given to the vault buys shares like any deposit, for the protocol, so it moves no value.
//! A profit that the vault is traded can; but a share is a thousandth of a quantum, and a thousand shares that are nobody's stand beside those that are
//! somebody's: of what an attacker gives away to raise the value, these keep all but a part in a thousand for each share it holds. A deposit is
//! at least [`Config::MinShareDeposit`].
//!
//! **The protocol's shares** are held by the vault's own owner, who has no key. It holds what the vault was worth before the first deposit, and
//! whatever came to the vault's account later for no shares (`Clearing.deposit_for`): from the next close with fresh prices on in which the vault is in
//! good standing and no requests are being executed, it has its part of profits and losses. Where shares are worth nothing what is given buys
//! them as if they were the first, so that it takes the vault out of that. Collateral that is given to the vault is given to all who hold shares.

mod types;

pub use types::*;

use crate::{
    Backstop, Config, Error, Event, Pallet, Refusal, ShareHoldings, ShareRequests, WeightInfo,
};
use frame_support::{ensure, storage::with_storage_layer, traits::Get, weights::Weight};
use novate_types::{
    math::{add, mul_div_floor, sub},
    BlockNumber, Cash, CurrentView, Ledger, Liquidations, MarginAccount, MathError, Pot, RiskModel,
    RiskView, Standing,
};
use sp_runtime::traits::UniqueSaturatedInto;

/// What a close's part in shares took, for its weight.
#[derive(Clone, Copy, Default)]
pub(crate) struct ShareWork {
    settled: bool,
    executed: u32,
}

impl<T: Config> Pallet<T> {
    /// The epoch of a block.
    pub fn share_epoch(block: BlockNumber) -> BlockNumber {
        block.checked_div(T::EpochLength::get()).unwrap_or(0)
    }

    /// What work on shares costs the next close, at most, as they stand now.
    pub(crate) fn share_budget(book: &VaultBook) -> Weight {
        let block = frame_system::Pallet::<T>::block_number().unique_saturated_into();
        if book.is_due(Self::share_epoch(block)) {
            Self::most_share_work()
        } else {
            Weight::zero()
        }
    }

    /// What it costs any close, at most.
    pub(crate) fn most_share_work() -> Weight {
        Self::share_weight(ShareWork {
            settled: true,
            executed: T::MaxShareRequests::get(),
        })
    }

    pub(crate) fn share_weight(work: ShareWork) -> Weight {
        let settled = if work.settled {
            T::WeightInfo::settle_shares()
        } else {
            Weight::zero()
        };
        let each = T::WeightInfo::execute_share_request();
        settled.saturating_add(each.saturating_mul(work.executed.into()))
    }

    /// What the vault is worth at the last close's view, and what its shares are worth: while an epoch's requests are executed, what they are
    /// executed at.
    pub fn share_value() -> Result<(Cash, Option<ShareValue>), Refusal> {
        let book = Backstop::<T>::get();
        let vault = T::Ledger::account(&T::Vault::get()).unwrap_or_default();
        let equity = T::Risk::assess(&vault, &T::View::view())?.equity;
        let value = match book.terms {
            Some(terms) => terms.value,
            // What is there before the first settlement is the protocol's, share by share.
            None if book.shares == 0 && equity >= 0 => ShareValue::of(0, 0)?,
            None => match ShareValue::of(sub(equity, book.given)?, book.shares)? {
                // Shares that are worth nothing will be worth something by what is given.
                None => {
                    let given = Self::shares_for_gifts(&book, equity)?;
                    let shares = book.shares.checked_add(given);
                    ShareValue::of(equity, shares.ok_or(MathError::Overflow)?)?
                }
                own => own,
            },
        };
        Ok((equity, value))
    }

    /// Takes a request in, and what it brings.
    pub(crate) fn ask_for_shares(
        owner: T::AccountId,
        wish: ShareWish,
    ) -> frame_support::dispatch::DispatchResult {
        let block = frame_system::Pallet::<T>::block_number().unique_saturated_into();
        let mut book = Backstop::<T>::get();
        ensure!(
            book.waiting() < u64::from(T::MaxShareQueue::get()),
            Error::<T>::ShareQueueFull
        );
        let mut holding = ShareHoldings::<T>::get(&owner);
        ensure!(
            holding.waiting < T::MaxSharesPending::get(),
            Error::<T>::TooManyShareRequests
        );
        match wish {
            ShareWish::Enter(amount) => {
                ensure!(
                    amount >= T::MinShareDeposit::get(),
                    Error::<T>::DepositTooSmall
                );
                let (equity, value) = Self::share_value().map_err(|_| Error::<T>::OutOfRange)?;
                // A vault that is worth nothing takes its first deposit, and none once it owes.
                ensure!(
                    equity >= 0 && value.is_some(),
                    Error::<T>::VaultWithoutEquity
                );
                let asset = T::Ledger::settlement_asset();
                T::Ledger::take_into_custody(&owner, asset, amount.unsigned_abs())
                    .map_err(|_| Error::<T>::WalletTooSmall)?;
                T::Ledger::credit_pot(Pot::Vault, amount).map_err(|_| Error::<T>::OutOfRange)?;
            }
            ShareWish::Leave(shares) => {
                ensure!(shares > 0, Error::<T>::NoShares);
                ensure!(shares <= holding.shares, Error::<T>::TooFewShares);
                ensure!(shares <= holding.free(block), Error::<T>::SharesLocked);
                holding.shares = holding.shares.saturating_sub(shares);
            }
        }
        holding.waiting = holding.waiting.saturating_add(1);
        let request = ShareRequest { owner, wish };
        let id = Self::queue_wish(&mut book, &request, Self::share_epoch(block))
            .map_err(|_| Error::<T>::OutOfRange)?;
        Backstop::<T>::put(book);
        ShareHoldings::<T>::insert(&request.owner, holding);
        Self::deposit_event(Event::SharesAsked { id, request });
        Ok(())
    }

    /// Puts a request behind all others, for the end of `epoch`.
    fn queue_wish(
        book: &mut VaultBook,
        request: &ShareRequest<T::AccountId>,
        epoch: BlockNumber,
    ) -> Result<u64, MathError> {
        book.turn(epoch)?;
        book.coming.count(&request.wish)?;
        let id = book.next;
        book.next = id.checked_add(1).ok_or(MathError::Overflow)?;
        ShareRequests::<T>::insert(id, request);
        Ok(id)
    }

    /// Notes cash that came to the vault's account for no shares. While there are none all that the vault has is the protocol's.
    pub(crate) fn note_given(amount: Cash) {
        Backstop::<T>::mutate(|book| match add(book.given, amount) {
            _ if book.shares == 0 => {}
            Ok(sum) => book.given = sum,
            Err(error) => log::error!(target: crate::LOG, "what is given has no sum: {error:?}"),
        });
    }

    /// Gives shares for what came for none, settles an epoch that is over, and executes its requests.
    pub(crate) fn work_on_shares(view: &RiskView) -> ShareWork {
        let before = Backstop::<T>::get();
        let epoch = Self::share_epoch(view.block);
        let settles = before.has_requests_due(epoch) && !Self::withdrawals_paused();
        if !settles && !before.has_gifts_due() {
            return ShareWork::default();
        }
        let done = with_storage_layer(|| {
            let (mut book, mut work) = (before, ShareWork::default());
            if settles {
                book.turn(epoch)?;
            }
            if book.terms.is_none() {
                work.settled = true;
                Self::settle(&mut book, view, settles)?;
            }
            if let Some(terms) = book.terms.filter(|_| settles) {
                work.executed = Self::execute_wishes(&mut book, terms, view)?;
            }
            if book != before {
                Backstop::<T>::put(book);
            }
            Ok::<_, Refusal>(work)
        });
        done.unwrap_or_else(|refusal| {
            log::error!(target: crate::LOG, "shares wait in block {}: {refusal:?}", view.block);
            ShareWork {
                settled: true,
                executed: T::MaxShareRequests::get(),
            }
        })
    }

    /// Shares for what came for none, at the value of those that there are. Where these are worth nothing nearly all is the giver's: each of them
    /// stands for a part of a quantum.
    fn shares_for_gifts(book: &VaultBook, equity: Cash) -> Result<u128, MathError> {
        if book.given == 0 {
            return Ok(0);
        }
        let own = sub(equity, book.given)?;
        let bought = match ShareValue::of(own, book.shares)? {
            Some(value) => value.shares_floor(book.given).ok(),
            None => {
                let given = u128::try_from(book.given).unwrap_or(0);
                book.shares
                    .checked_add(1)
                    .and_then(|shares| shares.checked_mul(given))
            }
        };
        // Beyond what can be counted they are as the first.
        bought
            .filter(|bought| book.shares.checked_add(*bought).is_some())
            .map_or_else(|| Self::first_shares(book.given), Ok)
    }

    /// Shares for so many quantums while there are none.
    fn first_shares(amount: Cash) -> Result<u128, MathError> {
        let first = ShareValue::of(0, 0)?.ok_or(MathError::DivisionByZero)?;
        first.shares_floor(amount)
    }

    /// Values the vault and gives shares for gifts; if an epoch is over, moves what enters and leaves. Without fresh prices they wait.
    fn settle(book: &mut VaultBook, view: &RiskView, epoch_is_over: bool) -> Result<(), Refusal> {
        let of = T::Vault::get();
        let vault = T::Ledger::account(&of).unwrap_or_default();
        let assessed = T::Risk::assess(&vault, view)?;
        if !assessed.fresh {
            return Ok(());
        }
        // What a vault in the remedies is worth nobody knows.
        let is_good = vault.standing == Standing::Good;
        if is_good {
            let shares = if book.shares == 0 {
                // All that is there is the protocol's.
                Self::first_shares(assessed.equity.max(0))?
            } else {
                Self::shares_for_gifts(book, assessed.equity)?
            };
            Self::give_to_protocol(book, shares)?;
            book.given = 0;
        }
        if !epoch_is_over {
            return Ok(());
        }
        let value = ShareValue::of(assessed.equity, book.shares)?.filter(|_| is_good);
        let due = core::mem::take(&mut book.due);
        let entering = value.map_or(0, |_| due.entering);
        let (mut claimed, mut payable) = (0, 0);
        if let Some(value) = value {
            claimed = value.worth_ceil(due.leaving)?;
            let richer = MarginAccount {
                cash: add(vault.cash, entering)?,
                ..vault
            };
            payable = claimed.min(T::Risk::assess(&richer, view)?.withdrawable);
        }
        if entering != payable {
            let more = sub(entering, payable)?;
            T::Ledger::settle(&of, view, true, |vault| {
                vault.cash = add(vault.cash, more)?;
                Ok::<_, Refusal>(())
            })?;
            T::Ledger::credit_pot(Pot::Vault, sub(0, more)?)?;
        }
        book.terms = Some(EpochTerms {
            value,
            claimed,
            payable,
            unpaid: payable,
            until: book.due_until,
        });
        Self::deposit_event(Event::SharesSettled {
            equity: assessed.equity,
            shares: book.shares,
            value,
            entering: due.entering,
            leaving: due.leaving,
            claimed,
            payable,
        });
        Ok(())
    }

    fn give_to_protocol(book: &mut VaultBook, shares: u128) -> Result<(), Refusal> {
        if shares == 0 {
            return Ok(());
        }
        book.shares = book.shares.checked_add(shares).ok_or(MathError::Overflow)?;
        ShareHoldings::<T>::mutate(T::Vault::get().owner, |holding| {
            let sum = holding.shares.checked_add(shares);
            holding.shares = sum.ok_or(MathError::Overflow)?;
            Ok::<_, Refusal>(())
        })
    }

    /// Executes as many requests as a close may, at their epoch's terms. Returns how many.
    fn execute_wishes(
        book: &mut VaultBook,
        mut terms: EpochTerms,
        view: &RiskView,
    ) -> Result<u32, Refusal> {
        let mut executed = 0u32;
        while book.first < terms.until && executed < T::MaxShareRequests::get() {
            let id = book.first;
            book.first = id.saturating_add(1);
            executed = executed.saturating_add(1);
            let Some(request) = ShareRequests::<T>::take(id) else {
                continue;
            };
            let (book_before, terms_before) = (*book, terms);
            let done =
                with_storage_layer(|| Self::execute_wish(book, &mut terms, &request, view.block));
            let left = match done {
                Ok(left) => left,
                Err(refusal) => {
                    // A wallet that cannot take it: it waits as it is.
                    log::warn!(target: crate::LOG, "request {id} for shares waits: {refusal:?}");
                    (*book, terms) = (book_before, terms_before);
                    Some(request.wish)
                }
            };
            let owner = request.owner;
            match left {
                Some(wish) => {
                    let rest = ShareRequest { owner, wish };
                    Self::queue_wish(book, &rest, Self::share_epoch(view.block))?;
                }
                None => ShareHoldings::<T>::mutate_exists(&owner, |stored| {
                    let holding = stored.unwrap_or_default();
                    let waiting = holding.waiting.saturating_sub(1);
                    let holding = Holding { waiting, ..holding };
                    *stored = Some(holding).filter(|h| h.shares > 0 || h.waiting > 0);
                }),
            }
        }
        if book.first < terms.until {
            book.terms = Some(terms);
        } else {
            book.terms = None;
            // What rounding left of it, and those whose wallets could not take theirs.
            if terms.unpaid > 0 {
                T::Ledger::settle(&T::Vault::get(), view, true, |vault| {
                    vault.cash = add(vault.cash, terms.unpaid)?;
                    Ok::<_, Refusal>(())
                })?;
                T::Ledger::credit_pot(Pot::Vault, sub(0, terms.unpaid)?)?;
            }
        }
        Ok(executed)
    }

    /// Executes one request. Returns what of it waits for another epoch.
    fn execute_wish(
        book: &mut VaultBook,
        terms: &mut EpochTerms,
        request: &ShareRequest<T::AccountId>,
        now: BlockNumber,
    ) -> Result<Option<ShareWish>, Refusal> {
        let owner = &request.owner;
        match (request.wish, terms.value) {
            (ShareWish::Enter(amount), Some(value)) => {
                let shares = value.shares_floor(amount)?;
                let sum = book.shares.checked_add(shares);
                book.shares = sum.ok_or(MathError::Overflow)?;
                let unlocks = now.saturating_add(T::LockUp::get());
                ShareHoldings::<T>::mutate(owner, |holding| holding.lock(shares, now, unlocks))?;
                Self::deposit_event(Event::SharesBought {
                    owner: owner.clone(),
                    amount,
                    shares,
                    unlocks,
                });
                Ok(None)
            }
            // A vault that is worth nothing takes nothing.
            (ShareWish::Enter(amount), None) => {
                Self::pay_wallet(owner, amount)?;
                Self::deposit_event(Event::ShareDepositReturned {
                    owner: owner.clone(),
                    amount,
                });
                Ok(None)
            }
            (ShareWish::Leave(shares), None) => Ok(Some(ShareWish::Leave(shares))),
            (ShareWish::Leave(shares), Some(value)) => {
                let sold = match terms.claimed {
                    0 => shares,
                    claimed => {
                        let payable = terms.payable.unsigned_abs();
                        mul_div_floor(shares, payable, claimed.unsigned_abs())?
                    }
                };
                let paid = value.worth_floor(sold)?;
                let left = shares.checked_sub(sold).ok_or(MathError::Overflow)?;
                if paid > 0 {
                    Self::pay_wallet(owner, paid)?;
                }
                terms.unpaid = sub(terms.unpaid, paid)?;
                let rest = book.shares.checked_sub(sold);
                book.shares = rest.ok_or(MathError::Overflow)?;
                Self::deposit_event(Event::SharesSold {
                    owner: owner.clone(),
                    shares: sold,
                    paid,
                    left,
                });
                Ok(Some(ShareWish::Leave(left)).filter(|_| left > 0))
            }
        }
    }

    fn pay_wallet(owner: &T::AccountId, amount: Cash) -> Result<(), Refusal> {
        let asset = T::Ledger::settlement_asset();
        T::Ledger::pay_from_custody(owner, asset, amount.unsigned_abs())?;
        Ok(T::Ledger::credit_pot(Pot::Vault, sub(0, amount)?)?)
    }
}
