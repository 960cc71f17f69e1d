//! An account and its markets, as people write them.

use super::fixed;
use crate::{input::Input, Error, Result};
use novate_risk::{liquidation_price, Linear};
use novate_types::{
    math::{neg, position_value_floor},
    Assessment, Lots, MarginAccount, MarketId, MarketStatus, MarketView, MathError, Position, Ppm,
    Price, RankSlot, RiskModel, RiskView, SignedLots, Size, MILLION,
};

/// An account in markets of its own.
pub struct Portfolio<'a> {
    /// The account.
    pub account: MarginAccount,
    /// Its markets, one a position.
    pub view: RiskView,
    /// What people call them.
    pub names: Vec<&'a str>,
}

impl<'a> Portfolio<'a> {
    /// One that holds nothing but `cash`.
    pub fn new(input: &Input) -> Result<Self> {
        Ok(Self {
            account: MarginAccount {
                cash: input.get("cash")?.in_units(6)?,
                ..MarginAccount::default()
            },
            view: RiskView::default(),
            names: Vec::new(),
        })
    }

    /// Adds `{"size", "entry", "mark", "maintenance", "initial"}`: the entry is the mark if it is absent and the other way round, the initial margin
    /// fraction is the maintenance margin fraction.
    pub fn hold(&mut self, name: &'a str, input: &Input) -> Result<()> {
        let id = MarketId::try_from(self.names.len()).map_err(|_| too_many(input))?;
        let (lots, lot_size) = size(&input.get("size")?)?;
        let [entry, mark] = match (input.find("entry"), input.find("mark")) {
            (Some(entry), Some(mark)) => [price(&entry)?, price(&mark)?],
            (Some(one), None) | (None, Some(one)) => [price(&one)?; 2],
            (None, None) => return Err(input.error("missing", "has neither entry nor mark")),
        };
        let maintenance = fraction(&input.get("maintenance")?)?;
        let market = MarketView {
            id,
            underlying: id,
            status: MarketStatus::Open,
            tick_size: Price::from_inner(1),
            lot_size,
            tick_value: 1,
            mark,
            index: mark,
            observed_at: 0,
            fresh: true,
            funding_index: 0,
            short_funding_index: 0,
            imf: input.or("initial", maintenance, fraction)?,
            mmf: maintenance,
            profit_credit: 0,
            price_band: 0,
            min_notional: 0,
            impact_notional: 0,
            open_interest_cap: Lots::MAX,
            auction_at: 0,
            contract: Default::default(),
        };
        let position = Position {
            market: id,
            lots,
            // What it cost is rounded up: minus the value of the opposite position.
            cost: neg(position_value_floor(-lots, entry, lot_size)?)?,
            funding_index: 0,
            rank: RankSlot::default(),
        };
        let full = |_| too_many(input);
        self.view.markets.try_push(market).map_err(full)?;
        self.account
            .positions
            .try_push(position)
            .map_err(|_| too_many(input))?;
        self.names.push(name);
        Ok(())
    }

    /// Its worth and its needs by the linear model.
    pub fn assess(&self) -> Result<Assessment> {
        Ok(Linear::assess(&self.account, &self.view)?)
    }

    /// Positions with their markets and names.
    pub fn positions(&self) -> impl Iterator<Item = (&Position, &MarketView, &'a str)> {
        let markets = self.account.positions.iter().zip(&self.view.markets);
        markets
            .zip(&self.names)
            .map(|((position, market), name)| (position, market, *name))
    }

    /// The mark at which it would be liquidated; none for a long that never is.
    pub fn liquidation_price(&self, sum: &Assessment, market: MarketId) -> Result<Option<String>> {
        let at = liquidation_price(sum, &self.account, &self.view, market)?;
        Ok(at.map(price_text))
    }
}

fn too_many(input: &Input) -> Error {
    input.error("too_many", "is more than one account can hold")
}

/// A size that is not zero, as lots of the largest power of ten that divides it.
fn size(input: &Input) -> Result<(SignedLots, Size)> {
    let (mut units, mut lot): (i128, u128) = (input.in_units(18)?, 1);
    if units == 0 {
        return Err(input.error("out_of_range", "is zero"));
    }
    while units % 10 == 0 {
        (units, lot) = (units / 10, lot * 10);
    }
    let lots = SignedLots::try_from(units)
        .ok()
        .filter(|lots| *lots != SignedLots::MIN)
        .ok_or_else(|| input.error("out_of_range", "has more digits than a position can hold"))?;
    Ok((lots, Size::from_inner(lot)))
}

/// A size in units, exactly.
pub fn size_text(lots: SignedLots, lot: Size) -> Result<String> {
    let units = u128::from(lots.unsigned_abs()).checked_mul(lot.into_inner());
    Ok(fixed(lots < 0, units.ok_or(MathError::Overflow)?, 18))
}

/// A price above zero.
pub fn price(input: &Input) -> Result<Price> {
    match input.fixed()? {
        0 => Err(input.error("not_positive", "is zero")),
        inner => Ok(Price::from_inner(inner)),
    }
}

/// A fraction of at most one, in ppm.
fn fraction(input: &Input) -> Result<Ppm> {
    let ppm = input.in_units(6)?;
    if ppm > MILLION {
        return Err(input.error("out_of_range", "is above 1: write 0.03 for 3 %"));
    }
    Ok(ppm)
}

/// A price, exactly.
pub fn price_text(price: Price) -> String {
    fixed(false, price.into_inner(), 18)
}
