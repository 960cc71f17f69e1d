//! A runtime of the pallet alone: a ledger and a view in plain storage, the real margin model, and a close that novates
//! without checks.

use crate::{self as pallet_order_book, types::*, Config, Pallet};
use codec::{Decode, Encode};
use frame_support::{derive_impl, parameter_types, storage::unhashed, traits::ConstU32};
use novate_types::{OrderBook as _, *};
use sp_runtime::BuildStorage;

pub type AccountId = u64;
pub type Account = AccountRef<AccountId>;

pub const BTC: MarketId = 7;
pub const ETH: MarketId = 9;
/// Ticks of the mark at genesis: tick 0.5 USD.
pub const MARK: Ticks = 120_000;
/// Fills of a market and block.
pub const FILLS: u32 = 50;

#[frame_support::runtime]
mod runtime {
    #[runtime::runtime]
    #[runtime::derive(
        RuntimeCall,
        RuntimeEvent,
        RuntimeError,
        RuntimeOrigin,
        RuntimeFreezeReason,
        RuntimeHoldReason,
        RuntimeSlashReason,
        RuntimeLockId,
        RuntimeTask,
        RuntimeViewFunction
    )]
    pub struct Test;

    #[runtime::pallet_index(0)]
    pub type System = frame_system;
    #[runtime::pallet_index(1)]
    pub type OrderBook = pallet_order_book;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = frame_system::mocking::MockBlock<Test>;
}

parameter_types! {
    pub static IntakeQuota: u32 = 256;
    pub static LoadLimit: u32 = 512;
    pub static BlockReads: u32 = 20_480;
    pub static QuoteDepth: u32 = 256;
    pub static UpkeepPages: u32 = 2;
    pub static ExpiringTriggers: u32 = 4;
    /// Picoseconds that a close has for triggers.
    pub static TriggerRoom: u64 = u64::MAX;
}

impl Config for Test {
    type Ledger = MockLedger;
    type Risk = novate_risk::Linear;
    type View = MockView;
    type IntakeQuota = IntakeQuota;
    type MaxExpiry = ConstU32<1_000>;
    type LoadLimit = LoadLimit;
    type BlockReads = BlockReads;
    type QuoteDepth = QuoteDepth;
    type UpkeepPages = UpkeepPages;
    type ExpiringTriggers = ExpiringTriggers;
    type Novating = ();
    type WeightInfo = ();
    type BenchmarkHelper = MockMarkets;
}

/// Accounts as plain storage values.
pub struct MockLedger;

impl MockLedger {
    fn key(of: &Account) -> Vec<u8> {
        (b"mock:account", of).encode()
    }
    pub fn put(of: &Account, account: &MarginAccount) {
        unhashed::put(&Self::key(of), account);
    }
    fn change<R, E: From<LedgerError>>(
        of: &Account,
        change: impl FnOnce(&mut MarginAccount) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut account = Self::account(of).ok_or(LedgerError::NoAccount)?;
        let done = change(&mut account)?;
        Self::put(of, &account);
        Ok(done)
    }
}

impl Ledger<AccountId> for MockLedger {
    fn account(of: &Account) -> Option<MarginAccount> {
        unhashed::get(&Self::key(of))
    }
    fn accounts_after(previous: Option<&Account>, most: u32) -> Vec<Account> {
        let prefix = b"mock:account".encode();
        let mut key = previous.map_or(prefix.clone(), Self::key);
        let mut found = Vec::new();
        while found.len() < most as usize {
            key = match sp_io::storage::next_key(&key) {
                Some(next) if next.starts_with(&prefix) => next,
                _ => break,
            };
            found.push(Account::decode(&mut &key[prefix.len()..]).unwrap());
        }
        found
    }
    fn update<R, E: From<LedgerError>>(
        of: &Account,
        change: impl FnOnce(&mut MarginAccount) -> Result<R, E>,
    ) -> Result<R, E> {
        Self::change(of, change)
    }
    fn settle<R, E: From<LedgerError>>(
        of: &Account,
        _: &RiskView,
        _: bool,
        change: impl FnOnce(&mut MarginAccount) -> Result<R, E>,
    ) -> Result<R, E> {
        Self::change(of, change)
    }
    fn settle_expired(_: &Account, _: &RiskView) -> Result<(), LedgerError> {
        Ok(())
    }
    fn index(_: &Account, _: &RiskView) -> Result<Indexed, LedgerError> {
        Ok(Indexed::default())
    }
    fn write_orders(of: &Account, account: MarginAccount) {
        Self::put(of, &account);
    }
    fn write_trades(
        _: &[MarketId],
        _: Vec<(Account, [SignedLots; MAX_LEGS], MarginAccount)>,
    ) -> Result<(), LedgerError> {
        Ok(())
    }
    fn pot(_: Pot) -> Cash {
        0
    }
    fn credit_pot(_: Pot, _: Cash) -> Result<(), LedgerError> {
        Ok(())
    }
    fn is_flat(_: MarketId) -> bool {
        true
    }
    fn open_interest(_: MarketId) -> Lots {
        0
    }
    fn collaterals() -> Vec<(AssetId, CollateralParams)> {
        Vec::new()
    }
    fn settlement_asset() -> AssetId {
        0
    }
    fn take_into_custody(_: &AccountId, _: AssetId, _: u128) -> Result<(), LedgerError> {
        Ok(())
    }
    fn pay_from_custody(_: &AccountId, _: AssetId, _: u128) -> Result<(), LedgerError> {
        Ok(())
    }
}

/// The view as a plain storage value.
pub struct MockView;

impl CurrentView for MockView {
    fn view() -> RiskView {
        unhashed::get(b"mock:view").unwrap_or_default()
    }
}

impl MockView {
    pub fn change(market: MarketId, change: impl FnOnce(&mut MarketView)) {
        let mut view = Self::view();
        change(view.markets.iter_mut().find(|m| m.id == market).unwrap());
        unhashed::put(b"mock:view", &view);
    }
}

pub struct MockMarkets;

impl crate::BenchmarkHelper<AccountId> for MockMarkets {
    fn market() -> MarketView {
        list_markets();
        market(BTC)
    }
    fn fund(account: &Account) {
        fund(account, 1_000_000_000);
    }
    fn options() -> RiskView {
        list_markets();
        MockView::view()
    }
}

/// A market of 0.0001 units a lot: a lot is worth 6 USD at the mark, a tick of it 50 quantums.
pub fn market(id: MarketId) -> MarketView {
    let tick_size = Price::from_rational(1, 2);
    MarketView {
        id,
        underlying: id,
        status: MarketStatus::Open,
        tick_size,
        lot_size: Size::from_rational(1, 10_000),
        tick_value: 50,
        mark: math::price_of(MARK, tick_size).unwrap(),
        index: math::price_of(MARK, tick_size).unwrap(),
        observed_at: 0,
        fresh: true,
        funding_index: 0,
        short_funding_index: 0,
        imf: 50_000,
        mmf: 25_000,
        profit_credit: 1_000_000 * QUANTUMS,
        price_band: 20_000,
        min_notional: QUANTUMS,
        impact_notional: 600 * QUANTUMS,
        open_interest_cap: Lots::MAX,
        auction_at: 0,
        contract: Default::default(),
    }
}

/// A combination of [`BTC`] and [`ETH`].
pub const SPREAD: MarketId = 12;

/// Lists one that buys ETH, at a mark of so many ticks, and sells BTC.
pub fn list_spread(eth: Ticks) {
    mark(ETH, eth);
    list_combination(SPREAD, &[(ETH, 1), (BTC, -1)]);
}

/// Lists a combination, as the close would mark it.
pub fn list_combination(id: MarketId, legs: &[(MarketId, i8)]) {
    let mut view = MockView::view();
    let views: Vec<_> = legs
        .iter()
        .map(|(id, ratio)| (view.market(*id).unwrap(), *ratio))
        .collect();
    let base = market(id);
    let combined = novate_risk::combine(&views, base.tick_size, base.price_band).unwrap();
    let combination = MarketView {
        mark: combined.mark,
        index: combined.index,
        imf: combined.imf,
        price_band: combined.band,
        contract: InstrumentKind::Combination {
            legs: CombinationLegs::new(legs).unwrap(),
            expiry: None,
        }
        .into(),
        ..base
    };
    view.markets.try_push(combination).unwrap();
    unhashed::put(b"mock:view", &view);
}

/// Opens an account with that many units of cash.
pub fn fund(of: &Account, units: Cash) {
    let account = MarginAccount {
        cash: units * QUANTUMS,
        ..Default::default()
    };
    MockLedger::put(of, &account);
}

pub fn account(owner: AccountId) -> Account {
    AccountRef::new(owner, 0)
}

fn list_markets() {
    let mut view = RiskView {
        block: 0,
        ..Default::default()
    };
    view.markets.try_push(market(BTC)).unwrap();
    view.markets.try_push(market(ETH)).unwrap();
    view.fee_tiers
        .try_push(FeeTier {
            maker_ppm: 0,
            taker_ppm: 500,
        })
        .unwrap();
    unhashed::put(b"mock:view", &view);
}

/// Block 1, markets listed, accounts 1 to 9 with a million each.
pub fn new_test_ext() -> sp_io::TestExternalities {
    let storage = frame_system::GenesisConfig::<Test>::default()
        .build_storage()
        .unwrap();
    let mut ext = sp_io::TestExternalities::from(storage);
    ext.execute_with(|| {
        System::set_block_number(1);
        list_markets();
        (1..10).for_each(|owner| fund(&account(owner), 1_000_000));
    });
    ext
}

/// What a close did in all markets.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Closed {
    pub fills: Vec<Fill<AccountId>>,
    /// Those that set margin free.
    pub releases: Vec<Release<AccountId>>,
    /// Of [`BTC`], the match ended at the edge of its band.
    pub at_edge: bool,
    /// Of [`BTC`], an auction that goes on.
    pub unfinished: Option<Unfinished>,
}

impl Closed {
    fn keep(&mut self, releases: Vec<Release<AccountId>>) {
        let free = releases.into_iter().filter(|r| !r.margin.is_empty());
        self.releases.extend(free);
    }
}

/// Fires triggers, matches every market, novates unchecked, keeps house, checks the state, and goes to the next block.
pub fn close() -> Closed {
    close_within(&MatchLimits::first(FILLS))
}

pub fn close_within(limits: &MatchLimits<AccountId>) -> Closed {
    close_with(limits, Vec::new())
}

pub fn close_with(
    limits: &MatchLimits<AccountId>,
    liquidations: Vec<LiquidationOrder<AccountId>>,
) -> Closed {
    let view = MockView::view();
    let mut closed = Closed::default();
    let room = TriggerRoom::get();
    assert!(Pallet::<Test>::fire(&view, room) <= room);
    for market in &view.markets {
        let here = liquidations
            .iter()
            .filter(|o| o.market == market.id)
            .cloned()
            .collect();
        let Some(mut loaded) = Pallet::<Test>::load(market, here) else {
            continue;
        };
        let tentative = Pallet::<Test>::run(&mut loaded, limits);
        let releases = Pallet::<Test>::commit(loaded);
        let (bought, sold): (Vec<_>, Vec<_>) =
            tentative.fills.iter().partition(|f| f.side == Side::Bid);
        let lots = |fills: &[&Fill<AccountId>]| fills.iter().map(|f| f.lots).sum::<Lots>();
        assert_eq!(
            (lots(&bought), lots(&sold)),
            (tentative.volume, tentative.volume)
        );
        for fill in &tentative.fills {
            let signed = fill.side.signed(fill.lots).unwrap();
            let legs = novate_risk::Legs::of(market, &view).unwrap();
            MockLedger::change(&fill.account, |a| {
                legs.apply(a, signed, fill.ticks).map_err(LedgerError::Risk)
            })
            .unwrap();
        }
        if market.id == BTC {
            closed.at_edge = tentative.at_edge;
            closed.unfinished = tentative.unfinished;
        }
        closed.fills.extend(tentative.fills);
        releases.iter().for_each(apply);
        closed.keep(releases);
    }
    let kept = Pallet::<Test>::housekeep(&view);
    kept.iter().for_each(apply);
    closed.keep(kept);
    Pallet::<Test>::do_try_state().unwrap();
    System::set_block_number(System::block_number() + 1);
    closed
}

pub fn apply(release: &Release<AccountId>) {
    MockLedger::change(&release.account, |a| {
        novate_risk::take_release(a, release).map_err(LedgerError::Risk)
    })
    .unwrap();
}

/// Open orders of an owner.
pub fn open(owner: AccountId) -> Vec<Locator> {
    Pallet::<Test>::orders(&account(owner)).open.into_inner()
}

/// Accounts that store anything of orders.
pub fn with_orders() -> Vec<Account> {
    let stores = |of: &Account| !MockLedger::account(of).unwrap().open.is_empty();
    MockLedger::accounts_after(None, u32::MAX)
        .into_iter()
        .filter(stores)
        .collect()
}

/// A good-til-cancelled limit order in [`BTC`].
pub fn limit(client_id: ClientId, side: Side, lots: Lots, ticks: Ticks) -> NewOrder {
    NewOrder {
        market: BTC,
        client_id,
        side,
        lots,
        price: OrderPrice::Limit(ticks),
        time_in_force: TimeInForce::GoodTilCancelled,
        reduce_only: false,
        self_trade_prevention: SelfTradePrevention::CancelNewest,
    }
}

/// Submits for subaccount 0 and returns the outcomes.
pub fn submit(owner: AccountId, operations: Vec<Operation>) -> Vec<Result<Accepted, OrderError>> {
    System::reset_events();
    let operations = operations.try_into().unwrap();
    Pallet::<Test>::submit(RuntimeOrigin::signed(owner), 0, operations).unwrap();
    match System::events().pop().unwrap().event {
        RuntimeEvent::OrderBook(crate::Event::Submitted { outcomes, .. }) => outcomes.into_inner(),
        other => panic!("{other:?}"),
    }
}

/// Submits one new order.
pub fn place(owner: AccountId, order: NewOrder) -> Result<Sequence, OrderError> {
    match submit(owner, vec![Operation::Place(order)]).remove(0)? {
        Accepted::Placed(sequence) => Ok(sequence),
        other => panic!("{other:?}"),
    }
}

/// Submits one operation.
pub fn operate(owner: AccountId, operation: Operation) -> Result<Accepted, OrderError> {
    submit(owner, vec![operation]).remove(0)
}

/// Reasons of the cancellations reported since events were last reset, with owner and lots.
pub fn cancellations() -> Vec<(AccountId, Lots, CancelReason)> {
    let of = |event| match event {
        RuntimeEvent::OrderBook(crate::Event::Cancelled { orders, .. }) => orders,
        _ => Vec::new(),
    };
    System::events()
        .into_iter()
        .flat_map(|e| of(e.event))
        .map(|o| (o.account.owner, o.lots, o.reason))
        .collect()
}

/// Moves a market's mark.
pub fn mark(market: MarketId, ticks: Ticks) {
    MockView::change(market, |m| {
        m.mark = math::price_of(ticks, m.tick_size).unwrap()
    });
}

/// [`BTC`] collects orders, and is uncrossed at the close of the `blocks`-th block from this one, which is the first.
pub fn call(blocks: u64) {
    let at = System::block_number() + blocks - 1;
    MockView::change(BTC, |m| m.auction_at = at as BlockNumber);
}

/// Closes until the auction of [`BTC`] has ended, at most `fills` orders executing in each; then the book does not cross.
pub fn uncross(fills: u32) -> Vec<Closed> {
    let mut limits = MatchLimits::first(fills);
    let mut parts = Vec::new();
    loop {
        let closed = close_within(&limits);
        let now = System::block_number() as BlockNumber;
        let collects = MockView::view().market(BTC).unwrap().auction_at >= now;
        let unfinished = closed.unfinished;
        parts.push(closed);
        match unfinished {
            Some(rest) => limits.auction.price = rest.price,
            None if collects => {}
            None => break,
        }
        assert!(parts.len() < 500, "an auction does not end");
    }
    MockView::change(BTC, |m| m.auction_at = 0);
    Pallet::<Test>::do_try_state().unwrap();
    parts
}

/// A trigger of `order`.
pub fn trigger(order: NewOrder, direction: Direction, ticks: Ticks) -> NewTrigger {
    NewTrigger {
        order,
        direction,
        ticks,
        expires: None,
    }
}

/// Submits one trigger.
pub fn arm(owner: AccountId, trigger: NewTrigger) -> Result<Sequence, OrderError> {
    match operate(owner, Operation::PlaceTrigger(trigger))? {
        Accepted::Armed(sequence) => Ok(sequence),
        other => panic!("{other:?}"),
    }
}

/// Triggers of an owner.
pub fn armed(owner: AccountId) -> Vec<Trigger> {
    let account = MockLedger::account(&account(owner)).unwrap();
    account.triggers.into_inner()
}

/// Triggers that fired since events were last reset: owner, number, outcome.
pub fn fired() -> Vec<(AccountId, Sequence, Result<(), OrderError>)> {
    let of = |event| match event {
        RuntimeEvent::OrderBook(crate::Event::Fired { triggers, .. }) => triggers,
        _ => Vec::new(),
    };
    System::events()
        .into_iter()
        .flat_map(|e| of(e.event))
        .map(|t| (t.account.owner, t.sequence, t.outcome))
        .collect()
}

/// The book of [`BTC`] after the last close: bids and asks, best first.
pub fn book() -> (Levels, Levels) {
    let next = System::block_number();
    System::set_block_number(next - 1);
    let book = Pallet::<Test>::book(BTC, 1_000);
    System::set_block_number(next);
    book
}

/// Whatever is stored under the pallet's prefix and in the ledger, to compare whole books.
pub fn stored() -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = under(sp_io::hashing::twox_128(b"OrderBook").to_vec());
    found.extend(under(b"mock:account".encode()));
    found
}

fn under(prefix: Vec<u8>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let mut key = prefix.clone();
    while let Some(next) = sp_io::storage::next_key(&key) {
        if !next.starts_with(&prefix) {
            break;
        }
        let value = sp_io::storage::get(&next).unwrap().to_vec();
        found.push((next.clone(), value));
        key = next;
    }
    found
}

/// An order of which `display` lots show.
pub fn iceberg(order: NewOrder, display: Lots) -> Operation {
    Operation::PlaceIceberg { order, display }
}

/// Submits two that exclude each other.
pub fn pair(
    owner: AccountId,
    first: Leg,
    second: NewTrigger,
) -> Result<(Sequence, Sequence), OrderError> {
    match operate(owner, Operation::PlacePair { first, second })? {
        Accepted::Paired(one, other) => Ok((one, other)),
        other => panic!("{other:?}"),
    }
}

/// Submits an order in slices.
pub fn schedule(owner: AccountId, twap: NewTwap) -> Result<Sequence, OrderError> {
    match operate(owner, Operation::PlaceTwap(twap))? {
        Accepted::Scheduled(sequence) => Ok(sequence),
        other => panic!("{other:?}"),
    }
}

/// Icebergs, pairs and TWAPs of an owner.
pub fn arrangements(owner: AccountId) -> Vec<Arrangement> {
    let orders = Pallet::<Test>::orders(&account(owner));
    orders.arrangements.into_inner()
}

/// Signed lots that an owner holds in [`BTC`].
pub fn lots_of(owner: AccountId) -> SignedLots {
    MockLedger::account(&account(owner)).unwrap().lots(BTC)
}

/// A close, with the events of nothing before it.
pub fn next_close() -> Closed {
    System::reset_events();
    close()
}

/// Lots and prices at which an owner's orders executed.
pub fn fills_of(closed: &Closed, owner: AccountId) -> Vec<(Sequence, Lots, Ticks)> {
    let own = closed.fills.iter().filter(|f| f.account.owner == owner);
    own.map(|f| (f.sequence, f.lots, f.ticks)).collect()
}
