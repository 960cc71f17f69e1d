//! Markets whose contract has settled, and options.

use super::*;
use crate::{meter::Meter, pages::Shelf, Pallet, RiskDirectory, VaultLoss, VaultLosses};
use novate_types::Liquidations as _;
use proptest::prelude::*;

/// Market 0 is a future that settles at `ticks`.
fn settle(view: &mut RiskView, ticks: Ticks) {
    let market = view.market_mut(0).unwrap();
    market.mark = price(ticks.into());
    market.status = MarketStatus::Halted;
    market.fresh = true;
    market.contract = Contract {
        kind: ContractKind::Future,
        expiry: 1,
        strike: 0,
        settled: true,
        ..Default::default()
    };
}

fn is_empty(shelf: Shelf) -> bool {
    RiskDirectory::<Test>::get(shelf).buckets().next().is_none()
}

/// Closes until the shelves of market 0 are empty; how many it took.
fn close_until_forgotten() -> u32 {
    let mut closes = 0;
    while !Pallet::<Test>::forget(0) {
        close(|_| {});
        closes += 1;
        assert!(closes < 100, "it never ends");
    }
    closes
}

#[test]
fn whoever_nobody_touches_is_settled_through_the_index() {
    new_test_ext().execute_with(|| {
        for owner in 10..40 {
            deposit(owner, usd(1_000));
            deposit(owner + 100, usd(1_000));
            trade(owner, owner + 100, 0, 5, 100);
        }
        // One also holds something else.
        trade(10, 11, 1, 3, 100);
        VaultLosses::<Test>::insert(0, VaultLoss { window: 0, loss: 1 });
        let before = totals();
        close(|view| settle(view, 104));
        close_until_forgotten();
        for owner in 10..40 {
            let gained = [(owner, 20), (owner + 100, -20)];
            for (owner, usd_gained) in gained {
                let held = account(owner);
                assert_eq!(held.cash - usd(usd_gained), usd(1_000));
                assert!(held.lots(0) == 0);
                assert!(held.risk.iter().all(|slot| slot.axis != RiskAxis::Mark(0)));
            }
        }
        assert_eq!(account(10).lots(1), 3);
        assert_eq!(totals(), (Default::default(), before.1, before.2));
        assert!(!VaultLosses::<Test>::contains_key(0));
        assert!(entries(|shelf| matches!(shelf, Shelf::Rank(0, _))) == 0);
        assert!(is_empty(Shelf::Threshold(
            RiskAxis::Funding(0),
            Direction::Up
        )));
        // The other market's are where they were.
        assert!(!Pallet::<Test>::forget(1));
    });
}

#[test]
fn settling_goes_as_far_as_time_lasts() {
    new_test_ext().execute_with(|| {
        for owner in 10..60 {
            deposit(owner, usd(1_000));
            deposit(owner + 100, usd(1_000));
            trade(owner, owner + 100, 0, 5, 100);
        }
        marks(|view| settle(view, 90));
        let view = StoredView::view();
        let held = || Accounts::iter_values().filter(|a| a.lots(0) != 0).count();
        assert_eq!(Pallet::<Test>::empty_shelves(&view, 0), 0);
        assert_eq!(held(), 100);
        let time = Meter::<Test>::of(0).largest_step();
        assert!(Pallet::<Test>::empty_shelves(&view, time) < time);
        let left = held();
        assert!(left > 0 && left < 100, "{left}");
        Pallet::<Test>::do_try_state().unwrap();
        waterfall();
        close_until_forgotten();
        assert_eq!(held(), 0);
    });
}

#[test]
fn an_account_in_the_queue_is_settled_before_its_remedies() {
    new_test_ext().execute_with(|| {
        a_pair();
        deposit(VAULT, usd(10_000));
        // It also holds three lots of the other market, and is due there.
        trade(LONG, SHORT, 1, 3, 100);
        close_at(96);
        assert!(is_queued(LONG));
        // The future settles above: what it is worth is cash, and enough.
        close(|view| settle(view, 100));
        assert!(!is_queued(LONG));
        assert_eq!(standing(LONG), Standing::Good);
        assert_eq!(account(LONG).lots(0), 0);
        assert_eq!(account(LONG).cash, usd(100));
        // Settled below, it is what the other market has to be closed for.
        close(|view| set_mark(view, 1, 69));
        assert!(is_queued(LONG));
    });
}

#[test]
fn whoever_waits_for_a_price_is_found_when_it_settles() {
    new_test_ext().execute_with(|| {
        a_pair();
        close(|view| {
            view.markets[0].fresh = false;
            set_mark(view, 0, 80);
        });
        StoredLedger::settle(&of(LONG), &StoredView::view(), false, |_| {
            Ok::<_, LedgerError>(())
        })
        .unwrap();
        assert!(!is_queued(LONG));
        // Bankrupt at the price at which it settles, with nobody across any more.
        close(|view| settle(view, 80));
        assert!(is_queued(LONG));
        assert!(assess(LONG).equity < 0);
        close_until_forgotten();
        assert!(is_queued(LONG));
    });
}

#[test]
fn an_account_that_cannot_be_settled_keeps_its_entry_and_its_market() {
    new_test_ext().execute_with(|| {
        for owner in 10..40 {
            deposit(owner, usd(1_000));
            deposit(owner + 100, usd(1_000));
            trade(owner, owner + 100, 0, 5, 100);
        }
        Stuck::insert(of(112), ());
        close(|view| settle(view, 104));
        for _ in 0..20 {
            close(|_| {});
        }
        // All longs are booked, and of the shorts this one is left: it keeps nobody else.
        let left: Vec<_> = Accounts::iter()
            .filter(|(_, account)| account.lots(0) != 0)
            .map(|(of, _)| of)
            .collect();
        assert_eq!(left, [of(112)]);
        assert!(!Pallet::<Test>::forget(0));
        assert_eq!(entries(|shelf| *shelf == Shelf::Rank(0, Side::Ask)), 1);
        Stuck::remove(of(112));
        close_until_forgotten();
        assert_eq!(account(112).cash, usd(980));
    });
}

#[test]
fn an_account_that_cannot_be_indexed_keeps_its_thresholds() {
    new_test_ext().execute_with(|| {
        a_pair();
        marks(|view| settle(view, 100));
        // It holds what nobody knows.
        let unknown = Position {
            market: 99,
            lots: 1,
            cost: 0,
            funding_index: 0,
            rank: RankSlot::default(),
        };
        Accounts::mutate(of(LONG), |account| {
            let account = account.as_mut().unwrap();
            account.positions.try_push(unknown).unwrap();
        });
        let thresholds = || entries(|s| matches!(s, Shelf::Threshold(RiskAxis::Mark(0), _)));
        assert!(thresholds() > 0);
        let view = StoredView::view();
        let left = Pallet::<Test>::empty_shelves(&view, u64::MAX);
        assert!(left > 0);
        let kept = account(LONG).risk;
        let of_market = kept.iter().filter(|slot| slot.axis == RiskAxis::Mark(0));
        assert_eq!(thresholds(), of_market.count());
        assert_eq!(entries(|shelf| *shelf == Shelf::Rank(0, Side::Bid)), 1);
        assert_eq!((account(LONG).lots(0), account(SHORT).lots(0)), (10, 0));
        assert!(!Pallet::<Test>::forget(0));
    });
}

/// Market 0 is a call at 100 on a forward of `forward`, marked at `mark`.
pub(super) fn call(view: &mut RiskView, mark: u128, forward: u128) {
    let market = view.market_mut(0).unwrap();
    market.mark = price(mark);
    market.index = price(forward);
    market.contract = InstrumentKind::Option {
        expiry: u64::MAX,
        strike: 100,
        right: OptionRight::Call,
    }
    .into();
}

#[test]
fn a_short_option_is_found_when_its_price_or_its_forward_rises() {
    // Owed 10·mark, needs 10 times 5 % of the forward and a dollar: due once 10·(mark + forward/20) + 1 is above what it has.
    for (mark, forward) in [(16, 105), (5, 320)] {
        new_test_ext().execute_with(|| {
            close(|view| call(view, 5, 100));
            deposit(SHORT, usd(151));
            deposit(LONG, usd(1_000));
            trade(LONG, SHORT, 0, 10, 5);
            assert_eq!(account(SHORT).cash, usd(201));
            assert_eq!(assess(SHORT).slack(), Some(usd(100)));
            // At the edge of it nobody is due, and a dollar beyond it the short is.
            close(|view| call(view, 15, 100));
            assert!(!is_queued(SHORT));
            close(|view| call(view, mark, forward));
            assert!(is_queued(SHORT), "{mark} {forward}");
            assert!(!is_queued(LONG));
        });
    }
}

#[test]
fn a_long_option_is_never_found_whatever_its_price_does() {
    new_test_ext().execute_with(|| {
        close(|view| call(view, 5, 100));
        deposit(SHORT, usd(100_000));
        deposit(LONG, usd(50));
        trade(LONG, SHORT, 0, 10, 5);
        assert_eq!(account(LONG).cash, 0);
        for (mark, forward) in [(4, 99), (50, 150), (0, 20), (1_000, 1_100)] {
            close(|view| call(view, mark, forward));
            assert!(!is_queued(LONG));
            assert!(!assess(LONG).is_below_maintenance());
        }
    });
}

#[derive(Clone, Debug)]
enum Step {
    Trade(u64, u64, u16, i64, u64),
    Cash(u64, i128),
    Marks { option: (u128, u128), linear: u128 },
}

fn a_step() -> impl Strategy<Value = Step> {
    let owner = || 10u64..18;
    prop_oneof![
        3 => (owner(), owner(), 0u16..2, 1i64..30, 1u64..40)
            .prop_map(|(a, b, m, l, t)| Step::Trade(a, b, m, l, t)),
        1 => (owner(), 0i128..100_000_000).prop_map(|(a, c)| Step::Cash(a, c)),
        4 => ((0u128..60, 40u128..220), 80u128..125)
            .prop_map(|(option, linear)| Step::Marks { option, linear }),
    ]
}

proptest! {
    #![proptest_config(cases(96))]

    /// Whatever mark and forward of an option do, whoever comes below maintenance margin is found in that close; and once it has settled
    /// everybody is, in the end, without a quantum lost.
    #[test]
    fn nobody_with_options_is_missed_and_all_are_settled(
        right in prop_oneof![Just(OptionRight::Call), Just(OptionRight::Put)],
        steps in prop::collection::vec(a_step(), 1..60),
        price_at_expiry in 40u64..220,
    ) {
        new_test_ext().execute_with(|| {
            let option = |view: &mut RiskView, mark: u128, forward: u128| {
                call(view, mark, forward);
                let kind = InstrumentKind::Option { expiry: u64::MAX, strike: 100, right };
                view.market_mut(0).unwrap().contract = kind.into();
            };
            close(|view| option(view, 5, 100));
            deposit(VAULT, usd(1_000_000));
            deposit(FUND, usd(1_000_000));
            (10..18).for_each(|owner| deposit(owner, usd(400)));
            for step in steps {
                match step {
                    Step::Trade(a, b, market, lots, ticks) if a != b => {
                        let ticks = if market == 0 { ticks } else { 80 + ticks };
                        trade(a, b, market, lots, ticks);
                    }
                    Step::Trade(..) => {}
                    Step::Cash(owner, cash) => deposit(owner, cash),
                    Step::Marks { option: (mark, forward), linear } => {
                        marks(|view| {
                            option(view, mark, forward);
                            set_mark(view, 1, linear);
                        });
                        for of in Accounts::iter_keys() {
                            prop_assert!(
                                !assess(of.owner).is_below_maintenance() || is_queued(of.owner),
                                "{:?} was missed", of
                            );
                        }
                        waterfall();
                    }
                }
            }
            let before = totals();
            prop_assert!(before.0.is_empty());
            close(|view| {
                let worth = match right {
                    OptionRight::Call => price_at_expiry.saturating_sub(100),
                    OptionRight::Put => 100u64.saturating_sub(price_at_expiry),
                };
                option(view, worth.into(), price_at_expiry.into());
                let market = view.market_mut(0).unwrap();
                market.status = MarketStatus::Halted;
                market.contract.expiry = 1;
                market.contract.settled = true;
            });
            close_until_forgotten();
            prop_assert!(Accounts::iter_values().all(|account| account.lots(0) == 0));
            prop_assert_eq!(totals(), before);
            Ok(())
        })?;
    }
}
