//! Parameters of the portfolio model as governance sets them: scheduled, and taken up by the close that is due.

use crate::{Config, Error, Event, NextPortfolioRules, Pallet, PortfolioRules};
use alloc::boxed::Box;
use frame_support::{ensure, traits::Get};
use novate_risk::portfolio::PortfolioParams;
use novate_types::{BlockNumber, Liquidations};
use sp_runtime::DispatchResult;

impl<T: Config> Pallet<T> {
    /// Schedules parameters, or cancels those that are scheduled.
    pub(crate) fn schedule_rules(params: Option<Box<PortfolioParams>>) -> DispatchResult {
        let Some(params) = params else {
            let cancelled = NextPortfolioRules::<T>::take();
            ensure!(cancelled.is_some(), Error::<T>::NothingToChange);
            Self::deposit_event(Event::PortfolioRulesCancelled);
            return Ok(());
        };
        let scenarios = u32::try_from(params.grid.scenarios.len()).unwrap_or(u32::MAX);
        ensure!(
            scenarios <= T::MaxScenarios::get(),
            Error::<T>::TooManyScenarios
        );
        let is_sound = params.validate().is_ok() && params.is_plausible();
        ensure!(is_sound, Error::<T>::UnsoundRules);
        let now = PortfolioRules::<T>::get();
        ensure!(*params != now, Error::<T>::NothingToChange);
        let (block, _) = Self::now();
        let due = block.saturating_add(T::Timelock::get());
        NextPortfolioRules::<T>::put((&*params, due));
        Self::deposit_event(Event::PortfolioRulesScheduled {
            old_value: Box::new(now),
            new_value: params,
            due,
        });
        Ok(())
    }

    /// Takes up what is due, before anything is priced with it.
    pub(crate) fn take_up_rules(block: BlockNumber) {
        let Some((params, _)) = NextPortfolioRules::<T>::get().filter(|(_, due)| *due <= block)
        else {
            return;
        };
        NextPortfolioRules::<T>::kill();
        PortfolioRules::<T>::put(params);
        T::Liquidations::rules_changed();
        Self::deposit_event(Event::PortfolioRulesChanged);
    }
}
