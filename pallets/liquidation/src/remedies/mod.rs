//! The remedies, one file each, and the order in which an account goes through them.
//!
//! ```text
//! 1 cancel ─> 2 market ──5 closes, or equity < ⅔ MM, or backlog──> 5 fund (if equity < 0) ─> 4 vault ──refused──> 6 deleverage
//!                 (3: open competition)                                                               (7: shared loss)
//! ```

pub mod deleverage;
pub mod insurance;
pub mod market;
pub mod vault;

use crate::{
    index::{is_waiting, missing_axis},
    queue::Case,
    types::opened,
    Config, Escalation, Event, Pallet, Refusal, Working,
};
use alloc::{collections::BTreeSet, vec::Vec};
use deleverage::Quota;
use frame_support::{storage::with_storage_layer, traits::Get};
use novate_types::{
    math::sub, AccountRef, Assessment, Ledger, MarginAccount, MarketId, MathError, RiskModel,
    RiskView, Standing,
};
use vault::Desk;

/// Closes an account spends in remedy 2.
pub const MARKET_CLOSES: u8 = 5;

/// What one close's remedies share.
struct Waterfall<'a> {
    view: &'a RiskView,
    backlogged: BTreeSet<MarketId>,
    quota: Quota,
    desk: Desk,
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
}

/// Whether the market is not enough for an account in remedy 2, and why.
pub(crate) fn escalation(
    account: &MarginAccount,
    assessment: &Assessment,
    backlogged: &BTreeSet<MarketId>,
) -> Result<Option<Escalation>, MathError> {
    let Standing::Liquidating { closes, .. } = account.standing else {
        return Ok((account.standing == Standing::Frozen).then_some(Escalation::Frozen));
    };
    let times = |a: i128, n: i128| a.checked_mul(n).ok_or(MathError::Overflow);
    Ok(
        if times(assessment.equity, 3)? < times(assessment.maintenance, 2)? {
            Some(Escalation::DeepShortfall)
        } else if account
            .positions
            .iter()
            .any(|p| backlogged.contains(&p.market))
        {
            Some(Escalation::Backlog)
        } else if closes >= MARKET_CLOSES {
            Some(Escalation::MarketExhausted)
        } else {
            None
        },
    )
}

impl<T: Config> Pallet<T> {
    /// After the match: lets go who recovered, and takes remedies 4 to 6 for those for whom the market is not enough.
    pub(crate) fn remedies_beyond_the_market(view: &RiskView) {
        let working = Working::<T>::take();
        if working.is_empty() {
            return;
        }
        if let Err(refusal) = with_storage_layer(|| Self::take_remedies(&working, view)) {
            log::error!(target: crate::LOG, "no remedies in block {}: {refusal:?}", view.block);
            working.iter().for_each(Self::keep);
        }
    }

    fn take_remedies(working: &[AccountRef<T::AccountId>], view: &RiskView) -> Result<(), Refusal> {
        let cases: Vec<_> = working.iter().map(|of| Self::look_at(of, view)).collect();
        let mut close = Waterfall {
            view,
            backlogged: Self::backlogged(&cases),
            quota: Quota::of::<T>(),
            desk: Desk::default(),
        };
        for case in cases {
            let of = case.of.clone();
            let before = close.desk.clone();
            let done = with_storage_layer(|| match Self::remedy(case, &mut close)? {
                Outcome::Left => Ok(()),
                Outcome::Stays { assessment, waits } => {
                    Ok::<_, Refusal>(Self::requeue(&of, &assessment, waits)?)
                }
            });
            match done {
                Ok(()) => close.desk.sign(),
                Err(refusal) => {
                    log::error!(target: crate::LOG, "no remedy for {of:?}: {refusal:?}");
                    // What it wrote is undone, the vault's account included.
                    close.desk = before;
                    Self::keep(&of);
                }
            }
        }
        Self::close_desk(&mut close.desk, view)
    }

    /// Puts an account back for which nothing could be done.
    fn keep(of: &AccountRef<T::AccountId>) {
        if let Err(error) = Self::requeue_unchanged(of) {
            log::error!(target: crate::LOG, "{of:?} is lost from the queue: {error:?}");
        }
    }

    fn remedy(mut case: Case<T::AccountId>, close: &mut Waterfall<'_>) -> Result<Outcome, Refusal> {
        let of = &case.of.clone();
        let view = close.view;
        let is_vault = *of == T::Vault::get();
        if is_vault {
            Self::close_desk(&mut close.desk, view)?;
        }
        if is_vault || close.quota.is_touched() || *of == T::InsuranceFund::get() {
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
        let assessment = case.assessment?;
        if !assessment.is_below_maintenance() {
            return Self::let_go(of, close);
        }
        if account.standing == Standing::Good {
            // Remedy 1 could not be taken before the match; nothing comes before it.
            return Ok(Outcome::Stays {
                assessment,
                waits: false,
            });
        }
        let Some(why) = escalation(&account, &assessment, &close.backlogged)? else {
            return Ok(Outcome::Stays {
                assessment,
                waits: false,
            });
        };

        let mut assessment = assessment;
        if assessment.equity < 0 {
            Self::top_up(of, view, sub(0, assessment.equity)?)?;
            assessment = Self::assessed(of, view)?;
            if !assessment.is_below_maintenance() {
                return Self::let_go(of, close);
            }
        }
        let taken = Self::take_over(of, view, why, &assessment, &mut close.desk);
        if taken.is_err() {
            close.desk.withdraw();
        }
        match taken {
            Ok(()) => return Ok(Outcome::Left),
            Err(refusal) if account.standing != Standing::Frozen => {
                Self::freeze(of)?;
                let account = of.clone();
                Self::deposit_event(Event::TakeoverRefused {
                    account,
                    why,
                    refusal,
                });
            }
            Err(_) => {}
        }
        if !close.quota.is_used_up() {
            Self::close_desk(&mut close.desk, view)?;
            Self::deleverage(of, view, &mut close.quota)?;
            assessment = Self::assessed(of, view)?;
        }
        if !assessment.is_below_maintenance() {
            return Self::let_go(of, close);
        }
        if assessment.equity < 0 {
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

    fn assessed(of: &AccountRef<T::AccountId>, view: &RiskView) -> Result<Assessment, Refusal> {
        Ok(T::Risk::assess(&opened(T::Ledger::account(of))?, view)?)
    }

    fn freeze(of: &AccountRef<T::AccountId>) -> Result<(), Refusal> {
        T::Ledger::update(of, |account| {
            account.standing = Standing::Frozen;
            Ok(())
        })
    }

    /// An account that is above maintenance margin: pays its debt out of its collateral if it has one, and trades again.
    fn let_go(
        of: &AccountRef<T::AccountId>,
        close: &mut Waterfall<'_>,
    ) -> Result<Outcome, Refusal> {
        let view = close.view;
        if Self::is_in_debt(of, &opened(T::Ledger::account(of))?) {
            Self::close_desk(&mut close.desk, view)?;
            if let Err(refusal) = Self::pay_debt(of, view) {
                log::debug!(target: crate::LOG, "the debt of {of:?} waits: {refusal:?}");
            }
        }
        let account = opened(T::Ledger::account(of))?;
        let assessment = T::Risk::assess(&account, view)?;
        if account.standing != Standing::Good {
            T::Ledger::update(of, |account| {
                account.standing = Standing::Good;
                Ok::<_, Refusal>(())
            })?;
            let (equity, maintenance) = (assessment.equity, assessment.maintenance);
            Self::deposit_event(Event::Recovered {
                account: of.clone(),
                equity,
                maintenance,
            });
        }
        if Self::is_in_debt(of, &account) {
            return Ok(Outcome::Stays {
                assessment,
                waits: true,
            });
        }
        Self::dequeue(of)?;
        T::Ledger::settle(of, view, false, |_| Ok::<_, Refusal>(()))?;
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
