//! A market in human units: prices and sizes as people write them, exactly on the market's grid or refused with the
//! nearest that are.

use crate::{decimal::Decimal, Refusal};
use novate_runtime_api::MarketInfo;
use novate_types::{
    math,
    symbol::{expiry_text, kind_text},
    Cash, Contract, InstrumentKind, Lots, MarketId, MarketStatus, Price, Side, SignedLots, Ticks,
};

/// A listed market.
#[derive(Clone, Debug)]
pub struct Market {
    /// Its id on chain.
    pub id: MarketId,
    /// Its ticker.
    pub symbol: String,
    /// What the chain says of it.
    pub info: MarketInfo,
}

impl Market {
    /// From the chain's answer.
    pub fn new(id: MarketId, info: MarketInfo) -> Self {
        let symbol = String::from_utf8_lossy(&info.instrument.symbol).into_owned();
        Self { id, symbol, info }
    }

    /// USD per tick.
    pub fn tick(&self) -> Decimal {
        Decimal::from_inner(self.info.instrument.tick_size.into_inner())
    }

    /// Units of the underlying per lot.
    pub fn lot(&self) -> Decimal {
        Decimal::from_inner(self.info.instrument.lot_size.into_inner())
    }

    /// The ticker of what is traded: `BTC` of `BTC-PERP`.
    pub fn base(&self) -> &str {
        self.symbol.split('-').next().unwrap_or(&self.symbol)
    }

    /// What kind of contract it is, and whether it has settled.
    pub fn contract(&self) -> Contract {
        self.info
            .view
            .as_ref()
            .map_or_else(|| Contract::from(self.info.instrument.kind), |v| v.contract)
    }

    /// An option's strike.
    pub fn strike(&self) -> Option<String> {
        match self.info.instrument.kind {
            InstrumentKind::Option { strike, .. } => Some(self.price(strike)),
            _ => None,
        }
    }

    /// A combination's legs, as `BTC-26MAR27 - 2 BTC-PERP`; none of what is no combination.
    pub fn legs_text(&self, markets: &[Self]) -> Option<String> {
        let mut text = String::new();
        for leg in self.contract().legs.iter() {
            let known = markets.iter().find(|market| market.id == leg.market);
            let symbol = known.map_or_else(|| leg.market.to_string(), |m| m.symbol.clone());
            text.push_str(match (leg.ratio < 0, text.is_empty()) {
                (true, true) => "-",
                (true, false) => " - ",
                (false, true) => "",
                (false, false) => " + ",
            });
            match leg.ratio.unsigned_abs() {
                1 => text.push_str(&symbol),
                lots => text.push_str(&format!("{lots} {symbol}")),
            }
        }
        (!text.is_empty()).then_some(text)
    }

    /// The contract in words: `perpetual`, `future 27DEC26`, `call 60000 27DEC26`, and `settled` once it has.
    pub fn contract_text(&self) -> String {
        let contract = self.contract();
        let mut text = kind_text(contract.kind).to_owned();
        if let Some(strike) = self.strike() {
            text = format!("{text} {strike}");
        }
        if let Some(expiry) = self.info.instrument.kind.expiry() {
            text = format!("{text} {}", expiry_text(expiry));
        }
        if contract.settled {
            text.push_str(", settled");
        }
        text
    }

    /// What the market admits now.
    pub fn status(&self) -> MarketStatus {
        self.info
            .view
            .as_ref()
            .map_or(MarketStatus::Halted, |v| v.status)
    }

    /// The mark, once there is one.
    pub fn mark(&self) -> Option<Price> {
        self.info
            .view
            .as_ref()
            .map(|v| v.mark)
            .filter(|m| m.into_inner() > 0)
    }

    /// The mark's nearest tick, once there is a mark.
    pub fn mark_ticks(&self) -> Option<Ticks> {
        math::ticks_nearest(self.mark()?, self.info.instrument.tick_size).ok()
    }

    /// A price as people type it, in ticks.
    ///
    /// # Errors
    ///
    /// `price` when it is no number or zero, `price_off_tick` when it is between two ticks.
    pub fn ticks(&self, text: &str) -> Result<Ticks, Refusal> {
        let tick = self.tick();
        let value: Decimal = text.parse().map_err(|e| {
            let near = self
                .mark_ticks()
                .and_then(|t| tick.times(t))
                .unwrap_or(tick);
            Refusal::new("price", format!("price {text} {e}"), near.to_string())
        })?;
        match value.on_grid(tick) {
            Ok(0) => Err(Refusal::new(
                "price",
                "price 0 is below one tick",
                tick.to_string(),
            )),
            Ok(ticks) => Ticks::try_from(ticks)
                .map_err(|_| Refusal::plain("price", format!("price {value} is out of range"))),
            Err(near) => Err(Refusal {
                rule: "price_off_tick".into(),
                message: format!("price {value} is not on tick {tick}"),
                suggestion: near.nearest.map(|d| d.to_string()),
            }),
        }
    }

    /// A size as people type it, in lots.
    ///
    /// # Errors
    ///
    /// `size` when it is no number or zero, `size_off_lot` when it is between two lots.
    pub fn lots(&self, text: &str) -> Result<Lots, Refusal> {
        let lot = self.lot();
        let value: Decimal = text
            .parse()
            .map_err(|e| Refusal::new("size", format!("size {text} {e}"), lot.to_string()))?;
        match value.on_grid(lot) {
            Ok(0) => Err(Refusal::new(
                "size",
                "size 0 is below one lot",
                lot.to_string(),
            )),
            // Positions are signed, so a size has one bit less than a count of lots.
            Ok(lots) => SignedLots::try_from(lots)
                .map(SignedLots::unsigned_abs)
                .map_err(|_| Refusal::plain("size", format!("size {value} is out of range"))),
            Err(near) => Err(Refusal {
                rule: "size_off_lot".into(),
                message: format!("size {value} is not a whole number of lots of {lot}"),
                suggestion: near.nearest.map(|d| d.to_string()),
            }),
        }
    }

    /// Checks what an order is worth against the market's least.
    ///
    /// # Errors
    ///
    /// `min_notional`, with the smallest size that is enough.
    pub fn check_notional(&self, lots: Lots, ticks: Ticks) -> Result<(), Refusal> {
        let least = self.info.instrument.params.min_notional;
        if let (false, Some(view)) = (self.contract().kind.is_linear(), &self.info.view) {
            return self.check_size(lots, view.index, least);
        }
        let worth = self.value(lots, ticks);
        if worth >= least {
            return Ok(());
        }
        let enough =
            math::mul_div_ceil(least.unsigned_abs(), 1, self.value(1, ticks).unsigned_abs())
                .ok()
                .and_then(|lots| Lots::try_from(lots).ok());
        Err(Refusal {
            rule: "min_notional".into(),
            message: format!(
                "an order of {} {} at {} is worth {} USDC, below the market's least of {}",
                self.size(lots),
                self.base(),
                self.price(ticks),
                crate::decimal::cash(worth),
                crate::decimal::cash(least),
            ),
            suggestion: enough.map(|lots| format!("size {}", self.size(lots))),
        })
    }

    /// An option's order counts by its forward, a combination's by what all its legs come to: their prices say little of their size.
    fn check_size(&self, lots: Lots, index: Price, least: Cash) -> Result<(), Refusal> {
        let lot_size = self.info.instrument.lot_size;
        let of = |lots| math::notional_floor(lots, index, lot_size).unwrap_or(u128::MAX);
        if Cash::try_from(of(lots)).is_ok_and(|worth| worth < least) {
            let enough = math::mul_div_ceil(least.unsigned_abs(), 1, of(1))
                .ok()
                .and_then(|lots| Lots::try_from(lots).ok());
            return Err(Refusal {
                rule: "min_notional".into(),
                message: format!(
                    "an order of {} {} is below the market's least of {} USDC of {}",
                    self.size(lots),
                    self.base(),
                    crate::decimal::cash(least),
                    if self.contract().kind.is_combination() {
                        "all its legs"
                    } else {
                        "its forward"
                    },
                ),
                suggestion: enough.map(|lots| format!("size {}", self.size(lots))),
            });
        }
        Ok(())
    }

    /// Quantums that `lots` at `ticks` are worth, held at the type's limits: for display and checks, never for money.
    pub fn value(&self, lots: Lots, ticks: Ticks) -> Cash {
        let tick_value = self.info.instrument.tick_value;
        Cash::from(lots)
            .saturating_mul(Cash::from(ticks))
            .saturating_mul(Cash::from(tick_value))
    }

    /// Ticks as a price.
    pub fn price(&self, ticks: Ticks) -> String {
        self.tick()
            .times(ticks)
            .map_or_else(|| "out of range".into(), |d| d.to_string())
    }

    /// Lots as a size.
    pub fn size(&self, lots: Lots) -> String {
        self.lot()
            .times(lots)
            .map_or_else(|| "out of range".into(), |d| d.to_string())
    }

    /// Signed lots as a signed size.
    pub fn signed_size(&self, lots: SignedLots) -> String {
        let sign = if lots < 0 { "-" } else { "" };
        format!("{sign}{}", self.size(lots.unsigned_abs()))
    }

    /// Mean price paid for a position of `lots` that cost `cost`, to a tenth of a tick.
    pub fn entry_price(&self, lots: SignedLots, cost: Cash) -> Option<String> {
        let per_tick = Cash::from(lots).checked_mul(Cash::from(self.info.instrument.tick_value))?;
        let tenths = cost.checked_mul(10)?.checked_div(per_tick)?;
        let tenth = Decimal::from_inner(self.tick().inner() / 10);
        Some(tenth.times(u64::try_from(tenths).ok()?)?.to_string())
    }

    /// The tick nearest to `price` that is no worse for an order of `side`: a bid rounds down, an ask up.
    pub fn ticks_within(&self, price: Price, side: Side) -> Option<Ticks> {
        let tick = self.info.instrument.tick_size;
        match side {
            Side::Bid => math::ticks_floor(price, tick).ok(),
            Side::Ask => math::ticks_ceil(price, tick).ok(),
        }
    }
}

/// A chain price as people read it, exact.
pub fn price_text(price: Price) -> String {
    Decimal::from_inner(price.into_inner()).to_string()
}

/// A chain price rounded down to `places`, for tables.
pub fn price_floor(price: Price, places: u32) -> String {
    let step = 10u128.pow(crate::decimal::PLACES.saturating_sub(places));
    let whole = price.into_inner() / step * step;
    let text = Decimal::from_inner(whole).to_string();
    let decimals = text.split_once('.').map_or(0, |(_, d)| d.len());
    let point = if decimals == 0 && places > 0 { "." } else { "" };
    format!(
        "{text}{point}{}",
        "0".repeat((places as usize).saturating_sub(decimals))
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use novate_types::{Instrument, MarketParams, RestedQuotes, RiskTier};
    use proptest::prelude::*;

    /// BTC-PERP with ticks of 0.5 and lots of 0.0001.
    pub(crate) fn btc_perp() -> Market {
        let tier = RiskTier {
            imf: 50_000,
            mmf: 30_000,
            open_interest_lower: 0,
            open_interest_upper: 1,
            profit_credit: 0,
            impact_notional: 0,
            mark_band: 10_000,
            price_band: 50_000,
            call_blocks: 10,
            edge_blocks: 30,
        };
        let instrument = Instrument {
            symbol: b"BTC-PERP".to_vec().try_into().unwrap(),
            kind: InstrumentKind::Perpetual,
            underlying: 1,
            tick_size: Price::from_rational(1, 2),
            lot_size: Price::from_rational(1, 10_000),
            tick_value: 50,
            status: MarketStatus::Open,
            params: MarketParams {
                tier: 0,
                min_notional: 10_000_000,
                open_interest_cap: 1,
                interest_8h_ppm: 0,
                funding_cap_factor: 0,
            },
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
        Market::new(1, info)
    }

    #[test]
    fn an_option_says_what_it_is_and_counts_by_its_forward() {
        let perpetual = btc_perp();
        assert_eq!(perpetual.contract_text(), "perpetual");
        assert_eq!(perpetual.strike(), None);
        let mut option = perpetual;
        option.info.instrument.kind = InstrumentKind::Option {
            expiry: 1_798_358_400_000,
            strike: 120_000,
            right: novate_types::OptionRight::Call,
        };
        assert_eq!(option.contract_text(), "call 60000 27DEC26");
        assert_eq!(option.strike().as_deref(), Some("60000"));
        // 0.0001 BTC at 20,000 is 2 USDC, and 10 are asked for.
        let least = option.info.instrument.params.min_notional;
        let forward = Price::from_u32(20_000);
        let refusal = option.check_size(4, forward, least).unwrap_err();
        assert_eq!(refusal.suggestion.as_deref(), Some("size 0.0005"));
        assert!(option.check_size(5, forward, least).is_ok());
    }

    #[test]
    fn a_combination_says_what_it_trades() {
        let mut butterfly = btc_perp();
        let known = [btc_perp()];
        assert_eq!(butterfly.legs_text(&known), None);
        let legs = [(1, 1), (7, -2), (8, 3)];
        butterfly.info.instrument.kind = InstrumentKind::Combination {
            legs: novate_types::CombinationLegs::new(&legs).unwrap(),
            expiry: Some(1_798_358_400_000),
        };
        assert_eq!(
            butterfly.legs_text(&known).as_deref(),
            Some("BTC-PERP - 2 7 + 3 8")
        );
        assert_eq!(butterfly.contract_text(), "combination 27DEC26");
    }

    #[test]
    fn price_is_refused_with_the_nearest_tick_when_off_tick() {
        let refusal = btc_perp().ticks("60000.3").unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "price 60000.3 is not on tick 0.5; try 60000.5"
        );
        assert_eq!(btc_perp().ticks("60000.5"), Ok(120_001));
        assert_eq!(
            btc_perp().ticks("0").unwrap_err().suggestion.as_deref(),
            Some("0.5")
        );
        assert_eq!(btc_perp().ticks("abc").unwrap_err().rule, "price");
    }

    #[test]
    fn size_is_refused_with_the_nearest_lots_when_off_lot() {
        let refusal = btc_perp().lots("0.00016").unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "size 0.00016 is not a whole number of lots of 0.0001; try 0.0002"
        );
        assert_eq!(btc_perp().lots("1.5"), Ok(15_000));
        assert_eq!(
            btc_perp().lots("1000000000000000").unwrap_err().rule,
            "size"
        );
    }

    #[test]
    fn order_is_refused_with_the_smallest_size_when_below_the_least_notional() {
        let market = btc_perp();
        // One lot at 20,000 is 2 USDC; the least is 10.
        let refusal = market.check_notional(4, 40_000).unwrap_err();
        assert_eq!(refusal.rule, "min_notional");
        assert_eq!(refusal.suggestion.as_deref(), Some("size 0.0005"));
        assert!(market.check_notional(5, 40_000).is_ok());
    }

    #[test]
    fn prices_and_sizes_print_in_human_units() {
        let market = btc_perp();
        assert_eq!(market.base(), "BTC");
        assert_eq!(market.price(120_001), "60000.5");
        assert_eq!(market.signed_size(-15_000), "-1.5");
        assert_eq!(
            market.entry_price(-10_000, -20_000_250_000).as_deref(),
            Some("20000.25")
        );
        assert_eq!(
            price_floor(Price::from_rational(200_019, 10), 2),
            "20001.90"
        );
        assert_eq!(price_floor(Price::from_rational(20_001, 1), 2), "20001.00");
    }

    proptest! {
        #[test]
        fn every_suggested_price_is_taken(text in "[1-9][0-9]{0,6}\\.[0-9]{1,6}") {
            let market = btc_perp();
            if let Err(refusal) = market.ticks(&text) {
                prop_assert!(market.ticks(&refusal.suggestion.unwrap()).is_ok());
            }
        }

        #[test]
        fn every_suggested_size_is_taken(text in "[0-9]{0,3}\\.[0-9]{1,8}") {
            let market = btc_perp();
            if let Err(refusal) = market.lots(&text) {
                prop_assert!(market.lots(&refusal.suggestion.unwrap()).is_ok());
            }
        }

        #[test]
        fn printed_ticks_and_lots_read_back(ticks in 1u64..1 << 40, lots in 1u64..1 << 40) {
            let market = btc_perp();
            prop_assert_eq!(market.ticks(&market.price(ticks)), Ok(ticks));
            prop_assert_eq!(market.lots(&market.size(lots)), Ok(lots));
        }
    }
}
