//! # Clearing
//!
//! The close of a block. Once the extrinsics are in, the chain looks at the oracle, moves marks and
//! funding, finds who fell below maintenance margin, matches every market once, and becomes buyer to
//! each seller and seller to each buyer: fills are *novated*, after a check that nobody trades away
//! margin that is not there. Then the default waterfall acts, and what asked to leave leaves.
//!
//! ```text
//! parameters due → oracle round → marks, funding, interest → thresholds → triggers
//!     → markets, those with liquidation orders first, by rotated id: (match → check) ≤ 3 → novation
//!     → waterfall → withdrawals, transfers → the book's housekeeping → a market that has ended
//! ```
//!
//! The close runs in [`PostTransactions`], which returns no weight: [`Hooks::on_initialize`] reserves
//! its worst case before the first extrinsic. It does nothing while a multi-block migration runs.
//!
//! A market that was halted, is new, or wanted to trade at the edge of its band for `edge_blocks` goes through a call auction: for
//! `call_blocks` its orders rest without matching, then all that crosses executes at one price, within the band of the mark and of the
//! index at which the call began ([`auction`]). Nobody is liquidated before the auction after a halt has ended,
//! or has gone on for as many closes.
//!
//! A combination is matched as any market is, and its fills are novated in its legs, at their marks: all of them or none, checked once.
//!
//! What the close decides is one value, [`View`], written once a block; every check until the next
//! close is made against it. Open interest of this block's matches enters initial margin with the next
//! view.
//!
//! [`PostTransactions`]: frame_support::traits::PostTransactions

#![cfg_attr(not(feature = "std"), no_std)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

extern crate alloc;

pub mod auction;
mod close;
pub mod expiry;
pub mod funding;
mod loans;
pub mod marks;
mod novation;
mod requests;
mod rules;
mod try_state;
mod types;
pub mod weights;

#[cfg(any(feature = "runtime-benchmarks", test))]
mod benchmarking;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;

pub use pallet::*;
pub use types::*;
pub use weights::WeightInfo;

use frame_support::weights::Weight;
use sp_runtime::Perbill;

/// What benchmarks need from the runtime around the pallet.
#[cfg(any(feature = "runtime-benchmarks", test))]
pub trait BenchmarkHelper<AccountId> {
    /// Opens the account with cash.
    fn fund(account: &novate_types::AccountRef<AccountId>);
    /// So many markets are listed and run, and a minute of funding ends in each.
    fn list(markets: u32);
    /// `orders` resting orders of each of `makers` accounts with so many positions, in the first market, and a new order that executes
    /// against all of them. The view that they match at.
    fn cross(makers: u32, orders: u32, positions: u32) -> novate_types::RiskView;
    /// Gives the account so much collateral, and the liquidity pot so much cash, that it can borrow, and the insurance fund 2 USD of interest
    /// that it was not yet given. The view at which it does.
    fn lend(account: &novate_types::AccountRef<AccountId>) -> novate_types::RiskView;
    /// A view in which as many options can be held as one account may, of one underlying and an expiry each, all of them priced.
    fn options() -> novate_types::RiskView;
}

/// What the other pallets' parts of the close cost. The runtime, which alone knows them, adds up their own functions.
pub trait CloseReserve {
    /// At most in this block, as the chain stands at its start, but for liquidation.
    fn reserve() -> Weight;
    /// At most in any block, but for liquidation.
    fn worst() -> Weight;
    /// Liquidation's part, as the chain stands at its start.
    fn liquidation() -> Weight;
    /// The least that there must be room for, for liquidation's part.
    fn calm_liquidation() -> Weight;
    /// What was reserved for matches and is left after them, so many of the markets not having matched: of the book's own work, not of
    /// what fills cost.
    fn unmatched(markets: u32) -> Weight;
    /// What the close that is at its end did, in which so many markets matched: no more than was reserved. To be asked once a close.
    fn spent(matched: u32) -> Weight;
}

/// Part of a block that the close leaves to extrinsics even at its worst.
pub const LEFT_FOR_EXTRINSICS: Perbill = Perbill::from_percent(10);

/// Target of the log.
pub const LOG_TARGET: &str = "novate::clearing";
/// Rounds of a market's match; the last admits only orders that pass whatever fills. One more repairs it if
/// it reached resting reduce-only orders that nobody had read before.
pub const MAX_ROUNDS: u32 = 3;
/// Resting orders of one side whose accounts a market's last round looks at; who rests deeper does not take part in it.
pub const LAST_ROUND_SIDE: u32 = 32;
/// Resting orders whose accounts all last rounds of a close look at.
pub const LAST_ROUND_LOOKS: u32 = 2 * LAST_ROUND_SIDE;
/// While liquidation presses, one in so many of the resting orders that may execute otherwise does.
const PRESSED_SHARE: u32 = 4;
/// What there is for accounts in a close has two parts: one for those behind resting orders, one for the orders of triggers.
const PARTS_FOR_PARTIES: u64 = 2;
/// Fills in one event; a market's further fills follow in further parts.
pub const EVENT_FILLS: u32 = 512;

#[allow(clippy::expect_used)] // What the macro generates has some; ours has none.
#[frame_support::pallet]
pub mod pallet {
    use crate::{
        Action, CallReason, CloseReserve, MarketStates, PremiumMinute, Refusal, Request,
        WeightInfo, EVENT_FILLS, LAST_ROUND_LOOKS, LEFT_FOR_EXTRINSICS, PARTS_FOR_PARTIES,
        PRESSED_SHARE,
    };
    use alloc::boxed::Box;
    use frame_support::{
        migrations::MultiStepMigrator,
        pallet_prelude::*,
        storage::unhashed,
        traits::{PostTransactions, UnixTime},
    };
    use frame_system::pallet_prelude::*;
    use novate_risk::{
        portfolio::{row_in, Kept, OptionRow, PortfolioParams, PricedOptions},
        MOST_MORE_THRESHOLDS,
    };
    use novate_types::{
        AccountRef, AssetId, BlockNumber, CurrentView, FeedId, Fill, FundingIndex, Ledger,
        Liquidations, Listing, Loans, Lots, MarketId, MarketStatus, MarketView, Millis, OrderBook,
        Part, Ppm, Price, PriceFeeds, RiskModel, RiskView, SubaccountId, Ticks, VolatilitySurface,
        MAX_HOLDINGS, MAX_MARKETS,
    };

    #[pallet::config]
    pub trait Config: frame_system::Config {
        /// What is listed.
        type Listing: Listing;
        /// Prices.
        type Feeds: PriceFeeds;
        /// Margin accounts, pots and custody.
        type Ledger: Ledger<Self::AccountId>;
        /// The liquidity pot.
        type Loans: Loans<Self::AccountId>;
        /// Orders and matching.
        type Book: OrderBook<Self::AccountId>;
        /// Liquidation's part of the close.
        type Liquidations: Liquidations<Self::AccountId>;
        /// Volatilities that options are marked with.
        type Volatility: VolatilitySurface;
        /// The margin model.
        type Risk: RiskModel;
        /// The block's time.
        type Time: UnixTime;
        /// The account that liquidation fees fill and deficits empty.
        type InsuranceFund: Get<AccountRef<Self::AccountId>>;
        /// The account that takes over what the market does not.
        type Vault: Get<AccountRef<Self::AccountId>>;

        /// Feed of the settlement currency's USD price.
        #[pallet::constant]
        type SettlementFeed: Get<FeedId>;
        /// Age up to which a price liquidates, funds and pays out.
        #[pallet::constant]
        type FreshFor: Get<Millis>;
        /// Age up to which a market takes new risk; beyond it is reduce-only.
        #[pallet::constant]
        type OpenFor: Get<Millis>;
        /// Age up to which a market matches at all; beyond it halts.
        #[pallet::constant]
        type MatchesFor: Get<Millis>;
        /// Span of the moving average of mid less index.
        #[pallet::constant]
        type BasisSpan: Get<Millis>;
        /// Age up to which the last trade counts in the mark.
        #[pallet::constant]
        type LastTradeFor: Get<Millis>;
        /// Longest time that one close accrues funding for; at most a minute.
        #[pallet::constant]
        type MaxFundingSpan: Get<Millis>;
        /// Fee of a liquidation's fills, in ppm of their value, paid to the insurance fund as far as the
        /// fill is better than bankruptcy.
        #[pallet::constant]
        type LiquidationFee: Get<Ppm>;
        /// Resting orders that execute in one market and round, at most.
        #[pallet::constant]
        type MaxFillsPerMarket: Get<u32>;
        /// Resting orders that execute in a block over all markets and rounds, at most; fewer while liquidation presses.
        #[pallet::constant]
        type MaxFillsTotal: Get<u32>;
        /// What the accounts behind them may take of a close, counted by what they hold. Half of it can go to triggers that fire.
        #[pallet::constant]
        type PartiesWeight: Get<Weight>;
        /// The same while liquidation presses. At least one account's.
        #[pallet::constant]
        type PressedPartiesWeight: Get<Weight>;
        /// Requests in the queue, at most.
        #[pallet::constant]
        type MaxQueue: Get<u32>;
        /// Requests of one owner in the queue, at most.
        #[pallet::constant]
        type MaxPendingPerOwner: Get<u32>;
        /// Requests executed in one close, at most.
        #[pallet::constant]
        type MaxRequestsPerClose: Get<u32>;
        /// What the other pallets' parts of the close cost: parameters that come into force, the oracle's round, liquidation,
        /// the book's reading, matching and housekeeping.
        type Others: CloseReserve;

        /// Schedules parameters of the portfolio model.
        type GovernanceOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// Blocks that they wait.
        #[pallet::constant]
        type Timelock: Get<BlockNumber>;
        /// Scenarios of a grid at most: weights are measured with as many.
        #[pallet::constant]
        type MaxScenarios: Get<u32>;

        /// Weights of this pallet.
        type WeightInfo: WeightInfo;
        /// Set-up of benchmarks.
        #[cfg(any(feature = "runtime-benchmarks", test))]
        type BenchmarkHelper: crate::BenchmarkHelper<Self::AccountId>;
    }

    /// A pallet.
    #[pallet::pallet]
    pub struct Pallet<T>(_);

    /// Every market's prices and parameters, as the last close left them.
    #[pallet::storage]
    pub type View<T: Config> = StorageValue<_, RiskView, ValueQuery>;

    /// What one close hands the next beside the view.
    #[pallet::storage]
    pub type States<T: Config> = StorageValue<_, MarketStates, ValueQuery>;

    /// What this block's start registered for its close, to be given back as far as that does not need it.
    #[pallet::storage]
    #[pallet::whitelist_storage]
    pub type Reserved<T: Config> = StorageValue<_, Weight>;

    /// Full minutes of each market's premium, the last 59. Changes once a minute.
    #[pallet::storage]
    pub type PremiumHistory<T: Config> = StorageMap<
        _,
        Twox64Concat,
        MarketId,
        BoundedVec<PremiumMinute, ConstU32<{ crate::funding::PAST_MINUTES }>>,
        ValueQuery,
    >;

    /// Means that contracts settle at, by underlying and expiry, from 30 minutes before the expiry until their markets are gone.
    #[pallet::storage]
    pub type Settlements<T: Config> =
        StorageValue<_, BoundedVec<crate::expiry::Settlement, ConstU32<MAX_MARKETS>>, ValueQuery>;

    /// Options that the last close marked; none stored is zero.
    #[pallet::storage]
    pub type Marked<T: Config> = StorageValue<_, u32, ValueQuery>;

    /// What options are worth under every scenario of the portfolio model, by underlying and expiry, as the last close priced them. Read by who
    /// holds one.
    #[pallet::storage]
    pub type Scenarios<T: Config> =
        StorageMap<_, Twox64Concat, (FeedId, Millis), novate_risk::portfolio::OptionRows>;

    /// Parameters of the portfolio model: grid, factors, contingencies. [`Scenarios`] are priced with them. What by parts needs is the tiers', and
    /// what open interest, confidence and depeg add the markets'.
    #[pallet::storage]
    pub type PortfolioRules<T: Config> =
        StorageValue<_, PortfolioParams, ValueQuery, StandardRules>;

    /// Where governance has set none.
    #[pallet::type_value]
    pub fn StandardRules() -> PortfolioParams {
        PortfolioParams::standard()
    }

    /// Parameters that are scheduled, and the first block whose close prices with them.
    #[pallet::storage]
    pub type NextPortfolioRules<T: Config> = StorageValue<_, (PortfolioParams, BlockNumber)>;

    /// Requests by number; those from [`OldestRequest`] to before [`NextRequest`] wait.
    #[pallet::storage]
    pub type Requests<T: Config> = StorageMap<_, Twox64Concat, u64, Request<T::AccountId>>;

    /// The number of the oldest request that waits.
    #[pallet::storage]
    pub type OldestRequest<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// The number of the next request.
    #[pallet::storage]
    pub type NextRequest<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// Requests an owner has in the queue.
    #[pallet::storage]
    pub type Pending<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, u32, ValueQuery>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A market's match was novated; a combination's changed positions in its legs, as [`Event::LegCleared`] says. Beyond [`EVENT_FILLS`] fills further parts follow.
        Cleared {
            /// The market.
            market: MarketId,
            /// Price of the match's last trade.
            price: Ticks,
            /// Lots traded in the whole match, each counted once.
            volume: Lots,
            /// Which part of the match this is, from zero.
            part: u32,
            /// Every order's fills with their fees, grouped by account.
            fills: BoundedVec<Fill<T::AccountId>, ConstU32<EVENT_FILLS>>,
        },
        /// A match was done again because accounts would not have covered their fills, or because it
        /// would have exceeded the open-interest cap.
        CheckFailed {
            /// The market.
            market: MarketId,
            /// Rounds it took: up to three, four if it had to be repaired, five if nothing executes.
            rounds: u32,
            /// Accounts whose orders in it were cancelled.
            cancelled: u32,
            /// Accounts whose reduce-only and liquidation orders were held to the bankruptcy price.
            tightened: u32,
        },
        /// A market was left as it was before its match, which could not be written; cannot happen.
        MatchAbandoned {
            /// The market.
            market: MarketId,
        },
        /// What a market admits has changed, by governance, its price's age or its reopening.
        StatusChanged {
            /// The market.
            market: MarketId,
            /// Before.
            from: MarketStatus,
            /// From this close on.
            to: MarketStatus,
        },
        /// Funding, once a minute.
        FundingAccrued {
            /// The market.
            market: MarketId,
            /// Rate per eight hours in 10⁻¹², above zero if longs pay.
            rate: i64,
            /// Owed by a long lot since the listing, in quantums with 32 fractional bits.
            index: FundingIndex,
        },
        /// A request waits for the close.
        Requested {
            /// Its number.
            id: u64,
            /// What it asks for.
            request: Request<T::AccountId>,
        },
        /// A request was executed.
        Executed {
            /// Its number.
            id: u64,
            /// What moved.
            request: Request<T::AccountId>,
        },
        /// A request was dropped; nothing moved.
        Dropped {
            /// Its number.
            id: u64,
            /// Who asked.
            owner: T::AccountId,
            /// Why.
            reason: Refusal,
        },
        /// A market takes orders without matching them, for a call auction.
        AuctionCalled {
            /// The market.
            market: MarketId,
            /// Why.
            reason: CallReason,
            /// The first block whose close may uncross it.
            at: BlockNumber,
            /// The index at this close: the auction's price lies within its band, and within that of the mark by then.
            reference: Price,
        },
        /// A market was uncrossed at one price, or a part of what crossed was.
        Uncrossed {
            /// The market.
            market: MarketId,
            /// The price; none if nothing executed.
            price: Option<Ticks>,
            /// Lots traded in this close, each counted once.
            volume: Lots,
            /// Whether it trades continuously from the next block on. Otherwise more executes in the next close.
            done: bool,
        },
        /// A contract has settled: positions in it are cash from here on.
        Settled {
            /// The market.
            market: MarketId,
            /// The mean of the index over the 30 minutes before expiry, in ticks of the market.
            price: Ticks,
            /// What a unit is worth at it, in ticks: the same, or what an option pays.
            worth: Ticks,
        },
        /// Other parameters of the portfolio model are scheduled.
        PortfolioRulesScheduled {
            /// In force now.
            old_value: Box<PortfolioParams>,
            /// In place of whatever was scheduled before.
            new_value: Box<PortfolioParams>,
            /// The first block whose close prices with them.
            due: BlockNumber,
        },
        /// Those that were scheduled will not come.
        PortfolioRulesCancelled,
        /// Those that were scheduled are in force from this close on. Every account that a scan margins is looked at.
        PortfolioRulesChanged,
        /// Fills of a combination were novated in one of its legs: no other account's, no other order's, no other lots than those of the
        /// combination's own [`Event::Cleared`], which has their fees. Beyond [`EVENT_FILLS`] fills another one follows.
        LegCleared {
            /// The combination.
            combination: MarketId,
            /// The leg.
            market: MarketId,
            /// Its side, price and lots of every fill, under the number of the combination's order.
            fills: BoundedVec<Fill<T::AccountId>, ConstU32<EVENT_FILLS>>,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// The amount is zero; ask for at least one smallest unit.
        ZeroAmount,
        /// The amount is beyond the range of cash; ask for less than 2¹²⁷.
        AmountTooLarge,
        /// The asset is neither the settlement currency nor taken as collateral.
        UnknownAsset,
        /// Only the settlement currency is deposited for others, as collateral caps bind at the ledger's own
        /// deposit; deposit collateral to an account of your own and transfer it.
        CashOnly,
        /// The account debited was never opened; deposit to it first.
        NoAccount,
        /// The account debited holds less than the amount at this moment.
        InsufficientBalance,
        /// The account debited and the account credited are the same; name another.
        SameAccount,
        /// The owner has as many requests in the queue as one may; wait for the close.
        TooManyRequests,
        /// The queue is full; try again in the next block.
        QueueFull,
        /// A match has fills that were not checked; cannot happen.
        UncheckedMatch,
        /// The parameters do not make a model of margin: initial margin must be the larger everywhere, a combination need no more than its legs, and every number be within
        /// its bound (`PortfolioParams::validate`, `PortfolioParams::is_plausible`).
        UnsoundRules,
        /// The grid has more scenarios than a close has time for; have no more than [`Config::MaxScenarios`].
        TooManyScenarios,
        /// These parameters are in force already, or nothing is scheduled that could be cancelled.
        NothingToChange,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        /// Reserves the close's worst case: a fixed part, the fills of all markets and rounds, requests
        /// left over from earlier blocks (those of this block prepay), and what the other pallets need.
        fn on_initialize(_: BlockNumberFor<T>) -> Weight {
            let reserve = Self::reserve(
                Self::known_markets(),
                Self::queued_requests(),
                T::Liquidations::presses(),
                T::Others::reserve().saturating_add(T::Others::liquidation()),
            );
            let reserve = reserve.saturating_add(Self::for_expiring());
            Reserved::<T>::put(reserve);
            T::DbWeight::get().reads(7).saturating_add(reserve)
        }

        fn integrity_test() {
            assert!(
                T::FreshFor::get() <= T::OpenFor::get()
                    && T::OpenFor::get() <= T::MatchesFor::get(),
                "staleness steps must not narrow with age"
            );
            assert!(
                T::MaxFundingSpan::get() <= crate::funding::MINUTE,
                "one close accrues at most a minute of funding"
            );
            assert!(
                Self::party(MAX_HOLDINGS, MOST_MORE_THRESHOLDS)
                    .saturating_mul(PARTS_FOR_PARTIES)
                    .all_lte(T::PressedPartiesWeight::get())
                    && T::PressedPartiesWeight::get().all_lte(T::PartiesWeight::get()),
                "the largest account's order must be able to execute"
            );
            assert!(
                T::MaxFillsPerMarket::get() <= T::MaxFillsTotal::get(),
                "a market's fills must fit the block's"
            );
            let worst = Self::reserve(
                novate_types::MAX_MARKETS,
                u64::from(T::MaxQueue::get()),
                false,
                T::Others::worst().saturating_add(T::Others::calm_liquidation()),
            );
            let worst = worst.saturating_add(Self::most_for_expiring());
            let room = Self::room();
            assert!(
                worst.all_lte(room),
                "the close's worst case, {worst:?}, must fit the {room:?} that extrinsics leave it"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call(weight(<T as Config>::WeightInfo))]
    impl<T: Config> Pallet<T> {
        /// Moves an asset from one of the caller's margin accounts to the caller's wallet, at the close.
        ///
        /// ## Dispatch Origin
        ///
        /// Signed by the account's owner.
        ///
        /// ## Details
        ///
        /// It executes after this block's matches, at the new marks, if no unrealised profit leaves with
        /// it and initial margin with orders stays covered; never on a stale price, unless the account
        /// holds nothing but cash. A request that fails is dropped.
        ///
        /// ## Errors
        ///
        /// - [`Error::ZeroAmount`], [`Error::AmountTooLarge`], [`Error::UnknownAsset`]
        /// - [`Error::NoAccount`], [`Error::InsufficientBalance`]: the account does not hold it now.
        /// - [`Error::TooManyRequests`], [`Error::QueueFull`]
        ///
        /// ## Events
        ///
        /// [`Event::Requested`] now; [`Event::Executed`] or [`Event::Dropped`] at a close.
        #[pallet::call_index(0)]
        pub fn withdraw(
            origin: OriginFor<T>,
            sub: SubaccountId,
            asset: AssetId,
            #[pallet::compact] amount: u128,
        ) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            Self::enqueue(owner, Action::Withdraw { sub }, asset, amount)
        }

        /// Moves an asset from one of the caller's margin accounts to another margin account, at the
        /// close.
        ///
        /// ## Dispatch Origin
        ///
        /// Signed by the owner of the account debited.
        ///
        /// ## Details
        ///
        /// The same test as for a withdrawal. An account of another owner must be open already. What a
        /// close credits cannot leave again in the same close.
        ///
        /// ## Errors
        ///
        /// Those of `withdraw`, and [`Error::SameAccount`].
        ///
        /// ## Events
        ///
        /// Those of `withdraw`.
        #[pallet::call_index(1)]
        pub fn transfer(
            origin: OriginFor<T>,
            sub: SubaccountId,
            to: AccountRef<T::AccountId>,
            asset: AssetId,
            #[pallet::compact] amount: u128,
        ) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            Self::enqueue(owner, Action::Transfer { sub, to }, asset, amount)
        }

        /// Moves settlement currency from the caller's wallet to any open margin account, the insurance fund
        /// or the vault, at the close.
        ///
        /// ## Dispatch Origin
        ///
        /// Signed.
        ///
        /// ## Errors
        ///
        /// [`Error::ZeroAmount`], [`Error::AmountTooLarge`], [`Error::UnknownAsset`], [`Error::CashOnly`],
        /// [`Error::TooManyRequests`], [`Error::QueueFull`].
        ///
        /// ## Events
        ///
        /// Those of `withdraw`.
        #[pallet::call_index(2)]
        pub fn deposit_for(
            origin: OriginFor<T>,
            to: AccountRef<T::AccountId>,
            asset: AssetId,
            #[pallet::compact] amount: u128,
        ) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            Self::enqueue(owner, Action::DepositFor { to }, asset, amount)
        }

        /// Moves settlement currency from the caller's wallet into the liquidity pot, for shares of it, at the close.
        ///
        /// ## Dispatch Origin
        ///
        /// Signed.
        ///
        /// ## Details
        ///
        /// At the pot's value in that close, rounded down. Shares earn what debtors pay, less the insurance fund's part.
        ///
        /// ## Errors
        ///
        /// [`Error::ZeroAmount`], [`Error::AmountTooLarge`], [`Error::TooManyRequests`], [`Error::QueueFull`].
        ///
        /// ## Events
        ///
        /// Those of `withdraw`, and the margin pallet's `Supplied`.
        #[pallet::call_index(3)]
        pub fn supply(origin: OriginFor<T>, #[pallet::compact] amount: u128) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            Self::enqueue(owner, Action::Supply, T::Ledger::settlement_asset(), amount)
        }

        /// Gives shares of the liquidity pot back for what they are worth, which goes to the caller's wallet, at the close.
        ///
        /// ## Dispatch Origin
        ///
        /// Signed.
        ///
        /// ## Details
        ///
        /// At the pot's value in that close, rounded down, as far as it is not lent: a request for more than that is dropped. Nothing leaves
        /// while withdrawals are paused.
        ///
        /// ## Errors
        ///
        /// - [`Error::ZeroAmount`], [`Error::AmountTooLarge`], [`Error::TooManyRequests`], [`Error::QueueFull`]
        /// - [`Error::InsufficientBalance`]: the caller has fewer shares.
        ///
        /// ## Events
        ///
        /// Those of `withdraw`, and the margin pallet's `Redeemed`.
        #[pallet::call_index(4)]
        pub fn redeem(origin: OriginFor<T>, #[pallet::compact] shares: u128) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            Self::enqueue(owner, Action::Redeem, T::Ledger::settlement_asset(), shares)
        }

        /// Moves cash from one of the caller's margin accounts to the caller's wallet beyond what the account holds, at the close. What its cash
        /// is below zero then is a loan from the liquidity pot, at interest.
        ///
        /// ## Dispatch Origin
        ///
        /// Signed by the account's owner.
        ///
        /// ## Details
        ///
        /// The test of a withdrawal, with collateral as if it were sold for its haircut value: no unrealised profit leaves. Neither the account
        /// nor the pot goes beyond its cap. A deposit repays.
        ///
        /// ## Errors
        ///
        /// [`Error::ZeroAmount`], [`Error::AmountTooLarge`], [`Error::NoAccount`], [`Error::TooManyRequests`], [`Error::QueueFull`].
        ///
        /// ## Events
        ///
        /// Those of `withdraw`.
        #[pallet::call_index(5)]
        pub fn borrow(
            origin: OriginFor<T>,
            sub: SubaccountId,
            #[pallet::compact] amount: u128,
        ) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            let asset = T::Ledger::settlement_asset();
            Self::enqueue(owner, Action::Borrow { sub }, asset, amount)
        }

        /// Schedules other parameters of the portfolio model, in place of those that are scheduled, or cancels these.
        ///
        /// ## Dispatch Origin
        ///
        /// [`Config::GovernanceOrigin`].
        ///
        /// ## Details
        ///
        /// They come into force with the close that is [`Config::Timelock`] blocks away, at once for all: that close prices options with them, and from it
        /// on every account that a scan margins is looked at, largest first and within what a close has time for, as if a price had moved past its threshold. Who needs more by
        /// them than it has is liquidated: let there be time to see it, and move in steps.
        ///
        /// ## Errors
        ///
        /// [`Error::UnsoundRules`], [`Error::TooManyScenarios`], [`Error::NothingToChange`].
        ///
        /// ## Events
        ///
        /// [`Event::PortfolioRulesScheduled`] or [`Event::PortfolioRulesCancelled`] now; [`Event::PortfolioRulesChanged`] at a close.
        #[pallet::call_index(6)]
        pub fn schedule_portfolio_rules(
            origin: OriginFor<T>,
            params: Option<Box<PortfolioParams>>,
        ) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            Self::schedule_rules(params)
        }
    }

    impl<T: Config> Pallet<T> {
        /// Gives back what was reserved for the close, or `prepaid` by orders for it, and it did not need: what a block weighs is what
        /// it did.
        pub(crate) fn reclaim(spent: Weight, prepaid: Weight) {
            if let Some(reserved) = Reserved::<T>::take() {
                let unspent = reserved.saturating_sub(spent);
                frame_system::BlockWeight::<T>::mutate(|weight| {
                    weight.reduce(unspent, DispatchClass::Mandatory);
                    weight.reduce(prepaid, DispatchClass::Normal);
                });
            }
        }

        /// An account with so many positions and collaterals, and so many thresholds beyond two for each, behind an order that executes.
        pub(crate) fn party(holdings: u32, thresholds: u32) -> Weight {
            T::WeightInfo::party(holdings, thresholds).weight(T::DbWeight::get())
        }

        /// So many accounts behind resting orders that are read and checked, and do not trade.
        pub(crate) fn looks(many: u32) -> Weight {
            let look = Part {
                writes: 0,
                ..T::WeightInfo::small_party()
            };
            look.weight(T::DbWeight::get()).saturating_mul(many.into())
        }

        /// What the close of one block may cost, at most.
        pub(crate) fn reserve(
            markets: u32,
            requests: u64,
            presses: bool,
            others: Weight,
        ) -> Weight {
            let requests = requests.min(u64::from(T::MaxRequestsPerClose::get()));
            T::WeightInfo::close(markets)
                .saturating_add(Self::matches_reserve(presses))
                .saturating_add(T::WeightInfo::interest())
                .saturating_add(Self::a_request().saturating_mul(requests))
                .saturating_add(others)
        }

        /// A request's execution, the liquidity pot's part of it included.
        pub(crate) fn a_request() -> Weight {
            T::WeightInfo::request().saturating_add(T::WeightInfo::lending())
        }

        /// What marking options and ending markets costs the close of this block.
        pub(crate) fn for_expiring() -> Weight {
            let ending = if Settlements::<T>::exists() {
                T::WeightInfo::ending()
            } else {
                Weight::zero()
            };
            Self::an_option()
                .saturating_mul(Marked::<T>::get().into())
                .saturating_add(ending)
        }

        /// The same at most.
        pub(crate) fn most_for_expiring() -> Weight {
            Self::an_option()
                .saturating_mul(MAX_MARKETS.into())
                .saturating_add(T::WeightInfo::ending())
        }

        /// An option's mark, and its worth under every scenario.
        fn an_option() -> Weight {
            T::WeightInfo::option_mark().saturating_add(T::WeightInfo::scenarios())
        }

        /// What matches' fills may cost, beside the book's own work.
        pub(crate) fn matches_reserve(presses: bool) -> Weight {
            // The match of an account that has a liquidation order costs less than its part in one does.
            let liquidated = Self::party(1, 0).saturating_mul(T::Liquidations::MOST_ORDERS.into());
            T::WeightInfo::fill()
                .saturating_mul(Self::most_fills(presses).into())
                .saturating_add(Self::parties_weight(presses))
                .saturating_add(Self::looks(Self::most_looks(presses)))
                .saturating_add(liquidated)
        }

        /// Resting orders that execute in a close, at most.
        pub(crate) fn most_fills(presses: bool) -> u32 {
            let most = T::MaxFillsTotal::get();
            if presses {
                most.div_ceil(PRESSED_SHARE)
            } else {
                most
            }
        }

        /// Resting orders whose accounts a close's last rounds look at, at most.
        pub(crate) fn most_looks(presses: bool) -> u32 {
            if presses {
                LAST_ROUND_LOOKS.div_ceil(PRESSED_SHARE)
            } else {
                LAST_ROUND_LOOKS
            }
        }

        /// What the accounts behind resting orders may take of a close.
        pub(crate) fn parties_weight(presses: bool) -> Weight {
            if presses {
                T::PressedPartiesWeight::get()
            } else {
                T::PartiesWeight::get()
            }
        }

        /// Picoseconds that the orders of triggers have in every close, at least.
        pub fn least_for_triggers() -> u64 {
            crate::novation::Budget::full::<T>(true).for_triggers()
        }

        /// What a close may cost at most: the rest is left for extrinsics.
        pub fn room() -> Weight {
            let block = <T as frame_system::Config>::BlockWeights::get().max_block;
            let left = Weight::from_parts(
                LEFT_FOR_EXTRINSICS.mul_floor(block.ref_time()),
                LEFT_FOR_EXTRINSICS.mul_floor(block.proof_size()),
            );
            block.saturating_sub(left)
        }

        /// What the next close leaves to liquidation if that presses. Options that are marked, and means that are taken, are those of this close.
        pub fn room_for_liquidation() -> Weight {
            let others = Self::reserve(
                Self::known_markets(),
                u64::from(T::MaxQueue::get()),
                true,
                T::Others::reserve(),
            );
            Self::room()
                .saturating_sub(others)
                .saturating_sub(Self::for_expiring())
        }

        /// Markets that the last close knew. One listed since has no price before its first close.
        pub fn known_markets() -> u32 {
            u32::try_from(States::<T>::decode_len().unwrap_or(0)).unwrap_or(u32::MAX)
        }
    }

    impl<T: Config> CurrentView for Pallet<T> {
        fn view() -> RiskView {
            View::<T>::get()
        }

        fn view_of(wanted: impl Fn(MarketId) -> bool) -> RiskView {
            let Some(encoded) = unhashed::get_raw(&View::<T>::hashed_key()) else {
                return RiskView::default();
            };
            RiskView::decode_of(&encoded, wanted).unwrap_or_else(|error| {
                frame_support::defensive!("the view cannot be read", error);
                RiskView::default()
            })
        }
    }

    impl<T: Config> PricedOptions for Pallet<T> {
        fn row(_: &RiskView, market: &MarketView, kept: &mut Kept) -> Option<OptionRow> {
            let of = (market.underlying, market.contract.expiry);
            let read = || unhashed::get_raw(&Scenarios::<T>::hashed_key_for(of));
            let rows = kept.entry(of).or_insert_with(|| read().unwrap_or_default());
            row_in(rows, market.id)
        }

        fn params() -> PortfolioParams {
            PortfolioRules::<T>::get()
        }
    }

    impl<T: Config> PostTransactions for Pallet<T> {
        fn post_transactions() {
            if !<T as frame_system::Config>::MultiBlockMigrator::ongoing() {
                Self::close();
            }
        }
    }
}
