//! Portfolios of the view: what an account needs by parts and by scan.

use crate::common::*;
use novate_risk::{
    portfolio::{Contract as Leg, Portfolio, PortfolioParams, Prices, Worst},
    *,
};
use novate_types::*;
use proptest::prelude::*;

pub const NOW: Millis = 1_700_000_000_000;
pub const DAY: Millis = 86_400_000;

pub fn dollars(n: u64) -> Price {
    Price::from_inner(u128::from(n) * 10u128.pow(18))
}

/// What of a mean stands if the index stood still since it began.
pub fn standing(market: &MarketView) -> Price {
    let left = market.contract.expiry.saturating_sub(NOW);
    if market.contract.expiry == 0 || left >= SETTLEMENT_MILLIS {
        return Price::default();
    }
    let past = u128::from(SETTLEMENT_MILLIS - left);
    Price::from_inner(market.index.into_inner() * past / u128::from(SETTLEMENT_MILLIS))
}

/// A perpetual (0), a future (1), and options of a near and a far expiry, marked at 60 % a year.
pub fn listed(id: MarketId, index: u64, strike: u64, left: Millis) -> MarketView {
    let expiry = NOW + if id % 2 == 0 { left } else { left + 30 * DAY };
    let right = if id % 4 < 2 {
        OptionRight::Call
    } else {
        OptionRight::Put
    };
    let kind = match id {
        0 => InstrumentKind::Perpetual,
        1 => InstrumentKind::Future { expiry },
        _ => InstrumentKind::Option {
            expiry,
            strike: 2 * strike,
            right,
        },
    };
    let years = (expiry - NOW) as f64 / (365.0 * DAY as f64);
    let mut market = MarketView {
        id,
        underlying: 1,
        imf: 150_000,
        mmf: 100_000,
        contract: Contract {
            variance: if id > 1 { (0.36e12 * years) as u64 } else { 0 },
            ..Contract::from(kind)
        },
        ..bitcoin(dollars(index))
    };
    market.contract.fixed = standing(&market);
    if id > 1 {
        let forward = Forward {
            price: market.index,
            settled: standing(&market),
            left: expiry - NOW,
        };
        let variance = Price::from_inner(u128::from(market.contract.variance) * VARIANCE_UNIT);
        market.mark = option_mark_floor(right, &forward, dollars(strike), variance).unwrap();
    }
    market
}

pub fn any_holder(least: Millis) -> impl Strategy<Value = (RiskView, MarginAccount)> {
    let of = (-50_000i64..50_000, 40_000u64..90_000);
    (
        prop::collection::vec(of, 8),
        40_000u64..90_000,
        least..40 * DAY,
    )
        .prop_map(|(held, index, left)| {
            let markets = (0u16..).zip(&held);
            let markets = markets.map(|(id, (_, strike))| listed(id, index, *strike, left));
            let mut view = view(markets.collect(), vec![]);
            view.now = NOW;
            let held = (0u16..).zip(&held).filter(|(_, (lots, _))| *lots != 0);
            let positions = held.map(|(id, (lots, _))| position(id, *lots, 0, 0));
            (view, account(0, positions.collect()))
        })
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn parts_are_what_the_linear_model_asks_for((view, account) in any_holder(60_000)) {
        let portfolios = Portfolio::of(&account, &view).unwrap();
        prop_assert!(portfolios.len() <= 1);
        let assessed = Linear::assess(&account, &view).unwrap();
        let parts = portfolios.first().map_or_else(Default::default, |p| p.by_parts);
        prop_assert_eq!((parts.initial, parts.maintenance), (assessed.initial, assessed.maintenance));
    }

    #[test]
    fn the_model_marks_options_as_the_chain_does((view, account) in any_holder(SETTLEMENT_MILLIS)) {
        let params = PortfolioParams::standard();
        for portfolio in Portfolio::of(&account, &view).unwrap() {
            let mut prices = Prices::new(&portfolio.market, &params).unwrap();
            for (leg, position) in portfolio.legs.iter().zip(&account.positions) {
                let market = view.market(position.market).unwrap();
                prop_assert_eq!(leg.lots, position.lots);
                let Leg::Option { series, kind } = leg.contract else {
                    prop_assert!(position.market < 2);
                    continue;
                };
                let lot = prices.mark(series).unwrap().of(kind) as f64 / (1u64 << 48) as f64;
                let chain = market.mark.into_inner() as f64 / 1e18 * 100.0;
                // A lot is 10⁻⁴ of a unit: 100 quantums a dollar. The year is counted in whole seconds.
                prop_assert!((lot - chain).abs() <= 1e-9 * 100.0 * 90_000.0, "{lot} for {chain}");
            }
        }
    }

    #[test]
    fn a_portfolio_and_its_opposite_are_not_both_without_risk((view, account) in any_holder(DAY)) {
        let params = PortfolioParams::standard();
        let mut opposite = account.clone();
        for position in opposite.positions.iter_mut() {
            position.lots = -position.lots;
        }
        let scan = |account| -> Cash {
            let portfolios = Portfolio::of(account, &view).unwrap();
            portfolios.iter().map(|p| p.scan(&params).unwrap().loss).sum()
        };
        // What one gains in a scenario the other loses.
        prop_assert!(account.positions.is_empty() || scan(&account) + scan(&opposite) > 0);
    }
}

fn held(view: &RiskView, lots: &[(MarketId, SignedLots)]) -> portfolio::Scanned {
    let positions = lots.iter().map(|(id, lots)| position(*id, *lots, 0, 0));
    let account = account(0, positions.collect());
    let portfolios = Portfolio::of(&account, view).unwrap();
    let [portfolio] = &portfolios[..] else {
        panic!("one underlying")
    };
    portfolio.scan(&PortfolioParams::standard()).unwrap()
}

#[test]
fn the_worst_scenario_is_the_one_that_hurts() {
    let markets = (0..8).map(|id| listed(id, 60_000, 65_000, 14 * DAY));
    let mut view = view(markets.collect(), vec![]);
    view.now = NOW;
    // One unit long falls, one short rises, by 18 % at most beside the tails.
    for (lots, by) in [(10_000, -180_000i128), (-10_000, 180_000)] {
        let found = held(&view, &[(0, lots)]);
        let Worst::Scenario(worst) = found.worst else {
            panic!("{found:?}")
        };
        assert_eq!(worst.price.into_inner(), by * 10i128.pow(12));
        assert_eq!(found.loss, usd(10_800));
    }
    // A short call (market 4) is hurt by a rise with volatility up; what a perpetual loses by a fall it pays back in part.
    let naked = held(&view, &[(4, -10_000)]);
    let Worst::Scenario(worst) = naked.worst else {
        panic!("{naked:?}")
    };
    assert!(worst.price.into_inner() > 0 && worst.volatility == portfolio::VolatilityShock::Up);
    let covered = held(&view, &[(4, -10_000), (0, 10_000)]);
    assert!(covered.loss < usd(10_800));
    // A long one can lose what it is worth, and nothing nothing.
    let value = math::position_value_floor(10_000, view.markets[4].mark, view.markets[4].lot_size);
    let long = held(&view, &[(4, 10_000)]);
    assert!(long.loss > 0 && long.loss <= value.unwrap() + 1);
    assert_eq!(held(&view, &[(0, 0)]).worst, Worst::Nothing);
}

#[test]
fn what_has_settled_is_in_no_portfolio() {
    let mut market = listed(4, 60_000, 65_000, DAY);
    market.contract.settled = true;
    let mut view = view(vec![market], vec![]);
    view.now = NOW + 2 * DAY;
    let account = account(0, vec![position(4, -10_000, 0, 0)]);
    assert_eq!(Portfolio::of(&account, &view), Ok(vec![]));
}
