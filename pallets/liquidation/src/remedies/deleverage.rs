//! Remedy 6: what fund and vault refuse is closed against the accounts that profit most, at the bankruptcy price.
//!
//! In each market the price is the one at which closing the whole position leaves the account at zero, given its other
//! positions (`novate_risk::bankruptcy_value`). What lost is closed at a loss to those across, never a long option to its writers; of these only as
//! many are closed as pay for what the rest lacks (`novate_risk::closing_lots`). Slices share that value by lots, each rounded against the
//! counterparty, the last one taking what is left of it: both sides book the same amount, so nothing is created or lost.
//!
//! Counterparties come best entry price first, which within a market and side is the order of profit over cost (of an option, the largest first: its
//! cost has moved in cash), and by a hash of
//! account and block within a page of a bucket. Nobody closes more than its position, the bankrupt account closes no more than
//! its own, and a counterparty that would end below maintenance margin is left out. What a close has no quota for stays frozen
//! until the next.
//!
//! A crash has many bankrupt accounts and one line of counterparties: the line is read, and who stands in it changed, in
//! memory while one account after the other is closed against it, and written once a close.

use crate::{
    index::{entry_bucket, side_of},
    meter::{Meter, Size, KEYS_OF_MANY},
    pages::{Entry, Shelf, PAGE},
    types::steps,
    Config, Event, Pallet, Refusal, RiskDirectory,
};
use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};
use codec::Encode;
use frame_support::{ensure, traits::Get};
use novate_risk::{apply_trade, bankruptcy_value, closing_lots, Linear};
use novate_types::{
    math::{neg, signed_mul_div_floor, sub},
    AccountRef, Assessment, BlockNumber, Cash, Ledger, Lots, MarginAccount, MarketId, MathError,
    Pot, RankSlot, RiskModel, RiskView, Side, SignedLots, Standing,
};

/// Whoever may be closed against in this close, and how many more.
pub(crate) struct Counterparties<AccountId> {
    /// Steps of accounts that may still be changed beside those that were.
    steps: u32,
    /// Entries of the index that may still be read.
    reads: u32,
    lines: BTreeMap<(MarketId, Side), Line<AccountId>>,
    /// Written since the close began with them, to get another entry: whoever read them before has to read them again.
    moved: BTreeSet<AccountRef<AccountId>>,
    /// Entries that writing a changed account will append, as it was paid for.
    paid: BTreeMap<AccountRef<AccountId>, u32>,
    /// As they are after the accounts that were closed so far; to be written.
    changed: BTreeMap<AccountRef<AccountId>, MarginAccount>,
    /// Of the account being closed: somebody was left out who can be reached in a later close.
    is_deferred: bool,
}

/// Entries of one market and side, taken out of the index. All of them go back.
struct Line<AccountId> {
    /// In the order in which they are reached, with their buckets.
    next: VecDeque<(u32, Entry<AccountId>)>,
    /// Left out at one account's price.
    passed: Vec<(u32, Entry<AccountId>)>,
}

impl<AccountId> Default for Line<AccountId> {
    fn default() -> Self {
        Self {
            next: VecDeque::new(),
            passed: Vec::new(),
        }
    }
}

impl<AccountId: Ord + Clone> Counterparties<AccountId> {
    pub(crate) fn of<T: Config<AccountId = AccountId>>() -> Self {
        let capacity = Pallet::<T>::capacity();
        Self {
            steps: capacity.deleveraged,
            reads: capacity.ranks,
            lines: BTreeMap::new(),
            moved: BTreeSet::new(),
            paid: BTreeMap::new(),
            changed: BTreeMap::new(),
            is_deferred: false,
        }
    }

    fn line(&mut self, market: MarketId, side: Side) -> &mut Line<AccountId> {
        self.lines.entry((market, side)).or_default()
    }

    /// Whether this close changed an account, and it is in good standing.
    pub(crate) fn is_good(&self, of: &AccountRef<AccountId>) -> bool {
        let changed = self.changed.get(of);
        changed.is_some_and(|account| account.standing == Standing::Good)
    }

    /// Those whom one account's price left out stand before the next account first; looking at them again counts as reading them.
    fn offer_again(&mut self) {
        for line in self.lines.values_mut() {
            let again = u32::try_from(line.passed.len()).unwrap_or(u32::MAX);
            let Some(left) = self.reads.checked_sub(again) else {
                continue;
            };
            self.reads = left;
            for entry in line.passed.drain(..).rev() {
                line.next.push_front(entry);
            }
        }
    }

    /// What writing an account takes, so far as it was not paid for: its key, and `entries` of the indices.
    fn newly_due<T: Config>(
        &mut self,
        of: &AccountRef<AccountId>,
        entries: u32,
        meter: &Meter<T>,
    ) -> u64 {
        let paid = self.paid.get(of).copied();
        let more = entries.saturating_sub(paid.unwrap_or(0));
        self.paid.insert(of.clone(), entries.max(paid.unwrap_or(0)));
        let key = meter.keys(paid.is_none().into());
        key.saturating_add(meter.appended(more))
    }

    /// Leaves the first of a line out.
    fn pass(&mut self, market: MarketId, side: Side) {
        let line = self.line(market, side);
        line.passed.extend(line.next.pop_front());
    }
}

/// Somebody across, as it is now.
type Counterparty<AccountId> = (AccountRef<AccountId>, MarginAccount);
/// An entry that was taken out of a line: its market and side, its bucket, and itself.
type Taken<AccountId> = ((MarketId, Side), (u32, Entry<AccountId>));

/// What is left of a position to close, and what the account pays for closing it (below zero: receives).
struct Remainder {
    lots: Lots,
    value: Cash,
}

impl Remainder {
    /// The part of `value` that falls on `lots`. The account pays less, or receives more, by what rounds.
    fn share(&self, lots: Lots) -> Result<Cash, MathError> {
        signed_mul_div_floor(self.value, u128::from(lots), u128::from(self.lots))
    }

    fn less(&self, lots: Lots, value: Cash) -> Result<Self, MathError> {
        Ok(Self {
            lots: self.lots.checked_sub(lots).ok_or(MathError::Overflow)?,
            value: sub(self.value, value)?,
        })
    }
}

/// What closing an account comes to. Nothing of it is written.
pub(crate) struct Closing<AccountId> {
    /// The account after it.
    pub account: MarginAccount,
    /// Whatever it still holds, nobody is across who could be closed against: it is not the close that ended first.
    pub is_exhausted: bool,
    counterparties: BTreeMap<AccountRef<AccountId>, MarginAccount>,
    /// Entries of counterparties that it leaves without a position.
    spent: Vec<Taken<AccountId>>,
    pots: Vec<(MarketId, Cash)>,
    slices: Vec<Slice<AccountId>>,
}

/// Lots closed between two accounts.
struct Slice<AccountId> {
    counterparty: AccountRef<AccountId>,
    market: MarketId,
    lots: Lots,
    value: Cash,
}

impl<T: Config> Pallet<T> {
    /// Closes as much of an account as quota and counterparties allow, in memory.
    ///
    /// Entries are taken out of the index, and those that stand better than they deserve are moved: that happens whatever
    /// becomes of the account.
    pub(crate) fn deleverage(
        account: MarginAccount,
        view: &RiskView,
        across: &mut Counterparties<T::AccountId>,
        meter: &mut Meter<T>,
    ) -> Result<Closing<T::AccountId>, Refusal> {
        let mut closing = Closing {
            account,
            is_exhausted: true,
            counterparties: BTreeMap::new(),
            spent: Vec::new(),
            pots: Vec::new(),
            slices: Vec::new(),
        };
        match Self::close_positions(&mut closing, view, across, meter) {
            Ok(()) => Ok(closing),
            Err(refusal) => {
                Self::drop_closing(closing, across);
                Err(refusal)
            }
        }
    }

    fn close_positions(
        closing: &mut Closing<T::AccountId>,
        view: &RiskView,
        across: &mut Counterparties<T::AccountId>,
        meter: &mut Meter<T>,
    ) -> Result<(), Refusal> {
        across.is_deferred = false;
        // No hedge is left of what is closed out: it is reckoned by parts.
        let assessment = Linear::assess(&closing.account, view)?;
        for (market, held) in closing_lots(&closing.account, view, &assessment)? {
            let change = held.checked_neg().ok_or(MathError::Overflow)?;
            let mut rest = Remainder {
                lots: held.unsigned_abs(),
                value: bankruptcy_value::<Linear>(&closing.account, view, market, change)?,
            };
            let side = if held > 0 { Side::Ask } else { Side::Bid };
            while rest.lots > 0 {
                let drafts = &closing.counterparties;
                let next = Self::next_counterparty(market, side, view, drafts, across, meter)?;
                let Some((of, counterparty)) = next else {
                    closing.is_exhausted &= Self::is_through(market, side, across);
                    break;
                };
                let is_new = !drafts.contains_key(&of) && !across.changed.contains_key(&of);
                let takes = if is_new { steps(&counterparty) } else { 0 };
                let size = Size::of(&counterparty, view);
                if takes > across.steps || !meter.affords(meter.worst_slice(size)) {
                    closing.is_exhausted = false;
                    break;
                }
                meter.spend(meter.slice(size));
                if is_new {
                    meter.spend(meter.counterparty(size));
                }
                match Self::slice(&closing.account, counterparty, view, market, &rest) {
                    Ok(sliced) => {
                        across.steps = across.steps.saturating_sub(takes);
                        let Sliced {
                            account,
                            counterparty,
                            after,
                            pots,
                            lots,
                            value,
                        } = sliced;
                        let entries = Self::unsettled(&of, &counterparty, view, &after)?;
                        meter.spend(across.newly_due(&of, entries, meter));
                        rest = rest.less(lots, value)?;
                        if counterparty.position(market).is_none() {
                            let at = (market, side);
                            let entry = across.line(at.0, at.1).next.pop_front();
                            closing.spent.extend(entry.map(|entry| (at, entry)));
                        }
                        closing.account = account;
                        closing.pots.extend(pots);
                        closing.slices.push(Slice {
                            counterparty: of.clone(),
                            market,
                            lots,
                            value,
                        });
                        closing.counterparties.insert(of, counterparty);
                    }
                    Err(Refusal::CounterpartyMargin) => across.pass(market, side),
                    Err(refusal) => return Err(refusal),
                }
            }
        }
        Ok(())
    }

    /// Writes what an account's closing changes of it, and of others.
    pub(crate) fn write_slices(
        of: &AccountRef<T::AccountId>,
        view: &RiskView,
        closing: &Closing<T::AccountId>,
    ) -> Result<(), Refusal> {
        if closing.slices.is_empty() {
            return Ok(());
        }
        T::Ledger::update(of, |account| {
            *account = closing.account.clone();
            Ok::<_, Refusal>(())
        })?;
        Self::write_others(of, view, closing)
    }

    /// Writes what a closing changes of others: of the counterparties only vault and fund, which other remedies read from storage.
    pub(crate) fn write_others(
        of: &AccountRef<T::AccountId>,
        view: &RiskView,
        closing: &Closing<T::AccountId>,
    ) -> Result<(), Refusal> {
        for own in Self::own_accounts() {
            if let Some(changed) = closing.counterparties.get(&own) {
                Self::write(&own, changed.clone(), view)?;
            }
        }
        for (market, amount) in &closing.pots {
            if *amount != 0 {
                T::Ledger::credit_pot(Pot::Funding(*market), *amount)?;
            }
        }
        for slice in &closing.slices {
            Self::deposit_event(Event::Deleveraged {
                account: of.clone(),
                counterparty: slice.counterparty.clone(),
                market: slice.market,
                lots: slice.lots,
                value: slice.value,
            });
        }
        Ok(())
    }

    /// Writes a counterparty that somebody else is going to read. Returns whether it is another than when the close began with it.
    pub(crate) fn release(
        of: &AccountRef<T::AccountId>,
        view: &RiskView,
        across: &mut Counterparties<T::AccountId>,
    ) -> Result<bool, Refusal> {
        let was_moved = across.moved.remove(of);
        match across.changed.remove(of) {
            None => Ok(was_moved),
            Some(changed) => Self::write(of, changed, view).map(|()| true),
        }
    }

    /// From now on the other counterparties are as a closing left them.
    pub(crate) fn keep_closing(
        mut closing: Closing<T::AccountId>,
        across: &mut Counterparties<T::AccountId>,
    ) {
        for own in Self::own_accounts() {
            closing.counterparties.remove(&own);
        }
        across.changed.extend(closing.counterparties);
        across.offer_again();
    }

    fn own_accounts() -> [AccountRef<T::AccountId>; 2] {
        [T::Vault::get(), T::InsuranceFund::get()]
    }

    /// A closing that could not be written: counterparties stay as they were.
    pub(crate) fn drop_closing(
        closing: Closing<T::AccountId>,
        across: &mut Counterparties<T::AccountId>,
    ) {
        for ((market, side), entry) in closing.spent {
            across.line(market, side).passed.push(entry);
        }
        across.offer_again();
    }

    /// Writes all counterparties, and puts back the entries that were taken out of the index.
    pub(crate) fn close_lines(
        view: &RiskView,
        across: Counterparties<T::AccountId>,
    ) -> Result<(), Refusal> {
        for (of, changed) in across.changed {
            Self::write(&of, changed, view)?;
        }
        for ((market, side), line) in across.lines {
            let shelf = Shelf::Rank(market, side);
            for (bucket, entry) in line.next.into_iter().chain(line.passed) {
                Self::append(shelf, bucket, entry)?;
            }
        }
        Ok(())
    }

    /// Writes an account as it was changed. One that the indices cannot take ("cannot happen") keeps its trades, whose other halves are
    /// written already, and is looked for by the sweep.
    fn write(
        of: &AccountRef<T::AccountId>,
        changed: MarginAccount,
        view: &RiskView,
    ) -> Result<(), Refusal> {
        let settled = T::Ledger::settle(of, view, false, |account| {
            *account = changed.clone();
            Ok::<_, Refusal>(())
        });
        settled.or_else(|refusal| {
            log::error!(target: crate::LOG, "{of:?} cannot be indexed: {refusal:?}");
            T::Ledger::update(of, |account| {
                *account = changed;
                Ok(())
            })
        })
    }

    /// The first of a line whose entry is live and where it belongs, as it is now. It stays the first.
    fn next_counterparty(
        market: MarketId,
        side: Side,
        view: &RiskView,
        drafts: &BTreeMap<AccountRef<T::AccountId>, MarginAccount>,
        across: &mut Counterparties<T::AccountId>,
        meter: &mut Meter<T>,
    ) -> Result<Option<Counterparty<T::AccountId>>, Refusal> {
        loop {
            let Some((bucket, entry)) = across.line(market, side).next.front().cloned() else {
                if Self::read_line(market, side, view.block, across, meter) {
                    continue;
                }
                return Ok(None);
            };
            let of = entry.account;
            let drafted = drafts.get(&of);
            let known = drafted.or_else(|| across.changed.get(&of)).cloned();
            let known = known.or_else(|| T::Ledger::account(&of));
            let live = known.filter(|account| {
                account.position(market).is_some_and(|p| {
                    side_of(p) == side
                        && u32::from(p.rank.bucket) == bucket
                        && p.rank.generation == entry.generation
                })
            });
            let Some(mut account) = live else {
                across.line(market, side).next.pop_front();
                continue;
            };
            let deserved = account.position(market);
            let deserved = deserved.map(|position| u32::from(entry_bucket(position, view)));
            if deserved == Some(bucket) {
                return Ok(Some((of, account)));
            }
            if drafts.contains_key(&of) {
                across.is_deferred = true;
                across.pass(market, side);
                continue;
            }
            // It stands better than its entry price deserves: it gets another entry.
            let takes = steps(&account);
            let size = Size::of(&account, view);
            if takes > across.steps || !meter.affords(meter.worst_look(size)) {
                return Ok(None);
            }
            across.steps = across.steps.saturating_sub(takes);
            for position in account.positions.iter_mut().filter(|p| p.market == market) {
                position.rank = RankSlot::default();
            }
            let entries =
                Self::unsettled(&of, &account, view, &T::Risk::assess_held(&account, view)?)?;
            // Its key changes once a close; what is appended now is appended again if it is closed against.
            let key = across.newly_due(&of, 0, meter);
            let changed = key.saturating_add(meter.appended(entries));
            let written = meter.counterparty(size);
            meter.spend(meter.look(size).saturating_add(written));
            meter.spend(changed);
            Self::write(&of, account, view)?;
            across.changed.remove(&of);
            across.line(market, side).next.pop_front();
            across.moved.insert(of);
        }
    }

    /// Whether everybody in a line was asked.
    fn is_through(market: MarketId, side: Side, across: &mut Counterparties<T::AccountId>) -> bool {
        let directory = RiskDirectory::<T>::get(Shelf::Rank(market, side));
        !across.is_deferred
            && across.line(market, side).next.is_empty()
            && directory.buckets().next().is_none()
    }

    /// Takes the next page out of the index: of the lowest entry prices of longs, of the highest of shorts. Returns whether there
    /// was one.
    fn read_line(
        market: MarketId,
        side: Side,
        block: BlockNumber,
        across: &mut Counterparties<T::AccountId>,
        meter: &mut Meter<T>,
    ) -> bool {
        let shelf = Shelf::Rank(market, side);
        let directory = RiskDirectory::<T>::get(shelf);
        let best = match side {
            Side::Bid => directory.buckets().next(),
            Side::Ask => directory.buckets().next_back(),
        };
        let is_possible = across.reads > 0 && meter.affords(meter.ranked(PAGE, KEYS_OF_MANY));
        let Some(bucket) = best.filter(|_| is_possible) else {
            return false;
        };
        let keys = Self::keys_of_page(shelf, bucket);
        let mut entries = Self::take(shelf, bucket, PAGE.min(across.reads));
        let read = u32::try_from(entries.len()).unwrap_or(PAGE);
        across.reads = across.reads.saturating_sub(read);
        meter.spend(meter.ranked(read, keys.saturating_add(1)));
        entries.sort_by_cached_key(|entry| {
            sp_io::hashing::blake2_128(&(block, &entry.account).encode())
        });
        let next = &mut across.line(market, side).next;
        next.extend(entries.into_iter().map(|entry| (bucket, entry)));
        true
    }

    /// Closes one counterparty's position, or as much of it as is needed, on both sides.
    fn slice(
        account: &MarginAccount,
        mut counterparty: MarginAccount,
        view: &RiskView,
        market: MarketId,
        rest: &Remainder,
    ) -> Result<Sliced, Refusal> {
        let held = counterparty.lots(market);
        let lots = held.unsigned_abs().min(rest.lots);
        let value = rest.share(lots)?;
        // Against longs the account buys, against shorts it sells.
        let change = SignedLots::try_from(lots)
            .ok()
            .and_then(|lots| lots.checked_mul(held.signum()))
            .ok_or(MathError::Overflow)?;
        let back = change.checked_neg().ok_or(MathError::Overflow)?;
        let priced = view.market(market)?;
        let mut account = account.clone();
        let ours = apply_trade(&mut account, priced, change, value)?;
        let theirs = apply_trade(&mut counterparty, priced, back, neg(value)?)?;
        let after = T::Risk::assess_held(&counterparty, view)?;
        ensure!(!after.is_below_maintenance(), Refusal::CounterpartyMargin);
        Ok(Sliced {
            account,
            counterparty,
            after,
            pots: [
                (market, ours.funding_to_pot),
                (market, theirs.funding_to_pot),
            ],
            lots,
            value,
        })
    }
}

/// A slice, and both sides after it.
struct Sliced {
    account: MarginAccount,
    counterparty: MarginAccount,
    after: Assessment,
    pots: [(MarketId, Cash); 2],
    lots: Lots,
    value: Cash,
}
