//! One file a call; `ledger` covers the trait, `loans` the liquidity pot, `collateral` the timelock, `properties` random sequences.

mod cancel_collateral;
mod close_account;
mod deposit;
mod genesis;
mod ledger;
mod loans;
mod lower_global_cap;
mod properties;
mod schedule_collateral;
mod set_fee_tier;
mod try_state;
