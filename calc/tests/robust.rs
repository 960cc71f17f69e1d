//! Any line has an answer, and none of them stops the stream.

mod common;

use common::{anything, cases, file, line, mutate, places};
use novate_calc::{answer, answer_all};
use proptest::prelude::*;
use serde_json::{json, Value};
use std::sync::LazyLock;

const FAMILIES: [&str; 12] = [
    "span16",
    "derive_pm_v2",
    "options_black",
    "normal_cdf",
    "exp_ln_sqrt",
    "implied_vol",
    "call_auction",
    "clob",
    "dydx_margin",
    "dydx_liquidation",
    "dydx_premium",
    "ewma_es",
];

/// Every case as a line, with a short series inline.
static LINES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let mut lines = Vec::new();
    for family in FAMILIES {
        for mut case in cases(family, &[]) {
            if family == "ewma_es" {
                case["in"]["series"] =
                    file(family)["series"]["wti"].as_array().unwrap()[..60].into();
                case["in"]["start"] = "3".into();
                case["in"]["n"] = "50".into();
            }
            lines.push(serde_json::from_str(&line(family, &case)).unwrap());
        }
    }
    lines
});

/// The answer, well formed: an id, and either an `out` or an error with a name and words.
fn well_formed(line: &str) -> Value {
    let text = answer(line);
    assert!(!text.contains('\n'));
    let answer: Value = serde_json::from_str(&text).unwrap();
    let keys: Vec<_> = answer.as_object().unwrap().keys().collect();
    match keys.as_slice() {
        [error, id] if *error == "error" && *id == "id" => {
            let (name, words) = answer["error"].as_str().unwrap().split_once(": ").unwrap();
            assert!(
                name.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
                "{text}"
            );
            assert!(!name.is_empty() && !words.is_empty(), "{text}");
        }
        [id, out] if *id == "id" && *out == "out" => assert!(answer["out"].is_object(), "{text}"),
        _ => panic!("{text}"),
    }
    answer
}

/// What the commands for people are given.
fn given() -> Vec<Value> {
    let portfolio = json!({
        "cash": "5000.5", "index": "60000",
        "positions": [
            { "market": "A", "size": "0.5", "entry": "58000", "mark": "60000", "initial": "0.05", "maintenance": "0.03" },
            { "market": "B", "size": "-2", "mark": "3100", "maintenance": "0.05" },
        ],
        "options": [
            { "type": "call", "strike": "65000", "expiry": "14d", "vol": "0.55", "size": "-0.5", "forward": "60100" },
            { "type": "put", "strike": "50000", "expiry": "10m", "vol": "0.7", "size": "1", "rate": "-0.01" },
        ],
    });
    let mut linear = portfolio.clone();
    linear.as_object_mut().unwrap().remove("options");
    vec![
        portfolio,
        linear,
        json!({ "size": "-1", "entry": "60000", "mark": "61000", "cash": "4000", "maintenance": "0.03" }),
        json!({ "forward": "60000", "strike": "65000", "vol": "0.55", "expiry": "14d", "rate": "0.01" }),
        json!({ "mark": "100", "band_ppm": "50000", "orders": [
            ["a", "buy", "103", "5", "x", "1"],
            { "id": "b", "side": "sell", "price": "99", "size": "3", "account": "x", "block": "2" },
        ] }),
    ]
}

proptest! {
    #![proptest_config(common::runs(4_000))]

    #[test]
    fn reports_never_panic_when_their_input_is_mutated(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::option::weighted(0.85, anything())), 0..4),
    ) {
        let mut given = which.get(&given()).clone();
        let untouched = changes.is_empty();
        for (at, new) in changes {
            let all = places(&given);
            if all > 0 {
                prop_assert!(mutate(&mut given, &mut at.index(all), &new));
            }
        }
        let commands = [novate_calc::margin, novate_calc::liquidation_price, novate_calc::option, novate_calc::auction];
        let mut answered = 0;
        for command in commands {
            match command(&given) {
                Ok(report) => {
                    answered += 1;
                    prop_assert!(report.json.is_object() && !report.text.is_empty());
                }
                Err(error) => prop_assert!(!error.name.is_empty() && !error.words.is_empty()),
            }
        }
        prop_assert!(answered > 0 || !untouched, "no command takes {}", given);
    }

    #[test]
    fn answer_is_well_formed_when_a_case_is_mutated(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::option::weighted(0.85, anything())), 1..4),
    ) {
        let mut case = LINES[which.index(LINES.len())].clone();
        for (at, new) in changes {
            let all = places(&case);
            if all > 0 {
                prop_assert!(mutate(&mut case, &mut at.index(all), &new));
            }
        }
        let line = case.to_string();
        let answer = well_formed(&line);
        // Read again, as the line's own floats are.
        let case: Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(&answer["id"], &case["id"]);
    }

    #[test]
    fn answer_is_well_formed_when_a_line_is_arbitrary(line in "\\PC{0,80}") {
        well_formed(&line);
    }

    #[test]
    fn answer_is_well_formed_when_a_line_is_cut_short(
        which in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(),
    ) {
        let line = LINES[which.index(LINES.len())].to_string();
        let at = cut.index(line.len());
        let answer = well_formed(&String::from_utf8_lossy(&line.as_bytes()[..at]));
        prop_assert!(answer["error"].as_str().unwrap().starts_with("not_json: "));
    }
}

#[test]
fn stream_goes_on_when_lines_are_blank_or_wrong() {
    let good = r#"{"id": "a", "family": "exp_ln_sqrt", "kind": "sqrt", "in": {"x": "4"}}"#;
    let deep = "[".repeat(100_000);
    let mut input = format!("\n  \t\r\n{good}\nnonsense\n{deep}\n").into_bytes();
    input.extend(b"\xff\xfe\n");
    input.extend(good.as_bytes());
    let mut output = Vec::new();
    answer_all(input.as_slice(), &mut output).unwrap();
    let output = String::from_utf8(output).unwrap();
    let answers: Vec<Value> = output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let two = json!({ "id": "a", "out": { "y": "2" } });
    assert_eq!(answers.len(), 5, "{output}");
    assert_eq!((&answers[0], &answers[4]), (&two, &two));
    for answer in &answers[1..4] {
        assert!(
            answer["error"].as_str().unwrap().starts_with("not_json: "),
            "{answer}"
        );
    }
}

#[test]
fn id_comes_back_as_it_was_written() {
    for (id, back) in [
        (
            "12345678901234567890123456789",
            "12345678901234567890123456789",
        ),
        ("2.4707581682107705e+184", "2.4707581682107705e+184"),
        (r#""\u00e9""#, r#""é""#),
        ("[1]", "[1]"),
    ] {
        let line = format!(
            r#"{{"in": {{"x": "4"}}, "id": {id}, "family": "exp_ln_sqrt", "kind": "sqrt"}}"#
        );
        assert_eq!(
            answer(&line),
            format!(r#"{{"id":{back},"out":{{"y":"2"}}}}"#)
        );
    }
}

#[test]
fn answer_names_what_is_wrong() {
    for (case, error) in [
        (
            json!({ "id": 7, "family": "x", "kind": "y", "in": {} }),
            "unknown_family: family ",
        ),
        (
            json!({ "id": 7, "family": "exp_ln_sqrt", "kind": "y", "in": {} }),
            "unknown_value: kind ",
        ),
        (
            json!({ "id": 7, "family": "exp_ln_sqrt", "kind": "ln", "in": {} }),
            "missing: in has no x",
        ),
        (
            json!({ "id": 7, "family": "exp_ln_sqrt", "kind": "ln", "in": { "x": "-1" } }),
            "not_positive: ",
        ),
        (
            json!({ "id": 7, "family": "exp_ln_sqrt", "kind": "exp", "in": { "x": "1e9" } }),
            "overflow: ",
        ),
        (
            json!({ "id": 7, "family": "exp_ln_sqrt", "kind": "ln", "in": { "x": "NaN" } }),
            "malformed_number: in.x ",
        ),
        (
            json!({ "id": 7, "family": "exp_ln_sqrt", "kind": "ln" }),
            "missing: the whole has no in",
        ),
        (
            json!({ "family": "exp_ln_sqrt", "kind": "ln", "in": { "x": "1" } }),
            "missing: the whole has no id",
        ),
        (json!(["id"]), "missing: the whole has no id"),
    ] {
        let answer = well_formed(&case.to_string());
        assert_eq!(answer["id"], case.get("id").cloned().unwrap_or_default());
        let said = answer["error"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"));
        assert!(said.starts_with(error), "{said} for {error}");
    }
}

/// So many milliseconds at most, where as many squared would be minutes.
fn within(millis: u128, line: &str) -> Value {
    let began = std::time::Instant::now();
    let answer = well_formed(line);
    let took = began.elapsed().as_millis();
    assert!(took < millis, "{took} ms");
    answer
}

#[test]
fn a_deep_book_is_walked_in_the_time_of_its_depth_when_nothing_fills() {
    let deep = 6_000;
    let mut events: Vec<_> = (0..deep)
        .map(|n| {
            json!([
                "new",
                format!("a{n}"),
                "maker",
                "sell",
                (1_000 + n).to_string(),
                "1",
                "GTC",
                "0"
            ])
        })
        .collect();
    // Each would need one lot more than there is, looks at all of them and leaves.
    let all = (deep + 1).to_string();
    events.extend((0..60).map(|n| {
        json!([
            "new",
            format!("b{n}"),
            "taker",
            "buy",
            "9000",
            all,
            "FOK",
            "0"
        ])
    }));
    let case = json!({ "id": 1, "family": "clob", "kind": "k", "in": { "stp": "none", "events": events } });
    let answer = within(15_000, &case.to_string());
    assert_eq!(answer["out"]["asks"].as_array().unwrap().len(), deep);
    assert!(answer["out"]["trades"].as_array().unwrap().is_empty());
}
