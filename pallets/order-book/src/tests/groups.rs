//! Tick groups and the room in them.

use crate::{
    book::{group_of, group_range},
    mock::*,
    types::*,
    Directories, Evicting, Pages,
};
use novate_types::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn group_holds_its_prices_and_ascends_with_them(a: u64, shift in 0u32..64, step in 0u64..5_000) {
        let a = a >> shift;
        let b = a.saturating_add(step);
        let (low, high) = group_range(group_of(a));
        prop_assert!(low <= a && a <= high);
        prop_assert_eq!((group_of(low), group_of(high)), (group_of(a), group_of(a)));
        prop_assert!(group_of(a) <= group_of(b));
        prop_assert!(a < 2_048 || (high - low + 1) as u128 * 1_024 <= low as u128);
        if let Some(next) = high.checked_add(1) {
            prop_assert_eq!(group_of(next), group_of(a) + 1);
        }
    }
}

#[test]
fn farthest_group_stops_matching_when_the_side_has_too_many() {
    new_test_ext().execute_with(|| {
        MockView::change(BTC, |m| m.min_notional = 0);
        // One order in each of 512 groups from below, then one nearer and one farther than all.
        let mut ticks = (100..).step_by(1).take(MAX_GROUPS as usize);
        for owner in 100..104 {
            fund(&account(owner), 1_000_000);
            for _ in 0..2 {
                let batch = (0..64)
                    .filter_map(|_| ticks.next())
                    .map(|t| Operation::Place(limit(t, Side::Bid, 1, t)))
                    .collect();
                assert!(submit(owner, batch).iter().all(Result::is_ok));
            }
        }
        close();
        let groups = || Directories::<Test>::get((BTC, Side::Bid));
        assert_eq!(groups().groups.len(), MAX_GROUPS as usize);

        place(1, limit(1, Side::Bid, 1, 50)).unwrap();
        System::reset_events();
        close();
        assert_eq!(cancellations(), vec![(1, 1, CancelReason::BookFull)]);

        UpkeepPages::set(1);
        for (client, ticks) in [(2, 1_000), (3, 1_001), (4, 1_002)] {
            place(1, limit(client, Side::Bid, 1, ticks)).unwrap();
        }
        System::reset_events();
        close();
        assert_eq!(cancellations(), vec![(100, 1, CancelReason::BookFull)]);
        let directory = groups();
        assert_eq!(directory.groups.first().unwrap().id, 103);
        assert_eq!(directory.evicted.len(), 2);
        // Not to be joined until they are gone.
        place(2, limit(2, Side::Bid, 1, 101)).unwrap();
        System::reset_events();
        close();
        assert_eq!(cancellations().len(), 2);
        close();
        assert!(groups().evicted.is_empty());
        close();
        assert!(Evicting::<Test>::get().is_empty());
        UpkeepPages::set(2);
    });
}

#[test]
fn order_is_cancelled_when_its_group_is_full() {
    new_test_ext().execute_with(|| {
        let room = (PAGE_SLOTS * GROUP_PAGES) as usize;
        let owners = room as u64 / 128 + 1;
        for owner in 100..100 + owners {
            fund(&account(owner), 1_000_000);
            for first in [0, 64] {
                let batch = (first..first + 64)
                    .map(|n| Operation::Place(limit(n, Side::Bid, 1, MARK - 1)))
                    .collect();
                submit(owner, batch);
            }
        }
        System::reset_events();
        close();
        let full = cancellations();
        assert_eq!(full.len(), 128);
        assert!(full.iter().all(|c| c.2 == CancelReason::BookFull));
        assert_eq!(
            Pages::<Test>::iter().map(|(_, p)| p.len()).sum::<usize>(),
            room
        );
    });
}
