use crate::{mock::*, Accounts, Collaterals, Custody, Error, Event, Subaccounts};
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
            // What has no price shields an account from liquidation; nobody under margin buys that with a grain of it.
            price_is_fresh(false);
            assert_noop!(deposit(ALICE, 0, WETH, 1), Error::<Test>::NoFreshPrice);
            assert_eq!(held(ALICE, 0).standing, standing);
        }
        assert_eq!(cash(ALICE, 0), 3_000_000);
        assert_ok!(deposit(BOB, 0, WETH, ETHER));
    });
}

#[test]
fn deposit_is_refused_when_the_account_holds_too_many_assets() {
    run(|| {
        for asset in MANY..MANY + 9 {
            Collaterals::<Test>::mutate(|all| all.try_insert(asset, wbtc()).unwrap());
        }
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
