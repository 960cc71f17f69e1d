//! Where pallets meet. Each trait names the pallet that implements it; the runtime ties them together.
//!
//! ```text
//! instruments ── Listing ──┐
//! oracle ── PriceFeeds ────┤      and VolatilitySurface
//! margin ── Ledger ────────┼─> clearing (the close) ── CurrentView ─> intake, queries
//! order-book ── OrderBook ─┤
//! liquidation ─ Liquidations ┘
//! ```

use crate::{
    AccountRef, AssetId, BlockNumber, CancelReason, Cash, CollateralParams, FeeTier, FeedId, Fill,
    Instrument, LoanView, Lots, MarginAccount, MarketId, MarketStatus, MarketView, Millis,
    OpaqueOrders, OpenOrder, Operation, Ppm, Price, RiskError, RiskTier, RiskView, Sequence, Side,
    SignedLots, Ticks, TierId, MAX_LEGS,
};
use alloc::{collections::BTreeMap, collections::BTreeSet, vec::Vec};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};
use sp_arithmetic::{FixedI128, FixedU128};

/// What is listed. Implemented by the instruments pallet.
pub trait Listing {
    /// Every listed market, by id; at most [`crate::MAX_MARKETS`].
    fn markets() -> Vec<(MarketId, Instrument)>;
    /// One market.
    fn market(id: MarketId) -> Option<Instrument>;
    /// A risk tier.
    fn tier(id: TierId) -> Option<RiskTier>;
    /// What a tier's margin fractions are multiplied by as they follow volatility, in ppm; at least one.
    fn factor(id: TierId) -> Ppm;
    /// The fee tiers, dearest first.
    fn fee_tiers() -> Vec<FeeTier>;
    /// Puts into force the parameter changes whose timelock has passed. Called by the close, before anything reads
    /// parameters.
    fn apply_due(now: BlockNumber);
    /// Lists what the rules of listing want next, at most one market, by the prices of underlyings that are fresh. Called by the close, before
    /// anything reads what is listed.
    fn list_due(block: BlockNumber, now: Millis, price: impl Fn(FeedId) -> Option<Price>);
    /// A circuit breaker: moves a market to at least `status`. Never opens one.
    fn restrict(market: MarketId, status: MarketStatus);
    /// Removes a market that has settled and in which nothing is left, and that no combination names. Its number is not used again.
    fn remove(market: MarketId);
}

/// A feed's last aggregate.
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
pub struct FeedPrice {
    /// Stake-weighted median.
    pub price: Price,
    /// Half the distance of the weighted quartiles, at least the observers' own.
    pub confidence: Price,
    /// Median time of observation: age counts from here.
    pub observed_at: Millis,
    /// Block of the aggregate.
    pub block: BlockNumber,
}

/// Prices. Implemented by the oracle pallet.
pub trait PriceFeeds {
    /// Aggregates the observations that stand. Called once a block, first thing in the close.
    fn close_round(now: Millis);
    /// The last aggregate that had a quorum, however old; its reader judges its age.
    fn price(feed: FeedId) -> Option<FeedPrice>;
}

/// Implied volatilities of an underlying, a slice for each expiry. Implemented by the oracle pallet, called by the close for the marks of
/// options; `()` has none.
pub trait VolatilitySurface {
    /// What is known of an underlying.
    type Surface;
    /// The surface that stands: read once a close, however many options are marked with it.
    fn surface(underlying: FeedId) -> Self::Surface;
    /// Total variance `σ²·T` of the underlying from `now` to `expiry`, with T in years of 365 days, at log-moneyness `ln(strike / forward)`: the
    /// last good slice, interpolated on its grid (flat beyond its ends) and scaled to the time that is left. An expiry between two slices'
    /// is interpolated in time; one without a slice on either side, or not after `now`, has none. However old: its reader asks
    /// [`VolatilitySurface::is_fresh`].
    fn total_variance(
        surface: &Self::Surface,
        expiry: Millis,
        log_moneyness: FixedI128,
        now: Millis,
    ) -> Option<FixedU128>;
    /// Whether what [`VolatilitySurface::total_variance`] gives for this expiry is recent enough to open positions on. Where it is not, options are
    /// reduce-only.
    fn is_fresh(surface: &Self::Surface, expiry: Millis, now: Millis) -> bool;
}

impl VolatilitySurface for () {
    type Surface = ();
    fn surface(_: FeedId) {}
    fn total_variance(_: &(), _: Millis, _: FixedI128, _: Millis) -> Option<FixedU128> {
        None
    }
    fn is_fresh(_: &(), _: Millis, _: Millis) -> bool {
        false
    }
}

/// Where cash is that no account holds.
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
pub enum Pot {
    /// Trading fees less rebates.
    Fees,
    /// What rounding against accounts left over, other than funding.
    Rounding,
    /// A market's funding, signed: payments settled so far less receipts.
    Funding(MarketId),
    /// Deposits that wait to buy shares of the vault, and payments for shares on their way to wallets.
    Vault,
    /// The liquidity pot: what suppliers brought and earned, what of it is lent included.
    Loans,
}

/// Why the ledger refused.
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
pub enum LedgerError {
    /// The account was never opened; deposit first.
    NoAccount,
    /// The chain's custody does not hold that much of the asset.
    Custody,
    /// An account's list is full, or a sum is out of range.
    Risk(RiskError),
    /// The liquidity pot has lent it out, or keeps it beside what it lent; ask for less, or wait until debts are repaid.
    Lent,
    /// The supplier has fewer shares of the liquidity pot, or the amount buys none.
    Shares,
}

impl From<RiskError> for LedgerError {
    fn from(e: RiskError) -> Self {
        Self::Risk(e)
    }
}

impl From<crate::MathError> for LedgerError {
    fn from(e: crate::MathError) -> Self {
        Self::Risk(RiskError::Math(e))
    }
}

/// What putting an account into the risk indices came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indexed {
    /// Positions and collaterals it has.
    pub holdings: u32,
    /// Thresholds that it can have beyond two for each of them.
    pub thresholds: u32,
    /// Entries that were appended for it.
    pub entries: u32,
}

/// Margin accounts, pots and custody. Implemented by the margin pallet.
pub trait Ledger<AccountId> {
    /// The account, if it was opened.
    fn account(of: &AccountRef<AccountId>) -> Option<MarginAccount>;
    /// At most `most` accounts after `previous`, or from the first, in an order that stays while accounts come and go. Fewer mean
    /// that there are no more.
    fn accounts_after(
        previous: Option<&AccountRef<AccountId>>,
        most: u32,
    ) -> Vec<AccountRef<AccountId>>;

    /// Changes an account in a way that cannot lower its equity less maintenance margin: deposits, orders, standing. Or in any
    /// way, if whoever does it settles the account before the close ends. Keeps open interest. Nothing changes on an error.
    fn update<R, E: From<LedgerError>>(
        of: &AccountRef<AccountId>,
        change: impl FnOnce(&mut MarginAccount) -> Result<R, E>,
    ) -> Result<R, E>;

    /// Changes an account in any way, then books what [`Ledger::settle_expired`] does and puts it where it belongs in the threshold and
    /// deleveraging indices. Keeps open interest. Nothing changes on an error. Opens the account if `open`.
    fn settle<R, E: From<LedgerError>>(
        of: &AccountRef<AccountId>,
        view: &RiskView,
        open: bool,
        change: impl FnOnce(&mut MarginAccount) -> Result<R, E>,
    ) -> Result<R, E>;

    /// Books positions in contracts that have settled as cash: the account's equity is what it was, its margin no more. Nothing changes
    /// without any.
    fn settle_expired(of: &AccountRef<AccountId>, view: &RiskView) -> Result<(), LedgerError>;

    /// Puts an account, as it is stored, where it belongs in the threshold and deleveraging indices: what [`Ledger::settle`] does of one
    /// that [`Ledger::write_trades`] wrote.
    fn index(of: &AccountRef<AccountId>, view: &RiskView) -> Result<Indexed, LedgerError>;

    /// Writes what changed of an account's orders since [`Ledger::account`] gave it, and nothing else of it did: open orders, triggers, what
    /// their margin holds, and the next sequence number. It costs one write, and cannot fail.
    fn write_orders(of: &AccountRef<AccountId>, account: MarginAccount);

    /// Writes accounts that traded in one market, or in the legs of a combination, as they are now, each with the lots it held before in each of
    /// `markets`, in their order, and keeps open interest. Since [`Ledger::account`] gave them nothing else changed. Whoever calls it settles them
    /// before the close ends, and undoes everything if it fails.
    fn write_trades(
        markets: &[MarketId],
        traded: Vec<(AccountRef<AccountId>, [SignedLots; MAX_LEGS], MarginAccount)>,
    ) -> Result<(), LedgerError>;

    /// What a pot holds.
    fn pot(pot: Pot) -> Cash;
    /// Adds to a pot, or takes from it below zero.
    fn credit_pot(pot: Pot, amount: Cash) -> Result<(), LedgerError>;
    /// Whether nobody holds anything of it: neither longs nor, where it has settled and others were booked already, shorts.
    fn is_flat(market: MarketId) -> bool;
    /// Lots open in a market: the sum of its long positions.
    fn open_interest(market: MarketId) -> Lots;
    /// Assets taken as collateral, by id.
    fn collaterals() -> Vec<(AssetId, CollateralParams)>;
    /// The asset in which cash is held.
    fn settlement_asset() -> AssetId;
    /// Moves an asset from `from`'s wallet into custody. The ledger entry is the caller's.
    fn take_into_custody(from: &AccountId, asset: AssetId, amount: u128)
        -> Result<(), LedgerError>;
    /// Moves an asset out of custody to `to`'s wallet. The ledger entry is the caller's.
    fn pay_from_custody(to: &AccountId, asset: AssetId, amount: u128) -> Result<(), LedgerError>;
}

/// The liquidity pot, out of which negative cash is lent. Implemented by the margin pallet, called by the close.
pub trait Loans<AccountId> {
    /// Interest accrues for so long, at the rate that the last close left. Parameters that are due come into force.
    fn accrue(block: BlockNumber, elapsed: Millis) -> LoanView;
    /// Takes what of interest is the insurance fund's, if it is a USD and the pot has it: the caller gives it to the fund.
    fn take_reserve() -> Result<Cash, LedgerError>;
    /// Shares of a supplier.
    fn shares(owner: &AccountId) -> u128;
    /// Gives a supplier shares for an amount, at the pot's value, rounded down. The amount is in custody.
    fn supply(owner: &AccountId, amount: Cash) -> Result<u128, LedgerError>;
    /// Takes a supplier's shares, and what they are worth, rounded down, out of the pot. What leaves custody is the caller's.
    fn redeem(owner: &AccountId, shares: u128) -> Result<Cash, LedgerError>;
    /// What the pot still lends to whoever asks, in quantums, at least zero.
    fn lendable() -> Cash;
    /// Whether no more is owed than the pot lends to whoever asks.
    fn is_within_cap() -> bool;
}

/// Puts accounts where they are found again when they are near their maintenance margin, and positions where
/// deleveraging finds them. Implemented by the liquidation pallet, called by the ledger after every settlement.
pub trait RiskIndex<AccountId> {
    /// Refreshes the account's live entries. A live entry is replaced only by a nearer one. Returns how many were replaced: keys that
    /// changed beside the account.
    fn refresh(
        of: &AccountRef<AccountId>,
        account: &mut MarginAccount,
        view: &RiskView,
    ) -> Result<u32, RiskError>;
}

/// Whether the threshold index can bear parameters that raise what accounts need: its thresholds were drawn with the
/// old ones. Implemented by the liquidation pallet; `()` never waits.
pub trait ThresholdSweep {
    /// A sweep over every account that began at or after block `since` has completed.
    fn completed_since(since: BlockNumber) -> bool;
}

impl ThresholdSweep for () {
    fn completed_since(_: BlockNumber) -> bool {
        true
    }
}

/// What parameters may become without another sweep of the threshold index: thresholds are drawn with the stricter of these
/// and those in force. `()` knows of nothing that is coming.
pub trait ParametersAhead {
    /// The greatest maintenance margin fraction that a market has, or has once what is scheduled is in force.
    fn maintenance(market: MarketId) -> Option<Ppm>;
    /// A collateral asset's parameters, of each the one by which a holding counts for less: in force or scheduled.
    fn collateral(asset: AssetId) -> Option<CollateralParams>;
}

impl ParametersAhead for () {
    fn maintenance(_: MarketId) -> Option<Ppm> {
        None
    }
    fn collateral(_: AssetId) -> Option<CollateralParams> {
        None
    }
}

/// Margin that follows volatility (section 12). Implemented by the instruments pallet, called by liquidation when it has sampled prices; `()`
/// follows nothing.
pub trait FollowVolatility {
    /// The maintenance margin fraction that each underlying's forecast asks for. Schedules what brings margins nearer to that, within
    /// governance's steps and never below what it set. To be called before thresholds are drawn in a close.
    fn follow(asked: &[(FeedId, Ppm)]);
}

impl FollowVolatility for () {
    fn follow(_: &[(FeedId, Ppm)]) {}
}

/// The view written by the last close. Implemented by the clearing pallet.
pub trait CurrentView {
    /// Prices and parameters in force for this block's intake.
    fn view() -> RiskView;
    /// The same without the markets that are not `wanted`, nor legs of those that are.
    fn view_of(wanted: impl Fn(MarketId) -> bool) -> RiskView {
        let mut view = Self::view();
        view.retain(wanted);
        view
    }
}

/// An order of liquidation's second remedy, for the next match only.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct LiquidationOrder<AccountId> {
    /// The account under margin.
    pub account: AccountRef<AccountId>,
    /// The market.
    pub market: MarketId,
    /// The side that reduces its position.
    pub side: Side,
    /// Size, at most the position.
    pub lots: Lots,
    /// The fillable price, never worse than the bankruptcy price.
    pub limit: Ticks,
}

/// What the check before novation asks the next round of a match to heed. Empty in the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchLimits<AccountId: Ord> {
    /// Accounts whose orders in this market are cancelled, reduce-only and liquidation orders excepted.
    pub cancelled: BTreeSet<AccountRef<AccountId>>,
    /// Worst prices at which reduce-only and liquidation orders of an account execute.
    pub tightened: BTreeMap<AccountRef<AccountId>, Ticks>,
    /// If set, only these accounts' orders, and reduce-only and liquidation orders, take part.
    pub admitted: Option<BTreeSet<AccountRef<AccountId>>>,
    /// Only orders that reduce positions take part (the open-interest cap).
    pub reducing_only: bool,
    /// Resting orders that may still execute in this block.
    pub max_fills: u32,
    /// How the market is uncrossed if this is the close of its auction.
    pub auction: AuctionTerms,
    /// Lots that its auction executes at most.
    pub auction_lots: Lots,
}

/// What bounds the price of a market's call auction beside the band of its mark.
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
)]
pub struct AuctionTerms {
    /// The index at which the call began, or an option's or a combination's mark: the auction's price lies within its band too.
    pub reference: Price,
    /// The price that an earlier close found, if that could not execute all.
    pub price: Option<Ticks>,
}

impl<AccountId: Ord> MatchLimits<AccountId> {
    /// No limits but the number of fills.
    pub fn first(max_fills: u32) -> Self {
        Self {
            cancelled: BTreeSet::new(),
            tightened: BTreeMap::new(),
            admitted: None,
            reducing_only: false,
            max_fills,
            auction: AuctionTerms::default(),
            auction_lots: Lots::MAX,
        }
    }
}

/// What a match would do, before it is novated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tentative<AccountId: Ord> {
    /// Every order's fills, grouped by account in order, fees not yet computed.
    pub fills: Vec<Fill<AccountId>>,
    /// Lots traded (each counted once).
    pub volume: Lots,
    /// Price of the last trade of the match.
    pub last: Option<Ticks>,
    /// Resting orders that executed.
    pub executed: u32,
    /// Whose they are, and whose orders executed that came in before this block, each account once.
    pub makers: BTreeSet<AccountRef<AccountId>>,
    /// The match traded, or somebody's order stands, at the edge of the band.
    pub at_edge: bool,
    /// An auction of which not all could execute.
    pub unfinished: Option<Unfinished>,
}

/// An auction that goes on in the next close. The book crosses until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// At this price; at another if nothing executes at the one that was found.
    pub price: Option<Ticks>,
}

/// What a close did to an account's orders: they came to rest, filled or left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release<AccountId> {
    /// Whose.
    pub account: AccountRef<AccountId>,
    /// Margin no longer needed, by market.
    pub margin: Vec<ReleasedMargin>,
    /// Its open orders from now on.
    pub open: OpaqueOrders,
    /// Its triggers that leave.
    pub disarmed: Vec<Sequence>,
    /// The account as the book read it for this. Unless it traded since, it still is that.
    pub read: MarginAccount,
}

/// Margin of one market that an account's orders no longer need: they filled or left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleasedMargin {
    /// The market.
    pub market: MarketId,
    /// Lots no longer bid.
    pub bid_lots: Lots,
    /// Lots no longer asked.
    pub ask_lots: Lots,
    /// Quantums no longer reserved.
    pub reserve: Cash,
}

/// Prices of orders that stood in the book after both previous closes, at the smaller of their two sizes.
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
pub struct RestedQuotes {
    /// Best bid.
    pub bid: Option<Ticks>,
    /// Best ask.
    pub ask: Option<Ticks>,
    /// Mean price at which the impact notional sells, rounded down; none without the depth.
    pub impact_bid: Option<Price>,
    /// Mean price at which the impact notional buys, rounded up; none without the depth.
    pub impact_ask: Option<Price>,
}

/// The book. Implemented by the order-book pallet.
pub trait OrderBook<AccountId: Ord> {
    /// One market's book and this block's orders, loaded for matching.
    type Market;

    /// Loads a market for this block's match, liquidation orders included. `None` if there is nothing to do in it. A market in the call
    /// phase of an auction is loaded too: a run lets its orders join the book without matching, and at the auction's own block
    /// uncrosses all that crosses.
    fn load(
        view: &MarketView,
        liquidations: Vec<LiquidationOrder<AccountId>>,
    ) -> Option<Self::Market>;
    /// Turns the triggers whose level the marks of `view` have reached into new orders of this close, in the order of the blocks in
    /// which they fired, then the slices of TWAPs that are due, as many as `room` is enough for; the others have their turn in a later close. To be called before any market
    /// is loaded. `room`, and what is returned of it as used, are execution time in picoseconds of weight: all that those orders
    /// cost in the close, their execution and the check of their accounts included.
    fn fire(view: &RiskView, room: u64) -> u64;
    /// Matches within `limits`. May be called again with narrower limits; each call starts from the loaded state.
    fn run(market: &mut Self::Market, limits: &MatchLimits<AccountId>) -> Tentative<AccountId>;
    /// Accounts with orders in the loaded market that could still execute, with those orders (whole, at their limits): new ones, and
    /// the best `most` that rest on each side.
    fn candidates(market: &Self::Market, most: u32)
        -> Vec<(AccountRef<AccountId>, Vec<OpenOrder>)>;
    /// Writes what the last run did. The releases, one for each account whose orders changed, are the caller's to apply.
    fn commit(market: Self::Market) -> Vec<Release<AccountId>>;
    /// Carries out operations on an account's orders in the close, against its `view`, as the account's own extrinsic would have in this
    /// block: new orders are among those of this close's match. To be called before any market is loaded. Returns how many succeeded.
    fn order(of: &AccountRef<AccountId>, view: &RiskView, operations: &[Operation]) -> u32;
    /// Cancels every open order of an account, those of this block's intake, its triggers and its TWAPs included, and clears its
    /// aggregates.
    fn cancel_all(
        of: &AccountRef<AccountId>,
        account: &mut MarginAccount,
        reason: CancelReason,
    ) -> u32;
    /// The account's open orders: what the market sees of them.
    fn open_orders(of: &AccountRef<AccountId>) -> Vec<OpenOrder>;
    /// Quotes that stood after both previous closes.
    fn rested(market: MarketId) -> RestedQuotes;
    /// Lots resting on a side no farther than `limit`, counting at most a bounded number of orders.
    fn depth(market: MarketId, side: Side, limit: Ticks) -> Lots;
    /// Work of every close that needs no match: expiries, evictions, refreshing rested quotes, and removing, a bounded part a close, what
    /// is left in markets whose contract has expired. Returns releases as [`OrderBook::commit`] does.
    fn housekeep(view: &RiskView) -> Vec<Release<AccountId>>;
    /// Forgets a market that nothing is left of. False, and nothing changes, while there is an order or a trigger.
    fn forget(market: MarketId) -> bool;
}

/// Liquidation's part of the close. Implemented by the liquidation pallet.
pub trait Liquidations<AccountId> {
    /// Orders that one close hands the match, at most.
    const MOST_ORDERS: u32;

    /// After marks and funding moved from `before` to `now`: pops the thresholds that were crossed, rechecks those accounts,
    /// cancels the orders of those below maintenance margin (remedy 1) and returns the orders of remedy 2.
    fn on_marks(before: &RiskView, now: &RiskView) -> Vec<LiquidationOrder<AccountId>>;
    /// After the markets matched: reassesses the queue, takes the remedies beyond the market, and settles accounts with positions in
    /// contracts that have settled as far as time is left. `more` is what the matches left of what
    /// was reserved for them, in picoseconds of weight: it has that beside its own. Returns whether a loss was shared (remedy 7): the
    /// cumulative indices of `view` moved then, and it is what everything that follows is made against.
    #[must_use]
    fn waterfall(view: &mut RiskView, more: u64) -> bool;
    /// Every account that a scan margins may need more from this close on: each is to be looked at. Called before [`Liquidations::on_marks`].
    fn rules_changed();
    /// Somebody gave the vault's account cash, for which there are no shares yet.
    fn gave_vault(amount: Cash);
    /// The vault's account traded in a market, and paid `lost` quantums more for it than it is worth at the mark, fees included; below zero, less.
    fn vault_traded(market: MarketId, lost: Cash);
    /// Accounts in the queue.
    fn queued() -> u32;
    /// Whether this block has room for more than a calm chain's liquidations: the last close decided so, this one may decide
    /// otherwise for the next.
    fn presses() -> bool;
    /// An uncovered deficit exceeds the insurance fund: nothing is paid out.
    fn withdrawals_paused() -> bool;
    /// The part of every open-interest cap that is in force, in ppm: less than the whole while fund and vault are smaller than the default fund
    /// should be.
    fn open_interest_scale() -> Ppm;
    /// Forgets a market in which nobody holds a position any more. False while the indices hold entries of it: each close removes some of
    /// those of markets that have settled, and settles the accounts that they lead to.
    fn forget(market: MarketId) -> bool;
}
