//! Remedy 3: open competition. An account for which the market was not enough is sold to whoever bids, in uniform fractions of the
//! whole of it, at a discount that grows from close to close until it is sold at its bankruptcy value (`novate_risk::competition`).
//!
//! The terms of a close are known before it: the discount depends on how many closes the competition has lasted, and what is
//! available on the account. The bids of one block are equals. Each has to stand by itself first: its taker must cover its initial margin with
//! all that it asks of what is available, so that nobody keeps a share from others that it could not carry. Those
//! that do share what is available like orders at one price, in proportion to `min(asked, available)`. They are carried out one
//! after another, by hash, which decides on no more than the odd lot; a taker that cannot carry its share after all (it won another account
//! in this close) is dropped, and its share waits for the next close.
//!
//! A block takes so many bids. Beyond that those stay whose takers can carry most of what they ask for, by margin that they had free when the
//! block began: a crowd of bids with nothing behind them keeps nobody out, and which stay does not depend on the order in which they came.
//!
//! The collateral of who owes too much is sold the same way ([`super::call`]), by itself and for the debt alone.
//!
//! Bids prepay their part of the close, for what their taker held when they came in. What it takes more because it came to hold more since the
//! close counts, like all that an account in competition takes.

use super::{call::CALL_CLOSES, Outcome, Waterfall, MARKET_CLOSES};
use crate::{
    meter::{Meter, Size},
    types::{Bid, Terms},
    Bids, Config, Error, Escalation, Event, Pallet, Refusal, WeightInfo, MOST_CANDIDATES,
};
use alloc::{collections::BTreeMap, vec::Vec};
use codec::Encode;
use frame_support::{ensure, storage::with_storage_layer, traits::Get, weights::Weight};
use novate_matching::share::{share, Offer};
use novate_risk::{
    all_collateral_value, collateral_terms, competition_discount, for_sale, largest_fraction_ceil,
    more_thresholds_in, sell, worth, Portion, Sale,
};
use novate_types::{
    math::{ppm_floor, signed, sub},
    AccountRef, Assessment, Cash, CurrentView, Ledger, MarginAccount, MathError, Pot, Ppm,
    RiskError, RiskModel, RiskView, Standing, MAX_HOLDINGS, MILLION,
};

/// Closes an account spends in remedy 3.
pub const COMPETITION_CLOSES: u8 = 20;

/// A block's bids, by the account that they are for.
pub(crate) type BidsByAccount<AccountId> = BTreeMap<AccountRef<AccountId>, Vec<Bid<AccountId>>>;

/// Whether an account is in open competition.
pub(crate) const fn competes(account: &MarginAccount) -> bool {
    matches!(account.standing, Standing::Competing { .. })
}

/// Whether bids for an account are taken in, for all of it or for its collateral. Neither standing nor collateral changes but in closes; whether
/// there is a debt to be paid, which a deposit changes, the close asks.
pub(crate) fn takes_bids(account: &MarginAccount) -> bool {
    match account.standing {
        Standing::Competing { .. } => true,
        Standing::Called { .. } | Standing::Liquidating { .. } => !account.collateral.is_empty(),
        Standing::Good | Standing::Frozen => false,
    }
}

/// The account as the next close's sale finds it, if it takes bids: a close of remedy 2 is counted before its bids are, and the last of them
/// sells nothing.
fn at_next_sale(mut account: MarginAccount) -> Option<MarginAccount> {
    if let Standing::Liquidating { closes, .. } = &mut account.standing {
        *closes = closes.saturating_add(1);
        if *closes >= MARKET_CLOSES {
            return None;
        }
    }
    Some(account).filter(takes_bids)
}

/// Closes that an account spent where it is, and those that it spends there.
const fn spent(account: &MarginAccount) -> (u8, u8) {
    match account.standing {
        Standing::Competing { closes, .. } => (closes, COMPETITION_CLOSES),
        Standing::Called { closes, .. } => (closes, CALL_CLOSES),
        // It is offered from the close after that in which it was found on, and each is counted before its bids are.
        Standing::Liquidating { closes, .. } => (closes.saturating_sub(2), MARKET_CLOSES),
        Standing::Good | Standing::Frozen => (0, 0),
    }
}

/// How far from the mark to its bankruptcy value an account is sold in a close that finds it so, or its collateral from the price to its haircut value,
/// in ppm.
fn discount_of(account: &MarginAccount) -> Ppm {
    let (closes, of) = spent(account);
    competition_discount(closes, of)
}

/// What a taker can come to be once it has part of an account: what both hold, and thresholds as if its own orders had filled.
fn size_of_both(account: &MarginAccount, taker: &MarginAccount, view: &RiskView) -> Size {
    let held = account.positions.iter().chain(&taker.positions);
    let ordered = taker.orders.iter().map(|orders| orders.market);
    Size {
        holdings: account.holdings().saturating_add(taker.holdings()),
        more: more_thresholds_in(held.map(|p| p.market).chain(ordered), view),
    }
}

/// What no account exceeds.
fn at_most(size: Size) -> Size {
    Size {
        holdings: size.holdings.min(MAX_HOLDINGS),
        ..size
    }
}

/// Initial margin of a fraction of an account, or the haircut value of one of its collateral, and what a taker has free, in quantums at the last
/// close's prices. Of the account only what no extrinsic changes counts, and all the rest is the taker's own.
fn asked_and_free<T: Config>(
    taker: &MarginAccount,
    account: &MarginAccount,
    fraction: Ppm,
) -> Result<(Cash, Cash), RiskError> {
    let view = T::View::view();
    let whole = if competes(account) {
        T::Risk::assess(account, &view)?.initial.max(0)
    } else {
        all_collateral_value(account, &view)?
    };
    let asked = signed(ppm_floor(whole.unsigned_abs(), fraction)?)?;
    let found = T::Risk::assess(taker, &view)?;
    Ok((asked, sub(found.initial_equity, found.initial_with_orders)?))
}

/// An account while fractions of it are sold.
struct Lot<'a> {
    /// As the close found it: what fractions are of.
    whole: &'a MarginAccount,
    /// What is left of it.
    left: MarginAccount,
    /// What that is worth and needs.
    assessment: Assessment,
    /// How much is gone, in ppm.
    sold: Ppm,
    discount: Ppm,
}

impl Lot<'_> {
    /// What a taker would have of the next `part` of it, and both sides after that.
    fn offer<T: Config>(
        &self,
        to: &AccountRef<T::AccountId>,
        part: Ppm,
        view: &RiskView,
    ) -> Result<(Portion, Sale), Refusal> {
        let taker = T::Ledger::account(to).filter(|taker| taker.standing == Standing::Good);
        let taker = taker.ok_or(Refusal::TakerStanding)?;
        let end = self.sold.checked_add(part).ok_or(MathError::Overflow)?;
        let portion = Portion::between(self.whole, view, self.sold, end)?;
        ensure!(!portion.is_empty(), Refusal::TooSmall);
        let sale = sell::<T::Risk>(
            &self.left,
            &self.assessment,
            &taker,
            &portion,
            self.discount,
            view,
        )?;
        let after = T::Risk::assess(&sale.taker, view)?;
        ensure!(after.fresh, Refusal::StalePrice);
        ensure!(after.covers_orders(), Refusal::Margin);
        ensure!(sale.taker.cash >= taker.cash.min(0), Refusal::Cash);
        Ok((portion, sale))
    }
}

impl<T: Config> Pallet<T> {
    /// Weight of a bid for an account that is as large as it and the taker together: its extrinsic and its part of the close.
    pub(crate) fn bid_weight(size: Size) -> Weight {
        let in_close = Meter::<T>::of(0).worst_bid(at_most(size));
        T::WeightInfo::bid().saturating_add(Weight::from_parts(in_close, 0))
    }

    /// Takes a bid in for this block's close. Returns what it is charged for, see [`Pallet::bid_weight`].
    pub(crate) fn take_bid(
        by: AccountRef<T::AccountId>,
        of: AccountRef<T::AccountId>,
        fraction: Ppm,
        least_discount: Ppm,
    ) -> Result<Size, Error<T>> {
        ensure!(
            (1..=MILLION).contains(&fraction) && least_discount <= MILLION,
            Error::<T>::BadFraction
        );
        let taker = T::Ledger::account(&by).ok_or(Error::<T>::NoAccount)?;
        ensure!(
            taker.standing == Standing::Good,
            Error::<T>::NotInGoodStanding
        );
        // Standing changes in closes alone: no extrinsic of this block has a say in it.
        let account = T::Ledger::account(&of).and_then(at_next_sale);
        let account = account.ok_or(Error::<T>::NotCompeting)?;
        // It may come to hold positions in the markets of its orders, too.
        let ordered = u32::try_from(taker.orders.len()).unwrap_or(u32::MAX);
        let both = size_of_both(&account, &taker, &T::View::view());
        let size = Size {
            holdings: both.holdings.saturating_add(ordered),
            ..both
        };
        let reached = least_discount <= discount_of(&account);
        let (asked, free) = if reached {
            asked_and_free::<T>(&taker, &account, fraction).unwrap_or((0, 0))
        } else {
            (0, 0)
        };
        let parent = frame_system::Pallet::<T>::parent_hash();
        let tie = sp_io::hashing::blake2_128(&(parent, &by).encode());
        let bid = Bid {
            taker: by,
            account: of,
            fraction,
            least_discount,
            carries: asked,
            tie,
            holdings: size.holdings,
            thresholds: size.more,
        };
        Self::enter_bid(bid, free)?;
        Ok(size)
    }

    /// Puts a bid among this block's, in the place of its owner's for the same account, or of one that carries less if there is no room: of
    /// one for the same account, if that has as many as it may have, else of any. It carries what it asks for, as far as its taker's `free`
    /// margin is not taken by its other bids.
    fn enter_bid(mut bid: Bid<T::AccountId>, free: Cash) -> Result<(), Error<T>> {
        let outbid = Bids::<T>::try_mutate(|bids| {
            bids.retain(|other| {
                other.account != bid.account || other.taker.owner != bid.taker.owner
            });
            let own = bids.iter().filter(|other| other.taker == bid.taker);
            let free = own.fold(free, |free, other| free.saturating_sub(other.carries));
            bid.carries = bid.carries.min(free).max(0);
            let of_account = bids.iter().filter(|other| other.account == bid.account);
            let is_crowded = !u32::try_from(of_account.count())
                .is_ok_and(|many| many < T::MaxBidsPerAccount::get());
            let mut outbid = None;
            if is_crowded || bids.is_full() {
                let rivals = bids.iter().enumerate();
                let (at, least) = rivals
                    .filter(|(_, other)| !is_crowded || other.account == bid.account)
                    .min_by_key(|(_, other)| other.rank())
                    .ok_or(Error::<T>::TooManyBids)?;
                ensure!(least.rank() < bid.rank(), Error::<T>::TooManyBids);
                outbid = Some(bids.swap_remove(at));
            }
            bids.try_push(bid)
                .map(|()| outbid)
                .map_err(|_| Error::<T>::TooManyBids)
        })?;
        if let Some(outbid) = outbid {
            Self::drop_bid(outbid, Refusal::Outbid);
        }
        Ok(())
    }

    /// This block's bids, which are not there any more.
    pub(crate) fn take_bids() -> BidsByAccount<T::AccountId> {
        let mut by_account = BidsByAccount::new();
        if !Bids::<T>::exists() {
            return by_account;
        }
        for bid in Bids::<T>::take() {
            by_account.entry(bid.account.clone()).or_default().push(bid);
        }
        by_account
    }

    /// Says of bids that their accounts are not sold in this close.
    pub(crate) fn drop_bids(bids: BidsByAccount<T::AccountId>) {
        for bid in bids.into_values().flatten() {
            Self::drop_bid(bid, Refusal::NotCompeting);
        }
    }

    fn drop_bid(bid: Bid<T::AccountId>, refusal: Refusal) {
        Self::deposit_event(Event::BidDropped {
            account: bid.account,
            taker: bid.taker,
            refusal,
        });
    }

    /// The competition of an account begins: with the next block's bids.
    pub(super) fn start_competition(
        of: &AccountRef<T::AccountId>,
        view: &RiskView,
        assessment: &Assessment,
    ) -> Result<(), Refusal> {
        T::Ledger::update(of, |account| {
            account.standing = Standing::Competing {
                since: view.block,
                closes: 0,
            };
            Ok::<_, Refusal>(())
        })?;
        Self::deposit_event(Event::CompetitionStarted {
            account: of.clone(),
            equity: assessment.equity,
            maintenance: assessment.maintenance,
        });
        Ok(())
    }

    /// The competition of an account is over, and it goes on to the vault.
    pub(super) fn end_competition(
        of: &AccountRef<T::AccountId>,
        account: &MarginAccount,
        why: Escalation,
        assessment: &Assessment,
    ) -> Result<(), Refusal> {
        Self::say_ended(of, account, Some(why), assessment);
        T::Ledger::update(of, |account| {
            account.standing = Standing::Frozen;
            Ok(())
        })
    }

    /// If an account was in competition, it is no more.
    pub(super) fn say_ended(
        of: &AccountRef<T::AccountId>,
        account: &MarginAccount,
        why: Option<Escalation>,
        assessment: &Assessment,
    ) {
        if competes(account) {
            Self::deposit_event(Event::CompetitionEnded {
                account: of.clone(),
                why,
                equity: assessment.equity,
                maintenance: assessment.maintenance,
            });
        }
    }

    /// Writes those who bid for an account if deleveraging changed them in this close. Who is not in good standing takes nothing, and
    /// stays as it was read.
    pub(super) fn release_takers(
        of: &AccountRef<T::AccountId>,
        close: &mut Waterfall<'_, T>,
    ) -> Result<(), Refusal> {
        for bid in close.bids.get(of).into_iter().flatten() {
            if close.across.is_good(&bid.taker) {
                Self::release(&bid.taker, close.view, &mut close.across)?;
            }
        }
        Ok(())
    }

    /// One close of an account's competition.
    pub(super) fn compete(
        of: &AccountRef<T::AccountId>,
        account: MarginAccount,
        assessment: Assessment,
        close: &mut Waterfall<'_, T>,
    ) -> Result<Outcome, Refusal> {
        let assessment = Self::sell_to_bids(of, &account, assessment, close)?;
        if !assessment.is_below_maintenance() {
            return Self::let_go(of, close);
        }
        T::Ledger::update(of, |account| {
            if let Standing::Competing { closes, .. } = &mut account.standing {
                *closes = closes.saturating_add(1);
            }
            Ok::<_, Refusal>(())
        })?;
        Ok(Outcome::Stays {
            assessment,
            waits: false,
        })
    }

    /// Sells what is available of an account, or of its collateral, to this block's bids for it. Returns what the rest of it is worth and needs.
    pub(super) fn sell_to_bids(
        of: &AccountRef<T::AccountId>,
        account: &MarginAccount,
        assessment: Assessment,
        close: &mut Waterfall<'_, T>,
    ) -> Result<Assessment, Refusal> {
        let bids = close.bids.remove(of).unwrap_or_default();
        let bids = Self::paid_for(bids, account, close.view, &mut close.meter);
        if bids.is_empty() {
            return Ok(assessment);
        }
        let Some(sold) = for_sale(account, close.view)? else {
            for bid in bids {
                Self::drop_bid(bid, Refusal::NotCompeting);
            }
            return Ok(assessment);
        };
        Self::sell_to(bids, of, account, &sold, assessment, close.view)
    }

    /// Those of the bids that are paid for: what some take beyond what they prepaid, as their takers came to hold more since, this close
    /// pays as long as it has time.
    fn paid_for(
        mut bids: Vec<Bid<T::AccountId>>,
        account: &MarginAccount,
        view: &RiskView,
        meter: &mut Meter<T>,
    ) -> Vec<Bid<T::AccountId>> {
        bids.sort_unstable_by_key(|bid| bid.tie);
        let (paid, unpaid): (Vec<_>, Vec<_>) = bids.into_iter().partition(|bid| {
            let taker = T::Ledger::account(&bid.taker).unwrap_or_default();
            let cost = |size| meter.worst_bid(at_most(size));
            let prepaid = Size {
                holdings: bid.holdings,
                more: bid.thresholds,
            };
            let now = size_of_both(account, &taker, view);
            let more = cost(now).saturating_sub(cost(prepaid));
            let affords = meter.affords(more);
            if affords {
                meter.spend(more);
            }
            affords
        });
        for bid in unpaid {
            Self::drop_bid(bid, Refusal::NotCompeting);
        }
        paid
    }

    /// Sells what is available of an account, of which `whole` is for sale, to those who bid for it.
    fn sell_to(
        bids: Vec<Bid<T::AccountId>>,
        of: &AccountRef<T::AccountId>,
        account: &MarginAccount,
        whole: &MarginAccount,
        assessment: Assessment,
        view: &RiskView,
    ) -> Result<Assessment, Refusal> {
        let terms = Self::terms(account, &assessment, view)?;
        let mut lot = Lot {
            whole,
            left: account.clone(),
            assessment,
            sold: 0,
            discount: terms.discount,
        };
        let (takers, offers) = Self::admit(bids, &lot, &terms, view);
        let parts = share(terms.available.into(), &offers)?;
        for (bid, part) in takers.into_iter().zip(parts) {
            let part = Ppm::try_from(part).map_err(|_| MathError::Overflow)?;
            let sold = lot
                .offer::<T>(&bid.taker, part, view)
                .and_then(|(portion, sale)| {
                    Self::write_sale(&bid.taker, &sale, view)?;
                    Ok((portion, sale))
                });
            match sold {
                Ok((portion, sale)) => {
                    lot.sold = lot.sold.checked_add(part).ok_or(MathError::Overflow)?;
                    (lot.left, lot.assessment) = (sale.seller, sale.assessment);
                    Self::deposit_event(Event::BidFilled {
                        account: bid.account,
                        taker: bid.taker,
                        fraction: part,
                        portion,
                        worth: sale.worth,
                        discount: sale.discount,
                    });
                }
                Err(refusal) => {
                    if refusal == Refusal::TooSmall {
                        // The lots that it is a part of went to others, or go to the next.
                        lot.sold = lot.sold.checked_add(part).ok_or(MathError::Overflow)?;
                    }
                    Self::drop_bid(bid, refusal);
                }
            }
        }
        if lot.sold > 0 {
            T::Ledger::settle(of, view, false, |account| {
                *account = lot.left;
                Ok::<_, Refusal>(())
            })?;
        }
        Ok(lot.assessment)
    }

    /// The bids that stand by themselves, and what they bring to the sharing, in the order in which they were.
    fn admit(
        bids: Vec<Bid<T::AccountId>>,
        lot: &Lot<'_>,
        terms: &Terms,
        view: &RiskView,
    ) -> (Vec<Bid<T::AccountId>>, Vec<Offer>) {
        let mut admitted = Vec::new();
        for bid in bids {
            let asked = bid.fraction.min(terms.available);
            let stands = if bid.least_discount > terms.discount {
                Err(Refusal::Discount)
            } else {
                lot.offer::<T>(&bid.taker, asked, view)
            };
            match stands {
                Ok(_) => admitted.push(bid),
                Err(refusal) => Self::drop_bid(bid, refusal),
            }
        }
        (0..)
            .zip(admitted)
            .map(|(at, bid)| {
                let offer = Offer {
                    owner: at,
                    lots: bid.fraction.into(),
                    tie: at.into(),
                };
                (bid, offer)
            })
            .unzip()
    }

    /// Writes the taker's side of a sale, or nothing.
    fn write_sale(
        taker: &AccountRef<T::AccountId>,
        sale: &Sale,
        view: &RiskView,
    ) -> Result<(), Refusal> {
        with_storage_layer(|| {
            T::Ledger::settle(taker, view, false, |account| {
                *account = sale.taker.clone();
                Ok::<_, Refusal>(())
            })?;
            for (market, amount) in sale.pots.iter().filter(|(_, amount)| *amount != 0) {
                T::Ledger::credit_pot(Pot::Funding(*market), *amount)?;
            }
            Ok(())
        })
    }

    /// On which terms a close that finds an account so sells it in competition, or a debtor's collateral.
    pub(crate) fn terms(
        account: &MarginAccount,
        assessment: &Assessment,
        view: &RiskView,
    ) -> Result<Terms, RiskError> {
        let (closes, of) = spent(account);
        let discount = discount_of(account);
        let (available, worth) = if competes(account) {
            let worth = worth(account, view)?;
            let buffer = T::Params::get().target_buffer;
            let available = largest_fraction_ceil(assessment, worth, discount, buffer)?;
            (available, worth)
        } else {
            collateral_terms(account, discount, view)?
        };
        Ok(Terms {
            discount,
            available,
            worth,
            closes: match account.standing {
                // Its market ends before its discount does.
                Standing::Liquidating { closes, .. } => MARKET_CLOSES.saturating_sub(closes),
                _ => of.saturating_sub(closes),
            },
        })
    }

    /// Accounts in competition, and those whose collateral is for sale, with what they are worth and need at `view` and the terms of the next
    /// close, if nothing changes until then, in the order in which they are worked on: those among the first [`MOST_CANDIDATES`] of the queue. For queries.
    pub fn competitions(view: &RiskView) -> Vec<(AccountRef<T::AccountId>, Assessment, Terms)> {
        let most = usize::try_from(MOST_CANDIDATES).unwrap_or(usize::MAX);
        let queued = Self::queue(most).into_iter();
        let found = queued.filter_map(|(of, _)| {
            let account = T::Ledger::account(&of).and_then(at_next_sale)?;
            for_sale(&account, view).ok()??;
            let assessment = T::Risk::assess(&account, view).ok()?;
            let terms = Self::terms(&account, &assessment, view).ok()?;
            Some((of, assessment, terms))
        });
        found.collect()
    }
}
