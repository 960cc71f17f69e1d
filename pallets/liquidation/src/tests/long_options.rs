//! What the remedies do to an account whose long options are worth more than all else. Numbers are worked out by hand beside them.

use super::{ending::call, *};

/// Across from [`LONG`] in market 1.
const ACROSS: u64 = 20;

/// [`LONG`] holds 10 calls at 20, bought of [`SHORT`], 10 lots of market 1 at 100, and 100 USD of cash.
fn a_holder_of_calls() {
    close(|view| call(view, 20, 100));
    deposit(VAULT, usd(10_000));
    deposit(LONG, usd(300));
    deposit(SHORT, usd(100_000));
    deposit(ACROSS, usd(10_000));
    trade(LONG, SHORT, 0, 10, 20);
    trade(LONG, ACROSS, 1, 10, 100);
    assert_eq!(account(LONG).cash, usd(100));
}

/// Closes until nothing more is done to [`LONG`], which nobody bids for; how many.
fn close_until_let_go() -> u32 {
    let mut closes = 0;
    while is_queued(LONG) {
        close(|_| {});
        closes += 1;
        assert!(closes < 100, "it never ends");
    }
    closes
}

#[test]
fn the_vault_leaves_an_account_its_options_when_the_rest_has_something_left() {
    new_test_ext().execute_with(|| {
        a_holder_of_calls();
        let sums = totals();
        // 100 − 80 against 46: what it can sell its options for covers that, and it is in no hurry.
        close(|view| set_mark(view, 1, 92));
        assert!(is_queued(LONG));
        assert!(matches!(standing(LONG), Standing::Liquidating { .. }));
        assert!(close_until_let_go() > 20);
        assert_eq!(totals(), sums);
        let left = account(LONG);
        assert_eq!((left.lots(0), left.lots(1), left.cash), (10, 0, 0));
        let found = assess(LONG);
        assert_eq!((found.equity, found.maintenance), (usd(200), usd(200)));
        assert_eq!(standing(LONG), Standing::Good);
        assert_eq!(assess(VAULT).equity, usd(10_020));
        assert_eq!(account(VAULT).lots(0), 0);
    });
}

#[test]
fn the_vault_takes_as_many_options_as_pay_when_the_rest_is_below_nothing() {
    new_test_ext().execute_with(|| {
        a_holder_of_calls();
        let sums = totals();
        // 100 − 150: three calls at 18 pay for that, two do not.
        close(|view| set_mark(view, 1, 85));
        close_until_let_go();
        assert_eq!(totals(), sums);
        assert_eq!((account(LONG).lots(0), account(VAULT).lots(0)), (7, 3));
        assert_eq!(assess(LONG).equity, usd(140));
        assert_eq!(assess(VAULT).equity, usd(10_000 + 60 - 50));
    });
}

#[test]
fn writers_pay_nothing_when_a_perpetual_made_the_deficit() {
    new_test_ext().execute_with(|| {
        a_holder_of_calls();
        let sums = totals();
        // 100 − 400 + 200: 100 are missing.
        close(|view| set_mark(view, 1, 60));
        close_until_let_go();
        let empty = account(LONG);
        assert!(empty.positions.is_empty() && empty.cash == 0);
        assert_eq!(account(SHORT).lots(0), 0);
        assert_eq!(assess(SHORT).equity, usd(100_000));
        assert_eq!(assess(ACROSS).equity, usd(10_000 + 400 - 100));
        assert_eq!(totals().1, sums.1);
    });
}

#[test]
fn the_largest_come_first_when_options_are_deleveraged() {
    new_test_ext().execute_with(|| {
        close(|view| call(view, 5, 100));
        for owner in 10..14 {
            deposit(owner, usd(10_000));
        }
        trade(10, 12, 0, 2, 5);
        trade(11, 13, 0, 20, 5);
        let bucket = |owner| account(owner).position(0).unwrap().rank.bucket;
        // Of longs the lowest bucket is read first, of shorts the highest.
        assert!(bucket(11) < bucket(10));
        assert!(bucket(13) > bucket(12));
        // Whoever adds to its position moves up, and no price moves anybody.
        trade(10, 12, 0, 50, 5);
        assert!(bucket(10) < bucket(11) && bucket(12) > bucket(13));
        let before = [10, 11, 12, 13].map(bucket);
        close(|view| call(view, 1, 60));
        close(|view| call(view, 9, 120));
        assert_eq!([10, 11, 12, 13].map(bucket), before);
    });
}
