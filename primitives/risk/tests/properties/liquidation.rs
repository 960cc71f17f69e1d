//! Bankruptcy and fillable prices, sizes and the liquidation price.

use crate::common::*;
use novate_risk::*;
use novate_types::*;
use primitive_types::U256;
use proptest::prelude::*;
use std::cmp::Reverse;

const PARAMS: LiquidationParams = LiquidationParams {
    bankruptcy_adjustment: 1_000_000,
    spread_to_maintenance: 500_000,
    fee: 500,
    concession: 2_000,
    target_buffer: 100_000,
    depth_share: 200_000,
};

fn assess(account: &MarginAccount, view: &RiskView) -> Assessment {
    Linear::assess(account, view).unwrap()
}

/// A part of the first position, in the direction that reduces it.
fn reduction(account: &MarginAccount, part: u64) -> Option<(MarketId, SignedLots)> {
    let held = account.positions.first()?;
    let size = u128::from(held.lots.unsigned_abs());
    let lots = (size * u128::from(part)).div_ceil(1_000_000).clamp(1, size) as i64;
    Some((held.market, -held.lots.signum() * lots))
}

fn short_of_margin() -> impl Strategy<Value = (RiskView, MarginAccount)> {
    (any_case(), -500_000i128..1_000_000).prop_map(|((view, mut account), part)| {
        let start = assess(&account, &view);
        let equity = start.maintenance * part / 1_000_000;
        account.cash += equity - start.equity;
        (view, account)
    })
}

#[test]
fn fillable_price_follows_the_rule_on_worked_numbers() {
    // 1 BTC at 50,000: MM 1,500, at most 50 % of it (750 USD) away from the mark.
    let view = view(vec![bitcoin(Price::from_u32(50_000))], vec![]);
    let limit = |lots: SignedLots, equity: Cash| {
        let cost = usd(5) * i128::from(lots);
        let holder = account(equity, vec![position(1, lots, cost, 0)]);
        fillable_ticks(&assess(&holder, &view), &holder, &view, 1, &PARAMS).unwrap()
    };
    assert_eq!(limit(10_000, usd(1_500)), 100_000);
    assert_eq!(limit(10_000, usd(750)), 2 * (50_000 - 375));
    assert_eq!(limit(10_000, 0), 2 * (50_000 - 750));
    assert_eq!(limit(10_000, usd(-9_000)), 2 * (50_000 - 750));
    assert_eq!(limit(-10_000, usd(750)), 2 * (50_000 + 375));
    assert_eq!(limit(10_000, usd(750) - 1), 2 * (50_000 - 375));
    assert_eq!(limit(-10_000, usd(750) + 1), 2 * (50_000 + 375) - 1);
}

#[test]
fn limit_of_an_order_is_never_beyond_bankruptcy() {
    let view = view(vec![bitcoin(Price::from_u32(50_000))], vec![]);
    for (equity, ticks) in [
        (usd(750), 2 * (50_000 - 375)),
        (usd(100), 2 * (50_000 - 100)),
    ] {
        let holder = account(equity, vec![position(1, 10_000, usd(50_000), 0)]);
        let assessment = assess(&holder, &view);
        let limit =
            |lots| liquidation_limit::<Linear>(&assessment, &holder, &view, 1, lots, &PARAMS);
        assert_eq!(limit(10_000), Ok(ticks));
        assert_eq!(limit(10_001), Err(RiskError::Underflow));
    }
}

#[test]
fn bankruptcy_price_closes_a_whole_account_at_zero_on_worked_numbers() {
    let view = view(vec![bitcoin(Price::from_u32(50_000))], vec![]);
    let long = account(usd(600), vec![position(1, 10_000, usd(50_000), 0)]);
    assert_eq!(
        bankruptcy_value::<Linear>(&long, &view, 1, -10_000),
        Ok(usd(-49_400))
    );
    assert_eq!(
        bankruptcy_ticks::<Linear>(&long, &view, 1, -10_000),
        Ok(98_800)
    );
    let short = account(usd(600), vec![position(1, -10_000, usd(-50_000), 0)]);
    assert_eq!(
        bankruptcy_value::<Linear>(&short, &view, 1, 5_000),
        Ok(usd(25_300))
    );
    assert_eq!(
        bankruptcy_ticks::<Linear>(&short, &view, 1, 5_000),
        Ok(101_200)
    );
}

#[test]
fn bankruptcy_limit_is_zero_when_no_price_or_any_price_will_do() {
    let view = view(vec![bitcoin(Price::from_u32(50_000))], vec![]);
    let lost = account(usd(-60_000), vec![position(1, -10_000, usd(-50_000), 0)]);
    assert_eq!(bankruptcy_ticks::<Linear>(&lost, &view, 1, 10_000), Ok(0));
    let rich = account(usd(60_000), vec![position(1, 10_000, usd(50_000), 0)]);
    assert_eq!(bankruptcy_ticks::<Linear>(&rich, &view, 1, -10_000), Ok(0));
    assert_eq!(bankruptcy_ticks::<Linear>(&rich, &view, 1, 0), Ok(0));
}

#[test]
fn bankruptcy_price_is_refused_when_the_change_raises_margin() {
    let view = view(vec![bitcoin(Price::from_u32(50_000))], vec![]);
    let long = account(0, vec![position(1, 10, 0, 0)]);
    assert_eq!(
        bankruptcy_value::<Linear>(&account(0, vec![]), &view, 1, 1),
        Err(RiskError::Underflow)
    );
    assert_eq!(
        bankruptcy_value::<Linear>(&long, &view, 1, 10),
        Err(RiskError::Underflow)
    );
    assert_eq!(
        bankruptcy_value::<Linear>(&long, &view, 1, -100),
        Err(RiskError::Underflow)
    );
    assert_eq!(
        bankruptcy_value::<Linear>(&long, &view, 2, -1),
        Err(RiskError::UnknownMarket(2))
    );
}

#[test]
fn liquidation_closes_what_brings_the_account_to_target_on_worked_numbers() {
    // 10 BTC, MM 15,000, equity 14,500, target 16,500: 2,000 short; a BTC frees 50,000 · (3.3 % − 0.25 %) = 1,525.
    let view = view(vec![bitcoin(Price::from_u32(50_000))], vec![]);
    let lots = |equity: Cash, p: &LiquidationParams| {
        let holder = account(equity, vec![position(1, 100_000, usd(500_000), 0)]);
        liquidation_lots::<Linear>(&assess(&holder, &view), &holder, &view, 1, p)
    };
    assert_eq!(lots(usd(14_500), &PARAMS), Ok(Some(13_115)));
    assert_eq!(lots(usd(16_500), &PARAMS), Ok(Some(0)));
    assert_eq!(lots(usd(-90_000), &PARAMS), Ok(Some(100_000)));
    // Giving way by the whole margin frees nothing.
    let dear = LiquidationParams {
        concession: 33_000,
        ..PARAMS
    };
    assert_eq!(lots(usd(14_500), &dear), Ok(None));
    let empty = account(0, vec![]);
    assert_eq!(
        liquidation_lots::<Linear>(&assess(&empty, &view), &empty, &view, 1, &PARAMS),
        Ok(None)
    );
}

#[test]
fn liquidation_leaves_no_dust() {
    let view = view(vec![bitcoin(Price::from_u32(50_000))], vec![]);
    // 8 lots are 40 USD: 1.20 of margin; 6 would be at the least margin.
    let holder = account(usd(1), vec![position(1, 8, usd(40), 0)]);
    assert_eq!(
        liquidation_lots::<Linear>(&assess(&holder, &view), &holder, &view, 1, &PARAMS),
        Ok(Some(8))
    );
}

#[test]
fn slice_is_a_share_of_depth_but_never_nothing() {
    assert_eq!(slice_to_depth(1_000, 500, &PARAMS), Ok(100));
    assert_eq!(slice_to_depth(50, 500, &PARAMS), Ok(50));
    assert_eq!(slice_to_depth(50, 0, &PARAMS), Ok(1));
    assert_eq!(slice_to_depth(0, 500, &PARAMS), Ok(0));
}

#[test]
fn least_slice_is_worth_the_least_notional() {
    let least = |usd_: u32, min_notional| {
        let market = MarketView {
            min_notional,
            ..bitcoin(Price::from_u32(usd_))
        };
        let lots = least_slice(&market).unwrap();
        let worth = |lots| math::notional_floor(lots, market.mark, market.lot_size).unwrap();
        assert!(worth(lots) >= min_notional.unsigned_abs());
        assert!(lots == 1 || worth(lots - 1) < min_notional.unsigned_abs());
        lots
    };
    // A lot is 0.0001 bitcoin: 5 USD at 50,000.
    assert_eq!(least(50_000, usd(10)), 2);
    assert_eq!(least(50_000, usd(11)), 3);
    assert_eq!(least(50_000, 0), 1);
}

#[test]
fn liquidation_price_is_where_equity_meets_margin_on_worked_numbers() {
    let view = view(vec![bitcoin(Price::from_u32(50_000))], vec![]);
    let price = |lots: SignedLots, cash: Cash| {
        let cost = usd(5) * i128::from(lots);
        let holder = account(cash, vec![position(1, lots, cost, 0)]);
        liquidation_price(&assess(&holder, &view), &holder, &view, 1).unwrap()
    };
    // (50,000 − 6,350) / (1 − 3 %) = 45,000 and (50,000 + 6,650) / (1 + 3 %) = 55,000.
    assert_eq!(price(10_000, usd(6_350)), Some(Price::from_u32(45_000)));
    assert_eq!(price(-10_000, usd(6_650)), Some(Price::from_u32(55_000)));
    assert_eq!(price(10_000, usd(50_000)), None);
    assert_eq!(price(10_000, usd(100)), Some(Price::from_u32(50_000)));
    let empty = account(0, vec![]);
    assert_eq!(
        liquidation_price(&assess(&empty, &view), &empty, &view, 1),
        Ok(None)
    );
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn trade_at_bankruptcy_leaves_equity_over_margin_no_lower_and_a_quantum_worse_does(
        (view, account) in any_case(), part in 1u64..=1_000_000,
    ) {
        let Some((id, lots)) = reduction(&account, part) else { return Ok(()) };
        let market = view.market(id).unwrap();
        let before = assess(&account, &view);
        let value = bankruptcy_value::<Linear>(&account, &view, id, lots).unwrap();
        let at = |value| {
            let mut traded = account.clone();
            apply_trade(&mut traded, market, lots, value).unwrap();
            assess(&traded, &view)
        };
        let no_lower = |after: &Assessment| {
            exact_product(after.equity, before.maintenance)
                >= exact_product(before.equity, after.maintenance)
        };
        let after = at(value);
        prop_assert!(no_lower(&after));
        prop_assert!(!no_lower(&at(value + 1)));
        prop_assert!(after.maintenance == before.maintenance || passes_check(&before, &after));
        if after.maintenance == 0 {
            prop_assert_eq!(after.equity, 0);
        }
    }

    #[test]
    fn bankruptcy_limit_is_the_last_tick_that_is_not_worse(
        (view, account) in any_case(), part in 1u64..=1_000_000,
    ) {
        let Some((id, lots)) = reduction(&account, part) else { return Ok(()) };
        let market = view.market(id).unwrap();
        let value = bankruptcy_value::<Linear>(&account, &view, id, lots).unwrap();
        let paid = |ticks| math::trade_value(lots, ticks, market.tick_value).unwrap();
        let limit = bankruptcy_ticks::<Linear>(&account, &view, id, lots).unwrap();
        if limit > 0 {
            prop_assert!(paid(limit) <= value);
        }
        if lots > 0 {
            prop_assert!(paid(limit + 1) > value);
        } else if limit > 0 {
            prop_assert!(paid(limit - 1) > value);
        } else {
            prop_assert!(paid(0) <= value);
        }
    }

    #[test]
    fn fillable_price_lies_between_mark_and_spread_and_gives_way_as_equity_falls(
        (view, account) in short_of_margin(), less in 0i128..1 << 50,
    ) {
        let Some(held) = account.positions.first().copied() else { return Ok(()) };
        let market = view.market(held.market).unwrap();
        let ticks = |account: &MarginAccount| {
            fillable_ticks(&assess(account, &view), account, &view, held.market, &PARAMS).unwrap()
        };
        let now = ticks(&account);
        let poorer = ticks(&MarginAccount { cash: account.cash - less, ..account.clone() });
        let value = math::position_value_floor(held.lots, market.mark, market.lot_size).unwrap();
        let spread = maintenance_ceil(market, held.lots).unwrap() / 2;
        let paid = |ticks| math::trade_value(-held.lots, ticks, market.tick_value).unwrap();
        prop_assert!(now == 0 || paid(now) + value <= spread);
        if held.lots > 0 {
            prop_assert!(poorer <= now);
            prop_assert!(now <= math::ticks_ceil(market.mark, market.tick_size).unwrap());
        } else {
            prop_assert!(poorer >= now);
            prop_assert!(now >= math::ticks_floor(market.mark, market.tick_size).unwrap());
        }
    }

    #[test]
    fn liquidation_reaches_target_or_closes_the_position(
        (view, account) in short_of_margin(),
        fee_ppm in 0u32..1_000, concession in 0u32..5_000, buffer in 0u32..500_000,
    ) {
        let Some(held) = account.positions.first().copied() else { return Ok(()) };
        let p = LiquidationParams { fee: fee_ppm, concession, target_buffer: buffer, ..PARAMS };
        let market = view.market(held.market).unwrap();
        let before = assess(&account, &view);
        let Some(lots) = liquidation_lots::<Linear>(&before, &account, &view, held.market, &p).unwrap() else {
            let net = u64::from(market.mmf) * u64::from(MILLION + buffer) / 1_000_000;
            let notional = math::notional_floor(held.lots.unsigned_abs(), market.mark, market.lot_size);
            let gain = net.saturating_sub(u64::from(fee_ppm + concession));
            prop_assert!(notional.unwrap() * u128::from(gain) < 1_000_000);
            return Ok(());
        };
        let size = held.lots.unsigned_abs();
        prop_assert!(lots > 0 && lots <= size);
        let target = |a: &Assessment| a.maintenance + a.maintenance * i128::from(buffer) / 1_000_000;
        let after = |lots: u64| {
            let change = -held.lots.signum() * lots as i64;
            let worth = math::position_value_floor(change, market.mark, market.lot_size).unwrap();
            let gone = worth.abs() * i128::from(fee_ppm + concession) / 1_000_000;
            let mut closed = account.clone();
            apply_trade(&mut closed, market, change, worth + gone).unwrap();
            assess(&closed, &view)
        };
        if lots < size {
            let reached = after(lots);
            prop_assert!(reached.equity + 8 >= target(&reached));
            // And no more than that, where the net rate is not itself lost in parts per million.
            let net = u64::from(market.mmf) * u64::from(MILLION + buffer) / 1_000_000;
            let fewer = (lots - lots / 1_000).saturating_sub(2);
            if fewer > 0 && net > u64::from(fee_ppm + concession) + 10_000 {
                let almost = after(fewer);
                prop_assert!(almost.equity - 8 < target(&almost));
            }
        }
    }

    #[test]
    fn liquidation_price_is_where_the_account_stands_at_margin((view, mut account) in any_case(), part in 1u32..900_000) {
        let Some(held) = account.positions.first().copied() else { return Ok(()) };
        let start = assess(&account, &view);
        let market = view.market(held.market).unwrap();
        prop_assume!(market.mmf > 100);
        prop_assume!(maintenance_ceil(market, held.lots).unwrap() > usd(1_000));
        let notional = math::notional_floor(held.lots.unsigned_abs(), market.mark, market.lot_size).unwrap() as i128;
        account.cash += notional / 1_000_000 * i128::from(part) - start.slack().unwrap();
        let before = assess(&account, &view);
        let Some(price) = liquidation_price(&before, &account, &view, held.market).unwrap() else {
            prop_assert!(held.lots > 0);
            return Ok(());
        };
        let mut there = view.clone();
        there.markets.iter_mut().find(|m| m.id == held.market).unwrap().mark = price;
        let after = assess(&account, &there);
        prop_assume!(maintenance_ceil(there.market(held.market).unwrap(), held.lots).unwrap() > usd(1));
        prop_assert!(after.slack().unwrap().abs() <= 10 + notional / 1_000_000_000);
    }
}

/// A product of either sign, exact, in an order that compares.
fn exact_product(a: i128, b: i128) -> I256 {
    let magnitude = U256::from(a.unsigned_abs()) * U256::from(b.unsigned_abs());
    if (a < 0) != (b < 0) && !magnitude.is_zero() {
        I256::Below(Reverse(magnitude))
    } else {
        I256::AtLeastZero(magnitude)
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum I256 {
    Below(Reverse<U256>),
    AtLeastZero(U256),
}
