//! A hundred thousand accounts with leveraged cross-margin positions in five markets, written by native code through the ledger,
//! so that every index holds them.
//!
//! They come in fives: three are long, two take the other side, so that every market is flat. Longs have between one and ten times
//! their equity in one to three markets; shorts half theirs. Equity is spread evenly over its logarithm.
//!
//! Where options are listed a tenth of them hold some: one of the longs of every fourth group has sold a put and a call, each on a quarter to all of
//! its equity, and one of the shorts has bought them.

use crate::world::{secret, MARK};
use frame_support::traits::fungibles::Mutate as _;
use novate_runtime::{
    configs::exchange::{InsuranceFund, RiskRules, Vault, BTC_FEED, USDC},
    AccountId, Assets, Clearing, Instruments, Liquidation, Margin, Runtime, System,
};
use novate_types::{
    symbol::symbol_of, AccountRef, AssetId, Cash, CurrentView, InstrumentKind, Ledger, LedgerError,
    MarginAccount, MarketId, MarketView, Millis, OptionRight, Position, Price, RiskModel, RiskTier,
    RiskView, SignedLots, TierId, QUANTUMS,
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

/// Days until the options expire, and their strikes in thousands of USD: puts up to where the market is, calls from there.
const DAYS: [Millis; 2] = [7, 28];
const PUTS: [u64; 3] = [16, 18, 20];
const CALLS: [u64; 3] = [20, 22, 24];
/// Their tier.
const TIER: TierId = 7;

/// Expiries of the options on a chain whose time is `now`.
pub fn expiries(now: Millis) -> [Millis; 2] {
    DAYS.map(|days| now + days * 86_400_000)
}

/// Lists the options. Runs natively.
pub fn list(now: Millis) {
    let listed = pallet_instruments::Instruments::<Runtime>::get(0);
    let mut params = listed.expect("the preset lists a market").params;
    let root = || frame_system::RawOrigin::Root.into();
    // Options' own: 15 and 10 %.
    let tier = pallet_instruments::Tiers::<Runtime>::get(params.tier).expect("it is the market's");
    params.tier = TIER;
    let tier = RiskTier {
        imf: 150_000,
        mmf: 100_000,
        ..tier
    };
    Instruments::add_tier(root(), TIER, tier).expect("the tier is in order");
    let (tick_size, lot_size) = (Price::from_u32(1), Price::from_rational(1, 1_000));
    let puts = PUTS.map(|strike| (strike, OptionRight::Put));
    let calls = CALLS.map(|strike| (strike, OptionRight::Call));
    for expiry in expiries(now) {
        for (thousands, right) in puts.into_iter().chain(calls) {
            let kind = InstrumentKind::Option {
                expiry,
                strike: thousands * 1_000,
                right,
            };
            let symbol = symbol_of("BTC", &kind, tick_size).expect("a strike like any");
            let symbol = symbol.expect("a short name");
            Instruments::list_market(root(), symbol, kind, BTC_FEED, tick_size, lot_size, params)
                .expect("the option is in order");
        }
    }
    System::reset_events();
}

/// A put and a call that somebody with such equity sells: each on a quarter to all of it.
fn sold(random: &mut Random, view: &RiskView, equity: f64) -> Vec<(MarketId, SignedLots, Cash)> {
    let options = |right| {
        let is_it = move |market: &&MarketView| market.contract.kind.right() == Some(right);
        view.markets.iter().filter(is_it).collect::<Vec<_>>()
    };
    let mut all = Vec::new();
    for of in [options(OptionRight::Put), options(OptionRight::Call)] {
        if of.is_empty() {
            continue;
        }
        let market = of[random.below(of.len() as u64) as usize];
        let part = 0.25 + 0.75 * random.part();
        let lot = market.index.to_float() * market.lot_size.to_float();
        let lots = (equity * part / lot).max(1.0) as SignedLots;
        let ticks = market.mark.into_inner() / market.tick_size.into_inner();
        let premium = ticks as Cash * Cash::from(market.tick_value) * Cash::from(lots);
        all.push((market.id, lots, premium));
    }
    all
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
        if group % 4 == 0 {
            let equity = members[0].0 as f64 / QUANTUMS as f64;
            for (market, lots, premium) in sold(&mut random, &view, equity) {
                for (member, lots, paid) in [(0, -lots, -premium), (3, lots, premium)] {
                    // An option's premium moves in cash: it has no cost.
                    members[member].1.push((market, lots, 0));
                    members[member].0 -= paid;
                }
            }
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
        let assessed = RiskRules::assess(&account, &view).expect("every account can be assessed");
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

/// How many accounts hold options, how many of these a scan margins, and whether all options have a mark. Runs natively.
pub fn options() -> (usize, usize, bool) {
    let view = Clearing::view();
    let is_option = |p: &Position| {
        let market = view.market(p.market);
        market.is_ok_and(|market| market.contract.kind.is_option())
    };
    let holders: Vec<_> = Accounts::<Runtime>::iter_values()
        .filter(|account| account.positions.iter().any(is_option))
        .collect();
    let scanned = holders.iter().filter(|account| {
        RiskRules::assess_held(account, &view).is_ok_and(|found| found.scanned != 0)
    });
    let options = view.markets.iter();
    let mut options = options.filter(|market| market.contract.kind.is_option());
    let marked = options.all(|market| market.mark > Price::default());
    (holders.len(), scanned.count(), marked)
}

/// Whether the books balance, and the indices with them. Runs natively.
pub fn check() -> Result<(), String> {
    let sums = Margin::conservation().map_err(|why| format!("{why:?}"))?;
    if !sums.holds() {
        return Err(format!("{sums:?}"));
    }
    Liquidation::do_try_state().map_err(|why| format!("{why:?}"))
}
