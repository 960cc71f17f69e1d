//! Who may observe, what is taken, and the aggregate of a block.

use crate::{
    aggregate::{aggregate, Aggregate, Vote},
    crypto::{AuthorityId, AuthoritySignature},
    pallet::*,
    score,
    types::{AggregatedPrice, Observation, Remark, MAX_FEEDS},
    ValidatorWeights, WeightInfo,
};
use alloc::{collections::BTreeMap, vec::Vec};
use codec::Encode;
use frame_support::{
    pallet_prelude::{
        InvalidTransaction, TransactionSource, TransactionValidityError,
        TransactionValidityWithRefund, ValidTransaction, Weight,
    },
    traits::{Get, OneSessionHandler, Time},
    BoundedVec,
};
use novate_types::{BlockNumber, FeedId, FeedPrice, Millis, Outlier, PriceFeeds};
use sp_runtime::{traits::Zero, BoundToRuntimeAppPublic, RuntimeAppPublic, SaturatedConversion};

/// How far an observation's time may lie from the block's, in milliseconds.
pub const TIME_TOLERANCE: Millis = 10_000;
/// How many blocks back the round of an observation may lie.
pub const ROUND_WINDOW: BlockNumber = 10;
/// Blocks for which the pool keeps an observation: the next is on its way.
pub(crate) const LONGEVITY: u64 = 4;

/// Why an observation is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The session has no validator of that index.
    UnknownValidator,
    /// The signature is not that validator's over this chain's genesis hash, the current set and the observation.
    BadSignature,
    /// The validator's recorded observation is of the same round or a later one, or the round lies more than
    /// [`ROUND_WINDOW`] blocks back.
    OldRound,
    /// The round is a block to come.
    FutureRound,
    /// Observed more than [`TIME_TOLERANCE`] before or after the block's time.
    BadTime,
    /// No prices, a price of zero, a feed that is not configured, or feeds not in ascending order.
    BadPrices,
    /// Of volatilities: a feed that has no surface, none of them, a variance that is none, or expiries that are not in ascending order, too
    /// near or too far.
    BadSmiles,
}

impl From<Refusal> for TransactionValidityError {
    fn from(refusal: Refusal) -> Self {
        Self::Invalid(match refusal {
            Refusal::UnknownValidator => InvalidTransaction::BadSigner,
            Refusal::BadSignature => InvalidTransaction::BadProof,
            Refusal::OldRound => InvalidTransaction::Stale,
            Refusal::FutureRound => InvalidTransaction::Future,
            Refusal::BadTime => InvalidTransaction::Custom(1),
            Refusal::BadPrices => InvalidTransaction::Custom(2),
            Refusal::BadSmiles => InvalidTransaction::Custom(3),
        })
    }
}

/// What the observations that stand come to.
#[derive(Default)]
pub(crate) struct Round {
    /// Each configured feed's aggregate, if there is one, with the number of its observers.
    pub aggregates: Vec<(FeedId, Aggregate, u32)>,
    /// Validators of whom there is something to say.
    pub remarks: BTreeMap<u32, Remark>,
}

/// Votes of a feed, and whose each is.
#[derive(Default)]
struct Ballot {
    voters: Vec<u32>,
    votes: Vec<Vote>,
}

impl<T: Config> Pallet<T> {
    /// Age (milliseconds) beyond which an observation no longer counts: two heartbeats.
    pub fn max_age() -> Millis {
        T::Heartbeat::get().saturating_mul(2)
    }

    /// The close's worst case with the feeds there are and the changes that wait; reserved at the block's start. A change
    /// scheduled in the block itself is not due at its close, and nobody has observed a feed that this close adds.
    pub fn close_weight() -> Weight {
        let feeds = u32::try_from(Feeds::<T>::get().len()).unwrap_or(MAX_FEEDS);
        let changes = u32::try_from(Pending::<T>::decode_len().unwrap_or(0))
            .unwrap_or(u32::MAX)
            .min(T::MaxAppliedPerBlock::get());
        T::WeightInfo::close_round(T::MaxValidators::get(), feeds)
            .saturating_add(T::WeightInfo::apply_due(changes))
            .saturating_add(Self::surface_weight())
            .saturating_add(T::DbWeight::get().reads(2))
    }

    /// What a validator of the set `set` signs.
    pub fn payload(set: u64, observation: &Observation) -> Vec<u8> {
        let genesis = frame_system::Pallet::<T>::block_hash(
            frame_system::pallet_prelude::BlockNumberFor::<T>::zero(),
        );
        (b"novate/observation", genesis, set, observation).encode()
    }

    pub(crate) fn block() -> BlockNumber {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    pub(crate) fn authorize_observe(
        _source: TransactionSource,
        observation: &Observation,
        signature: &AuthoritySignature,
    ) -> TransactionValidityWithRefund {
        Self::check_observation(observation, signature)?;
        let valid = ValidTransaction::with_tag_prefix("NovateOracle")
            .priority(u64::MAX / 2)
            .and_provides((observation.validator, observation.round))
            .longevity(LONGEVITY)
            .propagate(true)
            .into();
        Ok((valid, Weight::zero()))
    }

    /// Every precondition of an observation, the signature last since it costs the most.
    pub(crate) fn check_observation(
        observation: &Observation,
        signature: &AuthoritySignature,
    ) -> Result<(), Refusal> {
        let set = Observers::<T>::get();
        let recorded = Observations::<T>::get(observation.validator).map(|last| last.round);
        let key = Self::check_observer(
            &set,
            observation.validator,
            observation.round,
            recorded,
            observation.observed_at,
        )?;
        let feeds = Feeds::<T>::get();
        if observation.prices.is_empty()
            || !observation.prices.is_sorted_by(|a, b| a.feed < b.feed)
            || observation
                .prices
                .iter()
                .any(|p| p.price.is_zero() || !feeds.contains_key(&p.feed))
        {
            return Err(Refusal::BadPrices);
        }
        if !key.verify(&Self::payload(set.id, observation), signature) {
            return Err(Refusal::BadSignature);
        }
        Ok(())
    }

    /// What any observation has to be: of a validator of the set, whose key this gives, of a round that is new and not long past, and of now.
    pub(crate) fn check_observer(
        set: &ObserverSet<T>,
        validator: u32,
        round: BlockNumber,
        recorded: Option<BlockNumber>,
        observed_at: Millis,
    ) -> Result<&AuthorityId, Refusal> {
        let key = usize::try_from(validator)
            .ok()
            .and_then(|index| set.keys.get(index))
            .ok_or(Refusal::UnknownValidator)?;
        let block = Self::block();
        if round > block {
            return Err(Refusal::FutureRound);
        }
        if round < block.saturating_sub(ROUND_WINDOW) || recorded.is_some_and(|last| round <= last)
        {
            return Err(Refusal::OldRound);
        }
        if T::Time::now().abs_diff(observed_at) > TIME_TOLERANCE {
            return Err(Refusal::BadTime);
        }
        Ok(key)
    }

    /// The round of the observations that are fresh at `now`.
    pub(crate) fn round(now: Millis) -> Round {
        let validators = u32::try_from(Observers::<T>::get().keys.len()).unwrap_or(0);
        let oldest = now.saturating_sub(Self::max_age());
        let mut round = Round::default();
        let mut total = 0u128;
        let mut ballots: BTreeMap<FeedId, Ballot> = BTreeMap::new();
        for validator in 0..validators {
            let weight = T::Weights::weight(validator);
            total = total.saturating_add(weight);
            let observation = Observations::<T>::get(validator);
            let Some(observation) = observation.filter(|o| o.observed_at >= oldest) else {
                round.remarks.insert(validator, Remark::Missed);
                continue;
            };
            for seen in &observation.prices {
                let ballot = ballots.entry(seen.feed).or_default();
                ballot.voters.push(validator);
                ballot.votes.push(Vote {
                    price: seen.price,
                    confidence: seen.confidence,
                    observed_at: observation.observed_at,
                    weight,
                });
            }
        }
        let feeds = Feeds::<T>::get();
        ballots.retain(|feed, _| feeds.contains_key(feed));
        for (feed, Ballot { voters, votes }) in ballots {
            let Some(mut result) = aggregate(&votes, total) else {
                continue;
            };
            for (place, distance) in score::outliers(&votes, result.price) {
                let Some(voter) = voters.get(place) else {
                    continue;
                };
                let found = Outlier { distance, feed };
                let farthest = match round.remarks.get(voter) {
                    Some(Remark::Outlier(other)) => found.max(*other),
                    _ => found,
                };
                round.remarks.insert(*voter, Remark::Outlier(farthest));
            }
            // A validator's clock may run ahead; what was observed was not observed after this block.
            result.observed_at = result.observed_at.min(now);
            let observers = u32::try_from(votes.len()).unwrap_or(u32::MAX);
            round.aggregates.push((feed, result, observers));
        }
        round
    }

    /// Begins a session: of the scores, and of the keys that observe.
    pub(crate) fn begin_session<'a>(
        validators: impl Iterator<Item = (&'a T::AccountId, AuthorityId)>,
    ) where
        T::AccountId: 'a,
    {
        let (accounts, keys) = validators
            .map(|(account, key)| (account.clone(), key))
            .unzip();
        Self::turn_session(accounts);
        Self::set_observers(keys);
    }

    /// Puts a session's keys in force. Observations of another set are cleared, and signatures made for it are void.
    fn set_observers(keys: Vec<AuthorityId>) {
        let old = Observers::<T>::get();
        let count = keys.len();
        let keys = BoundedVec::truncate_from(keys);
        if keys.len() < count {
            log::error!(
                target: crate::worker::LOG_TARGET,
                "the session has {count} validators, of which only {} can observe: raise MaxValidators",
                keys.len(),
            );
        }
        if old.keys == keys {
            return;
        }
        for validator in 0..u32::try_from(old.keys.len()).unwrap_or(u32::MAX) {
            Observations::<T>::remove(validator);
            let _ = SurfaceObservations::<T>::clear_prefix(validator, MAX_FEEDS, None);
        }
        Observers::<T>::put(ObserverSet {
            id: old.id.saturating_add(1),
            keys,
        });
    }
}

impl<T: Config> Pallet<T> {
    /// Aggregates the prices that were observed.
    fn close_prices(now: Millis) {
        let Round {
            aggregates,
            remarks,
        } = Self::round(now);
        Self::note(remarks);
        if aggregates.is_empty() {
            return;
        }
        let mut prices = Prices::<T>::get();
        let (mut touched, mut changed) = (false, Vec::new());
        for (
            feed,
            Aggregate {
                price,
                confidence,
                observed_at,
            },
            observers,
        ) in aggregates
        {
            let last = prices.get(&feed).copied();
            let same =
                last.is_some_and(|last| last.price == price && last.confidence == confidence);
            // An older aggregate never comes back, and one that says the same of the same moment is not a new one.
            let stands = last.is_some_and(|last| {
                last.observed_at > observed_at || (same && last.observed_at == observed_at)
            });
            if stands {
                continue;
            }
            let new = FeedPrice {
                price,
                confidence,
                observed_at,
                block: Self::block(),
            };
            if prices.try_insert(feed, new).is_err() {
                frame_support::defensive!("prices and feeds have the same bound");
                continue;
            }
            touched = true;
            if !same {
                changed.push(AggregatedPrice {
                    feed,
                    price,
                    confidence,
                    observers,
                });
            }
        }
        if touched {
            Prices::<T>::put(prices);
        }
        if !changed.is_empty() {
            Self::deposit_event(Event::PricesAggregated { prices: changed });
        }
    }
}

impl<T: Config> PriceFeeds for Pallet<T> {
    fn close_round(now: Millis) {
        Self::apply_due();
        Self::close_prices(now);
        Self::close_surface(now);
    }

    fn price(feed: FeedId) -> Option<FeedPrice> {
        Prices::<T>::get().get(&feed).copied()
    }
}

impl<T: Config> BoundToRuntimeAppPublic for Pallet<T> {
    type Public = AuthorityId;
}

impl<T: Config> OneSessionHandler<T::AccountId> for Pallet<T> {
    type Key = AuthorityId;

    fn on_genesis_session<'a, I>(validators: I)
    where
        I: 'a + Iterator<Item = (&'a T::AccountId, AuthorityId)>,
    {
        Self::begin_session(validators);
    }

    fn on_new_session<'a, I>(_changed: bool, validators: I, _queued: I)
    where
        I: 'a + Iterator<Item = (&'a T::AccountId, AuthorityId)>,
    {
        Self::begin_session(validators);
    }

    /// A disabled validator's observations count until the session ends: the median bears a minority of liars.
    fn on_disabled(_: u32) {}
}
