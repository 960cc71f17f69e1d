//! Combinations (section 10): several markets of one underlying, traded together at one price in a book of their own, and novated leg by leg.
//!
//! **Legs** have the tick and the lot of their combination, so that `p` ticks of it are worth what its legs are at prices `tᵢ` with
//! `Σ rᵢ·tᵢ = p`, to the quantum. Each trades at its mark, in whole ticks, but for one that takes the rest: of those with the ratio 1 or −1 the
//! dearest. Nothing rounds and nothing is left over, whatever the price.
//!
//! **Mark.** `Σ rᵢ·markᵢ`, exactly. Below a tick there is none, and the combination does not trade: prices are above zero. Nor is there one where
//! the leg that takes the rest is worth next to nothing itself. Its *index*, which says how large a lot is, is `Σ |rᵢ|·sizeᵢ` ([`sizing_price`]).
//!
//! **Band.** As far from the mark as the tier's part of the index, that is as far as its legs' bands together; and no farther than the
//! leg that takes the rest is worth, so that within it no leg's price falls below zero.
//!
//! **Margin.** A position is in the legs, and needs what it needs there. An open order needs what its legs need one by one, the dearer side of it,
//! beside what any order reserves: one-by-one margins are subadditive, so that this is enough whatever of an account's orders fills. It is
//! the combination's `imf` of its index: it follows marks and fractions as the margin of any order does.

use crate::{
    fee,
    fees::limit_loss,
    linear::MIN_MAINTENANCE,
    option_band,
    options::{initial_unit_ceil, sizing_price},
    order_reserve,
};
use alloc::vec::Vec;
use novate_types::{
    math::{
        add, mul_div_ceil, mul_div_floor, ppm_ceil, price_of, signed, sub, ticks_nearest,
        trade_value,
    },
    Cash, CombinationLeg, FeeTier, Lots, MarginAccount, MarketId, MarketView, MathError, Ppm,
    Price, RiskError, RiskView, Side, SignedLots, Ticks, MAX_LEGS, MILLION,
};

/// Quantums by which a leg's roundings may exceed what its price says.
const ROUNDING: Cash = 2;

/// A market that a trade changes positions in.
#[derive(Clone, Copy, Debug)]
pub struct Leg<'a> {
    /// The market.
    pub market: &'a MarketView,
    /// Lots of it for each lot traded.
    pub ratio: i8,
    /// Its mark's nearest tick, at which it trades unless it takes the rest; zero of a market by itself.
    pub ticks: Ticks,
    /// It takes what the others leave of the price.
    takes_rest: bool,
}

/// What a trade in one leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegTrade {
    /// Signed.
    pub lots: SignedLots,
    /// Price.
    pub ticks: Ticks,
}

impl Leg<'_> {
    /// What a trade of `lots` of all legs is in this one, at a price that is to be at least zero.
    fn trade(&self, lots: SignedLots, price: i128) -> Result<LegTrade, MathError> {
        let lots = lots.checked_mul(self.ratio.into());
        Ok(LegTrade {
            lots: lots.ok_or(MathError::Overflow)?,
            ticks: Ticks::try_from(price).map_err(|_| MathError::Overflow)?,
        })
    }
}

/// The markets that a trade in a market changes positions in: itself alone, or the legs of a combination at the marks of a view.
#[derive(Clone, Debug)]
pub struct Legs<'a> {
    all: Vec<Leg<'a>>,
    /// Price at which the leg that takes the rest trades at its own mark.
    base: i128,
    tick_value: u64,
}

impl<'a> Legs<'a> {
    /// Of a market of `view`.
    ///
    /// # Errors
    ///
    /// [`RiskError::UnknownMarket`] if the view has not got a leg; [`RiskError::Math`] if a mark has no number in ticks, or no leg can take the
    /// rest.
    pub fn of(market: &'a MarketView, view: &'a RiskView) -> Result<Self, RiskError> {
        let tick_value = market.tick_value;
        if !market.contract.kind.is_combination() {
            let all = alloc::vec![Leg {
                market,
                ratio: 1,
                ticks: 0,
                takes_rest: true,
            }];
            return Ok(Self {
                all,
                base: 0,
                tick_value,
            });
        }
        let mut all = Vec::with_capacity(MAX_LEGS);
        let mut base = 0i128;
        for CombinationLeg { market, ratio } in market.contract.legs.iter() {
            let market = view.market(market)?;
            let ticks = ticks_nearest(market.mark, market.tick_size)?;
            base = add(base, times(ratio, ticks.into())?)?;
            all.push(Leg {
                market,
                ratio,
                ticks,
                takes_rest: false,
            });
        }
        let dearest = dearest(all.iter().map(|leg| (leg.ratio, leg.ticks)));
        let rest = dearest.and_then(|at| all.get_mut(at));
        rest.ok_or(MathError::Overflow)?.takes_rest = true;
        Ok(Self {
            all,
            base,
            tick_value,
        })
    }

    /// One by one; no more than [`MAX_LEGS`].
    pub fn iter(&self) -> impl Iterator<Item = &Leg<'a>> {
        self.all.iter()
    }

    /// Their markets.
    pub fn markets(&self) -> Vec<MarketId> {
        self.all.iter().map(|leg| leg.market.id).collect()
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.all.len()).unwrap_or(u32::MAX)
    }

    /// What each trades at if all of it does at `ticks`. Beyond the band the rest may be below zero.
    fn prices(&self, ticks: Ticks) -> Result<[i128; MAX_LEGS], MathError> {
        let rest = sub(ticks.into(), self.base)?;
        let mut prices = [0; MAX_LEGS];
        for (leg, price) in self.all.iter().zip(&mut prices) {
            *price = leg.ticks.into();
            if leg.takes_rest {
                // Its ratio is its own reciprocal.
                *price = add(*price, times(leg.ratio, rest)?)?;
            }
        }
        Ok(prices)
    }

    /// What a trade of `lots` (signed) at `ticks` is in each of them. Their values sum to its own, exactly.
    ///
    /// # Errors
    ///
    /// [`MathError::Overflow`] if a leg's price is below zero, or lots or prices are out of range.
    pub fn trades(&self, lots: SignedLots, ticks: Ticks) -> Result<Vec<LegTrade>, MathError> {
        let prices = self.prices(ticks)?;
        let legs = self.all.iter().zip(prices);
        legs.map(|(leg, price)| leg.trade(lots, price)).collect()
    }

    /// What fees of a trade are a part of, in quantums: its value; of a combination, that of the legs bought or of those sold, whichever
    /// is more. It is the same for both sides of a trade.
    pub fn charged(&self, lots: SignedLots, ticks: Ticks) -> Result<Cash, MathError> {
        let (mut bought, mut sold) = (0i128, 0i128);
        for (leg, price) in self.all.iter().zip(self.prices(ticks)?) {
            let value = times(leg.ratio, price.max(0))?;
            if value > 0 {
                bought = add(bought, value)?;
            } else {
                sold = sub(sold, value)?;
            }
        }
        let a_lot = bought
            .max(sold)
            .checked_mul(self.tick_value.into())
            .ok_or(MathError::Overflow)?;
        signed(
            a_lot
                .unsigned_abs()
                .checked_mul(lots.unsigned_abs().into())
                .ok_or(MathError::Overflow)?,
        )
    }

    /// What a trade pays for options in cash, fees not included; below zero it receives. `None` if it buys none.
    pub fn premium(&self, lots: SignedLots, ticks: Ticks) -> Result<Option<Cash>, MathError> {
        let (mut sum, mut buys) = (0i128, false);
        let options = self.all.iter().zip(self.prices(ticks)?);
        for (leg, price) in options.filter(|(leg, _)| leg.market.contract.kind.is_option()) {
            let lots = i128::from(lots)
                .checked_mul(leg.ratio.into())
                .ok_or(MathError::Overflow)?;
            buys |= lots > 0;
            let value = lots
                .checked_mul(price)
                .and_then(|value| value.checked_mul(self.tick_value.into()))
                .ok_or(MathError::Overflow)?;
            sum = add(sum, value)?;
        }
        Ok(buys.then_some(sum))
    }

    /// Cash that an order needs for the options it buys if all of it fills at its limit, in quantums: premium, if it pays one, and the
    /// tier's dearer fee, rounded up. `None` if it buys none.
    pub fn premium_due(
        &self,
        lots: SignedLots,
        limit: Ticks,
        tier: FeeTier,
    ) -> Result<Option<Cash>, MathError> {
        let Some(premium) = self.premium(lots, limit)? else {
            return Ok(None);
        };
        let fee = fee(self.charged(lots, limit)?, tier.dearer_ppm())?;
        add(premium.max(0), fee).map(Some)
    }

    /// Trades `lots` (signed) at `ticks`, leg by leg. Returns what each leg's funding pot receives, in their order. An error leaves the account
    /// half traded.
    pub fn apply(
        &self,
        account: &mut MarginAccount,
        lots: SignedLots,
        ticks: Ticks,
    ) -> Result<[Cash; MAX_LEGS], RiskError> {
        let mut funding = [0; MAX_LEGS];
        let prices = self.prices(ticks)?;
        for ((leg, price), funding) in self.all.iter().zip(prices).zip(&mut funding) {
            let trade = leg.trade(lots, price)?;
            let value = trade_value(trade.lots, trade.ticks, leg.market.tick_value)?;
            let traded = crate::apply_trade(account, leg.market, trade.lots, value)?;
            *funding = traded.funding_to_pot;
        }
        Ok(funding)
    }

    /// [`order_reserve`] of an order in a market, or in a combination, whose fees are a part of what [`Legs::charged`] says.
    pub fn reserve(
        &self,
        market: &MarketView,
        tier: FeeTier,
        side: Side,
        lots: Lots,
        limit: Ticks,
    ) -> Result<Cash, MathError> {
        if !market.contract.kind.is_combination() {
            return order_reserve(market, tier, side, lots, limit);
        }
        let size = Side::Bid.signed(lots).ok_or(MathError::Overflow)?;
        add(
            limit_loss(market, side, lots, limit)?,
            fee(self.charged(size, limit)?, tier.dearer_ppm())?,
        )
    }
}

fn times(ratio: i8, ticks: i128) -> Result<i128, MathError> {
    i128::from(ratio)
        .checked_mul(ticks)
        .ok_or(MathError::Overflow)
}

/// Place of the dearest leg with the ratio 1 or −1, the first of those that are equally dear.
fn dearest(legs: impl Iterator<Item = (i8, Ticks)>) -> Option<usize> {
    let mut found: Option<(usize, Ticks)> = None;
    for (at, (ratio, ticks)) in legs.enumerate() {
        if ratio.unsigned_abs() == 1 && found.is_none_or(|(_, most)| ticks > most) {
            found = Some((at, ticks));
        }
    }
    found.map(|(at, _)| at)
}

/// What the legs of a combination say of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Combined {
    /// Its mark; zero if that is less than a tick, or no leg can take the rest.
    pub mark: Price,
    /// What its legs come to, those sold added to those bought: how large a lot is.
    pub index: Price,
    /// What an order needs for the legs, of the index, rounded up.
    pub imf: Ppm,
    /// Farthest from the mark that orders execute; zero without a mark.
    pub band: Ppm,
}

/// What a combination of a tick size is, by its legs' views and ratios; `band` is the part of the index that its tier lets orders execute away from
/// the mark.
///
/// # Errors
///
/// A number out of range.
pub fn combine(
    legs: &[(&MarketView, i8)],
    tick_size: Price,
    band: Ppm,
) -> Result<Combined, MathError> {
    let (mut mark, mut lots) = (0i128, 0u64);
    let (mut index, mut bid, mut ask) = (0u128, 0u128, 0u128);
    let mut ticks = Vec::with_capacity(MAX_LEGS);
    for (leg, ratio) in legs {
        mark = add(mark, times(*ratio, signed(leg.mark.into_inner())?)?)?;
        for (sum, price) in [
            (&mut index, sizing_price(leg)),
            (&mut bid, unit_ceil(leg, *ratio > 0)?),
            (&mut ask, unit_ceil(leg, *ratio < 0)?),
        ] {
            let part = price.into_inner().checked_mul(ratio.unsigned_abs().into());
            let grown = part.and_then(|part| sum.checked_add(part));
            *sum = grown.ok_or(MathError::Overflow)?;
        }
        lots = lots.saturating_add(ratio.unsigned_abs().into());
        ticks.push((*ratio, ticks_nearest(leg.mark, leg.tick_size)?));
    }
    if index == 0 {
        return Ok(Combined::default());
    }
    let imf = mul_div_ceil(bid.max(ask), MILLION.into(), index)?;
    let unmarked = Combined {
        index: Price::from_inner(index),
        imf: Ppm::try_from(imf).map_err(|_| MathError::Overflow)?,
        ..Combined::default()
    };
    let mark = Price::from_inner(u128::try_from(mark).unwrap_or(0));
    if mark < tick_size || mark == Price::default() {
        return Ok(unmarked);
    }
    let rest = dearest(ticks.iter().copied()).and_then(|at| ticks.get(at));
    // The marks of all legs together are off by half a tick for each lot, and so is the rest.
    let worth = rest.map_or(0, |(_, ticks)| ticks.saturating_sub(lots));
    if worth == 0 {
        return Ok(unmarked);
    }
    let reach = mul_div_floor(
        price_of(worth, tick_size)?.into_inner(),
        MILLION.into(),
        mark.into_inner(),
    )?;
    let reach = Ppm::try_from(reach).unwrap_or(Ppm::MAX);
    Ok(Combined {
        mark,
        band: option_band(mark, unmarked.index, band).min(reach),
        ..unmarked
    })
}

/// What a unit of a leg needs by itself initially, bought or sold, rounded up, beside what [`least`] says.
fn unit_ceil(leg: &MarketView, is_bought: bool) -> Result<Price, MathError> {
    match leg.contract.kind.right() {
        Some(_) if is_bought => Ok(leg.mark),
        Some(right) => initial_unit_ceil(leg, right),
        None => ppm_ceil(leg.mark.into_inner(), leg.imf.max(leg.mmf)).map(Price::from_inner),
    }
}

/// What an order of a combination needs for its legs, whatever they are: each has a least margin, and rounds.
pub(crate) fn least(market: &MarketView) -> Result<Cash, MathError> {
    add(MIN_MAINTENANCE, ROUNDING)?
        .checked_mul(market.contract.legs.count().into())
        .ok_or(MathError::Overflow)
}
