//! Golden numbers of dYdX v4 and of Drift (`vectors/README.md` names the sources), those kinds whose rules are ours too.
//!
//! Left out, and why:
//!
//! - `maintenance_ppm`: our tiers state the maintenance fraction itself, not a fraction of the initial one;
//! - `quote_to_base`, `price_to_subticks`, `fillable_to_subticks`: orders come in whole lots and ticks, and a price out of range is an
//!   error here, not a clamp;
//! - `insurance_delta`, `insurance_delta_valid`, `can_deleverage`: our fund pays an account up to zero at takeover (section 7, steps 4 to
//!   6) and takes a flat fee; of `can_deleverage` the account's equity is compared;
//! - `premium_sample`, `median`, `remove_tails`: a premium is weighted by time, no median of votes; of `funding_tick` the mean is given.
//! - of Drift's kinds those about what is borrowed, and its fund's own fee: we lend nothing, and take one fee.
//!
//! Differences that the tests below allow for, each by itself: we round what an account needs up by at most one unit where dYdX truncates; a
//! position has a maintenance margin of at least 1 USD; an account without positions and with negative cash is liquidatable.

mod common;

use common::{cases, Case};
use novate_risk::*;
use novate_types::*;
use serde_json::{json, Value};
use std::collections::BTreeMap;

const MARGIN: &str = include_str!("vectors/dydx_margin.json");
const DRIFT: &str = include_str!("vectors/drift_liquidation.json");
const FUNDING: &str = include_str!("vectors/dydx_funding.json");
const LIQUIDATION: &str = include_str!("vectors/dydx_liquidation.json");
const PREMIUM: &str = include_str!("vectors/dydx_premium.json");

fn int(object: &Value, key: &str) -> i128 {
    object[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key}"))
        .parse()
        .unwrap()
}

fn ppm(object: &Value, key: &str) -> Ppm {
    int(object, key).try_into().unwrap()
}

/// `digits · 10^exponent` with 18 decimals.
fn fixed(digits: i128, exponent: i128) -> Price {
    Price::from_inner(digits as u128 * 10u128.pow((18 + exponent) as u32))
}

/// `im · fraction` of dYdX, where it is a whole number of ppm.
fn mmf(object: &Value) -> Ppm {
    let product = int(object, "im_ppm") * int(object, "maintenance_fraction_ppm");
    assert_eq!(product % 1_000_000, 0);
    (product / 1_000_000) as Ppm
}

/// A market whose lot is `10^lot_exponent` units; `10^tick_exponent` USD a tick.
fn market(
    id: MarketId,
    lot_exponent: i128,
    tick_exponent: i128,
    mark: Price,
    imf: Ppm,
    mmf: Ppm,
) -> MarketView {
    let (tick_size, lot_size) = (fixed(1, tick_exponent), fixed(1, lot_exponent));
    MarketView {
        id,
        underlying: id,
        status: MarketStatus::Open,
        tick_size,
        lot_size,
        tick_value: math::tick_value(tick_size, lot_size).unwrap(),
        mark,
        index: mark,
        observed_at: 0,
        fresh: true,
        funding_index: 0,
        short_funding_index: 0,
        imf,
        mmf,
        profit_credit: 0,
        price_band: 0,
        min_notional: 0,
        impact_notional: 0,
        open_interest_cap: Lots::MAX,
        auction_at: 0,
        contract: Default::default(),
    }
}

/// dYdX turns scaling off by an upper cap of zero, we by caps out of reach.
fn tier(case: &Value) -> RiskTier {
    let off = int(case, "upper_cap") == 0;
    let cap = |key| if off { Cash::MAX } else { int(case, key) };
    RiskTier {
        imf: ppm(case, "im_ppm"),
        mmf: 0,
        open_interest_lower: cap("lower_cap"),
        open_interest_upper: cap("upper_cap"),
        profit_credit: 0,
        impact_notional: 0,
        mark_band: 0,
        price_band: 0,
        call_blocks: 0,
        edge_blocks: 0,
    }
}

/// The published margin, or the least one of a position that is not zero; one quantum more if the notional is not whole.
fn assert_margin(id: &str, ours: Cash, published: Cash, lots: SignedLots) {
    let least = if lots == 0 { 0 } else { MIN_MAINTENANCE };
    let theirs = published.max(least);
    assert!(
        ours == theirs || ours == theirs + 1,
        "{id}: {ours} for {theirs}"
    );
}

#[test]
fn margin_agrees_with_dydx() {
    let mut ran = BTreeMap::<String, u32>::new();
    for Case {
        kind,
        id,
        input,
        out,
    } in cases(MARGIN)
    {
        match kind.as_str() {
            "adjusted_imf_ppm" => {
                let ours = effective_imf(&tier(&input), int(&input, "oi_notional"), 0).unwrap();
                let theirs = ppm(&out, "imf_ppm");
                assert!(ours == theirs || ours == theirs + 1, "{id}");
            }
            "initial_margin" => {
                // A lot of a millionth unit at 1 USD is a quantum; a thousandfold, so that the least margin does not hide it.
                let imf = effective_imf(&tier(&input), int(&input, "oi_notional"), 0).unwrap();
                let market = market(1, -6, 0, Price::from_u32(1), imf, 0);
                let lots = 1_000 * int(&input, "notional") as SignedLots;
                let ours = initial_ceil(&market, lots).unwrap();
                let theirs = 1_000 * int(&out, "initial_margin");
                assert!(
                    ours <= theirs && ours > theirs - 1_000,
                    "{id}: {ours} for {theirs}"
                );
            }
            "margin_requirements" => {
                let mark = fixed(int(&input, "price"), int(&input, "exponent"));
                let imf = effective_imf(&tier(&input), 0, 0).unwrap();
                let resolution = int(&input, "resolution");
                let market = market(1, resolution, -resolution, mark, imf, mmf(&input));
                let lots = int(&input, "base") as SignedLots;
                assert_margin(
                    &id,
                    initial_ceil(&market, lots).unwrap(),
                    int(&out, "initial_margin"),
                    lots,
                );
                let ours = maintenance_ceil(&market, lots).unwrap();
                assert_margin(&id, ours, int(&out, "maintenance_margin"), lots);
            }
            "base_to_quote" => {
                // Sizes beyond 63 bits come in lots of five.
                let base = int(&input, "base");
                let (lots, lot) = match SignedLots::try_from(base) {
                    Ok(lots) => (lots, 1),
                    Err(_) => {
                        assert_eq!(base % 5, 0);
                        ((base / 5) as SignedLots, 5)
                    }
                };
                let mark = fixed(int(&input, "price"), int(&input, "exponent"));
                let lot_size = fixed(lot, int(&input, "resolution"));
                let ours = math::position_value_floor(lots, mark, lot_size).unwrap();
                let theirs = int(&out, "quote");
                assert!(ours == theirs || (lots < 0 && ours == theirs - 1), "{id}");
            }
            "fill_to_quote" => {
                let tick_value = 10u64.pow(int(&input, "conversion_exponent") as u32);
                let lots = int(&input, "base") as SignedLots;
                let ticks = int(&input, "subticks") as Ticks;
                let ours = math::trade_value(lots, ticks, tick_value).unwrap();
                assert_eq!(ours, int(&out, "quote"), "{id}");
            }
            "funding_clamp_ppm" => {
                let tier = RiskTier {
                    mmf: mmf(&input),
                    imf: ppm(&input, "im_ppm"),
                    open_interest_lower: 0,
                    open_interest_upper: 0,
                    profit_credit: 0,
                    impact_notional: 0,
                    mark_band: 0,
                    price_band: 0,
                    call_blocks: 0,
                    edge_blocks: 0,
                };
                let k = ppm(&input, "clamp_factor_ppm");
                let highest = funding_rate_8h(i64::MAX / 2, 0, k, &tier).unwrap();
                assert_eq!(
                    i128::from(highest / 1_000_000),
                    int(&out, "clamp_ppm"),
                    "{id}"
                );
            }
            "maintenance_ppm" | "quote_to_base" | "price_to_subticks" => continue,
            other => panic!("{id}: unknown kind {other}"),
        }
        *ran.entry(kind).or_default() += 1;
    }
    let expected = [
        ("adjusted_imf_ppm", 2),
        ("base_to_quote", 2),
        ("fill_to_quote", 1),
        ("funding_clamp_ppm", 1),
        ("initial_margin", 2),
        ("margin_requirements", 2),
    ];
    assert_eq!(ran, expected.map(|(kind, n)| (kind.into(), n)).into());
}

/// dYdX's account: its quote balance is our cash, and positions cost nothing. A lot is `10^coarser` base quantums.
fn account(of: &Value, coarser: u32) -> MarginAccount {
    let mut account = MarginAccount {
        cash: int(of, "quote"),
        ..MarginAccount::default()
    };
    for position in of["positions"].as_array().unwrap() {
        let size = int(position, "size");
        let lot = 10i128.pow(coarser);
        assert_eq!(size % lot, 0);
        account
            .positions
            .try_push(Position {
                market: int(position, "perp") as MarketId,
                lots: (size / lot) as SignedLots,
                cost: 0,
                funding_index: 0,
                rank: RankSlot::default(),
            })
            .unwrap();
    }
    account
}

/// dYdX's perpetuals. A tick of a lot is a quantum.
fn view(perps: &Value, coarser: u32) -> RiskView {
    let mut markets: Vec<_> = perps
        .as_object()
        .unwrap()
        .iter()
        .map(|(id, perp)| {
            let lot = int(perp, "resolution") + i128::from(coarser);
            let mark = fixed(int(perp, "price"), int(perp, "exponent"));
            market(
                id.parse().unwrap(),
                lot,
                -6 - lot,
                mark,
                ppm(perp, "im_ppm"),
                mmf(perp),
            )
        })
        .collect();
    markets.sort_by_key(|m| m.id);
    RiskView {
        markets: markets.try_into().unwrap(),
        ..RiskView::default()
    }
}

#[test]
fn liquidation_agrees_with_dydx() {
    let mut ran = BTreeMap::<String, u32>::new();
    for Case {
        kind,
        id,
        input,
        out,
    } in cases(LIQUIDATION)
    {
        let perp = || int(&input, "perp") as MarketId;
        match kind.as_str() {
            "bankruptcy_price" => {
                let (account, view) = (account(&input["account"], 0), view(&input["perps"], 0));
                let delta = int(&input, "delta") as SignedLots;
                if out["error"].is_string() {
                    // A fill through zero has a quote here; a liquidation order beyond the position has none.
                    let assessment = Linear::assess(&account, &view).unwrap();
                    let p = params(&input);
                    let limit = liquidation_limit::<Linear>(
                        &assessment,
                        &account,
                        &view,
                        perp(),
                        delta.unsigned_abs(),
                        &p,
                    );
                    assert_eq!(limit, Err(RiskError::Underflow), "{id}");
                } else {
                    let paid = bankruptcy_value::<Linear>(&account, &view, perp(), delta).unwrap();
                    assert_eq!(-paid, int(&out, "bankruptcy_quote"), "{id}");
                    let assessment = Linear::assess(&account, &view).unwrap();
                    assert_eq!(assessment.equity, int(&out, "tnc"), "{id}");
                    assert_eq!(assessment.maintenance, int(&out, "tmmr"), "{id}");
                }
            }
            "fillable_price" => {
                // In quote quantums per base quantum: ticks over the million base quantums of a lot.
                let (account, view) = (account(&input["account"], 6), view(&input["perps"], 6));
                let assessment = Linear::assess(&account, &view).unwrap();
                let p = params(&input);
                let ours = fillable_ticks(&assessment, &account, &view, perp(), &p).unwrap();
                let theirs: f64 = out["fillable_price"].as_str().unwrap().parse().unwrap();
                assert_eq!(ours, (theirs * 1e6).round() as Ticks, "{id}");
            }
            "is_liquidatable" => {
                let (account, view) = (account(&input["account"], 0), view(&input["perps"], 0));
                let assessment = Linear::assess(&account, &view).unwrap();
                assert_eq!(assessment.equity, int(&out, "tnc"), "{id}");
                assert_eq!(assessment.maintenance, int(&out, "tmmr"), "{id}");
                let in_debt = assessment.maintenance == 0 && assessment.equity < 0;
                let theirs = out["liquidatable"].as_bool().unwrap();
                assert_eq!(assessment.is_below_maintenance(), theirs || in_debt, "{id}");
            }
            "can_deleverage" => {
                let (account, view) = (account(&input["account"], 0), view(&input["perps"], 0));
                let assessment = Linear::assess(&account, &view).unwrap();
                assert_eq!(assessment.equity, int(&out, "tnc"), "{id}");
            }
            "process_deleveraging" => {
                let view = view(&input["perps"], 0);
                let market = view.market(perp()).unwrap();
                let delta = int(&input, "delta") as SignedLots;
                let mut closed = account(&input["deleveraged"], 0);
                let mut other = account(&input["offsetting"], 0);
                let value = bankruptcy_value::<Linear>(&closed, &view, perp(), delta).unwrap();
                assert_eq!(-value, int(&out, "bankruptcy_quote"), "{id}");
                apply_trade(&mut closed, market, delta, value).unwrap();
                apply_trade(&mut other, market, -delta, -value).unwrap();
                assert_eq!(closed, account(&out["deleveraged"], 0), "{id}");
                assert_eq!(other, account(&out["offsetting"], 0), "{id}");
            }
            "insurance_delta" | "insurance_delta_valid" | "fillable_to_subticks" => continue,
            other => panic!("{id}: unknown kind {other}"),
        }
        *ran.entry(kind).or_default() += 1;
    }
    let expected = [
        ("bankruptcy_price", 2),
        ("can_deleverage", 1),
        ("fillable_price", 3),
        ("is_liquidatable", 1),
        ("process_deleveraging", 2),
    ];
    assert_eq!(ran, expected.map(|(kind, n)| (kind.into(), n)).into());
}

fn params(case: &Value) -> LiquidationParams {
    let of = |key: &str| case[key].as_str().map_or(0, |ppm| ppm.parse().unwrap());
    LiquidationParams {
        bankruptcy_adjustment: of("bankruptcy_adjustment_ppm"),
        spread_to_maintenance: of("spread_to_mm_ratio_ppm"),
        fee: 0,
        concession: 0,
        target_buffer: 0,
        depth_share: MILLION,
    }
}

/// Mean price in subticks, 10¹⁵ parts each, at which one side's orders trade the impact notional.
fn impact(case: &Value, side: &str) -> Option<Price> {
    const SCALE: u128 = 1_000_000;
    let mut orders: Vec<(u128, u128)> = case["book"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|order| order["side"] == side)
        .map(|order| (int(order, "subticks") as u128, int(order, "size") as u128))
        .collect();
    orders.sort_unstable();
    if side == "buy" {
        orders.reverse();
    }
    let unit = 10u128.pow((-int(case, "conversion_exponent")) as u32);
    let notional = int(case, "impact_notional") as u128;
    let (mut left, mut base) = (notional * unit, 0);
    for (subticks, size) in orders {
        let traded = left.min(subticks * size);
        base += traded * SCALE / subticks;
        left -= traded;
    }
    (left == 0)
        .then(|| Price::from_inner(notional * unit * SCALE * 1_000_000_000 / base * 1_000_000))
}

#[test]
fn premium_agrees_with_dydx() {
    let cases = cases(PREMIUM);
    for Case {
        kind,
        id,
        input,
        out,
    } in &cases
    {
        assert_eq!(kind, "premium");
        let exponent = int(input, "index_exponent") - int(input, "conversion_exponent")
            + int(input, "base_resolution")
            + 6;
        let index = Price::from_inner(
            int(input, "index_price") as u128 * 10u128.pow((15 + exponent) as u32),
        );
        let ours = premium(impact(input, "buy"), impact(input, "sell"), index).unwrap();
        let most = int(input, "max_abs_ppm");
        let clamped = i128::from(ours / 1_000_000).clamp(-most, most);
        assert_eq!(clamped, int(out, "premium_ppm"), "{id}");
    }
    assert_eq!(cases.len(), 3);
}

/// A tick's mean premium, capped, moves the index, and the index moves cash. dYdX's index is in millionths of a quantum.
#[test]
fn funding_agrees_with_dydx() {
    const MILLIONTHS: i128 = 1_000_000;
    let mut ran = BTreeMap::<String, u32>::new();
    for Case {
        kind,
        id,
        input,
        out,
    } in cases(FUNDING)
    {
        match kind.as_str() {
            "funding_tick" => {
                assert_eq!(int(&input, "default_ppm"), 0, "{id}");
                let seconds = int(&input, "tick_seconds");
                let count = seconds / int(&input, "sample_seconds");
                let samples = input["samples"].as_array().unwrap();
                let sum: i128 = samples
                    .iter()
                    .map(|s| s.as_str().unwrap().parse::<i128>().unwrap())
                    .sum();
                let mean = i32::try_from(sum / count).unwrap();
                let tier = RiskTier {
                    mmf: mmf(&input),
                    ..tier(
                        &json!({ "im_ppm": input["im_ppm"], "lower_cap": "0", "upper_cap": "0" }),
                    )
                };
                // Interest as high as the premium leaves the premium as it is.
                let premium = i64::from(mean) * 1_000_000;
                let rate =
                    funding_rate_8h(premium, mean, ppm(&input, "clamp_factor_ppm"), &tier).unwrap();
                assert_eq!(
                    i128::from(rate),
                    int(&out, "rate_8h_ppm") * 1_000_000,
                    "{id}"
                );
                let price = fixed(int(&input, "price"), int(&input, "exponent"));
                let lot_size = fixed(1, int(&input, "resolution"));
                let index = accrue(0, rate, price, lot_size, seconds as Millis * 1_000).unwrap();
                let theirs = int(&out, "index_delta");
                let ours = (i128::from(index) * MILLIONTHS) >> FUNDING_FRACTION_BITS;
                assert!((ours - theirs).abs() <= 1, "{id}: {ours} for {theirs}");
            }
            "settlement_ppm" => {
                let index = |key| {
                    let ours = (int(&input, key) << FUNDING_FRACTION_BITS) / MILLIONTHS;
                    FundingIndex::try_from(ours).unwrap()
                };
                let mut market = market(1, -6, 0, Price::from_u32(1), 0, 0);
                market.funding_index = index("index_now");
                market.short_funding_index = index("index_now");
                let position = Position {
                    market: 1,
                    lots: int(&input, "size") as SignedLots,
                    cost: 0,
                    funding_index: index("index_old"),
                    rank: RankSlot::default(),
                };
                let owed = funding_owed_ceil(&position, &market).unwrap();
                let theirs = -int(&out, "net_settlement_ppm") / MILLIONTHS;
                assert!((owed - theirs).abs() <= 1, "{id}: {owed} for {theirs}");
            }
            "premium_sample" | "median" | "remove_tails" => continue,
            other => panic!("{id}: unknown kind {other}"),
        }
        *ran.entry(kind).or_default() += 1;
    }
    let expected = [("funding_tick", 3), ("settlement_ppm", 2)];
    assert_eq!(ran, expected.map(|(kind, n)| (kind.into(), n)).into());
}

/// How much of a position to close, by what each unit frees less the fee. Drift truncates to 10⁻⁹ units, we close whole lots and one more.
#[test]
fn liquidation_size_agrees_with_drift() {
    let mut ran = 0;
    for Case {
        kind,
        id,
        input,
        out,
    } in cases(DRIFT)
    {
        if kind != "base_to_cover" {
            continue;
        }
        let int = |key| int(&input, key);
        let product = int("price") * int("quote_price");
        let mark = fixed(product, -12);
        let mmf = 100 * int("margin_ratio") as Ppm;
        let market = market(1, -6, 0, mark, mmf, mmf);
        // Far more than there is to close.
        let lots = 1_000_000_000_000;
        let value = math::position_value_floor(lots, mark, market.lot_size).unwrap();
        let view = RiskView {
            markets: vec![market].try_into().unwrap(),
            ..RiskView::default()
        };
        let mut account = MarginAccount::default();
        apply_trade(&mut account, &view.markets[0], lots, value).unwrap();
        let maintenance = Linear::assess(&account, &view).unwrap().maintenance;
        account.cash = maintenance - int("margin_shortage");
        let assessment = Linear::assess(&account, &view).unwrap();
        assert_eq!(assessment.equity, account.cash, "{id}");
        let p = LiquidationParams {
            fee: (int("liquidation_fee") + int("if_fee")) as Ppm,
            ..params(&input)
        };
        let ours = liquidation_lots::<Linear>(&assessment, &account, &view, 1, &p).unwrap();
        let theirs: u64 = out["base"].as_str().unwrap().parse().unwrap();
        let theirs = (theirs != u64::MAX).then(|| theirs.div_ceil(1_000));
        assert!(
            ours == theirs || ours == theirs.map(|lots| lots + 1),
            "{id}: {ours:?} for {theirs:?}"
        );
        ran += 1;
    }
    assert_eq!(ran, 1);
}
