//! Command line of the node.

use crate::oracle_sources::SourceOverride;
use clap::Parser;
use std::time::Duration;

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

    /// How a validator makes blocks.
    #[command(flatten)]
    pub authoring: Authoring,
}

/// How a validator shares out its slot. The defaults suit the machine on which weights were measured (`docs/performance.md`).
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Authoring {
    /// Percent of a slot in which a block is made; one that takes longer is thrown away.
    #[arg(long, value_name = "PERCENT", default_value_t = 66, value_parser = clap::value_parser!(u8).range(20..=90))]
    pub slot_portion: u8,

    /// Milliseconds of it that transactions leave to the close and the storage root.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 300)]
    pub close_reserve: u64,
}

impl Authoring {
    /// Part of a slot.
    pub fn portion(&self) -> f32 {
        f32::from(self.slot_portion) / 100.0
    }

    /// Of the portion, what is left to the close.
    pub const fn reserve(&self) -> Duration {
        Duration::from_millis(self.close_reserve)
    }
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

    #[test]
    fn a_slot_is_shared_out_as_the_command_line_says() {
        let of = |args: &[&str]| Cli::try_parse_from(args).map(|cli| cli.authoring);
        let told = of(&["novate-node", "--slot-portion=50", "--close-reserve=200"]).unwrap();
        assert_eq!(told.portion(), 0.5);
        assert_eq!(told.reserve(), Duration::from_millis(200));
        assert_eq!(
            of(&["novate-node"]).unwrap().reserve(),
            Duration::from_millis(300)
        );
        assert!(of(&["novate-node", "--slot-portion=100"]).is_err());
    }
}
