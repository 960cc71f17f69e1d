//! [`Ledger`] as other pallets use it.

use crate::{mock::*, Booked, Custody, Event, OpenInterest, Pots, Subaccounts};
use frame_support::{assert_noop, assert_ok, assert_storage_noop};
use novate_types::{
    AccountRef, Cash, Ledger, LedgerError, MarginAccount, OrderAggregate, Pot, RiskError, RiskView,
    SignedLots,
};

type L = Margin;

fn settle(
    owner: u64,
    change: impl FnOnce(&mut MarginAccount) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    <L as Ledger<u64>>::settle(&account(owner, 0), &RiskView::default(), false, change)
}

/// A trade between two accounts: whoever buys pays what the other is paid.
fn novate(buyer: u64, seller: u64, market: u16, lots: SignedLots, value: Cash) {
    settle(buyer, |a| trade(a, market, lots, value)).unwrap();
    settle(seller, |a| trade(a, market, -lots, -value)).unwrap();
}

fn opened() {
    assert_ok!(deposit(ALICE, 0, USDC, 100 * UNIT));
    assert_ok!(deposit(BOB, 0, USDC, 100 * UNIT));
    refreshed();
}

fn open(market: u16) -> u64 {
    <L as Ledger<u64>>::open_interest(market)
}

#[test]
fn open_interest_is_the_sum_of_longs_through_every_kind_of_fill() {
    run(|| {
        opened();
        novate(ALICE, BOB, 0, 10, 500);
        assert_eq!(open(0), 10);
        novate(ALICE, BOB, 0, 5, 100);
        assert_eq!(open(0), 15);
        novate(BOB, ALICE, 0, 6, 100);
        assert_eq!(open(0), 9);
        // Through zero: who was short is long.
        novate(BOB, ALICE, 0, 12, 600);
        assert_eq!(open(0), 3);
        novate(ALICE, BOB, 7, 4, 4);
        assert_eq!((open(0), open(7)), (3, 4));
        // Handed over: the fund takes Bob's place.
        settle(BOB, |a| trade(a, 0, -3, 0)).unwrap();
        settle(FUND, |a| trade(a, 0, 3, 0)).unwrap();
        assert_eq!(open(0), 3);
        novate(ALICE, FUND, 0, 3, -100);
        assert!(!OpenInterest::<Test>::contains_key(0));
    });
}

#[test]
fn position_leaves_and_its_cost_is_realised_when_its_lots_reach_zero() {
    run(|| {
        opened();
        novate(ALICE, BOB, 0, 10, 5_000);
        novate(ALICE, BOB, 0, -10, -7_000);
        let (alice, bob) = (held(ALICE, 0), held(BOB, 0));
        assert!(alice.positions.is_empty() && bob.positions.is_empty());
        assert_eq!((alice.cash, bob.cash), (100_002_000, 99_998_000));
    });
}

#[test]
fn lists_hold_nothing_empty_after_a_change() {
    run(|| {
        assert_ok!(deposit(ALICE, 0, WETH, ETHER));
        assert_ok!(<L as Ledger<u64>>::update(&account(ALICE, 0), |a| {
            a.orders
                .try_push(OrderAggregate {
                    market: 3,
                    ..Default::default()
                })
                .unwrap();
            a.collateral[0].1 = 0;
            <L as Ledger<u64>>::pay_from_custody(&ALICE, WETH, ETHER)
        }));
        assert!(held(ALICE, 0).is_plain());
    });
}

#[test]
fn index_is_refreshed_after_a_settlement_and_not_after_an_update() {
    run(|| {
        opened();
        let before = held(ALICE, 0).next_generation;
        settle(ALICE, |_| Ok(())).unwrap();
        assert_eq!(refreshed(), [account(ALICE, 0)]);
        assert_eq!(held(ALICE, 0).next_generation, before + 1);
        assert_ok!(<L as Ledger<u64>>::update(&account(ALICE, 0), |_| Ok::<
            _,
            LedgerError,
        >(
            ()
        )));
        assert!(refreshed().is_empty());
    });
}

#[test]
fn change_returns_what_it_computed() {
    run(|| {
        opened();
        let cash = <L as Ledger<u64>>::update(&account(ALICE, 0), |a| Ok::<_, LedgerError>(a.cash));
        assert_eq!(cash, Ok(100_000_000));
    });
}

#[test]
fn nothing_changes_when_the_change_fails() {
    run(|| {
        opened();
        let half_done = |a: &mut MarginAccount| {
            trade(a, 0, 5, 100)?;
            <L as Ledger<u64>>::credit_pot(Pot::Fees, 7)?;
            <L as Ledger<u64>>::pay_from_custody(&BOB, USDC, 1)?;
            Err(LedgerError::Custody)
        };
        assert_noop!(settle(ALICE, half_done), LedgerError::Custody);
        let failed = <L as Ledger<u64>>::update(&account(ALICE, 0), half_done);
        assert_eq!(failed, Err(LedgerError::Custody));
        assert_noop!(
            <L as Ledger<u64>>::settle(&account(NOBODY, 0), &RiskView::default(), true, half_done),
            LedgerError::Custody
        );
    });
}

#[test]
fn nothing_changes_when_the_index_refuses() {
    run(|| {
        opened();
        index_fails(true);
        assert_noop!(
            settle(ALICE, |a| trade(a, 0, 5, 100)),
            LedgerError::Risk(RiskError::Full)
        );
        assert_noop!(
            <L as Ledger<u64>>::settle(&account(NOBODY, 0), &RiskView::default(), true, |_| {
                Ok::<_, LedgerError>(())
            }),
            LedgerError::Risk(RiskError::Full)
        );
    });
}

#[test]
fn nothing_changes_when_a_sum_leaves_its_range() {
    run(|| {
        opened();
        let most = SignedLots::MAX;
        let overflow = LedgerError::Risk(RiskError::Math(novate_types::MathError::Overflow));
        for owner in [ALICE, BOB] {
            settle(owner, |a| trade(a, 0, most, 0)).unwrap();
        }
        assert_noop!(settle(FUND, |a| trade(a, 0, most, 0)), overflow);
        for owner in [ALICE, BOB] {
            settle(owner, |a| trade(a, 0, -most, 0)).unwrap();
        }
        // A closed position whose cost cannot be realised.
        assert_noop!(settle(ALICE, |a| trade(a, 0, 0, i128::MIN)), overflow);
        <L as Ledger<u64>>::credit_pot(Pot::Fees, i128::MAX).unwrap();
        assert_noop!(<L as Ledger<u64>>::credit_pot(Pot::Fees, 1), overflow);
        <L as Ledger<u64>>::credit_pot(Pot::Fees, -i128::MAX).unwrap();
    });
}

#[test]
fn account_is_opened_by_a_settlement_only_when_asked() {
    run(|| {
        let of = account(NOBODY, 9);
        let keep = |_: &mut MarginAccount| Ok::<_, LedgerError>(());
        assert_noop!(
            <L as Ledger<u64>>::settle(&of, &RiskView::default(), false, keep),
            LedgerError::NoAccount
        );
        assert_noop!(
            <L as Ledger<u64>>::update(&of, keep),
            LedgerError::NoAccount
        );
        assert_ok!(<L as Ledger<u64>>::settle(
            &of,
            &RiskView::default(),
            true,
            keep
        ));
        assert_eq!(last_event(), Event::AccountOpened { account: of });
        assert_eq!(
            (Subaccounts::<Test>::get(NOBODY), System::providers(&NOBODY)),
            (1, 1)
        );
        assert!(<L as Ledger<u64>>::account(&of).is_some());
    });
}

#[test]
fn pots_hold_what_was_credited_and_leave_storage_at_zero() {
    new_test_ext().execute_with(|| {
        for pot in [Pot::Fees, Pot::Rounding, Pot::Funding(3)] {
            assert_ok!(<L as Ledger<u64>>::credit_pot(pot, 5));
            assert_ok!(<L as Ledger<u64>>::credit_pot(pot, -12));
            assert_eq!(<L as Ledger<u64>>::pot(pot), -7);
            assert_ok!(<L as Ledger<u64>>::credit_pot(pot, 7));
            assert!(!Pots::<Test>::contains_key(pot));
        }
    });
}

#[test]
fn custody_pays_back_all_it_took_and_not_a_unit_more() {
    new_test_ext().execute_with(|| {
        assert_ok!(<L as Ledger<u64>>::take_into_custody(&ALICE, WETH, 10));
        for amount in [11, u128::MAX] {
            assert_noop!(
                <L as Ledger<u64>>::pay_from_custody(&ALICE, WETH, amount),
                LedgerError::Custody
            );
        }
        assert_ok!(<L as Ledger<u64>>::pay_from_custody(&ALICE, WETH, 10));
        assert_eq!((custody(WETH), Custody::<Test>::get(WETH)), (0, 0));
        // Its reference outlives an empty account of the assets pallet.
        assert_eq!(System::providers(&Margin::custody_account()), 1);
        assert_ok!(<L as Ledger<u64>>::take_into_custody(&ALICE, WBTC, 10));
        assert_noop!(
            <L as Ledger<u64>>::take_into_custody(&ALICE, WETH, u128::MAX),
            LedgerError::Custody
        );
        assert_noop!(
            <L as Ledger<u64>>::take_into_custody(&ALICE, UNKNOWN, 1),
            LedgerError::Custody
        );
    });
}

#[test]
fn gifts_to_custody_belong_to_nobody() {
    run(|| {
        opened();
        assert_ok!(Assets::transfer(
            RuntimeOrigin::signed(BOB),
            USDC,
            Margin::custody_account(),
            12_345
        ));
        let conservation = Margin::conservation().unwrap();
        assert!(conservation.holds());
        assert_eq!(conservation.settlement.custody, 1_200_000_000);
        let all = 1_200 * UNIT;
        assert_noop!(
            <L as Ledger<u64>>::pay_from_custody(&ALICE, USDC, all + 1),
            LedgerError::Custody
        );
    });
}

#[test]
fn payment_is_refused_when_assets_would_burn_part_of_custody() {
    new_test_ext().execute_with(|| {
        // The minimum balance is ten: paying 15 of 20 would burn the five that are left.
        assert_ok!(<L as Ledger<u64>>::take_into_custody(&ALICE, WBTC, 20));
        assert_noop!(
            <L as Ledger<u64>>::pay_from_custody(&ALICE, WBTC, 15),
            LedgerError::Custody
        );
        assert_ok!(<L as Ledger<u64>>::pay_from_custody(&ALICE, WBTC, 10));
    });
}

#[test]
fn payment_is_refused_when_the_wallet_cannot_exist() {
    new_test_ext().execute_with(|| {
        assert_ok!(<L as Ledger<u64>>::take_into_custody(&ALICE, WBTC, 500));
        assert_noop!(
            <L as Ledger<u64>>::pay_from_custody(&NOBODY, WBTC, 100),
            LedgerError::Custody
        );
    });
}

#[test]
fn custody_pays_nothing_to_itself() {
    new_test_ext().execute_with(|| {
        let custody = Margin::custody_account();
        assert_storage_noop!(assert_eq!(
            <L as Ledger<u64>>::pay_from_custody(&custody, USDC, 1),
            Err(LedgerError::Custody)
        ));
        assert_storage_noop!(assert_eq!(
            <L as Ledger<u64>>::take_into_custody(&custody, USDC, 1),
            Err(LedgerError::Custody)
        ));
    });
}

#[test]
fn conservation_names_both_sides() {
    run(|| {
        opened();
        assert_ok!(deposit(ALICE, 0, WETH, ETHER));
        novate(ALICE, BOB, 2, 10, 777);
        settle(ALICE, |a| {
            a.cash -= 5;
            <L as Ledger<u64>>::credit_pot(Pot::Fees, 5)
        })
        .unwrap();
        let c = Margin::conservation().unwrap();
        assert_eq!(c.lots, [(2, 0)]);
        assert_eq!(
            (c.settlement.ledger, c.settlement.custody),
            (1_200_000_000, 1_200_000_000)
        );
        assert_eq!((c.collaterals.len(), c.collaterals[0].0), (1, WETH));
        assert_eq!(c.collaterals[0].1.ledger, c.collaterals[0].1.custody);
        assert_eq!((c.pots, c.accounts), (vec![(Pot::Fees, 5)], 3));
    });
}

/// A view in which market 3 has settled at 7 ticks of 1 USD for a lot of one unit, and every long lot owes half a quantum of shared losses.
fn settled_view() -> RiskView {
    let one = novate_types::Price::from_inner(1_000_000_000_000_000_000);
    let market = novate_types::MarketView {
        id: 3,
        underlying: 0,
        status: novate_types::MarketStatus::Halted,
        tick_size: one,
        lot_size: one,
        tick_value: 1_000_000,
        mark: novate_types::Price::from_inner(7_000_000_000_000_000_000),
        index: one,
        observed_at: 0,
        fresh: true,
        funding_index: 1 << 31,
        short_funding_index: 0,
        imf: 100_000,
        mmf: 50_000,
        profit_credit: 0,
        price_band: 50_000,
        min_notional: 1,
        impact_notional: 1,
        open_interest_cap: u64::MAX,
        auction_at: 0,
        contract: novate_types::Contract {
            kind: novate_types::ContractKind::Future,
            expiry: 1,
            strike: 0,
            settled: true,
            ..Default::default()
        },
    };
    RiskView {
        markets: vec![market].try_into().unwrap(),
        ..Default::default()
    }
}

/// The three ways in which a position in what has settled is booked.
fn touch(way: u8, of: &AccountRef<u64>, view: &RiskView) {
    match way {
        0 => <L as Ledger<u64>>::settle_expired(of, view).unwrap(),
        1 => {
            <L as Ledger<u64>>::index(of, view).unwrap();
        }
        _ => <L as Ledger<u64>>::settle(of, view, false, |a| {
            a.cash += 0;
            Ok::<_, LedgerError>(())
        })
        .unwrap(),
    }
}

#[test]
fn what_settlement_takes_beyond_cash_is_lent_whichever_way_the_account_is_touched() {
    for way in 0..3 {
        run(|| {
            opened();
            novate(ALICE, BOB, 3, 3, 180_000_000);
            let view = settled_view();
            touch(way, &account(ALICE, 0), &view);
            // Three lots at 7 less 180 USD, and two quantums of losses: 59 USD more than she has.
            let alice = held(ALICE, 0);
            assert_eq!(alice.cash, 100_000_000 - 159_000_000 - 2);
            let lent = alice.loan.map(|loan| loan.principal);
            assert_eq!(lent, Some(59_000_002), "touched the way {way}");
            touch(way, &account(BOB, 0), &view);
            assert_eq!(held(BOB, 0).loan, None);
            assert_ok!(Margin::do_try_state());
        });
    }
}

#[test]
fn positions_in_what_has_settled_become_cash_whichever_way_the_account_is_touched() {
    for way in 0..3 {
        run(|| {
            opened();
            novate(ALICE, BOB, 3, 3, 18_000_000);
            novate(ALICE, BOB, 5, 2, 100);
            let view = settled_view();
            let of = account(ALICE, 0);
            touch(way, &of, &view);
            // Three lots at 7 less 18 USD, and two quantums of losses, rounded up.
            let alice = held(ALICE, 0);
            assert_eq!(alice.cash, 100_000_000 + 3_000_000 - 2);
            assert_eq!(alice.positions.len(), 1);
            assert_eq!((open(3), open(5)), (0, 2));
            // The other side has not been touched: the pot stands for it, and the lots that were booked are counted.
            let pot = || <L as Ledger<u64>>::pot(Pot::Funding(3));
            assert_eq!((pot(), Booked::<Test>::get(3)), (2 - 21_000_000, 3));
            assert!(!<L as Ledger<u64>>::is_flat(3));
            assert_ok!(Margin::do_try_state());
            <L as Ledger<u64>>::settle_expired(&account(BOB, 0), &view).unwrap();
            assert_eq!((pot(), Booked::<Test>::contains_key(3)), (2, false));
            assert!(<L as Ledger<u64>>::is_flat(3));
            assert_eq!(held(BOB, 0).cash, 100_000_000 - 3_000_000);
            assert_ok!(Margin::do_try_state());
            // Without anything that has settled, nothing changes.
            assert_storage_noop!(<L as Ledger<u64>>::settle_expired(&of, &view).unwrap());
        });
    }
}
