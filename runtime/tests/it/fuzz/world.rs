//! Takes steps on the real runtime, and says what does not hold after them.

use super::{
    coverage,
    expiry::Contracts,
    faults::FAULTS,
    govern::{describe_wrapped, WRAPPED},
    holds::{accounted, holds, left_alone, sound, Book},
    sights::Sights,
    step::{Moment, Move, Scene, Step, Who, ACTORS, DATED, FUND, NEWEST, NOBODY, VAULT},
};
use crate::common::*;
use novate_risk::{
    portfolio::{AtOnce, Lesser},
    SETTLEMENT_MILLIS,
};
use novate_runtime::{
    configs::exchange::{
        InsuranceFund, RiskRules, Vault, BTC, BTC_FEED, USDC, USDC_FEED, USDT, USDT_FEED,
    },
    Clearing, Executive, Margin, Runtime, RuntimeCall, RuntimeEvent, System, DAYS, HOURS,
    SLOT_MILLIS,
};
use novate_types::{
    BlockNumber, CombinationLegs, CurrentView, InstrumentKind, Ledger, MarginAccount, MarketId,
    MarketParams, Millis, NewOrder, OptionRight, Price, RiskModel, RiskView, Side,
};
use pallet_liquidation::Event as Liquidated;
use pallet_order_book::OrderError;
use sp_keyring::Sr25519Keyring;
use sp_runtime::MultiAddress;
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

/// The chain's margin model, options priced from the view alone.
pub type Rules = Lesser<AtOnce>;

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
            dated(first.params);
            wrapped();
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

/// Contracts that expire: a future, a call and a put in two hours and a half, a call in eight hours, and a straddle of the first two, marked on what validators see of
/// options.
fn dated(params: MarketParams) {
    with_option_chains();
    let option = |expiry, strike, right| InstrumentKind::Option {
        expiry,
        strike,
        right,
    };
    let (near, far) = (now() + 9_000_000, now() + 28_800_000);
    let kinds = [
        InstrumentKind::Future { expiry: near },
        option(near, 20_000, OptionRight::Call),
        option(near, 20_000, OptionRight::Put),
        option(far, 21_000, OptionRight::Call),
    ];
    for kind in kinds {
        list_on_bitcoin(kind, usd(1), Price::from_rational(1, 1_000), params);
    }
    // Of the call and the put that expire first, listed before the last.
    let last = pallet_instruments::NextMarket::<Runtime>::get() - 1;
    let legs = CombinationLegs::new(&[(last - 2, 1), (last - 1, 1)]).expect("two legs");
    let call = pallet_instruments::Call::list_market {
        symbol: b"BTC-STRADDLE".to_vec().try_into().expect("a short name"),
        kind: InstrumentKind::Combination {
            legs,
            expiry: Some(near),
        },
        underlying: BTC_FEED,
        tick_size: usd(1),
        lot_size: Price::from_rational(1, 1_000),
        params,
    };
    govern(call).expect("the legs fit");
}

/// An asset that governance may list as collateral.
fn wrapped() {
    let issuer = MultiAddress::Id(Alice.to_account_id());
    let create = pallet_assets::Call::force_create {
        id: WRAPPED.into(),
        owner: issuer,
        is_sufficient: true,
        min_balance: 1,
    };
    govern(create).expect("the number is free");
    govern(describe_wrapped(8)).expect("it is there");
    for who in OWNERS {
        let mint = pallet_assets::Call::mint {
            id: WRAPPED.into(),
            beneficiary: MultiAddress::Id(who.to_account_id()),
            amount: 10_000_000_000,
        };
        submit(Alice, mint).expect("the issuer may");
    }
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

pub struct World {
    /// Of bitcoin, in cents.
    price: i64,
    /// Of USDC and USDT, in a thousandth of a USD.
    stables: [u16; 2],
    /// Blocks still to come without an observation.
    silence: u8,
    /// What validators see of options.
    sights: Sights,
    /// What contracts that expire come to.
    contracts: Contracts,
    closes: u32,
    /// Prices and parameters of the last close.
    pub view: RiskView,
    /// What accounts held and asked for after the last step.
    book: Book,
    tally: Tally,
}

impl World {
    fn new() -> Self {
        Self {
            price: HOME,
            stables: [1_000; 2],
            silence: 0,
            sights: Sights::default(),
            contracts: Contracts::default(),
            closes: 0,
            view: RiskView::default(),
            book: Book::default(),
            tally: Tally::new(),
        }
    }

    pub fn count(&mut self, what: impl Into<String>) {
        *self.tally.entry(what.into()).or_default() += 1;
    }

    fn take(
        &mut self,
        chain: &mut TestExternalities,
        step: &Step,
        every: u32,
    ) -> Result<(), String> {
        let now = chain.execute_with(System::block_number);
        let (next, millis) = match step {
            Step::Close(millis) => (now + 1, *millis),
            Step::Due => (now + DAYS, 1_000),
            Step::Hour => ((now / HOURS + 1) * HOURS, 1_000),
            Step::Week => (now + 7 * DAYS + HOURS, 1_000),
            Step::Until(moment, more) => {
                let millis = chain.execute_with(|| time_until(*moment, *more));
                (now + 1, millis)
            }
            Step::Price(movement) => {
                chain.execute_with(|| self.move_price(*movement));
                return Ok(());
            }
            Step::Break(fault) => {
                return chain.execute_with(|| {
                    FAULTS[*fault].inject();
                    // What was before it is what the close is measured by.
                    holds().map(|_| ())
                });
            }
            step => {
                return chain.execute_with(|| {
                    self.view = Clearing::view();
                    let before = self.before()?;
                    self.send(step);
                    self.book = holds()?;
                    let sender = match step {
                        Step::Orders(who, _) => Some(account_of(*who)),
                        _ => None,
                    };
                    left_alone(&before, &self.book, sender.as_ref())
                })
            }
        };
        chain.execute_with(|| self.close(every))?;
        chain.commit_all()?;
        chain.execute_with(|| {
            begin_at(next, millis);
            keep_up(next);
            self.observe();
            let before = std::mem::take(&mut self.book);
            self.book = holds()?;
            left_alone(&before, &self.book, None)
        })
    }

    /// What was after the last step: of a case that just begins, what is.
    fn before(&mut self) -> Result<Book, String> {
        match self.book == Book::default() {
            true => holds(),
            false => Ok(std::mem::take(&mut self.book)),
        }
    }

    /// The block's close.
    fn close(&mut self, every: u32) -> Result<(), String> {
        let before = self.before()?;
        self.contracts.before_close();
        // Who sold shares or was refused is said by extrinsics too, what happens to orders only by the close.
        end();
        self.closes += 1;
        let events = events();
        for event in &events {
            self.heed(event)?;
        }
        self.contracts.after_close(&events)?;
        self.book = holds()?;
        for what in accounted(&before, &self.book, &events)? {
            self.count(what);
        }
        match self.closes % every {
            0 => {
                let accounts = pallet_margin::Accounts::<Runtime>::iter_values();
                let scanned = accounts.filter(is_scanned).count() as u64;
                if scanned > 0 {
                    *self.tally.entry("margined by scan".into()).or_default() += scanned;
                }
                sound()
            }
            _ => Ok(()),
        }
    }

    fn heed(&mut self, event: &RuntimeEvent) -> Result<(), String> {
        use coverage::word;
        use pallet_clearing::Event as Cleared;
        use pallet_order_book::Event as Booked;
        self.count(coverage::event(event));
        match event {
            RuntimeEvent::OrderBook(Booked::Submitted { outcomes, .. }) => {
                for refusal in outcomes.iter().filter_map(|outcome| outcome.err()) {
                    self.refused(refusal)?;
                }
            }
            RuntimeEvent::OrderBook(Booked::Fired { triggers, .. }) => {
                for refusal in triggers.iter().filter_map(|fired| fired.outcome.err()) {
                    self.refused(refusal)?;
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
            RuntimeEvent::Clearing(Cleared::Dropped { reason, .. }) => {
                self.count(format!("dropped {}", word(reason)));
            }
            RuntimeEvent::Liquidation(Liquidated::FoundBySweep { account }) => {
                return Err(format!(
                    "the sweep found {account:?}, whom the index missed"
                ));
            }
            RuntimeEvent::Liquidation(Liquidated::LiquidationStarted { account, .. }) => {
                if Margin::account(account).is_some_and(|account| is_scanned(&account)) {
                    self.count("liquidated by scan");
                }
            }
            RuntimeEvent::Liquidation(Liquidated::LiquidationOrderPlaced { market, .. }) => {
                let view = Clearing::view();
                if view
                    .market(*market)
                    .is_ok_and(|m| m.contract.kind.is_option())
                {
                    self.count("option offered by liquidation");
                }
            }
            RuntimeEvent::Liquidation(Liquidated::BidDropped { refusal, .. }) => {
                self.count(format!("bid dropped {}", word(refusal)));
            }
            _ => (),
        }
        Ok(())
    }

    fn refused(&mut self, refusal: OrderError) -> Result<(), String> {
        if matches!(refusal, OrderError::Risk(_)) {
            return Err(format!("an account cannot be assessed: {refusal:?}"));
        }
        self.count(format!("refused {}", coverage::word(&refusal)));
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
        match self.sights.observation().map(Executive::apply_extrinsic) {
            None => {}
            Some(Ok(done)) => {
                done.expect("what is authorised is recorded");
                self.count("called Oracle.observe_surface");
            }
            Some(Err(_)) => self.count("volatilities refused"),
        }
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
            Move::Volatility(_)
            | Move::Wings(_)
            | Move::Kink(_)
            | Move::Inverted
            | Move::Blind(_) => {
                self.sights.change(movement);
                return;
            }
        };
        // From 100 to 1,000,000 USD.
        self.price = price.clamp(10_000, 100_000_000);
    }

    /// The price of bitcoin, in cents, at which an account's equity is its maintenance margin, or nothing: collateral and options
    /// kept at what they are worth now, which without options is near enough for cents around it to be on both sides.
    fn price_at(&self, who: Who, at_maintenance: bool) -> Option<i64> {
        let account = Margin::account(&account_of(who))?;
        let assessed = Rules::assess(&account, &self.view).ok()?;
        let (mut net, mut needs) = (0.0, 0.0);
        let mut mark = None;
        for position in &account.positions {
            let market = self.view.market(position.market).ok()?;
            if market.contract.kind.is_option() {
                continue;
            }
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
        let name = coverage::call(&call);
        let operations = match &call {
            RuntimeCall::OrderBook(pallet_order_book::Call::submit { operations, .. }) => {
                operations.to_vec()
            }
            _ => Vec::new(),
        };
        let done = match step {
            Step::Govern(_) => {
                let said = send(signer, call);
                said.map(|done| done.and_then(|()| governed()))
            }
            _ => send(signer, call),
        };
        match done {
            Ok(Ok(())) => {
                self.count(format!("called {name}"));
                if operations.is_empty() {
                    return;
                }
                for (operation, outcome) in operations.iter().zip(outcomes()) {
                    if outcome.is_ok() {
                        self.count(format!("did {}", coverage::word(operation)));
                    }
                }
            }
            Ok(Err(error)) => {
                let why = <&'static str>::from(error);
                self.count(format!("failed {name}: {why}"));
            }
            // A full block takes no more.
            Err(_) => self.count("left out"),
        }
    }
}

/// Whether a scan margins some of what the account holds, as the chain has priced it.
fn is_scanned(account: &MarginAccount) -> bool {
    RiskRules::assess_held(account, &Clearing::view()).is_ok_and(|found| found.scanned != 0)
}

/// Milliseconds from now to so many after the next such moment of a contract, a slot at the least.
fn time_until(moment: Moment, more: i64) -> Millis {
    let before = match moment {
        Moment::Mean => SETTLEMENT_MILLIS,
        Moment::Expiry => 0,
    };
    let expiries = pallet_instruments::Instruments::<Runtime>::iter_values()
        .filter_map(|market| market.kind.expiry());
    let times = expiries.map(|expiry| (expiry - before).saturating_add_signed(more));
    let next = times.filter(|time| *time > now()).min();
    next.map_or(SLOT_MILLIS, |time| (time - now()).max(SLOT_MILLIS))
}

/// The market that a step's number stands for.
pub fn market_of(id: MarketId) -> MarketId {
    if id == NEWEST {
        return pallet_instruments::NextMarket::<Runtime>::get() - 1;
    }
    let Some(nth) = id.checked_sub(DATED) else {
        return id;
    };
    let listed = pallet_instruments::Instruments::<Runtime>::iter();
    let mut dated: Vec<_> = listed
        .filter(|(_, market)| market.kind.expiry().is_some())
        .map(|(id, _)| id)
        .collect();
    dated.sort_unstable();
    let at = usize::from(nth).checked_rem(dated.len());
    at.map_or(id, |at| dated[at])
}

/// A chain that skips blocks stands for one that waited, whose expiry index has been worked off up to where something expires.
fn keep_up(now: BlockNumber) {
    use pallet_order_book::{ExpiryCounts, ExpiryCursor};
    let (block, page) = ExpiryCursor::<Runtime>::get();
    if page > 0 || now.saturating_sub(block) < 8 {
        return;
    }
    let counted = ExpiryCounts::<Runtime>::iter_keys().filter(|b| *b >= block);
    let next = counted.min().unwrap_or(now).min(now);
    ExpiryCursor::<Runtime>::put((next, 0));
}

/// Who signs for an actor. Nobody else's account has an owner with a key: somebody signs in vain.
pub fn owner(who: Who) -> Sr25519Keyring {
    match who {
        0..ACTORS => OWNERS[usize::from(who / 2)],
        _ => Sr25519Keyring::Two,
    }
}

/// An actor's account.
pub fn account_of(who: Who) -> Account {
    match who {
        VAULT => Vault::get(),
        FUND => InsuranceFund::get(),
        NOBODY => Account::new(Sr25519Keyring::Two.to_account_id(), 7),
        _ => Account::new(owner(who).to_account_id(), who % 2),
    }
}
