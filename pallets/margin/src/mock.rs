//! A chain of this pallet over the real assets pallet. Governance is root, the emergency origin is account 7 (or root,
//! for the benchmarks).

use crate::{self as pallet_margin, CollateralStep, LoanStep};
use core::cell::{Cell, RefCell};
use frame_support::{
    derive_impl, ord_parameter_types, parameter_types,
    traits::{AsEnsureOriginWithArg, ConstU128, Contains, EitherOfDiverse, PostTransactions},
    PalletId,
};
use frame_system::{mocking::MockBlockU32, EnsureRoot, EnsureSigned, EnsureSignedBy};
use novate_types::{
    AccountRef, AssetId, BlockNumber, Cash, CollateralParams, CollateralView, CurrentView, FeeTier,
    FeedId, FundingIndex, LedgerError, LoanParams, MarginAccount, MarketId, MarketView, Position,
    RankSlot, RiskError, RiskIndex, RiskView, SignedLots, ThresholdSweep, QUANTUMS,
};
use sp_runtime::{BuildStorage, DispatchResult};

pub const ALICE: u64 = 1;
pub const BOB: u64 = 2;
/// Has the settlement currency and no native one.
pub const POOR: u64 = 3;
/// Opened at genesis, as an insurance fund is.
pub const FUND: u64 = 4;
pub const EMERGENCY: u64 = 7;
pub const NOBODY: u64 = 8;

pub const USDC: AssetId = 1;
/// Sufficient, 18 decimals.
pub const WETH: AssetId = 2;
/// Not sufficient, 8 decimals, a minimum balance of 10, and no collateral at first.
pub const WBTC: AssetId = 3;
pub const UNKNOWN: AssetId = 99;
/// Exists for the test of full lists: 20 to 28.
pub const MANY: AssetId = 20;

pub const UNIT: u128 = 1_000_000;
pub const ETHER: u128 = 1_000_000_000_000_000_000;
pub const WALLET: u128 = 1_000_000 * UNIT;
pub const TIMELOCK: BlockNumber = 10;
/// Feeds 0 to 9 exist.
pub const FEEDS: FeedId = 10;

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
    pub type Balances = pallet_balances;
    #[runtime::pallet_index(2)]
    pub type Assets = pallet_assets;
    #[runtime::pallet_index(3)]
    pub type Margin = pallet_margin;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = MockBlockU32<Test>;
    type AccountData = pallet_balances::AccountData<u128>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type Balance = u128;
    type ExistentialDeposit = ConstU128<1>;
    type AccountStore = System;
}

#[derive_impl(pallet_assets::config_preludes::TestDefaultConfig)]
impl pallet_assets::Config for Test {
    type Balance = u128;
    type AssetId = AssetId;
    type AssetIdParameter = AssetId;
    type ReserveData = ();
    type Currency = Balances;
    type CreateOrigin = AsEnsureOriginWithArg<EnsureSigned<u64>>;
    type ForceOrigin = EnsureRoot<u64>;
}

thread_local! {
    static REFRESHED: RefCell<Vec<AccountRef<u64>>> = const { RefCell::new(Vec::new()) };
    static INDEX_FULL: Cell<bool> = const { Cell::new(false) };
    static IS_FRESH: Cell<bool> = const { Cell::new(true) };
    static SEEN: RefCell<Vec<(AssetId, CollateralParams)>> = const { RefCell::new(Vec::new()) };
    static SWEPT: Cell<BlockNumber> = const { Cell::new(BlockNumber::MAX) };
    static MARKETS: RefCell<Vec<MarketView>> = const { RefCell::new(Vec::new()) };
}

/// Accounts that the index was asked to refresh since the last call.
pub fn refreshed() -> Vec<AccountRef<u64>> {
    REFRESHED.with(|r| core::mem::take(&mut *r.borrow_mut()))
}

/// Lets the index refuse.
pub fn index_fails(fails: bool) {
    INDEX_FULL.with(|f| f.set(fails));
}

/// Markets of the view. Before any call, there are none.
pub fn markets_are(markets: Vec<MarketView>) {
    MARKETS.with(|m| *m.borrow_mut() = markets);
}

/// Whether collateral has a fresh price in the view. Before any call, it has.
pub fn price_is_fresh(fresh: bool) {
    IS_FRESH.with(|f| f.set(fresh));
}

/// The last completed sweep began at this block. Before any call, every sweep has.
pub fn sweep_began_at(block: BlockNumber) {
    SWEPT.with(|s| s.set(block));
}

/// Leaves a mark in the account, and in storage, by which a test sees whether it was kept.
pub struct Index;
impl RiskIndex<u64> for Index {
    fn refresh(
        of: &AccountRef<u64>,
        account: &mut MarginAccount,
        _: &RiskView,
    ) -> Result<u32, RiskError> {
        REFRESHED.with(|r| r.borrow_mut().push(*of));
        account.next_generation += 1;
        sp_io::storage::set(b"index", &account.next_generation.to_le_bytes());
        if INDEX_FULL.with(Cell::get) {
            return Err(RiskError::Full);
        }
        Ok(1)
    }
}

pub struct View;
impl CurrentView for View {
    fn view() -> RiskView {
        let tier = FeeTier {
            maker_ppm: 0,
            taker_ppm: 500,
        };
        let collaterals: Vec<_> = SEEN.with_borrow(|seen| {
            let view = |(asset, params): &_| CollateralView {
                asset: *asset,
                price: Default::default(),
                fresh: IS_FRESH.with(|f| f.get()),
                params: *params,
            };
            seen.iter().map(view).collect()
        });
        RiskView {
            markets: MARKETS.with_borrow(|m| m.clone().try_into().unwrap()),
            collaterals: collaterals.try_into().unwrap(),
            fee_tiers: vec![tier, tier, tier].try_into().unwrap(),
            ..Default::default()
        }
    }
}

pub struct Sweep;
impl ThresholdSweep for Sweep {
    fn completed_since(since: BlockNumber) -> bool {
        SWEPT.with(|s| s.get() >= since)
    }
}

pub struct Feeds;
impl Contains<FeedId> for Feeds {
    fn contains(feed: &FeedId) -> bool {
        *feed < FEEDS
    }
}

ord_parameter_types! {
    pub const Emergency: u64 = EMERGENCY;
}

parameter_types! {
    pub const Settlement: AssetId = USDC;
    pub const MarginPallet: PalletId = PalletId(*b"nv/margn");
    pub const Timelock: BlockNumber = TIMELOCK;
    pub const MaxStep: CollateralStep =
        CollateralStep { relative: 250_000, haircut: 10_000, cash: 1_000 * UNIT, units: 5 };
    pub const MaxLoanStep: LoanStep =
        LoanStep { relative: 250_000, fraction: 10_000, cash: 1_000 * UNIT };
}

impl pallet_margin::Config for Test {
    type Assets = Assets;
    type SettlementAsset = Settlement;
    type PalletId = MarginPallet;
    type RiskIndex = Index;
    type View = View;
    type Feeds = Feeds;
    type Sweep = Sweep;
    type GovernanceOrigin = EnsureRoot<u64>;
    type EmergencyOrigin = EitherOfDiverse<EnsureRoot<u64>, EnsureSignedBy<Emergency, u64>>;
    type Timelock = Timelock;
    type MaxStep = MaxStep;
    type MaxLoanStep = MaxLoanStep;
    type WeightInfo = crate::weights::SubstrateWeight<Test>;
}

pub fn weth() -> CollateralParams {
    CollateralParams {
        feed: 1,
        decimals: 18,
        haircut: 100_000,
        large_value: 100_000 * QUANTUMS,
        large_haircut: 200_000,
        value_cap: 1_000_000 * QUANTUMS,
        global_cap: 1_000 * ETHER,
    }
}

/// Two percent a year and eight more up to four fifths, then steep; a tenth for the fund.
pub fn loan_params() -> LoanParams {
    LoanParams {
        base_rate: 20_000,
        slope: 80_000,
        steep_slope: 900_000,
        kink: 800_000,
        reserve_factor: 100_000,
        utilisation_cap: 900_000,
        account_cap: 100_000 * QUANTUMS,
    }
}

pub fn wbtc() -> CollateralParams {
    CollateralParams {
        feed: 0,
        decimals: 8,
        global_cap: 100_000_000_000,
        ..weth()
    }
}

pub fn account(owner: u64, sub: u8) -> AccountRef<u64> {
    AccountRef::new(owner, sub)
}

pub fn held(owner: u64, sub: u8) -> MarginAccount {
    pallet_margin::Accounts::<Test>::get(account(owner, sub)).expect("an open account")
}

pub fn cash(owner: u64, sub: u8) -> Cash {
    held(owner, sub).cash
}

pub fn wallet(owner: u64, asset: AssetId) -> u128 {
    Assets::balance(asset, owner)
}

pub fn custody(asset: AssetId) -> u128 {
    Assets::balance(asset, Margin::custody_account())
}

/// What a block's close does: acts on what was left to it, and makes a view of the parameters in force.
pub fn close() {
    <Margin as PostTransactions>::post_transactions();
    look();
}

/// The view takes the parameters that are in force.
pub fn look() {
    let seen = pallet_margin::Collaterals::<Test>::get();
    SEEN.set(seen.into_iter().collect());
}

/// The extrinsic alone.
pub fn ask(owner: u64, sub: u8, asset: AssetId, amount: u128) -> DispatchResult {
    Margin::deposit(RuntimeOrigin::signed(owner), sub, asset, amount)
}

/// A deposit in a block of its own: the extrinsic and the close.
pub fn deposit(owner: u64, sub: u8, asset: AssetId, amount: u128) -> DispatchResult {
    ask(owner, sub, asset, amount)?;
    close();
    match events().pop() {
        Some(crate::Event::Dropped { error, .. }) => Err(error),
        _ => Ok(()),
    }
}

/// Adds `lots` for `cost` to the account's position, keeping the list sorted. What a trade at any price does to a
/// position as long as it realises nothing.
pub fn trade(
    account: &mut MarginAccount,
    market: MarketId,
    lots: SignedLots,
    cost: Cash,
) -> Result<(), LedgerError> {
    let full = || LedgerError::Risk(RiskError::Full);
    match account.positions.iter_mut().find(|p| p.market == market) {
        Some(p) => {
            p.lots += lots;
            p.cost += cost;
        }
        None => {
            let at = account
                .positions
                .iter()
                .take_while(|p| p.market < market)
                .count();
            let new = Position {
                market,
                lots,
                cost,
                funding_index: FundingIndex::default(),
                rank: RankSlot::default(),
            };
            account.positions.try_insert(at, new).map_err(|_| full())?;
        }
    }
    Ok(())
}

pub fn new_test_ext() -> sp_io::TestExternalities {
    refreshed();
    index_fails(false);
    price_is_fresh(true);
    markets_are(Vec::new());
    sweep_began_at(BlockNumber::MAX);
    let mut storage = frame_system::GenesisConfig::<Test>::default()
        .build_storage()
        .unwrap();
    pallet_balances::GenesisConfig::<Test> {
        balances: vec![(ALICE, 1_000), (BOB, 1_000), (FUND, 1)],
        ..Default::default()
    }
    .assimilate_storage(&mut storage)
    .unwrap();
    let many = MANY..MANY + 9;
    let metadata = |id, name: &str, decimals| (id, name.into(), name.into(), decimals);
    pallet_assets::GenesisConfig::<Test> {
        assets: [
            (USDC, NOBODY, true, 1),
            (WETH, NOBODY, true, 1),
            (WBTC, NOBODY, false, 10),
        ]
        .into_iter()
        .chain(many.clone().map(|id| (id, NOBODY, true, 1)))
        .collect(),
        metadata: vec![
            metadata(USDC, "USDC", 6),
            metadata(WETH, "WETH", 18),
            metadata(WBTC, "WBTC", 8),
        ],
        accounts: [
            (USDC, ALICE, WALLET),
            (USDC, BOB, WALLET),
            (USDC, POOR, WALLET),
            (USDC, FUND, WALLET),
            (WETH, ALICE, 5_000 * ETHER),
            (WETH, BOB, 5_000 * ETHER),
            (WBTC, ALICE, 1_000),
        ]
        .into_iter()
        .chain(many.map(|id| (id, ALICE, 100)))
        .collect(),
        ..Default::default()
    }
    .assimilate_storage(&mut storage)
    .unwrap();
    pallet_margin::GenesisConfig::<Test> {
        accounts: vec![(FUND, 0, 1_000 * UNIT)],
        collaterals: vec![(WETH, weth())],
        loans: loan_params(),
    }
    .assimilate_storage(&mut storage)
    .unwrap();
    let mut ext = sp_io::TestExternalities::new(storage);
    ext.execute_with(|| {
        System::set_block_number(1);
        look();
    });
    ext
}

/// Runs a test and checks every invariant after it.
pub fn run(test: impl FnOnce()) {
    new_test_ext().execute_with(|| {
        test();
        Margin::do_try_state().unwrap();
    });
}

/// Block `block` begins, after the close of another.
pub fn begin(block: BlockNumber) {
    use frame_support::traits::Hooks;
    close();
    System::set_block_number(block);
    Margin::on_initialize(block);
}

pub fn events() -> Vec<crate::Event<Test>> {
    System::events()
        .into_iter()
        .filter_map(|r| match r.event {
            RuntimeEvent::Margin(e) => Some(e),
            _ => None,
        })
        .collect()
}

pub fn last_event() -> crate::Event<Test> {
    events().pop().expect("an event")
}
