//! Several markets traded together: legs sum to the price, both sides to nothing, and an order holds what its legs may come to need.

use crate::common::*;
use novate_risk::*;
use novate_types::*;
use proptest::{prelude::*, sample::subsequence};

const COMBINATION: MarketId = 9;
/// 60,000 USD.
const STRIKE: Ticks = 120_000;
const FEES: FeeTier = FeeTier {
    maker_ppm: -100,
    taker_ppm: 500,
};

/// A perpetual, a future, a call and a put on one underlying, of one grain, none of which minds how large a profit is.
fn legs_at(marks: [Price; 4], forward: Price) -> Vec<MarketView> {
    let option = |right| {
        Contract::from(InstrumentKind::Option {
            expiry: 1_800_000_000_000,
            strike: STRIKE,
            right,
        })
    };
    let contracts = [
        Contract::default(),
        Contract::from(InstrumentKind::Future {
            expiry: 1_800_000_000_000,
        }),
        option(OptionRight::Call),
        option(OptionRight::Put),
    ];
    let market = |((id, mark), contract): ((MarketId, Price), Contract)| {
        let is_option = contract.kind.is_option();
        MarketView {
            id,
            underlying: 1,
            index: if is_option { forward } else { mark },
            imf: if is_option { 150_000 } else { 50_000 },
            mmf: if is_option { 100_000 } else { 30_000 },
            profit_credit: usd(1 << 60),
            funding_index: i128::from(id) << 33,
            short_funding_index: i128::from(id) << 32,
            contract,
            ..bitcoin(mark)
        }
    };
    (1..).zip(marks).zip(contracts).map(market).collect()
}

/// The view with a combination of these legs, turned round if it would be worth less than nothing.
fn combined(mut markets: Vec<MarketView>, legs: &[(MarketId, i8)], band: Ppm) -> RiskView {
    let of = |sign: i8| -> Vec<(MarketId, i8)> {
        legs.iter().map(|(id, ratio)| (*id, ratio * sign)).collect()
    };
    let combine = |legs: &[(MarketId, i8)]| {
        let views: Vec<_> = legs
            .iter()
            .map(|(id, ratio)| (&markets[usize::from(id - 1)], *ratio))
            .collect();
        novate_risk::combine(&views, Price::from_rational(1, 2), band).unwrap()
    };
    let mut legs = of(1);
    if combine(&legs).mark == Price::default() {
        legs = of(-1);
    }
    let said = combine(&legs);
    markets.push(MarketView {
        id: COMBINATION,
        underlying: 1,
        mark: said.mark,
        index: said.index,
        imf: said.imf,
        price_band: said.band,
        contract: Contract::from(InstrumentKind::Combination {
            legs: CombinationLegs::new(&legs).unwrap(),
            expiry: None,
        }),
        ..bitcoin(said.mark)
    });
    view(markets, Vec::new())
}

fn any_price(dollars: core::ops::Range<u128>) -> impl Strategy<Value = Price> {
    (dollars, 0u128..10u128.pow(18))
        .prop_map(|(whole, part)| Price::from_inner(whole * 10u128.pow(18) + part))
}

prop_compose! {
    fn any_combination()(
        perpetual in any_price(20_000..90_000),
        future in any_price(20_000..90_000),
        call in any_price(0..9_000),
        put in any_price(0..9_000),
        forward in any_price(20_000..90_000),
        band in 1_000u32..100_000,
        chosen in subsequence(vec![1u16, 2, 3, 4], 2..=4),
        ratios in proptest::array::uniform4((1i8..=3, any::<bool>())),
        one in any::<prop::sample::Index>(),
    ) -> RiskView {
        let sign = |(ratio, negative): (i8, bool)| if negative { -ratio } else { ratio };
        let mut legs: Vec<(MarketId, i8)> = chosen
            .into_iter()
            .zip(ratios.map(sign))
            .collect();
        let one = one.index(legs.len());
        legs[one].1 = legs[one].1.signum();
        combined(legs_at([perpetual, future, call, put], forward), &legs, band)
    }
}

/// Ticks within the combination's band.
fn band_of(market: &MarketView) -> Option<(Ticks, Ticks)> {
    let band = i64::from(market.price_band);
    let lower = math::shift_ceil(market.mark, -band).unwrap();
    let upper = math::shift_floor(market.mark, band).unwrap();
    let lower = math::ticks_ceil(lower, market.tick_size).unwrap().max(1);
    let upper = math::ticks_floor(upper, market.tick_size).unwrap();
    (market.mark > Price::default() && lower <= upper).then_some((lower, upper))
}

/// What positions of the legs cost, and cash.
fn books(account: &MarginAccount) -> Cash {
    account.cash - account.positions.iter().map(|p| p.cost).sum::<Cash>()
}

/// An account with these lots in the legs, bought at their marks.
fn holding(view: &RiskView, cash: Cash, lots: [SignedLots; 4]) -> MarginAccount {
    let mut account = account(cash, Vec::new());
    for (market, lots) in view.markets.iter().zip(lots) {
        let value = math::position_value_floor(lots, market.mark, market.lot_size).unwrap();
        apply_trade(&mut account, market, lots, value).unwrap();
    }
    account
}

#[test]
fn a_calendar_is_marked_at_the_difference_of_its_legs() {
    let marks = [60_000, 60_150, 0, 0].map(Price::from_u32);
    let markets = legs_at(marks, Price::from_u32(60_000));
    let view = combined(markets, &[(2, 1), (1, -1)], 50_000);
    let calendar = view.market(COMBINATION).unwrap();
    assert_eq!(calendar.mark, Price::from_u32(150));
    assert_eq!(calendar.index, Price::from_u32(120_150));
    // Both legs' initial margin: 5 % of 120,150.
    assert_eq!(calendar.imf, 50_000);
    // As far as 5 % of 120,150: 6,007.50 is 40.05 times the mark.
    assert_eq!(calendar.price_band, 40_050_000);
    let legs = Legs::of(calendar, &view).unwrap();
    let at = |ticks| -> Vec<_> {
        let trades = legs.trades(-3, ticks).unwrap();
        trades.into_iter().map(|t| (t.lots, t.ticks)).collect()
    };
    // The future is the dearer: it takes the rest.
    assert_eq!(at(300), [(-3, 120_300), (3, 120_000)]);
    assert_eq!(at(321), [(-3, 120_321), (3, 120_000)]);
    // 60,150 · 0.0001 · 3 USD, and nothing for the cheaper side.
    assert_eq!(legs.charged(3, 300), Ok(18_045_000));
    assert_eq!(legs.charged(-3, 300), Ok(18_045_000));
    assert_eq!(legs.premium(3, 300), Ok(None));
}

#[test]
fn a_combination_has_no_mark_when_it_is_worth_less_than_a_tick() {
    let marks = |future| {
        [
            Price::from_u32(60_000),
            future,
            Price::default(),
            Price::default(),
        ]
    };
    let half = Price::from_rational(1, 2);
    let at = |future: Price| {
        let markets = legs_at(marks(future), Price::from_u32(60_000));
        combine(&[(&markets[1], 1), (&markets[0], -1)], half, 50_000).unwrap()
    };
    let tick = at(Price::from_rational(120_001, 2));
    assert_eq!(tick.mark, half);
    assert!(tick.band > 0);
    for less in [
        Price::from_rational(600_004, 10),
        Price::from_u32(60_000),
        Price::from_u32(50_000),
    ] {
        assert_eq!((at(less).mark, at(less).band), Default::default());
        assert!(at(less).index > Price::from_u32(100_000));
    }
}

#[test]
fn the_band_ends_where_the_rest_would_be_worth_less_than_nothing() {
    // A straddle of 40 and 25 USD on 60,000: a band of 5 % would be 6,000 wide.
    let marks = [
        Price::from_u32(60_000),
        Price::from_u32(60_000),
        Price::from_u32(40),
        Price::from_u32(25),
    ];
    let view = combined(
        legs_at(marks, Price::from_u32(60_000)),
        &[(3, 1), (4, 1)],
        50_000,
    );
    let straddle = view.market(COMBINATION).unwrap();
    assert_eq!(straddle.mark, Price::from_u32(65));
    let (lower, upper) = band_of(straddle).unwrap();
    assert_eq!((lower, upper), (52, 208));
    let legs = Legs::of(straddle, &view).unwrap();
    assert!(legs.trades(1, lower).is_ok());
    // 25 USD for the put leave 24.50 to the call at 49.50, and less than nothing at 24.50.
    assert_eq!(legs.trades(1, 99).unwrap()[0].ticks, 49);
    assert_eq!(legs.trades(1, 49), Err(MathError::Overflow));
    assert_eq!(legs.premium(2, 100), Ok(Some(10_000)));
    assert_eq!(legs.premium(-2, 100), Ok(None));
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn legs_sum_to_the_price_and_both_sides_to_nothing(
        view in any_combination(),
        lots in 1i64..1 << 40,
        at in any::<prop::sample::Index>(),
        held in proptest::array::uniform4(any_lots()),
        of_other in proptest::array::uniform4(any_lots()),
    ) {
        let market = view.market(COMBINATION).unwrap();
        let Some((lower, upper)) = band_of(market) else {
            return Ok(());
        };
        let ticks = lower + at.index((upper - lower + 1) as usize) as Ticks;
        let legs = Legs::of(market, &view).unwrap();
        let value = math::trade_value(lots, ticks, market.tick_value).unwrap();

        // No price within the band leaves a leg below zero, and nothing is left over.
        let trades = legs.trades(lots, ticks).unwrap();
        let mut sum = 0;
        for (leg, trade) in legs.iter().zip(&trades) {
            prop_assert_eq!(trade.lots, lots * i64::from(leg.ratio));
            sum += math::trade_value(trade.lots, trade.ticks, leg.market.tick_value).unwrap();
        }
        prop_assert_eq!(sum, value);
        // At their marks, but for one.
        let off = legs.iter().zip(&trades).filter(|(leg, trade)| trade.ticks != leg.ticks);
        prop_assert!(off.count() <= 1);

        let (mut buyer, mut seller) = (holding(&view, 0, held), holding(&view, 0, of_other));
        let before = (books(&buyer), books(&seller));
        let settled: Cash = legs.apply(&mut buyer, lots, ticks).unwrap().into_iter().sum();
        prop_assert_eq!(books(&buyer) - before.0, -value - settled);
        let settled: Cash = legs.apply(&mut seller, -lots, ticks).unwrap().into_iter().sum();
        prop_assert_eq!(books(&seller) - before.1, value - settled);
        for (leg, trade) in legs.iter().zip(&trades) {
            let id = leg.market.id;
            let moved = |account: &MarginAccount, held: [SignedLots; 4]| {
                account.lots(id) - held[usize::from(id - 1)]
            };
            prop_assert_eq!(moved(&buyer, held), trade.lots);
            prop_assert_eq!(moved(&seller, of_other), -trade.lots);
        }
        prop_assert_eq!(buyer.lots(COMBINATION), 0);

        // Fees are of one amount, so that a rebate never exceeds the fee across.
        let charged = legs.charged(lots, ticks).unwrap();
        prop_assert_eq!(charged, legs.charged(-lots, ticks).unwrap());
        prop_assert!(charged >= value);
        let both = fee(charged, FEES.maker_ppm).unwrap() + fee(charged, FEES.taker_ppm).unwrap();
        prop_assert!(both >= 0);
    }

    #[test]
    fn an_order_holds_what_its_fills_may_need(
        view in any_combination(),
        (lots, part) in (1u64..1 << 30, 1u64..=1 << 30),
        (limit, at) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        is_bid in any::<bool>(),
        held in proptest::array::uniform4(any_lots()),
        cash in 0i128..1 << 60,
    ) {
        let market = view.market(COMBINATION).unwrap();
        let Some((lower, upper)) = band_of(market) else {
            return Ok(());
        };
        let span = (upper - lower + 1) as usize;
        let (one, other) = (lower + limit.index(span) as Ticks, lower + at.index(span) as Ticks);
        let (side, limit, ticks) = if is_bid {
            (Side::Bid, one.max(other), one.min(other))
        } else {
            (Side::Ask, one.min(other), one.max(other))
        };
        let legs = Legs::of(market, &view).unwrap();
        let account = holding(&view, cash, held);
        let mut ordered = account.clone();
        let reserve = legs.reserve(market, FEES, side, lots, limit).unwrap();
        add_order(&mut ordered, COMBINATION, side, lots, reserve).unwrap();
        let before = Linear::assess(&ordered, &view).unwrap();

        let filled = side.signed(part.min(lots)).unwrap();
        let mut after = account;
        legs.apply(&mut after, filled, ticks).unwrap();
        after.cash -= fee(legs.charged(filled, ticks).unwrap(), FEES.taker_ppm).unwrap();
        let after = Linear::assess(&after, &view).unwrap();
        prop_assert!(
            after.initial_equity - after.initial >= before.initial_equity - before.initial_with_orders,
            "{after:?} is less than {before:?} held"
        );
    }
}
