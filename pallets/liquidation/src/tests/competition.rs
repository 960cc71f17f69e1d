//! Remedy 3. At a mark of 94 LONG has an equity of 40 and needs 47: it is 7 short, whoever takes a lot frees 4.70 of margin, and
//! at its bankruptcy value a lot comes with 4 USD.

use super::*;
use crate::{
    remedies::competition::COMPETITION_CLOSES, Allowance, Bids, Error, Escalation, Event, Pallet,
    Refusal,
};
use frame_support::{assert_noop, assert_ok};
use novate_risk::{competition_discount, Linear};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Takers with 1,000 USD each.
const TAKERS: core::ops::Range<u64> = 40..46;

fn the_competition(closes: u8) {
    a_pair();
    deposit(VAULT, usd(1_000));
    for taker in TAKERS {
        deposit(taker, usd(1_000));
    }
    for _ in 0..5 + closes {
        close_at(94);
    }
    assert_eq!(standing(LONG), Standing::Competing { since: 6, closes });
    events();
}

fn bid(taker: u64, fraction: Ppm) {
    bid_from(taker, fraction, 0);
}

fn bid_from(taker: u64, fraction: Ppm, least_discount: Ppm) {
    let signed = RuntimeOrigin::signed(taker);
    assert_ok!(Liquidation::bid(
        signed,
        0,
        of(LONG),
        fraction,
        least_discount
    ));
}

/// Lots, worth and discount by taker.
fn fills() -> BTreeMap<u64, (SignedLots, Cash, Cash)> {
    fills_of(&events())
}

fn fills_of(events: &[Event<Test>]) -> BTreeMap<u64, (SignedLots, Cash, Cash)> {
    let mut fills = BTreeMap::new();
    for event in events {
        if let Event::BidFilled {
            taker,
            portion,
            worth,
            discount,
            ..
        } = event
        {
            fills.insert(taker.owner, (portion.positions[0].1, *worth, *discount));
        }
    }
    fills
}

fn drops() -> BTreeMap<u64, Refusal> {
    let dropped = |event| match event {
        Event::BidDropped { taker, refusal, .. } => Some((taker.owner, refusal)),
        _ => None,
    };
    events().into_iter().filter_map(dropped).collect()
}

#[test]
fn a_competition_starts_when_five_closes_in_the_market_did_not_help() {
    new_test_ext().execute_with(|| {
        a_pair();
        for closes in 1..5 {
            assert_eq!(close_at(94).len(), 1);
            assert_eq!(standing(LONG), Standing::Liquidating { since: 2, closes });
        }
        events();
        assert_eq!(close_at(94).len(), 1, "the fifth is offered too");
        let competing = |closes| Standing::Competing { since: 6, closes };
        assert_eq!(standing(LONG), competing(0));
        let (account, equity, maintenance) = (of(LONG), usd(40), usd(47));
        assert_eq!(
            events().pop(),
            Some(Event::CompetitionStarted {
                account,
                equity,
                maintenance
            })
        );
        // Nothing more of it goes to the market.
        assert!(close_at(94).is_empty());
        assert_eq!((standing(LONG), is_queued(LONG)), (competing(1), true));
    });
}

#[test]
fn a_competition_starts_at_once_when_closing_in_the_market_would_cost_more_than_it_frees() {
    new_test_ext().execute_with(|| {
        let old = Params::get();
        Params::set(novate_risk::LiquidationParams {
            concession: 60_000,
            ..old
        });
        a_pair();
        assert!(close_at(94).is_empty());
        Params::set(old);
        let closes = 0;
        assert_eq!(standing(LONG), Standing::Competing { since: 2, closes });
    });
}

#[test]
fn a_taker_pays_the_mark_and_the_account_recovers_when_it_bids_in_the_first_close() {
    new_test_ext().execute_with(|| {
        the_competition(0);
        bid(40, MILLION);
        let sums = totals();
        close_at(94);
        assert_eq!(totals(), sums);
        // 7 / (7 + 40) of 10 lots, rounded up, is 2; at 94 they are worth what they cost. 40 − 40·37.60/47 = 8 are theirs.
        let portion = novate_risk::Portion {
            positions: vec![(0, 2, usd(188))],
            collateral: vec![],
        };
        let (seller, equity, maintenance) = (of(LONG), usd(40), 37_600_000);
        assert_eq!(
            events(),
            vec![
                Event::BidFilled {
                    account: seller,
                    taker: of(40),
                    fraction: 148_937,
                    portion,
                    worth: usd(8),
                    discount: 0
                },
                Event::CompetitionEnded {
                    account: seller,
                    why: None,
                    equity,
                    maintenance
                },
                Event::Recovered {
                    account: seller,
                    equity,
                    maintenance
                },
            ]
        );
        assert_eq!((standing(LONG), is_queued(LONG)), (Standing::Good, false));
        assert_eq!((account_lots(40), account(40).cash), (2, usd(1_000)));
        assert_eq!(account(40).position(0).unwrap().cost, usd(188));
        assert_eq!(assess(LONG).equity, usd(40));
    });
}

fn account_lots(owner: u64) -> SignedLots {
    account(owner).lots(0)
}

#[test]
fn the_discount_grows_and_more_may_go_when_closes_pass() {
    new_test_ext().execute_with(|| {
        the_competition(10);
        bid(40, MILLION);
        close_at(94);
        // Ten nineteenths of the way. 7 / (7 + 40·9/19) of 10 lots are 2.7, so 3: worth 40 − 40·32.90/47 = 12.
        assert_eq!(fills()[&40], (3, usd(12), 6_315_780));
        assert_eq!(assess(LONG).equity, usd(40) - 6_315_780);
        assert_eq!(assess(40).equity, usd(1_000) + 6_315_780);
        assert_eq!(standing(LONG), Standing::Good);
    });
}

#[test]
fn the_whole_account_goes_for_nothing_when_it_is_taken_in_the_last_close() {
    new_test_ext().execute_with(|| {
        the_competition(COMPETITION_CLOSES - 1);
        bid(40, MILLION);
        let sums = totals();
        close_at(94);
        assert_eq!(totals(), sums);
        assert_eq!(fills()[&40], (10, usd(40), usd(40)));
        assert!(account(LONG).is_plain() && account(LONG).cash == 0);
        assert_eq!((standing(LONG), is_queued(LONG)), (Standing::Good, false));
        assert_eq!((account_lots(40), assess(40).equity), (10, usd(1_040)));
    });
}

#[test]
fn the_vault_takes_over_when_nobody_bids_in_twenty_closes() {
    new_test_ext().execute_with(|| {
        the_competition(COMPETITION_CLOSES - 1);
        assert_eq!(account_lots(VAULT), 0);
        events();
        let sums = totals();
        // The twentieth is offered, too, and goes on in the close in which nobody bid.
        close_at(94);
        assert_eq!(totals(), sums);
        let (account, equity, maintenance) = (of(LONG), usd(40), usd(47));
        let why = Escalation::CompetitionExhausted;
        assert_eq!(
            events(),
            vec![
                Event::CompetitionEnded {
                    account,
                    why: Some(why),
                    equity,
                    maintenance
                },
                Event::TakenOver {
                    account,
                    why,
                    equity,
                    maintenance
                },
            ]
        );
        // Everything passed at cost: 10 lots for 1,000, and 100 in cash.
        let vault = mock_account(&of(VAULT));
        assert_eq!((vault.cash, vault.lots(0)), (usd(1_100), 10));
        assert_eq!(vault.position(0).unwrap().cost, usd(1_000));
        assert_eq!(assess(VAULT).equity, usd(1_040));
        assert_eq!(standing(LONG), Standing::Good);
    });
}

#[test]
fn a_close_counts_once_and_ends_once_when_there_is_time_for_more() {
    new_test_ext().execute_with(|| {
        the_competition(3);
        deposit(VAULT, -usd(1_000));
        let press = || Allowance::<Test>::put(u64::MAX);
        press();
        close_at(94);
        let competing = |closes| Standing::Competing { since: 6, closes };
        assert_eq!(standing(LONG), competing(4));
        for closes in 5..COMPETITION_CLOSES {
            press();
            close_at(94);
            assert_eq!(standing(LONG), competing(closes));
        }
        // Nobody takes it over: it is frozen in its twentieth, and closed against others.
        MaxDeleveraged::set(0);
        for _ in 0..3 {
            press();
            close_at(94);
        }
        assert_eq!(standing(LONG), Standing::Frozen);
        MaxDeleveraged::set(32);
        close_at(94);
        assert_eq!((standing(LONG), account_lots(LONG)), (Standing::Good, 0));
        let seen = events();
        let count = |is: fn(&Event<Test>) -> bool| seen.iter().filter(|event| is(event)).count();
        assert_eq!(count(|e| matches!(e, Event::CompetitionEnded { .. })), 1);
        assert_eq!(count(|e| matches!(e, Event::TakeoverRefused { .. })), 1);
    });
}

#[test]
fn a_small_account_begins_when_large_ones_wait_for_bids_and_time_is_short() {
    new_test_ext().execute_with(|| {
        let large = 1_000..1_010;
        for owner in large.clone() {
            deposit(owner, usd(200));
            deposit(SHORT, usd(10_000));
            trade(owner, SHORT, 0, 20, 100);
        }
        for _ in 0..5 {
            close_at(94);
        }
        let competing = |closes| Standing::Competing { since: 6, closes };
        assert!(large.clone().all(|owner| standing(owner) == competing(0)));
        a_pair();
        assert!(is_queued(LONG));
        for closes in 1..=3 {
            // Enough to close three of them against others, which none of them asks for.
            let one = crate::meter::Size {
                holdings: 1,
                more: 0,
            };
            let three = crate::meter::Meter::<Test>::of(0).expected(one, true) * 3;
            Allowance::<Test>::put(three);
            close_at(94);
            assert_eq!(standing(LONG), Standing::Liquidating { since: 7, closes });
            assert!(large
                .clone()
                .all(|owner| standing(owner) == competing(closes)));
        }
    });
}

#[test]
fn the_vault_takes_over_and_bids_are_dropped_when_the_shortfall_grows_deep() {
    new_test_ext().execute_with(|| {
        the_competition(3);
        bid(40, MILLION);
        close_at(93);
        let events = events();
        let ended = |event: &Event<Test>| {
            matches!(
                event,
                Event::CompetitionEnded {
                    why: Some(Escalation::DeepShortfall),
                    ..
                }
            )
        };
        assert!(events.iter().any(ended));
        let (account, taker, refusal) = (of(LONG), of(40), Refusal::NotCompeting);
        assert!(events.contains(&Event::BidDropped {
            account,
            taker,
            refusal
        }));
        assert_eq!((account_lots(LONG), account_lots(VAULT)), (0, 10));
        assert_eq!(account_lots(40), 0);
    });
}

#[test]
fn the_vault_takes_over_when_the_queue_comes_to_exceed_its_share_of_open_interest() {
    new_test_ext().execute_with(|| {
        the_competition(3);
        BacklogShare::set(100_000);
        close_at(94);
        let why = Escalation::Backlog;
        let taken =
            |event: &Event<Test>| matches!(event, Event::TakenOver { why: w, .. } if *w == why);
        assert!(events().iter().any(taken));
    });
}

#[test]
fn an_account_in_competition_recovers_when_it_deposits_or_the_price_returns() {
    for deposits in [true, false] {
        new_test_ext().execute_with(|| {
            the_competition(3);
            bid(40, MILLION);
            if deposits {
                StoredLedger::update(&of(LONG), |a| {
                    a.cash += usd(7);
                    Ok::<_, LedgerError>(())
                })
                .unwrap();
            }
            close_at(if deposits { 94 } else { 95 });
            assert_eq!((standing(LONG), is_queued(LONG)), (Standing::Good, false));
            assert_eq!(drops(), BTreeMap::from([(40, Refusal::NotCompeting)]));
            // Below again, it begins with the market again.
            assert_eq!(close_at(if deposits { 93 } else { 94 }).len(), 1);
        });
    }
}

#[test]
fn a_competition_waits_where_it_was_when_its_price_grows_old() {
    new_test_ext().execute_with(|| {
        the_competition(3);
        bid(40, MILLION);
        close(|view| view.markets[0].fresh = false);
        let competing = |closes| Standing::Competing { since: 6, closes };
        assert_eq!((standing(LONG), is_queued(LONG)), (competing(3), false));
        assert_eq!(drops(), BTreeMap::from([(40, Refusal::NotCompeting)]));
        close(|view| view.markets[0].fresh = true);
        assert_eq!((standing(LONG), is_queued(LONG)), (competing(4), true));
    });
}

#[test]
fn bids_share_in_proportion_to_what_they_ask_wherever_they_stand_in_the_block() {
    // In the last close all of it is to be had: 400,000, 400,000 and 200,000 ppm.
    let asks = [(40, MILLION), (41, MILLION), (42, 500_000)];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        new_test_ext().execute_with(|| {
            the_competition(COMPETITION_CLOSES - 1);
            order.iter().for_each(|at| bid(asks[*at].0, asks[*at].1));
            let sums = totals();
            close_at(94);
            assert_eq!(totals(), sums);
            let shares = [
                (40, (4, usd(16), usd(16))),
                (41, (4, usd(16), usd(16))),
                (42, (2, usd(8), usd(8))),
            ];
            assert_eq!(fills(), BTreeMap::from(shares));
        });
    }
}

#[test]
fn no_more_goes_than_brings_the_account_to_its_target_when_bids_ask_for_more() {
    new_test_ext().execute_with(|| {
        the_competition(0);
        TAKERS.for_each(|taker| bid(taker, MILLION));
        close_at(94);
        // Two lots among six: four of them get none.
        let sold = fills();
        assert_eq!(sold.values().map(|fill| fill.0).sum::<SignedLots>(), 2);
        assert_eq!((account_lots(LONG), standing(LONG)), (8, Standing::Good));
    });
    new_test_ext().execute_with(|| {
        // And no more than was asked: a lot, after which 40 is still less than 42.30.
        the_competition(0);
        bid(40, 100_000);
        close_at(94);
        assert_eq!(fills()[&40].0, 1);
        assert_eq!(account_lots(LONG), 9);
        let closes = 1;
        assert_eq!(standing(LONG), Standing::Competing { since: 6, closes });
    });
    new_test_ext().execute_with(|| {
        // With a buffer of half of maintenance margin more of it goes: 30.50 / 70.50 of 10 lots.
        let old = Params::get();
        Params::set(novate_risk::LiquidationParams {
            target_buffer: 500_000,
            ..old
        });
        the_competition(0);
        bid(40, MILLION);
        close_at(94);
        Params::set(old);
        assert_eq!(account_lots(LONG), 5);
    });
}

#[test]
fn collateral_goes_at_its_price_without_haircut_when_a_fraction_is_taken() {
    new_test_ext().execute_with(|| {
        // 1,000 units at 1 USD count for 900. Equity is 1,000·0.9 − 860 = 40 as before.
        a_pair();
        deposit(40, usd(2_000));
        deposit_asset(LONG, 1_000);
        deposit(LONG, -usd(900));
        deposit(41, usd(2_000));
        for _ in 0..5 + COMPETITION_CLOSES - 1 {
            close_at(94);
        }
        events();
        let sums = totals();
        bid(40, 500_000);
        close_at(94);
        assert_eq!(totals(), sums);
        // Half of everything, at its bankruptcy value: half of 40 by the rule, and 50 that collateral is worth beyond its haircut.
        let seen = events();
        assert_eq!(fills_of(&seen)[&40], (5, usd(70), usd(70)));
        assert_eq!(account(40).collateral[0].1, 500_000_000);
        assert_eq!(account(40).cash, usd(2_000) - usd(500) + usd(70));
        // It was its last close in competition: the rest goes on, to the vault or, as this one has nothing, to others.
        let ended = Event::CompetitionEnded {
            account: of(LONG),
            why: Some(Escalation::CompetitionExhausted),
            equity: usd(20),
            maintenance: 23_500_000,
        };
        assert!(seen.contains(&ended), "{seen:?}");
        assert_eq!(account_lots(LONG), 0);
    });
}

#[test]
fn funding_is_settled_on_both_sides_when_a_fraction_is_taken() {
    new_test_ext().execute_with(|| {
        the_competition(9);
        trade(40, SHORT, 0, 5, 94);
        bid(40, MILLION);
        let sums = totals();
        // A USD a lot: LONG has 30 left, which is too little; a tenth of that.
        close(|view| fund(view, QUANTUMS / 10));
        assert_eq!(totals(), sums);
        assert!(fills().contains_key(&40));
        let index = StoredView::view().markets[0].funding_index;
        for owner in [LONG, 40] {
            assert_eq!(account(owner).position(0).unwrap().funding_index, index);
        }
        assert_eq!(StoredLedger::pot(Pot::Funding(0)), usd(1) + usd(1) / 2);
    });
}

#[test]
fn a_bid_is_dropped_by_name_and_nobody_else_is_harmed_when_its_taker_cannot_carry_it() {
    let others = |prepare: &dyn Fn()| {
        new_test_ext().execute_with(|| {
            the_competition(COMPETITION_CLOSES - 1);
            bid(40, MILLION);
            bid(41, 500_000);
            prepare();
            let sums = totals();
            close_at(94);
            assert_eq!(totals(), sums);
            let seen = events();
            let refused = seen.iter().find_map(|event| match event {
                Event::BidDropped { taker, refusal, .. } if taker.owner == 50 => Some(*refusal),
                _ => None,
            });
            ((account(40), account(41), account(LONG)), refused)
        })
    };
    let (alone, _) = others(&|| ());
    // Ten lots at 94 need 94; with 40 they come with, 53 are too few.
    let poor = others(&|| {
        deposit(50, usd(53));
        bid(50, MILLION);
    });
    assert_eq!(poor, (alone, Some(Refusal::Margin)));
}

#[test]
fn a_bid_is_dropped_when_its_taker_falls_below_maintenance_itself() {
    new_test_ext().execute_with(|| {
        the_competition(0);
        deposit(50, usd(100));
        trade(50, SHORT, 1, 10, 100);
        bid(50, MILLION);
        close(|view| set_mark(view, 1, 94));
        assert_eq!(drops(), BTreeMap::from([(50, Refusal::TakerStanding)]));
    });
}

#[test]
fn a_bid_is_dropped_when_the_discount_is_less_than_it_asks_for() {
    new_test_ext().execute_with(|| {
        the_competition(10);
        bid_from(40, MILLION, 526_316);
        close_at(94);
        assert_eq!(drops(), BTreeMap::from([(40, Refusal::Discount)]));
        // The next close is at eleven nineteenths.
        bid_from(40, MILLION, 526_316);
        close_at(94);
        assert_eq!(fills()[&40].0, 3);
    });
}

#[test]
fn a_bid_is_dropped_when_its_taker_would_owe_cash() {
    new_test_ext().execute_with(|| {
        a_pair();
        deposit_asset(LONG, 1_000);
        deposit(LONG, -usd(900));
        // Enough margin, all of it in collateral.
        deposit_asset(40, 10_000);
        deposit(40, usd(30));
        for _ in 0..5 {
            close_at(94);
        }
        events();
        // Worth 140, of which 7 / 147 may go: 47.62 of collateral.
        bid(40, MILLION);
        close_at(94);
        assert_eq!(drops(), BTreeMap::from([(40, Refusal::Cash)]));
        bid(40, 20_000);
        close_at(94);
        assert!(fills().contains_key(&40));
        assert!(account(40).cash >= 0);
    });
}

#[test]
fn a_bid_is_dropped_when_its_taker_holds_what_has_no_fresh_price() {
    new_test_ext().execute_with(|| {
        the_competition(10);
        trade(40, SHORT, 1, 5, 100);
        deposit_asset(41, 10);
        for taker in [40, 41, 42] {
            bid(taker, 300_000);
        }
        close(|view| {
            view.markets[1].fresh = false;
            view.collaterals[0].fresh = false;
        });
        let seen = events();
        let told = |owner| {
            seen.iter().find_map(|event| match event {
                Event::BidDropped { taker, refusal, .. } if taker.owner == owner => Some(*refusal),
                _ => None,
            })
        };
        let stale = Some(Refusal::StalePrice);
        assert_eq!((told(40), told(41), told(42)), (stale, stale, None));
        assert_eq!(
            (account_lots(40), account_lots(41), account_lots(42)),
            (0, 0, 3)
        );
    });
}

#[test]
fn a_bid_is_dropped_when_others_leave_less_than_a_lot_for_it() {
    new_test_ext().execute_with(|| {
        the_competition(0);
        TAKERS.for_each(|taker| bid(taker, MILLION));
        close_at(94);
        let drops = drops();
        assert!(drops.len() >= 4);
        assert!(drops.values().all(|refusal| *refusal == Refusal::TooSmall));
    });
}

#[test]
fn a_taker_carries_no_more_than_it_can_when_it_bids_for_two_accounts() {
    new_test_ext().execute_with(|| {
        const OTHER: u64 = 12;
        deposit(OTHER, usd(100));
        deposit(SHORT, usd(10_000));
        trade(OTHER, SHORT, 0, 10, 100);
        the_competition(COMPETITION_CLOSES - 1);
        // Each needs 94 and brings 40: 54 are enough for one, 108 for both.
        deposit(50, usd(60));
        for account in [LONG, OTHER] {
            let signed = RuntimeOrigin::signed(50);
            assert_ok!(Liquidation::bid(signed, 0, of(account), MILLION, 0));
        }
        let sums = totals();
        close_at(94);
        assert_eq!(totals(), sums);
        let seen = events();
        let filled = seen
            .iter()
            .filter(|e| matches!(e, Event::BidFilled { .. }))
            .count();
        let refused = |event: &Event<Test>| {
            matches!(
                event,
                Event::BidDropped {
                    refusal: Refusal::Margin,
                    ..
                }
            )
        };
        assert_eq!((filled, seen.iter().filter(|e| refused(e)).count()), (1, 1));
        assert_eq!(account_lots(50), 10);
    });
}

#[test]
fn a_taker_keeps_both_trades_when_it_is_deleveraged_in_the_same_close() {
    new_test_ext().execute_with(|| {
        // 13 is long 10 of market 1 at 100 with 100 USD, across from 40. It is larger than LONG, and bankrupt first.
        the_competition(COMPETITION_CLOSES - 1);
        deposit(13, usd(300));
        trade(13, 40, 1, 30, 100);
        StoredLedger::update(&of(VAULT), |a| {
            a.cash = 0;
            Ok::<_, LedgerError>(())
        })
        .unwrap();
        bid(40, MILLION);
        let sums = totals();
        close(|view| set_mark(view, 1, 85));
        assert_eq!(totals(), sums);
        let seen = events();
        let closed = |event: &Event<Test>| matches!(event, Event::Deleveraged { counterparty, .. } if *counterparty == of(40));
        let filled = |event: &Event<Test>| matches!(event, Event::BidFilled { taker, .. } if *taker == of(40));
        let at = |is: &dyn Fn(&Event<Test>) -> bool| seen.iter().position(is).unwrap();
        assert!(at(&closed) < at(&filled));
        assert_eq!((account(40).lots(0), account(40).lots(1)), (10, 0));
        // 450 of profit less 150 of deficit, and LONG's 40.
        assert_eq!(assess(40).equity, usd(1_000 + 300 + 40));
    });
}

#[test]
fn a_bid_is_refused_by_name_and_nothing_changes() {
    new_test_ext().execute_with(|| {
        the_competition(0);
        let call = |taker, account, fraction, least| {
            Liquidation::bid(
                RuntimeOrigin::signed(taker),
                0,
                of(account),
                fraction,
                least,
            )
        };
        type Wrong = Error<Test>;
        assert_noop!(
            Liquidation::bid(RuntimeOrigin::root(), 0, of(LONG), 1, 0),
            sp_runtime::DispatchError::BadOrigin
        );
        assert_noop!(call(99, LONG, 1, 0), Wrong::NoAccount);
        assert_noop!(call(LONG, LONG, 1, 0), Wrong::NotInGoodStanding);
        assert_noop!(call(40, SHORT, 1, 0), Wrong::NotCompeting);
        assert_noop!(call(40, 99, 1, 0), Wrong::NotCompeting);
        assert_noop!(call(40, LONG, 0, 0), Wrong::BadFraction);
        assert_noop!(call(40, LONG, MILLION + 1, 0), Wrong::BadFraction);
        assert_noop!(call(40, LONG, 1, MILLION + 1), Wrong::BadFraction);
        TAKERS.for_each(|taker| bid(taker, 2));
        deposit(50, usd(1_000));
        assert_noop!(call(50, LONG, 1, 0), Wrong::TooManyBids);
        // One that has bid may bid otherwise.
        assert_ok!(call(40, LONG, 3, 0));
        assert_eq!(Bids::<Test>::get().len(), 6);
        Liquidation::do_try_state().unwrap();
        close_at(94);
        assert!(!Bids::<Test>::exists());
    });
}

#[test]
fn an_owner_bids_once_for_an_account_when_it_bids_again() {
    new_test_ext().execute_with(|| {
        the_competition(COMPETITION_CLOSES - 1);
        bid(40, MILLION);
        bid(40, 300_000);
        close_at(94);
        assert_eq!(fills(), BTreeMap::from([(40, (3, usd(12), usd(12)))]));
    });
}

/// Who bids, in the order of their numbers.
fn bidders() -> Vec<u64> {
    let mut owners: Vec<_> = Bids::<Test>::get().iter().map(|b| b.taker.owner).collect();
    owners.sort_unstable();
    owners
}

#[test]
fn bids_with_nothing_behind_them_keep_nobody_out_when_they_are_many() {
    new_test_ext().execute_with(|| {
        the_competition(10);
        // A dollar each: not one of them could carry a lot.
        for owner in 60..66 {
            deposit(owner, usd(1));
            bid(owner, MILLION);
        }
        // Plenty of margin is of no use to a bid whose discount is not reached in this close.
        deposit(66, usd(1_000_000));
        let signed = RuntimeOrigin::signed(66);
        assert_noop!(
            Liquidation::bid(signed, 0, of(LONG), MILLION, MILLION),
            Error::<Test>::TooManyBids
        );
        events();
        bid(40, MILLION);
        let told = drops();
        assert_eq!(told.values().collect::<Vec<_>>(), [&Refusal::Outbid]);
        Liquidation::do_try_state().unwrap();
        close_at(94);
        assert_eq!(fills()[&40].0, 3);
    });
}

#[test]
fn an_account_s_bids_do_not_crowd_out_another_s_when_the_block_is_full() {
    new_test_ext().execute_with(|| {
        deposit(13, usd(100));
        deposit(SHORT, usd(10_000));
        trade(13, SHORT, 0, 10, 100);
        the_competition(0);
        let bid_for = |taker, account| {
            Liquidation::bid(RuntimeOrigin::signed(taker), 0, of(account), MILLION, 0)
        };
        // Six and two are as many as there can be.
        TAKERS.for_each(|taker| bid(taker, MILLION));
        for (owner, cash) in [(60, 50), (61, 60), (62, 70)] {
            deposit(owner, usd(cash));
        }
        assert_ok!(bid_for(61, 13));
        assert_ok!(bid_for(62, 13));
        assert_noop!(bid_for(60, 13), Error::<Test>::TooManyBids);
        // What a taker's other bid is for, it does not carry again.
        assert_noop!(bid_for(60, LONG), Error::<Test>::TooManyBids);
        deposit(63, usd(80));
        assert_ok!(bid_for(63, 13));
        assert_eq!(bidders(), [40, 41, 42, 43, 44, 45, 62, 63]);
        Liquidation::do_try_state().unwrap();
    });
}

#[test]
fn a_taker_s_margin_counts_once_when_it_bids_for_several_accounts() {
    new_test_ext().execute_with(|| {
        deposit(13, usd(100));
        deposit(SHORT, usd(10_000));
        trade(13, SHORT, 0, 10, 100);
        the_competition(0);
        deposit(60, usd(100));
        let signed = || RuntimeOrigin::signed(60);
        assert_ok!(Liquidation::bid(signed(), 0, of(LONG), MILLION, 0));
        assert_ok!(Liquidation::bid(signed(), 0, of(13), MILLION, 0));
        // Ten lots at 94 need 94.
        let carried: Vec<_> = Bids::<Test>::get().iter().map(|b| b.carries).collect();
        assert_eq!(carried, [usd(94), usd(6)]);
        // Bidding again for the same gives back what it took.
        assert_ok!(Liquidation::bid(signed(), 0, of(LONG), MILLION / 2, 0));
        let carried: Vec<_> = Bids::<Test>::get().iter().map(|b| b.carries).collect();
        assert_eq!(carried, [usd(6), usd(47)]);
    });
}

#[test]
fn a_close_counts_what_a_bid_takes_when_its_taker_holds_more_than_it_paid_for() {
    let run = |allowance, grows_first: bool| {
        new_test_ext().execute_with(|| {
            the_competition(0);
            let grow = || {
                deposit_asset(40, 10);
                trade(40, SHORT, 0, 1, 94);
                trade(40, SHORT, 1, 1, 100);
            };
            if grows_first {
                grow();
            }
            bid(40, MILLION);
            if !grows_first {
                grow();
            }
            Allowance::<Test>::put(allowance);
            let sums = totals();
            close_at(94);
            assert_eq!(totals(), sums);
            let seen = events();
            let dropped = seen.iter().any(|event| {
                matches!(event, Event::BidDropped { refusal, .. } if *refusal == Refusal::NotCompeting)
            });
            (crate::Took::<Test>::get(), dropped, standing(LONG))
        })
    };
    let meter = crate::meter::Meter::<Test>::of(0);
    // One position of the account, and three holdings of the taker that the bid knew nothing of.
    let size = |holdings| crate::meter::Size { holdings, more: 0 };
    let more = meter.worst_bid(size(4)) - meter.worst_bid(size(1));
    assert!(more > 0);
    let (paid, unpaid) = (run(u64::MAX, true), run(u64::MAX, false));
    assert!(!paid.1 && !unpaid.1);
    assert_eq!(unpaid.0, paid.0 + more);
    // There is time for the account, and not for the bid.
    let (_, dropped, left) = run(more - 1, false);
    assert!(dropped);
    assert_eq!(
        left,
        Standing::Competing {
            since: 6,
            closes: 1
        }
    );
    assert!(!run(more - 1, true).1);
}

#[test]
fn a_bid_prepays_for_what_it_and_its_account_hold() {
    new_test_ext().execute_with(|| {
        the_competition(0);
        let weight =
            |holdings| Pallet::<Test>::bid_weight(crate::meter::Size { holdings, more: 0 });
        let signed = RuntimeOrigin::signed(40);
        let paid = Liquidation::bid(signed, 0, of(LONG), 1, 0).unwrap();
        assert_eq!(paid.actual_weight, Some(weight(1)));
        assert!(weight(MAX_HOLDINGS).any_gt(weight(1)));
        assert_eq!(weight(MAX_HOLDINGS), weight(u32::MAX));
        trade(40, SHORT, 1, 5, 100);
        deposit_asset(LONG, 1);
        let signed = RuntimeOrigin::signed(40);
        let paid = Liquidation::bid(signed, 0, of(LONG), 1, 0).unwrap();
        assert_eq!(paid.actual_weight, Some(weight(3)));
    });
}

#[test]
fn a_bid_prepays_for_the_thresholds_of_options() {
    new_test_ext().execute_with(|| {
        the_competition(0);
        let weight = |more| Pallet::<Test>::bid_weight(crate::meter::Size { holdings: 1, more });
        let bid = || {
            let signed = RuntimeOrigin::signed(40);
            let paid = Liquidation::bid(signed, 0, of(LONG), 1, 0).unwrap();
            paid.actual_weight.unwrap()
        };
        assert_eq!(bid(), weight(0));
        let mut view = StoredView::view();
        for market in view.markets.iter_mut() {
            market.contract.kind = ContractKind::Call;
        }
        View::put(view);
        // The account's one position, as the taker would hold it.
        assert_eq!(bid(), weight(4));
        assert!(weight(4).any_gt(weight(0)));
        assert!(weight(4).all_lte(Pallet::<Test>::bid_weight(crate::meter::Size::MOST)));
    });
}

#[test]
fn running_competitions_are_listed_with_the_terms_of_the_next_close() {
    new_test_ext().execute_with(|| {
        the_competition(10);
        let listed = Pallet::<Test>::competitions(&StoredView::view());
        assert_eq!(listed.len(), 1);
        let (account, assessment, terms) = listed[0];
        assert_eq!((account, assessment), (of(LONG), assess(LONG)));
        assert_eq!(terms.discount, 526_315);
        assert_eq!((terms.available, terms.worth), (269_777, usd(40)));
        assert_eq!(terms.closes, 10);
        close_at(100);
        assert!(Pallet::<Test>::competitions(&StoredView::view()).is_empty());
    });
}

#[test]
fn the_vault_itself_is_sold_when_it_is_in_competition() {
    new_test_ext().execute_with(|| {
        deposit(VAULT, usd(100));
        deposit(SHORT, usd(10_000));
        deposit(40, usd(1_000));
        trade(VAULT, SHORT, 0, 10, 100);
        for _ in 0..5 {
            close_at(94);
        }
        let closes = 0;
        assert_eq!(standing(VAULT), Standing::Competing { since: 6, closes });
        let sums = totals();
        let signed = RuntimeOrigin::signed(40);
        assert_ok!(Liquidation::bid(signed, 0, of(VAULT), MILLION, 0));
        close_at(94);
        assert_eq!(totals(), sums);
        assert_eq!((standing(VAULT), account_lots(40)), (Standing::Good, 2));
    });
}

/// Accounts that fall into competition, and what is asked of them.
#[derive(Clone, Debug)]
struct Scene {
    /// Lots of markets 0 and 1, and units of collateral; each has as much cash as leaves it so much equity, in thousandths of
    /// maintenance margin.
    fallen: Vec<(SignedLots, SignedLots, u128, i128)>,
    closes: u8,
    /// Cash and lots of market 0 of takers.
    takers: Vec<(i128, SignedLots)>,
    /// Taker, account, fraction, least discount.
    bids: Vec<(usize, usize, Ppm, Ppm)>,
    buffer: Ppm,
    marks: (u128, u128),
}

fn a_lot() -> impl Strategy<Value = SignedLots> {
    (-40i64..40).prop_filter("a position", |lots| *lots != 0)
}

fn a_scene() -> impl Strategy<Value = Scene> {
    (
        prop::collection::vec((a_lot(), -40i64..40, 0u128..200, 700i128..1_000), 1..3),
        0..COMPETITION_CLOSES,
        prop::collection::vec((0i128..2_000, -40i64..40), 1..5),
        prop::collection::vec((0usize..4, 0usize..2, 1..=MILLION, 0..300_000u32), 0..7),
        0u32..400_000,
        (80u128..120, 80u128..120),
    )
        .prop_map(|(fallen, closes, takers, bids, buffer, marks)| Scene {
            fallen,
            closes,
            takers,
            bids,
            buffer,
            marks,
        })
}

impl Scene {
    fn stage(&self) {
        let old = Params::get();
        Params::set(novate_risk::LiquidationParams {
            target_buffer: self.buffer,
            ..old
        });
        View::mutate(|view| {
            let view = view.as_mut().unwrap();
            set_mark(view, 0, self.marks.0);
            set_mark(view, 1, self.marks.1);
        });
        deposit(SHORT, usd(1_000_000));
        for (owner, (cash, lots)) in (40..).zip(&self.takers) {
            deposit(owner, usd(*cash));
            trade(owner, SHORT, 0, *lots, self.marks.0 as Ticks);
        }
        for (owner, (a, b, units, part)) in (20..).zip(&self.fallen) {
            deposit(owner, usd(100_000));
            trade(owner, SHORT, 0, *a, 100);
            trade(owner, SHORT, 1, *b, 100);
            deposit_asset(owner, *units);
            let found = assess(owner);
            StoredLedger::settle(&of(owner), &StoredView::view(), false, |account| {
                account.cash -= found.equity - found.maintenance * part / 1_000;
                account.standing = Standing::Competing {
                    since: 1,
                    closes: self.closes,
                };
                Ok::<_, LedgerError>(())
            })
            .unwrap();
        }
    }

    fn bid(&self, at: usize) {
        let (taker, account, fraction, least) = self.bids[at];
        let _ = Liquidation::bid(
            RuntimeOrigin::signed(40 + taker as u64),
            0,
            of(20 + account as u64),
            fraction,
            least,
        );
    }
}

/// Everything that depends on the close.
fn state() -> (Vec<(Of, MarginAccount)>, Vec<(Pot, Cash)>, BTreeSet<String>) {
    let mut accounts: Vec<_> = Accounts::iter().collect();
    accounts.sort_by_key(|(of, _)| *of);
    let mut pots: Vec<_> = Pots::iter().collect();
    pots.sort();
    let said = events().iter().map(|event| format!("{event:?}")).collect();
    (accounts, pots, said)
}

/// The largest fraction by rational arithmetic: the least part of a million that brings the account to its target when everything else of
/// it is exact, found by halving.
fn slow_fraction(found: &Assessment, worth: Cash, discount: Ppm, buffer: Ppm) -> Ppm {
    let whole = i128::from(MILLION);
    let (d, b) = (i128::from(discount), i128::from(buffer));
    // Equity and target after `f`, in parts of 10¹².
    let reaches = |f: i128| {
        let paid = (worth * (whole - d)) / whole;
        let equity = found.equity * (whole - f) + f * paid;
        let target = (found.maintenance * (whole + b) + whole - 1) / whole * (whole - f);
        equity >= target
    };
    let (mut low, mut high) = (0, whole);
    while low < high {
        let middle = (low + high) / 2;
        if reaches(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low as Ppm
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn the_same_is_sold_to_the_same_takers_when_a_block_is_shuffled(
        scene in a_scene(),
        order in Just((0..7usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        // Of an owner's own bids for one account the last counts: only others' are shuffled.
        let mut known = BTreeSet::new();
        let own: Vec<_> = (0..scene.bids.len())
            .filter(|at| known.insert((scene.bids[*at].0, scene.bids[*at].1)))
            .collect();
        let run = |order: Vec<usize>| new_test_ext().execute_with(|| {
            let old = Params::get();
            scene.stage();
            order.into_iter().for_each(|at| scene.bid(at));
            close(|_| ());
            Params::set(old);
            state()
        });
        let shuffled: Vec<_> = order.into_iter().filter(|at| own.contains(at)).collect();
        prop_assert_eq!(run(own), run(shuffled));
    }

    #[test]
    fn the_same_bids_stay_when_there_are_too_many_in_whatever_order_they_come(
        cash in prop::collection::vec(0i128..200, 10),
        order in Just((0..20usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let run = |order: Vec<usize>| new_test_ext().execute_with(|| {
            deposit(13, usd(100));
            deposit(SHORT, usd(10_000));
            trade(13, SHORT, 0, 10, 100);
            the_competition(0);
            for (owner, cash) in (60..).zip(&cash) {
                deposit(owner, usd(*cash));
                deposit(owner + 10, usd(*cash / 2));
            }
            for at in order {
                // The first ten bid for one account, ten others for the other.
                let account = if at < 10 { LONG } else { 13 };
                let signed = RuntimeOrigin::signed(60 + at as u64);
                let _ = Liquidation::bid(signed, 0, of(account), MILLION, 0);
            }
            bidders()
        });
        let shuffled = run(order);
        prop_assert_eq!(shuffled.len(), 8);
        prop_assert_eq!(run((0..20).collect()), shuffled);
    }

    #[test]
    fn nothing_is_lost_and_nobody_ends_worse_than_promised_when_fractions_are_sold(scene in a_scene()) {
        new_test_ext().execute_with(|| {
            let old = Params::get();
            scene.stage();
            let sums = totals();
            (0..scene.bids.len()).for_each(|at| scene.bid(at));
            let before: BTreeMap<Of, MarginAccount> = Accounts::iter().collect();
            marks(|_| ());
            events();
            waterfall();
            Params::set(old);
            assert_eq!(totals(), sums);

            let view = StoredView::view();
            let mut sold = BTreeMap::<Of, u64>::new();
            let mut gone = BTreeMap::<(Of, MarketId), SignedLots>::new();
            let mut takers = BTreeSet::new();
            let mut answered = 0;
            for event in events() {
                match event {
                    Event::BidFilled { account, taker, fraction, portion, worth, discount } => {
                        answered += 1;
                        takers.insert(taker);
                        *sold.entry(account).or_default() += u64::from(fraction);
                        for (market, lots, _) in portion.positions {
                            *gone.entry((account, market)).or_default() += lots;
                        }
                        // Never more than the worth, and never anything taken for itself.
                        assert!(discount <= worth.max(0) || worth < 0);
                    }
                    Event::BidDropped { .. } => answered += 1,
                    _ => {}
                }
            }
            let mut asked = BTreeSet::new();
            for (taker, account, ..) in &scene.bids {
                if *taker < scene.takers.len() && *account < scene.fallen.len() {
                    asked.insert((taker, account));
                }
            }
            assert_eq!(answered, asked.len(), "every bid is answered");

            for (account, held) in &before {
                let Standing::Competing { closes, .. } = held.standing else {
                    continue;
                };
                let found = Linear::assess(held, &view).unwrap();
                let now = Linear::assess(&mock_account(account), &view).unwrap();
                // It never has less than nothing, nor less for what it needs.
                assert!(now.equity >= 0);
                assert!(now.equity * found.maintenance >= found.equity * now.maintenance);
                let discount = competition_discount(closes, COMPETITION_CLOSES);
                let worth = found.equity + haircut(held, &view);
                let cap = slow_fraction(&found, worth, discount, scene.buffer);
                let sold = sold.get(account).copied().unwrap_or(0);
                assert!(sold <= u64::from(cap) + 1, "{sold} of {cap}");
                for position in &held.positions {
                    let gone = gone.get(&(*account, position.market)).copied().unwrap_or(0);
                    let most = (u128::from(position.lots.unsigned_abs()) * u128::from(sold)).div_ceil(1_000_000);
                    assert_eq!(u128::from(gone.unsigned_abs()), most);
                    assert!(gone == 0 || gone.signum() == position.lots.signum());
                }
            }
            for taker in takers {
                let now = assess(taker.owner);
                assert!(now.covers_orders() && account(taker.owner).cash >= 0);
                // It bought at the mark or better.
                let earlier = Linear::assess(&before[&taker], &view).unwrap();
                let rounding = 2 * 8;
                let haircuts = haircut(&account(taker.owner), &view) - haircut(&before[&taker], &view);
                assert!(now.equity + haircuts + rounding >= earlier.equity);
            }
        });
    }
}

fn mock_account(of: &Of) -> MarginAccount {
    Accounts::get(of).unwrap_or_default()
}

/// What an account's collateral is worth beyond its haircut value.
fn haircut(account: &MarginAccount, view: &RiskView) -> Cash {
    let of = |(asset, amount): &(AssetId, u128)| {
        let view = view.collateral(*asset).unwrap();
        *amount as Cash - novate_risk::collateral_value(view, *amount).unwrap()
    };
    account.collateral.iter().map(of).sum()
}
