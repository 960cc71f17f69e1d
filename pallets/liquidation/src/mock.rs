//! A chain of this pallet alone, with a ledger in storage, a scripted book, and prices that tests set.
//!
//! Market 0 and 1: tick 1 USD, lot 1 unit, maintenance 5 %, initial 10 %: one lot at one tick is one USD, so that tests can
//! be worked out by hand. Asset 7 has 6 decimals and a haircut of 10 %.

use crate::{
    self as pallet_liquidation, pages::Shelf, Event, LossCapStep, Pallet, Queue, RiskPage, Work,
};
use core::cell::{Cell, RefCell};
use frame_support::{
    derive_impl, parameter_types,
    storage::{transactional::with_transaction_unchecked, TransactionOutcome},
    storage_alias,
    traits::{ConstU32, ConstU64, Get},
    Blake2_128Concat,
};
use frame_system::{mocking::MockBlockU32, EnsureRoot};
use novate_risk::{
    add_order, apply_trade,
    portfolio::{AtOnce, Kept, Lesser, OptionRow, PortfolioParams, PricedOptions, VolatilityShock},
    release_order, settle_expired, LiquidationParams, QuoteParams, StressMove, StressParams,
    VolatilityParams,
};
use novate_types::*;
use sp_runtime::{traits::One, BuildStorage};
use std::collections::BTreeMap;

pub type Of = AccountRef<u64>;
/// The margin model of the chain, options priced at once.
pub type Rules = Lesser<Priced>;

/// At once, with another factor on the scan.
pub struct Priced;

impl Get<PortfolioParams> for Priced {
    fn get() -> PortfolioParams {
        Self::params()
    }
}

impl PricedOptions for Priced {
    fn row(view: &RiskView, market: &MarketView, kept: &mut Kept) -> Option<OptionRow> {
        AtOnce::row(view, market, kept)
    }

    fn params() -> PortfolioParams {
        let mut params = PortfolioParams::standard();
        params.factors.maintenance = ScanFactor::get();
        params
    }
}
pub const VAULT: u64 = 1;
pub const FUND: u64 = 2;
pub const ASSET: AssetId = 7;

/// Whole USD as quantums.
pub const fn usd(n: i128) -> Cash {
    n * QUANTUMS
}

pub const fn of(owner: u64) -> Of {
    AccountRef::new(owner, 0)
}

pub fn price(n: u128) -> Price {
    Price::from_inner(n * 10u128.pow(18))
}

#[frame_support::runtime]
mod runtime {
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
    pub type Liquidation = pallet_liquidation;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = MockBlockU32<Test>;
}

/// How the vault quotes unless a test says otherwise.
pub const USUAL_QUOTING: QuoteParams = QuoteParams {
    spread_min: 20_000,
    spread_buffer: 1_000,
    skew_factor: 1_000_000,
    order_size: 500_000,
    concession: 10_000,
    requote: 10_000,
};

parameter_types! {
    pub const Vault: Of = of(VAULT);
    pub const InsuranceFund: Of = of(FUND);
    pub static Params: LiquidationParams = LiquidationParams {
        bankruptcy_adjustment: 1_000_000,
        spread_to_maintenance: 1_500_000,
        fee: 1_000,
        concession: 5_000,
        target_buffer: 0,
        depth_share: 200_000,
    };
    pub static BacklogShare: Ppm = 1_000_000;
    pub static DefaultLossCap: Cash = usd(500);
    pub const LossWindow: BlockNumber = 100;
    pub static Quoting: QuoteParams = USUAL_QUOTING;
    pub const QuotingWeight: frame_support::weights::Weight =
        frame_support::weights::Weight::from_parts(4_000_000_000, 0);
    pub const MinShareDeposit: Cash = usd(10);
    pub static MaxPops: u32 = 1_000;
    pub static MaxLiquidations: u32 = 50;
    pub static Room: frame_support::weights::Weight = frame_support::weights::Weight::MAX;
    pub static MaxDeleveraged: u32 = 32;
    pub static MaxRankReads: u32 = 1_000;
    pub static SweepPerClose: u32 = 0;
    /// Of maintenance margin.
    pub static ScanFactor: sp_runtime::FixedU128 = sp_runtime::FixedU128::from_rational(8, 10);
    pub const MaxStep: LossCapStep = LossCapStep {
        relative: 500_000,
        cash: 1_000_000,
    };
    /// What a calm close does; as much as any unless a test says otherwise.
    pub static CalmWork: Option<Work> = None;
}

/// Time between two samples of volatility.
pub const HOUR: Millis = 3_600_000;

parameter_types! {
    /// Two hours to liquidate, three deviations; five returns to begin with.
    pub static Forecasting: VolatilityParams = VolatilityParams {
        half_life: 120,
        seed: 5,
        alpha: 50_000,
        beta: 900_000,
        long_run: 1_000,
        memory: 1_000,
        horizon: 2,
        stress_weight: 250_000,
        covered: 3_000_000,
    };
    /// The grid's, and the two worst of eight.
    pub static Stressing: StressParams = StressParams {
        moves: [
            StressMove::new(-180_000, VolatilityShock::Up),
            StressMove::new(-135_000, VolatilityShock::Up),
            StressMove::new(-90_000, VolatilityShock::Up),
            StressMove::new(-45_000, VolatilityShock::Down),
            StressMove::new(45_000, VolatilityShock::Down),
            StressMove::new(90_000, VolatilityShock::Up),
            StressMove::new(135_000, VolatilityShock::Up),
            StressMove::new(180_000, VolatilityShock::Up),
        ],
        confidence: 750_000,
        cover: 2,
        factor: 1_100_000,
        cap_step: 250_000,
        least_scale: 0,
    };
}

thread_local! {
    static FOLLOWED: RefCell<Vec<(FeedId, Ppm)>> = const { RefCell::new(Vec::new()) };
}

/// Whoever follows the forecasts.
pub struct Followed;

impl FollowVolatility for Followed {
    fn follow(asked: &[(FeedId, Ppm)]) {
        FOLLOWED.with(|f| *f.borrow_mut() = asked.to_vec());
    }
}

/// What margins were last asked to follow.
pub fn followed() -> Vec<(FeedId, Ppm)> {
    FOLLOWED.with(|f| f.borrow().clone())
}

/// Tests count accounts, most of which have one position.
pub struct Steps<Accounts>(core::marker::PhantomData<Accounts>);

impl<Accounts: Get<u32>> Get<u32> for Steps<Accounts> {
    fn get() -> u32 {
        crate::ACCOUNT_STEPS * Accounts::get()
    }
}

pub struct Calm;

impl Get<Work> for Calm {
    fn get() -> Work {
        CalmWork::get().unwrap_or_else(Pallet::<Test>::bounds)
    }
}

impl pallet_liquidation::Config for Test {
    type Ledger = StoredLedger;
    type Book = ScriptedBook;
    type Risk = Rules;
    type PortfolioRules = Priced;
    type View = StoredView;
    type Ahead = ScriptedAhead;
    type GovernanceOrigin = EnsureRoot<u64>;
    type EmergencyOrigin = EnsureRoot<u64>;
    type Timelock = ConstU32<10>;
    type MaxStep = MaxStep;
    type Vault = Vault;
    type InsuranceFund = InsuranceFund;
    type Params = Params;
    type BacklogShare = BacklogShare;
    type DefaultLossCap = DefaultLossCap;
    type Follow = Followed;
    type StressInterval = ConstU64<HOUR>;
    type Volatility = Forecasting;
    type Stress = Stressing;
    type LossWindow = LossWindow;
    type Quoting = Quoting;
    type QuotingWeight = QuotingWeight;
    type EpochLength = ConstU32<10>;
    type LockUp = ConstU32<25>;
    type MinShareDeposit = MinShareDeposit;
    type MaxShareRequests = ConstU32<3>;
    type MaxShareQueue = ConstU32<40>;
    type MaxSharesPending = ConstU32<3>;
    type Calm = Calm;
    type MaxPops = MaxPops;
    type Room = Room;
    type MaxLooks = Steps<MaxPops>;
    type MaxLiquidations = Steps<MaxLiquidations>;
    type MaxDeleveraged = Steps<MaxDeleveraged>;
    type MaxRankReads = MaxRankReads;
    type MaxBids = ConstU32<8>;
    type MaxBidsPerAccount = ConstU32<6>;
    type SweepPerClose = SweepPerClose;
    type WeightInfo = ();
    type BenchmarkHelper = Helper;
}

#[storage_alias]
pub type Accounts = StorageMap<Mock, Blake2_128Concat, Of, MarginAccount>;
#[storage_alias]
pub type Pots = StorageMap<Mock, Blake2_128Concat, Pot, Cash>;
#[storage_alias]
pub type View = StorageValue<Mock, RiskView>;
/// The settlement currency outside of custody, and in it.
#[storage_alias]
pub type Wallets = StorageMap<Mock, Blake2_128Concat, u64, u128>;
#[storage_alias]
pub type Custody = StorageValue<Mock, u128>;
/// Whoever's wallet takes nothing.
#[storage_alias]
pub type Blocked = StorageMap<Mock, Blake2_128Concat, u64, ()>;
/// Open orders of the vault, which alone places any here.
#[storage_alias]
pub type Orders = StorageValue<Mock, Vec<OpenOrder>>;

/// Accounts that cannot be settled.
#[storage_alias]
pub type Stuck = StorageMap<Mock, Blake2_128Concat, Of, ()>;

pub struct StoredLedger;

fn atomic<R, E>(change: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
    with_transaction_unchecked(|| match change() {
        Ok(done) => TransactionOutcome::Commit(Ok(done)),
        Err(error) => TransactionOutcome::Rollback(Err(error)),
    })
}

/// Lots booked as cash since their market settled.
#[storage_alias]
pub type Booked = StorageMap<Mock, Blake2_128Concat, MarketId, SignedLots>;

/// What the ledger does with positions in contracts that have settled.
fn book_settled(account: &mut MarginAccount, view: &RiskView) -> Result<(), LedgerError> {
    for booked in settle_expired(account, view)? {
        StoredLedger::credit_pot(Pot::Funding(booked.market), booked.pot)?;
        Booked::mutate(booked.market, |sum| {
            *sum = Some(sum.unwrap_or(0) + booked.lots)
        });
    }
    Ok(())
}

impl Ledger<u64> for StoredLedger {
    fn account(of: &Of) -> Option<MarginAccount> {
        Accounts::get(of)
    }

    fn accounts_after(previous: Option<&Of>, most: u32) -> Vec<Of> {
        let keys = match previous {
            Some(of) => Accounts::iter_keys_from(Accounts::hashed_key_for(of)),
            None => Accounts::iter_keys(),
        };
        keys.take(most as usize).collect()
    }

    fn update<R, E: From<LedgerError>>(
        of: &Of,
        change: impl FnOnce(&mut MarginAccount) -> Result<R, E>,
    ) -> Result<R, E> {
        atomic(|| {
            let mut account = Accounts::get(of).ok_or(LedgerError::NoAccount)?;
            let done = change(&mut account)?;
            Accounts::insert(of, account);
            Ok(done)
        })
    }

    fn settle_expired(of: &Of, view: &RiskView) -> Result<(), LedgerError> {
        Self::update(of, |account| book_settled(account, view))
    }

    fn index(of: &Of, view: &RiskView) -> Result<Indexed, LedgerError> {
        let mut account = Accounts::get(of).ok_or(LedgerError::NoAccount)?;
        book_settled(&mut account, view)?;
        let entries = Liquidation::refresh(of, &mut account, view)?;
        let indexed = Indexed {
            holdings: account.holdings(),
            thresholds: novate_risk::more_thresholds(&account, view),
            entries,
        };
        Accounts::insert(of, account);
        Ok(indexed)
    }

    fn settle<R, E: From<LedgerError>>(
        of: &Of,
        view: &RiskView,
        open: bool,
        change: impl FnOnce(&mut MarginAccount) -> Result<R, E>,
    ) -> Result<R, E> {
        if Stuck::contains_key(of) {
            return Err(LedgerError::Custody.into());
        }
        atomic(|| {
            let new = || open.then(MarginAccount::default);
            let mut account = Accounts::get(of)
                .or_else(new)
                .ok_or(LedgerError::NoAccount)?;
            let done = change(&mut account)?;
            book_settled(&mut account, view)?;
            Liquidation::refresh(of, &mut account, view).map_err(LedgerError::from)?;
            Accounts::insert(of, account);
            Ok(done)
        })
    }

    fn write_orders(of: &Of, account: MarginAccount) {
        Accounts::insert(of, account);
    }

    fn write_trades(
        _: &[MarketId],
        traded: Vec<(Of, [SignedLots; MAX_LEGS], MarginAccount)>,
    ) -> Result<(), LedgerError> {
        for (of, _, account) in traded {
            Accounts::insert(of, account);
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
        Accounts::iter()
            .map(|(_, a)| a.lots(market).max(0).unsigned_abs())
            .sum()
    }

    fn collaterals() -> Vec<(AssetId, CollateralParams)> {
        Vec::new()
    }

    fn settlement_asset() -> AssetId {
        1
    }

    fn take_into_custody(from: &u64, _: AssetId, amount: u128) -> Result<(), LedgerError> {
        let held = Wallets::get(from).unwrap_or(0).checked_sub(amount);
        Wallets::insert(from, held.ok_or(LedgerError::Custody)?);
        Custody::put(Custody::get().unwrap_or(0) + amount);
        Ok(())
    }

    fn pay_from_custody(to: &u64, _: AssetId, amount: u128) -> Result<(), LedgerError> {
        let left = Custody::get().unwrap_or(0).checked_sub(amount);
        if Blocked::contains_key(to) {
            return Err(LedgerError::Custody);
        }
        Custody::put(left.ok_or(LedgerError::Custody)?);
        Wallets::insert(to, Wallets::get(to).unwrap_or(0) + amount);
        Ok(())
    }
}

pub struct StoredView;

impl CurrentView for StoredView {
    fn view() -> RiskView {
        View::get().unwrap_or_default()
    }
}

thread_local! {
    static DEPTH: RefCell<BTreeMap<MarketId, Lots>> = const { RefCell::new(BTreeMap::new()) };
    static DEPTH_READS: Cell<u32> = const { Cell::new(0) };
    static AHEAD: RefCell<(BTreeMap<MarketId, Ppm>, Option<CollateralParams>)> =
        const { RefCell::new((BTreeMap::new(), None)) };
}

/// What a test has scheduled.
pub struct ScriptedAhead;

impl ParametersAhead for ScriptedAhead {
    fn maintenance(market: MarketId) -> Option<Ppm> {
        AHEAD.with(|a| a.borrow().0.get(&market).copied())
    }
    fn collateral(asset: AssetId) -> Option<CollateralParams> {
        AHEAD.with(|a| a.borrow().1.filter(|_| asset == ASSET))
    }
}

/// Schedules maintenance margin fractions of markets.
pub fn schedule(fractions: &[(MarketId, Ppm)]) {
    AHEAD.with(|a| a.borrow_mut().0 = fractions.iter().copied().collect());
}

/// Schedules parameters of [`ASSET`].
pub fn schedule_asset(params: Option<CollateralParams>) {
    AHEAD.with(|a| a.borrow_mut().1 = params);
}

/// How often depth was read since the last call.
pub fn depth_reads() -> u32 {
    DEPTH_READS.with(|reads| reads.take())
}

/// Lots that rest on either side of a market, at any limit.
pub fn set_depth(market: MarketId, lots: Lots) {
    DEPTH.with(|d| d.borrow_mut().insert(market, lots));
}

/// A book of which only depth is known, and in which an account's orders are its aggregates.
pub struct ScriptedBook;

impl OrderBook<u64> for ScriptedBook {
    type Market = ();

    fn load(_: &MarketView, _: Vec<LiquidationOrder<u64>>) -> Option<()> {
        None
    }
    fn fire(_: &RiskView, _: u64) -> u64 {
        0
    }
    fn run(_: &mut (), _: &MatchLimits<u64>) -> Tentative<u64> {
        Tentative {
            fills: Vec::new(),
            volume: 0,
            last: None,
            executed: 0,
            makers: Default::default(),
            at_edge: false,
            unfinished: None,
        }
    }
    fn candidates(_: &(), _: u32) -> Vec<(Of, Vec<OpenOrder>)> {
        Vec::new()
    }
    fn commit(_: ()) -> Vec<Release<u64>> {
        Vec::new()
    }
    fn cancel_all(who: &Of, account: &mut MarginAccount, reason: CancelReason) -> u32 {
        assert_eq!(reason, CancelReason::Liquidation);
        let left = account.orders.len() + account.triggers.len();
        account.orders.clear();
        if *who == of(VAULT) {
            Orders::kill();
        }
        account.triggers.clear();
        left as u32
    }
    fn order(of: &Of, view: &RiskView, operations: &[Operation]) -> u32 {
        operations
            .iter()
            .filter(|operation| carry_out(of, view, operation))
            .count() as u32
    }
    fn open_orders(_: &Of) -> Vec<OpenOrder> {
        Orders::get().unwrap_or_default()
    }
    fn rested(_: MarketId) -> RestedQuotes {
        RestedQuotes::default()
    }
    fn depth(market: MarketId, _: Side, _: Ticks) -> Lots {
        DEPTH_READS.with(|reads| reads.set(reads.get() + 1));
        DEPTH.with(|d| d.borrow().get(&market).copied().unwrap_or(1_000_000))
    }
    fn housekeep(_: &RiskView) -> Vec<Release<u64>> {
        Vec::new()
    }
    fn forget(_: MarketId) -> bool {
        true
    }
}

fn lots_of(order: &OpenOrder) -> (Lots, Lots) {
    match order.side {
        Side::Bid => (order.lots, 0),
        Side::Ask => (0, order.lots),
    }
}

/// One operation on the vault's orders: an order that does not reduce must be covered, as at intake.
fn carry_out(of: &Of, view: &RiskView, operation: &Operation) -> bool {
    let mut account = Accounts::get(of).unwrap();
    let (gone, mut kept): (Vec<_>, Vec<_>) = Orders::get()
        .unwrap_or_default()
        .into_iter()
        .partition(|order| match operation {
            Operation::CancelAll { market: None } => true,
            Operation::Cancel(OrderTarget::Client(id))
            | Operation::Amend {
                target: OrderTarget::Client(id),
                ..
            } => order.client_id == *id,
            Operation::Place(_) => false,
            other => panic!("the vault does not {other:?}"),
        });
    for order in &gone {
        let (bid, ask) = lots_of(order);
        release_order(&mut account, order.market, bid, ask, 0).unwrap();
    }
    let new = match *operation {
        Operation::Amend { price, lots, .. } => {
            let (ticks, lots) = (price.unwrap(), lots.unwrap());
            assert_ne!((ticks, lots), (gone[0].ticks, gone[0].lots));
            Some(OpenOrder {
                ticks,
                lots,
                ..gone[0].clone()
            })
        }
        Operation::Place(ref order) => {
            assert!(kept.iter().all(|o| o.client_id != order.client_id));
            let OrderPrice::Limit(ticks) = order.price else {
                panic!("the vault quotes limits");
            };
            Some(OpenOrder {
                market: order.market,
                sequence: 0,
                client_id: order.client_id,
                side: order.side,
                ticks,
                lots: order.lots,
                block: view.block,
                time_in_force: order.time_in_force,
                reduce_only: order.reduce_only,
                reserve: 0,
            })
        }
        _ => {
            assert!(!gone.is_empty(), "there is such an order");
            None
        }
    };
    if let Some(order) = new {
        add_order(&mut account, order.market, order.side, order.lots, 0).unwrap();
        let is_covered = Rules::assess(&account, view).unwrap().covers_orders();
        if !is_covered && !order.reduce_only {
            return false;
        }
        kept.push(order);
    }
    Orders::put(kept);
    Accounts::insert(of, account);
    true
}

pub struct Helper;

impl crate::BenchmarkHelper<u64> for Helper {
    fn view() -> RiskView {
        // Between two runs of a benchmark everything is undone.
        View::put(a_view());
        SweepPerClose::set(4);
        StoredView::view()
    }
    fn account(number: u32) -> Of {
        of(1_000 + u64::from(number))
    }
    fn fill_wallet(owner: &u64, amount: u128) {
        Wallets::insert(owner, amount);
    }
    fn place(_: &Of, _: u32) {}
    fn options() -> RiskView {
        Self::view()
    }
}

pub fn a_market(id: MarketId) -> MarketView {
    MarketView {
        id,
        underlying: id,
        status: MarketStatus::Open,
        tick_size: Price::one(),
        lot_size: Size::one(),
        tick_value: 1_000_000,
        mark: price(100),
        index: price(100),
        observed_at: 0,
        fresh: true,
        funding_index: 0,
        short_funding_index: 0,
        imf: 100_000,
        mmf: 50_000,
        profit_credit: 0,
        price_band: 50_000,
        min_notional: QUANTUMS,
        impact_notional: usd(100),
        open_interest_cap: Lots::MAX,
        auction_at: 0,
        contract: Default::default(),
    }
}

pub fn a_view() -> RiskView {
    let asset = CollateralView {
        asset: ASSET,
        price: Price::one(),
        fresh: true,
        params: CollateralParams {
            feed: 9,
            decimals: 6,
            haircut: 100_000,
            large_value: usd(1_000_000),
            large_haircut: 200_000,
            value_cap: usd(10_000_000),
            global_cap: u128::MAX,
        },
    };
    RiskView {
        block: 1,
        now: 1_000,
        markets: vec![a_market(0), a_market(1)].try_into().unwrap(),
        collaterals: vec![asset].try_into().unwrap(),
        fee_tiers: Default::default(),
        loans: Default::default(),
    }
}

pub fn new_test_ext() -> sp_io::TestExternalities {
    let storage = frame_system::GenesisConfig::<Test>::default()
        .build_storage()
        .unwrap();
    let mut ext = sp_io::TestExternalities::from(storage);
    ext.execute_with(|| {
        System::set_block_number(1);
        View::put(a_view());
        DEPTH.with(|d| d.borrow_mut().clear());
        depth_reads();
        schedule(&[]);
        schedule_asset(None);
        BacklogShare::set(1_000_000);
        DefaultLossCap::set(usd(500));
        MaxPops::set(1_000);
        MaxLiquidations::set(50);
        MaxDeleveraged::set(32);
        MaxRankReads::set(1_000);
        SweepPerClose::set(0);
        CalmWork::set(None);
        Quoting::set(USUAL_QUOTING);
        Stressing::mutate(|stressing| stressing.least_scale = 0);
        Room::set(frame_support::weights::Weight::MAX);
    });
    ext
}

/// Adds cash to an account, opening it.
pub fn deposit(owner: u64, cash: Cash) {
    StoredLedger::settle(&of(owner), &StoredView::view(), true, |a| {
        a.cash += cash;
        Ok::<_, LedgerError>(())
    })
    .unwrap();
}

/// Adds whole units of [`ASSET`] to an account.
pub fn deposit_asset(owner: u64, units: u128) {
    StoredLedger::settle(&of(owner), &StoredView::view(), true, |a| {
        let amount = units * 1_000_000;
        match a.collateral.iter_mut().find(|(asset, _)| *asset == ASSET) {
            Some((_, held)) => *held += amount,
            None => a.collateral.try_push((ASSET, amount)).unwrap(),
        }
        Ok::<_, LedgerError>(())
    })
    .unwrap();
}

/// Novates a trade at the current view.
pub fn trade(buyer: u64, seller: u64, market: MarketId, lots: SignedLots, ticks: Ticks) {
    let view = StoredView::view();
    for (owner, lots) in [(buyer, lots), (seller, -lots)] {
        let market = view.market(market).unwrap();
        let value = math::trade_value(lots, ticks, market.tick_value).unwrap();
        StoredLedger::settle(&of(owner), &view, true, |a| {
            let traded = apply_trade(a, market, lots, value)?;
            StoredLedger::credit_pot(Pot::Funding(market.id), traded.funding_to_pot)
        })
        .unwrap();
    }
}

pub fn account(owner: u64) -> MarginAccount {
    Accounts::get(of(owner)).unwrap_or_default()
}

pub fn assess(owner: u64) -> Assessment {
    Rules::assess(&account(owner), &StoredView::view()).unwrap()
}

/// The next block's marks: the first part of a close at a view that `change` made.
pub fn marks(change: impl FnOnce(&mut RiskView)) -> Vec<LiquidationOrder<u64>> {
    let before = StoredView::view();
    let mut now = before.clone();
    now.block += 1;
    now.now += 1_000;
    change(&mut now);
    System::set_block_number(now.block);
    View::put(&now);
    Liquidation::on_marks(&before, &now)
}

/// The second part of the close.
pub fn waterfall() {
    let mut view = StoredView::view();
    if Liquidation::waterfall(&mut view, 0) {
        View::put(view);
    }
    Liquidation::do_try_state().unwrap();
}

/// A whole close in which nothing matches.
pub fn close(change: impl FnOnce(&mut RiskView)) -> Vec<LiquidationOrder<u64>> {
    let orders = marks(change);
    Liquidation::do_try_state().unwrap();
    waterfall();
    orders
}

/// Sets a market's mark to whole USD.
pub fn set_mark(view: &mut RiskView, market: MarketId, usd: u128) {
    view.markets
        .iter_mut()
        .find(|m| m.id == market)
        .unwrap()
        .mark = price(usd);
}

/// A close at another mark of market 0.
pub fn close_at(usd: u128) -> Vec<LiquidationOrder<u64>> {
    close(|view| set_mark(view, 0, usd))
}

/// Events of this pallet since the last call.
pub fn events() -> Vec<Event<Test>> {
    let events = System::events()
        .into_iter()
        .filter_map(|r| match r.event {
            RuntimeEvent::Liquidation(event) => Some(event),
            _ => None,
        })
        .collect();
    System::reset_events();
    events
}

/// `Σ lots` by market, and `Σ cash − Σ cost + Σ pots`.
pub fn totals() -> (BTreeMap<MarketId, i128>, Cash, u128) {
    let (mut lots, mut cash, mut collateral) = (BTreeMap::new(), 0, 0);
    for (_, account) in Accounts::iter() {
        cash += account.cash;
        for position in &account.positions {
            *lots.entry(position.market).or_default() += i128::from(position.lots);
            cash -= position.cost;
        }
        collateral += account
            .collateral
            .iter()
            .map(|(_, amount)| amount)
            .sum::<u128>();
    }
    lots.retain(|_, sum| *sum != 0);
    (lots, cash + Pots::iter_values().sum::<Cash>(), collateral)
}

pub fn is_queued(owner: u64) -> bool {
    Queue::<Test>::contains_key(of(owner))
}

/// Entries in all pages of a shelf.
pub fn entries(shelf: impl Fn(&Shelf) -> bool) -> usize {
    RiskPage::<Test>::iter()
        .filter(|((s, ..), _)| shelf(s))
        .map(|(_, page)| page.len())
        .sum()
}
