//! Forecasts, margin calls and stress, against the formulas and against a look at every account.

use super::{
    portfolio::{a_spread, give_slack, list, set, the_largest, trade_at_mark, DAY, DEALER},
    *,
};
use crate::{meter::Meter, Event, OpenInterestScale, Stress, StressReport, Sweeping, Volatilities};
use novate_risk::{exposures, stress::HistoricalLoss, Forecast, Linear, StressMove, Volatility};
use proptest::prelude::*;
use sp_runtime::FixedU128;
use std::collections::BTreeMap;

/// A close at the next full hour, in which the price of everything is this.
fn hour(usd: u128) {
    close(|view| {
        view.now = (view.now / HOUR + 1) * HOUR;
        for market in view.markets.iter_mut() {
            market.index = price(usd);
            market.mark = price(usd);
        }
    });
}

/// Both markets are of one underlying.
fn one_underlying() {
    View::mutate(|view| view.as_mut().unwrap().markets[1].underlying = 0);
}

fn hours(prices: &[u128]) {
    prices.iter().for_each(|usd| hour(*usd));
}

/// Prices between which an hour is a move of about one percent.
const USUAL: [u128; 8] = [100, 101, 100, 101, 100, 101, 100, 100];

fn forecasts() -> Vec<(FeedId, Forecast)> {
    let all = events().into_iter();
    all.filter_map(|event| match event {
        Event::VolatilityForecast {
            underlying,
            forecast,
        } => Some((underlying, forecast)),
        _ => None,
    })
    .collect()
}

#[test]
fn forecasts_are_those_of_the_formulas_on_a_price_path() {
    new_test_ext().execute_with(|| {
        one_underlying();
        let path = [100u128, 103, 99, 104, 104, 96, 110, 109, 90, 95];
        let mut kept = Volatility::default();
        for (n, usd) in path.iter().enumerate() {
            hour(*usd);
            kept = kept.after(price(*usd), &Forecasting::get()).unwrap();
            let at = StoredView::view().now;
            assert_eq!(Volatilities::<Test>::get().to_vec(), [(0, at, kept)]);
            let expected = kept.forecast(&Forecasting::get()).unwrap();
            // Five returns are six prices.
            assert_eq!(expected.is_some(), n >= 5);
            let expected: Vec<_> = expected.map(|forecast| (0, forecast)).into_iter().collect();
            assert_eq!(forecasts(), expected);
            let asked: Vec<_> = expected
                .iter()
                .map(|(feed, f)| (*feed, f.maintenance_ceil(&Forecasting::get()).unwrap()))
                .collect();
            assert_eq!(followed(), asked);
            // Within the hour nothing is sampled.
            close_at(*usd + 20);
            assert_eq!(Volatilities::<Test>::get().to_vec(), [(0, at, kept)]);
            close_at(*usd);
        }
    });
}

#[test]
fn a_price_that_nobody_is_liquidated_on_is_no_sample() {
    new_test_ext().execute_with(|| {
        one_underlying();
        let stale = |view: &mut RiskView, usd: u128, fresh: bool| {
            view.now = (view.now / HOUR + 1) * HOUR;
            for market in view.markets.iter_mut() {
                (market.index, market.fresh) = (price(usd), fresh);
            }
        };
        close(|view| stale(view, 100, true));
        close(|view| stale(view, 400, false));
        close(|view| stale(view, 101, true));
        let kept = Volatilities::<Test>::get();
        assert_eq!(kept[0].2.samples, 1);
        assert_eq!(kept[0].2.price, price(101));
        // One fresh market of an underlying is enough, and each underlying has its own past.
        close(|view| {
            stale(view, 102, true);
            view.markets[0].fresh = false;
            view.markets[1].underlying = 3;
        });
        let kept = Volatilities::<Test>::get();
        let seen: Vec<_> = kept.iter().map(|(feed, _, v)| (*feed, v.samples)).collect();
        assert_eq!(seen, [(0, 1), (3, 0)]);
        // What no market refers to any more is forgotten.
        close(|view| {
            stale(view, 102, true);
            view.markets.iter_mut().for_each(|m| m.underlying = 3);
        });
        let kept = Volatilities::<Test>::get();
        let seen: Vec<_> = kept.iter().map(|(feed, _, v)| (*feed, v.samples)).collect();
        assert_eq!(seen, [(3, 1)]);
    });
}

#[test]
fn an_options_forward_and_a_settled_price_are_no_sample() {
    new_test_ext().execute_with(|| {
        one_underlying();
        let sampled = |contract: Contract, other: u128, usd: u128| {
            close(|view| {
                view.now = (view.now / HOUR + 1) * HOUR;
                view.markets[0].contract = contract;
                for (market, usd) in view.markets.iter_mut().zip([other, usd]) {
                    market.index = price(usd);
                }
            });
            let kept = Volatilities::<Test>::get();
            (kept[0].2.samples, kept[0].2.price)
        };
        let option = InstrumentKind::Option {
            expiry: u64::MAX,
            strike: 100,
            right: OptionRight::Call,
        };
        let future = |expiry| InstrumentKind::Future { expiry };
        let settled = Contract {
            settled: true,
            ..future(1).into()
        };
        assert_eq!(sampled(option.into(), 130, 100), (0, price(100)));
        assert_eq!(sampled(settled, 70, 101), (1, price(101)));
        // One that is far from its expiry shows the same as the perpetual does.
        assert_eq!(sampled(future(u64::MAX).into(), 102, 102), (2, price(102)));
    });
}

#[test]
fn margin_is_called_at_two_deviations_and_at_one_before_anybody_is_liquidated() {
    new_test_ext().execute_with(|| {
        one_underlying();
        SweepPerClose::set(10);
        hours(&USUAL);
        deposit(LONG, usd(200));
        deposit(SHORT, usd(10_000));
        trade(LONG, SHORT, 0, 10, 100);
        events();
        let mut said = Vec::new();
        let conserved = totals();
        // A tenth of a percent at a time.
        for step in 0..200u128 {
            close(|view| {
                let mark = Price::from_inner((1_000 - step) * 10u128.pow(17));
                view.markets[0].mark = mark;
                view.markets[0].index = mark;
            });
            for event in events() {
                match event {
                    Event::MarginCalled {
                        account: who,
                        call,
                        equity,
                        maintenance,
                        deviation,
                    } => {
                        assert_eq!(who, of(LONG));
                        let times = if call == MarginCall::TwoSigma { 2 } else { 1 };
                        let slack = equity - maintenance;
                        assert!(slack < times * deviation && slack >= (times - 1) * deviation);
                        // What a deviation is, from the forecast: ten lots, and five percent of them.
                        let sigma = Sweeping::<Test>::get().unwrap().deviations[0].1;
                        let value = 10 * (1_000 - step as i128) * 100_000;
                        let exposed = value + (value * 5 + 99) / 100;
                        let exact = exposed * i128::from(sigma);
                        assert_eq!(deviation, (exact + 999_999) / 1_000_000);
                        said.push(format!("{call:?}"));
                    }
                    Event::LiquidationStarted { account: who, .. } => {
                        assert_eq!(who, of(LONG));
                        said.push("Liquidated".into());
                    }
                    _ => {}
                }
            }
            if is_queued(LONG) {
                break;
            }
        }
        assert_eq!(said, ["TwoSigma", "OneSigma", "Liquidated"]);
        assert_eq!(account(SHORT).call, MarginCall::None);
        assert_eq!(totals(), conserved);
    });
}

/// Forecasts, and options on market 0 that expire in two weeks; every account is swept in every close.
fn forecast_options() {
    one_underlying();
    SweepPerClose::set(10);
    hours(&USUAL);
    list(14 * DAY);
    deposit(DEALER, usd(1_000_000));
}

/// What is said of an account while market 0 goes so many cents a close from 100 USD, options at their volatility, until its remedies begin.
fn said_of(owner: u64, cents: i128) -> Vec<String> {
    let mut said = Vec::new();
    for step in 0..200 {
        events();
        close(|view| set(view, (10_000 + cents * step) as u128, [60; 4]));
        for event in events() {
            match event {
                Event::MarginCalled {
                    account,
                    call,
                    equity,
                    maintenance,
                    deviation,
                } if account == of(owner) => {
                    let times = if call == MarginCall::TwoSigma { 2 } else { 1 };
                    let slack = equity - maintenance;
                    assert!(slack < times * deviation && slack >= (times - 1) * deviation);
                    said.push(format!("{call:?}"));
                }
                Event::LiquidationStarted { account, .. } if account == of(owner) => {
                    said.push("Liquidated".into());
                    return said;
                }
                _ => {}
            }
        }
    }
    said
}

#[test]
fn whoever_a_scan_margins_is_called_when_what_it_asks_for_grows() {
    new_test_ext().execute_with(|| {
        forecast_options();
        a_spread(LONG, usd(200));
        assert_eq!(assess(LONG).scanned, 0b11);
        let needed = assess(LONG).maintenance;
        let said = said_of(LONG, 10);
        assert_eq!(said, ["TwoSigma", "OneSigma", "Liquidated"]);
        assert!(assess(LONG).maintenance > needed);
    });
}

#[test]
fn whoever_owes_what_bought_options_stand_against_is_called_as_they_fall() {
    new_test_ext().execute_with(|| {
        forecast_options();
        deposit(LONG, usd(10_000));
        trade_at_mark(LONG, DEALER, 10, 100);
        give_slack(LONG, usd(18));
        assert_eq!(assess(LONG).scanned, 0b1);
        assert!(account(LONG).cash < 0);
        assert_eq!(said_of(LONG, -10), ["TwoSigma", "OneSigma", "Liquidated"]);
    });
}

#[test]
fn whoever_is_hedged_is_not_called_whatever_the_price_does() {
    for cents in [-10, 10] {
        new_test_ext().execute_with(|| {
            forecast_options();
            deposit(LONG, usd(10_000));
            // A hundred units sold against calls in the money and written puts, near enough.
            close(|view| {
                let put = view.market_mut(12).unwrap();
                put.contract.strike = 110;
                set(view, 10_000, [60; 4]);
            });
            trade_at_mark(DEALER, LONG, 0, 100);
            trade_at_mark(LONG, DEALER, 10, 100);
            trade_at_mark(DEALER, LONG, 12, 100);
            give_slack(LONG, usd(100));
            assert_eq!(assess(LONG).scanned, 0b111);
            let equity = assess(LONG).equity;
            assert_eq!(said_of(LONG, cents), Vec::<String>::new());
            assert!((assess(LONG).equity - equity).abs() < usd(1));
            let Some(distance) =
                crate::Pallet::<Test>::distance(&account(LONG), &assess(LONG), &StoredView::view())
            else {
                panic!("it has something at stake");
            };
            assert!(distance > 2 * i128::from(MILLION));
        });
    }
}

#[test]
fn deviations_take_the_time_of_their_close_and_a_sweep_waits_where_there_is_none() {
    new_test_ext().execute_with(|| {
        one_underlying();
        SweepPerClose::set(10);
        hours(&USUAL);
        the_largest(LONG, usd(1_000));
        let swept = || {
            crate::Took::<Test>::kill();
            close(|_| {});
            let sweep = Sweeping::<Test>::get().unwrap();
            (sweep.completed, crate::Took::<Test>::get())
        };
        let meter = Meter::<Test>::of_close(0);
        let options = |owner| {
            novate_risk::scanned_options(&account(owner), &StoredView::view(), &assess(owner))
        };
        assert_eq!(options(LONG), MAX_POSITIONS);
        let of = |owner| {
            let size = crate::meter::Size::of(&account(owner), &StoredView::view());
            match assess(owner).scanned {
                0 => 0,
                _ => meter.deviation(options(owner), size),
            }
        };
        let deviations = of(LONG) + of(DEALER);
        let (completed, took) = swept();
        assert!(took >= 2 * meter.more(4 * MAX_POSITIONS) + deviations);
        // With time for one of them it takes two closes.
        let each = meter.worst_swept(4 * MAX_POSITIONS);
        crate::Allowance::<Test>::put(each / 10 * 19 - deviations / 2);
        let (waits, _) = swept();
        crate::Allowance::<Test>::put(each / 10 * 19 - deviations / 2);
        let (then, _) = swept();
        assert_eq!(waits, completed);
        assert!(then > completed);
    });
}

proptest! {
    #![proptest_config(cases(16))]

    /// The price walks a thousandth a close, a small part of a deviation: nobody whose margin was not called is liquidated.
    #[test]
    fn nobody_is_liquidated_before_it_is_called_while_the_price_walks(
        trades in prop::collection::vec((10u64..14, 0usize..5, -40i64..40), 1..16),
        slacks in prop::collection::vec(0i128..150, 4), rises in any::<bool>(),
    ) {
        new_test_ext().execute_with(|| {
            forecast_options();
            for owner in 10..14 {
                deposit(owner, usd(1_000));
            }
            for (owner, market, lots) in trades.iter().filter(|(.., lots)| *lots != 0) {
                trade_at_mark(*owner, DEALER, [0, 10, 11, 12, 13][*market], *lots);
            }
            for (owner, slack) in (10..14).zip(slacks) {
                give_slack(owner, usd(slack));
            }
            for step in 0..50 {
                let called: Vec<_> = (10..14).map(|owner| account(owner).call).collect();
                let cents = if rises { 10_000 + 10 * step } else { 10_000 - 10 * step };
                close(|view| set(view, cents, [60; 4]));
                for (owner, call) in (10..14).zip(called) {
                    let is_found = is_queued(owner) && step > 0;
                    prop_assert!(!is_found || call != MarginCall::None, "{owner}: {:?}", account(owner));
                }
            }
            Ok(())
        })?;
    }
}

#[test]
fn a_call_is_made_again_only_after_the_account_was_farther() {
    new_test_ext().execute_with(|| {
        one_underlying();
        SweepPerClose::set(10);
        hours(&USUAL);
        deposit(LONG, usd(70));
        deposit(SHORT, usd(10_000));
        trade(LONG, SHORT, 0, 10, 100);
        let calls = || {
            let all = events().into_iter();
            all.filter(|event| matches!(event, Event::MarginCalled { .. }))
                .count()
        };
        events();
        close_at(100);
        assert_eq!(calls(), 1);
        assert_ne!(account(LONG).call, MarginCall::None);
        for _ in 0..3 {
            close_at(100);
        }
        assert_eq!(calls(), 0);
        deposit(LONG, usd(500));
        close_at(100);
        assert_eq!((calls(), account(LONG).call), (0, MarginCall::None));
        StoredLedger::settle(&of(LONG), &StoredView::view(), false, |account| {
            account.cash -= usd(500);
            Ok::<_, LedgerError>(())
        })
        .unwrap();
        close_at(100);
        assert_eq!(calls(), 1);
    });
}

#[test]
fn nobody_is_called_before_there_is_history_enough() {
    new_test_ext().execute_with(|| {
        SweepPerClose::set(10);
        hours(&USUAL[..4]);
        deposit(LONG, usd(60));
        deposit(SHORT, usd(10_000));
        trade(LONG, SHORT, 0, 10, 100);
        events();
        close_at(100);
        assert!(events()
            .iter()
            .all(|e| !matches!(e, Event::MarginCalled { .. })));
        assert_eq!(
            crate::Pallet::<Test>::distance(&account(LONG), &assess(LONG), &StoredView::view()),
            None
        );
        assert!(followed().is_empty());
    });
}

/// What an account lacks after a move of `ppm`, and what of it each market lost: by valuing it again, underlying by underlying.
fn brute_loss(
    account: &MarginAccount,
    view: &RiskView,
    ppm: i64,
) -> (Cash, BTreeMap<MarketId, Cash>) {
    let equity = |view: &RiskView| Linear::assess(account, view).unwrap().equity;
    let now = equity(view);
    let mut feeds: Vec<_> = view.markets.iter().map(|m| m.underlying).collect();
    feeds.sort();
    feeds.dedup();
    let mut left = now;
    let (mut lost, mut all) = (BTreeMap::new(), 0);
    for feed in feeds {
        let mut moved = view.clone();
        for market in moved.markets.iter_mut().filter(|m| m.underlying == feed) {
            market.mark = math::shift_floor(market.mark, ppm).unwrap();
        }
        for collateral in moved
            .collaterals
            .iter_mut()
            .filter(|c| c.params.feed == feed)
        {
            collateral.price = math::shift_floor(collateral.price, ppm).unwrap();
        }
        let loss = now - equity(&moved);
        if loss <= 0 {
            continue;
        }
        left -= loss;
        for id in view
            .markets
            .iter()
            .filter(|m| m.underlying == feed)
            .map(|m| m.id)
        {
            let value = |view: &RiskView| {
                let market = view.market(id).unwrap();
                math::position_value_floor(account.lots(id), market.mark, market.lot_size).unwrap()
            };
            let loss = value(view) - value(&moved);
            if loss > 0 {
                lost.insert(id, loss);
                all += loss;
            }
        }
        for (asset, amount) in &account.collateral {
            let value = |view: &RiskView| {
                novate_risk::collateral_value(view.collateral(*asset).unwrap(), *amount).unwrap()
            };
            all += (value(view) - value(&moved)).max(0);
        }
    }
    let lacks = (-left).max(0);
    let share = |loss: Cash| (lacks * loss + all - 1) / all;
    let by_market = lost
        .into_iter()
        .filter(|_| lacks > 0)
        .map(|(id, loss)| (id, share(loss)))
        .collect();
    (lacks, by_market)
}

/// The report that a look at every account, at the view in which the sweep saw it, comes to.
fn brute_report(seen: &[(MarginAccount, RiskView)]) -> (Cash, Vec<(MarketId, Cash)>) {
    let params = Stressing::get();
    let mut worst = 0;
    let mut by_market = BTreeMap::<MarketId, Vec<Cash>>::new();
    for (n, by) in params.moves.iter().enumerate() {
        let mut all = Vec::new();
        for (account, view) in seen {
            let (lacks, of_markets) = brute_loss(account, view, i64::from(by.price));
            all.push(lacks);
            for (id, lost) in of_markets {
                by_market
                    .entry(id)
                    .or_insert_with(|| vec![0; params.moves.len()])[n] += lost;
            }
        }
        all.sort();
        worst = worst.max(all.iter().rev().take(params.cover as usize).sum());
    }
    let fund = (worst * 11 + 9) / 10;
    let confidence = FixedU128::from_rational(3, 4);
    let shortfalls = by_market.into_iter().map(|(id, mut losses)| {
        let worst = HistoricalLoss::of(&mut losses, confidence).unwrap();
        // The mean of the two worst of eight.
        losses.sort();
        let two: Cash = losses.iter().rev().take(2).sum();
        assert_eq!(worst.expected_shortfall_ceil, (two + 1) / 2);
        (id, worst.expected_shortfall_ceil)
    });
    (fund, shortfalls.collect())
}

#[derive(Clone, Debug)]
enum Step {
    Trade(u64, u64, u16, i64),
    Cash(u64, i128),
    Asset(u64, u128),
    /// Marks and the asset's price in USD and cents.
    Close(u128, u128, u128),
}

fn a_step() -> impl Strategy<Value = Step> {
    let owner = || 10u64..18;
    prop_oneof![
        4 => (owner(), owner(), 0u16..2, 1i64..40).prop_map(|(a, b, m, l)| Step::Trade(a, b, m, l)),
        1 => (owner(), 0i128..200).prop_map(|(a, c)| Step::Cash(a, c)),
        1 => (owner(), 0u128..200).prop_map(|(a, u)| Step::Asset(a, u)),
        6 => (85u128..115, 85u128..115, 90u128..110).prop_map(|(a, b, c)| Step::Close(a, b, c)),
    ]
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn what_a_sweep_publishes_is_what_a_look_at_every_account_comes_to(
        steps in prop::collection::vec(a_step(), 1..50),
        swept in 1u32..6,
        one_underlying in any::<bool>(),
        collateral_moves in any::<bool>(),
    ) {
        new_test_ext().execute_with(|| {
            SweepPerClose::set(swept);
            View::mutate(|view| {
                let view = view.as_mut().unwrap();
                view.markets[1].underlying = u16::from(!one_underlying);
                if collateral_moves {
                    view.collaterals[0].params.feed = view.markets[1].underlying;
                }
            });
            for owner in 10..18 {
                deposit(owner, usd(100));
            }
            deposit(VAULT, usd(500));
            deposit(FUND, usd(50));
            events();
            let mut seen = Vec::new();
            let mut hours = 0;
            let mut reports = 0;
            for step in steps {
                let (a, b, c) = match step {
                    Step::Trade(a, b, market, lots) if a != b => {
                        let view = StoredView::view();
                        let mark = view.markets[usize::from(market)].mark.into_inner();
                        trade(a, b, market, lots, (mark / 10u128.pow(18)) as u64);
                        continue;
                    }
                    Step::Trade(..) => continue,
                    Step::Cash(owner, cash) => {
                        deposit(owner, usd(cash));
                        continue;
                    }
                    Step::Asset(owner, units) => {
                        deposit_asset(owner, units);
                        continue;
                    }
                    Step::Close(a, b, c) => (a, b, c),
                };
                // Whom this close's sweep sees, and as what.
                let state = Sweeping::<Test>::get();
                let cursor = state.as_ref().and_then(|state| state.cursor);
                if cursor.is_none() {
                    seen.clear();
                }
                let passed = StoredLedger::accounts_after(cursor.as_ref(), swept);
                let before: Vec<_> = passed
                    .iter()
                    .filter(|of| of.owner > FUND)
                    .map(|of| account(of.owner))
                    .collect();
                hours += 1;
                let conserved = totals();
                marks(|view| {
                    // An hour on, so that every sweep adds up.
                    view.now = hours * HOUR;
                    for (market, usd) in view.markets.iter_mut().zip([a, b]) {
                        market.mark = price(usd);
                        market.index = price(usd);
                    }
                    view.collaterals[0].price = Price::from_rational(c, 100);
                });
                prop_assert_eq!(totals(), conserved);
                let view = StoredView::view();
                seen.extend(before.into_iter().map(|account| (account, view.clone())));
                let published: Vec<_> = events()
                    .into_iter()
                    .filter_map(|event| match event {
                        Event::StressAssessed { default_fund, shortfalls, accounts, .. } => {
                            Some((default_fund, shortfalls, accounts))
                        }
                        _ => None,
                    })
                    .collect();
                if let Some((fund, shortfalls, accounts)) = published.first() {
                    let expected = brute_report(&seen);
                    prop_assert_eq!((*fund, shortfalls.clone()), expected);
                    prop_assert_eq!(*accounts as usize, seen.len());
                    let report = Stress::<Test>::get().unwrap();
                    prop_assert_eq!(report.default_fund, *fund);
                    prop_assert_eq!(report.completed, view.block);
                    reports += 1;
                }
                waterfall();
            }
            prop_assert!(reports > 0 || hours < 12);
            Ok(())
        })?;
    }
}

/// A crowded chain: one long of 60 lots at 100 with 700 USD; at −18 % it lacks 380, and the shorts' profit does not help it.
fn a_stressed_chain() {
    SweepPerClose::set(10);
    deposit(LONG, usd(700));
    deposit(SHORT, usd(100_000));
    trade(LONG, SHORT, 0, 60, 100);
    events();
}

fn report() -> StressReport {
    Stress::<Test>::get().unwrap()
}

fn scale() -> Ppm {
    <Liquidation as Liquidations<u64>>::open_interest_scale()
}

#[test]
fn the_default_fund_covers_the_two_largest_and_caps_follow_what_there_is() {
    new_test_ext().execute_with(|| {
        a_stressed_chain();
        // 1.1 · 380; the two worst moves are −18 % (380) and −13.5 % (110).
        hour(100);
        assert_eq!(report().default_fund, usd(418));
        assert_eq!(report().shortfalls.to_vec(), [(0, usd(245))]);
        assert_eq!((report().accounts, report().available), (2, 0));
        // Nothing covers it: a step an hour, down to nothing.
        for expected in [750_000, 500_000, 250_000, 0, 0] {
            assert_eq!(scale(), expected);
            hour(100);
        }
        let scaled = |old_value, new_value| Event::OpenInterestScaled {
            old_value,
            new_value,
        };
        let said = events();
        assert!(said.contains(&scaled(1_000_000, 750_000)) && said.contains(&scaled(250_000, 0)));
        // Half of it is covered, then all.
        deposit(FUND, usd(109));
        deposit(VAULT, usd(100));
        for expected in [250_000, 500_000, 500_000] {
            hour(100);
            assert_eq!(scale(), expected);
        }
        assert_eq!(report().available, usd(209));
        deposit(VAULT, usd(1_000_000));
        for expected in [750_000, 1_000_000, 1_000_000] {
            hour(100);
            assert_eq!(scale(), expected);
        }
        assert!(!OpenInterestScale::<Test>::exists());
    });
}

#[test]
fn caps_keep_their_least_part_whatever_accounts_lack() {
    new_test_ext().execute_with(|| {
        Stressing::mutate(|stressing| stressing.least_scale = 400_000);
        a_stressed_chain();
        for expected in [750_000, 500_000, 400_000, 400_000] {
            hour(100);
            assert_eq!(scale(), expected);
        }
    });
}

/// A long of market 0 worth so many USD, with nothing else.
fn a_long(market: MarketId, worth: i128) -> [novate_risk::Exposed; 1] {
    [novate_risk::Exposed {
        underlying: 0,
        positions: vec![(market, usd(worth))],
        options: Vec::new(),
        collateral: 0,
        margin: 0,
    }]
}

#[test]
fn what_an_owner_lacks_is_added_up_over_its_accounts() {
    let moves = [StressMove::of_prices(-100_000)];
    let mut sums = crate::StressSums::<u64>::default();
    let mut add = |owner, worth| {
        sums.add(&owner, &a_long(0, worth), 0, &moves, &[]).unwrap();
        sums.largest[0].to_vec()
    };
    // A tenth of what each is worth: three of the first owner's are more than one of the second's.
    add(1, 1_000);
    add(2, 2_500);
    add(1, 1_000);
    assert_eq!(add(1, 1_000), [(1, usd(300)), (2, usd(250))]);
    // As many owners as there is room for; whoever lacks less than all of them is not among them.
    let many = u64::from(crate::stress::OWNERS);
    for owner in 3..=many {
        add(owner, 1_000);
    }
    let full = add(1_000, 900);
    assert_eq!(full.len() as u64, many);
    assert!(full.iter().all(|(owner, _)| *owner != 1_000));
    // One who lacks more takes the place of one who lacks least.
    let after = add(1_000, 1_100);
    assert_eq!(after.len() as u64, many);
    assert_eq!(after[2], (1_000, usd(110)));
    assert_eq!(sums.accounts, 2 + many as u32 + 2);
}

#[test]
fn markets_that_are_gone_make_room_for_those_that_are_listed() {
    let moves = [StressMove::of_prices(-100_000)];
    let mut sums = crate::StressSums::<u64>::default();
    for market in 0..MAX_MARKETS as MarketId {
        sums.add(&1, &a_long(market, 10), 0, &moves, &[]).unwrap();
    }
    let listed: Vec<_> = (60..=64).map(a_market).collect();
    sums.add(&1, &a_long(64, 10), 0, &moves, &listed).unwrap();
    let known: Vec<_> = sums.markets.iter().map(|(market, _)| *market).collect();
    assert_eq!(known, [60, 61, 62, 63, 64]);
}

#[test]
fn a_sweep_draws_thresholds_again_when_stress_has_no_number() {
    new_test_ext().execute_with(|| {
        a_stressed_chain();
        hour(100);
        // The next account is the one that loses, and no sum has room for that.
        let is_before = |of: &Of| StoredLedger::accounts_after(Some(of), 1) == [super::of(LONG)];
        let before = (1_000..).map(of).find(is_before);
        SweepPerClose::set(1);
        Sweeping::<Test>::mutate(|state| {
            let state = state.as_mut().unwrap();
            let mut sums = crate::StressSums::default();
            let most = vec![Cash::MAX; 8].try_into().unwrap();
            sums.markets.try_push((0, most)).unwrap();
            (state.cursor, state.stress) = (before, Some(sums));
        });
        StoredLedger::update(&of(LONG), |account| {
            account.risk.clear();
            Ok::<_, LedgerError>(())
        })
        .unwrap();
        close_at(100);
        assert!(!account(LONG).risk.is_empty());
    });
}

#[test]
fn stress_is_added_up_once_an_hour_however_short_a_sweep_is() {
    new_test_ext().execute_with(|| {
        a_stressed_chain();
        let assessed = || {
            let all = events().into_iter();
            all.filter(|event| matches!(event, Event::StressAssessed { .. }))
                .count()
        };
        hour(100);
        assert_eq!(assessed(), 1);
        for _ in 0..5 {
            close_at(100);
        }
        assert_eq!(assessed(), 0);
        hour(100);
        assert_eq!(assessed(), 1);
        // A sweep of several closes adds up from its first to its last.
        SweepPerClose::set(1);
        for _ in 0..9 {
            close_at(100);
        }
        assert_eq!(assessed(), 0);
        hour(100);
        for _ in 0..5 {
            close_at(100);
        }
        assert_eq!((assessed(), report().accounts), (1, 2));
    });
}

#[test]
fn vault_and_fund_are_not_among_those_whose_losses_they_cover() {
    new_test_ext().execute_with(|| {
        SweepPerClose::set(10);
        deposit(VAULT, usd(700));
        deposit(SHORT, usd(100_000));
        trade(VAULT, SHORT, 0, 60, 100);
        hour(100);
        assert_eq!(report().default_fund, 0);
        assert_eq!(report().accounts, 1);
        assert!(report().shortfalls.is_empty());
        assert_eq!(scale(), MILLION);
    });
}

#[test]
fn distance_is_slack_in_deviations() {
    new_test_ext().execute_with(|| {
        one_underlying();
        hours(&USUAL);
        deposit(LONG, usd(150));
        deposit(SHORT, usd(10_000));
        trade(LONG, SHORT, 0, 10, 100);
        let distance = |owner| {
            crate::Pallet::<Test>::distance(&account(owner), &assess(owner), &StoredView::view())
        };
        let sigma = i128::from(Sweeping::<Test>::get().unwrap().deviations[0].1);
        // 150 less 50 of margin; 1,050 USD move by a deviation.
        assert_eq!(
            distance(LONG),
            Some(usd(100) * MILLION as i128 / (1_050 * sigma))
        );
        let exposed = exposures(
            &account(LONG),
            &StoredView::view(),
            <Priced as frame_support::traits::Get<_>>::get,
        )
        .unwrap();
        assert_eq!(exposed[0].net(), Ok(usd(1_000)));
        assert_eq!(distance(VAULT), None);
    });
}

#[test]
fn drift_is_detected_when_what_is_known_of_stress_has_lost_its_order() {
    let found = |break_it: &dyn Fn()| -> &'static str {
        new_test_ext().execute_with(|| {
            one_underlying();
            a_stressed_chain();
            SweepPerClose::set(1);
            hours(&USUAL);
            Liquidation::do_try_state().unwrap();
            break_it();
            Liquidation::do_try_state()
                .expect_err("drift went unnoticed")
                .into()
        })
    };
    let unsorted = found(&|| {
        Volatilities::<Test>::mutate(|all| {
            let first = all[0];
            all.try_push(first).unwrap();
        })
    });
    assert_eq!(unsorted, "volatilities are not in the order of their feeds");
    let priceless = found(&|| Volatilities::<Test>::mutate(|all| all[0].2 = Volatility::default()));
    assert_eq!(priceless, "a volatility has no price to go on from");
    let more = found(&|| OpenInterestScale::<Test>::put(1_000_001));
    assert_eq!(
        more,
        "more than the whole of the open-interest caps is in force"
    );
    let pastless = found(&|| Volatilities::<Test>::kill());
    assert_eq!(pastless, "a forecast has no past");
    let less = found(&|| {
        Stressing::mutate(|stressing| stressing.least_scale = 250_000);
        OpenInterestScale::<Test>::put(249_999);
    });
    assert_eq!(
        less,
        "less than the least of the open-interest caps is in force"
    );
    let summed = |sums: crate::StressSums<u64>| {
        Sweeping::<Test>::mutate(|state| state.as_mut().unwrap().stress = Some(sums))
    };
    let smallest = found(&|| {
        let mut sums = crate::StressSums::default();
        let rising = vec![(LONG, usd(1)), (SHORT, usd(2))].try_into().unwrap();
        sums.largest.try_push(rising).unwrap();
        summed(sums);
    });
    assert_eq!(smallest, "the largest losses are not the largest");
    let twice = found(&|| {
        let mut sums = crate::StressSums::default();
        let twice = vec![(LONG, usd(2)), (LONG, usd(1))].try_into().unwrap();
        sums.largest.try_push(twice).unwrap();
        summed(sums);
    });
    assert_eq!(twice, "the largest losses are not the largest");
    let moveless = found(&|| {
        let mut sums = crate::StressSums::default();
        sums.markets.try_push((0, Default::default())).unwrap();
        summed(sums);
    });
    assert_eq!(moveless, "a market's losses are not those of the moves");
}
