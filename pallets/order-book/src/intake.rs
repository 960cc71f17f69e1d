//! One extrinsic's operations on one account: read once, changed in memory, written once.

use crate::{
    book::group_of,
    changes::Notes,
    due, triggers,
    types::{share, Accepted, AccountOrders, CancelledOrder, Locator, OrderError, PageKey, Place},
    Config, Due, Emptied, Error, Novating, Pallet, WeightInfo,
};
use alloc::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use frame_support::{ensure, traits::Get, weights::Weight};
use novate_risk::{
    add_order, booked_cash, more_thresholds_in, portfolio::netted_positions, release_order, Legs,
    MOST_MORE_THRESHOLDS,
};
use novate_types::{
    math::{
        add, notional_floor, ppm_ceil, shift_ceil, shift_floor, signed, sub, ticks_ceil,
        ticks_floor, trade_value,
    },
    AccountRef, Arrangement, Assessment, BlockNumber, CancelReason, Cash, CombinationLegs,
    CurrentView, Ledger, Leg, Lots, MarginAccount, MarketId, MarketView, NewOrder, NewPegged,
    NewTrigger, NewTwap, Operation, OrderPrice, OrderTarget, Peg, Ppm, RiskModel, RiskView,
    Sequence, Side, Standing, Ticks, TimeInForce, Trigger, Twap, MAX_HOLDINGS, MAX_LEGS,
    MAX_OPEN_ORDERS, MAX_OPERATIONS, MAX_POSITIONS,
};

/// Farthest from the mark that a market order executes, where the market's band is not narrower.
pub const MARKET_ORDER_SLIPPAGE: Ppm = 5_000;
/// What of a market's least notional an option's premium is worth at least, in ppm: a hundredth. A bid holds nothing else, nor does an offer of what the
/// account has, and a book full of orders that hold nothing would cost nothing.
pub const LEAST_PREMIUM: Ppm = 10_000;

/// The page that holds a resting order.
pub(crate) fn page_of(order: &Locator) -> Option<PageKey> {
    match order.place {
        Place::Intake => None,
        Place::Page(page) => Some((order.market, order.side, group_of(order.ticks), page)),
    }
}

/// What an account holds, as far as it decides what work on it costs.
#[derive(Clone, Copy)]
pub(crate) struct Held {
    /// Positions and collaterals, at most after its orders have filled: a combination's are in its legs.
    pub holdings: u32,
    /// Thresholds that it can have then beyond two for each of them.
    pub thresholds: u32,
    /// Open orders, before or after the operations: whichever are more.
    pub open: u32,
    /// Triggers and TWAPs that were cancelled.
    pub disarmed: u32,
    /// Legs beyond the first of the orders that came in: each is traded if they execute.
    pub legs: u32,
    /// What scanning its options took.
    pub scanned: Weight,
}

impl Held {
    /// What one order that comes in by itself finds at most.
    pub fn most<T: Config>() -> Self {
        Self {
            holdings: MAX_HOLDINGS,
            thresholds: MOST_MORE_THRESHOLDS,
            open: MAX_OPEN_ORDERS,
            disarmed: 0,
            legs: MAX_LEGS as u32,
            scanned: T::WeightInfo::most_scanned(1),
        }
    }

    /// What the account takes in the close if its order executes, beside the book.
    pub fn party<T: Config>(&self) -> Weight {
        T::Novating::party(self.holdings, self.thresholds)
    }
}

/// The orders that an operation brings, or may bring later.
pub(crate) fn orders_of(operation: &Operation) -> impl Iterator<Item = &NewOrder> {
    let (one, other) = match operation {
        Operation::Place(order) | Operation::PlaceIceberg { order, .. } => (Some(order), None),
        Operation::PlaceTrigger(trigger) => (Some(&trigger.order), None),
        Operation::PlacePair { first, second } => {
            let first = match first {
                Leg::Order(order) => order,
                Leg::Trigger(trigger) => &trigger.order,
            };
            (Some(first), Some(&second.order))
        }
        Operation::PlaceTwap(twap) => (Some(&twap.order), None),
        Operation::PlacePegged(pegged) => (Some(&pegged.order), None),
        Operation::Cancel(_) | Operation::Amend { .. } | Operation::CancelAll { .. } => {
            (None, None)
        }
    };
    one.into_iter().chain(other)
}

/// Triggers, TWAPs and pegged orders that an operation brings, each with its keys in an index.
pub(crate) const fn armed_by(operation: &Operation) -> u32 {
    match operation {
        Operation::PlaceTrigger(_) | Operation::PlaceTwap(_) | Operation::PlacePegged(_) => 1,
        Operation::PlacePair { first, .. } => match first {
            Leg::Order(_) => 1,
            Leg::Trigger(_) => 2,
        },
        _ => 0,
    }
}

/// What a TWAP does in the block in which it is due.
pub(crate) enum Step {
    /// A slice came in, or was refused.
    Slice(Result<(), OrderError>),
    /// It has nothing to make up for, or its last slice still waits for its market.
    Nothing,
    /// It has ended with so many lots not asked for.
    Over(Lots),
}

/// Where an order that is taken in comes from.
#[derive(Clone, Copy)]
enum Source {
    /// Its owner sent it.
    New,
    /// Its owner amended the open order at this place.
    Amended(usize),
    /// A trigger of this number fired, or a slice was due.
    Fired(Sequence),
}

/// An account's state while its operations act on it.
pub(crate) struct Session<'a, T: Config> {
    of: &'a AccountRef<T::AccountId>,
    view: Cow<'a, RiskView>,
    now: BlockNumber,
    account: MarginAccount,
    orders: AccountOrders,
    /// Resting orders that left or shrank, with what remains of each.
    shrunk: Vec<(Locator, Lots)>,
    /// Orders that were open before.
    opened_with: usize,
    /// Orders this session took in, those that left again included.
    new: Vec<(MarketId, Sequence)>,
    /// Triggers and TWAPs that were cancelled.
    disarmed: u32,
    /// What a trigger that fired excluded.
    dropped: Option<CancelledOrder<T::AccountId>>,
    /// That was a trigger, whose key stays behind.
    left_behind: bool,
    changed: bool,
    /// What scanning its options took.
    scanned: Weight,
}

impl<'a, T: Config> Session<'a, T> {
    /// Reads the account and its orders, and of the view the markets that these and `operations` are about.
    pub fn open(
        of: &'a AccountRef<T::AccountId>,
        operations: &[Operation],
    ) -> Result<Self, Error<T>> {
        let now = Pallet::<T>::now();
        let account = T::Ledger::account(of).ok_or(Error::<T>::NoAccount)?;
        let named = operations.iter().flat_map(orders_of).map(|o| o.market);
        let held = account.positions.iter().map(|p| p.market);
        let ordered = account.orders.iter().map(|o| o.market);
        let wanted: BTreeSet<MarketId> = named.chain(held).chain(ordered).collect();
        let view = T::View::view_of(|market| wanted.contains(&market));
        Ok(Self::begin(of, account, Cow::Owned(view), now))
    }

    /// Begins with an account as it was read, against a view of at least its markets.
    pub fn begin(
        of: &'a AccountRef<T::AccountId>,
        account: MarginAccount,
        view: Cow<'a, RiskView>,
        now: BlockNumber,
    ) -> Self {
        let mut orders = AccountOrders::of(&account);
        orders.enter(now);
        Self {
            of,
            view,
            now,
            opened_with: orders.open.len(),
            orders,
            account,
            shrunk: Vec::new(),
            new: Vec::new(),
            disarmed: 0,
            dropped: None,
            left_behind: false,
            changed: false,
            scanned: Weight::zero(),
        }
    }

    /// Carries out one operation; an error changes nothing.
    pub fn apply(&mut self, operation: &Operation) -> Result<Accepted, OrderError> {
        let done = match operation {
            Operation::Place(order) => self.place(order, None, Source::New).map(Accepted::Placed),
            Operation::Cancel(target) => self.cancel(*target),
            Operation::Amend {
                target,
                price,
                lots,
            } => self.amend(*target, *price, *lots),
            Operation::CancelAll { market } => self.cancel_all(*market),
            Operation::PlaceTrigger(terms) => self.arm(terms).map(Accepted::Armed),
            Operation::PlaceIceberg { order, display } => self
                .place(order, Some(*display), Source::New)
                .map(Accepted::Placed),
            Operation::PlacePair { first, second } => self.pair(first, second),
            Operation::PlaceTwap(terms) => self.schedule(terms).map(Accepted::Scheduled),
            Operation::PlacePegged(terms) => self.peg(terms).map(Accepted::Placed),
        }?;
        self.changed = true;
        Ok(done)
    }

    /// What the account holds, for what it costs.
    pub fn held(&self) -> Held {
        let legs = |market| {
            let market = self.view.market(market);
            market.map_or(1, |market| market.contract.legs.count().max(1))
        };
        let ordered = || self.account.orders.iter().map(|orders| orders.market);
        let most = ordered()
            .map(legs)
            .fold(self.account.holdings(), u32::saturating_add);
        let held = self.account.positions.iter().map(|p| p.market);
        let further = self
            .new
            .iter()
            .map(|(market, _)| legs(*market).saturating_sub(1));
        let open = self.orders.open.len().max(self.opened_with);
        Held {
            holdings: most.min(MAX_HOLDINGS),
            thresholds: more_thresholds_in(held.chain(ordered()), &self.view),
            open: u32::try_from(open).unwrap_or(u32::MAX),
            disarmed: self.disarmed,
            legs: further.fold(0, u32::saturating_add),
            scanned: self.scanned,
        }
    }

    /// Takes in the order of a trigger that fired, which is no longer in the account. What it excludes leaves first, with its margin;
    /// if the order is refused that stands, by itself from now on.
    pub fn take_in(&mut self, trigger: &Trigger) -> Result<(), OrderError> {
        self.changed = true;
        let order = trigger.terms.order;
        let Some(twin) = self.orders.part(trigger.sequence) else {
            return self.enter(order, trigger.sequence);
        };
        let before = (self.account.clone(), self.orders.clone());
        let entered = self
            .drop_excluded(twin)
            .and_then(|()| self.enter(order, trigger.sequence));
        if entered.is_err() {
            (self.account, self.orders) = before;
            self.shrunk.clear();
            self.dropped = None;
            self.left_behind = false;
        }
        entered
    }

    /// Takes in an order under a number that it has; one that only reduces is cut to the position.
    fn enter(&mut self, mut order: NewOrder, sequence: Sequence) -> Result<(), OrderError> {
        if order.reduce_only {
            let held = self.account.lots(order.market);
            let reducible = match order.side {
                Side::Bid => held.min(0),
                Side::Ask => held.max(0),
            };
            order.lots = order.lots.min(reducible.unsigned_abs());
            ensure!(order.lots > 0, OrderError::NothingToReduce);
        }
        self.place(&order, None, Source::Fired(sequence))
            .map(|_| ())
    }

    /// Takes out the order or trigger that a trigger excludes as it fires.
    fn drop_excluded(&mut self, sequence: Sequence) -> Result<(), OrderError> {
        let of_lots = |lots| CancelledOrder {
            account: self.of.clone(),
            sequence,
            lots,
            reason: CancelReason::OtherExecuted,
        };
        if let Some(at) = self.orders.find(OrderTarget::Sequence(sequence)) {
            let order = *self.orders.open.get(at).ok_or(OrderError::NoSuchOrder)?;
            self.dropped = Some(of_lots(order.lots));
            release(&mut self.account, &order, order.lots, order.reserve)?;
            self.orders.open.remove(at);
            self.shrunk.push((order, 0));
            return Ok(());
        }
        let triggers = &mut self.account.triggers;
        let at = triggers.iter().position(|t| t.sequence == sequence);
        let trigger = triggers.remove(at.ok_or(OrderError::NoSuchOrder)?);
        self.dropped = Some(of_lots(trigger.terms.order.lots));
        self.left_behind = true;
        Ok(())
    }

    /// Brings what a TWAP is to bring in this block, and enters its next one into the index. `None` if the account has no such TWAP.
    pub fn step(&mut self, sequence: Sequence) -> Option<(MarketId, Step)> {
        let slice = self.orders.get(sequence).map(|waiting| waiting.lots);
        let now = self.now;
        let twap = self.orders.twap_mut(sequence)?;
        self.changed = true;
        let (terms, left) = (twap.terms, twap.left);
        let market = terms.order.market;
        let Some((lots, next)) = twap.step(now) else {
            self.orders.end(sequence);
            let rest = left.saturating_sub(slice.unwrap_or(0));
            return Some((market, Step::Over(rest)));
        };
        twap.due = next;
        Due::<T>::insert(due::slice_of(self.of, twap), ());
        if lots == 0 || slice.is_some() {
            return Some((market, Step::Nothing));
        }
        let order = NewOrder {
            lots,
            ..terms.order
        };
        Some((market, Step::Slice(self.enter(order, sequence))))
    }

    /// Looks at what a pegged order follows, moves it if that moved, and enters the next look into the index. Whether it moved; `None` if the
    /// account has no such order.
    pub fn follow(&mut self, sequence: Sequence) -> Option<bool> {
        let at = self.orders.find(OrderTarget::Sequence(sequence))?;
        let peg = self.orders.peg_mut(sequence)?;
        peg.due = self.now.saturating_add(1);
        let peg = *peg;
        self.changed = true;
        Due::<T>::insert(due::look_of(self.of, &peg), ());
        let order = self.orders.open.get_mut(at)?;
        let market = self.view.market(order.market);
        let market = market.ok().filter(|market| due::are_moved(market));
        let limit = market.and_then(|market| {
            due::limit_of::<T>(market, order.side, &peg, Some(order.ticks)).ok()
        });
        let Some(ticks) = limit.filter(|ticks| *ticks != order.ticks) else {
            return Some(false);
        };
        let before = *order;
        order.ticks = ticks;
        // One that waits for its market is noted there, and is new already.
        if before.place != Place::Intake {
            (order.place, order.block) = (Place::Intake, self.now);
            self.shrunk.push((before, 0));
            self.new.push((before.market, sequence));
        }
        Some(true)
    }

    /// Writes what changed. Returns what a trigger that fired excluded.
    pub fn close(self) -> Option<CancelledOrder<T::AccountId>> {
        if !self.changed {
            return None;
        }
        let Self {
            of,
            mut account,
            orders,
            shrunk,
            new,
            dropped,
            left_behind,
            ..
        } = self;
        triggers::count_unowned::<T>(left_behind.into());
        account.open = orders.to_bytes();
        T::Ledger::write_orders(of, account);
        let mut notes = Notes::<T>::default();
        for (order, lots) in &shrunk {
            notes.shrank(of, order, *lots);
        }
        for (market, sequence) in new {
            notes.came_in(of, market, sequence);
        }
        notes.leave();
        if orders.open.is_empty() && orders.is_of_this_block() {
            Emptied::<T>::append(of);
        }
        dropped
    }

    /// The market of an order that may come in.
    fn market_of(&self, order: &NewOrder) -> Result<&MarketView, OrderError> {
        ensure!(
            self.account.standing == Standing::Good,
            OrderError::NotTrading
        );
        let market = self.view.market(order.market)?;
        ensure!(market.status.allows_matching(), OrderError::MarketHalted);
        ensure!(market.mark.into_inner() > 0, OrderError::NoPrice);
        ensure!(order.lots > 0, OrderError::ZeroLots);
        ensure!(
            !order.reduce_only || !market.contract.kind.is_combination(),
            OrderError::CombinationNotReduced
        );
        Ok(market)
    }

    /// Takes in a new order, which shows no more than `display`.
    fn place(
        &mut self,
        order: &NewOrder,
        display: Option<Lots>,
        source: Source,
    ) -> Result<Sequence, OrderError> {
        let market = self.market_of(order)?;
        ensure!(!market.is_uncrossing(self.now), OrderError::Uncrossing);
        let (ticks, time_in_force) = self.terms(order, market)?;
        let rests = match time_in_force {
            TimeInForce::GoodTilCancelled | TimeInForce::GoodTilBlock(_) => true,
            TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill | TimeInForce::PostOnly => {
                false
            }
        };
        ensure!(rests || !market.is_in_auction(), OrderError::CallPhase);
        self.ensure_room(order, source)?;
        if let Some(display) = display {
            self.ensure_displayable(order, time_in_force, display, market, ticks)?;
            if matches!(source, Source::New) {
                self.orders.ensure_arrangeable()?;
            }
        }

        let fees = self.view.fee_tier(self.account.fee_tier);
        let legs = Legs::of(market, &self.view)?;
        let reserve = legs.reserve(market, fees, order.side, order.lots, ticks)?;
        ensure_worth(
            &self.account,
            market,
            order.side,
            order.lots,
            ticks,
            order.reduce_only,
        )?;
        if !market.status.allows_risk() {
            let held = self.account.lots(order.market);
            let reduces = match order.side {
                Side::Bid => held < 0,
                Side::Ask => held > 0,
            };
            let within = order.reduce_only || order.lots <= held.unsigned_abs();
            ensure!(reduces && within, OrderError::MarketReduceOnly);
        }

        let replaced = match source {
            Source::Amended(at) => self.orders.open.get(at),
            _ => None,
        };
        let replaced = replaced.map(|old| self.orders.whole(old)).transpose()?;
        self.ensure_premiums(order, &legs, ticks, replaced.as_ref())?;
        let shown = display.unwrap_or(order.lots);
        let held_for_shown = share(reserve, shown, order.lots)?;
        let held = self.account.orders.clone();
        let sequence = self
            .hold(order, ticks, reserve, replaced.as_ref())
            .and_then(|()| match source {
                Source::Fired(sequence) => Ok(sequence),
                _ => self.number(),
            })
            .inspect_err(|_| self.account.orders = held)?;
        let locator = Locator {
            market: order.market,
            sequence,
            client_id: order.client_id,
            side: order.side,
            ticks,
            lots: shown,
            reserve: held_for_shown,
            block: self.now,
            time_in_force,
            reduce_only: order.reduce_only,
            self_trade: order.self_trade_prevention,
            place: Place::Intake,
        };
        if let (Source::Amended(at), Some(old)) = (source, replaced) {
            self.shrunk.push((old, 0));
            self.orders.open.remove(at);
            self.orders.hide(old.sequence, 0, 0);
            self.orders.renumber(old.sequence, sequence);
        }
        if let Some(display) = display {
            self.orders.arrange(Arrangement::Hidden {
                sequence,
                display,
                lots: order.lots.saturating_sub(shown),
                reserve: reserve.saturating_sub(held_for_shown),
            })?;
        }
        // Room was checked, and a trigger kept its own.
        let open = &mut self.orders.open;
        let at = open.partition_point(|o| o.sequence < sequence);
        open.try_insert(at, locator)
            .map_err(|_| OrderError::TooManyOrders)?;
        self.new.push((order.market, sequence));
        if !matches!(source, Source::Fired(_)) {
            self.orders.new = self.orders.new.saturating_add(1);
        }
        Ok(sequence)
    }

    /// Takes in a trigger. It holds no margin until it fires; what can be known of its order now is checked now.
    fn arm(&mut self, terms: &NewTrigger) -> Result<Sequence, OrderError> {
        let order = &terms.order;
        let market = self.market_of(order)?;
        ensure!(terms.ticks > 0, OrderError::ZeroPrice);
        let (ticks, _) = self.terms(order, market)?;
        if let Some(block) = terms.expires {
            self.ensure_ahead(block)?;
        }
        self.ensure_room(order, Source::New)?;
        ensure!(
            !self.account.triggers.is_full(),
            OrderError::TooManyTriggers
        );
        let (side, lots) = (order.side, order.lots);
        ensure_worth(&self.account, market, side, lots, ticks, order.reduce_only)?;
        let (direction, level) = (terms.direction, terms.ticks);
        ensure!(
            !triggers::is_met(market, direction, level),
            OrderError::TriggerMet
        );
        ensure!(
            !triggers::are_waiting::<T>(order.market, direction, level),
            OrderError::TriggersWaiting
        );
        let sequence = self.number()?;
        let trigger = Trigger {
            sequence,
            tie: triggers::tie::<T>(self.of, sequence),
            terms: *terms,
        };
        self.account
            .triggers
            .try_push(trigger)
            .map_err(|_| OrderError::TooManyTriggers)?;
        triggers::arm::<T>(self.of, &trigger);
        self.orders.new = self.orders.new.saturating_add(1);
        Ok(sequence)
    }

    /// An iceberg rests, and shows a part that is worth an order.
    fn ensure_displayable(
        &self,
        order: &NewOrder,
        time_in_force: TimeInForce,
        display: Lots,
        market: &MarketView,
        ticks: Ticks,
    ) -> Result<(), OrderError> {
        let rests = !matches!(
            time_in_force,
            TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill
        );
        ensure!(rests, OrderError::Contradiction);
        ensure!(display > 0 && display < order.lots, OrderError::BadDisplay);
        ensure_worth(&self.account, market, order.side, display, ticks, false)
    }

    /// Takes in two that exclude each other, or none of them.
    fn pair(&mut self, first: &Leg, second: &NewTrigger) -> Result<Accepted, OrderError> {
        let (order, expires) = match first {
            Leg::Order(order) => (order, true),
            Leg::Trigger(trigger) => (&trigger.order, trigger.expires.is_some()),
        };
        ensure!(order.market == second.order.market, OrderError::PairApart);
        ensure!(
            expires && second.expires.is_some(),
            OrderError::PairWithoutExpiry
        );
        self.orders.ensure_arrangeable()?;
        let before = (self.account.clone(), self.orders.clone());
        let one = match first {
            Leg::Order(order) => self.place(order, None, Source::New),
            Leg::Trigger(trigger) => self.arm(trigger),
        }?;
        match self.arm(second) {
            Ok(other) => {
                self.orders.arrange(Arrangement::Pair(one, other))?;
                Ok(Accepted::Paired(one, other))
            }
            Err(error) => {
                let armed = self.account.triggers.iter().find(|t| t.sequence == one);
                armed
                    .into_iter()
                    .for_each(|trigger| triggers::disarm::<T>(self.of, trigger));
                (self.account, self.orders) = before;
                self.new.retain(|(_, sequence)| *sequence != one);
                Err(error)
            }
        }
    }

    /// Takes in an order in slices. It holds no margin: each slice does as it comes in, the first in this block's close.
    fn schedule(&mut self, terms: &NewTwap) -> Result<Sequence, OrderError> {
        let order = &terms.order;
        let market = self.market_of(order)?;
        let (ticks, time_in_force) = self.terms(order, market)?;
        ensure!(
            time_in_force == TimeInForce::ImmediateOrCancel,
            OrderError::Contradiction
        );
        let least = order.lots.checked_div(terms.slices.into()).unwrap_or(0);
        ensure!(
            terms.slices > 1 && terms.interval > 0 && least > 0,
            OrderError::BadSchedule
        );
        ensure!(
            terms.span() <= T::MaxExpiry::get(),
            OrderError::ExpiryTooFar
        );
        self.ensure_room(order, Source::New)?;
        self.orders.ensure_arrangeable()?;
        ensure_worth(&self.account, market, order.side, order.lots, ticks, false)?;
        ensure_worth(&self.account, market, order.side, least, ticks, false)?;
        let sequence = self.number()?;
        let twap = Twap {
            sequence,
            tie: triggers::tie::<T>(self.of, sequence),
            start: self.now,
            due: self.now,
            left: order.lots,
            terms: *terms,
        };
        self.orders.arrange(Arrangement::Twap(twap))?;
        Due::<T>::insert(due::slice_of(self.of, &twap), ());
        self.orders.new = self.orders.new.saturating_add(1);
        Ok(sequence)
    }

    /// Takes in an order whose limit follows a price, held as if it were at its worst; it meets the market at the limit of this block's
    /// close.
    fn peg(&mut self, terms: &NewPegged) -> Result<Sequence, OrderError> {
        let order = &terms.order;
        let OrderPrice::Limit(worst) = order.price else {
            return Err(OrderError::BadPeg);
        };
        ensure!(
            order.time_in_force == TimeInForce::PostOnly,
            OrderError::BadPeg
        );
        self.orders.ensure_arrangeable()?;
        let market = self.market_of(order)?;
        let mut peg = Peg {
            sequence: 0,
            tie: 0,
            due: self.now,
            worst,
            anchor: terms.anchor,
            offset: terms.offset,
        };
        let ticks = due::limit_of::<T>(market, order.side, &peg, None)?;
        // Worth an order where it is, and where it is held.
        ensure_worth(
            &self.account,
            market,
            order.side,
            order.lots,
            ticks,
            order.reduce_only,
        )?;
        let sequence = self.place(order, None, Source::New)?;
        peg.sequence = sequence;
        peg.tie = triggers::tie::<T>(self.of, sequence);
        self.orders.arrange(Arrangement::Peg(peg))?;
        Due::<T>::insert(due::look_of(self.of, &peg), ());
        let at = self.orders.find(OrderTarget::Sequence(sequence));
        if let Some(order) = at.and_then(|at| self.orders.open.get_mut(at)) {
            order.ticks = ticks;
        }
        Ok(sequence)
    }

    /// The number of the next order or trigger.
    fn number(&mut self) -> Result<Sequence, OrderError> {
        let sequence = self.account.next_sequence;
        self.account.next_sequence = sequence.checked_add(1).ok_or(OrderError::OutOfRange)?;
        Ok(sequence)
    }

    /// Holds margin for a new order, in place of that for the one it replaces, if the account covers it. What an error leaves of the
    /// account's order margin is of no use.
    fn hold(
        &mut self,
        order: &NewOrder,
        ticks: Ticks,
        reserve: Cash,
        replaced: Option<&Locator>,
    ) -> Result<(), OrderError> {
        let account = &mut self.account;
        if let Some(old) = replaced {
            release(account, old, old.lots, old.reserve)?;
        }
        add_order(account, order.market, order.side, order.lots, reserve)?;
        ensure!(
            markets_of(account, &self.view) <= MAX_POSITIONS,
            OrderError::TooManyMarkets
        );
        let assessed = assess::<T>(&self.account, &self.view, &mut self.scanned)?;
        if !assessed.covers_orders() {
            let mut before = self.account.clone();
            let (bid, ask) = lots_of(order.side, order.lots);
            release_order(&mut before, order.market, bid, ask, reserve)?;
            ensure!(
                self.reduces_risk(&before, order, ticks)?,
                OrderError::InsufficientMargin
            );
        }
        Ok(())
    }

    /// There is cash for all options that the account bids for, a new order included, each at its limit and with the dearer fee: what novation will ask
    /// of those that fill. Who has collateral alone would have the best bids, and lose them in a match's rounds. What only buys back a short
    /// is not counted: it may be paid by owing. Of a combination the options that are sold pay for those that are bought.
    fn ensure_premiums(
        &self,
        order: &NewOrder,
        legs: &Legs<'_>,
        ticks: Ticks,
        replaced: Option<&Locator>,
    ) -> Result<(), OrderError> {
        let tier = self.view.fee_tier(self.account.fee_tier);
        let due = |legs: &Legs<'_>, side: Side, lots: Lots, ticks: Ticks| {
            let lots = side.signed(lots).ok_or(OrderError::OutOfRange)?;
            Ok::<_, OrderError>(legs.premium_due(lots, ticks, tier)?)
        };
        if order.reduce_only {
            return Ok(());
        }
        let Some(own) = due(legs, order.side, order.lots, ticks)? else {
            return Ok(());
        };
        // By market: lots that buy, and what they cost.
        let mut bids = BTreeMap::new();
        bids.insert(order.market, (u128::from(order.lots), own));
        let others = self.orders.open.iter().filter(|open| {
            let is_replaced = replaced.is_some_and(|old| old.sequence == open.sequence);
            !open.reduce_only && !is_replaced
        });
        for open in others {
            let market = self.view.market(open.market)?;
            let kind = market.contract.kind;
            if kind.is_linear() || (kind.is_option() && open.side == Side::Ask) {
                continue;
            }
            let whole = self.orders.whole(open)?;
            let legs = Legs::of(market, &self.view)?;
            let Some(more) = due(&legs, whole.side, whole.lots, whole.ticks)? else {
                continue;
            };
            let (lots, sum) = bids.entry(open.market).or_default();
            *lots = lots
                .checked_add(whole.lots.into())
                .ok_or(OrderError::OutOfRange)?;
            *sum = add(*sum, more)?;
        }
        // Nobody is short of a combination.
        let opens = |id: &MarketId, lots: u128| {
            lots > u128::from(self.account.lots(*id).min(0).unsigned_abs())
        };
        if bids
            .get(&order.market)
            .is_none_or(|(lots, _)| !opens(&order.market, *lots))
        {
            return Ok(());
        }
        let due = bids
            .iter()
            .filter(|(id, (lots, _))| opens(id, *lots))
            .try_fold(0, |sum, (_, (_, cost))| add(sum, *cost))?;
        let cash = booked_cash(&self.account, &self.view)?;
        ensure!(due <= cash, OrderError::PremiumNotCovered);
        Ok(())
    }

    /// Limit and time in force of a new order.
    fn terms(
        &self,
        order: &NewOrder,
        market: &MarketView,
    ) -> Result<(Ticks, TimeInForce), OrderError> {
        let (ticks, time_in_force) = match order.price {
            OrderPrice::Limit(ticks) => (ticks, order.time_in_force),
            OrderPrice::Market => {
                let time_in_force = match order.time_in_force {
                    TimeInForce::ImmediateOrCancel | TimeInForce::GoodTilCancelled => {
                        TimeInForce::ImmediateOrCancel
                    }
                    TimeInForce::FillOrKill => TimeInForce::FillOrKill,
                    _ => return Err(OrderError::Contradiction),
                };
                let slippage = i64::from(MARKET_ORDER_SLIPPAGE.min(market.price_band));
                let ticks = match order.side {
                    Side::Bid => {
                        ticks_floor(shift_floor(market.mark, slippage)?, market.tick_size)?
                    }
                    Side::Ask => ticks_ceil(
                        shift_ceil(market.mark, slippage.saturating_neg())?,
                        market.tick_size,
                    )?,
                };
                (ticks, time_in_force)
            }
        };
        ensure!(ticks > 0, OrderError::ZeroPrice);
        if let TimeInForce::GoodTilBlock(block) = time_in_force {
            self.ensure_ahead(block)?;
        }
        Ok((ticks, time_in_force))
    }

    /// A block of expiry is to come, and not too far ahead.
    fn ensure_ahead(&self, block: BlockNumber) -> Result<(), OrderError> {
        let ahead = block.checked_sub(self.now).filter(|n| *n > 0);
        let ahead = ahead.ok_or(OrderError::ExpiryPast)?;
        ensure!(ahead <= T::MaxExpiry::get(), OrderError::ExpiryTooFar);
        Ok(())
    }

    /// The client id is free, and numbers of orders are within their limits. A trigger that fires has had its own since its intake.
    fn ensure_room(&self, order: &NewOrder, source: Source) -> Result<(), OrderError> {
        match source {
            Source::Fired(_) => return Ok(()),
            Source::Amended(_) => {}
            Source::New => {
                let id = order.client_id;
                let triggers = &self.account.triggers;
                let taken = self.orders.has_client(id)
                    || triggers.iter().any(|t| t.terms.order.client_id == id);
                ensure!(!taken, OrderError::DuplicateClientId);
                ensure!(
                    !self.orders.was_cancelled(id),
                    OrderError::ClientIdCancelled
                );
                let open = self.orders.places().saturating_add(triggers.len());
                ensure!(
                    u32::try_from(open).is_ok_and(|n| n < MAX_OPEN_ORDERS),
                    OrderError::TooManyOrders
                );
            }
        }
        let left = T::IntakeQuota::get().saturating_sub(self.orders.new);
        ensure!(left > 0, OrderError::QuotaExceeded);
        Ok(())
    }

    /// Whether the margin after the order's fill at its limit is not larger: neither that of the positions, nor that with the
    /// account's other orders still open, so that several orders do not each reduce the same position.
    fn reduces_risk(
        &mut self,
        before: &MarginAccount,
        order: &NewOrder,
        ticks: Ticks,
    ) -> Result<bool, OrderError> {
        let lots = order
            .side
            .signed(order.lots)
            .ok_or(OrderError::OutOfRange)?;
        let mut filled = before.clone();
        let market = self.view.market(order.market)?;
        Legs::of(market, &self.view)?.apply(&mut filled, lots, ticks)?;
        let filled = assess::<T>(&filled, &self.view, &mut self.scanned)?;
        let before = assess::<T>(before, &self.view, &mut self.scanned)?;
        Ok(filled.initial <= before.initial
            && filled.initial_with_orders <= before.initial_with_orders)
    }

    fn amend(
        &mut self,
        target: OrderTarget,
        price: Option<Ticks>,
        lots: Option<Lots>,
    ) -> Result<Accepted, OrderError> {
        if self.trigger(target).is_some() || self.orders.find_twap(target).is_some() {
            return Err(OrderError::TriggerNotAmended);
        }
        let at = self.orders.find(target).ok_or(OrderError::NoSuchOrder)?;
        let old = *self.orders.open.get(at).ok_or(OrderError::NoSuchOrder)?;
        ensure!(
            self.orders.pegs().all(|peg| peg.sequence != old.sequence),
            OrderError::TriggerNotAmended
        );
        let whole = self.orders.whole(&old)?;
        let (ticks, lots) = (price.unwrap_or(old.ticks), lots.unwrap_or(whole.lots));
        ensure!(
            (ticks, lots) != (old.ticks, whole.lots),
            OrderError::NothingToChange
        );
        ensure!(
            self.account.standing == Standing::Good,
            OrderError::NotTrading
        );
        ensure!(lots > 0, OrderError::ZeroLots);
        if ticks != old.ticks || lots > whole.lots {
            let order = NewOrder {
                market: old.market,
                client_id: old.client_id,
                side: old.side,
                lots,
                price: OrderPrice::Limit(ticks),
                time_in_force: old.time_in_force,
                reduce_only: old.reduce_only,
                self_trade_prevention: old.self_trade,
            };
            // One that would show all of itself is an iceberg no longer.
            let display = self.orders.display(old.sequence);
            let display = display.filter(|display| *display < lots);
            let amended = Source::Amended(at);
            return self.place(&order, display, amended).map(Accepted::Placed);
        }

        let market = self.view.market(old.market)?;
        ensure!(market.status.allows_matching(), OrderError::MarketHalted);
        ensure_worth(
            &self.account,
            market,
            old.side,
            lots,
            ticks,
            old.reduce_only,
        )?;
        // What is hidden goes first.
        let gone = whole.lots.checked_sub(lots).ok_or(OrderError::OutOfRange)?;
        let (hidden, held) = self.orders.hidden(old.sequence);
        let from_hidden = gone.min(hidden);
        let from_shown = gone.saturating_sub(from_hidden);
        let held_for_gone = share(held, from_hidden, hidden)?;
        let mut smaller = old;
        let reserve = smaller.take(from_shown)?;
        let rest = sub(held, held_for_gone)?;
        let reserve = add(reserve, held_for_gone)?;
        release(&mut self.account, &old, gone, reserve)?;
        let hidden = hidden.saturating_sub(from_hidden);
        self.orders.hide(old.sequence, hidden, rest);
        if from_shown > 0 {
            if let Some(slot) = self.orders.open.get_mut(at) {
                *slot = smaller;
            }
            self.shrunk.push((old, smaller.lots));
        }
        Ok(Accepted::Reduced)
    }

    /// The number of a trigger of the account.
    fn trigger(&self, target: OrderTarget) -> Option<Sequence> {
        let is_meant = |t: &&Trigger| match target {
            OrderTarget::Sequence(sequence) => t.sequence == sequence,
            OrderTarget::Client(id) => t.terms.order.client_id == id,
        };
        let triggers = &self.account.triggers;
        triggers.iter().find(is_meant).map(|t| t.sequence)
    }

    fn cancel(&mut self, target: OrderTarget) -> Result<Accepted, OrderError> {
        let order = self.orders.find(target);
        let order = order.and_then(|at| self.orders.open.get(at));
        let sequence = order
            .map(|o| o.sequence)
            .or_else(|| self.trigger(target))
            .or_else(|| self.orders.find_twap(target))
            .ok_or(OrderError::NoSuchOrder)?;
        self.cancel_where(|_, number| number == sequence)
    }

    fn cancel_all(&mut self, market: Option<MarketId>) -> Result<Accepted, OrderError> {
        self.cancel_where(|id, _| market.is_none_or(|m| id == m))
    }

    /// Cancels the orders, triggers and TWAPs whose market and number are `meant`, with what these exclude.
    fn cancel_where(
        &mut self,
        meant: impl Fn(MarketId, Sequence) -> bool,
    ) -> Result<Accepted, OrderError> {
        let open = self.orders.open.iter().map(|o| (o.market, o.sequence));
        let triggers = self.account.triggers.iter();
        let triggers = triggers.map(|t| (t.terms.order.market, t.sequence));
        let twaps = self.orders.twaps();
        let twaps = twaps.map(|t| (t.terms.order.market, t.sequence));
        let all = open.chain(triggers).chain(twaps);
        let mut leaving: BTreeSet<Sequence> = all
            .filter(|(market, sequence)| meant(*market, *sequence))
            .map(|(_, sequence)| sequence)
            .collect();
        let excluded: Vec<_> = leaving
            .iter()
            .filter_map(|sequence| self.orders.twin(*sequence))
            .collect();
        leaving.extend(excluded);

        let leaves = |sequence: Sequence| leaving.contains(&sequence);
        let held = self.account.orders.clone();
        let mut orders = Vec::new();
        for order in self.orders.open.iter().filter(|o| leaves(o.sequence)) {
            let released = self.orders.whole(order).map_err(OrderError::from);
            let released = released
                .and_then(|whole| release(&mut self.account, &whole, whole.lots, whole.reserve));
            if let Err(error) = released {
                self.account.orders = held;
                return Err(error);
            }
            orders.push(*order);
        }
        self.orders.open.retain(|o| !leaves(o.sequence));
        let mut disarmed = 0u32;
        for order in orders {
            self.orders.remember_cancelled(order.client_id);
            self.orders.hide(order.sequence, 0, 0);
            if let Some(peg) = self.orders.unpeg(order.sequence) {
                Due::<T>::remove(due::look_of(self.of, &peg));
                disarmed = disarmed.saturating_add(1);
            }
            self.shrunk.push((order, 0));
        }
        let (of, orders) = (self.of, &mut self.orders);
        self.account.triggers.retain(|trigger| {
            let stays = !leaves(trigger.sequence);
            if !stays {
                triggers::disarm::<T>(of, trigger);
                orders.remember_cancelled(trigger.terms.order.client_id);
                disarmed = disarmed.saturating_add(1);
            }
            stays
        });
        let twaps: Vec<Twap> = orders
            .twaps()
            .filter(|t| leaves(t.sequence))
            .copied()
            .collect();
        for twap in twaps {
            Due::<T>::remove(due::slice_of(of, &twap));
            orders.end(twap.sequence);
            // Its slice may have been among the orders.
            if !orders.was_cancelled(twap.terms.order.client_id) {
                orders.remember_cancelled(twap.terms.order.client_id);
            }
            disarmed = disarmed.saturating_add(1);
        }
        for sequence in &leaving {
            orders.part(*sequence);
        }
        self.disarmed = self.disarmed.saturating_add(disarmed);
        Ok(Accepted::Cancelled(
            u32::try_from(leaving.len()).unwrap_or(u32::MAX),
        ))
    }
}

/// Lots bid and asked.
const fn lots_of(side: Side, lots: Lots) -> (Lots, Lots) {
    match side {
        Side::Bid => (lots, 0),
        Side::Ask => (0, lots),
    }
}

/// Takes `lots` of an order, and the reserve that leaves with them, off the account's order margin.
fn release(
    account: &mut MarginAccount,
    order: &Locator,
    lots: Lots,
    reserve: Cash,
) -> Result<(), OrderError> {
    let (bid, ask) = lots_of(order.side, lots);
    Ok(release_order(account, order.market, bid, ask, reserve)?)
}

/// The order is worth the market's least notional at the lower of limit and mark, or closes the position reduce-only. A combination's is counted at
/// what its legs come to. An option's is counted at its forward, and its premium is worth [`LEAST_PREMIUM`] of that: a bid's at its limit, at the mark that of an offer of what the account has.
fn ensure_worth(
    account: &MarginAccount,
    market: &MarketView,
    side: Side,
    lots: Lots,
    ticks: Ticks,
    reduce_only: bool,
) -> Result<(), OrderError> {
    let held = account.lots(market.id);
    let opposite = match side {
        Side::Bid => held < 0,
        Side::Ask => held > 0,
    };
    if reduce_only && opposite && lots >= held.unsigned_abs() {
        return Ok(());
    }
    let size = Side::Bid.signed(lots).ok_or(OrderError::OutOfRange)?;
    let at_limit = trade_value(size, ticks, market.tick_value)?;
    let least = if market.contract.kind.is_option() {
        let least = signed(ppm_ceil(market.min_notional.unsigned_abs(), LEAST_PREMIUM)?)?;
        let premium = match side {
            Side::Bid => Some(at_limit),
            // Whoever writes it holds margin.
            Side::Ask if held > 0 => {
                Some(signed(notional_floor(lots, market.mark, market.lot_size)?)?)
            }
            Side::Ask => None,
        };
        ensure!(
            premium.is_none_or(|premium| premium >= least),
            OrderError::BelowMinNotional
        );
        // A premium says little of a size.
        signed(notional_floor(lots, market.index, market.lot_size)?)?
    } else if market.contract.kind.is_combination() {
        // So does a difference, and margin is held for all legs.
        signed(notional_floor(lots, market.index, market.lot_size)?)?
    } else {
        at_limit.min(signed(notional_floor(lots, market.mark, market.lot_size)?)?)
    };
    ensure!(least >= market.min_notional, OrderError::BelowMinNotional);
    Ok(())
}

/// Assesses an account for a new order, and adds to `scanned` what its positions take under the grid, as far as one extrinsic may.
pub(crate) fn assess<T: Config>(
    account: &MarginAccount,
    view: &RiskView,
    scanned: &mut Weight,
) -> Result<Assessment, OrderError> {
    let positions = netted_positions(account, view)?;
    let markets = u32::try_from(account.orders.len()).unwrap_or(u32::MAX);
    let takes = T::WeightInfo::scanned(positions, markets);
    let sum = scanned.saturating_add(takes);
    ensure!(
        sum.all_lte(T::WeightInfo::most_scanned(MAX_OPERATIONS)),
        OrderError::TooManyScans
    );
    *scanned = sum;
    Ok(T::Risk::assess(account, view)?)
}

/// Markets in which the account would have a position if all its orders filled.
fn markets_of(account: &MarginAccount, view: &RiskView) -> u32 {
    let held = account.positions.iter().map(|p| p.market);
    let is_new = |id: &MarketId| account.position(*id).is_none();
    let legs = |id: MarketId| {
        view.market(id)
            .map_or_else(|_| CombinationLegs::default(), |m| m.contract.legs)
    };
    let ordered = account.orders.iter().map(|o| o.market);
    let (combined, single): (Vec<_>, Vec<_>) =
        ordered.partition(|id| legs(*id) != CombinationLegs::default());
    let single = single.into_iter().filter(is_new);
    if combined.is_empty() {
        return u32::try_from(held.chain(single).count()).unwrap_or(u32::MAX);
    }
    let legs: Vec<_> = combined.into_iter().map(legs).collect();
    let legs = legs
        .iter()
        .flat_map(|legs| legs.iter().map(|leg| leg.market));
    let all: BTreeSet<MarketId> = held.chain(single).chain(legs).collect();
    u32::try_from(all.len()).unwrap_or(u32::MAX)
}
