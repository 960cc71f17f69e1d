//! Each remedy, its conditions, and their order. All numbers are worked out by hand beside them.

use super::*;
use crate::{
    Allowance, Error, Escalation, Event, Pallet, Queue, Refusal, Suspended, UncoveredDeficit,
    VaultLosses, Work, Working,
};
use frame_support::{assert_noop, assert_ok};
use proptest::prelude::*;
use sp_runtime::DispatchError::BadOrigin;

/// Steps of an account with one position.
const STEPS: u32 = crate::ACCOUNT_STEPS;

fn the_order() -> LiquidationOrder<u64> {
    // At 94: equity 940 − 900 = 40, maintenance 47, short of 7. A lot frees 94·(5 % − 0.1 % − 0.5 %) = 4.136: 2 lots.
    // Fillable: ABR = 1 − 40/47, times SMMR 1.5 times 47 is 10.5 off 940: 92.95 a lot, so 93 for a seller.
    // Bankruptcy of 2 lots: (188 − 40·9.4/47)/2 = 90, farther away.
    LiquidationOrder {
        account: of(LONG),
        market: 0,
        side: Side::Ask,
        lots: 2,
        limit: 93,
    }
}

#[test]
fn orders_are_cancelled_and_reduced_when_an_account_falls_below_maintenance() {
    new_test_ext().execute_with(|| {
        a_pair();
        StoredLedger::update(&of(LONG), |a| {
            novate_risk::add_order(a, 0, Side::Bid, 3, usd(1))?;
            Ok::<_, LedgerError>(())
        })
        .unwrap();
        assert!(close_at(95).is_empty(), "950 − 900 = 50 covers 47.5");
        assert!(!is_queued(LONG));

        let sums = totals();
        assert_eq!(close_at(94), vec![the_order()]);
        assert_eq!(totals(), sums);
        assert_eq!(
            standing(LONG),
            Standing::Liquidating {
                since: 3,
                closes: 1
            }
        );
        assert!(account(LONG).orders.is_empty());
        let (account, equity, maintenance) = (of(LONG), usd(40), usd(47));
        let LiquidationOrder {
            market,
            side,
            lots,
            limit,
            ..
        } = the_order();
        assert_eq!(
            events(),
            vec![
                Event::LiquidationStarted {
                    account,
                    equity,
                    maintenance
                },
                Event::OrdersCancelled { account, orders: 1 },
                Event::LiquidationOrderPlaced {
                    account,
                    market,
                    side,
                    lots,
                    limit,
                    equity,
                    maintenance
                },
            ]
        );
    });
}

#[test]
fn an_account_recovers_when_its_order_fills() {
    new_test_ext().execute_with(|| {
        a_pair();
        marks(|view| set_mark(view, 0, 94));
        // Two lots sold at 93: realised 2·(93 − 100) = −14, so cash 86; 8 lots: 86 + 752 − 800 = 38 against 37.6.
        trade(SHORT, LONG, 0, 2, 93);
        waterfall();
        assert_eq!(standing(LONG), Standing::Good);
        assert!(!is_queued(LONG));
        let (equity, maintenance) = (usd(38), 37_600_000);
        assert_eq!(
            events().pop(),
            Some(Event::Recovered {
                account: of(LONG),
                equity,
                maintenance
            })
        );
        // And it is found again.
        assert_eq!(close_at(93).len(), 1);
    });
}

#[test]
fn an_account_recovers_when_it_deposits_or_the_price_returns() {
    for deposits in [true, false] {
        new_test_ext().execute_with(|| {
            a_pair();
            close_at(94);
            if deposits {
                StoredLedger::update(&of(LONG), |a| {
                    a.cash += usd(7);
                    Ok::<_, LedgerError>(())
                })
                .unwrap();
            }
            assert!(close_at(if deposits { 94 } else { 95 }).is_empty());
            assert_eq!(standing(LONG), Standing::Good);
            assert!(!is_queued(LONG));
        });
    }
}

#[test]
fn liquidation_orders_share_the_depth_when_many_accounts_sell() {
    new_test_ext().execute_with(|| {
        for owner in 20..24 {
            deposit(owner, usd(100));
            deposit(SHORT, usd(10_000));
            trade(owner, SHORT, 0, 10, 100);
        }
        // A fifth of 25 lots: two orders of two and one of one; the fourth account waits.
        set_depth(0, 25);
        let lots: Vec<_> = close_at(94).iter().map(|o| o.lots).collect();
        assert_eq!(lots, vec![2, 2, 1]);
        // Whoever got nothing has spent its close in the market all the same.
        for owner in 20..24 {
            assert_eq!(
                standing(owner),
                Standing::Liquidating {
                    since: 2,
                    closes: 1
                }
            );
        }
    });
}

#[test]
fn the_largest_position_is_reduced_first_when_there_are_several() {
    new_test_ext().execute_with(|| {
        deposit(LONG, usd(120));
        deposit(SHORT, usd(10_000));
        trade(LONG, SHORT, 0, 4, 100);
        trade(LONG, SHORT, 1, 9, 100);
        // 120 − 4·4 − 9·6 = 50 against (4·96 + 9·94)·5 % = 61.5; two thirds of that are 41.
        let orders = close(|view| {
            set_mark(view, 0, 96);
            set_mark(view, 1, 94);
        });
        assert_eq!(orders.len(), 1);
        assert_eq!((orders[0].market, orders[0].side), (1, Side::Ask));
    });
}

#[test]
fn the_vault_takes_over_at_once_when_equity_is_below_two_thirds_of_maintenance() {
    new_test_ext().execute_with(|| {
        deposit(VAULT, usd(1_000));
        a_pair();
        // At 93 equity is 30, maintenance 46.5, two thirds of it 31.
        assert!(close_at(93).is_empty());
        let (why, equity, maintenance) = (Escalation::DeepShortfall, usd(30), 46_500_000);
        assert_eq!(
            events().pop(),
            Some(Event::TakenOver {
                account: of(LONG),
                why,
                equity,
                maintenance
            })
        );
        assert_eq!(assess(VAULT).equity, usd(1_030));
    });
}

#[test]
fn the_vault_takes_over_at_once_when_the_queue_exceeds_its_share_of_open_interest() {
    new_test_ext().execute_with(|| {
        BacklogShare::set(100_000);
        deposit(VAULT, usd(1_000));
        a_pair();
        // 90 more lots in good hands: the 10 queued are exactly a tenth, which is not yet more than a tenth.
        deposit(30, usd(10_000));
        trade(30, SHORT, 0, 90, 100);
        assert_eq!(close_at(94).len(), 1);
        assert_eq!(
            standing(LONG),
            Standing::Liquidating {
                since: 2,
                closes: 1
            }
        );
        // One lot less of open interest, and they are more.
        trade(SHORT, 30, 0, 1, 94);
        events();
        assert!(close_at(94).is_empty());
        let taken = Event::TakenOver {
            account: of(LONG),
            why: Escalation::Backlog,
            equity: usd(40),
            maintenance: usd(47),
        };
        assert!(events().contains(&taken));
    });
}

#[test]
fn the_vault_sells_at_the_market_when_it_is_in_good_standing_and_liquidation_presses() {
    new_test_ext().execute_with(|| {
        let close = |change: &dyn Fn(&mut RiskView)| {
            Allowance::<Test>::put(u64::MAX);
            super::close(change)
        };
        deposit(VAULT, usd(1_000));
        a_pair();
        close_at(93);
        // 10 lots, a fifth of 20 lots a close, half a percent under the mark: 92.535, so 93 for a seller.
        set_depth(0, 20);
        let order = LiquidationOrder {
            account: of(VAULT),
            market: 0,
            side: Side::Ask,
            lots: 4,
            limit: 93,
        };
        assert_eq!(close(&|_| ()), vec![order.clone()]);
        // Nothing in a market that is halted, or whose price is old.
        assert!(close(&|view| view.markets[0].status = MarketStatus::Halted).is_empty());
        assert!(close(&|view| {
            view.markets[0].status = MarketStatus::ReduceOnly;
            view.markets[0].fresh = false;
        })
        .is_empty());
        assert_eq!(close(&|view| view.markets[0].fresh = true), vec![order]);
        // Else it quotes.
        assert!(super::close(|_| ()).is_empty());
    });
}

#[test]
fn the_fund_tops_up_to_zero_when_equity_is_below_it() {
    new_test_ext().execute_with(|| {
        deposit(VAULT, usd(1_000));
        deposit(FUND, usd(50));
        a_pair();
        let sums = totals();
        close_at(88);
        assert_eq!(totals(), sums);
        // 880 − 900 = −20.
        let paid = Event::InsurancePaid {
            account: of(LONG),
            paid: usd(20),
            left: 0,
        };
        let taken = Event::TakenOver {
            account: of(LONG),
            why: Escalation::DeepShortfall,
            equity: 0,
            maintenance: usd(44),
        };
        let events = events();
        assert_eq!(&events[events.len() - 2..], &[paid, taken]);
        assert_eq!(account(FUND).cash, usd(30));
        assert_eq!(assess(VAULT).equity, usd(1_000));
    });
}

#[test]
fn counterparties_pay_the_rest_when_fund_and_vault_do_not() {
    new_test_ext().execute_with(|| {
        deposit(FUND, usd(5));
        deposit(LONG, usd(100));
        // 12 sold at 99; 21 sold 6 at 101, 22 sold 4 at 101.
        for owner in [12, 21, 22] {
            deposit(owner, usd(1_000));
        }
        deposit(30, usd(10_000));
        trade(30, 12, 0, 10, 99);
        trade(30, 21, 0, 6, 101);
        trade(LONG, 22, 0, 4, 101);
        trade(LONG, 30, 0, 6, 100);
        // LONG: 10 lots for 1,004; at 88: 100 + 880 − 1,004 = −24, and −19 after the fund's 5.
        let sums = totals();
        close_at(88);
        assert_eq!(totals(), sums);
        assert!(account(LONG).is_plain() && account(LONG).cash == 0);
        assert_eq!(account(FUND).cash, 0);
        // The two best entries, 6 and 4 lots, pay 880 + 19 = 899 by lots: 539.40 and 359.60.
        let deleveraged: Vec<_> = events()
            .into_iter()
            .filter_map(|event| match event {
                Event::Deleveraged {
                    counterparty,
                    lots,
                    value,
                    ..
                } => Some((counterparty.owner, lots, value)),
                _ => None,
            })
            .collect();
        let mut by_owner = deleveraged.clone();
        by_owner.sort();
        assert_eq!(by_owner, vec![(21, 6, -539_400_000), (22, 4, -359_600_000)]);
        assert_eq!(account(12).lots(0), -10, "the worse entry is left alone");
        // 21 sold 6 at 101 and bought them back for 539.40.
        assert_eq!(account(21).cash, usd(1_000) + usd(606) - 539_400_000);
        assert!(!Pallet::<Test>::withdrawals_paused());
    });
}

#[test]
fn deleveraging_goes_on_in_later_blocks_when_the_quota_is_used_up() {
    new_test_ext().execute_with(|| {
        MaxDeleveraged::set(2);
        deposit(LONG, usd(100));
        for owner in 20..25 {
            deposit(owner, usd(1_000));
            trade(LONG, owner, 0, 2, 100);
        }
        let sums = totals();
        close_at(88);
        assert_eq!(
            (standing(LONG), account(LONG).lots(0)),
            (Standing::Frozen, 6)
        );
        // −20 shared by lots: 12 are still open, and pause withdrawals.
        assert_eq!(UncoveredDeficit::<Test>::get(), usd(12));
        assert!(Pallet::<Test>::withdrawals_paused());
        close_at(88);
        assert_eq!(account(LONG).lots(0), 2);
        close_at(88);
        assert_eq!(
            (standing(LONG), account(LONG).lots(0), account(LONG).cash),
            (Standing::Good, 0, 0)
        );
        assert_eq!(UncoveredDeficit::<Test>::get(), 0);
        assert!(!Pallet::<Test>::withdrawals_paused());
        assert_eq!(totals(), sums);
        // Frozen once, not again in every block.
        let refused = events()
            .into_iter()
            .filter(|e| matches!(e, Event::TakeoverRefused { .. }))
            .count();
        assert_eq!(refused, 1);
    });
}

#[test]
fn the_vault_is_asked_again_when_a_frozen_account_remains() {
    new_test_ext().execute_with(|| {
        MaxDeleveraged::set(1);
        deposit(LONG, usd(100));
        for owner in 20..25 {
            deposit(owner, usd(1_000));
            trade(LONG, owner, 0, 2, 100);
        }
        close_at(91);
        assert_eq!(
            (standing(LONG), account(LONG).lots(0)),
            (Standing::Frozen, 8)
        );
        deposit(VAULT, usd(1_000));
        close_at(91);
        assert_eq!((standing(LONG), account(LONG).lots(0)), (Standing::Good, 0));
        assert_eq!(account(VAULT).lots(0), 8);
    });
}

#[test]
fn a_counterparty_is_skipped_when_it_would_end_below_maintenance() {
    new_test_ext().execute_with(|| {
        deposit(LONG, usd(100));
        // 20 has the best entry, but its profit supports a loss in market 1.
        deposit(20, usd(11));
        deposit(21, usd(10_000));
        deposit(30, usd(10_000));
        trade(30, 20, 0, 10, 101);
        trade(20, 30, 1, 9, 100);
        trade(LONG, 21, 0, 10, 100);
        close(|view| {
            set_mark(view, 0, 85);
            set_mark(view, 1, 91);
        });
        // LONG has 850 − 900 = −50 to be paid. 20 has 11 + 160 − 81 = 90 against 42.50 + 40.95 = 83.45; closing market 0
        // at 900 would leave 40 against 40.95. 21 sold at 100 and pays.
        assert_eq!((account(20).lots(0), account(21).lots(0)), (-10, 0));
        assert_eq!(account(21).cash, usd(10_100));
        assert!(account(LONG).is_plain());
    });
}

#[test]
fn the_best_entry_price_pays_first_when_an_older_entry_of_the_index_looks_better() {
    new_test_ext().execute_with(|| {
        deposit(LONG, usd(100));
        for owner in [20, 21, 30] {
            deposit(owner, usd(10_000));
        }
        // 20 sold 5 at 110, then 5 at 90: 100 on average, but the entry of 110 stands. 21 sold 10 at 105.
        trade(30, 20, 0, 5, 110);
        trade(30, 20, 0, 5, 90);
        trade(30, 21, 0, 10, 105);
        trade(LONG, 30, 0, 10, 100);
        close_at(88);
        assert_eq!((account(20).lots(0), account(21).lots(0)), (-10, 0));
        // And 20 stands where it belongs now.
        let rank = account(20).positions[0].rank;
        assert_eq!(u32::from(rank.bucket), crate::scale::floor(100_000_000));
    });
}

#[test]
fn longs_pay_by_their_lowest_entry_price_when_a_short_is_bankrupt() {
    new_test_ext().execute_with(|| {
        // Short 10 at 100 with 100 of cash; at 112: 1,100 − 1,120 = −20.
        deposit(LONG, usd(100));
        for owner in [20, 21, 30] {
            deposit(owner, usd(10_000));
        }
        trade(20, 30, 0, 10, 95);
        trade(21, 30, 0, 15, 90);
        trade(30, LONG, 0, 10, 100);
        let sums = totals();
        close_at(112);
        assert_eq!(totals(), sums);
        // Bought back for 1,120 − 20 = 1,100: of 15 lots 21 sells 10, and realises 200 instead of 220.
        assert_eq!((account(20).lots(0), account(21).lots(0)), (10, 5));
        assert_eq!(account(21).cash, usd(10_200));
        assert!(account(LONG).is_plain() && account(LONG).cash == 0);
    });
}

#[test]
fn the_vault_takes_an_opposite_position_when_it_lowers_its_risk() {
    new_test_ext().execute_with(|| {
        a_pair();
        // Short 10 at 100 with 60 of cash: at 93 130 against 93 initially; at 98, 80 against 98.
        deposit(VAULT, usd(60));
        deposit(30, usd(10_000));
        trade(30, VAULT, 0, 10, 100);
        deposit(LONG, -usd(60));
        close_at(98);
        // LONG has 20 of 49 that it needs. The vault's 80 and those 20 are all cash now.
        assert_eq!((account(VAULT).lots(0), account(VAULT).cash), (0, usd(100)));
        assert!(account(LONG).is_plain());
    });
}

#[test]
fn what_nobody_covers_stays_queued_and_pauses_withdrawals_when_counterparties_lack() {
    new_test_ext().execute_with(|| {
        // A bankrupt account without positions: nothing can be deleveraged.
        deposit(FUND, usd(3));
        deposit(LONG, -usd(20));
        assert!(is_queued(LONG), "queued where it was settled");
        close_at(100);
        assert_eq!(UncoveredDeficit::<Test>::get(), usd(17));
        assert!(Pallet::<Test>::withdrawals_paused());
        assert_eq!(
            events().pop(),
            Some(Event::DeficitUncovered {
                account: of(LONG),
                deficit: usd(17)
            })
        );
        // The fund pays as soon as it can.
        deposit(FUND, usd(100));
        assert!(
            !Pallet::<Test>::withdrawals_paused(),
            "17 does not exceed 100"
        );
        close_at(100);
        assert_eq!((account(LONG).cash, account(FUND).cash), (0, usd(83)));
        assert_eq!((standing(LONG), is_queued(LONG)), (Standing::Good, false));
    });
}

#[test]
fn the_vault_refuses_when_its_margin_its_cash_or_its_loss_cap_says_so() {
    let refusal_of = |prepare: &dyn Fn()| {
        new_test_ext().execute_with(|| {
            a_pair();
            prepare();
            let sums = totals();
            close_at(93);
            assert_eq!(totals(), sums);
            events().into_iter().find_map(|event| match event {
                Event::TakeoverRefused { refusal, .. } => Some(refusal),
                _ => None,
            })
        })
    };
    let no_vault = Refusal::Ledger(LedgerError::NoAccount);
    assert_eq!(refusal_of(&|| ()), Some(no_vault));
    // 10 lots at 93 need 93 initially; the account brings 30, and 62 are too few.
    assert_eq!(
        refusal_of(&|| deposit(VAULT, usd(62))),
        Some(Refusal::Margin)
    );
    assert_eq!(refusal_of(&|| deposit(VAULT, usd(63))), None);
    // What the vault lost in the market counts, up to its cap and no farther.
    let lost = |loss| {
        move || {
            deposit(VAULT, usd(10_000));
            VaultLosses::<Test>::insert(0, crate::VaultLoss { window: 0, loss });
        }
    };
    assert_eq!(refusal_of(&lost(usd(500))), None);
    assert_eq!(refusal_of(&lost(usd(501))), Some(Refusal::LossCap(0)));
    // An account that is kept up by its collateral alone brings a debt; the vault needs the cash for it.
    let in_debt = |vault| {
        move || {
            deposit(VAULT, vault);
            deposit_asset(VAULT, 1_000);
            deposit_asset(LONG, 1_000);
            deposit(LONG, -usd(900));
        }
    };
    assert_eq!(refusal_of(&in_debt(usd(799))), Some(Refusal::Cash));
    assert_eq!(refusal_of(&in_debt(usd(800))), None);
}

#[test]
fn the_vault_counts_its_losses_at_marks_and_funding_when_it_holds_positions() {
    new_test_ext().execute_with(|| {
        deposit(VAULT, usd(10_000));
        deposit(SHORT, usd(10_000));
        trade(VAULT, SHORT, 0, 10, 100);
        let loss = || Pallet::<Test>::vault_loss(0, StoredView::view().block);
        close_at(97);
        assert_eq!(loss(), usd(30));
        // 2 USD of funding a lot are losses too.
        close(|view| fund(view, 2 * QUANTUMS));
        assert_eq!(loss(), usd(50));
        close_at(99);
        assert_eq!(loss(), usd(30));
        // So is what its own trades cost beyond the mark.
        Liquidation::vault_traded(0, usd(7));
        assert_eq!(loss(), usd(37));
        Liquidation::vault_traded(0, -usd(2));
        assert_eq!(loss(), usd(35));
        // Gains make good what was lost, and no more.
        close_at(150);
        assert_eq!(loss(), 0);
        close_at(140);
        assert_eq!(loss(), usd(100));
        // Another window counts anew.
        close(|view| view.block = 100);
        assert_eq!(loss(), 0);
    });
}

#[test]
fn nothing_is_done_when_a_price_is_old() {
    new_test_ext().execute_with(|| {
        deposit(VAULT, usd(1_000));
        a_pair();
        // Halted or not: without a price nobody knows what the account is worth.
        for status in [MarketStatus::ReduceOnly, MarketStatus::Halted] {
            let orders = close(|view| {
                set_mark(view, 0, 88);
                view.markets[0].fresh = false;
                view.markets[0].status = status;
            });
            assert!(orders.is_empty());
            assert_eq!((standing(LONG), is_queued(LONG)), (Standing::Good, false));
            assert_eq!(account(LONG).lots(0), 10);
        }
        close(|view| {
            view.markets[0].fresh = true;
            view.markets[0].status = MarketStatus::Open;
        });
        // At once then: no fund, so the vault takes no account below zero, and the short pays.
        let lots = [LONG, SHORT, VAULT].map(|owner| account(owner).lots(0));
        assert_eq!(lots, [0, 0, 0]);
    });
}

#[test]
fn an_account_is_liquidated_without_the_market_when_the_market_is_halted() {
    new_test_ext().execute_with(|| {
        deposit(VAULT, usd(1_000));
        a_pair();
        StoredLedger::update(&of(LONG), |a| {
            novate_risk::add_order(a, 0, Side::Bid, 3, usd(1))?;
            Ok::<_, LedgerError>(())
        })
        .unwrap();
        let halt = |view: &mut RiskView| {
            view.markets[0].status = MarketStatus::Halted;
            set_mark(view, 0, 94);
        };
        // Remedy 1 acts; remedy 2 has no market, and lasts its five closes all the same.
        for closes in 1..5 {
            assert!(close(halt).is_empty());
            assert_eq!(standing(LONG), Standing::Liquidating { since: 2, closes });
            assert!(account(LONG).orders.is_empty());
        }
        close(halt);
        assert_eq!(
            standing(LONG),
            Standing::Competing {
                since: 6,
                closes: 0
            }
        );
    });
}

#[test]
fn an_account_waits_for_the_call_of_its_market_and_takes_part_in_the_auction() {
    new_test_ext().execute_with(|| {
        a_pair();
        let called = |view: &mut RiskView| {
            view.markets[0].auction_at = view.block + 1;
            set_mark(view, 0, 94);
        };
        let closes = 0;
        for _ in 0..9 {
            assert!(close(called).is_empty());
            assert_eq!(standing(LONG), Standing::Liquidating { since: 2, closes });
        }
        // A close that uncrosses it, the first or a later one.
        let uncrossed = |view: &mut RiskView| {
            view.markets[0].auction_at = 11;
            set_mark(view, 0, 94);
        };
        for closes in 1..3 {
            assert_eq!(close(uncrossed), vec![the_order()]);
            assert_eq!(standing(LONG), Standing::Liquidating { since: 2, closes });
        }
    });
}

#[test]
fn an_account_does_not_wait_for_a_call_for_ever() {
    new_test_ext().execute_with(|| {
        deposit(VAULT, usd(1_000));
        a_pair();
        let called = |view: &mut RiskView| {
            view.markets[0].auction_at = view.block + 1;
            set_mark(view, 0, 94);
        };
        for block in 2..26 {
            assert!(close(called).is_empty());
            let closes = u8::try_from(block - 1).unwrap().saturating_sub(20);
            assert_eq!(standing(LONG), Standing::Liquidating { since: 2, closes });
        }
        close(called);
        assert_eq!(
            standing(LONG),
            Standing::Competing {
                since: 26,
                closes: 0
            }
        );
    });
}

#[test]
fn the_other_market_is_used_when_one_is_halted() {
    new_test_ext().execute_with(|| {
        deposit(LONG, usd(140));
        deposit(SHORT, usd(10_000));
        trade(LONG, SHORT, 0, 15, 100);
        trade(LONG, SHORT, 1, 5, 100);
        // 140 − 45 = 95 against 72.75 + 25.
        let orders = close(|view| {
            view.markets[0].status = MarketStatus::Halted;
            set_mark(view, 0, 97);
        });
        assert_eq!(orders.len(), 1);
        assert_eq!(orders[0].market, 1);
    });
}

#[test]
fn counterparties_pay_when_the_market_is_halted_and_nobody_else_does() {
    new_test_ext().execute_with(|| {
        a_pair();
        let sums = totals();
        close(|view| {
            view.markets[0].status = MarketStatus::Halted;
            set_mark(view, 0, 88);
        });
        assert_eq!(totals(), sums);
        assert_eq!((account(LONG).lots(0), account(SHORT).lots(0)), (0, 0));
    });
}

#[test]
fn a_deficit_stays_counted_when_its_price_goes_missing() {
    new_test_ext().execute_with(|| {
        deposit(LONG, usd(100));
        // Nobody can be deleveraged: the other side is the vault's, and below maintenance margin after it.
        deposit(20, usd(1_000));
        trade(LONG, 20, 0, 10, 100);
        MaxDeleveraged::set(0);
        close_at(88);
        assert_eq!(UncoveredDeficit::<Test>::get(), usd(20));
        assert!(Pallet::<Test>::withdrawals_paused());

        for _ in 0..2 {
            close(|view| view.markets[0].fresh = false);
            assert!(!is_queued(LONG));
            assert_eq!(UncoveredDeficit::<Test>::get(), usd(20));
            assert!(Pallet::<Test>::withdrawals_paused());
        }
        // Back, and lower: counted once, as it is now.
        close(|view| {
            view.markets[0].fresh = true;
            set_mark(view, 0, 87);
        });
        assert_eq!(
            (is_queued(LONG), UncoveredDeficit::<Test>::get()),
            (true, usd(30))
        );
        assert_eq!(Suspended::<Test>::iter().count(), 0);
        // Missing again, and back where nothing is lacking.
        close(|view| view.markets[0].fresh = false);
        assert_eq!(UncoveredDeficit::<Test>::get(), usd(30));
        close(|view| {
            view.markets[0].fresh = true;
            set_mark(view, 0, 110);
        });
        assert_eq!(
            (is_queued(LONG), UncoveredDeficit::<Test>::get()),
            (false, 0)
        );
        assert!(!Pallet::<Test>::withdrawals_paused());
    });
}

#[test]
fn a_deficit_is_counted_no_longer_when_a_good_account_has_its_price_back() {
    for recovers_before in [false, true] {
        new_test_ext().execute_with(|| {
            a_pair();
            // Below zero where it was settled, and without a price before any remedy.
            deposit(LONG, -usd(120));
            assert_eq!(UncoveredDeficit::<Test>::get(), usd(20));
            close(|view| view.markets[0].fresh = false);
            assert_eq!((is_queued(LONG), standing(LONG)), (false, Standing::Good));
            assert_eq!(UncoveredDeficit::<Test>::get(), usd(20));
            if recovers_before {
                deposit(LONG, usd(200));
                assert_eq!(UncoveredDeficit::<Test>::get(), 0);
            }
            close(|view| {
                view.markets[0].fresh = true;
                set_mark(view, 0, 110);
            });
            assert_eq!(
                (is_queued(LONG), UncoveredDeficit::<Test>::get()),
                (false, 0)
            );
        });
    }
}

#[test]
fn a_deficit_is_dropped_when_trades_made_it_good_before_its_price_went_missing() {
    new_test_ext().execute_with(|| {
        a_pair();
        deposit(LONG, -usd(120));
        trade(LONG, SHORT, 0, 5, 50);
        assert!(is_queued(LONG), "250 of profit later");
        close(|view| view.markets[0].fresh = false);
        assert_eq!(
            (is_queued(LONG), UncoveredDeficit::<Test>::get()),
            (false, 0)
        );
    });
}

#[test]
fn a_frozen_account_is_priced_at_what_it_has_when_it_is_paid_into() {
    new_test_ext().execute_with(|| {
        MaxDeleveraged::set(1);
        deposit(LONG, usd(100));
        for owner in 20..25 {
            deposit(owner, usd(1_000));
            trade(LONG, owner, 0, 2, 100);
        }
        let pay = |cash| {
            StoredLedger::update(&of(LONG), |a| {
                a.cash += cash;
                Ok::<_, LedgerError>(())
            })
            .unwrap()
        };
        let value = || {
            events().into_iter().find_map(|event| match event {
                Event::Deleveraged { value, .. } => Some(value),
                _ => None,
            })
        };
        close_at(88);
        // −20 of 10 lots: two are sold for 176 and 4 more.
        assert_eq!(
            (value(), standing(LONG)),
            (Some(-usd(180)), Standing::Frozen)
        );
        // −16 is left of 8; paid in 24 they have 8 to give, 2 of them for two lots.
        pay(usd(24));
        close_at(88);
        assert_eq!(
            (value(), standing(LONG)),
            (Some(-usd(174)), Standing::Frozen)
        );
        assert_eq!(UncoveredDeficit::<Test>::get(), 0);
        // 6 lots, 6 of equity against 26.40: with 21 more it is good again.
        pay(usd(21));
        let sums = totals();
        close_at(88);
        assert_eq!(
            (value(), standing(LONG), is_queued(LONG)),
            (None, Standing::Good, false)
        );
        assert_eq!((account(LONG).lots(0), assess(LONG).equity), (6, usd(27)));
        assert_eq!(totals(), sums);
    });
}

#[test]
fn the_vault_recovers_when_it_is_recharged_while_frozen() {
    new_test_ext().execute_with(|| {
        MaxDeleveraged::set(1);
        deposit(VAULT, usd(100));
        for owner in 20..25 {
            deposit(owner, usd(1_000));
            trade(VAULT, owner, 0, 2, 100);
        }
        close_at(91);
        assert_eq!(standing(VAULT), Standing::Frozen);
        StoredLedger::update(&of(VAULT), |a| {
            a.cash += usd(1_000);
            Ok::<_, LedgerError>(())
        })
        .unwrap();
        // Good again after the match, and working its book off in the next close.
        assert!(close_at(91).is_empty());
        assert_eq!(standing(VAULT), Standing::Good);
        Allowance::<Test>::put(u64::MAX);
        assert_eq!(close_at(91)[0].account, of(VAULT));
    });
}

#[test]
fn depth_is_read_once_a_side_and_few_positions_are_tried_when_many_accounts_sell() {
    new_test_ext().execute_with(|| {
        set_depth(0, 25);
        for owner in 20..40 {
            deposit(owner, usd(100));
            deposit(SHORT, usd(10_000));
            trade(owner, SHORT, 0, 10, 100);
        }
        let orders = marks(|view| set_mark(view, 0, 94));
        assert_eq!((orders.len(), depth_reads()), (3, 1));
    });
    // Twelve markets of one lot each, in nine of which nothing can be sold any more.
    new_test_ext().execute_with(|| {
        View::mutate(|view| {
            let view = view.as_mut().unwrap();
            view.markets = (0..12)
                .map(a_market)
                .collect::<Vec<_>>()
                .try_into()
                .unwrap();
        });
        deposit(SHORT, usd(100_000));
        for owner in [LONG, 20, 21] {
            deposit(owner, usd(60));
            for market in 0..12 {
                trade(owner, SHORT, market, 1, 100);
            }
        }
        for market in 0..12 {
            set_depth(market, 0);
        }
        deposit(LONG, -usd(1));
        deposit(20, -usd(1));
        deposit(21, -usd(1));
        let orders = marks(|_| ());
        assert_eq!(orders.len(), 3);
        assert_eq!(depth_reads(), 3);
    });
    // No more reads than accounts may be worked on.
    new_test_ext().execute_with(|| {
        MaxLiquidations::set(1);
        a_pair();
        deposit(VAULT, usd(10_000));
        trade(VAULT, SHORT, 1, 2, 100);
        deposit(LONG, -usd(60));
        marks(|_| ());
        assert!(depth_reads() <= 2);
    });
}

#[test]
fn slices_are_worth_an_order_when_depth_or_shortage_is_small() {
    let min_of_5_lots = |view: &mut RiskView| {
        view.markets[0].min_notional = usd(470);
        set_mark(view, 0, 94);
    };
    new_test_ext().execute_with(|| {
        // Two lots would do; at 94 an order is of five at least.
        a_pair();
        assert_eq!(close(min_of_5_lots)[0].lots, 5);
    });
    new_test_ext().execute_with(|| {
        // A fifth of 30 lots is six: the first takes five, and one lot is not worth an order.
        set_depth(0, 30);
        for owner in 20..22 {
            deposit(owner, usd(100));
            deposit(SHORT, usd(10_000));
            trade(owner, SHORT, 0, 10, 100);
        }
        let lots: Vec<_> = close(min_of_5_lots).iter().map(|o| o.lots).collect();
        assert_eq!(lots, vec![5]);
    });
    new_test_ext().execute_with(|| {
        // No depth at all, and a position smaller than an order: all of it.
        set_depth(0, 0);
        deposit(LONG, usd(30));
        deposit(SHORT, usd(10_000));
        trade(LONG, SHORT, 0, 3, 100);
        assert_eq!(close(min_of_5_lots)[0].lots, 3, "30 − 18 against 14.10");
    });
    new_test_ext().execute_with(|| {
        // The vault's orders too.
        set_depth(0, 0);
        deposit(VAULT, usd(1_000));
        a_pair();
        close_at(93);
        Allowance::<Test>::put(u64::MAX);
        assert_eq!(close(min_of_5_lots)[0].lots, 5);
    });
}

#[test]
fn orders_are_cancelled_over_several_closes_when_they_are_too_many() {
    new_test_ext().execute_with(|| {
        MaxLiquidations::set(200);
        let owners = 20..151;
        for owner in owners.clone() {
            deposit(owner, usd(100));
            deposit(SHORT, usd(10_000));
            trade(owner, SHORT, 0, 10, 100);
            StoredLedger::update(&of(owner), |a| {
                novate_risk::add_order(a, 0, Side::Bid, 3, usd(1))?;
                Ok::<_, LedgerError>(())
            })
            .unwrap();
        }
        // 256 may be cancelled: after one order each of 129 accounts, those of another might be too many.
        close_at(94);
        let good = owners.clone().filter(|o| standing(*o) == Standing::Good);
        assert_eq!(good.count(), 2);
        assert!(owners.clone().all(is_queued));
        close_at(94);
        assert!(owners.clone().all(|owner| account(owner).orders.is_empty()));
    });
}

#[test]
fn the_vault_takes_over_at_once_when_what_waits_behind_those_worked_on_exceeds_its_share() {
    let taken = |longs: u64| {
        new_test_ext().execute_with(|| {
            BacklogShare::set(100_000);
            MaxLiquidations::set(2);
            deposit(VAULT, usd(1_000_000));
            for owner in 1_000..1_000 + longs {
                deposit(owner, usd(100));
                deposit(SHORT, usd(10_000));
                trade(owner, SHORT, 0, 10, 100);
            }
            // Others' open interest: those worked on hold a fiftieth of all there is.
            let others = 100 - longs;
            for owner in 5_000..5_000 + others {
                deposit(owner, usd(10_000));
                trade(owner, SHORT, 0, 10, 100);
            }
            close_at(94);
            events()
                .iter()
                .filter(|event| {
                    matches!(
                        event,
                        Event::TakenOver {
                            why: Escalation::Backlog,
                            ..
                        }
                    )
                })
                .count()
        })
    };
    assert_eq!(taken(3), 0);
    assert_eq!(taken(40), 2);
}

#[test]
fn what_a_close_does_is_reserved_before_it_when_a_crash_comes_and_goes() {
    new_test_ext().execute_with(|| {
        let calm = Work {
            pops: 8,
            looks: 8 * STEPS,
            liquidations: 2 * STEPS,
            deleveraged: STEPS,
            ranks: 4,
        };
        CalmWork::set(Some(calm));
        (MaxPops::set(64), MaxLiquidations::set(10));
        let budget = || Pallet::<Test>::budget().ref_time();
        let reserved = budget();
        // The vault neither quotes nor has shares to settle.
        let most = Pallet::<Test>::calm_budget() - Pallet::<Test>::most_for_vault()
            + Pallet::<Test>::most_for_stress();
        assert_eq!(reserved, most.ref_time());
        deposit(VAULT, usd(1_000_000));
        let longs = 1_000..1_030;
        for owner in longs.clone() {
            deposit(owner, usd(100));
            deposit(SHORT, usd(10_000));
            trade(owner, SHORT, 0, 10, 100);
        }
        let settled = || {
            longs
                .clone()
                .filter(|l| account(*l).positions.is_empty())
                .count()
        };

        // The first close has the reserve of a calm one, and does what it was reserved for.
        close_at(91);
        assert_eq!(settled(), 2);
        assert_eq!(Queue::<Test>::count(), 6);
        // It left a queue, and thresholds it did not reach: the next has room for both, and no more than the constants.
        assert_eq!(
            Pallet::<Test>::capacity(),
            Work {
                pops: 64,
                looks: 64 * STEPS,
                liquidations: 10 * STEPS,
                deleveraged: MaxDeleveraged::get() * STEPS,
                ranks: MaxRankReads::get()
            }
        );
        assert!(reserved < budget());
        close_at(91);
        assert_eq!(settled(), 12);
        assert_eq!(Queue::<Test>::count(), 18);
        close_at(91);
        assert_eq!(settled(), 22);
        (close_at(91), close_at(91));
        assert_eq!((settled(), Queue::<Test>::count()), (30, 0));
        close_at(91);
        assert_eq!(Pallet::<Test>::capacity(), calm);
        assert!(!Allowance::<Test>::exists(), "a calm chain stores nothing");
    });
}

#[test]
fn a_crash_has_the_room_that_others_leave_when_that_is_less_than_it_needs() {
    use frame_support::weights::Weight;
    let fixed = || Pallet::<Test>::calm_budget().ref_time() - Pallet::<Test>::calm_allowance();
    // How many closes it takes until everybody is settled, with so much time for each.
    let closes = |time: u64| {
        new_test_ext().execute_with(|| {
            CalmWork::set(Some(Work {
                pops: 1,
                looks: STEPS,
                liquidations: STEPS,
                deleveraged: STEPS,
                ranks: 1,
            }));
            MaxLiquidations::set(1_000);
            MaxDeleveraged::set(1_000);
            Room::set(Weight::from_parts(fixed().saturating_add(time), 0));
            for owner in 1_000..1_100 {
                deposit(owner, usd(100));
                deposit(owner + 1_000, usd(10_000));
                trade(owner, owner + 1_000, 0, 10, 100);
            }
            let settled = || (1_000..1_100).all(|l| account(l).positions.is_empty());
            let needed = (1..1_000)
                .find(|_| {
                    close_at(80);
                    assert!(Pallet::<Test>::budget().ref_time() <= fixed().saturating_add(time));
                    settled()
                })
                .unwrap();
            assert_eq!(UncoveredDeficit::<Test>::get(), 0);
            Liquidation::do_try_state().unwrap();
            needed
        })
    };
    // The first one is calm. Then each account takes a look, remedies and a slice: 0.6 ms as the tests' weights have it.
    assert!(closes(u64::MAX) <= 3);
    let few = closes(20_000_000_000);
    let many = closes(10_000_000_000);
    assert!((3..=8).contains(&few), "{few}");
    assert!(
        (2 * few - 3..=2 * few + 3).contains(&many),
        "{many} after {few}"
    );
    Room::set(Weight::MAX);
}

#[test]
fn a_crowd_near_the_line_does_not_press_when_none_of_it_is_below() {
    new_test_ext().execute_with(|| {
        let calm = Work {
            pops: 4,
            ..Pallet::<Test>::bounds()
        };
        CalmWork::set(Some(calm));
        for owner in 1_000..1_030 {
            deposit(owner, usd(100));
            deposit(SHORT, usd(10_000));
            trade(owner, SHORT, 0, 10, 100);
        }
        // In the bucket of the line, or just above it: looked at in every close.
        for _ in 0..4 {
            close_at(95);
            assert_eq!(Queue::<Test>::count(), 0);
            assert_eq!(Pallet::<Test>::capacity(), calm);
        }
    });
}

#[test]
fn an_account_in_remedies_waits_in_the_index_when_its_price_grows_old() {
    new_test_ext().execute_with(|| {
        a_pair();
        close_at(94);
        assert!(is_queued(LONG));
        close(|view| view.markets[0].fresh = false);
        assert!(!is_queued(LONG));
        assert_eq!(
            standing(LONG),
            Standing::Liquidating {
                since: 2,
                closes: 1
            }
        );
        // The price comes back, higher or lower: it is found, and goes on where it was.
        close(|view| view.markets[0].fresh = true);
        assert_eq!(
            standing(LONG),
            Standing::Liquidating {
                since: 2,
                closes: 2
            }
        );
        close(|view| view.markets[0].fresh = false);
        close(|view| {
            view.markets[0].fresh = true;
            set_mark(view, 0, 120);
        });
        assert_eq!((standing(LONG), is_queued(LONG)), (Standing::Good, false));
    });
}

#[test]
fn a_loss_cap_moves_by_a_step_and_waits_when_governance_schedules_it() {
    new_test_ext().execute_with(|| {
        let root = || RuntimeOrigin::root();
        let in_force = || Pallet::<Test>::loss_cap(0, System::block_number());
        let due = System::block_number() + 10;
        type Wrong = Error<Test>;
        let schedule = |cap| Liquidation::schedule_loss_cap(root(), 0, cap);
        assert_noop!(
            Liquidation::schedule_loss_cap(RuntimeOrigin::signed(1), 0, 1),
            BadOrigin
        );
        assert_noop!(schedule(-1), Wrong::NegativeCap);
        assert_noop!(schedule(usd(750) + 1), Wrong::StepTooLarge);
        assert_noop!(schedule(usd(250) - 1), Wrong::StepTooLarge);
        assert_noop!(
            Liquidation::schedule_loss_cap(root(), 9, 1),
            Wrong::UnknownMarket
        );
        assert_noop!(
            Liquidation::cancel_loss_cap(root(), 0),
            Wrong::NothingPending
        );
        assert_ok!(schedule(usd(750)));
        assert_noop!(schedule(usd(750)), Wrong::ChangePending);
        assert_eq!(in_force(), usd(500));
        System::set_block_number(due - 1);
        assert_eq!(in_force(), usd(500));
        System::set_block_number(due);
        assert_eq!(in_force(), usd(750));
        assert_noop!(
            Liquidation::cancel_loss_cap(root(), 0),
            Wrong::NothingPending
        );
        assert_ok!(schedule(usd(375)));
        assert_ok!(Liquidation::cancel_loss_cap(root(), 0));
        System::set_block_number(due + 50);
        assert_eq!(in_force(), usd(750));
        assert_eq!(
            events(),
            vec![
                Event::LossCapScheduled {
                    market: 0,
                    old_value: usd(500),
                    new_value: usd(750),
                    due
                },
                Event::LossCapScheduled {
                    market: 0,
                    old_value: usd(750),
                    new_value: usd(375),
                    due: due + 10
                },
                Event::LossCapCancelled {
                    market: 0,
                    cancelled: usd(375)
                },
            ]
        );
    });
}

#[test]
fn a_loss_cap_falls_at_once_and_only_falls_when_emergency_lowers_it() {
    new_test_ext().execute_with(|| {
        let root = || RuntimeOrigin::root();
        let lower = |cap| Liquidation::lower_loss_cap(root(), 0, cap);
        assert_noop!(
            Liquidation::lower_loss_cap(RuntimeOrigin::signed(1), 0, 1),
            BadOrigin
        );
        assert_noop!(lower(usd(500)), Error::<Test>::NotLower);
        assert_noop!(lower(-1), Error::<Test>::NegativeCap);
        assert_ok!(Liquidation::schedule_loss_cap(root(), 0, usd(600)));
        assert_ok!(lower(0));
        System::set_block_number(System::block_number() + 20);
        assert_eq!(Pallet::<Test>::loss_cap(0, System::block_number()), 0);
        let lowered = &events()[1..];
        assert_eq!(
            lowered,
            vec![
                Event::LossCapCancelled {
                    market: 0,
                    cancelled: usd(600)
                },
                Event::LossCapLowered {
                    market: 0,
                    old_value: usd(500),
                    new_value: 0
                },
            ]
        );
    });
}

#[test]
fn remedies_count_for_no_more_accounts_than_the_budget_when_many_fall() {
    new_test_ext().execute_with(|| {
        MaxLiquidations::set(3);
        deposit(VAULT, usd(100_000));
        for owner in 20..30 {
            deposit(owner, usd(100));
            deposit(SHORT, usd(10_000));
            trade(owner, SHORT, 0, 10, 100);
        }
        for left in [7, 4, 1, 0] {
            close_at(93);
            assert_eq!(Pallet::<Test>::queued(), left);
            assert!(Working::<Test>::get().is_empty());
        }
    });
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn nothing_is_created_or_lost_and_nobody_closes_too_much_when_markets_crash(
        trades in prop::collection::vec((10u64..18, 10u64..18, 0u16..2, 1i64..20, 90u64..110), 1..30),
        cash in prop::collection::vec(0i128..400, 8),
        collateral in prop::collection::vec(0u128..100, 8),
        vault in 0i128..1_500,
        fund in 0i128..100,
        prices in prop::collection::vec((60u128..150, 60u128..150, -200i128..200), 1..8),
        quota in 1u32..4,
    ) {
        new_test_ext().execute_with(|| {
            MaxDeleveraged::set(quota);
            deposit(VAULT, usd(vault));
            deposit(FUND, usd(fund));
            for (owner, (cash, units)) in (10..18).zip(cash.iter().zip(&collateral)) {
                deposit(owner, usd(*cash));
                deposit_asset(owner, *units);
            }
            for (buyer, seller, market, lots, ticks) in trades {
                if buyer != seller {
                    trade(buyer, seller, market, lots, ticks);
                }
            }
            let sums = totals();
            assert!(sums.0.is_empty());
            for (a, b, funding) in prices {
                marks(|view| {
                    set_mark(view, 0, a);
                    set_mark(view, 1, b);
                    let by = (funding << FUNDING_FRACTION_BITS) * 1_000 + 7;
                    view.markets[0].accrue_funding(by).unwrap();
                });
                assert_eq!(totals(), sums);
                Liquidation::do_try_state().unwrap();
                let held: std::collections::BTreeMap<_, _> = Accounts::iter().collect();
                events();
                waterfall();
                assert_eq!(totals(), sums);

                let mut shared = false;
                let mut closed = std::collections::BTreeMap::<(Of, MarketId), u64>::new();
                let mut counterparties = std::collections::BTreeSet::new();
                for event in events() {
                    shared |= matches!(event, Event::LossShared { .. });
                    if let Event::Deleveraged { account, counterparty, market, lots, .. } = event {
                        counterparties.insert(counterparty);
                        assert!(lots > 0);
                        *closed.entry((account, market)).or_default() += lots;
                        *closed.entry((counterparty, market)).or_default() += lots;
                        // Opposite sides: never more than either position.
                        if account != of(VAULT) && counterparty != of(VAULT) {
                            assert!(held[&account].lots(market).signum() != 0);
                            assert_eq!(
                                held[&account].lots(market).signum(),
                                -held[&counterparty].lots(market).signum(),
                            );
                        }
                    }
                }
                assert!(counterparties.len() <= quota as usize);
                for ((account, market), lots) in closed {
                    if account != of(VAULT) {
                        assert!(lots <= held[&account].lots(market).unsigned_abs());
                    }
                }
                // Every deficit that is left is accounted for. Whomever a charge brought below zero the next close finds.
                let open: Cash = Accounts::iter_keys().map(|a| (-assess(a.owner).equity).max(0)).sum();
                let counted = UncoveredDeficit::<Test>::get();
                assert!(counted == open || shared && counted <= open, "{counted} counted of {open}");
            }
        });
    }
}
