//! Parameters that become stricter: everybody is found who then is below maintenance margin, without a sweep, and nobody is
//! liquidated before.

use super::*;
use crate::{ahead::Stricter, Coming, Event, Pallet, Sweeping, Tightenings};
use novate_types::ThresholdSweep;
use proptest::prelude::*;

const RAISED: Ppm = 80_000;

/// [`ASSET`] after a change that makes it count for less.
fn dearer() -> CollateralParams {
    CollateralParams {
        haircut: 150_000,
        value_cap: usd(200),
        ..a_view().collaterals[0].params
    }
}

fn raise(view: &mut RiskView) {
    view.markets[0].mmf = RAISED;
}

/// Closes until a sweep has completed that began after now.
pub fn swept() {
    let since = StoredView::view().block + 1;
    while !<Pallet<Test> as ThresholdSweep>::completed_since(since) {
        close(|_| ());
    }
}

/// Everybody below maintenance margin is in the queue, who holds nothing without a price.
fn nobody_is_missed() {
    let view = StoredView::view();
    for of in Accounts::iter_keys() {
        let touched = crate::index::missing_axis(&account(of.owner), &view).unwrap();
        assert!(
            touched.is_some() || is_queued(of.owner) || !assess(of.owner).is_below_maintenance(),
            "{of:?} was missed: {:?}",
            account(of.owner)
        );
    }
}

#[derive(Clone, Debug)]
enum Step {
    Trade(u64, u64, u16, i64, u64),
    Cash(u64, i128),
    Asset(u64, u128),
    Moves(i64, i64, i64, i128),
}

fn a_step() -> impl Strategy<Value = Step> {
    let owner = || 10u64..22;
    prop_oneof![
        4 => (owner(), owner(), 0u16..2, 1i64..30, 90u64..110)
            .prop_map(|(a, b, m, l, t)| Step::Trade(a, b, m, l, t)),
        2 => (owner(), -20_000_000i128..100_000_000).prop_map(|(a, c)| Step::Cash(a, c)),
        1 => (owner(), 0u128..200).prop_map(|(a, u)| Step::Asset(a, u)),
        3 => (-15_000i64..15_000, -15_000i64..15_000, -5_000i64..5_000, -500_000i128..500_000)
            .prop_map(|(a, b, c, f)| Step::Moves(a, b, c, f)),
    ]
}

fn apply(step: Step) {
    match step {
        Step::Trade(a, b, market, lots, ticks) if a != b => trade(a, b, market, lots, ticks),
        Step::Trade(..) => {}
        Step::Cash(owner, cash) => deposit(owner, cash),
        Step::Asset(owner, units) => deposit_asset(owner, units),
        Step::Moves(a, b, asset, funding) => {
            marks(|view| {
                let moved = |price, ppm| math::shift_floor(price, ppm).unwrap();
                view.markets[0].mark = moved(view.markets[0].mark, a);
                view.markets[1].mark = moved(view.markets[1].mark, b);
                view.collaterals[0].price = moved(view.collaterals[0].price, asset);
                view.markets[0]
                    .accrue_funding(funding << FUNDING_FRACTION_BITS)
                    .unwrap();
            });
            nobody_is_missed();
            Liquidation::do_try_state().unwrap();
            waterfall();
        }
    }
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn nobody_is_missed_when_steps_come_into_force_after_a_sweep(
        before in prop::collection::vec(a_step(), 1..30),
        between in prop::collection::vec(a_step(), 0..30),
        after in prop::collection::vec(a_step(), 0..10),
        fractions in (50_000u32..100_000, 50_000u32..100_000),
        lessens in any::<bool>(),
        apart in any::<bool>(),
    ) {
        new_test_ext().execute_with(|| {
            SweepPerClose::set(3);
            for owner in 10..22 {
                deposit(owner, usd(100 + 20 * i128::from(owner)));
            }
            deposit(VAULT, usd(500));
            before.into_iter().for_each(apply);
            schedule(&[(0, fractions.0), (1, fractions.1)]);
            schedule_asset(lessens.then(dearer));
            let in_force = StoredView::view().markets.iter().map(|m| m.mmf).collect::<Vec<_>>();
            swept();
            // From here on no sweep helps.
            SweepPerClose::set(0);
            assert_eq!(StoredView::view().markets.iter().map(|m| m.mmf).collect::<Vec<_>>(), in_force);
            between.into_iter().for_each(apply);
            events();

            marks(|view| {
                view.markets[0].mmf = fractions.0;
                if !apart {
                    view.markets[1].mmf = fractions.1;
                    view.collaterals[0].params = if lessens { dearer() } else { view.collaterals[0].params };
                }
            });
            nobody_is_missed();
            Liquidation::do_try_state().unwrap();
            waterfall();
            marks(|view| {
                view.markets[1].mmf = fractions.1;
                view.collaterals[0].params = if lessens { dearer() } else { view.collaterals[0].params };
            });
            nobody_is_missed();
            waterfall();
            assert_eq!(Coming::<Test>::get(), Stricter::default());
            after.into_iter().for_each(apply);
            assert!(events().iter().all(|e| !matches!(e, Event::FoundBySweep { .. })));
        });
    }
}

#[test]
fn an_account_below_coming_parameters_only_is_left_alone_until_they_are_in_force() {
    new_test_ext().execute_with(|| {
        SweepPerClose::set(100);
        deposit(LONG, usd(60));
        deposit(SHORT, usd(10_000));
        trade(LONG, SHORT, 0, 10, 100);
        // 60 against 50 now, and 80 then.
        schedule(&[(0, RAISED)]);
        swept();
        SweepPerClose::set(0);
        assert_eq!((is_queued(LONG), standing(LONG)), (false, Standing::Good));

        // It has present thresholds, no dearer than before: nothing is looked at while the price stands.
        let before = account(LONG);
        let waits = |a: &MarginAccount| a.risk.iter().any(|s| s.axis == RiskAxis::Parameters);
        assert!(waits(&before));
        for _ in 0..3 {
            close(|_| ());
        }
        assert_eq!(account(LONG), before);
        assert_eq!(Tightenings::<Test>::get(), 0);

        // In force: found in that close, at a better price too.
        marks(|view| {
            raise(view);
            set_mark(view, 0, 101);
        });
        assert!(is_queued(LONG), "70 against 80.80");
        assert_eq!(Tightenings::<Test>::get(), 1);
        waterfall();
        assert!(!events().contains(&Event::FoundBySweep { account: of(LONG) }));
    });
}

#[test]
fn an_account_below_coming_parameters_is_liquidated_by_present_ones_when_the_price_falls() {
    new_test_ext().execute_with(|| {
        SweepPerClose::set(100);
        deposit(LONG, usd(60));
        deposit(SHORT, usd(10_000));
        trade(LONG, SHORT, 0, 10, 100);
        schedule(&[(0, RAISED)]);
        swept();
        SweepPerClose::set(0);
        close_at(99);
        assert!(!is_queued(LONG), "50 against 49.50");
        close_at(98);
        assert!(is_queued(LONG), "40 against 49");
    });
}

#[test]
fn those_below_coming_parameters_take_no_budget_from_others_until_they_are_in_force() {
    new_test_ext().execute_with(|| {
        SweepPerClose::set(100);
        deposit(SHORT, usd(100_000));
        for owner in 1_000..1_030 {
            deposit(owner, usd(60));
            trade(owner, SHORT, 0, 10, 100);
        }
        a_pair();
        schedule(&[(0, RAISED)]);
        swept();
        (SweepPerClose::set(0), MaxPops::set(2));
        // LONG is bankrupt at once; the others' present thresholds lie at 98.9.
        deposit(LONG, -usd(45));
        assert!(!is_queued(LONG), "55 against 50");
        marks(|view| view.markets[0].mark = Price::from_rational(994, 10));
        assert!(is_queued(LONG), "49 against 49.70");
        waterfall();

        // In force they are carried over, as many a close as there is budget for, and none is lost.
        MaxPops::set(7);
        MaxLiquidations::set(0);
        let mut found = vec![Pallet::<Test>::queued()];
        close(raise);
        for _ in 0..9 {
            found.push(Pallet::<Test>::queued());
            marks(|_| ());
        }
        nobody_is_missed();
        assert!(found.windows(2).all(|w| w[1] - w[0] <= 7), "{found:?}");
        assert!(
            found[1] > found[0] && Pallet::<Test>::queued() >= 30,
            "{found:?}"
        );
    });
}

#[test]
fn whoever_waits_is_left_alone_when_the_change_is_withdrawn() {
    new_test_ext().execute_with(|| {
        SweepPerClose::set(100);
        deposit(LONG, usd(60));
        deposit(SHORT, usd(10_000));
        trade(LONG, SHORT, 0, 10, 100);
        schedule(&[(0, RAISED)]);
        swept();
        schedule(&[]);
        close(|_| ());
        assert!(!Coming::<Test>::exists());
        // Another market's step finds it healthy, and takes it off.
        close(|view| view.markets[1].mmf = RAISED);
        assert!(!is_queued(LONG));
        assert!(account(LONG)
            .risk
            .iter()
            .all(|s| s.axis != RiskAxis::Parameters));
        Liquidation::do_try_state().unwrap();
    });
}

#[test]
fn a_sweep_counts_for_a_change_only_when_it_began_after_it_was_scheduled() {
    new_test_ext().execute_with(|| {
        SweepPerClose::set(1);
        a_pair();
        close(|_| ());
        let began = Sweeping::<Test>::get().unwrap().began;
        schedule(&[(0, RAISED)]);
        swept();
        assert!(Sweeping::<Test>::get().unwrap().completed > Some(began));
        // The short's thresholds are drawn with what is coming: nearer than what is in force asks for.
        let of_short = |a: MarginAccount| a.risk.iter().map(|s| s.bucket).collect::<Vec<_>>();
        let drawn = of_short(account(SHORT));
        schedule(&[]);
        close(|_| ());
        let fresh = {
            StoredLedger::update(&of(SHORT), |a| {
                a.risk = Default::default();
                Ok::<_, LedgerError>(())
            })
            .unwrap();
            deposit(SHORT, 0);
            of_short(account(SHORT))
        };
        assert!(
            drawn[0] <= fresh[0] && drawn != fresh,
            "{drawn:?} {fresh:?}"
        );
    });
}
