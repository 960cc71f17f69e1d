//! `derive_pm_v2`: portfolios of Derive's second risk manager, with its own parameters, on the portfolio engine.

use crate::{
    grain::{decimals, lots, number_signed, signed, unsigned, Grain},
    input::{decimal, Input},
    Result,
};
use novate_math::{black76::Kind, Scaled};
use novate_risk::portfolio::*;
use novate_types::SignedLots;
use serde_json::{json, Value};

/// How far apart the discounts of options of one expiry may be, one over this: what doubles make of `exp(−rT)`.
const DISCOUNT_NOISE: u64 = 1_000_000_000;

/// Columns of the tables, as the published cases have them.
const OPTIONS: [&str; 6] = [
    "expiry_s",
    "strike",
    "is_call",
    "mark_discount",
    "mark_vol",
    "amount",
];
const FEEDS: [&str; 4] = ["expiry_s", "forward", "forward_fixed", "rate"];
const SCENARIOS: [&str; 3] = ["spot_shock", "vol", "damp"];

/// A portfolio as published to `{"im", "mm", "mtm", "option_mtm", "worst_regular", "worst_tail", "worst_skew", "basis_contingency"}`.
pub fn case(input: &Input) -> Result<Value> {
    let params = params(input)?;
    let portfolio = Portfolio::read(input, &params)?;
    let mut prices = Prices::new(&portfolio.market, &params)?;
    let scan = Scan::of(&portfolio.legs, &mut prices)?;
    let needed = PortfolioMargin::of(&portfolio.legs, &mut prices)?.by_scan;

    let grain = portfolio.grain;
    let options = grain.usd(scan.option_value)?;
    let mtm = options.plus(portfolio.beside)?;
    let oracle = input.get("oracle_contingency")?.number()?.abs();
    let initial = grain.cash(needed.initial)?.plus(oracle)?;
    let worst = |which: fn(&Scenario) -> bool| {
        let cells = params.grid.scenarios.iter().zip(&scan.losses);
        let losses = cells.filter(|(cell, _)| which(cell)).map(|(_, loss)| *loss);
        decimal(grain.usd(losses.max().unwrap_or(0).max(0))?.negated())
    };
    Ok(json!({
        "im": decimal(mtm.minus(initial)?)?,
        "mm": decimal(mtm.minus(grain.cash(needed.maintenance)?)?)?,
        "mtm": decimal(mtm)?,
        "option_mtm": decimal(options)?,
        "worst_regular": worst(|cell| !is_skew(cell) && is_whole(cell))?,
        "worst_tail": worst(|cell| !is_skew(cell) && !is_whole(cell))?,
        "worst_skew": worst(is_skew)?,
        "basis_contingency": decimal(grain.usd(scan.basis)?.negated())?,
    }))
}

fn is_skew(cell: &Scenario) -> bool {
    cell.volatility >= VolatilityShock::SkewLinear
}

fn is_whole(cell: &Scenario) -> bool {
    cell.weight == Unsigned::from_u32(1)
}

/// A part of the published parameters.
struct Group<'a>(Input<'a>);

impl Group<'_> {
    fn rate(&self, key: &str) -> Result<Unsigned> {
        unsigned(&self.0.get(key)?)
    }

    fn signed(&self, key: &str) -> Result<Signed> {
        signed(&self.0.get(key)?)
    }

    /// A price factor as a move.
    fn step(&self, key: &str) -> Result<Signed> {
        step(&self.0.get(key)?)
    }
}

/// A factor on the price as the engine's relative move.
fn step(input: &Input) -> Result<Signed> {
    number_signed(input.number()?.minus(Scaled::ONE)?)
        .ok_or_else(|| input.error("out_of_range", "is outside the range of its type"))
}

fn params(input: &Input) -> Result<PortfolioParams> {
    let groups = input.get("params")?;
    let group = |key| Ok::<_, crate::Error>(Group(groups.get(key)?));
    let (vol, skew, margin) = (group("VolShock")?, group("SkewShock")?, group("Margin")?);
    let (basis, other) = (group("BasisContingency")?, group("OtherContingency")?);
    let cells = input.rows("scenarios", &SCENARIOS)?;
    let scenarios: Vec<_> = cells.iter().map(scenario).collect::<Result<_>>()?;
    let too_many = |_| input.error("too_many", "has more scenarios than a grid");
    let rates = |maintenance, initial_extra| {
        Ok::<_, crate::Error>(Rates {
            maintenance: other.rate(maintenance)?,
            initial_extra: other.rate(initial_extra)?,
        })
    };
    let cap = |flat, per_root_year| {
        Ok::<_, crate::Error>(SkewCap {
            flat: skew.signed(flat)?,
            per_root_year: skew.signed(per_root_year)?,
        })
    };
    let standard = PortfolioParams::standard();
    Ok(PortfolioParams {
        grid: Grid {
            price: PriceShock::Relative,
            volatility: VolatilityRange::Relative {
                up: vol.rate("VOLRANGEUP")?,
                down: vol.rate("VOLRANGEDOWN")?,
                least_up: vol.rate("MIN_VOL_EVAL_SHOCKED")?,
                short_power: vol.rate("SHORTTERMPOWER")?,
                long_power: vol.rate("LONGTERMPOWER")?,
                least_days: vol.rate("DTE_FLOOR")?,
            },
            skew: Skew {
                linear: cap("LINEAR_SCALE_CAP", "LINEAR_CBASE")?,
                absolute: cap("ABS_SCALE_CAP", "ABS_CBASE")?,
                least_width: skew.rate("MIN_K_STAR")?,
                width: skew.rate("MIN_WIDTH_SCALE")?,
                level: skew.signed("VOL_PARAM_STATIC")?,
                level_per_root_year: skew.signed("VOL_PARAM_SCALE")?,
            },
            long: StaticDiscount {
                base: margin.rate("BASE_STATIC_DISCOUNT")?,
                per_rate: margin.rate("LONG_RATE_MULTSCALE")?,
                flat: margin.rate("LONG_RATE_ADDSCALE")?,
            },
            short: StaticDiscount {
                base: margin.rate("BASE_STATIC_DISCOUNT_NEG")?,
                per_rate: margin.rate("SHORT_RATE_MULTSCALE")?,
                flat: margin.rate("SHORT_RATE_ADDSCALE")?,
            },
            basis: Basis {
                up: basis.step("SCENARIO_SPOT_UP")?,
                down: basis.step("SCENARIO_SPOT_DOWN")?,
                flat: basis.rate("BASIS_CONT_ADD_FACTOR")?,
                per_year: basis.rate("BASIS_CONT_MULT_FACTOR")?,
            },
            scenarios: scenarios.try_into().map_err(too_many)?,
        },
        factors: Factors {
            maintenance: margin.rate("MM_LOSS_FACTOR")?,
            initial: margin.rate("IM_LOSS_FACTOR")?,
            peg: other.rate("PEG_LOSS_THRESHOLD")?,
            per_peg: other.rate("PEG_LOSS_FACTOR")?,
        },
        contingencies: Contingencies {
            linear: rates("MM_PERP_PERCENT", "IM_PERP_PERCENT")?,
            short_option: rates("MM_OPTION_PERCENT", "IM_OPTION_PERCENT")?,
            // The published oracle contingency stands for what confidence adds.
            ..standard.contingencies
        },
        parts: standard.parts,
    })
}

fn scenario(cell: &Input) -> Result<Scenario> {
    let volatility = cell.get("vol")?.one_of(&[
        ("None", VolatilityShock::Same),
        ("Up", VolatilityShock::Up),
        ("Down", VolatilityShock::Down),
        ("LINEAR", VolatilityShock::SkewLinear),
        ("ABS", VolatilityShock::SkewAbsolute),
    ])?;
    let turned = volatility >= VolatilityShock::SkewLinear;
    let price = step(&cell.get("spot_shock")?)?;
    Ok(Scenario {
        // A skew moves no price.
        price: if turned { Signed::from_u32(0) } else { price },
        volatility,
        weight: unsigned(&cell.get("damp")?)?,
    })
}

struct Portfolio {
    market: Underlying,
    legs: Vec<Leg>,
    grain: Grain,
    /// USD of what is marked to market beside the options.
    beside: Scaled,
}

impl Portfolio {
    fn read(input: &Input, params: &PortfolioParams) -> Result<Self> {
        let one = Unsigned::from_u32(1);
        let (spot, stable) = (input.get("spot")?, input.get("stable")?);
        let perps = (input.get("perps")?, input.get("perp_price")?);
        let assets = input.get("collateral")?.list()?;
        let options = input.rows("options", &OPTIONS)?;
        let feeds = input.rows("feeds", &FEEDS)?;

        let mut beside = Scaled::ZERO;
        for key in ["cash", "unrealised_perp_pnl", "unrealised_funding"] {
            beside = beside.plus(input.get(key)?.number()?)?;
        }
        let mut gross = perps.0.number()?.abs();
        gross = gross.times(perps.1.number()?.abs().max(spot.number()?.abs()))?;
        for asset in &assets {
            let price = asset.get("price")?.number()?.over(stable.number()?)?;
            let value = asset.get("amount")?.number()?.times(price)?;
            beside = beside.plus(value)?;
            gross = gross.plus(value.abs())?;
        }
        let mut highest = spot.number()?;
        for feed in &feeds {
            highest = highest.max(feed.get("forward")?.number()?);
        }
        for option in &options {
            let price = highest.max(option.get("strike")?.number()?);
            gross = gross.plus(option.get("amount")?.number()?.abs().times(price)?)?;
        }
        let farthest = params.grid.scenarios.iter().map(|cell| cell.price).max();
        let farthest = Scaled::from(farthest.unwrap_or_default().into_inner().max(0));
        let farthest = farthest.over(Scaled::from(10u128.pow(18)))?;
        let grain = Grain::of(gross.times(Scaled::ONE.plus(farthest)?)?)?;

        let mut portfolio = Self {
            market: Underlying {
                index: unsigned(&spot)?,
                confidence: one,
                settlement: unsigned(&stable)?,
                open_interest: 0,
                terms: Vec::new(),
                series: Vec::new(),
            },
            legs: Vec::new(),
            grain,
            beside,
        };
        portfolio.hold(&perps.0, |lot_size| {
            Ok(Contract::Linear {
                mark: unsigned(&perps.1)?,
                lot_size,
                term: None,
                mmf: 0,
                imf: 0,
            })
        })?;
        for asset in &assets {
            portfolio.hold(&asset.get("amount")?, |lot_size| {
                let price = asset.get("price")?;
                let settled = price.number()?.over(stable.number()?)?;
                Ok(Contract::Collateral {
                    price: Unsigned::from_inner(settled.to_18_decimals_nearest()?),
                    lot_size,
                    moves: asset.get("risk_cancelling")?.flag()?,
                    haircut: Rates {
                        maintenance: unsigned(&asset.get("mm_haircut")?)?,
                        initial_extra: unsigned(&asset.get("im_haircut")?)?,
                    },
                    confidence: one,
                })
            })?;
        }
        portfolio.options(&options, &feeds)?;
        Ok(portfolio)
    }

    /// A leg of nothing is none: there is no bound to what a lot of it is worth.
    fn add(&mut self, contract: Contract, lots: SignedLots) {
        if lots != 0 {
            self.legs.push(Leg { contract, lots });
        }
    }

    /// A leg by itself.
    fn hold(
        &mut self,
        amount: &Input,
        contract: impl Fn(Unsigned) -> Result<Contract>,
    ) -> Result<()> {
        let (lots, lot_size) = self.grain.one_lot(amount.number()?)?;
        self.add(contract(lot_size)?, lots);
        Ok(())
    }

    /// Options in lots of one size, as those of a strike and expiry are netted.
    fn options(&mut self, options: &[Input], feeds: &[Input]) -> Result<()> {
        let mut amounts = Vec::new();
        let mut seconds = Vec::new();
        for option in options {
            amounts.push(option.get("amount")?);
            seconds.push(option.get("expiry_s")?.whole::<i64>()?);
        }
        let decimals = decimals(&amounts)?;
        let lot_size = self.grain.lot_size(decimals)?;

        let mut expiries = Vec::new();
        for feed in feeds {
            let left = feed.get("expiry_s")?.whole::<i64>()?;
            expiries.push(left);
            // None is left after expiry.
            let mut term = Term::new(
                left.max(0).unsigned_abs(),
                unsigned(&feed.get("forward")?)?,
                unsigned(&feed.get("forward_fixed")?)?,
                signed(&feed.get("rate")?)?,
            )?;
            let own = options.iter().zip(&seconds);
            if let Some((option, _)) = own.clone().find(|(_, seconds)| **seconds == left) {
                term.discount = option.get("mark_discount")?.number()?.min(Scaled::ONE);
            }
            self.market.terms.push(term);
        }
        for ((option, amount), left) in options.iter().zip(&amounts).zip(&seconds) {
            let term = expiries.iter().position(|expiry| expiry == left);
            let term = term
                .and_then(|term| u16::try_from(term).ok())
                .ok_or_else(|| option.error("missing", "has an expiry without a feed"))?;
            let discount = option.get("mark_discount")?;
            let apart = discount
                .number()?
                .min(Scaled::ONE)
                .minus(self.market.term(term)?.discount)?;
            if apart.abs().times(Scaled::from(DISCOUNT_NOISE))? > Scaled::ONE {
                return Err(
                    discount.error("inconsistent", "is not that of the expiry's other options")
                );
            }
            let wanted = Series {
                term,
                strike: unsigned(&option.get("strike")?)?,
                volatility: unsigned(&option.get("mark_vol")?)?,
                lot_size,
            };
            let series = &mut self.market.series;
            let same = |s: &Series| (s.term, s.strike) == (wanted.term, wanted.strike);
            let at = series.iter().position(same).unwrap_or(series.len());
            match series.get(at) {
                Some(listed) if *listed != wanted => {
                    let volatility = option.get("mark_vol")?;
                    return Err(volatility.error(
                        "inconsistent",
                        "is not that of the other option of its strike",
                    ));
                }
                Some(_) => {}
                None => series.push(wanted),
            }
            let series = u16::try_from(at)
                .map_err(|_| option.error("too_many", "is one option too many"))?;
            let kind = if option.get("is_call")?.flag()? {
                Kind::Call
            } else {
                Kind::Put
            };
            self.add(Contract::Option { series, kind }, lots(amount, decimals)?);
        }
        Ok(())
    }
}
