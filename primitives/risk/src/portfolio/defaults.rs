//! Section 11's default parameters, and SPAN's sixteen scenarios.

use super::{
    Basis, Contingencies, Factors, Grid, Parts, PortfolioParams, PriceShock, Rates, Scenario,
    ShortOption, Signed, Skew, SkewCap, StaticDiscount, Unsigned, VolatilityRange, VolatilityShock,
};
use novate_types::Price;
use sp_arithmetic::FixedPointNumber;
use sp_core::bounded::BoundedVec;

/// `parts / 10⁴` with 18 decimals.
const fn signed(parts: i128) -> Signed {
    Signed::from_inner(parts.saturating_mul(100_000_000_000_000))
}

/// `parts / 10⁴` with 18 decimals.
const fn unsigned(parts: u128) -> Unsigned {
    Unsigned::from_inner(parts.saturating_mul(100_000_000_000_000))
}

/// Scenarios of the default grid: 23 cells, 8 tails and 2 skews.
pub const STANDARD_SCENARIOS: u32 = 33;

impl StaticDiscount {
    /// The factor one.
    pub const NONE: Self = Self {
        base: unsigned(10_000),
        per_rate: unsigned(0),
        flat: unsigned(0),
    };
}

impl Basis {
    /// No loss.
    pub const NONE: Self = Self {
        up: signed(0),
        down: signed(0),
        flat: unsigned(0),
        per_year: unsigned(0),
    };
}

impl Grid {
    /// Section 11's default: 23 cells, 8 tails and 2 skews.
    ///
    /// Numbers of Derive's PM2, tails weighted `0.036/|move|` (at most one) as there. Without PM2's factors on values: our marks are discounted once,
    /// and a factor that is not one would let the skew of a combination cost more than the skews of its legs.
    pub fn standard() -> Self {
        use VolatilityShock::{Down, Same, SkewAbsolute, SkewLinear, Up};
        let cell = |parts: i128, volatility, weight: u128| Scenario {
            price: signed(parts),
            volatility,
            weight: Unsigned::from_inner(weight),
        };
        let one = Unsigned::DIV;
        let inner = [0, 450, -450, 900, -900, 1_350, -1_350];
        let cells = inner
            .into_iter()
            .flat_map(|price| [Up, Same, Down].map(|volatility| cell(price, volatility, one)));
        let outer = [1_800, -1_800].map(|price| cell(price, Up, one));
        let tails = [
            (-6_600, 54_545_454_545_454_546),
            (-5_000, 72_000_000_000_000_000),
            (-3_300, 109_090_909_090_909_091),
            (3_300, 109_090_909_090_909_091),
            (5_000, 72_000_000_000_000_000),
            (10_000, 36_000_000_000_000_000),
            (20_000, 18_000_000_000_000_000),
            (30_000, 12_000_000_000_000_000),
        ]
        .map(|(price, weight)| cell(price, Up, weight));
        let skews = [SkewLinear, SkewAbsolute].map(|shock| cell(0, shock, one));
        let cap = SkewCap {
            flat: signed(1_500),
            per_root_year: signed(-500),
        };
        Self {
            price: PriceShock::Relative,
            volatility: VolatilityRange::Relative {
                up: unsigned(5_000),
                down: unsigned(2_750),
                least_up: unsigned(4_500),
                short_power: unsigned(3_000),
                long_power: unsigned(1_300),
                least_days: unsigned(10_000),
            },
            skew: Skew {
                linear: cap,
                absolute: cap,
                least_width: unsigned(100),
                width: unsigned(40_000),
                level: signed(6_000),
                level_per_root_year: signed(-1_000),
            },
            long: StaticDiscount::NONE,
            short: StaticDiscount::NONE,
            basis: Basis {
                up: signed(450),
                down: signed(-450),
                flat: unsigned(5_000),
                per_year: unsigned(20_000),
            },
            scenarios: BoundedVec::truncate_from(
                cells.chain(outer).chain(tails).chain(skews).collect(),
            ),
        }
    }

    /// SPAN's sixteen: the price scan range in thirds, each with volatility up and down, and three ranges either way of which `extreme` counts.
    pub fn span16(price_range: Price, volatility_range: Unsigned, extreme: Unsigned) -> Self {
        use VolatilityShock::{Down, Same, Up};
        let whole = Signed::DIV;
        let third = whole / 3;
        // The nearest to two thirds ends in a seven.
        let two_thirds = whole.saturating_sub(third);
        let both = |price: i128| [price, price.saturating_neg()];
        let inner = core::iter::once(0)
            .chain([third, two_thirds, whole].into_iter().flat_map(both))
            .flat_map(|price| [Up, Down].map(|volatility| (price, volatility, Unsigned::DIV)));
        let extremes =
            both(whole.saturating_mul(3)).map(|price| (price, Same, extreme.into_inner()));
        let scenarios = inner
            .chain(extremes)
            .map(|(price, volatility, weight)| Scenario {
                price: Signed::from_inner(price),
                volatility,
                weight: Unsigned::from_inner(weight),
            })
            .collect();
        let cap = SkewCap {
            flat: signed(0),
            per_root_year: signed(0),
        };
        Self {
            price: PriceShock::Absolute { range: price_range },
            volatility: VolatilityRange::Absolute {
                range: volatility_range,
                least: unsigned(1),
            },
            skew: Skew {
                linear: cap,
                absolute: cap,
                least_width: unsigned(10_000),
                width: unsigned(0),
                level: signed(0),
                level_per_root_year: signed(0),
            },
            long: StaticDiscount::NONE,
            short: StaticDiscount::NONE,
            basis: Basis::NONE,
            scenarios: BoundedVec::truncate_from(scenarios),
        }
    }
}

impl PortfolioParams {
    /// Section 11's default. Contingencies and factors of Derive's PM2; short options by themselves as at Derive and Deribit.
    pub fn standard() -> Self {
        Self {
            grid: Grid::standard(),
            factors: Factors {
                maintenance: unsigned(8_000),
                initial: unsigned(10_000),
                peg: unsigned(9_800),
                per_peg: unsigned(20_000),
            },
            contingencies: Contingencies {
                linear: Rates {
                    maintenance: unsigned(150),
                    initial_extra: unsigned(50),
                },
                short_option: Rates {
                    maintenance: unsigned(30),
                    initial_extra: unsigned(20),
                },
                least_confidence: unsigned(5_500),
                per_confidence: unsigned(10_000),
                least_share: unsigned(1_000),
                per_share: unsigned(2_000),
                sizes: BoundedVec::new(),
            },
            parts: Parts {
                maintenance: ShortOption {
                    most: unsigned(1_000),
                    least: unsigned(750),
                },
                initial: ShortOption {
                    most: unsigned(1_500),
                    least: unsigned(1_000),
                },
            },
        }
    }
}
