//! dYdX v4's published rules on the chain's arithmetic.
//!
//! Where dYdX and the chain round differently, the answer is dYdX's, as its published numbers are; each file says where.

pub mod liquidation;
pub mod margin;
pub mod premium;

use crate::{Error, Result};

/// `10^power`.
fn ten(power: u32) -> Result<u128> {
    10u128
        .checked_pow(power)
        .ok_or_else(|| Error::new("out_of_range", "a power of ten beyond 38"))
}

/// `10^power` as a fraction.
fn ten_fraction(power: i32) -> Result<(u128, u128)> {
    Ok((
        ten(power.max(0).unsigned_abs())?,
        ten(power.min(0).unsigned_abs())?,
    ))
}
