//! Errors put into storage on purpose, one and more for each equality and invariant: what would not find these would find nothing.

use crate::common::*;
use frame_support::traits::{
    fungibles::Mutate as _,
    tokens::{Fortitude, Precision, Preservation},
};
use novate_runtime::{
    configs::exchange::{BTC, BTC_FEED, USDC, USDT, USDT_FEED},
    Assets, Margin, Runtime,
};
use novate_types::{
    Arrangement, CombinationLegs, ContractKind, MarginAccount, Pot, Side, Standing,
};
use pallet_liquidation::pages::Shelf;
use pallet_order_book::{AccountOrders, Duty};

/// Where an error is found, and what is said of it.
#[derive(Clone, Copy)]
pub enum Found {
    /// By an equality of conservation, after its step.
    Equality(&'static str),
    /// By what is said of orders and shares after its step, and by what pallets say of their storage, if they look at it.
    AtOnce(&'static str, Option<&'static str>),
    /// By what pallets say of their storage, after a close.
    Sound(&'static str),
    /// By what the next close does.
    Close(&'static str),
    /// By what a contract comes to that is about to expire.
    Expiry(&'static str),
}

/// One error.
pub struct Fault {
    pub name: &'static str,
    inject: fn(),
    pub found: Found,
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

/// Changes the open orders of the first account of which `has` is true, and nothing with them.
fn falsify_orders(has: impl Fn(&AccountOrders) -> bool, change: impl FnOnce(&mut AccountOrders)) {
    falsify(
        |account| has(&AccountOrders::of(account)),
        |account| {
            let mut orders = AccountOrders::of(account);
            change(&mut orders);
            account.open = orders.to_bytes();
        },
    );
}

/// Changes the first arrangement that `change` takes.
fn falsify_arrangement(change: impl Fn(&mut Arrangement) -> bool) {
    let fits = |orders: &AccountOrders| orders.arrangements.clone().iter_mut().any(&change);
    falsify_orders(fits, |orders| {
        orders.arrangements.iter_mut().any(&change);
    });
}

fn has_iceberg(orders: &AccountOrders) -> bool {
    let hides = |a: &Arrangement| matches!(a, Arrangement::Hidden { .. });
    orders.arrangements.iter().any(hides)
}

/// All of them.
pub const FAULTS: &[Fault] = &[
    Fault {
        name: "a lot more of a position",
        inject: || falsify(has_position, |account| account.positions[0].lots += 1),
        found: Found::Equality("equality 1"),
    },
    Fault {
        name: "a position lost",
        inject: || {
            falsify(has_position, |account| {
                let position = account.positions.remove(0);
                account.cash -= position.cost;
            })
        },
        found: Found::Equality("equality 1"),
    },
    Fault {
        name: "a quantum of cash more",
        inject: || falsify(|_| true, |account| account.cash += 1),
        found: Found::Equality("equality 2"),
    },
    Fault {
        name: "a quantum of cost less",
        inject: || falsify(has_position, |account| account.positions[0].cost -= 1),
        found: Found::Equality("equality 2"),
    },
    Fault {
        name: "a quantum less in a pot",
        inject: || pallet_margin::Pots::<Runtime>::mutate(Pot::Fees, |held| *held -= 1),
        found: Found::Equality("equality 2"),
    },
    Fault {
        name: "a quantum more of deposits than there were",
        inject: || pallet_margin::Custody::<Runtime>::mutate(USDC, |held| *held -= 1),
        found: Found::Equality("equality 2"),
    },
    Fault {
        name: "a quantum gone from custody's own account",
        inject: || burn(USDC),
        found: Found::Equality("equality 2"),
    },
    Fault {
        name: "a unit of collateral more",
        inject: || falsify(|a| !a.collateral.is_empty(), |a| a.collateral[0].1 += 1),
        found: Found::Equality("equality 3"),
    },
    Fault {
        name: "a unit of collateral less in custody",
        inject: || pallet_margin::Custody::<Runtime>::mutate(USDT, |held| *held -= 1),
        found: Found::Equality("equality 3"),
    },
    Fault {
        name: "a unit of collateral gone from custody's own account",
        inject: || burn(BTC),
        found: Found::Equality("equality 3"),
    },
    Fault {
        name: "a quantum lent that nobody owes",
        inject: || pallet_margin::Lending::<Runtime>::mutate(|book| book.borrowed += 1),
        found: Found::Equality("equality 4"),
    },
    Fault {
        name: "interest that nobody owes",
        inject: || pallet_margin::Lending::<Runtime>::mutate(|book| book.accrued += 1),
        found: Found::Equality("equality 4"),
    },
    Fault {
        name: "a debtor's interest forgotten",
        inject: || falsify(|a| a.loan.is_some(), |account| account.loan = None),
        found: Found::Equality("equality 4"),
    },
    Fault {
        name: "a share of the liquidity pot that nobody bought",
        inject: || {
            let (owner, shares) = first!(pallet_margin::Suppliers<Runtime>);
            pallet_margin::Suppliers::<Runtime>::insert(owner, shares + 1);
        },
        found: Found::Equality("equality 4"),
    },
    Fault {
        name: "a loan of a quantum more than cash is below zero, and interest for it",
        inject: || {
            pallet_margin::Lending::<Runtime>::mutate(|book| {
                falsify(
                    |a| a.loan.is_some(),
                    |account| {
                        let loan = account.loan.as_mut().expect("it owes");
                        loan.principal += 1;
                        book.accrued += book.index - loan.index;
                    },
                );
            });
        },
        found: Found::Sound("margin: an account's loan is not what its cash is below zero"),
    },
    Fault {
        name: "a lot of open interest more",
        inject: || pallet_margin::OpenInterest::<Runtime>::mutate(BTC_PERP, |lots| *lots += 1),
        found: Found::Sound("margin: open interest is not the sum of long positions"),
    },
    Fault {
        name: "an account more of an owner",
        inject: || {
            let (owner, count) = first!(pallet_margin::Subaccounts<Runtime>);
            pallet_margin::Subaccounts::<Runtime>::insert(owner, count + 1);
        },
        found: Found::Sound("margin: the count of an owner's accounts drifted"),
    },
    Fault {
        name: "a lot more than an account's orders",
        inject: || falsify(has_orders, |account| account.orders[0].bid_lots += 1),
        found: Found::AtOnce(
            "orders: margin is not held for exactly these",
            Some("order book: the ledger's order margin is not the sum of the account's orders"),
        ),
    },
    Fault {
        name: "a quantum more than orders reserve",
        inject: || falsify(has_orders, |account| account.orders[0].reserve += 1),
        found: Found::AtOnce(
            "orders: margin is not held for exactly these",
            Some("order book: the ledger's order margin is not the sum of the account's orders"),
        ),
    },
    Fault {
        name: "a page of the book lost",
        inject: || {
            let (key, _) = first!(pallet_order_book::Pages<Runtime>);
            pallet_order_book::Pages::<Runtime>::remove(key);
        },
        found: Found::Sound("order book: an order's page is not there"),
    },
    Fault {
        name: "a lot more in the book than in the order",
        inject: || {
            let (key, mut page) = first!(pallet_order_book::Pages<Runtime>);
            page[0].lots += 1;
            pallet_order_book::Pages::<Runtime>::insert(key, page);
        },
        found: Found::Sound("order book: an order and its slot disagree"),
    },
    Fault {
        name: "a directory lost",
        inject: || {
            let (key, _) = first!(pallet_order_book::Directories<Runtime>);
            pallet_order_book::Directories::<Runtime>::remove(key);
        },
        found: Found::Sound("order book: a page is in no directory"),
    },
    Fault {
        name: "an order more than a directory's page holds",
        inject: || {
            let (key, mut directory) = first!(pallet_order_book::Directories<Runtime>);
            directory.groups[0].pages[0] += 1;
            pallet_order_book::Directories::<Runtime>::insert(key, directory);
        },
        found: Found::Sound("order book: a directory miscounts one of its pages"),
    },
    Fault {
        name: "the intake's notes lost",
        inject: || pallet_order_book::Intake::<Runtime>::remove(BTC_PERP),
        found: Found::Sound("order book: orders in the intake are not those its notes name"),
    },
    Fault {
        name: "a trigger's key lost",
        inject: || {
            let (key, _) = first!(pallet_order_book::Armed<Runtime>);
            pallet_order_book::Armed::<Runtime>::remove(key);
        },
        found: Found::Sound("order book: a trigger is not in the index"),
    },
    Fault {
        name: "a key more left behind",
        inject: || pallet_order_book::Unowned::<Runtime>::mutate(|count| *count += 1),
        found: Found::Sound("order book: keys left behind by triggers or TWAPs are miscounted"),
    },
    Fault {
        name: "an expiry lost",
        inject: || {
            let (key, _) = first!(pallet_order_book::Expiries<Runtime>);
            pallet_order_book::Expiries::<Runtime>::remove(key);
        },
        found: Found::Sound("order book: the expiry index is miscounted"),
    },
    Fault {
        name: "a request lost",
        inject: || {
            let (id, _) = first!(pallet_clearing::Requests<Runtime>);
            pallet_clearing::Requests::<Runtime>::remove(id);
        },
        found: Found::Sound("clearing: the queue has holes"),
    },
    Fault {
        name: "a request more of an owner",
        inject: || {
            let (owner, count) = first!(pallet_clearing::Pending<Runtime>);
            pallet_clearing::Pending::<Runtime>::insert(owner, count + 1);
        },
        found: Found::Sound("clearing: the owners' counts are not those of the queue"),
    },
    Fault {
        name: "a quantum more a tick and lot than listed",
        inject: || pallet_clearing::View::<Runtime>::mutate(|v| v.markets[0].tick_value += 1),
        found: Found::Sound("clearing: the view's contract terms are not the listing's"),
    },
    Fault {
        name: "an auction that the view does not show",
        inject: || pallet_clearing::View::<Runtime>::mutate(|v| v.markets[0].auction_at += 1),
        found: Found::Sound("clearing: the view does not show a market's auction"),
    },
    Fault {
        name: "a leg that was listed after its combination",
        inject: || {
            pallet_clearing::View::<Runtime>::mutate(|v| {
                let legs = CombinationLegs::new(&[(1, 1)]).expect("one leg");
                v.markets[0].contract.legs = legs;
            })
        },
        found: Found::Sound(
            "clearing: a combination has a leg that is not listed, or was not before it",
        ),
    },
    Fault {
        name: "positions in a combination",
        inject: || {
            pallet_clearing::View::<Runtime>::mutate(|v| {
                let markets = v.markets.iter_mut();
                markets.for_each(|m| m.contract.kind = ContractKind::Combination);
            })
        },
        found: Found::Sound("clearing: somebody holds a position in a combination"),
    },
    Fault {
        name: "a premium that no minute had",
        inject: || {
            pallet_clearing::States::<Runtime>::mutate(|states| states[0].premiums.past += 1);
        },
        found: Found::Sound("clearing: the premium's hour is not the sum of its minutes"),
    },
    Fault {
        name: "a market's state twice",
        inject: || pallet_clearing::States::<Runtime>::mutate(|states| states[1] = states[0]),
        found: Found::Sound("clearing: a market has two states"),
    },
    Fault {
        name: "a mean of another price",
        inject: || {
            pallet_clearing::Settlements::<Runtime>::mutate(|all| {
                let settlement = all.iter_mut().next().expect("a mean is being taken");
                // Two ticks, whatever comes after.
                settlement.weighted += usd(2).into_inner() * 1_800_000;
            });
        },
        found: Found::Expiry("the mean is"),
    },
    Fault {
        name: "a minute of a mean lost",
        inject: || {
            pallet_clearing::Settlements::<Runtime>::mutate(|all| {
                let settlement = all.iter_mut().next().expect("a mean is being taken");
                settlement.covered -= 60_000;
            });
        },
        found: Found::Expiry("the mean is"),
    },
    Fault {
        name: "a page of thresholds lost",
        inject: || lose_page(|shelf| matches!(shelf, Shelf::Threshold(..))),
        found: Found::Sound("liquidation: a bucket spans other pages than there are"),
    },
    Fault {
        name: "a page of counterparties lost",
        inject: || lose_page(|shelf| matches!(shelf, Shelf::Rank(..))),
        found: Found::Sound("liquidation: a bucket spans other pages than there are"),
    },
    Fault {
        name: "a threshold under another number",
        inject: || falsify(|a| !a.risk.is_empty(), |a| a.risk[0].generation += 1_000),
        found: Found::Sound("liquidation: a threshold is not in the pages exactly once"),
    },
    Fault {
        name: "a counterparty under another number",
        inject: || falsify(has_position, |a| a.positions[0].rank.generation += 1_000),
        found: Found::Sound(
            "liquidation: a position is not in the deleveraging index exactly once",
        ),
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
        found: Found::Sound("liquidation: an account below maintenance margin would not be found"),
    },
    Fault {
        name: "an account frozen that nobody works on",
        inject: || {
            falsify(has_position, |account| account.standing = Standing::Frozen);
        },
        found: Found::Sound("liquidation: an account in remedies is neither queued nor waiting"),
    },
    Fault {
        name: "a quantum more of deficit",
        inject: || {
            pallet_liquidation::UncoveredDeficit::<Runtime>::mutate(|deficit| *deficit += 1);
        },
        found: Found::Sound("liquidation: the deficits do not add up"),
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
                thresholds: 0,
            };
            pallet_liquidation::Bids::<Runtime>::put(frame_support::BoundedVec::truncate_from(
                vec![bid],
            ));
        },
        found: Found::Sound("liquidation: a bid is for an account that is not in competition"),
    },
    Fault {
        name: "more than the whole of the caps in force",
        inject: || pallet_liquidation::OpenInterestScale::<Runtime>::put(1_000_001_u32),
        found: Found::Sound(
            "liquidation: more than the whole of the open-interest caps is in force",
        ),
    },
    Fault {
        name: "a volatility without a price",
        inject: || {
            pallet_liquidation::Volatilities::<Runtime>::mutate(|all| {
                let (.., kept) = all.iter_mut().next().expect("an hour has passed");
                kept.price = Default::default();
            });
        },
        found: Found::Sound("liquidation: a volatility has no price to go on from"),
    },
    Fault {
        name: "a volatility twice",
        inject: || {
            pallet_liquidation::Volatilities::<Runtime>::mutate(|all| {
                let again = all[0];
                all.try_push(again).expect("there is room");
            });
        },
        found: Found::Sound("liquidation: volatilities are not in the order of their feeds"),
    },
    Fault {
        name: "a tier that follows volatility and is what governance set",
        inject: || {
            let floor = pallet_instruments::Tiers::<Runtime>::get(0).expect("it is there");
            let factor = 1_250_000;
            pallet_instruments::AboveFloor::<Runtime>::insert(
                0,
                pallet_instruments::Followed { floor, factor },
            );
        },
        found: Found::Sound(
            "instruments: a tier is not the multiple of its floor that it should be",
        ),
    },
    Fault {
        name: "a ticker given twice",
        inject: || {
            let (_, market) = first!(pallet_instruments::Instruments<Runtime>);
            let next = pallet_instruments::NextMarket::<Runtime>::mutate(|next| {
                *next += 1;
                *next - 1
            });
            pallet_instruments::Instruments::<Runtime>::insert(next, market);
        },
        found: Found::Sound("instruments: two markets have one symbol"),
    },
    Fault {
        name: "a surface of a feed without options",
        inject: || {
            let surface = pallet_price_oracle::Surfaces::<Runtime>::get(BTC_FEED);
            pallet_price_oracle::Surfaces::<Runtime>::insert(USDT_FEED, surface);
        },
        found: Found::Sound("oracle: a surface of a feed that has none"),
    },
    Fault {
        name: "a surface's expiries in another order",
        inject: || {
            pallet_price_oracle::Surfaces::<Runtime>::mutate(BTC_FEED, |surface| {
                let mut slices = surface.0.to_vec();
                slices.reverse();
                surface.0 = frame_support::BoundedVec::truncate_from(slices);
            });
        },
        found: Found::Sound("oracle: a surface's expiries do not ascend"),
    },
    Fault {
        name: "a slice of no variance",
        inject: || {
            pallet_price_oracle::Surfaces::<Runtime>::mutate(BTC_FEED, |surface| {
                surface.0[0].smile.0[0] = 0;
            });
        },
        found: Found::Sound("oracle: a slice of no variance"),
    },
    Fault {
        name: "volatilities that nobody in the set saw",
        inject: || {
            let seen = pallet_price_oracle::SurfaceObservations::<Runtime>::get(0, BTC_FEED);
            let seen = seen.expect("the validator saw some");
            pallet_price_oracle::SurfaceObservations::<Runtime>::insert(9, BTC_FEED, seen);
        },
        found: Found::Sound("oracle: volatilities of nobody in the set"),
    },
    Fault {
        name: "a surface due twice",
        inject: || {
            let due = vec![(BTC_FEED, 1), (BTC_FEED, 1)];
            pallet_price_oracle::SurfacesDue::<Runtime>::put(
                frame_support::BoundedVec::truncate_from(due),
            );
        },
        found: Found::Sound("oracle: a feed's surface is due twice"),
    },
    Fault {
        name: "a market's number given twice",
        inject: || pallet_instruments::NextMarket::<Runtime>::put(BTC_PERP),
        found: Found::Sound("instruments: a market's number is still to be given"),
    },
    Fault {
        name: "a price of zero",
        inject: || {
            pallet_price_oracle::Prices::<Runtime>::mutate(|prices| {
                let stored = prices.get_mut(&BTC_FEED).expect("bitcoin has a price");
                stored.price = Default::default();
            });
        },
        found: Found::Sound("oracle: a price of zero"),
    },
    Fault {
        name: "a lot more hidden",
        inject: || {
            falsify_arrangement(|a| match a {
                Arrangement::Hidden { lots, .. } => {
                    *lots += 1;
                    true
                }
                _ => false,
            })
        },
        found: Found::AtOnce(
            "orders: margin is not held for exactly these",
            Some("order book: the ledger's order margin is not the sum of the account's orders"),
        ),
    },
    Fault {
        name: "an iceberg that shows more than it may",
        inject: || {
            falsify_arrangement(|a| match a {
                Arrangement::Hidden { display, .. } => {
                    *display -= 1;
                    true
                }
                _ => false,
            })
        },
        found: Found::AtOnce("orders: one of them is not in order: Hidden", None),
    },
    Fault {
        name: "something hidden behind no order",
        inject: || {
            falsify_orders(has_iceberg, |orders| {
                let hides = |a: &&Arrangement| matches!(a, Arrangement::Hidden { .. });
                let found = orders.arrangements.iter().find(hides).copied();
                let Some(Arrangement::Hidden { display, .. }) = found else {
                    unreachable!("it was found")
                };
                let behind_nothing = Arrangement::Hidden {
                    sequence: 1_000_000,
                    display,
                    lots: 1,
                    reserve: 0,
                };
                orders
                    .arrangements
                    .try_push(behind_nothing)
                    .expect("there is room");
            })
        },
        found: Found::AtOnce(
            "orders: one of them is not in order: Hidden",
            Some("order book: lots are hidden that belong to no order"),
        ),
    },
    Fault {
        name: "one of a pair renumbered",
        inject: || {
            falsify_arrangement(|a| match a {
                Arrangement::Pair(one, _) => {
                    *one = 1_000_000;
                    true
                }
                _ => false,
            })
        },
        found: Found::AtOnce(
            "orders: one of them is not in order: Pair",
            Some("order book: one of a pair is not there"),
        ),
    },
    Fault {
        name: "a TWAP that has more left than it was asked for",
        inject: || {
            falsify_arrangement(|a| match a {
                Arrangement::Twap(twap) => {
                    twap.left += 1;
                    true
                }
                _ => false,
            })
        },
        found: Found::AtOnce("orders: one of them is not in order: Twap", None),
    },
    Fault {
        name: "a TWAP ahead of its schedule",
        inject: || {
            falsify_arrangement(|a| match a {
                Arrangement::Twap(twap) => {
                    twap.left = 1;
                    true
                }
                _ => false,
            })
        },
        found: Found::AtOnce("orders: one of them is not in order: Twap", None),
    },
    Fault {
        name: "a TWAP's key lost",
        inject: || lose_key(Duty::Slice),
        found: Found::Sound("order book: a TWAP is not in the index"),
    },
    Fault {
        name: "a pegged order beyond its worst limit",
        inject: || {
            falsify_arrangement(|a| match a {
                Arrangement::Peg(peg) => {
                    peg.worst = 1;
                    true
                }
                _ => false,
            })
        },
        found: Found::AtOnce(
            "orders: one of them is not in order: Peg",
            Some("order book: a pegged order is not there, or beyond its worst limit"),
        ),
    },
    Fault {
        name: "a pegged order's key lost",
        inject: || lose_key(Duty::Follow),
        found: Found::Sound("order book: a pegged order is not in the index"),
    },
    Fault {
        name: "two orders of one client id",
        inject: || {
            falsify_orders(
                |orders| orders.open.len() > 1,
                |orders| orders.open[0].client_id = orders.open[1].client_id,
            )
        },
        found: Found::AtOnce("orders: two have client id", None),
    },
    Fault {
        name: "an order of a number that is still to be given",
        inject: || falsify(has_orders, |account| account.next_sequence = 0),
        found: Found::AtOnce("orders: a number is still to be given", None),
    },
    Fault {
        name: "a share more of an owner",
        inject: || {
            let (owner, mut holding) = first!(pallet_liquidation::ShareHoldings<Runtime>);
            holding.shares += 1;
            pallet_liquidation::ShareHoldings::<Runtime>::insert(owner, holding);
        },
        found: Found::AtOnce("shares: ", Some("liquidation: the shares do not add up")),
    },
    Fault {
        name: "a share less than are held",
        inject: || pallet_liquidation::Backstop::<Runtime>::mutate(|book| book.shares -= 1),
        found: Found::AtOnce("shares: ", Some("liquidation: the shares do not add up")),
    },
    Fault {
        name: "a request for shares lost",
        inject: || {
            let (id, _) = first!(pallet_liquidation::ShareRequests<Runtime>);
            pallet_liquidation::ShareRequests::<Runtime>::remove(id);
        },
        found: Found::AtOnce(
            "shares: a request is counted that is not there",
            Some("liquidation: an owner has another number of requests for shares than is counted"),
        ),
    },
    Fault {
        name: "a request for shares that brought less than it says",
        inject: || {
            let (id, mut request) = first!(pallet_liquidation::ShareRequests<Runtime>);
            request.wish = pallet_liquidation::ShareWish::Enter(20_000_000);
            pallet_liquidation::ShareRequests::<Runtime>::insert(id, request);
            pallet_liquidation::Backstop::<Runtime>::mutate(|book| {
                book.coming.entering = 20_000_000;
            });
        },
        found: Found::AtOnce(
            "shares: the pot holds",
            Some(
                "liquidation: the vault's pot does not hold what its requests brought and are owed",
            ),
        ),
    },
    Fault {
        name: "a lot of a resting order gone from everywhere",
        inject: || {
            let (key, mut page) = first!(pallet_order_book::Pages<Runtime>);
            let (of, sequence, side) = (page[0].account.clone(), page[0].sequence, key.1);
            page[0].lots -= 1;
            pallet_order_book::Pages::<Runtime>::insert(key, page);
            let mut account = account(&of);
            let mut orders = AccountOrders::of(&account);
            let order = orders.open.iter_mut().find(|o| o.sequence == sequence);
            order.expect("the page names it").lots -= 1;
            account.open = orders.to_bytes();
            let held = account.orders.iter_mut().find(|o| o.market == key.0);
            let held = held.expect("margin is held for it");
            match side {
                Side::Bid => held.bid_lots -= 1,
                Side::Ask => held.ask_lots -= 1,
            }
            pallet_margin::Accounts::<Runtime>::insert(of, account);
        },
        found: Found::Close("was lost"),
    },
    Fault {
        name: "a trigger gone with its keys",
        inject: || {
            let (key, expires) = first!(pallet_order_book::Armed<Runtime>);
            pallet_order_book::Armed::<Runtime>::remove(&key);
            let (of, sequence) = (key.4, key.5);
            if let Some(block) = expires {
                let expiry = (block.to_be_bytes(), of.clone(), sequence);
                pallet_order_book::TriggerExpiries::<Runtime>::remove(expiry);
            }
            let mut account = account(&of);
            account.triggers.retain(|t| t.sequence != sequence);
            let mut orders = AccountOrders::of(&account);
            orders.arrangements.retain(
                |a| !matches!(a, Arrangement::Pair(a, b) if *a == sequence || *b == sequence),
            );
            account.open = orders.to_bytes();
            pallet_margin::Accounts::<Runtime>::insert(of, account);
        },
        found: Found::Close("was lost"),
    },
    Fault {
        name: "a TWAP gone with its key",
        inject: || {
            lose_key(Duty::Slice);
            falsify_orders(
                |orders| orders.twaps().count() > 0,
                |orders| {
                    let is_twap = |a: &Arrangement| matches!(a, Arrangement::Twap(_));
                    orders.arrangements.retain(|a| !is_twap(a));
                },
            );
        },
        found: Found::Close("was lost"),
    },
    Fault {
        name: "an order that nobody asked for",
        inject: || {
            let (key, page) = first!(pallet_order_book::Pages<Runtime>);
            let of = page[0].account.clone();
            let mut account = account(&of);
            let mut orders = AccountOrders::of(&account);
            let sequence = account.next_sequence;
            account.next_sequence += 1;
            let order = orders.open.iter().find(|o| o.sequence == page[0].sequence);
            let order = pallet_order_book::Locator {
                sequence,
                client_id: 1_000,
                reserve: 0,
                place: pallet_order_book::Place::Intake,
                ..*order.expect("the page names it")
            };
            orders.open.try_push(order).expect("there is room");
            account.open = orders.to_bytes();
            let held = account.orders.iter_mut().find(|o| o.market == key.0);
            let held = held.expect("margin is held for it");
            match key.1 {
                Side::Bid => held.bid_lots += order.lots,
                Side::Ask => held.ask_lots += order.lots,
            }
            pallet_margin::Accounts::<Runtime>::insert(&of, account);
            let note = pallet_order_book::Note::New {
                account: of,
                sequence,
            };
            pallet_order_book::Intake::<Runtime>::append(key.0, vec![note]);
        },
        found: Found::Close("came from nowhere"),
    },
    Fault {
        name: "a lot moved from one long position to another",
        inject: || {
            let long = |account: &MarginAccount| account.lots(BTC_PERP) > 1;
            let mut longs: Vec<_> = accounts();
            longs.retain(|(_, account)| long(account));
            // Of the largest, whose place among counterparties a lot does not change.
            longs.sort_by_key(|(_, account)| std::cmp::Reverse(account.lots(BTC_PERP)));
            let mut longs = longs.into_iter();
            let (from, to) = (longs.next(), longs.next());
            for (held, more) in [(from, -1), (to, 1)] {
                let (of, mut account) = held.expect("two are long");
                let at = account.positions.iter_mut().find(|p| p.market == BTC_PERP);
                at.expect("it is long").lots += more;
                pallet_margin::Accounts::<Runtime>::insert(of, account);
            }
        },
        found: Found::Sound("liquidation: a position stands worse in the deleveraging index"),
    },
];

fn burn(asset: u32) {
    let (custody, unit) = (Margin::custody_account(), 1);
    let (expendable, exact, force) = (Preservation::Expendable, Precision::Exact, Fortitude::Force);
    Assets::burn_from(asset, &custody, unit, expendable, exact, force).expect("custody has it");
}

fn lose_key(of: Duty) {
    let mut keys = pallet_order_book::Due::<Runtime>::iter_keys();
    let key = keys.find(|key| key.0 == of).expect("a key to lose");
    pallet_order_book::Due::<Runtime>::remove(key);
}

fn lose_page(is_of: impl Fn(&Shelf) -> bool) {
    let mut keys = pallet_liquidation::RiskPage::<Runtime>::iter_keys();
    let key = keys
        .find(|(shelf, ..)| is_of(shelf))
        .expect("a page to lose");
    pallet_liquidation::RiskPage::<Runtime>::remove(key);
}
