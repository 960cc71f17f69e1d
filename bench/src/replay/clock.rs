//! Moments as people write them, in UTC.

use anyhow::{ensure, Context, Result};

const DAY: u64 = 86_400;

/// Unix seconds of `2022-11-08T16:40`, with or without seconds, or of Unix seconds.
pub fn parse(text: &str) -> Result<u64> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let wrong = || format!("{text} is neither Unix seconds nor a moment like 2022-11-08T16:40");
    let (date, time) = text.split_once('T').with_context(wrong)?;
    let numbers = |text: &str, by: char| -> Result<Vec<u64>> {
        let parts = text.split(by).map(|part| part.parse().with_context(wrong));
        parts.collect()
    };
    let (date, time) = (numbers(date, '-')?, numbers(time, ':')?);
    let ([year, month, day], [hour, minute, rest @ ..]) = (&date[..], &time[..]) else {
        anyhow::bail!(wrong());
    };
    ensure!(
        (1970..10_000).contains(year) && (1..=12).contains(month) && (1..=31).contains(day),
        wrong()
    );
    let second = rest.first().unwrap_or(&0);
    ensure!(
        *hour < 24 && *minute < 60 && *second < 60 && rest.len() <= 1,
        wrong()
    );
    Ok(days(*year, *month, *day) * DAY + hour * 3_600 + minute * 60 + second)
}

/// Days from 1970 to a date of the Gregorian calendar.
fn days(year: u64, month: u64, day: u64) -> u64 {
    // Years that begin in March end with the leap day.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let before_march = |year: u64| year * 365 + year / 4 - year / 100 + year / 400;
    before_march(year) + (month * 153 + 2) / 5 + day - 1 - 719_468
}

/// Hour and minute of Unix seconds.
pub fn minute(seconds: u64) -> String {
    format!("{:02}:{:02}", seconds % DAY / 3_600, seconds % 3_600 / 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_the_calendar_has_them() {
        assert_eq!(parse("1970-01-01T00:00").unwrap(), 0);
        assert_eq!(parse("2000-02-29T12:00").unwrap(), 951_825_600);
        assert_eq!(parse("2022-11-08T16:40").unwrap(), 1_667_925_600);
        assert_eq!(parse("2023-03-11T07:15:30").unwrap(), 1_678_518_930);
        assert_eq!(parse("1667925600").unwrap(), 1_667_925_600);
        assert_eq!(minute(1_667_925_600), "16:40");
        for wrong in [
            "",
            "2022-11-08",
            "2022-13-08T16:40",
            "2022-11-08T24:00",
            "a-b-cTd:e",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
