//! When a market goes through a call auction, what a close does with it, and when it has ended.

use crate::{mock::*, CallReason, Event, Phase, States};
use novate_types::{BlockNumber, MarketStatus, Price, Side, Ticks};

/// An outage of so many seconds, the price as it was; then a close at `price`.
fn outage(seconds: u64, price: Price) {
    next_block();
    Now::mutate(|now| *now = now.map(|now| now + seconds * 1_000 - 1_000));
    close();
    System::reset_events();
    steps();
    next_block();
    set_price(BTC_FEED, price);
    close();
}

fn halted_and_back(price: Price) {
    outage(61, price);
}

fn phase() -> Phase {
    States::<Test>::get()[0].phase
}

fn calls() -> Vec<(CallReason, BlockNumber, Price)> {
    let of = |event| match event {
        Event::AuctionCalled {
            market: BTC,
            reason,
            at,
            reference,
        } => Some((reason, at, reference)),
        _ => None,
    };
    events().into_iter().filter_map(of).collect()
}

fn uncrossed() -> Vec<(Option<Ticks>, u64, bool)> {
    let of = |event| match event {
        Event::Uncrossed {
            market: BTC,
            price,
            volume,
            done,
        } => Some((price, volume, done)),
        _ => None,
    };
    events().into_iter().filter_map(of).collect()
}

fn fill_prices() -> Vec<Ticks> {
    let of = |event| match event {
        Event::Cleared { fills, .. } => fills.into_inner(),
        _ => Vec::new(),
    };
    events().into_iter().flat_map(of).map(|f| f.ticks).collect()
}

fn traders() {
    for owner in [ALICE, BOB, CHARLIE, DAVE] {
        deposit(owner, 100_000);
    }
}

/// Alice and Charlie bid above the index, Bob and Dave ask below it.
fn cross(index: u64) {
    place(ALICE, Side::Bid, ticks(index) + 20, 10);
    place(BOB, Side::Ask, ticks(index) - 20, 10);
    place(CHARLIE, Side::Bid, ticks(index) + 10, 5);
    place(DAVE, Side::Ask, ticks(index) - 10, 5);
}

#[test]
fn a_listed_market_begins_with_an_auction() {
    let mut ext = new_test_ext();
    ext.execute_with(|| {
        Instruments::insert(ETH, instrument("ETH-PERP", ETH_FEED));
        set_price(ETH_FEED, usd(1_500));
        steps();
        let mut did = Vec::new();
        for _ in 0..5 {
            run(1);
            let here = steps().into_iter().find(|(_, market)| *market == ETH);
            did.extend(here.map(|(step, _)| step));
        }
        assert_eq!(did, ["collect", "collect", "collect", "uncross", "match"]);
        let market = crate::View::<Test>::get().market(ETH).unwrap().clone();
        assert!(market.fresh && !market.is_in_auction());
    });
}

#[test]
fn an_outage_leads_to_an_auction_only_when_it_halted_the_market() {
    for (seconds, auctions, during) in [
        (5, 0, MarketStatus::Open),
        (6, 0, MarketStatus::Open),
        (7, 0, MarketStatus::Open),
        (15, 0, MarketStatus::Open),
        (16, 0, MarketStatus::ReduceOnly),
        (60, 0, MarketStatus::ReduceOnly),
        (61, 1, MarketStatus::Halted),
        (3_600, 1, MarketStatus::Halted),
    ] {
        new_test_ext().execute_with(|| {
            next_block();
            Now::mutate(|now| *now = now.map(|now| now + seconds * 1_000 - 1_000));
            close();
            assert_eq!(market_view().status, during, "{seconds} s");
            assert_eq!(market_view().fresh, seconds <= 6);
            System::reset_events();
            run(1);
            assert_eq!(calls().len(), auctions, "{seconds} s");
            // What did not halt is liquidated again at once.
            assert_eq!(market_view().fresh, auctions == 0);
            assert_eq!(market_view().status, MarketStatus::Open);
        });
    }
}

#[test]
fn a_reopening_trades_at_one_price_and_only_then_is_anybody_liquidated() {
    new_test_ext().execute_with(|| {
        traders();
        halted_and_back(usd(19_000));
        let at = System::block_number() + 3;
        assert_eq!(calls(), [(CallReason::Opening, at, usd(19_000))]);
        assert_eq!(market_view().auction_at, at);
        assert!(market_view().is_in_auction());
        cross(19_000);
        for _ in 0..2 {
            run(1);
            assert!(!market_view().fresh && uncrossed().is_empty());
        }
        let indicative = crate::Pallet::<Test>::indicative(BTC).unwrap();
        assert_eq!(
            (indicative.price, indicative.volume),
            (Some(ticks(19_000)), 15)
        );
        assert_eq!(lots_of(ALICE), 0, "nothing executes by being looked at");
        run(1);
        assert_eq!(uncrossed(), [(Some(ticks(19_000)), 15, true)]);
        assert_eq!(fill_prices(), [ticks(19_000); 4]);
        assert_eq!((lots_of(ALICE), lots_of(DAVE)), (10, -5));
        // The next intake finds a market that trades; its price is trusted at the next close.
        assert!(!market_view().is_in_auction() && !market_view().fresh);
        assert_eq!(phase(), Phase::Running);
        assert_eq!(crate::Pallet::<Test>::indicative(BTC), None);
        run(1);
        assert!(market_view().fresh);
    });
}

#[test]
fn an_auction_goes_on_at_its_price_when_not_all_fits_a_close() {
    new_test_ext().execute_with(|| {
        traders();
        halted_and_back(usd(19_000));
        cross(19_000);
        AuctionFits::set(1);
        run(3);
        assert_eq!(uncrossed(), [(Some(ticks(19_000)), 10, false)]);
        let market = market_view();
        assert!(market.is_uncrossing(System::block_number() + 1));
        assert!(!market.fresh);
        // Wherever the index goes while 19,000 is within the mark's band.
        System::reset_events();
        next_block();
        refresh();
        set_price(BTC_FEED, usd(18_200));
        close();
        assert_eq!(uncrossed(), [(Some(ticks(19_000)), 5, true)]);
        assert_eq!(fill_prices(), [ticks(19_000); 2]);
        assert!(calls().is_empty());
        assert_eq!((lots_of(CHARLIE), lots_of(BOB)), (5, -10));
        assert_eq!(phase(), Phase::Running);
        run(1);
        assert!(market_view().fresh);
    });
}

#[test]
fn a_price_is_found_anew_when_the_band_has_left_it() {
    new_test_ext().execute_with(|| {
        traders();
        halted_and_back(usd(19_000));
        for owner in [ALICE, CHARLIE] {
            place(owner, Side::Bid, ticks(20_000), 10);
        }
        for owner in [BOB, DAVE] {
            place(owner, Side::Ask, ticks(18_000), 10);
        }
        AuctionFits::set(1);
        run(2);
        next_block();
        refresh();
        set_price(BTC_FEED, usd(19_900));
        close();
        assert_eq!(uncrossed(), [(Some(ticks(19_900)), 10, false)]);
        // 5 % above is 19,845: within the band of 19,000, but 19,900 is not.
        System::reset_events();
        next_block();
        refresh();
        set_price(BTC_FEED, usd(18_900));
        close();
        assert_eq!(uncrossed(), [(Some(ticks(18_900)), 10, true)]);
        assert!(calls().is_empty());
    });
}

#[test]
fn liquidation_waits_for_a_long_auction_no_longer_than_for_its_call() {
    new_test_ext().execute_with(|| {
        traders();
        halted_and_back(usd(19_000));
        for _ in 0..8 {
            place(ALICE, Side::Bid, ticks(19_000) + 20, 1);
            place(BOB, Side::Ask, ticks(19_000) - 20, 1);
        }
        AuctionFits::set(1);
        run(3);
        assert_eq!(uncrossed().len(), 1);
        for _ in 0..3 {
            assert!(!market_view().fresh);
            run(1);
        }
        assert!(!market_view().fresh);
        run(1);
        assert!(market_view().fresh);
        assert!(matches!(phase(), Phase::Reopening { .. }));
        assert!(uncrossed().iter().all(|(.., done)| !done));
        run(3);
        assert_eq!(phase(), Phase::Running);
        assert_eq!(lots_of(ALICE), 8);
    });
}

#[test]
fn an_interrupted_market_finds_its_price_anew_when_it_went_stale() {
    new_test_ext().execute_with(|| {
        traders();
        place(ALICE, Side::Bid, ticks(15_000), 1);
        AtEdge::set(true);
        run(4);
        AtEdge::set(false);
        cross(20_000);
        AuctionFits::set(1);
        run(3);
        assert_eq!(uncrossed(), [(Some(ticks(20_000)), 10, false)]);
        System::reset_events();
        Now::mutate(|now| *now = now.map(|now| now + 6_000));
        next_block();
        close();
        assert!(!market_view().fresh && uncrossed().is_empty());
        assert!(!market_view().is_uncrossing(System::block_number() + 1));
        assert_eq!(States::<Test>::get()[0].auction.price, None);
        run(1);
        assert_eq!(uncrossed(), [(Some(ticks(20_000)), 5, true)]);
        assert_eq!(phase(), Phase::Running);
    });
}

#[test]
fn a_call_begins_again_when_the_mark_has_left_the_band_of_its_index() {
    new_test_ext().execute_with(|| {
        traders();
        halted_and_back(usd(20_000));
        cross(18_900);
        run(2);
        System::reset_events();
        // 5 % below is 19,000.
        next_block();
        set_price(BTC_FEED, usd(18_999));
        refresh();
        close();
        let at = System::block_number() + 3;
        assert_eq!(calls(), [(CallReason::Moved, at, usd(18_999))]);
        assert!(uncrossed().is_empty());
        assert_eq!(market_view().auction_at, at);
        run(2);
        next_block();
        set_price(BTC_FEED, usd(18_900));
        refresh();
        close();
        assert_eq!(uncrossed(), [(Some(ticks(18_900)), 15, true)]);
    });
}

#[test]
fn liquidation_waits_no_longer_when_a_call_begins_again_and_again() {
    new_test_ext().execute_with(|| {
        traders();
        halted_and_back(usd(20_000));
        cross(20_000);
        let first = System::block_number() + 3;
        System::reset_events();
        let mut price = 20_000;
        // Whenever a call is over the mark is 6 % below where it began, beyond the band of 5 %.
        for block in System::block_number() + 1..first + 30 {
            next_block();
            if market_view().auction_at == block {
                price = price * 94 / 100;
            }
            set_price(BTC_FEED, usd(price));
            refresh();
            close();
            assert_eq!(market_view().fresh, block > first + 3, "block {block}");
        }
        assert!(matches!(phase(), Phase::Reopening { .. }));
        assert!(uncrossed().is_empty());
        let calls = calls();
        assert_eq!(calls.len(), 10);
        assert!(calls.iter().all(|(why, ..)| *why == CallReason::Moved));
        // A halt is another matter: after it everything begins again.
        halted_and_back(usd(10_000));
        assert!(!market_view().fresh);
    });
}

#[test]
fn a_halt_during_a_call_makes_it_begin_again() {
    new_test_ext().execute_with(|| {
        traders();
        halted_and_back(usd(19_000));
        cross(19_000);
        Instruments::mutate(BTC, |i| i.as_mut().unwrap().status = MarketStatus::Halted);
        run(4);
        assert_eq!(market_view().auction_at, 0);
        assert!(uncrossed().is_empty());
        Instruments::mutate(BTC, |i| i.as_mut().unwrap().status = MarketStatus::Open);
        System::reset_events();
        run(1);
        let at = System::block_number() + 3;
        assert_eq!(calls(), [(CallReason::Opening, at, usd(19_000))]);
        run(3);
        assert_eq!(uncrossed(), [(Some(ticks(19_000)), 15, true)]);
    });
}

#[test]
fn who_fails_the_check_leaves_and_the_others_trade_at_one_price() {
    new_test_ext().execute_with(|| {
        traders();
        halted_and_back(usd(19_000));
        cross(19_000);
        // Bob can no longer bear what he asked for.
        Accounts::mutate(of(BOB), |account| {
            account.as_mut().unwrap().cash -= cash(99_999);
        });
        Custody::mutate(USDC, |held| *held = held.map(|held| held - 99_999_000_000));
        run(3);
        assert_eq!(uncrossed(), [(Some(ticks(19_000)), 5, true)]);
        assert_eq!((lots_of(BOB), lots_of(DAVE), lots_of(ALICE)), (0, -5, 5));
        let failed = events().into_iter().any(|event| {
            matches!(
                event,
                Event::CheckFailed {
                    market: BTC,
                    rounds: 2,
                    cancelled: 1,
                    ..
                }
            )
        });
        assert!(failed);
    });
}

#[test]
fn an_auction_fills_open_interest_up_to_its_cap_at_its_price() {
    new_test_ext().execute_with(|| {
        traders();
        halted_and_back(usd(19_000));
        cross(19_000);
        Instruments::mutate(BTC, |i| i.as_mut().unwrap().params.open_interest_cap = 12);
        run(3);
        assert_eq!(uncrossed(), [(Some(ticks(19_000)), 12, false)]);
        // Nothing is left below the cap: the rest leaves or waits as in any match at the cap.
        System::reset_events();
        run(1);
        assert_eq!(uncrossed(), [(None, 0, true)]);
        assert_eq!((lots_of(ALICE), lots_of(CHARLIE)), (10, 2));
    });
}

#[test]
fn a_market_is_interrupted_when_it_wants_to_trade_at_its_edge_for_as_long_as_governed() {
    new_test_ext().execute_with(|| {
        traders();
        place(ALICE, Side::Bid, ticks(15_000), 1);
        AtEdge::set(true);
        run(3);
        assert_eq!(phase(), Phase::Running);
        assert!(calls().is_empty());
        // One match that does not end there begins the count again.
        AtEdge::set(false);
        run(1);
        AtEdge::set(true);
        run(3);
        assert!(calls().is_empty());
        run(1);
        let at = System::block_number() + 3;
        assert_eq!(calls(), [(CallReason::Volatility, at, usd(20_000))]);
        assert_eq!(phase(), Phase::Interrupted { at });
        // Shown at once, and its price is trusted throughout: who falls below maintenance margin is liquidated without the market.
        assert_eq!(market_view().auction_at, at);
        cross(20_000);
        let before = market_view().funding_index;
        for _ in 0..3 {
            assert!(market_view().fresh && uncrossed().is_empty());
            run(1);
        }
        assert!(market_view().funding_index > before, "funding goes on");
        assert_eq!(uncrossed(), [(Some(ticks(20_000)), 15, true)]);
        assert_eq!(phase(), Phase::Running);
        assert!(market_view().fresh);
        // It takes as long until the next.
        run(3);
        assert_eq!(calls().len(), 1);
        run(1);
        assert_eq!(calls().len(), 2);
    });
}

#[test]
fn a_market_stays_at_its_edge_while_nothing_comes_in() {
    new_test_ext().execute_with(|| {
        traders();
        AtEdge::set(true);
        place(ALICE, Side::Bid, ticks(15_000), 1);
        run(1);
        let resting = Book::take(BTC).unwrap();
        run(8);
        assert!(calls().is_empty());
        Book::insert(BTC, resting);
        run(1);
        assert_eq!(calls().len(), 1);
    });
}

#[test]
fn an_interrupted_market_waits_for_a_fresh_price() {
    new_test_ext().execute_with(|| {
        traders();
        place(ALICE, Side::Bid, ticks(15_000), 1);
        AtEdge::set(true);
        run(4);
        assert!(matches!(phase(), Phase::Interrupted { .. }));
        Now::mutate(|now| *now = now.map(|now| now + 6_000));
        for _ in 0..9 {
            next_block();
            close();
        }
        assert!(!market_view().fresh && uncrossed().is_empty());
        assert_eq!(market_view().auction_at, System::block_number() + 1);
        run(1);
        assert_eq!(uncrossed().len(), 1);
    });
}

#[test]
fn view_and_phases_that_disagree_are_noticed() {
    new_test_ext().execute_with(|| {
        halted_and_back(usd(19_000));
        crate::Pallet::<Test>::do_try_state().unwrap();
        crate::View::<Test>::mutate(|view| view.market_mut(BTC).unwrap().auction_at += 1);
        assert!(crate::Pallet::<Test>::do_try_state().is_err());
    });
}
