use crate::{mock::*, Pending, Tiers};
use frame_support::assert_ok;
use novate_types::{InstrumentKind, Listing, MarketStatus::*, RiskTier};

#[test]
fn markets_are_sorted_when_many_are_listed() {
    run(|| {
        for n in 1..40 {
            assert_ok!(Instruments::list_market(
                RuntimeOrigin::root(),
                symbol(&format!("M-{n}")),
                InstrumentKind::Perpetual,
                0,
                tick(),
                lot(),
                params()
            ));
        }
        let ids: Vec<_> = Instruments::markets()
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        assert_eq!(ids, (0..40).collect::<Vec<_>>());
    });
}

#[test]
fn breaker_only_makes_a_market_stricter() {
    run(|| {
        let status = || Instruments::market(0).unwrap().status;
        <Instruments as Listing>::restrict(0, ReduceOnly);
        assert_eq!(status(), ReduceOnly);
        let before = events().len();
        for looser in [Open, ReduceOnly] {
            <Instruments as Listing>::restrict(0, looser);
            assert_eq!(status(), ReduceOnly);
        }
        <Instruments as Listing>::restrict(99, Halted);
        assert_eq!(events().len(), before);
        <Instruments as Listing>::restrict(0, Halted);
        assert_eq!(status(), Halted);
    });
}

#[test]
fn changes_are_carried_over_in_order_when_more_are_due_than_a_close_applies() {
    run(|| {
        let new = RiskTier {
            imf: 60_000,
            ..tier()
        };
        for id in [14, 12, 13, 11, 10] {
            Tiers::<Test>::insert(id, tier());
            assert_ok!(Instruments::schedule_tier_change(
                RuntimeOrigin::root(),
                id,
                new
            ));
        }
        let applied = || {
            (10..15)
                .filter(|id| Tiers::<Test>::get(id) == Some(new))
                .collect::<Vec<_>>()
        };
        close(11);
        assert_eq!(applied(), [12, 14]);
        close(12);
        assert_eq!(applied(), [11, 12, 13, 14]);
        close(13);
        assert_eq!(applied(), [10, 11, 12, 13, 14]);
        assert!(Pending::<Test>::get().is_empty());
    });
}

#[test]
fn nothing_happens_when_nothing_is_due() {
    run(|| {
        close(u32::MAX);
        assert!(events().is_empty());
    });
}

#[test]
fn a_market_is_gone_with_its_scheduled_change_when_the_close_removes_it() {
    run(|| {
        let new = novate_types::MarketParams {
            interest_8h_ppm: params().interest_8h_ppm + 1,
            ..params()
        };
        frame_support::assert_ok!(crate::Pallet::<Test>::schedule_market_params(
            RuntimeOrigin::root(),
            0,
            new
        ));
        <Instruments as Listing>::remove(0);
        assert_eq!(<Instruments as Listing>::market(0), None);
        assert!(crate::Pending::<Test>::get().is_empty());
        assert_eq!(last_event(), crate::Event::MarketDelisted { market: 0 });
        // Once is enough, and its number is not used again.
        frame_system::Pallet::<Test>::reset_events();
        <Instruments as Listing>::remove(0);
        assert!(frame_system::Pallet::<Test>::events().is_empty());
        assert_eq!(crate::NextMarket::<Test>::get(), 1);
    });
}
