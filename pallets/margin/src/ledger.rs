//! [`Ledger`]: every change of an account, a pot or custody.

use crate::{
    Accounts, Booked, Collaterals, Config, Custody, Error, Event, OpenInterest, Pallet, Pots,
    Subaccounts,
};
use alloc::vec::Vec;
use frame_support::{
    ensure,
    traits::{
        fungibles::{Inspect, Mutate},
        tokens::Preservation,
        Get,
    },
    Hashable,
};
use novate_types::{
    math, AccountRef, AssetId, BlockNumber, Cash, CollateralParams, Indexed, Ledger, LedgerError,
    Lots, MarginAccount, MarketId, MathError, Pot, RiskError, RiskIndex, RiskView, Sequence,
    SignedLots, MAX_LEGS,
};
use sp_io::storage::{commit_transaction, rollback_transaction, start_transaction};
use sp_runtime::{traits::AccountIdConversion, SaturatedConversion};

/// Order numbers that an account can use up in one block, with room to spare. An account starts at its opening block
/// times this, so that one that is closed and opened again never gives a number twice, and at one at the least: zero is that of
/// liquidation orders.
const SEQUENCES_PER_BLOCK: Sequence = 1 << 16;

/// Runs `change` in a storage layer of its own: nothing it wrote stays if it fails. FRAME's layers count themselves in storage, four
/// calls of the host each; ours are nested no deeper than the calls below, so there is nothing to count.
fn atomic<R, E>(change: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
    start_transaction();
    let done = change();
    match &done {
        Ok(_) => commit_transaction(),
        Err(_) => rollback_transaction(),
    }
    done
}

fn long(lots: SignedLots) -> Lots {
    Lots::try_from(lots).unwrap_or(0)
}

/// The account's positions, by market.
fn held(account: &MarginAccount) -> Vec<(MarketId, SignedLots)> {
    let lots = account.positions.iter().map(|p| (p.market, p.lots));
    lots.collect()
}

/// Takes out what holds nothing. A position without lots has no value but may have cost left, which is then realised:
/// `cash − cost` stays what it was.
fn tidy(account: &mut MarginAccount) -> Result<(), MathError> {
    tidy_orders(account);
    for closed in account.positions.iter().filter(|p| p.lots == 0) {
        account.cash = math::sub(account.cash, closed.cost)?;
    }
    account.positions.retain(|p| p.lots != 0);
    account.collateral.retain(|(_, amount)| *amount != 0);
    Ok(())
}

fn tidy_orders(account: &mut MarginAccount) {
    account
        .orders
        .retain(|o| o.bid_lots != 0 || o.ask_lots != 0 || o.reserve != 0);
}

impl<T: Config> Pallet<T> {
    /// The account of the assets pallet that holds what margin accounts hold.
    pub fn custody_account() -> T::AccountId {
        T::PalletId::get().into_account_truncating()
    }

    pub(crate) fn now() -> BlockNumber {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    /// Opens an account, in memory; its owner's first takes a provider reference.
    fn open(of: &AccountRef<T::AccountId>) -> Result<MarginAccount, MathError> {
        let open = Subaccounts::<T>::get(&of.owner);
        if open == 0 {
            frame_system::Pallet::<T>::inc_providers(&of.owner);
        }
        Subaccounts::<T>::insert(&of.owner, open.checked_add(1).ok_or(MathError::Overflow)?);
        Self::deposit_event(Event::AccountOpened {
            account: of.clone(),
        });
        let next_sequence = Sequence::from(Self::now())
            .saturating_mul(SEQUENCES_PER_BLOCK)
            .max(1);
        Ok(MarginAccount {
            next_sequence,
            next_generation: Self::first_generation(of),
            ..Default::default()
        })
    }

    /// Where the numbers of an account's index entries begin. Entries outlive their account, and one that is closed and opened
    /// again must not bring them back to life: nobody knows the number before the parent block is known.
    fn first_generation(of: &AccountRef<T::AccountId>) -> u32 {
        let parent = frame_system::Pallet::<T>::parent_hash();
        let hash = (parent, of.clone()).blake2_128();
        let (low, _) = hash.split_at(4);
        low.try_into().map_or(0, u32::from_le_bytes)
    }

    /// One account of `owner` less; with the last goes the provider reference.
    pub(crate) fn forget_subaccount(owner: &T::AccountId) -> Result<(), Error<T>> {
        let left = Subaccounts::<T>::get(owner)
            .checked_sub(1)
            .ok_or(Error::<T>::OutOfRange)?;
        if left == 0 {
            frame_system::Pallet::<T>::dec_providers(owner)
                .map_err(|_| Error::<T>::StillReferenced)?;
            Subaccounts::<T>::remove(owner);
        } else {
            Subaccounts::<T>::insert(owner, left);
        }
        Ok(())
    }

    /// Moves `amount` of `asset` from the owner's wallet into the account, which is opened if need be.
    pub(crate) fn fund(
        of: &AccountRef<T::AccountId>,
        asset: AssetId,
        amount: u128,
    ) -> Result<(), Error<T>> {
        let deposit = |account: &mut MarginAccount| {
            if amount == 0 {
                return Ok(());
            }
            if asset == T::SettlementAsset::get() {
                account.cash = math::add(account.cash, math::signed(amount)?)?;
            } else if let Some((_, held)) = account
                .collateral
                .iter_mut()
                .find(|(held, _)| *held == asset)
            {
                *held = held.checked_add(amount).ok_or(Error::<T>::OutOfRange)?;
            } else {
                account
                    .collateral
                    .try_push((asset, amount))
                    .map_err(|_| Error::<T>::ListFull)?;
            }
            <Self as Ledger<T::AccountId>>::take_into_custody(&of.owner, asset, amount)?;
            Ok(())
        };
        Self::change(of, true, deposit, |_| Ok(()))
    }

    /// The one way in which an account is written: `change`, then tidied, open interest kept, then `finish`, then stored.
    fn change<R, E: From<LedgerError>>(
        of: &AccountRef<T::AccountId>,
        open: bool,
        change: impl FnOnce(&mut MarginAccount) -> Result<R, E>,
        finish: impl FnOnce(&mut MarginAccount) -> Result<(), RiskError>,
    ) -> Result<R, E> {
        atomic(|| {
            let mut account = match Accounts::<T>::get(of) {
                Some(account) => account,
                None if open => Self::open(of).map_err(LedgerError::from)?,
                None => return Err(LedgerError::NoAccount.into()),
            };
            let held = held(&account);
            let done = change(&mut account)?;
            tidy(&mut account).map_err(LedgerError::from)?;
            Self::keep_loan(of, &mut account)?;
            Self::keep_open_interest(&held, &account).map_err(LedgerError::from)?;
            finish(&mut account).map_err(LedgerError::from)?;
            Accounts::<T>::insert(of, account);
            Ok(done)
        })
    }

    /// Books positions in contracts that have settled as cash.
    fn book_settled(
        of: &AccountRef<T::AccountId>,
        account: &mut MarginAccount,
        view: &RiskView,
    ) -> Result<(), LedgerError> {
        if !novate_risk::holds_settled(account, view) {
            return Ok(());
        }
        for booked in novate_risk::settle_expired(account, view)? {
            let market = booked.market;
            <Self as Ledger<T::AccountId>>::credit_pot(Pot::Funding(market), booked.pot)?;
            let sum = Booked::<T>::get(market)
                .checked_add(booked.lots)
                .ok_or(MathError::Overflow)?;
            if sum == 0 {
                Booked::<T>::remove(market);
            } else {
                Booked::<T>::insert(market, sum);
            }
            Self::deposit_event(Event::PositionSettled {
                account: of.clone(),
                market,
                lots: booked.lots,
                cash: booked.cash,
            });
        }
        Ok(())
    }

    /// Adds to each market's open interest what the account's long positions gained since they were `held`.
    fn keep_open_interest(
        held: &[(MarketId, SignedLots)],
        account: &MarginAccount,
    ) -> Result<(), RiskError> {
        let gone = held
            .iter()
            .filter(|(market, _)| account.position(*market).is_none());
        let gone = gone.map(|(market, lots)| (*market, *lots, 0));
        let kept = account.positions.iter().map(|p| {
            let before = held
                .iter()
                .find(|(market, _)| *market == p.market)
                .map_or(0, |(_, lots)| *lots);
            (p.market, before, p.lots)
        });
        for (market, before, after) in gone.chain(kept) {
            Self::move_open_interest(market, long(before), long(after))?;
        }
        Ok(())
    }

    /// Takes `closed` lots of long positions off a market's open interest, and adds `opened`.
    fn move_open_interest(market: MarketId, closed: Lots, opened: Lots) -> Result<(), RiskError> {
        if closed == opened {
            return Ok(());
        }
        let open = OpenInterest::<T>::get(market)
            .checked_sub(closed)
            .ok_or(RiskError::Underflow)?
            .checked_add(opened)
            .ok_or(MathError::Overflow)?;
        if open == 0 {
            OpenInterest::<T>::remove(market);
        } else {
            OpenInterest::<T>::insert(market, open);
        }
        Ok(())
    }

    /// Moves `amount` between a wallet and custody. Custody must gain or lose exactly that: assets burn what would be left
    /// below their minimum balance, and that would be somebody's.
    fn move_exactly(
        asset: AssetId,
        from: &T::AccountId,
        to: &T::AccountId,
        amount: u128,
    ) -> Result<(), LedgerError> {
        let custody = Self::custody_account();
        let before = T::Assets::balance(asset, &custody);
        T::Assets::transfer(asset, from, to, amount, Preservation::Expendable)
            .map_err(|_| LedgerError::Custody)?;
        let moved = T::Assets::balance(asset, &custody).abs_diff(before);
        ensure!(moved == amount, LedgerError::Custody);
        Ok(())
    }
}

impl<T: Config> Ledger<T::AccountId> for Pallet<T> {
    fn account(of: &AccountRef<T::AccountId>) -> Option<MarginAccount> {
        Accounts::<T>::get(of)
    }

    fn accounts_after(
        previous: Option<&AccountRef<T::AccountId>>,
        most: u32,
    ) -> Vec<AccountRef<T::AccountId>> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let keys = match previous {
            None => Accounts::<T>::iter_keys(),
            Some(last) => Accounts::<T>::iter_keys_from(Accounts::<T>::hashed_key_for(last)),
        };
        keys.take(most).collect()
    }

    fn update<R, E: From<LedgerError>>(
        of: &AccountRef<T::AccountId>,
        change: impl FnOnce(&mut MarginAccount) -> Result<R, E>,
    ) -> Result<R, E> {
        Self::change(of, false, change, |_| Ok(()))
    }

    fn settle<R, E: From<LedgerError>>(
        of: &AccountRef<T::AccountId>,
        view: &RiskView,
        open: bool,
        change: impl FnOnce(&mut MarginAccount) -> Result<R, E>,
    ) -> Result<R, E> {
        Self::change(
            of,
            open,
            |account| {
                let done = change(account)?;
                Self::book_settled(of, account, view)?;
                Ok(done)
            },
            |account| T::RiskIndex::refresh(of, account, view).map(|_| ()),
        )
    }

    fn settle_expired(of: &AccountRef<T::AccountId>, view: &RiskView) -> Result<(), LedgerError> {
        Self::change(
            of,
            false,
            |account| Self::book_settled(of, account, view),
            |_| Ok(()),
        )
    }

    fn index(of: &AccountRef<T::AccountId>, view: &RiskView) -> Result<Indexed, LedgerError> {
        atomic(|| {
            let mut account = Accounts::<T>::get(of).ok_or(LedgerError::NoAccount)?;
            if novate_risk::holds_settled(&account, view) {
                let held = held(&account);
                Self::book_settled(of, &mut account, view)?;
                Self::keep_loan(of, &mut account)?;
                Self::keep_open_interest(&held, &account)?;
            }
            let entries = T::RiskIndex::refresh(of, &mut account, view)?;
            let holdings = account.holdings();
            let thresholds = novate_risk::more_thresholds(&account, view);
            Accounts::<T>::insert(of, account);
            Ok(Indexed {
                holdings,
                thresholds,
                entries,
            })
        })
    }

    fn write_orders(of: &AccountRef<T::AccountId>, mut account: MarginAccount) {
        tidy_orders(&mut account);
        Accounts::<T>::insert(of, account);
    }

    fn write_trades(
        markets: &[MarketId],
        traded: Vec<(
            AccountRef<T::AccountId>,
            [SignedLots; MAX_LEGS],
            MarginAccount,
        )>,
    ) -> Result<(), LedgerError> {
        let mut moved: Vec<(MarketId, Lots, Lots)> =
            markets.iter().map(|market| (*market, 0, 0)).collect();
        for (of, held, mut account) in traded {
            let add = |sum: &mut Lots, lots| {
                *sum = sum.checked_add(long(lots)).ok_or(MathError::Overflow)?;
                Ok::<_, MathError>(())
            };
            for ((market, closed, opened), before) in moved.iter_mut().zip(held) {
                add(closed, before)?;
                add(opened, account.lots(*market))?;
            }
            tidy(&mut account)?;
            Self::keep_loan(&of, &mut account)?;
            Accounts::<T>::insert(of, account);
        }
        for (market, closed, opened) in moved {
            Self::move_open_interest(market, closed, opened)?;
        }
        Ok(())
    }

    fn pot(pot: Pot) -> Cash {
        Pots::<T>::get(pot)
    }

    fn credit_pot(pot: Pot, amount: Cash) -> Result<(), LedgerError> {
        let held = math::add(Pots::<T>::get(pot), amount)?;
        if held == 0 {
            Pots::<T>::remove(pot);
        } else {
            Pots::<T>::insert(pot, held);
        }
        Ok(())
    }

    fn is_flat(market: MarketId) -> bool {
        // While one side is booked and the other is not, the booked lots say so.
        OpenInterest::<T>::get(market) == 0 && Booked::<T>::get(market) == 0
    }

    fn open_interest(market: MarketId) -> Lots {
        OpenInterest::<T>::get(market)
    }

    fn collaterals() -> Vec<(AssetId, CollateralParams)> {
        Collaterals::<T>::get().into_iter().collect()
    }

    fn settlement_asset() -> AssetId {
        T::SettlementAsset::get()
    }

    fn take_into_custody(
        from: &T::AccountId,
        asset: AssetId,
        amount: u128,
    ) -> Result<(), LedgerError> {
        atomic(|| {
            let custody = Self::custody_account();
            // An asset that is not sufficient by itself needs a living system account, and so does what is left after
            // one that is has gone. Custody's reference is never dropped.
            if frame_system::Pallet::<T>::providers(&custody) == 0 {
                frame_system::Pallet::<T>::inc_providers(&custody);
            }
            let held = Custody::<T>::get(asset)
                .checked_add(amount)
                .ok_or(MathError::Overflow)?;
            Self::move_exactly(asset, from, &custody, amount)?;
            Custody::<T>::insert(asset, held);
            Ok(())
        })
    }

    fn pay_from_custody(
        to: &T::AccountId,
        asset: AssetId,
        amount: u128,
    ) -> Result<(), LedgerError> {
        atomic(|| {
            // What others sent to custody of their own accord is not there to be paid out.
            let held = Custody::<T>::get(asset)
                .checked_sub(amount)
                .ok_or(LedgerError::Custody)?;
            Self::move_exactly(asset, &Self::custody_account(), to, amount)?;
            Custody::<T>::insert(asset, held);
            Ok(())
        })
    }
}
