//! Ready-made sources in the shapes of eight venues' public HTTP interfaces. The caller says what to quote, by the
//! venue's own symbols, and of three whose options to ask for ([`with_options`]).

use crate::types::{
    OptionChain, Quote, QuoteCurrency, Source, Text, TimeUnit, Timestamp, Underlying,
    VolatilityUnit,
};
use alloc::vec::Vec;
use frame_support::BoundedVec;
use novate_types::{FeedId, Millis};

/// Below a block's time, so that every round asks, and no burst of blocks asks twice.
const MIN_INTERVAL: Millis = 750;
/// Answers older than this are left out where the venue dates them.
const MAX_AGE: Millis = 60_000;
/// Half a megabyte each time: six times a minute is enough for what moves by fractions of a percent.
const OPTIONS_INTERVAL: Millis = 10_000;

/// A quote in US dollars.
pub fn usd(feed: FeedId, symbol: &str) -> Quote {
    Quote {
        feed,
        symbol: Text::truncated(symbol),
        currency: QuoteCurrency::Usd,
    }
}

/// A quote in the asset of another feed.
pub fn quoted_in(feed: FeedId, symbol: &str, currency: FeedId) -> Quote {
    Quote {
        feed,
        symbol: Text::truncated(symbol),
        currency: QuoteCurrency::Feed(currency),
    }
}

struct Shape {
    base_url: &'static str,
    path: &'static str,
    separator: &'static str,
    bid: &'static str,
    ask: &'static str,
    last: &'static str,
    time: Option<(&'static str, TimeUnit)>,
}

fn source(shape: Shape, quotes: Vec<Quote>) -> Source {
    Source {
        base_url: Text::truncated(shape.base_url),
        path: Text::truncated(shape.path),
        separator: Text::truncated(shape.separator),
        bid: Text::truncated(shape.bid),
        ask: Text::truncated(shape.ask),
        last: Text::truncated(shape.last),
        time: shape.time.map(|(pointer, unit)| Timestamp {
            pointer: Text::truncated(pointer),
            unit,
            max_age: MAX_AGE,
        }),
        min_interval: MIN_INTERVAL,
        quotes: BoundedVec::truncate_from(quotes),
        options: None,
    }
}

/// The source, asked for its options as well.
pub fn with_options(source: Source, chain: OptionChain) -> Source {
    Source {
        options: Some(chain),
        ..source
    }
}

/// An underlying by the venue's symbol for its options.
pub fn underlying(feed: FeedId, symbol: &str) -> Underlying {
    Underlying {
        feed,
        symbol: Text::truncated(symbol),
    }
}

struct ChainShape {
    path: &'static str,
    list: &'static str,
    name: &'static str,
    forward: &'static str,
    volatility: &'static str,
    unit: VolatilityUnit,
    time: &'static str,
}

fn chain(shape: ChainShape, underlyings: Vec<Underlying>) -> OptionChain {
    OptionChain {
        path: Text::truncated(shape.path),
        list: Text::truncated(shape.list),
        name: Text::truncated(shape.name),
        forward: Text::truncated(shape.forward),
        volatility: Text::truncated(shape.volatility),
        unit: shape.unit,
        time: Some(Timestamp {
            pointer: Text::truncated(shape.time),
            unit: TimeUnit::Millis,
            max_age: MAX_AGE,
        }),
        min_interval: OPTIONS_INTERVAL,
        underlyings: BoundedVec::truncate_from(underlyings),
    }
}

/// Deribit's options by currency (`BTC`): the summary of every book, dated each, with volatilities in percent.
pub fn deribit_options(underlyings: Vec<Underlying>) -> OptionChain {
    let shape = ChainShape {
        path: "/api/v2/public/get_book_summary_by_currency?currency={symbol}&kind=option",
        list: "/result",
        name: "/instrument_name",
        forward: "/underlying_price",
        volatility: "/mark_iv",
        unit: VolatilityUnit::Percent,
        time: "/creation_timestamp",
    };
    chain(shape, underlyings)
}

/// OKX's options by family (`BTC-USD`), dated each.
pub fn okx_options(underlyings: Vec<Underlying>) -> OptionChain {
    let shape = ChainShape {
        path: "/api/v5/public/opt-summary?instFamily={symbol}",
        list: "/data",
        name: "/instId",
        forward: "/fwdPx",
        volatility: "/markVol",
        unit: VolatilityUnit::Fraction,
        time: "/ts",
    };
    chain(shape, underlyings)
}

/// Bybit's options by base coin (`BTC`); the answer is dated.
pub fn bybit_options(underlyings: Vec<Underlying>) -> OptionChain {
    let shape = ChainShape {
        path: "/v5/market/tickers?category=option&baseCoin={symbol}",
        list: "/result/list",
        name: "/symbol",
        forward: "/underlyingPrice",
        volatility: "/markIv",
        unit: VolatilityUnit::Fraction,
        time: "/time",
    };
    chain(shape, underlyings)
}

/// Deribit: one instrument a request (`BTC_USDC`); mostly for its options.
pub fn deribit(quotes: Vec<Quote>) -> Source {
    let shape = Shape {
        base_url: "https://www.deribit.com",
        path: "/api/v2/public/ticker?instrument_name={symbol}",
        separator: "",
        bid: "/result/best_bid_price",
        ask: "/result/best_ask_price",
        last: "/result/last_price",
        time: Some(("/result/timestamp", TimeUnit::Millis)),
    };
    source(shape, quotes)
}

/// Binance, and Binance US under its own base URL: an array of tickers for all symbols (`BTCUSDT`) at once.
pub fn binance(quotes: Vec<Quote>) -> Source {
    let shape = Shape {
        base_url: "https://api.binance.com",
        path: "/api/v3/ticker/24hr?symbols=%5B%22{symbols}%22%5D",
        separator: "%22,%22",
        bid: "/symbol={symbol}/bidPrice",
        ask: "/symbol={symbol}/askPrice",
        last: "/symbol={symbol}/lastPrice",
        time: Some(("/symbol={symbol}/closeTime", TimeUnit::Millis)),
    };
    source(shape, quotes)
}

/// OKX: one ticker a request (`BTC-USDT`), in an array of one.
pub fn okx(quotes: Vec<Quote>) -> Source {
    let shape = Shape {
        base_url: "https://www.okx.com",
        path: "/api/v5/market/ticker?instId={symbol}",
        separator: "",
        bid: "/data/instId={symbol}/bidPx",
        ask: "/data/instId={symbol}/askPx",
        last: "/data/instId={symbol}/last",
        time: Some(("/data/instId={symbol}/ts", TimeUnit::Millis)),
    };
    source(shape, quotes)
}

/// Bybit v5, spot: one ticker a request (`BTCUSDT`), in an array of one.
pub fn bybit(quotes: Vec<Quote>) -> Source {
    let shape = Shape {
        base_url: "https://api.bybit.com",
        path: "/v5/market/tickers?category=spot&symbol={symbol}",
        separator: "",
        bid: "/result/list/symbol={symbol}/bid1Price",
        ask: "/result/list/symbol={symbol}/ask1Price",
        last: "/result/list/symbol={symbol}/lastPrice",
        time: Some(("/time", TimeUnit::Millis)),
    };
    source(shape, quotes)
}

/// Kraken: all pairs at once, keyed by its own names of them (`XXBTZUSD`, `XBTUSDT`). It does not date its answers.
pub fn kraken(quotes: Vec<Quote>) -> Source {
    let shape = Shape {
        base_url: "https://api.kraken.com",
        path: "/0/public/Ticker?pair={symbols}",
        separator: ",",
        bid: "/result/{symbol}/b/0",
        ask: "/result/{symbol}/a/0",
        last: "/result/{symbol}/c/0",
        time: None,
    };
    source(shape, quotes)
}

/// Coinbase Exchange: one product a request (`BTC-USD`). It dates the last trade, not the answer.
pub fn coinbase(quotes: Vec<Quote>) -> Source {
    let shape = Shape {
        base_url: "https://api.exchange.coinbase.com",
        path: "/products/{symbol}/ticker",
        separator: "",
        bid: "/bid",
        ask: "/ask",
        last: "/price",
        time: None,
    };
    source(shape, quotes)
}

/// Bitstamp v2: one pair a request (`btcusd`).
pub fn bitstamp(quotes: Vec<Quote>) -> Source {
    let shape = Shape {
        base_url: "https://www.bitstamp.net",
        path: "/api/v2/ticker/{symbol}/",
        separator: "",
        bid: "/bid",
        ask: "/ask",
        last: "/last",
        time: Some(("/timestamp", TimeUnit::Seconds)),
    };
    source(shape, quotes)
}

/// Crypto.com Exchange v1: one instrument a request (`BTC_USD`); `b` is the bid, `k` the ask, `a` the last trade.
pub fn crypto_com(quotes: Vec<Quote>) -> Source {
    let shape = Shape {
        base_url: "https://api.crypto.com",
        path: "/exchange/v1/public/get-tickers?instrument_name={symbol}",
        separator: "",
        bid: "/result/data/i={symbol}/b",
        ask: "/result/data/i={symbol}/k",
        last: "/result/data/i={symbol}/a",
        time: Some(("/result/data/i={symbol}/t", TimeUnit::Millis)),
    };
    source(shape, quotes)
}
