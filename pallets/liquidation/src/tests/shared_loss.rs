//! Remedy 7: who bears what nobody covers, and when withdrawals pause. Numbers are worked out by hand beside them.

use super::*;
use crate::{Event, LossCharge, Pallet, Queue, UncoveredDeficit};
use novate_risk::settle_funding;
use proptest::prelude::*;

/// Short across from [`LONG`].
const ACROSS: u64 = 20;
/// Takes the other side of whatever else is open.
const OTHER: u64 = 30;

/// [`LONG`] at −50 at 85, and across from it only [`ACROSS`], whom nobody may close: its profit supports a loss in market 1. It has
/// 20 + 150 − 81 = 89 against 42.50 + 40.95 = 83.45, and would be left with 39 against 40.95.
fn a_loss_that_nobody_covers(across: u64) {
    deposit(LONG, usd(100));
    deposit(across, usd(20));
    deposit(OTHER, usd(10_000));
    trade(LONG, across, 0, 10, 100);
    trade(across, OTHER, 1, 9, 100);
}

fn marks_at(view: &mut RiskView, market_0: u128, market_1: u128) {
    set_mark(view, 0, market_0);
    set_mark(view, 1, market_1);
}

fn shared() -> Vec<(Of, Cash, Vec<LossCharge>)> {
    let all = events().into_iter();
    all.filter_map(|event| match event {
        Event::LossShared {
            account,
            loss,
            charges,
        } => Some((account, loss, charges)),
        _ => None,
    })
    .collect()
}

/// Settles everybody's funding, and returns what the pots have then.
fn settle_all() -> Cash {
    let view = StoredView::view();
    let all: Vec<Of> = Accounts::iter_keys().collect();
    for of in all {
        StoredLedger::settle(&of, &view, false, |account| {
            for market in &view.markets {
                let paid = settle_funding(account, market)?;
                StoredLedger::credit_pot(Pot::Funding(market.id), paid)?;
            }
            Ok::<_, LedgerError>(())
        })
        .unwrap();
    }
    Pots::iter_values().sum()
}

#[test]
fn those_across_are_charged_when_nobody_covers_a_loss() {
    new_test_ext().execute_with(|| {
        a_loss_that_nobody_covers(ACROSS);
        let sums = totals();
        marks(|view| marks_at(view, 85, 91));
        assert_eq!(UncoveredDeficit::<Test>::get(), usd(50));
        assert!(Pallet::<Test>::withdrawals_paused());
        waterfall();
        assert_eq!(totals(), sums);
        let charge = LossCharge {
            market: 0,
            side: Side::Ask,
            loss: usd(50),
            lots: 10,
            per_lot: usd(5) << FUNDING_FRACTION_BITS,
        };
        assert_eq!(shared(), vec![(of(LONG), usd(50), vec![charge])]);
        assert_eq!(assess(LONG).equity, 0);
        assert_eq!(assess(ACROSS).equity, usd(39));
        // The pot gave it, and has it back when the charge settles.
        assert_eq!(StoredLedger::pot(Pot::Funding(0)), -usd(50));
        assert_eq!(UncoveredDeficit::<Test>::get(), 0);
        assert!(!Pallet::<Test>::withdrawals_paused());
        // OTHER's market is not charged, nor are longs.
        assert_eq!(assess(OTHER).equity, usd(10_081));
        assert_eq!(StoredView::view().markets[0].funding_index, 0);
    });
}

#[test]
fn whoever_a_charge_brings_below_maintenance_is_found_by_the_next_close() {
    new_test_ext().execute_with(|| {
        a_loss_that_nobody_covers(ACROSS);
        close(|view| marks_at(view, 85, 91));
        assert!(!is_queued(ACROSS));
        let sums = totals();
        marks(|_| ());
        assert!(is_queued(ACROSS), "39 against 83.45");
        waterfall();
        assert_eq!(totals(), sums);
        // Closed against those who are across from it: nobody stays frozen.
        for owner in [LONG, ACROSS] {
            assert!(account(owner).positions.is_empty());
        }
        close(|_| ());
        assert_eq!(Queue::<Test>::count(), 0);
        assert_eq!(settle_all(), 0);
        assert_eq!(totals(), sums);
    });
}

#[test]
fn each_market_bears_its_share_when_a_loss_has_several() {
    new_test_ext().execute_with(|| {
        deposit(LONG, usd(100));
        // At 80 and 90 it has −200 + 300 = 100 against 85; LONG lacks 200, of which either market alone would be too much for it.
        deposit(ACROSS, -usd(200));
        trade(LONG, ACROSS, 0, 10, 100);
        trade(LONG, ACROSS, 1, 10, 100);
        let sums = totals();
        close(|view| marks_at(view, 80, 90));
        assert_eq!(totals(), sums);
        let [(_, loss, charges)] = &shared()[..] else {
            panic!("one loss is shared");
        };
        assert_eq!(*loss, usd(200));
        let parts: Vec<_> = charges.iter().map(|c| (c.market, c.side, c.loss)).collect();
        // Two thirds were lost in market 0, one in market 1.
        assert_eq!(
            parts,
            vec![(0, Side::Ask, 133_333_333), (1, Side::Ask, 66_666_667)]
        );
        assert_eq!(assess(LONG).equity, 0);
        // Each lot's charge is rounded up, and so is what ten lots owe: a quantum in each market stays in its pot.
        assert_eq!(assess(ACROSS).equity, usd(-100) - 2);
    });
}

#[test]
fn a_profit_elsewhere_is_not_charged_when_one_market_lost() {
    new_test_ext().execute_with(|| {
        // 10 − 100 and a gain of 20 in market 1: −70, of which 58.33 and 11.67 would be paid by those across. ACROSS has 50 against 45, OTHER 10
        // against 9: neither can.
        deposit(LONG, usd(10));
        deposit(ACROSS, -usd(50));
        deposit(OTHER, usd(30));
        trade(LONG, ACROSS, 0, 10, 100);
        trade(OTHER, LONG, 1, 2, 100);
        close(|view| marks_at(view, 90, 90));
        let [(_, loss, charges)] = &shared()[..] else {
            panic!("one loss is shared");
        };
        assert_eq!(*loss, usd(70));
        assert_eq!(
            (charges.len(), charges[0].market, charges[0].loss),
            (1, 0, usd(70))
        );
        assert_eq!((assess(LONG).equity, assess(OTHER).equity), (0, usd(10)));
    });
}

#[test]
fn a_deficit_without_a_position_is_left_to_the_fund() {
    new_test_ext().execute_with(|| {
        a_pair();
        deposit(ACROSS, -usd(20));
        for _ in 0..3 {
            close(|_| ());
        }
        assert_eq!(shared(), vec![]);
        assert_eq!(UncoveredDeficit::<Test>::get(), usd(20));
        assert!(Pallet::<Test>::withdrawals_paused());
    });
}

#[test]
fn nothing_is_shared_while_counterparties_are_merely_out_of_reach() {
    for quota in [0, 1] {
        new_test_ext().execute_with(|| {
            deposit(LONG, usd(100));
            for owner in 20..25 {
                deposit(owner, usd(1_000));
                trade(LONG, owner, 0, 2, 100);
            }
            // Either no time to change anybody, or to read the line.
            if quota == 0 {
                MaxDeleveraged::set(1);
            } else {
                MaxRankReads::set(1);
            }
            close_at(88);
            assert_eq!(account(LONG).lots(0), 8);
            assert_eq!(shared(), vec![]);
            assert_eq!(UncoveredDeficit::<Test>::get(), usd(16));
            for _ in 0..5 {
                close_at(88);
            }
            assert_eq!(shared(), vec![]);
            assert_eq!((account(LONG).lots(0), account(LONG).cash), (0, 0));
        });
    }
}

#[test]
fn the_vault_counts_a_charge_as_a_loss_when_it_is_across() {
    new_test_ext().execute_with(|| {
        a_loss_that_nobody_covers(VAULT);
        close(|view| marks_at(view, 85, 91));
        assert_eq!(shared().len(), 1);
        let block = StoredView::view().block;
        // Market 0 gained it 150 before, which is not saved up.
        assert_eq!(Pallet::<Test>::vault_loss(0, block), usd(50));
        assert_eq!(Pallet::<Test>::vault_loss(1, block), usd(81));
    });
}

#[test]
fn withdrawals_pause_exactly_while_an_uncovered_deficit_exceeds_the_fund() {
    let paused = |fund: Option<Cash>, deficit: Cash| {
        new_test_ext().execute_with(|| {
            fund.into_iter().for_each(|cash| deposit(FUND, cash));
            deposit(LONG, -deficit);
            assert_eq!(UncoveredDeficit::<Test>::get(), deficit);
            Pallet::<Test>::withdrawals_paused()
        })
    };
    assert!(!paused(Some(usd(17)), usd(17) - 1));
    assert!(!paused(Some(usd(17)), usd(17)));
    assert!(paused(Some(usd(17)), usd(17) + 1));
    assert!(!paused(Some(0), 0));
    assert!(paused(Some(0), 1));
    assert!(!paused(None, 0));
    assert!(paused(None, 1));
}

proptest! {
    #![proptest_config(cases(48))]

    /// Whatever crashes, all of a loss is borne by somebody, nobody stays below zero without a market to charge, and the pots are repaid.
    #[test]
    fn losses_are_shared_whole_when_a_market_crashes_beyond_everybodys_means(
        cash in prop::collection::vec(0i128..300, 6),
        trades in prop::collection::vec((0u64..6, 0u64..6, 0u16..2, 1i64..12), 1..20),
        closes in prop::collection::vec((40u128..180, 40u128..180, -20i128..20), 1..5),
        funds in (0i128..50, 0i128..400),
    ) {
        new_test_ext().execute_with(|| {
            deposit(FUND, usd(funds.0));
            deposit(VAULT, usd(funds.1));
            for (owner, cash) in (10..).zip(&cash) {
                deposit(owner, usd(*cash));
            }
            for (buyer, seller, market, lots) in trades {
                if buyer != seller {
                    trade(10 + buyer, 10 + seller, market, lots, 100);
                }
            }
            let sums = totals();
            let mut last = (100, 100);
            for (market_0, market_1, funding) in closes {
                last = (market_0, market_1);
                close(|view| {
                    marks_at(view, market_0, market_1);
                    fund(view, funding * QUANTUMS / 7);
                });
                prop_assert_eq!(totals(), sums.clone());
            }
            // Prices stand still. The pots gave what was shared, and settling repays all of it and no more than rounding.
            for _ in 0..6 {
                close(|view| marks_at(view, last.0, last.1));
                prop_assert_eq!(totals(), sums.clone());
            }
            let pots = settle_all();
            prop_assert!((0..1_000).contains(&pots), "the pots have {}", pots);
            prop_assert_eq!(totals(), sums);
            Ok(())
        })?;
    }
}

#[test]
fn an_option_bears_what_the_other_markets_did_not_lose() {
    // Owes 400 for calls that it wrote for 50, and lost 30 in market 1.
    for (cash, expected) in [(200, [30, 150]), (330, [30, 20]), (360, [20, 0])] {
        new_test_ext().execute_with(|| {
            marks(|view| super::ending::call(view, 5, 100));
            deposit(SHORT, usd(1_000));
            for other in [ACROSS, OTHER] {
                deposit(other, usd(10_000));
            }
            trade(ACROSS, SHORT, 0, 10, 5);
            trade(SHORT, OTHER, 1, 10, 100);
            StoredLedger::update(&of(SHORT), |account| {
                account.cash = usd(cash + 50);
                Ok::<_, LedgerError>(())
            })
            .unwrap();
            let mut view = StoredView::view();
            super::ending::call(&mut view, 40, 140);
            set_mark(&mut view, 1, 97);
            View::put(&view);
            assert_eq!(assess(SHORT).equity, usd(cash + 50 - 430));
            events();
            Pallet::<Test>::share_losses(vec![of(SHORT)], &mut view, u64::MAX);
            View::put(&view);
            let [(_, loss, charges)] = &shared()[..] else {
                panic!("one loss is shared");
            };
            assert_eq!(*loss, usd(430 - 50 - cash));
            let parts: Vec<_> = charges.iter().map(|c| (c.market, c.side, c.loss)).collect();
            let all = [
                (1, Side::Ask, usd(expected[0])),
                (0, Side::Bid, usd(expected[1])),
            ];
            let borne: Vec<_> = all.into_iter().filter(|(.., loss)| *loss > 0).collect();
            assert_eq!(parts, borne);
        });
    }
}
