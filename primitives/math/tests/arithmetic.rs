//! `Scaled` and `Q96` against exact arithmetic in 1024 bits; decimal strings there and back.

mod common;

use novate_math::{Error, Scaled, Q96};
use primitive_types::{U256, U512};
use proptest::prelude::*;

fn word() -> impl Strategy<Value = u128> {
    (any::<u128>(), 0u32..128, 0u8..3).prop_map(|(x, shift, kind)| match kind {
        0 => x >> shift,
        1 => u128::MAX >> shift,
        _ => x,
    })
}

/// Numbers between 2⁻¹⁰⁰ and 2¹⁰⁰, and zero.
fn scaled() -> impl Strategy<Value = Scaled> {
    (any::<bool>(), word(), -200i32..0).prop_map(|(negative, mantissa, exponent)| {
        Scaled::new(negative, mantissa, exponent).unwrap()
    })
}

/// `|x| · 2^bits`, which is a whole number.
fn magnitude(x: Scaled, bits: i32) -> U512 {
    let shift = x.exponent() + bits;
    let whole = U512::from(x.mantissa());
    if x.is_zero() {
        whole
    } else if shift >= 0 {
        whole << shift as usize
    } else {
        let cut = whole >> (-shift) as usize;
        assert_eq!(cut << (-shift) as usize, whole);
        cut
    }
}

/// Whether `x` is the number of 128 bits nearest to `exact · 2^-bits`.
fn is_nearest(x: Scaled, exact: U512, bits: i32) -> bool {
    if exact.is_zero() {
        return x.is_zero();
    }
    let cut = exact.bits().saturating_sub(128);
    let (mut whole, rest) = (exact >> cut, exact - ((exact >> cut) << cut));
    if cut > 0 && rest >= U512::one() << (cut - 1) {
        whole += U512::one();
    }
    x.abs()
        == Scaled::new(false, 1, cut as i32 - bits)
            .unwrap()
            .times(to_scaled(whole))
            .unwrap()
}

fn to_scaled(whole: U512) -> Scaled {
    if whole == U512::one() << 128 {
        return Scaled::new(false, 1, 128).unwrap();
    }
    Scaled::from(whole.as_u128())
}

fn q96() -> impl Strategy<Value = Q96> {
    (any::<i128>(), 0u32..127).prop_map(|(x, shift)| Q96::from_bits(x >> shift))
}

/// `n / d` in units of 2⁻⁹⁶, rounded down or up, for signed numbers given as magnitudes.
fn quotient(negative: bool, n: U256, d: U256, up: bool) -> Option<i128> {
    let (mut whole, rest) = n.div_mod(d);
    if !rest.is_zero() && negative != up {
        whole += U256::one();
    }
    let limit = U256::one() << 127;
    if whole > limit || (whole == limit && !negative) {
        return None;
    }
    let magnitude = whole.as_u128();
    Some(if negative {
        (magnitude as i128).wrapping_neg()
    } else {
        magnitude as i128
    })
}

proptest! {
    #![proptest_config(common::runs(10_000))]

    #[test]
    fn sum_is_the_nearest_number(x in scaled(), y in scaled()) {
        let sum = x.plus(y).unwrap();
        let (a, b) = (magnitude(x, 200), magnitude(y, 200));
        let (exact, negative) = if x.is_negative() == y.is_negative() {
            (a + b, x.is_negative())
        } else if a >= b {
            (a - b, x.is_negative())
        } else {
            (b - a, y.is_negative())
        };
        prop_assert!(is_nearest(sum, exact, 200));
        prop_assert_eq!(sum.is_negative(), negative && !sum.is_zero());
        prop_assert_eq!(sum, y.plus(x).unwrap());
        prop_assert_eq!(x.minus(y.negated()).unwrap(), sum);
    }

    #[test]
    fn product_is_the_nearest_number(x in scaled(), y in scaled()) {
        let product = x.times(y).unwrap();
        prop_assert!(is_nearest(product, U512::from(x.mantissa()) * U512::from(y.mantissa()), -x.exponent() - y.exponent()));
        prop_assert_eq!(product.is_negative(), x.is_negative() != y.is_negative() && !product.is_zero());
    }

    #[test]
    fn quotient_is_the_nearest_number(x in scaled(), y in scaled()) {
        if y.is_zero() {
            prop_assert_eq!(x.over(y), Err(Error::DivisionByZero));
            return Ok(());
        }
        let quotient = x.over(y).unwrap();
        // 384 bits of the dividend leave so many that the rest decides nothing.
        let exact = (U512::from(x.mantissa()) << 380) / U512::from(y.mantissa());
        prop_assert!(is_nearest(quotient, exact, 380 + y.exponent() - x.exponent()));
    }

    #[test]
    fn root_is_the_floor_of_128_bits(x in scaled()) {
        let x = x.abs();
        let root = x.sqrt_floor().unwrap();
        prop_assert_eq!(root.is_zero(), x.is_zero());
        if !x.is_zero() {
            let (below, above) = (root.mantissa(), U256::from(root.mantissa()) + 1);
            let shift = (x.exponent() - 2 * root.exponent()) as usize;
            let exact = U512::from(x.mantissa()) << shift;
            prop_assert!(below >> 127 == 1);
            prop_assert!(U512::from(below) * U512::from(below) <= exact);
            prop_assert!(U512::from(above) * U512::from(above) > exact);
        }
    }

    #[test]
    fn order_is_that_of_the_difference(x in scaled(), y in scaled()) {
        let difference = x.minus(y).unwrap();
        prop_assert_eq!(x > y, difference.is_positive());
        prop_assert_eq!(x < y, difference.is_negative());
        prop_assert_eq!(x == y, difference.is_zero());
    }

    #[test]
    fn whole_numbers_are_below_above_and_nearest(x in scaled()) {
        let number = |n: i128| Scaled::from(n);
        let (Ok(floor), Ok(ceil), Ok(nearest)) = (x.floor(), x.ceil(), x.nearest()) else {
            prop_assert!(x.abs() > Scaled::new(false, 1, 126).unwrap());
            return Ok(());
        };
        prop_assert!(number(floor) <= x && x <= number(ceil));
        prop_assert!(ceil - floor <= 1);
        prop_assert_eq!(ceil == floor, number(floor) == x);
        let half = Scaled::ONE.shift(-1).unwrap();
        prop_assert!(x.minus(number(nearest)).unwrap().abs() <= half);
        prop_assert!(nearest == floor || nearest == ceil);
    }

    #[test]
    fn prices_of_18_decimals_come_back(inner in word()) {
        let price = Scaled::from_18_decimals(inner).unwrap();
        if inner < 1 << 127 {
            prop_assert_eq!(price.to_18_decimals_nearest(), Ok(inner));
        }
        prop_assert!(price.to_18_decimals_floor().unwrap() >= inner.saturating_sub(1));
        if let Ok(q) = Q96::from_18_decimals_floor(inner) {
            prop_assert_eq!(q.to_18_decimals_nearest(), Ok(inner));
            prop_assert_eq!(Some(q.to_bits()), quotient(false, U256::from(inner) << 96, 10u128.pow(18).into(), false));
        } else {
            prop_assert!(inner >= (1 << 31) * 10u128.pow(18));
        }
    }

    #[test]
    fn rounding_to_18_decimals_is_down_and_up(x in scaled()) {
        let x = x.abs();
        if let (Ok(floor), Ok(ceil)) = (x.to_18_decimals_floor(), x.to_18_decimals_ceil()) {
            let exact = magnitude(x, 200) * U512::from(10u128.pow(18));
            prop_assert_eq!(U512::from(floor), exact >> 200);
            prop_assert_eq!(U512::from(ceil), (exact + (U512::one() << 200) - 1) >> 200);
        }
    }

    #[test]
    fn fixed_point_products_and_quotients_are_floor_and_ceil(x in q96(), y in q96()) {
        let (a, b) = (U256::from(x.to_bits().unsigned_abs()), U256::from(y.to_bits().unsigned_abs()));
        let negative = (x.to_bits() < 0) != (y.to_bits() < 0);
        let one = U256::one() << 96;
        let bits = |r: Result<Q96, Error>| r.ok().map(Q96::to_bits);
        prop_assert_eq!(bits(x.mul_floor(y)), quotient(negative, a * b, one, false));
        prop_assert_eq!(bits(x.mul_ceil(y)), quotient(negative, a * b, one, true));
        if y == Q96::ZERO {
            prop_assert_eq!(x.div_floor(y), Err(Error::DivisionByZero));
        } else {
            prop_assert_eq!(bits(x.div_floor(y)), quotient(negative, a << 96, b, false));
            prop_assert_eq!(bits(x.div_ceil(y)), quotient(negative, a << 96, b, true));
        }
    }

    #[test]
    fn fixed_point_root_is_the_exact_floor(x in q96()) {
        if x < Q96::ZERO {
            prop_assert_eq!(x.sqrt_floor(), Err(Error::Negative));
            return Ok(());
        }
        let root = U256::from(x.sqrt_floor().unwrap().to_bits() as u128);
        let exact = U256::from(x.to_bits() as u128) << 96;
        prop_assert!(root * root <= exact && (root + 1) * (root + 1) > exact);
    }

    #[test]
    fn fixed_point_comes_back_from_scaled(x in q96()) {
        prop_assert_eq!(Scaled::from(x).to_q96(), Ok(x));
    }

    #[test]
    fn decimals_are_read_to_the_nearest_number(n in word(), power in -60i32..60) {
        let digits = n >> 7;
        let text = format!("{digits}e{power}");
        let ten = |power: u32| (0..power).fold(U512::one(), |x, _| x * 10);
        let got: Scaled = text.parse().unwrap();
        if power >= 0 {
            prop_assert!(is_nearest(got, U512::from(digits) * ten(power as u32), 0));
        } else {
            prop_assert!(is_nearest(got, (U512::from(digits) << 380) / ten(power.unsigned_abs()), 380));
        }
    }

    #[test]
    fn forty_digits_bring_a_number_back(x in scaled()) {
        prop_assert_eq!(x.to_decimal(40).unwrap().parse::<Scaled>().unwrap(), x);
    }

    #[test]
    fn digits_written_are_the_digits_read(digits in 1u64.., power in -300i32..300) {
        let x: Scaled = format!("{digits}e{power}").parse().unwrap();
        let (text, exponent) = match x.to_decimal(20).unwrap().split_once('e') {
            Some((text, e)) => (text.to_string(), e.parse::<i32>().unwrap()),
            None => (x.to_decimal(20).unwrap(), 0),
        };
        let decimals = text.split_once('.').map_or(0, |(_, part)| part.len() as i32);
        let text = text.replace('.', "");
        let written = text.trim_end_matches('0');
        let decimals = decimals - (text.len() - written.len()) as i32;
        let written: u128 = written.parse().unwrap();
        // The same number: digits·10^power = written·10^(exponent − decimals), with zeros at the end on either side.
        let trim = |mut n: u128, mut e: i32| {
            while n.is_multiple_of(10) {
                (n, e) = (n / 10, e + 1);
            }
            (n, e)
        };
        prop_assert_eq!(trim(written, exponent - decimals), trim(digits.into(), power));
    }
}

#[test]
fn decimals_are_laid_out_as_people_write_them() {
    for (text, digits, want) in [
        ("0", 20, "0"),
        ("-0", 20, "0"),
        ("1", 20, "1"),
        ("-12.50", 20, "-12.5"),
        ("60000", 20, "60000"),
        ("60000", 1, "60000"),
        ("65432", 2, "65000"),
        ("0.05", 20, "0.05"),
        ("0.000001", 20, "0.000001"),
        ("0.0000001", 20, "1e-7"),
        ("-1.5e-30", 20, "-1.5e-30"),
        ("1e39", 20, "1000000000000000000000000000000000000000"),
        ("1e40", 20, "1e40"),
        ("1.25e300", 20, "1.25e300"),
        ("0.999996", 5, "1"),
        ("9.99996", 5, "10"),
        ("1.5", 1, "2"),
        ("2.5", 1, "3"),
    ] {
        let x: Scaled = text.parse().unwrap();
        assert_eq!(x.to_decimal(digits).unwrap(), want, "{text}");
    }
}

#[test]
fn decimal_is_refused_when_it_is_none() {
    for text in [
        "", "-", "+", ".", "e5", "1e", "1e+", "1e5001", "1e-5001", "1.2.3", "1,5", " 1", "0x10",
        "--1", "1e1e1", "NaN", "١",
    ] {
        assert_eq!(text.parse::<Scaled>(), Err(Error::Malformed), "{text:?}");
    }
    assert_eq!("9".repeat(1001).parse::<Scaled>(), Err(Error::Malformed));
    assert!("9".repeat(1000).parse::<Scaled>().is_ok());
    assert_eq!("2147483648".parse::<Q96>(), Err(Error::Overflow));
    assert_eq!("-2147483648".parse::<Q96>(), Ok(Q96::MIN));
}

#[test]
fn decimal_is_refused_when_the_number_is_beyond_what_can_be_written() {
    let large = Scaled::new(false, 1, 16_384).unwrap();
    assert!(large.to_decimal(20).is_ok());
    assert_eq!(large.shift(1).unwrap().to_decimal(20), Err(Error::Overflow));
}

#[test]
fn result_is_an_error_above_the_largest_exponent_and_zero_below_the_smallest() {
    let large = Scaled::new(false, u128::MAX, 1 << 30).unwrap();
    assert_eq!(large.times(large), Err(Error::Overflow));
    assert_eq!(large.plus(large), Err(Error::Overflow));
    assert_eq!(large.shift(1), Err(Error::Overflow));
    let small = Scaled::new(false, 1 << 127, -(1 << 30)).unwrap();
    assert_eq!(small.times(small), Ok(Scaled::ZERO));
    assert_eq!(small.over(large), Ok(Scaled::ZERO));
    assert_eq!(small.shift(-1), Ok(Scaled::ZERO));
}
