//! Fees on whole transactions: nothing is created or lost, nobody pays what keeps it alive or is frozen.

use crate::common::*;
use frame_support::assert_ok;
use frame_system::Account;
use novate_runtime::{
    AccountId, Authorship, Balance, Balances, Runtime, RuntimeEvent, EXISTENTIAL_DEPOSIT, UNIT,
};
use sp_keyring::Sr25519Keyring;
use sp_runtime::transaction_validity::{InvalidTransaction, TransactionValidityError};

fn wallet(who: Sr25519Keyring) -> Balance {
    Account::<Runtime>::get(who.to_account_id()).data.free
}

/// What all wallets hold is what was issued.
fn assert_all_is_there() {
    let held = Account::<Runtime>::iter_values().map(|a| a.data.free + a.data.reserved);
    assert_eq!(held.sum::<Balance>(), Balances::total_issuance());
}

/// Fees that this block's transactions paid, by who paid.
fn paid() -> Vec<(AccountId, Balance)> {
    let of = |event| match event {
        RuntimeEvent::TransactionPayment(
            pallet_transaction_payment::Event::TransactionFeePaid {
                who, actual_fee, ..
            },
        ) => Some((who, actual_fee)),
        _ => None,
    };
    events().into_iter().filter_map(of).collect()
}

fn remark() -> frame_system::Call<Runtime> {
    frame_system::Call::remark {
        remark: vec![7; 100],
    }
}

fn refused() -> TransactionValidityError {
    InvalidTransaction::Payment.into()
}

#[test]
fn a_fee_goes_from_the_signer_to_the_author_or_is_burnt_when_there_is_none() {
    opened_at(usd(20_000)).execute_with(|| {
        block(usd(20_000), || {
            let author = Authorship::author();
            let author_has = |author: &AccountId| Account::<Runtime>::get(author).data.free;
            let before = (wallet(Ferdie), Balances::total_issuance());
            let rich = author.as_ref().map(author_has);
            assert_ok!(submit(Ferdie, remark()));
            let fees = paid();
            assert_eq!(fees.len(), 1);
            assert_eq!(fees[0].0, Ferdie.to_account_id());
            let fee = fees[0].1;
            assert!(fee > 0);
            assert_eq!(wallet(Ferdie), before.0 - fee);
            match author {
                Some(author) => {
                    assert_eq!(author_has(&author), rich.unwrap() + fee);
                    assert_eq!(Balances::total_issuance(), before.1);
                }
                None => assert_eq!(Balances::total_issuance(), before.1 - fee),
            }
            assert_all_is_there();
        });
    });
}

#[test]
fn what_was_prepaid_and_not_used_comes_back_when_a_call_weighs_less() {
    opened_at(usd(20_000)).execute_with(|| {
        block(usd(20_000), || {
            deposit(Bob, 1_000);
            let before = wallet(Bob);
            // An order of a small account weighs a fraction of the largest account's.
            let call = pallet_order_book::Call::submit {
                sub: 0,
                operations: vec![novate_types::Operation::CancelAll { market: None }]
                    .try_into()
                    .unwrap(),
            };
            assert_ok!(submit(Bob, call));
            let fee = paid().last().unwrap().1;
            assert_eq!(wallet(Bob), before - fee);
            assert_all_is_there();
        });
    });
}

#[test]
fn a_transaction_is_refused_when_the_fee_would_take_the_existential_deposit() {
    opened_at(usd(20_000)).execute_with(|| {
        block(usd(20_000), || {
            for left in [0, 1, EXISTENTIAL_DEPOSIT, EXISTENTIAL_DEPOSIT + 1] {
                let before = Account::<Runtime>::get(Ferdie.to_account_id());
                let gone = before.data.free.saturating_sub(left);
                Account::<Runtime>::mutate(Ferdie.to_account_id(), |a| a.data.free = left);
                assert_eq!(send(Ferdie, remark()), Err(refused()));
                assert_eq!(wallet(Ferdie), left);
                Account::<Runtime>::mutate(Ferdie.to_account_id(), |a| a.data.free += gone);
                assert_eq!(Account::<Runtime>::get(Ferdie.to_account_id()), before);
            }
            assert_all_is_there();
        });
    });
}

#[test]
fn frozen_money_pays_no_fees_when_nothing_else_is_left() {
    opened_at(usd(20_000)).execute_with(|| {
        block(usd(20_000), || {
            let freeze = |amount| {
                Account::<Runtime>::mutate(Ferdie.to_account_id(), |a| a.data.frozen = amount);
            };
            let all = wallet(Ferdie);
            freeze(all);
            assert_eq!(send(Ferdie, remark()), Err(refused()));
            assert_eq!(wallet(Ferdie), all);
            freeze(all - UNIT);
            assert_ok!(submit(Ferdie, remark()));
            assert!(wallet(Ferdie) < all && wallet(Ferdie) >= all - UNIT);
            freeze(0);
            assert_all_is_there();
        });
    });
}

#[test]
fn nothing_is_lost_when_a_call_takes_all_that_its_signer_has() {
    opened_at(usd(20_000)).execute_with(|| {
        block(usd(20_000), || {
            let dest = Bob.to_account_id().into();
            let call = pallet_balances::Call::<Runtime>::transfer_all {
                dest,
                keep_alive: false,
            };
            let (ferdie, bob) = (wallet(Ferdie), wallet(Bob));
            assert_ok!(submit(Ferdie, call));
            assert_all_is_there();
            let fee = paid().last().unwrap().1;
            assert_eq!(wallet(Ferdie) + (wallet(Bob) - bob), ferdie - fee);
        });
    });
}
