//! Collateral auctioned for a debt. An asset's unit is a USD and counts for 0.90; LONG has 1,000 of them.

use super::*;
use crate::pages::Shelf;
use crate::{
    remedies::call::CALL_CLOSES, Error, Event, Pallet, Refusal, RiskDirectory, UncoveredDeficit,
};
use frame_support::{assert_noop, assert_ok};
use proptest::prelude::*;
use sp_runtime::FixedPointNumber;

const TAKER: u64 = 40;

/// What may be owed, from the next close on.
fn lends(view: &mut RiskView, account_cap: Cash) {
    view.loans.account_cap = account_cap;
}

fn bid(taker: u64, fraction: Ppm) {
    let signed = RuntimeOrigin::signed(taker);
    assert_ok!(Liquidation::bid(signed, 0, of(LONG), fraction, 0));
}

fn held(owner: u64) -> (Cash, u128) {
    let account = account(owner);
    let units = account.collateral.first().map_or(0, |(_, amount)| *amount);
    (account.cash, units)
}

/// LONG owes so much beside 1,000 units; whoever bids and the vault have cash.
fn a_debtor(debt: i128) {
    deposit(VAULT, usd(5_000));
    deposit(TAKER, usd(5_000));
    deposit_asset(LONG, 1_000);
    deposit(LONG, -usd(debt));
}

fn discounts() -> Vec<(Cash, Cash)> {
    let filled = |event| match event {
        Event::BidFilled {
            worth, discount, ..
        } => Some((worth, discount)),
        _ => None,
    };
    events().into_iter().filter_map(filled).collect()
}

#[test]
fn a_debt_is_let_be_when_it_is_within_its_cap() {
    new_test_ext().execute_with(|| {
        View::mutate(|view| lends(view.as_mut().unwrap(), usd(90)));
        a_debtor(90);
        assert!(!is_queued(LONG));
        close_at(100);
        assert_eq!(held(LONG), (-usd(90), 1_000_000_000));
        // A quantum more is too much.
        deposit(LONG, -1);
        assert!(is_queued(LONG));
    });
}

#[test]
fn collateral_is_sold_at_its_price_when_somebody_bids_at_once() {
    new_test_ext().execute_with(|| {
        a_debtor(90);
        close_at(100);
        let (since, closes) = (2, 0);
        assert_eq!(standing(LONG), Standing::Called { since, closes });
        let debt = usd(90);
        let account = of(LONG);
        assert!(events().contains(&Event::CollateralCalled { account, debt }));
        let (before, sums) = (assess(LONG).equity, totals());
        bid(TAKER, MILLION);
        close_at(100);
        // 90 units for 90 USD: at the price, of which 81 counted.
        assert_eq!(totals(), sums);
        assert_eq!(held(LONG), (0, 910_000_000));
        assert_eq!(held(TAKER), (usd(4_910), 90_000_000));
        assert_eq!(discounts(), [(usd(9), 0)]);
        assert_eq!(assess(LONG).equity, before + usd(9));
        assert_eq!((standing(LONG), is_queued(LONG)), (Standing::Good, false));
    });
}

#[test]
fn the_discount_grows_to_the_haircut_value_and_the_vault_takes_the_rest_there() {
    new_test_ext().execute_with(|| {
        a_debtor(90);
        close_at(100);
        events();
        for closes in 0..CALL_CLOSES {
            let terms = Pallet::<Test>::competitions(&StoredView::view())[0].2;
            assert_eq!(terms.discount, 250_000 * u32::from(closes));
            // A thousandth of the collateral each time.
            bid(TAKER, 1_000);
            let before = assess(LONG).equity;
            close_at(100);
            let rise = assess(LONG).equity - before;
            let [(worth, discount)] = discounts()[..] else {
                panic!("not one sale")
            };
            assert!(
                worth.abs_diff(terms.worth / 1_000) <= 2,
                "{worth} {terms:?}"
            );
            assert_eq!(discount, worth * i128::from(closes) / 4);
            assert_eq!(rise, worth - discount);
        }
        // Nobody bids in the next.
        let (owed, sums) = (-held(LONG).0, totals());
        close_at(100);
        assert_eq!(totals(), sums);
        let paid = events().into_iter().find_map(|event| match event {
            Event::DebtPaid { paid, .. } => Some(paid),
            _ => None,
        });
        assert_eq!((paid, held(LONG).0), (Some(owed), 0));
        assert_eq!((standing(LONG), is_queued(LONG)), (Standing::Good, false));
    });
}

#[test]
fn a_debtor_waits_and_bids_are_still_taken_when_the_vault_cannot_pay() {
    new_test_ext().execute_with(|| {
        deposit(VAULT, usd(50));
        deposit(TAKER, usd(5_000));
        deposit_asset(LONG, 1_000);
        deposit(LONG, -usd(90));
        for _ in 0..CALL_CLOSES + 3 {
            close_at(100);
        }
        assert_eq!(Pallet::<Test>::queue(9)[0].1.priority, 0);
        let closes = CALL_CLOSES;
        assert_eq!(standing(LONG), Standing::Called { since: 2, closes });
        bid(TAKER, MILLION);
        close_at(100);
        // At the haircut value: 100 units for 90 USD.
        assert_eq!(held(LONG), (0, 900_000_000));
        assert_eq!((standing(LONG), is_queued(LONG)), (Standing::Good, false));
    });
}

#[test]
fn a_deposit_ends_a_call_and_its_bids() {
    new_test_ext().execute_with(|| {
        a_debtor(90);
        close_at(100);
        bid(TAKER, MILLION);
        deposit(LONG, usd(90));
        close_at(100);
        assert_eq!(held(TAKER), (usd(5_000), 0));
        assert_eq!((standing(LONG), is_queued(LONG)), (Standing::Good, false));
        let refusal = Refusal::NotCompeting;
        let (account, taker) = (of(LONG), of(TAKER));
        assert!(events().contains(&Event::BidDropped {
            account,
            taker,
            refusal
        }));
        let signed = RuntimeOrigin::signed(TAKER);
        assert_noop!(
            Liquidation::bid(signed, 0, of(LONG), MILLION, 0),
            Error::<Test>::NotCompeting
        );
    });
}

#[test]
fn everybody_who_owes_is_called_when_the_pot_is_short() {
    new_test_ext().execute_with(|| {
        View::mutate(|view| lends(view.as_mut().unwrap(), usd(1_000)));
        for owner in [LONG, SHORT] {
            deposit_asset(owner, 1_000);
            deposit(owner, -usd(90));
            Accounts::mutate(of(owner), |account| {
                account.as_mut().unwrap().loan = Some(Loan {
                    principal: usd(90),
                    index: 0,
                });
            });
            deposit(owner, 0);
            assert!(!is_queued(owner));
        }
        close(|view| view.loans.is_short = true);
        assert!(is_queued(LONG) && is_queued(SHORT));
        assert!(matches!(standing(LONG), Standing::Called { .. }));
        // As long as it is.
        close(|view| view.loans.is_short = false);
        assert!(!is_queued(LONG) && !is_queued(SHORT));
        assert_eq!(standing(SHORT), Standing::Good);
        assert_eq!(held(LONG), (-usd(90), 1_000_000_000));
    });
}

#[test]
fn collateral_of_an_account_without_positions_is_auctioned_before_fund_and_vault() {
    new_test_ext().execute_with(|| {
        View::mutate(|view| lends(view.as_mut().unwrap(), usd(1_000)));
        a_debtor(850);
        deposit(FUND, usd(500));
        // 1,000 units at 0.92 count for 828, and bring 920.
        let fall = |view: &mut RiskView| {
            view.collaterals[0].price = Price::from_inner(920_000_000_000_000_000);
        };
        close(fall);
        assert!(matches!(standing(LONG), Standing::Called { closes: 0, .. }));
        assert_eq!(UncoveredDeficit::<Test>::get(), usd(22));
        bid(TAKER, MILLION);
        let sums = totals();
        close(|_| ());
        assert_eq!(totals(), sums);
        assert_eq!((held(LONG).0 >= 0, is_queued(LONG)), (true, false));
        assert!(assess(LONG).equity > 0);
        assert_eq!(
            (account(FUND).cash, UncoveredDeficit::<Test>::get()),
            (usd(500), 0)
        );
    });
}

#[test]
fn the_fund_pays_what_collateral_did_not_when_a_crash_leaves_too_little() {
    new_test_ext().execute_with(|| {
        View::mutate(|view| lends(view.as_mut().unwrap(), usd(1_000)));
        a_debtor(850);
        deposit(FUND, usd(500));
        close(|view| view.collaterals[0].price = Price::from_inner(Price::DIV / 2));
        // Worth 500, and a tenth of it is bought at the price.
        bid(TAKER, 100_000);
        let sums = totals();
        close(|_| ());
        assert_eq!(held(LONG), (-usd(800), 900_000_000));
        for _ in 1..=CALL_CLOSES {
            close(|_| ());
        }
        // 450 of collateral count for 405: the fund pays 395, and the vault takes it all over.
        assert_eq!(totals(), sums);
        assert_eq!(account(FUND).cash, usd(105));
        assert_eq!((held(LONG), is_queued(LONG)), ((0, 0), false));
        assert_eq!(held(VAULT), (usd(5_000 - 405), 900_000_000));
        assert_eq!(UncoveredDeficit::<Test>::get(), 0);
    });
}

#[test]
fn collateral_is_for_sale_beside_positions_when_the_market_is_offered_them() {
    new_test_ext().execute_with(|| {
        View::mutate(|view| lends(view.as_mut().unwrap(), usd(1_000)));
        deposit(TAKER, usd(5_000));
        deposit(VAULT, usd(5_000));
        deposit(SHORT, usd(10_000));
        // Ten lots at 100 that 200 units carry: 180 less a debt of 80.
        deposit(LONG, 0);
        deposit_asset(LONG, 200);
        deposit(LONG, -usd(80));
        trade(LONG, SHORT, 0, 10, 100);
        assert_eq!(close_at(94).len(), 1);
        // Equity 40 against 47.
        assert!(matches!(standing(LONG), Standing::Liquidating { .. }));
        bid(TAKER, MILLION);
        let sums = totals();
        close_at(94);
        assert_eq!(totals(), sums);
        // 80 units are sold for 80: that is 8 more than they counted for, and enough.
        assert_eq!(held(LONG), (0, 120_000_000));
        assert_eq!(account(LONG).lots(0), 10);
        assert_eq!(
            (assess(LONG).equity, standing(LONG)),
            (usd(48), Standing::Good)
        );
    });
}

#[test]
fn a_called_account_goes_to_the_market_when_its_positions_bring_it_below_margin() {
    new_test_ext().execute_with(|| {
        deposit(VAULT, usd(5_000));
        deposit(SHORT, usd(10_000));
        deposit(LONG, 0);
        deposit_asset(LONG, 200);
        trade(LONG, SHORT, 0, 10, 100);
        deposit(LONG, -usd(80));
        close_at(100);
        assert!(matches!(standing(LONG), Standing::Called { .. }));
        let begun = |event: &Event<Test>| matches!(event, Event::LiquidationStarted { .. });
        assert!(!events().iter().any(begun));
        assert_eq!(close_at(94).len(), 1);
        assert!(matches!(
            standing(LONG),
            Standing::Liquidating { closes: 1, .. }
        ));
        // It is said once, with what it is worth and needs: 180 − 80 − 60 against 47.
        let started = Event::LiquidationStarted {
            account: of(LONG),
            equity: usd(40),
            maintenance: usd(47),
        };
        let said = |events: Vec<_>| events.into_iter().filter(begun).collect::<Vec<_>>();
        assert_eq!(said(events()), [started]);
        close_at(94);
        assert!(said(events()).is_empty());
    });
}

#[test]
fn an_account_is_found_when_interest_brings_it_below_margin_and_no_price_moves() {
    new_test_ext().execute_with(|| {
        View::mutate(|view| lends(view.as_mut().unwrap(), usd(1_000)));
        deposit(VAULT, usd(5_000));
        deposit(SHORT, usd(10_000));
        deposit(LONG, 0);
        deposit_asset(LONG, 1_000);
        trade(LONG, SHORT, 0, 10, 100);
        deposit(LONG, -usd(800));
        Accounts::mutate(of(LONG), |account| {
            account.as_mut().unwrap().loan = Some(Loan {
                principal: usd(800),
                index: 0,
            });
        });
        deposit(LONG, 0);
        let interest = Shelf::Threshold(RiskAxis::Interest, Direction::Up);
        assert!(RiskDirectory::<Test>::get(interest).buckets().count() > 0);
        // Equity 100 against 50: 50 of interest are a sixteenth of the principal, and no close may miss the one in which it is.
        let unit = 1u128 << INTEREST_FRACTION_BITS;
        for step in 1..=100u128 {
            close(|view| view.loans.index = unit * step / 1_000);
            let below = assess(LONG).is_below_maintenance();
            assert_eq!(standing(LONG) != Standing::Good, below, "after {step}");
            if below {
                assert_eq!(step, 63);
                break;
            }
        }
    });
}

#[test]
fn an_account_is_found_when_interest_brings_its_debt_to_its_cap() {
    new_test_ext().execute_with(|| {
        View::mutate(|view| lends(view.as_mut().unwrap(), usd(105)));
        deposit_asset(LONG, 1_000);
        deposit(LONG, -usd(100));
        Accounts::mutate(of(LONG), |account| {
            account.as_mut().unwrap().loan = Some(Loan {
                principal: usd(100),
                index: 0,
            });
        });
        deposit(LONG, 0);
        let unit = 1u128 << INTEREST_FRACTION_BITS;
        for step in 1..=51u128 {
            assert_eq!(standing(LONG), Standing::Good);
            close(|view| view.loans.index = unit * step / 1_000);
        }
        assert!(matches!(standing(LONG), Standing::Called { .. }));
    });
}

#[test]
fn terms_beside_positions_are_those_of_the_next_sale() {
    new_test_ext().execute_with(|| {
        View::mutate(|view| lends(view.as_mut().unwrap(), usd(1_000)));
        deposit(TAKER, usd(5_000));
        deposit(VAULT, usd(5_000));
        deposit(SHORT, usd(10_000));
        deposit(LONG, 0);
        deposit_asset(LONG, 200);
        deposit(LONG, -usd(80));
        trade(LONG, SHORT, 0, 10, 100);
        let terms = || {
            let listed = Pallet::<Test>::competitions(&StoredView::view());
            listed
                .first()
                .map(|found| (found.2.discount, found.2.closes))
        };
        close_at(94);
        assert_eq!(terms(), Some((0, 3)));
        close_at(94);
        assert!(matches!(
            standing(LONG),
            Standing::Liquidating { closes: 2, .. }
        ));
        assert_eq!(terms(), Some((250_000, 2)));
        // Who asks for that discount is served, and who asks for more is not.
        let least = |taker, least_discount| {
            let signed = RuntimeOrigin::signed(taker);
            assert_ok!(Liquidation::bid(
                signed,
                0,
                of(LONG),
                100_000,
                least_discount
            ));
        };
        deposit(TAKER + 1, usd(5_000));
        least(TAKER, 250_000);
        least(TAKER + 1, 250_001);
        events();
        close_at(94);
        // 20 units that count for 18 USD.
        let [(worth, discount)] = discounts()[..] else {
            panic!("not one sale")
        };
        assert_eq!((worth, discount), (usd(2), usd(2) / 4));
        assert_eq!(terms(), Some((500_000, 1)));
        close_at(94);
        assert!(matches!(
            standing(LONG),
            Standing::Liquidating { closes: 4, .. }
        ));
        // The next close goes on to open competition.
        assert_eq!(terms(), None);
        let signed = RuntimeOrigin::signed(TAKER);
        assert_noop!(
            Liquidation::bid(signed, 0, of(LONG), MILLION, 0),
            Error::<Test>::NotCompeting
        );
    });
}

#[test]
fn a_debtor_whose_collateral_is_not_enough_is_said_to_be_liquidated_once() {
    new_test_ext().execute_with(|| {
        a_debtor(950);
        let mut started = Vec::new();
        // The first calls it.
        for number in 0..CALL_CLOSES + 4 {
            close_at(100);
            let found = events();
            let is = |event: &&Event<Test>| matches!(event, Event::LiquidationStarted { .. });
            started.extend(found.iter().filter(is).map(|_| number));
        }
        // When the auction is over, and fund and vault are asked.
        assert_eq!(started, [CALL_CLOSES + 1]);
        assert!(!matches!(standing(LONG), Standing::Called { .. }));
    });
}

#[test]
fn a_competition_that_ends_in_a_call_says_so() {
    new_test_ext().execute_with(|| {
        View::mutate(|view| lends(view.as_mut().unwrap(), usd(1_000)));
        deposit(TAKER, usd(5_000));
        deposit(VAULT, usd(5_000));
        deposit(SHORT, usd(10_000));
        deposit(LONG, 0);
        deposit_asset(LONG, 200);
        deposit(LONG, -usd(80));
        trade(LONG, SHORT, 0, 10, 100);
        for _ in 0..5 {
            close_at(94);
        }
        assert!(matches!(standing(LONG), Standing::Competing { .. }));
        events();
        bid(TAKER, MILLION);
        close(|view| lends(view, usd(1)));
        assert!(!assess(LONG).is_below_maintenance());
        assert!(matches!(standing(LONG), Standing::Called { .. }));
        let found = events();
        let at = |is: fn(&Event<Test>) -> bool| found.iter().position(is);
        let ended = at(|event| matches!(event, Event::CompetitionEnded { why: None, .. }));
        let called = at(|event| matches!(event, Event::CollateralCalled { .. }));
        assert!(ended.is_some() && ended < called, "{found:?}");
    });
}

#[test]
fn nobody_is_called_for_what_a_stranger_sent_when_it_pays_nothing() {
    new_test_ext().execute_with(|| {
        deposit(SHORT, usd(10_000));
        deposit(LONG, usd(100));
        trade(LONG, SHORT, 0, 10, 100);
        close_at(120);
        // 200 of profit less 100, against 60.
        deposit(LONG, -usd(200));
        assert!(!is_queued(LONG));
        // 0.90 USD of 100.
        deposit_asset(LONG, 1);
        close_at(120);
        assert_eq!((standing(LONG), is_queued(LONG)), (Standing::Good, false));
        deposit_asset(LONG, 1);
        assert!(is_queued(LONG));
        // The same is enough for a debt that is as small.
        deposit_asset(LONG + 20, 1);
        deposit(LONG + 20, -usd(1) / 10 * 8);
        assert!(is_queued(LONG + 20));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is bid, equity does not fall by a sale, no more is sold than the debt needs, and nothing is created.
    #[test]
    fn a_sale_of_collateral_never_lowers_equity(
        debt in 1i128..880,
        bids in prop::collection::vec((0u64..3, 1u32..=MILLION), 1..12),
        cents in 92u128..110,
    ) {
        new_test_ext().execute_with(|| {
            a_debtor(debt);
            for taker in TAKER..TAKER + 3 {
                deposit(taker, usd(700));
            }
            let at = |view: &mut RiskView| {
                view.collaterals[0].price = Price::from_inner(Price::DIV / 100 * cents);
            };
            close(at);
            for (taker, fraction) in bids {
                if !matches!(standing(LONG), Standing::Called { .. }) {
                    break;
                }
                bid(TAKER + taker, fraction);
                let (before, sums) = (assess(LONG).equity, totals());
                close(at);
                assert_eq!(totals(), sums);
                if held(LONG).1 > 0 {
                    assert!(assess(LONG).equity >= before - 3, "{before} {:?}", assess(LONG));
                }
                // A part in a million of the collateral beyond the debt, and roundings.
                assert!(held(LONG).0 <= usd(1) / 100, "{:?}", held(LONG));
            }
        });
    }
}
