//! The validator's binary: makes and finalises blocks, keeps the state, answers RPC. The chain's rules are in the runtime.

mod chain_spec;
mod cli;
mod command;
mod oracle_sources;
mod proposer;
mod rpc;
mod service;

fn main() -> sc_cli::Result<()> {
    command::run()
}
