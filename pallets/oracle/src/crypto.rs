//! The session key that signs observations: sr25519 under the key type `orcl`.

use sp_core::crypto::KeyTypeId;

/// Key type of the oracle's session key.
pub const KEY_TYPE: KeyTypeId = KeyTypeId(*b"orcl");

mod app {
    use sp_application_crypto::{app_crypto, sr25519};
    app_crypto!(sr25519, super::KEY_TYPE);
}

sp_application_crypto::with_pair! {
    /// A validator's oracle key pair.
    pub type AuthorityPair = app::Pair;
}

/// A validator's oracle key.
pub type AuthorityId = app::Public;
/// Its signature.
pub type AuthoritySignature = app::Signature;
