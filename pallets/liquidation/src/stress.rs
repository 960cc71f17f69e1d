//! Seeing stress before it arrives (protocol, section 12).
//!
//! Once an interval each underlying's fresh index is a sample of its volatility, one underlying a close from the first close in the interval on, and
//! the margin that the forecasts ask for is handed on ([`FollowVolatility`]). Whether an interval has begun is seen from two views' times, and whether
//! all are sampled lies in the sweep's state, which every close reads: a close in which nothing is sampled reads nothing for it.
//!
//! The sweep of the threshold index looks at every account anyway. As it passes it says how near each is to liquidation in forecast standard deviations,
//! and once an interval it also adds up what accounts would lack if prices and volatilities moved: by market, and of each move the few owners that lack most, which is all
//! that the default fund is reckoned from. The sums lie in the sweep's own state, and when the sweep is done they are published, and
//! decide which part of the open-interest caps is in force.
//!
//! Whoever fails fails with all accounts, so these are added up by owner. The sweep meets an owner's accounts far apart and remembers, for each move,
//! only the [`OWNERS`] owners who lack most so far. An owner's sum is exact if it never left that list: always where no more owners than that lack
//! anything, and for who lacked enough from its first account on. Otherwise it is a lower bound, as what an owner lacked before it left the list is
//! forgotten; it is never less than the most that one of its accounts lacks, if that is among the largest. To hide in that, each account
//! must lack less than all [`OWNERS`] others when the sweep meets it.
//!
//! An account remembers its last margin call in a byte of its own: it is read with the account, and written only when the call changes.

use crate::{
    meter::{Meter, Size},
    Config, Event, OpenInterestScale, Pallet, Refusal, Stress, StressReport, SweepState, Sweeping,
    Volatilities, WeightInfo,
};
use alloc::vec::Vec;
use codec::{Decode, Encode, MaxEncodedLen};
use frame_support::{pallet_prelude::TypeInfo, traits::Get, BoundedVec};
use novate_risk::{
    deviation_ceil, exposures, margin_call, scanned_options, stress::default_fund_ceil,
    stress::HistoricalLoss, stress_loss, Exposed, ModelError, StressMove, Volatility, MAX_COVER,
    SETTLEMENT_MILLIS, STRESS_MOVES,
};
use novate_types::{
    math::{add, mul_div_floor, ppm_ceil, signed_mul_div_floor},
    AccountRef, Assessment, BlockNumber, Cash, ContractKind, FeedId, FollowVolatility, Ledger,
    MarginAccount, MarginCall, MarketId, MarketView, Millis, Ppm, Price, RiskError, RiskModel,
    RiskView, Standing, MAX_MARKETS, MILLION,
};
use sp_core::ConstU32;
use sp_runtime::{FixedPointNumber, FixedU128};

/// Forecast standard deviations by underlying, in ppm of its price.
pub type Deviations = BoundedVec<(FeedId, Ppm), ConstU32<MAX_MARKETS>>;
/// What is kept of every underlying's past, by feed, with the time of its last sample.
pub type Volatile = BoundedVec<(FeedId, Millis, Volatility), ConstU32<MAX_MARKETS>>;
/// Losses by move, in the order of [`novate_risk::StressParams::moves`].
type ByMove = BoundedVec<Cash, ConstU32<{ STRESS_MOVES as u32 }>>;
/// Owners whose losses after one move are remembered: twice as many as a default fund can be reckoned for.
pub const OWNERS: u32 = 2 * MAX_COVER;
/// What the owners lack that lack most after one move, the largest first.
type Largest<AccountId> = BoundedVec<(AccountId, Cash), ConstU32<OWNERS>>;

/// What a sweep has added up of the accounts that it has seen.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct StressSums<AccountId> {
    /// Accounts seen.
    pub accounts: u32,
    /// By move, the largest losses over margin by owner; none while nobody has any.
    pub largest: BoundedVec<Largest<AccountId>, ConstU32<{ STRESS_MOVES as u32 }>>,
    /// By market in which anybody has any, and move: what all accounts lack.
    pub markets: BoundedVec<(MarketId, ByMove), ConstU32<MAX_MARKETS>>,
}

/// Zero for every move.
fn none() -> ByMove {
    BoundedVec::truncate_from(alloc::vec![0; STRESS_MOVES])
}

impl<AccountId> Default for StressSums<AccountId> {
    fn default() -> Self {
        Self {
            accounts: 0,
            largest: BoundedVec::new(),
            markets: BoundedVec::new(),
        }
    }
}

impl<AccountId: PartialEq + Clone> StressSums<AccountId> {
    /// Adds what an account of an owner lacks after each of the moves. Nothing is added where a loss has no number.
    ///
    /// Markets that are not `listed` any more make room for those that are.
    pub fn add(
        &mut self,
        owner: &AccountId,
        exposed: &[Exposed],
        equity: Cash,
        moves: &[StressMove],
        listed: &[MarketView],
    ) -> Result<(), RiskError> {
        let losses = moves
            .iter()
            .take(STRESS_MOVES)
            .map(|by| stress_loss(exposed, equity, *by))
            .collect::<Result<Vec<_>, _>>()?;
        self.accounts = self.accounts.saturating_add(1);
        for (at, loss) in losses.into_iter().enumerate() {
            if loss.over_margin == 0 {
                continue;
            }
            while self.largest.len() < STRESS_MOVES {
                self.largest
                    .try_push(Largest::default())
                    .map_err(|_| RiskError::Full)?;
            }
            if let Some(largest) = self.largest.get_mut(at) {
                add_by_owner(largest, owner, loss.over_margin)?;
            }
            for (market, lost) in loss.by_market {
                let sums = self.of_market(market, listed)?;
                if let Some(sum) = sums.get_mut(at) {
                    *sum = add(*sum, lost)?;
                }
            }
        }
        Ok(())
    }

    /// The sums of a market, zero if there are none.
    fn of_market(
        &mut self,
        market: MarketId,
        listed: &[MarketView],
    ) -> Result<&mut ByMove, RiskError> {
        let known = self.markets.iter().position(|(id, _)| *id == market);
        let index = match known {
            Some(index) => index,
            None => {
                if self.markets.is_full() {
                    let is_listed = |id: MarketId| listed.iter().any(|market| market.id == id);
                    self.markets.retain(|(id, _)| is_listed(*id));
                }
                self.markets
                    .try_push((market, none()))
                    .map_err(|_| RiskError::Full)?;
                self.markets.len().saturating_sub(1)
            }
        };
        let of_market = self.markets.get_mut(index);
        of_market.map(|(_, sums)| sums).ok_or(RiskError::Full)
    }
}

/// Adds what an owner's account lacks to what others of it do. Whoever lacks least leaves a full list.
fn add_by_owner<AccountId: PartialEq + Clone>(
    largest: &mut Largest<AccountId>,
    owner: &AccountId,
    loss: Cash,
) -> Result<(), RiskError> {
    let known = largest.iter().find(|(other, _)| other == owner);
    let sum = add(known.map_or(0, |(_, sum)| *sum), loss)?;
    let mut all = core::mem::take(largest).into_inner();
    all.retain(|(other, _)| other != owner);
    let place = all.partition_point(|(_, other)| *other >= sum);
    all.insert(place, (owner.clone(), sum));
    *largest = BoundedVec::truncate_from(all);
    Ok(())
}

/// Whether an interval begins between two times.
fn begins(interval: Millis, before: Millis, now: Millis) -> bool {
    before.checked_div(interval) != now.checked_div(interval)
}

/// Whether a market's index is the price of its underlying: an option's is a forward, a combination's the sum of
/// several, and a future's becomes a mean before it settles.
const fn shows_underlying(market: &MarketView, now: Millis) -> bool {
    match market.contract.kind {
        ContractKind::Perpetual => true,
        ContractKind::Future => now < market.contract.expiry.saturating_sub(SETTLEMENT_MILLIS),
        ContractKind::Call | ContractKind::Put | ContractKind::Combination => false,
    }
}

/// Every underlying with a price that accounts may be liquidated on, by feed.
fn fresh_indices(view: &RiskView) -> Vec<(FeedId, Price)> {
    let fresh = view
        .markets
        .iter()
        .filter(|m| m.fresh && m.index > Price::default() && shows_underlying(m, view.now));
    let mut indices: Vec<_> = fresh.map(|m| (m.underlying, m.index)).collect();
    indices.sort_unstable_by_key(|(feed, _)| *feed);
    indices.dedup_by_key(|(feed, _)| *feed);
    indices
}

/// What is forecast of an underlying.
fn forecast_of(deviations: &Deviations) -> impl Fn(FeedId) -> Option<Ppm> + '_ {
    |feed| {
        let found = deviations.iter().find(|(known, _)| *known == feed);
        found.map(|(_, deviation)| *deviation)
    }
}

impl<T: Config> Pallet<T> {
    /// Once an interval, samples every underlying, one a close, and has margins follow the forecasts. To be called before thresholds are drawn.
    pub(crate) fn sample(before: &RiskView, now: &RiskView, state: &mut SweepState<T::AccountId>) {
        let interval = T::StressInterval::get();
        state.sampling |= begins(interval, before.now, now.now);
        if !state.sampling {
            return;
        }
        let mut all = Volatilities::<T>::get();
        // What no market refers to any more has no future.
        all.retain(|(feed, ..)| now.markets.iter().any(|m| m.underlying == *feed));
        let last = |feed: FeedId| {
            let known = all.iter().find(|(known, ..)| *known == feed);
            known.map(|(_, at, _)| *at)
        };
        let due = fresh_indices(now)
            .into_iter()
            .map(|(feed, price)| (last(feed), feed, price))
            .filter(|(at, ..)| at.is_none_or(|at| begins(interval, at, now.now)))
            .min();
        let Some((_, feed, price)) = due else {
            state.sampling = Self::is_any_due(&all, now);
            return;
        };
        Self::count_for_vault(T::WeightInfo::sample());
        if let Err(error) = Self::sample_one(feed, price, &mut all, now, state) {
            log::error!(target: crate::LOG, "feed {feed} is not sampled: {error:?}");
            // Not again in this interval.
            if let Some((_, at, _)) = all.iter_mut().find(|(known, ..)| *known == feed) {
                *at = now.now;
            }
        }
        let deviations = &mut state.deviations;
        deviations.retain(|(feed, _)| all.iter().any(|(known, ..)| known == feed));
        Volatilities::<T>::put(all);
        let covered = T::Volatility::get().covered;
        let asked = state.deviations.iter().filter_map(|(feed, deviation)| {
            let fraction = ppm_ceil((*deviation).into(), covered).ok()?;
            Some((*feed, Ppm::try_from(fraction).ok()?))
        });
        T::Follow::follow(&asked.collect::<Vec<_>>());
    }

    /// Whether an underlying waits for a fresh price to be sampled in this interval.
    fn is_any_due(all: &Volatile, now: &RiskView) -> bool {
        let interval = T::StressInterval::get();
        let is_due = |feed: FeedId| {
            let known = all.iter().find(|(known, ..)| *known == feed);
            known.is_none_or(|(_, at, _)| begins(interval, *at, now.now))
        };
        now.markets
            .iter()
            .any(|market| shows_underlying(market, now.now) && is_due(market.underlying))
    }

    /// One more return of an underlying, and what it lets expect.
    fn sample_one(
        underlying: FeedId,
        price: Price,
        all: &mut Volatile,
        now: &RiskView,
        state: &mut SweepState<T::AccountId>,
    ) -> Result<(), ModelError> {
        let params = T::Volatility::get();
        let at = all.partition_point(|(known, ..)| *known < underlying);
        let known = all.get(at).filter(|(known, ..)| *known == underlying);
        let before = known.map_or(Volatility::default(), |(_, _, kept)| *kept);
        let after = (underlying, now.now, before.after(price, &params)?);
        let forecast = after.2.forecast(&params)?;
        if known.is_some() {
            if let Some(entry) = all.get_mut(at) {
                *entry = after;
            }
        } else {
            all.try_insert(at, after).map_err(|_| ModelError::Invalid)?;
        }
        let Some(forecast) = forecast else {
            return Ok(());
        };
        let deviations = &mut state.deviations;
        match deviations.iter_mut().find(|(feed, _)| *feed == underlying) {
            Some((_, deviation)) => *deviation = forecast.deviation,
            None => deviations
                .try_push((underlying, forecast.deviation))
                .map_err(|_| ModelError::Invalid)?,
        }
        Self::deposit_event(Event::VolatilityForecast {
            underlying,
            forecast,
        });
        Ok(())
    }

    /// A sweep begins: once an interval it adds up what accounts would lack.
    pub(crate) fn begin_stress(state: &mut SweepState<T::AccountId>, now: &RiskView) {
        state.stress = None;
        if begins(T::StressInterval::get(), state.assessed, now.now) {
            state.assessed = now.now;
            state.stress = Some(StressSums::default());
        }
    }

    /// What the sweep sees of an account. Returns a margin call that is due: how near it is, and the standard deviation that it was measured in.
    /// The close's time pays for assessing again what a scan margins.
    pub(crate) fn pass(
        of: &AccountRef<T::AccountId>,
        account: &MarginAccount,
        assessment: &Assessment,
        view: &RiskView,
        state: &mut SweepState<T::AccountId>,
        meter: &mut Meter<T>,
    ) -> Result<Option<(MarginCall, Cash)>, RiskError> {
        // The vault and the fund are what others' losses are borne by.
        if *of == T::Vault::get() || *of == T::InsuranceFund::get() {
            return Ok(None);
        }
        // What is not fresh is no reason to call, and none to take a call back.
        let is_watched =
            !state.deviations.is_empty() && account.standing == Standing::Good && assessment.fresh;
        if state.stress.is_none() && !is_watched {
            return Ok(None);
        }
        let exposed = exposures(account, view, T::PortfolioRules::get)?;
        let options: usize = exposed.iter().map(|e| e.options.len()).sum();
        let options = u64::try_from(options).unwrap_or(u64::MAX);
        Self::count_for_vault(T::WeightInfo::option_at_stake().saturating_mul(options));
        let params = T::Stress::get();
        if let Some(sums) = &mut state.stress {
            sums.add(
                &of.owner,
                &exposed,
                assessment.equity,
                &params.moves,
                &view.markets,
            )?;
        }
        let Some(slack) = assessment.slack().filter(|slack| is_watched && *slack >= 0) else {
            return Ok(None);
        };
        if assessment.scanned != 0 {
            let options = scanned_options(account, view, assessment);
            meter.spend(meter.deviation(options, Size::of(account, view)));
        }
        let forecast = forecast_of(&state.deviations);
        let call = match deviation_ceil(
            account,
            view,
            assessment,
            &exposed,
            T::PortfolioRules::get,
            forecast,
        )? {
            Some(deviation) => (margin_call(slack, deviation), deviation),
            None => (MarginCall::None, 0),
        };
        Ok((call.0 != account.call).then_some(call))
    }

    /// Remembers an account's margin call, and makes it if it is nearer than the last.
    pub(crate) fn call_margin(
        of: &AccountRef<T::AccountId>,
        (call, deviation): (MarginCall, Cash),
        assessment: &Assessment,
    ) -> Result<(), Refusal> {
        let last = T::Ledger::update(of, |account| {
            Ok::<_, Refusal>(core::mem::replace(&mut account.call, call))
        })?;
        if call > last {
            Self::deposit_event(Event::MarginCalled {
                account: of.clone(),
                call,
                equity: assessment.equity,
                maintenance: assessment.maintenance,
                deviation,
            });
        }
        Ok(())
    }

    /// A sweep is over: publishes what it added up, and brings the open-interest caps nearer to what fund and vault cover.
    pub(crate) fn publish(sums: StressSums<T::AccountId>, began: BlockNumber, now: &RiskView) {
        Self::count_for_vault(T::WeightInfo::publish());
        let report = match Self::report(sums, began, now) {
            Ok(report) => report,
            Err(error) => {
                log::error!(target: crate::LOG, "the stress of the sweep is not known: {error:?}");
                return;
            }
        };
        Self::deposit_event(Event::StressAssessed {
            began,
            accounts: report.accounts,
            default_fund: report.default_fund,
            available: report.available,
            shortfalls: report.shortfalls.to_vec(),
        });
        let old_value = OpenInterestScale::<T>::get();
        let new_value = Self::next_scale(&report, old_value);
        Stress::<T>::put(report);
        if new_value == MILLION {
            OpenInterestScale::<T>::kill();
        } else {
            OpenInterestScale::<T>::put(new_value);
        }
        if new_value != old_value {
            Self::deposit_event(Event::OpenInterestScaled {
                old_value,
                new_value,
            });
        }
    }

    fn report(
        mut sums: StressSums<T::AccountId>,
        began: BlockNumber,
        now: &RiskView,
    ) -> Result<StressReport, ModelError> {
        let params = T::Stress::get();
        let amounts = |largest: &Largest<T::AccountId>| {
            let all = largest.iter().map(|(_, lacks)| *lacks);
            all.collect::<Vec<_>>()
        };
        let mut by_move: Vec<_> = sums.largest.iter().map(amounts).collect();
        let moves = by_move.iter_mut().map(Vec::as_mut_slice);
        let cover = usize::try_from(params.cover).unwrap_or(usize::MAX);
        let default_fund = default_fund_ceil(moves, cover, params.factor)?;
        let one = FixedU128::DIV;
        let parts = one.checked_div(MILLION.into()).unwrap_or(1);
        let confidence = FixedU128::from_inner(parts.saturating_mul(params.confidence.into()));
        let mut shortfalls = BoundedVec::default();
        for (market, by_move) in &mut sums.markets {
            let worst = HistoricalLoss::of(by_move.as_mut(), confidence)?;
            let of_market = (*market, worst.expected_shortfall_ceil);
            shortfalls
                .try_push(of_market)
                .map_err(|_| ModelError::Invalid)?;
        }
        shortfalls.sort_by_key(|(market, _): &(MarketId, Cash)| *market);
        let vault = T::Ledger::account(&T::Vault::get());
        let vault = vault.and_then(|vault| T::Risk::assess_held(&vault, now).ok());
        let vault = vault.map_or(0, |assessment| assessment.equity.max(0));
        Ok(StressReport {
            began,
            completed: now.block,
            accounts: sums.accounts,
            default_fund,
            available: add(Self::insurance_cash(), vault)?,
            shortfalls,
        })
    }

    /// The part of the caps that is in force after a report: one step from the last, towards what is covered, but for
    /// [`novate_risk::StressParams::least_scale`].
    fn next_scale(report: &StressReport, last: Ppm) -> Ppm {
        let covered = |available: Cash, needed: Cash| {
            let available = available.max(0).min(needed).unsigned_abs();
            mul_div_floor(available, MILLION.into(), needed.unsigned_abs())
        };
        let covered = covered(report.available, report.default_fund);
        let target = covered
            .ok()
            .filter(|_| report.default_fund > 0)
            .and_then(|part| Ppm::try_from(part).ok())
            .unwrap_or(MILLION)
            .min(MILLION);
        let params = T::Stress::get();
        let (target, step) = (target.max(params.least_scale), params.cap_step);
        target.clamp(last.saturating_sub(step), last.saturating_add(step))
    }

    /// Equity less maintenance margin in forecast standard deviations, in ppm of one, rounded down; none without forecasts, or with nothing at
    /// stake. For queries.
    pub fn distance(
        account: &MarginAccount,
        assessment: &Assessment,
        view: &RiskView,
    ) -> Option<i128> {
        let deviations = Sweeping::<T>::get()?.deviations;
        let forecast = forecast_of(&deviations);
        let exposed = exposures(account, view, T::PortfolioRules::get).ok()?;
        let deviation = deviation_ceil(
            account,
            view,
            assessment,
            &exposed,
            T::PortfolioRules::get,
            forecast,
        );
        let deviation = deviation.ok()??;
        let slack = assessment.slack()?;
        signed_mul_div_floor(slack, MILLION.into(), deviation.unsigned_abs()).ok()
    }
}
