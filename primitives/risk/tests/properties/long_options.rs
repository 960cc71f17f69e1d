//! Accounts whose long options are worth more than all else: what liquidation takes of them, and what it does not.

use crate::common::*;
use novate_risk::*;
use novate_types::*;
use proptest::prelude::*;

const PERPETUAL: MarketId = 1;
const LONG: MarketId = 2;
const SHORT: MarketId = 3;

const PARAMS: LiquidationParams = LiquidationParams {
    bankruptcy_adjustment: 1_000_000,
    spread_to_maintenance: 100_000,
    fee: 500,
    concession: 2_000,
    target_buffer: 250_000,
    depth_share: 200_000,
};

fn dollars(n: u128) -> Price {
    Price::from_inner(n * 10u128.pow(18))
}

/// A perpetual at 50,000, and calls at 60,000 on a forward of 60,000: one that is held, one that is written.
fn markets(long: u128, short: u128) -> RiskView {
    let call = |id, mark| MarketView {
        id,
        underlying: PERPETUAL,
        index: dollars(60_000),
        imf: 150_000,
        mmf: 100_000,
        contract: Contract::from(InstrumentKind::Option {
            expiry: 1_800_000_000_000,
            strike: 120_000,
            right: OptionRight::Call,
        }),
        ..bitcoin(dollars(mark))
    };
    let markets = vec![
        bitcoin(dollars(50_000)),
        call(LONG, long),
        call(SHORT, short),
    ];
    view(markets, vec![])
}

fn assess(account: &MarginAccount, view: &RiskView) -> Assessment {
    Linear::assess(account, view).unwrap()
}

/// Calls worth 100,000, and a perpetual that needs 1,500; without the calls it has so much.
fn holder(net: Cash) -> (RiskView, MarginAccount) {
    let positions = vec![
        position(PERPETUAL, 10_000, usd(50_000), 0),
        position(LONG, 1_000_000, 0, 0),
    ];
    (markets(1_000, 1), account(net, positions))
}

#[test]
fn options_that_are_worth_much_stay_when_the_rest_is_short_of_little() {
    let (view, holder) = holder(usd(1_400));
    let found = assess(&holder, &view);
    assert_eq!(
        (found.equity, found.maintenance),
        (usd(101_400), usd(101_500))
    );
    assert_eq!(found.long_options, usd(100_000));
    // 125 % of 1,500 less 1,400 are lacking, of which each lot of the calls brings 9.975 cents.
    let lots = liquidation_lots::<Linear>(&found, &holder, &view, LONG, &PARAMS);
    assert_eq!(lots, Ok(Some(4_762)));
    // 475 of 101,875, and of 90,475 when all of the 1,400 and a tenth of the calls may be given up.
    let worth = worth(&holder, &view).unwrap();
    let fraction = |discount| largest_fraction_ceil(&found, worth, discount, 250_000).unwrap();
    assert_eq!((fraction(0), fraction(MILLION)), (4_663, 5_251));
    // No more than that is given up of the whole.
    let all = Portion::between(&holder, &view, 0, MILLION).unwrap();
    let taker = account(usd(1_000_000), vec![]);
    let sale = sell::<Linear>(&holder, &found, &taker, &all, MILLION, &view).unwrap();
    assert_eq!(sale.discount, usd(1_400 + 10_000));
    assert_eq!(sale.seller.cash, usd(90_000));
    // A takeover takes the perpetual alone.
    let closing = closing_lots(&holder, &view, &found);
    assert_eq!(closing, Ok(vec![(PERPETUAL, 10_000)]));
    // It is covered many times over.
    assert!(closed_out_equity_floor(&found).unwrap() > found.net_maintenance().unwrap());
}

#[test]
fn an_option_passes_for_nothing_only_when_the_rest_stands_without_it() {
    let sold = |net| {
        let (view, holder) = holder(net);
        bankruptcy_value::<Linear>(&holder, &view, LONG, -1_000_000).unwrap()
    };
    assert_eq!(sold(usd(1_500)), 0);
    assert_eq!(sold(usd(1_500) - 1), usd(-90_000));
    // Part of the rest's deficit is theirs to pay, and what is left of them bounds the spread.
    assert_eq!(sold(usd(-50_000)), usd(-90_000));
    assert_eq!(sold(usd(-96_000)), usd(-96_000));
    assert_eq!(sold(usd(-110_000)), usd(-100_000));
}

#[test]
fn a_deficit_is_the_perpetuals_when_a_perpetual_made_it() {
    let (view, holder) = holder(usd(-110_000));
    assert_eq!(assess(&holder, &view).equity, usd(-10_000));
    // Bought by its writers at what it is worth, and the perpetual sold for 10,000 more than that.
    let paid = |market, lots| bankruptcy_value::<Linear>(&holder, &view, market, lots).unwrap();
    assert_eq!(paid(LONG, -1_000_000), usd(-100_000));
    assert_eq!(paid(PERPETUAL, -10_000), usd(-60_000));
    let closing = closing_lots(&holder, &view, &assess(&holder, &view)).unwrap();
    assert_eq!(closing, [(PERPETUAL, 10_000), (LONG, 1_000_000)]);
}

#[test]
fn options_pay_for_what_the_rest_lacks_and_no_more_when_an_account_is_closed_out() {
    let (view, holder) = holder(usd(-45_000));
    let found = assess(&holder, &view);
    // Nine tenths of 100,000 are what a million lots pay; half of them pay 45,000, and a lot what rounds.
    let closing = closing_lots(&holder, &view, &found).unwrap();
    assert_eq!(closing, [(PERPETUAL, 10_000), (LONG, 500_001)]);
    assert_eq!(
        bankruptcy_value::<Linear>(&holder, &view, PERPETUAL, -10_000),
        Ok(usd(-50_000))
    );
}

#[test]
fn a_loss_is_not_hidden_by_options_when_a_fill_is_checked() {
    let of = |equity: Cash, maintenance: Cash| Assessment {
        equity: usd(100_000 + equity),
        maintenance: usd(100_000 + maintenance),
        initial: usd(1_000_000),
        long_options: usd(100_000),
        ..Assessment::default()
    };
    let before = of(900, 1_000);
    // 100,420 / 100,500 is more than 100,900 / 101,000, and 420 / 500 less than 900 / 1,000.
    assert!(!passes_check(&before, &of(420, 500)));
    assert!(passes_check(&before, &of(450, 500)));
    // Options sold at half of what they are worth: for the fill's own limit to refuse.
    let sold = Assessment {
        equity: usd(50_900),
        maintenance: usd(1_000),
        long_options: 0,
        ..before
    };
    assert!(passes_check(&before, &sold));
    // Sold, and others written.
    let written = Assessment {
        maintenance: usd(2_000),
        ..sold
    };
    assert!(!passes_check(&before, &written));
    // In deficit they go at their mark.
    let deficit = of(-101_000, 0);
    let sold = |equity| Assessment {
        equity: usd(equity),
        maintenance: 0,
        long_options: 0,
        ..deficit
    };
    assert!(passes_check(&deficit, &sold(-1_000)));
    assert!(!passes_check(&deficit, &sold(-1_001)));
}

#[test]
fn slices_of_options_are_sized_at_the_forward_when_their_mark_is_next_to_nothing() {
    let mut view = markets(1, 1);
    let market = view.market_mut(LONG).unwrap();
    (market.mark, market.min_notional) = (Price::default(), usd(10));
    // A lot is six dollars of the forward.
    assert_eq!(least_slice(market), Ok(2));
    market.mark = dollars(1);
    assert_eq!(least_slice(market), Ok(2));
    let params = QuoteParams {
        spread_min: 10_000,
        spread_buffer: 1_000,
        skew_factor: 1_000_000,
        order_size: 100_000,
        concession: 10_000,
        requote: 10_000,
    };
    // A tenth of 600 USD is worth ten lots.
    let (_, ask) = quotes(market, -100, usd(600), &params).unwrap();
    assert_eq!(ask.map(|quote| quote.lots), Some(10));
}

/// An account below maintenance margin, with anything from long options that pay for nothing to ones that do not suffice.
fn below() -> impl Strategy<Value = (RiskView, MarginAccount)> {
    let lots = (-200_000i64..200_000, 1i64..1_000_000, -100_000i64..=0);
    (lots, 1u128..2_000, 1u128..2_000, 0u128..1_400_000).prop_map(
        |((perpetual, long, short), long_mark, short_mark, part)| {
            let view = markets(long_mark, short_mark);
            let mut positions = vec![];
            if perpetual != 0 {
                let cost = i128::from(perpetual) * usd(5);
                positions.push(position(PERPETUAL, perpetual, cost, 0));
            }
            positions.push(position(LONG, long, 0, 0));
            if short != 0 {
                positions.push(position(SHORT, short, 0, 0));
            }
            let mut account = account(0, positions);
            let start = assess(&account, &view);
            // Between a quantum below what it needs, and 120 % of its options below nothing.
            let most = start.net_maintenance().unwrap() - 1;
            let span = most + start.long_options * 12 / 10;
            let net = most - span * part as i128 / 1_400_000;
            account.cash += net - start.net_equity().unwrap();
            (view, account)
        },
    )
}

/// What it has and needs without its long options, and what liquidation shares out.
fn net(a: &Assessment) -> (Cash, Cash, Cash) {
    (
        a.net_equity().unwrap(),
        a.net_maintenance().unwrap(),
        a.bankruptcy_equity().unwrap(),
    )
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn a_fill_at_bankruptcy_keeps_what_the_rest_has_and_gives_up_no_more_than_a_spread_of_options(
        (view, holder) in below(), which in any::<prop::sample::Index>(), part in 1i64..=1_000,
    ) {
        let before = assess(&holder, &view);
        let held = *which.get(&holder.positions);
        let size = (held.lots.abs() * part / 1_000).max(1);
        let change = -held.lots.signum() * size;
        let value = bankruptcy_value::<Linear>(&holder, &view, held.market, change).unwrap();
        let mut traded = holder.clone();
        apply_trade(&mut traded, view.market(held.market).unwrap(), change, value).unwrap();
        let after = assess(&traded, &view);
        let ((had, needed, stake), (has, needs, left)) = (net(&before), net(&after));
        prop_assert!(left * needed >= stake * needs, "{:?} {:?}", before, after);
        prop_assert!(after.equity >= before.equity.min(0));
        let given = before.equity - after.equity;
        if held.market == LONG {
            let passed = before.long_options - after.long_options;
            prop_assert!(given >= 0 && given <= passed / 10 && has >= had && needs == needed);
            prop_assert!(before.equity >= 0 || given == 0);
        } else if stake >= 0 {
            // Options pay for none of it.
            prop_assert!(given >= 0 && given <= stake);
        } else {
            prop_assert!(given <= 0);
        }
        prop_assert!(after.maintenance == before.maintenance || passes_check(&before, &after));
    }

    #[test]
    fn a_sale_keeps_what_the_rest_has_and_gives_up_no_more_than_a_spread_of_options(
        (view, seller) in below(), fraction in 1..=MILLION, discount in 0..=MILLION,
    ) {
        let before = assess(&seller, &view);
        let ((had, needed, stake), taker) = (net(&before), account(usd(1_000_000_000), vec![]));
        let portion = Portion::between(&seller, &view, 0, fraction).unwrap();
        let sale = sell::<Linear>(&seller, &before, &taker, &portion, discount, &view).unwrap();
        let after = assess(&sale.seller, &view);
        prop_assert_eq!(after, sale.assessment);
        let sum = |account: &MarginAccount| {
            account.cash - account.positions.iter().map(|p| p.cost).sum::<Cash>()
        };
        prop_assert_eq!(sum(&sale.seller) + sum(&sale.taker), sum(&seller) + sum(&taker));
        let (has, needs, left) = net(&after);
        prop_assert!(left * needed >= stake * needs, "{:?} {:?}", before, after);
        if before.equity >= 0 {
            prop_assert!(after.equity >= 0);
        }
        // What is below zero itself is closed at the mark, by a lot more than its fraction maybe: it does not become more.
        let kept = if had >= 0 {
            has * needed >= had * needs
        } else {
            has >= had || before.equity < 0
        };
        prop_assert!(kept, "{:?} {:?}", before, after);
        // Of the rest its share, of options a tenth, and what rounds of each position in the seller's favour.
        let passed = before.long_options - after.long_options;
        let share = stake.max(0) * (needed - needs) / needed.max(1);
        prop_assert!(sale.discount <= share + passed / 10 + 5, "{} {}", sale.discount, share);
    }

    #[test]
    fn the_largest_fraction_brings_the_rest_to_its_target_whatever_the_options_are_worth(
        (view, seller) in below(), discount in 0..=MILLION, buffer in 0..=500_000u32,
    ) {
        let before = assess(&seller, &view);
        prop_assume!(before.equity > 0);
        let worth = worth(&seller, &view).unwrap();
        let fraction = largest_fraction_ceil(&before, worth, discount, buffer).unwrap();
        let portion = Portion::between(&seller, &view, 0, fraction).unwrap();
        let taker = account(usd(1_000_000_000), vec![]);
        let sale = sell::<Linear>(&seller, &before, &taker, &portion, discount, &view).unwrap();
        let (has, needs, _) = net(&sale.assessment);
        // The least margin of a position does not shrink with it.
        let target = needs + needs * i128::from(buffer) / i128::from(MILLION);
        prop_assert!(has + usd(4) >= target, "{} {} {}", has, needs, fraction);
    }

    #[test]
    fn a_closed_out_account_stands_by_its_options_alone((view, holder) in below()) {
        let before = assess(&holder, &view);
        prop_assume!(before.equity >= 0);
        let mut closed = holder.clone();
        for (market, lots) in closing_lots(&holder, &view, &before).unwrap() {
            let value = bankruptcy_value::<Linear>(&closed, &view, market, -lots).unwrap();
            apply_trade(&mut closed, view.market(market).unwrap(), -lots, value).unwrap();
        }
        let after = assess(&closed, &view);
        prop_assert_eq!(after.maintenance, after.long_options);
        prop_assert!(!after.is_below_maintenance(), "{:?}", after);
        // What it gave up is what the rest had, and a spread of the options that paid.
        let (had, ..) = net(&before);
        let passed = before.long_options - after.long_options;
        prop_assert!(before.equity - after.equity <= had.max(0) + passed / 10);
    }
}
