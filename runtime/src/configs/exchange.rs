//! The exchange: which pallet answers which trait of `novate-types`, and the constants that bound them.

use crate::*;
use frame_support::{
    parameter_types,
    traits::{ConstU32, ConstU64, Contains},
    weights::{constants::WEIGHT_REF_TIME_PER_MILLIS, Weight},
    PalletId,
};
use frame_system::EnsureRoot;
use novate_risk::{Linear, LiquidationParams};
use novate_types::{AccountRef, AssetId, Cash, FeedId, Ppm, QUANTUMS};
use pallet_liquidation::AllAccounts;
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

const fn millis(ms: u64) -> Weight {
    Weight::from_parts(ms * WEIGHT_REF_TIME_PER_MILLIS, 0)
}

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
    };
    pub const MaxCollateralStep: pallet_margin::CollateralStep = pallet_margin::CollateralStep {
        relative: 250_000,
        haircut: 10_000,
        cash: 1_000 * QUANTUMS.unsigned_abs(),
        units: 1_000,
    };
    pub const MaxFee: Ppm = 10_000;
    pub const Deviation: Ppm = 1_000;
    pub const LiquidationBase: Weight = millis(20);
    pub const LiquidationPerAccount: Weight = millis(1);
    pub const LiquidationCap: Weight = millis(150);
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
    pub const BacklogShare: Ppm = 100_000;
    pub const LossCap: Cash = 250_000 * QUANTUMS;
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
    // Delisting waits for expiry and removal of flat markets.
    type Vacant = frame_support::traits::Nothing;
    type Sweep = Liquidation;
    type Timelock = ConstU32<DAYS>;
    type MaxStep = MaxStep;
    type MaxFee = MaxFee;
    type MaxPending = ConstU32<64>;
    type MaxAppliedPerBlock = ConstU32<4>;
    type WeightInfo = pallet_instruments::weights::SubstrateWeight<Runtime>;
}

impl pallet_price_oracle::Config for Runtime {
    type GovernanceOrigin = EnsureRoot<AccountId>;
    type Time = Timestamp;
    type Weights = pallet_price_oracle::EqualWeights;
    type MaxValidators = crate::configs::consensus::MaxValidators;
    type Heartbeat = ConstU64<3_000>;
    type Deviation = Deviation;
    type WeightInfo = pallet_price_oracle::weights::SubstrateWeight<Runtime>;
}

impl pallet_order_book::Config for Runtime {
    type Ledger = Margin;
    type Risk = Linear;
    type View = Clearing;
    type IntakeQuota = ConstU32<256>;
    type MaxExpiry = ConstU32<{ 30 * DAYS }>;
    type LoadLimit = ConstU32<1_024>;
    type QuoteDepth = ConstU32<1_024>;
    type UpkeepPages = ConstU32<4>;
    type WeightInfo = ();
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
    type WeightInfo = pallet_margin::weights::SubstrateWeight<Runtime>;
}

impl pallet_clearing::Config for Runtime {
    type Listing = Instruments;
    type Feeds = Oracle;
    type Ledger = Margin;
    type Book = OrderBook;
    type Liquidations = Liquidation;
    type Risk = Linear;
    type Time = Timestamp;
    type InsuranceFund = InsuranceFund;
    type Vault = Vault;
    type SettlementFeed = SettlementFeed;
    type FreshFor = ConstU64<6_000>;
    type OpenFor = ConstU64<15_000>;
    type MatchesFor = ConstU64<60_000>;
    type ReopeningBlocks = ConstU32<10>;
    type BasisSpan = ConstU64<150_000>;
    type LastTradeFor = ConstU64<60_000>;
    type MaxFundingSpan = ConstU64<60_000>;
    type LiquidationFee = LiquidationFee;
    type MaxFillsPerMarket = ConstU32<512>;
    type MaxFillsTotal = ConstU32<2_048>;
    type MaxQueue = ConstU32<1_024>;
    type MaxPendingPerOwner = ConstU32<16>;
    type MaxRequestsPerClose = ConstU32<128>;
    type LiquidationBase = LiquidationBase;
    type LiquidationPerAccount = LiquidationPerAccount;
    type LiquidationCap = LiquidationCap;
    type WeightInfo = pallet_clearing::weights::SubstrateWeight<Runtime>;
}

/// Every margin account, in the order of the storage map's hashes.
pub struct EveryAccount;

impl AllAccounts<AccountId> for EveryAccount {
    fn after(previous: Option<&AccountRef<AccountId>>, most: u32) -> Vec<AccountRef<AccountId>> {
        use pallet_margin::Accounts;
        let most = most as usize;
        match previous {
            None => Accounts::<Runtime>::iter_keys().take(most).collect(),
            Some(last) => {
                let key = Accounts::<Runtime>::hashed_key_for(last);
                Accounts::<Runtime>::iter_keys_from(key)
                    .take(most)
                    .collect()
            }
        }
    }
}

impl pallet_liquidation::Config for Runtime {
    type Ledger = Margin;
    type Book = OrderBook;
    type Risk = Linear;
    type View = Clearing;
    type Accounts = EveryAccount;
    type GovernanceOrigin = EnsureRoot<AccountId>;
    type Vault = Vault;
    type InsuranceFund = InsuranceFund;
    type Params = Liquidating;
    type BacklogShare = BacklogShare;
    type DefaultLossCap = LossCap;
    type LossWindow = ConstU32<DAYS>;
    type MaxPops = ConstU32<512>;
    type MaxLiquidations = ConstU32<64>;
    type MaxDeleveraged = ConstU32<64>;
    type MaxRankReads = ConstU32<512>;
    type SweepPerClose = ConstU32<8>;
    type WeightInfo = pallet_liquidation::weights::SubstrateWeight<Runtime>;
}
