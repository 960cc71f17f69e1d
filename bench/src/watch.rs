//! The node's WebAssembly executor, with an eye on what blobs ask of the host.
//!
//! It stands between client and executor, so that blocks are built and executed by the client's own code. In timed runs it only
//! takes the time of the storage root; in a counting run, every access to storage.

use crate::{chain::HostFunctions, measure::Stopwatch};
use sc_executor::{RuntimeVersionOf, WasmExecutor};
use sp_core::traits::{CallContext, CodeExecutor, ReadRuntimeVersion, RuntimeCode};
use sp_externalities::{Error, Extension, ExtensionStore, Externalities, MultiRemovalResults};
use sp_runtime::StateVersion;
use sp_storage::{ChildInfo, TrackedStorageKey};
use sp_version::RuntimeVersion;
use std::{
    any::{Any, TypeId},
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// What blobs asked of storage since the last look.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Time in storage roots.
    pub root: Duration,
    /// Only while counting.
    pub accesses: Option<Accesses>,
}

/// Host calls on storage, by name: how many, and the time they took.
#[derive(Clone, Debug, Default)]
pub struct Accesses {
    /// Calls and time by function.
    pub calls: BTreeMap<&'static str, (u64, Duration)>,
    /// Distinct keys read.
    pub read: BTreeSet<Vec<u8>>,
    /// Bytes of the values read.
    pub read_bytes: u64,
    /// Bytes of the values written.
    pub written_bytes: u64,
    /// Calls by the first sixteen bytes of their key: the pallet.
    pub by_item: BTreeMap<Vec<u8>, (u64, u64)>,
}

impl Accesses {
    /// All calls.
    pub fn total(&self) -> u64 {
        self.calls.values().map(|(calls, _)| calls).sum()
    }

    fn note(&mut self, name: &'static str, began: Instant) {
        let (calls, time) = self.calls.entry(name).or_default();
        *calls += 1;
        *time += began.elapsed();
    }

    fn note_item(&mut self, key: &[u8], writes: bool) {
        let item = key.get(..32).unwrap_or(key).to_vec();
        let (reads, written) = self.by_item.entry(item).or_default();
        *if writes { written } else { reads } += 1;
    }
}

/// A [`WasmExecutor`] that is looked over the shoulder.
#[derive(Clone)]
pub struct Watched {
    inner: WasmExecutor<HostFunctions>,
    seen: Arc<Mutex<Seen>>,
}

impl Watched {
    /// Wraps an executor.
    pub fn new(inner: WasmExecutor<HostFunctions>) -> Self {
        Self {
            inner,
            seen: Arc::default(),
        }
    }

    /// What was seen since the last call, and whether to count from here on.
    pub fn take(&self, count: bool) -> Seen {
        let next = Seen {
            accesses: count.then(Accesses::default),
            ..Seen::default()
        };
        match self.seen.lock() {
            Ok(mut seen) => mem::replace(&mut *seen, next),
            Err(_) => Seen::default(),
        }
    }
}

impl ReadRuntimeVersion for Watched {
    fn read_runtime_version(
        &self,
        code: &[u8],
        ext: &mut dyn Externalities,
    ) -> Result<Vec<u8>, String> {
        self.inner.read_runtime_version(code, ext)
    }
}

impl RuntimeVersionOf for Watched {
    fn runtime_version(
        &self,
        ext: &mut dyn Externalities,
        code: &RuntimeCode,
    ) -> Result<RuntimeVersion, sc_executor::error::Error> {
        self.inner.runtime_version(ext, code)
    }
}

impl CodeExecutor for Watched {
    type Error = sc_executor::error::Error;

    fn call(
        &self,
        ext: &mut dyn Externalities,
        code: &RuntimeCode,
        method: &str,
        data: &[u8],
        context: CallContext,
    ) -> (Result<Vec<u8>, Self::Error>, bool) {
        // One call at a time: the harness is alone with its clients.
        let mut seen = self.take(false);
        let mut watching = Watching {
            ext,
            seen: &mut seen,
        };
        let result = self.inner.call(&mut watching, code, method, data, context);
        if let Ok(mut kept) = self.seen.lock() {
            *kept = seen;
        }
        result
    }
}

struct Watching<'a> {
    ext: &'a mut dyn Externalities,
    seen: &'a mut Seen,
}

impl Watching<'_> {
    fn counted<R>(
        &mut self,
        name: &'static str,
        key: Option<(&[u8], bool)>,
        call: impl FnOnce(&mut dyn Externalities) -> R,
    ) -> R {
        let Some(accesses) = &mut self.seen.accesses else {
            return call(self.ext);
        };
        if let Some((key, writes)) = key {
            accesses.note_item(key, writes);
        }
        let began = Instant::now();
        let result = call(self.ext);
        accesses.note(name, began);
        result
    }

    fn note_read(&mut self, key: &[u8], bytes: Option<usize>) {
        if let Some(accesses) = &mut self.seen.accesses {
            accesses.read.insert(key.to_vec());
            accesses.read_bytes += bytes.unwrap_or(0) as u64;
        }
    }

    fn note_written(&mut self, bytes: Option<usize>) {
        if let Some(accesses) = &mut self.seen.accesses {
            accesses.written_bytes += bytes.unwrap_or(0) as u64;
        }
    }
}

impl ExtensionStore for Watching<'_> {
    fn extension_by_type_id(&mut self, type_id: TypeId) -> Option<&mut dyn Any> {
        self.ext.extension_by_type_id(type_id)
    }

    fn register_extension_with_type_id(
        &mut self,
        type_id: TypeId,
        extension: Box<dyn Extension>,
    ) -> Result<(), Error> {
        self.ext.register_extension_with_type_id(type_id, extension)
    }

    fn deregister_extension_by_type_id(&mut self, type_id: TypeId) -> Result<(), Error> {
        self.ext.deregister_extension_by_type_id(type_id)
    }
}

impl Externalities for Watching<'_> {
    fn set_offchain_storage(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.ext.set_offchain_storage(key, value)
    }

    fn storage(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        let value = self.counted("get", Some((key, false)), |ext| ext.storage(key));
        self.note_read(key, value.as_ref().map(Vec::len));
        value
    }

    fn storage_hash(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        self.counted("hash", Some((key, false)), |ext| ext.storage_hash(key))
    }

    fn child_storage_hash(&mut self, child: &ChildInfo, key: &[u8]) -> Option<Vec<u8>> {
        self.ext.child_storage_hash(child, key)
    }

    fn child_storage(&mut self, child: &ChildInfo, key: &[u8]) -> Option<Vec<u8>> {
        self.ext.child_storage(child, key)
    }

    fn exists_storage(&mut self, key: &[u8]) -> bool {
        let exists = self.counted("exists", Some((key, false)), |ext| ext.exists_storage(key));
        self.note_read(key, None);
        exists
    }

    fn exists_child_storage(&mut self, child: &ChildInfo, key: &[u8]) -> bool {
        self.ext.exists_child_storage(child, key)
    }

    fn next_storage_key(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        self.counted("next_key", Some((key, false)), |ext| {
            ext.next_storage_key(key)
        })
    }

    fn next_child_storage_key(&mut self, child: &ChildInfo, key: &[u8]) -> Option<Vec<u8>> {
        self.ext.next_child_storage_key(child, key)
    }

    fn kill_child_storage(
        &mut self,
        child: &ChildInfo,
        limit: Option<u32>,
        cursor: Option<&[u8]>,
    ) -> MultiRemovalResults {
        self.ext.kill_child_storage(child, limit, cursor)
    }

    fn clear_prefix(
        &mut self,
        prefix: &[u8],
        limit: Option<u32>,
        cursor: Option<&[u8]>,
    ) -> MultiRemovalResults {
        self.counted("clear_prefix", Some((prefix, true)), |ext| {
            ext.clear_prefix(prefix, limit, cursor)
        })
    }

    fn clear_child_prefix(
        &mut self,
        child: &ChildInfo,
        prefix: &[u8],
        limit: Option<u32>,
        cursor: Option<&[u8]>,
    ) -> MultiRemovalResults {
        self.ext.clear_child_prefix(child, prefix, limit, cursor)
    }

    fn place_storage(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.note_written(value.as_ref().map(Vec::len));
        if self.seen.accesses.is_none() {
            return self.ext.place_storage(key, value);
        }
        let item = key.clone();
        self.counted("set", Some((&item, true)), |ext| {
            ext.place_storage(key, value)
        })
    }

    fn place_child_storage(&mut self, child: &ChildInfo, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.ext.place_child_storage(child, key, value)
    }

    fn storage_root(&mut self, version: StateVersion) -> Vec<u8> {
        let watch = Stopwatch::start();
        let root = self.counted("root", None, |ext| ext.storage_root(version));
        self.seen.root += watch.elapsed();
        root
    }

    fn child_storage_root(&mut self, child: &ChildInfo, version: StateVersion) -> Vec<u8> {
        self.ext.child_storage_root(child, version)
    }

    fn storage_append(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.note_written(Some(value.len()));
        if self.seen.accesses.is_none() {
            return self.ext.storage_append(key, value);
        }
        let item = key.clone();
        self.counted("append", Some((&item, true)), |ext| {
            ext.storage_append(key, value)
        })
    }

    fn storage_start_transaction(&mut self) {
        self.counted("start_transaction", None, |ext| {
            ext.storage_start_transaction()
        })
    }

    fn storage_rollback_transaction(&mut self) -> Result<(), ()> {
        self.counted("rollback_transaction", None, |ext| {
            ext.storage_rollback_transaction()
        })
    }

    fn storage_commit_transaction(&mut self) -> Result<(), ()> {
        self.counted("commit_transaction", None, |ext| {
            ext.storage_commit_transaction()
        })
    }

    fn storage_index_transaction(&mut self, index: u32, hash: &[u8], size: u32) {
        self.ext.storage_index_transaction(index, hash, size)
    }

    fn storage_renew_transaction_index(&mut self, index: u32, hash: &[u8]) {
        self.ext.storage_renew_transaction_index(index, hash)
    }

    fn wipe(&mut self) {
        self.ext.wipe()
    }

    fn commit(&mut self) {
        self.ext.commit()
    }

    fn read_write_count(&self) -> (u32, u32, u32, u32) {
        self.ext.read_write_count()
    }

    fn reset_read_write_count(&mut self) {
        self.ext.reset_read_write_count()
    }

    fn get_whitelist(&self) -> Vec<TrackedStorageKey> {
        self.ext.get_whitelist()
    }

    fn set_whitelist(&mut self, new: Vec<TrackedStorageKey>) {
        self.ext.set_whitelist(new)
    }

    fn proof_size(&self) -> Option<u32> {
        self.ext.proof_size()
    }

    fn get_read_and_written_keys(&self) -> Vec<(Vec<u8>, u32, u32, bool)> {
        self.ext.get_read_and_written_keys()
    }
}
