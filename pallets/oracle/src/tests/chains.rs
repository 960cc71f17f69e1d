//! Option chains as venues send them, and as they should not.

use super::recorded::*;
use crate::{surface::quotes::*, worker::Fault};
use novate_risk::surface::{admits_calendar, Smile, GRID, MONEY, UNIT};
use novate_types::Millis;
use proptest::prelude::*;
use sp_runtime::FixedI128;
use std::sync::LazyLock;

const DAY: Millis = 86_400_000;

fn volatility_at(smile: &Smile, time: Millis, k: f64) -> f64 {
    let k = FixedI128::from_inner((k * 1e18) as i128);
    let w = smile.total_variance(k, time).unwrap().into_inner() as f64 / 1e18;
    (w / (time as f64 / 31_536e6)).sqrt()
}

#[test]
fn smiles_give_back_the_recorded_volatilities() {
    let smiles = read(&deribit_body(&rows()), &deribit_chain()).unwrap();
    let expiries: Vec<Millis> = EXPIRIES.iter().map(|d| FIRST_EXPIRY + d * DAY).collect();
    assert_eq!(smiles.keys().copied().collect::<Vec<_>>(), expiries);
    let (mut sum, mut weights) = (0.0, 0.0);
    for row in rows() {
        let Some(smile) = smiles.get(&row.expiry) else {
            continue;
        };
        let time = row.expiry - THEN;
        let number = |text: &str| text.parse::<f64>().unwrap();
        let k = (number(&row.strike) / number(&row.forward)).ln();
        let recorded = number(&row.volatility) / 100.0;
        let s = recorded * (time as f64 / 31_536e6).sqrt();
        let d1 = -k / s + s / 2.0;
        let vega = (-d1 * d1 / 2.0).exp();
        sum += vega * (volatility_at(smile, time, k) - recorded).abs();
        weights += vega;
        // Of about 80 points, where an option still has a tenth of the vega at the money: the last hours' strikes are far apart.
        if vega > 0.1 {
            let read = volatility_at(smile, time, k);
            assert!((read - recorded).abs() < 0.045, "{}: {read}", row.name);
        }
    }
    assert!(sum / weights < 0.004, "{}", sum / weights);
}

#[test]
fn the_recorded_chain_admits_no_arbitrage() {
    let smiles = read(&deribit_body(&rows()), &deribit_chain()).unwrap();
    let mut before: Option<(Smile, Millis)> = None;
    for (expiry, smile) in smiles {
        let time = expiry - THEN;
        let listed: Vec<FixedI128> = rows()
            .iter()
            .filter(|row| row.expiry == expiry)
            .map(|row| {
                let number = |text: &str| text.parse::<f64>().unwrap();
                let k = (number(&row.strike) / number(&row.forward)).ln();
                FixedI128::from_inner((k * 1e18) as i128)
            })
            .collect();
        assert!(!smile.admits_butterfly(time, &[]).unwrap(), "{expiry}");
        assert!(!smile.admits_butterfly(time, &listed).unwrap(), "{expiry}");
        if let Some((near, near_time)) = before {
            assert!(!admits_calendar(&near, near_time, &smile, time).unwrap());
        }
        before = Some((smile, time));
    }
}

#[test]
fn venues_say_the_same_of_the_same_chain() {
    let deribit = read(&deribit_body(&rows()), &deribit_chain()).unwrap();
    assert_eq!(
        read(&okx_body(&rows(), 1_000_000), &okx_chain()),
        Ok(deribit.clone())
    );
    assert_eq!(read(&bybit_body(&rows()), &bybit_chain()), Ok(deribit));
}

#[test]
fn names_are_read_as_the_venues_write_them() {
    let name = |text| parse_name(text).map(|n| (n.expiry, n.strike.to_string(), n.is_call));
    let may = |strike: &str, call| {
        let strike = crate::mock::price(strike).to_string();
        Some((FIRST_EXPIRY, strike, call))
    };
    assert_eq!(name("BTC-22MAY20-6000-C"), may("6000", true));
    assert_eq!(name("BTC-USD-200522-6000-P"), may("6000", false));
    assert_eq!(name("BTC-22MAY20-6250.5-C-USDT"), may("6250.5", true));
    // 1 March 2024 is the day after a leap day.
    let day = |text| parse_name(text).map(|n| n.expiry);
    assert_eq!(day("ETH-29FEB24-1-C"), Some(1_709_193_600_000));
    assert_eq!(day("ETH-1MAR24-1-C"), Some(1_709_280_000_000));
    assert_eq!(day("ETH-USD-240301-1-C"), Some(1_709_280_000_000));
    for text in [
        "",
        "-",
        "BTC-PERPETUAL",
        "BTC-22MAY20",
        "22MAY20-6000-C",
        "-22MAY20-6000-C",
        "BTC-22MAY20-6000-X",
        "BTC-22MAY20-0-C",
        "BTC-22MAY20--C",
        "BTC-22MAY20--1-C",
        "BTC-22MAY20-6000",
        "BTC-22MAY2020-6000-C",
        "BTC-MAY20-6000-C",
        "BTC-22MAX20-6000-C",
        "BTC-30FEB24-6000-C",
        "BTC-29FEB23-6000-C",
        "BTC-0MAY20-6000-C",
        "BTC-USD-200532-6000-C",
        "BTC-USD-201322-6000-C",
        "BTC-USD-2005é-6000-C",
        "BTC-é2MAY20-6000-C",
        "BTC-22MAY20-6000-C-usdt",
    ] {
        assert_eq!(name(text), None, "{text}");
    }
}

#[test]
fn tickers_without_a_volatility_are_passed_over() {
    let mut all = rows();
    let whole = read(&deribit_body(&all), &deribit_chain()).unwrap();
    let mut more = all[..1].to_vec();
    for volatility in ["null", "0.0", "\"\""] {
        more[0].volatility = volatility.into();
        // A strike that would spoil the smile.
        more[0].name = "BTC-26JUN20-9000-C".into();
        all.extend(more.clone());
    }
    more[0].name = "BTC-PERPETUAL".into();
    more[0].volatility = "900".into();
    all.extend(more);
    assert_eq!(read(&deribit_body(&all), &deribit_chain()), Ok(whole));
}

#[test]
fn beyond_the_outermost_strike_a_smile_goes_on_as_it_did_or_stays_flat() {
    // Five strikes of 26 June 2020, rising to the left and falling to the right.
    let mut five: Vec<Row> = rows()[..1].to_vec();
    let template = five.remove(0);
    for (strike, volatility) in [
        ("8000", "100"),
        ("8500", "90"),
        ("9000", "80"),
        ("9500", "75"),
        ("10000", "72"),
    ] {
        let mut row = template.clone();
        row.name = format!("BTC-26JUN20-{strike}-C");
        row.forward = "9000".into();
        row.volatility = volatility.into();
        five.push(row);
    }
    let smiles = read(&deribit_body(&five), &deribit_chain()).unwrap();
    let smile = smiles.values().next().unwrap();
    assert!(smile.0.is_sorted_by(|a, b| a >= b));
    assert_eq!(smile.0[MONEY], 64 * UNIT / 100);
    let right = *smile.0.last().unwrap();
    assert_eq!(right, 5_184 * UNIT / 10_000);
    // Linear on the left: equal slopes between the last three places.
    let slope =
        |at: usize| (smile.0[at] - smile.0[at + 1]) as f64 / (GRID[at + 1] - GRID[at]) as f64;
    assert!((slope(0) / slope(1) - 1.0).abs() < 1e-6 && slope(0) > 0.0);
}

#[test]
fn chains_have_faults_by_name() {
    let rows = rows();
    let fault = |body: &str| read(body, &deribit_chain()).unwrap_err();
    assert_eq!(fault("<html>"), Fault::NotJson);
    assert_eq!(fault("{}"), Fault::Missing("list"));
    assert_eq!(fault(r#"{"result":{"a":1}}"#), Fault::Missing("list"));
    assert_eq!(fault(r#"{"result":[]}"#), Fault::NoOptions);
    assert_eq!(
        fault(r#"{"result":[1,"x",null,[]]}"#),
        Fault::Missing("name")
    );
    let many = vec!["1"; MAX_TICKERS + 1].join(",");
    assert_eq!(
        fault(&format!(r#"{{"result":[{many}]}}"#)),
        Fault::Missing("list")
    );
    // Four strikes are too few; five on one side of the forward as well.
    let june: Vec<Row> = rows
        .iter()
        .filter(|r| r.name.contains("26JUN20"))
        .cloned()
        .collect();
    assert_eq!(fault(&deribit_body(&june[..4])), Fault::NoOptions);
    assert_eq!(fault(&deribit_body(&june[..6])), Fault::NoOptions);
    let mut old = rows.clone();
    old.iter_mut().for_each(|r| r.ts -= 200_000);
    assert!(matches!(fault(&deribit_body(&old)), Fault::Stale(_)));
    let mut negative = june.clone();
    negative
        .iter_mut()
        .for_each(|r| r.volatility = "-80".into());
    assert!(matches!(
        fault(&deribit_body(&negative)),
        Fault::BadNumber("volatility", _)
    ));
    let mut wild = june;
    wild.iter_mut().for_each(|r| r.volatility = "1001".into());
    assert_eq!(fault(&deribit_body(&wild)), Fault::NoOptions);
}

static BODY: LazyLock<String> = LazyLock::new(|| deribit_body(&rows()[..40]));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn names_never_panic(text in "\\PC{0,40}", near in "[A-Z]{0,4}-[0-9A-Zé]{4,8}-[0-9.eEd-]{0,8}-[CPX]{0,2}(-[A-Z]{0,4})?") {
        let _ = parse_name(&text);
        let _ = parse_name(&near);
    }

    /// A body cut off, or with some of its bytes changed, never panics, and what is made of it is a smile.
    #[test]
    fn damaged_bodies_never_panic(cut in 0usize..20_000, changes in prop::collection::vec((0usize..20_000, 32u8..127), 0..8), trim: bool) {
        let mut bytes = BODY.clone().into_bytes();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if trim {
            bytes.truncate(cut);
        }
        if let Ok(smiles) = read(&String::from_utf8(bytes).unwrap(), &deribit_chain()) {
            prop_assert!(smiles.values().all(Smile::is_valid));
        }
    }

    /// Whatever numbers a venue puts into well-formed tickers.
    #[test]
    fn hostile_numbers_never_panic(
        numbers in prop::collection::vec(("-?[1-9][0-9]{0,39}(\\.[0-9]{1,20})?([eE][-+]?[0-9]{1,4})?", "[1-9][0-9]{0,29}(\\.[0-9]{1,18})?"), 40),
        strikes in prop::collection::vec("[1-9][0-9]{0,24}(\\.[0-9]{1,5})?", 40),
    ) {
        let hostile: Vec<Row> = rows()
            .into_iter()
            .take(40)
            .zip(numbers)
            .zip(strikes)
            .map(|((row, (volatility, forward)), strike)| Row {
                name: format!("BTC-26JUN20-{strike}-C"),
                volatility,
                forward,
                ..row
            })
            .collect();
        match read(&deribit_body(&hostile), &deribit_chain()) {
            Ok(smiles) => prop_assert!(smiles.values().all(Smile::is_valid)),
            Err(fault) => prop_assert!(fault != Fault::NotJson, "every number is one of JSON's"),
        }
    }

    /// Smiles that can be read are read whatever the level: to volatilities of 1,000 %, and from a hundredth of a percent.
    #[test]
    fn any_level_of_volatility_is_read(percent in 1u32..100_000) {
        let mut flat = rows();
        let text = format!("{}.{:02}", percent / 100, percent % 100);
        flat.iter_mut().for_each(|row| row.volatility = text.clone());
        let smiles = read(&deribit_body(&flat), &deribit_chain()).unwrap();
        let variance = u128::from(percent) * u128::from(percent) * u128::from(UNIT) / 100_000_000;
        prop_assert_eq!(smiles.len(), EXPIRIES.len());
        prop_assert!(smiles.values().all(|s| s.0.iter().all(|v| u128::from(*v).abs_diff(variance) <= variance / 100_000 + 1)));
    }
}
