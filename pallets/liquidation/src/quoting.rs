//! The vault works off what it has taken over by quoting both sides of the mark, skewed by what it holds (`novate_risk::quoting`).
//!
//! Its orders are like anybody's: they go through intake's own check, enter the match of the close that places them together with this
//! block's, and rest as long. What adds to its position is post-only. An order is replaced when the mark has moved it out of place or half of it is
//! gone. A market in which the vault has lost its cap is only reduced.
//!
//! A vault that holds nothing costs nothing. One that does has its quotes looked at in a few markets a close, in turn, for
//! which the close is reserved from the next block on. While liquidation presses nothing is quoted, what is quoted leaves, and what is held is
//! sold at the market instead ([`crate::remedies::market`]).

use crate::{Backstop, Config, Pallet, Queue, Refusal};
use alloc::vec::Vec;
use frame_support::{storage::with_storage_layer, traits::Get};
use novate_risk::{quotes, stays, Quote};
use novate_types::{
    AccountRef, Cash, ClientId, Liquidations, MarginAccount, MarketId, MarketView, NewOrder,
    OpenOrder, Operation, OrderBook, OrderPrice, OrderTarget, RiskModel, RiskView,
    SelfTradePrevention, Side, Standing, TimeInForce,
};

/// Markets whose quotes one close looks at.
pub const QUOTED_MARKETS: u32 = 4;
/// Operations on orders that one close carries out for them.
pub const QUOTE_OPERATIONS: u32 = 2 * QUOTED_MARKETS;

/// The client id of the vault's order on one side of a market: it never has another there.
const fn id_of(market: MarketId, side: Side) -> ClientId {
    let side = match side {
        Side::Bid => 0,
        Side::Ask => 1,
    };
    (market as ClientId).saturating_mul(2).saturating_add(side)
}

impl<T: Config> Pallet<T> {
    /// Brings the vault's quotes up to date, as far as one close does that.
    pub(crate) fn quote(vault: Option<&MarginAccount>, now: &RiskView) {
        let of = T::Vault::get();
        let book = Backstop::<T>::get();
        let is_busy = vault.is_some_and(|v| !v.positions.is_empty() || !v.orders.is_empty());
        if is_busy != book.quotes {
            Backstop::<T>::mutate(|book| book.quotes = is_busy);
        }
        // What has no reserve waits for the next close.
        let Some(vault) = vault.filter(|_| is_busy && book.quotes) else {
            return;
        };
        let operations = Self::quote_operations(&of, vault, now).unwrap_or_else(|refusal| {
            log::error!(target: crate::LOG, "the vault quotes nothing: {refusal:?}");
            Vec::new()
        });
        if operations.is_empty() {
            return;
        }
        let done = with_storage_layer(|| Ok::<_, Refusal>(T::Book::order(&of, now, &operations)));
        log::debug!(target: crate::LOG, "{done:?} of {} quotes done", operations.len());
        Self::count_for_vault(T::QuotingWeight::get());
    }

    fn quote_operations(
        of: &AccountRef<T::AccountId>,
        vault: &MarginAccount,
        now: &RiskView,
    ) -> Result<Vec<Operation>, Refusal> {
        let is_calm =
            !Self::presses() && vault.standing == Standing::Good && !Queue::<T>::contains_key(of);
        if !is_calm {
            return Ok(if vault.orders.is_empty() {
                Vec::new()
            } else {
                alloc::vec![Operation::CancelAll { market: None }]
            });
        }
        let equity = T::Risk::assess_held(vault, now)?.equity;
        let open = T::Book::open_orders(of);
        // Markets in which it holds or has ordered something, another one first in every close.
        let mut markets: Vec<MarketId> = vault.positions.iter().map(|p| p.market).collect();
        markets.extend(vault.orders.iter().map(|o| o.market));
        markets.sort_unstable();
        markets.dedup();
        let count = markets.len();
        let turn = usize::try_from(now.block)
            .ok()
            .and_then(|block| block.checked_rem(count));
        markets.rotate_left(turn.unwrap_or(0));
        let most = usize::try_from(QUOTED_MARKETS).unwrap_or(usize::MAX);
        let mut operations = Vec::new();
        for id in markets.into_iter().take(most) {
            let market = now.market(id)?;
            let trades = market.status.allows_risk() && !market.is_in_auction();
            let (bid, ask) = if market.fresh && trades {
                Self::wanted(market, vault, equity, now)?
            } else {
                (None, None)
            };
            for (side, wanted) in [(Side::Bid, bid), (Side::Ask, ask)] {
                operations.extend(Self::quote_operation(market, vault, &open, side, wanted));
            }
        }
        Ok(operations)
    }

    /// What the vault wants to bid and ask for in a market.
    fn wanted(
        market: &MarketView,
        vault: &MarginAccount,
        equity: Cash,
        now: &RiskView,
    ) -> Result<(Option<Quote>, Option<Quote>), Refusal> {
        let held = vault.lots(market.id);
        let (bid, ask) = quotes(market, held, equity, &T::Quoting::get())?;
        let lost = Self::vault_loss(market.id, now.block);
        if lost <= Self::loss_cap(market.id, now.block) {
            return Ok((bid, ask));
        }
        Ok((bid.filter(|_| held < 0), ask.filter(|_| held > 0)))
    }

    /// What brings one side of a market from what is open to what is wanted.
    fn quote_operation(
        market: &MarketView,
        vault: &MarginAccount,
        open: &[OpenOrder],
        side: Side,
        wanted: Option<Quote>,
    ) -> Option<Operation> {
        let client_id = id_of(market.id, side);
        let target = OrderTarget::Client(client_id);
        let stands = open.iter().find(|order| order.client_id == client_id);
        let held = vault.lots(market.id);
        let reduces = match side {
            Side::Bid => held < 0,
            Side::Ask => held > 0,
        };
        match (stands, wanted) {
            (None, None) => None,
            (Some(_), None) => Some(Operation::Cancel(target)),
            // The position turned around: the id is free again in the next block.
            (Some(order), Some(_)) if order.reduce_only != reduces => {
                Some(Operation::Cancel(target))
            }
            (Some(order), Some(quote))
                if stays(&quote, order.ticks, order.lots, market, &T::Quoting::get()) =>
            {
                None
            }
            (Some(_), Some(quote)) => Some(Operation::Amend {
                target,
                price: Some(quote.ticks),
                lots: Some(quote.lots),
            }),
            (None, Some(quote)) => Some(Operation::Place(NewOrder {
                market: market.id,
                client_id,
                side,
                lots: quote.lots,
                price: OrderPrice::Limit(quote.ticks),
                time_in_force: if reduces {
                    TimeInForce::GoodTilCancelled
                } else {
                    TimeInForce::PostOnly
                },
                reduce_only: reduces,
                self_trade_prevention: SelfTradePrevention::CancelNewest,
            })),
        }
    }
}
