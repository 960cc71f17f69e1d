//! With one order a block the matcher is a price-time book: a plain one, written here, does the same.

mod common;

use common::{any_block, Block, Market, Shape};
use novate_matching::{Kind, Order};
use novate_types::{Lots, SelfTradePrevention, Side, SignedLots, Ticks};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Orders in the sequence of their arrival.
#[derive(Clone, Default)]
struct PriceTime {
    book: Vec<Order>,
    positions: BTreeMap<u32, SignedLots>,
    trades: Vec<(u32, u32, Ticks, Lots)>,
}

impl PriceTime {
    fn arrive(&mut self, mut taker: Order, edges: (Ticks, Ticks)) {
        taker.limit = cut(taker.side, taker.limit, edges);
        if taker.reduce_only {
            let held = self.positions.get(&taker.account).copied().unwrap_or(0);
            let reduces = if held > 0 { Side::Ask } else { Side::Bid };
            let most = if taker.side == reduces {
                held.unsigned_abs()
            } else {
                0
            };
            taker.lots = taker.lots.min(most);
        }
        if taker.kind != Kind::FillOrKill {
            self.take(taker, edges);
            return;
        }
        let before = self.clone();
        let left = self.take(common::immediate(taker), edges);
        if left > 0 {
            *self = before;
        }
    }

    /// Returns what did not execute.
    fn take(&mut self, mut taker: Order, edges: (Ticks, Ticks)) -> Lots {
        while taker.lots > 0 && taker.kind != Kind::PostOnly {
            let Some(at) = self.best(taker.side.opposite()) else {
                break;
            };
            let maker = self.book[at];
            let price = cut(maker.side, maker.limit, edges);
            if !taker.side.accepts(taker.limit, price) {
                break;
            }
            if maker.owner == taker.owner {
                match taker.self_trade {
                    SelfTradePrevention::CancelNewest => return taker.lots,
                    SelfTradePrevention::CancelOldest => self.book.remove(at),
                };
                continue;
            }
            let lots = taker.lots.min(maker.lots);
            self.trades.push((taker.id, maker.id, price, lots));
            for order in [&taker, &maker] {
                *self.positions.entry(order.account).or_default() +=
                    order.side.signed(lots).unwrap();
            }
            taker.lots -= lots;
            self.book[at].lots -= lots;
            self.book.retain(|o| o.lots > 0);
        }
        // A post-only order that crosses goes, and so does a remainder that touches a limit beyond the band.
        let touches = self
            .best(taker.side.opposite())
            .is_some_and(|at| taker.side.accepts(taker.limit, self.book[at].limit));
        if taker.lots > 0 && taker.kind != Kind::Immediate && !touches {
            self.book.push(taker);
        }
        taker.lots
    }

    /// The best price's first to arrive.
    fn best(&self, side: Side) -> Option<usize> {
        (0..self.book.len())
            .filter(|at| self.book[*at].side == side)
            .min_by_key(|at| {
                let limit = self.book[*at].limit;
                if side == Side::Bid {
                    Ticks::MAX - limit
                } else {
                    limit
                }
            })
    }
}

fn cut(side: Side, limit: Ticks, (lower, upper): (Ticks, Ticks)) -> Ticks {
    match side {
        Side::Bid => limit.min(upper),
        Side::Ask => limit.max(lower),
    }
}

fn single() -> impl Strategy<Value = Block> {
    let shape = Shape {
        orders: 1,
        lots: 12,
        max_fills: 0,
        reduce_only: true,
    };
    any_block(shape).prop_map(|mut block| {
        block.max_fills = u32::MAX;
        for order in &mut block.orders {
            // A resting reduce-only order has no counterpart in a plain book.
            order.reduce_only &= matches!(order.kind, Kind::Immediate | Kind::FillOrKill);
        }
        block
    })
}

proptest! {
    #![proptest_config(common::cases(600))]
    #[test]
    fn matcher_is_a_price_time_book_when_each_block_has_one_order(
        blocks in prop::collection::vec(single(), 1..80),
    ) {
        let mut market = Market::default();
        let mut plain = PriceTime::default();
        for block in &blocks {
            let matched = market.step(block);
            plain.trades.clear();
            let (mark, band) = (u128::from(block.mark_cents), u128::from(block.band));
            let lower = (mark * (1_000_000 - band)).div_ceil(100_000_000) as Ticks;
            let upper = (mark * (1_000_000 + band) / 100_000_000) as Ticks;
            for order in &matched.new {
                plain.arrive(*order, (lower, upper));
            }

            // Taker and maker in turn.
            let trades: Vec<_> = matched.outcome.fills.chunks(2).map(|pair| {
                assert_eq!((pair[0].lots, pair[0].ticks), (pair[1].lots, pair[1].ticks));
                (pair[0].order, pair[1].order, pair[0].ticks, pair[0].lots)
            }).collect();
            prop_assert_eq!(trades, plain.trades.clone());
            prop_assert_eq!(&market.resting, &plain.book);
        }
        for (account, lots) in &plain.positions {
            prop_assert_eq!(market.positions.get(account), Some(lots));
        }
    }
}
