//! Contracts that expire: the mean, marks, premiums, settlement, the end of a market.

use crate::{
    expiry::{Settlement, GRACE_CLOSES, LEAST_COVERED, MOST_GRACE_CLOSES},
    mock::*,
    novation::pays_premiums,
    CallReason, Error, Event, Scenarios, Settlements, View,
};
use frame_support::{assert_noop, assert_ok};
use novate_risk::{
    portfolio::{AtOnce, Lesser, PortfolioParams},
    Linear, SETTLEMENT_MILLIS,
};
use novate_types::{
    math, Cash, FeedId, InstrumentKind, Ledger, Lots, MarginAccount, MarketId, MarketStatus,
    MarketView, Millis, OpenOrder, OptionRight, Pot, Price, RestedQuotes, RiskModel, RiskView,
    Side, SignedLots, Ticks, TimeInForce,
};
use proptest::prelude::*;
use sp_runtime::FixedPointNumber;

const FUTURE: MarketId = 7;
const CALL: MarketId = 8;
const PUT: MarketId = 9;
/// Two hours after the start, on a full half hour.
const EXPIRY: Millis = START + 7_200_000;
const MINUTE: Millis = 60_000;

fn list(market: MarketId, kind: InstrumentKind) {
    let instrument = novate_types::Instrument {
        kind,
        ..instrument("BTC-X", BTC_FEED)
    };
    Instruments::insert(market, instrument);
}

fn list_future() {
    list(FUTURE, InstrumentKind::Future { expiry: EXPIRY });
    run(6);
}

/// A call and a put at 20,000, with 60 % of volatility.
fn list_options() {
    Volatility::put((600_000, true));
    for (market, right) in [(CALL, OptionRight::Call), (PUT, OptionRight::Put)] {
        let kind = InstrumentKind::Option {
            expiry: EXPIRY,
            strike: ticks(20_000),
            right,
        };
        list(market, kind);
    }
    run(6);
}

/// A close so long after the last, at a fresh price.
fn after(millis: Millis) {
    System::set_block_number(System::block_number() + 1);
    Now::put(Now::get().unwrap() + millis);
    refresh();
    close();
}

/// Closes every 20 seconds until `then`, all at that price.
fn until(then: Millis, price: Price) {
    set_price(BTC_FEED, price);
    while Now::get().unwrap() < then {
        after((then - Now::get().unwrap()).min(20_000));
    }
}

/// The same until the expiry, and until positions are cash.
fn until_settled(price: Price) {
    until(EXPIRY, price);
    run(GRACE_CLOSES.into());
}

fn market(id: MarketId) -> MarketView {
    View::<Test>::get().market(id).unwrap().clone()
}

fn is_listed(id: MarketId) -> bool {
    View::<Test>::get().market(id).is_ok()
}

/// Opposite positions at a price, without fees.
fn trade(id: MarketId, long: AccountId, short: AccountId, lots: SignedLots, price: Ticks) {
    let market = market(id);
    for (owner, lots) in [(long, lots), (short, -lots)] {
        let mut account = Accounts::get(of(owner)).unwrap();
        let value = math::trade_value(lots, price, market.tick_value).unwrap();
        novate_risk::apply_trade(&mut account, &market, lots, value).unwrap();
        Accounts::insert(of(owner), account);
    }
}

fn held(owner: AccountId, market: MarketId) -> SignedLots {
    Accounts::get(of(owner)).unwrap().lots(market)
}

fn settled() -> Vec<(MarketId, Ticks, Ticks)> {
    let found = events().into_iter().filter_map(|event| match event {
        Event::Settled {
            market,
            price,
            worth,
        } => Some((market, price, worth)),
        _ => None,
    });
    found.collect()
}

#[test]
fn a_mean_counts_time_within_its_half_hour_and_no_more() {
    let mut mean = Settlement::of(BTC_FEED, EXPIRY);
    let begins = EXPIRY - SETTLEMENT_MILLIS;
    // Half of the span lies before it begins.
    mean.sample(usd(100), begins - 10_000, begins + 10_000)
        .unwrap();
    assert_eq!(
        (mean.covered, mean.weighted),
        (10_000, usd(100).into_inner() * 10_000)
    );
    assert_eq!(mean.conclude(EXPIRY), Ok(false));
    mean.sample(usd(200), EXPIRY - 905_000, EXPIRY - 5_000)
        .unwrap();
    // The last one ends with the expiry.
    mean.sample(usd(300), EXPIRY - 5_000, EXPIRY + 5_000)
        .unwrap();
    assert_eq!(mean.covered, 915_000);
    assert_eq!(mean.conclude(EXPIRY + 5_000), Ok(true));
    let sum = 100 * 10_000 + 200 * 900_000 + 300 * 5_000u128;
    let price = Price::from_inner(sum * Price::DIV / 915_000);
    assert_eq!(mean.price, Some(price));
    // It stands.
    assert_eq!(mean.conclude(EXPIRY + 6_000), Ok(false));
}

#[test]
fn a_mean_goes_on_after_expiry_while_too_little_is_covered() {
    let mut mean = Settlement::of(BTC_FEED, EXPIRY);
    mean.sample(usd(100), EXPIRY - LEAST_COVERED + 1_000, EXPIRY)
        .unwrap();
    assert_eq!(mean.conclude(EXPIRY), Ok(false));
    mean.sample(usd(100), EXPIRY, EXPIRY + 1_000).unwrap();
    assert_eq!(mean.conclude(EXPIRY + 1_000), Ok(true));
    assert_eq!(mean.price, Some(usd(100)));
}

#[test]
fn what_a_mean_comes_to_moves_less_the_more_of_it_has_happened() {
    let mut mean = Settlement::of(BTC_FEED, EXPIRY);
    let now = EXPIRY - SETTLEMENT_MILLIS / 4;
    mean.sample(usd(20_000), now - SETTLEMENT_MILLIS, now)
        .unwrap();
    let at = |price| mean.expected(usd(price), now).unwrap();
    assert_eq!(at(20_000).price, usd(20_000));
    assert_eq!(at(24_000).price, usd(21_000));
    assert_eq!(at(24_000).settled, usd(15_000));
    assert_eq!(at(24_000).left, SETTLEMENT_MILLIS / 4);
}

#[test]
fn a_block_that_is_late_settles_nothing_at_the_price_that_it_brings() {
    new_test_ext().execute_with(|| {
        list_future();
        until(EXPIRY - MINUTE, usd(20_000));
        set_price(BTC_FEED, usd(30_000));
        System::reset_events();
        after(MINUTE);
        run(GRACE_CLOSES.into());
        assert_eq!(settled(), vec![(FUTURE, ticks(20_000), ticks(20_000))]);
    });
}

#[test]
fn a_future_has_no_funding_and_converges_to_its_mean() {
    new_test_ext().execute_with(|| {
        list_future();
        // Its book stands 100 above the index for a while.
        let quotes = RestedQuotes {
            bid: Some(ticks(20_090)),
            ask: Some(ticks(20_110)),
            impact_bid: Some(usd(20_090)),
            impact_ask: Some(usd(20_110)),
        };
        Quotes::insert(FUTURE, quotes);
        until(START + 20 * MINUTE, usd(20_000));
        let future = market(FUTURE);
        assert!(future.mark > usd(20_080) && future.mark <= usd(20_110));
        assert_eq!((future.funding_index, future.short_funding_index), (0, 0));
        assert_eq!(future.index, usd(20_000));
        Quotes::remove(FUTURE);
        // Two thirds of the half hour at 20,000: a jump of 300 at the end of that moves it by a third.
        until(EXPIRY - 10 * MINUTE - 20_000, usd(20_000));
        until(EXPIRY - 10 * MINUTE, usd(20_300));
        let future = market(FUTURE);
        assert_eq!(future.index, usd(20_100));
        assert_eq!(future.status, MarketStatus::Open);
        // The perpetual follows all the way.
        assert_eq!(market(BTC).index, usd(20_300));
    });
}

#[test]
fn a_future_settles_at_its_mean_whoever_is_touched_first() {
    new_test_ext().execute_with(|| {
        list_future();
        for owner in [ALICE, BOB, CHARLIE] {
            deposit(owner, 10_000);
        }
        trade(FUTURE, ALICE, BOB, 1_000, ticks(20_100));
        trade(FUTURE, CHARLIE, BOB, 500, ticks(19_900));
        // A close in the moment in which the mean begins; the last one at the first price is that before half of the time has passed.
        until(EXPIRY - 30 * MINUTE, usd(20_000));
        until(EXPIRY - 15 * MINUTE - 20_000, usd(20_000));
        until(EXPIRY - 20_000, usd(20_201));
        System::reset_events();
        until_settled(usd(20_201));
        // Half of the time each: 20,100.5, which is a tick.
        let price = ticks(20_100) + 1;
        assert_eq!(settled(), vec![(FUTURE, price, price)]);
        let future = market(FUTURE);
        assert!(future.contract.settled && future.fresh);
        assert_eq!(future.status, MarketStatus::Halted);
        assert_eq!(
            future.mark,
            math::price_of(price, future.tick_size).unwrap()
        );
        // It is worth what it is worth, needs nothing, and may leave, booked or not.
        let assessed = assess(CHARLIE);
        assert_eq!(assessed.equity, cash(10_100) + 250_000);
        assert_eq!((assessed.maintenance, assessed.initial), (0, 0));
        assert_eq!(assessed.withdrawable, assessed.equity);
        assert_eq!(held(CHARLIE, FUTURE), 500);
        // More than the cash that is booked leaves.
        let all = u128::try_from(assessed.equity).unwrap();
        assert_ok!(Clearing::withdraw(
            RuntimeOrigin::signed(CHARLIE),
            0,
            USDC,
            all
        ));
        assert_noop!(
            Clearing::withdraw(RuntimeOrigin::signed(CHARLIE), 0, USDC, all + 1),
            Error::<Test>::InsufficientBalance
        );
        run(1);
        assert_eq!((held(CHARLIE, FUTURE), cash_of(CHARLIE)), (0, 0));
        assert_eq!(Wallets::get((CHARLIE, USDC)), Some(all));
        // The others are as they were; the market is still there, and its price stands.
        assert_eq!(held(BOB, FUTURE), -1_500);
        set_price(BTC_FEED, usd(25_000));
        run(1);
        assert_eq!(market(FUTURE).mark, future.mark);
        for owner in [BOB, ALICE] {
            assert!(is_listed(FUTURE));
            MockLedger::settle_expired(&of(owner), &View::<Test>::get()).unwrap();
        }
        assert_eq!(cash_of(ALICE), cash(10_000) + 500_000);
        assert_eq!(cash_of(BOB), cash(10_000) - 500_000 - cash(100) - 250_000);
        run(2);
        assert!(!is_listed(FUTURE) && !Settlements::<Test>::exists());
    });
}

#[test]
fn positions_stay_a_few_closes_when_a_price_stands_and_longer_while_deficits_are_uncovered() {
    new_test_ext().execute_with(|| {
        list_future();
        for owner in [ALICE, BOB] {
            deposit(owner, 10_000);
        }
        trade(FUTURE, ALICE, BOB, 1_000, ticks(20_000));
        until(EXPIRY, usd(20_000));
        let stands = || {
            let future = market(FUTURE);
            assert_eq!((future.mark, future.index), (usd(20_000), usd(20_000)));
            assert!(future.fresh && future.status == MarketStatus::Halted);
            assert!(!future.contract.settled && settled().is_empty());
        };
        stands();
        // No price moves it any more.
        set_price(BTC_FEED, usd(25_000));
        Paused::put(true);
        for _ in 0..10 {
            run(1);
            stands();
            assert!(assess(ALICE).maintenance > 0);
        }
        Paused::kill();
        run(1);
        assert!(market(FUTURE).contract.settled && !settled().is_empty());
        // For good.
        Paused::put(true);
        run(1);
        assert!(market(FUTURE).contract.settled);
    });
}

#[test]
fn positions_are_cash_after_so_many_closes_whatever_is_uncovered() {
    for (is_behind, closes) in [(false, GRACE_CLOSES), (true, MOST_GRACE_CLOSES)] {
        let mut mean = Settlement::of(BTC_FEED, EXPIRY);
        mean.wait(is_behind);
        assert_eq!((mean.closes, mean.standing()), (0, None));
        mean.price = Some(usd(1));
        for _ in 0..closes {
            mean.wait(is_behind);
            assert_eq!(mean.standing(), Some((usd(1), false)));
        }
        mean.wait(is_behind);
        assert_eq!(mean.standing(), Some((usd(1), true)));
    }
}

#[test]
fn an_expired_market_waits_for_prices_when_nobody_saw_its_half_hour() {
    new_test_ext().execute_with(|| {
        list_future();
        deposit(ALICE, 10_000);
        deposit(BOB, 10_000);
        trade(FUTURE, ALICE, BOB, 1_000, ticks(20_000));
        until(EXPIRY - 10 * MINUTE, usd(20_000));
        // The feed falls silent before the mean has half of its time.
        Settlements::<Test>::mutate(|all| {
            all[0] = Settlement {
                covered: 60_000,
                weighted: usd(20_000).into_inner() * 60_000,
                last: None,
                ..all[0]
            }
        });
        System::set_block_number(System::block_number() + 1);
        Now::put(EXPIRY + 1_000);
        close();
        let future = market(FUTURE);
        assert_eq!(future.status, MarketStatus::Halted);
        assert!(!future.contract.settled && !future.fresh);
        assert!(settled().is_empty());
        // It is back, higher: what was covered counts by its time.
        until(EXPIRY + 16 * MINUTE, usd(21_000));
        let (id, price, _) = settled()[0];
        assert_eq!(id, FUTURE);
        assert!(price > ticks(20_900) && price < ticks(20_960), "{price}");
        assert!(market(FUTURE).contract.settled);
    });
}

#[test]
fn a_market_is_removed_only_once_its_orders_and_positions_are_gone() {
    new_test_ext().execute_with(|| {
        list_future();
        deposit(ALICE, 10_000);
        deposit(BOB, 10_000);
        trade(FUTURE, ALICE, BOB, 10, ticks(20_000));
        place_in(FUTURE, ALICE, Side::Bid, ticks(19_000), 10);
        until(EXPIRY + 20_000, usd(20_000));
        run(3);
        assert!(is_listed(FUTURE));
        Book::remove(FUTURE);
        Accounts::mutate(of(ALICE), |a| {
            a.as_mut().unwrap().orders = Default::default()
        });
        run(2);
        assert!(is_listed(FUTURE) && held(ALICE, FUTURE) == 10);
        for owner in [ALICE, BOB] {
            assert!(is_listed(FUTURE));
            MockLedger::settle_expired(&of(owner), &View::<Test>::get()).unwrap();
        }
        // What rounding left in its pot is not lost.
        MockLedger::credit_pot(Pot::Funding(FUTURE), 5).unwrap();
        MockLedger::credit_pot(Pot::Rounding, -5).unwrap();
        run(2);
        assert!(!is_listed(FUTURE));
        assert_eq!(MockLedger::pot(Pot::Funding(FUTURE)), 0);
        assert_eq!(MockLedger::pot(Pot::Rounding), 0);
    });
}

#[test]
fn an_option_is_marked_on_its_forward_and_volatility_alone() {
    new_test_ext().execute_with(|| {
        list_options();
        let (call, put) = (market(CALL), market(PUT));
        // 20,000 · 0.6 · √(T/2π), T being 2 h less 20 min of 365 days: about 66.
        assert!(
            call.mark > usd(64) && call.mark < usd(68),
            "{:?}",
            call.mark
        );
        assert!(call.mark.into_inner().abs_diff(put.mark.into_inner()) <= 1);
        assert_eq!((call.index, call.status), (usd(20_000), MarketStatus::Open));
        // Orders execute as far from the mark as 5 % of the forward.
        assert_eq!(
            call.price_band,
            novate_risk::option_band(call.mark, usd(20_000), 50_000)
        );
        // Its book says nothing, a future of its expiry does.
        let quotes = RestedQuotes {
            bid: Some(ticks(20_090)),
            ask: Some(ticks(20_110)),
            ..Default::default()
        };
        Quotes::insert(CALL, quotes);
        run(2);
        assert!(market(CALL).mark <= call.mark);
        list_future();
        Quotes::insert(FUTURE, quotes);
        until(START + 20 * MINUTE, usd(20_000));
        let (call, put) = (market(CALL), market(PUT));
        assert!(call.index > usd(20_080) && call.mark > usd(100) && put.mark < usd(30));
    });
}

#[test]
fn an_option_is_reduce_only_when_its_volatility_is_stale_and_keeps_its_variance_without_one() {
    new_test_ext().execute_with(|| {
        list_options();
        deposit(ALICE, 10_000);
        deposit(BOB, 10_000);
        trade(CALL, ALICE, BOB, 1_000, ticks(66));
        trade(BTC, ALICE, BOB, 10, ticks(20_000));
        let mark = market(CALL).mark;
        Volatility::put((600_000, false));
        run(1);
        let call = market(CALL);
        assert_eq!((call.status, call.fresh), (MarketStatus::ReduceOnly, true));
        Volatility::kill();
        run(1);
        let call = market(CALL);
        assert_eq!((call.status, call.fresh), (MarketStatus::ReduceOnly, true));
        assert!(call.mark <= mark && call.mark > usd(60));
        // The perpetual does not mind, and whoever holds both can be liquidated.
        assert_eq!(market(BTC).status, MarketStatus::Open);
        assert!(assess(ALICE).fresh && assess(BOB).fresh);
        // It follows its forward, and the time that is left, as if the last variance a year were still known.
        until(Now::get().unwrap() + 30 * MINUTE, usd(20_100));
        let without = [market(CALL), market(PUT)];
        Volatility::put((600_000, true));
        run(1);
        for (kept, known) in without.into_iter().zip([market(CALL), market(PUT)]) {
            assert!(kept.fresh && kept.mark > known.mark);
            // A second of an hour and a half, and what was rounded in so many closes.
            let difference = kept.mark.into_inner() - known.mark.into_inner();
            assert!(difference * 2_000 < known.mark.into_inner());
        }
    });
}

#[test]
fn an_option_never_had_a_mark_without_a_volatility() {
    new_test_ext().execute_with(|| {
        list_options();
        Volatility::kill();
        list(
            10,
            InstrumentKind::Option {
                expiry: EXPIRY,
                strike: ticks(21_000),
                right: OptionRight::Call,
            },
        );
        run(6);
        let call = market(10);
        assert_eq!((call.mark, call.fresh), (Price::default(), false));
    });
}

#[test]
fn an_option_opens_in_an_auction_around_its_mark_once_its_surface_is_fresh() {
    new_test_ext().execute_with(|| {
        Volatility::put((600_000, false));
        let kind = InstrumentKind::Option {
            expiry: EXPIRY,
            strike: ticks(20_000),
            right: OptionRight::Call,
        };
        list(CALL, kind);
        run(6);
        let call = market(CALL);
        assert_eq!(
            (call.status, call.is_in_auction()),
            (MarketStatus::Halted, false)
        );
        Volatility::put((600_000, true));
        System::reset_events();
        run(1);
        let called = market(CALL);
        assert!(called.is_in_auction() && called.mark > usd(60) && called.mark < usd(70));
        // The mark falls with the time that is left, and stays within the band: one call is enough.
        run(6);
        assert!(!market(CALL).is_in_auction());
        let calls: Vec<_> = events()
            .into_iter()
            .filter_map(|event| match event {
                Event::AuctionCalled {
                    market: CALL,
                    reason,
                    reference,
                    ..
                } => Some((reason, reference)),
                _ => None,
            })
            .collect();
        assert_eq!(calls, [(CallReason::Opening, called.mark)]);
    });
}

#[test]
fn a_view_tells_the_variance_of_an_options_mark_and_of_nothing_else() {
    new_test_ext().execute_with(|| {
        list_options();
        let call = market(CALL);
        let left = EXPIRY - Now::get().unwrap();
        // 60 % a year, in parts per 10¹².
        let variance = 360_000_000_000u128 * u128::from(left) / (365 * 86_400_000);
        assert!(u128::from(call.contract.variance).abs_diff(variance) <= 1);
        assert_eq!(market(BTC).contract.variance, 0);
        // Without a surface it is what is left of it.
        Volatility::kill();
        run(2);
        let later = EXPIRY - Now::get().unwrap();
        let rest = u128::from(call.contract.variance) * u128::from(later) / u128::from(left);
        assert!(later < left);
        let kept = market(CALL).contract.variance;
        assert!(u128::from(kept).abs_diff(rest) <= 2);
    });
}

#[test]
fn options_are_priced_under_all_scenarios_once_a_close_and_forgotten_with_their_expiry() {
    new_test_ext().execute_with(|| {
        list_options();
        for owner in [ALICE, BOB] {
            deposit(owner, 10_000);
        }
        // A perpetual bought against a call sold: each alone would lose by what the other gains.
        trade(CALL, ALICE, BOB, 1_000, ticks(66));
        trade(BTC, BOB, ALICE, 1_000, ticks(20_000));
        let rows =
            |view: &RiskView| novate_risk::portfolio::rows(view, &PortfolioParams::standard());
        let stored = || Scenarios::<Test>::iter().collect::<std::collections::BTreeMap<_, _>>();
        for moment in [START + MINUTE, EXPIRY - 10 * MINUTE] {
            until(moment, usd(20_100));
            let view = View::<Test>::get();
            assert_eq!(stored(), rows(&view));
            assert_eq!(stored().keys().collect::<Vec<_>>(), [&(BTC_FEED, EXPIRY)]);
            let holder = Accounts::get(of(BOB)).unwrap();
            let found = assess(BOB);
            assert_eq!(Lesser::<AtOnce>::assess(&holder, &view), Ok(found));
            let parts = Linear::assess(&holder, &view).unwrap();
            assert!(found.initial <= parts.initial && found.maintenance <= parts.maintenance);
            // What stands of the mean no price moves any more.
            let is_fixed = moment > EXPIRY - SETTLEMENT_MILLIS;
            assert_eq!(market(CALL).contract.fixed > usd(0), is_fixed);
            assert_eq!(market(BTC).contract.fixed, usd(0));
        }
        until_settled(usd(20_150));
        for owner in [ALICE, BOB] {
            MockLedger::settle_expired(&of(owner), &View::<Test>::get()).unwrap();
        }
        run(4);
        assert!(!is_listed(CALL) && stored().is_empty());
    });
}

#[test]
fn a_market_that_expires_while_it_is_called_executes_nothing_and_settles() {
    new_test_ext().execute_with(|| {
        for owner in [ALICE, BOB] {
            deposit(owner, 100_000);
        }
        list_future();
        until(EXPIRY - 100_000, usd(20_000));
        // Nobody sees a price for more than a minute.
        next_block();
        Now::mutate(|now| *now = now.map(|now| now + 70_000));
        close();
        assert_eq!(market(FUTURE).status, MarketStatus::Halted);
        after(10_000);
        assert!(market(FUTURE).is_in_auction());
        place_in(FUTURE, ALICE, Side::Bid, ticks(20_010), 10);
        place_in(FUTURE, BOB, Side::Ask, ticks(19_990), 10);
        System::reset_events();
        after(20_000);
        let future = market(FUTURE);
        assert_eq!(
            (future.status, future.is_in_auction()),
            (MarketStatus::Halted, false)
        );
        run(GRACE_CLOSES.into());
        assert_eq!(settled(), vec![(FUTURE, ticks(20_000), ticks(20_000))]);
        assert_eq!((held(ALICE, FUTURE), held(BOB, FUTURE)), (0, 0));
        crate::Pallet::<Test>::do_try_state().unwrap();
    });
}

#[test]
fn a_premium_is_paid_out_of_cash_and_never_borrowed() {
    new_test_ext().execute_with(|| {
        list_options();
        deposit(BOB, 100_000);
        deposit(ALICE, 80);
        // A unit (1,000 lots) at 70 USD, and fees.
        place_in(CALL, BOB, Side::Ask, ticks(70), 1_000);
        place_in(CALL, ALICE, Side::Bid, ticks(70), 1_000);
        run(1);
        assert_eq!((held(ALICE, CALL), held(BOB, CALL)), (1_000, -1_000));
        let fee = 35_000;
        assert_eq!(cash_of(ALICE), cash(10) - fee);
        assert_eq!(cash_of(BOB), cash(100_070) - fee);
        assert!(Accounts::get(of(ALICE)).unwrap().positions[0].cost == 0);
        let holder = Accounts::get(of(ALICE)).unwrap();
        let parts = Linear::assess(&holder, &View::<Test>::get()).unwrap();
        assert_eq!(parts.slack(), Some(cash(10) - fee));
        assert!(assess(ALICE).slack() >= parts.slack());
        // Gold would cover another initially, and does not pay for it.
        let amount = 10_000_000;
        Wallets::insert((ALICE, GOLD), amount);
        MockLedger::take_into_custody(&ALICE, GOLD, amount).unwrap();
        Accounts::mutate(of(ALICE), |a| {
            let account = a.as_mut().unwrap();
            account.collateral.try_push((GOLD, amount)).unwrap();
        });
        place_in(CALL, BOB, Side::Ask, ticks(70), 1_000);
        place_in(CALL, ALICE, Side::Bid, ticks(70), 1_000);
        assert!(assess(ALICE).covers_orders());
        run(1);
        assert_eq!(held(ALICE, CALL), 1_000);
        assert!(cash_of(ALICE) >= 0);
    });
}

#[test]
fn bids_that_only_buy_back_are_not_asked_for_cash() {
    new_test_ext().execute_with(|| {
        list_options();
        let (view, call) = (View::<Test>::get(), market(CALL));
        let mut writer = MarginAccount::default();
        novate_risk::apply_trade(&mut writer, &call, -1_000, 0).unwrap();
        let pays = |writer: &MarginAccount, lots: &[Lots]| {
            let bids: Vec<_> = lots
                .iter()
                .map(|lots| OpenOrder {
                    market: CALL,
                    sequence: 1,
                    client_id: 1,
                    side: Side::Bid,
                    ticks: ticks(70),
                    lots: *lots,
                    block: 1,
                    time_in_force: TimeInForce::GoodTilCancelled,
                    reduce_only: false,
                    reserve: 0,
                })
                .collect();
            pays_premiums(writer, &view, &call, &bids).unwrap()
        };
        assert!(pays(&writer, &[1_000]) && pays(&writer, &[400, 600]));
        assert!(!pays(&writer, &[1_001]) && !pays(&writer, &[600, 600]));
        // All of it counts where it may open: 1,001 lots of 70,000 quantums, and the taker's fee.
        writer.cash = 1_001 * 70_000 + 35_035;
        assert!(pays(&writer, &[1_001]));
        writer.cash -= 1;
        assert!(!pays(&writer, &[1_001]));
    });
}

#[test]
fn options_are_exercised_at_the_mean_and_pay_whole_quantums() {
    new_test_ext().execute_with(|| {
        list_options();
        for owner in [ALICE, BOB, CHARLIE] {
            deposit(owner, 10_000);
        }
        trade(CALL, ALICE, BOB, 1_000, ticks(66));
        trade(PUT, CHARLIE, BOB, 2_000, ticks(66));
        until(EXPIRY - 20_000, usd(20_150));
        System::reset_events();
        until_settled(usd(20_150));
        assert_eq!(
            settled(),
            vec![(CALL, ticks(20_150), ticks(150)), (PUT, ticks(20_150), 0)]
        );
        // 66 paid, 150 received; the put's 132 are lost; the writer has what they paid less 150.
        assert_eq!(assess(ALICE).equity, cash(10_000 - 66 + 150));
        assert_eq!(assess(CHARLIE).equity, cash(10_000 - 132));
        assert_eq!(assess(BOB).equity, cash(10_000 + 66 + 132 - 150));
        for owner in [CHARLIE, ALICE, BOB] {
            let before = assess(owner);
            MockLedger::settle_expired(&of(owner), &View::<Test>::get()).unwrap();
            assert_eq!(assess(owner), before);
            assert_eq!(cash_of(owner), before.equity);
        }
        run(3);
        assert!(!is_listed(CALL) && !is_listed(PUT));
    });
}

/// A holder of everything, the markets' prices and who is settled when: all of it random.
#[derive(Clone, Debug)]
struct Play {
    trades: Vec<(u8, AccountId, AccountId, i64, u64)>,
    prices: Vec<u128>,
    order: Vec<AccountId>,
}

fn play() -> impl Strategy<Value = Play> {
    let trade = (0u8..3, 1u64..6, 1u64..6, 1i64..3_000, 1u64..2_000);
    (
        prop::collection::vec(trade, 1..12),
        prop::collection::vec(19_000u128..21_000, 3),
        Just(vec![1, 2, 3, 4, 5]).prop_shuffle(),
    )
        .prop_map(|(trades, prices, order)| Play {
            trades,
            prices,
            order,
        })
}

/// Everybody's cash once all have settled, in the order that the play says, some of them in a close each.
fn played(play: &Play, order: &[AccountId]) -> Vec<Cash> {
    new_test_ext().execute_with(|| {
        list_options();
        list_future();
        for owner in 1..6 {
            deposit(owner, 1_000_000);
        }
        for (which, long, short, lots, price) in &play.trades {
            if long != short {
                let (id, price) = match which {
                    0 => (FUTURE, ticks(19_000) + price),
                    1 => (CALL, *price),
                    _ => (PUT, *price),
                };
                trade(id, *long, *short, *lots, price);
            }
        }
        let third = SETTLEMENT_MILLIS / 3;
        Now::put(EXPIRY - SETTLEMENT_MILLIS - MINUTE);
        for (n, price) in play.prices.iter().enumerate() {
            until(EXPIRY - third * (2 - n as u64), usd(*price));
        }
        run(GRACE_CLOSES.into());
        // One in which nobody traded is gone already.
        assert!([FUTURE, CALL, PUT]
            .into_iter()
            .filter(|id| is_listed(*id))
            .all(|id| market(id).contract.settled));
        let equities: Vec<_> = (1..6).map(|owner| assess(owner).equity).collect();
        for (n, owner) in order.iter().enumerate() {
            MockLedger::settle_expired(&of(*owner), &View::<Test>::get()).unwrap();
            if n % 2 == 0 {
                // Prices move on in vain.
                set_price(BTC_FEED, usd(10_000 + 1_000 * n as u128));
                run(1);
            }
        }
        let cash: Vec<_> = (1..6).map(cash_of).collect();
        assert_eq!(cash, equities);
        run(6);
        assert!([FUTURE, CALL, PUT].iter().all(|id| !is_listed(*id)));
        assert_conserved();
        cash
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// `close` asserts conservation at every step.
    #[test]
    fn settlement_does_not_depend_on_who_is_touched_first(play in play()) {
        let forwards = played(&play, &play.order);
        let backwards: Vec<_> = play.order.iter().rev().copied().collect();
        prop_assert_eq!(&forwards, &played(&play, &backwards));
        // What the longs gained the shorts lost, to the quantum.
        prop_assert_eq!(forwards.iter().sum::<Cash>(), 5 * cash(1_000_000));
    }
}

#[test]
fn a_mean_that_cannot_be_is_detected_by_try_state() {
    new_test_ext().execute_with(|| {
        list_future();
        deposit(ALICE, 10_000);
        deposit(BOB, 10_000);
        trade(FUTURE, ALICE, BOB, 1, ticks(20_000));
        until(EXPIRY - MINUTE, usd(20_000));
        let good = Settlements::<Test>::get()[0];
        let detects = |mean: Settlement| {
            Settlements::<Test>::mutate(|all| all[0] = mean);
            let found = crate::Pallet::<Test>::do_try_state().is_err();
            Settlements::<Test>::mutate(|all| all[0] = good);
            crate::Pallet::<Test>::do_try_state().unwrap();
            found
        };
        let price = Some(usd(20_000));
        assert!(detects(Settlement { price, ..good }));
        assert!(detects(Settlement {
            weighted: 0,
            ..good
        }));
        let expiry = EXPIRY + MINUTE;
        assert!(detects(Settlement { expiry, ..good }));
        Settlements::<Test>::mutate(|all| all.try_push(good).unwrap());
        assert!(crate::Pallet::<Test>::do_try_state().is_err());
        Settlements::<Test>::mutate(|all| all.pop());
        // Once it stands it was covered.
        until(EXPIRY, usd(20_000));
        let good = Settlements::<Test>::get()[0];
        assert!(good.price.is_some());
        let covered = LEAST_COVERED - 1;
        Settlements::<Test>::mutate(|all| all[0] = Settlement { covered, ..good });
        assert!(crate::Pallet::<Test>::do_try_state().is_err());
    });
}

/// Feeds of other underlyings have means of their own.
#[test]
fn expiries_of_two_underlyings_settle_apart() {
    new_test_ext().execute_with(|| {
        set_price(ETH_FEED, usd(1_500));
        list_future();
        let of_eth = novate_types::Instrument {
            kind: InstrumentKind::Future { expiry: EXPIRY },
            ..instrument("ETH-X", ETH_FEED)
        };
        Instruments::insert(ETH, of_eth);
        run(6);
        for owner in [ALICE, BOB] {
            deposit(owner, 10_000);
        }
        // Held, or it would be removed in the close that settles it.
        trade(FUTURE, ALICE, BOB, 1, ticks(20_000));
        trade(ETH, ALICE, BOB, 1, ticks(1_500));
        until(EXPIRY, usd(20_000));
        let means: Vec<(FeedId, Option<Price>)> = Settlements::<Test>::get()
            .iter()
            .map(|s| (s.underlying, s.price))
            .collect();
        assert_eq!(
            means,
            vec![(BTC_FEED, Some(usd(20_000))), (ETH_FEED, Some(usd(1_500)))]
        );
    });
}

#[test]
fn what_is_listed_by_rule_is_in_the_view_of_its_close_when_its_price_is_fresh() {
    new_test_ext().execute_with(|| {
        ByRule::put(10);
        System::set_block_number(System::block_number() + 1);
        Now::put(Now::get().unwrap() + 7_000);
        close();
        assert!(!is_listed(10));
        run(1);
        assert!(is_listed(10));
    });
}
