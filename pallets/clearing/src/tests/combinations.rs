//! Combinations: marked by their legs, novated leg by leg and checked once, and gone before the first of their legs is.

use crate::{mock::*, Event, Phase, States, View};
use novate_risk::{fee, Legs};
use novate_types::{
    math, Cash, CombinationLegs, Fill, InstrumentKind, Ledger, Listing, Lots, MarketId,
    MarketStatus, MarketView, Millis, OptionRight, Pot, RestedQuotes, Side, SignedLots, Ticks,
};
use proptest::prelude::*;

/// Another market on the price of [`BTC`].
const NEXT: MarketId = 3;
const FAR: MarketId = 4;
const SPREAD: MarketId = 10;
const REVERSED: MarketId = 11;

fn list(market: MarketId, kind: InstrumentKind) {
    let listed = novate_types::Instrument {
        kind,
        ..instrument("BTC-X", BTC_FEED)
    };
    Instruments::insert(market, listed);
    Instruments::mutate(market, |i| i.as_mut().unwrap().params.interest_8h_ppm = 0);
}

fn combine(market: MarketId, legs: &[(MarketId, i8)], expiry: Option<Millis>) {
    let legs = CombinationLegs::new(legs).unwrap();
    list(market, InstrumentKind::Combination { legs, expiry });
}

/// [`NEXT`] trades some 30 USD above [`BTC`], and both open; no funding, so that numbers stay round.
fn list_legs() {
    list(BTC, InstrumentKind::Perpetual);
    list(NEXT, InstrumentKind::Perpetual);
    let quotes = RestedQuotes {
        bid: Some(ticks(20_100)),
        ask: Some(ticks(20_100)),
        ..Default::default()
    };
    Quotes::insert(NEXT, quotes);
    run(60);
}

/// And a calendar: it opens once they have.
fn list_spread() {
    list_legs();
    combine(SPREAD, &[(NEXT, 1), (BTC, -1)], None);
    run(8);
    System::reset_events();
    steps();
}

fn market(id: MarketId) -> MarketView {
    View::<Test>::get().market(id).unwrap().clone()
}

fn marked(id: MarketId) -> Ticks {
    let market = market(id);
    math::ticks_nearest(market.mark, market.tick_size).unwrap()
}

fn held(owner: AccountId, market: MarketId) -> SignedLots {
    Accounts::get(of(owner)).unwrap().lots(market)
}

fn phase(market: MarketId) -> Phase {
    let states = States::<Test>::get();
    states.iter().find(|s| s.id == market).unwrap().phase
}

fn rich(owners: &[AccountId]) {
    owners.iter().for_each(|owner| deposit(*owner, 1_000_000));
}

fn trades(market: MarketId) -> Vec<Fill<AccountId>> {
    let found = events().into_iter().filter_map(|event| match event {
        Event::Cleared {
            market: of, fills, ..
        } if of == market => Some(fills.into_inner()),
        _ => None,
    });
    found.flatten().collect()
}

fn leg_trades(leg: MarketId) -> Vec<(AccountId, Side, Ticks, Lots, Cash)> {
    let found = events().into_iter().filter_map(|event| match event {
        Event::LegCleared {
            combination: SPREAD,
            market,
            fills,
        } if market == leg => Some(fills.into_inner()),
        _ => None,
    });
    found
        .flatten()
        .map(|f| (f.account.owner, f.side, f.ticks, f.lots, f.fee))
        .collect()
}

fn is_refused() -> bool {
    let failed = |event: &Event<Test>| matches!(event, Event::CheckFailed { market: SPREAD, .. });
    events().iter().any(failed)
}

#[test]
fn a_combination_is_marked_by_its_legs_and_opens_after_them() {
    new_test_ext().execute_with(|| {
        list(BTC, InstrumentKind::Perpetual);
        list(NEXT, InstrumentKind::Perpetual);
        combine(SPREAD, &[(NEXT, 2), (BTC, -1)], None);
        combine(REVERSED, &[(NEXT, 1), (BTC, -2)], None);
        run(1);
        // One of the legs collects orders for its first auction.
        assert!(market(NEXT).is_in_auction());
        assert_eq!(market(SPREAD).status, MarketStatus::Halted);
        run(4);
        assert!(!market(NEXT).is_in_auction() && market(SPREAD).is_in_auction());
        run(4);
        let spread = market(SPREAD);
        assert_eq!(
            (phase(SPREAD), spread.status),
            (Phase::Running, MarketStatus::Open)
        );
        assert_eq!((spread.mark, spread.index), (usd(20_000), usd(60_000)));
        // 5 % of 60,000 on 20,000, of margin and of the band alike.
        assert_eq!((spread.imf, spread.price_band), (50_000, 150_000));
        assert!(spread.fresh);
        // The opposite one would be worth less than nothing: it does not trade.
        assert_eq!(
            (phase(REVERSED), market(REVERSED).mark),
            (Phase::Closed, Default::default())
        );
        assert_eq!(market(REVERSED).status, MarketStatus::Halted);
    });
}

#[test]
fn a_combination_admits_what_all_its_legs_admit() {
    new_test_ext().execute_with(|| {
        list(NEXT, InstrumentKind::Perpetual);
        run(6);
        // Worth a perpetual: while only reductions are taken a leg's mark is its index.
        combine(SPREAD, &[(NEXT, 2), (BTC, -1)], None);
        run(8);
        let restrict = |status| {
            Instruments::mutate(NEXT, |i| i.as_mut().unwrap().status = status);
            run(1);
            market(SPREAD).status
        };
        assert_eq!(restrict(MarketStatus::Open), MarketStatus::Open);
        assert_eq!(restrict(MarketStatus::ReduceOnly), MarketStatus::ReduceOnly);
        assert_eq!(phase(SPREAD), Phase::Running);
        assert_eq!(restrict(MarketStatus::Halted), MarketStatus::Halted);
        // The leg opens by an auction, and the combination by one of its own after that.
        assert_eq!(restrict(MarketStatus::Open), MarketStatus::Halted);
        run(2);
        assert!(market(NEXT).is_in_auction() && phase(SPREAD) == Phase::Closed);
        run(10);
        assert_eq!(
            (phase(SPREAD), market(SPREAD).status),
            (Phase::Running, MarketStatus::Open)
        );
    });
}

#[test]
fn fills_are_novated_leg_by_leg_when_a_combination_trades() {
    new_test_ext().execute_with(|| {
        list_spread();
        rich(&[ALICE, BOB]);
        let price = marked(SPREAD) + 5;
        place_in(SPREAD, BOB, Side::Ask, price, 10);
        run(1);
        place_in(SPREAD, ALICE, Side::Bid, price, 4);
        run(1);
        let both = |owner| (held(owner, NEXT), held(owner, BTC), held(owner, SPREAD));
        assert_eq!((both(ALICE), both(BOB)), ((4, -4, 0), (-4, 4, 0)));
        // One leg at its mark, the dearer takes the rest.
        let (near, far) = (ticks(20_000), ticks(20_000) + price);
        assert_eq!(
            leg_trades(BTC),
            [(ALICE, Side::Ask, near, 4, 0), (BOB, Side::Bid, near, 4, 0)]
        );
        assert_eq!(
            leg_trades(NEXT),
            [(ALICE, Side::Bid, far, 4, 0), (BOB, Side::Ask, far, 4, 0)]
        );
        // Fees are of the dearer leg: 500 and 200 ppm of it.
        let value = 4 * Cash::from(far) * 500;
        let fees: Vec<_> = trades(SPREAD).iter().map(|f| (f.ticks, f.fee)).collect();
        let (taker, maker) = (value / 2_000, fee(value, 200).unwrap());
        assert_eq!(fees, [(price, taker), (price, maker)]);
        assert_eq!(MockLedger::pot(Pot::Fees), taker + maker);
        assert_eq!(cash_of(ALICE), cash(1_000_000) - value / 2_000);
        let alice = Accounts::get(of(ALICE)).unwrap();
        let cost: Cash = alice.positions.iter().map(|p| p.cost).sum();
        assert_eq!(cost, 4 * Cash::from(price) * 500);
        // A trade in the combination is none of a leg's price, and its margin is released.
        let states = States::<Test>::get();
        let last = |id: MarketId| {
            states
                .iter()
                .find(|s| s.id == id)
                .unwrap()
                .last
                .map(|l| l.ticks)
        };
        assert_eq!(
            (last(NEXT), last(BTC), last(SPREAD)),
            (None, None, Some(price))
        );
        assert_eq!(alice.order_aggregate(SPREAD), None);
        assert_eq!(MockLedger::open_interest(NEXT), 4);
    });
}

#[test]
fn margin_is_checked_once_when_a_position_rolls_into_another_leg() {
    new_test_ext().execute_with(|| {
        list_spread();
        rich(&[BOB, CHARLIE]);
        // A thousand lots need 1,000 USD of the 1,030 there are; both legs at once would need twice as much.
        deposit(ALICE, 1_030);
        open(ALICE, CHARLIE, 1_000, ticks(20_000));
        let price = marked(SPREAD) + 1;
        place_in(SPREAD, BOB, Side::Ask, price, 1_000);
        run(1);
        place_in(SPREAD, ALICE, Side::Bid, price, 1_000);
        run(1);
        assert_eq!((held(ALICE, BTC), held(ALICE, NEXT)), (0, 1_000));
        assert!(assess(ALICE).covers_initial() && !is_refused());
    });
}

#[test]
fn no_leg_is_traded_when_the_account_does_not_cover_all_of_them() {
    new_test_ext().execute_with(|| {
        list_spread();
        rich(&[BOB, CHARLIE]);
        deposit(ALICE, 2_200);
        open(ALICE, CHARLIE, 1_000, ticks(20_000));
        let price = marked(SPREAD) - 1;
        place_in(SPREAD, BOB, Side::Bid, price, 1_000);
        run(1);
        let before = Accounts::get(of(ALICE)).unwrap();
        // Each leg by itself needs 1,000 USD, and there would be three; a thousand lots that two of them have across take little off that.
        place_in(SPREAD, ALICE, Side::Ask, price, 1_000);
        place_in(SPREAD, CHARLIE, Side::Ask, price, 300);
        run(1);
        assert!(is_refused());
        let alice = Accounts::get(of(ALICE)).unwrap();
        assert!(alice.positions == before.positions && alice.orders.is_empty());
        assert_eq!(alice.cash, before.cash);
        assert_eq!((held(CHARLIE, NEXT), held(CHARLIE, BTC)), (-300, -700));
        assert_eq!(held(BOB, NEXT), 300);
    });
}

#[test]
fn legs_across_from_each_other_need_less_than_each_by_itself() {
    new_test_ext().execute_with(|| {
        list_spread();
        rich(&[BOB]);
        deposit(ALICE, 1_200);
        let price = marked(SPREAD) + 1;
        place_in(SPREAD, BOB, Side::Ask, price, 1_000);
        run(1);
        // Each leg by itself needs 1,000 USD.
        place_in(SPREAD, ALICE, Side::Bid, price, 1_000);
        run(1);
        assert_eq!((held(ALICE, NEXT), held(ALICE, BTC)), (1_000, -1_000));
        let assessed = assess(ALICE);
        assert!(!is_refused() && assessed.covers_initial());
        assert!(assessed.initial < cash(1_000) && assessed.scanned == 0b11);
    });
}

#[test]
fn the_last_round_admits_who_covers_all_legs_of_all_orders() {
    new_test_ext().execute_with(|| {
        list_spread();
        rich(&[BOB, CHARLIE]);
        for owner in [ALICE, DAVE, 5] {
            deposit(owner, 100);
        }
        let price = marked(SPREAD) + 1;
        place_in(SPREAD, BOB, Side::Ask, price, 1_000);
        for (owner, more) in [(ALICE, 3), (DAVE, 2), (5, 1)] {
            place_in(SPREAD, owner, Side::Bid, price + more, 1_000);
        }
        place_in(SPREAD, CHARLIE, Side::Bid, price, 600);
        run(1);
        assert!(is_refused());
        assert_eq!((held(CHARLIE, NEXT), held(BOB, BTC)), (600, 600));
        for owner in [ALICE, DAVE, 5] {
            assert!(Accounts::get(of(owner)).unwrap().positions.is_empty());
        }
    });
}

#[test]
fn nothing_executes_when_a_leg_would_exceed_its_cap() {
    for (leg, cap, trades) in [(NEXT, 7, false), (BTC, 7, false), (BTC, 8, true)] {
        new_test_ext().execute_with(|| {
            list_spread();
            rich(&[ALICE, BOB]);
            Instruments::mutate(leg, |i| i.as_mut().unwrap().params.open_interest_cap = cap);
            run(1);
            let price = marked(SPREAD);
            place_in(SPREAD, BOB, Side::Ask, price, 8);
            place_in(SPREAD, ALICE, Side::Bid, price, 8);
            run(1);
            let expected = if trades { 8 } else { 0 };
            assert_eq!((held(ALICE, NEXT), held(BOB, BTC)), (expected, expected));
            assert_eq!(is_refused(), !trades);
        });
    }
}

#[test]
fn an_auction_executes_what_the_scarcest_leg_has_room_for() {
    new_test_ext().execute_with(|| {
        list_legs();
        combine(SPREAD, &[(NEXT, 1), (BTC, -1)], None);
        Instruments::mutate(BTC, |i| i.as_mut().unwrap().params.open_interest_cap = 5);
        rich(&[ALICE, BOB]);
        run(2);
        assert!(market(SPREAD).is_in_auction());
        let price = marked(SPREAD);
        place_in(SPREAD, BOB, Side::Ask, price - 2, 8);
        place_in(SPREAD, ALICE, Side::Bid, price + 2, 8);
        run(6);
        assert_eq!((held(ALICE, NEXT), held(ALICE, BTC)), (5, -5));
        assert_eq!(MockLedger::open_interest(BTC), 5);
    });
}

/// Calls at 20,000 and 22,000, a month away, and what buys the one and sells the other.
fn list_call_spread() {
    list(BTC, InstrumentKind::Perpetual);
    Volatility::put((600_000, true));
    for (id, strike) in [(NEXT, 20_000), (FAR, 22_000)] {
        let kind = InstrumentKind::Option {
            expiry: START + 30 * 86_400_000,
            strike: ticks(strike),
            right: OptionRight::Call,
        };
        list(id, kind);
    }
    run(6);
    combine(
        SPREAD,
        &[(NEXT, 1), (FAR, -1)],
        Some(START + 30 * 86_400_000),
    );
    run(8);
    System::reset_events();
}

#[test]
fn a_premium_is_asked_for_once_when_a_combination_sells_an_option_too() {
    for (units, trades) in [(800, true), (700, false)] {
        new_test_ext().execute_with(|| {
            list_call_spread();
            rich(&[BOB, CHARLIE]);
            // Margin is not what she lacks: a perpetual has earned 5,000 USD.
            deposit(ALICE, units);
            open(ALICE, CHARLIE, 1_000, ticks(15_000));
            let (near, price) = (marked(NEXT), marked(SPREAD));
            let value = |ticks: Ticks| 1_000 * Cash::from(ticks) * 500;
            assert!(value(near) > cash(1_000) && (cash(700)..cash(790)).contains(&value(price)));
            place_in(SPREAD, BOB, Side::Ask, price, 1_000);
            run(1);
            place_in(SPREAD, ALICE, Side::Bid, price, 1_000);
            run(1);
            let expected = if trades { 1_000 } else { 0 };
            assert_eq!((held(ALICE, NEXT), held(BOB, FAR)), (expected, expected));
            assert_eq!(is_refused(), !trades);
            if trades {
                let charged = trades_of_first_leg();
                assert_eq!(cash_of(ALICE), cash(units) - value(price) - charged / 2_000);
            }
        });
    }
}

/// What the first leg of the spread traded at, in quantums, one side of it.
fn trades_of_first_leg() -> Cash {
    let (_, _, ticks, lots, _) = leg_trades(NEXT)[0];
    Cash::from(ticks) * Cash::from(lots) * 500
}

#[test]
fn a_combination_ends_before_its_first_leg_is_removed() {
    new_test_ext().execute_with(|| {
        let expiry = START + 7_200_000;
        list(BTC, InstrumentKind::Perpetual);
        list(NEXT, InstrumentKind::Future { expiry });
        run(6);
        combine(SPREAD, &[(NEXT, 2), (BTC, -1)], Some(expiry));
        run(8);
        rich(&[ALICE, BOB]);
        let price = marked(SPREAD);
        place_in(SPREAD, BOB, Side::Ask, price, 10);
        place_in(SPREAD, ALICE, Side::Bid, price, 4);
        run(1);
        assert_eq!((held(ALICE, NEXT), held(ALICE, BTC)), (8, -4));
        while Now::get().unwrap() < expiry {
            next_block();
            Now::put((Now::get().unwrap() + 19_000).min(expiry));
            refresh();
            close();
        }
        assert_eq!(market(SPREAD).status, MarketStatus::Halted);
        // It has an order yet, and the future its holders. Once these are booked the leg stays for the combination's sake.
        run(4);
        assert!(market(NEXT).contract.settled);
        for owner in [ALICE, BOB] {
            MockLedger::settle_expired(&of(owner), &View::<Test>::get()).unwrap();
        }
        run(3);
        assert!(MockListing::market(SPREAD).is_some() && MockListing::market(NEXT).is_some());
        Book::remove(SPREAD);
        // In the mock nothing else releases what it held.
        Accounts::mutate(of(BOB), |a| a.as_mut().unwrap().orders.clear());
        run(1);
        assert!(MockListing::market(SPREAD).is_none() && MockListing::market(NEXT).is_some());
        run(1);
        assert!(MockListing::market(NEXT).is_none());
        assert_eq!(held(ALICE, BTC), -4);
        let settled = events().into_iter().filter_map(|event| match event {
            Event::Settled { market, .. } => Some(market),
            _ => None,
        });
        assert_eq!(settled.collect::<Vec<_>>(), [NEXT]);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whatever_trades_is_conserved_and_leaves_nobody_uncovered(
        orders in prop::collection::vec((0usize..4, any::<bool>(), -40i64..40, 1u64..400, any::<bool>()), 1..40),
        price in 19_000u128..21_000,
    ) {
        new_test_ext().execute_with(|| {
            list_spread();
            let owners = [ALICE, BOB, CHARLIE, DAVE];
            for (owner, units) in owners.into_iter().zip([300, 3_000, 30_000, 300_000]) {
                deposit(owner, units);
            }
            for (at, (owner, bid, offset, lots, closes)) in orders.into_iter().enumerate() {
                let id = [SPREAD, BTC, NEXT][at % 3];
                if market(id).mark == Default::default() {
                    continue;
                }
                let ticks = marked(id).saturating_add_signed(offset).max(1);
                let side = if bid { Side::Bid } else { Side::Ask };
                place_in(id, owners[owner], side, ticks, lots);
                if at == 20 {
                    set_price(BTC_FEED, usd(price));
                }
                if closes {
                    // Asserts that lots, cash and pots sum up.
                    run(1);
                }
            }
            run(1);
            for owner in owners {
                let account = Accounts::get(of(owner)).unwrap();
                assert!(account.positions.iter().all(|p| p.market != SPREAD));
            }
            // Every fill of a combination is in its legs, and nothing else is.
            for fill in trades(SPREAD) {
                assert!(fill.ticks > 0);
            }
            let view = View::<Test>::get();
            let legs = Legs::of(view.market(SPREAD).unwrap(), &view).unwrap();
            assert_eq!(legs.markets(), [NEXT, BTC]);
        });
    }
}
