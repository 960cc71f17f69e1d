//! The runtime's WASM as nodes execute it: its author calls it once per extrinsic and its importers once per block, and both
//! reach the same state.
//!
//! `NOVATE_BLOCKS` random blocks, of `NOVATE_SEED` or of as many seeds as `PROPTEST_CASES` says.

use crate::common::{crowd::*, *};
use codec::{Decode, DecodeAll, Encode};
use novate_runtime::{
    AccountId, Block, Executive, Header, Runtime, System, Timestamp, UncheckedExtrinsic,
    SLOT_MILLIS, WASM_BINARY,
};
use novate_runtime_api::NovateApi;
use novate_types::{BlockNumber, Millis};
use sc_executor::WasmExecutor;
use sp_api::RuntimeApiInfo;
use sp_core::{
    traits::{CallContext, RuntimeCode, WrappedRuntimeCode},
    Blake2Hasher, OpaqueMetadata, H256,
};
use sp_externalities::{set_and_run_with_externalities, Extensions};
use sp_inherents::{CheckInherentsResult, InherentData};
use sp_runtime::{
    generic::{Digest, DigestItem},
    traits::Header as _,
    ApplyExtrinsicResult, ExtrinsicInclusionMode, StateVersion,
};
use sp_state_machine::{Ext, InMemoryBackend, OverlayedChanges, StateMachine, StorageChanges};
use sp_version::RuntimeVersion;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
    time::Instant,
};

type Backend = InMemoryBackend<Blake2Hasher>;
type Changes = StorageChanges<Blake2Hasher>;

/// Compiles the blob once for all tests.
static EXECUTOR: LazyLock<WasmExecutor> = LazyLock::new(WasmExecutor::default);

/// A state, and what was changed in it since.
struct State<'a> {
    before: &'a Backend,
    changed: OverlayedChanges<Blake2Hasher>,
}

impl<'a> State<'a> {
    fn of(before: &'a Backend) -> Self {
        Self {
            before,
            changed: Default::default(),
        }
    }

    /// What the blob answers; an error if it trapped.
    fn call<R: Decode>(&mut self, method: &str, arguments: impl Encode) -> Result<R, String> {
        let blob = WASM_BINARY.expect("the tests were built without SKIP_WASM_BUILD");
        let code = RuntimeCode {
            code_fetcher: &WrappedRuntimeCode(blob.into()),
            heap_pages: None,
            hash: b"the only blob there is".to_vec(),
        };
        let answer = StateMachine::new(
            self.before,
            &mut self.changed,
            &*EXECUTOR,
            method,
            &arguments.encode(),
            &mut Extensions::default(),
            &code,
            CallContext::Onchain { import: false },
        )
        .execute()
        .map_err(|error| format!("{method}: {error}"))?;
        Ok(R::decode_all(&mut &answer[..]).expect("the blob answers in its own types"))
    }

    /// What native code answers.
    fn natively<R>(&mut self, act: impl FnOnce() -> R) -> R {
        let mut ext = Ext::new(&mut self.changed, self.before, None);
        set_and_run_with_externalities(&mut ext, act)
    }

    /// Does `act`, and undoes it unless it says to keep it.
    fn attempt<R>(&mut self, act: impl FnOnce(&mut Self) -> (bool, R)) -> R {
        self.changed.start_transaction();
        let (keep, done) = act(self);
        if keep {
            self.changed.commit_transaction()
        } else {
            self.changed.rollback_transaction()
        }
        .expect("the transaction is open");
        done
    }

    fn into_changes(mut self) -> Changes {
        self.changed
            .drain_storage_changes(self.before, StateVersion::V1)
            .expect("no transaction is open")
    }
}

/// A chain: the state after its last block, that block's number and its time.
struct Chain {
    state: Backend,
    number: BlockNumber,
    time: Millis,
}

impl Chain {
    /// The crowd's chain, on which it has made its deposits.
    fn of(mut crowded: TestExternalities) -> Self {
        let (number, time) = crowded.execute_with(|| (System::block_number(), Timestamp::get()));
        Self {
            state: crowded.as_backend(),
            number,
            time,
        }
    }

    /// The inherents' data of a block at `time`.
    fn inherents(time: Millis) -> InherentData {
        let mut data = InherentData::new();
        data.put_data(*b"timstap0", &time).expect("it is empty");
        data
    }
}

/// A block that is being built.
struct Proposal<'a> {
    state: State<'a>,
    extrinsics: Vec<UncheckedExtrinsic>,
}

impl<'a> Proposal<'a> {
    fn begin(chain: &'a Chain, time: Millis) -> Self {
        let slot = DigestItem::PreRuntime(*b"aura", (time / SLOT_MILLIS).encode());
        // Signatures are randomised and so are real hashes, and matching breaks ties by the parent's: a seed would then
        // not reproduce its run.
        let parent = sp_io::hashing::blake2_256(&chain.number.encode()).into();
        let header = Header::new(
            chain.number + 1,
            H256::zero(),
            H256::zero(),
            parent,
            Digest { logs: vec![slot] },
        );
        let mut block = Self {
            state: State::of(&chain.state),
            extrinsics: Vec::new(),
        };
        let mode = block.state.call("Core_initialize_block", header);
        assert_eq!(mode, Ok(ExtrinsicInclusionMode::AllExtrinsics));
        let data = Chain::inherents(time);
        let inherents: Vec<UncheckedExtrinsic> = block
            .state
            .attempt(|state| (false, state.call("BlockBuilder_inherent_extrinsics", data)))
            .expect("it makes inherents");
        for inherent in inherents {
            assert_eq!(block.push(inherent), Ok(Ok(())));
        }
        block
    }

    /// Appends an extrinsic, unless it is invalid.
    fn push(&mut self, extrinsic: UncheckedExtrinsic) -> ApplyExtrinsicResult {
        let applied: ApplyExtrinsicResult = self.state.attempt(|state| {
            let applied: ApplyExtrinsicResult = state
                .call("BlockBuilder_apply_extrinsic", &extrinsic)
                .expect("it does not trap");
            (applied.is_ok(), applied)
        });
        if applied.is_ok() {
            self.extrinsics.push(extrinsic);
        }
        applied
    }

    /// What the validator sends in this block, if the crowd lets it see anything: tried natively, and undone.
    fn observation(&mut self, run: &mut Run) -> Option<UncheckedExtrinsic> {
        let index = self.extrinsics.len() as u32;
        let sent = self.state.attempt(|state| {
            let noted = state.natively(|| {
                run.observe();
                System::extrinsic_data(index)
            });
            (false, noted)
        });
        (!sent.is_empty()).then(|| Decode::decode(&mut &sent[..]).expect("it was applied"))
    }

    fn end(mut self, run: &mut Run) -> (Block, Changes) {
        let header: Header = self
            .state
            .call("BlockBuilder_finalize_block", ())
            .expect("it closes");
        self.state.natively(|| run.count_events());
        let block = Block {
            header,
            extrinsics: self.extrinsics,
        };
        (block, self.state.into_changes())
    }
}

/// Authors a block of the crowd's on `chain`, with extrinsics among them that no block can take.
fn author(chain: &Chain, run: &mut Run, turned_away: &mut u64) -> (Block, Changes, Millis) {
    let time = chain.time + run.pause();
    let mut block = Proposal::begin(chain, time);
    if let Some(observation) = block.observation(run) {
        assert_eq!(block.push(observation), Ok(Ok(())));
    }
    for _ in 0..2 + run.random.below(8) {
        let future = run.random.one_in(10);
        let extrinsic = block.state.natively(|| {
            let (who, call) = run.something();
            let nonce = System::account_nonce(who.to_account_id());
            signed_with_nonce(who, call, nonce + u32::from(future))
        });
        match block.push(extrinsic) {
            Ok(Ok(())) => run.tally.accepted += 1,
            Ok(Err(error)) => {
                *run.tally.refused.entry(format!("{error:?}")).or_default() += 1;
            }
            Err(_) => *turned_away += 1,
        }
    }
    let (block, changes) = block.end(run);
    (block, changes, time)
}

/// Hexadecimal keys that one has and the other has not, or with another value.
fn differences(a: &Changes, b: &Changes) -> BTreeSet<String> {
    let set = |changes: &Changes| -> BTreeSet<_> {
        changes.main_storage_changes.iter().cloned().collect()
    };
    set(a)
        .symmetric_difference(&set(b))
        .map(|(key, _)| sp_core::bytes::to_hex(key, false))
        .collect()
}

/// Authors random blocks with the blob, imports each with `import` on its parent's state, and compares everything written.
fn agree(seed: u64, blocks: u64, import: impl Fn(&mut State, &Block)) -> (Tally, u64) {
    let (mut run, crowded) = Run::new(seed, Climate::ROUGH);
    let mut chain = Chain::of(crowded);
    let mut turned_away = 0;
    for _ in 0..blocks {
        let (block, authored, time) = author(&chain, &mut run, &mut turned_away);
        let number = block.header.number;
        let checked: CheckInherentsResult = State::of(&chain.state)
            .call(
                "BlockBuilder_check_inherents",
                (&block, Chain::inherents(time)),
            )
            .expect("it checks");
        assert!(checked.ok(), "seed {seed}, block {number}: inherents");

        let mut importer = State::of(&chain.state);
        import(&mut importer, &block);
        let imported = importer.into_changes();
        let unlike = differences(&authored, &imported);
        assert!(unlike.is_empty(), "seed {seed}, block {number}: {unlike:?}");
        assert!(authored.child_storage_changes.is_empty());
        assert!(imported.child_storage_changes.is_empty());
        assert_eq!(authored.transaction_storage_root, block.header.state_root);
        assert_eq!(imported.transaction_storage_root, block.header.state_root);

        let Changes {
            transaction,
            transaction_storage_root,
            ..
        } = authored;
        chain
            .state
            .apply_transaction(transaction_storage_root, transaction);
        chain.number = number;
        chain.time = time;
    }
    (run.tally, turned_away)
}

#[test]
fn author_and_importer_agree_when_a_thousand_random_blocks_are_built_and_executed() {
    let blocks = configured("NOVATE_BLOCKS", 1_000);
    for seed in seeds(1) {
        let began = Instant::now();
        let (tally, turned_away) = agree(seed, blocks, |state, block| {
            let executed: Result<(), String> = state.call("Core_execute_block", block);
            let number = block.header.number;
            executed.unwrap_or_else(|trap| panic!("seed {seed}, block {number}: {trap}"));
        });
        println!(
            "{blocks} blocks in {:?}, {turned_away} turned away, {tally:#?}",
            began.elapsed()
        );
        assert!(turned_away > blocks / 10, "few invalid extrinsics");
        assert!(
            tally.refused.values().sum::<u64>() > blocks / 10,
            "few fail"
        );
        assert!(tally.accepted > blocks, "few succeed");
        assert!(tally.fills > blocks / 2, "few fills");
        assert!(tally.crashes > blocks / 100, "few crashes");
        assert!(tally.remedies.len() >= 4, "few liquidations");
        assert!(tally.withdrawals > blocks / 100, "few withdrawals");
    }
}

#[test]
fn native_and_wasm_agree_when_fifty_random_blocks_are_executed() {
    let (tally, _) = agree(50, 50, |state, block| {
        state.natively(|| Executive::execute_block(block.clone().into()))
    });
    assert!(tally.fills > 0 && tally.accepted > 50);
}

#[test]
fn importer_refuses_when_the_authors_state_root_is_another() {
    let (mut run, crowded) = Run::new(1, Climate::ROUGH);
    let chain = Chain::of(crowded);
    let (block, ..) = author(&chain, &mut run, &mut 0);
    let execute = |block: &Block| State::of(&chain.state).call::<()>("Core_execute_block", block);
    assert_eq!(execute(&block), Ok(()));
    let mut forged = block.clone();
    forged.header.state_root = H256::repeat_byte(1);
    assert!(execute(&forged).is_err());
    let mut shortened = block;
    shortened.extrinsics.pop();
    assert!(execute(&shortened).is_err());
}

/// A metadata's pallets with their indices, and its runtime APIs.
fn contents(metadata: &impl serde::Serialize) -> (BTreeMap<String, u64>, BTreeSet<String>) {
    let metadata = serde_json::to_value(metadata).expect("plain data");
    let of_a_version = metadata[1].as_object().and_then(|all| all.values().next());
    let list = |name: &str| {
        let items = of_a_version.and_then(|version| version[name].as_array());
        items.cloned().unwrap_or_default()
    };
    let name = |item: &serde_json::Value| item["name"].as_str().expect("a name").to_string();
    let pallets = list("pallets");
    let pallets = pallets
        .iter()
        .map(|pallet| (name(pallet), pallet["index"].as_u64().expect("an index")));
    (pallets.collect(), list("apis").iter().map(name).collect())
}

/// Decodes what is of the same type as `like`.
fn decoded_as<T: Decode>(_like: &T, bytes: &[u8]) -> T {
    T::decode_all(&mut &bytes[..]).expect("it decodes")
}

#[test]
fn metadata_and_version_of_the_blob_are_those_of_the_runtime() {
    let state = development().as_backend();
    let mut blob = State::of(&state);
    let native = Runtime::metadata();

    let metadata: OpaqueMetadata = blob.call("Metadata_metadata", ()).unwrap();
    let (pallets, _) = contents(&decoded_as(&native, &metadata));
    assert_eq!(pallets, contents(&native).0);
    assert_eq!(pallets.get("Clearing"), Some(&24));

    let versions: Vec<u32> = blob.call("Metadata_metadata_versions", ()).unwrap();
    assert!([14, 15].iter().all(|version| versions.contains(version)));
    for version in versions {
        let metadata: Option<OpaqueMetadata> =
            blob.call("Metadata_metadata_at_version", version).unwrap();
        let (listed, apis) = contents(&decoded_as(&native, &metadata.expect("it is offered")));
        assert_eq!(listed, pallets);
        assert!(version < 15 || apis.contains("NovateApi"));
    }

    let version: RuntimeVersion = blob.call("Core_version", ()).unwrap();
    assert_eq!(version, novate_runtime::VERSION);
    type Queries = dyn NovateApi<Block, AccountId>;
    assert_eq!(version.api_version(&Queries::ID), Some(Queries::VERSION));
}
