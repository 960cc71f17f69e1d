//! The linear margin model (section 6): each position by itself, notional at the mark times a fraction. The chain's model,
//! [`crate::portfolio::Lesser`], is this one or a scan, whichever asks for less.
//!
//! Sources: dYdX v4 for the fractions and their scaling by open interest; Mango Markets (October 2022) and JELLY (March 2025)
//! for why unrealised profit supports only its own position's initial margin and a small credit elsewhere.

use crate::{
    combination,
    ledger::funding_owed_ceil,
    loans::cash_after_interest,
    options::{settlement_cash, size_ceil, OptionMargin, SETTLEMENT_MILLIS},
};
use alloc::vec::Vec;
use novate_types::{
    math::{
        add, asset_value_floor, mul_div_ceil, notional_ceil, position_value_floor, ppm_ceil,
        ppm_floor, signed, sub,
    },
    Assessment, Cash, CollateralView, FeedId, Lots, MarginAccount, MarketView, MathError, Millis,
    OrderAggregate, Ppm, Price, RiskError, RiskModel, RiskTier, RiskView, SignedLots, Size,
    MILLION, QUANTUMS,
};
use primitive_types::U256;

/// Least maintenance margin of a position that is not zero: 1 USD, so that dust pays for the work of liquidating it.
pub const MIN_MAINTENANCE: Cash = QUANTUMS;

/// The linear model.
///
/// - Cash: less the interest due on what it is below zero.
/// - Equity: `cash + Σ (⌊value⌋ − cost − ⌈funding owed⌉) + Σ haircut collateral`.
/// - Maintenance: `Σ max(⌈|value|·MMF⌉, 1 USD)` over positions; initial: `Σ max(⌈|value|·IMF⌉, maintenance)`.
/// - Initial with orders: in each market the initial margin of the farthest position that any subset of its orders can reach
///   (`max(q + B, A − q, |q|)` lots), plus what its orders reserve.
/// - Initial equity: as equity, but a market's unrealised profit counts only up to its own initial margin plus its profit credit.
/// - Withdrawable: the largest `w ≤ cash` with `cash − w + Σ over underlyings of min(0, unrealised) + collateral` and initial
///   equity less `w` both covering initial margin with orders; zero if there is none. The second binds only between markets of
///   one underlying, where a profit offsets a loss beyond what it may support.
///
/// An option needs what [`crate::options`] says; its unrealised profit is its value, as its premium has moved in cash. A long one's supports
/// itself and the credit, no more: what it is worth is what it needs. A position in a contract that has settled is cash.
///
/// Funding that the pot owes is part of unrealised profit. Funding that the account owes is not: it counts in full, as
/// settling it takes it out of cash, or else the next settlement could uncover margin that profit may not support.
pub struct Linear;

impl RiskModel for Linear {
    fn assess(account: &MarginAccount, view: &RiskView) -> Result<Assessment, RiskError> {
        assess(account, &account.orders, view, &[])
    }

    fn assess_held(account: &MarginAccount, view: &RiskView) -> Result<Assessment, RiskError> {
        assess(account, &[], view, &[])
    }
}

/// What the positions in one underlying need by scan, see [`crate::portfolio`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByScan {
    pub(crate) underlying: FeedId,
    pub(crate) maintenance: Cash,
    pub(crate) initial: Cash,
    /// The same with what the account's orders can add to it, over every subset of fills; none where that is not known.
    pub(crate) initial_with_orders: Option<Cash>,
    /// What linear positions on one side need at least, in ppm of their value while none of it is settled.
    pub(crate) one_sided: Ppm,
    /// What value less maintenance margin can lose per unit of relative move of prices.
    pub(crate) exposure: Cash,
    /// The same of deviations.
    pub(crate) deviation: Cash,
}

/// Positions in one underlying, by parts.
struct ByParts {
    underlying: FeedId,
    maintenance: Cash,
    initial: Cash,
    /// Initial margin with orders.
    reached: Cash,
    /// Of that, what is linear.
    reached_linear: Cash,
    /// What of that a scan of linear positions on one side would not ask for.
    beyond_scan: Cash,
    exposure: Cash,
    /// Unrealised results without long options.
    profit: Cash,
    long_options: Cash,
    /// Of both, what supports initial margin position by position.
    supporting: Cash,
    /// Profit credits of its markets.
    credit: Cash,
    /// What the options are worth that orders may buy: it is paid in cash.
    bought: Cash,
}

impl ByParts {
    fn of(all: &mut Vec<Self>, underlying: FeedId) -> Result<&mut Self, MathError> {
        // Few underlyings, mostly one: a list is shorter than a tree.
        let known = all.iter().position(|of| of.underlying == underlying);
        let at = known.unwrap_or(all.len());
        if known.is_none() {
            all.push(Self {
                underlying,
                maintenance: 0,
                initial: 0,
                reached: 0,
                reached_linear: 0,
                beyond_scan: 0,
                exposure: 0,
                profit: 0,
                long_options: 0,
                supporting: 0,
                credit: 0,
                bought: 0,
            });
        }
        all.get_mut(at).ok_or(MathError::Overflow)
    }

    /// What it needs, which is the lesser.
    fn least(&self, scan: Option<&ByScan>) -> Result<Least, MathError> {
        let (long, profit) = (self.long_options, self.profit);
        let parts = Least {
            maintenance: self.maintenance,
            initial: self.initial,
            reached: self.reached,
            supporting: self.supporting,
            exposure: self.exposure,
            deviation: 0,
            long_options: long,
            // What a long option is worth it needs: it may not leave, and it pays for no loss.
            free: add(profit.min(0), long)?,
            is_scanned: false,
        };
        let Some(scan) = scan else {
            return Ok(parts);
        };
        let beside = sub(self.maintenance, long)?;
        let by_scan = scan.maintenance < self.maintenance;
        // By scan long options are part of all that gains and loses, and all of it supports as one: profits pay for losses, and no more leaves
        // the underlying than its markets' credits. Of what either rule leaves of support the more counts.
        let value = add(profit, long)?;
        let left_by_scan = sub(value, scan.initial)?.min(self.credit);
        let left = sub(self.supporting, self.initial)?.max(left_by_scan);
        let initial = self.initial.min(scan.initial);
        let supporting = add(initial, left)?;
        // The same with orders, and of what may leave.
        let mut left = sub(self.supporting, self.reached)?;
        let mut left_free = sub(parts.free, self.reached)?;
        if let Some(reached) = scan.initial_with_orders {
            // Fills may leave linear positions on one side, of which the linear rule alone says what they need.
            let alone = add(reached, self.beyond_scan)?;
            let reached = reached.max(self.reached_linear).min(alone);
            // Beyond the credits fills are paid for in cash, whatever else is worth.
            let added = sub(reached, scan.initial)?.max(self.bought);
            left = left.max(sub(value, reached)?.min(sub(self.credit, added)?));
            left_free = left_free.max(sub(value.min(0), reached)?);
        }
        let reached = sub(supporting, left)?;
        let free = add(reached, left_free)?;
        Ok(if by_scan {
            Least {
                maintenance: scan.maintenance,
                initial,
                reached,
                supporting,
                exposure: scan.exposure,
                deviation: scan.deviation,
                long_options: sub(scan.maintenance, beside.min(scan.maintenance))?,
                free,
                is_scanned: true,
            }
        } else {
            Least {
                initial,
                reached,
                supporting,
                free,
                ..parts
            }
        })
    }
}

/// What the positions in one underlying need, by whichever rule asks for less.
struct Least {
    maintenance: Cash,
    initial: Cash,
    reached: Cash,
    /// What of their unrealised results, long options included, supports initial margin.
    supporting: Cash,
    exposure: Cash,
    deviation: Cash,
    long_options: Cash,
    /// What of them counts for what may leave.
    free: Cash,
    is_scanned: bool,
}

/// An account by parts, or by scan in those underlyings where that asks for less, as if it had these orders.
pub(crate) fn assess(
    account: &MarginAccount,
    orders: &[OrderAggregate],
    view: &RiskView,
    scans: &[ByScan],
) -> Result<Assessment, RiskError> {
    let mut sum = Assessment {
        fresh: true,
        ..Assessment::default()
    };
    let mut by_underlying = Vec::<ByParts>::new();
    let mut cash = cash_after_interest(account, view)?;
    sum.equity = cash;
    sum.initial_equity = cash;
    let mut free = cash;

    for position in &account.positions {
        let market = view.market(position.market)?;
        if market.contract.settled {
            let settled = settlement_cash(position, market)?;
            for sum in [
                &mut sum.equity,
                &mut sum.initial_equity,
                &mut free,
                &mut cash,
            ] {
                *sum = add(*sum, settled)?;
            }
            continue;
        }
        let margin = Margin::of(market, position.lots)?;
        let owed = funding_owed_ceil(position, market)?;
        let due = owed.max(0);
        let profit = sub(sub(margin.value, position.cost)?, owed.min(0))?;
        let supporting = profit.min(add(margin.initial, market.profit_credit)?);

        sum.equity = sub(add(sum.equity, profit)?, due)?;
        sum.initial_equity = sub(sum.initial_equity, due)?;
        free = sub(free, due)?;
        sum.notional = add(sum.notional, signed(margin.notional)?)?;
        sum.fresh &= market.fresh;

        let of = ByParts::of(&mut by_underlying, market.underlying)?;
        of.supporting = add(of.supporting, supporting)?;
        of.credit = add(of.credit, market.profit_credit)?;
        of.initial = add(of.initial, margin.initial)?;
        of.maintenance = add(of.maintenance, margin.maintenance)?;
        of.reached = add(of.reached, margin.initial)?;
        if !market.contract.kind.is_option() {
            of.reached_linear = add(of.reached_linear, margin.initial)?;
            let beyond = beyond_scan(market, margin.reach(), view.now, scans)?;
            of.beyond_scan = add(of.beyond_scan, beyond)?;
        }
        of.exposure = add(of.exposure, margin.exposure_ceil(market.mmf)?)?;
        let profit = if is_long_option(market, position.lots) {
            of.long_options = add(of.long_options, margin.value)?;
            sub(profit, margin.value)?
        } else {
            profit
        };
        of.profit = add(of.profit, profit)?;
    }
    let mut reserved = 0;
    for orders in orders {
        let market = view.market(orders.market)?;
        let lots = account.lots(orders.market);
        let held = Margin::of(market, lots)?.reach();
        let farthest = farthest(market, lots, held, orders)?;
        let beyond = sub(farthest.initial, held.initial)?;
        let of = ByParts::of(&mut by_underlying, market.underlying)?;
        of.reached = add(of.reached, beyond)?;
        if market.contract.kind.is_option() {
            of.bought = add(of.bought, bought_ceil(market, orders.bid_lots)?)?;
        } else {
            of.reached_linear = add(of.reached_linear, beyond)?;
            let beyond = sub(
                beyond_scan(market, farthest, view.now, scans)?,
                beyond_scan(market, held, view.now, scans)?,
            )?;
            of.beyond_scan = add(of.beyond_scan, beyond)?;
        }
        reserved = add(reserved, orders.reserve)?;
    }

    let mut scanned = Vec::new();
    for of in &by_underlying {
        let scan = scans.iter().find(|scan| scan.underlying == of.underlying);
        let least = of.least(scan)?;
        sum.maintenance = add(sum.maintenance, least.maintenance)?;
        sum.initial = add(sum.initial, least.initial)?;
        sum.initial_equity = add(sum.initial_equity, least.supporting)?;
        sum.initial_with_orders = add(sum.initial_with_orders, least.reached)?;
        sum.exposure = add(sum.exposure, least.exposure)?;
        sum.deviation = add(sum.deviation, least.deviation)?;
        sum.long_options = add(sum.long_options, least.long_options)?;
        free = add(free, least.free)?;
        if least.is_scanned {
            scanned.push(of.underlying);
        }
    }
    sum.initial_with_orders = add(sum.initial_with_orders, reserved)?;
    if !scanned.is_empty() {
        for (place, position) in (0u32..).zip(&account.positions) {
            let market = view.market(position.market)?;
            let is_scanned = !market.contract.settled && scanned.contains(&market.underlying);
            let bit = u32::from(is_scanned).checked_shl(place);
            sum.scanned |= bit.ok_or(MathError::Overflow)?;
        }
    }
    for (asset, amount) in &account.collateral {
        let collateral = view.collateral(*asset)?;
        let value = collateral_value(collateral, *amount)?;
        sum.equity = add(sum.equity, value)?;
        sum.initial_equity = add(sum.initial_equity, value)?;
        // A haircut value is concave in the price and zero at zero, so it loses at most its own share of a relative fall.
        sum.exposure = add(sum.exposure, value)?;
        sum.fresh &= collateral.fresh;
        free = add(free, value)?;
    }

    sum.withdrawable = sub(free.min(sum.initial_equity), sum.initial_with_orders)?
        .min(cash)
        .max(0);
    Ok(sum)
}

/// A position that fills can reach.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Reach {
    initial: Cash,
    notional: u128,
}

/// The position of the greatest initial margin that a subset of fills can reach: they lie between `q − A` and `q + B`, and margin
/// grows with distance from zero, so one of the ends has it. `held` is the position itself.
fn farthest(
    market: &MarketView,
    lots: SignedLots,
    held: Reach,
    orders: &OrderAggregate,
) -> Result<Reach, MathError> {
    let at = |lots: Option<SignedLots>| -> Result<Reach, MathError> {
        Ok(Margin::of(market, lots.ok_or(MathError::Overflow)?)?.reach())
    };
    let long = match orders.bid_lots {
        0 => held,
        bid => at(lots.checked_add_unsigned(bid))?,
    };
    let short = match orders.ask_lots {
        0 => held,
        ask => at(lots.checked_sub_unsigned(ask))?,
    };
    Ok(long.max(short))
}

/// What the linear rule asks of a market's position initially, wherever it stands up to the farthest, beyond what a scan asks of it where all are on one side.
fn beyond_scan(
    market: &MarketView,
    farthest: Reach,
    now: Millis,
    scans: &[ByScan],
) -> Result<Cash, MathError> {
    let scan = scans
        .iter()
        .find(|scan| scan.underlying == market.underlying);
    let (Some(scan), true) = (scan, farthest.initial > 0) else {
        return Ok(0);
    };
    // What of a mean is settled does not move; and a combination is its legs, on either side.
    let contract = &market.contract;
    let is_open = contract.expiry == 0 || contract.expiry.saturating_sub(now) > SETTLEMENT_MILLIS;
    let scanned = if is_open && !contract.kind.is_combination() {
        signed(ppm_floor(farthest.notional, scan.one_sided)?)?
    } else {
        0
    };
    // Of dust the linear rule asks for a dollar.
    Ok(sub(farthest.initial, scanned)?.max(MIN_MAINTENANCE))
}

/// What so many lots of an option are worth at its mark, rounded up.
fn bought_ceil(market: &MarketView, lots: Lots) -> Result<Cash, MathError> {
    signed(notional_ceil(lots, market.mark, market.lot_size)?)
}

/// Whether so many lots (signed) need what they are worth, and nothing else.
pub(crate) const fn is_long_option(market: &MarketView, lots: SignedLots) -> bool {
    market.contract.kind.is_option() && lots > 0
}

/// What a position is worth and needs at the mark.
pub(crate) struct Margin {
    /// Signed value, rounded against the account.
    value: Cash,
    /// Its magnitude; of an option, that of its lots at the forward.
    notional: u128,
    /// Of an option, what value and maintenance margin can lose together for a whole rise of [`crate::hurting_price`].
    hurting: Option<Cash>,
    /// See [`maintenance_ceil`].
    pub(crate) maintenance: Cash,
    /// See [`initial_ceil`].
    pub(crate) initial: Cash,
}

impl Margin {
    fn of(market: &MarketView, lots: SignedLots) -> Result<Self, MathError> {
        if market.contract.kind.is_combination() {
            return Self::of_combination(market, lots);
        }
        if let Some(right) = market.contract.kind.right() {
            let option = OptionMargin::of(market, right, lots)?;
            return Ok(Self {
                value: option.value,
                notional: size_ceil(market, lots.unsigned_abs())?,
                hurting: Some(option.hurting),
                maintenance: option.maintenance,
                initial: option.initial,
            });
        }
        Self::at(lots, market.mark, market.lot_size, market.mmf, market.imf)
    }

    const fn reach(&self) -> Reach {
        Reach {
            initial: self.initial,
            notional: self.notional,
        }
    }

    /// Nobody holds a position in one: it is what orders need for their legs.
    fn of_combination(market: &MarketView, lots: SignedLots) -> Result<Self, MathError> {
        let notional = size_ceil(market, lots.unsigned_abs())?;
        let initial = if lots == 0 {
            0
        } else {
            add(
                signed(ppm_ceil(notional, market.imf)?)?,
                combination::least(market)?,
            )?
        };
        Ok(Self {
            value: 0,
            notional,
            hurting: Some(0),
            maintenance: 0,
            initial,
        })
    }

    /// Of `lots` at a mark, by maintenance and initial margin fraction.
    pub(crate) fn at(
        lots: SignedLots,
        mark: Price,
        lot_size: Size,
        mmf: Ppm,
        imf: Ppm,
    ) -> Result<Self, MathError> {
        let value = position_value_floor(lots, mark, lot_size)?;
        let notional = value.unsigned_abs();
        let maintenance = if lots == 0 {
            0
        } else {
            signed(ppm_ceil(notional, mmf)?)?.max(MIN_MAINTENANCE)
        };
        let initial = signed(ppm_ceil(notional, imf)?)?.max(maintenance);
        Ok(Self {
            value,
            notional,
            hurting: None,
            maintenance,
            initial,
        })
    }

    /// What value and maintenance margin can lose together for a whole move of [`crate::hurting_price`] against it.
    fn exposure_ceil(&self, mmf: Ppm) -> Result<Cash, MathError> {
        if let Some(hurting) = self.hurting {
            return Ok(hurting);
        }
        // A long's value dropped a fraction of a quantum, which can be lost too.
        let gross = add(signed(self.notional)?, 1)?;
        let margined = signed(ppm_ceil(gross.unsigned_abs(), mmf)?)?;
        add(gross, margined)
    }
}

/// Maintenance margin of a position: `⌈|value|·MMF⌉`, at least 1 USD unless `lots` is zero; of an option, what it needs by itself.
///
/// `value` is the one that equity counts, rounded against the account: a move of the mark in the position's favour then
/// never lowers equity less maintenance margin, not even by a quantum, and the threshold index may ignore it.
pub fn maintenance_ceil(market: &MarketView, lots: SignedLots) -> Result<Cash, MathError> {
    Ok(Margin::of(market, lots)?.maintenance)
}

/// Initial margin of a position: `⌈|value|·IMF⌉`, at least its maintenance margin; of an option, what it needs by itself; of an order for a
/// combination, what its legs need one by one.
pub fn initial_ceil(market: &MarketView, lots: SignedLots) -> Result<Cash, MathError> {
    Ok(Margin::of(market, lots)?.initial)
}

/// Initial margin fraction in force: `IMF + max(0, (OI·P − L)/(U − L))·(1 − IMF)` plus the add-ons (confidence, concentration,
/// depeg), rounded up and at most one. `open_notional` is the market's open interest at its mark.
///
/// Above L it is one where `U ≤ L`: a tier without room fails towards full margin.
pub fn effective_imf(tier: &RiskTier, open_notional: Cash, add_on: Ppm) -> Result<Ppm, MathError> {
    let imf = tier.imf.min(MILLION);
    let over = sub(open_notional, tier.open_interest_lower)?;
    let room = sub(tier.open_interest_upper, tier.open_interest_lower)?;
    let rest = u128::from(MILLION.checked_sub(imf).ok_or(MathError::Overflow)?);
    let scaled = if over <= 0 {
        0
    } else if over >= room {
        rest
    } else {
        mul_div_ceil(rest, over.unsigned_abs(), room.unsigned_abs())?
    };
    let sum = u128::from(imf)
        .checked_add(scaled)
        .and_then(|sum| sum.checked_add(u128::from(add_on)))
        .ok_or(MathError::Overflow)?;
    Ppm::try_from(sum.min(u128::from(MILLION))).map_err(|_| MathError::Overflow)
}

/// Haircut value of `amount` of an asset (in its smallest units), rounded down and at most the asset's cap per account.
///
/// The value up to `large_value` counts less `haircut`, the rest less the larger of the two haircuts: so the whole is concave in
/// the price and never falls as the price rises. Zero at price zero.
pub fn collateral_value(view: &CollateralView, amount: u128) -> Result<Cash, MathError> {
    let params = &view.params;
    let counted = |haircut: Ppm| MILLION.saturating_sub(haircut);
    let value = asset_value_floor(amount, params.decimals, view.price)?;
    let small = value.min(u128::try_from(params.large_value).unwrap_or(0));
    let large = value.checked_sub(small).ok_or(MathError::Overflow)?;
    let after = add(
        signed(ppm_floor(small, counted(params.haircut))?)?,
        signed(ppm_floor(
            large,
            counted(params.large_haircut.max(params.haircut)),
        )?)?,
    )?;
    Ok(after.min(params.value_cap).max(0))
}

/// The check before novation (section 4): after its fills the account covers the initial margin of its positions; or its
/// maintenance margin fell and its equity over maintenance margin did not, `equity′·MM ≥ equity·MM′`, both without long options: what these are
/// worth is on both sides, and would cover up any loss of the rest. Where they have to pay for it, equity is
/// [`Assessment::bankruptcy_equity`].
///
/// A maintenance margin that merely stays is not a fall: an account without positions could otherwise trade itself below zero
/// within one block. Nor is one that falls by long options and rises by anything else.
pub fn passes_check(before: &Assessment, after: &Assessment) -> bool {
    let is_safer = || {
        let after = after.since(before);
        let (old, new) = (
            before.net_maintenance().ok()?,
            after.net_maintenance().ok()?,
        );
        let (had, has) = (
            before.bankruptcy_equity().ok()?,
            after.bankruptcy_equity().ok()?,
        );
        let fell = after.maintenance < before.maintenance && new <= old;
        Some(fell && ratio_kept((had, old), (has, new)))
    };
    after.covers_initial() || is_safer().unwrap_or(false)
}

/// `equity′·MM ≥ equity·MM′` for pairs of equity and `MM ≥ MM′ ≥ 0`, exactly: 128 by 128 bits always fit in 256. Without maintenance margin
/// on either side equity itself does not fall.
fn ratio_kept(before: (Cash, Cash), after: (Cash, Cash)) -> bool {
    if before.1 == 0 {
        return after.0 >= before.0;
    }
    let product = |equity: Cash, maintenance: Cash| {
        U256::from(equity.unsigned_abs()).checked_mul(U256::from(maintenance.unsigned_abs()))
    };
    let kept = product(after.0, before.1);
    let least = product(before.0, after.1);
    match (after.0 < 0, before.0 < 0) {
        (false, false) => kept >= least,
        (true, true) => kept <= least,
        (is_negative, _) => !is_negative,
    }
}
