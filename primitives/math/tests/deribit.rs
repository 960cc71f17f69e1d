//! A recorded option chain (`data/README.md`): the venue's marks and Greeks, from its implied volatilities.
//!
//! Deribit's conventions: `r = 0`, a year of 365 days, prices over the forward, vega per volatility point, theta per day, and rho per point of interest
//! with the spot price held, `K·T·N(d₂) = T·(F·Δ − V)`; ours is with the forward held. Bounds are how closely an independent calculation agreed.

mod common;

use common::{absolute, float, relative, Worst};
use novate_math::{
    black76::{self, Expiry, Greeks, Kind, Level},
    Scaled,
};

const CHAIN: &str = include_str!("data/options_deribit_btc_2020-05-21_even.csv");

/// A line of the chain.
struct Row<'a> {
    columns: &'a [&'a str],
    cells: Vec<&'a str>,
}

impl Row<'_> {
    fn text(&self, column: &str) -> &str {
        let at = self.columns.iter().position(|name| *name == column);
        self.cells[at.unwrap_or_else(|| panic!("no column {column}"))]
    }

    fn number(&self, column: &str) -> Scaled {
        self.text(column).parse().unwrap()
    }
}

fn hundredth(x: Scaled) -> Scaled {
    x.over(Scaled::from(100u64)).unwrap()
}

#[test]
fn marks_and_greeks_of_a_recorded_chain_follow_from_its_volatilities() {
    let mut lines = CHAIN.lines();
    let columns: Vec<_> = lines.next().unwrap().split(',').collect();
    let mut marks = Vec::new();
    let mut worst: [Worst; 7] = Default::default();
    let (mut last_day, mut quarter) = (0, 0);
    for line in lines {
        let row = Row {
            columns: &columns,
            cells: line.split(',').collect(),
        };
        let id = row.text("instrument");
        let f = row.number("underlying_price");
        let years = row
            .number("expiry_ts")
            .minus(row.number("ts"))
            .unwrap()
            .over(Scaled::from(black76::SECONDS_PER_YEAR))
            .unwrap();
        let expiry = Expiry::new(years, Scaled::ZERO).unwrap();
        let kind = match row.text("type") {
            "call" => Kind::Call,
            "put" => Kind::Put,
            other => panic!("{id}: unknown type {other}"),
        };
        let got = black76::greeks(
            kind,
            &Level::new(f).unwrap(),
            &Level::new(row.number("strike")).unwrap(),
            hundredth(row.number("mark_iv_pct")),
            &expiry,
        )
        .unwrap();

        let (mark, want) = (got.price.over(f).unwrap(), row.number("mark_price_btc"));
        let error = absolute(mark, want);
        marks.push(error);
        worst[0].at_most(0.000_24, error, id);
        if float(want) > 0.001 {
            worst[1].at_most(0.003_3, relative(mark, want), id);
        }
        // What an option is worth bounds its theta, and the venue's mark is what it is worth there.
        let price = want.times(f).unwrap();
        let theta = Greeks { price, ..got }.theta_per_day(&expiry).unwrap();
        let moved = f.times(got.delta).unwrap().minus(got.price).unwrap();
        let rho = hundredth(moved.times(years).unwrap());
        // Gamma's bound is half of its last digit, and what the last digit of the volatility adds.
        for (worst, (got, column, bound)) in worst[2..].iter_mut().zip([
            (got.delta, "delta", 0.000_1),
            (got.gamma, "gamma", 0.000_005_1),
            (got.vega_per_point().unwrap(), "vega", 0.001_6),
            (theta, "theta", 0.024),
            (rho, "rho", 0.000_7),
        ]) {
            worst.at_most(bound, absolute(got, row.number(column)), id);
        }
        last_day += usize::from(float(years) < 1.0 / 365.0);
        quarter += usize::from(float(years) > 0.25);
    }
    marks.sort_by(f64::total_cmp);
    let median = marks[marks.len() / 2];
    println!("marks: median {median:.1e} BTC");
    for (what, worst) in [
        "mark, BTC",
        "mark",
        "delta",
        "gamma",
        "vega",
        "theta",
        "rho",
    ]
    .iter()
    .zip(&worst)
    {
        println!("{what}: {worst}");
    }
    assert!(median <= 0.000_004);
    // The whole file, with what expires today and what does not for months.
    assert_eq!(marks.len(), 163);
    assert!(last_day > 5 && quarter > 20, "{last_day}, {quarter}");
}
