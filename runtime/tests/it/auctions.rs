//! Call auctions of the whole chain: after a halt, and where a market wants to trade at the edge of its band.

use crate::common::*;
use novate_runtime::Clearing;
use novate_types::{MarketStatus, NewOrder, Side, Standing, Ticks, TimeInForce};
use pallet_clearing::{CallReason, Event, Phase, States};
use pallet_order_book::OrderError;

/// The preset's: blocks of a call, and of a market at its edge before it is interrupted.
const CALL: u32 = 10;
const EDGE: u32 = 30;

fn clearing() -> Vec<Event<novate_runtime::Runtime>> {
    let of = |event| match event {
        novate_runtime::RuntimeEvent::Clearing(event) => Some(event),
        _ => None,
    };
    events().into_iter().filter_map(of).collect()
}

fn called() -> Vec<CallReason> {
    let of = |event| match event {
        Event::AuctionCalled { reason, .. } => Some(reason),
        _ => None,
    };
    clearing().into_iter().filter_map(of).collect()
}

/// Price, lots, and whether it was all.
fn uncrossed() -> Vec<(Option<Ticks>, u64, bool)> {
    let of = |event| match event {
        Event::Uncrossed {
            price,
            volume,
            done,
            ..
        } => Some((price, volume, done)),
        _ => None,
    };
    clearing().into_iter().filter_map(of).collect()
}

fn phase() -> Phase {
    States::<novate_runtime::Runtime>::get()[0].phase
}

fn edge_since() -> u32 {
    States::<novate_runtime::Runtime>::get()[0].edge_since
}

fn taking(side: Side, lots: u64, limit: Ticks) -> NewOrder {
    NewOrder {
        time_in_force: TimeInForce::ImmediateOrCancel,
        ..order(side, lots, limit)
    }
}

#[test]
fn a_halted_market_is_uncrossed_near_the_first_fresh_index_and_then_liquidates() {
    opened_at(usd(20_000)).execute_with(|| {
        block(usd(20_000), || {
            deposit(Bob, 50_000);
            deposit(Charlie, 1_000);
            deposit(Dave, 10_000);
            deposit(Eve, 10_000);
            ask(Bob, 8_000, ticks(20_000)).unwrap();
        });
        block(usd(20_000), || bid(Charlie, 8_000, ticks(20_000)).unwrap());
        let charlie = main_account(Charlie);
        begin(61_000);
        end();
        assert_eq!(market().status, MarketStatus::Halted);

        // Charlie is under water at the first price after the gap.
        block(usd(18_900), || ());
        assert_eq!(called(), [CallReason::Opening]);
        assert!(assess(&charlie).is_below_maintenance());
        block(usd(18_900), || {
            let refused = place(Dave, taking(Side::Bid, 100, ticks(18_950)));
            assert_eq!(refused, Err(OrderError::CallPhase));
            bid(Dave, 300, ticks(18_950)).unwrap();
        });
        block(usd(18_900), || {
            ask(Eve, 200, ticks(18_850)).unwrap();
        });
        // The book crosses, and says what would become of it.
        let indicative = Clearing::indicative(BTC_PERP).expect("the market is called");
        assert_eq!(indicative.price, Some(ticks(18_900)));
        assert_eq!(indicative.volume, 200);
        assert_eq!(indicative.reference, usd(18_900));
        for _ in 0..CALL - 3 {
            block(usd(18_910), || ());
            assert!(fills().is_empty() && uncrossed().is_empty());
            assert_eq!(held(Charlie).standing, Standing::Good);
            assert!(liquidations().is_empty());
        }
        block(usd(18_910), || ());
        assert_eq!(uncrossed(), [(Some(ticks(18_910)), 200, true)]);
        assert!(fills().iter().all(|fill| fill.ticks == ticks(18_910)));
        assert_eq!(
            (held(Dave).lots(BTC_PERP), held(Eve).lots(BTC_PERP)),
            (200, -200)
        );
        // Nobody was liquidated yet; the next close begins.
        assert!(liquidations().is_empty() && !market().fresh);
        assert!(!market().is_in_auction());
        block(usd(18_910), || {
            let taken = place(Eve, taking(Side::Ask, 50, ticks(18_950)));
            assert!(taken.is_ok(), "it trades continuously again: {taken:?}");
        });
        assert!(market().fresh);
        assert!(!liquidations().is_empty());
        equalities();
    });
}

#[test]
fn a_market_at_its_edge_is_interrupted_for_one_auction() {
    opened_at(usd(20_000)).execute_with(|| {
        block(usd(20_000), || {
            deposit(Bob, 100_000);
            deposit(Charlie, 100_000);
        });
        // 3 % above the mark, and more; nobody sells. Twenty dollars there are no demand.
        for _ in 0..3 {
            block(usd(20_000), || bid(Bob, 10, ticks(20_700)).unwrap());
        }
        assert_eq!(edge_since(), 0);
        // Ten thousand are.
        for round in 1..=EDGE {
            assert_eq!(phase(), Phase::Running);
            assert!(called().is_empty());
            let lots = if round == 1 { 5_000 } else { 10 };
            block(usd(20_000), || bid(Bob, lots, ticks(20_700)).unwrap());
            assert!(edge_since() > 0 || round == EDGE);
            assert_eq!(called().len(), usize::from(round == EDGE));
        }
        assert_eq!(called(), [CallReason::Volatility]);
        assert!(matches!(phase(), Phase::Interrupted { .. }));
        block(usd(20_000), || {
            let refused = place(Charlie, taking(Side::Ask, 100, ticks(20_500)));
            assert_eq!(refused, Err(OrderError::CallPhase));
            ask(Charlie, 100, ticks(20_500)).unwrap();
        });
        for _ in 0..CALL - 2 {
            block(usd(20_000), || ());
            // Its price is trusted throughout.
            assert!(market().fresh && uncrossed().is_empty());
        }
        block(usd(20_000), || ());
        assert_eq!(uncrossed(), [(Some(ticks(20_500)), 100, true)]);
        assert_eq!(held(Charlie).lots(BTC_PERP), -100);
        assert_eq!(phase(), Phase::Running);
        equalities();
    });
}

#[test]
fn a_short_outage_needs_no_auction() {
    opened_at(usd(20_000)).execute_with(|| {
        begin(60_000);
        end();
        assert_eq!(market().status, MarketStatus::ReduceOnly);
        block(usd(19_000), || ());
        assert!(called().is_empty() && market().fresh);
        assert_eq!(market().status, MarketStatus::Open);
    });
}
