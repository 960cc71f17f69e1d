//! A market to test reports with.

use novate_client::Market;
use novate_runtime_api::MarketInfo;
use novate_types::{
    Instrument, InstrumentKind, MarketId, MarketParams, MarketStatus, Millis, OptionRight, Price,
    RestedQuotes, RiskTier, Ticks,
};

/// An option on BTC, its strike in USD: ticks of 0.5 and lots of 0.0001.
pub fn option(id: MarketId, expiry: Millis, strike: Ticks, right: OptionRight) -> Market {
    let kind = InstrumentKind::Option {
        expiry,
        strike: 2 * strike,
        right,
    };
    let instrument = Instrument {
        symbol: format!("BTC-{id}").into_bytes().try_into().unwrap(),
        kind,
        underlying: 1,
        tick_size: Price::from_rational(1, 2),
        lot_size: Price::from_rational(1, 10_000),
        tick_value: 50,
        status: MarketStatus::Open,
        params: MarketParams {
            tier: 0,
            min_notional: 0,
            open_interest_cap: 1,
            interest_8h_ppm: 0,
            funding_cap_factor: 0,
        },
    };
    let tier = RiskTier {
        imf: 150_000,
        mmf: 100_000,
        open_interest_lower: 0,
        open_interest_upper: 1,
        profit_credit: 0,
        impact_notional: 0,
        mark_band: 10_000,
        price_band: 50_000,
        call_blocks: 10,
        edge_blocks: 30,
    };
    let info = MarketInfo {
        instrument,
        tier,
        view: None,
        open_interest: 0,
        funding_rate_8h: 0,
        rested: RestedQuotes::default(),
        last_trade: None,
        auction: None,
    };
    Market::new(id, info)
}
