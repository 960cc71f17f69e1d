//! The auction of collateral for a debt (section 2): before positions where nothing else is wrong, beside them where there is.
//!
//! An account whose debt is beyond its cap, or which owes anything while the liquidity pot is short, is *called*: its orders are cancelled
//! and its collateral is offered to bids as an account in open competition is ([`super::competition`]), as much of it as pays the debt, at a
//! discount that grows from close to close from the price to the haircut value. No sale lowers its equity, as that is what collateral counted
//! for. So is one that is below maintenance margin without any position. What nobody bid for by then the vault takes at the haircut
//! value; if the vault cannot, who is above maintenance margin waits, bids still being taken, and for the others fund and vault are next.
//!
//! Who is below maintenance margin with positions has its collateral offered on the same terms while the market is offered its positions
//! (remedy 2), and in remedy 3 uniform fractions of both.

use super::{Outcome, Waterfall};
use crate::{types::opened, Config, Event, Pallet, Refusal};
use frame_support::traits::Get;
use novate_risk::debt_ceil;
use novate_types::{
    AccountRef, Assessment, CancelReason, Ledger, MarginAccount, OrderBook, RiskError, RiskModel,
    RiskView, Standing,
};

/// Closes that collateral is offered for a debt before the vault takes it.
pub const CALL_CLOSES: u8 = 5;

/// What is left to do for a called account.
pub(super) enum Called {
    /// This.
    Done(Outcome),
    /// What is done for others: it is not called any more, or its auction is over.
    Goes(MarginAccount, Assessment),
}

/// Whether an account's collateral was offered long enough.
pub(super) const fn is_over(account: &MarginAccount) -> bool {
    matches!(account.standing, Standing::Called { closes, .. } if closes >= CALL_CLOSES)
}

impl<T: Config> Pallet<T> {
    /// Whether an account's collateral is to be auctioned before anything else.
    pub(crate) fn is_called(
        of: &AccountRef<T::AccountId>,
        account: &MarginAccount,
        view: &RiskView,
        assessment: &Assessment,
    ) -> Result<bool, RiskError> {
        if matches!(
            account.standing,
            Standing::Frozen | Standing::Competing { .. }
        ) {
            return Ok(false);
        }
        if assessment.is_below_maintenance() {
            let pays = account.cash < 0 && !account.collateral.is_empty();
            return Ok(pays && account.positions.is_empty() && *of != T::Vault::get());
        }
        Self::owes_too_much(of, account, view)
    }

    /// The auction of an account's collateral begins: with the next block's bids. Returns how many orders and triggers it cancelled.
    pub(super) fn start_call(
        of: &AccountRef<T::AccountId>,
        account: &MarginAccount,
        view: &RiskView,
    ) -> Result<u32, Refusal> {
        let debt = debt_ceil(account, view)?;
        let orders = T::Ledger::update(of, |account| {
            account.standing = Standing::Called {
                since: view.block,
                closes: 0,
            };
            Ok::<_, Refusal>(T::Book::cancel_all(of, account, CancelReason::Liquidation))
        })?;
        Self::deposit_event(Event::CollateralCalled {
            account: of.clone(),
            debt,
        });
        Self::say_cancelled(of, orders);
        Ok(orders)
    }

    /// One close of a called account's auction.
    pub(super) fn call(
        of: &AccountRef<T::AccountId>,
        account: MarginAccount,
        assessment: Assessment,
        close: &mut Waterfall<'_, T>,
    ) -> Result<Called, Refusal> {
        let view = close.view;
        let stays = |assessment| {
            Called::Done(Outcome::Stays {
                assessment,
                waits: false,
            })
        };
        match account.standing {
            Standing::Called { .. } => {}
            // Its orders could not be cancelled before the match; nothing comes before that.
            Standing::Good => return Ok(stays(assessment)),
            _ => {
                Self::start_call(of, &account, view)?;
                return Ok(stays(assessment));
            }
        }
        let assessment = Self::sell_to_bids(of, &account, assessment, close)?;
        let account = opened(T::Ledger::account(of))?;
        if is_over(&account) || !Self::is_called(of, &account, view, &assessment)? {
            return Ok(Called::Goes(account, assessment));
        }
        T::Ledger::update(of, |account| {
            match &mut account.standing {
                // It began in this very close: the next block's bids are the first.
                Standing::Called { since, closes } if *since != view.block => {
                    *closes = closes.saturating_add(1);
                }
                _ => {}
            }
            Ok::<_, Refusal>(())
        })?;
        Ok(stays(assessment))
    }

    /// Pays what an account that is above maintenance margin still owes beyond what is lent to it, if nobody bid for its collateral. Returns
    /// what it is worth and needs if that was not possible: it waits.
    pub(super) fn pay_called(
        of: &AccountRef<T::AccountId>,
        close: &mut Waterfall<'_, T>,
    ) -> Result<Option<Outcome>, Refusal> {
        let view = close.view;
        let mut account = opened(T::Ledger::account(of))?;
        if is_over(&account) && Self::owes_too_much(of, &account, view)? {
            Self::close_desk(&mut close.desk, view)?;
            if let Err(refusal) = Self::pay_debt(of, view) {
                log::debug!(target: crate::LOG, "the debt of {of:?} waits: {refusal:?}");
            }
            account = opened(T::Ledger::account(of))?;
        }
        if !Self::owes_too_much(of, &account, view)? {
            return Ok(None);
        }
        let assessment = T::Risk::assess_held(&account, view)?;
        if !matches!(account.standing, Standing::Called { .. }) {
            Self::say_ended(of, &account, None, &assessment);
            Self::start_call(of, &account, view)?;
        }
        Ok(Some(Outcome::Stays {
            assessment,
            waits: is_over(&account),
        }))
    }
}
