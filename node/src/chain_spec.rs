//! Chain specifications of the built-in networks, from the runtime's genesis presets.

use novate_runtime::genesis_presets::{DEMO_PRESET, DEVELOPMENT_PRESET, LOCAL_PRESET};
use sc_service::{ChainType, Properties};

/// A chain specification without extensions.
pub type ChainSpec = sc_service::GenericChainSpec;

fn spec(name: &str, id: &str, chain_type: ChainType, preset: &str) -> Result<ChainSpec, String> {
    let code = novate_runtime::WASM_BINARY
        .ok_or("this binary was built without the runtime's WASM; build without SKIP_WASM_BUILD")?;
    let mut properties = Properties::new();
    properties.insert("tokenSymbol".into(), "NOV".into());
    properties.insert("tokenDecimals".into(), 12.into());
    properties.insert("ss58Format".into(), 42.into());
    Ok(ChainSpec::builder(code, None)
        .with_name(name)
        .with_id(id)
        .with_chain_type(chain_type)
        .with_protocol_id("novate")
        .with_properties(properties)
        .with_genesis_config_preset_name(preset)
        .build())
}

/// One validator, Alice.
pub fn development() -> Result<ChainSpec, String> {
    spec(
        "Novate Development",
        "novate_dev",
        ChainType::Development,
        DEVELOPMENT_PRESET,
    )
}

/// One validator, Alice, and futures and options on BTC: what `make run` plays on.
pub fn demo() -> Result<ChainSpec, String> {
    spec(
        "Novate Demo",
        "novate_demo",
        ChainType::Development,
        DEMO_PRESET,
    )
}

/// Four validators, Alice to Dave.
pub fn local() -> Result<ChainSpec, String> {
    spec(
        "Novate Local",
        "novate_local",
        ChainType::Local,
        LOCAL_PRESET,
    )
}
