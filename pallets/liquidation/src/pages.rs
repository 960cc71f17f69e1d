//! Buckets of accounts in pages: the one structure under the threshold index, the deleveraging index and the queue.
//!
//! A shelf holds buckets, a bucket holds pages of 128 entries, used first in, first out. An entry is appended and never
//! sought: an account that moves leaves its old entry behind, and whoever takes a page drops the entries whose generation the
//! account no longer carries. Such leftovers would pile up in buckets that are never taken, so each page opened sweeps the
//! bucket's two oldest: leftovers never outnumber live entries for long.

use crate::{meter::KEYS_OF_MANY, scale, Config, Pallet, RiskDirectory, RiskPage, RiskSpan};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{pallet_prelude::TypeInfo, BoundedVec};
use novate_types::{AccountRef, Direction, MarketId, RiskAxis, RiskError, Side};
use sp_core::ConstU32;

/// Entries of one page.
pub const PAGE: u32 = 128;
/// Bits of one word of a directory.
const WORD: u32 = 64;
/// Words of a directory at most: those of all classes' scales, so that it is never full.
const WORDS: u32 = scale::CLASSES * (scale::ALWAYS + 1) / WORD;
/// Oldest pages swept whenever one is opened.
const SWEPT: u32 = 2;

/// What its buckets are sorted by.
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
)]
pub enum Shelf {
    /// Thresholds on one axis, in the direction that hurts.
    Threshold(RiskAxis, Direction),
    /// Entry prices of a market's long (bid) or short (ask) positions.
    Rank(MarketId, Side),
    /// Accounts in need of remedies, by notional at risk.
    Queue,
}

/// An account in a page.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Entry<AccountId> {
    /// Which account.
    pub account: AccountRef<AccountId>,
    /// Live while the account carries the same number for this shelf and bucket.
    pub generation: u32,
}

/// The pages of a bucket, by number, oldest first. Of a bucket that holds page zero alone none is stored: most buckets do, and
/// appending to one then changes a single key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Span {
    /// The oldest.
    pub first: u32,
    /// The one appended to.
    pub last: u32,
}

impl Span {
    /// How many there are.
    pub fn pages(self) -> u32 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }
}

/// Which buckets of a shelf hold pages: a bit map of which only the words that are not zero are kept, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Occupancy(BoundedVec<(u16, u64), ConstU32<WORDS>>);

impl Occupancy {
    fn place(bucket: u32) -> Option<(u16, u64)> {
        let word = u16::try_from(bucket.checked_div(WORD)?).ok()?;
        Some((word, 1u64.checked_shl(bucket.checked_rem(WORD)?)?))
    }

    fn set(&mut self, bucket: u32) -> Result<(), RiskError> {
        let (word, bit) = Self::place(bucket).ok_or(RiskError::Full)?;
        match self.0.binary_search_by_key(&word, |w| w.0) {
            Ok(at) => {
                if let Some(entry) = self.0.get_mut(at) {
                    entry.1 |= bit;
                }
                Ok(())
            }
            Err(at) => self
                .0
                .try_insert(at, (word, bit))
                .map_err(|_| RiskError::Full),
        }
    }

    fn clear(&mut self, bucket: u32) {
        if let Some((word, bit)) = Self::place(bucket) {
            for entry in self.0.iter_mut().filter(|entry| entry.0 == word) {
                entry.1 &= !bit;
            }
            self.0.retain(|entry| entry.1 != 0);
        }
    }

    /// Occupied buckets, lowest first.
    pub fn buckets(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.within(0, u32::MAX)
    }

    /// Occupied buckets from `first` to `last`, both included, lowest first.
    pub fn within(&self, first: u32, last: u32) -> impl DoubleEndedIterator<Item = u32> + '_ {
        let word_of = |bucket: u32| bucket.checked_div(WORD).unwrap_or(0);
        let begin = self
            .0
            .partition_point(|(word, _)| u32::from(*word) < word_of(first));
        let end = self
            .0
            .partition_point(|(word, _)| u32::from(*word) <= word_of(last));
        let words = self.0.get(begin..end).unwrap_or_default();
        words
            .iter()
            .flat_map(|(word, bits)| {
                (0..WORD)
                    .filter(move |bit| bits.checked_shr(*bit).is_some_and(|b| b & 1 == 1))
                    .map(move |bit| u32::from(*word).saturating_mul(WORD).saturating_add(bit))
            })
            .filter(move |bucket| (first..=last).contains(bucket))
    }
}

impl<T: Config> Pallet<T> {
    /// Appends an entry to a bucket.
    pub(crate) fn append(
        shelf: Shelf,
        bucket: u32,
        entry: Entry<T::AccountId>,
    ) -> Result<(), RiskError> {
        let subject = entry.account.clone();
        if Self::push(shelf, bucket, entry)? {
            // The subject is being settled: its stored state is older than its entries.
            Self::compact(shelf, bucket, &subject)?;
        }
        Ok(())
    }

    /// Appends; says whether that opened a page beside others.
    fn push(shelf: Shelf, bucket: u32, entry: Entry<T::AccountId>) -> Result<bool, RiskError> {
        let key = (shelf, bucket);
        let known = RiskSpan::<T>::get(key);
        let mut span = known.unwrap_or_default();
        let held = Self::held(shelf, bucket, span.last);
        let is_full = held >= PAGE;
        if is_full {
            span.last = span.last.checked_add(1).ok_or(RiskError::Full)?;
            RiskSpan::<T>::insert(key, span);
        } else if known.is_none() && held == 0 {
            RiskDirectory::<T>::try_mutate(shelf, |directory| directory.set(bucket))?;
        }
        // The page's encoding is its length and its entries: one more is appended without reading the others.
        let page = RiskPage::<T>::hashed_key_for((shelf, bucket, span.last));
        sp_io::storage::append(&page, entry.encode());
        Ok(is_full)
    }

    /// Entries of a page; reads no more than their number.
    fn held(shelf: Shelf, bucket: u32, page: u32) -> u32 {
        let held = RiskPage::<T>::decode_len((shelf, bucket, page)).unwrap_or(0);
        u32::try_from(held).unwrap_or(u32::MAX)
    }

    /// Entries of a bucket; reads no more than their number.
    pub(crate) fn count(shelf: Shelf, bucket: u32) -> u32 {
        let held = |page| Self::held(shelf, bucket, page);
        Self::span(shelf, bucket).map_or(0, |span| match span.pages() {
            1 => held(span.first),
            pages => held(span.first)
                .saturating_add(held(span.last))
                .saturating_add(PAGE.saturating_mul(pages.saturating_sub(2))),
        })
    }

    /// Keys that taking a bucket's oldest page out changes, and putting some of it back: where it is the only one, itself.
    pub(crate) fn keys_of_page(shelf: Shelf, bucket: u32) -> u32 {
        match RiskSpan::<T>::get((shelf, bucket)) {
            Some(span) if span.pages() > 1 => KEYS_OF_MANY,
            _ => 1,
        }
    }

    /// The pages of a bucket; none if it is empty.
    pub(crate) fn span(shelf: Shelf, bucket: u32) -> Option<Span> {
        RiskSpan::<T>::get((shelf, bucket)).or_else(|| {
            let first = Span::default();
            (Self::held(shelf, bucket, first.first) > 0).then_some(first)
        })
    }

    fn compact(
        shelf: Shelf,
        bucket: u32,
        subject: &AccountRef<T::AccountId>,
    ) -> Result<(), RiskError> {
        for _ in 0..SWEPT {
            let Some(span) = RiskSpan::<T>::get((shelf, bucket)) else {
                break;
            };
            if span.pages() <= SWEPT {
                break;
            }
            for entry in Self::take(shelf, bucket, PAGE) {
                if entry.account == *subject || Self::is_live(shelf, bucket, &entry) {
                    Self::push(shelf, bucket, entry)?;
                }
            }
        }
        Ok(())
    }

    /// The entries of a bucket, oldest first, read page by page.
    pub(crate) fn entries(shelf: Shelf, bucket: u32) -> impl Iterator<Item = Entry<T::AccountId>> {
        Self::span(shelf, bucket)
            .into_iter()
            .flat_map(|span| span.first..=span.last)
            .flat_map(move |page| RiskPage::<T>::get((shelf, bucket, page)))
    }

    /// Takes at most `most` entries from the oldest page of a bucket.
    pub(crate) fn take(shelf: Shelf, bucket: u32, most: u32) -> Vec<Entry<T::AccountId>> {
        let mut left = most;
        Self::take_while(shelf, bucket, |_| {
            let wanted = left > 0;
            left = left.saturating_sub(1);
            wanted
        })
    }

    /// Takes entries from the oldest page of a bucket as long as they are `wanted`.
    pub(crate) fn take_while(
        shelf: Shelf,
        bucket: u32,
        mut wanted: impl FnMut(&Entry<T::AccountId>) -> bool,
    ) -> Vec<Entry<T::AccountId>> {
        let key = (shelf, bucket);
        let Some(span) = Self::span(shelf, bucket) else {
            RiskDirectory::<T>::mutate(shelf, |directory| directory.clear(bucket));
            return Vec::new();
        };
        let mut entries = RiskPage::<T>::take((shelf, bucket, span.first)).into_inner();
        let end = entries.iter().position(|entry| !wanted(entry));
        if let Some(end) = end {
            let rest = entries.split_off(end);
            RiskPage::<T>::insert((shelf, bucket, span.first), BoundedVec::truncate_from(rest));
        } else if span.first < span.last {
            let first = span.first.saturating_add(1);
            RiskSpan::<T>::insert(key, Span { first, ..span });
        } else {
            if span != Span::default() {
                RiskSpan::<T>::remove(key);
            }
            RiskDirectory::<T>::mutate(shelf, |directory| directory.clear(bucket));
        }
        entries
    }
}
