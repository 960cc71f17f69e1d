//! Options by themselves, their marks, and what expires.

use crate::common::*;
use novate_risk::{
    portfolio::{PortfolioParams, Unsigned, VolatilityShock},
    *,
};
use novate_types::*;
use proptest::prelude::*;

const STRIKE: u128 = 60_000;

fn dollars(n: u128) -> Price {
    Price::from_inner(n * 10u128.pow(18))
}

/// An option of the grain of [`bitcoin`]: strike 60,000, IMF 15 %, MMF 10 %.
fn option(id: MarketId, right: OptionRight, mark: Price, forward: Price) -> MarketView {
    MarketView {
        id,
        index: forward,
        imf: 150_000,
        mmf: 100_000,
        contract: Contract::from(InstrumentKind::Option {
            expiry: 1_800_000_000_000,
            strike: 2 * STRIKE as Ticks,
            right,
        }),
        ..bitcoin(mark)
    }
}

fn of_id(id: MarketId, market: MarketView) -> MarketView {
    MarketView { id, ..market }
}

fn either() -> impl Strategy<Value = OptionRight> {
    prop_oneof![Just(OptionRight::Call), Just(OptionRight::Put)]
}

fn forward_of(price: u128, settled: u128, left: Millis) -> Forward {
    Forward {
        price: dollars(price),
        settled: dollars(settled),
        left,
    }
}

/// `σ²T` of a volatility in percent over milliseconds.
fn variance(percent: u128, left: Millis) -> Unsigned {
    let year = 365 * 86_400_000u128;
    Unsigned::from_inner(percent * percent * u128::from(left) * 10u128.pow(14) / year)
}

#[test]
fn an_option_is_marked_as_black_76_says_when_its_mean_is_far_away() {
    // 14 days, 55 %: 892.17869439 for a call at 65,000 on 60,000 (the documentation of `novate_math::black76`). The mean takes 20 minutes
    // of 14 days off the variance, a thousandth: about a dollar.
    let left = 14 * 86_400_000;
    let mark = option_mark_floor(
        OptionRight::Call,
        &forward_of(60_000, 0, left),
        dollars(65_000),
        variance(55, left),
    );
    let mark = mark.unwrap();
    assert!(mark < Price::from_rational(892_178, 1_000));
    assert!(
        mark > Price::from_rational(890_700, 1_000),
        "{mark:?} lost more than its mean takes"
    );
}

#[test]
fn a_mark_is_continuous_when_its_mean_begins() {
    let at = |left| {
        let forward = forward_of(60_000, 0, left);
        let variance = variance(80, left);
        option_mark_floor(OptionRight::Call, &forward, dollars(60_000), variance).unwrap()
    };
    let (before, after) = (at(SETTLEMENT_MILLIS + 1), at(SETTLEMENT_MILLIS));
    assert!(before >= after && before.into_inner() - after.into_inner() < 10u128.pow(14));
}

#[test]
fn what_has_happened_of_the_mean_is_fixed_when_marked() {
    // Two thirds of the mean stand, at 61,500: whatever the rest comes to, the call at 40,000 pays 1,000 at least.
    let settled = 41_000;
    let call = |rest: u128| {
        let forward = forward_of(settled + rest, settled, 600_000);
        let variance = variance(500, 600_000);
        option_mark_floor(OptionRight::Call, &forward, dollars(40_000), variance).unwrap()
    };
    assert_eq!(call(20_500), dollars(21_500));
    assert_eq!(call(0), dollars(1_000));
    // Of one at 60,000 only the rest can decide, and less of it moves the less there is.
    let value = |left: Millis, settled: u128| {
        let forward = forward_of(60_000, settled, left);
        let variance = variance(100, left);
        option_mark_floor(OptionRight::Put, &forward, dollars(60_000), variance).unwrap()
    };
    assert!(value(600_000, 40_000) > value(300_000, 50_000));
    assert_eq!(value(0, 60_000), dollars(0));
}

#[test]
fn options_by_themselves_need_what_worked_numbers_say() {
    let margins = |right, forward, lots: SignedLots| {
        let market = option(1, right, dollars(500), dollars(forward));
        (
            initial_ceil(&market, lots).unwrap(),
            maintenance_ceil(&market, lots).unwrap(),
        )
    };
    // One unit is 10,000 lots. At the money: 15 and 10 % of 60,000, and a dollar.
    let short = |right, forward| margins(right, forward, -10_000);
    assert_eq!(short(OptionRight::Call, 60_000), (usd(9_001), usd(6_001)));
    // 5,000 out of the money: 8,250 − 5,000 is less than 10 % of 55,000, and 5,500 − 5,000 less than 7.5 %.
    assert_eq!(short(OptionRight::Call, 55_000), (usd(5_501), usd(4_126)));
    assert_eq!(
        short(OptionRight::Put, 62_000),
        // 9,300 − 2,000; and 6,200 − 2,000, of which 7.5 % of 62,000 is more.
        (usd(7_301), usd(4_651))
    );
    // A put never costs more than its strike.
    assert_eq!(short(OptionRight::Put, 700_000), (usd(60_001), usd(52_501)));
    // A long one needs what it is worth.
    assert_eq!(
        margins(OptionRight::Call, 60_000, 10_000),
        (usd(500), usd(500))
    );
    assert_eq!(margins(OptionRight::Call, 60_000, 0), (0, 0));
}

#[test]
fn a_premium_moves_in_cash_when_an_option_is_traded() {
    let market = option(1, OptionRight::Call, dollars(500), dollars(60_000));
    let mut buyer = account(usd(1_000), vec![]);
    // 10,000 lots at 500 USD, then half of them back at 600, then through zero at 400.
    apply_trade(&mut buyer, &market, 10_000, usd(500)).unwrap();
    assert_eq!((buyer.cash, buyer.positions[0].cost), (usd(500), 0));
    let sold = apply_trade(&mut buyer, &market, -5_000, usd(-300)).unwrap();
    assert_eq!(sold.realised, usd(300));
    assert_eq!((buyer.cash, buyer.positions[0].cost), (usd(800), 0));
    apply_trade(&mut buyer, &market, -7_500, usd(-300)).unwrap();
    assert_eq!((buyer.cash, buyer.positions[0].cost), (usd(1_100), 0));
    assert_eq!(buyer.lots(1), -2_500);
}

#[test]
fn a_long_option_finances_nothing() {
    let market = option(1, OptionRight::Call, dollars(500), dollars(60_000));
    let view = view(vec![market], vec![]);
    let holder = account(usd(70), vec![position(1, 10_000, 0, 0)]);
    let assessed = Linear::assess(&holder, &view).unwrap();
    assert_eq!(assessed.equity, usd(570));
    assert_eq!(assessed.slack(), Some(usd(70)));
    assert_eq!(assessed.withdrawable, usd(70));
    // Nothing that its price does can hurt.
    let moves = safe_moves(&holder, &view, &assessed).unwrap();
    assert!(moves.iter().all(|m| m.axis == RiskAxis::Funding(1)));
    assert_eq!(liquidation_price(&assessed, &holder, &view, 1), Ok(None));
}

#[test]
fn liquidation_closes_as_much_of_a_short_option_as_is_short() {
    let market = option(1, OptionRight::Call, dollars(1_000), dollars(60_000));
    let view = view(vec![market], vec![]);
    let params = LiquidationParams {
        bankruptcy_adjustment: 1_000_000,
        spread_to_maintenance: 100_000,
        fee: 1_000,
        concession: 4_000,
        target_buffer: 0,
        depth_share: 200_000,
    };
    // Owes 1,000, needs 6,001: 7,001 is enough, and 599.5 less lacks about a tenth of 6,001 − 0.5 % of 1,000.
    let short = account(
        usd(7_001) - usd(1_199) / 2,
        vec![position(1, -10_000, 0, 0)],
    );
    let assessed = Linear::assess(&short, &view).unwrap();
    assert_eq!(assessed.slack(), Some(-usd(1_199) / 2));
    let lots = liquidation_lots::<Linear>(&assessed, &short, &view, 1, &params)
        .unwrap()
        .unwrap();
    assert_eq!(lots, 1_000);
    // Never worse than bankruptcy.
    let limit = liquidation_limit::<Linear>(&assessed, &short, &view, 1, lots, &params).unwrap();
    assert!(
        limit >= 2_000 && limit <= bankruptcy_ticks::<Linear>(&short, &view, 1, 1_000).unwrap()
    );
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn marks_lie_between_intrinsic_value_and_forward_or_strike(
        right in either(),
        price in 1u128..200_000, strike in 1u128..200_000, share in 0u128..100,
        percent in 0u128..400, left in 0u64..100 * 86_400_000,
    ) {
        let settled = if left < SETTLEMENT_MILLIS { price * share / 100 } else { 0 };
        let forward = forward_of(price, settled, left);
        let (strike, volatility) = (dollars(strike), variance(percent, left));
        let mark = option_mark_floor(right, &forward, strike, volatility).unwrap();
        let least = payoff(right, forward.price, strike);
        let most = match right {
            OptionRight::Call => forward.price,
            OptionRight::Put => strike,
        };
        // Rounded down once.
        prop_assert!(mark.into_inner() + 1 >= least.into_inner() && mark <= most);
        // Put–call parity.
        let other = match right {
            OptionRight::Call => OptionRight::Put,
            OptionRight::Put => OptionRight::Call,
        };
        let against = option_mark_floor(other, &forward, strike, volatility).unwrap();
        let carry = payoff(other, forward.price, strike);
        let (a, b) = (mark.into_inner() + carry.into_inner(), against.into_inner() + least.into_inner());
        prop_assert!(a.abs_diff(b) <= 1, "{a} is not {b}");
    }

    #[test]
    fn log_moneyness_has_the_sign_of_the_strikes_distance(forward in 1u128..1 << 40, strike in 1u128..1 << 40) {
        let k = log_moneyness(dollars(forward), dollars(strike)).unwrap().into_inner();
        prop_assert_eq!(k.signum(), (strike as i128 - forward as i128).signum());
        let back = log_moneyness(dollars(strike), dollars(forward)).unwrap().into_inner();
        prop_assert!((k + back).abs() <= 1);
    }

    /// Whatever price, volatility and time do, as long as mark and need of the short option together rise no farther than its threshold.
    #[test]
    fn accounts_with_options_never_come_below_maintenance_within_their_safe_moves(
        rights in (either(), either()),
        lots in (1i64..100_000, 1i64..100_000, -100_000i64..100_000),
        marks in (1u128..9_000, 1u128..9_000),
        forward in 20_000u128..180_000,
        slack in 0i128..50_000 * QUANTUMS,
        after in (0u128..400_000, any::<u64>(), 0u128..400_000),
    ) {
        let mut view = view(
            vec![
                of_id(1, option(1, rights.0, dollars(marks.0), dollars(forward))),
                of_id(2, option(2, rights.1, dollars(marks.1), dollars(forward))),
                of_id(3, bitcoin(dollars(forward))),
            ],
            vec![],
        );
        let mut positions = vec![position(1, -lots.0, 0, 0), position(2, lots.1, 0, 0)];
        if lots.2 != 0 {
            positions.push(position(3, lots.2, 0, 0));
        }
        let mut holder = account(0, positions);
        holder.cash = slack - Linear::assess(&holder, &view).unwrap().slack().unwrap();
        let before = Linear::assess(&holder, &view).unwrap();
        for safe in safe_moves(&holder, &view, &before).unwrap() {
            match (safe.axis, safe.move_) {
                (RiskAxis::Mark(1), Move::Relative(by)) => {
                    let market = view.market_mut(1).unwrap();
                    let most = math::mul_div_floor(
                        hurting_price(market).unwrap().into_inner(),
                        u128::from(RELATIVE_ONE) + u128::from(by),
                        u128::from(RELATIVE_ONE),
                    ).unwrap();
                    // Any forward whose need leaves room, and a mark that uses what it leaves.
                    market.index = dollars(after.0);
                    market.mark = Price::default();
                    let mut need = hurting_price(market).unwrap().into_inner();
                    while need > most {
                        market.index = Price::from_inner(market.index.into_inner() / 2);
                        need = hurting_price(market).unwrap().into_inner();
                    }
                    market.mark = Price::from_inner(most - need);
                }
                (RiskAxis::Mark(3), Move::Relative(by)) => {
                    let market = view.market_mut(3).unwrap();
                    let one = u128::from(RELATIVE_ONE);
                    let parts = if safe.direction == Direction::Down {
                        one.saturating_sub(by.into())
                    } else {
                        one + u128::from(by)
                    };
                    market.mark = Price::from_inner(
                        math::mul_div_ceil(market.mark.into_inner(), parts, one).unwrap()
                            - u128::from(safe.direction == Direction::Up && by > 0),
                    );
                }
                (RiskAxis::Mark(id), _) => prop_assert!(false, "a threshold on market {}", id),
                _ => {}
            }
        }
        // The long one's mark and forward may do what they like.
        let long = view.market_mut(2).unwrap();
        long.mark = Price::from_inner(u128::from(after.1) << 20);
        long.index = dollars(after.2);
        let after = Linear::assess(&holder, &view).unwrap();
        prop_assert!(!after.is_below_maintenance(), "slack {} became {:?}", slack, after.slack());
    }

    #[test]
    fn settling_changes_neither_equity_nor_what_may_leave(
        cash in -1i128 << 50..1 << 50,
        lots in (-1i64 << 30..1 << 30, -1i64 << 30..1 << 30, -1i64 << 20..1 << 20),
        cost in -1i128 << 60..1 << 60,
        funding in any::<i64>(),
        ticks in (0u64..1 << 20, 0u64..1 << 20),
    ) {
        prop_assume!(lots.0 != 0 && lots.1 != 0 && lots.2 != 0);
        let settled = |market: MarketView, ticks| MarketView {
            mark: math::price_of(ticks, market.tick_size).unwrap(),
            contract: Contract { settled: true, ..market.contract },
            funding_index: i128::from(funding) >> 8,
            short_funding_index: i128::from(funding) >> 9,
            ..market
        };
        let future = MarketView {
            contract: InstrumentKind::Future { expiry: 1 }.into(),
            ..bitcoin(dollars(1))
        };
        let view = view(
            vec![
                settled(of_id(1, future), ticks.0),
                settled(of_id(2, option(2, OptionRight::Put, dollars(1), dollars(1))), ticks.1),
                of_id(3, bitcoin(dollars(60_000))),
            ],
            vec![],
        );
        let positions = vec![
            position(1, lots.0, cost, 0),
            position(2, lots.1, 0, 0),
            position(3, lots.2, 0, 0),
        ];
        let mut holder = account(cash, positions);
        let before = Linear::assess(&holder, &view).unwrap();
        prop_assert!(holds_settled(&holder, &view));
        let total = |account: &MarginAccount| {
            account.cash - account.positions.iter().map(|p| p.cost).sum::<Cash>()
        };
        let worth = |id, lots| {
            let market = view.market(id).unwrap();
            let ticks = math::ticks_floor(market.mark, market.tick_size).unwrap();
            math::trade_value(lots, ticks, market.tick_value).unwrap()
        };
        let owned = total(&holder) + worth(1, lots.0) + worth(2, lots.1);
        let booked = booked_cash(&holder, &view).unwrap();
        let all = settle_expired(&mut holder, &view).unwrap();
        prop_assert_eq!(holder.cash, booked);
        let pots: Cash = all.iter().map(|booked| booked.pot).sum();
        let worths = worth(1, lots.0) + worth(2, lots.1);
        // Nothing is missing while others are not booked: the pots have the other side of it, and of what is owed.
        prop_assert_eq!(total(&holder) + pots, owned - worths);
        let lots_booked: Vec<_> = all.iter().map(|booked| (booked.market, booked.lots)).collect();
        prop_assert_eq!(lots_booked, vec![(1, lots.0), (2, lots.1)]);
        prop_assert!(!holds_settled(&holder, &view) && holder.positions.len() == 1);
        prop_assert_eq!(Linear::assess(&holder, &view).unwrap(), before);
        // Twice is once.
        let once = holder.clone();
        prop_assert!(settle_expired(&mut holder, &view).unwrap().is_empty());
        prop_assert_eq!(holder, once);
    }
}

/// A call at 60,000 on a forward of 50,000, a month before its expiry at 60 %.
fn far_call() -> (MarketView, Millis) {
    a_call(60, 30 * 86_400_000)
}

/// The same at so many percent, so long before its expiry.
fn a_call(percent: u128, left: Millis) -> (MarketView, Millis) {
    let variance = variance(percent, left);
    let forward = forward_of(50_000, 0, left);
    let mark = option_mark_floor(OptionRight::Call, &forward, dollars(STRIKE), variance).unwrap();
    let market = option(1, OptionRight::Call, mark, dollars(50_000));
    let contract = Contract {
        variance: (variance.into_inner() / VARIANCE_UNIT) as u64,
        ..market.contract
    };
    (MarketView { contract, ..market }, left)
}

/// The view a month before the expiry, and an account that holds so many lots of the option.
fn holding(market: &MarketView, left: Millis, lots: SignedLots) -> (MarginAccount, RiskView) {
    let position = Position {
        market: market.id,
        lots,
        cost: 0,
        funding_index: 0,
        rank: Default::default(),
    };
    let account = MarginAccount {
        positions: vec![position].try_into().unwrap(),
        ..Default::default()
    };
    let view = RiskView {
        now: market.contract.expiry - left,
        markets: vec![market.clone()].try_into().unwrap(),
        ..Default::default()
    };
    (account, view)
}

fn lost(account: &MarginAccount, view: &RiskView, by: StressMove) -> Cash {
    let exposed = exposures(account, view, PortfolioParams::standard).unwrap();
    stress_loss(&exposed, 0, by).unwrap().over_margin
}

/// What a deviation of so many ppm takes by parts.
fn deviation_by_parts(account: &MarginAccount, view: &RiskView, sigma: Ppm) -> Option<Cash> {
    let exposed = exposures(account, view, PortfolioParams::standard).unwrap();
    let assessed = Linear::assess(account, view).unwrap();
    deviation_ceil(
        account,
        view,
        &assessed,
        &exposed,
        PortfolioParams::standard,
        |_| Some(sigma),
    )
    .unwrap()
}

#[test]
fn a_written_option_is_stressed_at_what_the_move_makes_of_it() {
    let (market, left) = far_call();
    let lots: SignedLots = 10_000;
    let (short, view) = holding(&market, left, -lots);
    let lots = lots.unsigned_abs();
    for percent in [1, 5, 18, 50] {
        let forward = forward_of(50_000 + 500 * percent, 0, left);
        let unit = Unsigned::from_inner(u128::from(market.contract.variance) * VARIANCE_UNIT);
        let after = option_mark_floor(OptionRight::Call, &forward, dollars(STRIKE), unit).unwrap();
        let worth = |price| math::notional_floor(lots, price, market.lot_size).unwrap() as Cash;
        let expected = worth(after) - worth(market.mark);
        let found = lost(
            &short,
            &view,
            StressMove::of_prices(10_000 * percent as i32),
        );
        assert!(
            (0..=2).contains(&(found - expected)),
            "{percent} %: {found} for {expected}"
        );
        // A part of the premium it is not.
        assert!(found > worth(market.mark) * percent as Cash / 100 * 4);
    }
    // A fall pays its writer, and does not pay for anything else.
    assert_eq!(lost(&short, &view, StressMove::of_prices(-180_000)), 0);
}

/// The grid's range of volatility in 50 digits (mpmath): the variance that is left, in parts of what there was, by percent a year and days.
const SHOCKED: [(u128, Millis, VolatilityShock, f64); 7] = [
    (60, 30, VolatilityShock::Up, 2.25),
    (60, 30, VolatilityShock::Down, 0.525625),
    (60, 7, VolatilityShock::Up, 3.14603931935948),
    (60, 7, VolatilityShock::Down, 0.330005114534025),
    (60, 120, VolatilityShock::Up, 2.00943087772217),
    (60, 120, VolatilityShock::Down, 0.593440389198272),
    // None is below 45 % with volatility up, which is the mean's: twenty minutes have no variance.
    (20, 30, VolatilityShock::Up, 5.0648448355720),
];

#[test]
fn an_option_is_stressed_at_the_volatility_that_the_grid_moves_it_to() {
    for (percent, days, shock, times) in SHOCKED {
        let (market, left) = a_call(percent, days * 86_400_000);
        let (short, view) = holding(&market, left, -10_000);
        let after = u128::from(market.contract.variance) as f64 * times;
        let variance = Unsigned::from_inner(after as u128 * VARIANCE_UNIT);
        for by in [-180_000, -45_000, 0, 45_000, 180_000] {
            let forward = Forward {
                price: math::shift_floor(market.index, by.into()).unwrap(),
                settled: Price::default(),
                left,
            };
            let after =
                option_mark_floor(OptionRight::Call, &forward, dollars(STRIKE), variance).unwrap();
            let worth =
                |price| math::notional_floor(10_000, price, market.lot_size).unwrap() as Cash;
            let expected = (worth(after) - worth(market.mark)).max(0);
            let found = lost(&short, &view, StressMove::new(by, shock));
            assert!(
                (found - expected).abs() <= 3 + expected / 10_000_000,
                "{percent} %, {days} days, {by}: {found} for {expected}"
            );
        }
    }
}

#[test]
fn a_short_strangle_lacks_more_when_volatility_rises_with_the_move() {
    let (call, left) = far_call();
    let contract = Contract::from(InstrumentKind::Option {
        expiry: call.contract.expiry,
        strike: 80_000,
        right: OptionRight::Put,
    });
    let put = MarketView {
        contract: Contract {
            variance: call.contract.variance,
            ..contract
        },
        ..of_id(2, call.clone())
    };
    let (mut strangle, mut view) = holding(&call, left, -10_000);
    view.markets.try_push(put).unwrap();
    strangle
        .positions
        .try_push(position(2, -10_000, 0, 0))
        .unwrap();
    for by in [-180_000, -90_000, 90_000, 180_000] {
        let alone = lost(&strangle, &view, StressMove::of_prices(by));
        let up = lost(&strangle, &view, StressMove::new(by, VolatilityShock::Up));
        let down = lost(&strangle, &view, StressMove::new(by, VolatilityShock::Down));
        assert!(down < alone && alone < up, "{by}: {down}, {alone}, {up}");
        // Thousands of dollars a unit, where the price alone takes little.
        assert!(up - alone > usd(1_000), "{by}: {alone}, {up}");
    }
}

#[test]
fn what_has_happened_of_a_settlement_is_stressed_by_no_move() {
    let left = SETTLEMENT_MILLIS / 2;
    let (mut market, _) = a_call(60, left);
    market.index = dollars(STRIKE + 2_000);
    market.contract.fixed = dollars(STRIKE / 2);
    let future = MarketView {
        id: 2,
        mark: market.index,
        contract: Contract {
            fixed: market.contract.fixed,
            ..InstrumentKind::Future {
                expiry: market.contract.expiry,
            }
            .into()
        },
        ..market.clone()
    };
    let (short, view) = holding(&future, left, -10_000);
    // 32,000 of it are open.
    assert_eq!(lost(&short, &view, StressMove::of_prices(10_000)), usd(320));
    // Deep in the money a written call is a future less its strike.
    let (short, view) = holding(&market, left, -10_000);
    for shock in [VolatilityShock::Same, VolatilityShock::Down] {
        let found = lost(&short, &view, StressMove::new(50_000, shock));
        let less = found - usd(1_600);
        assert!(less.abs() < usd(1), "{found}");
    }
}

#[test]
fn a_bought_option_loses_its_value_at_most_and_calls_no_margin() {
    let (market, left) = far_call();
    let (long, view) = holding(&market, left, 10_000);
    let value = math::position_value_floor(10_000, market.mark, market.lot_size).unwrap();
    let all = lost(&long, &view, StressMove::of_prices(-1_000_000));
    assert!((0..=2).contains(&(all - value)), "{all} of {value}");
    let some = lost(&long, &view, StressMove::of_prices(-45_000));
    assert!(0 < some && some < all);
    assert_eq!(lost(&long, &view, StressMove::of_prices(180_000)), 0);
    assert_eq!(deviation_by_parts(&long, &view, 50_000), None);
    // Nor does one that has settled, which is cash.
    let mut settled = view.clone();
    settled.markets[0].contract.settled = true;
    assert_eq!(
        exposures(&long, &settled, PortfolioParams::standard),
        Ok(vec![])
    );
}

#[test]
fn a_deviation_takes_from_a_writer_what_value_and_need_rise_by() {
    let (market, left) = far_call();
    let (short, view) = holding(&market, left, -10_000);
    let slack = |ppm| {
        let moved = moved_option(&market, OptionRight::Call, left, ppm).unwrap();
        let mut view = view.clone();
        view.markets[0] = moved;
        Linear::assess(&short, &view).unwrap().slack().unwrap()
    };
    for sigma in [10_000, 50_000, 100_000] {
        let found = deviation_by_parts(&short, &view, sigma).unwrap();
        let expected = slack(0) - slack(sigma as i32).min(slack(-(sigma as i32)));
        assert!((found - expected).abs() <= 4, "{found} for {expected}");
    }
}
