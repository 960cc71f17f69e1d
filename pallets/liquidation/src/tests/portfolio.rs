//! Accounts whose options are margined by scan: found by the index whatever price, volatility and time do, and taken through the remedies in
//! their order.

use super::*;
use crate::{meter::Size, Event, Pallet, Tightenings, Work};
use novate_risk::{option_mark_floor, Forward, Linear, SETTLEMENT_MILLIS, VARIANCE_UNIT};
use proptest::prelude::*;

pub(super) const DAY: Millis = 86_400_000;
/// Calls and puts on market 0's underlying: id, right, strike.
const OPTIONS: [(MarketId, OptionRight, Ticks); 4] = [
    (10, OptionRight::Call, 110),
    (11, OptionRight::Call, 130),
    (12, OptionRight::Put, 90),
    (13, OptionRight::Put, 70),
];
/// Across from everybody.
pub(super) const DEALER: u64 = 50;

/// Market 0 at `cents`, its options on volatilities of `percent` a year each.
pub(super) fn set(view: &mut RiskView, cents: u128, percent: [u128; 4]) {
    set_each(view, cents, |id| percent[usize::from(id - 10)]);
}

fn set_each(view: &mut RiskView, cents: u128, percent: impl Fn(MarketId) -> u128) {
    let index = Price::from_inner(cents * 10u128.pow(16));
    let now = view.now;
    for market in view.markets.iter_mut().filter(|m| m.underlying == 0) {
        market.index = index;
        let Some(right) = market.contract.kind.right() else {
            market.mark = index;
            continue;
        };
        let left = market.contract.expiry.saturating_sub(now);
        let volatility = percent(market.id);
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
pub(super) fn list(left: Millis) {
    list_all(left, &OPTIONS);
}

fn list_all(left: Millis, options: &[(MarketId, OptionRight, Ticks)]) {
    close(|view| {
        for (id, right, strike) in options.iter().copied() {
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
        set_each(view, 10_000, |_| 60);
    });
}

/// Trades at the mark, rounded.
pub(super) fn trade_at_mark(buyer: u64, seller: u64, market: MarketId, lots: SignedLots) {
    let mark = StoredView::view().market(market).unwrap().mark;
    let ticks = (mark.into_inner() + 5 * 10u128.pow(17)) / 10u128.pow(18);
    trade(buyer, seller, market, lots, ticks as u64);
}

/// The account's cash such that it has so much above its maintenance margin, and in the index.
pub(super) fn give_slack(owner: u64, slack: Cash) {
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
pub(super) fn a_spread(owner: u64, slack: Cash) {
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
fn whoever_another_grid_leaves_below_is_found_without_a_sweep() {
    new_test_ext().execute_with(|| {
        let factor = |tenths| ScanFactor::set(sp_runtime::FixedU128::from_rational(tenths, 10));
        factor(1);
        list(14 * DAY);
        deposit(DEALER, usd(1_000_000));
        a_spread(LONG, usd(450));
        a_spread(SHORT, usd(20_000));
        close(|_| {});
        assert!(!is_queued(LONG) && assess(LONG).scanned != 0);
        factor(8);
        assert!(assess(LONG).is_below_maintenance() && !assess(SHORT).is_below_maintenance());
        // No price has crossed its thresholds.
        assert!(Liquidation::do_try_state().is_err());
        <Liquidation as Liquidations<u64>>::rules_changed();
        assert!(Liquidation::do_try_state().is_ok());
        events();
        close(|_| {});
        let started = |event| match event {
            Event::LiquidationStarted { account, .. } => Some(account.owner),
            _ => None,
        };
        let started: Vec<_> = events().into_iter().filter_map(started).collect();
        assert_eq!(started, [LONG]);
        // Whoever stays waits for the next.
        let waits = |s: &&RiskSlot| s.axis == RiskAxis::Parameters;
        let slot = *account(SHORT).risk.iter().find(waits).unwrap();
        assert_eq!(
            (crate::scale::step(slot.bucket), Tightenings::<Test>::get()),
            (2, 1)
        );
    });
}

/// As many options as an account can hold: short a nearer call, long a farther one, and so on.
pub(super) fn the_largest(owner: u64, slack: Cash) {
    let options: Vec<_> = (0..MAX_POSITIONS as MarketId)
        .map(|n| (10 + n, OptionRight::Call, Ticks::from(102 + n)))
        .collect();
    list_all(14 * DAY, &options);
    deposit(DEALER, usd(10_000_000));
    deposit(owner, usd(10_000));
    for (id, ..) in options {
        match id % 2 {
            0 => trade_at_mark(DEALER, owner, id, 10),
            _ => trade_at_mark(owner, DEALER, id, 10),
        }
    }
    give_slack(owner, slack);
}

#[test]
fn the_largest_portfolio_is_looked_at_in_a_calm_close_and_while_a_queue_presses() {
    for presses in [false, true] {
        new_test_ext().execute_with(|| {
            the_largest(LONG, usd(1_000));
            let found = assess(LONG);
            assert_eq!(found.scanned, u32::MAX);
            close(|_| {});
            let size = Size::of(&account(LONG), &StoredView::view());
            assert_eq!(size.more, 4 * MAX_POSITIONS);
            // Two each way of a variance and of the one forward, a funding index each, the time, and parameters.
            let slots = account(LONG).risk;
            let scanned = slots
                .iter()
                .filter(|s| !matches!(s.axis, RiskAxis::Mark(_)));
            assert_eq!(scanned.count() as u32, 3 * MAX_POSITIONS + 4);
            // No more than the least of a close that passes the integrity test.
            CalmWork::set(Some(Work {
                pops: MAX_RISK_SLOTS,
                looks: 150,
                liquidations: 100,
                deleveraged: 100,
                ranks: 1,
            }));
            let meter = Pallet::<Test>::calm_meter();
            let least = meter.largest_look() + meter.largest_step();
            assert!(
                (least..least + least / 10).contains(&meter.left()),
                "{} of {least}",
                meter.left()
            );
            if presses {
                deposit(DEALER + 1, usd(1_000_000));
                for owner in 1_000..1_050 {
                    deposit(owner, usd(1_000));
                    trade(owner, DEALER + 1, 1, 10, 100);
                    give_slack(owner, -1);
                }
                assert_eq!(crate::Queue::<Test>::count(), 50);
                crate::Allowance::<Test>::put(meter.left());
            }
            let before = account(LONG).risk;
            marks(|view| set_each(view, 10_200, |_| 62));
            assert!(!is_queued(LONG) && !assess(LONG).is_below_maintenance());
            // Nothing of it is where it was crossed.
            let after = account(LONG).risk;
            assert!(before.iter().any(|slot| !after.contains(slot)));
            assert!(!Pallet::<Test>::is_crossed(
                &account(LONG),
                &StoredView::view()
            ));
            waterfall();
        });
    }
}

#[test]
fn no_account_has_more_thresholds_than_its_size_counts() {
    new_test_ext().execute_with(|| {
        the_largest(LONG, usd(20));
        let holder = account(LONG);
        let size = Size::of(&holder, &StoredView::view());
        let most = 2 * size.holdings + 2 + size.more;
        assert!(holder.risk.len() as u32 <= most && most <= MAX_RISK_SLOTS + 2);
        // A perpetual alone has none of them.
        for owner in [SHORT, DEALER + 1] {
            deposit(owner, usd(1_000));
        }
        trade(SHORT, DEALER + 1, 1, 10, 100);
        assert_eq!(Size::of(&account(SHORT), &StoredView::view()).more, 0);
    });
}

#[test]
fn a_sweep_takes_the_time_of_its_close_for_options_and_waits_where_there_is_none() {
    new_test_ext().execute_with(|| {
        the_largest(LONG, usd(20));
        SweepPerClose::set(10);
        let swept = || {
            crate::Took::<Test>::kill();
            close(|_| {});
            let sweep = crate::Sweeping::<Test>::get().unwrap();
            (sweep.completed, crate::Took::<Test>::get())
        };
        let (completed, took) = swept();
        assert!(completed.is_some());
        // The account and the dealer.
        let each = crate::meter::Meter::<Test>::of(0).more(4 * MAX_POSITIONS);
        assert!(took >= 2 * each);
        // With time for one of them it takes two closes.
        crate::Allowance::<Test>::put(each / 10 * 19);
        let (waits, _) = swept();
        crate::Allowance::<Test>::put(each / 10 * 19);
        let (then, _) = swept();
        assert_eq!(waits, completed);
        assert!(then > completed);
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

/// Thresholds are drawn with what scans will ask for, and who is below that waits for it.
#[test]
fn whoever_a_scan_margins_is_found_at_once_when_scans_follow_volatility() {
    new_test_ext().execute_with(|| {
        SweepPerClose::set(100);
        list(14 * DAY);
        deposit(DEALER, usd(10_000_000));
        for owner in 100..120 {
            a_spread(owner, usd(20 * (owner as i128 - 99)));
        }
        close(|_| {});
        let of_market = |view: &RiskView, id| view.market(id).unwrap().mmf;
        let raised: Vec<_> = OPTIONS
            .iter()
            .map(|(id, ..)| (*id, of_market(&StoredView::view(), *id) * 5 / 4))
            .collect();
        schedule(&raised);
        super::ahead::swept();
        SweepPerClose::set(0);
        let ahead = Pallet::<Test>::view_ahead(&account(100), &StoredView::view());
        let ahead = ahead.unwrap().expect("it holds what changes");
        let added = ahead.market(10).unwrap().contract.scan_added;
        assert!((250_000..251_000).contains(&added), "{added}");
        assert!((100..120).all(|owner| !is_queued(owner)));
        marks(|view| {
            for (id, mmf) in &raised {
                let market = view.market_mut(*id).unwrap();
                market.mmf = *mmf;
                market.contract.scan_added = 250_000;
            }
        });
        let below = |owner: &u64| assess(*owner).is_below_maintenance();
        let many = (100..120).filter(below).count();
        assert!(many > 3 && many < 20, "{many}");
        assert!((100..120).all(|owner| below(&owner) == is_queued(owner)));
        waterfall();
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
        added in prop_oneof![Just(0), Just(250_000), Just(2_000_000)],
    ) {
        new_test_ext().execute_with(|| {
            list(left + DAY / 100);
            close(|view| view.markets.iter_mut().for_each(|m| m.contract.scan_added = added));
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
