//! Accounts whose options are margined by scan: found by the index whatever price, volatility and time do, and taken through the remedies in
//! their order.

use super::*;
use crate::Event;
use novate_risk::{option_mark_floor, Forward, Linear, SETTLEMENT_MILLIS, VARIANCE_UNIT};
use proptest::prelude::*;

const DAY: Millis = 86_400_000;
/// Calls and puts on market 0's underlying: id, right, strike.
const OPTIONS: [(MarketId, OptionRight, Ticks); 4] = [
    (10, OptionRight::Call, 110),
    (11, OptionRight::Call, 130),
    (12, OptionRight::Put, 90),
    (13, OptionRight::Put, 70),
];
/// Across from everybody.
const DEALER: u64 = 50;

/// Market 0 at `cents`, its options on volatilities of `percent` a year each.
fn set(view: &mut RiskView, cents: u128, percent: [u128; 4]) {
    let index = Price::from_inner(cents * 10u128.pow(16));
    let now = view.now;
    for market in view.markets.iter_mut().filter(|m| m.underlying == 0) {
        market.index = index;
        let Some(right) = market.contract.kind.right() else {
            market.mark = index;
            continue;
        };
        let left = market.contract.expiry.saturating_sub(now);
        let volatility = percent[usize::from(market.id - 10)];
        let parts = volatility * volatility * u128::from(left) * 10u128.pow(8);
        market.contract.variance = (parts / (365 * u128::from(DAY))) as u64;
        let begun = SETTLEMENT_MILLIS.saturating_sub(left);
        market.contract.fixed = Price::from_inner(
            index.into_inner() * u128::from(begun) / u128::from(SETTLEMENT_MILLIS),
        );
        let forward = Forward {
            price: index,
            settled: market.contract.fixed,
            left,
        };
        let variance = Price::from_inner(u128::from(market.contract.variance) * VARIANCE_UNIT);
        let strike = price(market.contract.strike.into());
        let mark = option_mark_floor(right, &forward, strike, variance).unwrap();
        market.mark = mark.max(Price::from_inner(10u128.pow(15)));
    }
}

/// Lists the options, which expire in so long, at 100 USD and 60 %.
fn list(left: Millis) {
    close(|view| {
        for (id, right, strike) in OPTIONS {
            let contract = Contract::from(InstrumentKind::Option {
                expiry: view.now + left,
                strike,
                right,
            });
            let market = MarketView {
                underlying: 0,
                imf: 150_000,
                mmf: 100_000,
                contract,
                ..a_market(id)
            };
            view.markets.try_push(market).unwrap();
        }
        set(view, 10_000, [60; 4]);
    });
}

/// Trades at the mark, rounded.
fn trade_at_mark(buyer: u64, seller: u64, market: MarketId, lots: SignedLots) {
    let mark = StoredView::view().market(market).unwrap().mark;
    let ticks = (mark.into_inner() + 5 * 10u128.pow(17)) / 10u128.pow(18);
    trade(buyer, seller, market, lots, ticks as u64);
}

/// The account's cash such that it has so much above its maintenance margin, and in the index.
fn give_slack(owner: u64, slack: Cash) {
    let found = assess(owner);
    StoredLedger::settle(&of(owner), &StoredView::view(), true, |a| {
        a.cash += slack - found.slack().unwrap();
        Ok::<_, LedgerError>(())
    })
    .unwrap();
}

fn by_parts(owner: u64) -> Assessment {
    Linear::assess(&account(owner), &StoredView::view()).unwrap()
}

/// Short ten of the nearer calls against ten of the farther ones.
fn a_spread(owner: u64, slack: Cash) {
    deposit(owner, usd(10_000));
    trade_at_mark(DEALER, owner, 10, 100);
    trade_at_mark(owner, DEALER, 11, 100);
    give_slack(owner, slack);
}

#[test]
fn a_hedge_is_not_liquidated_by_its_parts() {
    new_test_ext().execute_with(|| {
        list(14 * DAY);
        deposit(DEALER, usd(1_000_000));
        a_spread(LONG, usd(50));
        assert!(by_parts(LONG).is_below_maintenance());
        assert_eq!(assess(LONG).scanned, 0b11);
        close(|_| {});
        assert!(!is_queued(LONG));
        let axes: Vec<_> = account(LONG)
            .risk
            .iter()
            .map(|s| (s.axis, s.direction))
            .collect();
        let both = |axis| [(axis, Direction::Down), (axis, Direction::Up)];
        for needed in both(RiskAxis::Index(10))
            .into_iter()
            .chain(both(RiskAxis::Variance(11)))
        {
            assert!(axes.contains(&needed), "{needed:?} in {axes:?}");
        }
        assert!(axes.contains(&(RiskAxis::Expiry(10), Direction::Down)));
    });
}

#[test]
fn a_hedged_portfolio_goes_through_the_remedies_in_their_order() {
    new_test_ext().execute_with(|| {
        list(14 * DAY);
        deposit(DEALER, usd(1_000_000));
        deposit(VAULT, usd(100_000));
        a_spread(LONG, usd(10));
        close(|_| {});
        events();
        let sums = totals();
        let orders = close(|view| set(view, 10_150, [60; 4]));
        // What frees margin is to buy back what is short; its hedge stays.
        assert_eq!(orders.len(), 1, "{:?}", assess(LONG));
        assert_eq!((orders[0].market, orders[0].side), (10, Side::Bid));
        let mark = StoredView::view().market(10).unwrap().mark;
        assert!(price(orders[0].limit.into()) >= Price::from_inner(mark.into_inner() / 2));
        assert!(matches!(standing(LONG), Standing::Liquidating { .. }));
        let mut closes = 0;
        while is_queued(LONG) {
            close(|_| {});
            closes += 1;
            assert!(closes < 100, "it never ends");
        }
        // Five closes in the market, twenty in competition.
        assert!(closes > 20);
        assert_eq!(totals(), sums);
        let all = events();
        let at = |which: fn(&Event<Test>) -> bool| all.iter().position(which);
        let steps = [
            at(|e| matches!(e, Event::LiquidationStarted { .. })),
            at(|e| matches!(e, Event::LiquidationOrderPlaced { .. })),
            at(|e| matches!(e, Event::CompetitionStarted { .. })),
            at(|e| matches!(e, Event::CompetitionEnded { .. })),
            at(|e| matches!(e, Event::TakenOver { .. })),
        ];
        assert!(steps.iter().all(Option::is_some), "{all:?}");
        assert!(steps.is_sorted());
        // The vault has what was short, and what it was hedged by as far as that had to pay.
        assert_eq!(account(VAULT).lots(10), -100);
        assert!(!assess(LONG).is_below_maintenance());
        assert_eq!(standing(LONG), Standing::Good);
    });
}

#[test]
fn the_market_helps_a_hedged_portfolio() {
    new_test_ext().execute_with(|| {
        list(14 * DAY);
        deposit(DEALER, usd(1_000_000));
        a_spread(LONG, usd(10));
        let order = marks(|view| set(view, 10_150, [60; 4]))[0].clone();
        let before = assess(LONG);
        trade(LONG, DEALER, order.market, order.lots as i64, order.limit);
        let after = assess(LONG);
        assert!(after.maintenance < before.maintenance);
        assert!(novate_risk::passes_check(&before, &after));
        waterfall();
    });
}

/// 100 strangles, short a call and a put each of 10 units, through a fall of a quarter with volatilities up from 60 to 96 %.
#[test]
fn a_hundred_short_strangles_are_closed_within_the_reserve_when_the_price_gaps() {
    new_test_ext().execute_with(|| {
        list(14 * DAY);
        deposit(DEALER, usd(10_000_000));
        deposit(VAULT, usd(1_000_000));
        deposit(FUND, usd(100_000));
        MaxPops::set(10_000);
        MaxLiquidations::set(10_000);
        MaxDeleveraged::set(10_000);
        DefaultLossCap::set(Cash::MAX);
        for owner in 100..200 {
            deposit(owner, usd(10_000));
            trade_at_mark(DEALER, owner, 10, 10);
            trade_at_mark(DEALER, owner, 12, 10);
            // From a dollar above its margin to more than twice as much.
            give_slack(owner, usd(owner as i128 - 99));
        }
        close(|_| {});
        assert!((100..200).all(|owner| !is_queued(owner)));
        events();
        let sums = totals();
        let fund = account(FUND).cash;
        marks(|view| set(view, 7_500, [96; 4]));
        assert!((100..200).all(|owner| is_queued(owner)));
        let deficit: Cash = (100..200).map(|owner| -assess(owner).equity.min(0)).sum();
        waterfall();
        let mut closes = 0;
        while crate::Queue::<Test>::count() > 0 {
            close(|_| {});
            closes += 1;
            assert!(closes < 100, "it never ends");
        }
        assert_eq!(totals(), sums);
        assert!((100..200).all(|owner| !assess(owner).is_below_maintenance()));
        let all = events();
        let mut paid = 0;
        for event in &all {
            match event {
                Event::InsurancePaid { paid: by, .. } => paid += by,
                Event::LossShared { .. } | Event::DeficitUncovered { .. } => {
                    panic!("beyond the reserve: {event:?}")
                }
                _ => {}
            }
        }
        // Each quantum that was missing was paid by the fund, and by nobody else.
        assert!(deficit > 0);
        assert_eq!(paid, deficit);
        assert_eq!(fund - account(FUND).cash, deficit);
        assert!(account(FUND).cash > 0);
        assert!((100..200).any(|owner| account(owner).positions.is_empty()));
    });
}

#[derive(Clone, Debug)]
enum Step {
    Trade(u64, usize, i64),
    Slack(u64, i128),
    Close(i128, [i128; 4], u64),
}

fn a_step() -> impl Strategy<Value = Step> {
    let owner = || 10u64..16;
    let by = || -80i128..=80;
    prop_oneof![
        3 => (owner(), 0usize..5, -40i64..40).prop_map(|(o, m, l)| Step::Trade(o, m, l)),
        2 => (owner(), -5i128..200).prop_map(|(o, s)| Step::Slack(o, s)),
        5 => (by(), [by(), by(), by(), by()], prop_oneof![0u64..10_000, 0u64..1_000_000, 0u64..DAY / 4])
            .prop_map(|(p, v, t)| Step::Close(p, v, t)),
    ]
}

proptest! {
    #![proptest_config(cases(24))]

    /// A price, four volatilities and time walk at random, from days to within the last half hour; accounts trade whatever they like.
    #[test]
    fn the_index_misses_nobody_whom_a_scan_margins(
        steps in prop::collection::vec(a_step(), 1..40), left in prop_oneof![Just(SETTLEMENT_MILLIS + 60_000), 1..20 * DAY],
    ) {
        new_test_ext().execute_with(|| {
            list(left + DAY / 100);
            deposit(DEALER, usd(100_000_000));
            deposit(VAULT, usd(100_000));
            for owner in 10..16 {
                deposit(owner, usd(1_000));
            }
            let (mut cents, mut volatility) = (10_000u128, [60u128; 4]);
            for step in steps {
                match step {
                    Step::Trade(owner, market, lots) if lots != 0 && standing(owner) == Standing::Good => {
                        let market = [0, 10, 11, 12, 13][market];
                        trade_at_mark(owner, DEALER, market, lots);
                    }
                    Step::Slack(owner, slack) if standing(owner) == Standing::Good => give_slack(owner, usd(slack)),
                    Step::Close(by, each, passes) => {
                        cents = (cents as i128 * (1_000 + by) / 1_000) as u128;
                        for (volatility, by) in volatility.iter_mut().zip(each) {
                            *volatility = ((*volatility as i128 * (1_000 + by) / 1_000) as u128).clamp(10, 300);
                        }
                        let expiry = StoredView::view().market(10).unwrap().contract.expiry;
                        marks(|view| {
                            view.now = (view.now + passes).min(expiry - 1_000);
                            set(view, cents, volatility);
                        });
                        for owner in 10..16 {
                            prop_assert!(
                                !assess(owner).is_below_maintenance() || is_queued(owner),
                                "{owner} was missed: {:?} {:?}", assess(owner), account(owner)
                            );
                        }
                        waterfall();
                    }
                    _ => {}
                }
            }
            let was_swept = |e: &Event<Test>| matches!(e, Event::FoundBySweep { .. });
            prop_assert!(!events().iter().any(was_swept));
            Ok(())
        })?;
    }
}
