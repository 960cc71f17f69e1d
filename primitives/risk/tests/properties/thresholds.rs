//! Safe moves: never unsafe, and not idle.

use crate::common::*;
use novate_risk::*;
use novate_types::*;
use proptest::{collection::vec, prelude::*};

const ONE: u128 = RELATIVE_ONE as u128;

/// How one axis moves: against the account by this part of its safe distance (ppm), or for it by any distance.
#[derive(Clone, Copy, Debug)]
enum Motion {
    Against(u32),
    For(u64),
}

fn any_motion() -> impl Strategy<Value = Motion> {
    prop_oneof![
        5 => Just(Motion::Against(MILLION)),
        1 => Just(Motion::Against(0)),
        2 => (0..=MILLION).prop_map(Motion::Against),
        1 => (0u64..1_000).prop_map(Motion::For),
        1 => any::<u64>().prop_map(Motion::For),
    ]
}

/// Equity above maintenance margin, from nothing to many times the exposure.
fn any_slack() -> impl Strategy<Value = (i128, u32)> {
    let part = prop_oneof![Just(0u32), 0u32..1_000, 0u32..1_000_000, 0u32..30_000_000];
    (0i128..20, part)
}

fn shifted(price: Price, down: bool, parts: u64) -> Price {
    let p = price.into_inner();
    let parts = u128::from(parts);
    Price::from_inner(if down {
        math::mul_div_ceil(p, ONE.saturating_sub(parts), ONE).unwrap()
    } else {
        math::mul_div_floor(p, ONE + parts, ONE).unwrap()
    })
}

fn moved(view: &mut RiskView, safe: &SafeMove, motion: Motion) {
    let hurts_down = safe.direction == Direction::Down;
    let (down, part, free) = match motion {
        Motion::Against(part) => (hurts_down, part, None),
        Motion::For(by) => (!hurts_down, 0, Some(by)),
    };
    let parts = |most: u64| {
        let within = (u128::from(most) * u128::from(part) / u128::from(MILLION)) as u64;
        free.map_or(within, |by| by % (3 * RELATIVE_ONE))
    };
    match (safe.axis, safe.move_) {
        (RiskAxis::Mark(id), Move::Relative(most)) => {
            let market = view.markets.iter_mut().find(|m| m.id == id).unwrap();
            market.mark = shifted(market.mark, down, parts(most));
        }
        (RiskAxis::Collateral(id), Move::Relative(most)) => {
            let asset = view.collaterals.iter_mut().find(|c| c.asset == id).unwrap();
            asset.price = shifted(asset.price, down, parts(most));
        }
        (RiskAxis::Funding(id), Move::FundingDelta(most)) => {
            let market = view.markets.iter_mut().find(|m| m.id == id).unwrap();
            let within = most * i128::from(part) / i128::from(MILLION);
            let by = free.map_or(within, i128::from);
            market.accrue_funding(if down { -by } else { by }).unwrap();
        }
        (RiskAxis::Interest, Move::InterestDelta(most)) => {
            // It only rises.
            let part = if free.is_some() { 0 } else { part };
            view.loans.index += most / u128::from(MILLION) * u128::from(part);
        }
        other => panic!("an axis with the wrong distance: {other:?}"),
    }
}

/// What the ledger does when an account's cash changes: interest leaves it and bears interest from now on. The least deposit there is comes
/// with it.
fn touch(account: &mut MarginAccount, index: u128) {
    let due = interest_due_ceil(account, index).unwrap();
    if let Some(loan) = &mut account.loan {
        account.cash += 1 - due;
        *loan = Loan {
            principal: loan.principal + due,
            index,
        };
    }
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn account_never_comes_below_maintenance_within_its_safe_moves(
        (mut view, mut account) in any_case(),
        (few, part) in any_slack(),
        motions in vec(any_motion(), 9),
        owes in prop::option::of((1i128..1 << 60, 0u128..1 << 40)),
        touches in 0u128..8,
    ) {
        view.loans.index = 1 << 45;
        view.loans.account_cap = 1 << 61;
        account.loan = owes.map(|(principal, since)| Loan { principal, index: view.loans.index - since });
        let start = Linear::assess(&account, &view).unwrap();
        let slack = few + start.exposure / 1_000_000 * i128::from(part);
        account.cash += slack - start.slack().unwrap();
        let before = Linear::assess(&account, &view).unwrap();
        prop_assert_eq!(before.slack(), Some(slack));

        let moves = safe_moves(&account, &view, &before).unwrap();
        prop_assert!(moves.windows(2).all(|w| w[0].axis < w[1].axis));
        for (safe, motion) in moves.iter().zip(motions) {
            let from = view.loans.index;
            moved(&mut view, safe, motion);
            // On the way there, so often.
            let (to, steps) = (view.loans.index, touches + 1);
            for step in 1..steps {
                let index = from + (to - from) / steps * step;
                if index > from {
                    touch(&mut account, index);
                }
            }
        }
        let after = Linear::assess(&account, &view).unwrap();
        prop_assert!(!after.is_below_maintenance(), "slack {} became {:?}", slack, after.slack());
    }

    /// A short above the least margin, small enough that a quantum is not lost in the parts of a distance.
    #[test]
    fn safe_moves_leave_room_for_rounding_when_slack_is_a_few_quantums(
        lots in 10_000i64..1_000_000,
        mark in 1_000_000_000u128..2_000_000_000,
        mmf in 200_000u32..1_000_000,
        settled in any::<i64>(),
        slack in 0i128..400,
    ) {
        let (grain, lot) = (Price::from_rational(1, 1_000), Size::from_rational(1, 1_000));
        let mark = Price::from_inner(mark * 1_000_000_007);
        let mut view = view(vec![market(1, grain, lot, 1, mark, MILLION, mmf, 0)], vec![]);
        let mut short = account(0, vec![position(1, -lots, 0, i128::from(settled) >> 24)]);
        short.cash = slack - Linear::assess(&short, &view).unwrap().slack().unwrap();
        let before = Linear::assess(&short, &view).unwrap();
        for safe in safe_moves(&short, &view, &before).unwrap() {
            moved(&mut view, &safe, Motion::Against(MILLION));
        }
        prop_assert!(!Linear::assess(&short, &view).unwrap().is_below_maintenance());
    }

    #[test]
    fn safe_moves_use_nine_tenths_of_the_slack(
        (view, mut account) in any_case(), part in 1_000u32..900_000,
    ) {
        let start = Linear::assess(&account, &view).unwrap();
        prop_assume!(!account.positions.is_empty() && start.exposure > usd(1_000));
        let slack = start.exposure / 1_000_000 * i128::from(part);
        account.cash += slack - start.slack().unwrap();
        let before = Linear::assess(&account, &view).unwrap();
        for safe in safe_moves(&account, &view, &before).unwrap() {
            if let Move::Relative(parts) = safe.move_ {
                let spent = before.exposure / 1_000 * i128::from(parts) / 1_000_000;
                prop_assert!(spent <= slack && spent >= slack / 10 * 9);
            }
        }
    }

    #[test]
    fn safe_moves_are_zero_when_there_is_no_slack((view, mut account) in any_case(), below in 0i128..1 << 60) {
        let start = Linear::assess(&account, &view).unwrap();
        account.cash -= start.slack().unwrap() + below;
        prop_assume!(start.exposure > 0);
        let before = Linear::assess(&account, &view).unwrap();
        for safe in safe_moves(&account, &view, &before).unwrap() {
            prop_assert!(matches!(safe.move_, Move::Relative(0) | Move::FundingDelta(0) | Move::InterestDelta(0)));
        }
    }
}

#[test]
fn safe_moves_are_exact_on_worked_numbers() {
    // Long 1 BTC at 50,000, MMF 3 %: equity 6,500 is 5,000 above maintenance. 4 quantums are kept for rounding.
    let view = view(vec![bitcoin(Price::from_u32(50_000))], vec![]);
    let holder = account(usd(6_500), vec![position(1, 10_000, usd(50_000), 0)]);
    let assessment = Linear::assess(&holder, &view).unwrap();
    let for_funding = (usd(5_000) - 4) / 16;
    let for_prices = usd(5_000) - 4 - for_funding;
    assert_eq!(
        safe_moves(&holder, &view, &assessment).unwrap(),
        vec![
            SafeMove {
                axis: RiskAxis::Mark(1),
                direction: Direction::Down,
                move_: Move::Relative((for_prices * 1_000_000_000 / (usd(51_500) + 2)) as u64),
            },
            SafeMove {
                axis: RiskAxis::Funding(1),
                direction: Direction::Up,
                move_: Move::FundingDelta((for_funding << FUNDING_FRACTION_BITS) / 10_000),
            },
        ]
    );
}

#[test]
fn interest_is_kept_a_sixteenth_of_the_slack_and_the_cap_is_looked_for() {
    // 1,000 USD of debt behind 2,000 that count for 1,800: 800 less rounding, of which a sixteenth, halved.
    let asset = collateral(7, 6, Price::from_u32(1), 100_000);
    let mut view = view(vec![], vec![asset]);
    let mut holder = account(usd(-1_000), vec![]);
    holder.collateral.try_push((7, 2_000_000_000)).unwrap();
    holder.loan = Some(Loan {
        principal: usd(1_000),
        index: 0,
    });
    let delta = |holder: &MarginAccount, view: &RiskView| {
        let assessment = Linear::assess(holder, view).unwrap();
        let moves = safe_moves(holder, view, &assessment).unwrap();
        match moves.last().unwrap() {
            SafeMove {
                axis: RiskAxis::Interest,
                move_: Move::InterestDelta(delta),
                ..
            } => *delta,
            other => panic!("{other:?}"),
        }
    };
    view.loans.account_cap = usd(2_000);
    let part = |interest: u128| interest * INTEREST_UNIT / usd(1_000).unsigned_abs();
    assert_eq!(delta(&holder, &view), part((usd(800) - 4) as u128 / 16) / 2);
    // Ten more and it is called.
    view.loans.account_cap = usd(1_010);
    assert_eq!(delta(&holder, &view), part(10_000_000));
    view.loans.account_cap = usd(999);
    assert_eq!(delta(&holder, &view), 0);
}

#[test]
fn safe_moves_leave_out_what_cannot_hurt() {
    let asset = CollateralView {
        fresh: false,
        ..collateral(7, 6, Price::from_inner(0), 0)
    };
    let view = view(vec![], vec![asset]);
    let mut holder = account(usd(1), vec![]);
    holder.collateral.try_push((7, 5)).unwrap();
    let assessment = Linear::assess(&holder, &view).unwrap();
    assert_eq!(safe_moves(&holder, &view, &assessment), Ok(vec![]));
}
