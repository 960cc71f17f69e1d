//! Contracts that expire: the mean that they settle at, and the end of their markets (derivatives, section 10).
//!
//! **The mean** is one for all contracts of an underlying and expiry: price times time over the last 30 minutes, added to by each close, whatever
//! their number. The time from one close to the next counts at the index that the first of the two had: it stood then. At the second's, or at both's
//! mean, whoever delays a block would have up to a minute count at a price that he knows. Time after a close without a fresh price is not in it. If less than half of the 30 minutes was covered at
//! expiry, what comes after counts too until that much is: nothing settles at a price that hardly anybody saw.
//!
//! **The end.** At expiry a market halts. Once the mean stands, its mark is what a unit is worth for good. For [`GRACE_CLOSES`] closes positions
//! stay what they are: a deficit that the last prices made is shared among those across by the last remedies, as nobody is across from cash. While
//! liquidation is behind, or deficits exceed the fund, it is longer, up to [`MOST_GRACE_CLOSES`]. Then a position is cash
//! ([`novate_risk::settle_expired`]), in one close for however many hold one; it is booked when its account is touched, and the others are found
//! through the deleveraging index with the time that liquidation leaves of a close. Orders leave a few pages a close. When nothing is left the
//! market is removed, one a close.
//!
//! A combination ends with the leg that expires first. It has no positions: its orders leave, and it is removed, before that leg is.

use crate::{marks::Clock, Config, Event, Pallet, PremiumHistory, Settlements, States, View};
use alloc::{collections::BTreeMap, vec::Vec};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{defensive, traits::Get, BoundedVec};
use novate_risk::{payoff_ticks, Forward, SETTLEMENT_MILLIS};
use novate_types::{
    math, FeedId, FeedPrice, Instrument, Ledger, LedgerError, Liquidations, Listing, MarketId,
    MarketView, MathError, Millis, OrderBook, Pot, Price, PriceFeeds, RiskView,
};
use scale_info::TypeInfo;

type Result<T> = core::result::Result<T, MathError>;

/// Of the mean's time, how much there must be fresh prices for.
pub const LEAST_COVERED: Millis = SETTLEMENT_MILLIS / 2;

/// Closes between that in which a settlement price stands, itself included, and that in which positions are cash.
pub const GRACE_CLOSES: u8 = 3;
/// The same at most, while liquidation is behind.
pub const MOST_GRACE_CLOSES: u8 = 100;

/// The mean of an underlying's index before an expiry.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct Settlement {
    /// The underlying.
    pub underlying: FeedId,
    /// The expiry.
    pub expiry: Millis,
    /// Σ price (10⁻¹⁸ USD) · milliseconds.
    pub weighted: u128,
    /// Milliseconds in it.
    pub covered: Millis,
    /// The index of the last close, if it was fresh: it counts until the next.
    pub last: Option<Price>,
    /// What settles, once it stands: the mean, rounded down. Each market takes the tick nearest to it.
    pub price: Option<Price>,
    /// Closes since the price stands, until positions are cash.
    pub closes: u8,
    /// Positions are cash, for good.
    pub settled: bool,
}

impl Settlement {
    /// Nothing yet.
    pub const fn of(underlying: FeedId, expiry: Millis) -> Self {
        Self {
            underlying,
            expiry,
            weighted: 0,
            covered: 0,
            last: None,
            price: None,
            closes: 0,
            settled: false,
        }
    }

    /// When the mean begins.
    pub const fn begins(expiry: Millis) -> Millis {
        expiry.saturating_sub(SETTLEMENT_MILLIS)
    }

    /// The index was `price` from a close to another, or for as long of that as counts; adds what of it is the mean's.
    pub fn sample(&mut self, price: Price, from: Millis, to: Millis) -> Result<()> {
        let end = if to > self.expiry && self.covered < LEAST_COVERED {
            to
        } else {
            to.min(self.expiry)
        };
        let counted = end.saturating_sub(from.max(Self::begins(self.expiry)));
        self.weighted = price
            .into_inner()
            .checked_mul(counted.into())
            .and_then(|more| self.weighted.checked_add(more))
            .ok_or(MathError::Overflow)?;
        self.covered = self.covered.saturating_add(counted);
        Ok(())
    }

    /// Sets the price if it is time and enough is covered. Whether it did.
    pub fn conclude(&mut self, now: Millis) -> Result<bool> {
        let is_due = now >= self.expiry && self.covered >= LEAST_COVERED;
        if self.price.is_some() || !is_due {
            return Ok(false);
        }
        let mean = math::mul_div_floor(self.weighted, 1, self.covered.into())?;
        self.price = Some(Price::from_inner(mean));
        Ok(true)
    }

    /// Counts a close at a price that stands, and has positions be cash once there were enough of these.
    pub fn wait(&mut self, is_behind: bool) {
        if self.price.is_none() || self.settled {
            return;
        }
        let grace = if is_behind {
            MOST_GRACE_CLOSES
        } else {
            GRACE_CLOSES
        };
        self.settled = self.closes >= grace;
        self.closes = self.closes.saturating_add(1);
    }

    /// What settles, once it stands, and whether positions are cash.
    pub fn standing(&self) -> Option<(Price, bool)> {
        self.price.map(|price| (price, self.settled))
    }

    /// What it comes to if the index stays at `index`.
    pub fn expected(&self, index: Price, now: Millis) -> Result<Forward> {
        let left = self.expiry.saturating_sub(now);
        let rest = left.min(SETTLEMENT_MILLIS);
        let whole = self.covered.checked_add(rest).ok_or(MathError::Overflow)?;
        if self.covered == 0 || whole == 0 {
            return Ok(Forward {
                price: index,
                settled: Price::default(),
                left,
            });
        }
        let sum = index
            .into_inner()
            .checked_mul(rest.into())
            .and_then(|more| self.weighted.checked_add(more))
            .ok_or(MathError::Overflow)?;
        let part = |sum| math::mul_div_floor(sum, 1, whole.into()).map(Price::from_inner);
        Ok(Forward {
            price: part(sum)?,
            settled: part(self.weighted)?,
            left,
        })
    }
}

/// The expiries of one close. Costs nothing where nothing listed expires.
pub(crate) struct Expiries {
    all: Vec<Settlement>,
    /// What dated futures trade above the index at, by underlying and expiry.
    bases: BTreeMap<(FeedId, Millis), i128>,
}

impl Expiries {
    /// Adds the time since the last close to the means of what is listed.
    pub fn advance<T: Config>(listed: &[(MarketId, Instrument)], clock: &Clock) -> Self {
        let mut this = Self {
            all: Vec::new(),
            bases: BTreeMap::new(),
        };
        let expiring = |i: &Instrument| i.kind.expiry().map(|expiry| (i.underlying, expiry));
        let mut due: Vec<_> = listed
            .iter()
            .filter_map(|(_, instrument)| expiring(instrument))
            .filter(|(_, expiry)| clock.now >= Settlement::begins(*expiry))
            .collect();
        if due.is_empty() {
            return this;
        }
        due.sort_unstable();
        due.dedup();
        let before = Settlements::<T>::get();
        let from = clock.now.saturating_sub(clock.elapsed);
        let to = clock.now.min(from.saturating_add(T::MaxFundingSpan::get()));
        for (underlying, expiry) in due {
            let known = before
                .iter()
                .find(|s| (s.underlying, s.expiry) == (underlying, expiry));
            let known = known.copied().unwrap_or(Settlement::of(underlying, expiry));
            let mut next = known;
            if next.price.is_none() {
                let sampled = match next.last {
                    Some(price) => next.sample(price, from, to),
                    None => Ok(()),
                };
                next.last = T::Feeds::price(underlying)
                    .filter(|feed| Pallet::<T>::is_fresh(clock.now, feed))
                    .map(|feed| feed.price);
                if let Err(error) = sampled.and_then(|()| next.conclude(clock.now)) {
                    defensive!("a settlement's mean has no number", error);
                    next = Settlement {
                        last: next.last,
                        ..known
                    };
                }
            }
            if next.price.is_some() && !next.settled {
                next.wait(T::Liquidations::presses() || T::Liquidations::withdrawals_paused());
            }
            this.all.push(next);
        }
        if this.all != before.as_slice() {
            Settlements::<T>::put(BoundedVec::truncate_from(this.all.clone()));
        }
        this
    }

    /// The mean of an instrument's expiry, if it has begun.
    pub fn settlement(&self, instrument: &Instrument) -> Option<&Settlement> {
        let expiry = instrument.kind.expiry()?;
        self.all
            .iter()
            .find(|s| (s.underlying, s.expiry) == (instrument.underlying, expiry))
    }

    /// What the instrument settles at if the index stays where it is; the index itself for one that never does.
    pub fn expected(
        &self,
        instrument: &Instrument,
        feed: &FeedPrice,
        now: Millis,
    ) -> Result<Forward> {
        match self.settlement(instrument) {
            Some(settlement) => settlement.expected(feed.price, now),
            None => Ok(Forward {
                price: feed.price,
                settled: Price::default(),
                left: instrument
                    .kind
                    .expiry()
                    .map_or(0, |expiry| expiry.saturating_sub(now)),
            }),
        }
    }

    /// A dated future trades that much above what it is expected to settle at.
    pub fn note_basis(&mut self, instrument: &Instrument, basis: i128) {
        if let Some(expiry) = instrument.kind.expiry() {
            self.bases.insert((instrument.underlying, expiry), basis);
        }
    }

    /// The forward of an option's expiry: what it is expected to settle at, and the basis of the future of the same expiry.
    pub fn forward(
        &self,
        instrument: &Instrument,
        feed: &FeedPrice,
        now: Millis,
    ) -> Result<Forward> {
        let expected = self.expected(instrument, feed, now)?;
        let basis = instrument
            .kind
            .expiry()
            .and_then(|expiry| self.bases.get(&(instrument.underlying, expiry)));
        let price = math::add(
            math::signed(expected.price.into_inner())?,
            basis.copied().unwrap_or(0),
        )?;
        // A future that trades farther below the index than that is high says no more than that nothing is left of it.
        let price = u128::try_from(price).unwrap_or(0);
        Ok(Forward {
            price: Price::from_inner(price).max(expected.settled),
            ..expected
        })
    }
}

impl<T: Config> Pallet<T> {
    /// The view of a market whose settlement price stands: its mark is what a unit is worth for good, and positions may be cash already.
    pub(crate) fn settle_market(
        view: &mut MarketView,
        (price, settled): (Price, bool),
        previous: Option<&MarketView>,
    ) -> Result<()> {
        let ticks = math::ticks_nearest(price, view.tick_size)?;
        let worth = match view.contract.kind.right() {
            Some(right) => payoff_ticks(right, ticks, view.contract.strike),
            None => ticks,
        };
        view.index = math::price_of(ticks, view.tick_size)?;
        view.mark = math::price_of(worth, view.tick_size)?;
        view.fresh = true;
        view.contract.fixed = view.index;
        view.contract.settled = settled;
        if settled && previous.is_none_or(|market| !market.contract.settled) {
            Self::deposit_event(Event::Settled {
                market: view.id,
                price: ticks,
                worth,
            });
        }
        Ok(())
    }

    /// Removes a market that has settled and of which nothing is left: at most one a close, and a combination before its legs.
    pub(crate) fn remove_settled(view: &mut RiskView) {
        let is_leg = |id| view.markets.iter().any(|m| m.contract.legs.contains(id));
        let is_flat = |market: &&MarketView| {
            market.contract.settled && T::Ledger::is_flat(market.id) && !is_leg(market.id)
        };
        let gone = view
            .ended()
            .filter(is_flat)
            .map(|market| market.id)
            .find(|id| T::Book::forget(*id) && T::Liquidations::forget(*id));
        let Some(market) = gone else {
            return;
        };
        // What rounding left of shared losses.
        let left = T::Ledger::pot(Pot::Funding(market));
        let moved = math::neg(left).map_err(LedgerError::from).and_then(|back| {
            T::Ledger::credit_pot(Pot::Funding(market), back)?;
            T::Ledger::credit_pot(Pot::Rounding, left)
        });
        if let Err(error) = moved {
            defensive!("a market's pot cannot be emptied", error);
        }
        T::Listing::remove(market);
        PremiumHistory::<T>::remove(market);
        view.markets.retain(|known| known.id != market);
        View::<T>::put(&*view);
        States::<T>::mutate(|states| states.retain(|state| state.id != market));
        let listed = T::Listing::markets();
        let is_awaited = |s: &Settlement| {
            listed
                .iter()
                .any(|(_, i)| i.underlying == s.underlying && i.kind.expiry() == Some(s.expiry))
        };
        let mut all = Settlements::<T>::get();
        all.retain(is_awaited);
        if all.is_empty() {
            Settlements::<T>::kill();
        } else {
            Settlements::<T>::put(all);
        }
    }
}
