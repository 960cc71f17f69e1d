//! What contracts that expire come to, reckoned here from the prices of each close and nothing else (derivatives, section 10): the mean, what
//! each contract pays at it, and that this stays what it is.

use crate::common::*;
use novate_risk::SETTLEMENT_MILLIS;
use novate_runtime::{Clearing, Runtime, RuntimeEvent};
use novate_types::{
    CurrentView, FeedId, Instrument, InstrumentKind, MarketId, MarketView, Millis, OptionRight,
    Price, Ticks,
};
use std::collections::{BTreeMap, BTreeSet};

/// Of the time since the last close so much counts.
const LONGEST: Millis = 60_000;
/// How old a price may be that counts.
const FRESH: Millis = 6_000;
/// With less of the mean covered at expiry, what comes after it counts too.
const LEAST: Millis = SETTLEMENT_MILLIS / 2;

#[derive(Default)]
struct Mean {
    /// Price times time.
    weighted: u128,
    /// The time.
    covered: Millis,
    /// The price at the last close, if it was fresh: it counts until the next.
    last: Option<Price>,
}

#[derive(Default)]
pub struct Contracts {
    means: BTreeMap<(FeedId, Millis), Mean>,
    /// What settled, and the mark that it has for good.
    settled: BTreeMap<MarketId, Price>,
    listed: BTreeMap<MarketId, Instrument>,
    last: Millis,
}

impl Contracts {
    /// Notes what is listed before a close, which may remove it.
    pub fn before_close(&mut self) {
        self.last = Clearing::view().now;
        self.listed = pallet_instruments::Instruments::<Runtime>::iter()
            .filter(|(_, market)| market.kind.expiry().is_some())
            .collect();
    }

    /// Whether what settled in a close, and what had settled before, is worth what it has to be.
    pub fn after_close(&mut self, events: &[RuntimeEvent]) -> Result<(), String> {
        self.sample();
        for event in events {
            if let RuntimeEvent::Clearing(pallet_clearing::Event::Settled {
                market,
                price,
                worth,
            }) = event
            {
                self.check(*market, *price, *worth)?;
            }
        }
        let view = Clearing::view();
        // Of a combination nothing settles.
        let settles = |m: &&MarketView| m.contract.settled && !m.contract.kind.is_combination();
        for market in view.markets.iter().filter(settles) {
            let mark = self.settled.get(&market.id).copied();
            if mark != Some(market.mark) {
                let is = market.mark;
                return Err(format!(
                    "expiry: market {} settled at {mark:?} and is worth {is:?}",
                    market.id
                ));
            }
        }
        let listed = |id: &MarketId| view.markets.iter().any(|market| market.id == *id);
        self.settled.retain(|id, _| listed(id));
        Ok(())
    }

    /// Adds the time since the last close to the means that run.
    fn sample(&mut self) {
        let now = now();
        let prices = pallet_price_oracle::Prices::<Runtime>::get();
        let running: BTreeSet<_> = self
            .listed
            .values()
            .filter_map(|market| Some((market.underlying, market.kind.expiry()?)))
            .filter(|(_, expiry)| now >= expiry - SETTLEMENT_MILLIS)
            .collect();
        self.means.retain(|of, _| running.contains(of));
        for of in running {
            let (feed, expiry) = of;
            let mean = self.means.entry(of).or_default();
            if let Some(price) = mean.last {
                let until = (self.last + LONGEST).min(now);
                let end = match until > expiry && mean.covered < LEAST {
                    true => until,
                    false => until.min(expiry),
                };
                let time = end.saturating_sub(self.last.max(expiry - SETTLEMENT_MILLIS));
                mean.weighted += price.into_inner() * u128::from(time);
                mean.covered += time;
            }
            mean.last = prices
                .get(&feed)
                .filter(|seen| now - seen.observed_at <= FRESH)
                .map(|seen| seen.price);
        }
    }

    fn check(&mut self, id: MarketId, price: Ticks, worth: Ticks) -> Result<(), String> {
        let wrong = |why: String| Err(format!("expiry: market {id} settled at {price}: {why}"));
        let Some(market) = self.listed.get(&id) else {
            return wrong("it was not listed".into());
        };
        let expiry = market.kind.expiry().expect("it expires");
        let Mean {
            weighted, covered, ..
        } = self.means[&(market.underlying, expiry)];
        if now() < expiry || covered < LEAST {
            return wrong(format!("{covered} ms were seen"));
        }
        let mean = weighted / u128::from(covered);
        let tick = market.tick_size.into_inner();
        if (u128::from(price) * tick).abs_diff(mean) * 2 > tick {
            return wrong(format!("the mean is {mean}"));
        }
        let pays = match market.kind {
            InstrumentKind::Option {
                strike,
                right: OptionRight::Call,
                ..
            } => price.saturating_sub(strike),
            InstrumentKind::Option {
                strike,
                right: OptionRight::Put,
                ..
            } => strike.saturating_sub(price),
            _ => price,
        };
        if worth != pays {
            return wrong(format!("it pays {pays}, not {worth}"));
        }
        let mark = Price::from_inner(u128::from(worth) * tick);
        match self.settled.insert(id, mark) {
            None => Ok(()),
            Some(_) => wrong("it had settled before".into()),
        }
    }
}
