//! One account's side of novation: a trade moves cost and cash, funding moves cash, orders move reserves.
//!
//! `cash − cost` changes by exactly `−value` in every trade and by exactly `−funding` in every settlement. A buyer at
//! `value` and a seller at `−value` therefore leave `Σ cash − Σ cost + Σ pots` where it was, whatever rounds.

use novate_types::{
    math::{add, neg, signed_mul_div_ceil, sub},
    AssetId, Cash, Lots, MarginAccount, MarketId, MarketView, MathError, OrderAggregate, Position,
    RankSlot, Release, RiskError, Side, SignedLots, FUNDING_FRACTION_BITS,
};

/// One quantum in a funding index.
pub(crate) const FUNDING_UNIT: u128 = 1 << FUNDING_FRACTION_BITS;

/// What a trade did beside changing the position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traded {
    /// Profit (below zero, loss) that went to cash, funding not included.
    pub realised: Cash,
    /// Funding settled first. The caller adds it to `Pot::Funding(market)`; above zero the account paid.
    pub funding_to_pot: Cash,
}

/// Funding that `position` owes since it last settled, rounded up; below zero the market's pot owes it.
pub fn funding_owed_ceil(position: &Position, market: &MarketView) -> Result<Cash, MathError> {
    let per_long_lot = sub(
        market.funding_index_of(position.lots),
        position.funding_index,
    )?;
    let per_lot = if position.lots < 0 {
        neg(per_long_lot)?
    } else {
        per_long_lot
    };
    signed_mul_div_ceil(
        per_lot,
        u128::from(position.lots.unsigned_abs()),
        FUNDING_UNIT,
    )
}

/// Settles the funding of the position in `market`, if there is one, against cash.
///
/// Returns what the market's funding pot receives: payers round up, receivers down, so over all accounts the pot is never
/// short.
pub fn settle_funding(account: &mut MarginAccount, market: &MarketView) -> Result<Cash, RiskError> {
    let Some(position) = account.positions.iter_mut().find(|p| p.market == market.id) else {
        return Ok(0);
    };
    let owed = funding_owed_ceil(position, market)?;
    account.cash = sub(account.cash, owed)?;
    position.funding_index = market.funding_index_of(position.lots);
    Ok(owed)
}

/// Settles funding in `market`, then trades `lots` (signed) for `value` quantums (paid above zero).
///
/// A fill's `value` is `trade_value(lots, ticks, tick_value)`; takeovers and deleveraging pass any amount. An increase adds to
/// cost. A decrease of `k` out of `n` lots realises `−value − ⌈cost·k/n⌉` into cash: the fraction of a quantum stays in cost. A
/// trade through zero closes and then opens, the value shared by lots and the closing part rounded up; the new side starts with
/// a fresh [`RankSlot`]. With zero `lots` the value is paid in cash alone. An option's value, its premium, moves in cash: it has no cost.
///
/// Errors: [`RiskError::Full`] if the account holds `MAX_POSITIONS` others, [`RiskError::Math`] on overflow.
pub fn apply_trade(
    account: &mut MarginAccount,
    market: &MarketView,
    lots: SignedLots,
    value: Cash,
) -> Result<Traded, RiskError> {
    let place = account
        .positions
        .binary_search_by_key(&market.id, |p| p.market);
    let held = place
        .ok()
        .and_then(|at| account.positions.get(at))
        .copied()
        .unwrap_or(Position {
            market: market.id,
            lots: 0,
            cost: 0,
            funding_index: market.funding_index,
            rank: RankSlot::default(),
        });

    let funding_to_pot = funding_owed_ceil(&held, market)?;
    let mut booked = book(held.lots, held.cost, lots, value)?;
    if market.contract.kind.is_option() {
        booked.realised = sub(booked.realised, core::mem::take(&mut booked.cost))?;
    }
    let cash = add(sub(account.cash, funding_to_pot)?, booked.realised)?;
    let same_side = held.lots.signum() == booked.lots.signum();
    let position = Position {
        lots: booked.lots,
        cost: booked.cost,
        funding_index: market.funding_index_of(booked.lots),
        rank: if same_side {
            held.rank
        } else {
            RankSlot::default()
        },
        ..held
    };

    match place {
        Ok(at) if position.lots == 0 => {
            account.positions.remove(at);
        }
        Ok(at) => {
            if let Some(slot) = account.positions.get_mut(at) {
                *slot = position;
            }
        }
        Err(_) if position.lots == 0 => {}
        Err(at) => {
            account
                .positions
                .try_insert(at, position)
                .map_err(|_| RiskError::Full)?;
        }
    }
    account.cash = cash;
    Ok(Traded {
        realised: booked.realised,
        funding_to_pot,
    })
}

struct Booked {
    lots: SignedLots,
    cost: Cash,
    realised: Cash,
}

fn book(
    held: SignedLots,
    cost: Cash,
    change: SignedLots,
    value: Cash,
) -> Result<Booked, MathError> {
    let lots = held.checked_add(change).ok_or(MathError::Overflow)?;
    if change == 0 {
        return Ok(Booked {
            lots,
            cost,
            realised: neg(value)?,
        });
    }
    if held == 0 || held.signum() == change.signum() {
        return Ok(Booked {
            lots,
            cost: add(cost, value)?,
            realised: 0,
        });
    }
    let open = u128::from(held.unsigned_abs());
    let traded = u128::from(change.unsigned_abs());
    if traded <= open {
        let released = signed_mul_div_ceil(cost, traded, open)?;
        let realised = neg(add(value, released)?)?;
        Ok(Booked {
            lots,
            cost: sub(cost, released)?,
            realised,
        })
    } else {
        let closing = signed_mul_div_ceil(value, open, traded)?;
        let realised = neg(add(closing, cost)?)?;
        Ok(Booked {
            lots,
            cost: sub(value, closing)?,
            realised,
        })
    }
}

/// Adds an amount of an asset, in its smallest units.
///
/// Errors: [`RiskError::Full`] if the account holds `MAX_COLLATERALS` other assets, [`RiskError::Math`] on overflow.
pub fn add_collateral(
    account: &mut MarginAccount,
    asset: AssetId,
    amount: u128,
) -> Result<(), RiskError> {
    match account
        .collateral
        .iter_mut()
        .find(|(held, _)| *held == asset)
    {
        Some((_, held)) => *held = held.checked_add(amount).ok_or(MathError::Overflow)?,
        None => account
            .collateral
            .try_push((asset, amount))
            .map_err(|_| RiskError::Full)?,
    }
    Ok(())
}

/// Takes an amount of an asset out, in its smallest units; none of it left, it leaves the list.
///
/// Errors: [`RiskError::Underflow`] if the account holds less.
pub fn take_collateral(
    account: &mut MarginAccount,
    asset: AssetId,
    amount: u128,
) -> Result<(), RiskError> {
    let held = account
        .collateral
        .iter_mut()
        .find(|(held, _)| *held == asset);
    let (_, held) = held.ok_or(RiskError::Underflow)?;
    *held = held.checked_sub(amount).ok_or(RiskError::Underflow)?;
    account.collateral.retain(|(_, held)| *held > 0);
    Ok(())
}

/// Counts a new open order of `lots` on `side`, with the `reserve` that [`crate::order_reserve`] gave at its intake.
///
/// Errors: [`RiskError::Full`] if the account has orders in `MAX_POSITIONS` other markets, [`RiskError::Underflow`] for a reserve
/// below zero.
pub fn add_order(
    account: &mut MarginAccount,
    market: MarketId,
    side: Side,
    lots: Lots,
    reserve: Cash,
) -> Result<(), RiskError> {
    if reserve < 0 {
        return Err(RiskError::Underflow);
    }
    change_orders(account, market, |orders| {
        let sum = match side {
            Side::Bid => &mut orders.bid_lots,
            Side::Ask => &mut orders.ask_lots,
        };
        *sum = sum.checked_add(lots).ok_or(MathError::Overflow)?;
        orders.reserve = add(orders.reserve, reserve)?;
        Ok(())
    })
}

/// Takes back what orders that filled or left no longer need.
///
/// Errors: [`RiskError::Underflow`] if any of the three is below zero or larger than what stands.
pub fn release_order(
    account: &mut MarginAccount,
    market: MarketId,
    bid_lots: Lots,
    ask_lots: Lots,
    reserve: Cash,
) -> Result<(), RiskError> {
    change_orders(account, market, |orders| {
        if reserve < 0 || reserve > orders.reserve {
            return Err(RiskError::Underflow);
        }
        orders.reserve = sub(orders.reserve, reserve)?;
        orders.bid_lots = orders
            .bid_lots
            .checked_sub(bid_lots)
            .ok_or(RiskError::Underflow)?;
        orders.ask_lots = orders
            .ask_lots
            .checked_sub(ask_lots)
            .ok_or(RiskError::Underflow)?;
        Ok(())
    })
}

/// Takes over what a close did to the account's orders: the margin they no longer need leaves, market by market as in
/// [`release_order`], and the orders are those that are left.
pub fn take_release<AccountId>(
    account: &mut MarginAccount,
    release: &Release<AccountId>,
) -> Result<(), RiskError> {
    for margin in &release.margin {
        release_order(
            account,
            margin.market,
            margin.bid_lots,
            margin.ask_lots,
            margin.reserve,
        )?;
    }
    account.open = release.open.clone();
    if !release.disarmed.is_empty() {
        let left = &release.disarmed;
        account.triggers.retain(|t| !left.contains(&t.sequence));
    }
    Ok(())
}

/// Changes a copy of the market's aggregate and puts it back; one that holds nothing leaves the list.
fn change_orders(
    account: &mut MarginAccount,
    market: MarketId,
    change: impl FnOnce(&mut OrderAggregate) -> Result<(), RiskError>,
) -> Result<(), RiskError> {
    let place = account.orders.binary_search_by_key(&market, |o| o.market);
    let mut orders = place
        .ok()
        .and_then(|at| account.orders.get(at))
        .copied()
        .unwrap_or(OrderAggregate {
            market,
            ..OrderAggregate::default()
        });
    change(&mut orders)?;

    let empty = orders.bid_lots == 0 && orders.ask_lots == 0 && orders.reserve == 0;
    match place {
        Ok(at) if empty => {
            account.orders.remove(at);
        }
        Ok(at) => {
            if let Some(slot) = account.orders.get_mut(at) {
                *slot = orders;
            }
        }
        Err(_) if empty => {}
        Err(at) => account
            .orders
            .try_insert(at, orders)
            .map_err(|_| RiskError::Full)?,
    }
    Ok(())
}
