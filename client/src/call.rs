//! The chain's calls a trader makes, encoded with the chain's own types. Pallet and call are looked up by name in the
//! node's metadata, so nothing is generated and no index is written down here.

use crate::Account;
use codec::{Compact, Encode};
use novate_types::{AssetId, Operation, Ppm, SubaccountId};
use subxt::{
    ext::{
        scale_encode::{EncodeAsFields, Error as EncodeError, FieldIter},
        scale_type_resolver::TypeResolver,
    },
    tx::Payload,
};

/// A call: which one, and its arguments in SCALE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pallet: &'static str,
    name: &'static str,
    arguments: Arguments,
}

/// Arguments that are encoded already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments(Vec<u8>);

impl EncodeAsFields for Arguments {
    fn encode_as_fields_to<R: TypeResolver>(
        &self,
        _fields: &mut dyn FieldIter<'_, R::TypeId>,
        _types: &R,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        out.extend_from_slice(&self.0);
        Ok(())
    }
}

impl Payload for Call {
    type CallData = Arguments;

    fn pallet_name(&self) -> &str {
        self.pallet
    }
    fn call_name(&self) -> &str {
        self.name
    }
    fn call_data(&self) -> &Arguments {
        &self.arguments
    }
}

impl Call {
    /// Any call, with its arguments as a tuple.
    pub fn new(pallet: &'static str, name: &'static str, arguments: impl Encode) -> Self {
        Self::encoded(pallet, name, arguments.encode())
    }

    /// Any call, with its arguments encoded.
    pub(crate) fn encoded(pallet: &'static str, name: &'static str, arguments: Vec<u8>) -> Self {
        Self {
            pallet,
            name,
            arguments: Arguments(arguments),
        }
    }

    /// Writes storage as it is told, for root alone ([`crate::Chain::by_root`]). Keys and values come from [`crate::Chain::item`].
    pub fn set_storage(items: &[(Vec<u8>, Vec<u8>)]) -> Self {
        Self::new("System", "set_storage", items)
    }

    /// Up to 64 order operations of the signer's account `sub`; each succeeds or fails by itself.
    pub fn submit(sub: SubaccountId, operations: &[Operation]) -> Self {
        Self::new("OrderBook", "submit", (sub, operations))
    }

    /// Bids with the signer's account `sub` for a fraction (ppm) of an account in open competition, in this block's close, at no less
    /// a discount than `least_discount` (ppm).
    pub fn bid(sub: SubaccountId, account: Account, fraction: Ppm, least_discount: Ppm) -> Self {
        Self::new(
            "Liquidation",
            "bid",
            (sub, account, fraction, least_discount),
        )
    }

    /// Buys shares of the vault for so many quantums from the signer's wallet, at the end of this epoch.
    pub fn vault_deposit(amount: u128) -> Self {
        Self::new("Liquidation", "vault_deposit", Compact(amount))
    }

    /// Sells shares of the vault, at the end of this epoch; the signer's wallet is paid.
    pub fn vault_withdraw(shares: u128) -> Self {
        Self::new("Liquidation", "vault_withdraw", Compact(shares))
    }

    /// Moves an asset from the signer's wallet into its account `sub`.
    pub fn deposit(sub: SubaccountId, asset: AssetId, amount: u128) -> Self {
        Self::new("Margin", "deposit", (sub, asset, amount))
    }

    /// Moves an asset from the signer's wallet into somebody's account, at this block's close.
    pub fn deposit_for(to: Account, asset: AssetId, amount: u128) -> Self {
        Self::new("Clearing", "deposit_for", (to, asset, Compact(amount)))
    }

    /// Moves an asset from the signer's account `sub` to its wallet, at this block's close.
    pub fn withdraw(sub: SubaccountId, asset: AssetId, amount: u128) -> Self {
        Self::new("Clearing", "withdraw", (sub, asset, Compact(amount)))
    }

    /// Moves settlement currency from the signer's wallet into the liquidity pot, for shares of it, at this block's close.
    pub fn supply(amount: u128) -> Self {
        Self::new("Clearing", "supply", Compact(amount))
    }

    /// Gives shares of the liquidity pot back, at this block's close; the signer's wallet is paid.
    pub fn redeem(shares: u128) -> Self {
        Self::new("Clearing", "redeem", Compact(shares))
    }

    /// Moves cash from the signer's account `sub` to its wallet beyond what it holds, as a loan, at this block's close.
    pub fn borrow(sub: SubaccountId, amount: u128) -> Self {
        Self::new("Clearing", "borrow", (sub, Compact(amount)))
    }

    /// Moves an asset from the signer's account `sub` to another account, at this block's close.
    pub fn transfer(sub: SubaccountId, to: Account, asset: AssetId, amount: u128) -> Self {
        Self::new("Clearing", "transfer", (sub, to, asset, Compact(amount)))
    }
}
