//! Fees and order reserves.

use crate::common::*;
use novate_risk::*;
use novate_types::*;
use proptest::prelude::*;

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn fee_never_rounds_in_favour_of_the_account(value in -(1i128 << 90)..1 << 90, ppm: i32) {
        let charged = fee(value, ppm).unwrap();
        let exact = value.abs() * i128::from(ppm);
        prop_assert!(charged * 1_000_000 >= exact);
        prop_assert!((charged - 1) * 1_000_000 < exact);
    }

    #[test]
    fn maker_and_taker_pay_no_less_than_zero_together(
        value in 0i128..1 << 90,
        maker in -1_000_000i32..1_000_000,
        above in 0i32..1_000_000,
    ) {
        let taker = above - maker;
        prop_assert!(fee(value, maker).unwrap() + fee(-value, taker).unwrap() >= 0);
    }

    #[test]
    fn reserve_covers_loss_and_fee_when_filled_at_any_price_within_the_limit(
        market in any_market(1),
        lots in 1u64..1 << 36,
        limit in 1u64..1 << 34,
        better in 0u64..1 << 34,
        bid: bool,
        maker in -500i32..500,
        taker in -500i32..100_000,
    ) {
        let tier = FeeTier { maker_ppm: maker, taker_ppm: taker };
        let side = if bid { Side::Bid } else { Side::Ask };
        let reserve = order_reserve(&market, tier, side, lots, limit).unwrap();
        let at = if bid { limit.saturating_sub(better) } else { limit + better };
        let signed = side.signed(lots).unwrap();
        let paid = math::trade_value(signed, at, market.tick_value).unwrap();
        let worth = math::position_value_floor(signed, market.mark, market.lot_size).unwrap();
        for ppm in [maker, taker] {
            prop_assert!(worth - paid - fee(paid, ppm).unwrap() + reserve >= -1);
        }
        prop_assert!(reserve >= 0);
    }
}

#[test]
fn fee_is_exact_on_worked_numbers() {
    assert_eq!(fee(usd(50_000), 500), Ok(usd(25)));
    assert_eq!(fee(usd(-50_000), 500), Ok(usd(25)));
    assert_eq!(fee(usd(50_000), -100), Ok(usd(-5)));
    assert_eq!(fee(1, 1), Ok(1));
    assert_eq!(fee(999_999, -1), Ok(0));
}

#[test]
fn reserve_is_exact_on_worked_numbers() {
    let market = bitcoin(Price::from_u32(50_000));
    let tier = FeeTier {
        maker_ppm: -100,
        taker_ppm: 500,
    };
    let reserve = |side, limit| order_reserve(&market, tier, side, 10_000, limit);
    // One bitcoin bid at 50,100: 100 USD above the mark and 5 basis points of 50,100.
    assert_eq!(reserve(Side::Bid, 100_200), Ok(usd(100) + 25_050_000));
    assert_eq!(reserve(Side::Bid, 99_800), Ok(24_950_000));
    assert_eq!(reserve(Side::Ask, 99_800), Ok(usd(100) + 24_950_000));
    assert_eq!(reserve(Side::Ask, 100_200), Ok(25_050_000));
    assert_eq!(
        order_reserve(&market, tier, Side::Bid, u64::MAX, 1),
        Err(MathError::Overflow)
    );
}
