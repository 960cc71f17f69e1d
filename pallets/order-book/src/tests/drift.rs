//! The state check notices when any equality breaks.

use crate::{mock::*, types::*, *};
use codec::Encode;
use novate_types::*;

/// A sound state with resting orders, an expiring one and one in the intake; `spoil` must be noticed.
fn notices(what: &str, spoil: impl FnOnce()) {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Bid, 10, MARK - 10)).unwrap();
        place(2, limit(1, Side::Ask, 10, MARK + 10)).unwrap();
        let expiring = NewOrder {
            time_in_force: TimeInForce::GoodTilBlock(50),
            ..limit(2, Side::Bid, 10, MARK - 10)
        };
        place(1, expiring).unwrap();
        close();
        place(3, limit(1, Side::Bid, 10, MARK - 10)).unwrap();
        Pallet::<Test>::do_try_state().unwrap();
        spoil();
        let error = format!("{:?}", Pallet::<Test>::do_try_state().unwrap_err());
        assert!(error.contains(what), "{error}");
    });
}

fn page() -> PageKey {
    (BTC, Side::Bid, book::group_of(MARK - 10), 0)
}

fn change_slots(change: impl FnOnce(&mut Page<AccountId>)) {
    Pages::<Test>::mutate(page(), |slots| change(slots.as_mut().unwrap()));
}

#[test]
fn drift_is_noticed_when_the_ledger_disagrees() {
    notices("order margin", || {
        let mut held = MockLedger::account(&account(1)).unwrap();
        held.orders[0].reserve += 1;
        MockLedger::put(&account(1), &held);
    });
    notices("order margin", || {
        let mut held = MockLedger::account(&account(3)).unwrap();
        held.orders.clear();
        MockLedger::put(&account(3), &held);
    });
}

#[test]
fn drift_is_noticed_when_an_account_without_orders_stays_or_a_waiting_one_is_not_noted() {
    notices("without open orders cancelled stays", || {
        let mut held = MockLedger::account(&account(8)).unwrap();
        held.open = OpaqueOrders::truncate_from(AccountOrders::default().encode());
        MockLedger::put(&account(8), &held);
    });
    notices("more orders wait", || Waiting::<Test>::insert(BTC, 2));
}

#[test]
fn drift_is_noticed_when_slots_and_orders_part() {
    notices("slot is not there", || change_slots(|s| s[0].sequence = 77));
    notices("disagree", || change_slots(|s| s[0].lots += 1));
    notices("disagree", || change_slots(|s| s[1].expires = 7));
    notices("page is not there", || Pages::<Test>::remove(page()));
    notices("equally many", || {
        let mut twin = Pages::<Test>::get(page()).unwrap()[0].clone();
        twin.sequence = 99;
        change_slots(|s| s.try_push(twin).unwrap());
        Directories::<Test>::mutate((BTC, Side::Bid), |d| d.groups[0].pages[0] = 3);
    });
}

#[test]
fn drift_is_noticed_when_a_directory_miscounts() {
    let change = |change: fn(&mut Directory)| Directories::<Test>::mutate((BTC, Side::Bid), change);
    notices("miscounts", || change(|d| d.groups[0].pages[0] = 1));
    notices("in no directory", || {
        Directories::<Test>::remove((BTC, Side::Bid))
    });
    notices("not there", || {
        change(|d| d.groups[0].pages.try_push(4).unwrap())
    });
    notices("dead pages", || change(|d| d.groups[0].pages.clear()));
    notices("twice", || {
        change(|d| d.evicted.try_push(d.groups[0].clone()).unwrap())
    });
}

#[test]
fn drift_is_noticed_when_the_intake_loses_an_order() {
    notices("in the intake", || Intake::<Test>::remove(BTC));
    notices("noted twice", || {
        let again = Note::New {
            account: account(3),
            sequence: 0,
        };
        Intake::<Test>::append(BTC, vec![again]);
    });
}

#[test]
fn drift_is_noticed_when_a_book_crosses() {
    notices("crossed", || {
        let ticks = MARK - 11;
        let order = open(2)[0];
        let old = (BTC, Side::Ask, book::group_of(order.ticks), 0);
        let mut slots = Pages::<Test>::take(old).unwrap();
        slots[0].ticks = ticks;
        Pages::<Test>::insert((BTC, Side::Ask, book::group_of(ticks), 0), slots);
        Directories::<Test>::mutate((BTC, Side::Ask), |d| d.groups[0].id = book::group_of(ticks));
        Pallet::<Test>::change_orders(&account(2), |o| o.open[0].ticks = ticks);
    });
}

#[test]
fn drift_is_noticed_when_an_expiry_is_lost() {
    notices("expiry index", || Expiries::<Test>::remove((50, 0)));
    notices("expiry index", || ExpiryCounts::<Test>::remove(50));
}

#[test]
fn drift_is_noticed_when_triggers_and_their_index_part() {
    let with = |what: &str, spoil: fn()| {
        notices(what, || {
            let stop = |id, expires| NewTrigger {
                expires,
                ..trigger(limit(id, Side::Ask, 10, MARK), Direction::Down, MARK - 10)
            };
            arm(4, stop(1, None)).unwrap();
            arm(4, stop(2, Some(9))).unwrap();
            Pallet::<Test>::do_try_state().unwrap();
            spoil();
        });
    };
    with("not in the index", || {
        Armed::<Test>::remove(Armed::<Test>::iter_keys().next().unwrap());
    });
    with("left behind by triggers or TWAPs are miscounted", || {
        let mut held = MockLedger::account(&account(4)).unwrap();
        held.triggers.remove(0);
        MockLedger::put(&account(4), &held);
    });
    with("left behind by triggers or TWAPs are miscounted", || {
        Unowned::<Test>::put(1)
    });
    with("expiry is not known", || {
        let _ = TriggerExpiries::<Test>::clear(1, None);
    });
    with("expiry is known of no trigger", || {
        let key = Armed::<Test>::iter_keys().next().unwrap();
        TriggerExpiries::<Test>::insert(([0; 4], account(5), 0), key);
    });
    with("not sorted by sequence", || {
        let mut held = MockLedger::account(&account(4)).unwrap();
        held.triggers.as_mut().swap(0, 1);
        MockLedger::put(&account(4), &held);
    });
    with("order of their blocks", || {
        let reach = |block| Reach {
            block,
            market: BTC,
            direction: Direction::Up,
            rank: 0,
        };
        Reaches::<Test>::put(frame_support::BoundedVec::truncate_from(vec![
            reach(2),
            reach(1),
        ]));
    });
}

#[test]
fn drift_is_noticed_when_arrangements_and_what_they_are_about_part() {
    let with = |what: &str, spoil: fn()| {
        notices(what, || {
            let order = |id| limit(id, Side::Ask, 30, MARK + 10);
            let stop = |id| NewTrigger {
                expires: Some(9),
                ..trigger(limit(id, Side::Ask, 10, MARK), Direction::Down, MARK - 10)
            };
            let twap = NewTwap {
                order: NewOrder {
                    time_in_force: TimeInForce::ImmediateOrCancel,
                    ..order(4)
                },
                slices: 3,
                interval: 5,
            };
            operate(4, iceberg(order(1), 10)).unwrap();
            pair(4, Leg::Order(order(2)), stop(3)).unwrap();
            schedule(4, twap).unwrap();
            let post_only = NewOrder {
                time_in_force: TimeInForce::PostOnly,
                ..limit(5, Side::Bid, 10, MARK)
            };
            let pegged = NewPegged {
                order: post_only,
                anchor: Anchor::Mark,
                offset: -10,
            };
            operate(4, Operation::PlacePegged(pegged)).unwrap();
            Pallet::<Test>::do_try_state().unwrap();
            spoil();
        });
    };
    fn change(change: impl Fn(&mut Arrangement)) {
        Pallet::<Test>::change_orders(&account(4), |orders| {
            orders.arrangements.iter_mut().for_each(&change);
        });
    }
    fn add(arrangement: Arrangement) {
        Pallet::<Test>::change_orders(&account(4), |orders| {
            orders.arrangements.try_push(arrangement).unwrap();
        });
    }
    with("order margin", || {
        change(|a| {
            if let Arrangement::Hidden { lots, .. } = a {
                *lots += 1;
            }
        });
    });
    with("order margin", || {
        change(|a| {
            if let Arrangement::Hidden { reserve, .. } = a {
                *reserve += 1;
            }
        });
    });
    with("hides nothing", || {
        change(|a| {
            if let Arrangement::Hidden { display, .. } = a {
                *display = 0;
            }
        });
    });
    with("belong to no order", || {
        add(Arrangement::Hidden {
            sequence: 77,
            display: 1,
            lots: 1,
            reserve: 0,
        });
    });
    with("one of a pair is not there", || {
        add(Arrangement::Pair(0, 1))
    });
    with("one of a pair is not there", || {
        add(Arrangement::Pair(77, 2));
    });
    with("in two pairs", || add(Arrangement::Pair(0, 2)));
    with("not in the index", || {
        change(|a| {
            if let Arrangement::Twap(twap) = a {
                twap.due += 1;
            }
        });
    });
    with("left behind by triggers or TWAPs are miscounted", || {
        Pallet::<Test>::change_orders(&account(4), |orders| orders.end(3));
    });
    with("pegged order is not in the index", || {
        change(|a| {
            if let Arrangement::Peg(peg) = a {
                peg.due += 1;
            }
        });
    });
    with("beyond its worst limit", || {
        change(|a| {
            if let Arrangement::Peg(peg) = a {
                peg.worst = MARK - 11;
            }
        });
    });
}
