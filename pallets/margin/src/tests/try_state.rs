//! Every invariant is broken once, and seen.

use crate::{mock::*, Accounts, Collaterals, Custody, OpenInterest, Pots, Subaccounts};
use frame_support::{assert_ok, traits::fungibles::Mutate};
use novate_types::{Ledger, MarginAccount, OrderAggregate, Pot, RiskView};

/// Two accounts with a trade between them, cash, collateral and a pot; then `drift`, which must be seen.
fn detects(what: &str, drift: impl FnOnce()) {
    new_test_ext().execute_with(|| {
        assert_ok!(deposit(ALICE, 0, USDC, 100 * UNIT));
        assert_ok!(deposit(BOB, 0, USDC, 100 * UNIT));
        assert_ok!(deposit(ALICE, 0, WETH, ETHER));
        for (owner, lots) in [(ALICE, 10), (BOB, -10)] {
            assert_ok!(<Margin as Ledger<u64>>::settle(
                &account(owner, 0),
                &RiskView::default(),
                false,
                |a| {
                    trade(a, 1, lots, 5_000 * i128::from(lots))?;
                    a.cash -= 3;
                    <Margin as Ledger<u64>>::credit_pot(Pot::Funding(1), 3)
                }
            ));
        }
        Margin::do_try_state().unwrap();
        drift();
        assert_eq!(
            Margin::do_try_state(),
            Err(sp_runtime::DispatchError::Other(std::boxed::Box::leak(
                what.into()
            )))
        );
    });
}

fn edit(edit: impl FnOnce(&mut MarginAccount)) {
    Accounts::<Test>::mutate(account(ALICE, 0), |a| edit(a.as_mut().unwrap()));
}

const LOTS: &str = "a market's lots do not sum to zero";
const CASH: &str = "cash less cost plus pots is not what custody holds";
const COLLATERAL: &str = "a collateral's amounts are not what custody holds";

#[test]
fn drift_of_lots_is_detected_when_it_is_one() {
    detects(LOTS, || edit(|a| a.positions[0].lots += 1));
    detects(LOTS, || edit(|a| a.positions[0].lots -= 1));
    detects(LOTS, || edit(|a| a.positions[0].market = 2));
}

#[test]
fn drift_of_cash_cost_or_pots_is_detected_when_it_is_one_quantum_either_way() {
    for one in [1, -1] {
        detects(CASH, || edit(|a| a.cash += one));
        detects(CASH, || edit(|a| a.positions[0].cost += one));
        detects(CASH, || {
            Pots::<Test>::mutate(Pot::Funding(1), |p| *p += one)
        });
        detects(CASH, || Pots::<Test>::insert(Pot::Rounding, one));
    }
}

#[test]
fn drift_of_custody_is_detected_when_it_is_one_quantum() {
    let custody = Margin::custody_account();
    detects("custody holds less than was deposited", || {
        Custody::<Test>::mutate(USDC, |c| *c += 1)
    });
    detects(CASH, || Custody::<Test>::mutate(USDC, |c| *c -= 1));
    // Taken out without the ledger's knowledge.
    detects(CASH, || {
        let taken = <Assets as Mutate<u64>>::transfer(
            USDC,
            &custody,
            &BOB,
            1,
            frame_support::traits::tokens::Preservation::Expendable,
        );
        assert_ok!(taken);
    });
    // An asset that no account holds.
    detects("custody holds less than was deposited", || {
        Custody::<Test>::insert(UNKNOWN, 1)
    });
}

#[test]
fn drift_of_collateral_is_detected_when_it_is_one_unit_either_way() {
    detects(COLLATERAL, || edit(|a| a.collateral[0].1 += 1));
    detects(COLLATERAL, || edit(|a| a.collateral[0].1 -= 1));
    detects(COLLATERAL, || Custody::<Test>::mutate(WETH, |c| *c -= 1));
    detects(COLLATERAL, || edit(|a| a.collateral.clear()));
}

#[test]
fn drift_of_open_interest_is_detected_when_it_is_one_lot() {
    let open = "open interest is not the sum of long positions";
    detects(open, || OpenInterest::<Test>::mutate(1, |o| *o += 1));
    detects(open, || OpenInterest::<Test>::mutate(1, |o| *o -= 1));
    detects(open, || OpenInterest::<Test>::insert(2, 0));
}

#[test]
fn drift_of_an_owners_accounts_is_detected() {
    let count = "the count of an owner's accounts drifted";
    detects(count, || Subaccounts::<Test>::insert(ALICE, 2));
    detects(count, || Subaccounts::<Test>::remove(ALICE));
    detects("an owner of a margin account can be reaped", || {
        frame_system::Account::<Test>::mutate(ALICE, |a| a.providers = 0);
    });
}

#[test]
fn drift_of_an_accounts_lists_is_detected() {
    let unsorted = "an account's positions or orders are not sorted by market";
    let order = |market| OrderAggregate {
        market,
        bid_lots: 1,
        ..Default::default()
    };
    detects(unsorted, || {
        edit(|a| a.orders = vec![order(2), order(1)].try_into().unwrap())
    });
    detects(unsorted, || {
        edit(|a| a.orders = vec![order(1), order(1)].try_into().unwrap())
    });
    detects("an account has a position without lots", || {
        edit(|a| trade(a, 9, 0, 0).unwrap());
    });
    detects("an account holds an asset twice", || {
        edit(|a| a.collateral = vec![(WETH, 1), (WETH, ETHER - 1)].try_into().unwrap());
    });
    detects(
        "an account holds nothing of an asset, or one that is no collateral",
        || {
            edit(|a| a.collateral.try_push((UNKNOWN, 0)).unwrap());
        },
    );
    detects(
        "an account holds nothing of an asset, or one that is no collateral",
        || {
            Collaterals::<Test>::kill();
        },
    );
}

#[test]
fn drift_of_collateral_parameters_is_detected() {
    new_test_ext().execute_with(|| {
        Collaterals::<Test>::mutate(|all| all.get_mut(&WETH).unwrap().haircut = 1_000_001);
        assert!(Margin::do_try_state().is_err());
    });
}
