//! A chain of nothing but the oracle, and venues that answer as a test tells them. Governance is root, the emergency
//! origin is account 7 (or root, for the benchmarks).

use crate::{
    self as pallet_price_oracle,
    crypto::{AuthorityId, AuthoritySignature, KEY_TYPE},
    surface::{ObservedSmile, SurfaceObservation},
    types::*,
    venues, EqualWeights,
};
use codec::{Decode, Encode};
use frame_support::{
    derive_impl,
    dispatch::GetDispatchInfo,
    ord_parameter_types, parameter_types,
    traits::{ConstU32, ConstU64, ConstU8, Contains, EitherOfDiverse, OneSessionHandler, Time},
    BoundedVec,
};
use frame_system::{
    offchain::{CreateAuthorizedTransaction, CreateTransaction, CreateTransactionBase},
    EnsureRoot, EnsureSignedBy,
};
use novate_types::{EraIndex, FeedId, FeedPrice, Millis, Price, PriceFeeds};
use sp_core::offchain::{
    testing::TestOffchainExt, DbExternalities, Externalities, HttpError, HttpRequestId,
    HttpRequestStatus, OffchainDbExt, OffchainWorkerExt, OpaqueNetworkState, StorageKind,
    Timestamp as Instant, TransactionPool, TransactionPoolExt,
};
use sp_core::OpaquePeerId;
use sp_keystore::{testing::MemoryKeystore, KeystoreExt};
use sp_runtime::{
    generic,
    testing::UintAuthorityId,
    traits::{Applyable, BlakeTwo256, Checkable},
    transaction_validity::{TransactionSource, TransactionValidityError, ValidTransaction},
    BuildStorage, RuntimeAppPublic,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

pub type TransactionExtension = (frame_system::AuthorizeCall<Test>,);
pub type UncheckedExtrinsic =
    generic::UncheckedExtrinsic<u64, RuntimeCall, UintAuthorityId, TransactionExtension>;
pub type Block = generic::Block<generic::Header<u32, BlakeTwo256>, UncheckedExtrinsic>;

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
        RuntimeTask
    )]
    pub struct Test;

    #[runtime::pallet_index(0)]
    pub type System = frame_system::Pallet<Test>;

    #[runtime::pallet_index(1)]
    pub type Oracle = pallet_price_oracle::Pallet<Test>;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
}

pub const EMERGENCY: u64 = 7;
pub const TIMELOCK: u32 = 10;
pub const MAX_STEP: u8 = 2;
pub const MAX_PENDING: u32 = 4;
pub const MAX_APPLIED: u32 = 2;
pub const SESSIONS: u32 = 2;
pub const KEPT: u32 = 3;

ord_parameter_types! {
    pub const Emergency: u64 = EMERGENCY;
}

parameter_types! {
    /// The block's time.
    pub static BlockMillis: Millis = NOW;
    /// Feeds that a market is priced by.
    pub static Needed: Vec<FeedId> = vec![];
    /// Options that are listed: expiry and strike.
    pub static ListedOptions: Vec<(Millis, String)> = vec![];
    /// What verdicts had as consequences.
    pub static Followed: Vec<Consequence> = vec![];
}

pub struct Listed;

impl crate::surface::ListedStrikes for Listed {
    /// On the feed's own price.
    fn strikes(feed: FeedId) -> Vec<crate::surface::ListedStrike> {
        let prices = crate::Prices::<Test>::get();
        let Some(forward) = prices.get(&feed).map(|feed| feed.price) else {
            return vec![];
        };
        let listed = ListedOptions::get().into_iter();
        listed
            .map(|(expiry, strike)| crate::surface::ListedStrike {
                expiry,
                strike: price(&strike),
                forward,
            })
            .collect()
    }
}

pub struct InUse;

impl Contains<FeedId> for InUse {
    fn contains(feed: &FeedId) -> bool {
        Needed::get().contains(feed)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    Withheld(u64, EraIndex),
    Reported(u64, EraIndex),
}

pub struct Noting;

impl crate::Consequences<u64> for Noting {
    fn withhold(validator: &u64, era: EraIndex) {
        Followed::mutate(|followed| followed.push(Consequence::Withheld(*validator, era)));
    }
    fn report(validator: &u64, era: EraIndex) {
        Followed::mutate(|followed| followed.push(Consequence::Reported(*validator, era)));
    }
}

pub struct BlockTime;

impl Time for BlockTime {
    type Moment = Millis;

    fn now() -> Millis {
        BlockMillis::get()
    }
}

impl crate::Config for Test {
    type GovernanceOrigin = EnsureRoot<u64>;
    type EmergencyOrigin = EitherOfDiverse<EnsureRoot<u64>, EnsureSignedBy<Emergency, u64>>;
    type InUse = InUse;
    type Timelock = ConstU32<TIMELOCK>;
    type MaxStep = ConstU8<MAX_STEP>;
    type MaxPending = ConstU32<MAX_PENDING>;
    type MaxAppliedPerBlock = ConstU32<MAX_APPLIED>;
    type Time = BlockTime;
    type Weights = EqualWeights;
    type MaxValidators = ConstU32<16>;
    type Heartbeat = ConstU64<3_000>;
    type Deviation = ConstU32<1_000>;
    type SessionsPerEra = ConstU32<SESSIONS>;
    // A quarter.
    type OutlierShare = ConstU32<250_000>;
    type KeptEras = ConstU32<KEPT>;
    type OffenceEras = ConstU32<2>;
    type Consequences = Noting;
    type SurfaceHeartbeat = ConstU64<30_000>;
    // Two per cent.
    type SurfaceDeviation = ConstU32<20_000>;
    type SurfaceFreshFor = ConstU64<150_000>;
    type Strikes = Listed;
    type WeightInfo = ();
}

impl CreateTransactionBase<crate::Call<Test>> for Test {
    type Extrinsic = UncheckedExtrinsic;
    type RuntimeCall = RuntimeCall;
}

impl CreateTransaction<crate::Call<Test>> for Test {
    type Extension = TransactionExtension;

    fn create_transaction(
        call: RuntimeCall,
        extension: TransactionExtension,
    ) -> UncheckedExtrinsic {
        UncheckedExtrinsic::new_transaction(call, extension)
    }
}

impl CreateAuthorizedTransaction<crate::Call<Test>> for Test {
    fn create_extension() -> TransactionExtension {
        (frame_system::AuthorizeCall::new(),)
    }
}

/// 12 March 2023, noon: the time of blocks and of the worker's clock.
pub const NOW: Millis = 1_678_622_400_000;
/// The block that is being built.
pub const BLOCK: u32 = 100;

pub const BTC: FeedId = 1;
pub const USDC: FeedId = 2;
pub const USDT: FeedId = 3;

pub fn price(text: &str) -> Price {
    crate::decimal::parse(text).unwrap()
}

pub fn name(name: &str) -> SourceName {
    SourceName::try_from(name).unwrap()
}

/// The seven venues; BTC in dollars on four of them, in USDT on two, in USDC on one.
pub fn genesis_sources() -> Vec<(SourceName, Source)> {
    use venues::*;
    vec![
        (
            name("binance"),
            binance(vec![quoted_in(BTC, "BTCUSDT", USDT)]),
        ),
        (name("bitstamp"), bitstamp(vec![usd(BTC, "btcusd")])),
        (name("bybit"), bybit(vec![quoted_in(BTC, "BTCUSDC", USDC)])),
        (
            name("coinbase"),
            coinbase(vec![usd(BTC, "BTC-USD"), usd(USDT, "USDT-USD")]),
        ),
        (name("crypto_com"), crypto_com(vec![usd(BTC, "BTC_USD")])),
        (
            name("kraken"),
            kraken(vec![
                usd(BTC, "XXBTZUSD"),
                usd(USDC, "USDCUSD"),
                usd(USDT, "USDTZUSD"),
            ]),
        ),
        (name("okx"), okx(vec![quoted_in(BTC, "BTC-USDT", USDT)])),
    ]
}

pub fn genesis_feeds() -> Vec<(FeedId, Feed)> {
    vec![
        (BTC, Feed::new("BTC")),
        (
            USDC,
            Feed {
                min_configured: 1,
                min_accepted: 1,
                min_usd: 1,
                ..Feed::stablecoin("USDC")
            },
        ),
        (USDT, Feed::stablecoin("USDT")),
    ]
}

/// What a venue answers.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    pub after: Millis,
    /// The connection breaks after the body.
    pub breaks: bool,
}

impl Answer {
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            body: body.into(),
            after: 50,
            breaks: false,
        }
    }
}

#[derive(Default)]
struct Web {
    answers: BTreeMap<String, Answer>,
    requests: Vec<String>,
    read: BTreeMap<u16, usize>,
}

/// Off-chain externalities whose venues answer by URL, late or broken if told so. Clock and local storage are those of
/// [`TestOffchainExt`].
#[derive(Clone, Default)]
pub struct Venues {
    node: TestOffchainExt,
    web: Arc<Mutex<Web>>,
}

impl Venues {
    pub fn answer(&self, url: &str, answer: Answer) {
        self.web.lock().unwrap().answers.insert(url.into(), answer);
    }

    pub fn set_clock(&self, now: Millis) {
        self.node.0.write().timestamp = Instant::from_unix_millis(now);
    }

    pub fn clock(&self) -> Millis {
        self.node.0.read().timestamp.unix_millis()
    }

    /// The URLs asked since the last call.
    pub fn requests(&self) -> Vec<String> {
        // The node counts request ids up; they restart with the list.
        let mut web = self.web.lock().unwrap();
        web.read.clear();
        std::mem::take(&mut web.requests)
    }

    /// Bitstamp at `btc` dollars, dated `time`.
    pub fn quote_bitstamp(&self, btc: &str, time: Millis) {
        let body = format!(
            r#"{{"timestamp":"{}","last":"{btc}","bid":"{btc}","ask":"{btc}"}}"#,
            time / 1_000
        );
        self.answer(URLS[1], Answer::ok(body));
    }

    /// The venues that quote in stablecoins at `btc` of them.
    pub fn quote_stable(&self, btc: &str) {
        self.answer(URLS[0], Answer::ok(format!(r#"[{{"symbol":"BTCUSDT","lastPrice":"{btc}","bidPrice":"{btc}","askPrice":"{btc}","closeTime":{NOW}}}]"#)));
        self.answer(URLS[2], Answer::ok(format!(r#"{{"result":{{"list":[{{"symbol":"BTCUSDC","bid1Price":"{btc}","ask1Price":"{btc}","lastPrice":"{btc}"}}]}},"time":{NOW}}}"#)));
        self.answer(URLS[7], Answer::ok(format!(r#"{{"data":[{{"instId":"BTC-USDT","last":"{btc}","askPx":"{btc}","bidPx":"{btc}","ts":"{NOW}"}}]}}"#)));
    }

    /// Every venue at `btc` dollars, with USDC and USDT at their prices, dated `now`.
    pub fn quote(&self, btc: &str, usdc: &str, usdt: &str, now: Millis) {
        let (dollars, usdc, usdt) = (price(btc), price(usdc), price(usdt));
        let text = |p: Price| crate::decimal::Short(p).to_string();
        let (btc, in_usdc, in_usdt) = (text(dollars), text(dollars / usdc), text(dollars / usdt));
        let (usdc, usdt) = (text(usdc), text(usdt));
        for (url, body) in [
            (
                URLS[0],
                format!(
                    r#"[{{"symbol":"BTCUSDT","lastPrice":"{in_usdt}","bidPrice":"{in_usdt}","askPrice":"{in_usdt}","closeTime":{now}}}]"#
                ),
            ),
            (
                URLS[1],
                format!(
                    r#"{{"timestamp":"{}","last":"{btc}","bid":"{btc}","ask":"{btc}","open":0}}"#,
                    now / 1_000
                ),
            ),
            (
                URLS[2],
                format!(
                    r#"{{"retCode":0,"result":{{"category":"spot","list":[{{"symbol":"BTCUSDC","bid1Price":"{in_usdc}","ask1Price":"{in_usdc}","lastPrice":"{in_usdc}"}}]}},"time":{now}}}"#
                ),
            ),
            (
                URLS[3],
                format!(
                    r#"{{"trade_id":1,"price":"{btc}","bid":"{btc}","ask":"{btc}","time":"2023-03-12T12:00:00Z"}}"#
                ),
            ),
            (
                URLS[4],
                format!(r#"{{"price":"{usdt}","bid":"{usdt}","ask":"{usdt}"}}"#),
            ),
            (
                URLS[5],
                format!(
                    r#"{{"code":0,"result":{{"data":[{{"i":"BTC_USD","a":"{btc}","b":"{btc}","k":"{btc}","t":{now}}}]}}}}"#
                ),
            ),
            (
                URLS[6],
                format!(
                    r#"{{"error":[],"result":{{"USDCUSD":{},"XXBTZUSD":{},"USDTZUSD":{}}}}}"#,
                    kraken_pair(&usdc),
                    kraken_pair(&btc),
                    kraken_pair(&usdt)
                ),
            ),
            (
                URLS[7],
                format!(
                    r#"{{"code":"0","msg":"","data":[{{"instId":"BTC-USDT","last":"{in_usdt}","askPx":"{in_usdt}","bidPx":"{in_usdt}","ts":"{now}"}}]}}"#
                ),
            ),
        ] {
            self.answer(url, Answer::ok(body));
        }
    }
}

pub fn kraken_pair(price: &str) -> String {
    format!(r#"{{"a":["{price}","1","1.000"],"b":["{price}","1","1.000"],"c":["{price}","0.1"]}}"#)
}

/// What the genesis sources are asked, in the order of [`genesis_sources`].
pub const URLS: [&str; 8] = [
    "https://api.binance.com/api/v3/ticker/24hr?symbols=%5B%22BTCUSDT%22%5D",
    "https://www.bitstamp.net/api/v2/ticker/btcusd/",
    "https://api.bybit.com/v5/market/tickers?category=spot&symbol=BTCUSDC",
    "https://api.exchange.coinbase.com/products/BTC-USD/ticker",
    "https://api.exchange.coinbase.com/products/USDT-USD/ticker",
    "https://api.crypto.com/exchange/v1/public/get-tickers?instrument_name=BTC_USD",
    "https://api.kraken.com/0/public/Ticker?pair=XXBTZUSD,USDCUSD,USDTZUSD",
    "https://www.okx.com/api/v5/market/ticker?instId=BTC-USDT",
];

impl Externalities for Venues {
    fn is_validator(&self) -> bool {
        true
    }
    fn network_state(&self) -> Result<OpaqueNetworkState, ()> {
        Err(())
    }
    fn timestamp(&mut self) -> Instant {
        self.node.timestamp()
    }
    fn sleep_until(&mut self, deadline: Instant) {
        self.node.sleep_until(deadline)
    }
    fn random_seed(&mut self) -> [u8; 32] {
        [0; 32]
    }
    fn http_request_start(
        &mut self,
        method: &str,
        uri: &str,
        _: &[u8],
    ) -> Result<HttpRequestId, ()> {
        assert_eq!(method, "GET");
        let mut web = self.web.lock().unwrap();
        web.requests.push(uri.into());
        // A venue without an answer cannot be connected to.
        web.answers
            .contains_key(uri)
            .then(|| HttpRequestId(web.requests.len() as u16 - 1))
            .ok_or(())
    }
    fn http_request_add_header(&mut self, _: HttpRequestId, _: &str, _: &str) -> Result<(), ()> {
        Ok(())
    }
    fn http_request_write_body(
        &mut self,
        _: HttpRequestId,
        _: &[u8],
        _: Option<Instant>,
    ) -> Result<(), HttpError> {
        Ok(())
    }
    fn http_response_wait(
        &mut self,
        ids: &[HttpRequestId],
        deadline: Option<Instant>,
    ) -> Vec<HttpRequestStatus> {
        let now = self.clock();
        let deadline = deadline
            .expect("the worker never waits forever")
            .unix_millis();
        let web = self.web.lock().unwrap();
        let answers = ids
            .iter()
            .map(|id| &web.answers[&web.requests[id.0 as usize]]);
        let arrives = |a: &Answer| now + a.after;
        let until = answers
            .clone()
            .map(arrives)
            .max()
            .unwrap_or(now)
            .min(deadline);
        self.node.0.write().timestamp = Instant::from_unix_millis(until);
        answers
            .map(|a| match arrives(a) <= deadline {
                true => HttpRequestStatus::Finished(a.status),
                false => HttpRequestStatus::DeadlineReached,
            })
            .collect()
    }
    fn http_response_headers(&mut self, _: HttpRequestId) -> Vec<(Vec<u8>, Vec<u8>)> {
        vec![]
    }
    fn http_response_read_body(
        &mut self,
        id: HttpRequestId,
        buffer: &mut [u8],
        _: Option<Instant>,
    ) -> Result<usize, HttpError> {
        let mut web = self.web.lock().unwrap();
        let answer = web.answers[&web.requests[id.0 as usize]].clone();
        let at = web.read.entry(id.0).or_default();
        let n = (answer.body.len() - *at).min(buffer.len());
        if n == 0 && answer.breaks {
            return Err(HttpError::IoError);
        }
        buffer[..n].copy_from_slice(&answer.body[*at..*at + n]);
        *at += n;
        Ok(n)
    }
    fn set_authorized_nodes(&mut self, _: Vec<OpaquePeerId>, _: bool) {}
}

impl DbExternalities for Venues {
    fn local_storage_set(&mut self, kind: StorageKind, key: &[u8], value: &[u8]) {
        self.node.local_storage_set(kind, key, value)
    }
    fn local_storage_clear(&mut self, kind: StorageKind, key: &[u8]) {
        self.node.local_storage_clear(kind, key)
    }
    fn local_storage_compare_and_set(
        &mut self,
        kind: StorageKind,
        key: &[u8],
        old: Option<&[u8]>,
        new: &[u8],
    ) -> bool {
        self.node.local_storage_compare_and_set(kind, key, old, new)
    }
    fn local_storage_get(&mut self, kind: StorageKind, key: &[u8]) -> Option<Vec<u8>> {
        self.node.local_storage_get(kind, key)
    }
}

pub fn new_test_ext() -> sp_io::TestExternalities {
    let config = crate::GenesisConfig::<Test> {
        feeds: genesis_feeds(),
        sources: genesis_sources(),
        ..Default::default()
    };
    let storage = RuntimeGenesisConfig {
        oracle: config,
        ..Default::default()
    }
    .build_storage();
    let mut ext = sp_io::TestExternalities::new(storage.unwrap());
    ext.register_extension(KeystoreExt(Arc::new(MemoryKeystore::new())));
    ext.execute_with(|| {
        BlockMillis::set(NOW);
        Needed::set(vec![]);
        ListedOptions::set(vec![]);
        Followed::set(vec![]);
        System::set_block_number(BLOCK);
    });
    ext
}

/// Runs `test` on a chain whose validators' keys are all in the keystore: the worker acts for the first.
pub fn with_validators(count: usize, test: impl FnOnce(&[AuthorityId])) {
    new_test_ext().execute_with(|| {
        let keys: Vec<AuthorityId> = (0..count)
            .map(|i| generate(&format!("//Validator{i}")))
            .collect();
        set_validators(&keys);
        test(&keys);
        Oracle::do_try_state().unwrap();
    });
}

/// Runs `test` with venues that quote BTC at 20,000 dollars, USDC and USDT at one, on a chain of one validator which
/// already knows the stablecoins' prices.
pub fn with_venues(test: impl FnOnce(&Venues, &Pool)) {
    let venues = Venues::default();
    venues.set_clock(NOW);
    venues.quote("20000", "1", "1", NOW);
    let pool = Pool::default();
    let mut ext = new_test_ext();
    ext.register_extension(OffchainWorkerExt::new(venues.clone()));
    ext.register_extension(OffchainDbExt::new(venues.clone()));
    ext.register_extension(TransactionPoolExt::new(pool.clone()));
    ext.execute_with(|| {
        set_validators(&[generate("//Validator0")]);
        set_price(USDC, "1", NOW - 1_000);
        set_price(USDT, "1", NOW - 1_000);
        test(&venues, &pool);
    });
}

pub fn generate(seed: &str) -> AuthorityId {
    sp_io::crypto::sr25519_generate(KEY_TYPE, Some(seed.as_bytes().to_vec())).into()
}

/// A session of accounts 0, 1, 2 … with these keys begins.
pub fn set_validators(keys: &[AuthorityId]) {
    let accounts: Vec<u64> = (0..keys.len() as u64).collect();
    begin_session(&accounts, keys);
}

pub fn begin_session(accounts: &[u64], keys: &[AuthorityId]) {
    let set = || accounts.iter().zip(keys.iter().cloned());
    <Oracle as OneSessionHandler<u64>>::on_new_session(true, set(), set());
}

pub fn set_price(feed: FeedId, text: &str, observed_at: Millis) {
    let new = FeedPrice {
        price: price(text),
        confidence: price("0"),
        observed_at,
        block: BLOCK - 1,
    };
    crate::Prices::<Test>::mutate(|prices| prices.try_insert(feed, new).unwrap());
}

/// What the worker submitted.
#[derive(Clone, Default)]
pub struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

impl TransactionPool for Pool {
    fn submit_transaction(&mut self, extrinsic: Vec<u8>) -> Result<(), ()> {
        self.0.lock().unwrap().push(extrinsic);
        Ok(())
    }
}

impl Pool {
    /// Takes the only transaction submitted since the last call, if there was one.
    pub fn take(&self) -> Option<UncheckedExtrinsic> {
        let mut submitted = std::mem::take(&mut *self.0.lock().unwrap());
        assert!(submitted.len() <= 1);
        submitted
            .pop()
            .map(|bytes| UncheckedExtrinsic::decode(&mut &bytes[..]).unwrap())
    }

    /// The observations in those submitted since the last call, prices and volatilities.
    pub fn observations(&self) -> (Vec<Observation>, Vec<SurfaceObservation>) {
        let (mut prices, mut surfaces) = (vec![], vec![]);
        for bytes in std::mem::take(&mut *self.0.lock().unwrap()) {
            match UncheckedExtrinsic::decode(&mut &bytes[..])
                .unwrap()
                .function
            {
                RuntimeCall::Oracle(crate::Call::observe { observation, .. }) => {
                    prices.push(observation)
                }
                RuntimeCall::Oracle(crate::Call::observe_surface { observation, .. }) => {
                    surfaces.push(observation)
                }
                other => panic!("not an observation: {other:?}"),
            }
        }
        (prices, surfaces)
    }

    /// The observation in it.
    pub fn observation(&self) -> Option<Observation> {
        match self.take()?.function {
            RuntimeCall::Oracle(crate::Call::observe { observation, .. }) => Some(observation),
            other => panic!("not an observation: {other:?}"),
        }
    }
}

/// Validates a transaction as the pool does and applies it as a block does.
pub fn apply(
    transaction: UncheckedExtrinsic,
) -> Result<ValidTransaction, TransactionValidityError> {
    let info = transaction.get_dispatch_info();
    let length = transaction.encoded_size();
    let checked =
        Checkable::check(transaction, &frame_system::ChainContext::<Test>::default()).unwrap();
    let valid = checked.validate::<Test>(TransactionSource::External, &info, length);
    match checked.apply::<Test>(&info, length) {
        Ok(outcome) => {
            outcome.unwrap();
            valid
        }
        Err(error) => {
            assert_eq!(valid, Err(error));
            Err(error)
        }
    }
}

/// A validator's observation of round `BLOCK - 1`, made now, signed by `key` from the keystore.
pub fn observe(
    key: &AuthorityId,
    validator: u32,
    prices: &[(FeedId, &str)],
    change: impl FnOnce(&mut Observation),
) -> (Observation, AuthoritySignature) {
    let prices = prices.iter().map(|(feed, text)| ObservedPrice {
        feed: *feed,
        price: price(text),
        confidence: price("1"),
    });
    let mut observation = Observation {
        validator,
        round: System::block_number() - 1,
        observed_at: BlockMillis::get(),
        prices: BoundedVec::truncate_from(prices.collect()),
    };
    change(&mut observation);
    let set = crate::Observers::<Test>::get().id;
    let signature = key
        .sign(&Oracle::payload(set, &observation))
        .expect("the key is in the keystore");
    (observation, signature)
}

/// A validator's observation of BTC's volatilities, made now in round `BLOCK - 1`, signed by `key` from the keystore.
pub fn observe_surface(
    key: &AuthorityId,
    validator: u32,
    smiles: &[ObservedSmile],
    change: impl FnOnce(&mut SurfaceObservation),
) -> UncheckedExtrinsic {
    let mut observation = SurfaceObservation {
        validator,
        round: System::block_number() - 1,
        observed_at: BlockMillis::get(),
        feed: BTC,
        smiles: BoundedVec::truncate_from(smiles.to_vec()),
    };
    change(&mut observation);
    let set = crate::Observers::<Test>::get().id;
    let signature = key
        .sign(&Oracle::surface_payload(set, &observation))
        .expect("the key is in the keystore");
    let call = crate::Call::<Test>::observe_surface {
        observation,
        signature,
    };
    Test::create_authorized_transaction(call.into())
}

/// From now on BTC has a surface, made of two option chains.
pub fn want_surface() {
    put(Change::Feed(
        BTC,
        Some(Feed {
            min_chains: 2,
            ..Feed::new("BTC")
        }),
    ));
}

/// The same as a transaction.
pub fn transaction(signed: (Observation, AuthoritySignature)) -> UncheckedExtrinsic {
    let (observation, signature) = signed;
    let call = crate::Call::<Test>::observe {
        observation,
        signature,
    };
    Test::create_authorized_transaction(call.into())
}

/// Observations of all validators, each at its own price.
pub fn observe_all(keys: &[AuthorityId], feed: FeedId, prices: &[&str]) {
    for (index, (key, text)) in keys.iter().zip(prices).enumerate() {
        apply(transaction(observe(
            key,
            index as u32,
            &[(feed, text)],
            |_| {},
        )))
        .unwrap();
    }
}

/// The next block, `millis` later.
pub fn next_block(millis: Millis) {
    System::reset_events();
    System::set_block_number(System::block_number() + 1);
    BlockMillis::set(BlockMillis::get() + millis);
}

/// The close.
pub fn close() {
    Oracle::close_round(BlockMillis::get());
    Oracle::do_try_state().unwrap();
}

/// Puts a change in force at once, as the genesis does.
pub fn put(change: Change) {
    Oracle::apply(change).unwrap();
}

/// The close of the block in which what is scheduled now is due.
pub fn close_when_due() {
    System::set_block_number(System::block_number() + TIMELOCK);
    close();
}

/// The pallet's events of this block.
pub fn events() -> Vec<crate::Event<Test>> {
    System::events()
        .into_iter()
        .filter_map(|record| match record.event {
            RuntimeEvent::Oracle(event) => Some(event),
            _ => None,
        })
        .collect()
}
