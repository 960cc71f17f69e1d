//! The vault as an investment: who gets what for what, and when. Numbers are worked out by hand beside them.

use super::*;
use crate::{
    Backstop, Error, Event, Holding, Pallet, ShareHoldings, ShareRequests, ShareValue, ShareWish,
    UncoveredDeficit, SHARES_PER_QUANTUM,
};
use frame_support::{assert_noop, assert_ok};
use proptest::prelude::*;
use sp_runtime::DispatchResult;

/// Holds the other side of what the vault holds.
const OTHER: u64 = 30;
/// Shares of a USD while the vault has neither gained nor lost.
const A_USD: u128 = SHARES_PER_QUANTUM * 1_000_000;

fn give_wallet(owner: u64, cash: Cash) {
    Wallets::mutate(owner, |held| {
        *held = Some(held.unwrap_or(0) + cash.unsigned_abs())
    });
}

fn wallet(owner: u64) -> Cash {
    Wallets::get(owner).unwrap_or(0) as Cash
}

fn enter(owner: u64, amount: Cash) -> DispatchResult {
    Liquidation::vault_deposit(RuntimeOrigin::signed(owner), amount.unsigned_abs())
}

fn leave(owner: u64, shares: u128) -> DispatchResult {
    Liquidation::vault_withdraw(RuntimeOrigin::signed(owner), shares)
}

fn holding(owner: u64) -> Holding {
    ShareHoldings::<Test>::get(owner)
}

/// The vault gains, or loses, at nobody's account.
fn fund_vault(cash: Cash) {
    deposit(VAULT, cash);
    let held = Custody::get().unwrap_or(0);
    Custody::put(held.checked_add_signed(cash).unwrap());
}

/// The settlement currency's equality: what tests deposit to others counts as if it had always been there.
fn uncustodied() -> Cash {
    totals().1 - Custody::get().unwrap_or(0) as Cash
}

fn still() {
    close(|_| ());
}

/// Closes up to and with the first of the next epoch, in which requests are settled.
fn end_epoch() {
    let block = StoredView::view().block;
    let next = (block / 10 + 1) * 10;
    (block..next).for_each(|_| still());
}

/// An owner who has bought shares for so much, at the end of this epoch.
fn an_investor(owner: u64, amount: Cash) {
    give_wallet(owner, amount);
    assert_ok!(enter(owner, amount));
    end_epoch();
}

/// Closes until nothing is locked any more.
fn unlock() {
    (0..30).for_each(|_| still());
}

fn value() -> ShareValue {
    Pallet::<Test>::share_value().unwrap().1.unwrap()
}

#[test]
fn shares_are_bought_and_sold_at_the_epochs_value() {
    new_test_ext().execute_with(|| {
        fund_vault(usd(1_000));
        give_wallet(20, usd(500));
        let sums = uncustodied();
        assert_ok!(enter(20, usd(100)));
        assert_eq!(
            (wallet(20), StoredLedger::pot(Pot::Vault)),
            (usd(400), usd(100))
        );
        (1..9).for_each(|_| still());
        assert_eq!((holding(20).shares, account(VAULT).cash), (0, usd(1_000)));
        still();
        // What was there is the protocol's.
        assert_eq!(holding(VAULT).shares, 1_000 * A_USD);
        assert_eq!(holding(20).shares, 100 * A_USD);
        assert_eq!(Backstop::<Test>::get().shares, 1_100 * A_USD);
        assert_eq!(
            (account(VAULT).cash, StoredLedger::pot(Pot::Vault)),
            (usd(1_100), 0)
        );
        assert_eq!(uncustodied(), sums);

        // A tenth of profit, and no way out for 25 blocks.
        fund_vault(usd(110));
        assert_noop!(leave(20, 1), Error::<Test>::SharesLocked);
        (0..24).for_each(|_| still());
        assert_noop!(leave(20, 1), Error::<Test>::SharesLocked);
        still();
        assert_ok!(leave(20, 100 * A_USD));
        assert_eq!(holding(20).shares, 0);
        end_epoch();
        // 100·1,000·10⁶ · (1,210·10⁶ + 1) / (1,100·10⁹ + 1,000), rounded down: the fraction of a quantum stays.
        assert_eq!(wallet(20), usd(400) + usd(110) - 1);
        assert_eq!(account(VAULT).cash, usd(1_100) + 1);
        assert_eq!(uncustodied(), sums);
        assert!(!ShareHoldings::<Test>::contains_key(20));
        let sold = events()
            .into_iter()
            .rev()
            .find(|e| matches!(e, Event::SharesSold { .. }));
        assert_eq!(
            sold,
            Some(Event::SharesSold {
                owner: 20,
                shares: 100 * A_USD,
                paid: usd(110) - 1,
                left: 0
            })
        );
    });
}

#[test]
fn all_of_an_epoch_have_one_value_when_it_takes_several_closes_to_execute_them() {
    new_test_ext().execute_with(|| {
        fund_vault(usd(1_000));
        for owner in 20..27 {
            give_wallet(owner, usd(100));
            assert_ok!(enter(owner, usd(100)));
        }
        end_epoch();
        let many = |n| (20..27).filter(|owner| holding(*owner).shares > 0).count() == n;
        assert!(many(3));
        // Gains between are not theirs who have not got their shares yet, nor are losses.
        fund_vault(usd(5_000));
        still();
        assert!(many(6));
        fund_vault(-usd(5_500));
        // Another epoch's request waits for its own end.
        give_wallet(27, usd(100));
        assert_ok!(enter(27, usd(100)));
        still();
        assert!(many(7));
        for owner in 20..27 {
            assert_eq!(holding(owner).shares, 100 * A_USD);
        }
        assert_eq!(Backstop::<Test>::get().terms, None);
        assert_eq!(holding(27).shares, 0);
        end_epoch();
        // 1,700 − 500 for 1,700: a share for 12/17.
        let bought = holding(27).shares;
        assert_eq!(bought / A_USD, 141);
    });
}

#[test]
fn whoever_leaves_is_paid_a_part_when_the_vaults_margin_needs_the_cash() {
    new_test_ext().execute_with(|| {
        fund_vault(usd(1_000));
        deposit(OTHER, usd(100_000));
        an_investor(20, usd(300));
        an_investor(21, usd(300));
        unlock();
        // 1,600 of cash, 14,000 of notional: 1,400 are needed, 200 may leave.
        trade(VAULT, OTHER, 0, 140, 100);
        assert_ok!(leave(20, holding(20).shares));
        assert_ok!(leave(21, holding(21).shares));
        let sums = uncustodied();
        end_epoch();
        for owner in [20, 21] {
            assert!(
                (usd(100) - 2..=usd(100)).contains(&wallet(owner)),
                "{}",
                wallet(owner)
            );
            assert_eq!(holding(owner).waiting, 1);
        }
        assert_eq!(uncustodied(), sums);
        let vault = assess(VAULT);
        assert!(vault.covers_orders() && vault.withdrawable <= 4);
        // Nothing more the next time, and the rest when the position is gone.
        end_epoch();
        assert!(wallet(20) <= usd(100));
        trade(OTHER, VAULT, 0, 140, 100);
        end_epoch();
        for owner in [20, 21] {
            assert!(
                (usd(300) - 6..=usd(300)).contains(&wallet(owner)),
                "{}",
                wallet(owner)
            );
            assert!(!ShareHoldings::<Test>::contains_key(owner));
        }
        assert_eq!(ShareRequests::<Test>::iter().count(), 0);
        assert_eq!(uncustodied(), sums);
    });
}

#[test]
fn those_who_enter_pay_those_who_leave_at_the_same_value() {
    new_test_ext().execute_with(|| {
        an_investor(20, usd(1_000));
        deposit(OTHER, usd(100_000));
        unlock();
        // All cash is needed.
        trade(VAULT, OTHER, 0, 100, 100);
        give_wallet(21, usd(400));
        assert_ok!(enter(21, usd(400)));
        assert_ok!(leave(20, holding(20).shares));
        end_epoch();
        assert_eq!(wallet(20), usd(400));
        assert_eq!(holding(21).shares, 400 * A_USD);
        assert_eq!(account(VAULT).cash, usd(1_000));
    });
}

#[test]
fn a_request_is_refused_by_name_when_it_cannot_be_met() {
    new_test_ext().execute_with(|| {
        give_wallet(20, usd(1_000));
        assert_noop!(enter(20, usd(10) - 1), Error::<Test>::DepositTooSmall);
        assert_noop!(enter(20, usd(1_001)), Error::<Test>::WalletTooSmall);
        let beyond = Liquidation::vault_deposit(RuntimeOrigin::signed(20), u128::MAX);
        assert_noop!(beyond, Error::<Test>::OutOfRange);
        // An empty vault takes its first deposit, one that owes takes none.
        deposit(VAULT, -usd(1));
        assert_noop!(enter(20, usd(10)), Error::<Test>::VaultWithoutEquity);
        deposit(VAULT, usd(1));
        for _ in 0..3 {
            assert_ok!(enter(20, usd(10)));
        }
        assert_noop!(enter(20, usd(10)), Error::<Test>::TooManyShareRequests);
        end_epoch();
        assert_eq!(holding(20).waiting, 0);
        assert_noop!(leave(20, 0), Error::<Test>::NoShares);
        assert_noop!(leave(20, 30 * A_USD + 1), Error::<Test>::TooFewShares);
        // Worth nothing, with shares: nobody buys into it.
        fund_vault(-usd(30));
        assert_noop!(enter(20, usd(10)), Error::<Test>::VaultWithoutEquity);
        fund_vault(usd(30));
        for owner in 40..53 {
            give_wallet(owner, usd(30));
            for _ in 0..3 {
                assert_ok!(enter(owner, usd(10)));
            }
        }
        assert_ok!(enter(20, usd(10)));
        assert_noop!(enter(20, usd(10)), Error::<Test>::ShareQueueFull);
    });
}

#[test]
fn shares_bought_later_lock_only_themselves_once_the_earlier_are_free() {
    new_test_ext().execute_with(|| {
        an_investor(20, usd(100));
        unlock();
        an_investor(20, usd(50));
        assert_noop!(leave(20, 100 * A_USD + 1), Error::<Test>::SharesLocked);
        assert_ok!(leave(20, 100 * A_USD));
        end_epoch();
        // Bought while others are locked they lock those, too.
        an_investor(20, usd(50));
        assert_eq!(
            (holding(20).shares, holding(20).locked),
            (100 * A_USD, 100 * A_USD)
        );
    });
}

#[test]
fn an_epoch_waits_when_a_price_is_old() {
    new_test_ext().execute_with(|| {
        fund_vault(usd(1_000));
        deposit(OTHER, usd(10_000));
        trade(VAULT, OTHER, 0, 10, 100);
        give_wallet(20, usd(100));
        assert_ok!(enter(20, usd(100)));
        close(|view| view.markets[0].fresh = false);
        end_epoch();
        end_epoch();
        assert_eq!(holding(20).shares, 0);
        // A profit of 100 before it has entered is not its own.
        close(|view| {
            view.markets[0].fresh = true;
            set_mark(view, 0, 110);
        });
        assert_eq!(
            (holding(20).shares, holding(VAULT).shares),
            (100 * A_USD, 1_100 * A_USD)
        );
    });
}

#[test]
fn what_is_given_to_the_vault_is_the_protocols() {
    new_test_ext().execute_with(|| {
        an_investor(20, usd(1_000));
        fund_vault(usd(500));
        Liquidation::gave_vault(usd(500));
        // Until the next close it is counted apart.
        assert_eq!(value().worth_floor(holding(20).shares), Ok(usd(1_000)));
        an_investor(21, usd(100));
        assert_eq!(holding(VAULT).shares, 500 * A_USD);
        assert_eq!(holding(21).shares, 100 * A_USD);
        assert_eq!(value().worth_floor(holding(20).shares), Ok(usd(1_000)));
        assert_eq!(Backstop::<Test>::get().given, 0);
    });
}

fn give(amount: Cash) {
    fund_vault(amount);
    Liquidation::gave_vault(amount);
}

fn worth(owner: u64) -> Cash {
    value().worth_floor(holding(owner).shares).unwrap()
}

#[test]
fn what_is_given_has_its_part_of_profit_and_loss_when_nobody_asks_for_shares() {
    // 50,000 and −11, of which 10 of 2,000,010 are the investor's.
    for (result, own) in [(usd(50_000), 10_249_998), (-usd(11), 9_999_945)] {
        new_test_ext().execute_with(|| {
            an_investor(20, usd(10));
            give(usd(2_000_000));
            still();
            assert_eq!(Backstop::<Test>::get().given, 0);
            assert_eq!(holding(VAULT).shares, 2_000_000 * A_USD);
            fund_vault(result);
            assert_eq!(worth(20), own);
            unlock();
            assert_ok!(leave(20, holding(20).shares));
            end_epoch();
            assert_eq!(wallet(20), own);
        });
    }
}

#[test]
fn what_is_given_waits_when_a_price_is_old_or_requests_are_executed() {
    new_test_ext().execute_with(|| {
        an_investor(20, usd(1_000));
        deposit(OTHER, usd(10_000));
        trade(VAULT, OTHER, 0, 10, 100);
        close(|view| view.markets[0].fresh = false);
        let calm = Pallet::<Test>::budget();
        give(usd(500));
        assert_eq!(
            Pallet::<Test>::budget(),
            calm + Pallet::<Test>::most_share_work()
        );
        still();
        assert_eq!(Backstop::<Test>::get().given, usd(500));
        close(|view| view.markets[0].fresh = true);
        assert_eq!(holding(VAULT).shares, 500 * A_USD);
        for owner in 21..26 {
            give_wallet(owner, usd(10));
            assert_ok!(enter(owner, usd(10)));
        }
        end_epoch();
        assert!(Backstop::<Test>::get().terms.is_some());
        give(usd(500));
        still();
        assert_eq!(Backstop::<Test>::get().given, usd(500));
        still();
        assert_eq!(holding(VAULT).shares, 1_000 * A_USD);
        assert_eq!(worth(20), usd(1_000));
        // Nobody is paid while withdrawals pause, but that keeps nothing from having its part.
        deposit(LONG, -usd(1));
        still();
        assert!(Liquidation::withdrawals_paused());
        give(usd(500));
        still();
        assert_eq!(Backstop::<Test>::get().given, 0);
    });
}

#[test]
fn a_gift_takes_the_vault_out_when_its_shares_are_worth_nothing() {
    for lost in [usd(100), usd(101)] {
        new_test_ext().execute_with(|| {
            an_investor(20, usd(100));
            unlock();
            fund_vault(-usd(100));
            deposit(VAULT, usd(100) - lost);
            give_wallet(21, usd(50));
            assert_noop!(enter(21, usd(50)), Error::<Test>::VaultWithoutEquity);
            give(usd(100));
            // Who lost everything has none of it.
            still();
            let given = usd(100).unsigned_abs();
            assert_eq!(holding(VAULT).shares, (100 * A_USD + 1) * given);
            assert!(worth(20) <= 1);
            assert_ok!(enter(21, usd(50)));
            assert_ok!(leave(20, holding(20).shares));
            end_epoch();
            assert!(wallet(20) <= 1);
            assert!(worth(21) >= usd(50) - 2, "{}", worth(21));
        });
    }
}

#[test]
fn the_first_depositor_cannot_rob_the_next_when_it_makes_its_share_dear() {
    new_test_ext().execute_with(|| {
        // The attacker keeps one share of an otherwise empty vault.
        an_investor(20, usd(10));
        unlock();
        assert_ok!(leave(20, holding(20).shares - 1));
        end_epoch();
        assert_eq!((holding(20).shares, Backstop::<Test>::get().shares), (1, 1));
        let before = wallet(20);
        // A gift moves nothing.
        fund_vault(usd(10_000));
        Liquidation::gave_vault(usd(10_000));
        an_investor(21, usd(1_000));
        assert!(value().worth_floor(holding(21).shares).unwrap() >= usd(1_000) - 1);
        assert!(value().worth_floor(1).unwrap() <= 1);

        // What it loses to the vault in trades is the protocol's, and the others', all but a part in a thousand.
        assert_eq!(before, wallet(20));
    });
    new_test_ext().execute_with(|| {
        an_investor(20, usd(10));
        unlock();
        assert_ok!(leave(20, holding(20).shares - 1));
        end_epoch();
        fund_vault(usd(10_000));
        an_investor(21, usd(1_000));
        let lost = usd(1_000) - value().worth_floor(holding(21).shares).unwrap();
        let won = value().worth_floor(1).unwrap();
        assert!(lost <= usd(10), "{lost}");
        assert!(won <= usd(10), "{won} of 10,000");
    });
}

#[test]
fn deposits_go_back_and_nobody_leaves_when_the_vault_is_worth_nothing() {
    new_test_ext().execute_with(|| {
        an_investor(20, usd(100));
        unlock();
        assert_ok!(leave(20, 40 * A_USD));
        give_wallet(21, usd(50));
        assert_ok!(enter(21, usd(50)));
        fund_vault(-usd(100));
        let sums = uncustodied();
        end_epoch();
        assert_eq!((wallet(21), holding(21).shares), (usd(50), 0));
        assert_eq!((wallet(20), holding(20).waiting), (0, 1));
        assert_eq!(uncustodied(), sums);
        // Worth something again, it pays.
        fund_vault(usd(200));
        end_epoch();
        assert!((usd(80) - 1..=usd(80)).contains(&wallet(20)));
    });
}

#[test]
fn nobody_is_paid_while_withdrawals_pause() {
    new_test_ext().execute_with(|| {
        an_investor(20, usd(100));
        unlock();
        assert_ok!(leave(20, 40 * A_USD));
        deposit(LONG, -usd(1));
        assert!(UncoveredDeficit::<Test>::get() > 0);
        end_epoch();
        end_epoch();
        assert_eq!(wallet(20), 0);
        deposit(FUND, usd(1));
        still();
        assert_eq!(wallet(20), usd(40));
    });
}

#[test]
fn a_payment_waits_when_the_wallet_cannot_take_it() {
    new_test_ext().execute_with(|| {
        an_investor(20, usd(100));
        an_investor(21, usd(100));
        unlock();
        assert_ok!(leave(20, 40 * A_USD));
        assert_ok!(leave(21, 40 * A_USD));
        Blocked::insert(20, ());
        let sums = uncustodied();
        end_epoch();
        assert_eq!((wallet(20), wallet(21)), (0, usd(40)));
        assert_eq!(StoredLedger::pot(Pot::Vault), 0);
        assert_eq!(holding(20).waiting, 1);
        Blocked::remove(20);
        end_epoch();
        assert_eq!((wallet(20), holding(20).waiting), (usd(40), 0));
        assert_eq!(uncustodied(), sums);
    });
}

#[test]
fn the_close_is_reserved_for_an_epoch_that_is_over_and_for_no_other() {
    new_test_ext().execute_with(|| {
        fund_vault(usd(1_000));
        let idle = Pallet::<Test>::budget();
        give_wallet(20, usd(100));
        assert_ok!(enter(20, usd(100)));
        for block in 2..=9 {
            System::set_block_number(block);
            assert_eq!(Pallet::<Test>::budget(), idle);
            still();
        }
        System::set_block_number(10);
        assert_eq!(
            Pallet::<Test>::budget(),
            idle + Pallet::<Test>::most_share_work()
        );
        Pallet::<Test>::spent();
        still();
        assert!(Pallet::<Test>::spent().all_lte(idle + Pallet::<Test>::most_share_work()));
        System::set_block_number(11);
        assert_eq!(Pallet::<Test>::budget(), idle);
    });
}

#[derive(Clone, Debug)]
enum Step {
    Enter(u64, Cash),
    Leave(u64, u128),
    Give(Cash),
    Closes(u32),
    Mark(u128),
    Block(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let owner = 20u64..24;
    prop_oneof![
        3 => (owner.clone(), 10_000_000i128..300_000_000).prop_map(|(o, a)| Step::Enter(o, a)),
        3 => (owner.clone(), 1u128..1_000_001).prop_map(|(o, p)| Step::Leave(o, p)),
        1 => (1i128..50_000_000).prop_map(Step::Give),
        5 => (1u32..14).prop_map(Step::Closes),
        2 => (60u128..160).prop_map(Step::Mark),
        1 => owner.prop_map(Step::Block),
    ]
}

/// What shares are worth, if nothing is being executed and the vault is not in the remedies, which may cost it.
fn settled_value() -> Option<ShareValue> {
    let is_settled = Backstop::<Test>::get().terms.is_none()
        && standing(VAULT) == Standing::Good
        && !is_queued(VAULT);
    Pallet::<Test>::share_value()
        .unwrap()
        .1
        .filter(|_| is_settled)
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn a_share_is_never_worth_less_by_who_enters_and_leaves(
        genesis in 0i128..400,
        lots in -12i64..12,
        steps in prop::collection::vec(any_step(), 1..40),
    ) {
        new_test_ext().execute_with(|| {
            deposit(OTHER, usd(1_000_000));
            fund_vault(usd(genesis));
            if lots != 0 && genesis > 200 {
                trade(VAULT, OTHER, 0, lots, 100);
            }
            (20..24).for_each(|owner| give_wallet(owner, usd(2_000)));
            let sums = uncustodied();
            let mut last = settled_value();
            for step in steps {
                match step {
                    Step::Enter(owner, amount) => {
                        let _refused = enter(owner, amount);
                    }
                    Step::Leave(owner, part) => {
                        let _refused = leave(owner, holding(owner).shares * part / 1_000_000);
                    }
                    Step::Give(amount) => {
                        fund_vault(amount);
                        Liquidation::gave_vault(amount);
                    }
                    Step::Closes(many) => (0..many).for_each(|_| still()),
                    Step::Mark(mark) => {
                        close_at(mark);
                        last = None;
                    }
                    Step::Block(owner) => {
                        if Blocked::take(owner).is_none() {
                            Blocked::insert(owner, ());
                        }
                    }
                }
                prop_assert_eq!(uncustodied(), sums);
                Liquidation::do_try_state().unwrap();
                let now = settled_value();
                if let (Some(last), Some(now)) = (last, now) {
                    prop_assert!(
                        now.assets * last.supply >= last.assets * now.supply,
                        "{:?} became {:?}", last, now
                    );
                }
                last = now.or(last);
            }
            Ok(())
        })?;
    }

    #[test]
    fn all_shares_have_their_parts_when_much_is_given_gained_and_lost(
        own in 10i128..1_000,
        events in prop::collection::vec(
            (prop_oneof![Just(0), usd(0)..usd(3_000_000)], -usd(2_000_000)..usd(2_000_000), 0u32..12),
            1..12,
        ),
    ) {
        new_test_ext().execute_with(|| {
            an_investor(20, usd(own));
            unlock();
            for (given, result, closes) in events {
                if given > 0 {
                    give(given);
                }
                still();
                prop_assert_eq!(Backstop::<Test>::get().given, 0);
                let (shares, protocol) = (holding(20).shares, holding(VAULT).shares);
                prop_assert_eq!(shares + protocol, Backstop::<Test>::get().shares);
                // No more is lost than there is, which would be the fund's.
                let before = assess(VAULT).equity;
                let result = result.max(-before);
                fund_vault(result);
                if let Some(value) = Pallet::<Test>::share_value().unwrap().1 {
                    // Each share's part of all; nobody's thousand beside them have less than a thousandth of a quantum each.
                    let part = |owner| value.worth_floor(holding(owner).shares).unwrap();
                    let (equity, all) = (before + result, part(20) + part(VAULT));
                    let nobodys = value.worth_ceil(SHARES_PER_QUANTUM).unwrap();
                    prop_assert!(all <= equity && equity < all + nobodys + 2);
                    let exact = novate_types::math::mul_div_floor(
                        equity.unsigned_abs(), shares, shares + protocol,
                    ).unwrap();
                    prop_assert!(exact.abs_diff(part(20).unsigned_abs()) <= nobodys.unsigned_abs() + 2);
                }
                (0..closes).for_each(|_| still());
            }
            // Whatever happened, a gift opens the way in and out.
            give(usd(10));
            give_wallet(21, usd(10));
            assert_ok!(enter(21, usd(10)));
            assert_ok!(leave(20, holding(20).shares));
            end_epoch();
            still();
            prop_assert!(holding(21).shares > 0);
            prop_assert!(!ShareHoldings::<Test>::contains_key(20));
            Ok(())
        })?;
    }

    #[test]
    fn it_does_not_matter_in_which_order_requests_of_an_epoch_come(
        wishes in prop::collection::vec((20u64..24, any::<bool>(), 10_000_000u128..100_000_000), 1..9),
        seed in any::<u64>(),
    ) {
        let outcome = |wishes: &[(u64, bool, u128)]| {
            new_test_ext().execute_with(|| {
                fund_vault(usd(333));
                deposit(OTHER, usd(100_000));
                for owner in 20..24 {
                    give_wallet(owner, usd(1_000));
                    enter(owner, usd(123)).unwrap();
                }
                end_epoch();
                unlock();
                // 825 of cash, of which 300 are needed.
                trade(VAULT, OTHER, 0, 30, 100);
                close_at(103);
                for (owner, enters, amount) in wishes {
                    let done = if *enters {
                        enter(*owner, *amount as Cash)
                    } else {
                        leave(*owner, amount * SHARES_PER_QUANTUM)
                    };
                    // What is refused would be refused in another order, too: one kind an owner.
                    let _refused = done;
                }
                end_epoch();
                (0..3).for_each(|_| still());
                (20..24)
                    .map(|owner| (wallet(owner), holding(owner).shares, holding(owner).waiting))
                    .collect::<Vec<_>>()
            })
        };
        // One request an owner, so that none is refused for another of its own.
        let mut by_owner = std::collections::BTreeMap::new();
        for wish in wishes {
            by_owner.insert(wish.0, wish);
        }
        let mut one: Vec<_> = by_owner.into_values().collect();
        let first = outcome(&one);
        let turn = seed as usize % one.len();
        one.rotate_left(turn);
        one.reverse();
        prop_assert_eq!(first, outcome(&one));
    }
}

#[test]
fn wishes_count_whichever_way_they_are_asked() {
    let mut sums = crate::Wishes::default();
    sums.count(&ShareWish::Enter(5)).unwrap();
    sums.count(&ShareWish::Leave(7)).unwrap();
    assert_eq!((sums.entering, sums.leaving), (5, 7));
}
