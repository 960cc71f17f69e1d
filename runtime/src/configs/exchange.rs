//! The exchange: which pallet answers which trait of `novate-types`, and the constants that bound them.

use crate::*;
use alloc::vec::Vec;
use frame_support::{
    parameter_types,
    traits::{ConstU32, ConstU64, ConstU8, Contains, Get},
    weights::Weight,
    PalletId,
};
use frame_system::EnsureRoot;
use novate_risk::{
    portfolio::{Lesser, PortfolioParams, PricedOptions, VolatilityShock},
    LiquidationParams, QuoteParams, StressMove, StressParams, VolatilityParams,
};
use novate_types::{
    math, AccountRef, AssetId, Cash, CollateralParams, FeedId, MarketId, ParametersAhead, Ppm,
    Price, MAX_MARKETS, QUANTUMS,
};
use pallet_liquidation::{LossCapStep, Work};
use pallet_price_oracle::surface::{ListedStrike, ListedStrikes};
use sp_runtime::traits::AccountIdConversion;

/// The settlement currency.
pub const USDC: AssetId = 1;
/// A stablecoin taken as collateral.
pub const USDT: AssetId = 2;
/// Bitcoin taken as collateral.
pub const BTC: AssetId = 3;
/// Feed of BTC in USD.
pub const BTC_FEED: FeedId = 0;
/// Feed of USDC in USD.
pub const USDC_FEED: FeedId = 1;
/// Feed of USDT in USD.
pub const USDT_FEED: FeedId = 2;

/// Holds every deposit.
pub const CUSTODY: PalletId = PalletId(*b"nov/cust");
/// Owner of the insurance fund's account.
pub const INSURANCE_FUND: PalletId = PalletId(*b"nov/insu");
/// Owner of the backstop vault's account.
pub const VAULT: PalletId = PalletId(*b"nov/vaul");

parameter_types! {
    pub const Custody: PalletId = CUSTODY;
    pub const SettlementAsset: AssetId = USDC;
    pub const SettlementFeed: FeedId = USDC_FEED;
    pub InsuranceFund: AccountRef<AccountId> = AccountRef::new(INSURANCE_FUND.into_account_truncating(), 0);
    pub Vault: AccountRef<AccountId> = AccountRef::new(VAULT.into_account_truncating(), 0);
    pub const MaxStep: pallet_instruments::Step = pallet_instruments::Step {
        relative: 250_000,
        fraction: 1_000,
        rate: 100,
        cash: 1_000 * QUANTUMS.unsigned_abs(),
        lots: 1_000,
        blocks: 5,
    };
    pub const MaxCollateralStep: pallet_margin::CollateralStep = pallet_margin::CollateralStep {
        relative: 250_000,
        haircut: 10_000,
        cash: 1_000 * QUANTUMS.unsigned_abs(),
        units: 1_000,
    };
    pub const MaxLoanStep: pallet_margin::LoanStep = pallet_margin::LoanStep {
        relative: 250_000,
        fraction: 10_000,
        cash: 1_000 * QUANTUMS.unsigned_abs(),
    };
    pub const MaxFee: Ppm = 10_000;
    pub const Deviation: Ppm = 1_000;
    pub const OutlierShare: Ppm = 50_000;
    pub const SurfaceDeviation: Ppm = 20_000;
    pub const LiquidationFee: Ppm = 5_000;
    // dYdX v4's defaults: BA 1, SMMR 0.1; its liquidation fee is at most 1.5 %.
    pub const Liquidating: LiquidationParams = LiquidationParams {
        bankruptcy_adjustment: 1_000_000,
        spread_to_maintenance: 100_000,
        fee: 5_500,
        concession: 1_000,
        target_buffer: 250_000,
        depth_share: 250_000,
    };
    // dYdX v4's defaults for its Megavault, one layer.
    pub const Quoting: QuoteParams = QuoteParams {
        spread_min: 10_000,
        spread_buffer: 1_500,
        skew_factor: 2_000_000,
        order_size: 100_000,
        concession: 1_000,
        requote: 1_000,
    };
    // Hours: five days and five days, a year and half of one, four hours to liquidate. GARCH weights of the usual size, which forget half of a
    // shock in a day and a half. Three deviations.
    pub const Forecasting: VolatilityParams = VolatilityParams {
        half_life: 120,
        seed: 120,
        alpha: 50_000,
        beta: 930_000,
        long_run: 8_760,
        memory: 4_380,
        horizon: 4,
        stress_weight: 250_000,
        covered: 3_000_000,
    };
    // Cells of section 11's grid: all of its price moves but none, the large ones with volatility up, as whoever has written options lacks most there, and the
    // least with volatility down, where whoever is hedged by bought ones does. The two worst of eight; cover 2, with a tenth more.
    pub const Stressing: StressParams = StressParams {
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
        least_scale: 250_000,
    };
    pub const MostFollowed: Ppm = 3_000_000;
    pub const MinShareDeposit: Cash = 10 * QUANTUMS;
    pub const PartiesWeight: Weight = Weight::from_parts(120_000_000_000, 10_000_000);
    pub const PressedPartiesWeight: Weight = Weight::from_parts(32_000_000_000, 10_000_000);
    pub const BacklogShare: Ppm = 100_000;
    pub const LossCap: Cash = 250_000 * QUANTUMS;
    pub const MaxLossCapStep: LossCapStep = LossCapStep {
        relative: 250_000,
        cash: 1_000 * QUANTUMS.unsigned_abs(),
    };
    pub const Calm: Work = Work {
        pops: 256,
        looks: 480,
        liquidations: 128,
        deleveraged: 128,
        ranks: 128,
    };
}

/// Feeds that the oracle prices.
pub struct Feeds;

impl Contains<FeedId> for Feeds {
    fn contains(feed: &FeedId) -> bool {
        pallet_price_oracle::Feeds::<Runtime>::get().contains_key(feed)
    }
}

impl pallet_instruments::Config for Runtime {
    type GovernanceOrigin = EnsureRoot<AccountId>;
    type EmergencyOrigin = EnsureRoot<AccountId>;
    type Feeds = Feeds;
    // What expires is removed by the close; of the others none is.
    type Vacant = frame_support::traits::Nothing;
    type Sweep = Liquidation;
    type Time = Timestamp;
    type Timelock = ConstU32<DAYS>;
    type MostFollowed = MostFollowed;
    type MaxStep = MaxStep;
    type MaxFee = MaxFee;
    type MaxPending = ConstU32<64>;
    type MaxAppliedPerBlock = ConstU32<4>;
    type WeightInfo = pallet_instruments::weights::SubstrateWeight<Runtime>;
}

/// Feeds that the settlement currency, a market or a collateral asset is priced by.
pub struct PricedFeeds;

impl Contains<FeedId> for PricedFeeds {
    fn contains(feed: &FeedId) -> bool {
        use pallet_margin::{Collaterals, PendingCollaterals};
        *feed == SettlementFeed::get()
            || pallet_instruments::Instruments::<Runtime>::iter_values()
                .any(|market| market.underlying == *feed)
            || Collaterals::<Runtime>::get()
                .values()
                .any(|params| params.feed == *feed)
            || PendingCollaterals::<Runtime>::get()
                .values()
                .any(|change| change.params.feed == *feed)
    }
}

/// Strikes of the options that are listed, with the forwards that they were last marked on.
pub struct ListedOptions;

impl ListedStrikes for ListedOptions {
    fn strikes(underlying: FeedId) -> Vec<ListedStrike> {
        let view = pallet_clearing::View::<Runtime>::get();
        let options = view.markets.iter().filter(|market| {
            let contract = market.contract;
            market.underlying == underlying && contract.kind.is_option() && !contract.settled
        });
        options
            .filter(|market| market.index != Price::default())
            .filter_map(|market| {
                Some(ListedStrike {
                    expiry: market.contract.expiry,
                    strike: math::price_of(market.contract.strike, market.tick_size).ok()?,
                    forward: market.index,
                })
            })
            .collect()
    }
}

impl pallet_price_oracle::Config for Runtime {
    type GovernanceOrigin = EnsureRoot<AccountId>;
    type EmergencyOrigin = EnsureRoot<AccountId>;
    type InUse = PricedFeeds;
    type Timelock = ConstU32<DAYS>;
    type MaxStep = ConstU8<1>;
    type MaxPending = ConstU32<16>;
    type MaxAppliedPerBlock = ConstU32<4>;
    type Time = Timestamp;
    type Weights = pallet_price_oracle::EqualWeights;
    type MaxValidators = crate::configs::consensus::MaxValidators;
    type Heartbeat = ConstU64<3_000>;
    type Deviation = Deviation;
    // Six hours.
    type SessionsPerEra = ConstU32<6>;
    type OutlierShare = OutlierShare;
    // Three days.
    type KeptEras = ConstU32<12>;
    type OffenceEras = ConstU32<3>;
    // Nobody earns rewards or holds stake yet: scores and verdicts are recorded and reported, and nothing follows from them.
    type Consequences = ();
    type SurfaceHeartbeat = ConstU64<30_000>;
    type SurfaceDeviation = SurfaceDeviation;
    // Five heartbeats, as for prices.
    type SurfaceFreshFor = ConstU64<150_000>;
    type Strikes = ListedOptions;
    type WeightInfo = pallet_price_oracle::weights::SubstrateWeight<Runtime>;
}

/// What clearing does for new orders at the close.
pub struct Novating;

impl pallet_order_book::Novating for Novating {
    fn order() -> Weight {
        use pallet_clearing::{Config, WeightInfo};
        <Runtime as Config>::WeightInfo::fill()
    }
    fn party(holdings: u32, thresholds: u32) -> Weight {
        use pallet_clearing::{Config, WeightInfo};
        <Runtime as Config>::WeightInfo::party(holdings, thresholds)
            .weight(<Runtime as frame_system::Config>::DbWeight::get())
    }
    fn least_for_triggers() -> u64 {
        Clearing::least_for_triggers()
    }
}

impl pallet_order_book::Config for Runtime {
    type Ledger = Margin;
    type Risk = RiskRules;
    type View = Clearing;
    type IntakeQuota = ConstU32<256>;
    type MaxExpiry = ConstU32<{ 30 * DAYS }>;
    type LoadLimit = ConstU32<512>;
    type BlockReads = ConstU32<17_408>;
    type QuoteDepth = ConstU32<128>;
    type UpkeepPages = ConstU32<1>;
    type ExpiringTriggers = ConstU32<8>;
    type Novating = Novating;
    type WeightInfo = pallet_order_book::weights::SubstrateWeight<Runtime>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = crate::benchmarks::Helper;
}

impl pallet_margin::Config for Runtime {
    type Assets = Assets;
    type SettlementAsset = SettlementAsset;
    type PalletId = Custody;
    type RiskIndex = Liquidation;
    type View = Clearing;
    type Feeds = Feeds;
    type Sweep = Liquidation;
    type GovernanceOrigin = EnsureRoot<AccountId>;
    type EmergencyOrigin = EnsureRoot<AccountId>;
    type Timelock = ConstU32<DAYS>;
    type MaxStep = MaxCollateralStep;
    type MaxLoanStep = MaxLoanStep;
    type WeightInfo = pallet_margin::weights::SubstrateWeight<Runtime>;
}

/// The margin model of all pallets: of each underlying the lesser of by parts and by scan, options valued as the close priced them.
pub type RiskRules = Lesser<Clearing>;

/// What the pallets around clearing need of a close. The oracle's part is reserved by the oracle.
pub struct OthersClose;

impl OthersClose {
    fn parameters() -> Weight {
        use pallet_instruments::{Config, WeightInfo};
        <Runtime as Config>::WeightInfo::apply_due(<Runtime as Config>::MaxAppliedPerBlock::get())
    }

    /// Without volatilities.
    fn oracle() -> Weight {
        use pallet_price_oracle::{Config, WeightInfo, MAX_FEEDS};
        type Weights = <Runtime as Config>::WeightInfo;
        let validators = <Runtime as Config>::MaxValidators::get();
        Weights::close_round(validators, MAX_FEEDS).saturating_add(Weights::apply_due(
            <Runtime as Config>::MaxAppliedPerBlock::get(),
        ))
    }
}

impl pallet_clearing::CloseReserve for OthersClose {
    fn reserve() -> Weight {
        Self::parameters()
            .saturating_add(Instruments::listing_weight())
            .saturating_add(OrderBook::close_weight(Clearing::known_markets()))
    }

    fn worst() -> Weight {
        use pallet_instruments::{Config, WeightInfo};
        Self::parameters()
            .saturating_add(<Runtime as Config>::WeightInfo::list_due())
            .saturating_add(Self::oracle())
            .saturating_add(Oracle::most_for_surface())
            .saturating_add(OrderBook::close_weight(MAX_MARKETS))
    }

    fn liquidation() -> Weight {
        Liquidation::budget()
    }

    fn calm_liquidation() -> Weight {
        Liquidation::calm_budget()
    }

    fn unmatched(markets: u32) -> Weight {
        OrderBook::unmatched(markets)
    }

    fn spent(matched: u32) -> Weight {
        Self::parameters()
            .saturating_add(Instruments::listing_weight())
            .saturating_add(OrderBook::spent(matched))
            .saturating_add(Liquidation::spent())
    }
}

/// What a close leaves to liquidation. The oracle's part is reserved by the oracle.
pub struct LiquidationRoom;

impl Get<Weight> for LiquidationRoom {
    fn get() -> Weight {
        use pallet_instruments::{Config, WeightInfo};
        // Whether the next close looks at the rules of listing, this one does not ask.
        Clearing::room_for_liquidation()
            .saturating_sub(OthersClose::oracle())
            .saturating_sub(Oracle::next_surface_weight())
            .saturating_sub(<Runtime as Config>::WeightInfo::list_due())
    }
}

/// What the vault's quotes cost a close.
pub struct QuotingWeight;

impl Get<Weight> for QuotingWeight {
    fn get() -> Weight {
        use pallet_liquidation::quoting::{QUOTED_MARKETS, QUOTE_OPERATIONS};
        OrderBook::close_operations(QUOTE_OPERATIONS, QUOTED_MARKETS)
    }
}

/// Parameters in force or scheduled, the stricter of both: what thresholds are drawn with.
pub struct Ahead;

impl ParametersAhead for Ahead {
    fn maintenance(market: MarketId) -> Option<Ppm> {
        Instruments::maintenance_ahead(market)
    }
    fn collateral(asset: AssetId) -> Option<CollateralParams> {
        Margin::collateral_ahead(asset)
    }
}

impl pallet_clearing::Config for Runtime {
    type Listing = Instruments;
    type Feeds = Oracle;
    type Ledger = Margin;
    type Loans = Margin;
    type Book = OrderBook;
    type Liquidations = Liquidation;
    type Volatility = Oracle;
    type Risk = RiskRules;
    type Time = Timestamp;
    type InsuranceFund = InsuranceFund;
    type Vault = Vault;
    type SettlementFeed = SettlementFeed;
    type FreshFor = ConstU64<6_000>;
    type OpenFor = ConstU64<15_000>;
    type MatchesFor = ConstU64<60_000>;
    type BasisSpan = ConstU64<150_000>;
    type LastTradeFor = ConstU64<60_000>;
    type MaxFundingSpan = ConstU64<60_000>;
    type LiquidationFee = LiquidationFee;
    type MaxFillsPerMarket = ConstU32<512>;
    type MaxFillsTotal = ConstU32<1_024>;
    type PartiesWeight = PartiesWeight;
    type PressedPartiesWeight = PressedPartiesWeight;
    type MaxQueue = ConstU32<1_024>;
    type MaxPendingPerOwner = ConstU32<16>;
    type MaxRequestsPerClose = ConstU32<8>;
    type Others = OthersClose;
    type GovernanceOrigin = EnsureRoot<AccountId>;
    type Timelock = ConstU32<DAYS>;
    type MaxScenarios = ConstU32<{ novate_risk::portfolio::STANDARD_SCENARIOS }>;
    type WeightInfo = pallet_clearing::weights::SubstrateWeight<Runtime>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = crate::benchmarks::Helper;
}

/// The portfolio model's parameters in force.
pub struct PortfolioRules;

impl Get<PortfolioParams> for PortfolioRules {
    fn get() -> PortfolioParams {
        Clearing::params()
    }
}

impl pallet_liquidation::Config for Runtime {
    type Ledger = Margin;
    type Book = OrderBook;
    type Risk = RiskRules;
    type PortfolioRules = PortfolioRules;
    type View = Clearing;
    type Ahead = Ahead;
    type GovernanceOrigin = EnsureRoot<AccountId>;
    type EmergencyOrigin = EnsureRoot<AccountId>;
    type Timelock = ConstU32<DAYS>;
    type MaxStep = MaxLossCapStep;
    type Vault = Vault;
    type InsuranceFund = InsuranceFund;
    type Params = Liquidating;
    type BacklogShare = BacklogShare;
    type DefaultLossCap = LossCap;
    type Follow = Instruments;
    type StressInterval = ConstU64<3_600_000>;
    type Volatility = Forecasting;
    type Stress = Stressing;
    type LossWindow = ConstU32<DAYS>;
    type Quoting = Quoting;
    type QuotingWeight = QuotingWeight;
    type EpochLength = ConstU32<HOURS>;
    type LockUp = ConstU32<{ 7 * DAYS }>;
    type MinShareDeposit = MinShareDeposit;
    type MaxShareRequests = ConstU32<8>;
    type MaxShareQueue = ConstU32<1_024>;
    type MaxSharesPending = ConstU32<4>;
    type Calm = Calm;
    type Room = LiquidationRoom;
    type MaxPops = ConstU32<8_192>;
    type MaxLooks = ConstU32<32_768>;
    type MaxLiquidations = ConstU32<16_384>;
    type MaxDeleveraged = ConstU32<32_768>;
    type MaxRankReads = ConstU32<16_384>;
    type MaxBids = ConstU32<64>;
    type MaxBidsPerAccount = ConstU32<16>;
    type SweepPerClose = ConstU32<2>;
    type WeightInfo = pallet_liquidation::weights::SubstrateWeight<Runtime>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = crate::benchmarks::Helper;
}
