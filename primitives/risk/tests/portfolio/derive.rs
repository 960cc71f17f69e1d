//! Portfolios published by Derive (formerly Lyra) as test data of their contracts.
//!
//! `derive_pm_v2.json` and `derive_pm_v1.json` are of the project's shared numeric vectors (`vectors/README.md`); each says in `rules` how its numbers follow.
//! All cases run, to 10⁻⁶ of `max(1, |value|)` as their README asks. What the files give and the engine does not compute: the oracle contingency,
//! which both take from the source. The parameters of the second are in the file; those of the first are the source's own test parameters
//! (`test/risk-managers/unit-tests/PMRM/utils/PMRMTestBase.sol` and `test/config-test.sol` at 7736900d: moves of 0, ±5, ±10 and ±15 % with volatility up, same and down).
//! With them also `min_span` follows, which the vectors themselves do not derive. Their initial margin multiplies the contingencies too: that is a rate of ours on top.
//!
//! `derive_standard` (the source's simpler manager) is not run: it margins options by their worst payoff at settlement over the strikes of an
//! expiry, netted, which is neither of our two requirements.

use crate::common::{cases, float, number, text, Case};
use novate_math::{black76::Kind, Scaled};
use novate_risk::portfolio::*;
use novate_types::{Price, Size};
use serde_json::Value;

const SECOND: &str = include_str!("../vectors/derive_pm_v2.json");
const FIRST: &str = include_str!("../vectors/derive_pm_v1.json");

/// Amounts in lots of this many units.
const LOT: Size = Size::from_inner(1_000_000);

fn unsigned(x: Scaled) -> Unsigned {
    Unsigned::from_inner(x.to_18_decimals_nearest().unwrap())
}

fn signed(x: Scaled) -> Signed {
    let inner = x.abs().to_18_decimals_nearest().unwrap() as i128;
    Signed::from_inner(if x.is_negative() { -inner } else { inner })
}

fn lots(amount: Scaled) -> i64 {
    let lots = amount.over(Scaled::from_18_decimals(LOT.into_inner()).unwrap());
    lots.unwrap().nearest().unwrap().try_into().unwrap()
}

fn one() -> Unsigned {
    Unsigned::from_u32(1)
}

/// Seconds that are left, none after expiry.
fn seconds(value: &Value) -> u64 {
    text(value).parse::<i64>().unwrap().max(0) as u64
}

/// USD with all digits.
fn usd(x: Fine) -> f64 {
    float(
        Scaled::from(x)
            .over(Scaled::from(1_000_000u64))
            .unwrap()
            .shift(-(FINE_BITS as i32))
            .unwrap(),
    )
}

fn row(row: &Value) -> impl Fn(usize) -> Scaled + '_ {
    |at| number(&row[at])
}

struct Portfolio {
    market: Underlying,
    params: PortfolioParams,
    legs: Vec<Leg>,
    /// Everything equity counts beside the legs' options and collateral.
    cash: Scaled,
    collateral: Scaled,
    oracle: Scaled,
}

struct Outcome {
    scan: Scan,
    mtm: f64,
    mm: f64,
    im: f64,
}

impl Portfolio {
    /// The place of a strike and expiry, listed if it is not.
    fn series(&mut self, term: u16, strike: Scaled, volatility: Scaled) -> u16 {
        let wanted = Series {
            term,
            strike: unsigned(strike),
            volatility: unsigned(volatility),
            lot_size: LOT,
        };
        let same = |s: &Series| (s.term, s.strike) == (wanted.term, wanted.strike);
        let listed = &mut self.market.series;
        let at = listed.iter().position(same).unwrap_or(listed.len());
        if at == listed.len() {
            listed.push(wanted);
        } else {
            assert_eq!(listed[at], wanted, "one volatility a strike");
        }
        at as u16
    }

    fn option(&mut self, term: u16, row: &Value, columns: [usize; 4]) {
        let [strike, is_call, amount, volatility] = columns.map(|at| number(&row[at]));
        let kind = if is_call.is_zero() {
            Kind::Put
        } else {
            Kind::Call
        };
        let series = self.series(term, strike, volatility);
        self.legs.push(Leg {
            contract: Contract::Option { series, kind },
            lots: lots(amount),
        });
    }

    fn linear(&mut self, mark: Scaled, amount: Scaled) {
        let contract = Contract::Linear {
            mark: unsigned(mark),
            lot_size: LOT,
            term: None,
            mmf: 0,
            imf: 0,
        };
        if !amount.is_zero() {
            self.legs.push(Leg {
                contract,
                lots: lots(amount),
            });
        }
    }

    fn collateral(&mut self, amount: Scaled, price: Scaled, moves: bool, haircut: Rates) {
        let price = price.over(number_of(self.market.settlement)).unwrap();
        self.collateral = self.collateral.plus(amount.times(price).unwrap()).unwrap();
        self.legs.push(Leg {
            contract: Contract::Collateral {
                price: unsigned(price),
                lot_size: LOT,
                moves,
                haircut,
                confidence: one(),
            },
            lots: lots(amount),
        });
    }

    fn outcome(&self) -> Outcome {
        let mut prices = Prices::new(&self.market, &self.params).unwrap();
        let scan = Scan::of(&self.legs, &mut prices).unwrap();
        assert_eq!(scan_risk(&self.legs, &mut prices), Ok(scan.risk()));
        let needed = PortfolioMargin::of(&self.legs, &mut prices)
            .unwrap()
            .by_scan;
        let mtm = usd(scan.option_value) + float(self.collateral.plus(self.cash).unwrap());
        let margin =
            |quantums: i128| float(Scaled::ratio(quantums.unsigned_abs(), 1_000_000).unwrap());
        assert!(needed.maintenance >= 0 && needed.initial >= 0);
        Outcome {
            mtm,
            mm: mtm - margin(needed.maintenance),
            im: mtm - margin(needed.initial) - float(self.oracle.abs()),
            scan,
        }
    }

    /// The worst of the scenarios that fit, zero at best, as a change of value.
    fn worst(&self, scan: &Scan, which: impl Fn(&Scenario) -> bool) -> f64 {
        let cells = self.params.grid.scenarios.iter().zip(&scan.losses);
        let losses = cells.filter(|(cell, _)| which(cell)).map(|(_, loss)| *loss);
        -usd(losses.max().unwrap_or(0).max(0))
    }
}

fn number_of(x: Price) -> Scaled {
    Scaled::from_18_decimals(x.into_inner()).unwrap()
}

fn near(case: &Case, want: &str, got: f64) -> f64 {
    let value: f64 = text(&case.out[want]).parse().unwrap();
    let error = (got - value).abs() / value.abs().max(1.0);
    assert!(error < 1e-6, "{} {want}: {got} for {value}", case.id);
    error
}

fn is_skew(cell: &Scenario) -> bool {
    cell.volatility >= VolatilityShock::SkewLinear
}

fn second(case: &Case) -> Portfolio {
    let input = &case.input;
    let of = |key: &str| number(&input[key]);
    let parameter = |group: &str, key: &str| number(&input["params"][group][key]);
    let rate = |group: &str, key: &str| unsigned(parameter(group, key));
    let shift = |group: &str, key: &str| signed(parameter(group, key));
    let step = |x: Scaled| signed(x.minus(Scaled::ONE).unwrap());
    let rates = |maintenance: &str, initial_extra: &str| Rates {
        maintenance: rate("OtherContingency", maintenance),
        initial_extra: rate("OtherContingency", initial_extra),
    };
    let cap = |kind: &str| SkewCap {
        flat: shift("SkewShock", &format!("{kind}_SCALE_CAP")),
        per_root_year: shift("SkewShock", &format!("{kind}_CBASE")),
    };
    let scenarios: Vec<_> = input["scenarios"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cell| Scenario {
            price: step(number(&cell[0])),
            volatility: match text(&cell[1]) {
                "None" => VolatilityShock::Same,
                "Up" => VolatilityShock::Up,
                "Down" => VolatilityShock::Down,
                "LINEAR" => VolatilityShock::SkewLinear,
                "ABS" => VolatilityShock::SkewAbsolute,
                other => panic!("unknown shock {other}"),
            },
            weight: unsigned(number(&cell[2])),
        })
        .collect();
    let standard = PortfolioParams::standard();
    let params = PortfolioParams {
        grid: Grid {
            price: PriceShock::Relative,
            volatility: VolatilityRange::Relative {
                up: rate("VolShock", "VOLRANGEUP"),
                down: rate("VolShock", "VOLRANGEDOWN"),
                least_up: rate("VolShock", "MIN_VOL_EVAL_SHOCKED"),
                short_power: rate("VolShock", "SHORTTERMPOWER"),
                long_power: rate("VolShock", "LONGTERMPOWER"),
                least_days: rate("VolShock", "DTE_FLOOR"),
            },
            skew: Skew {
                linear: cap("LINEAR"),
                absolute: cap("ABS"),
                least_width: rate("SkewShock", "MIN_K_STAR"),
                width: rate("SkewShock", "MIN_WIDTH_SCALE"),
                level: shift("SkewShock", "VOL_PARAM_STATIC"),
                level_per_root_year: shift("SkewShock", "VOL_PARAM_SCALE"),
            },
            long: StaticDiscount {
                base: rate("Margin", "BASE_STATIC_DISCOUNT"),
                per_rate: rate("Margin", "LONG_RATE_MULTSCALE"),
                flat: rate("Margin", "LONG_RATE_ADDSCALE"),
            },
            short: StaticDiscount {
                base: rate("Margin", "BASE_STATIC_DISCOUNT_NEG"),
                per_rate: rate("Margin", "SHORT_RATE_MULTSCALE"),
                flat: rate("Margin", "SHORT_RATE_ADDSCALE"),
            },
            basis: Basis {
                up: step(parameter("BasisContingency", "SCENARIO_SPOT_UP")),
                down: step(parameter("BasisContingency", "SCENARIO_SPOT_DOWN")),
                flat: rate("BasisContingency", "BASIS_CONT_ADD_FACTOR"),
                per_year: rate("BasisContingency", "BASIS_CONT_MULT_FACTOR"),
            },
            scenarios: scenarios.try_into().unwrap(),
        },
        factors: Factors {
            maintenance: rate("Margin", "MM_LOSS_FACTOR"),
            initial: rate("Margin", "IM_LOSS_FACTOR"),
            peg: rate("OtherContingency", "PEG_LOSS_THRESHOLD"),
            per_peg: rate("OtherContingency", "PEG_LOSS_FACTOR"),
        },
        contingencies: Contingencies {
            linear: rates("MM_PERP_PERCENT", "IM_PERP_PERCENT"),
            short_option: rates("MM_OPTION_PERCENT", "IM_OPTION_PERCENT"),
            ..standard.contingencies
        },
        parts: standard.parts,
    };
    let market = Underlying {
        index: unsigned(of("spot")),
        confidence: one(),
        settlement: unsigned(of("stable")),
        open_interest: 0,
        terms: Vec::new(),
        series: Vec::new(),
    };
    let parts = ["unrealised_perp_pnl", "unrealised_funding", "cash"];
    let cash = parts.map(of).into_iter().reduce(|a, b| a.plus(b).unwrap());
    let mut portfolio = Portfolio {
        market,
        params,
        legs: Vec::new(),
        cash: cash.unwrap(),
        collateral: Scaled::ZERO,
        oracle: of("oracle_contingency"),
    };
    portfolio.linear(of("perp_price"), of("perps"));
    for asset in input["collateral"].as_array().unwrap() {
        let moves = asset["risk_cancelling"].as_bool().unwrap();
        let haircut = Rates {
            maintenance: unsigned(number(&asset["mm_haircut"])),
            initial_extra: unsigned(number(&asset["im_haircut"])),
        };
        portfolio.collateral(
            number(&asset["amount"]),
            number(&asset["price"]),
            moves,
            haircut,
        );
    }
    let options = input["options"].as_array().unwrap();
    for (at, feed) in input["feeds"].as_array().unwrap().iter().enumerate() {
        let feed_of = row(feed);
        let mut term = Term::new(
            seconds(&feed[0]),
            unsigned(feed_of(1)),
            unsigned(feed_of(2)),
            signed(feed_of(3)),
        )
        .unwrap();
        for option in options.iter().filter(|option| option[0] == feed[0]) {
            let discount = number(&option[3]).min(Scaled::ONE);
            let apart = float(discount.minus(term.discount).unwrap().abs());
            assert!(apart < 1e-9, "{}: exp(-rT) is off by {apart}", case.id);
            term.discount = discount;
            portfolio.option(at as u16, option, [1, 2, 5, 4]);
        }
        portfolio.market.terms.push(term);
    }
    assert_eq!(
        options.len(),
        portfolio
            .legs
            .iter()
            .filter(|leg| matches!(leg.contract, Contract::Option { .. }))
            .count()
    );
    portfolio
}

#[test]
fn second_portfolio_manager_meets_the_published_cases() {
    let cases = cases(SECOND);
    assert!(!cases.is_empty());
    let mut worst = 0f64;
    for case in &cases {
        let portfolio = second(case);
        let outcome = portfolio.outcome();
        let scan = &outcome.scan;
        let whole = |cell: &Scenario| cell.weight == one() && !is_skew(cell);
        let tail = |cell: &Scenario| cell.weight != one() && !is_skew(cell);
        for (want, got) in [
            ("option_mtm", usd(scan.option_value)),
            ("mtm", outcome.mtm),
            ("worst_regular", portfolio.worst(scan, whole)),
            ("worst_tail", portfolio.worst(scan, tail)),
            ("worst_skew", portfolio.worst(scan, is_skew)),
            ("basis_contingency", -usd(scan.basis)),
            ("mm", outcome.mm),
            ("im", outcome.im),
        ] {
            worst = worst.max(near(case, want, got));
        }
    }
    println!("{} cases, largest error {worst:.1e}", cases.len());
}

fn first(case: &Case) -> Portfolio {
    let input = &case.input;
    let of = |key: &str| number(&input[key]);
    let n = |text: &str| unsigned(text.parse().unwrap());
    let s = |text: &str| signed(text.parse().unwrap());
    // Theirs multiplies the contingencies as well.
    let factor = number(&case.out["loss_factor"]);
    let extra = factor.minus(Scaled::ONE).unwrap();
    let rates = |rate: &str| {
        let rate: Scaled = rate.parse().unwrap();
        Rates {
            maintenance: unsigned(rate),
            initial_extra: unsigned(rate.times(extra).unwrap()),
        }
    };
    let shocks = [
        VolatilityShock::Up,
        VolatilityShock::Same,
        VolatilityShock::Down,
    ];
    let moves = ["0", "0.05", "-0.05", "0.1", "-0.1", "0.15", "-0.15"];
    let scenarios: Vec<_> = moves
        .iter()
        .flat_map(|price| {
            shocks.map(|volatility| Scenario {
                price: s(price),
                volatility,
                weight: one(),
            })
        })
        .collect();
    let standard = PortfolioParams::standard();
    let params = PortfolioParams {
        grid: Grid {
            volatility: VolatilityRange::Relative {
                up: n("0.45"),
                down: n("0.3"),
                least_up: n("0"),
                short_power: n("0.3"),
                long_power: n("0.13"),
                least_days: n("1"),
            },
            long: StaticDiscount {
                base: n("0.95"),
                per_rate: n("4"),
                flat: n("0.05"),
            },
            basis: Basis {
                up: s("0.05"),
                down: s("-0.05"),
                flat: n("0.25"),
                per_year: n("0.01"),
            },
            scenarios: scenarios.try_into().unwrap(),
            ..standard.grid
        },
        factors: Factors {
            maintenance: one(),
            initial: unsigned(factor),
            peg: n("0"),
            per_peg: n("0"),
        },
        contingencies: Contingencies {
            linear: rates("0.02"),
            short_option: rates("0.01"),
            ..standard.contingencies
        },
        parts: standard.parts,
    };
    let cash = ["cash", "unrealised_perp_pnl", "unrealised_funding"];
    let cash = cash.map(of).into_iter().reduce(|a, b| a.plus(b).unwrap());
    let mut portfolio = Portfolio {
        market: Underlying {
            index: unsigned(of("spot")),
            confidence: one(),
            settlement: unsigned(of("stable")),
            open_interest: 0,
            terms: Vec::new(),
            series: Vec::new(),
        },
        params,
        legs: Vec::new(),
        cash: cash.unwrap(),
        collateral: Scaled::ZERO,
        oracle: number(&case.out["oracle_contingency"]),
    };
    portfolio.linear(of("perp_price"), of("perps"));
    portfolio.collateral(of("base"), of("spot"), true, rates("0.02"));
    let mut expiries = Vec::new();
    for option in input["options"].as_array().unwrap() {
        let column = row(option);
        let seconds = seconds(&option[0]);
        let at = expiries.iter().position(|known| *known == seconds);
        let at = at.unwrap_or(expiries.len());
        if at == expiries.len() {
            expiries.push(seconds);
            let forward = unsigned(column(5).plus(column(6)).unwrap());
            let mut term =
                Term::new(seconds, forward, unsigned(column(5)), signed(column(7))).unwrap();
            term.discount = Scaled::ONE;
            portfolio.market.terms.push(term);
        }
        portfolio.option(at as u16, option, [1, 2, 3, 4]);
        // The file's own shocks are the engine's.
        let days = Scaled::ratio(seconds.into(), 86_400).unwrap();
        let power = if days <= Scaled::from(30u64) {
            "0.3"
        } else {
            "0.13"
        };
        let multiple = Scaled::from(30u64).over(days.max(Scaled::ONE)).unwrap();
        let multiple = novate_math::pow(multiple, power.parse().unwrap()).unwrap();
        for (at, range) in [(8, "0.45"), (9, "-0.3")] {
            let shock = multiple.times(range.parse().unwrap()).unwrap();
            let shock = shock.plus(Scaled::ONE).unwrap().max(Scaled::ZERO);
            assert!((float(shock) - float(column(at))).abs() < 1e-9);
        }
    }
    portfolio
}

#[test]
fn first_portfolio_manager_meets_the_published_cases() {
    let cases = cases(FIRST);
    assert!(!cases.is_empty());
    let mut worst = 0f64;
    for case in &cases {
        let portfolio = first(case);
        let outcome = portfolio.outcome();
        for (want, got) in [
            ("mtm", outcome.mtm),
            ("min_span", portfolio.worst(&outcome.scan, |_| true)),
            ("forward_contingency", -usd(outcome.scan.basis)),
            ("mm", outcome.mm),
            ("im", outcome.im),
        ] {
            worst = worst.max(near(case, want, got));
        }
    }
    println!("{} cases, largest error {worst:.1e}", cases.len());
}
