//! What a key costs beside its host calls: reading it, and its share of storage root, commit and finalisation once it was written.
//!
//! A ParityDB of the node's own settings holds as many keys as a grown chain; its trie cache is warm, as that of a node is which
//! follows the chain. Blocks write few of the keys, then many, and the difference is what a key costs; what a block costs by
//! itself is `overhead`'s.

use crate::{blob::Header, write};
use anyhow::{anyhow, Context, Result};
use clap::Args;
use rand::{rngs::StdRng, seq::index, Rng, SeedableRng};
use sc_client_api::backend::{
    Backend as _, BlockImportOperation as _, NewBlockState, TrieCacheContext,
};
use sc_client_db::{Backend, BlocksPruning, DatabaseSettings, DatabaseSource, PruningMode};
use sp_core::H256;
use sp_io::hashing::{blake2_128, twox_128};
use sp_runtime::{generic, traits::Header as _, OpaqueExtrinsic, StateVersion, Storage};
use sp_state_machine::Backend as _;
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

#[derive(Args)]
pub struct Options {
    /// Keys in the state: as many of these values as the trie cache holds.
    #[arg(long, default_value_t = 250_000)]
    keys: usize,
    /// Bytes of a value: an account with a few positions.
    #[arg(long, default_value_t = 512)]
    bytes: usize,
    /// Blocks of each size.
    #[arg(long, default_value_t = 20)]
    blocks: u32,
    /// Where the database lives while this runs; a new directory below it.
    #[arg(long, default_value = "/var/tmp")]
    dir: PathBuf,
}

type Block = generic::Block<Header, OpaqueExtrinsic>;
type State = <Backend<Block> as sc_client_api::Backend<Block>>::State;

/// Keys that small and large blocks write.
const FEW: usize = 200;
const MANY: usize = 2_000;
/// Bytes that the node's trie cache holds by default.
const CACHE: usize = 1 << 30;
/// Between two blocks, as between two slots: the database writes its log behind the commit.
const PAUSE: Duration = Duration::from_millis(800);
/// Blocks between a block and its finalisation.
const UNFINALISED: usize = 3;

/// Blocks in a database of the node's own settings.
pub struct Chain {
    backend: Backend<Block>,
    head: H256,
    number: u32,
    unfinalised: Vec<H256>,
}

/// What one block took.
struct Took {
    root: Duration,
    commit: Duration,
}

impl Chain {
    /// A new one.
    pub fn open(at: &Path, genesis: Storage) -> Result<Self> {
        let settings = DatabaseSettings {
            trie_cache_maximum_size: Some(CACHE),
            state_pruning: Some(PruningMode::blocks_pruning(256)),
            source: DatabaseSource::ParityDb { path: at.into() },
            blocks_pruning: BlocksPruning::KeepAll,
            pruning_filters: Vec::new(),
            metrics_registry: None,
        };
        let backend = Backend::<Block>::new(settings, 4_096)?;
        let mut op = backend.begin_operation()?;
        let root = op.set_genesis_state(genesis, true, StateVersion::V1)?;
        let header = Header::new(0, H256::zero(), root, H256::zero(), Default::default());
        let head = header.hash();
        op.set_block_data(
            header,
            Some(Vec::new()),
            None,
            None,
            NewBlockState::Final,
            true,
        )?;
        backend.commit_operation(op)?;
        Ok(Self {
            backend,
            head,
            number: 0,
            unfinalised: Vec::new(),
        })
    }

    /// The last block.
    pub fn head(&self) -> H256 {
        self.head
    }

    /// The state after it, as an importer reads it.
    pub fn state(&self) -> Result<State> {
        Ok(self
            .backend
            .state_at(self.head, TrieCacheContext::Trusted)?)
    }

    /// A block that writes these, on the last one; one more is finalised.
    fn block(&mut self, changes: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Took> {
        let began = Instant::now();
        let state = self
            .backend
            .state_at(self.head, TrieCacheContext::Trusted)?;
        let delta = changes
            .iter()
            .map(|(key, value)| (&key[..], Some(&value[..])));
        let (root, transaction) = state.storage_root(delta, StateVersion::V1);
        drop(state);
        let rooted = Instant::now();

        let number = self.number + 1;
        let header = Header::new(number, H256::zero(), root, self.head, Default::default());
        let hash = header.hash();
        let mut op = self.backend.begin_operation()?;
        self.backend.begin_state_operation(&mut op, self.head)?;
        op.update_db_storage(transaction)?;
        op.update_storage(
            changes.into_iter().map(|(k, v)| (k, Some(v))).collect(),
            Vec::new(),
        )?;
        op.set_block_data(
            header,
            Some(Vec::new()),
            None,
            None,
            NewBlockState::Best,
            true,
        )?;
        self.backend.commit_operation(op)?;
        self.unfinalised.push(hash);
        if self.unfinalised.len() > UNFINALISED {
            let mut op = self.backend.begin_operation()?;
            op.mark_finalized(self.unfinalised.remove(0), None)?;
            self.backend.commit_operation(op)?;
        }
        (self.head, self.number) = (hash, number);
        Ok(Took {
            root: rooted - began,
            commit: rooted.elapsed(),
        })
    }

    /// Nanoseconds in which a key is read, one after another.
    fn read(&self, keys: &[&Vec<u8>]) -> Result<u64> {
        let state = self
            .backend
            .state_at(self.head, TrieCacheContext::Trusted)?;
        let began = Instant::now();
        for key in keys {
            state
                .storage(key)
                .map_err(|e| anyhow!(e))?
                .context("a key has no value")?;
        }
        let took = began.elapsed();
        Ok(u64::try_from(took.as_nanos())? / keys.len() as u64)
    }
}

/// Keys as maps have them: a prefix of 32 bytes, a hash and what it is the hash of.
fn keys(many: usize) -> Vec<Vec<u8>> {
    (0..many as u64)
        .map(|n| {
            let prefix = twox_128(&[(n % 8) as u8]);
            let item = n.to_be_bytes();
            let hash = blake2_128(&item);
            [&prefix[..], &prefix[..], &hash[..], &item[..]].concat()
        })
        .collect()
}

/// The first quartile, in nanoseconds: whatever else the machine did meanwhile is in the slower ones.
pub fn typical(mut of: Vec<Duration>) -> f64 {
    of.sort_unstable();
    of.get(of.len() / 4).map_or(0.0, |d| d.as_nanos() as f64)
}

/// Measures, prints, and writes the runtime's `DbWeight`.
pub fn run(options: &Options, root: Option<&Path>) -> Result<()> {
    let mut random = StdRng::seed_from_u64(1);
    let keys = keys(options.keys);
    let value =
        |random: &mut StdRng| -> Vec<u8> { (0..options.bytes).map(|_| random.gen()).collect() };
    let genesis = Storage {
        top: keys
            .iter()
            .map(|key| (key.clone(), value(&mut random)))
            .collect(),
        children_default: Default::default(),
    };
    std::fs::create_dir_all(&options.dir)?;
    let dir = tempfile::Builder::new()
        .prefix("novate-weights-")
        .tempdir_in(&options.dir)?;
    let mut chain = Chain::open(dir.path(), genesis)?;

    let some: Vec<&Vec<u8>> = index::sample(&mut random, keys.len(), 20_000.min(keys.len() / 2))
        .into_iter()
        .filter_map(|at| keys.get(at))
        .collect();
    let cold = chain.read(&some)?;
    chain.read(&keys.iter().collect::<Vec<_>>())?;
    let warm: Vec<u64> = (0..9).map(|_| chain.read(&some)).collect::<Result<_>>()?;
    let warm = {
        let mut sorted = warm;
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(0)
    };
    println!(
        "a read of {} keys: {cold} ns cold, {warm} ns warm",
        options.keys
    );

    let mut took: [Vec<Took>; 2] = Default::default();
    // All the small ones first: after a large one the database is still busy with it.
    for turn in 0..options.blocks * 2 {
        let (at, many) = if turn < options.blocks {
            (0, FEW)
        } else {
            (1, MANY)
        };
        let changes = index::sample(&mut random, keys.len(), many.min(keys.len()))
            .into_iter()
            .filter_map(|at| keys.get(at).cloned())
            .map(|key| (key, value(&mut random)))
            .collect();
        std::thread::sleep(PAUSE);
        if let Some(these) = took.get_mut(at) {
            these.push(chain.block(changes)?);
        }
    }
    let [few, many] = &took;
    let slope = |of: fn(&Took) -> Duration| {
        let of = |blocks: &[Took]| typical(blocks.iter().map(of).collect());
        (of(many) - of(few)) / (MANY - FEW) as f64
    };
    let (hashed, committed) = (slope(|t| t.root), slope(|t| t.commit));
    let write = (hashed + committed).round() as u64;
    println!("a write: {write} ns ({hashed:.0} root, {committed:.0} commit and finalisation)");
    let Some(root) = root else {
        return Ok(());
    };
    let text = format!(
        "//! What the database costs. Written by `make weights`.\n\nuse frame_support::{{parameter_types, weights::RuntimeDbWeight}};\n\n\
         parameter_types! {{\n    /// Measured on {}, on a ParityDB of {} keys of {} bytes with a warm trie cache.\n    \
         /// A read: {warm} ns (cold: {cold} ns). A write: {hashed:.0} ns of storage root, {committed:.0} ns of commit and finalisation.\n    \
         pub const DbWeight: RuntimeDbWeight = RuntimeDbWeight {{\n        read: {},\n        write: {},\n    }};\n}}\n",
        write::machine(),
        write::grouped(options.keys as u64),
        options.bytes,
        write::grouped(warm * 1_000),
        write::grouped(write * 1_000),
    );
    write::constants(root, "db.rs", &text)
}
