//! `novate calc auction`.

use super::Report;
use crate::{call_auction, input::Input, Result, Table};
use novate_types::Side;
use serde_json::Value;

/// The one price of a call auction and who gets what: the case's `in`, see `docs/calculator.md`.
pub fn auction(given: &Value) -> Result<Report> {
    let input = Input::new(given);
    let auction = call_auction::read(&input)?;
    let mut table = Table::new(&["order", "side", "limit", "size", "filled"]);
    for (order, (id, filled)) in &auction.orders {
        let side = match order.side {
            Side::Bid => "buy",
            Side::Ask => "sell",
        };
        let numbers = [order.limit, order.lots, *filled].map(|number| number.to_string());
        table.row(
            [(*id).to_owned(), side.to_owned()]
                .into_iter()
                .chain(numbers),
        );
    }
    let price = auction
        .price
        .map_or("none, nothing trades".to_owned(), |ticks| ticks.to_string());
    Ok(Report {
        json: call_auction::out(&auction),
        text: format!("price   {price}\nvolume  {}\n\n{table}", auction.volume),
    })
}
