//! Benchmarks; as tests they run on the mock.
//!
//! Each order that can stand in a tick group of its own does, so that it is a page of its own that is read and written; whoever
//! has orders has as many open ones as there can be; and accounts are as full as the runtime's helper makes them.

// Set-up may panic; what is measured may not, and is elsewhere.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used
)]

use crate::{
    book::group_of,
    types::{Group, Locator, Note, Place, Slot, GROUP_ORDERS, MAX_GROUPS, PAGE_SLOTS},
    BenchmarkHelper, Config, Directories, Evicting, Intake, Pages, Pallet,
};
use alloc::{vec, vec::Vec};
use frame_benchmarking::v2::*;
use frame_support::{traits::Get, BoundedVec};
use frame_system::RawOrigin;
use novate_types::{
    math::{price_of, ticks_nearest},
    AccountRef, CurrentView, Direction, Ledger, LedgerError, MarginAccount, MarketId, MarketView,
    MatchLimits, NewOrder, NewTrigger, NewTwap, Operation, OrderBook, OrderPrice, OrderTarget,
    Release, RiskModel, RiskView, SelfTradePrevention, Sequence, Side, Ticks, TimeInForce,
    MAX_OPEN_ORDERS, MAX_POSITIONS, MAX_TRIGGERS,
};

/// Ticks between orders of different tick groups at the runtime's first mark.
const APART: Ticks = 32;
/// Tick groups on one side of the mark that matching reaches.
const WITHIN_BAND: Ticks = 36;
/// Lots of an order.
const LOTS: u64 = 1_000;
/// Block of expiry of a trigger.
const EXPIRY: u32 = 900;
/// So few that no number of orders looked at is worth the impact notional.
const FEW_LOTS: u64 = 10;

/// Somebody who holds so many of the view's options, short and long by turns, and has orders both ways in so many of them.
fn holder(view: &RiskView, options: u32, orders: u32) -> MarginAccount {
    let mut account = MarginAccount::default();
    for (at, market) in view.markets.iter().take(options as usize).enumerate() {
        let lots = if at % 2 == 0 { -1 } else { 1 };
        novate_risk::apply_trade(&mut account, market, lots, 0).unwrap();
    }
    for market in view.markets.iter().take(orders as usize) {
        for side in [Side::Bid, Side::Ask] {
            novate_risk::add_order(&mut account, market.id, side, 1, 0).unwrap();
        }
    }
    account
}

fn priced(view: &MarketView, side: Side, away: Ticks) -> Ticks {
    let mark = ticks_nearest(view.mark, view.tick_size).unwrap();
    match side {
        Side::Bid => mark - away,
        Side::Ask => mark + away,
    }
}

fn order(view: &MarketView, client_id: u64, side: Side, ticks: Ticks) -> NewOrder {
    NewOrder {
        market: view.id,
        client_id,
        side,
        lots: LOTS,
        price: OrderPrice::Limit(ticks),
        time_in_force: TimeInForce::GoodTilCancelled,
        reduce_only: false,
        self_trade_prevention: SelfTradePrevention::CancelNewest,
    }
}

fn known<T: Config>(number: u32) -> AccountRef<T::AccountId> {
    AccountRef::new(account("trader", number, 0), 0)
}

fn trader<T: Config>(number: u32) -> AccountRef<T::AccountId> {
    let of = known::<T>(number);
    T::BenchmarkHelper::fund(&of);
    of
}

fn place<T: Config>(of: &AccountRef<T::AccountId>, orders: impl IntoIterator<Item = NewOrder>) {
    let operations: Vec<_> = orders.into_iter().map(Operation::Place).collect();
    let done = Pallet::<T>::execute(of, &operations).unwrap();
    assert!(done.iter().all(Result::is_ok), "{done:?}");
}

/// Gives an account open orders of another market until there are `most`, which lead nowhere and which nothing here touches.
fn fill_up<T: Config>(of: &AccountRef<T::AccountId>, most: u32) {
    Pallet::<T>::change_orders(of, |orders| {
        let model = *orders.open.last().unwrap();
        let next = model.sequence + 1;
        for n in 0..u64::from(most).saturating_sub(orders.open.len() as u64) {
            let other = Locator {
                market: MarketId::MAX,
                sequence: next + n,
                client_id: u64::MAX - n,
                place: Place::Page(0),
                ..model
            };
            orders.open.try_push(other).unwrap();
        }
    });
    // The next order of its own comes after these.
    let taken = |account: &mut novate_types::MarginAccount| {
        account.next_sequence += Sequence::from(most);
        Ok::<_, LedgerError>(())
    };
    T::Ledger::update(of, taken).unwrap();
}

/// Traders from number 1 on with full lists, each of which has one ask, resting in as many groups as matching reaches.
fn resting<T: Config>(view: &MarketView, many: u32) {
    for number in 0..many {
        let of = trader::<T>(number + 1);
        let ticks = priced(
            view,
            Side::Ask,
            1 + APART * (Ticks::from(number) % WITHIN_BAND),
        );
        place::<T>(&of, [order(view, 0, Side::Ask, ticks)]);
        fill_up::<T>(&of, MAX_OPEN_ORDERS);
    }
    close::<T>(view, 0);
}

fn close<T: Config>(view: &MarketView, fills: u32) -> u32 {
    let Some(mut market) = Pallet::<T>::load(view, Vec::new()) else {
        return 0;
    };
    let tentative = Pallet::<T>::run(&mut market, &MatchLimits::first(fills));
    apply::<T>(&Pallet::<T>::commit(market));
    tentative.executed
}

fn apply<T: Config>(releases: &[Release<T::AccountId>]) {
    for release in releases {
        T::Ledger::update(&release.account, |account| {
            novate_risk::take_release(account, release).map_err(LedgerError::from)
        })
        .unwrap();
    }
}

/// A bid in a tick group of its own.
fn apart(view: &MarketView, number: u32) -> NewOrder {
    let ticks = priced(view, Side::Bid, 2_000 + APART * Ticks::from(number));
    order(view, number.into(), Side::Bid, ticks)
}

/// `many` accounts, and one more, of which one order each came in; each has `most` open orders.
fn came_in<T: Config>(many: u32, most: u32) -> MarketView {
    let view = T::BenchmarkHelper::market();
    for number in 0..=many {
        let of = trader::<T>(number);
        place::<T>(&of, [apart(&view, number)]);
        if most > 0 {
            fill_up::<T>(&of, most);
        }
    }
    view
}

/// Each of these orders rests.
fn ensure_rest<T: Config>(view: &MarketView, many: u32) {
    for number in 0..=many {
        assert_eq!(resting_of::<T>(&known::<T>(number), view), 1);
    }
}

/// Orders of an account that rest in the market.
fn resting_of<T: Config>(of: &AccountRef<T::AccountId>, view: &MarketView) -> u32 {
    let rests = |o: &&Locator| o.market == view.id && o.place != Place::Intake;
    Pallet::<T>::orders(of).open.iter().filter(rests).count() as u32
}

fn triggers_of<T: Config>(of: &AccountRef<T::AccountId>) -> u32 {
    T::Ledger::account(of).unwrap().triggers.len() as u32
}

fn nobody<T: Config>() -> AccountRef<T::AccountId> {
    AccountRef::new(account("nobody", 0, 0), 0)
}

/// An order of a book that nobody has placed.
fn slot<T: Config>(sequence: Sequence, ticks: Ticks) -> Slot<T::AccountId> {
    Slot {
        account: nobody::<T>(),
        sequence,
        ticks,
        lots: FEW_LOTS,
        block: 0,
        expires: u32::MAX,
        reduce_only: false,
    }
}

/// Both sides of a market with as many groups as there can be, of one order each; nobody's, only to be looked at.
fn sparse_book<T: Config>(view: &MarketView) {
    for side in [Side::Bid, Side::Ask] {
        Directories::<T>::mutate((view.id, side), |directory| {
            for n in 0..u64::from(MAX_GROUPS) {
                let ticks = priced(view, side, 1 + 2 * APART * n);
                let id = group_of(ticks);
                let mut known = directory.groups.iter().chain(&directory.evicted);
                let is_there = known.any(|group| group.id == id);
                if is_there || directory.groups.is_full() {
                    continue;
                }
                let group = Group {
                    id,
                    pages: vec![1].try_into().unwrap(),
                };
                directory.groups.try_push(group).unwrap();
                let page = BoundedVec::truncate_from(vec![slot::<T>(n + 1, ticks)]);
                Pages::<T>::insert((view.id, side, id, 0), page);
            }
            directory.groups.sort_by_key(|group| group.id);
        });
    }
}

/// A page of orders, each of an account of its own with a full list, in a group that was evicted.
fn evicted_page<T: Config>(view: &MarketView, number: u32) {
    let first = 10_000 + number * PAGE_SLOTS;
    let ticks = priced(view, Side::Ask, 3_000 + 4 * APART * Ticks::from(number));
    for number in first..first + PAGE_SLOTS {
        let of = trader::<T>(number);
        place::<T>(&of, [order(view, 0, Side::Ask, ticks)]);
        fill_up::<T>(&of, MAX_OPEN_ORDERS);
    }
    close::<T>(view, 0);
    Directories::<T>::mutate((view.id, Side::Ask), |directory| {
        let at = directory
            .groups
            .iter()
            .position(|g| g.id == group_of(ticks));
        let group = directory.groups.remove(at.unwrap());
        directory.evicted.try_push(group).unwrap();
    });
    Evicting::<T>::put(vec![(view.id, Side::Ask)]);
}

/// A trigger of an order in a tick group of its own, at a level above the mark.
fn stop(view: &MarketView, number: u32, away: Ticks) -> Operation {
    Operation::PlaceTrigger(NewTrigger {
        order: apart(view, number),
        direction: Direction::Up,
        ticks: priced(view, Side::Ask, away),
        expires: Some(EXPIRY),
    })
}

/// An order in slices, each as large as another order.
fn slices(view: &MarketView, number: u32) -> Operation {
    let order = NewOrder {
        lots: 4 * LOTS,
        time_in_force: TimeInForce::ImmediateOrCancel,
        ..apart(view, number)
    };
    Operation::PlaceTwap(NewTwap {
        order,
        slices: 4,
        interval: 5,
    })
}

fn operate<T: Config>(of: &AccountRef<T::AccountId>, operations: &[Operation]) {
    let done = Pallet::<T>::execute(of, operations).unwrap();
    assert!(done.iter().all(Result::is_ok), "{done:?}");
}

/// Accounts with full lists and one trigger each, one tick above the mark.
fn stops<T: Config>(view: &MarketView, many: u32) -> Vec<AccountRef<T::AccountId>> {
    let traders: Vec<_> = (0..many).map(|number| trader::<T>(number)).collect();
    for of in &traders {
        place::<T>(of, [apart(view, 0)]);
        fill_up::<T>(of, MAX_OPEN_ORDERS - 1);
        operate::<T>(of, &[stop(view, 1, 1)]);
    }
    close::<T>(view, 0);
    traders
}

/// The view once the market's mark has risen by one tick.
fn risen<T: Config>(market: &MarketView) -> RiskView {
    let mut view = T::View::view();
    let ticks = priced(market, Side::Ask, 1);
    let here = view.markets.iter_mut().find(|m| m.id == market.id);
    here.unwrap().mark = price_of(ticks, market.tick_size).unwrap();
    view
}

#[benchmarks]
mod benchmarks {
    use super::*;

    /// `p` new orders and `c` cancels of resting ones, of an account with `o` others: the extrinsic alone.
    #[benchmark]
    fn submit(p: Linear<0, 32>, c: Linear<0, 32>, o: Linear<0, 64>) -> Result<(), BenchmarkError> {
        let view = T::BenchmarkHelper::market();
        let of = trader::<T>(0);
        place::<T>(&of, (0..=c).map(|n| apart(&view, n)));
        close::<T>(&view, 0);
        fill_up::<T>(&of, 1 + c + o);

        let cancels = (1..=c).map(|n| Operation::Cancel(OrderTarget::Client(n.into())));
        let places = (0..p).map(|n| Operation::Place(apart(&view, 100 + n)));
        // Something has to be sent.
        let nothing = (p + c == 0).then_some(Operation::Cancel(OrderTarget::Client(u64::MAX)));
        let all = cancels.chain(places).chain(nothing);
        let operations = BoundedVec::truncate_from(all.collect());

        #[block]
        {
            Pallet::<T>::submit(RawOrigin::Signed(of.owner.clone()).into(), 0, operations)
                .map_err(|refused| refused.error)?;
        }

        let open = Pallet::<T>::orders(&of).open;
        assert_eq!(open.len() as u32, 1 + o + p);
        Ok(())
    }

    /// `n` accounts with full lists, of each of which one order came in.
    #[benchmark]
    fn closing(n: Linear<0, 32>) {
        let view = came_in::<T>(n, MAX_OPEN_ORDERS);
        #[block]
        {
            close::<T>(&view, 0);
        }
        ensure_rest::<T>(&view, n);
    }

    /// The same without other orders.
    #[benchmark]
    fn small_closing(n: Linear<0, 32>) {
        let view = came_in::<T>(n, 0);
        #[block]
        {
            close::<T>(&view, 0);
        }
        ensure_rest::<T>(&view, n);
    }

    /// `n` orders of one account that came in.
    #[benchmark]
    fn placed(n: Linear<0, 32>) {
        let view = T::BenchmarkHelper::market();
        let of = trader::<T>(0);
        place::<T>(&of, (0..=n).map(|number| apart(&view, number)));
        fill_up::<T>(&of, MAX_OPEN_ORDERS);
        #[block]
        {
            close::<T>(&view, 0);
        }
        assert_eq!(resting_of::<T>(&of, &view), n + 1);
    }

    /// `n` orders of one account that left; another stays, and one more came in.
    #[benchmark]
    fn left(n: Linear<0, 32>) {
        let view = T::BenchmarkHelper::market();
        let of = trader::<T>(0);
        place::<T>(&of, (0..=n).map(|number| apart(&view, number)));
        close::<T>(&view, 0);
        place::<T>(&of, [apart(&view, n + 1)]);
        fill_up::<T>(&of, MAX_OPEN_ORDERS);
        let cancels: Vec<_> = (1..=n)
            .map(|number| Operation::Cancel(OrderTarget::Client(number.into())))
            .collect();
        if n > 0 {
            Pallet::<T>::execute(&of, &cancels).unwrap();
        }
        #[block]
        {
            close::<T>(&view, 0);
        }
        assert_eq!(resting_of::<T>(&of, &view), 2);
    }

    /// `n` triggers that come in with an extrinsic.
    #[benchmark]
    fn arm(n: Linear<0, { MAX_TRIGGERS - 1 }>) {
        let view = T::BenchmarkHelper::market();
        let of = trader::<T>(0);
        let all: Vec<_> = (0..=n).map(|number| stop(&view, number, 1)).collect();
        #[block]
        {
            operate::<T>(&of, &all);
        }
        assert_eq!(triggers_of::<T>(&of), n + 1);
    }

    /// `n` triggers that are cancelled in an extrinsic.
    #[benchmark]
    fn disarm(n: Linear<0, { MAX_TRIGGERS - 1 }>) {
        let view = T::BenchmarkHelper::market();
        let of = trader::<T>(0);
        let all: Vec<_> = (0..=n).map(|number| stop(&view, number, 1)).collect();
        operate::<T>(&of, &all);
        let cancel = |number: u32| Operation::Cancel(OrderTarget::Client(number.into()));
        let cancels: Vec<_> = (0..=n).map(cancel).collect();
        #[block]
        {
            operate::<T>(&of, &cancels);
        }
        assert_eq!(triggers_of::<T>(&of), 0);
    }

    /// `m` markets with triggers on both sides of their marks, which reached none.
    #[benchmark]
    fn triggers(m: Linear<0, 8>) {
        T::BenchmarkHelper::market();
        let mut view = T::View::view();
        view.markets.truncate(m as usize);
        let of = trader::<T>(0);
        for (number, market) in (0..).zip(&view.markets) {
            let Operation::PlaceTrigger(above) = stop(market, 2 * number, 1) else {
                continue;
            };
            let mut below = above;
            below.order.client_id += 1;
            below.direction = Direction::Down;
            below.ticks = priced(market, Side::Bid, 1);
            operate::<T>(&of, &[above, below].map(Operation::PlaceTrigger));
        }
        let used;
        #[block]
        {
            used = Pallet::<T>::fire(&view, u64::MAX);
        }
        assert_eq!(used, 0);
        assert_eq!(triggers_of::<T>(&of), 2 * view.markets.len() as u32);
    }

    /// `n` triggers of as many accounts, whose orders are taken in.
    #[benchmark]
    fn fire(n: Linear<0, 32>) {
        let market = T::BenchmarkHelper::market();
        let traders = stops::<T>(&market, n);
        let view = risen::<T>(&market);
        #[block]
        {
            Pallet::<T>::fire(&view, u64::MAX);
        }
        for of in traders {
            let open = Pallet::<T>::orders(&of).open;
            assert!(open.iter().any(|o| o.place == Place::Intake));
            assert_eq!(triggers_of::<T>(&of), 0);
        }
    }

    /// `n` slices of as many accounts with full lists, which are taken in and scheduled again.
    #[benchmark]
    fn slice(n: Linear<0, 32>) {
        let market = T::BenchmarkHelper::market();
        let traders: Vec<_> = (0..n).map(|number| trader::<T>(number)).collect();
        for of in &traders {
            operate::<T>(of, &[slices(&market, 1)]);
            place::<T>(of, [apart(&market, 0)]);
            fill_up::<T>(of, MAX_OPEN_ORDERS - 1);
        }
        let view = T::View::view();
        #[block]
        {
            Pallet::<T>::fire(&view, u64::MAX);
        }
        for of in traders {
            let orders = Pallet::<T>::orders(&of);
            let waiting = orders.open.iter().filter(|o| o.place == Place::Intake);
            assert_eq!(waiting.count(), 2);
            assert!(orders.twaps().all(|twap| twap.due > Pallet::<T>::now()));
        }
    }

    /// `n` triggers of as many accounts whose time is up.
    #[benchmark]
    fn expire(n: Linear<0, { T::ExpiringTriggers::get() }>) {
        let market = T::BenchmarkHelper::market();
        let traders = stops::<T>(&market, n);
        let view = T::View::view();
        #[block]
        {
            crate::triggers::expire::<T>(&view, EXPIRY);
        }
        for of in traders {
            assert_eq!(triggers_of::<T>(&of), 0);
        }
    }

    /// An order comes to rest far behind a book in which every tick group holds one order, so that each order that quotes look
    /// at is a page.
    #[benchmark]
    fn match_market() {
        let view = T::BenchmarkHelper::market();
        sparse_book::<T>(&view);
        let of = trader::<T>(0);
        let ticks = priced(
            &view,
            Side::Bid,
            1 + 2 * APART * Ticks::from(MAX_GROUPS / 2),
        );
        place::<T>(&of, [order(&view, 0, Side::Bid, ticks)]);
        fill_up::<T>(&of, MAX_OPEN_ORDERS);

        #[block]
        {
            close::<T>(&view, 0);
        }

        let open = Pallet::<T>::open_orders(&of);
        assert!(open.iter().any(|o| o.market == view.id));
        assert!(crate::RestedQuotes::<T>::get(view.id)
            .standing
            .ask
            .is_some());
    }

    /// An order that would execute at a worse price than any of `n` resting orders of as many accounts, had the block fills left.
    #[benchmark]
    fn read(n: Linear<0, 128>) {
        let view = T::BenchmarkHelper::market();
        resting::<T>(&view, n);
        crate::Reads::<T>::kill();
        let ticks = priced(&view, Side::Bid, 1);
        place::<T>(&trader::<T>(0), [order(&view, 0, Side::Bid, ticks)]);

        #[block]
        {
            close::<T>(&view, 0);
        }

        assert!(crate::Reads::<T>::get() <= n.min(GROUP_ORDERS));
    }

    /// `p` pages of expiries and as many of evicted groups, every order of an account of its own, whose margin the close then sets
    /// free; and `m` markets whose books a cancel changed, full of groups of one order. Each of these costs the same: more would
    /// hide in their noise what pages cost.
    #[benchmark]
    fn housekeep(p: Linear<0, { T::UpkeepPages::get() }>, m: Linear<0, 8>) {
        let first = T::BenchmarkHelper::market();
        let view = T::View::view();
        let expiry = Pallet::<T>::now() + 1;
        for number in 0..p * PAGE_SLOTS {
            let of = trader::<T>(number);
            let apart = APART * (Ticks::from(number) % WITHIN_BAND);
            let mut bid = order(
                &first,
                0,
                Side::Bid,
                priced(&first, Side::Bid, 2_000 + apart),
            );
            bid.time_in_force = TimeInForce::GoodTilBlock(expiry);
            place::<T>(&of, [bid]);
            fill_up::<T>(&of, MAX_OPEN_ORDERS);
        }
        close::<T>(&first, 0);
        (0..p).for_each(|number| evicted_page::<T>(&first, number));
        for market in view.markets.iter().take(m as usize) {
            sparse_book::<T>(market);
            let (side, ticks) = (Side::Ask, priced(market, Side::Ask, 1));
            let note = Note::Shrank {
                account: nobody::<T>(),
                sequence: 1,
                side,
                group: group_of(ticks),
                page: 0,
                lots: 0,
            };
            Intake::<T>::append(market.id, vec![note]);
        }
        crate::ExpiryCursor::<T>::put((expiry, 0));
        frame_system::Pallet::<T>::set_block_number(expiry.into());
        let released;

        #[block]
        {
            released = Pallet::<T>::housekeep(&view);
            apply::<T>(&released);
        }

        let margin = released.iter().flat_map(|r| &r.margin);
        let lots: u64 = margin.map(|m| m.bid_lots + m.ask_lots).sum();
        assert_eq!(lots, LOTS * u64::from(2 * p * PAGE_SLOTS));
    }

    #[benchmark]
    fn option_scan(n: Linear<0, { MAX_POSITIONS }>) {
        let view = T::BenchmarkHelper::options();
        let account = holder(&view, n, 0);
        let assessed;
        #[block]
        {
            assessed = T::Risk::assess(&account, &view);
        }
        assert!(assessed.is_ok());
    }

    #[benchmark]
    fn order_scan(n: Linear<0, { MAX_POSITIONS }>) {
        let view = T::BenchmarkHelper::options();
        let account = holder(&view, 1, n);
        let assessed;
        #[block]
        {
            assessed = T::Risk::assess(&account, &view);
        }
        assert!(assessed.is_ok());
    }

    #[cfg(test)]
    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
