//! What to bid for, and how much: pure functions of what the chain says. The fraction is what the own account can carry by the chain's own
//! formulas, the profit the discount less what the positions cost to close.

use crate::Account;
use novate_risk::{
    for_sale,
    portfolio::{AtOnce, Lesser},
    sell, Portion,
};
use novate_types::{
    math::{notional_ceil, ppm_ceil, signed, sub},
    Assessment, Cash, MarginAccount, MarketId, MathError, Ppm, RiskError, RiskModel, RiskView,
    MILLION,
};
use std::{cmp::Reverse, collections::BTreeMap, fmt};

/// An account in competition, as the runtime API gives it.
pub type Competition = novate_runtime_api::Competition<crate::AccountId>;

/// The chain's margin model: what options are worth under its scenarios follows from the view.
pub(super) type Rules = Lesser<AtOnce>;

/// What the liquidator wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Most notional that one bid takes, in quantums.
    pub most_notional: Cash,
    /// Least profit that a bid is expected to make, in quantums.
    pub least_profit: Cash,
    /// Initial equity that stays free after a bid, as a part of initial margin.
    pub spare_margin: Ppm,
    /// Markets in which positions are taken, and what that costs of their notional.
    pub costs: BTreeMap<MarketId, Ppm>,
}

/// What to bid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Which account to take from.
    pub account: Account,
    /// How much of it, in ppm.
    pub fraction: Ppm,
    /// No less a discount than it was decided on, in ppm.
    pub least_discount: Ppm,
    /// Notional that it takes, in quantums.
    pub notional: Cash,
    /// What it is expected to make, in quantums: the discount less costs.
    pub profit: Cash,
    /// Equity of the account over its maintenance margin, both without long options, in ppm.
    pub health: Ppm,
    /// The own account after it, if nobody else bids.
    pub after: MarginAccount,
}

/// Why not to bid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pass {
    /// Nothing of it is to be had: it is at its target.
    NothingAvailable,
    /// It holds a position in a market that the configuration does not name.
    Market(MarketId),
    /// Not even the least part of it fits into the own account's margin or cash, or the most notional.
    TooLarge,
    /// The discount is too small for the least profit, yet.
    Profit {
        /// What it would make now.
        expected: Cash,
    },
    /// Something of it cannot be valued.
    Unknown,
}

impl Pass {
    /// Its name, for metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NothingAvailable => "nothing_available",
            Self::Market(_) => "market",
            Self::TooLarge => "too_large",
            Self::Profit { .. } => "profit",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingAvailable => f.write_str("nothing of it is to be had"),
            Self::Market(id) => write!(f, "it holds market {id}, which is not configured"),
            Self::TooLarge => {
                f.write_str("not the least part of it fits our margin, cash or most_notional")
            }
            Self::Profit { expected } => write!(
                f,
                "it would make {} USD now: waiting for a larger discount",
                crate::decimal::cash_floor(*expected)
            ),
            Self::Unknown => f.write_str("it cannot be valued"),
        }
    }
}

/// Equity over maintenance margin, both without long options, which need what they are worth, in ppm; what owes nothing and needs nothing is as
/// healthy as can be.
pub fn health(equity: Cash, maintenance: Cash) -> Ppm {
    if equity < 0 {
        return 0;
    }
    equity
        .checked_mul(MILLION.into())
        .and_then(|parts| parts.checked_div(maintenance))
        .and_then(|ppm| Ppm::try_from(ppm).ok())
        .unwrap_or(Ppm::MAX)
}

fn net_health(found: &Assessment) -> Result<Ppm, MathError> {
    Ok(health(found.net_equity()?, found.net_maintenance()?))
}

/// The discount on all that is available, in quantums: no bid makes more.
pub fn most_profit(terms: &Competition) -> Cash {
    let part = |of: Cash, ppm: Ppm| of.saturating_mul(ppm.into()) / Cash::from(MILLION);
    part(part(terms.worth.max(0), terms.available), terms.discount)
}

/// What taking a fraction comes to.
struct Offer {
    notional: Cash,
    profit: Cash,
    after: MarginAccount,
    fits: bool,
}

fn offer(
    own: &MarginAccount,
    (target, whole): (&MarginAccount, &MarginAccount),
    found: &Assessment,
    fraction: Ppm,
    discount: Ppm,
    view: &RiskView,
    policy: &Policy,
) -> Result<Offer, RiskError> {
    let portion = Portion::between(whole, view, 0, fraction)?;
    let sale = sell::<Rules>(target, found, own, &portion, discount, view)?;
    let (mut notional, mut cost) = (0, 0);
    for (id, lots, _) in &portion.positions {
        let market = view.market(*id)?;
        let worth = notional_ceil(lots.unsigned_abs(), market.mark, market.lot_size)?;
        let ppm = policy.costs.get(id).copied().unwrap_or(MILLION);
        notional += signed(worth)?;
        cost += signed(ppm_ceil(worth, ppm)?)?;
    }
    let after = Rules::assess(&sale.taker, view)?;
    let spare = signed(ppm_ceil(
        after.initial_with_orders.unsigned_abs(),
        policy.spare_margin,
    )?)?;
    let fits = notional <= policy.most_notional
        && sub(after.initial_equity, after.initial_with_orders)? >= spare
        && sale.taker.cash >= own.cash.min(0);
    Ok(Offer {
        notional,
        profit: sub(sale.discount, cost)?,
        after: sale.taker,
        fits,
    })
}

/// What `own` bids for a fraction of `target`, or why nothing.
pub fn decide(
    own: &MarginAccount,
    target: &MarginAccount,
    terms: &Competition,
    view: &RiskView,
    policy: &Policy,
) -> Result<Plan, Pass> {
    if terms.available == 0 {
        return Err(Pass::NothingAvailable);
    }
    // Of a debtor the collateral alone.
    let whole = for_sale(target, view).map_err(|_| Pass::Unknown)?;
    let whole = whole.ok_or(Pass::NothingAvailable)?;
    let strange = |id: &MarketId| !policy.costs.contains_key(id);
    let mut held = whole.positions.iter().map(|position| position.market);
    if let Some(id) = held.find(strange) {
        return Err(Pass::Market(id));
    }
    let found = Rules::assess(target, view).map_err(|_| Pass::Unknown)?;
    let offer = |fraction| {
        let sides = (target, &whole);
        offer(own, sides, &found, fraction, terms.discount, view, policy).map_err(|_| Pass::Unknown)
    };
    let fraction = largest(terms.available, |fraction| {
        offer(fraction).is_ok_and(|offer| offer.fits)
    });
    if fraction == 0 {
        // It may be that it cannot be valued at all.
        return offer(1).and(Err(Pass::TooLarge));
    }
    let best = offer(fraction)?;
    if best.profit < policy.least_profit {
        return Err(Pass::Profit {
            expected: best.profit,
        });
    }
    Ok(Plan {
        account: terms.account,
        fraction,
        least_discount: terms.discount,
        notional: best.notional,
        profit: best.profit,
        health: net_health(&found).map_err(|_| Pass::Unknown)?,
        after: best.after,
    })
}

/// The largest fraction up to `most` that fits, if with any fraction each smaller one does; zero if none.
fn largest(most: Ppm, fits: impl Fn(Ppm) -> bool) -> Ppm {
    if fits(most) {
        return most;
    }
    // It fits below, and does not above.
    let (mut low, mut high) = (0, most);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// A bid that has no answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// How much it asks for, in ppm.
    pub fraction: Ppm,
    /// The discount at which it may be executed, at the least, in ppm.
    pub least_discount: Ppm,
    /// What it is expected to make, in quantums.
    pub profit: Cash,
}

/// The own account with all that bids under way for these accounts may add to it: what plans beside them have to leave room for. One that was
/// executed in the last block and has no answer yet counts twice until then.
///
/// # Errors
///
/// If one of them cannot be valued.
pub fn reserved<'a>(
    own: &MarginAccount,
    bids: impl IntoIterator<Item = (Pending, &'a MarginAccount)>,
    view: &RiskView,
) -> Result<MarginAccount, RiskError> {
    let mut own = own.clone();
    for (bid, target) in bids {
        // Nothing of it is for sale any more.
        let Some(whole) = for_sale(target, view)? else {
            continue;
        };
        let found = Rules::assess(target, view)?;
        let portion = Portion::between(&whole, view, 0, bid.fraction)?;
        let sale = sell::<Rules>(target, &found, &own, &portion, bid.least_discount, view)?;
        own = sale.taker;
    }
    Ok(own)
}

/// Plans for one account of ours for a whole block: the most profitable first, then the least healthy, each on what those before it
/// would leave of the own account. With them, why the others are left.
pub fn plan(
    own: &MarginAccount,
    competitions: &[(Competition, MarginAccount)],
    view: &RiskView,
    policy: &Policy,
) -> (Vec<Plan>, Vec<(Account, Pass)>) {
    let (mut plans, mut passes) = (Vec::new(), Vec::new());
    let mut ranked = Vec::new();
    for (at, (terms, target)) in competitions.iter().enumerate() {
        match decide(own, target, terms, view, policy) {
            Ok(plan) => ranked.push((Reverse(plan.profit), plan.health, at)),
            Err(pass) => passes.push((terms.account, pass)),
        }
    }
    ranked.sort_unstable();
    let mut own = own.clone();
    for (.., at) in ranked {
        let (terms, target) = &competitions[at];
        match decide(&own, target, terms, view, policy) {
            Ok(plan) => {
                own = plan.after.clone();
                plans.push(plan);
            }
            Err(pass) => passes.push((terms.account, pass)),
        }
    }
    (plans, passes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use novate_risk::{apply_trade, competition_discount, largest_fraction_ceil, worth};
    use novate_types::{AccountRef, MarketStatus, MarketView, Price, Size, Standing, QUANTUMS};
    use proptest::prelude::*;

    const fn usd(n: i128) -> Cash {
        n * QUANTUMS
    }

    /// A lot at a tick is a USD; maintenance 5 %, initial 10 %.
    fn market(id: MarketId, mark: u32) -> MarketView {
        MarketView {
            id,
            underlying: id,
            status: MarketStatus::Open,
            tick_size: Price::from_u32(1),
            lot_size: Size::from_u32(1),
            tick_value: 1_000_000,
            mark: Price::from_u32(mark),
            index: Price::from_u32(mark),
            observed_at: 0,
            fresh: true,
            funding_index: 0,
            short_funding_index: 0,
            imf: 100_000,
            mmf: 50_000,
            profit_credit: 0,
            price_band: 50_000,
            min_notional: QUANTUMS,
            impact_notional: usd(100),
            open_interest_cap: u64::MAX,
            auction_at: 0,
            contract: Default::default(),
        }
    }

    fn view() -> RiskView {
        RiskView {
            markets: vec![market(0, 94), market(1, 100)].try_into().unwrap(),
            ..RiskView::default()
        }
    }

    fn with_cash(cash: Cash) -> MarginAccount {
        MarginAccount {
            cash,
            ..MarginAccount::default()
        }
    }

    /// So many lots of market 0 at 94, with an equity of so many thousandths of maintenance margin.
    fn target(lots: i64, part: i128, closes: u8) -> MarginAccount {
        let view = view();
        let mut account = with_cash(0);
        apply_trade(
            &mut account,
            &view.markets[0],
            lots,
            usd(94 * i128::from(lots)),
        )
        .unwrap();
        account.cash = Rules::assess(&account, &view).unwrap().maintenance * part / 1_000;
        account.standing = Standing::Competing { since: 1, closes };
        account
    }

    fn terms(number: u8, target: &MarginAccount) -> Competition {
        let view = view();
        let found = Rules::assess(target, &view).unwrap();
        let Standing::Competing { closes, .. } = target.standing else {
            panic!("not in competition")
        };
        let discount = competition_discount(closes, 20);
        let worth = worth(target, &view).unwrap();
        Competition {
            account: AccountRef::new([number; 32].into(), 0),
            equity: found.equity,
            maintenance: found.maintenance,
            worth,
            discount,
            available: largest_fraction_ceil(&found, worth, discount, 0).unwrap(),
            closes_left: 20 - closes,
        }
    }

    fn policy() -> Policy {
        Policy {
            most_notional: usd(1_000_000),
            least_profit: usd(1),
            spare_margin: 0,
            costs: [(0, 1_000)].into(),
        }
    }

    #[test]
    fn bid_asks_for_all_that_is_available_when_it_fits_and_pays() {
        // 10 lots: equity 40 of 47, at ten nineteenths 269,777 ppm, three lots, 6.31 less 0.282 of costs.
        let target = target(10, 40_000 / 47, 10);
        let terms = terms(1, &target);
        let plan = decide(&with_cash(usd(1_000)), &target, &terms, &view(), &policy()).unwrap();
        assert_eq!(plan.fraction, terms.available);
        assert_eq!((plan.notional, plan.least_discount), (usd(282), 526_315));
        assert!(plan.profit > usd(6) - 282_000 && plan.profit < usd(7));
        assert_eq!(plan.after.lots(0), 3);
    }

    #[test]
    fn bid_waits_when_the_discount_does_not_make_the_least_profit() {
        let target = target(10, 900, 0);
        let terms = terms(1, &target);
        let own = with_cash(usd(1_000));
        let pass = decide(&own, &target, &terms, &view(), &policy()).unwrap_err();
        // No discount yet: a tenth of it, one lot, costs 0.1 % of 94.
        assert_eq!(pass, Pass::Profit { expected: -94_000 });
        assert!(pass.to_string().contains("waiting"));
        let free = Policy {
            least_profit: -usd(1),
            ..policy()
        };
        assert!(decide(&own, &target, &terms, &view(), &free).is_ok());
    }

    #[test]
    fn bid_is_cut_when_margin_or_most_notional_is_short() {
        // All of 100 lots for nothing: 940 of initial margin.
        let target = target(100, 900, 19);
        let terms = terms(1, &target);
        assert_eq!(terms.available, MILLION);
        let carries = |own: &MarginAccount, policy: &Policy| {
            decide(own, &target, &terms, &view(), policy).map(|plan| plan.after.lots(0))
        };
        // Each lot needs 9.40 and comes with 4.23: 100 USD carry 19 lots, 517 all.
        assert_eq!(carries(&with_cash(usd(100)), &policy()), Ok(19));
        assert_eq!(carries(&with_cash(usd(517)), &policy()), Ok(100));
        let spare = Policy {
            spare_margin: MILLION,
            ..policy()
        };
        // Twice the margin: 18.80 less 4.23.
        assert_eq!(carries(&with_cash(usd(100)), &spare), Ok(6));
        let small = Policy {
            most_notional: usd(500),
            ..policy()
        };
        assert_eq!(carries(&with_cash(usd(1_000)), &small), Ok(5));
        assert_eq!(carries(&with_cash(usd(1)), &policy()), Err(Pass::TooLarge));
    }

    #[test]
    fn account_is_left_when_it_is_at_target_or_holds_what_is_not_configured() {
        let held = target(10, 900, 5);
        let own = with_cash(usd(1_000));
        let nothing = Competition {
            available: 0,
            ..terms(1, &held)
        };
        assert_eq!(
            decide(&own, &held, &nothing, &view(), &policy()),
            Err(Pass::NothingAvailable)
        );
        let elsewhere = Policy {
            costs: [(1, 0)].into(),
            ..policy()
        };
        assert_eq!(
            decide(&own, &held, &terms(1, &held), &view(), &elsewhere),
            Err(Pass::Market(0))
        );
        let mut unknown = view();
        unknown.markets.remove(0);
        assert_eq!(
            decide(&own, &held, &terms(1, &held), &unknown, &policy()),
            Err(Pass::Unknown)
        );
    }

    #[test]
    fn most_profitable_is_planned_first_and_the_rest_on_what_it_leaves() {
        let (large, small, early) = (target(40, 900, 19), target(10, 900, 19), target(40, 900, 0));
        let all: Vec<_> = [(1, small), (2, large), (3, early)]
            .into_iter()
            .map(|(number, target)| (terms(number, &target), target))
            .collect();
        // 40 lots need 376 and come with 169.20: nothing is left for the second.
        let own = with_cash(usd(207));
        let (plans, passes) = plan(&own, &all, &view(), &policy());
        let planned: Vec<_> = plans.iter().map(|plan| plan.account).collect();
        assert_eq!(planned, vec![all[1].0.account]);
        assert_eq!(passes.len(), 2);
        assert!(passes.contains(&(all[0].0.account, Pass::TooLarge)));
        // With enough both are.
        let (plans, _) = plan(&with_cash(usd(1_000)), &all, &view(), &policy());
        assert_eq!(plans.len(), 2);
        assert_eq!(plans[1].after.lots(0), 50);
    }

    #[test]
    fn plans_leave_room_for_bids_under_way() {
        let (large, small) = (target(40, 900, 19), target(10, 900, 19));
        let under_way = terms(2, &large);
        let open = [(terms(1, &small), small)];
        // As above: 40 lots take all that 207 USD carry, and without them 10 fit.
        let own = with_cash(usd(207));
        assert_eq!(plan(&own, &open, &view(), &policy()).0.len(), 1);
        let all = decide(&own, &large, &under_way, &view(), &policy()).unwrap();
        let bid = Pending {
            fraction: all.fraction,
            least_discount: all.least_discount,
            profit: all.profit,
        };
        let left = reserved(&own, [(bid, &large)], &view()).unwrap();
        assert_eq!(left, all.after);
        let (plans, passes) = plan(&left, &open, &view(), &policy());
        assert!(plans.is_empty());
        assert_eq!(passes, [(open[0].0.account, Pass::TooLarge)]);
        // One for an account that is not for sale any more adds nothing.
        let recovered = MarginAccount {
            standing: Standing::Good,
            ..large
        };
        assert_eq!(reserved(&own, [(bid, &recovered)], &view()), Ok(own));
    }

    #[test]
    fn health_is_equity_over_maintenance() {
        assert_eq!(health(usd(40), usd(47)), 851_063);
        assert_eq!(health(-1, usd(47)), 0);
        assert_eq!(health(-1, 0), 0);
        assert_eq!(health(5, 0), Ppm::MAX);
    }

    proptest! {
        #[test]
        fn what_is_planned_is_carried_and_a_lot_more_is_not(
            lots in prop_oneof![-200i64..-1, 1i64..200],
            part in 700i128..1_000,
            closes in 0u8..20,
            cash in 0i128..2_000,
            most in 100i128..20_000,
        ) {
            let target = target(lots, part, closes);
            let terms = terms(1, &target);
            let policy = Policy { most_notional: usd(most), least_profit: -usd(1_000_000), ..policy() };
            let own = with_cash(usd(cash));
            let Ok(plan) = decide(&own, &target, &terms, &view(), &policy) else {
                return Ok(());
            };
            prop_assert!(plan.fraction <= terms.available && plan.notional <= usd(most));
            let after = Rules::assess(&plan.after, &view()).unwrap();
            prop_assert!(after.covers_orders() && plan.after.cash >= 0);
            if plan.fraction < terms.available {
                let found = Rules::assess(&target, &view()).unwrap();
                let more = offer(&own, (&target, &target), &found, plan.fraction + 1, terms.discount, &view(), &policy).unwrap();
                prop_assert!(!more.fits);
            }
        }
    }
}
