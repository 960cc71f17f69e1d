//! # Liquidation
//!
//! Finds accounts below maintenance margin without scanning the others, and takes the remedies in their order (section 7 of the
//! protocol). Nobody has discretion: the close does it, twice a block. [`Liquidations::on_marks`] runs when marks and funding have
//! moved, before the match; [`Liquidations::waterfall`] after it. The one call that is not governance's is anybody's: [`Pallet::bid`],
//! for a fraction of an account in open competition.
//!
//! | remedy | what | where |
//! |---|---|---|
//! | 1 | open orders are cancelled | [`remedies::market`] |
//! | 2 | reduce-only orders into the next match, five closes long | [`remedies::market`] |
//! | 3 | open competition: anyone takes fractions of it, twenty closes long | [`remedies::competition`] |
//! | 4 | the vault takes everything | [`remedies::vault`] |
//! | 5 | the insurance fund tops up to zero | [`remedies::insurance`] |
//! | 6 | deleveraging at the bankruptcy price | [`remedies::deleverage`] |
//! | 7 | shared loss: what 6 cannot place is charged to those across | [`remedies::shared_loss`] |
//!
//! All three searches (thresholds, queue, counterparties of deleveraging) use one structure, [`pages`]; `index` and `queue`
//! say what they keep in it. Each step is one storage layer: it happens as a whole or not at all, and moves cash and cost only in
//! equal and opposite amounts, so `Σ cash − Σ cost + Σ pots` never changes here.
//!
//! Before anybody needs a remedy, [`stress`] forecasts volatility, calls for margin, and says what accounts would lack if prices moved.
//!
//! Accounts are taken in the order of their notional at risk, so dust, which has a maintenance margin of at least 1 USD a
//! position, waits behind what endangers the chain. Work per close is bounded by the constants of [`Config`].

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

pub mod ahead;
#[cfg(any(test, feature = "runtime-benchmarks"))]
mod benchmarking;
mod ending;
mod index;
mod meter;
#[cfg(test)]
mod mock;
pub mod pages;
mod queue;
pub mod quoting;
pub mod remedies;
pub mod scale;
pub mod shares;
pub mod stress;
#[cfg(test)]
mod tests;
mod try_state;
pub mod types;
pub mod weights;

pub use index::MOST_CANDIDATES;
pub use pallet::*;
pub use shares::{
    EpochTerms, Holding, ShareRequest, ShareValue, ShareWish, VaultBook, Wishes, SHARES_PER_QUANTUM,
};
pub use stress::{Deviations, StressSums, Volatile};
pub use types::*;
pub use weights::WeightInfo;

use alloc::{collections::BTreeSet, vec::Vec};
use frame_support::{traits::Get, weights::Weight, BoundedVec};
use meter::{Meter, Size};
use novate_types::{
    Cash, Ledger, LiquidationOrder, Liquidations, RiskView, MAX_MARKETS, MAX_POSITIONS,
};
use sp_runtime::traits::UniqueSaturatedInto;

/// Steps that a queued account is reckoned to take, see [`Work`].
const STEPS_PER_QUEUED: u32 = 8;
/// Of the time that a close under pressure has, one part in so many is for finding accounts however long the queue is. The rest is for those
/// in the queue and those found, and what they do not need for finding more.
const FINDING_PART: u64 = 3;
/// Keys that the accounts liquidated in a close change together: pots and open interest of every market, buckets of the queue, counters.
const SHARED_KEYS: u32 = 2 * MAX_MARKETS + 128 + 8;
/// Least time in which a return's weight in the forecasts halves: five days.
const LEAST_HALF_LIFE: u64 = 5 * 86_400_000;
/// Where this pallet's log lines go.
pub(crate) const LOG: &str = "runtime::liquidation";

#[allow(clippy::expect_used)] // What the macro generates has some; ours has none.
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use crate::{
        ahead::Stricter,
        pages::{Entry, Occupancy, Shelf, Span, PAGE},
    };
    use frame_support::{pallet_prelude::*, weights::Weight};
    use frame_system::pallet_prelude::*;
    use novate_risk::{
        portfolio::PortfolioParams, Forecast, LiquidationParams, Portion, QuoteParams, StressMove,
        StressParams, VolatilityParams, MAX_COVER, MOST_MORE_THRESHOLDS,
    };
    use novate_types::{
        math, AccountRef, BlockNumber, Cash, CurrentView, FeedId, FollowVolatility, Ledger, Lots,
        MarginCall, MarketId, Millis, OrderBook, ParametersAhead, Ppm, RiskModel, Side,
        SubaccountId, Ticks, MAX_HOLDINGS, MAX_RISK_SLOTS, MILLION,
    };

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {
        /// Margin accounts and pots.
        type Ledger: Ledger<Self::AccountId>;
        /// Orders to cancel, and depth to slice by.
        type Book: OrderBook<Self::AccountId>;
        /// The margin model.
        type Risk: RiskModel;
        /// The last close's view, for queries and checks.
        type View: CurrentView;
        /// Parameters that are scheduled: thresholds are drawn with the stricter of these and those in force.
        type Ahead: ParametersAhead;
        /// Schedules loss caps.
        type GovernanceOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// Lowers them at once.
        type EmergencyOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// Blocks that a scheduled cap waits.
        #[pallet::constant]
        type Timelock: Get<BlockNumber>;
        /// How far a cap moves in one change.
        #[pallet::constant]
        type MaxStep: Get<LossCapStep>;
        /// The account that takes over others (remedy 4). Anyone funds it by a deposit.
        #[pallet::constant]
        type Vault: Get<AccountRef<Self::AccountId>>;
        /// The account that pays deficits (remedy 5).
        #[pallet::constant]
        type InsuranceFund: Get<AccountRef<Self::AccountId>>;
        /// How liquidation orders are priced and sized.
        #[pallet::constant]
        type Params: Get<LiquidationParams>;
        /// Part of a market's open interest beyond which queued lots go to the vault at once.
        #[pallet::constant]
        type BacklogShare: Get<Ppm>;
        /// What the vault may lose in a market and window, where governance set nothing else.
        #[pallet::constant]
        type DefaultLossCap: Get<Cash>;
        /// How the vault quotes what it has taken over.
        #[pallet::constant]
        type Quoting: Get<QuoteParams>;
        /// What the orders of its quotes take of a close, their execution included, at most.
        type QuotingWeight: Get<Weight>;
        /// Blocks of an epoch: requests for shares of the vault are settled at its end.
        #[pallet::constant]
        type EpochLength: Get<BlockNumber>;
        /// Blocks that shares are locked after they were bought.
        #[pallet::constant]
        type LockUp: Get<BlockNumber>;
        /// The least that buys shares, in quantums.
        #[pallet::constant]
        type MinShareDeposit: Get<Cash>;
        /// Requests for shares that one close executes.
        #[pallet::constant]
        type MaxShareRequests: Get<u32>;
        /// Requests for shares that wait, at most.
        #[pallet::constant]
        type MaxShareQueue: Get<u32>;
        /// Of these, of one owner.
        #[pallet::constant]
        type MaxSharesPending: Get<u32>;
        /// What has margins follow the forecasts of volatility.
        type Follow: FollowVolatility;
        /// Time between two samples of volatility, and between two assessments of stress, at least.
        #[pallet::constant]
        type StressInterval: Get<Millis>;
        /// How volatility is estimated and forecast.
        #[pallet::constant]
        type Volatility: Get<VolatilityParams>;
        /// Parameters of the portfolio model that are in force.
        type PortfolioRules: Get<PortfolioParams>;
        /// Under which moves of prices and volatilities what accounts lack is counted, and what of it the default fund covers.
        #[pallet::constant]
        type Stress: Get<StressParams>;
        /// Blocks after which the vault's losses are counted anew.
        #[pallet::constant]
        type LossWindow: Get<BlockNumber>;
        /// What a close does at most while nothing presses. What presses raises it, up to the constants that follow.
        #[pallet::constant]
        type Calm: Get<Work>;
        /// Entries taken out of the threshold index in one close.
        #[pallet::constant]
        type MaxPops: Get<u32>;
        /// Steps of accounts looked at for them in one close, see [`Work`].
        #[pallet::constant]
        type MaxLooks: Get<u32>;
        /// Steps of accounts for which remedies are taken in one close.
        #[pallet::constant]
        type MaxLiquidations: Get<u32>;
        /// Steps of counterparties deleveraged in one close.
        #[pallet::constant]
        type MaxDeleveraged: Get<u32>;
        /// Entries of the deleveraging index read in one close.
        #[pallet::constant]
        type MaxRankReads: Get<u32>;
        /// Accounts that the sweep looks at in one close; with none it never completes.
        #[pallet::constant]
        type SweepPerClose: Get<u32>;
        /// Bids that one block takes for all accounts in competition.
        #[pallet::constant]
        type MaxBids: Get<u32>;
        /// Of these, for one account.
        #[pallet::constant]
        type MaxBidsPerAccount: Get<u32>;
        /// What this pallet's part of the next close may take at most: whatever is left by the others' parts.
        type Room: Get<Weight>;
        /// Weights of the calls, and of this pallet's part of the close.
        type WeightInfo: WeightInfo;
        /// What benchmarks need to fill the index.
        #[cfg(any(test, feature = "runtime-benchmarks"))]
        type BenchmarkHelper: BenchmarkHelper<Self::AccountId>;
    }

    /// Which buckets of a shelf hold pages.
    #[pallet::storage]
    pub type RiskDirectory<T: Config> = StorageMap<_, Identity, Shelf, Occupancy, ValueQuery>;

    /// The pages of a bucket that holds others than page zero.
    #[pallet::storage]
    pub type RiskSpan<T: Config> = StorageMap<_, Identity, (Shelf, u32), Span>;

    /// Pages, by shelf, bucket and number.
    #[pallet::storage]
    pub type RiskPage<T: Config> = StorageMap<
        _,
        Identity,
        (Shelf, u32, u32),
        BoundedVec<Entry<<T as frame_system::Config>::AccountId>, ConstU32<PAGE>>,
        ValueQuery,
    >;

    /// Accounts in need of remedies. Their order is in the pages of [`Shelf::Queue`].
    #[pallet::storage]
    pub type Queue<T: Config> =
        CountedStorageMap<_, Blake2_128Concat, AccountRef<T::AccountId>, Queued>;

    /// Accounts of the queue that the present close works on, taken out of the pages between its two parts.
    #[pallet::storage]
    pub type Working<T: Config> =
        StorageValue<_, BoundedVec<AccountRef<T::AccountId>, T::MaxLiquidations>, ValueQuery>;

    /// This block's bids, in the order in which they came, which means nothing. The close empties it.
    #[pallet::storage]
    pub type Bids<T: Config> = StorageValue<
        _,
        BoundedVec<Bid<<T as frame_system::Config>::AccountId>, T::MaxBids>,
        ValueQuery,
    >;

    /// What accounts lacked that left the queue because a price is missing, in quantums above zero.
    #[pallet::storage]
    pub type Suspended<T: Config> = StorageMap<_, Blake2_128Concat, AccountRef<T::AccountId>, Cash>;

    /// Sum of the deficits of the queue and of those who wait for a price, in quantums.
    #[pallet::storage]
    pub type UncoveredDeficit<T: Config> = StorageValue<_, Cash, ValueQuery>;

    /// Reference time in picoseconds that the next close has for liquidation, and is reserved for: written by the close before if
    /// something presses. None is what [`Config::Calm`] takes at worst.
    #[pallet::storage]
    pub type Allowance<T: Config> = StorageValue<_, u64>;

    /// What the first part of a close leaves to its second.
    #[pallet::storage]
    pub type Halfway<T: Config> = StorageValue<_, HalfClose>;

    /// Picoseconds that this close took for liquidation, by its own count.
    #[pallet::storage]
    #[pallet::whitelist_storage]
    pub type Took<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// What the vault may lose in a market and window, where it is not the default.
    #[pallet::storage]
    pub type LossCaps<T: Config> = StorageMap<_, Twox64Concat, MarketId, LossCap>;

    /// What the vault lost in a market, at marks and funding.
    #[pallet::storage]
    pub type VaultLosses<T: Config> = StorageMap<_, Twox64Concat, MarketId, VaultLoss, ValueQuery>;

    /// What every close has to know of the vault as an investment.
    #[pallet::storage]
    pub type Backstop<T: Config> = StorageValue<_, VaultBook, ValueQuery>;

    /// Shares of the vault by owner. What belongs to the protocol is held by the vault's own owner.
    #[pallet::storage]
    pub type ShareHoldings<T: Config> =
        StorageMap<_, Blake2_128Concat, T::AccountId, Holding, ValueQuery>;

    /// Requests for shares that wait, by number: from [`VaultBook::first`] to before [`VaultBook::next`].
    #[pallet::storage]
    pub type ShareRequests<T: Config> =
        StorageMap<_, Twox64Concat, u64, ShareRequest<T::AccountId>>;

    /// Picoseconds that this close took for the vault's quotes and shares, and for forecasts and reports of stress.
    #[pallet::storage]
    #[pallet::whitelist_storage]
    pub type TookForVault<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// How far the sweep has come.
    #[pallet::storage]
    pub type Sweeping<T: Config> = StorageValue<_, SweepState<T::AccountId>>;

    /// Parameters that thresholds are drawn with because they are coming.
    #[pallet::storage]
    pub type Coming<T: Config> = StorageValue<_, Stricter, ValueQuery>;

    /// In how many closes a parameter in force became stricter: where [`novate_types::RiskAxis::Parameters`] stands.
    #[pallet::storage]
    pub type Tightenings<T: Config> = StorageValue<_, u32, ValueQuery>;

    /// What is kept of every underlying's past, by feed, with the time of its last sample.
    #[pallet::storage]
    pub type Volatilities<T: Config> = StorageValue<_, Volatile, ValueQuery>;

    /// What the last sweep that counted it found of accounts under stress.
    #[pallet::storage]
    pub type Stress<T: Config> = StorageValue<_, StressReport>;

    /// The whole of a cap.
    #[pallet::type_value]
    pub fn Whole() -> Ppm {
        MILLION
    }

    /// The part of every open-interest cap that is in force, in ppm.
    #[pallet::storage]
    pub type OpenInterestScale<T: Config> = StorageValue<_, Ppm, ValueQuery, Whole>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// An account is below maintenance margin, and its remedies begin; of one that was called for a debt, when it goes to the market, or to
        /// fund and vault.
        LiquidationStarted {
            /// Which.
            account: AccountRef<T::AccountId>,
            /// Its equity, in quantums.
            equity: Cash,
            /// Its maintenance margin, in quantums.
            maintenance: Cash,
        },
        /// Remedy 1: its open orders are gone.
        OrdersCancelled {
            /// Which.
            account: AccountRef<T::AccountId>,
            /// How many.
            orders: u32,
        },
        /// Remedy 2: an order that reduces it goes into this close's match.
        LiquidationOrderPlaced {
            /// Which.
            account: AccountRef<T::AccountId>,
            /// The market.
            market: MarketId,
            /// The side that reduces its position.
            side: Side,
            /// Size.
            lots: Lots,
            /// Worst price.
            limit: Ticks,
            /// Equity before it.
            equity: Cash,
            /// Maintenance margin before it.
            maintenance: Cash,
        },
        /// Remedy 3: the market was not enough, and from the next block on anyone may bid for fractions of it.
        CompetitionStarted {
            /// Which.
            account: AccountRef<T::AccountId>,
            /// Its equity, in quantums.
            equity: Cash,
            /// Its maintenance margin, in quantums.
            maintenance: Cash,
        },
        /// Remedy 3: somebody took a fraction of it.
        BidFilled {
            /// Of which account.
            account: AccountRef<T::AccountId>,
            /// Who took it.
            taker: AccountRef<T::AccountId>,
            /// Its share of what was available: a fraction of the account as this close found it, in ppm.
            fraction: Ppm,
            /// What it bought, at the mark.
            portion: Portion,
            /// What that was worth to the account beyond the margin it freed, in quantums.
            worth: Cash,
            /// What of the worth the taker did not pay.
            discount: Cash,
        },
        /// Remedy 3: a bid took nothing.
        BidDropped {
            /// For which account.
            account: AccountRef<T::AccountId>,
            /// Whose bid.
            taker: AccountRef<T::AccountId>,
            /// Why.
            refusal: Refusal,
        },
        /// Remedy 3 is over.
        CompetitionEnded {
            /// For which account.
            account: AccountRef<T::AccountId>,
            /// Why it goes on to the vault; none if it is above maintenance margin again.
            why: Option<Escalation>,
            /// Its equity, in quantums.
            equity: Cash,
            /// Its maintenance margin, in quantums.
            maintenance: Cash,
        },
        /// Remedy 4: the vault holds everything it held.
        TakenOver {
            /// Which.
            account: AccountRef<T::AccountId>,
            /// Why what came before was not enough.
            why: Escalation,
            /// Equity that went with it, in quantums.
            equity: Cash,
            /// Maintenance margin that went with it.
            maintenance: Cash,
        },
        /// Remedy 4 was refused. The account is frozen, and deleveraged (remedy 6).
        TakeoverRefused {
            /// Which.
            account: AccountRef<T::AccountId>,
            /// Why what came before was not enough.
            why: Escalation,
            /// Why the vault does not take it.
            refusal: Refusal,
        },
        /// The vault paid a debt and took collateral for it, at its haircut value.
        DebtPaid {
            /// Whose.
            account: AccountRef<T::AccountId>,
            /// Quantums paid.
            paid: Cash,
        },
        /// Remedy 5: the insurance fund paid.
        InsurancePaid {
            /// For which account.
            account: AccountRef<T::AccountId>,
            /// Quantums paid.
            paid: Cash,
            /// What its equity still is below zero.
            left: Cash,
        },
        /// Remedy 6: a counterparty's position was closed against the account's.
        Deleveraged {
            /// The bankrupt account.
            account: AccountRef<T::AccountId>,
            /// Whose position was reduced with it.
            counterparty: AccountRef<T::AccountId>,
            /// The market.
            market: MarketId,
            /// Lots closed on both sides.
            lots: Lots,
            /// Quantums the bankrupt account paid for its change of position; below zero, received.
            value: Cash,
        },
        /// Remedy 7: what nobody covered was charged to everybody across, and the account is at zero.
        LossShared {
            /// The bankrupt account.
            account: AccountRef<T::AccountId>,
            /// What it lacked, in quantums, and received out of the markets' funding pots.
            loss: Cash,
            /// Who bears it.
            charges: Vec<LossCharge>,
        },
        /// An account is out of the queue, and trades again.
        Recovered {
            /// Which.
            account: AccountRef<T::AccountId>,
            /// Its equity.
            equity: Cash,
            /// Its maintenance margin.
            maintenance: Cash,
        },
        /// Neither vault nor fund nor counterparties covered an account this time, and it could not be shared. Withdrawals pause while the sum of these exceeds
        /// the insurance fund.
        DeficitUncovered {
            /// Which.
            account: AccountRef<T::AccountId>,
            /// Quantums below zero.
            deficit: Cash,
        },
        /// The sweep found an account below maintenance margin that no threshold would have found: parameters changed under
        /// it that [`Config::Ahead`] had not announced. Otherwise this never happens.
        FoundBySweep {
            /// Which.
            account: AccountRef<T::AccountId>,
        },
        /// What the vault may lose in a market and window is going to change.
        LossCapScheduled {
            /// The market.
            market: MarketId,
            /// In force, in quantums.
            old_value: Cash,
            /// From `due` on.
            new_value: Cash,
            /// The first block that it is in force in.
            due: BlockNumber,
        },
        /// What was scheduled will not come.
        LossCapCancelled {
            /// The market.
            market: MarketId,
            /// What would have come.
            cancelled: Cash,
        },
        /// What the vault may lose in a market and window is less from now on.
        LossCapLowered {
            /// The market.
            market: MarketId,
            /// Before, in quantums.
            old_value: Cash,
            /// From now on.
            new_value: Cash,
        },
        /// Somebody wants to buy or sell shares of the vault, at the end of this epoch.
        SharesAsked {
            /// The request's number.
            id: u64,
            /// Who asks for what.
            request: ShareRequest<T::AccountId>,
        },
        /// An epoch is over: its requests are executed at one value, in this close and those that follow.
        SharesSettled {
            /// What the vault is worth at the marks, in quantums.
            equity: Cash,
            /// Shares there are.
            shares: u128,
            /// What they are worth; none if the vault is worth nothing: then deposits go back, and those who want to leave wait.
            value: Option<ShareValue>,
            /// Quantums that want to enter.
            entering: Cash,
            /// Shares that want to leave.
            leaving: u128,
            /// What these are worth, in quantums.
            claimed: Cash,
            /// What of that is paid now; for the rest they wait.
            payable: Cash,
        },
        /// Somebody has bought shares of the vault.
        SharesBought {
            /// Who.
            owner: T::AccountId,
            /// For so many quantums.
            amount: Cash,
            /// How many.
            shares: u128,
            /// The first block in which they may leave.
            unlocks: BlockNumber,
        },
        /// Somebody has sold shares of the vault.
        SharesSold {
            /// Who.
            owner: T::AccountId,
            /// How many.
            shares: u128,
            /// For so many quantums, to the wallet.
            paid: Cash,
            /// Shares that wait for the next epoch: the vault's margin needs the cash.
            left: u128,
        },
        /// A deposit was returned: the vault was worth nothing when its epoch ended.
        ShareDepositReturned {
            /// To whose wallet.
            owner: T::AccountId,
            /// Quantums.
            amount: Cash,
        },
        /// An account's orders are cancelled and its collateral is auctioned for what it owes: more than is lent to it, or all that it is worth.
        CollateralCalled {
            /// Which.
            account: AccountRef<T::AccountId>,
            /// What it owes, in quantums, interest included.
            debt: Cash,
        },

        /// A price was sampled, and this is what its past lets expect.
        VolatilityForecast {
            /// Its feed.
            underlying: FeedId,
            /// Standard deviations over the liquidation horizon.
            forecast: Forecast,
        },
        /// An account has come nearer to liquidation than two forecast standard deviations, or than one.
        MarginCalled {
            /// Which.
            account: AccountRef<T::AccountId>,
            /// How near.
            call: MarginCall,
            /// Its equity, in quantums.
            equity: Cash,
            /// Its maintenance margin, in quantums.
            maintenance: Cash,
            /// One standard deviation of what it has beyond that, in quantums.
            deviation: Cash,
        },
        /// A sweep has seen every account under stress.
        StressAssessed {
            /// Block at which it began.
            began: BlockNumber,
            /// Accounts.
            accounts: u32,
            /// What the default fund should be, in quantums.
            default_fund: Cash,
            /// What fund and vault have, in quantums.
            available: Cash,
            /// Expected shortfall by market, in quantums; of the others it is zero.
            shortfalls: Vec<(MarketId, Cash)>,
        },
        /// Another part of the open-interest caps is in force from the next close on, because of what fund and vault cover.
        OpenInterestScaled {
            /// In ppm of the caps that governance set.
            old_value: Ppm,
            /// From now on.
            new_value: Ppm,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// A loss cap is at least zero; zero keeps the vault from taking more of the market once it has lost anything.
        NegativeCap,
        /// No market of that number is listed.
        UnknownMarket,
        /// Farther from what is in force than one change may go; take more than one step.
        StepTooLarge,
        /// A change of this market's cap waits; cancel it first.
        ChangePending,
        /// No change of this market's cap waits.
        NothingPending,
        /// Not lower than what is in force; schedule it.
        NotLower,
        /// The block it would be in force in has no number.
        OutOfRange,
        /// The signer has no such account; deposit first.
        NoAccount,
        /// Accounts under margin do not bid; bring it back to good standing first, or bid with another.
        NotInGoodStanding,
        /// Nothing of the account is for sale; the runtime API `NovateApi_competitions` lists those of which something is.
        NotCompeting,
        /// A fraction is between 1 and 1,000,000 ppm, a discount at most 1,000,000.
        BadFraction,
        /// This block takes no more bids, for this account or at all, but of takers with more free margin; bid in the next.
        TooManyBids,
        /// Less than [`Config::MinShareDeposit`]; deposit at least that.
        DepositTooSmall,
        /// The wallet does not hold that much of the settlement currency; deposit less.
        WalletTooSmall,
        /// The vault's debts exceed what it holds: nobody may buy into them. Wait until it has equity again.
        VaultWithoutEquity,
        /// Ask for at least one share.
        NoShares,
        /// The signer holds fewer shares, those that already wait to leave not counted; ask for less.
        TooFewShares,
        /// Shares bought lately may not leave yet; wait until their lock-up is over, or ask for fewer.
        SharesLocked,
        /// The signer has as many requests for shares waiting as one may; wait for the epoch's end.
        TooManyShareRequests,
        /// The queue of requests for shares is full; ask again when the epoch is over.
        ShareQueueFull,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn integrity_test() {
            assert!(T::MaxRankReads::get() > 0, "a counterparty is read first");
            let (calm, bounds) = (T::Calm::get(), Self::bounds());
            assert!(
                calm.pops <= bounds.pops
                    && calm.looks <= bounds.looks
                    && calm.liquidations <= bounds.liquidations
                    && calm.deleveraged <= bounds.deleveraged
                    && calm.ranks <= bounds.ranks,
                "pressure raises what a close may do"
            );
            let meter = Self::calm_meter();
            let finding = Self::for_finding(&meter);
            assert!(
                finding >= meter.largest_look(),
                "the largest account is found within any close's time, all of its thresholds drawn again"
            );
            assert!(
                meter.left().saturating_sub(finding) >= meter.largest_step(),
                "what finding leaves is enough for the largest account's remedies, its triggers included, and for whoever is across from it"
            );
            let swept = meter.worst_swept(MOST_MORE_THRESHOLDS);
            assert!(
                meter.left().saturating_sub(swept) >= meter.largest_step(),
                "the sweep passes the largest account in any close that finds nobody, whoever waits"
            );
            let largest = types::steps_of(MAX_HOLDINGS);
            assert!(
                calm.pops >= MAX_RISK_SLOTS
                    && calm.looks >= largest
                    && calm.liquidations >= largest
                    && calm.deleveraged >= largest,
                "the largest account is within any close's reach"
            );
            assert!(
                T::LossWindow::get() > 0,
                "losses are counted over some time"
            );
            assert!(
                T::Vault::get() != T::InsuranceFund::get(),
                "each pays for the other's failures"
            );
            assert!(
                T::EpochLength::get() > 0
                    && T::MaxShareRequests::get() > 0
                    && T::MaxSharesPending::get() > 0
                    && T::MinShareDeposit::get() > 0,
                "whoever asks for shares is heard at an epoch's end"
            );
            assert!(
                T::StressInterval::get() > 0 && T::Volatility::get().validate().is_ok(),
                "volatility is sampled, and has a forecast"
            );
            let half_life =
                T::StressInterval::get().saturating_mul(T::Volatility::get().half_life.into());
            assert!(
                half_life >= LEAST_HALF_LIFE,
                "a forecast does not forget within five days"
            );
            let stress = T::Stress::get();
            assert!(
                (1..=MAX_COVER).contains(&stress.cover)
                    && (1..MILLION).contains(&stress.confidence)
                    && stress.moves.iter().all(StressMove::is_sound)
                    && (1..=MILLION).contains(&stress.cap_step)
                    && stress.least_scale <= MILLION,
                "stress is a few moves of prices and volatilities, and covered by somebody"
            );
            assert!(
                (1..=T::MaxBids::get()).contains(&T::MaxBidsPerAccount::get()),
                "an account's bids are among those of its block"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Schedules what the vault may lose in a market within a window of [`Config::LossWindow`] blocks before it stops taking
        /// over accounts with positions there.
        ///
        /// ## Dispatch Origin
        ///
        /// [`Config::GovernanceOrigin`].
        ///
        /// ## Details
        ///
        /// In force after [`Config::Timelock`] blocks, and at most [`Config::MaxStep`] from what is in force now.
        ///
        /// ## Errors
        ///
        /// - [`Error::UnknownMarket`], [`Error::NegativeCap`], [`Error::StepTooLarge`]
        /// - [`Error::ChangePending`]: one at a time.
        ///
        /// ## Events
        ///
        /// - [`Event::LossCapScheduled`]
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::loss_cap())]
        pub fn schedule_loss_cap(
            origin: OriginFor<T>,
            market: MarketId,
            cap: Cash,
        ) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            let (cap_now, block) = Self::known_cap(market)?;
            ensure!(cap >= 0, Error::<T>::NegativeCap);
            ensure!(cap_now.waiting(block).is_none(), Error::<T>::ChangePending);
            let old_value = cap_now.at(block);
            let step = T::MaxStep::get();
            ensure!(
                math::is_within_step(old_value, cap, step.relative, step.cash).unwrap_or(false),
                Error::<T>::StepTooLarge
            );
            let due = block
                .checked_add(T::Timelock::get())
                .ok_or(Error::<T>::OutOfRange)?;
            let next = Some((cap, due));
            LossCaps::<T>::insert(
                market,
                LossCap {
                    now: old_value,
                    next,
                },
            );
            Self::deposit_event(Event::LossCapScheduled {
                market,
                old_value,
                new_value: cap,
                due,
            });
            Ok(())
        }

        /// Withdraws what is scheduled for a market's loss cap.
        ///
        /// ## Dispatch Origin
        ///
        /// [`Config::GovernanceOrigin`].
        ///
        /// ## Errors
        ///
        /// - [`Error::UnknownMarket`], [`Error::NothingPending`]
        ///
        /// ## Events
        ///
        /// - [`Event::LossCapCancelled`]
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::loss_cap())]
        pub fn cancel_loss_cap(origin: OriginFor<T>, market: MarketId) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            let (cap, block) = Self::known_cap(market)?;
            let cancelled = cap.waiting(block).ok_or(Error::<T>::NothingPending)?;
            LossCaps::<T>::insert(market, LossCap { next: None, ..cap });
            Self::deposit_event(Event::LossCapCancelled { market, cancelled });
            Ok(())
        }

        /// Lowers a market's loss cap at once, and withdraws what is scheduled for it.
        ///
        /// ## Dispatch Origin
        ///
        /// [`Config::EmergencyOrigin`].
        ///
        /// ## Errors
        ///
        /// - [`Error::UnknownMarket`], [`Error::NegativeCap`], [`Error::NotLower`]
        ///
        /// ## Events
        ///
        /// - [`Event::LossCapLowered`], and [`Event::LossCapCancelled`] if a change was scheduled.
        #[pallet::call_index(2)]
        #[pallet::weight(T::WeightInfo::loss_cap())]
        pub fn lower_loss_cap(origin: OriginFor<T>, market: MarketId, cap: Cash) -> DispatchResult {
            T::EmergencyOrigin::ensure_origin(origin)?;
            let (cap_now, block) = Self::known_cap(market)?;
            let old_value = cap_now.at(block);
            ensure!(cap >= 0, Error::<T>::NegativeCap);
            ensure!(cap < old_value, Error::<T>::NotLower);
            LossCaps::<T>::insert(
                market,
                LossCap {
                    now: cap,
                    next: None,
                },
            );
            if let Some(cancelled) = cap_now.waiting(block) {
                Self::deposit_event(Event::LossCapCancelled { market, cancelled });
            }
            Self::deposit_event(Event::LossCapLowered {
                market,
                old_value,
                new_value: cap,
            });
            Ok(())
        }

        /// Bids for a fraction of an account in open competition (remedy 3), or of a debtor's collateral, with the signer's account `sub`, in this block's close.
        ///
        /// ## Dispatch Origin
        ///
        /// Signed: the owner of the account that takes the fraction.
        ///
        /// ## Details
        ///
        /// `fraction` is in ppm of the whole account as the close finds it. No more is sold than brings the account back to its target; the
        /// bids of one block share that in proportion to what they ask of it, wherever they stand in the block. The taker buys the
        /// same fraction of all positions and collateral at the close's marks, less a discount that grows from close to close; a bid
        /// whose `least_discount` (ppm of the way to the bankruptcy value) is not reached is dropped. So is one that its
        /// account, with all that it asked for, would not cover initially.
        ///
        /// A bid is for this block alone. Another of the same owner for the same account in the same block takes its place. Where there are
        /// more than [`Config::MaxBids`], or for an account than [`Config::MaxBidsPerAccount`], those stay whose takers had free margin for
        /// most of what they ask for when the block began; one whose `least_discount` is not reached gives way to any other.
        ///
        /// Of an account that is called for a debt, or that owes something while the market is offered its positions, the fraction is one of its
        /// collateral alone, no more is sold than pays the debt, and the discount is of the way from the price to the haircut value.
        ///
        /// ## Errors
        ///
        /// - [`Error::NoAccount`], [`Error::NotInGoodStanding`]: of the signer's account.
        /// - [`Error::NotCompeting`], [`Error::BadFraction`], [`Error::TooManyBids`]
        ///
        /// ## Events
        ///
        /// In the close: [`Event::BidFilled`] or [`Event::BidDropped`]. Before it, if others' bids take its place: [`Event::BidDropped`].
        #[pallet::call_index(3)]
        #[pallet::weight(Pallet::<T>::bid_weight(Size::MOST))]
        pub fn bid(
            origin: OriginFor<T>,
            sub: SubaccountId,
            account: AccountRef<T::AccountId>,
            fraction: Ppm,
            least_discount: Ppm,
        ) -> DispatchResultWithPostInfo {
            let taker = AccountRef::new(ensure_signed(origin)?, sub);
            let size = Self::take_bid(taker, account, fraction, least_discount)?;
            Ok(Some(Self::bid_weight(size)).into())
        }

        /// Buys shares of the backstop vault with settlement currency from the signer's wallet, at the end of this epoch.
        ///
        /// ## Dispatch Origin
        ///
        /// Signed.
        ///
        /// ## Details
        ///
        /// The amount leaves the wallet now. At the end of the epoch ([`Config::EpochLength`] blocks) the vault is valued at its marks, once
        /// prices are fresh, and everybody who enters or leaves does so at that value. The shares may leave again after
        /// [`Config::LockUp`] blocks. If the vault is worth nothing by then the amount goes back.
        ///
        /// ## Errors
        ///
        /// - [`Error::DepositTooSmall`], [`Error::WalletTooSmall`]
        /// - [`Error::VaultWithoutEquity`]: at the last close's marks.
        /// - [`Error::TooManyShareRequests`], [`Error::ShareQueueFull`]
        ///
        /// ## Events
        ///
        /// [`Event::SharesAsked`] now; [`Event::SharesBought`] or [`Event::ShareDepositReturned`] at a close.
        #[pallet::call_index(4)]
        #[pallet::weight(T::WeightInfo::vault_deposit())]
        pub fn vault_deposit(
            origin: OriginFor<T>,
            #[pallet::compact] amount: u128,
        ) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            let amount = Cash::try_from(amount).map_err(|_| Error::<T>::OutOfRange)?;
            Self::ask_for_shares(owner, ShareWish::Enter(amount))
        }

        /// Sells shares of the backstop vault at the end of this epoch; the signer's wallet is paid.
        ///
        /// ## Dispatch Origin
        ///
        /// Signed.
        ///
        /// ## Details
        ///
        /// At the end of the epoch all who leave are paid at one value, out of cash that the vault's initial margin does not need. Where
        /// that is not enough each is paid the same part, and the rest of the shares waits for the next epoch's end. Nobody is paid while
        /// withdrawals pause.
        ///
        /// ## Errors
        ///
        /// - [`Error::NoShares`], [`Error::TooFewShares`]
        /// - [`Error::SharesLocked`]: bought less than [`Config::LockUp`] blocks ago.
        /// - [`Error::TooManyShareRequests`], [`Error::ShareQueueFull`]
        ///
        /// ## Events
        ///
        /// [`Event::SharesAsked`] now; [`Event::SharesSold`] at a close.
        #[pallet::call_index(5)]
        #[pallet::weight(T::WeightInfo::vault_withdraw())]
        pub fn vault_withdraw(
            origin: OriginFor<T>,
            #[pallet::compact] shares: u128,
        ) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            Self::ask_for_shares(owner, ShareWish::Leave(shares))
        }
    }

    impl<T: Config> Pallet<T> {
        /// A listed market's loss cap, and the present block.
        fn known_cap(market: MarketId) -> Result<(LossCap, BlockNumber), Error<T>> {
            ensure!(
                T::View::view().market(market).is_ok(),
                Error::<T>::UnknownMarket
            );
            let block = frame_system::Pallet::<T>::block_number();
            let cap = LossCaps::<T>::get(market).unwrap_or(LossCap {
                now: T::DefaultLossCap::get(),
                next: None,
            });
            Ok((cap, UniqueSaturatedInto::unique_saturated_into(block)))
        }
    }
}

impl<T: Config> Pallet<T> {
    /// Weight to reserve for this pallet's part of the next close. A long queue and thresholds that wait crowd out
    /// orders, as far as there is room.
    pub fn budget() -> Weight {
        let allowance = Allowance::<T>::get().unwrap_or_else(Self::calm_allowance);
        let book = Backstop::<T>::get();
        let quoting = if book.quotes {
            T::QuotingWeight::get()
        } else {
            Weight::zero()
        };
        Self::fixed()
            .saturating_add(Weight::from_parts(allowance, 0))
            .saturating_add(Self::share_budget(&book))
            .saturating_add(quoting)
            .saturating_add(Self::most_for_stress())
    }

    /// What the vault's quotes and shares, forecasts and reports of stress take of a close, at most.
    pub(crate) fn most_for_vault() -> Weight {
        T::QuotingWeight::get()
            .saturating_add(Self::most_share_work())
            .saturating_add(Self::most_for_stress())
    }

    /// A close samples one underlying, a sweep ends once in it, and whom it passes may hold nothing but options. What forecast deviations of those that
    /// a scan margins take comes out of the close's time.
    pub(crate) fn most_for_stress() -> Weight {
        let options = T::SweepPerClose::get().saturating_mul(MAX_POSITIONS);
        T::WeightInfo::sample()
            .saturating_add(T::WeightInfo::publish())
            .saturating_add(T::WeightInfo::option_at_stake().saturating_mul(options.into()))
    }

    /// Counts what was done beside the remedies.
    pub(crate) fn count_for_vault(work: Weight) {
        if work != Weight::zero() {
            TookForVault::<T>::mutate(|sum| *sum = sum.saturating_add(work.ref_time()));
        }
    }

    /// What this close took, to be asked at its end, once.
    pub fn spent() -> Weight {
        let took = Took::<T>::take();
        let fixed = match took {
            0 => T::WeightInfo::idle(),
            _ => Self::fixed(),
        };
        let for_vault = TookForVault::<T>::take();
        fixed.saturating_add(Weight::from_parts(took.saturating_add(for_vault), 0))
    }

    /// The least that there must be room for: what nothing pressing needs.
    pub fn calm_budget() -> Weight {
        Self::fixed()
            .saturating_add(Weight::from_parts(Self::calm_allowance(), 0))
            .saturating_add(Self::most_for_vault())
    }

    fn fixed() -> Weight {
        T::WeightInfo::fixed(T::SweepPerClose::get(), SHARED_KEYS, T::DbWeight::get())
    }

    /// What a calm close's work takes at worst.
    pub(crate) fn calm_allowance() -> u64 {
        T::WeightInfo::work(T::Calm::get(), T::DbWeight::get()).ref_time()
    }

    /// What any close may take: as much as others leave, and no less than a calm one.
    pub(crate) fn most_allowance() -> u64 {
        let room = T::Room::get()
            .saturating_sub(Self::fixed())
            .saturating_sub(Self::most_for_vault())
            .ref_time();
        room.max(Self::calm_allowance())
    }

    /// How much the present close may count, whatever time it has.
    pub(crate) fn capacity() -> Work {
        if Allowance::<T>::exists() {
            Self::bounds()
        } else {
            T::Calm::get()
        }
    }

    /// What the constants allow.
    pub(crate) fn bounds() -> Work {
        Work {
            pops: T::MaxPops::get(),
            looks: T::MaxLooks::get(),
            liquidations: T::MaxLiquidations::get(),
            deleveraged: T::MaxDeleveraged::get(),
            ranks: T::MaxRankReads::get(),
        }
    }

    /// The time that the present close has.
    fn meter() -> Meter<T> {
        Meter::of_close(Allowance::<T>::get().unwrap_or_else(Self::calm_allowance))
    }

    /// The time that a calm one has.
    pub(crate) fn calm_meter() -> Meter<T> {
        Meter::of(Self::calm_allowance())
    }

    /// What of a close's time is for finding accounts however long the queue is: a part of it, and the largest account at least.
    pub(crate) fn for_finding(meter: &Meter<T>) -> u64 {
        let part = meter.left().div_ceil(FINDING_PART);
        part.max(meter.largest_look()).min(meter.left())
    }

    /// Decides what the next close may do: all that there is room for if thresholds wait, else what the queue needs.
    fn plan(thresholds_wait: bool) {
        let queue = Queue::<T>::count();
        let presses = queue.saturating_mul(STEPS_PER_QUEUED) > T::Calm::get().liquidations;
        if !thresholds_wait && !presses {
            Allowance::<T>::kill();
            return;
        }
        let most = Self::most_allowance();
        let needed = if thresholds_wait {
            most
        } else {
            // Those that no close was reckoned for may hold more than few positions: twice as much.
            let each = Meter::<T>::of(0).expected(Size::SMALL, true);
            each.saturating_mul(u64::from(queue).saturating_mul(2))
        };
        Allowance::<T>::put(needed.clamp(Self::calm_allowance(), most));
    }
}

impl<T: Config> Liquidations<T::AccountId> for Pallet<T> {
    const MOST_ORDERS: u32 = remedies::market::MOST_ORDERS;

    fn on_marks(before: &RiskView, now: &RiskView) -> Vec<LiquidationOrder<T::AccountId>> {
        // What the forecast schedules is ahead of the thresholds that this close draws.
        let mut sweep = Sweeping::<T>::get().unwrap_or_else(|| SweepState::at(now.block));
        Self::sample(before, now, &mut sweep);
        Self::note_parameters(before, now);
        let vault = T::Ledger::account(&T::Vault::get());
        Self::count_vault_loss(vault.as_ref(), before, now);
        let mut meter = Self::meter();
        // What a calm one finds is bounded by its counts, and leaves the dearest step to whoever waits.
        let queued = u64::from(Queue::<T>::count());
        let waiting = if Self::presses() {
            meter.put_by(Size::SMALL).saturating_mul(queued)
        } else {
            meter.largest_step().saturating_mul(queued.min(1))
        };
        let finding = Self::for_finding(&meter);
        meter.set_aside(waiting.min(meter.left().saturating_sub(finding)));
        if Self::presses() {
            meter.put_by_from_now_on();
        }
        let search = Self::pop_crossed(now, &mut meter);
        meter.release();
        Self::sweep(now, sweep, &mut meter);
        let mut steps = Self::capacity().liquidations;
        Self::quote(vault.as_ref(), now);
        let (cases, _) = Self::reach(now, &BTreeSet::new(), &mut steps, &meter);
        let leaving = cases.iter().map(|case| meter.left_behind(case.triggers()));
        meter.spend(leaving.fold(0, u64::saturating_add));
        let accounts = cases.iter().map(|case| case.of.clone());
        // Each took a step at least.
        Working::<T>::put(BoundedVec::truncate_from(accounts.collect()));
        Halfway::<T>::put(HalfClose {
            left: meter.left(),
            steps,
            search,
        });
        Self::market_remedies(now, cases)
    }

    fn waterfall(view: &mut RiskView, more: u64) -> bool {
        let mut half = Halfway::<T>::take().unwrap_or_default();
        half.left = half.left.saturating_add(more);
        let bids = Self::take_bids();
        let began = Self::meter().left().saturating_add(more);
        let (left, is_shared) = Self::remedies_beyond_the_market(view, half, bids);
        let mut meter = Meter::of_close(left);
        // What was set aside for the remedies is more than they take: many of the queue wait for bids. Whoever is found now is worked on in
        // the next close.
        let search = if Self::presses() {
            half.search.then(Self::pop_crossed(view, &mut meter))
        } else {
            half.search
        };
        let left = Self::empty_shelves(view, meter.left());
        Took::<T>::put(began.saturating_sub(left));
        Self::plan(search.presses());
        let work = Self::work_on_shares(view);
        Self::count_for_vault(Self::share_weight(work));
        is_shared
    }

    fn rules_changed() {
        Self::tighten();
    }

    fn gave_vault(amount: Cash) {
        Self::note_given(amount);
    }

    fn vault_traded(market: novate_types::MarketId, lost: Cash) {
        let block = frame_system::Pallet::<T>::block_number();
        let block = UniqueSaturatedInto::unique_saturated_into(block);
        Self::add_vault_loss(market, Ok(lost), block);
    }

    fn queued() -> u32 {
        Queue::<T>::count()
    }

    fn presses() -> bool {
        Allowance::<T>::exists()
    }

    fn withdrawals_paused() -> bool {
        UncoveredDeficit::<T>::get() > Self::insurance_cash()
    }

    fn open_interest_scale() -> novate_types::Ppm {
        OpenInterestScale::<T>::get()
    }

    fn forget(market: novate_types::MarketId) -> bool {
        Self::forget_market(market)
    }
}
