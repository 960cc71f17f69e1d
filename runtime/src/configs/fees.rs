//! Transaction fees, from the signer to the block's author.
//!
//! Every extrinsic pays one, so what paying costs every extrinsic costs. `pallet-balances` reads an account a dozen times for it and
//! tells of each half of the payment in an event of its own; here the signer's account changes once before and once after the call, the
//! author's once, and `TransactionFeePaid` tells of the whole. Whatever is not the usual case (an account that fell below the
//! existential deposit meanwhile) is left to `pallet-balances`.

use crate::*;
use frame_support::traits::{
    fungible::{Inspect, Unbalanced},
    tokens::Precision,
};
use frame_system::Account;
use pallet_transaction_payment::{OnChargeTransaction, TxCreditHold};
use sp_runtime::{
    traits::{DispatchInfoOf, PostDispatchInfoOf},
    transaction_validity::{InvalidTransaction, TransactionValidityError},
};

type Data = pallet_balances::AccountData<Balance>;

/// Takes fees from signers and gives them to authors.
pub struct ToAuthor;

/// What of a balance can pay fees: the account stays alive, and what is frozen stays.
fn liquid(data: &Data) -> Balance {
    let untouchable = data.frozen.saturating_sub(data.reserved);
    data.free
        .saturating_sub(untouchable.max(EXISTENTIAL_DEPOSIT))
}

/// Adds to the balance of an account that has one already: its references stay what they are. Otherwise nothing changes.
fn add_to_living(who: &AccountId, amount: Balance) -> bool {
    let added = Account::<Runtime>::try_mutate(who, |account| {
        let data = &mut account.data;
        let sum = data.free.checked_add(amount);
        data.free = sum.filter(|_| data.free >= EXISTENTIAL_DEPOSIT).ok_or(())?;
        Ok::<_, ()>(())
    });
    added.is_ok()
}

/// The same of one that may come to life by it.
fn add(who: &AccountId, amount: Balance) -> bool {
    add_to_living(who, amount)
        || <Balances as Unbalanced<AccountId>>::increase_balance(who, amount, Precision::Exact)
            .is_ok()
}

/// Gives a fee to the author. One who cannot hold it lets it be burnt.
fn reward(amount: Balance) {
    if amount == 0 {
        return;
    }
    if !Authorship::author().is_some_and(|author| add(&author, amount)) {
        let left = <Balances as Inspect<AccountId>>::total_issuance().saturating_sub(amount);
        <Balances as Unbalanced<AccountId>>::set_total_issuance(left);
    }
}

impl TxCreditHold<Runtime> for ToAuthor {
    type Credit = ();
}

impl OnChargeTransaction<Runtime> for ToAuthor {
    type Balance = Balance;
    /// What was taken.
    type LiquidityInfo = Balance;

    fn withdraw_fee(
        who: &AccountId,
        _: &RuntimeCall,
        _: &DispatchInfoOf<RuntimeCall>,
        fee_with_tip: Balance,
        _: Balance,
    ) -> Result<Balance, TransactionValidityError> {
        if fee_with_tip == 0 {
            return Ok(0);
        }
        Account::<Runtime>::try_mutate(who, |account| {
            let data = &mut account.data;
            let left = data.free.checked_sub(fee_with_tip);
            match left.filter(|_| fee_with_tip <= liquid(data)) {
                Some(left) => data.free = left,
                None => return Err(InvalidTransaction::Payment.into()),
            }
            Ok(fee_with_tip)
        })
    }

    fn can_withdraw_fee(
        who: &AccountId,
        _: &RuntimeCall,
        _: &DispatchInfoOf<RuntimeCall>,
        fee_with_tip: Balance,
        _: Balance,
    ) -> Result<(), TransactionValidityError> {
        if fee_with_tip == 0 || fee_with_tip <= liquid(&Account::<Runtime>::get(who).data) {
            return Ok(());
        }
        Err(InvalidTransaction::Payment.into())
    }

    fn correct_and_deposit_fee(
        who: &AccountId,
        _: &DispatchInfoOf<RuntimeCall>,
        _: &PostDispatchInfoOf<RuntimeCall>,
        corrected_fee_with_tip: Balance,
        _: Balance,
        taken: Balance,
    ) -> Result<(), TransactionValidityError> {
        let refund = taken.saturating_sub(corrected_fee_with_tip);
        // An account that is gone, or too poor to live on what comes back, leaves it to the author.
        let refunded = refund > 0
            && (add_to_living(who, refund) || (System::account_exists(who) && add(who, refund)));
        reward(taken.saturating_sub(if refunded { refund } else { 0 }));
        Ok(())
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn endow_account(who: &AccountId, amount: Balance) {
        let _ = <Balances as frame_support::traits::fungible::Mutate<AccountId>>::mint_into(
            who, amount,
        );
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn minimum_balance() -> Balance {
        EXISTENTIAL_DEPOSIT
    }
}
