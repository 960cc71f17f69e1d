use crate::{mock::*, Collaterals, Error, Event};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::DispatchError::BadOrigin;

#[test]
fn change_never_happens_when_it_was_cancelled() {
    run(|| {
        assert_ok!(Margin::schedule_collateral(
            RuntimeOrigin::root(),
            WBTC,
            wbtc()
        ));
        for origin in [
            RuntimeOrigin::none(),
            RuntimeOrigin::signed(NOBODY),
            RuntimeOrigin::signed(EMERGENCY),
        ] {
            assert_noop!(Margin::cancel_collateral(origin, WBTC), BadOrigin);
        }
        assert_ok!(Margin::cancel_collateral(RuntimeOrigin::root(), WBTC));
        assert_eq!(last_event(), Event::CollateralCancelled { asset: WBTC });
        begin(11);
        assert!(!Collaterals::<Test>::get().contains_key(&WBTC));
    });
}

#[test]
fn cancelling_is_refused_when_nothing_is_scheduled() {
    run(|| {
        for asset in [USDC, WETH, WBTC, u32::MAX] {
            assert_noop!(
                Margin::cancel_collateral(RuntimeOrigin::root(), asset),
                Error::<Test>::NoSuchChange
            );
        }
    });
}
