//! # Liquidation
//!
//! Finds accounts below maintenance margin without scanning the others, and takes the remedies in their order (section 7 of the
//! protocol). Nobody calls it and nobody has discretion: the close does, twice a block. [`Liquidations::on_marks`] runs when
//! marks and funding have moved, before the match; [`Liquidations::waterfall`] after it.
//!
//! | remedy | what | where |
//! |---|---|---|
//! | 1 | open orders are cancelled | [`remedies::market`] |
//! | 2 | reduce-only orders into the next match, five closes long | [`remedies::market`] |
//! | 3 | open competition | not built yet; accounts go from 2 to 4 |
//! | 4 | the vault takes everything | [`remedies::vault`] |
//! | 5 | the insurance fund tops up to zero | [`remedies::insurance`] |
//! | 6 | deleveraging at the bankruptcy price | [`remedies::deleverage`] |
//! | 7 | shared loss | not built yet; what 6 cannot place stays queued and pauses withdrawals |
//!
//! All three searches (thresholds, queue, counterparties of deleveraging) use one structure, [`pages`]; `index` and `queue`
//! say what they keep in it. Each step is one storage layer: it happens as a whole or not at all, and moves cash and cost only in
//! equal and opposite amounts, so `Σ cash − Σ cost + Σ pots` never changes here.
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
mod index;
#[cfg(test)]
mod mock;
pub mod pages;
mod queue;
pub mod remedies;
pub mod scale;
#[cfg(test)]
mod tests;
mod try_state;
pub mod types;
pub mod weights;

pub use index::MOST_CANDIDATES;
pub use pallet::*;
pub use types::*;
pub use weights::WeightInfo;

use alloc::vec::Vec;
use frame_support::{traits::Get, weights::Weight};
use novate_types::{LiquidationOrder, Liquidations, RiskView};

/// Steps that a queued account is reckoned to take, see [`Work`].
const STEPS_PER_QUEUED: u32 = 8;
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
    use novate_risk::LiquidationParams;
    use novate_types::{
        math, AccountRef, BlockNumber, Cash, CurrentView, Ledger, Lots, MarketId, OrderBook,
        ParametersAhead, Ppm, RiskModel, Side, Ticks, MAX_HOLDINGS,
    };
    use sp_runtime::traits::UniqueSaturatedInto;

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

    /// What accounts lacked that left the queue because a price is missing, in quantums above zero.
    #[pallet::storage]
    pub type Suspended<T: Config> = StorageMap<_, Blake2_128Concat, AccountRef<T::AccountId>, Cash>;

    /// Sum of the deficits of the queue and of those who wait for a price, in quantums.
    #[pallet::storage]
    pub type UncoveredDeficit<T: Config> = StorageValue<_, Cash, ValueQuery>;

    /// What the next close may do, and its reserve is made for: written by the close before. None is [`Config::Calm`].
    #[pallet::storage]
    pub type Capacity<T: Config> = StorageValue<_, Work>;

    /// What the vault may lose in a market and window, where it is not the default.
    #[pallet::storage]
    pub type LossCaps<T: Config> = StorageMap<_, Twox64Concat, MarketId, LossCap>;

    /// What the vault lost in a market, at marks and funding.
    #[pallet::storage]
    pub type VaultLosses<T: Config> = StorageMap<_, Twox64Concat, MarketId, VaultLoss, ValueQuery>;

    /// How far the sweep has come.
    #[pallet::storage]
    pub type Sweeping<T: Config> = StorageValue<_, SweepState<T::AccountId>>;

    /// Parameters that thresholds are drawn with because they are coming.
    #[pallet::storage]
    pub type Coming<T: Config> = StorageValue<_, Stricter, ValueQuery>;

    /// In how many closes a parameter in force became stricter: where [`novate_types::RiskAxis::Parameters`] stands.
    #[pallet::storage]
    pub type Tightenings<T: Config> = StorageValue<_, u32, ValueQuery>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// An account is below maintenance margin.
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
        /// Remedy 4: the vault holds everything it held.
        TakenOver {
            /// Which.
            account: AccountRef<T::AccountId>,
            /// Why the market was not enough.
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
            /// Why the market was not enough.
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
        /// An account is out of the queue, and trades again.
        Recovered {
            /// Which.
            account: AccountRef<T::AccountId>,
            /// Its equity.
            equity: Cash,
            /// Its maintenance margin.
            maintenance: Cash,
        },
        /// Neither vault nor fund nor counterparties covered an account this time. Withdrawals pause while the sum of these exceeds
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
                    && calm.ranks <= bounds.ranks
                    && calm.swept == bounds.swept,
                "pressure raises what a close may do"
            );
            let largest = types::steps_of(MAX_HOLDINGS);
            assert!(
                calm.pops > 0
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
    /// orders, up to the bounds of [`Config`].
    pub fn budget() -> Weight {
        T::WeightInfo::budget(Self::capacity())
    }

    /// The least that there must be room for: what nothing pressing needs.
    pub fn calm_budget() -> Weight {
        T::WeightInfo::budget(T::Calm::get())
    }

    /// What the present close may do, and has been reserved for.
    pub(crate) fn capacity() -> Work {
        let most = Self::most();
        let planned = Capacity::<T>::get().unwrap_or_else(T::Calm::get);
        // A plan of before an upgrade may be larger than what there is room for since.
        Work {
            pops: planned.pops.min(most.pops),
            looks: planned.looks.min(most.looks),
            liquidations: planned.liquidations.min(most.liquidations),
            deleveraged: planned.deleveraged.min(most.deleveraged),
            ranks: planned.ranks.min(most.ranks),
            swept: planned.swept.min(most.swept),
        }
    }

    /// What any close may do: everything that the constants allow, or as large a part of it as there is room for.
    pub(crate) fn most() -> Work {
        T::WeightInfo::fit(T::Calm::get(), Self::bounds(), T::Room::get())
    }

    /// What the constants allow.
    pub(crate) fn bounds() -> Work {
        Work {
            pops: T::MaxPops::get(),
            looks: T::MaxLooks::get(),
            liquidations: T::MaxLiquidations::get(),
            deleveraged: T::MaxDeleveraged::get(),
            ranks: T::MaxRankReads::get(),
            swept: T::SweepPerClose::get(),
        }
    }

    /// Whether thresholds wait decides how many the next close looks at.
    fn plan_pops(behind: bool) {
        let next = if behind { Self::most() } else { T::Calm::get() };
        Self::put_capacity(Work {
            pops: next.pops,
            looks: next.looks,
            ..Self::capacity()
        });
    }

    /// The queue as this close leaves it decides the rest.
    fn plan_remedies() {
        let (calm, most) = (T::Calm::get(), Self::most());
        let queue = Queue::<T>::count();
        // An account takes eight steps, or fewer. With ever so few of many it takes another close. Where thresholds wait there is more
        // to come than the queue shows.
        let behind = Self::capacity().pops > calm.pops;
        let steps = if behind {
            u32::MAX
        } else {
            queue.saturating_mul(STEPS_PER_QUEUED)
        };
        let liquidations = steps.max(calm.liquidations).min(most.liquidations);
        // A queue that a calm close works off does not press.
        let (deleveraged, ranks) = if liquidations > calm.liquidations {
            (most.deleveraged, most.ranks)
        } else {
            (calm.deleveraged, calm.ranks)
        };
        Self::put_capacity(Work {
            liquidations,
            deleveraged,
            ranks,
            ..Self::capacity()
        });
    }

    fn put_capacity(next: Work) {
        if next == T::Calm::get() {
            Capacity::<T>::kill();
        } else {
            Capacity::<T>::put(next);
        }
    }
}

impl<T: Config> Liquidations<T::AccountId> for Pallet<T> {
    const MOST_ORDERS: u32 = remedies::market::MOST_ORDERS;

    fn on_marks(before: &RiskView, now: &RiskView) -> Vec<LiquidationOrder<T::AccountId>> {
        Self::note_parameters(before, now);
        Self::count_vault_loss(before, now);
        Self::plan_pops(Self::pop_crossed(now));
        Self::sweep(now);
        let cases = Self::reach(now);
        Self::market_remedies(now, cases)
    }

    fn waterfall(view: &RiskView) {
        Self::remedies_beyond_the_market(view);
        Self::plan_remedies();
    }

    fn queued() -> u32 {
        Queue::<T>::count()
    }

    fn presses() -> bool {
        Capacity::<T>::exists()
    }

    fn withdrawals_paused() -> bool {
        UncoveredDeficit::<T>::get() > Self::insurance_cash()
    }
}
