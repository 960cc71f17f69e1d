//! Two of `frame_system`'s transaction extensions that read the genesis block's hash, for less.
//!
//! Every extrinsic is asked twice what it implies, and both extensions read the same value each time; the library's hash its key, copy and
//! decode it, and look whether it is there first: sixteen calls of the host an extrinsic, a tenth of what a single order costs. Identifiers,
//! encodings and what is signed are those of the library, and mortal transactions are left to it.

use crate::{Hash, Runtime, RuntimeCall, RuntimeOrigin};
use codec::{Decode, DecodeWithMemTracking, Encode};
use core::fmt;
use frame_support::weights::Weight;
use scale_info::TypeInfo;
use sp_runtime::{
    generic::Era,
    impl_tx_ext_default,
    traits::{DispatchInfoOf, Implication, TransactionExtension, ValidateResult},
    transaction_validity::{TransactionSource, TransactionValidityError, ValidTransaction},
};

/// Key of the genesis block's hash: `System.BlockHash(0)`.
const GENESIS_HASH: [u8; 44] = sp_core::hex2array!(
    "26aa394eea5630e07c48ae0c9558cef7a44704b568d21667356a5a050c118746b4def25cfda6ef3a00000000"
);

fn genesis_hash() -> Hash {
    let mut hash = Hash::default();
    sp_io::storage::read(&GENESIS_HASH, &mut hash.0, 0);
    hash
}

/// Binds a transaction to this chain.
#[derive(Encode, Decode, DecodeWithMemTracking, Clone, Eq, PartialEq, TypeInfo, Default)]
pub struct CheckGenesis;

impl fmt::Debug for CheckGenesis {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("CheckGenesis")
    }
}

impl TransactionExtension<RuntimeCall> for CheckGenesis {
    const IDENTIFIER: &'static str = "CheckGenesis";
    type Implicit = Hash;
    type Val = ();
    type Pre = ();

    fn implicit(&self) -> Result<Hash, TransactionValidityError> {
        Ok(genesis_hash())
    }

    fn weight(&self, call: &RuntimeCall) -> Weight {
        frame_system::CheckGenesis::<Runtime>::new().weight(call)
    }

    impl_tx_ext_default!(RuntimeCall; validate prepare);
}

/// Bounds a transaction's life, or not.
#[derive(Encode, Decode, DecodeWithMemTracking, Clone, Eq, PartialEq, TypeInfo)]
pub struct CheckMortality(pub Era);

impl CheckMortality {
    fn of_library(&self) -> frame_system::CheckMortality<Runtime> {
        frame_system::CheckMortality::from(self.0)
    }
}

impl fmt::Debug for CheckMortality {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "CheckMortality({:?})", self.0)
    }
}

impl TransactionExtension<RuntimeCall> for CheckMortality {
    const IDENTIFIER: &'static str = "CheckMortality";
    type Implicit = Hash;
    type Val = ();
    type Pre = ();

    fn implicit(&self) -> Result<Hash, TransactionValidityError> {
        if self.0.is_immortal() {
            return Ok(genesis_hash());
        }
        self.of_library().implicit()
    }

    fn weight(&self, call: &RuntimeCall) -> Weight {
        self.of_library().weight(call)
    }

    fn validate(
        &self,
        origin: RuntimeOrigin,
        call: &RuntimeCall,
        info: &DispatchInfoOf<RuntimeCall>,
        len: usize,
        implicit: Hash,
        implication: &impl Implication,
        source: TransactionSource,
    ) -> ValidateResult<(), RuntimeCall> {
        if self.0.is_immortal() {
            return Ok((ValidTransaction::default(), (), origin));
        }
        self.of_library()
            .validate(origin, call, info, len, implicit, implication, source)
    }

    impl_tx_ext_default!(RuntimeCall; prepare);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BlockNumber;
    use frame_system::BlockHash;
    use sp_runtime::{transaction_validity::InvalidTransaction, BuildStorage};

    fn at_block<R>(block: BlockNumber, run: impl FnOnce() -> R) -> R {
        let storage = frame_system::GenesisConfig::<Runtime>::default().build_storage();
        let mut chain = sp_io::TestExternalities::new(storage.expect("it is a genesis"));
        chain.execute_with(|| {
            for number in [0, 64] {
                let hash = Hash::repeat_byte(number as u8 + 1);
                BlockHash::<Runtime>::insert(number, hash);
            }
            frame_system::Pallet::<Runtime>::set_block_number(block);
            run()
        })
    }

    #[test]
    fn the_key_is_that_of_the_genesis_block() {
        assert_eq!(BlockHash::<Runtime>::hashed_key_for(0), GENESIS_HASH);
    }

    #[test]
    fn what_is_implied_is_what_the_library_implies() {
        at_block(70, || {
            assert_eq!(
                CheckGenesis.implicit(),
                frame_system::CheckGenesis::<Runtime>::new().implicit()
            );
            for era in [Era::Immortal, Era::mortal(64, 70), Era::mortal(4, 3)] {
                assert_eq!(
                    CheckMortality(era).implicit(),
                    frame_system::CheckMortality::<Runtime>::from(era).implicit()
                );
            }
            let ancient = CheckMortality(Era::mortal(4, 3)).implicit();
            assert_eq!(ancient, Err(InvalidTransaction::AncientBirthBlock.into()));
        });
    }

    #[test]
    fn encodings_are_those_of_the_library() {
        for era in [Era::Immortal, Era::mortal(64, 70)] {
            let library = frame_system::CheckMortality::<Runtime>::from(era);
            assert_eq!(CheckMortality(era).encode(), library.encode());
        }
        assert!(CheckGenesis.encode().is_empty());
    }
}
