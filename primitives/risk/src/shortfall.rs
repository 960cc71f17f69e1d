//! One account under stress (section 12): what it would lack if prices and volatilities moved, and how far it is from its maintenance margin,
//! measured in what prices usually do.
//!
//! Everything is by underlying: its positions, and collateral that is the underlying itself, net. Between underlyings there is no offset,
//! as in the portfolio model: what one gains pays for nothing that another loses, since which way they move together is not known.
//! Losses are rounded up.
//!
//! A linear position loses what its price moves by. An option is priced again on its moved forward, at the volatility that the move leaves it: what
//! is far out of the money is not a small part of its premium at stake, but what it comes to where the move leads. Of a contract whose settlement
//! mean has begun, what has happened of that stands still.
//!
//! **Deviations.** What the standard deviation of a price takes from equity less maintenance margin is reckoned position by position where an account
//! is margined so: a written option by what value and need rise by, a bought one, which needs what it is worth, by nothing. Where a scan margins an
//! underlying its positions are hedges of each other, long options among them, and what the scan asks for moves with the price. There the account is assessed again, by
//! the chain's own model, on the moved price.

use crate::{
    hurting_price,
    linear::collateral_value,
    moved_option,
    options::{as_money, moved_market, open_part},
    portfolio::{assess_at_once, up_and_down_variances, Grid, PortfolioParams, VolatilityShock},
    ModelError,
};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use novate_types::{
    math::{
        add, mul_div_ceil, neg, notional_ceil, notional_floor, position_value_floor, ppm_ceil,
        shift_floor, signed, sub,
    },
    Assessment, Cash, Contract, FeedId, MarginAccount, MarginCall, MarketId, MarketView, MathError,
    Millis, OptionRight, Ppm, Price, RiskError, RiskView, SignedLots, MILLION,
};
use scale_info::TypeInfo;
use sp_core::bounded::BoundedVec;

/// Moves that one assessment is made for.
pub const STRESS_MOVES: usize = 8;
/// How far a price can fall, in ppm of it.
const FARTHEST_FALL: i32 = -1_000_000;
/// How far a move may have it rise.
const FARTHEST_RISE: i32 = 10_000_000;
/// Accounts whose failing together a default fund is reckoned for, at most.
pub const MAX_COVER: u32 = 8;

/// A move of every price and every volatility at once.
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
pub struct StressMove {
    /// Of prices, in ppm of each; at least −1,000,000.
    pub price: i32,
    /// Of volatilities, up or down by the range of the portfolio model's grid, which depends on the time to the expiry, or not at all.
    pub volatility: VolatilityShock,
}

impl StressMove {
    /// Of prices and volatilities.
    pub const fn new(price: i32, volatility: VolatilityShock) -> Self {
        Self { price, volatility }
    }

    /// Of prices alone.
    pub const fn of_prices(price: i32) -> Self {
        Self::new(price, VolatilityShock::Same)
    }

    /// A standard deviation of prices up, and one down, no farther than they can fall.
    fn deviations(sigma: Ppm) -> [Self; 2] {
        let up = i32::try_from(sigma).unwrap_or(i32::MAX);
        [up, up.saturating_neg().max(FARTHEST_FALL)].map(Self::of_prices)
    }

    /// Whether prices do not fall below zero nor rise by more than ten times themselves, and volatilities go up, down or nowhere.
    pub fn is_sound(&self) -> bool {
        (FARTHEST_FALL..=FARTHEST_RISE).contains(&self.price)
            && self.volatility <= VolatilityShock::Down
    }
}

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
    /// Moves, each sound ([`StressMove::is_sound`]).
    pub moves: [StressMove; STRESS_MOVES],
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
    /// Values of what can move of linear positions, at the marks, signed.
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

    /// What collateral (of no market) and each position lose by a move, in millionths of a quantum; below zero a gain.
    fn losses(&self, by: StressMove) -> Result<Vec<(Option<MarketId>, Cash)>, MathError> {
        let mut losses = alloc::vec![(None, loss(self.collateral, by)?)];
        for (market, value) in &self.positions {
            losses.push((Some(*market), loss(*value, by)?));
        }
        for option in &self.options {
            losses.push((Some(option.market.id), millionths(option.loss_ceil(by)?)?));
        }
        Ok(losses)
    }

    /// What one forecast standard deviation takes from equity less maintenance margin by parts at most, up or down, in quantums, rounded up.
    fn deviation_ceil(&self, sigma: Ppm) -> Result<Cash, MathError> {
        let net = self.net()?;
        let mut worst = 0;
        for by in StressMove::deviations(sigma) {
            let options = self.options.iter().try_fold(0, |sum, option| {
                add(sum, millionths(option.slack_loss_ceil(by)?)?)
            })?;
            worst = add(loss(net, by)?, options)?.max(worst);
        }
        let margin = self.margin.checked_mul(sigma.into());
        whole_ceil(add(worst, margin.ok_or(MathError::Overflow)?)?)
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
    /// The variance that it has with volatility up.
    up: u64,
    /// With volatility down.
    down: u64,
}

impl ExposedOption {
    fn of(
        market: &MarketView,
        right: OptionRight,
        lots: SignedLots,
        now: Millis,
        grid: &Grid,
    ) -> Result<Self, ModelError> {
        let left = market.contract.expiry.saturating_sub(now);
        let (up, down) = up_and_down_variances(market, now, grid)?;
        Ok(Self {
            market: moved_option(market, right, left, 0)?,
            right,
            lots,
            left,
            up,
            down,
        })
    }

    fn moved(&self, by: StressMove) -> Result<MarketView, MathError> {
        let contract = self.market.contract;
        let variance = match by.volatility {
            VolatilityShock::Up => self.up,
            VolatilityShock::Down => self.down,
            _ => contract.variance,
        };
        let market = MarketView {
            contract: Contract {
                variance,
                ..contract
            },
            ..self.market.clone()
        };
        moved_option(&market, self.right, self.left, by.price)
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
    fn loss_ceil(&self, by: StressMove) -> Result<Cash, MathError> {
        let (before, after) = (self.market.mark, self.moved(by)?.mark);
        if self.lots < 0 {
            self.rise_ceil(before, after)
        } else {
            self.rise_ceil(after, before)
        }
    }

    /// What its value less what it needs loses by a move, likewise: of a long one nothing, which needs what it is worth.
    fn slack_loss_ceil(&self, by: StressMove) -> Result<Cash, MathError> {
        if self.lots >= 0 {
            return Ok(0);
        }
        let after = hurting_price(&self.moved(by)?)?;
        self.rise_ceil(hurting_price(&self.market)?, after)
    }
}

/// What an account has at stake, by underlying. Collateral whose price is no market's underlying is not moved by any stress.
/// `rules` are asked for if there is an option.
pub fn exposures(
    account: &MarginAccount,
    view: &RiskView,
    rules: impl Fn() -> PortfolioParams,
) -> Result<Vec<Exposed>, RiskError> {
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
    let mut known = None;
    for position in &account.positions {
        let market = view.market(position.market)?;
        // It is cash.
        if market.contract.settled {
            continue;
        }
        if let Some(right) = market.contract.kind.right() {
            let rules = known.get_or_insert_with(&rules);
            let option = ExposedOption::of(market, right, position.lots, view.now, &rules.grid);
            let option = option.map_err(as_money)?;
            if let Some(exposed) = of(&mut all, market.underlying) {
                exposed.options.push(option);
            }
            continue;
        }
        let open = open_part(market.mark, market.contract.fixed);
        let value = position_value_floor(position.lots, open, market.lot_size)?;
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

/// What a value loses by a move of its price, exactly, in millionths of a quantum; below zero a gain.
fn loss(value: Cash, by: StressMove) -> Result<Cash, MathError> {
    let gain = value.checked_mul(by.price.into());
    neg(gain.ok_or(MathError::Overflow)?)
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

/// What an account with so much equity lacks once every price and volatility has moved before anything could be closed: nothing, or by how
/// much its equity is below zero. That is shared among what lost, markets and collateral, in proportion.
pub fn stress_loss(
    exposures: &[Exposed],
    equity: Cash,
    by: StressMove,
) -> Result<StressLoss, MathError> {
    let mut lost = 0;
    let mut losing = Vec::new();
    let mut all = 0;
    for exposed in exposures {
        let losses = exposed.losses(by)?;
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

/// What an account holds in one underlying, and as much of the view: what it takes to assess that again.
struct Part {
    account: MarginAccount,
    view: RiskView,
}

impl Part {
    fn of(account: &MarginAccount, view: &RiskView, underlying: FeedId) -> Self {
        let markets = view.markets.iter().filter(|m| {
            m.underlying == underlying && !m.contract.settled && account.lots(m.id) != 0
        });
        let collaterals = view
            .collaterals
            .iter()
            .filter(|c| c.params.feed == underlying);
        let view = RiskView {
            block: view.block,
            now: view.now,
            markets: BoundedVec::truncate_from(markets.cloned().collect()),
            collaterals: BoundedVec::truncate_from(collaterals.cloned().collect()),
            ..RiskView::default()
        };
        let positions = account.positions.iter().copied();
        let positions = positions.filter(|p| view.market(p.market).is_ok());
        let collateral = account.collateral.iter().copied();
        let collateral = collateral.filter(|(asset, _)| view.collateral(*asset).is_ok());
        let account = MarginAccount {
            positions: BoundedVec::truncate_from(positions.collect()),
            collateral: BoundedVec::truncate_from(collateral.collect()),
            ..MarginAccount::default()
        };
        Self { account, view }
    }

    /// By the chain's model once the price has moved by `ppm`, options on the marks that they then have.
    fn assess(&self, rules: &PortfolioParams, ppm: i32) -> Result<Assessment, RiskError> {
        let mut view = self.view.clone();
        for market in &mut view.markets {
            *market = moved_market(market, view.now, ppm)?;
        }
        for collateral in &mut view.collaterals {
            collateral.price = shift_floor(collateral.price, ppm.into())?;
        }
        assess_at_once(&self.account, &view, rules)
    }

    /// What one forecast standard deviation takes of equity less maintenance margin at most, up or down, and `σ` of that margin at least. What is
    /// compared is rounded against the account, as it is for whoever liquidates it.
    fn deviation_ceil(&self, rules: &PortfolioParams, sigma: Ppm) -> Result<Cash, RiskError> {
        let slack = |found: &Assessment| found.slack().ok_or(MathError::Overflow);
        let now = self.assess(rules, 0)?;
        let mut most = signed(ppm_ceil(now.maintenance.unsigned_abs(), sigma)?)?;
        for by in StressMove::deviations(sigma) {
            let moved = self.assess(rules, by.price)?;
            most = sub(slack(&now)?, slack(&moved)?)?.max(most);
        }
        Ok(most)
    }
}

/// Markets of the positions that a scan margins.
fn scanned<'a>(
    account: &'a MarginAccount,
    view: &'a RiskView,
    assessment: &'a Assessment,
) -> impl Iterator<Item = &'a MarketView> {
    let positions = account.positions.iter().enumerate();
    positions
        .filter(|(place, _)| assessment.is_scanned(*place))
        .filter_map(|(_, position)| view.market(position.market).ok())
}

/// Options that a scan margins: as many as [`deviation_ceil`] prices under the grid, where nothing moved and a deviation either way.
pub fn scanned_options(account: &MarginAccount, view: &RiskView, assessment: &Assessment) -> u32 {
    let markets = scanned(account, view, assessment);
    let options = markets.filter(|market| market.contract.kind.is_option());
    u32::try_from(options.count()).unwrap_or(u32::MAX)
}

/// One forecast standard deviation of what an account has beyond maintenance margin, the sum over underlyings, all of them against it at once.
///
/// - By parts `(|net| + margin)·σ`, rounded up; with options, what a move of `σ` takes of them too, up or down, whichever is worse. The second term is
///   what margin grows by when prices rise; a fall is reckoned as if it grew too.
/// - Where a scan margins it, what a move of `σ`, up or down, takes in an assessment; at least the second term, of what the scan asks for. Whoever has bought
///   options may have least between the two, where neither shows it.
///
/// `exposures` and `assessment` are the account's against the same view; `rules` are asked for where a scan margins. None if an underlying has no forecast, or the account nothing at stake.
pub fn deviation_ceil(
    account: &MarginAccount,
    view: &RiskView,
    assessment: &Assessment,
    exposures: &[Exposed],
    rules: impl Fn() -> PortfolioParams,
    forecast: impl Fn(FeedId) -> Option<Ppm>,
) -> Result<Option<Cash>, RiskError> {
    let mut sum = 0;
    for exposed in exposures {
        let underlying = exposed.underlying;
        let Some(sigma) = forecast(underlying) else {
            return Ok(None);
        };
        let is_scanned = scanned(account, view, assessment).any(|m| m.underlying == underlying);
        let deviation = if is_scanned {
            Part::of(account, view, underlying).deviation_ceil(&rules(), sigma)?
        } else {
            exposed.deviation_ceil(sigma)?
        };
        sum = add(sum, deviation)?;
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
