//! The call, and the steps of which the close consists, each by itself. They run as tests too, without the feature.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use super::*;
use crate::{
    pages::{Shelf, PAGE},
    stress::OWNERS,
};
use frame_benchmarking::v2::*;
use frame_support::traits::Get;
use novate_risk::{apply_trade, deviation_ceil, exposures, stress_loss, Exposed, Volatility};
use novate_types::{
    math::{position_value_floor, shift_floor, ticks_nearest},
    AccountRef, Assessment, Cash, Contract, Direction, InstrumentKind, Ledger, LedgerError,
    MarginAccount, MarketId, MarketView, NewOrder, NewTrigger, OptionRight, OrderBook, OrderPrice,
    Ppm, Price, RiskAxis, RiskModel, SelfTradePrevention, Side, SignedLots, Standing, TimeInForce,
    Trigger, Triggers, MAX_HOLDINGS, MAX_OPEN_ORDERS, MAX_POSITIONS, MAX_TRIGGERS, MILLION,
    QUANTUMS,
};
use remedies::competition::COMPETITION_CLOSES;

/// The market that moves.
const MARKET: MarketId = 0;
/// Value of a position.
const VALUE: Cash = 10_000 * QUANTUMS;
/// Margin of an account beyond the maintenance margin fraction, in ppm of the value of its positions: at most.
const SPARE: Ppm = 40_000;
/// So many accounts have different margins, and stand in different buckets.
const DIFFERENT: u32 = 64;
/// Fall of [`MARKET`] that crosses the thresholds of such accounts, without one of them being below maintenance margin.
const FALL: Ppm = 40_000;
/// Fall of [`MARKET`] that leaves them less than nothing.
const CRASH: Ppm = 500_000;
/// Positions of a small account.
const FEW: u32 = crate::weights::SMALL_POSITIONS;
/// Accounts of one close: full ones, and small ones.
const FULL_ONES: u32 = 3;
const SMALL_ONES: u32 = 32;
/// Accounts, half of them on either side, beside which one is less than a tenth of a market.
const BYSTANDERS: usize = 24;
/// Accounts whose orders one close cancels.
const ORDERED: u32 = 2;
#[cfg(feature = "runtime-benchmarks")]
fn origin<T: Config>() -> Result<T::RuntimeOrigin, BenchmarkError> {
    use frame_support::traits::EnsureOrigin;
    T::GovernanceOrigin::try_successful_origin().map_err(|()| BenchmarkError::Weightless)
}

#[cfg(not(feature = "runtime-benchmarks"))]
fn origin<T: Config>() -> Result<T::RuntimeOrigin, BenchmarkError> {
    Ok(frame_system::RawOrigin::Root.into())
}

/// What `lots` are worth at the mark.
fn worth(market: &MarketView, lots: SignedLots) -> Cash {
    position_value_floor(lots, market.mark, market.lot_size).unwrap()
}

/// Positions of a full account.
fn positions(view: &RiskView) -> usize {
    view.markets.len().min(MAX_POSITIONS as usize)
}

/// How many times as large a full account's position in [`MARKET`] is as its others: so that a move brings every threshold
/// nearer.
fn large(view: &RiskView) -> SignedLots {
    (positions(view) as SignedLots / 4).max(1)
}

/// Lots of a usual position in [`MARKET`].
fn usual(market: &MarketView) -> SignedLots {
    SignedLots::try_from(VALUE / worth(market, 1)).unwrap()
}

/// Opens a full account: `large` usual positions in [`MARKET`], and its margin. Below zero, all of its positions are the other way
/// around.
fn open<T: Config>(number: u32, view: &RiskView, large: SignedLots, spare: Ppm) -> Of<T> {
    open_with::<T>(number, view, large, spare, positions(view))
}

/// Opens an account with so many positions.
fn open_with<T: Config>(
    number: u32,
    view: &RiskView,
    large: SignedLots,
    spare: Ppm,
    positions: usize,
) -> Of<T> {
    let of = T::BenchmarkHelper::account(number);
    T::Ledger::settle(&of, view, true, |account| {
        let most = positions.min(MAX_POSITIONS as usize);
        for (n, market) in view.markets.iter().take(most).enumerate() {
            let turn = if n % 2 == 0 { 1 } else { -1 };
            let times = if n == 0 { large } else { large.signum() * turn };
            let lots = times * usual(market);
            let value = worth(market, lots);
            apply_trade(account, market, lots, value)?;
            account.cash += value.abs() * Cash::from(market.mmf + spare) / Cash::from(MILLION);
        }
        account.triggers = triggers(view, MAX_TRIGGERS);
        Ok::<_, LedgerError>(())
    })
    .unwrap_or_else(|e| panic!("{e:?}"));
    of
}

/// So many triggers, each in a market of its own as far as there are markets. Nobody's index has them.
fn triggers(view: &RiskView, many: u32) -> Triggers {
    let all = view.markets.iter().cycle().zip(1..=many);
    let all = all.map(|(market, number)| Trigger {
        sequence: number.into(),
        tie: u64::MAX,
        terms: NewTrigger {
            order: NewOrder {
                market: market.id,
                client_id: number.into(),
                side: Side::Ask,
                lots: u64::MAX,
                price: OrderPrice::Limit(u64::MAX),
                time_in_force: TimeInForce::GoodTilBlock(u32::MAX),
                reduce_only: true,
                self_trade_prevention: SelfTradePrevention::CancelNewest,
            },
            direction: Direction::Down,
            ticks: u64::MAX,
            expires: Some(u32::MAX),
        },
    });
    Triggers::truncate_from(all.collect())
}

/// Leaves an account so many of its triggers.
fn keep_triggers<T: Config>(of: &Of<T>, many: u32) {
    T::Ledger::update(of, |account| {
        account.triggers.truncate(many as usize);
        Ok::<_, LedgerError>(())
    })
    .unwrap_or_else(|e| panic!("{e:?}"));
}

/// Opens accounts near their maintenance margin.
fn open_near<T: Config>(many: u32, view: &RiskView, positions: usize) {
    for number in 0..many {
        let spare = SPARE - SPARE / 3 * (number % DIFFERENT) / DIFFERENT;
        open_with::<T>(number, view, weight(view, positions), spare, positions);
    }
}

/// How many usual positions one in [`MARKET`] is worth.
fn weight(view: &RiskView, positions: usize) -> SignedLots {
    if positions > FEW as usize {
        large(view)
    } else {
        1
    }
}

/// So that a close may count as much as the constants allow.
fn press<T: Config>() {
    Allowance::<T>::put(u64::MAX);
}

/// The vault takes nothing over: the position of one account is closed against those of `accounts` others, which hold so many.
fn deleveraged<T: Config>(
    accounts: u32,
    most: u32,
    positions: usize,
) -> (RiskView, RiskView, Of<T>) {
    let view = T::BenchmarkHelper::view();
    press::<T>();
    let each = weight(&view, positions);
    for number in 1..=accounts {
        open_with::<T>(number, &view, -each, MILLION, positions);
    }
    let of = open_with::<T>(0, &view, each * SignedLots::from(most), SPARE, 1);
    keep_triggers::<T>(&of, 0);
    let now = fallen(&view, 2 * SPARE);
    (view, now, of)
}

/// Each of them closed as much as it held.
fn ensure_closed<T: Config>(
    of: &Of<T>,
    accounts: u32,
    most: u32,
    positions: usize,
    view: &RiskView,
) {
    let each = weight(view, positions) * usual(&view.markets[0]);
    let left = SignedLots::from(most - accounts) * each;
    assert_eq!(T::Ledger::account(of).unwrap().lots(MARKET), left);
}

/// Accounts of which one threshold is crossed; none is below maintenance margin, and all of their thresholds come nearer. With the
/// view in which they do, where each stands on the mark of [`MARKET`].
fn looked_at<T: Config>(accounts: u32, positions: usize) -> (RiskView, Vec<Option<u32>>) {
    let view = T::BenchmarkHelper::view();
    press::<T>();
    open_near::<T>(accounts, &view, positions);
    (fallen(&view, FALL), thresholds::<T>(accounts))
}

fn thresholds<T: Config>(accounts: u32) -> Vec<Option<u32>> {
    let slot = |n| slot_of::<T>(&T::BenchmarkHelper::account(n), RiskAxis::Mark(MARKET));
    (0..accounts).map(slot).collect()
}

fn ensure_nearer<T: Config>(before: &[Option<u32>]) {
    assert_eq!(Pallet::<T>::queued(), 0);
    let now = thresholds::<T>(before.len() as u32);
    assert!(now.iter().zip(before).all(|(now, before)| now != before));
}

/// Accounts with less than nothing, so many of them with all the orders there can be; the fund and the vault have enough.
fn bankrupt<T: Config>(accounts: u32, positions: usize, ordered: u32) -> (RiskView, RiskView) {
    let view = T::BenchmarkHelper::view();
    press::<T>();
    enrich::<T>(&T::Vault::get(), &view);
    enrich::<T>(&T::InsuranceFund::get(), &view);
    for number in 0..accounts {
        let large = weight(&view, positions);
        let of = open_with::<T>(number, &view, large, SPARE, positions);
        // What leaves with its liquidation is counted by itself.
        keep_triggers::<T>(&of, 0);
        if number < ordered {
            T::BenchmarkHelper::place(&of, MAX_OPEN_ORDERS);
        }
    }
    let now = fallen(&view, CRASH);
    (view, now)
}

/// An account in competition, of whom a part is missing that takes several lots of each position to bring back, and so many others with as
/// many positions who bid for all of it.
fn competing<T: Config>(takers: u32, positions: usize) -> (RiskView, RiskView) {
    let view = T::BenchmarkHelper::view();
    press::<T>();
    let each = weight(&view, positions);
    for number in 1..=takers {
        let of = open_with::<T>(number, &view, each, MILLION, positions);
        enrich::<T>(&of, &view);
    }
    for number in (takers + 1..).take(BYSTANDERS) {
        let each = if number % 2 == 0 { each } else { -each };
        open_with::<T>(number, &view, each, MILLION, positions);
    }
    let of = open_with::<T>(0, &view, each, SPARE, positions);
    T::Ledger::settle(&of, &view, false, |account| {
        let found = T::Risk::assess(account, &view)?;
        account.cash -= found.equity - found.maintenance / 10 * 7;
        account.triggers.truncate(0);
        account.standing = Standing::Competing {
            since: view.block,
            closes: COMPETITION_CLOSES / 2,
        };
        Ok::<_, LedgerError>(())
    })
    .unwrap_or_else(|e| panic!("{e:?}"));
    let bids = (1..=takers).map(|number| a_bid::<T>(T::BenchmarkHelper::account(number)));
    Bids::<T>::put(BoundedVec::truncate_from(bids.collect()));
    let now = fallen(&view, 0);
    (view, now)
}

/// A bid for all of the first account.
fn a_bid<T: Config>(taker: Of<T>) -> Bid<T::AccountId> {
    Bid {
        taker,
        account: T::BenchmarkHelper::account(0),
        fraction: MILLION,
        least_discount: 0,
        carries: 0,
        tie: [u8::MAX; 16],
        holdings: MAX_HOLDINGS,
        thresholds: 0,
    }
}

/// Each of them took a part.
fn ensure_sold<T: Config>(takers: u32, positions: usize, view: &RiskView) {
    let each = weight(view, positions) * usual(&view.markets[0]);
    let lots = |number| {
        let account = T::Ledger::account(&T::BenchmarkHelper::account(number));
        account.unwrap().lots(MARKET)
    };
    assert!((1..=takers).all(|number| lots(number) > each));
    let sold: SignedLots = (1..=takers).map(|number| lots(number) - each).sum();
    assert_eq!(lots(0), each - sold);
}

/// Both parts of a close, and what the book makes of orders that left.
fn close<T: Config>(view: &RiskView, now: &RiskView) {
    Pallet::<T>::on_marks(view, now);
    assert!(
        !Pallet::<T>::waterfall(&mut now.clone(), 0),
        "no loss is shared"
    );
    let _releases = T::Book::housekeep(now);
}

/// The vault holds what bankrupt accounts held.
fn ensure_taken<T: Config>(accounts: u32, positions: usize, view: &RiskView) {
    assert_eq!(Pallet::<T>::queued(), 0);
    let taken = T::Ledger::account(&T::Vault::get()).unwrap().lots(MARKET);
    let each = weight(view, positions) * usual(&view.markets[0]);
    assert_eq!(taken, SignedLots::from(accounts) * each);
}

/// What an investor brings.
const INVESTED: u128 = 1_000 * QUANTUMS.unsigned_abs();

/// The vault with as many positions as there can be, and cash enough.
fn a_full_vault<T: Config>() -> RiskView {
    let view = T::BenchmarkHelper::view();
    let of = T::Vault::get();
    enrich::<T>(&of, &view);
    T::Ledger::settle(&of, &view, true, |account| {
        for market in view.markets.iter().take(positions(&view)) {
            let lots = usual(market);
            apply_trade(account, market, lots, worth(market, lots))?;
        }
        Ok::<_, LedgerError>(())
    })
    .unwrap_or_else(|e| panic!("{e:?}"));
    view
}

/// An account of so many options, written and bought by turns.
fn a_book_of_options(view: &RiskView, many: u32) -> MarginAccount {
    let mut account = MarginAccount::default();
    for (at, market) in view.markets.iter().take(many as usize).enumerate() {
        let lots = if at % 2 == 0 { -1 } else { 1 };
        apply_trade(&mut account, market, lots, 0).unwrap();
    }
    account
}

/// An account of one option, written a month before its expiry, at the money.
fn a_written_option<T: Config>() -> (MarginAccount, RiskView) {
    let mut view = a_full_vault::<T>();
    let mut account = T::Ledger::account(&T::Vault::get()).unwrap();
    account.positions.truncate(1);
    account.positions[0].lots = -account.positions[0].lots;
    account.collateral.clear();
    let expiry = view.now + 30 * 86_400_000;
    let market = view.market_mut(account.positions[0].market).unwrap();
    let kind = InstrumentKind::Option {
        expiry,
        strike: ticks_nearest(market.index, market.tick_size).unwrap(),
        right: OptionRight::Call,
    };
    // 60 % a year.
    market.contract = Contract {
        variance: 29_589_041_096,
        ..kind.into()
    };
    (account, view)
}

/// Goes to the first block of the next epoch. The view as it would be there.
fn next_epoch<T: Config>(view: &RiskView) -> RiskView {
    use sp_runtime::SaturatedConversion;
    let now: u32 = frame_system::Pallet::<T>::block_number().saturated_into();
    let block = (Pallet::<T>::share_epoch(now) + 1) * T::EpochLength::get();
    frame_system::Pallet::<T>::set_block_number(block.saturated_into());
    RiskView {
        block,
        ..view.clone()
    }
}

/// So many investors with a request to buy shares each.
fn entering<T: Config>(many: u32) -> Vec<T::AccountId> {
    let owner = |number| T::BenchmarkHelper::account(number).owner;
    let all: Vec<_> = (0..many).map(owner).collect();
    for owner in &all {
        T::BenchmarkHelper::fill_wallet(owner, 2 * INVESTED);
        let wish = ShareWish::Enter(INVESTED as Cash);
        Pallet::<T>::ask_for_shares(owner.clone(), wish).unwrap();
    }
    all
}

/// So many investors whose shares are no longer locked. The view of the block.
fn invested<T: Config>(many: u32) -> (RiskView, Vec<T::AccountId>) {
    let view = a_full_vault::<T>();
    let owners = entering::<T>(many);
    let view = next_epoch::<T>(&view);
    Pallet::<T>::work_on_shares(&view);
    for owner in &owners {
        ShareHoldings::<T>::mutate(owner, |holding| holding.unlocks = 0);
        assert!(ShareHoldings::<T>::get(owner).shares > 0);
    }
    (view, owners)
}

type Of<T> = AccountRef<<T as frame_system::Config>::AccountId>;

/// The next view: [`MARKET`] fell by `ppm`.
fn fallen(view: &RiskView, ppm: Ppm) -> RiskView {
    let mut now = view.clone();
    now.block += 1;
    let market = now.markets.iter_mut().find(|m| m.id == MARKET).unwrap();
    let left = u128::from(MILLION - ppm);
    market.mark = Price::from_inner(market.mark.into_inner() / u128::from(MILLION) * left);
    now
}

/// Gives an account cash for anything.
fn enrich<T: Config>(of: &Of<T>, view: &RiskView) {
    T::Ledger::settle(of, view, true, |account| {
        account.cash += 1_000_000_000 * QUANTUMS;
        Ok::<_, LedgerError>(())
    })
    .unwrap_or_else(|e| panic!("{e:?}"));
}

fn slot_of<T: Config>(of: &Of<T>, axis: RiskAxis) -> Option<u32> {
    let account = T::Ledger::account(of).unwrap();
    account
        .risk
        .iter()
        .find(|s| s.axis == axis)
        .map(|s| s.bucket)
}

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn loss_cap() -> Result<(), BenchmarkError> {
        let origin = origin::<T>()?;
        T::BenchmarkHelper::view();
        Pallet::<T>::schedule_loss_cap(
            origin.clone() as T::RuntimeOrigin,
            MARKET,
            T::DefaultLossCap::get() + 1,
        )?;
        // It withdraws a change as well: the dearest of the three.
        #[extrinsic_call]
        lower_loss_cap(origin as T::RuntimeOrigin, MARKET, QUANTUMS);
        assert_eq!(Pallet::<T>::loss_cap(MARKET, 1), QUANTUMS);
        Ok(())
    }

    /// With accounts, none of which is near.
    #[benchmark]
    fn idle() -> Result<(), BenchmarkError> {
        let view = T::BenchmarkHelper::view();
        open::<T>(0, &view, large(&view), MILLION);
        open::<T>(1, &view, -large(&view), MILLION);
        #[block]
        {
            Pallet::<T>::on_marks(&view, &view);
            assert!(!Pallet::<T>::waterfall(&mut view.clone(), 0));
        }
        assert_eq!(Pallet::<T>::queued(), 0);
        Ok(())
    }

    /// Entries that are crossed and live no longer.
    #[benchmark]
    fn pop(n: Linear<0, { T::Calm::get().pops }>) {
        let view = T::BenchmarkHelper::view();
        press::<T>();
        open_near::<T>(n, &view, positions(&view));
        for number in 0..n {
            T::Ledger::update(&T::BenchmarkHelper::account(number), |account| {
                account.risk.iter_mut().for_each(|slot| slot.generation = 0);
                Ok::<_, LedgerError>(())
            })
            .unwrap_or_else(|e| panic!("{e:?}"));
        }
        let now = fallen(&view, FALL);
        #[block]
        {
            Pallet::<T>::pop_crossed(&now, &mut Pallet::<T>::meter());
        }
        let shelf = Shelf::Threshold(RiskAxis::Mark(MARKET), Direction::Down);
        assert_eq!(RiskDirectory::<T>::get(shelf).buckets().count(), 0);
    }

    #[benchmark]
    fn look(n: Linear<0, { FULL_ONES }>) {
        let (now, thresholds) = looked_at::<T>(n, usize::MAX);
        #[block]
        {
            Pallet::<T>::pop_crossed(&now, &mut Pallet::<T>::meter());
        }
        ensure_nearer::<T>(&thresholds);
    }

    #[benchmark]
    fn small_look(n: Linear<0, { SMALL_ONES }>) {
        let (now, thresholds) = looked_at::<T>(n, FEW as usize);
        #[block]
        {
            Pallet::<T>::pop_crossed(&now, &mut Pallet::<T>::meter());
        }
        ensure_nearer::<T>(&thresholds);
    }

    /// The fund pays and the vault takes over.
    #[benchmark]
    fn liquidate(n: Linear<0, { FULL_ONES }>) {
        let (view, now) = bankrupt::<T>(n, usize::MAX, 0);
        #[block]
        {
            close::<T>(&view, &now);
        }
        ensure_taken::<T>(n, usize::MAX, &view);
    }

    #[benchmark]
    fn small_liquidate(n: Linear<0, { SMALL_ONES }>) {
        let (view, now) = bankrupt::<T>(n, FEW as usize, 0);
        #[block]
        {
            close::<T>(&view, &now);
        }
        ensure_taken::<T>(n, FEW as usize, &view);
    }

    /// As many orders as one close cancels.
    #[benchmark]
    fn cancel() {
        let (view, now) = bankrupt::<T>(ORDERED, FEW as usize, ORDERED);
        #[block]
        {
            close::<T>(&view, &now);
        }
        ensure_taken::<T>(ORDERED, FEW as usize, &view);
        let of = T::BenchmarkHelper::account(0);
        assert!(T::Book::open_orders(&of).is_empty());
    }

    /// Triggers of one account. It is small: its remedies begin, and go no further.
    #[benchmark]
    fn left_behind(n: Linear<0, { MAX_TRIGGERS }>) {
        let (_, now) = bankrupt::<T>(1, FEW as usize, 0);
        let of = T::BenchmarkHelper::account(0);
        T::Ledger::update(&of, |account| {
            account.triggers = triggers(&now, n);
            Ok::<_, LedgerError>(())
        })
        .unwrap_or_else(|e| panic!("{e:?}"));
        let found = T::Risk::assess(&T::Ledger::account(&of).unwrap(), &now).unwrap();
        let left;
        #[block]
        {
            left = Pallet::<T>::start(&of, &now, &found);
        }
        assert_eq!(left, Ok(n));
        assert!(T::Ledger::account(&of).unwrap().triggers.is_empty());
    }

    #[benchmark]
    fn deleverage(n: Linear<0, { FULL_ONES }>) {
        let (view, now, of) = deleveraged::<T>(n, FULL_ONES, usize::MAX);
        #[block]
        {
            close::<T>(&view, &now);
        }
        ensure_closed::<T>(&of, n, FULL_ONES, usize::MAX, &view);
    }

    #[benchmark]
    fn small_deleverage(n: Linear<0, { SMALL_ONES }>) {
        let (view, now, of) = deleveraged::<T>(n, SMALL_ONES, FEW as usize);
        #[block]
        {
            close::<T>(&view, &now);
        }
        ensure_closed::<T>(&of, n, SMALL_ONES, FEW as usize, &view);
    }

    #[benchmark]
    fn rank(n: Linear<0, { T::Calm::get().ranks.min(PAGE) }>) {
        let view = T::BenchmarkHelper::view();
        (0..n.max(1)).for_each(|number| {
            open::<T>(number, &view, large(&view), SPARE);
        });
        let shelf = Shelf::Rank(MARKET, Side::Bid);
        let first = T::Ledger::account(&T::BenchmarkHelper::account(0)).unwrap();
        let bucket = u32::from(first.positions[0].rank.bucket);
        let mut live = 0;
        #[block]
        {
            for entry in Pallet::<T>::take(shelf, bucket, n) {
                live += u32::from(Pallet::<T>::is_live(shelf, bucket, &entry));
                Pallet::<T>::append(shelf, bucket, entry).unwrap();
            }
        }
        assert_eq!(live, n);
    }

    /// A bid that takes another's place, as its block has as many as it takes.
    #[benchmark]
    fn bid() {
        competing::<T>(1, usize::MAX);
        let others = (1..=T::MaxBids::get()).map(|number| Bid {
            account: T::BenchmarkHelper::account(number),
            ..a_bid::<T>(T::BenchmarkHelper::account(0))
        });
        Bids::<T>::put(BoundedVec::truncate_from(others.collect()));
        let Bid {
            taker,
            account,
            fraction,
            least_discount,
            ..
        } = a_bid::<T>(T::BenchmarkHelper::account(1));
        let origin = frame_system::RawOrigin::Signed(taker.owner);
        #[extrinsic_call]
        _(origin, taker.sub, account, fraction, least_discount);
        let bids = Bids::<T>::get();
        assert_eq!(bids.len(), T::MaxBids::get() as usize);
        assert!(bids.last().is_some_and(|last| last.carries > 0));
    }

    #[benchmark]
    fn fill_bid(n: Linear<0, { FULL_ONES }>) {
        let (view, now) = competing::<T>(n, usize::MAX);
        #[block]
        {
            close::<T>(&view, &now);
        }
        ensure_sold::<T>(n, usize::MAX, &view);
    }

    #[benchmark]
    fn small_fill_bid(n: Linear<0, { T::MaxBidsPerAccount::get() }>) {
        let (view, now) = competing::<T>(n, FEW as usize);
        #[block]
        {
            close::<T>(&view, &now);
        }
        ensure_sold::<T>(n, FEW as usize, &view);
    }

    #[benchmark]
    fn vault_deposit() {
        a_full_vault::<T>();
        let owner = T::BenchmarkHelper::account(0).owner;
        T::BenchmarkHelper::fill_wallet(&owner, 2 * INVESTED);
        #[extrinsic_call]
        _(frame_system::RawOrigin::Signed(owner.clone()), INVESTED);
        assert_eq!(ShareHoldings::<T>::get(&owner).waiting, 1);
    }

    #[benchmark]
    fn vault_withdraw() {
        let (_, owners) = invested::<T>(1);
        let shares = ShareHoldings::<T>::get(&owners[0]).shares;
        #[extrinsic_call]
        _(frame_system::RawOrigin::Signed(owners[0].clone()), shares);
        assert_eq!(ShareHoldings::<T>::get(&owners[0]).shares, 0);
    }

    /// With one request to buy, which is executed too.
    #[benchmark]
    fn settle_shares() {
        let view = a_full_vault::<T>();
        let owners = entering::<T>(1);
        let view = next_epoch::<T>(&view);
        #[block]
        {
            Pallet::<T>::work_on_shares(&view);
        }
        assert!(ShareHoldings::<T>::get(&owners[0]).shares > 0);
    }

    /// Requests to sell: wallets are paid.
    #[benchmark]
    fn execute_share_request(n: Linear<0, { T::MaxShareRequests::get() }>) {
        let (view, owners) = invested::<T>(n);
        for owner in &owners {
            let shares = ShareHoldings::<T>::get(owner).shares;
            Pallet::<T>::ask_for_shares(owner.clone(), ShareWish::Leave(shares)).unwrap();
        }
        let view = next_epoch::<T>(&view);
        #[block]
        {
            Pallet::<T>::work_on_shares(&view);
        }
        let gone = |owner| !ShareHoldings::<T>::contains_key(owner);
        assert!(owners.iter().all(gone));
    }

    /// Every market has an underlying of its own, with history enough; margins follow all of them.
    #[benchmark]
    fn sample() {
        let view = T::BenchmarkHelper::view();
        let mut now = view.clone();
        now.now += T::StressInterval::get();
        let params = T::Volatility::get();
        let mut known = Volatility::default();
        for turn in 0..=i64::from(params.seed) {
            let price = shift_floor(now.markets[0].mark, turn % 2 * 30_000).unwrap();
            known = known.after(price, &params).unwrap();
        }
        let (mut all, mut state) = (Vec::new(), SweepState::at(now.block));
        for (feed, market) in (0..).zip(now.markets.iter_mut()) {
            (market.underlying, market.fresh, market.index) = (feed, true, market.mark);
            all.push((feed, view.now, known));
            state.deviations.try_push((feed, MILLION / 20)).unwrap();
        }
        Volatilities::<T>::put(BoundedVec::truncate_from(all));
        #[block]
        {
            Pallet::<T>::sample(&view, &now, &mut state);
        }
        let sampled = Volatilities::<T>::get();
        let sampled = sampled.iter().filter(|(_, at, _)| *at == now.now);
        assert_eq!(sampled.count(), 1);
    }

    /// Every market with a loss in every move.
    #[benchmark]
    fn publish() {
        let view = a_full_vault::<T>();
        let params = T::Stress::get();
        let exposed = |market: &MarketView, value| Exposed {
            underlying: market.underlying,
            positions: alloc::vec![(market.id, value)],
            options: Vec::new(),
            collateral: 0,
            margin: 0,
        };
        let mut sums = StressSums::default();
        for market in &view.markets {
            // Longs lose by a fall, shorts by a rise.
            for value in [VALUE, -VALUE] {
                let exposed = [exposed(market, value)];
                for number in 0..OWNERS {
                    let owner = T::BenchmarkHelper::account(number).owner;
                    let added = sums.add(&owner, &exposed, -VALUE, &params.moves, &view.markets);
                    added.unwrap();
                }
            }
        }
        assert_eq!(sums.markets.len(), view.markets.len());
        #[block]
        {
            Pallet::<T>::publish(sums, view.block, &view);
        }
        assert!(Stress::<T>::get().unwrap().default_fund > 0);
    }

    /// Every move prices it again.
    #[benchmark]
    fn option_at_stake() {
        let (account, view) = a_written_option::<T>();
        let params = T::Stress::get();
        let (mut exposed, mut lost) = (Vec::new(), 0);
        #[block]
        {
            exposed.extend(exposures(&account, &view, T::PortfolioRules::get).unwrap());
            for by in params.moves {
                lost = stress_loss(&exposed, 0, by).unwrap().over_margin.max(lost);
            }
            let by_parts = Assessment::default();
            deviation_ceil(
                &account,
                &view,
                &by_parts,
                &exposed,
                T::PortfolioRules::get,
                |_| Some(50_000),
            )
            .unwrap();
        }
        assert_eq!(exposed[0].options.len(), 1);
        assert!(lost > 0);
    }

    /// An account of options alone that a scan margins, assessed again for a forecast deviation.
    #[benchmark]
    fn scan_at_stake(n: Linear<0, { MAX_POSITIONS }>) {
        let view = T::BenchmarkHelper::options();
        let account = a_book_of_options(&view, n);
        let by_scan = Assessment {
            scanned: u32::MAX,
            ..Assessment::default()
        };
        let exposed = exposures(&account, &view, T::PortfolioRules::get).unwrap();
        let deviation;
        #[block]
        {
            deviation = deviation_ceil(
                &account,
                &view,
                &by_scan,
                &exposed,
                T::PortfolioRules::get,
                |_| Some(50_000),
            );
        }
        assert_eq!(deviation.unwrap().is_some(), n > 0);
    }

    /// An account of options alone, assessed once.
    #[benchmark]
    fn option_scan(n: Linear<0, { MAX_POSITIONS }>) {
        let view = T::BenchmarkHelper::options();
        let account = a_book_of_options(&view, n);
        let assessed;
        #[block]
        {
            assessed = T::Risk::assess_held(&account, &view);
        }
        assert!(assessed.is_ok());
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
