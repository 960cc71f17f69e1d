//! The trader's library: connect, sign, trade, query, and check the chain's books oneself.
//!
//! ```no_run
//! use novate_client::{Call, Chain, Signer, Wallet};
//!
//! # async fn run() -> novate_client::Result<()> {
//! let chain = Chain::connect("ws://127.0.0.1:9944").await?;
//! let usdc = chain.asset("USDC", chain.best().await?.hash).await?;
//! let alice = Signer::new(chain, Wallet::from_uri("//Alice")?);
//! alice.execute(&Call::deposit(0, usdc.id, usdc.units("1000")?)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`chain`] | the connection: heads, state, events, signed transactions |
//! | [`api`] | the chain's queries |
//! | [`call`] | the chain's calls |
//! | [`event`] | what blocks report |
//! | [`decimal`], [`market`] | human numbers and the market's grid |
//! | [`refusal`] | the chain's refusals in words |
//! | [`recompute`] | an account from its fills |
//! | [`conservation`] | the equalities from the full state |
//! | [`liquidator`] | a bot that bids for accounts in open competition |

#![warn(missing_docs)]

pub mod api;
pub mod call;
pub mod chain;
pub mod conservation;
pub mod decimal;
mod error;
pub mod event;
pub mod liquidator;
pub mod market;
pub mod recompute;
pub mod refusal;
mod wallet;

pub use api::Asset;
pub use call::Call;
pub use chain::{BlockId, Blocks, Chain, Hash, Included, Pending, Signer};
pub use error::{Error, Refusal, Result};
pub use event::{Event, EventRecord};
pub use market::Market;
pub use wallet::{address_of, Wallet};

/// Who signs.
pub type AccountId = subxt::utils::AccountId32;
/// A margin account.
pub type Account = novate_types::AccountRef<AccountId>;
