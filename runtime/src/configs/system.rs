//! Blocks and their limits, balances, assets and fees.

use crate::{
    weights::{BlockExecutionWeight, ExtrinsicBaseWeight},
    *,
};
use frame_support::{
    derive_impl,
    dispatch::DispatchClass,
    parameter_types,
    traits::{AsEnsureOriginWithArg, ConstU128, ConstU32, ConstU64, ConstU8},
    weights::{constants::WEIGHT_REF_TIME_PER_MILLIS, ConstantMultiplier, IdentityFee, Weight},
};
use frame_system::{
    limits::{BlockLength, BlockWeights},
    EnsureRoot, EnsureSigned,
};
use pallet_transaction_payment::{ConstFeeMultiplier, Multiplier};
use sp_runtime::{traits::One, Perbill};

/// Part of a block that operators' calls leave to everybody else's.
const NORMAL_DISPATCH_RATIO: Perbill = Perbill::from_percent(85);
/// Execution time of one block: half a slot, so that an importer on the same hardware keeps up.
pub const MAXIMUM_BLOCK_WEIGHT: Weight =
    Weight::from_parts(500 * WEIGHT_REF_TIME_PER_MILLIS, u64::MAX);

parameter_types! {
    pub const Version: sp_version::RuntimeVersion = VERSION;
    pub const SS58Prefix: u16 = 42;
    pub RuntimeBlockLength: BlockLength = BlockLength::builder()
        .max_length(5 * 1024 * 1024)
        .modify_max_length_for_class(DispatchClass::Normal, |length| {
            *length = NORMAL_DISPATCH_RATIO * 5 * 1024 * 1024
        })
        .build();
    pub RuntimeBlockWeights: BlockWeights = BlockWeights::builder()
        .base_block(BlockExecutionWeight::get())
        .for_class(DispatchClass::all(), |weights| {
            weights.base_extrinsic = ExtrinsicBaseWeight::get();
        })
        .for_class(DispatchClass::Normal, |weights| {
            weights.max_total = Some(NORMAL_DISPATCH_RATIO * MAXIMUM_BLOCK_WEIGHT);
        })
        .for_class(DispatchClass::Operational, |weights| {
            weights.max_total = Some(MAXIMUM_BLOCK_WEIGHT);
            weights.reserved = Some(MAXIMUM_BLOCK_WEIGHT - NORMAL_DISPATCH_RATIO * MAXIMUM_BLOCK_WEIGHT);
        })
        .avg_block_initialization(Perbill::from_percent(10))
        .build_or_panic();
    pub FeeMultiplier: Multiplier = Multiplier::one();
}

#[derive_impl(frame_system::config_preludes::SolochainDefaultConfig)]
impl frame_system::Config for Runtime {
    type Block = Block;
    type Nonce = Nonce;
    type Hash = Hash;
    type AccountId = AccountId;
    type AccountData = pallet_balances::AccountData<Balance>;
    type BlockHashCount = ConstU32<2400>;
    type BlockWeights = RuntimeBlockWeights;
    type BlockLength = RuntimeBlockLength;
    type DbWeight = weights::DbWeight;
    type ExtensionsWeightInfo = weights::Extensions;
    type Version = Version;
    type SS58Prefix = SS58Prefix;
    type MaxConsumers = ConstU32<16>;
    // What extrinsics left to the ledger comes first, so that whoever deposits in time is not liquidated.
    type PostTransactions = (Margin, Clearing);
}

impl pallet_balances::Config for Runtime {
    type MaxLocks = ConstU32<50>;
    type MaxReserves = ConstU32<50>;
    type ReserveIdentifier = [u8; 8];
    type Balance = Balance;
    type RuntimeEvent = RuntimeEvent;
    type DustRemoval = ();
    type ExistentialDeposit = ConstU128<EXISTENTIAL_DEPOSIT>;
    type AccountStore = System;
    type WeightInfo = weights::Balances<Runtime>;
    type FreezeIdentifier = RuntimeFreezeReason;
    type MaxFreezes = frame_support::traits::VariantCountOf<RuntimeFreezeReason>;
    type RuntimeHoldReason = RuntimeHoldReason;
    type RuntimeFreezeReason = RuntimeFreezeReason;
    type DoneSlashHandler = ();
}

#[derive_impl(pallet_assets::config_preludes::TestDefaultConfig)]
impl pallet_assets::Config for Runtime {
    type Balance = u128;
    type AssetId = u32;
    type AssetIdParameter = codec::Compact<u32>;
    type Currency = Balances;
    type CreateOrigin = AsEnsureOriginWithArg<EnsureSigned<AccountId>>;
    type ForceOrigin = EnsureRoot<AccountId>;
    type AssetDeposit = ConstU128<{ 100 * UNIT }>;
    type AssetAccountDeposit = ConstU128<UNIT>;
    type MetadataDepositBase = ConstU128<{ 10 * UNIT }>;
    type MetadataDepositPerByte = ConstU128<{ UNIT / 10 }>;
    type ApprovalDeposit = ConstU128<EXISTENTIAL_DEPOSIT>;
    type StringLimit = ConstU32<50>;
    type RemoveItemsLimit = ConstU32<1000>;
    type WeightInfo = pallet_assets::weights::SubstrateWeight<Runtime>;
}

impl pallet_transaction_payment::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type OnChargeTransaction = super::fees::ToAuthor;
    type OperationalFeeMultiplier = ConstU8<5>;
    type WeightToFee = IdentityFee<Balance>;
    type LengthToFee = ConstantMultiplier<Balance, ConstU128<1_000_000>>;
    type FeeMultiplierUpdate = ConstFeeMultiplier<FeeMultiplier>;
    type WeightInfo = weights::Extensions;
}

impl pallet_timestamp::Config for Runtime {
    type Moment = u64;
    type OnTimestampSet = Aura;
    type MinimumPeriod = ConstU64<{ SLOT_MILLIS / 2 }>;
    type WeightInfo = pallet_timestamp::weights::SubstrateWeight<Runtime>;
}

impl pallet_sudo::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type WeightInfo = pallet_sudo::weights::SubstrateWeight<Runtime>;
}

/// The workers' transactions are general ones: a call, no signer, and the extensions' defaults.
mod own_transactions {
    use super::*;
    use frame_system::offchain::{
        CreateAuthorizedTransaction, CreateTransaction, CreateTransactionBase,
    };

    impl<Call> CreateTransactionBase<Call> for Runtime
    where
        RuntimeCall: From<Call>,
    {
        type RuntimeCall = RuntimeCall;
        type Extrinsic = UncheckedExtrinsic;
    }

    impl<Call> CreateTransaction<Call> for Runtime
    where
        RuntimeCall: From<Call>,
    {
        type Extension = TxExtension;

        fn create_transaction(call: RuntimeCall, extension: TxExtension) -> UncheckedExtrinsic {
            UncheckedExtrinsic::new_transaction(call, extension)
        }
    }

    impl<Call> CreateAuthorizedTransaction<Call> for Runtime
    where
        RuntimeCall: From<Call>,
    {
        fn create_extension() -> TxExtension {
            (
                frame_system::AuthorizeCall::new(),
                frame_system::CheckNonZeroSender::new(),
                frame_system::CheckSpecVersion::new(),
                frame_system::CheckTxVersion::new(),
                crate::extensions::CheckGenesis,
                crate::extensions::CheckMortality(generic::Era::Immortal),
                frame_system::CheckNonce::from(0),
                frame_system::CheckWeight::new(),
                pallet_transaction_payment::ChargeTransactionPayment::from(0),
                frame_metadata_hash_extension::CheckMetadataHash::new(false),
                frame_system::WeightReclaim::new(),
            )
        }
    }
}
