//! Medians: over a source's bid, ask and last; over sources; over validators by stake. Pure functions.

use alloc::vec::Vec;
use novate_types::{math, Millis, Ppm, Price, MILLION};

/// From this many sources on, outliers are left out; with fewer, the median alone has to bear them.
pub const FILTER_FROM: usize = 5;
/// A source, or a validator ([`crate::score`]), is an outlier beyond this many median absolute deviations (MAD) from the
/// median,
pub const OUTLIER_MADS: u128 = 3;
/// and beyond this share of the median.
pub const OUTLIER_FLOOR: Ppm = 10_000;

/// The distance from a median beyond which a price is an outlier, by the MAD and by [`OUTLIER_FLOOR`] of the median.
pub(crate) fn outlier_bound(mad: u128, floor: u128) -> Option<u128> {
    Some(mad.checked_mul(OUTLIER_MADS)?.max(floor))
}

fn midpoint_floor(low: u128, high: u128) -> u128 {
    // Half of a difference fits, and so does a sum that lies between the two.
    low.saturating_add(high.saturating_sub(low) / 2)
}

fn median_of(values: &mut [u128]) -> Option<u128> {
    values.sort_unstable();
    let upper = values.len() / 2;
    let lower = values.len().checked_sub(1)? / 2;
    Some(midpoint_floor(*values.get(lower)?, *values.get(upper)?))
}

/// The middle price; of an even number of them the mean of the two in the middle, rounded down.
pub fn median(prices: &[Price]) -> Option<Price> {
    let mut inner: Vec<u128> = prices.iter().map(|p| p.into_inner()).collect();
    median_of(&mut inner).map(Price::from_inner)
}

/// What a feed's sources say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Combined {
    /// Median of the sources that were kept.
    pub price: Price,
    /// Median distance of the kept sources from the price.
    pub confidence: Price,
    /// For each source, in the order given: its distance from the median of all, if it was left out for it.
    pub outliers: Vec<Option<Ppm>>,
}

/// Combines the prices of a feed's sources. `None` without any, or where one is beyond arithmetic.
pub fn combine(prices: &[Price]) -> Option<Combined> {
    let all: Vec<u128> = prices.iter().map(|p| p.into_inner()).collect();
    let centre = median_of(&mut all.clone())?;
    let bound = if all.len() >= FILTER_FROM {
        outlier_bound(
            deviation(&all, centre)?,
            math::ppm_floor(centre, OUTLIER_FLOOR).ok()?,
        )?
    } else {
        u128::MAX
    };
    let outliers: Vec<Option<Ppm>> = all
        .iter()
        .map(|p| p.abs_diff(centre))
        .map(|d| (d > bound).then(|| ppm_of(d, centre)))
        .collect();
    let mut kept: Vec<u128> = all
        .iter()
        .zip(&outliers)
        .filter(|(_, outlier)| outlier.is_none())
        .map(|(p, _)| *p)
        .collect();
    let price = median_of(&mut kept)?;
    let confidence = deviation(&kept, price)?;
    Some(Combined {
        price: Price::from_inner(price),
        confidence: Price::from_inner(confidence),
        outliers,
    })
}

fn deviation(values: &[u128], centre: u128) -> Option<u128> {
    median_of(
        &mut values
            .iter()
            .map(|v| v.abs_diff(centre))
            .collect::<Vec<_>>(),
    )
}

/// `part / whole` in parts per million, for people: the largest number there is where it would be larger.
pub(crate) fn ppm_of(part: u128, whole: u128) -> Ppm {
    math::mul_div_floor(part, u128::from(MILLION), whole)
        .ok()
        .and_then(|ppm| Ppm::try_from(ppm).ok())
        .unwrap_or(Ppm::MAX)
}

/// Whether `new` lies `threshold` or more away from `old`.
pub fn deviates(old: Price, new: Price, threshold: Ppm) -> bool {
    let distance = old.into_inner().abs_diff(new.into_inner());
    ppm_of(distance, old.into_inner()) >= threshold
}

/// A validator's say on one feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// What it observed.
    pub price: Price,
    /// How far its sources were apart.
    pub confidence: Price,
    /// When.
    pub observed_at: Millis,
    /// Its stake.
    pub weight: u128,
}

/// What the validators say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// Stake-weighted median.
    pub price: Price,
    /// Half the distance of the weighted quartiles, rounded up, and at least the weighted median of the votes' own.
    pub confidence: Price,
    /// Weighted median of the times of observation.
    pub observed_at: Millis,
}

/// Aggregates votes if they carry more than two thirds of `total_weight`.
///
/// Whoever holds less than half of the votes' weight cannot bring the price or the time out of the range of the others'.
pub fn aggregate(votes: &[Vote], total_weight: u128) -> Option<Aggregate> {
    let voted = votes
        .iter()
        .try_fold(0u128, |sum, v| sum.checked_add(v.weight))?;
    if voted.checked_mul(3)? <= total_weight.checked_mul(2)? {
        return None;
    }
    let quartiles = |value: fn(&Vote) -> u128| {
        weighted_quartiles(
            &mut votes
                .iter()
                .map(|v| (value(v), v.weight))
                .collect::<Vec<_>>(),
        )
    };
    let price = quartiles(|v| v.price.into_inner())?;
    let own = quartiles(|v| v.confidence.into_inner())?.median;
    let observed_at = quartiles(|v| u128::from(v.observed_at))?.median;
    let spread = price.upper.checked_sub(price.lower)?.div_ceil(2);
    Some(Aggregate {
        price: Price::from_inner(price.median),
        confidence: Price::from_inner(spread.max(own)),
        observed_at: Millis::try_from(observed_at).ok()?,
    })
}

/// The values below which a quarter, half and three quarters of the weight lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quartiles {
    /// A quarter.
    pub lower: u128,
    /// Half.
    pub median: u128,
    /// Three quarters.
    pub upper: u128,
}

/// Quartiles of `(value, weight)`. Where a quartile falls between two values it is their mean, rounded down. `None`
/// without weight, or if the weights' sum exceeds a quarter of the type's range.
pub fn weighted_quartiles(votes: &mut [(u128, u128)]) -> Option<Quartiles> {
    votes.sort_unstable();
    let total = votes
        .iter()
        .try_fold(0u128, |sum, (_, weight)| sum.checked_add(*weight))?;
    total.checked_mul(4)?;
    let quartile = |quarters: u128| {
        let share = total.checked_mul(quarters)?;
        let (mut below, mut low) = (0u128, None);
        for (value, weight) in votes.iter() {
            below = below.checked_add(weight.checked_mul(4)?)?;
            if below > share {
                return Some(midpoint_floor(low.unwrap_or(*value), *value));
            }
            if below == share && low.is_none() {
                low = Some(*value);
            }
        }
        None
    };
    Some(Quartiles {
        lower: quartile(1)?,
        median: quartile(2)?,
        upper: quartile(3)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn price(units: u128) -> Price {
        Price::from_inner(units * 1_000_000_000_000_000_000)
    }

    fn prices(units: &[u128]) -> Vec<Price> {
        units.iter().map(|u| price(*u)).collect()
    }

    #[test]
    fn median_is_the_middle_or_the_mean_of_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&prices(&[7])), Some(price(7)));
        assert_eq!(median(&prices(&[9, 1, 5])), Some(price(5)));
        assert_eq!(median(&prices(&[8, 2, 4, 6])), Some(price(5)));
    }

    #[test]
    fn combine_leaves_out_one_liar_of_five() {
        let combined = combine(&prices(&[20_000, 20_010, 19_990, 20_005, 200_000])).unwrap();
        assert_eq!(
            combined.price,
            Price::from_inner(20_002_500_000_000_000_000_000)
        );
        assert_eq!(
            combined.outliers,
            vec![None, None, None, None, Some(8_997_500)]
        );
    }

    #[test]
    fn combine_keeps_everything_when_fewer_than_five_answer() {
        let combined = combine(&prices(&[20_000, 20_010, 19_990, 200_000])).unwrap();
        assert_eq!(combined.price, price(20_005));
        assert_eq!(combined.outliers, vec![None; 4]);
    }

    #[test]
    fn combine_allows_one_per_cent_when_sources_agree_closely() {
        let within = combine(&prices(&[10_000, 10_000, 10_000, 10_000, 10_100])).unwrap();
        assert_eq!(within.outliers, vec![None; 5]);
        let beyond = combine(&prices(&[10_000, 10_000, 10_000, 10_000, 10_101])).unwrap();
        assert_eq!(beyond.outliers.last(), Some(&Some(10_100)));
    }

    #[test]
    fn combine_widens_with_the_sources_when_the_market_is_torn() {
        // MAD 300: 3 × 300 exceeds one per cent of 10,000.
        let combined = combine(&prices(&[9_400, 9_700, 10_000, 10_300, 10_900])).unwrap();
        assert_eq!(combined.outliers, vec![None; 5]);
        let combined = combine(&prices(&[9_400, 9_700, 10_000, 10_300, 10_901])).unwrap();
        assert_eq!(
            combined.outliers,
            vec![None, None, None, None, Some(90_100)]
        );
    }

    #[test]
    fn aggregate_needs_more_than_two_thirds() {
        let vote = |units| Vote {
            price: price(units),
            confidence: price(0),
            observed_at: 5,
            weight: 1,
        };
        assert_eq!(aggregate(&[vote(1), vote(2)], 3), None);
        assert!(aggregate(&[vote(1), vote(2), vote(3)], 4).is_some());
        assert_eq!(aggregate(&[], 0), None);
    }

    #[test]
    fn weighted_quartiles_follow_the_weight() {
        let q = weighted_quartiles(&mut [(10, 1), (20, 1), (30, 1), (40, 1)]).unwrap();
        assert_eq!(
            q,
            Quartiles {
                lower: 15,
                median: 25,
                upper: 35
            }
        );
        let q = weighted_quartiles(&mut [(10, 1), (20, 0), (30, 1)]).unwrap();
        assert_eq!(
            q,
            Quartiles {
                lower: 10,
                median: 20,
                upper: 30
            }
        );
        let q = weighted_quartiles(&mut [(10, 1), (20, 97), (30, 1), (40, 1)]).unwrap();
        assert_eq!(
            q,
            Quartiles {
                lower: 20,
                median: 20,
                upper: 20
            }
        );
        assert_eq!(weighted_quartiles(&mut [(10, 0)]), None);
        assert_eq!(weighted_quartiles(&mut [(10, u128::MAX), (11, 1)]), None);
    }

    #[test]
    fn deviates_from_the_threshold_on() {
        let (old, threshold) = (price(20_000), 1_000);
        assert!(!deviates(old, price(20_019), threshold));
        assert!(deviates(old, price(20_020), threshold));
        assert!(deviates(old, price(19_980), threshold));
        assert!(deviates(price(0), price(1), threshold));
    }

    /// The definition, by laying out every unit of weight.
    fn quartile_by_enumeration(votes: &[(u128, u128)], quarters: usize) -> u128 {
        let mut units: Vec<u128> = votes
            .iter()
            .flat_map(|(v, w)| core::iter::repeat(*v).take(4 * *w as usize))
            .collect();
        units.sort_unstable();
        let cut = units.len() * quarters / 4;
        midpoint_floor(units[cut - 1], units[cut])
    }

    fn votes() -> impl Strategy<Value = Vec<(u128, u128)>> {
        prop::collection::vec((0u128..50, 0u128..6), 1..12)
            .prop_filter("some weight", |votes| votes.iter().any(|v| v.1 > 0))
    }

    fn ballots() -> impl Strategy<Value = Vec<Vote>> {
        prop::collection::vec((1u128..1_000, 0u128..10, 0u64..1_000, 1u128..100), 1..12).prop_map(
            |v| {
                v.into_iter()
                    .map(|(p, c, observed_at, weight)| Vote {
                        price: price(p),
                        confidence: price(c),
                        observed_at,
                        weight,
                    })
                    .collect()
            },
        )
    }

    proptest! {
        #[test]
        fn weighted_quartiles_equal_the_enumeration(mut votes in votes()) {
            let q = weighted_quartiles(&mut votes).unwrap();
            prop_assert_eq!(q.lower, quartile_by_enumeration(&votes, 1));
            prop_assert_eq!(q.median, quartile_by_enumeration(&votes, 2));
            prop_assert_eq!(q.upper, quartile_by_enumeration(&votes, 3));
            prop_assert!(q.lower <= q.median && q.median <= q.upper);
        }

        #[test]
        fn aggregate_lies_within_the_votes(votes in ballots()) {
            let total = votes.iter().map(|v| v.weight).sum();
            let a = aggregate(&votes, total).unwrap();
            prop_assert!(votes.iter().any(|v| v.price <= a.price) && votes.iter().any(|v| v.price >= a.price));
            prop_assert!(a.observed_at >= votes.iter().map(|v| v.observed_at).min().unwrap());
            prop_assert!(a.observed_at <= votes.iter().map(|v| v.observed_at).max().unwrap());
        }

        #[test]
        fn aggregate_ignores_the_order_of_votes(votes in ballots(), seed in 0usize..1_000) {
            let total = votes.iter().map(|v| v.weight).sum();
            let mut shuffled = votes.clone();
            let by = seed % votes.len();
            shuffled.rotate_left(by);
            if seed % 2 == 0 {
                shuffled.reverse();
            }
            prop_assert_eq!(aggregate(&votes, total), aggregate(&shuffled, total));
        }

        /// Liars with less than half of the weight say whatever they like.
        #[test]
        fn aggregate_stays_with_the_honest_when_liars_are_a_minority(
            honest in ballots(),
            lies in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), 1u128..200), 0..12),
        ) {
            let weight: u128 = honest.iter().map(|v| v.weight).sum();
            let mut votes = honest.clone();
            let mut lying = 0;
            for (p, c, observed_at, w) in lies {
                if lying + w < weight {
                    lying += w;
                    votes.push(Vote {
                        price: Price::from_inner(u128::from(p) << 40),
                        confidence: Price::from_inner(u128::from(c) << 40),
                        observed_at,
                        weight: w,
                    });
                }
            }
            let a = aggregate(&votes, weight + lying).unwrap();
            prop_assert!(a.price >= honest.iter().map(|v| v.price).min().unwrap());
            prop_assert!(a.price <= honest.iter().map(|v| v.price).max().unwrap());
            prop_assert!(a.observed_at >= honest.iter().map(|v| v.observed_at).min().unwrap());
            prop_assert!(a.observed_at <= honest.iter().map(|v| v.observed_at).max().unwrap());
        }

        #[test]
        fn combine_stays_with_the_honest_when_liars_are_a_minority(
            honest in prop::collection::vec(19_900u128..20_100, 3..8),
            lies in prop::collection::vec(1u128..1_000_000, 0..7),
        ) {
            let lies = &lies[..lies.len().min(honest.len() - 1)];
            let all: Vec<u128> = honest.iter().chain(lies).copied().collect();
            let combined = combine(&prices(&all)).unwrap();
            prop_assert!(combined.outliers.iter().filter(|o| o.is_none()).count() * 2 >= all.len());
            // What is kept lies within max(3·MAD, 1 %) of a median that the honest hold; so does its median.
            let centre = median(&prices(&all)).unwrap();
            prop_assert!(centre >= price(19_900) && centre <= price(20_100));
            prop_assert!(combined.price >= price(19_650) && combined.price <= price(20_350));
        }

        #[test]
        fn combine_never_panics(inner in prop::collection::vec(any::<u128>(), 0..9)) {
            let prices: Vec<Price> = inner.into_iter().map(Price::from_inner).collect();
            if let Some(combined) = combine(&prices) {
                prop_assert!(prices.iter().any(|p| *p <= combined.price));
                prop_assert!(prices.iter().any(|p| *p >= combined.price));
            }
        }
    }
}
