//! What is configured, observed and reported.

use crate::json;
use alloc::{boxed::Box, collections::BTreeSet, format, string::String, vec::Vec};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::fmt;
use frame_support::{traits::ConstU32, BoundedVec};
use novate_types::{BlockNumber, FeedId, Millis, OracleScore, Outlier, Price};
use scale_info::TypeInfo;
use serde::{de::Error as _, Deserialize, Deserializer, Serialize, Serializer};

/// Feeds at once; with [`MAX_OBSERVED`] the size of an observation.
pub const MAX_FEEDS: u32 = 64;
/// Prices in one observation.
pub const MAX_OBSERVED: u32 = MAX_FEEDS;
/// Sources at once.
pub const MAX_SOURCES: u32 = 32;
/// Quotes of one source.
pub const MAX_QUOTES: u32 = 16;
/// Quotes of one feed by one source. Each enters the feed's median, of which one source must not be half.
pub const MAX_QUOTES_PER_FEED: usize = 2;
/// Longest time between two requests to a source.
pub const MAX_INTERVAL: Millis = 6_000;
/// Longest time between two requests for a source's option chains.
pub const MAX_CHAIN_INTERVAL: Millis = 60_000;
/// Underlyings whose option chains one source is asked for.
pub const MAX_UNDERLYINGS: u32 = 4;
/// Feeds that have a volatility surface.
pub const MAX_SURFACES: u32 = 8;
/// Fewest chains of which a surface is made: one venue alone can say what it likes.
pub const LEAST_CHAINS: u8 = 2;

/// What stands for all of a source's symbols in its path.
pub const SYMBOLS: &str = "{symbols}";

/// Bounded text. In JSON a string; on chain bytes that [`Source::check`] and [`Feed::check`] keep to printable ASCII.
#[derive(
    Clone,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct Text<const N: u32>(BoundedVec<u8, ConstU32<N>>);

impl<const N: u32> Text<N> {
    /// The first `N` bytes of `text`.
    pub fn truncated(text: &str) -> Self {
        Self(BoundedVec::truncate_from(text.as_bytes().to_vec()))
    }

    /// The text; empty if the bytes are not UTF-8.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn is_printable(&self) -> bool {
        self.0.iter().all(u8::is_ascii_graphic)
    }
}

impl<const N: u32> TryFrom<&str> for Text<N> {
    type Error = TextTooLong;

    fn try_from(text: &str) -> Result<Self, TextTooLong> {
        text.as_bytes()
            .to_vec()
            .try_into()
            .map(Self)
            .map_err(|_| TextTooLong)
    }
}

/// A text exceeds its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextTooLong;

impl<const N: u32> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const N: u32> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<const N: u32> Serialize for Text<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de, const N: u32> Deserialize<'de> for Text<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::try_from(text.as_str())
            .map_err(|_| D::Error::custom(format!("longer than {N} bytes: {text}")))
    }
}

/// A source's name: what `--oracle-source NAME=BASE_URL` refers to.
pub type SourceName = Text<24>;
/// Where in an answer a number stands: a JSON pointer, see [`crate::json`].
pub type Pointer = Text<64>;

/// In what a venue quotes.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum QuoteCurrency {
    /// US dollars.
    Usd,
    /// The asset of another feed, at whose fresh price the quote is converted.
    Feed(FeedId),
}

/// One instrument of a venue.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct Quote {
    /// The feed that it prices.
    pub feed: FeedId,
    /// The venue's symbol for it.
    pub symbol: Text<24>,
    /// In what it is quoted.
    pub currency: QuoteCurrency,
}

/// Unit of a venue's clock.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
}

/// The time that a venue puts on an answer.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct Timestamp {
    /// Where it stands.
    pub pointer: Pointer,
    /// Its unit.
    pub unit: TimeUnit,
    /// An answer farther than this from the worker's clock is stale.
    pub max_age: Millis,
}

/// A venue's HTTP interface, and what of it is asked. Two sources are two venues: one venue must not be configured twice
/// for a feed, or it counts twice.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct Source {
    /// Scheme and host, such as `https://api.kraken.com`; a validator can put its own gateway in its place.
    pub base_url: Text<96>,
    /// Path and query. With `{symbols}` in it one request asks for all quotes, with `{symbol}` one for each.
    pub path: Text<192>,
    /// What stands between symbols in `{symbols}`.
    pub separator: Text<12>,
    /// Where the best bid stands.
    pub bid: Pointer,
    /// Where the best ask stands.
    pub ask: Pointer,
    /// Where the last trade's price stands.
    pub last: Pointer,
    /// Where the venue's time stands, if it gives one.
    pub time: Option<Timestamp>,
    /// Least time between two rounds of requests.
    pub min_interval: Millis,
    /// What it quotes. Nothing, if it is asked for options alone.
    pub quotes: BoundedVec<Quote, ConstU32<MAX_QUOTES>>,
    /// Its option chains, if it is asked for them.
    #[serde(default)]
    pub options: Option<OptionChain>,
}

/// How a venue writes volatilities.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum VolatilityUnit {
    /// 55 % as `0.55`.
    Fraction,
    /// 55 % as `55`.
    Percent,
}

/// An underlying of which a venue lists options.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct Underlying {
    /// Its feed.
    pub feed: FeedId,
    /// The venue's symbol for it: what its options are asked for by.
    pub symbol: Text<24>,
}

/// How a venue's options are asked for: one request brings the tickers of all expiries and strikes of an underlying. Options are
/// recognised by their names, see [`crate::surface::quotes`].
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct OptionChain {
    /// Path and query, with `{symbol}` in it.
    pub path: Text<192>,
    /// Where the tickers stand in an answer: an array.
    pub list: Pointer,
    /// Where in a ticker the option's name stands.
    pub name: Pointer,
    /// Where in a ticker the forward of its expiry stands.
    pub forward: Pointer,
    /// Where in a ticker the implied volatility of its mark stands.
    pub volatility: Pointer,
    /// Its unit.
    pub unit: VolatilityUnit,
    /// Where in a ticker, or else in the answer, the venue's time stands, if it gives one.
    pub time: Option<Timestamp>,
    /// Least time between two rounds of requests.
    pub min_interval: Millis,
    /// Whose options are asked for.
    pub underlyings: BoundedVec<Underlying, ConstU32<MAX_UNDERLYINGS>>,
}

impl OptionChain {
    fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        [&self.list, &self.name, &self.forward, &self.volatility]
            .into_iter()
            .chain(self.time.iter().map(|t| &t.pointer))
    }

    /// Whether it can be asked.
    fn check(&self) -> Result<(), ConfigError> {
        let printable = self.path.is_printable() && self.pointers().all(Text::is_printable);
        if !printable || !self.underlyings.iter().all(|u| is_plain(u.symbol.as_str())) {
            return Err(ConfigError::BadText);
        }
        let path = self.path.as_str();
        if !path.starts_with('/') || !path.contains(json::SYMBOL) {
            return Err(ConfigError::BadUrl);
        }
        if !self.pointers().all(|p| p.as_str().starts_with('/')) {
            return Err(ConfigError::BadPointer);
        }
        let mut feeds: Vec<FeedId> = self.underlyings.iter().map(|u| u.feed).collect();
        feeds.sort_unstable();
        feeds.dedup();
        if feeds.is_empty() || feeds.len() < self.underlyings.len() {
            return Err(ConfigError::BadQuotes);
        }
        if self.min_interval > MAX_CHAIN_INTERVAL {
            return Err(ConfigError::BadInterval);
        }
        Ok(())
    }

    /// The same for one feed alone; none if it does not ask for that feed's options.
    fn of(&self, feed: FeedId) -> Option<Self> {
        let own = self.underlyings.iter().find(|u| u.feed == feed)?;
        Some(Self {
            underlyings: BoundedVec::truncate_from(alloc::vec![own.clone()]),
            ..self.clone()
        })
    }

    /// The requests of one round: each URL with the feed whose options its answer holds.
    pub fn requests(&self, base_url: &str) -> Vec<(String, FeedId)> {
        let url = |u: &Underlying| {
            let path = self.path.as_str().replace(json::SYMBOL, u.symbol.as_str());
            (format!("{base_url}{path}"), u.feed)
        };
        self.underlyings.iter().map(url).collect()
    }
}

/// Letters, digits and what venues put between them.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

/// Why a source or a feed cannot be configured so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// A text is empty or has other characters than it may.
    BadText,
    /// The base URL has no scheme or ends in a slash, or the path does not begin with one.
    BadUrl,
    /// A pointer does not begin with a slash.
    BadPointer,
    /// Neither quotes nor options, the same twice, or more than [`MAX_QUOTES_PER_FEED`] of one feed.
    BadQuotes,
    /// A feed quoted in itself.
    QuotedInItself,
    /// The interval exceeds [`MAX_INTERVAL`], or that of options [`MAX_CHAIN_INTERVAL`].
    BadInterval,
    /// The minima are not `0 < min_usd ≤ min_accepted ≤ min_configured`, or a surface is to be made of one chain alone.
    BadPolicy,
}

impl Source {
    /// Whether it can be asked.
    pub fn check(&self) -> Result<(), ConfigError> {
        let printable = self.base_url.is_printable()
            && self.path.is_printable()
            && self.separator.is_printable()
            && self.pointers().all(Text::is_printable);
        if !printable || !self.quotes.iter().all(|q| is_plain(q.symbol.as_str())) {
            return Err(ConfigError::BadText);
        }
        if !is_base_url(self.base_url.as_str()) || !self.path.as_str().starts_with('/') {
            return Err(ConfigError::BadUrl);
        }
        if !self.pointers().all(|p| p.as_str().starts_with('/')) {
            return Err(ConfigError::BadPointer);
        }
        let twice = |q: &Quote| {
            self.quotes
                .iter()
                .filter(|o| o.feed == q.feed && o.symbol == q.symbol)
                .count()
                > 1
        };
        let too_many = |q: &Quote| self.quotes_of(q.feed).count() > MAX_QUOTES_PER_FEED;
        let mut quotes = self.quotes.iter();
        let nothing = self.quotes.is_empty() && self.options.is_none();
        if nothing || quotes.any(|q| twice(q) || too_many(q)) {
            return Err(ConfigError::BadQuotes);
        }
        if self
            .quotes
            .iter()
            .any(|q| q.currency == QuoteCurrency::Feed(q.feed))
        {
            return Err(ConfigError::QuotedInItself);
        }
        if self.min_interval > MAX_INTERVAL {
            return Err(ConfigError::BadInterval);
        }
        self.options.as_ref().map_or(Ok(()), OptionChain::check)
    }

    fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        [&self.bid, &self.ask, &self.last]
            .into_iter()
            .chain(self.time.iter().map(|t| &t.pointer))
    }

    fn quotes_of(&self, feed: FeedId) -> impl Iterator<Item = &Quote> {
        self.quotes.iter().filter(move |quote| quote.feed == feed)
    }

    /// The feeds whose price or surface depends on which of two versions of a source is asked: those that either quotes or has options of, but
    /// if only quotes and options differ between them, only those of which they do.
    pub(crate) fn concerned(old: Option<&Self>, new: Option<&Self>) -> BTreeSet<FeedId> {
        let without_quotes = |source: &Self| Self {
            quotes: BoundedVec::new(),
            options: None,
            ..source.clone()
        };
        let alike = old
            .zip(new)
            .filter(|(old, new)| without_quotes(old) == without_quotes(new));
        old.into_iter()
            .chain(new)
            .flat_map(|source| {
                let quoted = source.quotes.iter().map(|quote| quote.feed);
                quoted.chain(source.underlyings().map(|underlying| underlying.feed))
            })
            .filter(|feed| {
                alike.is_none_or(|(old, new)| {
                    !old.quotes_of(*feed).eq(new.quotes_of(*feed))
                        || old.options_of(*feed) != new.options_of(*feed)
                })
            })
            .collect()
    }

    fn underlyings(&self) -> impl Iterator<Item = &Underlying> {
        self.options.iter().flat_map(|chain| &chain.underlyings)
    }

    fn options_of(&self, feed: FeedId) -> Option<OptionChain> {
        self.options.as_ref()?.of(feed)
    }

    /// Every feed it refers to.
    pub fn feeds(&self) -> impl Iterator<Item = FeedId> + '_ {
        let quoted = self.quotes.iter().flat_map(|quote| {
            let currency = match quote.currency {
                QuoteCurrency::Usd => None,
                QuoteCurrency::Feed(feed) => Some(feed),
            };
            core::iter::once(quote.feed).chain(currency)
        });
        quoted.chain(self.underlyings().map(|underlying| underlying.feed))
    }

    /// The requests of one round: each URL with the quotes that its answer holds.
    pub fn requests(&self, base_url: &str) -> Vec<(String, Vec<&Quote>)> {
        if self.quotes.is_empty() {
            return Vec::new();
        }
        let url = |path: String| format!("{base_url}{path}");
        let path = self.path.as_str();
        if path.contains(json::SYMBOL) {
            let one = |q| {
                (
                    url(path.replace(json::SYMBOL, Quote::symbol(q))),
                    alloc::vec![q],
                )
            };
            return self.quotes.iter().map(one).collect();
        }
        let symbols: Vec<&str> = self.quotes.iter().map(Quote::symbol).collect();
        let path = path.replace(SYMBOLS, &symbols.join(self.separator.as_str()));
        alloc::vec![(url(path), self.quotes.iter().collect())]
    }
}

impl Quote {
    fn symbol(&self) -> &str {
        self.symbol.as_str()
    }
}

/// Whether `url` can stand before a path.
pub fn is_base_url(url: &str) -> bool {
    let host = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    host.is_some_and(|h| {
        !h.is_empty() && !h.ends_with('/') && h.bytes().all(|b| b.is_ascii_graphic())
    })
}

/// A feed: one underlying or collateral asset, priced in US dollars.
///
/// A venue, that is a [`Source`], may quote it several times, in several currencies. Each of its quotes enters the median,
/// but however many are left of them, it is one venue of those that must be left.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct Feed {
    /// What people call it, such as `BTC`.
    pub symbol: Text<12>,
    /// Quotes that must be configured.
    pub min_configured: u8,
    /// Venues of which a quote must be left after filtering.
    pub min_accepted: u8,
    /// How many of those venues must have a quote in US dollars left.
    pub min_usd: u8,
    /// Venues whose option chains must be left for a slice of the volatility surface. Zero: the feed has no surface; else two or more.
    #[serde(default)]
    pub min_chains: u8,
}

impl Feed {
    /// A feed with the usual minima: five quotes configured, three venues left, two of them in US dollars.
    pub fn new(symbol: &str) -> Self {
        Self {
            symbol: Text::truncated(symbol),
            min_configured: 5,
            min_accepted: 3,
            min_usd: 2,
            min_chains: 0,
        }
    }

    /// A stablecoin's feed. Few venues quote one against US dollars, so its minima are lower: two quotes configured, two
    /// venues left, one of them in US dollars. Whoever converts through it inherits that.
    pub fn stablecoin(symbol: &str) -> Self {
        Self {
            symbol: Text::truncated(symbol),
            min_configured: 2,
            min_accepted: 2,
            min_usd: 1,
            min_chains: 0,
        }
    }

    /// Whether the minima make sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.symbol.as_str().is_empty() || !self.symbol.is_printable() {
            return Err(ConfigError::BadText);
        }
        let ordered = 0 < self.min_usd
            && self.min_usd <= self.min_accepted
            && self.min_accepted <= self.min_configured
            && (self.min_chains == 0 || self.min_chains >= LEAST_CHAINS);
        ordered.then_some(()).ok_or(ConfigError::BadPolicy)
    }
}

/// A change of configuration, complete: the new value, or none to remove what is there.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Change {
    /// A source.
    #[codec(index = 0)]
    Source(SourceName, Option<Box<Source>>),
    /// A feed.
    #[codec(index = 1)]
    Feed(FeedId, Option<Feed>),
}

impl Change {
    /// What it changes.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Source(name, _) => Subject::Source(name.clone()),
            Self::Feed(feed, _) => Subject::Feed(*feed),
        }
    }
}

/// What a change is about. At most one is scheduled for each.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub enum Subject {
    /// A source.
    #[codec(index = 0)]
    Source(SourceName),
    /// A feed.
    #[codec(index = 1)]
    Feed(FeedId),
}

/// A change that waits.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Scheduled {
    /// The change.
    pub change: Change,
    /// Block in which it was scheduled.
    pub since: BlockNumber,
    /// The first block whose close can put it in force.
    pub due: BlockNumber,
}

/// What a validator saw of one feed.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct ObservedPrice {
    /// The feed.
    pub feed: FeedId,
    /// Median over its sources.
    pub price: Price,
    /// Median distance of the sources from it.
    pub confidence: Price,
}

/// What a validator saw in one round.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Observation {
    /// Its index in the session's set.
    pub validator: u32,
    /// The block that it had seen last.
    pub round: BlockNumber,
    /// When it asked its sources, by its own clock.
    pub observed_at: Millis,
    /// The feeds it could price, by id.
    pub prices: BoundedVec<ObservedPrice, ConstU32<MAX_OBSERVED>>,
}

/// An aggregate as the event reports it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct AggregatedPrice {
    /// The feed.
    pub feed: FeedId,
    /// Stake-weighted median.
    pub price: Price,
    /// Its confidence interval, half of it.
    pub confidence: Price,
    /// Validators whose observations counted.
    pub observers: u32,
}

/// What a close has to say against a validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remark {
    /// No observation of its is fresh.
    Missed,
    /// Prices of its are outliers, of which this is the farthest.
    Outlier(Outlier),
}

impl From<Remark> for OracleScore {
    /// What a round with that remark adds to a score. The round itself is counted elsewhere.
    fn from(remark: Remark) -> Self {
        match remark {
            Remark::Missed => Self {
                missed: 1,
                ..Self::default()
            },
            Remark::Outlier(outlier) => Self {
                outliers: 1,
                farthest: Some(outlier),
                ..Self::default()
            },
        }
    }
}
