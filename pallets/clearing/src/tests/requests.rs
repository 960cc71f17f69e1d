use crate::{mock::*, Action, Event, Pallet, Refusal, Request};
use novate_types::{
    AccountRef, Cash, Ledger, LedgerError, RiskView, Side, Standing, FUNDING_FRACTION_BITS,
};

fn signed(owner: u64) -> RuntimeOrigin {
    RuntimeOrigin::signed(owner)
}

fn withdraw(owner: u64, units: Cash) {
    Clearing::withdraw(signed(owner), 0, USDC, cash(units).unsigned_abs()).unwrap();
}

fn transfer(owner: u64, to: Account, units: Cash) {
    Clearing::transfer(signed(owner), 0, to, USDC, cash(units).unsigned_abs()).unwrap();
}

/// What became of the requests since the last call: `None` where executed.
fn outcomes() -> Vec<Option<Refusal>> {
    let found = events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Executed { .. } => Some(None),
            Event::Dropped { reason, .. } => Some(Some(reason)),
            _ => None,
        })
        .collect();
    System::reset_events();
    found
}

fn wallet(owner: u64) -> u128 {
    Wallets::get((owner, USDC)).unwrap_or(0)
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

fn set_standing(owner: u64, standing: Standing) {
    Accounts::mutate(of(owner), |a| a.as_mut().unwrap().standing = standing);
}

#[test]
fn a_withdrawal_waits_for_the_close_and_pays_the_wallet() {
    new_test_ext().execute_with(|| {
        deposit(ALICE, 100);
        withdraw(ALICE, 40);
        assert_eq!((cash_of(ALICE), wallet(ALICE)), (cash(100), 0));
        run(1);
        assert_eq!((cash_of(ALICE), wallet(ALICE)), (cash(60), 40_000_000));
        let request = Request {
            owner: ALICE,
            action: Action::Withdraw { sub: 0 },
            asset: USDC,
            amount: 40_000_000,
        };
        assert!(events().contains(&Event::Executed { id: 0, request }));
        assert_eq!(Pallet::<Test>::queued_requests(), 0);
    });
}

#[test]
fn unrealised_profit_never_leaves_when_a_price_was_pushed() {
    new_test_ext().execute_with(|| {
        deposit(ALICE, 1_000);
        deposit(BOB, 100_000);
        open(ALICE, BOB, 500, ticks(20_000));
        set_price(BTC_FEED, usd(21_000));
        run(1);
        // A profit of 500, and 525 of initial margin: 475 of the 1,000 may leave.
        withdraw(ALICE, 1_000);
        withdraw(ALICE, 476);
        withdraw(ALICE, 474);
        System::reset_events();
        run(1);
        let found = outcomes();
        assert!(
            matches!(found[0], Some(Refusal::InsufficientMargin { at_most })
            if at_most > cash(474) && at_most <= cash(475))
        );
        assert!(matches!(found[1], Some(Refusal::InsufficientMargin { .. })));
        assert_eq!(found[2], None);
    });
}

#[test]
fn margin_of_open_orders_stays_when_cash_leaves() {
    new_test_ext().execute_with(|| {
        deposit(ALICE, 1_000);
        // 10,000 USD bid far from the market: 500 of margin and a fee.
        place(ALICE, novate_types::Side::Bid, ticks(20_000), 500);
        withdraw(ALICE, 501);
        withdraw(ALICE, 490);
        run(1);
        let found = outcomes();
        assert!(matches!(found[0], Some(Refusal::InsufficientMargin { .. })));
        assert_eq!(found[1], None);
    });
}

#[test]
fn nothing_leaves_on_a_stale_price_when_the_account_is_not_plain() {
    new_test_ext().execute_with(|| {
        for owner in [ALICE, BOB, CHARLIE] {
            deposit(owner, 10_000);
        }
        deposit_gold(DAVE, 10);
        Accounts::mutate(of(DAVE), |a| a.as_mut().unwrap().cash = 0);
        open(ALICE, BOB, 10, ticks(20_000));
        for _ in 0..7 {
            next_block();
            close();
        }
        System::reset_events();
        withdraw(ALICE, 1);
        withdraw(CHARLIE, 10_000);
        Clearing::withdraw(signed(DAVE), 0, GOLD, 1).unwrap();
        close();
        assert_eq!(
            outcomes(),
            [Some(Refusal::StalePrice), None, Some(Refusal::StalePrice)]
        );
        assert_eq!(wallet(CHARLIE), 10_000_000_000);
    });
}

#[test]
fn collateral_leaves_by_its_haircut_value_when_margin_stays_covered() {
    new_test_ext().execute_with(|| {
        deposit(BOB, 100_000);
        deposit_gold(ALICE, 10);
        // 900 USD of haircut value; 500 lots need 500.
        open(ALICE, BOB, 500, ticks(20_000));
        run(1);
        Clearing::withdraw(signed(ALICE), 0, GOLD, 5_000_000).unwrap();
        Clearing::withdraw(signed(ALICE), 0, GOLD, 4_000_000).unwrap();
        System::reset_events();
        run(1);
        let found = outcomes();
        assert!(
            matches!(found[0], Some(Refusal::InsufficientMargin { at_most })
            if at_most > cash(399) && at_most <= cash(400))
        );
        assert_eq!(found[1], None);
        assert_eq!(Wallets::get((ALICE, GOLD)), Some(4_000_000));
        // All of it, without a position, takes the entry with it.
        deposit_gold(CHARLIE, 1);
        Clearing::withdraw(signed(CHARLIE), 0, GOLD, 1_000_000).unwrap();
        run(1);
        assert_eq!(outcomes(), [None]);
        assert!(Accounts::get(of(CHARLIE)).unwrap().is_plain());
    });
}

#[test]
fn an_account_that_is_not_in_good_standing_pays_nothing_out() {
    new_test_ext().execute_with(|| {
        for (owner, standing) in [
            (
                ALICE,
                Standing::Liquidating {
                    since: 1,
                    closes: 0,
                },
            ),
            (BOB, Standing::Frozen),
        ] {
            deposit(owner, 100);
            set_standing(owner, standing);
            withdraw(owner, 1);
        }
        run(1);
        assert_eq!(outcomes(), [Some(Refusal::UnderLiquidation); 2]);
    });
}

#[test]
fn everything_stays_when_a_deficit_is_uncovered() {
    new_test_ext().execute_with(|| {
        deposit(ALICE, 100);
        deposit(BOB, 100);
        Wallets::insert((ALICE, USDC), 7);
        Paused::put(true);
        withdraw(ALICE, 1);
        transfer(ALICE, of(BOB), 1);
        Clearing::deposit_for(signed(ALICE), of(BOB), USDC, 7).unwrap();
        run(1);
        assert_eq!(
            outcomes(),
            [Some(Refusal::Paused), Some(Refusal::Paused), None]
        );
    });
}

#[test]
fn debits_are_on_the_state_before_when_credits_come_in_the_same_close() {
    new_test_ext().execute_with(|| {
        deposit(ALICE, 100);
        deposit(BOB, 50);
        transfer(ALICE, of(BOB), 100);
        // Bob has 50 of his own; the 100 cannot leave again in this close.
        withdraw(BOB, 50);
        withdraw(BOB, 50);
        run(1);
        assert_eq!(
            outcomes(),
            [None, None, Some(Refusal::InsufficientCash { held: 0 })]
        );
        assert_eq!(
            (cash_of(ALICE), cash_of(BOB), wallet(BOB)),
            (0, cash(100), 50_000_000)
        );
        withdraw(BOB, 100);
        run(1);
        assert_eq!(outcomes(), [None]);
    });
}

#[test]
fn debits_are_on_the_state_before_when_the_credit_is_collateral() {
    new_test_ext().execute_with(|| {
        deposit_gold(ALICE, 2);
        deposit_gold(BOB, 1);
        Clearing::transfer(signed(ALICE), 0, of(BOB), GOLD, 2_000_000).unwrap();
        Clearing::withdraw(signed(BOB), 0, GOLD, 1_000_000).unwrap();
        Clearing::withdraw(signed(BOB), 0, GOLD, 1_000_000).unwrap();
        run(1);
        assert_eq!(
            outcomes(),
            [
                None,
                None,
                Some(Refusal::InsufficientCollateral { held: 0 })
            ]
        );
        assert_eq!(
            Accounts::get(of(BOB)).unwrap().collateral.to_vec(),
            [(GOLD, 2_000_000)]
        );
    });
}

#[test]
fn a_transfer_is_undone_when_its_credit_is_refused() {
    new_test_ext().execute_with(|| {
        deposit(ALICE, 100);
        deposit(BOB, 1);
        set_standing(BOB, Standing::Frozen);
        transfer(ALICE, of(CHARLIE), 10);
        // Cash helps an account that is being deleveraged, and is let in.
        transfer(ALICE, of(BOB), 10);
        run(1);
        assert_eq!(outcomes(), [Some(Refusal::NoRecipient), None]);
        assert_eq!(cash_of(ALICE), cash(90));
        assert_eq!(Accounts::get(of(CHARLIE)), None);
    });
}

#[test]
fn a_deposit_for_another_takes_from_the_wallet_only_what_is_there() {
    new_test_ext().execute_with(|| {
        deposit(BOB, 1);
        Wallets::insert((ALICE, USDC), 5_000_000);
        for amount in [6_000_000, 5_000_000] {
            Clearing::deposit_for(signed(ALICE), of(BOB), USDC, amount).unwrap();
        }
        run(1);
        assert_eq!(
            outcomes(),
            [Some(Refusal::Ledger(LedgerError::Custody)), None]
        );
        assert_eq!((cash_of(BOB), wallet(ALICE)), (cash(6), 0));
    });
}

#[test]
fn anybody_fills_the_fund_and_opens_accounts_of_their_own() {
    new_test_ext().execute_with(|| {
        deposit(ALICE, 100);
        Wallets::insert((ALICE, USDC), 5_000_000);
        Clearing::deposit_for(signed(ALICE), FUND, USDC, 5_000_000).unwrap();
        transfer(ALICE, VAULT, 20);
        transfer(ALICE, AccountRef::new(ALICE, 7), 30);
        run(1);
        assert_eq!(outcomes(), [None; 3]);
        assert_eq!(cash_of(FUND.owner), cash(5));
        assert_eq!(cash_of(VAULT.owner), cash(20));
        // Of the vault, whose shares others hold, it is told.
        assert_eq!(Given::get(), Some(cash(20)));
        assert_eq!(
            Accounts::get(AccountRef::new(ALICE, 7)).unwrap().cash,
            cash(30)
        );
    });
}

#[test]
fn requests_are_carried_over_when_there_are_more_than_a_close_executes() {
    new_test_ext().execute_with(|| {
        MaxRequestsPerClose::set(2);
        deposit(ALICE, 5);
        for _ in 0..5 {
            withdraw(ALICE, 1);
        }
        let mut left = Vec::new();
        for _ in 0..3 {
            run(1);
            left.push(Pallet::<Test>::queued_requests());
        }
        assert_eq!(left, [3, 1, 0]);
        assert_eq!(wallet(ALICE), 5_000_000);
    });
}

#[test]
fn requests_execute_owner_by_owner_when_owners_asked_in_any_order() {
    let executed = |first: u64, second: u64| {
        new_test_ext().execute_with(|| {
            deposit(ALICE, 100);
            deposit(BOB, 100);
            System::reset_events();
            withdraw(first, 1);
            withdraw(second, 2);
            transfer(first, of(second), 3);
            run(1);
            events()
                .into_iter()
                .filter_map(|event| match event {
                    Event::Executed { request, .. } => Some((request.owner, request.amount)),
                    _ => None,
                })
                .collect::<Vec<_>>()
        })
    };
    let units = |n: Cash| cash(n).unsigned_abs();
    let alice_first = executed(ALICE, BOB);
    assert_eq!(
        alice_first,
        vec![(ALICE, units(1)), (ALICE, units(3)), (BOB, units(2))]
    );
    assert_eq!(
        executed(BOB, ALICE),
        vec![(ALICE, units(2)), (BOB, units(1)), (BOB, units(3))]
    );
}

#[test]
fn what_was_shared_is_owed_before_anything_leaves_in_the_same_close() {
    new_test_ext().execute_with(|| {
        deposit(ALICE, 1_000);
        deposit(BOB, 100_000);
        open(ALICE, BOB, 500, ticks(20_000));
        run(1);
        let before = market_view();
        // 500 of initial margin leave 500. Of these 100 are charged: 0.2 to each long lot.
        let per_lot = (cash(100) / 500) << FUNDING_FRACTION_BITS;
        Sharing::put((BTC, Side::Bid, per_lot));
        withdraw(ALICE, 450);
        withdraw(ALICE, 390);
        System::reset_events();
        run(1);
        let found = outcomes();
        assert!(
            matches!(found[0], Some(Refusal::InsufficientMargin { at_most })
            if at_most > cash(390) && at_most <= cash(400))
        );
        assert_eq!(found[1], None);
        // And for good: funding goes on from there, for longs alone.
        run(1);
        let after = market_view();
        let moved = after.funding_index - before.funding_index;
        let moved_of_shorts = after.short_funding_index - before.short_funding_index;
        assert_eq!(moved - moved_of_shorts, per_lot);
    });
}
