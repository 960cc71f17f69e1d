//! Tickers and calendar of contracts that expire, as Deribit has them: `BTC-27DEC26` settles on 27 December 2026 at 08:00 UTC, `BTC-27DEC26-60000-C` is the
//! call at 60,000 on it. At another time of day the time follows the date: `BTC-27DEC26T1430`.

use crate::{math, ContractKind, InstrumentKind, MathError, Millis, OptionRight, Price, Symbol};
use alloc::{format, string::String};

/// Milliseconds of a day.
pub const DAY: Millis = 86_400_000;
/// When contracts listed by rule settle, in milliseconds of the day: 08:00 UTC.
pub const SETTLEMENT_TIME: Millis = 28_800_000;

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const MINUTE: Millis = 60_000;

/// A civil date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Year of the common era.
    pub year: u64,
    /// Month, from 1.
    pub month: u64,
    /// Day of the month, from 1.
    pub day: u64,
}

impl Date {
    /// The date in UTC of milliseconds since 1970 (H. Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`).
    pub fn of(millis: Millis) -> Self {
        // Of the era that began on 1 March 0000. All of it is far below 2⁶⁴.
        let days = (millis / DAY).saturating_add(719_468);
        let (era, of_era) = (days / 146_097, days % 146_097);
        let leaps = (of_era / 1_460).saturating_add(of_era / 146_096);
        let year_of_era = of_era.saturating_add(of_era / 36_524).saturating_sub(leaps) / 365;
        let before = year_of_era
            .saturating_mul(365)
            .saturating_add(year_of_era / 4)
            .saturating_sub(year_of_era / 100);
        let of_year = of_era.saturating_sub(before);
        // From March on.
        let shifted = of_year.saturating_mul(5).saturating_add(2) / 153;
        let begins = shifted.saturating_mul(153).saturating_add(2) / 5;
        let (month, next) = if shifted < 10 {
            (shifted.saturating_add(3), 0)
        } else {
            (shifted.saturating_sub(9), 1)
        };
        Self {
            year: era
                .saturating_mul(400)
                .saturating_add(year_of_era)
                .saturating_add(next),
            month,
            day: of_year.saturating_sub(begins).saturating_add(1),
        }
    }
}

/// Expiries that are listed by rule.
pub const EXPIRIES: usize = 6;

/// When contracts listed by rule expire, seen from `now`, nearest first, all at 08:00 UTC and none sooner than `least` from now: the next two days,
/// the two Fridays after them, the last Friday of a month after these, and of a quarter after that: about 1, 2, 7, 14, 30 and 90 days. What was
/// one of them stays one as time passes, so that no more are ever listed at once.
pub fn expiries(now: Millis, least: Millis) -> [Millis; EXPIRIES] {
    let from = now.saturating_add(least).saturating_sub(SETTLEMENT_TIME);
    let first = from
        .div_ceil(DAY)
        .saturating_mul(DAY)
        .saturating_add(SETTLEMENT_TIME);
    let second = first.saturating_add(DAY);
    let week = friday_after(second, |_| true);
    let fortnight = friday_after(week, |_| true);
    let month = friday_after(fortnight, is_last_of_month);
    let quarter = friday_after(month, |friday| {
        is_last_of_month(friday) && Date::of(friday).month.is_multiple_of(3)
    });
    [first, second, week, fortnight, month, quarter]
}

/// The first Friday after `then`, at the same time of day, that is `wanted`: there is one within half a year.
fn friday_after(then: Millis, wanted: impl Fn(Millis) -> bool) -> Millis {
    // 1 January 1970 was a Thursday.
    let mut friday = then.saturating_add(DAY);
    for _ in 0..7 {
        if friday / DAY % 7 == 1 {
            break;
        }
        friday = friday.saturating_add(DAY);
    }
    for _ in 0..26 {
        if wanted(friday) {
            break;
        }
        friday = friday.saturating_add(7 * DAY);
    }
    friday
}

fn is_last_of_month(day: Millis) -> bool {
    Date::of(day).month != Date::of(day.saturating_add(7 * DAY)).month
}

/// An expiry as tickers have it: `27DEC26`, with the time of day if that is not 08:00 UTC.
pub fn expiry_text(expiry: Millis) -> String {
    let date = Date::of(expiry);
    let month = usize::try_from(date.month.saturating_sub(1))
        .ok()
        .and_then(|at| MONTHS.get(at))
        .unwrap_or(&"???");
    let day = format!("{}{month}{:02}", date.day, date.year % 100);
    let time = expiry % DAY;
    if time == SETTLEMENT_TIME {
        return day;
    }
    let minutes = time / MINUTE;
    format!("{day}T{:02}{:02}", minutes / 60, minutes % 60)
}

/// A contract's ticker on the underlying of that name: of a perpetual `BTC-PERP`. `None` if it is too long, and for a combination, whose lister
/// names it.
///
/// # Errors
///
/// A strike beyond the range of prices.
pub fn symbol_of(
    base: &str,
    kind: &InstrumentKind,
    tick_size: Price,
) -> Result<Option<Symbol>, MathError> {
    let text = match kind {
        InstrumentKind::Perpetual => format!("{base}-PERP"),
        InstrumentKind::Future { expiry } => format!("{base}-{}", expiry_text(*expiry)),
        InstrumentKind::Option {
            expiry,
            strike,
            right,
        } => {
            let strike = price_text(math::price_of(*strike, tick_size)?);
            let side = match right {
                OptionRight::Call => "C",
                OptionRight::Put => "P",
            };
            format!("{base}-{}-{strike}-{side}", expiry_text(*expiry))
        }
        InstrumentKind::Combination { .. } => return Ok(None),
    };
    Ok(Symbol::try_from(text.into_bytes()).ok())
}

/// A kind in a word, for people.
pub const fn kind_text(kind: ContractKind) -> &'static str {
    match kind {
        ContractKind::Perpetual => "perpetual",
        ContractKind::Future => "future",
        ContractKind::Call => "call",
        ContractKind::Put => "put",
        ContractKind::Combination => "combination",
    }
}

/// A price without the zeros that say nothing.
fn price_text(price: Price) -> String {
    const ONE: u128 = 1_000_000_000_000_000_000;
    let (whole, part) = (price.into_inner() / ONE, price.into_inner() % ONE);
    if part == 0 {
        return format!("{whole}");
    }
    let part = format!("{part:018}");
    format!("{whole}.{}", part.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECEMBER: Millis = 1_798_358_400_000;

    fn option(strike: u64, right: OptionRight) -> InstrumentKind {
        InstrumentKind::Option {
            expiry: DECEMBER,
            strike,
            right,
        }
    }

    fn symbol(kind: InstrumentKind, tick: Price) -> String {
        let symbol = symbol_of("BTC", &kind, tick).unwrap().unwrap();
        String::from_utf8(symbol.into_inner()).unwrap()
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        // `date -u -d @N`, N in seconds.
        for (seconds, year, month, day) in [
            (0, 1970, 1, 1),
            (951_782_400, 2000, 2, 29),
            (951_868_800, 2000, 3, 1),
            (1_709_164_800, 2024, 2, 29),
            (1_735_689_599, 2024, 12, 31),
            (1_798_358_400, 2026, 12, 27),
            (4_107_542_400, 2100, 3, 1),
        ] {
            assert_eq!(Date::of(seconds * 1_000), Date { year, month, day });
        }
    }

    #[test]
    fn expiries_are_days_fridays_and_ends_of_months_and_quarters() {
        // Monday, 30 November 2026, 19:00 UTC.
        let now = 1_796_065_200_000;
        let texts = |now| expiries(now, 3_600_000).map(expiry_text);
        assert_eq!(
            texts(now),
            ["1DEC26", "2DEC26", "4DEC26", "11DEC26", "25DEC26", "26MAR27"]
        );
        // An hour before one there is no time for it any more.
        let morning = now + 11 * 3_600_000;
        assert_eq!(texts(morning + 3_600_000 - 1)[0], "1DEC26");
        assert_eq!(texts(morning + 3_600_000 + 1)[0], "2DEC26");
    }

    #[test]
    fn no_more_than_six_expiries_are_ever_ahead() {
        let mut listed = alloc::collections::BTreeSet::new();
        let mut now = 1_796_065_200_000;
        for _ in 0..3 * 366 * 4 {
            listed.retain(|expiry| *expiry > now);
            listed.extend(expiries(now, 3_600_000));
            let ahead = expiries(now, 3_600_000);
            assert!(ahead.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(ahead[0] >= now + 3_600_000 && ahead[5] <= now + 220 * DAY);
            // One that is about to expire may still be there.
            assert!(listed.len() <= EXPIRIES + 1, "{listed:?}");
            now += 6 * 3_600_000 + 17;
        }
    }

    #[test]
    fn tickers_are_deribits() {
        let half = Price::from_rational(1, 2);
        assert_eq!(symbol(InstrumentKind::Perpetual, half), "BTC-PERP");
        let future = InstrumentKind::Future { expiry: DECEMBER };
        assert_eq!(symbol(future, half), "BTC-27DEC26");
        let later = InstrumentKind::Future {
            expiry: DECEMBER + 23_400_000,
        };
        assert_eq!(symbol(later, half), "BTC-27DEC26T1430");
        assert_eq!(
            symbol(option(120_000, OptionRight::Call), half),
            "BTC-27DEC26-60000-C"
        );
        let small = Price::from_rational(1, 10_000);
        assert_eq!(
            symbol(option(6_250, OptionRight::Put), small),
            "BTC-27DEC26-0.625-P"
        );
        assert_eq!(
            symbol_of("BTC", &option(u64::MAX, OptionRight::Put), small),
            Ok(None)
        );
    }
}
