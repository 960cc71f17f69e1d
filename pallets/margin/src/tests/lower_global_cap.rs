use crate::{mock::*, Error, Event, PendingCollaterals};
use frame_support::{assert_noop, assert_ok};
use novate_types::CollateralParams;
use sp_runtime::DispatchError::BadOrigin;

fn lower(asset: u32, cap: u128) -> sp_runtime::DispatchResult {
    Margin::lower_global_cap(RuntimeOrigin::signed(EMERGENCY), asset, cap)
}

#[test]
fn deposits_stop_when_the_cap_is_lowered() {
    run(|| {
        assert_ok!(deposit(ALICE, 0, WETH, 10 * ETHER));
        assert_ok!(lower(WETH, 0));
        let old_value = weth().global_cap;
        assert_eq!(
            last_event(),
            Event::GlobalCapLowered {
                asset: WETH,
                old_value,
                new_value: 0
            }
        );
        close();
        assert_noop!(ask(BOB, 0, WETH, 1), Error::<Test>::GlobalCapReached);
        assert_eq!(held(ALICE, 0).collateral.to_vec(), [(WETH, 10 * ETHER)]);
    });
}

#[test]
fn cap_stays_low_when_a_raise_was_scheduled() {
    run(|| {
        let raised = CollateralParams {
            global_cap: 1_100 * ETHER,
            ..weth()
        };
        assert_ok!(Margin::schedule_collateral(
            RuntimeOrigin::root(),
            WETH,
            raised
        ));
        assert_ok!(lower(WETH, 999 * ETHER));
        assert!(events().contains(&Event::CollateralCancelled { asset: WETH }));
        assert!(PendingCollaterals::<Test>::get().is_empty());
    });
}

#[test]
fn cap_leaves_zero_by_the_least_step() {
    run(|| {
        assert_ok!(lower(WETH, 0));
        let raise = |global_cap| {
            let new = CollateralParams {
                global_cap,
                ..weth()
            };
            Margin::schedule_collateral(RuntimeOrigin::root(), WETH, new)
        };
        assert_noop!(raise(5 * ETHER + 1), Error::<Test>::StepTooLarge);
        assert_ok!(raise(5 * ETHER));
    });
}

#[test]
fn cap_is_refused_when_it_is_not_lower_the_asset_unknown_or_the_origin_wrong() {
    run(|| {
        for cap in [1_000 * ETHER, u128::MAX] {
            assert_noop!(lower(WETH, cap), Error::<Test>::NotLower);
        }
        for asset in [USDC, WBTC, u32::MAX] {
            assert_noop!(lower(asset, 0), Error::<Test>::UnknownAsset);
        }
        for origin in [RuntimeOrigin::none(), RuntimeOrigin::signed(NOBODY)] {
            assert_noop!(Margin::lower_global_cap(origin, WETH, 0), BadOrigin);
        }
    });
}
