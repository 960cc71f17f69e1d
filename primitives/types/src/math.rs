//! Checked arithmetic with the rounding in the name. 256-bit intermediates, so that a result that fits never fails.
//!
//! Almost every product of a market in use fits into 128 bits, and many into 64. Those take the short way: the same exact
//! quotient, without the long division of 256 bits, which in WebAssembly costs as much as a storage access.

use crate::{Cash, Lots, MathError, Ppm, Price, SignedLots, Size, Ticks, MILLION, QUANTUMS};
use primitive_types::U256;

type Result<T> = core::result::Result<T, MathError>;

/// Which way a quotient is rounded.
#[derive(Clone, Copy)]
enum Round {
    Down,
    Up,
}

/// `n / d`.
fn divide(n: u128, d: u128, round: Round) -> Result<u128> {
    let (quotient, rest) = match (u64::try_from(n), u64::try_from(d)) {
        (Ok(n), Ok(d)) => (
            n.checked_div(d).map(u128::from),
            n.checked_rem(d).map(u128::from),
        ),
        _ => (n.checked_div(d), n.checked_rem(d)),
    };
    let (quotient, rest) = quotient.zip(rest).ok_or(MathError::DivisionByZero)?;
    match round {
        Round::Up if rest != 0 => quotient.checked_add(1).ok_or(MathError::Overflow),
        _ => Ok(quotient),
    }
}

/// `n / d` of 256 bits, as far as the quotient fits into 128.
fn divide_wide(n: U256, d: U256, round: Round) -> Result<u128> {
    let (mut quotient, rest) = n
        .checked_div(d)
        .zip(n.checked_rem(d))
        .ok_or(MathError::DivisionByZero)?;
    if matches!(round, Round::Up) && !rest.is_zero() {
        quotient = quotient
            .checked_add(U256::one())
            .ok_or(MathError::Overflow)?;
    }
    u128::try_from(quotient).map_err(|_| MathError::Overflow)
}

fn mul_div(a: u128, b: u128, c: u128, round: Round) -> Result<u128> {
    if let Some(product) = a.checked_mul(b) {
        return divide(product, c, round);
    }
    let product = U256::from(a)
        .checked_mul(U256::from(b))
        .ok_or(MathError::Overflow)?;
    divide_wide(product, U256::from(c), round)
}

/// `⌊a · b / c⌋`.
pub fn mul_div_floor(a: u128, b: u128, c: u128) -> Result<u128> {
    mul_div(a, b, c, Round::Down)
}

/// `⌈a · b / c⌉`.
pub fn mul_div_ceil(a: u128, b: u128, c: u128) -> Result<u128> {
    mul_div(a, b, c, Round::Up)
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

/// One square, as prices and sizes multiply: `10³⁶`.
const SQUARE: u128 = 10u128.pow(36);
/// The price, in its own units, of what is worth one quantum.
const QUANTUM_PRICE: u128 = 10u128.pow(12);

/// `lots · price · lot_size · 10⁶ / 10³⁶`.
fn notional(lots: Lots, price: Price, lot_size: Size, round: Round) -> Result<u128> {
    let (lots, price, lot_size) = (u128::from(lots), price.into_inner(), lot_size.into_inner());
    let quantums = QUANTUMS.unsigned_abs();
    // A lot size of so many decimals divides the square: what is left of the fraction is short.
    let divisor = lot_size.checked_mul(quantums).and_then(|unit| {
        let divisor = SQUARE.checked_div(unit)?;
        (divisor.checked_mul(unit) == Some(SQUARE)).then_some(divisor)
    });
    if let Some((product, divisor)) = lots.checked_mul(price).zip(divisor) {
        return divide(product, divisor, round);
    }
    let product = U256::from(lots)
        .checked_mul(U256::from(price))
        .and_then(|v| v.checked_mul(U256::from(lot_size)))
        .and_then(|v| v.checked_mul(U256::from(quantums)))
        .ok_or(MathError::Overflow)?;
    divide_wide(product, U256::from(SQUARE), round)
}

/// Quantums that `lots` are worth at `price`, rounded down.
pub fn notional_floor(lots: Lots, price: Price, lot_size: Size) -> Result<u128> {
    notional(lots, price, lot_size, Round::Down)
}

/// Quantums that `lots` are worth at `price`, rounded up.
pub fn notional_ceil(lots: Lots, price: Price, lot_size: Size) -> Result<u128> {
    notional(lots, price, lot_size, Round::Up)
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
    mul_div_floor(amount, price.into_inner(), asset_divisor(decimals)?)
}

/// Quantums of settlement value of `amount` of an asset with `decimals` at `price`, rounded up.
pub fn asset_value_ceil(amount: u128, decimals: u8, price: Price) -> Result<u128> {
    mul_div_ceil(amount, price.into_inner(), asset_divisor(decimals)?)
}

/// `10^decimals · 10¹⁸ / 10⁶`.
fn asset_divisor(decimals: u8) -> Result<u128> {
    10u128
        .checked_pow(u32::from(decimals))
        .and_then(|whole| whole.checked_mul(QUANTUM_PRICE))
        .ok_or(MathError::Overflow)
}

/// Quantums per lot and tick, `tick_size · lot_size · 10⁶`, if it is a whole number of at least one.
pub fn tick_value(tick_size: Price, lot_size: Size) -> Option<u64> {
    let down = notional_floor(1, tick_size, lot_size).ok()?;
    let up = notional_ceil(1, tick_size, lot_size).ok()?;
    u64::try_from(down).ok().filter(|_| down == up && down > 0)
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
    use sp_arithmetic::FixedPointNumber;

    #[test]
    fn units_are_what_prices_and_quantums_say() {
        assert_eq!(SQUARE, Price::DIV * Price::DIV);
        assert_eq!(QUANTUM_PRICE, Price::DIV / QUANTUMS.unsigned_abs());
    }

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
        fn the_short_way_is_the_long_way(
            (a, b, c) in (any::<u128>(), any::<u128>(), any::<u128>()),
            (i, j, k) in (0u32..128, 0u32..128, 0u32..128),
        ) {
            let (a, b, c) = (a >> i, b >> j, (c >> k).max(1));
            let (product, divisor) = (U256::from(a) * U256::from(b), U256::from(c));
            prop_assert_eq!(mul_div_floor(a, b, c), divide_wide(product, divisor, Round::Down));
            prop_assert_eq!(mul_div_ceil(a, b, c), divide_wide(product, divisor, Round::Up));
        }

        #[test]
        fn a_notional_is_exact_whatever_the_lot_size(
            lots: u64,
            (at, by) in (any::<u128>(), 32u32..128),
            (odd, decimals) in (1u64..1_000, 0u32..20),
        ) {
            let (at, lot) = (at >> by, u128::from(odd) * 10u128.pow(decimals));
            let square = U256::from(SQUARE);
            // At most 2⁶⁴ · 2⁹⁶ · 2⁷⁴ · 2²⁰: the product is a number.
            let exact = U256::from(lots) * U256::from(at) * U256::from(lot) * U256::from(1_000_000);
            let (price, size) = (Price::from_inner(at), Price::from_inner(lot));
            prop_assert_eq!(notional_floor(lots, price, size), divide_wide(exact, square, Round::Down));
            prop_assert_eq!(notional_ceil(lots, price, size), divide_wide(exact, square, Round::Up));
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
