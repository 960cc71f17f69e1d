//! One file a call; `listing` and `properties` cover the trait and random sequences.

mod add_tier;
mod cancel_change;
mod delist_market;
mod follow;
mod genesis;
mod list_market;
mod listing;
mod lower_open_interest_cap;
mod properties;
mod restrict_market;
mod schedule_fee_tiers;
mod schedule_market_params;
mod schedule_tier_change;
mod set_series_rule;
mod set_status;
mod try_state;
