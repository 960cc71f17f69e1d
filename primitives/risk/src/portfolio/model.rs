//! The margin model of the chain: of each underlying the lesser of by parts and by scan (section 11), nobody having to choose.
//!
//! Where an account holds an option, or is both long and short, its positions in that underlying are valued under the grid, options from rows that
//! every close prices once for all accounts ([`rows`]). Others are margined by parts and read nothing: positions on one side have nothing to
//! offset, and a perpetual costs what it costs anywhere. So is an account that holds an option of which there is no row: that has no mark which its
//! volatility explains, and by parts is the larger bound.
//!
//! **Orders.** With a subset of fills `x` the requirement of the rest is by parts at most that of the farthest reach, and by scan
//! `scan(P + x) ≤ scan(P) + Σ scan(x)` over markets, as both losses and contingencies are subadditive; in one market `scan(x)` is at most that of
//! all bids or of all asks, whichever is more, as it is convex and grows with size. So the lesser of both covers every subset, and no order
//! lowers it. If fills leave linear positions on one side the linear rule alone counts. By scan these need a part of their value at least, the
//! least of the largest moves either way: what the linear rule asks beyond that, of the farthest that each market can be, is added; the whole reach of
//! what is linear would do as well, and the lesser counts.
//!
//! **A hedge** never raises the requirement above by parts; breaking one may raise it, by scan.

use super::{
    exposure,
    fine::Fine,
    prices::Points,
    scan::{weighted, SQUARE},
    Portfolio, PortfolioParams, PriceShock, Prices, Unsigned, MAX_SCENARIOS,
};
use crate::{
    least_mark,
    linear::{assess, ByScan},
    ModelError, SETTLEMENT_MILLIS,
};
use alloc::{
    collections::{btree_map::Entry, BTreeMap},
    rc::Rc,
    vec::Vec,
};
use codec::{Compact, Decode, Encode, MaxEncodedLen};
use core::marker::PhantomData;
use novate_types::{
    math::{add, mul_div_floor, ppm_ceil, signed},
    Assessment, Cash, FeedId, MarginAccount, MarketId, MarketView, Millis, OrderAggregate, Ppm,
    Price, RiskError, RiskModel, RiskView, SignedLots, MAX_MARKETS, MILLION,
};
use scale_info::TypeInfo;
use sp_arithmetic::{FixedPointNumber, FixedU128};
use sp_core::{bounded::BoundedVec, ConstU32};

/// Distinct points of a grid at most: its scenarios, where nothing moved, and the two basis moves.
pub const MAX_POINTS: u32 = MAX_SCENARIOS + 3;

/// What a lot of an option is worth under every scenario, and what it can lose, in [`Fine`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct OptionRow {
    /// The option.
    pub market: MarketId,
    /// The volatility that its mark has, 1.00 being 100 % a year.
    pub volatility: Unsigned,
    /// What value less maintenance margin by scan can lose per unit of relative move of prices, at most.
    pub price: Fine,
    /// The same of the deviation `σ√T`.
    pub deviation: Fine,
    /// The values at every point of the grid, the first being where nothing moved.
    pub values: BoundedVec<Fine, ConstU32<MAX_POINTS>>,
}

/// The options of an expiry.
pub type OptionRows = BoundedVec<OptionRow, ConstU32<MAX_MARKETS>>;

/// One option's row out of encoded [`OptionRows`], the others passed over: who holds one of many strikes reads no numbers of the rest.
pub fn row_in(encoded: &[u8], market: MarketId) -> Option<OptionRow> {
    /// A price, a volatility or a value.
    const NUMBER: usize = 16;
    let mut rest = encoded;
    let many = Compact::<u32>::decode(&mut rest).ok()?.0;
    for _ in 0..many {
        let row = rest;
        if MarketId::decode(&mut rest).ok()? == market {
            return OptionRow::decode(&mut &*row).ok();
        }
        rest = rest.get(3 * NUMBER..)?;
        let values = usize::try_from(Compact::<u32>::decode(&mut rest).ok()?.0).ok()?;
        rest = rest.get(values.checked_mul(NUMBER)?..)?;
    }
    None
}

/// Encoded [`OptionRows`] by underlying and expiry.
pub type Kept = BTreeMap<(FeedId, Millis), Vec<u8>>;

/// Where the model finds its rows.
pub trait PricedOptions {
    /// That of an option, as the close that wrote `view` priced it. What was read for one of them is `kept` for the others of an account.
    fn row(view: &RiskView, market: &MarketView, kept: &mut Kept) -> Option<OptionRow>;
    /// The parameters that it was priced with.
    fn params() -> PortfolioParams;
}

/// Prices what it is asked for, with the standard parameters: for whoever has a view and no chain.
pub struct AtOnce;

impl PricedOptions for AtOnce {
    fn row(view: &RiskView, market: &MarketView, _: &mut Kept) -> Option<OptionRow> {
        rows_of(core::iter::once(market), view.now, &Self::params()).pop()
    }

    fn params() -> PortfolioParams {
        PortfolioParams::standard()
    }
}

/// The rows of all options in a view, by underlying and expiry.
pub fn rows(view: &RiskView, params: &PortfolioParams) -> BTreeMap<(FeedId, Millis), OptionRows> {
    let mut all = BTreeMap::<_, Vec<&MarketView>>::new();
    for market in view.markets.iter().filter(|m| m.contract.kind.is_option()) {
        let of = (market.underlying, market.contract.expiry);
        all.entry(of).or_default().push(market);
    }
    let priced = |markets: Vec<&MarketView>| {
        let rows = rows_of(markets.into_iter(), view.now, params);
        // One a market of the view.
        BoundedVec::truncate_from(rows)
    };
    all.into_iter()
        .map(|(of, markets)| (of, priced(markets)))
        .filter(|(_, rows): &(_, OptionRows)| !rows.is_empty())
        .collect()
}

/// Of one expiry. Options that have no price, or another than their volatility explains, have no row.
fn rows_of<'a>(
    markets: impl Iterator<Item = &'a MarketView>,
    now: Millis,
    params: &PortfolioParams,
) -> Vec<OptionRow> {
    let mut portfolio: Option<Portfolio> = None;
    let mut held = Vec::new();
    let is_priced = |m: &&MarketView| {
        let is_option = m.contract.kind.is_option() && !m.contract.settled;
        let has_mark = m.mark.into_inner() > 0 || m.contract.has_expired(now);
        is_option && m.index.into_inner() > 0 && has_mark
    };
    for market in markets.filter(is_priced) {
        let portfolio =
            portfolio.get_or_insert_with(|| Portfolio::empty(market.underlying, market.index));
        if portfolio.hold(market, 1, now, None).is_ok() {
            held.push(market);
        }
    }
    let Some(portfolio) = portfolio else {
        return Vec::new();
    };
    let Ok(mut prices) = Prices::new(&portfolio.market, params) else {
        return Vec::new();
    };
    let legs = portfolio.legs.iter().zip(held);
    legs.filter_map(|(leg, market)| row(leg, market, now, &mut prices).ok().flatten())
        .collect()
}

fn row(
    leg: &super::Leg,
    market: &MarketView,
    now: Millis,
    prices: &mut Prices,
) -> Result<Option<OptionRow>, ModelError> {
    let (super::Contract::Option { series, kind }, unit) =
        (leg.contract, super::fine::Unit::of(market.lot_size)?)
    else {
        return Ok(None);
    };
    let values = prices.values(series, kind)?;
    let (mark, priced) = (unit.at(market.mark)?, values.first().copied().unwrap_or(0));
    // A mark has a least part of a tick, and eighteen digits; a volatility is rounded, which a millionth of the price covers. Once a part of the
    // forward is fixed the grid moves what is open of it, and marks nearly the same: then every close looks at those who hold it.
    let is_open = market.contract.expiry.saturating_sub(now) > SETTLEMENT_MILLIS;
    let ticks = unit.at(least_mark(market.tick_size))?.saturating_add(1);
    let millionth = unit.at(market.index)? / 1_000_000;
    if is_open && mark.abs_diff(priced) > ticks.saturating_add(millionth).unsigned_abs() {
        return Ok(None);
    }
    let (price, deviation) = prices.slopes(series)?.scan();
    let values = BoundedVec::try_from(values).map_err(|_| ModelError::Missing)?;
    Ok(Some(OptionRow {
        market: market.id,
        volatility: prices.market().series(series)?.volatility,
        price,
        deviation,
        values,
    }))
}

/// The lesser of by parts and by scan, with rows from `Rows`.
pub struct Lesser<Rows>(PhantomData<Rows>);

impl<Rows: PricedOptions> RiskModel for Lesser<Rows> {
    fn assess(account: &MarginAccount, view: &RiskView) -> Result<Assessment, RiskError> {
        assess_with::<Rows>(account, &account.orders, view)
    }

    fn assess_held(account: &MarginAccount, view: &RiskView) -> Result<Assessment, RiskError> {
        assess_with::<Rows>(account, &[], view)
    }
}

/// As if the account had these orders.
fn assess_with<Rows: PricedOptions>(
    account: &MarginAccount,
    orders: &[OrderAggregate],
    view: &RiskView,
) -> Result<Assessment, RiskError> {
    let netted = netted(account, view)?;
    let scans = if netted.is_empty() {
        Vec::new()
    } else {
        let mut kept = Kept::new();
        let mut row = |market: &MarketView| Rows::row(view, market, &mut kept);
        scans(account, &netted, orders, view, &Rows::params(), &mut row)
    };
    assess(account, orders, view, &scans)
}

/// By the chain's model without orders, options priced as they are asked for: for a view that no close has written.
pub fn assess_at_once(
    account: &MarginAccount,
    view: &RiskView,
    params: &PortfolioParams,
) -> Result<Assessment, RiskError> {
    let netted = netted(account, view)?;
    let mut row = |market: &MarketView| rows_of(core::iter::once(market), view.now, params).pop();
    let scans = scans(account, &netted, &[], view, params, &mut row);
    assess(account, &[], view, &scans)
}

/// What positions there are in an underlying.
struct Held {
    underlying: FeedId,
    positions: u32,
    has_option: bool,
    is_long: bool,
    is_short: bool,
}

/// The underlyings in which an account's positions may offset each other, where it holds an option or is both long and short, and how many
/// positions it has in each.
fn netted(account: &MarginAccount, view: &RiskView) -> Result<Vec<(FeedId, u32)>, RiskError> {
    let mut all = Vec::<Held>::new();
    for position in &account.positions {
        let market = view.market(position.market)?;
        if market.contract.settled {
            continue;
        }
        let known = all.iter_mut().find(|of| of.underlying == market.underlying);
        let (has_option, is_long) = (market.contract.kind.is_option(), position.lots > 0);
        match known {
            Some(of) => {
                of.positions = of.positions.saturating_add(1);
                of.has_option |= has_option;
                of.is_long |= is_long;
                of.is_short |= !is_long;
            }
            None => all.push(Held {
                underlying: market.underlying,
                positions: 1,
                has_option,
                is_long,
                is_short: !is_long,
            }),
        }
    }
    let may_offset = |of: &Held| of.has_option || (of.is_long && of.is_short);
    let netted = all.into_iter().filter(may_offset);
    Ok(netted.map(|of| (of.underlying, of.positions)).collect())
}

/// Whether what a position in the underlying needs may depend on the account's others.
pub(crate) fn is_netted(
    account: &MarginAccount,
    view: &RiskView,
    underlying: FeedId,
) -> Result<bool, RiskError> {
    Ok(netted(account, view)?
        .iter()
        .any(|(of, _)| *of == underlying))
}

/// Positions that are valued under the grid when an account is assessed: all in an underlying where it holds an option, or is both long and short.
pub fn netted_positions(account: &MarginAccount, view: &RiskView) -> Result<u32, RiskError> {
    let netted = netted(account, view)?;
    Ok(netted
        .iter()
        .fold(0, |sum, (_, many)| many.saturating_add(sum)))
}

/// By underlying of `netted`, where every option that the account holds has a row.
fn scans(
    account: &MarginAccount,
    netted: &[(FeedId, u32)],
    orders: &[OrderAggregate],
    view: &RiskView,
    params: &PortfolioParams,
    row: &mut dyn FnMut(&MarketView) -> Option<OptionRow>,
) -> Vec<ByScan> {
    let mut known = Known {
        rows: BTreeMap::new(),
        view,
        params,
        points: Rc::new(Points::of(&params.grid)),
        source: row,
    };
    // What has no number by scan is margined by parts.
    let scans = netted
        .iter()
        .filter_map(|(underlying, _)| scan_of(account, orders, *underlying, &mut known).ok());
    scans.collect()
}

/// What all scans of an account share: rows that were read, and the grid.
struct Known<'a> {
    rows: BTreeMap<MarketId, OptionRow>,
    view: &'a RiskView,
    params: &'a PortfolioParams,
    points: Rc<Points>,
    source: &'a mut dyn FnMut(&MarketView) -> Option<OptionRow>,
}

impl<'a> Known<'a> {
    fn row(&mut self, market: &MarketView) -> Result<&OptionRow, ModelError> {
        Ok(match self.rows.entry(market.id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let row = (self.source)(market).ok_or(ModelError::Missing)?;
                unknown.insert(row)
            }
        })
    }

    /// Some positions in one underlying, of whose options the volatilities are known.
    fn portfolio(
        &mut self,
        underlying: FeedId,
        positions: &[(MarketId, SignedLots)],
    ) -> Result<Portfolio, ModelError> {
        let view = self.view;
        let mut portfolio = Portfolio::empty(underlying, Price::default());
        for (market, lots) in positions {
            let market = view.market(*market)?;
            let known = if market.contract.kind.is_option() {
                Some(self.row(market)?.volatility)
            } else {
                None
            };
            portfolio.hold(market, *lots, view.now, known)?;
        }
        Ok(portfolio)
    }

    /// What those positions' options are worth under the grid, as the rows say.
    fn prices<'p>(
        &mut self,
        portfolio: &'p Portfolio,
        positions: &[(MarketId, SignedLots)],
    ) -> Result<Prices<'p>, ModelError>
    where
        'a: 'p,
    {
        let view = self.view;
        let mut prices = Prices::on(Rc::clone(&self.points), &portfolio.market, self.params)?;
        for (leg, (market, _)) in portfolio.legs.iter().zip(positions) {
            if let super::Contract::Option { series, kind } = leg.contract {
                let row = self.row(view.market(*market)?)?;
                if row.values.len() != prices.points().len() {
                    return Err(ModelError::Missing);
                }
                let slopes = exposure::PerLot::of_scan(row.price, row.deviation);
                prices.know(series, kind, &row.values, slopes);
            }
        }
        Ok(prices)
    }

    /// What a market's orders need at most alone, if the ends of what can fill are these: its contracts are priced once for both.
    fn ends(
        &mut self,
        market: &MarketView,
        ends: [SignedLots; 2],
        scan_added: Ppm,
    ) -> Result<Cash, ModelError> {
        let each = traded(market);
        let portfolio = self.portfolio(market.underlying, &each)?;
        let mut prices = self.prices(&portfolio, &each)?;
        let mut most = 0;
        for lots in ends.into_iter().filter(|lots| *lots != 0) {
            let mut end = portfolio.clone();
            for leg in &mut end.legs {
                leg.lots = leg.lots.checked_mul(lots).ok_or(ModelError::Missing)?;
            }
            let needed = end.required_by_scan(scan_added, &mut prices)?;
            most = needed.initial.max(most);
        }
        Ok(most)
    }
}

/// What value less a requirement by scan can lose per unit of a move if scan risk is `f` times what it was, `f` being one and `added`: with
/// `S = V − c·(V − Vₛ)` its slope is at most `(|1 − c| + c)·e`, `e` being the steepest of `V` and `Vₛ`, and with `c·f` in place of `c` it is at most
/// `2·f − 1` times that.
fn steeper(slope: Cash, added: Ppm) -> Result<Cash, ModelError> {
    let more = ppm_ceil(slope.unsigned_abs(), added.saturating_mul(2))?;
    Ok(add(slope, signed(more)?)?)
}

/// What linear positions on one side need by scan initially at least, in ppm of what can move of their value: the largest weighted move against them,
/// up or down, whichever is less. Nothing under a grid of other moves than relative ones.
fn one_sided(params: &PortfolioParams) -> Result<Ppm, ModelError> {
    if params.grid.price != PriceShock::Relative {
        return Ok(0);
    }
    let (mut up, mut down) = (0, 0);
    for cell in &params.grid.scenarios {
        let by = weighted(cell)?;
        (up, down) = (by.max(up), by.min(down));
    }
    let least = up.unsigned_abs().min(down.unsigned_abs());
    let factor = params.factors.initial.into_inner();
    // A weighted move has 36 decimals, a factor 18.
    let whole = mul_div_floor(least, factor, FixedU128::DIV)?;
    let parts = mul_div_floor(whole, MILLION.into(), SQUARE)?;
    Ok(Ppm::try_from(parts.min(MILLION.into())).unwrap_or(MILLION))
}

/// The positions that a lot of a market comes to: in itself, or in a combination's legs.
fn traded(market: &MarketView) -> Vec<(MarketId, SignedLots)> {
    if !market.contract.kind.is_combination() {
        return Vec::from([(market.id, 1)]);
    }
    let legs = market.contract.legs.iter();
    legs.map(|leg| (leg.market, leg.ratio.into())).collect()
}

fn scan_of(
    account: &MarginAccount,
    orders: &[OrderAggregate],
    underlying: FeedId,
    known: &mut Known<'_>,
) -> Result<ByScan, ModelError> {
    let view = known.view;
    let is_of = |market: MarketId| {
        view.market(market)
            .is_ok_and(|m| m.underlying == underlying && !m.contract.settled)
    };
    let positions = account.positions.iter().filter(|p| is_of(p.market));
    let positions: Vec<_> = positions.map(|p| (p.market, p.lots)).collect();
    let portfolio = known.portfolio(underlying, &positions)?;
    let mut prices = known.prices(&portfolio, &positions)?;
    let margins = portfolio.required_by_scan(portfolio.scan_added, &mut prices)?;
    let (exposure, deviation) = exposure::by_scan(&portfolio.legs, &mut prices)?;
    let steeper = |slope| steeper(slope, portfolio.scan_added);
    let (exposure, deviation) = (steeper(exposure)?, steeper(deviation)?);
    let orders = || orders.iter().filter(|o| is_of(o.market));
    // Fills may bring a market whose tier follows more.
    let mut added = portfolio.scan_added;
    for orders in orders() {
        for (market, _) in traded(view.market(orders.market)?) {
            added = added.max(view.market(market)?.contract.scan_added);
        }
    }
    let mut reached = Some(if added == portfolio.scan_added {
        margins.initial
    } else {
        portfolio.required_by_scan(added, &mut prices)?.initial
    });
    for orders in orders() {
        let of = |lots| SignedLots::try_from(lots).map_err(|_| ModelError::Missing);
        let ends = [of(orders.bid_lots)?, of(orders.ask_lots)?.saturating_neg()];
        let (Some(sum), true) = (reached, ends != [0, 0]) else {
            continue;
        };
        let most = known.ends(view.market(orders.market)?, ends, added).ok();
        reached = most.map(|most| add(sum, most)).transpose()?;
    }
    Ok(ByScan {
        underlying,
        maintenance: margins.maintenance,
        initial: margins.initial,
        initial_with_orders: reached,
        one_sided: one_sided(known.params)?,
        exposure,
        deviation,
    })
}
