//! Stops and take-profits through whole blocks.

use crate::common::*;
use novate_runtime::RuntimeEvent;
use novate_types::{
    Direction, NewOrder, NewTrigger, Operation, OrderPrice, Side, Standing, TimeInForce,
};
use pallet_order_book::{Accepted, OrderError};
use sp_keyring::Sr25519Keyring;

/// A market order that closes a long, once the mark has fallen to the level.
fn stop(lots: u64, dollars: u64) -> NewTrigger {
    NewTrigger {
        order: NewOrder {
            price: OrderPrice::Market,
            time_in_force: TimeInForce::ImmediateOrCancel,
            reduce_only: true,
            ..order(Side::Ask, lots, 1)
        },
        direction: Direction::Down,
        ticks: ticks(dollars),
        expires: None,
    }
}

fn arm(who: Sr25519Keyring, trigger: NewTrigger) -> Result<u64, OrderError> {
    let operation = Operation::PlaceTrigger(trigger);
    match operate(who, 0, vec![operation]).expect("the account is open")[0] {
        Ok(Accepted::Armed(sequence)) => Ok(sequence),
        Ok(other) => panic!("placing a trigger did {other:?}"),
        Err(refusal) => Err(refusal),
    }
}

/// Numbers and outcomes of the triggers of the account that fired in this block.
fn fired(who: Sr25519Keyring) -> Vec<(u64, Result<(), OrderError>)> {
    let of = |event| match event {
        RuntimeEvent::OrderBook(pallet_order_book::Event::Fired { triggers, .. }) => triggers,
        _ => Vec::new(),
    };
    let all = events().into_iter().flat_map(of);
    all.filter(|t| t.account == main_account(who))
        .map(|t| (t.sequence, t.outcome))
        .collect()
}

#[test]
fn stop_closes_the_position_in_the_close_whose_mark_reached_it() {
    opened_at(usd(20_000)).execute_with(|| {
        block(usd(20_000), || {
            deposit(Charlie, 10_000);
            deposit(Dave, 10_000);
            deposit(Eve, 100_000);
        });
        block(usd(20_000), || {
            bid(Charlie, 1_000, ticks(20_000)).unwrap();
            ask(Dave, 1_000, ticks(20_000)).unwrap();
        });
        assert_eq!(held(Charlie).lots(BTC_PERP), 1_000);
        let mut sequence = 0;
        block(usd(20_000), || {
            sequence = arm(Charlie, stop(1_000, 19_900)).unwrap();
            bid(Eve, 5_000, ticks(19_850)).unwrap();
        });
        assert!(fired(Charlie).is_empty());
        assert!(held(Charlie).orders.is_empty());
        // The mark follows the index within its band; a few blocks later it is there.
        let mut left = 20;
        while held(Charlie).lots(BTC_PERP) != 0 {
            block(usd(19_880), || ());
            left -= 1;
            assert!(left > 0, "the stop does not fire");
        }
        assert_eq!(fired(Charlie), [(sequence, Ok(()))]);
        assert!(fills().iter().any(|fill| fill.sequence == sequence));
        assert!(held(Charlie).triggers.is_empty());
        equalities();
    });
}

#[test]
fn triggers_leave_with_their_account_when_it_is_liquidated() {
    opened_at(usd(20_000)).execute_with(|| {
        block(usd(20_000), || {
            deposit(Charlie, 1_200);
            deposit(Dave, 100_000);
        });
        block(usd(20_000), || {
            bid(Charlie, 8_000, ticks(20_000)).unwrap();
            ask(Dave, 8_000, ticks(20_000)).unwrap();
        });
        assert_eq!(held(Charlie).lots(BTC_PERP), 8_000);
        block(usd(20_000), || {
            arm(Charlie, stop(8_000, 10_000)).unwrap();
        });
        let mut left = 20;
        while held(Charlie).standing == Standing::Good && held(Charlie).lots(BTC_PERP) == 8_000 {
            block(usd(18_900), || ());
            left -= 1;
            assert!(left > 0, "nobody is liquidated");
        }
        assert!(held(Charlie).triggers.is_empty());
        assert!(fired(Charlie).is_empty());
        equalities();
    });
}
