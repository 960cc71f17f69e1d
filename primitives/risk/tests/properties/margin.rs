//! The linear model: worked examples, and what holds for every account.

use crate::common::*;
use novate_risk::*;
use novate_types::*;
use proptest::{collection::vec, prelude::*};

fn assess(account: &MarginAccount, view: &RiskView) -> Assessment {
    Linear::assess(account, view).unwrap()
}

#[test]
fn assessment_is_exact_on_worked_numbers() {
    // Long 2 BTC bought at 48,000, mark 50,000; 20,000 USD cash; 1,000 of an asset at 0.9 USD with a 10 % haircut.
    // Funding since: 3 USD a BTC against longs. Two bids of 0.5 BTC at 50,100, one ask of 5 BTC at 50,000, fee 5 bp.
    let mut market = bitcoin(Price::from_u32(50_000));
    market.profit_credit = usd(100);
    market
        .accrue_funding(300i128 << FUNDING_FRACTION_BITS)
        .unwrap();
    let asset = collateral(7, 6, Price::from_rational(9, 10), 100_000);
    let view = view(vec![market.clone()], vec![asset]);
    let mut holder = account(usd(20_000), vec![position(1, 20_000, usd(96_000), 0)]);
    holder.collateral.try_push((7, 1_000_000_000)).unwrap();
    let tier = FeeTier {
        maker_ppm: 0,
        taker_ppm: 500,
    };
    for (side, lots, limit) in [
        (Side::Bid, 5_000, 100_200),
        (Side::Bid, 5_000, 100_200),
        (Side::Ask, 50_000, 100_000),
    ] {
        let reserve = order_reserve(&market, tier, side, lots, limit).unwrap();
        add_order(&mut holder, 1, side, lots, reserve).unwrap();
    }
    assert_eq!(
        assess(&holder, &view),
        Assessment {
            // 20,000 + (100,000 − 96,000 − 6) + 810
            equity: usd(24_804),
            initial_equity: usd(24_804),
            initial: usd(5_000),
            // max(2 + 1, 5 − 2) = 3 BTC at 5 %, 2 · (50 + 12.525) + 125 reserved
            initial_with_orders: usd(7_500) + 2 * 62_525_000 + usd(125),
            maintenance: usd(3_000),
            // 20,000 + 810 − 6 − 7,750.05: profit does not leave, funding is due
            withdrawable: usd(20_804) - usd(7_750) - 50_000,
            notional: usd(100_000),
            // 103,000 of the position and 810; and one quantum of value dropped, with its margin
            exposure: usd(103_810) + 2,
            deviation: 0,
            scanned: 0,
            fresh: true,
            long_options: 0,
        }
    );
}

#[test]
fn unrealised_profit_supports_its_own_margin_and_the_credit_only() {
    let mut market = bitcoin(Price::from_u32(50_000));
    market.profit_credit = usd(100);
    let view = view(vec![market], vec![]);
    // One BTC bought at 10,000: 40,000 of profit, 2,500 of own margin.
    let rich = assess(
        &account(0, vec![position(1, 10_000, usd(10_000), 0)]),
        &view,
    );
    assert_eq!(rich.equity, usd(40_000));
    assert_eq!(rich.initial_equity, usd(2_600));
    assert_eq!(rich.withdrawable, 0);
    // One bought at 90,000: the loss counts in full.
    let poor = assess(
        &account(0, vec![position(1, 10_000, usd(90_000), 0)]),
        &view,
    );
    assert_eq!(
        (poor.equity, poor.initial_equity),
        (usd(-40_000), usd(-40_000))
    );
}

#[test]
fn funding_due_is_not_paid_by_profit_that_may_not_support_margin() {
    // The same profit, and 1,000 of funding due: cash covers it now or at the next settlement, initial equity is the same.
    let mut market = bitcoin(Price::from_u32(50_000));
    let per_lot = (usd(1_000) << FUNDING_FRACTION_BITS) / 10_000;
    market.accrue_funding(per_lot).unwrap();
    let view = view(vec![market.clone()], vec![]);
    let mut holder = account(usd(4_000), vec![position(1, 10_000, usd(10_000), 0)]);
    let before = assess(&holder, &view);
    assert_eq!(settle_funding(&mut holder, &market), Ok(usd(1_000)));
    let after = assess(&holder, &view);
    assert_eq!(before, after);
    assert_eq!(
        (after.initial_equity, after.withdrawable),
        (usd(5_500), usd(500))
    );
}

#[test]
fn dust_needs_one_dollar() {
    let view = view(vec![bitcoin(Price::from_u32(50_000))], vec![]);
    let dust = assess(&account(0, vec![position(1, -1, -usd(5), 0)]), &view);
    assert_eq!(
        (dust.maintenance, dust.initial, dust.notional),
        (usd(1), usd(1), usd(5))
    );
}

#[test]
fn losses_net_against_profit_of_the_same_underlying_alone_when_withdrawing() {
    let far = bitcoin(Price::from_u32(50_000));
    let near = MarketView {
        id: 2,
        ..far.clone()
    };
    let other = MarketView {
        id: 2,
        underlying: 9,
        ..far.clone()
    };
    let hedged = account(
        usd(10_000),
        vec![
            position(1, 10_000, usd(47_000), 0),
            position(2, -10_000, -usd(47_000), 0),
        ],
    );
    let same = assess(&hedged, &view(vec![far.clone(), near], vec![]));
    let apart = assess(&hedged, &view(vec![far, other], vec![]));
    // The profit of 3,000 supports its own margin of 2,500, the loss counts in full.
    assert_eq!(same.withdrawable, usd(4_500));
    assert_eq!(apart.withdrawable, usd(2_000));
}

#[test]
fn assessment_names_what_the_view_lacks() {
    let empty = view(vec![], vec![]);
    let long = account(0, vec![position(4, 1, 0, 0)]);
    assert_eq!(
        Linear::assess(&long, &empty),
        Err(RiskError::UnknownMarket(4))
    );
    let mut bidder = MarginAccount::default();
    add_order(&mut bidder, 5, Side::Bid, 1, 0).unwrap();
    assert_eq!(
        Linear::assess(&bidder, &empty),
        Err(RiskError::UnknownMarket(5))
    );
    let mut holder = MarginAccount::default();
    holder.collateral.try_push((6, 0)).unwrap();
    assert_eq!(
        Linear::assess(&holder, &empty),
        Err(RiskError::UnknownCollateral(6))
    );
}

#[test]
fn assessment_is_fresh_only_when_everything_held_is() {
    let market = bitcoin(Price::from_u32(50_000));
    let asset = collateral(7, 6, Price::from_u32(1), 0);
    let fresh = |market_fresh, asset_fresh, holds_asset: bool| {
        let market = MarketView {
            fresh: market_fresh,
            ..market.clone()
        };
        let asset = CollateralView {
            fresh: asset_fresh,
            ..asset.clone()
        };
        let mut holder = account(0, vec![position(1, 1, 0, 0)]);
        if holds_asset {
            holder.collateral.try_push((7, 1)).unwrap();
        }
        assess(&holder, &view(vec![market], vec![asset])).fresh
    };
    assert!(fresh(true, true, true) && fresh(true, false, false));
    assert!(!fresh(false, true, true) && !fresh(true, false, true));
}

#[test]
fn plain_account_withdraws_all_its_cash() {
    let all = assess(&account(usd(7), vec![]), &view(vec![], vec![]));
    assert_eq!((all.withdrawable, all.fresh), (usd(7), true));
    assert_eq!(
        assess(&account(-usd(7), vec![]), &view(vec![], vec![])).withdrawable,
        0
    );
}

#[test]
fn effective_imf_is_exact_on_worked_numbers() {
    let tier = RiskTier {
        imf: 200_000,
        mmf: 100_000,
        open_interest_lower: usd(1_000),
        open_interest_upper: usd(2_000),
        profit_credit: 0,
        impact_notional: 0,
        mark_band: 0,
        price_band: 0,
        call_blocks: 0,
        edge_blocks: 0,
    };
    assert_eq!(effective_imf(&tier, usd(1_000), 0), Ok(200_000));
    assert_eq!(effective_imf(&tier, usd(1_500), 0), Ok(600_000));
    assert_eq!(effective_imf(&tier, usd(1_000) + 1, 0), Ok(200_001));
    assert_eq!(effective_imf(&tier, usd(2_000), 0), Ok(1_000_000));
    assert_eq!(effective_imf(&tier, 0, 50_000), Ok(250_000));
    assert_eq!(effective_imf(&tier, usd(1_500), u32::MAX), Ok(1_000_000));
    let shut = RiskTier {
        open_interest_upper: usd(1_000),
        ..tier
    };
    assert_eq!(effective_imf(&shut, usd(1_000), 0), Ok(200_000));
    assert_eq!(effective_imf(&shut, usd(1_001), 0), Ok(1_000_000));
}

#[test]
fn check_refuses_a_loss_below_zero_when_margin_does_not_fall() {
    let flat = |equity| Assessment {
        equity,
        initial_equity: equity,
        ..Assessment::default()
    };
    assert!(!passes_check(&flat(5), &flat(-1)));
    assert!(!passes_check(&flat(-1), &flat(-5)));
    assert!(passes_check(&flat(-1), &flat(5)));
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn assessment_keeps_its_order_for_every_account((view, account) in any_case()) {
        let a = assess(&account, &view);
        prop_assert!(a.initial_equity <= a.equity);
        prop_assert!(a.maintenance <= a.initial);
        prop_assert!(a.initial <= a.initial_with_orders);
        prop_assert!(a.withdrawable >= 0 && a.withdrawable <= account.cash.max(0));
        prop_assert!(a.maintenance >= usd(1) * account.positions.len() as i128);
    }

    #[test]
    fn settling_funding_keeps_equity_and_never_lowers_what_supports_margin((view, account) in any_case()) {
        let before = assess(&account, &view);
        let mut settled = account;
        for market in &view.markets {
            settle_funding(&mut settled, market).unwrap();
        }
        let after = assess(&settled, &view);
        prop_assert_eq!(after.equity, before.equity);
        prop_assert!(after.initial_equity >= before.initial_equity);
        prop_assert!(after.withdrawable >= before.withdrawable.min(settled.cash));
        prop_assert_eq!(after.initial_with_orders, before.initial_with_orders);
    }

    #[test]
    fn withdrawing_all_that_may_leave_keeps_margin_covered_and_a_quantum_more_does_not(
        (view, account) in any_case(),
    ) {
        let before = assess(&account, &view);
        prop_assume!(before.withdrawable > 0);
        let after = |amount| {
            let left = MarginAccount { cash: account.cash - amount, ..account.clone() };
            assess(&left, &view)
        };
        let all = after(before.withdrawable);
        prop_assert!(all.covers_orders() && !all.is_below_maintenance());
        prop_assert_eq!(all.withdrawable, 0);
        let rest = account.cash - before.withdrawable;
        prop_assert!(rest == 0 || after(before.withdrawable - 1).withdrawable == 1);
    }

    #[test]
    fn collateral_never_falls_when_price_or_amount_rises(
        view in any_collateral(1),
        amount in 0u128..1 << 80,
        more in 0u128..1 << 70,
        dearer in 0u128..1 << 80,
    ) {
        let value = collateral_value(&view, amount).unwrap();
        let mut up = view.clone();
        up.price = Price::from_inner(view.price.into_inner() + dearer);
        prop_assert!(collateral_value(&up, amount).unwrap() >= value);
        prop_assert!(collateral_value(&view, amount + more).unwrap() >= value);
        prop_assert!(value >= 0 && value <= view.params.value_cap);
        let whole = math::asset_value_floor(amount, view.params.decimals, view.price).unwrap();
        prop_assert!(value as u128 <= whole);
        up.price = Price::from_inner(0);
        prop_assert_eq!(collateral_value(&up, amount).unwrap(), 0);
    }

    #[test]
    fn collateral_loses_at_most_its_share_when_the_price_falls(
        view in any_collateral(1),
        amount in 0u128..1 << 80,
        left in 0u128..=1_000_000,
    ) {
        let value = collateral_value(&view, amount).unwrap();
        let mut down = view.clone();
        down.price = Price::from_inner((view.price.into_inner() * left).div_ceil(1_000_000));
        let fallen = collateral_value(&down, amount).unwrap();
        prop_assert!((fallen + ROUNDING_PER_COLLATERAL) * 1_000_000 >= value * left as i128);
    }

    #[test]
    fn effective_imf_never_falls_as_open_interest_or_add_ons_rise(
        imf in 0u32..=MILLION, lower in 0i128..1 << 60, width in 0i128..1 << 60,
        open in 0i128..1 << 61, more in 0i128..1 << 60, add_on in 0u32..MILLION, extra in 0u32..MILLION,
    ) {
        let tier = RiskTier {
            imf, mmf: 0, open_interest_lower: lower, open_interest_upper: lower + width,
            profit_credit: 0, impact_notional: 0, mark_band: 0, price_band: 0, call_blocks: 0, edge_blocks: 0,
        };
        let base = effective_imf(&tier, open, add_on).unwrap();
        prop_assert!(effective_imf(&tier, open + more, add_on + extra).unwrap() >= base);
        prop_assert!(base <= MILLION && base >= imf.max(add_on.min(MILLION)));
        if open < lower + width && open > lower && add_on == 0 {
            let exact = i128::from(imf) * width + i128::from(MILLION - imf) * (open - lower);
            prop_assert!(i128::from(base) * width >= exact && (i128::from(base) - 1) * width < exact);
        }
    }

    #[test]
    fn check_agrees_with_exact_products_and_never_turns_down_more_equity(
        equity in -1i128 << 60..1 << 60, mm in 0i128..1 << 60,
        equity_after in -1i128 << 60..1 << 60, mm_after in 0i128..1 << 60, more in 0i128..1 << 60,
    ) {
        let before = Assessment { equity, maintenance: mm, ..Assessment::default() };
        let after = |equity| Assessment {
            equity, maintenance: mm_after, initial_equity: -1, ..Assessment::default()
        };
        let expected = mm_after < mm && equity_after * mm >= equity * mm_after;
        prop_assert_eq!(passes_check(&before, &after(equity_after)), expected);
        prop_assert!(!expected || passes_check(&before, &after(equity_after + more)));
        let scaled = |a: Assessment| Assessment {
            equity: a.equity << 64, maintenance: a.maintenance << 64, ..a
        };
        prop_assert_eq!(passes_check(&scaled(before), &scaled(after(equity_after))), expected);
    }

    #[test]
    fn reducing_order_needs_nothing_but_its_reserve(
        (view, account) in any_case(), part in 0u64..=1_000_000, reserve in 0i128..1 << 40,
    ) {
        let Some(held) = account.positions.first().copied() else { return Ok(()) };
        let side = if held.lots > 0 { Side::Ask } else { Side::Bid };
        let size = held.lots.unsigned_abs();
        // Up to twice the position: through zero to its mirror image.
        let lots = (2 * u128::from(size) * u128::from(part) / 1_000_000) as u64;
        let mut ordered = account.clone();
        add_order(&mut ordered, held.market, side, lots, reserve).unwrap();
        let (before, after) = (assess(&account, &view), assess(&ordered, &view));
        // Long and short value round apart by a quantum, which may cost one more of margin.
        let needed = after.initial_with_orders - before.initial_with_orders;
        prop_assert!(needed == reserve || (lots > size && needed <= reserve + 1));
    }
}

/// An order of the brute-force test: market, bid or ask, lots, limit in ppm of the mark, part filled in ppm.
type Drawn = (u16, bool, u64, i64, u64);

fn any_orders() -> impl Strategy<Value = Vec<Drawn>> {
    let lots = prop_oneof![1u64..30, 1u64..1_000_000, 1u64..1 << 36];
    let part = prop_oneof![3 => Just(1_000_000u64), 1 => 0u64..=1_000_000];
    vec(
        (1u16..3, any::<bool>(), lots, -60_000i64..60_000, part),
        1..7,
    )
}

proptest! {
    #![proptest_config(cases(192))]

    /// `initial_equity − initial` after any subset of fills at their limits, with the dearest fees, is no less than
    /// `initial_equity − initial_with_orders` before, but for a quantum or two of rounding a fill.
    #[test]
    fn margin_with_orders_bounds_every_subset_of_fills((view, account) in any_case(), drawn in any_orders()) {
        let tier = FeeTier { maker_ppm: -50, taker_ppm: 500 };
        let mut holder = account;
        let mut orders = Vec::new();
        for (id, bid, lots, off, part) in drawn {
            let market = view.market(id).unwrap();
            let side = if bid { Side::Bid } else { Side::Ask };
            let price = math::shift_ceil(market.mark, off).unwrap();
            let limit = math::ticks_nearest(price, market.tick_size).unwrap().max(1);
            let reserve = order_reserve(market, tier, side, lots, limit).unwrap();
            add_order(&mut holder, id, side, lots, reserve).unwrap();
            let filled = (u128::from(lots) * u128::from(part) / 1_000_000) as u64;
            orders.push((market, side, side.signed(filled).unwrap(), limit));
        }
        let before = assess(&holder, &view);
        let room = before.initial_equity - before.initial_with_orders;
        for subset in 0u32..1 << orders.len() {
            let mut after = holder.clone();
            let mut fills = 0;
            for (at, (market, _, lots, limit)) in orders.iter().enumerate() {
                if subset & 1 << at != 0 {
                    let value = math::trade_value(*lots, *limit, market.tick_value).unwrap();
                    apply_trade(&mut after, market, *lots, value).unwrap();
                    after.cash -= fee(value, tier.taker_ppm).unwrap();
                    fills += 1;
                }
            }
            let after = assess(&after, &view);
            prop_assert!(after.initial_equity - after.initial >= room - 2 * fills, "{subset:b}");
        }
    }
}
