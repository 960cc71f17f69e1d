//! Scheduling changes of sources and feeds, and the close's part.

use crate::{
    pallet::*,
    types::{
        Change, Feed, Scheduled, Source, SourceName, Subject, MAX_FEEDS, MAX_SOURCES, MAX_SURFACES,
    },
};
use alloc::boxed::Box;
use frame_support::{
    ensure,
    traits::{Contains, Get},
};
use novate_types::FeedId;

impl<T: Config> Pallet<T> {
    /// Checks a change against what is in force and starts its timelock.
    pub(crate) fn schedule(change: Change) -> Result<(), Error<T>> {
        Self::check(&change, &Pending::<T>::get())?;
        let (subject, since) = (change.subject(), Self::block());
        let due = since
            .checked_add(T::Timelock::get())
            .ok_or(Error::<T>::OutOfRange)?;
        Pending::<T>::try_mutate(|pending| {
            ensure!(
                pending.iter().all(|p| p.change.subject() != subject),
                Error::<T>::ChangePending
            );
            pending
                .try_push(Scheduled {
                    change: change.clone(),
                    since,
                    due,
                })
                .map_err(|_| Error::<T>::TooManyChanges)
        })?;
        Self::deposit_event(Event::ChangeScheduled { change, due });
        Ok(())
    }

    /// Withdraws the change scheduled for `subject`, if there is one.
    pub(crate) fn withdraw_change(subject: Subject) -> bool {
        let found = Pending::<T>::mutate(|pending| {
            let before = pending.len();
            pending.retain(|p| p.change.subject() != subject);
            pending.len() < before
        });
        if found {
            Self::deposit_event(Event::ChangeCancelled { subject });
        }
        found
    }

    /// Puts into force the changes whose time has come, in the order in which they were scheduled and as many as a block
    /// may. Each is checked against what those before it left; what is no longer valid is dropped, and the event says why.
    pub(crate) fn apply_due() {
        let now = Self::block();
        let mut pending = Pending::<T>::get();
        let before = pending.len();
        for _ in 0..T::MaxAppliedPerBlock::get() {
            let Some(at) = pending.iter().position(|p| p.due <= now) else {
                break;
            };
            let change = pending.remove(at).change;
            let subject = change.subject();
            let done = Self::check(&change, &pending).and_then(|()| Self::put(change));
            if let Err(error) = done {
                Self::deposit_event(Event::ChangeDropped {
                    subject,
                    error: error.into(),
                });
            }
        }
        if pending.len() < before {
            Pending::<T>::put(pending);
        }
    }

    /// Puts a change in force that may follow what is in force now; changes nothing if it may not.
    pub(crate) fn apply(change: Change) -> Result<(), Error<T>> {
        Self::check(&change, &[])?;
        Self::put(change)
    }

    fn put(change: Change) -> Result<(), Error<T>> {
        match change {
            Change::Source(name, new_value) => {
                let old_value = Sources::<T>::take(&name).map(Box::new);
                if let Some(source) = new_value.as_deref() {
                    Sources::<T>::insert(&name, source);
                }
                Self::deposit_event(Event::SourceChanged {
                    name,
                    old_value,
                    new_value,
                });
            }
            Change::Feed(feed, new_value) => {
                let old_value = Feeds::<T>::try_mutate(|feeds| match &new_value {
                    Some(policy) => feeds
                        .try_insert(feed, policy.clone())
                        .map_err(|_| Error::<T>::TooManyFeeds),
                    None => Ok(feeds.remove(&feed)),
                })?;
                if new_value.is_none() {
                    Prices::<T>::mutate(|prices| prices.remove(&feed));
                }
                if new_value
                    .as_ref()
                    .is_none_or(|policy| policy.min_chains == 0)
                {
                    Surfaces::<T>::remove(feed);
                }
                Self::deposit_event(Event::FeedChanged {
                    feed,
                    old_value,
                    new_value,
                });
            }
        }
        Ok(())
    }

    /// Whether a change may follow what is in force now, while `others` wait.
    fn check(change: &Change, others: &[Scheduled]) -> Result<(), Error<T>> {
        match change {
            Change::Source(name, new) => {
                match new {
                    Some(new) => Self::check_source(name, new)?,
                    None => ensure!(Sources::<T>::contains_key(name), Error::<T>::UnknownSource),
                }
                Self::check_pace(name, new.as_deref(), others)
            }
            Change::Feed(feed, Some(new)) => Self::check_feed(*feed, new),
            Change::Feed(feed, None) => Self::check_removal(*feed),
        }
    }

    /// A step of a set is one of its members: of a feed that has a price, no second source changes within a timelock. A feed
    /// without one can be set up, or come back after its removal, all at once, since nobody's margin was priced by it.
    fn check_pace(
        name: &SourceName,
        new: Option<&Source>,
        others: &[Scheduled],
    ) -> Result<(), Error<T>> {
        let prices = Prices::<T>::get();
        let concerned = |name: &SourceName, new: Option<&Source>| {
            let old = Sources::<T>::get(name);
            let mut feeds = Source::concerned(old.as_ref(), new);
            feeds.retain(|feed| prices.contains_key(feed));
            feeds
        };
        let own = concerned(name, new);
        let has_rival = others.iter().any(|p| match &p.change {
            Change::Source(other, next) => {
                other != name && !concerned(other, next.as_deref()).is_disjoint(&own)
            }
            Change::Feed(..) => false,
        });
        ensure!(!has_rival, Error::<T>::FeedChanging);
        Ok(())
    }

    fn check_source(name: &SourceName, new: &Source) -> Result<(), Error<T>> {
        let name_is_plain = !name.as_str().is_empty()
            && name
                .as_str()
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        ensure!(name_is_plain, Error::<T>::BadText);
        new.check()?;
        let feeds = Feeds::<T>::get();
        ensure!(
            new.feeds().all(|feed| feeds.contains_key(&feed)),
            Error::<T>::UnknownFeed
        );
        match Sources::<T>::get(name) {
            Some(old) => ensure!(*new != old, Error::<T>::Unchanged),
            None => ensure!(
                Sources::<T>::count() < MAX_SOURCES,
                Error::<T>::TooManySources
            ),
        }
        Ok(())
    }

    fn check_feed(feed: FeedId, new: &Feed) -> Result<(), Error<T>> {
        new.check()?;
        let feeds = Feeds::<T>::get();
        let has_room = u32::try_from(feeds.len()).is_ok_and(|count| count < MAX_FEEDS);
        match feeds.get(&feed) {
            Some(old) => {
                ensure!(new != old, Error::<T>::Unchanged);
                let minima = |f: &Feed| [f.min_configured, f.min_accepted, f.min_usd];
                let mut steps = minima(old).into_iter().zip(minima(new));
                let step = T::MaxStep::get();
                // A surface comes and goes whole: of fewer chains than two there is none.
                let chains = old.min_chains.abs_diff(new.min_chains);
                ensure!(
                    steps.all(|(old, new)| old.abs_diff(new) <= step)
                        && (chains <= step || old.min_chains == 0 || new.min_chains == 0),
                    Error::<T>::StepTooLarge
                );
            }
            None => ensure!(has_room, Error::<T>::TooManyFeeds),
        }
        let others = feeds
            .iter()
            .filter(|(id, f)| **id != feed && f.min_chains > 0);
        ensure!(
            new.min_chains == 0
                || u32::try_from(others.count()).is_ok_and(|others| others < MAX_SURFACES),
            Error::<T>::TooManySurfaces
        );
        Ok(())
    }

    fn check_removal(feed: FeedId) -> Result<(), Error<T>> {
        ensure!(
            Feeds::<T>::get().contains_key(&feed),
            Error::<T>::UnknownFeed
        );
        let is_quoted = Sources::<T>::iter_values().any(|source| source.feeds().any(|f| f == feed));
        ensure!(!is_quoted, Error::<T>::FeedInUse);
        ensure!(!T::InUse::contains(&feed), Error::<T>::FeedNeeded);
        Ok(())
    }
}
