//! Genesis states by name: `development` with one validator, `local` with four (GRANDPA needs four to bear the loss of
//! one). Both endow the well-known development accounts.

use crate::{
    AccountId, Balance, BalancesConfig, RuntimeGenesisConfig, SessionConfig, SessionKeys,
    SudoConfig, UNIT,
};
use alloc::{vec, vec::Vec};
use frame_support::build_struct_json_patch;
use sp_genesis_builder::PresetId;
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};

/// The chain's token each development account starts with.
const ENDOWMENT: Balance = 1_000_000 * UNIT;

fn session_keys(validator: Sr25519Keyring, finality: Ed25519Keyring) -> SessionKeys {
    SessionKeys {
        aura: validator.public().into(),
        grandpa: finality.public().into(),
    }
}

fn genesis(validators: Vec<(Sr25519Keyring, Ed25519Keyring)>) -> serde_json::Value {
    let endowed: Vec<AccountId> = Sr25519Keyring::well_known()
        .map(|k| k.to_account_id())
        .collect();
    build_struct_json_patch!(RuntimeGenesisConfig {
        balances: BalancesConfig {
            balances: endowed
                .iter()
                .cloned()
                .map(|who| (who, ENDOWMENT))
                .collect::<Vec<_>>(),
        },
        session: SessionConfig {
            keys: validators
                .into_iter()
                .map(|(v, f)| (v.to_account_id(), v.to_account_id(), session_keys(v, f)))
                .collect::<Vec<_>>(),
        },
        sudo: SudoConfig {
            key: Some(Sr25519Keyring::Alice.to_account_id())
        },
    })
}

fn development() -> serde_json::Value {
    genesis(vec![(Sr25519Keyring::Alice, Ed25519Keyring::Alice)])
}

fn local() -> serde_json::Value {
    genesis(vec![
        (Sr25519Keyring::Alice, Ed25519Keyring::Alice),
        (Sr25519Keyring::Bob, Ed25519Keyring::Bob),
        (Sr25519Keyring::Charlie, Ed25519Keyring::Charlie),
        (Sr25519Keyring::Dave, Ed25519Keyring::Dave),
    ])
}

/// Name of the preset with four validators.
pub const LOCAL_PRESET: &str = sp_genesis_builder::LOCAL_TESTNET_RUNTIME_PRESET;
/// Name of the preset with one validator.
pub const DEVELOPMENT_PRESET: &str = sp_genesis_builder::DEV_RUNTIME_PRESET;

/// The preset as a JSON patch of the default genesis.
pub fn get_preset(id: &PresetId) -> Option<Vec<u8>> {
    let patch = match id.as_ref() {
        DEVELOPMENT_PRESET => development(),
        LOCAL_PRESET | "local" => local(),
        _ => return None,
    };
    serde_json::to_vec(&patch).ok()
}

/// Every preset's name.
pub fn preset_names() -> Vec<PresetId> {
    vec![
        PresetId::from(DEVELOPMENT_PRESET),
        PresetId::from(LOCAL_PRESET),
    ]
}
