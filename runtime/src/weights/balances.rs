//! What calls of `pallet-balances` cost: the library's figures, and what they leave out.
//!
//! They are of wallets that the caches hold, the sender's among them. Whoever fills a block with transfers to wallets that nobody has used for
//! long has each of them read from the database, and the nodes of its path in the trie as well once the root is computed.

use super::DbWeight;
use core::marker::PhantomData;
use frame_support::weights::Weight;
use pallet_balances::WeightInfo;

type Library<T> = pallet_balances::weights::SubstrateWeight<T>;

/// A wallet that is not in the caches, read and written: a read of the database for itself, and for its path what a write of one that is costs
/// once more. So a block of such transfers took about what it was charged on the instance that the database was measured on (`novate-bench --scenario 10`).
fn cold() -> Weight {
    DbWeight::get().reads_writes(super::COLD_READ, 1)
}

/// Of calls that touch one wallet beside the signer's.
pub struct Balances<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for Balances<T> {
    fn transfer_allow_death() -> Weight {
        Library::<T>::transfer_allow_death().saturating_add(cold())
    }
    fn transfer_keep_alive() -> Weight {
        Library::<T>::transfer_keep_alive().saturating_add(cold())
    }
    fn force_set_balance_creating() -> Weight {
        Library::<T>::force_set_balance_creating().saturating_add(cold())
    }
    fn force_set_balance_killing() -> Weight {
        Library::<T>::force_set_balance_killing().saturating_add(cold())
    }
    fn force_transfer() -> Weight {
        Library::<T>::force_transfer().saturating_add(cold().saturating_mul(2))
    }
    fn transfer_all() -> Weight {
        Library::<T>::transfer_all().saturating_add(cold())
    }
    fn force_unreserve() -> Weight {
        Library::<T>::force_unreserve().saturating_add(cold())
    }
    fn upgrade_accounts(u: u32) -> Weight {
        Library::<T>::upgrade_accounts(u).saturating_add(cold().saturating_mul(u.into()))
    }
    fn force_adjust_total_issuance() -> Weight {
        Library::<T>::force_adjust_total_issuance()
    }
    fn burn_allow_death() -> Weight {
        Library::<T>::burn_allow_death()
    }
    fn burn_keep_alive() -> Weight {
        Library::<T>::burn_keep_alive()
    }
}
