//! What a long run must have seen: every kind of event of the exchange's pallets, every call done, every operation taken, and every reason
//! to refuse one, as their types name them. What is new is therefore asked for without anybody's adding it here.

use super::world::Tally;
use codec::Encode;
use novate_runtime::{RuntimeCall, RuntimeEvent};
use pallet_order_book::OrderError;
use scale_info::{Type, TypeDef, TypeInfo};
use std::{collections::BTreeMap, sync::OnceLock};

/// The exchange's pallets.
const PALLETS: &[&str] = &[
    "Instruments",
    "Oracle",
    "Margin",
    "OrderBook",
    "Clearing",
    "Liquidation",
];

/// What cannot happen, or not in this world, and why.
const EXCEPT: &[(&str, &str)] = &[
    (
        "called Instruments.delist_market",
        "no market is vacant: what does not expire is listed for ever",
    ),
    (
        "refused NoPrice",
        "a market without a price is halted, and refuses as such first",
    ),
    ("refused Risk", "a failure of its own"),
    ("Clearing.MatchAbandoned", "a failure of its own"),
    ("Liquidation.FoundBySweep", "a failure of its own"),
    (
        "called Oracle.observe",
        "the validator's: it is part of every block",
    ),
];

/// Names by the first two bytes of what is encoded.
type Names = BTreeMap<(u8, u8), String>;

fn variants(of: &Type) -> Vec<(u8, &'static str, Vec<Type>)> {
    match &of.type_def {
        TypeDef::Variant(all) => all
            .variants
            .iter()
            .map(|v| {
                let fields = v.fields.iter().map(|field| field.ty.type_info());
                (v.index, v.name, fields.collect())
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn names_of<E: TypeInfo>() -> Names {
    let mut names = Names::new();
    for (pallet, name, fields) in variants(&E::type_info()) {
        for (index, variant, _) in fields.iter().flat_map(variants) {
            names.insert((pallet, index), format!("{name}.{variant}"));
        }
    }
    names
}

fn events() -> &'static Names {
    static NAMES: OnceLock<Names> = OnceLock::new();
    NAMES.get_or_init(names_of::<RuntimeEvent>)
}

fn calls() -> &'static Names {
    static NAMES: OnceLock<Names> = OnceLock::new();
    NAMES.get_or_init(names_of::<RuntimeCall>)
}

fn name(names: &Names, encoded: &[u8]) -> String {
    let at = (encoded[0], encoded[1]);
    names.get(&at).cloned().unwrap_or_default()
}

/// An event's pallet and kind.
pub fn event(event: &RuntimeEvent) -> String {
    name(events(), &event.encode())
}

/// A call's pallet and name: of what governance sends, the call inside.
pub fn call(call: &RuntimeCall) -> String {
    match call {
        RuntimeCall::Sudo(pallet_sudo::Call::sudo { call }) => name(calls(), &call.encode()),
        call => name(calls(), &call.encode()),
    }
}

/// The first word of what `Debug` says.
pub fn word(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    let end = text.find([' ', '(', '{']).unwrap_or(text.len());
    text[..end].to_string()
}

/// What a run of any length has to see and did not.
pub fn unseen(tally: &Tally) -> Vec<String> {
    let exchange = |names: &'static Names| {
        let is_ours = |name: &&String| {
            let pallet = name.split('.').next().unwrap_or("");
            PALLETS.contains(&pallet)
        };
        names.values().filter(is_ours)
    };
    let events = exchange(events()).cloned();
    let calls = exchange(calls()).map(|name| format!("called {name}"));
    let refusals = variants(&OrderError::type_info()).into_iter();
    let refusals = refusals.map(|(_, name, _)| format!("refused {name}"));
    let operations = variants(&novate_types::Operation::type_info()).into_iter();
    let operations = operations.map(|(_, name, _)| format!("did {name}"));
    let arrangements = [
        "iceberg showed more",
        "trigger fired",
        "trigger fired in vain",
        "slice came in",
        "slice refused",
        "TWAP ended",
        "position settled",
        "margined by scan",
        "liquidated by scan",
    ];
    events
        .chain(calls)
        .chain(refusals)
        .chain(operations)
        .chain(arrangements.map(String::from))
        .filter(|name| !tally.contains_key(name))
        .filter(|name| EXCEPT.iter().all(|(known, _)| known != name))
        .collect()
}
