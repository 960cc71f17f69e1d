//! Volatility surfaces, brought on chain as prices are.
//!
//! A validator's worker ([`worker`]) asks the venues for the option chains of each feed whose policy wants a surface
//! ([`crate::Feed::min_chains`]), turns every venue's tickers into a smile for each expiry ([`quotes`]), takes the point-wise median of the
//! venues' ([`aggregate::combine`]), leaves out what admits arbitrage, and submits the rest as one observation a feed.
//!
//! The chain keeps the newest of each validator and feed. [`WINDOW`] blocks after the first of them came in, the close takes for each expiry
//! that more than two thirds of stake have seen, of the smiles as they were reported, the one nearest to their point-wise weighted median
//! ([`aggregate::rank`]): it fits nothing, and mixes nothing. Where that smile admits a butterfly the next nearest has its turn, as far as less than a
//! third of stake was refused: nobody keeps an expiry from being renewed by a smile that will not do. Of two expiries with calendar arbitrage neither is
//! taken, and the last good slice stands ([`close`]). How old a slice is, [`Freshness`] says.

pub mod aggregate;
pub mod quotes;

pub(crate) mod close;
pub(crate) mod worker;

use crate::types::MAX_SURFACES;
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{traits::ConstU32, BoundedVec};
use novate_risk::surface::{Smile, MAX_EXPIRIES};
use novate_types::{BlockNumber, FeedId, Millis, Price};
use scale_info::TypeInfo;

/// Blocks from a feed's first new observation to the close that renews its surface: time for the others to come in.
pub const WINDOW: BlockNumber = 5;
/// Longest time to an expiry that is observed: the first quarterly beyond 90 days is never farther.
pub const HORIZON: Millis = 190 * 86_400_000;
/// Shortest: from then on venues settle against a mean of which a part has happened, and their volatility means something else.
pub const LEAST_TIME: Millis = 30 * 60_000;

/// A validator's smile of one expiry.
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
pub struct ObservedSmile {
    /// The expiry, in milliseconds of Unix time.
    pub expiry: Millis,
    /// Median over its venues.
    pub smile: Smile,
}

/// What a validator saw of one feed's options.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct SurfaceObservation {
    /// Its index in the session's set.
    pub validator: u32,
    /// The block that it had seen last.
    pub round: BlockNumber,
    /// When it asked its sources, by its own clock.
    pub observed_at: Millis,
    /// The underlying.
    pub feed: FeedId,
    /// By expiry.
    pub smiles: BoundedVec<ObservedSmile, ConstU32<MAX_EXPIRIES>>,
}

/// Why a smile is not taken over.
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
pub enum Flaw {
    /// Some butterfly costs less than nothing.
    #[codec(index = 0)]
    Butterfly,
    /// A calendar spread with the next expiry seen costs less than nothing. Which of the two is wrong nobody knows: neither is taken.
    #[codec(index = 1)]
    Calendar,
}

/// How old what stands for an expiry is, in the steps of prices' staleness.
#[derive(
    Clone,
    Copy,
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
pub enum Freshness {
    /// Seen within two heartbeats.
    #[codec(index = 0)]
    Fresh,
    /// The last good one stands: nothing that could be taken came since.
    #[codec(index = 1)]
    Standing,
    /// Older than [`crate::Config::SurfaceFreshFor`], or there is none: options are reduce-only.
    #[codec(index = 2)]
    Stale,
}

/// Feeds whose surface is due, each with the first block whose close renews it.
pub type DueSurfaces = BoundedVec<(FeedId, BlockNumber), ConstU32<MAX_SURFACES>>;

/// A strike at which an option is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedStrike {
    /// When the option settles, in milliseconds of Unix time.
    pub expiry: Millis,
    /// The strike, in US dollars.
    pub strike: Price,
    /// What options of that expiry are marked on, in US dollars: above zero.
    pub forward: Price,
}

/// Strikes at which options are listed: smiles are looked at there as well.
pub trait ListedStrikes {
    /// The options of an underlying. Of each expiry the [`novate_risk::surface::MAX_STRIKES`] strikes nearest to the money count.
    fn strikes(underlying: FeedId) -> Vec<ListedStrike>;
}

/// None are listed.
impl ListedStrikes for () {
    fn strikes(_: FeedId) -> Vec<ListedStrike> {
        Vec::new()
    }
}
