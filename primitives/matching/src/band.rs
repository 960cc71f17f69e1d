//! Prices at which a market's orders may execute.

use crate::Rules;
use novate_types::{math, MathError, Side, Ticks};

/// `mark · (1 ± band)` in ticks, rounded inwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Band {
    lower: Ticks,
    mark: Ticks,
    upper: Ticks,
}

impl Band {
    /// An error if no tick of at least one lies within the band.
    pub fn new(rules: &Rules) -> Result<Self, MathError> {
        let shift = i64::from(rules.band);
        let down = shift.checked_neg().ok_or(MathError::Overflow)?;
        let lower = math::ticks_ceil(math::shift_ceil(rules.mark, down)?, rules.tick_size)?.max(1);
        let upper = math::ticks_floor(math::shift_floor(rules.mark, shift)?, rules.tick_size)?;
        // If any tick lies in the band, the one nearest to the mark does, one tick being the least.
        let mark = math::ticks_nearest(rules.mark, rules.tick_size)?.max(1);
        if lower <= mark && mark <= upper {
            Ok(Self { lower, mark, upper })
        } else {
            Err(MathError::Overflow)
        }
    }

    /// What lies within both; the mark is this one's, or the edge nearest to it. An error if nothing does.
    pub fn within(&self, other: &Self) -> Result<Self, MathError> {
        let (lower, upper) = (self.lower.max(other.lower), self.upper.min(other.upper));
        if lower > upper {
            return Err(MathError::Overflow);
        }
        Ok(Self {
            lower,
            mark: self.mark.max(lower).min(upper),
            upper,
        })
    }

    /// The same, as far as `price` at least.
    pub fn including(&self, price: Ticks) -> Self {
        Self {
            lower: self.lower.min(price),
            mark: self.mark,
            upper: self.upper.max(price),
        }
    }

    /// The least and the greatest price.
    pub const fn edges(&self) -> (Ticks, Ticks) {
        (self.lower, self.upper)
    }

    /// Where an order executes: at its limit, or at the band's edge where its limit lies beyond on the far side. What is
    /// beyond the edge on its near side comes back as it is, and nothing reaches it.
    pub fn cut(&self, side: Side, limit: Ticks) -> Ticks {
        match side {
            Side::Bid => limit.min(self.upper),
            Side::Ask => limit.max(self.lower),
        }
    }

    /// The price of the cross: the mark, clamped into the resting spread. It lies within the band.
    pub fn cross(&self, best_bid: Option<Ticks>, best_ask: Option<Ticks>) -> Ticks {
        let x = best_bid.map_or(self.mark, |bid| self.mark.max(self.cut(Side::Bid, bid)));
        best_ask.map_or(x, |ask| x.min(self.cut(Side::Ask, ask)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use novate_types::Price;
    use proptest::prelude::*;

    fn band(mark: Price, band: u32) -> Result<Band, MathError> {
        Band::new(&Rules {
            mark,
            tick_size: Price::from_rational(1, 2),
            band,
            max_fills: 1,
        })
    }

    #[test]
    fn edges_are_rounded_inwards() {
        // 100.2 ± 5 %: 95.19 and 105.21 USD, in halves 190.38 and 210.42.
        let edges = Band {
            lower: 191,
            mark: 200,
            upper: 210,
        };
        assert_eq!(band(Price::from_rational(1002, 10), 50_000), Ok(edges));
        // Exact edges stay.
        let edges = Band {
            lower: 190,
            mark: 200,
            upper: 210,
        };
        assert_eq!(band(Price::from_u32(100), 50_000), Ok(edges));
    }

    #[test]
    fn no_band_without_a_tick_in_it() {
        assert!(band(Price::from_rational(1002, 10), 0).is_err());
        assert!(band(Price::from_rational(1, 10), 50_000).is_err());
        assert!(band(Price::from_u32(0), 50_000).is_err());
        let no_tick = Rules {
            mark: Price::from_u32(1),
            tick_size: Price::from_u32(0),
            band: 1,
            max_fills: 1,
        };
        assert!(Band::new(&no_tick).is_err());
        assert!(band(Price::from_inner(u128::MAX), 50_000).is_err());
    }

    #[test]
    fn a_band_of_everything_ends_at_one_tick() {
        let edges = Band {
            lower: 1,
            mark: 200,
            upper: 400,
        };
        assert_eq!(band(Price::from_u32(100), 1_000_000), Ok(edges));
        let edges = Band {
            lower: 1,
            mark: 200,
            upper: 800,
        };
        assert_eq!(band(Price::from_u32(100), 3_000_000), Ok(edges));
    }

    #[test]
    fn cross_is_the_mark_within_the_spread() {
        let band = band(Price::from_u32(100), 50_000).unwrap();
        assert_eq!(band.cross(None, None), 200);
        assert_eq!(band.cross(Some(195), Some(205)), 200);
        assert_eq!(band.cross(Some(202), Some(205)), 202);
        assert_eq!(band.cross(Some(190), Some(198)), 198);
        assert_eq!(band.cross(None, Some(198)), 198);
        assert_eq!(band.cross(Some(202), None), 202);
        // Beyond the band the edge stands for the quote.
        assert_eq!(band.cross(Some(230), Some(240)), 210);
        assert_eq!(band.cross(Some(150), Some(160)), 190);
        assert_eq!(band.cross(Some(150), Some(240)), 200);
    }

    proptest! {
        #[test]
        fn cross_lies_within_band_and_spread(
            mark in 1u128..1000_000, tick in 500u128..2_000, ppm in 0u32..2_000_000,
            bid in proptest::option::of(0u64..2000), ask in proptest::option::of(0u64..2000),
        ) {
            let rules = Rules {
                mark: Price::from_inner(mark), tick_size: Price::from_inner(tick), band: ppm, max_fills: 1,
            };
            prop_assume!(bid.zip(ask).map_or(true, |(bid, ask)| bid < ask));
            if let Ok(band) = Band::new(&rules) {
                let x = band.cross(bid, ask);
                prop_assert!(band.lower <= x && x <= band.upper);
                prop_assert!(bid.map_or(true, |b| b.min(band.upper) <= x));
                prop_assert!(ask.map_or(true, |a| x <= a.max(band.lower)));
            }
        }
    }
}
