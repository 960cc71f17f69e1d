//! How validators observe prices, era by era.

use crate::{FeedId, Ppm, MILLION};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// The number of an era of the oracle, counted from genesis.
pub type EraIndex = u32;

/// A price that lay too far from the aggregate. The farther is the greater.
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
    Serialize,
    Deserialize,
)]
pub struct Outlier {
    /// Its distance from the aggregate, as a share of that, rounded down.
    pub distance: Ppm,
    /// The feed.
    pub feed: FeedId,
}

/// How a validator observed over some rounds. A round is a block: each has a close, and each close an aggregate.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct OracleScore {
    /// Rounds in which it was to observe: all of the sessions that it was a validator in.
    pub rounds: u32,
    /// Those in which no observation of it was fresh.
    pub missed: u32,
    /// Those in which one of its prices or more was an outlier.
    pub outliers: u32,
    /// The farthest of these.
    pub farthest: Option<Outlier>,
}

impl OracleScore {
    /// Rounds in which an observation of it counted.
    pub const fn observed(&self) -> u32 {
        self.rounds.saturating_sub(self.missed)
    }

    /// Whether it was an outlier in more than `share` of the rounds in which it observed.
    pub fn strays(&self, share: Ppm) -> bool {
        let scaled = |rounds: u32, by: Ppm| u64::from(rounds).saturating_mul(by.into());
        scaled(self.outliers, MILLION) > scaled(self.observed(), share)
    }

    /// Adds what is known of other rounds.
    pub fn add(&mut self, other: &Self) {
        self.rounds = self.rounds.saturating_add(other.rounds);
        self.missed = self.missed.saturating_add(other.missed);
        self.outliers = self.outliers.saturating_add(other.outliers);
        self.farthest = self.farthest.max(other.farthest);
    }
}

/// What an era means to a validator.
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
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing.
    #[codec(index = 0)]
    Good,
    /// Its prices were outliers too often: it earns nothing for the era.
    #[codec(index = 1)]
    Withheld,
    /// That, and not for the first time: an offence, which is reported.
    #[codec(index = 2)]
    Reported,
}

/// A validator's score in an era, and what it means.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct ValidatorScore<AccountId> {
    /// Whose.
    pub validator: AccountId,
    /// How it observed.
    pub score: OracleScore,
    /// What follows.
    pub verdict: Verdict,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(rounds: u32, missed: u32, outliers: u32) -> OracleScore {
        OracleScore {
            rounds,
            missed,
            outliers,
            farthest: None,
        }
    }

    #[test]
    fn score_strays_when_outliers_exceed_the_share_of_what_was_observed() {
        // A twentieth of 400 observed rounds is 20.
        assert!(!score(500, 100, 20).strays(50_000));
        assert!(score(500, 100, 21).strays(50_000));
        assert!(score(1, 0, 1).strays(50_000));
        assert!(!score(u32::MAX, 0, u32::MAX).strays(MILLION));
        assert!(!score(10, 10, 0).strays(0), "who is silent does not stray");
    }

    #[test]
    fn scores_add_up_and_keep_the_farthest_outlier() {
        let outlier = |distance, feed| Some(Outlier { distance, feed });
        let mut sum = OracleScore {
            farthest: outlier(10_001, 9),
            ..score(100, 5, 1)
        };
        sum.add(&score(50, 50, 0));
        assert_eq!(sum.farthest, outlier(10_001, 9));
        sum.add(&OracleScore {
            farthest: outlier(20_000, 2),
            ..score(10, 0, 10)
        });
        assert_eq!(
            sum,
            OracleScore {
                farthest: outlier(20_000, 2),
                ..score(160, 55, 11)
            }
        );
        assert_eq!(sum.observed(), 105);
    }
}
