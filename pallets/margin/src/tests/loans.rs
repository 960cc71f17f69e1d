//! The liquidity pot: interest by utilisation, shares, caps, and that nothing of it is created or lost.

use crate::{mock::*, Error, Event, Lending, Suppliers};
use frame_support::{assert_noop, assert_ok};
use novate_risk::{debt_ceil, interest_due_ceil, LoanBook, INTEREST_UNIT};
use novate_types::{
    Cash, Ledger, LedgerError, LoanParams, LoanView, Loans, MarginAccount, Millis, Pot, RiskView,
    QUANTUMS, SHARES_PER_QUANTUM, YEAR,
};
use proptest::prelude::*;

const fn usd(n: i128) -> Cash {
    n * QUANTUMS
}

fn pot() -> Cash {
    <Margin as Ledger<u64>>::pot(Pot::Loans)
}

fn book() -> LoanBook {
    Lending::<Test>::get()
}

fn worth(owner: u64) -> Cash {
    let value = book().share_value(pot()).unwrap().unwrap();
    value.worth_floor(Suppliers::<Test>::get(owner)).unwrap()
}

/// From the owner's wallet, as the close does it.
fn supply(owner: u64, amount: Cash) -> Result<u128, LedgerError> {
    <Margin as Ledger<u64>>::take_into_custody(&owner, USDC, amount.unsigned_abs())?;
    <Margin as Loans<u64>>::supply(&owner, amount)
}

fn redeem(owner: u64, shares: u128) -> Result<Cash, LedgerError> {
    let amount = <Margin as Loans<u64>>::redeem(&owner, shares)?;
    <Margin as Ledger<u64>>::pay_from_custody(&owner, USDC, amount.unsigned_abs())?;
    Ok(amount)
}

/// Cash leaves an account for its owner's wallet, however little there is; below zero it comes back.
fn take(owner: u64, amount: Cash) -> Result<(), LedgerError> {
    <Margin as Ledger<u64>>::settle(&account(owner, 0), &RiskView::default(), true, |a| {
        a.cash -= amount;
        let moved = amount.unsigned_abs();
        if amount >= 0 {
            <Margin as Ledger<u64>>::pay_from_custody(&owner, USDC, moved)
        } else {
            <Margin as Ledger<u64>>::take_into_custody(&owner, USDC, moved)
        }
    })
}

/// One account's loss is another's profit.
fn lose(from: u64, to: u64, amount: Cash) {
    for (owner, amount) in [(from, -amount), (to, amount)] {
        let view = RiskView::default();
        <Margin as Ledger<u64>>::settle(&account(owner, 0), &view, true, |a| {
            a.cash += amount;
            Ok::<_, LedgerError>(())
        })
        .unwrap();
    }
}

fn accrue(elapsed: Millis) -> LoanView {
    <Margin as Loans<u64>>::accrue(System::block_number(), elapsed)
}

/// What an account owes now, interest included.
fn debt(owner: u64) -> Cash {
    let view = RiskView {
        loans: LoanView {
            index: book().index,
            ..Default::default()
        },
        ..Default::default()
    };
    debt_ceil(&held(owner, 0), &view).unwrap()
}

#[test]
fn the_rate_has_a_kink() {
    let params = loan_params();
    let rate = |utilisation| params.rate_ceil(utilisation).unwrap();
    // 2 %, 6 % half way to the kink, 10 % at it, 55 % half way beyond it, 100 % where all is lent, and not more.
    let rates = [0, 400_000, 800_000, 900_000, 1_000_000, 2_000_000].map(rate);
    assert_eq!(
        rates,
        [20_000, 60_000, 100_000, 550_000, 1_000_000, 1_000_000]
    );
    // Rounded up.
    assert_eq!(rate(1), 20_001);
}

#[test]
fn a_year_of_interest_is_the_rate_when_nobody_settles() {
    run(|| {
        supply(BOB, usd(10_000)).unwrap();
        take(ALICE, usd(4_000)).unwrap();
        assert_eq!(held(ALICE, 0).cash, -usd(4_000));
        // Two fifths lent: 6 %.
        for _ in 0..12 {
            accrue(YEAR / 12);
        }
        let due = interest_due_ceil(&held(ALICE, 0), book().index).unwrap();
        assert_eq!(due, usd(240) + 1, "a quantum for what the index rounds up");
        // A tenth is the fund's.
        // A quantum is the thousand shares' that are nobody's.
        assert_eq!(worth(BOB), usd(10_216) - 1);
        assert_eq!(book().reserve / INTEREST_UNIT, usd(24).unsigned_abs());
        // Repaid, it is in the pot.
        take(ALICE, -usd(5_000)).unwrap();
        assert_eq!(held(ALICE, 0).cash, usd(760) - 1);
        assert_eq!(held(ALICE, 0).loan, None);
        assert_eq!(
            (pot(), book().borrowed, book().accrued),
            (usd(10_240) + 1, 0, 0)
        );
        let taken = <Margin as Loans<u64>>::take_reserve().unwrap();
        assert_eq!(taken, usd(24));
        <Margin as Ledger<u64>>::credit_pot(Pot::Fees, taken).unwrap();
        let shares = Suppliers::<Test>::get(BOB);
        assert_eq!(redeem(BOB, shares), Ok(usd(10_216) - 1));
    });
}

#[test]
fn an_account_without_a_loan_does_not_read_the_pot() {
    run(|| {
        supply(BOB, usd(100)).unwrap();
        sp_io::storage::set(&Lending::<Test>::hashed_key(), b"nonsense");
        take(FUND, usd(10)).unwrap();
        deposit(ALICE, 0, USDC, 10).unwrap();
        // Who owes something does.
        let nonsense = sp_io::storage::get(&Lending::<Test>::hashed_key());
        lose(FUND, BOB, usd(2_000));
        assert_ne!(
            sp_io::storage::get(&Lending::<Test>::hashed_key()),
            nonsense
        );
        Lending::<Test>::mutate(|book| {
            book.params = loan_params();
            book.shares = usd(100).unsigned_abs() * SHARES_PER_QUANTUM;
        });
    });
}

#[test]
fn a_supplier_cannot_take_out_what_is_lent() {
    run(|| {
        let shares = supply(BOB, usd(100)).unwrap();
        assert_eq!(shares, 100_000_000 * SHARES_PER_QUANTUM);
        take(ALICE, usd(60)).unwrap();
        assert_noop!(redeem(BOB, shares), LedgerError::Lent);
        assert_noop!(redeem(ALICE, 1), LedgerError::Shares);
        // The close takes the cash before, and undoes that with the rest.
        assert_noop!(<Margin as Loans<u64>>::supply(&BOB, 0), LedgerError::Shares);
        // A twentieth of what is lent stays beside it.
        assert_eq!(redeem(BOB, shares / 100 * 37), Ok(usd(37)));
        assert_noop!(redeem(BOB, SHARES_PER_QUANTUM), LedgerError::Lent);
        // Losses within that do not make the pot short. Those beyond do, and what comes back ends it.
        lose(FUND, BOB, usd(1_003));
        assert!(!accrue(0).is_short);
        lose(FUND, BOB, 1);
        assert!(accrue(0).is_short);
        lose(BOB, FUND, 1);
        assert!(!accrue(0).is_short);
    });
}

#[test]
fn the_pot_lends_up_to_its_cap_and_no_farther() {
    run(|| {
        assert_eq!(<Margin as Loans<u64>>::lendable(), 0);
        supply(BOB, usd(100)).unwrap();
        assert_eq!(<Margin as Loans<u64>>::lendable(), usd(90));
        take(ALICE, usd(90)).unwrap();
        let within = <Margin as Loans<u64>>::is_within_cap;
        assert_eq!((<Margin as Loans<u64>>::lendable(), within()), (0, true));
        take(ALICE, 1).unwrap();
        assert_eq!((<Margin as Loans<u64>>::lendable(), within()), (0, false));
    });
}

#[test]
fn interest_is_the_funds_when_nobody_supplies() {
    run(|| {
        // A loss beyond cash, which nobody lent.
        take(ALICE, usd(1_000)).unwrap();
        assert!(accrue(0).is_short);
        accrue(YEAR);
        // At the dearest rate.
        assert_eq!(debt(ALICE), usd(2_000));
        let shares = supply(BOB, usd(500)).unwrap();
        assert_eq!(worth(BOB), usd(500));
        take(ALICE, -usd(2_000)).unwrap();
        assert_eq!((held(ALICE, 0).cash, worth(BOB)), (0, usd(500)));
        assert_eq!(<Margin as Loans<u64>>::take_reserve(), Ok(usd(1_000)));
        <Margin as Ledger<u64>>::credit_pot(Pot::Fees, usd(1_000)).unwrap();
        assert_eq!(redeem(BOB, shares), Ok(usd(500)));
    });
}

#[test]
fn interest_beyond_the_pot_is_the_funds_when_somebody_supplies_a_quantum() {
    run(|| {
        take(ALICE, 1_000).unwrap();
        supply(BOB, 1).unwrap();
        assert_eq!((pot(), book().borrowed), (1, 1_000));
        // At the dearest rate, a quantum of interest is what the one brought, a tenth of it the fund's.
        accrue(YEAR);
        assert_eq!(debt(ALICE), 2_000);
        assert_eq!(book().accrued, 1_000 * INTEREST_UNIT);
        assert_eq!(book().reserve, 999 * INTEREST_UNIT + INTEREST_UNIT / 10);
        assert_eq!(book().supplied_floor(pot()), Ok(1));
        assert_eq!(book().supply_rate_floor(pot()), Ok(900_000));
        // Where the pot suffices, what is lent of it earns.
        supply(BOB, 1_000_000).unwrap();
        let rate = loan_params()
            .rate_ceil(book().utilisation_ceil(pot()).unwrap())
            .unwrap();
        let earns = u128::from(rate) * 1_000 / book().supplied_floor(pot()).unwrap() as u128;
        let earned = earns * 9 / 10;
        assert_eq!(
            book().supply_rate_floor(pot()),
            Ok(u32::try_from(earned).unwrap())
        );
    });
}

#[test]
fn reserved_interest_waits_when_the_pot_has_lent_it() {
    run(|| {
        supply(BOB, usd(1_000)).unwrap();
        take(ALICE, usd(1_000)).unwrap();
        accrue(YEAR);
        assert_eq!(<Margin as Loans<u64>>::take_reserve(), Ok(0));
        take(ALICE, -usd(2_000)).unwrap();
        assert_eq!(<Margin as Loans<u64>>::take_reserve(), Ok(usd(100)));
        assert_eq!(<Margin as Loans<u64>>::take_reserve(), Ok(0));
        <Margin as Ledger<u64>>::credit_pot(Pot::Fees, usd(100)).unwrap();
    });
}

#[test]
fn parameters_come_into_force_after_the_timelock_and_by_steps() {
    run(|| {
        let old = loan_params();
        let root = RuntimeOrigin::root;
        let schedule = |params| Margin::schedule_loans(root(), params);
        let changed = |change: &dyn Fn(&mut LoanParams)| {
            let mut params = old;
            change(&mut params);
            params
        };
        assert_noop!(
            Margin::schedule_loans(RuntimeOrigin::signed(ALICE), old),
            sp_runtime::DispatchError::BadOrigin
        );
        assert_noop!(schedule(old), Error::<Test>::Unchanged);
        let too_far: [&dyn Fn(&mut LoanParams); 7] = [
            &|p| p.base_rate += 10_001,
            &|p| p.slope -= 20_001,
            &|p| p.steep_slope += 225_001,
            &|p| p.kink -= 200_001,
            &|p| p.reserve_factor += 25_001,
            &|p| p.utilisation_cap -= 225_001,
            &|p| p.account_cap += usd(25_000) + 1,
        ];
        for change in too_far {
            assert_noop!(schedule(changed(change)), Error::<Test>::StepTooLarge);
        }
        let invalid: [&dyn Fn(&mut LoanParams); 6] = [
            &|p| p.base_rate = 10_000_000,
            &|p| p.kink = 0,
            &|p| p.kink = 1_000_000,
            &|p| p.reserve_factor = 1_000_001,
            &|p| p.utilisation_cap = 1_000_001,
            &|p| p.account_cap = -1,
        ];
        for change in invalid {
            assert_noop!(schedule(changed(change)), Error::<Test>::InvalidLoanParams);
        }
        let new = changed(&|p| p.slope += 20_000);
        assert_ok!(schedule(new));
        assert_noop!(schedule(new), Error::<Test>::ChangePending);
        System::set_block_number(TIMELOCK);
        accrue(1_000);
        assert_eq!(book().params, old);
        System::set_block_number(1 + TIMELOCK);
        accrue(1_000);
        assert_eq!((book().params, book().pending), (new, None));
        let (old_value, new_value) = (old, new);
        assert_eq!(
            last_event(),
            Event::LoanParamsChanged {
                old_value,
                new_value
            }
        );
        // One that is withdrawn never comes.
        assert_ok!(schedule(old));
        assert_ok!(Margin::cancel_loans(root()));
        assert_noop!(Margin::cancel_loans(root()), Error::<Test>::NoSuchChange);
    });
}

#[test]
fn the_emergency_origin_only_lowers_what_is_lent() {
    run(|| {
        let emergency = || RuntimeOrigin::signed(EMERGENCY);
        let new = LoanParams {
            slope: 81_000,
            ..loan_params()
        };
        assert_ok!(Margin::schedule_loans(RuntimeOrigin::root(), new));
        assert_noop!(
            Margin::lower_utilisation_cap(emergency(), 900_000),
            Error::<Test>::NotLower
        );
        assert_ok!(Margin::lower_utilisation_cap(emergency(), 0));
        assert_eq!((book().params.utilisation_cap, book().pending), (0, None));
        supply(BOB, usd(100)).unwrap();
        assert_eq!(<Margin as Loans<u64>>::lendable(), 0);
    });
}

#[test]
fn drift_is_found_in_each_sum() {
    let drifts: [fn(&mut LoanBook); 4] = [
        |book| book.borrowed += 1,
        |book| book.accrued += 1,
        |book| book.shares += 1,
        |book| book.index += 1,
    ];
    for (number, drift) in drifts.into_iter().enumerate() {
        new_test_ext().execute_with(|| {
            supply(BOB, usd(100)).unwrap();
            take(ALICE, usd(10)).unwrap();
            accrue(1_000);
            Margin::do_try_state().unwrap();
            Lending::<Test>::mutate(drift);
            assert!(Margin::do_try_state().is_err(), "drift {number}");
        });
    }
    new_test_ext().execute_with(|| {
        take(ALICE, usd(10)).unwrap();
        crate::Accounts::<Test>::mutate(account(ALICE, 0), |a| {
            let account: &mut MarginAccount = a.as_mut().unwrap();
            account.loan = None;
        });
        assert!(Margin::do_try_state().is_err());
    });
}

#[derive(Clone, Debug)]
enum Step {
    Supply(usize, i64),
    /// Of the supplier's shares, in ppm.
    Redeem(usize, u32),
    /// Out of an account, or into it.
    Take(usize, i64),
    Accrue(Millis),
    Reserve,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0usize..2;
    prop_oneof![
        (who.clone(), 1i64..1_000_000_000).prop_map(|(who, amount)| Step::Supply(who, amount)),
        (who.clone(), 1u32..=1_000_000).prop_map(|(who, ppm)| Step::Redeem(who, ppm)),
        (who, -100_000_000i64..100_000_000).prop_map(|(who, amount)| Step::Take(who, amount)),
        (1u64..100_000_000_000).prop_map(Step::Accrue),
        Just(Step::Reserve),
    ]
}

/// What suppliers and fund have of the pot, and what is in it and owed to it: in quantums with the index's bits.
fn both_sides() -> (u128, u128) {
    let counted = pot().unsigned_abs() * INTEREST_UNIT;
    let owed: u128 = crate::Accounts::<Test>::iter_values()
        .filter_map(|account| account.loan)
        .map(|loan| loan.interest(book().index).unwrap())
        .sum();
    let suppliers = book().supplied_floor(pot()).unwrap().unsigned_abs() * INTEREST_UNIT;
    let fraction = (counted + owed - book().reserve) % INTEREST_UNIT;
    (suppliers + fraction + book().reserve, counted + owed)
}

/// Assets over supply of shares did not fall.
fn rose(before: (u128, u128), after: (u128, u128)) -> bool {
    use primitive_types_check::wide;
    wide(after.0, before.1) >= wide(before.0, after.1)
}

mod primitive_types_check {
    /// The product of two numbers, high half first.
    pub fn wide(a: u128, b: u128) -> (u128, u128) {
        let (a1, a0) = (a >> 64, a & u128::from(u64::MAX));
        let (b1, b0) = (b >> 64, b & u128::from(u64::MAX));
        let (low, mid, cross) = (a0 * b0, a1 * b0, a0 * b1);
        let carry = (low >> 64) + (mid & u128::from(u64::MAX)) + (cross & u128::from(u64::MAX));
        let high = a1 * b1 + (mid >> 64) + (cross >> 64) + (carry >> 64);
        (high, (carry << 64) | (low & u128::from(u64::MAX)))
    }
}

fn share() -> (u128, u128) {
    let value = book().share_value(pot()).unwrap().unwrap();
    (value.assets, value.supply)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What debtors owe is what suppliers and fund gained, to the last bit, and a share is never worth less than before.
    #[test]
    fn interest_is_conserved_and_shares_never_fall(steps in prop::collection::vec(step(), 1..60)) {
        new_test_ext().execute_with(|| {
            let owners = [ALICE, BOB];
            for step in steps {
                let (before, reserve) = (share(), book().reserve);
                let owed: Vec<_> = owners.iter().map(|o| crate::Accounts::<Test>::get(account(*o, 0)).map_or(0, |_| debt(*o))).collect();
                let described = format!("{step:?}");
                match step {
                    Step::Supply(who, amount) => {
                        let _ = frame_support::storage::with_storage_layer(|| {
                            supply(owners[who], amount.into()).map_err(|_| sp_runtime::DispatchError::Corruption)
                        });
                    }
                    Step::Redeem(who, ppm) => {
                        let shares = Suppliers::<Test>::get(owners[who]) / 1_000_000 * u128::from(ppm);
                        let _ = redeem(owners[who], shares);
                    }
                    Step::Take(who, amount) => {
                        let _ = take(owners[who], amount.into());
                    }
                    Step::Accrue(elapsed) => {
                        accrue(elapsed);
                        for (owner, owed) in owners.iter().zip(owed) {
                            if crate::Accounts::<Test>::contains_key(account(*owner, 0)) {
                                assert!(debt(*owner) >= owed, "{described}");
                            }
                        }
                    }
                    Step::Reserve => {
                        let taken = <Margin as Loans<u64>>::take_reserve().unwrap();
                        <Margin as Ledger<u64>>::credit_pot(Pot::Fees, taken).unwrap();
                        assert_eq!(book().reserve + taken.unsigned_abs() * INTEREST_UNIT, reserve);
                    }
                }
                let (claims, assets) = both_sides();
                assert_eq!(claims, assets, "{described}");
                assert!(rose(before, share()), "{described}: {before:?} {:?}", share());
                if let Err(broken) = Margin::do_try_state() {
                    panic!("{described} broke the ledger: {broken:?}");
                }
            }
        });
    }

    /// Who settles often and who never does, in whatever order accounts are written, leave the pot the same; who settles often owes no less.
    #[test]
    fn the_order_of_accounts_in_a_close_changes_nothing(
        owed in prop::collection::vec(1i64..1_000_000_000, 2),
        moved in prop::collection::vec(1i64..1_000_000, 2),
        elapsed in 1u64..10_000_000_000,
    ) {
        let run = |order: [usize; 2]| {
            new_test_ext().execute_with(|| {
                supply(FUND, usd(5_000)).unwrap();
                let owners = [ALICE, BOB];
                for (owner, amount) in owners.iter().zip(&owed) {
                    take(*owner, (*amount).into()).unwrap();
                }
                accrue(elapsed);
                for at in order {
                    take(owners[at], moved[at].into()).unwrap();
                }
                (book(), pot(), held(ALICE, 0), held(BOB, 0).cash)
            })
        };
        let (a, b) = (run([0, 1]), run([1, 0]));
        assert_eq!((a.0, a.1, a.2.cash, a.2.loan, a.3), (b.0, b.1, b.2.cash, b.2.loan, b.3));
    }
}
