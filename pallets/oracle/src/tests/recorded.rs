//! Deribit's Bitcoin options of 21 May 2020, 23:20 UTC (half of the chain: `demo/data/README.md`), in the shapes in which venues answer.

use crate::{json::Document, mock::*, surface::quotes::*, types::*, venues::*, worker::Fault};
use novate_types::Millis;

const FILE: &str = include_str!("../../../../demo/data/options_deribit_btc_2020-05-21.csv");

/// The middle of the minutes in which the tickers were taken.
pub const THEN: Millis = 1_590_103_275_000;
/// 22 May 2020, 08:00 UTC.
pub const FIRST_EXPIRY: Millis = 1_590_134_400_000;
/// The expiries from half an hour to 190 days ahead, in days from the first.
pub const EXPIRIES: [u64; 6] = [0, 1, 7, 14, 35, 126];

/// A recorded option.
#[derive(Clone)]
pub struct Row {
    pub ts: Millis,
    pub name: String,
    pub expiry: Millis,
    pub strike: String,
    pub forward: String,
    pub mark: String,
    pub volatility: String,
}

pub fn rows() -> Vec<Row> {
    let mut lines = FILE.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let field = |name| fields[header.iter().position(|h| *h == name).unwrap()].to_string();
            Row {
                ts: (field("ts").parse::<f64>().unwrap() * 1_000.0) as Millis,
                name: field("instrument"),
                expiry: field("expiry_ts").parse::<Millis>().unwrap() * 1_000,
                strike: field("strike"),
                forward: field("underlying_price"),
                mark: field("mark_price_btc"),
                volatility: field("mark_iv_pct"),
            }
        })
        .collect()
}

/// As Deribit's `get_book_summary_by_currency` answers.
pub fn deribit_body(rows: &[Row]) -> String {
    let tickers: Vec<String> = rows
        .iter()
        .map(|r| {
            format!(
                r#"{{"volume_usd":0.0,"volume":0.0,"underlying_price":{},"underlying_index":"SYN.X","quote_currency":"BTC","price_change":null,"open_interest":0.0,"mid_price":null,"mark_price":{},"mark_iv":{},"low":null,"last":null,"interest_rate":0.0,"instrument_name":"{}","high":null,"estimated_delivery_price":9087.38,"creation_timestamp":{},"bid_price":null,"base_currency":"BTC","ask_price":null}}"#,
                r.forward, r.mark, r.volatility, r.name, r.ts
            )
        })
        .collect();
    format!(
        r#"{{"jsonrpc":"2.0","result":[{}],"usIn":1590103275000000,"usOut":1590103275001000,"usDiff":1000,"testnet":false}}"#,
        tickers.join(",")
    )
}

/// `22MAY20` as `200522`.
fn okx_name(name: &str) -> String {
    let tokens: Vec<&str> = name.split('-').collect();
    let (date, strike, right) = (tokens[1], tokens[2], tokens[3]);
    let (day, rest) = date.split_at(date.len() - 5);
    let months = [
        "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ];
    let month = 1 + months.iter().position(|m| *m == &rest[..3]).unwrap();
    format!("BTC-USD-{}{month:02}{day:0>2}-{strike}-{right}", &rest[3..])
}

/// Percent as a fraction, multiplied by `ppm`.
fn fraction(percent: &str, ppm: u128) -> String {
    let inner = price(percent).into_inner() * ppm / 100_000_000;
    format!("{}.{:018}", inner / 10u128.pow(18), inner % 10u128.pow(18))
}

/// As OKX's `opt-summary` answers, with every volatility multiplied by `ppm`.
pub fn okx_body(rows: &[Row], ppm: u128) -> String {
    let tickers: Vec<String> = rows
        .iter()
        .map(|r| {
            format!(
                r#"{{"askVol":"","bidVol":"0","delta":"0.9","deltaBS":"0.99","fwdPx":"{}","gamma":"1.2","gammaBS":"0.0001","instId":"{}","instType":"OPTION","lever":"3","markVol":"{}","realVol":"","theta":"-0.1","thetaBS":"-1","ts":"{}","uly":"BTC-USD","vega":"0.1","vegaBS":"1","volLv":"0.8"}}"#,
                r.forward,
                okx_name(&r.name),
                fraction(&r.volatility, ppm),
                r.ts
            )
        })
        .collect();
    format!(r#"{{"code":"0","data":[{}],"msg":""}}"#, tickers.join(","))
}

/// As Bybit's option tickers answer.
pub fn bybit_body(rows: &[Row]) -> String {
    let tickers: Vec<String> = rows
        .iter()
        .map(|r| {
            format!(
                r#"{{"symbol":"{}-USDT","bid1Price":"0","bid1Iv":"0","ask1Price":"0","ask1Iv":"0","markPrice":"1","indexPrice":"9087.38","markIv":"{}","underlyingPrice":"{}"}}"#,
                r.name,
                fraction(&r.volatility, 1_000_000),
                r.forward
            )
        })
        .collect();
    format!(
        r#"{{"retCode":0,"retMsg":"SUCCESS","result":{{"category":"option","list":[{}]}},"retExtInfo":{{}},"time":{THEN}}}"#,
        tickers.join(",")
    )
}

pub fn deribit_chain() -> OptionChain {
    deribit_options(vec![underlying(BTC, "BTC")])
}

pub fn okx_chain() -> OptionChain {
    okx_options(vec![underlying(BTC, "BTC-USD")])
}

pub fn bybit_chain() -> OptionChain {
    bybit_options(vec![underlying(BTC, "BTC")])
}

pub fn read(body: &str, chain: &OptionChain) -> Result<Smiles, Fault> {
    // The tickers were taken over three minutes; as one answer they are of one moment.
    let mut chain = chain.clone();
    chain.time.as_mut().unwrap().max_age = 120_000;
    let document = Document::parse(body)?;
    read_chain(&document, &chain, THEN)
}
