//! Fractions of a portfolio, their discount, and how much of it may go.

use crate::common::*;
use novate_risk::*;
use novate_types::*;
use primitive_types::U256;
use proptest::prelude::*;

fn assess(account: &MarginAccount, view: &RiskView) -> Assessment {
    Linear::assess(account, view).unwrap()
}

/// An account whose equity is a part of its maintenance margin, in ppm, and not below zero.
fn short_of_margin() -> impl Strategy<Value = (RiskView, MarginAccount)> {
    (any_case(), 0i128..1_000_000)
        .prop_map(|((view, mut account), part)| {
            let start = assess(&account, &view);
            account.cash += start.maintenance * part / 1_000_000 - start.equity;
            (view, account)
        })
        .prop_filter("it needs margin", |(view, account)| {
            assess(account, view).maintenance > 0
        })
}

/// Cash less cost, and what the pots are due.
fn sum(account: &MarginAccount) -> Cash {
    let cost: Cash = account.positions.iter().map(|p| p.cost).sum();
    account.cash - cost
}

fn held(account: &MarginAccount, asset: AssetId) -> u128 {
    let amounts = account.collateral.iter().filter(|(of, _)| *of == asset);
    amounts.map(|(_, amount)| amount).sum()
}

#[test]
fn discount_goes_from_nothing_to_all_of_it_on_worked_numbers() {
    let discounts = [0, 1, 10, 19, 20, 255].map(|closes| competition_discount(closes, 20));
    assert_eq!(
        discounts,
        [0, 52_631, 526_315, 1_000_000, 1_000_000, 1_000_000]
    );
    // A competition of one close, or of none, ends where it begins.
    assert_eq!(
        (competition_discount(0, 1), competition_discount(0, 0)),
        (1_000_000, 1_000_000)
    );
}

#[test]
fn largest_fraction_brings_the_account_to_its_target_on_worked_numbers() {
    // Equity 8,000, maintenance margin 10,000, target 11,000: 3,000 short.
    let found = Assessment {
        equity: usd(8_000),
        maintenance: usd(10_000),
        ..Assessment::default()
    };
    let fraction = |worth, discount| largest_fraction_ceil(&found, worth, discount, 100_000);
    // Paid in full: 8,000 stay, and 8,000/11,000 of the margin with them.
    assert_eq!(fraction(usd(8_000), 0), Ok(272_728));
    // At half of it: 1 − f = 1 − 3,000/7,000; 8,000 − 4,000·f = 6,285.71 of 6,285.71.
    assert_eq!(fraction(usd(8_000), 500_000), Ok(428_572));
    assert_eq!(fraction(usd(8_000), 1_000_000), Ok(1_000_000));
    // Collateral worth 2,000 more than it counts for brings more, and less has to go.
    assert_eq!(fraction(usd(10_000), 0), Ok(230_770));
    assert_eq!(fraction(usd(-1), 0), Ok(1_000_000));
    let above = Assessment {
        equity: usd(11_000),
        ..found
    };
    assert_eq!(largest_fraction_ceil(&above, 1, 0, 100_000), Ok(0));
}

#[test]
fn portion_is_refused_when_it_ends_before_it_begins_or_beyond_the_whole() {
    let view = view(vec![bitcoin(Price::from_u32(50_000))], vec![]);
    let long = account(usd(1), vec![position(1, 10, 0, 0)]);
    for (after, to) in [(2, 1), (0, MILLION + 1)] {
        assert_eq!(
            Portion::between(&long, &view, after, to),
            Err(RiskError::Underflow)
        );
    }
    assert!(Portion::between(&long, &view, 5, 5).unwrap().is_empty());
}

#[test]
fn collateral_is_refused_when_more_is_taken_than_held_and_leaves_the_list_when_all_is() {
    let mut holder = account(0, vec![]);
    add_collateral(&mut holder, 7, 10).unwrap();
    add_collateral(&mut holder, 7, 5).unwrap();
    assert_eq!(
        take_collateral(&mut holder, 7, 16),
        Err(RiskError::Underflow)
    );
    assert_eq!(
        take_collateral(&mut holder, 8, 0),
        Err(RiskError::Underflow)
    );
    take_collateral(&mut holder, 7, 4).unwrap();
    assert_eq!(held(&holder, 7), 11);
    take_collateral(&mut holder, 7, 11).unwrap();
    assert!(holder.collateral.is_empty());
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn portions_that_follow_one_another_are_what_one_alone_would_be(
        (view, account) in any_case(),
        mut ends in prop::collection::vec(0..=MILLION, 1..6),
    ) {
        ends.push(0);
        ends.sort_unstable();
        let last = *ends.last().unwrap();
        let all = Portion::between(&account, &view, 0, last).unwrap();
        let parts: Vec<_> = ends
            .windows(2)
            .map(|w| Portion::between(&account, &view, w[0], w[1]).unwrap())
            .collect();
        for position in &account.positions {
            let lots = |portion: &Portion| -> SignedLots {
                let of = portion.positions.iter().filter(|p| p.0 == position.market);
                of.map(|p| p.1).sum()
            };
            // Rounded up, by another way: the least whole number that is not less than the fraction.
            let size = u128::from(position.lots.unsigned_abs());
            let exact = size * u128::from(last);
            let whole = u128::from(lots(&all).unsigned_abs()) * 1_000_000;
            prop_assert!(whole >= exact && whole < exact + 1_000_000);
            prop_assert_eq!(parts.iter().map(lots).sum::<SignedLots>(), lots(&all));
        }
        for (asset, _) in &account.collateral {
            let amount = |portion: &Portion| -> u128 {
                let of = portion.collateral.iter().filter(|c| c.0 == *asset);
                of.map(|c| c.1).sum()
            };
            prop_assert_eq!(parts.iter().map(amount).sum::<u128>(), amount(&all));
        }
    }

    #[test]
    fn sale_keeps_health_and_creates_nothing(
        (view, seller) in short_of_margin(),
        taker_cash in 0i128..1_000_000_000_000,
        fraction in 1..=MILLION,
        discount in 0..=MILLION,
    ) {
        let before = assess(&seller, &view);
        let taker = account(taker_cash, vec![]);
        let portion = Portion::between(&seller, &view, 0, fraction).unwrap();
        let sale = sell::<Linear>(&seller, &before, &taker, &portion, discount, &view).unwrap();
        // Equality 2, and that of every asset.
        let pots: Cash = sale.pots.iter().map(|(_, amount)| amount).sum();
        prop_assert_eq!(sum(&sale.seller) + sum(&sale.taker) + pots, sum(&seller) + sum(&taker));
        for (asset, amount) in &seller.collateral {
            prop_assert_eq!(held(&sale.seller, *asset) + held(&sale.taker, *asset), *amount);
        }
        for position in &seller.positions {
            let market = position.market;
            prop_assert_eq!(sale.seller.lots(market) + sale.taker.lots(market), position.lots);
        }
        // What it says of the seller is so.
        let after = assess(&sale.seller, &view);
        prop_assert_eq!(sale.assessment, after);
        // Never less than nothing, never less for what it needs; and the taker has what the seller gave.
        prop_assert!(after.equity >= 0);
        let product = |a: Cash, b: Cash| U256::from(a.unsigned_abs()) * U256::from(b.unsigned_abs());
        prop_assert!(product(after.equity, before.maintenance) >= product(before.equity, after.maintenance));
        prop_assert!(sale.discount <= sale.worth.max(0));
        prop_assert!(discount > 0 || sale.discount <= 0);
        // The whole of it at the bankruptcy value leaves nothing.
        if fraction == MILLION && discount == MILLION {
            prop_assert_eq!((after.equity, after.maintenance), (0, 0));
        }
    }

    #[test]
    fn whole_account_is_worth_its_equity_and_what_haircuts_hide((view, account) in any_case()) {
        let found = assess(&account, &view);
        let hidden: Cash = account
            .collateral
            .iter()
            .map(|(asset, amount)| {
                let view = view.collateral(*asset).unwrap();
                let full = math::asset_value_ceil(*amount, view.params.decimals, view.price).unwrap();
                full as Cash - collateral_value(view, *amount).unwrap()
            })
            .sum();
        let off = worth(&account, &view).unwrap() - found.equity - hidden;
        // A position counts rounded down and is bought rounded up.
        prop_assert!((0..=account.positions.len() as Cash).contains(&off), "{}", off);
    }

    #[test]
    fn largest_fraction_reaches_the_target_and_one_ppm_less_does_not(
        maintenance in 1i128..1_000_000_000_000,
        part in 0i128..1_000,
        hidden in 0i128..1_000_000_000_000,
        discount in 0..=MILLION,
        buffer in 0..=MILLION,
    ) {
        let equity = maintenance * part / 1_000;
        let found = Assessment { equity, maintenance, ..Assessment::default() };
        let worth = equity + hidden;
        let fraction = largest_fraction_ceil(&found, worth, discount, buffer).unwrap();
        // After `f` of everything, in parts of 10¹², equity less target; the two sides of its zero, quantums that round apart.
        let whole = i128::from(MILLION);
        let (discount, buffer) = (i128::from(discount), i128::from(buffer));
        let target = (maintenance * (whole + buffer) + whole - 1) / whole;
        let paid = worth * (whole - discount) / whole;
        let reaches = |f: i128| equity * (whole - f) + f * paid >= target * (whole - f);
        prop_assert!(reaches(fraction.into()));
        prop_assert!(fraction > 0 && !reaches(i128::from(fraction) - 1));
    }
}
