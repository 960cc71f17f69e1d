//! The close of a market: load its book lazily and its new orders in canonical order, match within limits, commit.
//!
//! **Limits.** An order that may not take part in a match is *screened*: a resting one is suspended (it stays in the book and
//! matches again in another block), a new one is cancelled, because what has not met the market cannot rest in a book that it
//! might cross. Where only reductions are admitted (a reduce-only market, the open-interest cap) every order that faces its
//! account's position takes part, capped at the position; all others are screened.
//!
//! **Work.** A match reads the book lazily, a side no deeper than `LoadLimit`, and all matches of a block together no more than
//! `BlockReads`; where that ends the book ends for this close. What a match looks at again, run once more for the sake of
//! fill-or-kill orders, counts as read, up to half of what its market has; then these are killed. A market for which not even the
//! best groups are left keeps its intake for the next close.
//!
//! **Auctions.** A market in a call auction does not match: see `auction`.
//!
//! A suspended order still stands in the book, so a new order whose remainder would rest touching it is cancelled. With that the
//! book of standing orders never crosses, whatever is suspended.

mod auction;

use crate::{
    book::{group_range, Books},
    changes::{cancel_all, clear_intake, new_orders, Changes, Notes},
    intake::{page_of, Session},
    rested,
    types::{
        Locator, Place, Slot, GROUP_ORDERS, GROUP_READ, MAX_WAITING, POSITION_READS, WAITING_READS,
    },
    Config, Directories, Event, Evicting, Expiries, ExpiryCounts, Intake, Pallet, Reaches, Reads,
    RestedQuotes, Waiting,
};
use alloc::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
pub(crate) use auction::AUCTION_RUNS;
use auction::{Called, Mode};
use codec::{Encode, Output};
use core::{cell::RefCell, hash::Hasher};
use frame_support::{defensive, traits::Get, BoundedVec};
use novate_matching::{band_edges, match_block, Book, Kind, Order, Outcome, Rules};
use novate_types::{
    AccountRef, BlockNumber, CancelReason, Fill, Ledger, LiquidationOrder, Lots, MarginAccount,
    MarketId, MarketView, MatchLimits, OpenOrder, Operation, OrderBook, Release, RiskView,
    SelfTradePrevention, Sequence, Side, SignedLots, Tentative, Ticks, TimeInForce, Unfinished,
};
use siphasher::sip::SipHasher24;

/// The sequence number under which fills of liquidation orders are reported, and the oldest there is: in a self-trade the
/// owner's other order gives way.
pub const LIQUIDATION_SEQUENCE: Sequence = 0;

/// Further runs of a match take one in so many of the reads that it has; the others are for what other orders need.
const FURTHER_PART: u32 = 2;

/// Whether a market matches at all: it is not halted, and it has a price.
pub(crate) fn matches(view: &MarketView) -> bool {
    view.status.allows_matching() && view.mark.into_inner() > 0
}

/// Accounts and owners by number, and the accounts' positions once asked for.
struct Parties<AccountId> {
    market: MarketId,
    /// What this match may still read of [`Config::BlockReads`].
    left: u32,
    /// What of that may go to further runs for the sake of fill-or-kill orders.
    further: u32,
    ties: Ties,
    accounts: Vec<(AccountRef<AccountId>, Option<SignedLots>)>,
    by_account: BTreeMap<AccountRef<AccountId>, u32>,
    owners: BTreeMap<AccountId, u32>,
}

impl<AccountId: Ord + Clone> Parties<AccountId> {
    fn new(market: MarketId, left: u32, ties: Ties) -> Self {
        Self {
            market,
            left,
            further: left / FURTHER_PART,
            ties,
            accounts: Vec::new(),
            by_account: BTreeMap::new(),
            owners: BTreeMap::new(),
        }
    }

    /// The numbers of the owner and of the account.
    fn intern(&mut self, of: &AccountRef<AccountId>) -> (u32, u32) {
        let next = u32::try_from(self.owners.len()).unwrap_or(u32::MAX);
        let owner = *self.owners.entry(of.owner.clone()).or_insert(next);
        if let Some(account) = self.by_account.get(of) {
            return (owner, *account);
        }
        let account = u32::try_from(self.accounts.len()).unwrap_or(u32::MAX);
        self.accounts.push((of.clone(), None));
        self.by_account.insert(of.clone(), account);
        (owner, account)
    }

    fn account(&self, number: u32) -> Option<&AccountRef<AccountId>> {
        self.accounts
            .get(usize::try_from(number).ok()?)
            .map(|(of, _)| of)
    }

    /// The position, if it is known or there is enough left to look it up.
    fn affordable_position<L: Ledger<AccountId>>(&mut self, number: u32) -> Option<SignedLots> {
        let at = usize::try_from(number).ok()?;
        let (_, known) = self.accounts.get(at)?;
        if known.is_none() {
            self.left = self.left.checked_sub(POSITION_READS)?;
        }
        Some(self.position::<L>(number))
    }

    fn position<L: Ledger<AccountId>>(&mut self, number: u32) -> SignedLots {
        let market = self.market;
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        let Some((of, position)) = self.accounts.get_mut(at) else {
            return 0;
        };
        *position.get_or_insert_with(|| L::account(of).map_or(0, |a| a.lots(market)))
    }
}

/// What the match's numbers stand for.
struct Known {
    account: u32,
    sequence: Sequence,
    side: Side,
    lots: Lots,
    resting: bool,
    /// Came in before this block: its account's part of the close was paid for then.
    waited: bool,
    reduce_only: bool,
    liquidation: bool,
}

/// A side's resting orders as far as they were read.
struct Resting<AccountId> {
    /// Groups not yet read, the best last.
    ahead: Vec<u16>,
    /// Orders of a group that was read beyond the levels that were asked for, the best last: a group is read whole, and mostly its first
    /// levels are all that a match looks at.
    beyond: Vec<Slot<AccountId>>,
    levels: Vec<Vec<Order>>,
    loaded: u32,
}

/// One market's book and this block's orders, loaded for matching.
pub struct Market<T: Config> {
    view: MarketView,
    mode: Mode,
    now: BlockNumber,
    /// What was left of [`Config::BlockReads`] before it.
    allowed: u32,
    changes: Changes<T>,
    parties: Parties<T::AccountId>,
    known: Vec<Known>,
    /// New orders, then liquidation orders.
    new: Vec<Order>,
    /// New orders whose block of expiry came while their market waited.
    expired: Vec<(AccountRef<T::AccountId>, Sequence)>,
    bids: Resting<T::AccountId>,
    asks: Resting<T::AccountId>,
    settled: Option<Settled<T::AccountId>>,
}

/// What the last run would do.
struct Settled<AccountId: Ord> {
    banned: BTreeSet<AccountRef<AccountId>>,
    filled: BTreeMap<u32, Lots>,
    cancelled: Vec<(u32, Lots, CancelReason)>,
    joined: Vec<(u32, Ticks, Lots)>,
}

/// What breaks ties in this block: a keyed hash (SipHash, Aumasson and Bernstein 2012) of account and sequence number. The key
/// is the parent block's hash, so nobody knows it before that block is.
#[derive(Clone, Copy)]
pub(crate) struct Ties(SipHasher24);

impl Ties {
    pub fn now<T: Config>() -> Self {
        let key =
            frame_system::Pallet::<T>::parent_hash().using_encoded(sp_io::hashing::blake2_128);
        Self(SipHasher24::new_with_key(&key))
    }

    pub fn of<AccountId: Encode>(&self, of: &AccountRef<AccountId>, sequence: Sequence) -> u64 {
        let mut hash = Hashing(self.0);
        of.encode_to(&mut hash);
        sequence.encode_to(&mut hash);
        hash.0.finish()
    }
}

/// Hashes what is encoded into it.
struct Hashing(SipHasher24);

impl Output for Hashing {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }
}

impl<T: Config> Market<T> {
    /// Resting orders read so far.
    #[cfg(test)]
    pub(crate) fn read(&self) -> usize {
        let beyond = self.bids.beyond.len() + self.asks.beyond.len();
        self.known.iter().filter(|k| k.resting).count() + beyond
    }

    /// Accounts whose position was looked up.
    #[cfg(test)]
    pub(crate) fn looked(&self) -> usize {
        let known =
            |(_, position): &&(AccountRef<T::AccountId>, Option<SignedLots>)| position.is_some();
        self.parties.accounts.iter().filter(known).count()
    }

    fn learn(&mut self, known: Known) -> u32 {
        let id = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        self.known.push(known);
        id
    }

    fn enter(&mut self, of: &AccountRef<T::AccountId>, order: &Locator) {
        let (owner, account) = self.parties.intern(of);
        let id = self.learn(Known {
            account,
            sequence: order.sequence,
            side: order.side,
            lots: order.lots,
            resting: false,
            waited: order.block < self.now,
            reduce_only: order.reduce_only,
            liquidation: false,
        });
        self.new.push(Order {
            id,
            owner,
            account,
            side: order.side,
            limit: order.ticks,
            lots: order.lots,
            block: self.now,
            sequence: order.sequence,
            kind: match order.time_in_force {
                TimeInForce::GoodTilCancelled | TimeInForce::GoodTilBlock(_) => Kind::Rest,
                TimeInForce::ImmediateOrCancel => Kind::Immediate,
                TimeInForce::PostOnly => Kind::PostOnly,
                TimeInForce::FillOrKill => Kind::FillOrKill,
            },
            reduce_only: order.reduce_only,
            self_trade: order.self_trade,
            tie: self.parties.ties.of(of, order.sequence),
        });
    }

    fn enter_liquidation(&mut self, order: &LiquidationOrder<T::AccountId>) {
        let (owner, account) = self.parties.intern(&order.account);
        let id = self.learn(Known {
            account,
            sequence: LIQUIDATION_SEQUENCE,
            side: order.side,
            lots: order.lots,
            resting: false,
            waited: false,
            reduce_only: true,
            liquidation: true,
        });
        self.new.push(Order {
            id,
            owner,
            account,
            side: order.side,
            limit: order.limit,
            lots: order.lots,
            block: self.now,
            sequence: LIQUIDATION_SEQUENCE,
            kind: Kind::Immediate,
            reduce_only: true,
            self_trade: SelfTradePrevention::CancelOldest,
            tie: self.parties.ties.of(&order.account, LIQUIDATION_SEQUENCE),
        });
    }

    /// The account of an order of the match.
    fn party(&self, id: u32) -> Option<(&Known, &AccountRef<T::AccountId>)> {
        let known = self.known.get(usize::try_from(id).ok()?)?;
        Some((known, self.parties.account(known.account)?))
    }

    /// The best price at which an order of `side` stands that is not `gone`. Of groups beyond what may be read, the edge.
    fn best_standing(&mut self, side: Side, gone: &dyn Fn(u32, &Self) -> bool) -> Option<Ticks> {
        let mut depth = 0usize;
        loop {
            let level = match side {
                Side::Bid => self.bids.levels.get(depth),
                Side::Ask => self.asks.levels.get(depth),
            };
            if let Some(level) = level {
                if let Some(order) = level.iter().find(|o| !gone(o.id, self)) {
                    return Some(order.limit);
                }
                depth = depth.saturating_add(1);
                continue;
            }
            let (resting, mut reader) = self.reader(side);
            if !reader.read_level(resting) {
                let (low, high) = group_range(*resting.ahead.last()?);
                return Some(match side {
                    Side::Bid => high,
                    Side::Ask => low,
                });
            }
        }
    }

    fn reader(&mut self, side: Side) -> (&mut Resting<T::AccountId>, Reader<'_, T>) {
        let Self {
            view,
            now,
            changes,
            parties,
            known,
            bids,
            asks,
            ..
        } = self;
        let resting = match side {
            Side::Bid => bids,
            Side::Ask => asks,
        };
        let books = &mut changes.books;
        (
            resting,
            Reader {
                market: view.id,
                now: *now,
                side,
                books,
                parties,
                known,
            },
        )
    }
}

/// What reading a group of one side takes.
struct Reader<'a, T: Config> {
    market: MarketId,
    now: BlockNumber,
    side: Side,
    books: &'a mut Books<T>,
    parties: &'a mut Parties<T::AccountId>,
    known: &'a mut Vec<Known>,
}

impl<T: Config> Reader<'_, T> {
    /// Reads the next level; false if there is none, or if enough was read.
    fn read_level(&mut self, resting: &mut Resting<T::AccountId>) -> bool {
        while resting.beyond.is_empty() {
            if !self.read_group(resting) {
                return false;
            }
        }
        let ticks = resting.beyond.last().map(|slot| slot.ticks);
        let mut level = Vec::new();
        while let Some(slot) = resting.beyond.pop_if(|slot| Some(slot.ticks) == ticks) {
            level.push(order_of::<T>(&slot, self.side, self.parties, self.known));
        }
        resting.levels.push(level);
        true
    }

    /// Reads the next group; false if there is none, or if enough was read.
    fn read_group(&mut self, resting: &mut Resting<T::AccountId>) -> bool {
        if resting.loaded >= T::LoadLimit::get() || self.parties.left == 0 {
            return false;
        }
        let Some(group) = resting.ahead.pop() else {
            return false;
        };
        let (mut slots, read) =
            self.books
                .standing(self.market, self.side, group, self.now, GROUP_ORDERS);
        resting.loaded = read.max(GROUP_READ).saturating_add(resting.loaded);
        // The matcher asks for the position behind every reduce-only order that it reaches.
        let reducing = slots.iter().filter(|s| s.reduce_only).count();
        let looks = u32::try_from(reducing)
            .unwrap_or(u32::MAX)
            .saturating_mul(POSITION_READS);
        self.parties.left = self
            .parties
            .left
            .saturating_sub(read.max(GROUP_READ))
            .saturating_sub(looks);
        slots.reverse();
        resting.beyond = slots;
        true
    }
}

fn order_of<T: Config>(
    slot: &Slot<T::AccountId>,
    side: Side,
    parties: &mut Parties<T::AccountId>,
    known: &mut Vec<Known>,
) -> Order {
    let (owner, account) = parties.intern(&slot.account);
    let id = u32::try_from(known.len()).unwrap_or(u32::MAX);
    known.push(Known {
        account,
        sequence: slot.sequence,
        side,
        lots: slot.lots,
        resting: true,
        waited: false,
        reduce_only: slot.reduce_only,
        liquidation: false,
    });
    Order {
        id,
        owner,
        account,
        side,
        limit: slot.ticks,
        lots: slot.lots,
        block: slot.block,
        sequence: slot.sequence,
        kind: Kind::Rest,
        reduce_only: slot.reduce_only,
        // Of no account to an order that rests.
        self_trade: SelfTradePrevention::CancelNewest,
        tie: parties.ties.of(&slot.account, slot.sequence),
    }
}

/// Who takes part in a run.
struct Screen<'a, AccountId: Ord> {
    limits: &'a MatchLimits<AccountId>,
    reducing_only: bool,
}

impl<AccountId: Ord + Clone> Screen<'_, AccountId> {
    /// The order as it takes part in the run, or why it does not.
    fn admit<L: Ledger<AccountId>>(
        &self,
        order: &Order,
        resting: bool,
        parties: &mut Parties<AccountId>,
    ) -> Result<Order, CancelReason> {
        let mut order = *order;
        if let Some(of) = parties.account(order.account) {
            if order.reduce_only {
                if let Some(worst) = self.limits.tightened.get(of) {
                    if !order.side.accepts(order.limit, *worst) {
                        // The limit is already the better one.
                    } else if resting && order.limit != *worst {
                        return Err(CancelReason::InsufficientMargin);
                    } else {
                        order.limit = *worst;
                    }
                }
            } else {
                let barred = self.limits.cancelled.contains(of)
                    || self
                        .limits
                        .admitted
                        .as_ref()
                        .is_some_and(|those| !those.contains(of));
                if barred {
                    return Err(CancelReason::InsufficientMargin);
                }
            }
        }
        if self.reducing_only && !order.reduce_only {
            // Nobody prepaid for looking behind a resting order: those beyond the bound stay suspended.
            let held = if resting {
                parties
                    .affordable_position::<L>(order.account)
                    .ok_or(CancelReason::MarketRestricted)?
            } else {
                parties.position::<L>(order.account)
            };
            let reduces = match order.side {
                Side::Bid => held < 0,
                Side::Ask => held > 0,
            };
            // What exceeds the position is cut off, and a fill-or-kill order executes whole or not at all.
            let is_cut = order.kind == Kind::FillOrKill && order.lots > held.unsigned_abs();
            if !reduces || (is_cut && !order.reduce_only) {
                return Err(CancelReason::MarketRestricted);
            }
            order.reduce_only = true;
        }
        Ok(order)
    }
}

/// The loaded book through a screen.
struct Screened<'a, T: Config> {
    market: MarketId,
    now: BlockNumber,
    books: &'a mut Books<T>,
    parties: &'a RefCell<Parties<T::AccountId>>,
    known: &'a mut Vec<Known>,
    screen: &'a Screen<'a, T::AccountId>,
    bids: (&'a mut Resting<T::AccountId>, Passed),
    asks: (&'a mut Resting<T::AccountId>, Passed),
}

/// Levels of a side that passed the screen, and how many were looked at.
#[derive(Default)]
struct Passed {
    levels: Vec<Vec<Order>>,
    seen: usize,
}

impl<T: Config> Book for Screened<'_, T> {
    fn level(&mut self, side: Side, depth: usize) -> Option<&[Order]> {
        let (resting, passed) = match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        };
        let mut parties = self.parties.borrow_mut();
        while passed.levels.len() <= depth {
            let Some(level) = resting.levels.get(passed.seen) else {
                let mut reader = Reader {
                    market: self.market,
                    now: self.now,
                    side,
                    books: &mut *self.books,
                    parties: &mut parties,
                    known: &mut *self.known,
                };
                if reader.read_level(resting) {
                    continue;
                }
                return None;
            };
            passed.seen = passed.seen.saturating_add(1);
            let orders: Vec<Order> = level
                .iter()
                .filter_map(|o| self.screen.admit::<T::Ledger>(o, true, &mut parties).ok())
                .collect();
            if !orders.is_empty() {
                passed.levels.push(orders);
            }
        }
        passed.levels.get(depth).map(Vec::as_slice)
    }

    /// A run looks at an order for less than reading one costs, and counts as much for each. What there is for further runs has to be
    /// enough for the next and for the one behind it.
    fn again(&mut self, handled: u32) -> bool {
        let mut parties = self.parties.borrow_mut();
        let enough = parties.further >= handled.saturating_mul(2);
        parties.further = parties.further.saturating_sub(handled);
        parties.left = parties.left.saturating_sub(handled);
        enough
    }
}

impl<T: Config> OrderBook<T::AccountId> for Pallet<T> {
    type Market = Market<T>;

    /// Reads the market's intake. `None` if it does not match at all, in which case the intake stays for
    /// [`OrderBook::housekeep`] to cancel; if no order came in and nothing is liquidated: resting orders alone never match; or if
    /// the block's matches have read so much that it has to wait for the next close.
    fn load(
        view: &MarketView,
        liquidations: Vec<LiquidationOrder<T::AccountId>>,
    ) -> Option<Self::Market> {
        if !matches(view) {
            return None;
        }
        let now = Self::now();
        let mode = Mode::of(view, now);
        let notes = Notes::<T>::of(view.id);
        // Only an auction has something to do without anybody's new order.
        let is_idle = liquidations.is_empty() && mode != Mode::Auction;
        if notes.is_empty() && is_idle {
            return None;
        }
        let waited = Waiting::<T>::get(view.id)
            .min(MAX_WAITING)
            .saturating_mul(WAITING_READS);
        let allowed = T::BlockReads::get().saturating_sub(Reads::<T>::get());
        // At least the best group of each side is read whole.
        let left = allowed
            .checked_sub(waited)
            .filter(|left| *left >= GROUP_ORDERS.saturating_mul(2))?;
        let mut changes = Changes::<T>::default();
        let shrank = changes.books.heed(view.id, &notes);
        let new = new_orders::<T>(view.id, &notes, &mut changes);
        if new.is_empty() && is_idle {
            if shrank {
                rested::refresh::<T>(view, now, &mut changes.books);
                changes.books.write();
            }
            clear_intake::<T>(view.id);
            return None;
        }

        let mut side = |side| {
            let mut ahead = changes.books.groups(view.id, side);
            ahead.reverse();
            Resting {
                ahead,
                beyond: Vec::new(),
                levels: Vec::new(),
                loaded: 0,
            }
        };
        let (bids, asks) = (side(Side::Bid), side(Side::Ask));
        let mut market = Market {
            view: view.clone(),
            mode,
            now,
            allowed,
            changes,
            parties: Parties::new(view.id, left, Ties::now::<T>()),
            known: Vec::new(),
            new: Vec::new(),
            expired: Vec::new(),
            bids,
            asks,
            settled: None,
        };
        for (of, order) in new {
            if order.expires() > now {
                market.enter(&of, &order);
            } else {
                market.expired.push((of, order.sequence));
            }
        }
        let mut liquidations = liquidations;
        liquidations.sort_by(|a, b| a.account.cmp(&b.account));
        for order in liquidations
            .iter()
            .filter(|o| o.lots > 0 && o.market == view.id)
        {
            market.enter_liquidation(order);
        }
        Some(market)
    }

    fn order(of: &AccountRef<T::AccountId>, view: &RiskView, operations: &[Operation]) -> u32 {
        let Some(account) = T::Ledger::account(of) else {
            return 0;
        };
        let mut session = Session::<T>::begin(of, account, Cow::Borrowed(view), Self::now());
        let outcomes: Vec<_> = operations.iter().map(|o| session.apply(o)).collect();
        session.close();
        let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        Self::deposit_event(Event::Submitted {
            account: of.clone(),
            outcomes: BoundedVec::truncate_from(outcomes),
        });
        u32::try_from(done).unwrap_or(u32::MAX)
    }

    fn fire(view: &RiskView, room: u64) -> u64 {
        crate::triggers::fire::<T>(view, room)
    }

    fn run(
        market: &mut Self::Market,
        limits: &MatchLimits<T::AccountId>,
    ) -> Tentative<T::AccountId> {
        let reducing_only = limits.reducing_only || !market.view.status.allows_risk();
        let screen = Screen {
            limits,
            reducing_only,
        };
        let rules = Rules {
            mark: market.view.mark,
            tick_size: market.view.tick_size,
            band: market.view.price_band,
            max_fills: limits.max_fills,
        };
        if market.mode == Mode::Auction {
            let Called {
                refused,
                outcome,
                unfinished,
            } = market.call(&rules, limits, &screen);
            return market.settle(limits, &rules, refused, outcome, unfinished);
        }
        let mut refused = Vec::new();
        let mut entering = Vec::new();
        for order in &market.new {
            match screen.admit::<T::Ledger>(order, false, &mut market.parties) {
                Ok(order) => entering.push(order),
                Err(reason) => refused.push((order.id, order.lots, reason)),
            }
        }

        if market.mode == Mode::Call {
            let outcome = auction::collect(&entering);
            return market.settle(limits, &rules, refused, outcome, None);
        }
        let empty = Parties::new(market.view.id, 0, market.parties.ties);
        let parties = RefCell::new(core::mem::replace(&mut market.parties, empty));
        let outcome = match_block(
            &rules,
            &mut Screened::<T> {
                market: market.view.id,
                now: market.now,
                books: &mut market.changes.books,
                parties: &parties,
                known: &mut market.known,
                screen: &screen,
                bids: (&mut market.bids, Passed::default()),
                asks: (&mut market.asks, Passed::default()),
            },
            &entering,
            &|account| parties.borrow_mut().position::<T::Ledger>(account),
        );
        market.parties = parties.into_inner();
        market.settle(limits, &rules, refused, outcome, None)
    }

    fn candidates(
        market: &Self::Market,
        most: u32,
    ) -> Vec<(AccountRef<T::AccountId>, Vec<OpenOrder>)> {
        let reach = usize::try_from(most).unwrap_or(usize::MAX);
        let of_order = |order: &Order| market.parties.account(order.account).cloned();
        let side = |side: &'_ Resting<T::AccountId>| {
            let asked = side.levels.iter().flatten().filter_map(of_order);
            let beyond = side.beyond.iter().rev().map(|slot| slot.account.clone());
            asked.chain(beyond).take(reach).collect::<Vec<_>>()
        };
        let new = market.new.iter().filter(|o| !market.is_liquidation(o.id));
        let accounts: BTreeSet<AccountRef<T::AccountId>> = new
            .filter_map(of_order)
            .chain(side(&market.bids))
            .chain(side(&market.asks))
            .collect();
        let banned = market.settled.as_ref().map(|s| &s.banned);
        accounts
            .into_iter()
            .filter(|of| !banned.is_some_and(|those| those.contains(of)))
            .map(|of| {
                let orders = Self::open_orders(&of);
                let here = orders.into_iter().filter(|o| o.market == market.view.id);
                (of, here.collect())
            })
            .collect()
    }

    fn commit(market: Self::Market) -> Vec<Release<T::AccountId>> {
        market.commit()
    }

    fn cancel_all(
        of: &AccountRef<T::AccountId>,
        account: &mut MarginAccount,
        reason: CancelReason,
    ) -> u32 {
        cancel_all::<T>(of, account, reason)
    }

    fn open_orders(of: &AccountRef<T::AccountId>) -> Vec<OpenOrder> {
        let orders = Self::orders(of);
        orders.open.iter().map(Locator::open_order).collect()
    }

    fn rested(market: MarketId) -> novate_types::RestedQuotes {
        rested::rested::<T>(market)
    }

    fn depth(market: MarketId, side: Side, limit: Ticks) -> Lots {
        rested::depth::<T>(market, side, limit)
    }

    fn housekeep(view: &RiskView) -> Vec<Release<T::AccountId>> {
        crate::upkeep::housekeep::<T>(view)
    }

    fn forget(market: MarketId) -> bool {
        let rests = |side| Directories::<T>::contains_key((market, side));
        let is_left = rests(Side::Bid)
            || rests(Side::Ask)
            || Intake::<T>::contains_key(market)
            || crate::triggers::any_of::<T>(market);
        if !is_left {
            RestedQuotes::<T>::remove(market);
            Reaches::<T>::mutate(|reaches| reaches.retain(|reach| reach.market != market));
        }
        !is_left
    }
}

impl<T: Config> Market<T> {
    fn is_liquidation(&self, id: u32) -> bool {
        self.party(id).is_some_and(|(known, _)| known.liquidation)
    }

    /// Turns an outcome into what a commit would do, and into what clearing checks.
    fn settle(
        &mut self,
        limits: &MatchLimits<T::AccountId>,
        rules: &Rules,
        refused: Vec<(u32, Lots, CancelReason)>,
        outcome: Outcome,
        unfinished: Option<Unfinished>,
    ) -> Tentative<T::AccountId> {
        let is_continuous = self.mode == Mode::Continuous;
        let mut filled: BTreeMap<u32, Lots> = BTreeMap::new();
        let mut fills = Vec::new();
        let mut makers = BTreeSet::new();
        for execution in &outcome.fills {
            let sum = filled.entry(execution.order).or_default();
            *sum = sum
                .saturating_add(execution.lots)
                .min(self.lots(execution.order));
            if let Some((known, of)) = self.party(execution.order) {
                if (known.resting || known.waited) && !makers.contains(of) {
                    makers.insert(of.clone());
                }
                fills.push(Fill {
                    account: of.clone(),
                    sequence: known.sequence,
                    side: known.side,
                    role: execution.role,
                    ticks: execution.ticks,
                    lots: execution.lots,
                    fee: 0,
                    liquidation: known.liquidation,
                });
            }
        }
        fills.sort_by(|a, b| a.account.cmp(&b.account).then(a.sequence.cmp(&b.sequence)));

        let mut cancelled = refused;
        for (id, lots, reason) in outcome.cancelled {
            // Orders that were made reduce-only by the run alone: a resting one stays, suspended.
            let lent = self.party(id).is_some_and(|(known, _)| !known.reduce_only);
            let resting = self.party(id).is_some_and(|(known, _)| known.resting);
            match reason {
                CancelReason::NothingToReduce if lent && resting && is_continuous => {}
                CancelReason::NothingToReduce if lent => {
                    cancelled.push((id, lots, CancelReason::MarketRestricted));
                }
                _ => cancelled.push((id, lots, reason)),
            }
        }

        let mut left = filled.clone();
        for (id, lots, _) in &cancelled {
            let sum = left.entry(*id).or_default();
            *sum = sum.saturating_add(*lots);
        }
        let banned = &limits.cancelled;
        let gone = |id: u32, market: &Self| {
            let all = left.get(&id).is_some_and(|lots| *lots >= market.lots(id));
            all || market.party(id).is_some_and(|(known, of)| {
                !known.reduce_only && !banned.is_empty() && banned.contains(of)
            })
        };
        // In an auction orders may touch.
        let (best_bid, best_ask) = if is_continuous {
            (
                self.best_standing(Side::Bid, &gone),
                self.best_standing(Side::Ask, &gone),
            )
        } else {
            (None, None)
        };
        let mut joined = Vec::new();
        for (id, ticks, lots) in outcome.joined {
            let party = self.party(id);
            // Its own limit might cross the book, and the one it was held to is not its owner's.
            let held = party.is_some_and(|(known, of)| {
                known.reduce_only && limits.tightened.get(of) == Some(&ticks)
            });
            let touches = match party.map(|(known, _)| known.side) {
                Some(Side::Bid) => best_ask.is_some_and(|ask| ask <= ticks),
                Some(Side::Ask) => best_bid.is_some_and(|bid| bid >= ticks),
                None => true,
            };
            if held {
                cancelled.push((id, lots, CancelReason::InsufficientMargin));
            } else if touches {
                cancelled.push((id, lots, CancelReason::Touching));
            } else {
                joined.push((id, ticks, lots));
            }
        }

        let at_edge = is_continuous
            && self.view.status.allows_risk()
            && band_edges(rules).is_ok_and(|(lower, upper)| {
                [(Side::Bid, upper), (Side::Ask, lower)]
                    .into_iter()
                    .any(|(side, edge)| {
                        self.presses(side, edge, &outcome.fills, &joined, &left, &gone)
                    })
            });
        self.settled = Some(Settled {
            banned: limits.cancelled.clone(),
            filled,
            cancelled,
            joined,
        });
        Tentative {
            fills,
            volume: outcome.volume,
            last: outcome.last,
            executed: outcome.executed_resting,
            makers,
            at_edge,
            unfinished,
        }
    }

    fn lots(&self, id: u32) -> Lots {
        self.party(id).map_or(0, |(known, _)| known.lots)
    }

    /// Numbers turned back into accounts and sequences, liquidation orders left out: they are in no list.
    fn name(&self, id: u32) -> Option<(AccountRef<T::AccountId>, Sequence)> {
        let (known, of) = self.party(id)?;
        (!known.liquidation).then(|| (of.clone(), known.sequence))
    }

    /// Writes the last run. Without one nothing changes, and the intake waits for the next close.
    fn commit(mut self) -> Vec<Release<T::AccountId>> {
        let Some(settled) = self.settled.take() else {
            defensive!("a market was loaded and not run");
            return Vec::new();
        };
        for (id, lots) in &settled.filled {
            if let Some((of, sequence)) = self.name(*id) {
                self.changes.fill(&of, sequence, *lots);
            }
        }
        for (id, lots, reason) in &settled.cancelled {
            if let Some((of, sequence)) = self.name(*id) {
                self.changes.cancel_lots(&of, sequence, *lots, *reason);
            }
        }
        for of in &settled.banned {
            let market = self.view.id;
            let meant = |o: &Locator| o.market == market && !o.reduce_only;
            for sequence in self.changes.sequences(of, meant) {
                self.changes
                    .cancel(of, sequence, CancelReason::InsufficientMargin);
            }
        }
        for (of, sequence) in core::mem::take(&mut self.expired) {
            self.changes.cancel(&of, sequence, CancelReason::Expired);
        }
        self.changes.books.recount_changed();
        self.join(settled.joined);
        self.end_intake();

        let Self {
            view,
            now,
            allowed,
            mut changes,
            parties,
            ..
        } = self;
        let read = allowed.saturating_sub(parties.left);
        Reads::<T>::mutate(|sum| *sum = sum.saturating_add(read));
        rested::refresh::<T>(&view, now, &mut changes.books);
        clear_intake::<T>(view.id);
        changes.show(view.id, now);
        changes.write()
    }

    /// Puts the remainders into the book, and what an auction cut to the band there again. Where a group has not room for all, the
    /// tie-breaking hash says who gets it.
    fn join(&mut self, joined: Vec<(u32, Ticks, Lots)>) {
        let ties: BTreeMap<u32, u64> = self.new.iter().map(|o| (o.id, o.tie)).collect();
        let mut joined: Vec<_> = joined
            .into_iter()
            .map(|(id, ticks, lots)| ((ties.get(&id).copied(), id), ticks, lots))
            .collect();
        joined.sort_unstable_by_key(|(tie, _, _)| *tie);
        for ((_, id), ticks, lots) in joined {
            let Some((of, sequence)) = self.name(id) else {
                continue;
            };
            let Some(order) = self.changes.order(&of, sequence) else {
                continue;
            };
            if order.lots != lots {
                defensive!("what joins is not what remains");
                continue;
            }
            // One that rested keeps its time, and is in the index of expiries already.
            let left = page_of(&order);
            let block = left.map_or(self.now, |_| order.block);
            if let Some(page) = left {
                self.changes.books.remove(page, &of, sequence);
                self.changes.books.recount(page);
            }
            let slot = Slot {
                account: of.clone(),
                sequence,
                ticks,
                lots,
                block,
                expires: order.expires(),
                reduce_only: order.reduce_only,
            };
            let Some(page) = self.changes.books.join(self.view.id, order.side, slot) else {
                // It is in no page any more.
                self.changes
                    .change(&of, sequence, |order| order.place = Place::Intake);
                self.changes.cancel(&of, sequence, CancelReason::BookFull);
                continue;
            };
            self.changes.change(&of, sequence, |order| {
                order.place = Place::Page(page);
                order.ticks = ticks;
                order.block = block;
            });
            if left.is_none() && order.expires() != BlockNumber::MAX {
                expect_expiry::<T>(order.expires(), of, sequence);
            }
        }
        for side in [Side::Bid, Side::Ask] {
            if self.changes.books.evicts(self.view.id, side) {
                note_eviction::<T>(self.view.id, side);
            }
        }
    }

    /// Nothing stays in the intake: an order that neither filled, left nor joined is cancelled.
    fn end_intake(&mut self) {
        let ids: Vec<u32> = self.new.iter().map(|o| o.id).collect();
        for id in ids {
            let Some((of, sequence)) = self.name(id) else {
                continue;
            };
            let waits = self
                .changes
                .order(&of, sequence)
                .is_some_and(|o| o.place == Place::Intake);
            if waits {
                self.changes
                    .cancel(&of, sequence, CancelReason::NotImmediate);
            }
        }
    }
}

/// Enters an order that came to rest into the expiry index.
fn expect_expiry<T: Config>(block: BlockNumber, of: AccountRef<T::AccountId>, sequence: Sequence) {
    let count = ExpiryCounts::<T>::get(block);
    let page = count.checked_div(crate::types::EXPIRY_PAGE).unwrap_or(0);
    Expiries::<T>::append((block, page), (of, sequence));
    ExpiryCounts::<T>::insert(block, count.saturating_add(1));
}

fn note_eviction<T: Config>(market: MarketId, side: Side) {
    Evicting::<T>::mutate(|sides| {
        if !sides.contains(&(market, side)) {
            sides.push((market, side));
        }
    });
}
