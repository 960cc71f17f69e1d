//! Accounts whose options are margined by scan, in the check before novation and in what it is charged.

use super::novation::liquidate;
use crate::{mock::*, Error, NextPortfolioRules, Pallet, PortfolioRules, View};
use frame_support::{assert_noop, assert_ok};
use novate_risk::{
    borrows_on_unrealised, more_thresholds, passes_check, portfolio::PortfolioParams,
    MOST_MORE_THRESHOLDS,
};
use novate_types::{
    math, InstrumentKind, Ledger, LoanView, MarginAccount, MarketId, OptionRight, RiskModel,
    RiskView, Side, SignedLots,
};
use sp_runtime::{DispatchError, FixedI128, FixedU128};

const CALL: MarketId = 8;

/// Opposite positions at a price, without fees.
fn trade(id: MarketId, long: AccountId, short: AccountId, lots: SignedLots, dollars: u64) {
    let view = View::<Test>::get();
    let market = view.market(id).unwrap();
    for (owner, lots) in [(long, lots), (short, -lots)] {
        let mut account = Accounts::get(of(owner)).unwrap();
        let value = math::trade_value(lots, ticks(dollars), market.tick_value).unwrap();
        novate_risk::apply_trade(&mut account, market, lots, value).unwrap();
        Accounts::insert(of(owner), account);
    }
}

/// Ten calls struck at half of the price, of a week, and thirteen units short of the perpetual; next to no cash, and a rise by a tenth.
fn hedged_too_far() {
    ProfitCredit::set(0);
    Volatility::put((600_000, true));
    let call = novate_types::Instrument {
        kind: InstrumentKind::Option {
            expiry: START + 7 * 86_400_000,
            strike: ticks(10_000),
            right: OptionRight::Call,
        },
        ..instrument("BTC-X", BTC_FEED)
    };
    Instruments::insert(CALL, call);
    run(6);
    deposit(ALICE, 101_000);
    deposit(BOB, 1_000_000);
    trade(CALL, ALICE, BOB, 10_000, 10_000);
    trade(BTC, BOB, ALICE, 13_000, 20_000);
    set_price(BTC_FEED, usd(22_000));
    run(60);
}

/// The standard ones with another factor on initial margin's scan, tenths.
fn rules(tenths: u128) -> Box<PortfolioParams> {
    let mut params = PortfolioParams::standard();
    params.factors.initial = FixedU128::from_rational(tenths, 10);
    Box::new(params)
}

#[test]
fn another_grid_is_scheduled_and_comes_with_the_close_that_is_due() {
    new_test_ext().execute_with(|| {
        hedged_too_far();
        let schedule =
            |params| Pallet::<Test>::schedule_portfolio_rules(RuntimeOrigin::root(), params);
        assert_noop!(
            Pallet::<Test>::schedule_portfolio_rules(RuntimeOrigin::signed(ALICE), Some(rules(12))),
            DispatchError::BadOrigin
        );
        assert_noop!(schedule(None), Error::<Test>::NothingToChange);
        assert_noop!(schedule(Some(rules(10))), Error::<Test>::NothingToChange);
        // Below maintenance margin's eight tenths, and more than tenfold.
        for unsound in [7, 101] {
            assert_noop!(schedule(Some(rules(unsound))), Error::<Test>::UnsoundRules);
        }
        let mut crowded = rules(12);
        let first = crowded.grid.scenarios[0];
        crowded.grid.scenarios.try_push(first).unwrap();
        assert_noop!(schedule(Some(crowded)), Error::<Test>::TooManyScenarios);

        assert_ok!(schedule(Some(rules(12))));
        assert_ok!(schedule(None));
        run(TIMELOCK + 1);
        assert_eq!(PortfolioRules::<Test>::get(), *rules(10));

        let before = assess(ALICE).initial;
        assert_ne!(assess(ALICE).scanned, 0);
        // A wider grid, and a larger factor.
        let mut wider = rules(12);
        for cell in wider.grid.scenarios.iter_mut() {
            cell.price = cell.price * FixedI128::from_rational(11, 10);
        }
        wider
            .grid
            .scenarios
            .retain(|cell| cell.price > FixedI128::from(-1));
        assert_ok!(schedule(Some(wider.clone())));
        run(TIMELOCK - 1);
        assert_eq!(assess(ALICE).initial, before);
        steps();
        run(1);
        let steps = steps();
        let at = |name| steps.iter().position(|(step, _)| step == name);
        assert!(
            at("rules").is_some() && at("rules") < at("thresholds"),
            "{steps:?}"
        );
        assert_eq!(PortfolioRules::<Test>::get(), *wider);
        assert!(NextPortfolioRules::<Test>::get().is_none());
        assert!(assess(ALICE).initial > before);
        Pallet::<Test>::do_try_state().unwrap();
        run(1);
        assert!(!crate::mock::steps().iter().any(|(step, _)| step == "rules"));
    });
}

fn alice() -> MarginAccount {
    Accounts::get(of(ALICE)).unwrap()
}

/// What she is once she has bought three units back at the mark.
fn unwound(view: &RiskView) -> MarginAccount {
    let mut after = alice();
    let market = view.market(BTC).unwrap();
    let value = math::position_value_floor(3_000, market.mark, market.lot_size).unwrap();
    novate_risk::apply_trade(&mut after, market, 3_000, value).unwrap();
    after
}

/// Who buys back what is hedged too far, and whether it is.
fn buys_back(is_liquidated: bool) -> bool {
    let ask = ticks(22_000);
    place(BOB, Side::Ask, ask, 3_000);
    if is_liquidated {
        liquidate(ALICE, Side::Bid, 3_000, ask);
    } else {
        place_reduce_only(ALICE, Side::Bid, ask, 3_000);
    }
    run(1);
    match lots_of(ALICE) {
        -13_000 => false,
        -10_000 => true,
        other => panic!("{other}"),
    }
}

#[test]
fn a_loss_is_not_borrowed_on_what_long_options_are_worth() {
    new_test_ext().execute_with(|| {
        hedged_too_far();
        let view = View::<Test>::get();
        let (before, after) = (assess(ALICE), unwound(&view));
        // Margin falls, nothing is given away, and nothing but a call stands against what is owed then.
        let found = <Test as crate::Config>::Risk::assess(&after, &view).unwrap();
        assert!(before.covers_initial() && !found.covers_initial());
        assert!(passes_check(&before, &found) && !found.is_below_maintenance());
        assert!(after.cash < -cash(4_900));
        assert_eq!(borrows_on_unrealised(&alice(), &after, &view), Ok(true));
        assert!(!buys_back(false));
        assert!(cash_of(ALICE) > 0);
    });
}

#[test]
fn a_loss_is_lent_up_to_the_cap_of_an_account() {
    for (cap, is_short, passes) in [
        (6_000, false, true),
        (4_000, false, false),
        (6_000, true, false),
    ] {
        new_test_ext().execute_with(|| {
            LoanTerms::put(LoanView {
                account_cap: cash(cap),
                is_short,
                ..Default::default()
            });
            hedged_too_far();
            assert_eq!(buys_back(false), passes, "{cap} {is_short}");
            assert_eq!(cash_of(ALICE) < 0, passes);
        });
    }
}

#[test]
fn collateral_is_borrowed_on_and_a_liquidation_realises_what_it_must() {
    for (gold, is_liquidated, passes) in [(100, false, true), (10, false, false), (0, true, true)] {
        new_test_ext().execute_with(|| {
            hedged_too_far();
            if gold > 0 {
                let amount = gold * 1_000_000;
                Wallets::insert((ALICE, GOLD), amount);
                MockLedger::take_into_custody(&ALICE, GOLD, amount).unwrap();
                let mut holder = alice();
                holder.collateral.try_push((GOLD, amount)).unwrap();
                Accounts::insert(of(ALICE), holder);
            }
            assert_eq!(buys_back(is_liquidated), passes, "{gold} {is_liquidated}");
        });
    }
}

#[test]
fn a_debt_that_does_not_grow_keeps_nobody_from_reducing() {
    new_test_ext().execute_with(|| {
        hedged_too_far();
        let view = View::<Test>::get();
        let mut owing = alice();
        owing.cash = -cash(10_000);
        let mut sold = owing.clone();
        let call = view.market(CALL).unwrap();
        let value = math::position_value_floor(-1_000, call.mark, call.lot_size).unwrap();
        novate_risk::apply_trade(&mut sold, call, -1_000, value).unwrap();
        assert!(sold.cash > owing.cash);
        assert_eq!(borrows_on_unrealised(&owing, &sold, &view), Ok(false));
        // Nobody else is asked: a profit of a perpetual lends as it did.
        let mut linear = owing.clone();
        linear.positions.retain(|position| position.market == BTC);
        let mut lost = linear.clone();
        lost.cash -= cash(1_000);
        assert_eq!(borrows_on_unrealised(&linear, &lost, &view), Ok(false));
        let mut bought = lost.clone();
        bought.positions = owing.positions.clone();
        assert_eq!(borrows_on_unrealised(&linear, &bought, &view), Ok(true));
    });
}

#[test]
fn whoever_trades_is_charged_for_the_thresholds_of_options() {
    new_test_ext().execute_with(|| {
        hedged_too_far();
        let view = View::<Test>::get();
        assert_eq!(more_thresholds(&alice(), &view), 8);
        let mut linear = alice();
        linear.positions.retain(|position| position.market == BTC);
        assert_eq!(more_thresholds(&linear, &view), 0);
        let weight = |thresholds| Clearing::party(2, thresholds);
        assert!(weight(8).any_gt(weight(0)));
        let keys = |thresholds| <() as crate::WeightInfo>::party(2, thresholds).writes;
        // Each is a key.
        assert_eq!(
            keys(MOST_MORE_THRESHOLDS) - keys(0),
            u64::from(MOST_MORE_THRESHOLDS)
        );
    });
}
