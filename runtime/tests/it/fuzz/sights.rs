//! What validators see of options: a smile for every expiry that is listed, and what is wrong with it.

use super::step::Move;
use crate::common::*;
use novate_risk::surface::{Smile, GRID, MAX_EXPIRIES, MONEY, UNIT};
use novate_runtime::{configs::exchange::BTC_FEED, Runtime, System, UncheckedExtrinsic};
use novate_types::{BlockNumber, Millis};
use pallet_price_oracle::surface::{ObservedSmile, HORIZON, LEAST_TIME};
use std::collections::BTreeSet;

/// As a worker does where nothing moves.
const HEARTBEAT: Millis = 30_000;

pub struct Sights {
    /// Volatility at the money, in percent.
    level: u16,
    /// Percent of variance more at each place away from the money.
    wings: u16,
    kink: Option<u8>,
    inverted: bool,
    /// Until which block nobody sees anything.
    blind_until: BlockNumber,
    /// When they were last seen; zero if they have moved since.
    seen_at: Millis,
}

impl Default for Sights {
    fn default() -> Self {
        Self {
            level: 60,
            wings: 5,
            kink: None,
            inverted: false,
            blind_until: 0,
            seen_at: 0,
        }
    }
}

impl Sights {
    pub fn change(&mut self, movement: Move) {
        match movement {
            Move::Volatility(percent) => {
                self.level = percent;
                (self.kink, self.inverted) = (None, false);
            }
            Move::Wings(percent) => self.wings = percent,
            Move::Kink(place) => self.kink = Some(place),
            Move::Inverted => self.inverted = true,
            Move::Blind(blocks) => {
                self.blind_until = System::block_number() + BlockNumber::from(blocks);
            }
            _ => {}
        }
        self.seen_at = 0;
    }

    /// What the validator sends in this block, if it sees options and it is time.
    pub fn observation(&mut self) -> Option<UncheckedExtrinsic> {
        let is_time = self.seen_at == 0 || now() >= self.seen_at + HEARTBEAT;
        if !is_time || System::block_number() < self.blind_until {
            return None;
        }
        let (soonest, latest) = (now() + LEAST_TIME, now() + HORIZON);
        let expiries: BTreeSet<_> = pallet_instruments::Instruments::<Runtime>::iter_values()
            .filter_map(|market| market.kind.expiry())
            .filter(|expiry| (soonest..=latest).contains(expiry))
            .collect();
        if expiries.is_empty() {
            return None;
        }
        self.seen_at = now();
        let smiles = expiries
            .into_iter()
            .take(MAX_EXPIRIES as usize)
            .enumerate()
            .map(|(nth, expiry)| ObservedSmile {
                expiry,
                smile: self.smile(nth),
            });
        Some(surface_observation(BTC_FEED, smiles.collect()))
    }

    fn smile(&self, nth: usize) -> Smile {
        let level = u64::from(self.level);
        let mut money = UNIT / 10_000 * level * level;
        if self.inverted && nth == 0 {
            money = money.saturating_mul(100);
        }
        let mut smile = Smile([money; GRID.len()]);
        for (place, variance) in smile.0.iter_mut().enumerate() {
            let more = u64::from(self.wings) * place.abs_diff(MONEY) as u64;
            *variance = (*variance / 100).saturating_mul(100 + more);
        }
        if let Some(place) = self.kink {
            let variance = &mut smile.0[usize::from(place) % GRID.len()];
            *variance = variance.saturating_mul(9);
        }
        smile
    }
}
