//! Remedies 1 and 2: open orders are cancelled, and reduce-only orders go into the next match.
//!
//! One order an account and close, in the market of its largest notional in which closing frees margin; a short option's notional is at the forward. Orders of one
//! market and side share the depth that one close may take, the largest account first: a hundred liquidations
//! take no more of a book than one. Nothing is offered in a halted market, nor less than a market's least notional unless the
//! position is smaller. A call auction's orders include them; while it is called nothing is offered, and the account waits for it, for [`CALL_WAIT`]
//! blocks at most. While liquidation presses the vault works its own positions off the same
//! way, within the concession of the mark, as long as it is in good standing itself; else it quotes them ([`crate::quoting`]).

use super::{competition::competes, escalation, MARKET_CLOSES};
use crate::{index::missing_axis, queue::Case, types::opened, Config, Event, Pallet, Refusal};
use alloc::{
    collections::{btree_map::Entry, BTreeMap, BTreeSet},
    vec::Vec,
};
use core::cmp::Reverse;
use frame_support::{storage::with_storage_layer, traits::Get};
use novate_risk::{least_slice, liquidation_limit, liquidation_lots, size_ceil, slice_to_depth};
use novate_types::{
    math::{
        position_value_floor, ppm_ceil, price_of, shift_ceil, shift_floor, ticks_ceil, ticks_floor,
    },
    AccountRef, Assessment, BlockNumber, CancelReason, Ledger, LiquidationOrder, Liquidations,
    Lots, MarginAccount, MarketId, MarketView, MathError, OrderBook, Ppm, RiskError, RiskView,
    Side, SignedLots, Standing, Ticks, MAX_OPEN_ORDERS, MILLION,
};

/// Positions of one account, the largest first, that are tried in one close. Half of them are short options and half are not, if it has so many of
/// either: neither kind hides the other, whichever is hedged.
const POSITIONS_TRIED: usize = 4;
/// Blocks from its remedies' first for which an account waits for a call without spending its closes: twice what a call of the presets lasts. By
/// a constant, as a tier may have markets called for hours, and who is below maintenance margin cannot wait for that.
const CALL_WAIT: BlockNumber = 20;
/// Orders of the vault in one close.
const VAULT_ORDERS: u32 = 8;
/// Orders of accounts in one close; those of others wait for another.
const ORDERS: usize = 64;
/// Orders in one close.
pub const MOST_ORDERS: u32 = ORDERS as u32 + VAULT_ORDERS;
/// Orders cancelled in one close (remedy 1); at least one account's.
const CANCELLED: u32 = 2 * MAX_OPEN_ORDERS;
/// Markets and sides whose depth one close reads for the orders of accounts. Those of others wait for another close.
const DEPTHS: u32 = 16;

/// Lots that liquidation may still put into this close's matches, by market and side, and the depths it may still read.
#[derive(Default)]
struct Slices {
    left: BTreeMap<(MarketId, Side), Lots>,
    reads: u32,
}

impl Slices {
    /// As much of `lots` as this close may still offer; nothing rather than less than the least slice. The depth of a market
    /// and side is read once, as far from the mark as any liquidation order there goes.
    fn claim<T: Config>(
        &mut self,
        market: &MarketView,
        side: Side,
        lots: Lots,
    ) -> Result<Lots, MathError> {
        let least = least_slice(market)?;
        let left = match self.left.entry((market.id, side)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let Some(reads) = self.reads.checked_sub(1) else {
                    return Ok(0);
                };
                self.reads = reads;
                let farthest = limit_at(market, side, reach::<T>(market)?)?;
                let depth = T::Book::depth(market.id, side.opposite(), farthest);
                let share = slice_to_depth(Lots::MAX, depth, &T::Params::get())?;
                unknown.insert(share.max(least))
            }
        };
        if *left < least.min(lots) {
            return Ok(0);
        }
        let lots = lots.min(*left);
        *left = left.checked_sub(lots).ok_or(MathError::Overflow)?;
        Ok(lots)
    }

    /// Lots that were claimed and are not offered: another account's may be.
    fn give_back(&mut self, market: MarketId, side: Side, lots: Lots) {
        if let Some(left) = self.left.get_mut(&(market, side)) {
            *left = left.saturating_add(lots);
        }
    }
}

/// What remedy 2 has for an account.
enum Offer<AccountId> {
    Order(LiquidationOrder<AccountId>),
    /// Other accounts' orders take all that this close may offer.
    Later,
    /// Its markets are being called, and nothing else is in its way.
    Called,
    /// Closing costs more than it frees, wherever there is a position.
    Nothing,
}

/// Whether the market only collects orders in this close. What uncrosses it executes liquidation orders too.
const fn collects(market: &MarketView, now: &RiskView) -> bool {
    market.auction_at > now.block
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
    pub(crate) fn market_remedies(
        now: &RiskView,
        cases: Vec<Case<T::AccountId>>,
    ) -> Vec<LiquidationOrder<T::AccountId>> {
        let backlogged = Self::backlogged(&cases);
        let mut slices = Slices {
            left: BTreeMap::new(),
            reads: DEPTHS,
        };
        let mut cancels = CANCELLED;
        let mut orders = Vec::new();
        for case in cases {
            let Some(account) = case.account else {
                continue;
            };
            let of = case.of;
            // None is placed when no more may be.
            let mut none = Slices::default();
            let slices = if orders.len() < ORDERS {
                &mut slices
            } else {
                &mut none
            };
            let done = with_storage_layer(|| {
                let (assessment, cancels) = (case.assessment?, &mut cancels);
                Self::market_remedy(&of, account, assessment, now, &backlogged, slices, cancels)
            });
            match done {
                Ok(order) => orders.extend(order),
                Err(refusal) => {
                    log::error!(target: crate::LOG, "no market remedy for {of:?}: {refusal:?}")
                }
            }
        }
        slices.reads = VAULT_ORDERS;
        match Self::vault_orders(now, &mut slices) {
            Ok(of_vault) => orders.extend(of_vault),
            Err(error) => log::error!(target: crate::LOG, "the vault offers nothing: {error:?}"),
        }
        orders
    }

    fn market_remedy(
        of: &AccountRef<T::AccountId>,
        mut account: MarginAccount,
        assessment: Assessment,
        now: &RiskView,
        backlogged: &BTreeSet<MarketId>,
        slices: &mut Slices,
        cancels: &mut u32,
    ) -> Result<Option<LiquidationOrder<T::AccountId>>, Refusal> {
        let is_called = Self::is_called(of, &account, now, &assessment)?;
        let is_fine = !assessment.is_below_maintenance() && !is_called;
        if is_fine || missing_axis(&account, now)?.is_some() {
            // The waterfall lets it go.
            return Ok(None);
        }
        if account.standing == Standing::Good {
            if !account.orders.is_empty() && *cancels < MAX_OPEN_ORDERS {
                // Its orders may be too many for this close. It stays queued, and nothing else is done before.
                return Ok(None);
            }
            // A trigger is in no page, and its time is counted by itself.
            let triggers = u32::try_from(account.triggers.len()).unwrap_or(u32::MAX);
            let cancelled = if is_called {
                Self::start_call(of, &account, now)?
            } else {
                Self::start(of, now, &assessment)?
            };
            *cancels = cancels.saturating_sub(cancelled.saturating_sub(triggers));
            account = opened(T::Ledger::account(of))?;
        }
        if is_called {
            // The waterfall sells its collateral.
            return Ok(None);
        }
        if matches!(account.standing, Standing::Called { .. }) {
            // Its positions brought it below maintenance margin meanwhile.
            account.standing = Self::started(now);
            let standing = account.standing;
            T::Ledger::update(of, |account| {
                account.standing = standing;
                Ok::<_, Refusal>(())
            })?;
            Self::say_started(of, &assessment);
        }
        if competes(&account) || escalation(&account, &assessment, backlogged)?.is_some() {
            return Ok(None);
        }
        let offer = Self::offer(of, &account, &assessment, now, slices)?;
        T::Ledger::update(of, |account| {
            if let Standing::Liquidating { since, closes } = &mut account.standing {
                *closes = match offer {
                    Offer::Nothing => MARKET_CLOSES,
                    Offer::Called if now.block < since.saturating_add(CALL_WAIT) => *closes,
                    Offer::Order(_) | Offer::Later | Offer::Called => closes.saturating_add(1),
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

    /// The standing of an account whose remedies begin.
    pub(crate) const fn started(now: &RiskView) -> Standing {
        Standing::Liquidating {
            since: now.block,
            closes: 0,
        }
    }

    /// Remedy 1. Returns how many orders and triggers it cancelled.
    pub(crate) fn start(
        of: &AccountRef<T::AccountId>,
        now: &RiskView,
        assessment: &Assessment,
    ) -> Result<u32, Refusal> {
        let orders = T::Ledger::update(of, |account| {
            account.standing = Self::started(now);
            Ok::<_, Refusal>(T::Book::cancel_all(of, account, CancelReason::Liquidation))
        })?;
        Self::say_started(of, assessment);
        Self::say_cancelled(of, orders);
        Ok(orders)
    }

    pub(super) fn say_started(of: &AccountRef<T::AccountId>, assessment: &Assessment) {
        Self::deposit_event(Event::LiquidationStarted {
            account: of.clone(),
            equity: assessment.equity,
            maintenance: assessment.maintenance,
        });
    }

    pub(super) fn say_cancelled(of: &AccountRef<T::AccountId>, orders: u32) {
        if orders > 0 {
            Self::deposit_event(Event::OrdersCancelled {
                account: of.clone(),
                orders,
            });
        }
    }

    fn offer(
        of: &AccountRef<T::AccountId>,
        account: &MarginAccount,
        assessment: &Assessment,
        now: &RiskView,
        slices: &mut Slices,
    ) -> Result<Offer<T::AccountId>, RiskError> {
        let params = T::Params::get();
        let mut offer = Offer::Nothing;
        let mut positions = Vec::new();
        for position in &account.positions {
            let market = now.market(position.market)?;
            if !market.status.allows_matching() {
                // It may open again: the account spends its closes here all the same.
                offer = Offer::Later;
                continue;
            }
            if collects(market, now) {
                if matches!(offer, Offer::Nothing) {
                    offer = Offer::Called;
                }
                continue;
            }
            // A short option's mark does not say how much it makes the account need.
            let is_short = market.contract.kind.is_option() && position.lots < 0;
            let size = if is_short {
                size_ceil(market, position.lots.unsigned_abs())?
            } else {
                position_value_floor(position.lots, market.mark, market.lot_size)?.unsigned_abs()
            };
            positions.push((Reverse(size), position.market, position.lots, is_short));
        }
        positions.sort_unstable();

        for (id, held) in tried(positions) {
            let wanted = liquidation_lots::<T::Risk>(assessment, account, now, id, &params)?;
            let Some(wanted) = wanted.filter(|lots| *lots > 0) else {
                continue;
            };
            offer = Offer::Later;
            let market = now.market(id)?;
            let wanted = wanted.max(least_slice(market)?).min(held.unsigned_abs());
            let side = reducing_side(held);
            let lots = slices.claim::<T>(market, side, wanted)?;
            if lots > 0 {
                let limit =
                    match liquidation_limit::<T::Risk>(assessment, account, now, id, lots, &params)
                    {
                        // So few lots free nothing.
                        Err(RiskError::Underflow) => {
                            slices.give_back(id, side, lots);
                            continue;
                        }
                        limit => limit?,
                    };
                return Ok(Offer::Order(LiquidationOrder {
                    account: of.clone(),
                    market: id,
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
        if !Self::presses() {
            return Ok(Vec::new());
        }
        let of = T::Vault::get();
        let vault = T::Ledger::account(&of).filter(|vault| vault.standing == Standing::Good);
        let mut orders = Vec::new();
        let mut positions: Vec<_> = vault.iter().flat_map(|vault| &vault.positions).collect();
        // Another one first in every close: only so many are offered at once.
        let turn = usize::try_from(now.block)
            .ok()
            .and_then(|block| block.checked_rem(positions.len()));
        positions.rotate_left(turn.unwrap_or(0));
        for position in positions {
            let market = now.market(position.market)?;
            if !market.fresh || !market.status.allows_matching() || collects(market, now) {
                continue;
            }
            let side = reducing_side(position.lots);
            let limit = limit_at(market, side, T::Params::get().concession)?;
            let lots = slices.claim::<T>(market, side, position.lots.unsigned_abs())?;
            if lots > 0 {
                orders.push(LiquidationOrder {
                    account: of.clone(),
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

/// Which of an account's positions are tried, sorted as they are: so many of either kind first.
fn tried(
    sorted: Vec<(Reverse<u128>, MarketId, SignedLots, bool)>,
) -> impl Iterator<Item = (MarketId, SignedLots)> {
    let (mut short, mut other) = (0usize, 0usize);
    let ranked = sorted.into_iter().map(|(_, market, lots, is_short)| {
        let rank = if is_short { &mut short } else { &mut other };
        *rank = rank.saturating_add(1);
        (*rank > POSITIONS_TRIED / 2, market, lots)
    });
    let mut ranked: Vec<_> = ranked.collect();
    ranked.sort_by_key(|(is_later, ..)| *is_later);
    let all = ranked.into_iter().take(POSITIONS_TRIED);
    all.map(|(_, market, lots)| (market, lots))
}

/// The farthest from the mark that a liquidation order executes, in ppm: the concession, or the fillable price of an account
/// without equity.
fn reach<T: Config>(market: &MarketView) -> Result<Ppm, MathError> {
    let params = T::Params::get();
    let spread = ppm_ceil(market.mmf.into(), params.spread_to_maintenance)?;
    let spread = Ppm::try_from(spread).unwrap_or(MILLION).min(MILLION);
    Ok(params.concession.max(spread))
}

/// The mark less `distance` for a sale, plus it for a purchase, rounded to the tick that is better for the seller or buyer.
fn limit_at(market: &MarketView, side: Side, distance: Ppm) -> Result<Ticks, MathError> {
    let distance = i64::from(distance);
    match side {
        Side::Ask => {
            let back = distance.checked_neg().ok_or(MathError::Overflow)?;
            ticks_ceil(shift_ceil(market.mark, back)?, market.tick_size)
        }
        Side::Bid => {
            let ticks = ticks_floor(shift_floor(market.mark, distance)?, market.tick_size)?;
            // A limit whose price is out of range would be refused by whoever values it.
            price_of(ticks, market.tick_size).map(|_| ticks)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::{a_market, Test};

    #[test]
    fn neither_kind_of_position_hides_the_other() {
        let of = |size, market, is_short| (Reverse(size), market, -1, is_short);
        let tried = |sorted| -> Vec<_> { tried(sorted).map(|(market, _)| market).collect() };
        let mut all: Vec<_> = (0..6).map(|m| of(100 - u128::from(m), m, false)).collect();
        assert_eq!(tried(all.clone()), [0, 1, 2, 3]);
        all.push(of(50, 6, true));
        assert_eq!(tried(all.clone()), [0, 1, 6, 2]);
        all.extend((7..10).map(|m| of(40 - u128::from(m), m, true)));
        assert_eq!(tried(all), [0, 1, 6, 7]);
    }

    #[test]
    fn lots_that_are_given_back_are_anothers() {
        let market = a_market(0);
        let mut slices = Slices {
            left: BTreeMap::from([((0, Side::Ask), 100)]),
            reads: 0,
        };
        let claim = |slices: &mut Slices| slices.claim::<Test>(&market, Side::Ask, 80);
        assert_eq!(claim(&mut slices), Ok(80));
        slices.give_back(0, Side::Ask, 80);
        assert_eq!(claim(&mut slices), Ok(80));
        assert!(claim(&mut slices).is_ok_and(|lots| lots < 80));
    }
}
