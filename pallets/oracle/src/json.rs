//! One number, or a list of tickers, out of a venue's JSON, as the venue wrote it: no value of the document passes through a float.
//!
//! A pointer is that of RFC 6901, with two additions that cover every venue's shape:
//!
//! - `{symbol}` in it stands for the venue's symbol (Kraken: `/result/{symbol}/b/0`);
//! - applied to an array, a token `field=value` selects the first element whose member `field` is `value`
//!   (Binance: `/symbol={symbol}/bidPrice`).

use alloc::{string::String, vec::Vec};
use core::fmt;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

/// What stands for the venue's symbol in pointers and paths.
pub const SYMBOL: &str = "{symbol}";

/// Why there is no number, or no list, at the pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// The document is not JSON.
    Syntax,
    /// It has nothing there.
    Missing,
    /// What it has there is neither a number nor a plain string.
    NotScalar,
    /// What it has there is no array, or one that is too long.
    NotList,
}

/// A document whose syntax was checked.
#[derive(Clone, Copy)]
pub struct Document<'d>(&'d RawValue);

impl<'d> Document<'d> {
    /// Checks the syntax of the whole text.
    pub fn parse(text: &'d str) -> Result<Self, JsonError> {
        serde_json::from_str(text)
            .map(Self)
            .map_err(|_| JsonError::Syntax)
    }

    /// The text of the number or string at `pointer`, with `symbol` in place of [`SYMBOL`].
    pub fn scalar(&self, pointer: &str, symbol: &str) -> Result<&'d str, JsonError> {
        text_of(self.at(pointer, symbol)?).ok_or(JsonError::NotScalar)
    }

    /// The elements of the array at `pointer`, if they are at most `most`.
    pub fn list(&self, pointer: &str, most: usize) -> Result<Vec<Self>, JsonError> {
        let array = self.at(pointer, "")?;
        let mut json = serde_json::Deserializer::from_str(array.get());
        List(most)
            .deserialize(&mut json)
            .map_err(|_| JsonError::NotList)
    }

    fn at(&self, pointer: &str, symbol: &str) -> Result<&'d RawValue, JsonError> {
        let mut at = self.0;
        for token in pointer.split('/').skip(1) {
            let token = token
                .replace("~1", "/")
                .replace("~0", "~")
                .replace(SYMBOL, symbol);
            at = step(at, &token).ok_or(JsonError::Missing)?;
        }
        Ok(at)
    }
}

/// Reads an array of at most so many elements, each as it was written.
struct List(usize);

impl<'de> DeserializeSeed<'de> for List {
    type Value = Vec<Document<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List {
    type Value = Vec<Document<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "an array of at most {} elements", self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element::<&'de RawValue>()? {
            if elements.len() >= self.0 {
                return Err(A::Error::custom("too many elements"));
            }
            elements.push(Document(element));
        }
        Ok(elements)
    }
}

fn text_of(value: &RawValue) -> Option<&str> {
    let raw = value.get();
    match raw.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').filter(|text| !text.contains('\\')),
        None => raw
            .starts_with(|c: char| c == '-' || c.is_ascii_digit())
            .then_some(raw),
    }
}

fn step<'d>(value: &'d RawValue, token: &str) -> Option<&'d RawValue> {
    let mut json = serde_json::Deserializer::from_str(value.get());
    Step(token).deserialize(&mut json).ok().flatten()
}

/// Finds the child that a token names, and reads past the others.
struct Step<'t>(&'t str);

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_it) = map.next_key_seed(KeyIs(self.0))? {
            if is_it && found.is_none() {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let selector = self.0.split_once('=');
        let index: Option<usize> = self.0.parse().ok();
        if selector.is_none() && index.is_none() {
            return Err(A::Error::custom("neither an index nor a selector"));
        }
        let (mut found, mut position) = (None, 0usize);
        while let Some(element) = seq.next_element::<&'de RawValue>()? {
            let is_it = match selector {
                Some((field, value)) => step(element, field).and_then(text_of) == Some(value),
                None => index == Some(position),
            };
            if is_it && found.is_none() {
                found = Some(element);
            }
            position = position.saturating_add(1);
        }
        Ok(found)
    }
}

struct KeyIs<'t>(&'t str);

impl<'de> DeserializeSeed<'de> for KeyIs<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyIs<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }

    fn visit_string<E>(self, key: String) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOC: &str = r#" {"a": [10, "20.5", {"k": "x", "v": 1.10}, {"k": "y", "v": 1E400}],
        "m~n": 3, "s/t": 4, "é": 5, "esc": "1\u0030", "n": null, "t": true, "o": {}, "a2": [[7]],
        "XXBTZUSD": {"b": ["52609.60000", "1"]}} "#;

    fn at(pointer: &str, symbol: &str) -> Result<&'static str, JsonError> {
        Document::parse(DOC)?.scalar(pointer, symbol)
    }

    #[test]
    fn scalar_follows_the_pointer_when_the_document_has_it() {
        for (pointer, symbol, text) in [
            ("/a/0", "", "10"),
            ("/a/1", "", "20.5"),
            ("/a/2/v", "", "1.10"),
            ("/a/k={symbol}/v", "x", "1.10"),
            ("/a/k={symbol}/v", "y", "1E400"),
            ("/m~0n", "", "3"),
            ("/s~1t", "", "4"),
            ("/é", "", "5"),
            ("/a2/0/0", "", "7"),
            ("/result~1/../{symbol}/b/0", "", ""),
            ("/{symbol}/b/0", "XXBTZUSD", "52609.60000"),
        ] {
            match text {
                "" => assert_eq!(at(pointer, symbol), Err(JsonError::Missing)),
                text => assert_eq!(at(pointer, symbol), Ok(text), "{pointer}"),
            }
        }
    }

    #[test]
    fn scalar_names_the_fault_when_there_is_no_number() {
        for (pointer, error) in [
            ("/b", JsonError::Missing),
            ("/a/9", JsonError::Missing),
            ("/a/-1", JsonError::Missing),
            ("/a/k=z/v", JsonError::Missing),
            ("/a/v", JsonError::Missing),
            ("/a/0/0", JsonError::Missing),
            ("/n", JsonError::NotScalar),
            ("/t", JsonError::NotScalar),
            ("/o", JsonError::NotScalar),
            ("/esc", JsonError::NotScalar),
            ("", JsonError::NotScalar),
        ] {
            assert_eq!(at(pointer, ""), Err(error), "{pointer}");
        }
    }

    #[test]
    fn list_gives_the_elements_when_there_is_an_array_that_is_short_enough() {
        let document = Document::parse(DOC).unwrap();
        let elements = document.list("/a", 4).unwrap();
        let v = |at: usize| elements[at].scalar("/v", "");
        assert_eq!(elements.len(), 4);
        assert_eq!((v(2), v(3)), (Ok("1.10"), Ok("1E400")));
        assert_eq!(v(0), Err(JsonError::Missing));
        assert_eq!(elements[0].scalar("", ""), Ok("10"));
        let fault = |pointer, most| document.list(pointer, most).err();
        assert_eq!(fault("/a", 3), Some(JsonError::NotList));
        assert_eq!(fault("/o", 9), Some(JsonError::NotList));
        assert_eq!(fault("/esc", 9), Some(JsonError::NotList));
        assert_eq!(fault("/b", 9), Some(JsonError::Missing));
    }

    #[test]
    fn parse_refuses_what_is_not_json() {
        for text in [
            "",
            "{",
            "{\"a\":1",
            "<html>",
            "{\"a\":1}x",
            "{\"a\":01}",
            "[1,]",
            "\"open",
        ] {
            assert_eq!(
                Document::parse(text).err(),
                Some(JsonError::Syntax),
                "{text}"
            );
        }
        let deep = "[".repeat(60_000);
        assert!(Document::parse(&deep).is_err());
    }
}
