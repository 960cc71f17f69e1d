//! The scale by which everything in this pallet is sorted: 128 steps an octave, 0.4 to 0.8 % each.
//!
//! A bucket `128·e + s` begins at `2^e·(1 + s/128)`. Boundaries are exact integers computed by shifts, so that rounding a
//! threshold towards a price means the same on every machine. Cumulative funding has a sign and mirrors the scale around
//! zero: its buckets are narrow while little funding has accrued, and stay below a hundredth of what has.
//!
//! Thresholds stand in four copies of the scale, one a *class* of accounts by notional, so that many small accounts cannot
//! stand in front of a large one: a bucket number is its class times 2¹⁶ plus the step on the scale.

/// Steps an octave, as a power of two.
const STEP_BITS: u32 = 7;
/// Steps an octave.
const STEPS: u32 = 1 << STEP_BITS;
/// Where zero lies on the signed scale.
const ZERO: u32 = 1 << 15;

/// A bucket beyond every other: a threshold there is crossed at any price.
pub const ALWAYS: u32 = u16::MAX as u32;
/// The last step that is not [`ALWAYS`].
pub const LAST: u32 = ALWAYS - 1;

/// Classes of accounts.
pub const CLASSES: u32 = 4;
/// Buckets of one class.
const SCALE: u32 = ALWAYS + 1;

/// Class of an account by its notional in quantums: the bounds are 2³⁰, 2³⁵ and 2⁴⁰, about 1,000, 34,000 and 1,100,000 USD.
pub fn class_by_notional(notional: u128) -> u32 {
    let octave = notional.checked_ilog2().unwrap_or(0);
    [30, 35, 40]
        .into_iter()
        .map(|bound| u32::from(octave >= bound))
        .sum()
}

/// The bucket of a step in a class.
pub const fn bucket(class: u32, step: u32) -> u32 {
    class.saturating_mul(SCALE).saturating_add(step)
}

/// A bucket's class.
pub fn class(bucket: u32) -> u32 {
    bucket.checked_div(SCALE).unwrap_or(0)
}

/// A bucket's step on the scale.
pub const fn step(bucket: u32) -> u32 {
    bucket & ALWAYS
}

/// The bucket whose beginning is the last at or below `x`; zero for zero.
pub fn floor(x: u128) -> u32 {
    let Some(octave) = x.checked_ilog2() else {
        return 0;
    };
    let leading = if octave >= STEP_BITS {
        x.checked_shr(octave.saturating_sub(STEP_BITS))
    } else {
        x.checked_shl(STEP_BITS.saturating_sub(octave))
    };
    // `leading` has its top bit at `STEP_BITS`: what lies below it is the step.
    let step = leading
        .and_then(|l| u32::try_from(l).ok())
        .and_then(|l| l.checked_sub(STEPS))
        .unwrap_or(0);
    octave.saturating_mul(STEPS).saturating_add(step)
}

/// The bucket whose beginning is the first at or above `x`.
pub fn ceil(x: u128) -> u32 {
    let below = floor(x);
    if begin(below) == Some(x) || x == 0 {
        below
    } else {
        below.saturating_add(1)
    }
}

/// Where a bucket begins, rounded down; `None` beyond the scale.
pub fn begin(bucket: u32) -> Option<u128> {
    let octave = bucket.checked_shr(STEP_BITS)?;
    let leading = u128::from(STEPS.checked_add(bucket & 127)?);
    if octave > 127 {
        None
    } else if octave >= STEP_BITS {
        leading.checked_shl(octave.checked_sub(STEP_BITS)?)
    } else {
        leading.checked_shr(STEP_BITS.checked_sub(octave)?)
    }
}

/// [`floor`] on the signed scale.
pub fn signed_floor(x: i128) -> u32 {
    match x {
        0 => ZERO,
        1.. => ZERO
            .saturating_add(1)
            .saturating_add(floor(x.unsigned_abs())),
        _ => ZERO
            .saturating_sub(1)
            .saturating_sub(ceil(x.unsigned_abs())),
    }
}

/// [`ceil`] on the signed scale.
pub fn signed_ceil(x: i128) -> u32 {
    match x {
        0 => ZERO,
        1.. => ZERO
            .saturating_add(1)
            .saturating_add(ceil(x.unsigned_abs())),
        _ => ZERO
            .saturating_sub(1)
            .saturating_sub(floor(x.unsigned_abs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bucket_brackets_its_values_within_a_hundredth(x in 1u128..u128::MAX, shift in 0u32..127) {
            let x = (x >> shift).max(1);
            let (low, high) = (floor(x), ceil(x));
            prop_assert!(high - low <= 1);
            let begin_low = begin(low).unwrap();
            prop_assert!(begin_low <= x);
            prop_assert!(begin(high).is_none_or(|b| b >= x));
            prop_assert!(x - begin_low <= x / 100);
            prop_assert!(high < ZERO && high < ALWAYS);
        }

        #[test]
        fn rounding_keeps_order_whatever_the_sign(a: i128, b: i128, s in 0u32..127, t in 0u32..127) {
            let (a, b) = (a >> s, b >> t);
            let (a, b) = (a.min(b), a.max(b));
            prop_assert!(signed_floor(a) <= signed_floor(b) && signed_ceil(a) <= signed_ceil(b));
            prop_assert!(signed_floor(a) <= signed_ceil(a));
            // What the index relies on: a value at or beyond a threshold is at or beyond its rounded bucket.
            prop_assert!(signed_ceil(b) >= signed_ceil(a) && signed_floor(b) >= signed_floor(a));
            prop_assert!(signed_ceil(b) < ALWAYS);
        }
    }

    #[test]
    fn a_bucket_number_keeps_class_and_step_apart() {
        for (notional, expected) in [
            (0, 0),
            ((1 << 30) - 1, 0),
            (1 << 30, 1),
            ((1 << 40) - 1, 2),
            (1 << 40, 3),
            (u128::MAX, CLASSES - 1),
        ] {
            assert_eq!(class_by_notional(notional), expected);
            for at in [0, 1, ALWAYS] {
                let number = bucket(expected, at);
                assert_eq!((class(number), step(number)), (expected, at));
            }
        }
    }

    #[test]
    fn small_values_and_the_ends_have_exact_buckets() {
        for x in 1..256u128 {
            assert_eq!(
                (floor(x), ceil(x), begin(floor(x))),
                (floor(x), floor(x), Some(x))
            );
        }
        assert_eq!((floor(0), ceil(0)), (0, 0));
        assert_eq!(floor(u128::MAX), 127 * 128 + 127);
        assert_eq!(begin(ceil(u128::MAX)), None);
        assert_eq!(signed_floor(-1), signed_ceil(-1));
        assert!(signed_floor(i128::MIN) < signed_ceil(-1) && signed_ceil(-1) < ZERO);
    }
}
