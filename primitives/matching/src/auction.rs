//! One price for everybody: reopening and listing.

use crate::{
    band::Band,
    entry::{best_of, rank, Entry, Sides},
    record::Record,
    share::{share, total, Offer},
    Kind, Order, Outcome, Rules, Terms,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::cmp::Reverse;
use novate_types::{BlockNumber, CancelReason, Lots, MathError, Side, SignedLots, Ticks};

type Result<T> = core::result::Result<T, MathError>;

/// The prices at which most executes and least is left over, as far as that is known.
#[derive(Clone, Copy)]
struct Clearing {
    first: Ticks,
    last: Ticks,
    volume: u128,
    imbalance: u128,
}

impl Clearing {
    /// The price nearest to the mark; without a mark the middle, rounded down.
    fn price(&self, band: Option<&Band>) -> Ticks {
        match band {
            Some(band) => band.cross(Some(self.first), Some(self.last)),
            None => self.first.midpoint(self.last),
        }
    }
}

pub fn run(
    rules: Option<&Rules>,
    terms: &Terms,
    orders: &[Order],
    position: &dyn Fn(u32) -> SignedLots,
) -> Result<Outcome> {
    let band = rules.map(|rules| band(rules, terms)).transpose()?;
    let most = rules.map_or(u32::MAX, |rules| rules.max_fills);
    let mut record = Record::new(position);
    let mut sides: Sides<Vec<Entry>> = Sides::default();
    for order in orders {
        let mut order = *order;
        order.limit = match (&band, order.side) {
            (Some(band), side) => band.cut(side, order.limit),
            (None, Side::Bid) => order.limit,
            // No price is zero.
            (None, Side::Ask) => order.limit.max(1),
        };
        let Some(left) = record.reducible(&order, order.lots) else {
            continue;
        };
        let entry = Entry::new(order, left);
        if order.kind == Kind::FillOrKill {
            record.cancel(&entry, CancelReason::NotWhole);
        } else {
            sides.push(entry);
        }
    }
    prevent_self_trades(&mut record, &mut sides);

    for side in [Side::Bid, Side::Ask] {
        let priority = |e: &Entry| {
            let place = (Reverse(rank(side, e.order.limit)), e.order.block);
            (place, e.seniority())
        };
        sides.of(side).sort_unstable_by_key(priority);
    }
    let mut offers = Sides {
        bids: record.offers(&sides.bids)?,
        asks: record.offers(&sides.asks)?,
    };
    let found = match terms.price {
        Some(price) => Some((price, at(price, &sides, &offers)?)),
        None => clear(&sides, &offers, terms.partial)?.map(|c| (c.price(band.as_ref()), c.volume)),
    };
    let mut waiting = Vec::new();
    if let Some((price, volume)) = found.filter(|(_, volume)| *volume > 0) {
        let all = Lots::try_from(volume).map_err(|_| MathError::Overflow)?;
        let bound = terms.most.map_or(all, |lots| lots.min(all));
        let lots = admit(price, bound, most, &mut sides, &mut offers, &mut waiting)?;
        record.outcome.left = all.checked_sub(lots).ok_or(MathError::Overflow)?;
        if lots > 0 {
            record.trade(price, lots)?;
            let bought = fill(&mut record, price, lots, &mut sides.bids, &offers.bids)?;
            let sold = fill(&mut record, price, lots, &mut sides.asks, &offers.asks)?;
            let executed = bought.checked_add(sold).ok_or(MathError::Overflow)?;
            record.outcome.executed_resting = executed;
        }
    }

    for entry in waiting {
        sides.push(entry);
    }
    let mut rest: Sides<Option<Ticks>> = Sides::default();
    for side in [Side::Bid, Side::Ask] {
        for entry in sides.of(side).iter_mut().filter(|e| e.left > 0) {
            if record.remains(entry) {
                record.join(entry);
                let best = rest.of(side);
                *best = best_of(side, best.iter().copied().chain([entry.order.limit]));
            }
        }
    }
    record.outcome.crosses = rest
        .bids
        .zip(rest.asks)
        .is_some_and(|(bid, ask)| bid >= ask);
    Ok(record.outcome)
}

/// What bounds the limits of an auction: the band, around the reference too; a price that was found holds whatever it is by now.
fn band(rules: &Rules, terms: &Terms) -> Result<Band> {
    let band = Band::new(rules)?;
    match (terms.price, terms.reference) {
        (Some(price), _) => Ok(band.including(price)),
        (None, Some(mark)) => band.within(&Band::new(&Rules { mark, ..*rules })?),
        (None, None) => Ok(band),
    }
}

/// What could execute at a price.
fn at(price: Ticks, sides: &Sides<Vec<Entry>>, offers: &Sides<Vec<Offer>>) -> Result<u128> {
    let sum = |entries: &[Entry], offers: &[Offer]| {
        entries
            .iter()
            .zip(offers)
            .filter(|(entry, _)| entry.touches(Some(price)))
            .try_fold(0u128, |sum, (_, offer)| sum.checked_add(offer.lots.into()))
            .ok_or(MathError::Overflow)
    };
    Ok(sum(&sides.bids, &offers.bids)?.min(sum(&sides.asks, &offers.asks)?))
}

/// Leaves on each side the orders of which no more than `most` execute, and moves the others to `waiting`. Returns the lots that
/// execute: all, or where orders are too many as many as the first ones in line offer on both sides. A cohort is cut by hash.
fn admit(
    price: Ticks,
    lots: Lots,
    most: u32,
    sides: &mut Sides<Vec<Entry>>,
    offers: &mut Sides<Vec<Offer>>,
    waiting: &mut Vec<Entry>,
) -> Result<Lots> {
    let most = usize::try_from(most).map_err(|_| MathError::Overflow)?;
    let reached = |entries: &[Entry], offers: &[Offer]| {
        let mut from: u128 = 0;
        let mut count: usize = 0;
        let mut rest = offers;
        for cohort in entries.chunk_by(|a, b| place(a) == place(b)) {
            if from >= u128::from(lots) {
                break;
            }
            let (own, others) = rest
                .split_at_checked(cohort.len())
                .ok_or(MathError::Overflow)?;
            rest = others;
            count = count.checked_add(own.len()).ok_or(MathError::Overflow)?;
            from = total(own)?.checked_add(from).ok_or(MathError::Overflow)?;
        }
        Ok(count)
    };
    let bids = reached(&sides.bids, &offers.bids)?;
    let asks = reached(&sides.asks, &offers.asks)?;
    if bids.checked_add(asks).is_some_and(|count| count <= most) {
        return Ok(lots);
    }

    let line = |side: Side, entries: &[Entry], offers: &[Offer]| {
        let mut line: Vec<_> = entries
            .iter()
            .zip(offers)
            .filter(|(entry, offer)| entry.touches(Some(price)) && offer.lots > 0)
            .map(|(Entry { order, .. }, offer)| {
                let place = (Reverse(rank(side, order.limit)), order.block);
                (place, order.tie, order.id, offer.lots)
            })
            .collect();
        line.sort_unstable();
        line.into_iter().map(|(.., id, lots)| (id, lots))
    };
    let mut line = Sides {
        bids: line(Side::Bid, &sides.bids, &offers.bids),
        asks: line(Side::Ask, &sides.asks, &offers.asks),
    };
    let mut first = BTreeSet::new();
    let (mut bid, mut asked) = (0u128, 0u128);
    while first.len() < most && bid.min(asked) < u128::from(lots) {
        let (line, sum) = if bid <= asked {
            (&mut line.bids, &mut bid)
        } else {
            (&mut line.asks, &mut asked)
        };
        let Some((id, more)) = line.next() else {
            break;
        };
        first.insert(id);
        *sum = sum.checked_add(more.into()).ok_or(MathError::Overflow)?;
    }
    for side in [Side::Bid, Side::Ask] {
        let all = core::mem::take(sides.of(side)).into_iter();
        let (chosen, others): (Vec<_>, Vec<_>) = all
            .zip(core::mem::take(offers.of(side)))
            .partition(|(entry, _)| first.contains(&entry.order.id));
        (*sides.of(side), *offers.of(side)) = chosen.into_iter().unzip();
        waiting.extend(others.into_iter().map(|(entry, _)| entry));
    }
    let within = bid.min(asked).min(lots.into());
    Lots::try_from(within).map_err(|_| MathError::Overflow)
}

/// Price and block: who is equal in them is a cohort.
const fn place(entry: &Entry) -> (Ticks, BlockNumber) {
    (entry.order.limit, entry.order.block)
}

/// Where an owner's own orders touch, those of the side of the oldest of them stay.
fn prevent_self_trades(record: &mut Record, sides: &mut Sides<Vec<Entry>>) {
    let mut best: BTreeMap<u32, Sides<Option<Ticks>>> = BTreeMap::new();
    for Entry { order, .. } in sides.iter() {
        let own = best.entry(order.owner).or_default().of(order.side);
        *own = best_of(order.side, own.iter().copied().chain([order.limit]));
    }
    let mut meeting = Sides::default();
    for side in [Side::Bid, Side::Ask] {
        let touches = |e: &mut Entry| {
            let own = best.get_mut(&e.order.owner);
            e.touches(own.and_then(|own| *own.of(side.opposite())))
        };
        *meeting.of(side) = sides.of(side).extract_if(.., touches).collect();
    }
    record.keep_oldest_sides(&mut meeting);
    for side in [Side::Bid, Side::Ask] {
        sides.of(side).append(meeting.of(side));
    }
}

/// The prices of the greatest volume and then, unless only some orders are known, of the least imbalance, if anything can execute. They are
/// adjacent: demand only falls with the price and supply only rises.
fn clear(
    sides: &Sides<Vec<Entry>>,
    offers: &Sides<Vec<Offer>>,
    partial: bool,
) -> Result<Option<Clearing>> {
    let (bids, demand) = (&sides.bids, &offers.bids);
    let (asks, supply) = (&sides.asks, &offers.asks);
    // Where demand or supply changes: an ask comes in at its limit, a bid is gone a tick above its own.
    let mut steps: Vec<(Ticks, Side, u128)> = Vec::new();
    let mut demanded: u128 = 0;
    for (entry, offer) in bids.iter().zip(demand) {
        let lots = u128::from(offer.lots);
        demanded = demanded.checked_add(lots).ok_or(MathError::Overflow)?;
        let gone = entry.order.limit.checked_add(1);
        steps.extend(gone.map(|ticks| (ticks, Side::Bid, lots)));
    }
    let come = asks.iter().zip(supply);
    steps.extend(come.map(|(entry, offer)| (entry.order.limit, Side::Ask, offer.lots.into())));
    steps.sort_unstable();

    let mut supplied: u128 = 0;
    let mut best: Option<Clearing> = None;
    let mut steps = steps.chunk_by(|a, b| a.0 == b.0).peekable();
    while let Some(changes) = steps.next() {
        for (_, side, lots) in changes {
            let sum = match side {
                Side::Bid => &mut demanded,
                Side::Ask => &mut supplied,
            };
            let changed = match side {
                Side::Bid => sum.checked_sub(*lots),
                Side::Ask => sum.checked_add(*lots),
            };
            *sum = changed.ok_or(MathError::Overflow)?;
        }
        let tick = |changes: &[(Ticks, Side, u128)]| changes.first().map(|step| step.0);
        let next = steps.peek().and_then(|changes| tick(changes));
        let here = Clearing {
            first: tick(changes).ok_or(MathError::Overflow)?,
            last: next
                .map_or(Some(Ticks::MAX), |tick| tick.checked_sub(1))
                .ok_or(MathError::Overflow)?,
            volume: demanded.min(supplied),
            imbalance: if partial {
                0
            } else {
                demanded.abs_diff(supplied)
            },
        };
        let merit = |c: &Clearing| (c.volume, Reverse(c.imbalance));
        match &mut best {
            _ if here.volume == 0 => {}
            Some(best) if merit(&here) == merit(best) => best.last = here.last,
            Some(best) if merit(&here) < merit(best) => {}
            best => *best = Some(here),
        }
    }
    Ok(best)
}

/// `lots` execute on one side: better limits first, then older cohorts, the last cohort sharing. Returns how many orders did.
fn fill(
    record: &mut Record,
    price: Ticks,
    mut lots: Lots,
    entries: &mut [Entry],
    mut offers: &[Offer],
) -> Result<u32> {
    let mut executed: u32 = 0;
    for cohort in entries.chunk_by_mut(|a, b| place(a) == place(b)) {
        if lots == 0 {
            break;
        }
        let (own, others) = offers
            .split_at_checked(cohort.len())
            .ok_or(MathError::Overflow)?;
        offers = others;
        let parts = share(lots, own)?;
        let more = record.execute(price, cohort, &parts)?;
        executed = executed.checked_add(more).ok_or(MathError::Overflow)?;
        lots = parts
            .iter()
            .try_fold(lots, |left, part| left.checked_sub(*part))
            .ok_or(MathError::Overflow)?;
    }
    Ok(executed)
}
