//! `do_try_state` speaks when storage says something that is not so.

use super::*;
use crate::{
    pages::{Entry, Shelf, Span},
    Bid, Bids, Pallet, Queue, Queued, RiskDirectory, RiskPage, RiskSpan, Suspended,
    UncoveredDeficit, Working,
};
use frame_support::assert_ok;

/// A sound state with thresholds, ranks and a queue; `break_it`; what is then found.
fn found(break_it: impl FnOnce()) -> &'static str {
    new_test_ext().execute_with(|| {
        a_pair();
        deposit(20, -usd(5));
        assert_ok!(Liquidation::do_try_state());
        break_it();
        Liquidation::do_try_state()
            .expect_err("drift went unnoticed")
            .into()
    })
}

fn a_threshold() -> (Shelf, RiskSlot) {
    let slot = account(LONG).risk[0];
    (Shelf::Threshold(slot.axis, slot.direction), slot)
}

#[test]
fn a_lost_page_is_noticed_when_its_bucket_is_marked() {
    let lost = found(|| {
        let (shelf, slot) = a_threshold();
        RiskPage::<Test>::remove((shelf, slot.bucket, 0));
    });
    assert_eq!(lost, "a bucket spans other pages than there are");
}

#[test]
fn a_lost_bucket_is_noticed_when_its_pages_are_there() {
    let lost = found(|| RiskDirectory::<Test>::remove(a_threshold().0));
    assert_eq!(lost, "a bucket spans other pages than there are");
    let spanned = |first, last| {
        found(|| {
            let (shelf, slot) = a_threshold();
            RiskSpan::<Test>::insert((shelf, slot.bucket), Span { first, last });
        })
    };
    assert_eq!(spanned(0, 1), "a bucket spans other pages than there are");
    assert_eq!(spanned(0, 0), "a span is stored that goes without saying");
    let unmarked = found(|| {
        let (shelf, slot) = a_threshold();
        let span = Span { first: 1, last: 1 };
        RiskSpan::<Test>::insert((shelf, slot.bucket + 1), span);
    });
    assert_eq!(unmarked, "a bucket has pages and is not marked");
}

#[test]
fn a_slot_is_noticed_when_no_page_or_two_hold_it() {
    let lost = found(|| {
        StoredLedger::update(&of(LONG), |a| {
            a.risk[0].generation += 100;
            Ok::<_, LedgerError>(())
        })
        .unwrap();
    });
    assert_eq!(lost, "a threshold is not in the pages exactly once");
    let twice = found(|| {
        let (shelf, slot) = a_threshold();
        let entry = Entry {
            account: of(LONG),
            generation: slot.generation,
        };
        Pallet::<Test>::append(shelf, slot.bucket, entry).unwrap();
    });
    assert_eq!(twice, "a threshold is not in the pages exactly once");
}

#[test]
fn a_position_is_noticed_when_deleveraging_would_not_find_it() {
    let lost = found(|| {
        StoredLedger::update(&of(SHORT), |a| {
            a.positions
                .iter_mut()
                .for_each(|p| p.rank = RankSlot::default());
            Ok::<_, LedgerError>(())
        })
        .unwrap();
    });
    assert_eq!(
        lost,
        "a position is not in the deleveraging index exactly once"
    );
    // A short whose entry price rose deserves a better bucket than it has.
    let worse = found(|| {
        StoredLedger::update(&of(SHORT), |a| {
            a.positions.iter_mut().for_each(|p| p.cost -= usd(100));
            Ok::<_, LedgerError>(())
        })
        .unwrap();
    });
    assert_eq!(
        worse,
        "a position stands worse in the deleveraging index than it deserves"
    );
}

#[test]
fn the_queue_is_noticed_when_map_and_pages_differ() {
    let place = Queued {
        since: 1,
        priority: 1,
        deficit: 0,
    };
    assert_eq!(
        found(|| Queue::<Test>::insert(of(99), place)),
        "the queue's pages and its map differ in number"
    );
    assert_eq!(
        found(|| Working::<Test>::put(frame_support::BoundedVec::truncate_from(vec![of(20)]))),
        "the queue's pages and its map differ in number"
    );
    assert_eq!(
        found(|| {
            let held = Queue::<Test>::take(of(20)).unwrap();
            Queue::<Test>::insert(of(21), held);
        }),
        "the queue's pages and its map name different accounts"
    );
    let moved = |change: fn(&mut Queued)| {
        found(|| {
            let mut held = Queue::<Test>::get(of(20)).unwrap();
            change(&mut held);
            Queue::<Test>::insert(of(20), held);
        })
    };
    assert_eq!(
        moved(|q| q.priority += 1),
        "a queued account stands in the wrong bucket"
    );
    assert_eq!(moved(|q| q.deficit += 1), "the deficits do not add up");
    assert_eq!(
        found(|| UncoveredDeficit::<Test>::put(1)),
        "the deficits do not add up"
    );
}

#[test]
fn a_suspended_deficit_is_noticed_when_nobody_waits_for_a_price() {
    let of_nobody = "a suspended deficit is nobody's who waits for a price";
    assert_eq!(found(|| Suspended::<Test>::insert(of(LONG), 1)), of_nobody);
    assert_eq!(found(|| Suspended::<Test>::insert(of(20), 1)), of_nobody);
    // Its owner has closed it since: only the sum is wrong.
    let sum = found(|| Suspended::<Test>::insert(of(99), 1));
    assert_eq!(sum, "the deficits do not add up");
}

#[test]
fn an_account_is_noticed_when_the_next_close_would_not_find_it() {
    let unseen = found(|| {
        StoredLedger::update(&of(LONG), |a| {
            a.cash -= usd(60);
            Ok::<_, LedgerError>(())
        })
        .unwrap();
    });
    assert_eq!(
        unseen,
        "an account below maintenance margin would not be found"
    );
    let stuck = found(|| {
        StoredLedger::update(&of(SHORT), |a| {
            a.standing = Standing::Frozen;
            Ok::<_, LedgerError>(())
        })
        .unwrap();
    });
    assert_eq!(
        stuck,
        "an account in remedies is neither queued nor waiting"
    );
}

#[test]
fn a_bid_is_noticed_when_it_is_none_that_intake_takes() {
    let a_bid = |taker, account| Bid {
        taker: of(taker),
        account: of(account),
        fraction: 1,
        least_discount: 0,
        carries: 0,
        tie: [0; 16],
        holdings: 0,
        thresholds: 0,
    };
    // LONG in competition, and these bids.
    let found = |bids: Vec<Bid<u64>>| {
        found(|| {
            StoredLedger::settle(&of(LONG), &StoredView::view(), false, |a| {
                a.cash -= usd(60);
                a.standing = Standing::Competing {
                    since: 1,
                    closes: 0,
                };
                Ok::<_, LedgerError>(())
            })
            .unwrap();
            assert_ok!(Liquidation::do_try_state());
            Bids::<Test>::put(frame_support::BoundedVec::truncate_from(bids));
        })
    };
    assert_eq!(
        found(vec![a_bid(40, SHORT)]),
        "a bid is for an account that is not in competition"
    );
    let nothing = Bid {
        fraction: 0,
        ..a_bid(40, LONG)
    };
    assert_eq!(
        found(vec![nothing]),
        "a bid asks for nothing or for more than there is"
    );
    assert_eq!(
        found(vec![a_bid(40, LONG), a_bid(40, LONG)]),
        "an owner bids twice for an account"
    );
    assert_eq!(
        found((40..47).map(|taker| a_bid(taker, LONG)).collect()),
        "an account has more bids than it may have"
    );
}

#[test]
fn a_competition_is_noticed_when_it_lasts_too_long_or_its_account_has_orders() {
    let changed = |change: fn(&mut MarginAccount)| {
        found(|| {
            StoredLedger::settle(&of(LONG), &StoredView::view(), false, |a| {
                a.cash -= usd(60);
                a.standing = Standing::Competing {
                    since: 1,
                    closes: 20,
                };
                Ok::<_, LedgerError>(())
            })
            .unwrap();
            assert_ok!(Liquidation::do_try_state());
            StoredLedger::update(&of(LONG), |a| {
                change(a);
                Ok::<_, LedgerError>(())
            })
            .unwrap();
        })
    };
    let longer = changed(|a| {
        a.standing = Standing::Competing {
            since: 1,
            closes: 21,
        }
    });
    assert_eq!(
        longer,
        "an account has spent more closes in competition than there are"
    );
    let ordered = changed(|a| novate_risk::add_order(a, 0, Side::Bid, 1, 0).unwrap());
    assert_eq!(ordered, "an account in competition has open orders");
}
