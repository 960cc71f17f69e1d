use crate::{mock::*, novation::Budget, Event, View, LAST_ROUND_LOOKS, LAST_ROUND_SIDE};
use novate_types::{
    Cash, Ledger, LiquidationOrder, Lots, MarketStatus, OrderBook, Pot, Side, Ticks,
};

fn rich(owners: &[u64]) {
    for owner in owners {
        deposit(*owner, 1_000_000);
    }
}

/// Rounds, accounts cancelled and accounts tightened of the last failed check.
fn check_failed() -> Option<(u32, u32, u32)> {
    events().into_iter().rev().find_map(|event| match event {
        Event::CheckFailed {
            rounds,
            cancelled,
            tightened,
            ..
        } => Some((rounds, cancelled, tightened)),
        _ => None,
    })
}

fn cleared() -> Vec<(Ticks, Lots, u32, usize)> {
    events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Cleared {
                price,
                volume,
                part,
                fills,
                ..
            } => Some((price, volume, part, fills.len())),
            _ => None,
        })
        .collect()
}

pub(super) fn liquidate(owner: u64, side: Side, lots: Lots, limit: Ticks) {
    let order = LiquidationOrder {
        account: of(owner),
        market: BTC,
        side,
        lots,
        limit,
    };
    Liquidating::put(vec![order]);
}

/// Alice long 1,000 lots at 20,000 (one BTC) on 1,000 USD, the price then 1 % lower: equity 800,
/// maintenance 594, initial 990. Her bankruptcy price for all of it is 19,000.
fn alice_below_initial() {
    rich(&[BOB, CHARLIE]);
    deposit(ALICE, 1_000);
    open(ALICE, CHARLIE, 1_000, ticks(20_000));
    // No funding, so that the numbers stay round.
    Instruments::mutate(BTC, |i| i.as_mut().unwrap().params.interest_8h_ppm = 0);
    set_price(BTC_FEED, usd(19_800));
    run(1);
    let assessed = assess(ALICE);
    assert_eq!(assessed.equity, cash(800));
    assert_eq!(assessed.maintenance, cash(594));
    assert_eq!(assessed.initial, cash(990));
    System::reset_events();
}

#[test]
fn fills_are_novated_with_fees_when_both_sides_are_covered() {
    new_test_ext().execute_with(|| {
        rich(&[ALICE, BOB]);
        place(BOB, Side::Ask, ticks(20_000), 10);
        run(1);
        place(ALICE, Side::Bid, ticks(20_010), 4);
        run(1);
        assert_eq!((lots_of(ALICE), lots_of(BOB)), (4, -4));
        // 80 USD traded: the taker pays 500 ppm, the maker 200.
        assert_eq!(cash_of(ALICE), cash(1_000_000) - 40_000);
        assert_eq!(cash_of(BOB), cash(1_000_000) - 16_000);
        assert_eq!(MockLedger::pot(Pot::Fees), 56_000);
        assert_eq!(cleared(), [(ticks(20_000), 4, 0, 2)]);
        // The margin of what filled is released, that of what rests is not.
        let (alice, bob) = (
            Accounts::get(of(ALICE)).unwrap(),
            Accounts::get(of(BOB)).unwrap(),
        );
        assert_eq!(alice.order_aggregate(BTC), None);
        assert_eq!(bob.order_aggregate(BTC).map(|o| o.ask_lots), Some(6));
    });
}

#[test]
fn a_rebate_comes_out_of_the_takers_fee_when_the_maker_has_the_tier() {
    new_test_ext().execute_with(|| {
        rich(&[ALICE, BOB]);
        Accounts::mutate(of(BOB), |a| a.as_mut().unwrap().fee_tier = 1);
        place(BOB, Side::Ask, ticks(20_000), 10);
        run(1);
        place(ALICE, Side::Bid, ticks(20_000), 10);
        run(1);
        assert_eq!(cash_of(BOB), cash(1_000_000) + 20_000);
        assert_eq!(MockLedger::pot(Pot::Fees), 100_000 - 20_000);
    });
}

#[test]
fn rebates_never_exceed_what_the_match_pays_when_a_liquidation_has_no_fee_to_give() {
    new_test_ext().execute_with(|| {
        alice_below_initial();
        Accounts::mutate(of(BOB), |a| a.as_mut().unwrap().fee_tier = 1);
        // Half a USD better than bankruptcy for 500 lots: less than the maker's rebate of 0.95 USD.
        place(BOB, Side::Bid, ticks(19_001), 1_000);
        run(1);
        let (fees, bob) = (MockLedger::pot(Pot::Fees), cash_of(BOB));
        liquidate(ALICE, Side::Ask, 500, ticks(18_900));
        run(1);
        assert_eq!(lots_of(ALICE), 500);
        assert_eq!(cash_of(BOB), bob);
        assert!(MockLedger::pot(Pot::Fees) >= fees);
    });
}

#[test]
fn rebates_never_exceed_what_the_match_pays_when_post_only_meets_post_only() {
    new_test_ext().execute_with(|| {
        rich(&[ALICE, BOB]);
        for owner in [ALICE, BOB] {
            Accounts::mutate(of(owner), |a| a.as_mut().unwrap().fee_tier = 1);
        }
        place(BOB, Side::Ask, ticks(20_000), 10);
        place(ALICE, Side::Bid, ticks(20_000), 10);
        // Both pay the maker's fee: minus 100 ppm on both sides, and nobody else pays anything.
        Book::mutate(BTC, |book| {
            let orders = book.as_mut().unwrap();
            orders.iter_mut().for_each(|order| order.resting = true);
        });
        run(1);
        assert_eq!((lots_of(ALICE), lots_of(BOB)), (10, -10));
        assert_eq!(MockLedger::pot(Pot::Fees), 0);
        assert_eq!(cash_of(ALICE), cash(1_000_000));
        assert_eq!(cash_of(BOB), cash(1_000_000));
    });
}

#[test]
fn accounts_looked_at_for_the_last_round_count_as_fills() {
    new_test_ext().execute_with(|| {
        rich(&[BOB, CHARLIE]);
        for owner in [ALICE, DAVE, 5] {
            deposit(owner, 100);
        }
        place(BOB, Side::Ask, ticks(20_000), 1_000);
        for (owner, price) in [(ALICE, 20_003), (DAVE, 20_002), (5, 20_001)] {
            place(owner, Side::Bid, ticks(price), 1_000);
        }
        place(CHARLIE, Side::Bid, ticks(20_000), 600);
        let view = View::<crate::mock::Test>::get();
        let (mut budget, mut traded) = (Budget::full::<Test>(false), Default::default());
        let market = &view.markets[0];
        Clearing::match_market(
            &view,
            market,
            Default::default(),
            Vec::new(),
            &mut budget,
            &mut traded,
        )
        .unwrap();
        assert_eq!(check_failed().map(|(rounds, ..)| rounds), Some(3));
        // None of them rested. Both sides of the book were looked behind.
        assert_eq!(budget.fills, MaxFillsTotal::get());
        assert_eq!(budget.looks, LAST_ROUND_LOOKS - 2 * LAST_ROUND_SIDE);
    });
}

#[test]
fn the_vault_pays_no_liquidation_fee_when_it_works_a_position_off() {
    new_test_ext().execute_with(|| {
        let vault = VAULT.owner;
        rich(&[vault, BOB, CHARLIE]);
        open(vault, CHARLIE, 1_000, ticks(20_000));
        Instruments::mutate(BTC, |i| i.as_mut().unwrap().params.interest_8h_ppm = 0);
        place(BOB, Side::Bid, ticks(19_990), 1_000);
        run(1);
        let before = cash_of(vault);
        liquidate(vault, Side::Ask, 1_000, ticks(19_980));
        run(1);
        assert_eq!(lots_of(vault), 0);
        // The loss of 10 USD and the taker's 500 ppm of 19,990.
        assert_eq!(cash_of(vault), before - cash(10) - 9_995_000);
        assert!(MockLedger::account(&FUND).is_none_or(|fund| fund.cash == 0));
        // The mark is 20,000: both are lost beyond it.
        assert_eq!(VaultLost::take(), Some(vec![(BTC, cash(10) + 9_995_000)]));
        // What is bought 5 USD below it is a gain, less the fee.
        place(BOB, Side::Ask, ticks(19_995), 1_000);
        run(1);
        place(vault, Side::Bid, ticks(20_000), 1_000);
        run(1);
        assert_eq!(lots_of(vault), 1_000);
        let fee = before - cash(10) - 9_995_000 - cash_of(vault);
        assert!(fee > 0);
        assert_eq!(VaultLost::take(), Some(vec![(BTC, fee - cash(5))]));
    });
}

#[test]
fn a_match_is_done_again_without_an_account_when_its_fills_are_not_covered() {
    new_test_ext().execute_with(|| {
        rich(&[BOB, CHARLIE]);
        deposit(ALICE, 100);
        place(BOB, Side::Ask, ticks(20_000), 1_000);
        // 20,000 USD on 100, and better priced than Charlie's.
        place(ALICE, Side::Bid, ticks(20_001), 1_000);
        place(CHARLIE, Side::Bid, ticks(20_000), 600);
        run(1);
        assert_eq!(
            (lots_of(ALICE), lots_of(CHARLIE), lots_of(BOB)),
            (0, 600, -600)
        );
        assert_eq!(check_failed(), Some((2, 1, 0)));
        assert_eq!(cash_of(ALICE), cash(100));
        assert!(Accounts::get(of(ALICE)).unwrap().orders.is_empty());
    });
}

#[test]
fn the_last_round_admits_only_orders_that_pass_whatever_fills() {
    new_test_ext().execute_with(|| {
        rich(&[BOB, CHARLIE]);
        for owner in [ALICE, DAVE, 5] {
            deposit(owner, 100);
        }
        place(BOB, Side::Ask, ticks(20_000), 1_000);
        // Each of them would take the whole ask, and none could carry it.
        place(ALICE, Side::Bid, ticks(20_003), 1_000);
        place(DAVE, Side::Bid, ticks(20_002), 1_000);
        place(5, Side::Bid, ticks(20_001), 1_000);
        place(CHARLIE, Side::Bid, ticks(20_000), 600);
        run(1);
        assert_eq!((lots_of(CHARLIE), lots_of(BOB)), (600, -600));
        assert_eq!((lots_of(ALICE), lots_of(DAVE), lots_of(5)), (0, 0, 0));
        assert_eq!(check_failed(), Some((3, 2, 0)));
        // Those that failed lost their orders; the one that was not admitted keeps its own.
        let resting: Vec<_> = Book::get(BTC)
            .unwrap()
            .into_iter()
            .map(|order| order.account.owner)
            .collect();
        assert_eq!(resting, [BOB, 5]);
    });
}

#[test]
fn an_owner_can_lose_to_itself_only_what_initial_margin_leaves_when_it_opens_at_the_band() {
    // Buying at 5 % above the mark costs 1 USD a lot and needs 1 USD a lot of margin: 1,000 USD carry
    // not quite 500 lots.
    for (lots, trades) in [(400, true), (499, false), (900, false)] {
        new_test_ext().execute_with(|| {
            rich(&[BOB]);
            deposit(ALICE, 1_000);
            place(BOB, Side::Ask, ticks(21_000), lots);
            place(ALICE, Side::Bid, ticks(21_000), lots);
            run(1);
            assert_eq!(lots_of(ALICE) != 0, trades, "{lots} lots");
            assert!(assess(ALICE).covers_initial());
        });
    }
}

#[test]
fn a_reduce_only_order_is_held_to_bankruptcy_when_its_owner_sells_to_itself() {
    // Bob's bid, and whether Alice may sell her whole position to it: at 19,000 her equity is gone,
    // and she pays a fee of 9.50.
    for (bid, sold) in [
        (18_850, 0),
        (19_000, 0),
        (19_009, 0),
        (19_011, 1_000),
        (19_500, 1_000),
    ] {
        new_test_ext().execute_with(|| {
            alice_below_initial();
            place(BOB, Side::Bid, ticks(bid), 1_000);
            run(1);
            place_reduce_only(ALICE, Side::Ask, ticks(18_850), 1_000);
            run(1);
            assert_eq!(lots_of(ALICE), 1_000 - sold, "bid {bid}");
            assert!(assess(ALICE).equity >= 0);
            let failed = if sold == 0 { Some((2, 1, 1)) } else { None };
            assert_eq!(check_failed(), failed, "bid {bid}");
        });
    }
}

#[test]
fn a_part_of_a_position_is_sold_no_worse_than_bankruptcy_when_it_is_reduced() {
    new_test_ext().execute_with(|| {
        alice_below_initial();
        let before = assess(ALICE);
        place(BOB, Side::Bid, ticks(19_000), 500);
        place(BOB, Side::Bid, ticks(19_100), 100);
        place_reduce_only(ALICE, Side::Ask, ticks(18_850), 1_000);
        run(1);
        // Only the better bid; the tightened order then rests.
        assert_eq!(lots_of(ALICE), 900);
        let after = assess(ALICE);
        assert!(after.equity * before.maintenance >= before.equity * after.maintenance);
    });
}

#[test]
fn an_ordinary_order_that_reduces_is_cancelled_when_it_sells_beyond_bankruptcy() {
    new_test_ext().execute_with(|| {
        alice_below_initial();
        place(BOB, Side::Bid, ticks(18_900), 1_000);
        place(ALICE, Side::Ask, ticks(18_900), 1_000);
        run(1);
        assert_eq!(lots_of(ALICE), 1_000);
        assert_eq!(check_failed(), Some((2, 1, 1)));
        assert!(Accounts::get(of(ALICE)).unwrap().orders.is_empty());
    });
}

#[test]
fn a_fill_beyond_bankruptcy_is_refused_although_initial_margin_stays_covered() {
    // 1,200 USD on 20,000: selling half at 6 % off leaves half of the equity, at 6.5 % less than that,
    // though either leaves more than the 500 USD of initial margin.
    for (bid, sold) in [(18_700, 0), (18_805, 500)] {
        new_test_ext().execute_with(|| {
            rich(&[BOB, CHARLIE]);
            deposit(ALICE, 1_200);
            open(ALICE, CHARLIE, 1_000, ticks(20_000));
            place(BOB, Side::Bid, ticks(bid), 500);
            run(1);
            place(ALICE, Side::Ask, ticks(bid), 500);
            run(1);
            assert_eq!(lots_of(ALICE), 1_000 - sold, "bid {bid}");
            assert!(assess(ALICE).covers_initial());
        });
    }
}

#[test]
fn a_part_of_a_dust_position_is_not_closed_when_that_frees_no_margin() {
    new_test_ext().execute_with(|| {
        alice_below_initial();
        // A lot is worth 1 USD: 20 lots need the least maintenance margin, and so do 10.
        set_price(BTC_FEED, usd(1_000));
        Accounts::mutate(of(ALICE), |account| {
            let account = account.as_mut().unwrap();
            account.positions = Default::default();
            account.cash = 500_000;
        });
        Accounts::mutate(of(CHARLIE), |account| {
            let account = account.as_mut().unwrap();
            account.positions = Default::default();
            account.cash = cash(1_000_000);
        });
        Custody::insert(USDC, cash(2_000_000).unsigned_abs() + 500_000);
        open(ALICE, CHARLIE, 20, ticks(1_000));
        run(1);
        // Better than the mark, so that only the maintenance margin stands against it.
        place(BOB, Side::Bid, ticks(1_001), 20);
        run(1);
        liquidate(ALICE, Side::Ask, 10, ticks(1_000));
        run(1);
        assert_eq!((lots_of(ALICE), check_failed()), (20, Some((2, 1, 1))));
        liquidate(ALICE, Side::Ask, 20, ticks(1_000));
        run(1);
        assert_eq!(lots_of(ALICE), 0);
    });
}

#[test]
fn a_liquidation_fill_is_held_to_bankruptcy_when_its_owner_buys_from_itself() {
    for (bid, sold) in [(18_850, 0), (18_998, 0), (19_005, 500)] {
        new_test_ext().execute_with(|| {
            alice_below_initial();
            place(BOB, Side::Bid, ticks(bid), 1_000);
            run(1);
            liquidate(ALICE, Side::Ask, 500, ticks(18_850));
            run(1);
            assert_eq!(lots_of(ALICE), 1_000 - sold, "bid {bid}");
        });
    }
}

#[test]
fn orders_that_reduce_are_held_to_bankruptcy_when_they_first_come_up_in_the_last_round() {
    for liquidation in [false, true] {
        new_test_ext().execute_with(|| {
            alice_below_initial();
            for owner in [DAVE, 5] {
                deposit(owner, 10);
            }
            place(BOB, Side::Bid, ticks(18_900), 1_000);
            run(1);
            // Better priced than Alice's, and not covered: they fall out in the first two rounds.
            place(DAVE, Side::Ask, ticks(18_840), 1_000);
            place(5, Side::Ask, ticks(18_845), 1_000);
            if liquidation {
                liquidate(ALICE, Side::Ask, 1_000, ticks(18_850));
            } else {
                place_reduce_only(ALICE, Side::Ask, ticks(18_850), 1_000);
            }
            run(1);
            assert_eq!(check_failed(), Some((3, 2, 1)));
            assert_eq!((lots_of(ALICE), lots_of(BOB)), (1_000, 0));
        });
    }
}

#[test]
fn a_liquidation_pays_the_fund_when_it_fills_better_than_bankruptcy() {
    new_test_ext().execute_with(|| {
        alice_below_initial();
        place(BOB, Side::Bid, ticks(19_700), 1_000);
        run(1);
        let fees = MockLedger::pot(Pot::Fees);
        liquidate(ALICE, Side::Ask, 500, ticks(19_000));
        run(1);
        // 9,850 USD traded: 1 % to the fund; 500 ppm from the taker and 200 from the maker to the pot.
        assert_eq!(cash_of(FUND.owner), 98_500_000);
        assert_eq!(MockLedger::pot(Pot::Fees) - fees, 4_925_000 + 1_970_000);
    });
}

#[test]
fn a_liquidations_fees_stop_at_bankruptcy_when_the_fill_is_close_to_it() {
    new_test_ext().execute_with(|| {
        alice_below_initial();
        place(BOB, Side::Bid, ticks(19_006), 1_000);
        run(1);
        let before = assess(ALICE);
        liquidate(ALICE, Side::Ask, 500, ticks(18_900));
        run(1);
        assert_eq!(lots_of(ALICE), 500);
        let after = assess(ALICE);
        // The fees took what the fill made beyond bankruptcy, and nothing that was hers.
        assert!(after.equity * before.maintenance >= before.equity * after.maintenance);
        let kept = after.equity - before.equity * after.maintenance / before.maintenance;
        assert!(kept < 5_000, "{kept} quantums left beyond bankruptcy");
    });
}

#[test]
fn a_match_admits_only_reductions_when_it_would_exceed_the_open_interest_cap() {
    new_test_ext().execute_with(|| {
        rich(&[ALICE, BOB, CHARLIE, DAVE]);
        open(ALICE, BOB, 100, ticks(20_000));
        let cap = |lots| {
            Instruments::mutate(BTC, |i| i.as_mut().unwrap().params.open_interest_cap = lots);
        };
        cap(100);
        // Charlie and Dave would open 60; Bob buys 30 back from Alice.
        place(CHARLIE, Side::Bid, ticks(20_002), 60);
        place(DAVE, Side::Ask, ticks(20_000), 60);
        place(BOB, Side::Bid, ticks(20_001), 30);
        place(ALICE, Side::Ask, ticks(20_001), 30);
        run(1);
        assert_eq!(MockLedger::open_interest(BTC), 70);
        assert_eq!((lots_of(ALICE), lots_of(CHARLIE)), (70, 0));
        assert_eq!(check_failed(), Some((2, 0, 0)));
        cap(129);
        run(1);
        assert_eq!(MockLedger::open_interest(BTC), 70);
        cap(130);
        run(1);
        assert_eq!(MockLedger::open_interest(BTC), 130);
    });
}

#[test]
fn nothing_opens_when_the_market_is_reduce_only() {
    new_test_ext().execute_with(|| {
        rich(&[ALICE, BOB]);
        open(ALICE, BOB, 100, ticks(20_000));
        Instruments::mutate(BTC, |i| {
            i.as_mut().unwrap().status = MarketStatus::ReduceOnly;
        });
        place(BOB, Side::Bid, ticks(20_000), 150);
        place(ALICE, Side::Ask, ticks(20_000), 150);
        run(1);
        assert_eq!((lots_of(ALICE), lots_of(BOB)), (0, 0));
    });
}

#[test]
fn a_position_turns_when_a_fill_goes_through_zero() {
    new_test_ext().execute_with(|| {
        rich(&[ALICE, BOB]);
        open(ALICE, BOB, 10, ticks(20_000));
        place(BOB, Side::Bid, ticks(20_100), 25);
        place(ALICE, Side::Ask, ticks(20_100), 25);
        run(1);
        assert_eq!((lots_of(ALICE), lots_of(BOB)), (-15, 15));
        let alice = Accounts::get(of(ALICE)).unwrap();
        assert_eq!(alice.position(BTC).unwrap().cost, -15 * 20_100 * 1_000);
        // 1 USD realised, 500 ppm of 502.50 USD as fee, next to no funding.
        let fee: Cash = 251_250;
        assert!((alice.cash - cash(1_000_000) - (1_000_000 - fee)).abs() < 10);
    });
}

#[test]
fn fills_go_on_in_further_parts_when_an_event_is_full() {
    new_test_ext().execute_with(|| {
        rich(&[ALICE, BOB]);
        for _ in 0..300 {
            place(BOB, Side::Ask, ticks(20_000), 1);
        }
        run(1);
        place(ALICE, Side::Bid, ticks(20_000), 300);
        run(1);
        assert_eq!(
            cleared(),
            [(ticks(20_000), 300, 0, 512), (ticks(20_000), 300, 1, 88)]
        );
        assert_eq!(lots_of(ALICE), 300);
    });
}

#[test]
fn a_market_executes_no_more_resting_orders_than_it_may() {
    new_test_ext().execute_with(|| {
        rich(&[ALICE, BOB]);
        for _ in 0..600 {
            place(BOB, Side::Ask, ticks(20_000), 1);
        }
        run(1);
        place(ALICE, Side::Bid, ticks(20_000), 600);
        run(1);
        assert_eq!(lots_of(ALICE), 512);
    });
}

#[test]
fn funding_is_settled_into_the_pot_when_a_position_trades() {
    new_test_ext().execute_with(|| {
        rich(&[ALICE, BOB]);
        open(ALICE, BOB, 1_000, ticks(20_000));
        run(60);
        let index = View::<Test>::get().market(BTC).unwrap().funding_index;
        place(BOB, Side::Bid, ticks(20_000), 1_000);
        place(ALICE, Side::Ask, ticks(20_000), 1_000);
        run(1);
        assert!(index > 0);
        // Alice paid what Bob received, but for the roundings.
        assert!((0..=1).contains(&MockLedger::pot(Pot::Funding(BTC))));
        let fees = MockLedger::pot(Pot::Fees);
        assert!(cash_of(ALICE) < cash(1_000_000) - fees / 2);
    });
}

#[test]
fn fewer_orders_execute_when_the_accounts_behind_them_are_more_than_a_close_has_room_for() {
    use crate::BenchmarkHelper;
    new_test_ext().execute_with(|| {
        let room = Clearing::party(
            novate_types::MAX_HOLDINGS,
            novate_risk::MOST_MORE_THRESHOLDS,
        );
        PartiesWeight::set(room);
        let fit = (room.ref_time() / Clearing::party(1, 0).ref_time()) as u32;
        let view = Helper::cross(20, 1, 1);
        assert!(0 < fit && fit < 20);
        let (mut budget, mut traded) = (Budget::full::<Test>(false), Default::default());
        let market = &view.markets[0];
        Clearing::match_market(
            &view,
            market,
            Default::default(),
            Vec::new(),
            &mut budget,
            &mut traded,
        )
        .unwrap();
        // With the one who crossed them. What was run in vain counts too.
        assert_eq!(traded.len(), fit as usize + 1);
        assert_eq!(MaxFillsTotal::get() - budget.fills, 20 + fit);
        assert!(!budget.is_left::<Test>());
        assert!(Budget::full::<Test>(false).is_left::<Test>());
    });
}

#[test]
fn triggers_take_half_of_what_there_is_for_accounts_at_most() {
    use crate::BenchmarkHelper;
    new_test_ext().execute_with(|| {
        let room = Clearing::party(
            novate_types::MAX_HOLDINGS,
            novate_risk::MOST_MORE_THRESHOLDS,
        );
        PartiesWeight::set(room * 2);
        let fit = (room.ref_time() / Clearing::party(1, 0).ref_time()) as u32;
        let view = Helper::cross(20, 1, 1);
        let (mut budget, mut traded) = (Budget::full::<Test>(false), Default::default());
        assert_eq!(budget.for_triggers(), room.ref_time());
        Fired::put(u64::MAX);
        budget.spend_on_triggers(MockBook::fire(&view, budget.for_triggers()));
        let market = &view.markets[0];
        Clearing::match_market(
            &view,
            market,
            Default::default(),
            Vec::new(),
            &mut budget,
            &mut traded,
        )
        .unwrap();
        assert_eq!(traded.len(), fit as usize + 1);
        assert!(!budget.is_left::<Test>());
    });
}

#[test]
fn block_weighs_what_its_triggers_took() {
    use frame_support::{dispatch::DispatchClass, traits::Hooks};
    let weight = |fired: u64| {
        new_test_ext().execute_with(|| {
            Fired::put(fired);
            let reserve = Clearing::on_initialize(1);
            System::register_extra_weight_unchecked(reserve, DispatchClass::Mandatory);
            run(1);
            System::block_weight()
                .get(DispatchClass::Mandatory)
                .ref_time()
        })
    };
    assert_eq!(weight(12_345) - weight(0), 12_345);
}

#[test]
fn block_weighs_the_keys_that_accounts_who_traded_changed() {
    use frame_support::{dispatch::DispatchClass, traits::Hooks};
    let weight = |entries: u32| {
        new_test_ext().execute_with(|| {
            rich(&[ALICE, BOB, CHARLIE]);
            for maker in [BOB, CHARLIE] {
                place(maker, Side::Ask, ticks(20_000), 10);
            }
            run(1);
            place(ALICE, Side::Bid, ticks(20_000), 20);
            Entries::set(entries);
            // What Alice's order prepaid.
            let prepaid = Clearing::party(1, 0);
            System::register_extra_weight_unchecked(prepaid, DispatchClass::Normal);
            let reserve = Clearing::on_initialize(1);
            System::register_extra_weight_unchecked(reserve, DispatchClass::Mandatory);
            run(1);
            assert_eq!((lots_of(ALICE), lots_of(BOB)), (20, -10));
            let weight = System::block_weight();
            [DispatchClass::Normal, DispatchClass::Mandatory]
                .map(|class| weight.get(class).ref_time())
        })
    };
    let keys = |n: u64| {
        <Test as frame_system::Config>::DbWeight::get()
            .writes(n)
            .ref_time()
    };
    assert!(keys(1) > 0);
    // An account of one position was counted with itself and two entries.
    let [all, none] = [weight(2), weight(0)];
    assert_eq!(all[0] - none[0], keys(2));
    assert_eq!(all[1] - none[1], keys(2 * 2));
    // More than was counted is not charged: the count is the worst case.
    assert_eq!(weight(3), all);
}
