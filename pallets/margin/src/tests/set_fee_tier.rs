use crate::{mock::*, AtClose, Deferred, Error, Event};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::DispatchError::BadOrigin;

fn set(owner: u64, tier: u8) -> sp_runtime::DispatchResult {
    Margin::set_fee_tier(RuntimeOrigin::root(), account(owner, 0), tier)
}

#[test]
fn account_pays_other_fees_when_governance_says_so() {
    run(|| {
        assert_ok!(deposit(ALICE, 0, USDC, UNIT));
        assert_ok!(set(ALICE, 2));
        let account = account(ALICE, 0);
        let what = Deferred::FeeTier {
            account,
            new_value: 2,
        };
        assert_eq!(last_event(), Event::LeftToClose { what });
        // Whatever orders the account sends in this block, before or after, are taken on the fees that it pays now.
        assert_eq!(held(ALICE, 0).fee_tier, 0);
        close();
        assert_eq!(held(ALICE, 0).fee_tier, 2);
        assert!(!AtClose::<Test>::exists());
        assert_eq!(
            last_event(),
            Event::FeeTierChanged {
                account,
                old_value: 0,
                new_value: 2
            }
        );
    });
}

#[test]
fn tier_is_refused_when_it_does_not_exist_or_nothing_changes() {
    run(|| {
        assert_ok!(deposit(ALICE, 0, USDC, UNIT));
        for tier in [3, u8::MAX] {
            assert_noop!(set(ALICE, tier), Error::<Test>::UnknownFeeTier);
        }
        assert_noop!(set(ALICE, 0), Error::<Test>::Unchanged);
        assert_noop!(set(BOB, 1), Error::<Test>::NoAccount);
    });
}

#[test]
fn tier_is_dropped_when_the_account_closed_or_has_it_already() {
    run(|| {
        assert_ok!(deposit(ALICE, 0, USDC, UNIT));
        for tier in [1, 1, 2] {
            assert_ok!(set(ALICE, tier));
        }
        close();
        assert_eq!(held(ALICE, 0).fee_tier, 2);
        let dropped = |tier, error: Error<Test>| Event::Dropped {
            what: Deferred::FeeTier {
                account: account(ALICE, 0),
                new_value: tier,
            },
            error: error.into(),
        };
        assert!(events().contains(&dropped(1, Error::Unchanged)));
        assert_ok!(set(ALICE, 0));
        crate::Accounts::<Test>::mutate(account(ALICE, 0), |a| a.as_mut().unwrap().cash = 0);
        assert_ok!(Margin::close_account(RuntimeOrigin::signed(ALICE), 0));
        close();
        assert_eq!(last_event(), dropped(0, Error::NoAccount));
        crate::Custody::<Test>::mutate(USDC, |held| *held -= UNIT);
    });
}

#[test]
fn tier_is_refused_when_the_origin_is_not_governance() {
    run(|| {
        assert_ok!(deposit(ALICE, 0, USDC, UNIT));
        for origin in [
            RuntimeOrigin::none(),
            RuntimeOrigin::signed(ALICE),
            RuntimeOrigin::signed(EMERGENCY),
        ] {
            assert_noop!(
                Margin::set_fee_tier(origin, account(ALICE, 0), 1),
                BadOrigin
            );
        }
    });
}
