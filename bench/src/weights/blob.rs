//! A runtime's WASM, compiled once, and the states it runs on.

use anyhow::{anyhow, ensure, Context, Result};
use codec::{Decode, Encode};
use frame_benchmarking::benchmarking;
use sc_executor::WasmExecutor;
use serde_json::Value;
use sp_core::traits::{CallContext, RuntimeCode, WrappedRuntimeCode};

use sp_core::H256;
use sp_externalities::Extensions;
use sp_inherents::InherentData;
use sp_keystore::{testing::MemoryKeystore, KeystoreExt};
use sp_runtime::{
    generic::{self, Digest, DigestItem},
    traits::{BlakeTwo256, Header as _},
    ApplyExtrinsicResult, ExtrinsicInclusionMode, OpaqueExtrinsic, StateVersion, Storage,
};
use sp_state_machine::{
    Backend, InMemoryBackend, OverlayedChanges, StateMachine, StorageCollection,
};
use std::path::Path;

/// A header of the chain.
pub type Header = generic::Header<u32, BlakeTwo256>;

/// Time of the first block, and of a slot, in milliseconds.
const FIRST: u64 = 1_678_500_000_000;
const SLOT: u64 = 1_000;

/// The slot of the first block, as its header names it.
pub fn slot() -> DigestItem {
    DigestItem::PreRuntime(*b"aura", (FIRST / SLOT).encode())
}

/// The inherents' data of the first block.
pub fn inherents() -> Result<InherentData> {
    let mut data = InherentData::new();
    data.put_data(*b"timstap0", &FIRST)?;
    Ok(data)
}

/// What a node gives its runtime, and what benchmarks ask for beside.
type HostFunctions = (sp_io::SubstrateHostFunctions, benchmarking::HostFunctions);

/// A compiled runtime.
pub struct Blob {
    executor: WasmExecutor<HostFunctions>,
    code: Vec<u8>,
}

impl Blob {
    /// Reads and compiles it.
    pub fn load(path: &Path) -> Result<Self> {
        let code =
            std::fs::read(path).with_context(|| format!("no runtime at {}", path.display()))?;
        Ok(Self {
            executor: WasmExecutor::builder().build(),
            code,
        })
    }

    /// Calls one of the runtime's functions on a state. What it writes stays in `changes`.
    pub fn call<B: Backend<BlakeTwo256>, R: Decode>(
        &self,
        state: &B,
        changes: &mut OverlayedChanges<BlakeTwo256>,
        method: &str,
        arguments: impl Encode,
    ) -> Result<R> {
        let code = RuntimeCode {
            code_fetcher: &WrappedRuntimeCode(self.code.as_slice().into()),
            heap_pages: None,
            hash: b"the only blob there is".to_vec(),
        };
        let mut extensions = Extensions::default();
        extensions.register(KeystoreExt::new(MemoryKeystore::new()));
        let answer = StateMachine::new(
            state,
            changes,
            &self.executor,
            method,
            &arguments.encode(),
            &mut extensions,
            &code,
            CallContext::Offchain,
        )
        .execute()
        .map_err(|error| anyhow!("{method}: {error}"))?;
        R::decode(&mut &answer[..]).with_context(|| format!("{method} answered something else"))
    }

    /// The state after the first block, which has nothing in it, on the genesis of a preset.
    pub fn begun(&self, preset: &str) -> Result<Storage> {
        let mut genesis = self.genesis(preset)?;
        let state = InMemoryBackend::<BlakeTwo256>::from((genesis.clone(), StateVersion::V1));
        let mut changes = OverlayedChanges::default();
        let digest = Digest { logs: vec![slot()] };
        let header = Header::new(1, H256::zero(), H256::zero(), H256::zero(), digest);
        let _: ExtrinsicInclusionMode =
            self.call(&state, &mut changes, "Core_initialize_block", header)?;
        let mut inherents = InherentData::new();
        inherents.put_data(*b"timstap0", &FIRST)?;
        let inherents: Vec<OpaqueExtrinsic> = self.call(
            &state,
            &mut changes,
            "BlockBuilder_inherent_extrinsics",
            inherents,
        )?;
        for inherent in inherents {
            let applied: ApplyExtrinsicResult = self.call(
                &state,
                &mut changes,
                "BlockBuilder_apply_extrinsic",
                inherent,
            )?;
            ensure!(applied == Ok(Ok(())), "an inherent: {applied:?}");
        }
        let _: Header = self.call(&state, &mut changes, "BlockBuilder_finalize_block", ())?;
        for (key, value) in written(changes, &state)? {
            match value {
                Some(value) => genesis.top.insert(key, value),
                None => genesis.top.remove(&key),
            };
        }
        Ok(genesis)
    }

    /// The genesis of one of the runtime's presets.
    pub fn genesis(&self, preset: &str) -> Result<Storage> {
        let empty = InMemoryBackend::<BlakeTwo256>::default();
        let json = |id: Option<String>| -> Result<Value> {
            let found: Option<Vec<u8>> = self.call(
                &empty,
                &mut OverlayedChanges::default(),
                "GenesisBuilder_get_preset",
                id,
            )?;
            Ok(serde_json::from_slice(&found.context("no such preset")?)?)
        };
        let mut config = json(None)?;
        merge(&mut config, json(Some(preset.into()))?);

        let mut changes = OverlayedChanges::default();
        let built: Result<(), String> = self.call(
            &empty,
            &mut changes,
            "GenesisBuilder_build_state",
            serde_json::to_vec(&config)?,
        )?;
        built.map_err(|error| anyhow!("the preset is refused: {error}"))?;
        let top = written(changes, &empty)?.into_iter();
        Ok(Storage {
            top: top.filter_map(|(key, value)| Some((key, value?))).collect(),
            children_default: Default::default(),
        })
    }
}

/// What was written and removed.
fn written(
    mut changes: OverlayedChanges<BlakeTwo256>,
    state: &InMemoryBackend<BlakeTwo256>,
) -> Result<StorageCollection> {
    let changes = changes.drain_storage_changes(state, StateVersion::V1);
    Ok(changes
        .map_err(|error| anyhow!(error))?
        .main_storage_changes)
}

/// A JSON merge patch without removals, which presets have none of.
fn merge(onto: &mut Value, patch: Value) {
    match (onto, patch) {
        (Value::Object(onto), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(onto.entry(key).or_insert(Value::Null), value);
            }
        }
        (onto, patch) => *onto = patch,
    }
}
