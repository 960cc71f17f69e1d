//! A hundred thousand accounts with leveraged cross-margin positions in five markets, written by native code through the ledger,
//! so that every index holds them.
//!
//! They come in fives: three are long, two take the other side, so that every market is flat. Longs have between one and ten times
//! their equity in one to three markets; shorts half theirs. Equity is spread evenly over its logarithm.

use crate::world::{secret, MARK};
use frame_support::traits::fungibles::Mutate as _;
use novate_risk::Linear;
use novate_runtime::{
    configs::exchange::{InsuranceFund, Vault, USDC},
    AccountId, Assets, Clearing, Liquidation, Margin, Runtime, System,
};
use novate_types::{
    AccountRef, AssetId, Cash, CurrentView, Ledger, LedgerError, MarginAccount, MarketId, Position,
    RiskModel, SignedLots, QUANTUMS,
};
use pallet_margin::Accounts;

/// Markets they trade in.
pub const MARKETS: u16 = 5;
/// Quantums per lot and tick of each of them.
const TICK_VALUE: Cash = 50;
/// Accounts of a group.
const GROUP: u32 = 5;
/// Added to the insurance fund and put into the vault, in USD.
const FUND: Cash = 2_000_000;
const VAULT: Cash = 5_000_000;

/// SplitMix64 (Steele, Lea and Flood 2014).
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Between zero and one.
    pub fn part(&mut self) -> f64 {
        self.below(1 << 32) as f64 / (1u64 << 32) as f64
    }
}

/// One of them.
pub fn member(number: u32) -> AccountRef<AccountId> {
    AccountRef::new(AccountId::from(secret("crowd", number)), 0)
}

/// What an account holds: by market, lots and their cost.
pub type Held = Vec<(MarketId, SignedLots, Cash)>;

fn long(random: &mut Random, equity: f64) -> Held {
    let leverage = 1.0 + 9.0 * random.part();
    let markets = 1 + random.below(3);
    let first = random.below(u64::from(MARKETS));
    (0..markets)
        .map(|n| {
            let market = ((first + n) % u64::from(MARKETS)) as MarketId;
            // Up to 3 % from where the market is now.
            let ticks = MARK as i64 + random.below(2_401) as i64 - 1_200;
            let each = ticks as f64 * TICK_VALUE as f64 / QUANTUMS as f64;
            let lots = (equity * leverage / markets as f64 / each).max(1.0) as SignedLots;
            (
                market,
                lots,
                Cash::from(lots) * Cash::from(ticks) * TICK_VALUE,
            )
        })
        .collect()
}

/// The other side of all of these.
fn opposite(of: &[&Held]) -> Held {
    let mut held = Held::new();
    for (market, lots, cost) in of.iter().copied().flatten() {
        match held.iter_mut().find(|(known, ..)| known == market) {
            Some((_, all, paid)) => {
                *all -= lots;
                *paid -= cost;
            }
            None => held.push((*market, -lots, -cost)),
        }
    }
    held.sort_unstable();
    held
}

fn worth(held: &Held) -> Cash {
    held.iter().map(|(_, _, cost)| cost.abs()).sum()
}

/// Opens the accounts of groups `from` to before `to`. Runs natively, where markets have a price.
pub fn seed(from: u32, to: u32) {
    let view = Clearing::view();
    let mut deposited = 0;
    for group in from..to {
        let mut random = Random(u64::from(group) * 7_919 + 1);
        let mut members: Vec<(Cash, Held)> = Vec::new();
        for _ in 0..3 {
            let equity = 50.0 * 100f64.powf(random.part());
            members.push((
                (equity * QUANTUMS as f64) as Cash,
                long(&mut random, equity),
            ));
        }
        let [a, b, c] = [&members[0].1, &members[1].1, &members[2].1];
        for held in [opposite(&[a, b]), opposite(&[c])] {
            members.push((worth(&held) * 2, held));
        }
        for (number, (cash, held)) in (group * GROUP..).zip(members) {
            deposited += cash;
            open(&member(number), &view, cash, &held, &[]);
        }
    }
    credit(USDC, deposited);
    System::reset_events();
}

/// Groups of so many accounts.
pub fn groups(accounts: u32) -> u32 {
    accounts / GROUP
}

/// Cash for fund and vault. Runs natively.
pub fn back() {
    let view = Clearing::view();
    for (of, dollars) in [(InsuranceFund::get(), FUND), (Vault::get(), VAULT)] {
        open(&of, &view, dollars * QUANTUMS, &Held::new(), &[]);
        credit(USDC, dollars * QUANTUMS);
    }
}

/// Opens an account, or adds to one. Where the assets come from is [`credit`]'s. Runs natively.
pub fn open(
    of: &AccountRef<AccountId>,
    view: &novate_types::RiskView,
    cash: Cash,
    held: &Held,
    collateral: &[(AssetId, u128)],
) {
    let opened = Margin::settle(of, view, true, |account: &mut MarginAccount| {
        account.cash += cash;
        for (market, lots, cost) in held {
            let position = Position {
                market: *market,
                lots: *lots,
                cost: *cost,
                funding_index: view.market(*market)?.funding_index_of(*lots),
                rank: Default::default(),
            };
            let full = |_| LedgerError::Risk(novate_types::RiskError::Full);
            account.positions.try_push(position).map_err(full)?;
        }
        account.positions.sort_by_key(|p| p.market);
        for asset in collateral {
            let full = |_| LedgerError::Risk(novate_types::RiskError::Full);
            account.collateral.try_push(*asset).map_err(full)?;
        }
        Ok::<_, LedgerError>(())
    });
    opened.expect("the ledger takes it");
}

/// What the accounts' assets come from: custody holds as much.
pub fn credit(asset: AssetId, amount: Cash) {
    let giver = member(u32::MAX).owner;
    let amount = amount.unsigned_abs();
    Assets::mint_into(asset, &giver, amount + 1).expect("the asset exists");
    Margin::take_into_custody(&giver, asset, amount).expect("the giver has it");
}

/// What a look at every account finds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scan {
    /// Accounts.
    pub accounts: usize,
    /// Of them, below maintenance margin.
    pub below: usize,
    /// Of them, with less than nothing.
    pub bankrupt: usize,
    /// What these lack, in quantums.
    pub deficit: Cash,
    /// Lots that they hold, either way.
    pub bankrupt_lots: u64,
    /// What stands uncovered, in quantums.
    pub uncovered: Cash,
}

/// Looks at every account. Runs natively.
pub fn scan() -> Scan {
    let view = Clearing::view();
    let mut scan = Scan {
        uncovered: pallet_liquidation::UncoveredDeficit::<Runtime>::get(),
        ..Scan::default()
    };
    for account in Accounts::<Runtime>::iter_values() {
        let assessed = Linear::assess(&account, &view).expect("every account can be assessed");
        scan.accounts += 1;
        scan.below += usize::from(assessed.is_below_maintenance());
        if assessed.equity < 0 {
            scan.bankrupt += 1;
            scan.deficit -= assessed.equity;
            let lots = account.positions.iter().map(|p| p.lots.unsigned_abs());
            scan.bankrupt_lots += lots.sum::<u64>();
        }
    }
    scan
}

/// Whether the books balance, and the indices with them. Runs natively.
pub fn check() -> Result<(), String> {
    let sums = Margin::conservation().map_err(|why| format!("{why:?}"))?;
    if !sums.holds() {
        return Err(format!("{sums:?}"));
    }
    Liquidation::do_try_state().map_err(|why| format!("{why:?}"))
}
