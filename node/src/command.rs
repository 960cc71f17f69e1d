//! From the command line to a running node or a finished subcommand.

use crate::{
    chain_spec,
    cli::{Cli, Subcommand},
    service,
};
use novate_runtime::opaque::Block;
use sc_cli::SubstrateCli;
use sc_service::PartialComponents;

impl SubstrateCli for Cli {
    fn impl_name() -> String {
        "Novate".into()
    }

    /// The package's version, and the commit where the build was told it in `NOVATE_COMMIT`, as a release's is. Asking git in
    /// a build script would build the node again at every commit.
    fn impl_version() -> String {
        match option_env!("NOVATE_COMMIT") {
            Some(commit) => format!("{}-{commit}", env!("CARGO_PKG_VERSION")),
            None => env!("CARGO_PKG_VERSION").into(),
        }
    }

    fn description() -> String {
        env!("CARGO_PKG_DESCRIPTION").into()
    }

    fn author() -> String {
        "The Novate developers".into()
    }

    fn support_url() -> String {
        format!("{}/issues", env!("CARGO_PKG_REPOSITORY"))
    }

    fn copyright_start_year() -> i32 {
        2026
    }

    fn load_spec(&self, id: &str) -> Result<Box<dyn sc_service::ChainSpec>, String> {
        Ok(match id {
            "dev" | "development" => Box::new(chain_spec::development()?),
            "local" => Box::new(chain_spec::local()?),
            "demo" => Box::new(chain_spec::demo()?),
            "" => {
                return Err(
                    "name a chain: --chain dev, --chain demo, --chain local, or --chain FILE.json"
                        .into(),
                )
            }
            path => Box::new(chain_spec::ChainSpec::from_json_file(path.into())?),
        })
    }
}

/// Runs what the command line asks for.
pub fn run() -> sc_cli::Result<()> {
    let cli = Cli::from_args();
    match &cli.subcommand {
        Some(Subcommand::Key(cmd)) => cmd.run(&cli),
        Some(Subcommand::ExportChainSpec(cmd)) => {
            let spec = cli.load_spec(&cmd.chain)?;
            cmd.run(spec)
        }
        Some(Subcommand::CheckBlock(cmd)) => cli.create_runner(cmd)?.async_run(|config| {
            let PartialComponents {
                client,
                task_manager,
                import_queue,
                ..
            } = service::new_partial(&config)?;
            Ok((cmd.run(client, import_queue), task_manager))
        }),
        Some(Subcommand::ExportBlocks(cmd)) => cli.create_runner(cmd)?.async_run(|config| {
            let PartialComponents {
                client,
                task_manager,
                ..
            } = service::new_partial(&config)?;
            Ok((cmd.run(client, config.database), task_manager))
        }),
        Some(Subcommand::ExportState(cmd)) => cli.create_runner(cmd)?.async_run(|config| {
            let PartialComponents {
                client,
                task_manager,
                ..
            } = service::new_partial(&config)?;
            Ok((cmd.run(client, config.chain_spec), task_manager))
        }),
        Some(Subcommand::ImportBlocks(cmd)) => cli.create_runner(cmd)?.async_run(|config| {
            let PartialComponents {
                client,
                task_manager,
                import_queue,
                ..
            } = service::new_partial(&config)?;
            Ok((cmd.run(client, import_queue), task_manager))
        }),
        Some(Subcommand::PurgeChain(cmd)) => cli
            .create_runner(cmd)?
            .sync_run(|config| cmd.run(config.database)),
        Some(Subcommand::Revert(cmd)) => cli.create_runner(cmd)?.async_run(|config| {
            let PartialComponents {
                client,
                task_manager,
                backend,
                ..
            } = service::new_partial(&config)?;
            let revert_finality = Box::new(|client, _, blocks| {
                sc_consensus_grandpa::revert(client, blocks)?;
                Ok(())
            });
            Ok((
                cmd.run(client, backend, Some(revert_finality)),
                task_manager,
            ))
        }),
        Some(Subcommand::ChainInfo(cmd)) => cli
            .create_runner(cmd)?
            .sync_run(|config| cmd.run::<Block>(&config)),
        None => {
            let (sources, authoring) = (cli.oracle_sources.clone(), cli.authoring);
            cli.create_runner(&cli.run)?
                .run_node_until_exit(|config| async move {
                    match config.network.network_backend {
                        sc_network::config::NetworkBackendType::Libp2p => {
                            service::new_full::<
                                sc_network::NetworkWorker<
                                    Block,
                                    <Block as sp_runtime::traits::Block>::Hash,
                                >,
                            >(config, sources, authoring)
                        }
                        sc_network::config::NetworkBackendType::Litep2p => {
                            service::new_full::<sc_network::Litep2pNetworkBackend>(
                                config, sources, authoring,
                            )
                        }
                    }
                    .map_err(sc_cli::Error::Service)
                })
        }
    }
}
