//! What a block costs with nothing in it, and an extrinsic that does nothing: signature, nonce, fee, and the key of its signer.
//!
//! Blocks are built and then executed as an importer does, `Core_execute_block` on the state of their parent, storage root
//! included, on a ParityDB with a warm trie cache. Every extrinsic is signed by an account of its own.

use crate::{
    blob::{self, Blob},
    db::{typical, Chain},
    write,
};
use anyhow::{anyhow, ensure, Result};
use clap::Args;
use codec::{Compact, Encode};
use sp_core::{sr25519, Pair, H256};
use sp_io::hashing::{blake2_128, blake2_256, twox_128};
use sp_runtime::{
    generic::{Digest, Era},
    traits::{BlakeTwo256, Header as _},
    transaction_validity::InvalidTransaction,
    ApplyExtrinsicResult, ExtrinsicInclusionMode, MultiAddress, MultiSignature, OpaqueExtrinsic,
};
use sp_state_machine::OverlayedChanges;
use sp_version::RuntimeVersion;
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

#[derive(Args)]
pub struct Options {
    /// The runtime's WASM.
    #[arg(long)]
    wasm: PathBuf,
    /// Extrinsics in a block, at most.
    #[arg(long, default_value_t = 500)]
    extrinsics: u32,
    /// Runs of each block.
    #[arg(long, default_value_t = 60)]
    repeat: u32,
    /// Where the database lives while this runs; a new directory below it.
    #[arg(long, default_value = "/var/tmp")]
    dir: PathBuf,
}

/// Said of a storage layer that was opened here.
const OPEN: &str = "the storage layer is not open";
/// A signer's balance in the smallest unit.
const ENDOWMENT: u128 = 1_000_000_000_000_000;
/// The flag that new accounts of the balances pallet carry.
const NEW_LOGIC: u128 = 1 << 127;

fn signer(number: u32) -> sr25519::Pair {
    sr25519::Pair::from_seed(&blake2_256(&number.encode()))
}

/// The system account of a signer: nonce and references, then free, reserved and frozen balance and flags.
fn endowed(of: &sr25519::Pair) -> (Vec<u8>, Vec<u8>) {
    let public = of.public().encode();
    let prefix = [twox_128(b"System"), twox_128(b"Account")].concat();
    let key = [&prefix[..], &blake2_128(&public), &public].concat();
    let references = (0u32, 0u32, 1u32, 0u32);
    (
        key,
        (references, (ENDOWMENT, 0u128, 0u128, NEW_LOGIC)).encode(),
    )
}

/// `System.remark` without a remark, of the signer's first nonce.
fn remark(of: &sr25519::Pair, version: &RuntimeVersion, genesis: H256) -> OpaqueExtrinsic {
    let call = (0u8, 0u8, Vec::<u8>::new()).encode();
    // Era, nonce, tip, no hash of the metadata; then what is signed and not sent.
    let extensions = (Era::Immortal, Compact(0u32), Compact(0u128), 0u8).encode();
    let implied = (
        version.spec_version,
        version.transaction_version,
        genesis,
        genesis,
        None::<[u8; 32]>,
    );
    let payload = [&call[..], &extensions, &implied.encode()].concat();
    let signature = MultiSignature::Sr25519(of.sign(&payload));
    let address = MultiAddress::<_, ()>::Id(of.public());
    let bytes = [
        &[0x84][..],
        &(address, signature).encode(),
        &extensions,
        &call,
    ]
    .concat();
    OpaqueExtrinsic::from_blob(bytes)
}

/// Measures, prints, and writes the weights of a block and of an extrinsic.
pub fn run(options: &Options, root: Option<&Path>) -> Result<()> {
    let blob = Blob::load(&options.wasm)?;
    let mut genesis = blob.genesis("development")?;
    let signers: Vec<_> = (0..options.extrinsics).map(signer).collect();
    genesis.top.extend(signers.iter().map(endowed));
    std::fs::create_dir_all(&options.dir)?;
    let dir = tempfile::Builder::new()
        .prefix("novate-weights-")
        .tempdir_in(&options.dir)?;
    let chain = Chain::open(dir.path(), genesis)?;
    let version: RuntimeVersion = blob.call(
        &chain.state()?,
        &mut OverlayedChanges::default(),
        "Core_version",
        (),
    )?;
    let all: Vec<_> = signers
        .iter()
        .map(|of| remark(of, &version, chain.head()))
        .collect();

    let empty = build(&blob, &chain, &[])?;
    let full = build(&blob, &chain, &all)?;
    let taken = full.1.len().saturating_sub(empty.1.len()) as u64;
    ensure!(taken > 0, "the block has no room for a single extrinsic");
    let mut took: [Vec<Duration>; 2] = Default::default();
    for _ in 0..options.repeat {
        for (block, took) in [&empty, &full].into_iter().zip(&mut took) {
            let state = chain.state()?;
            let mut changes = OverlayedChanges::<BlakeTwo256>::default();
            let began = Instant::now();
            let () = blob.call(&state, &mut changes, "Core_execute_block", block)?;
            took.push(began.elapsed());
        }
    }
    let [empty, full] = took.map(|of| typical(of) as u64);
    let each = full.saturating_sub(empty) / taken;
    println!("an empty block: {empty} ns; an extrinsic, one of {taken}: {each} ns");
    let Some(root) = root else {
        return Ok(());
    };
    let text = format!(
        "//! What a block and an extrinsic cost before they do anything. Written by `make weights`.\n\n\
         use frame_support::{{parameter_types, weights::Weight}};\n\n\
         parameter_types! {{\n    /// An empty block, executed on {}.\n    \
         pub const BlockExecutionWeight: Weight = Weight::from_parts({}, 0);\n    \
         /// An extrinsic that does nothing, of an account of its own.\n    \
         pub const ExtrinsicBaseWeight: Weight = Weight::from_parts({}, 0);\n}}\n",
        write::machine(),
        write::grouped(empty * 1_000),
        write::grouped(each * 1_000),
    );
    write::constants(root, "base.rs", &text)
}

/// The first block, of the inherents and of as many of these as it has room for.
fn build(
    blob: &Blob,
    chain: &Chain,
    extrinsics: &[OpaqueExtrinsic],
) -> Result<(blob::Header, Vec<OpaqueExtrinsic>)> {
    let state = chain.state()?;
    let mut changes = OverlayedChanges::<BlakeTwo256>::default();
    let digest = Digest {
        logs: vec![blob::slot()],
    };
    let begun = blob::Header::new(1, H256::zero(), H256::zero(), chain.head(), digest);
    let _: ExtrinsicInclusionMode =
        blob.call(&state, &mut changes, "Core_initialize_block", begun)?;
    let mut all: Vec<OpaqueExtrinsic> = blob.call(
        &state,
        &mut changes,
        "BlockBuilder_inherent_extrinsics",
        blob::inherents()?,
    )?;
    all.extend_from_slice(extrinsics);
    let mut body = Vec::new();
    for extrinsic in all {
        changes.start_transaction();
        let applied: ApplyExtrinsicResult = blob.call(
            &state,
            &mut changes,
            "BlockBuilder_apply_extrinsic",
            &extrinsic,
        )?;
        if applied == Err(InvalidTransaction::ExhaustsResources.into()) {
            // What it wrote until then is not the block's.
            changes.rollback_transaction().map_err(|_| anyhow!(OPEN))?;
            break;
        }
        changes.commit_transaction().map_err(|_| anyhow!(OPEN))?;
        ensure!(applied == Ok(Ok(())), "refused: {applied:?}");
        body.push(extrinsic);
    }
    let header: blob::Header =
        blob.call(&state, &mut changes, "BlockBuilder_finalize_block", ())?;
    Ok((header, body))
}
