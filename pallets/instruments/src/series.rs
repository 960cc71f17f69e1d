//! Contracts listed by rule (derivatives, section 10): governance says once on which terms, and the close lists what is missing.
//!
//! A rule lists, for each of its underlying's expiries ([`expiries`]), a dated future and then calls and puts at strikes on a grid, nearest to
//! the index first: as the price moves, the grid follows it. One market at most is listed every [`LOOK_EVERY`] blocks. Of the markets that there can
//! be [`RESERVED_MARKETS`] are left to governance, and the rules share the others evenly: no underlying has more contracts that expire than its
//! rule's part, whoever listed them. Nothing is listed anew that was; nothing is taken away: what expires ends by itself. Strikes that the price has
//! left therefore count until they do, up to half a year for the farthest expiry.

use crate::{
    Config, Event, Instruments, Pallet, SeriesRule, SeriesRules, WeightInfo, LEAST_TERM,
    RESERVED_MARKETS,
};
use alloc::vec::Vec;
use frame_support::weights::Weight;
use novate_types::{
    math::{tick_value, ticks_nearest},
    symbol::{expiries, symbol_of},
    BlockNumber, FeedId, Instrument, InstrumentKind, MarketStatus, Millis, OptionRight, Price,
    Ticks, MAX_MARKETS,
};

/// Blocks from one look at the rules to the next.
pub const LOOK_EVERY: BlockNumber = 10;

/// What a rule wants and cannot list is passed over, as far as so many of them a look.
const MOST_TRIES: usize = 64;

/// Whether the close of a block looks at the rules, and how many looks there were before.
fn look(block: BlockNumber) -> Option<BlockNumber> {
    block
        .is_multiple_of(LOOK_EVERY)
        .then_some(block / LOOK_EVERY)
}

/// Whether one of so many rules lists another market, when so many markets are listed, and of those so many on its underlying expire.
fn has_room(listed: usize, expiring: usize, rules: usize) -> bool {
    let most = usize::try_from(MAX_MARKETS.saturating_sub(RESERVED_MARKETS)).unwrap_or(0);
    let part = most.checked_div(rules).unwrap_or(0);
    listed < most && expiring < part
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
        let listed: Vec<Instrument> = Instruments::<T>::iter_values().collect();
        let is_own = |other: &&Instrument| other.underlying == *underlying;
        let expiring = listed.iter().filter(is_own);
        let expiring = expiring.filter(|other| other.kind.expiry().is_some());
        if !has_room(listed.len(), expiring.count(), rules.len()) {
            return;
        }
        // A ticker that is taken, or too long, must not keep the others from being listed.
        let can_be = |new: &Instrument| {
            listed.iter().all(|other| other.symbol != new.symbol)
                && Self::check_instrument(new).is_ok()
        };
        let missing = rule.wanted(now, price(*underlying)).filter(|kind| {
            let mut own = listed.iter().filter(is_own);
            own.all(|other| other.kind != *kind)
        });
        let Some(instrument) = missing
            .take(MOST_TRIES)
            .find_map(|kind| rule.instrument(*underlying, kind).filter(can_be))
        else {
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
