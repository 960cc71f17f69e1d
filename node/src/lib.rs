//! The validator: makes and finalises blocks, keeps the state, answers RPC. The chain's rules are in the runtime.
//!
//! A library, so that whoever measures blocks opens its database and runs its blob exactly as the binary does.

pub mod chain_spec;
pub mod cli;
pub mod command;
pub mod oracle_sources;
pub mod proposer;
pub mod rpc;
pub mod service;
