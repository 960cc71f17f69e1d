//! The exchanges' public ticker endpoints over the tape, and two's option chains: the paths, parameters, symbols and JSON that each venue serves.
//!
//! A minute's close is the last price, its low the bid and its high the ask; see `data/README.md`. A pair without a
//! recording is answered as the venue answers for a pair it does not list.

use crate::{
    options::Chain,
    tape::{Bar, Clock, Tape},
};
use anyhow::Result;
use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    routing::get,
    Json, Router,
};
use serde_json::{json, Map, Value};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::{SystemTime, UNIX_EPOCH},
};

/// What the price server serves from.
pub struct Replay {
    /// The recorded bars.
    pub tape: Tape,
    /// Which moment of them is now.
    pub clock: Clock,
}

/// A quote as of now.
struct Quote {
    last: String,
    bid: String,
    ask: String,
    /// When it was made, in milliseconds of the world's Unix time.
    time: u64,
}

impl Replay {
    fn quote(&self, exchange: &str, symbol: &str) -> Option<Quote> {
        let now = self.clock.now();
        let bar: &Bar = self.tape.bar(exchange, symbol, now)?;
        let age = self.clock.age(bar.end(), now);
        let time = wall_millis().saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        Some(Quote {
            last: bar.close.clone(),
            bid: bar.low.clone(),
            ask: bar.high.clone(),
            time,
        })
    }

    /// Quotes of the venue's symbols that `wanted` accepts, written with `spell`.
    fn quotes<'a>(
        &'a self,
        exchange: &'a str,
        spell: impl Fn(&str) -> String + 'a,
        wanted: impl Fn(&str) -> bool + 'a,
    ) -> impl Iterator<Item = (String, Quote)> + 'a {
        self.tape
            .symbols(exchange)
            .map(move |symbol| (spell(symbol), symbol))
            .filter(move |(spelt, _)| wanted(spelt))
            .filter_map(move |(spelt, symbol)| Some((spelt, self.quote(exchange, symbol)?)))
    }
}

fn wall_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|d| u64::try_from(d.as_millis()).ok())
        .unwrap_or(0)
}

type Parameters = Query<HashMap<String, String>>;
type Shared = State<Arc<Replay>>;
type Answer = (StatusCode, Json<Value>);

fn found(body: Value) -> Answer {
    (StatusCode::OK, Json(body))
}

/// `BTC-USDT` as `BTCUSDT`.
fn joined(symbol: &str) -> String {
    symbol.replace('-', "")
}

/// `BTC-USDT` as Kraken names it in requests.
fn kraken(symbol: &str) -> String {
    joined(symbol).replace("BTC", "XBT")
}

/// Kraken's answers name its oldest assets with a letter for their class.
fn kraken_answer(name: &str) -> String {
    match name {
        "XBTUSD" => "XXBTZUSD".into(),
        "USDTUSD" => "USDTZUSD".into(),
        other => other.into(),
    }
}

fn binance_ticker((symbol, q): (String, Quote)) -> Value {
    json!({
        "symbol": symbol, "lastPrice": q.last, "bidPrice": q.bid, "askPrice": q.ask,
        "openTime": q.time.saturating_sub(86_400_000), "closeTime": q.time,
    })
}

/// Binance: `/api/v3/ticker/24hr` with `symbol`, `symbols` or neither.
async fn binance(State(replay): Shared, Query(parameters): Parameters) -> Answer {
    let unknown = || {
        (
            StatusCode::BAD_REQUEST,
            Json(json!({ "code": -1121, "msg": "Invalid symbol." })),
        )
    };
    if let Some(symbol) = parameters.get("symbol") {
        let quote = replay.quotes("binanceus", joined, |s| s == symbol).next();
        return quote.map_or_else(unknown, |q| found(binance_ticker(q)));
    }
    let Some(symbols) = parameters.get("symbols") else {
        return found(
            replay
                .quotes("binanceus", joined, |_| true)
                .map(binance_ticker)
                .collect(),
        );
    };
    let Ok(symbols) = serde_json::from_str::<Vec<String>>(symbols) else {
        return unknown();
    };
    let tickers: Vec<Value> = replay
        .quotes("binanceus", joined, |s| symbols.iter().any(|w| w == s))
        .map(binance_ticker)
        .collect();
    // The venue refuses the whole request when one of its symbols is unknown.
    if tickers.len() == symbols.len() {
        found(tickers.into())
    } else {
        unknown()
    }
}

/// OKX: `/api/v5/market/ticker?instId=` and `/tickers`; nothing of these is recorded.
async fn okx_one() -> Answer {
    found(json!({ "code": "51001", "msg": "Instrument ID doesn't exist", "data": [] }))
}

async fn okx_all() -> Answer {
    found(json!({ "code": "0", "msg": "", "data": [] }))
}

/// Bybit: `/v5/market/tickers?category=spot[&symbol=]`.
async fn bybit(State(replay): Shared, Query(parameters): Parameters) -> Answer {
    let symbol = parameters.get("symbol");
    let list: Vec<Value> = replay
        .quotes("bybit", joined, |s| symbol.is_none_or(|w| w == s))
        .map(|(symbol, q)| {
            json!({
                "symbol": symbol, "lastPrice": q.last, "bid1Price": q.bid, "ask1Price": q.ask,
            })
        })
        .collect();
    if parameters.get("category").map(String::as_str) != Some("spot") {
        return found(
            json!({ "retCode": 10001, "retMsg": "Illegal category", "result": {},
            "time": wall_millis() }),
        );
    }
    if list.is_empty() {
        return found(
            json!({ "retCode": 10001, "retMsg": "Not supported symbols", "result": {},
            "time": wall_millis() }),
        );
    }
    found(json!({
        "retCode": 0, "retMsg": "OK", "result": { "category": "spot", "list": list },
        "retExtInfo": {}, "time": wall_millis(),
    }))
}

/// Kraken: `/0/public/Ticker?pair=XBTUSD,USDTUSD`; a pair it does not know fails the request.
async fn kraken_ticker(State(replay): Shared, Query(parameters): Parameters) -> Answer {
    let pairs: Option<Vec<&str>> = parameters.get("pair").map(|p| p.split(',').collect());
    let quotes: Vec<_> = replay
        .quotes("kraken", kraken, |s| {
            pairs
                .as_ref()
                .is_none_or(|p| p.iter().any(|w| *w == s || *w == kraken_answer(s)))
        })
        .collect();
    if pairs.is_some_and(|p| p.len() != quotes.len()) {
        return found(json!({ "error": ["EQuery:Unknown asset pair"] }));
    }
    let result: Map<String, Value> = quotes
        .into_iter()
        .map(|(name, q)| {
            // Price and volumes; the volumes of quotes were not recorded.
            let ticker = json!({ "a": [q.ask, "0", "0.000"], "b": [q.bid, "0", "0.000"],
                "c": [q.last, "0"] });
            (kraken_answer(&name), ticker)
        })
        .collect();
    found(json!({ "error": [], "result": result }))
}

/// Coinbase: `/products/BTC-USD/ticker`.
async fn coinbase(State(replay): Shared, Path(product): Path<String>) -> Answer {
    match replay.quote("coinbase", &product) {
        Some(q) => found(json!({
            "price": q.last, "bid": q.bid, "ask": q.ask, "time": rfc3339(q.time),
        })),
        None => (
            StatusCode::NOT_FOUND,
            Json(json!({ "message": "NotFound" })),
        ),
    }
}

/// Bitstamp: `/api/v2/ticker/btcusd/`; nothing of it is recorded for this night.
async fn bitstamp() -> Answer {
    (
        StatusCode::NOT_FOUND,
        Json(json!({ "status": "error", "reason": "Not found.", "code": "404" })),
    )
}

/// Crypto.com: `/exchange/v1/public/get-tickers[?instrument_name=BTC_USD]`.
async fn cryptocom(State(replay): Shared, Query(parameters): Parameters) -> Answer {
    let name = parameters.get("instrument_name");
    let data: Vec<Value> = replay
        .quotes(
            "cryptocom",
            |s| s.replace('-', "_"),
            |s| name.is_none_or(|w| w == s),
        )
        .map(|(symbol, q)| json!({ "i": symbol, "a": q.last, "b": q.bid, "k": q.ask, "t": q.time }))
        .collect();
    if data.is_empty() {
        let body = json!({ "id": -1, "method": "public/get-tickers", "code": 40004,
            "message": "Invalid instrument_name" });
        return (StatusCode::BAD_REQUEST, Json(body));
    }
    found(
        json!({ "id": -1, "method": "public/get-tickers", "code": 0, "result": { "data": data } }),
    )
}

/// The recorded options; none if they cannot be read, and then the venues list none.
static OPTIONS: LazyLock<Option<Chain>> = LazyLock::new(|| Chain::recorded().ok());

impl Replay {
    /// What the chain of Bitcoin's options answers now, if Bitcoin has a price.
    fn options(&self, answer: impl Fn(&Chain, f64, u64) -> Value) -> Option<Value> {
        let index = self.quote("coinbase", "BTC-USD")?.last.parse().ok()?;
        Some(answer(OPTIONS.as_ref()?, index, wall_millis()))
    }
}

/// Deribit: `/api/v2/public/get_book_summary_by_currency?currency=BTC&kind=option`; another currency has no options.
async fn deribit_options(State(replay): Shared, Query(parameters): Parameters) -> Answer {
    let is = |name: &str, value: &str| parameters.get(name).map(String::as_str) == Some(value);
    if !is("kind", "option") || !parameters.contains_key("currency") {
        let error = json!({ "code": -32602, "message": "Invalid params" });
        let body = json!({ "jsonrpc": "2.0", "error": error, "testnet": false });
        return (StatusCode::BAD_REQUEST, Json(body));
    }
    let listed = if is("currency", "BTC") {
        replay.options(Chain::deribit)
    } else {
        None
    };
    found(listed.unwrap_or_else(|| json!({ "jsonrpc": "2.0", "result": [], "testnet": false })))
}

/// OKX: `/api/v5/public/opt-summary?instFamily=BTC-USD`.
async fn okx_options(State(replay): Shared, Query(parameters): Parameters) -> Answer {
    let listed = match parameters.get("instFamily").map(String::as_str) {
        Some("BTC-USD") => replay.options(Chain::okx),
        Some(_) => None,
        None => {
            let msg = "Either parameter uly or instFamily is required";
            return found(json!({ "code": "50014", "msg": msg, "data": [] }));
        }
    };
    found(listed.unwrap_or_else(|| json!({ "code": "0", "msg": "", "data": [] })))
}

/// Milliseconds of Unix time as `2023-03-11T03:00:00.000Z`.
pub fn rfc3339(millis: u64) -> String {
    let (days, rest) = (millis / 86_400_000, millis % 86_400_000);
    // Days since 0000-03-01 in 400-year eras: Howard Hinnant's civil_from_days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (h, m, s) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z",
        rest % 1_000
    )
}

/// Every venue's paths; they do not overlap, so one address serves them all.
pub fn router(replay: Arc<Replay>) -> Router {
    Router::new()
        .route("/api/v3/ticker/24hr", get(binance))
        .route("/api/v5/market/ticker", get(okx_one))
        .route("/api/v5/market/tickers", get(okx_all))
        .route("/api/v5/public/opt-summary", get(okx_options))
        .route(
            "/api/v2/public/get_book_summary_by_currency",
            get(deribit_options),
        )
        .route("/v5/market/tickers", get(bybit))
        .route("/0/public/Ticker", get(kraken_ticker))
        .route("/products/{product}/ticker", get(coinbase))
        .route("/api/v2/ticker/{pair}/", get(bitstamp))
        .route("/exchange/v1/public/get-tickers", get(cryptocom))
        .with_state(replay)
}

/// Serves on a free port of the loopback interface until the process ends.
pub async fn serve(replay: Arc<Replay>) -> Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router(replay)).await });
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;

    /// 2023-03-11 02:00 UTC.
    const TWO: u64 = 1_678_500_000;

    fn replay() -> Shared {
        let tape = Tape::recorded().unwrap();
        State(Arc::new(Replay {
            tape,
            clock: Clock::held(TWO, TWO, 1),
        }))
    }

    fn with(parameters: &[(&str, &str)]) -> Parameters {
        Query(
            parameters
                .iter()
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .collect(),
        )
    }

    fn number(value: &Value) -> f64 {
        value
            .as_str()
            .expect("venues quote prices as strings")
            .parse()
            .unwrap()
    }

    fn is_bitcoin(value: &Value) -> bool {
        (20_000.0..22_000.0).contains(&number(value))
    }

    #[tokio::test]
    async fn binance_answers_one_symbol_or_many() {
        let (_, Json(one)) = binance(replay(), with(&[("symbol", "BTCUSDT")])).await;
        assert!(
            is_bitcoin(&one["lastPrice"]) && is_bitcoin(&one["bidPrice"]),
            "{one}"
        );
        assert!(one["closeTime"].is_u64());
        let (_, Json(two)) =
            binance(replay(), with(&[("symbols", r#"["BTCUSDT","USDCUSDT"]"#)])).await;
        assert_eq!(two.as_array().unwrap().len(), 2);
        let (status, Json(error)) = binance(replay(), with(&[("symbol", "DOGEUSDT")])).await;
        assert_eq!(
            (status, &error["code"]),
            (StatusCode::BAD_REQUEST, &json!(-1121))
        );
        let (status, _) = binance(replay(), with(&[("symbols", r#"["BTCUSDT","X"]"#)])).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn bybit_answers_a_list_of_its_spot_pairs() {
        let (_, Json(body)) = bybit(
            replay(),
            with(&[("category", "spot"), ("symbol", "BTCUSDC")]),
        )
        .await;
        let ticker = &body["result"]["list"][0];
        assert_eq!(ticker["symbol"], "BTCUSDC");
        assert!(
            is_bitcoin(&ticker["bid1Price"]) && is_bitcoin(&ticker["ask1Price"]),
            "{body}"
        );
        assert!(number(&ticker["bid1Price"]) <= number(&ticker["ask1Price"]));
        let (_, Json(none)) = bybit(
            replay(),
            with(&[("category", "spot"), ("symbol", "BTCUSDT")]),
        )
        .await;
        assert_eq!(none["retCode"], 10001);
    }

    #[tokio::test]
    async fn kraken_answers_under_its_own_names() {
        let (_, Json(body)) =
            kraken_ticker(replay(), with(&[("pair", "XXBTZUSD,USDTZUSD,USDCUSD")])).await;
        assert!(is_bitcoin(&body["result"]["XXBTZUSD"]["c"][0]), "{body}");
        assert!(number(&body["result"]["USDCUSD"]["c"][0]) < 1.0);
        assert_eq!(body["result"].as_object().unwrap().len(), 3);
        let (_, Json(alias)) = kraken_ticker(replay(), with(&[("pair", "XBTUSD")])).await;
        assert!(alias["result"]["XXBTZUSD"].is_object());
        let (_, Json(error)) = kraken_ticker(replay(), with(&[("pair", "XBTUSD,NOPE")])).await;
        assert_eq!(error["error"][0], "EQuery:Unknown asset pair");
    }

    #[tokio::test]
    async fn coinbase_and_cryptocom_answer_one_product() {
        let (_, Json(body)) = coinbase(replay(), Path("BTC-USD".into())).await;
        assert!(is_bitcoin(&body["price"]) && body["time"].is_string());
        let (status, _) = coinbase(replay(), Path("BTC-EUR".into())).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        let (_, Json(body)) = cryptocom(replay(), with(&[("instrument_name", "BTC_USD")])).await;
        assert!(is_bitcoin(&body["result"]["data"][0]["a"]));
        let (status, _) = cryptocom(replay(), with(&[("instrument_name", "X_Y")])).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn options_are_answered_for_bitcoin() {
        let btc = with(&[("currency", "BTC"), ("kind", "option")]);
        let (_, Json(body)) = deribit_options(replay(), btc).await;
        assert_eq!(body["result"].as_array().unwrap().len(), 163);
        let doge = with(&[("currency", "DOGE"), ("kind", "option")]);
        let (_, Json(body)) = deribit_options(replay(), doge).await;
        assert_eq!(body["result"], json!([]));
        let (status, _) = deribit_options(replay(), with(&[("currency", "BTC")])).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let (_, Json(body)) = okx_options(replay(), with(&[("instFamily", "BTC-USD")])).await;
        assert_eq!(body["data"].as_array().unwrap().len(), 163);
        let (_, Json(body)) = okx_options(replay(), with(&[("instFamily", "X-USD")])).await;
        assert_eq!(body["data"], json!([]));
        let (_, Json(body)) = okx_options(replay(), with(&[])).await;
        assert_eq!(body["code"], "50014");
    }

    #[tokio::test]
    async fn venues_without_a_recording_answer_as_for_an_unlisted_pair() {
        assert_eq!(okx_one().await.1 .0["data"], json!([]));
        assert_eq!(
            bitstamp().await.into_response().status(),
            StatusCode::NOT_FOUND
        );
    }

    #[tokio::test]
    async fn server_answers_over_http_on_the_venues_paths() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let State(shared) = replay();
        let address = serve(shared).await.unwrap();
        for path in [
            "/api/v3/ticker/24hr?symbols=%5B%22BTCUSDT%22,%22USDCUSDT%22%5D",
            "/v5/market/tickers?category=spot&symbol=BTCUSDC",
            "/0/public/Ticker?pair=XXBTZUSD,USDCUSD",
            "/products/BTC-USD/ticker",
            "/exchange/v1/public/get-tickers?instrument_name=BTC_USD",
            "/api/v2/public/get_book_summary_by_currency?currency=BTC&kind=option",
            "/api/v5/public/opt-summary?instFamily=BTC-USD",
        ] {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{path}: {answer}");
        }
    }

    #[test]
    fn times_are_written_as_calendar_dates() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(TWO * 1_000 + 7), "2023-03-11T02:00:00.007Z");
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(rfc3339(1_767_225_599_999), "2025-12-31T23:59:59.999Z");
    }
}
