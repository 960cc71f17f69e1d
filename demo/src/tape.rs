//! Recorded minutes, and the clock that plays them faster than they happened.

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

/// One-minute bars of the night USDC lost its peg; `data/README.md` names their sources.
const RECORDING: &[u8] = include_bytes!("../data/usdc_depeg_2023-03-11_1m.csv.gz");
/// Seconds a bar covers.
pub const BAR: u64 = 60;

/// A minute's prices, as the venue wrote them: text, so that nothing is rounded on the way.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Bar {
    /// Its opening, Unix seconds.
    pub ts: u64,
    exchange: String,
    symbol: String,
    /// Lowest trade.
    pub low: String,
    /// Highest trade.
    pub high: String,
    /// Last trade.
    pub close: String,
}

impl Bar {
    /// When it was complete.
    pub fn end(&self) -> u64 {
        self.ts + BAR
    }
}

/// Bars by venue and `BASE-QUOTE` symbol, in order.
pub struct Tape {
    series: BTreeMap<(String, String), Vec<Bar>>,
}

impl Tape {
    /// The recording in this repository.
    pub fn recorded() -> Result<Self> {
        Self::read(GzDecoder::new(RECORDING)).context("the recording in demo/data cannot be read")
    }

    /// The same with every price ten times as high: what a source that lies says.
    pub fn tenfold(mut self) -> Self {
        for bar in self.series.values_mut().flatten() {
            for price in [&mut bar.low, &mut bar.high, &mut bar.close] {
                let (whole, fraction) = price.split_once('.').unwrap_or((price, "0"));
                let (tenth, rest) = fraction.split_at(1);
                *price = format!("{whole}{tenth}.{rest}0");
            }
        }
        self
    }

    /// The same until `at`; in the minute after it BTC trades at its last price of before less so many ppm, and everything else at its own.
    pub fn falling(mut self, at: u64, ppm: u32) -> Self {
        for ((_, symbol), bars) in &mut self.series {
            bars.retain(|bar| bar.end() <= at);
            let Some(mut fallen) = bars.last().cloned() else {
                continue;
            };
            fallen.ts = at;
            if symbol.starts_with("BTC-") {
                for price in [&mut fallen.low, &mut fallen.high, &mut fallen.close] {
                    *price = lowered(price, ppm);
                }
            }
            bars.push(fallen);
        }
        self
    }

    fn read(csv: impl std::io::Read) -> Result<Self> {
        let mut series: BTreeMap<_, Vec<Bar>> = BTreeMap::new();
        for bar in csv::Reader::from_reader(csv).deserialize() {
            let bar: Bar = bar?;
            series
                .entry((bar.exchange.clone(), bar.symbol.clone()))
                .or_default()
                .push(bar);
        }
        for bars in series.values_mut() {
            bars.sort_by_key(|b| b.ts);
        }
        Ok(Self { series })
    }

    /// The last bar complete at `at`. A minute without a trade leaves the one before it standing, as on the venue.
    pub fn bar(&self, exchange: &str, symbol: &str, at: u64) -> Option<&Bar> {
        let bars = self.series.get(&(exchange.to_owned(), symbol.to_owned()))?;
        let complete = bars.partition_point(|b| b.end() <= at);
        bars.get(complete.checked_sub(1)?)
    }

    /// A venue's symbols.
    pub fn symbols<'a>(&'a self, exchange: &'a str) -> impl Iterator<Item = &'a str> {
        self.series
            .keys()
            .filter(move |(e, _)| e == exchange)
            .map(|(_, symbol)| symbol.as_str())
    }
}

/// A decimal less so many ppm, rounded down, with two digits more.
fn lowered(price: &str, ppm: u32) -> String {
    let (whole, fraction) = price.split_once('.').unwrap_or((price, ""));
    let units: u128 = format!("{whole}{fraction}00").parse().unwrap_or(0);
    let left = units * u128::from(1_000_000_u32.saturating_sub(ppm)) / 1_000_000;
    let digits = fraction.len() + 2;
    let text = format!("{left:0>width$}", width = digits + 1);
    let (whole, fraction) = text.split_at(text.len() - digits);
    format!("{whole}.{fraction}")
}

/// Where the replay stands: still at its start until it is let go, then `speed` times as fast as the world, still again at
/// its end.
pub struct Clock {
    speed: u64,
    stretch: Mutex<Stretch>,
}

/// What is played at once.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    start: u64,
    end: u64,
    released: Option<Instant>,
}

impl Clock {
    /// Held at `start`, to run until `end` (Unix seconds).
    pub fn held(start: u64, end: u64, speed: u64) -> Self {
        Self {
            speed: speed.max(1),
            stretch: Mutex::new(Stretch {
                start,
                end,
                released: None,
            }),
        }
    }

    fn stretch(&self) -> MutexGuard<'_, Stretch> {
        self.stretch.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// How long the replay takes once it is let go.
    pub fn length(&self) -> Duration {
        let Stretch { start, end, .. } = *self.stretch();
        self.age(start, end)
    }

    /// Lets it go; once.
    pub fn release(&self) {
        self.stretch().released.get_or_insert_with(Instant::now);
    }

    /// Lets it go on from where it stands until `end`.
    pub fn go_on(&self, end: u64) {
        let mut stretch = self.stretch();
        *stretch = Stretch {
            start: self.after(*stretch),
            end,
            released: Some(Instant::now()),
        };
    }

    /// The replayed time, Unix seconds.
    pub fn now(&self) -> u64 {
        let stretch = *self.stretch();
        self.after(stretch)
    }

    fn after(&self, stretch: Stretch) -> u64 {
        let released = stretch.released.map(|since| since.elapsed());
        self.played(stretch, released.unwrap_or(Duration::ZERO))
    }

    fn played(&self, stretch: Stretch, elapsed: Duration) -> u64 {
        let replayed = elapsed.as_millis().saturating_mul(u128::from(self.speed)) / 1_000;
        stretch
            .start
            .saturating_add(u64::try_from(replayed).unwrap_or(u64::MAX))
            .min(stretch.end)
    }

    /// How long ago, in the world, something of the replayed time `then` happened: ages are compressed as time is.
    pub fn age(&self, then: u64, now: u64) -> Duration {
        Duration::from_millis(now.saturating_sub(then).saturating_mul(1_000) / self.speed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_678_500_000;

    fn tape(rows: &str) -> Tape {
        Tape::read(format!("ts,exchange,symbol,low,high,close\n{rows}").as_bytes()).unwrap()
    }

    #[test]
    fn a_liar_moves_the_decimal_point() {
        let tape = tape("60,kraken,BTC-USD,1.25,30,0.5\n").tenfold();
        let bar = tape.bar("kraken", "BTC-USD", 120).unwrap();
        assert_eq!(
            (&*bar.low, &*bar.high, &*bar.close),
            ("12.50", "300.0", "05.0")
        );
    }

    #[test]
    fn price_falls_after_its_moment_and_other_coins_stand() {
        let tape = tape("60,kraken,BTC-USD,100,200.5,0.04\n60,kraken,USDC-USD,1,1,1\n120,kraken,BTC-USD,9,9,9\n");
        let tape = tape.falling(120, 25_000);
        assert_eq!(tape.bar("kraken", "BTC-USD", 179).unwrap().close, "0.04");
        let fallen = tape.bar("kraken", "BTC-USD", 180).unwrap();
        assert_eq!(
            (&*fallen.low, &*fallen.high, &*fallen.close),
            ("97.50", "195.487", "0.0390")
        );
        assert_eq!(tape.bar("kraken", "USDC-USD", 180).unwrap().close, "1");
    }

    #[test]
    fn bar_is_served_only_once_it_is_complete() {
        let tape = tape("60,kraken,BTC-USD,1,3,2\n120,kraken,BTC-USD,4,6,5\n");
        assert_eq!(tape.bar("kraken", "BTC-USD", 119), None);
        assert_eq!(tape.bar("kraken", "BTC-USD", 120).unwrap().close, "2");
        assert_eq!(tape.bar("kraken", "BTC-USD", 179).unwrap().close, "2");
        assert_eq!(tape.bar("kraken", "BTC-USD", 180).unwrap().close, "5");
    }

    #[test]
    fn last_bar_stands_when_minutes_have_no_trade() {
        let tape = tape("60,kraken,BTC-USD,1,3,2\n600,kraken,BTC-USD,4,6,5\n");
        let standing = tape.bar("kraken", "BTC-USD", 650).unwrap();
        assert_eq!((standing.close.as_str(), standing.end()), ("2", 120));
        assert_eq!(tape.bar("kraken", "ETH-USD", 650), None);
        assert_eq!(tape.bar("okx", "BTC-USD", 650), None);
    }

    #[test]
    fn clock_stands_until_released_and_compresses_ages() {
        let clock = Clock::held(START, START + 3_600, 240);
        assert_eq!(clock.now(), START);
        let after = |millis| clock.played(*clock.stretch(), Duration::from_millis(millis));
        assert_eq!(after(1_500), START + 360);
        assert_eq!(after(1_000_000), START + 3_600);
        assert_eq!(clock.length(), Duration::from_secs(15));
        assert_eq!(clock.age(START, START + 240), Duration::from_secs(1));
        assert_eq!(clock.age(START + 1, START), Duration::ZERO);
        clock.release();
        let released = clock.stretch().released.unwrap();
        clock.release();
        assert_eq!(clock.stretch().released.unwrap(), released);
    }

    #[test]
    fn clock_goes_on_from_where_it_stands() {
        let clock = Clock::held(START, START, 60);
        clock.release();
        assert_eq!(clock.now(), START);
        clock.go_on(START + 120);
        let stretch = *clock.stretch();
        assert_eq!((stretch.start, stretch.end), (START, START + 120));
        assert_eq!(clock.played(stretch, Duration::from_secs(1)), START + 60);
        assert_eq!(clock.played(stretch, Duration::from_secs(9)), START + 120);
    }

    #[test]
    fn recording_holds_the_night_with_its_gaps_and_prices_in_order() {
        let tape = Tape::recorded().unwrap();
        let bars = || tape.series.values().flatten();
        let first = bars().map(|b| b.ts).min().unwrap();
        let last = bars().map(Bar::end).max().unwrap();
        assert_eq!((last - first) / BAR, 540);
        assert_eq!(tape.series.len(), 16);
        let gaps = tape.series.values().filter(|bars| bars.len() < 540).count();
        assert!(gaps >= 5, "the recording must keep its gaps");
        for bar in bars() {
            let [low, close, high] =
                [&bar.low, &bar.close, &bar.high].map(|p| p.parse::<f64>().unwrap());
            assert!(0.0 < low && low <= close && close <= high, "{bar:?}");
        }
    }
}
