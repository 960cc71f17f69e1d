//! The bounds of parameters, and of the steps between them.

use crate::{
    Change, Config, Error, FeeTierList, FeeTiers, Instruments, Pallet, Rules, SeriesRule, Tiers,
    LEAST_TERM, MAX_AMOUNT, MAX_CALL_BLOCKS, MAX_EDGE_BLOCKS, MAX_FUNDING_CAP_FACTOR, MAX_INTEREST,
    MOST_STRIKES, MOST_TERM,
};
use alloc::collections::BTreeSet;
use frame_support::{
    ensure,
    traits::{Get, UnixTime},
};
use novate_types::{
    math::{is_within_step, price_of, tick_value},
    BlockNumber, Cash, CombinationLeg, CombinationLegs, FeedId, Instrument, InstrumentKind,
    Listing, Lots, MarketId, MarketParams, Millis, Ppm, RiskTier, SignedLots, MAX_RATIO, MILLION,
};

impl<T: Config> Pallet<T> {
    /// The bounds of a tier, each parameter by itself and against the others.
    pub(crate) fn check_tier(tier: &RiskTier) -> Result<(), Error<T>> {
        let RiskTier {
            imf,
            mmf,
            open_interest_lower,
            open_interest_upper,
            profit_credit,
            impact_notional,
            mark_band,
            price_band,
            call_blocks,
            edge_blocks,
        } = *tier;
        ensure!(
            0 < mmf && mmf < imf && imf <= MILLION,
            Error::<T>::InvalidMarginFractions
        );
        ensure!(
            0 < mark_band && mark_band <= mmf / 2,
            Error::<T>::InvalidMarkBand
        );
        ensure!(
            0 < price_band && price_band < MILLION,
            Error::<T>::InvalidPriceBand
        );
        ensure!(
            0 <= open_interest_lower
                && open_interest_lower < open_interest_upper
                && open_interest_upper <= MAX_AMOUNT,
            Error::<T>::InvalidOpenInterestLimits
        );
        ensure!(
            (0..=MAX_AMOUNT).contains(&profit_credit),
            Error::<T>::InvalidProfitCredit
        );
        ensure!(
            (1..=MAX_AMOUNT).contains(&impact_notional),
            Error::<T>::InvalidImpactNotional
        );
        ensure!(
            (1..=MAX_CALL_BLOCKS).contains(&call_blocks),
            Error::<T>::InvalidCallBlocks
        );
        ensure!(
            (1..=MAX_EDGE_BLOCKS).contains(&edge_blocks),
            Error::<T>::InvalidEdgeBlocks
        );
        Ok(())
    }

    /// The bounds of a market's own parameters.
    pub(crate) fn check_params(params: &MarketParams) -> Result<(), Error<T>> {
        let MarketParams {
            tier,
            min_notional,
            open_interest_cap,
            interest_8h_ppm,
            funding_cap_factor,
        } = *params;
        ensure!(Tiers::<T>::contains_key(tier), Error::<T>::UnknownTier);
        ensure!(
            (1..=MAX_AMOUNT).contains(&min_notional),
            Error::<T>::InvalidMinNotional
        );
        ensure!(
            SignedLots::try_from(open_interest_cap).is_ok(),
            Error::<T>::InvalidOpenInterestCap
        );
        ensure!(
            interest_8h_ppm.unsigned_abs() <= MAX_INTEREST,
            Error::<T>::InvalidInterest
        );
        ensure!(
            (1..=MAX_FUNDING_CAP_FACTOR).contains(&funding_cap_factor),
            Error::<T>::InvalidFundingCapFactor
        );
        Ok(())
    }

    /// The bounds of an instrument by itself; that its symbol is free and its feed exists is for its lister to see to.
    pub(crate) fn check_instrument(instrument: &Instrument) -> Result<(), Error<T>> {
        let symbol = &instrument.symbol;
        ensure!(
            !symbol.is_empty() && symbol.iter().all(u8::is_ascii_graphic),
            Error::<T>::InvalidSymbol
        );
        ensure!(
            tick_value(instrument.tick_size, instrument.lot_size) == Some(instrument.tick_value),
            Error::<T>::TickValueNotWhole
        );
        if let InstrumentKind::Option { strike, .. } = instrument.kind {
            ensure!(
                strike > 0 && price_of(strike, instrument.tick_size).is_ok(),
                Error::<T>::InvalidStrike
            );
        }
        if let InstrumentKind::Combination { legs, expiry } = instrument.kind {
            Self::check_legs(instrument, &legs, expiry)?;
        }
        Self::check_params(&instrument.params)
    }

    /// Whether a combination's legs can be traded together, and its expiry is that of the first of them.
    fn check_legs(
        instrument: &Instrument,
        legs: &CombinationLegs,
        expiry: Option<Millis>,
    ) -> Result<(), Error<T>> {
        let mut known = BTreeSet::new();
        let mut first = None;
        for CombinationLeg { market, .. } in legs.iter() {
            ensure!(known.insert(market), Error::<T>::InvalidLegs);
            let leg = Instruments::<T>::get(market).ok_or(Error::<T>::UnknownMarket)?;
            let terms = |i: &Instrument| (i.underlying, i.tick_size, i.lot_size);
            ensure!(
                !matches!(leg.kind, InstrumentKind::Combination { .. })
                    && terms(&leg) == terms(instrument),
                Error::<T>::InvalidLegs
            );
            first = first.into_iter().chain(leg.kind.expiry()).min();
        }
        ensure!(
            known.len() >= 2
                && legs.iter().all(|leg| leg.ratio.unsigned_abs() <= MAX_RATIO)
                && legs.iter().any(|leg| leg.ratio.unsigned_abs() == 1),
            Error::<T>::InvalidLegs
        );
        ensure!(expiry == first, Error::<T>::InvalidExpiry);
        Ok(())
    }

    /// Whether no combination trades in the market.
    pub(crate) fn is_no_leg(market: MarketId) -> bool {
        Instruments::<T>::iter_values().all(|listed| match listed.kind {
            InstrumentKind::Combination { legs, .. } => !legs.contains(market),
            _ => true,
        })
    }

    /// The bounds of a rule of listing.
    pub(crate) fn check_rule(rule: &SeriesRule) -> Result<(), Error<T>> {
        let is_ticker = !rule.base.is_empty() && rule.base.iter().all(u8::is_ascii_graphic);
        ensure!(
            is_ticker && rule.strikes <= MOST_STRIKES,
            Error::<T>::InvalidRule
        );
        ensure!(
            tick_value(rule.tick_size, rule.lot_size).is_some(),
            Error::<T>::TickValueNotWhole
        );
        Self::check_params(&rule.futures)?;
        Self::check_params(&rule.options)
    }

    /// Whether no other underlying's rule lists under the same tickers.
    pub(crate) fn has_own_base(rules: &Rules, underlying: FeedId, rule: &SeriesRule) -> bool {
        rules
            .iter()
            .all(|(other, known)| *other == underlying || known.base != rule.base)
    }

    /// Whether there is time for what is listed now to trade before it expires, and not too much.
    pub(crate) fn check_term(kind: &InstrumentKind) -> Result<(), Error<T>> {
        let Some(expiry) = kind.expiry() else {
            return Ok(());
        };
        let now =
            Millis::try_from(T::Time::now().as_millis()).map_err(|_| Error::<T>::OutOfRange)?;
        let term = expiry.saturating_sub(now);
        ensure!(
            (LEAST_TERM..=MOST_TERM).contains(&term),
            Error::<T>::InvalidExpiry
        );
        Ok(())
    }

    /// The bounds of the fee tiers. Every pair's sum is at least that of the two lowest fees, so one sum decides.
    pub(crate) fn check_fee_tiers(fees: &FeeTiers) -> Result<(), Error<T>> {
        let bound = T::MaxFee::get();
        ensure!(
            fees.iter().all(|f| f.maker_ppm.unsigned_abs() <= bound && f.taker_ppm.unsigned_abs() <= bound),
            Error::<T>::FeeTooHigh
        );
        ensure!(
            fees.iter()
                .zip(fees.iter().skip(1))
                .all(|(a, b)| a.maker_ppm >= b.maker_ppm && a.taker_ppm >= b.taker_ppm),
            Error::<T>::FeeTiersUnsorted
        );
        let lowest = fees.last().ok_or(Error::<T>::NoFeeTier)?;
        let sum = i64::from(lowest.maker_ppm).checked_add(i64::from(lowest.taker_ppm));
        ensure!(
            sum.is_some_and(|sum| sum >= 0),
            Error::<T>::FeePairBelowZero
        );
        Ok(())
    }

    /// Whether a change may follow what is in force now.
    pub(crate) fn check(change: &Change) -> Result<(), Error<T>> {
        match change {
            Change::Tier(id, new) => {
                let old = Self::followed(*id).ok_or(Error::<T>::UnknownTier)?.floor;
                ensure!(*new != old, Error::<T>::Unchanged);
                Self::check_tier(new)?;
                Self::check_tier_step(&old, new)?;
                // What is in force is a multiple, rounded.
                let in_force = Tiers::<T>::get(id).ok_or(Error::<T>::UnknownTier)?;
                let next = Self::rebased(*id, *new)?.in_force()?;
                Self::check_tier_step(&in_force, &next)
            }
            Change::Follow(id, factor) => Self::check_factor(*id, *factor),
            Change::Market(id, new) => {
                let old = Instruments::<T>::get(id)
                    .ok_or(Error::<T>::UnknownMarket)?
                    .params;
                ensure!(*new != old, Error::<T>::Unchanged);
                Self::check_params(new)?;
                Self::check_params_step(&old, new)
            }
            Change::FeeTiers(new) => {
                let old = FeeTierList::<T>::get();
                ensure!(*new != old, Error::<T>::Unchanged);
                Self::check_fee_tiers(new)?;
                for (old, new) in old.iter().zip(new.iter()) {
                    rate::<T>(old.maker_ppm, new.maker_ppm)?;
                    rate::<T>(old.taker_ppm, new.taker_ppm)?;
                }
                Ok(())
            }
        }
    }

    pub(crate) fn check_tier_step(old: &RiskTier, new: &RiskTier) -> Result<(), Error<T>> {
        fraction::<T>(old.imf, new.imf)?;
        fraction::<T>(old.mmf, new.mmf)?;
        fraction::<T>(old.mark_band, new.mark_band)?;
        fraction::<T>(old.price_band, new.price_band)?;
        cash::<T>(old.open_interest_lower, new.open_interest_lower)?;
        cash::<T>(old.open_interest_upper, new.open_interest_upper)?;
        cash::<T>(old.profit_credit, new.profit_credit)?;
        cash::<T>(old.impact_notional, new.impact_notional)?;
        blocks::<T>(old.call_blocks, new.call_blocks)?;
        blocks::<T>(old.edge_blocks, new.edge_blocks)
    }

    fn check_params_step(old: &MarketParams, new: &MarketParams) -> Result<(), Error<T>> {
        if old.tier != new.tier {
            let from = Tiers::<T>::get(old.tier).ok_or(Error::<T>::UnknownTier)?;
            let to = Tiers::<T>::get(new.tier).ok_or(Error::<T>::UnknownTier)?;
            Self::check_tier_step(&from, &to)?;
            // What following adds to a scan comes and goes in steps of its own, which wait for a sweep.
            ensure!(
                <Self as Listing>::factor(new.tier) <= <Self as Listing>::factor(old.tier),
                Error::<T>::StepTooLarge
            );
        }
        cash::<T>(old.min_notional, new.min_notional)?;
        lots::<T>(old.open_interest_cap, new.open_interest_cap)?;
        rate::<T>(old.interest_8h_ppm, new.interest_8h_ppm)?;
        fraction::<T>(old.funding_cap_factor, new.funding_cap_factor)
    }
}

fn step<T: Config>(old: i128, new: i128, least: u128) -> Result<(), Error<T>> {
    ensure!(
        is_within_step(old, new, T::MaxStep::get().relative, least)?,
        Error::<T>::StepTooLarge
    );
    Ok(())
}

fn fraction<T: Config>(old: Ppm, new: Ppm) -> Result<(), Error<T>> {
    step::<T>(old.into(), new.into(), T::MaxStep::get().fraction.into())
}

fn rate<T: Config>(old: i32, new: i32) -> Result<(), Error<T>> {
    step::<T>(old.into(), new.into(), T::MaxStep::get().rate.into())
}

fn cash<T: Config>(old: Cash, new: Cash) -> Result<(), Error<T>> {
    step::<T>(old, new, T::MaxStep::get().cash)
}

fn lots<T: Config>(old: Lots, new: Lots) -> Result<(), Error<T>> {
    step::<T>(old.into(), new.into(), T::MaxStep::get().lots.into())
}

fn blocks<T: Config>(old: BlockNumber, new: BlockNumber) -> Result<(), Error<T>> {
    step::<T>(old.into(), new.into(), T::MaxStep::get().blocks.into())
}
