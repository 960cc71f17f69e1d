//! The threshold index against an exhaustive scan.

use super::*;
use crate::{pages::Shelf, Allowance, Event, Pallet, RiskDirectory, Search, Sweeping};
use novate_types::ThresholdSweep;
use proptest::prelude::*;

/// Accounts below maintenance margin, by looking at all of them.
fn scanned() -> Vec<Of> {
    let mut below: Vec<_> = Accounts::iter_keys()
        .filter(|a| assess(a.owner).is_below_maintenance())
        .collect();
    below.sort();
    below
}

#[derive(Clone, Debug)]
enum Step {
    Trade(u64, u64, u16, i64, u64),
    Cash(u64, i128),
    Asset(u64, u128),
    Marks {
        moves: (i64, i64, i64),
        funding: (i128, i128),
        fresh: (bool, bool),
    },
}

fn a_step() -> impl Strategy<Value = Step> {
    let owner = || 10u64..20;
    prop_oneof![
        4 => (owner(), owner(), 0u16..2, 1i64..30, 80u64..125)
            .prop_map(|(a, b, m, l, t)| Step::Trade(a, b, m, l, t)),
        2 => (owner(), -30_000_000i128..200_000_000).prop_map(|(a, c)| Step::Cash(a, c)),
        1 => (owner(), 0u128..300).prop_map(|(a, u)| Step::Asset(a, u)),
        5 => (
            (-80_000i64..80_000, -3_000i64..3_000, -20_000i64..20_000),
            (-3_000_000i128..3_000_000, -1_000i128..1_000),
            (prop::bool::weighted(0.95), prop::bool::weighted(0.95)),
        )
            .prop_map(|(moves, funding, fresh)| Step::Marks { moves, funding, fresh }),
    ]
}

/// A price after a relative move in ppm.
fn moved(price: Price, ppm: i64) -> Price {
    math::shift_floor(price, ppm).unwrap()
}

fn apply(step: Step) {
    match step {
        Step::Trade(a, b, market, lots, ticks) if a != b => trade(a, b, market, lots, ticks),
        Step::Trade(..) => {}
        Step::Cash(owner, cash) => deposit(owner, cash),
        Step::Asset(owner, units) => deposit_asset(owner, units),
        Step::Marks {
            moves,
            funding,
            fresh,
        } => {
            let change = |view: &mut RiskView| {
                view.markets[0].mark = moved(view.markets[0].mark, moves.0);
                view.markets[1].mark = moved(view.markets[1].mark, moves.1);
                view.collaterals[0].price = moved(view.collaterals[0].price, moves.2);
                view.markets[0]
                    .accrue_funding(funding.0 << FUNDING_FRACTION_BITS)
                    .unwrap();
                view.markets[1]
                    .accrue_funding((funding.1 << FUNDING_FRACTION_BITS) / 3)
                    .unwrap();
                view.markets[0].fresh = fresh.0;
                view.collaterals[0].fresh = fresh.1;
            };
            marks(change);
            let view = StoredView::view();
            for below in scanned() {
                let touched = crate::index::missing_axis(&account(below.owner), &view).unwrap();
                assert!(
                    touched.is_some() || is_queued(below.owner),
                    "{below:?} was missed: {:?}",
                    account(below.owner)
                );
            }
            Liquidation::do_try_state().unwrap();
            waterfall();
        }
    }
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn the_index_misses_nobody_whom_a_scan_finds(
        steps in prop::collection::vec(a_step(), 1..60),
        sweeps in 0u32..2,
    ) {
        new_test_ext().execute_with(|| {
            SweepPerClose::set(sweeps);
            for owner in 10..20 {
                deposit(owner, usd(300));
            }
            deposit(VAULT, usd(500));
            for step in steps {
                apply(step);
            }
            // The sweep had nobody to find: the index alone was right.
            assert!(events().iter().all(|e| !matches!(e, Event::FoundBySweep { .. })));
        });
    }
}

proptest! {
    #![proptest_config(cases(24))]

    /// Funding alone, prices at rest: nothing but its own thresholds can find these accounts.
    #[test]
    fn the_index_misses_nobody_when_only_funding_moves(
        accounts in prop::collection::vec((50i128..120, 1i64..30, any::<bool>()), 1..12),
        moves in prop::collection::vec(-1_500_000i128..1_500_000, 1..40),
    ) {
        new_test_ext().execute_with(|| {
            deposit(SHORT, usd(1_000_000));
            for (owner, (margin, lots, is_long)) in (20..).zip(accounts) {
                deposit(owner, margin * QUANTUMS * i128::from(lots) / 10);
                let (a, b) = if is_long { (owner, SHORT) } else { (SHORT, owner) };
                trade(a, b, 0, lots, 100);
            }
            for by in moves {
                marks(|view| view.markets[0].accrue_funding(by << FUNDING_FRACTION_BITS).unwrap());
                for below in scanned() {
                    assert!(is_queued(below.owner), "{below:?} was missed");
                }
                waterfall();
            }
        });
    }

    /// With no budget to speak of, what was crossed waits and is found in the end, although the price stands still.
    #[test]
    fn nothing_crossed_is_lost_when_the_budget_is_small(cash in prop::collection::vec(60i128..160, 20)) {
        new_test_ext().execute_with(|| {
            MaxPops::set(3);
            for (owner, cash) in (20..40).zip(cash) {
                deposit(owner, usd(cash));
                deposit(SHORT, usd(10_000));
                trade(owner, SHORT, 0, 10, 100);
            }
            marks(|view| set_mark(view, 0, 94));
            let queued = Pallet::<Test>::queued();
            assert!(queued <= 3);
            waterfall();
            for _ in 0..40 {
                close_at(94);
            }
            for below in scanned() {
                assert!(is_queued(below.owner));
            }
        });
    }
}

#[test]
fn the_farthest_crossed_is_looked_at_first_when_the_budget_is_small() {
    new_test_ext().execute_with(|| {
        // Due at 94.7, 96.8 and 98.9.
        for (owner, cash) in [(20, 100), (21, 80), (22, 60)] {
            deposit(owner, usd(cash));
            deposit(SHORT, usd(10_000));
            trade(owner, SHORT, 0, 10, 100);
        }
        MaxPops::set(1);
        for found in [22, 21, 20] {
            assert!(!is_queued(found));
            marks(|view| set_mark(view, 0, 94));
            assert!(is_queued(found));
        }
    });
}

#[test]
fn an_entry_moves_only_nearer_when_an_account_changes() {
    new_test_ext().execute_with(|| {
        a_pair();
        let is_mark =
            |shelf: &Shelf| *shelf == Shelf::Threshold(RiskAxis::Mark(0), Direction::Down);
        let before = account(LONG).risk;
        assert_eq!(entries(is_mark), 1);
        deposit(LONG, usd(50));
        assert_eq!(
            account(LONG).risk,
            before,
            "farther away: the old entry finds it early enough"
        );
        // Closed and opened again and again: no new entries.
        for _ in 0..50 {
            trade(SHORT, LONG, 0, 10, 100);
            trade(LONG, SHORT, 0, 10, 100);
        }
        assert_eq!(entries(is_mark), 1);
        deposit(LONG, -usd(70));
        assert_eq!(
            entries(is_mark),
            2,
            "nearer: a new entry, and the old one is stale"
        );
        Liquidation::do_try_state().unwrap();
        close_at(94);
        close_at(60);
        assert_eq!(entries(is_mark), 0, "stale ones go when they are read");
    });
}

#[test]
fn live_entries_survive_when_pages_are_swept_of_leftovers() {
    new_test_ext().execute_with(|| {
        deposit(SHORT, usd(1_000_000));
        for owner in 1_000..1_300 {
            deposit(owner, usd(100));
            trade(owner, SHORT, 0, 1, 100);
            // Every other one leaves again.
            if owner % 2 == 0 {
                trade(SHORT, owner, 0, 1, 100);
            }
        }
        deposit(LONG, usd(1_000_000));
        for _ in 0..600 {
            trade(LONG, SHORT, 0, 2, 100);
            trade(SHORT, LONG, 0, 2, 100);
        }
        let longs = entries(|shelf| *shelf == Shelf::Rank(0, Side::Bid));
        assert!((150..150 + 5 * 128).contains(&longs), "{longs} entries");
        Liquidation::do_try_state().unwrap();
    });
}

#[test]
fn positions_that_come_and_go_leave_a_bounded_number_of_entries() {
    new_test_ext().execute_with(|| {
        deposit(SHORT, usd(1_000_000));
        deposit(LONG, usd(1_000_000));
        for round in 0..1_500u32 {
            let (a, b) = if round % 2 == 0 {
                (LONG, SHORT)
            } else {
                (SHORT, LONG)
            };
            trade(a, b, 0, 2, 100);
            trade(b, a, 0, 2, 100);
        }
        let ranks = entries(|shelf| matches!(shelf, Shelf::Rank(..)));
        // 6,000 entries were made on two sides; a bucket keeps at most its three newest pages of leftovers.
        assert!(ranks <= 2 * 4 * 128, "{ranks} entries");
        Liquidation::do_try_state().unwrap();
    });
}

#[test]
fn a_healthy_account_is_put_back_untouched_when_its_bucket_is_that_of_the_price() {
    new_test_ext().execute_with(|| {
        deposit(LONG, 50_100_000);
        deposit(SHORT, usd(10_000));
        trade(LONG, SHORT, 0, 10, 100);
        // Ten cents above maintenance: 0.01 % away.
        let before = account(LONG);
        close_at(100);
        assert_eq!(account(LONG), before);
        close(|view| view.markets[0].mark = Price::from_rational(9_997, 100));
        assert!(is_queued(LONG));
    });
}

#[test]
fn the_sweep_finds_accounts_that_new_parameters_put_below_maintenance() {
    new_test_ext().execute_with(|| {
        SweepPerClose::set(2);
        a_pair();
        assert!(!<Pallet<Test> as ThresholdSweep>::completed_since(0));
        // 900 + 100 − 900 = 100 against 50 before, 115 after: below it without any move of the price.
        close(|view| view.markets[0].mmf = 115_000);
        assert!(events().contains(&Event::FoundBySweep { account: of(LONG) }));
        assert!(is_queued(LONG));
        for _ in 0..2 {
            close_at(99);
        }
        let completed = Sweeping::<Test>::get().unwrap().completed.unwrap();
        assert!(<Pallet<Test> as ThresholdSweep>::completed_since(completed));
        assert!(!<Pallet<Test> as ThresholdSweep>::completed_since(
            completed + 1
        ));
    });
}

#[test]
fn candidates_come_by_nearness_with_the_queue_first() {
    new_test_ext().execute_with(|| {
        // At 97 the third has 45 of the 48.50 that it needs.
        for (owner, cash) in [(20, 100), (21, 90), (22, 75), (23, 300)] {
            deposit(owner, usd(cash));
            deposit(SHORT, usd(10_000));
            trade(owner, SHORT, 0, 10, 100);
        }
        close_at(97);
        let owners = |from, count| {
            Pallet::<Test>::candidates(&StoredView::view(), from, count)
                .into_iter()
                .map(|a| a.owner)
                .collect::<Vec<_>>()
        };
        assert_eq!(owners(0, 4), vec![22, 21, 20, 23]);
        assert_eq!(owners(1, 2), vec![21, 20]);
        assert_eq!(owners(9, 2), Vec::<u64>::new());
    });
}

#[test]
fn an_account_below_maintenance_is_queued_where_it_is_settled() {
    new_test_ext().execute_with(|| {
        a_pair();
        deposit(LONG, -usd(60));
        assert!(is_queued(LONG));
        // The price rises: a threshold would not have been crossed, but the account is looked at all the same.
        marks(|view| set_mark(view, 0, 101));
        assert_eq!(
            standing(LONG),
            Standing::Liquidating {
                since: 2,
                closes: 1
            }
        );
        assert_eq!(
            RiskDirectory::<Test>::get(Shelf::Queue).buckets().count(),
            0
        );
        waterfall();
    });
}

#[test]
fn dust_at_the_line_does_not_delay_a_large_account() {
    new_test_ext().execute_with(|| {
        MaxPops::set(64);
        deposit(SHORT, usd(10_000_000));
        // 2,000 accounts of one lot, healthy by a cent, in the bucket of the price; and then a large one there.
        for owner in 10_000..12_000 {
            deposit(owner, 5_010_000);
            trade(owner, SHORT, 0, 1, 100);
        }
        deposit(LONG, usd(501));
        trade(LONG, SHORT, 0, 100, 100);
        for _ in 0..3 {
            close_at(100);
        }
        // 1 − 100·0.02 is below zero for the large one, and dust falls too.
        marks(|view| view.markets[0].mark = Price::from_rational(9_998, 100));
        assert!(is_queued(LONG));
        // What the large ones leave goes to the others: all of them are looked at in turn.
        for _ in 0..2_000 / 32 + 4 {
            marks(|_| ());
        }
        for below in scanned() {
            assert!(is_queued(below.owner), "{below:?} starved");
        }
    });
}

#[test]
fn small_accounts_do_not_starve_when_large_ones_stand_at_the_line() {
    new_test_ext().execute_with(|| {
        MaxPops::set(8);
        deposit(SHORT, usd(10_000_000));
        for owner in 1_000..1_020 {
            deposit(owner, usd(510));
            trade(owner, SHORT, 0, 100, 100);
        }
        a_pair();
        deposit(LONG, -49_500_000);
        // The large ones stay healthy in the bucket of the price; the small one lacks a quantum or two.
        for _ in 0..4 {
            close_at(100);
        }
        marks(|view| view.markets[0].mark = Price::from_rational(9_994, 100));
        marks(|_| ());
        assert!(is_queued(LONG), "{:?}", assess(LONG));
        assert!((1_000..1_020).all(|owner| !assess(owner).is_below_maintenance()));
    });
}

#[test]
fn no_axis_waits_for_a_crowd_on_another_when_time_is_short() {
    // Whichever axis a block begins with.
    for first in 0..24 {
        new_test_ext().execute_with(|| {
            deposit(SHORT, usd(10_000_000));
            // Healthy by a cent, in the bucket of the price: more than there is time to look at.
            for owner in 1_000..1_200 {
                deposit(owner, 5_010_000);
                trade(owner, SHORT, 0, 1, 100);
            }
            deposit(LONG, usd(100));
            trade(LONG, SHORT, 1, 10, 100);
            Allowance::<Test>::put(10_000_000_000);
            marks(|view| {
                view.block += first;
                set_mark(view, 1, 94);
            });
            assert!(is_queued(LONG), "not found in block {first}");
        });
    }
}

#[test]
fn what_both_searches_of_a_close_found_presses_when_the_last_was_cut_short() {
    let search = |is_used_up, looked_at, found| Search {
        is_used_up,
        looked_at,
        found,
    };
    let presses = |first: Search, later| first.then(later).presses();
    // The second meets no more than those near the line, and may not have come to the others.
    assert!(presses(search(true, 600, 500), search(true, 900, 0)));
    assert!(presses(search(false, 600, 500), search(true, 900, 0)));
    // A crowd near the line, whoever met it.
    assert!(!presses(search(true, 600, 40), search(true, 900, 0)));
    // Everybody was looked at.
    assert!(!presses(search(true, 600, 500), search(false, 900, 1)));
}

#[test]
fn an_account_changes_class_when_it_grows() {
    new_test_ext().execute_with(|| {
        let class = || {
            let slot = account(LONG).risk[0];
            crate::scale::class(slot.bucket)
        };
        deposit(SHORT, usd(1_000_000));
        deposit(LONG, usd(100));
        trade(LONG, SHORT, 0, 10, 100);
        assert_eq!(class(), 0);
        deposit(LONG, usd(10_000));
        trade(LONG, SHORT, 0, 490, 100);
        assert_eq!(class(), 2, "farther from the line, and yet a new entry");
        trade(SHORT, LONG, 0, 490, 100);
        assert_eq!(class(), 2, "it is found sooner than it needs");
        Liquidation::do_try_state().unwrap();
    });
}

#[test]
fn candidates_are_bounded_when_much_is_asked_for() {
    new_test_ext().execute_with(|| {
        let view = StoredView::view();
        a_pair();
        for (from, count) in [(0, u32::MAX), (u32::MAX, u32::MAX), (u32::MAX, 1)] {
            let found = Pallet::<Test>::candidates(&view, from, count);
            assert_eq!(found.len(), if from == 0 { 2 } else { 0 });
        }
        deposit(SHORT, usd(10_000_000));
        for owner in 10_000..10_000 + u64::from(crate::MOST_CANDIDATES) {
            deposit(owner, usd(6));
            trade(owner, SHORT, 0, 1, 100);
        }
        let at = |from, count| Pallet::<Test>::candidates(&view, from, count);
        assert_eq!(at(0, u32::MAX).len(), crate::MOST_CANDIDATES as usize);
        assert_eq!(at(crate::MOST_CANDIDATES, 10), vec![]);
        assert_eq!(at(10, 5), at(0, 15)[10..]);
    });
}
