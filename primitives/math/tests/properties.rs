//! What must hold for every input, by row of section 9's table.
//!
//! Numbers are drawn as the chain has them: prices and volatilities with 18 decimals, times in seconds. A step is often a single
//! unit of the last decimal, where an approximation that is only close would go the wrong way.

mod common;

use common::{absolute, float, relative, runs};
use novate_math::{
    black76::{self, Deviation, Expiry, Greeks, Kind, Level},
    *,
};
use proptest::prelude::*;

fn n(x: f64) -> Scaled {
    format!("{x:e}").parse().unwrap()
}

/// From 10^low to 10^high, evenly in the logarithm, and cut to 18 decimals.
fn decimals(low: f64, high: f64) -> impl Strategy<Value = u128> {
    (low..high, any::<u64>()).prop_map(|(power, digits)| {
        let inner = n(10f64.powf(power)).to_18_decimals_nearest().unwrap();
        // A float has 53 bits; more digits behind them.
        inner + u128::from(digits) % (1 + (inner >> 50))
    })
}

fn of(inner: u128) -> Scaled {
    Scaled::from_18_decimals(inner).unwrap()
}

/// With all 128 bits, evenly between `low` and `high`.
fn number(low: f64, high: f64) -> impl Strategy<Value = Scaled> {
    (0.0..1.0f64, any::<u64>()).prop_map(move |(part, digits)| {
        let x = n(low + (high - low) * part);
        let fine = Scaled::new(false, digits.into(), -110).unwrap();
        x.times(Scaled::ONE.plus(fine).unwrap()).unwrap()
    })
}

/// A unit of the last decimal, or up to a tenth of the number.
fn step(of: u128) -> impl Strategy<Value = u128> {
    prop_oneof![Just(1), 1..1_000u128, 1..=of / 10 + 1]
}

mod exponential {
    use super::*;

    proptest! {
        #![proptest_config(runs(10_000))]

        #[test]
        fn exp_of_a_sum_is_the_product(x in number(-300.0, 300.0), y in number(-300.0, 300.0)) {
            let product = exp(x).unwrap().times(exp(y).unwrap()).unwrap();
            prop_assert!(relative(exp(x.plus(y).unwrap()).unwrap(), product) < 1e-34 + 600.0 * 2f64.powi(-126));
        }

        #[test]
        fn exp_undoes_ln(x in decimals(-15.0, 15.0)) {
            let x = of(x);
            prop_assert!(relative(exp(ln(x).unwrap()).unwrap(), x) < 1e-33);
        }

        #[test]
        fn exp_rises_with_its_argument(x in decimals(-15.0, 2.5), below in any::<bool>(), up in 1..1_000u128) {
            let (low, high) = (of(x), of(x + up));
            let (low, high) = if below { (high.negated(), low.negated()) } else { (low, high) };
            prop_assert!(exp(low).unwrap() < exp(high).unwrap());
        }

        #[test]
        fn exp_m1_is_exp_less_one(x in number(-40.0, 40.0)) {
            let direct = exp(x).unwrap().minus(Scaled::ONE).unwrap();
            prop_assert!(absolute(exp_m1(x).unwrap(), direct) <= 1e-34 * (1.0 + float(exp(x).unwrap())));
        }
    }

    #[test]
    fn exp_is_one_at_zero_and_an_error_or_zero_beyond_its_range() {
        let far = Scaled::from(1u64 << 29);
        assert_eq!(exp(Scaled::ZERO), Ok(Scaled::ONE));
        assert_eq!(exp(far), Err(Error::Overflow));
        assert_eq!(exp(far.negated()), Ok(Scaled::ZERO));
        let near = far.minus(Scaled::ONE).unwrap();
        assert!(exp(near).unwrap() > Scaled::ONE);
        assert!(exp(near.negated()).unwrap().is_positive());
    }
}

mod logarithm {
    use super::*;

    proptest! {
        #![proptest_config(runs(10_000))]

        #[test]
        fn ln_undoes_exp(x in number(-80.0, 80.0)) {
            prop_assert!(absolute(ln(exp(x).unwrap()).unwrap(), x) < 1e-34);
        }

        #[test]
        fn ln_of_a_product_is_the_sum(x in decimals(-15.0, 15.0), y in decimals(-15.0, 15.0)) {
            let (x, y) = (of(x), of(y));
            let sum = ln(x).unwrap().plus(ln(y).unwrap()).unwrap();
            prop_assert!(absolute(ln(x.times(y).unwrap()).unwrap(), sum) < 1e-35);
        }

        #[test]
        fn ln_rises_with_its_argument((x, up) in decimals(-15.0, 9.0).prop_flat_map(|x| (Just(x), step(x)))) {
            prop_assert!(ln(of(x)).unwrap() < ln(of(x + up)).unwrap());
        }

        #[test]
        fn ln_1p_undoes_exp_m1(x in number(-0.9, 3.0), tiny in 0u32..80) {
            let x = x.shift(-(tiny as i32)).unwrap();
            prop_assert!(relative(ln_1p(exp_m1(x).unwrap()).unwrap(), x) < 1e-32);
        }

        #[test]
        fn pow_of_a_whole_number_is_a_product(x in decimals(-3.0, 3.0), power in 1u32..8) {
            let x = of(x);
            let product = (1..power).fold(x, |y, _| y.times(x).unwrap());
            prop_assert!(relative(pow(x, Scaled::from(u64::from(power))).unwrap(), product) < 1e-33);
        }
    }

    #[test]
    fn ln_is_zero_at_one_and_an_error_at_zero_and_below() {
        assert_eq!(ln(Scaled::ONE), Ok(Scaled::ZERO));
        assert_eq!(ln(Scaled::ZERO), Err(Error::NotPositive));
        assert_eq!(ln(Scaled::ONE.negated()), Err(Error::NotPositive));
        assert_eq!(ln_1p(Scaled::ONE.negated()), Err(Error::NotPositive));
    }
}

// `sqrt`, the exact floor: `arithmetic.rs`.

mod normal {
    use super::*;

    proptest! {
        #![proptest_config(runs(10_000))]

        #[test]
        fn cdf_of_both_signs_sums_to_one(x in number(-40.0, 40.0)) {
            let sum = normal_cdf(x).unwrap().plus(normal_cdf(x.negated()).unwrap()).unwrap();
            // The greater is rounded to 128 bits, the lesser has all of its own.
            prop_assert!(absolute(sum, Scaled::ONE) <= 2f64.powi(-128));
        }

        #[test]
        fn cdf_rises_with_its_argument(x in decimals(-15.0, 1.66), below in any::<bool>(), up in 1..1_000u128) {
            let (low, high) = (of(x), of(x + up));
            if below {
                prop_assert!(normal_cdf(high.negated()).unwrap() < normal_cdf(low.negated()).unwrap());
            } else {
                prop_assert!(normal_cdf(low).unwrap() <= normal_cdf(high).unwrap());
            }
        }

        #[test]
        fn tail_lies_between_its_bounds(x in number(0.01, 47.0)) {
            // φ·x/(1 + x²) < N(−x) < φ/x (Gordon 1941).
            let (tail, pdf) = (normal_cdf(x.negated()).unwrap(), normal_pdf(x).unwrap());
            let square = x.times(x).unwrap().plus(Scaled::ONE).unwrap();
            prop_assert!(tail > pdf.times(x).unwrap().over(square).unwrap());
            prop_assert!(tail < pdf.over(x).unwrap());
        }

        #[test]
        fn cdf_has_the_density_as_its_slope(x in number(-30.0, 30.0)) {
            let h = n(1e-7);
            let rise = normal_cdf(x.plus(h).unwrap()).unwrap().minus(normal_cdf(x.minus(h).unwrap()).unwrap());
            let slope = rise.unwrap().over(h.shift(1).unwrap()).unwrap();
            let bound = 1e-14 * (2.0 + float(x).powi(2));
            let error = absolute(slope, normal_pdf(x).unwrap());
            prop_assert!(error <= bound * float(normal_pdf(x).unwrap()) + 1e-20);
        }

        #[test]
        fn quantile_undoes_cdf(x in number(-40.0, 10.0)) {
            let p = normal_cdf(x).unwrap();
            // Above the middle, p is known to 2⁻¹²⁸ only.
            let bound = 1e-28 + 2f64.powi(-127) / float(normal_pdf(x).unwrap()).max(1e-300) * f64::from(u8::from(x.is_positive()));
            prop_assert!(absolute(normal_inverse(p).unwrap(), x) <= bound);
        }
    }

    #[test]
    fn cdf_is_half_at_zero_and_ends_at_zero_and_one() {
        assert_eq!(normal_cdf(Scaled::ZERO), Ok(n(0.5)));
        for far in [n(48.0), n(1e9), n(1e300)] {
            assert_eq!(normal_cdf(far), Ok(Scaled::ONE));
            assert_eq!(normal_cdf(far.negated()), Ok(Scaled::ZERO));
        }
        assert!(normal_cdf(n(-47.99)).unwrap().is_positive());
    }

    #[test]
    fn quantile_is_refused_outside_zero_and_one() {
        for p in [
            n(0.0),
            n(-0.5),
            n(1.0),
            n(2.0),
            Scaled::ONE.shift(-1501).unwrap(),
        ] {
            assert_eq!(normal_inverse(p), Err(Error::NotAProbability));
        }
        assert!(normal_inverse(Scaled::ONE.shift(-1500).unwrap()).is_ok());
    }
}

mod options {
    use super::*;

    /// An option's terms: prices and volatility with 18 decimals, the time in seconds.
    #[derive(Clone, Debug)]
    struct Terms {
        forward: u128,
        strike: u128,
        volatility: u128,
        seconds: u64,
        /// In millionths a year.
        rate: i32,
    }

    /// Strikes so many deviations from the forward.
    fn terms(widest: f64) -> impl Strategy<Value = Terms> {
        (
            decimals(-3.0, 9.0),
            -widest..widest,
            decimals(-2.0, 0.5),
            prop_oneof![1..3_600u64, 1..8_000_000u64, 1..130_000_000u64],
            -20_000..150_000i32,
        )
            .prop_map(|(forward, distance, volatility, seconds, rate)| {
                let s = float(of(volatility)) * (seconds as f64 / 31_536_000.0).sqrt();
                let ratio = exp(n(distance * s)).unwrap();
                let strike = of(forward).times(ratio).unwrap();
                Terms {
                    forward,
                    strike: strike
                        .to_18_decimals_nearest()
                        .unwrap_or(1 << 100)
                        .clamp(1, 1 << 120),
                    volatility,
                    seconds,
                    rate,
                }
            })
    }

    fn level(price: u128) -> Level {
        Level::new(of(price)).unwrap()
    }

    impl Terms {
        fn expiry(&self) -> Expiry {
            let rate = Scaled::from(i128::from(self.rate)).over(n(1e6)).unwrap();
            Expiry::new(black76::years(self.seconds).unwrap(), rate).unwrap()
        }

        fn deviation(&self) -> Deviation {
            self.expiry().deviation(of(self.volatility)).unwrap()
        }

        fn price(&self, kind: Kind) -> Scaled {
            let (f, k) = (level(self.forward), level(self.strike));
            black76::price(kind, &f, &k, &self.deviation(), self.expiry().discount()).unwrap()
        }

        fn greeks(&self, kind: Kind) -> Greeks {
            let (f, k) = (level(self.forward), level(self.strike));
            black76::greeks(kind, &f, &k, of(self.volatility), &self.expiry()).unwrap()
        }
    }

    /// The price where the inputs are any numbers.
    fn value(kind: Kind, f: Scaled, k: Scaled, v: Scaled, t: Scaled, r: Scaled) -> Scaled {
        let expiry = Expiry::new(t, r).unwrap();
        let (f, k) = (Level::new(f).unwrap(), Level::new(k).unwrap());
        black76::price(
            kind,
            &f,
            &k,
            &expiry.deviation(v).unwrap(),
            expiry.discount(),
        )
        .unwrap()
    }

    const KINDS: [Kind; 2] = [Kind::Call, Kind::Put];

    proptest! {
        #![proptest_config(runs(10_000))]

        #[test]
        fn price_rises_with_volatility((t, up) in terms(8.0).prop_flat_map(|t| (Just(t.clone()), step(t.volatility)))) {
            let more = Terms { volatility: t.volatility + up, ..t.clone() };
            for kind in KINDS {
                prop_assert!(t.price(kind) <= more.price(kind), "{:?}", kind);
            }
        }

        #[test]
        fn price_falls_with_the_strike_of_a_call_and_rises_with_that_of_a_put(
            (t, up) in terms(8.0).prop_flat_map(|t| (Just(t.clone()), step(t.strike)))
        ) {
            let more = Terms { strike: t.strike + up, ..t.clone() };
            prop_assert!(t.price(Kind::Call) >= more.price(Kind::Call));
            prop_assert!(t.price(Kind::Put) <= more.price(Kind::Put));
        }

        #[test]
        fn price_rises_with_the_forward_of_a_call_and_falls_with_that_of_a_put(
            (t, up) in terms(8.0).prop_flat_map(|t| (Just(t.clone()), step(t.forward)))
        ) {
            let more = Terms { forward: t.forward + up, ..t.clone() };
            prop_assert!(t.price(Kind::Call) <= more.price(Kind::Call));
            prop_assert!(t.price(Kind::Put) >= more.price(Kind::Put));
        }

        #[test]
        fn call_less_put_is_the_discounted_difference(t in terms(30.0)) {
            let (f, k, expiry) = (level(t.forward), level(t.strike), t.expiry());
            let both = black76::prices(&f, &k, &t.deviation(), expiry.discount()).unwrap();
            prop_assert_eq!((both.call, both.put), (t.price(Kind::Call), t.price(Kind::Put)));
            let forward = of(t.forward).minus(of(t.strike)).unwrap().times(expiry.discount()).unwrap();
            let difference = both.call.minus(both.put).unwrap();
            let unit = float(both.call.max(both.put)) * 2f64.powi(-127);
            prop_assert!(absolute(difference, forward) <= unit);
            // And in fixed point, where all three are rounded once more.
            if let (Ok(call), Ok(put), Ok(forward)) = (both.call.to_q96(), both.put.to_q96(), forward.to_q96()) {
                prop_assert!((call.to_bits() - put.to_bits()).abs_diff(forward.to_bits()) <= 1);
            }
        }

        #[test]
        fn price_is_what_the_formula_says(t in terms(6.0)) {
            let (f, k) = (of(t.forward), of(t.strike));
            let (s, discount) = (t.deviation().value(), t.expiry().discount());
            let d1 = ln(f.over(k).unwrap()).unwrap().over(s).unwrap().plus(s.shift(-1).unwrap()).unwrap();
            let d2 = d1.minus(s).unwrap();
            let first = f.times(normal_cdf(d1).unwrap()).unwrap();
            let second = k.times(normal_cdf(d2).unwrap()).unwrap();
            let call = first.minus(second).unwrap().times(discount).unwrap();
            prop_assert!(absolute(t.price(Kind::Call), call) <= 1e-29 * float(f.max(k)));
        }

        #[test]
        fn price_lies_between_intrinsic_value_and_forward_or_strike(t in terms(30.0)) {
            let discount = t.expiry().discount();
            let worth = |x: Scaled| x.times(discount).unwrap();
            let (f, k) = (of(t.forward), of(t.strike));
            for (kind, most, intrinsic) in [(Kind::Call, f, f.minus(k)), (Kind::Put, k, k.minus(f))] {
                let price = t.price(kind);
                prop_assert!(price <= worth(most));
                prop_assert!(price.is_positive());
                prop_assert!(price >= worth(intrinsic.unwrap().max(Scaled::ZERO)));
            }
        }

        #[test]
        fn price_is_convex_in_the_strike(t in terms(6.0), part in 1..100u128) {
            let wing = (of(t.strike).times(t.deviation().value()).unwrap().to_18_decimals_floor().unwrap() / 100 * part)
                .clamp(1, t.strike - 1);
            prop_assume!(wing > 1_000);
            let at = |strike| Terms { strike, ..t.clone() };
            for kind in KINDS {
                let wings = at(t.strike - wing).price(kind).plus(at(t.strike + wing).price(kind)).unwrap();
                prop_assert!(wings >= t.price(kind).shift(1).unwrap());
            }
        }

        #[test]
        fn price_scales_with_forward_and_strike(t in terms(8.0), factor in decimals(-4.0, 4.0)) {
            let (r, f, k) = (of(factor), of(t.forward), of(t.strike));
            let (f, k) = (f.times(r).unwrap(), k.times(r).unwrap());
            let (f, k) = (Level::new(f).unwrap(), Level::new(k).unwrap());
            for kind in KINDS {
                let scaled = black76::price(kind, &f, &k, &t.deviation(), t.expiry().discount()).unwrap();
                let want = t.price(kind).times(r).unwrap();
                // Rounding forward and strike moves their ratio by 2⁻¹²⁷, and the logarithm by as much: 9/s times that.
                let bound = 1e-29 + 1e-34 / float(t.deviation().value());
                prop_assert!(relative(scaled, want) <= bound);
            }
        }

        #[test]
        fn put_is_the_call_with_forward_and_strike_exchanged(t in terms(30.0)) {
            let swapped = Terms { forward: t.strike, strike: t.forward, ..t.clone() };
            prop_assert_eq!(t.price(Kind::Put), swapped.price(Kind::Call));
        }

        #[test]
        fn greeks_are_the_slopes_of_the_price(t in terms(4.0)) {
            let (f, k, v, years) = (of(t.forward), of(t.strike), of(t.volatility), black76::years(t.seconds).unwrap());
            let rate = Scaled::from(i128::from(t.rate)).over(n(1e6)).unwrap();
            let s = float(t.deviation().value());
            let up = |x: Scaled, part: f64| x.plus(x.times(n(part)).unwrap()).unwrap();
            let slope = |high: Scaled, low: Scaled, over: f64| float(high.minus(low).unwrap()) / over;
            for kind in KINDS {
                let g = t.greeks(kind);
                prop_assert_eq!(g.price, t.price(kind));
                let scale = float(f.max(k));
                // A millionth of a deviation on either side: the cubic term is 10⁻¹² of the slope.
                let h = 1e-6 * s;
                let at = |part| value(kind, up(f, part), k, v, years, rate);
                let delta = slope(at(h), at(-h), 2.0 * h * float(f));
                prop_assert!((delta - float(g.delta)).abs() < 1e-9, "delta {} {}", delta, float(g.delta));
                let bend = float(at(h).plus(at(-h)).unwrap().minus(g.price.shift(1).unwrap()).unwrap());
                let gamma = bend / (h * float(f)).powi(2);
                prop_assert!((gamma - float(g.gamma)).abs() * s * float(f) < 1e-8, "gamma {} {}", gamma, float(g.gamma));
                let at = |part| value(kind, f, k, up(v, part), years, rate);
                let vega = slope(at(1e-6), at(-1e-6), 2e-6 * float(v));
                prop_assert!((vega - float(g.vega)).abs() < 1e-8 * scale, "vega {} {}", vega, float(g.vega));
                let at = |part| value(kind, f, k, v, up(years, part), rate);
                let theta = -slope(at(1e-6), at(-1e-6), 2e-6 * float(years));
                prop_assert!((theta - float(g.theta)).abs() * float(years) < 1e-8 * scale, "theta {} {}", theta, float(g.theta));
                let at = |step: f64| value(kind, f, k, v, years, rate.plus(n(step)).unwrap());
                let rho = slope(at(1e-6), at(-1e-6), 2e-6);
                prop_assert!((rho - float(g.rho)).abs() < 1e-8 * scale, "rho {} {}", rho, float(g.rho));
            }
        }

        #[test]
        fn deltas_differ_by_the_discount(t in terms(30.0)) {
            let discount = t.expiry().discount();
            let (call, put) = (t.greeks(Kind::Call).delta, t.greeks(Kind::Put).delta);
            prop_assert!(call >= Scaled::ZERO && put <= Scaled::ZERO);
            prop_assert!(absolute(call.minus(put).unwrap(), discount) <= float(discount) * 2f64.powi(-126));
        }

        #[test]
        fn variance_and_volatility_lead_to_the_same_price(t in terms(8.0)) {
            let s = t.deviation().value();
            let from_variance = Deviation::from_variance(s.times(s).unwrap()).unwrap();
            let (f, k) = (level(t.forward), level(t.strike));
            let price = black76::price(Kind::Call, &f, &k, &from_variance, t.expiry().discount()).unwrap();
            prop_assert!(relative(price, t.price(Kind::Call)) <= 1e-27);
        }
    }

    #[test]
    fn price_is_the_discounted_intrinsic_value_when_nothing_can_move() {
        for (years, volatility) in [(0.0, 0.5), (1.0, 0.0), (0.0, 0.0)] {
            let expiry = Expiry::new(n(years), n(0.05)).unwrap();
            for (f, k) in [(100.0, 90.0), (90.0, 100.0), (100.0, 100.0)] {
                let (forward, strike) = (Level::new(n(f)).unwrap(), Level::new(n(k)).unwrap());
                for (kind, pays) in [(Kind::Call, f - k), (Kind::Put, k - f)] {
                    let g =
                        black76::greeks(kind, &forward, &strike, n(volatility), &expiry).unwrap();
                    let worth = |x: f64| n(x).times(expiry.discount()).unwrap();
                    assert_eq!(g.price, worth(pays.max(0.0)));
                    let sign = if kind == Kind::Call { 1.0 } else { -1.0 };
                    let slope = if pays > 0.0 {
                        sign
                    } else if pays == 0.0 {
                        sign / 2.0
                    } else {
                        0.0
                    };
                    assert_eq!(g.delta, worth(slope));
                    assert_eq!((g.gamma, g.vega), (Scaled::ZERO, Scaled::ZERO));
                    assert_eq!(g.theta, n(0.05).times(g.price).unwrap());
                }
            }
        }
    }

    #[test]
    fn price_is_zero_or_the_whole_forward_beyond_the_clamp() {
        let (low, high) = (Level::new(n(1.0)).unwrap(), Level::new(n(1e9)).unwrap());
        let narrow = Deviation::new(n(0.01)).unwrap();
        let price = |kind, f, k, s| black76::price(kind, f, k, s, Scaled::ONE).unwrap();
        assert_eq!(price(Kind::Call, &low, &high, &narrow), Scaled::ZERO);
        assert_eq!(price(Kind::Put, &high, &low, &narrow), Scaled::ZERO);
        assert_eq!(price(Kind::Put, &low, &high, &narrow), n(999_999_999.0));
        let wide = Deviation::new(n(100.0)).unwrap();
        assert_eq!(price(Kind::Call, &low, &high, &wide), n(1.0));
        assert_eq!(price(Kind::Put, &low, &high, &wide), n(1e9));
    }

    #[test]
    fn terms_are_refused_when_they_have_no_price() {
        assert_eq!(Level::new(Scaled::ZERO), Err(Error::NotPositive));
        assert_eq!(Level::new(n(-1.0)), Err(Error::NotPositive));
        assert_eq!(
            Level::new(Scaled::ONE.shift(128).unwrap()),
            Err(Error::PriceOutOfRange)
        );
        assert_eq!(
            Level::new(Scaled::ONE.shift(-129).unwrap()),
            Err(Error::PriceOutOfRange)
        );
        assert!(Level::new(Scaled::ONE.shift(-128).unwrap()).is_ok());
        assert_eq!(Deviation::new(n(-0.1)), Err(Error::Negative));
        assert_eq!(Deviation::from_variance(n(-0.1)), Err(Error::Negative));
        assert_eq!(Expiry::new(n(-1.0), n(0.0)), Err(Error::Negative));
        let expiry = Expiry::new(n(1.0), n(0.0)).unwrap();
        assert_eq!(expiry.deviation(n(-0.1)), Err(Error::Negative));
    }

    #[test]
    fn theta_of_a_day_is_of_what_is_left_and_at_most_the_price() {
        let forward = Level::new(n(100.0)).unwrap();
        let greeks = |strike, rate, seconds| {
            let strike = Level::new(n(strike)).unwrap();
            let expiry = Expiry::new(black76::years(seconds).unwrap(), n(rate)).unwrap();
            (
                black76::greeks(Kind::Call, &forward, &strike, n(0.6), &expiry).unwrap(),
                expiry,
            )
        };
        let (long, expiry) = greeks(100.0, 0.0, 86_400);
        assert_eq!(long.theta_per_day(&expiry), long.theta.over(n(365.0)));
        let (short, expiry) = greeks(100.0, 0.0, 86_399);
        let decay = short
            .theta
            .abs()
            .times(black76::years(86_399).unwrap())
            .unwrap();
        assert!(decay < short.price);
        assert_eq!(short.theta_per_day(&expiry).unwrap(), decay.negated());
        // Out of the money a day's decay would be more than all there is, before the last day too.
        for seconds in [30_000, 100_000] {
            let (far, expiry) = greeks(115.0, 0.0, seconds);
            assert!(far.price.is_positive());
            assert_eq!(far.theta_per_day(&expiry).unwrap(), far.price.negated());
        }
        // Deep in the money only interest is left, and it is earned.
        for seconds in [30_000, 86_400] {
            let (deep, expiry) = greeks(20.0, 0.1, seconds);
            let day = black76::years(seconds).unwrap();
            let gain = n(0.1).times(deep.price).unwrap().times(day).unwrap();
            let error = deep.theta_per_day(&expiry).unwrap().minus(gain).unwrap();
            assert!(error.abs() < n(1e-20));
        }
        assert_eq!(long.vega_per_point(), long.vega.over(n(100.0)));
    }
}

/// Numbers of any size at all.
fn anything() -> impl Strategy<Value = Scaled> {
    (
        any::<bool>(),
        prop_oneof![Just(0), Just(1), Just(u128::MAX), any::<u128>()],
        prop_oneof![-300..300i32, -2_000..2_000i32, -(1 << 30)..=(1 << 30)],
    )
        .prop_map(|(negative, mantissa, exponent)| {
            Scaled::new(negative, mantissa, exponent).unwrap_or(Scaled::ONE)
        })
}

proptest! {
    #![proptest_config(runs(20_000))]

    /// With overflow checks on, as every test here is compiled: a result or an error, never a panic.
    #[test]
    fn every_function_answers_whatever_it_is_asked(
        x in anything(), y in anything(), v in anything(), t in anything(), r in anything(), bits in any::<i128>(), power in any::<i32>()
    ) {
        for f in [exp, exp_m1, ln, ln_1p, sqrt, normal_cdf, normal_pdf, normal_inverse] {
            let _ = f(x);
        }
        for f in [Scaled::plus, Scaled::minus, Scaled::times, Scaled::over, pow] {
            let _ = f(x, y);
        }
        let _ = (x.floor(), x.ceil(), x.nearest(), x.to_q96(), x.shift(power), Scaled::new(true, 1, power));
        let _ = (x.to_18_decimals_floor(), x.to_18_decimals_ceil(), x.to_18_decimals_nearest(), x.cmp(&y));
        let (p, q) = (Q96::from_bits(bits), Q96::from_bits(bits.rotate_left(64)));
        for f in [Q96::plus, Q96::minus, Q96::mul_floor, Q96::mul_ceil, Q96::div_floor, Q96::div_ceil] {
            let _ = f(p, q);
        }
        let _ = (p.negated(), p.sqrt_floor(), p.to_18_decimals_nearest());
        if let (Ok(f), Ok(k), Ok(expiry)) = (Level::new(x.abs()), Level::new(y.abs()), Expiry::new(t.abs(), r)) {
            for kind in [Kind::Call, Kind::Put] {
                if let Ok(g) = black76::greeks(kind, &f, &k, v.abs(), &expiry) {
                    let _ = (g.theta_per_day(&expiry), g.vega_per_point());
                }
            }
            if let Ok(s) = Deviation::new(v.abs()) {
                let _ = black76::prices(&f, &k, &s, r);
            }
        }
    }
}
