//! A mock per trait. The ledger is the whole of one: it keeps accounts, pots, wallets and custody in
//! storage, so that rolled-back layers take effect and conservation can be computed. The book is a
//! plain continuous one that heeds every limit.

use crate as pallet_clearing;
use crate::{Event, View};
use frame_support::{
    derive_impl, parameter_types, storage_alias,
    traits::{ConstU32, ConstU64, PostTransactions, UnixTime},
    weights::{RuntimeDbWeight, Weight},
    Blake2_128Concat,
};
use frame_system::EnsureRoot;
use novate_types::{
    math, AccountRef, AssetId, BlockNumber, CancelReason, Cash, CollateralParams, CurrentView,
    FeeTier, FeedId, FeedPrice, Fill, FundingIndex, Indexed, Instrument, InstrumentKind, Ledger,
    LedgerError, LiquidationOrder, Liquidations, Listing, LoanView, Loans, Lots, MarginAccount,
    MarketId, MarketParams, MarketStatus, MarketView, MatchLimits, Millis, OpenOrder, Operation,
    OrderBook, Position, Pot, Ppm, Price, PriceFeeds, Release, ReleasedMargin, RestedQuotes,
    RiskTier, RiskView, Role, Side, SignedLots, Size, Tentative, Ticks, TierId, TimeInForce,
    Unfinished, VolatilitySurface, MAX_LEGS, MILLION, QUANTUMS,
};
use sp_runtime::{traits::IdentityLookup, BuildStorage, FixedI128, FixedPointNumber, FixedU128};
use std::collections::{BTreeMap, BTreeSet};

pub type AccountId = u64;
pub type Account = AccountRef<AccountId>;

/// The market most tests trade in: ticks of 0.5 USD, lots of 0.001, so 500 quantums per lot and tick.
pub const BTC: MarketId = 1;
pub const ETH: MarketId = 2;
pub const BTC_FEED: FeedId = 1;
pub const ETH_FEED: FeedId = 2;
pub const USDC_FEED: FeedId = 3;
pub const GOLD_FEED: FeedId = 4;
pub const USDC: AssetId = 1;
pub const GOLD: AssetId = 2;
pub const FUND: Account = AccountRef::new(1_000, 0);
pub const VAULT: Account = AccountRef::new(1_001, 0);
pub const ALICE: AccountId = 1;
pub const BOB: AccountId = 2;
pub const CHARLIE: AccountId = 3;
pub const DAVE: AccountId = 4;

pub const fn of(owner: AccountId) -> Account {
    AccountRef::new(owner, 0)
}

/// Blocks that parameters of the portfolio model wait.
pub const TIMELOCK: BlockNumber = 10;

/// USD.
pub fn usd(units: u128) -> Price {
    Price::from_inner(units * Price::DIV)
}

/// Quantums.
pub const fn cash(units: Cash) -> Cash {
    units * QUANTUMS
}

/// Ticks of a price in the BTC market.
pub const fn ticks(units: Ticks) -> Ticks {
    units * 2
}

#[derive(Clone, Debug, codec::Encode, codec::Decode)]
pub struct MockOrder {
    pub account: Account,
    pub sequence: u64,
    pub side: Side,
    pub ticks: Ticks,
    pub lots: Lots,
    pub reserve: Cash,
    pub reduce_only: bool,
    pub liquidation: bool,
    pub resting: bool,
}

#[storage_alias]
pub type Accounts = StorageMap<Mock, Blake2_128Concat, Account, MarginAccount>;
#[storage_alias]
pub type Wallets = StorageMap<Mock, Blake2_128Concat, (AccountId, AssetId), u128>;
#[storage_alias]
pub type Custody = StorageMap<Mock, Blake2_128Concat, AssetId, u128>;
#[storage_alias]
pub type Pots = StorageMap<Mock, Blake2_128Concat, Pot, Cash>;
#[storage_alias]
pub type Feeds = StorageMap<Mock, Blake2_128Concat, FeedId, FeedPrice>;
#[storage_alias]
pub type Instruments = StorageMap<Mock, Blake2_128Concat, MarketId, Instrument>;
#[storage_alias]
pub type Quotes = StorageMap<Mock, Blake2_128Concat, MarketId, RestedQuotes>;
#[storage_alias]
pub type Book = StorageMap<Mock, Blake2_128Concat, MarketId, Vec<MockOrder>>;
#[storage_alias]
pub type Sequences = StorageValue<Mock, u64>;
#[storage_alias]
pub type Given = StorageValue<Mock, Cash>;
#[storage_alias]
pub type VaultLost = StorageValue<Mock, Vec<(MarketId, Cash)>>;
#[storage_alias]
pub type Sharing = StorageValue<Mock, (MarketId, Side, FundingIndex)>;
#[storage_alias]
pub type Liquidating = StorageValue<Mock, Vec<LiquidationOrder<AccountId>>>;
#[storage_alias]
pub type Paused = StorageValue<Mock, bool>;
/// The part of the open-interest caps that is in force.
#[storage_alias]
pub type Covered = StorageValue<Mock, Ppm>;
#[storage_alias]
pub type Now = StorageValue<Mock, Millis>;
#[storage_alias]
pub type Migrating = StorageValue<Mock, bool>;
#[storage_alias]
pub type Trace = StorageValue<Mock, Vec<(Vec<u8>, MarketId)>>;
#[storage_alias]
pub type Sabotage = StorageValue<Mock, bool>;
/// What accrual answers.
#[storage_alias]
pub type LoanTerms = StorageValue<Mock, LoanView>;
/// What of interest is the insurance fund's.
#[storage_alias]
pub type InterestReserve = StorageValue<Mock, Cash>;
#[storage_alias]
pub type PotShares = StorageMap<Mock, Blake2_128Concat, AccountId, u128>;
/// Picoseconds that triggers cost in each close.
#[storage_alias]
pub type Fired = StorageValue<Mock, u64>;

fn trace(step: &str, market: MarketId) {
    Trace::mutate(|steps| {
        steps
            .get_or_insert_default()
            .push((step.as_bytes().to_vec(), market))
    });
}

/// Steps of the closes since the last call, in order.
pub fn steps() -> Vec<(String, MarketId)> {
    Trace::take()
        .unwrap_or_default()
        .into_iter()
        .map(|(step, market)| (String::from_utf8(step).unwrap(), market))
        .collect()
}

pub struct MockListing;

pub fn tier() -> RiskTier {
    RiskTier {
        imf: 50_000,
        mmf: 30_000,
        open_interest_lower: cash(1_000_000_000),
        open_interest_upper: cash(2_000_000_000),
        profit_credit: ProfitCredit::get(),
        impact_notional: cash(10_000),
        mark_band: 10_000,
        price_band: 50_000,
        call_blocks: 3,
        edge_blocks: 4,
    }
}

pub fn instrument(symbol: &str, underlying: FeedId) -> Instrument {
    let tick_size = Price::from_rational(1, 2);
    let lot_size = Size::from_rational(1, 1_000);
    Instrument {
        symbol: symbol.as_bytes().to_vec().try_into().unwrap(),
        kind: InstrumentKind::Perpetual,
        underlying,
        tick_size,
        lot_size,
        tick_value: math::tick_value(tick_size, lot_size).unwrap(),
        status: MarketStatus::Open,
        params: MarketParams {
            tier: 0,
            min_notional: cash(1),
            open_interest_cap: 1_000_000_000,
            interest_8h_ppm: 100,
            funding_cap_factor: 6_000_000,
        },
    }
}

impl Listing for MockListing {
    fn markets() -> Vec<(MarketId, Instrument)> {
        let mut markets: Vec<_> = Instruments::iter().collect();
        markets.sort_by_key(|(id, _)| *id);
        markets
    }
    fn market(id: MarketId) -> Option<Instrument> {
        Instruments::get(id)
    }
    fn tier(id: TierId) -> Option<RiskTier> {
        (id == 0).then(tier)
    }
    fn factor(_: TierId) -> Ppm {
        Factor::get()
    }
    fn fee_tiers() -> Vec<FeeTier> {
        vec![
            FeeTier {
                maker_ppm: 200,
                taker_ppm: 500,
            },
            FeeTier {
                maker_ppm: -100,
                taker_ppm: 300,
            },
        ]
    }
    fn apply_due(_: BlockNumber) {
        trace("parameters", 0);
    }
    fn restrict(market: MarketId, status: MarketStatus) {
        Instruments::mutate(market, |i| {
            if let Some(i) = i {
                i.status = i.status.strictest(status);
            }
        });
    }
    fn list_due(_: BlockNumber, _: Millis, price: impl Fn(FeedId) -> Option<Price>) {
        // One test lists a market this way, on a feed that has a fresh price.
        if let Some(id) = ByRule::get().filter(|_| price(BTC_FEED).is_some()) {
            Instruments::insert(id, instrument("BY-RULE", BTC_FEED));
        }
    }
    fn remove(market: MarketId) {
        Instruments::remove(market);
    }
}

pub struct MockFeeds;

impl PriceFeeds for MockFeeds {
    fn close_round(_: Millis) {
        trace("oracle", 0);
    }
    fn price(feed: FeedId) -> Option<FeedPrice> {
        Feeds::get(feed)
    }
}

/// What is listed by rule.
#[storage_alias]
pub type ByRule = StorageValue<Mock, MarketId>;
/// Volatility a year of every expiry, in ppm, and whether it is fresh.
#[storage_alias]
pub type Volatility = StorageValue<Mock, (u32, bool)>;

pub struct MockSurface;

impl VolatilitySurface for MockSurface {
    type Surface = Option<(u32, bool)>;
    fn surface(_: FeedId) -> Self::Surface {
        Volatility::get()
    }
    fn total_variance(
        surface: &Self::Surface,
        expiry: Millis,
        _: FixedI128,
        now: Millis,
    ) -> Option<FixedU128> {
        let (ppm, _) = (*surface)?;
        let left = expiry.checked_sub(now).filter(|left| *left > 0)?;
        let volatility = FixedU128::from_rational(ppm.into(), 1_000_000);
        let years = FixedU128::from_rational(left.into(), 365 * 86_400_000);
        Some(volatility * volatility * years)
    }
    fn is_fresh(surface: &Self::Surface, _: Millis, _: Millis) -> bool {
        surface.is_some_and(|(_, fresh)| fresh)
    }
}

pub struct MockLedger;

impl MockLedger {
    fn change<R, E>(
        of: &Account,
        open: bool,
        change: impl FnOnce(&mut MarginAccount) -> Result<R, E>,
    ) -> Result<R, E>
    where
        E: From<LedgerError>,
    {
        let stored = Accounts::get(of);
        if stored.is_none() && !open {
            return Err(LedgerError::NoAccount.into());
        }
        let mut account = stored.unwrap_or_default();
        let result = change(&mut account)?;
        Accounts::insert(of, account);
        Ok(result)
    }
}

/// Lots booked as cash since their market settled.
#[storage_alias]
pub type Booked = StorageMap<Mock, Blake2_128Concat, MarketId, SignedLots>;

/// What the ledger does with positions in contracts that have settled.
fn book_settled(account: &mut MarginAccount, view: &RiskView) -> Result<(), LedgerError> {
    for booked in novate_risk::settle_expired(account, view)? {
        MockLedger::credit_pot(Pot::Funding(booked.market), booked.pot)?;
        Booked::mutate(booked.market, |sum| {
            *sum = Some(sum.unwrap_or(0) + booked.lots)
        });
    }
    Ok(())
}

impl Ledger<AccountId> for MockLedger {
    fn account(of: &Account) -> Option<MarginAccount> {
        Accounts::get(of)
    }
    /// For `try_state` alone: the close looks at no account that nothing leads to.
    fn accounts_after(previous: Option<&Account>, most: u32) -> Vec<Account> {
        let all: BTreeSet<Account> = Accounts::iter_keys().collect();
        let later = |of: &Account| previous.is_none_or(|previous| of > previous);
        let found = all.into_iter().filter(later);
        found.take(most as usize).collect()
    }
    fn update<R, E: From<LedgerError>>(
        of: &Account,
        change: impl FnOnce(&mut MarginAccount) -> Result<R, E>,
    ) -> Result<R, E> {
        if Sabotage::get().unwrap_or(false) {
            return Err(LedgerError::Custody.into());
        }
        Self::change(of, false, change)
    }
    fn settle<R, E: From<LedgerError>>(
        of: &Account,
        view: &RiskView,
        open: bool,
        change: impl FnOnce(&mut MarginAccount) -> Result<R, E>,
    ) -> Result<R, E> {
        Self::change(of, open, |account| {
            let done = change(account)?;
            book_settled(account, view)?;
            Ok(done)
        })
    }
    fn settle_expired(of: &Account, view: &RiskView) -> Result<(), LedgerError> {
        Self::change(of, false, |account| book_settled(account, view))
    }
    fn index(of: &Account, view: &RiskView) -> Result<Indexed, LedgerError> {
        Self::settle_expired(of, view)?;
        let account = Accounts::get(of).ok_or(LedgerError::NoAccount)?;
        Ok(Indexed {
            holdings: account.holdings(),
            thresholds: novate_risk::more_thresholds(&account, view),
            entries: Entries::get(),
        })
    }
    fn write_orders(of: &Account, account: MarginAccount) {
        Accounts::insert(of, account);
    }
    fn write_trades(
        _: &[MarketId],
        traded: Vec<(Account, [SignedLots; MAX_LEGS], MarginAccount)>,
    ) -> Result<(), LedgerError> {
        for (of, _, account) in traded {
            Self::update(&of, |stored| {
                *stored = account;
                Ok::<_, LedgerError>(())
            })?;
        }
        Ok(())
    }
    fn pot(pot: Pot) -> Cash {
        Pots::get(pot).unwrap_or(0)
    }
    fn credit_pot(pot: Pot, amount: Cash) -> Result<(), LedgerError> {
        Pots::insert(pot, math::add(Self::pot(pot), amount)?);
        Ok(())
    }
    fn is_flat(market: MarketId) -> bool {
        Accounts::iter_values().all(|account| account.lots(market) == 0)
    }
    fn open_interest(market: MarketId) -> Lots {
        Accounts::iter_values()
            .map(|a| a.lots(market).max(0) as u64)
            .sum()
    }
    fn collaterals() -> Vec<(AssetId, CollateralParams)> {
        let params = CollateralParams {
            feed: GOLD_FEED,
            decimals: 6,
            haircut: 100_000,
            large_value: cash(1_000_000),
            large_haircut: 500_000,
            value_cap: cash(10_000_000),
            global_cap: u128::MAX,
        };
        vec![(GOLD, params)]
    }
    fn settlement_asset() -> AssetId {
        USDC
    }
    fn take_into_custody(
        from: &AccountId,
        asset: AssetId,
        amount: u128,
    ) -> Result<(), LedgerError> {
        let wallet = Wallets::get((*from, asset)).unwrap_or(0);
        let left = wallet.checked_sub(amount).ok_or(LedgerError::Custody)?;
        Wallets::insert((*from, asset), left);
        Custody::insert(asset, Custody::get(asset).unwrap_or(0) + amount);
        Ok(())
    }
    fn pay_from_custody(to: &AccountId, asset: AssetId, amount: u128) -> Result<(), LedgerError> {
        let held = Custody::get(asset).unwrap_or(0);
        Custody::insert(asset, held.checked_sub(amount).ok_or(LedgerError::Custody)?);
        Wallets::insert(
            (*to, asset),
            Wallets::get((*to, asset)).unwrap_or(0) + amount,
        );
        Ok(())
    }
}

/// The liquidity pot in few words: a share is a quantum, and interest is what a test says it is.
pub struct MockLoans;

impl MockLoans {
    fn borrowed() -> Cash {
        Accounts::iter_values().map(|a| -a.cash.min(0)).sum()
    }
}

impl Loans<AccountId> for MockLoans {
    fn accrue(_: BlockNumber, _: Millis) -> LoanView {
        trace("interest", 0);
        LoanTerms::get().unwrap_or_default()
    }
    fn take_reserve() -> Result<Cash, LedgerError> {
        let reserve = InterestReserve::take().unwrap_or(0);
        MockLedger::credit_pot(Pot::Loans, -reserve)?;
        Ok(reserve)
    }
    fn shares(owner: &AccountId) -> u128 {
        PotShares::get(owner).unwrap_or(0)
    }
    fn supply(owner: &AccountId, amount: Cash) -> Result<u128, LedgerError> {
        MockLedger::credit_pot(Pot::Loans, amount)?;
        let shares = amount.unsigned_abs();
        PotShares::insert(owner, Self::shares(owner) + shares);
        Ok(shares)
    }
    fn redeem(owner: &AccountId, shares: u128) -> Result<Cash, LedgerError> {
        let left = Self::shares(owner).checked_sub(shares);
        let amount = math::signed(shares)?;
        if MockLedger::pot(Pot::Loans) - Self::borrowed() < amount {
            return Err(LedgerError::Lent);
        }
        PotShares::insert(owner, left.ok_or(LedgerError::Shares)?);
        MockLedger::credit_pot(Pot::Loans, -amount)?;
        Ok(amount)
    }
    fn lendable() -> Cash {
        (MockLedger::pot(Pot::Loans) - Self::borrowed()).max(0)
    }
    fn is_within_cap() -> bool {
        Self::borrowed() <= MockLedger::pot(Pot::Loans)
    }
}

/// A loaded market, and the outcome of its last run.
pub struct MockMarket {
    id: MarketId,
    orders: Vec<MockOrder>,
    filled: BTreeMap<u64, Lots>,
    cancelled: Vec<u64>,
    /// It only collects orders.
    collects: bool,
    /// It is uncrossed, at the price that was found or else the nearest to its index.
    at: Option<Ticks>,
}

pub struct MockBook;

impl MockOrder {
    fn reduces(&self) -> bool {
        self.reduce_only || self.liquidation
    }
}

fn position(of: &Account, market: MarketId) -> SignedLots {
    Accounts::get(of).map_or(0, |a| a.lots(market))
}

/// What an order may still close of a position.
fn closable(side: Side, held: SignedLots) -> Lots {
    match side {
        Side::Bid => held.min(0).unsigned_abs(),
        Side::Ask => held.max(0).unsigned_abs(),
    }
}

impl OrderBook<AccountId> for MockBook {
    type Market = MockMarket;

    fn load(
        view: &MarketView,
        liquidations: Vec<LiquidationOrder<AccountId>>,
    ) -> Option<MockMarket> {
        let now = System::block_number();
        let collects = view.auction_at > now;
        let uncrosses = view.is_in_auction() && !collects;
        trace(
            match (collects, uncrosses) {
                (true, _) => "collect",
                (_, true) => "uncross",
                _ => "match",
            },
            view.id,
        );
        let mut orders = Book::get(view.id).unwrap_or_default();
        for (n, order) in liquidations.into_iter().enumerate() {
            orders.push(MockOrder {
                account: order.account,
                sequence: u64::MAX - n as u64,
                side: order.side,
                ticks: order.limit,
                lots: order.lots,
                reserve: 0,
                reduce_only: false,
                liquidation: true,
                resting: false,
            });
        }
        let at = math::ticks_nearest(view.mark, view.tick_size).ok();
        (uncrosses || !orders.is_empty()).then_some(MockMarket {
            id: view.id,
            orders,
            filled: BTreeMap::new(),
            cancelled: Vec::new(),
            collects,
            at: at.filter(|_| uncrosses),
        })
    }

    fn fire(_: &RiskView, room: u64) -> u64 {
        trace("triggers", 0);
        Fired::get().unwrap_or(0).min(room)
    }

    fn run(market: &mut MockMarket, limits: &MatchLimits<AccountId>) -> Tentative<AccountId> {
        trace("run", market.id);
        let mut working = Vec::new();
        market.filled.clear();
        market.cancelled.clear();
        let at = market.at.map(|at| limits.auction.price.unwrap_or(at));
        let most = match at {
            Some(_) => limits.max_fills.min(AuctionFits::get()),
            None => limits.max_fills,
        };
        for order in market.orders.iter().filter(|_| !market.collects) {
            let mut order = order.clone();
            if at.is_some_and(|at| !order.side.accepts(order.ticks, at)) {
                continue;
            }
            if !order.reduces() {
                if limits.cancelled.contains(&order.account) {
                    market.cancelled.push(order.sequence);
                    continue;
                }
                if limits
                    .admitted
                    .as_ref()
                    .is_some_and(|a| !a.contains(&order.account))
                {
                    continue;
                }
            } else if let Some(limit) = limits.tightened.get(&order.account) {
                order.ticks = match order.side {
                    Side::Bid => order.ticks.min(*limit),
                    Side::Ask => order.ticks.max(*limit),
                };
            }
            working.push(order);
        }
        let mut left: BTreeMap<(Account, Side), Lots> = BTreeMap::new();
        for order in &working {
            let held = position(&order.account, market.id);
            left.insert((order.account, order.side), closable(order.side, held));
        }
        let (mut bids, mut asks): (Vec<_>, Vec<_>) =
            working.into_iter().partition(|o| o.side == Side::Bid);
        bids.sort_by_key(|o| (std::cmp::Reverse(o.ticks), o.sequence));
        asks.sort_by_key(|o| (o.ticks, o.sequence));

        let mut fills: Vec<Fill<AccountId>> = Vec::new();
        let (mut volume, mut last, mut executed) = (0, None, 0);
        let mut beyond = false;
        let mut makers = BTreeSet::new();
        for bid in &mut bids {
            for ask in &mut asks {
                if bid.ticks < ask.ticks || bid.account == ask.account {
                    continue;
                }
                if (bid.resting || ask.resting || at.is_some()) && executed >= most {
                    beyond |= at.is_some() && bid.lots.min(ask.lots) > 0;
                    continue;
                }
                let room = |order: &MockOrder| {
                    if order.reduces() || limits.reducing_only {
                        order.lots.min(left[&(order.account, order.side)])
                    } else {
                        order.lots
                    }
                };
                let wanted = room(bid).min(room(ask));
                let lots = wanted.min(limits.auction_lots - volume);
                beyond |= lots < wanted;
                if lots == 0 {
                    continue;
                }
                executed += u32::from(bid.resting || ask.resting || at.is_some());
                let limit = if bid.resting { bid.ticks } else { ask.ticks };
                let ticks = at.unwrap_or(limit);
                for order in [&mut *bid, &mut *ask] {
                    if order.resting {
                        makers.insert(order.account);
                    }
                    order.lots -= lots;
                    let left = left.get_mut(&(order.account, order.side)).unwrap();
                    *left = left.saturating_sub(lots);
                    *market.filled.entry(order.sequence).or_default() += lots;
                    fills.push(Fill {
                        account: order.account,
                        sequence: order.sequence,
                        side: order.side,
                        role: if order.resting && at.is_none() {
                            Role::Maker
                        } else {
                            Role::Taker
                        },
                        ticks,
                        lots,
                        fee: 0,
                        liquidation: order.liquidation,
                    });
                }
                volume += lots;
                last = Some(ticks);
            }
        }
        fills.sort_by_key(|fill| fill.account);
        Tentative {
            fills,
            volume,
            last,
            executed,
            makers,
            at_edge: AtEdge::get(),
            unfinished: beyond.then_some(Unfinished { price: last.or(at) }),
        }
    }

    fn candidates(market: &MockMarket, _: u32) -> Vec<(Account, Vec<OpenOrder>)> {
        let mut by_account = BTreeMap::<_, Vec<_>>::new();
        for order in market.orders.iter().filter(|o| !o.liquidation) {
            by_account
                .entry(order.account)
                .or_default()
                .push(OpenOrder {
                    market: market.id,
                    sequence: order.sequence,
                    client_id: order.sequence,
                    side: order.side,
                    ticks: order.ticks,
                    lots: order.lots,
                    block: 0,
                    time_in_force: TimeInForce::GoodTilCancelled,
                    reduce_only: order.reduce_only,
                    reserve: order.reserve,
                });
        }
        by_account.into_iter().collect()
    }

    fn commit(market: MockMarket) -> Vec<Release<AccountId>> {
        let mut released = BTreeMap::<Account, ReleasedMargin>::new();
        let mut rest = Vec::new();
        for mut order in market.orders.into_iter().filter(|o| !o.liquidation) {
            let gone = if market.cancelled.contains(&order.sequence) {
                order.lots
            } else {
                market.filled.get(&order.sequence).copied().unwrap_or(0)
            };
            let reserve = if gone == order.lots {
                order.reserve
            } else {
                order.reserve * Cash::from(gone) / Cash::from(order.lots)
            };
            if gone > 0 {
                let (bid_lots, ask_lots) = if order.side == Side::Bid {
                    (gone, 0)
                } else {
                    (0, gone)
                };
                let sum = released
                    .entry(order.account)
                    .or_insert_with(|| ReleasedMargin {
                        market: market.id,
                        bid_lots: 0,
                        ask_lots: 0,
                        reserve: 0,
                    });
                sum.bid_lots += bid_lots;
                sum.ask_lots += ask_lots;
                sum.reserve += reserve;
            }
            order.lots -= gone;
            order.reserve -= reserve;
            order.resting = true;
            if order.lots > 0 {
                rest.push(order);
            }
        }
        Book::insert(market.id, rest);
        let release = |(account, margin)| Release {
            account,
            margin: vec![margin],
            open: Default::default(),
            disarmed: Vec::new(),
            read: Accounts::get(account).unwrap_or_default(),
        };
        released.into_iter().map(release).collect()
    }

    fn cancel_all(_: &Account, _: &mut MarginAccount, _: CancelReason) -> u32 {
        0
    }
    fn open_orders(_: &Account) -> Vec<OpenOrder> {
        Vec::new()
    }
    fn rested(market: MarketId) -> RestedQuotes {
        Quotes::get(market).unwrap_or_default()
    }
    fn order(_: &Account, _: &RiskView, _: &[Operation]) -> u32 {
        0
    }
    fn depth(_: MarketId, _: Side, _: Ticks) -> Lots {
        0
    }
    fn housekeep(_: &RiskView) -> Vec<Release<AccountId>> {
        trace("housekeeping", 0);
        Vec::new()
    }
    fn forget(market: MarketId) -> bool {
        Book::get(market).unwrap_or_default().is_empty()
    }
}

pub struct MockLiquidations;

impl Liquidations<AccountId> for MockLiquidations {
    const MOST_ORDERS: u32 = 64;

    fn on_marks(_: &RiskView, _: &RiskView) -> Vec<LiquidationOrder<AccountId>> {
        trace("thresholds", 0);
        Liquidating::take().unwrap_or_default()
    }
    fn waterfall(view: &mut RiskView, more: u64) -> bool {
        trace("waterfall", 0);
        LeftByMatches::set(more);
        let Some((market, side, per_lot)) = Sharing::take() else {
            return false;
        };
        view.market_mut(market)
            .unwrap()
            .charge(side, per_lot)
            .unwrap();
        true
    }
    fn presses() -> bool {
        Presses::get()
    }
    fn rules_changed() {
        trace("rules", 0);
    }
    fn gave_vault(amount: Cash) {
        Given::put(Given::get().unwrap_or(0) + amount);
    }
    fn vault_traded(market: MarketId, lost: Cash) {
        VaultLost::append((market, lost));
    }
    fn queued() -> u32 {
        0
    }
    fn withdrawals_paused() -> bool {
        Paused::get().unwrap_or(false)
    }
    fn open_interest_scale() -> Ppm {
        Covered::get().unwrap_or(MILLION)
    }

    fn forget(_: MarketId) -> bool {
        true
    }
}

pub struct MockTime;

impl UnixTime for MockTime {
    fn now() -> core::time::Duration {
        core::time::Duration::from_millis(Now::get().unwrap_or(0))
    }
}

pub struct MockMigrator;

impl frame_support::migrations::MultiStepMigrator for MockMigrator {
    fn ongoing() -> bool {
        Migrating::get().unwrap_or(false)
    }
    fn step() -> Weight {
        Weight::zero()
    }
}

#[frame_support::runtime]
mod test_runtime {
    #[runtime::runtime]
    #[runtime::derive(
        RuntimeCall,
        RuntimeEvent,
        RuntimeError,
        RuntimeOrigin,
        RuntimeFreezeReason,
        RuntimeHoldReason,
        RuntimeSlashReason,
        RuntimeLockId,
        RuntimeTask,
        RuntimeViewFunction
    )]
    pub struct Test;

    #[runtime::pallet_index(0)]
    pub type System = frame_system;
    #[runtime::pallet_index(1)]
    pub type Clearing = pallet_clearing;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = frame_system::mocking::MockBlockU32<Test>;
    type AccountId = AccountId;
    type Lookup = IdentityLookup<AccountId>;
    type MultiBlockMigrator = MockMigrator;
    type PostTransactions = Clearing;
    type DbWeight = DbWeight;
}

parameter_types! {
    pub const DbWeight: RuntimeDbWeight = RuntimeDbWeight { read: 0, write: 1_000_000 };
    pub const InsuranceFund: Account = FUND;
    pub const Vault: Account = VAULT;
    pub const SettlementFeed: FeedId = USDC_FEED;
    pub const LiquidationFee: Ppm = 10_000;
    pub static MaxFillsTotal: u32 = 2_048;
    pub static ProfitCredit: Cash = cash(1_000_000);
    pub static Presses: bool = false;
    /// Pairs of orders that an auction executes in a close, at most.
    pub static AuctionFits: u32 = u32::MAX;
    /// Matches end at the edge of the band.
    pub static AtEdge: bool = false;
    pub static Entries: u32 = 0;
    pub static LeftByMatches: u64 = 0;
    pub static Factor: Ppm = MILLION;
    pub static PressedPartiesWeight: Weight = Weight::from_parts(10_000_000_000, 0);
    pub static PartiesWeight: Weight = Weight::from_parts(400_000_000_000, 0);
    pub static MaxRequestsPerClose: u32 = 16;
    pub static OthersNow: Weight = Weight::from_parts(20_000_000_000, 0);
    pub static OthersWorst: Weight = Weight::from_parts(100_000_000_000, 0);
}

pub struct MockReserve;

impl crate::CloseReserve for MockReserve {
    fn reserve() -> Weight {
        OthersNow::get()
    }
    fn worst() -> Weight {
        OthersWorst::get()
    }
    fn liquidation() -> Weight {
        Weight::zero()
    }
    fn calm_liquidation() -> Weight {
        Weight::zero()
    }
    fn unmatched(markets: u32) -> Weight {
        Weight::from_parts(1_000_000, 0).saturating_mul(markets.into())
    }
    fn spent(_: u32) -> Weight {
        OthersNow::get()
    }
}

impl crate::Config for Test {
    type Listing = MockListing;
    type Feeds = MockFeeds;
    type Ledger = MockLedger;
    type Loans = MockLoans;
    type Book = MockBook;
    type Liquidations = MockLiquidations;
    type Volatility = MockSurface;
    type Risk = novate_risk::portfolio::Lesser<Clearing>;
    type Time = MockTime;
    type InsuranceFund = InsuranceFund;
    type Vault = Vault;
    type SettlementFeed = SettlementFeed;
    type FreshFor = ConstU64<6_000>;
    type OpenFor = ConstU64<15_000>;
    type MatchesFor = ConstU64<60_000>;
    type BasisSpan = ConstU64<150_000>;
    type LastTradeFor = ConstU64<60_000>;
    type MaxFundingSpan = ConstU64<30_000>;
    type LiquidationFee = LiquidationFee;
    type MaxFillsPerMarket = ConstU32<512>;
    type MaxFillsTotal = MaxFillsTotal;
    type PartiesWeight = PartiesWeight;
    type PressedPartiesWeight = PressedPartiesWeight;
    type MaxQueue = ConstU32<64>;
    type MaxPendingPerOwner = ConstU32<8>;
    type MaxRequestsPerClose = MaxRequestsPerClose;
    type Others = MockReserve;
    type GovernanceOrigin = EnsureRoot<AccountId>;
    type Timelock = ConstU32<TIMELOCK>;
    type MaxScenarios = ConstU32<{ novate_risk::portfolio::STANDARD_SCENARIOS }>;
    type WeightInfo = ();
    type BenchmarkHelper = Helper;
}

pub struct Helper;

impl crate::BenchmarkHelper<AccountId> for Helper {
    fn fund(account: &Account) {
        deposit(account.owner, 1_000_000);
        Wallets::insert((account.owner, USDC), 1_000_000);
    }
    fn list(markets: u32) {
        begin();
        let _ = Instruments::clear(u32::MAX, None);
        for id in 0..markets as MarketId {
            Instruments::insert(id, instrument(&format!("MARKET-{id}"), BTC_FEED));
        }
        run(12);
    }
    fn cross(makers: u32, orders: u32, _: u32) -> RiskView {
        begin();
        let ticks = math::ticks_nearest(market_view().mark, market_view().tick_size).unwrap();
        let taker = 20_000;
        deposit(taker, 1_000_000);
        place(taker, Side::Bid, ticks, u64::from(makers * orders).max(1));
        for n in 0..u64::from(makers) {
            deposit(10_000 + n, 1_000_000);
            for _ in 0..orders {
                place(10_000 + n, Side::Ask, ticks, 1);
            }
        }
        let mut orders = Book::get(BTC).unwrap();
        for order in &mut orders {
            order.resting = order.side == Side::Ask;
        }
        Book::insert(BTC, orders);
        View::<Test>::get()
    }
    fn options() -> RiskView {
        begin();
        View::<Test>::get()
    }
    fn lend(account: &Account) -> RiskView {
        begin();
        deposit(account.owner, 0);
        Accounts::mutate(account, |a| {
            let collateral = &mut a.as_mut().unwrap().collateral;
            collateral.try_push((GOLD, 1_000_000_000)).unwrap();
        });
        MockLoans::supply(&DAVE, cash(1_000)).unwrap();
        InterestReserve::put(cash(2));
        Custody::insert(USDC, 1_000_000_000);
        RiskView {
            loans: LoanView {
                account_cap: cash(1_000),
                ..Default::default()
            },
            ..View::<Test>::get()
        }
    }
}

/// A minute boundary some time in 2023.
pub const START: Millis = 1_678_500_000_000;

/// One market at 20,000 USD and a settlement currency at 1, open since a while.
pub fn new_test_ext() -> sp_io::TestExternalities {
    let storage = frame_system::GenesisConfig::<Test>::default()
        .build_storage()
        .unwrap();
    let mut ext = sp_io::TestExternalities::new(storage);
    ext.execute_with(begin);
    ext
}

fn begin() {
    System::set_block_number(1);
    Now::put(START);
    Instruments::insert(BTC, instrument("BTC-PERP", BTC_FEED));
    set_price(BTC_FEED, usd(20_000));
    set_price(USDC_FEED, usd(1));
    set_price(GOLD_FEED, usd(100));
    run(6);
    System::reset_events();
    steps();
}

/// A fresh price without uncertainty.
pub fn set_price(feed: FeedId, price: Price) {
    Feeds::insert(
        feed,
        FeedPrice {
            price,
            confidence: Price::default(),
            observed_at: Now::get().unwrap_or(0),
            block: System::block_number(),
        },
    );
}

/// The next block, one second later; prices stay as old as they are.
pub fn next_block() {
    System::set_block_number(System::block_number() + 1);
    Now::put(Now::get().unwrap_or(0) + 1_000);
}

/// The close, and everything that must hold after it.
pub fn close() {
    <Clearing as PostTransactions>::post_transactions();
    Clearing::do_try_state().unwrap();
    assert_conserved();
}

/// Blocks with fresh prices.
pub fn run(blocks: u32) {
    for _ in 0..blocks {
        next_block();
        refresh();
        close();
    }
}

/// Makes every price as of now.
pub fn refresh() {
    let now = Now::get().unwrap_or(0);
    for (feed, price) in Feeds::iter().collect::<Vec<_>>() {
        Feeds::insert(
            feed,
            FeedPrice {
                observed_at: now,
                ..price
            },
        );
    }
}

/// Cash through a wallet and custody into an account.
pub fn deposit(owner: AccountId, units: Cash) {
    let amount = cash(units).unsigned_abs();
    Wallets::insert(
        (owner, USDC),
        Wallets::get((owner, USDC)).unwrap_or(0) + amount,
    );
    MockLedger::take_into_custody(&owner, USDC, amount).unwrap();
    MockLedger::settle::<_, LedgerError>(&of(owner), &RiskView::default(), true, |account| {
        account.cash += cash(units);
        Ok(())
    })
    .unwrap();
}

/// An order whose margin is held, as intake would.
pub fn place(owner: AccountId, side: Side, price: Ticks, lots: Lots) -> MockOrder {
    place_in(BTC, owner, side, price, lots)
}

pub fn place_in(
    market: MarketId,
    owner: AccountId,
    side: Side,
    price: Ticks,
    lots: Lots,
) -> MockOrder {
    let sequence = Sequences::get().unwrap_or(0);
    Sequences::put(sequence + 1);
    let view = <Clearing as CurrentView>::view();
    let mut account = Accounts::get(of(owner)).unwrap();
    let fee = view.fee_tier(account.fee_tier);
    let known = view.market(market).unwrap();
    let legs = novate_risk::Legs::of(known, &view).unwrap();
    let reserve = legs.reserve(known, fee, side, lots, price).unwrap();
    novate_risk::add_order(&mut account, market, side, lots, reserve).unwrap();
    Accounts::insert(of(owner), account);
    let order = MockOrder {
        account: of(owner),
        sequence,
        side,
        ticks: price,
        lots,
        reserve,
        reduce_only: false,
        liquidation: false,
        resting: false,
    };
    Book::append(market, order.clone());
    order
}

/// An order that only reduces; it holds no margin.
pub fn place_reduce_only(owner: AccountId, side: Side, price: Ticks, lots: Lots) {
    let sequence = Sequences::get().unwrap_or(0);
    Sequences::put(sequence + 1);
    let mut account = Accounts::get(of(owner)).unwrap();
    novate_risk::add_order(&mut account, BTC, side, lots, 0).unwrap();
    Accounts::insert(of(owner), account);
    Book::append(
        BTC,
        MockOrder {
            account: of(owner),
            sequence,
            side,
            ticks: price,
            lots,
            reserve: 0,
            reduce_only: true,
            liquidation: false,
            resting: false,
        },
    );
}

/// Gives two accounts opposite positions at a price, without fees.
pub fn open(long: AccountId, short: AccountId, lots: SignedLots, price: Ticks) {
    let view = View::<Test>::get();
    let market = view.market(BTC).unwrap();
    for (owner, lots) in [(long, lots), (short, -lots)] {
        let mut account = Accounts::get(of(owner)).unwrap();
        let value = math::trade_value(lots, price, market.tick_value).unwrap();
        let traded = novate_risk::apply_trade(&mut account, market, lots, value).unwrap();
        MockLedger::credit_pot(Pot::Funding(BTC), traded.funding_to_pot).unwrap();
        Accounts::insert(of(owner), account);
    }
}

/// An account's position in the BTC market.
pub fn lots_of(owner: AccountId) -> SignedLots {
    position(&of(owner), BTC)
}

pub fn cash_of(owner: AccountId) -> Cash {
    Accounts::get(of(owner)).unwrap().cash
}

pub fn market_view() -> MarketView {
    View::<Test>::get().market(BTC).unwrap().clone()
}

pub fn assess(owner: AccountId) -> novate_types::Assessment {
    use novate_types::RiskModel;
    <Test as crate::Config>::Risk::assess(&Accounts::get(of(owner)).unwrap(), &View::<Test>::get())
        .unwrap()
}

pub fn events() -> Vec<Event<Test>> {
    System::events()
        .into_iter()
        .filter_map(|record| match record.event {
            RuntimeEvent::Clearing(event) => Some(event),
            _ => None,
        })
        .collect()
}

/// Σ lots = 0 in each market; Σ cash − Σ cost + Σ pots = custody; Σ collateral = custody.
pub fn assert_conserved() {
    let (mut sum, mut gold) = (0, 0);
    let mut lots: BTreeMap<MarketId, i64> = Booked::iter().collect();
    for account in Accounts::iter_values() {
        sum += account.cash;
        gold += account
            .collateral
            .iter()
            .map(|(_, amount)| amount)
            .sum::<u128>();
        for Position {
            market,
            lots: held,
            cost,
            ..
        } in account.positions
        {
            sum -= cost;
            *lots.entry(market).or_default() += held;
        }
    }
    sum += Pots::iter_values().sum::<Cash>();
    assert!(
        lots.values().all(|lots| *lots == 0),
        "positions do not net: {lots:?}"
    );
    assert_eq!(
        sum,
        Custody::get(USDC).unwrap_or(0) as Cash,
        "the settlement currency is not conserved"
    );
    assert_eq!(
        gold,
        Custody::get(GOLD).unwrap_or(0),
        "the collateral is not conserved"
    );
}
