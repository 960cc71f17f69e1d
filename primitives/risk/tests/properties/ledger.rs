//! Conservation, realisation, funding settlement and order aggregates.

use crate::common::*;
use novate_risk::*;
use novate_types::*;
use proptest::{collection::vec, prelude::*};

const ACCOUNTS: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Trade {
        buyer: usize,
        seller: usize,
        market: usize,
        lots: i64,
        value: i128,
    },
    Fund {
        market: usize,
        by: i128,
    },
    Settle {
        account: usize,
        market: usize,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    let market = 0..MARKETS as usize;
    let lots = prop_oneof![0i64..12, 0i64..1 << 40, Just(i64::MAX)];
    let value = prop_oneof![
        -1_000i128..1_000,
        any::<i64>().prop_map(i128::from),
        any::<i128>(),
    ];
    prop_oneof![
        6 => (0..ACCOUNTS, 1..ACCOUNTS, market.clone(), lots, value).prop_map(
            |(buyer, other, market, lots, value)| Step::Trade {
                buyer,
                seller: (buyer + other) % ACCOUNTS,
                market,
                lots,
                value
            }
        ),
        2 => (market.clone(), any::<i64>())
            .prop_map(|(market, by)| Step::Fund { market, by: i128::from(by) }),
        1 => (0..ACCOUNTS, market)
            .prop_map(|(account, market)| Step::Settle { account, market }),
    ]
}

struct Ledger {
    accounts: Vec<MarginAccount>,
    markets: Vec<MarketView>,
    pots: Vec<Cash>,
}

impl Ledger {
    fn step(&mut self, step: &Step) -> Result<(), RiskError> {
        match *step {
            Step::Trade {
                buyer,
                seller,
                market,
                lots,
                value,
            } => {
                let view = &self.markets[market];
                let (mut bought, mut sold) =
                    (self.accounts[buyer].clone(), self.accounts[seller].clone());
                let minus = value.checked_neg().ok_or(MathError::Overflow)?;
                let a = apply_trade(&mut bought, view, lots, value)?;
                let b = apply_trade(&mut sold, view, -lots, minus)?;
                (self.accounts[buyer], self.accounts[seller]) = (bought, sold);
                self.pots[market] += a.funding_to_pot + b.funding_to_pot;
            }
            Step::Fund { market, by } => self.markets[market].accrue_funding(by)?,
            Step::Settle { account, market } => {
                self.pots[market] +=
                    settle_funding(&mut self.accounts[account], &self.markets[market])?;
            }
        }
        Ok(())
    }

    /// `Σ cash − Σ cost + Σ pots`, wrapping: equal as a whole even where a partial sum would not fit.
    fn total(&self) -> Cash {
        let held = self.accounts.iter().fold(0i128, |sum, account| {
            let costs = account
                .positions
                .iter()
                .fold(0i128, |sum, p| sum.wrapping_add(p.cost));
            sum.wrapping_add(account.cash).wrapping_sub(costs)
        });
        self.pots
            .iter()
            .fold(held, |sum, pot| sum.wrapping_add(*pot))
    }

    fn owed(&self, market: &MarketView) -> Cash {
        self.accounts
            .iter()
            .filter_map(|a| a.position(market.id))
            .map(|p| funding_owed_ceil(p, market).unwrap())
            .sum()
    }
}

fn three_markets() -> impl Strategy<Value = Vec<MarketView>> {
    (any_market(1), any_market(2), any_market(3)).prop_map(|(a, b, c)| vec![a, b, c])
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn ledger_conserves_every_quantum_when_anything_trades(
        markets in three_markets(),
        cash in vec(any::<i64>(), ACCOUNTS),
        steps in vec(any_step(), 1..60),
    ) {
        let accounts = cash.iter().map(|c| account(i128::from(*c), vec![])).collect();
        let mut ledger = Ledger { accounts, markets, pots: vec![0; MARKETS as usize] };
        let total = ledger.total();
        for step in &steps {
            let before = ledger.accounts.clone();
            if ledger.step(step).is_err() {
                prop_assert_eq!(&before, &ledger.accounts);
            }
            prop_assert_eq!(ledger.total(), total);
            for market in &ledger.markets {
                let lots: i128 = ledger.accounts.iter().map(|a| i128::from(a.lots(market.id))).sum();
                prop_assert_eq!(lots, 0);
            }
            for account in &ledger.accounts {
                prop_assert!(account.positions.iter().all(|p| p.lots != 0));
                prop_assert!(account.positions.windows(2).all(|w| w[0].market < w[1].market));
            }
        }
    }

    #[test]
    fn funding_pot_is_never_short_when_accounts_settle_in_any_order(
        markets in three_markets(),
        steps in vec(any_step(), 1..60),
    ) {
        let accounts = vec![MarginAccount::default(); ACCOUNTS];
        let mut ledger = Ledger { accounts, markets, pots: vec![0; MARKETS as usize] };
        let mut settlements = 0;
        for step in &steps {
            let _ = ledger.step(step);
            settlements += 2;
            for (market, pot) in ledger.markets.iter().zip(&ledger.pots) {
                let covered = pot + ledger.owed(market);
                prop_assert!(covered >= 0);
                prop_assert!(covered <= settlements + ACCOUNTS as i128);
            }
        }
    }

    #[test]
    fn realised_profit_sums_to_the_cash_paid_when_a_position_closes_in_parts(
        market in any_market(1),
        lots in 1i64..1 << 30,
        paid in -(1i128 << 70)..1 << 70,
        parts in vec((1i64..1 << 29, -(1i128 << 60)..1 << 60), 0..12),
        short: bool,
    ) {
        let sign = if short { -1 } else { 1 };
        let mut account = account(0, vec![]);
        apply_trade(&mut account, &market, sign * lots, paid).unwrap();
        let (mut left, mut spent) = (lots, paid);
        for (part, value) in parts.into_iter().chain([(i64::MAX, 77)]) {
            let (part, held) = (part.min(left), account.position(1).copied());
            let Some(held) = held else { break };
            let realised = apply_trade(&mut account, &market, -sign * part, value).unwrap().realised;
            // Cash gets the exact share or up to a quantum less; the rest stays in cost.
            let (n, k) = (i128::from(left), i128::from(part));
            let exact = -value * n - held.cost * k;
            prop_assert!(realised * n <= exact && (realised + 1) * n > exact);
            left -= part;
            spent += value;
        }
        prop_assert_eq!(left, 0);
        prop_assert!(account.positions.is_empty());
        prop_assert_eq!(account.cash, -spent);
    }

    #[test]
    fn trade_through_zero_is_a_close_and_an_open_when_at_one_price(
        market in any_market(1),
        held in prop_oneof![-1_000_000i64..-1, 1i64..1_000_000],
        beyond in 1i64..1_000_000,
        entry in 1u64..1 << 30,
        exit in 1u64..1 << 30,
    ) {
        let value = |lots, ticks| math::trade_value(lots, ticks, market.tick_value).unwrap();
        let open = -held.signum() * beyond;
        let mut once = account(0, vec![]);
        apply_trade(&mut once, &market, held, value(held, entry)).unwrap();
        once.positions[0].rank = RankSlot { bucket: 3, generation: 9 };
        let mut twice = once.clone();

        let traded = apply_trade(&mut once, &market, open - held, value(open - held, exit)).unwrap();
        let closed = apply_trade(&mut twice, &market, -held, value(-held, exit)).unwrap();
        apply_trade(&mut twice, &market, open, value(open, exit)).unwrap();
        prop_assert_eq!(&once, &twice);
        prop_assert_eq!(traded, closed);
        prop_assert_eq!(once.positions[0].cost, value(open, exit));
        prop_assert_eq!(once.positions[0].rank, RankSlot::default());
    }

    #[test]
    fn funding_does_not_depend_on_when_it_settles_but_for_a_quantum_each_time(
        mut market in any_market(1),
        lots in any_lots(),
        steps in vec((any::<i32>(), any::<bool>()), 1..30),
    ) {
        prop_assume!(lots != 0);
        let mut often = account(0, vec![position(1, lots, 0, market.funding_index_of(lots))]);
        let mut once = often.clone();
        let (mut paid, mut times) = (0, 0);
        for (by, settle) in steps {
            market.accrue_funding(by.into()).unwrap();
            if settle {
                paid += settle_funding(&mut often, &market).unwrap();
                times += 1;
            }
        }
        paid += settle_funding(&mut often, &market).unwrap();
        let total = settle_funding(&mut once, &market).unwrap();
        prop_assert!(paid >= total && paid <= total + times);
        prop_assert_eq!(often.cash, -paid);
        prop_assert_eq!(settle_funding(&mut often, &market).unwrap(), 0);
    }

    #[test]
    fn order_aggregates_return_to_nothing_when_every_order_is_released(
        orders in vec((1u16..4, any::<bool>(), 1u64..1 << 40, 0i128..1 << 60), 1..40),
    ) {
        let mut account = MarginAccount::default();
        for (market, bid, lots, reserve) in &orders {
            let side = if *bid { Side::Bid } else { Side::Ask };
            add_order(&mut account, *market, side, *lots, *reserve).unwrap();
        }
        prop_assert!(account.orders.windows(2).all(|w| w[0].market < w[1].market));
        for (market, bid, lots, reserve) in orders {
            let (bids, asks) = if bid { (lots, 0) } else { (0, lots) };
            release_order(&mut account, market, bids, asks, reserve).unwrap();
        }
        prop_assert_eq!(account, MarginAccount::default());
    }
}

#[test]
fn trade_changes_nothing_when_the_position_list_is_full() {
    let mut full = account(5, vec![]);
    for id in 0..MAX_POSITIONS as MarketId {
        full.positions.try_push(position(id, 1, 1, 0)).unwrap();
    }
    let before = full.clone();
    let other = MarketView {
        id: 99,
        ..bitcoin(Price::from_u32(50_000))
    };
    assert_eq!(apply_trade(&mut full, &other, 1, 1), Err(RiskError::Full));
    assert_eq!(full, before);
    let held = MarketView { id: 3, ..other };
    assert_eq!(apply_trade(&mut full, &held, -1, -4).unwrap().realised, 3);
}

#[test]
fn trade_changes_nothing_when_a_sum_overflows() {
    let view = bitcoin(Price::from_u32(50_000));
    let overflow = Err(RiskError::Math(MathError::Overflow));
    for (held, lots, value) in [
        (position(1, i64::MAX, 0, 0), 1, 1),
        (position(1, 1, i128::MAX, 0), 1, 1),
        (position(1, 2, 0, 0), -1, i128::MIN),
        (position(1, 2, 0, i128::MIN), 1, 1),
    ] {
        let mut rich = account(i128::MAX, vec![held]);
        let before = rich.clone();
        assert_eq!(apply_trade(&mut rich, &view, lots, value), overflow);
        assert_eq!(rich, before);
    }
}

#[test]
fn zero_lots_move_cash_alone() {
    let mut holder = account(100, vec![]);
    let traded = apply_trade(&mut holder, &bitcoin(Price::from_u32(1)), 0, 30).unwrap();
    assert_eq!(
        (traded.realised, holder.cash, holder.positions.len()),
        (-30, 70, 0)
    );
}

#[test]
fn release_is_refused_when_larger_than_what_stands() {
    let mut holder = MarginAccount::default();
    add_order(&mut holder, 1, Side::Bid, 10, 100).unwrap();
    let before = holder.clone();
    for (market, bids, asks, reserve) in [
        (1, 11, 0, 0),
        (1, 0, 1, 0),
        (1, 0, 0, 101),
        (1, 0, 0, -1),
        (2, 1, 0, 0),
    ] {
        assert_eq!(
            release_order(&mut holder, market, bids, asks, reserve),
            Err(RiskError::Underflow)
        );
        assert_eq!(holder, before);
    }
    assert_eq!(
        add_order(&mut holder, 1, Side::Ask, 1, -1),
        Err(RiskError::Underflow)
    );
    assert_eq!(
        add_order(&mut holder, 1, Side::Bid, u64::MAX, 0),
        Err(RiskError::Math(MathError::Overflow))
    );
    assert_eq!(holder, before);
}
