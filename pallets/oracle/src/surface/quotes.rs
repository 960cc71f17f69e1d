//! A venue's option tickers into a smile for each expiry.
//!
//! An option is recognised by its name: `BTC-22MAY20-6000-C` (Deribit, Bybit), `BTC-USD-200522-6000-C` (OKX). All three settle at 08:00 UTC.
//! What is no option's name, or has no volatility, is passed over.
//!
//! Of each strike the option out of the money speaks. Between strikes variance is linear, as on the grid. Beyond the outermost it goes
//! on with the slope of the outer half, if it rises outwards, and never below the total variance of the expiry before: flat, of the recorded smiles
//! that [`novate_risk::surface`] speaks of, one would admit a butterfly at its outermost strike and eight a calendar spread beyond it.

use crate::{
    decimal,
    json::Document,
    types::{OptionChain, VolatilityUnit},
    worker::{check_time, Fault},
};
use alloc::{collections::BTreeMap, vec::Vec};
use novate_math::{ln, Scaled};
use novate_risk::surface::{places, root_of_years, Smile, GRID, MAX_VARIANCE, POINTS};
use novate_types::{
    math::{mul_div_ceil, mul_div_floor, signed_mul_div_floor},
    Millis, Price,
};
use sp_runtime::{traits::Zero, FixedPointNumber};

use super::{HORIZON, LEAST_TIME};

/// Most tickers in one answer. Deribit lists about 800 of Bitcoin.
pub const MAX_TICKERS: usize = 4_096;
/// Fewest strikes of an expiry that make a smile.
pub const LEAST_STRIKES: usize = 5;

const DAY: Millis = 86_400_000;
const YEAR: Millis = 365 * DAY;
/// 08:00 UTC.
const SETTLEMENT: Millis = 8 * 3_600_000;

/// Which option a ticker is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionName {
    /// When it settles.
    pub expiry: Millis,
    /// Its strike.
    pub strike: Price,
    /// Else a put.
    pub is_call: bool,
}

/// Reads a name: `…-DATE-STRIKE-C` or `-P`, and perhaps the settlement currency after it. The date is `22MAY20`, `1JUN20` or `200522`.
pub fn parse_name(name: &str) -> Option<OptionName> {
    let mut tokens = name.rsplit('-');
    let mut right = tokens.next()?;
    if right.len() > 1 && right.bytes().all(|b| b.is_ascii_uppercase()) {
        right = tokens.next()?;
    }
    let is_call = match right {
        "C" => true,
        "P" => false,
        _ => return None,
    };
    let strike = decimal::parse(tokens.next()?)
        .ok()
        .filter(|s| !s.is_zero())?;
    let expiry = parse_date(tokens.next()?)?.checked_add(SETTLEMENT)?;
    // The underlying, at least.
    tokens.next().filter(|t| !t.is_empty())?;
    Some(OptionName {
        expiry,
        strike,
        is_call,
    })
}

/// Midnight UTC of a date of this century.
fn parse_date(text: &str) -> Option<Millis> {
    const MONTHS: [&str; 12] = [
        "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ];
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten()
    };
    let all_digits = text.bytes().all(|b| b.is_ascii_digit());
    let (year, month, day) = match (text.len(), all_digits) {
        (6, true) => (
            number(text.get(0..2)?)?,
            number(text.get(2..4)?)?,
            number(text.get(4..6)?)?,
        ),
        (6 | 7, false) => {
            let (day, rest) = text.split_at_checked(text.len().checked_sub(5)?)?;
            let month = rest.get(0..3)?;
            let at = MONTHS.iter().position(|name| *name == month)?;
            let month = u64::try_from(at).ok()?.checked_add(1)?;
            (number(rest.get(3..5)?)?, month, number(day)?)
        }
        _ => return None,
    };
    days_since_1970(year.checked_add(2_000)?, month, day)?.checked_mul(DAY)
}

/// Days from 1970-01-01, if there is such a day: Howard Hinnant's `days_from_civil`.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day == 0 || day > last {
        return None;
    }
    // Years begin in March, so that the leap day is the last.
    let (year, month) = if month > 2 {
        (year, month.checked_sub(3)?)
    } else {
        (year.checked_sub(1)?, month.checked_add(9)?)
    };
    let day_of_year = month
        .checked_mul(153)?
        .checked_add(2)?
        .checked_div(5)?
        .checked_add(day.checked_sub(1)?)?;
    let leap_days = (year / 4)
        .checked_sub(year / 100)?
        .checked_add(year / 400)?;
    year.checked_mul(365)?
        .checked_add(leap_days)?
        .checked_add(day_of_year)?
        .checked_sub(719_468)
}

/// A ticker as far as it is used.
struct Ticker {
    name: OptionName,
    forward: Price,
    /// As a fraction.
    volatility: Price,
}

/// What a venue says: a smile for each expiry of which it lists enough.
pub type Smiles = BTreeMap<Millis, Smile>;

/// Reads an answer. A fault if it holds no list, or no smile can be made of any expiry: that of the first ticker that had one, if any had.
pub fn read_chain(document: &Document, chain: &OptionChain, now: Millis) -> Result<Smiles, Fault> {
    let tickers = document
        .list(chain.list.as_str(), MAX_TICKERS)
        .map_err(|_| Fault::Missing("list"))?;
    let mut first = None;
    let mut expiries: BTreeMap<Millis, Vec<Ticker>> = BTreeMap::new();
    for ticker in tickers {
        match read_ticker(document, &ticker, chain, now) {
            Ok(Some(ticker)) => expiries.entry(ticker.name.expiry).or_default().push(ticker),
            Ok(None) => {}
            Err(fault) => first = first.or(Some(fault)),
        }
    }
    let mut smiles = Smiles::new();
    let mut before = None;
    for (expiry, tickers) in expiries {
        let time = expiry.saturating_sub(now);
        if let Some(smile) = smile(&tickers, time, before) {
            before = Some((smile, time));
            smiles.insert(expiry, smile);
        }
    }
    if smiles.is_empty() {
        return Err(first.unwrap_or(Fault::NoOptions));
    }
    Ok(smiles)
}

/// None of what is no option, ends too soon or too late, or has no volatility: null, empty or zero, as of what nobody makes a market in.
fn read_ticker(
    document: &Document,
    ticker: &Document,
    chain: &OptionChain,
    now: Millis,
) -> Result<Option<Ticker>, Fault> {
    let scalar = |pointer: &str, field| {
        ticker
            .scalar(pointer, "")
            .map_err(|_| Fault::Missing(field))
    };
    let Some(name) = parse_name(scalar(chain.name.as_str(), "name")?) else {
        return Ok(None);
    };
    let time = name.expiry.saturating_sub(now);
    if !(LEAST_TIME..=HORIZON).contains(&time) {
        return Ok(None);
    }
    if let Some(stamp) = &chain.time {
        let pointer = stamp.pointer.as_str();
        let text = scalar(pointer, "time").or_else(|fault| {
            let of_answer = document.scalar(pointer, "");
            of_answer.map_err(|_| fault)
        })?;
        check_time(stamp, text, now)?;
    }
    let number = |text, field| decimal::parse(text).map_err(|error| Fault::BadNumber(field, error));
    let volatility = match ticker.scalar(chain.volatility.as_str(), "") {
        Err(_) | Ok("") => return Ok(None),
        Ok(text) => number(text, "volatility")?,
    };
    if volatility.is_zero() {
        return Ok(None);
    }
    let forward = number(scalar(chain.forward.as_str(), "forward")?, "forward")?;
    if forward.is_zero() {
        return Err(Fault::Zero("forward"));
    }
    let volatility = match chain.unit {
        VolatilityUnit::Fraction => volatility,
        VolatilityUnit::Percent => Price::from_inner(volatility.into_inner() / 100),
    };
    Ok(Some(Ticker {
        name,
        forward,
        volatility,
    }))
}

/// A place in parts per 10¹² of `ln(K/F)/√T`, and the variance there.
type Point = (i128, i128);

/// The smile of an expiry's tickers; none of fewer than [`LEAST_STRIKES`] strikes, of strikes on one side of the forward only, or where a
/// variance is none.
fn smile(tickers: &[Ticker], time: Millis, before: Option<(Smile, Millis)>) -> Option<Smile> {
    let forwards: Vec<Price> = tickers.iter().map(|t| t.forward).collect();
    let forward = crate::aggregate::median(&forwards)?;
    let root = u128::from(root_of_years(time).ok()?);
    let mut strikes: BTreeMap<Price, &Ticker> = BTreeMap::new();
    for ticker in tickers {
        let strike = ticker.name.strike;
        let out_of_the_money = ticker.name.is_call == (strike >= forward);
        if out_of_the_money {
            strikes.insert(strike, ticker);
        } else {
            strikes.entry(strike).or_insert(ticker);
        }
    }
    let points = strikes
        .values()
        .map(|ticker| {
            let ratio = Scaled::ratio(ticker.name.strike.into_inner(), forward.into_inner());
            let units = Scaled::from(Price::DIV);
            let k = ln(ratio.ok()?).ok()?.times(units).ok()?.nearest().ok()?;
            let place = signed_mul_div_floor(k, 1_000_000, root).ok()?;
            let volatility = ticker.volatility.into_inner();
            let unit = Price::DIV.checked_mul(1_000_000)?;
            let variance = mul_div_floor(volatility, volatility, unit).ok()?;
            let valid = (1..=u128::from(MAX_VARIANCE)).contains(&variance);
            valid.then_some((place, i128::try_from(variance).ok()?))
        })
        .collect::<Option<Vec<Point>>>()?;
    if points.len() < LEAST_STRIKES {
        return None;
    }
    let places = places(time).ok()?;
    let mut variances = [0u64; POINTS];
    for ((x, k), variance) in GRID.into_iter().zip(places).zip(&mut variances) {
        let (value, observed) = at(&points, i128::from(x))?;
        let mut value = value.clamp(1, i128::from(MAX_VARIANCE));
        if let Some((smile, earlier)) = before.filter(|_| !observed) {
            let least = smile.total_variance(k, earlier).ok()?.into_inner();
            // From 18 decimals of a total to 12 of a year's.
            let scaled = u128::from(time).checked_mul(1_000_000)?;
            let least = mul_div_ceil(least, u128::from(YEAR), scaled).ok()?;
            value = value.max(i128::try_from(least).ok()?);
        }
        *variance = u64::try_from(value).ok()?;
    }
    let smile = Smile(variances);
    smile.is_valid().then_some(smile)
}

/// The variance at a place, and whether strikes lie on both sides of it.
fn at(points: &[Point], place: i128) -> Option<(i128, bool)> {
    let (first, last) = (*points.first()?, *points.last()?);
    if first.0 >= 0 || last.0 <= 0 {
        return None;
    }
    let edge = if place < first.0 {
        first
    } else if place > last.0 {
        last
    } else {
        return Some((between(points, place)?, true));
    };
    let half = edge.0 / 2;
    let inner = between(points, half)?;
    if inner >= edge.1 {
        return Some((edge.1, false));
    }
    Some((on_line((half, inner), edge, place)?, false))
}

/// Between the outermost points: linear.
fn between(points: &[Point], place: i128) -> Option<i128> {
    let after = points.iter().position(|(x, _)| *x >= place)?;
    let right = *points.get(after)?;
    match after.checked_sub(1).and_then(|at| points.get(at)) {
        Some(left) if right.0 > place => on_line(*left, right, place),
        _ => Some(right.1),
    }
}

fn on_line(from: Point, to: Point, place: i128) -> Option<i128> {
    let width = to.0.checked_sub(from.0)?;
    let way = place.checked_sub(from.0)?;
    let rise = to.1.checked_sub(from.1)?;
    // Both from the same side, so the share is not negative.
    let risen = signed_mul_div_floor(rise, way.unsigned_abs(), width.unsigned_abs()).ok()?;
    from.1.checked_add(risen)
}
