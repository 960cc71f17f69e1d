//! By concern: marks and staleness, funding, novation and its check, requests, the close as a whole,
//! and conservation over random blocks.

mod auction;
mod close;
mod combinations;
mod conservation;
mod expiry;
mod funding;
mod loans;
mod marks;
mod novation;
mod portfolio;
mod requests;
