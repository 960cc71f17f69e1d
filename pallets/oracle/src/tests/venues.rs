//! The ready-made sources fit their bounds, and read answers as the venues' documentation shows them.

use crate::{json::Document, mock::*, types::Source, venues::*};

fn all() -> Vec<(Source, &'static str, &'static str, [&'static str; 3])> {
    vec![
        (
            binance(vec![usd(BTC, "BTCUSDT")]),
            "BTCUSDT",
            r#"[{"symbol":"BNBBTC","priceChange":"-94.99999800","lastPrice":"4.00000200","bidPrice":"4.00000000",
                "askPrice":"4.00000200","closeTime":1499869899040},
               {"symbol":"BTCUSDT","lastPrice":"20000.01000000","bidPrice":"20000.00000000",
                "askPrice":"20000.02000000","closeTime":1499869899040}]"#,
            ["20000.00000000", "20000.02000000", "20000.01000000"],
        ),
        (
            okx(vec![usd(BTC, "BTC-USD")]),
            "BTC-USD",
            r#"{"code":"0","msg":"","data":[{"instType":"SPOT","instId":"BTC-USD","last":"9999.99","lastSz":"1",
                "askPx":"10000","askSz":"11","bidPx":"8888.88","bidSz":"5","ts":"1597026383085"}]}"#,
            ["8888.88", "10000", "9999.99"],
        ),
        (
            bybit(vec![usd(BTC, "BTCUSDT")]),
            "BTCUSDT",
            r#"{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[{"symbol":"BTCUSDT","bid1Price":"20517.96",
                "bid1Size":"2","ask1Price":"20527.77","ask1Size":"1","lastPrice":"20533.13"}]},"time":1673859087947}"#,
            ["20517.96", "20527.77", "20533.13"],
        ),
        (
            kraken(vec![usd(BTC, "XXBTZUSD")]),
            "XXBTZUSD",
            r#"{"error":[],"result":{"XXBTZUSD":{"a":["30300.10000","1","1.000"],"b":["30300.00000","1","1.000"],
                "c":["30303.20000","0.00067643"],"o":"30502.80000"}}}"#,
            ["30300.00000", "30300.10000", "30303.20000"],
        ),
        (
            coinbase(vec![usd(BTC, "BTC-USD")]),
            "BTC-USD",
            r#"{"ask":"6267.71","bid":"6265.15","volume":"53602.03940154","trade_id":86326522,"price":"6268.48",
                "size":"0.00698254","time":"2020-03-20T00:22:57.833Z"}"#,
            ["6265.15", "6267.71", "6268.48"],
        ),
        (
            bitstamp(vec![usd(BTC, "btcusd")]),
            "btcusd",
            r#"{"timestamp":"1643640186","open":"37923","high":"38000","low":"36500","last":"2211.00",
                "volume":"213.26","vwap":"2189.80","bid":"2188.97","ask":"2211.00","side":"0"}"#,
            ["2188.97", "2211.00", "2211.00"],
        ),
        (
            crypto_com(vec![usd(BTC, "BTC_USD")]),
            "BTC_USD",
            r#"{"id":-1,"method":"public/get-tickers","code":0,"result":{"data":[{"h":"51790.00","l":"47895.50",
                "a":"51174.50","i":"BTC_USD","v":"879.5","b":"51170.000000","k":"51180.00","t":1613580710768}]}}"#,
            ["51170.000000", "51180.00", "51174.50"],
        ),
    ]
}

#[test]
fn venues_are_read_as_they_answer() {
    for (source, symbol, answer, [bid, ask, last]) in all() {
        source.check().unwrap();
        let document = Document::parse(answer).unwrap();
        for (pointer, text) in [(&source.bid, bid), (&source.ask, ask), (&source.last, last)] {
            assert_eq!(
                document.scalar(pointer.as_str(), symbol),
                Ok(text),
                "{}",
                source.base_url
            );
        }
        if let Some(time) = &source.time {
            let text = document.scalar(time.pointer.as_str(), symbol).unwrap();
            assert!(text.parse::<u64>().is_ok(), "{}", source.base_url);
        }
    }
}

#[test]
fn venues_are_asked_once_for_all_quotes_where_they_allow_it() {
    let quotes = |a: &str, b: &str| vec![usd(BTC, a), usd(USDC, b)];
    let urls = |source: Source| -> Vec<String> {
        source
            .requests("https://x")
            .into_iter()
            .map(|(url, _)| url)
            .collect()
    };
    assert_eq!(
        urls(binance(quotes("BTCUSD", "USDCUSD"))),
        ["https://x/api/v3/ticker/24hr?symbols=%5B%22BTCUSD%22,%22USDCUSD%22%5D"]
    );
    assert_eq!(
        urls(kraken(quotes("XXBTZUSD", "USDCUSD"))),
        ["https://x/0/public/Ticker?pair=XXBTZUSD,USDCUSD"]
    );
    assert_eq!(
        urls(coinbase(quotes("BTC-USD", "USDC-USD"))),
        [
            "https://x/products/BTC-USD/ticker",
            "https://x/products/USDC-USD/ticker"
        ]
    );
}
