use crate::{
    funding::{mean, roll, MINUTE, PAST_MINUTES},
    mock::*,
    Event, PremiumHistory, PremiumMinute, Premiums, States,
};
use novate_types::{Ledger, MarketStatus, Pot, Price, RestedQuotes};

/// One in 10¹².
const PPT: i64 = 1_000_000_000_000;

fn premium_of(percent_of_percent: u128) -> RestedQuotes {
    let impact = usd(20_000).into_inner() / 10_000 * (10_000 + percent_of_percent);
    RestedQuotes {
        impact_bid: Some(Price::from_inner(impact)),
        ..Default::default()
    }
}

#[test]
fn mean_divides_by_the_whole_hour_when_minutes_have_no_sample() {
    let premiums = Premiums {
        minute: 100,
        sum: 0,
        past: i128::from(PPT) * 60_000,
    };
    // One minute of the 59 before this one, at the very start of this one.
    assert_eq!(mean(&premiums, 100 * MINUTE), Ok(PPT / 59));
    // Below zero it rounds towards −∞.
    let one = Premiums {
        minute: 100,
        sum: -1,
        past: 0,
    };
    assert_eq!(mean(&one, 100 * MINUTE + 1), Ok(-1));
}

#[test]
fn roll_keeps_the_minutes_of_the_hour_when_time_passes() {
    let bucket = |minute| PremiumMinute {
        minute,
        sum: i128::from(minute),
    };
    let past: Vec<_> = (1..60).map(bucket).collect();
    let (kept, sum) = roll(past.clone(), bucket(60), 61).unwrap();
    assert_eq!(kept.len(), PAST_MINUTES as usize);
    assert_eq!(kept.first(), Some(&bucket(2)));
    assert_eq!(sum, (2..=60).sum::<i128>());
    // A gap of half an hour, and one of more than the hour.
    assert_eq!(roll(past.clone(), bucket(60), 91).unwrap().0.len(), 29);
    assert_eq!(roll(past, bucket(60), 1_000).unwrap(), (vec![], 0));
}

#[test]
fn funding_is_the_interest_when_the_book_has_no_depth() {
    new_test_ext().execute_with(|| {
        let before = market_view().funding_index;
        run(60);
        // 0.01 % of 20 USD (a lot at the index) in 8 hours: 2,000 quantums, over one minute of 480.
        let accrued = market_view().funding_index - before;
        let expected = (2_000i128 << 32) / 480;
        assert!(
            (expected - accrued).abs() <= 60,
            "{accrued} is not {expected}"
        );
    });
}

#[test]
fn funding_is_the_mean_premium_when_it_lasts_for_an_hour() {
    new_test_ext().execute_with(|| {
        // 0.25 % for an hour and a minute, in blocks of 20 s to keep the test short.
        Quotes::insert(BTC, premium_of(25));
        for _ in 0..183 {
            next_block();
            Now::mutate(|now| *now = now.map(|now| now + 19_000));
            refresh();
            close();
        }
        let state = States::<Test>::get()[0];
        assert_eq!(mean(&state.premiums, Now::get().unwrap()), Ok(PPT / 400));
        // The rate is P̄ + clamp(0.01 % − P̄, ±0.05 %) = 0.2 %.
        let rates: Vec<_> = events()
            .into_iter()
            .filter_map(|event| match event {
                Event::FundingAccrued {
                    market: BTC, rate, ..
                } => Some(rate),
                _ => None,
            })
            .collect();
        assert_eq!(rates.last(), Some(&(PPT / 500)));
        // Once a minute.
        assert_eq!(rates.len(), 61);

        let before = market_view().funding_index;
        run(1);
        let accrued = market_view().funding_index - before;
        // 0.2 % of 20 USD: 40,000 quantums in 28,800 s.
        let expected = (40_000i128 << 32) / 28_800;
        assert!(
            (expected - accrued).abs() <= 1,
            "{accrued} is not {expected}"
        );
    });
}

#[test]
fn funding_accrues_for_the_time_that_passed_up_to_its_longest_span() {
    new_test_ext().execute_with(|| {
        let step = |millis: u64| {
            let before = market_view().funding_index;
            next_block();
            Now::mutate(|now| *now = now.map(|now| now - 1_000 + millis));
            refresh();
            close();
            market_view().funding_index - before
        };
        let second = step(1_000);
        assert!(second > 0);
        assert!((step(12_000) - 12 * second).abs() <= 12);
        assert_eq!(step(600_000), step(30_000));
    });
}

#[test]
fn funding_stands_still_when_the_price_is_stale_or_the_market_halted() {
    new_test_ext().execute_with(|| {
        for _ in 0..7 {
            next_block();
            close();
        }
        let before = market_view().funding_index;
        for _ in 0..70 {
            next_block();
            close();
        }
        assert_eq!(market_view().status, MarketStatus::Halted);
        assert_eq!(market_view().funding_index, before);
        // Back again: the time of the halt is not made up for.
        run(5);
        let accrued = market_view().funding_index - before;
        assert!(accrued > 0 && accrued < (1_000i128 << 32) / 28_800 * 3 * 3);
    });
}

#[test]
fn the_funding_pot_keeps_only_roundings_when_everybody_settled() {
    new_test_ext().execute_with(|| {
        for owner in [ALICE, BOB, CHARLIE] {
            deposit(owner, 100_000);
        }
        open(ALICE, BOB, 3_333, ticks(20_000));
        open(ALICE, CHARLIE, 1_111, ticks(20_000));
        Quotes::insert(BTC, premium_of(50));
        run(120);
        let longs = cash_of(ALICE);
        for (side, owner) in [(1, ALICE), (-1, BOB), (-1, CHARLIE)] {
            let mut account = Accounts::get(of(owner)).unwrap();
            let paid = novate_risk::settle_funding(&mut account, &market_view()).unwrap();
            assert!(paid * side > 0, "longs pay, shorts receive");
            MockLedger::credit_pot(Pot::Funding(BTC), paid).unwrap();
            Accounts::insert(of(owner), account);
        }
        assert!(cash_of(ALICE) < longs);
        // A quantum at most from each of three.
        assert!((0..=3).contains(&MockLedger::pot(Pot::Funding(BTC))));
        assert_conserved();
    });
}

#[test]
fn history_is_written_once_a_minute() {
    new_test_ext().execute_with(|| {
        Quotes::insert(BTC, premium_of(25));
        run(30);
        let len = PremiumHistory::<Test>::get(BTC).len();
        run(20);
        assert_eq!(PremiumHistory::<Test>::get(BTC).len(), len);
        run(20);
        assert_eq!(PremiumHistory::<Test>::get(BTC).len(), len + 1);
    });
}
