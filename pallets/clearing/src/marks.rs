//! From a feed's aggregate and rested quotes to the mark, and from the price's age to what a market
//! still admits (protocol, section 3).

use crate::{
    expiry::Expiries, funding, Config, LastTrade, Marked, MarketState, Pallet, Phase,
    PortfolioRules, Scenarios,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use frame_support::traits::{Defensive, Get};
use novate_risk::{portfolio::rows, Combined, Forward, VARIANCE_UNIT};
use novate_types::{
    math, BlockNumber, CollateralView, Contract, ContractKind, FeedId, FeedPrice, Instrument,
    InstrumentKind, Ledger, Liquidations, Listing, Loans, Lots, MarketId, MarketStatus, MarketView,
    MathError, Millis, OrderBook, Ppm, Price, PriceFeeds, RestedQuotes, RiskTier, RiskView, Ticks,
    VolatilitySurface, MILLION,
};
use sp_runtime::{traits::One, FixedPointNumber, FixedU128};

type Result<T> = core::result::Result<T, MathError>;
type SurfaceOf<T> = <<T as Config>::Volatility as VolatilitySurface>::Surface;

/// Below this USD price of the settlement currency initial margin rises everywhere: 0.98.
pub const DEPEG: Price = Price::from_inner(980_000_000_000_000_000);

/// Age of a price observed at `observed_at`; one observed ahead of the block is new.
pub const fn age(now: Millis, observed_at: Millis) -> Millis {
    now.saturating_sub(observed_at)
}

/// The middle one.
pub fn median(a: Price, b: Price, c: Price) -> Price {
    a.max(b).min(a.min(b).max(c))
}

fn inner(price: Price) -> Result<i128> {
    math::signed(price.into_inner())
}

/// The moving average one step on: `basis + (sample − basis) · elapsed / (span + elapsed)`, the
/// implicit form of an exponential average over `span`, which never overshoots however long the
/// step. Rounded towards −∞.
pub fn average(basis: i128, sample: i128, elapsed: Millis, span: Millis) -> Result<i128> {
    let whole = span.checked_add(elapsed).ok_or(MathError::Overflow)?;
    let step = math::signed_mul_div_floor(
        math::sub(sample, basis)?,
        u128::from(elapsed),
        u128::from(whole),
    )?;
    math::add(basis, step)
}

/// What a quote says. One beyond the range of prices says nothing: nobody's order halts a market.
fn priced(ticks: Option<Ticks>, tick_size: Price) -> Option<Price> {
    let price = math::price_of(ticks?, tick_size).ok()?;
    inner(price).is_ok().then_some(price)
}

/// Mid less index, limited to the band, so that one absurd quote does not stay in the average.
/// Without both sides the index stands in for the mid.
pub fn basis_sample(
    index: Price,
    quotes: &RestedQuotes,
    tick_size: Price,
    band: Ppm,
) -> Result<i128> {
    let priced = |ticks: Option<Ticks>| priced(ticks, tick_size);
    let (Some(bid), Some(ask)) = (priced(quotes.bid), priced(quotes.ask)) else {
        return Ok(0);
    };
    let (bid, ask) = (inner(bid)?, inner(ask)?);
    let mid = math::add(bid, ask)?
        .checked_div(2)
        .ok_or(MathError::DivisionByZero)?;
    let most = math::signed(math::ppm_floor(index.into_inner(), band)?)?;
    Ok(math::sub(mid, inner(index)?)?.clamp(math::neg(most)?, most))
}

/// `median(index + basis, median(bid, ask, last), index)` within `index · (1 ± band)`. What is
/// missing falls back to the index.
pub fn mark(
    index: Price,
    basis: i128,
    quotes: &RestedQuotes,
    last: Option<Ticks>,
    tick_size: Price,
    band: Ppm,
) -> Result<Price> {
    let or_index = |ticks: Option<Ticks>| priced(ticks, tick_size).unwrap_or(index);
    let quoted = median(or_index(quotes.bid), or_index(quotes.ask), or_index(last));
    let based = u128::try_from(math::add(inner(index)?, basis)?).unwrap_or(0);
    let mark = median(Price::from_inner(based), quoted, index);
    let lower = math::shift_ceil(index, i64::from(band).saturating_neg())?;
    let upper = math::shift_floor(index, i64::from(band))?;
    Ok(mark.max(lower).min(upper))
}

/// What uncertainty about the price adds to initial margin: the confidence interval over the price,
/// rounded up.
pub fn confidence_add_on(feed: &FeedPrice) -> Result<Ppm> {
    let ppm = math::mul_div_ceil(
        feed.confidence.into_inner(),
        u128::from(MILLION),
        feed.price.into_inner(),
    )?;
    Ok(Ppm::try_from(ppm).unwrap_or(MILLION).min(MILLION))
}

/// What a depeg of the settlement currency adds to initial margin in all markets: its whole discount
/// once it trades below [`DEPEG`], rounded up.
pub fn depeg_add_on(settlement: Price) -> Result<Ppm> {
    if settlement >= DEPEG {
        return Ok(0);
    }
    let discount = Price::DIV
        .checked_sub(settlement.into_inner())
        .ok_or(MathError::Overflow)?;
    let ppm = math::mul_div_ceil(discount, u128::from(MILLION), Price::DIV)?;
    Ok(Ppm::try_from(ppm).unwrap_or(MILLION))
}

/// Settlement value of one unit of an asset: its USD price over `max(1, settlement)`, rounded down.
pub fn collateral_price(usd: Price, settlement: Price) -> Result<Price> {
    let divisor = settlement.max(Price::one());
    math::mul_div_floor(usd.into_inner(), Price::DIV, divisor.into_inner()).map(Price::from_inner)
}

/// The cap in force: the part that fund and vault cover, rounded down; never more than governance set.
fn open_interest_cap(instrument: &Instrument, clock: &Clock) -> Result<Lots> {
    let cap = instrument.params.open_interest_cap;
    let covered = math::ppm_floor(cap.into(), clock.open_interest_scale)?;
    Ok(Lots::try_from(covered).unwrap_or(cap).min(cap))
}

/// What all markets of one close share.
pub struct Clock {
    /// The block.
    pub block: BlockNumber,
    /// Its time.
    pub now: Millis,
    /// Time since the last close; zero at the first.
    pub elapsed: Millis,
    /// Added to every market's initial margin.
    pub depeg: Ppm,
    /// Part of every open-interest cap that is in force.
    pub open_interest_scale: Ppm,
}

/// What of a close a market is marked by.
struct Around<'a, Surface> {
    surface: Option<&'a Surface>,
    /// Those that came before it.
    markets: &'a [MarketView],
    clock: &'a Clock,
}

impl<Surface> Around<'_, Surface> {
    /// What a combination is by its legs, which came before it.
    fn combine(&self, instrument: &Instrument, contract: &Contract, band: Ppm) -> Result<OfLegs> {
        let mut legs = Vec::new();
        for leg in contract.legs.iter() {
            let market = self.markets.iter().find(|m| m.id == leg.market);
            // One without a view has no price yet.
            let Some(market) = market else {
                return Ok(OfLegs::default());
            };
            legs.push((market, leg.ratio));
        }
        let combined = novate_risk::combine(&legs, instrument.tick_size, band)?;
        let admits = |market: &MarketView| {
            if market.is_in_auction() {
                MarketStatus::Halted
            } else {
                market.status
            }
        };
        let of_legs = legs.iter().map(|(market, _)| admits(market));
        let least = if combined.mark == Price::default() {
            MarketStatus::Halted
        } else {
            MarketStatus::Open
        };
        Ok(OfLegs {
            combined,
            admitted: of_legs.fold(least, MarketStatus::strictest),
            fresh: legs.iter().all(|(market, _)| market.fresh),
            observed_at: legs.iter().map(|(m, _)| m.observed_at).min().unwrap_or(0),
        })
    }
}

/// What the legs of a combination say of it. While one of them is halted or in a call auction it is halted, and while it would be worth less than a tick.
#[derive(Clone, Copy)]
struct OfLegs {
    combined: Combined,
    admitted: MarketStatus,
    fresh: bool,
    observed_at: Millis,
}

impl Default for OfLegs {
    fn default() -> Self {
        Self {
            combined: Combined::default(),
            admitted: MarketStatus::Halted,
            fresh: false,
            observed_at: 0,
        }
    }
}

impl OfLegs {
    fn show(self, view: &mut MarketView) {
        let Combined {
            mark,
            index,
            imf,
            band,
        } = self.combined;
        view.mark = mark;
        view.index = index;
        view.imf = imf;
        view.price_band = band;
        view.observed_at = self.observed_at;
        view.fresh &= self.fresh && mark != Price::default();
    }
}

impl<T: Config> Pallet<T> {
    /// The view of this close, and the markets that it matches. Advances `states` by one close.
    pub(crate) fn advance(
        before: &RiskView,
        states: &mut Vec<MarketState>,
        block: BlockNumber,
        now: Millis,
    ) -> (RiskView, Vec<MarketId>) {
        let settlement = T::Feeds::price(T::SettlementFeed::get());
        let settlement_price = settlement.map_or(Price::one(), |feed| feed.price);
        let elapsed = if before.now == 0 {
            0
        } else {
            age(now, before.now)
        };
        let depeg = depeg_add_on(settlement_price).defensive_unwrap_or(MILLION);
        let clock = Clock {
            block,
            now,
            elapsed,
            depeg,
            open_interest_scale: T::Liquidations::open_interest_scale(),
        };

        let listed = T::Listing::markets();
        let mut expiries = Expiries::advance::<T>(&listed, &clock);
        let mut markets = Vec::new();
        let mut matching = Vec::new();
        let mut next = Vec::new();
        // Options are marked on the futures of their expiry, and combinations on their legs.
        let (combinations, single): (Vec<_>, Vec<_>) = listed
            .into_iter()
            .partition(|(_, i)| matches!(i.kind, InstrumentKind::Combination { .. }));
        let (options, others): (Vec<_>, Vec<_>) = single
            .into_iter()
            .partition(|(_, instrument)| instrument.kind.is_option());
        let surfaces: BTreeMap<FeedId, SurfaceOf<T>> = options
            .iter()
            .map(|(_, option)| option.underlying)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .map(|underlying| (underlying, T::Volatility::surface(underlying)))
            .collect();
        let marked = u32::try_from(options.len()).unwrap_or(u32::MAX);
        if marked != Marked::<T>::get() {
            Marked::<T>::set(marked);
        }
        for (id, instrument) in others.into_iter().chain(options).chain(combinations) {
            let known = states.iter().find(|state| state.id == id);
            let mut state = known.copied().unwrap_or(MarketState {
                id,
                ..Default::default()
            });
            let previous = before.market(id).ok();
            let around = Around {
                surface: surfaces.get(&instrument.underlying),
                markets: &markets,
                clock: &clock,
            };
            let advanced =
                Self::advance_market(&instrument, previous, &mut state, &mut expiries, &around);
            match advanced {
                Ok(Some(view)) => {
                    if state.phase != Phase::Closed {
                        matching.push(id);
                    }
                    markets.push(view);
                }
                // No tier to margin it by, or numbers out of range: it halts as it last stood.
                halted => {
                    let error = halted.err();
                    log::error!(target: crate::LOG_TARGET, "market {id} has no view: {error:?}");
                    (state.phase, state.price) = Default::default();
                    (state.auction, state.edge_since) = Default::default();
                    markets.extend(previous.cloned().map(|market| MarketView {
                        status: MarketStatus::Halted,
                        fresh: false,
                        auction_at: 0,
                        ..market
                    }));
                }
            }
            next.push(state);
        }
        matching.sort_unstable();
        next.sort_by_key(|state| state.id);
        *states = next;

        let settlement_fresh = settlement.is_some_and(|feed| Self::is_fresh(now, &feed));
        let mut collaterals: Vec<_> = T::Ledger::collaterals()
            .into_iter()
            .map(|(asset, params)| {
                let price = T::Feeds::price(params.feed)
                    .filter(|feed| settlement_fresh && Self::is_fresh(now, feed))
                    .and_then(|feed| collateral_price(feed.price, settlement_price).ok());
                CollateralView {
                    asset,
                    price: price.unwrap_or_default(),
                    fresh: price.is_some(),
                    params,
                }
            })
            .collect();
        markets.sort_by_key(|market| market.id);
        collaterals.sort_by_key(|collateral| collateral.asset);
        let view = RiskView {
            block,
            now,
            markets: sp_core::bounded::BoundedVec::truncate_from(markets),
            collaterals: sp_core::bounded::BoundedVec::truncate_from(collaterals),
            fee_tiers: sp_core::bounded::BoundedVec::truncate_from(T::Listing::fee_tiers()),
            loans: T::Loans::accrue(block, elapsed.min(T::MaxFundingSpan::get())),
        };
        (view, matching)
    }

    /// Prices options under every scenario, once for all accounts, and forgets those of expiries that `before` had and `now` has not.
    pub(crate) fn price_scenarios(before: &RiskView, now: &RiskView) {
        let expiring = |market: &MarketView| {
            let is_option = market.contract.kind.is_option();
            is_option.then_some((market.underlying, market.contract.expiry))
        };
        let mut gone: BTreeSet<_> = before.markets.iter().filter_map(expiring).collect();
        if gone.is_empty() && !now.markets.iter().any(|m| m.contract.kind.is_option()) {
            return;
        }
        for (of, rows) in rows(now, &PortfolioRules::<T>::get()) {
            gone.remove(&of);
            Scenarios::<T>::insert(of, rows);
        }
        for of in gone {
            Scenarios::<T>::remove(of);
        }
    }

    pub(crate) fn is_fresh(now: Millis, feed: &FeedPrice) -> bool {
        age(now, feed.observed_at) <= T::FreshFor::get()
    }

    /// What the age of a price admits.
    pub(crate) fn admitted_at(age: Millis) -> MarketStatus {
        if age > T::MatchesFor::get() {
            MarketStatus::Halted
        } else if age > T::OpenFor::get() {
            MarketStatus::ReduceOnly
        } else {
            MarketStatus::Open
        }
    }

    fn advance_market(
        instrument: &Instrument,
        previous: Option<&MarketView>,
        state: &mut MarketState,
        expiries: &mut Expiries,
        around: &Around<'_, SurfaceOf<T>>,
    ) -> Result<Option<MarketView>> {
        let (surface, clock) = (around.surface, around.clock);
        let Some(tier) = T::Listing::tier(instrument.params.tier) else {
            return Ok(None);
        };
        let feed = T::Feeds::price(instrument.underlying);
        let fresh = feed.is_some_and(|feed| Self::is_fresh(clock.now, &feed));
        let by_age = feed.map_or(MarketStatus::Halted, |feed| {
            Self::admitted_at(age(clock.now, feed.observed_at))
        });
        let mut contract = Contract::from(instrument.kind);
        let factor = T::Listing::factor(instrument.params.tier);
        contract.scan_added = factor.saturating_sub(MILLION);
        let of_legs = match contract.kind {
            ContractKind::Combination => {
                Some(around.combine(instrument, &contract, tier.price_band)?)
            }
            _ => None,
        };
        // It has nothing to settle.
        contract.settled = of_legs.is_some() && contract.has_expired(clock.now);
        let admitted = instrument
            .status
            .strictest(by_age)
            .strictest(Self::admitted_by(&contract, surface, clock.now))
            .strictest(of_legs.map_or(MarketStatus::Open, |legs| legs.admitted));
        let advance = |phase: Phase, admitted, fresh| {
            phase.next(admitted, fresh, clock.block, tier.call_blocks)
        };
        // No auction finds an option's price around a mark that its surface does not give, nor a combination's around legs that are not marked.
        let is_marked = fresh
            && Self::has_surface(&contract, surface, clock.now)
            && of_legs.is_none_or(|legs| legs.fresh);
        let was_closed = state.phase == Phase::Closed;
        state.phase = advance(state.phase, admitted, is_marked);
        if !is_marked {
            // What was found on a price that is now stale is found anew.
            state.auction.price = None;
        }
        state.price = advance(state.price, by_age, fresh).after(clock.block);
        if state.phase == Phase::Closed {
            (state.auction, state.edge_since) = Default::default();
        }
        // Governance's halt does not make a price stale, or whoever holds a position in the market could neither be liquidated
        // nor withdraw elsewhere. Reopening, whoever halted, has one order: orders, an auction, then liquidations. These wait no longer
        // for what a close has no room for than for the auction itself, or whoever crosses his own orders could hold them up; and for no call
        // that begins again, or a market that moves would liquidate nobody.
        let reopening = match state.phase {
            Phase::Reopening { until, .. } => clock.block <= until,
            _ => false,
        };
        let status = if state.phase == Phase::Closed {
            MarketStatus::Halted
        } else {
            admitted
        };

        let mut view = MarketView {
            id: state.id,
            underlying: instrument.underlying,
            status,
            tick_size: instrument.tick_size,
            lot_size: instrument.lot_size,
            tick_value: instrument.tick_value,
            mark: Price::default(),
            index: Price::default(),
            observed_at: 0,
            fresh: fresh && state.price.is_running() && !reopening,
            funding_index: previous.map_or(0, |market| market.funding_index),
            short_funding_index: previous.map_or(0, |market| market.short_funding_index),
            imf: tier.imf,
            mmf: tier.mmf,
            profit_credit: tier.profit_credit,
            price_band: tier.price_band,
            min_notional: instrument.params.min_notional,
            impact_notional: tier.impact_notional,
            open_interest_cap: open_interest_cap(instrument, clock)?,
            auction_at: state.phase.auction_at(),
            contract,
        };
        let settled = expiries.settlement(instrument).and_then(|s| s.standing());
        match (of_legs, settled, feed, previous) {
            (Some(legs), ..) => {
                legs.show(&mut view);
                Self::advance_auction(&mut view, &tier, state, clock.block, was_closed)?;
            }
            (None, Some(standing), ..) => Self::settle_market(&mut view, standing, previous)?,
            (None, None, Some(feed), _) if contract.kind.is_option() => {
                let forward = expiries.forward(instrument, &feed, clock.now)?;
                let variance = Self::variance(&view, &forward, surface, previous, clock);
                Self::price_option(&mut view, &feed, forward, variance, previous)?;
                Self::raise_initial(&mut view, &feed, &tier, clock)?;
                Self::advance_auction(&mut view, &tier, state, clock.block, was_closed)?;
            }
            (None, None, Some(feed), _) => {
                let expected = expiries.expected(instrument, &feed, clock.now)?;
                view.contract.fixed = expected.settled;
                let expected = expected.price;
                Self::price_market(&mut view, &feed, expected, instrument, &tier, state, clock)?;
                expiries.note_basis(instrument, state.basis);
                Self::advance_auction(&mut view, &tier, state, clock.block, was_closed)?;
            }
            // The feed is gone: what was held at its last price is not suddenly worth nothing.
            (None, None, None, Some(last)) => {
                view.mark = last.mark;
                view.index = last.index;
                view.observed_at = last.observed_at;
                view.imf = last.imf;
                view.contract.variance = Self::last_variance(last, clock).unwrap_or(0);
                view.contract.fixed = last.contract.fixed;
            }
            (None, None, None, None) => {}
        }
        if let Some(from) = previous
            .map(|market| market.status)
            .filter(|from| *from != status)
        {
            Self::deposit_event(crate::Event::StatusChanged {
                market: state.id,
                from,
                to: status,
            });
        }
        Ok(Some(view))
    }

    /// What an expiry that has come, or a surface that is stale, admits.
    fn admitted_by(
        contract: &Contract,
        surface: Option<&SurfaceOf<T>>,
        now: Millis,
    ) -> MarketStatus {
        if contract.has_expired(now) {
            MarketStatus::Halted
        } else if Self::has_surface(contract, surface, now) {
            MarketStatus::Open
        } else {
            MarketStatus::ReduceOnly
        }
    }

    /// Whether the volatility that the contract is marked with, if with any, is recent enough to open positions on.
    fn has_surface(contract: &Contract, surface: Option<&SurfaceOf<T>>, now: Millis) -> bool {
        !contract.kind.is_option()
            || surface.is_some_and(|s| T::Volatility::is_fresh(s, contract.expiry, now))
    }

    /// The variance of an option's underlying until its expiry. Where no slice gives one it is the one that the option was last marked with, for
    /// the time that is left: as well known as any stale volatility. Were the price not fresh instead, nothing of what its holders have could be
    /// liquidated.
    fn variance(
        view: &MarketView,
        forward: &Forward,
        surface: Option<&SurfaceOf<T>>,
        previous: Option<&MarketView>,
        clock: &Clock,
    ) -> Option<FixedU128> {
        let expiry = view.contract.expiry;
        if view.contract.has_expired(clock.now) {
            // Nothing moves any more but what its mean lacks.
            return Some(FixedU128::default());
        }
        let strike = math::price_of(view.contract.strike, view.tick_size).ok()?;
        let log_moneyness = novate_risk::log_moneyness(forward.price, strike).ok()?;
        surface
            .and_then(|s| T::Volatility::total_variance(s, expiry, log_moneyness, clock.now))
            .or_else(|| {
                let last = previous.filter(|market| market.mark != Price::default())?;
                let parts = u128::from(Self::last_variance(last, clock)?);
                parts.checked_mul(VARIANCE_UNIT).map(FixedU128::from_inner)
            })
    }

    /// What is left of the variance of the last view, in its unit, rounded down.
    fn last_variance(last: &MarketView, clock: &Clock) -> Option<u64> {
        let left = last.contract.expiry.checked_sub(clock.now)?;
        let then = left.checked_add(clock.elapsed)?;
        let variance = last.contract.variance.into();
        let parts = math::mul_div_floor(variance, left.into(), then.into()).ok()?;
        u64::try_from(parts).ok()
    }

    /// An option's mark: Black-76 on the forward of its expiry, whatever its book says. One that never had a variance, or that has no price on its
    /// forward, keeps its last mark, and nobody is liquidated on that.
    fn price_option(
        view: &mut MarketView,
        feed: &FeedPrice,
        forward: Forward,
        variance: Option<FixedU128>,
        previous: Option<&MarketView>,
    ) -> Result<()> {
        view.index = forward.price;
        view.contract.fixed = forward.settled;
        view.observed_at = feed.observed_at;
        match variance.and_then(|v| Some((Self::option_mark(view, &forward, v)?, v))) {
            Some((mark, variance)) => {
                view.mark = mark;
                // In the unit of the view.
                let parts = variance.into_inner() / VARIANCE_UNIT;
                view.contract.variance = u64::try_from(parts).unwrap_or(u64::MAX);
            }
            None => {
                let last = previous.map(|market| (market.mark, market.contract.variance));
                (view.mark, view.contract.variance) = last.unwrap_or_default();
                view.fresh = false;
            }
        }
        // The tier's, as the view was made with it.
        view.price_band = novate_risk::option_band(view.mark, view.index, view.price_band);
        Ok(())
    }

    fn option_mark(view: &MarketView, forward: &Forward, variance: FixedU128) -> Option<Price> {
        let right = view.contract.kind.right()?;
        let strike = math::price_of(view.contract.strike, view.tick_size).ok()?;
        let mark = novate_risk::option_mark_floor(right, forward, strike, variance).ok()?;
        Some(mark.max(novate_risk::least_mark(view.tick_size)))
    }

    /// Initial margin in force, with its add-ons.
    fn raise_initial(
        view: &mut MarketView,
        feed: &FeedPrice,
        tier: &RiskTier,
        clock: &Clock,
    ) -> Result<()> {
        let open = T::Ledger::open_interest(view.id);
        let open_notional = math::signed(novate_risk::size_ceil(view, open)?)?;
        let add_on = confidence_add_on(feed)?
            .saturating_add(clock.depeg)
            .min(MILLION);
        view.imf = novate_risk::effective_imf(tier, open_notional, add_on)?;
        view.contract.initial_added = view.imf.saturating_sub(tier.imf);
        Ok(())
    }

    /// The mark of a linear contract, around what it converges to: the index, or what it settles at if the index stays where it is.
    fn price_market(
        view: &mut MarketView,
        feed: &FeedPrice,
        index: Price,
        instrument: &Instrument,
        tier: &RiskTier,
        state: &mut MarketState,
        clock: &Clock,
    ) -> Result<()> {
        // Where only reductions match most quotes are suspended, and in a call nothing matches: what cannot be hit says nothing.
        let quotes = if view.status.allows_risk() && !view.is_in_auction() {
            T::Book::rested(state.id)
        } else {
            RestedQuotes::default()
        };
        // Until it runs again the mark is the index: quotes from before a gap say nothing.
        state.basis = if state.phase.is_running() {
            let sample = basis_sample(index, &quotes, view.tick_size, tier.mark_band)?;
            average(state.basis, sample, clock.elapsed, T::BasisSpan::get())?
        } else {
            0
        };
        let last = state
            .last
            .filter(|last| age(clock.now, last.at) <= T::LastTradeFor::get())
            .map(|LastTrade { ticks, .. }| ticks);
        view.mark = mark(
            index,
            state.basis,
            &quotes,
            last,
            view.tick_size,
            tier.mark_band,
        )?;
        view.index = index;
        view.observed_at = feed.observed_at;

        let has_funding = view.contract.kind == ContractKind::Perpetual;
        if has_funding && view.fresh && state.phase.is_running() {
            funding::accrue::<T>(view, &quotes, instrument, tier, state, clock)?;
        }

        Self::raise_initial(view, feed, tier, clock)
    }
}
