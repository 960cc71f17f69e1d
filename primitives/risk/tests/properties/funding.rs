//! Premium, rate and accrual.

use crate::common::*;
use novate_risk::*;
use novate_types::*;
use proptest::{collection::vec, prelude::*};

const BASIS_POINT: i64 = TRILLION / 10_000;

fn tier(imf: Ppm, mmf: Ppm) -> RiskTier {
    RiskTier {
        imf,
        mmf,
        open_interest_lower: 0,
        open_interest_upper: Cash::MAX,
        profit_credit: 0,
        impact_notional: 0,
        mark_band: 0,
        price_band: 0,
        call_blocks: 0,
        edge_blocks: 0,
    }
}

#[test]
fn premium_counts_only_what_lies_beyond_the_index() {
    let price = Price::from_u32;
    let premium = |bid: Option<u32>, ask: Option<u32>| {
        premium(bid.map(price), ask.map(price), price(1_000)).unwrap()
    };
    assert_eq!(premium(Some(1_010), Some(1_020)), 100 * BASIS_POINT);
    assert_eq!(premium(Some(980), Some(990)), -100 * BASIS_POINT);
    assert_eq!(premium(Some(990), Some(1_010)), 0);
    assert_eq!(premium(None, Some(1_020)), 0);
    assert_eq!(premium(Some(1_010), None), 100 * BASIS_POINT);
    assert_eq!(premium(None, None), 0);
}

#[test]
fn premium_is_an_error_when_there_is_no_index() {
    assert_eq!(
        premium(Some(Price::from_u32(1)), None, Price::from_u32(0)),
        Err(MathError::DivisionByZero)
    );
    assert_eq!(
        premium(Some(Price::from_u32(1)), None, Price::from_inner(1)),
        Err(MathError::Overflow)
    );
}

#[test]
fn rate_follows_the_rule_on_worked_numbers() {
    let rate = |premium_bp: i64, interest_ppm, imf, mmf| {
        funding_rate_8h(
            premium_bp * BASIS_POINT,
            interest_ppm,
            6_000_000,
            &tier(imf, mmf),
        )
        .unwrap()
    };
    // Interest 1 bp: within 5 bp of the premium the rate is the interest.
    assert_eq!(rate(0, 100, 50_000, 30_000), BASIS_POINT);
    assert_eq!(rate(6, 100, 50_000, 30_000), BASIS_POINT);
    assert_eq!(rate(20, 100, 50_000, 30_000), 15 * BASIS_POINT);
    assert_eq!(rate(-20, 100, 50_000, 30_000), -15 * BASIS_POINT);
    // Cap 6 · (5 % − 3 %) = 12 %.
    assert_eq!(rate(5_000, 0, 50_000, 30_000), 1_200 * BASIS_POINT);
    assert_eq!(rate(-5_000, 0, 50_000, 30_000), -1_200 * BASIS_POINT);
    assert_eq!(rate(5_000, 0, 30_000, 30_000), 0);
    assert_eq!(rate(5_000, 0, 20_000, 30_000), 0);
}

#[test]
fn accrual_is_rate_times_notional_of_a_lot() {
    // 1 bp over 8 h on a lot worth 5 USD: 500 quantums.
    let (price, lot) = (Price::from_u32(50_000), Size::from_rational(1, 10_000));
    let unit = 1i128 << FUNDING_FRACTION_BITS;
    assert_eq!(
        accrue(7, BASIS_POINT, price, lot, FUNDING_PERIOD),
        Ok(7 + 500 * unit)
    );
    assert_eq!(
        accrue(7, -BASIS_POINT, price, lot, FUNDING_PERIOD / 2),
        Ok(7 - 250 * unit)
    );
    assert_eq!(accrue(7, BASIS_POINT, price, lot, 0), Ok(7));
    assert_eq!(
        accrue(i128::MAX, BASIS_POINT, price, lot, FUNDING_PERIOD),
        Err(MathError::Overflow)
    );
    let largest = Price::from_inner(u128::MAX);
    assert_eq!(
        accrue(0, i64::MIN, largest, largest, u64::MAX),
        Err(MathError::Overflow)
    );
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn rate_stays_within_its_caps(premium in any::<i64>(), interest: i32, k in 0u32..10_000_000,
        imf in 0u32..=MILLION, mmf in 0u32..=MILLION) {
        let cap = i64::from(k) * i64::from(imf.saturating_sub(mmf));
        if let Ok(rate) = funding_rate_8h(premium, interest, k, &tier(imf, mmf)) {
            prop_assert!(rate.abs() <= cap);
        }
    }

    #[test]
    fn accrual_in_steps_is_the_accrual_of_their_sum_but_for_the_last_bit_of_each(
        market in any_market(1),
        rate in -1_200 * BASIS_POINT..1_200 * BASIS_POINT,
        steps in vec(0u64..10_000, 1..40),
    ) {
        let after = |index, elapsed| accrue(index, rate, market.mark, market.lot_size, elapsed).unwrap();
        let together = after(0, steps.iter().sum());
        let apart = steps.iter().fold(0, |index, elapsed| after(index, *elapsed));
        let lost = (together - apart) * i128::from(rate.signum());
        prop_assert!(lost >= 0 && lost <= steps.len() as i128);
    }

    #[test]
    fn premium_lies_between_its_sides_and_is_monotone(
        index in any_mark(), bid in any_mark(), ask in any_mark(), more in 0u128..1 << 60,
    ) {
        prop_assume!(bid <= ask);
        let raised = |p: Price| Price::from_inner(p.into_inner() + more);
        let base = premium(Some(bid), Some(ask), index);
        let up = premium(Some(raised(bid)), Some(raised(ask)), index);
        if let (Ok(base), Ok(up)) = (base, up) {
            prop_assert!(up >= base);
            prop_assert_eq!(base > 0, base > 0 && bid > index);
            prop_assert_eq!(base < 0, base < 0 && ask < index);
        }
    }
}
