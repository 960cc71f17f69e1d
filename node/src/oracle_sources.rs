//! `--oracle-source NAME=BASE_URL`: hands a source's address to the oracle's worker by offchain local storage.

use pallet_price_oracle::worker::SOURCE_PREFIX;
use sp_core::offchain::{OffchainStorage, STORAGE_PREFIX};
use std::str::FromStr;

/// A price source's name on chain and the address to read it from instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceOverride {
    name: String,
    base_url: String,
}

impl FromStr for SourceOverride {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, url) = text.split_once('=').ok_or_else(|| {
            format!("{text:?} is not NAME=BASE_URL, such as kraken=http://127.0.0.1:9000")
        })?;
        if name.is_empty()
            || !name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        {
            return Err(format!(
                "{name:?} is no source's name; the chain lists them in `novate prices`"
            ));
        }
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            return Err(format!(
                "{url:?} is no address; it starts with http:// or https://"
            ));
        }
        Ok(Self {
            name: name.into(),
            base_url: url.trim_end_matches('/').into(),
        })
    }
}

/// Leaves the overrides where the worker looks for them. They stay in the node's database until replaced.
pub fn store(storage: &mut impl OffchainStorage, overrides: &[SourceOverride]) {
    for source in overrides {
        storage.set(
            STORAGE_PREFIX,
            &key(&source.name),
            source.base_url.as_bytes(),
        );
    }
}

fn key(name: &str) -> Vec<u8> {
    [SOURCE_PREFIX, name.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_is_a_name_and_an_address() {
        let source: SourceOverride = "kraken=http://127.0.0.1:9000/".parse().unwrap();
        assert_eq!(source.name, "kraken");
        assert_eq!(source.base_url, "http://127.0.0.1:9000");
        for bad in [
            "kraken",
            "=http://x",
            "kra ken=http://x",
            "kraken=ftp://x",
            "kraken=",
        ] {
            assert!(bad.parse::<SourceOverride>().is_err(), "{bad}");
        }
    }
}
