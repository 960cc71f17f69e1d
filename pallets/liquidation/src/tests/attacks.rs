//! Attempts to lengthen, starve or game the remedies.

use super::*;
use crate::{Event, Pallet, Refusal, VaultLosses};

#[test]
fn dust_does_not_delay_the_large_when_it_fills_the_queue() {
    new_test_ext().execute_with(|| {
        MaxLiquidations::set(4);
        deposit(VAULT, usd(1_000_000));
        deposit(SHORT, usd(1_000_000));
        // 200 accounts of one lot with 1 lot's margin, queued before the large one.
        for owner in 1_000..1_200 {
            deposit(owner, usd(6));
            trade(owner, SHORT, 0, 1, 100);
        }
        deposit(LONG, usd(10_500));
        trade(LONG, SHORT, 0, 1_000, 100);
        marks(|view| set_mark(view, 0, 98));
        assert!(Pallet::<Test>::queued() == 200, "6 − 2 = 4 against 4.90");
        waterfall();
        events();
        // The large one falls later, behind 196 that are older, and is worked on in its first close.
        close_at(92);
        let first = events().into_iter().find_map(|event| match event {
            Event::LiquidationStarted { account, .. } => Some(account.owner),
            _ => None,
        });
        assert_eq!(first, Some(LONG));
    });
}

#[test]
fn dust_costs_its_owner_one_usd_a_position_when_it_is_liquidated() {
    new_test_ext().execute_with(|| {
        // A thousandth of a lot cannot be traded here; a lot of a market at 1 USD is the same: 5 % would be 5 cents.
        deposit(VAULT, usd(1_000));
        close(|view| set_mark(view, 1, 1));
        deposit(LONG, usd(1));
        deposit(SHORT, usd(1_000));
        trade(LONG, SHORT, 1, 1, 1);
        assert_eq!(assess(LONG).maintenance, usd(1));
        let before = assess(VAULT).equity;
        deposit(LONG, -(usd(1) / 2));
        close(|_| ());
        // Half a USD is below two thirds of one: the vault keeps it.
        assert_eq!(assess(VAULT).equity - before, usd(1) / 2);
    });
}

#[test]
fn those_who_wait_do_not_starve_the_queue_when_nothing_can_be_done_for_them() {
    new_test_ext().execute_with(|| {
        MaxLiquidations::set(2);
        // Large bankrupt accounts that nobody covers.
        for owner in 20..26 {
            deposit(owner, -usd(100_000));
        }
        for _ in 0..3 {
            close_at(100);
        }
        assert!(Pallet::<Test>::withdrawals_paused());
        a_pair();
        let orders = close_at(94);
        assert_eq!(
            orders.len(),
            1,
            "the small one that can be helped comes first"
        );
        assert_eq!(orders[0].account, of(LONG));
        // And all who wait get their turn when the fund is filled.
        deposit(FUND, usd(1_000_000));
        for _ in 0..6 {
            close_at(100);
        }
        assert_eq!(Pallet::<Test>::queued(), 0);
    });
}

#[test]
fn accounts_without_a_price_cost_no_budget_when_they_are_many() {
    new_test_ext().execute_with(|| {
        MaxPops::set(4);
        MaxLiquidations::set(4);
        for owner in 1_000..1_100 {
            deposit(owner, usd(100));
            deposit(SHORT, usd(10_000));
            trade(owner, SHORT, 1, 10, 100);
        }
        a_pair();
        let orders = close(|view| {
            set_mark(view, 0, 94);
            set_mark(view, 1, 50);
            view.markets[1].fresh = false;
        });
        assert_eq!(orders.len(), 1);
    });
}

#[test]
fn the_vault_stops_taking_positions_when_a_pushed_price_cost_it_its_cap() {
    new_test_ext().execute_with(|| {
        deposit(VAULT, usd(100_000));
        deposit(SHORT, usd(1_000_000));
        // Shorts of 10 lots are opened, emptied to the last USD and left to the vault; then the price is pushed up by 20.
        // The vault loses 200 with one of them, 400 with two: after 600 its cap of 500 keeps the third out.
        let mut held = Vec::new();
        let mut mark = 100;
        for owner in 100..104 {
            deposit(owner, usd(2_000));
            trade(SHORT, owner, 0, 10, mark);
            deposit(owner, -usd(1_999));
            close(|_| ());
            held.push(account(VAULT).lots(0));
            mark += 20;
            close(|view| set_mark(view, 0, mark.into()));
        }
        assert_eq!(held, vec![-10, -20, -20, -20]);
        assert_eq!(VaultLosses::<Test>::get(0).loss, usd(200 + 400 + 400 + 400));
        let refused = |e: &Event<Test>| {
            matches!(
                e,
                Event::TakeoverRefused {
                    refusal: Refusal::LossCap(0),
                    ..
                }
            )
        };
        assert_eq!(events().iter().filter(|e| refused(e)).count(), 2);
    });
}

#[test]
fn the_vault_is_no_exception_when_it_is_below_maintenance_itself() {
    new_test_ext().execute_with(|| {
        deposit(VAULT, usd(105));
        deposit(SHORT, usd(10_000));
        trade(VAULT, SHORT, 0, 10, 100);
        let sums = totals();
        // 105 − 60 = 45 against 47: it is offered to the market like anyone, and then deleveraged.
        assert_eq!(close_at(94)[0].account, of(VAULT));
        close_at(88);
        assert_eq!(totals(), sums);
        assert!(account(VAULT).is_plain());
        assert_eq!((account(VAULT).cash, standing(VAULT)), (0, Standing::Good));
    });
}

/// So many stops, of orders nobody can place.
fn stops(owner: u64, many: u32) {
    let order = NewOrder {
        market: 0,
        client_id: 1,
        side: Side::Ask,
        lots: 1,
        price: OrderPrice::Market,
        time_in_force: TimeInForce::ImmediateOrCancel,
        reduce_only: true,
        self_trade_prevention: SelfTradePrevention::CancelNewest,
    };
    let terms = NewTrigger {
        order,
        direction: Direction::Down,
        ticks: 1,
        expires: None,
    };
    let each = (1..=many).map(|number| Trigger {
        sequence: number.into(),
        tie: 0,
        terms,
    });
    Accounts::mutate(of(owner), |account| {
        account.as_mut().unwrap().triggers = Triggers::truncate_from(each.collect());
    });
}

#[test]
fn triggers_take_time_when_they_leave_with_their_account() {
    let run = |triggers| {
        new_test_ext().execute_with(|| {
            a_pair();
            stops(LONG, triggers);
            close_at(94);
            assert!(account(LONG).triggers.is_empty());
            crate::Took::<Test>::get()
        })
    };
    let each = crate::meter::Meter::<Test>::of(0).left_behind(1);
    assert!(each > 0);
    assert_eq!(run(MAX_TRIGGERS), run(0) + each * u64::from(MAX_TRIGGERS));
}

#[test]
fn no_close_does_more_than_it_has_time_for_when_everybody_has_triggers() {
    let begun = |triggers| {
        new_test_ext().execute_with(|| {
            for owner in 100..140 {
                deposit(owner, usd(100));
                deposit(SHORT, usd(1_000));
                trade(owner, SHORT, 0, 10, 100);
                stops(owner, triggers);
            }
            // Queued, and nothing is done for them yet.
            MaxLiquidations::set(0);
            close_at(94);
            MaxLiquidations::set(50);
            crate::Allowance::<Test>::put(20_000_000_000);
            close_at(94);
            (100..140)
                .filter(|owner| standing(*owner) != Standing::Good)
                .count()
        })
    };
    let (without, with) = (begun(0), begun(MAX_TRIGGERS));
    assert!(0 < with && with < without, "{with} of {without}");
}

#[test]
fn triggers_do_not_keep_orders_from_being_cancelled_when_there_are_many() {
    new_test_ext().execute_with(|| {
        deposit(SHORT, usd(100_000));
        // Larger ones come first, with more triggers than orders may be cancelled in one close.
        for owner in 100..110 {
            deposit(owner, usd(1_000));
            trade(owner, SHORT, 0, 100, 100);
            stops(owner, MAX_TRIGGERS);
        }
        a_pair();
        Accounts::mutate(of(LONG), |account| {
            let order = OrderAggregate {
                market: 0,
                bid_lots: 1,
                ask_lots: 0,
                reserve: 0,
            };
            let orders = &mut account.as_mut().unwrap().orders;
            orders.try_push(order).unwrap();
        });
        close_at(94);
        assert_eq!(standing(110 - 1), standing(LONG));
        assert!(account(LONG).orders.is_empty());
    });
}
