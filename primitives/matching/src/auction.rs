//! One price for everybody: reopening and listing.

use crate::{
    band::Band,
    entry::{best_of, rank, Entry, Sides},
    record::Record,
    share::{share, Offer},
    Kind, Order, Outcome, Rules,
};
use alloc::{collections::BTreeMap, vec::Vec};
use core::cmp::Reverse;
use novate_types::{CancelReason, Lots, MathError, Side, SignedLots, Ticks};

type Result<T> = core::result::Result<T, MathError>;

/// The prices at which most executes and least is left over.
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
    orders: &[Order],
    position: &dyn Fn(u32) -> SignedLots,
) -> Result<Outcome> {
    let band = rules.map(Band::new).transpose()?;
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
    let bids = record.offers(&sides.bids)?;
    let asks = record.offers(&sides.asks)?;
    if let Some(clearing) = clear((&sides.bids, &bids), (&sides.asks, &asks))? {
        let price = clearing.price(band.as_ref());
        let volume = Lots::try_from(clearing.volume).map_err(|_| MathError::Overflow)?;
        record.trade(price, volume)?;
        fill(&mut record, price, volume, &mut sides.bids, &bids)?;
        fill(&mut record, price, volume, &mut sides.asks, &asks)?;
    }

    for side in [Side::Bid, Side::Ask] {
        for entry in sides.of(side).iter_mut().filter(|e| e.left > 0) {
            if record.remains(entry) {
                record.join(entry);
            }
        }
    }
    Ok(record.outcome)
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

/// The prices of the greatest volume and then of the least imbalance, if anything can execute. They are adjacent: demand only
/// falls with the price and supply only rises.
fn clear(
    (bids, demand): (&[Entry], &[Offer]),
    (asks, supply): (&[Entry], &[Offer]),
) -> Result<Option<Clearing>> {
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
            imbalance: demanded.abs_diff(supplied),
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

/// `lots` execute on one side: better limits first, then older cohorts, the last cohort sharing.
fn fill(
    record: &mut Record,
    price: Ticks,
    mut lots: Lots,
    entries: &mut [Entry],
    mut offers: &[Offer],
) -> Result<()> {
    let place = |e: &Entry| (e.order.limit, e.order.block);
    for cohort in entries.chunk_by_mut(|a, b| place(a) == place(b)) {
        if lots == 0 {
            break;
        }
        let (own, others) = offers
            .split_at_checked(cohort.len())
            .ok_or(MathError::Overflow)?;
        offers = others;
        let parts = share(lots, own)?;
        record.execute(price, cohort, &parts)?;
        let mut executed = parts.iter();
        lots = executed
            .try_fold(lots, |left, part| left.checked_sub(*part))
            .ok_or(MathError::Overflow)?;
    }
    Ok(())
}
