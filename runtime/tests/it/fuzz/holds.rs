//! What must hold: after every step, over every close, and of every pallet's storage.

use crate::common::*;
use novate_runtime::{
    configs::exchange::USDC, AccountId, Assets, Clearing, Instruments, Liquidation, Margin, Oracle,
    OrderBook, Runtime, RuntimeEvent,
};
use novate_types::{
    Arrangement, AssetId, Cash, CurrentView, Fill, InstrumentKind, Lots, MarginAccount, MarketId,
    OrderAggregate, Pot, Sequence, Side, SignedLots, MAX_OPEN_ORDERS,
};
use pallet_liquidation::{Event as Liquidated, ShareWish};
use pallet_order_book::{AccountOrders, Event as Booked};
use std::collections::{BTreeMap, BTreeSet};

/// The four equalities, added up here from accounts, pots and balances: what `try_state` of the margin pallet says of them is its own sum.
#[derive(Default)]
struct Sums {
    /// By market, those included that were booked since it settled.
    lots: BTreeMap<MarketId, i128>,
    cash: Cash,
    collateral: BTreeMap<AssetId, i128>,
    owed: Cash,
    interest: u128,
}

impl Sums {
    fn count(&mut self, account: &MarginAccount, index: u128) {
        self.cash += account.cash;
        for position in &account.positions {
            self.cash -= position.cost;
            *self.lots.entry(position.market).or_default() += i128::from(position.lots);
        }
        for (asset, amount) in &account.collateral {
            *self.collateral.entry(*asset).or_default() += *amount as i128;
        }
        self.owed -= account.cash.min(0);
        if let Some(loan) = &account.loan {
            self.interest += loan.principal as u128 * (index - loan.index);
        }
    }

    fn check(mut self) -> Result<(), String> {
        for (market, booked) in pallet_margin::Booked::<Runtime>::iter() {
            *self.lots.entry(market).or_default() += i128::from(booked);
        }
        if let Some((market, sum)) = self.lots.iter().find(|(_, sum)| **sum != 0) {
            return Err(format!("equality 1: lots of market {market} sum to {sum}"));
        }
        self.cash += pallet_margin::Pots::<Runtime>::iter_values().sum::<Cash>();
        let (cash, held) = (self.cash, in_custody(USDC));
        if cash != held {
            return Err(format!("equality 2: {cash}, and {held} in custody"));
        }
        for asset in pallet_margin::Collaterals::<Runtime>::get().keys() {
            self.collateral.entry(*asset).or_default();
        }
        for (asset, sum) in self.collateral {
            let held = in_custody(asset);
            if sum != held {
                return Err(format!(
                    "equality 3: {sum} of {asset}, and {held} in custody"
                ));
            }
        }
        let book = pallet_margin::Lending::<Runtime>::get();
        let shares: u128 = pallet_margin::Suppliers::<Runtime>::iter_values().sum();
        let (sums, kept) = (
            (self.owed, self.interest, shares),
            (book.borrowed, book.accrued, book.shares),
        );
        match sums == kept {
            true => Ok(()),
            false => Err(format!("equality 4: {sums:?}, and {kept:?} in the book")),
        }
    }
}

/// What deposits brought, if custody still has it.
fn in_custody(asset: AssetId) -> i128 {
    let balance = Assets::balance(asset, Margin::custody_account());
    pallet_margin::Custody::<Runtime>::get(asset).min(balance) as i128
}

/// The four equalities.
fn conserved() -> Result<(), String> {
    let index = pallet_margin::Lending::<Runtime>::get().index;
    let mut sums = Sums::default();
    for account in pallet_margin::Accounts::<Runtime>::iter_values() {
        sums.count(&account, index);
    }
    sums.check()
}

/// The four equalities, and what every pallet says of its own storage: that nobody below maintenance margin is missed, too.
pub fn sound() -> Result<(), String> {
    conserved()?;
    let check = |name: &str, held: Result<(), sp_runtime::TryRuntimeError>| {
        held.map_err(|error| format!("{name}: {}", <&str>::from(error)))
    };
    check("instruments", Instruments::do_try_state())?;
    check("oracle", Oracle::do_try_state())?;
    check("margin", Margin::do_try_state())?;
    check("order book", OrderBook::do_try_state())?;
    check("clearing", Clearing::do_try_state())?;
    check("liquidation", Liquidation::do_try_state())
}

/// What an account asked for under a number, and what of it is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// An open order, with what it hides.
    Order {
        lots: Lots,
        hidden: Lots,
    },
    Trigger {
        lots: Lots,
        reduce_only: bool,
    },
    Twap {
        left: Lots,
    },
}

/// What accounts hold and ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    pub asked: BTreeMap<Account, BTreeMap<Sequence, Asked>>,
    pub lots: BTreeMap<(Account, MarketId), SignedLots>,
}

/// After every step: the four equalities, what each account's orders are to each other and to its margin, and the vault's shares. Each account
/// is read once: this is most of what a step costs. What there is, if it holds.
pub fn holds() -> Result<Book, String> {
    let index = pallet_margin::Lending::<Runtime>::get().index;
    let mut sums = Sums::default();
    let all: Vec<_> = pallet_margin::Accounts::<Runtime>::iter().collect();
    for (_, account) in &all {
        sums.count(account, index);
    }
    sums.check()?;
    let mut book = Book::default();
    for (of, account) in all {
        for position in &account.positions {
            book.lots
                .insert((of.clone(), position.market), position.lots);
        }
        if account.open.is_empty() && account.orders.is_empty() && account.triggers.is_empty() {
            continue;
        }
        let orders = AccountOrders::of(&account);
        let numbered = of_account(&account, &orders).and_then(|asked| {
            arranged(&account, &orders)?;
            Ok(asked)
        });
        let asked = numbered.map_err(|why| format!("orders: {why}: {of:?}"))?;
        book.asked.insert(of, asked);
    }
    shares().map_err(|why| format!("shares: {why}"))?;
    Ok(book)
}

/// Everything that an account asked for, by number, if its margin holds exactly that.
fn of_account(
    account: &MarginAccount,
    orders: &AccountOrders,
) -> Result<BTreeMap<Sequence, Asked>, String> {
    let mut asked = BTreeMap::new();
    let mut sums = BTreeMap::<MarketId, OrderAggregate>::new();
    for order in &orders.open {
        let (hidden, held) = orders.hidden(order.sequence);
        let sum = sums.entry(order.market).or_insert(OrderAggregate {
            market: order.market,
            ..Default::default()
        });
        match order.side {
            Side::Bid => sum.bid_lots += order.lots + hidden,
            Side::Ask => sum.ask_lots += order.lots + hidden,
        }
        sum.reserve += order.reserve + held;
        let lots = order.lots + hidden;
        asked.insert(order.sequence, Asked::Order { lots, hidden });
    }
    if !sums.values().eq(account.orders.iter()) {
        return Err("margin is not held for exactly these".into());
    }
    for trigger in &account.triggers {
        let order = &trigger.terms.order;
        let waits = Asked::Trigger {
            lots: order.lots,
            reduce_only: order.reduce_only,
        };
        if asked.insert(trigger.sequence, waits).is_some() {
            return Err("a trigger has an order's number".into());
        }
    }
    for twap in orders.twaps() {
        // A slice has its TWAP's number.
        asked.insert(twap.sequence, Asked::Twap { left: twap.left });
    }
    match asked.keys().next_back() {
        Some(last) if *last >= account.next_sequence => Err("a number is still to be given".into()),
        _ => Ok(asked),
    }
}

/// What icebergs, pairs, TWAPs and pegged orders are to the account's orders and triggers.
fn arranged(account: &MarginAccount, orders: &AccountOrders) -> Result<(), String> {
    let is_trigger = |of: Sequence| account.triggers.iter().any(|t| t.sequence == of);
    let twaps: BTreeSet<_> = orders.twaps().map(|twap| twap.sequence).collect();
    let mut clients = BTreeSet::new();
    let own = orders.open.iter().filter(|o| !twaps.contains(&o.sequence));
    let own = own.map(|order| order.client_id);
    let waiting = account.triggers.iter().map(|t| t.terms.order.client_id);
    let slices = orders.twaps().map(|twap| twap.terms.order.client_id);
    if let Some(id) = own
        .chain(waiting)
        .chain(slices)
        .find(|id| !clients.insert(*id))
    {
        return Err(format!("two have client id {id}"));
    }
    if clients.len() > MAX_OPEN_ORDERS as usize {
        return Err("there are more than can be open".into());
    }
    for arrangement in &orders.arrangements {
        let held = match arrangement {
            Arrangement::Hidden {
                sequence,
                display,
                lots,
                reserve,
            } => {
                let shown = orders.get(*sequence).map_or(0, |order| order.lots);
                shown > 0 && shown <= *display && *lots > 0 && *reserve >= 0
            }
            Arrangement::Pair(one, other) => {
                let one_is_there = orders.get(*one).is_some() || is_trigger(*one);
                one != other && one_is_there && is_trigger(*other)
            }
            Arrangement::Twap(twap) => {
                let whole = twap.terms.order.lots;
                let begun = (twap.due - twap.start) / u32::from(twap.terms.interval);
                let slice = orders.get(twap.sequence).map_or(0, |order| order.lots);
                // What was executed and what is on its way is never ahead of the schedule.
                let executed = whole.checked_sub(twap.left);
                slice <= twap.left
                    && executed.is_some_and(|done| done + slice <= twap.terms.target(begun))
            }
            Arrangement::Peg(peg) => orders.get(peg.sequence).is_some_and(|order| {
                order.side.accepts(peg.worst, order.ticks) && orders.hidden(peg.sequence).0 == 0
            }),
        };
        if !held {
            return Err(format!("one of them is not in order: {arrangement:?}"));
        }
    }
    Ok(())
}

/// Shares add up, and the pot holds what requests brought and are owed.
fn shares() -> Result<(), String> {
    let book = pallet_liquidation::Backstop::<Runtime>::get();
    let holdings = pallet_liquidation::ShareHoldings::<Runtime>::iter();
    let (mut held, mut waiting) = (0, BTreeMap::<_, u32>::new());
    for (owner, holding) in holdings {
        held += holding.shares;
        waiting.insert(owner, holding.waiting);
    }
    let (mut leaving, mut brought) = (0, book.terms.map_or(0, |terms| terms.unpaid));
    for (id, request) in pallet_liquidation::ShareRequests::<Runtime>::iter() {
        let of = waiting.get_mut(&request.owner);
        let counted = of.and_then(|many| many.checked_sub(1).map(|left| *many = left));
        if counted.is_none() || !(book.first..book.next).contains(&id) {
            return Err(format!("request {id} is not among those that wait"));
        }
        match request.wish {
            ShareWish::Leave(shares) => leaving += shares,
            // What enters at an epoch's value is the vault's already.
            ShareWish::Enter(amount) => match book.terms {
                Some(terms) if id < terms.until && terms.value.is_some() => (),
                _ => brought += amount,
            },
        }
    }
    if held + leaving != book.shares {
        let all = book.shares;
        return Err(format!("{held} are held and {leaving} leave, of {all}"));
    }
    if waiting.values().any(|many| *many > 0) {
        return Err("a request is counted that is not there".into());
    }
    match pot(Pot::Vault) {
        held if held == brought => Ok(()),
        held => Err(format!("the pot holds {held}, requests {brought}")),
    }
}

/// Nothing but an account's own extrinsic changes what it asked for, and none changes a position.
pub fn left_alone(before: &Book, after: &Book, sender: Option<&Account>) -> Result<(), String> {
    if before.lots != after.lots {
        return Err("an extrinsic changed a position".into());
    }
    let of = |book: &Book| {
        let others = book.asked.iter().filter(|(of, _)| Some(*of) != sender);
        others
            .map(|(of, asked)| (of.clone(), asked.clone()))
            .filter(|(_, asked)| !asked.is_empty())
            .collect::<BTreeMap<_, _>>()
    };
    match of(before) == of(after) {
        true => Ok(()),
        false => Err("an extrinsic changed somebody else's orders".into()),
    }
}

/// What a close said of one number.
#[derive(Default)]
struct Said {
    filled: Lots,
    cancelled: Lots,
    fired: Option<bool>,
}

/// What a close said, and of whom it changed more than orders.
#[derive(Default)]
struct Close {
    said: BTreeMap<(Account, Sequence), Said>,
    traded: BTreeMap<(Account, MarketId), SignedLots>,
    remedied: BTreeSet<Account>,
    /// Markets that have settled: a position in one may have been booked as cash.
    settled: BTreeSet<MarketId>,
}

/// Whether a market is a combination. One that is removed in a close has ended, and traded nothing in it.
fn is_combination(market: MarketId) -> bool {
    let listed = pallet_instruments::Instruments::<Runtime>::get(market);
    listed.is_some_and(|i| matches!(i.kind, InstrumentKind::Combination { .. }))
}

impl Close {
    fn heed(&mut self, event: &RuntimeEvent) {
        use pallet_clearing::Event as Cleared;
        match event {
            // What a combination's fills change is said of its legs.
            RuntimeEvent::Clearing(Cleared::LegCleared { market, fills, .. }) => {
                fills.iter().for_each(|fill| self.trade(fill, *market));
            }
            RuntimeEvent::Clearing(Cleared::Cleared { market, fills, .. }) => {
                for fill in fills {
                    if !is_combination(*market) {
                        self.trade(fill, *market);
                    }
                    if !fill.liquidation {
                        self.of(&fill.account, fill.sequence).filled += fill.lots;
                    }
                }
            }
            RuntimeEvent::OrderBook(Booked::Cancelled { orders, .. }) => {
                for order in orders {
                    self.of(&order.account, order.sequence).cancelled += order.lots;
                }
            }
            RuntimeEvent::OrderBook(Booked::Fired { triggers, .. }) => {
                for fired in triggers {
                    self.of(&fired.account, fired.sequence).fired = Some(fired.outcome.is_ok());
                }
            }
            RuntimeEvent::Liquidation(Liquidated::BidFilled { account, taker, .. }) => {
                self.remedied.extend([account.clone(), taker.clone()]);
            }
            RuntimeEvent::Liquidation(Liquidated::TakenOver { account, .. }) => {
                self.remedied.extend([account.clone(), vault()]);
            }
            RuntimeEvent::Liquidation(Liquidated::Deleveraged {
                account,
                counterparty,
                ..
            }) => {
                let both = [account.clone(), counterparty.clone()];
                self.remedied.extend(both);
            }
            RuntimeEvent::Instruments(pallet_instruments::Event::MarketDelisted { market }) => {
                self.settled.insert(*market);
            }
            _ => (),
        }
    }

    fn trade(&mut self, fill: &Fill<AccountId>, market: MarketId) {
        let lots = fill.side.signed(fill.lots).expect("it was novated");
        let held = (fill.account.clone(), market);
        *self.traded.entry(held).or_default() += lots;
    }

    fn of(&mut self, account: &Account, sequence: Sequence) -> &mut Said {
        self.said.entry((account.clone(), sequence)).or_default()
    }
}

/// Over a close, each order's lots are those that executed, those that it named as cancelled and those that are left; and each position
/// changed by what executed, or by a remedy that named the account. What happened to arrangements, to be counted.
pub fn accounted(
    before: &Book,
    after: &Book,
    events: &[RuntimeEvent],
) -> Result<Vec<&'static str>, String> {
    let mut close = Close::default();
    events.iter().for_each(|event| close.heed(event));
    let view = Clearing::view();
    let settled = view.markets.iter().filter(|market| market.contract.settled);
    close.settled.extend(settled.map(|market| market.id));
    let mut seen = Vec::new();
    let nothing = BTreeMap::new();
    let owners: BTreeSet<_> = before.asked.keys().chain(after.asked.keys()).collect();
    // The vault orders in the close itself.
    for of in owners.into_iter().filter(|of| **of != vault()) {
        let asked = |book: &'_ Book| book.asked.get(of).unwrap_or(&nothing).clone();
        let (was, is) = (asked(before), asked(after));
        if let Some(new) = is.keys().find(|sequence| !was.contains_key(sequence)) {
            return Err(format!("order {new} of {of:?} came from nowhere"));
        }
        for (sequence, asked) in &was {
            let said = close.said.remove(&(of.clone(), *sequence));
            let left = is.get(sequence).copied();
            let wrong = |why: &str| Err(format!("order {sequence} of {of:?} {why}"));
            match balance(*asked, left, &said.unwrap_or_default()) {
                Ok(what) => seen.extend(what),
                Err(why) => return wrong(&why),
            }
        }
    }
    if let Some(((of, sequence), _)) = close.said.iter().find(|((of, _), _)| *of != vault()) {
        return Err(format!("order {sequence} of {of:?} was never asked for"));
    }
    let held: BTreeSet<_> = [&before.lots, &after.lots]
        .into_iter()
        .flat_map(|lots| lots.keys())
        .chain(close.traded.keys())
        .collect();
    for at in held
        .into_iter()
        .filter(|at| !close.remedied.contains(&at.0))
    {
        let of = |lots: &BTreeMap<_, SignedLots>| lots.get(at).copied().unwrap_or(0);
        let changed = of(&after.lots) - of(&before.lots);
        let traded = of(&close.traded);
        let (of, market) = at;
        let is_booked = !after.lots.contains_key(at) && close.settled.contains(market);
        if is_booked && changed != 0 && traded == 0 {
            seen.push("position settled");
            continue;
        }
        if changed != traded {
            return Err(format!(
                "position of {of:?} in market {market} changed by {changed}, and {traded} were traded"
            ));
        }
    }
    Ok(seen)
}

/// Whether what was asked for is what happened and what is left.
fn balance(was: Asked, left: Option<Asked>, said: &Said) -> Result<Option<&'static str>, String> {
    let Said {
        filled,
        cancelled,
        fired,
    } = *said;
    let rest = match left {
        Some(Asked::Order { lots, .. }) => lots,
        Some(Asked::Trigger { lots, .. }) => lots,
        Some(Asked::Twap { left }) => left,
        None => 0,
    };
    let sum = filled + cancelled + rest;
    let lost = |lots: Lots| {
        Err(format!(
            "was lost: of {lots} lots {filled} filled, {cancelled} were cancelled and {rest} are left"
        ))
    };
    match was {
        Asked::Order { lots, .. } if sum != lots => lost(lots),
        Asked::Order { hidden, .. } => {
            let hides = match left {
                Some(Asked::Order { hidden, .. }) => hidden,
                _ => 0,
            };
            Ok((rest > 0 && hides < hidden).then_some("iceberg showed more"))
        }
        Asked::Trigger { lots, reduce_only } => match fired {
            None if sum != lots || filled > 0 => lost(lots),
            None => Ok(None),
            // Cut to the position.
            Some(true) if sum > lots || (sum < lots && !reduce_only) => lost(lots),
            Some(true) => Ok(Some("trigger fired")),
            Some(false) if sum > 0 => lost(lots),
            Some(false) => Ok(Some("trigger fired in vain")),
        },
        Asked::Twap { left: lots } => match left {
            // What of a slice was cancelled is made up for.
            Some(Asked::Twap { left }) if left + filled != lots => lost(lots),
            Some(Asked::Twap { .. }) => Ok(match fired {
                Some(true) => Some("slice came in"),
                Some(false) => Some("slice refused"),
                None => None,
            }),
            _ if sum != lots => lost(lots),
            _ => Ok(Some("TWAP ended")),
        },
    }
}
