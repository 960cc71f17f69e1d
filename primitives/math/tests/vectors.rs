//! The project's shared numeric vectors, computed with mpmath to 50 digits (`vectors/README.md`).
//!
//! Tolerances are those of section 9 of the protocol and, where tighter, of the vectors' own README; both leave far more room than the
//! code takes, which `reference.rs` measures.

mod common;

use common::{absolute, float, relative, Case, Worst};
use novate_math::{
    black76::{self, Expiry, Kind, Level},
    *,
};

const ELEMENTARY: &str = include_str!("vectors/exp_ln_sqrt.json");
const NORMAL: &str = include_str!("vectors/normal_cdf.json");
const OPTIONS: &str = include_str!("vectors/options_black.json");
const BOUNDS: &str = include_str!("vectors/vega_price_bounds.json");
const QUANT: &str = include_str!("vectors/vega_quant.json");

fn cases<'a>(all: &'a [Case], kind: &'a str) -> impl Iterator<Item = &'a Case> {
    let count = all.iter().filter(|case| case.kind == kind).count();
    assert!(count > 0, "no case of kind {kind}");
    all.iter().filter(move |case| case.kind == kind)
}

#[test]
fn elementary_functions_meet_the_vectors() {
    let all = common::cases(ELEMENTARY);
    let mut worst = Worst::default();
    for case in &all {
        let (x, y) = (case.input("x"), case.out("y"));
        let got = match case.kind.as_str() {
            "exp" => exp(x),
            "expm1" => exp_m1(x),
            "ln" => ln(x),
            "log1p" => ln_1p(x),
            "log10" => ln(x).and_then(|l| l.over(ln(Scaled::from(10u64))?)),
            "pow" => pow(x, case.input("y")),
            "sqrt" => sqrt(x),
            other => panic!("unknown kind {other}"),
        }
        .unwrap();
        // Near one, the 128th bit of x is that much of its logarithm.
        let rounding = match case.kind.as_str() {
            "ln" => 2f64.powi(-128) / float(y).abs(),
            _ => 0.0,
        };
        worst.at_most(1e-30, (relative(got, y) - rounding).max(0.0), &case.id);
    }
    println!("elementary: {worst}");
}

#[test]
fn ln_in_fixed_point_is_within_one_unit_in_the_last_place() {
    for case in cases(&common::cases(ELEMENTARY), "ln") {
        let got = ln(case.input("x")).unwrap().to_q96().unwrap();
        let want = case.out("y").to_q96().unwrap();
        assert!(got.to_bits().abs_diff(want.to_bits()) <= 1, "{}", case.id);
    }
}

#[test]
fn normal_distribution_meets_the_vectors() {
    let mut worst = Worst::default();
    for case in cases(&common::cases(NORMAL), "cdf") {
        let x = case.input("x");
        for (got, want) in [
            (normal_cdf(x), "cdf"),
            (normal_cdf(x.negated()), "sf"),
            (normal_pdf(x), "pdf"),
        ] {
            worst.at_most(1e-28, relative(got.unwrap(), case.out(want)), &case.id);
        }
    }
    println!("normal: {worst}");
}

#[test]
fn normal_inverse_meets_the_vectors() {
    let mut worst = Worst::default();
    for case in cases(&common::cases(NORMAL), "inverse") {
        let got = normal_inverse(case.input("p")).unwrap();
        worst.at_most(1e-28, relative(got, case.out("z")), &case.id);
    }
    println!("inverse: {worst}");
}

/// Quantiles of a lognormal price, `ref·exp((μ − σ²/2)·τ + σ√τ·z)`, as Vega bounds prices by: printed to 20 digits, in whole ticks inwards.
#[test]
fn lognormal_bounds_meet_the_vectors() {
    let mut worst = Worst::default();
    let half = |x: Scaled| x.shift(-1).unwrap();
    for case in cases(&common::cases(BOUNDS), "bounds") {
        let years = case.input("horizon").over(Scaled::from(31_557_600u64));
        let (years, sigma) = (years.unwrap(), case.input("sigma"));
        let drift = case.input("mu").minus(half(sigma.times(sigma).unwrap()));
        let drift = drift.unwrap().times(years).unwrap();
        let deviation = sigma.times(sqrt(years).unwrap()).unwrap();
        let bound = |quantile: Scaled| {
            let moved = deviation.times(normal_inverse(quantile).unwrap()).unwrap();
            let factor = exp(drift.plus(moved).unwrap()).unwrap();
            case.input("ref").times(factor).unwrap()
        };
        let beyond = half(Scaled::ONE.minus(case.input("probability")).unwrap());
        let (least, most) = (bound(beyond), bound(Scaled::ONE.minus(beyond).unwrap()));
        worst.at_most(1e-19, relative(least, case.out("min_exact")), &case.id);
        worst.at_most(1e-19, relative(most, case.out("max_exact")), &case.id);
        let inwards = (-least.negated().floor().unwrap(), most.floor().unwrap());
        let whole = |key| case.out(key).floor().unwrap();
        assert_eq!(inwards, (whole("min"), whole("max")), "{}", case.id);
    }
    println!("bounds: {worst}");
}

/// Value at risk and expected shortfall of `−exp(μ + σZ)`: `exp(μ + σz)` and `exp(μ + σ²/2)·N(σ − z)/λ`, `z` being the quantile of `1 − λ`.
#[test]
fn lognormal_shortfall_meets_the_vectors() {
    for case in cases(&common::cases(QUANT), "neg_lognormal_var_es") {
        let (mu, sigma, lambda) = (case.input("mu"), case.input("sigma"), case.input("lambda"));
        let z = normal_inverse(lambda).unwrap().negated();
        let at_risk = exp(sigma.times(z).unwrap().plus(mu).unwrap()).unwrap();
        let mean = exp(mu
            .plus(sigma.times(sigma).unwrap().shift(-1).unwrap())
            .unwrap());
        let tail = normal_cdf(sigma.minus(z).unwrap()).unwrap().over(lambda);
        let shortfall = mean.unwrap().times(tail.unwrap()).unwrap();
        for (got, exact, published) in [
            (at_risk, "var", "published_var"),
            (shortfall, "es", "published_es"),
        ] {
            assert!(relative(got, case.out(exact)) < 1e-19, "{}", case.id);
            assert!(relative(got, case.out(published)) < 1e-8, "{}", case.id);
        }
    }
}

#[test]
fn black76_meets_the_vectors() {
    let (mut prices, mut greeks) = (Worst::default(), Worst::default());
    let file: serde_json::Value = serde_json::from_str(OPTIONS).unwrap();
    let columns: Vec<&str> = file["out_cols"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c.as_str().unwrap())
        .collect();
    for case in common::cases(OPTIONS) {
        let (f, k) = (case.input("F"), case.input("K"));
        let (forward, strike) = (Level::new(f).unwrap(), Level::new(k).unwrap());
        let expiry = Expiry::new(case.input("T"), case.input("r")).unwrap();
        let of = |kind| black76::greeks(kind, &forward, &strike, case.input("v"), &expiry).unwrap();
        let (call, put) = (of(Kind::Call), of(Kind::Put));
        for (column, want) in columns.iter().zip(case.list("black76")) {
            let (greek, side) = match column.split_once('_') {
                Some((greek, "call")) => (greek, call),
                Some((greek, "put")) => (greek, put),
                _ => (*column, if *column == "put" { put } else { call }),
            };
            let got = match greek {
                "call" | "put" => side.price,
                "delta" => side.delta,
                "gamma" => side.gamma,
                "vega" => side.vega,
                "theta" => side.theta,
                "rho" => side.rho,
                other => panic!("unknown column {other}"),
            };
            // Values below 1e-250 fall under the clamp of d at 37.
            let error = relative(got, want).min(absolute(got, want) * 1e270);
            let worst = if greek == "call" || greek == "put" {
                &mut prices
            } else {
                &mut greeks
            };
            worst.at_most(1e-24, error, &format!("{} {column}", case.id));
        }
    }
    println!("black76: prices {prices}, greeks {greeks}");
}
