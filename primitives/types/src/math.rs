//! Checked arithmetic with the rounding in the name. 256-bit intermediates, so that a result that fits never fails.

use crate::{Cash, Lots, MathError, Ppm, Price, SignedLots, Size, Ticks, MILLION, QUANTUMS};
use primitive_types::U256;
use sp_arithmetic::FixedPointNumber;

type Result<T> = core::result::Result<T, MathError>;

fn narrow(wide: U256) -> Result<u128> {
    u128::try_from(wide).map_err(|_| MathError::Overflow)
}

fn div_ceil(numerator: U256, divisor: U256) -> Result<U256> {
    let (quotient, rest) = numerator
        .checked_div(divisor)
        .zip(numerator.checked_rem(divisor))
        .ok_or(MathError::DivisionByZero)?;
    if rest.is_zero() {
        Ok(quotient)
    } else {
        quotient.checked_add(U256::one()).ok_or(MathError::Overflow)
    }
}

/// `⌊a · b / c⌋`.
pub fn mul_div_floor(a: u128, b: u128, c: u128) -> Result<u128> {
    let product = U256::from(a)
        .checked_mul(U256::from(b))
        .ok_or(MathError::Overflow)?;
    narrow(
        product
            .checked_div(U256::from(c))
            .ok_or(MathError::DivisionByZero)?,
    )
}

/// `⌈a · b / c⌉`.
pub fn mul_div_ceil(a: u128, b: u128, c: u128) -> Result<u128> {
    let product = U256::from(a)
        .checked_mul(U256::from(b))
        .ok_or(MathError::Overflow)?;
    narrow(div_ceil(product, U256::from(c))?)
}

/// `⌊a · b / c⌋` towards −∞ with a signed `a`.
pub fn signed_mul_div_floor(a: i128, b: u128, c: u128) -> Result<i128> {
    if a >= 0 {
        signed(mul_div_floor(a.unsigned_abs(), b, c)?)
    } else {
        negative(mul_div_ceil(a.unsigned_abs(), b, c)?)
    }
}

/// `⌈a · b / c⌉` towards +∞ with a signed `a`.
pub fn signed_mul_div_ceil(a: i128, b: u128, c: u128) -> Result<i128> {
    if a >= 0 {
        signed(mul_div_ceil(a.unsigned_abs(), b, c)?)
    } else {
        negative(mul_div_floor(a.unsigned_abs(), b, c)?)
    }
}

/// A magnitude as [`Cash`].
pub fn signed(magnitude: u128) -> Result<i128> {
    i128::try_from(magnitude).map_err(|_| MathError::Overflow)
}

/// Minus a magnitude, as [`Cash`].
pub fn negative(magnitude: u128) -> Result<i128> {
    signed(magnitude)?.checked_neg().ok_or(MathError::Overflow)
}

/// `a + b`.
pub fn add(a: Cash, b: Cash) -> Result<Cash> {
    a.checked_add(b).ok_or(MathError::Overflow)
}

/// `a − b`.
pub fn sub(a: Cash, b: Cash) -> Result<Cash> {
    a.checked_sub(b).ok_or(MathError::Overflow)
}

/// `−a`.
pub fn neg(a: Cash) -> Result<Cash> {
    a.checked_neg().ok_or(MathError::Overflow)
}

/// `⌊amount · ppm / 10⁶⌋` of a magnitude.
pub fn ppm_floor(amount: u128, ppm: Ppm) -> Result<u128> {
    mul_div_floor(amount, u128::from(ppm), u128::from(MILLION))
}

/// `⌈amount · ppm / 10⁶⌉` of a magnitude.
pub fn ppm_ceil(amount: u128, ppm: Ppm) -> Result<u128> {
    mul_div_ceil(amount, u128::from(ppm), u128::from(MILLION))
}

/// Quantums that change hands when `lots` trade at `ticks`: `lots · ticks · tick_value`, exact.
pub fn trade_value(lots: SignedLots, ticks: Ticks, tick_value: u64) -> Result<Cash> {
    i128::from(lots)
        .checked_mul(i128::from(ticks))
        .and_then(|v| v.checked_mul(i128::from(tick_value)))
        .ok_or(MathError::Overflow)
}

fn notional_parts(lots: Lots, price: Price, lot_size: Size) -> Result<(U256, U256)> {
    let numerator = U256::from(lots)
        .checked_mul(U256::from(price.into_inner()))
        .and_then(|v| v.checked_mul(U256::from(lot_size.into_inner())))
        .and_then(|v| v.checked_mul(U256::from(QUANTUMS.unsigned_abs())))
        .ok_or(MathError::Overflow)?;
    let unit = U256::from(Price::DIV);
    Ok((
        numerator,
        unit.checked_mul(unit).ok_or(MathError::Overflow)?,
    ))
}

/// Quantums that `lots` are worth at `price`, rounded down.
pub fn notional_floor(lots: Lots, price: Price, lot_size: Size) -> Result<u128> {
    let (numerator, divisor) = notional_parts(lots, price, lot_size)?;
    narrow(
        numerator
            .checked_div(divisor)
            .ok_or(MathError::DivisionByZero)?,
    )
}

/// Quantums that `lots` are worth at `price`, rounded up.
pub fn notional_ceil(lots: Lots, price: Price, lot_size: Size) -> Result<u128> {
    let (numerator, divisor) = notional_parts(lots, price, lot_size)?;
    narrow(div_ceil(numerator, divisor)?)
}

/// Signed value of a position at `price`, rounded towards −∞.
pub fn position_value_floor(lots: SignedLots, price: Price, lot_size: Size) -> Result<Cash> {
    if lots >= 0 {
        signed(notional_floor(lots.unsigned_abs(), price, lot_size)?)
    } else {
        negative(notional_ceil(lots.unsigned_abs(), price, lot_size)?)
    }
}

/// Quantums of settlement value of `amount` of an asset with `decimals` at `price`, rounded down.
pub fn asset_value_floor(amount: u128, decimals: u8, price: Price) -> Result<u128> {
    let numerator = U256::from(amount)
        .checked_mul(U256::from(price.into_inner()))
        .and_then(|v| v.checked_mul(U256::from(QUANTUMS.unsigned_abs())))
        .ok_or(MathError::Overflow)?;
    let divisor = U256::from(10u8)
        .checked_pow(U256::from(decimals))
        .and_then(|v| v.checked_mul(U256::from(Price::DIV)))
        .ok_or(MathError::Overflow)?;
    narrow(
        numerator
            .checked_div(divisor)
            .ok_or(MathError::DivisionByZero)?,
    )
}

/// Quantums per lot and tick, `tick_size · lot_size · 10⁶`, if it is a whole number of at least one.
pub fn tick_value(tick_size: Price, lot_size: Size) -> Option<u64> {
    let (numerator, divisor) = notional_parts(1, tick_size, lot_size).ok()?;
    if numerator.is_zero() || !numerator.checked_rem(divisor)?.is_zero() {
        return None;
    }
    u64::try_from(numerator.checked_div(divisor)?).ok()
}

/// `ticks · tick_size`.
pub fn price_of(ticks: Ticks, tick_size: Price) -> Result<Price> {
    tick_size
        .into_inner()
        .checked_mul(u128::from(ticks))
        .map(Price::from_inner)
        .ok_or(MathError::Overflow)
}

/// The last tick at or below `price`.
pub fn ticks_floor(price: Price, tick_size: Price) -> Result<Ticks> {
    let ticks = price
        .into_inner()
        .checked_div(tick_size.into_inner())
        .ok_or(MathError::DivisionByZero)?;
    u64::try_from(ticks).map_err(|_| MathError::Overflow)
}

/// The first tick at or above `price`.
pub fn ticks_ceil(price: Price, tick_size: Price) -> Result<Ticks> {
    let (price, tick) = (price.into_inner(), tick_size.into_inner());
    if tick == 0 {
        return Err(MathError::DivisionByZero);
    }
    u64::try_from(price.div_ceil(tick)).map_err(|_| MathError::Overflow)
}

/// The tick nearest to `price`; half a tick goes up.
pub fn ticks_nearest(price: Price, tick_size: Price) -> Result<Ticks> {
    let half = tick_size.into_inner() / 2;
    let shifted = price
        .into_inner()
        .checked_add(half)
        .ok_or(MathError::Overflow)?;
    ticks_floor(Price::from_inner(shifted), tick_size)
}

/// `price · (1 + shift)` with `shift` in signed parts per million, rounded down.
pub fn shift_floor(price: Price, shift_ppm: i64) -> Result<Price> {
    Ok(Price::from_inner(mul_div_floor(
        price.into_inner(),
        shifted_million(shift_ppm)?,
        u128::from(MILLION),
    )?))
}

/// `price · (1 + shift)` with `shift` in signed parts per million, rounded up.
pub fn shift_ceil(price: Price, shift_ppm: i64) -> Result<Price> {
    Ok(Price::from_inner(mul_div_ceil(
        price.into_inner(),
        shifted_million(shift_ppm)?,
        u128::from(MILLION),
    )?))
}

/// Whether a parameter may move from `old` to `new` at once: by no more than `relative` of `old`, or by no more than
/// `least`, whichever is farther.
pub fn is_within_step(old: i128, new: i128, relative: Ppm, least: u128) -> Result<bool> {
    Ok(old.abs_diff(new) <= ppm_floor(old.unsigned_abs(), relative)?.max(least))
}

fn shifted_million(shift_ppm: i64) -> Result<u128> {
    let factor = i64::from(MILLION)
        .checked_add(shift_ppm)
        .ok_or(MathError::Overflow)?;
    Ok(u128::try_from(factor).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn price(units: u128, cents: u128) -> Price {
        Price::from_inner(units * Price::DIV + cents * Price::DIV / 100)
    }

    #[test]
    fn tick_value_is_whole_or_refused() {
        let tenth_of_a_milli = Price::from_rational(1, 10_000);
        assert_eq!(tick_value(price(0, 50), tenth_of_a_milli), Some(50));
        assert_eq!(
            tick_value(price(0, 1), Price::from_rational(1, 10_000)),
            Some(1)
        );
        assert_eq!(
            tick_value(price(0, 1), Price::from_rational(1, 100_000)),
            None
        );
        assert_eq!(tick_value(price(0, 0), price(1, 0)), None);
        assert_eq!(
            tick_value(Price::from_rational(3, 2_000_000), price(1, 0)),
            None
        );
    }

    #[test]
    fn a_step_is_relative_or_the_least_whichever_is_farther() {
        assert_eq!(is_within_step(100, 125, 250_000, 1), Ok(true));
        assert_eq!(is_within_step(100, 126, 250_000, 1), Ok(false));
        assert_eq!(is_within_step(-100, -74, 250_000, 1), Ok(false));
        assert_eq!(is_within_step(0, -7, 250_000, 7), Ok(true));
        assert_eq!(is_within_step(0, 8, 250_000, 7), Ok(false));
        assert_eq!(is_within_step(i128::MIN, i128::MAX, MILLION, 0), Ok(false));
    }

    proptest! {
        #[test]
        fn floor_and_ceil_bracket_the_exact_quotient(a: u128, b in 0u128..1 << 100, c in 1u128..1 << 100) {
            let exact = U256::from(a) * U256::from(b);
            match (mul_div_floor(a, b, c), mul_div_ceil(a, b, c)) {
                (Ok(floor), Ok(ceil)) => {
                    prop_assert!(U256::from(floor) * U256::from(c) <= exact);
                    prop_assert!(U256::from(ceil) * U256::from(c) >= exact);
                    prop_assert!(ceil - floor <= 1);
                }
                _ => prop_assert!(exact / U256::from(c) >= U256::from(u128::MAX)),
            }
        }

        #[test]
        fn a_trade_at_whole_ticks_is_worth_its_notional(lots in 0u64..1 << 40, ticks in 0u64..1 << 40) {
            let (tick, lot) = (price(0, 50), Price::from_rational(1, 10_000));
            let exact = trade_value(lots as i64, ticks, 50).unwrap();
            let at = price_of(ticks, tick).unwrap();
            prop_assert_eq!(notional_floor(lots, at, lot).unwrap() as i128, exact);
            prop_assert_eq!(notional_ceil(lots, at, lot).unwrap() as i128, exact);
        }

        #[test]
        fn ticks_round_as_they_say(inner in 0u128..1 << 100, tick in 1u128..1 << 60) {
            let (p, tick) = (Price::from_inner(inner), Price::from_inner(tick));
            if let (Ok(down), Ok(up), Ok(near)) =
                (ticks_floor(p, tick), ticks_ceil(p, tick), ticks_nearest(p, tick))
            {
                prop_assert!(price_of(down, tick).unwrap() <= p);
                prop_assert!(price_of(up, tick).unwrap_or(Price::from_inner(u128::MAX)) >= p);
                prop_assert!(near == down || near == up);
                prop_assert!(up - down <= 1);
            }
        }

        #[test]
        fn a_position_is_never_valued_above_its_worth(lots: i32, inner in 0u128..1 << 90) {
            let (at, lot) = (Price::from_inner(inner), Price::from_rational(1, 10_000));
            let long = position_value_floor(lots as i64, at, lot).unwrap();
            let short = position_value_floor(-(lots as i64), at, lot).unwrap();
            prop_assert!(long + short <= 0 && long + short >= -1);
        }
    }
}
