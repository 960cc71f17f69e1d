//! Keys: dev accounts such as `//Alice`, secret phrases, and bare addresses for those who only look.

use crate::{AccountId, Refusal};
use std::str::FromStr;
use subxt_signer::{sr25519::Keypair, SecretUri};

/// An sr25519 key that signs.
#[derive(Clone)]
pub struct Wallet {
    keypair: Keypair,
}

impl Wallet {
    /// From a secret URI: `//Alice`, a phrase, or a hex seed, each with derivations.
    ///
    /// # Errors
    ///
    /// `account` when it is none of these. The secret is never repeated in the error.
    pub fn from_uri(uri: &str) -> Result<Self, Refusal> {
        let refusal = |reason: String| {
            Refusal::new(
                "account",
                format!("the secret is not a key: {reason}"),
                "//Alice",
            )
        };
        let uri = SecretUri::from_str(uri).map_err(|e| refusal(e.to_string()))?;
        let keypair = Keypair::from_uri(&uri).map_err(|e| refusal(e.to_string()))?;
        Ok(Self { keypair })
    }

    /// Its address.
    pub fn account_id(&self) -> AccountId {
        self.keypair.public_key().to_account_id()
    }

    pub(crate) fn keypair(&self) -> &Keypair {
        &self.keypair
    }
}

/// Whose account: an address, or the address of a secret URI.
///
/// # Errors
///
/// `account` when it is neither.
pub fn address_of(account: &str) -> Result<AccountId, Refusal> {
    if let Ok(address) = AccountId::from_str(account) {
        return Ok(address);
    }
    Wallet::from_uri(account)
        .map(|w| w.account_id())
        .map_err(|_| {
            Refusal::new(
                "account",
                "the account is neither an address nor a secret URI",
                "//Alice",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

    #[test]
    fn alice_has_the_address_everybody_knows() {
        assert_eq!(
            Wallet::from_uri("//Alice")
                .unwrap()
                .account_id()
                .to_string(),
            ALICE
        );
        assert_eq!(address_of("//Alice").unwrap(), address_of(ALICE).unwrap());
    }

    #[test]
    fn account_is_refused_without_repeating_it_when_it_is_no_key() {
        let refusal = address_of("my secret words").unwrap_err();
        assert_eq!(refusal.rule, "account");
        assert!(!refusal.to_string().contains("secret words"));
        assert_eq!(refusal.suggestion.as_deref(), Some("//Alice"));
    }
}
