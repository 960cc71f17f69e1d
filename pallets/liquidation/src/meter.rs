//! What one close may still do, in reference time: counted as it is done, not as it might have been.
//!
//! A close reserves time, not numbers of accounts: what an account takes differs tenfold, by what it holds and by how many keys it
//! changes. So each step first asks whether its worst case is left ([`Meter::affords`]), and afterwards pays what it did: what was
//! measured for an account that holds as much, and the keys that it changed. Keys that all accounts of a close share, such as pots and
//! pages of the queue, are in the close's fixed part.

use crate::{weights::SMALL_POSITIONS, Coming, Config, WeightInfo};
use core::marker::PhantomData;
use frame_support::{traits::Get, weights::RuntimeDbWeight};
use novate_risk::{more_thresholds, MORE_PER_POSITION, MOST_MORE_THRESHOLDS};
use novate_types::{
    MarginAccount, Part, RiskView, MAX_HOLDINGS, MAX_POSITIONS, MAX_RISK_SLOTS, MAX_TRIGGERS,
};

/// Entries of a full page that are looked at again when a page is opened beside it, for each entry of that page.
const SWEPT_PER_ENTRY: u64 = 2;
/// Keys changed by taking a page out of a bucket that has others, and putting some of it back: the page, which pages there are, another page.
pub(crate) const KEYS_OF_MANY: u32 = 3;

/// Scans of an account in the market, at most: four positions sized by four parts and one of these again, a price, the match of its order, and what follows it.
const MARKET_SCANS: u32 = 32;
/// Scans of one beyond the market: before and after the match, what it is offered at, what is left of it, and its thresholds.
const BEYOND_SCANS: u32 = 6;
/// Those of them that are not made where it waits for bids, or is closed out by parts.
const UNMADE_SCANS: u32 = 3;
/// Scans of a counterparty after a slice of it.
const SLICE_SCANS: u32 = 1;
/// Scans of a forecast deviation: where nothing moved, and either way.
const DEVIATION_SCANS: u32 = 3;
/// Scans of a bid: what it asks for and what is free, both sides after it, and the taker's thresholds.
const BID_SCANS: u32 = 12;

/// What of an account decides what work on it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Positions and collaterals.
    pub holdings: u32,
    /// Thresholds that it can have beyond two for each of them, as a scan may margin it: see [`more_thresholds`].
    pub more: u32,
}

impl Size {
    /// The largest.
    pub const MOST: Self = Self {
        holdings: MAX_HOLDINGS,
        more: MOST_MORE_THRESHOLDS,
    };
    /// Of few positions, none of which a scan may margin.
    pub const SMALL: Self = Self {
        holdings: SMALL_POSITIONS,
        more: 0,
    };

    /// An account's.
    pub fn of(account: &MarginAccount, view: &RiskView) -> Self {
        Self {
            holdings: account.holdings(),
            more: more_thresholds(account, view),
        }
    }
}

/// Picoseconds by what an account holds, between two measured points and beyond.
#[derive(Clone, Copy)]
struct Line {
    /// Of an account with [`SMALL_POSITIONS`] or fewer.
    small: u64,
    /// More for each position or collateral beyond.
    each: u64,
}

impl Line {
    fn through(small: Part, full: Part, db: RuntimeDbWeight) -> Self {
        let (small, full) = (small.computing(db), full.computing(db));
        let beyond = MAX_POSITIONS.saturating_sub(SMALL_POSITIONS).max(1);
        Self {
            small,
            each: full.saturating_sub(small).div_ceil(beyond.into()),
        }
    }

    fn at(&self, holdings: u32) -> u64 {
        let beyond = holdings.saturating_sub(SMALL_POSITIONS);
        self.small
            .saturating_add(self.each.saturating_mul(beyond.into()))
    }
}

/// Reference time that is left, and what is paid for what.
pub(crate) struct Meter<T> {
    left: u64,
    /// Taken off what is left, for the remedies of those who were found.
    aside: u64,
    /// Whether the remedies of those who are found are this close's.
    puts_by: bool,
    /// Whether parameters are coming, by which whoever is indexed is assessed too.
    are_coming: bool,
    key: u64,
    entry: u64,
    rank: u64,
    trigger: u64,
    scan: u64,
    deviation: u64,
    look: Line,
    liquidate: Line,
    slice: Line,
    bid: Line,
    config: PhantomData<T>,
}

impl<T: Config> Meter<T> {
    /// So much, in picoseconds.
    pub fn of(left: u64) -> Self {
        type Weights<T> = <T as Config>::WeightInfo;
        let db = T::DbWeight::get();
        Self {
            left,
            aside: 0,
            puts_by: false,
            are_coming: true,
            key: db.write,
            entry: Weights::<T>::pop().computing(db),
            rank: Weights::<T>::rank().computing(db),
            trigger: Weights::<T>::left_behind().computing(db),
            scan: Weights::<T>::option_scan().computing(db),
            deviation: Weights::<T>::scan_at_stake().ref_time(),
            look: Line::through(Weights::<T>::small_look(), Weights::<T>::look(), db),
            liquidate: Line::through(
                Weights::<T>::small_liquidate(),
                Weights::<T>::liquidate(),
                db,
            ),
            slice: Line::through(
                Weights::<T>::small_deleverage(),
                Weights::<T>::deleverage(),
                db,
            ),
            bid: Line::through(Weights::<T>::small_fill_bid(), Weights::<T>::fill_bid(), db),
            config: PhantomData,
        }
    }

    /// For the work of this close: what does not happen in it is not paid for.
    pub fn of_close(left: u64) -> Self {
        Self {
            are_coming: Coming::<T>::exists(),
            ..Self::of(left)
        }
    }

    /// Scans of an account that is indexed: as prices are, and as parameters are going to be.
    fn indexing(&self) -> u32 {
        if self.are_coming {
            2
        } else {
            1
        }
    }

    /// What is left.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// One part in so many of what is left, taken out; what it leaves comes back with [`Meter::give_back`].
    pub fn split(&mut self, parts: u64) -> Self {
        let part = self.left.div_ceil(parts.max(1));
        self.left = self.left.saturating_sub(part);
        Self {
            left: part,
            aside: 0,
            ..*self
        }
    }

    /// Takes what a part left, and what it set aside.
    pub fn give_back(&mut self, part: Self) {
        self.left = self.left.saturating_add(part.left);
        self.aside = self.aside.saturating_add(part.aside);
    }

    /// From now on time is put by for the remedies of whoever is found.
    pub fn put_by_from_now_on(&mut self) {
        self.puts_by = true;
    }

    /// Puts by what an account that was found is reckoned to take, if this close takes its remedies.
    pub fn put_by_for(&mut self, size: Size) {
        if self.puts_by {
            self.set_aside(self.put_by(size));
        }
    }

    /// Keeps so much, or what there is, from whoever finds more accounts.
    pub fn set_aside(&mut self, cost: u64) {
        let cost = cost.min(self.left);
        self.left = self.left.saturating_sub(cost);
        self.aside = self.aside.saturating_add(cost);
    }

    /// Everybody is found: what was set aside is left again.
    pub fn release(&mut self) {
        self.left = self.left.saturating_add(core::mem::take(&mut self.aside));
    }

    /// Takes back what was paid and not done.
    pub fn earn(&mut self, cost: u64) {
        self.left = self.left.saturating_add(cost);
    }

    /// Whether so much is left.
    pub fn affords(&self, cost: u64) -> bool {
        cost <= self.left
    }

    /// Pays, as far as it goes: whoever asked first owes nothing.
    pub fn spend(&mut self, cost: u64) {
        self.left = self.left.saturating_sub(cost);
    }

    /// Keys changed.
    pub fn keys(&self, many: u32) -> u64 {
        self.key.saturating_mul(many.into())
    }

    /// Entries appended to the indices, each to a page of its own, and their part in sweeping pages.
    pub fn appended(&self, many: u32) -> u64 {
        let swept = self.rank.saturating_mul(SWEPT_PER_ENTRY);
        self.key.saturating_add(swept).saturating_mul(many.into())
    }

    /// Entries taken out of the threshold index, which changed so many keys.
    pub fn popped(&self, entries: u32, keys: u32) -> u64 {
        self.entry
            .saturating_mul(entries.into())
            .saturating_add(self.keys(keys))
    }

    /// Entries of the deleveraging index read and put back, which changed so many keys.
    pub fn ranked(&self, entries: u32, keys: u32) -> u64 {
        self.rank
            .saturating_mul(entries.into())
            .saturating_add(self.keys(keys))
    }

    /// Entries of the queue read and put back, unless their accounts are looked at. Its pages are every close's.
    pub fn passed(&self, entries: u32) -> u64 {
        self.ranked(entries, 0)
    }

    /// Pricing all of an account's positions under the grid, so many times.
    pub fn scans(&self, size: Size, times: u32) -> u64 {
        self.scan
            .saturating_mul(size.more.div_ceil(MORE_PER_POSITION).into())
            .saturating_mul(times.into())
    }

    /// Looking at an account, whatever comes of it beside changed keys.
    pub fn look(&self, size: Size) -> u64 {
        self.look
            .at(size.holdings)
            .saturating_add(self.scans(size, self.indexing()))
    }

    /// The same, at worst: all thresholds are drawn again.
    pub fn worst_look(&self, size: Size) -> u64 {
        self.look(size).saturating_add(self.redrawn(size))
    }

    /// An account written with all the thresholds that it can have.
    fn redrawn(&self, size: Size) -> u64 {
        // A mark's and a funding index's for each position, one for parameters, and one for interest.
        let thresholds = size.holdings.saturating_mul(2).saturating_add(2);
        self.keys(1)
            .saturating_add(self.appended(thresholds.saturating_add(size.more)))
    }

    /// What so many thresholds that an account can have beyond two for each of its holdings take more at worst when it is looked at.
    pub fn more(&self, thresholds: u32) -> u64 {
        let size = Size {
            holdings: 0,
            more: thresholds,
        };
        // Before it is written and as it is.
        self.scans(size, self.indexing().saturating_mul(2))
            .saturating_add(self.appended(thresholds))
    }

    /// One forecast deviation of an account of which a scan margins so many options: each is priced anew, and all of its positions are valued where
    /// nothing moved, and either way.
    pub fn deviation(&self, options: u32, size: Size) -> u64 {
        self.deviation
            .saturating_mul(options.into())
            .saturating_add(self.scans(size, DEVIATION_SCANS))
    }

    /// What such thresholds take more when the sweep passes their account, all of its positions options that a scan margins.
    pub fn worst_swept(&self, thresholds: u32) -> u64 {
        let size = Size {
            holdings: 0,
            more: thresholds,
        };
        let options = thresholds.div_ceil(MORE_PER_POSITION);
        self.more(thresholds)
            .saturating_add(self.deviation(options, size))
    }

    /// Entries that there is time to look behind if their accounts are small ones: at least one while there is time for the largest.
    pub fn entries(&self) -> u32 {
        let each = self
            .entry
            .saturating_add(self.worst_look(Size::SMALL))
            .max(1);
        let many = self.left.checked_div(each).unwrap_or(0);
        u32::try_from(many).unwrap_or(u32::MAX)
    }

    /// An account taken through the remedies up to the vault, `at_market` or beyond it, beside looking at it. One that was found in this close was paid for as it
    /// was changed; of another, itself and its place in the queue are changed now.
    pub fn liquidation(&self, size: Size, found_now: bool, at_market: bool) -> u64 {
        let beyond = self
            .liquidate
            .at(size.holdings)
            .saturating_sub(self.look.at(size.holdings));
        beyond
            .saturating_add(self.scans(
                size,
                if at_market {
                    MARKET_SCANS
                } else {
                    BEYOND_SCANS
                },
            ))
            .saturating_add(if found_now { 0 } else { self.keys(2) })
    }

    /// What of that is not spent on one beyond the market that waits for bids, or is closed out by parts.
    pub fn unmade(&self, size: Size, at_market: bool) -> u64 {
        self.scans(size, if at_market { 0 } else { UNMADE_SCANS })
    }

    /// Triggers that leave with the liquidation of their account.
    pub fn left_behind(&self, triggers: u32) -> u64 {
        self.trigger.saturating_mul(triggers.into())
    }

    /// A slice closed against somebody of that size, beside changed keys.
    pub fn slice(&self, size: Size) -> u64 {
        self.slice
            .at(size.holdings)
            .saturating_add(self.scans(size, SLICE_SCANS))
    }

    /// What a counterparty takes once in a close: it is indexed as it is written, and what that appends is reckoned before.
    pub fn counterparty(&self, size: Size) -> u64 {
        let reckoned = self.indexing().saturating_sub(1);
        self.scans(size, self.indexing().saturating_add(reckoned))
    }

    /// A slice at worst.
    pub fn worst_slice(&self, size: Size) -> u64 {
        self.slice(size)
            .saturating_add(self.counterparty(size))
            .saturating_add(self.redrawn(size))
    }

    /// A bid in the close, at worst, for an account that is as large as the one it is for and its taker together: it prepays that, and the
    /// close does not count it. Both are written, the taker with all thresholds drawn again.
    pub fn worst_bid(&self, size: Size) -> u64 {
        self.bid
            .at(size.holdings)
            .saturating_add(self.scans(size, BID_SCANS))
            .saturating_add(self.redrawn(size))
            .saturating_add(self.keys(1))
    }

    /// What an account in the queue is reckoned to take: its remedies, and each of its positions closed against one small account of
    /// which a threshold comes nearer.
    pub fn expected(&self, size: Size, at_market: bool) -> u64 {
        let slice = self
            .slice(Size::SMALL)
            .saturating_add(self.keys(1))
            .saturating_add(self.appended(1));
        self.liquidation(size, false, at_market)
            .saturating_add(slice.saturating_mul(size.holdings.into()))
    }

    /// What is set aside for the remedies of an account that was found: half of what they are reckoned to take. Most take less, and who is
    /// not reached waits for the next close.
    pub fn put_by(&self, size: Size) -> u64 {
        self.expected(size, false).div_ceil(2)
    }

    /// What the largest account is reckoned to take whose remedies begin.
    pub fn largest_start(&self) -> u64 {
        self.expected(Size::MOST, true)
            .saturating_add(self.left_behind(MAX_TRIGGERS))
    }

    /// What finding the largest account takes, all of its thresholds drawn again.
    pub fn largest_look(&self) -> u64 {
        self.worst_look(Size::MOST)
            .saturating_add(self.popped(MAX_RISK_SLOTS, KEYS_OF_MANY))
    }

    /// What the largest account's dearest step takes after that.
    pub fn largest_step(&self) -> u64 {
        self.largest_start()
            .max(self.worst_look(Size::MOST))
            .max(self.worst_slice(Size::MOST))
            .saturating_add(self.popped(1, KEYS_OF_MANY))
    }
}
