//! Who is in a replay: two thousand accounts with positions drawn from a distribution, the vault and the fund, and makers.
//!
//! | | drawn |
//! |---|---|
//! | equity | 100 to 50,000 USD, evenly over its logarithm |
//! | leverage | log-normal with median 5 and a spread of e^0.7, cut to between 0.5 and 18 |
//! | markets | one in seven of ten cases, else all, in equal parts |
//! | side | long in 65 of 100 |
//! | entry | evenly up to 2 % from the first mark; equity at the first mark is as drawn |
//! | margin | three of ten hold half of it in the other stablecoin, which counts less its haircut; the others cash only |
//!
//! One in a hundred takes, in equal parts, the other side of what the rest leaves open, without leverage: whoever holds the underlying against
//! it. So every market is flat.

use super::books::Books;
use crate::{
    crowd::{self, Random},
    traders::{submit, Traders},
};
use anyhow::{anyhow, ensure, Result};
use novate_runtime::{
    configs::exchange::{InsuranceFund, Vault, USDC, USDT},
    AccountId, RuntimeCall,
};
use novate_types::{
    math, AccountRef, AssetId, Cash, CurrentView, MarketId, MarketStatus, MarketView, Millis,
    NewOrder, Operation, RiskView, Side, SignedLots, Ticks, TimeInForce, MILLION, QUANTUMS,
};
use std::collections::{BTreeMap, VecDeque};

/// Of so many accounts one takes the other side of the others.
const HEDGER_OF: u32 = 100;
const LEVERAGE: (f64, f64) = (0.5, 18.0);
/// Of the equity of those who hold collateral.
const COLLATERAL_PART: f64 = 0.5;

/// An account to be opened.
#[derive(Clone, Debug, Default)]
struct Member {
    cash: Cash,
    held: Vec<(MarketId, SignedLots, Cash)>,
    collateral: Option<(AssetId, u128)>,
}

/// Opens `accounts`, and puts USD into fund and vault. Runs natively, where markets have a price.
pub fn populate(seed: u64, accounts: u32, insurance: u64, vault: u64) -> Result<()> {
    let view = novate_runtime::Clearing::view();
    ensure!(
        view.markets.iter().all(|market| market.fresh) && !view.markets.is_empty(),
        "the markets have no price yet"
    );
    let members = draw(&mut Random(seed), accounts, &view)?;
    let (mut deposited, mut collateral) = (0, 0);
    for (number, member) in (0..).zip(&members) {
        let costs: Cash = member.held.iter().map(|(_, _, cost)| cost).sum();
        deposited += member.cash - costs;
        collateral += member.collateral.map_or(0, |(_, amount)| amount);
        let assets: Vec<_> = member.collateral.into_iter().collect();
        crowd::open(
            &crowd::member(number),
            &view,
            member.cash,
            &member.held,
            &assets,
        );
    }
    for (of, dollars) in [(InsuranceFund::get(), insurance), (Vault::get(), vault)] {
        let cash = Cash::from(dollars) * QUANTUMS;
        deposited += cash;
        crowd::open(&of, &view, cash, &Vec::new(), &[]);
    }
    crowd::credit(USDC, deposited);
    crowd::credit(USDT, Cash::try_from(collateral)?);
    novate_runtime::System::reset_events();
    Ok(())
}

/// From a standard normal distribution (Box and Muller 1958).
fn normal(random: &mut Random) -> f64 {
    let (radius, angle) = (1.0 - random.part(), random.part());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// USD of a market's lot at its mark.
fn lot_worth(market: &MarketView) -> f64 {
    let ticks = market.mark.into_inner() as f64 / market.tick_size.into_inner() as f64;
    ticks * market.tick_value as f64 / QUANTUMS as f64
}

fn draw(random: &mut Random, accounts: u32, view: &RiskView) -> Result<Vec<Member>> {
    let hedgers = (accounts / HEDGER_OF).max(1);
    let mut open: BTreeMap<MarketId, SignedLots> = BTreeMap::new();
    let mut members = Vec::new();
    for _ in hedgers..accounts {
        let member = leveraged(random, view)?;
        for (market, lots, _) in &member.held {
            *open.entry(*market).or_default() += lots;
        }
        members.push(member);
    }
    for number in 0..hedgers {
        let mut hedger = Member::default();
        for market in &view.markets {
            let all = -open.get(&market.id).copied().unwrap_or(0);
            let part = |n: u32| all * SignedLots::from(n) / SignedLots::from(hedgers);
            let lots = part(number + 1) - part(number);
            if lots != 0 {
                let cost = value(lots, market)?;
                // As much cash as the position is worth, and equity is that.
                hedger.cash += cost.abs();
                hedger.held.push((market.id, lots, cost));
            }
        }
        members.push(hedger);
    }
    Ok(members)
}

fn value(lots: SignedLots, market: &MarketView) -> Result<Cash> {
    math::position_value_floor(lots, market.mark, market.lot_size).map_err(|why| anyhow!("{why:?}"))
}

fn leveraged(random: &mut Random, view: &RiskView) -> Result<Member> {
    let equity = 100.0 * 500f64.powf(random.part());
    let leverage = (5f64.ln() + 0.7 * normal(random)).exp();
    let leverage = leverage.clamp(LEVERAGE.0, LEVERAGE.1);
    let many = random.below(10) >= 7;
    let chosen = random.below(view.markets.len() as u64) as usize;
    let side = if random.below(100) < 65 { 1 } else { -1 };
    let with_collateral = random.below(10) < 3;
    let markets: Vec<&MarketView> = match many {
        true => view.markets.iter().collect(),
        false => view.markets.iter().skip(chosen).take(1).collect(),
    };
    let mut member = Member {
        cash: (equity * QUANTUMS as f64) as Cash,
        ..Member::default()
    };
    for market in &markets {
        let part = equity * leverage / markets.len() as f64 / lot_worth(market);
        let lots = side * part.max(1.0) as SignedLots;
        let now = value(lots, market)?;
        let entry = 1.0 + (random.part() - 0.5) * 0.04;
        let cost = if with_collateral {
            now
        } else {
            (now as f64 * entry) as Cash
        };
        // What the position gained since it was entered is not in cash.
        member.cash += cost - now;
        member.held.push((market.id, lots, cost));
    }
    if with_collateral {
        let usdt = view.collateral(USDT).map_err(|why| anyhow!("{why:?}"))?;
        ensure!(usdt.fresh, "the collateral has no price yet");
        let haircut = f64::from(usdt.params.haircut) / f64::from(MILLION);
        let price = usdt.price.into_inner() as f64 / 1e18;
        let worth = equity * COLLATERAL_PART;
        let units = worth / (price * (1.0 - haircut)) * 1e6;
        member.collateral = Some((USDT, units as u128));
        member.cash -= (worth * QUANTUMS as f64) as Cash;
    }
    Ok(member)
}

/// How many make markets.
pub const MAKERS: u32 = 8;
/// USD that each begins with.
const CAPITAL: u64 = 500_000;
/// Blocks from one look of a maker at the market to its next.
const LOOKS: u32 = 3;
/// Distances of a side's orders from the mark, in half-spreads.
const LEVELS: [f64; 4] = [1.0, 1.5, 2.5, 4.0];
/// USD of an order in a calm market.
const SIZE: f64 = 20_000.0;
/// The half-spread of a calm market.
const HALF_SPREAD: f64 = 2e-4;
/// Part of the last minute's range that the half-spread is at least.
const WIDENS: f64 = 0.05;
/// The last minute's range at which orders are half as large.
const THINS: f64 = 0.003;
/// The last minute's range at which the first maker leaves, and how much more the next bears.
const LEAVES: (f64, f64) = (0.006, 0.002);
/// A position of so many times the capital in one market takes no more of that side.
const MOST: f64 = 2.0;
const MINUTE: Millis = 60_000;

/// One market as makers saw it over the last minute.
#[derive(Default)]
struct Seen(VecDeque<(Millis, f64)>);

impl Seen {
    fn note(&mut self, now: Millis, price: f64) {
        self.0.push_back((now, price));
        while self.0.front().is_some_and(|(then, _)| then + MINUTE < now) {
            self.0.pop_front();
        }
    }

    /// From the lowest to the highest, relative to the last.
    fn range(&self) -> f64 {
        let (mut low, mut high) = (f64::MAX, 0.0f64);
        for (_, price) in &self.0 {
            (low, high) = (low.min(*price), high.max(*price));
        }
        self.0.back().map_or(0.0, |(_, last)| (high - low) / last)
    }
}

/// How far the makers' opinions of the price lie from the index after a halt, the lowest below and the highest above it.
const OPINIONS: f64 = 0.005;
/// Age up to which a price is fresh.
const FRESH: Millis = 6_000;

/// What a maker has in a market.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Quotes {
    /// Nothing, because it is not worth the risk.
    Away,
    /// An order on either side of what it thinks the price is, for a market that reopens.
    Opinion,
    /// Orders around a mark with a half-spread, on a position.
    Around(f64, f64, SignedLots),
}

/// All makers: they quote around the mark, wider and thinner as the last minute's range grows; leave one after the other beyond a range of
/// their own, and come back at half of it. A market that reopens has one order on either side of each of them, around prices on which they
/// do not agree.
pub struct Makers {
    traders: Traders,
    seen: BTreeMap<MarketId, Seen>,
    quotes: BTreeMap<(usize, MarketId), Quotes>,
}

impl Makers {
    /// They, on the chain that begins with `genesis`.
    pub fn new(genesis: novate_runtime::Hash) -> Self {
        Self {
            traders: Traders::new("maker", MAKERS, genesis),
            seen: BTreeMap::new(),
            quotes: BTreeMap::new(),
        }
    }

    /// Gives them their capital. Runs natively.
    pub fn fund(&self) {
        self.traders.fund(CAPITAL);
    }

    /// How many quote in a market.
    pub fn present(&self, market: MarketId) -> usize {
        let quotes = self.quotes.iter();
        quotes
            .filter(|((_, of), quotes)| *of == market && **quotes != Quotes::Away)
            .count()
    }

    /// Lets them see what a block made of prices.
    pub fn watch(&mut self, view: &RiskView) {
        for market in &view.markets {
            let ticks = market.index.into_inner() as f64 / market.tick_size.into_inner() as f64;
            let seen = self.seen.entry(market.id).or_default();
            seen.note(view.now, ticks);
        }
    }

    /// What those whose turn it is send after a block.
    pub fn act(&mut self, view: &RiskView, books: &Books) -> VecDeque<sp_runtime::OpaqueExtrinsic> {
        let mut calls: Vec<(usize, RuntimeCall)> = Vec::new();
        for number in 0..self.traders.all.len() {
            if (view.block + number as u32) % LOOKS != 0 {
                continue;
            }
            let operations: Vec<Operation> = view
                .markets
                .iter()
                .flat_map(|market| self.requote(number, market, view.now, books))
                .collect();
            if !operations.is_empty() {
                calls.push((number, submit(operations)));
            }
        }
        self.traders.sign(calls)
    }

    fn opinion(&mut self, number: usize, market: &MarketView) -> Vec<Operation> {
        let index = market.index.into_inner() as f64 / market.tick_size.into_inner() as f64;
        let place = 2.0 * number as f64 / f64::from(MAKERS - 1) - 1.0;
        let lots = (SIZE / lot_worth(market)).max(1.0) as u64;
        let sides = [(Side::Bid, -1.0), (Side::Ask, 1.0)];
        let orders = sides.map(|(side, sign)| {
            let ticks = index * (1.0 + OPINIONS * place + sign * OPINIONS / 4.0);
            let order = self.traders.all[number].order(market.id, side, lots, ticks as Ticks);
            Operation::Place(order)
        });
        let cancel = Operation::CancelAll {
            market: Some(market.id),
        };
        [cancel].into_iter().chain(orders).collect()
    }

    fn requote(
        &mut self,
        number: usize,
        market: &MarketView,
        now: Millis,
        books: &Books,
    ) -> Vec<Operation> {
        let of: AccountRef<AccountId> = self.traders.all[number].margin();
        let lots = books
            .account(&of)
            .map_or(0, |account| account.lots(market.id));
        let key = (number, market.id);
        let before = self.quotes.get(&key).copied().unwrap_or(Quotes::Away);
        let is_priced = now.saturating_sub(market.observed_at) <= FRESH;
        let is_called = !market.fresh || market.is_in_auction();
        if market.status == MarketStatus::Open && is_priced && is_called {
            self.quotes.insert(key, Quotes::Opinion);
            return match before {
                Quotes::Opinion => vec![],
                _ => self.opinion(number, market),
            };
        }
        let range = self.seen.get(&market.id).map_or(0.0, Seen::range);
        let bears = LEAVES.0 + LEAVES.1 * number as f64;
        let bears = if before == Quotes::Away {
            bears / 2.0
        } else {
            bears
        };
        if market.status != MarketStatus::Open || !market.fresh || range > bears {
            self.quotes.insert(key, Quotes::Away);
            let cancel = Operation::CancelAll {
                market: Some(market.id),
            };
            return if before == Quotes::Away {
                vec![]
            } else {
                vec![cancel]
            };
        }
        let mark = market.mark.into_inner() as f64 / market.tick_size.into_inner() as f64;
        let half = HALF_SPREAD.max(WIDENS * range);
        if let Quotes::Around(at, was, had) = before {
            let stands = (mark / at - 1.0).abs() < half / 4.0 && (half / was - 1.0).abs() < 0.2;
            if stands && had == lots {
                return vec![];
            }
        }
        self.quotes.insert(key, Quotes::Around(mark, half, lots));
        let worth = lot_worth(market);
        // Whoever is long asks for less, and bids less.
        let full = lots as f64 * worth / (CAPITAL as f64 * MOST);
        let middle = mark * (1.0 - half * full.clamp(-1.0, 1.0));
        let size = (SIZE / (1.0 + range / THINS) / worth).max(1.0) as u64;
        let mut operations = vec![Operation::CancelAll {
            market: Some(market.id),
        }];
        for level in LEVELS {
            for (side, sign) in [(Side::Bid, -1.0), (Side::Ask, 1.0)] {
                if -sign * full >= 1.0 {
                    continue;
                }
                let price = middle * (1.0 + sign * level * half);
                let ticks = if sign < 0.0 {
                    price.floor()
                } else {
                    price.ceil()
                } as Ticks;
                let order = self.traders.all[number].order(market.id, side, size, ticks);
                operations.push(Operation::Place(NewOrder {
                    time_in_force: TimeInForce::PostOnly,
                    ..order
                }));
            }
        }
        operations
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use novate_types::{CollateralParams, CollateralView, Price};
    use sp_runtime::FixedPointNumber;

    fn view() -> RiskView {
        let market = |id, mark: u128, tick, lot| MarketView {
            id,
            underlying: 0,
            status: MarketStatus::Open,
            tick_size: Price::from_inner(tick),
            lot_size: Price::from_inner(lot),
            tick_value: 50,
            mark: Price::from_inner(mark * Price::DIV),
            index: Price::from_inner(mark * Price::DIV),
            observed_at: 0,
            fresh: true,
            funding_index: 0,
            short_funding_index: 0,
            imf: 50_000,
            mmf: 30_000,
            profit_credit: 0,
            price_band: 30_000,
            min_notional: 0,
            impact_notional: 0,
            open_interest_cap: u64::MAX,
            auction_at: 0,
            contract: Default::default(),
        };
        let collateral = CollateralView {
            asset: USDT,
            price: Price::from_inner(Price::DIV),
            fresh: true,
            params: CollateralParams {
                feed: 2,
                decimals: 6,
                haircut: 50_000,
                large_value: Cash::MAX,
                large_haircut: 50_000,
                value_cap: Cash::MAX,
                global_cap: u128::MAX,
            },
        };
        let mut view = RiskView::default();
        let half = Price::DIV / 2;
        view.markets
            .try_push(market(0, 20_000, half, Price::DIV / 10_000))
            .unwrap();
        view.markets
            .try_push(market(1, 1_500, half / 10, Price::DIV / 1_000))
            .unwrap();
        view.collaterals.try_push(collateral).unwrap();
        view
    }

    #[test]
    fn drawn_accounts_leave_every_market_flat_and_are_worth_what_was_drawn() {
        use novate_risk::Linear;
        use novate_types::{MarginAccount, Position, RiskModel};
        let view = view();
        let members = draw(&mut Random(7), 500, &view).unwrap();
        assert_eq!(members.len(), 500);
        for market in [0, 1] {
            let held = members.iter().flat_map(|member| &member.held);
            let lots = held
                .filter(|(of, ..)| *of == market)
                .map(|(_, lots, _)| lots);
            assert_eq!(lots.sum::<SignedLots>(), 0);
        }
        let mut leverages = Vec::new();
        for member in &members {
            let mut account = MarginAccount {
                cash: member.cash,
                ..Default::default()
            };
            for (market, lots, cost) in &member.held {
                let position = Position {
                    market: *market,
                    lots: *lots,
                    cost: *cost,
                    funding_index: 0,
                    rank: Default::default(),
                };
                account.positions.try_push(position).unwrap();
            }
            if let Some(collateral) = member.collateral {
                account.collateral.try_push(collateral).unwrap();
            }
            let assessed = Linear::assess(&account, &view).unwrap();
            assert!(assessed.equity >= assessed.initial, "{member:?}");
            leverages.push(assessed.notional as f64 / assessed.equity as f64);
        }
        let median = crate::measure::median(&leverages);
        assert!((4.0..6.0).contains(&median), "{median}");
        assert!(leverages.iter().all(|leverage| *leverage < 18.1));
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let draw = |seed| format!("{:?}", draw(&mut Random(seed), 50, &view()).unwrap());
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn makers_see_the_last_minute() {
        let mut seen = Seen::default();
        seen.note(0, 100.0);
        seen.note(30_000, 80.0);
        seen.note(60_000, 90.0);
        assert_eq!(seen.range(), 20.0 / 90.0);
        seen.note(95_000, 100.0);
        assert_eq!(seen.range(), 10.0 / 100.0);
    }
}
