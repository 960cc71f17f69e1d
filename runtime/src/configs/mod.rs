//! Each pallet's place in the chain: [`system`] and [`consensus`] run it, [`exchange`] trades on it, [`fees`] pays for it.

pub mod consensus;
pub mod exchange;
pub mod fees;
pub mod system;
