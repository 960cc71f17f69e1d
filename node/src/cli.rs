//! Command line of the node.

use crate::oracle_sources::SourceOverride;
use clap::Parser;

/// Transactions that the pool holds unless told otherwise: a burst of ten thousand orders is refused none (`docs/performance.md`).
const POOL_LIMIT: &str = "32768";

/// A Novate validator or full node.
#[derive(Debug, Parser)]
#[command(mut_arg("pool_limit", |arg| arg.default_value(POOL_LIMIT)))]
pub struct Cli {
    /// Without one, the node runs.
    #[command(subcommand)]
    pub subcommand: Option<Subcommand>,

    /// Options of a running node.
    #[command(flatten)]
    pub run: sc_cli::RunCmd,

    /// Read a price source from another address: NAME=BASE_URL, NAME as the chain lists it. May be given several times.
    ///
    /// For validators with a gateway of their own, and for tests. Sources not named keep the chain's address.
    #[arg(long = "oracle-source", value_name = "NAME=BASE_URL", global = true)]
    pub oracle_sources: Vec<SourceOverride>,
}

/// Everything but running.
#[derive(Debug, clap::Subcommand)]
#[allow(clippy::large_enum_variant)]
pub enum Subcommand {
    /// Key management utilities
    #[command(subcommand)]
    Key(sc_cli::KeySubcommand),
    /// Export a chain specification.
    ExportChainSpec(sc_cli::ExportChainSpecCmd),
    /// Validate blocks.
    CheckBlock(sc_cli::CheckBlockCmd),
    /// Export blocks.
    ExportBlocks(sc_cli::ExportBlocksCmd),
    /// Export the state of a given block into a chain spec.
    ExportState(sc_cli::ExportStateCmd),
    /// Import blocks.
    ImportBlocks(sc_cli::ImportBlocksCmd),
    /// Remove the whole chain.
    PurgeChain(sc_cli::PurgeChainCmd),
    /// Revert the chain to a previous state.
    Revert(sc_cli::RevertCmd),
    /// Db meta columns information.
    ChainInfo(sc_cli::ChainInfoCmd),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_holds_a_burst_of_orders_unless_told_otherwise() {
        let limit = |args: &[&str]| Cli::parse_from(args).run.pool_config.pool_limit;
        assert_eq!(limit(&["novate-node"]), 32_768);
        assert_eq!(limit(&["novate-node", "--pool-limit=100"]), 100);
    }
}
