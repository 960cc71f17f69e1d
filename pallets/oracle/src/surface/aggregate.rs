//! Many smiles into one: over a validator's venues, over validators by stake. Pure functions.

use crate::aggregate::{ppm_of, weighted_quartiles};
use alloc::{collections::BTreeMap, vec::Vec};
use novate_risk::surface::{Smile, POINTS};
use novate_types::{Millis, Ppm};

/// Of how much of the median's own size a venue's smile may lie away from it: a fifth of variance, about a tenth of volatility.
pub const DISAGREEMENT: Ppm = 200_000;

/// The point-wise weighted median. Where it falls between two variances it is their mean, rounded down. None without weight.
///
/// Whoever holds less than half of the weight cannot bring any point of it out of the range of the others'.
pub fn median(smiles: &[(Smile, u128)]) -> Option<Smile> {
    let mut points = [0u64; POINTS];
    for (place, point) in points.iter_mut().enumerate() {
        let mut votes = smiles
            .iter()
            .map(|(smile, weight)| Some((u128::from(*smile.0.get(place)?), *weight)))
            .collect::<Option<Vec<_>>>()?;
        *point = u64::try_from(weighted_quartiles(&mut votes)?.median).ok()?;
    }
    Some(Smile(points))
}

/// What a validator's venues say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CombinedSmile {
    /// The point-wise median of the venues that were kept; of two, the mean.
    pub smile: Smile,
    /// For each venue, in the order given: its distance from the median of all relative to that, if it was left out for it.
    pub outliers: Vec<Option<Ppm>>,
}

/// Combines the venues' smiles of one expiry. Whoever lies more than [`DISAGREEMENT`] away is left out: of two that disagree, both are. None where
/// nothing is left.
pub fn combine(smiles: &[Smile]) -> Option<CombinedSmile> {
    let all: Vec<(Smile, u128)> = smiles.iter().map(|smile| (*smile, 1)).collect();
    let centre = median(&all)?;
    let outliers: Vec<Option<Ppm>> = smiles
        .iter()
        .map(|smile| ppm_of(smile.distance(&centre), centre.size()))
        .map(|distance| (distance > DISAGREEMENT).then_some(distance))
        .collect();
    let kept: Vec<(Smile, u128)> = all
        .into_iter()
        .zip(&outliers)
        .filter(|(_, outlier)| outlier.is_none())
        .map(|(vote, _)| vote)
        .collect();
    Some(CombinedSmile {
        smile: median(&kept)?,
        outliers,
    })
}

/// A validator's say on one expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmileVote {
    /// What it observed.
    pub smile: Smile,
    /// When.
    pub observed_at: Millis,
    /// Its stake.
    pub weight: u128,
}

/// The smiles of an expiry, whole as they were reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranking {
    /// The nearest to the votes' point-wise weighted median first, by [`Smile::distance`], each with the weight that reported exactly this one. Of
    /// smiles that are equally near the lesser comes first: which is as good as any other, and does not depend on the order of votes.
    pub smiles: Vec<(Smile, u128)>,
    /// Weighted median of their times.
    pub observed_at: Millis,
}

/// Ranks votes that carry more than two thirds of `total_weight`; None of fewer.
///
/// Whoever holds less than half of the votes' weight can have his own smile come first only if it lies no farther from that median, which
/// he cannot move out of the others' range, than the nearest of the others'. (No rule that chooses one of the smiles whole can keep each of
/// its points within the others' range: of three smiles, each the median nowhere, one has to be taken, and the other two may be the honest.)
pub fn rank(votes: &[SmileVote], total_weight: u128) -> Option<Ranking> {
    let voted = votes
        .iter()
        .try_fold(0u128, |sum, vote| sum.checked_add(vote.weight))?;
    if voted.checked_mul(3)? <= total_weight.checked_mul(2)? {
        return None;
    }
    let reported: Vec<(Smile, u128)> = votes.iter().map(|v| (v.smile, v.weight)).collect();
    let mut times: Vec<(u128, u128)> = votes
        .iter()
        .map(|v| (u128::from(v.observed_at), v.weight))
        .collect();
    let centre = median(&reported)?;
    let observed_at = weighted_quartiles(&mut times)?.median;
    let mut ranked: BTreeMap<(u128, Smile), u128> = BTreeMap::new();
    for (smile, weight) in reported.into_iter().filter(|(_, weight)| *weight > 0) {
        let of_all = ranked.entry((smile.distance(&centre), smile)).or_default();
        *of_all = of_all.checked_add(weight)?;
    }
    Some(Ranking {
        smiles: ranked.into_iter().map(|((_, s), w)| (s, w)).collect(),
        observed_at: Millis::try_from(observed_at).ok()?,
    })
}

impl Ranking {
    /// The first smile that is `sound`. One is looked at in any case, each further one takes one of `spare`. None once a third of `total_weight` was
    /// refused: then it is not liars alone whose smiles will not do.
    pub fn first_sound(
        &self,
        total_weight: u128,
        spare: &mut u32,
        mut sound: impl FnMut(&Smile) -> bool,
    ) -> Option<Smile> {
        let mut refused = 0u128;
        for (smile, weight) in &self.smiles {
            if refused > 0 {
                *spare = spare.checked_sub(1)?;
            }
            if sound(smile) {
                return Some(*smile);
            }
            refused = refused.checked_add(*weight)?;
            if refused.checked_mul(3)? >= total_weight {
                break;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use novate_risk::surface::{IMPORTANCE, MONEY, UNIT};
    use proptest::prelude::*;

    fn flat(percent_of_variance: u64) -> Smile {
        Smile([percent_of_variance * UNIT / 100; POINTS])
    }

    /// What comes first, and when it was seen.
    fn choose(votes: &[SmileVote], total_weight: u128) -> Option<(Smile, Millis)> {
        let ranking = rank(votes, total_weight)?;
        ranking.smiles.first().map(|s| (s.0, ranking.observed_at))
    }

    fn vote(smile: Smile, weight: u128) -> SmileVote {
        SmileVote {
            smile,
            observed_at: 7,
            weight,
        }
    }

    #[test]
    fn median_is_taken_at_each_point_by_weight() {
        let mut low = flat(40);
        low.0[MONEY] = 90 * UNIT / 100;
        let m = median(&[(low, 2), (flat(60), 2), (flat(80), 1)]).unwrap();
        assert_eq!(m.0[0], 60 * UNIT / 100);
        assert_eq!(m.0[MONEY], 80 * UNIT / 100);
        let even = median(&[(flat(40), 1), (flat(60), 1)]).unwrap();
        assert_eq!(even, flat(50));
        assert_eq!(median(&[(flat(40), 0)]), None);
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn combine_leaves_out_the_one_of_three_that_disagrees() {
        let combined = combine(&[flat(40), flat(42), flat(90)]).unwrap();
        assert_eq!(combined.smile, flat(41));
        assert_eq!(combined.outliers, vec![None, None, Some(1_142_857)]);
    }

    #[test]
    fn combine_takes_the_mean_of_two_or_neither() {
        assert_eq!(combine(&[flat(40), flat(50)]).unwrap().smile, flat(45));
        // 20 of 120 away from the mean is a sixth, 30 of 130 more than a fifth.
        assert!(combine(&[flat(100), flat(140)]).is_some());
        assert_eq!(combine(&[flat(100), flat(160)]), None);
        assert_eq!(combine(&[]), None);
    }

    #[test]
    fn rank_puts_the_reported_smile_that_is_nearest_to_the_median_first() {
        let mut tilted = flat(50);
        tilted.0[0] = UNIT;
        let votes = [
            vote(flat(40), 1),
            vote(tilted, 1),
            vote(flat(52), 1),
            vote(flat(90), 1),
        ];
        // The median is 51 % at every point but the first.
        assert_eq!(choose(&votes, 4), Some((flat(52), 7)));
    }

    #[test]
    fn rank_needs_more_than_two_thirds() {
        let votes = [vote(flat(40), 1), vote(flat(40), 1)];
        assert_eq!(choose(&votes, 3), None);
        assert_eq!(choose(&votes, 2), Some((flat(40), 7)));
        assert_eq!(choose(&[], 0), None);
        assert_eq!(choose(&[vote(flat(40), 0)], 0), None);
    }

    #[test]
    fn first_sound_goes_on_while_less_than_a_third_was_refused_and_tries_are_left() {
        let ranking = Ranking {
            smiles: (1..=4).map(|n| (flat(n), u128::from(n))).collect(),
            observed_at: 7,
        };
        let asked = |total, mut spare, sound: &[u64]| {
            let mut looks = 0;
            let found = ranking.first_sound(total, &mut spare, |smile| {
                looks += 1;
                sound.iter().any(|n| *smile == flat(*n))
            });
            (found, looks, spare)
        };
        assert_eq!(asked(10, 5, &[1, 2]), (Some(flat(1)), 1, 5));
        assert_eq!(asked(10, 5, &[2, 3]), (Some(flat(2)), 2, 4));
        // One and two are three of ten: less than a third. One, two and three are six.
        assert_eq!(asked(10, 5, &[3]), (Some(flat(3)), 3, 3));
        assert_eq!(asked(10, 5, &[4]), (None, 3, 3));
        assert_eq!(asked(9, 5, &[3]), (None, 2, 4));
        // The first look is free, the others are not.
        assert_eq!(asked(10, 0, &[1]), (Some(flat(1)), 1, 0));
        assert_eq!(asked(10, 0, &[2]), (None, 1, 0));
        assert_eq!(asked(10, 1, &[3]), (None, 2, 0));
    }

    #[test]
    fn rank_adds_up_the_weight_of_those_who_said_the_same() {
        let votes = [vote(flat(40), 1), vote(flat(50), 2), vote(flat(40), 3)];
        let ranking = rank(&votes, 6).unwrap();
        assert_eq!(ranking.smiles, [(flat(40), 4), (flat(50), 2)]);
    }

    fn smiles() -> impl Strategy<Value = Smile> {
        prop::array::uniform21(1u64..1_000).prop_map(|v| Smile(v.map(|v| v * UNIT / 1_000)))
    }

    fn ballots() -> impl Strategy<Value = Vec<SmileVote>> {
        prop::collection::vec((smiles(), 0u64..1_000, 1u128..100), 1..10).prop_map(|votes| {
            votes
                .into_iter()
                .map(|(smile, observed_at, weight)| SmileVote {
                    smile,
                    observed_at,
                    weight,
                })
                .collect()
        })
    }

    fn weight(votes: &[SmileVote]) -> u128 {
        votes.iter().map(|v| v.weight).sum()
    }

    fn centre(votes: &[SmileVote]) -> Smile {
        let smiles: Vec<_> = votes.iter().map(|v| (v.smile, v.weight)).collect();
        median(&smiles).unwrap()
    }

    proptest! {
        #[test]
        fn rank_gives_a_reported_smile_and_none_is_nearer(votes in ballots()) {
            let (chosen, _) = choose(&votes, weight(&votes)).unwrap();
            prop_assert!(votes.iter().any(|v| v.smile == chosen));
            let centre = centre(&votes);
            prop_assert!(votes.iter().all(|v| chosen.distance(&centre) <= v.smile.distance(&centre)));
        }

        #[test]
        fn rank_ignores_the_order_of_votes(votes in ballots(), by in 0usize..10, turned: bool) {
            let mut shuffled = votes.clone();
            let by = by % votes.len();
            shuffled.rotate_left(by);
            if turned {
                shuffled.reverse();
            }
            let total = weight(&votes);
            prop_assert_eq!(rank(&votes, total), rank(&shuffled, total));
        }

        /// Liars with less than half of the weight say whatever they like: the median stays within the honest range at every point; what is chosen
        /// is no farther from it than the nearest honest smile, and so off by no more than that at any single point.
        #[test]
        fn a_minority_cannot_move_a_point_out_of_the_honest_range(
            honest in ballots(),
            lies in prop::collection::vec((prop::array::uniform21(any::<u64>()), any::<u64>(), 1u128..200), 0..10),
        ) {
            let mut votes = honest.clone();
            let mut lying = 0;
            for (smile, observed_at, w) in lies {
                if lying + w < weight(&honest) {
                    lying += w;
                    votes.push(SmileVote { smile: Smile(smile), observed_at, weight: w });
                }
            }
            let centre = centre(&votes);
            let (chosen, observed_at) = choose(&votes, weight(&votes)).unwrap();
            let nearest = honest.iter().map(|v| v.smile.distance(&centre)).min().unwrap();
            for place in 0..POINTS {
                let values = || honest.iter().map(|v| v.smile.0[place]);
                let (low, high) = (values().min().unwrap(), values().max().unwrap());
                prop_assert!((low..=high).contains(&centre.0[place]));
                let beyond = chosen.0[place].saturating_sub(high).max(low.saturating_sub(chosen.0[place]));
                prop_assert!(u128::from(beyond) * u128::from(IMPORTANCE[place]) <= nearest);
            }
            let times = || honest.iter().map(|v| v.observed_at);
            prop_assert!((times().min().unwrap()..=times().max().unwrap()).contains(&observed_at));
        }

        /// Where the honest agree, what they say is what stands, whatever a minority says.
        #[test]
        fn the_honest_have_their_smile_when_they_agree(
            smile in smiles(), weights in prop::collection::vec(1u128..50, 1..6),
            lies in prop::collection::vec(prop::array::uniform21(any::<u64>()), 1..6),
        ) {
            let mut votes: Vec<SmileVote> = weights.iter().map(|w| vote(smile, *w)).collect();
            let honest = weight(&votes);
            let each = (honest - 1) / lies.len() as u128;
            votes.extend(lies.iter().map(|lie| vote(Smile(*lie), each)));
            prop_assert_eq!(choose(&votes, weight(&votes)).map(|c| c.0), Some(smile));
        }

        #[test]
        fn combine_stays_with_two_venues_when_the_third_lies(level in 100u64..1_000, off in 0u64..50, lie in prop::array::uniform21(any::<u64>())) {
            let at = |v: u64| Smile([v * UNIT / 1_000; POINTS]);
            let combined = combine(&[at(level), at(level + level * off / 1_000), Smile(lie)]).unwrap();
            let (low, high) = (level * UNIT / 1_000, (level + level * off / 1_000) * UNIT / 1_000);
            prop_assert!(combined.smile.0.iter().all(|v| (low..=high).contains(v)));
        }
    }
}
