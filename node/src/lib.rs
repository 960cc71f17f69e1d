//! The validator: makes and finalises blocks, keeps the state, answers RPC. The chain's rules are in the runtime.
//!
//! A library, so that whoever measures blocks opens its database and runs its blob exactly as the binary does.

/// A block is many small pieces of memory, got and given back; glibc's allocator takes 7 % longer over it (`docs/performance.md`).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

pub mod chain_spec;
pub mod cli;
pub mod command;
pub mod oracle_sources;
pub mod proposer;
pub mod rpc;
pub mod service;
