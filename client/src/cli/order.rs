//! Orders: checked before they are sent, and followed to what became of them.

use super::{args, Report, Session};
use novate_client::{
    decimal::cash,
    event::{Accepted, OrderError},
    refusal, Call, Event, Included, Market, Refusal, Result,
};
use novate_runtime_api::HypotheticalTrade;
use novate_types::{
    math, CancelReason, Cash, Direction, Fill, Leg, Lots, MarketStatus, NewOrder, NewPegged,
    NewTrigger, NewTwap, Operation, OrderPrice, Price, Sequence, Side, TimeInForce,
};
use serde_json::{json, Value};
use std::time::{SystemTime, UNIX_EPOCH};

/// The chain's default limit of a market order, in parts per million of the mark.
const MARKET_SLIPPAGE: i64 = 5_000;
/// Blocks that a trigger which excludes another waits, if nothing is said.
const WEEK: u32 = 7 * 24 * 3_600;

/// What became of an order in the block that took it in.
struct Outcome {
    sequence: Sequence,
    fills: Vec<Fill<novate_client::AccountId>>,
    left: Vec<(Lots, CancelReason)>,
}

impl Outcome {
    fn filled(&self) -> Lots {
        self.fills.iter().map(|f| f.lots).sum()
    }

    fn fees(&self) -> Cash {
        self.fills.iter().map(|f| f.fee).sum()
    }

    fn value(&self, market: &Market) -> Cash {
        self.fills
            .iter()
            .map(|f| market.value(f.lots, f.ticks))
            .sum()
    }
}

/// Places an order and reports its fills, what rests and what left.
pub async fn place(session: &Session, wish: &args::Order) -> Result<Report> {
    let signer = session.signer()?;
    let chain = &session.chain;
    let best = chain.best().await?;
    let market = chain.market(&wish.market, Some(best.hash)).await?;
    let order = build(wish, &market, best.number)?;
    let operation = operation(wish, &market, order, best.number)?;
    let call = Call::submit(session.account.sub, &[operation]);
    if wish.no_wait {
        signer.send(&call).await?;
        let json = json!({ "sent": true, "client_id": order.client_id });
        return Ok(Report::new(
            json,
            format!("sent; client id {}", order.client_id),
        ));
    }
    let included = signer.execute(&call).await?;
    let outcome = match first_outcome(&included) {
        Some(Ok(Accepted::Placed(sequence))) => follow(session, &included, &market, sequence),
        Some(Ok(accepted)) => {
            let block = included.block.number;
            match (operation, accepted) {
                (Operation::PlaceTrigger(trigger), Accepted::Armed(sequence)) => {
                    return Ok(waiting(&market, &trigger, sequence, block));
                }
                (Operation::PlacePair { first, second }, Accepted::Paired(one, other)) => {
                    let first = match first {
                        Leg::Order(_) => {
                            let outcome = follow(session, &included, &market, one);
                            report(&market, &order, &outcome, block)
                        }
                        Leg::Trigger(trigger) => waiting(&market, &trigger, one, block),
                    };
                    let second = waiting(&market, &second, other, block);
                    return Ok(excluding(first, second));
                }
                (Operation::PlaceTwap(twap), Accepted::Scheduled(sequence)) => {
                    let outcome = follow(session, &included, &market, sequence);
                    return Ok(in_slices(&market, &twap, &outcome, block));
                }
                _ => return Err(no_outcome().into()),
            }
        }
        Some(Err(error)) => {
            let mut refused = refusal::of_order(&error, Some(&market), Some(&order));
            if error == OrderError::InsufficientMargin {
                refused.suggestion =
                    Some(match largest_affordable(session, &market, &order).await {
                        Some(lots) if order.reduce_only => format!("size {}", market.size(lots)),
                        Some(lots) => format!("size {}, or a deposit", market.size(lots)),
                        None if order.reduce_only => {
                            "the other side: there is no position that this side reduces".into()
                        }
                        None => "a deposit".into(),
                    });
            }
            return Err(refused.into());
        }
        None => return Err(no_outcome().into()),
    };
    // An order that left whole without a fill was refused, only later.
    if let (0, [(lots, reason)]) = (outcome.filled(), outcome.left.as_slice()) {
        if *lots == order.lots {
            return Err(refusal::of_cancel(*reason).into());
        }
    }
    Ok(report(&market, &order, &outcome, included.block.number))
}

fn no_outcome() -> Refusal {
    Refusal::plain("outcome", "the chain reported no outcome of the order")
}

/// What is done with the order: placed as it is, in parts or slices, or kept until the mark reaches a level, and what it excludes.
fn operation(
    wish: &args::Order,
    market: &Market,
    order: NewOrder,
    now: u32,
) -> Result<Operation, Refusal> {
    if let Some(display) = &wish.display {
        let display = market.lots(display)?;
        return Ok(Operation::PlaceIceberg { order, display });
    }
    if let Some(args::Plan { slices, interval }) = wish.twap {
        return Ok(Operation::PlaceTwap(NewTwap {
            order,
            slices,
            interval,
        }));
    }
    if let Some(follow) = &wish.peg {
        return Ok(Operation::PlacePegged(NewPegged {
            order,
            anchor: follow.anchor,
            offset: offset(follow, market)?,
        }));
    }
    let trigger = level(wish, market, order, now)?;
    let (direction, price) = match (&wish.or_when_falls_to, &wish.or_when_rises_to) {
        (Some(price), _) => (Direction::Down, price),
        (_, Some(price)) => (Direction::Up, price),
        (None, None) => {
            return Ok(trigger.map_or(Operation::Place(order), Operation::PlaceTrigger));
        }
    };
    let lasting = |expires: Option<u32>| Some(expires.unwrap_or(now.saturating_add(WEEK)));
    let second = NewTrigger {
        order: NewOrder {
            client_id: order.client_id.wrapping_add(1),
            price: OrderPrice::Market,
            time_in_force: TimeInForce::ImmediateOrCancel,
            reduce_only: true,
            ..order
        },
        direction,
        ticks: market.ticks(price)?,
        expires: lasting(wait(wish, now)?),
    };
    let first = match trigger {
        Some(trigger) => Leg::Trigger(NewTrigger {
            expires: lasting(trigger.expires),
            ..trigger
        }),
        None => Leg::Order(order),
    };
    Ok(Operation::PlacePair { first, second })
}

/// Ticks from what a limit follows.
fn offset(follow: &args::Follow, market: &Market) -> Result<i32, Refusal> {
    let at_it = follow.away.chars().all(|c| matches!(c, '0' | '.'));
    let ticks = if at_it {
        0
    } else {
        market.ticks(&follow.away)?
    };
    let ticks = i32::try_from(ticks).map_err(|_| {
        Refusal::new(
            "peg",
            format!("{} is too far from what it follows", follow.away),
            "--peg mark:0",
        )
    })?;
    Ok(if follow.below {
        ticks.saturating_neg()
    } else {
        ticks
    })
}

/// The order that the arguments describe, on the market's grid.
fn build(wish: &args::Order, market: &Market, now: u32) -> Result<NewOrder, Refusal> {
    if market.status() == MarketStatus::Halted {
        return Err(Refusal::new(
            "market_halted",
            format!("{} is halted and takes cancels only", market.symbol),
            "again when novate markets shows it open",
        ));
    }
    let side = Side::from(wish.side);
    let lots = market.lots(&wish.size)?;
    let price = match &wish.price {
        Some(text) => OrderPrice::Limit(market.ticks(text)?),
        None => OrderPrice::Market,
    };
    let ticks = match price {
        OrderPrice::Limit(ticks) => Some(ticks),
        OrderPrice::Market => market.mark_ticks(),
    };
    let Some(ticks) = ticks else {
        return Err(Refusal::new(
            "no_price",
            format!(
                "{} has no price yet, so a market order has no limit",
                market.symbol
            ),
            "--price",
        ));
    };
    if !wish.reduce_only {
        market.check_notional(lots, ticks)?;
    }
    let default = match price {
        OrderPrice::Limit(_) if wish.peg.is_some() => args::Tif::PostOnly,
        OrderPrice::Limit(_) if wish.twap.is_none() => args::Tif::Gtc,
        _ => args::Tif::Ioc,
    };
    let time_in_force = wish.tif.unwrap_or(default).at(now);
    let at_once = matches!(
        time_in_force,
        TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill
    );
    if price == OrderPrice::Market && !at_once {
        return Err(refusal::of_order(
            &OrderError::Contradiction,
            Some(market),
            None,
        ));
    }
    if let TimeInForce::GoodTilBlock(block) = time_in_force {
        if block <= now {
            return Err(Refusal::new(
                "expiry_past",
                format!("block {block} is past; the chain is at {now}"),
                format!("--tif gtt:{} or --tif gtt:60s", now.saturating_add(60)),
            ));
        }
    }
    Ok(NewOrder {
        market: market.id,
        client_id: wish.client_id.unwrap_or_else(clock_millis),
        side,
        lots,
        price,
        time_in_force,
        reduce_only: wish.reduce_only,
        self_trade_prevention: wish.stp.into(),
    })
}

/// The level that the order waits for, if it waits for one.
fn level(
    wish: &args::Order,
    market: &Market,
    order: NewOrder,
    now: u32,
) -> Result<Option<NewTrigger>, Refusal> {
    let (direction, price) = match (&wish.when_falls_to, &wish.when_rises_to) {
        (Some(price), _) => (Direction::Down, price),
        (_, Some(price)) => (Direction::Up, price),
        (None, None) if wish.or_when_falls_to.is_some() || wish.or_when_rises_to.is_some() => {
            return Ok(None);
        }
        (None, None) if wish.wait.is_some() => {
            return Err(Refusal::new(
                "no_level",
                "there is no level to wait for",
                "--when-falls-to or --when-rises-to",
            ));
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(NewTrigger {
        order,
        direction,
        ticks: market.ticks(price)?,
        expires: wait(wish, now)?,
    }))
}

/// The block until which a trigger waits, if it is to end.
fn wait(wish: &args::Order, now: u32) -> Result<Option<u32>, Refusal> {
    match wish.wait.map(|wait| wait.at(now)) {
        None | Some(TimeInForce::GoodTilCancelled) => Ok(None),
        Some(TimeInForce::GoodTilBlock(block)) => Ok(Some(block)),
        Some(_) => Err(Refusal::new(
            "wait",
            "a trigger waits until a block or for a time",
            "--wait gtt:24h",
        )),
    }
}

/// Says that a trigger waits.
fn waiting(market: &Market, trigger: &NewTrigger, sequence: Sequence, block: u32) -> Report {
    let order = &trigger.order;
    let level = market.price(trigger.ticks);
    let json = json!({
        "market": market.symbol,
        "side": order.side,
        "sequence": sequence,
        "client_id": order.client_id,
        "block": block,
        "size": market.size(order.lots),
        "waits_for": level,
        "direction": trigger.direction,
        "expires": trigger.expires,
    });
    let text = format!(
        "trigger {sequence} (client id {}): {} waits in block {block} for the mark to reach {level}\n",
        order.client_id,
        market.size(order.lots),
    );
    Report::new(json, text)
}

/// Says of two what they are, and that they exclude each other.
fn excluding(mut first: Report, second: Report) -> Report {
    first.json["excludes"] = second.json;
    first.text += &format!("or, whichever executes first: {}", second.text);
    first
}

/// Says what the first slice did, and when the others come.
fn in_slices(market: &Market, twap: &NewTwap, outcome: &Outcome, block: u32) -> Report {
    let end = block.saturating_add(twap.span());
    let slice = market.size(twap.slice().unwrap_or(0));
    let json = json!({
        "market": market.symbol,
        "side": twap.order.side,
        "sequence": outcome.sequence,
        "client_id": twap.order.client_id,
        "block": block,
        "size": market.size(twap.order.lots),
        "slices": twap.slices,
        "interval": twap.interval,
        "slice": slice,
        "filled": market.size(outcome.filled()),
        "fees": cash(outcome.fees()),
        "ends": end,
    });
    let text = format!(
        "order {} (client id {}): {} in {} slices of {slice}, {} blocks apart, until block {end}\n  filled  {} in block {block}\n",
        outcome.sequence,
        twap.order.client_id,
        market.size(twap.order.lots),
        twap.slices,
        twap.interval,
        market.size(outcome.filled()),
    );
    Report::new(json, text)
}

fn clock_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|d| u64::try_from(d.as_millis()).ok())
        .unwrap_or(0)
}

fn first_outcome(included: &Included) -> Option<std::result::Result<Accepted, OrderError>> {
    included.own().find_map(|event| match event {
        Event::Submitted { outcomes, .. } => outcomes.first().copied(),
        _ => None,
    })
}

/// Reads the order's fills and cancels out of the close of its block.
fn follow(session: &Session, included: &Included, market: &Market, sequence: Sequence) -> Outcome {
    let mut outcome = Outcome {
        sequence,
        fills: Vec::new(),
        left: Vec::new(),
    };
    for event in included.close() {
        match event {
            Event::Cleared {
                market: id, fills, ..
            } if *id == market.id => outcome.fills.extend(
                fills
                    .iter()
                    .filter(|f| f.account == session.account && f.sequence == sequence)
                    .cloned(),
            ),
            Event::Cancelled { market: id, orders } if *id == market.id => outcome.left.extend(
                orders
                    .iter()
                    .filter(|o| o.account == session.account && o.sequence == sequence)
                    .map(|o| (o.lots, o.reason)),
            ),
            _ => {}
        }
    }
    outcome
}

/// The largest size of the order that the account would cover, by halving: an estimate, as prices move. An order that only
/// reduces is never larger than the position.
async fn largest_affordable(session: &Session, market: &Market, order: &NewOrder) -> Option<Lots> {
    let at = Some(session.chain.best().await.ok()?.hash);
    if order.reduce_only {
        let held = session
            .chain
            .account(session.account, at)
            .await
            .ok()?
            .account
            .lots(market.id);
        let reduces = (held > 0) == (order.side == Side::Ask);
        return (held != 0 && reduces).then_some(held.unsigned_abs());
    }
    // Intake counts a fill at the worse of limit and mark.
    let mark = market.mark_ticks()?;
    let limit = match order.price {
        OrderPrice::Limit(ticks) => ticks,
        OrderPrice::Market => market.ticks_within(market_limit(market, order.side)?, order.side)?,
    };
    let ticks = match order.side {
        Side::Bid => limit.max(mark),
        Side::Ask => limit.min(mark),
    };
    let (mut low, mut high) = (0, order.lots);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        let lots = order.side.signed(middle)?;
        let trade = HypotheticalTrade {
            market: market.id,
            lots,
            ticks: Some(ticks),
        };
        let after = session
            .chain
            .simulate(session.account, &[trade], at)
            .await
            .ok()?;
        if after.assessment.covers_orders() {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    (low > 0).then_some(low)
}

/// Where a market order stops: half a percent from the mark.
fn market_limit(market: &Market, side: Side) -> Option<Price> {
    let away = if side == Side::Bid {
        MARKET_SLIPPAGE
    } else {
        -MARKET_SLIPPAGE
    };
    math::shift_floor(market.mark()?, away).ok()
}

fn report(market: &Market, order: &NewOrder, outcome: &Outcome, block: u32) -> Report {
    let filled = outcome.filled();
    let left: Lots = outcome.left.iter().map(|(lots, _)| lots).sum();
    let resting = order.lots.saturating_sub(filled).saturating_sub(left);
    let average = order
        .side
        .signed(filled)
        .filter(|lots| *lots != 0)
        .and_then(|lots| {
            let value = outcome.value(market);
            market.entry_price(lots, if lots < 0 { -value } else { value })
        });
    let json = json!({
        "market": market.symbol,
        "side": order.side,
        "sequence": outcome.sequence,
        "client_id": order.client_id,
        "block": block,
        "size": market.size(order.lots),
        "filled": market.size(filled),
        "average_price": average,
        "fees": cash(outcome.fees()),
        "resting": market.size(resting),
        "fills": outcome.fills.iter().map(|f| json!({
            "price": market.price(f.ticks), "size": market.size(f.lots), "role": f.role,
            "fee": cash(f.fee),
        })).collect::<Vec<Value>>(),
        "left": outcome.left.iter().map(|(lots, reason)| json!({
            "size": market.size(*lots), "reason": reason,
        })).collect::<Vec<Value>>(),
    });
    let verb = match order.side {
        Side::Bid => "buy",
        Side::Ask => "sell",
    };
    let mut text = format!(
        "order {} (client id {}): {verb} {} {} in block {block}\n",
        outcome.sequence,
        order.client_id,
        market.size(order.lots),
        market.symbol
    );
    for fill in &outcome.fills {
        text += &format!(
            "  filled  {} at {} as {:?}, fee {}\n",
            market.size(fill.lots),
            market.price(fill.ticks),
            fill.role,
            cash(fill.fee)
        );
    }
    if let Some(average) = average.filter(|_| outcome.fills.len() > 1) {
        text += &format!("  average {average}, fees {}\n", cash(outcome.fees()));
    }
    for (lots, reason) in &outcome.left {
        text += &format!(
            "  left    {}: {}\n",
            market.size(*lots),
            refusal::of_cancel(*reason)
        );
    }
    if resting > 0 {
        text += &format!("  rests   {}\n", market.size(resting));
    }
    Report::new(json, text)
}

/// Cancels one order or many.
pub async fn cancel(session: &Session, operation: Operation) -> Result<Report> {
    let signer = session.signer()?;
    let included = signer
        .execute(&Call::submit(session.account.sub, &[operation]))
        .await?;
    let block = included.block.number;
    match first_outcome(&included) {
        Some(Ok(Accepted::Cancelled(orders))) => {
            let json = json!({ "cancelled": orders, "block": block });
            Ok(Report::new(
                json,
                format!("cancelled {orders} orders in block {block}"),
            ))
        }
        Some(Err(error)) => {
            let mut refused = refusal::of_order(&error, None, None);
            if error == OrderError::NoSuchOrder {
                let open = session.account_info().await?.open_orders;
                let known: Vec<String> = open
                    .iter()
                    .take(5)
                    .map(|o| format!("--sequence {} (client id {})", o.sequence, o.client_id))
                    .collect();
                refused.suggestion = (!known.is_empty()).then(|| known.join(" or "));
            }
            Err(refused.into())
        }
        _ => Err(Refusal::plain("outcome", "the chain reported no outcome of the cancel").into()),
    }
}
