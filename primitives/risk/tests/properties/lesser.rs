//! The model of the chain: the lesser of by parts and by scan, and what liquidation and the threshold index ask of it.

use crate::{
    common::*,
    portfolios::{any_holder, dollars, listed, DAY, NOW},
};
use novate_risk::{
    portfolio::{AtOnce, Lesser, Portfolio, PortfolioParams},
    *,
};
use novate_types::*;
use proptest::prelude::*;

type Rules = Lesser<AtOnce>;

fn assess(account: &MarginAccount, view: &RiskView) -> Assessment {
    Rules::assess(account, view).unwrap()
}

/// Marked as a chain marks, holding some of what is listed.
fn any_marked(least: Millis) -> impl Strategy<Value = (RiskView, MarginAccount)> {
    // Up to three times the risk, as where tiers follow volatility.
    let added = prop_oneof![Just(0), 0u32..=2_000_000];
    (any_holder(least), 1u8..=u8::MAX, added).prop_map(|((mut view, mut account), held, added)| {
        mark_again(&mut view);
        for market in view.markets.iter_mut() {
            market.contract.scan_added = added;
        }
        account.positions.retain(|p| held >> p.market & 1 == 1);
        (view, account)
    })
}

/// Whether a scan may margin it: it holds an option, or is both long and short.
fn is_netted(account: &MarginAccount) -> bool {
    let is_on = |sign| account.positions.iter().any(|p| p.lots.signum() == sign);
    account.positions.iter().any(|p| p.market > 1) || (is_on(1) && is_on(-1))
}

/// What the engine says of an account's positions, of which there are some in one underlying.
fn scanned(account: &MarginAccount, view: &RiskView) -> portfolio::Margins {
    let engine = Portfolio::of(account, view).unwrap();
    engine[0]
        .scan(&PortfolioParams::standard())
        .unwrap()
        .margins
}

/// The account with so much equity above its maintenance margin.
fn with_slack(mut account: MarginAccount, view: &RiskView, slack: Cash) -> MarginAccount {
    account.cash += slack - assess(&account, view).slack().unwrap();
    account
}

/// A vertical spread of calls, so long before they expire: short the nearer strike, long the farther one, a unit of each.
fn spread(left: Millis) -> (RiskView, MarginAccount) {
    let near = listed(4, 60_000, 65_000, left);
    let far = MarketView {
        id: 8,
        ..listed(4, 60_000, 70_000, left)
    };
    let mut view = view(vec![listed(0, 60_000, 0, left), near, far], vec![]);
    view.now = NOW;
    let held = vec![position(4, -10_000, 0, 0), position(8, 10_000, 0, 0)];
    (view, account(usd(10_000), held))
}

#[test]
fn a_spread_needs_what_it_can_lose() {
    let (view, holder) = spread(14 * DAY);
    let (parts, lesser) = (
        Linear::assess(&holder, &view).unwrap(),
        assess(&holder, &view),
    );
    assert_eq!(lesser.equity, parts.equity);
    // A short call alone needs 10 % of the forward less what it is out of the money, three quarters of that at least; at most the strikes' 5,000
    // are lost, in no scenario all of them.
    assert!(parts.maintenance > usd(4_500), "{parts:?}");
    assert!(lesser.maintenance < usd(2_500), "{lesser:?}");
    assert_eq!((lesser.scanned, parts.scanned), (0b11, 0));
    // All of the long one is hedge.
    assert_eq!(lesser.long_options, 0);
    assert!(parts.long_options > 0);
    assert!(lesser.withdrawable > parts.withdrawable);
    // A perpetual alone, or beside a future on its own side, costs what it costs anywhere.
    let alone = account(usd(10_000), vec![position(0, 10_000, 0, 0)]);
    assert_eq!(
        assess(&alone, &view),
        Linear::assess(&alone, &view).unwrap()
    );
}

#[test]
fn a_future_hedges_a_perpetual() {
    let mut view = view(
        vec![listed(0, 60_000, 0, 0), listed(1, 60_000, 0, 14 * DAY)],
        vec![],
    );
    view.now = NOW;
    let held = |lots| {
        let at_mark = |id, lots| position(id, lots, value_of(view.market(id).unwrap(), lots), 0);
        let held = vec![at_mark(0, 10_000), at_mark(1, lots)];
        account(usd(10_000), held)
    };
    // On one side both need what each needs alone.
    let beside = held(10_000);
    let parts = |of: &MarginAccount| Linear::assess(of, &view).unwrap();
    assert_eq!(assess(&beside, &view), parts(&beside));
    // Across from each other nothing but the basis moves them apart: by 4.5 % times a half and two a year, of which a maintenance margin is four fifths, and
    // 1.5 % of both; initially all of that and 0.5 % of both.
    let across = held(-10_000);
    let basis = 0.045 * (0.5 + 2.0 * 44.0 / 365.0);
    let of_unit = |part: f64| (60_000.0 * part * QUANTUMS as f64) as Cash;
    let found = assess(&across, &view);
    assert_eq!((found.scanned, parts(&across).scanned), (0b11, 0));
    for (found, part) in [
        (found.maintenance, 0.8 * basis + 2.0 * 0.015),
        (found.initial, basis + 2.0 * 0.02),
    ] {
        assert!((found - of_unit(part)).abs() <= 100, "{found} for {part}");
    }
    assert!(
        found.maintenance < parts(&across).maintenance && found.initial < parts(&across).initial
    );
    // What it is free to use is that much more, but for a dollar a market: fills may leave either alone.
    let free = left_by_orders(&found) - left_by_orders(&parts(&across));
    assert!(
        (free - (parts(&across).initial - found.initial)).abs() <= usd(2),
        "{free}"
    );
    // In the last half hour what is fixed of the future moves no more, and hedges no more.
    let mut late = view.clone();
    late.now += 44 * DAY - SETTLEMENT_MILLIS / 2;
    late.market_mut(1).unwrap().contract.fixed = dollars(30_000);
    assert!(assess(&across, &late).maintenance > found.maintenance);
}

#[test]
fn a_scan_rises_with_the_tier_that_follows_most() {
    let (mut view, holder) = spread(14 * DAY);
    let before = assess(&holder, &view);
    view.market_mut(4).unwrap().contract.scan_added = 250_000;
    let after = assess(&holder, &view);
    let risk = |of: &RiskView| {
        let engine = Portfolio::of(&holder, of).unwrap();
        let params = PortfolioParams::standard();
        engine[0].scan(&params).unwrap().loss
    };
    assert_eq!(risk(&view), risk(&spread(14 * DAY).0));
    // Four fifths of a quarter of what is lost, to maintain; all else stays.
    let more = after.maintenance - before.maintenance;
    assert!((more - risk(&view) / 5).abs() <= 2, "{more}");
    let initially = after.initial - before.initial - risk(&view) / 4;
    assert!((0..=2).contains(&initially), "{initially}");
    assert!(after.maintenance < Linear::assess(&holder, &view).unwrap().maintenance);
}

#[test]
fn an_option_whose_mark_its_volatility_does_not_explain_is_margined_by_parts() {
    let (mut view, holder) = spread(14 * DAY);
    view.market_mut(8).unwrap().mark = dollars(2_000);
    assert_eq!(
        assess(&holder, &view),
        Linear::assess(&holder, &view).unwrap()
    );
}

#[test]
fn a_hedge_is_no_way_around_a_market_that_is_full() {
    let (mut view, _) = spread(14 * DAY);
    let with_dust = account(
        usd(10_000),
        vec![position(0, 100_000, 0, 0), position(8, 1, 0, 0)],
    );
    let before = assess(&with_dust, &view).initial;
    let full = view.market_mut(0).unwrap();
    (full.imf, full.contract.initial_added) = (1_000_000, 850_000);
    let notional = usd(600_000);
    assert!(assess(&with_dust, &view).initial - before >= notional * 85 / 100 - 1);
}

#[test]
fn closing_a_hedge_frees_nothing_and_closing_what_it_hedges_does() {
    let (view, holder) = spread(14 * DAY);
    let holder = with_slack(holder, &view, -usd(100));
    let quote = |market, lots| bankruptcy_value::<Rules>(&holder, &view, market, lots);
    assert_eq!(quote(8, -10_000), Err(RiskError::Underflow));
    assert_eq!(quote(4, 20_000), Err(RiskError::Underflow));
    let value = quote(4, 5_000).unwrap();
    let mut traded = holder.clone();
    apply_trade(&mut traded, view.market(4).unwrap(), 5_000, value).unwrap();
    let (before, after) = (assess(&holder, &view), assess(&traded, &view));
    assert!(after.maintenance < before.maintenance);
    assert!(passes_check(&before, &after));
}

fn any_cash() -> impl Strategy<Value = Cash> {
    prop_oneof![Just(0), -usd(200_000)..usd(200_000)]
}

fn any_credit() -> impl Strategy<Value = Cash> {
    prop_oneof![Just(0), 0..usd(10_000)]
}

fn set_credit(view: &mut RiskView, credit: Cash) {
    for market in view.markets.iter_mut() {
        market.profit_credit = credit;
    }
}

/// What is left of initial equity.
fn left(found: &Assessment) -> Cash {
    found.initial_equity - found.initial
}

fn left_by_orders(found: &Assessment) -> Cash {
    found.initial_equity - found.initial_with_orders
}

fn value_of(market: &MarketView, lots: SignedLots) -> Cash {
    math::position_value_floor(lots, market.mark, market.lot_size).unwrap()
}

proptest! {
    #[test]
    fn a_row_is_found_among_others((view, _) in any_marked(60_000)) {
        use codec::Encode;
        let rows = portfolio::rows(&view, &PortfolioParams::standard());
        for (_, rows) in &rows {
            let encoded = rows.encode();
            for market in &view.markets {
                let row = rows.iter().find(|row| row.market == market.id);
                prop_assert_eq!(portfolio::row_in(&encoded, market.id), row.cloned());
            }
            for end in 0..encoded.len().min(2_000) {
                let cut = &encoded[..end];
                let last = rows.last().unwrap();
                prop_assert_eq!(portfolio::row_in(cut, last.market), None);
            }
        }
    }
}

/// Whatever fills of the orders at the mark, in ppm of their lots.
fn filled(account: &MarginAccount, view: &RiskView, parts: &[(u32, u32)]) -> MarginAccount {
    let mut filled = account.clone();
    for (orders, (bid, ask)) in account.orders.iter().zip(parts) {
        let market = view.market(orders.market).unwrap();
        let part = |lots: Lots, ppm: u32| (lots as i128 * i128::from(ppm) / 1_000_000) as i64;
        for change in [part(orders.bid_lots, *bid), -part(orders.ask_lots, *ask)] {
            let value = value_of(market, change);
            if change != 0 {
                apply_trade(&mut filled, market, change, value).unwrap();
            }
        }
    }
    filled.orders = Default::default();
    filled
}

/// Ten calls struck at half the forward: half a million of value, and nothing else.
fn rich_in_calls() -> (RiskView, MarginAccount) {
    let markets = vec![
        listed(0, 100_000, 0, 14 * DAY),
        listed(4, 100_000, 50_000, 14 * DAY),
        MarketView {
            underlying: 2,
            ..listed(1, 100_000, 0, 14 * DAY)
        },
    ];
    let mut markets = markets;
    markets.sort_by_key(|market| market.id);
    let mut view = view(markets, vec![]);
    view.now = NOW;
    (view, account(0, vec![position(4, 100_000, 0, 0)]))
}

#[test]
fn a_call_that_is_worth_much_is_no_money_elsewhere() {
    let (view, mut holder) = rich_in_calls();
    let found = assess(&holder, &view);
    assert!(found.equity > usd(490_000) && found.initial < usd(300_000));
    assert_eq!((left(&found), found.withdrawable), (0, 0));
    // Nothing is left for another underlying, and a quantum of debt is not covered.
    add_order(&mut holder, 1, Side::Bid, 1, 0).unwrap();
    assert!(!assess(&holder, &view).covers_orders());
    holder.orders = Default::default();
    holder.cash = -1;
    assert!(!assess(&holder, &view).covers_initial());
    // It may be sold, all the same.
    holder.cash = 0;
    add_order(&mut holder, 4, Side::Ask, 100_000, 0).unwrap();
    assert!(assess(&holder, &view).covers_orders());
}

#[test]
fn a_covered_call_stands_after_a_rally() {
    // A unit bought at 60,000 and a call written on it: what the one gained the other lost.
    let (view, _) = rich_in_calls();
    let held = vec![
        position(0, 10_000, usd(60_000), 0),
        position(4, -10_000, 0, 0),
    ];
    let holder = account(usd(30_000), held);
    let (parts, found) = (
        Linear::assess(&holder, &view).unwrap(),
        assess(&holder, &view),
    );
    assert!(!parts.covers_initial());
    assert!(found.covers_initial() && found.equity > usd(19_000));
    // What it lacks is nobody else's: only the net sum supports.
    assert_eq!(left(&found), found.equity - found.initial);
}

#[test]
fn whoever_holds_long_options_alone_is_crossed_by_no_price() {
    let (view, holder) = rich_in_calls();
    let is_price = |m: &SafeMove| !matches!(m.axis, RiskAxis::Funding(_));
    for (cash, is_found) in [(0, false), (usd(1), false), (-usd(1), true)] {
        let holder = MarginAccount {
            cash,
            ..holder.clone()
        };
        let found = assess(&holder, &view);
        assert_eq!(found.scanned, 0b1);
        let moves = safe_moves(&holder, &view, &found).unwrap();
        assert_eq!(moves.iter().any(is_price), is_found, "{moves:?}");
    }
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn nobody_needs_more_than_by_parts_nor_less_initially_than_to_maintain(
        (mut view, mut account) in any_marked(60_000), cash in any_cash(), credit in any_credit(),
    ) {
        account.cash = cash;
        set_credit(&mut view, credit);
        let parts = Linear::assess(&account, &view).unwrap();
        let lesser = assess(&account, &view);
        prop_assert!(lesser.maintenance <= parts.maintenance && lesser.initial <= parts.initial);
        prop_assert!(lesser.maintenance <= lesser.initial && lesser.initial <= lesser.initial_with_orders);
        prop_assert!(lesser.withdrawable >= parts.withdrawable);
        prop_assert!((0..=lesser.maintenance.min(parts.long_options)).contains(&lesser.long_options));
        // What all but long options need is never more than by themselves.
        prop_assert!(lesser.net_maintenance().unwrap() <= parts.net_maintenance().unwrap());
        prop_assert_eq!(lesser.equity, parts.equity);
        prop_assert!(left(&lesser) >= left(&parts) && left_by_orders(&lesser) >= left_by_orders(&parts));
        // As the engine says of the same portfolio.
        let engine = Portfolio::of(&account, &view).unwrap();
        let scan = engine.first().map(|p| p.scan(&PortfolioParams::standard()).unwrap().margins);
        let scan = scan.filter(|_| is_netted(&account)).unwrap_or_default();
        if is_netted(&account) {
            prop_assert_eq!(lesser.maintenance, parts.maintenance.min(scan.maintenance));
            prop_assert_eq!(lesser.initial, parts.initial.min(scan.initial));
            // Where the scan gives it, all that gains and loses supports it as one, and no more than the credits beyond.
            let (value, credits) = (parts.equity - cash, credit * account.positions.len() as Cash);
            let supporting = if scan.initial < parts.initial {
                value.min(scan.initial + credits)
            } else {
                (parts.initial_equity - cash).max(parts.initial + credits.min(value - scan.initial))
            };
            prop_assert_eq!(lesser.initial_equity, cash + supporting);
        } else {
            prop_assert_eq!(lesser, parts);
        }
    }

    /// Whatever it holds, whoever covers initial margin owes no more than the credits of its markets, orders or not, and less by what leaves.
    #[test]
    fn value_that_is_not_realised_lends_no_more_than_the_credits(
        (mut view, mut account) in any_marked(60_000), cash in any_cash(), credit in any_credit(),
        bids in prop::collection::vec(0u64..40_000, 8),
    ) {
        account.cash = cash;
        set_credit(&mut view, credit);
        let credits = credit * account.positions.len() as Cash;
        let found = assess(&account, &view);
        prop_assert!(left(&found) <= cash + credits);
        prop_assert!(found.withdrawable <= left(&found).max(0));
        for (market, lots) in (0u16..).zip(bids).filter(|(_, lots)| *lots > 0) {
            add_order(&mut account, market, Side::Bid, lots, 0).unwrap();
        }
        let found = assess(&account, &view);
        prop_assert!(left_by_orders(&found) <= cash + credits);
    }

    /// A leg against what is held already, in whatever market of the underlying.
    #[test]
    fn a_hedge_never_raises_the_requirement_above_by_parts(
        (view, mut account) in any_marked(DAY), market in 0u16..8, lots in 1i64..50_000, sign in any::<bool>(),
    ) {
        account.positions.retain(|position| position.market != market);
        let lots = if sign { lots } else { -lots };
        let added = position(market, lots, 0, 0);
        let mut positions = account.positions.to_vec();
        positions.push(added);
        positions.sort_by_key(|position| position.market);
        let with = |positions: Vec<Position>| MarginAccount {
            positions: positions.try_into().unwrap(),
            ..account.clone()
        };
        let (hedged, leg) = (with(positions), with(vec![added]));
        let alone = assess(&account, &view);
        let leg = Linear::assess(&leg, &view).unwrap();
        let parts = Linear::assess(&account, &view).unwrap();
        let with = assess(&hedged, &view);
        prop_assert!(with.maintenance <= parts.maintenance + leg.maintenance);
        prop_assert!(with.initial <= parts.initial + leg.initial);
        prop_assert!(alone.initial <= parts.initial);
    }

    #[test]
    fn no_subset_of_fills_needs_more_than_was_asked_for(
        (mut view, mut account) in any_marked(60_000), cash in any_cash(),
        orders in prop::collection::vec((0u64..40_000, 0u64..40_000), 8),
        parts in prop::collection::vec((0u32..=1_000_000, 0u32..=1_000_000), 8),
        ends in any::<u16>(), added in prop::collection::vec(prop_oneof![Just(0), 0u32..=2_000_000], 8),
        tiers in prop::collection::vec(prop_oneof![Just(150_000), 10_000u32..=1_000_000], 2),
    ) {
        // Of what is linear, tiers below the grid's 18 % and above.
        for (market, imf) in view.markets.iter_mut().zip(tiers) {
            (market.imf, market.mmf) = (imf, imf * 2 / 3);
        }
        // Each market's tier follows by itself.
        for (market, added) in view.markets.iter_mut().zip(added) {
            market.contract.scan_added = added;
        }
        // Bought at the mark: a profit of one market that a loss of another uses up by scan is not there by parts.
        for held in account.positions.iter_mut().filter(|p| p.market < 2) {
            held.cost = value_of(view.market(held.market).unwrap(), held.lots);
        }
        account.cash = cash;
        let mut bidder = account.clone();
        for (market, (bids, asks)) in (0u16..).zip(&orders) {
            for (side, lots) in [(Side::Bid, *bids), (Side::Ask, *asks)] {
                if lots > 0 && (ends >> market) & 1 == 1 {
                    let before = assess(&bidder, &view).initial_with_orders;
                    add_order(&mut bidder, market, side, lots, 0).unwrap();
                    // No order lowers it.
                    prop_assert!(assess(&bidder, &view).initial_with_orders >= before);
                }
            }
        }
        let asked = left_by_orders(&assess(&bidder, &view));
        let all_or_none: Vec<_> = parts.iter().map(|(b, a)| ((b / 500_001) * 1_000_000, (a / 500_001) * 1_000_000)).collect();
        for parts in [parts, all_or_none] {
            let has = left(&assess(&filled(&bidder, &view, &parts), &view));
            // Each leg rounds by itself.
            prop_assert!(has >= asked - 64, "{} of {}", has, asked);
        }
    }

    /// Whatever the scans of one account share: each market's orders need what both ends of them need in an account of their own. Of what either
    /// rule leaves the more counts; by scan that is no more than what cash and credits leave once they have paid for the fills.
    #[test]
    fn orders_need_what_their_ends_need_alone(
        (mut view, mut bidder) in any_marked(60_000), cash in any_cash(), credit in any_credit(),
        orders in prop::collection::vec((0u64..40_000, 0u64..40_000), 9),
        legs in prop::sample::subsequence((0u16..8).collect::<Vec<_>>(), 2..=4),
        signs in any::<u8>(), ends in any::<u32>(), reserve in 0..usd(1_000),
    ) {
        prop_assume!(is_netted(&bidder));
        let sign = |at: u16| if (signs >> at) & 1 == 1 { -1i8 } else { 1 };
        let legs: Vec<_> = legs.into_iter().map(|id| (id, sign(id))).collect();
        view.markets.try_push(MarketView {
            id: 8,
            contract: Contract::from(InstrumentKind::Combination {
                legs: CombinationLegs::new(&legs).unwrap(),
                expiry: None,
            }),
            ..view.market(0).unwrap().clone()
        }).unwrap();
        bidder.cash = cash;
        set_credit(&mut view, credit);
        let (mut alone, mut bought) = (0, 0);
        for (market, (bids, asks)) in (0u16..).zip(&orders) {
            let mut most = 0;
            for (bit, side, lots) in [(0, Side::Bid, *bids), (1, Side::Ask, *asks)] {
                if lots == 0 || (ends >> (2 * market + bit)) & 1 == 0 {
                    continue;
                }
                add_order(&mut bidder, market, side, lots, reserve).unwrap();
                let lots = side.signed(lots).unwrap();
                let filled = match market {
                    8 => legs.iter().map(|(id, ratio)| position(*id, lots * i64::from(*ratio), 0, 0)).collect(),
                    _ => vec![position(market, lots, 0, 0)],
                };
                most = scanned(&account(0, filled), &view).initial.max(most);
                let of = view.market(market).unwrap();
                if of.contract.kind.is_option() && lots > 0 {
                    bought += math::notional_ceil(*bids, of.mark, of.lot_size).unwrap() as Cash;
                }
            }
            alone += most;
        }
        let linear = |id: &MarketId| !view.market(*id).unwrap().contract.kind.is_option();
        let mut of_linear = bidder.clone();
        of_linear.positions.retain(|p| linear(&p.market));
        of_linear.orders.retain(|o| linear(&o.market));
        let reserved: Cash = bidder.orders.iter().map(|o| o.reserve).sum();
        let parts = Linear::assess(&bidder, &view).unwrap();
        let linear = Linear::assess(&of_linear, &view).unwrap().initial_with_orders;
        let linear = linear - of_linear.orders.iter().map(|o| o.reserve).sum::<Cash>();
        // Of linear positions on one side a scan asks for 18 % of what they are worth, and the linear rule for a dollar at least.
        let ends = |id: MarketId| {
            let of = of_linear.order_aggregate(id);
            let (bids, asks) = of.map_or((0, 0), |o| (o.bid_lots as i64, o.ask_lots as i64));
            let held = of_linear.lots(id);
            [held, held + bids, held - asks]
        };
        let beyond = |id: MarketId| {
            let of = view.market(id).unwrap();
            let is_open = of.contract.expiry == 0 || of.contract.expiry - view.now > SETTLEMENT_MILLIS;
            let beyond = |lots: SignedLots| {
                let rate = if is_open { 180_000 } else { 0 };
                initial_ceil(of, lots).unwrap() - value_of(of, lots).abs() * rate / 1_000_000
            };
            let farthest = ends(id).into_iter().max_by_key(|lots| lots.abs()).unwrap();
            if farthest == 0 { 0 } else { beyond(farthest).max(usd(1)) }
        };
        let combined = Linear::assess(&MarginAccount {
            positions: Default::default(),
            orders: of_linear.orders.iter().filter(|o| o.market == 8).copied().collect::<Vec<_>>().try_into().unwrap(),
            ..account(0, vec![])
        }, &view).unwrap().initial_with_orders;
        let combined = combined - of_linear.orders.iter().filter(|o| o.market == 8).map(|o| o.reserve).sum::<Cash>();
        let scan = scanned(&bidder, &view).initial;
        let one_sided = scan + alone + beyond(0) + beyond(1) + combined;
        let reached = (scan + alone).max(linear).min(one_sided);
        let (value, credits) = (parts.equity - cash, credit * bidder.positions.len() as Cash);
        let paid = (reached - scan).max(bought);
        let by_scan = cash - reserved + (value - reached).min(credits - paid);
        let lesser = assess(&bidder, &view);
        prop_assert_eq!(left_by_orders(&lesser), left_by_orders(&parts).max(by_scan));
        // Nothing else minds orders.
        let held = Rules::assess_held(&bidder, &view).unwrap();
        prop_assert!(held.initial_with_orders >= held.initial);
        let (with, of_held) = ((lesser.withdrawable, lesser.initial_with_orders), (held.withdrawable, held.initial_with_orders));
        let held = Assessment { withdrawable: with.0, initial_with_orders: with.1, ..held };
        prop_assert!(with.0 <= of_held.0 && with.1 >= of_held.1);
        prop_assert_eq!(held, lesser);
    }

    #[test]
    fn a_fraction_needs_its_fraction((view, account) in any_marked(60_000), times in 2i64..50) {
        let mut whole = account.clone();
        for position in whole.positions.iter_mut() {
            position.lots *= times;
        }
        let (one, all) = (assess(&account, &view), assess(&whole, &view));
        // A short option's need and a dust position's are a dollar more each.
        let dust = usd(i128::from(times)) * 8 + Cash::from(times) * 32;
        let scaled = |x: Cash| x * Cash::from(times);
        prop_assert!((scaled(one.maintenance) - all.maintenance).abs() <= dust);
        prop_assert!((scaled(one.long_options) - all.long_options).abs() <= dust);
        prop_assert!((scaled(one.initial) - all.initial).abs() <= dust);
    }

    #[test]
    fn a_fill_at_bankruptcy_keeps_what_the_rest_has(
        (view, holder) in any_marked(60_000), which in any::<prop::sample::Index>(), part in 1i64..=1_000,
        health in -500_000i128..1_000_000,
    ) {
        prop_assume!(is_netted(&holder));
        let needs = assess(&holder, &view).maintenance;
        let holder = with_slack(holder, &view, needs * health / 1_000_000 - needs);
        let before = assess(&holder, &view);
        let held = *which.get(&holder.positions);
        let change = -held.lots.signum() * (held.lots.abs() * part / 1_000).max(1);
        let Ok(value) = bankruptcy_value::<Rules>(&holder, &view, held.market, change) else {
            return Ok(());
        };
        let mut traded = holder.clone();
        apply_trade(&mut traded, view.market(held.market).unwrap(), change, value).unwrap();
        let after = assess(&traded, &view).since(&before);
        prop_assert!(after.equity >= before.equity.min(0));
        let (stake, needed) = (before.bankruptcy_equity().unwrap(), before.net_maintenance().unwrap());
        let (left, needs) = (after.bankruptcy_equity().unwrap(), after.net_maintenance().unwrap());
        prop_assert!(needs <= needed);
        prop_assert!(left * needed >= stake * needs, "{:?} {:?}", before, after);
        prop_assert!(after.maintenance >= before.maintenance || passes_check(&before, &after));
    }

    #[test]
    fn a_sale_keeps_what_the_rest_has(
        (view, seller) in any_marked(60_000), fraction in 1..=MILLION, discount in 0..=MILLION,
        health in 0i128..1_000_000,
    ) {
        prop_assume!(is_netted(&seller));
        let needs = assess(&seller, &view).maintenance;
        let seller = with_slack(seller, &view, needs * health / 1_000_000 - needs);
        let before = assess(&seller, &view);
        let portion = Portion::between(&seller, &view, 0, fraction).unwrap();
        let taker = account(usd(1_000_000_000), vec![]);
        let sale = sell::<Rules>(&seller, &before, &taker, &portion, discount, &view).unwrap();
        let after = sale.assessment;
        prop_assert_eq!(assess(&sale.seller, &view).equity, after.equity);
        let after = after.since(&before);
        let (stake, needed) = (before.bankruptcy_equity().unwrap(), before.net_maintenance().unwrap());
        let (left, needs) = (after.bankruptcy_equity().unwrap(), after.net_maintenance().unwrap());
        prop_assert!(left * needed >= stake * needs - needed.max(1), "{:?} {:?}", before, after);
        prop_assert!(after.equity >= before.equity.min(0));
    }

    #[test]
    fn what_liquidation_closes_frees_more_than_it_costs(
        (view, holder) in any_marked(60_000), which in any::<prop::sample::Index>(),
        health in 0i128..1_000_000,
    ) {
        prop_assume!(is_netted(&holder));
        let needs = assess(&holder, &view).maintenance;
        let holder = with_slack(holder, &view, needs * health / 1_000_000 - needs);
        let before = assess(&holder, &view);
        prop_assume!(before.is_below_maintenance());
        let held = *which.get(&holder.positions);
        let params = LiquidationParams {
            bankruptcy_adjustment: 1_000_000,
            spread_to_maintenance: 100_000,
            fee: 1_000,
            concession: 4_000,
            target_buffer: 50_000,
            depth_share: 200_000,
        };
        let found = liquidation_lots::<Rules>(&before, &holder, &view, held.market, &params).unwrap();
        let Some(lots) = found.filter(|lots| *lots > 0) else {
            return Ok(());
        };
        prop_assert!(lots <= held.lots.unsigned_abs());
        let limit = liquidation_limit::<Rules>(&before, &holder, &view, held.market, lots, &params);
        prop_assert!(limit.is_ok(), "{:?}", limit);
    }

    /// Closing out is by parts, and what is left stands by itself.
    #[test]
    fn a_closed_out_account_stands_by_its_options_alone(
        (view, holder) in any_marked(60_000), health in 0i128..1_000_000,
    ) {
        prop_assume!(is_netted(&holder));
        let needs = assess(&holder, &view).maintenance;
        let holder = with_slack(holder, &view, needs * health / 1_000_000 - needs);
        let mut closed = holder.clone();
        let parts = Linear::assess(&holder, &view).unwrap();
        prop_assume!(parts.equity >= 0);
        for (market, lots) in closing_lots(&holder, &view, &parts).unwrap() {
            let value = bankruptcy_value::<Linear>(&closed, &view, market, -lots).unwrap();
            apply_trade(&mut closed, view.market(market).unwrap(), -lots, value).unwrap();
        }
        prop_assert!(!assess(&closed, &view).is_below_maintenance());
    }
}

/// Marks options again, on what their view says of forward, variance and time.
fn mark_again(view: &mut RiskView) {
    let now = view.now;
    for market in view.markets.iter_mut() {
        let Some(right) = market.contract.kind.right() else {
            continue;
        };
        let forward = Forward {
            price: market.index,
            settled: market.contract.fixed,
            left: market.contract.expiry.saturating_sub(now),
        };
        let strike = math::price_of(market.contract.strike, market.tick_size).unwrap();
        let variance = Price::from_inner(u128::from(market.contract.variance) * VARIANCE_UNIT);
        let mark = option_mark_floor(right, &forward, strike, variance).unwrap();
        market.mark = mark.max(Price::from_inner(market.tick_size.into_inner() / 1_000));
    }
}

/// `part` (ppm, signed) of a distance.
fn within(distance: u64, part: i128) -> i128 {
    i128::from(distance) * part / 1_000_000
}

fn moved(x: u128, by: i128) -> u128 {
    let one = i128::from(RELATIVE_ONE);
    (x as i128 * (one + by) / one) as u128
}

/// The view once every axis has moved by a part of what is safe, prices, volatilities and time each by its own.
fn later(
    view: &RiskView,
    moves: &[SafeMove],
    (price, volatility, time): (i128, i128, i128),
    signs: u64,
) -> RiskView {
    let mut after = view.clone();
    let of = |axis, direction| {
        moves
            .iter()
            .find(|m| (m.axis, m.direction) == (axis, direction))
            .map(|m| match m.move_ {
                Move::Relative(by) => by,
                _ => unreachable!(),
            })
    };
    let either = |axis, part: i128| {
        let direction = if part < 0 {
            Direction::Down
        } else {
            Direction::Up
        };
        of(axis, direction).map(|distance| within(distance, part))
    };
    let sign = |bit: u32| if signs >> bit & 1 == 1 { -1 } else { 1 };
    let passed: Vec<u64> = view
        .markets
        .iter()
        .filter_map(|m| {
            let distance = of(RiskAxis::Expiry(m.id), Direction::Down)?;
            let left = (m.contract.expiry - view.now) as i128;
            Some((left * within(distance, time) / i128::from(RELATIVE_ONE)) as u64)
        })
        .collect();
    after.now += passed.into_iter().min().unwrap_or(0);
    // A forward is that of its expiry, which one option stands for.
    let forwards: Vec<_> = view
        .markets
        .iter()
        .filter_map(|m| {
            let bit = u32::try_from(m.contract.expiry / DAY % 8).unwrap();
            let by = either(RiskAxis::Index(m.id), price * sign(bit))?;
            Some((m.contract.expiry, by))
        })
        .collect();
    for (bit, market) in (8u32..).zip(after.markets.iter_mut()) {
        if market.contract.kind.is_option() {
            let by = forwards
                .iter()
                .find(|(expiry, _)| *expiry == market.contract.expiry);
            let by = by.map_or(0, |(_, by)| *by);
            // Black-76 has no value at zero.
            let index = market.index.into_inner();
            market.index = Price::from_inner(moved(index, by).max(index / 1_000_000));
            if let Some(by) = either(RiskAxis::Variance(market.id), volatility * sign(bit)) {
                market.contract.variance = moved(market.contract.variance.into(), by) as u64;
            }
        } else if let Some(by) = either(RiskAxis::Mark(market.id), price * sign(bit)) {
            market.mark = Price::from_inner(moved(market.mark.into_inner(), by));
        }
    }
    mark_again(&mut after);
    after
}

proptest! {
    #![proptest_config(cases(150))]

    /// Long options beside a perpetual that has its margin by itself: only that price is an axis, and whatever all others do nobody comes below.
    #[test]
    fn whoever_stands_by_parts_is_crossed_by_those_prices_alone(
        (view, mut holder) in any_marked(60_000), slack in 0..usd(50_000), perpetual in -20_000i64..20_000,
        forward in 20_000u128..180_000, volatility in 0u64..4_000_000, passed in 0u64..40 * DAY, part in 0..=1_000_000i128,
    ) {
        let mut held: Vec<_> = holder.positions.iter().filter(|p| p.market > 1).copied().collect();
        prop_assume!(!held.is_empty());
        for held in &mut held {
            held.lots = held.lots.abs();
        }
        if perpetual != 0 {
            held.insert(0, position(0, perpetual, 0, 0));
        }
        holder.positions = held.try_into().unwrap();
        holder.cash += slack - Linear::assess(&holder, &view).unwrap().slack().unwrap();
        let before = assess(&holder, &view);
        let moves = safe_moves(&holder, &view, &before).unwrap();
        prop_assume!(moves.iter().all(|m| matches!(m.axis, RiskAxis::Mark(0) | RiskAxis::Funding(_))));
        let mut after = view.clone();
        let Some(expiry) = view.markets.iter().map(|m| m.contract.expiry).filter(|at| *at > 0).min() else {
            return Ok(());
        };
        after.now = (after.now + passed).min(expiry - 1);
        for market in after.markets.iter_mut().filter(|m| m.id > 1) {
            market.index = Price::from_inner(forward * 10u128.pow(18));
            market.contract.variance = (u128::from(market.contract.variance) * u128::from(volatility) / 1_000_000) as u64;
        }
        for safe in moves.iter().filter(|m| m.axis == RiskAxis::Mark(0)) {
            let Move::Relative(by) = safe.move_ else { unreachable!() };
            let by = within(by, part) * if safe.direction == Direction::Down { -1 } else { 1 };
            let market = after.market_mut(0).unwrap();
            market.mark = Price::from_inner(moved(market.mark.into_inner(), by));
        }
        mark_again(&mut after);
        prop_assert!(!assess(&holder, &after).is_below_maintenance());
    }
}

proptest! {
    #![proptest_config(cases(40))]

    /// Every price, every volatility and time, to the ends of what is safe and between, each by its own sign: nobody comes below.
    #[test]
    fn whoever_a_scan_margins_stays_above_maintenance_within_the_safe_moves(
        (view, holder) in any_marked(60_000),
        slack in prop_oneof![0i128..100 * QUANTUMS, 0i128..20_000 * QUANTUMS, 0i128..1_000_000 * QUANTUMS],
        signs in any::<u64>(),
        inner in (-1_000_000i128..=1_000_000, -1_000_000i128..=1_000_000, 0i128..=1_000_000),
    ) {
        let holder = with_slack(holder, &view, slack);
        let before = assess(&holder, &view);
        prop_assume!(before.scanned != 0);
        let moves = safe_moves(&holder, &view, &before).unwrap();
        // What its weight counts with.
        let most = 2 * holder.holdings() + 2 + more_thresholds(&holder, &view);
        prop_assert!(moves.len() as u32 <= most);
        let ends = [-1_000_000, 0, 1_000_000];
        let mut all = vec![inner];
        for price in ends {
            for volatility in ends {
                all.extend([0, 1_000_000].map(|time| (price, volatility, time)));
            }
        }
        for by in all {
            for signs in [0, signs] {
                let after = later(&view, &moves, by, signs);
                let found = assess(&holder, &after);
                prop_assert!(!found.is_below_maintenance(), "{:?} {:?}: slack {} became {:?}", by, signs, slack, found.slack());
            }
        }
    }
}

#[test]
fn once_a_mean_has_begun_time_is_looked_at_in_every_close() {
    for (left, is_open) in [(SETTLEMENT_MILLIS / 2, false), (DAY, true)] {
        let (mut view, holder) = spread(left);
        mark_again(&mut view);
        let holder = with_slack(holder, &view, usd(1_000));
        let found = assess(&holder, &view);
        assert_ne!(found.scanned, 0);
        let moves = safe_moves(&holder, &view, &found).unwrap();
        let time: Vec<_> = moves
            .iter()
            .filter(|m| matches!(m.axis, RiskAxis::Expiry(_)))
            .collect();
        assert_eq!(time.len(), 1);
        assert_eq!(time[0].move_ != Move::Relative(0), is_open, "{time:?}");
    }
}

/// The view once the price of its underlying has moved by `ppm`, marked as a chain marks.
fn at_moved_price(view: &RiskView, ppm: i64) -> RiskView {
    let mut after = view.clone();
    for market in after.markets.iter_mut() {
        let fixed = market.contract.fixed.into_inner();
        let moved = |price: Price| {
            let open = Price::from_inner(price.into_inner() - fixed);
            Price::from_inner(fixed + math::shift_floor(open, ppm).unwrap().into_inner())
        };
        (market.index, market.mark) = (moved(market.index), moved(market.mark.max(market.index)));
    }
    mark_again(&mut after);
    after
}

fn slack_at(account: &MarginAccount, view: &RiskView, ppm: i64) -> Cash {
    let view = at_moved_price(view, ppm);
    assess(account, &view).slack().unwrap()
}

fn deviation(account: &MarginAccount, view: &RiskView, sigma: Ppm) -> Option<Cash> {
    let exposed = exposures(account, view, PortfolioParams::standard).unwrap();
    let assessed = assess(account, view);
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

/// A unit bought by a call and a put of one strike, and sold by the perpetual.
fn hedged() -> (RiskView, MarginAccount) {
    let call = listed(4, 60_000, 60_000, 14 * DAY);
    let put = listed(6, 60_000, 60_000, 14 * DAY);
    let mut view = view(vec![listed(0, 60_000, 0, 14 * DAY), call, put], vec![]);
    view.now = NOW;
    let held = vec![
        position(0, -10_000, -usd(60_000), 0),
        position(4, 10_000, 0, 0),
        position(6, -10_000, 0, 0),
    ];
    (view, account(0, held))
}

#[test]
fn whoever_is_hedged_is_not_called() {
    let (view, holder) = hedged();
    let holder = with_slack(holder, &view, usd(500));
    let found = assess(&holder, &view);
    assert_eq!(found.scanned, 0b111);
    let one = deviation(&holder, &view, 50_000).unwrap();
    // Nothing but what it needs grows, by as much of itself.
    let grown = one - found.maintenance / 20;
    assert!((0..usd(1)).contains(&grown) && one < usd(120), "{one}");
    assert_eq!(margin_call(found.slack().unwrap(), one), MarginCall::None);
    let exposed = exposures(&holder, &view, PortfolioParams::standard).unwrap();
    let parts = Linear::assess(&holder, &view).unwrap();
    let by_parts = deviation_ceil(
        &holder,
        &view,
        &parts,
        &exposed,
        PortfolioParams::standard,
        |_| Some(50_000),
    );
    // By parts the call counts for nothing, and the perpetual's loss by a rise is not its gain.
    let by_parts = by_parts.unwrap().unwrap();
    assert!(by_parts > 5 * one, "{by_parts}");
}

#[test]
fn what_a_debt_stands_against_counts_in_a_deviation() {
    // Calls that a scan asks less for than they are worth, against a debt.
    let (view, holder) = rich_in_calls();
    let indebted = with_slack(holder, &view, usd(10_000));
    assert!(indebted.cash < 0);
    assert_eq!(assess(&indebted, &view).scanned, 0b1);
    let one = deviation(&indebted, &view, 50_000).unwrap();
    // Ten units fall by 5 %; of that the scan asks for less by what it asks for of it.
    assert!(one > usd(10_000) && one < usd(50_000), "{one}");
    let left = slack_at(&indebted, &view, -50_000);
    assert_eq!(usd(10_000) - left, one);
    assert!(left < 0);
    // As much by parts is worth what it needs.
    let exposed = exposures(&indebted, &view, PortfolioParams::standard).unwrap();
    let parts = Linear::assess(&indebted, &view).unwrap();
    let by_parts = deviation_ceil(
        &indebted,
        &view,
        &parts,
        &exposed,
        PortfolioParams::standard,
        |_| Some(50_000),
    );
    assert_eq!(by_parts, Ok(None));
}

#[test]
fn an_account_of_several_underlyings_has_a_deviation_of_each() {
    let (mut view, mut holder) = spread(14 * DAY);
    let alone = deviation(&holder, &view, 50_000).unwrap();
    let other = MarketView {
        underlying: 2,
        ..listed(1, 60_000, 0, 14 * DAY)
    };
    view.markets.try_insert(1, other.clone()).unwrap();
    let held = position(1, 10_000, 0, 0);
    holder.positions.try_insert(1, held).unwrap();
    let settled = account(0, vec![held]);
    let of_other = deviation(&settled, &view, 50_000).unwrap();
    assert_eq!(assess(&holder, &view).scanned, 0b101);
    assert_eq!(deviation(&holder, &view, 50_000), Some(alone + of_other));
    // What it has in collateral that is the underlying moves with it.
    let mut bitcoin = collateral(1, 8, dollars(60_000), 100_000);
    bitcoin.params.feed = 1;
    view.collaterals.try_push(bitcoin).unwrap();
    holder.collateral.try_push((1, 100_000_000)).unwrap();
    let lost = usd(60_000) * 9 / 10 / 20;
    let with = deviation(&holder, &view, 50_000).unwrap();
    // The spread gains by a fall.
    assert!(with > of_other && with < of_other + lost, "{with}");
}

proptest! {
    #![proptest_config(cases(60))]

    /// Reckoned by assessing the whole account at the moved price.
    #[test]
    fn no_move_of_a_deviation_takes_more_than_a_deviation(
        (view, holder) in any_marked(60_000), cash in any_cash(), sigma in 1_000u32..200_000,
    ) {
        let holder = MarginAccount { cash, ..holder };
        let view = at_moved_price(&view, 0);
        let found = assess(&holder, &view);
        let one = deviation(&holder, &view, sigma).unwrap_or(0);
        let now = found.slack().unwrap();
        let taken = [-i64::from(sigma), sigma.into()].map(|ppm| now - slack_at(&holder, &view, ppm));
        let most = taken.into_iter().max().unwrap().max(0);
        if found.scanned == 0 {
            // Each position rounds by itself, and a chain marks no option below the least.
            let least = holder.positions.iter().map(|p| {
                let of = view.market(p.market).unwrap();
                value_of(&MarketView { mark: least_mark(of.tick_size), ..of.clone() }, p.lots.abs())
            });
            let rounding = 40 + least.sum::<Cash>();
            prop_assert!(most <= one + rounding, "{most} of {one}");
        } else {
            let of_margin = (found.maintenance * Cash::from(sigma) + 999_999) / 1_000_000;
            prop_assert_eq!(most.max(of_margin), one);
            let options = holder.positions.iter().filter(|p| p.market > 1).count();
            prop_assert_eq!(scanned_options(&holder, &view, &found), options as u32);
        }
    }
}

/// Short of margin for the first time where a price that walks in steps of a thousandth has taken it lowest: the step before, and what was left there.
fn before_it_is_short(
    holder: &MarginAccount,
    view: &RiskView,
    rises: bool,
) -> Option<(MarginAccount, RiskView, Cash)> {
    let ppm = |step: i64| step * if rises { 1_000 } else { -1_000 };
    let slacks: Vec<_> = (0..60)
        .map(|step| slack_at(holder, view, ppm(step)))
        .collect();
    let (step, least) = (0..).zip(&slacks).min_by_key(|(_, slack)| **slack)?;
    let mut holder = holder.clone();
    holder.cash -= least + 1;
    let before = at_moved_price(view, ppm(step - 1));
    let left = assess(&holder, &before).slack()?;
    (step > 0).then_some((holder, before, left))
}

proptest! {
    #![proptest_config(cases(80))]

    /// A deviation is fifty steps.
    #[test]
    fn whoever_a_scan_margins_is_called_before_it_is_below_maintenance(
        (view, mut holder) in any_marked(60_000), rises in any::<bool>(), has_written in any::<bool>(),
    ) {
        if !has_written {
            for held in holder.positions.iter_mut().filter(|p| p.market > 1) {
                held.lots = held.lots.abs();
            }
        }
        let Some((holder, before, left)) = before_it_is_short(&holder, &view, rises) else {
            return Ok(());
        };
        prop_assert!(left >= 0);
        // What it has least of between a deviation down and one up neither of them shows: see the straddle below.
        if [-50_000, 50_000].iter().all(|ppm| slack_at(&holder, &before, *ppm) >= 0) {
            return Ok(());
        }
        let one = deviation(&holder, &before, 50_000).unwrap_or(0);
        prop_assert!(margin_call(left, one) != MarginCall::None, "{} of {}", left, one);
    }
}

#[test]
fn whoever_has_least_where_bought_options_have_is_called_before() {
    let call = listed(4, 60_000, 60_000, 14 * DAY);
    let put = listed(6, 60_000, 60_000, 14 * DAY);
    let mut view = view(vec![call, put], vec![]);
    view.now = NOW;
    let straddle = vec![position(4, 10_000, 0, 0), position(6, 10_000, 0, 0)];
    let holder = account(0, straddle);
    for far in [-20_000, 20_000] {
        let view = at_moved_price(&view, far);
        let (holder, before, left) = before_it_is_short(&holder, &view, far < 0).unwrap();
        assert_eq!(assess(&holder, &before).scanned, 0b11);
        // Neither a rise nor a fall of 5 % takes anything from it.
        assert!([-50_000, 50_000].map(|ppm| slack_at(&holder, &before, ppm)) > [left, left]);
        let one = deviation(&holder, &before, 50_000).unwrap();
        assert_eq!(margin_call(left, one), MarginCall::OneSigma);
    }
}
