//! The option chain of an underlying: expiry by strike, calls left and puts right, with what is quoted, the mark, its volatility and its Greeks.

use super::{
    greeks::{self, volatility_cell, volatility_percent},
    views::status,
    Report, Session,
};
use novate_calc::Table;
use novate_client::{
    market::{price_floor, price_text},
    Market, Refusal, Result,
};
use novate_runtime_api::{BookLevel, QuoteInfo};
use novate_types::{symbol::expiry_text, InstrumentKind, Millis, OptionRight, Ticks};
use serde_json::{json, Value};
use std::collections::BTreeMap;

/// What is shown of either side of a strike.
const SIDE: [&str; 9] = [
    "bid", "ask", "mark", "IV %", "delta", "gamma", "vega", "theta", "rho",
];

/// Asks the chain, and says it.
pub async fn run(session: &Session, underlying: &str, expiry: Option<&str>) -> Result<Report> {
    let chain = &session.chain;
    let block = chain.best().await?;
    let at = Some(block.hash);
    let feed = chain.feed(underlying, at).await?;
    let symbol = String::from_utf8_lossy(&feed.symbol).into_owned();
    let markets = chain.markets(at).await?;
    let quotes = chain.quotes(feed.feed, at).await?;
    let now = chain.status(at).await?.now;
    Ok(show(block.number, now, &symbol, &markets, &quotes, expiry)?)
}

/// An option and what is quoted of it.
#[derive(Clone, Copy)]
struct Listed<'a> {
    market: &'a Market,
    quote: &'a QuoteInfo,
}

impl Listed<'_> {
    fn cells(&self) -> [String; 9] {
        let quoted = |level: Option<BookLevel>| {
            level.map_or_else(|| "-".into(), |l| self.market.price(l.ticks))
        };
        let [delta, gamma, vega, theta, rho] = greeks::cells(self.quote.greeks.as_ref());
        [
            quoted(self.quote.bid),
            quoted(self.quote.ask),
            self.quote
                .mark
                .map_or_else(|| "-".into(), |mark| price_floor(mark, 2)),
            volatility_cell(self.quote.volatility),
            delta,
            gamma,
            vega,
            theta,
            rho,
        ]
    }

    fn json(&self) -> Value {
        let price = |level: Option<BookLevel>| level.map(|l| self.market.price(l.ticks));
        let size = |level: Option<BookLevel>| level.map(|l| self.market.size(l.lots));
        let (bid, ask) = (self.quote.bid, self.quote.ask);
        json!({
            "market": self.market.symbol,
            "status": status(self.market.status()),
            "bid": price(bid),
            "bid_size": size(bid),
            "ask": price(ask),
            "ask_size": size(ask),
            "mark": self.quote.mark.map(price_text),
            "mark_iv": self.quote.volatility.map(volatility_percent),
            "greeks": self.quote.greeks.as_ref().map(greeks::to_json),
            "open_interest": self.market.size(self.market.info.open_interest),
        })
    }
}

/// A strike's options.
#[derive(Clone, Copy, Default)]
struct Pair<'a> {
    call: Option<Listed<'a>>,
    put: Option<Listed<'a>>,
}

impl<'a> Pair<'a> {
    fn any(&self) -> Option<Listed<'a>> {
        self.call.or(self.put)
    }
}

/// Options by expiry and strike. A strike is its price: markets may have ticks of their own.
type Options<'a> = BTreeMap<Millis, BTreeMap<u128, Pair<'a>>>;

fn options<'a>(markets: &'a [Market], quotes: &'a [QuoteInfo]) -> Options<'a> {
    let mut all = Options::new();
    for quote in quotes {
        let market = markets.iter().find(|m| m.id == quote.market);
        let Some(market) = market.filter(|m| !m.contract().settled) else {
            continue;
        };
        let InstrumentKind::Option {
            expiry,
            strike,
            right,
        } = market.info.instrument.kind
        else {
            continue;
        };
        let pair = all
            .entry(expiry)
            .or_default()
            .entry(strike_inner(market, strike))
            .or_default();
        let side = match right {
            OptionRight::Call => &mut pair.call,
            OptionRight::Put => &mut pair.put,
        };
        *side = Some(Listed { market, quote });
    }
    all
}

fn strike_inner(market: &Market, strike: Ticks) -> u128 {
    market.tick().times(strike).map_or(u128::MAX, |d| d.inner())
}

/// The chain, or why there is none.
///
/// # Errors
///
/// `no_options`, `unknown_expiry`, and `no_surface` while no option has a mark.
fn show(
    block: u32,
    now: Millis,
    underlying: &str,
    markets: &[Market],
    quotes: &[QuoteInfo],
    only: Option<&str>,
) -> std::result::Result<Report, Refusal> {
    let mut options = options(markets, quotes);
    if options.is_empty() {
        return Err(Refusal::new(
            "no_options",
            format!("no options on {underlying} are listed"),
            "novate markets for what is, or again once governance lists them (Instruments.set_series_rule)",
        ));
    }
    if let Some(only) = only {
        let known: Vec<_> = options.keys().map(|expiry| expiry_text(*expiry)).collect();
        options.retain(|expiry, _| expiry_text(*expiry).eq_ignore_ascii_case(only));
        if options.is_empty() {
            return Err(Refusal::new(
                "unknown_expiry",
                format!("no options on {underlying} expire on {only}"),
                known.join(" or "),
            ));
        }
    }
    let mut listed = options
        .values()
        .flat_map(|strikes| strikes.values())
        .flat_map(|pair| [pair.call, pair.put])
        .flatten();
    if listed.all(|option| option.quote.mark.is_none()) {
        return Err(Refusal::new(
            "no_surface",
            format!("no option on {underlying} has a mark: there is no volatility surface for them yet"),
            format!("again once novate surface {underlying} shows their expiries; validators report it (docs/validators.md)"),
        ));
    }

    let mut json = Vec::new();
    let mut text = format!(
        "options on {underlying} at block {block}, calls left and puts right of the strike; IV a year, vega a volatility point, theta a day, rho a point of interest\n"
    );
    for (expiry, strikes) in &options {
        let any = strikes.values().find_map(Pair::any);
        let view = any.and_then(|option| option.market.info.view.as_ref());
        let forward = view.map(|v| v.index).filter(|f| f.into_inner() > 0);
        let left = expiry.saturating_sub(now);
        let mut head = SIDE.to_vec();
        head.push("strike");
        head.extend(SIDE);
        let mut table = Table::new(&head);
        let mut rows = Vec::new();
        for pair in strikes.values() {
            let strike = pair.any().and_then(|option| option.market.strike());
            let cells = |side: Option<Listed>| {
                side.map_or_else(|| SIDE.map(|_| String::new()), |option| option.cells())
            };
            let middle = strike.clone().unwrap_or_default();
            table.row(
                cells(pair.call)
                    .into_iter()
                    .chain([middle])
                    .chain(cells(pair.put)),
            );
            rows.push(json!({
                "strike": strike,
                "call": pair.call.map(|option| option.json()),
                "put": pair.put.map(|option| option.json()),
            }));
        }
        text += &format!(
            "\n{}, {} left, forward {}{}\n{table}",
            expiry_text(*expiry),
            super::surface::span(left),
            forward.map_or_else(|| "unknown".into(), |f| price_floor(f, 2)),
            any.map_or_else(String::new, |option| match option.market.status() {
                novate_types::MarketStatus::Open => String::new(),
                other => format!(", {}", status(other)),
            }),
        );
        json.push(json!({
            "expiry": expiry_text(*expiry),
            "expiry_ms": expiry,
            "left_ms": left,
            "forward": forward.map(price_text),
            "strikes": rows,
        }));
    }
    Ok(Report::new(
        json!({ "block": block, "underlying": underlying, "expiries": json }),
        text,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample::option;
    use novate_risk::{portfolio::Signed, Greeks};
    use novate_types::{MarketId, Price};

    const DAY: Millis = 86_400_000;
    /// 27 December 2026, 08:00 UTC.
    const EXPIRY: Millis = 1_798_358_400_000;

    fn quote(market: MarketId, bid: Option<Ticks>) -> QuoteInfo {
        let level = |ticks| BookLevel {
            ticks,
            lots: 15_000,
            orders: 1,
        };
        QuoteInfo {
            market,
            bid: bid.map(level),
            ask: None,
            mark: Some(Price::from_rational(2_002_001, 1_000)),
            volatility: Some(Price::from_rational(55, 100)),
            greeks: Some(Greeks {
                delta: Signed::from_inner(512_340_000_000_000_000),
                rho: Signed::from_inner(13_579_000_000_000_000_000),
                ..Greeks::default()
            }),
        }
    }

    /// Of two expiries.
    fn listed() -> Vec<Market> {
        vec![
            option(1, EXPIRY, 60_000, OptionRight::Call),
            option(2, EXPIRY, 60_000, OptionRight::Put),
            option(3, EXPIRY, 9_000, OptionRight::Call),
            option(4, EXPIRY + 7 * DAY, 60_000, OptionRight::Put),
        ]
    }

    #[test]
    fn chain_has_calls_left_and_puts_right_by_expiry_and_strike() {
        let quotes: Vec<_> = [Some(4_001), None, None, Some(10)]
            .into_iter()
            .zip(1..)
            .map(|(bid, id)| quote(id, bid))
            .collect();
        let markets = listed();
        let report = show(9, EXPIRY - 36 * 3_600_000, "BTC", &markets, &quotes, None).unwrap();
        let expiries = &report.json["expiries"];
        assert_eq!(expiries[0]["expiry"], "27DEC26");
        assert_eq!(expiries[1]["expiry"], "3JAN27");
        // By number, not by text.
        assert_eq!(expiries[0]["strikes"][0]["strike"], "9000");
        assert_eq!(expiries[0]["strikes"][0]["put"], Value::Null);
        let call = &expiries[0]["strikes"][1]["call"];
        assert_eq!(call["bid"], "2000.5");
        assert_eq!(call["bid_size"], "1.5");
        assert_eq!(call["ask"], Value::Null);
        assert_eq!(call["mark"], "2002.001");
        assert_eq!(call["mark_iv"], "55");
        assert_eq!(call["greeks"]["delta"], "0.51234");
        assert_eq!(call["greeks"]["rho"], "13.579");
        let lines: Vec<Vec<_>> = report
            .text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[2][..5].join(" "), "27DEC26, 1 d 12:00 left,");
        let row = "2000.5 - 2002.00 55.0 0.5123 0.0000000 0.00 0.00 13.58 60000 - - 2002.00 55.0 0.5123 0.0000000 0.00 0.00 13.58";
        assert_eq!(lines[5].join(" "), row);

        let only = show(9, 0, "BTC", &markets, &quotes, Some("3jan27")).unwrap();
        assert_eq!(only.json["expiries"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn chain_says_why_there_is_none() {
        let refused = |markets: &[Market], quotes: &[QuoteInfo], only| {
            show(9, 0, "BTC", markets, quotes, only)
                .map(|report| report.text)
                .unwrap_err()
        };
        let markets = listed();
        assert_eq!(refused(&markets, &[], None).rule, "no_options");
        let quotes = [quote(1, None), quote(4, None)];
        let unknown = refused(&markets, &quotes, Some("28DEC26"));
        assert_eq!(unknown.rule, "unknown_expiry");
        assert_eq!(unknown.suggestion.as_deref(), Some("27DEC26 or 3JAN27"));
        let unmarked = quotes.map(|quote| QuoteInfo {
            mark: None,
            volatility: None,
            greeks: None,
            ..quote
        });
        let no_surface = refused(&markets, &unmarked, None);
        assert_eq!(no_surface.rule, "no_surface");
        assert!(no_surface
            .suggestion
            .unwrap()
            .contains("novate surface BTC"));
    }
}
