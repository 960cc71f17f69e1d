//! Orders for combinations: they hold what their legs need, and what they are is their legs' business.

use crate::{mock::*, OrderError};
use novate_types::*;

/// So many ticks above BTC.
const ABOVE: Ticks = 600;
/// BTC less ETH.
const REVERSED: MarketId = 13;

fn order(client_id: ClientId, side: Side, lots: Lots, ticks: Ticks) -> NewOrder {
    NewOrder {
        market: SPREAD,
        ..limit(client_id, side, lots, ticks)
    }
}

fn of(owner: AccountId) -> MarginAccount {
    MockLedger::account(&account(owner)).unwrap()
}

fn assess(owner: AccountId) -> Assessment {
    novate_risk::Linear::assess(&of(owner), &MockView::view()).unwrap()
}

#[test]
fn a_spread_trades_in_its_legs_when_two_orders_meet() {
    new_test_ext().execute_with(|| {
        list_spread(MARK + ABOVE);
        place(1, order(1, Side::Ask, 40, ABOVE)).unwrap();
        let resting = of(1).order_aggregate(SPREAD).copied();
        assert_eq!(resting.map(|o| (o.bid_lots, o.ask_lots)), Some((0, 40)));
        close();
        place(2, order(1, Side::Bid, 30, ABOVE)).unwrap();
        let closed = close();
        assert_eq!(fills_of(&closed, 2), [(0, 30, ABOVE)]);
        assert_eq!((of(2).lots(ETH), of(2).lots(BTC)), (30, -30));
        assert_eq!((of(1).lots(ETH), of(1).lots(BTC)), (-30, 30));
        assert_eq!((of(1).lots(SPREAD), of(2).lots(SPREAD)), (0, 0));
        // What filled is released with its part, all of it with the last.
        assert_eq!(of(2).order_aggregate(SPREAD), None);
        assert_eq!(of(1).order_aggregate(SPREAD).map(|o| o.ask_lots), Some(10));
        operate(1, Operation::CancelAll { market: None }).unwrap();
        assert_eq!(of(1).order_aggregate(SPREAD), None);
    });
}

#[test]
fn an_order_holds_margin_for_all_legs_when_it_is_taken_in() {
    new_test_ext().execute_with(|| {
        list_spread(MARK + ABOVE);
        let view = MockView::view();
        let spread = view.market(SPREAD).unwrap();
        // 5 % of 60,300 and of 60,000 USD, 0.0001 each a lot, and the least margin of two positions.
        let legs = 1_000 * (301_500 + 300_000) + 2 * (QUANTUMS + 2);
        assert_eq!(novate_risk::initial_ceil(spread, 1_000), Ok(legs));
        // Ten ticks above the mark, and 500 ppm of the dearer leg.
        place(3, order(1, Side::Bid, 1_000, ABOVE + 10)).unwrap();
        let reserve = 1_000 * 10 * 50 + 1_000 * Cash::from(MARK + ABOVE + 10) * 50 / 2_000;
        assert_eq!(
            of(3).order_aggregate(SPREAD).map(|o| o.reserve),
            Some(reserve)
        );
        assert_eq!(assess(3).initial_with_orders, legs + reserve);
        // The other side of it is no more, as both cannot fill.
        place(3, order(2, Side::Ask, 1_000, ABOVE + 20)).unwrap();
        let both = of(3).order_aggregate(SPREAD).unwrap().reserve;
        assert_eq!(assess(3).initial_with_orders, legs + both);

        // That and the fee of 3.015 USD are enough for a thousand lots, and no less.
        let bid = order(1, Side::Bid, 1_000, ABOVE);
        fund(&account(4), 606);
        assert_eq!(place(4, bid), Err(OrderError::InsufficientMargin));
        fund(&account(4), 607);
        place(4, bid).unwrap();
    });
}

#[test]
fn an_order_is_taken_in_when_as_a_whole_it_lowers_margin() {
    new_test_ext().execute_with(|| {
        // ETH is the cheaper: rolling a long position from BTC to it needs less than before, and much more one by one.
        list_spread(MARK - ABOVE);
        assert_eq!(
            place(5, order(1, Side::Bid, 1, 1)),
            Err(OrderError::NoPrice)
        );
        list_combination(REVERSED, &[(BTC, 1), (ETH, -1)]);
        let value = math::trade_value(100_000, MARK, 50).unwrap();
        let mut holder = of(5);
        let view = MockView::view();
        novate_risk::apply_trade(&mut holder, view.market(BTC).unwrap(), 100_000, value).unwrap();
        holder.cash = 32_000 * QUANTUMS;
        MockLedger::put(&account(5), &holder);
        let before = assess(5);
        assert_eq!(before.initial, 30_000 * QUANTUMS);
        let roll = |lots| NewOrder {
            market: REVERSED,
            ..limit(1, Side::Ask, lots, ABOVE)
        };
        assert_eq!(place(5, roll(200_000)), Err(OrderError::InsufficientMargin));
        place(5, roll(100_000)).unwrap();
    });
}

#[test]
fn orders_that_a_combination_does_not_know_are_refused_by_name() {
    new_test_ext().execute_with(|| {
        list_spread(MARK + ABOVE);
        let reducing = NewOrder {
            reduce_only: true,
            ..order(1, Side::Bid, 10, ABOVE)
        };
        let refused = Err(OrderError::CombinationNotReduced);
        assert_eq!(place(1, reducing), refused);
        assert_eq!(arm(1, trigger(reducing, Direction::Up, ABOVE + 1)), refused);
        // A lot is worth what its legs are: 12.03 USD, and no cent of the difference.
        MockView::change(SPREAD, |m| m.min_notional = 13 * QUANTUMS);
        let small = order(1, Side::Bid, 1, ABOVE);
        assert_eq!(place(1, small), Err(OrderError::BelowMinNotional));
        MockView::change(SPREAD, |m| m.min_notional = 12 * QUANTUMS);
        place(1, small).unwrap();
        close();
        MockView::change(SPREAD, |m| m.status = MarketStatus::ReduceOnly);
        assert_eq!(
            place(1, order(2, Side::Bid, 1, ABOVE)),
            Err(OrderError::MarketReduceOnly)
        );
        // What rests is suspended, as there is nothing that it could reduce.
        close();
        assert_eq!(open(1).len(), 1);
        MockView::change(SPREAD, |m| m.status = MarketStatus::Halted);
        assert_eq!(
            place(1, order(3, Side::Bid, 1, ABOVE)),
            Err(OrderError::MarketHalted)
        );
    });
}

#[test]
fn an_order_is_refused_when_its_legs_would_be_more_markets_than_an_account_has() {
    new_test_ext().execute_with(|| {
        list_spread(MARK + ABOVE);
        let mut view = MockView::view();
        let mut holder = of(1);
        for id in 0..MAX_POSITIONS as MarketId - 1 {
            let other = market(100 + id);
            novate_risk::apply_trade(&mut holder, &other, 1, 0).unwrap();
            view.markets.try_push(other).unwrap();
        }
        frame_support::storage::unhashed::put(b"mock:view", &view);
        MockLedger::put(&account(1), &holder);
        // Room for one, and a combination takes two.
        let spread = order(1, Side::Bid, 10, ABOVE);
        assert_eq!(place(1, spread), Err(OrderError::TooManyMarkets));
        place(
            1,
            NewOrder {
                market: ETH,
                ..limit(2, Side::Bid, 10, MARK)
            },
        )
        .unwrap();
        // Where it has orders already a leg takes none.
        let mut holder = of(1);
        holder.positions.retain(|p| p.market != 100);
        MockLedger::put(&account(1), &holder);
        place(1, spread).unwrap();
        assert_eq!(
            place(
                1,
                NewOrder {
                    market: 100,
                    ..limit(3, Side::Bid, 10, MARK)
                }
            ),
            Err(OrderError::TooManyMarkets)
        );
    });
}

#[test]
fn premiums_are_asked_for_once_when_a_combination_sells_options_too() {
    new_test_ext().execute_with(|| {
        for (id, ticks) in [(BTC, 4_000), (ETH, 6_000)] {
            mark(id, ticks);
            MockView::change(id, |market| {
                market.contract = InstrumentKind::Option {
                    expiry: 10,
                    strike: MARK,
                    right: OptionRight::Call,
                }
                .into();
            });
        }
        list_spread(6_000);
        // A lot costs 2,000 ticks of 50 quantums, and the dearer fee on 6,000.
        let due = |lots: Cash| lots * 2_000 * 50 + lots * 6_000 * 50 / 2_000;
        let bid = |client, lots| order(client, Side::Bid, lots, 2_000);
        let with = |cash: Cash| {
            let mut holder = of(6);
            holder.cash = cash;
            MockLedger::put(&account(6), &holder);
        };
        // Margin is not what it lacks: another market has earned a million.
        let mut view = MockView::view();
        view.markets.try_push(market(20)).unwrap();
        frame_support::storage::unhashed::put(b"mock:view", &view);
        let mut holder = of(6);
        novate_risk::apply_trade(&mut holder, &market(20), 1, -1_000_000 * QUANTUMS).unwrap();
        MockLedger::put(&account(6), &holder);

        with(due(1_000) - 1);
        assert_eq!(place(6, bid(1, 1_000)), Err(OrderError::PremiumNotCovered));
        with(due(1_000));
        place(6, bid(1, 1_000)).unwrap();
        // One that is paid for selling the dearer and buying the cheaper needs its fee alone.
        let ask = order(2, Side::Ask, 1_000, 2_000);
        assert_eq!(place(6, ask), Err(OrderError::PremiumNotCovered));
        with(due(1_000) + 1_000 * 6_000 * 50 / 2_000);
        place(6, ask).unwrap();
    });
}
