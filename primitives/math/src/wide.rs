//! 256-bit intermediates: products, quotients and roots of 128-bit words, and polynomials in unsigned fractions.
//!
//! A *fraction* is a `u128` in units of 2⁻¹²⁸. `carrying_mul` and `wrapping` products of 64-bit halves below never lose a bit.

/// Lower half of a word.
const fn low(x: u128) -> u64 {
    x as u64
}

/// Upper half of a word.
const fn high(x: u128) -> u64 {
    (x >> 64) as u64
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
    // At most (2⁶⁴ − 1)² + 2(2⁶⁴ − 2), which is below 2¹²⁸.
    product(high(a), high(b)).wrapping_add(cross)
}

/// `Σ coefficients[n] · xⁿ` in fractions. The coefficients sum to less than one, so it cannot saturate.
pub(crate) fn polynomial<const N: usize>(coefficients: &[u128; N], x: u128) -> u128 {
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
/// Knuth, *The Art of Computer Programming* 2, 4.3.1, algorithm D with two digits of 64 bits.
pub(crate) fn divide(upper: u128, lower: u128, divisor: u128) -> (u128, u128) {
    let (first, rest) = digit(upper, high(lower), divisor);
    let (second, rest) = digit(rest, low(lower), divisor);
    ((u128::from(first) << 64) | u128::from(second), rest)
}

/// One digit of the quotient: `(rest · 2⁶⁴ + next) / divisor` for `rest < divisor`.
fn digit(rest: u128, next: u64, divisor: u128) -> (u64, u128) {
    let top = u128::from(high(divisor));
    let (mut guess, mut left) = match rest.checked_div(top) {
        Some(guess) if guess <= u128::from(u64::MAX) => {
            (guess, rest.wrapping_sub(guess.wrapping_mul(top)))
        }
        // The digit is at most 2⁶⁴ − 1.
        _ => {
            let guess = u128::from(u64::MAX);
            (guess, rest.wrapping_sub(guess.wrapping_mul(top)))
        }
    };
    // The guess is at most two too large.
    for _ in 0..2 {
        let fits = left > u128::from(u64::MAX)
            || guess.wrapping_mul(u128::from(low(divisor))) <= (left << 64) | u128::from(next);
        if fits {
            break;
        }
        guess = guess.wrapping_sub(1);
        left = left.wrapping_add(top);
    }
    let rest =
        (left << 64 | u128::from(next)).wrapping_sub(guess.wrapping_mul(u128::from(low(divisor))));
    (low(guess), rest)
}

/// `⌊√(upper, lower)⌋` for `upper ≥ 2¹²⁶`: from the root of the upper word, one step (Zimmermann 1999, *Karatsuba square root*).
pub(crate) fn root(upper: u128, lower: u128) -> u128 {
    let first = upper.isqrt();
    let rest = upper.wrapping_sub(first.wrapping_mul(first));
    // (rest · 2⁶⁴ + next) / 2·first, halved on both sides: rest ≤ 2·first, so it fits.
    let halved = (rest << 63) | u128::from(high(lower) >> 1);
    let second = halved.checked_div(first).unwrap_or(0);
    let left = halved.wrapping_sub(second.wrapping_mul(first));
    let root = (first << 64).saturating_add(second);
    // The rest of the whole is left·2⁶⁵ + …  − second²; below zero, the root is one too large.
    let bit = u128::from(high(lower) & 1);
    let rest = ((left << 1) | bit, low(lower));
    if second > u128::from(u64::MAX) {
        return (first << 64) | u128::from(u64::MAX);
    }
    let square = second.wrapping_mul(second);
    if (rest.0 >> 64) == 0 && ((rest.0 << 64) | u128::from(rest.1)) < square {
        root.wrapping_sub(1)
    } else {
        root
    }
}
