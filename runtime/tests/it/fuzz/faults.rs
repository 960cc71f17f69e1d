//! Errors put into storage on purpose, one and more for each equality: what would not find these would find nothing.

use crate::common::*;
use frame_support::traits::{
    fungibles::Mutate as _,
    tokens::{Fortitude, Precision, Preservation},
};
use novate_runtime::{
    configs::exchange::{BTC, BTC_FEED, USDC, USDT},
    Assets, Margin, Runtime,
};
use novate_types::{MarginAccount, Pot, Standing};
use pallet_liquidation::pages::Shelf;

/// One error.
pub struct Fault {
    pub name: &'static str,
    inject: fn(),
    /// What is said of it.
    pub found: &'static str,
}

impl Fault {
    /// Puts it into storage. Panics where there is nothing to falsify.
    pub fn inject(&self) {
        (self.inject)();
    }
}

/// Changes the first account of which `has` is true.
fn falsify(has: impl Fn(&MarginAccount) -> bool, change: impl FnOnce(&mut MarginAccount)) {
    let found = accounts().into_iter().find(|(_, account)| has(account));
    let (of, mut account) = found.expect("an account to falsify");
    change(&mut account);
    pallet_margin::Accounts::<Runtime>::insert(of, account);
}

fn has_position(account: &MarginAccount) -> bool {
    !account.positions.is_empty()
}

fn has_orders(account: &MarginAccount) -> bool {
    !account.orders.is_empty()
}

/// Falsifies the first value of a storage map.
macro_rules! first {
    ($map:ty) => {
        <$map>::iter().next().expect("an entry to falsify")
    };
}

/// All of them. The first [`EQUALITIES`] break an equality of conservation.
pub const FAULTS: &[Fault] = &[
    Fault {
        name: "a lot more of a position",
        inject: || falsify(has_position, |account| account.positions[0].lots += 1),
        found: "equality 1",
    },
    Fault {
        name: "a position lost",
        inject: || {
            falsify(has_position, |account| {
                let position = account.positions.remove(0);
                account.cash -= position.cost;
            })
        },
        found: "equality 1",
    },
    Fault {
        name: "a quantum of cash more",
        inject: || falsify(|_| true, |account| account.cash += 1),
        found: "equality 2",
    },
    Fault {
        name: "a quantum of cost less",
        inject: || falsify(has_position, |account| account.positions[0].cost -= 1),
        found: "equality 2",
    },
    Fault {
        name: "a quantum less in a pot",
        inject: || pallet_margin::Pots::<Runtime>::mutate(Pot::Fees, |held| *held -= 1),
        found: "equality 2",
    },
    Fault {
        name: "a quantum more of deposits than there were",
        inject: || pallet_margin::Custody::<Runtime>::mutate(USDC, |held| *held -= 1),
        found: "equality 2",
    },
    Fault {
        name: "a quantum gone from custody's own account",
        inject: || burn(USDC),
        found: "equality 2",
    },
    Fault {
        name: "a unit of collateral more",
        inject: || falsify(|a| !a.collateral.is_empty(), |a| a.collateral[0].1 += 1),
        found: "equality 3",
    },
    Fault {
        name: "a unit of collateral less in custody",
        inject: || pallet_margin::Custody::<Runtime>::mutate(USDT, |held| *held -= 1),
        found: "equality 3",
    },
    Fault {
        name: "a unit of collateral gone from custody's own account",
        inject: || burn(BTC),
        found: "equality 3",
    },
    Fault {
        name: "a quantum lent that nobody owes",
        inject: || pallet_margin::Lending::<Runtime>::mutate(|book| book.borrowed += 1),
        found: "equality 4",
    },
    Fault {
        name: "a lot of open interest more",
        inject: || pallet_margin::OpenInterest::<Runtime>::mutate(BTC_PERP, |lots| *lots += 1),
        found: "margin: open interest is not the sum of long positions",
    },
    Fault {
        name: "an account more of an owner",
        inject: || {
            let (owner, count) = first!(pallet_margin::Subaccounts<Runtime>);
            pallet_margin::Subaccounts::<Runtime>::insert(owner, count + 1);
        },
        found: "margin: the count of an owner's accounts drifted",
    },
    Fault {
        name: "a lot more than an account's orders",
        inject: || falsify(has_orders, |account| account.orders[0].bid_lots += 1),
        found: "order book: the ledger's order margin is not the sum of the account's orders",
    },
    Fault {
        name: "a quantum more than orders reserve",
        inject: || falsify(has_orders, |account| account.orders[0].reserve += 1),
        found: "order book: the ledger's order margin is not the sum of the account's orders",
    },
    Fault {
        name: "a page of the book lost",
        inject: || {
            let (key, _) = first!(pallet_order_book::Pages<Runtime>);
            pallet_order_book::Pages::<Runtime>::remove(key);
        },
        found: "order book: an order's page is not there",
    },
    Fault {
        name: "a lot more in the book than in the order",
        inject: || {
            let (key, mut page) = first!(pallet_order_book::Pages<Runtime>);
            page[0].lots += 1;
            pallet_order_book::Pages::<Runtime>::insert(key, page);
        },
        found: "order book: an order and its slot disagree",
    },
    Fault {
        name: "a directory lost",
        inject: || {
            let (key, _) = first!(pallet_order_book::Directories<Runtime>);
            pallet_order_book::Directories::<Runtime>::remove(key);
        },
        found: "order book: a page is in no directory",
    },
    Fault {
        name: "an order more than a directory's page holds",
        inject: || {
            let (key, mut directory) = first!(pallet_order_book::Directories<Runtime>);
            directory.groups[0].pages[0] += 1;
            pallet_order_book::Directories::<Runtime>::insert(key, directory);
        },
        found: "order book: a directory miscounts one of its pages",
    },
    Fault {
        name: "the intake's notes lost",
        inject: || pallet_order_book::Intake::<Runtime>::remove(BTC_PERP),
        found: "order book: orders in the intake are not those its notes name",
    },
    Fault {
        name: "a trigger's key lost",
        inject: || {
            let (key, _) = first!(pallet_order_book::Armed<Runtime>);
            pallet_order_book::Armed::<Runtime>::remove(key);
        },
        found: "order book: a trigger is not in the index",
    },
    Fault {
        name: "a key more left behind",
        inject: || pallet_order_book::Unowned::<Runtime>::mutate(|count| *count += 1),
        found: "order book: keys left behind by triggers or TWAPs are miscounted",
    },
    Fault {
        name: "an expiry lost",
        inject: || {
            let (key, _) = first!(pallet_order_book::Expiries<Runtime>);
            pallet_order_book::Expiries::<Runtime>::remove(key);
        },
        found: "order book: the expiry index is miscounted",
    },
    Fault {
        name: "a request lost",
        inject: || {
            let (id, _) = first!(pallet_clearing::Requests<Runtime>);
            pallet_clearing::Requests::<Runtime>::remove(id);
        },
        found: "clearing: the queue has holes",
    },
    Fault {
        name: "a request more of an owner",
        inject: || {
            let (owner, count) = first!(pallet_clearing::Pending<Runtime>);
            pallet_clearing::Pending::<Runtime>::insert(owner, count + 1);
        },
        found: "clearing: the owners' counts are not those of the queue",
    },
    Fault {
        name: "a quantum more a tick and lot than listed",
        inject: || pallet_clearing::View::<Runtime>::mutate(|v| v.markets[0].tick_value += 1),
        found: "clearing: the view's contract terms are not the listing's",
    },
    Fault {
        name: "a page of thresholds lost",
        inject: || lose_page(|shelf| matches!(shelf, Shelf::Threshold(..))),
        found: "liquidation: a bucket spans other pages than there are",
    },
    Fault {
        name: "a page of counterparties lost",
        inject: || lose_page(|shelf| matches!(shelf, Shelf::Rank(..))),
        found: "liquidation: a bucket spans other pages than there are",
    },
    Fault {
        name: "a threshold under another number",
        inject: || falsify(|a| !a.risk.is_empty(), |a| a.risk[0].generation += 1_000),
        found: "liquidation: a threshold is not in the pages exactly once",
    },
    Fault {
        name: "a counterparty under another number",
        inject: || falsify(has_position, |a| a.positions[0].rank.generation += 1_000),
        found: "liquidation: a position is not in the deleveraging index exactly once",
    },
    Fault {
        name: "cash taken past the index",
        inject: || {
            // Of whoever is farthest from where the index looks anyway.
            let is_held = |a: &MarginAccount| has_position(a) && a.standing == Standing::Good;
            let held = accounts().into_iter().filter(|(_, a)| is_held(a));
            let most = held
                .map(|(_, a)| a.cash)
                .max()
                .expect("an account to falsify");
            let taken = 10_000_000 * USD + most;
            falsify(
                |a| is_held(a) && a.cash == most,
                |account| {
                    account.cash -= taken;
                    pallet_margin::Lending::<Runtime>::mutate(|book| {
                        let principal = -account.cash;
                        book.borrowed += principal;
                        let index = book.index;
                        account.loan = Some(novate_types::Loan { principal, index });
                    });
                },
            );
            pallet_margin::Pots::<Runtime>::mutate(Pot::Fees, |held| *held += taken);
        },
        found: "liquidation: an account below maintenance margin would not be found",
    },
    Fault {
        name: "an account frozen that nobody works on",
        inject: || {
            falsify(has_position, |account| account.standing = Standing::Frozen);
        },
        found: "liquidation: an account in remedies is neither queued nor waiting",
    },
    Fault {
        name: "a quantum more of deficit",
        inject: || {
            pallet_liquidation::UncoveredDeficit::<Runtime>::mutate(|deficit| *deficit += 1);
        },
        found: "liquidation: the deficits do not add up",
    },
    Fault {
        name: "a bid for an account that is not sold",
        inject: || {
            let bid = pallet_liquidation::Bid {
                taker: main_account(Bob),
                account: main_account(Charlie),
                fraction: 1,
                least_discount: 0,
                carries: 0,
                tie: [0; 16],
                holdings: 0,
            };
            pallet_liquidation::Bids::<Runtime>::put(frame_support::BoundedVec::truncate_from(
                vec![bid],
            ));
        },
        found: "liquidation: a bid is for an account that is not in competition",
    },
    Fault {
        name: "a market's number given twice",
        inject: || pallet_instruments::NextMarket::<Runtime>::put(BTC_PERP),
        found: "instruments: a market's number is still to be given",
    },
    Fault {
        name: "a price of zero",
        inject: || {
            pallet_price_oracle::Prices::<Runtime>::mutate(|prices| {
                let stored = prices.get_mut(&BTC_FEED).expect("bitcoin has a price");
                stored.price = Default::default();
            });
        },
        found: "oracle: a price of zero",
    },
];

/// How many of [`FAULTS`] break an equality of conservation.
pub const EQUALITIES: usize = 11;

fn burn(asset: u32) {
    let (custody, unit) = (Margin::custody_account(), 1);
    let (expendable, exact, force) = (Preservation::Expendable, Precision::Exact, Fortitude::Force);
    Assets::burn_from(asset, &custody, unit, expendable, exact, force).expect("custody has it");
}

fn lose_page(is_of: impl Fn(&Shelf) -> bool) {
    let mut keys = pallet_liquidation::RiskPage::<Runtime>::iter_keys();
    let key = keys
        .find(|(shelf, ..)| is_of(shelf))
        .expect("a page to lose");
    pallet_liquidation::RiskPage::<Runtime>::remove(key);
}
