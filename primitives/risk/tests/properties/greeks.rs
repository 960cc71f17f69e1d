//! Greeks: against numerical differences of the mark, parity, the sums of accounts, and a venue's own.

use crate::common::*;
use novate_risk::{portfolio::Unsigned, *};
use novate_types::*;
use proptest::prelude::*;
use sp_arithmetic::FixedI128;

const DAY: Millis = 86_400_000;
const YEAR: f64 = 365.0 * 86_400_000.0;
const NOW: Millis = 1_700_000_000_000;

fn price(x: f64) -> Price {
    Price::from_inner((x * 1e18) as u128)
}

fn float(x: FixedI128) -> f64 {
    x.into_inner() as f64 / 1e18
}

/// An option as its mark has it: `strike` so many deviations of the mean from what is open.
#[derive(Clone, Copy, Debug)]
struct Case {
    right: OptionRight,
    forward: Forward,
    strike: Price,
    volatility: f64,
}

impl Case {
    fn variance(&self, left: f64, volatility: f64) -> Unsigned {
        price(volatility * volatility * left / YEAR)
    }

    fn greeks(&self) -> Greeks {
        let variance = self.variance(self.forward.left as f64, self.volatility);
        option_greeks(self.right, &self.forward, self.strike, variance).unwrap()
    }

    /// The mark in 10⁻¹⁸ USD, with the forward, what is settled of it, the time and the volatility moved.
    fn mark(&self, forward: f64, settled: f64, left: i64, volatility: f64) -> i128 {
        let moved = |price: Price, by: f64| {
            let by = (by * 1e18) as i128;
            Price::from_inner(price.into_inner().checked_add_signed(by).unwrap())
        };
        let at = Forward {
            price: moved(self.forward.price, forward),
            settled: moved(self.forward.settled, settled),
            left: self.forward.left.checked_add_signed(left).unwrap(),
        };
        let variance = self.variance(at.left as f64, self.volatility + volatility);
        let mark = option_mark_floor(self.right, &at, self.strike, variance).unwrap();
        mark.into_inner() as i128
    }

    fn open(&self) -> f64 {
        (self.forward.price.into_inner() - self.forward.settled.into_inner()) as f64 / 1e18
    }

    fn whole(&self) -> f64 {
        self.forward.price.into_inner() as f64 / 1e18
    }

    /// Years of variance that the mean has.
    fn mean(&self) -> f64 {
        let left = self.forward.left as f64;
        let window = SETTLEMENT_MILLIS as f64;
        if left <= window {
            left / 3.0 / YEAR
        } else {
            (left - window * 2.0 / 3.0) / YEAR
        }
    }

    fn deviation(&self) -> f64 {
        self.volatility * self.mean().sqrt()
    }
}

fn any_case() -> impl Strategy<Value = Case> {
    let left = prop_oneof![
        2 => 60_000..SETTLEMENT_MILLIS - 1_000,
        2 => SETTLEMENT_MILLIS + 1_000..DAY,
        3 => DAY..120 * DAY,
    ];
    (
        prop_oneof![Just(OptionRight::Call), Just(OptionRight::Put)],
        10.0f64..200_000.0,
        0.01f64..0.95,
        left,
        0.05f64..3.0,
        -3.5f64..3.5,
    )
        .prop_map(|(right, whole, settled, left, volatility, distance)| {
            let settled = if left < SETTLEMENT_MILLIS {
                whole * settled
            } else {
                0.0
            };
            let forward = Forward {
                price: price(whole),
                settled: price(settled),
                left,
            };
            let case = Case {
                right,
                forward,
                strike: Price::default(),
                volatility,
            };
            let strike = settled + case.open() * (distance * case.deviation()).exp();
            Case {
                strike: price(strike),
                ..case
            }
        })
}

fn near(found: f64, expected: f64, error: f64, what: &str) -> Result<(), TestCaseError> {
    prop_assert!(
        (found - expected).abs() <= error,
        "{what}: {found} for {expected}, within {error}"
    );
    Ok(())
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn greeks_are_the_differences_of_the_mark(case in any_case()) {
        let (greeks, s, open) = (case.greeks(), case.deviation(), case.open());
        let share = open / case.whole();
        let mark = |forward, settled, left, volatility| case.mark(forward, settled, left, volatility);

        // The underlying's move takes the open share of it along.
        let h = open * s * 1e-4;
        let slope = (mark(h, 0.0, 0, 0.0) - mark(-h, 0.0, 0, 0.0)) as f64 / 1e18 / (2.0 * h);
        near(float(greeks.delta), share * slope, 1e-6, "delta")?;
        // A point of interest: the open part grows, and what is paid is discounted.
        let value = mark(0.0, 0.0, 0, 0.0) as f64 / 1e18;
        let years = case.forward.left as f64 / YEAR;
        near(float(greeks.rho), years * (open * slope - value) / 100.0, 1e-8 * years * open + 1e-15, "rho")?;
        let h = open * s * 1e-3;
        let bend = mark(h, 0.0, 0, 0.0) + mark(-h, 0.0, 0, 0.0) - 2 * mark(0.0, 0.0, 0, 0.0);
        let largest = 0.4 / (open * s);
        near(float(greeks.gamma), share * share * bend as f64 / 1e18 / (h * h), 1e-5 * share * share * largest + 1e-17, "gamma")?;

        let by = case.volatility * 1e-4;
        let vega = (mark(0.0, 0.0, 0, by) - mark(0.0, 0.0, 0, -by)) as f64 / 1e18 / (2.0 * by);
        let largest = 0.4 * open * case.mean().sqrt();
        near(float(greeks.vega), vega / 100.0, 1e-7 * largest + 1e-15, "vega")?;

        // Before the mean begins nothing stands; then what is open falls with the time left, the forward standing still.
        let by = (case.forward.left / 10_000).max(1) as i64;
        let part = if case.forward.left < SETTLEMENT_MILLIS {
            open * by as f64 / case.forward.left as f64
        } else {
            0.0
        };
        let lost = (mark(0.0, -part, by, 0.0) - mark(0.0, part, -by, 0.0)) as f64 / 1e18;
        let span = case.forward.left.min(DAY) as f64;
        let expected = -(lost / (2.0 * by as f64) * span).min(value);
        let scale = open * s * span / case.forward.left as f64;
        near(float(greeks.theta), expected, 1e-4 * scale, "theta")?;
    }

    #[test]
    fn call_and_put_differ_by_a_future(case in any_case()) {
        let of = |right| Case { right, ..case };
        let (call, put) = (of(OptionRight::Call), of(OptionRight::Put));
        let [c, p] = [call, put].map(|case| case.greeks());
        let close = |a: FixedI128, b: FixedI128| {
            (a.into_inner() - b.into_inner()).abs() <= 2
        };
        near(float(c.delta) - float(p.delta), case.open() / case.whole(), 4e-15, "delta")?;
        prop_assert!(close(c.gamma, p.gamma) && close(c.vega, p.vega), "{c:?} {p:?}");
        // The future's grows with it, and the strike is paid at the end: what is left of both is the strike's.
        let years = case.forward.left as f64 / YEAR;
        let strike = (case.strike.into_inner() - case.forward.settled.into_inner()) as f64 / 1e18;
        near(float(c.rho) - float(p.rho), years * strike / 100.0, 1e-15 * years * (strike + case.open()) + 4e-18, "rho")?;
        // Of the cheaper one no more is lost than it is worth.
        let value = |case: Case| case.mark(0.0, 0.0, 0, 0.0);
        let (cheap, dear) = if value(call) < value(put) { (c, p) } else { (p, c) };
        let worth = value(call).min(value(put));
        prop_assert!(
            close(cheap.theta, dear.theta)
                || (cheap.theta > dear.theta && (cheap.theta.into_inner() + worth).abs() <= 2),
            "{cheap:?} {dear:?}, worth {worth}"
        );
        // What one side holds the other owes.
        let long = c.of_lots(12_345, Size::from_rational(1, 10_000)).unwrap();
        let short = c.of_lots(-12_345, Size::from_rational(1, 10_000)).unwrap();
        prop_assert_eq!(long.plus(&short).unwrap(), Greeks::default());
    }

    #[test]
    fn an_account_moves_as_its_positions_do(
        lots in prop::collection::vec(-1_000_000i64..1_000_000, 6),
        rights in prop::collection::vec(any::<bool>(), 6),
        seconds in 60u64..86_400 * 60,
        forward in 20_000u128..180_000,
    ) {
        let left = seconds * 1_000;
        let settled = |market: &MarketView| match market.contract.expiry {
            0 => Price::default(),
            _ if left >= SETTLEMENT_MILLIS => Price::default(),
            _ => Price::from_inner(market.index.into_inner() / 3),
        };
        // A perpetual, a future, three options, and an option on something else.
        let markets: Vec<_> = (0u16..6).map(|at| listed(at, rights[usize::from(at)], left, forward)).collect();
        let mut all = view(markets, vec![]);
        all.now = NOW;
        let held = (0u16..6).zip(&lots).filter(|(_, lots)| **lots != 0);
        let account = account(0, held.map(|(id, lots)| position(id, *lots, 0, 0)).collect());
        let sums = account_greeks(&account, &all, settled).unwrap();

        let mut expected = std::collections::BTreeMap::<FeedId, [i128; 5]>::new();
        for position in &account.positions {
            let market = all.market(position.market).unwrap();
            let unit = unit_greeks(market, settled(market), NOW).unwrap().unwrap();
            let sum = expected.entry(market.underlying).or_default();
            for (sum, unit) in sum.iter_mut().zip([unit.delta, unit.gamma, unit.vega, unit.theta, unit.rho]) {
                // A lot is 10⁻⁴ of a unit.
                *sum += i128::from(position.lots) * unit.into_inner() / 10_000;
            }
        }
        prop_assert_eq!(sums.len(), expected.len());
        for (underlying, found) in sums {
            let found = [found.delta, found.gamma, found.vega, found.theta, found.rho];
            prop_assert_eq!(found.map(|greek| greek.into_inner()), expected[&underlying]);
        }
    }
}

fn listed(id: MarketId, call: bool, left: Millis, forward: u128) -> MarketView {
    let kind = match id {
        0 => InstrumentKind::Perpetual,
        1 => InstrumentKind::Future { expiry: NOW + left },
        _ => InstrumentKind::Option {
            expiry: NOW + left,
            strike: 100_000 + 10_000 * u64::from(id),
            right: if call {
                OptionRight::Call
            } else {
                OptionRight::Put
            },
        },
    };
    let index = Price::from_inner(forward * 10u128.pow(18));
    MarketView {
        id,
        underlying: if id == 5 { 2 } else { 1 },
        contract: Contract {
            // 60 % a year.
            variance: (0.36e12 * left as f64 / YEAR) as u64,
            ..Contract::from(kind)
        },
        ..bitcoin(index)
    }
}

#[test]
fn what_has_no_mark_or_has_settled_does_not_move() {
    let alive = listed(2, true, DAY, 60_000);
    assert!(unit_greeks(&alive, Price::default(), NOW)
        .unwrap()
        .is_some());
    let unmarked = MarketView {
        mark: Price::default(),
        ..alive.clone()
    };
    let settled = MarketView {
        contract: Contract {
            settled: true,
            ..alive.contract
        },
        ..alive
    };
    for market in [unmarked, settled] {
        assert_eq!(unit_greeks(&market, Price::default(), NOW), Ok(None));
        assert_eq!(mark_volatility_floor(&market, NOW), Ok(None));
    }
}

#[test]
fn a_perpetual_and_a_future_have_a_delta_of_one_until_the_mean_begins() {
    let one = Greeks {
        delta: FixedI128::from_u32(1),
        ..Greeks::default()
    };
    // A point of interest makes 60,000 USD 600 a year more: of what is to come in a day, 1.64.
    let carried = FixedI128::from_inner(600 * 10i128.pow(18) / 365);
    for (id, rho) in [(0, FixedI128::from_u32(0)), (1, carried)] {
        let market = listed(id, true, DAY, 60_000);
        let found = unit_greeks(&market, Price::default(), NOW)
            .unwrap()
            .unwrap();
        assert!(
            (found.rho.into_inner() - rho.into_inner()).abs() <= 1,
            "{found:?}"
        );
        assert_eq!(
            Greeks {
                rho: one.rho,
                ..found
            },
            one
        );
        let held = position_greeks(&market, -25_000, Price::default(), NOW);
        let delta = held.unwrap().unwrap().delta;
        assert_eq!(delta, FixedI128::from_inner(-2_500_000_000_000_000_000));
    }
    // Two thirds of what the future settles at stand: a third of its delta is left, as of a call that these two thirds have paid for.
    let settled = Price::from_u32(40_000);
    let third = FixedI128::from_inner(333_333_333_333_333_333);
    let future = listed(1, true, 600_000, 60_000);
    let call = MarketView {
        contract: Contract {
            strike: 70_000,
            ..listed(2, true, 600_000, 60_000).contract
        },
        ..listed(2, true, 600_000, 60_000)
    };
    // Of the call, of which 25,000 USD are to come, what is paid beyond what is open weighs more than that.
    for (market, at_stake) in [(future, 20_000.0), (call, 20_000.0 - 25_000.0)] {
        let greeks = unit_greeks(&market, settled, NOW).unwrap().unwrap();
        assert_eq!(greeks.delta, third);
        assert_eq!(greeks.gamma, FixedI128::from_u32(0));
        let years = 600_000.0 / YEAR;
        assert!((float(greeks.rho) - years * at_stake / 100.0).abs() < 1e-12);
    }
}

#[test]
fn the_volatility_of_a_mark_is_that_of_its_variance() {
    let market = listed(2, true, 30 * DAY, 60_000);
    let volatility = mark_volatility_floor(&market, NOW).unwrap().unwrap();
    let found = volatility.into_inner() as f64 / 1e18;
    assert!((found - 0.6).abs() < 1e-9, "{found}");
    let perpetual = listed(0, true, DAY, 60_000);
    assert_eq!(mark_volatility_floor(&perpetual, NOW), Ok(None));
}

/// Deribit, May 2020 (`primitives/math/tests/data/README.md`). The venue's marks take no account of their settlement's mean: given as much variance more as
/// that takes off, delta, gamma and rho are the venue's, and vega and theta are by known factors.
#[test]
fn greeks_of_a_recorded_chain_follow_from_its_volatilities() {
    let chain = include_str!("../../../math/tests/data/options_deribit_btc_2020-05-21_even.csv");
    let mut lines = chain
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().unwrap();
    let (mut rows, mut thetas) = (0, 0);
    for row in lines {
        let text = |name: &str| row[head.iter().position(|column| *column == name).unwrap()];
        let cell = |name: &str| text(name).parse::<f64>().unwrap();
        let (whole, left) = (
            cell("underlying_price"),
            ((cell("expiry_ts") - cell("ts")) * 1e3).round() as Millis,
        );
        let plain = Case {
            right: match text("type") {
                "call" => OptionRight::Call,
                _ => OptionRight::Put,
            },
            forward: Forward {
                price: price(whole),
                settled: Price::default(),
                left,
            },
            strike: price(cell("strike")),
            volatility: cell("mark_iv_pct") / 100.0,
        };
        let stretch = left as f64 / YEAR / plain.mean();
        let case = Case {
            volatility: plain.volatility * stretch.sqrt(),
            ..plain
        };
        let greeks = case.greeks();
        let (vega, theta) = (
            float(greeks.vega) * stretch.sqrt(),
            float(greeks.theta) / stretch,
        );
        let id = text("instrument");
        for (found, name, bound) in [
            (float(greeks.delta), "delta", 0.000_1),
            (float(greeks.gamma), "gamma", 0.000_005_1),
            (vega, "vega", 0.001_6),
            (float(greeks.rho), "rho", 0.000_7),
        ] {
            let error = (found - cell(name)).abs();
            assert!(error <= bound, "{id}: {name} {found}, {error} off");
        }
        // Not bounded by the day or by its worth, on neither side.
        if left > DAY && cell("theta").abs() < 0.5 * cell("mark_price_btc") * whole {
            let error = (theta - cell("theta")).abs();
            assert!(error <= 0.024, "{id}: theta {theta}, {error} off");
            thetas += 1;
        }
        rows += 1;
    }
    assert_eq!(rows, 163);
    assert!(thetas > 80, "{thetas}");
}
