//! 256-bit intermediates: products, quotients and roots of 128-bit words, and polynomials in unsigned fractions.
//!
//! A *fraction* is a `u128` in units of 2⁻¹²⁸. Operations named `wrapping` cannot overflow where they stand, but in [`digit`], which
//! calculates modulo 2¹²⁸ what fits in the end.

/// Lower half of a word.
const fn low(x: u128) -> u64 {
    x as u64
}

/// Upper half of a word.
const fn high(x: u128) -> u64 {
    (x >> 64) as u64
}

/// A word of two halves.
const fn word(high: u64, low: u64) -> u128 {
    ((high as u128) << 64) | low as u128
}

/// `a · b` of two halves: always fits.
const fn product(a: u64, b: u64) -> u128 {
    (a as u128).wrapping_mul(b as u128)
}

/// `a · b` as (upper, lower) word, exact.
pub(crate) fn multiply(a: u128, b: u128) -> (u128, u128) {
    let (low, high) = a.carrying_mul(b, 0);
    (high, low)
}

/// `⌊a · b / 2¹²⁸⌋`, or up to two less: the product of two fractions with three multiplications instead of four.
pub(crate) const fn fraction(a: u128, b: u128) -> u128 {
    let cross = (product(high(a), low(b)) >> 64).wrapping_add(product(low(a), high(b)) >> 64);
    // At most (2⁶⁴ − 1)² + 2(2⁶⁴ − 2) = 2¹²⁸ − 3.
    product(high(a), high(b)).wrapping_add(cross)
}

/// `Σ coefficients[n] · xⁿ` in fractions. The coefficients sum to less than one, so it cannot saturate.
pub(crate) fn polynomial(coefficients: &[u128], x: u128) -> u128 {
    coefficients
        .iter()
        .rev()
        .fold(0, |sum, c| c.saturating_add(fraction(sum, x)))
}

/// `(upper, lower) · 2^left` for `left < 128`, as the word above the two, and the upper of the two.
pub(crate) const fn split(upper: u128, lower: u128, left: u32) -> (u128, u128) {
    if left == 0 {
        return (0, upper);
    }
    let right = 128u32.wrapping_sub(left);
    (upper >> right, (upper << left) | (lower >> right))
}

/// Quotient and rest of `(upper, lower) / divisor`. The divisor is at least 2¹²⁷ and above `upper`.
///
/// Knuth, *The Art of Computer Programming* 2, 4.3.1, algorithm D with digits of 64 bits.
pub(crate) fn divide(upper: u128, lower: u128, divisor: u128) -> (u128, u128) {
    let (first, rest) = digit(upper, high(lower), divisor);
    let (second, rest) = digit(rest, low(lower), divisor);
    (word(first, second), rest)
}

/// One digit and the rest of `(rest · 2⁶⁴ + next) / divisor` for `rest < divisor`.
fn digit(rest: u128, next: u64, divisor: u128) -> (u64, u128) {
    let (top, bottom) = (high(divisor), low(divisor));
    // From the divisor's upper half: at most two too large, and a digit is at most 2⁶⁴ − 1.
    let quotient = rest.checked_div(u128::from(top)).unwrap_or(0);
    let mut guess = u64::try_from(quotient).unwrap_or(u64::MAX);
    let mut left = rest.wrapping_sub(product(guess, top));
    for _ in 0..2 {
        if high(left) != 0 || product(guess, bottom) <= word(low(left), next) {
            break;
        }
        guess = guess.wrapping_sub(1);
        left = left.wrapping_add(u128::from(top));
    }
    // Below the divisor, whatever the words above it were.
    let rest = word(low(left), next).wrapping_sub(product(guess, bottom));
    (guess, rest)
}

/// `⌊√(upper, lower)⌋` for `upper ≥ 2¹²⁶`, from the root of the upper word (Zimmermann 1999, *Karatsuba Square Root*).
pub(crate) fn root(upper: u128, lower: u128) -> u128 {
    let first = upper.isqrt();
    // At most twice the root: 65 bits.
    let rest = upper.wrapping_sub(first.wrapping_mul(first));
    // (rest · 2⁶⁴ + upper half of lower) / 2·first, halved on both sides to fit.
    let halved = (rest << 63) | u128::from(high(lower) >> 1);
    let quotient = halved.checked_div(first).unwrap_or(0);
    let left = halved.wrapping_sub(quotient.wrapping_mul(first));
    let Ok(second) = u64::try_from(quotient) else {
        return word(low(first), u64::MAX);
    };
    let root = word(low(first), second);
    // What is left over, less second², is negative if the root is one too large.
    let above = (left << 1) | u128::from(high(lower) & 1);
    if high(above) == 0 && word(low(above), low(lower)) < product(second, second) {
        root.wrapping_sub(1)
    } else {
        root
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Words of every length, with runs of ones and zeros more often than chance has them.
    fn any_word() -> impl Strategy<Value = u128> {
        (any::<u128>(), any::<u128>(), 0u32..128, 0u8..4).prop_map(|(x, y, shift, kind)| match kind
        {
            0 => x >> shift,
            1 => u128::MAX >> shift,
            2 => !(u128::MAX >> shift) | (y >> 64),
            _ => x,
        })
    }

    /// `(upper, lower) + x`.
    fn add((upper, lower): (u128, u128), x: u128) -> (u128, u128) {
        let (lower, carry) = lower.overflowing_add(x);
        (upper + u128::from(carry), lower)
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 20_000,
            failure_persistence: None,
            ..Default::default()
        })]

        #[test]
        fn fraction_is_the_upper_word_or_up_to_two_less(a in any_word(), b in any_word()) {
            let (upper, _) = multiply(a, b);
            prop_assert!(upper - fraction(a, b) <= 2);
        }

        #[test]
        fn divide_gives_quotient_and_rest(upper in any_word(), lower in any_word(), divisor in any_word()) {
            let divisor = divisor | (1 << 127);
            let upper = upper % divisor;
            let (quotient, rest) = divide(upper, lower, divisor);
            prop_assert!(rest < divisor);
            prop_assert_eq!(add(multiply(quotient, divisor), rest), (upper, lower));
        }

        #[test]
        fn root_is_the_floor(upper in any_word(), lower in any_word()) {
            let upper = upper | (1 << (126 + (lower & 1)));
            let root = root(upper, lower);
            prop_assert!(multiply(root, root) <= (upper, lower));
            if let Some(next) = root.checked_add(1) {
                prop_assert!(multiply(next, next) > (upper, lower));
            }
        }

        #[test]
        fn root_is_exact_when_the_number_is_a_square(root_of in any_word()) {
            let x = root_of | (1 << 127);
            let (upper, lower) = multiply(x, x);
            prop_assert_eq!(root(upper, lower), x);
            if lower > 0 {
                prop_assert_eq!(root(upper, lower - 1), x - 1);
            }
        }

        #[test]
        fn split_shifts_both_words(upper in any_word(), lower in any_word(), left in 0u32..128) {
            let (above, middle) = split(upper, lower, left);
            let (carried, shifted) = multiply(lower, 1 << left);
            prop_assert_eq!(add(multiply(upper, 1 << left), carried), (above, middle));
            prop_assert_eq!(lower << left, shifted);
        }
    }

    #[test]
    fn digits_of_a_quotient_are_right_when_the_guess_is_two_too_large() {
        let divisor = (1 << 127) | u128::from(u64::MAX);
        for upper in [divisor - 1, (1 << 127) - 1, 1 << 127, divisor - (1 << 64)] {
            for lower in [0, 1, u128::MAX, u128::from(u64::MAX) << 64] {
                let (quotient, rest) = divide(upper, lower, divisor);
                assert!(rest < divisor);
                assert_eq!(add(multiply(quotient, divisor), rest), (upper, lower));
            }
        }
    }
}
