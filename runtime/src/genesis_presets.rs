//! Genesis states by name: `development` with one validator, `local` with four (GRANDPA needs four to bear the loss of
//! one). Both endow the well-known development accounts, list BTC-PERP, and read the sources whose recorded prices the
//! repository holds (`demo/data`), at the venues' own addresses; `--oracle-source` points a node elsewhere.
//!
//! `demo` is `development` and lists dated futures and options on BTC by rule, with a volatility surface from Deribit and OKX.

use crate::{
    configs::exchange::{InsuranceFund, Vault, BTC, BTC_FEED, USDC, USDC_FEED, USDT, USDT_FEED},
    AccountId, AssetsConfig, Balance, BalancesConfig, InstrumentsConfig, MarginConfig,
    OracleConfig, RuntimeGenesisConfig, SessionConfig, SessionKeys, SudoConfig, UNIT,
};
use alloc::{vec, vec::Vec};
use frame_support::build_struct_json_patch;
use novate_types::{
    math, CollateralParams, FeeTier, FeedId, Instrument, InstrumentKind, LoanParams, MarketParams,
    MarketStatus, Price, RiskTier, Symbol, TierId, QUANTUMS,
};
use pallet_instruments::SeriesRule;
use pallet_price_oracle::{venues, Feed, Source, SourceName, LEAST_CHAINS};
use sp_genesis_builder::PresetId;
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};

/// The chain's token each development account starts with.
const ENDOWMENT: Balance = 1_000_000 * UNIT;
/// USDC and USDT each development account starts with, in whole units.
const DOLLARS: u128 = 10_000_000;
/// Bitcoin each development account starts with, in whole units.
const BITCOINS: u128 = 100;
/// USDC in the insurance fund at genesis, in whole units.
const INSURANCE: u128 = 250_000;
/// The tier of options.
const OPTION_TIER: TierId = 1;

fn session_keys(validator: Sr25519Keyring, finality: Ed25519Keyring) -> SessionKeys {
    SessionKeys {
        aura: validator.public().into(),
        grandpa: finality.public().into(),
        oracle: validator.public().into(),
    }
}

/// Parameters of the deepest markets: twenty times leverage below 100 million USD of open interest.
fn deep_tier() -> RiskTier {
    RiskTier {
        imf: 50_000,
        mmf: 30_000,
        open_interest_lower: 100_000_000 * QUANTUMS,
        open_interest_upper: 500_000_000 * QUANTUMS,
        profit_credit: 100_000 * QUANTUMS,
        impact_notional: 10_000 * QUANTUMS,
        mark_band: 10_000,
        price_band: 30_000,
        call_blocks: 10,
        edge_blocks: 30,
    }
}

/// Parameters of options: the deepest markets', with margin for a short one as where it is usual.
fn option_tier() -> RiskTier {
    RiskTier {
        imf: 150_000,
        mmf: 100_000,
        ..deep_tier()
    }
}

fn btc_perpetual() -> Option<Instrument> {
    let tick_size = Price::from_rational(1, 2);
    let lot_size = Price::from_rational(1, 10_000);
    Some(Instrument {
        symbol: Symbol::try_from(b"BTC-PERP".to_vec()).ok()?,
        kind: InstrumentKind::Perpetual,
        underlying: BTC_FEED,
        tick_size,
        lot_size,
        tick_value: math::tick_value(tick_size, lot_size)?,
        status: MarketStatus::Open,
        params: MarketParams {
            tier: 0,
            min_notional: 10 * QUANTUMS,
            open_interest_cap: 100_000_000,
            interest_8h_ppm: 100,
            funding_cap_factor: 6_000_000,
        },
    })
}

fn fee_tiers() -> Vec<FeeTier> {
    vec![
        FeeTier {
            maker_ppm: 100,
            taker_ppm: 500,
        },
        FeeTier {
            maker_ppm: 50,
            taker_ppm: 400,
        },
        FeeTier {
            maker_ppm: -50,
            taker_ppm: 300,
        },
    ]
}

fn collaterals() -> Vec<(u32, CollateralParams)> {
    let usdt = CollateralParams {
        feed: USDT_FEED,
        decimals: 6,
        haircut: 50_000,
        large_value: 5_000_000 * QUANTUMS,
        large_haircut: 150_000,
        value_cap: 25_000_000 * QUANTUMS,
        global_cap: 100_000_000 * 1_000_000,
    };
    let btc = CollateralParams {
        feed: BTC_FEED,
        decimals: 8,
        haircut: 100_000,
        large_value: 1_000_000 * QUANTUMS,
        large_haircut: 200_000,
        value_cap: 10_000_000 * QUANTUMS,
        global_cap: 10_000 * 100_000_000,
    };
    vec![(USDT, usdt), (BTC, btc)]
}

/// Five percent a year where two fifths are lent, nine at four fifths, a hundred where all is: what comes due calls loans back.
fn loans() -> LoanParams {
    LoanParams {
        base_rate: 10_000,
        slope: 80_000,
        steep_slope: 910_000,
        kink: 800_000,
        reserve_factor: 100_000,
        utilisation_cap: 900_000,
        account_cap: 1_000_000 * QUANTUMS,
    }
}

/// Futures and options on BTC: a strike every 1,000 USD, the nearest and two on each side of it.
fn btc_series(perpetual: &Instrument) -> Option<SeriesRule> {
    Some(SeriesRule {
        base: b"BTC".to_vec().try_into().ok()?,
        tick_size: perpetual.tick_size,
        lot_size: perpetual.lot_size,
        futures: perpetual.params,
        options: MarketParams {
            tier: OPTION_TIER,
            ..perpetual.params
        },
        strike_step: 2_000,
        strikes: 2,
    })
}

/// Two venues with options on BTC, which make a surface. Neither is asked for prices.
fn option_sources() -> Vec<(SourceName, Source)> {
    let deribit = venues::deribit_options(vec![venues::underlying(BTC_FEED, "BTC")]);
    let okx = venues::okx_options(vec![venues::underlying(BTC_FEED, "BTC-USD")]);
    [
        (
            "deribit",
            venues::with_options(venues::deribit(vec![]), deribit),
        ),
        ("okx", venues::with_options(venues::okx(vec![]), okx)),
    ]
    .into_iter()
    .map(|(name, source)| (SourceName::truncated(name), source))
    .collect()
}

/// A stablecoin's feed: recorded and live venues that quote one in USD are few.
fn feeds(lists: Lists) -> Vec<(FeedId, Feed)> {
    let btc = Feed {
        min_chains: match lists {
            Lists::Perpetual => 0,
            Lists::Series => LEAST_CHAINS,
        },
        ..Feed::new("BTC")
    };
    vec![
        (BTC_FEED, btc),
        (USDC_FEED, Feed::stablecoin("USDC")),
        (USDT_FEED, Feed::stablecoin("USDT")),
    ]
}

fn sources(lists: Lists) -> Vec<(SourceName, Source)> {
    let binance_us = Source {
        base_url: pallet_price_oracle::Text::truncated("https://api.binance.us"),
        ..venues::binance(vec![
            venues::usd(BTC_FEED, "BTCUSD"),
            venues::quoted_in(BTC_FEED, "BTCUSDT", USDT_FEED),
            venues::quoted_in(USDC_FEED, "USDCUSDT", USDT_FEED),
        ])
    };
    let coinbase = venues::coinbase(vec![
        venues::usd(BTC_FEED, "BTC-USD"),
        venues::usd(USDT_FEED, "USDT-USD"),
    ]);
    let kraken = venues::kraken(vec![
        venues::usd(BTC_FEED, "XXBTZUSD"),
        venues::quoted_in(BTC_FEED, "XBTUSDC", USDC_FEED),
        venues::usd(USDC_FEED, "USDCUSD"),
        venues::usd(USDT_FEED, "USDTZUSD"),
    ]);
    let crypto_com = venues::crypto_com(vec![
        venues::usd(BTC_FEED, "BTC_USD"),
        venues::quoted_in(BTC_FEED, "BTC_USDT", USDT_FEED),
    ]);
    let bybit = venues::bybit(vec![venues::quoted_in(BTC_FEED, "BTCUSDC", USDC_FEED)]);
    [
        ("binanceus", binance_us),
        ("coinbase", coinbase),
        ("kraken", kraken),
        ("cryptocom", crypto_com),
        ("bybit", bybit),
    ]
    .into_iter()
    .map(|(name, source)| (SourceName::truncated(name), source))
    .chain(match lists {
        Lists::Perpetual => Vec::new(),
        Lists::Series => option_sources(),
    })
    .collect()
}

/// What of BTC is listed.
#[derive(Clone, Copy)]
enum Lists {
    /// The perpetual alone.
    Perpetual,
    /// Futures and options too, by rule.
    Series,
}

fn genesis(validators: Vec<(Sr25519Keyring, Ed25519Keyring)>, lists: Lists) -> serde_json::Value {
    let endowed: Vec<AccountId> = Sr25519Keyring::well_known()
        .map(|k| k.to_account_id())
        .collect();
    let governor = Sr25519Keyring::Alice.to_account_id();
    let (insurance, vault) = (InsuranceFund::get(), Vault::get());
    let markets: Vec<Instrument> = btc_perpetual().into_iter().collect();
    let series_rules: Vec<(FeedId, SeriesRule)> = match lists {
        Lists::Perpetual => Vec::new(),
        Lists::Series => markets
            .iter()
            .filter_map(|perpetual| Some((BTC_FEED, btc_series(perpetual)?)))
            .collect(),
    };

    let mut holdings: Vec<(u32, AccountId, u128)> = Vec::new();
    for who in &endowed {
        holdings.push((USDC, who.clone(), DOLLARS * 1_000_000));
        holdings.push((USDT, who.clone(), DOLLARS * 1_000_000));
        holdings.push((BTC, who.clone(), BITCOINS * 100_000_000));
    }
    holdings.push((USDC, insurance.owner.clone(), INSURANCE * 1_000_000));

    build_struct_json_patch!(RuntimeGenesisConfig {
        balances: BalancesConfig {
            balances: endowed
                .iter()
                .cloned()
                .map(|who| (who, ENDOWMENT))
                .collect::<Vec<_>>(),
        },
        assets: AssetsConfig {
            assets: [USDC, USDT, BTC]
                .map(|id| (id, governor.clone(), true, 1u128))
                .to_vec(),
            metadata: vec![
                (USDC, b"USD Coin".to_vec(), b"USDC".to_vec(), 6),
                (USDT, b"Tether USD".to_vec(), b"USDT".to_vec(), 6),
                (BTC, b"Bitcoin".to_vec(), b"BTC".to_vec(), 8),
            ],
            accounts: holdings,
        },
        session: SessionConfig {
            keys: validators
                .into_iter()
                .map(|(v, f)| (v.to_account_id(), v.to_account_id(), session_keys(v, f)))
                .collect::<Vec<_>>(),
        },
        sudo: SudoConfig {
            key: Some(governor)
        },
        instruments: InstrumentsConfig {
            tiers: vec![(0, deep_tier()), (OPTION_TIER, option_tier())],
            markets,
            fee_tiers: fee_tiers(),
            series_rules,
        },
        oracle: OracleConfig {
            feeds: feeds(lists),
            sources: sources(lists)
        },
        margin: MarginConfig {
            accounts: vec![
                (insurance.owner, insurance.sub, INSURANCE * 1_000_000),
                (vault.owner, vault.sub, 0u128),
            ],
            collaterals: collaterals(),
            loans: loans(),
        },
    })
}

fn development(lists: Lists) -> serde_json::Value {
    genesis(vec![(Sr25519Keyring::Alice, Ed25519Keyring::Alice)], lists)
}

fn local() -> serde_json::Value {
    let validators = vec![
        (Sr25519Keyring::Alice, Ed25519Keyring::Alice),
        (Sr25519Keyring::Bob, Ed25519Keyring::Bob),
        (Sr25519Keyring::Charlie, Ed25519Keyring::Charlie),
        (Sr25519Keyring::Dave, Ed25519Keyring::Dave),
    ];
    genesis(validators, Lists::Perpetual)
}

/// Name of the preset with four validators.
pub const LOCAL_PRESET: &str = sp_genesis_builder::LOCAL_TESTNET_RUNTIME_PRESET;
/// Name of the preset with one validator.
pub const DEVELOPMENT_PRESET: &str = sp_genesis_builder::DEV_RUNTIME_PRESET;
/// Name of the preset with one validator that lists futures and options by rule.
pub const DEMO_PRESET: &str = "demo";

/// The preset as a JSON patch of the default genesis.
pub fn get_preset(id: &PresetId) -> Option<Vec<u8>> {
    let patch = match id.as_ref() {
        DEVELOPMENT_PRESET => development(Lists::Perpetual),
        DEMO_PRESET => development(Lists::Series),
        LOCAL_PRESET | "local" => local(),
        #[cfg(feature = "runtime-benchmarks")]
        "benchmarks" => crate::benchmarks::genesis(development(Lists::Perpetual)),
        _ => return None,
    };
    serde_json::to_vec(&patch).ok()
}

/// Every preset's name.
pub fn preset_names() -> Vec<PresetId> {
    vec![
        PresetId::from(DEVELOPMENT_PRESET),
        PresetId::from(LOCAL_PRESET),
        PresetId::from(DEMO_PRESET),
    ]
}
