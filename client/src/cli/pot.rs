//! The liquidity pot: supplying it, leaving it, and borrowing from it.

use super::{
    args::PotAction,
    ask,
    vault::{parse_shares, shares},
    Asked, Report, Session,
};
use novate_client::{
    decimal::{cash, unsigned_units},
    AccountId, Call, Refusal, Result,
};
use novate_runtime_api::LoanPotInfo;
use novate_types::{BlockNumber, LoanParams, Ppm};
use serde_json::{json, Value};

/// Carries out what is asked of the pot.
pub async fn run(session: &Session, action: Option<&PotAction>) -> Result<Report> {
    let chain = &session.chain;
    let best = chain.best().await?;
    let owner = session.account.owner;
    let asset = session.settlement(best.hash).await?;
    let (call, what, json) = match action {
        None => {
            let info = chain.loan_pot(owner, Some(best.hash)).await?;
            return Ok(show(best.number, owner, &info));
        }
        Some(PotAction::Supply { amount }) => {
            let units = asset.units(amount)?;
            let text = asset.text(units);
            let what = format!("{text} {} for shares of the pot", asset.symbol);
            (Call::supply(units), what, json!({ "supply": text }))
        }
        Some(PotAction::Redeem { shares: some, .. }) => {
            let held = chain.loan_pot(owner, Some(best.hash)).await?.my_shares;
            let wanted = some.as_deref().map_or(Ok(held), parse_shares)?;
            if wanted > held || wanted == 0 {
                return Err(Refusal {
                    rule: "shares".into(),
                    message: format!("{} shares are held", shares(held)),
                    suggestion: (held > 0).then(|| shares(held)),
                }
                .into());
            }
            let what = format!(
                "{} shares of the pot for what they are worth",
                shares(wanted)
            );
            (
                Call::redeem(wanted),
                what,
                json!({ "redeem": shares(wanted) }),
            )
        }
        Some(PotAction::Borrow { amount }) => {
            let units = asset.units(amount)?;
            let text = asset.text(units);
            let what = format!("{text} {} from the account to the wallet", asset.symbol);
            let call = Call::borrow(session.account.sub, units);
            (call, what, json!({ "borrow": text }))
        }
    };
    let (block, asked) = ask(&session.signer()?, &call, |units| asset.text(units)).await?;
    let (done, text) = match asked {
        Asked::Executed => (true, format!("{what}, in block {block}")),
        Asked::Waits(_) => (
            false,
            format!(
                "{what}: waits in the queue since block {block}; novate pot shows when it is done"
            ),
        ),
    };
    let json =
        json!({ "asked": json, "executed": done, "block": block, "account": session.account });
    Ok(Report::new(json, text))
}

/// A part or a rate in percent.
fn percent(ppm: Ppm) -> String {
    unsigned_units(ppm.into(), 4)
}

fn terms(params: &LoanParams) -> Value {
    json!({
        "base_rate_percent": percent(params.base_rate),
        "slope_percent": percent(params.slope),
        "steep_slope_percent": percent(params.steep_slope),
        "kink_percent": percent(params.kink),
        "reserve_factor_percent": percent(params.reserve_factor),
        "utilisation_cap_percent": percent(params.utilisation_cap),
        "account_cap": cash(params.account_cap),
    })
}

fn show(block: BlockNumber, owner: AccountId, info: &LoanPotInfo) -> Report {
    let json = json!({
        "block": block,
        "supplied": cash(info.supplied),
        "borrowed": cash(info.borrowed),
        "interest_due": cash(info.interest),
        "liquid": cash(info.liquid),
        "lendable": cash(info.lendable),
        "utilisation_percent": percent(info.utilisation),
        "borrow_rate_percent": percent(info.borrow_rate),
        "supply_rate_percent": percent(info.supply_rate),
        "shares": shares(info.shares),
        "share_value": info.share_value.map(cash),
        "reserve": cash(info.reserve),
        "parameters": terms(&info.params),
        "scheduled": info.pending.map(|(params, due)| json!({ "parameters": terms(&params), "due": due })),
        "owner": owner.to_string(),
        "mine": { "shares": shares(info.my_shares), "worth": info.my_worth.map(cash) },
    });
    let mut text = format!(
        "supplied     {} USDC\nlent         {} USDC, {} % of the pot, with {} of interest due\nleft         {} USDC to leave with but for 5 % of what is lent, {} to be lent to whoever asks, {} an account at most\n",
        cash(info.supplied),
        cash(info.borrowed),
        percent(info.utilisation),
        cash(info.interest),
        cash(info.liquid),
        cash(info.lendable),
        cash(info.params.account_cap),
    );
    text += &format!(
        "a year       debtors pay {} %, suppliers earn {} %; {} % of interest is the insurance fund's\n",
        percent(info.borrow_rate),
        percent(info.supply_rate),
        percent(info.params.reserve_factor),
    );
    if info.liquid < 0 {
        text += "short        whoever owes something is called: see docs/risk.md\n";
    }
    let worth = |worth: Option<_>| worth.map_or("nothing".into(), |w| format!("{} USDC", cash(w)));
    text += &format!(
        "a share      {}\nmine         {} shares, worth {}\n",
        worth(info.share_value),
        shares(info.my_shares),
        worth(info.my_worth),
    );
    Report::new(json, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_percent() {
        assert_eq!(percent(61_500), "6.15");
        assert_eq!(percent(1_000_000), "100");
    }
}
