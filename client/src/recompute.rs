//! An account from nothing but its deposits, withdrawals and fills: what the chain reports must equal it.
//!
//! The arithmetic is written here once more, from section 2 of the protocol and not from the chain's code, so that the two
//! check each other.

use crate::{
    event::{Action, Event, LossCharge, Request},
    Account,
};
use novate_types::{
    AssetId, Cash, Fill, FundingIndex, MarginAccount, MarketId, Side, SignedLots,
    FUNDING_FRACTION_BITS,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// A position as the fills made it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Signed size.
    pub lots: SignedLots,
    /// Quantums paid for it.
    pub cost: Cash,
    /// The market's funding up to which it has settled.
    pub funding_index: FundingIndex,
}

/// What of a market has to be known to settle in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketTerms {
    /// Quantums per lot and tick.
    pub tick_value: u64,
    /// What a long lot had owed since the listing when that block's close matched: funding, and losses shared.
    pub funding_index: FundingIndex,
    /// What a short lot had been owed.
    pub short_funding_index: FundingIndex,
    /// It is an option: what a trade costs moves in cash.
    pub is_option: bool,
}

impl MarketTerms {
    /// What a position of so many lots settles against.
    fn index_of(&self, lots: SignedLots) -> FundingIndex {
        if lots < 0 {
            self.short_funding_index
        } else {
            self.funding_index
        }
    }

    /// Takes a charge back: losses are shared after everything else that a close does, and its view has them already.
    ///
    /// # Errors
    ///
    /// `Range` when the charge cannot have been made.
    pub fn uncharge(&mut self, charge: &LossCharge) -> Result<(), RecomputeError> {
        match charge.side {
            Side::Bid => self.funding_index = sub(self.funding_index, charge.per_lot)?,
            Side::Ask => self.short_funding_index = add(self.short_funding_index, charge.per_lot)?,
        }
        Ok(())
    }
}

/// Why an account could not be recomputed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecomputeError {
    /// A sum left the range of its type: the events cannot be a chain's.
    #[error("a sum is out of range")]
    Range,
    /// A fill in a market whose terms were not given.
    #[error("market {0} is not known")]
    UnknownMarket(MarketId),
    /// The chain moved the account in a way that is not derived from fills: which event.
    #[error("the chain moved the account by {0}")]
    Moved(&'static str),
}

/// An account as its events add up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recomputed {
    account: Account,
    settlement: AssetId,
    /// Quantums.
    pub cash: Cash,
    /// Positions that are not zero, by market.
    pub positions: BTreeMap<MarketId, Held>,
    /// Collateral by asset.
    pub collateral: BTreeMap<AssetId, u128>,
    /// Profit that fills realised.
    pub realised: Cash,
    /// Fees paid.
    pub fees: Cash,
    /// Funding paid.
    pub funding: Cash,
    /// Fills counted.
    pub fills: u64,
    /// Markets in which fills change positions elsewhere.
    combinations: BTreeSet<MarketId>,
}

fn add(a: Cash, b: Cash) -> Result<Cash, RecomputeError> {
    a.checked_add(b).ok_or(RecomputeError::Range)
}

fn sub(a: Cash, b: Cash) -> Result<Cash, RecomputeError> {
    a.checked_sub(b).ok_or(RecomputeError::Range)
}

/// `⌈a · b / c⌉`, `c` above zero.
fn mul_div_ceil(a: Cash, b: Cash, c: Cash) -> Result<Cash, RecomputeError> {
    let product = a.checked_mul(b).ok_or(RecomputeError::Range)?;
    let (quotient, rest) = (product.div_euclid(c), product.rem_euclid(c));
    add(quotient, Cash::from(rest != 0))
}

impl Recomputed {
    /// An account that has seen nothing. `settlement` is the asset whose deposits are cash.
    pub fn new(account: Account, settlement: AssetId) -> Self {
        Self {
            account,
            settlement,
            cash: 0,
            positions: BTreeMap::new(),
            collateral: BTreeMap::new(),
            realised: 0,
            fees: 0,
            funding: 0,
            fills: 0,
            combinations: BTreeSet::new(),
        }
    }

    /// Whose it is.
    pub fn account(&self) -> Account {
        self.account
    }

    fn moved(&mut self, asset: AssetId, amount: u128, inward: bool) -> Result<(), RecomputeError> {
        if asset == self.settlement {
            let amount = Cash::try_from(amount).map_err(|_| RecomputeError::Range)?;
            self.cash = if inward {
                add(self.cash, amount)?
            } else {
                sub(self.cash, amount)?
            };
            return Ok(());
        }
        let held = self.collateral.entry(asset).or_default();
        let now = if inward {
            held.checked_add(amount)
        } else {
            held.checked_sub(amount)
        };
        *held = now.ok_or(RecomputeError::Range)?;
        if *held == 0 {
            self.collateral.remove(&asset);
        }
        Ok(())
    }

    /// Settles what the position owes since it was last touched, the account paying fractions of a quantum.
    fn settle_funding(
        &mut self,
        market: MarketId,
        terms: MarketTerms,
    ) -> Result<(), RecomputeError> {
        let Some(held) = self.positions.get_mut(&market) else {
            return Ok(());
        };
        let index = terms.index_of(held.lots);
        let per_lot = sub(index, held.funding_index)?;
        let owed = mul_div_ceil(per_lot, Cash::from(held.lots), 1 << FUNDING_FRACTION_BITS)?;
        held.funding_index = index;
        self.cash = sub(self.cash, owed)?;
        self.funding = add(self.funding, owed)?;
        Ok(())
    }

    /// Changes the position by `change` lots for `value` quantums (paid above zero).
    fn trade(
        &mut self,
        market: MarketId,
        terms: MarketTerms,
        change: SignedLots,
        value: Cash,
    ) -> Result<(), RecomputeError> {
        self.settle_funding(market, terms)?;
        let mut held = self.positions.remove(&market).unwrap_or_default();
        let opposed = (held.lots > 0 && change < 0) || (held.lots < 0 && change > 0);
        let mut opening = value;
        if opposed {
            let open = Cash::from(held.lots.unsigned_abs());
            let traded = Cash::from(change.unsigned_abs());
            let closed = traded.min(open);
            let closing = mul_div_ceil(value, closed, traded)?;
            let released = mul_div_ceil(held.cost, closed, open)?;
            let profit = sub(0, add(closing, released)?)?;
            held.cost = sub(held.cost, released)?;
            self.cash = add(self.cash, profit)?;
            self.realised = add(self.realised, profit)?;
            opening = sub(value, closing)?;
        }
        held.cost = add(held.cost, opening)?;
        if terms.is_option {
            self.cash = sub(self.cash, held.cost)?;
            held.cost = 0;
        }
        held.lots = held.lots.checked_add(change).ok_or(RecomputeError::Range)?;
        held.funding_index = terms.index_of(held.lots);
        if held.lots != 0 {
            self.positions.insert(market, held);
        }
        Ok(())
    }

    /// Takes in one fill and its fee, if it is the account's.
    pub fn fill(
        &mut self,
        market: MarketId,
        terms: MarketTerms,
        fill: &Fill<crate::AccountId>,
    ) -> Result<(), RecomputeError> {
        if fill.account != self.account {
            return Ok(());
        }
        self.filled(market, terms, fill)?;
        self.pay_fee(fill)
    }

    fn pay_fee(&mut self, fill: &Fill<crate::AccountId>) -> Result<(), RecomputeError> {
        self.cash = sub(self.cash, fill.fee)?;
        self.fees = add(self.fees, fill.fee)?;
        self.fills += 1;
        Ok(())
    }

    /// Takes in what one fill of the account does to its position.
    fn filled(
        &mut self,
        market: MarketId,
        terms: MarketTerms,
        fill: &Fill<crate::AccountId>,
    ) -> Result<(), RecomputeError> {
        let change = fill.side.signed(fill.lots).ok_or(RecomputeError::Range)?;
        let value = Cash::from(fill.ticks)
            .checked_mul(Cash::from(terms.tick_value))
            .and_then(|a_lot| a_lot.checked_mul(Cash::from(change)))
            .ok_or(RecomputeError::Range)?;
        self.trade(market, terms, change, value)
    }

    /// Takes in whatever an event did to the account. `terms` are the markets' at the event's block.
    pub fn apply(
        &mut self,
        event: &Event,
        terms: &BTreeMap<MarketId, MarketTerms>,
    ) -> Result<(), RecomputeError> {
        let known = |market: &MarketId| {
            terms
                .get(market)
                .copied()
                .ok_or(RecomputeError::UnknownMarket(*market))
        };
        let own = self.account;
        match event {
            // Legs come before the fills that they are of, which have the fees.
            Event::LegCleared {
                combination,
                market,
                fills,
            } => {
                self.combinations.insert(*combination);
                let terms = known(market)?;
                let mut fills = fills.iter().filter(|fill| fill.account == own);
                fills.try_for_each(|fill| self.filled(*market, terms, fill))
            }
            Event::Cleared { market, fills, .. } if self.combinations.contains(market) => {
                let mut fills = fills.iter().filter(|fill| fill.account == own);
                fills.try_for_each(|fill| self.pay_fee(fill))
            }
            Event::Cleared { market, fills, .. } => {
                let terms = known(market)?;
                fills
                    .iter()
                    .try_for_each(|fill| self.fill(*market, terms, fill))
            }
            // It counts as cash from here on, whenever the chain books it.
            Event::Settled { market, worth, .. } => {
                let Some(held) = self.positions.get(market) else {
                    return Ok(());
                };
                let terms = known(market)?;
                let back = held.lots.checked_neg().ok_or(RecomputeError::Range)?;
                let value = Cash::from(*worth)
                    .checked_mul(Cash::from(terms.tick_value))
                    .and_then(|a_lot| a_lot.checked_mul(Cash::from(back)))
                    .ok_or(RecomputeError::Range)?;
                self.trade(*market, terms, back, value)
            }
            Event::Deposited {
                account,
                asset,
                amount,
            } if *account == own => self.moved(*asset, *amount, true),
            Event::Executed { request, .. } => self.executed(request),
            Event::InsurancePaid { account, paid, .. } if *account == own => {
                self.cash = add(self.cash, *paid)?;
                Ok(())
            }
            Event::InterestPaid { account, paid } if *account == own => {
                self.cash = sub(self.cash, *paid)?;
                Ok(())
            }
            // What those across owe for it is in their index.
            Event::LossShared { account, loss, .. } if *account == own => {
                self.cash = add(self.cash, *loss)?;
                Ok(())
            }
            // The vault takes everything at what it cost; nothing is left.
            Event::TakenOver { account, .. } if *account == own => {
                for (market, held) in self.positions.clone() {
                    let back = held.lots.checked_neg().ok_or(RecomputeError::Range)?;
                    self.trade(market, known(&market)?, back, sub(0, held.cost)?)?;
                }
                self.cash = 0;
                self.collateral.clear();
                Ok(())
            }
            Event::Deleveraged {
                account,
                counterparty,
                market,
                lots,
                value,
            } => {
                let value = match (*account == own, *counterparty == own) {
                    (true, _) => *value,
                    (_, true) => sub(0, *value)?,
                    _ => return Ok(()),
                };
                let long = self.positions.get(market).is_some_and(|held| held.lots > 0);
                let side = if long { Side::Ask } else { Side::Bid };
                let change = side.signed(*lots).ok_or(RecomputeError::Range)?;
                self.trade(*market, known(market)?, change, value)
            }
            Event::BidFilled {
                account,
                taker,
                portion,
                discount,
                ..
            } if *account == own || *taker == own => {
                let takes = *taker == own;
                for (market, lots, value) in &portion.positions {
                    let terms = known(market)?;
                    let (lots, value) = if takes {
                        (*lots, *value)
                    } else {
                        let back = lots.checked_neg().ok_or(RecomputeError::Range)?;
                        (back, sub(0, *value)?)
                    };
                    self.trade(*market, terms, lots, value)?;
                }
                for (asset, amount, value) in &portion.collateral {
                    self.moved(*asset, *amount, takes)?;
                    let paid = if takes { sub(0, *value)? } else { *value };
                    self.cash = add(self.cash, paid)?;
                }
                let kept = if takes { *discount } else { sub(0, *discount)? };
                self.cash = add(self.cash, kept)?;
                Ok(())
            }
            // Which collateral left for it, the event does not say.
            Event::DebtPaid { account, .. } if *account == own => {
                Err(RecomputeError::Moved("DebtPaid"))
            }
            _ => Ok(()),
        }
    }

    fn executed(&mut self, request: &Request) -> Result<(), RecomputeError> {
        let (from, to) = match request.action {
            Action::Withdraw { sub } => (Some(sub), None),
            Action::Transfer { sub, to } => (Some(sub), Some(to)),
            Action::DepositFor { to } => (None, Some(to)),
            Action::Borrow { sub } => (Some(sub), None),
            // Between a wallet and the liquidity pot.
            Action::Supply | Action::Redeem => (None, None),
        };
        if from.is_some_and(|sub| Account::new(request.owner, sub) == self.account) {
            self.moved(request.asset, request.amount, false)?;
        }
        if to == Some(self.account) {
            self.moved(request.asset, request.amount, true)?;
        }
        Ok(())
    }

    /// Where the chain's account differs; empty if nowhere.
    pub fn differences(&self, chain: &MarginAccount) -> Vec<Difference> {
        let mut found = Vec::new();
        let mut compare = |what: String, recomputed: i128, chain: i128| {
            if recomputed != chain {
                found.push(Difference {
                    what,
                    recomputed,
                    chain,
                });
            }
        };
        compare("cash".into(), self.cash, chain.cash);
        let markets = self
            .positions
            .keys()
            .copied()
            .chain(chain.positions.iter().map(|p| p.market));
        for market in markets.collect::<std::collections::BTreeSet<_>>() {
            let ours = self.positions.get(&market).copied().unwrap_or_default();
            let theirs = chain.position(market).map_or(Held::default(), |p| Held {
                lots: p.lots,
                cost: p.cost,
                funding_index: p.funding_index,
            });
            compare(
                format!("lots in market {market}"),
                ours.lots.into(),
                theirs.lots.into(),
            );
            compare(format!("cost in market {market}"), ours.cost, theirs.cost);
            compare(
                format!("funding index in market {market}"),
                ours.funding_index,
                theirs.funding_index,
            );
        }
        let assets = self
            .collateral
            .keys()
            .copied()
            .chain(chain.collateral.iter().map(|c| c.0));
        for asset in assets.collect::<std::collections::BTreeSet<_>>() {
            let ours = self.collateral.get(&asset).copied().unwrap_or(0);
            let theirs = chain
                .collateral
                .iter()
                .find(|c| c.0 == asset)
                .map_or(0, |c| c.1);
            compare(
                format!("collateral in asset {asset}"),
                i128::try_from(ours).unwrap_or(i128::MAX),
                i128::try_from(theirs).unwrap_or(i128::MAX),
            );
        }
        found
    }
}

/// One number on which the chain and its events disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which number.
    pub what: String,
    /// From the events.
    pub recomputed: i128,
    /// As the chain reports it.
    pub chain: i128,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} from the fills, {} on chain",
            self.what, self.recomputed, self.chain
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AccountId;
    use novate_types::{Position, RankSlot, Role};
    use proptest::prelude::*;

    const USDC: AssetId = 1;
    const UNIT: FundingIndex = 1 << FUNDING_FRACTION_BITS;

    fn me() -> Account {
        Account::new(AccountId::from([1; 32]), 0)
    }

    fn fill(side: Side, lots: u64, ticks: u64, fee: Cash) -> Fill<AccountId> {
        Fill {
            account: me(),
            sequence: 0,
            side,
            role: Role::Taker,
            ticks,
            lots,
            fee,
            liquidation: false,
        }
    }

    fn cleared(fills: Vec<Fill<AccountId>>) -> Event {
        Event::Cleared {
            market: 1,
            price: 0,
            volume: 0,
            fills,
        }
    }

    fn at(funding_index: FundingIndex) -> BTreeMap<MarketId, MarketTerms> {
        BTreeMap::from([(
            1,
            MarketTerms {
                tick_value: 50,
                funding_index,
                short_funding_index: funding_index,
                is_option: false,
            },
        )])
    }

    fn after(events: &[(Event, FundingIndex)]) -> Recomputed {
        let mut account = Recomputed::new(me(), USDC);
        for (event, index) in events {
            account.apply(event, &at(*index)).unwrap();
        }
        account
    }

    #[test]
    fn a_combination_changes_positions_in_its_legs_and_is_charged_once() {
        let leg = |market, fill| Event::LegCleared {
            combination: 1,
            market,
            fills: vec![fill],
        };
        let terms = BTreeMap::from([(2, at(0)[&1]), (3, at(0)[&1])]);
        let mut account = Recomputed::new(me(), USDC);
        for event in [
            leg(2, fill(Side::Bid, 6, 101, 0)),
            leg(3, fill(Side::Ask, 3, 199, 0)),
            // Two of the one for one of the other, at the difference.
            cleared(vec![fill(Side::Bid, 3, 3, 7)]),
        ] {
            account.apply(&event, &terms).unwrap();
        }
        assert_eq!((account.cash, account.fees, account.fills), (-7, 7, 1));
        let held = |market| account.positions.get(&market).map(|p| (p.lots, p.cost));
        assert_eq!(held(1), None);
        assert_eq!(held(2), Some((6, 6 * 101 * 50)));
        assert_eq!(held(3), Some((-3, -3 * 199 * 50)));
    }

    #[test]
    fn a_contract_that_settled_is_cash() {
        let settled = |worth| Event::Settled {
            market: 1,
            price: 120,
            worth,
        };
        // Three lots at 101 ticks of 50 quantums, worth 120 each.
        let bought = cleared(vec![fill(Side::Bid, 3, 101, 7)]);
        let account = after(&[(bought.clone(), 0), (settled(120), 0)]);
        assert!(account.positions.is_empty());
        assert_eq!(
            (account.cash, account.realised),
            (3 * 19 * 50 - 7, 3 * 19 * 50)
        );
        // Of an option the premium has moved already, and what it pays comes on top.
        let mut terms = at(0);
        terms.get_mut(&1).unwrap().is_option = true;
        let mut account = Recomputed::new(me(), USDC);
        account.apply(&bought, &terms).unwrap();
        assert_eq!(
            (account.cash, account.positions[&1].cost),
            (-3 * 101 * 50 - 7, 0)
        );
        account.apply(&settled(20), &terms).unwrap();
        assert!(account.positions.is_empty());
        assert_eq!(account.cash, -3 * 101 * 50 - 7 + 3 * 20 * 50);
    }

    #[test]
    fn account_follows_deposits_fills_fees_and_funding() {
        let deposit = Event::Deposited {
            account: me(),
            asset: USDC,
            amount: 1_000_000,
        };
        let account = after(&[
            (deposit, 0),
            (cleared(vec![fill(Side::Bid, 3, 101, 7)]), 0),
            // Two lots close at a profit; funding of 2.5 quantums a lot is owed on three, rounded up.
            (cleared(vec![fill(Side::Ask, 2, 111, -1)]), UNIT * 5 / 2),
        ]);
        let held = account.positions[&1];
        assert_eq!(
            (held.lots, held.cost, held.funding_index),
            (1, 5_050, UNIT * 5 / 2)
        );
        assert_eq!(
            (account.realised, account.fees, account.funding),
            (1_000, 6, 8)
        );
        assert_eq!(account.cash, 1_000_000 + 1_000 - 6 - 8);
        assert_eq!(account.fills, 2);
    }

    #[test]
    fn fill_through_zero_closes_and_opens() {
        let account = after(&[
            (cleared(vec![fill(Side::Bid, 2, 100, 0)]), 0),
            (cleared(vec![fill(Side::Ask, 5, 110, 0)]), 0),
        ]);
        let held = account.positions[&1];
        assert_eq!(
            (held.lots, held.cost, account.cash),
            (-3, -3 * 110 * 50, 2 * 10 * 50)
        );
    }

    #[test]
    fn others_events_leave_the_account_alone() {
        let other = Account::new(AccountId::from([2; 32]), 0);
        let mut foreign = fill(Side::Bid, 1, 1, 1);
        foreign.account = other;
        let account = after(&[
            (cleared(vec![foreign]), 0),
            (
                Event::Deposited {
                    account: other,
                    asset: USDC,
                    amount: 5,
                },
                0,
            ),
            (
                Event::InsurancePaid {
                    account: other,
                    paid: 5,
                    left: 0,
                },
                0,
            ),
        ]);
        assert_eq!(account, Recomputed::new(me(), USDC));
    }

    #[test]
    fn takeover_leaves_nothing_and_differences_name_what_is_off() {
        let deposit = Event::Deposited {
            account: me(),
            asset: USDC,
            amount: 100,
        };
        let taken = Event::TakenOver {
            account: me(),
            why: crate::event::Escalation::Backlog,
            equity: 1,
            maintenance: 2,
        };
        let account = after(&[
            (deposit, 0),
            (cleared(vec![fill(Side::Bid, 1, 2, 3)]), 0),
            (taken, UNIT),
        ]);
        assert_eq!(account.differences(&MarginAccount::default()), []);

        let position = Position {
            market: 1,
            lots: 1,
            cost: 0,
            funding_index: 0,
            rank: RankSlot::default(),
        };
        let chain = MarginAccount {
            cash: 1,
            positions: vec![position].try_into().unwrap(),
            ..MarginAccount::default()
        };
        let found = account.differences(&chain);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].to_string(), "cash: 0 from the fills, 1 on chain");
    }

    #[test]
    fn a_shared_loss_is_paid_out_at_once_and_owed_through_the_index() {
        let charge = LossCharge {
            market: 1,
            side: Side::Ask,
            loss: 10,
            lots: 5,
            per_lot: 2 * UNIT,
        };
        let shared = Event::LossShared {
            account: me(),
            loss: 10,
            charges: vec![charge],
        };
        let mut account = after(&[(shared, 0), (cleared(vec![fill(Side::Ask, 5, 100, 0)]), 0)]);
        assert_eq!((account.cash, account.funding), (10, 0));
        // The close that shared it matched before it did.
        let mut terms = MarketTerms {
            tick_value: 50,
            funding_index: 0,
            short_funding_index: -2 * UNIT,
            is_option: false,
        };
        let later = BTreeMap::from([(1, terms)]);
        terms.uncharge(&charge).unwrap();
        assert_eq!(terms.short_funding_index, 0);
        // Short lots owe two quantums each; what is bought anew starts from longs' index.
        let turned = cleared(vec![fill(Side::Bid, 6, 100, 0)]);
        account.apply(&turned, &later).unwrap();
        assert_eq!((account.cash, account.funding), (0, 10));
        assert_eq!(account.positions[&1].funding_index, 0);
    }

    #[test]
    fn fraction_leaves_on_one_side_and_arrives_on_the_other() {
        const BTC: AssetId = 3;
        let taker = Account::new(AccountId::from([2; 32]), 0);
        let deposit = |asset, amount| Event::Deposited {
            account: me(),
            asset,
            amount,
        };
        let sold = Event::BidFilled {
            account: me(),
            taker,
            fraction: 500_000,
            portion: crate::event::Portion {
                positions: vec![(1, 1, 90)],
                collateral: vec![(BTC, 4, 20)],
            },
            worth: 12,
            discount: 7,
        };
        // Two lots for 2 · 2 · 50 = 200; one of them goes for 90, which realises a loss of 10.
        let seller = after(&[
            (deposit(USDC, 100), 0),
            (deposit(BTC, 8), 0),
            (cleared(vec![fill(Side::Bid, 2, 2, 0)]), 0),
            (sold.clone(), 0),
        ]);
        assert_eq!(seller.cash, 100 - 10 + 20 - 7);
        assert_eq!(
            (seller.positions[&1].lots, seller.positions[&1].cost),
            (1, 100)
        );
        assert_eq!(seller.collateral[&BTC], 4);
        let mut buyer = Recomputed::new(taker, USDC);
        buyer.apply(&sold, &at(0)).unwrap();
        assert_eq!(buyer.cash, 7 - 20);
        assert_eq!(
            (buyer.positions[&1].lots, buyer.positions[&1].cost),
            (1, 90)
        );
        assert_eq!(buyer.collateral[&BTC], 4);
    }

    #[test]
    fn withdrawals_and_transfers_leave_on_one_side_and_arrive_on_the_other() {
        let to = Account::new(AccountId::from([1; 32]), 3);
        let action = Action::Transfer { sub: 0, to };
        let request = Request {
            owner: me().owner,
            action,
            asset: USDC,
            amount: 40,
        };
        let deposit = Event::Deposited {
            account: me(),
            asset: USDC,
            amount: 100,
        };
        let sender = after(&[(deposit, 0), (Event::Executed { id: 0, request }, 0)]);
        assert_eq!(sender.cash, 60);
        let mut receiver = Recomputed::new(to, USDC);
        receiver
            .apply(&Event::Executed { id: 0, request }, &at(0))
            .unwrap();
        assert_eq!(receiver.cash, 40);
    }

    proptest! {
        /// Cash less cost is what was paid and received, whatever rounds on the way.
        #[test]
        fn cash_less_cost_moves_by_the_value_of_each_fill(
            fills in prop::collection::vec((any::<bool>(), 1u64..1_000, 1u64..1_000_000), 1..40),
        ) {
            let mut account = Recomputed::new(me(), USDC);
            let mut paid: Cash = 0;
            for (bid, lots, ticks) in fills {
                let side = if bid { Side::Bid } else { Side::Ask };
                account.apply(&cleared(vec![fill(side, lots, ticks, 0)]), &at(0)).unwrap();
                paid += Cash::from(side.signed(lots).unwrap()) * Cash::from(ticks) * 50;
                let held = account.positions.get(&1).copied().unwrap_or_default();
                prop_assert_eq!(account.cash - held.cost, -paid);
                prop_assert!(held.lots != 0 || held.cost == 0);
            }
        }
    }
}
