//! Withdrawals, transfers, deposits for others, and what the liquidity pot is asked for ([`crate::loans`]): queued at intake, executed at the close (protocol,
//! section 2).
//!
//! All debits are made on the state before any credit of the same close. Each request is one storage
//! layer, debit and credit together, so a credit that fails undoes its debit; and each debit is tested
//! on the account less what this close has credited to it, so nobody's place in the queue matters to
//! anybody else.

use crate::{
    Action, Config, Error, Event, NextRequest, OldestRequest, Pallet, Pending, Refusal, Request,
    Requests,
};
use alloc::{collections::BTreeMap, vec::Vec};
use frame_support::{ensure, storage::with_storage_layer, traits::Get};
use novate_types::{
    math, AccountRef, AssetId, Cash, CurrentView, Ledger, LedgerError, Liquidations, Loans,
    MarginAccount, MathError, RiskError, RiskModel, RiskView, Standing,
};
use sp_runtime::DispatchError;

type Account<T> = AccountRef<<T as frame_system::Config>::AccountId>;

/// What this close has credited so far, by account and asset.
pub(crate) type Credits<T> = BTreeMap<(Account<T>, AssetId), u128>;

fn cash_of(amount: u128) -> Result<Cash, LedgerError> {
    Ok(math::signed(amount)?)
}

fn collateral_of(account: &MarginAccount, asset: AssetId) -> u128 {
    account
        .collateral
        .iter()
        .find(|(held, _)| *held == asset)
        .map_or(0, |(_, amount)| *amount)
}

/// Adds an asset to an account.
fn add(
    account: &mut MarginAccount,
    settlement: AssetId,
    asset: AssetId,
    amount: u128,
) -> Result<(), LedgerError> {
    if asset == settlement {
        account.cash = math::add(account.cash, cash_of(amount)?)?;
        return Ok(());
    }
    match account
        .collateral
        .iter_mut()
        .find(|(held, _)| *held == asset)
    {
        Some((_, held)) => *held = held.checked_add(amount).ok_or(MathError::Overflow)?,
        None => account
            .collateral
            .try_push((asset, amount))
            .map_err(|_| RiskError::Full)?,
    }
    Ok(())
}

/// Takes an asset out of an account that holds that much of it.
fn take(
    account: &mut MarginAccount,
    settlement: AssetId,
    asset: AssetId,
    amount: u128,
) -> Result<(), LedgerError> {
    if asset == settlement {
        account.cash = math::sub(account.cash, cash_of(amount)?)?;
        return Ok(());
    }
    let (at, held) = account
        .collateral
        .iter_mut()
        .enumerate()
        .find_map(|(at, (held, left))| (*held == asset).then_some((at, left)))
        .ok_or(RiskError::Underflow)?;
    *held = held.checked_sub(amount).ok_or(RiskError::Underflow)?;
    if *held == 0 {
        account.collateral.remove(at);
    }
    Ok(())
}

impl<T: Config> Pallet<T> {
    /// Queues a request. Reads nothing that another account's extrinsic of this block can write, but
    /// for the capacity of the queue.
    pub(crate) fn enqueue(
        owner: T::AccountId,
        action: Action<T::AccountId>,
        asset: AssetId,
        amount: u128,
    ) -> Result<(), DispatchError> {
        ensure!(amount > 0, Error::<T>::ZeroAmount);
        ensure!(Cash::try_from(amount).is_ok(), Error::<T>::AmountTooLarge);
        let settlement = T::Ledger::settlement_asset();
        ensure!(
            asset == settlement
                || T::Ledger::collaterals()
                    .iter()
                    .any(|(listed, _)| *listed == asset),
            Error::<T>::UnknownAsset
        );
        if let Action::DepositFor { .. } = &action {
            ensure!(asset == settlement, Error::<T>::CashOnly);
        }
        if let Action::Withdraw { sub } | Action::Transfer { sub, .. } = &action {
            let from = AccountRef::new(owner.clone(), *sub);
            let account = T::Ledger::account(&from).ok_or(Error::<T>::NoAccount)?;
            let held = if asset == settlement {
                // Cash below zero is nothing that may leave: any amount is refused.
                u128::try_from(Self::booked_cash(account, amount)).unwrap_or(0)
            } else {
                collateral_of(&account, asset)
            };
            ensure!(held >= amount, Error::<T>::InsufficientBalance);
            if let Action::Transfer { to, .. } = &action {
                ensure!(*to != from, Error::<T>::SameAccount);
            }
        }
        if let Action::Borrow { sub } = &action {
            let from = AccountRef::new(owner.clone(), *sub);
            ensure!(T::Ledger::account(&from).is_some(), Error::<T>::NoAccount);
        }
        if action == Action::Redeem {
            ensure!(
                T::Loans::shares(&owner) >= amount,
                Error::<T>::InsufficientBalance
            );
        }
        let pending = Pending::<T>::get(&owner);
        ensure!(
            pending < T::MaxPendingPerOwner::get(),
            Error::<T>::TooManyRequests
        );
        let (oldest, id) = (OldestRequest::<T>::get(), NextRequest::<T>::get());
        ensure!(
            id.saturating_sub(oldest) < u64::from(T::MaxQueue::get()),
            Error::<T>::QueueFull
        );
        let request = Request {
            owner: owner.clone(),
            action,
            asset,
            amount,
        };
        Requests::<T>::insert(id, &request);
        NextRequest::<T>::put(id.saturating_add(1));
        Pending::<T>::insert(&owner, pending.saturating_add(1));
        Self::deposit_event(Event::Requested { id, request });
        Ok(())
    }

    /// An account's cash, with what contracts that have settled by the last close bring it if it is less than `amount` without.
    fn booked_cash(mut account: MarginAccount, amount: u128) -> Cash {
        let is_enough = u128::try_from(account.cash).is_ok_and(|held| held >= amount);
        if is_enough || account.positions.is_empty() {
            return account.cash;
        }
        let view = <Self as CurrentView>::view_of(|id| account.position(id).is_some());
        let cash = account.cash;
        novate_risk::settle_expired(&mut account, &view).map_or(cash, |_| account.cash)
    }

    /// Requests in the queue.
    pub fn queued_requests() -> u64 {
        NextRequest::<T>::get().saturating_sub(OldestRequest::<T>::get())
    }

    /// Executes the oldest requests, at most [`Config::MaxRequestsPerClose`]; the rest waits.
    pub(crate) fn execute_requests(view: &RiskView) -> u64 {
        let (oldest, next) = (OldestRequest::<T>::get(), NextRequest::<T>::get());
        let end = next.min(oldest.saturating_add(u64::from(T::MaxRequestsPerClose::get())));
        if oldest >= end {
            return 0;
        }
        let mut due: Vec<_> = (oldest..end)
            .filter_map(|id| Some((id, Requests::<T>::take(id)?)))
            .collect();
        due.sort_by_cached_key(|(id, request)| Self::turn_of(*id, request));
        let mut credits = Credits::<T>::new();
        for (id, request) in due {
            Pending::<T>::mutate_exists(&request.owner, |pending| {
                *pending = pending.and_then(|n| n.checked_sub(1)).filter(|n| *n > 0);
            });
            match with_storage_layer(|| Self::execute(&request, view, &mut credits)) {
                Ok(()) => Self::deposit_event(Event::Executed { id, request }),
                Err(reason) => Self::deposit_event(Event::Dropped {
                    id,
                    owner: request.owner,
                    reason,
                }),
            }
        }
        OldestRequest::<T>::put(end);
        end.saturating_sub(oldest)
    }

    fn execute(
        request: &Request<T::AccountId>,
        view: &RiskView,
        credits: &mut Credits<T>,
    ) -> Result<(), Refusal> {
        let Request {
            owner,
            action,
            asset,
            amount,
        } = request;
        match action {
            Action::Withdraw { sub } => {
                let from = AccountRef::new(owner.clone(), *sub);
                Self::debit(&from, *asset, *amount, view, credits)?;
                T::Ledger::pay_from_custody(owner, *asset, *amount)?;
            }
            Action::Transfer { sub, to } => {
                let from = AccountRef::new(owner.clone(), *sub);
                Self::debit(&from, *asset, *amount, view, credits)?;
                Self::credit(owner, to, *asset, *amount, view, credits)?;
            }
            Action::DepositFor { to } => {
                T::Ledger::take_into_custody(owner, *asset, *amount)?;
                Self::credit(owner, to, *asset, *amount, view, credits)?;
            }
            Action::Supply => Self::do_supply(owner, *amount)?,
            Action::Redeem => Self::do_redeem(owner, *amount)?,
            Action::Borrow { sub } => {
                let from = AccountRef::new(owner.clone(), *sub);
                Self::do_borrow(owner, &from, *amount, view, credits)?;
            }
        }
        Ok(())
    }

    /// An account less what this close credited to it. What it holds in contracts that have settled is booked first: that is cash, which may
    /// leave or pays for a debt.
    pub(crate) fn uncredited(
        from: &Account<T>,
        view: &RiskView,
        credits: &Credits<T>,
    ) -> Result<MarginAccount, LedgerError> {
        let settlement = T::Ledger::settlement_asset();
        let mut account = T::Ledger::account(from).ok_or(LedgerError::NoAccount)?;
        if novate_risk::holds_settled(&account, view) {
            T::Ledger::settle_expired(from, view)?;
            account = T::Ledger::account(from).ok_or(LedgerError::NoAccount)?;
        }
        let first = (from.clone(), AssetId::MIN);
        let last = (from.clone(), AssetId::MAX);
        for ((_, credited), received) in credits.range(first..=last) {
            take(&mut account, settlement, *credited, *received)?;
        }
        Ok(account)
    }

    fn debit(
        from: &Account<T>,
        asset: AssetId,
        amount: u128,
        view: &RiskView,
        credits: &Credits<T>,
    ) -> Result<(), Refusal> {
        ensure!(!T::Liquidations::withdrawals_paused(), Refusal::Paused);
        let settlement = T::Ledger::settlement_asset();
        let account = Self::uncredited(from, view, credits)?;
        Self::may_leave(&account, settlement, asset, amount, view)?;
        T::Ledger::settle(from, view, false, |account| {
            take(account, settlement, asset, amount)
        })?;
        Ok(())
    }

    /// The withdrawal test: what leaves is cash, or collateral as if it were first sold for its haircut
    /// value, and `Assessment::withdrawable` bounds it.
    fn may_leave(
        account: &MarginAccount,
        settlement: AssetId,
        asset: AssetId,
        amount: u128,
        view: &RiskView,
    ) -> Result<(), Refusal> {
        ensure!(
            account.standing == Standing::Good,
            Refusal::UnderLiquidation
        );
        let risk = |e: RiskError| Refusal::Ledger(e.into());
        let mut sold = account.clone();
        let value = if asset == settlement {
            let value = cash_of(amount)?;
            ensure!(
                value <= account.cash,
                Refusal::InsufficientCash { held: account.cash }
            );
            if account.is_plain() {
                return Ok(());
            }
            value
        } else {
            let held = collateral_of(account, asset);
            ensure!(amount <= held, Refusal::InsufficientCollateral { held });
            let left = held.checked_sub(amount).ok_or(risk(RiskError::Underflow))?;
            let terms = view.collateral(asset).map_err(risk)?;
            let worth =
                |amount| novate_risk::collateral_value(terms, amount).map_err(|e| risk(e.into()));
            let value = math::sub(worth(held)?, worth(left)?).map_err(|e| risk(e.into()))?;
            take(&mut sold, settlement, asset, amount)?;
            sold.cash = math::add(sold.cash, value).map_err(|e| risk(e.into()))?;
            // Value only ever counts at a fresh price, so the asset itself must have one.
            ensure!(terms.fresh, Refusal::StalePrice);
            value
        };
        let assessed = T::Risk::assess(&sold, view).map_err(risk)?;
        ensure!(assessed.fresh, Refusal::StalePrice);
        ensure!(
            value <= assessed.withdrawable,
            Refusal::InsufficientMargin {
                at_most: assessed.withdrawable
            }
        );
        Ok(())
    }

    fn credit(
        owner: &T::AccountId,
        to: &Account<T>,
        asset: AssetId,
        amount: u128,
        view: &RiskView,
        credits: &mut Credits<T>,
    ) -> Result<(), Refusal> {
        let settlement = T::Ledger::settlement_asset();
        let standing = T::Ledger::account(to).map(|account| account.standing);
        // Nobody opens an account for somebody else: it would be theirs to keep, and to pay for.
        let opens = to.owner == *owner || *to == T::InsuranceFund::get() || *to == T::Vault::get();
        ensure!(standing.is_some() || opens, Refusal::NoRecipient);
        // An asset without a fresh price would shield whoever is under margin from the remedies. Cash only ever helps.
        let shields = asset != settlement && !view.collateral(asset).is_ok_and(|c| c.fresh);
        let good = standing.is_none_or(|standing| standing == Standing::Good);
        ensure!(good || !shields, Refusal::StalePrice);
        T::Ledger::settle(to, view, opens, |account| {
            add(account, settlement, asset, amount)
        })?;
        if asset == settlement && *to == T::Vault::get() {
            T::Liquidations::gave_vault(cash_of(amount)?);
        }
        let credited = credits.entry((to.clone(), asset)).or_default();
        *credited = credited
            .checked_add(amount)
            .ok_or(LedgerError::from(MathError::Overflow))?;
        Ok(())
    }
}
