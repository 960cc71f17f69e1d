//! `novate calc backtest` on recorded and on made-up bars.
//!
//! Counts on the recordings are those of `reference/backtest.py`, written apart from the calculator and in doubles; `bench/data` names their sources.

use flate2::read::GzDecoder;
use novate_calc::backtest;
use serde_json::{json, Value};
use std::{fs::File, io::Read, path::Path};

const CRASH: &str = "crash_2022-11_ftx_1m.csv.gz";
const DEPEG: &str = "usdc_depeg_2023-03_1m.csv.gz";

fn recording(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/data");
    let mut text = String::new();
    let file = File::open(folder.join(name)).unwrap();
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text
}

/// Bars of one series, a minute each from the first on; `None` is a minute without one.
fn bars(closes: impl IntoIterator<Item = Option<f64>>) -> String {
    let mut text = String::from("ts,exchange,symbol,close\n");
    for (minute, close) in closes.into_iter().enumerate() {
        if let Some(close) = close {
            text += &format!("{},x,A-B,{close}\n", minute * 60);
        }
    }
    text
}

/// Observations, and exceptions by model and side, of the only series.
fn counts(bars: &str, given: &Value) -> (u32, Vec<[u32; 2]>) {
    let report = backtest(bars, given).unwrap();
    let tests = report.json["tests"].as_array().unwrap();
    assert_eq!(tests.len(), 8);
    let whole = |of: &Value, key: &str| of[key].as_str().unwrap().parse::<u32>().unwrap();
    let sides = tests.chunks(2).map(|pair| {
        assert_eq!(
            (&pair[0]["side"], &pair[1]["side"]),
            (&json!("long"), &json!("short"))
        );
        [whole(&pair[0], "exceptions"), whole(&pair[1], "exceptions")]
    });
    (whole(&tests[0], "tested"), sides.collect())
}

#[test]
fn recordings_have_as_many_exceptions_as_an_independent_script_counts() {
    let (crash, depeg) = (recording(CRASH), recording(DEPEG));
    let (btc, eth) = ("BTCUSDT-PERP", "ETHUSDT-PERP");
    for (file, series, horizon, half_life, tested, want) in [
        (
            &crash,
            btc,
            "1m",
            "5d",
            4_319,
            [[383, 322], [186, 161], [72, 65], [16, 13]],
        ),
        (
            &crash,
            btc,
            "10m",
            "5d",
            431,
            [[35, 28], [25, 8], [13, 6], [6, 5]],
        ),
        (
            &crash,
            btc,
            "10m",
            "1h",
            431,
            [[15, 6], [7, 5], [13, 6], [6, 5]],
        ),
        (
            &crash,
            eth,
            "1m",
            "1h",
            4_319,
            [[70, 69], [31, 28], [73, 64], [16, 14]],
        ),
        (
            &crash,
            eth,
            "10m",
            "1h",
            431,
            [[16, 5], [9, 2], [13, 6], [6, 2]],
        ),
        (
            &depeg,
            "coinbase:BTC-USD",
            "1m",
            "5d",
            4_314,
            [[84, 89], [81, 88], [55, 61], [13, 24]],
        ),
        (
            &depeg,
            "coinbase:BTC-USD",
            "10m",
            "1h",
            431,
            [[7, 11], [5, 7], [6, 11], [2, 5]],
        ),
        // With gaps.
        (
            &depeg,
            "kraken:USDC-USD",
            "1m",
            "1h",
            3_406,
            [[40, 69], [5, 4], [15, 17], [5, 4]],
        ),
        (
            &depeg,
            "kraken:USDC-USD",
            "10m",
            "1h",
            343,
            [[5, 15], [0, 1], [1, 5], [0, 1]],
        ),
    ] {
        let given = json!({ "series": series, "horizon": horizon, "half_life": half_life });
        assert_eq!(
            counts(file, &given),
            (tested, want.to_vec()),
            "{series} over {horizon}, half-life {half_life}"
        );
    }
}

#[test]
fn test_is_kupiecs_and_says_on_which_side_a_forecast_errs() {
    let given = json!({ "series": "BTCUSDT-PERP", "half_life": "1h" });
    let report = backtest(&recording(CRASH), &given).unwrap();
    let of = |model: &str, side: &str| {
        let tests = report.json["tests"].as_array().unwrap();
        let found = tests
            .iter()
            .find(|t| t["model"] == model && t["side"] == side);
        found.unwrap().clone()
    };
    // By the script as well: 15, 7 and 6 of 431 where 4.31 were to be expected.
    for (model, statistic, p, verdict) in [
        ("EWMA", 16.303, 5.395e-5, "too many"),
        ("EWMA, buffered", 1.427, 0.2323, "kept"),
        ("GARCH, buffered", 0.596561254, 0.439893079, "kept"),
    ] {
        let test = of(model, "long");
        let number = |key: &str| test[key].as_str().unwrap().parse::<f64>().unwrap();
        assert_eq!(number("expected"), 4.31);
        assert!(
            (number("statistic") / statistic - 1.0).abs() < 1e-3,
            "{test}"
        );
        assert!((number("p") / p - 1.0).abs() < 1e-3, "{test}");
        assert_eq!(test["verdict"], verdict);
    }
    // The table says what the JSON says, a row each and a head.
    assert_eq!(report.text.lines().count(), 9);
    for cell in ["431", "4.31", "16.3", "0.000054", "too many", "0.44"] {
        assert!(report.text.contains(cell), "{cell} in\n{}", report.text);
    }
    let calm = backtest(
        &recording(DEPEG),
        &json!({ "series": "kraken:USDC-USD", "horizon": "1m" }),
    )
    .unwrap();
    assert_eq!(calm.json["tests"][0]["verdict"], "too few");
}

/// A price that goes up and down by one percent a minute: its deviation is known, and 2.33 of them cover everything but a jump.
#[test]
fn one_jump_is_one_exception_of_those_it_goes_against() {
    let swing = |minute: usize| if minute % 2 == 0 { 100.0 } else { 101.0 };
    let given = json!({ "horizon": "1m", "warm_up": "30m", "half_life": "1h" });
    let calm = bars((0..200).map(|minute| Some(swing(minute))));
    // The first thirty returns seed, one horizon begins at each of the 169 bars behind them that has a next.
    assert_eq!(counts(&calm, &given), (169, vec![[0, 0]; 4]));
    let jump = |factor: f64| {
        bars((0..200).map(|minute| Some(swing(minute) * if minute < 150 { 1.0 } else { factor })))
    };
    assert_eq!(counts(&jump(1.1), &given), (169, vec![[0, 1]; 4]));
    assert_eq!(counts(&jump(0.9), &given), (169, vec![[1, 0]; 4]));
    // The same within the warm-up is known, and not tested.
    let early =
        bars((0..200).map(|minute| Some(swing(minute) * if minute < 20 { 1.0 } else { 1.1 })));
    assert_eq!(counts(&early, &given), (169, vec![[0, 0]; 4]));
}

#[test]
fn gap_is_no_return_and_no_observation() {
    let swing = |minute: usize| if minute % 2 == 0 { 100.0 } else { 101.0 };
    let given = json!({ "horizon": "1m", "warm_up": "30m", "half_life": "1h" });
    // Ten minutes are missing, and the price is elsewhere afterwards.
    let gap = bars((0..200).map(|minute| match minute {
        ..150 => Some(swing(minute)),
        150..160 => None,
        _ => Some(1.5 * swing(minute)),
    }));
    // 119 horizons before the gap, and 39 after it.
    assert_eq!(counts(&gap, &given), (158, vec![[0, 0]; 4]));
}

/// What the model knew is in the forecast, and nothing later: a series and the same one cut short agree on what both have.
#[test]
fn forecast_knows_nothing_of_what_comes() {
    let crash = recording(CRASH);
    let given = json!({ "series": "BTCUSDT-PERP", "half_life": "1h" });
    let half: String = crash
        .lines()
        .filter(|line| {
            line.split(',')
                .next()
                .is_some_and(|ts| ts == "ts" || ts < "1667952000")
        })
        .map(|line| line.to_owned() + "\n")
        .collect();
    let rest: String = crash
        .lines()
        .map(|line| {
            // After the cut, another world.
            match line.split(',').next() {
                Some(ts) if ts != "ts" && ts >= "1667952000" => {
                    let cells: Vec<_> = line.split(',').collect();
                    format!("{},{},{},1,1,1,1,0,0\n", cells[0], cells[1], cells[2])
                }
                _ => line.to_owned() + "\n",
            }
        })
        .collect();
    let (tested, before) = counts(&half, &given);
    let (all, after) = counts(&rest, &given);
    assert!(tested > 100 && all > tested);
    // The step into the other world is one loss of the longs, and then nothing moves.
    for (before, after) in before.iter().zip(after) {
        assert_eq!([before[0] + 1, before[1]], after);
    }
}

#[test]
fn bars_and_options_are_refused_by_name_when_they_are_none() {
    let good = bars((0..100).map(|minute| Some(100.0 + (minute % 7) as f64)));
    let given = json!({ "horizon": "1m", "warm_up": "30m", "half_life": "1h" });
    assert!(backtest(&good, &given).is_ok());
    for (bars, name) in [
        (String::new(), "missing"),
        ("ts,exchange,close\n".into(), "missing"),
        (good.clone() + "9999,x\n", "missing"),
        (good.clone() + "noon,x,A-B,1\n", "malformed_number"),
        (good.clone() + "9999,x,A-B,cheap\n", "malformed_number"),
        (good.clone() + "9999,x,A-B,0\n", "not_positive"),
        (good.clone() + "0,x,A-B,1\n", "inconsistent"),
    ] {
        let error = backtest(&bars, &given).unwrap_err();
        assert_eq!(error.name, name, "{error}");
        assert!(!error.words.is_empty());
    }
    for (key, value, name) in [
        ("series", "y:", "out_of_range"),
        ("horizon", "90s", "out_of_range"),
        ("horizon", "0s", "out_of_range"),
        ("horizon", "10", "malformed_number"),
        ("warm_up", "30s", "out_of_range"),
        ("warm_up", "1d", "out_of_range"),
        ("alpha", "0.5", "invalid"),
        ("beta", "-0.1", "invalid"),
        ("coverage", "0.5", "out_of_range"),
        ("coverage", "1", "out_of_range"),
    ] {
        let mut given = given.clone();
        given[key] = value.into();
        let error = backtest(&good, &given).unwrap_err();
        assert_eq!(error.name, name, "{key} {value}: {error}");
    }
}

/// A price that never moves has no volatility, and loses nothing.
#[test]
fn nothing_is_lost_when_nothing_moves() {
    let flat = bars((0..100).map(|_| Some(7.0)));
    let given = json!({ "horizon": "2m", "warm_up": "30m", "half_life": "1h" });
    let (tested, exceptions) = counts(&flat, &given);
    assert_eq!((tested, exceptions), (34, vec![[0, 0]; 4]));
    let report = backtest(&flat, &given).unwrap();
    let expected = report.json["tests"][0]["expected"].as_str().unwrap();
    assert_eq!(expected.parse(), Ok(0.34));
}
