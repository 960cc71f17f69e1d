use crate::{mock::*, Accounts, Error, Event, Subaccounts};
use frame_support::{assert_noop, assert_ok};
use novate_types::{
    Direction, Ledger, LedgerError, NewOrder, NewTrigger, OpaqueOrders, OrderAggregate, OrderPrice,
    SelfTradePrevention, Side, Standing, TimeInForce, Trigger,
};
use sp_runtime::DispatchError::BadOrigin;

fn close(owner: u64, sub: u8) -> sp_runtime::DispatchResult {
    Margin::close_account(RuntimeOrigin::signed(owner), sub)
}

/// Pays all cash out, as the close does.
fn withdraw_all(owner: u64, sub: u8) {
    assert_ok!(<Margin as Ledger<u64>>::update(&account(owner, sub), |a| {
        let cash = core::mem::take(&mut a.cash);
        <Margin as Ledger<u64>>::pay_from_custody(&owner, USDC, cash.unsigned_abs())
    }));
}

#[test]
fn account_closes_when_it_is_empty() {
    run(|| {
        let before = System::providers(&ALICE);
        assert_ok!(deposit(ALICE, 0, USDC, UNIT));
        assert_ok!(deposit(ALICE, 1, USDC, UNIT));
        withdraw_all(ALICE, 0);
        withdraw_all(ALICE, 1);
        assert_ok!(close(ALICE, 0));
        assert_eq!(
            last_event(),
            Event::AccountClosed {
                account: account(ALICE, 0)
            }
        );
        assert_eq!(
            (Subaccounts::<Test>::get(ALICE), System::providers(&ALICE)),
            (1, before + 1)
        );
        assert_ok!(close(ALICE, 1));
        assert!(!Subaccounts::<Test>::contains_key(ALICE));
        assert_eq!(System::providers(&ALICE), before);
        assert_eq!(wallet(ALICE, USDC), WALLET);
    });
}

#[test]
fn numbers_of_orders_go_on_when_the_account_is_opened_again() {
    run(|| {
        assert_ok!(deposit(ALICE, 0, USDC, UNIT));
        assert_ok!(<Margin as Ledger<u64>>::update(&account(ALICE, 0), |a| {
            a.next_sequence += 200;
            Ok::<_, LedgerError>(())
        }));
        withdraw_all(ALICE, 0);
        let last = held(ALICE, 0).next_sequence;
        System::set_block_number(2);
        assert_ok!(close(ALICE, 0));
        assert_ok!(deposit(ALICE, 0, USDC, UNIT));
        assert!(held(ALICE, 0).next_sequence >= last);
    });
}

#[test]
fn numbers_of_index_entries_begin_elsewhere_when_the_account_is_opened_again() {
    run(|| {
        let open = |block: u32| {
            let parent = sp_core::H256::from_low_u64_be(block.into());
            System::initialize(&block, &parent, &Default::default());
            assert_ok!(deposit(ALICE, 0, USDC, UNIT));
            let first = held(ALICE, 0).next_generation;
            withdraw_all(ALICE, 0);
            assert_ok!(close(ALICE, 0));
            first
        };
        assert_ne!(open(2), open(3));
    });
}

#[test]
fn closing_is_refused_when_something_is_left() {
    run(|| {
        assert_ok!(deposit(ALICE, 0, USDC, 1));
        assert_noop!(close(ALICE, 0), Error::<Test>::AccountNotEmpty);
        assert_ok!(deposit(ALICE, 1, WETH, 1));
        assert_noop!(close(ALICE, 1), Error::<Test>::AccountNotEmpty);
    });
    new_test_ext().execute_with(|| {
        assert_ok!(deposit(ALICE, 0, USDC, 1));
        withdraw_all(ALICE, 0);
        let empty = held(ALICE, 0);
        let mut owing = empty.clone();
        owing.cash = -1;
        let mut positioned = empty.clone();
        assert_ok!(trade(&mut positioned, 0, 1, 0));
        let mut ordering = empty.clone();
        ordering.orders.force_push(OrderAggregate {
            bid_lots: 1,
            ..Default::default()
        });
        let mut waiting = empty.clone();
        waiting.triggers.force_push(Trigger {
            sequence: 1,
            tie: 0,
            terms: NewTrigger {
                order: NewOrder {
                    market: 0,
                    client_id: 1,
                    side: Side::Ask,
                    lots: 1,
                    price: OrderPrice::Market,
                    time_in_force: TimeInForce::ImmediateOrCancel,
                    reduce_only: true,
                    self_trade_prevention: SelfTradePrevention::CancelNewest,
                },
                direction: Direction::Down,
                ticks: 1,
                expires: None,
            },
        });
        // An order in slices, between two of them.
        let mut scheduled = empty.clone();
        scheduled.open = OpaqueOrders::truncate_from(vec![1]);
        let mut frozen = empty;
        frozen.standing = Standing::Frozen;
        for left in [owing, positioned, ordering, waiting, scheduled, frozen] {
            Accounts::<Test>::insert(account(ALICE, 0), left);
            assert_noop!(close(ALICE, 0), Error::<Test>::AccountNotEmpty);
        }
    });
}

#[test]
fn closing_is_refused_when_there_is_no_such_account_or_the_origin_does_not_sign() {
    run(|| {
        assert_ok!(deposit(ALICE, 0, USDC, 1));
        assert_noop!(close(ALICE, 1), Error::<Test>::NoAccount);
        assert_noop!(close(BOB, 0), Error::<Test>::NoAccount);
        for origin in [RuntimeOrigin::none(), RuntimeOrigin::root()] {
            assert_noop!(Margin::close_account(origin, 0), BadOrigin);
        }
    });
}

#[test]
fn closing_is_refused_when_the_wallet_needs_the_reference() {
    run(|| {
        assert_ok!(deposit(POOR, 0, USDC, UNIT));
        // An asset that is not sufficient by itself lives on the reference.
        assert_ok!(Assets::transfer(
            RuntimeOrigin::signed(ALICE),
            WBTC,
            POOR,
            100
        ));
        withdraw_all(POOR, 0);
        assert_noop!(close(POOR, 0), Error::<Test>::StillReferenced);
    });
}
