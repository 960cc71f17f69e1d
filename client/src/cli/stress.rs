//! Stress before it arrives: volatility, the margin that follows it, what accounts would lack.

use super::{Report, Session};
use novate_calc::Table;
use novate_client::{
    decimal::{cash, signed_units},
    market::price_floor,
    Market, Result,
};
use novate_runtime_api::{FeedInfo, ForecastInfo, StressInfo};
use novate_types::{FeedId, MarketId, Ppm};
use serde_json::{json, Value};

/// Parts per million as percent, exact.
fn percent(ppm: Ppm) -> String {
    format!("{} %", signed_units(i128::from(ppm), 4))
}

/// Asks the chain, and says it.
pub async fn run(session: &Session) -> Result<Report> {
    let chain = &session.chain;
    let block = chain.best().await?;
    let at = Some(block.hash);
    let info = chain.stress(at).await?;
    let feeds = chain.prices(at).await?;
    let markets = chain.markets(at).await?;
    Ok(show(block.number, &info, &feeds, &markets))
}

fn feed_name(feeds: &[FeedInfo], feed: FeedId) -> String {
    let known = feeds.iter().find(|f| f.feed == feed);
    known.map_or_else(
        || format!("feed {feed}"),
        |f| String::from_utf8_lossy(&f.symbol).into_owned(),
    )
}

fn market_name(markets: &[Market], id: MarketId) -> String {
    let known = markets.iter().find(|m| m.id == id);
    known.map_or_else(|| format!("market {id}"), |m| m.symbol.clone())
}

fn forecast_json(forecast: &ForecastInfo) -> Value {
    json!({
        "ewma_ppm": forecast.ewma,
        "garch_ppm": forecast.garch,
        "stressed_ppm": forecast.stressed,
        "long_run_ppm": forecast.long_run,
        "deviation_ppm": forecast.deviation,
        "maintenance_ppm": forecast.maintenance,
    })
}

fn show(block: u32, info: &StressInfo, feeds: &[FeedInfo], markets: &[Market]) -> Report {
    let json = json!({
        "block": block,
        "interval_ms": info.interval,
        "horizon_ms": info.horizon,
        "samples_needed": info.needed,
        "volatilities": info.volatilities.iter().map(|v| json!({
            "underlying": feed_name(feeds, v.underlying),
            "sampled_ms": v.at,
            "samples": v.samples,
            "forecast": v.forecast.as_ref().map(forecast_json),
        })).collect::<Vec<_>>(),
        "tiers_above_their_floor": info.followed.iter().map(|f| json!({
            "tier": f.tier,
            "factor_ppm": f.factor,
            "floor_initial_ppm": f.floor.imf,
            "floor_maintenance_ppm": f.floor.mmf,
        })).collect::<Vec<_>>(),
        "report": info.report.as_ref().map(|r| json!({
            "began": r.began,
            "completed": r.completed,
            "accounts": r.accounts,
            "default_fund": cash(r.default_fund),
            "available": cash(r.available),
            "expected_shortfall": r.shortfalls.iter().map(|(id, lacks)| json!({
                "market": market_name(markets, *id), "shortfall": cash(*lacks) })).collect::<Vec<_>>(),
        })),
        "open_interest_scale_ppm": info.open_interest_scale,
    });
    let hours = |ms: u64| signed_units(i128::from(ms / 36_000), 2);
    let mut table = Table::new(&[
        "underlying",
        "price",
        "samples",
        "ewma",
        "garch",
        "stressed",
        "long run",
        "deviation",
        "maintenance",
    ]);
    for v in &info.volatilities {
        let part = |of: fn(&ForecastInfo) -> Ppm| {
            let forecast = v.forecast.as_ref();
            forecast.map_or_else(|| "-".to_owned(), |f| percent(of(f)))
        };
        table.row([
            feed_name(feeds, v.underlying),
            price_floor(v.price, 2),
            v.samples.to_string(),
            part(|f| f.ewma),
            part(|f| f.garch),
            part(|f| f.stressed),
            part(|f| f.long_run),
            part(|f| f.deviation),
            part(|f| f.maintenance),
        ]);
    }
    let mut text = format!(
        "stress at block {block}: standard deviations over {} hours, sampled every {}; {} samples make a forecast\n{table}",
        hours(info.horizon),
        hours(info.interval),
        info.needed
    );
    for f in &info.followed {
        text += &format!(
            "tier {:<8}{} of its floor of {} initial and {} maintenance margin\n",
            f.tier,
            percent(f.factor),
            percent(f.floor.imf),
            percent(f.floor.mmf)
        );
    }
    match &info.report {
        None => text += "no sweep has counted stress yet\n",
        Some(report) => {
            text += &format!(
                "sweep        {} accounts, blocks {} to {}\ndefault fund {} USDC needed, {} in fund and vault\n",
                report.accounts,
                report.began,
                report.completed,
                cash(report.default_fund),
                cash(report.available)
            );
            for (id, lacks) in &report.shortfalls {
                text += &format!(
                    "shortfall    {} {} USDC expected in the worst moves\n",
                    market_name(markets, *id),
                    cash(*lacks)
                );
            }
        }
    }
    text += &format!(
        "caps         {} of every open-interest cap is in force\n",
        percent(info.open_interest_scale)
    );
    Report::new(json, text)
}
