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
//! What is asked of whom is on-chain configuration ([`Source`], [`Feed`]) in the hands of
//! [`Config::GovernanceOrigin`]. A validator can put its own gateway before a source ([`worker::SOURCE_PREFIX`]).
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
pub mod types;
pub mod venues;
pub mod weights;
pub mod worker;

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

pub use impls::Refusal;
pub use pallet::*;
pub use types::*;
pub use weights::WeightInfo;

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

#[allow(missing_docs)] // The macro's own items have none.
#[allow(clippy::expect_used)] // What the macro generates has some; ours has none.
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use crate::crypto::{AuthorityId, AuthoritySignature};
    use alloc::{boxed::Box, vec::Vec};
    use frame_support::{pallet_prelude::*, traits::Time, BoundedBTreeMap};
    use frame_system::{
        ensure_authorized, offchain::CreateAuthorizedTransaction, pallet_prelude::*,
    };
    use novate_types::{FeedId, FeedPrice, Millis, Ppm};
    use sp_runtime::SaturatedConversion;

    #[pallet::pallet]
    pub struct Pallet<T>(_);

    /// What the oracle needs of its runtime.
    #[pallet::config]
    pub trait Config:
        frame_system::Config<RuntimeEvent: From<Event<Self>>>
        + CreateAuthorizedTransaction<Call<Self>>
    {
        /// Who configures sources and feeds. They decide solvency: behind it stands a timelock.
        type GovernanceOrigin: EnsureOrigin<Self::RuntimeOrigin>;
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
        /// A genesis that the calls would refuse is refused whole.
        fn build(&self) {
            for (feed, config) in &self.feeds {
                let done = Pallet::<T>::change_feed(*feed, Some(config.clone()));
                assert!(done.is_ok(), "feed {feed} of the genesis: {done:?}");
            }
            for (name, source) in &self.sources {
                let done = Pallet::<T>::change_source(name.clone(), Some(source.clone()));
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
    }

    #[pallet::error]
    pub enum Error<T> {
        /// The feed is not configured; configure it first.
        UnknownFeed,
        /// There is no source of that name.
        UnknownSource,
        /// Sources still refer to the feed; change or remove them first.
        FeedInUse,
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
        /// The source quotes nothing, or the same symbol twice for one feed.
        BadQuotes,
        /// A quote's currency is the very feed that it prices.
        QuotedInItself,
        /// The least interval between requests exceeds six seconds.
        BadInterval,
        /// The feed's minima are not in the order `0 < US dollar ≤ accepted ≤ configured`.
        BadPolicy,
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

        /// Adds a source, or replaces the one of that name.
        ///
        /// ## Dispatch Origin
        ///
        /// [`Config::GovernanceOrigin`].
        ///
        /// ## Errors
        ///
        /// - [`Error::BadText`], [`Error::BadUrl`], [`Error::BadPointer`], [`Error::BadQuotes`],
        ///   [`Error::QuotedInItself`], [`Error::BadInterval`]: it could not be asked.
        /// - [`Error::UnknownFeed`]: a quote prices, or is quoted in, a feed that is not configured.
        /// - [`Error::TooManySources`].
        ///
        /// ## Events
        ///
        /// - [`Event::SourceChanged`].
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::set_source())]
        pub fn set_source(
            origin: OriginFor<T>,
            name: SourceName,
            source: Box<Source>,
        ) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            Self::change_source(name, Some(*source)).map_err(Into::into)
        }

        /// Removes a source.
        ///
        /// ## Dispatch Origin
        ///
        /// [`Config::GovernanceOrigin`].
        ///
        /// ## Errors
        ///
        /// - [`Error::UnknownSource`].
        ///
        /// ## Events
        ///
        /// - [`Event::SourceChanged`].
        #[pallet::call_index(2)]
        #[pallet::weight(T::WeightInfo::remove_source())]
        pub fn remove_source(origin: OriginFor<T>, name: SourceName) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            Self::change_source(name, None).map_err(Into::into)
        }

        /// Adds a feed or changes its policy; with none, removes it together with its price.
        ///
        /// ## Dispatch Origin
        ///
        /// [`Config::GovernanceOrigin`].
        ///
        /// ## Errors
        ///
        /// - [`Error::BadText`], [`Error::BadPolicy`]: the policy makes no sense.
        /// - [`Error::TooManyFeeds`].
        /// - [`Error::UnknownFeed`], [`Error::FeedInUse`]: it cannot be removed.
        ///
        /// ## Events
        ///
        /// - [`Event::FeedChanged`].
        #[pallet::call_index(3)]
        #[pallet::weight(T::WeightInfo::set_feed())]
        pub fn set_feed(
            origin: OriginFor<T>,
            feed: FeedId,
            policy: Option<Feed>,
        ) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            Self::change_feed(feed, policy).map_err(Into::into)
        }
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
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
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }
}
