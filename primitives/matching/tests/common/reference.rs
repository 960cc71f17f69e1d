//! The three steps written a second time, straight from the text and slowly: every question is answered by looking at all
//! orders again, and lots that pro rata leaves over are handed out one by one.

use super::Told;
use novate_matching::{Kind, Order};
use novate_types::{CancelReason, Lots, Role, SelfTradePrevention, Side, SignedLots, Ticks};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Resting,
    Crossing,
    Posting,
    Joined,
    Walking,
    Gone,
}

#[derive(Clone, Debug)]
pub struct State {
    pub order: Order,
    pub limit: Ticks,
    pub left: Lots,
    pub place: Place,
}

#[derive(Default)]
pub struct World {
    pub orders: Vec<State>,
    /// Lots each account's reduce-only orders may still execute, and on which side.
    room: BTreeMap<u32, (Side, Lots)>,
    lower: Ticks,
    upper: Ticks,
    budget: u64,
    seen: BTreeSet<(Side, Ticks)>,
    /// Fill-or-kill orders that took part, and with how many lots.
    admitted: Vec<(Order, Lots)>,
    pub told: Told,
}

/// One block; tick of one USD, mark in cents. The block is matched again as long as a fill-or-kill order fills in part.
pub fn reference(
    numbers: (u64, u32, u32),
    resting: &[Order],
    new: &[Order],
    positions: &BTreeMap<u32, SignedLots>,
) -> Told {
    let mut killed = BTreeSet::new();
    for run in 1.. {
        if run == 9 {
            killed.extend(new.iter().map(|o| o.id));
        }
        let world = once(numbers, resting, new, positions, &killed);
        let before = killed.len();
        for side in [Side::Bid, Side::Ask] {
            // Lots that lack, lots got, hash, id.
            let mut short: Vec<(Lots, Lots, u64, u32)> = Vec::new();
            for (order, lots) in world.admitted.iter().filter(|a| a.0.side == side) {
                let got = world.told.filled(order.id);
                if got != *lots {
                    short.push((lots - got, got, order.tie, order.id));
                }
            }
            let (mut freed, all, mut gone) = (0, short.len(), 0);
            while short.iter().map(|s| s.0).sum::<Lots>() > freed || run > 1 && 2 * gone < all {
                let worst = *short.iter().max().unwrap();
                freed += worst.1;
                gone += 1;
                short.retain(|s| *s != worst);
                killed.insert(worst.3);
            }
        }
        if killed.len() == before {
            return world.told;
        }
    }
    unreachable!()
}

/// One run of the match.
fn once(
    (mark_cents, band_ppm, max_fills): (u64, u32, u32),
    resting: &[Order],
    new: &[Order],
    positions: &BTreeMap<u32, SignedLots>,
    killed: &BTreeSet<u32>,
) -> World {
    let mut world = World {
        budget: max_fills.into(),
        ..World::within(mark_cents, band_ppm)
    };
    world.know(resting.iter().chain(new), positions);
    for order in resting {
        let place = Place::Resting;
        world.orders.push(State {
            order: *order,
            limit: order.limit,
            left: order.lots,
            place,
        });
    }

    // x: the mark to the nearest tick, within the resting spread.
    let best_bid = world.best_resting(Side::Bid).map(|p| p.min(world.upper));
    let best_ask = world.best_resting(Side::Ask).map(|p| p.max(world.lower));
    let mut x = mark_cents / 100 + u64::from(mark_cents % 100 >= 50);
    x = best_bid.map_or(x, |bid| x.max(bid));
    x = best_ask.map_or(x, |ask| x.min(ask));

    for order in new {
        let limit = world.cut(order.side, order.limit);
        let at = world.orders.len();
        world.orders.push(State {
            order: *order,
            limit,
            left: order.lots,
            place: Place::Gone,
        });
        world.cut_to_room(at);
        let reaches = match order.side {
            Side::Bid => limit >= x,
            Side::Ask => limit <= x,
        };
        world.orders[at].place = match (world.orders[at].left, reaches, order.kind) {
            (0, _, _) => Place::Gone,
            (_, true, Kind::PostOnly) => Place::Posting,
            (_, true, _) => Place::Crossing,
            (_, false, _) => Place::Joined,
        };
        match (world.orders[at].place, order.kind) {
            (Place::Joined, Kind::Immediate) => world.cancel(at, CancelReason::NotImmediate),
            (Place::Joined, Kind::FillOrKill) => world.cancel(at, CancelReason::NotWhole),
            (Place::Crossing, Kind::FillOrKill) if killed.contains(&order.id) => {
                world.cancel(at, CancelReason::NotWhole);
            }
            (Place::Crossing, Kind::FillOrKill) => {
                world.admitted.push((*order, world.orders[at].left));
            }
            _ => {}
        }
    }

    // 1. Cross.
    world.cross(Place::Crossing, x, Role::Taker);
    world.cross(Place::Posting, x, Role::Maker);

    // 2. Join: those that did not reach x stand as joined already.
    for side in [Side::Bid, Side::Ask] {
        for at in world.all(|s| s.place == Place::Posting && s.order.side == side) {
            if world.touched_by(at, &[Place::Resting, Place::Joined]) {
                world.cancel(at, CancelReason::WouldCross);
            } else {
                world.orders[at].place = Place::Joined;
            }
        }
    }

    // 3. Walk.
    for at in world.all(|s| s.place == Place::Crossing) {
        world.orders[at].place = Place::Walking;
    }
    for side in [Side::Bid, Side::Ask] {
        world.walk(side);
    }

    // What remains.
    for side in [Side::Bid, Side::Ask] {
        world.best_resting(side);
    }
    for at in world.all(|s| s.place == Place::Joined) {
        world.remain(at, &[Place::Resting]);
    }
    for at in world.all(|s| s.place == Place::Walking) {
        world.remain(at, &[Place::Resting, Place::Joined]);
    }
    let ends = world.all(|s| matches!(s.place, Place::Joined | Place::Walking));
    for at in ends {
        world.join(at);
    }
    world
}

impl World {
    /// Nobody in it yet; a mark in cents and the band around it.
    pub fn within(mark_cents: u64, band_ppm: u32) -> Self {
        let (mark, band) = (u128::from(mark_cents), u128::from(band_ppm));
        let million = 1_000_000;
        Self {
            lower: (mark * (million - band)).div_ceil(100 * million) as u64,
            upper: (mark * (million + band) / (100 * million)) as u64,
            ..Self::default()
        }
    }

    /// The positions behind some orders.
    pub fn know<'a>(
        &mut self,
        orders: impl Iterator<Item = &'a Order>,
        positions: &BTreeMap<u32, SignedLots>,
    ) {
        for order in orders {
            let held = positions.get(&order.account).copied().unwrap_or(0);
            let side = if held < 0 { Side::Bid } else { Side::Ask };
            let room = (side, held.unsigned_abs());
            self.room.insert(order.account, room);
        }
    }

    /// Where a new order executes and rests.
    pub fn cut(&self, side: Side, limit: Ticks) -> Ticks {
        match side {
            Side::Bid => limit.min(self.upper),
            Side::Ask => limit.max(self.lower),
        }
    }

    pub fn join(&mut self, at: usize) {
        let s = &self.orders[at];
        self.told.joined.insert(s.order.id, (s.limit, s.left));
    }

    pub fn all(&self, which: impl Fn(&State) -> bool) -> Vec<usize> {
        (0..self.orders.len())
            .filter(|at| which(&self.orders[*at]))
            .collect()
    }

    pub fn cancel(&mut self, at: usize, reason: CancelReason) {
        let s = &mut self.orders[at];
        self.told.cancel(s.order.id, s.left, reason);
        s.place = Place::Gone;
    }

    /// What one order may execute if it is alone.
    pub fn room_of(&self, at: usize) -> Lots {
        let order = &self.orders[at].order;
        match self.room[&order.account] {
            _ if !order.reduce_only => Lots::MAX,
            (side, room) if side == order.side => room,
            _ => 0,
        }
    }

    pub fn cut_to_room(&mut self, at: usize) {
        let room = self.room_of(at);
        let s = &mut self.orders[at];
        if s.left > room {
            self.told
                .cancel(s.order.id, s.left - room, CancelReason::NothingToReduce);
            s.left = room;
        }
    }

    /// Best own limit among the resting. When a level becomes the best, its reduce-only orders without a position leave.
    fn best_resting(&mut self, side: Side) -> Option<Ticks> {
        loop {
            let resting = self.all(|s| s.place == Place::Resting && s.order.side == side);
            let limits = resting.iter().map(|at| self.orders[*at].limit);
            let best = if side == Side::Bid {
                limits.max()
            } else {
                limits.min()
            }?;
            if !self.seen.insert((side, best)) {
                return Some(best);
            }
            let mut level: Vec<_> = resting
                .into_iter()
                .filter(|at| self.orders[*at].limit == best)
                .collect();
            level.sort_by_key(|at| (self.orders[*at].order.block, self.orders[*at].order.id));
            self.drop_idle(&level);
        }
    }

    fn drop_idle(&mut self, book: &[usize]) {
        for at in book {
            let gone = self.orders[*at].place == Place::Gone;
            if !gone && self.budget > 0 && self.room_of(*at) == 0 {
                self.cancel(*at, CancelReason::NothingToReduce);
                self.budget -= 1;
            }
        }
    }

    fn touched_by(&self, at: usize, places: &[Place]) -> bool {
        let me = &self.orders[at];
        self.orders.iter().any(|s| {
            places.contains(&s.place)
                && match (me.order.side, s.order.side) {
                    (Side::Bid, Side::Ask) => me.limit >= s.limit,
                    (Side::Ask, Side::Bid) => me.limit <= s.limit,
                    _ => false,
                }
        })
    }

    pub fn remain(&mut self, at: usize, against: &[Place]) {
        self.cut_to_room(at);
        if self.orders[at].left == 0 {
            self.orders[at].place = Place::Gone;
        } else if matches!(
            self.orders[at].order.kind,
            Kind::Immediate | Kind::FillOrKill
        ) {
            self.cancel(at, CancelReason::NotImmediate);
        } else if self.touched_by(at, against) {
            self.cancel(at, CancelReason::Touching);
        }
    }

    /// Oldest first: each order stays unless one of its owner's stays already on the other side.
    fn cross(&mut self, pool: Place, x: Ticks, role: Role) {
        let mut queue = self.all(|s| s.place == pool);
        queue.sort_by_key(|at| {
            let o = &self.orders[*at].order;
            (o.sequence, o.tie)
        });
        let mut stay: Vec<usize> = Vec::new();
        for at in queue {
            let me = self.orders[at].order;
            let meets_own = stay.iter().any(|other| {
                let other = &self.orders[*other].order;
                other.owner == me.owner && other.side != me.side
            });
            if meets_own {
                self.cancel(at, CancelReason::SelfTrade);
            } else {
                stay.push(at);
            }
        }
        let (bids, asks): (Vec<_>, Vec<_>) = stay
            .into_iter()
            .partition(|at| self.orders[*at].order.side == Side::Bid);
        self.trade(x, &bids, role, &asks, role);
        self.clear_new(&bids);
        self.clear_new(&asks);
    }

    fn clear_new(&mut self, orders: &[usize]) {
        for at in orders {
            if self.orders[*at].place == Place::Gone {
                continue;
            }
            if self.orders[*at].left == 0 {
                self.orders[*at].place = Place::Gone;
            } else if self.room_of(*at) == 0 {
                self.cancel(*at, CancelReason::NothingToReduce);
            }
        }
    }

    fn walk(&mut self, side: Side) {
        let mut level = None;
        loop {
            let walking = self.all(|s| s.place == Place::Walking && s.order.side == side);
            if walking.is_empty() || self.budget == 0 {
                return;
            }
            // Best price, then earliest block, of what rests or joined.
            let maker = side.opposite();
            // No other level becomes the best while somebody is left at this one.
            let is_done = level.is_none_or(|level| {
                let at = |s: &State| {
                    s.limit == level && matches!(s.place, Place::Resting | Place::Joined)
                };
                self.all(|s| s.order.side == maker && at(s)).is_empty()
            });
            if is_done {
                self.best_resting(maker);
            }
            let book = self.all(|s| {
                s.order.side == maker && matches!(s.place, Place::Resting | Place::Joined)
            });
            let limits = book.iter().map(|at| self.orders[*at].limit);
            let Some(best) = (if maker == Side::Bid {
                limits.max()
            } else {
                limits.min()
            }) else {
                return;
            };
            level = Some(best);
            let block = book
                .iter()
                .filter(|at| self.orders[**at].limit == best)
                .map(|at| self.orders[*at].order.block)
                .min()
                .unwrap();
            let mut cohort: Vec<_> = book
                .into_iter()
                .filter(|at| self.orders[*at].limit == best)
                .filter(|at| self.orders[*at].order.block == block)
                .collect();
            let price = match maker {
                Side::Bid => best.min(self.upper),
                Side::Ask => best.max(self.lower),
            };
            let mut takers: Vec<_> = walking
                .into_iter()
                .filter(|at| match side {
                    Side::Bid => self.orders[*at].limit >= price,
                    Side::Ask => self.orders[*at].limit <= price,
                })
                .collect();
            if takers.is_empty() {
                return;
            }

            cohort.sort_by_key(|at| self.orders[*at].order.tie);
            let last = cohort.len() as u64 > self.budget;
            if last {
                cohort.truncate(self.budget as usize);
            }
            self.drop_idle(&cohort);
            cohort.retain(|at| self.orders[*at].place != Place::Gone);

            let meets = |world: &Self, taker: usize, maker: usize| {
                world.orders[taker].order.owner == world.orders[maker].order.owner
            };
            let mut leaving = Vec::new();
            for taker in &takers {
                let own: Vec<_> = cohort
                    .iter()
                    .copied()
                    .filter(|m| meets(self, *taker, *m))
                    .collect();
                if own.is_empty() {
                    continue;
                }
                match self.orders[*taker].order.self_trade {
                    SelfTradePrevention::CancelNewest => leaving.push(*taker),
                    SelfTradePrevention::CancelOldest => leaving.extend(own),
                }
            }
            leaving.sort_unstable();
            leaving.dedup();
            for at in leaving {
                self.cancel(at, CancelReason::SelfTrade);
                if cohort.contains(&at) {
                    self.budget -= 1;
                }
            }
            cohort.retain(|at| self.orders[*at].place != Place::Gone);
            takers.retain(|at| self.orders[*at].place != Place::Gone);

            let executed = self.trade(price, &takers, Role::Taker, &cohort, Role::Maker);
            self.told.executed_resting += executed as u32;
            self.budget = self.budget.saturating_sub(executed);
            for at in &cohort {
                if self.orders[*at].left == 0 {
                    self.orders[*at].place = Place::Gone;
                }
            }
            self.clear_new(&takers);
            if takers
                .iter()
                .any(|at| self.orders[*at].place == Place::Walking)
            {
                self.drop_idle(&cohort);
            }
            if last {
                self.budget = 0;
            }
        }
    }

    fn trade(
        &mut self,
        price: Ticks,
        one: &[usize],
        one_role: Role,
        two: &[usize],
        two_role: Role,
    ) -> u64 {
        let (one, two) = (self.offers(one), self.offers(two));
        let sum = |offers: &[(usize, Lots)]| offers.iter().map(|(_, lots)| lots).sum::<Lots>();
        let lots = sum(&one).min(sum(&two));
        if lots > 0 {
            self.told.volume += lots;
            self.told.last = Some(price);
        }
        self.give(price, lots, &one, |_| one_role);
        self.give(price, lots, &two, |_| two_role)
    }

    /// Each order's lots, reduce-only ones oldest first out of their account's room.
    pub fn offers(&self, orders: &[usize]) -> Vec<(usize, Lots)> {
        let mut oldest_first = orders.to_vec();
        oldest_first
            .sort_by_key(|at| (self.orders[*at].order.sequence, self.orders[*at].order.tie));
        let mut offers: Vec<(usize, Lots)> = Vec::new();
        for at in oldest_first {
            let me = &self.orders[at];
            let mut lots = me.left;
            if me.order.reduce_only {
                let taken: Lots = offers
                    .iter()
                    .filter(|(other, _)| self.orders[*other].order.reduce_only)
                    .filter(|(other, _)| self.orders[*other].order.account == me.order.account)
                    .map(|(_, lots)| lots)
                    .sum();
                lots = lots.min(self.room_of(at) - taken);
            }
            offers.push((at, lots));
        }
        offers
    }

    pub fn give(
        &mut self,
        price: Ticks,
        lots: Lots,
        offers: &[(usize, Lots)],
        role: impl Fn(&Order) -> Role,
    ) -> u64 {
        let mut executed = 0;
        let owner_of = |world: &Self, at: usize| world.orders[at].order.owner;
        let mut owners: Vec<(u32, Lots, u64)> = Vec::new(); // owner, lots, the oldest order's tie
        for (at, offered) in offers {
            let owner = owner_of(self, *at);
            match owners.iter_mut().find(|o| o.0 == owner) {
                Some(o) => o.1 += offered,
                None => owners.push((owner, *offered, self.orders[*at].order.tie)),
            }
        }
        let weights: Vec<_> = owners.iter().map(|o| (o.1, o.2)).collect();
        for (owner, share) in owners.iter().zip(hand_out(lots, &weights)) {
            let own: Vec<_> = offers
                .iter()
                .filter(|(at, _)| owner_of(self, *at) == owner.0)
                .collect();
            let weights: Vec<_> = own
                .iter()
                .map(|(at, lots)| (*lots, self.orders[*at].order.tie))
                .collect();
            for ((at, _), part) in own.into_iter().zip(hand_out(share, &weights)) {
                if part == 0 {
                    continue;
                }
                executed += 1;
                let s = &mut self.orders[*at];
                s.left -= part;
                self.told.fill(s.order.id, price, part, role(&s.order));
                if s.order.reduce_only {
                    self.room.get_mut(&s.order.account).unwrap().1 -= part;
                }
            }
        }
        executed
    }
}

/// Whole parts of `lots · w / Σw`, then one lot at a time to the largest fraction not yet served.
fn hand_out(lots: Lots, claims: &[(Lots, u64)]) -> Vec<Lots> {
    let weights: Vec<u128> = claims.iter().map(|c| c.0.min(lots).into()).collect();
    let all: u128 = weights.iter().sum();
    if all <= lots.into() {
        return claims.iter().map(|c| c.0.min(lots)).collect();
    }
    let mut parts: Vec<Lots> = weights
        .iter()
        .map(|w| (w * u128::from(lots) / all) as Lots)
        .collect();
    let mut served = BTreeSet::new();
    while parts.iter().sum::<Lots>() < lots {
        let mut best: Option<usize> = None;
        for at in (0..claims.len()).filter(|at| !served.contains(at)) {
            let fraction = |at: usize| weights[at] * u128::from(lots) % all;
            let better = best.is_none_or(|b| {
                fraction(at) > fraction(b)
                    || fraction(at) == fraction(b) && claims[at].1 < claims[b].1
            });
            if better {
                best = Some(at);
            }
        }
        let at = best.unwrap();
        served.insert(at);
        parts[at] += 1;
    }
    parts
}
