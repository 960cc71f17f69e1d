//! The chain's runtime API, asked with the chain's own types.

use crate::{chain::Hash, decimal, Account, AccountId, Chain, Error, Market, Refusal, Result};
use codec::Decode;
use novate_runtime_api::{
    AccountInfo, Book, Candidate, Competition, Conservation, FeedInfo, HypotheticalTrade,
    LoanPotInfo, MarketInfo, OracleScores, QueryError, QuoteInfo, SliceInfo, StatusInfo,
    StressInfo, VaultInfo,
};
use novate_types::{AssetId, FeedId, MarketId, RiskView};

/// An asset of the chain's assets pallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Its id.
    pub id: AssetId,
    /// Its ticker.
    pub symbol: String,
    /// Decimals of its smallest unit.
    pub decimals: u32,
}

impl Asset {
    /// An amount as people type it, in the asset's smallest units.
    ///
    /// # Errors
    ///
    /// `amount` when it is no number, zero, or finer than the asset.
    pub fn units(&self, text: &str) -> Result<u128, Refusal> {
        let value: decimal::Decimal = text.parse().map_err(|e| {
            Refusal::new(
                "amount",
                format!("amount {text} {e}"),
                "a number such as 1000.5",
            )
        })?;
        let symbol = &self.symbol;
        let smallest = decimal::Decimal::from_units(1, self.decimals)
            .ok_or_else(|| Refusal::plain("amount", format!("{symbol} has too many decimals")))?;
        match value.on_grid(smallest) {
            Ok(0) => Err(Refusal::new(
                "amount",
                format!("amount 0 {symbol} moves nothing"),
                smallest.to_string(),
            )),
            Ok(units) => Ok(units),
            Err(near) => Err(Refusal {
                rule: "amount".into(),
                message: format!(
                    "amount {value} has more than the {} decimals of {symbol}",
                    self.decimals
                ),
                suggestion: near.nearest.map(|d| d.to_string()),
            }),
        }
    }

    /// An amount in smallest units, as people read it.
    pub fn text(&self, units: u128) -> String {
        decimal::unsigned_units(units, self.decimals)
    }
}

/// `AssetMetadata` of the assets pallet, as far as it is read.
#[derive(Decode)]
struct AssetMetadata {
    _deposit: u128,
    _name: Vec<u8>,
    symbol: Vec<u8>,
    decimals: u8,
}

fn answered<T>(answer: std::result::Result<T, QueryError>) -> Result<T> {
    answer.map_err(|e| {
        Error::Refused(match e {
            QueryError::NoAccount => Refusal::new(
                "no_account",
                "the account was never opened",
                "a deposit first: novate deposit 1000",
            ),
            QueryError::UnknownMarket => Refusal::new(
                "unknown_market",
                "the account or the trade names a market that is not listed",
                "novate markets",
            ),
            QueryError::NoPrice => Refusal::new(
                "no_price",
                "the market has no price yet",
                "again once novate prices shows one",
            ),
            QueryError::OutOfRange => Refusal::plain(
                "out_of_range",
                "a sum is out of range, the account would hold more positions than it can, or there are more than 64 trades",
            ),
        })
    })
}

/// The market of a symbol, in any case.
///
/// # Errors
///
/// `unknown_market`, with those that are listed.
pub fn find<'a>(markets: &'a [Market], symbol: &str) -> Result<&'a Market, Refusal> {
    let known = markets
        .iter()
        .find(|m| m.symbol.eq_ignore_ascii_case(symbol));
    known.ok_or_else(|| {
        let listed: Vec<_> = markets.iter().map(|m| m.symbol.as_str()).collect();
        Refusal::new(
            "unknown_market",
            format!("market {symbol} is not listed"),
            listed.join(" or "),
        )
    })
}

impl Chain {
    /// Every market, by id.
    pub async fn markets(&self, at: Option<Hash>) -> Result<Vec<Market>> {
        let markets: Vec<(MarketId, MarketInfo)> = self.query("NovateApi_markets", (), at).await?;
        Ok(markets
            .into_iter()
            .map(|(id, info)| Market::new(id, info))
            .collect())
    }

    /// The market of a symbol, in any case.
    ///
    /// # Errors
    ///
    /// `unknown_market`, with those that are listed.
    pub async fn market(&self, symbol: &str, at: Option<Hash>) -> Result<Market> {
        let markets = self.markets(at).await?;
        Ok(find(&markets, symbol)?.clone())
    }

    /// A market's book.
    pub async fn book(&self, market: MarketId, depth: u32, at: Option<Hash>) -> Result<Book> {
        self.query("NovateApi_book", (market, depth), at).await
    }

    /// The oracle's feeds.
    pub async fn prices(&self, at: Option<Hash>) -> Result<Vec<FeedInfo>> {
        self.query("NovateApi_prices", (), at).await
    }

    /// The feed of an underlying or asset, in any case.
    ///
    /// # Errors
    ///
    /// `unknown_feed`, with those that there are.
    pub async fn feed(&self, symbol: &str, at: Option<Hash>) -> Result<FeedInfo> {
        let feeds = self.prices(at).await?;
        let name = |feed: &FeedInfo| String::from_utf8_lossy(&feed.symbol).into_owned();
        let known: Vec<_> = feeds.iter().map(name).collect();
        feeds
            .into_iter()
            .find(|feed| name(feed).eq_ignore_ascii_case(symbol))
            .ok_or_else(|| {
                Refusal::new(
                    "unknown_feed",
                    format!("there is no feed {symbol}"),
                    known.join(" or "),
                )
                .into()
            })
    }

    /// The volatility surface of an underlying, by expiry; empty if it has none.
    pub async fn surface(&self, underlying: FeedId, at: Option<Hash>) -> Result<Vec<SliceInfo>> {
        self.query("NovateApi_surface", underlying, at).await
    }

    /// Every instrument of an underlying as it is quoted and marked, with its Greeks.
    pub async fn quotes(&self, underlying: FeedId, at: Option<Hash>) -> Result<Vec<QuoteInfo>> {
        self.query("NovateApi_quotes", underlying, at).await
    }

    /// How the oracle's validators observe.
    pub async fn oracle_scores(&self, at: Option<Hash>) -> Result<OracleScores<AccountId>> {
        self.query("NovateApi_oracle_scores", (), at).await
    }

    /// One margin account.
    pub async fn account(&self, account: Account, at: Option<Hash>) -> Result<AccountInfo> {
        answered(self.query("NovateApi_account", account, at).await?)
    }

    /// The account as it would be after some trades.
    pub async fn simulate(
        &self,
        account: Account,
        trades: &[HypotheticalTrade],
        at: Option<Hash>,
    ) -> Result<AccountInfo> {
        answered(
            self.query("NovateApi_simulate", (account, trades), at)
                .await?,
        )
    }

    /// Accounts by nearness to their maintenance margin.
    pub async fn liquidation_candidates(
        &self,
        from: u32,
        count: u32,
        at: Option<Hash>,
    ) -> Result<Vec<Candidate<AccountId>>> {
        self.query("NovateApi_liquidation_candidates", (from, count), at)
            .await
    }

    /// Accounts in open competition, with the terms of the next close.
    pub async fn competitions(&self, at: Option<Hash>) -> Result<Vec<Competition<AccountId>>> {
        self.query("NovateApi_competitions", (), at).await
    }

    /// The vault as an investment, and what of it is an owner's.
    pub async fn vault_info(&self, owner: AccountId, at: Option<Hash>) -> Result<VaultInfo> {
        answered(self.query("NovateApi_vault", owner, at).await?)
    }

    /// The liquidity pot, and what of it is an owner's.
    pub async fn loan_pot(&self, owner: AccountId, at: Option<Hash>) -> Result<LoanPotInfo> {
        answered(self.query("NovateApi_loan_pot", owner, at).await?)
    }

    /// Volatility forecasts, the margin that follows them, and what all accounts would lack under stress.
    pub async fn stress(&self, at: Option<Hash>) -> Result<StressInfo> {
        self.query("NovateApi_stress", (), at).await
    }

    /// Every price and parameter that the last close checked against.
    pub async fn view(&self, at: Option<Hash>) -> Result<RiskView> {
        let view = self.value("Clearing", "View", (), at).await?;
        Ok(view.unwrap_or_default())
    }

    /// The equalities of conservation, as the chain computes them.
    pub async fn conservation(&self, at: Option<Hash>) -> Result<Conservation> {
        answered(self.query("NovateApi_conservation", (), at).await?)
    }

    /// Where the chain stands.
    pub async fn status(&self, at: Option<Hash>) -> Result<StatusInfo> {
        self.query("NovateApi_status", (), at).await
    }

    /// The asset that cash is.
    pub fn settlement_asset(&self) -> Result<AssetId> {
        self.constant("Margin", "SettlementAsset")
    }

    /// The account that liquidation fees fill and deficits empty.
    pub fn insurance_fund(&self) -> Result<Account> {
        self.constant("Liquidation", "InsuranceFund")
    }

    /// The account that takes over what the market does not.
    pub fn vault(&self) -> Result<Account> {
        self.constant("Liquidation", "Vault")
    }

    /// Every asset with its ticker and decimals, by id.
    pub async fn assets(&self, at: Hash) -> Result<Vec<Asset>> {
        let entries: Vec<(AssetId, AssetMetadata)> =
            self.entries("Assets", "Metadata", 16, at).await?;
        let mut assets: Vec<_> = entries
            .into_iter()
            .map(|(id, m)| Asset {
                id,
                symbol: String::from_utf8_lossy(&m.symbol).into_owned(),
                decimals: u32::from(m.decimals),
            })
            .collect();
        assets.sort_by_key(|a| a.id);
        Ok(assets)
    }

    /// The asset of a ticker, in any case.
    ///
    /// # Errors
    ///
    /// `unknown_asset`, with those that exist.
    pub async fn asset(&self, symbol: &str, at: Hash) -> Result<Asset> {
        let assets = self.assets(at).await?;
        let known: Vec<_> = assets.iter().map(|a| a.symbol.clone()).collect();
        assets
            .into_iter()
            .find(|a| a.symbol.eq_ignore_ascii_case(symbol))
            .ok_or_else(|| {
                Refusal::new(
                    "unknown_asset",
                    format!("asset {symbol} does not exist"),
                    known.join(" or "),
                )
                .into()
            })
    }

    /// What an address holds of an asset outside its margin accounts, in smallest units.
    pub async fn wallet_balance(
        &self,
        asset: AssetId,
        owner: AccountId,
        at: Option<Hash>,
    ) -> Result<u128> {
        // The balance is the first field of the assets pallet's account.
        let balance: Option<u128> = self.value("Assets", "Account", (asset, owner), at).await?;
        Ok(balance.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amount_is_refused_with_the_nearest_valid_one_when_finer_than_the_asset() {
        let usdc = Asset {
            id: 1,
            symbol: "USDC".into(),
            decimals: 6,
        };
        let refusal = usdc.units("1.00000051").unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "amount 1.00000051 has more than the 6 decimals of USDC; try 1.000001"
        );
        assert_eq!(
            usdc.units("0").unwrap_err().suggestion.as_deref(),
            Some("0.000001")
        );
        assert_eq!(usdc.units("-5").unwrap_err().rule, "amount");
        assert_eq!(usdc.units("1000.5"), Ok(1_000_500_000));
        assert_eq!(usdc.text(1_000_500_000), "1000.5");
    }
}
