//! Which of the validators' prices are outliers, and what an era of them means. Pure functions.

use crate::aggregate::{outlier_bound, ppm_of, weighted_quartiles, Vote, OUTLIER_FLOOR};
use alloc::vec::Vec;
use novate_types::{math, OracleScore, Ppm, Price, Verdict};

/// The votes that are outliers, by their places, with their distances from `centre`: the votes' aggregate.
///
/// The rule is a worker's own for its sources, by stake: farther from the centre than [`crate::aggregate::OUTLIER_MADS`] median distances and
/// than [`OUTLIER_FLOOR`].
///
/// The median distance is the scale, and not the quartiles' distance of [`Aggregate::confidence`], because liars must not
/// make it: three liars of ten would move the upper quartile to where they are, and pass. Liars of less than a third of
/// stake hold less than half of a quorum's votes, and so, whatever they say,
///
/// - the centre lies among honest prices, and nobody honest is an outlier while these lie within [`OUTLIER_FLOOR`] of each other;
/// - the median distance is no longer than from one honest price to another, and whoever is farther from the centre than
///   [`crate::aggregate::OUTLIER_MADS`] times that and [`OUTLIER_FLOOR`] is an outlier.
///
/// Where honest prices themselves lie more than one per cent apart, as in a fast market, the farthest of them can be
/// outliers: an era's verdict therefore asks for a share of its rounds.
///
/// [`Aggregate::confidence`]: crate::aggregate::Aggregate::confidence
pub fn outliers(votes: &[Vote], centre: Price) -> Vec<(usize, Ppm)> {
    let centre = centre.into_inner();
    let distance = |vote: &Vote| vote.price.into_inner().abs_diff(centre);
    let floor = math::ppm_floor(centre, OUTLIER_FLOOR).unwrap_or(u128::MAX);
    // As good as always everybody agrees, and nothing need be sorted.
    if votes.iter().all(|vote| distance(vote) <= floor) {
        return Vec::new();
    }
    let mut distances: Vec<_> = votes.iter().map(|v| (distance(v), v.weight)).collect();
    let bound = weighted_quartiles(&mut distances).and_then(|q| outlier_bound(q.median, floor));
    let Some(bound) = bound else {
        return Vec::new();
    };
    votes
        .iter()
        .map(distance)
        .enumerate()
        .filter(|(_, distance)| *distance > bound)
        .map(|(place, distance)| (place, ppm_of(distance, centre)))
        .collect()
}

/// What turns scores into verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The share of the rounds in which a validator observed up to which it may have been an outlier.
    pub share: Ppm,
    /// The eras, of those that are kept, in which it must have been one in more for an offence.
    pub offence: u32,
}

/// What an era's score means to a validator who in `earlier` of the kept eras got less than [`Verdict::Good`].
pub fn judge(score: &OracleScore, earlier: u32, rules: Rules) -> Verdict {
    if !score.strays(rules.share) {
        Verdict::Good
    } else if earlier.saturating_add(1) < rules.offence {
        Verdict::Withheld
    } else {
        Verdict::Reported
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{aggregate, OUTLIER_MADS};
    use novate_types::MILLION;
    use proptest::prelude::*;

    /// A price in cents.
    fn cents(cents: u128) -> Price {
        Price::from_inner(cents * 10_000_000_000_000_000)
    }

    fn vote(price: Price, weight: u128) -> Vote {
        Vote {
            price,
            confidence: cents(0),
            observed_at: 0,
            weight,
        }
    }

    fn equals(units: &[u128]) -> Vec<Vote> {
        units.iter().map(|u| vote(cents(u * 100), 1)).collect()
    }

    /// Places and distances, about the votes' own aggregate.
    fn found(votes: &[Vote]) -> Vec<(usize, Ppm)> {
        let total = votes.iter().map(|v| v.weight).sum();
        outliers(votes, aggregate(votes, total).unwrap().price)
    }

    #[test]
    fn outlier_is_one_liar_of_four_above_or_below() {
        // About 20,015 the median distance is 10; about 20,005 it is 10 too.
        assert_eq!(
            found(&equals(&[20_000, 20_010, 20_020, 200_000])),
            [(3, 8_992_505)]
        );
        assert_eq!(found(&equals(&[20_000, 20_010, 20_020, 1])), [(3, 999_950)]);
    }

    #[test]
    fn outliers_are_three_liars_of_ten_who_hold_the_upper_quartile() {
        let mut votes = equals(&[20_000; 7]);
        votes.extend(equals(&[200_000; 3]));
        assert_eq!(
            found(&votes),
            [(7, 9_000_000), (8, 9_000_000), (9, 9_000_000)]
        );
        // Half the distance of the quartiles is 90,000, and thrice that holds the lie.
        let confidence = aggregate(&votes, 10).unwrap().confidence;
        assert_eq!(confidence, cents(9_000_000));
    }

    #[test]
    fn outlier_is_beyond_one_per_cent_when_the_others_agree() {
        assert_eq!(found(&equals(&[10_000, 10_000, 10_000, 10_100])), []);
        let mut votes = equals(&[10_000, 10_000, 10_000]);
        votes.push(vote(cents(1_010_001), 1));
        assert_eq!(found(&votes), [(3, 10_001)]);
    }

    #[test]
    fn outlier_is_beyond_three_median_distances_when_the_market_is_torn() {
        // About 10,000 the distances are 600, 300, 0, 300 and the last's: their median is 300.
        assert_eq!(found(&equals(&[9_400, 9_700, 10_000, 10_300, 10_900])), []);
        assert_eq!(
            found(&equals(&[9_400, 9_700, 10_000, 10_300, 10_901])),
            [(4, 90_100)]
        );
    }

    #[test]
    fn outliers_are_found_by_stake() {
        // Who holds most of the votes is right, and the many small ones are not.
        let mut votes = vec![vote(cents(100), 60)];
        votes.extend((0..4).map(|_| vote(cents(150), 10)));
        let places: Vec<_> = found(&votes).iter().map(|o| o.0).collect();
        assert_eq!(places, [1, 2, 3, 4]);
    }

    #[test]
    fn judge_withholds_first_and_reports_a_repetition() {
        let rules = Rules {
            share: 50_000,
            offence: 3,
        };
        let score = |outliers| OracleScore {
            rounds: 100,
            missed: 0,
            outliers,
            farthest: None,
        };
        for earlier in 0..5 {
            assert_eq!(judge(&score(5), earlier, rules), Verdict::Good);
        }
        assert_eq!(judge(&score(6), 0, rules), Verdict::Withheld);
        assert_eq!(judge(&score(6), 1, rules), Verdict::Withheld);
        assert_eq!(judge(&score(6), 2, rules), Verdict::Reported);
        assert_eq!(judge(&score(6), u32::MAX, rules), Verdict::Reported);
    }

    /// Honest votes of a price and up to some ppm above it, then lies, and the stake that votes or is silent: the liars hold
    /// less than a third of it, and the votes more than two thirds.
    #[derive(Clone, Debug)]
    struct Ballot {
        votes: Vec<Vote>,
        honest: usize,
        total: u128,
    }

    fn ballot(spread: Ppm) -> impl Strategy<Value = Ballot> {
        let honest = prop::collection::vec((0..=spread, 1u128..100), 1..16);
        let lie = prop_oneof![
            any::<u128>().prop_map(Price::from_inner),
            (0u32..2_000_000).prop_map(scaled),
        ];
        let lies = prop::collection::vec((lie, 1u128..100), 0..16);
        (honest, lies, 0u128..=100).prop_map(|(honest, lies, silent)| {
            let mut votes: Vec<_> = honest
                .iter()
                .map(|(ppm, weight)| vote(scaled(MILLION + ppm), *weight))
                .collect();
            let honest: u128 = votes.iter().map(|v| v.weight).sum();
            let count = votes.len();
            let mut lying = 0;
            for (price, weight) in lies {
                if lying + weight < honest {
                    lying += weight;
                    votes.push(vote(price, weight));
                }
            }
            // Honest and silent: 2·lying < honest + silent, and 2·silent < honest + lying.
            let least = (2 * lying + 1).saturating_sub(honest);
            let most = (honest + lying - 1) / 2;
            let silent = least + (most - least) * silent / 100;
            let total = honest + lying + silent;
            assert!(3 * lying < total && 3 * (honest + lying) > 2 * total);
            Ballot {
                votes,
                honest: count,
                total,
            }
        })
    }

    /// 20,000 USD.
    const BASE: u128 = 20_000_000_000_000_000_000_000;

    fn scaled(ppm: Ppm) -> Price {
        Price::from_inner(BASE / u128::from(MILLION) * u128::from(ppm))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

        /// The first half of the rule's promise.
        #[test]
        fn honest_are_never_outliers_whatever_a_minority_reports(ballot in ballot(OUTLIER_FLOOR)) {
            let centre = aggregate(&ballot.votes, ballot.total).unwrap().price;
            for (place, distance) in outliers(&ballot.votes, centre) {
                prop_assert!(place >= ballot.honest, "vote {} is honest and {} ppm away", place, distance);
            }
        }

        /// The second, of however torn a market: no liar hides behind other liars.
        #[test]
        fn liars_are_outliers_when_farther_than_three_honest_spreads(ballot in ballot(100_000)) {
            let centre = aggregate(&ballot.votes, ballot.total).unwrap().price;
            let found: Vec<_> = outliers(&ballot.votes, centre).iter().map(|o| o.0).collect();
            let honest = ballot.votes[..ballot.honest].iter().map(|v| v.price.into_inner());
            let spread = honest.clone().max().unwrap() - honest.clone().min().unwrap();
            let centre = centre.into_inner();
            let within = (3 * spread).max(centre / 100);
            for (place, vote) in ballot.votes.iter().enumerate() {
                let distance = vote.price.into_inner().abs_diff(centre);
                prop_assert!(distance <= within || found.contains(&place));
                prop_assert!(distance > centre / 100 || !found.contains(&place));
            }
        }

        /// The definition, by laying out every unit of weight.
        #[test]
        fn outliers_equal_the_enumeration(
            votes in prop::collection::vec((1u128..400, 1u128..6), 1..12),
            centre in 1u128..400,
        ) {
            let votes: Vec<_> = votes.into_iter().map(|(price, w)| vote(Price::from_inner(price), w)).collect();
            let mut units: Vec<u128> = votes
                .iter()
                .flat_map(|v| core::iter::repeat_n(v.price.into_inner().abs_diff(centre), 2 * v.weight as usize))
                .collect();
            units.sort_unstable();
            let (low, high) = (units[units.len() / 2 - 1], units[units.len() / 2]);
            let median = low + (high - low) / 2;
            let expected: Vec<_> = votes
                .iter()
                .enumerate()
                .map(|(place, v)| (place, v.price.into_inner().abs_diff(centre)))
                .filter(|(_, d)| *d > OUTLIER_MADS * median && d * 100 > centre)
                .map(|(place, d)| (place, (d * 1_000_000 / centre) as Ppm))
                .collect();
            prop_assert_eq!(outliers(&votes, Price::from_inner(centre)), expected);
        }

        #[test]
        fn outliers_never_panic(
            votes in prop::collection::vec((any::<u128>(), any::<u128>()), 0..9),
            centre in any::<u128>(),
        ) {
            let votes: Vec<_> = votes.into_iter().map(|(p, w)| vote(Price::from_inner(p), w)).collect();
            let found = outliers(&votes, Price::from_inner(centre));
            prop_assert!(found.len() <= votes.len());
        }
    }
}
