//! The off-chain worker: one round after each block, from HTTP to a signed observation.
//!
//! A round asks every source that is due, all at once and once only, and has [`HTTP_DEADLINE`] for it. What does not
//! answer in time, or answers with anything but prices, is left out of this round, and the log says why. A lock in the
//! node's local storage keeps one round at a time: a round that finds another at work leaves it to that one.

use crate::{
    aggregate,
    crypto::{AuthorityId, AuthoritySignature, KEY_TYPE},
    decimal::{self, DecimalError, Short},
    fetch::{base_url, fetch},
    json::{Document, JsonError},
    pallet::*,
    surface,
    types::{
        Feed, Observation, ObservedPrice, Quote, QuoteCurrency, Source, SourceName, Text, TimeUnit,
        Timestamp as VenueTime,
    },
};
use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use codec::{Decode, Encode};
use core::fmt;
use frame_support::{traits::Get, BoundedVec};
use frame_system::offchain::SubmitTransaction;
use novate_types::{math, BlockNumber, FeedId, FeedPrice, Millis, Ppm, Price};
use sp_core::offchain::{Duration, Timestamp};
use sp_runtime::{
    offchain::{
        storage::StorageValueRef,
        storage_lock::{StorageLock, Time},
    },
    traits::Zero,
    FixedPointNumber, RuntimeAppPublic,
};

/// Target of the worker's log lines.
pub const LOG_TARGET: &str = "oracle";
/// All of a round's requests end this many milliseconds after its start.
pub const HTTP_DEADLINE: Millis = 2_000;
/// Largest answer that is read, in bytes.
pub const MAX_BODY: usize = 64 * 1024;
/// Key prefix, in the node's persistent local storage, of a source's base URL as this validator wants it (UTF-8, no
/// slash at its end). The source's name follows. `--oracle-source NAME=BASE_URL` writes it.
pub const SOURCE_PREFIX: &[u8] = b"novate::oracle::source::";

const LOCK: &[u8] = b"novate::oracle::lock";
const REQUESTED: &[u8] = b"novate::oracle::requested";
const SUBMITTED: &[u8] = b"novate::oracle::submitted";
const REPORTED: &[u8] = b"novate::oracle::reported";
/// A lock is given up after this: its holder is gone.
const LOCK_EXPIRY: Millis = 2 * HTTP_DEADLINE;

/// Why a source's quote is left out of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The source was asked less than its interval ago.
    NotDue,
    /// It did not answer within the deadline.
    Timeout,
    /// The connection could not be made, or broke.
    Connection,
    /// It answered with an HTTP status other than 200.
    Status(u16),
    /// The answer exceeds [`MAX_BODY`].
    TooLong,
    /// The answer is not JSON.
    NotJson,
    /// The answer has no number where one is expected.
    Missing(&'static str),
    /// What stands there is no price.
    BadNumber(&'static str, DecimalError),
    /// A price of zero.
    Zero(&'static str),
    /// The venue's time lies this many milliseconds away.
    Stale(Millis),
    /// The currency it quotes in, a feed of that symbol, has no fresh price.
    NoRate(Text<12>),
    /// The price in US dollars is out of range.
    OutOfRange,
    /// It lies this far from the median of the others.
    Outlier(Ppm),
    /// The list holds no option of an expiry with enough strikes on both sides of its forward.
    NoOptions,
}

impl Fault {
    /// The fault without its figures, so that a change of figures is no news.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::NotDue => "not due",
            Self::Timeout => "timeout",
            Self::Connection => "no connection",
            Self::Status(_) => "HTTP status",
            Self::TooLong => "answer too long",
            Self::NotJson => "not JSON",
            Self::Missing(_) => "missing",
            Self::BadNumber(..) => "bad number",
            Self::Zero(_) => "zero",
            Self::Stale(_) => "stale",
            Self::NoRate(_) => "no fresh rate",
            Self::OutOfRange => "out of range",
            Self::Outlier(_) => "outlier",
            Self::NoOptions => "too few options",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(code) => write!(f, "HTTP {code}"),
            Self::Missing(field) => write!(f, "no {field}"),
            Self::BadNumber(field, error) => write!(f, "{field} is {error}"),
            Self::Zero(field) => write!(f, "{field} is zero"),
            Self::Stale(age) => write!(f, "stale by {} s", age / 1_000),
            Self::NoRate(currency) => write!(f, "no fresh price of {currency}"),
            Self::Outlier(ppm) => write!(f, "outlier {}.{} %", ppm / 10_000, ppm / 1_000 % 10),
            other => f.write_str(other.kind()),
        }
    }
}

impl From<JsonError> for Fault {
    fn from(_: JsonError) -> Self {
        Self::NotJson
    }
}

/// What one quote of one source came to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reading {
    source: SourceName,
    quote: Quote,
    price: Result<Price, Fault>,
}

/// What a feed's sources came to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Report {
    feed: FeedId,
    symbol: String,
    /// Price and confidence, or what was lacking.
    outcome: Result<(Price, Price), String>,
    accepted: usize,
    configured: usize,
    left_out: Vec<(String, Fault)>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oracle: {} ", self.symbol)?;
        match &self.outcome {
            Ok((price, _)) => write!(f, "{}", Short(*price))?,
            Err(lack) => write!(f, "no price ({lack})")?,
        }
        write!(f, " from {} of {} sources", self.accepted, self.configured)?;
        for (at, (source, fault)) in self.left_out.iter().enumerate() {
            f.write_str(if at == 0 { "; left out: " } else { ", " })?;
            write!(f, "{source} ({fault})")?;
        }
        Ok(())
    }
}

/// The last observation that this node submitted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Submitted {
    set: u64,
    observed_at: Millis,
    prices: Vec<(FeedId, Price)>,
}

/// Whom this node observes for.
pub(crate) struct Observer {
    /// The set.
    pub set: u64,
    /// The validator's index in it.
    pub validator: u32,
    /// Its key.
    pub key: AuthorityId,
}

/// Runs a round for the validator whose key this node holds, if it holds one of the session's: first of prices, then of volatilities, which
/// take longer and keep no price waiting.
pub fn run<T: Config>(round: BlockNumber) {
    let set = Observers::<T>::get();
    let Some((validator, key)) = own_key(&set.keys) else {
        return;
    };
    let observer = Observer {
        set: set.id,
        validator,
        key,
    };
    run_prices::<T>(&observer, round);
    surface::worker::run::<T>(&observer, round);
}

fn run_prices<T: Config>(observer: &Observer, round: BlockNumber) {
    let mut lock = StorageLock::<Time>::with_deadline(LOCK, Duration::from_millis(LOCK_EXPIRY));
    let Ok(_guard) = lock.try_lock() else {
        log::debug!(target: LOG_TARGET, "another round is at work; block {round} is left to it");
        return;
    };

    // The prices are at least as new as the requests.
    let observed_at = sp_io::offchain::timestamp().unix_millis();
    let mut sources: Vec<(SourceName, Source)> = Sources::<T>::iter().collect();
    sources.sort_by(|(a, _), (b, _)| a.cmp(b));
    let readings = ask(&sources, observed_at);
    let feeds = Feeds::<T>::get();
    let prices = Prices::<T>::get();
    let fresh = |price: &&FeedPrice| {
        observed_at.saturating_sub(price.observed_at) <= Pallet::<T>::max_age()
    };
    let rate = |id| prices.get(id).filter(fresh).map(|price| price.price);
    let rates: Rates = feeds
        .iter()
        .map(|(id, feed)| (*id, (feed.symbol.clone(), rate(id))))
        .collect();
    let reports: Vec<Report> = feeds
        .iter()
        .map(|(id, feed)| judge(*id, feed, &readings, &rates))
        .collect();
    tell(&reports, T::Deviation::get());

    let prices: Vec<ObservedPrice> = reports
        .iter()
        .filter_map(|report| {
            let (price, confidence) = *report.outcome.as_ref().ok()?;
            Some(ObservedPrice {
                feed: report.feed,
                price,
                confidence,
            })
        })
        .collect();
    let submitted = StorageValueRef::persistent(SUBMITTED);
    let last = submitted
        .get::<Submitted>()
        .ok()
        .flatten()
        .filter(|last| last.set == observer.set);
    if prices.is_empty() || !is_due::<T>(last.as_ref(), observed_at, &prices) {
        return;
    }
    let record = Submitted {
        set: observer.set,
        observed_at,
        prices: prices.iter().map(|p| (p.feed, p.price)).collect(),
    };
    let prices = BoundedVec::truncate_from(prices);
    let observation = Observation {
        validator: observer.validator,
        round,
        observed_at,
        prices,
    };
    let Some(signature) = observer.sign(&Pallet::<T>::payload(observer.set, &observation)) else {
        return;
    };
    let call = Call::<T>::observe {
        observation,
        signature,
    };
    if submit::<T>(call) {
        submitted.set(&record);
    } else {
        log::warn!(target: LOG_TARGET, "the pool refused the observation of block {round}");
    }
}

impl Observer {
    /// The key's signature. None, and a line in the log, if the keystore makes none.
    pub(crate) fn sign(&self, payload: &[u8]) -> Option<AuthoritySignature> {
        let signature = self.key.sign(&payload);
        if signature.is_none() {
            log::error!(target: LOG_TARGET, "the keystore did not sign with key {KEY_TYPE:?}");
        }
        signature
    }
}

/// Hands a call to the pool as a transaction of its own. Whether the pool took it.
pub(crate) fn submit<T: Config>(call: Call<T>) -> bool {
    let transaction = T::create_authorized_transaction(call.into());
    SubmitTransaction::<T, Call<T>>::submit_transaction(transaction).is_ok()
}

/// The first validator of the set whose key is in this node's keystore.
fn own_key(keys: &[AuthorityId]) -> Option<(u32, AuthorityId)> {
    let own = AuthorityId::all();
    let index = keys.iter().position(|key| own.contains(key))?;
    Some((u32::try_from(index).ok()?, keys.get(index)?.clone()))
}

/// Whether a price moved enough, or time passed, since the last submission.
fn is_due<T: Config>(last: Option<&Submitted>, now: Millis, prices: &[ObservedPrice]) -> bool {
    let Some(last) = last else { return true };
    // A last one from the future means that the clock was set back.
    let beat =
        last.observed_at > now || now.saturating_sub(last.observed_at) >= T::Heartbeat::get();
    let known: BTreeMap<FeedId, Price> = last.prices.iter().copied().collect();
    beat || prices.iter().any(|p| {
        known
            .get(&p.feed)
            .is_none_or(|old| aggregate::deviates(*old, p.price, T::Deviation::get()))
    })
}

/// Asks every source that is due, all at once, and reads what comes back before the deadline.
fn ask(sources: &[(SourceName, Source)], now: Millis) -> Vec<Reading> {
    let memory = StorageValueRef::persistent(REQUESTED);
    let asked: BTreeMap<SourceName, Millis> = memory.get().ok().flatten().unwrap_or_default();
    let deadline = Timestamp::from_unix_millis(now.saturating_add(HTTP_DEADLINE));

    let mut readings = Vec::new();
    let (mut urls, mut expected, mut times) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (name, source) in sources {
        let last = asked.get(name).copied().filter(|last| *last <= now);
        if let Some(last) = last.filter(|l| now.saturating_sub(*l) < source.min_interval) {
            times.insert(name.clone(), last);
            readings.extend(source.quotes.iter().map(|quote| Reading {
                source: name.clone(),
                quote: quote.clone(),
                price: Err(Fault::NotDue),
            }));
            continue;
        }
        times.insert(name.clone(), now);
        for (url, quotes) in source.requests(&base_url(name, source)) {
            urls.push(url);
            expected.push((name, source, quotes));
        }
    }
    memory.set(&times);

    fetch(&urls, deadline, MAX_BODY, |place, text| {
        let Some((name, source, quotes)) = expected.get(place) else {
            return;
        };
        let document = match &text {
            Ok(text) => Document::parse(text).map_err(Fault::from),
            Err(fault) => Err(fault.clone()),
        };
        for quote in quotes {
            readings.push(Reading {
                source: (*name).clone(),
                quote: (*quote).clone(),
                price: document
                    .clone()
                    .and_then(|d| read_quote(&d, source, quote, now)),
            });
        }
    });
    readings
}

/// A quote's median of bid, ask and last, in its own currency.
fn read_quote(
    document: &Document,
    source: &Source,
    quote: &Quote,
    now: Millis,
) -> Result<Price, Fault> {
    let scalar = |pointer: &str, field| {
        document
            .scalar(pointer, quote.symbol.as_str())
            .map_err(|_| Fault::Missing(field))
    };
    let price = |pointer: &str, field| {
        let price = decimal::parse(scalar(pointer, field)?)
            .map_err(|error| Fault::BadNumber(field, error))?;
        if price.is_zero() {
            return Err(Fault::Zero(field));
        }
        Ok(price)
    };
    if let Some(stamp) = &source.time {
        check_time(stamp, scalar(stamp.pointer.as_str(), "time")?, now)?;
    }
    let three = [
        price(source.bid.as_str(), "bid")?,
        price(source.ask.as_str(), "ask")?,
        price(source.last.as_str(), "last")?,
    ];
    aggregate::median(&three).ok_or(Fault::OutOfRange)
}

/// Whether a venue's time is near enough to the worker's.
pub(crate) fn check_time(stamp: &VenueTime, text: &str, now: Millis) -> Result<(), Fault> {
    let time: Millis = text
        .parse()
        .map_err(|_| Fault::BadNumber("time", DecimalError::Malformed))?;
    let unit = match stamp.unit {
        TimeUnit::Seconds => 1_000,
        TimeUnit::Millis => 1,
    };
    let age = now.abs_diff(time.saturating_mul(unit));
    if age > stamp.max_age {
        return Err(Fault::Stale(age));
    }
    Ok(())
}

/// Each feed's symbol, and its price on chain if that is fresh.
type Rates = BTreeMap<FeedId, (Text<12>, Option<Price>)>;

fn in_dollars(price: Price, currency: QuoteCurrency, rates: &Rates) -> Result<Price, Fault> {
    let QuoteCurrency::Feed(feed) = currency else {
        return Ok(price);
    };
    let (symbol, rate) = rates.get(&feed).cloned().unwrap_or_default();
    let rate = rate.ok_or(Fault::NoRate(symbol))?;
    math::mul_div_floor(price.into_inner(), rate.into_inner(), Price::DIV)
        .ok()
        .filter(|inner| *inner != 0)
        .map(Price::from_inner)
        .ok_or(Fault::OutOfRange)
}

/// What the readings say of a feed, under its policy.
fn judge(id: FeedId, feed: &Feed, readings: &[Reading], rates: &Rates) -> Report {
    let mut left_out = Vec::new();
    let (mut prices, mut quotes) = (Vec::new(), Vec::new());
    let label = |r: &Reading| format!("{} {}", r.source, r.quote.symbol);
    let own: Vec<&Reading> = readings.iter().filter(|r| r.quote.feed == id).collect();
    for reading in &own {
        let price = reading
            .price
            .clone()
            .and_then(|p| in_dollars(p, reading.quote.currency, rates));
        match price {
            Ok(price) => {
                prices.push(price);
                quotes.push(*reading);
            }
            Err(fault) => left_out.push((label(reading), fault)),
        }
    }
    let combined = aggregate::combine(&prices);
    let outliers = combined
        .as_ref()
        .map(|c| c.outliers.clone())
        .unwrap_or_default();
    let mut accepted = 0usize;
    // Each venue that has a quote left, and whether one of these is in US dollars.
    let mut venues: BTreeMap<&SourceName, bool> = BTreeMap::new();
    for (reading, outlier) in quotes.into_iter().zip(outliers) {
        match outlier {
            Some(distance) => left_out.push((label(reading), Fault::Outlier(distance))),
            None => {
                accepted = accepted.saturating_add(1);
                *venues.entry(&reading.source).or_default() |=
                    reading.quote.currency == QuoteCurrency::Usd;
            }
        }
    }
    let dollars = venues.values().filter(|in_usd| **in_usd).count();
    let lacking = |what, have: usize, need: u8| {
        (have < usize::from(need)).then(|| format!("{have} {what}, {need} needed"))
    };
    let lack = lacking("sources configured", own.len(), feed.min_configured)
        .or_else(|| lacking("venues left", venues.len(), feed.min_accepted))
        .or_else(|| lacking("venues left that quote in USD", dollars, feed.min_usd));
    let outcome = match (lack, combined) {
        (Some(lack), _) => Err(lack),
        (None, Some(combined)) => Ok((combined.price, combined.confidence)),
        (None, None) => Err("prices out of range".into()),
    };
    Report {
        feed: id,
        symbol: feed.symbol.as_str().into(),
        outcome,
        accepted,
        configured: own.len(),
        left_out,
    }
}

/// What was last logged of each feed: its price, zero for none, and a hash of what was left out.
type Told = BTreeMap<FeedId, (Price, [u8; 8])>;

/// Logs the feeds of which there is news, and the others for whoever wants to see everything.
fn tell(reports: &[Report], threshold: Ppm) {
    let memory = StorageValueRef::persistent(REPORTED);
    let mut told: Told = memory.get().ok().flatten().unwrap_or_default();
    let before = told.clone();
    for report in reports {
        if is_news(report, &mut told, threshold) {
            log::info!(target: LOG_TARGET, "{report}");
        } else {
            log::debug!(target: LOG_TARGET, "{report}");
        }
    }
    if told != before {
        memory.set(&told);
    }
}

/// Whether the price came, went or moved by `threshold` since it was last told, or other sources are left out.
fn is_news(report: &Report, told: &mut Told, threshold: Ppm) -> bool {
    let price = report.outcome.as_ref().map(|o| o.0).unwrap_or_default();
    let faults = report.left_out.iter();
    let faults: String = faults
        .map(|(source, f)| format!("{source} {};", f.kind()))
        .collect();
    let left_out = sp_io::hashing::twox_64(faults.as_bytes());
    let known = told.get(&report.feed).is_some_and(|(old, old_left_out)| {
        let still = match (old.is_zero(), price.is_zero()) {
            (false, false) => !aggregate::deviates(*old, price, threshold),
            (old, new) => old == new,
        };
        still && *old_left_out == left_out
    });
    if !known {
        told.insert(report.feed, (price, left_out));
    }
    !known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venues;

    const BTC: FeedId = 1;
    const USDT: FeedId = 3;

    fn reading(source: &str, quote: Quote, price: Result<&str, Fault>) -> Reading {
        let price = price.map(|text| decimal::parse(text).unwrap());
        Reading {
            source: SourceName::truncated(source),
            quote,
            price,
        }
    }

    fn readings() -> Vec<Reading> {
        vec![
            reading("bitstamp", venues::usd(BTC, "btcusd"), Ok("20123.45")),
            reading("coinbase", venues::usd(BTC, "BTC-USD"), Ok("20123.45")),
            reading("kraken", venues::usd(BTC, "XXBTZUSD"), Ok("20123.45")),
            reading("kraken", venues::usd(BTC, "XBTUSDC"), Ok("20750")),
            reading("crypto_com", venues::usd(BTC, "BTC_USD"), Ok("20123.45")),
            reading(
                "okx",
                venues::quoted_in(BTC, "BTC-USDT", USDT),
                Ok("20123.45"),
            ),
            reading("bybit", venues::usd(BTC, "BTCUSD"), Err(Fault::Status(429))),
            reading("kraken", venues::usd(USDT, "USDTZUSD"), Ok("1")),
        ]
    }

    fn report(rate: Option<Price>) -> Report {
        let rates = [(USDT, (Text::truncated("USDT"), rate))].into();
        judge(BTC, &Feed::new("BTC"), &readings(), &rates)
    }

    #[test]
    fn report_says_which_source_was_left_out_and_why() {
        assert_eq!(
            report(None).to_string(),
            "oracle: BTC 20123.45 from 4 of 7 sources; left out: okx BTC-USDT (no fresh price of USDT), \
             bybit BTCUSD (HTTP 429), kraken XBTUSDC (outlier 3.1 %)"
        );
        let lacking = Report {
            outcome: Err("2 venues left, 3 needed".into()),
            left_out: vec![],
            ..report(None)
        };
        assert_eq!(
            lacking.to_string(),
            "oracle: BTC no price (2 venues left, 3 needed) from 4 of 7 sources"
        );
    }

    /// What a feed of the usual minima comes to, when each venue quotes it at 20,000 in dollars or, else, in USDT.
    fn outcome(quotes: &[(&str, bool)]) -> Result<(Price, Price), String> {
        let readings: Vec<Reading> = quotes
            .iter()
            .enumerate()
            .map(|(at, (venue, in_usd))| {
                let symbol = format!("BTC{at}");
                let quote = match in_usd {
                    true => venues::usd(BTC, &symbol),
                    false => venues::quoted_in(BTC, &symbol, USDT),
                };
                reading(venue, quote, Ok("20000"))
            })
            .collect();
        let rates = [(USDT, (Text::truncated("USDT"), Some(Price::from_u32(1))))].into();
        let report = judge(BTC, &Feed::new("BTC"), &readings, &rates);
        assert_eq!(
            (report.accepted, report.configured),
            (quotes.len(), quotes.len())
        );
        report.outcome
    }

    #[test]
    fn a_venue_counts_once_when_it_quotes_a_feed_several_times() {
        let lack = |text: &str| Err(text.into());
        let kraken = ("kraken", true);
        assert_eq!(outcome(&[kraken; 6]), lack("1 venues left, 3 needed"));
        let two = [kraken, kraken, kraken, ("okx", true), ("okx", false)];
        assert_eq!(outcome(&two), lack("2 venues left, 3 needed"));
        let one_in_dollars = [kraken, kraken, kraken, ("okx", false), ("bybit", false)];
        assert_eq!(
            outcome(&one_in_dollars),
            lack("1 venues left that quote in USD, 2 needed")
        );
        let enough = [kraken, kraken, kraken, ("okx", false), ("bybit", true)];
        assert_eq!(
            outcome(&enough),
            Ok((Price::from_u32(20_000), Price::zero()))
        );
        assert_eq!(
            outcome(&enough[1..]),
            lack("4 sources configured, 5 needed")
        );
    }

    #[test]
    fn news_is_a_move_or_another_source_left_out() {
        let at = |text: &str| Report {
            outcome: Ok((decimal::parse(text).unwrap(), Price::zero())),
            ..report(None)
        };
        let mut told = Told::new();
        let mut news = |report: Report| is_news(&report, &mut told, 1_000);
        assert!(news(at("20000")));
        assert!(!news(at("20000")));
        assert!(!news(at("20019")));
        assert!(news(at("20020")));
        let outcome = Err("none".into());
        assert!(news(Report {
            outcome,
            ..report(None)
        }));
        let outcome = Err("none again".into());
        assert!(!news(Report {
            outcome,
            ..report(None)
        }));
        assert!(news(at("20020")));
        // With a price of USDT, okx is in.
        assert!(news(report(Some(Price::from_u32(1)))));
        // The same source farther away is no news.
        let mut farther = report(Some(Price::from_u32(1)));
        assert!(!news(farther.clone()));
        farther.left_out.iter_mut().for_each(|(_, fault)| {
            if let Fault::Outlier(distance) = fault {
                *distance += 1;
            }
        });
        assert!(!news(farther));
    }
}
