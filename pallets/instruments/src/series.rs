//! Contracts listed by rule (derivatives, section 10): governance says once on which terms, and the close lists what is missing.
//!
//! A rule lists, for each of its underlying's expiries ([`expiries`]), a dated future and then calls and puts at strikes on a grid, nearest to
//! the index first: as the price moves, the grid follows it. One market at most is listed every [`LOOK_EVERY`] blocks, and none while as many
//! are listed as there can be. Nothing is listed anew that was; nothing is taken away: what expires ends by itself.

use crate::{Config, Event, Instruments, Pallet, SeriesRule, SeriesRules, WeightInfo, LEAST_TERM};
use alloc::vec::Vec;
use frame_support::weights::Weight;
use novate_types::{
    math::{tick_value, ticks_nearest},
    symbol::{expiries, symbol_of},
    BlockNumber, FeedId, Instrument, InstrumentKind, MarketStatus, Millis, OptionRight, Price,
    Ticks,
};

/// Blocks from one look at the rules to the next.
pub const LOOK_EVERY: BlockNumber = 10;

/// Whether the close of a block looks at the rules, and how many looks there were before.
fn look(block: BlockNumber) -> Option<BlockNumber> {
    block
        .is_multiple_of(LOOK_EVERY)
        .then_some(block / LOOK_EVERY)
}

impl SeriesRule {
    /// Everything that the rule wants listed, the most wanted first.
    fn wanted(&self, now: Millis, index: Option<Price>) -> impl Iterator<Item = InstrumentKind> {
        let expiries = expiries(now, LEAST_TERM);
        let strikes = index.map_or_else(Vec::new, |index| self.strikes_around(index));
        let futures = expiries.map(|expiry| InstrumentKind::Future { expiry });
        let options = expiries.into_iter().flat_map(move |expiry| {
            let sides = |strike| {
                [OptionRight::Call, OptionRight::Put].map(|right| InstrumentKind::Option {
                    expiry,
                    strike,
                    right,
                })
            };
            strikes
                .clone()
                .into_iter()
                .flat_map(sides)
                .collect::<Vec<_>>()
        });
        futures.into_iter().chain(options)
    }

    /// Strikes on the grid, the nearest first.
    fn strikes_around(&self, index: Price) -> Vec<Ticks> {
        let Ok(ticks) = ticks_nearest(index, self.tick_size) else {
            return Vec::new();
        };
        let half = self.strike_step / 2;
        let Some(steps) = ticks.saturating_add(half).checked_div(self.strike_step) else {
            return Vec::new();
        };
        let nearest = steps.saturating_mul(self.strike_step);
        let mut strikes = alloc::vec![nearest];
        for n in 1..=u64::from(self.strikes) {
            let away = self.strike_step.saturating_mul(n);
            strikes.extend([nearest.saturating_add(away), nearest.saturating_sub(away)]);
        }
        strikes.retain(|strike| *strike > 0);
        strikes
    }

    /// On which terms it lists a kind. None if the ticker is too long or the tick value not whole.
    fn instrument(&self, underlying: FeedId, kind: InstrumentKind) -> Option<Instrument> {
        let base = core::str::from_utf8(&self.base).ok()?;
        Some(Instrument {
            symbol: symbol_of(base, &kind, self.tick_size).ok()??,
            kind,
            underlying,
            tick_size: self.tick_size,
            lot_size: self.lot_size,
            tick_value: tick_value(self.tick_size, self.lot_size)?,
            status: MarketStatus::Open,
            params: if kind.is_option() {
                self.options
            } else {
                self.futures
            },
        })
    }
}

impl<T: Config> Pallet<T> {
    /// What looking at the rules costs this block's close.
    pub fn listing_weight() -> Weight {
        if look(Self::now()).is_some() && SeriesRules::<T>::exists() {
            T::WeightInfo::list_due()
        } else {
            Weight::zero()
        }
    }

    /// Lists the first market that the next rule in turn wants and that is not listed.
    pub(crate) fn list_next(
        block: BlockNumber,
        now: Millis,
        price: impl Fn(FeedId) -> Option<Price>,
    ) {
        let Some(looks) = look(block) else {
            return;
        };
        let rules = SeriesRules::<T>::get();
        let turn = usize::try_from(looks)
            .ok()
            .and_then(|looks| looks.checked_rem(rules.len()));
        let Some((underlying, rule)) = turn.and_then(|turn| rules.iter().nth(turn)) else {
            return;
        };
        let listed: Vec<InstrumentKind> = Instruments::<T>::iter_values()
            .filter(|listed| listed.underlying == *underlying)
            .map(|listed| listed.kind)
            .collect();
        let missing = rule
            .wanted(now, price(*underlying))
            .find(|kind| !listed.contains(kind));
        let Some(instrument) = missing.and_then(|kind| rule.instrument(*underlying, kind)) else {
            return;
        };
        match Self::insert_market(instrument.clone()) {
            Ok(market) => Self::deposit_event(Event::MarketListed { market, instrument }),
            Err(error) => {
                log::debug!(target: "novate::instruments", "a market waits to be listed: {error:?}");
            }
        }
    }
}
