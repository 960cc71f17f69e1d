//! One case a line.

use crate::{
    book, call_auction, derive, dydx, elementary, implied_vol, input::Input, normal, options,
    returns, span, Error, Result,
};
use serde_json::{value::RawValue, Value};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, BufRead, Write},
};

/// The answer to one line `{"id", "family", "kind", "in"}`: `{"id", "out"}`, or `{"id", "error"}` that names what is wrong.
///
/// Any line has an answer; the id is null if the line has none.
pub fn answer(line: &str) -> String {
    let (id, out) = match serde_json::from_str::<Value>(line) {
        Ok(case) => (id(line, &case), out(&case)),
        Err(error) => (None, Err(Error::new("not_json", error.to_string()))),
    };
    let id = id.unwrap_or_else(|| Value::Null.to_string());
    match out {
        Ok(out) => format!(r#"{{"id":{id},"out":{out}}}"#),
        Err(error) => format!(
            r#"{{"id":{id},"error":{}}}"#,
            Value::from(error.to_string())
        ),
    }
}

/// The id as it is written: a number read and written again could lose digits.
fn id(line: &str, case: &Value) -> Option<String> {
    match case.get("id")? {
        Value::Number(_) => {
            let raw: BTreeMap<Cow<str>, &RawValue> = serde_json::from_str(line).ok()?;
            Some(raw.get("id")?.get().to_owned())
        }
        id => Some(id.to_string()),
    }
}

/// Answers every line but blank ones, in order, each as soon as it was read. Errors are those of reading and writing alone.
pub fn answer_all(mut cases: impl BufRead, mut answers: impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    while cases.read_until(b'\n', &mut line)? > 0 {
        // What is not UTF-8 is not JSON either, and is answered so.
        let text = String::from_utf8_lossy(&line);
        if !text.trim().is_empty() {
            writeln!(answers, "{}", answer(&text))?;
            answers.flush()?;
        }
        line.clear();
    }
    Ok(())
}

fn out(case: &Value) -> Result<Value> {
    let whole = Input::new(case);
    whole.get("id")?;
    let family = whole.get("family")?;
    let kind = whole.get("kind")?;
    let input = whole.get("in")?;
    match family.text()? {
        "options_black" => options::case(&input),
        "normal_cdf" => normal::case(&kind, &input),
        "exp_ln_sqrt" => elementary::case(&kind, &input),
        "implied_vol" => implied_vol::case(&input),
        "call_auction" => call_auction::case(&input),
        "clob" => book::case(&input),
        "span16" => span::case(&input),
        "derive_pm_v2" => derive::case(&input),
        "dydx_margin" => dydx::margin::case(&kind, &input),
        "dydx_liquidation" => dydx::liquidation::case(&kind, &input),
        "dydx_premium" => dydx::premium::case(&input),
        "ewma_es" => returns::case(&kind, &input),
        _ => Err(family.error("unknown_family", "is none of those in docs/calculator.md")),
    }
}
