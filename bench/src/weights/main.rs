//! Measures what the runtime's calls and hooks cost, and writes it down where the runtime reads it (`make weights`).
//!
//! | command | measures | writes |
//! |---|---|---|
//! | `calls` | every benchmark of the runtime's WASM, built with `runtime-benchmarks` | `pallets/*/src/weights.rs` |
//! | `db` | a key read and a key written, on a ParityDB that is as large as a grown chain's | `runtime/src/weights/db.rs` |
//! | `overhead` | an empty block and an extrinsic that does nothing | `runtime/src/weights/base.rs` |
//!
//! Calls run on a state in memory: their time is execution alone, without the root and the commit of what they wrote. That part
//! is `db`'s, by the number of keys.

mod blob;
mod calls;
mod db;
mod overhead;
mod write;

use anyhow::Result;
use clap::{Parser, Subcommand};
// The node's allocator: the database is as fast as it is there.
use novate_node as _;
use std::path::PathBuf;

#[derive(Parser)]
#[command(about = "Measures weights and writes them into the source.")]
struct Arguments {
    /// The repository.
    #[arg(long, default_value = ".", global = true)]
    root: PathBuf,
    /// Prints only; writes nothing.
    #[arg(long, global = true)]
    dry: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Every call and hook.
    Calls(calls::Options),
    /// A read and a write of the database.
    Db(db::Options),
    /// A block and an extrinsic without anything in them.
    Overhead(overhead::Options),
}

/// Shows why a runtime trapped.
struct Errors;

impl log::Log for Errors {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.level() == log::Level::Error
    }
    fn log(&self, record: &log::Record) {
        if self.enabled(record.metadata()) {
            eprintln!("{}: {}", record.target(), record.args());
        }
    }
    fn flush(&self) {}
}

fn main() -> Result<()> {
    log::set_logger(&Errors)?;
    log::set_max_level(log::LevelFilter::Error);
    let Arguments { root, dry, what } = Arguments::parse();
    let root = (!dry).then_some(root);
    match what {
        What::Calls(options) => calls::run(&options, root.as_deref()),
        What::Db(options) => db::run(&options, root.as_deref()),
        What::Overhead(options) => overhead::run(&options, root.as_deref()),
    }
}
