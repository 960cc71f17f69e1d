//! The portfolio model: published portfolios, SPAN in 50 digits, and what holds for every portfolio.

#[path = "../common/mod.rs"]
mod common;
mod derive;
mod exposure;
mod generate;
mod properties;
mod span;
