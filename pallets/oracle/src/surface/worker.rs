//! The off-chain worker's second round: option chains into observed smiles.
//!
//! It begins when every source that has options is due, so that all venues are asked at the same moment, and has a lock, a deadline and a memory
//! of its own.

use super::{
    aggregate::combine,
    close::without_arbitrage,
    quotes::{read_chain, Smiles},
    Flaw, ObservedSmile, SurfaceObservation,
};
use crate::{
    aggregate::ppm_of,
    fetch::{base_url, fetch},
    json::Document,
    pallet::*,
    types::{Feed, OptionChain, Source, SourceName},
    worker::{submit, Fault, Observer, LOG_TARGET},
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};
use codec::{Decode, Encode};
use core::fmt;
use frame_support::{traits::Get, BoundedVec};
use novate_risk::surface::MAX_EXPIRIES;
use novate_types::{BlockNumber, FeedId, Millis};
use sp_core::offchain::{Duration, Timestamp};
use sp_runtime::offchain::{
    storage::StorageValueRef,
    storage_lock::{StorageLock, Time},
};

/// All of a round's requests end this many milliseconds after its start.
pub const DEADLINE: Millis = 6_000;
/// Largest answer that is read, in bytes: Deribit's summary of all Bitcoin options is about 400 KiB.
pub const MAX_CHAIN_BODY: usize = 2 * 1024 * 1024;

const LOCK: &[u8] = b"novate::oracle::surface::lock";
const REQUESTED: &[u8] = b"novate::oracle::surface::requested";
const SUBMITTED: &[u8] = b"novate::oracle::surface::submitted";
const REPORTED: &[u8] = b"novate::oracle::surface::reported";
/// A lock is given up after this: its holder is gone.
const LOCK_EXPIRY: Millis = 2 * DEADLINE;

/// The last observation of a feed that this node submitted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Submitted {
    set: u64,
    observed_at: Millis,
    /// Variance at the money of each expiry.
    money: Vec<(Millis, u64)>,
}

/// What each venue said of a feed's options.
type Chains = Vec<(SourceName, Result<Smiles, Fault>)>;

/// What a feed's venues came to.
struct Report {
    symbol: String,
    smiles: Vec<ObservedSmile>,
    venues: usize,
    left_out: Vec<(String, Fault)>,
    refused: Vec<(Millis, Flaw)>,
}

impl Report {
    /// Without its figures: of this a change is news.
    fn outline(&self) -> String {
        let faults = self.left_out.iter();
        let faults: String = faults
            .map(|(who, fault)| format!("{who} {};", fault.kind()))
            .collect();
        format!("{} {faults}", self.smiles.len())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "oracle: volatility of {} for {} expiries from {} venues",
            self.symbol,
            self.smiles.len(),
            self.venues
        )?;
        for (at, (who, fault)) in self.left_out.iter().enumerate() {
            f.write_str(if at == 0 { "; left out: " } else { ", " })?;
            write!(f, "{who} ({fault})")?;
        }
        match self.refused.len() {
            0 => Ok(()),
            n => write!(f, "; {n} expiries admit arbitrage"),
        }
    }
}

/// Runs a round, if some feed wants a surface and every source that has options is due.
pub(crate) fn run<T: Config>(observer: &Observer, round: BlockNumber) {
    let feeds: Vec<(FeedId, Feed)> = Feeds::<T>::get()
        .into_iter()
        .filter(|(_, feed)| feed.min_chains > 0)
        .collect();
    if feeds.is_empty() {
        return;
    }
    let mut lock = StorageLock::<Time>::with_deadline(LOCK, Duration::from_millis(LOCK_EXPIRY));
    let Ok(_guard) = lock.try_lock() else {
        return;
    };
    let mut sources: Vec<(SourceName, Source)> = Sources::<T>::iter()
        .filter(|(_, source)| source.options.is_some())
        .collect();
    sources.sort_by(|(a, _), (b, _)| a.cmp(b));
    let observed_at = sp_io::offchain::timestamp().unix_millis();
    let wanted: BTreeSet<FeedId> = feeds.iter().map(|(feed, _)| *feed).collect();
    let Some(mut chains) = ask(&sources, &wanted, observed_at) else {
        return;
    };
    for (id, feed) in feeds {
        let report = judge(&feed, &chains.remove(&id).unwrap_or_default(), observed_at);
        tell(id, &report);
        if !report.smiles.is_empty() {
            observe::<T>(observer, round, id, observed_at, report.smiles);
        }
    }
}

/// Asks for every wanted chain, all at once, and reads what comes back before the deadline. None if some source is not due yet.
fn ask(
    sources: &[(SourceName, Source)],
    wanted: &BTreeSet<FeedId>,
    now: Millis,
) -> Option<BTreeMap<FeedId, Chains>> {
    let memory = StorageValueRef::persistent(REQUESTED);
    let asked: BTreeMap<SourceName, Millis> = memory.get().ok().flatten().unwrap_or_default();
    let chain_of = |source: &Source| source.options.clone();
    let waits = |name: &SourceName, chain: &OptionChain| {
        let last = asked.get(name).filter(|last| **last <= now);
        last.is_some_and(|last| now.saturating_sub(*last) < chain.min_interval)
    };
    let chains: Vec<(&SourceName, &Source, OptionChain)> = sources
        .iter()
        .filter_map(|(name, source)| Some((name, source, chain_of(source)?)))
        .collect();
    if chains.iter().any(|(name, _, chain)| waits(name, chain)) {
        return None;
    }
    let times: BTreeMap<SourceName, Millis> = chains
        .iter()
        .map(|(name, ..)| ((*name).clone(), now))
        .collect();
    memory.set(&times);

    let (mut urls, mut expected) = (Vec::new(), Vec::new());
    for (name, source, chain) in &chains {
        for (url, feed) in chain.requests(&base_url(name, source)) {
            if wanted.contains(&feed) {
                urls.push(url);
                expected.push((*name, chain, feed));
            }
        }
    }
    let mut answers: BTreeMap<FeedId, Chains> = BTreeMap::new();
    let deadline = Timestamp::from_unix_millis(now.saturating_add(DEADLINE));
    fetch(&urls, deadline, MAX_CHAIN_BODY, |place, text| {
        let Some((name, chain, feed)) = expected.get(place) else {
            return;
        };
        let smiles = text.and_then(|text| read_chain(&Document::parse(&text)?, chain, now));
        let answers = answers.entry(*feed).or_default();
        answers.push(((*name).clone(), smiles));
    });
    Some(answers)
}

/// What the venues say of a feed's volatility, under its policy.
fn judge(feed: &Feed, chains: &Chains, now: Millis) -> Report {
    let mut left_out = Vec::new();
    let mut expiries: BTreeSet<Millis> = BTreeSet::new();
    for (name, smiles) in chains {
        match smiles {
            Ok(smiles) => expiries.extend(smiles.keys()),
            Err(fault) => left_out.push((format!("{name}"), fault.clone())),
        }
    }
    let mut smiles = Vec::new();
    for expiry in expiries {
        let seen: Vec<_> = chains
            .iter()
            .filter_map(|(name, smiles)| Some((name, *smiles.as_ref().ok()?.get(&expiry)?)))
            .collect();
        let least = usize::from(feed.min_chains);
        if seen.len() < least {
            continue;
        }
        let values: Vec<_> = seen.iter().map(|(_, smile)| *smile).collect();
        let Some(combined) = combine(&values) else {
            left_out.extend(seen.first().map(|(name, _)| {
                let fault = Fault::Outlier(super::aggregate::DISAGREEMENT);
                (format!("{name}"), fault)
            }));
            continue;
        };
        let mut kept = seen.len();
        for ((name, _), outlier) in seen.iter().zip(combined.outliers) {
            if let Some(distance) = outlier {
                kept = kept.saturating_sub(1);
                left_out.push((format!("{name}"), Fault::Outlier(distance)));
            }
        }
        if kept >= least {
            smiles.push(ObservedSmile {
                expiry,
                smile: combined.smile,
            });
        }
    }
    let (mut smiles, refused) = without_arbitrage(smiles, now);
    // The nearest, and the farthest: what lies between is interpolated.
    let most = usize::try_from(MAX_EXPIRIES).unwrap_or(usize::MAX);
    if let Some(surplus) = smiles.len().checked_sub(most).filter(|n| *n > 0) {
        let last = most.saturating_sub(1);
        smiles.drain(last..last.saturating_add(surplus));
    }
    Report {
        symbol: feed.symbol.as_str().into(),
        smiles,
        venues: chains.len(),
        left_out,
        refused,
    }
}

/// Logs a report that is news, and any other for whoever wants to see everything.
fn tell(feed: FeedId, report: &Report) {
    let memory = StorageValueRef::persistent(REPORTED);
    let mut told: BTreeMap<FeedId, [u8; 8]> = memory.get().ok().flatten().unwrap_or_default();
    let outline = sp_io::hashing::twox_64(report.outline().as_bytes());
    if told.insert(feed, outline) == Some(outline) {
        log::debug!(target: LOG_TARGET, "{report}");
        return;
    }
    memory.set(&told);
    log::info!(target: LOG_TARGET, "{report}");
}

/// Submits what was seen of a feed, if it moved enough since the last time, or time passed.
fn observe<T: Config>(
    observer: &Observer,
    round: BlockNumber,
    feed: FeedId,
    observed_at: Millis,
    smiles: Vec<ObservedSmile>,
) {
    let memory = StorageValueRef::persistent(SUBMITTED);
    let mut submitted: BTreeMap<FeedId, Submitted> =
        memory.get().ok().flatten().unwrap_or_default();
    let money: Vec<(Millis, u64)> = smiles
        .iter()
        .map(|s| (s.expiry, s.smile.at_the_money()))
        .collect();
    let last = submitted.get(&feed).filter(|last| last.set == observer.set);
    if !last.is_none_or(|last| is_due::<T>(last, observed_at, &money)) {
        return;
    }
    let observation = SurfaceObservation {
        validator: observer.validator,
        round,
        observed_at,
        feed,
        smiles: BoundedVec::truncate_from(smiles),
    };
    let payload = Pallet::<T>::surface_payload(observer.set, &observation);
    let Some(signature) = observer.sign(&payload) else {
        return;
    };
    let call = Call::<T>::observe_surface {
        observation,
        signature,
    };
    if !submit::<T>(call) {
        log::warn!(target: LOG_TARGET, "the pool refused the volatilities of block {round}");
        return;
    }
    let record = Submitted {
        set: observer.set,
        observed_at,
        money,
    };
    submitted.insert(feed, record);
    memory.set(&submitted);
}

/// Whether time passed, an expiry came or went, or one's variance at the money moved enough.
fn is_due<T: Config>(last: &Submitted, now: Millis, money: &[(Millis, u64)]) -> bool {
    // A last one from the future means that the clock was set back.
    let beat = last.observed_at > now
        || now.saturating_sub(last.observed_at) >= T::SurfaceHeartbeat::get();
    let same = last.money.len() == money.len();
    let moved = last
        .money
        .iter()
        .zip(money)
        .any(|((old, from), (new, to))| {
            let distance = u128::from(from.abs_diff(*to));
            old != new || ppm_of(distance, u128::from(*from)) >= T::SurfaceDeviation::get()
        });
    beat || !same || moved
}
