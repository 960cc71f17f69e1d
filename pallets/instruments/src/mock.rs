//! A chain of this pallet alone. Governance is root, the emergency origin is account 7 (or root, for the benchmarks).

use crate::{self as pallet_instruments, FeeTiers, Step};
use alloc::vec;
use core::cell::{Cell, RefCell};
use frame_support::{
    derive_impl, ord_parameter_types, parameter_types,
    traits::{Contains, EitherOfDiverse, UnixTime},
};
use frame_system::{mocking::MockBlockU32, EnsureRoot, EnsureSignedBy};
use novate_types::{
    BlockNumber, FeeTier, FeedId, Instrument, InstrumentKind, MarketId, MarketParams, MarketStatus,
    Millis, Price, RiskTier, ThresholdSweep, QUANTUMS,
};
use sp_runtime::BuildStorage;
use std::collections::BTreeSet;

pub const EMERGENCY: u64 = 7;
pub const NOBODY: u64 = 8;
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
    pub type Instruments = pallet_instruments;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = MockBlockU32<Test>;
}

thread_local! {
    static OCCUPIED: RefCell<BTreeSet<MarketId>> = const { RefCell::new(BTreeSet::new()) };
    static SWEPT: Cell<BlockNumber> = const { Cell::new(BlockNumber::MAX) };
}

/// Marks a market as holding something.
pub fn occupy(market: MarketId) {
    OCCUPIED.with(|o| o.borrow_mut().insert(market));
}

/// The last completed sweep began at this block. Before any call, every sweep has.
pub fn sweep_began_at(block: BlockNumber) {
    SWEPT.with(|s| s.set(block));
}

pub struct Vacant;
impl Contains<MarketId> for Vacant {
    fn contains(market: &MarketId) -> bool {
        OCCUPIED.with(|o| !o.borrow().contains(market))
    }
}

pub struct Sweep;
impl ThresholdSweep for Sweep {
    fn completed_since(since: BlockNumber) -> bool {
        SWEPT.with(|s| s.get() >= since)
    }
}

/// When every test happens.
pub const NOW: Millis = 1_800_000_000_000;

pub struct Clock;
impl UnixTime for Clock {
    fn now() -> core::time::Duration {
        core::time::Duration::from_millis(NOW)
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
    pub const Timelock: BlockNumber = TIMELOCK;
    pub const MostFollowed: u32 = 3_000_000;
    pub const MaxStep: Step = Step {
        relative: 250_000,
        fraction: 1_000,
        rate: 100,
        cash: 1_000 * QUANTUMS.unsigned_abs(),
        lots: 10,
        blocks: 2,
    };
    pub const MaxFee: u32 = 10_000;
    pub const MaxPending: u32 = 8;
    pub const MaxAppliedPerBlock: u32 = 2;
}

impl pallet_instruments::Config for Test {
    type GovernanceOrigin = EnsureRoot<u64>;
    type EmergencyOrigin = EitherOfDiverse<EnsureRoot<u64>, EnsureSignedBy<Emergency, u64>>;
    type Feeds = Feeds;
    type Vacant = Vacant;
    type Sweep = Sweep;
    type Time = Clock;
    type Timelock = Timelock;
    type MostFollowed = MostFollowed;
    type MaxStep = MaxStep;
    type MaxFee = MaxFee;
    type MaxPending = MaxPending;
    type MaxAppliedPerBlock = MaxAppliedPerBlock;
    type WeightInfo = crate::weights::SubstrateWeight<Test>;
}

/// A tier in the middle of every bound.
pub fn tier() -> RiskTier {
    RiskTier {
        imf: 50_000,
        mmf: 30_000,
        open_interest_lower: 10_000_000 * QUANTUMS,
        open_interest_upper: 40_000_000 * QUANTUMS,
        profit_credit: 5_000 * QUANTUMS,
        impact_notional: 10_000 * QUANTUMS,
        mark_band: 10_000,
        price_band: 50_000,
        call_blocks: 10,
        edge_blocks: 30,
    }
}

/// A market's parameters in the middle of every bound.
pub fn params() -> MarketParams {
    MarketParams {
        tier: 0,
        min_notional: 10 * QUANTUMS,
        open_interest_cap: 1_000_000,
        interest_8h_ppm: 100,
        funding_cap_factor: 6_000_000,
    }
}

pub fn symbol(s: &str) -> novate_types::Symbol {
    s.as_bytes().to_vec().try_into().unwrap()
}

pub fn fees(tiers: &[(i32, i32)]) -> FeeTiers {
    tiers
        .iter()
        .map(|&(maker_ppm, taker_ppm)| FeeTier {
            maker_ppm,
            taker_ppm,
        })
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}

pub fn tick() -> Price {
    Price::from_rational(1, 2)
}

pub fn lot() -> Price {
    Price::from_rational(1, 10_000)
}

pub fn instrument(name: &str) -> Instrument {
    Instrument {
        symbol: symbol(name),
        kind: InstrumentKind::Perpetual,
        underlying: 0,
        tick_size: tick(),
        lot_size: lot(),
        tick_value: 50,
        status: MarketStatus::Open,
        params: params(),
    }
}

/// One market (0), two tiers (0 and 1, a step apart), two fee tiers.
pub fn new_test_ext() -> sp_io::TestExternalities {
    OCCUPIED.with(|o| o.borrow_mut().clear());
    sweep_began_at(BlockNumber::MAX);
    let mut storage = frame_system::GenesisConfig::<Test>::default()
        .build_storage()
        .unwrap();
    pallet_instruments::GenesisConfig::<Test> {
        tiers: vec![
            (0, tier()),
            (
                1,
                RiskTier {
                    mmf: 33_000,
                    ..tier()
                },
            ),
        ],
        markets: vec![instrument("BTC-PERP")],
        fee_tiers: fees(&[(200, 500), (-100, 400)]).into_inner(),
        ..Default::default()
    }
    .assimilate_storage(&mut storage)
    .unwrap();
    let mut ext = sp_io::TestExternalities::new(storage);
    ext.execute_with(|| System::set_block_number(1));
    ext
}

/// Runs a test and checks every invariant after it.
pub fn run(test: impl FnOnce()) {
    new_test_ext().execute_with(|| {
        test();
        Instruments::do_try_state().unwrap();
    });
}

/// The close of block `block`.
pub fn close(block: BlockNumber) {
    System::set_block_number(block);
    <Instruments as novate_types::Listing>::apply_due(block);
}

pub fn events() -> Vec<crate::Event<Test>> {
    System::events()
        .into_iter()
        .filter_map(|r| match r.event {
            RuntimeEvent::Instruments(e) => Some(e),
            _ => None,
        })
        .collect()
}

pub fn last_event() -> crate::Event<Test> {
    events().pop().expect("an event")
}
