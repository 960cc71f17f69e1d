//! What the remedies do, by hand-worked and golden numbers; what the index never misses, by exhaustive scan; attacks; drift.

mod adl;
mod ahead;
mod attacks;
mod call;
mod competition;
mod drift;
mod ending;
mod index;
mod long_options;
mod portfolio;
mod quoting;
mod remedies;
mod shared_loss;
mod shares;
mod stress;

use crate::mock::*;
use novate_types::*;
use proptest::prelude::ProptestConfig;

/// A long of 10 lots at 100 with 100 USD of cash, against a short with plenty. Equity at mark P is `10·P − 900`, maintenance
/// `P/2`: it is due below 94.73, deeply short below 93.10, bankrupt below 90.
const LONG: u64 = 10;
const SHORT: u64 = 11;

fn a_pair() {
    deposit(LONG, usd(100));
    deposit(SHORT, usd(10_000));
    trade(LONG, SHORT, 0, 10, 100);
}

/// So many cases, or as many as the environment's PROPTEST_CASES says.
fn cases(cases: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_some() {
        asked
    } else {
        ProptestConfig { cases, ..asked }
    }
}

/// A long lot of market 0 owes so many quantums more, a short one is owed them.
fn fund(view: &mut RiskView, per_lot: Cash) {
    view.markets[0]
        .accrue_funding(per_lot << FUNDING_FRACTION_BITS)
        .unwrap();
}

fn standing(owner: u64) -> Standing {
    account(owner).standing
}
