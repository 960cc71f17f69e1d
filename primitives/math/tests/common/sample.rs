//! Pseudo-random inputs, and every word the crate makes of them. Compiled natively and, by `tests/guest`, into WebAssembly.

use novate_math::{
    black76::{self, Deviation, Expiry, Kind, Level},
    exp, exp_m1, ln, ln_1p, normal_cdf, normal_inverse, normal_pdf, pow, sqrt, Error, Result,
    Scaled, Q96,
};

/// Results of a sample.
pub const RESULTS: usize = 47;
/// Words of a result.
pub const WORDS: usize = 3;

/// A stream of pseudo-random numbers: SplitMix64 (Steele, Lea, Flood 2014).
struct Stream(u64);

impl Stream {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn wide(&mut self) -> u128 {
        (u128::from(self.word()) << 64) | u128::from(self.word())
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.word() % bound
    }

    /// Above zero, from 2^low up to below 2^high; one in eight is a power of two.
    fn positive(&mut self, low: i32, high: i32) -> Scaled {
        let power = low + self.below((high - low) as u64) as i32;
        let mantissa = self.wide() | 1 << 127;
        let mantissa = if self.below(8) == 0 {
            1 << 127
        } else {
            mantissa
        };
        Scaled::new(false, mantissa, power - 127).unwrap_or(Scaled::ONE)
    }

    /// The same with either sign, and zero once in sixteen times.
    fn any(&mut self, low: i32, high: i32) -> Scaled {
        let x = self.positive(low, high);
        match self.below(16) {
            0 => Scaled::ZERO,
            n if n % 2 == 0 => x.negated(),
            _ => x,
        }
    }

    fn fixed(&mut self) -> Q96 {
        Q96::from_bits(self.wide() as i128 >> self.below(128))
    }
}

/// Everything, for one seed.
pub fn sample(seed: u64, put: impl FnMut([u64; WORDS])) {
    let mut out = Out(put);
    let mut stream = Stream(seed);
    let (x, y) = (stream.any(-140, 140), stream.any(-140, 140));
    out.scaled(x.plus(y));
    out.scaled(x.minus(y));
    out.scaled(x.times(y));
    out.scaled(x.over(y));
    out.scaled(sqrt(x));
    out.whole(x.floor());
    out.whole(x.nearest());
    out.whole(x.to_18_decimals_floor().map(|x| x as i128));
    out.fixed(x.to_q96());
    let (p, q) = (stream.fixed(), stream.fixed());
    out.fixed(p.plus(q));
    out.fixed(p.mul_floor(q));
    out.fixed(p.mul_ceil(q));
    out.fixed(p.div_floor(q));
    out.fixed(p.sqrt_floor());
    out.fixed(Q96::from_18_decimals_floor(
        stream.wide() >> stream.below(128),
    ));

    let exponent = stream.any(-100, 12);
    out.scaled(exp(exponent));
    out.scaled(exp_m1(exponent));
    out.scaled(ln(x));
    let near_zero = stream.any(-90, 1);
    out.scaled(ln_1p(near_zero));
    out.scaled(Scaled::ONE.plus(near_zero).and_then(ln));
    out.scaled(pow(x, stream.any(-20, 3)));
    let deviations = stream.any(-60, 6);
    out.scaled(normal_cdf(deviations));
    out.scaled(normal_pdf(deviations));
    // Its steps cost as much as all the rest.
    out.scaled(if seed & 7 == 0 {
        normal_inverse(stream.positive(-200, 0))
    } else {
        Err(Error::NotAProbability)
    });
    options(&mut stream, &mut out);
}

type Parts = (Level, Level, Deviation, Expiry);

/// Prices and Greeks, from next to expiry to decades, at the money and far from it.
fn options(stream: &mut Stream, out: &mut Out<impl FnMut([u64; WORDS])>) {
    let forward = stream.positive(-40, 60);
    let volatility = stream.any(-8, 3).abs();
    let years = stream.any(-40, 5).abs();
    let rate = stream.any(-10, -2);
    let deviation = volatility.times(sqrt(years).unwrap_or(Scaled::ONE));
    // Mostly within some deviations of the forward.
    let strike = deviation
        .and_then(|s| s.times(stream.any(-5, 6)))
        .and_then(exp)
        .and_then(|ratio| ratio.times(forward))
        .unwrap_or(forward);
    let parts: Result<Parts> = (|| {
        let expiry = Expiry::new(years, rate)?;
        Ok((
            Level::new(forward)?,
            Level::new(strike)?,
            expiry.deviation(volatility)?,
            expiry,
        ))
    })();
    let of = |f: &dyn Fn(&Parts) -> Result<Scaled>| parts.as_ref().map_err(|e| *e).and_then(f);
    out.scaled(of(&|(_, _, s, _)| Ok(s.value())));
    out.scaled(of(&|(_, _, _, e)| Ok(e.discount())));
    for kind in [Kind::Call, Kind::Put] {
        out.scaled(of(&|(f, k, s, e)| {
            black76::price(kind, f, k, s, e.discount())
        }));
        let greeks = parts
            .as_ref()
            .map_err(|e| *e)
            .and_then(|(f, k, _, e)| black76::greeks(kind, f, k, volatility, e));
        out.scaled(greeks.map(|g| g.price));
        out.scaled(greeks.map(|g| g.delta));
        out.scaled(greeks.map(|g| g.gamma));
        out.scaled(greeks.map(|g| g.vega));
        out.scaled(greeks.map(|g| g.theta));
        out.scaled(greeks.map(|g| g.rho));
        out.scaled(of(&|(_, _, _, e)| greeks?.theta_per_day(e)));
        out.scaled(greeks.and_then(|g| g.vega_per_point()));
    }
    let prices = |pick: fn(black76::Prices) -> Scaled| {
        of(&|(f, k, s, e)| black76::prices(f, k, s, e.discount()).map(pick))
    };
    out.scaled(prices(|p| p.call));
    out.scaled(prices(|p| p.put));
    out.whole(prices(|p| p.call).and_then(|p| p.to_18_decimals_nearest().map(|x| x as i128)));
}

/// Results as words.
struct Out<F>(F);

impl<F: FnMut([u64; WORDS])> Out<F> {
    fn scaled(&mut self, x: Result<Scaled>) {
        self.0(match x {
            Ok(x) => [
                (x.mantissa() >> 64) as u64,
                x.mantissa() as u64,
                (x.exponent() as u32 as u64) << 1 | u64::from(x.is_negative()),
            ],
            Err(e) => [u64::MAX, u64::MAX, e as u64],
        });
    }

    fn whole(&mut self, x: Result<i128>) {
        self.0(match x {
            Ok(x) => [(x >> 64) as u64, x as u64, 0],
            Err(e) => [u64::MAX, u64::MAX, 1 + e as u64],
        });
    }

    fn fixed(&mut self, x: Result<Q96>) {
        self.whole(x.map(Q96::to_bits));
    }
}
