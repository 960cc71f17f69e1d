//! What is listed, and the parameters that decide what it costs to hold.

use crate::{BlockNumber, Cash, FeedId, Lots, MarketId, Millis, Ppm, Price, Size, Ticks};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};
use sp_core::{bounded::BoundedVec, ConstU32};

/// A market's ticker, ASCII, such as `BTC-PERP`.
pub type Symbol = BoundedVec<u8, ConstU32<24>>;
/// A set of risk parameters shared by markets of like liquidity.
pub type TierId = u8;

/// The right an option gives its buyer.
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
    Serialize,
    Deserialize,
)]
pub enum OptionRight {
    /// To buy at the strike.
    #[codec(index = 0)]
    Call,
    /// To sell at the strike.
    #[codec(index = 1)]
    Put,
}

/// Legs of a combination, at most.
pub const MAX_LEGS: usize = 4;
/// Lots of a leg for each lot of its combination, at most: the leg that takes the rest stands for the bands of all.
pub const MAX_RATIO: u8 = 10;

/// A market that a combination trades, and how much of it.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
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
pub struct CombinationLeg {
    /// The market.
    pub market: MarketId,
    /// Lots of it for each lot of the combination: bought with it above zero, sold below.
    pub ratio: i8,
}

/// The legs of a combination, of constant length when encoded: what has the ratio zero is none. Its default has none.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
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
pub struct CombinationLegs([CombinationLeg; MAX_LEGS]);

impl CombinationLegs {
    /// Of markets and ratios; `None` if there are more than [`MAX_LEGS`].
    pub fn new(legs: &[(MarketId, i8)]) -> Option<Self> {
        let mut all = Self::default();
        for (at, (market, ratio)) in legs.iter().enumerate() {
            *all.0.get_mut(at)? = CombinationLeg {
                market: *market,
                ratio: *ratio,
            };
        }
        Some(all)
    }

    /// One by one, in their order.
    pub fn iter(&self) -> impl Iterator<Item = CombinationLeg> + '_ {
        self.0.iter().filter(|leg| leg.ratio != 0).copied()
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.iter().count()).unwrap_or(u32::MAX)
    }

    /// Whether the market is one of them.
    pub fn contains(&self, market: MarketId) -> bool {
        self.iter().any(|leg| leg.market == market)
    }
}

/// What kind of contract it is.
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
pub enum InstrumentKind {
    /// A linear perpetual future, kept near its index by funding.
    #[codec(index = 0)]
    Perpetual,
    /// A linear future that settles in cash at its expiry, without funding.
    #[codec(index = 1)]
    Future {
        /// When it settles, in milliseconds of Unix time.
        expiry: Millis,
    },
    /// A European option on the underlying, settled in cash at its expiry and quoted in the settlement currency.
    #[codec(index = 2)]
    Option {
        /// When it settles, in milliseconds of Unix time.
        expiry: Millis,
        /// The strike, in ticks of the instrument.
        strike: Ticks,
        /// Call or put.
        right: OptionRight,
    },
    /// Markets of one underlying that are traded together, in a book of its own (spread, straddle, calendar, ...). Nobody holds a position in
    /// it: what trades is novated leg by leg. It is quoted so that it is worth more than nothing; where it would be worth less, the opposite
    /// one is listed.
    #[codec(index = 3)]
    Combination {
        /// What is traded.
        legs: CombinationLegs,
        /// When the first of its legs expires, and it ends; none if none does.
        expiry: Option<Millis>,
    },
}

impl InstrumentKind {
    /// When it settles, or ends, in milliseconds of Unix time; a perpetual never does.
    pub const fn expiry(&self) -> Option<Millis> {
        match self {
            Self::Perpetual => None,
            Self::Future { expiry } | Self::Option { expiry, .. } => Some(*expiry),
            Self::Combination { expiry, .. } => *expiry,
        }
    }

    /// Whether it is an option.
    pub const fn is_option(&self) -> bool {
        matches!(self, Self::Option { .. })
    }
}

/// A contract's kind as margin and matching see it: what [`InstrumentKind`] says without its numbers.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
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
pub enum ContractKind {
    /// A perpetual future.
    #[default]
    #[codec(index = 0)]
    Perpetual,
    /// A dated future.
    #[codec(index = 1)]
    Future,
    /// A European call.
    #[codec(index = 2)]
    Call,
    /// A European put.
    #[codec(index = 3)]
    Put,
    /// A combination of others, in which nobody holds a position.
    #[codec(index = 4)]
    Combination,
}

impl ContractKind {
    /// The right that it gives, if it is an option.
    pub const fn right(self) -> Option<OptionRight> {
        match self {
            Self::Perpetual | Self::Future | Self::Combination => None,
            Self::Call => Some(OptionRight::Call),
            Self::Put => Some(OptionRight::Put),
        }
    }

    /// Whether its premium moves in cash at the trade.
    pub const fn is_option(self) -> bool {
        self.right().is_some()
    }

    /// Whether it is a combination of others.
    pub const fn is_combination(self) -> bool {
        matches!(self, Self::Combination)
    }

    /// Whether its price is about that of a unit of the underlying. An option's may be next to nothing, and so may a combination's.
    pub const fn is_linear(self) -> bool {
        matches!(self, Self::Perpetual | Self::Future)
    }
}

/// What kind of contract a market is, and how it ends. Of constant length when encoded; its default is a perpetual.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
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
pub struct Contract {
    /// The kind.
    pub kind: ContractKind,
    /// When it settles, in milliseconds of Unix time; zero for a perpetual. Of a combination, when its first leg does, and it ends.
    pub expiry: Millis,
    /// An option's strike, in ticks; zero for others.
    pub strike: Ticks,
    /// It has expired and its settlement price stands: the market's mark is what a unit is worth for good. A position in it is cash that
    /// has not been booked yet, and is booked when its account is touched. A combination has nothing to settle, and is it once it has ended.
    pub settled: bool,
    /// Of an option, the variance of its underlying until the expiry (`σ²T`) that its mark was reckoned with, in parts per 10¹²; zero for
    /// others.
    pub variance: u64,
    /// A combination's legs; others have none.
    pub legs: CombinationLegs,
    /// Of what it settles at, the part that no price can move any more: of a market's mark and index as much stands still. Zero before the
    /// mean begins.
    pub fixed: Price,
    /// What open interest, confidence and depeg add to the tier's initial margin fraction, in ppm.
    pub initial_added: Ppm,
    /// What following volatility adds to a scan's risk, in ppm of it: as much as to the tier's margin fractions. Zero at their floor.
    pub scan_added: Ppm,
}

impl Contract {
    /// Whether it is at or past its expiry.
    pub const fn has_expired(&self, now: Millis) -> bool {
        self.expiry != 0 && now >= self.expiry
    }
}

impl From<InstrumentKind> for Contract {
    fn from(kind: InstrumentKind) -> Self {
        match kind {
            InstrumentKind::Perpetual => Self::default(),
            InstrumentKind::Future { expiry } => Self {
                kind: ContractKind::Future,
                expiry,
                ..Self::default()
            },
            InstrumentKind::Option {
                expiry,
                strike,
                right,
            } => Self {
                kind: match right {
                    OptionRight::Call => ContractKind::Call,
                    OptionRight::Put => ContractKind::Put,
                },
                expiry,
                strike,
                ..Self::default()
            },
            InstrumentKind::Combination { legs, expiry } => Self {
                kind: ContractKind::Combination,
                expiry: expiry.unwrap_or(0),
                legs,
                ..Self::default()
            },
        }
    }
}

/// What a market admits. A circuit breaker only ever moves it to the right; governance moves it back.
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
    Serialize,
    Deserialize,
)]
pub enum MarketStatus {
    /// Everything.
    Open,
    /// Orders that reduce positions, and cancels. Resting orders that would raise risk are suspended.
    ReduceOnly,
    /// Cancels only: nothing matches, no funding accrues. Whoever falls below maintenance margin at a fresh price is
    /// liquidated all the same, without the market.
    Halted,
}

impl MarketStatus {
    /// Whether an order that may raise an account's risk is taken and matched.
    pub const fn allows_risk(self) -> bool {
        matches!(self, Self::Open)
    }
    /// Whether anything is matched at all.
    pub const fn allows_matching(self) -> bool {
        !matches!(self, Self::Halted)
    }
    /// The more restrictive of two.
    pub fn strictest(self, other: Self) -> Self {
        self.max(other)
    }
}

/// Parameters by which markets of like liquidity are margined. Changes go through the timelock, in bounded steps.
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
pub struct RiskTier {
    /// Initial margin fraction below `open_interest_lower`.
    pub imf: Ppm,
    /// Maintenance margin fraction, whatever the open interest.
    pub mmf: Ppm,
    /// Open notional (quantums) up to which `imf` stands.
    pub open_interest_lower: Cash,
    /// Open notional (quantums) at which the initial margin fraction is one.
    pub open_interest_upper: Cash,
    /// Unrealised profit (quantums) of one market that counts towards initial margin elsewhere.
    pub profit_credit: Cash,
    /// Notional (quantums) for which impact prices are taken.
    pub impact_notional: Cash,
    /// Farthest the mark may lie from the index; at most `mmf / 2`.
    pub mark_band: Ppm,
    /// Farthest from the mark that orders execute.
    pub price_band: Ppm,
    /// Blocks of deposits and orders before a call auction.
    pub call_blocks: BlockNumber,
    /// Blocks at whose end a market that wanted to trade at the edge of its band in all its matches goes through a call auction.
    pub edge_blocks: BlockNumber,
}

/// What a market has of its own beside its tier.
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
pub struct MarketParams {
    /// The tier it belongs to.
    pub tier: TierId,
    /// Least notional (quantums) of a new order.
    pub min_notional: Cash,
    /// Most lots that may be open (the long side); matches beyond admit only reductions. A combination has its legs'.
    pub open_interest_cap: Lots,
    /// Interest component of funding per eight hours, signed.
    pub interest_8h_ppm: i32,
    /// The funding cap's factor `k` in `k · (IMF − MMF)`, in ppm of one.
    pub funding_cap_factor: Ppm,
}

/// A listed market.
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
pub struct Instrument {
    /// Its ticker.
    pub symbol: Symbol,
    /// What kind of contract.
    pub kind: InstrumentKind,
    /// The feed of its underlying.
    pub underlying: FeedId,
    /// Smallest step of the price, USD per unit.
    pub tick_size: Price,
    /// Smallest step of the size, units of the underlying.
    pub lot_size: Size,
    /// `tick_size · lot_size · 10⁶`, whole and at least one.
    pub tick_value: u64,
    /// What governance and circuit breakers admit; the age of the price may restrict further.
    pub status: MarketStatus,
    /// Its own parameters.
    pub params: MarketParams,
}

/// Trading fees by volume tier. Maker plus taker is at least zero for every pair of tiers.
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
pub struct FeeTier {
    /// Fee of the side that rested or posted, in ppm of the traded value; below zero it is a rebate.
    pub maker_ppm: i32,
    /// Fee of the side that crossed, in ppm of the traded value.
    pub taker_ppm: i32,
}

impl FeeTier {
    /// The dearer of its two fees, in ppm: what an order may come to pay. A rebate is not counted on.
    pub fn dearer_ppm(self) -> i32 {
        self.maker_ppm.max(self.taker_ppm).max(0)
    }
}

/// How an asset counts as collateral. Value is its USD price over `max(1, settlement currency's USD price)`.
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
pub struct CollateralParams {
    /// The feed that prices it.
    pub feed: FeedId,
    /// Decimals of the asset.
    pub decimals: u8,
    /// Haircut on value up to `large_value`.
    pub haircut: Ppm,
    /// Value (quantums) of one account's holding from which the larger haircut applies, at the margin.
    pub large_value: Cash,
    /// Haircut on the value beyond `large_value`.
    pub large_haircut: Ppm,
    /// Most value (quantums, after haircuts) that one account's holding counts for.
    pub value_cap: Cash,
    /// Most of the asset (in its smallest units) the chain takes; binds at deposit only.
    pub global_cap: u128,
}
