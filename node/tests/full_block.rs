//! The real node under more work than its blocks hold: it fills one after another, and throws none away because the close
//! and the storage root came too late.

use codec::{Decode, Encode};
use frame_system::offchain::CreateAuthorizedTransaction;
use novate_runtime::{
    configs::exchange::{BTC_FEED, USDC, USDC_FEED},
    AccountId, Oracle, Runtime, RuntimeCall, UncheckedExtrinsic,
};
use novate_runtime_api::{Conservation, MarketInfo, QueryError};
use novate_types::{
    BlockNumber, ClientId, MarketId, NewOrder, Operation, OrderPrice, Price, SelfTradePrevention,
    Side, SubaccountId, Ticks, TimeInForce, MAX_OPERATIONS,
};
use pallet_price_oracle::{crypto::AuthorityPair, Observation, ObservedPrice, Observers};
use serde_json::{json, Value};
use sp_core::{
    bytes::{from_hex, to_hex},
    sr25519, Pair, H256,
};
use sp_io::TestExternalities;
use sp_keyring::Sr25519Keyring;
use sp_runtime::{generic::SignedPayload, MultiAddress, MultiSignature};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc, Mutex,
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// BTC-PERP, at ticks of half a dollar.
const MARKET: MarketId = 0;
const DOLLARS: u64 = 20_000;
const MARK: Ticks = 2 * DOLLARS;
/// Margin accounts of each owner.
const SUBACCOUNTS: SubaccountId = 4;
/// Extrinsics of each owner in the flood of orders, each of as many as it carries: the close has the most to do.
const BATCHES: u32 = 20;
/// Extrinsics of each owner in the flood of those that do nothing: their weight is nearest to their time.
const REMARKS: u32 = 500;

/// A node that dies with the test, and what it has logged.
struct Node {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_novate-node"))
            .args(["--dev", "--tmp", "--no-prometheus", "--no-telemetry"])
            .args(["--no-mdns", "--port", "0", "--rpc-port", "0"])
            // The test observes prices in the validator's place.
            .args(["--offchain-worker", "never"])
            .args(["--pool-limit", "100000", "--pool-kbytes", "200000"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the node starts");
        let lines = BufReader::new(child.stderr.take().expect("its log is piped")).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = log.clone();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        Self { child, log }
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Where its RPC listens.
    fn rpc(&self) -> Rpc {
        let address = |line: &String| {
            let listening = line.split("JSON-RPC server: addr=").nth(1)?;
            let v4 = listening
                .split(',')
                .find(|at| at.trim().starts_with("127."))?;
            Some(v4.trim().to_string())
        };
        eventually("the node listens", Duration::from_secs(60), || {
            self.log().iter().find_map(address)
        })
        .map_or_else(|late| panic!("{late}: {:#?}", self.log()), Rpc)
    }
}

/// Asks every tenth of a second until there is an answer.
fn eventually<R>(what: &str, within: Duration, ask: impl Fn() -> Option<R>) -> Result<R, String> {
    let began = Instant::now();
    while began.elapsed() < within {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        thread::sleep(Duration::from_millis(100));
    }
    Err(format!("{what}: not within {within:?}"))
}

/// JSON-RPC over HTTP, a connection for each request.
#[derive(Clone)]
struct Rpc(String);

impl Rpc {
    fn post(&self, request: &Value) -> Value {
        let body = request.to_string();
        let mut stream = TcpStream::connect(&self.0).expect("the node accepts");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("it is a duration");
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.0,
            body.len(),
        )
        .expect("the node reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("with a body");
        serde_json::from_str(body).unwrap_or_else(|e| panic!("{e} in {answer}"))
    }

    fn request(method: &str, params: Value) -> Value {
        json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
    }

    fn call(&self, method: &str, params: Value) -> Value {
        let answer = self.post(&Self::request(method, params));
        match answer.get("result") {
            Some(result) => result.clone(),
            None => panic!("{method}: {answer}"),
        }
    }

    /// Calls a runtime API at the best block.
    fn state<R: Decode>(&self, method: &str, arguments: impl Encode) -> R {
        let arguments = to_hex(&arguments.encode(), false);
        decoded(&self.call("state_call", json!([method, arguments])))
    }

    fn height(&self) -> BlockNumber {
        let header = self.call("chain_getHeader", json!([]));
        let number = header["number"].as_str().expect("a header has one");
        BlockNumber::from_str_radix(number.trim_start_matches("0x"), 16).expect("it is in hex")
    }

    /// Hands in transactions, all of which the pool takes.
    fn submit(&self, extrinsics: &[UncheckedExtrinsic]) {
        let submit = |extrinsic: &UncheckedExtrinsic| {
            Self::request(
                "author_submitExtrinsic",
                json!([to_hex(&extrinsic.encode(), false)]),
            )
        };
        for some in extrinsics.chunks(64) {
            let answers = self.post(&some.iter().map(submit).collect());
            for answer in answers.as_array().expect("a batch has its answers") {
                assert!(answer.get("result").is_some(), "{answer}");
            }
        }
    }

    fn nonce(&self, who: &AccountId) -> u32 {
        self.state("AccountNonceApi_account_nonce", who)
    }
}

fn decoded<R: Decode>(hex: &Value) -> R {
    let bytes = from_hex(hex.as_str().expect("bytes")).expect("in hex");
    R::decode(&mut &bytes[..]).expect("of that type")
}

/// What the transactions of this chain are signed over.
fn signing(genesis: H256) -> TestExternalities {
    let mut state = TestExternalities::default();
    state.execute_with(|| frame_system::BlockHash::<Runtime>::insert(0, genesis));
    state
}

/// A trader and its next nonce.
struct Trader {
    pair: sr25519::Pair,
    nonce: u32,
    side: Side,
    next_client: ClientId,
}

impl Trader {
    fn account(&self) -> AccountId {
        self.pair.public().into()
    }

    fn sign(&mut self, call: impl Into<RuntimeCall>) -> UncheckedExtrinsic {
        type Any = pallet_price_oracle::Call<Runtime>;
        let mut extension = <Runtime as CreateAuthorizedTransaction<Any>>::create_extension();
        extension.6 = frame_system::CheckNonce::from(self.nonce);
        self.nonce += 1;
        let payload = SignedPayload::new(call.into(), extension).expect("the genesis is known");
        let signature = payload.using_encoded(|bytes| self.pair.sign(bytes));
        let (call, extension, _) = payload.deconstruct();
        let signer = MultiAddress::Id(self.account());
        UncheckedExtrinsic::new_signed(call, signer, MultiSignature::Sr25519(signature), extension)
    }

    fn deposit(&mut self, sub: SubaccountId) -> UncheckedExtrinsic {
        let (asset, amount) = (USDC, 200_000_000_000);
        self.sign(pallet_margin::Call::deposit { sub, asset, amount })
    }

    /// Three quarters of the orders meet others at once, one quarter rests.
    fn orders(&mut self, sub: SubaccountId) -> UncheckedExtrinsic {
        let operations: Vec<_> = (0..MAX_OPERATIONS).map(|i| self.order(i)).collect();
        let operations = operations.try_into().expect("as many as one carries");
        self.sign(pallet_order_book::Call::submit { sub, operations })
    }

    fn order(&mut self, i: u32) -> Operation {
        let away = u64::from(i);
        let (reaching, resting) = match self.side {
            Side::Bid => (MARK + away, MARK - 2 - away),
            Side::Ask => (MARK - away, MARK + 2 + away),
        };
        let (ticks, time_in_force) = match i % 4 {
            0 => (resting, TimeInForce::GoodTilCancelled),
            _ => (reaching, TimeInForce::ImmediateOrCancel),
        };
        self.next_client += 1;
        Operation::Place(NewOrder {
            market: MARKET,
            client_id: self.next_client,
            side: self.side,
            lots: 20 + u64::from(i),
            price: OrderPrice::Limit(ticks),
            time_in_force,
            reduce_only: false,
            self_trade_prevention: SelfTradePrevention::CancelNewest,
        })
    }
}

/// Observes prices for the validator, once a block, until told to stop.
fn observe(rpc: Rpc, genesis: H256, stop: Arc<AtomicBool>) {
    let mut signing = signing(genesis);
    let pair = AuthorityPair::from(Sr25519Keyring::Alice.pair());
    let key = to_hex(&Observers::<Runtime>::hashed_key(), false);
    let observers = rpc.call("state_getStorage", json!([key]));
    let set = decoded::<pallet_price_oracle::ObserverSet<Runtime>>(&observers).id;
    let usd = |dollars: u64| Price::from_inner(u128::from(dollars) * 1_000_000_000_000_000_000);
    let mut seen = 0;
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(200));
        let round = rpc.height();
        if round <= seen {
            continue;
        }
        seen = round;
        let observed_at = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("it is later")
            .as_millis() as u64;
        let prices = [(BTC_FEED, usd(DOLLARS)), (USDC_FEED, usd(1))].map(|(feed, price)| {
            let confidence = usd(0);
            ObservedPrice {
                feed,
                price,
                confidence,
            }
        });
        let observation = Observation {
            validator: 0,
            round,
            observed_at,
            prices: prices.to_vec().try_into().expect("few feeds"),
        };
        let extrinsic = signing.execute_with(|| {
            let signature = pair.sign(&Oracle::payload(set, &observation));
            let call = pallet_price_oracle::Call::<Runtime>::observe {
                observation,
                signature,
            };
            type Own = pallet_price_oracle::Call<Runtime>;
            let extension = <Runtime as CreateAuthorizedTransaction<Own>>::create_extension();
            UncheckedExtrinsic::new_transaction(call.into(), extension)
        });
        // One that comes late is refused; the next is on its way.
        let bytes = to_hex(&extrinsic.encode(), false);
        rpc.post(&Rpc::request("author_submitExtrinsic", json!([bytes])));
    }
}

/// Whether a line of the log reports a block that ended before the transactions did.
fn is_full(line: &str) -> bool {
    let reasons = ["HitBlockWeightLimit", "HitBlockSizeLimit", "HitDeadline"];
    line.contains("Prepared block") && reasons.iter().any(|reason| line.contains(reason))
}

#[test]
fn full_blocks_are_never_discarded_when_more_comes_than_fits() {
    let node = Node::start();
    let rpc = node.rpc();
    let fail = |why: String| -> ! { panic!("{why}\n{}", node.log().join("\n")) };
    let wait = |what: &str, seconds, ask: &dyn Fn() -> Option<()>| {
        eventually(what, Duration::from_secs(seconds), ask).unwrap_or_else(|late| fail(late))
    };
    wait("a block", 30, &|| (rpc.height() > 0).then_some(()));

    let genesis = rpc.call("chain_getBlockHash", json!([0]));
    let genesis: H256 = decoded(&genesis);
    let stop = Arc::new(AtomicBool::new(false));
    let observer = {
        let (rpc, stop) = (rpc.clone(), stop.clone());
        thread::spawn(move || observe(rpc, genesis, stop))
    };
    let market = || {
        let markets: Vec<(MarketId, MarketInfo)> = rpc.state("NovateApi_markets", ());
        markets.into_iter().next().expect("BTC-PERP is listed").1
    };
    wait("the market opens", 90, &|| {
        let view = market().view?;
        (view.fresh && view.status.allows_risk()).then_some(())
    });

    let mut signing = signing(genesis);
    let mut traders: Vec<Trader> = Sr25519Keyring::well_known()
        .zip([Side::Bid, Side::Ask].into_iter().cycle())
        .map(|(owner, side)| Trader {
            pair: owner.pair(),
            nonce: rpc.nonce(&owner.to_account_id()),
            side,
            next_client: 0,
        })
        .collect();
    let included = |traders: &[Trader]| {
        traders
            .iter()
            .all(|trader| rpc.nonce(&trader.account()) == trader.nonce)
    };
    let deposits: Vec<_> = signing.execute_with(|| {
        let of = |trader: &mut Trader| (0..SUBACCOUNTS).map(|sub| trader.deposit(sub)).collect();
        traders.iter_mut().flat_map::<Vec<_>, _>(of).collect()
    });
    rpc.submit(&deposits);
    wait("the deposits", 30, &|| included(&traders).then_some(()));

    let mut flood = |count: u32, call: &dyn Fn(&mut Trader, u32) -> UncheckedExtrinsic| {
        let extrinsics: Vec<_> = signing.execute_with(|| {
            let of_all = |i| traders.iter_mut().map(|trader| call(trader, i)).collect();
            (0..count).flat_map::<Vec<_>, _>(of_all).collect()
        });
        let (began, first, logged) = (Instant::now(), rpc.height(), node.log().len());
        rpc.submit(&extrinsics);
        wait("the flood", 180, &|| included(&traders).then_some(()));
        let (took, blocks) = (began.elapsed(), rpc.height() - first);
        let full: Vec<_> = node.log().split_off(logged);
        let full: Vec<_> = full.into_iter().filter(|line| is_full(line)).collect();
        let (sent, number) = (extrinsics.len(), full.len());
        println!("{}", full.join("\n"));
        println!("{sent} extrinsics in {blocks} blocks and {took:?}, {number} of them full");
        if number < 2 {
            fail("the flood filled too few blocks".into());
        }
        if u64::from(blocks) * 3 < took.as_secs() {
            fail("the blocks come too slowly".into());
        }
    };
    flood(BATCHES, &|trader, i| {
        trader.orders(i as SubaccountId % SUBACCOUNTS)
    });
    flood(REMARKS, &|trader, _| {
        let remark = vec![0; 32];
        trader.sign(frame_system::Call::remark { remark })
    });
    stop.store(true, Ordering::Relaxed);
    observer.join().expect("the observer ends");

    let log = node.log();
    let lost = [
        "Discarding proposal",
        "took too long",
        "Proposing failed",
        "no time left to propose",
        "Creating inherent data took more time",
    ];
    if let Some(line) = log
        .iter()
        .find(|line| lost.iter().any(|loss| line.contains(loss)))
    {
        fail(format!("a block was lost: {line}"));
    }
    // It was work: orders filled, and the books still balance.
    let open = market().open_interest;
    println!("{open} lots open");
    assert!(open > 50_000);
    let sums: Result<Conservation, QueryError> = rpc.state("NovateApi_conservation", ());
    assert!(sums.expect("no sum overflows").holds());
}
