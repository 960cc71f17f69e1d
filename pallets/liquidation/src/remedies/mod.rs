//! The remedies, one file each, and the order in which an account goes through them.
//!
//! ```text
//! 1 cancel ─> 2 market ─────5 closes────> 3 competition ──20 closes──> 5 fund (if equity < 0) ─> 4 vault ──refused──> 6 deleverage
//!                 └── equity < ⅔ MM, or backlog ──┴────────────────────────┘                     nobody across is left ─> 7 shared loss
//! ```
//!
//! Whoever is above maintenance margin again leaves, from wherever it is, unless it owes more than is lent to it. Its collateral is auctioned for
//! that ([`call`]), and so is that of an account which has nothing else.

pub mod call;
pub mod competition;
pub mod deleverage;
pub mod insurance;
pub mod market;
pub mod shared_loss;
pub mod vault;

use crate::{
    index::{is_waiting, missing_axis},
    meter::{Meter, Size},
    queue::Case,
    types::{opened, HalfClose},
    Config, Escalation, Event, Pallet, Queue, Refusal, Working,
};
use alloc::{collections::BTreeSet, vec::Vec};
use call::{is_over, Called};
use competition::{competes, BidsByAccount, COMPETITION_CLOSES};
use deleverage::{Closing, Counterparties};
use frame_support::{storage::with_storage_layer, traits::Get};
use novate_risk::closed_out_equity_floor;
use novate_types::{
    math::sub, AccountRef, Assessment, Ledger, Liquidations, MarginAccount, MarketId, MathError,
    RiskModel, RiskView, Standing,
};
use vault::Desk;

/// Closes an account spends in remedy 2.
pub const MARKET_CLOSES: u8 = 5;

/// Accounts with a deficit for which no counterparties are left.
type Unpaid<AccountId> = Vec<AccountRef<AccountId>>;

/// What one close's remedies share.
struct Waterfall<'a, T: Config> {
    view: &'a RiskView,
    backlogged: BTreeSet<MarketId>,
    across: Counterparties<T::AccountId>,
    desk: Desk,
    bids: BidsByAccount<T::AccountId>,
    unpaid: Unpaid<T::AccountId>,
    meter: Meter<T>,
}

/// What became of an account.
enum Outcome {
    /// It left the queue.
    Left,
    /// It stays in it.
    Stays {
        /// As it is now.
        assessment: Assessment,
        /// It waits for others, behind everybody else.
        waits: bool,
    },
    /// Fund and vault refused it.
    Refused(MarginAccount),
}

/// Whether an account is too far below maintenance margin for remedies 2 and 3. Equity is held against maintenance margin without long options,
/// which need themselves; but these can be sold, so it counts them at what they bring at worst: who is covered by them has time to sell.
fn is_deep(assessment: &Assessment) -> Result<bool, MathError> {
    let times = |a: i128, n: i128| a.checked_mul(n).ok_or(MathError::Overflow);
    let equity = closed_out_equity_floor(assessment)?;
    Ok(times(equity, 3)? < times(assessment.net_maintenance()?, 2)?)
}

/// Whether an account in competition will be offered again after this close.
const fn has_more_offers(account: &MarginAccount) -> bool {
    match account.standing {
        Standing::Competing { closes, .. } => closes.saturating_add(1) < COMPETITION_CLOSES,
        _ => false,
    }
}

/// Whether this close leaves an account in remedy 2 or 3, or begins with them, by all that can be said of it alone: it takes neither
/// vault nor counterparties.
pub(crate) fn stays(account: &MarginAccount, assessment: &Assessment) -> Result<bool, MathError> {
    let lasts = match account.standing {
        Standing::Good | Standing::Liquidating { .. } => true,
        Standing::Competing { .. } => has_more_offers(account),
        Standing::Called { .. } | Standing::Frozen => false,
    };
    Ok(lasts && !is_deep(assessment)?)
}

/// Whether what an account is in, remedy 2 or 3, is not enough for it, and why.
pub(crate) fn escalation(
    account: &MarginAccount,
    assessment: &Assessment,
    backlogged: &BTreeSet<MarketId>,
) -> Result<Option<Escalation>, MathError> {
    let spent = match account.standing {
        Standing::Good => return Ok(None),
        Standing::Frozen => return Ok(Some(Escalation::Frozen)),
        Standing::Called { .. } => None,
        Standing::Liquidating { closes, .. } => {
            (closes >= MARKET_CLOSES).then_some(Escalation::MarketExhausted)
        }
        Standing::Competing { closes, .. } => {
            (closes >= COMPETITION_CLOSES).then_some(Escalation::CompetitionExhausted)
        }
    };
    Ok(if is_deep(assessment)? {
        Some(Escalation::DeepShortfall)
    } else if account
        .positions
        .iter()
        .any(|p| backlogged.contains(&p.market))
    {
        Some(Escalation::Backlog)
    } else {
        spent
    })
}

impl<T: Config> Pallet<T> {
    /// After the match: lets go who recovered, and takes remedies 3 to 7 for those for whom the market is not enough.
    ///
    /// Returns what is left of the close's time, and whether a loss was shared: the indices of `view` moved.
    pub(crate) fn remedies_beyond_the_market(
        view: &mut RiskView,
        half: HalfClose,
        bids: BidsByAccount<T::AccountId>,
    ) -> (u64, bool) {
        let working = Working::<T>::take();
        if working.is_empty() {
            Self::drop_bids(bids);
            return (half.left, false);
        }
        match with_storage_layer(|| Self::take_remedies(&working, view, half, bids.clone())) {
            Ok((left, unpaid)) => Self::share_losses(unpaid, view, left),
            Err(refusal) => {
                log::error!(target: crate::LOG, "no remedies in block {}: {refusal:?}", view.block);
                working.iter().for_each(Self::keep);
                Self::drop_bids(bids);
                (0, false)
            }
        }
    }

    fn take_remedies(
        working: &[AccountRef<T::AccountId>],
        view: &RiskView,
        half: HalfClose,
        bids: BidsByAccount<T::AccountId>,
    ) -> Result<(u64, Unpaid<T::AccountId>), Refusal> {
        let cases: Vec<_> = working.iter().map(|of| Self::look_at(of, view)).collect();
        let mut close = Waterfall {
            view,
            backlogged: Self::backlogged(&cases),
            across: Counterparties::of::<T>(),
            desk: Desk::default(),
            bids,
            unpaid: Vec::new(),
            meter: Meter::of_close(half.left),
        };
        let mut done: BTreeSet<_> = working.iter().cloned().collect();
        for case in cases {
            Self::work_on(case, &mut close)?;
        }
        Self::work_on_more(half.steps, &mut done, &mut close)?;
        Self::drop_bids(core::mem::take(&mut close.bids));
        Self::close_desk(&mut close.desk, view)?;
        Self::close_lines(view, close.across)?;
        Ok((close.meter.left(), close.unpaid))
    }

    /// If those worked on took less than they were reckoned to, others for whom the market is not enough are worked on, too: nobody twice
    /// in a close.
    fn work_on_more(
        mut steps: u32,
        done: &mut BTreeSet<AccountRef<T::AccountId>>,
        close: &mut Waterfall<'_, T>,
    ) -> Result<(), Refusal> {
        if !Self::presses() {
            return Ok(());
        }
        let view = close.view;
        let mut aside = Vec::new();
        // Each took a step at least.
        loop {
            let (cases, passed) = Self::reach(view, done, &mut steps, &close.meter);
            let many = u32::try_from(passed.len()).unwrap_or(u32::MAX);
            close.meter.spend(close.meter.passed(many));
            aside.extend(passed);
            if cases.is_empty() {
                break;
            }
            for mut case in cases {
                // As others' closings left it.
                if Self::release(&case.of, view, &mut close.across)? {
                    case = Self::look_at(&case.of, view);
                }
                if done.insert(case.of.clone()) && Self::is_beyond_the_market(&case, close)? {
                    Self::work_on(case, close)?;
                } else {
                    close.meter.spend(close.meter.look(case.size(view)));
                    aside.push(case.of);
                }
            }
        }
        aside
            .iter()
            .try_for_each(|of| Ok(Self::put_back_queued(of)?))
    }

    /// Whether the market is not enough for an account that did not go there in this close. Its remedies begin with that.
    fn is_beyond_the_market(
        case: &Case<T::AccountId>,
        close: &mut Waterfall<'_, T>,
    ) -> Result<bool, Refusal> {
        let (Some(account), Ok(assessment)) = (&case.account, &case.assessment) else {
            return Ok(false);
        };
        // Orders are cancelled before the match.
        let starts = account.standing == Standing::Good && account.orders.is_empty();
        let waits = !assessment.is_below_maintenance()
            || missing_axis(account, close.view)?.is_some()
            || (account.standing == Standing::Good && !starts);
        if waits {
            return Ok(false);
        }
        if starts {
            let mut started = account.clone();
            started.standing = Self::started(close.view);
            if escalation(&started, assessment, &close.backlogged)?.is_none() {
                return Ok(false);
            }
            close.meter.spend(close.meter.left_behind(case.triggers()));
            Self::start(&case.of, close.view, assessment)?;
            return Ok(true);
        }
        Ok(competes(account) || escalation(account, assessment, &close.backlogged)?.is_some())
    }

    /// Takes an account through the remedies, if there is time.
    fn work_on(case: Case<T::AccountId>, close: &mut Waterfall<'_, T>) -> Result<(), Refusal> {
        let of = case.of.clone();
        let found_now = Self::is_found_now(&of, close.view.block);
        Self::take_through(case, found_now, close)?;
        if found_now && !Queue::<T>::contains_key(&of) {
            // Its place in the queue came and went: no key of it changes.
            close.meter.earn(close.meter.keys(1));
        }
        Ok(())
    }

    fn take_through(
        mut case: Case<T::AccountId>,
        found_now: bool,
        close: &mut Waterfall<'_, T>,
    ) -> Result<(), Refusal> {
        let view = close.view;
        let of = case.of.clone();
        let (size, at_market) = (case.size(view), case.is_at_market());
        let cost = close.meter.liquidation(size, found_now, at_market);
        if !close.meter.affords(cost) {
            return Ok(Self::put_back_queued(&of)?);
        }
        close.meter.spend(cost);
        if Self::release(&of, view, &mut close.across)? || Self::is_good(&case) {
            case = Self::look_at(&of, view);
        }
        Self::release_takers(&of, close)?;
        let (before, bids) = (close.desk.clone(), close.bids.get(&of).cloned());
        let done = with_storage_layer(|| match Self::remedy(case, close)? {
            Outcome::Stays { assessment, waits } => {
                let moved = Self::requeue(&of, &assessment, waits)?;
                let place = close.meter.keys(u32::from(!moved && !found_now));
                Ok::<_, Refusal>((
                    None,
                    close.meter.unmade(size, at_market).saturating_add(place),
                ))
            }
            Outcome::Refused(account) => Ok((Some(account), close.meter.unmade(size, at_market))),
            Outcome::Left => Ok((None, 0)),
        });
        let refused = match done {
            Ok((refused, unspent)) => {
                close.desk.sign();
                close.meter.earn(unspent);
                refused
            }
            Err(refusal) => {
                log::error!(target: crate::LOG, "no remedy for {of:?}: {refusal:?}");
                // What it wrote is undone, the vault's account included.
                close.desk = before;
                close.bids.extend(bids.map(|bids| (of.clone(), bids)));
                Self::keep(&of);
                None
            }
        };
        let Some(account) = refused else {
            return Ok(());
        };
        let slice = close.meter.worst_slice(Size::SMALL);
        if close.meter.affords(slice) {
            return Self::close_out(&of, account, close);
        }
        // The next close begins with it.
        let assessment = T::Risk::assess_held(&account, view)?;
        Self::requeue(&of, &assessment, false)?;
        Ok(())
    }

    /// Whether a case's account is in good standing as it was read: if its remedies began since, it has to be read again.
    fn is_good(case: &Case<T::AccountId>) -> bool {
        case.account
            .as_ref()
            .is_some_and(|account| account.standing == Standing::Good)
    }

    /// Remedy 6: closes an account that fund and vault refused against others, as far as these go. It is let go, or stays frozen.
    fn close_out(
        of: &AccountRef<T::AccountId>,
        account: MarginAccount,
        close: &mut Waterfall<'_, T>,
    ) -> Result<(), Refusal> {
        let view = close.view;
        // The vault may be across.
        Self::pay_desk(close)?;
        Self::close_desk(&mut close.desk, view)?;
        let closing = match Self::deleverage(account, view, &mut close.across, &mut close.meter) {
            Ok(closing) => closing,
            Err(refusal) => {
                log::error!(target: crate::LOG, "{of:?} cannot be closed: {refusal:?}");
                Self::keep(of);
                return Ok(());
            }
        };
        match with_storage_layer(|| Self::write_closing(of, &closing, close)) {
            Ok(()) => {
                Self::keep_closing(closing, &mut close.across);
                Ok(())
            }
            Err(refusal) => {
                log::error!(target: crate::LOG, "{of:?} is not closed: {refusal:?}");
                Self::drop_closing(closing, &mut close.across);
                Self::keep(of);
                Ok(())
            }
        }
    }

    /// Writes an account's closing, and lets the account go or leaves it frozen.
    fn write_closing(
        of: &AccountRef<T::AccountId>,
        closing: &Closing<T::AccountId>,
        close: &mut Waterfall<'_, T>,
    ) -> Result<(), Refusal> {
        let view = close.view;
        let account = &closing.account;
        let assessment = T::Risk::assess_held(account, view)?;
        let is_frozen = assessment.is_below_maintenance();
        if is_frozen || Self::owes_too_much(of, account, view)? {
            Self::write_slices(of, view, closing)?;
            let outcome = if is_frozen {
                Self::leave_frozen(of, closing, assessment, &mut close.unpaid)?
            } else {
                Self::let_go(of, close)?
            };
            return match outcome {
                Outcome::Stays { assessment, waits } => {
                    Self::requeue(of, &assessment, waits)?;
                    Ok(())
                }
                _ => Ok(()),
            };
        }
        // Nothing is left to do for it: it leaves the queue and is written once.
        Self::pay_thresholds(account, close);
        Self::write_others(of, view, closing)?;
        Self::dequeue(of)?;
        T::Ledger::settle(of, view, false, |stored| {
            *stored = MarginAccount {
                standing: Standing::Good,
                ..account.clone()
            };
            Ok::<_, Refusal>(())
        })?;
        Self::say_recovered(of, account, &assessment);
        Ok(())
    }

    fn say_recovered(
        of: &AccountRef<T::AccountId>,
        account: &MarginAccount,
        assessment: &Assessment,
    ) {
        Self::say_ended(of, account, None, assessment);
        if account.standing != Standing::Good {
            Self::deposit_event(Event::Recovered {
                account: of.clone(),
                equity: assessment.equity,
                maintenance: assessment.maintenance,
            });
        }
    }

    /// Pays for the thresholds of a scan that an account is given again as it leaves the queue.
    fn pay_thresholds(account: &MarginAccount, close: &mut Waterfall<'_, T>) {
        let more = Size::of(account, close.view).more;
        close.meter.spend(close.meter.more(more));
    }

    /// Pays for writing the vault, if that is due.
    fn pay_desk(close: &mut Waterfall<'_, T>) -> Result<(), Refusal> {
        if let Some((vault, assessment)) = close.desk.due() {
            let entries = Self::unsettled(&T::Vault::get(), vault, close.view, assessment)?;
            let meter = &close.meter;
            let size = Size::of(vault, close.view);
            let cost = meter.look(size).saturating_add(meter.keys(1));
            close
                .meter
                .spend(cost.saturating_add(meter.appended(entries)));
        }
        Ok(())
    }

    /// An account that counterparties did not suffice for stays in the queue, and out of trading. What it lacks is shared at the close's
    /// end (remedy 7) if none are left, not merely out of this close's reach.
    fn leave_frozen(
        of: &AccountRef<T::AccountId>,
        closing: &Closing<T::AccountId>,
        assessment: Assessment,
        unpaid: &mut Vec<AccountRef<T::AccountId>>,
    ) -> Result<Outcome, Refusal> {
        if closing.account.standing != Standing::Frozen {
            T::Ledger::update(of, |account| {
                account.standing = Standing::Frozen;
                Ok::<_, Refusal>(())
            })?;
        }
        if assessment.equity < 0 && closing.is_exhausted {
            unpaid.push(of.clone());
        } else if assessment.equity < 0 {
            let deficit = sub(0, assessment.equity)?;
            Self::deposit_event(Event::DeficitUncovered {
                account: of.clone(),
                deficit,
            });
        }
        Ok(Outcome::Stays {
            assessment,
            waits: true,
        })
    }

    /// Puts an account back for which nothing could be done.
    fn keep(of: &AccountRef<T::AccountId>) {
        if let Err(error) = Self::requeue_unchanged(of) {
            log::error!(target: crate::LOG, "{of:?} is lost from the queue: {error:?}");
        }
    }

    fn remedy(
        mut case: Case<T::AccountId>,
        close: &mut Waterfall<'_, T>,
    ) -> Result<Outcome, Refusal> {
        let of = &case.of.clone();
        let view = close.view;
        let is_vault = *of == T::Vault::get();
        if is_vault {
            Self::close_desk(&mut close.desk, view)?;
        }
        if is_vault || *of == T::InsuranceFund::get() {
            // Others' remedies may have changed it.
            case = Self::look_at(of, view);
        }
        let Some(account) = case.account else {
            Self::dequeue(of)?;
            return Ok(Outcome::Left);
        };
        if missing_axis(&account, view)?.is_some() {
            return Self::let_wait(of, view);
        }
        let (mut account, mut assessment) = (account, case.assessment?);
        if Self::is_called(of, &account, view, &assessment)? {
            (account, assessment) = match Self::call(of, account, assessment, close)? {
                Called::Done(outcome) => return Ok(outcome),
                Called::Goes(account, assessment) => (account, assessment),
            };
        }
        if !assessment.is_below_maintenance() {
            return Self::let_go(of, close);
        }
        let stays = |assessment| Outcome::Stays {
            assessment,
            waits: false,
        };
        if account.standing == Standing::Good {
            // Remedy 1 could not be taken before the match; nothing comes before it.
            return Ok(stays(assessment));
        }
        let why = match escalation(&account, &assessment, &close.backlogged)? {
            None if competes(&account) => {
                let is_last = !has_more_offers(&account);
                let outcome = Self::compete(of, account, assessment, close)?;
                let Outcome::Stays {
                    assessment: left, ..
                } = &outcome
                else {
                    return Ok(outcome);
                };
                if !is_last {
                    return Ok(outcome);
                }
                // It was offered for the last time, and goes on as remedy 2 does after its own last close.
                assessment = *left;
                account = opened(T::Ledger::account(of))?;
                Escalation::CompetitionExhausted
            }
            None => {
                // Its collateral is for sale beside its positions.
                let assessment = Self::sell_to_bids(of, &account, assessment, close)?;
                if assessment.is_below_maintenance() {
                    return Ok(stays(assessment));
                }
                return Self::let_go(of, close);
            }
            Some(Escalation::MarketExhausted) => {
                Self::start_competition(of, view, &assessment)?;
                return Ok(stays(assessment));
            }
            Some(why) => why,
        };
        let was_frozen = account.standing == Standing::Frozen;
        // Who is at zero with collateral that nobody bid for goes to the vault all the same.
        let was_offered = is_over(&account);
        if competes(&account) {
            Self::end_competition(of, &account, why, &assessment)?;
            account.standing = Standing::Frozen;
        } else if matches!(account.standing, Standing::Called { .. }) {
            // It is too deep for the market: its remedies begin here.
            T::Ledger::update(of, |account| {
                account.standing = Standing::Frozen;
                Ok::<_, Refusal>(())
            })?;
            account.standing = Standing::Frozen;
            Self::say_started(of, &assessment);
        }

        if assessment.equity < 0 && Self::top_up(of, view, sub(0, assessment.equity)?)? {
            account = opened(T::Ledger::account(of))?;
            assessment = T::Risk::assess_held(&account, view)?;
            if !assessment.is_below_maintenance() && !was_offered {
                return Self::let_go(of, close);
            }
        }
        let taken = Self::take_over(of, &account, view, why, &assessment, &mut close.desk);
        if let Some(vault) = close.desk.vault() {
            // All that it holds is priced with each estate that it is offered.
            let once = close.meter.scans(Size::of(vault, view), 1);
            close.meter.spend(once);
        }
        match taken {
            Ok(()) => Ok(Outcome::Left),
            Err(refusal) => {
                close.desk.withdraw();
                if !was_frozen {
                    let account = of.clone();
                    Self::deposit_event(Event::TakeoverRefused {
                        account,
                        why,
                        refusal,
                    });
                }
                Ok(Outcome::Refused(account))
            }
        }
    }

    /// An account that is above maintenance margin trades again, once it owes no more than is lent to it.
    fn let_go(
        of: &AccountRef<T::AccountId>,
        close: &mut Waterfall<'_, T>,
    ) -> Result<Outcome, Refusal> {
        if let Some(waits) = Self::pay_called(of, close)? {
            return Ok(waits);
        }
        let view = close.view;
        let account = opened(T::Ledger::account(of))?;
        let assessment = T::Risk::assess_held(&account, view)?;
        Self::pay_thresholds(&account, close);
        Self::dequeue(of)?;
        T::Ledger::settle(of, view, false, |account| {
            account.standing = Standing::Good;
            Ok::<_, Refusal>(())
        })?;
        Self::say_recovered(of, &account, &assessment);
        Ok(Outcome::Left)
    }

    /// An account that holds something without a usable price: nothing is done to it until the price is back, and the index
    /// finds it then. What it lacked stays counted.
    fn let_wait(of: &AccountRef<T::AccountId>, view: &RiskView) -> Result<Outcome, Refusal> {
        T::Ledger::settle(of, view, false, |_| Ok::<_, Refusal>(()))?;
        let waits = opened(T::Ledger::account(of))?
            .risk
            .iter()
            .any(|slot| is_waiting(slot.bucket));
        if waits {
            Self::suspend(of);
        } else {
            // Since it was queued it came above maintenance margin, by all that is known.
            Self::dequeue(of)?;
        }
        Ok(Outcome::Left)
    }
}
