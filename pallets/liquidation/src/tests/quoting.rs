//! The vault's quotes. Numbers are worked out by hand beside them.

use super::*;
use crate::{Allowance, Backstop, Pallet, TookForVault, VaultLoss, VaultLosses};
use novate_risk::QuoteParams;

/// Holds the other side of what the vault holds.
const OTHER: u64 = 30;

/// The vault with 1,000 USD, 5 lots long at 100: half of its equity, so half of the least spread, which is 2 %, to the ask, and nine
/// quarters of it to the bid. Orders are worth half of the equity.
fn a_vault_with_a_position() {
    deposit(VAULT, usd(1_000));
    deposit(OTHER, usd(10_000));
    trade(VAULT, OTHER, 0, 5, 100);
}

/// Its orders: market, side, price, size, whether they only reduce.
fn quoted() -> Vec<(MarketId, Side, Ticks, Lots, bool)> {
    let mut orders = Orders::get().unwrap_or_default();
    orders.sort_by_key(|o| (o.market, o.client_id));
    for order in &orders {
        let adds = TimeInForce::PostOnly;
        let reduces = TimeInForce::GoodTilCancelled;
        let expected = if order.reduce_only { reduces } else { adds };
        assert_eq!(order.time_in_force, expected);
    }
    let all = orders.iter();
    all.map(|o| (o.market, o.side, o.ticks, o.lots, o.reduce_only))
        .collect()
}

fn still() {
    close(|_| ());
}

/// The two closes after which quotes stand: one finds the position, the next is reserved for quoting it.
fn quotes_stand() {
    still();
    assert_eq!(quoted(), vec![]);
    still();
    // 100 + 1, and 100 − 4.5 rounded away from the mark.
    assert_eq!(
        quoted(),
        vec![(0, Side::Bid, 95, 5, false), (0, Side::Ask, 101, 5, true)]
    );
}

fn took() -> u64 {
    TookForVault::<Test>::take()
}

#[test]
fn both_sides_are_quoted_skewed_by_what_the_vault_holds() {
    new_test_ext().execute_with(|| {
        a_vault_with_a_position();
        quotes_stand();
    });
    new_test_ext().execute_with(|| {
        deposit(VAULT, usd(1_000));
        deposit(OTHER, usd(10_000));
        trade(OTHER, VAULT, 0, 5, 100);
        still();
        still();
        assert_eq!(
            quoted(),
            vec![(0, Side::Bid, 99, 5, true), (0, Side::Ask, 105, 5, false)]
        );
    });
}

#[test]
fn quotes_are_replaced_when_the_mark_has_moved_far_enough() {
    new_test_ext().execute_with(|| {
        a_vault_with_a_position();
        quotes_stand();
        took();
        // A tick is a hundredth of the mark: that near they stay, and nothing is done.
        close(|view| view.markets[0].mark = Price::from_inner(1_003 * 10u128.pow(17)));
        assert_eq!(quoted()[1].2, 101);
        assert_eq!(took(), 0);
        // 525 of 1,025 at 105: 0.5122 of 2 % less is 106.02; and 105·(1 − 0.045736) = 100.19.
        close_at(105);
        assert_eq!(took(), QuotingWeight::get().ref_time());
        assert_eq!(
            quoted(),
            vec![(0, Side::Bid, 100, 4, false), (0, Side::Ask, 107, 4, true)]
        );
    });
}

#[test]
fn quotes_are_replaced_when_half_of_one_has_filled() {
    new_test_ext().execute_with(|| {
        // Ten lots: as much as its equity, so asked for at the mark.
        a_vault_with_a_position();
        trade(VAULT, OTHER, 0, 5, 100);
        still();
        still();
        assert_eq!(
            quoted(),
            vec![(0, Side::Bid, 92, 5, false), (0, Side::Ask, 100, 5, true)]
        );
        // Three of the five are sold.
        Orders::mutate(|orders| orders.as_mut().unwrap()[1].lots = 2);
        trade(OTHER, VAULT, 0, 3, 100);
        StoredLedger::update(&of(VAULT), |a| {
            novate_risk::release_order(a, 0, 0, 3, 0)?;
            Ok::<_, LedgerError>(())
        })
        .unwrap();
        still();
        // Seven tenths: 100 + 0.6, and 100 − 5.78.
        assert_eq!(
            quoted(),
            vec![(0, Side::Bid, 94, 5, false), (0, Side::Ask, 101, 5, true)]
        );
    });
}

#[test]
fn quotes_leave_when_there_is_nothing_to_work_off_any_more() {
    new_test_ext().execute_with(|| {
        a_vault_with_a_position();
        quotes_stand();
        trade(OTHER, VAULT, 0, 5, 101);
        still();
        assert_eq!(quoted(), vec![]);
        assert!(Backstop::<Test>::get().quotes);
        took();
        // From then on it costs nothing.
        still();
        assert!(!Backstop::<Test>::get().quotes);
        let idle = Pallet::<Test>::budget();
        still();
        assert_eq!((took(), Pallet::<Test>::budget()), (0, idle));
    });
}

#[test]
fn an_order_leaves_before_it_is_another_when_the_position_turns_around() {
    new_test_ext().execute_with(|| {
        a_vault_with_a_position();
        quotes_stand();
        trade(OTHER, VAULT, 0, 10, 100);
        still();
        assert_eq!(quoted(), vec![]);
        still();
        assert_eq!(
            quoted(),
            vec![(0, Side::Bid, 99, 5, true), (0, Side::Ask, 105, 5, false)]
        );
    });
}

#[test]
fn nothing_is_quoted_when_liquidation_presses_or_the_price_is_old() {
    new_test_ext().execute_with(|| {
        a_vault_with_a_position();
        quotes_stand();
        Allowance::<Test>::put(u64::MAX);
        still();
        assert_eq!(quoted(), vec![]);
        still();
        assert_eq!(quoted().len(), 2, "calm again");
        close(|view| view.markets[0].fresh = false);
        assert_eq!(quoted(), vec![]);
        close(|view| {
            view.markets[0].fresh = true;
            view.markets[0].status = MarketStatus::ReduceOnly;
        });
        assert_eq!(quoted(), vec![]);
        close(|view| view.markets[0].status = MarketStatus::Open);
        assert_eq!(quoted().len(), 2);
    });
}

#[test]
fn a_market_is_only_reduced_when_the_vault_has_lost_its_cap_there() {
    new_test_ext().execute_with(|| {
        a_vault_with_a_position();
        quotes_stand();
        let loss = usd(500);
        VaultLosses::<Test>::insert(0, VaultLoss { window: 0, loss });
        still();
        assert_eq!(quoted().len(), 2, "up to the cap and no farther");
        let loss = loss + 1;
        VaultLosses::<Test>::insert(0, VaultLoss { window: 0, loss });
        still();
        assert_eq!(quoted(), vec![(0, Side::Ask, 101, 5, true)]);
    });
}

#[test]
fn what_the_vaults_margin_does_not_cover_is_not_quoted() {
    new_test_ext().execute_with(|| {
        deposit(VAULT, usd(400));
        deposit(OTHER, usd(10_000));
        // All margin is used. Without a skew two lots would be bid for at 98.
        Quoting::set(QuoteParams {
            skew_factor: 0,
            ..Quoting::get()
        });
        trade(VAULT, OTHER, 0, 40, 100);
        still();
        still();
        assert_eq!(quoted(), vec![(0, Side::Ask, 102, 2, true)]);
        // With one the ask is as far through the mark as the vault concedes, a percent.
        Quoting::set(USUAL_QUOTING);
        still();
        assert_eq!(quoted(), vec![(0, Side::Ask, 99, 2, true)]);
    });
}

#[test]
fn the_close_is_reserved_for_quotes_from_the_block_after_they_are_needed() {
    new_test_ext().execute_with(|| {
        let idle = Pallet::<Test>::budget();
        a_vault_with_a_position();
        assert_eq!(Pallet::<Test>::budget(), idle);
        still();
        assert_eq!(took(), 0, "not before it is reserved");
        assert_eq!(Pallet::<Test>::budget(), idle + QuotingWeight::get());
        still();
        assert_eq!(took(), QuotingWeight::get().ref_time());
        assert!(Pallet::<Test>::calm_budget().all_gte(Pallet::<Test>::budget()));
    });
}
