//! The open competition for an account below maintenance margin (section 7, remedy 3): a Dutch auction of uniform fractions of
//! its portfolio, after Derive (`v2-core`, `src/liquidation/DutchAuction.sol`: `_getMaxProportion`, `bid`).
//!
//! Who takes a fraction buys that part of every position and of all collateral at the mark, and is paid a discount. The same part
//! of the cash would be bought with cash, at its worth, and so stays where it is. The discount is a part of the way from the mark to
//! the bankruptcy value of what was bought, at which `equity / MM` stays exactly what it was: all of the way, and of the whole
//! portfolio, it leaves the account with nothing, and never with less. Both are without long options ([`crate::liquidation`]): their part of what is
//! sold stays with the account as cash, less a spread.
//!
//! For a debt the collateral alone is sold, by the same rule. It frees no maintenance margin, so its discount is a part of the way from its
//! price to its haircut value, and the account's equity cannot fall by the sale.

use crate::{
    add_collateral, apply_trade, cash_after_interest, collateral_value, debt_ceil,
    long_option_spread_floor, take_collateral,
};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode};
use novate_types::{
    math::{
        add, asset_value_ceil, mul_div_ceil, neg, position_value_floor, ppm_ceil, ppm_floor,
        signed, signed_mul_div_ceil, sub,
    },
    Assessment, AssetId, Cash, MarginAccount, MarketId, MathError, Ppm, RiskError, RiskModel,
    RiskView, SignedLots, Standing, MILLION,
};
use scale_info::TypeInfo;

/// What the taker of a fraction buys: each at the mark, rounded against the taker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Portion {
    /// Markets, signed lots, and quantums that they cost: below zero for what is short.
    pub positions: Vec<(MarketId, SignedLots, Cash)>,
    /// Assets, amounts in their smallest units, and quantums that they cost, without haircut.
    pub collateral: Vec<(AssetId, u128, Cash)>,
}

impl Portion {
    /// What goes of an account between two fractions of it, `after` and `to` (ppm): of each position and asset the part `to`, rounded
    /// up, less the part `after`, rounded up. Portions that follow one another therefore add up to what one alone would be, and
    /// together they are at most a lot of each position beyond their fraction.
    ///
    /// Errors: [`RiskError::Underflow`] if `after > to` or `to` is more than the whole.
    pub fn between(
        account: &MarginAccount,
        view: &RiskView,
        after: Ppm,
        to: Ppm,
    ) -> Result<Self, RiskError> {
        if after > to || to > MILLION {
            return Err(RiskError::Underflow);
        }
        let part = |whole: u128| -> Result<u128, MathError> {
            let gone = ppm_ceil(whole, after)?;
            ppm_ceil(whole, to)?
                .checked_sub(gone)
                .ok_or(MathError::Overflow)
        };
        let mut portion = Self::default();
        for position in &account.positions {
            let lots = signed(part(position.lots.unsigned_abs().into())?)?
                .checked_mul(position.lots.signum().into())
                .and_then(|lots| SignedLots::try_from(lots).ok())
                .ok_or(MathError::Overflow)?;
            if lots != 0 {
                let market = view.market(position.market)?;
                let back = lots.checked_neg().ok_or(MathError::Overflow)?;
                let value = neg(position_value_floor(back, market.mark, market.lot_size)?)?;
                portion.positions.push((market.id, lots, value));
            }
        }
        for (asset, held) in &account.collateral {
            let amount = part(*held)?;
            if amount > 0 {
                let view = view.collateral(*asset)?;
                let value = asset_value_ceil(amount, view.params.decimals, view.price)?;
                portion.collateral.push((*asset, amount, signed(value)?));
            }
        }
        Ok(portion)
    }

    /// Nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty() && self.collateral.is_empty()
    }

    /// Sells it out of `seller`. Funding is settled on the way; the pots' shares are added to `pots`.
    pub fn leave(
        &self,
        seller: &mut MarginAccount,
        view: &RiskView,
        pots: &mut Vec<(MarketId, Cash)>,
    ) -> Result<(), RiskError> {
        for (market, lots, value) in &self.positions {
            let back = lots.checked_neg().ok_or(MathError::Overflow)?;
            let traded = apply_trade(seller, view.market(*market)?, back, neg(*value)?)?;
            pots.push((*market, traded.funding_to_pot));
        }
        for (asset, amount, value) in &self.collateral {
            take_collateral(seller, *asset, *amount)?;
            seller.cash = add(seller.cash, *value)?;
        }
        Ok(())
    }

    /// Buys it into `taker`. Funding is settled on the way; the pots' shares are added to `pots`.
    ///
    /// Errors: [`RiskError::Full`] if the taker cannot hold so many positions or assets.
    pub fn arrive(
        &self,
        taker: &mut MarginAccount,
        view: &RiskView,
        pots: &mut Vec<(MarketId, Cash)>,
    ) -> Result<(), RiskError> {
        for (market, lots, value) in &self.positions {
            let traded = apply_trade(taker, view.market(*market)?, *lots, *value)?;
            pots.push((*market, traded.funding_to_pot));
        }
        for (asset, amount, value) in &self.collateral {
            add_collateral(taker, *asset, *amount)?;
            taker.cash = sub(taker.cash, *value)?;
        }
        Ok(())
    }
}

/// What all of an account is worth at the marks, in quantums: its equity with collateral at its price instead of its haircut value.
pub fn worth(account: &MarginAccount, view: &RiskView) -> Result<Cash, RiskError> {
    let mut sold = account.clone();
    Portion::between(account, view, 0, MILLION)?.leave(&mut sold, view, &mut Vec::new())?;
    Ok(cash_after_interest(&sold, view)?)
}

/// What bids take fractions of: in open competition all of an account; while its collateral is called, or the market is offered its
/// positions, the collateral alone, as long as the account owes something. None where nothing is for sale.
pub fn for_sale(
    account: &MarginAccount,
    view: &RiskView,
) -> Result<Option<MarginAccount>, RiskError> {
    let collateral_alone = match account.standing {
        Standing::Competing { .. } => return Ok(Some(account.clone())),
        Standing::Called { .. } | Standing::Liquidating { .. } => !account.collateral.is_empty(),
        Standing::Good | Standing::Frozen => false,
    };
    if !collateral_alone || debt_ceil(account, view)? == 0 {
        return Ok(None);
    }
    let mut collateral = account.clone();
    collateral.positions = Default::default();
    Ok(Some(collateral))
}

/// The largest fraction of an account's collateral that may be taken at `discount`, in ppm, rounded up, and what the whole is worth beyond its
/// haircut value: what pays the debt, and no more; all of it if that does not suffice.
pub fn collateral_terms(
    account: &MarginAccount,
    discount: Ppm,
    view: &RiskView,
) -> Result<(Ppm, Cash), RiskError> {
    let debt = debt_ceil(account, view)?.unsigned_abs();
    let (mut price, mut counted) = (0, 0);
    for (asset, amount) in &account.collateral {
        let view = view.collateral(*asset)?;
        let value = asset_value_ceil(*amount, view.params.decimals, view.price)?;
        price = add(price, signed(value)?)?;
        counted = add(counted, collateral_value(view, *amount)?)?;
    }
    let worth = sub(price, counted)?;
    let paid = sub(price, discount_floor(worth, discount)?)?.max(0);
    let fraction = if debt >= paid.unsigned_abs() {
        MILLION
    } else {
        let fraction = mul_div_ceil(debt, MILLION.into(), paid.unsigned_abs())?;
        Ppm::try_from(fraction).map_err(|_| MathError::Overflow)?
    };
    Ok((fraction, worth))
}

/// How far from the mark to the bankruptcy value an account goes in a close, in ppm, rounded down, after `closes` of the `of` closes
/// that its competition lasts: nothing in the first, all of it in the last.
pub fn competition_discount(closes: u8, of: u8) -> Ppm {
    let steps = u32::from(of.saturating_sub(1));
    MILLION
        .saturating_mul(closes.into())
        .checked_div(steps)
        .map_or(MILLION, |discount| discount.min(MILLION))
}

/// The largest fraction of an account that may be taken at `discount`, in ppm, rounded up: what brings it back to `T = MM·(1 + buffer)`,
/// and no more. Of its `worth` W the account keeps what is paid, so `(T − equity) / (T − equity + W − discount·D)`, Derive's
/// `_getMaxProportion`; `D` is all that can be given up, and without long options, by which neither MM nor equity counts here, it is `W`.
/// Zero at target already; all of it if what would be paid for it is nothing.
pub fn largest_fraction_ceil(
    assessment: &Assessment,
    worth: Cash,
    discount: Ppm,
    buffer: Ppm,
) -> Result<Ppm, MathError> {
    let target = MILLION.checked_add(buffer).ok_or(MathError::Overflow)?;
    let maintenance = assessment.net_maintenance()?;
    let target = signed(ppm_ceil(maintenance.unsigned_abs(), target)?)?;
    let lacks = sub(target, assessment.net_equity()?)?;
    if lacks <= 0 {
        return Ok(0);
    }
    let spread = long_option_spread_floor(assessment, assessment.long_options)?;
    let beyond = sub(assessment.equity, assessment.bankruptcy_equity()?)?;
    let kept = sub(beyond, spread)?;
    let at_stake = sub(worth, kept)?.max(0).unsigned_abs();
    let paid = ppm_floor(at_stake, MILLION.saturating_sub(discount))?
        .checked_add(kept.min(worth).max(0).unsigned_abs())
        .ok_or(MathError::Overflow)?;
    let lacks = lacks.unsigned_abs();
    let all = lacks.checked_add(paid).ok_or(MathError::Overflow)?;
    let fraction = mul_div_ceil(lacks, MILLION.into(), all)?;
    Ppm::try_from(fraction).map_err(|_| MathError::Overflow)
}

/// What a portion was worth to the account that sold it, in quantums: its equity after the sale at the mark less what keeps
/// `equity / MM` where it was before, rounded up, and less what long options were worth but for their spread. Below zero only by what rounds:
/// such a taker adds that.
///
/// The fraction that was sold is that of maintenance margin which it freed, however lots were rounded. Collateral frees none: of that alone all
/// equity is kept.
pub fn portion_worth_floor(before: &Assessment, sold: &Assessment) -> Result<Cash, MathError> {
    let sold = sold.since(before);
    let at_stake = before.bankruptcy_equity()?;
    let maintenance = before.net_maintenance()?;
    let needed = sold.net_maintenance()?.max(0);
    let kept = if maintenance <= 0 {
        at_stake
    } else {
        // Where lots that round break a hedge, a deficit does not grow by it.
        let needed = if at_stake < 0 {
            needed.min(maintenance)
        } else {
            needed
        };
        signed_mul_div_ceil(at_stake, needed.unsigned_abs(), maintenance.unsigned_abs())?
    };
    let passed = sub(before.long_options, sold.long_options)?;
    let beyond = sub(before.equity, at_stake)?;
    let beyond = sub(beyond, long_option_spread_floor(before, passed)?)?;
    sub(sub(sold.equity, beyond)?, kept)
}

/// What the seller gives up of a portion's worth at a discount, in quantums, rounded down; what is below zero it does not bear at all.
pub fn discount_floor(worth: Cash, discount: Ppm) -> Result<Cash, MathError> {
    if worth < 0 {
        return Ok(worth);
    }
    signed(ppm_floor(worth.unsigned_abs(), discount.min(MILLION))?)
}

/// A portion sold, and both sides after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    /// Whose it was.
    pub seller: MarginAccount,
    /// Who has it.
    pub taker: MarginAccount,
    /// What the seller is worth and needs now.
    pub assessment: Assessment,
    /// What the portion was worth, see [`portion_worth_floor`].
    pub worth: Cash,
    /// What of that the seller gave up.
    pub discount: Cash,
    /// To be credited to the markets' funding pots.
    pub pots: Vec<(MarketId, Cash)>,
}

/// Sells a portion of `seller`, of whom `before` is what it is worth and needs, to `taker` at a discount.
///
/// The seller's equity over maintenance margin does not fall, long options apart, and its equity is not below zero if it was not. `Σ cash − Σ cost + Σ pots`
/// and the sum of each asset are what they were.
///
/// Errors: as of [`Portion::leave`] and [`Portion::arrive`].
pub fn sell<Risk: RiskModel>(
    seller: &MarginAccount,
    before: &Assessment,
    taker: &MarginAccount,
    portion: &Portion,
    discount: Ppm,
    view: &RiskView,
) -> Result<Sale, RiskError> {
    let (mut seller, mut taker, mut pots) = (seller.clone(), taker.clone(), Vec::new());
    portion.leave(&mut seller, view, &mut pots)?;
    portion.arrive(&mut taker, view, &mut pots)?;
    let sold = Risk::assess(&seller, view)?;
    let worth = portion_worth_floor(before, &sold)?;
    let discount = discount_floor(worth, discount)?;
    seller.cash = sub(seller.cash, discount)?;
    taker.cash = add(taker.cash, discount)?;
    let assessment = if discount < 0 {
        // It is paid for what it gives: how much of that may leave depends on what was missing before.
        Risk::assess(&seller, view)?
    } else {
        Assessment {
            equity: sub(sold.equity, discount)?,
            initial_equity: sub(sold.initial_equity, discount)?,
            withdrawable: sub(sold.withdrawable, discount)?.max(0),
            ..sold
        }
    };
    Ok(Sale {
        seller,
        taker,
        assessment,
        worth,
        discount,
        pots,
    })
}
