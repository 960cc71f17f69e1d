//! A chain in process: an author and an importer, each with the node's own client and a database of its own on disk.
//!
//! Blocks are made as a validator makes them (one runtime call per extrinsic, then the close) and imported as everybody else
//! imports them (one `execute_block`), and both must reach the same state root; a replay goes without the importer. What is not measured, such as accounts and
//! positions by the hundred thousand, is written by the same runtime compiled natively, in a block of its own whose state both
//! take over.

use crate::{
    measure::Stopwatch,
    oracle::{opaque, Oracle},
    watch::{Accesses, Watched},
};
use anyhow::{anyhow, bail, Context};
use codec::{Decode, Encode};
use novate_node::cli::Cli;
use novate_runtime::{
    opaque::Block, Executive, Hash, Header, Runtime, RuntimeApi, RuntimeEvent, System,
    UncheckedExtrinsic, SLOT_MILLIS,
};
use novate_types::Millis;
use sc_block_builder::BlockBuilderBuilder;
use sc_cli::{CliConfiguration, SubstrateCli};
use sc_client_api::{backend::TrieCacheContext, Backend, Finalizer};
use sc_consensus::{
    BlockImport, BlockImportParams, ForkChoiceStrategy, ImportResult, StateAction, StorageChanges,
};
use sc_service::{GenesisBlockBuilder, TFullBackend, TFullClient, TaskManager};
use sp_api::{ApiExt, Core, ProvideRuntimeApi};
use sp_blockchain::{ApplyExtrinsicFailed, Error as ChainError, HeaderBackend};
use sp_consensus::BlockOrigin;
use sp_core::traits::CallContext;
use sp_externalities::set_and_run_with_externalities;
use sp_inherents::InherentData;
use sp_runtime::{
    generic::{Digest, DigestItem},
    traits::{Block as _, HashingFor, Header as _},
    OpaqueExtrinsic, StateVersion,
};
use sp_state_machine::{Ext, OverlayedChanges, StorageCollection};
use sp_storage::Storage;
use std::{
    collections::VecDeque,
    path::Path,
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc, OnceLock,
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::runtime::Handle;

pub use novate_node::service::HostFunctions;

type Client = TFullClient<Block, RuntimeApi, Watched>;
type Changes = sp_state_machine::StorageChanges<HashingFor<Block>>;

/// Blocks that were made and imported, on all chains: state roots of author and importer agreed on each of them.
pub static AGREED: AtomicU64 = AtomicU64::new(0);

/// Arguments of the node whose configuration the clients have, beside those of a development chain.
pub static NODE_ARGS: OnceLock<Vec<String>> = OnceLock::new();

/// Time of the first block.
const GENESIS_TIME: Millis = 1_800_000_000_000;

/// How often an imported block is executed again, outside of all measures, so that a profiler sees little else:
/// `NOVATE_BENCH_AGAIN`, else not at all.
fn again() -> usize {
    std::env::var("NOVATE_BENCH_AGAIN")
        .ok()
        .and_then(|times| times.parse().ok())
        .unwrap_or(0)
}

/// What a block cost one of the two.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Running the block: signatures, runtime and storage root.
    pub execute: Duration,
    /// Of that, the storage root.
    pub root: Duration,
    /// Writing it to the database.
    pub commit: Duration,
    /// Waiting for a processor; in none of these.
    pub waited: Duration,
}

impl Cost {
    fn of_execution(watch: Stopwatch, root: Duration) -> Self {
        let (execute, waited) = watch.read();
        Self {
            execute,
            root,
            commit: Duration::ZERO,
            waited,
        }
    }

    fn add_commit(&mut self, watch: Stopwatch) {
        let (commit, waited) = watch.read();
        self.commit = commit;
        self.waited += waited;
    }

    /// Everything.
    pub fn total(&self) -> Duration {
        self.execute + self.commit
    }
}

/// A block, what it held and what it cost.
#[derive(Clone, Debug)]
pub struct Made {
    /// The block.
    pub block: Block,
    /// Extrinsics of the queue that it took.
    pub taken: usize,
    /// Signatures that it verifies.
    pub signatures: usize,
    /// Bytes of its extrinsics.
    pub bytes: usize,
    /// There was no room for more.
    pub full: bool,
    /// Keys that it changed.
    pub written: usize,
    /// Keys that it changed and their new values, on a chain that nobody imports.
    pub changes: StorageCollection,
    /// Building it.
    pub built: Cost,
    /// Importing it.
    pub imported: Cost,
}

/// A client and its database.
struct Party {
    client: Client,
    backend: Arc<TFullBackend<Block>>,
    executor: Watched,
    _tasks: TaskManager,
}

impl Party {
    /// Opens a client as the node does: its configuration is that of `novate-node --dev`.
    fn open(at: &Path, genesis: Storage, tokio: Handle) -> anyhow::Result<Self> {
        let at = at.to_str().context("the directory's name is not UTF-8")?;
        let given = NODE_ARGS.get().into_iter().flatten().map(String::as_str);
        let cli = Cli::from_iter(
            ["novate-node", "--dev", "--base-path", at]
                .into_iter()
                .chain(given),
        );
        let config = cli.run.create_configuration(&cli, tokio)?;
        let executor = Watched::new(sc_service::new_wasm_executor::<HostFunctions>(
            &config.executor,
        ));
        let backend = sc_service::new_db_backend::<Block>(config.db_config())?;
        let genesis = GenesisBlockBuilder::new_with_storage(
            genesis,
            true,
            backend.clone(),
            executor.clone(),
        )?;
        let (client, backend, _, tasks) =
            sc_service::new_full_parts_with_genesis_builder::<Block, RuntimeApi, _, _>(
                &config,
                None,
                executor.clone(),
                backend,
                genesis,
                false,
            )?;
        Ok(Self {
            client,
            backend,
            executor,
            _tasks: tasks,
        })
    }

    /// Writes a block whose state is known.
    fn take_over(&self, origin: BlockOrigin, block: Block, changes: Changes) -> anyhow::Result<()> {
        let (header, body) = block.deconstruct();
        let mut params = BlockImportParams::new(origin, header);
        params.body = Some(body);
        params.state_action = StateAction::ApplyChanges(StorageChanges::Changes(changes));
        params.fork_choice = Some(ForkChoiceStrategy::Custom(true));
        match futures::executor::block_on(self.client.import_block(params))? {
            ImportResult::Imported(_) => Ok(()),
            other => bail!("the client did not import the block: {other:?}"),
        }
    }

    fn finalize(&self, hash: Hash) -> anyhow::Result<()> {
        Ok(self.client.finalize_block(hash, None, true)?)
    }

    /// Runs a block on its parent's state as an importer does, and returns what it changed.
    fn execute(&self, block: Block) -> anyhow::Result<Changes> {
        let parent = *block.header().parent_hash();
        let root = *block.header().state_root();
        let context = CallContext::Onchain { import: true };
        let mut api = self.client.runtime_api();
        api.set_call_context(context);
        api.execute_block(parent, block.into())?;
        let state = self.backend.state_at(parent, context.into())?;
        let changes = api
            .into_storage_changes(&state, parent)
            .map_err(|why| anyhow!("no changes: {why}"))?;
        if changes.transaction_storage_root != root {
            bail!("the importer reaches another state root than the author");
        }
        Ok(changes)
    }
}

/// The chain and who runs it.
pub struct Chain {
    author: Party,
    /// None on a chain whose blocks nobody else looks at.
    importer: Option<Party>,
    parent: Header,
    time: Millis,
    /// From a block to the next.
    pace: Millis,
    /// Whether blocks are final at once.
    finalizes: bool,
    /// The validators' prices.
    pub oracle: Oracle,
    // Last, so that the databases are closed before their files go.
    dir: TempDir,
}

impl Chain {
    /// A chain of its own from `genesis`, in a new directory below `dir`.
    pub fn new(
        dir: &Path,
        genesis: &Storage,
        oracle: Oracle,
        tokio: &Handle,
    ) -> anyhow::Result<Self> {
        let mut chain = Self::alone(dir, genesis, oracle, tokio)?;
        let at = chain.dir.path().join("importer");
        let importer = Party::open(&at, genesis.clone(), tokio.clone())?;
        if chain.genesis() != importer.client.info().genesis_hash {
            bail!("author and importer begin with different blocks");
        }
        chain.importer = Some(importer);
        Ok(chain)
    }

    /// The same without an importer: for what happens on a chain, not for what it costs.
    pub fn alone(
        dir: &Path,
        genesis: &Storage,
        oracle: Oracle,
        tokio: &Handle,
    ) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("novate-bench-")
            .tempdir_in(dir)?;
        let author = Party::open(&dir.path().join("author"), genesis.clone(), tokio.clone())?;
        let hash = author.client.info().genesis_hash;
        let parent = author.client.header(hash)?.context("there is a genesis")?;
        Ok(Self {
            author,
            importer: None,
            parent,
            time: GENESIS_TIME,
            pace: SLOT_MILLIS,
            finalizes: true,
            oracle: oracle.on(hash),
            dir,
        })
    }

    /// Hash of the first block, over which transactions are signed.
    pub fn genesis(&self) -> Hash {
        self.author.client.info().genesis_hash
    }

    /// The next block comes `pace` milliseconds after `time`, and so on. Blocks before it must be earlier.
    pub fn set_clock(&mut self, time: Millis, pace: Millis) {
        (self.time, self.pace) = (time, pace);
    }

    /// Time of the next block.
    pub fn next(&self) -> Millis {
        self.time + self.pace
    }

    /// Time of the last block.
    pub fn time(&self) -> Millis {
        self.time
    }

    /// From here on nothing is final, so that the chain can come back.
    pub fn hold(&mut self) -> (Header, Millis) {
        self.finalizes = false;
        (self.parent.clone(), self.time)
    }

    /// The next block follows this one.
    pub fn back_to(&mut self, point: &(Header, Millis)) {
        (self.parent, self.time) = point.clone();
    }

    fn finalize(&self, hash: Hash) -> anyhow::Result<()> {
        if self.finalizes {
            self.author.finalize(hash)?;
            if let Some(importer) = &self.importer {
                importer.finalize(hash)?;
            }
        }
        Ok(())
    }

    fn digest(&self) -> Digest {
        let slot = self.time / SLOT_MILLIS;
        Digest {
            logs: vec![DigestItem::PreRuntime(*b"aura", slot.encode())],
        }
    }

    /// Makes a block that has room for something of `queue`, see [`Self::make_as_it_comes`].
    pub fn make(
        &mut self,
        queue: &mut VecDeque<OpaqueExtrinsic>,
        most: usize,
    ) -> anyhow::Result<Made> {
        let made = self.make_as_it_comes(queue, most)?;
        if made.full && made.taken == 0 {
            bail!("not even one extrinsic finds room in a block");
        }
        Ok(made)
    }

    /// Makes a block the pace after the last, with the validators' observations and of `queue` what finds room in it, at most
    /// `most`, and imports it. In a crash that may be nothing: liquidation comes first.
    pub fn make_as_it_comes(
        &mut self,
        queue: &mut VecDeque<OpaqueExtrinsic>,
        most: usize,
    ) -> anyhow::Result<Made> {
        self.time += self.pace;
        let parent = self.parent.hash();
        let observations = self.oracle.observe(self.parent.number, self.time);
        let mut inherents = InherentData::new();
        inherents.put_data(*b"timstap0", &self.time)?;
        let digest = self.digest();

        self.author.executor.take(false);
        let watch = Stopwatch::start();
        let mut builder = BlockBuilderBuilder::new(&self.author.client)
            .on_parent_block(parent)
            .with_parent_block_number(self.parent.number)
            .with_inherent_digests(digest)
            .build()?;
        for inherent in builder.create_inherents(inherents)? {
            builder.push(inherent)?;
        }
        let observed = observations.len();
        for observation in observations {
            builder.push(observation).context("an observation")?;
        }
        let (mut taken, mut full) = (0, false);
        while let Some(next) = queue.front().filter(|_| taken < most) {
            match builder.push(next.clone()) {
                Ok(()) => {
                    queue.pop_front();
                    taken += 1;
                }
                Err(ChainError::ApplyExtrinsicFailed(ApplyExtrinsicFailed::Validity(why)))
                    if why.exhausted_resources() =>
                {
                    full = true;
                    break;
                }
                Err(why) => return Err(why).context("an extrinsic is not valid"),
            }
        }
        let built = builder.build()?;
        let mut author = Cost::of_execution(watch, self.author.executor.take(false).root);

        let block = built.block;
        let hash = block.header().hash();
        let own = block.clone();
        let changes = built.storage_changes;
        let written = changes.main_storage_changes.len();
        let kept = match self.importer {
            Some(_) => Vec::new(),
            None => changes.main_storage_changes.clone(),
        };
        let watch = Stopwatch::start();
        self.author.take_over(BlockOrigin::Own, own, changes)?;
        author.add_commit(watch);
        let imported = match &self.importer {
            Some(importer) => import(importer, &block)?,
            None => Cost::default(),
        };

        self.finalize(hash)?;
        self.parent = block.header().clone();
        Ok(Made {
            taken,
            signatures: taken + observed,
            bytes: block.extrinsics().iter().map(Encode::encoded_size).sum(),
            full,
            written,
            changes: kept,
            built: author,
            imported,
            block,
        })
    }

    /// Blocks in which nobody does anything.
    pub fn wait(&mut self, blocks: u32) -> anyhow::Result<()> {
        for _ in 0..blocks {
            self.make(&mut VecDeque::new(), 0)?;
        }
        Ok(())
    }

    /// Executes the block once more on its parent's state and counts what it asks of storage.
    pub fn count(&self, block: &Block) -> anyhow::Result<Accesses> {
        let party = self.importer.as_ref().unwrap_or(&self.author);
        party.executor.take(true);
        party.execute(block.clone())?;
        let seen = party.executor.take(false);
        seen.accesses.context("it was counting")
    }

    /// What native code reads in the state after the last block. Nothing that it writes stays.
    pub fn read<R>(&self, act: impl FnOnce() -> R) -> anyhow::Result<R> {
        let state = self
            .author
            .backend
            .state_at(self.parent.hash(), TrieCacheContext::Untrusted)?;
        let mut changed = OverlayedChanges::default();
        let mut ext = Ext::new(&mut changed, &state, None);
        Ok(set_and_run_with_externalities(&mut ext, act))
    }

    /// Events of the last block.
    pub fn events(&self) -> anyhow::Result<Vec<RuntimeEvent>> {
        self.read(|| System::events().into_iter().map(|r| r.event).collect())
    }

    /// A block in which native code writes what it likes: for what nobody measures.
    pub fn seed<R>(&mut self, act: impl FnOnce() -> R) -> anyhow::Result<R> {
        self.time += self.pace;
        let observations = self.oracle.observe(self.parent.number, self.time);
        let header = Header::new(
            self.parent.number + 1,
            Hash::default(),
            Hash::default(),
            self.parent.hash(),
            self.digest(),
        );
        let time = pallet_timestamp::Call::<Runtime>::set { now: self.time };
        let time = UncheckedExtrinsic::new_bare(time.into());

        let state = self
            .author
            .backend
            .state_at(self.parent.hash(), TrieCacheContext::Trusted)?;
        let mut changed = OverlayedChanges::default();
        let mut ext = Ext::new(&mut changed, &state, None);
        let (block, done) = set_and_run_with_externalities(&mut ext, || {
            Executive::initialize_block(&header);
            let mut body = vec![opaque(&time)];
            apply(time)?;
            for observation in observations {
                let decoded = UncheckedExtrinsic::decode(&mut &observation.encode()[..])?;
                apply(decoded)?;
                body.push(observation);
            }
            let done = act();
            anyhow::Ok((Block::new(Executive::finalize_block(), body), done))
        })?;
        let changes = changed
            .drain_storage_changes(&state, StateVersion::V1)
            .map_err(|why| anyhow!("no changes: {why}"))?;
        let again = Changes {
            main_storage_changes: changes.main_storage_changes.clone(),
            child_storage_changes: Vec::new(),
            offchain_storage_changes: Vec::new(),
            transaction: changes.transaction.clone(),
            transaction_storage_root: changes.transaction_storage_root,
            transaction_index_changes: Vec::new(),
        };
        drop(state);
        let hash = block.header().hash();
        self.parent = block.header().clone();
        self.author
            .take_over(BlockOrigin::Own, block.clone(), again)?;
        if let Some(importer) = &self.importer {
            importer.take_over(BlockOrigin::NetworkBroadcast, block, changes)?;
        }
        self.finalize(hash)?;
        Ok(done)
    }
}

/// Imports a block as everybody but its author does.
fn import(importer: &Party, block: &Block) -> anyhow::Result<Cost> {
    let (received, stored) = (block.clone(), block.clone());
    importer.executor.take(false);
    let watch = Stopwatch::start();
    let changes = importer.execute(received)?;
    let mut cost = Cost::of_execution(watch, importer.executor.take(false).root);
    for _ in 0..again() {
        importer.execute(block.clone())?;
    }
    let watch = Stopwatch::start();
    importer.take_over(BlockOrigin::NetworkBroadcast, stored, changes)?;
    cost.add_commit(watch);
    AGREED.fetch_add(1, Ordering::Relaxed);
    Ok(cost)
}

/// Applies an extrinsic that must be valid and succeed.
fn apply(extrinsic: UncheckedExtrinsic) -> anyhow::Result<()> {
    Executive::apply_extrinsic(extrinsic)
        .map_err(|why| anyhow!("not valid: {why:?}"))?
        .map_err(|why| anyhow!("failed: {why:?}"))
}
