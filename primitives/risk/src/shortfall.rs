//! One account under stress (section 12): what it would lack if prices moved, and how far it is from its maintenance margin, measured in what
//! prices usually do.
//!
//! Everything is by underlying: its positions, and collateral that is the underlying itself, net. Between underlyings there is no offset,
//! as in the portfolio model: what one gains pays for nothing that another loses, since which way they move together is not known.
//! Losses are rounded up.
//!
//! A linear position loses what its price moves by. An option is priced again on its moved forward, at the volatility of its mark: what is far
//! out of the money is not a small part of its premium at stake, but what it comes to where the move leads.

use crate::{hurting_price, linear::collateral_value, moved_option};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use novate_types::{
    math::{
        add, mul_div_ceil, neg, notional_ceil, notional_floor, position_value_floor, ppm_ceil,
        signed, sub,
    },
    Cash, FeedId, MarginAccount, MarginCall, MarketId, MarketView, MathError, Millis, OptionRight,
    Ppm, Price, RiskError, RiskView, SignedLots, MILLION,
};
use scale_info::TypeInfo;

/// Price moves that one assessment is made for.
pub const STRESS_MOVES: usize = 8;
/// Accounts whose failing together a default fund is reckoned for, at most.
pub const MAX_COVER: u32 = 8;

/// Under which moves what is counted.
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
pub struct StressParams {
    /// Moves of every price at once, in ppm of it; at least −1,000,000.
    pub moves: [i32; STRESS_MOVES],
    /// Of the expected shortfall: the worst moves beyond it count.
    pub confidence: Ppm,
    /// The largest failing accounts that the default fund covers together, [`MAX_COVER`] at most.
    pub cover: u32,
    /// Times which it covers them, in ppm of one.
    pub factor: Ppm,
    /// How far the part of the open-interest caps that is in force moves in one assessment, in ppm of the whole.
    pub cap_step: Ppm,
    /// The least part of them that is in force, in ppm of the whole: what accounts lack under stress is theirs to choose, and no stress of
    /// their making closes a market.
    pub least_scale: Ppm,
}

/// What an account has at stake in one underlying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// The feed of its price.
    pub underlying: FeedId,
    /// Values of linear positions at the marks, signed.
    pub positions: Vec<(MarketId, Cash)>,
    /// Options.
    pub options: Vec<ExposedOption>,
    /// Haircut value of collateral that is the underlying.
    pub collateral: Cash,
    /// Maintenance margin of the linear positions, as a fraction of their value: what it would grow by if the price doubled.
    pub margin: Cash,
}

impl Exposed {
    /// Long less short of what is linear, collateral included.
    pub fn net(&self) -> Result<Cash, MathError> {
        self.positions
            .iter()
            .try_fold(self.collateral, |sum, (_, value)| add(sum, *value))
    }

    /// What collateral (of no market) and each position lose when the price moves by `ppm`, in millionths of a quantum; below zero a gain.
    fn losses(&self, ppm: i32) -> Result<Vec<(Option<MarketId>, Cash)>, MathError> {
        let mut losses = alloc::vec![(None, loss(self.collateral, ppm)?)];
        for (market, value) in &self.positions {
            losses.push((Some(*market), loss(*value, ppm)?));
        }
        for option in &self.options {
            losses.push((Some(option.market.id), millionths(option.loss_ceil(ppm)?)?));
        }
        Ok(losses)
    }

    /// What one forecast standard deviation takes from equity less maintenance margin at most, up or down, in millionths of a quantum.
    fn deviation(&self, sigma: Ppm) -> Result<Cash, MathError> {
        let up = i32::try_from(sigma).unwrap_or(i32::MAX);
        let net = self.net()?;
        let mut worst = 0;
        for ppm in [up, up.saturating_neg()] {
            let options = self.options.iter().try_fold(0, |sum, option| {
                add(sum, millionths(option.slack_loss_ceil(ppm)?)?)
            })?;
            worst = add(loss(net, ppm)?, options)?.max(worst);
        }
        let margin = self.margin.checked_mul(up.into());
        add(worst, margin.ok_or(MathError::Overflow)?)
    }
}

/// A position in an option as it is at stake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposedOption {
    /// Its market, at the mark that its model gives today.
    market: MarketView,
    right: OptionRight,
    lots: SignedLots,
    /// Milliseconds until it expires.
    left: Millis,
}

impl ExposedOption {
    fn of(
        market: &MarketView,
        right: OptionRight,
        lots: SignedLots,
        now: Millis,
    ) -> Result<Self, MathError> {
        let left = market.contract.expiry.saturating_sub(now);
        Ok(Self {
            market: moved_option(market, right, left, 0)?,
            right,
            lots,
            left,
        })
    }

    fn moved(&self, ppm: i32) -> Result<MarketView, MathError> {
        moved_option(&self.market, self.right, self.left, ppm)
    }

    /// What `size` of it gains by a rise from one price to another, in quantums, rounded up; below zero it loses.
    fn rise_ceil(&self, from: Price, to: Price) -> Result<Cash, MathError> {
        let size = self.lots.unsigned_abs();
        let after = signed(notional_ceil(size, to, self.market.lot_size)?)?;
        sub(
            after,
            signed(notional_floor(size, from, self.market.lot_size)?)?,
        )
    }

    /// What its value loses by a move, in quantums, rounded up; below zero a gain.
    fn loss_ceil(&self, ppm: i32) -> Result<Cash, MathError> {
        let (before, after) = (self.market.mark, self.moved(ppm)?.mark);
        if self.lots < 0 {
            self.rise_ceil(before, after)
        } else {
            self.rise_ceil(after, before)
        }
    }

    /// What its value less what it needs loses by a move, likewise: of a long one nothing, which needs what it is worth.
    fn slack_loss_ceil(&self, ppm: i32) -> Result<Cash, MathError> {
        if self.lots >= 0 {
            return Ok(0);
        }
        let after = hurting_price(&self.moved(ppm)?)?;
        self.rise_ceil(hurting_price(&self.market)?, after)
    }
}

/// What an account has at stake, by underlying. Collateral whose price is no market's underlying is not moved by any stress.
pub fn exposures(account: &MarginAccount, view: &RiskView) -> Result<Vec<Exposed>, RiskError> {
    fn of(all: &mut Vec<Exposed>, underlying: FeedId) -> Option<&mut Exposed> {
        let known = all.iter().position(|e| e.underlying == underlying);
        let at = known.unwrap_or(all.len());
        if known.is_none() {
            all.push(Exposed {
                underlying,
                positions: Vec::new(),
                options: Vec::new(),
                collateral: 0,
                margin: 0,
            });
        }
        all.get_mut(at)
    }
    let mut all = Vec::new();
    for position in &account.positions {
        let market = view.market(position.market)?;
        // It is cash.
        if market.contract.settled {
            continue;
        }
        if let Some(right) = market.contract.kind.right() {
            let option = ExposedOption::of(market, right, position.lots, view.now)?;
            if let Some(exposed) = of(&mut all, market.underlying) {
                exposed.options.push(option);
            }
            continue;
        }
        let value = position_value_floor(position.lots, market.mark, market.lot_size)?;
        let margin = signed(ppm_ceil(value.unsigned_abs(), market.mmf)?)?;
        if let Some(exposed) = of(&mut all, market.underlying) {
            exposed.positions.push((position.market, value));
            exposed.margin = add(exposed.margin, margin)?;
        }
    }
    for (asset, amount) in &account.collateral {
        let collateral = view.collateral(*asset)?;
        let feed = collateral.params.feed;
        if !view.markets.iter().any(|market| market.underlying == feed) {
            continue;
        }
        let value = collateral_value(collateral, *amount)?;
        if let Some(exposed) = of(&mut all, feed) {
            exposed.collateral = add(exposed.collateral, value)?;
        }
    }
    Ok(all)
}

/// What a value loses when its price moves by `ppm`, exactly, in millionths of a quantum; below zero a gain.
fn loss(value: Cash, ppm: i32) -> Result<Cash, MathError> {
    let gain = value.checked_mul(ppm.into()).ok_or(MathError::Overflow)?;
    neg(gain)
}

fn millionths(quantums: Cash) -> Result<Cash, MathError> {
    quantums
        .checked_mul(MILLION.into())
        .ok_or(MathError::Overflow)
}

/// Whole quantums of millionths, rounded up; at least zero.
fn whole_ceil(millionths: Cash) -> Result<Cash, MathError> {
    signed(
        millionths
            .max(0)
            .unsigned_abs()
            .div_ceil(u128::from(MILLION)),
    )
}

/// What an account lacks after a move, see [`stress_loss`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StressLoss {
    /// Its loss beyond all that it has: equity below zero, in quantums.
    pub over_margin: Cash,
    /// The part of it that each market's positions lost, each rounded up.
    pub by_market: Vec<(MarketId, Cash)>,
}

/// What an account with so much equity lacks once every price has moved by `ppm` of itself before anything could be closed: nothing, or by how
/// much its equity is below zero. That is shared among what lost, markets and collateral, in proportion.
pub fn stress_loss(exposures: &[Exposed], equity: Cash, ppm: i32) -> Result<StressLoss, MathError> {
    let mut lost = 0;
    let mut losing = Vec::new();
    let mut all = 0;
    for exposed in exposures {
        let losses = exposed.losses(ppm)?;
        let net = losses
            .iter()
            .try_fold(0, |sum, (_, loss)| add(sum, *loss))?;
        let net = whole_ceil(net)?;
        if net == 0 {
            continue;
        }
        lost = add(lost, net)?;
        for (market, loss) in losses {
            let loss = whole_ceil(loss)?;
            all = add(all, loss)?;
            if let Some(market) = market.filter(|_| loss > 0) {
                losing.push((market, loss));
            }
        }
    }
    let over_margin = sub(lost, equity)?.max(0);
    if over_margin == 0 {
        return Ok(StressLoss::default());
    }
    let share = |loss: Cash| {
        mul_div_ceil(
            over_margin.unsigned_abs(),
            loss.unsigned_abs(),
            all.unsigned_abs(),
        )
        .and_then(signed)
    };
    let by_market = losing
        .into_iter()
        .map(|(market, loss)| Ok((market, share(loss)?)))
        .collect::<Result<_, MathError>>()?;
    Ok(StressLoss {
        over_margin,
        by_market,
    })
}

/// One forecast standard deviation of what an account has beyond maintenance margin: `Σ (|net| + margin)·σ` over underlyings, rounded up,
/// all of them against it at once; with options, what a move of `σ` takes of them too, up or down, whichever is worse. The second term is what margin grows by when prices rise; a fall is reckoned as if it grew too.
///
/// None if an underlying has no forecast, or the account nothing at stake.
pub fn deviation_ceil(
    exposures: &[Exposed],
    forecast: impl Fn(FeedId) -> Option<Ppm>,
) -> Result<Option<Cash>, MathError> {
    let mut sum = 0;
    for exposed in exposures {
        let Some(sigma) = forecast(exposed.underlying) else {
            return Ok(None);
        };
        sum = add(sum, whole_ceil(exposed.deviation(sigma)?)?)?;
    }
    Ok((sum > 0).then_some(sum))
}

/// How near to liquidation `slack`, equity less maintenance margin, is in such standard deviations.
pub fn margin_call(slack: Cash, deviation: Cash) -> MarginCall {
    if slack < deviation {
        MarginCall::OneSigma
    } else if slack < deviation.saturating_mul(2) {
        MarginCall::TwoSigma
    } else {
        MarginCall::None
    }
}
