//! The vault's quotes against the worked examples of dYdX v4's own tests, and what holds for any.

use crate::common::*;
use novate_risk::{quotes, stays, Quote, QuoteParams};
use novate_types::*;
use proptest::prelude::*;

/// Ether at 3,000 USD on a grid of 0.001 USD, in lots of 0.001.
fn ether() -> MarketView {
    let grain = Price::from_rational(1, 1_000);
    market(
        1,
        grain,
        Size::from_rational(1, 1_000),
        1,
        Price::from_u32(3_000),
        50_000,
        30_000,
        0,
    )
}

/// Without a bound on what it concedes, as dYdX has none.
fn params(spread_min: Ppm, spread_buffer: Ppm, skew_factor: Ppm, order_size: Ppm) -> QuoteParams {
    QuoteParams {
        spread_min,
        spread_buffer,
        skew_factor,
        order_size,
        concession: MILLION,
        requote: 1_000,
    }
}

/// `protocol/x/vault/keeper/orders_test.go`, `TestGetVaultClobOrders`, the first layer of each. dYdX's ticks there are 0.001 USD. Its orders that
/// reduce are not limited to the position; these fit.
#[test]
fn quotes_are_those_of_the_megavault_when_the_vault_holds_something() {
    let market = ether();
    let quote = |ticks, lots| Some(Quote { ticks, lots });
    // Leverage −0.6: 0.25 short, 1,250 USD.
    let short = params(7_654, 2_900, 1_234_000, 100_000);
    assert_eq!(
        quotes(&market, -250, usd(1_250), &short).unwrap(),
        (quote(2_994_039, 41), quote(3_069_552, 41))
    );
    // Leverage −3, through the mark. A tick is 50 ppm there and one here.
    let deep = params(3_000, 8_549, 900_000, 200_000);
    assert_eq!(
        quotes(&market, -500, usd(500), &deep).unwrap(),
        (quote(3_043_605, 33), quote(3_351_149, 33))
    );
    // Leverage 3.
    let long = params(3_000, 1_500, 500_000, MILLION);
    assert_eq!(
        quotes(&market, 1_000, usd(1_000), &long).unwrap(),
        (quote(2_943_750, 333), quote(2_995_500, 333))
    );
    // Leverage 0.6, as of its vault that only closes.
    let closing = params(7_654, 2_900, 1_234_000, 500_000);
    let (_, ask) = quotes(&market, 500, usd(2_500), &closing).unwrap();
    assert_eq!(ask, quote(3_005_961, 416));
}

#[test]
fn a_reduction_goes_no_farther_through_the_mark_than_the_concession() {
    let market = ether();
    let mut bounded = params(3_000, 8_549, 900_000, 200_000);
    bounded.concession = 1_000;
    let (bid, _) = quotes(&market, -500, usd(500), &bounded).unwrap();
    assert_eq!(bid.unwrap().ticks, 3_003_000);
    let (_, ask) = quotes(&market, 500, usd(500), &bounded).unwrap();
    assert_eq!(ask.unwrap().ticks, 2_997_000);
}

#[test]
fn nothing_is_quoted_without_equity_a_position_or_a_price() {
    let p = params(3_000, 1_500, 500_000, 100_000);
    let market = ether();
    for (held, equity) in [(100, 0), (100, -1), (0, usd(1_000))] {
        assert_eq!(quotes(&market, held, equity, &p).unwrap(), (None, None));
    }
    let unpriced = MarketView {
        mark: Price::default(),
        ..market
    };
    assert_eq!(
        quotes(&unpriced, 100, usd(1_000), &p).unwrap(),
        (None, None)
    );
}

#[test]
fn an_order_stays_until_the_mark_has_moved_far_enough_or_its_size_is_another() {
    let (market, p) = (ether(), params(3_000, 1_500, 500_000, 100_000));
    let now = Quote {
        ticks: 3_010_000,
        lots: 10,
    };
    for (ticks, lots, expected) in [
        (3_010_000, 10, true),
        (3_013_000, 10, true),
        (3_013_001, 10, false),
        (3_006_999, 10, false),
        (3_010_000, 5, true),
        (3_010_000, 4, false),
        (3_010_000, 20, true),
        (3_010_000, 21, false),
    ] {
        assert_eq!(
            stays(&now, ticks, lots, &market, &p),
            expected,
            "{ticks} {lots}"
        );
    }
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn quotes_do_not_cross_and_reduce_no_more_than_there_is(
        market in any_market(1),
        held in any_lots(),
        leverage in 1i128..20_000,
        spread in 1u32..20_000,
        skew in 0u32..5_000_000,
        size in 1u32..1_000_000,
    ) {
        let value = math::position_value_floor(held, market.mark, market.lot_size).unwrap();
        let equity = value.abs() / leverage * 1_000;
        let mut p = params(spread, 0, skew, size);
        p.concession = 1_000;
        let Ok((bid, ask)) = quotes(&market, held, equity, &p) else {
            // Beyond the range of prices.
            return Ok(());
        };
        if let (Some(bid), Some(ask)) = (bid, ask) {
            prop_assert!(bid.ticks <= ask.ticks);
        }
        let reducing = if held > 0 { ask } else { bid };
        prop_assert!(reducing.is_none_or(|q| q.lots <= held.unsigned_abs()));
        if equity > 0 && held != 0 {
            let adding = if held > 0 { bid } else { ask };
            let price = |q: Quote| math::price_of(q.ticks, market.tick_size).unwrap();
            if let Some(adding) = adding {
                prop_assert_eq!(price(adding) > market.mark, held < 0);
            }
        }
    }
}
