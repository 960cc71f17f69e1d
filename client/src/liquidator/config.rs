//! What the liquidator may do, from a TOML file. Secrets are not in it: it names the environment variables that hold them.
//!
//! ```toml
//! url = "ws://127.0.0.1:9944"
//! metrics = "127.0.0.1:9616"
//! most_notional = "250000"    # USD of positions that one bid takes
//! least_profit = "5"          # USD that a bid is expected to make
//! spare_margin_ppm = 200000   # initial equity kept free, of initial margin
//!
//! [[account]]
//! key = "LIQUIDATOR_KEY"      # the variable with the secret URI; with --dry-run an address will do
//! sub = 0
//!
//! [[market]]                  # accounts with positions elsewhere are left to others
//! symbol = "BTC-PERP"
//! cost_ppm = 700              # what it costs to hold or to close what is taken
//! hedge = true                # close it by market orders at once
//! ```

use crate::{decimal::Decimal, Refusal};
use novate_types::{Cash, Ppm, SubaccountId, MILLION};
use serde::Deserialize;
use std::{collections::BTreeSet, net::SocketAddr};

/// Names of variables are shorter: so long is a seed in hexadecimal digits.
const LONGEST_NAME: usize = 64;

/// The configuration as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    url: String,
    metrics: Option<SocketAddr>,
    most_notional: String,
    least_profit: String,
    #[serde(default)]
    spare_margin_ppm: Ppm,
    #[serde(default)]
    account: Vec<Bidder>,
    #[serde(default)]
    market: Vec<Terms>,
}

/// An account that bids.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bidder {
    /// The environment variable that holds its secret.
    pub key: String,
    /// Which of the owner's accounts.
    #[serde(default)]
    pub sub: SubaccountId,
}

/// A market in which positions are taken.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Its symbol.
    pub symbol: String,
    /// What taking a position there costs, of its notional: spread and fees of closing it, or the risk of holding it.
    pub cost_ppm: Ppm,
    /// Close what is taken by reduce-only market orders at once.
    #[serde(default)]
    pub hedge: bool,
}

/// What the liquidator may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The node's WebSocket.
    pub url: String,
    /// Where metrics are served: loopback alone.
    pub metrics: Option<SocketAddr>,
    /// Most notional that one bid takes, in quantums.
    pub most_notional: Cash,
    /// Least profit that a bid is expected to make, in quantums.
    pub least_profit: Cash,
    /// Initial equity that stays free after a bid, as a part of initial margin.
    pub spare_margin: Ppm,
    /// Who bids; at least one.
    pub accounts: Vec<Bidder>,
    /// Where positions are taken; at least one.
    pub markets: Vec<Terms>,
}

impl Config {
    /// Reads a file's text.
    ///
    /// # Errors
    ///
    /// `config`, with what is wrong and where.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        let file: File = toml::from_str(text).map_err(|e| unreadable(&e, text))?;
        if file.account.is_empty() {
            return Err(wrong("nobody bids", Some("an [[account]] with its key")));
        }
        if file.market.is_empty() {
            return Err(wrong(
                "no market is named in which positions may be taken",
                Some("a [[market]] with its symbol and cost_ppm"),
            ));
        }
        for bidder in &file.account {
            if !is_variable(&bidder.key) {
                // What stands there may be the secret itself.
                let misplaced = "a key is not the name of an environment variable";
                return Err(wrong(misplaced, Some("key = \"LIQUIDATOR_KEY\"")));
            }
        }
        let mut known = BTreeSet::new();
        for terms in &file.market {
            if !known.insert(terms.symbol.to_ascii_uppercase()) {
                let twice = format!("market {} is there twice", terms.symbol);
                return Err(wrong(&twice, Some("one of them")));
            }
            if terms.cost_ppm > MILLION {
                let all = format!("cost_ppm of {} is more than all of it", terms.symbol);
                return Err(wrong(&all, Some("1000, a tenth of a percent")));
            }
        }
        if let Some(open) = file.metrics.filter(|at| !at.ip().is_loopback()) {
            return Err(wrong(
                &format!("metrics at {open} would be anybody's to read"),
                Some(&format!("127.0.0.1:{}", open.port())),
            ));
        }
        Ok(Self {
            url: file.url,
            metrics: file.metrics,
            most_notional: usd("most_notional", &file.most_notional)?,
            least_profit: usd("least_profit", &file.least_profit)?,
            spare_margin: file.spare_margin_ppm,
            accounts: file.account,
            markets: file.market,
        })
    }
}

/// What the parser says, and on which line; never the line, which may hold a secret.
fn unreadable(error: &toml::de::Error, text: &str) -> Refusal {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(1, |before| before.matches('\n').count() + 1);
    wrong(&format!("line {line}: {}", error.message()), None)
}

/// Whether it is a name as environment variables have it, and none that could be a secret: no phrase, no derivation, no seed.
fn is_variable(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.len() < LONGEST_NAME
        && name.chars().all(is_part)
        && name.starts_with(|c: char| !c.is_ascii_digit())
}

fn wrong(what: &str, suggestion: Option<&str>) -> Refusal {
    let message = format!("the configuration: {what}");
    match suggestion {
        Some(suggestion) => Refusal::new("config", message, suggestion),
        None => Refusal::plain("config", message),
    }
}

/// USD as quantums.
fn usd(name: &str, text: &str) -> Result<Cash, Refusal> {
    let refused = |why: String| wrong(&format!("{name} = \"{text}\" {why}"), Some("\"1000.5\""));
    let value: Decimal = text.parse().map_err(|e| refused(format!("{e}")))?;
    let quantum = Decimal::from_units(1, 6).ok_or_else(|| refused("cannot be counted".into()))?;
    let units = value
        .on_grid(quantum)
        .map_err(|_| refused("has more than six decimals".into()))?;
    Cash::try_from(units).map_err(|_| refused("is too much".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        url = "ws://127.0.0.1:9944"
        metrics = "127.0.0.1:9616"
        most_notional = "250000"
        least_profit = "5.25"
        spare_margin_ppm = 200000
        [[account]]
        key = "KEY"
        [[market]]
        symbol = "BTC-PERP"
        cost_ppm = 700
        hedge = true
    "#;

    #[test]
    fn configuration_is_read_in_quantums() {
        let config = Config::read(GOOD).unwrap();
        assert_eq!(
            (config.most_notional, config.least_profit),
            (250_000_000_000, 5_250_000)
        );
        assert_eq!(
            config.accounts,
            vec![Bidder {
                key: "KEY".into(),
                sub: 0
            }]
        );
        assert!(config.markets[0].hedge);
    }

    #[test]
    fn configuration_is_refused_by_name_when_something_is_missing_or_dangerous() {
        let refused = |from: &str, to: &str| {
            let text = GOOD.replace(from, to);
            assert_ne!(text, GOOD);
            let refusal = Config::read(&text).unwrap_err();
            assert_eq!(refusal.rule, "config");
            refusal.to_string()
        };
        assert!(refused("127.0.0.1:9616", "0.0.0.0:9616").contains("try 127.0.0.1:9616"));
        assert!(refused("\"5.25\"", "\"5.2500001\"").contains("six decimals"));
        assert!(refused("\"5.25\"", "\"much\"").contains("least_profit"));
        assert!(refused("cost_ppm = 700", "cost_ppm = 1000001").contains("BTC-PERP"));
        assert!(refused("[[account]]\n        key = \"KEY\"", "").contains("nobody bids"));
        assert!(refused("hedge = true", "hedged = true").contains("hedged"));
        for secret in [
            "bottom drive obey lake",
            "//Alice",
            "0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a",
            "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a",
        ] {
            let said = refused("\"KEY\"", &format!("\"{secret}\""));
            assert!(
                said.contains("LIQUIDATOR_KEY") && !said.contains(secret),
                "{said}"
            );
            // Nor does what the parser says of the line.
            let said = refused("\"KEY\"", &format!("\"{secret}"));
            assert!(said.contains("line 8") && !said.contains(secret), "{said}");
        }
        let market =
            "[[market]]\n        symbol = \"btc-perp\"\n        cost_ppm = 1\n        [[market]]";
        assert!(refused("[[market]]", market).contains("twice"));
    }
}
