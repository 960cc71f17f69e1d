//! Volatilities on chain: who may observe them, what the close makes of them, and how long it stands.

use crate::{
    mock::*,
    surface::{
        close::{merge, spare_tries, without_arbitrage},
        Flaw, Freshness, ObservedSmile, HORIZON, LEAST_TIME, WINDOW,
    },
    types::*,
    Error, Event, SurfaceObservations, Surfaces, SurfacesDue,
};
use codec::Encode;
use frame_support::{assert_noop, assert_ok, BoundedVec};
use novate_risk::surface::{
    Slice, Smile, Surface, MAX_EXPIRIES, MAX_VARIANCE, MONEY, POINTS, UNIT,
};
use novate_types::{FeedId, Millis, VolatilitySurface};
use sp_runtime::{
    transaction_validity::{InvalidTransaction, TransactionValidityError},
    DispatchError, FixedI128, FixedU128,
};

const DAY: Millis = 86_400_000;

fn flat(percent: u64) -> Smile {
    Smile([percent * percent * UNIT / 10_000; POINTS])
}

/// A week, and two, at volatilities in percent.
fn weeks(volatilities: &[u64]) -> Vec<ObservedSmile> {
    let weeks = volatilities.iter().zip(1..);
    weeks
        .map(|(percent, week)| ObservedSmile {
            expiry: NOW + week * 7 * DAY,
            smile: flat(*percent),
        })
        .collect()
}

/// A point stands out by half: a butterfly in every expiry.
fn spiked(percent: u64, week: u64) -> ObservedSmile {
    let mut smile = flat(percent);
    smile.0[MONEY + 2] = smile.0[MONEY + 2] * 3 / 2;
    ObservedSmile {
        expiry: NOW + week * 7 * DAY,
        smile,
    }
}

fn with_surface(validators: usize, test: impl FnOnce(&[crate::crypto::AuthorityId])) {
    with_validators(validators, |keys| {
        want_surface();
        System::reset_events();
        test(keys);
    });
}

/// Every validator observes, and the window passes until the close that renews.
fn renew(keys: &[crate::crypto::AuthorityId], observed: &[Vec<ObservedSmile>]) {
    for (at, (key, smiles)) in keys.iter().zip(observed).enumerate() {
        apply(observe_surface(key, at as u32, smiles, |_| {})).unwrap();
    }
    for _ in 0..WINDOW {
        assert!(!events()
            .iter()
            .any(|e| matches!(e, Event::SurfaceRenewed { .. })));
        close();
        next_block(1_000);
    }
    close();
    // Later it may: each smile's time runs down at its own variance.
    let (surface, now) = (Surfaces::<Test>::get(BTC), BlockMillis::get());
    assert!(surface
        .0
        .windows(2)
        .all(|pair| !pair[0].admits_calendar(&pair[1], now).unwrap()));
}

fn variance(feed: FeedId, expiry: Millis, now: Millis) -> Option<FixedU128> {
    let surface = Surfaces::<Test>::get(feed);
    <Oracle as VolatilitySurface>::total_variance(&surface, expiry, FixedI128::from_inner(0), now)
}

fn is_fresh(feed: FeedId, expiry: Millis, now: Millis) -> bool {
    <Oracle as VolatilitySurface>::is_fresh(&Surfaces::<Test>::get(feed), expiry, now)
}

fn renewed() -> Option<(Vec<Millis>, Vec<(Millis, Flaw)>)> {
    events().into_iter().find_map(|event| match event {
        Event::SurfaceRenewed {
            feed: BTC,
            renewed,
            refused,
        } => Some((renewed, refused)),
        _ => None,
    })
}

fn money(expiry: Millis) -> Option<u64> {
    let surface = Surfaces::<Test>::get(BTC);
    let slice = surface.0.iter().find(|s| s.expiry == expiry)?;
    Some(slice.smile.at_the_money())
}

#[test]
fn observe_surface_records_when_everything_holds() {
    with_surface(4, |keys| {
        let signed = observe_surface(&keys[2], 2, &weeks(&[60, 60]), |_| {});
        let valid = apply(signed.clone()).unwrap();
        let recorded = SurfaceObservations::<Test>::get(2, BTC).unwrap();
        assert_eq!(recorded.smiles.to_vec(), weeks(&[60, 60]));
        assert_eq!(
            valid.provides,
            vec![("NovateSurface", (2u32, BTC, BLOCK - 1)).encode()]
        );
        assert_eq!(
            SurfacesDue::<Test>::get().to_vec(),
            vec![(BTC, BLOCK + WINDOW)]
        );
        assert_noop!(
            apply(signed),
            TransactionValidityError::Invalid(InvalidTransaction::Stale)
        );
    });
}

#[test]
fn observe_surface_is_refused_when_something_does_not_hold() {
    with_surface(2, |keys| {
        let refuses =
            |validator: u32, change: &dyn Fn(&mut crate::surface::SurfaceObservation), why| {
                let signed = observe_surface(&keys[0], validator, &weeks(&[60, 60]), |o| change(o));
                assert_noop!(apply(signed), TransactionValidityError::Invalid(why));
            };
        use InvalidTransaction::{BadProof, BadSigner, Custom, Future, Stale};
        refuses(2, &|_| {}, BadSigner);
        refuses(1, &|_| {}, BadProof);
        refuses(0, &|o| o.round = BLOCK + 1, Future);
        refuses(0, &|o| o.round = BLOCK - 11, Stale);
        refuses(0, &|o| o.observed_at = NOW - 10_001, Custom(1));
        refuses(0, &|o| o.feed = USDC, Custom(3));
        refuses(0, &|o| o.feed = 60, Custom(3));
        refuses(0, &|o| o.smiles = BoundedVec::new(), Custom(3));
        refuses(0, &|o| o.smiles[1].expiry = o.smiles[0].expiry, Custom(3));
        refuses(0, &|o| o.smiles[0].expiry = NOW + LEAST_TIME - 1, Custom(3));
        refuses(0, &|o| o.smiles[1].expiry = NOW + HORIZON + 1, Custom(3));
        refuses(0, &|o| o.smiles[0].smile.0[7] = 0, Custom(3));
        refuses(0, &|o| o.smiles[0].smile.0[7] = MAX_VARIANCE + 1, Custom(3));
        assert_eq!(SurfaceObservations::<Test>::iter().count(), 0);
        assert!(SurfacesDue::<Test>::get().is_empty());
        // What is signed is what is taken.
        let (signed, other) = (
            observe_surface(&keys[0], 0, &weeks(&[60]), |_| {}),
            observe_surface(&keys[0], 0, &weeks(&[61]), |_| {}),
        );
        let (
            RuntimeCall::Oracle(crate::Call::observe_surface { observation, .. }),
            RuntimeCall::Oracle(crate::Call::observe_surface { signature, .. }),
        ) = (signed.function, other.function)
        else {
            unreachable!()
        };
        assert_eq!(
            Oracle::check_surface(&observation, &signature),
            Err(crate::Refusal::BadSignature)
        );
        for origin in [
            RuntimeOrigin::signed(1),
            RuntimeOrigin::root(),
            RuntimeOrigin::none(),
        ] {
            assert_noop!(
                Oracle::observe_surface(origin, observation.clone(), signature.clone()),
                DispatchError::BadOrigin
            );
        }
    });
}

#[test]
fn close_takes_the_smile_nearest_to_the_median_once_the_window_has_passed() {
    with_surface(4, |keys| {
        let observed = [[60, 60], [61, 58], [62, 62], [90, 20]].map(|v| weeks(&v));
        renew(keys, &observed);
        let (week, two) = (NOW + 7 * DAY, NOW + 14 * DAY);
        assert_eq!(renewed(), Some((vec![week, two], vec![])));
        // The median of variance lies between 61 and 62 %, and between 58 and 60 %; both are as near, and the lesser is taken.
        assert_eq!(money(week), Some(flat(61).at_the_money()));
        assert_eq!(money(two), Some(flat(58).at_the_money()));
        assert!(SurfacesDue::<Test>::get().is_empty());
        let now = BlockMillis::get();
        let w = variance(BTC, week, now).unwrap();
        let expected = 0.61 * 0.61 * (week - now) as f64 / 31_536e6;
        assert!((w.into_inner() as f64 / 1e18 - expected).abs() < 1e-12);
        assert_eq!(variance(USDC, week, now), None);
    });
}

#[test]
fn close_takes_no_expiry_that_fewer_than_two_thirds_have_seen() {
    with_surface(3, |keys| {
        renew(keys, &[weeks(&[60, 60]), weeks(&[60, 60]), weeks(&[60])]);
        assert_eq!(renewed(), Some((vec![NOW + 7 * DAY], vec![])));
        assert_eq!(money(NOW + 14 * DAY), None);
    });
    with_surface(3, |keys| {
        renew(keys, &[weeks(&[60]), weeks(&[60])]);
        assert_eq!(renewed(), None);
    });
}

#[test]
fn close_counts_no_observation_older_than_two_heartbeats() {
    with_surface(3, |keys| {
        apply(observe_surface(&keys[0], 0, &weeks(&[60]), |_| {})).unwrap();
        close();
        for _ in 0..WINDOW {
            next_block(13_000);
        }
        for at in [1, 2] {
            apply(observe_surface(&keys[at], at as u32, &weeks(&[60]), |_| {})).unwrap();
        }
        close();
        assert_eq!(renewed(), None);
        assert!(Surfaces::<Test>::get(BTC).0.is_empty());
    });
}

#[test]
fn a_smile_with_a_butterfly_is_refused_and_the_last_good_one_stands_until_it_is_stale() {
    with_surface(3, |keys| {
        let good = || weeks(&[60, 60]);
        renew(keys, &[good(), good(), good()]);
        let two = NOW + 14 * DAY;
        let seen = Surfaces::<Test>::get(BTC).0[1].observed_at;
        let bad = || vec![weeks(&[61])[0], spiked(61, 2)];
        next_block(1_000);
        renew(keys, &[bad(), bad(), bad()]);
        assert_eq!(
            renewed(),
            Some((vec![NOW + 7 * DAY], vec![(two, Flaw::Butterfly)]))
        );
        assert_eq!(money(NOW + 7 * DAY), Some(flat(61).at_the_money()));
        assert_eq!(money(two), Some(flat(60).at_the_money()));
        assert_eq!(Surfaces::<Test>::get(BTC).0[1].observed_at, seen);

        // The ladder, by the older of the slices that an expiry lies between.
        for (age, freshness) in [
            (0, Freshness::Fresh),
            (60_000, Freshness::Fresh),
            (60_001, Freshness::Standing),
            (150_000, Freshness::Standing),
            (150_001, Freshness::Stale),
            (10 * DAY, Freshness::Stale),
        ] {
            let now = seen + age;
            assert_eq!(Oracle::surface_freshness(BTC, two, now), freshness, "{age}");
            assert_eq!(Oracle::surface_freshness(BTC, two - DAY, now), freshness);
            let is_fresh = freshness != Freshness::Stale;
            assert_eq!(self::is_fresh(BTC, two, now), is_fresh);
        }
        let first = Surfaces::<Test>::get(BTC).0[0].observed_at;
        assert!(first > seen);
        assert!(is_fresh(BTC, NOW + 7 * DAY, first + 150_000));
        assert!(!is_fresh(BTC, two + 1, seen), "nothing lies beyond");
        assert!(!is_fresh(USDC, two, seen));
    });
}

#[test]
fn the_next_nearest_is_taken_when_the_nearest_smile_admits_a_butterfly() {
    with_surface(5, |keys| {
        // The liar is the median of all at every point but that of his spike.
        let liar = spiked(62, 1);
        let others = [50, 56, 66, 70].map(|v| weeks(&[v]));
        let distance = |smile: Smile| {
            let mut centre = flat(62);
            centre.0[MONEY + 2] = flat(66).at_the_money();
            smile.distance(&centre)
        };
        assert!(others
            .iter()
            .all(|o| distance(liar.smile) < distance(o[0].smile)));
        let mut observed = others.to_vec();
        observed.push(vec![liar]);
        renew(keys, &observed);
        assert_eq!(renewed(), Some((vec![NOW + 7 * DAY], vec![])));
        assert_eq!(money(NOW + 7 * DAY), Some(flat(66).at_the_money()));
    });
}

#[test]
fn whoever_spoils_every_expiry_is_outlasted_when_tries_are_few() {
    // Of seven two lie about twelve expiries: 24 tries beyond the first of each, of which there are twelve a close.
    with_surface(7, |keys| {
        assert_eq!(spare_tries(7), MAX_EXPIRIES);
        let all = |smile: &dyn Fn(u64) -> ObservedSmile| (1..=12).map(smile).collect::<Vec<_>>();
        let honest = |percent| {
            all(&|week| ObservedSmile {
                expiry: NOW + week * 7 * DAY,
                smile: flat(percent),
            })
        };
        let lies = |percent| all(&|week| spiked(percent, week));
        let observed = [
            honest(40),
            honest(45),
            honest(75),
            honest(80),
            honest(85),
            lies(65),
            lies(70),
        ];
        let mut open: Vec<Millis> = (1..=12).map(|week| NOW + week * 7 * DAY).collect();
        for renewals in [6, 6] {
            System::reset_events();
            renew(keys, &observed);
            let (renewed, refused) = renewed().unwrap();
            assert_eq!((renewed.len(), refused.len()), (renewals, 12 - renewals));
            open.retain(|expiry| !renewed.contains(expiry));
            next_block(1_000);
        }
        assert!(open.is_empty());
    });
}

#[test]
fn what_is_known_of_an_expiry_stays_as_fresh_as_it_was_when_observation_ended() {
    for (before, freshness) in [
        (20_000, Freshness::Fresh),
        (60_001, Freshness::Standing),
        (150_001, Freshness::Stale),
    ] {
        with_surface(3, |keys| {
            // Seen for the last time so long before observation ends.
            let expiry = NOW + LEAST_TIME + before;
            let smile = flat(60);
            let seen = || vec![ObservedSmile { expiry, smile }, weeks(&[60])[0]];
            renew(keys, &[seen(), seen(), seen()]);
            for now in [expiry - LEAST_TIME, expiry - LEAST_TIME / 2, expiry - 1] {
                assert_eq!(Oracle::surface_freshness(BTC, expiry, now), freshness);
            }
            assert_eq!(
                Oracle::surface_freshness(BTC, expiry, expiry),
                Freshness::Stale
            );
        });
    }
}

#[test]
fn the_next_expiry_keeps_its_slice_when_as_many_others_are_renewed_as_fit() {
    let slice = |week: u64, observed_at| Slice {
        expiry: NOW + week * 7 * DAY,
        observed_at,
        smile: flat(60),
    };
    let renewed = (2..=13).map(|week| slice(week, NOW)).collect();
    let old = Surface(BoundedVec::truncate_from(vec![slice(1, NOW - 1)]));
    let merged = merge(renewed, old, NOW).0;
    let weeks: Vec<u64> = merged
        .iter()
        .map(|s| (s.expiry - NOW) / (7 * DAY))
        .collect();
    assert_eq!(weeks, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13]);
}

#[test]
fn of_two_smiles_with_a_calendar_spread_for_nothing_neither_is_taken() {
    with_surface(3, |keys| {
        // Three weeks at 30 % have less variance than two at 60 %.
        let bad = || weeks(&[60, 60, 30, 60]);
        renew(keys, &[bad(), bad(), bad()]);
        let week = |n: u64| NOW + n * 7 * DAY;
        assert_eq!(
            renewed(),
            Some((
                vec![week(1), week(4)],
                vec![(week(2), Flaw::Calendar), (week(3), Flaw::Calendar)]
            ))
        );
        let kept: Vec<Millis> = Surfaces::<Test>::get(BTC)
            .0
            .iter()
            .map(|s| s.expiry)
            .collect();
        assert_eq!(kept, [week(1), week(4)]);
        // What lies between is interpolated.
        assert!(variance(BTC, week(2), BlockMillis::get()).is_some());
    });
}

#[test]
fn a_last_good_slice_gives_way_when_its_new_neighbours_contradict_it() {
    with_surface(3, |keys| {
        let good = || weeks(&[60, 60, 60]);
        renew(keys, &[good(), good(), good()]);
        let week = |n: u64| NOW + n * 7 * DAY;
        // Volatility doubles, and the second week's smile is bad: at 60 % it would have less variance than the first.
        let bad = || vec![weeks(&[120])[0], spiked(120, 2), weeks(&[120, 120, 120])[2]];
        next_block(1_000);
        renew(keys, &[bad(), bad(), bad()]);
        let kept: Vec<Millis> = Surfaces::<Test>::get(BTC)
            .0
            .iter()
            .map(|s| s.expiry)
            .collect();
        assert_eq!(kept, [week(1), week(3)]);
        assert!(is_fresh(BTC, week(2), BlockMillis::get()));
    });
}

#[test]
fn a_slice_leaves_when_its_expiry_has_passed() {
    with_surface(3, |keys| {
        let smiles = || weeks(&[60, 60]);
        renew(keys, &[smiles(), smiles(), smiles()]);
        let week = NOW + 7 * DAY;
        assert_eq!(variance(BTC, week, week), None);
        next_block(7 * DAY);
        let later = || vec![weeks(&[0, 50])[1]];
        renew(keys, &[later(), later(), later()]);
        let kept: Vec<Millis> = Surfaces::<Test>::get(BTC)
            .0
            .iter()
            .map(|s| s.expiry)
            .collect();
        assert_eq!(kept, [NOW + 14 * DAY]);
    });
}

#[test]
fn listed_strikes_are_looked_at_as_well() {
    with_surface(3, |keys| {
        set_price(BTC, "20000", NOW);
        // A blunt top at x = 0.7 of a week, as high as the grid alone lets pass.
        let blunt = |percent: u64| {
            let mut smile = flat(60);
            smile.0[MONEY + 5] = smile.0[MONEY + 5] * percent / 100;
            vec![ObservedSmile {
                expiry: NOW + 7 * DAY,
                smile,
            }]
        };
        let flaws = |percent| without_arbitrage(blunt(percent), NOW).1.len();
        let percent = (100..200).rev().find(|p| flaws(*p) == 0).unwrap();
        assert!(percent > 100);
        renew(keys, &[blunt(percent), blunt(percent), blunt(percent)]);
        assert_eq!(renewed(), Some((vec![NOW + 7 * DAY], vec![])));
        // 20,000·exp(0.7·√(7/365)) is 22,036.
        // Each has a call and a put, and many are listed farther away: the nearest count.
        let strikes = ["21800", "22036", "22280"].map(String::from).into_iter();
        let far = (0..64).map(|n| (24_000 + 10 * n).to_string());
        let listed = far.chain(strikes).flat_map(|k| [k.clone(), k]);
        ListedOptions::set(listed.map(|k| (NOW + 7 * DAY, k)).collect());
        next_block(1_000);
        renew(keys, &[blunt(percent), blunt(percent), blunt(percent)]);
        assert_eq!(
            renewed(),
            Some((vec![], vec![(NOW + 7 * DAY, Flaw::Butterfly)]))
        );
    });
}

#[test]
fn observations_are_cleared_when_the_set_changes_and_the_surface_stands() {
    with_surface(3, |keys| {
        let smiles = || weeks(&[60]);
        renew(keys, &[smiles(), smiles(), smiles()]);
        // A session begins before the close of its block, not after it.
        next_block(1_000);
        set_validators(&[generate("//Other")]);
        assert_eq!(SurfaceObservations::<Test>::iter().count(), 0);
        assert_eq!(Surfaces::<Test>::get(BTC).0.len(), 1);
    });
}

#[test]
fn a_surface_goes_with_the_policy_that_wanted_it() {
    with_surface(3, |keys| {
        let smiles = || weeks(&[60]);
        renew(keys, &[smiles(), smiles(), smiles()]);
        next_block(1_000);
        apply(observe_surface(&keys[0], 0, &smiles(), |_| {})).unwrap();
        put(Change::Feed(BTC, Some(Feed::new("BTC"))));
        assert!(Surfaces::<Test>::get(BTC).0.is_empty());
        for _ in 0..WINDOW {
            next_block(1_000);
            close();
        }
        assert!(SurfacesDue::<Test>::get().is_empty());
        assert!(!Surfaces::<Test>::contains_key(BTC));
    });
}

#[test]
fn one_surface_is_renewed_a_close_and_reserved_for_when_it_is_due() {
    with_surface(3, |keys| {
        let chains = |symbol| Feed {
            min_chains: 2,
            ..Feed::new(symbol)
        };
        put(Change::Feed(9, Some(chains("ETH"))));
        let calm = Oracle::close_weight();
        for (at, key) in keys.iter().enumerate() {
            for feed in [BTC, 9] {
                apply(observe_surface(key, at as u32, &weeks(&[60]), |o| {
                    o.feed = feed
                }))
                .unwrap();
            }
        }
        assert_eq!(
            Oracle::close_weight(),
            calm,
            "what is due later is reserved later"
        );
        for _ in 0..WINDOW {
            next_block(1_000);
        }
        assert!(Oracle::close_weight().ref_time() > calm.ref_time());
        close();
        assert!(Surfaces::<Test>::contains_key(BTC) && !Surfaces::<Test>::contains_key(9));
        next_block(1_000);
        assert!(Oracle::close_weight().ref_time() > calm.ref_time());
        close();
        assert!(Surfaces::<Test>::contains_key(9));
        assert_eq!(Oracle::close_weight(), calm);
    });
}

#[test]
fn a_policy_wants_two_chains_or_none_and_few_feeds_have_a_surface() {
    with_validators(1, |_| {
        let chains = |min_chains| Feed {
            min_chains,
            ..Feed::new("X")
        };
        let schedule = |feed, new| Oracle::schedule_feed(RuntimeOrigin::root(), feed, Some(new));
        assert_noop!(schedule(BTC, chains(1)), Error::<Test>::BadPolicy);
        for feed in 10..10 + MAX_SURFACES as u16 {
            put(Change::Feed(feed, Some(chains(2))));
        }
        assert_noop!(schedule(BTC, chains(2)), Error::<Test>::TooManySurfaces);
        // Away altogether, or by steps.
        assert_noop!(schedule(10, chains(2)), Error::<Test>::Unchanged);
        assert_noop!(
            schedule(10, chains(3 + MAX_STEP)),
            Error::<Test>::StepTooLarge
        );
        assert_ok!(schedule(10, chains(2 + MAX_STEP)));
        assert_ok!(schedule(11, chains(0)));
        close_when_due();
        assert_ok!(schedule(
            BTC,
            Feed {
                symbol: Text::truncated("BTC"),
                ..chains(2)
            }
        ));
    });
}
