//! The liquidity pot's requests at the close, against a pot of the mock's.

use crate::{mock::*, Event, Refusal};
use frame_support::assert_noop;
use novate_types::{
    Cash, Ledger, LedgerError, LoanView, Loans, MarginAccount, Pot, RiskView,
    INTEREST_FRACTION_BITS,
};

fn signed(owner: u64) -> RuntimeOrigin {
    RuntimeOrigin::signed(owner)
}

fn fill_wallet(owner: u64, units: u128) {
    Wallets::insert((owner, USDC), units * 1_000_000);
}

fn wallet(owner: u64) -> u128 {
    Wallets::get((owner, USDC)).unwrap_or(0) / 1_000_000
}

fn supply(owner: u64, units: u128) {
    fill_wallet(owner, units);
    Clearing::supply(signed(owner), units * 1_000_000).unwrap();
}

fn borrow(owner: u64, units: u128) {
    Clearing::borrow(signed(owner), 0, units * 1_000_000).unwrap();
}

/// Gold into an account: 100 USD each, less a haircut of 10 %.
fn deposit_gold(owner: u64, units: u128) {
    let amount = units * 1_000_000;
    Wallets::insert((owner, GOLD), amount);
    MockLedger::take_into_custody(&owner, GOLD, amount).unwrap();
    MockLedger::settle::<_, LedgerError>(&of(owner), &RiskView::default(), true, |account| {
        account.collateral.try_push((GOLD, amount)).unwrap();
        Ok(())
    })
    .unwrap();
}

fn lends_up_to(account_cap: Cash) {
    LoanTerms::put(LoanView {
        account_cap: cash(account_cap),
        ..Default::default()
    });
}

fn refusals() -> Vec<Refusal> {
    let found = events().into_iter().filter_map(|event| match event {
        Event::Dropped { reason, .. } => Some(reason),
        _ => None,
    });
    let found = found.collect();
    System::reset_events();
    found
}

#[test]
fn cash_goes_below_zero_when_collateral_covers_a_loan() {
    new_test_ext().execute_with(|| {
        lends_up_to(10_000);
        deposit(ALICE, 100);
        deposit_gold(ALICE, 10);
        supply(BOB, 5_000);
        run(1);
        assert_eq!(MockLedger::pot(Pot::Loans), cash(5_000));
        // 100 of cash and 900 of gold.
        borrow(ALICE, 958);
        run(1);
        // 957.142857 and a twentieth of the 857.142857 that are lent.
        let at_most = 957_142_857;
        assert_eq!(refusals(), [Refusal::InsufficientMargin { at_most }]);
        borrow(ALICE, 957);
        run(1);
        assert_eq!(refusals(), []);
        assert_eq!((cash_of(ALICE), wallet(ALICE)), (cash(-857), 957));
        // What it has is its own, without a buffer.
        deposit(BOB, 100);
        borrow(BOB, 100);
        run(1);
        assert_eq!((refusals(), cash_of(BOB)), (vec![], 0));
        // A withdrawal never borrows.
        assert_noop!(
            Clearing::withdraw(signed(ALICE), 0, USDC, 1),
            crate::Error::<Test>::InsufficientBalance
        );
    });
}

#[test]
fn a_loan_is_dropped_by_name_when_a_cap_is_reached() {
    new_test_ext().execute_with(|| {
        lends_up_to(500);
        deposit(ALICE, 0);
        deposit_gold(ALICE, 100);
        deposit(BOB, 0);
        deposit_gold(BOB, 100);
        // The pot is empty.
        borrow(ALICE, 1);
        run(1);
        assert_eq!(refusals(), [Refusal::LoanCap { at_most: 0 }]);
        supply(DAVE, 700);
        run(1);
        // The account's own cap.
        borrow(ALICE, 501);
        run(1);
        let at_most = cash(500);
        assert_eq!(refusals(), [Refusal::LoanCap { at_most }]);
        borrow(ALICE, 500);
        run(1);
        // What the pot has left.
        borrow(BOB, 201);
        run(1);
        let at_most = cash(200);
        assert_eq!(refusals(), [Refusal::LoanCap { at_most }]);
        assert_eq!((cash_of(ALICE), cash_of(BOB)), (cash(-500), 0));
    });
}

#[test]
fn a_supplier_leaves_as_far_as_the_pot_is_not_lent() {
    new_test_ext().execute_with(|| {
        lends_up_to(10_000);
        deposit(ALICE, 0);
        deposit_gold(ALICE, 100);
        supply(BOB, 1_000);
        run(1);
        assert_noop!(
            Clearing::redeem(signed(BOB), 1_000_000_001),
            crate::Error::<Test>::InsufficientBalance
        );
        borrow(ALICE, 600);
        run(1);
        Clearing::redeem(signed(BOB), 400_000_001).unwrap();
        run(1);
        assert_eq!(refusals(), [Refusal::Ledger(LedgerError::Lent)]);
        Clearing::redeem(signed(BOB), 400_000_000).unwrap();
        run(1);
        assert_eq!((refusals(), wallet(BOB)), (vec![], 400));
        // Nothing leaves while a deficit is uncovered.
        Paused::put(true);
        Clearing::redeem(signed(BOB), 1).unwrap();
        borrow(ALICE, 1);
        run(1);
        assert_eq!(refusals(), [Refusal::Paused, Refusal::Paused]);
    });
}

#[test]
fn a_supply_of_the_same_block_can_be_lent_whatever_the_order() {
    let outcome = |lender_first: bool| {
        new_test_ext().execute_with(|| {
            lends_up_to(10_000);
            deposit(ALICE, 0);
            deposit_gold(ALICE, 100);
            if lender_first {
                supply(BOB, 600);
                borrow(ALICE, 600);
            } else {
                borrow(ALICE, 600);
                supply(BOB, 600);
            }
            run(1);
            let state = (cash_of(ALICE), wallet(ALICE), MockLoans::shares(&BOB));
            (state, refusals())
        })
    };
    assert_eq!(outcome(true), outcome(false));
    assert_eq!(outcome(true).0 .0, cash(-600));
}

#[test]
fn owners_take_turns_by_lot_when_the_pot_is_too_small() {
    // Two who ask for all of it: over some blocks either has it.
    let first = |parent: u8| {
        new_test_ext().execute_with(|| {
            lends_up_to(10_000);
            for owner in [ALICE, BOB] {
                deposit(owner, 0);
                deposit_gold(owner, 100);
            }
            supply(DAVE, 600);
            run(1);
            borrow(BOB, 600);
            borrow(ALICE, 600);
            next_block();
            refresh();
            System::set_parent_hash(sp_core::H256::repeat_byte(parent));
            close();
            assert_eq!((cash_of(ALICE) < 0) as u8 + (cash_of(BOB) < 0) as u8, 1);
            cash_of(ALICE) < 0
        })
    };
    let found: Vec<bool> = (1..=16).map(first).collect();
    assert!(found.contains(&true) && found.contains(&false), "{found:?}");
}

#[test]
fn the_insurance_fund_is_given_its_part_of_interest() {
    new_test_ext().execute_with(|| {
        supply(DAVE, 600);
        run(1);
        InterestReserve::put(cash(5));
        run(1);
        // Nobody ever borrowed: nothing is looked for.
        assert_eq!(MockLedger::account(&FUND).map_or(0, |fund| fund.cash), 0);
        LoanTerms::put(LoanView {
            index: 1,
            ..Default::default()
        });
        run(1);
        assert_eq!(
            MockLedger::account(&FUND).map_or(0, |fund| fund.cash),
            cash(5)
        );
        assert_eq!(MockLedger::pot(Pot::Loans), cash(595));
    });
}

#[test]
fn interest_due_counts_against_a_loan() {
    new_test_ext().execute_with(|| {
        lends_up_to(10_000);
        deposit(ALICE, 0);
        deposit_gold(ALICE, 10);
        supply(DAVE, 5_000);
        borrow(ALICE, 500);
        run(1);
        assert_eq!(cash_of(ALICE), cash(-500));
        Accounts::mutate(of(ALICE), |account| {
            let account: &mut MarginAccount = account.as_mut().unwrap();
            account.loan = Some(novate_types::Loan {
                principal: cash(500),
                index: 0,
            });
        });
        // A tenth of the principal.
        LoanTerms::put(LoanView {
            account_cap: cash(10_000),
            index: (1u128 << INTEREST_FRACTION_BITS) / 10,
            ..Default::default()
        });
        run(1);
        borrow(ALICE, 308);
        run(1);
        // 900 less 500 less 50, and a twentieth of the 857.142857 that are owed then.
        let at_most = 307_142_857;
        assert_eq!(refusals(), [Refusal::InsufficientMargin { at_most }]);
        borrow(ALICE, 307);
        run(1);
        assert_eq!((refusals(), cash_of(ALICE)), (vec![], cash(-807)));
    });
}
