//! Takes steps on the real runtime, and says what does not hold after them.

use super::{
    faults,
    step::{
        Amount, Level, Life, Move, Op, Rule, Scene, Size, Step, Target, Terms, Who, ACTORS, FUND,
        NOBODY, VAULT,
    },
};
use crate::common::*;
use novate_risk::Linear;
use novate_runtime::{
    configs::exchange::{InsuranceFund, Vault, BTC, BTC_FEED, USDC, USDC_FEED, USDT, USDT_FEED},
    Assets, Clearing, Instruments, Liquidation, Margin, Oracle, OrderBook, Runtime, RuntimeCall,
    RuntimeEvent, System, DAYS,
};
use novate_types::{
    AssetId, Cash, CurrentView, Ledger, Loans, MarginAccount, MarketId, MarketView, NewOrder,
    NewTrigger, OpenOrder, Operation, OrderBook as _, OrderPrice, OrderTarget, Price, RiskModel,
    RiskView, SelfTradePrevention, Side, Standing, Ticks, TimeInForce, MILLION,
};
use pallet_liquidation::Event as Liquidated;
use sp_keyring::Sr25519Keyring;
use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    sync::Once,
};

/// Owners of the actors' accounts.
const OWNERS: [Sr25519Keyring; 6] = [Alice, Bob, Charlie, Dave, Eve, Ferdie];
/// The second market: the same underlying in ticks of 1 USD and lots of 0.001 BTC.
const BTC_MINI: MarketId = 1;
/// Cents of a USD in which the harness keeps prices.
const CENT: u128 = 10_000_000_000_000_000;
/// Where bitcoin begins, in cents.
const HOME: i64 = 2_000_000;

/// What a case did, so that cases that try nothing fail.
pub type Tally = BTreeMap<String, u64>;

// ---------------------------------------------------------------------------------------------------------------------
// Errors that the runtime reports
// ---------------------------------------------------------------------------------------------------------------------

thread_local! {
    static HEARD: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Hears what the runtime logs as an error: things that cannot happen.
struct Ears;

impl log::Log for Ears {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() == log::Level::Error
    }
    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let said = format!("logged by {}: {}", record.target(), record.args());
            HEARD.with(|heard| _ = heard.borrow_mut().get_or_insert(said));
        }
    }
    fn flush(&self) {}
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Ears).expect("nobody else listens");
        log::set_max_level(log::LevelFilter::Error);
    });
    HEARD.with(|heard| heard.borrow_mut().take());
}

// ---------------------------------------------------------------------------------------------------------------------
// What must hold
// ---------------------------------------------------------------------------------------------------------------------

/// The equalities, after whatever happens.
pub fn conserved() -> Result<(), String> {
    let sums = Margin::conservation().map_err(|error| format!("a sum overflows: {error:?}"))?;
    if let Some((market, sum)) = sums.lots.iter().find(|(_, sum)| *sum != 0) {
        return Err(format!("equality 1: lots of market {market} sum to {sum}"));
    }
    if sums.settlement.ledger != sums.settlement.custody {
        return Err(format!("equality 2: {:?}", sums.settlement));
    }
    if let Some((asset, sides)) = sums.collaterals.iter().find(|(_, e)| e.ledger != e.custody) {
        return Err(format!("equality 3: asset {asset}: {sides:?}"));
    }
    if sums.loans.0 != sums.loans.1 {
        return Err(format!("equality 4: {:?}", sums.loans));
    }
    Ok(())
}

/// The equalities, and what every pallet says of its own storage: that nobody below maintenance margin is missed, too.
pub fn sound() -> Result<(), String> {
    conserved()?;
    let check = |name: &str, held: Result<(), sp_runtime::TryRuntimeError>| {
        held.map_err(|error| format!("{name}: {}", <&str>::from(error)))
    };
    check("instruments", Instruments::do_try_state())?;
    check("oracle", Oracle::do_try_state())?;
    check("margin", Margin::do_try_state())?;
    check("order book", OrderBook::do_try_state())?;
    check("clearing", Clearing::do_try_state())?;
    check("liquidation", Liquidation::do_try_state())
}

// ---------------------------------------------------------------------------------------------------------------------
// The beginning
// ---------------------------------------------------------------------------------------------------------------------

thread_local! {
    static BEGINNINGS: RefCell<HashMap<Scene, TestExternalities>> = RefCell::default();
}

fn copy(chain: &TestExternalities) -> TestExternalities {
    let mut copy = TestExternalities::new_empty();
    copy.backend = chain.backend.clone();
    copy
}

/// The chain at the beginning of a scene, in the middle of a block.
fn beginning(scene: Scene) -> TestExternalities {
    BEGINNINGS.with(|known| {
        let mut known = known.borrow_mut();
        copy(known.entry(scene).or_insert_with(|| set(scene)))
    })
}

fn set(scene: Scene) -> TestExternalities {
    let mut chain = opened_at(usd(20_000));
    chain.execute_with(|| {
        block(usd(20_000), || {
            let first =
                pallet_instruments::Instruments::<Runtime>::get(BTC_PERP).expect("it is listed");
            let call = pallet_instruments::Call::list_market {
                symbol: b"BTC-MINI".to_vec().try_into().expect("a short name"),
                kind: first.kind,
                underlying: first.underlying,
                tick_size: usd(1),
                lot_size: Price::from_rational(1, 1_000),
                params: first.params,
            };
            govern(call).expect("the market is in order");
        });
        for who in OWNERS {
            block(usd(20_000), || {
                for (sub, dollars) in (0..).zip([25_000, 1_500]) {
                    deposit_into(who, sub, USDC, dollars * 1_000_000).expect("the wallet has it");
                }
                deposit_into(who, 0, USDT, 500_000_000).expect("the wallet has it");
                deposit_into(who, 0, BTC, 1_000_000).expect("the wallet has it");
            });
        }
        if scene == Scene::Crowded {
            bystanders();
        }
        blocks(2, usd(20_000));
        begin(1_000);
        observe(usd(20_000));
    });
    chain.commit_all().expect("no transaction is open");
    chain
}

fn bystanders() {
    let sides = [
        (Sr25519Keyring::EveStash, Side::Bid),
        (Sr25519Keyring::FerdieStash, Side::Ask),
    ];
    block(usd(20_000), || {
        let (to, amount) = (vault(), 200_000_000_000);
        let call = pallet_clearing::Call::deposit_for {
            to,
            asset: USDC,
            amount,
        };
        submit(Bob, call).expect("the wallet has it");
        for (who, side) in sides {
            deposit(who, 5_000_000);
            place(who, order(side, 400_000, ticks(20_000))).expect("there is margin");
            let mini = NewOrder {
                market: BTC_MINI,
                ..order(side, 40_000, 20_000)
            };
            place(who, mini).expect("there is margin");
        }
    });
    assert_eq!(held(sides[0].0).lots(BTC_PERP), 400_000);
}

// ---------------------------------------------------------------------------------------------------------------------
// Steps
// ---------------------------------------------------------------------------------------------------------------------

/// Where a case failed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The step that it was found after.
    pub at: usize,
    pub why: String,
}

/// Takes steps from a scene's beginning. The equalities are checked after each, everything after each `every`th close and the last.
pub fn run(scene: Scene, steps: &[Step], every: u32) -> (Tally, Result<(), Failure>) {
    listen();
    let mut chain = beginning(scene);
    let mut world = World::new();
    for (at, step) in steps.iter().enumerate() {
        let taken = guarded(|| world.take(&mut chain, step, every));
        if let Err(why) = taken {
            return (world.tally, Err(Failure { at, why }));
        }
    }
    let at = steps.len().saturating_sub(1);
    let done = guarded(|| world.take(&mut chain, &Step::Close(1_000), 1));
    (world.tally, done.map_err(|why| Failure { at, why }))
}

/// The chain after steps that all hold, in the middle of a block.
pub fn after(scene: Scene, steps: &[Step]) -> TestExternalities {
    listen();
    let (mut chain, mut world) = (beginning(scene), World::new());
    for step in steps {
        guarded(|| world.take(&mut chain, step, 1)).expect("it holds");
    }
    chain
}

/// A panic is a reason like any other.
fn guarded(act: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
    let heard = HEARD.with(|heard| heard.borrow_mut().take());
    match done {
        Ok(Ok(())) => heard.map_or(Ok(()), Err),
        Ok(Err(why)) => Err(why),
        Err(panic) => Err(match panic.downcast::<String>() {
            Ok(text) => format!("panicked: {text}"),
            Err(panic) => match panic.downcast::<&str>() {
                Ok(text) => format!("panicked: {text}"),
                Err(_) => "panicked".to_string(),
            },
        }),
    }
}

struct World {
    /// Of bitcoin, in cents.
    price: i64,
    /// Of USDC and USDT, in a thousandth of a USD.
    stables: [u16; 2],
    /// Blocks still to come without an observation.
    silence: u8,
    closes: u32,
    /// Prices and parameters of the last close.
    view: RiskView,
    tally: Tally,
}

impl World {
    fn new() -> Self {
        Self {
            price: HOME,
            stables: [1_000; 2],
            silence: 0,
            closes: 0,
            view: RiskView::default(),
            tally: Tally::new(),
        }
    }

    fn count(&mut self, what: impl Into<String>) {
        *self.tally.entry(what.into()).or_default() += 1;
    }

    fn take(
        &mut self,
        chain: &mut TestExternalities,
        step: &Step,
        every: u32,
    ) -> Result<(), String> {
        let (blocks, millis) = match step {
            Step::Close(millis) => (1, *millis),
            Step::Due => (DAYS, 1_000),
            Step::Price(movement) => {
                chain.execute_with(|| self.move_price(*movement));
                return Ok(());
            }
            Step::Break(fault) => {
                return chain.execute_with(|| {
                    faults::FAULTS[*fault].inject();
                    conserved()
                })
            }
            step => {
                return chain.execute_with(|| {
                    self.view = Clearing::view();
                    self.send(step);
                    conserved()
                })
            }
        };
        chain.execute_with(|| self.close(every))?;
        chain.commit_all()?;
        chain.execute_with(|| {
            begin_at(System::block_number() + blocks, millis);
            self.observe();
            conserved()
        })
    }

    /// The block's close.
    fn close(&mut self, every: u32) -> Result<(), String> {
        end();
        self.closes += 1;
        for event in events() {
            self.heed(event)?;
        }
        if self.closes % every == 0 {
            sound()
        } else {
            conserved()
        }
    }

    fn heed(&mut self, event: RuntimeEvent) -> Result<(), String> {
        use pallet_clearing::Event as Cleared;
        use pallet_order_book::Event as Booked;
        let name = |text: String| {
            let name = text.split([' ', '(', '{']).next().unwrap_or("");
            name.trim_start_matches("Event::").to_string()
        };
        match event {
            RuntimeEvent::OrderBook(Booked::Submitted { outcomes, .. }) => {
                for outcome in outcomes {
                    self.count(match outcome {
                        Ok(done) => format!("did {}", name(format!("{done:?}"))),
                        Err(refusal) => format!("refused {refusal:?}"),
                    });
                }
            }
            RuntimeEvent::OrderBook(Booked::Fired { triggers, .. }) => {
                for trigger in triggers {
                    self.count(match trigger.outcome {
                        Ok(()) => "fired".to_string(),
                        Err(refusal) => format!("fired, refused {refusal:?}"),
                    });
                }
            }
            RuntimeEvent::OrderBook(Booked::Cancelled { orders, .. }) => {
                for order in orders {
                    self.count(format!("left {:?}", order.reason));
                }
            }
            RuntimeEvent::Clearing(Cleared::Cleared { fills, .. }) => {
                *self.tally.entry("fills".into()).or_default() += fills.len() as u64;
            }
            RuntimeEvent::Clearing(Cleared::MatchAbandoned { market }) => {
                return Err(format!("the match of market {market} was abandoned"));
            }
            RuntimeEvent::Clearing(event) => self.count(match event {
                Cleared::Dropped { reason, .. } => {
                    format!("dropped {}", name(format!("{reason:?}")))
                }
                event => name(format!("{event:?}")),
            }),
            RuntimeEvent::Liquidation(Liquidated::FoundBySweep { account }) => {
                return Err(format!(
                    "the sweep found {account:?}, whom the index missed"
                ));
            }
            RuntimeEvent::Liquidation(event) => self.count(match event {
                Liquidated::BidDropped { refusal, .. } => {
                    format!("bid dropped {}", name(format!("{refusal:?}")))
                }
                event => name(format!("{event:?}")),
            }),
            RuntimeEvent::Instruments(event) => self.count(name(format!("{event:?}"))),
            RuntimeEvent::Margin(event) => self.count(name(format!("{event:?}"))),
            _ => (),
        }
        Ok(())
    }

    fn observe(&mut self) {
        if self.silence > 0 {
            self.silence -= 1;
            return;
        }
        let stable = |price: u16| Price::from_inner(u128::from(price) * CENT / 10);
        let [usdc, usdt] = self.stables;
        let mut prices = vec![
            (BTC_FEED, Price::from_inner(self.price as u128 * CENT)),
            (USDC_FEED, stable(usdc)),
        ];
        if usdt > 0 {
            prices.push((USDT_FEED, stable(usdt)));
        }
        observe_all(&prices);
    }

    fn move_price(&mut self, movement: Move) {
        self.view = Clearing::view();
        let price = match movement {
            Move::By(ppm) => self.price + self.price * ppm / 1_000_000,
            Move::Line(who, cents) => match self.price_at(who, true) {
                Some(price) => price + cents,
                None => return,
            },
            Move::Bankruptcy(who, ppm) => match self.price_at(who, false) {
                Some(price) if price > self.price => price + price * ppm / 1_000_000,
                Some(price) => price - price * ppm / 1_000_000,
                None => return,
            },
            Move::Home => HOME,
            Move::Silence(blocks) => {
                self.silence = blocks;
                return;
            }
            Move::Usdc(thousandths) => {
                self.stables[0] = thousandths;
                return;
            }
            Move::Usdt(thousandths) => {
                self.stables[1] = thousandths;
                return;
            }
        };
        // From 100 to 1,000,000 USD.
        self.price = price.clamp(10_000, 100_000_000);
    }

    /// The price of bitcoin, in cents, at which an account's equity is its maintenance margin, or nothing: collateral kept at
    /// what it is worth now, which is near enough for cents around it to be on both sides.
    fn price_at(&self, who: Who, at_maintenance: bool) -> Option<i64> {
        let account = Margin::account(&account_of(who))?;
        let assessed = Linear::assess(&account, &self.view).ok()?;
        let (mut net, mut needs) = (0.0, 0.0);
        let mut mark = None;
        for position in &account.positions {
            let market = self.view.market(position.market).ok()?;
            let size = position.lots as f64 * market.lot_size.to_float();
            net += size;
            needs += size.abs() * f64::from(market.mmf) / 1e6;
            mark = Some(market.mark.to_float());
        }
        let needs = if at_maintenance { needs } else { 0.0 };
        let (mark, equity) = (mark?, assessed.equity as f64 / 1e6);
        let price = (net * mark - equity) / (net - needs);
        (price.is_finite() && price > 0.0).then_some((price * 100.0) as i64)
    }

    fn send(&mut self, step: &Step) {
        let (signer, call) = self.transaction(step);
        match send(signer, call) {
            Ok(Ok(())) => self.count("included"),
            Ok(Err(error)) => {
                let name = <&'static str>::from(error);
                self.count(format!("failed {name}"));
            }
            // A full block takes no more.
            Err(_) => self.count("left out"),
        }
    }

    fn transaction(&self, step: &Step) -> (Sr25519Keyring, RuntimeCall) {
        let of = |who: &Who| (owner(*who), account_of(*who).sub);
        match step {
            Step::Orders(who, ops) => {
                let ((signer, sub), account) = (of(who), account_of(*who));
                let open = OrderBook::open_orders(&account);
                let ops = ops.iter().map(|op| self.operation(&account, &open, op));
                (signer, submit_call(sub, ops.collect()))
            }
            Step::Deposit(who, asset, amount) => {
                let (signer, sub) = of(who);
                let (asset, amount) = (*asset, self.amount(*who, *asset, *amount));
                (
                    signer,
                    pallet_margin::Call::deposit { sub, asset, amount }.into(),
                )
            }
            Step::DepositFor(who, to, asset, amount) => {
                let (to, asset) = (account_of(*to), *asset);
                let amount = self.amount(*who, asset, *amount);
                let call = pallet_clearing::Call::deposit_for { to, asset, amount };
                (owner(*who), call.into())
            }
            Step::Withdraw(who, asset, amount) => {
                let (signer, sub) = of(who);
                let (asset, amount) = (*asset, self.amount(*who, *asset, *amount));
                (
                    signer,
                    pallet_clearing::Call::withdraw { sub, asset, amount }.into(),
                )
            }
            Step::Transfer(who, to, asset, amount) => {
                let ((signer, sub), to, asset) = (of(who), account_of(*to), *asset);
                let amount = self.amount(*who, asset, *amount);
                let call = pallet_clearing::Call::transfer {
                    sub,
                    to,
                    asset,
                    amount,
                };
                (signer, call.into())
            }
            Step::Supply(who, amount) => {
                let amount = self.amount(*who, USDC, *amount);
                (owner(*who), pallet_clearing::Call::supply { amount }.into())
            }
            Step::Redeem(who, ppm) => {
                let held = <Margin as Loans<_>>::shares(&owner(*who).to_account_id());
                let shares = (held / 1_000_000).saturating_mul((*ppm).into());
                (owner(*who), pallet_clearing::Call::redeem { shares }.into())
            }
            Step::Borrow(who, amount) => {
                let (signer, sub) = of(who);
                let amount = self.amount(*who, USDC, *amount);
                (signer, pallet_clearing::Call::borrow { sub, amount }.into())
            }
            Step::CloseAccount(who) => {
                let (signer, sub) = of(who);
                (signer, pallet_margin::Call::close_account { sub }.into())
            }
            Step::Bid {
                taker,
                nth,
                fraction,
                least_discount,
            } => {
                let (signer, sub) = of(taker);
                let call = pallet_liquidation::Call::bid {
                    sub,
                    account: competing(*nth).unwrap_or_else(|| account_of(*nth)),
                    fraction: *fraction,
                    least_discount: *least_discount,
                };
                (signer, call.into())
            }
            Step::Govern(rule) => {
                let call = Box::new(self.rule(*rule));
                (Alice, pallet_sudo::Call::sudo { call }.into())
            }
            Step::Price(_) | Step::Close(_) | Step::Due | Step::Break(_) => {
                unreachable!("no transaction")
            }
        }
    }

    /// The market, or the first where there is none of that number.
    fn market(&self, id: MarketId) -> &MarketView {
        let markets = &self.view.markets;
        let found = markets.iter().find(|market| market.id == id);
        found.or(markets.first()).expect("a market is listed")
    }

    fn ticks(&self, id: MarketId, level: Level) -> Ticks {
        let market = self.market(id);
        let tick = market.tick_size.into_inner();
        let at =
            |ppm: u32| (market.mark.into_inner() / u128::from(MILLION) * u128::from(ppm)) / tick;
        match level {
            Level::Market => 0,
            Level::Mark(away) => (at(MILLION) as Ticks).saturating_add_signed(away),
            Level::Upper(away) => {
                (at(MILLION + market.price_band) as Ticks).saturating_add_signed(away)
            }
            Level::Lower(away) => {
                (at(MILLION - market.price_band) as Ticks).saturating_add_signed(away)
            }
            Level::Of(who, nth) => OrderBook::open_orders(&account_of(who))
                .get(usize::from(nth))
                .map_or(at(MILLION) as Ticks, |order| order.ticks),
            Level::Exactly(ticks) => ticks,
        }
    }

    fn lots(&self, of: &Account, id: MarketId, ticks: Ticks, size: Size) -> u64 {
        let market = self.market(id);
        let ticks = if ticks == 0 {
            self.ticks(id, Level::Mark(0))
        } else {
            ticks
        };
        let value = i128::from(ticks)
            .saturating_mul(market.tick_value.into())
            .max(1);
        let (base, more) = match size {
            Size::Exactly(lots) => return lots,
            Size::Least(more) => (ceil_div(market.min_notional, value), more),
            Size::Held(more) => {
                let held = Margin::account(of).map_or(0, |account| account.lots(id));
                (i128::from(held.unsigned_abs()), more)
            }
            Size::Covered(more) => {
                let assessed = Margin::account(of)
                    .and_then(|account| Linear::assess(&account, &self.view).ok())
                    .unwrap_or_default();
                let free = assessed.initial_equity - assessed.initial_with_orders;
                // Initial margin and a taker's fee.
                let each = value.saturating_mul(i128::from(market.imf) + 500) / 1_000_000;
                (free.max(0) / each.max(1), more)
            }
            Size::Cap(more) => {
                let open = i128::from(Margin::open_interest(id));
                (i128::from(market.open_interest_cap) - open, more)
            }
        };
        u64::try_from(base.saturating_add(more.into())).unwrap_or(0)
    }

    fn new_order(&self, of: &Account, terms: &Terms) -> NewOrder {
        let now = System::block_number();
        let ticks = self.ticks(terms.market, terms.level);
        NewOrder {
            market: terms.market,
            client_id: terms.client.into(),
            side: terms.side,
            lots: self.lots(of, terms.market, ticks, terms.size),
            price: match terms.level {
                Level::Market => OrderPrice::Market,
                _ => OrderPrice::Limit(ticks),
            },
            time_in_force: match terms.life {
                Life::GoodTilCancelled => TimeInForce::GoodTilCancelled,
                Life::Blocks(blocks) => TimeInForce::GoodTilBlock(block_after(now, blocks)),
                Life::ImmediateOrCancel => TimeInForce::ImmediateOrCancel,
                Life::PostOnly => TimeInForce::PostOnly,
                Life::FillOrKill => TimeInForce::FillOrKill,
            },
            reduce_only: terms.reduce_only,
            self_trade_prevention: match terms.oldest {
                true => SelfTradePrevention::CancelOldest,
                false => SelfTradePrevention::CancelNewest,
            },
        }
    }

    fn operation(&self, of: &Account, open: &[OpenOrder], op: &Op) -> Operation {
        let nth = |target: &Target| match target {
            Target::Nth(nth) => open.get(usize::from(*nth)),
            Target::Client(client) => open.iter().find(|o| o.client_id == u64::from(*client)),
        };
        let target = |at: &Target| match (at, nth(at)) {
            (Target::Client(client), _) => OrderTarget::Client(u64::from(*client)),
            (_, Some(order)) => OrderTarget::Sequence(order.sequence),
            (Target::Nth(nth), None) => OrderTarget::Sequence(u64::from(*nth)),
        };
        match op {
            Op::Place(terms) => Operation::Place(self.new_order(of, terms)),
            Op::Arm(terms, direction, level, expires) => Operation::PlaceTrigger(NewTrigger {
                order: self.new_order(of, terms),
                direction: *direction,
                ticks: self.ticks(terms.market, *level),
                expires: expires.map(|blocks| block_after(System::block_number(), blocks)),
            }),
            Op::Cancel(at) => Operation::Cancel(target(at)),
            Op::CancelAll(market) => Operation::CancelAll { market: *market },
            Op::Amend(at, level, size) => {
                let market = nth(at).map_or(BTC_PERP, |order| order.market);
                let price = level.map(|level| self.ticks(market, level));
                let ticks = price.or(nth(at).map(|order| order.ticks)).unwrap_or(0);
                Operation::Amend {
                    target: target(at),
                    price,
                    lots: size.map(|size| self.lots(of, market, ticks, size)),
                }
            }
        }
    }

    fn amount(&self, who: Who, asset: AssetId, amount: Amount) -> u128 {
        let account = Margin::account(&account_of(who)).unwrap_or_default();
        let held = match asset {
            USDC => account.cash,
            asset => {
                let of = account.collateral.iter().find(|(held, _)| *held == asset);
                of.map_or(0, |(_, amount)| *amount as Cash)
            }
        };
        let (base, more) = match amount {
            Amount::Exactly(amount) => return amount,
            Amount::Held(more) => (held, more),
            Amount::Free(more) => (self.free(&account, asset, held), more),
            Amount::Wallet(more) => {
                let owner = owner(who).to_account_id();
                (Assets::balance(asset, owner) as Cash, more)
            }
        };
        u128::try_from(base.saturating_add(more.into())).unwrap_or(0)
    }

    /// How much of an asset may leave an account, about: collateral down to where its haircut value is all that is free.
    fn free(&self, account: &MarginAccount, asset: AssetId, held: Cash) -> Cash {
        let assessed = Linear::assess(account, &self.view).unwrap_or_default();
        if asset == USDC {
            return assessed.withdrawable;
        }
        let Ok(view) = self.view.collateral(asset) else {
            return held;
        };
        let each = view.price.to_float() * (1.0 - f64::from(view.params.haircut) / 1e6);
        let units = assessed.withdrawable as f64 / 1e6 / each.max(1e-9);
        held.min((units * 10f64.powi(view.params.decimals.into())) as Cash)
    }

    fn rule(&self, rule: Rule) -> RuntimeCall {
        use pallet_instruments::Call as Instruments;
        use pallet_liquidation::Call as Liquidation;
        match rule {
            Rule::Restrict(market, new_value) => {
                Instruments::restrict_market { market, new_value }.into()
            }
            Rule::SetStatus(market, new_value) => {
                Instruments::set_status { market, new_value }.into()
            }
            Rule::OpenInterestCap(market, more) => {
                let open = Margin::open_interest(market);
                let new_value = open.saturating_add_signed(more);
                Instruments::lower_open_interest_cap { market, new_value }.into()
            }
            Rule::LossCap(market, dollars) => {
                let cap = i128::from(dollars) * USD;
                Liquidation::lower_loss_cap { market, cap }.into()
            }
            Rule::MoveLossCap(market, ppm) => {
                let cap = pallet_liquidation::LossCaps::<Runtime>::get(market)
                    .map_or(250_000 * USD, |cap| cap.at(System::block_number()));
                let cap = cap + cap * i128::from(ppm) / 1_000_000;
                Liquidation::schedule_loss_cap { market, cap }.into()
            }
            Rule::FeeTier(who, new_value) => pallet_margin::Call::set_fee_tier {
                account: account_of(who),
                new_value,
            }
            .into(),
            Rule::GlobalCap(asset, amount) => pallet_margin::Call::lower_global_cap {
                asset,
                new_value: self.amount(0, asset, amount),
            }
            .into(),
            Rule::Tier(imf, mmf) => {
                let old = pallet_instruments::Tiers::<Runtime>::get(0).expect("it is there");
                let new_value = novate_types::RiskTier {
                    imf: old.imf.saturating_add_signed(imf as i32),
                    mmf: old.mmf.saturating_add_signed(mmf as i32),
                    ..old
                };
                Instruments::schedule_tier_change { tier: 0, new_value }.into()
            }
            Rule::Params(market, interest, least) => {
                let old = pallet_instruments::Instruments::<Runtime>::get(market)
                    .or(pallet_instruments::Instruments::<Runtime>::get(BTC_PERP))
                    .expect("it is listed")
                    .params;
                let new_value = novate_types::MarketParams {
                    interest_8h_ppm: old.interest_8h_ppm.saturating_add(interest as i32),
                    min_notional: old.min_notional.saturating_add(least.into()),
                    ..old
                };
                Instruments::schedule_market_params { market, new_value }.into()
            }
            Rule::Loans(ppm) => {
                let old = pallet_margin::Lending::<Runtime>::get().params;
                let cap = old.account_cap + old.account_cap * i128::from(ppm) / 1_000_000;
                let new_value = novate_types::LoanParams {
                    account_cap: cap,
                    ..old
                };
                pallet_margin::Call::schedule_loans { new_value }.into()
            }
            Rule::UtilisationCap(new_value) => {
                pallet_margin::Call::lower_utilisation_cap { new_value }.into()
            }
            Rule::Haircut(asset, ppm) => {
                let old = pallet_margin::Collaterals::<Runtime>::get()[&asset];
                let new_value = novate_types::CollateralParams {
                    haircut: old.haircut.saturating_add_signed(ppm as i32),
                    ..old
                };
                pallet_margin::Call::schedule_collateral { asset, new_value }.into()
            }
        }
    }
}

fn block_after(now: u32, blocks: i64) -> u32 {
    u32::try_from(i64::from(now) + blocks).unwrap_or(0)
}

/// Who signs for an actor. Nobody else's account has an owner with a key: somebody signs in vain.
fn owner(who: Who) -> Sr25519Keyring {
    match who {
        0..ACTORS => OWNERS[usize::from(who / 2)],
        _ => Sr25519Keyring::Two,
    }
}

/// An actor's account.
fn account_of(who: Who) -> Account {
    match who {
        VAULT => Vault::get(),
        FUND => InsuranceFund::get(),
        NOBODY => Account::new(Sr25519Keyring::Two.to_account_id(), 7),
        _ => Account::new(owner(who).to_account_id(), who % 2),
    }
}

/// The account in competition, or called, of that number.
fn competing(nth: u8) -> Option<Account> {
    let accounts = pallet_margin::Accounts::<Runtime>::iter();
    let mut all: Vec<_> = accounts
        .filter(|(_, account)| {
            let standing = account.standing;
            matches!(
                standing,
                Standing::Competing { .. } | Standing::Called { .. }
            )
        })
        .map(|(of, _)| of)
        .collect();
    all.sort();
    all.into_iter().nth(nth.into())
}
