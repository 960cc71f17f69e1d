//! The backstop vault as an investment.

use super::{args::VaultAction, Report, Session};
use novate_client::{
    decimal::{cash, unsigned_units, Decimal},
    AccountId, Call, Event, Refusal, Result,
};
use novate_runtime_api::{VaultInfo, SHARE_DECIMALS};
use novate_types::BlockNumber;
use serde_json::json;

pub(super) fn shares(units: u128) -> String {
    unsigned_units(units, SHARE_DECIMALS)
}

/// Shares as people type them.
pub(super) fn parse_shares(text: &str) -> Result<u128> {
    let value: Decimal = text.parse().map_err(|e| {
        let message = format!("{text} shares {e}");
        Refusal::new("shares", message, "a number such as 1000.5")
    })?;
    let one = Decimal::from_units(1, SHARE_DECIMALS)
        .ok_or_else(|| Refusal::plain("shares", "shares have too many decimals"))?;
    value.on_grid(one).map_err(|near| {
        let refusal = Refusal {
            rule: "shares".into(),
            message: format!("{value} shares have more than {SHARE_DECIMALS} decimals"),
            suggestion: near.nearest.map(|d| d.to_string()),
        };
        refusal.into()
    })
}

/// Carries out what is asked of the vault.
pub async fn run(session: &Session, action: Option<&VaultAction>) -> Result<Report> {
    match action {
        None => {
            let block = session.chain.best().await?;
            let info = session
                .chain
                .vault_info(session.account.owner, Some(block.hash))
                .await?;
            Ok(show(block.number, session.account.owner, &info))
        }
        Some(VaultAction::Deposit { amount }) => deposit(session, amount).await,
        Some(VaultAction::Withdraw { shares, .. }) => withdraw(session, shares.as_deref()).await,
    }
}

async fn deposit(session: &Session, amount: &str) -> Result<Report> {
    let signer = session.signer()?;
    let best = session.chain.best().await?;
    let asset = session.settlement(best.hash).await?;
    let units = asset.units(amount)?;
    let included = signer.execute(&Call::vault_deposit(units)).await?;
    let number = asked(included.own());
    let ends = epoch_ends(session).await?;
    let block = included.block.number;
    let json = json!({ "deposited": asset.text(units), "request": number, "block": block,
        "epoch_ends": ends });
    let text = format!(
        "{} {} have left the wallet in block {block}; they buy shares at the vault's value after block {ends}: see novate vault",
        asset.text(units),
        asset.symbol
    );
    Ok(Report::new(json, text))
}

async fn withdraw(session: &Session, some: Option<&str>) -> Result<Report> {
    let signer = session.signer()?;
    let info = session
        .chain
        .vault_info(session.account.owner, None)
        .await?;
    let wanted = some.map_or(Ok(info.mine.free), parse_shares)?;
    if wanted > info.mine.free {
        let message = if wanted > info.mine.shares {
            format!(
                "{} shares are held, fewer than {}",
                shares(info.mine.shares),
                shares(wanted)
            )
        } else {
            format!(
                "of {} shares {} are locked until block {}",
                shares(info.mine.shares),
                shares(info.mine.shares.saturating_sub(info.mine.free)),
                info.mine.unlocks
            )
        };
        return Err(Refusal {
            rule: "shares".into(),
            message,
            suggestion: (info.mine.free > 0).then(|| shares(info.mine.free)),
        }
        .into());
    }
    let included = signer.execute(&Call::vault_withdraw(wanted)).await?;
    let number = asked(included.own());
    let ends = epoch_ends(session).await?;
    let block = included.block.number;
    let json = json!({ "leaving": shares(wanted), "request": number, "block": block,
        "epoch_ends": ends });
    let text = format!(
        "{} shares leave at the vault's value after block {ends}; the wallet is paid then: see novate vault",
        shares(wanted)
    );
    Ok(Report::new(json, text))
}

fn asked<'a>(mut events: impl Iterator<Item = &'a Event>) -> Option<u64> {
    events.find_map(|event| match event {
        Event::SharesAsked { id, .. } => Some(*id),
        _ => None,
    })
}

async fn epoch_ends(session: &Session) -> Result<BlockNumber> {
    let info = session.chain.vault_info(session.account.owner, None);
    Ok(info.await?.epoch_ends)
}

fn show(block: BlockNumber, owner: AccountId, info: &VaultInfo) -> Report {
    let mine = &info.mine;
    let json = json!({
        "block": block,
        "equity": cash(info.equity),
        "withdrawable": cash(info.withdrawable),
        "shares": shares(info.shares),
        "protocol_shares": shares(info.protocol_shares),
        "share_value": info.share_value.map(cash),
        "epoch": info.epoch,
        "epoch_ends": info.epoch_ends,
        "settling": info.settling,
        "entering": cash(info.entering),
        "leaving_shares": shares(info.leaving),
        "positions": info.positions.iter().map(|p| json!({ "market": p.market, "lots": p.lots,
            "lost": cash(p.lost), "loss_cap": cash(p.loss_cap) })).collect::<Vec<_>>(),
        "owner": owner.to_string(),
        "mine": {
            "shares": shares(mine.shares),
            "free": shares(mine.free),
            "unlocks": mine.unlocks,
            "worth": mine.worth.map(cash),
            "entering": cash(mine.entering),
            "leaving_shares": shares(mine.leaving),
        },
    });
    let mut text = format!(
        "vault        {} USDC at the marks, {} may leave\nshares       {}, the protocol's {}\na share      {}\nepoch        {} ends with block {}{}\nwaiting      {} USDC to enter, {} shares to leave\n",
        cash(info.equity),
        cash(info.withdrawable),
        shares(info.shares),
        shares(info.protocol_shares),
        info.share_value.map_or("worth nothing".into(), |value| format!("{} USDC", cash(value))),
        info.epoch,
        info.epoch_ends,
        if info.settling { "; the last is being settled" } else { "" },
        cash(info.entering),
        shares(info.leaving),
    );
    for position in &info.positions {
        text += &format!(
            "market {:<5} {} lots, lost {} of {} USDC\n",
            position.market,
            position.lots,
            cash(position.lost),
            cash(position.loss_cap)
        );
    }
    let worth = mine.worth.map_or(String::new(), |worth| {
        format!(" worth {} USDC", cash(worth))
    });
    text += &format!(
        "mine         {} shares{worth}, {} free",
        shares(mine.shares),
        shares(mine.free)
    );
    if mine.unlocks > block {
        text += &format!(", all from block {}", mine.unlocks);
    }
    text += &format!(
        "; {} USDC enter, {} shares leave\n",
        cash(mine.entering),
        shares(mine.leaving)
    );
    Report::new(json, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_as_they_are_written() {
        assert_eq!(parse_shares("1000.5").unwrap(), 1_000_500_000_000);
        assert_eq!(shares(1_000_500_000_000), "1000.5");
        assert!(parse_shares("0.0000000001").is_err());
        assert!(parse_shares("many").is_err());
    }
}
