use crate::{
    mock::*, Accounts, AtClose, Collaterals, Custody, Deferred, Error, Event, Subaccounts,
};
use frame_support::{assert_noop, assert_ok, traits::fungibles::Mutate};
use novate_types::{MarginAccount, Standing};
use sp_runtime::DispatchError::BadOrigin;

#[test]
fn settlement_currency_becomes_cash_and_opens_the_account() {
    run(|| {
        assert_ok!(deposit(ALICE, 5, USDC, 70 * UNIT));
        assert_eq!(cash(ALICE, 5), 70_000_000);
        assert_eq!(wallet(ALICE, USDC), WALLET - 70 * UNIT);
        assert_eq!(Custody::<Test>::get(USDC), 1_070 * UNIT);
        let of = account(ALICE, 5);
        assert_eq!(
            events(),
            [
                Event::AccountOpened { account: of },
                Event::Deposited {
                    account: of,
                    asset: USDC,
                    amount: 70 * UNIT
                }
            ]
        );
        assert_ok!(deposit(ALICE, 5, USDC, 1));
        assert_eq!(cash(ALICE, 5), 70_000_001);
        assert_eq!(Subaccounts::<Test>::get(ALICE), 1);
    });
}

#[test]
fn other_assets_become_collateral() {
    run(|| {
        assert_ok!(deposit(ALICE, 0, WETH, ETHER));
        assert_ok!(deposit(ALICE, 0, WETH, 2 * ETHER));
        let held = held(ALICE, 0);
        assert_eq!(
            (held.cash, held.collateral.to_vec()),
            (0, vec![(WETH, 3 * ETHER)])
        );
        assert_eq!(custody(WETH), 3 * ETHER);
    });
}

fn left(owner: u64, sub: u8, amount: u128) -> Deferred<u64> {
    Deferred::Deposit {
        account: account(owner, sub),
        asset: WETH,
        amount,
    }
}

fn dropped(owner: u64, amount: u128, error: Error<Test>) -> Event<Test> {
    Event::Dropped {
        what: left(owner, 0, amount),
        error: error.into(),
    }
}

#[test]
fn collateral_stays_in_the_wallet_until_the_close() {
    run(|| {
        assert_ok!(ask(ALICE, 0, WETH, ETHER));
        let what = left(ALICE, 0, ETHER);
        assert_eq!(events(), [Event::LeftToClose { what }]);
        assert_eq!(wallet(ALICE, WETH), 5_000 * ETHER);
        assert!(!Accounts::<Test>::contains_key(account(ALICE, 0)));
        System::reset_events();
        close();
        let of = account(ALICE, 0);
        let expected = [
            Event::AccountOpened { account: of },
            Event::Deposited {
                account: of,
                asset: WETH,
                amount: ETHER,
            },
        ];
        assert_eq!(events(), expected);
        assert_eq!(wallet(ALICE, WETH), 4_999 * ETHER);
        assert!(!AtClose::<Test>::exists());
        System::reset_events();
        close();
        assert_eq!(events(), []);
    });
}

#[test]
fn weight_of_collateral_prepays_the_close() {
    use frame_support::dispatch::GetDispatchInfo;
    let weight = |asset| {
        let (sub, amount) = (0, 1);
        let call = crate::Call::<Test>::deposit { sub, asset, amount };
        call.get_dispatch_info().call_weight
    };
    assert!(weight(WETH).all_gte(weight(USDC).saturating_mul(2)));
}

/// Every order of `all`.
fn orders<T: Clone>(all: &[T]) -> Vec<Vec<T>> {
    let Some((last, others)) = all.split_last() else {
        return vec![vec![]];
    };
    let insert = |order: Vec<T>| (0..=others.len()).map(move |at| (order.clone(), at));
    orders(others)
        .into_iter()
        .flat_map(insert)
        .map(|(mut order, at)| {
            order.insert(at, last.clone());
            order
        })
        .collect()
}

#[test]
fn order_of_a_blocks_deposits_is_worth_nothing_when_they_exceed_the_cap() {
    // 1,000 fit; every two of the three large ones exceed it.
    let deposits = [
        (ALICE, 600 * ETHER),
        (BOB, 600 * ETHER),
        (EMERGENCY, 700 * ETHER),
        (FUND, 300 * ETHER),
    ];
    let mut winners = std::collections::BTreeSet::new();
    for parent in 0..16u8 {
        let mut outcomes = Vec::new();
        for order in orders(&deposits) {
            new_test_ext().execute_with(|| {
                for owner in [EMERGENCY, FUND] {
                    assert_ok!(<Assets as Mutate<u64>>::mint_into(
                        WETH,
                        &owner,
                        5_000 * ETHER
                    ));
                }
                let parent = sp_core::H256::repeat_byte(parent);
                System::initialize(&2, &parent, &Default::default());
                for (owner, amount) in order {
                    assert_ok!(ask(owner, 0, WETH, amount));
                }
                close();
                assert!(Custody::<Test>::get(WETH) <= weth().global_cap);
                Margin::do_try_state().unwrap();
                let went: Vec<Event<Test>> = events().into_iter().skip(deposits.len()).collect();
                System::reset_events();
                let root = sp_io::storage::root(sp_runtime::StateVersion::V1);
                outcomes.push((root, went));
            });
        }
        assert_eq!(outcomes.len(), 24);
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]));
        let full = dropped(ALICE, 600 * ETHER, Error::GlobalCapReached);
        winners.insert(outcomes[0].1.contains(&full));
    }
    // Nobody is always first.
    assert_eq!(winners.len(), 2);
}

#[test]
fn an_owners_deposits_are_taken_in_the_order_of_asking() {
    run(|| {
        for (sub, amount) in [(0, 700 * ETHER), (1, 400 * ETHER), (2, 300 * ETHER)] {
            assert_ok!(ask(ALICE, sub, WETH, amount));
        }
        close();
        let what = left(ALICE, 1, 400 * ETHER);
        let error = Error::<Test>::GlobalCapReached.into();
        assert!(events().contains(&Event::Dropped { what, error }));
        assert!(!Accounts::<Test>::contains_key(account(ALICE, 1)));
        assert_eq!(Custody::<Test>::get(WETH), 1_000 * ETHER);
    });
}

#[test]
fn deposit_is_dropped_when_the_wallet_was_emptied_meanwhile() {
    run(|| {
        assert_ok!(ask(ALICE, 0, WETH, ETHER));
        let all = 5_000 * ETHER;
        assert_ok!(Assets::transfer(
            RuntimeOrigin::signed(ALICE),
            WETH,
            BOB,
            all
        ));
        let before = System::event_count();
        close();
        assert_eq!(last_event(), dropped(ALICE, ETHER, Error::NotSpendable));
        assert_eq!(System::event_count(), before + 1);
        assert!(!Accounts::<Test>::contains_key(account(ALICE, 0)));
    });
}

#[test]
fn cap_lowered_in_the_same_block_stops_deposits_asked_before_and_after() {
    run(|| {
        let lower = || Margin::lower_global_cap(RuntimeOrigin::signed(EMERGENCY), WETH, ETHER - 1);
        assert_ok!(ask(ALICE, 0, WETH, ETHER));
        assert_ok!(lower());
        assert_ok!(ask(BOB, 0, WETH, ETHER));
        close();
        for owner in [ALICE, BOB] {
            assert!(events().contains(&dropped(owner, ETHER, Error::GlobalCapReached)));
        }
        assert_noop!(ask(BOB, 0, WETH, ETHER), Error::<Test>::GlobalCapReached);
    });
}

#[test]
fn owner_is_not_reaped_when_everything_is_deposited() {
    run(|| {
        // No native currency, and the sufficient asset that kept the account alive leaves it.
        assert_eq!(System::providers(&POOR), 0);
        assert_ok!(deposit(POOR, 0, USDC, WALLET));
        assert_eq!(wallet(POOR, USDC), 0);
        assert!(System::account_exists(&POOR));
        assert_eq!(System::providers(&POOR), 1);
    });
}

#[test]
fn owner_has_one_reference_when_many_accounts_are_open() {
    run(|| {
        let before = System::providers(&ALICE);
        for sub in [0, 1, 255] {
            assert_ok!(deposit(ALICE, sub, USDC, UNIT));
        }
        assert_eq!(Subaccounts::<Test>::get(ALICE), 3);
        assert_eq!(System::providers(&ALICE), before + 1);
    });
}

#[test]
fn deposit_is_refused_when_the_origin_does_not_sign() {
    run(|| {
        for origin in [RuntimeOrigin::none(), RuntimeOrigin::root()] {
            assert_noop!(Margin::deposit(origin, 0, USDC, UNIT), BadOrigin);
        }
    });
}

#[test]
fn deposit_is_refused_when_the_amount_is_zero() {
    run(|| {
        assert_noop!(deposit(ALICE, 0, USDC, 0), Error::<Test>::ZeroAmount);
    });
}

#[test]
fn deposit_is_refused_when_the_asset_is_not_taken() {
    run(|| {
        for asset in [WBTC, UNKNOWN, u32::MAX] {
            assert_noop!(deposit(ALICE, 0, asset, 1), Error::<Test>::UnknownAsset);
        }
    });
}

#[test]
fn deposit_is_refused_when_the_wallet_cannot_spend_it() {
    run(|| {
        for amount in [WALLET + 1, u128::MAX] {
            assert_noop!(deposit(ALICE, 0, USDC, amount), Error::<Test>::NotSpendable);
        }
        assert_noop!(deposit(NOBODY, 0, USDC, 1), Error::<Test>::NotSpendable);
        assert_ok!(Assets::freeze_asset(RuntimeOrigin::signed(NOBODY), USDC));
        assert_noop!(deposit(ALICE, 0, USDC, 1), Error::<Test>::NotSpendable);
    });
}

#[test]
fn deposit_is_refused_when_the_global_cap_is_reached() {
    run(|| {
        assert_ok!(deposit(ALICE, 0, WETH, 999 * ETHER));
        assert_noop!(
            deposit(BOB, 0, WETH, ETHER + 1),
            Error::<Test>::GlobalCapReached
        );
        assert_ok!(deposit(BOB, 0, WETH, ETHER));
        assert_noop!(deposit(BOB, 0, WETH, 1), Error::<Test>::GlobalCapReached);
        assert_noop!(deposit(BOB, 0, WETH, u128::MAX), Error::<Test>::OutOfRange);
    });
}

#[test]
fn gifts_to_custody_take_no_room_under_the_cap() {
    run(|| {
        let gift = Assets::transfer(
            RuntimeOrigin::signed(BOB),
            WETH,
            Margin::custody_account(),
            900 * ETHER,
        );
        assert_ok!(gift);
        assert_ok!(deposit(ALICE, 0, WETH, 1_000 * ETHER));
    });
}

#[test]
fn deposit_is_taken_when_the_account_is_liquidated_or_frozen() {
    run(|| {
        assert_ok!(deposit(ALICE, 0, USDC, UNIT));
        let under = Standing::Liquidating {
            since: 1,
            closes: 0,
        };
        for standing in [under, Standing::Frozen] {
            Accounts::<Test>::mutate(account(ALICE, 0), |a| {
                a.as_mut().unwrap().standing = standing
            });
            assert_ok!(deposit(ALICE, 0, USDC, UNIT));
            price_is_fresh(true);
            assert_ok!(deposit(ALICE, 0, WETH, ETHER));
            assert_eq!(held(ALICE, 0).standing, standing);
        }
        assert_eq!(cash(ALICE, 0), 3_000_000);
    });
}

/// What has no price shields its account from liquidation. Nobody buys that with a grain of it, neither under margin nor before.
#[test]
fn deposit_is_refused_when_the_asset_has_no_fresh_price() {
    run(|| {
        assert_ok!(deposit(ALICE, 0, USDC, UNIT));
        let under = Standing::Liquidating {
            since: 1,
            closes: 0,
        };
        for standing in [Standing::Good, under, Standing::Frozen] {
            Accounts::<Test>::mutate(account(ALICE, 0), |a| {
                a.as_mut().unwrap().standing = standing
            });
            price_is_fresh(false);
            assert_noop!(ask(ALICE, 0, WETH, 1), Error::<Test>::NoFreshPrice);
            assert_ok!(deposit(ALICE, 0, USDC, UNIT));
            price_is_fresh(true);
            assert_ok!(ask(ALICE, 0, WETH, 1));
            price_is_fresh(false);
            close();
            assert_eq!(last_event(), dropped(ALICE, 1, Error::NoFreshPrice));
        }
    });
}

#[test]
fn deposit_is_refused_when_no_close_has_seen_the_asset() {
    run(|| {
        Collaterals::<Test>::mutate(|all| all.try_insert(WBTC, wbtc()).unwrap());
        assert_noop!(ask(ALICE, 0, WBTC, 10), Error::<Test>::NoFreshPrice);
        close();
        assert_ok!(ask(ALICE, 0, WBTC, 10));
    });
}

#[test]
fn deposit_is_refused_when_the_account_holds_too_many_assets() {
    run(|| {
        for asset in MANY..MANY + 9 {
            Collaterals::<Test>::mutate(|all| all.try_insert(asset, wbtc()).unwrap());
        }
        look();
        for asset in MANY..MANY + 8 {
            assert_ok!(deposit(ALICE, 0, asset, 1));
        }
        assert_noop!(deposit(ALICE, 0, MANY + 8, 1), Error::<Test>::ListFull);
        // The ones it has can still grow, and another account can take the ninth.
        assert_ok!(deposit(ALICE, 0, MANY, 1));
        assert_ok!(deposit(ALICE, 1, MANY + 8, 1));
    });
}

#[test]
fn deposit_is_refused_when_cash_would_leave_its_range() {
    new_test_ext().execute_with(|| {
        assert_ok!(deposit(ALICE, 0, USDC, UNIT));
        Accounts::<Test>::mutate(account(ALICE, 0), |a| a.as_mut().unwrap().cash = i128::MAX);
        assert_noop!(deposit(ALICE, 0, USDC, 1), Error::<Test>::OutOfRange);
        assert_ok!(<Assets as Mutate<u64>>::mint_into(USDC, &BOB, 1 << 127));
        assert_noop!(deposit(BOB, 0, USDC, 1 << 127), Error::<Test>::OutOfRange);
    });
}

#[test]
fn deposit_is_refused_when_custody_cannot_hold_so_little() {
    run(|| {
        Collaterals::<Test>::mutate(|all| all.try_insert(WBTC, wbtc()).unwrap());
        look();
        // The asset's minimum balance is ten.
        assert_noop!(deposit(ALICE, 0, WBTC, 9), Error::<Test>::NotMoved);
        assert_ok!(deposit(ALICE, 0, WBTC, 10));
        assert_ok!(deposit(ALICE, 0, WBTC, 1));
        assert_eq!(custody(WBTC), 11);
    });
}

#[test]
fn ledger_takes_only_what_arrives_when_dust_is_burnt_in_the_wallet() {
    run(|| {
        Collaterals::<Test>::mutate(|all| all.try_insert(WBTC, wbtc()).unwrap());
        look();
        // 1,000 in the wallet: five would be left, less than the minimum.
        assert_ok!(deposit(ALICE, 0, WBTC, 995));
        assert_eq!(wallet(ALICE, WBTC), 0);
        assert_eq!(custody(WBTC), 995);
        assert_eq!(held(ALICE, 0).collateral.to_vec(), [(WBTC, 995)]);
    });
}

#[test]
fn account_opens_good_and_in_the_first_fee_tier() {
    run(|| {
        assert_ok!(deposit(ALICE, 0, USDC, UNIT));
        let expected = MarginAccount {
            cash: 1_000_000,
            next_sequence: 65_536,
            next_generation: held(ALICE, 0).next_generation,
            ..Default::default()
        };
        assert_eq!(held(ALICE, 0), expected);
    });
}
