//! Answers of the chain, as tables and as JSON with exact decimal strings.

use super::{greeks, Report};
use novate_calc::Table;
use novate_client::{
    decimal::{cash, cash_floor, signed_units},
    market::{price_floor, price_text},
    Account, AccountId, Asset, Market,
};
use novate_risk::Greeks;
use novate_runtime_api::{
    AccountInfo, Book, BookLevel, EraInfo, FeedInfo, NoLiquidationPrice, OracleScores,
    PortfolioInfo, PositionInfo,
};
use novate_types::{
    symbol::kind_text, Anchor, Arrangement, AssetId, Direction, FeedId, MarketId, MarketStatus,
    OracleScore, Outlier, Sequence, Side, Standing, ValidatorScore, Verdict,
};
use serde_json::{json, Value};

/// What a market admits, in a word.
pub fn status(status: MarketStatus) -> &'static str {
    match status {
        MarketStatus::Open => "open",
        MarketStatus::ReduceOnly => "reduce-only",
        MarketStatus::Halted => "halted",
    }
}

/// What the market does now: what it admits, or the call auction that it is in.
fn phase(market: &Market) -> String {
    match (&market.info.auction, market.status()) {
        (None, status) => self::status(status).into(),
        (Some(auction), MarketStatus::Open) => format!("auction at {}", auction.at),
        (Some(auction), status) => {
            format!("{}, auction at {}", self::status(status), auction.at)
        }
    }
}

/// What a market's auction would do now, if it is in one.
fn auction_json(market: &Market) -> Option<Value> {
    market.info.auction.as_ref().map(|auction| {
        json!({
            "at_block": auction.at,
            "reference": price_text(auction.reference),
            "indicative_price": auction.price.map(|ticks| market.price(ticks)),
            "indicative_size": market.size(auction.volume),
        })
    })
}

/// The same as text.
fn indicative(market: &Market) -> Option<String> {
    let auction = market.info.auction.as_ref()?;
    Some(match auction.price {
        Some(ticks) => format!("{} at {}", market.size(auction.volume), market.price(ticks)),
        None => "nothing".into(),
    })
}

/// A funding rate of parts per 10¹² as percent, exact.
fn rate(ppt: i64) -> String {
    format!("{} %", signed_units(i128::from(ppt), 10))
}

fn ppm(ppm: u32) -> String {
    format!("{} %", signed_units(i128::from(ppm), 4))
}

/// A market's book.
pub fn book(block: u32, market: &Market, book: &Book) -> Report {
    let level = |l: &BookLevel| json!({ "price": market.price(l.ticks), "size": market.size(l.lots), "orders": l.orders });
    let json = json!({
        "market": market.symbol,
        "block": block,
        "mark": market.mark().map(price_text),
        "auction": auction_json(market),
        "bids": book.bids.iter().map(level).collect::<Vec<_>>(),
        "asks": book.asks.iter().map(level).collect::<Vec<_>>(),
    });
    let mut table = Table::new(&["side", "price", "size", "orders"]);
    let mut row = |side: &str, l: &BookLevel| {
        table.row([
            side.into(),
            market.price(l.ticks),
            market.size(l.lots),
            l.orders.to_string(),
        ]);
    };
    book.asks.iter().rev().for_each(|l| row("ask", l));
    book.bids.iter().for_each(|l| row("bid", l));
    let mark = market
        .mark()
        .map_or("no mark".into(), |m| format!("mark {}", price_floor(m, 2)));
    let called =
        indicative(market).map(|what| format!(", {}: it would execute {what}", phase(market)));
    let spread = book
        .asks
        .first()
        .zip(book.bids.first())
        .filter(|(ask, bid)| ask.ticks > bid.ticks)
        .map_or(String::new(), |(ask, bid)| {
            format!(
                ", spread {}",
                market.price(ask.ticks.saturating_sub(bid.ticks))
            )
        });
    let spread = called.unwrap_or(spread);
    let empty = if table.is_empty() {
        "nobody quotes\n"
    } else {
        ""
    };
    Report::new(
        json,
        format!(
            "{} at block {block}: {mark}{spread}\n{table}{empty}",
            market.symbol
        ),
    )
}

/// Every market.
pub fn markets(block: u32, markets: &[Market]) -> Report {
    let json = markets
        .iter()
        .map(|m| {
            let view = m.info.view.as_ref();
            json!({
                "market": m.symbol,
                "id": m.id,
                "kind": kind_text(m.contract().kind),
                "expiry_ms": m.info.instrument.kind.expiry(),
                "strike": m.strike(),
                "legs": m.legs_text(markets),
                "settled": m.contract().settled,
                "status": status(m.status()),
                "auction": auction_json(m),
                "tick": m.tick().to_string(),
                "lot": m.lot().to_string(),
                "min_notional": cash(m.info.instrument.params.min_notional),
                "mark": m.mark().map(price_text),
                "index": view.map(|v| price_text(v.index)),
                "fresh": view.map(|v| v.fresh),
                "initial_margin_ppm": view.map_or(m.info.tier.imf, |v| v.imf),
                "maintenance_margin_ppm": m.info.tier.mmf,
                "price_band_ppm": m.info.tier.price_band,
                "open_interest": m.size(m.info.open_interest),
                "open_interest_cap": m.size(m.info.instrument.params.open_interest_cap),
                "funding_rate_8h_ppt": m.info.funding_rate_8h,
                "last_price": m.info.last_trade.map(|(ticks, _)| m.price(ticks)),
                "last_time_ms": m.info.last_trade.map(|(_, time)| time),
            })
        })
        .collect::<Vec<_>>();
    let mut table = Table::new(&[
        "market",
        "contract",
        "status",
        "indicative",
        "mark",
        "index",
        "last",
        "tick",
        "lot",
        "IM",
        "MM",
        "open interest",
        "funding 8h",
    ]);
    for m in markets {
        let view = m.info.view.as_ref();
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        table.row([
            m.symbol.clone(),
            match m.legs_text(markets) {
                Some(legs) => format!("{}: {legs}", m.contract_text()),
                None => m.contract_text(),
            },
            phase(m),
            or_dash(indicative(m)),
            or_dash(m.mark().map(|p| price_floor(p, 2))),
            or_dash(view.map(|v| price_floor(v.index, 2))),
            or_dash(m.info.last_trade.map(|(ticks, _)| m.price(ticks))),
            m.tick().to_string(),
            m.lot().to_string(),
            ppm(view.map_or(m.info.tier.imf, |v| v.imf)),
            ppm(m.info.tier.mmf),
            m.size(m.info.open_interest),
            rate(m.info.funding_rate_8h),
        ]);
    }
    Report::new(
        json!({ "block": block, "markets": json }),
        table.to_string(),
    )
}

/// The oracle's feeds.
pub fn prices(block: u32, feeds: &[FeedInfo]) -> Report {
    let json = feeds
        .iter()
        .map(|f| {
            json!({
                "feed": f.feed,
                "symbol": String::from_utf8_lossy(&f.symbol),
                "price": f.price.map(price_text),
                "confidence": price_text(f.confidence),
                "observed_at_ms": f.observed_at,
                "age_ms": f.age,
            })
        })
        .collect::<Vec<_>>();
    let mut table = Table::new(&["feed", "price", "+/-", "age"]);
    for f in feeds {
        let (price, spread, age) = match f.price {
            Some(price) => (
                price_floor(price, 4),
                price_floor(f.confidence, 4),
                format!("{}.{} s", f.age / 1_000, f.age % 1_000 / 100),
            ),
            None => ("no price yet".into(), "-".into(), "-".into()),
        };
        table.row([
            String::from_utf8_lossy(&f.symbol).into_owned(),
            price,
            spread,
            age,
        ]);
    }
    Report::new(json!({ "block": block, "prices": json }), table.to_string())
}

/// What follows from an era, in words.
fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "good",
        Verdict::Withheld => "rewards withheld",
        Verdict::Reported => "rewards withheld, offence reported",
    }
}

/// The share of what a validator observed that was outliers, as percent, rounded down to its second decimal.
fn share_of_outliers(score: &OracleScore) -> String {
    let outliers = u64::from(score.outliers) * 10_000;
    let hundredths = outliers.checked_div(score.observed().into()).unwrap_or(0);
    format!("{} %", signed_units(hundredths.into(), 2))
}

/// The oracle's validators.
pub fn validators(block: u32, scores: &OracleScores<AccountId>, feeds: &[FeedInfo]) -> Report {
    let symbol = |o: &Outlier| {
        let feed = feeds.iter().find(|f| f.feed == o.feed);
        feed.map_or_else(
            || format!("feed {}", o.feed),
            |f| String::from_utf8_lossy(&f.symbol).into_owned(),
        )
    };
    let one = |s: &ValidatorScore<AccountId>| {
        json!({
            "validator": s.validator,
            "rounds": s.score.rounds,
            "observed": s.score.observed(),
            "missed": s.score.missed,
            "outliers": s.score.outliers,
            "farthest": s.score.farthest.map(|o| json!({
                "feed": o.feed, "symbol": symbol(&o), "distance_ppm": o.distance,
            })),
            "verdict": s.verdict,
        })
    };
    let era = |e: &EraInfo<AccountId>| json!({ "era": e.era, "validators": e.scores.iter().map(one).collect::<Vec<_>>() });
    let json = json!({
        "block": block,
        "running": era(&scores.running),
        "kept": scores.kept.iter().map(era).collect::<Vec<_>>(),
    });

    let cells = |s: &ValidatorScore<AccountId>| {
        [
            s.validator.to_string(),
            s.score.observed().to_string(),
            s.score.missed.to_string(),
            s.score.outliers.to_string(),
            share_of_outliers(&s.score),
            s.score.farthest.map_or_else(
                || "-".into(),
                |o| format!("{} by {}", symbol(&o), ppm(o.distance)),
            ),
            verdict(s.verdict).into(),
        ]
    };
    let mut now = Table::new(&[
        "validator",
        "observed",
        "missed",
        "outliers",
        "share",
        "farthest",
        "as it stands",
    ]);
    scores.running.scores.iter().for_each(|s| now.row(cells(s)));
    let mut text = format!("era {} at block {block}\n{now}", scores.running.era);
    let mut before = Table::new(&[
        "era",
        "validator",
        "observed",
        "missed",
        "outliers",
        "share",
        "farthest",
        "verdict",
    ]);
    for kept in &scores.kept {
        for s in kept.scores.iter().filter(|s| s.verdict != Verdict::Good) {
            before.row([kept.era.to_string()].into_iter().chain(cells(s)));
        }
    }
    if !before.is_empty() {
        text += &format!("\n{before}");
    } else if !scores.kept.is_empty() {
        text += "\nnothing was withheld in the eras before it\n";
    }
    Report::new(json, text)
}

/// What an account's numbers need to be read: its markets and assets.
pub struct View<'a> {
    /// Whose.
    pub account: Account,
    /// Listed markets.
    pub markets: &'a [Market],
    /// Assets.
    pub assets: &'a [Asset],
}

impl View<'_> {
    fn market(&self, id: MarketId) -> Option<&Market> {
        self.markets.iter().find(|m| m.id == id)
    }

    fn symbol(&self, id: MarketId) -> String {
        self.market(id)
            .map_or_else(|| format!("market {id}"), |m| m.symbol.clone())
    }

    /// The ticker of an underlying, as the markets on it have it.
    fn underlying(&self, feed: FeedId) -> String {
        let on = |m: &&Market| m.info.instrument.underlying == feed;
        self.markets
            .iter()
            .find(on)
            .map_or_else(|| format!("feed {feed}"), |m| m.base().to_owned())
    }

    fn asset(&self, id: AssetId, amount: u128) -> (String, String) {
        match self.assets.iter().find(|a| a.id == id) {
            Some(asset) => (asset.symbol.clone(), asset.text(amount)),
            None => (format!("asset {id}"), amount.to_string()),
        }
    }

    fn position(&self, p: &PositionInfo) -> Value {
        let market = self.market(p.market);
        json!({
            "market": self.symbol(p.market),
            "contract": market.map(Market::contract_text),
            "size": market.map(|m| m.signed_size(p.lots)),
            "lots": p.lots,
            "entry_price": market.and_then(|m| m.entry_price(p.lots, p.cost)),
            "mark": market.and_then(|m| m.mark()).map(price_text),
            "cost": cash(p.cost),
            "value": cash(p.value),
            "funding": cash(p.funding),
            "funding_index": p.funding_index.to_string(),
            "unrealised": cash(p.unrealised),
            "liquidation_price": p.liquidation_price.ok().map(price_text),
            "no_liquidation_price": p.liquidation_price.err().map(|why| json!({
                "reason": why, "words": absence(why),
            })),
            "greeks": p.greeks.as_ref().map(greeks::to_json),
        })
    }

    fn portfolio(&self, portfolio: &PortfolioInfo) -> Value {
        greeks::portfolio_json(&self.underlying(portfolio.underlying), portfolio)
    }

    /// Greeks of positions and of the account, a row each.
    fn greeks_table(&self, info: &AccountInfo) -> Table {
        let [delta, gamma, vega, theta, rho] = greeks::HEAD;
        let mut table = Table::new(&["greeks", delta, gamma, vega, theta, rho]);
        let mut row = |name: String, of: Option<&Greeks>| {
            table.row([name].into_iter().chain(greeks::cells(of)));
        };
        for p in info.positions.iter().filter(|p| p.greeks.is_some()) {
            row(self.symbol(p.market), p.greeks.as_ref());
        }
        for portfolio in &info.portfolios {
            let name = format!("all {}", self.underlying(portfolio.underlying));
            row(name, portfolio.greeks.as_ref());
        }
        table
    }

    /// What each portfolio needs by either rule, and where it loses most.
    fn portfolio_lines(&self, info: &AccountInfo) -> String {
        let portfolios = info.portfolios.iter();
        portfolios
            .map(|p| greeks::portfolio_lines(&self.underlying(p.underlying), p))
            .collect()
    }

    fn account_json(&self, block: u32, info: &AccountInfo) -> Value {
        let a = &info.assessment;
        json!({
            "account": self.account.owner,
            "sub": self.account.sub,
            "block": block,
            "standing": match info.standing {
                Standing::Good => "good",
                Standing::Liquidating { .. } => "liquidating",
                Standing::Frozen => "frozen",
                Standing::Competing { .. } => "competing",
                Standing::Called { .. } => "called",
            },
            "liquidating_since": match info.standing {
                Standing::Liquidating { since, .. }
                | Standing::Competing { since, .. }
                | Standing::Called { since, .. } => Some(since),
                _ => None,
            },
            "fee_tier": info.account.fee_tier,
            "cash": cash(info.account.cash),
            "debt": cash(info.debt),
            "equity": cash(a.equity),
            "initial_equity": cash(a.initial_equity),
            "initial_margin": cash(a.initial),
            "initial_margin_with_orders": cash(a.initial_with_orders),
            "maintenance_margin": cash(a.maintenance),
            "withdrawable": cash(a.withdrawable),
            "notional": cash(a.notional),
            "fresh": a.fresh,
            "deviations_to_liquidation": info.distance.map(|d| signed_units(d, 6)),
            "margin_call": info.account.call,
            "collateral": info.account.collateral.iter().map(|(id, amount)| {
                let (asset, amount) = self.asset(*id, *amount);
                json!({ "asset": asset, "amount": amount })
            }).collect::<Vec<_>>(),
            "positions": info.positions.iter().map(|p| self.position(p)).collect::<Vec<_>>(),
            "portfolios": info.portfolios.iter().map(|p| self.portfolio(p)).collect::<Vec<_>>(),
            "open_orders": info.open_orders.iter().map(|o| {
                let market = self.market(o.market);
                json!({
                    "market": self.symbol(o.market),
                    "sequence": o.sequence,
                    "client_id": o.client_id,
                    "side": o.side,
                    "price": market.map(|m| m.price(o.ticks)),
                    "size": market.map(|m| m.size(o.lots)),
                    "time_in_force": o.time_in_force,
                    "reduce_only": o.reduce_only,
                    "block": o.block,
                    "reserve": cash(o.reserve),
                })
            }).collect::<Vec<_>>(),
            "triggers": info.account.triggers.iter().map(|t| {
                let (order, market) = (&t.terms.order, self.market(t.terms.order.market));
                json!({
                    "market": self.symbol(order.market),
                    "sequence": t.sequence,
                    "client_id": order.client_id,
                    "side": order.side,
                    "direction": t.terms.direction,
                    "level": market.map(|m| m.price(t.terms.ticks)),
                    "size": market.map(|m| m.size(order.lots)),
                    "time_in_force": order.time_in_force,
                    "reduce_only": order.reduce_only,
                    "expires": t.terms.expires,
                })
            }).collect::<Vec<_>>(),
            "arrangements": info.arrangements.iter().map(|a| self.arrangement(a, info)).collect::<Vec<_>>(),
        })
    }

    /// The market of an account's open order.
    fn market_of(&self, sequence: Sequence, info: &AccountInfo) -> Option<&Market> {
        let order = info.open_orders.iter().find(|o| o.sequence == sequence)?;
        self.market(order.market)
    }

    fn arrangement(&self, arrangement: &Arrangement, info: &AccountInfo) -> Value {
        match arrangement {
            Arrangement::Hidden {
                sequence,
                display,
                lots,
                reserve,
            } => {
                let market = self.market_of(*sequence, info);
                json!({
                    "iceberg": sequence,
                    "display": market.map(|m| m.size(*display)),
                    "hidden": market.map(|m| m.size(*lots)),
                    "reserve": cash(*reserve),
                })
            }
            Arrangement::Pair(one, other) => json!({ "pair": [one, other] }),
            Arrangement::Peg(peg) => json!({
                "peg": peg.sequence,
                "follows": peg.anchor,
                "ticks": peg.offset,
                "worst": self.market_of(peg.sequence, info).map(|m| m.price(peg.worst)),
            }),
            Arrangement::Twap(twap) => {
                let (terms, market) = (&twap.terms, self.market(twap.terms.order.market));
                json!({
                    "twap": twap.sequence,
                    "market": self.symbol(terms.order.market),
                    "client_id": terms.order.client_id,
                    "side": terms.order.side,
                    "size": market.map(|m| m.size(terms.order.lots)),
                    "left": market.map(|m| m.size(twap.left)),
                    "slices": terms.slices,
                    "interval": terms.interval,
                    "reduce_only": terms.order.reduce_only,
                    "next": twap.due,
                    "ends": twap.start.saturating_add(terms.span()),
                })
            }
        }
    }

    /// A line each of what icebergs hide, of pairs, and of orders in slices.
    fn arrangement_line(&self, arrangement: &Arrangement, info: &AccountInfo) -> String {
        match arrangement {
            Arrangement::Hidden { sequence, lots, .. } => {
                let size = self
                    .market_of(*sequence, info)
                    .map_or_else(|| lots.to_string(), |m| m.size(*lots));
                format!("order {sequence} hides {size} more")
            }
            Arrangement::Pair(one, other) => {
                format!("{one} and {other} exclude each other")
            }
            Arrangement::Peg(peg) => {
                let anchor = match peg.anchor {
                    Anchor::Mark => "the mark",
                    Anchor::Best => "the best price",
                };
                format!(
                    "order {} follows {anchor} by {:+} ticks",
                    peg.sequence, peg.offset
                )
            }
            Arrangement::Twap(twap) => {
                let (order, market) = (&twap.terms.order, self.market(twap.terms.order.market));
                let size =
                    |lots: u64| market.map_or_else(|| lots.to_string(), |market| market.size(lots));
                format!(
                    "order {} (client id {}) {} {} {} in slices: {} left, the next in block {}",
                    twap.sequence,
                    order.client_id,
                    if order.side == Side::Bid {
                        "buys"
                    } else {
                        "sells"
                    },
                    size(order.lots),
                    self.symbol(order.market),
                    size(twap.left),
                    twap.due,
                )
            }
        }
    }

    /// An account.
    pub fn account(&self, block: u32, info: &AccountInfo) -> Report {
        let a = &info.assessment;
        let standing = match info.standing {
            Standing::Good => "good".into(),
            Standing::Liquidating { since, .. } => format!("being liquidated since block {since}"),
            Standing::Frozen => "frozen while it is deleveraged".into(),
            Standing::Competing { since, .. } => {
                format!("in open competition since block {since}: anyone may take fractions of it")
            }
            Standing::Called { since, .. } => {
                format!("called since block {since}: its collateral is auctioned for its debt")
            }
        };
        let mut text = format!(
            "{} / {} at block {block}, standing {standing}\n",
            self.account.owner, self.account.sub
        );
        for (name, value) in [
            ("equity", a.equity),
            ("cash", info.account.cash),
            ("initial margin", a.initial),
            ("  with orders", a.initial_with_orders),
            ("maintenance", a.maintenance),
            ("withdrawable", a.withdrawable),
            ("notional", a.notional),
        ] {
            text += &format!("{name:<16}{:>18}\n", cash_floor(value));
        }
        if info.debt > 0 {
            text += &format!("{:<16}{:>18}\n", "owed", cash(info.debt));
        }
        for (id, amount) in &info.account.collateral {
            let (asset, amount) = self.asset(*id, *amount);
            text += &format!("{:<16}{amount:>18}\n", format!("collateral {asset}"));
        }
        if let Some(distance) = info.distance {
            text += &format!(
                "{:<16}{:>18}\n",
                "deviations left",
                signed_units(distance, 6)
            );
        }
        if !a.fresh {
            text += "some of its prices are stale\n";
        }
        let mut positions = Table::new(&[
            "position",
            "size",
            "entry",
            "mark",
            "unrealised",
            "funding",
            "liquidation",
        ]);
        for p in &info.positions {
            let market = self.market(p.market);
            let dash = || "-".to_owned();
            positions.row([
                self.symbol(p.market),
                market.map_or_else(|| p.lots.to_string(), |m| m.signed_size(p.lots)),
                market
                    .and_then(|m| m.entry_price(p.lots, p.cost))
                    .unwrap_or_else(dash),
                market
                    .and_then(Market::mark)
                    .map_or_else(dash, |m| price_floor(m, 2)),
                cash_floor(p.unrealised),
                cash_floor(p.funding),
                match p.liquidation_price {
                    Ok(price) => price_floor(price, 2),
                    Err(why) => format!("none: {}", absence(why)),
                },
            ]);
        }
        if !positions.is_empty() {
            text += &format!("\n{positions}");
        }
        let moves = self.greeks_table(info);
        if !moves.is_empty() {
            text += &format!("\n{moves}\n{}", self.portfolio_lines(info));
        }
        let mut orders = Table::new(&[
            "order",
            "client id",
            "market",
            "side",
            "price",
            "size",
            "stands",
            "reduces",
        ]);
        for o in &info.open_orders {
            let market = self.market(o.market);
            orders.row([
                o.sequence.to_string(),
                o.client_id.to_string(),
                self.symbol(o.market),
                if o.side == Side::Bid {
                    "buy".into()
                } else {
                    "sell".into()
                },
                market.map_or_else(|| o.ticks.to_string(), |m| m.price(o.ticks)),
                market.map_or_else(|| o.lots.to_string(), |m| m.size(o.lots)),
                stands(o.time_in_force),
                if o.reduce_only {
                    "only".into()
                } else {
                    String::new()
                },
            ]);
        }
        if !orders.is_empty() {
            text += &format!("\n{orders}");
        }
        let mut triggers = Table::new(&[
            "trigger",
            "client id",
            "market",
            "side",
            "mark",
            "size",
            "stands",
            "reduces",
        ]);
        for t in &info.account.triggers {
            let (order, market) = (&t.terms.order, self.market(t.terms.order.market));
            let level =
                market.map_or_else(|| t.terms.ticks.to_string(), |m| m.price(t.terms.ticks));
            triggers.row([
                t.sequence.to_string(),
                order.client_id.to_string(),
                self.symbol(order.market),
                if order.side == Side::Bid {
                    "buy".into()
                } else {
                    "sell".into()
                },
                match t.terms.direction {
                    Direction::Down => format!("falls to {level}"),
                    Direction::Up => format!("rises to {level}"),
                },
                market.map_or_else(|| order.lots.to_string(), |m| m.size(order.lots)),
                t.terms.expires.map_or_else(
                    || "until cancelled".into(),
                    |block| format!("until block {block}"),
                ),
                if order.reduce_only {
                    "only".into()
                } else {
                    String::new()
                },
            ]);
        }
        if !triggers.is_empty() {
            text += &format!("\n{triggers}");
        }
        for arrangement in &info.arrangements {
            text += &format!("\n{}", self.arrangement_line(arrangement, info));
        }
        Report::new(self.account_json(block, info), text)
    }

    /// An account before and after hypothetical trades.
    pub fn simulation(&self, block: u32, before: &AccountInfo, after: &AccountInfo) -> Report {
        let allowed = after.assessment.covers_orders();
        let json = json!({
            "before": self.account_json(block, before),
            "after": self.account_json(block, after),
            "covers_initial_margin": allowed,
        });
        let mut table = Table::new(&["", "before", "after"]);
        let (b, a) = (&before.assessment, &after.assessment);
        for (name, before, after) in [
            ("equity", b.equity, a.equity),
            ("initial margin", b.initial, a.initial),
            ("with orders", b.initial_with_orders, a.initial_with_orders),
            ("maintenance", b.maintenance, a.maintenance),
            ("withdrawable", b.withdrawable, a.withdrawable),
        ] {
            table.row([name.into(), cash_floor(before), cash_floor(after)]);
        }
        let size = |info: &AccountInfo, p: &PositionInfo| {
            let held = info.positions.iter().find(|o| o.market == p.market)?;
            Some(self.market(p.market)?.signed_size(held.lots))
        };
        let liquidation = |info: &AccountInfo, p: &PositionInfo| {
            let held = info.positions.iter().find(|o| o.market == p.market)?;
            Some(
                held.liquidation_price
                    .map_or_else(|why| absence(why).into(), |p| price_floor(p, 2)),
            )
        };
        for p in &after.positions {
            let none = || "-".to_owned();
            table.row([
                self.symbol(p.market),
                size(before, p).unwrap_or_else(none),
                size(after, p).unwrap_or_else(none),
            ]);
            table.row([
                "liquidation at".into(),
                liquidation(before, p).unwrap_or_else(none),
                liquidation(after, p).unwrap_or_else(none),
            ]);
        }
        let verdict = if allowed {
            "initial margin would be covered"
        } else {
            "initial margin would not be covered: the chain would refuse it unless it reduces risk"
        };
        let moves = self.greeks_table(after);
        let portfolios = if moves.is_empty() {
            String::new()
        } else {
            format!("\n{moves}\n{}\n", self.portfolio_lines(after))
        };
        Report::new(json, format!("{table}{portfolios}{verdict}\n"))
    }
}

/// Why there is no liquidation price.
fn absence(why: NoLiquidationPrice) -> &'static str {
    match why {
        NoLiquidationPrice::NoPosition => "no position",
        NoLiquidationPrice::Covered => "covered at every price",
        NoLiquidationPrice::AlreadyBelow => "below maintenance margin already",
        NoLiquidationPrice::NoPrice => "no price yet",
        NoLiquidationPrice::NotLinear => "an option, or settled",
    }
}

fn stands(time_in_force: novate_types::TimeInForce) -> String {
    use novate_types::TimeInForce as Tif;
    match time_in_force {
        Tif::GoodTilCancelled => "until cancelled".into(),
        Tif::GoodTilBlock(block) => format!("until block {block}"),
        Tif::ImmediateOrCancel => "at once".into(),
        Tif::PostOnly => "post-only".into(),
        Tif::FillOrKill => "whole or not at all".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validators_print_with_what_they_missed_and_what_follows() {
        let of = |byte: u8, missed, outliers, verdict| ValidatorScore {
            validator: AccountId::from([byte; 32]),
            score: OracleScore {
                rounds: 100,
                missed,
                outliers,
                farthest: (outliers > 0).then_some(Outlier {
                    distance: 15_092,
                    feed: 7,
                }),
            },
            verdict,
        };
        let era = |era, scores| EraInfo { era, scores };
        let good = || of(1, 1, 0, Verdict::Good);
        let scores = OracleScores {
            running: era(2, vec![good(), of(2, 0, 6, Verdict::Withheld)]),
            kept: vec![
                era(1, vec![good(), of(2, 97, 1, Verdict::Reported)]),
                era(0, vec![good()]),
            ],
        };
        let feed = FeedInfo {
            feed: 7,
            symbol: b"BTC".to_vec(),
            price: None,
            confidence: novate_types::Price::from_u32(0),
            observed_at: 0,
            age: 0,
        };
        let report = validators(9, &scores, &[feed]);
        let lines: Vec<Vec<_>> = report
            .text
            .lines()
            .map(|l| l.split_whitespace().skip(1).collect())
            .collect();
        assert_eq!(report.text.lines().next(), Some("era 2 at block 9"));
        assert_eq!(lines[2].join(" "), "99 1 0 0 % - good");
        assert_eq!(
            lines[3].join(" "),
            "100 0 6 6 % BTC by 1.5092 % rewards withheld"
        );
        // Of the eras before, only what was withheld.
        assert_eq!(lines.len(), 7);
        assert!(lines[6]
            .join(" ")
            .ends_with("3 97 1 33.33 % BTC by 1.5092 % rewards withheld, offence reported"));
        assert_eq!(
            report.json["running"]["validators"][1]["verdict"],
            "withheld"
        );
        assert_eq!(
            report.json["kept"][0]["validators"][1]["farthest"]["distance_ppm"],
            15_092
        );

        let clean = OracleScores {
            kept: vec![era(0, vec![good()])],
            ..scores
        };
        assert!(validators(9, &clean, &[])
            .text
            .ends_with("nothing was withheld in the eras before it\n"));
    }

    #[test]
    fn markets_print_with_each_number_under_its_name() {
        let call = novate_types::OptionRight::Call;
        let option = crate::cli::sample::option(7, 1_798_358_400_000, 60_000, call);
        let text = markets(9, &[option]).text;
        let words = |at| -> Vec<&str> {
            let line = text.lines().nth(at);
            line.map_or_else(Vec::new, |l| l.split_whitespace().collect())
        };
        assert_eq!(
            words(0)[..5].join(" "),
            "market contract status indicative mark"
        );
        assert_eq!(
            words(1).join(" "),
            "BTC-7 call 60000 27DEC26 halted - - - - 0.5 0.0001 15 % 10 % 0 0 %"
        );
    }

    #[test]
    fn rates_and_fractions_print_as_percent_exactly() {
        assert_eq!(rate(100_000_000), "0.01 %");
        assert_eq!(rate(-1), "-0.0000000001 %");
        assert_eq!(ppm(50_000), "5 %");
        assert_eq!(ppm(12_345), "1.2345 %");
    }
}
