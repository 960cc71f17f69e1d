//! Three thousand values computed with mpmath (`reference/values.py` wrote them), with the largest error of each group.
//!
//! The bounds are what `src/` promises, far inside section 9 of the protocol: exp ≤ 1e-18 relative, ln ≤ 1e-18 absolute, N ≤ 1e-15 relative, prices
//! ≤ 1e-12 relative. Arguments are exact, so nothing here is the rounding of an input. `cargo test --test reference -- --nocapture`
//! prints what is reached.

mod common;

use common::{absolute, float, relative, Worst};
use novate_math::{
    black76::{self, Expiry, Greeks, Kind, Level},
    *,
};
use std::collections::BTreeMap;

/// `<hexadecimal>p<power of two>`.
fn exact(text: &str) -> Scaled {
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (mantissa, exponent) = text.split_once('p').unwrap();
    Scaled::new(
        negative,
        u128::from_str_radix(mantissa, 16).unwrap(),
        exponent.parse().unwrap(),
    )
    .unwrap()
}

/// Group, arguments, results.
fn values() -> impl Iterator<Item = (&'static str, Vec<Scaled>, Vec<Scaled>)> {
    include_str!("reference/values.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (left, right) = line.split_once(" = ").unwrap();
            let (group, arguments) = left.split_once(' ').unwrap();
            (
                group,
                arguments.split(' ').map(exact).collect(),
                right.split(' ').map(|x| x.parse().unwrap()).collect(),
            )
        })
}

#[test]
fn functions_of_one_number_are_as_exact_as_they_say() {
    let mut groups = BTreeMap::<_, Worst>::new();
    for (group, x, want) in values().filter(|v| !v.0.starts_with("black")) {
        let (got, bound) = match group {
            "exp" | "exp_large" => (exp(x[0]), 1e-33),
            "exp_m1" => (exp_m1(x[0]), 1e-33),
            "ln" | "ln_near_one" => (ln(x[0]), 3e-36),
            "ln_1p" => (ln_1p(x[0]), 3e-36),
            "sqrt" => (sqrt(x[0]), 2f64.powi(-127)),
            "pow" => (pow(x[0], x[1]), 1e-33),
            "cdf" | "cdf_upper" | "cdf_edge" | "cdf_far" => (normal_cdf(x[0]), 1e-30),
            "pdf" => (normal_pdf(x[0]), 1e-33),
            "quantile" => (normal_inverse(x[0]), 1e-30),
            other => panic!("unknown group {other}"),
        };
        let error = match group {
            "quantile" => absolute(got.unwrap(), want[0]),
            _ => relative(got.unwrap(), want[0]),
        };
        let at = x[0].to_decimal(12).unwrap();
        groups
            .entry(group)
            .or_default()
            .at_most(bound, error, &format!("{group} {at}"));
    }
    assert_eq!(groups.len(), 14);
    for worst in groups.values() {
        println!("{worst}");
    }
}

#[test]
fn ln_errs_by_half_a_unit_when_given_in_fixed_point() {
    let mut worst = Worst::default();
    for (group, x, want) in values().filter(|v| v.0.starts_with("ln")) {
        let got = if group == "ln_1p" {
            ln_1p(x[0])
        } else {
            ln(x[0])
        };
        let got = Scaled::from(got.unwrap().to_q96().unwrap());
        // Half a unit is 6.3e-30.
        worst.at_most(6.4e-30, absolute(got, want[0]), group);
    }
    println!("{worst}");
}

/// As `black76::price` says, with `d = |ln(F/K)|/s`.
#[test]
fn options_are_as_exact_as_they_say() {
    let mut groups = BTreeMap::<_, [Worst; 4]>::new();
    for (group, x, want) in values().filter(|v| v.0.starts_with("black")) {
        let [f, k, v, t, r] = x[..] else { panic!() };
        let (forward, strike) = (Level::new(f).unwrap(), Level::new(k).unwrap());
        let expiry = Expiry::new(t, r).unwrap();
        let of = |kind| black76::greeks(kind, &forward, &strike, v, &expiry).unwrap();
        let (call, put): (Greeks, Greeks) = (of(Kind::Call), of(Kind::Put));
        let s = float(v) * float(t).sqrt();
        let d = (float(f) / float(k)).ln().abs() / s;
        let small = (1.0 + d) / s;
        let [price, over, delta, rest] = groups.entry(group).or_default();
        let at = format!(
            "{group} F {:.6e} K {:.6e} s {s:.1e} d {d:.2}",
            float(f),
            float(k)
        );
        for (got, want) in [(call.price, want[0]), (put.price, want[1])] {
            price.at_most(2e-30 * (1.0 + small), relative(got, want), &at);
            over.at_most(2e-30, absolute(got, want) / float(f.max(k)), &at);
        }
        delta.at_most(2e-30 + 1e-35 * small, relative(call.delta, want[2]), &at);
        for (got, want) in [(call.gamma, want[3]), (call.vega, want[4])] {
            rest.at_most(1e-34 * (1.0 + small), relative(got, want), &at);
        }
        // Interest and decay may cancel.
        let theta = float(want[5]).abs() + float(r).abs() * float(want[0]);
        rest.at_most(
            2e-30 * (1.0 + small),
            absolute(call.theta, want[5]) / theta,
            &at,
        );
    }
    assert_eq!(groups.len(), 7);
    for [price, over, delta, rest] in groups.values() {
        println!("price {price}; over max(F, K) {over}; delta {delta}; gamma, vega, theta {rest}");
    }
}
