//! The chain that a scenario begins with: the `development` preset, with as many markets and validators as it needs.

use crate::oracle::{cents, Oracle};
use anyhow::Context;
use novate_runtime::{
    configs::exchange::{BTC_FEED, USDC_FEED, USDT_FEED},
    genesis_presets::{get_preset, DEVELOPMENT_PRESET},
    AccountId, Runtime, RuntimeGenesisConfig, SessionKeys, UNIT,
};
use novate_types::{FeedId, MarketId, Price, Symbol, Ticks};
use pallet_price_oracle::{Feed, LEAST_CHAINS};
use serde_json::Value;
use sp_core::{ed25519, sr25519, Pair};
use sp_keyring::Sr25519Keyring;
use sp_runtime::BuildStorage;
use sp_state_machine::BasicExternalities;
use sp_storage::{well_known_keys::CODE, Storage};
use std::collections::BTreeMap;

/// Every market's price at the beginning, in cents.
pub const PRICE: u64 = 2_000_000;
/// The same in ticks of half a dollar.
pub const MARK: Ticks = 40_000;

/// What a chain begins with.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// Markets, each with a feed of its own.
    pub markets: u16,
    /// Feeds beyond those of markets and stablecoins.
    pub other_feeds: u16,
    /// Validators; one is Alice.
    pub validators: u32,
    /// Whether bitcoin has a surface of volatilities, so that options on it can be listed.
    pub has_surface: bool,
}

impl Default for World {
    fn default() -> Self {
        Self {
            markets: 1,
            other_feeds: 0,
            validators: 1,
            has_surface: false,
        }
    }
}

/// Feed of a market's underlying.
pub fn feed_of(market: MarketId) -> FeedId {
    match market {
        0 => BTC_FEED,
        other => USDT_FEED + FeedId::from(other),
    }
}

/// Secret number `number` of the harness.
pub fn secret(purpose: &str, number: u32) -> [u8; 32] {
    sp_io::hashing::blake2_256(format!("novate-bench/{purpose}/{number}").as_bytes())
}

impl World {
    /// The first state, with `code` as its runtime, and who observes prices on it.
    pub fn genesis(&self, code: &[u8]) -> anyhow::Result<(Storage, Oracle)> {
        let mut config = preset()?;
        let first = config
            .instruments
            .markets
            .first()
            .context("the preset lists a market")?
            .clone();
        for market in 1..self.markets {
            let mut another = first.clone();
            another.symbol = Symbol::try_from(format!("M{market:02}-PERP").into_bytes())
                .map_err(|_| anyhow::anyhow!("a short name"))?;
            another.underlying = feed_of(market);
            config.instruments.markets.push(another);
        }
        if self.has_surface {
            for (feed, policy) in &mut config.oracle.feeds {
                if *feed == BTC_FEED {
                    policy.min_chains = LEAST_CHAINS;
                }
            }
        }
        let feeds = 1..self.markets + self.other_feeds;
        for feed in feeds.clone().map(feed_of) {
            config
                .oracle
                .feeds
                .push((feed, Feed::new(&format!("F{feed:02}"))));
        }
        let validators = self.validators();
        if self.validators > 1 {
            config.session.keys = (0..)
                .zip(&validators)
                .map(|(number, pair)| {
                    let who = AccountId::from(pair.public());
                    let keys = SessionKeys {
                        aura: pair.public().into(),
                        grandpa: ed25519::Pair::from_seed(&secret("finality", number))
                            .public()
                            .into(),
                        oracle: pair.public().into(),
                    };
                    (who.clone(), who, keys)
                })
                .collect();
            for pair in &validators {
                let who = AccountId::from(pair.public());
                if config
                    .balances
                    .balances
                    .iter()
                    .all(|(known, _)| *known != who)
                {
                    config.balances.balances.push((who, 1_000 * UNIT));
                }
            }
        }
        let one = cents(100);
        let prices = (0..self.markets + self.other_feeds)
            .map(|market| (feed_of(market), cents(PRICE)))
            .chain([(USDC_FEED, one), (USDT_FEED, one)])
            .collect();
        begin(config, code, validators, prices)
    }

    fn validators(&self) -> Vec<sr25519::Pair> {
        let others =
            (1..self.validators).map(|n| sr25519::Pair::from_seed(&secret("validator", n)));
        [Sr25519Keyring::Alice.pair()]
            .into_iter()
            .chain(others)
            .collect()
    }
}

/// The first state of a configuration, with `code` as its runtime, and the validators who observe `prices` on it.
pub fn begin(
    config: RuntimeGenesisConfig,
    code: &[u8],
    validators: Vec<sr25519::Pair>,
    prices: BTreeMap<FeedId, Price>,
) -> anyhow::Result<(Storage, Oracle)> {
    let mut storage = config.build_storage().map_err(anyhow::Error::msg)?;
    storage.top.insert(CODE.to_vec(), code.to_vec());
    let set = BasicExternalities::execute_with_storage(&mut storage, || {
        pallet_price_oracle::Observers::<Runtime>::get().id
    });
    Ok((storage, Oracle::new(validators, set, prices)))
}

/// The `development` preset. Its one validator is Alice.
pub fn preset() -> anyhow::Result<RuntimeGenesisConfig> {
    let patch = get_preset(&DEVELOPMENT_PRESET.into()).context("the preset exists")?;
    let mut genesis = serde_json::to_value(RuntimeGenesisConfig::default())?;
    merge(&mut genesis, serde_json::from_slice(&patch)?);
    Ok(serde_json::from_value(genesis)?)
}

fn merge(into: &mut Value, patch: Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, patch) => *into = patch,
    }
}
