//! # Instruments
//!
//! What is listed, and on which terms. A market is listed once its numbers make every trade exact: its tick value is a
//! whole number of quantums. From then on the parameters that decide solvency change only through a timelock and in
//! bounded steps, so that whoever holds a position can see a change coming and leave, and a captured governance key
//! cannot turn margins into a weapon in one block. Four ways lead to a change:
//!
//! | who | what | when |
//! |---|---|---|
//! | governance | tiers, market parameters, fee tiers | scheduled; in force at the first close after the timelock |
//! | governance | new tiers and markets, status | at the next close |
//! | governance | rules by which contracts that expire are listed | at the next looks ([`series`]) |
//! | emergency | a stricter status, a lower open-interest cap | at the next close, never the other way |
//! | the forecast of volatility | a tier's margin fractions, above what governance set ([`follow`]) | scheduled as governance's |
//!
//! Everything outside reads the parameters through [`Listing`], once a block, in the close: a call of this pallet
//! changes nothing for the intake of the block it is in.
//!
//! At most one change is scheduled for each tier, each market and the fee tiers, and none for a tier to which a market is
//! about to move, so that what a position is held to moves at most one step a timelock. A change is checked when it is scheduled and again when it is due, against what is in force then.
//! One that raises maintenance margin also waits until the threshold index has been swept since it was scheduled.

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

#[cfg(any(test, feature = "runtime-benchmarks"))]
mod benchmarking;
pub mod follow;
mod impls;
#[cfg(test)]
mod mock;
pub mod series;
#[cfg(test)]
mod tests;
mod try_state;
pub mod types;
mod validate;
pub mod weights;

pub use pallet::*;
pub use types::*;
pub use weights::WeightInfo;

/// Where this pallet's log lines go.
pub(crate) const LOG: &str = "runtime::instruments";

#[allow(clippy::expect_used)] // What the macro generates has some; ours has none.
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use alloc::vec::Vec;
    use frame_support::{
        pallet_prelude::*,
        traits::{Contains, UnixTime},
    };
    use frame_system::pallet_prelude::*;
    use novate_types::{
        BlockNumber, FeeTier, FeedId, Instrument, InstrumentKind, Lots, MarketId, MarketParams,
        MarketStatus, Ppm, Price, RiskTier, Size, Symbol, ThresholdSweep, TierId, MAX_MARKETS,
    };

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {
        /// Lists, schedules and cancels changes, opens markets.
        type GovernanceOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// Makes markets stricter and caps lower; nothing else.
        type EmergencyOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// The oracle's feeds: a market is listed on one of them.
        type Feeds: Contains<FeedId>;
        /// Markets in which nobody holds a position, no order is open and no pot holds cash: they can be removed.
        /// `Nothing` keeps every market listed for ever.
        type Vacant: Contains<MarketId>;
        /// What changes that raise maintenance margin wait for.
        type Sweep: ThresholdSweep;
        /// The block's time: what expires is listed before it does.
        type Time: UnixTime;
        /// Blocks from scheduling a change to the first close that can put it in force.
        #[pallet::constant]
        type Timelock: Get<BlockNumber>;
        /// Most that margin fractions are multiplied by because of volatility, in ppm of one.
        #[pallet::constant]
        type MostFollowed: Get<Ppm>;
        /// How far a parameter moves in one change.
        #[pallet::constant]
        type MaxStep: Get<Step>;
        /// Largest fee or rebate, in ppm of the traded value.
        #[pallet::constant]
        type MaxFee: Get<Ppm>;
        /// Changes scheduled at once.
        #[pallet::constant]
        type MaxPending: Get<u32>;
        /// Changes put in force by one close; the others wait for the next.
        #[pallet::constant]
        type MaxAppliedPerBlock: Get<u32>;
        /// Weights of this pallet's calls.
        type WeightInfo: WeightInfo;
    }

    /// Listed markets.
    #[pallet::storage]
    pub type Instruments<T: Config> = CountedStorageMap<_, Twox64Concat, MarketId, Instrument>;

    /// The number of the next market. Numbers are never used twice: other pallets may still hold traces of a removed one. There are 65,535 of them:
    /// what rules list uses some thirty a day, so that they last for about six years. Before the last is given out, after which nothing can be listed,
    /// [`MarketId`] has to be widened by a migration.
    #[pallet::storage]
    pub type NextMarket<T: Config> = StorageValue<_, MarketId, ValueQuery>;

    /// Risk tiers in force. Never removed.
    #[pallet::storage]
    pub type Tiers<T: Config> = StorageMap<_, Twox64Concat, TierId, RiskTier>;

    /// Tiers whose margin is above what governance set because volatility is high.
    #[pallet::storage]
    pub type AboveFloor<T: Config> = StorageMap<_, Twox64Concat, TierId, Followed>;

    /// Fee tiers, dearest first.
    #[pallet::storage]
    pub type FeeTierList<T: Config> = StorageValue<_, FeeTiers, ValueQuery>;

    /// Scheduled changes, in the order in which they were scheduled, at most one per subject.
    #[pallet::storage]
    pub type Pending<T: Config> = StorageValue<_, BoundedVec<Scheduled, T::MaxPending>, ValueQuery>;

    /// On which terms contracts that expire are listed by rule.
    #[pallet::storage]
    pub type SeriesRules<T: Config> = StorageValue<_, Rules, ValueQuery>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A market was listed; it trades from the next block on.
        MarketListed {
            /// Its number.
            market: MarketId,
            /// Its terms.
            instrument: Instrument,
        },
        /// A market was removed.
        MarketDelisted {
            /// Its number.
            market: MarketId,
        },
        /// A tier was added; no market was in it before.
        TierAdded {
            /// Its number.
            tier: TierId,
            /// Its parameters.
            new_value: RiskTier,
        },
        /// A change was scheduled.
        ChangeScheduled {
            /// What it will be.
            change: Change,
            /// The first block whose close can put it in force.
            due: BlockNumber,
        },
        /// A scheduled change was withdrawn.
        ChangeCancelled {
            /// What it would have changed.
            subject: Subject,
        },
        /// A scheduled change was due and no longer allowed, because what it started from had changed meanwhile.
        ChangeDropped {
            /// What it would have changed.
            subject: Subject,
            /// The rule it breaks now.
            error: DispatchError,
        },
        /// A tier's change came into force.
        TierChanged {
            /// The tier.
            tier: TierId,
            /// What was in force.
            old_value: RiskTier,
            /// What is in force.
            new_value: RiskTier,
        },
        /// A market's change came into force.
        MarketParamsChanged {
            /// The market.
            market: MarketId,
            /// What was in force.
            old_value: MarketParams,
            /// What is in force.
            new_value: MarketParams,
        },
        /// New fee tiers came into force.
        FeeTiersChanged {
            /// What was in force.
            old_value: FeeTiers,
            /// What is in force.
            new_value: FeeTiers,
        },
        /// A market admits more, or less.
        StatusChanged {
            /// The market.
            market: MarketId,
            /// What it admitted.
            old_value: MarketStatus,
            /// What it admits from the next close on.
            new_value: MarketStatus,
        },
        /// The emergency origin lowered a market's open-interest cap.
        OpenInterestCapLowered {
            /// The market.
            market: MarketId,
            /// Lots admitted before.
            old_value: Lots,
            /// Lots admitted from the next close on.
            new_value: Lots,
        },
        /// Contracts are listed by rule on an underlying from now on, or no more.
        SeriesRuleSet {
            /// The underlying's feed.
            underlying: FeedId,
            /// The rule before.
            old_value: Option<SeriesRule>,
            /// The rule from now on.
            new_value: Option<SeriesRule>,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// No market has this number; `Instruments` holds the listed ones.
        UnknownMarket,
        /// No tier has this number; add it with `add_tier` first.
        UnknownTier,
        /// The oracle has no feed of this number; configure it there first.
        UnknownFeed,
        /// The tier exists; change it with `schedule_tier_change`.
        TierExists,
        /// As many markets are listed as one close can carry; remove a vacant one first.
        TooManyMarkets,
        /// A symbol is one to 24 printable ASCII characters without spaces.
        InvalidSymbol,
        /// Another market has this symbol; choose a different one.
        SymbolTaken,
        /// `tick_size · lot_size · 10⁶` must be a whole number of quantums of at least one: choose a coarser tick or lot.
        TickValueNotWhole,
        /// Margin fractions must satisfy `0 < mmf < imf ≤ 1,000,000`.
        InvalidMarginFractions,
        /// The mark band must be above zero and at most half the maintenance margin fraction.
        InvalidMarkBand,
        /// The price band must be above zero and below 1,000,000.
        InvalidPriceBand,
        /// Open-interest limits must satisfy `0 ≤ lower < upper ≤ MAX_AMOUNT`.
        InvalidOpenInterestLimits,
        /// The profit credit must lie between zero and `MAX_AMOUNT`.
        InvalidProfitCredit,
        /// The impact notional must be above zero and at most `MAX_AMOUNT`.
        InvalidImpactNotional,
        /// The minimum notional must be above zero and at most `MAX_AMOUNT`.
        InvalidMinNotional,
        /// The open-interest cap must fit a position: at most 2⁶³ − 1 lots.
        InvalidOpenInterestCap,
        /// The interest rate must lie within ± `MAX_INTEREST` per eight hours.
        InvalidInterest,
        /// The funding cap's factor must be above zero and at most `MAX_FUNDING_CAP_FACTOR`.
        InvalidFundingCapFactor,
        /// At least one fee tier must remain.
        NoFeeTier,
        /// A fee or rebate is beyond `MaxFee`; keep every one within it.
        FeeTooHigh,
        /// Fee tiers must be listed dearest first, for makers and for takers.
        FeeTiersUnsorted,
        /// The lowest maker fee plus the lowest taker fee is below zero: the exchange would pay for trades.
        FeePairBelowZero,
        /// A parameter moves farther than `MaxStep` allows; go there in several changes.
        StepTooLarge,
        /// A change of the same subject is scheduled already; wait for it or cancel it first.
        ChangePending,
        /// `MaxPending` changes are scheduled; wait for one or cancel one.
        TooManyChanges,
        /// No change of this subject is scheduled.
        NoSuchChange,
        /// The new value is what is in force.
        Unchanged,
        /// The emergency origin only makes a market stricter; governance opens it with `set_status`.
        NotStricter,
        /// The emergency origin only lowers a cap; governance raises it with `schedule_market_params`.
        NotLower,
        /// Halt the market before removing it, so that nothing new enters it meanwhile.
        NotHalted,
        /// Positions, orders or cash remain in the market; wait until it is empty.
        NotVacant,
        /// A number is out of range.
        OutOfRange,
        /// The market would move to a tier that is scheduled to change, which makes two steps; wait for the one scheduled or
        /// cancel it first.
        TierChanging,
        /// The blocks before a call auction must be at least one and at most `MAX_CALL_BLOCKS`.
        InvalidCallBlocks,
        /// The blocks at the band's edge that interrupt a market must be at least one and at most `MAX_EDGE_BLOCKS`.
        InvalidEdgeBlocks,
        /// A contract must be listed at least [`LEAST_TERM`] before it expires, and expire within [`MOST_TERM`]; a combination's expiry is that of
        /// the first of its legs to expire, or none. Choose another expiry.
        InvalidExpiry,
        /// A strike must be above zero and have a price in ticks of the market; choose another.
        InvalidStrike,
        /// A rule's tickers begin with one to eight printable ASCII characters without spaces, and it lists at most [`MOST_STRIKES`] strikes on a
        /// side; choose others.
        InvalidRule,
        /// [`MOST_RULES`] underlyings have rules; withdraw one first.
        TooManyRules,
        /// The tickers of another underlying's rule begin with the same; choose another base.
        BaseTaken,
        /// A combination has two to four legs: different markets that are no combinations, of its own underlying, tick size and lot size; ratios
        /// are at most [`novate_types::MAX_RATIO`], and that of at least one of them is 1 or −1. Choose others.
        InvalidLegs,
        /// A combination trades in the market; remove that first.
        InCombination,
    }

    impl<T> From<novate_types::MathError> for Error<T> {
        fn from(_: novate_types::MathError) -> Self {
            Self::OutOfRange
        }
    }

    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// Tiers.
        pub tiers: Vec<(TierId, RiskTier)>,
        /// Markets, numbered from zero.
        pub markets: Vec<Instrument>,
        /// Fee tiers, dearest first.
        pub fee_tiers: Vec<FeeTier>,
        /// On which terms contracts that expire are listed by rule, by underlying.
        pub series_rules: Vec<(FeedId, SeriesRule)>,
        #[serde(skip)]
        #[allow(missing_docs)]
        pub _config: PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        // A genesis that breaks a rule of listing must not start a chain. Feeds alone are not asked for: the oracle's
        // genesis may be built later.
        #[allow(clippy::expect_used, clippy::panic)]
        fn build(&self) {
            for (id, tier) in &self.tiers {
                assert!(
                    !Tiers::<T>::contains_key(id),
                    "tier {id} stands twice in genesis"
                );
                Pallet::<T>::check_tier(tier)
                    .unwrap_or_else(|e| panic!("genesis tier {id}: {e:?}"));
                Tiers::<T>::insert(id, tier);
            }
            for market in &self.markets {
                Pallet::<T>::insert_market(market.clone())
                    .unwrap_or_else(|e| panic!("genesis market {:?}: {e:?}", market.symbol));
            }
            if !self.fee_tiers.is_empty() {
                let fees =
                    FeeTiers::try_from(self.fee_tiers.clone()).expect("at most eight fee tiers");
                Pallet::<T>::check_fee_tiers(&fees)
                    .unwrap_or_else(|e| panic!("genesis fee tiers: {e:?}"));
                FeeTierList::<T>::put(fees);
            }
            let mut rules = Rules::new();
            for (underlying, rule) in &self.series_rules {
                let wrong =
                    |e: Error<T>| -> ! { panic!("genesis rule of feed {underlying}: {e:?}") };
                Pallet::<T>::check_rule(rule).unwrap_or_else(|e| wrong(e));
                if !Pallet::<T>::has_own_base(&rules, *underlying, rule) {
                    wrong(Error::BaseTaken);
                }
                match rules.try_insert(*underlying, rule.clone()) {
                    Ok(None) => {}
                    Ok(Some(_)) => panic!("the rule of feed {underlying} stands twice in genesis"),
                    Err(_) => wrong(Error::TooManyRules),
                }
            }
            if !rules.is_empty() {
                SeriesRules::<T>::put(rules);
            }
        }
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn integrity_test() {
            assert!(
                T::MaxAppliedPerBlock::get() > 0,
                "no change would ever come into force"
            );
            assert!(
                T::MaxStep::get().relative <= novate_types::MILLION,
                "a step is at most the whole value"
            );
            assert!(
                T::MostFollowed::get() >= novate_types::MILLION,
                "margin never follows volatility below what governance set"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call(weight(<T as Config>::WeightInfo))]
    impl<T: Config> Pallet<T> {
        /// Lists a market.
        ///
        /// ## Dispatch Origin
        ///
        /// `GovernanceOrigin`.
        ///
        /// ## Details
        ///
        /// The market gets the next free number and is open; once its feed has a price, and an option's expiry a volatility, it takes orders for its
        /// tier's `call_blocks`, and trades from the call auction at their end on. Tick and lot size, the kind and the underlying never change
        /// afterwards: positions and resting orders are counted in them. A market that expires is removed when it has settled and nothing is left
        /// in it. A combination trades while all its legs do, by a call auction of its own once they have opened, and ends with the first of them; its
        /// legs have to be listed before it.
        ///
        /// ## Errors
        ///
        /// - [`Error::TooManyMarkets`], [`Error::OutOfRange`]: no number is free.
        /// - [`Error::InvalidSymbol`], [`Error::SymbolTaken`], [`Error::UnknownFeed`], [`Error::TickValueNotWhole`].
        /// - [`Error::InvalidExpiry`], [`Error::InvalidStrike`]: `kind` has one that will not do.
        /// - [`Error::UnknownMarket`], [`Error::InvalidLegs`]: a combination has legs that will not do.
        /// - [`Error::UnknownTier`], [`Error::InvalidMinNotional`], [`Error::InvalidOpenInterestCap`],
        ///   [`Error::InvalidInterest`], [`Error::InvalidFundingCapFactor`]: `params` breaks a bound.
        ///
        /// ## Events
        ///
        /// - [`Event::MarketListed`].
        #[pallet::call_index(0)]
        pub fn list_market(
            origin: OriginFor<T>,
            symbol: Symbol,
            kind: InstrumentKind,
            underlying: FeedId,
            tick_size: Price,
            lot_size: Size,
            params: MarketParams,
        ) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            ensure!(T::Feeds::contains(&underlying), Error::<T>::UnknownFeed);
            let tick_value = novate_types::math::tick_value(tick_size, lot_size)
                .ok_or(Error::<T>::TickValueNotWhole)?;
            Self::check_term(&kind)?;
            let status = MarketStatus::Open;
            let instrument = Instrument {
                symbol,
                kind,
                underlying,
                tick_size,
                lot_size,
                tick_value,
                status,
                params,
            };
            let market = Self::insert_market(instrument.clone())?;
            Self::deposit_event(Event::MarketListed { market, instrument });
            Ok(())
        }

        /// Adds a risk tier.
        ///
        /// ## Dispatch Origin
        ///
        /// `GovernanceOrigin`.
        ///
        /// ## Details
        ///
        /// No timelock: no market is in a tier that did not exist. A listed market enters it by
        /// [`Pallet::schedule_market_params`], one step from the tier it is in.
        ///
        /// ## Errors
        ///
        /// - [`Error::TierExists`].
        /// - [`Error::InvalidMarginFractions`], [`Error::InvalidMarkBand`], [`Error::InvalidPriceBand`],
        ///   [`Error::InvalidOpenInterestLimits`], [`Error::InvalidProfitCredit`], [`Error::InvalidImpactNotional`],
        ///   [`Error::InvalidCallBlocks`], [`Error::InvalidEdgeBlocks`].
        ///
        /// ## Events
        ///
        /// - [`Event::TierAdded`].
        #[pallet::call_index(1)]
        pub fn add_tier(origin: OriginFor<T>, tier: TierId, new_value: RiskTier) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            ensure!(!Tiers::<T>::contains_key(tier), Error::<T>::TierExists);
            Self::check_tier(&new_value)?;
            Tiers::<T>::insert(tier, new_value);
            Self::deposit_event(Event::TierAdded { tier, new_value });
            Ok(())
        }

        /// Schedules new parameters for a tier.
        ///
        /// ## Dispatch Origin
        ///
        /// `GovernanceOrigin`.
        ///
        /// ## Details
        ///
        /// In force at the first close after the timelock; a rise of `mmf` also waits for a sweep of the threshold index
        /// that began after this call. What is set, and its step, is the floor: while margin follows volatility above it, what is in
        /// force is a multiple. What the forecast scheduled for the tier is withdrawn.
        ///
        /// ## Errors
        ///
        /// - [`Error::UnknownTier`], [`Error::Unchanged`], [`Error::StepTooLarge`].
        /// - [`Error::ChangePending`], [`Error::TierChanging`], [`Error::TooManyChanges`].
        /// - Those of [`Pallet::add_tier`] for a parameter out of bounds.
        ///
        /// ## Events
        ///
        /// - [`Event::ChangeScheduled`]; later [`Event::TierChanged`] or [`Event::ChangeDropped`].
        #[pallet::call_index(2)]
        pub fn schedule_tier_change(
            origin: OriginFor<T>,
            tier: TierId,
            new_value: RiskTier,
        ) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            Self::schedule(Change::Tier(tier, new_value))
        }

        /// Schedules new parameters for a market, its tier included.
        ///
        /// ## Dispatch Origin
        ///
        /// `GovernanceOrigin`.
        ///
        /// ## Details
        ///
        /// In force at the first close after the timelock. A move to another tier is one step for each of the tiers'
        /// parameters; if it raises `mmf` it also waits for a sweep of the threshold index that began after this call.
        ///
        /// ## Errors
        ///
        /// - [`Error::UnknownMarket`], [`Error::Unchanged`], [`Error::StepTooLarge`].
        /// - [`Error::ChangePending`], [`Error::TierChanging`], [`Error::TooManyChanges`].
        /// - Those of [`Pallet::list_market`] for a parameter out of bounds.
        ///
        /// ## Events
        ///
        /// - [`Event::ChangeScheduled`]; later [`Event::MarketParamsChanged`] or [`Event::ChangeDropped`].
        #[pallet::call_index(3)]
        pub fn schedule_market_params(
            origin: OriginFor<T>,
            market: MarketId,
            new_value: MarketParams,
        ) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            Self::schedule(Change::Market(market, new_value))
        }

        /// Schedules new fee tiers.
        ///
        /// ## Dispatch Origin
        ///
        /// `GovernanceOrigin`.
        ///
        /// ## Details
        ///
        /// The whole list, dearest first. A tier that exists moves by one step; tiers may be added or removed at the
        /// end, and an account in a removed tier pays the first.
        ///
        /// ## Errors
        ///
        /// - [`Error::NoFeeTier`], [`Error::FeeTooHigh`], [`Error::FeeTiersUnsorted`], [`Error::FeePairBelowZero`].
        /// - [`Error::Unchanged`], [`Error::StepTooLarge`], [`Error::ChangePending`], [`Error::TooManyChanges`].
        ///
        /// ## Events
        ///
        /// - [`Event::ChangeScheduled`]; later [`Event::FeeTiersChanged`] or [`Event::ChangeDropped`].
        #[pallet::call_index(4)]
        pub fn schedule_fee_tiers(origin: OriginFor<T>, new_value: FeeTiers) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            Self::schedule(Change::FeeTiers(new_value))
        }

        /// Withdraws a scheduled change.
        ///
        /// ## Dispatch Origin
        ///
        /// `GovernanceOrigin`.
        ///
        /// ## Errors
        ///
        /// - [`Error::NoSuchChange`].
        ///
        /// ## Events
        ///
        /// - [`Event::ChangeCancelled`].
        #[pallet::call_index(5)]
        pub fn cancel_change(origin: OriginFor<T>, subject: Subject) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            ensure!(Self::withdraw_change(subject), Error::<T>::NoSuchChange);
            Ok(())
        }

        /// Opens a market, or makes it stricter.
        ///
        /// ## Dispatch Origin
        ///
        /// `GovernanceOrigin`.
        ///
        /// ## Errors
        ///
        /// - [`Error::UnknownMarket`], [`Error::Unchanged`].
        ///
        /// ## Events
        ///
        /// - [`Event::StatusChanged`].
        #[pallet::call_index(6)]
        pub fn set_status(
            origin: OriginFor<T>,
            market: MarketId,
            new_value: MarketStatus,
        ) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            Self::change_status(market, |old_value| {
                ensure!(new_value != old_value, Error::<T>::Unchanged);
                Ok(new_value)
            })
        }

        /// Makes a market stricter: reduce-only, or halted.
        ///
        /// ## Dispatch Origin
        ///
        /// `EmergencyOrigin`.
        ///
        /// ## Errors
        ///
        /// - [`Error::UnknownMarket`].
        /// - [`Error::NotStricter`]: the market is that strict already, or stricter.
        ///
        /// ## Events
        ///
        /// - [`Event::StatusChanged`].
        #[pallet::call_index(7)]
        pub fn restrict_market(
            origin: OriginFor<T>,
            market: MarketId,
            new_value: MarketStatus,
        ) -> DispatchResult {
            T::EmergencyOrigin::ensure_origin(origin)?;
            Self::change_status(market, |old_value| {
                ensure!(new_value > old_value, Error::<T>::NotStricter);
                Ok(new_value)
            })
        }

        /// Lowers a market's open-interest cap.
        ///
        /// ## Dispatch Origin
        ///
        /// `EmergencyOrigin`.
        ///
        /// ## Details
        ///
        /// Open positions stay; matches beyond the cap admit only reductions. At zero nothing new opens. A change
        /// scheduled for the market's parameters is cancelled, lest it raise the cap again.
        ///
        /// ## Errors
        ///
        /// - [`Error::UnknownMarket`], [`Error::NotLower`].
        ///
        /// ## Events
        ///
        /// - [`Event::OpenInterestCapLowered`], and [`Event::ChangeCancelled`] if a change was scheduled.
        #[pallet::call_index(8)]
        pub fn lower_open_interest_cap(
            origin: OriginFor<T>,
            market: MarketId,
            new_value: Lots,
        ) -> DispatchResult {
            T::EmergencyOrigin::ensure_origin(origin)?;
            let old_value = Instruments::<T>::try_mutate(market, |listed| {
                let cap = &mut listed
                    .as_mut()
                    .ok_or(Error::<T>::UnknownMarket)?
                    .params
                    .open_interest_cap;
                ensure!(new_value < *cap, Error::<T>::NotLower);
                Ok::<_, DispatchError>(core::mem::replace(cap, new_value))
            })?;
            Self::withdraw_change(Subject::Market(market));
            Self::deposit_event(Event::OpenInterestCapLowered {
                market,
                old_value,
                new_value,
            });
            Ok(())
        }

        /// Removes a halted market in which nothing is left.
        ///
        /// ## Dispatch Origin
        ///
        /// `GovernanceOrigin`.
        ///
        /// ## Details
        ///
        /// Its number is not used again. A change scheduled for it is cancelled.
        ///
        /// ## Errors
        ///
        /// - [`Error::UnknownMarket`], [`Error::NotHalted`], [`Error::NotVacant`], [`Error::InCombination`].
        ///
        /// ## Events
        ///
        /// - [`Event::MarketDelisted`], and [`Event::ChangeCancelled`] if a change was scheduled.
        #[pallet::call_index(9)]
        pub fn delist_market(origin: OriginFor<T>, market: MarketId) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            let listed = Instruments::<T>::get(market).ok_or(Error::<T>::UnknownMarket)?;
            ensure!(listed.status == MarketStatus::Halted, Error::<T>::NotHalted);
            ensure!(T::Vacant::contains(&market), Error::<T>::NotVacant);
            ensure!(Self::is_no_leg(market), Error::<T>::InCombination);
            Instruments::<T>::remove(market);
            Self::withdraw_change(Subject::Market(market));
            Self::deposit_event(Event::MarketDelisted { market });
            Ok(())
        }

        /// Sets on which terms contracts that expire are listed by rule on an underlying; without a value none are any more.
        ///
        /// ## Dispatch Origin
        ///
        /// `GovernanceOrigin`.
        ///
        /// ## Details
        ///
        /// No timelock: nobody holds what is not listed yet. What is listed stays as it is. One market at most is listed every
        /// [`LOOK_EVERY`](crate::series::LOOK_EVERY) blocks, futures first, then options at the strikes nearest to the index, as long as
        /// [`RESERVED_MARKETS`] are free and the rule has no more than its even part of the others.
        ///
        /// ## Errors
        ///
        /// - [`Error::UnknownFeed`], [`Error::InvalidRule`], [`Error::BaseTaken`], [`Error::TickValueNotWhole`], [`Error::TooManyRules`],
        ///   [`Error::Unchanged`].
        /// - Those of [`Pallet::list_market`] for parameters out of bounds.
        ///
        /// ## Events
        ///
        /// - [`Event::SeriesRuleSet`]; later [`Event::MarketListed`].
        #[pallet::call_index(10)]
        pub fn set_series_rule(
            origin: OriginFor<T>,
            underlying: FeedId,
            new_value: Option<SeriesRule>,
        ) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            ensure!(T::Feeds::contains(&underlying), Error::<T>::UnknownFeed);
            let mut rules = SeriesRules::<T>::get();
            let old_value = match &new_value {
                Some(rule) => {
                    Self::check_rule(rule)?;
                    ensure!(
                        Self::has_own_base(&rules, underlying, rule),
                        Error::<T>::BaseTaken
                    );
                    rules
                        .try_insert(underlying, rule.clone())
                        .map_err(|_| Error::<T>::TooManyRules)?
                }
                None => rules.remove(&underlying),
            };
            ensure!(new_value != old_value, Error::<T>::Unchanged);
            if rules.is_empty() {
                SeriesRules::<T>::kill();
            } else {
                SeriesRules::<T>::put(rules);
            }
            Self::deposit_event(Event::SeriesRuleSet {
                underlying,
                old_value,
                new_value,
            });
            Ok(())
        }
    }

    impl<T: Config> Pallet<T> {
        /// Gives a market that passes every rule of listing the next number.
        pub(crate) fn insert_market(instrument: Instrument) -> Result<MarketId, Error<T>> {
            ensure!(
                Instruments::<T>::count() < MAX_MARKETS,
                Error::<T>::TooManyMarkets
            );
            Self::check_instrument(&instrument)?;
            ensure!(
                Instruments::<T>::iter_values().all(|listed| listed.symbol != instrument.symbol),
                Error::<T>::SymbolTaken
            );
            let market = NextMarket::<T>::get();
            NextMarket::<T>::put(market.checked_add(1).ok_or(Error::<T>::OutOfRange)?);
            Instruments::<T>::insert(market, instrument);
            Ok(market)
        }
    }
}
