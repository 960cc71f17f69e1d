//! Golden numbers of deleveraging (`vectors/README.md` names the source), of the kind that is ours: `queue`, a position closed in full, at
//! its bankruptcy price, against one counterparty after another. The `prorata` kinds charge a deficit to everybody who profits, which we
//! do not: they are left out.
//!
//! The bankruptcy price, who pays what at it, and what is left are theirs to the quantum. Two rules differ, and each case says which of them
//! it shows ([`CASES`]):
//!
//! - *the order*: theirs is by profit times leverage of the whole account, ours by profit over cost (section 7), which is the entry price:
//!   it needs no look at an account that is not reached, and nobody moves in it but by trading;
//! - *the end*: they stop at accounts that do not profit and leave the rest of the position open; ours is closed "in full", against those
//!   across who lose, too, as long as they stay above maintenance margin.

use super::*;
use crate::Event;
use novate_risk::apply_trade;
use serde_json::Value;

const VECTORS: &str = include_str!("vectors/adl.json");
const BANKRUPT: u64 = 1_000;

/// How a case of theirs comes out here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ours {
    /// The same accounts close the same lots.
    Same,
    /// The same, and then others who do not profit.
    GoesOn,
    /// Others come first.
    OtherOrder,
}

/// All cases of the kind.
const CASES: [(&str, Ours); 10] = [
    ("adl/queue/015", Ours::OtherOrder),
    ("adl/queue/018", Ours::Same),
    ("adl/queue/024", Ours::OtherOrder),
    ("adl/queue/026", Ours::Same),
    ("adl/queue/034", Ours::Same),
    ("adl/queue/037", Ours::GoesOn),
    ("adl/queue/040", Ours::OtherOrder),
    ("adl/queue/053", Ours::GoesOn),
    ("adl/queue/059", Ours::GoesOn),
    ("adl/queue/060", Ours::Same),
];

/// A decimal string in units of 10^−`digits`; what is finer is cut off.
fn scaled(value: &Value, digits: usize) -> i128 {
    let text = value.as_str().expect("numbers are strings");
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let rest: String = rest
        .chars()
        .chain("0".repeat(digits).chars())
        .take(digits)
        .collect();
    format!("{whole}{rest}").parse().expect("a decimal number")
}

/// Sizes and prices have two decimals: lots of 0.01 units, ticks of 0.01 USD, 100 quantums for both.
fn lots(value: &Value) -> SignedLots {
    scaled(value, 2) as SignedLots
}

fn cash(value: &Value) -> Cash {
    scaled(value, 6)
}

/// What `lots` are worth at a price.
fn value_of(lots: SignedLots, price: &Value) -> Cash {
    i128::from(lots) * scaled(price, 2) * 100
}

/// An account with a position that cost `cost`.
fn open(owner: u64, cash: Cash, lots: SignedLots, cost: Cash) {
    let view = StoredView::view();
    StoredLedger::settle(&of(owner), &view, true, |account| {
        account.cash = cash;
        apply_trade(account, view.market(0)?, lots, cost)?;
        Ok::<_, LedgerError>(())
    })
    .unwrap();
}

/// Rows of a table.
fn rows(table: &Value) -> &[Value] {
    table.as_array().expect("a table")
}

/// Who is closed against the bankrupt account, in turn: owner, lots, and what the bankrupt account paid.
fn deleveraged() -> Vec<(u64, Lots, Cash)> {
    let of = |event| match event {
        Event::Deleveraged {
            account,
            counterparty,
            lots,
            value,
            ..
        } => {
            assert_eq!(account, super::of(BANKRUPT));
            Some((counterparty.owner, lots, value))
        }
        _ => None,
    };
    events().into_iter().filter_map(of).collect()
}

/// Plays a case, and says how it came out.
fn play(id: &str, case: &Value) -> Ours {
    let (input, out) = (&case["in"], &case["out"]);
    let mut view = a_view();
    for market in view.markets.iter_mut().filter(|market| market.id == 0) {
        market.tick_size = Price::from_rational(1, 100);
        market.lot_size = Price::from_rational(1, 100);
        market.tick_value = 100;
        market.mark = Price::from_inner(scaled(&input["mark"], 18) as u128);
        market.index = market.mark;
        // Nobody but the bankrupt account is to be liquidated.
        (market.imf, market.mmf) = (20_000, 10_000);
    }
    View::put(&view);
    deposit(FUND, 0);
    let mut owners = Vec::new();
    for row in rows(&input["accounts"]) {
        let owner = scaled(&row[0], 0) as u64;
        let held = lots(&row[1]);
        open(owner + 10, cash(&row[3]), held, value_of(held, &row[2]));
        owners.push((owner + 10, held, row));
    }
    let size = lots(&input["bankrupt_size"]);
    open(
        BANKRUPT,
        cash(&input["bankrupt_equity"]),
        size,
        value_of(size, &input["mark"]),
    );
    for (owner, ..) in &owners {
        assert!(!assess(*owner).is_below_maintenance(), "{id}: {owner}");
    }
    events();
    let sums = totals();
    close(|_| ());
    assert_eq!(totals(), sums, "{id}");

    let slices = deleveraged();
    let closed: Lots = slices.iter().map(|(_, lots, _)| lots).sum();
    // Each pays the bankruptcy price, which the vectors give to 40 digits: rounded once a slice, at most.
    for (owner, lots, value) in &slices {
        let (_, held, row) = owners.iter().find(|(known, ..)| known == owner).unwrap();
        assert!(held.signum() == -size.signum(), "{id}: {owner}");
        assert!(*lots <= held.unsigned_abs(), "{id}: {owner}");
        // Lots of a hundredth unit: the product is in hundredths of a quantum.
        let price = cash(&out["bankruptcy_price"]);
        let signed = i128::from(*lots) * -i128::from(size.signum());
        let exact = price * signed;
        // The price is cut off at a quantum for a whole unit.
        let slack = i128::from(*lots) + 200;
        assert!(
            (value * 100 - exact).abs() <= slack,
            "{id}: {owner}: {value}"
        );
        // Realised by whoever is across: what it got less what those lots had cost it.
        let cost = value_of(signed as SignedLots, &row[2]);
        let gained = account(*owner).cash - cash(&row[3]);
        assert!(
            (gained - (value - cost)).abs() <= 1,
            "{id}: {owner}: {gained}"
        );
    }
    let left = account(BANKRUPT).lots(0).unsigned_abs();
    assert_eq!(left + closed, size.unsigned_abs(), "{id}");

    // Theirs: owner, lots, profit, loss against the mark.
    let theirs: Vec<_> = rows(&out["fills"])
        .iter()
        .map(|row| {
            (
                scaled(&row[0], 0) as u64 + 10,
                lots(&row[1]).unsigned_abs(),
                row,
            )
        })
        .collect();
    let same = |(ours, theirs): (&(u64, Lots, Cash), &(u64, Lots, &Value))| {
        (ours.0, ours.1) == (theirs.0, theirs.1)
    };
    // Equals are in the order of their numbers there, of a hash here.
    let mut ours = slices.clone();
    if id == "adl/queue/060" {
        ours.sort_unstable();
    }
    let begins_alike = ours.len() >= theirs.len() && ours.iter().zip(&theirs).all(same);
    let is_full = left == 0;
    match begins_alike {
        true if ours.len() == theirs.len() => {
            assert_eq!(left, lots(&out["unfilled"]).unsigned_abs(), "{id}");
            for ((owner, lots, value), (_, _, row)) in ours.iter().zip(&theirs) {
                let gained = account(*owner).cash - owners_cash(&owners, *owner);
                assert!((gained - cash(&row[2])).abs() <= 2, "{id}: {owner}");
                let at_mark = value_of(*lots as SignedLots, &input["mark"]);
                let lost = (at_mark - value.abs()).abs();
                assert!((lost - cash(&row[3])).abs() <= 2, "{id}: {owner}");
            }
            Ours::Same
        }
        true => {
            assert!(lots(&out["unfilled"]) != 0, "{id}: they had more to close");
            assert!(is_full || ours.len() == across(&owners, size), "{id}");
            Ours::GoesOn
        }
        false => {
            // The best entry prices, whatever the leverage; and no less is closed than there.
            let mut by_entry: Vec<_> = owners
                .iter()
                .filter(|(_, held, _)| held.signum() == -size.signum())
                .map(|(owner, held, row)| {
                    (-scaled(&row[2], 2) * i128::from(size.signum()), owner, held)
                })
                .collect();
            by_entry.sort_unstable_by_key(|(entry, ..)| *entry);
            let first: Vec<_> = by_entry.iter().map(|(_, owner, _)| **owner).collect();
            let reached: Vec<_> = ours.iter().map(|(owner, ..)| *owner).collect();
            assert_eq!(reached, first[..reached.len()], "{id}");
            assert!(is_full, "{id}");
            Ours::OtherOrder
        }
    }
}

type Owner<'a> = (u64, SignedLots, &'a Value);

fn owners_cash(owners: &[Owner<'_>], owner: u64) -> Cash {
    let found = owners.iter().find(|(known, ..)| *known == owner);
    cash(&found.expect("it is known").2[3])
}

/// Accounts on the other side of a position.
fn across(owners: &[Owner<'_>], size: SignedLots) -> usize {
    let is_across = |(_, held, _): &&Owner<'_>| held.signum() == -size.signum();
    owners.iter().filter(is_across).count()
}

#[test]
fn deleveraging_is_the_vectors_where_rules_agree_when_one_account_is_bankrupt() {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    let queue = file["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["kind"] == "queue");
    let played: Vec<_> = queue
        .map(|case| {
            let id = case["id"].as_str().unwrap();
            (id, new_test_ext().execute_with(|| play(id, case)))
        })
        .collect();
    assert_eq!(played, CASES);
}
