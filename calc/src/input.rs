//! Reading a case: every value knows where it stands, so that an error can say so.

use crate::{Error, Result};
use novate_math::Scaled;
use serde_json::Value;

/// Significant digits of a number written. The chain's mathematics is good for 30 and more.
const DIGITS: u32 = 36;

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    value: &'a Value,
    place: String,
    /// Names of the values of a row.
    columns: Option<Vec<&'a str>>,
}

impl<'a> Input<'a> {
    /// The outermost value.
    pub fn new(value: &'a Value) -> Self {
        Self {
            value,
            place: String::new(),
            columns: None,
        }
    }

    /// An error about this value.
    pub fn error(&self, name: &'static str, words: impl std::fmt::Display) -> Error {
        let place = match self.place.as_str() {
            "" => "the whole",
            place => place,
        };
        Error::new(name, format!("{place} {words}"))
    }

    fn inner(&self, value: &'a Value, key: impl std::fmt::Display) -> Self {
        let place = match self.place.as_str() {
            "" => key.to_string(),
            outer => format!("{outer}.{key}"),
        };
        Self {
            value,
            place,
            columns: None,
        }
    }

    /// The value of that name, unless it is absent or null.
    pub fn find(&self, key: &str) -> Option<Self> {
        let value = match &self.columns {
            Some(columns) => self
                .value
                .get(columns.iter().position(|column| *column == key)?),
            None => self.value.get(key),
        };
        value
            .filter(|value| !value.is_null())
            .map(|value| self.inner(value, key))
    }

    /// The value of that name.
    pub fn get(&self, key: &str) -> Result<Self> {
        self.find(key)
            .ok_or_else(|| self.error("missing", format!("has no {key}")))
    }

    /// The values of a list.
    pub fn list(&self) -> Result<Vec<Self>> {
        let values = self
            .value
            .as_array()
            .ok_or_else(|| self.error("wrong_type", "is not a list"))?;
        let each = values.iter().enumerate();
        Ok(each.map(|(at, value)| self.inner(value, at)).collect())
    }

    /// The rows of a table: objects, or lists whose columns are named in `<key>_cols` and else are `columns`.
    pub fn rows(&self, key: &str, columns: &[&'a str]) -> Result<Vec<Self>> {
        let columns = match self.find(&format!("{key}_cols")) {
            Some(named) => named
                .list()?
                .iter()
                .map(Input::text)
                .collect::<Result<_>>()?,
            None => columns.to_vec(),
        };
        let mut rows = self.get(key)?.list()?;
        for row in &mut rows {
            row.columns = match row.value {
                Value::Array(_) => Some(columns.clone()),
                Value::Object(_) => None,
                _ => return Err(row.error("wrong_type", "is neither a list nor an object")),
            };
        }
        Ok(rows)
    }

    /// A string.
    pub fn text(&self) -> Result<&'a str> {
        self.value
            .as_str()
            .ok_or_else(|| self.error("wrong_type", "is not a string"))
    }

    /// One of a few words.
    pub fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Result<T> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.error("unknown_value", format!("is none of {}", words.join(", ")))
        })
    }

    /// A truth, also written as `"1"` or `"0"`.
    pub fn flag(&self) -> Result<bool> {
        match self.value {
            Value::Bool(flag) => Ok(*flag),
            _ => self.one_of(&[("1", true), ("0", false), ("true", true), ("false", false)]),
        }
    }

    /// The digits of a number: a string, or a whole JSON number. Other JSON numbers may have lost digits already.
    fn digits(&self) -> Result<String> {
        match self.value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
            Value::Number(_) => Err(self.error(
                "malformed_number",
                "has a fraction or an exponent: write it as a string, so that no digit is lost",
            )),
            _ => Err(self.error("wrong_type", "is not a decimal string")),
        }
    }

    /// A decimal number with 128 significant bits.
    pub fn number(&self) -> Result<Scaled> {
        let digits = self.digits()?;
        digits.parse().map_err(|error: novate_math::Error| {
            self.error(Error::from(error).name, format!("is {error}"))
        })
    }

    /// A whole number in the range of its type.
    pub fn whole<T: TryFrom<i128>>(&self) -> Result<T> {
        self.in_units(0)
    }

    /// A number of 18 decimals at most and not below zero, the inner value of a `FixedU128`.
    pub fn fixed(&self) -> Result<u128> {
        self.in_units(18)
    }

    /// How many units of `10^−decimals` a number is, exactly, in the range of a type.
    pub fn in_units<T: TryFrom<i128>>(&self, decimals: u8) -> Result<T> {
        let digits = self.digits()?;
        // What is no number at all is refused as such.
        self.number()?;
        let number = units(&digits, decimals).map_err(|name| match (name, decimals) {
            ("not_whole", 0) => self.error(name, "is not a whole number"),
            ("not_whole", _) => self.error(
                "too_many_decimals",
                format!("has more than {decimals} decimals"),
            ),
            _ => self.error(name, "is outside the range of its type"),
        })?;
        T::try_from(number)
            .map_err(|_| self.error("out_of_range", "is outside the range of its type"))
    }

    /// The fewest decimals, at most 18, with which the number can be written; none if it has more.
    pub fn decimals(&self) -> Result<Option<u8>> {
        self.number()?;
        let digits = self.digits()?;
        Ok((0..=18).find(|decimals| units(&digits, *decimals) != Err("not_whole")))
    }

    /// What a key's value is read as, or `default` without it.
    pub fn or<T>(&self, key: &str, default: T, read: impl Fn(&Self) -> Result<T>) -> Result<T> {
        self.find(key).map_or(Ok(default), |value| read(&value))
    }

    /// The entries of an object.
    pub fn entries(&self) -> Result<Vec<(&'a str, Self)>> {
        let entries = self
            .value
            .as_object()
            .ok_or_else(|| self.error("wrong_type", "is not an object"))?;
        let each = entries.iter();
        Ok(each
            .map(|(key, value)| (key.as_str(), self.inner(value, key)))
            .collect())
    }
}

/// How many units of `10^−decimals` a decimal number is, exactly; or the name of what is wrong.
fn units(text: &str, decimals: u8) -> Result<i128, &'static str> {
    let (digits, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (before, after) = digits.split_once('.').unwrap_or((digits, ""));
    let negative = before.starts_with('-');
    let all = format!("{}{after}", before.trim_start_matches(['+', '-']));
    let kept = all.trim_start_matches('0').trim_end_matches('0');
    if kept.is_empty() {
        return Ok(0);
    }
    let zeros = all.len() - all.trim_end_matches('0').len();
    // Their number is small, and so is the power of what was read as a number.
    let power = power.parse::<i64>().map_err(|_| "out_of_range")?;
    let power = power + i64::from(decimals) + zeros as i64 - after.len() as i64;
    let power = u32::try_from(power).map_err(|_| "not_whole")?;
    kept.parse::<i128>()
        .ok()
        .zip(10i128.checked_pow(power))
        .and_then(|(kept, unit)| kept.checked_mul(unit))
        .map(|magnitude| if negative { -magnitude } else { magnitude })
        .ok_or("out_of_range")
}

/// A number as it is written.
pub fn decimal(x: Scaled) -> Result<Value> {
    Ok(Value::String(x.to_decimal(DIGITS)?))
}

/// A whole number as it is written.
pub fn integer(x: impl std::fmt::Display) -> Value {
    Value::String(x.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_exactly_when_written_with_point_or_exponent() {
        for (text, number) in [
            ("0", 0),
            ("-0.000", 0),
            ("0e99", 0),
            ("+12", 12),
            ("-12.0", -12),
            ("1.2e3", 1_200),
            ("1200e-2", 12),
            ("007", 7),
            ("170141183460469231731687303715884105727", i128::MAX),
        ] {
            assert_eq!(units(text, 0), Ok(number), "{text}");
        }
        for (text, name) in [
            ("0.5", "not_whole"),
            ("1e-1", "not_whole"),
            (
                "0.99999999999999999999999999999999999999999999999999",
                "not_whole",
            ),
            ("1e39", "out_of_range"),
            ("170141183460469231731687303715884105728", "out_of_range"),
        ] {
            assert_eq!(units(text, 0), Err(name), "{text}");
        }
    }

    #[test]
    fn fixed_point_is_exact_or_refused() {
        assert_eq!(units("1.5", 18), Ok(1_500_000_000_000_000_000));
        assert_eq!(units("-0.000001", 6), Ok(-1));
        assert_eq!(units("1e-18", 18), Ok(1));
        assert_eq!(units("1e-19", 18), Err("not_whole"));
        assert_eq!(
            units("170141183460469231731.687303715884105728", 18),
            Err("out_of_range")
        );
    }

    #[test]
    fn numbers_are_refused_by_name_when_they_are_none() {
        for (text, name) in [
            (r#""nan""#, "malformed_number"),
            (r#""""#, "malformed_number"),
            (r#""1e999999""#, "malformed_number"),
            (r#""1,5""#, "malformed_number"),
            ("1.5", "malformed_number"),
            ("[1]", "wrong_type"),
            ("true", "wrong_type"),
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            let value = serde_json::json!({ "x": value });
            let input = Input::new(&value).get("x").unwrap();
            let error = input.number().unwrap_err();
            assert_eq!(error.name, name, "{text}");
            assert!(error.words.starts_with("x "), "{error}");
            assert_eq!(input.whole::<i64>().unwrap_err().name, name, "{text}");
        }
    }

    #[test]
    fn columns_name_a_rows_values_when_it_is_a_list() {
        let value = serde_json::json!({
            "t_cols": ["b", "a"], "t": [["1", "2"], {"a": "3"}, ["4"]],
        });
        let rows = Input::new(&value).rows("t", &["a", "b"]).unwrap();
        assert_eq!(rows[0].get("a").unwrap().text(), Ok("2"));
        assert_eq!(rows[1].get("a").unwrap().text(), Ok("3"));
        let missing = rows[2].get("a").unwrap_err();
        assert_eq!(missing.to_string(), "missing: t.2 has no a");
    }
}
