//! What everything costs before it is anybody's call: the database, a block, an extrinsic. Each file is written by `make weights`;
//! the pallets' weights are in their own folders.

mod base;
mod db;

pub use base::{BlockExecutionWeight, ExtrinsicBaseWeight};
pub use db::DbWeight;
