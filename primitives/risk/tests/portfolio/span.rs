//! SPAN's sixteen scenarios.
//!
//! `span16.json` is of the project's shared numeric vectors (`vectors/README.md`), computed with mpmath to 50 digits. All kinds run, to 10⁻¹² of gross
//! notional (`Σ |quantity|·F·multiplier`) as their README asks.

use crate::common::{cases, float, number, text, Case};
use novate_math::{black76::Kind, exp, Scaled};
use novate_risk::portfolio::*;

const SPAN: &str = include_str!("../vectors/span16.json");

fn unsigned(x: Scaled) -> Unsigned {
    Unsigned::from_inner(x.to_18_decimals_nearest().unwrap())
}

fn usd(x: Fine) -> Scaled {
    Scaled::from(x)
        .over(Scaled::from(1_000_000u64))
        .unwrap()
        .shift(-(FINE_BITS as i32))
        .unwrap()
}

struct Position<'a> {
    kind: &'a str,
    term: usize,
    quantity: Scaled,
    value: &'a serde_json::Value,
}

fn positions(case: &Case) -> impl Iterator<Item = Position<'_>> {
    let positions = case.input["positions"].as_array().unwrap();
    positions.iter().map(|value| Position {
        kind: text(&value["type"]),
        term: text(&value["expiry"]).parse().unwrap(),
        quantity: number(&value["quantity"]),
        value,
    })
}

fn market(case: &Case) -> Underlying {
    let one = Unsigned::from_u32(1);
    let terms: Vec<_> = case.input["expiries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|expiry| {
            let (years, rate) = (number(&expiry["T"]), number(&expiry["r"]));
            Term {
                years,
                forward: unsigned(number(&expiry["F"])),
                settled: Unsigned::from_u32(0),
                rate,
                discount: exp(years.times(rate).unwrap().negated()).unwrap(),
                confidence: one,
            }
        })
        .collect();
    Underlying {
        index: terms[0].forward,
        confidence: one,
        settlement: one,
        open_interest: 0,
        terms,
        // A series a position: two positions in one strike may have two volatilities.
        series: positions(case)
            .filter(|position| position.kind != "future")
            .map(|position| Series {
                term: position.term as u16,
                strike: unsigned(number(&position.value["strike"])),
                volatility: unsigned(number(&position.value["vol"])),
                lot_size: unsigned(number(&case.input["multiplier"])),
            })
            .collect(),
    }
}

#[test]
fn sixteen_scenarios_meet_the_vectors() {
    let cases = cases(SPAN);
    assert!(!cases.is_empty());
    let mut largest = 0f64;
    for case in &cases {
        let of = |key: &str| unsigned(number(&case.input[key]));
        let market = market(case);
        let params = PortfolioParams {
            grid: Grid::span16(of("psr"), of("vsr"), of("extreme_weight")),
            ..PortfolioParams::standard()
        };
        let mut gross = Scaled::ZERO;
        let mut options = 0;
        let legs: Vec<_> = positions(case)
            .map(|position| {
                let forward = market.terms[position.term].forward;
                let value = position
                    .quantity
                    .abs()
                    .times(number(&case.input["multiplier"]));
                let value = value
                    .and_then(|v| v.times(Scaled::from_18_decimals(forward.into_inner())?))
                    .unwrap();
                gross = gross.plus(value).unwrap();
                let mut option = |kind| {
                    options += 1;
                    Contract::Option {
                        series: options - 1,
                        kind,
                    }
                };
                let contract = match position.kind {
                    "call" => option(Kind::Call),
                    "put" => option(Kind::Put),
                    "future" => Contract::Linear {
                        mark: forward,
                        lot_size: of("multiplier"),
                        term: Some(position.term as u16),
                        mmf: 0,
                        imf: 0,
                    },
                    other => panic!("unknown type {other}"),
                };
                Leg {
                    contract,
                    lots: position.quantity.nearest().unwrap() as i64,
                }
            })
            .collect();
        let mut prices = Prices::new(&market, &params).unwrap();
        let scan = Scan::of(&legs, &mut prices).unwrap();
        let mut near = |got: Fine, want: Scaled, what: &str| {
            let error = float(usd(got).minus(want).unwrap().abs().over(gross).unwrap());
            assert!(error < 1e-12, "{} {what}: {error:e}", case.id);
            largest = largest.max(error);
        };
        let losses = case.out["losses"].as_array().unwrap();
        assert_eq!(losses.len(), scan.losses.len());
        for (got, want) in scan.losses.iter().zip(losses) {
            near(*got, number(want), "loss");
        }
        near(scan.risk(), number(&case.out["scan_risk"]), "scan risk");
        near(
            scan.option_value,
            number(&case.out["net_option_value"]),
            "net option value",
        );
        let worst = scan.worst().unwrap() + 1;
        assert_eq!(worst.to_string(), text(&case.out["worst"]), "{}", case.id);
    }
    println!("{} cases, largest error {largest:.1e}", cases.len());
}
