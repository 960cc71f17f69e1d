//! Whole blocks on the real runtime. One binary for all of it: each would link the runtime again.
//!
//! Tests run in parallel threads; a chain, and what the harness remembers of it, belongs to its thread.

mod attacks;
mod auctions;
mod common;
mod conservation;
mod exchange;
mod fees;
mod fuzz;
mod greeks;
mod hostile;
mod loans;
mod order_independence;
mod pins;
mod presets;
mod scores;
mod strangles;
mod stress;
mod threshold_index;
mod triggers;
mod wasm;
mod waterfall;
