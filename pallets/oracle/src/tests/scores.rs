//! Scores: what closes note, what an era comes to, and what follows.

use crate::{
    crypto::AuthorityId,
    mock::{Consequence::*, *},
    Change, CurrentEra, EraScores, Eras, Event, SessionScores,
};
use codec::Encode;
use frame_support::BoundedVec;
use novate_types::{
    EraIndex, FeedId, Millis, OracleScore, Outlier, PriceFeeds, ValidatorScore, Verdict,
};
use sp_runtime::DispatchError;

/// Blocks of a session in the tests below.
const ROUNDS: u32 = 8;

fn score(rounds: u32, missed: u32, outliers: u32, farthest: Option<Outlier>) -> OracleScore {
    OracleScore {
        rounds,
        missed,
        outliers,
        farthest,
    }
}

fn outlier(feed: FeedId, distance: u32) -> Option<Outlier> {
    Some(Outlier { distance, feed })
}

fn of(validator: u64, verdict: Verdict, score: OracleScore) -> ValidatorScore<u64> {
    ValidatorScore {
        validator,
        score,
        verdict,
    }
}

/// What the session's closes noted.
fn noted() -> Vec<OracleScore> {
    SessionScores::<Test>::get().into_inner()
}

/// Every validator's verdict in the running era as it stands.
fn standing() -> Vec<(u64, Verdict)> {
    let scores = Oracle::running_era().1;
    scores.iter().map(|s| (s.validator, s.verdict)).collect()
}

/// A round: a block in which each validator says its price of BTC, or nothing.
fn round(keys: &[AuthorityId], prices: &[Option<&str>]) {
    next_block(1_000);
    for (index, (key, price)) in (0..).zip(keys.iter().zip(prices)) {
        if let Some(price) = price {
            apply(transaction(observe(key, index, &[(BTC, price)], |_| {}))).unwrap();
        }
    }
    close();
}

/// A session in whose first rounds the last validator lies; then the next begins.
fn session(keys: &[AuthorityId], lies: u32) {
    for n in 0..ROUNDS {
        let mut prices = vec![Some("20000"); keys.len()];
        if n < lies {
            *prices.last_mut().unwrap() = Some("30000");
        }
        round(keys, &prices);
    }
    next_block(1_000);
    set_validators(keys);
    round_all(keys);
}

/// The block in which a session begins has a round too.
fn round_all(keys: &[AuthorityId]) {
    observe_all(keys, BTC, &vec!["20000"; keys.len()]);
    close();
}

fn ended() -> Vec<(EraIndex, Vec<ValidatorScore<u64>>)> {
    events()
        .into_iter()
        .filter_map(|event| match event {
            Event::EraEnded { era, scores } => Some((era, scores)),
            _ => None,
        })
        .collect()
}

/// Plays an era with so many lies in each of its sessions, and returns what its end said of the last validator.
fn era(keys: &[AuthorityId], lies: u32) -> Verdict {
    for _ in 0..SESSIONS {
        session(keys, lies);
    }
    let mut ended = ended();
    assert_eq!(ended.len(), 1, "one era ended");
    ended[0].1.pop().unwrap().verdict
}

#[test]
fn round_is_noted_when_a_validator_misses_it_or_strays() {
    with_validators(4, |keys| {
        round_all(keys);
        assert!(!SessionScores::<Test>::exists());
        // The first is silent until its observation is no longer fresh: older than six seconds.
        for _ in 0..6 {
            round(keys, &[None, Some("20000"), Some("20010"), Some("20020")]);
            assert!(!SessionScores::<Test>::exists());
        }
        round(keys, &[None, Some("20000"), Some("20010"), Some("20020")]);
        assert_eq!(noted(), [score(0, 1, 0, None)]);
        round(keys, &[None, Some("20000"), Some("20010"), Some("20312")]);
        let scores = Oracle::running_era().1;
        let expected = [
            of(0, Verdict::Good, score(9, 2, 0, None)),
            of(1, Verdict::Good, score(9, 0, 0, None)),
            of(2, Verdict::Good, score(9, 0, 0, None)),
            // 302 of 20,010.
            of(3, Verdict::Good, score(9, 0, 1, outlier(BTC, 15_092))),
        ];
        assert_eq!(scores, expected);
    });
}

#[test]
fn round_has_one_outlier_when_several_prices_of_a_validator_are() {
    with_validators(3, |keys| {
        for (index, (btc, usdc)) in (0..).zip([("20000", "1"), ("20000", "1"), ("20300", "1.1")]) {
            let seen = observe(
                &keys[index as usize],
                index,
                &[(BTC, btc), (USDC, usdc)],
                |_| {},
            );
            apply(transaction(seen)).unwrap();
        }
        close();
        let scores = noted();
        assert_eq!(scores[2], score(0, 0, 1, outlier(USDC, 100_000)));
        assert_eq!(scores.len(), 3);
        assert_eq!(scores[..2], [OracleScore::default(); 2]);
    });
}

#[test]
fn round_without_a_quorum_has_no_outliers_but_those_who_missed_it() {
    with_validators(4, |keys| {
        observe_all(&keys[..2], BTC, &["20000", "30000"]);
        close();
        let missed = score(0, 1, 0, None);
        let nothing = OracleScore::default();
        assert_eq!(noted(), [nothing, nothing, missed, missed]);
    });
}

#[test]
fn round_of_a_removed_feed_is_not_scored() {
    with_validators(3, |keys| {
        observe_all(keys, BTC, &["20000", "20000", "30000"]);
        for (name, _) in genesis_sources() {
            put(Change::Source(name, None));
        }
        put(Change::Feed(BTC, None));
        close();
        assert!(!SessionScores::<Test>::exists());
    });
}

/// What a score costs a close: nothing where there is nothing to say, and one key where there is, however many it is said of.
#[test]
fn close_touches_one_key_more_only_when_there_is_something_to_say() {
    let key_of_scores = SessionScores::<Test>::hashed_key();
    let mut ext = new_test_ext();
    let keys: Vec<_> = ext.execute_with(|| {
        let keys: Vec<_> = (0..16)
            .map(|i| generate(&format!("//Validator{i}")))
            .collect();
        set_validators(&keys);
        // Something was said before, which a clean close could want to read.
        observe_all(&keys[..11], BTC, &["20000"; 11]);
        close();
        keys
    });
    let mut closes = |prices: [&'static str; 16], later: Millis| {
        ext.execute_with(|| {
            next_block(1_000);
            observe_all(&keys, BTC, &prices);
            BlockMillis::mutate(|now| *now += later);
        });
        ext.commit_all().unwrap();
        let before = ext.execute_with(|| SessionScores::<Test>::get().encode());
        let (_, proof) = ext.execute_and_prove(|| Oracle::close_round(BlockMillis::get()));
        // What was read is in the proof, and a value this long is the end of a node or all of it.
        let read = proof.iter_nodes().any(|node| node.ends_with(&before));
        let changed = ext
            .overlayed_changes()
            .changes()
            .map(|(key, _)| key.clone());
        let (own, others): (Vec<_>, Vec<_>) = changed.partition(|key| *key == key_of_scores);
        let oracle = sp_io::hashing::twox_128(b"Oracle");
        let others = others.iter().filter(|key| key.starts_with(&oracle)).count();
        ext.commit_all().unwrap();
        (read, own.len(), others)
    };
    let clean = ["20000"; 16];
    assert_eq!(
        closes(clean, 0),
        (false, 0, 1),
        "a clean round: the prices alone"
    );
    let mut lies = clean;
    lies[11..].fill("30000");
    assert_eq!(closes(lies, 0), (true, 1, 1), "five liars: one key more");
    assert_eq!(
        closes(clean, 6_001),
        (true, 1, 0),
        "nobody fresh, and no price"
    );
}

#[test]
fn liar_is_withheld_then_reported_and_the_honest_are_good() {
    with_validators(4, |keys| {
        round_all(keys);
        // Four of nine rounds in each session: more than a quarter.
        session(keys, 4);
        assert!(ended().is_empty());
        assert_eq!(standing()[3], (3, Verdict::Withheld), "as it stands");
        session(keys, 4);
        let honest = score(18, 0, 0, None);
        let lies = score(18, 0, 8, outlier(BTC, 500_000));
        let first = |n| of(n, Verdict::Good, honest);
        let expected = vec![first(0), first(1), first(2), of(3, Verdict::Withheld, lies)];
        assert_eq!(ended(), [(0, expected.clone())]);
        assert_eq!(Oracle::kept_eras(), [(0, expected)]);
        assert_eq!(Followed::get(), [Withheld(3, 0)]);

        assert_eq!(era(keys, 4), Verdict::Reported);
        assert_eq!(
            Followed::get(),
            [Withheld(3, 0), Withheld(3, 1), Reported(3, 1)]
        );
        let kept: Vec<_> = Oracle::kept_eras().iter().map(|(era, _)| *era).collect();
        assert_eq!(kept, [1, 0], "the last first");
    });
}

#[test]
fn validator_is_good_when_it_strays_in_no_more_than_the_share_of_its_rounds() {
    with_validators(4, |keys| {
        round_all(keys);
        // 4 of 18, less than a quarter; and 6, more.
        assert_eq!(era(keys, 2), Verdict::Good);
        assert_eq!(era(keys, 3), Verdict::Withheld);
        assert_eq!(Followed::get(), [Withheld(3, 1)]);
    });
}

/// An era that is no longer kept does not make a repetition, and no more than the last are kept.
#[test]
fn offence_is_forgotten_when_its_era_is_no_longer_kept() {
    with_validators(4, |keys| {
        round_all(keys);
        let lies = [4, 0, 0, 4, 0, 4];
        let verdicts = lies.map(|lies| era(keys, lies));
        let [good, withheld] = [Verdict::Good, Verdict::Withheld];
        assert_eq!(
            verdicts,
            [withheld, good, good, withheld, good, Verdict::Reported]
        );
        let mut kept: Vec<_> = Eras::<Test>::iter_keys().collect();
        kept.sort_unstable();
        assert_eq!(kept, [3, 4, 5]);
    });
}

#[test]
fn score_follows_the_account_when_keys_and_places_change() {
    with_validators(4, |keys| {
        round_all(keys);
        for _ in 0..4 {
            round(
                keys,
                &[Some("20000"), Some("20000"), Some("20000"), Some("30000")],
            );
        }
        // The liar is first now, with another key, and lies on.
        next_block(1_000);
        let new: Vec<_> = (0..4).map(|i| generate(&format!("//New{i}"))).collect();
        begin_session(&[3, 0, 1, 2], &new);
        close();
        for _ in 0..4 {
            round(
                &new,
                &[Some("30000"), Some("20000"), Some("20000"), Some("20000")],
            );
        }
        let scores = Oracle::running_era().1;
        let of = |n: u64| scores.iter().find(|s| s.validator == n).unwrap().score;
        // Nobody's observation stands in the block in which keys change.
        assert_eq!(of(3), score(10, 1, 8, outlier(BTC, 500_000)));
        assert_eq!(of(0), score(10, 1, 0, None));
        next_block(1_000);
        begin_session(&[3, 0, 1, 2], &new);
        assert_eq!(Followed::get(), [Withheld(3, 0)]);
    });
}

#[test]
fn validator_that_left_is_judged_with_the_era() {
    with_validators(4, |keys| {
        round_all(keys);
        for _ in 0..4 {
            round(
                keys,
                &[Some("20000"), Some("20000"), Some("20000"), Some("30000")],
            );
        }
        next_block(1_000);
        set_validators(&keys[..3]);
        for _ in 0..3 {
            round(&keys[..3], &[Some("20000"), Some("20000"), Some("20000")]);
        }
        next_block(1_000);
        set_validators(&keys[..3]);
        assert_eq!(Followed::get(), [Withheld(3, 0)]);
        let scores = &ended()[0].1;
        assert_eq!(scores.len(), 4);
        assert_eq!(scores[3].score.rounds, 5);
        assert_eq!(scores[0].score.rounds, 9);
    });
}

/// Who speaks seldom, and lies then, is not excused by its silence.
#[test]
fn silence_does_not_dilute_lies() {
    with_validators(4, |keys| {
        round_all(keys);
        let honest = Some("20000");
        round(keys, &[honest, honest, honest, Some("30000")]);
        // The lie stands for six seconds, and then there are 22 rounds of silence.
        for _ in 0..28 {
            round(keys, &[honest, honest, honest, None]);
        }
        let liar = Oracle::running_era().1.pop().unwrap();
        assert_eq!(liar.score, score(30, 22, 7, outlier(BTC, 500_000)));
        assert_eq!(liar.verdict, Verdict::Withheld);
    });
}

/// Each damage alone is found, and named.
#[test]
fn try_state_finds_drift_of_scores() {
    fn damage_noted(score: OracleScore, count: usize) {
        SessionScores::<Test>::put(BoundedVec::truncate_from(vec![score; count]));
    }
    fn damage_era(scores: Vec<(u64, OracleScore)>) {
        CurrentEra::<Test>::mutate(|era| era.scores = BoundedVec::truncate_from(scores));
    }
    fn damage_kept(scores: Vec<ValidatorScore<u64>>) {
        Eras::<Test>::insert(0, EraScores::<Test>::truncate_from(scores));
    }
    let damages: [(&str, fn()); 11] = [
        (
            "the running session has other validators than observers",
            || {
                CurrentEra::<Test>::mutate(|era| era.validators.pop());
            },
        ),
        ("something is noted of nobody in the set", || {
            damage_noted(OracleScore::default(), 4);
        }),
        ("the running era has too many sessions", || {
            CurrentEra::<Test>::mutate(|era| era.sessions = SESSIONS + 1);
        }),
        (
            "a score of the running session of more than its rounds",
            || {
                damage_noted(score(0, 1, 1, outlier(BTC, 10_001)), 1);
            },
        ),
        (
            "a score of the running session of more than its rounds",
            || {
                damage_noted(score(1, 0, 0, None), 1);
            },
        ),
        ("a score of the running era of more than its rounds", || {
            damage_era(vec![(0, score(4, 2, 3, outlier(BTC, 10_001)))]);
        }),
        ("a score of the running era of more than its rounds", || {
            damage_era(vec![(0, score(4, 0, 1, None))]);
        }),
        ("a validator twice in the running era", || {
            damage_era(vec![(0, score(4, 0, 0, None)); 2]);
        }),
        ("a score of a kept era of more than its rounds", || {
            damage_kept(vec![of(0, Verdict::Good, score(1, 2, 0, None))]);
        }),
        ("a validator twice in a kept era", || {
            damage_kept(vec![of(0, Verdict::Good, score(1, 0, 0, None)); 2]);
        }),
        ("the eras kept are not the last", || {
            Eras::<Test>::remove(0);
        }),
    ];
    for (finding, damage) in damages {
        with_validators(3, |keys| {
            round_all(keys);
            era(keys, 0);
            assert_eq!(Oracle::do_try_state(), Ok(()));
            let before = (
                CurrentEra::<Test>::get(),
                SessionScores::<Test>::get(),
                Eras::<Test>::get(0),
            );
            damage();
            assert_eq!(
                Oracle::do_try_state(),
                Err(DispatchError::Other(finding)),
                "{finding}"
            );
            CurrentEra::<Test>::put(before.0);
            SessionScores::<Test>::put(before.1);
            Eras::<Test>::insert(0, before.2);
        });
    }
}

/// Whatever liars of less than a third say, and whenever they are silent, on the chain as in the rule: nobody honest has a
/// score, as long as honest prices lie within a per cent.
mod minority {
    use super::*;
    use proptest::prelude::*;

    const HONEST: usize = 5;
    const LIARS: usize = 2;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn honest_are_never_scored_whatever_a_minority_reports(
            rounds in prop::collection::vec(
                (
                    prop::collection::vec(20_000u32..=20_200, HONEST),
                    prop::collection::vec(prop::option::weighted(0.7, 1u32..100_000), LIARS),
                ),
                1..12,
            ),
        ) {
            with_validators(HONEST + LIARS, |keys| {
                let count = rounds.len() as u32;
                let mut strayed = false;
                for (honest, lies) in &rounds {
                    let texts: Vec<_> = honest.iter().copied().map(Some).chain(lies.iter().copied())
                        .map(|price| price.map(|p| p.to_string())).collect();
                    let prices: Vec<_> = texts.iter().map(Option::as_deref).collect();
                    round(keys, &prices);
                    strayed |= lies.iter().flatten().any(|p| !(19_400..=20_800).contains(p));
                }
                let scores = Oracle::running_era().1;
                for honest in &scores[..HONEST] {
                    assert_eq!(honest.score, score(count + 1, 0, 0, None));
                }
                // Not because nothing is ever found: beyond thrice the honest spread somebody is.
                assert!(!strayed || scores[HONEST..].iter().any(|liar| liar.score.outliers > 0));
            });
        }
    }
}
