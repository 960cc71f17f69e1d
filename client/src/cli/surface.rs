//! The volatility surface of an underlying, as a table and as JSON.

use super::Report;
use novate_calc::Table;
use novate_client::decimal::signed_units;
use novate_runtime_api::{FeedInfo, SliceInfo, SmilePoint};
use serde_json::{json, Value};

/// Places of a smile that the table shows, in parts per 10¹²: around the money, where most options are traded.
const SHOWN: [(&str, i64); 7] = [
    ("-1.3", -1_300_000_000_000),
    ("-0.7", -700_000_000_000),
    ("-0.35", -350_000_000_000),
    ("0", 0),
    ("0.35", 350_000_000_000),
    ("0.7", 700_000_000_000),
    ("1.3", 1_300_000_000_000),
];

/// The volatility of a variance in parts per 10¹², in percent, rounded down to its second decimal.
fn volatility(variance: u64) -> String {
    // The root is in parts per 10⁶.
    format!("{} %", signed_units((variance.isqrt() / 100).into(), 2))
}

/// Milliseconds as days, hours and minutes.
pub(super) fn span(millis: u64) -> String {
    let minutes = millis / 60_000;
    format!(
        "{} d {:02}:{:02}",
        minutes / 1_440,
        minutes / 60 % 24,
        minutes % 60
    )
}

/// The volatility surface of an underlying.
pub fn show(block: u32, underlying: &FeedInfo, surface: &[SliceInfo]) -> Report {
    let symbol = String::from_utf8_lossy(&underlying.symbol).into_owned();
    let slice = |s: &SliceInfo| {
        let point = |p: &SmilePoint| {
            json!({
                "moneyness": signed_units(p.moneyness.into(), 12),
                "variance": signed_units(p.variance.into(), 12),
            })
        };
        json!({
            "expiry_ms": s.expiry,
            "left_ms": s.left,
            "observed_at_ms": s.observed_at,
            "age_ms": s.age,
            "fresh": s.is_fresh,
            "points": s.points.iter().map(point).collect::<Vec<_>>(),
        })
    };
    let slices: Vec<Value> = surface.iter().map(slice).collect();
    let json = json!({ "block": block, "underlying": symbol, "slices": slices });
    if surface.is_empty() {
        return Report::new(json, format!("{symbol} has no volatility surface"));
    }
    let mut head = vec!["time left"];
    head.extend(SHOWN.map(|(name, _)| name));
    head.extend(["age", "options"]);
    let mut table = Table::new(&head);
    for s in surface {
        let at = |(_, place): &(&str, i64)| {
            let point = s.points.iter().find(|p| p.moneyness == *place);
            point.map_or_else(|| "-".into(), |p| volatility(p.variance))
        };
        let mut cells = vec![span(s.left)];
        cells.extend(SHOWN.iter().map(at));
        cells.push(format!("{}.{} s", s.age / 1_000, s.age % 1_000 / 100));
        cells.push(if s.is_fresh { "open" } else { "reduce-only" }.into());
        table.row(cells);
    }
    Report::new(
        json,
        format!("volatility of {symbol} at ln(K/F)/sqrt(T), block {block}\n{table}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn btc() -> FeedInfo {
        FeedInfo {
            feed: 7,
            symbol: b"BTC".to_vec(),
            price: None,
            confidence: novate_types::Price::from_u32(0),
            observed_at: 0,
            age: 0,
        }
    }

    fn slice(left: u64, age: u64, is_fresh: bool) -> SliceInfo {
        let point = |(at, (_, moneyness)): (u64, (&str, i64))| SmilePoint {
            moneyness,
            // 50 %, 51 %, …
            variance: (50 + at) * (50 + at) * 100_000_000,
        };
        SliceInfo {
            expiry: 1_000_000 + left,
            left,
            observed_at: 1_000_000 - age,
            age,
            is_fresh,
            points: (0..).zip(SHOWN).map(point).collect(),
        }
    }

    #[test]
    fn surface_prints_volatility_by_expiry_and_place() {
        let slices = [
            slice(30_660_000, 12_345, true),
            slice(8 * 86_400_000, 151_000, false),
        ];
        let report = show(9, &btc(), &slices);
        let lines: Vec<Vec<_>> = report
            .text
            .lines()
            .map(|l| l.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines[1].join(" "),
            "time left -1.3 -0.7 -0.35 0 0.35 0.7 1.3 age options"
        );
        assert_eq!(
            lines[2].join(" "),
            "0 d 08:31 50 % 51 % 52 % 53 % 54 % 55 % 56 % 12.3 s open"
        );
        assert!(lines[3].join(" ").starts_with("8 d 00:00 50 %"));
        assert!(lines[3].join(" ").ends_with("151.0 s reduce-only"));
        let first = &report.json["slices"][0];
        assert_eq!(first["points"][1]["moneyness"], "-0.7");
        assert_eq!(first["points"][1]["variance"], "0.2601");
        assert_eq!(report.json["slices"][1]["fresh"], false);
    }

    #[test]
    fn surface_says_so_when_there_is_none() {
        let report = show(9, &btc(), &[]);
        assert_eq!(report.text, "BTC has no volatility surface");
        assert_eq!(report.json["slices"], json!([]));
    }

    #[test]
    fn volatility_is_the_root_of_variance() {
        assert_eq!(volatility(640_000_000_000), "80 %");
        assert_eq!(volatility(640_320_000_000), "80.01 %");
        assert_eq!(volatility(0), "0 %");
    }
}
