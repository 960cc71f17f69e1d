//! # Price oracle
//!
//! Prices of underlyings and collateral, brought on chain by the validators themselves.
//!
//! After each block a validator's off-chain worker ([`worker`]) asks every configured source over HTTP, takes the
//! median of bid, ask and last of each quote, converts quotes in other currencies through those currencies' own fresh
//! feeds, leaves out outliers and takes the median over what is left ([`aggregate::combine`]). It signs the result with
//! its session's oracle key and submits it when a price moved by [`Config::Deviation`] or [`Config::Heartbeat`] passed.
//!
//! The observation is a transaction without a fee, authorised by [`Pallet::observe`]'s preconditions alone. The chain
//! keeps the newest observation of each validator, and once a block, in [`PriceFeeds::close_round`], takes the
//! stake-weighted median of those that are fresh ([`aggregate::aggregate`]). Without a quorum of more than two thirds of
//! stake a feed has no new price; the last one stays with the time at which it was observed, for its reader to judge.
//!
//! Whose observation is not fresh, and whose price is an outlier ([`score::outliers`]), the close notes; where there is neither
//! it reads and writes nothing for it. The scores are added up over an era, [`Config::SessionsPerEra`] sessions, as within one
//! nobody comes, goes or changes keys; at its end [`Event::EraEnded`] says who strayed in more than [`Config::OutlierShare`] of
//! the rounds in which it observed. [`Config::Consequences`] withholds what such a validator earned, and where that was so in
//! [`Config::OffenceEras`] of the last [`Config::KeptEras`] hears of an offence.
//!
//! Of feeds that want one, the volatility surface is brought on chain likewise ([`surface`]).
//!
//! What is asked of whom is on-chain configuration ([`Source`], [`Feed`]), and decides solvency: [`Config::GovernanceOrigin`]
//! schedules its changes, and after [`Config::Timelock`] the close puts them in force, in the order in which they were
//! scheduled, if they are still valid. Each is one step: a feed's minima move by [`Config::MaxStep`], and of a feed that has a
//! price one source changes in a timelock, so that whoever holds governance needs as many of them as there are honest
//! sources, for all to see. [`Config::EmergencyOrigin`] can have a source no longer asked at once, and nothing
//! else. A validator can put its own gateway before a source ([`worker::SOURCE_PREFIX`]).
//!
//! [`PriceFeeds::close_round`]: novate_types::PriceFeeds::close_round

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

pub mod aggregate;
pub mod crypto;
pub mod decimal;
pub mod json;
pub mod score;
pub mod surface;
pub mod types;
pub mod venues;
pub mod weights;
pub mod worker;

mod changes;
mod era;
mod fetch;
mod impls;
mod try_state;

#[cfg(any(test, feature = "runtime-benchmarks"))]
#[cfg_attr(
    not(test),
    allow(
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]
mod benchmarking;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;

pub use era::{EraScores, MaxScored};
pub use impls::Refusal;
pub use pallet::*;
pub use types::*;
pub use weights::WeightInfo;

use novate_types::EraIndex;

/// Stakes of the session's validators.
pub trait ValidatorWeights {
    /// Weight of the validator at `index` of the session's set.
    fn weight(index: u32) -> u128;
}

/// Everybody weighs the same: what genesis has until there is stake.
pub struct EqualWeights;

impl ValidatorWeights for EqualWeights {
    fn weight(_: u32) -> u128 {
        1
    }
}

/// What becomes of a validator whose prices were outliers.
pub trait Consequences<AccountId> {
    /// It earns nothing for the era.
    fn withhold(validator: &AccountId, era: EraIndex);
    /// That was so once too often: an offence, for whoever holds its stake. Follows [`Self::withhold`] of the same era.
    fn report(validator: &AccountId, era: EraIndex);
}

/// Nothing is withheld and nothing slashed: what there is until validators earn rewards and hold stake. Scores and verdicts
/// are on chain, and in the event, for all to see.
impl<AccountId> Consequences<AccountId> for () {
    fn withhold(_: &AccountId, _: EraIndex) {}
    fn report(_: &AccountId, _: EraIndex) {}
}

#[allow(missing_docs)] // The macro's own items have none.
#[allow(clippy::expect_used)] // What the macro generates has some; ours has none.
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use crate::{
        crypto::{AuthorityId, AuthoritySignature},
        surface::{DueSurfaces, Flaw, ListedStrikes, SurfaceObservation},
    };
    use alloc::{boxed::Box, vec::Vec};
    use frame_support::{
        pallet_prelude::*,
        traits::{Contains, Time},
        BoundedBTreeMap,
    };
    use frame_system::{
        ensure_authorized, offchain::CreateAuthorizedTransaction, pallet_prelude::*,
    };
    use novate_risk::surface::Surface;
    use novate_types::{
        BlockNumber, FeedId, FeedPrice, Millis, OracleScore, Ppm, ValidatorScore, MILLION,
    };
    use sp_runtime::SaturatedConversion;

    #[pallet::pallet]
    pub struct Pallet<T>(_);

    /// What the oracle needs of its runtime.
    #[pallet::config]
    pub trait Config:
        frame_system::Config<RuntimeEvent: From<Event<Self>>>
        + CreateAuthorizedTransaction<Call<Self>>
    {
        /// Schedules and cancels changes of sources and feeds.
        type GovernanceOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// Has sources no longer asked; nothing else.
        type EmergencyOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// The feeds that a market, a collateral asset or the settlement currency is priced by: they cannot be removed.
        type InUse: Contains<FeedId>;
        /// Blocks from scheduling a change to the first close that can put it in force; at least one.
        #[pallet::constant]
        type Timelock: Get<BlockNumber>;
        /// How far each of a feed's minima moves in one change; at least one.
        #[pallet::constant]
        type MaxStep: Get<u8>;
        /// Changes scheduled at once.
        #[pallet::constant]
        type MaxPending: Get<u32>;
        /// Changes put in force by one close; the others wait for the next.
        #[pallet::constant]
        type MaxAppliedPerBlock: Get<u32>;
        /// The block's time, in milliseconds.
        type Time: Time<Moment = Millis>;
        /// Stakes.
        type Weights: ValidatorWeights;
        /// Most validators in a session; beyond it they cannot observe.
        #[pallet::constant]
        type MaxValidators: Get<u32>;
        /// Longest time between two observations of a validator. One older than two of these no longer counts.
        #[pallet::constant]
        type Heartbeat: Get<Millis>;
        /// Relative change of a price since a validator's last observation at which it submits at once.
        #[pallet::constant]
        type Deviation: Get<Ppm>;
        /// Sessions of an era, at least one. Rewards are withheld for a whole era.
        #[pallet::constant]
        type SessionsPerEra: Get<u32>;
        /// The share of the rounds in which a validator observed up to which it may have been an outlier.
        #[pallet::constant]
        type OutlierShare: Get<Ppm>;
        /// Eras whose scores are kept.
        #[pallet::constant]
        type KeptEras: Get<u32>;
        /// In how many of these a validator must have been an outlier too often for an offence; at least two.
        #[pallet::constant]
        type OffenceEras: Get<u32>;
        /// What follows.
        type Consequences: Consequences<Self::AccountId>;
        /// Longest time between two observations of a feed's volatilities by a validator. One older than two of these no longer counts.
        #[pallet::constant]
        type SurfaceHeartbeat: Get<Millis>;
        /// Relative change of an expiry's variance at the money since a validator's last observation at which it submits before that.
        #[pallet::constant]
        type SurfaceDeviation: Get<Ppm>;
        /// Age of a slice of the surface beyond which it is stale; at least two heartbeats.
        #[pallet::constant]
        type SurfaceFreshFor: Get<Millis>;
        /// Where options are listed.
        type Strikes: ListedStrikes;
        /// Weights of calls and of the close.
        type WeightInfo: WeightInfo;
    }

    /// The validators of this session, by index.
    #[derive(
        CloneNoBound,
        DebugNoBound,
        PartialEqNoBound,
        EqNoBound,
        frame_support::DefaultNoBound,
        Encode,
        Decode,
        MaxEncodedLen,
        TypeInfo,
    )]
    #[scale_info(skip_type_params(T))]
    pub struct ObserverSet<T: Config> {
        /// Goes up whenever the keys change. Signatures are bound to it.
        pub id: u64,
        /// Their oracle keys.
        pub keys: BoundedVec<AuthorityId, T::MaxValidators>,
    }

    /// Who may observe.
    #[pallet::storage]
    pub type Observers<T: Config> = StorageValue<_, ObserverSet<T>, ValueQuery>;

    /// The newest observation of each validator of the set. Cleared when the set changes.
    #[pallet::storage]
    pub type Observations<T> = StorageMap<_, Identity, u32, Observation>;

    /// What is priced.
    #[pallet::storage]
    pub type Feeds<T> =
        StorageValue<_, BoundedBTreeMap<FeedId, Feed, ConstU32<MAX_FEEDS>>, ValueQuery>;

    /// Who is asked. At most [`MAX_SOURCES`].
    #[pallet::storage]
    pub type Sources<T> = CountedStorageMap<_, Blake2_128Concat, SourceName, Source>;

    /// The last aggregate of each feed that had a quorum. Its time of observation never goes back.
    #[pallet::storage]
    pub type Prices<T> =
        StorageValue<_, BoundedBTreeMap<FeedId, FeedPrice, ConstU32<MAX_FEEDS>>, ValueQuery>;

    /// Scheduled changes, in the order in which they were scheduled, at most one per subject.
    #[pallet::storage]
    pub type Pending<T: Config> = StorageValue<_, BoundedVec<Scheduled, T::MaxPending>, ValueQuery>;

    /// The era that runs.
    #[derive(
        CloneNoBound,
        DebugNoBound,
        PartialEqNoBound,
        EqNoBound,
        frame_support::DefaultNoBound,
        Encode,
        Decode,
        MaxEncodedLen,
        TypeInfo,
    )]
    #[scale_info(skip_type_params(T))]
    pub struct Era<T: Config> {
        /// Its number.
        pub index: EraIndex,
        /// Its sessions that have begun.
        pub sessions: u32,
        /// The first block of the running session: rounds count from here.
        pub since: BlockNumber,
        /// The running session's validators, by index.
        pub validators: BoundedVec<T::AccountId, T::MaxValidators>,
        /// What the sessions that ended come to.
        pub scores: BoundedVec<(T::AccountId, OracleScore), MaxScored<T>>,
    }

    /// The era that runs. Written when a session begins.
    #[pallet::storage]
    pub type CurrentEra<T: Config> = StorageValue<_, Era<T>, ValueQuery>;

    /// What the closes of the running session had to say of its validators, by index as far as there was something. Their
    /// rounds are not counted here, but are the blocks since [`Era::since`]: a close that has nothing to say writes nothing.
    #[pallet::storage]
    pub type SessionScores<T: Config> =
        StorageValue<_, BoundedVec<OracleScore, T::MaxValidators>, ValueQuery>;

    /// The last [`Config::KeptEras`] eras that ended.
    #[pallet::storage]
    pub type Eras<T: Config> = StorageMap<_, Identity, EraIndex, EraScores<T>, ValueQuery>;

    /// The newest observation of each validator of the set, by feed. Cleared when the set changes.
    #[pallet::storage]
    pub type SurfaceObservations<T> =
        StorageDoubleMap<_, Identity, u32, Identity, FeedId, SurfaceObservation>;

    /// Feeds with new observations, each with the first block whose close makes a surface of them: one a close.
    #[pallet::storage]
    pub type SurfacesDue<T> = StorageValue<_, DueSurfaces, ValueQuery>;

    /// The volatility surface of each feed that has one: of every expiry the last good slice.
    #[pallet::storage]
    pub type Surfaces<T> = StorageMap<_, Identity, FeedId, Surface, ValueQuery>;

    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// What is priced.
        pub feeds: Vec<(FeedId, Feed)>,
        /// Who is asked.
        pub sources: Vec<(SourceName, Source)>,
        #[serde(skip)]
        #[doc(hidden)]
        pub _config: PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        /// In force at once. A genesis that the calls would refuse is refused whole.
        fn build(&self) {
            for (feed, config) in &self.feeds {
                let done = Pallet::<T>::apply(Change::Feed(*feed, Some(config.clone())));
                assert!(done.is_ok(), "feed {feed} of the genesis: {done:?}");
            }
            for (name, source) in &self.sources {
                let change = Change::Source(name.clone(), Some(Box::new(source.clone())));
                let done = Pallet::<T>::apply(change);
                assert!(done.is_ok(), "source {name} of the genesis: {done:?}");
            }
        }
    }

    #[pallet::event]
    #[pallet::generate_deposit(pub(crate) fn deposit_event)]
    pub enum Event<T: Config> {
        /// Feeds have new prices. At most one a block.
        PricesAggregated {
            /// The feeds whose price or confidence changed, by id.
            prices: Vec<AggregatedPrice>,
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
        /// The emergency origin had a source no longer asked.
        SourceDisabled {
            /// Its name.
            name: SourceName,
            /// What it was.
            old_value: Box<Source>,
        },
        /// A source was added, changed or removed.
        SourceChanged {
            /// Its name.
            name: SourceName,
            /// What it was.
            old_value: Option<Box<Source>>,
            /// What it is.
            new_value: Option<Box<Source>>,
        },
        /// A feed was added, changed or removed.
        FeedChanged {
            /// Its id.
            feed: FeedId,
            /// What it was.
            old_value: Option<Feed>,
            /// What it is.
            new_value: Option<Feed>,
        },
        /// An era ended. The verdicts have been carried out, as far as [`Config::Consequences`] can.
        EraEnded {
            /// Which.
            era: EraIndex,
            /// Everybody who was a validator in it.
            scores: Vec<ValidatorScore<T::AccountId>>,
        },
        /// A feed's volatility surface has new slices, or had reason to.
        SurfaceRenewed {
            /// The feed.
            feed: FeedId,
            /// Expiries whose slice is new, in milliseconds of Unix time.
            renewed: Vec<Millis>,
            /// Expiries whose smile was refused: the last good slice stands.
            refused: Vec<(Millis, Flaw)>,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// The feed is not configured; configure it first.
        UnknownFeed,
        /// There is no source of that name.
        UnknownSource,
        /// Sources still refer to the feed; change or remove them first.
        FeedInUse,
        /// A market, a collateral asset or the settlement currency is priced by the feed: it stays as long as they do.
        FeedNeeded,
        /// There are as many feeds as there can be; remove one first.
        TooManyFeeds,
        /// There are as many sources as there can be; remove one first.
        TooManySources,
        /// A name or symbol is empty, or a text has characters that are not printable ASCII.
        BadText,
        /// The base URL is not `http(s)://host` without a slash at its end, or the path does not begin with a slash.
        BadUrl,
        /// A JSON pointer does not begin with a slash.
        BadPointer,
        /// The source has neither quotes nor options, the same symbol twice for one feed, one feed more than twice, or one feed's options twice.
        BadQuotes,
        /// A quote's currency is the very feed that it prices.
        QuotedInItself,
        /// The least interval between requests exceeds six seconds, or for options a minute.
        BadInterval,
        /// The feed's minima are not in the order `0 < US dollar ≤ accepted ≤ configured`, or its surface is to be made of a single option chain.
        BadPolicy,
        /// The new value is what is in force.
        Unchanged,
        /// A change of the same subject is scheduled already; wait for it or cancel it first.
        ChangePending,
        /// `MaxPending` changes are scheduled; wait for one or cancel one.
        TooManyChanges,
        /// No change of this subject is scheduled.
        NoSuchChange,
        /// A number is out of range.
        OutOfRange,
        /// A feed's minimum moves farther than `MaxStep` allows; go there in several changes.
        StepTooLarge,
        /// Another source of a feed that has a price is scheduled to change; wait for it or cancel it first.
        FeedChanging,
        /// As many feeds have a volatility surface as can; take another's away first.
        TooManySurfaces,
    }

    impl<T> From<ConfigError> for Error<T> {
        fn from(error: ConfigError) -> Self {
            match error {
                ConfigError::BadText => Self::BadText,
                ConfigError::BadUrl => Self::BadUrl,
                ConfigError::BadPointer => Self::BadPointer,
                ConfigError::BadQuotes => Self::BadQuotes,
                ConfigError::QuotedInItself => Self::QuotedInItself,
                ConfigError::BadInterval => Self::BadInterval,
                ConfigError::BadPolicy => Self::BadPolicy,
            }
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Records a validator's observation in place of its last.
        ///
        /// ## Dispatch Origin
        ///
        /// `Authorized`: no account signs. The preconditions are those of [`Refusal`], all of them checked before the
        /// call, on the state that it meets.
        ///
        /// ## Errors
        ///
        /// None of its own: an observation that does not hold is an invalid transaction.
        #[pallet::call_index(0)]
        #[pallet::weight((T::WeightInfo::observe(), DispatchClass::Operational, Pays::No))]
        #[pallet::authorize(Pallet::<T>::authorize_observe)]
        #[pallet::weight_of_authorize(T::WeightInfo::authorize_observe())]
        pub fn observe(
            origin: OriginFor<T>,
            observation: Observation,
            _signature: AuthoritySignature,
        ) -> DispatchResult {
            ensure_authorized(origin)?;
            Observations::<T>::insert(observation.validator, observation);
            Ok(())
        }

        /// Schedules a source: added or, if there is one of that name, replaced; with none, removed.
        ///
        /// ## Dispatch Origin
        ///
        /// [`Config::GovernanceOrigin`].
        ///
        /// ## Details
        ///
        /// In force at the first close after the timelock; validators ask it from the next block on. The feeds that it
        /// quotes, and quotes in, must be in force when it is scheduled and when it is due. A feed left with fewer quotes
        /// than its `min_configured` has no new price until there are enough again.
        ///
        /// Of a feed that has a price one source changes at a time. A change that leaves all but quotes as it was is one for
        /// the feeds of these quotes alone; any other is one for all feeds that the source quotes. A source whose interface
        /// changes without notice can be bridged by the validators' own gateways ([`worker::SOURCE_PREFIX`]) meanwhile.
        ///
        /// ## Errors
        ///
        /// - [`Error::BadText`], [`Error::BadUrl`], [`Error::BadPointer`], [`Error::BadQuotes`],
        ///   [`Error::QuotedInItself`], [`Error::BadInterval`]: it could not be asked.
        /// - [`Error::UnknownFeed`]: a quote prices, or is quoted in, a feed that is not configured.
        /// - [`Error::UnknownSource`], [`Error::TooManySources`], [`Error::Unchanged`], [`Error::FeedChanging`].
        /// - [`Error::ChangePending`], [`Error::TooManyChanges`], [`Error::OutOfRange`].
        ///
        /// ## Events
        ///
        /// - [`Event::ChangeScheduled`]; later [`Event::SourceChanged`] or [`Event::ChangeDropped`].
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::schedule_source())]
        pub fn schedule_source(
            origin: OriginFor<T>,
            name: SourceName,
            new_value: Option<Box<Source>>,
        ) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            Self::schedule(Change::Source(name, new_value)).map_err(Into::into)
        }

        /// Schedules a feed: added, or its policy changed; with none, removed together with its price.
        ///
        /// ## Dispatch Origin
        ///
        /// [`Config::GovernanceOrigin`].
        ///
        /// ## Details
        ///
        /// In force at the first close after the timelock. A feed to which a source refers, or by which a market, a
        /// collateral asset or the settlement currency is priced, cannot be removed; that is looked at when the removal is
        /// scheduled and again when it is due. A policy without option chains takes the feed's volatility surface away.
        ///
        /// ## Errors
        ///
        /// - [`Error::BadText`], [`Error::BadPolicy`]: the policy makes no sense.
        /// - [`Error::TooManyFeeds`], [`Error::TooManySurfaces`], [`Error::Unchanged`], [`Error::StepTooLarge`].
        /// - [`Error::UnknownFeed`], [`Error::FeedInUse`], [`Error::FeedNeeded`]: it cannot be removed.
        /// - [`Error::ChangePending`], [`Error::TooManyChanges`], [`Error::OutOfRange`].
        ///
        /// ## Events
        ///
        /// - [`Event::ChangeScheduled`]; later [`Event::FeedChanged`] or [`Event::ChangeDropped`].
        #[pallet::call_index(2)]
        #[pallet::weight(T::WeightInfo::schedule_feed())]
        pub fn schedule_feed(
            origin: OriginFor<T>,
            feed: FeedId,
            new_value: Option<Feed>,
        ) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            Self::schedule(Change::Feed(feed, new_value)).map_err(Into::into)
        }

        /// Withdraws a scheduled change.
        ///
        /// ## Dispatch Origin
        ///
        /// [`Config::GovernanceOrigin`].
        ///
        /// ## Errors
        ///
        /// - [`Error::NoSuchChange`].
        ///
        /// ## Events
        ///
        /// - [`Event::ChangeCancelled`].
        #[pallet::call_index(3)]
        #[pallet::weight(T::WeightInfo::cancel_change())]
        pub fn cancel_change(origin: OriginFor<T>, subject: Subject) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            ensure!(Self::withdraw_change(subject), Error::<T>::NoSuchChange);
            Ok(())
        }

        /// Has a source no longer asked, from the next block on.
        ///
        /// ## Dispatch Origin
        ///
        /// [`Config::EmergencyOrigin`].
        ///
        /// ## Details
        ///
        /// The source is removed, and a change scheduled for it is cancelled, lest it come back; [`Pallet::schedule_source`]
        /// brings it back after the timelock. Observations made with it count until they are two heartbeats old.
        ///
        /// The feeds' minima stand. A feed left with fewer quotes than its `min_configured` is one for which the
        /// validators abstain: it has no new price, and what is priced by it, quotes in its currency included, fails closed
        /// as under any outage. So the call never leaves a price to fewer sources than governance asked for; what it can
        /// do to a feed beyond that, the emergency origin can do to its markets anyway: bring them to a halt.
        ///
        /// ## Errors
        ///
        /// - [`Error::UnknownSource`].
        ///
        /// ## Events
        ///
        /// - [`Event::SourceDisabled`], after [`Event::ChangeCancelled`] if a change was scheduled.
        #[pallet::call_index(4)]
        #[pallet::weight(T::WeightInfo::disable_source())]
        pub fn disable_source(origin: OriginFor<T>, name: SourceName) -> DispatchResult {
            T::EmergencyOrigin::ensure_origin(origin)?;
            let old_value = Sources::<T>::take(&name).ok_or(Error::<T>::UnknownSource)?;
            Self::withdraw_change(Subject::Source(name.clone()));
            Self::deposit_event(Event::SourceDisabled {
                name,
                old_value: Box::new(old_value),
            });
            Ok(())
        }

        /// Records a validator's observation of a feed's volatilities in place of its last.
        ///
        /// ## Dispatch Origin
        ///
        /// `Authorized`: no account signs. The preconditions are those of [`Refusal`], all of them checked before the
        /// call, on the state that it meets.
        ///
        /// ## Details
        ///
        /// The close of the block [`surface::WINDOW`] later, or the first one after it that has room, makes a surface of what came in.
        ///
        /// ## Errors
        ///
        /// None of its own: an observation that does not hold is an invalid transaction.
        ///
        /// ## Events
        ///
        /// - later [`Event::SurfaceRenewed`].
        #[pallet::call_index(5)]
        #[pallet::weight((T::WeightInfo::observe_surface(), DispatchClass::Operational, Pays::No))]
        #[pallet::authorize(Pallet::<T>::authorize_observe_surface)]
        #[pallet::weight_of_authorize(T::WeightInfo::authorize_observe_surface())]
        pub fn observe_surface(
            origin: OriginFor<T>,
            observation: SurfaceObservation,
            _signature: AuthoritySignature,
        ) -> DispatchResult {
            ensure_authorized(origin)?;
            Self::record_surface(observation);
            Ok(())
        }
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        /// Reserves the close, which returns no weight of its own.
        fn on_initialize(_: BlockNumberFor<T>) -> Weight {
            Self::close_weight()
        }

        fn offchain_worker(block: BlockNumberFor<T>) {
            worker::run::<T>(block.saturated_into());
        }

        fn integrity_test() {
            assert!(
                worker::HTTP_DEADLINE < Self::max_age(),
                "an observation must reach the chain before it is stale"
            );
            assert!(
                T::Deviation::get() > 0,
                "else every block brings an observation of everybody"
            );
            assert!(
                T::Timelock::get() > 0,
                "a change waits for a later close than its own block's, which has not reserved its weight"
            );
            assert!(
                T::MaxPending::get() > 0
                    && T::MaxAppliedPerBlock::get() > 0
                    && T::MaxStep::get() > 0,
                "else no change comes into force"
            );
            assert!(
                surface::worker::DEADLINE < Self::max_surface_age()
                    && Self::max_surface_age() <= T::SurfaceFreshFor::get(),
                "volatilities must reach the chain before they are old, and stand for longer"
            );
            assert!(T::SessionsPerEra::get() > 0, "an era has a session");
            assert!(
                T::OutlierShare::get() < MILLION,
                "nobody is an outlier in more rounds than there are"
            );
            assert!(
                (2..=T::KeptEras::get()).contains(&T::OffenceEras::get()),
                "an offence is a repetition, and one that is remembered"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }
}
