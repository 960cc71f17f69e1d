use crate::{mock::*, Collaterals, Error, Event, PendingCollaterals, MAX_COLLATERAL_ASSETS};
use frame_support::{assert_noop, assert_ok};
use novate_types::{AssetId, CollateralParams, Ledger, QUANTUMS};
use sp_runtime::{DispatchError::BadOrigin, DispatchResult};

fn schedule(asset: AssetId, new: CollateralParams) -> DispatchResult {
    Margin::schedule_collateral(RuntimeOrigin::root(), asset, new)
}

fn in_force(asset: AssetId) -> Option<CollateralParams> {
    <Margin as Ledger<u64>>::collaterals()
        .into_iter()
        .find(|(a, _)| *a == asset)
        .map(|(_, p)| p)
}

#[test]
fn asset_is_listed_when_the_timelock_has_passed() {
    run(|| {
        assert_ok!(schedule(WBTC, wbtc()));
        assert_eq!(
            last_event(),
            Event::CollateralScheduled {
                asset: WBTC,
                new_value: wbtc(),
                due: 11
            }
        );
        begin(10);
        assert_noop!(deposit(ALICE, 0, WBTC, 10), Error::<Test>::UnknownAsset);
        begin(11);
        let (old_value, new_value) = (None, wbtc());
        assert_eq!(
            last_event(),
            Event::CollateralChanged {
                asset: WBTC,
                old_value,
                new_value
            }
        );
        assert_noop!(ask(ALICE, 0, WBTC, 10), Error::<Test>::NoFreshPrice);
        close();
        assert_ok!(deposit(ALICE, 0, WBTC, 10));
        assert_eq!(
            <Margin as Ledger<u64>>::collaterals(),
            [(WETH, weth()), (WBTC, wbtc())]
        );
        assert!(PendingCollaterals::<Test>::get().is_empty());
    });
}

#[test]
fn parameters_change_when_the_timelock_has_passed() {
    run(|| {
        let new_value = CollateralParams {
            haircut: 90_000,
            global_cap: 1_250 * ETHER,
            ..weth()
        };
        assert_ok!(schedule(WETH, new_value));
        begin(10);
        assert_eq!(in_force(WETH), Some(weth()));
        begin(11);
        assert_eq!(in_force(WETH), Some(new_value));
        let old_value = Some(weth());
        assert_eq!(
            last_event(),
            Event::CollateralChanged {
                asset: WETH,
                old_value,
                new_value
            }
        );
    });
}

#[test]
fn scheduling_is_refused_when_the_origin_is_not_governance() {
    run(|| {
        for origin in [
            RuntimeOrigin::none(),
            RuntimeOrigin::signed(NOBODY),
            RuntimeOrigin::signed(EMERGENCY),
        ] {
            assert_noop!(Margin::schedule_collateral(origin, WBTC, wbtc()), BadOrigin);
        }
    });
}

#[test]
fn scheduling_is_refused_when_a_bound_is_broken() {
    type E = Error<Test>;
    run(|| {
        for (asset, new, error) in [
            (UNKNOWN, wbtc(), E::NoSuchAsset),
            (
                USDC,
                CollateralParams {
                    decimals: 6,
                    ..weth()
                },
                E::IsSettlementAsset,
            ),
            (
                WBTC,
                CollateralParams {
                    feed: FEEDS,
                    ..wbtc()
                },
                E::UnknownFeed,
            ),
            (
                WBTC,
                CollateralParams {
                    decimals: 7,
                    ..wbtc()
                },
                E::WrongDecimals,
            ),
            (
                WBTC,
                CollateralParams {
                    decimals: u8::MAX,
                    ..wbtc()
                },
                E::WrongDecimals,
            ),
            (
                WBTC,
                CollateralParams {
                    haircut: 200_001,
                    ..wbtc()
                },
                E::InvalidHaircuts,
            ),
            (
                WBTC,
                CollateralParams {
                    large_haircut: 1_000_001,
                    ..wbtc()
                },
                E::InvalidHaircuts,
            ),
            (
                WBTC,
                CollateralParams {
                    haircut: u32::MAX,
                    large_haircut: u32::MAX,
                    ..wbtc()
                },
                E::InvalidHaircuts,
            ),
            (
                WBTC,
                CollateralParams {
                    large_value: -1,
                    ..wbtc()
                },
                E::InvalidAmounts,
            ),
            (
                WBTC,
                CollateralParams {
                    value_cap: i128::MIN,
                    ..wbtc()
                },
                E::InvalidAmounts,
            ),
            (
                WBTC,
                CollateralParams {
                    global_cap: u128::MAX,
                    ..wbtc()
                },
                E::InvalidAmounts,
            ),
        ] {
            assert_noop!(schedule(asset, new), error);
        }
    });
}

#[test]
fn change_is_refused_when_it_is_none_or_more_than_a_step() {
    type E = Error<Test>;
    run(|| {
        for (new, error) in [
            (weth(), E::Unchanged),
            (
                CollateralParams { feed: 2, ..weth() },
                E::FeedAndDecimalsFixed,
            ),
            (
                CollateralParams {
                    decimals: 17,
                    ..weth()
                },
                E::FeedAndDecimalsFixed,
            ),
            (
                CollateralParams {
                    haircut: 125_001,
                    ..weth()
                },
                E::StepTooLarge,
            ),
            (
                CollateralParams {
                    large_haircut: 250_001,
                    ..weth()
                },
                E::StepTooLarge,
            ),
            (
                CollateralParams {
                    large_value: 125_000 * QUANTUMS + 1,
                    ..weth()
                },
                E::StepTooLarge,
            ),
            (
                CollateralParams {
                    value_cap: 750_000 * QUANTUMS - 1,
                    ..weth()
                },
                E::StepTooLarge,
            ),
            (
                CollateralParams {
                    global_cap: 1_250 * ETHER + 1,
                    ..weth()
                },
                E::StepTooLarge,
            ),
        ] {
            assert_noop!(schedule(WETH, new), error);
        }
        assert_ok!(schedule(
            WETH,
            CollateralParams {
                haircut: 125_000,
                ..weth()
            }
        ));
        assert_noop!(
            schedule(
                WETH,
                CollateralParams {
                    haircut: 90_000,
                    ..weth()
                }
            ),
            E::ChangePending
        );
    });
}

#[test]
fn change_waits_for_a_sweep_when_holdings_become_worth_less() {
    for worse in [
        CollateralParams {
            haircut: 101_000,
            ..weth()
        },
        CollateralParams {
            large_haircut: 201_000,
            ..weth()
        },
        CollateralParams {
            large_value: 99_000 * QUANTUMS,
            ..weth()
        },
        CollateralParams {
            value_cap: 999_000 * QUANTUMS,
            ..weth()
        },
    ] {
        run(|| {
            System::set_block_number(5);
            assert_ok!(schedule(WETH, worse));
            assert_eq!(Margin::collateral_ahead(WETH), Some(worse));
            sweep_began_at(4);
            begin(100);
            assert_eq!(in_force(WETH), Some(weth()));
            sweep_began_at(5);
            begin(101);
            assert_eq!(in_force(WETH), Some(worse));
        });
    }
}

#[test]
fn change_does_not_wait_when_holdings_become_worth_more_or_the_asset_is_new() {
    run(|| {
        sweep_began_at(0);
        let better = CollateralParams {
            haircut: 99_000,
            value_cap: 1_100_000 * QUANTUMS,
            ..weth()
        };
        assert_ok!(schedule(WETH, better));
        assert_ok!(schedule(WBTC, wbtc()));
        assert_eq!(Margin::collateral_ahead(WETH), Some(weth()));
        assert_eq!(Margin::collateral_ahead(WBTC), None);
        begin(11);
        assert_eq!(
            (in_force(WETH), in_force(WBTC)),
            (Some(better), Some(wbtc()))
        );
    });
}

#[test]
fn change_is_dropped_when_it_is_no_longer_allowed() {
    run(|| {
        assert_ok!(schedule(
            WETH,
            CollateralParams {
                haircut: 120_000,
                ..weth()
            }
        ));
        Collaterals::<Test>::mutate(|all| all.get_mut(&WETH).unwrap().haircut = 50_000);
        begin(11);
        assert_eq!(in_force(WETH).unwrap().haircut, 50_000);
        let error = Error::<Test>::StepTooLarge.into();
        assert_eq!(
            last_event(),
            Event::CollateralDropped { asset: WETH, error }
        );
        assert!(PendingCollaterals::<Test>::get().is_empty());
    });
}

#[test]
fn asset_is_refused_when_listed_and_scheduled_ones_fill_the_view() {
    run(|| {
        for asset in 1_000..1_000 + MAX_COLLATERAL_ASSETS - 2 {
            Collaterals::<Test>::mutate(|all| all.try_insert(asset, wbtc()).unwrap());
        }
        assert_ok!(schedule(WBTC, wbtc()));
        let full = Error::<Test>::TooManyCollaterals;
        assert_noop!(
            schedule(
                MANY,
                CollateralParams {
                    decimals: 0,
                    ..wbtc()
                }
            ),
            full
        );
        // Those that are listed can still change.
        assert_ok!(schedule(
            WETH,
            CollateralParams {
                haircut: 99_000,
                ..weth()
            }
        ));
        begin(11);
        assert_eq!(
            Collaterals::<Test>::get().len() as u32,
            MAX_COLLATERAL_ASSETS
        );
    });
}

#[test]
fn scheduling_is_refused_when_the_timelock_ends_beyond_the_last_block() {
    run(|| {
        System::set_block_number(u32::MAX);
        assert_noop!(schedule(WBTC, wbtc()), Error::<Test>::OutOfRange);
    });
}
