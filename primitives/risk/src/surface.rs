//! Volatility surfaces (section 10): smiles on a fixed grid, between its points and between expiries, and whether they admit arbitrage.
//!
//! A [`Smile`] gives variance per year, `σ²`, at [`POINTS`] places `x = ln(K/F)/√T` of one expiry, so that total variance is what it gives
//! times the time that is left. Per year, because smiles that were seen at different moments compare, and the last good one of an expiry
//! stands while its time runs down. By `√T`, because a day's smile spans a tenth of the strikes of three months': on Deribit's chains of
//! May 2020 and January 2026 (27 expiries of up to 200 days) volatility read back from this grid errs by 0.20 points in the mean, weighted by
//! vega; as many points of `ln(K/F)` itself err by 0.27 at best, and twice as much if they are placed for 90 days.
//!
//! - Between points total variance is linear in moneyness, beyond the ends volatility is flat.
//! - Between expiries total variance is linear in time at the same strike and forward. That brings no calendar arbitrage where the two
//!   expiries had none (Gatheral and Jacquier, *Arbitrage-free SVI volatility surfaces*, 2014, lemma 2.1).
//! - Butterflies are looked at on the calls' prices, which must be convex in the strike (Breeden and Litzenberger 1978): the prices that are
//!   traded, not a formula for a smooth curve that the smile is not.
//!
//! Both tests let pass what is worth less than `σ√T·F/10⁴`, with σ at the money: a four-thousandth of an option at the money. The volatilities that
//! venues publish are not rounded finer. Fixed point throughout; every loop is bounded by the grid, the expiries and [`MAX_STRIKES`].

use crate::ModelError;
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use novate_math::{
    black76::{price, Deviation, Kind, Level},
    exp, Scaled,
};
use novate_types::{
    math::{mul_div_floor, signed_mul_div_floor},
    MathError, Millis,
};
use scale_info::TypeInfo;
use sp_arithmetic::{FixedI128, FixedPointNumber, FixedU128};
use sp_core::bounded::BoundedVec;
use sp_core::ConstU32;

type Result<T> = core::result::Result<T, ModelError>;

/// Points of a smile.
pub const POINTS: usize = 21;
/// Expiries of a surface.
pub const MAX_EXPIRIES: u32 = 12;
/// Strikes beside the grid's at which one smile is looked at.
pub const MAX_STRIKES: usize = 64;
/// One, in the unit of [`GRID`] and of variances.
pub const UNIT: u64 = 1_000_000_000_000;
/// The largest variance per year: a volatility of 1,000 %.
pub const MAX_VARIANCE: u64 = 100 * UNIT;

/// Where a smile is given: `ln(K/F)/√T` with T in years of 365 days, in parts per 10¹².
pub const GRID: [i64; POINTS] = [
    hundredths(-400),
    hundredths(-260),
    hundredths(-180),
    hundredths(-130),
    hundredths(-95),
    hundredths(-70),
    hundredths(-50),
    hundredths(-35),
    hundredths(-20),
    hundredths(-10),
    0,
    hundredths(10),
    hundredths(20),
    hundredths(35),
    hundredths(50),
    hundredths(70),
    hundredths(95),
    hundredths(130),
    hundredths(180),
    hundredths(260),
    hundredths(400),
];
/// The place of the money on [`GRID`].
pub const MONEY: usize = POINTS / 2;
/// What a difference at each place counts in [`Smile::distance`]: about what it moves the price of an option there, `exp(−x²/2σ²)` with a σ of
/// 60 %, and never less than a twentieth of the money's, or the wings would be anybody's.
pub const IMPORTANCE: [u32; POINTS] = [
    5, 5, 5, 10, 29, 51, 71, 84, 95, 99, 100, 99, 95, 84, 71, 51, 29, 10, 5, 5, 5,
];

/// Milliseconds of the year of option maturities: 365 days.
const YEAR: u128 = 31_536_000_000;
/// What of `σ√T·F` an arbitrage has to be worth.
const TOLERANCE: u128 = 10_000;
/// How many times that strikes are apart, or count as one: less than the grid's places are at any volatility.
const GAP: i128 = 50;

const fn hundredths(n: i64) -> i64 {
    n.saturating_mul(10_000_000_000)
}

/// Variance per year (`σ²`, a volatility of 100 % being [`UNIT`]) at the places of [`GRID`].
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct Smile(pub [u64; POINTS]);

impl Smile {
    /// Whether every variance is one: above zero, and at most [`MAX_VARIANCE`].
    pub fn is_valid(&self) -> bool {
        self.0.iter().all(|v| *v > 0 && *v <= MAX_VARIANCE)
    }

    /// Variance per year at the money.
    pub fn at_the_money(&self) -> u64 {
        self.0.get(MONEY).copied().unwrap_or_default()
    }

    /// Variance per year at a place, in parts per 10¹², rounded down.
    fn at(&self, place: i128) -> Result<u128> {
        let mut before: Option<(i128, u64)> = None;
        for (x, variance) in GRID.into_iter().map(i128::from).zip(self.0) {
            if place > x {
                before = Some((x, variance));
                continue;
            }
            let Some((from, low)) = before else {
                return Ok(u128::from(variance));
            };
            let rise = i128::from(variance).saturating_sub(i128::from(low));
            let way = place.saturating_sub(from).unsigned_abs();
            let risen = signed_mul_div_floor(rise, way, x.saturating_sub(from).unsigned_abs())?;
            return u128::from(low)
                .checked_add_signed(risen)
                .ok_or(MathError::Overflow.into());
        }
        Ok(before.map_or(0, |(_, variance)| u128::from(variance)))
    }

    /// Total variance `σ²·T` at `ln(K/F)`, for the time to expiry, rounded down. An error if no time is left.
    pub fn total_variance(&self, log_moneyness: FixedI128, time: Millis) -> Result<FixedU128> {
        let place = signed_mul_div_floor(
            log_moneyness.into_inner(),
            1_000_000,
            root_of_years(time)?.into(),
        )?;
        let scaled = u128::from(time)
            .checked_mul(1_000_000)
            .ok_or(MathError::Overflow)?;
        Ok(mul_div_floor(self.at(place)?, scaled, YEAR).map(FixedU128::from_inner)?)
    }

    /// `Σ IMPORTANCE·|difference|`.
    pub fn distance(&self, other: &Self) -> u128 {
        self.0
            .iter()
            .zip(other.0)
            .zip(IMPORTANCE)
            .fold(0u128, |sum, ((a, b), importance)| {
                let part = u128::from(a.abs_diff(b)).saturating_mul(u128::from(importance));
                sum.saturating_add(part)
            })
    }

    /// `Σ IMPORTANCE·variance`: what a distance is to be compared with.
    pub fn size(&self) -> u128 {
        self.distance(&Self([0; POINTS]))
    }

    /// Whether calls at some three strikes, of the grid's and of those given (`ln(K/F)`, within the grid's ends, the first
    /// [`MAX_STRIKES`] of them), make a butterfly that costs less than nothing.
    pub fn admits_butterfly(&self, time: Millis, strikes: &[FixedI128]) -> Result<bool> {
        let grid = places(time)?;
        let ends = grid.first().zip(grid.last());
        let mut moneyness: Vec<FixedI128> = strikes
            .iter()
            .take(MAX_STRIKES)
            .filter(|k| ends.is_some_and(|(low, high)| (low..=high).contains(k)))
            .chain(&grid)
            .copied()
            .collect();
        moneyness.sort_unstable();
        let tolerance = self.tolerance(time)?;
        let gap = tolerance.saturating_mul(GAP).max(1);
        // Strikes and calls in units of the forward. A call at a strike of nothing is the forward.
        let mut calls = alloc::vec![(0i128, i128::from(UNIT))];
        for k in moneyness {
            let strike = to_units(exp(signed(k)?)?)?;
            // A strike beside a place of the grid makes butterflies too narrow to be worth anything: one of the two is enough.
            if calls
                .last()
                .is_some_and(|(last, _)| strike.saturating_sub(*last) < gap)
            {
                continue;
            }
            calls.push((strike, call(k, self.total_variance(k, time)?)?));
        }
        for three in calls.windows(3) {
            let [(k0, c0), (k1, c1), (k2, c2)] = three else {
                continue;
            };
            let (left, right) = (k1.saturating_sub(*k0), k2.saturating_sub(*k1));
            let wings = weigh(*c0, right)?
                .checked_add(weigh(*c2, left)?)
                .ok_or(MathError::Overflow)?;
            let body = weigh(c1.saturating_sub(tolerance), left.saturating_add(right))?;
            if wings < body {
                return Ok(true);
            }
        }
        let falls = |pair: &[(i128, i128)]| match pair {
            [(_, near), (_, far)] => *far <= near.saturating_add(tolerance),
            _ => true,
        };
        Ok(!calls.windows(2).all(falls))
    }

    /// `σ√T/10⁴` at the money, in units of [`UNIT`].
    fn tolerance(&self, time: Millis) -> Result<i128> {
        let variance = self.total_variance(FixedI128::from_inner(0), time)?;
        let square = variance
            .into_inner()
            .checked_mul(1_000_000)
            .ok_or(MathError::Overflow)?;
        let part = square.isqrt() / TOLERANCE;
        Ok(i128::try_from(part).map_err(|_| MathError::Overflow)?)
    }
}

/// Whether a calendar spread of `far` over `near` costs less than nothing somewhere: total variance falls with time at one strike and
/// forward. Looked at on both grids, between and beyond whose points the difference is linear and constant.
pub fn admits_calendar(
    near: &Smile,
    near_time: Millis,
    far: &Smile,
    far_time: Millis,
) -> Result<bool> {
    let tolerance = far.tolerance(far_time)?;
    for k in places(near_time)?.into_iter().chain(places(far_time)?) {
        let (less, more) = (
            near.total_variance(k, near_time)?,
            far.total_variance(k, far_time)?,
        );
        if more < less && call(k, more)?.saturating_add(tolerance) < call(k, less)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A smile of an expiry, and when it was seen.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct Slice {
    /// When it ends, in milliseconds of Unix time.
    pub expiry: Millis,
    /// When it was seen: age counts from here.
    pub observed_at: Millis,
    /// Its variances.
    pub smile: Smile,
}

impl Slice {
    /// Whether `far` lies too low above this slice, seen from `now`; neither may have ended.
    pub fn admits_calendar(&self, far: &Self, now: Millis) -> Result<bool> {
        admits_calendar(
            &self.smile,
            self.expiry.saturating_sub(now),
            &far.smile,
            far.expiry.saturating_sub(now),
        )
    }
}

/// The slices of an underlying, by expiry.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct Surface(pub BoundedVec<Slice, ConstU32<MAX_EXPIRIES>>);

impl Surface {
    /// The slices on either side of an expiry; twice the same where one is of that very expiry.
    fn around(&self, expiry: Millis) -> Option<(&Slice, &Slice)> {
        let near = self.0.iter().rev().find(|s| s.expiry <= expiry)?;
        let far = self.0.iter().find(|s| s.expiry >= expiry)?;
        Some((near, far))
    }

    /// Total variance `σ²·T` from `now` to `expiry` at `ln(K/F)`, rounded down. None for an expiry with no slice on one side, or one that is
    /// over, or whose nearer slice is.
    pub fn total_variance(
        &self,
        expiry: Millis,
        log_moneyness: FixedI128,
        now: Millis,
    ) -> Option<FixedU128> {
        let (near, far) = self.around(expiry)?;
        let at = |slice: &Slice| {
            let time = slice.expiry.checked_sub(now)?;
            slice.smile.total_variance(log_moneyness, time).ok()
        };
        let low = at(near)?;
        if near.expiry == far.expiry {
            return Some(low);
        }
        let rise = i128::try_from(at(far)?.into_inner())
            .ok()?
            .checked_sub_unsigned(low.into_inner())?;
        let risen = signed_mul_div_floor(
            rise,
            expiry.checked_sub(near.expiry)?.into(),
            far.expiry.checked_sub(near.expiry)?.into(),
        )
        .ok()?;
        low.into_inner()
            .checked_add_signed(risen)
            .map(FixedU128::from_inner)
    }

    /// When the volatility of an expiry was seen: the older of the slices on its sides.
    pub fn observed_at(&self, expiry: Millis) -> Option<Millis> {
        let (near, far) = self.around(expiry)?;
        Some(near.observed_at.min(far.observed_at))
    }
}

/// `√T` in years, in parts per 10¹², rounded down. An error if no time is left.
pub fn root_of_years(time: Millis) -> Result<u64> {
    let square = mul_div_floor(
        u128::from(time),
        u128::from(UNIT).saturating_mul(u128::from(UNIT)),
        YEAR,
    )?;
    match u64::try_from(square.isqrt()) {
        Ok(0) => Err(ModelError::Invalid),
        Ok(root) => Ok(root),
        Err(_) => Err(MathError::Overflow.into()),
    }
}

/// `ln(K/F)` at the places of the grid.
pub fn places(time: Millis) -> Result<Vec<FixedI128>> {
    let root = u128::from(root_of_years(time)?);
    GRID.into_iter()
        .map(|x| Ok(signed_mul_div_floor(i128::from(x), root, 1_000_000)?))
        .map(|k: Result<i128>| k.map(FixedI128::from_inner))
        .collect()
}

fn signed(k: FixedI128) -> Result<Scaled> {
    Ok(Scaled::from(k.into_inner()).over(Scaled::from(FixedU128::DIV))?)
}

fn to_units(x: Scaled) -> Result<i128> {
    Ok(x.times(Scaled::from(UNIT))?.nearest()?)
}

fn weigh(call: i128, width: i128) -> Result<i128> {
    Ok(call.checked_mul(width).ok_or(MathError::Overflow)?)
}

/// A call's price in parts per 10¹² of the forward.
fn call(k: FixedI128, variance: FixedU128) -> Result<i128> {
    let forward = Level::new(Scaled::ONE)?;
    let strike = Level::new(exp(signed(k)?)?)?;
    let deviation = Deviation::from_variance(Scaled::from_18_decimals(variance.into_inner())?)?;
    to_units(price(
        Kind::Call,
        &forward,
        &strike,
        &deviation,
        Scaled::ONE,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: Millis = 86_400_000;

    fn flat(volatility_percent: u64) -> Smile {
        Smile([volatility_percent * volatility_percent * UNIT / 10_000; POINTS])
    }

    fn with(mut smile: Smile, at: usize, percent_of_variance: u64) -> Smile {
        smile.0[at] = smile.0[at] * percent_of_variance / 100;
        smile
    }

    fn k(ppm: i128) -> FixedI128 {
        FixedI128::from_inner(ppm * 1_000_000_000_000)
    }

    fn number(x: FixedU128) -> f64 {
        x.into_inner() as f64 / 1e18
    }

    /// Standard normal distribution by the complementary error function of Numerical Recipes (1.2e-7).
    fn cdf(x: f64) -> f64 {
        let z = x.abs() / 2f64.sqrt();
        let t = 1.0 / (1.0 + 0.5 * z);
        let poly = [
            -1.26551223,
            1.00002368,
            0.37409196,
            0.09678418,
            -0.18628806,
            0.27886807,
            -1.13520398,
            1.48851587,
            -0.82215223,
            0.17087277,
        ];
        let sum = poly.iter().rev().fold(0.0, |sum, c| sum * t + c);
        let erfc = t * (-z * z + sum).exp();
        if x < 0.0 {
            erfc / 2.0
        } else {
            1.0 - erfc / 2.0
        }
    }

    fn black(k: f64, w: f64) -> f64 {
        let s = w.sqrt();
        let d1 = -k / s + s / 2.0;
        cdf(d1) - k.exp() * cdf(d1 - s)
    }

    #[test]
    fn grid_is_symmetric_ascends_and_has_the_money_in_its_middle() {
        assert!(GRID.is_sorted_by(|a, b| a < b));
        assert_eq!(GRID[MONEY], 0);
        for at in 0..POINTS {
            assert_eq!(GRID[at], -GRID[POINTS - 1 - at]);
            assert_eq!(IMPORTANCE[at], IMPORTANCE[POINTS - 1 - at]);
        }
    }

    #[test]
    fn total_variance_is_variance_times_the_time_left() {
        let year = 365 * DAY;
        for (percent, time, expected) in [
            (100, year, "1"),
            (50, year, "0.25"),
            (80, 73 * DAY, "0.128"),
            (60, DAY, "0.000986301369863013"),
        ] {
            let w = flat(percent).total_variance(k(0), time).unwrap();
            assert_eq!(w, parse(expected));
        }
        assert_eq!(flat(50).total_variance(k(0), 0), Err(ModelError::Invalid));
    }

    fn parse(text: &str) -> FixedU128 {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{fraction:0<18}");
        FixedU128::from_inner(digits.parse().unwrap())
    }

    #[test]
    fn smile_is_linear_between_points_and_flat_beyond_its_ends() {
        let mut smile = flat(100);
        smile.0[MONEY + 1] = 2 * UNIT;
        smile.0[POINTS - 1] = 4 * UNIT;
        smile.0[0] = 3 * UNIT;
        let year = 365 * DAY;
        for (place, variance) in [
            (0, 1.0),
            (50_000, 1.5),
            (100_000, 2.0),
            (150_000, 1.5),
            (3_300_000, 2.5),
            (4_000_000, 4.0),
            (9_000_000, 4.0),
            (-4_000_000, 3.0),
            (-70_000_000, 3.0),
            (-3_300_000, 2.0),
        ] {
            let w = number(smile.total_variance(k(place), year).unwrap());
            assert!((w - variance).abs() < 1e-9, "{place}: {w}");
        }
        // A quarter of the time: half the width.
        let w = number(smile.total_variance(k(25_000), year / 4).unwrap());
        assert!((w - 1.5 / 4.0).abs() < 1e-9, "{w}");
    }

    #[test]
    fn places_are_where_the_smile_is_given() {
        let smile = Smile(core::array::from_fn(|at| (1 + at as u64) * UNIT / 10));
        for time in [DAY / 24, DAY, 7 * DAY, 90 * DAY, 365 * DAY] {
            for (place, variance) in places(time).unwrap().into_iter().zip(smile.0) {
                let w = number(smile.total_variance(place, time).unwrap());
                let expected = variance as f64 / 1e12 * time as f64 / YEAR as f64;
                assert!((w / expected - 1.0).abs() < 1e-6, "{w} {expected}");
            }
        }
    }

    #[test]
    fn butterfly_is_found_when_one_point_stands_out() {
        for time in [DAY, 7 * DAY, 30 * DAY, 90 * DAY] {
            assert!(!flat(70).admits_butterfly(time, &[]).unwrap());
            for at in 4..=16 {
                let up = with(flat(70), at, 130);
                assert!(up.admits_butterfly(time, &[]).unwrap(), "{at} up, {time}");
                let down = with(flat(70), at, 70);
                assert!(
                    down.admits_butterfly(time, &[]).unwrap(),
                    "{at} down, {time}"
                );
            }
        }
    }

    /// A call dearer than one at a lower strike: variance grows so fast that spreads are paid for.
    #[test]
    fn butterfly_is_found_when_a_wing_rises_too_steeply() {
        let mut smile = flat(60);
        for (x, variance) in GRID.iter().zip(&mut smile.0) {
            if *x > 0 {
                // σ²T = 0.36·T + 3·k, beyond the slope of two that any smile can have (Lee 2004).
                *variance += (3 * *x) as u64;
            }
        }
        assert!(smile.admits_butterfly(365 * DAY, &[]).unwrap());
    }

    #[test]
    fn butterfly_is_found_at_listed_strikes_that_the_grid_does_not_have() {
        // A tent between x = 0.95 and 1.8: its top is too blunt for the grid's wide butterfly there, and sharp at close strikes.
        let mut smile = flat(80);
        let time = 30 * DAY;
        let step = (1..200)
            .map(|percent| with(smile, 17, 100 + percent))
            .find(|s| s.admits_butterfly(time, &[]).unwrap())
            .map(|s| s.0[17])
            .unwrap();
        smile.0[17] = step - UNIT / 200;
        assert!(!smile.admits_butterfly(time, &[]).unwrap());
        let top = places(time).unwrap()[17];
        let near = |ppm: i128| FixedI128::from_inner(top.into_inner() + ppm * 1_000_000_000_000);
        let strikes = [near(-40_000), near(40_000)];
        assert!(smile.admits_butterfly(time, &strikes).unwrap());
        // Strikes beyond the grid's ends are priced at a flat volatility, which admits nothing.
        assert!(!smile.admits_butterfly(time, &[k(5_000_000)]).unwrap());
    }

    #[test]
    fn calendar_is_found_when_total_variance_falls_with_time() {
        // 7 days at 80 % have more variance than 8 days at 70 %, but less than 14 days at 60 %.
        assert!(admits_calendar(&flat(80), 7 * DAY, &flat(70), 8 * DAY).unwrap());
        assert!(!admits_calendar(&flat(80), 7 * DAY, &flat(60), 14 * DAY).unwrap());
        assert!(!admits_calendar(&flat(80), 7 * DAY, &flat(80), 7 * DAY + 1).unwrap());
        // At one place only.
        let dent = with(flat(80), MONEY + 3, 70);
        assert!(admits_calendar(&flat(80), 7 * DAY, &dent, 8 * DAY).unwrap());
        let bump = with(flat(80), MONEY - 3, 130);
        assert!(admits_calendar(&bump, 7 * DAY, &flat(80), 8 * DAY).unwrap());
    }

    fn surface() -> Surface {
        let slice = |days, observed_at, smile| Slice {
            expiry: days * DAY,
            observed_at,
            smile,
        };
        Surface(BoundedVec::truncate_from(vec![
            slice(10, 5, flat(80)),
            slice(20, 9, flat(60)),
        ]))
    }

    #[test]
    fn surface_is_linear_in_total_variance_between_expiries() {
        let surface = surface();
        let w = |expiry, now| surface.total_variance(expiry, k(100_000), now).map(number);
        let year = 365.0;
        let near = 0.64 * 10.0 / year;
        let far = 0.36 * 20.0 / year;
        for (expiry, expected) in [
            (10 * DAY, near),
            (15 * DAY, (near + far) / 2.0),
            (18 * DAY, 0.2 * near + 0.8 * far),
            (20 * DAY, far),
        ] {
            let found = w(expiry, 0).unwrap();
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        // Time runs down at a constant volatility.
        assert!((w(10 * DAY, 5 * DAY).unwrap() - near / 2.0).abs() < 1e-12);
        assert_eq!(w(9 * DAY, 0), None);
        assert_eq!(w(21 * DAY, 0), None);
        assert_eq!(w(15 * DAY, 10 * DAY), None);
        assert_eq!(w(15 * DAY, 11 * DAY), None);
        assert_eq!(Surface::default().total_variance(DAY, k(0), 0), None);
        assert_eq!(surface.observed_at(15 * DAY), Some(5));
        assert_eq!(surface.observed_at(20 * DAY), Some(9));
        assert_eq!(surface.observed_at(20 * DAY + 1), None);
    }

    fn smiles() -> impl Strategy<Value = Smile> {
        // A level, a tilt and a curvature, with some noise.
        (
            1_000u64..30_000,
            -3_000i64..3_000,
            0u64..3_000,
            prop::array::uniform21(0u64..300),
        )
            .prop_map(|(level, tilt, curve, noise)| {
                Smile(core::array::from_fn(|at| {
                    let x = GRID[at] as f64 / 1e12;
                    let v = level as f64 + tilt as f64 * x + curve as f64 * x * x;
                    let v = v.max(500.0) as u64 + noise[at];
                    v * UNIT / 10_000
                }))
            })
    }

    proptest! {
        /// Against Black-76 in floating point: the smallest butterfly of neighbours, in units of the tolerance, is below or above minus one.
        #[test]
        fn butterfly_is_what_the_convexity_of_prices_says(smile in smiles(), days in 1u64..90) {
            let time = days * DAY;
            let found = smile.admits_butterfly(time, &[]).unwrap();
            let year = time as f64 / YEAR as f64;
            let points: Vec<(f64, f64)> = core::iter::once((0.0, 1.0))
                .chain(GRID.iter().zip(smile.0).map(|(x, v)| {
                    let k = *x as f64 / 1e12 * year.sqrt();
                    (k.exp(), black(k, v as f64 / 1e12 * year))
                }))
                .collect();
            let tolerance = (smile.at_the_money() as f64 / 1e12 * year).sqrt() / 1e4;
            let fly = |p: &[(f64, f64)]| {
                let (left, right) = (p[1].0 - p[0].0, p[2].0 - p[1].0);
                (p[0].1 * right + p[2].1 * left) / (left + right) - p[1].1
            };
            let worst = points.windows(3).map(fly).fold(f64::MAX, f64::min);
            let rise = points.windows(2).map(|p| p[0].1 - p[1].1).fold(f64::MAX, f64::min);
            // Where floating point decides within its own error, both answers are right.
            let margin = worst.min(rise) + tolerance;
            if margin.abs() > 5e-7 {
                prop_assert_eq!(found, margin < 0.0, "{} {}", worst, tolerance);
            }
        }

        #[test]
        fn interpolation_in_time_brings_no_calendar_arbitrage(
            near in smiles(), far in smiles(), days in 1u64..30, more in 1u64..60, part in 1u64..100, at in -400i128..400,
        ) {
            let (near_time, far_time) = (days * DAY, (days + more) * DAY);
            prop_assume!(!admits_calendar(&near, near_time, &far, far_time).unwrap());
            let slice = |expiry, smile| Slice { expiry, observed_at: 0, smile };
            let surface = Surface(BoundedVec::truncate_from(vec![slice(near_time, near), slice(far_time, far)]));
            let between = near_time + more * DAY * part / 101;
            let later = near_time + more * DAY * (part + 1) / 101;
            let place = k(at * 2_000);
            let w = |expiry| surface.total_variance(expiry, place, 0).unwrap();
            let (low, high) = (w(near_time), w(far_time));
            if low <= high {
                prop_assert!(low <= w(between) && w(between) <= w(later) && w(later) <= high);
            }
        }

        #[test]
        fn nothing_panics(
            variances in prop::array::uniform21(any::<u64>()), k: i128, time: u64, expiry: u64, now: u64,
            strikes in prop::collection::vec(any::<i128>(), 0..5),
        ) {
            let smile = Smile(variances);
            let _ = smile.total_variance(FixedI128::from_inner(k), time);
            let strikes: Vec<_> = strikes.into_iter().map(FixedI128::from_inner).collect();
            let _ = smile.admits_butterfly(time, &strikes);
            let _ = admits_calendar(&smile, time, &smile, now);
            let slice = Slice { expiry, observed_at: now, smile };
            let surface = Surface(BoundedVec::truncate_from(vec![slice]));
            let _ = surface.total_variance(expiry, FixedI128::from_inner(k), now);
        }
    }
}
