//! Random blocks against a naive book kept in memory, and against themselves with extrinsics shuffled.

use crate::{mock::*, types::*, Pallet};
use codec::Encode;
use novate_matching::{match_block, Book, Kind, Order, Rules};
use novate_types::{OrderBook as _, *};
use proptest::prelude::*;
use siphasher::sip::SipHasher24;
use std::collections::BTreeMap;

const OWNERS: u64 = 5;

/// What narrows the matches of a block.
#[derive(Clone, Debug)]
struct Narrow {
    status: MarketStatus,
    cancelled: Vec<AccountId>,
    tightened: Vec<(AccountId, i64)>,
    admitted: Option<Vec<AccountId>>,
    reducing_only: bool,
    fills: u32,
}

fn narrow() -> impl Strategy<Value = Narrow> {
    let owners = || prop::collection::vec(1..=OWNERS, 0..3);
    let status = prop_oneof![
        3 => Just(MarketStatus::Open),
        1 => Just(MarketStatus::ReduceOnly),
        1 => Just(MarketStatus::Halted),
    ];
    let tightened = prop::collection::vec((1..=OWNERS, -20i64..20), 0..2);
    let admitted = prop::option::weighted(0.3, owners());
    (
        status,
        owners(),
        tightened,
        admitted,
        prop::bool::weighted(0.2),
        0u32..6,
    )
        .prop_map(
            |(status, cancelled, tightened, admitted, reducing_only, fills)| Narrow {
                status,
                cancelled,
                tightened,
                admitted,
                reducing_only,
                fills,
            },
        )
}

#[derive(Clone, Debug)]
enum Step {
    Place {
        side: bool,
        lots: Lots,
        offset: i64,
        kind: u8,
        reduce_only: bool,
        eth: bool,
    },
    Cancel(usize),
    Amend {
        at: usize,
        offset: Option<i64>,
        lots: Option<Lots>,
    },
    Sweep,
    Arm(Waits),
    Iceberg {
        side: bool,
        lots: Lots,
        offset: i64,
        display: Lots,
        post_only: bool,
    },
    Pair {
        order: Option<(bool, Lots, i64)>,
        first: Waits,
        second: Waits,
    },
    Slices {
        side: bool,
        lots: Lots,
        slices: u16,
        interval: u16,
        reduce_only: bool,
    },
    Pegged {
        side: bool,
        lots: Lots,
        worst: i64,
        best: bool,
        offset: i32,
    },
}

/// A trigger of a market order.
#[derive(Clone, Debug)]
struct Waits {
    side: bool,
    lots: Lots,
    level: i64,
    reduce_only: bool,
    lasts: u8,
}

fn waits() -> impl Strategy<Value = Waits> {
    (any::<bool>(), 1u64..40, -40i64..=40, any::<bool>(), 1u8..12).prop_map(
        |(side, lots, level, reduce_only, lasts)| Waits {
            side,
            lots,
            level,
            reduce_only,
            lasts,
        },
    )
}

/// Whatever there is to submit.
fn any_step() -> impl Strategy<Value = Step> {
    let offset = || -30i64..=30;
    let pair = (
        prop::option::weighted(0.7, (any::<bool>(), 1u64..40, offset())),
        waits(),
        waits(),
    );
    prop_oneof![
        6 => step(),
        1 => waits().prop_map(Step::Arm),
        3 => (any::<bool>(), 2u64..60, offset(), 1u64..12, any::<bool>())
            .prop_map(|(side, lots, offset, display, post_only)| Step::Iceberg {
                side, lots, offset, display, post_only
            }),
        3 => pair.prop_map(|(order, first, second)| Step::Pair { order, first, second }),
        3 => (any::<bool>(), 1u64..40, -60i64..=60, any::<bool>(), -8i32..=8)
            .prop_map(|(side, lots, worst, best, offset)| Step::Pegged {
                side, lots, worst, best, offset
            }),
        2 => (any::<bool>(), 2u64..60, 2u16..5, 1u16..4, any::<bool>())
            .prop_map(|(side, lots, slices, interval, reduce_only)| Step::Slices {
                side, lots, slices, interval, reduce_only
            }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let offset = || prop_oneof![-6i64..=6, -300i64..=300];
    prop_oneof![
        8 => (any::<bool>(), 1u64..40, offset(), 0u8..8, prop::bool::weighted(0.1), prop::bool::weighted(0.2))
            .prop_map(|(side, lots, offset, kind, reduce_only, eth)| Step::Place {
                side, lots, offset, kind, reduce_only, eth
            }),
        2 => (0usize..8).prop_map(Step::Cancel),
        2 => (0usize..8, prop::option::of(offset()), prop::option::of(1u64..40))
            .prop_map(|(at, offset, lots)| Step::Amend { at, offset, lots }),
        1 => Just(Step::Sweep),
    ]
}

/// Each block: what each owner submits, in one extrinsic.
fn blocks() -> impl Strategy<Value = Vec<Vec<(AccountId, Vec<Step>)>>> {
    blocks_of(step())
}

fn blocks_of(
    step: impl Strategy<Value = Step>,
) -> impl Strategy<Value = Vec<Vec<(AccountId, Vec<Step>)>>> {
    let extrinsic = (1..=OWNERS, prop::collection::vec(step, 1..6));
    prop::collection::vec(prop::collection::vec(extrinsic, 0..6), 1..10)
}

fn price(offset: i64) -> Ticks {
    MARK.checked_add_signed(offset).unwrap()
}

/// The step as an operation of the account; `number` names the client id of a new order.
fn operation(owner: AccountId, step: &Step, number: u64) -> Operation {
    let orders = open(owner);
    let target = |at: usize| match orders.get(at % orders.len().max(1)) {
        Some(order) => OrderTarget::Sequence(order.sequence),
        None => OrderTarget::Client(u64::MAX),
    };
    let now = System::block_number() as BlockNumber;
    match step {
        Step::Place {
            side,
            lots,
            offset,
            kind,
            reduce_only,
            eth,
        } => Operation::Place(NewOrder {
            market: if *eth { ETH } else { BTC },
            client_id: number,
            side: if *side { Side::Bid } else { Side::Ask },
            lots: *lots,
            price: OrderPrice::Limit(price(*offset)),
            time_in_force: match kind {
                0 => TimeInForce::ImmediateOrCancel,
                1 => TimeInForce::PostOnly,
                3 => TimeInForce::FillOrKill,
                2 => TimeInForce::GoodTilBlock(now + 1 + (*lots % 4) as BlockNumber),
                _ => TimeInForce::GoodTilCancelled,
            },
            reduce_only: *reduce_only,
            self_trade_prevention: if *lots % 2 == 0 {
                SelfTradePrevention::CancelNewest
            } else {
                SelfTradePrevention::CancelOldest
            },
        }),
        Step::Cancel(at) => Operation::Cancel(target(*at)),
        Step::Amend { at, offset, lots } => Operation::Amend {
            target: target(*at),
            price: offset.map(price),
            lots: *lots,
        },
        Step::Sweep => Operation::CancelAll { market: Some(BTC) },
        Step::Arm(terms) => Operation::PlaceTrigger(waiting(terms, number, now)),
        Step::Iceberg {
            side,
            lots,
            offset,
            display,
            post_only,
        } => {
            let side = if *side { Side::Bid } else { Side::Ask };
            let order = limit(number, side, *lots, price(*offset));
            let time_in_force = match (post_only, lots % 3) {
                (true, _) => TimeInForce::PostOnly,
                (_, 0) => TimeInForce::GoodTilBlock(now + 1 + (*lots % 5) as BlockNumber),
                _ => TimeInForce::GoodTilCancelled,
            };
            let order = NewOrder {
                time_in_force,
                ..order
            };
            iceberg(order, *display)
        }
        Step::Pair {
            order,
            first,
            second,
        } => Operation::PlacePair {
            first: match order {
                Some((side, lots, offset)) => {
                    let side = if *side { Side::Bid } else { Side::Ask };
                    Leg::Order(limit(number, side, *lots, price(*offset)))
                }
                None => Leg::Trigger(waiting(first, number, now)),
            },
            second: waiting(second, number + 500, now),
        },
        Step::Pegged {
            side,
            lots,
            worst,
            best,
            offset,
        } => {
            let side = if *side { Side::Bid } else { Side::Ask };
            let order = NewOrder {
                time_in_force: TimeInForce::PostOnly,
                ..limit(number, side, *lots, price(*worst))
            };
            Operation::PlacePegged(NewPegged {
                order,
                anchor: if *best { Anchor::Best } else { Anchor::Mark },
                offset: *offset,
            })
        }
        Step::Slices {
            side,
            lots,
            slices,
            interval,
            reduce_only,
        } => {
            let side = if *side { Side::Bid } else { Side::Ask };
            let order = NewOrder {
                price: OrderPrice::Market,
                reduce_only: *reduce_only,
                ..limit(number, side, *lots, 1)
            };
            Operation::PlaceTwap(NewTwap {
                order,
                slices: *slices,
                interval: *interval,
            })
        }
    }
}

/// It lies on the side of the mark on which it is not met.
fn waiting(terms: &Waits, client_id: u64, now: BlockNumber) -> NewTrigger {
    let mark = MockView::view().market(BTC).unwrap().mark;
    let mark = math::ticks_nearest(mark, market(BTC).tick_size).unwrap();
    let order = NewOrder {
        price: OrderPrice::Market,
        reduce_only: terms.reduce_only,
        ..limit(
            client_id,
            if terms.side { Side::Bid } else { Side::Ask },
            terms.lots,
            1,
        )
    };
    NewTrigger {
        order,
        direction: if terms.level < 0 {
            Direction::Down
        } else {
            Direction::Up
        },
        ticks: mark.checked_add_signed(terms.level).unwrap(),
        expires: Some(now + BlockNumber::from(terms.lasts)),
    }
}

/// Marks by block, a walk.
fn marks() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(-15i64..=15, 14)
}

/// Room of each close for triggers and slices: none, for some, for all.
fn rooms() -> impl Strategy<Value = Vec<u64>> {
    let most = Pallet::<Test>::most_of_trigger().ref_time();
    prop::collection::vec(
        prop_oneof![1 => Just(0), 1 => Just(most), 1 => Just(2 * most), 3 => Just(u64::MAX)],
        14,
    )
}

/// Pairs by account.
fn pairs() -> Vec<(AccountId, Sequence, Sequence)> {
    let of = |owner| {
        let pairs = arrangements(owner).into_iter().filter_map(|a| match a {
            Arrangement::Pair(one, other) => Some((one, other)),
            _ => None,
        });
        pairs.map(move |(one, other)| (owner, one, other))
    };
    (1..=OWNERS).flat_map(of).collect()
}

/// Lots that each order stands for: open ones with what they hide, and of TWAPs what is left.
fn outstanding() -> BTreeMap<(AccountId, Sequence), Lots> {
    let mut all = BTreeMap::new();
    for owner in 1..=OWNERS {
        let orders = Pallet::<Test>::orders(&account(owner));
        for order in &orders.open {
            let hidden = orders.hidden(order.sequence).0;
            all.insert((owner, order.sequence), order.lots + hidden);
        }
        for twap in orders.twaps() {
            all.insert((owner, twap.sequence), twap.left);
        }
    }
    all
}

/// Lots and the numbers of orders that left by cancel in the last close.
fn left_in_the_close() -> BTreeMap<(AccountId, Sequence), Lots> {
    let mut left = BTreeMap::new();
    for record in System::events() {
        let RuntimeEvent::OrderBook(crate::Event::Cancelled { orders, .. }) = record.event else {
            continue;
        };
        for order in orders {
            *left
                .entry((order.account.owner, order.sequence))
                .or_default() += order.lots;
        }
    }
    left
}

/// One order of the naive book.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    order: NewOrder,
    ticks: Ticks,
    lots: Lots,
    block: BlockNumber,
    rests: bool,
}

/// Every open order by (owner, sequence), nothing else.
#[derive(Default)]
struct Naive {
    orders: BTreeMap<(AccountId, Sequence), Plain>,
}

struct Sorted {
    bids: Vec<Vec<Order>>,
    asks: Vec<Vec<Order>>,
}

impl Book for Sorted {
    fn level(&mut self, side: Side, depth: usize) -> Option<&[Order]> {
        let side = if side == Side::Bid {
            &self.bids
        } else {
            &self.asks
        };
        side.get(depth).map(Vec::as_slice)
    }
}

impl Naive {
    fn find(&self, owner: AccountId, target: OrderTarget) -> Option<(AccountId, Sequence)> {
        self.orders.iter().find_map(|(id, plain)| {
            let same = match target {
                OrderTarget::Sequence(sequence) => sequence == id.1,
                OrderTarget::Client(client) => client == plain.order.client_id,
            };
            (id.0 == owner && same).then_some(*id)
        })
    }

    fn apply(&mut self, owner: AccountId, operation: &Operation, done: Accepted, now: BlockNumber) {
        match (*operation, done) {
            (Operation::Place(order), Accepted::Placed(sequence)) => {
                let OrderPrice::Limit(ticks) = order.price else {
                    unreachable!()
                };
                let plain = Plain {
                    order,
                    ticks,
                    lots: order.lots,
                    block: now,
                    rests: false,
                };
                self.orders.insert((owner, sequence), plain);
            }
            (
                Operation::Amend {
                    target,
                    price,
                    lots,
                },
                Accepted::Placed(sequence),
            ) => {
                let id = self.find(owner, target).unwrap();
                let old = self.orders.remove(&id).unwrap();
                let plain = Plain {
                    ticks: price.unwrap_or(old.ticks),
                    lots: lots.unwrap_or(old.lots),
                    block: now,
                    rests: false,
                    ..old
                };
                self.orders.insert((owner, sequence), plain);
            }
            (Operation::Amend { target, lots, .. }, Accepted::Reduced) => {
                let id = self.find(owner, target).unwrap();
                self.orders.get_mut(&id).unwrap().lots = lots.unwrap();
            }
            (Operation::Cancel(target), Accepted::Cancelled(1)) => {
                let id = self.find(owner, target).unwrap();
                self.orders.remove(&id);
            }
            (Operation::CancelAll { market }, Accepted::Cancelled(count)) => {
                let before = self.orders.len();
                self.orders
                    .retain(|id, p| id.0 != owner || Some(p.order.market) != market);
                assert_eq!(before - self.orders.len(), count as usize);
            }
            other => panic!("{other:?}"),
        }
    }

    /// Matches one market with the whole book laid out, returning fills by owner and sequence.
    fn close(
        &mut self,
        market: &MarketView,
        positions: &BTreeMap<AccountId, SignedLots>,
        now: BlockNumber,
    ) -> Vec<(AccountId, Sequence, Ticks, Lots)> {
        let expired =
            |p: &Plain| matches!(p.order.time_in_force, TimeInForce::GoodTilBlock(b) if b <= now);
        self.orders
            .retain(|_, p| p.order.market != market.id || !expired(p));
        let ids: Vec<_> = self
            .orders
            .iter()
            .filter(|(_, p)| p.order.market == market.id)
            .map(|(id, _)| *id)
            .collect();
        let order = |n: usize| {
            let (owner, sequence) = ids[n];
            let plain = &self.orders[&ids[n]];
            let parent = System::parent_hash();
            let key = sp_io::hashing::blake2_128(parent.as_bytes());
            let tie = SipHasher24::new_with_key(&key);
            Order {
                id: n as u32,
                owner: owner as u32,
                account: owner as u32,
                side: plain.order.side,
                limit: plain.ticks,
                lots: plain.lots,
                block: plain.block,
                sequence,
                kind: match plain.order.time_in_force {
                    TimeInForce::ImmediateOrCancel => Kind::Immediate,
                    TimeInForce::FillOrKill => Kind::FillOrKill,
                    TimeInForce::PostOnly if !plain.rests => Kind::PostOnly,
                    _ => Kind::Rest,
                },
                reduce_only: plain.order.reduce_only,
                self_trade: plain.order.self_trade_prevention,
                tie: tie.hash(&(account(owner), sequence).encode()),
            }
        };
        let all: Vec<Order> = (0..ids.len()).map(order).collect();
        let rests = |o: &&Order| self.orders[&ids[o.id as usize]].rests;
        let new: Vec<Order> = all.iter().filter(|o| !rests(o)).copied().collect();
        if new.is_empty() {
            return Vec::new();
        }
        let levels = |side: Side| {
            let mut by_price: BTreeMap<Ticks, Vec<Order>> = BTreeMap::new();
            for order in all.iter().filter(rests).filter(|o| o.side == side) {
                by_price.entry(order.limit).or_default().push(*order);
            }
            by_price
                .values_mut()
                .for_each(|level| level.sort_by_key(|o| o.block));
            by_price.into_values()
        };
        let mut book = Sorted {
            bids: levels(Side::Bid).rev().collect(),
            asks: levels(Side::Ask).collect(),
        };
        let rules = Rules {
            mark: market.mark,
            tick_size: market.tick_size,
            band: market.price_band,
            max_fills: FILLS,
        };
        let position = |owner: u32| positions.get(&AccountId::from(owner)).copied().unwrap_or(0);
        let outcome = match_block(&rules, &mut book, &new, &position);
        let mut fills = Vec::new();
        for fill in &outcome.fills {
            let id = ids[fill.order as usize];
            fills.push((id.0, id.1, fill.ticks, fill.lots));
            self.orders.get_mut(&id).unwrap().lots -= fill.lots;
        }
        for (order, lots, _) in &outcome.cancelled {
            self.orders.get_mut(&ids[*order as usize]).unwrap().lots -= lots;
        }
        for (order, ticks, lots) in &outcome.joined {
            let plain = self.orders.get_mut(&ids[*order as usize]).unwrap();
            assert_eq!(plain.lots, *lots);
            (plain.ticks, plain.rests) = (*ticks, true);
        }
        self.orders.retain(|_, p| p.lots > 0);
        fills.sort();
        fills
    }

    fn levels(&self, side: Side) -> Levels {
        let mut levels: BTreeMap<Ticks, (Lots, u32)> = BTreeMap::new();
        let here = |p: &&Plain| p.order.market == BTC && p.order.side == side;
        for plain in self.orders.values().filter(here) {
            let level = levels.entry(plain.ticks).or_default();
            *level = (level.0 + plain.lots, level.1 + 1);
        }
        let levels = levels
            .into_iter()
            .map(|(ticks, (lots, orders))| (ticks, lots, orders));
        if side == Side::Bid {
            levels.rev().collect()
        } else {
            levels.collect()
        }
    }
}

fn positions(market: MarketId) -> BTreeMap<AccountId, SignedLots> {
    let lots = |owner| MockLedger::account(&account(owner)).unwrap().lots(market);
    (1..=OWNERS).map(|owner| (owner, lots(owner))).collect()
}

/// Submits a block's extrinsics and reports what was accepted.
fn play(
    block: &[(AccountId, Vec<Step>)],
    order: impl Fn(usize) -> usize,
) -> Vec<(AccountId, Operation, Result<Accepted, OrderError>)> {
    let mut done = Vec::new();
    for n in 0..block.len() {
        let at = order(n);
        let (owner, steps) = &block[at];
        let number = |step: usize| System::block_number() * 1_000 + (at * 10 + step) as u64;
        let operations: Vec<_> = steps
            .iter()
            .enumerate()
            .map(|(n, s)| operation(*owner, s, number(n)))
            .collect();
        let outcomes = submit(*owner, operations.clone());
        Pallet::<Test>::do_try_state().unwrap();
        done.extend(
            operations
                .into_iter()
                .zip(outcomes)
                .map(|(op, out)| (*owner, op, out)),
        );
    }
    done
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn book_equals_a_naive_one_after_every_block(blocks in blocks()) {
        new_test_ext().execute_with(|| {
            let mut naive = Naive::default();
            for block in &blocks {
                let now = System::block_number() as BlockNumber;
                for (owner, operation, outcome) in play(block, |n| n) {
                    if let Ok(done) = outcome {
                        naive.apply(owner, &operation, done, now);
                    }
                }
                let mut expected = Vec::new();
                for market in &MockView::view().markets {
                    expected.extend(naive.close(market, &positions(market.id), now));
                }
                let fills = |closed: Closed| -> Vec<_> {
                    let fills = closed.fills.into_iter();
                    fills.map(|f| (f.account.owner, f.sequence, f.ticks, f.lots)).collect()
                };
                let placed: Vec<_> = (1..=OWNERS).flat_map(|o| open(o).into_iter().map(move |l| (o, l))).collect();
                let mut closed = fills(close());
                for (owner, order) in placed.iter().filter(|(_, o)| o.time_in_force == TimeInForce::FillOrKill && !o.reduce_only) {
                    let own = closed.iter().filter(|f| (f.0, f.1) == (*owner, order.sequence));
                    let lots: Lots = own.map(|f| f.3).sum();
                    prop_assert!(lots == 0 || lots == order.lots);
                }
                closed.sort();
                expected.sort();
                prop_assert_eq!(closed, expected);
                prop_assert_eq!(book(), (naive.levels(Side::Bid), naive.levels(Side::Ask)));
                for owner in 1..=OWNERS {
                    let open: Vec<_> = Pallet::<Test>::open_orders(&account(owner))
                        .into_iter()
                        .map(|o| ((owner, o.sequence), o.ticks, o.lots, o.block))
                        .collect();
                    let plain: Vec<_> = naive
                        .orders
                        .range((owner, 0)..=(owner, u64::MAX))
                        .map(|(id, p)| (*id, p.ticks, p.lots, p.block))
                        .collect();
                    prop_assert_eq!(open, plain);
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn nothing_changes_when_the_extrinsics_of_different_owners_are_shuffled(
        blocks in blocks(),
        seed: u64,
    ) {
        let run = |shuffle: bool| {
            new_test_ext().execute_with(|| {
                let mut closes = Vec::new();
                for block in &blocks {
                    // A permutation that keeps each owner's extrinsics in their order.
                    let mut order: Vec<usize> = (0..block.len()).collect();
                    if shuffle {
                        order.sort_by_key(|at| block[*at].0.wrapping_mul(seed | 1) ^ seed);
                    }
                    play(block, |n| order[n]);
                    closes.push(close());
                }
                let accounts: Vec<_> =
                    (1..=OWNERS).map(|o| MockLedger::account(&account(o))).collect();
                (closes, accounts, stored())
            })
        };
        prop_assert_eq!(run(false), run(true));
    }

    #[test]
    fn nothing_changes_when_owners_of_any_operations_are_shuffled(
        blocks in blocks_of(any_step()),
        marks in marks(),
        rooms in rooms(),
        seed: u64,
    ) {
        let run = |shuffle: bool| {
            new_test_ext().execute_with(|| {
                let mut closes = Vec::new();
                let mut at = 0;
                for (n, block) in blocks.iter().enumerate() {
                    let mut order: Vec<usize> = (0..block.len()).collect();
                    if shuffle {
                        order.sort_by_key(|at| block[*at].0.wrapping_mul(seed | 1) ^ seed);
                    }
                    play(block, |n| order[n]);
                    at += marks[n];
                    mark(BTC, price(at));
                    TriggerRoom::set(rooms[n]);
                    System::reset_events();
                    let closed = close();
                    closes.push((closed, System::events()));
                }
                let accounts: Vec<_> =
                    (1..=OWNERS).map(|o| MockLedger::account(&account(o))).collect();
                (closes, accounts, stored())
            })
        };
        prop_assert_eq!(run(false), run(true));
    }

    #[test]
    fn of_a_pair_one_executes_and_no_lot_is_lost_when_anything_is_submitted(
        blocks in blocks_of(any_step()),
        marks in marks(),
        rooms in rooms(),
    ) {
        new_test_ext().execute_with(|| {
            let mut at = 0;
            // Whatever came in goes on to the end.
            for n in 0..14 {
                if let Some(block) = blocks.get(n) {
                    play(block, |n| n);
                }
                at += marks[n];
                mark(BTC, price(at));
                TriggerRoom::set(rooms[n]);
                let (paired, before) = (pairs(), outstanding());
                let triggers: Vec<_> = (1..=OWNERS).map(armed).collect();
                System::reset_events();
                let closed = close();
                let filled = |owner: AccountId, sequence: Sequence| -> Lots {
                    let own = closed.fills.iter().filter(|f| {
                        (f.account.owner, f.sequence) == (owner, sequence)
                    });
                    own.map(|f| f.lots).sum()
                };
                for (owner, one, other) in paired {
                    let (one, other) = (filled(owner, one), filled(owner, other));
                    prop_assert!(one == 0 || other == 0);
                }
                // What stood is what filled, what left and what stands. Slices leave without their TWAP.
                let (left, after) = (left_in_the_close(), outstanding());
                let twaps: Vec<_> = (1..=OWNERS)
                    .flat_map(|o| {
                        let orders = Pallet::<Test>::orders(&account(o));
                        let of: Vec<_> = orders.twaps().map(|t| (o, t.sequence)).collect();
                        of
                    })
                    .collect();
                for (id, lots) in &before {
                    let filled = filled(id.0, id.1);
                    let stays = after.get(id).copied().unwrap_or(0);
                    if twaps.contains(id) {
                        prop_assert_eq!(*lots, filled + stays);
                    } else {
                        let left = left.get(id).copied().unwrap_or(0);
                        prop_assert_eq!(*lots, filled + left + stays);
                    }
                }
                for id in after.keys().filter(|id| !before.contains_key(id)) {
                    let fired = &triggers[id.0 as usize - 1];
                    prop_assert!(fired.iter().any(|t| t.sequence == id.1));
                }
            }
            // With no more to come every TWAP ends.
            TriggerRoom::set(u64::MAX);
            (0..20).for_each(|_| drop(close()));
            let twaps = |o| Pallet::<Test>::orders(&account(o)).twaps().count();
            prop_assert_eq!((1..=OWNERS).map(twaps).sum::<usize>(), 0);
            let pegs = |o| Pallet::<Test>::orders(&account(o)).pegs().count();
            let due = crate::Due::<Test>::iter().count();
            prop_assert_eq!((1..=OWNERS).map(pegs).sum::<usize>(), due);
            Ok(())
        })?;
    }

    #[test]
    fn state_is_sound_after_every_block_when_matches_are_narrowed(
        blocks in blocks_of(any_step()),
        narrows in prop::collection::vec(narrow(), 10),
        limit in 1u32..5,
    ) {
        new_test_ext().execute_with(|| {
            LoadLimit::set(limit);
            for (block, narrow) in blocks.iter().zip(&narrows) {
                play(block, |n| n);
                MockView::change(BTC, |m| m.status = narrow.status);
                let all = |owners: &Vec<AccountId>| owners.iter().map(|o| account(*o)).collect();
                let tightened = narrow.tightened.iter();
                let held = |m| positions(m).into_iter().map(move |(o, lots)| ((m, o), lots));
                let before: BTreeMap<_, _> = held(BTC).chain(held(ETH)).collect();
                // Checks the state at its end, and that bought equals sold.
                close_within(&MatchLimits {
                    cancelled: all(&narrow.cancelled),
                    tightened: tightened.map(|(o, at)| (account(*o), price(*at))).collect(),
                    admitted: narrow.admitted.as_ref().map(all),
                    reducing_only: narrow.reducing_only,
                    ..MatchLimits::first(narrow.fills)
                });
                if narrow.reducing_only {
                    for market in [BTC, ETH] {
                        for (owner, lots) in positions(market) {
                            let old = before[&(market, owner)];
                            prop_assert!(lots.unsigned_abs() <= old.unsigned_abs());
                            prop_assert!(lots == 0 || lots.signum() == old.signum());
                        }
                    }
                }
            }
            LoadLimit::set(512);
            Ok(())
        })?;
    }
}
