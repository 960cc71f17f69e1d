//! What the close does for the liquidity pot: interest, what of it is the insurance fund's, and who supplies, redeems and borrows.
//!
//! Whoever lends or borrows does so after everything else that was asked for, and supplies come first. Owners then have their turn in an order that
//! nobody knows before the parent block is known: where the pot does not suffice for all, neither a block's order nor an owner's number decides.

use crate::{requests::Credits, Action, Config, Pallet, Refusal, Request};
use frame_support::{ensure, storage::with_storage_layer, traits::Get, Hashable};
use novate_risk::{borrowable_floor, cash_after_interest, collateral_value, debt_ceil};
use novate_types::{
    math, AccountRef, Cash, Ledger, LedgerError, Liquidations, Loans, MathError, RiskModel,
    RiskView, Standing,
};

type Account<T> = AccountRef<<T as frame_system::Config>::AccountId>;

/// Where a request stands in the order of a close.
pub(crate) type Turn<AccountId> = (u8, [u8; 16], AccountId, u64);

impl<T: Config> Pallet<T> {
    /// Each owner's in the order of asking, the owners in an order that no block author chooses: what an account goes through on the way is
    /// then the same however a block's extrinsics were ordered.
    pub(crate) fn turn_of(id: u64, request: &Request<T::AccountId>) -> Turn<T::AccountId> {
        let owner = request.owner.clone();
        match request.action {
            Action::Supply => (1, [0; 16], owner, id),
            Action::Redeem | Action::Borrow { .. } => {
                let parent = frame_system::Pallet::<T>::parent_hash();
                let lot = (parent, owner.clone()).blake2_128();
                (2, lot, owner, id)
            }
            _ => (0, [0; 16], owner, id),
        }
    }

    /// Gives the insurance fund what of interest is its own.
    pub(crate) fn reserve_interest(view: &RiskView) {
        if view.loans.index == 0 {
            return;
        }
        let given = with_storage_layer(|| {
            let amount = T::Loans::take_reserve()?;
            if amount > 0 {
                T::Ledger::settle(&T::InsuranceFund::get(), view, true, |fund| {
                    fund.cash = math::add(fund.cash, amount)?;
                    Ok::<_, LedgerError>(())
                })?;
            }
            Ok::<_, Refusal>(())
        });
        if let Err(refusal) = given {
            log::error!(target: crate::LOG_TARGET, "interest stays reserved: {refusal:?}");
        }
    }

    pub(crate) fn do_supply(owner: &T::AccountId, amount: u128) -> Result<(), Refusal> {
        T::Ledger::take_into_custody(owner, T::Ledger::settlement_asset(), amount)?;
        let amount = math::signed(amount).map_err(LedgerError::from)?;
        T::Loans::supply(owner, amount)?;
        Ok(())
    }

    pub(crate) fn do_redeem(owner: &T::AccountId, shares: u128) -> Result<(), Refusal> {
        ensure!(!T::Liquidations::withdrawals_paused(), Refusal::Paused);
        let amount = T::Loans::redeem(owner, shares)?;
        let asset = T::Ledger::settlement_asset();
        Ok(T::Ledger::pay_from_custody(
            owner,
            asset,
            amount.unsigned_abs(),
        )?)
    }

    /// Cash leaves an account beyond what it holds, as far as its collateral covers it: the withdrawal test, with the collateral as if it
    /// were sold for its haircut value, and a buffer on what the account owes then (`novate_risk::borrowable_floor`).
    pub(crate) fn do_borrow(
        owner: &T::AccountId,
        from: &Account<T>,
        amount: u128,
        view: &RiskView,
        credits: &Credits<T>,
    ) -> Result<(), Refusal> {
        ensure!(!T::Liquidations::withdrawals_paused(), Refusal::Paused);
        let account = Self::uncredited(from, view, credits)?;
        ensure!(
            account.standing == Standing::Good,
            Refusal::UnderLiquidation
        );
        let value = math::signed(amount).map_err(LedgerError::from)?;
        let mut sold = account.clone();
        for (asset, held) in &account.collateral {
            let terms = view.collateral(*asset).map_err(LedgerError::from)?;
            let worth = collateral_value(terms, *held).map_err(LedgerError::from)?;
            sold.cash = math::add(sold.cash, worth).map_err(LedgerError::from)?;
        }
        sold.collateral.clear();
        let assess = |account| T::Risk::assess(account, view).map_err(LedgerError::from);
        ensure!(assess(&account)?.fresh, Refusal::StalePrice);
        let own = cash_after_interest(&account, view).map_err(LedgerError::from)?;
        let free = assess(&sold)?.withdrawable;
        let at_most = borrowable_floor(free, own).map_err(LedgerError::from)?;
        ensure!(value <= at_most, Refusal::InsufficientMargin { at_most });

        let owes = |account| debt_ceil(account, view).map_err(LedgerError::from);
        let before = owes(&account)?;
        let at_most = Self::room_for(account.cash, before, view).map_err(LedgerError::from)?;
        let after = T::Ledger::settle(from, view, false, |account| {
            account.cash = math::sub(account.cash, value)?;
            debt_ceil(account, view).map_err(LedgerError::from)
        })?;
        let lends = after <= view.loans.account_cap && T::Loans::is_within_cap();
        ensure!(after <= before || lends, Refusal::LoanCap { at_most });
        let asset = T::Ledger::settlement_asset();
        Ok(T::Ledger::pay_from_custody(owner, asset, amount)?)
    }

    /// What an account may take out by what it holds and by both caps, which interest on the way can lower.
    fn room_for(cash: Cash, debt: Cash, view: &RiskView) -> Result<Cash, MathError> {
        let own = math::sub(view.loans.account_cap, debt)?;
        math::add(own.min(T::Loans::lendable()).max(0), cash.max(0))
    }
}
