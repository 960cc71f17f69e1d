//! Remedy 4: the backstop vault takes over everything an account holds, at what it cost the account.
//!
//! Positions pass at cost, so nothing is realised on the account's side and its cash and collateral carry its whole result with
//! them: the vault's equity grows by exactly the account's (a quantum of rounding for each position apart), which is not below
//! zero. The vault keeps it for the risk it takes.
//!
//! Long options bear no risk that anybody has to be paid for: they stay with the account, which then holds nothing else and is worth what it needs.
//! Only where equity without them is below zero as many go to the vault as pay for that, at their mark less a spread
//! ([`novate_risk::closing_lots`]).
//!
//! The vault refuses what would leave it without initial margin (unless it lowers its risk: an opposite position may), what
//! would make it owe cash (nobody lends to it), and markets in which it has lost its cap: a price that can be pushed is a bill sent
//! to the vault (JELLY, March 2025). Losses are counted at marks and funding, in every close, and with what the vault's own trades cost beyond the
//! mark, fees included, over a window of blocks; gains make them good, but are not saved up for later. Not counted are what collateral loses
//! that it holds, as that is of no market, and what it gives up to the mark where it is deleveraged.

use crate::{
    types::opened, Config, Escalation, Event, LossCaps, Pallet, Refusal, VaultLoss, VaultLosses,
};
use alloc::vec::Vec;
use frame_support::{ensure, storage::with_storage_layer, traits::Get};
use novate_risk::{
    add_collateral, apply_trade, closing_lots, collateral_value, funding_owed_ceil,
    interest_due_ceil, passes_check, settle_funding, Linear,
};
use novate_types::{
    math::{add, neg, position_value_floor, sub},
    AccountRef, Assessment, AssetId, BlockNumber, Cash, CollateralView, Ledger, MarginAccount,
    MarketId, MathError, Position, Pot, RiskError, RiskModel, RiskView, SignedLots, Standing,
};

/// The vault's account while one estate after the other goes to it: read, assessed and indexed once a close, not once an
/// account. Whoever else needs the vault's account meanwhile closes the desk first.
#[derive(Clone, Default)]
pub(crate) struct Desk {
    /// With every account's estate that left for good.
    signed: Option<(MarginAccount, Assessment)>,
    /// With the estate of the account being worked on.
    drafted: Option<(MarginAccount, Assessment)>,
    /// `signed` is not what is stored.
    changed: bool,
}

impl Desk {
    /// The account being worked on is done.
    pub fn sign(&mut self) {
        if let Some(drafted) = self.drafted.take() {
            self.signed = Some(drafted);
            self.changed = true;
        }
    }

    /// The vault as it stands, if it was asked for anything in this close.
    pub fn vault(&self) -> Option<&MarginAccount> {
        let desk = self.drafted.as_ref().or(self.signed.as_ref());
        desk.map(|(vault, _)| vault)
    }

    /// What has to be written.
    pub fn due(&self) -> Option<&(MarginAccount, Assessment)> {
        self.signed.as_ref().filter(|_| self.changed)
    }

    /// The account being worked on keeps its estate.
    pub fn withdraw(&mut self) {
        self.drafted = None;
    }
}

/// What passes of an account.
struct Estate {
    cash: Cash,
    /// Markets, signed lots and what they cost.
    positions: Vec<(MarketId, SignedLots, Cash)>,
    collateral: Vec<(AssetId, u128)>,
}

impl Estate {
    /// Empties an account, but for the interest that it owes until now and for positions that are not among `closing`. Its funding is settled on
    /// the way; the pots' shares are added to `pots`.
    fn take(
        account: &mut MarginAccount,
        view: &RiskView,
        closing: Vec<(MarketId, SignedLots)>,
        pots: &mut Vec<(MarketId, Cash)>,
    ) -> Result<Self, RiskError> {
        let held: Vec<_> = account.positions.iter().map(|p| p.market).collect();
        for market in held {
            let market = view.market(market)?;
            pots.push((market.id, settle_funding(account, market)?));
        }
        let mut positions = Vec::new();
        for (market, lots) in closing {
            let position = *account.position(market).ok_or(RiskError::Underflow)?;
            // A part goes of long options alone, and these cost nothing.
            let cost = if lots == position.lots {
                position.cost
            } else {
                0
            };
            let back = lots.checked_neg().ok_or(MathError::Overflow)?;
            apply_trade(account, view.market(market)?, back, neg(cost)?)?;
            positions.push((market, lots, cost));
        }
        let interest = interest_due_ceil(account, view.loans.index)?;
        let cash = sub(core::mem::replace(&mut account.cash, interest), interest)?;
        let collateral = account.collateral.to_vec();
        account.collateral.clear();
        Ok(Self {
            cash,
            positions,
            collateral,
        })
    }

    /// Adds it to an account.
    fn give(
        self,
        account: &mut MarginAccount,
        view: &RiskView,
        pots: &mut Vec<(MarketId, Cash)>,
    ) -> Result<(), RiskError> {
        account.cash = add(account.cash, self.cash)?;
        for (market, lots, cost) in &self.positions {
            let market = view.market(*market)?;
            let traded = apply_trade(account, market, *lots, *cost)?;
            pots.push((market.id, traded.funding_to_pot));
        }
        for (asset, amount) in self.collateral {
            add_collateral(account, asset, amount)?;
        }
        Ok(())
    }
}

/// The least amount of an asset worth `value` quantums after its haircut, and what it is worth at most: less than `value` if
/// all of `held` is.
fn amount_worth(view: &CollateralView, held: u128, value: Cash) -> Result<(u128, Cash), MathError> {
    let all = collateral_value(view, held)?;
    if all <= value {
        return Ok((held, all));
    }
    // The haircut value never falls as the amount grows: halve the interval (low, high] that holds the least amount.
    let (mut low, mut high) = (0u128, held);
    for _ in 0..u128::BITS {
        let middle = low.midpoint(high);
        if middle == low {
            break;
        }
        if collateral_value(view, middle)? >= value {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok((high, value))
}

impl<T: Config> Pallet<T> {
    /// Remedy 4. The account leaves the queue, in good standing and empty but for long options, or nothing changes.
    pub(crate) fn take_over(
        of: &AccountRef<T::AccountId>,
        account: &MarginAccount,
        view: &RiskView,
        why: Escalation,
        assessment: &Assessment,
        desk: &mut Desk,
    ) -> Result<(), Refusal> {
        ensure!(*of != T::Vault::get(), Refusal::OwnAccount);
        ensure!(assessment.equity >= 0, Refusal::Deficit);
        // No hedge is left of what is closed out.
        let closing = closing_lots(account, view, &Linear::assess(account, view)?)?;
        for (market, _) in &closing {
            let lost = Self::vault_loss(*market, view.block);
            let cap = Self::loss_cap(*market, view.block);
            ensure!(lost <= cap, Refusal::LossCap(*market));
        }
        // In memory first: most of what is refused is refused here.
        let mut emptied = account.clone();
        let mut pots = Vec::new();
        let estate = Estate::take(&mut emptied, view, closing, &mut pots)?;
        Self::receive(desk, view, estate, &mut pots)?;
        emptied.standing = Standing::Good;
        with_storage_layer(|| {
            T::Ledger::settle(of, view, false, |account| {
                *account = emptied;
                Ok::<_, Refusal>(())
            })?;
            for (market, amount) in pots {
                T::Ledger::credit_pot(Pot::Funding(market), amount)?;
            }
            Ok::<_, Refusal>(Self::dequeue(of)?)
        })?;
        let (equity, maintenance) = (assessment.equity, assessment.maintenance);
        Self::deposit_event(Event::TakenOver {
            account: of.clone(),
            why,
            equity,
            maintenance,
        });
        Ok(())
    }

    /// The vault takes an estate, on the desk.
    fn receive(
        desk: &mut Desk,
        view: &RiskView,
        estate: Estate,
        pots: &mut Vec<(MarketId, Cash)>,
    ) -> Result<(), Refusal> {
        if desk.signed.is_none() {
            let vault = opened(T::Ledger::account(&T::Vault::get()))?;
            let assessment = T::Risk::assess_held(&vault, view)?;
            desk.signed = Some((vault, assessment));
        }
        let (signed, before) = desk.signed.as_ref().ok_or(Refusal::Margin)?;
        let mut vault = signed.clone();
        estate.give(&mut vault, view, pots)?;
        let after = T::Risk::assess_held(&vault, view)?;
        ensure!(passes_check(before, &after), Refusal::Margin);
        ensure!(vault.cash >= signed.cash.min(0), Refusal::Cash);
        desk.drafted = Some((vault, after));
        Ok(())
    }

    /// Writes what the vault took over.
    pub(crate) fn close_desk(desk: &mut Desk, view: &RiskView) -> Result<(), Refusal> {
        let Some((taken, _)) = desk.signed.take().filter(|_| desk.changed) else {
            return Ok(());
        };
        desk.changed = false;
        T::Ledger::settle(&T::Vault::get(), view, false, |vault| {
            *vault = taken;
            Ok(())
        })
    }

    /// Pays an account's debt and takes collateral for it, at its haircut value. The account's equity does not fall but by
    /// rounding: haircuts grow with size, so what leaves counted for no more than it is taken for.
    pub(crate) fn pay_debt(of: &AccountRef<T::AccountId>, view: &RiskView) -> Result<(), Refusal> {
        let paid = with_storage_layer(|| {
            let mut taken = Vec::new();
            let paid = T::Ledger::settle(of, view, false, |account| {
                let interest = interest_due_ceil(account, view.loans.index)?;
                let mut paid: Cash = 0;
                for (asset, held) in account.collateral.iter_mut() {
                    let debt = neg(sub(account.cash, interest)?.min(0))?;
                    let (amount, worth) = amount_worth(view.collateral(*asset)?, *held, debt)?;
                    if debt > 0 && worth > 0 {
                        *held = held.checked_sub(amount).ok_or(MathError::Overflow)?;
                        account.cash = add(account.cash, worth)?;
                        paid = add(paid, worth)?;
                        taken.push((*asset, amount));
                    }
                }
                account.collateral.retain(|(_, held)| *held > 0);
                Ok::<_, Refusal>(paid)
            })?;
            T::Ledger::settle(&T::Vault::get(), view, false, |vault| {
                Self::within_vault_limits(vault, view, |vault| {
                    vault.cash = sub(vault.cash, paid)?;
                    for (asset, amount) in taken {
                        add_collateral(vault, asset, amount)?;
                    }
                    Ok(())
                })
            })?;
            Ok::<_, Refusal>(paid)
        })?;
        if paid > 0 {
            Self::deposit_event(Event::DebtPaid {
                account: of.clone(),
                paid,
            });
        }
        Ok(())
    }

    /// Changes the vault if it covers its initial margin afterwards, or its risk fell, and it owes no more cash than before.
    fn within_vault_limits(
        vault: &mut MarginAccount,
        view: &RiskView,
        change: impl FnOnce(&mut MarginAccount) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let (before, cash) = (T::Risk::assess_held(vault, view)?, vault.cash);
        change(vault)?;
        let after = T::Risk::assess_held(vault, view)?;
        ensure!(passes_check(&before, &after), Refusal::Margin);
        ensure!(vault.cash >= cash.min(0), Refusal::Cash);
        Ok(())
    }

    /// What the vault may lose in a market within the window of `block`, in quantums.
    pub fn loss_cap(market: MarketId, block: BlockNumber) -> Cash {
        LossCaps::<T>::get(market).map_or_else(T::DefaultLossCap::get, |cap| cap.at(block))
    }

    /// What the vault lost in a market in the window of `block`, in quantums.
    pub fn vault_loss(market: MarketId, block: BlockNumber) -> Cash {
        let counted = VaultLosses::<T>::get(market);
        if counted.window == Self::loss_window(block) {
            counted.loss
        } else {
            0
        }
    }

    fn loss_window(block: BlockNumber) -> BlockNumber {
        block.checked_div(T::LossWindow::get()).unwrap_or(0)
    }

    /// Counts what the moves of marks and funding did to the vault's positions.
    pub(crate) fn count_vault_loss(
        vault: Option<&MarginAccount>,
        before: &RiskView,
        now: &RiskView,
    ) {
        for position in vault.iter().flat_map(|vault| &vault.positions) {
            Self::add_vault_loss(position.market, moved(position, before, now), now.block);
        }
    }

    /// Counts what the vault lost in a market in a block, in quantums; below zero, gained.
    pub(crate) fn add_vault_loss(
        market: MarketId,
        lost: Result<Cash, RiskError>,
        block: BlockNumber,
    ) {
        let earlier = Self::vault_loss(market, block);
        match lost.and_then(|lost| Ok(add(earlier, lost)?)) {
            Ok(sum) => {
                let counted = VaultLoss {
                    window: Self::loss_window(block),
                    loss: sum.max(0),
                };
                if counted != VaultLosses::<T>::get(market) {
                    VaultLosses::<T>::insert(market, counted);
                }
            }
            Err(error) => {
                log::error!(target: crate::LOG, "the vault's loss is unknown: {error:?}")
            }
        }
    }
}

/// What a position lost between two views, in quantums; below zero, gained.
fn moved(position: &Position, before: &RiskView, now: &RiskView) -> Result<Cash, RiskError> {
    let (Ok(old), new) = (before.market(position.market), now.market(position.market)?) else {
        return Ok(0);
    };
    let value = |mark| position_value_floor(position.lots, mark, new.lot_size);
    let lost = sub(value(old.mark)?, value(new.mark)?)?;
    let since = Position {
        funding_index: old.funding_index_of(position.lots),
        ..*position
    };
    Ok(add(lost, funding_owed_ceil(&since, new)?)?)
}
