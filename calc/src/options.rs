//! `options_black`: Black-76 with its Greeks.

use crate::{
    input::{decimal, Input},
    Result,
};
use novate_math::{
    black76::{self, Expiry, Greeks, Kind, Level},
    Scaled,
};
use serde_json::{json, Value};

/// Call and put on a forward.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The forward's price.
    pub forward: Scaled,
    /// The strike, in the same unit.
    pub strike: Scaled,
    /// Years of 365 days left.
    pub years: Scaled,
    /// Continuous rate per year.
    pub rate: Scaled,
}

impl Terms {
    /// From `F`, `K`, `T` and `r`.
    pub fn read(input: &Input) -> Result<Self> {
        let of = |key| input.get(key)?.number();
        Ok(Self {
            forward: of("F")?,
            strike: of("K")?,
            years: of("T")?,
            rate: of("r")?,
        })
    }

    /// Time and interest.
    pub fn expiry(&self) -> Result<Expiry> {
        Ok(Expiry::new(self.years, self.rate)?)
    }

    /// Forward and strike.
    pub fn levels(&self) -> Result<(Level, Level)> {
        Ok((Level::new(self.forward)?, Level::new(self.strike)?))
    }

    /// Call and put at a volatility per √year.
    pub fn greeks(&self, volatility: Scaled) -> Result<(Greeks, Greeks)> {
        let (expiry, (forward, strike)) = (self.expiry()?, self.levels()?);
        let of = |kind| black76::greeks(kind, &forward, &strike, volatility, &expiry);
        Ok((of(Kind::Call)?, of(Kind::Put)?))
    }
}

/// `{"F", "K", "v", "T", "r"}` to `{"black76"}`: call, put, delta of both, gamma, vega, theta of both, rho of both.
pub fn case(input: &Input) -> Result<Value> {
    let (call, put) = Terms::read(input)?.greeks(input.get("v")?.number()?)?;
    let values = [
        call.price, put.price, call.delta, put.delta, call.gamma, call.vega, call.theta, put.theta,
        call.rho, put.rho,
    ];
    let values: Vec<_> = values.into_iter().map(decimal).collect::<Result<_>>()?;
    Ok(json!({ "black76": values }))
}
