//! What a default comes to: what each account is worth after a block is what it was, at the same marks, and what the block's events say that it was paid.

use super::*;
use novate_runtime::configs::exchange::RiskRules;
use novate_types::{math::position_value_floor, SignedLots};
use pallet_liquidation::Event as Liquidated;
use std::collections::BTreeMap;

/// What the remedies came to, over all blocks.
#[derive(Clone, Debug, Default)]
pub struct Losses {
    /// What accounts lacked when the first of these blocks found them.
    pub found: Cash,
    /// What they lacked, as each block's close found them less as it left them.
    pub made_good: Cash,
    /// Paid to them by the insurance fund.
    pub insured: Cash,
    /// Paid to them by counterparties, who sold below the mark or bought above it.
    pub deleveraged: Cash,
    /// Shared among those across.
    pub shared: Cash,
    /// What of these they did not lack: slices are rounded in their favour.
    pub rounded: Cash,
    /// What counterparties would have had at the mark. Of accounts that were worth something they kept it.
    pub borne: Cash,
    /// What accounts gave that were worth something and that nobody but counterparties took.
    pub given: Cash,
    /// Lots closed against counterparties, in so many slices.
    pub lots: u64,
    pub slices: u32,
    /// Lots that the vault took over, and what came with them.
    pub taken: u64,
    pub taken_equity: Cash,
    /// Accounts whose remedies began, that went to the vault, that were closed against counterparties and that the fund paid for.
    pub started: u32,
    pub taken_over: u32,
    pub closed: u32,
    pub topped_up: u32,
    pub blocks: u32,
}

/// What a block's events say of an account.
#[derive(Debug, Default)]
struct Told {
    insured: Cash,
    shared: Cash,
    /// For what was closed of it against somebody else; below zero, paid.
    received: Cash,
    lots: BTreeMap<MarketId, Lots>,
    slices: u32,
    /// What went to the vault with all that it held.
    taken: Option<Cash>,
}

impl Told {
    /// What it received for what was closed, beyond what that was worth at the mark.
    fn beyond_mark(&self, before: &MarginAccount, view: &RiskView) -> Cash {
        let gained = self.lots.iter().map(|(market, lots)| {
            let held = before.lots(*market);
            let left = held - held.signum() * *lots as SignedLots;
            let market = view.market(*market).expect("it is listed");
            let worth =
                |lots| position_value_floor(lots, market.mark, market.lot_size).expect("in range");
            worth(left) - worth(held)
        });
        self.received + gained.sum::<Cash>()
    }
}

/// By account, what this block's events say.
fn told() -> BTreeMap<Account, Told> {
    let mut told = BTreeMap::<Account, Told>::new();
    for event in liquidations() {
        match event {
            Liquidated::InsurancePaid { account, paid, .. } => {
                told.entry(account).or_default().insured += paid
            }
            Liquidated::LossShared { account, loss, .. } => {
                told.entry(account).or_default().shared += loss
            }
            Liquidated::Deleveraged {
                account,
                counterparty,
                market,
                lots,
                value,
            } => {
                for (of, received) in [(account, -value), (counterparty, value)] {
                    let told = told.entry(of).or_default();
                    told.received += received;
                    *told.lots.entry(market).or_default() += lots;
                    told.slices += 1;
                }
            }
            Liquidated::TakenOver {
                account, equity, ..
            } => told.entry(account).or_default().taken = Some(equity),
            _ => (),
        }
    }
    told
}

/// What an account is worth at the view of the last close.
fn equity(account: &MarginAccount) -> Cash {
    RiskRules::assess(account, &view())
        .expect("the account can be assessed")
        .equity
}

/// What it lacks.
fn deficit(account: &MarginAccount) -> Cash {
    (-equity(account)).max(0)
}

/// Accounts in need of remedies.
pub fn queued() -> u32 {
    pallet_liquidation::Queue::<Runtime>::count()
}

impl Losses {
    /// Makes a block in which nothing happens but the remedies of `of`, which the fund, the vault and those `across` may pay for. What each account is worth
    /// after it is accounted for to the quantum, on either side.
    pub fn account_for(&mut self, of: &[Account], across: &[Account], block: impl FnOnce()) {
        let before: BTreeMap<_, _> = accounts().into_iter().collect();
        let funded = insurance();
        block();
        assert!(fills().is_empty(), "somebody trades");
        let after: BTreeMap<_, _> = accounts().into_iter().collect();
        let (view, mut told) = (view(), told());
        let (mut insured, mut taken_equity, mut options) = (0, 0, 0);

        for who in of {
            let (before, told) = (&before[who], told.remove(who).unwrap_or_default());
            let (was, is) = (equity(before), equity(&after[who]));
            let closing = told.beyond_mark(before, &view);
            let paid = told.insured + told.shared + closing;
            let left = told.taken.unwrap_or(0);
            assert_eq!(is, was + paid - left, "{who:?}: {told:?}");
            if self.blocks == 0 {
                self.found += deficit(before);
            }
            if was < 0 {
                self.made_good += deficit(before) - deficit(&after[who]);
                self.deleveraged += closing;
                let beyond = (was + paid).max(0);
                assert!(beyond <= told.slices.into(), "{who:?}: {beyond} too much");
                self.rounded += beyond;
            } else {
                assert_eq!((told.insured, told.shared), (0, 0), "{who:?}");
                self.given -= closing;
            }
            insured += told.insured;
            self.shared += told.shared;
            let closed: Lots = told.lots.values().sum();
            self.lots += closed;
            self.slices += told.slices;
            self.closed += u32::from(told.slices > 0);
            self.topped_up += u32::from(told.insured > 0);
            if told.taken.is_some() {
                let held = before.positions.iter();
                self.taken += held.map(|p| p.lots.unsigned_abs()).sum::<u64>() - closed;
                self.taken_over += 1;
                taken_equity += left;
                let is_option = |p: &&novate_types::Position| {
                    let market = view.market(p.market).expect("it is listed");
                    market.contract.kind.is_option()
                };
                options += before.positions.iter().filter(is_option).count() as Cash;
            }
        }
        for who in across {
            let (before, told) = (&before[who], told.remove(who).unwrap_or_default());
            let lost = equity(before) - equity(&after[who]);
            assert_eq!(lost, -told.beyond_mark(before, &view), "{who:?}: {told:?}");
            self.borne += lost;
        }
        // Nobody else was paid, the fund paid what it says, and the vault is worth more by what it took, options valued together.
        assert!(told.is_empty(), "{told:?}");
        assert_eq!(funded - insurance(), insured);
        let gained = equity(&after[&vault()]) - equity(&before[&vault()]) - taken_equity;
        assert!((0..=options).contains(&gained), "the vault gained {gained}");
        self.insured += insured;
        self.taken_equity += taken_equity;
        let started =
            |event: &Liquidated<Runtime>| matches!(event, Liquidated::LiquidationStarted { .. });
        self.started += liquidations().iter().filter(|event| started(event)).count() as u32;
        self.blocks += 1;
        equalities();
    }

    /// Every quantum that accounts lacked was a remedy's, and nothing stands uncovered.
    pub fn are_covered(&self) {
        let paid = self.insured + self.deleveraged + self.shared;
        assert_eq!(self.made_good + self.rounded, paid, "{self:?}");
        // What those across gave up and did not keep is what accounts received, valued slice by slice.
        let rounding = self.deleveraged - self.given - self.borne;
        assert!(rounding.abs() <= 2 * Cash::from(self.slices), "{self:?}");
        assert_eq!(pallet_liquidation::UncoveredDeficit::<Runtime>::get(), 0);
    }
}
