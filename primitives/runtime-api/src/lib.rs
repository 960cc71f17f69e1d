//! The runtime API that nodes and clients call: what the chain knows, in the units it keeps it in.
//!
//! Clients encode the arguments and decode the answers with these very types; see `novate-client`.

#![cfg_attr(not(feature = "std"), no_std)]
#![warn(missing_docs)]

extern crate alloc;

use alloc::vec::Vec;
use codec::{Codec, Decode, DecodeWithMemTracking, Encode};
use novate_risk::{
    portfolio::{Unsigned, Worst},
    Greeks,
};
use novate_types::{
    AccountRef, Arrangement, Assessment, AssetId, BlockNumber, Cash, EraIndex, FeedId,
    FundingIndex, Instrument, LoanParams, LoanTotals, Lots, MarginAccount, MarketId, MarketStatus,
    MarketView, Millis, OpenOrder, Pot, Ppm, Price, RestedQuotes, RiskError, RiskTier, SignedLots,
    Standing, Ticks, TierId, ValidatorScore,
};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// A market: how it is listed, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct MarketInfo {
    /// How it is listed.
    pub instrument: Instrument,
    /// Its tier's parameters.
    pub tier: RiskTier,
    /// Prices, margin fractions and funding in force; none before the first close that saw it.
    pub view: Option<MarketView>,
    /// Lots open.
    pub open_interest: Lots,
    /// Funding rate per eight hours in parts per 10¹², payable by longs when above zero.
    pub funding_rate_8h: i64,
    /// Quotes that stood after both previous closes.
    pub rested: RestedQuotes,
    /// Last trade and its time.
    pub last_trade: Option<(Ticks, Millis)>,
    /// The call auction that it is in.
    pub auction: Option<AuctionInfo>,
}

/// A market's call auction, and what it would do if it were held at the end of this block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct AuctionInfo {
    /// The first block whose close may uncross the market.
    pub at: BlockNumber,
    /// The index at which the call began, or the option's mark: the price lies within its band.
    pub reference: Price,
    /// Indicative price; none if nothing crosses.
    pub price: Option<Ticks>,
    /// Indicative volume, each lot counted once: of what one close has room for.
    pub volume: Lots,
}

/// One price level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct BookLevel {
    /// The price.
    pub ticks: Ticks,
    /// Lots resting there.
    pub lots: Lots,
    /// Orders resting there.
    pub orders: u32,
}

/// A market's resting orders, best first.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize,
)]
pub struct Book {
    /// Bids, highest first.
    pub bids: Vec<BookLevel>,
    /// Asks, lowest first.
    pub asks: Vec<BookLevel>,
}

/// An instrument as it is quoted and marked, and how its mark moves. What it is and its forward, which its view has as `index`, are in [`MarketInfo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct QuoteInfo {
    /// The market.
    pub market: MarketId,
    /// The best level of its bids.
    pub bid: Option<BookLevel>,
    /// The best level of its asks.
    pub ask: Option<BookLevel>,
    /// What positions are valued at; none before the first. Once the contract has settled, what a unit is worth for good.
    pub mark: Option<Price>,
    /// Of an option, the volatility a year that its mark was reckoned with, 1.00 being 100 %, rounded down; none before the first mark and after the expiry.
    pub volatility: Option<Unsigned>,
    /// Of a unit; none before the first mark, and once it has settled.
    pub greeks: Option<Greeks>,
}

/// A feed's last aggregate and how old it is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct FeedInfo {
    /// The feed.
    pub feed: FeedId,
    /// Its name, such as `BTC`.
    pub symbol: Vec<u8>,
    /// Stake-weighted median; none before the first quorum.
    pub price: Option<Price>,
    /// Half width of its confidence interval.
    pub confidence: Price,
    /// Median time of observation.
    pub observed_at: Millis,
    /// Age at the block asked for.
    pub age: Millis,
}

/// A place of a smile and what it says there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct SmilePoint {
    /// `ln(K/F)/√T`, with T in years of 365 days, in parts per 10¹².
    pub moneyness: i64,
    /// Variance per year, `σ²`, in parts per 10¹²: times T it is the total variance.
    pub variance: u64,
}

/// The last good slice of an expiry of a volatility surface, and how old it is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct SliceInfo {
    /// When it ends, in milliseconds of Unix time.
    pub expiry: Millis,
    /// Time left at the block asked for.
    pub left: Millis,
    /// Median time of observation.
    pub observed_at: Millis,
    /// Age at the block asked for.
    pub age: Millis,
    /// Recent enough to open positions on. Where it is not, the expiry's options are reduce-only.
    pub is_fresh: bool,
    /// Its smile, by moneyness: linear in between, flat beyond.
    pub points: Vec<SmilePoint>,
}

/// How the validators of an era of the oracle observe, or observed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct EraInfo<AccountId> {
    /// Which.
    pub era: EraIndex,
    /// Everybody who is or was a validator in it.
    pub scores: Vec<ValidatorScore<AccountId>>,
}

/// The scores of the oracle's validators.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct OracleScores<AccountId> {
    /// The running era up to the block asked for, with the verdicts that it would end with there.
    pub running: EraInfo<AccountId>,
    /// Those that ended and are kept, the last first.
    pub kept: Vec<EraInfo<AccountId>>,
}

/// Why an account has no liquidation price.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum NoLiquidationPrice {
    /// It holds no position in this market.
    NoPosition,
    /// No price of this market brings it to its maintenance margin: the rest of the account covers it.
    Covered,
    /// It is below its maintenance margin already.
    AlreadyBelow,
    /// The market has no price yet.
    NoPrice,
    /// It is an option, which mark and forward decide together, or it has settled.
    NotLinear,
}

/// A position and its worth.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct PositionInfo {
    /// The market.
    pub market: MarketId,
    /// Signed size.
    pub lots: SignedLots,
    /// Quantums paid for it.
    pub cost: Cash,
    /// Cumulative funding up to which it has settled.
    pub funding_index: FundingIndex,
    /// Value at the mark, rounded down.
    pub value: Cash,
    /// Funding due to it since, below zero if it owes.
    pub funding: Cash,
    /// `value − cost + funding`.
    pub unrealised: Cash,
    /// The mark at which the account reaches its maintenance margin, all other prices standing still.
    pub liquidation_price: Result<Price, NoLiquidationPrice>,
    /// Of the position; none before its market has a mark, and once it has settled, or out of range.
    pub greeks: Option<Greeks>,
}

/// Initial and maintenance margin, in quantums, rounded up.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize,
)]
pub struct MarginsInfo {
    /// Below it risk may not grow.
    pub initial: Cash,
    /// Below it the account is liquidated.
    pub maintenance: Cash,
}

/// What a portfolio can lose in scenarios, and needs for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct ScanInfo {
    /// The requirement.
    pub margins: MarginsInfo,
    /// The worst loss, as the grid weighs it, in quantums, rounded up.
    pub loss: Cash,
    /// Where that is.
    pub worst: Worst,
}

/// An account's positions in one underlying: how they move together, and what they need by either rule. The lesser of the two is a valid
/// requirement, of initial and maintenance margin alike. Orders are not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct PortfolioInfo {
    /// The feed of the underlying.
    pub underlying: FeedId,
    /// The sums of its positions' Greeks; none if they are out of range.
    pub greeks: Option<Greeks>,
    /// Each position by itself, with the margin fractions in force.
    pub by_parts: MarginsInfo,
    /// All of it under the standard grid; none without an option, or where a price is missing.
    pub by_scan: Option<ScanInfo>,
}

impl PortfolioInfo {
    /// The lesser of the two.
    pub fn required(&self) -> MarginsInfo {
        let parts = self.by_parts;
        self.by_scan.map_or(parts, |scan| MarginsInfo {
            initial: parts.initial.min(scan.margins.initial),
            maintenance: parts.maintenance.min(scan.margins.maintenance),
        })
    }
}

/// A margin account and its worth.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct AccountInfo {
    /// What the ledger holds.
    pub account: MarginAccount,
    /// Whether it trades freely.
    pub standing: Standing,
    /// What it is worth and needs.
    pub assessment: Assessment,
    /// What it owes the liquidity pot, interest due included, in quantums.
    pub debt: Cash,
    /// Its positions.
    pub positions: Vec<PositionInfo>,
    /// Its positions by underlying; those that have settled are cash and in none.
    pub portfolios: Vec<PortfolioInfo>,
    /// Its open orders: of an iceberg, what shows.
    pub open_orders: Vec<OpenOrder>,
    /// What its icebergs hide, its pairs, and its orders in slices.
    pub arrangements: Vec<Arrangement>,
    /// Equity less maintenance margin in forecast standard deviations over the liquidation horizon, in ppm of one, rounded down; none without forecasts,
    /// or with nothing at stake.
    pub distance: Option<i128>,
}

/// Most trades one simulation takes.
pub const MAX_TRADES: usize = 64;

/// A trade to imagine.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct HypotheticalTrade {
    /// The market.
    pub market: MarketId,
    /// Bought above zero, sold below.
    pub lots: SignedLots,
    /// At this price, or at the mark's nearest tick.
    pub ticks: Option<Ticks>,
}

/// Why a query has no answer.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum QueryError {
    /// The account was never opened; deposit first.
    NoAccount,
    /// No such market; `markets` lists them.
    UnknownMarket,
    /// The market has no price yet.
    NoPrice,
    /// A sum is out of range, a list of the account would be full, or there are more trades than [`MAX_TRADES`].
    OutOfRange,
}

impl From<RiskError> for QueryError {
    fn from(e: RiskError) -> Self {
        match e {
            RiskError::UnknownMarket(_) => Self::UnknownMarket,
            _ => Self::OutOfRange,
        }
    }
}

/// An account near or below its maintenance margin.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct Candidate<AccountId> {
    /// Which account.
    pub account: AccountRef<AccountId>,
    /// Whether it is in the queue of the remedies.
    pub standing: Standing,
    /// Equity.
    pub equity: Cash,
    /// Maintenance margin.
    pub maintenance: Cash,
    /// What its long options are worth, which is in both and needed by themselves: an account's health is that of the rest.
    pub long_options: Cash,
    /// Notional at its marks.
    pub notional: Cash,
}

/// An account in open competition, or a debtor whose collateral is for sale, and the terms on which the next close sells fractions of it (`Liquidation.bid`) if nothing changes until
/// then.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct Competition<AccountId> {
    /// Which account.
    pub account: AccountRef<AccountId>,
    /// Equity.
    pub equity: Cash,
    /// Maintenance margin.
    pub maintenance: Cash,
    /// What the whole is worth at the marks: equity with collateral at its price instead of its haircut value. Of a debtor's collateral, what it is
    /// worth beyond its haircut value.
    pub worth: Cash,
    /// What of a fraction's worth its taker does not pay, in ppm.
    pub discount: Ppm,
    /// The largest fraction that may go, in ppm, all bids together.
    pub available: Ppm,
    /// Closes that are left, the next included; then it goes on to the vault.
    pub closes_left: u8,
}

/// One sum on both sides of an equality.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct Equality {
    /// What the ledger adds up to.
    pub ledger: Cash,
    /// What the chain holds.
    pub custody: Cash,
}

/// The equalities of conservation, computed over all accounts.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct Conservation {
    /// Per market, `Σ lots` over all accounts: zero.
    pub lots: Vec<(MarketId, i128)>,
    /// `Σ cash − Σ cost + Σ pots` against the settlement currency in custody.
    pub settlement: Equality,
    /// Per collateral asset, `Σ amounts` against what is in custody.
    pub collateral: Vec<(AssetId, Equality)>,
    /// What the pots hold.
    pub pots: Vec<(Pot, Cash)>,
    /// What debtors owe and suppliers hold, summed, against the liquidity pot's book.
    pub loans: (LoanTotals, LoanTotals),
    /// Accounts summed.
    pub accounts: u32,
}

impl Conservation {
    /// Whether every equality holds.
    pub fn holds(&self) -> bool {
        self.lots.iter().all(|(_, sum)| *sum == 0)
            && self.settlement.ledger == self.settlement.custody
            && self.collateral.iter().all(|(_, e)| e.ledger == e.custody)
            && self.loans.0 == self.loans.1
    }
}

/// Where the chain stands, in one answer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct StatusInfo {
    /// Height.
    pub block: BlockNumber,
    /// Its time.
    pub now: Millis,
    /// Markets by what they admit.
    pub markets: Vec<(MarketId, MarketStatus)>,
    /// Accounts in the queue of the remedies.
    pub liquidations_queued: u32,
    /// Nothing is paid out while an uncovered deficit exceeds the insurance fund.
    pub withdrawals_paused: bool,
    /// Equity of the insurance fund.
    pub insurance_fund: Cash,
    /// Equity of the backstop vault.
    pub vault: Cash,
}

/// Decimals of a share of the vault: while the vault has neither gained nor lost it is worth a USD.
pub const SHARE_DECIMALS: u32 = 9;

/// The backstop vault as an investment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct VaultInfo {
    /// What it is worth at the marks, in quantums.
    pub equity: Cash,
    /// What may leave it without uncovering its margin.
    pub withdrawable: Cash,
    /// All shares, in their smallest unit.
    pub shares: u128,
    /// Of these, the protocol's.
    pub protocol_shares: u128,
    /// Quantums that 10⁹ of the smallest unit are worth, rounded down; none if the vault is worth nothing.
    pub share_value: Option<Cash>,
    /// The present epoch.
    pub epoch: BlockNumber,
    /// Its last block: requests made until then are settled after it.
    pub epoch_ends: BlockNumber,
    /// Requests of an epoch that is over are being executed.
    pub settling: bool,
    /// Quantums that wait to enter, those being settled not counted.
    pub entering: Cash,
    /// Shares that wait to leave, those being settled not counted.
    pub leaving: u128,
    /// What it holds.
    pub positions: Vec<VaultPosition>,
    /// What is the owner's who asks.
    pub mine: ShareholderInfo,
}

/// What the vault holds in a market, and has lost there.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct VaultPosition {
    /// The market.
    pub market: MarketId,
    /// Long above zero.
    pub lots: SignedLots,
    /// Lost there in the present window, in quantums.
    pub lost: Cash,
    /// The loss beyond which the vault takes over nothing more there.
    pub loss_cap: Cash,
}

/// What somebody holds of the vault.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize,
)]
pub struct ShareholderInfo {
    /// Shares, those that wait to leave not counted.
    pub shares: u128,
    /// Of these, not locked.
    pub free: u128,
    /// The first block in which none is locked.
    pub unlocks: BlockNumber,
    /// What they are worth, in quantums, rounded down; none if the vault is worth nothing.
    pub worth: Option<Cash>,
    /// Quantums that wait to buy more.
    pub entering: Cash,
    /// Shares that wait to leave.
    pub leaving: u128,
}

/// The liquidity pot: what is supplied, what is lent, and what that costs and earns.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct LoanPotInfo {
    /// What it charges and lends.
    pub params: LoanParams,
    /// Scheduled, and the first block whose close puts it into force.
    pub pending: Option<(LoanParams, BlockNumber)>,
    /// What is the suppliers', in quantums, rounded down: interest due included, the insurance fund's part not.
    pub supplied: Cash,
    /// What is lent, in quantums, without interest due.
    pub borrowed: Cash,
    /// Interest due on it, in quantums, rounded down.
    pub interest: Cash,
    /// What it counts beyond what is lent, in quantums; below zero it is short, and whoever owes something is called. Of it 5 % of what is lent,
    /// rounded up, stays when suppliers redeem: a cushion for losses (`novate_risk::LOSS_CUSHION`).
    pub liquid: Cash,
    /// What it still lends to whoever asks, in quantums.
    pub lendable: Cash,
    /// The part that is lent, in ppm, rounded up.
    pub utilisation: Ppm,
    /// What debtors pay a year, in ppm.
    pub borrow_rate: Ppm,
    /// What suppliers earn a year on what is theirs, in ppm, rounded down: interest on what is owed beyond the pot is the insurance fund's.
    pub supply_rate: Ppm,
    /// All shares, in their smallest unit.
    pub shares: u128,
    /// Quantums that 10⁹ of the smallest unit are worth, rounded down.
    pub share_value: Option<Cash>,
    /// Of interest, what is the insurance fund's and was not yet given to it, in quantums, rounded down.
    pub reserve: Cash,
    /// Shares of the owner who asks.
    pub my_shares: u128,
    /// What they are worth, in quantums, rounded down.
    pub my_worth: Option<Cash>,
}

/// Standard deviations of an underlying's return over the liquidation horizon, in ppm of its price, rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct ForecastInfo {
    /// By the exponentially weighted variance.
    pub ewma: Ppm,
    /// By GARCH(1,1).
    pub garch: Ppm,
    /// In the stress that is remembered.
    pub stressed: Ppm,
    /// In the long run.
    pub long_run: Ppm,
    /// What margin is held for.
    pub deviation: Ppm,
    /// The maintenance margin fraction that covers it, in ppm.
    pub maintenance: Ppm,
}

/// What is known of an underlying's volatility.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct VolatilityInfo {
    /// The feed of its price.
    pub underlying: FeedId,
    /// Time of the last sample.
    pub at: Millis,
    /// The price sampled then.
    pub price: Price,
    /// Returns seen.
    pub samples: u32,
    /// What is expected; none before there are as many returns as it takes.
    pub forecast: Option<ForecastInfo>,
}

/// A tier whose margin is above what governance set.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct FollowedInfo {
    /// The tier.
    pub tier: TierId,
    /// What governance set.
    pub floor: RiskTier,
    /// What its margin fractions are multiplied by, in ppm.
    pub factor: Ppm,
}

/// What the last sweep that counted it found of all accounts under stress.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct StressReportInfo {
    /// Block at which it began.
    pub began: BlockNumber,
    /// Block at which it saw the last account. Each was valued at the block that saw it.
    pub completed: BlockNumber,
    /// Accounts seen, vault and fund not counted.
    pub accounts: u32,
    /// What the default fund should be, in quantums.
    pub default_fund: Cash,
    /// Cash of the insurance fund and equity of the vault, in quantums.
    pub available: Cash,
    /// Expected shortfall by market, in quantums; of the others it is zero.
    pub shortfalls: Vec<(MarketId, Cash)>,
}

/// Volatility, and what accounts would lack if prices moved.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct StressInfo {
    /// Time between two samples.
    pub interval: Millis,
    /// Time that forecasts are over.
    pub horizon: Millis,
    /// Returns that a forecast takes.
    pub needed: u32,
    /// Underlyings, by feed.
    pub volatilities: Vec<VolatilityInfo>,
    /// Tiers whose margin follows.
    pub followed: Vec<FollowedInfo>,
    /// None before the first sweep is done.
    pub report: Option<StressReportInfo>,
    /// The part of every open-interest cap that is in force, in ppm.
    pub open_interest_scale: Ppm,
}

sp_api::decl_runtime_apis! {
    /// Novate's queries.
    pub trait NovateApi<AccountId> where AccountId: Codec + Ord {
        /// Every market.
        fn markets() -> Vec<(MarketId, MarketInfo)>;
        /// A market's book, at most `depth` levels a side.
        fn book(market: MarketId, depth: u32) -> Book;
        /// The oracle's feeds.
        fn prices() -> Vec<FeedInfo>;
        /// The volatility surface of an underlying, by expiry; empty if it has none.
        fn surface(underlying: FeedId) -> Vec<SliceInfo>;
        /// Every instrument of an underlying as it is quoted and marked, with its Greeks, by id.
        fn quotes(underlying: FeedId) -> Vec<QuoteInfo>;
        /// How the oracle's validators observe.
        fn oracle_scores() -> OracleScores<AccountId>;
        /// One account.
        fn account(account: AccountRef<AccountId>) -> Result<AccountInfo, QueryError>;
        /// The account as it would be after some trades, fees included, novation's check not applied: at most [`MAX_TRADES`].
        fn simulate(account: AccountRef<AccountId>, trades: Vec<HypotheticalTrade>) -> Result<AccountInfo, QueryError>;
        /// Accounts by nearness to their maintenance margin, `count` from the `from`-th.
        fn liquidation_candidates(from: u32, count: u32) -> Vec<Candidate<AccountId>>;
        /// Accounts in open competition, and debtors whose collateral is for sale, in the order in which the close works on them.
        fn competitions() -> Vec<Competition<AccountId>>;
        /// The vault as an investment, and what of it is `owner`'s.
        fn vault(owner: AccountId) -> Result<VaultInfo, QueryError>;
        /// The liquidity pot, and what of it is `owner`'s.
        fn loan_pot(owner: AccountId) -> Result<LoanPotInfo, QueryError>;
        /// Volatility forecasts, the margin that follows them, and what all accounts would lack under stress.
        fn stress() -> StressInfo;
        /// The equalities, computed over the whole state: for operators and tests, not for every block.
        fn conservation() -> Result<Conservation, QueryError>;
        /// Where the chain stands.
        fn status() -> StatusInfo;
    }
}
