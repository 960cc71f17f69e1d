//! A market's match, the check before novation, and novation (protocol, section 4).

use crate::{
    Config, Error, Event, Pallet, WeightInfo, LAST_ROUND_SIDE, MAX_ROUNDS, PARTS_FOR_PARTIES,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use frame_support::{
    defensive, ensure, storage::with_storage_layer, traits::Get, weights::Weight, BoundedVec,
};
use novate_risk::{
    more_thresholds, more_thresholds_in, portfolio::netted_positions, Legs, MOST_MORE_THRESHOLDS,
};
use novate_types::{
    math, AccountRef, Assessment, AuctionTerms, Cash, Fill, Ledger, LedgerError, LiquidationOrder,
    Liquidations, Lots, MarginAccount, MarketId, MarketView, MatchLimits, MathError, OpenOrder,
    OrderBook, Pot, Release, RiskError, RiskModel, RiskView, Side, SignedLots, Tentative, Ticks,
    Unfinished, MAX_HOLDINGS, MAX_LEGS, MILLION,
};
use sp_runtime::DispatchError;

type Account<T> = AccountRef<<T as frame_system::Config>::AccountId>;

/// Quantums by which an assessment's roundings may differ before and after a fill.
const ROUNDING: u128 = 8;

/// What the matches of a close may still do.
pub(crate) struct Budget {
    /// Resting orders that may execute; every round of every market counts.
    pub fills: u32,
    /// For the accounts behind them, and the orders of triggers with theirs. Those of new orders prepaid, and liquidation's are
    /// counted by themselves.
    pub parties: Weight,
    /// Resting orders whose accounts last rounds may look at.
    pub looks: u32,
    /// Markets that matched.
    pub matched: u32,
}

impl Budget {
    /// A whole close's, if liquidation `presses` or not.
    pub fn full<T: Config>(presses: bool) -> Self {
        Self {
            fills: Pallet::<T>::most_fills(presses),
            parties: Pallet::<T>::parties_weight(presses),
            looks: Pallet::<T>::most_looks(presses),
            matched: 0,
        }
    }

    /// Picoseconds that the orders of triggers may cost: half of what there is for accounts, the other half is for those behind
    /// resting orders.
    pub const fn for_triggers(&self) -> u64 {
        self.parties.ref_time() / PARTS_FOR_PARTIES
    }

    pub fn spend_on_triggers(&mut self, used: u64) {
        self.parties = self.parties.saturating_sub(Weight::from_parts(used, 0));
    }

    /// What was used of it.
    pub fn spent<T: Config>(&self, presses: bool) -> Weight {
        let whole = Self::full::<T>(presses);
        let fills = whole.fills.saturating_sub(self.fills);
        let looks = whole.looks.saturating_sub(self.looks);
        let parties = whole.parties.saturating_sub(self.parties);
        T::WeightInfo::fill()
            .saturating_mul(fills.into())
            .saturating_add(Pallet::<T>::looks(looks))
            .saturating_add(parties)
    }

    /// Resting orders of a side that a market's last round may look behind.
    fn take_looks(&mut self) -> u32 {
        let side = LAST_ROUND_SIDE.min(self.looks.div_ceil(2));
        self.looks = self.looks.saturating_sub(side.saturating_mul(2));
        side
    }

    /// Whether an order can still execute, whoever it belongs to.
    pub fn is_left<T: Config>(&self) -> bool {
        self.fills > 0 && self.certain::<T>() > 0
    }

    /// Orders that can execute, whoever they belong to.
    fn certain<T: Config>(&self) -> u32 {
        let most = Pallet::<T>::party(MAX_HOLDINGS, MOST_MORE_THRESHOLDS);
        let many = self.parties.checked_div_per_component(&most).unwrap_or(0);
        u32::try_from(many).unwrap_or(u32::MAX)
    }
}

/// What was counted for accounts that traded, and they did not need: keys of thresholds that stay where they are.
#[derive(Default)]
pub(crate) struct Unmoved {
    /// Of what the close has for them.
    pub by_close: Weight,
    /// Of what their orders prepaid.
    pub by_orders: Weight,
}

/// What an account's part in a match is counted in.
#[derive(Clone, Copy)]
pub(crate) enum Payer {
    /// The close's budget.
    Close,
    /// Its new order.
    Order,
    /// Liquidation's reserve, for an account of any size.
    Liquidation,
}

/// Who traded in a close.
pub(crate) type Traders<AccountId> = BTreeMap<AccountRef<AccountId>, Payer>;

/// What a market's match came to.
pub(crate) struct Matched {
    /// Price of its last trade.
    pub last: Option<Ticks>,
    /// Lots traded, each counted once.
    pub volume: Lots,
    /// It traded, or somebody's order stands, at the edge of the band.
    pub at_edge: bool,
    /// An auction of which not all could execute.
    pub unfinished: Option<Unfinished>,
}

impl<AccountId: Ord> From<&Tentative<AccountId>> for Matched {
    fn from(tentative: &Tentative<AccountId>) -> Self {
        Self {
            last: tentative.last,
            volume: tentative.volume,
            at_edge: tentative.at_edge,
            unfinished: tentative.unfinished,
        }
    }
}

/// An account before the match.
struct Party {
    account: MarginAccount,
    assessed: Assessment,
}

/// An account after its tentative fills. What is counted by leg is so in the order of the market's [`Legs`].
struct Traded<AccountId> {
    account: MarginAccount,
    /// Lots it held before, by leg.
    held: [SignedLots; MAX_LEGS],
    fills: Vec<Fill<AccountId>>,
    to_fees: Cash,
    to_fund: Cash,
    /// By leg.
    to_funding: [Cash; MAX_LEGS],
    /// By leg.
    opened: [i128; MAX_LEGS],
}

/// What the check found.
struct Checked<T: Config> {
    traded: BTreeMap<Account<T>, Traded<T::AccountId>>,
    failing: Vec<Account<T>>,
    over_cap: bool,
}

impl<T: Config> Checked<T> {
    fn passes(&self) -> bool {
        self.failing.is_empty() && !self.over_cap
    }
}

/// The check of one market. Accounts are read and assessed once, however many rounds it takes.
struct Check<'a, T: Config> {
    view: &'a RiskView,
    market: &'a MarketView,
    /// The market itself, or what a combination's fills are novated in.
    legs: Legs<'a>,
    /// Accounts with a liquidation order here, and its lots.
    liquidated: BTreeMap<Account<T>, Lots>,
    /// By leg.
    open_interest: [Lots; MAX_LEGS],
    /// Whether makers get their rebates: while the match's other fees cover them.
    rebates: bool,
    parties: BTreeMap<Account<T>, Option<Party>>,
    /// Accounts whose first match in this close was paid for.
    paid: BTreeSet<Account<T>>,
}

fn failed(what: LedgerError) -> DispatchError {
    log::error!(target: crate::LOG_TARGET, "the ledger refused a settlement: {what:?}");
    DispatchError::Corruption
}

/// What a match pays in trading fees, rebates taken off.
fn total_fees<'a, AccountId: 'a>(
    mut traded: impl Iterator<Item = &'a Traded<AccountId>>,
) -> Result<Cash, MathError> {
    traded.try_fold(0, |sum, traded| math::add(sum, traded.to_fees))
}

fn long(lots: SignedLots) -> i128 {
    i128::from(lots.max(0))
}

/// The side that reduces a position of `lots`.
fn reducing_side(lots: SignedLots) -> Option<Side> {
    match lots {
        0 => None,
        1.. => Some(Side::Ask),
        _ => Some(Side::Bid),
    }
}

/// A price that no order of `side` is executed at.
fn never(side: Side) -> Ticks {
    match side {
        Side::Bid => 0,
        Side::Ask => Ticks::MAX,
    }
}

/// The worse for the market, and so the better for the account, of two limits of `side`.
fn stricter(side: Side, a: Ticks, b: Ticks) -> Ticks {
    match side {
        Side::Bid => a.min(b),
        Side::Ask => a.max(b),
    }
}

impl<'a, T: Config> Check<'a, T> {
    fn new(
        view: &'a RiskView,
        market: &'a MarketView,
        liquidations: &[LiquidationOrder<T::AccountId>],
    ) -> Result<Self, RiskError> {
        let legs = Legs::of(market, view)?;
        let mut open_interest = [0; MAX_LEGS];
        for (open, leg) in open_interest.iter_mut().zip(legs.iter()) {
            *open = T::Ledger::open_interest(leg.market.id);
        }
        Ok(Self {
            view,
            market,
            legs,
            liquidated: liquidations
                .iter()
                .map(|order| (order.account.clone(), order.lots))
                .collect(),
            open_interest,
            rebates: true,
            parties: BTreeMap::new(),
            paid: BTreeSet::new(),
        })
    }

    /// Whether so many more lots of each leg, by leg, would exceed its cap.
    fn exceeds_cap(&self, opened: &[i128; MAX_LEGS]) -> Result<bool, MathError> {
        let mut legs = self.legs.iter().zip(self.open_interest).zip(opened);
        legs.try_fold(false, |exceeds, ((leg, open), opened)| {
            let after = math::add(open.into(), *opened)?;
            Ok(exceeds || (*opened > 0 && after > i128::from(leg.market.open_interest_cap)))
        })
    }

    /// What the accounts behind a match's resting orders cost, `traded` in other markets of this close or not.
    fn cost(
        &mut self,
        tentative: &Tentative<T::AccountId>,
        traded: &Traders<T::AccountId>,
    ) -> Weight {
        let mut sum = Weight::zero();
        for of in &tentative.makers {
            let is_paid = traded.contains_key(of) || !self.paid.insert(of.clone());
            // It may open a position, in each leg.
            let (opens, view, market) = (self.legs.count(), self.view, self.market.id);
            let (held, thresholds, more) = self.party(of).map_or((0, 0, 0), |party| {
                let account = &party.account;
                let markets = account.positions.iter().map(|p| p.market);
                let with = markets.chain(core::iter::once(market));
                let thresholds = more_thresholds(account, view);
                (
                    account.holdings(),
                    thresholds,
                    more_thresholds_in(with, view),
                )
            });
            let cost = if is_paid {
                // What it holds was paid for as it stood before this market, or by another of its orders.
                Pallet::<T>::party(opens, more.saturating_sub(thresholds))
            } else {
                Pallet::<T>::party(held.saturating_add(opens), more)
            };
            sum = sum.saturating_add(cost);
            if *of == T::Vault::get() {
                // What it loses in a market is counted there.
                sum = sum.saturating_add(T::DbWeight::get().reads_writes(1, 1));
            }
        }
        sum
    }

    /// Runs the match with as many fills as `budget` has for the accounts behind them: as many as may be, or, if these are too
    /// many, in proportion, or as many as are certain to fit.
    fn run(
        &mut self,
        book: &mut <T::Book as OrderBook<T::AccountId>>::Market,
        limits: &mut MatchLimits<T::AccountId>,
        budget: &mut Budget,
        traded: &Traders<T::AccountId>,
    ) -> Tentative<T::AccountId> {
        let paid = self.paid.clone();
        // Each leg's part counts.
        let each = self.legs.count().max(1);
        let fit = |fills: u32| fills.div_ceil(each);
        let executed = |run: &Tentative<T::AccountId>| run.executed.saturating_mul(each);
        // No more than half of what is left: the other half is for another try, another round, another market.
        limits.max_fills = fit(T::MaxFillsPerMarket::get().min(budget.fills.div_ceil(2)));
        let mut tentative = T::Book::run(book, limits);
        let mut cost = self.cost(&tentative, traded);
        let in_proportion = budget
            .parties
            .ref_time()
            .saturating_mul(u64::from(tentative.executed))
            .checked_div(cost.ref_time())
            .and_then(|fills| u32::try_from(fills).ok());
        for fewer in [in_proportion, Some(budget.certain::<T>())] {
            if cost.all_lte(budget.parties) {
                break;
            }
            budget.fills = budget.fills.saturating_sub(executed(&tentative));
            limits.max_fills = limits
                .max_fills
                .min(fewer.unwrap_or(0))
                .min(fit(budget.fills));
            self.paid.clone_from(&paid);
            tentative = T::Book::run(book, limits);
            cost = self.cost(&tentative, traded);
        }
        budget.fills = budget.fills.saturating_sub(executed(&tentative));
        budget.parties = budget.parties.saturating_sub(cost);
        tentative
    }

    fn party(&mut self, of: &Account<T>) -> Option<&Party> {
        let view = self.view;
        self.parties
            .entry(of.clone())
            .or_insert_with(|| {
                let account = T::Ledger::account(of)?;
                let assessed = T::Risk::assess_held(&account, view).ok()?;
                Some(Party { account, assessed })
            })
            .as_ref()
    }

    /// Applies a match's fills to copies of the accounts and says who fails.
    ///
    /// A liquidation may pay no fee, and post-only orders that meet each other pay the maker's on both sides: where rebates
    /// exceed what the match pays, there are none. They come out of fees, never out of what others deposited.
    ///
    /// # Errors
    ///
    /// If the match's fees or lots have no sum: the market is left as it was.
    fn check(&mut self, tentative: &Tentative<T::AccountId>) -> Result<Checked<T>, DispatchError> {
        let no_sum = |e: MathError| failed(e.into());
        let checked = self.check_fills(tentative).map_err(no_sum)?;
        let fees = total_fees(checked.traded.values()).map_err(no_sum)?;
        if checked.passes() && fees < 0 {
            self.rebates = false;
            return self.check_fills(tentative).map_err(no_sum);
        }
        Ok(checked)
    }

    fn check_fills(
        &mut self,
        tentative: &Tentative<T::AccountId>,
    ) -> Result<Checked<T>, MathError> {
        let mut by_account = BTreeMap::<_, Vec<_>>::new();
        for fill in &tentative.fills {
            by_account
                .entry(fill.account.clone())
                .or_default()
                .push(fill.clone());
        }
        let mut checked = Checked {
            traded: BTreeMap::new(),
            failing: Vec::new(),
            over_cap: false,
        };
        let mut opened = [0; MAX_LEGS];
        for (account, fills) in by_account {
            match self.admit(&account, fills) {
                Some(traded) => {
                    for (sum, part) in opened.iter_mut().zip(traded.opened) {
                        *sum = math::add(*sum, part)?;
                    }
                    checked.traded.insert(account, traded);
                }
                None => checked.failing.push(account),
            }
        }
        // Whoever fails is matched again, so the cap is judged only on a match that would stand.
        checked.over_cap = checked.failing.is_empty() && self.exceeds_cap(&opened)?;
        Ok(checked)
    }

    /// The account after its fills, if they may be novated.
    fn admit(
        &mut self,
        of: &Account<T>,
        fills: Vec<Fill<T::AccountId>>,
    ) -> Option<Traded<T::AccountId>> {
        let (view, market, rebates) = (self.view, self.market, self.rebates);
        self.party(of)?;
        let party = self.parties.get(of)?.as_ref()?;
        // A combination is no position's price: what it does to the account is checked as a whole.
        if !market.contract.kind.is_combination()
            && !above_bankruptcy::<T>(&party.account, view, market, &fills).ok()?
        {
            return None;
        }
        let traded = trade::<T>(&party.account, view, market, &self.legs, rebates, fills).ok()?;
        let is_bought = self.legs.iter().zip(traded.held).any(|(leg, held)| {
            let market = leg.market;
            market.contract.kind.is_option() && traded.account.lots(market.id) > held.max(0)
        });
        // Premiums are paid, not borrowed.
        if is_bought && self.cash_after_premiums(&traded, &party.account)? < 0 {
            return None;
        }
        let after = T::Risk::assess_held(&traded.account, view).ok()?;
        let is_liquidated = traded.fills.iter().any(|fill| fill.liquidation);
        let is_lent = after.covers_initial()
            || is_liquidated
            || !novate_risk::borrows_on_unrealised(&party.account, &traded.account, view).ok()?;
        (is_lent && novate_risk::passes_check(&party.assessed, &after)).then_some(traded)
    }

    /// Takes what so many scans of a quarter of all that an account's thresholds are of cost out of what is left for accounts. Whether there was as
    /// much. What is assessed for a match's fills is in [`crate::WeightInfo::party`]; this is for limits, and for orders that only might fill.
    fn pays_for_scans(&self, of: &Account<T>, budget: &mut Budget) -> bool {
        let thresholds = |account: &MarginAccount| more_thresholds(account, self.view);
        let more = match self.parties.get(of) {
            Some(party) => party.as_ref().map(|party| thresholds(&party.account)),
            None => T::Ledger::account(of).as_ref().map(thresholds),
        };
        let each = T::WeightInfo::scanned().computing(T::DbWeight::get());
        let cost = Weight::from_parts(each.saturating_mul(more.unwrap_or(0).into()), 0);
        let affords = cost.all_lte(budget.parties);
        if affords {
            budget.parties = budget.parties.saturating_sub(cost);
        }
        affords
    }

    /// Cash of an account that bought options. What other legs of a combination realise is margin's to judge, as [`pays_premiums`] has it: of these fills
    /// premiums and fees alone count.
    fn cash_after_premiums(
        &self,
        traded: &Traded<T::AccountId>,
        before: &MarginAccount,
    ) -> Option<Cash> {
        if !self.market.contract.kind.is_combination() {
            return novate_risk::booked_cash(&traded.account, self.view).ok();
        }
        let mut cash = novate_risk::booked_cash(before, self.view).ok()?;
        for fill in &traded.fills {
            let lots = fill.side.signed(fill.lots)?;
            if let Some(premium) = self.legs.premium(lots, fill.ticks).ok()? {
                cash = math::sub(math::sub(cash, premium.max(0)).ok()?, fill.fee).ok()?;
            }
        }
        Some(cash)
    }

    /// Cancels and tightens what failed.
    fn heed(
        &mut self,
        checked: &Checked<T>,
        limits: &mut MatchLimits<T::AccountId>,
        budget: &mut Budget,
    ) {
        for of in &checked.failing {
            self.tighten(of, limits, budget);
            limits.cancelled.insert(of.clone());
        }
        if checked.over_cap {
            self.bound_opening(limits);
        }
    }

    /// Keeps open interest within its cap. An auction executes as many lots as are left below it, at its price; what crosses beyond
    /// leaves once there are none.
    fn bound_opening(&self, limits: &mut MatchLimits<T::AccountId>) {
        let legs = self.legs.iter().zip(self.open_interest);
        let room = legs.map(|(leg, open)| {
            let room = leg.market.open_interest_cap.saturating_sub(open);
            let ratio = Lots::from(leg.ratio.unsigned_abs());
            room.checked_div(ratio).unwrap_or(0)
        });
        let room = room.min().unwrap_or(0);
        if self.market.is_in_auction() && (1..limits.auction_lots).contains(&room) {
            limits.auction_lots = room;
        } else {
            limits.reducing_only = true;
        }
    }

    /// Holds an account's reduce-only and liquidation orders to prices at which they pass. Those that
    /// failed there already do not execute at all.
    fn tighten(
        &mut self,
        of: &Account<T>,
        limits: &mut MatchLimits<T::AccountId>,
        budget: &mut Budget,
    ) {
        let market = self.market.id;
        let lots = self.party(of).map_or(0, |party| party.account.lots(market));
        let Some(side) = reducing_side(lots) else {
            return;
        };
        let ticks = if limits.tightened.contains_key(of) || !self.pays_for_scans(of, budget) {
            never(side)
        } else {
            self.passing_limit(of, side).unwrap_or(never(side))
        };
        limits.tightened.insert(of.clone(), ticks);
    }

    /// A limit at which fills that reduce the account's position pass the check, however many of its
    /// lots they close: the bankruptcy quote less the worst fee. A quote per lot is least generous at
    /// one end of the range or one lot before it, where the least maintenance margin of a position
    /// still holds.
    ///
    /// Where a scan margins it, what a part frees depends on what else is held, and is neither the more nor the less for being larger: the
    /// strictest of the quotes of a lot, of half and of all is where it passes nearly always. Who does not is found by the check, and
    /// [`Self::hold_back_scanned`] leaves such orders out of the match after.
    fn passing_limit(&mut self, of: &Account<T>, side: Side) -> Result<Ticks, RiskError> {
        let (view, market) = (self.view, self.market);
        let liquidated = self.liquidated.get(of).copied();
        let Party { account, assessed } =
            self.party(of).ok_or(RiskError::UnknownMarket(market.id))?;
        // A liquidation's fees are taken from what it makes beyond bankruptcy, and never more.
        let fee = if liquidated.is_some() {
            0
        } else {
            view.fee_tier(account.fee_tier).dearer_ppm().unsigned_abs()
        };
        let held = account.lots(market.id).unsigned_abs();
        let quote = |lots: Lots| -> Result<Ticks, RiskError> {
            let change = side.signed(lots).ok_or(MathError::Overflow)?;
            let value = novate_risk::bankruptcy_value::<T::Risk>(account, view, market.id, change)?;
            Ok(limit_within(value, side, lots, market.tick_value, fee)?)
        };
        let mut strictest = None;
        let mut heed = |limit| {
            strictest = Some(strictest.map_or(limit, |known| stricter(side, known, limit)));
        };
        if is_scanned_in(account, assessed, market.id) {
            let most = liquidated.unwrap_or(held).min(held);
            for lots in [1, (most / 2).max(1), most] {
                match quote(lots) {
                    // So many free nothing.
                    Err(RiskError::Underflow) => {}
                    limit => heed(limit?),
                }
            }
            return Ok(strictest.unwrap_or(never(side)));
        }
        // Where the least maintenance margin holds, closing a part of it lowers nothing.
        let maintenance = |lots: Lots| {
            let lots = Side::Bid.signed(lots).ok_or(MathError::Overflow)?;
            novate_risk::maintenance_ceil(market, lots)
        };
        if maintenance(held.saturating_sub(1))? >= maintenance(held)? {
            return Ok(never(side));
        }
        for lots in [1, held.saturating_sub(1).max(1), held] {
            heed(quote(lots)?);
        }
        Ok(strictest.unwrap_or(never(side)))
    }

    /// Leaves out the orders of whom a scan margins here, or who may be refused for what they would borrow on positions that offset: what is left then passes
    /// whatever fills.
    fn hold_back_scanned(&self, limits: &mut MatchLimits<T::AccountId>) {
        let (id, view) = (self.market.id, self.view);
        for (of, party) in &self.parties {
            let Some(Party { account, assessed }) = party else {
                continue;
            };
            let may_borrow = netted_positions(account, view).is_ok_and(|many| many > 0);
            if !is_scanned_in(account, assessed, id) && !may_borrow {
                continue;
            }
            if let Some(side) = reducing_side(account.lots(id)) {
                limits.tightened.insert(of.clone(), never(side));
            }
        }
    }

    /// Limits of the last round: beside reduce-only and liquidation orders, which are held to prices
    /// at which they pass, only accounts take part that pass whatever of their orders fills.
    ///
    /// # Errors
    ///
    /// If the orders' lots have no sum.
    fn narrow(
        &mut self,
        candidates: Vec<(Account<T>, Vec<OpenOrder>)>,
        limits: &mut MatchLimits<T::AccountId>,
        budget: &mut Budget,
    ) -> Result<(), MathError> {
        let sum = |a: u128, b: u64| a.checked_add(b.into()).ok_or(MathError::Overflow);
        let mut admitted = BTreeSet::new();
        let (mut bid, mut ask) = (0u128, 0u128);
        let others: Vec<_> = self
            .liquidated
            .keys()
            .filter(|of| !candidates.iter().any(|(account, _)| account == *of))
            .map(|of| (of.clone(), Vec::new()))
            .collect();
        for (of, orders) in candidates.into_iter().chain(others) {
            let passes = !limits.cancelled.contains(&of)
                && !self.liquidated.contains_key(&of)
                && self.pays_for_scans(&of, budget)
                && self.passes_every_subset(&of, &orders).unwrap_or(false);
            if passes {
                for order in &orders {
                    let lots = match order.side {
                        Side::Bid => &mut bid,
                        Side::Ask => &mut ask,
                    };
                    *lots = sum(*lots, order.lots)?;
                }
                admitted.insert(of);
            } else if !limits.tightened.contains_key(&of) {
                self.tighten(&of, limits, budget);
            }
        }
        // Open interest grows by no more than the smaller side of those that may open.
        // In an auction no more lots than it may execute.
        let most = math::signed(bid.min(ask).min(limits.auction_lots.into()))?;
        let mut legs = self.legs.iter().zip(self.open_interest);
        let exceeds = legs.try_fold(false, |exceeds, (leg, open)| {
            let opened = most.checked_mul(leg.ratio.unsigned_abs().into());
            let after = math::add(open.into(), opened.ok_or(MathError::Overflow)?)?;
            Ok::<_, MathError>(exceeds || after > i128::from(leg.market.open_interest_cap))
        });
        if exceeds? {
            self.bound_opening(limits);
        }
        limits.admitted = Some(admitted);
        Ok(())
    }

    /// Whether the account covers its positions' initial margin after any subset of its orders has
    /// filled at their limits, none of them beyond bankruptcy.
    fn passes_every_subset(
        &mut self,
        of: &Account<T>,
        orders: &[OpenOrder],
    ) -> Result<bool, RiskError> {
        let (view, market) = (self.view, self.market);
        let Some(party) = self.party(of) else {
            return Ok(false);
        };
        let mut worst = party.account.clone();
        let legs = &self.legs;
        worst.orders = Default::default();
        let fee = view.fee_tier(worst.fee_tier);
        for order in orders {
            let reserve = legs.reserve(market, fee, order.side, order.lots, order.ticks)?;
            novate_risk::add_order(&mut worst, market.id, order.side, order.lots, reserve)?;
        }
        if !T::Risk::assess(&worst, view)?.covers_orders() {
            return Ok(false);
        }
        if !pays_premiums(&worst, view, market, orders)? {
            return Ok(false);
        }
        let Some(side) = reducing_side(worst.lots(market.id)) else {
            return Ok(true);
        };
        if orders.iter().all(|order| order.side != side) {
            return Ok(true);
        }
        let is_scanned = self
            .party(of)
            .is_some_and(|party| is_scanned_in(&party.account, &party.assessed, market.id));
        if is_scanned {
            // What some of them pass at others may not.
            return Ok(false);
        }
        let limit = self.passing_limit(of, side)?;
        Ok(orders
            .iter()
            .filter(|order| order.side == side)
            .all(|order| side.accepts(limit, order.ticks)))
    }

    /// Limits under which nothing executes.
    fn nothing(&mut self, limits: &mut MatchLimits<T::AccountId>) {
        limits.max_fills = 0;
        limits.reducing_only = true;
        limits.admitted = Some(BTreeSet::new());
        for (of, party) in &self.parties {
            let lots = party.as_ref().map_or(0, |p| p.account.lots(self.market.id));
            if let Some(side) = reducing_side(lots) {
                limits.tightened.insert(of.clone(), never(side));
            }
        }
    }
}

/// Whether a scan margins the account's position in a market.
fn is_scanned_in(account: &MarginAccount, assessed: &Assessment, market: MarketId) -> bool {
    let place = account.positions.iter().position(|p| p.market == market);
    place.is_some_and(|place| assessed.is_scanned(place))
}

/// Whether the account has the cash for the options that its orders buy, all of it at their limits and with the dearer fee. What only buys back a short may
/// be paid by owing, as in [`Check::admit`]; where its bids could open as well, all of them count: which fill first nobody knows.
pub(crate) fn pays_premiums(
    account: &MarginAccount,
    view: &RiskView,
    market: &MarketView,
    orders: &[OpenOrder],
) -> Result<bool, RiskError> {
    if market.contract.kind.is_linear() {
        return Ok(true);
    }
    let legs = Legs::of(market, view)?;
    let tier = view.fee_tier(account.fee_tier);
    let mut cash = novate_risk::booked_cash(account, view)?;
    let mut bought = 0u128;
    for order in orders {
        let lots = order.side.signed(order.lots).ok_or(MathError::Overflow)?;
        let Some(due) = legs.premium_due(lots, order.ticks, tier)? else {
            continue;
        };
        bought = bought
            .checked_add(order.lots.into())
            .ok_or(MathError::Overflow)?;
        cash = math::sub(cash, due)?;
    }
    // Nobody is short of a combination.
    let short = account.lots(market.id).min(0).unsigned_abs();
    Ok(cash >= 0 || bought <= u128::from(short))
}

/// The worst limit at which `lots` trade for no worse than `value` (signed as paid), fee and roundings
/// included.
fn limit_within(
    value: Cash,
    side: Side,
    lots: Lots,
    tick_value: u64,
    fee: u32,
) -> Result<Ticks, MathError> {
    let slack = math::signed(ROUNDING.saturating_add(u128::from(lots.min(512))))?;
    // What may be paid at most, or must be received at least.
    let bound = match side {
        Side::Bid => math::sub(value, slack)?,
        Side::Ask => math::add(math::neg(value)?, slack)?,
    };
    let bound = u128::try_from(bound).unwrap_or(0);
    let a_tick = u128::from(lots)
        .checked_mul(u128::from(tick_value))
        .ok_or(MathError::Overflow)?;
    let factor = match side {
        Side::Bid => MILLION.checked_add(fee),
        Side::Ask => MILLION.checked_sub(fee),
    }
    .ok_or(MathError::Overflow)?;
    let a_tick = a_tick
        .checked_mul(u128::from(factor))
        .ok_or(MathError::Overflow)?;
    let ticks = match side {
        Side::Bid => math::mul_div_floor(bound, u128::from(MILLION), a_tick)?,
        Side::Ask => math::mul_div_ceil(bound, u128::from(MILLION), a_tick)?,
    };
    Ticks::try_from(ticks).map_err(|_| MathError::Overflow)
}

/// Whether no fill that lowers maintenance margin is worse than the account's bankruptcy quote, for
/// as many lots as they close together, on the state before the match. What closes a hedge lowers none.
fn above_bankruptcy<T: Config>(
    account: &MarginAccount,
    view: &RiskView,
    market: &MarketView,
    fills: &[Fill<T::AccountId>],
) -> Result<bool, RiskError> {
    let held = account.lots(market.id);
    let Some(side) = reducing_side(held) else {
        return Ok(true);
    };
    let closed = fills
        .iter()
        .filter(|fill| fill.side == side)
        .try_fold(0u64, |sum, fill| sum.checked_add(fill.lots))
        .ok_or(MathError::Overflow)?
        .min(held.unsigned_abs());
    if closed == 0 {
        return Ok(true);
    }
    let change = side.signed(closed).ok_or(MathError::Overflow)?;
    let quote = match novate_risk::bankruptcy_ticks::<T::Risk>(account, view, market.id, change) {
        Err(RiskError::Underflow) => return Ok(true),
        quote => quote?,
    };
    Ok(fills
        .iter()
        .filter(|fill| fill.side == side)
        .all(|fill| side.accepts(quote, fill.ticks)))
}

/// What a liquidation's fills make beyond the account's bankruptcy value: its fees are taken from it.
fn liquidation_room<T: Config>(
    account: &MarginAccount,
    view: &RiskView,
    market: &MarketView,
    fills: &[Fill<T::AccountId>],
) -> Result<Cash, RiskError> {
    let (mut lots, mut paid) = (0i64, 0);
    for fill in fills.iter().filter(|fill| fill.liquidation) {
        let change = fill.side.signed(fill.lots).ok_or(MathError::Overflow)?;
        lots = lots.checked_add(change).ok_or(MathError::Overflow)?;
        paid = math::add(
            paid,
            math::trade_value(change, fill.ticks, market.tick_value)?,
        )?;
    }
    if lots == 0 {
        return Ok(0);
    }
    let bankruptcy = match novate_risk::bankruptcy_value::<T::Risk>(account, view, market.id, lots)
    {
        // What frees nothing pays no fee.
        Err(RiskError::Underflow) => return Ok(0),
        bankruptcy => bankruptcy?,
    };
    let room = math::sub(math::sub(bankruptcy, paid)?, math::signed(ROUNDING)?)?;
    Ok(room.max(0))
}

/// A copy of the account after its fills and their fees, which are written into the fills. A combination's are traded leg by leg, all or none.
fn trade<T: Config>(
    before: &MarginAccount,
    view: &RiskView,
    market: &MarketView,
    legs: &Legs<'_>,
    rebates: bool,
    mut fills: Vec<Fill<T::AccountId>>,
) -> Result<Traded<T::AccountId>, RiskError> {
    let tier = view.fee_tier(before.fee_tier);
    let liquidation_ppm =
        i32::try_from(T::LiquidationFee::get()).map_err(|_| MathError::Overflow)?;
    let vault = T::Vault::get();
    let mut room = liquidation_room::<T>(before, view, market, &fills)?;
    let mut account = before.clone();
    let (mut to_fees, mut to_fund, mut to_funding) = (0, 0, [0; MAX_LEGS]);
    for fill in &mut fills {
        let lots = fill.side.signed(fill.lots).ok_or(MathError::Overflow)?;
        let settled = legs.apply(&mut account, lots, fill.ticks)?;
        for (sum, part) in to_funding.iter_mut().zip(settled) {
            *sum = math::add(*sum, part)?;
        }
        let value = legs.charged(lots, fill.ticks)?;
        let ppm = match fill.role {
            novate_types::Role::Maker => tier.maker_ppm,
            novate_types::Role::Taker => tier.taker_ppm,
        };
        let mut trading = novate_risk::fee(value, if rebates { ppm } else { ppm.max(0) })?;
        if fill.liquidation {
            // The vault works off what it took over: it is not liquidated.
            let penalty_ppm = if fill.account == vault {
                0
            } else {
                liquidation_ppm
            };
            let penalty = novate_risk::fee(value, penalty_ppm)?;
            trading = trading.min(room);
            let penalty = penalty.min(math::sub(room, trading)?);
            to_fund = math::add(to_fund, penalty)?;
            fill.fee = math::add(trading, penalty)?;
            room = math::sub(room, fill.fee)?;
        } else {
            fill.fee = trading;
        }
        to_fees = math::add(to_fees, trading)?;
        account.cash = math::sub(account.cash, fill.fee)?;
    }
    let (mut held, mut opened) = ([0; MAX_LEGS], [0; MAX_LEGS]);
    for ((leg, held), opened) in legs.iter().zip(&mut held).zip(&mut opened) {
        *held = before.lots(leg.market.id);
        *opened = math::sub(long(account.lots(leg.market.id)), long(*held))?;
    }
    Ok(Traded {
        account,
        held,
        fills,
        to_fees,
        to_fund,
        to_funding,
        opened,
    })
}

/// Fills in a leg of a combination.
type LegFills<AccountId> = (MarketId, Vec<Fill<AccountId>>);

/// What a combination's fills are in each of its legs, without fees, which are the fills' own.
fn fills_by_leg<AccountId: Clone>(
    legs: &Legs<'_>,
    fills: &[Fill<AccountId>],
) -> Result<Vec<LegFills<AccountId>>, MathError> {
    let mut all: Vec<LegFills<AccountId>> = legs
        .iter()
        .map(|leg| (leg.market.id, Vec::with_capacity(fills.len())))
        .collect();
    for fill in fills {
        let lots = fill.side.signed(fill.lots).ok_or(MathError::Overflow)?;
        for ((_, of_leg), trade) in all.iter_mut().zip(legs.trades(lots, fill.ticks)?) {
            let side = if trade.lots > 0 { Side::Bid } else { Side::Ask };
            of_leg.push(Fill {
                side,
                ticks: trade.ticks,
                lots: trade.lots.unsigned_abs(),
                fee: 0,
                ..fill.clone()
            });
        }
    }
    Ok(all)
}

/// What an account's fills and their fees cost beyond what they are worth at the mark, in quantums, rounded up; below zero, what they are worth more.
fn lost_to_mark<AccountId>(
    market: &MarketView,
    fills: &[Fill<AccountId>],
) -> Result<Cash, MathError> {
    let (mut held, mut paid) = (0i64, 0);
    for fill in fills {
        let lots = fill.side.signed(fill.lots).ok_or(MathError::Overflow)?;
        held = held.checked_add(lots).ok_or(MathError::Overflow)?;
        let value = math::trade_value(lots, fill.ticks, market.tick_value)?;
        paid = math::add(paid, math::add(value, fill.fee)?)?;
    }
    let worth = math::position_value_floor(held, market.mark, market.lot_size)?;
    math::sub(paid, worth)
}

impl<T: Config> Pallet<T> {
    /// Matches, checks and novates one market, or leaves it as it was and says so. Who traded is added to `traded`, and still to
    /// be indexed.
    pub(crate) fn match_market(
        view: &RiskView,
        market: &MarketView,
        terms: AuctionTerms,
        liquidations: Vec<LiquidationOrder<T::AccountId>>,
        budget: &mut Budget,
        traded: &mut Traders<T::AccountId>,
    ) -> Option<Matched> {
        // All of a market's match is written, or nothing.
        let matched = with_storage_layer(|| {
            Self::try_match(view, market, terms, liquidations, budget, traded)
        });
        match matched {
            Ok(matched) => matched,
            Err(error) => {
                defensive!("a match was abandoned", (market.id, error));
                Self::deposit_event(Event::MatchAbandoned { market: market.id });
                None
            }
        }
    }

    fn try_match(
        view: &RiskView,
        market: &MarketView,
        terms: AuctionTerms,
        liquidations: Vec<LiquidationOrder<T::AccountId>>,
        budget: &mut Budget,
        traded: &mut Traders<T::AccountId>,
    ) -> Result<Option<Matched>, DispatchError> {
        let mut check =
            Check::<T>::new(view, market, &liquidations).map_err(|e| failed(e.into()))?;
        let Some(mut book) = T::Book::load(market, liquidations) else {
            return Ok(None);
        };
        budget.matched = budget.matched.saturating_add(1);
        let mut limits = MatchLimits::first(0);
        limits.reducing_only = !market.status.allows_risk();
        limits.auction = terms;
        for round in 1..=MAX_ROUNDS.saturating_add(1) {
            if round == MAX_ROUNDS {
                let candidates = T::Book::candidates(&book, budget.take_looks());
                check
                    .narrow(candidates, &mut limits, budget)
                    .map_err(|e| failed(e.into()))?;
            }
            let tentative = check.run(&mut book, &mut limits, budget, traded);
            let checked = check.check(&tentative)?;
            if checked.passes() {
                if round > 1 {
                    Self::report(market.id, round, &limits);
                }
                return Self::novate(&check, book, tentative, checked, traded).map(Some);
            }
            check.heed(&checked, &mut limits, budget);
            if round >= MAX_ROUNDS {
                check.hold_back_scanned(&mut limits);
            }
        }
        log::error!(target: crate::LOG_TARGET, "market {}: nothing passes the check", market.id);
        check.nothing(&mut limits);
        let tentative = T::Book::run(&mut book, &limits);
        let checked = check.check(&tentative)?;
        ensure!(tentative.fills.is_empty(), Error::<T>::UncheckedMatch);
        Self::report(market.id, MAX_ROUNDS.saturating_add(2), &limits);
        Self::novate(&check, book, tentative, checked, traded).map(Some)
    }

    /// Puts accounts that traded where the risk indices find them: once a close, in however many markets they did. One that the
    /// check could assess and the index cannot take ("cannot happen") keeps its trade, and is looked for by the sweep.
    pub(crate) fn index_traded(view: &RiskView, traded: Traders<T::AccountId>) -> Unmoved {
        let mut unmoved = Unmoved::default();
        for (of, payer) in traded {
            let indexed = match T::Ledger::index(&of, view) {
                Ok(indexed) => indexed,
                Err(error) => {
                    defensive!("an account that traded cannot be indexed", error);
                    continue;
                }
            };
            // Itself and its entries.
            let changed = u64::from(indexed.entries).saturating_add(1);
            let counted = T::WeightInfo::party(indexed.holdings, indexed.thresholds).writes;
            let not_needed = T::DbWeight::get().writes(counted.saturating_sub(changed));
            let sum = match payer {
                Payer::Close => &mut unmoved.by_close,
                Payer::Order => &mut unmoved.by_orders,
                Payer::Liquidation => continue,
            };
            *sum = sum.saturating_add(not_needed);
        }
        unmoved
    }

    /// Lets an account that did not trade since the book read it take over what a close did to its orders.
    pub(crate) fn take_release(mut release: Release<T::AccountId>) -> Result<(), LedgerError> {
        let mut account = core::mem::take(&mut release.read);
        novate_risk::take_release(&mut account, &release)?;
        T::Ledger::write_orders(&release.account, account);
        Ok(())
    }

    fn report(market: MarketId, rounds: u32, limits: &MatchLimits<T::AccountId>) {
        Self::deposit_event(Event::CheckFailed {
            market,
            rounds,
            cancelled: limits.cancelled.len().try_into().unwrap_or(u32::MAX),
            tightened: limits.tightened.len().try_into().unwrap_or(u32::MAX),
        });
    }

    fn novate(
        check: &Check<'_, T>,
        book: <T::Book as OrderBook<T::AccountId>>::Market,
        tentative: Tentative<T::AccountId>,
        checked: Checked<T>,
        traders: &mut Traders<T::AccountId>,
    ) -> Result<Matched, DispatchError> {
        let (view, market, vault) = (check.view, check.market, T::Vault::get());
        let mut releases: BTreeMap<Account<T>, Release<T::AccountId>> = T::Book::commit(book)
            .into_iter()
            .map(|release| (release.account.clone(), release))
            .collect();
        let sums = |e: MathError| failed(e.into());
        let (mut to_fees, mut to_fund, mut to_funding) = (0, 0, [0; MAX_LEGS]);
        let mut fills = Vec::new();
        let mut written = Vec::new();
        for (of, mut traded) in checked.traded {
            if let Some(release) = releases.remove(&of) {
                novate_risk::take_release(&mut traded.account, &release)
                    .map_err(|e| failed(e.into()))?;
            }
            written.push((of.clone(), traded.held, traded.account));
            to_fees = math::add(to_fees, traded.to_fees).map_err(sums)?;
            to_fund = math::add(to_fund, traded.to_fund).map_err(sums)?;
            for (sum, part) in to_funding.iter_mut().zip(traded.to_funding) {
                *sum = math::add(*sum, part).map_err(sums)?;
            }
            if of == vault {
                let lost = lost_to_mark(market, &traded.fills).map_err(|e| failed(e.into()))?;
                T::Liquidations::vault_traded(market.id, lost);
            }
            fills.append(&mut traded.fills);
            let payer = if check.liquidated.contains_key(&of) {
                Payer::Liquidation
            } else if tentative.makers.contains(&of) {
                Payer::Close
            } else {
                Payer::Order
            };
            // What was paid in a further market is less.
            traders.entry(of).or_insert(payer);
        }
        T::Ledger::write_trades(&check.legs.markets(), written).map_err(failed)?;
        for release in releases.into_values() {
            Self::take_release(release).map_err(failed)?;
        }
        if to_fees != 0 {
            T::Ledger::credit_pot(Pot::Fees, to_fees).map_err(failed)?;
        }
        for (leg, to_funding) in check.legs.iter().zip(to_funding) {
            if to_funding != 0 {
                T::Ledger::credit_pot(Pot::Funding(leg.market.id), to_funding).map_err(failed)?;
            }
        }
        if to_fund != 0 {
            T::Ledger::settle(&T::InsuranceFund::get(), view, true, |account| {
                account.cash = math::add(account.cash, to_fund)?;
                Ok::<_, LedgerError>(())
            })
            .map_err(failed)?;
        }
        let matched = Matched::from(&tentative);
        let Some(price) = matched.last else {
            return Ok(matched);
        };
        let size = usize::try_from(crate::EVENT_FILLS).unwrap_or(usize::MAX);
        if market.contract.kind.is_combination() {
            for (leg, fills) in fills_by_leg(&check.legs, &fills).map_err(sums)? {
                for chunk in fills.chunks(size) {
                    Self::deposit_event(Event::LegCleared {
                        combination: market.id,
                        market: leg,
                        fills: BoundedVec::truncate_from(chunk.to_vec()),
                    });
                }
            }
        }
        for (part, chunk) in (0..).zip(fills.chunks(size)) {
            Self::deposit_event(Event::Cleared {
                market: market.id,
                price,
                volume: tentative.volume,
                part,
                fills: BoundedVec::truncate_from(chunk.to_vec()),
            });
        }
        Ok(matched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_without_a_sum_are_an_error() {
        let paying = |to_fees| Traded::<u64> {
            account: MarginAccount::default(),
            held: Default::default(),
            fills: Vec::new(),
            to_fees,
            to_fund: 0,
            to_funding: Default::default(),
            opened: Default::default(),
        };
        let sum = |fees: &[Cash]| {
            let traded: Vec<_> = fees.iter().copied().map(paying).collect();
            total_fees(traded.iter())
        };
        assert_eq!(sum(&[5, -7, 1]), Ok(-1));
        assert_eq!(sum(&[Cash::MAX, 1, -2]), Err(MathError::Overflow));
        assert_eq!(sum(&[Cash::MIN, -1]), Err(MathError::Overflow));
    }
}
