//! What everything costs before it is anybody's call: the database, a block, an extrinsic. `base` and `db` are
//! written by `make weights`; the pallets' weights are in their own folders.

mod base;
mod db;
mod extensions;

pub use base::{BlockExecutionWeight, ExtrinsicBaseWeight};
pub use db::DbWeight;
pub use extensions::Extensions;
