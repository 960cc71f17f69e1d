//! Each pallet's place in the chain: [`system`] and [`consensus`] run it, [`exchange`] trades on it.

pub mod consensus;
pub mod exchange;
pub mod system;
