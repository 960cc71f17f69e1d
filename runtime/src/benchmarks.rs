//! Which pallets are measured, and the exchange that they are measured in: as many markets as there can be, all of them trading,
//! and accounts that hold as many positions and collaterals as one can.

use crate::{
    configs::exchange::{USDC, USDC_FEED, USDT_FEED},
    AccountId, Assets, Clearing, Instruments, Liquidation, Margin, Oracle, OrderBook, Runtime,
    RuntimeOrigin, System, Timestamp,
};
use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use frame_benchmarking::{
    account, add_benchmark, list_benchmark, BenchmarkBatch, BenchmarkConfig, BenchmarkList,
};
use frame_support::{
    traits::{
        fungibles::Mutate, PostTransactions, StorageInfo, StorageInfoTrait, WhitelistedStorageKeys,
    },
    BoundedBTreeMap, BoundedVec,
};
use novate_risk::{apply_trade, collateral_value, portfolio::rows};
use novate_types::{
    math, AccountRef, Cash, Contract, CurrentView, FeedId, FeedPrice, InstrumentKind, Ledger,
    LedgerError, MarketId, MarketView, MatchLimits, Millis, NewOrder, Operation, OptionRight,
    OrderAggregate, OrderBook as Book, OrderPrice, Price, RestedQuotes, RiskView,
    SelfTradePrevention, Side, SignedLots, Symbol, Ticks, TimeInForce, MAX_COLLATERALS,
    MAX_MARKETS, MAX_OPEN_ORDERS, MAX_POSITIONS, QUANTUMS,
};
use pallet_clearing::{MarketState, Phase, PremiumHistory, PremiumMinute, States};
use pallet_instruments::Instruments as Listed;
use serde_json::Value;
use sp_storage::TrackedStorageKey;

/// Names each measured pallet once.
macro_rules! each_pallet {
    ($act:ident, $first:ident, $second:ident) => {
        $act!($first, $second, pallet_instruments, Instruments);
        $act!($first, $second, pallet_price_oracle, Oracle);
        $act!($first, $second, pallet_margin, Margin);
        $act!($first, $second, pallet_order_book, OrderBook);
        $act!($first, $second, pallet_clearing, Clearing);
        $act!($first, $second, pallet_liquidation, Liquidation);
    };
}

/// What there is to measure.
pub fn metadata(extra: bool) -> (Vec<BenchmarkList>, Vec<StorageInfo>) {
    let mut list = Vec::new();
    each_pallet!(list_benchmark, list, extra);
    (list, crate::AllPalletsWithSystem::storage_info())
}

/// Measures one.
pub fn dispatch(config: BenchmarkConfig) -> Result<Vec<BenchmarkBatch>, String> {
    // What every block reads and writes is counted in the block's own weight.
    let whitelist: Vec<TrackedStorageKey> = crate::AllPalletsWithSystem::whitelisted_storage_keys();
    let mut batches = Vec::new();
    let params = (&config, &whitelist);
    each_pallet!(add_benchmark, params, batches);
    Ok(batches)
}

/// USD that an underlying costs.
const PRICE: u32 = 20_000;
/// Lots of one position: worth 100,000 USD.
const LOTS: SignedLots = 50_000;
/// Lots of an order that fills: enough to move thresholds on all axes to nearer buckets.
const TRADED: u64 = 50_000;
/// Lots of an order that does not.
const FEW_LOTS: u64 = 10;
/// Cash of an account, as a divisor of the value of all its positions: low enough for thresholds on every axis, high enough for
/// the benchmarks' orders.
const CASH_DIVISOR: Cash = 2;
/// The margins of accounts that are to differ in their buckets do so by one part in so many.
const MARGINS: Cash = 100;
/// Ticks between orders of different tick groups, and how many such groups lie within the price band on one side.
const APART: u64 = 32;
const WITHIN_BAND: u64 = 36;
/// What an account may owe, and the liquidity pot lends.
const ACCOUNT_CAP: Cash = 1_000_000 * QUANTUMS;
/// Milliseconds of a minute of funding.
const MINUTE: Millis = 60_000;
/// Milliseconds of a day.
const DAY: Millis = 86_400_000;

/// A genesis with everything listed: every market but one, so that another can be, a feed of each two of them, and collaterals.
pub fn genesis(mut patch: Value) -> Value {
    let repeat = |list: &mut Value, from: usize, to: u32, change: &dyn Fn(&mut Value, u32)| {
        let list = list.as_array_mut().expect("a list");
        let model = list.last().expect("of at least one").clone();
        for n in from as u32..to {
            let mut next = model.clone();
            change(&mut next, n);
            list.push(next);
        }
    };
    repeat(
        &mut patch["instruments"]["markets"],
        1,
        MAX_MARKETS - 1,
        &|market, n| {
            market["symbol"] = format!("MARKET-{n:02}").into_bytes().into();
            market["underlying"] = underlying(n).into();
        },
    );
    repeat(
        &mut patch["oracle"]["feeds"],
        3,
        pallet_price_oracle::MAX_FEEDS,
        &|feed, n| {
            feed[0] = n.into();
        },
    );
    let most = pallet_margin::MAX_COLLATERAL_ASSETS;
    repeat(
        &mut patch["margin"]["collaterals"],
        2,
        most,
        &|collateral, n| {
            collateral[0] = (1_000 + n).into();
        },
    );
    patch
}

/// Feed of a market: none of a stablecoin.
fn underlying(market: u32) -> u32 {
    match market / 2 {
        feed if feed == u32::from(USDC_FEED) || feed == u32::from(USDT_FEED) => 0,
        feed => feed,
    }
}

/// The exchange for benchmarks of pallets that need more of it than their own storage.
pub struct Helper;

impl Helper {
    /// As many markets as there can be, all with a price and trading, and the view of a close that has just seen them. The same at
    /// every call.
    fn stage() -> RiskView {
        let view = Clearing::view();
        if view.markets.len() == MAX_MARKETS as usize {
            return view;
        }
        let last = MAX_MARKETS as MarketId - 1;
        let mut market = Listed::<Runtime>::get(last - 1).expect("the genesis lists it");
        market.symbol = Symbol::try_from(b"LAST".to_vec()).expect("it fits");
        Listed::<Runtime>::insert(last, market);
        set_prices();
        let running = |id| MarketState {
            id,
            phase: Phase::Running,
            price: Phase::Running,
            ..Default::default()
        };
        let states: Vec<_> = (0..=last).map(running).collect();
        States::<Runtime>::put(BoundedVec::truncate_from(states));
        Clearing::post_transactions();
        System::reset_events();
        let view = Clearing::view();
        assert_eq!(view.markets.len(), MAX_MARKETS as usize);
        assert!(view
            .markets
            .iter()
            .all(|m| m.fresh && m.status.allows_risk()));
        view
    }

    /// The stage with an option of one underlying in each market that an account can hold something in, an expiry each, priced under all
    /// scenarios as a close does.
    fn options() -> RiskView {
        let mut view = Self::stage();
        let (now, first) = (view.now, view.market(0).expect("it is listed").clone());
        let at_the_money = math::ticks_nearest(first.index, first.tick_size).expect("a price");
        let markets = view.markets.iter_mut().zip(1..=MAX_POSITIONS);
        for (market, days) in markets {
            let right = [OptionRight::Call, OptionRight::Put][days as usize % 2];
            let kind = InstrumentKind::Option {
                expiry: now + DAY * Millis::from(days),
                strike: at_the_money + Ticks::from(days),
                right,
            };
            // About 60 % a year.
            market.contract = Contract {
                variance: 1_000_000_000 * u64::from(days),
                ..kind.into()
            };
            (market.underlying, market.index) = (first.underlying, first.index);
            (market.tick_size, market.lot_size) = (first.tick_size, first.lot_size);
            let left = market.contract.expiry - now;
            let moved = novate_risk::moved_option(market, right, left, 0).expect("a price");
            market.mark = moved.mark;
        }
        let priced = rows(&view, &pallet_clearing::PortfolioRules::<Runtime>::get());
        assert_eq!(priced.len(), MAX_POSITIONS as usize);
        for (of, rows) in priced {
            pallet_clearing::Scenarios::<Runtime>::insert(of, rows);
        }
        view
    }

    /// Opens a full account.
    fn open(of: &AccountRef<AccountId>, view: &RiskView) {
        Self::open_with(of, view, MAX_POSITIONS, MAX_COLLATERALS, 0);
    }

    /// Opens an account: positions in the first markets, long and short by turns of underlyings beginning with long ones, so that none
    /// offsets another (what scans take is measured by itself), orders noted in all of them but the first, collaterals, and an entry of the threshold index on every axis of these. Its owner's wallet and its cash are as
    /// well there. With another `number` its thresholds are in other buckets.
    fn open_with(
        of: &AccountRef<AccountId>,
        view: &RiskView,
        positions: u32,
        collaterals: u32,
        number: u32,
    ) {
        let deposit = 1_000_000_000;
        Assets::mint_into(USDC, &of.owner, 2 * deposit).expect("the asset exists");
        Margin::deposit(
            RuntimeOrigin::signed(of.owner.clone()),
            of.sub,
            USDC,
            deposit,
        )
        .expect("it is there");
        Margin::settle(of, view, true, |account| {
            for (n, market) in view.markets.iter().take(positions as usize).enumerate() {
                let is_long = underlying(u32::from(market.id)) % 2 == 0;
                let lots = if is_long { LOTS } else { -LOTS };
                let value = math::position_value_floor(lots, market.mark, market.lot_size)?;
                apply_trade(account, market, lots, value)?;
                let margin = value.abs() / CASH_DIVISOR;
                account.cash += margin + margin / MARGINS * Cash::from(number);
                if n > 0 {
                    let orders = OrderAggregate {
                        market: market.id,
                        bid_lots: 1,
                        ask_lots: 1,
                        reserve: 1,
                    };
                    account
                        .orders
                        .try_push(orders)
                        .expect("as many as positions");
                }
            }
            for collateral in view.collaterals.iter().take(collaterals as usize) {
                let held = (collateral.asset, 1_000_000);
                account
                    .collateral
                    .try_push(held)
                    .expect("as many as there can be");
            }
            Ok::<_, LedgerError>(())
        })
        .expect("the view has its markets");
    }

    /// The account owes a quantum, and instead of cash holds more of its first collateral, for as much.
    fn owe(of: &AccountRef<AccountId>, view: &RiskView) {
        Margin::settle(of, view, false, |account| {
            let (asset, held) = account.collateral.iter_mut().next().expect("it holds some");
            let value = collateral_value(view.collateral(*asset)?, *held)?.max(1);
            *held *= (account.cash / value).unsigned_abs() + 1;
            account.cash = -1;
            Ok::<_, LedgerError>(())
        })
        .expect("the view has its markets");
    }

    /// The first market, and its mark.
    fn first(view: &RiskView) -> (&MarketView, u64) {
        let market = view.market(0).expect("it is listed");
        let mark = math::ticks_nearest(market.mark, market.tick_size).expect("a price");
        (market, mark)
    }

    /// Brings new orders that do not cross to rest.
    fn rest(market: &MarketView) {
        let mut loaded = OrderBook::load(market, Vec::new()).expect("there are orders");
        <OrderBook as Book<_>>::run(&mut loaded, &MatchLimits::first(0));
        for release in <OrderBook as Book<_>>::commit(loaded) {
            Margin::update(&release.account, |account| {
                novate_risk::take_release(account, &release).map_err(LedgerError::from)
            })
            .expect("its orders were in the book");
        }
    }

    /// An open account places orders of the first market.
    fn order(of: &AccountRef<AccountId>, orders: impl Iterator<Item = NewOrder>) {
        let placed: Vec<_> = orders.map(Operation::Place).collect();
        let placed = OrderBook::execute(of, &placed).expect("it is open");
        assert!(placed.iter().all(Result::is_ok), "{placed:?}");
    }

    /// Gives an account that has orders as many more, in another market, as there can be.
    fn crowd(of: &AccountRef<AccountId>) {
        OrderBook::change_orders(of, |orders| {
            let model = *orders.open.first().expect("it was placed");
            for n in orders.open.len() as u32..MAX_OPEN_ORDERS {
                let mut other = model;
                other.market = 1;
                other.sequence += u64::from(n);
                other.client_id = u64::from(n);
                other.place = pallet_order_book::Place::Page(0);
                orders
                    .open
                    .try_push(other)
                    .expect("as many as there can be");
            }
        });
    }
}

fn new_order(client_id: u64, side: Side, ticks: u64, lots: u64) -> NewOrder {
    NewOrder {
        market: 0,
        client_id,
        side,
        lots,
        price: OrderPrice::Limit(ticks),
        time_in_force: TimeInForce::GoodTilCancelled,
        reduce_only: false,
        self_trade_prevention: SelfTradePrevention::CancelNewest,
    }
}

/// A price of every feed, as observed now.
fn set_prices() {
    let feeds = 0..pallet_price_oracle::MAX_FEEDS as FeedId;
    let priced = feeds.map(|feed| {
        let usd = if feed == USDC_FEED || feed == USDT_FEED {
            1
        } else {
            PRICE
        };
        let price = FeedPrice {
            price: Price::from_u32(usd),
            confidence: Price::from_inner(1_000_000),
            observed_at: Timestamp::get(),
            block: System::block_number(),
        };
        (feed, price)
    });
    let priced: BTreeMap<_, _> = priced.collect();
    pallet_price_oracle::Prices::<Runtime>::put(
        BoundedBTreeMap::try_from(priced).expect("as many feeds as there can be"),
    );
}

impl pallet_order_book::BenchmarkHelper<AccountId> for Helper {
    fn options() -> RiskView {
        Self::options()
    }
    fn market() -> MarketView {
        let view = Self::stage();
        view.market(0).expect("the first market is listed").clone()
    }
    fn fund(account: &AccountRef<AccountId>) {
        Self::open(account, &Self::stage());
    }
}

impl pallet_clearing::BenchmarkHelper<AccountId> for Helper {
    fn options() -> RiskView {
        Self::options()
    }
    fn fund(account: &AccountRef<AccountId>) {
        Self::open(account, &Self::stage());
    }

    fn list(markets: u32) {
        let view = Self::stage();
        let is_left = |id: MarketId| u32::from(id) < markets;
        for market in view.markets.iter().filter(|m| !is_left(m.id)) {
            Listed::<Runtime>::remove(market.id);
        }
        pallet_clearing::View::<Runtime>::mutate(|view| view.markets.retain(|m| is_left(m.id)));
        States::<Runtime>::mutate(|states| states.retain(|s| is_left(s.id)));
        // Every minute of the premium's hour ends, and every book is quoted.
        let minute = (Timestamp::get() / MINUTE) as u32;
        for market in view.markets.iter().filter(|m| is_left(m.id)) {
            let past: Vec<_> = (minute - pallet_clearing::funding::PAST_MINUTES..minute)
                .map(|minute| PremiumMinute {
                    minute,
                    sum: i128::from(MINUTE),
                })
                .collect();
            PremiumHistory::<Runtime>::insert(market.id, BoundedVec::truncate_from(past));
            let ticks = math::ticks_nearest(market.mark, market.tick_size).expect("a price");
            let quotes = RestedQuotes {
                bid: Some(ticks - 1),
                ask: Some(ticks + 1),
                impact_bid: Some(market.mark),
                impact_ask: Some(market.mark),
            };
            let quotes = pallet_order_book::Quotes {
                at: 0,
                seasoned: quotes,
                standing: quotes,
            };
            pallet_order_book::RestedQuotes::<Runtime>::insert(market.id, quotes);
        }
        pallet_timestamp::Now::<Runtime>::mutate(|now| *now += MINUTE);
        set_prices();
    }

    fn cross(makers: u32, orders: u32, positions: u32) -> RiskView {
        let mut view = Self::stage();
        view.loans.account_cap = ACCOUNT_CAP;
        let (market, mark) = Self::first(&view);
        let market = &market.clone();
        let at = |n: u32| mark - 1 - APART * (u64::from(n) % WITHIN_BAND);
        let lots = if orders == 1 { TRADED } else { FEW_LOTS };
        let is_full = positions == MAX_POSITIONS;
        for n in 0..makers {
            let maker = AccountRef::new(account("maker", n, 0), 0);
            let collaterals = if is_full { MAX_COLLATERALS } else { 0 };
            Self::open_with(&maker, &view, positions, collaterals, n);
            if is_full {
                Self::owe(&maker, &view);
            }
            // Its execution moves every threshold nearer.
            let bid = |m| new_order(u64::from(m), Side::Bid, at(n * orders + m), lots);
            if orders > 0 {
                Self::order(&maker, (0..orders).map(bid));
            }
            if orders > 1 || is_full && orders > 0 {
                Self::crowd(&maker);
            }
        }
        if makers * orders > 0 {
            Self::rest(market);
        }
        if is_full {
            // A quantum of interest is due of each.
            pallet_margin::Lending::<Runtime>::mutate(|book| {
                book.index = 1;
                book.accrued = makers.into();
            });
            view.loans.index = 1;
        }
        let taker = AccountRef::new(account("taker", 0, 0), 0);
        Self::open(&taker, &view);
        let all = u64::from(makers * orders).max(1) * lots;
        let ask = new_order(0, Side::Ask, mark - 1 - APART * WITHIN_BAND, all);
        Self::order(&taker, core::iter::once(ask));
        Self::crowd(&taker);
        view
    }

    fn lend(of: &AccountRef<AccountId>) -> RiskView {
        use novate_types::{LoanParams, LoanView, Loans, Pot, INTEREST_FRACTION_BITS, MILLION};
        let mut view = Self::stage();
        let (lent, reserve) = (ACCOUNT_CAP, 2 * QUANTUMS);
        let params = LoanParams {
            utilisation_cap: MILLION,
            account_cap: lent,
            kink: 800_000,
            slope: 100_000,
            ..LoanParams::default()
        };
        pallet_margin::Lending::<Runtime>::mutate(|book| {
            book.params = params;
            book.reserve = reserve.unsigned_abs() << INTEREST_FRACTION_BITS;
        });
        Margin::credit_pot(Pot::Loans, reserve).expect("it is empty");
        let supplier = AccountId::from([42; 32]);
        <Margin as Loans<AccountId>>::supply(&supplier, lent).expect("the amount buys shares");
        let counted = (lent + reserve).unsigned_abs();
        Assets::mint_into(USDC, &Margin::custody_account(), counted).expect("the asset exists");
        pallet_margin::Custody::<Runtime>::mutate(USDC, |held| *held += counted);
        view.loans = LoanView {
            index: 1,
            account_cap: lent,
            is_short: false,
        };
        // All of the account's cash is collateral instead, and a little of it owed already.
        Self::open(of, &view);
        Margin::settle(of, &view, false, |account| {
            let (_, held) = account.collateral.iter_mut().next().expect("it holds some");
            *held *= 1_000_000;
            account.cash = -1;
            Ok::<_, LedgerError>(())
        })
        .expect("the view has its markets");
        view
    }
}

impl pallet_liquidation::BenchmarkHelper<AccountId> for Helper {
    fn options() -> RiskView {
        Self::options()
    }
    fn view() -> RiskView {
        Self::stage()
    }
    fn account(number: u32) -> AccountRef<AccountId> {
        AccountRef::new(account("trader", number, 0), 0)
    }
    fn fill_wallet(owner: &AccountId, amount: u128) {
        Assets::mint_into(USDC, owner, amount).expect("the asset exists");
    }

    fn place(of: &AccountRef<AccountId>, orders: u32) {
        let view = Self::stage();
        let (market, mark) = Self::first(&view);
        let bid = |n: u64| new_order(n, Side::Bid, mark - 2_000 - APART * n, FEW_LOTS);
        Self::order(of, (0..orders.into()).map(bid));
        Self::rest(market);
    }
}
