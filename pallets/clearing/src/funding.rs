//! Funding: the premium's hour and its accrual into the cumulative index (protocol, section 5).
//!
//! The mean is exact and costs a bounded amount: sixty one-minute buckets that end with the present
//! one, of which only the present one changes in a block. The hour always divides by its whole
//! length: time without a sample counts as no premium, as a book without depth does, so a market
//! that has just opened is not steered by its first block.

use crate::{
    marks::Clock, Config, Event, MarketState, Pallet, PremiumHistory, PremiumMinute, Premiums,
};
use alloc::vec::Vec;
use frame_support::{traits::Get, BoundedVec};
use novate_types::{
    math, Instrument, MarketId, MarketView, MathError, Millis, RestedQuotes, RiskTier,
};

type Result<T> = core::result::Result<T, MathError>;

/// Milliseconds of a bucket.
pub const MINUTE: Millis = 60_000;
/// Full minutes before the present one.
pub const PAST_MINUTES: u32 = 59;

fn minute_of(now: Millis) -> Result<u32> {
    now.checked_div(MINUTE)
        .and_then(|m| u32::try_from(m).ok())
        .ok_or(MathError::Overflow)
}

/// The past minutes that are still in the hour that ends with `minute`, and their sum.
pub fn roll(
    past: impl IntoIterator<Item = PremiumMinute>,
    finished: PremiumMinute,
    minute: u32,
) -> Result<(Vec<PremiumMinute>, i128)> {
    let kept: Vec<_> = past
        .into_iter()
        .chain([finished])
        .filter(|bucket| bucket.minute.saturating_add(PAST_MINUTES) >= minute)
        .collect();
    let sum = kept
        .iter()
        .try_fold(0, |sum, bucket| math::add(sum, bucket.sum))?;
    Ok((kept, sum))
}

/// Time-weighted mean of the premium (10⁻¹²) over the present minute up to `now` and the 59 before
/// it, rounded towards −∞.
pub fn mean(premiums: &Premiums, now: Millis) -> Result<i64> {
    let full = Millis::from(PAST_MINUTES).checked_mul(MINUTE);
    let span = full
        .zip(now.checked_rem(MINUTE))
        .and_then(|(full, part)| full.checked_add(part))
        .ok_or(MathError::Overflow)?;
    math::add(premiums.past, premiums.sum)?
        .checked_div_euclid(i128::from(span))
        .and_then(|mean| i64::try_from(mean).ok())
        .ok_or(MathError::Overflow)
}

/// Adds `premium` over the time from `from` to `now`, at most a minute; says whether a minute ended.
fn sample<T: Config>(
    market: MarketId,
    premiums: &mut Premiums,
    premium: i64,
    from: Millis,
    now: Millis,
) -> Result<bool> {
    let minute = minute_of(now)?;
    let begins = Millis::from(minute)
        .checked_mul(MINUTE)
        .ok_or(MathError::Overflow)?;
    let before = begins.saturating_sub(from);
    let within = now.saturating_sub(begins.max(from));
    let mut ended = false;
    if before > 0 {
        ended |= add::<T>(market, premiums, minute.saturating_sub(1), premium, before)?;
    }
    ended |= add::<T>(market, premiums, minute, premium, within)?;
    Ok(ended)
}

fn add<T: Config>(
    market: MarketId,
    premiums: &mut Premiums,
    minute: u32,
    premium: i64,
    millis: Millis,
) -> Result<bool> {
    let ended = minute > premiums.minute;
    if ended {
        let finished = PremiumMinute {
            minute: premiums.minute,
            sum: premiums.sum,
        };
        let (kept, past) = roll(PremiumHistory::<T>::get(market), finished, minute)?;
        PremiumHistory::<T>::insert(market, BoundedVec::truncate_from(kept));
        *premiums = Premiums {
            minute,
            sum: 0,
            past,
        };
    }
    let weighted = i128::from(premium)
        .checked_mul(i128::from(millis))
        .ok_or(MathError::Overflow)?;
    premiums.sum = math::add(premiums.sum, weighted)?;
    Ok(ended)
}

/// Moves the market's cumulative index on by the time that really passed since the last close, at
/// most [`Config::MaxFundingSpan`]. Called only for a market that runs, on a fresh price: none accrues while it is halted.
pub fn accrue<T: Config>(
    view: &mut MarketView,
    quotes: &RestedQuotes,
    instrument: &Instrument,
    tier: &RiskTier,
    state: &mut MarketState,
    clock: &Clock,
) -> Result<()> {
    let elapsed = clock.elapsed.min(T::MaxFundingSpan::get()).min(MINUTE);
    let premium = novate_risk::premium(quotes.impact_bid, quotes.impact_ask, view.index)?;
    let from = clock.now.saturating_sub(elapsed);
    let ended = sample::<T>(state.id, &mut state.premiums, premium, from, clock.now)?;
    let rate = novate_risk::funding_rate_8h(
        mean(&state.premiums, clock.now)?,
        instrument.params.interest_8h_ppm,
        instrument.params.funding_cap_factor,
        tier,
    )?;
    let index = novate_risk::accrue(view.funding_index, rate, view.index, view.lot_size, elapsed)?;
    view.accrue_funding(math::sub(index, view.funding_index)?)?;
    if ended {
        Pallet::<T>::deposit_event(Event::FundingAccrued {
            market: state.id,
            rate,
            index: view.funding_index,
        });
    }
    Ok(())
}
