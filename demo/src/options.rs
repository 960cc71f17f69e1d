//! The exchanges' public option endpoints over a recorded chain: Deribit's Bitcoin options of 21 May 2020, see `data/README.md`.
//!
//! The recording is moved to the replayed prices and to today, since an option's name holds its strike and its date. Forwards are [`SCALE`] times the
//! recorded ones. The first expiry is the next 08:00 UTC, the others follow at the recorded distances. Volatilities are as recorded, strike by strike, and a
//! smile is a matter of standard deviations: what eight hours make of a strike, a day does not. So each strike is moved to where it is as many of them from its
//! forward as it was, for [`DISTANCE`] from now to the first expiry. At the recorded strikes those eight hours' smile would be up to 1.7 times as steep, and
//! admit butterflies. OKX serves the same chain in its own shape: no second venue was recorded.

use crate::exchanges::rfc3339;
use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{json, Value};
use std::collections::BTreeMap;

const RECORDING: &[u8] = include_bytes!("../data/options_deribit_btc_2020-05-21.csv");
/// The middle of the minutes in which it was made, in seconds of Unix time.
const RECORDED: u64 = 1_590_103_275;
/// What recorded prices are multiplied by: Bitcoin was at 9,087 USD, and is at about 20,450 in the replayed night.
const SCALE: f64 = 2.25;
/// From now to the first expiry, as strikes are placed, in seconds: 25 hours, the most that the first expiry listed by rule has. As time runs down strikes stay
/// where they are, and smiles grow flatter.
const DISTANCE: u64 = 90_000;
const DAY: u64 = 86_400_000;
/// 08:00 UTC, in milliseconds of the day.
const SETTLEMENT: u64 = 8 * 3_600_000;

/// One recorded option.
#[derive(Clone, Debug, Deserialize)]
struct Listed {
    #[serde(rename = "type")]
    right: String,
    strike: u64,
    expiry_ts: u64,
    underlying_price: f64,
    mark_price_btc: f64,
    mark_iv_pct: f64,
    bid_btc: f64,
    ask_btc: f64,
    open_interest: f64,
}

/// The recorded chain.
pub struct Chain {
    listed: Vec<Listed>,
    /// The first recorded expiry.
    first: u64,
    /// The median forward of each recorded expiry.
    forwards: BTreeMap<u64, f64>,
}

/// An option as it is listed now.
struct Now<'a> {
    option: &'a Listed,
    /// Midnight of its last day, in milliseconds of Unix time.
    day: u64,
    strike: u64,
    forward: f64,
    letter: char,
}

impl Chain {
    /// The recording in this repository.
    pub fn recorded() -> Result<Self> {
        let listed = csv::Reader::from_reader(RECORDING)
            .deserialize()
            .collect::<std::result::Result<Vec<Listed>, _>>()
            .context("the recorded options in demo/data cannot be read")?;
        let mut quoted: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for option in &listed {
            let forwards = quoted.entry(option.expiry_ts).or_default();
            forwards.push(option.underlying_price);
        }
        let (first, _) = quoted.first_key_value().context("no option is recorded")?;
        let first = *first;
        let median = |mut of: Vec<f64>| {
            of.sort_by(f64::total_cmp);
            (of[of.len() / 2] + of[(of.len() - 1) / 2]) / 2.0
        };
        let forwards = quoted.into_iter().map(|(at, of)| (at, median(of)));
        let forwards = forwards.collect();
        Ok(Self {
            listed,
            first,
            forwards,
        })
    }

    /// Where a strike is listed now.
    fn strike(&self, option: &Listed) -> u64 {
        let forward = self.forwards[&option.expiry_ts];
        let recorded = (option.expiry_ts - RECORDED) as f64;
        let now = (DISTANCE + option.expiry_ts - self.first) as f64;
        let moneyness = (option.strike as f64 / forward).powf((now / recorded).sqrt());
        (moneyness * forward * SCALE).round() as u64
    }

    fn at(&self, wall_millis: u64) -> impl Iterator<Item = Now<'_>> {
        // The day of the next 08:00.
        let today = wall_millis / DAY;
        let next = today + u64::from(wall_millis % DAY >= SETTLEMENT);
        self.listed.iter().map(move |option| Now {
            option,
            day: (next + (option.expiry_ts - self.first) * 1_000 / DAY) * DAY,
            strike: self.strike(option),
            forward: option.underlying_price * SCALE,
            letter: if option.right == "call" { 'C' } else { 'P' },
        })
    }

    /// Deribit: `/api/v2/public/get_book_summary_by_currency?currency=BTC&kind=option`.
    pub fn deribit(&self, index: f64, wall_millis: u64) -> Value {
        let quote = |price: f64| (price > 0.0).then_some(price);
        let tickers: Vec<Value> = self
            .at(wall_millis)
            .map(|o| {
                json!({
                    "instrument_name": format!("BTC-{}-{}-{}", day_month_year(o.day), o.strike, o.letter),
                    "base_currency": "BTC", "quote_currency": "BTC",
                    "underlying_price": (o.forward * 100.0).round() / 100.0,
                    "estimated_delivery_price": index,
                    "mark_iv": o.option.mark_iv_pct, "mark_price": o.option.mark_price_btc,
                    "bid_price": quote(o.option.bid_btc), "ask_price": quote(o.option.ask_btc),
                    "open_interest": o.option.open_interest, "interest_rate": 0.0,
                    "creation_timestamp": wall_millis,
                })
            })
            .collect();
        json!({ "jsonrpc": "2.0", "result": tickers, "usIn": wall_millis * 1_000,
            "usOut": wall_millis * 1_000, "usDiff": 0, "testnet": false })
    }

    /// OKX: `/api/v5/public/opt-summary?instFamily=BTC-USD`.
    pub fn okx(&self, _: f64, wall_millis: u64) -> Value {
        let tickers: Vec<Value> = self
            .at(wall_millis)
            .map(|o| {
                json!({
                    "instType": "OPTION", "uly": "BTC-USD",
                    "instId": format!("BTC-USD-{}-{}-{}", year_month_day(o.day), o.strike, o.letter),
                    "fwdPx": format!("{:.2}", o.forward),
                    "markVol": format!("{:.4}", o.option.mark_iv_pct / 100.0),
                    "bidVol": "", "askVol": "", "ts": wall_millis.to_string(),
                })
            })
            .collect();
        json!({ "code": "0", "msg": "", "data": tickers })
    }
}

/// `22MAY20`, and `1JUN20`: as Deribit names a day.
fn day_month_year(millis: u64) -> String {
    const MONTHS: [&str; 12] = [
        "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ];
    let date = year_month_day(millis);
    let month = date[2..4].parse().map_or(0, |m: usize| m - 1);
    format!(
        "{}{}{}",
        date[4..].trim_start_matches('0'),
        MONTHS[month],
        &date[..2]
    )
}

/// `200522`: as OKX names a day.
fn year_month_day(millis: u64) -> String {
    let date = rfc3339(millis);
    format!("{}{}{}", &date[2..4], &date[5..7], &date[8..10])
}

#[cfg(test)]
mod tests {
    use super::*;
    use novate_risk::{log_moneyness, surface::admits_calendar};
    use novate_types::Price;
    use pallet_price_oracle::{json::Document, surface::quotes::read_chain, venues};

    /// 2026-01-29 07:59 and 08:00 UTC.
    const MORNING: u64 = 1_769_673_540_000;
    const EIGHT: u64 = 1_769_673_600_000;

    #[test]
    fn options_are_listed_for_the_days_to_come() {
        let chain = Chain::recorded().unwrap();
        let names = |now| -> Vec<String> {
            let body = chain.deribit(20_500.0, now);
            let tickers = body["result"].as_array().unwrap().clone();
            tickers
                .iter()
                .map(|t| t["instrument_name"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(names(MORNING).len(), 163);
        assert!(names(MORNING)[0].starts_with("BTC-29JAN26-10095-"));
        assert!(names(EIGHT)[0].starts_with("BTC-30JAN26-10095-"));
        assert!(names(MORNING).iter().any(|n| n.starts_with("BTC-5FEB26-")));
    }

    #[test]
    fn venues_say_the_same_of_the_same_chain() {
        let chain = Chain::recorded().unwrap();
        let (deribit, okx) = (chain.deribit(20_500.0, EIGHT), chain.okx(20_500.0, EIGHT));
        let pairs = deribit["result"].as_array().unwrap().iter();
        for (d, o) in pairs.zip(okx["data"].as_array().unwrap()) {
            let volatility: f64 = o["markVol"].as_str().unwrap().parse().unwrap();
            assert!((volatility * 100.0 - d["mark_iv"].as_f64().unwrap()).abs() < 1e-6);
            let forward: f64 = o["fwdPx"].as_str().unwrap().parse().unwrap();
            assert!((forward - d["underlying_price"].as_f64().unwrap()).abs() < 0.011);
            // Near the replayed price, as it was near the recorded one.
            assert!((forward / 20_500.0 - 1.0).abs() < 0.05, "{forward}");
            let strike = |name: &Value, at| {
                let name = name.as_str().unwrap();
                name.split('-').nth(at).unwrap().to_owned()
            };
            assert_eq!(strike(&d["instrument_name"], 2), strike(&o["instId"], 3));
        }
        assert_eq!(
            okx["data"][0]["instId"].as_str().unwrap()[..14],
            *"BTC-USD-260130"
        );
    }

    /// Read as validators read it, at the grid and at the strikes that the preset `demo` lists, wherever the replayed price may be.
    #[test]
    fn options_admit_no_arbitrage_when_they_are_replayed_at_any_time_of_the_day() {
        let chain = Chain::recorded().unwrap();
        let venue = venues::deribit_options(vec![]);
        for quarter in 0..96 {
            let now = EIGHT + quarter * 900_000;
            let body = chain.deribit(20_500.0, now).to_string();
            let smiles = read_chain(&Document::parse(&body).unwrap(), &venue, now).unwrap();
            let mut nearer = None;
            for (expiry, smile) in smiles {
                let time = expiry - now;
                for index in (19_500..=21_000).step_by(250) {
                    let near = (index + 500) / 1_000 * 1_000;
                    let strikes = [-2_000, -1_000, 0, 1_000, 2_000].map(|away| {
                        let price = |usd: i32| Price::from_u32(usd.unsigned_abs());
                        log_moneyness(price(index), price(near + away)).unwrap()
                    });
                    assert_eq!(
                        smile.admits_butterfly(time, &strikes),
                        Ok(false),
                        "{index}, {time} ms before {expiry}"
                    );
                }
                if let Some((before, its)) = nearer.replace((smile, time)) {
                    let found = admits_calendar(&before, its, &smile, time);
                    assert_eq!(found, Ok(false), "{time} ms before {expiry}");
                }
            }
        }
    }

    #[test]
    fn days_are_named_as_the_venues_do() {
        assert_eq!(day_month_year(1_590_969_600_000), "1JUN20");
        assert_eq!(year_month_day(1_590_969_600_000), "200601");
        assert_eq!(day_month_year(1_703_980_800_000), "31DEC23");
    }
}
