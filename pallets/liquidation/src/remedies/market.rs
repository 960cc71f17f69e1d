//! Remedies 1 and 2: open orders are cancelled, and reduce-only orders go into the next match.
//!
//! One order an account and close, in the market of its largest notional in which closing frees margin. Orders of one
//! market and side share the depth that one close may take, the largest account first: a hundred liquidations
//! take no more of a book than one. The vault works its own positions off the same way, within the concession of the mark, as
//! long as it is in good standing itself.

use super::{escalation, MARKET_CLOSES};
use crate::{index::missing_axis, types::opened, Config, Event, Pallet, Refusal, Working};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::cmp::Reverse;
use frame_support::{storage::with_storage_layer, traits::Get};
use novate_risk::{liquidation_limit, liquidation_lots, slice_to_depth};
use novate_types::{
    math::{position_value_floor, price_of, shift_ceil, shift_floor, ticks_ceil, ticks_floor},
    AccountRef, Assessment, CancelReason, Ledger, LiquidationOrder, Lots, MarginAccount, MarketId,
    MarketView, MathError, OrderBook, RiskError, RiskModel, RiskView, Side, Standing, Ticks,
};

/// Lots that liquidation has put into this close's matches.
#[derive(Default)]
struct Slices(BTreeMap<(MarketId, Side), Lots>);

impl Slices {
    /// As much of `lots` as this close may still offer at `limit`.
    fn claim<T: Config>(
        &mut self,
        market: MarketId,
        side: Side,
        limit: Ticks,
        lots: Lots,
    ) -> Result<Lots, MathError> {
        let depth = T::Book::depth(market, side.opposite(), limit);
        let offered = self.0.entry((market, side)).or_default();
        let share = slice_to_depth(Lots::MAX, depth, &T::Params::get())?;
        let lots = lots.min(share.saturating_sub(*offered));
        *offered = offered.checked_add(lots).ok_or(MathError::Overflow)?;
        Ok(lots)
    }
}

/// What remedy 2 has for an account.
enum Offer<AccountId> {
    Order(LiquidationOrder<AccountId>),
    /// Other accounts' orders take all that this close may offer.
    Later,
    /// Closing costs more than it frees, wherever there is a position.
    Nothing,
}

const fn reducing_side(lots: i64) -> Side {
    if lots > 0 {
        Side::Ask
    } else {
        Side::Bid
    }
}

impl<T: Config> Pallet<T> {
    /// Remedies 1 and 2 for the accounts being worked on, and the vault's own orders.
    pub(crate) fn market_remedies(now: &RiskView) -> Vec<LiquidationOrder<T::AccountId>> {
        let working = Working::<T>::get();
        let backlogged = Self::backlogged(&working, now);
        let mut slices = Slices::default();
        let mut orders = Vec::new();
        for of in &working {
            let done =
                with_storage_layer(|| Self::market_remedy(of, now, &backlogged, &mut slices));
            match done {
                Ok(order) => orders.extend(order),
                Err(refusal) => {
                    log::error!(target: crate::LOG, "no market remedy for {of:?}: {refusal:?}")
                }
            }
        }
        match Self::vault_orders(now, &mut slices) {
            Ok(of_vault) => orders.extend(of_vault),
            Err(error) => log::error!(target: crate::LOG, "the vault offers nothing: {error:?}"),
        }
        orders
    }

    fn market_remedy(
        of: &AccountRef<T::AccountId>,
        now: &RiskView,
        backlogged: &BTreeSet<MarketId>,
        slices: &mut Slices,
    ) -> Result<Option<LiquidationOrder<T::AccountId>>, Refusal> {
        let Some(account) = T::Ledger::account(of) else {
            return Ok(None);
        };
        let assessment = T::Risk::assess(&account, now)?;
        if !assessment.is_below_maintenance() || missing_axis(&account, now)?.is_some() {
            // The waterfall lets it go.
            return Ok(None);
        }
        if account.standing == Standing::Good {
            Self::start(of, now, &assessment)?;
        }
        let account = opened(T::Ledger::account(of))?;
        if escalation(&account, &assessment, backlogged)?.is_some() {
            return Ok(None);
        }
        let offer = Self::offer(of, &account, &assessment, now, slices)?;
        T::Ledger::update(of, |account| {
            if let Standing::Liquidating { closes, .. } = &mut account.standing {
                *closes = match offer {
                    Offer::Nothing => MARKET_CLOSES,
                    Offer::Order(_) | Offer::Later => closes.saturating_add(1),
                };
            }
            Ok::<_, Refusal>(())
        })?;
        let Offer::Order(order) = offer else {
            return Ok(None);
        };
        let (equity, maintenance) = (assessment.equity, assessment.maintenance);
        Self::deposit_event(Event::LiquidationOrderPlaced {
            account: order.account.clone(),
            market: order.market,
            side: order.side,
            lots: order.lots,
            limit: order.limit,
            equity,
            maintenance,
        });
        Ok(Some(order))
    }

    /// Remedy 1.
    fn start(
        of: &AccountRef<T::AccountId>,
        now: &RiskView,
        assessment: &Assessment,
    ) -> Result<(), Refusal> {
        let orders = T::Ledger::update(of, |account| {
            account.standing = Standing::Liquidating {
                since: now.block,
                closes: 0,
            };
            Ok::<_, Refusal>(T::Book::cancel_all(of, account, CancelReason::Liquidation))
        })?;
        let (equity, maintenance) = (assessment.equity, assessment.maintenance);
        let account = of.clone();
        Self::deposit_event(Event::LiquidationStarted {
            account,
            equity,
            maintenance,
        });
        if orders > 0 {
            Self::deposit_event(Event::OrdersCancelled {
                account: of.clone(),
                orders,
            });
        }
        Ok(())
    }

    fn offer(
        of: &AccountRef<T::AccountId>,
        account: &MarginAccount,
        assessment: &Assessment,
        now: &RiskView,
        slices: &mut Slices,
    ) -> Result<Offer<T::AccountId>, RiskError> {
        let params = T::Params::get();
        let mut positions = Vec::new();
        for position in &account.positions {
            let market = now.market(position.market)?;
            let value = position_value_floor(position.lots, market.mark, market.lot_size)?;
            positions.push((
                Reverse(value.unsigned_abs()),
                position.market,
                position.lots,
            ));
        }
        positions.sort();

        let mut offer = Offer::Nothing;
        for (_, market, held) in positions {
            let wanted = liquidation_lots(assessment, account, now, market, &params)?;
            let Some(wanted) = wanted.filter(|lots| *lots > 0) else {
                continue;
            };
            offer = Offer::Later;
            let side = reducing_side(held);
            let limit = liquidation_limit(assessment, account, now, market, wanted, &params)?;
            let lots = slices.claim::<T>(market, side, limit, wanted)?;
            if lots > 0 {
                let account = of.clone();
                return Ok(Offer::Order(LiquidationOrder {
                    account,
                    market,
                    side,
                    lots,
                    limit,
                }));
            }
        }
        Ok(offer)
    }

    fn vault_orders(
        now: &RiskView,
        slices: &mut Slices,
    ) -> Result<Vec<LiquidationOrder<T::AccountId>>, RiskError> {
        let of = T::Vault::get();
        let vault = T::Ledger::account(&of).filter(|vault| vault.standing == Standing::Good);
        let mut orders = Vec::new();
        for position in vault.iter().flat_map(|vault| vault.positions.iter()) {
            let market = now.market(position.market)?;
            if !market.fresh || !market.status.allows_matching() {
                continue;
            }
            let side = reducing_side(position.lots);
            let limit = concession_limit::<T>(market, side)?;
            let lots = position.lots.unsigned_abs();
            let lots = slices.claim::<T>(market.id, side, limit, lots)?;
            if lots > 0 {
                let account = of.clone();
                orders.push(LiquidationOrder {
                    account,
                    market: market.id,
                    side,
                    lots,
                    limit,
                });
            }
        }
        Ok(orders)
    }
}

/// The mark less the concession for a sale, plus it for a purchase, rounded to the tick that is better for the seller or buyer.
fn concession_limit<T: Config>(market: &MarketView, side: Side) -> Result<Ticks, MathError> {
    let concession = i64::from(T::Params::get().concession);
    match side {
        Side::Ask => {
            let back = concession.checked_neg().ok_or(MathError::Overflow)?;
            ticks_ceil(shift_ceil(market.mark, back)?, market.tick_size)
        }
        Side::Bid => {
            let ticks = ticks_floor(shift_floor(market.mark, concession)?, market.tick_size)?;
            // A limit whose price is out of range would be refused by whoever values it.
            price_of(ticks, market.tick_size).map(|_| ticks)
        }
    }
}
