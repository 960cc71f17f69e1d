//! The real runtime, executed natively block by block as a node would: genesis from the `development` preset, slots and
//! inherents, signed extrinsics, the validator's own observations, and the close.

pub mod crowd;
pub mod losses;

use codec::Encode;
use novate_runtime::{
    configs::exchange::{InsuranceFund, Vault, BTC_FEED, USDC, USDC_FEED, USDT_FEED},
    genesis_presets::{get_preset, DEVELOPMENT_PRESET},
    AccountId, Clearing, Executive, Header, Instruments, Liquidation, Margin, Oracle, OrderBook,
    Runtime, RuntimeCall, RuntimeEvent, RuntimeGenesisConfig, System, Timestamp, TxExtension,
    UncheckedExtrinsic, SLOT_MILLIS,
};
use novate_types::{
    symbol::symbol_of, AccountRef, Assessment, BlockNumber, Cash, ClientId, CurrentView, FeedId,
    Fill, InstrumentKind, Ledger, Lots, MarginAccount, MarketId, MarketParams, MarketView, Millis,
    NewOrder, Operation, OrderPrice, OrderTarget, Pot, Price, RiskModel, RiskView,
    SelfTradePrevention, Side, SubaccountId, Ticks, TimeInForce,
};
use pallet_order_book::{Accepted, OrderError};
use pallet_price_oracle::{
    crypto::AuthorityPair,
    surface::{ObservedSmile, SurfaceObservation},
    Observation, ObservedPrice, LEAST_CHAINS,
};
use sp_core::{sr25519, Pair, H256};
use sp_keyring::Sr25519Keyring;
use sp_runtime::{
    generic::{Digest, DigestItem, Era, SignedPayload},
    traits::Header as _,
    transaction_validity::TransactionValidityError,
    BuildStorage, DispatchError, DispatchResult, MultiAddress, MultiSignature,
};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

pub use sp_io::TestExternalities;
pub use Sr25519Keyring::{Alice, Bob, Charlie, Dave, Eve, Ferdie};

/// The one market of the preset: ticks of 0.5 USD, lots of 0.0001 BTC, 50 quantums per lot and tick.
pub const BTC_PERP: MarketId = 0;
/// Quantums per lot and tick of it.
pub const TICK_VALUE: Cash = 50;
/// One USD in quantums.
pub const USD: Cash = 1_000_000;
/// Time of the block before the first.
const GENESIS: Millis = 1_700_000_000_000;

/// An account of the ledger.
pub type Account = AccountRef<AccountId>;

// ---------------------------------------------------------------------------------------------------------------------
// Random numbers
// ---------------------------------------------------------------------------------------------------------------------

/// SplitMix64 (Steele, Lea and Flood 2014): reproducible from a printed seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// A number of `range`, both ends included.
    pub fn within(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// A number from the environment, such as `PROPTEST_CASES`.
pub fn configured(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Seeds of a random test: `NOVATE_SEED` alone, or as many as `PROPTEST_CASES` says.
pub fn seeds(default: u64) -> Vec<u64> {
    match std::env::var("NOVATE_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
    {
        Some(seed) => vec![seed],
        None => (1..=configured("PROPTEST_CASES", default)).collect(),
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Genesis and blocks
// ---------------------------------------------------------------------------------------------------------------------

fn merge(into: &mut serde_json::Value, patch: serde_json::Value) {
    match (into, patch) {
        (serde_json::Value::Object(into), serde_json::Value::Object(patch)) => {
            for (key, value) in patch {
                merge(into.entry(key).or_insert(serde_json::Value::Null), value);
            }
        }
        (into, patch) => *into = patch,
    }
}

/// The state after the `development` genesis.
pub fn development() -> TestExternalities {
    genesis_of(DEVELOPMENT_PRESET)
}

/// The state after the genesis of that name.
pub fn genesis_of(preset: &str) -> TestExternalities {
    forget();
    let patch = get_preset(&preset.into()).expect("the preset exists");
    let mut genesis = serde_json::to_value(RuntimeGenesisConfig::default()).expect("plain data");
    merge(
        &mut genesis,
        serde_json::from_slice(&patch).expect("the preset is JSON"),
    );
    let genesis: RuntimeGenesisConfig = serde_json::from_value(genesis).expect("the preset fits");
    genesis.build_storage().expect("the genesis builds").into()
}

/// Forgets what an earlier chain of this thread left.
fn forget() {
    NEXT_CLIENT.with(|next| next.set(1));
    LEDGER.with(|ledger| ledger.borrow_mut().clear());
}

/// Hash that the harness gives block `number`: real ones would make every later tie depend on the whole history.
fn hash_of(number: BlockNumber) -> H256 {
    sp_io::hashing::blake2_256(&number.encode()).into()
}

/// Time of the present block.
pub fn now() -> Millis {
    Timestamp::get()
}

/// Begins a block `millis` after the last, at least a slot.
pub fn begin(millis: Millis) {
    begin_at(System::block_number() + 1, millis)
}

/// Begins block `number`: a chain that skips numbers stands for one that waited.
pub fn begin_at(number: BlockNumber, millis: Millis) {
    System::set_block_number(number - 1);
    let time = now().max(GENESIS) + millis.max(SLOT_MILLIS);
    let digest = Digest {
        logs: vec![DigestItem::PreRuntime(
            *b"aura",
            (time / SLOT_MILLIS).encode(),
        )],
    };
    let parent = hash_of(number - 1);
    let header = Header::new(number, H256::zero(), H256::zero(), parent, digest);
    Executive::initialize_block(&header);
    let inherent = pallet_timestamp::Call::<Runtime>::set { now: time };
    Executive::apply_extrinsic(UncheckedExtrinsic::new_bare(inherent.into()))
        .expect("the inherent is valid")
        .expect("the inherent executes");
}

/// Ends the block: the close, and the header with its state root. Nothing that "cannot happen" happened.
pub fn end() -> Header {
    let header = Executive::finalize_block();
    for event in events() {
        assert!(
            !matches!(
                event,
                RuntimeEvent::Clearing(pallet_clearing::Event::MatchAbandoned { .. })
            ),
            "a match was abandoned in block {}",
            System::block_number()
        );
    }
    header
}

/// A block one second later, in which the validator observes `price` and then `act` happens.
pub fn block<R>(price: Price, act: impl FnOnce() -> R) -> R {
    begin(SLOT_MILLIS);
    observe(price);
    let done = act();
    end();
    done
}

/// As many blocks at `price` in which nobody does anything.
pub fn blocks(count: u32, price: Price) {
    for _ in 0..count {
        block(price, || ());
    }
}

/// The chain from its genesis until BTC-PERP trades at `price`.
pub fn opened_at(price: Price) -> TestExternalities {
    let mut chain = development();
    chain.execute_with(|| {
        while !market().fresh {
            block(price, || ());
            assert!(System::block_number() < 20, "the market does not open");
        }
    });
    chain
}

/// Events of the present block.
pub fn events() -> Vec<RuntimeEvent> {
    System::events()
        .into_iter()
        .map(|record| record.event)
        .collect()
}

/// Fills of the present block.
pub fn fills() -> Vec<Fill<AccountId>> {
    let of = |event| match event {
        RuntimeEvent::Clearing(pallet_clearing::Event::Cleared { fills, .. }) => fills.into_inner(),
        _ => Vec::new(),
    };
    events().into_iter().flat_map(of).collect()
}

/// Events of the liquidation pallet in the present block.
pub fn liquidations() -> Vec<pallet_liquidation::Event<Runtime>> {
    let of = |event| match event {
        RuntimeEvent::Liquidation(event) => Some(event),
        _ => None,
    };
    events().into_iter().filter_map(of).collect()
}

/// Refusals of requests that this close dropped.
pub fn dropped() -> Vec<pallet_clearing::Refusal> {
    let of = |event| match event {
        RuntimeEvent::Clearing(pallet_clearing::Event::Dropped { reason, .. }) => Some(reason),
        _ => None,
    };
    events().into_iter().filter_map(of).collect()
}

// ---------------------------------------------------------------------------------------------------------------------
// Transactions
// ---------------------------------------------------------------------------------------------------------------------

thread_local! {
    /// Key derivation takes longer than a block.
    static PAIRS: RefCell<HashMap<Sr25519Keyring, sr25519::Pair>> = RefCell::default();
    static NEXT_CLIENT: Cell<ClientId> = const { Cell::new(1) };
    /// See [`recompute`].
    static LEDGER: RefCell<HashMap<Vec<u8>, Recomputed>> = RefCell::default();
}

fn pair(who: Sr25519Keyring) -> sr25519::Pair {
    PAIRS.with(|pairs| {
        pairs
            .borrow_mut()
            .entry(who)
            .or_insert_with(|| who.pair())
            .clone()
    })
}

/// `call`, signed by `who` with the next nonce.
pub fn signed(who: Sr25519Keyring, call: RuntimeCall) -> UncheckedExtrinsic {
    signed_with_nonce(who, call, System::account_nonce(who.to_account_id()))
}

/// `call`, signed by `who`.
pub fn signed_with_nonce(who: Sr25519Keyring, call: RuntimeCall, nonce: u32) -> UncheckedExtrinsic {
    let extension: TxExtension = (
        frame_system::AuthorizeCall::new(),
        frame_system::CheckNonZeroSender::new(),
        frame_system::CheckSpecVersion::new(),
        frame_system::CheckTxVersion::new(),
        novate_runtime::extensions::CheckGenesis,
        novate_runtime::extensions::CheckMortality(Era::Immortal),
        frame_system::CheckNonce::from(nonce),
        frame_system::CheckWeight::new(),
        pallet_transaction_payment::ChargeTransactionPayment::from(0),
        frame_metadata_hash_extension::CheckMetadataHash::new(false),
        frame_system::WeightReclaim::new(),
    );
    let payload = SignedPayload::new(call, extension).expect("the extensions have their implicit");
    let signature = payload.using_encoded(|bytes| pair(who).sign(bytes));
    let (call, extension, _) = payload.deconstruct();
    UncheckedExtrinsic::new_signed(
        call,
        MultiAddress::Id(who.to_account_id()),
        MultiSignature::Sr25519(signature),
        extension,
    )
}

/// Sends `call` into the present block: not included (the block is full), or included with its outcome.
pub fn send(
    who: Sr25519Keyring,
    call: impl Into<RuntimeCall>,
) -> Result<DispatchResult, TransactionValidityError> {
    Executive::apply_extrinsic(signed(who, call.into()))
}

/// Sends `call`, which is included.
pub fn submit(who: Sr25519Keyring, call: impl Into<RuntimeCall>) -> DispatchResult {
    send(who, call).expect("the transaction is valid and the block has room")
}

/// Sends `call` by the root origin, as the development chain's governance does.
pub fn govern(call: impl Into<RuntimeCall>) -> DispatchResult {
    submit(
        Alice,
        pallet_sudo::Call::sudo {
            call: Box::new(call.into()),
        },
    )?;
    governed()
}

/// What the last call of governance in this block came to.
pub fn governed() -> DispatchResult {
    let of = |event| match event {
        RuntimeEvent::Sudo(pallet_sudo::Event::Sudid { sudo_result }) => Some(sudo_result),
        _ => None,
    };
    events()
        .into_iter()
        .rev()
        .find_map(of)
        .expect("sudo reports")
}

/// The validator's observation of `prices`, as its worker sends it.
pub fn observation(prices: &[(FeedId, Price)]) -> UncheckedExtrinsic {
    let observation = Observation {
        validator: 0,
        round: System::block_number() - 1,
        observed_at: now(),
        prices: prices
            .iter()
            .map(|(feed, price)| ObservedPrice {
                feed: *feed,
                price: *price,
                confidence: Price::from_inner(0),
            })
            .collect::<Vec<_>>()
            .try_into()
            .expect("few feeds"),
    };
    let (set, key) = validator();
    let signature = key.sign(&Oracle::payload(set, &observation));
    general(pallet_price_oracle::Call::observe {
        observation,
        signature,
    })
}

/// The validator's observation of a feed's volatilities.
pub fn surface_observation(feed: FeedId, smiles: Vec<ObservedSmile>) -> UncheckedExtrinsic {
    let observation = SurfaceObservation {
        validator: 0,
        round: System::block_number() - 1,
        observed_at: now(),
        feed,
        smiles: smiles.try_into().expect("few expiries"),
    };
    let (set, key) = validator();
    let signature = key.sign(&Oracle::surface_payload(set, &observation));
    general(pallet_price_oracle::Call::observe_surface {
        observation,
        signature,
    })
}

/// The number of the set in force, and the key of its one validator.
fn validator() -> (u64, AuthorityPair) {
    let set = pallet_price_oracle::Observers::<Runtime>::get();
    let key = set.keys.first().map(|key| key.encode());
    let signer = [Alice, Bob, Charlie, Dave]
        .into_iter()
        .find(|who| Some(who.public().encode()) == key)
        .expect("the validator's key is known");
    (set.id, AuthorityPair::from(pair(signer)))
}

/// An observation as a transaction: general, without a signer.
pub fn general(call: pallet_price_oracle::Call<Runtime>) -> UncheckedExtrinsic {
    use frame_system::offchain::CreateAuthorizedTransaction;
    type Call = pallet_price_oracle::Call<Runtime>;
    let extension = <Runtime as CreateAuthorizedTransaction<Call>>::create_extension();
    UncheckedExtrinsic::new_transaction(call.into(), extension)
}

/// Observes a price of bitcoin, and stablecoins at one USD.
pub fn observe(bitcoin: Price) {
    let one = usd(1);
    observe_all(&[(BTC_FEED, bitcoin), (USDC_FEED, one), (USDT_FEED, one)])
}

/// Observes `prices`.
pub fn observe_all(prices: &[(FeedId, Price)]) {
    Executive::apply_extrinsic(observation(prices))
        .expect("the observation is authorised")
        .expect("and recorded");
}

/// A price in whole USD.
pub fn usd(price: u64) -> Price {
    Price::from_inner(u128::from(price) * 1_000_000_000_000_000_000)
}

/// Its ticks.
pub fn ticks(dollars: u64) -> Ticks {
    dollars * 2
}

/// The first account of `who`.
pub fn main_account(who: Sr25519Keyring) -> Account {
    AccountRef::new(who.to_account_id(), 0)
}

/// Deposits whole USDC into the first account of `who`.
pub fn deposit(who: Sr25519Keyring, dollars: u64) {
    deposit_into(who, 0, USDC, u128::from(dollars) * 1_000_000).expect("the wallet has it")
}

/// Deposits an asset, in its smallest units.
pub fn deposit_into(
    who: Sr25519Keyring,
    sub: SubaccountId,
    asset: u32,
    amount: u128,
) -> DispatchResult {
    submit(who, pallet_margin::Call::deposit { sub, asset, amount })
}

/// Asks for a withdrawal.
pub fn withdraw(who: Sr25519Keyring, asset: u32, amount: u128) -> DispatchResult {
    withdraw_from(who, 0, asset, amount)
}

/// Asks for one from an account.
pub fn withdraw_from(
    who: Sr25519Keyring,
    sub: SubaccountId,
    asset: u32,
    amount: u128,
) -> DispatchResult {
    submit(who, pallet_clearing::Call::withdraw { sub, asset, amount })
}

/// Lets bitcoin have a surface of volatilities, as a genesis could: no feed of the preset has option chains.
pub fn with_option_chains() {
    pallet_price_oracle::Feeds::<Runtime>::mutate(|feeds| {
        feeds.get_mut(&BTC_FEED).expect("it is there").min_chains = LEAST_CHAINS;
    });
}

/// Lists a contract on bitcoin under its ticker, and returns its number.
pub fn list_on_bitcoin(
    kind: InstrumentKind,
    tick_size: Price,
    lot_size: Price,
    params: MarketParams,
) -> MarketId {
    let symbol = symbol_of("BTC", &kind, tick_size).expect("a strike like any");
    let call = pallet_instruments::Call::list_market {
        symbol: symbol.expect("a short name"),
        kind,
        underlying: BTC_FEED,
        tick_size,
        lot_size,
        params,
    };
    govern(call).expect("the contract is in order");
    pallet_instruments::NextMarket::<Runtime>::get() - 1
}

/// A good-til-cancelled order of BTC-PERP with a client id of its own.
pub fn order(side: Side, lots: Lots, ticks: Ticks) -> NewOrder {
    NewOrder {
        market: BTC_PERP,
        client_id: NEXT_CLIENT.with(|next| next.replace(next.get() + 1)),
        side,
        lots,
        price: OrderPrice::Limit(ticks),
        time_in_force: TimeInForce::GoodTilCancelled,
        reduce_only: false,
        self_trade_prevention: SelfTradePrevention::CancelNewest,
    }
}

/// Sends operations of one account and returns their outcomes.
pub fn operate(
    who: Sr25519Keyring,
    sub: SubaccountId,
    operations: Vec<Operation>,
) -> Result<Vec<Result<Accepted, OrderError>>, DispatchError> {
    submit(who, submit_call(sub, operations))?;
    Ok(outcomes())
}

/// The call that operates.
pub fn submit_call(sub: SubaccountId, operations: Vec<Operation>) -> RuntimeCall {
    let operations = operations.try_into().expect("at most 64");
    pallet_order_book::Call::<Runtime>::submit { sub, operations }.into()
}

/// Outcomes of the last order extrinsic of this block.
pub fn outcomes() -> Vec<Result<Accepted, OrderError>> {
    let of = |event| match event {
        RuntimeEvent::OrderBook(pallet_order_book::Event::Submitted { outcomes, .. }) => {
            Some(outcomes.into_inner())
        }
        _ => None,
    };
    events()
        .into_iter()
        .rev()
        .find_map(of)
        .expect("operations are reported")
}

/// Places one order of the first account of `who`.
pub fn place(who: Sr25519Keyring, order: NewOrder) -> Result<u64, OrderError> {
    place_sub(who, 0, order)
}

/// Places one order.
pub fn place_sub(
    who: Sr25519Keyring,
    sub: SubaccountId,
    order: NewOrder,
) -> Result<u64, OrderError> {
    let outcomes = operate(who, sub, vec![Operation::Place(order)]).expect("the account is open");
    match outcomes[0] {
        Ok(Accepted::Placed(sequence)) => Ok(sequence),
        Ok(other) => panic!("placing did {other:?}"),
        Err(refusal) => Err(refusal),
    }
}

/// Bids.
pub fn bid(who: Sr25519Keyring, lots: Lots, ticks: Ticks) -> Result<u64, OrderError> {
    place(who, order(Side::Bid, lots, ticks))
}

/// Asks.
pub fn ask(who: Sr25519Keyring, lots: Lots, ticks: Ticks) -> Result<u64, OrderError> {
    place(who, order(Side::Ask, lots, ticks))
}

/// Cancels one order.
pub fn cancel(who: Sr25519Keyring, sequence: u64) -> Result<Accepted, OrderError> {
    let target = OrderTarget::Sequence(sequence);
    operate(who, 0, vec![Operation::Cancel(target)]).expect("the account is open")[0]
}

// ---------------------------------------------------------------------------------------------------------------------
// What stands
// ---------------------------------------------------------------------------------------------------------------------

/// Prices and parameters of the last close.
pub fn view() -> RiskView {
    Clearing::view()
}

/// BTC-PERP after the last close, or before the first one a market without a price.
pub fn market() -> MarketView {
    view().market(BTC_PERP).cloned().unwrap_or(MarketView {
        id: BTC_PERP,
        underlying: BTC_FEED,
        status: novate_types::MarketStatus::Halted,
        tick_size: Price::default(),
        lot_size: Price::default(),
        tick_value: 0,
        mark: Price::default(),
        index: Price::default(),
        observed_at: 0,
        fresh: false,
        funding_index: 0,
        short_funding_index: 0,
        imf: 0,
        mmf: 0,
        profit_credit: 0,
        price_band: 0,
        min_notional: 0,
        impact_notional: 0,
        open_interest_cap: 0,
        auction_at: 0,
        contract: Default::default(),
    })
}

/// A margin account.
pub fn account(of: &Account) -> MarginAccount {
    Margin::account(of).unwrap_or_else(|| panic!("{of:?} is not open"))
}

/// The first account of `who`.
pub fn held(who: Sr25519Keyring) -> MarginAccount {
    account(&main_account(who))
}

/// What it is worth and needs.
pub fn assess(of: &Account) -> Assessment {
    novate_runtime::configs::exchange::RiskRules::assess(&account(of), &view())
        .expect("the account can be assessed")
}

/// The insurance fund's cash.
pub fn insurance() -> Cash {
    account(&InsuranceFund::get()).cash
}

/// The vault's account.
pub fn vault() -> Account {
    Vault::get()
}

/// What a pot holds.
pub fn pot(pot: Pot) -> Cash {
    Margin::pot(pot)
}

/// Every margin account, by owner and number.
pub fn accounts() -> Vec<(Account, MarginAccount)> {
    let mut all: Vec<_> = pallet_margin::Accounts::<Runtime>::iter().collect();
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all
}

/// The equalities.
pub fn conserved() {
    let sums = Margin::conservation().expect("no sum overflows");
    assert!(sums.holds(), "block {}: {sums:#?}", System::block_number());
}

/// The equalities, and every pallet's own.
pub fn equalities() {
    conserved();
    let at = System::block_number();
    let check = |name: &str, held: Result<(), sp_runtime::TryRuntimeError>| {
        if let Err(error) = held {
            panic!("block {at}: {name}: {error:?}")
        }
    };
    check("instruments", Instruments::do_try_state());
    check("oracle", Oracle::do_try_state());
    check("margin", Margin::do_try_state());
    check("order book", OrderBook::do_try_state());
    check("clearing", Clearing::do_try_state());
    check("liquidation", Liquidation::do_try_state());
}

// ---------------------------------------------------------------------------------------------------------------------
// The account from its fills
// ---------------------------------------------------------------------------------------------------------------------

/// One account's position in BTC-PERP and what its trading did to its cash, kept from published fills alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recomputed {
    /// Quantums that trading brought, fees and funding included.
    pub cash: Cash,
    /// Signed lots.
    pub lots: i128,
    /// What the position cost.
    pub cost: Cash,
    /// Funding index to which it has settled.
    pub settled: i128,
}

/// The least whole number at or above `a / b`.
pub fn ceil_div(a: i128, b: i128) -> i128 {
    -(-a).div_euclid(b)
}

impl Recomputed {
    /// One fill at the close whose funding index is `index`. Section 2 of the protocol, written out once more.
    pub fn fill(&mut self, fill: &Fill<AccountId>, index: i128) {
        let change = match fill.side {
            Side::Bid => i128::from(fill.lots),
            Side::Ask => -i128::from(fill.lots),
        };
        let price = i128::from(fill.ticks) * TICK_VALUE;
        self.cash -= ceil_div((index - self.settled) * self.lots, 1 << 32);
        self.settled = index;
        let closed = if change.signum() == -self.lots.signum() {
            change.abs().min(self.lots.abs())
        } else {
            0
        };
        if closed > 0 {
            let part = ceil_div(self.cost * closed, self.lots.abs());
            let closing = closed * change.signum();
            self.cash += -closing * price - part;
            self.cost -= part;
            self.lots += closing;
            if self.lots == 0 {
                self.cash -= self.cost;
                self.cost = 0;
            }
        }
        let opened = change - closed * change.signum();
        self.cost += opened * price;
        self.lots += opened;
        self.cash -= fill.fee;
    }
}

/// Books this block's fills. Call after every close; [`recomputed`] then knows every account.
pub fn recompute() {
    let index = market().funding_index;
    LEDGER.with(|ledger| {
        let mut ledger = ledger.borrow_mut();
        for fill in fills() {
            ledger
                .entry(fill.account.encode())
                .or_default()
                .fill(&fill, index);
        }
    });
}

/// What an account's fills come to.
pub fn recomputed(of: &Account) -> Recomputed {
    LEDGER.with(|ledger| {
        ledger
            .borrow()
            .get(&of.encode())
            .cloned()
            .unwrap_or_default()
    })
}
