//! Recorded minutes, and what every feed says at any moment of them.
//!
//! A bar covers `[ts, ts + 60)` and says four prices. Within it the price goes in three straight legs of twenty seconds: open, low,
//! high, close where the minute closed no lower than it opened, else open, high, low, close. That is the one order of the two that
//! turns less; bars do not say which it was. A minute without a bar has no price: a gap stays a gap.

use anyhow::{bail, ensure, Context, Result};
use flate2::read::GzDecoder;
use novate_types::{math, Price};
use pallet_price_oracle::aggregate::combine;
use serde::Deserialize;
use sp_runtime::FixedPointNumber;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    path::Path,
};

/// Seconds a bar covers.
pub const BAR: u64 = 60;
/// Milliseconds of a leg within a bar.
const LEG: u64 = BAR * 1_000 / 3;
/// Coins that others are quoted in, in the order in which they are priced: each by those before it.
const STABLE: [&str; 2] = ["USDT", "USDC"];
const DOLLAR: &str = "USD";

/// Columns of a row that are read; a file may have more.
#[derive(Debug, Deserialize)]
struct Row {
    ts: u64,
    exchange: String,
    symbol: String,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
}

/// Four prices of a minute.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bar {
    open: f64,
    high: f64,
    low: f64,
    close: f64,
}

impl Bar {
    /// The price so many milliseconds after the opening.
    fn at(&self, millis: u64) -> f64 {
        let (second, third) = if self.close >= self.open {
            (self.low, self.high)
        } else {
            (self.high, self.low)
        };
        let turns = [self.open, second, third, self.close];
        let leg = (millis / LEG).min(2);
        let part = (millis - leg * LEG) as f64 / LEG as f64;
        let [from, to] = [turns[leg as usize], turns[leg as usize + 1]];
        from + (to - from) * part.min(1.0)
    }
}

/// What a series is a price of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    base: String,
    quote: String,
    perpetual: bool,
}

impl Pair {
    /// `BASE-QUOTE`, or `BASEQUOTE-PERP`.
    fn parse(symbol: &str) -> Result<Self> {
        let (left, right) = symbol
            .split_once('-')
            .with_context(|| format!("{symbol} is neither BASE-QUOTE nor BASEQUOTE-PERP"))?;
        if right != "PERP" {
            return Ok(Self {
                base: left.into(),
                quote: right.into(),
                perpetual: false,
            });
        }
        let quotes = STABLE.iter().chain([&DOLLAR]);
        for quote in quotes {
            if let Some(base) = left.strip_suffix(quote).filter(|base| !base.is_empty()) {
                return Ok(Self {
                    base: base.into(),
                    quote: (*quote).into(),
                    perpetual: true,
                });
            }
        }
        bail!("{symbol} is quoted in none of USD, USDT and USDC")
    }
}

/// All series of a file.
pub struct Tape {
    /// By venue and pair, the bars by their opening in Unix seconds.
    series: BTreeMap<(String, Pair), BTreeMap<u64, Bar>>,
}

impl Tape {
    /// Reads a file of bars, compressed by gzip or not.
    pub fn open(file: &Path) -> Result<Self> {
        let reader = File::open(file).with_context(|| format!("{}", file.display()))?;
        let reader: Box<dyn Read> = match file.extension() {
            Some(ending) if ending == "gz" => Box::new(GzDecoder::new(reader)),
            _ => Box::new(reader),
        };
        Self::read(reader).with_context(|| format!("{} cannot be read", file.display()))
    }

    fn read(csv: impl Read) -> Result<Self> {
        let mut series: BTreeMap<_, BTreeMap<u64, Bar>> = BTreeMap::new();
        for row in csv::Reader::from_reader(csv).deserialize() {
            let row: Row = row?;
            let bar = Bar {
                open: row.open,
                high: row.high,
                low: row.low,
                close: row.close,
            };
            ensure!(
                0.0 < bar.low
                    && bar.low <= bar.open.min(bar.close)
                    && bar.open.max(bar.close) <= bar.high
                    && bar.high.is_finite()
                    && row.ts % BAR == 0,
                "a bar is impossible: {row:?}"
            );
            let pair = Pair::parse(&row.symbol)?;
            let bars = series.entry((row.exchange.clone(), pair)).or_default();
            ensure!(
                bars.insert(row.ts, bar).is_none(),
                "two bars for one minute: {row:?}"
            );
        }
        // A perpetual's price is not the underlying's. Where the file has the underlying itself, that is what counts.
        let spot: BTreeSet<String> = series
            .keys()
            .filter(|(_, pair)| !pair.perpetual)
            .map(|(_, pair)| pair.base.clone())
            .collect();
        series.retain(|(_, pair), _| !pair.perpetual || !spot.contains(&pair.base));
        ensure!(!series.is_empty(), "it holds no bars");
        let tape = Self { series };
        let coins = tape.coins();
        for (venue, Pair { base, quote, .. }) in tape.series.keys() {
            ensure!(
                quote == DOLLAR || STABLE.contains(&quote.as_str()) || coins.contains(quote),
                "{base}-{quote} on {venue}: the file has no price of {quote}; quote in USD, USDT or USDC, leave these rows out, or add {quote}-USD"
            );
        }
        Ok(tape)
    }

    /// What it has prices of beside stablecoins, Bitcoin first.
    pub fn underlyings(&self) -> Vec<String> {
        let all = self.series.keys().map(|(_, pair)| pair.base.clone());
        let mut coins: Vec<String> = all
            .filter(|base| !STABLE.contains(&base.as_str()))
            .collect();
        coins.sort_by_key(|coin| (coin != "BTC", coin.clone()));
        coins.dedup();
        coins
    }

    /// Everything that it has prices of.
    pub fn coins(&self) -> BTreeSet<String> {
        self.series
            .keys()
            .map(|(_, pair)| pair.base.clone())
            .collect()
    }

    /// The first second it covers, and the first after it.
    pub fn span(&self) -> (u64, u64) {
        let ends = |bars: &BTreeMap<u64, Bar>| {
            let first = bars.first_key_value().map(|(ts, _)| *ts);
            first.zip(bars.last_key_value().map(|(ts, _)| *ts + BAR))
        };
        let spans = self.series.values().filter_map(ends);
        spans.fold((u64::MAX, 0), |(from, to), (first, last)| {
            (from.min(first), to.max(last))
        })
    }

    /// The `minutes` in which some coin's price fell the most from where it began: their first second.
    pub fn worst(&self, minutes: u64) -> u64 {
        let (from, to) = self.span();
        let mut worst = (0.0, from);
        for bars in self.series.values() {
            let closes: Vec<(u64, f64)> = bars.iter().map(|(ts, bar)| (*ts, bar.close)).collect();
            for (at, (ts, first)) in closes.iter().enumerate().step_by(10) {
                if ts + minutes * BAR > to {
                    break;
                }
                let within = closes[at..].iter().take_while(|c| c.0 < ts + minutes * BAR);
                let lowest = within.fold(*first, |low, (_, close)| low.min(*close));
                let fall = 1.0 - lowest / first;
                if fall > worst.0 {
                    worst = (fall, *ts);
                }
            }
        }
        worst.1
    }

    /// Every coin's price in USD at a moment (Unix milliseconds), of those that have one: over venues combined as a validator's worker
    /// does it, a quote in another coin converted at that one's own price, or left out where that is not known before it. A stablecoin that the
    /// file does not know counts as a dollar.
    pub fn prices(&self, at: u64) -> BTreeMap<String, Price> {
        let mut known: BTreeMap<String, Price> = BTreeMap::new();
        let listed = |coin: &str| self.series.keys().any(|(_, pair)| pair.base == coin);
        let underlyings = self.underlyings();
        let stable = STABLE.iter().map(|coin| (*coin).to_string());
        for coin in stable.chain(underlyings) {
            let quotes: Vec<Price> = self
                .series
                .iter()
                .filter(|((_, pair), _)| pair.base == coin)
                .filter_map(|((_, pair), bars)| {
                    let quoted = price_in(bars, at)?;
                    if pair.quote == DOLLAR || !listed(&pair.quote) {
                        return Some(quoted);
                    }
                    let rate = known.get(&pair.quote)?;
                    let inner =
                        math::mul_div_floor(quoted.into_inner(), rate.into_inner(), Price::DIV);
                    inner.ok().map(Price::from_inner)
                })
                .collect();
            if let Some(combined) = combine(&quotes) {
                known.insert(coin, combined.price);
            } else if !listed(&coin) {
                known.insert(coin, Price::from_inner(Price::DIV));
            }
        }
        known
    }
}

fn price_in(bars: &BTreeMap<u64, Bar>, at: u64) -> Option<Price> {
    let minute = at / 1_000 / BAR * BAR;
    let price = bars.get(&minute)?.at(at - minute * 1_000);
    // Twelve decimals of the eighteen: more than any venue has.
    Some(Price::from_inner(
        (price * 1e12).round() as u128 * 1_000_000,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "ts,exchange,symbol,open,high,low,close,volume,trades\n";

    fn tape(rows: &str) -> Result<Tape> {
        Tape::read(format!("{HEAD}{rows}").as_bytes())
    }

    fn usd(dollars: f64) -> Price {
        Price::from_inner((dollars * 1e12).round() as u128 * 1_000_000)
    }

    fn at(tape: &Tape, coin: &str, millis: u64) -> Option<Price> {
        tape.prices(millis).get(coin).copied()
    }

    #[test]
    fn bar_goes_by_the_low_first_when_it_closes_higher() {
        let tape = tape("60,kraken,BTC-USD,100,130,90,120,1,\n").unwrap();
        let path = [
            (0, 100.0),
            (10, 95.0),
            (20, 90.0),
            (30, 110.0),
            (40, 130.0),
            (50, 125.0),
        ];
        for (second, price) in path {
            assert_eq!(at(&tape, "BTC", (60 + second) * 1_000), Some(usd(price)));
        }
    }

    #[test]
    fn bar_goes_by_the_high_first_when_it_closes_lower() {
        let tape = tape("60,kraken,BTC-USD,120,130,90,100,1,\n").unwrap();
        let path = [(0, 120.0), (20, 130.0), (40, 90.0), (50, 95.0)];
        for (second, price) in path {
            assert_eq!(at(&tape, "BTC", (60 + second) * 1_000), Some(usd(price)));
        }
    }

    #[test]
    fn minute_without_a_bar_has_no_price() {
        let rows = "60,kraken,BTC-USD,1,1,1,1,1,\n180,kraken,BTC-USD,2,2,2,2,1,\n";
        let tape = tape(rows).unwrap();
        assert_eq!(at(&tape, "BTC", 119_999), Some(usd(1.0)));
        assert_eq!(at(&tape, "BTC", 120_000), None);
        assert_eq!(at(&tape, "BTC", 180_000), Some(usd(2.0)));
        assert_eq!(tape.span(), (60, 240));
    }

    #[test]
    fn quote_is_converted_at_its_coins_own_price_and_left_out_without_one() {
        let rows = "60,kraken,USDC-USD,0.9,0.9,0.9,0.9,1,\n60,kraken,BTC-USDC,200,200,200,200,1,\n\
                    120,kraken,BTC-USDC,200,200,200,200,1,\n";
        let tape = tape(rows).unwrap();
        assert_eq!(at(&tape, "BTC", 60_000), Some(usd(180.0)));
        assert_eq!(at(&tape, "BTC", 120_000), None);
        // Nothing is known of USDT: it is a dollar.
        assert_eq!(at(&tape, "USDT", 60_000), Some(usd(1.0)));
    }

    #[test]
    fn quote_is_refused_when_the_file_has_no_price_of_it() {
        let bitcoin = "60,kraken,BTC-USD,200,200,200,200,1,\n";
        let read = |rows: &str| tape(&format!("{bitcoin}{rows}"));
        let refused = read("60,kraken,BTC-EUR,180,180,180,180,1,\n").err();
        let refused = refused.map(|why| why.to_string());
        assert!(refused.unwrap().contains("no price of EUR"));
        let priced = read("60,kraken,ETH-BTC,0.5,0.5,0.5,0.5,1,\n").unwrap();
        assert_eq!(at(&priced, "ETH", 60_000), Some(usd(100.0)));
        // A stablecoin that the file does not know is a dollar.
        let tether = tape("60,kraken,BTC-USDT,200,200,200,200,1,\n").unwrap();
        assert_eq!(at(&tether, "BTC", 60_000), Some(usd(200.0)));
    }

    #[test]
    fn perpetual_counts_only_where_the_file_has_no_spot_price() {
        let rows =
            "60,binance_usdm,BTCUSDT-PERP,5,5,5,5,1,\n60,binance_usdm,ETHUSDT-PERP,7,7,7,7,1,\n\
                    60,kraken,BTC-USD,4,4,4,4,1,\n";
        let tape = tape(rows).unwrap();
        assert_eq!(at(&tape, "BTC", 60_000), Some(usd(4.0)));
        assert_eq!(at(&tape, "ETH", 60_000), Some(usd(7.0)));
        assert_eq!(tape.underlyings(), ["BTC", "ETH"]);
    }

    #[test]
    fn worst_minutes_are_those_of_the_deepest_fall() {
        let mut rows = String::new();
        for minute in 0..60u64 {
            let price = if minute < 35 { 100 } else { 50 };
            rows += &format!(
                "{},k,BTC-USD,{price},{price},{price},{price},1,\n",
                minute * 60
            );
        }
        assert_eq!(tape(&rows).unwrap().worst(10), 30 * 60);
    }

    #[test]
    fn impossible_bars_are_refused() {
        for row in [
            "60,k,BTC-USD,1,2,1.5,2,1,\n",
            "61,k,BTC-USD,1,1,1,1,1,\n",
            "60,k,BTCUSD,1,1,1,1,1,\n",
        ] {
            assert!(tape(row).is_err(), "{row}");
        }
        let twice = "60,k,BTC-USD,1,1,1,1,1,\n";
        assert!(tape(&format!("{twice}{twice}")).is_err());
    }

    #[test]
    fn recordings_in_the_repository_can_be_read() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
        let depeg = Tape::open(&data.join("usdc_depeg_2023-03_1m.csv.gz")).unwrap();
        assert_eq!(depeg.underlyings(), ["BTC", "ETH"]);
        let low = depeg.prices(1_678_518_900_000)["USDC"];
        assert!(usd(0.85) < low && low < usd(0.92), "{low:?}");
        let crash = Tape::open(&data.join("crash_2022-11_ftx_1m.csv.gz")).unwrap();
        let (from, to) = crash.span();
        assert_eq!((to - from) / BAR, 4 * 1_440);
        // The fall of 8 November 2022.
        assert!((1_667_900_000..1_667_950_000).contains(&crash.worst(360)));
    }
}
