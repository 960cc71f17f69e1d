//! The chain's refusals in words: the rule, and the nearest thing that would have been taken.

use crate::{
    decimal::cash,
    event::{OrderError, RequestRefusal},
    Error, Market, Refusal,
};
use novate_types::{CancelReason, LedgerError, NewOrder};
use subxt::error::DispatchError;

/// Why the pool did not take a transaction.
pub(crate) fn of_pool(error: subxt::rpcs::Error) -> Error {
    let subxt::rpcs::Error::User(user) = &error else {
        return error.into();
    };
    let data = user
        .data
        .as_ref()
        .map(|d| d.get().trim_matches('"'))
        .unwrap_or_default();
    match user.code {
        1010 if data.contains("fees") => Refusal::new(
            "fees",
            "the account cannot pay the transaction's fee",
            "an account that holds the chain's token, or send it some",
        )
        .into(),
        1010..=1016 => {
            let detail = if data.is_empty() { &user.message } else { data };
            Error::NotIncluded(format!("the pool refused it: {detail}"))
        }
        _ => error.into(),
    }
}

/// A dispatch error that no pallet of ours raised.
pub(crate) fn of_dispatch(error: &DispatchError) -> Refusal {
    match error {
        DispatchError::Token(_) => Refusal::new(
            "wallet_balance",
            format!("the wallet does not hold that much: {error}"),
            "a smaller amount",
        ),
        other => Refusal::plain("dispatch", other.to_string()),
    }
}

/// A pallet's error. Its documentation says what to do, and travels in the metadata.
pub(crate) fn of_module(pallet: &str, name: &str, docs: &str) -> Refusal {
    let docs = docs.trim().trim_end_matches('.');
    let rule = format!("{pallet}.{name}");
    if docs.is_empty() {
        Refusal::plain(rule.clone(), format!("the chain refused it: {rule}"))
    } else {
        Refusal::plain(rule, docs.to_owned())
    }
}

/// Why an order operation was refused. `order` is the order that was placed, if one was.
pub fn of_order(error: &OrderError, market: Option<&Market>, order: Option<&NewOrder>) -> Refusal {
    use OrderError as E;
    let rule = rule_of(error);
    let lot = market.map_or_else(|| "one lot".into(), |m| format!("size {}", m.lot()));
    let tick = market.map_or_else(|| "one tick".into(), |m| format!("price {}", m.tick()));
    let client = order.map_or(0, |o| o.client_id);
    let (message, suggestion): (String, Option<String>) = match error {
        E::UnknownMarket => {
            ("the market is not listed".into(), Some("one that novate markets shows".into()))
        }
        E::MarketHalted => (
            "the market is halted and takes cancels only".into(),
            Some("again when novate markets shows it open".into()),
        ),
        E::MarketReduceOnly => (
            "the market takes only orders that reduce the account's position".into(),
            Some("--reduce-only with at most the position's size, on the other side".into()),
        ),
        E::NoPrice => (
            "the market has no price yet".into(),
            Some("again when novate prices shows one".into()),
        ),
        E::ZeroLots => ("the size is zero".into(), Some(lot)),
        E::ZeroPrice => ("the price is zero".into(), Some(tick)),
        E::OutOfRange => {
            ("size times price is beyond what a position can be".into(), Some("a smaller size".into()))
        }
        E::BelowMinNotional => {
            let near = market.zip(order).and_then(|(m, o)| {
                let limit = match o.price {
                    novate_types::OrderPrice::Limit(ticks) => ticks,
                    novate_types::OrderPrice::Market => m.mark_ticks()?,
                };
                // Intake counts the lower of limit and mark.
                let ticks = m.mark_ticks().map_or(limit, |mark| mark.min(limit));
                m.check_notional(o.lots, ticks).err()
            });
            match near {
                Some(near) => (near.message, near.suggestion),
                None => (
                    "the order is worth less than the market's least notional, or an option's premium less than a hundredth of it".into(),
                    None,
                ),
            }
        }
        E::DuplicateClientId => (
            format!("an open order of the account has client id {client}"),
            Some(format!("--client-id {}", client.wrapping_add(1))),
        ),
        E::ClientIdCancelled => (
            format!("an order with client id {client} was cancelled in this very block"),
            Some(format!("--client-id {}, or the next block", client.wrapping_add(1))),
        ),
        E::TooManyOrders => (
            format!("the account has {} open orders, the most there can be", novate_types::MAX_OPEN_ORDERS),
            Some("novate cancel first".into()),
        ),
        E::TooManyMarkets => (
            "the account has positions and orders in the most markets there can be".into(),
            Some("leaving one first".into()),
        ),
        E::QuotaExceeded => (
            "the account's quota of new orders for this block is used up".into(),
            Some("the rest in the next block".into()),
        ),
        E::NotTrading => (
            "the account is being liquidated or deleveraged: it can cancel and deposit, nothing else".into(),
            Some("novate deposit".into()),
        ),
        E::InsufficientMargin => (
            "initial margin with this order is not covered, and it does not reduce risk".into(),
            Some("a deposit, or a smaller size".into()),
        ),
        E::ExpiryPast => {
            ("the block of expiry is past".into(), Some("--tif gtt:60s, or a later block".into()))
        }
        E::ExpiryTooFar => (
            "the block of expiry is too far ahead".into(),
            Some("an earlier block, or --tif gtc".into()),
        ),
        E::Contradiction => (
            "a market order executes at once or not at all, a slice at once; an iceberg rests".into(),
            Some("--tif ioc or fok, or --price for an order that rests".into()),
        ),
        E::NoSuchOrder => (
            "the account has no such open order: it never was, filled, or left".into(),
            Some("one that novate account shows".into()),
        ),
        E::NothingToChange => ("the order is already so".into(), None),
        E::Risk(risk) => (format!("the account could not be assessed: {risk:?}"), None),
        E::TooManyTriggers => (
            format!("the account has {} triggers, the most there can be", novate_types::MAX_TRIGGERS),
            Some("novate cancel first".into()),
        ),
        E::TriggerMet => (
            "the mark is at the level already, or beyond it".into(),
            Some("the order itself, or a level on the other side of the mark".into()),
        ),
        E::TriggersWaiting => (
            "triggers of this level fired before and are still to be worked off".into(),
            Some("again in a later block, or a level that the mark has not reached".into()),
        ),
        E::TriggerNotAmended => (
            "neither a trigger nor an order in slices nor a pegged one is ever amended".into(),
            Some("novate cancel, and another with a new --client-id".into()),
        ),
        E::NothingToReduce => ("there was no position that it would have reduced".into(), None),
        E::BadDisplay => (
            "an iceberg shows at least one lot, and not all of them".into(),
            Some("a --display smaller than the size".into()),
        ),
        E::PairApart => (
            "two that exclude each other are of one market".into(),
            Some("the same market for both".into()),
        ),
        E::PairWithoutExpiry => (
            "a trigger that excludes another needs a block of expiry".into(),
            Some("--wait gtt:24h".into()),
        ),
        E::BadSchedule => (
            "an order in slices has at least two, a block or more apart, and a lot for each".into(),
            Some("fewer slices, a longer time or a greater size, such as --twap 10m/20".into()),
        ),
        E::TooManyArrangements => (
            format!(
                "the account has {} icebergs, pairs, pegged orders and orders in slices, the most there can be",
                novate_types::MAX_ARRANGEMENTS
            ),
            Some("novate cancel first".into()),
        ),
        E::BadPeg => (
            "a pegged order is post-only and has a limit, its worst".into(),
            Some("--price for its worst limit, and no --tif".into()),
        ),
        E::NothingToFollow => (
            "there is no price that it could follow".into(),
            Some("--peg mark, or again once an order of its side has stood for two blocks".into()),
        ),
        E::CallPhase => (
            "the market collects orders for a call auction, and takes only such as rest".into(),
            Some("--price and no --tif, or again after the auction that novate markets shows".into()),
        ),
        E::Uncrossing => (
            "the market's auction has begun and is not done, and takes no order until it is; cancels it does".into(),
            Some("again in a later block".into()),
        ),
        E::PremiumNotCovered => (
            "cash does not pay for all the options that the account bids for; collateral does not count".into(),
            Some("novate deposit, or a smaller size".into()),
        ),
        E::CombinationNotReduced => (
            "nobody holds a position in a combination, so that nothing reduces one".into(),
            Some("no --reduce-only, or an order in a leg's own market".into()),
        ),
        E::TooManyScans => (
            "assessing the account's options for so many orders takes more than one extrinsic may".into(),
            Some("the rest in another, or orders in fewer markets".into()),
        ),
    };
    Refusal {
        rule,
        message,
        suggestion,
    }
}

fn rule_of(error: &OrderError) -> String {
    if matches!(error, OrderError::Risk(_)) {
        return "risk".into();
    }
    let mut rule = String::new();
    for c in format!("{error:?}").chars() {
        if c.is_ascii_uppercase() && !rule.is_empty() {
            rule.push('_');
        }
        rule.push(c.to_ascii_lowercase());
    }
    rule
}

/// Why the close dropped a withdrawal, a transfer or a deposit for somebody. `text` prints an amount of its asset.
pub fn of_request(refusal: &RequestRefusal, text: impl Fn(u128) -> String) -> Refusal {
    use RequestRefusal as R;
    let largest = |amount: u128| {
        if amount == 0 {
            "closing a position or cancelling orders first".to_owned()
        } else {
            text(amount)
        }
    };
    match refusal {
        R::UnderLiquidation => Refusal::new(
            "under_liquidation",
            "the account is being liquidated or deleveraged",
            "novate deposit first",
        ),
        R::Paused => Refusal::new(
            "paused",
            "an uncovered deficit exceeds the insurance fund, and nothing is paid out until it is covered",
            "again later",
        ),
        R::StalePrice => Refusal::new(
            "stale_price",
            "something the account holds has no fresh price",
            "again when novate prices shows one",
        ),
        R::InsufficientCash { held } => Refusal::new(
            "insufficient_cash",
            format!("the account holds {} USDC in cash; profit that is not realised stays", cash(*held)),
            largest(u128::try_from(*held).unwrap_or(0)),
        ),
        R::InsufficientCollateral { held } => Refusal::new(
            "insufficient_collateral",
            format!("the account holds {}", text(*held)),
            largest(*held),
        ),
        R::InsufficientMargin { at_most } => Refusal::new(
            "insufficient_margin",
            format!("initial margin with orders would not be covered; {} USDC may leave", cash(*at_most)),
            largest(u128::try_from(*at_most).unwrap_or(0)),
        ),
        R::NoRecipient => Refusal::new(
            "no_recipient",
            "the account credited was never opened",
            "after its owner's first deposit",
        ),
        R::Ledger(LedgerError::Lent) => Refusal::new(
            "pot_lent",
            "the liquidity pot has lent it out, or keeps it beside what it lent",
            "fewer shares, or again when debts are repaid: novate pot",
        ),
        R::LoanCap { at_most } => Refusal::new(
            "loan_cap",
            format!(
                "the account may owe no more, or the liquidity pot lends no more; {} USDC may leave",
                cash(*at_most)
            ),
            largest(u128::try_from(*at_most).unwrap_or(0)),
        ),
        R::Ledger(e) => Refusal::plain("ledger", format!("the ledger refused it: {e:?}")),
        R::Storage => Refusal::plain("storage", "the chain could not write it"),
    }
}

/// Why an order left without having filled, and what to do about it.
pub fn of_cancel(reason: CancelReason) -> Refusal {
    let (rule, message, suggestion) = match reason {
        CancelReason::Requested => ("requested", "cancelled as asked", None),
        CancelReason::Replaced => ("replaced", "replaced by its amendment", None),
        CancelReason::Expired => ("expired", "its time was up", None),
        CancelReason::NotImmediate => (
            "not_immediate",
            "nobody was there to trade with within its limit",
            Some("a limit nearer to the market, or --tif gtc to wait"),
        ),
        CancelReason::WouldCross => (
            "would_cross",
            "it is post-only and would have taken",
            Some("a price farther from the market, or --tif gtc"),
        ),
        CancelReason::Touching => (
            "touching",
            "it touched an opposite order after the match",
            Some("again in the next block"),
        ),
        CancelReason::SelfTrade => (
            "self_trade",
            "it would have traded with the owner's own order",
            Some("--stp cancel-oldest, or cancelling the other order first"),
        ),
        CancelReason::NothingToReduce => (
            "nothing_to_reduce",
            "it is reduce-only and there was no position left to reduce",
            None,
        ),
        CancelReason::InsufficientMargin => (
            "insufficient_margin",
            "its fills would have left the account without margin",
            Some("a deposit, or a smaller size"),
        ),
        CancelReason::Liquidation => ("liquidation", "the account is being liquidated", None),
        CancelReason::MarketRestricted => (
            "market_restricted",
            "the market took no new risk at its close",
            Some("again when novate markets shows it open"),
        ),
        CancelReason::BookFull => (
            "book_full",
            "the book was full on that side, and it was the farthest from the market",
            Some("a price nearer to the market"),
        ),
        CancelReason::NotWhole => (
            "not_whole",
            "it is fill-or-kill, and not all of it could execute",
            Some("a smaller size, or --tif ioc to take what there is"),
        ),
        CancelReason::OtherExecuted => (
            "other_executed",
            "the other one of its pair executed, or fired",
            None,
        ),
    };
    Refusal {
        rule: rule.into(),
        message: message.into(),
        suggestion: suggestion.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::tests::btc_perp;
    use novate_types::{OrderPrice, SelfTradePrevention, Side, TimeInForce};

    fn order(lots: u64) -> NewOrder {
        NewOrder {
            market: 1,
            client_id: 7,
            side: Side::Bid,
            lots,
            price: OrderPrice::Limit(40_000),
            time_in_force: TimeInForce::GoodTilCancelled,
            reduce_only: false,
            self_trade_prevention: SelfTradePrevention::CancelNewest,
        }
    }

    #[test]
    fn order_refusals_name_the_rule_and_the_nearest_valid_input() {
        let market = btc_perp();
        let refusal = of_order(
            &OrderError::DuplicateClientId,
            Some(&market),
            Some(&order(10)),
        );
        assert_eq!(refusal.rule, "duplicate_client_id");
        assert_eq!(refusal.suggestion.as_deref(), Some("--client-id 8"));

        let refusal = of_order(
            &OrderError::BelowMinNotional,
            Some(&market),
            Some(&order(1)),
        );
        assert_eq!(refusal.rule, "below_min_notional");
        assert_eq!(refusal.suggestion.as_deref(), Some("size 0.0005"));

        let refusal = of_order(&OrderError::ZeroPrice, Some(&market), None);
        assert_eq!(refusal.suggestion.as_deref(), Some("price 0.5"));
    }

    #[test]
    fn withdrawal_is_refused_with_the_largest_amount_that_may_leave() {
        let text = |units| format!("{} USDC", crate::decimal::unsigned_units(units, 6));
        let refusal = of_request(
            &RequestRefusal::InsufficientMargin { at_most: 1_500_000 },
            text,
        );
        assert_eq!(refusal.suggestion.as_deref(), Some("1.5 USDC"));
        let refusal = of_request(&RequestRefusal::InsufficientCash { held: -5 }, text);
        assert!(refusal.message.contains("-0.000005"));
        assert!(refusal.suggestion.is_some_and(|s| s.contains("closing")));
    }

    #[test]
    fn pallet_errors_speak_through_their_documentation() {
        let refusal = of_module(
            "Margin",
            "NoAccount",
            " The account was never opened. Deposit first. ",
        );
        assert_eq!(
            refusal.to_string(),
            "The account was never opened. Deposit first"
        );
        assert_eq!(
            of_module("A", "B", "").to_string(),
            "the chain refused it: A.B"
        );
    }
}
