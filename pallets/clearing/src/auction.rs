//! When a market goes through a call auction, and when that has ended (protocol, sections 3 and 4).

use crate::{
    novation::Matched, CallReason, Config, Event, MarketState, Pallet, Phase, States, View,
};
use frame_support::traits::Get;
use novate_types::{
    math, AuctionTerms, BlockNumber, Listing, Lots, MarketId, MarketView, MatchLimits, MathError,
    OrderBook, Price, RiskTier, RiskView, Ticks,
};

type Result<T> = core::result::Result<T, MathError>;

/// What a market's auction would do if it were held now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Indicative {
    /// The first block whose close may uncross the market.
    pub at: BlockNumber,
    /// The index at which the call began; of an option or a combination, its mark by then.
    pub reference: Price,
    /// The price; none if nothing crosses.
    pub price: Option<Ticks>,
    /// Lots that would trade, each counted once: of what one close has room for.
    pub volume: Lots,
}

impl<T: Config> Pallet<T> {
    /// Notes the index, or an option's or a combination's mark, at which a call begins. A price that the mark's band has left is found anew. A call without a price whose mark has
    /// left the band of that begins again: there is no price that would be near to both.
    pub(crate) fn advance_auction(
        view: &mut MarketView,
        tier: &RiskTier,
        state: &mut MarketState,
        block: BlockNumber,
        was_closed: bool,
    ) -> Result<()> {
        let band = i64::from(view.price_band);
        if let Some(found) = state.auction.price {
            let (lower, upper) = band_around(view.mark, band)?;
            let found = math::price_of(found, view.tick_size)?;
            if found < lower || upper < found {
                state.auction.price = None;
            }
        }
        match state.phase {
            Phase::Reopening { .. } if was_closed => {
                Self::call_auction(view, state, CallReason::Opening);
            }
            Phase::Reopening { at, .. } | Phase::Interrupted { at }
                if at <= block && state.auction.price.is_none() =>
            {
                let (lower, upper) = band_around(state.auction.reference, band)?;
                if lower <= view.mark && view.mark <= upper {
                    return Ok(());
                }
                let at = block.saturating_add(tier.call_blocks);
                state.phase = match state.phase {
                    Phase::Reopening { until, .. } => Phase::Reopening { at, until },
                    _ => Phase::Interrupted { at },
                };
                Self::call_auction(view, state, CallReason::Moved);
            }
            _ => {}
        }
        Ok(())
    }

    /// The call of the phase in which the market is begins at this close's index.
    fn call_auction(view: &mut MarketView, state: &mut MarketState, reason: CallReason) {
        let at = state.phase.auction_at();
        // An option's index is its forward, a combination's what all its legs come to, and their prices are not near to that.
        let reference = if view.contract.kind.is_linear() {
            view.index
        } else {
            view.mark
        };
        view.auction_at = at;
        state.edge_since = 0;
        state.auction = AuctionTerms {
            reference,
            price: None,
        };
        Self::deposit_event(Event::AuctionCalled {
            market: state.id,
            reason,
            at,
            reference,
        });
    }

    /// Notes what a market's match means for its phase: an auction has ended, or goes on; or the market has wanted to trade at the edge of its
    /// band for so long that it is interrupted.
    pub(crate) fn note_match(
        view: &RiskView,
        market: &MarketView,
        matched: &Matched,
        state: &mut MarketState,
    ) {
        if market.is_in_auction() {
            if market.auction_at > view.block {
                return;
            }
            Self::deposit_event(Event::Uncrossed {
                market: state.id,
                price: matched.last,
                volume: matched.volume,
                done: matched.unfinished.is_none(),
            });
            match matched.unfinished {
                Some(rest) => state.auction.price = rest.price,
                None => {
                    state.phase = Phase::Running;
                    state.auction = AuctionTerms::default();
                }
            }
            return;
        }
        if !matched.at_edge {
            state.edge_since = 0;
            return;
        }
        if state.edge_since == 0 {
            state.edge_since = view.block;
        }
        // Read only where a market is at its edge.
        let tier = T::Listing::market(state.id).and_then(|i| T::Listing::tier(i.params.tier));
        let Some(tier) = tier else {
            return;
        };
        let blocks = view
            .block
            .saturating_sub(state.edge_since)
            .saturating_add(1);
        if blocks >= tier.edge_blocks {
            let at = view.block.saturating_add(tier.call_blocks);
            state.phase = Phase::Interrupted { at };
            Self::call_auction(&mut market.clone(), state, CallReason::Volatility);
        }
    }

    /// Brings the view up to date with auctions that began or ended in this close's matches. Returns whether it changed.
    pub(crate) fn show_auctions(view: &mut RiskView, states: &[MarketState]) -> bool {
        let mut changed = false;
        for state in states {
            let at = state.phase.auction_at();
            let shown = view.market(state.id).map(|market| market.auction_at);
            if shown.is_ok_and(|shown| shown != at) {
                if let Ok(market) = view.market_mut(state.id) {
                    market.auction_at = at;
                    changed = true;
                }
            }
        }
        changed
    }

    /// What the auction of a market would do if it were held at the end of this block; none if the market is in no auction.
    pub fn indicative(market: MarketId) -> Option<Indicative> {
        let mut view = View::<T>::get().market(market).ok()?.clone();
        if !view.is_in_auction() {
            return None;
        }
        let at = view.auction_at;
        view.auction_at = at.min(Self::now().0);
        let states = States::<T>::get();
        let state = states.iter().find(|state| state.id == market)?;
        let mut limits = MatchLimits::first(T::MaxFillsPerMarket::get());
        limits.reducing_only = !view.status.allows_risk();
        limits.auction = state.auction;
        let book = T::Book::load(&view, alloc::vec::Vec::new());
        let run = book.map(|mut book| T::Book::run(&mut book, &limits));
        Some(Indicative {
            at,
            reference: state.auction.reference,
            price: run.as_ref().and_then(|run| run.last),
            volume: run.map_or(0, |run| run.volume),
        })
    }
}

/// The least and the greatest price within a band.
fn band_around(price: Price, band: i64) -> Result<(Price, Price)> {
    let lower = math::shift_ceil(price, band.saturating_neg())?;
    Ok((lower, math::shift_floor(price, band)?))
}
