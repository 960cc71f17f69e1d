//! Decimal strings. For tools and tests: exact or rounded once, without regard to speed.

use crate::{elementary::binary_exponent, Error, Result, Scaled, Q96};

/// Digits of a number read.
const MOST_DIGITS: usize = 1_000;
/// Powers of ten of a number read.
const MOST_POWER: i64 = 5_000;
/// Nine decimal digits fit into a limb.
const LIMB_DIGITS: u32 = 9;
const LIMB_UNIT: u32 = 1_000_000_000;
/// Numbers are written up to this power of two, and down to minus it.
const MOST_BITS: i64 = 16_384;
/// `log₁₀ 2` in units of 2⁻³², rounded down.
const LOG10_2: i64 = 1_292_913_986;

/// A natural number: limbs of 32 bits, the lowest first, the highest not zero.
struct Natural(Vec<u32>);

impl Natural {
    fn from_u128(mut x: u128) -> Self {
        let mut limbs = Vec::new();
        while x != 0 {
            limbs.push(x as u32);
            x >>= 32;
        }
        Self(limbs)
    }

    /// `self · factor + carry`.
    fn multiply_add(&mut self, factor: u32, carry: u32) {
        let mut carry = u64::from(carry);
        for limb in &mut self.0 {
            // At most (2³² − 1)² + 2³² − 1.
            let sum = u64::from(*limb)
                .saturating_mul(u64::from(factor))
                .saturating_add(carry);
            *limb = sum as u32;
            carry = sum >> 32;
        }
        if carry != 0 {
            self.0.push(carry as u32);
        }
    }

    /// Divides, rounding down, and returns the rest.
    fn divide(&mut self, divisor: u32) -> u32 {
        let (divisor, mut rest) = (u64::from(divisor), 0u64);
        for limb in self.0.iter_mut().rev() {
            let part = (rest << 32) | u64::from(*limb);
            *limb = part.checked_div(divisor).unwrap_or(0) as u32;
            rest = part.checked_rem(divisor).unwrap_or(0);
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        rest as u32
    }

    fn shift_left(&mut self, bits: u32) {
        let (limbs, bits) = (bits >> 5, bits & 31);
        self.multiply_add(1 << bits, 0);
        if !self.0.is_empty() {
            self.0.splice(0..0, core::iter::repeat_n(0, limbs as usize));
        }
    }

    /// Divides by `2^bits`, rounding to the nearest, ties up.
    fn shift_right_nearest(&mut self, bits: u32) {
        let Some(before) = bits.checked_sub(1) else {
            return;
        };
        let limbs = (before >> 5) as usize;
        self.0.drain(..limbs.min(self.0.len()));
        self.divide(1 << (before & 31));
        // One bit more than wanted: add it as a half.
        let odd = self.0.first().is_some_and(|limb| limb & 1 == 1);
        self.divide(2);
        if odd {
            self.increment();
        }
    }

    fn increment(&mut self) {
        for limb in &mut self.0 {
            let (sum, carry) = limb.overflowing_add(1);
            *limb = sum;
            if !carry {
                return;
            }
        }
        self.0.push(1);
    }

    fn times_power_of_ten(&mut self, power: u32) {
        for step in tens(power) {
            self.multiply_add(step, 0);
        }
    }

    /// Divides by `10^power`, rounding down.
    fn over_power_of_ten(&mut self, power: u32) {
        for step in tens(power) {
            self.divide(step);
        }
    }

    /// The highest 128 bits, the next 128, and the power of two of the former's lowest bit.
    fn top(&self) -> (u128, u128, i64) {
        let mut limbs = self.0.iter().rev().copied().chain(core::iter::repeat(0));
        let mut word = || {
            limbs
                .by_ref()
                .take(4)
                .fold(0u128, |word, limb| (word << 32) | u128::from(limb))
        };
        let (upper, lower) = (word(), word());
        let limbs_below = (self.0.len() as i64).saturating_sub(4);
        (upper, lower, limbs_below.saturating_mul(32))
    }

    fn digits(mut self) -> String {
        let mut groups = Vec::new();
        while !self.0.is_empty() {
            groups.push(self.divide(LIMB_UNIT));
        }
        let mut text = String::new();
        for group in groups.iter().rev() {
            let mut unit = LIMB_UNIT;
            for _ in 0..LIMB_DIGITS {
                unit = unit.checked_div(10).unwrap_or(1);
                let digit = group.checked_div(unit).unwrap_or(0) % 10;
                text.push(char::from(b'0'.saturating_add(digit as u8)));
            }
        }
        String::from(text.trim_start_matches('0'))
    }
}

/// Reads `[+-]digits[.digits][e[+-]digits]`, rounded to the nearest number of 128 bits.
impl core::str::FromStr for Scaled {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (negative, text) = match text.as_bytes().first() {
            Some(b'-') => (true, text.get(1..)),
            Some(b'+') => (false, text.get(1..)),
            _ => (false, Some(text)),
        };
        let text = text.ok_or(Error::Malformed)?;
        let (digits, power) = match text.find(['e', 'E']) {
            Some(at) => {
                let (digits, power) = text.split_at(at);
                let power = power.get(1..).ok_or(Error::Malformed)?;
                (digits, power.parse::<i64>().map_err(|_| Error::Malformed)?)
            }
            None => (text, 0),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let count = whole.len().saturating_add(part.len());
        if count == 0 || count > MOST_DIGITS || !(-MOST_POWER..=MOST_POWER).contains(&power) {
            return Err(Error::Malformed);
        }
        let mut number = Natural(Vec::new());
        for byte in whole.bytes().chain(part.bytes()) {
            if !byte.is_ascii_digit() {
                return Err(Error::Malformed);
            }
            number.multiply_add(10, u32::from(byte.saturating_sub(b'0')));
        }
        let power = power.saturating_sub(part.len() as i64);
        let tens = power.unsigned_abs() as u32;
        let mut shift = 0;
        if power >= 0 {
            number.times_power_of_ten(tens);
        } else {
            // 10ⁿ has at most 4n bits: 256 remain.
            shift = tens.saturating_mul(4).saturating_add(256);
            number.shift_left(shift);
            number.over_power_of_ten(tens);
        }
        let (upper, lower, exponent) = number.top();
        Self::normal(
            negative,
            upper,
            lower,
            exponent.saturating_sub(i64::from(shift)),
        )
    }
}

/// Reads a decimal number, rounded to the nearest multiple of 2⁻⁹⁶.
impl core::str::FromStr for Q96 {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.parse::<Scaled>()?.to_q96()
    }
}

impl Scaled {
    /// With so many significant digits (1 to 1,000), rounded to the nearest, ties away from zero. Zeros at the end are left out; from 10⁴⁰
    /// on and below 10⁻⁶ with an exponent, as `1.5e-30`. An error beyond 2¹⁶³⁸⁴ and below its reciprocal.
    pub fn to_decimal(self, digits: u32) -> Result<String> {
        if self.is_zero() {
            return Ok(String::from("0"));
        }
        let bits = i64::from(binary_exponent(self));
        if bits.abs() > MOST_BITS {
            return Err(Error::Overflow);
        }
        let digits = i64::from(digits.clamp(1, MOST_DIGITS as u32));
        // The power of ten of the first digit, or one less; rounding up can make it one more as well.
        let mut power = bits.saturating_mul(LOG10_2) >> 32;
        let mut text = self.rounded(digits.saturating_sub(1).saturating_sub(power));
        while text.len() as i64 > digits {
            power = power.saturating_add(1);
            text = self.rounded(digits.saturating_sub(1).saturating_sub(power));
        }
        Ok(layout(self.is_negative(), &text, power))
    }

    /// `|x| · 10^power` as a whole number, rounded to the nearest, ties up.
    fn rounded(self, power: i64) -> String {
        let mut number = Natural::from_u128(self.mantissa());
        let (left, right) = match u32::try_from(self.exponent()) {
            Ok(left) => (left, 0),
            Err(_) => (0, self.exponent().unsigned_abs()),
        };
        // One bit more on the way, which decides the rounding.
        number.shift_left(left.saturating_add(1));
        let tens = power.unsigned_abs() as u32;
        if power >= 0 {
            number.times_power_of_ten(tens);
        } else {
            number.over_power_of_ten(tens);
        }
        number.shift_right_nearest(right.saturating_add(1));
        number.digits()
    }
}

/// `10^power` as factors of at most nine digits.
fn tens(power: u32) -> impl Iterator<Item = u32> {
    let limbs = power.checked_div(LIMB_DIGITS).unwrap_or(0) as usize;
    let rest = power.checked_rem(LIMB_DIGITS).unwrap_or(0);
    core::iter::repeat_n(LIMB_UNIT, limbs).chain(10u32.checked_pow(rest))
}

/// The digits of a number whose first stands for `10^power`.
fn layout(negative: bool, digits: &str, power: i64) -> String {
    let digits = digits.trim_end_matches('0');
    let mut text = String::from(if negative { "-" } else { "" });
    let zeros = |text: &mut String, count: i64| (0..count).for_each(|_| text.push('0'));
    let (whole, fraction) = match power {
        0..=39 => {
            let whole = power.saturating_add(1);
            let split = digits.len().min(whole as usize);
            let (before, after) = digits.split_at(split);
            text.push_str(before);
            zeros(&mut text, whole.saturating_sub(split as i64));
            ("", after)
        }
        -6..=-1 => {
            text.push_str("0.");
            zeros(&mut text, power.abs().saturating_sub(1));
            (digits, "")
        }
        _ => digits.split_at(1.min(digits.len())),
    };
    text.push_str(whole);
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    if !(-6..40).contains(&power) {
        text.push_str(&format!("e{power}"));
    }
    text
}
