//! What transaction extensions cost beside an extrinsic's base weight: the key they change.
//!
//! The empty extrinsic by which [`super::ExtrinsicBaseWeight`] is measured goes through all of them. It does not count the database, where they change the signer's wallet
//! (nonce and fee); what else they touch is changed once a block. FRAME's own figures for them would count all of this twice, with another database's costs.

use super::DbWeight;
use frame_support::{traits::Get, weights::Weight};

/// For `frame_system` and `pallet_transaction_payment`.
pub struct Extensions;

impl frame_system::ExtensionsWeightInfo for Extensions {
    fn check_genesis() -> Weight {
        Weight::zero()
    }
    fn check_mortality_mortal_transaction() -> Weight {
        DbWeight::get().reads(1)
    }
    fn check_mortality_immortal_transaction() -> Weight {
        Weight::zero()
    }
    fn check_non_zero_sender() -> Weight {
        Weight::zero()
    }
    fn check_nonce() -> Weight {
        DbWeight::get().reads_writes(1, 1)
    }
    fn check_spec_version() -> Weight {
        Weight::zero()
    }
    fn check_tx_version() -> Weight {
        Weight::zero()
    }
    fn check_weight() -> Weight {
        Weight::zero()
    }
    fn weight_reclaim() -> Weight {
        Weight::zero()
    }
}

impl pallet_transaction_payment::WeightInfo for Extensions {
    fn charge_transaction_payment() -> Weight {
        Weight::zero()
    }
}
