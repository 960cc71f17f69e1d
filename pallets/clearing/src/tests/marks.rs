use crate::{marks::*, mock::*, Event, Phase, States, View};
use novate_types::{FeedPrice, MarketStatus, Price, RestedQuotes, RiskView, Ticks, MILLION};
use proptest::prelude::*;
use sp_runtime::{traits::One, FixedPointNumber};

const BAND: u32 = 10_000;

fn half() -> Price {
    Price::from_rational(1, 2)
}

fn quotes(bid: Option<Ticks>, ask: Option<Ticks>) -> RestedQuotes {
    RestedQuotes {
        bid,
        ask,
        ..Default::default()
    }
}

/// Marks at an index of 20,000 with ticks of 0.5: quotes and last in USD, basis in USD, mark in USD.
#[test]
fn mark_is_the_median_of_basis_quotes_and_index_when_a_table_says() {
    type Row = (Option<Ticks>, Option<Ticks>, Option<Ticks>, i128, u128);
    let table: &[Row] = &[
        // Nothing but the index.
        (None, None, None, 0, 20_000),
        // The quotes and the average agree on a premium: the nearer of the two.
        (Some(20_040), Some(20_060), Some(20_050), 30, 20_030),
        (Some(20_010), Some(20_030), Some(20_020), 50, 20_020),
        // A discount.
        (Some(19_960), Some(19_980), Some(19_970), -20, 19_980),
        // Quotes without an average, or an average without quotes, leave the index.
        (Some(20_100), Some(20_120), Some(20_110), 0, 20_000),
        (None, None, None, 100, 20_000),
        // Both against each other.
        (Some(20_100), Some(20_120), Some(20_110), -50, 20_000),
        // One side missing: the index stands in for it, the median of bid, index and last counts.
        (Some(20_040), None, Some(20_020), 100, 20_020),
        (Some(20_040), None, None, 100, 20_000),
        // A last trade alone does not move it.
        (None, None, Some(21_000), 100, 20_000),
        // Beyond the band of 1 %.
        (Some(20_900), Some(21_100), Some(21_000), 500, 20_200),
        (Some(18_900), Some(19_100), Some(19_000), -20_500, 19_800),
    ];
    for (bid, ask, last, basis, expected) in table {
        let to_ticks = |price: &Option<Ticks>| price.map(ticks);
        let found = mark(
            usd(20_000),
            basis * Price::DIV as i128,
            &quotes(to_ticks(bid), to_ticks(ask)),
            to_ticks(last),
            half(),
            BAND,
        );
        assert_eq!(
            found,
            Ok(usd(*expected)),
            "{bid:?} {ask:?} {last:?} {basis}"
        );
    }
}

#[test]
fn average_moves_by_elapsed_over_span_plus_elapsed_when_sampled() {
    // 150 s over a span of 150 s is half of the way; nothing when no time passed.
    assert_eq!(average(100, 200, 150_000, 150_000), Ok(150));
    assert_eq!(average(100, 200, 0, 150_000), Ok(100));
    assert_eq!(average(100, -200, 150_000, 150_000), Ok(-50));
}

#[test]
fn basis_sample_is_limited_to_the_band_when_a_quote_is_absurd() {
    let dollars = |n: i128| n * Price::DIV as i128;
    let sample = |bid, ask| basis_sample(usd(20_000), &quotes(bid, ask), half(), BAND);
    assert_eq!(
        sample(Some(ticks(20_010)), Some(ticks(20_030))),
        Ok(dollars(20))
    );
    assert_eq!(
        sample(Some(ticks(1)), Some(ticks(20_000))),
        Ok(dollars(-200))
    );
    assert_eq!(
        sample(Some(ticks(20_000)), Some(Ticks::MAX >> 8)),
        Ok(dollars(200))
    );
    assert_eq!(sample(Some(ticks(20_010)), None), Ok(0));
}

#[test]
fn depeg_adds_the_whole_discount_when_below_the_threshold() {
    let at = |cents| depeg_add_on(Price::from_rational(cents, 100)).unwrap();
    assert_eq!(
        [at(101), at(100), at(98), at(97), at(88)],
        [0, 0, 0, 30_000, 120_000]
    );
}

#[test]
fn collateral_price_divides_by_the_settlement_price_only_above_one() {
    let price = |s| collateral_price(usd(100), Price::from_rational(s, 100)).unwrap();
    assert_eq!(price(90), usd(100));
    assert_eq!(price(100), usd(100));
    assert_eq!(price(125), usd(80));
    // 100 / 1.03 rounds down.
    assert_eq!(price(103), Price::from_inner(97_087_378_640_776_699_029));
}

#[test]
fn confidence_rounds_up_when_it_enters_initial_margin() {
    let feed = |confidence| FeedPrice {
        price: usd(30_000),
        confidence: Price::from_inner(confidence),
        observed_at: 0,
        block: 0,
    };
    assert_eq!(confidence_add_on(&feed(0)), Ok(0));
    assert_eq!(confidence_add_on(&feed(1)), Ok(1));
    assert_eq!(confidence_add_on(&feed(30 * Price::DIV)), Ok(1_000));
    assert_eq!(confidence_add_on(&feed(u128::MAX)), Ok(MILLION));
}

proptest! {
    #[test]
    fn mark_never_leaves_the_band_or_the_range_of_its_inputs(
        index in 1u128..1 << 90,
        basis in -(1i128 << 90)..1 << 90,
        bid: Option<u32>,
        ask: Option<u32>,
        last: Option<u32>,
    ) {
        let index = Price::from_inner(index * 1_000);
        let quoted = quotes(bid.map(u64::from), ask.map(u64::from));
        let found = mark(index, basis, &quoted, last.map(u64::from), half(), BAND).unwrap();
        let (low, high) = (index.into_inner() / 100 * 99, index.into_inner() / 100 * 101 + 101);
        prop_assert!((low..=high).contains(&found.into_inner()));
        if basis == 0 {
            prop_assert_eq!(found, index);
        }
    }

    #[test]
    fn average_lies_between_old_and_sample(old: i64, sample: i64, elapsed in 0u64..1 << 40) {
        let found = average(i128::from(old), i128::from(sample), elapsed, 150_000).unwrap();
        let (low, high) = (old.min(sample), old.max(sample));
        prop_assert!((i128::from(low)..=i128::from(high)).contains(&found));
    }
}

fn status() -> (MarketStatus, bool) {
    let market = market_view();
    (market.status, market.fresh)
}

#[test]
fn staleness_closes_in_steps_when_a_price_ages() {
    new_test_ext().execute_with(|| {
        run(1);
        assert_eq!(status(), (MarketStatus::Open, true));
        // One second a block; the price stays as old as it is.
        let mut seen = Vec::new();
        for age in 1..=62 {
            next_block();
            close();
            seen.push((age, status()));
        }
        for (age, found) in seen {
            let expected = match age {
                0..=6 => (MarketStatus::Open, true),
                7..=15 => (MarketStatus::Open, false),
                16..=60 => (MarketStatus::ReduceOnly, false),
                _ => (MarketStatus::Halted, false),
            };
            assert_eq!(found, expected, "at age {age}");
        }
    });
}

#[test]
fn a_halted_market_takes_orders_then_is_uncrossed_then_liquidates_when_its_price_returns() {
    new_test_ext().execute_with(|| {
        next_block();
        Now::mutate(|now| *now = now.map(|now| now + 61_000));
        close();
        assert_eq!(status().0, MarketStatus::Halted);
        steps();

        let did = |what: &str| steps().contains(&(what.into(), BTC));
        // Three blocks of deposits and orders.
        for _ in 0..3 {
            run(1);
            assert_eq!(status(), (MarketStatus::Open, false));
            assert!(did("collect"));
        }
        // It is uncrossed, and nobody is liquidated on this price yet.
        run(1);
        assert_eq!(status(), (MarketStatus::Open, false));
        assert!(did("uncross"));
        run(1);
        assert_eq!(status(), (MarketStatus::Open, true));
        assert!(did("match"));
    });
}

#[test]
fn reopening_starts_again_when_the_price_goes_again() {
    new_test_ext().execute_with(|| {
        next_block();
        Now::mutate(|now| *now = now.map(|now| now + 61_000));
        close();
        run(2);
        assert!(matches!(
            States::<Test>::get()[0].phase,
            Phase::Reopening { .. }
        ));
        Now::mutate(|now| *now = now.map(|now| now + 6_000));
        next_block();
        close();
        assert_eq!(States::<Test>::get()[0].phase, Phase::Closed);
        assert_eq!(status(), (MarketStatus::Halted, false));
    });
}

#[test]
fn a_price_stays_fresh_and_funds_nothing_when_governance_halts_its_market() {
    new_test_ext().execute_with(|| {
        deposit(ALICE, 1_000);
        deposit(BOB, 1_000);
        open(ALICE, BOB, 100, ticks(20_000));
        run(1);
        let index = market_view().funding_index;
        Instruments::mutate(BTC, |i| i.as_mut().unwrap().status = MarketStatus::Halted);
        steps();
        run(1);
        assert!(!steps().contains(&("match".into(), BTC)));
        assert_eq!(status(), (MarketStatus::Halted, true));
        assert!(assess(ALICE).fresh);
        Clearing::withdraw(RuntimeOrigin::signed(ALICE), 0, USDC, 1_000_000).unwrap();
        run(3);
        assert_eq!(market_view().funding_index, index);
        assert_eq!(Wallets::get((ALICE, USDC)), Some(1_000_000));
        // Its age counts as ever.
        for _ in 0..7 {
            next_block();
            close();
        }
        assert_eq!(status(), (MarketStatus::Halted, false));
    });
}

#[test]
fn the_first_prices_after_a_gap_are_not_trusted_although_governance_halts_the_market() {
    new_test_ext().execute_with(|| {
        Instruments::mutate(BTC, |i| i.as_mut().unwrap().status = MarketStatus::Halted);
        next_block();
        Now::mutate(|now| *now = now.map(|now| now + 61_000));
        close();
        for _ in 0..4 {
            run(1);
            assert_eq!(status(), (MarketStatus::Halted, false));
        }
        run(1);
        assert_eq!(status(), (MarketStatus::Halted, true));
    });
}

#[test]
fn governance_halts_and_reopens_by_the_same_steps() {
    new_test_ext().execute_with(|| {
        Instruments::mutate(BTC, |i| i.as_mut().unwrap().status = MarketStatus::Halted);
        run(1);
        assert_eq!(status(), (MarketStatus::Halted, true));
        Instruments::mutate(BTC, |i| {
            i.as_mut().unwrap().status = MarketStatus::ReduceOnly
        });
        run(3);
        assert_eq!(status(), (MarketStatus::ReduceOnly, false));
        run(2);
        assert_eq!(status(), (MarketStatus::ReduceOnly, true));
        let changes: Vec<_> = events()
            .into_iter()
            .filter_map(|event| match event {
                Event::StatusChanged {
                    market: BTC,
                    from,
                    to,
                } => Some((from, to)),
                _ => None,
            })
            .collect();
        assert_eq!(
            changes,
            [
                (MarketStatus::Open, MarketStatus::Halted),
                (MarketStatus::Halted, MarketStatus::ReduceOnly)
            ]
        );
    });
}

#[test]
fn a_market_without_a_price_is_halted_and_has_no_mark() {
    new_test_ext().execute_with(|| {
        Instruments::insert(ETH, instrument("ETH-PERP", ETH_FEED));
        run(1);
        let view = View::<Test>::get();
        let market = view.market(ETH).unwrap();
        assert_eq!((market.status, market.fresh), (MarketStatus::Halted, false));
        assert_eq!(
            (market.mark, market.index),
            (Price::default(), Price::default())
        );
    });
}

#[test]
fn a_market_halts_as_it_stood_when_its_numbers_are_out_of_range() {
    new_test_ext().execute_with(|| {
        let before = market_view();
        set_price(BTC_FEED, Price::from_inner(u128::MAX));
        run(1);
        let after = market_view();
        assert_eq!((after.status, after.fresh), (MarketStatus::Halted, false));
        assert_eq!(after.mark, before.mark);
    });
}

#[test]
fn a_market_halts_at_its_last_mark_when_its_feed_is_removed() {
    new_test_ext().execute_with(|| {
        let before = market_view();
        Feeds::remove(BTC_FEED);
        run(1);
        let after = market_view();
        assert_eq!((after.status, after.fresh), (MarketStatus::Halted, false));
        assert_eq!((after.mark, after.index), (before.mark, before.index));
        assert_eq!(
            (after.observed_at, after.imf),
            (before.observed_at, before.imf)
        );
    });
}

#[test]
fn quotes_say_nothing_when_the_market_admits_only_reductions() {
    new_test_ext().execute_with(|| {
        Quotes::insert(BTC, quotes(Some(ticks(20_049)), Some(ticks(20_051))));
        run(50);
        assert!(market_view().mark > usd(20_000));
        Instruments::mutate(BTC, |i| {
            i.as_mut().unwrap().status = MarketStatus::ReduceOnly;
        });
        run(1);
        assert_eq!(market_view().mark, usd(20_000));
        assert!(market_view().fresh);
    });
}

#[test]
fn a_quote_beyond_the_range_of_prices_is_no_quote() {
    let tick = Price::from_inner(u128::MAX / 4);
    let index = usd(20_000);
    let absurd = quotes(Some(1), Some(Ticks::MAX));
    assert_eq!(basis_sample(index, &absurd, tick, 10_000), Ok(0));
    assert_eq!(
        mark(index, 0, &absurd, Some(Ticks::MAX), tick, 10_000),
        Ok(index)
    );
}

#[test]
fn mark_follows_quotes_only_as_the_average_does_when_they_persist() {
    new_test_ext().execute_with(|| {
        Quotes::insert(BTC, quotes(Some(ticks(20_049)), Some(ticks(20_051))));
        // The last trade is what the quotes say.
        States::<Test>::mutate(|s| {
            let at = Now::get().unwrap();
            s[0].last = Some(crate::LastTrade {
                ticks: ticks(20_050),
                at,
            });
        });
        run(1);
        let first = market_view().mark;
        // 1/151 of 50 USD.
        assert!(first > usd(20_000) && first < Price::from_rational(200_004, 10));
        run(50);
        let later = market_view().mark;
        assert!(later > first && later < usd(20_049));
        // Halted and back: the average starts anew and the mark is the index.
        Instruments::mutate(BTC, |i| i.as_mut().unwrap().status = MarketStatus::Halted);
        run(1);
        assert_eq!(market_view().mark, usd(20_000));
    });
}

#[test]
fn initial_margin_rises_everywhere_when_the_settlement_currency_depegs() {
    new_test_ext().execute_with(|| {
        assert_eq!(market_view().imf, 50_000);
        set_price(USDC_FEED, Price::from_rational(90, 100));
        run(1);
        assert_eq!((market_view().imf, market_view().mmf), (150_000, 30_000));
        // However old that price is.
        set_price(BTC_FEED, usd(20_000));
        for _ in 0..20 {
            next_block();
            set_price(BTC_FEED, usd(20_000));
            close();
        }
        assert_eq!(market_view().imf, 150_000);
    });
}

#[test]
fn collateral_counts_for_nothing_when_its_price_is_stale() {
    new_test_ext().execute_with(|| {
        let gold = || {
            let view: RiskView = View::<Test>::get();
            let found = view.collateral(GOLD).unwrap();
            (found.price, found.fresh)
        };
        assert_eq!(gold(), (usd(100), true));
        set_price(USDC_FEED, Price::from_rational(125, 100));
        run(1);
        assert_eq!(gold(), (usd(80), true));
        for _ in 0..7 {
            next_block();
            set_price(GOLD_FEED, usd(100));
            close();
        }
        // The settlement currency's price is the stale one.
        assert_eq!(gold(), (Price::default(), false));
        assert!(Price::one() < usd(80));
    });
}

#[test]
fn initial_margin_grows_with_open_interest_when_it_passes_the_lower_cap() {
    new_test_ext().execute_with(|| {
        deposit(ALICE, 1_000_000_000_000);
        deposit(BOB, 1_000_000_000_000);
        // 75,000 BTC at 20,000: 1.5 billion USD, half-way from 5 % to 100 %.
        open(ALICE, BOB, 75_000_000, ticks(20_000));
        run(1);
        assert_eq!(market_view().imf, 525_000);
        assert_eq!(market_view().mmf, 30_000);
    });
}

#[test]
fn the_open_interest_cap_shrinks_with_what_covers_it_and_comes_back() {
    new_test_ext().execute_with(|| {
        let cap = || {
            run(1);
            View::<Test>::get().market(BTC).unwrap().open_interest_cap
        };
        let governed = cap();
        assert_eq!(
            governed,
            Instruments::get(BTC).unwrap().params.open_interest_cap
        );
        for (covered, expected) in [
            (750_000, governed / 4 * 3),
            (1, governed / 1_000_000),
            (0, 0),
            (1_000_000, governed),
            // Never more than governance set.
            (2_000_000, governed),
        ] {
            Covered::put(covered);
            assert_eq!(cap(), expected);
        }
    });
}

#[test]
fn scans_follow_volatility_as_the_markets_tier_does() {
    new_test_ext().execute_with(|| {
        let added = || {
            run(1);
            View::<Test>::get().market(BTC).unwrap().contract.scan_added
        };
        assert_eq!(added(), 0);
        Factor::set(1_250_000);
        assert_eq!(added(), 250_000);
        Factor::set(MILLION);
        assert_eq!(added(), 0);
    });
}
