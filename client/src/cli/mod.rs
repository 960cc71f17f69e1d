//! The `novate` command: arguments in, one report out, for people or for programs.

pub mod args;
mod calc;
mod chain;
mod greeks;
mod order;
mod pot;
#[cfg(test)]
mod sample;
mod stress;
mod surface;
mod vault;
mod views;

use args::{Args, Command, Leg, OnChain};
use novate_client::{
    address_of, api,
    conservation::FullState,
    decimal::cash,
    liquidator::{self, run::Said, Config},
    refusal, Account, Call, Chain, Error, Event, Refusal, Result, Signer, Wallet,
};
use novate_runtime_api::{AccountInfo, HypotheticalTrade, MAX_TRADES};
use novate_types::{Operation, OrderTarget, Side};
use serde_json::{json, Value};
use std::{
    io::{IsTerminal, Write},
    path::Path,
};
use views::View;

const DEFAULT_URL: &str = "ws://127.0.0.1:9944";
const DEFAULT_ACCOUNT: &str = "//Alice";

/// What a command has to say, in both forms.
pub struct Report {
    json: Value,
    text: String,
}

impl Report {
    /// A report.
    pub fn new(json: Value, text: impl Into<String>) -> Self {
        Self {
            json,
            text: text.into(),
        }
    }

    fn print(&self, as_json: bool) {
        let text = if as_json {
            self.json.to_string()
        } else {
            self.text.trim_end().to_owned()
        };
        // A reader that closes the pipe has seen enough.
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}

/// Prints an error, as JSON on stdout or in words on stderr, and gives the exit code.
pub fn fail(error: &Error, as_json: bool) -> u8 {
    let (body, code) = match error {
        Error::Refused(refusal) => (json!({ "refused": refusal }), 2),
        other => (json!({ "error": other.to_string() }), 1),
    };
    if as_json {
        let _ = writeln!(std::io::stdout(), "{body}");
    } else {
        let label = if code == 2 { "refused" } else { "error" };
        eprintln!("{label}: {error}");
    }
    code
}

/// A connection and who uses it.
pub struct Session {
    chain: Chain,
    secret: String,
    account: Account,
}

impl Session {
    async fn open(args: &Args) -> Result<Self> {
        let given = |argument: &Option<String>, variable: &str, default: &str| {
            argument
                .clone()
                .or_else(|| std::env::var(variable).ok())
                .unwrap_or_else(|| default.to_owned())
        };
        let secret = given(&args.account, "NOVATE_ACCOUNT", DEFAULT_ACCOUNT);
        let account = Account::new(address_of(&secret)?, args.sub);
        let chain = Chain::connect(&given(&args.url, "NOVATE_URL", DEFAULT_URL)).await?;
        Ok(Self {
            chain,
            secret,
            account,
        })
    }

    /// The settlement currency.
    async fn settlement(&self, at: novate_client::Hash) -> Result<novate_client::Asset> {
        let id = self.chain.settlement_asset()?;
        let assets = self.chain.assets(at).await?;
        let found = assets.into_iter().find(|asset| asset.id == id);
        Ok(found.ok_or_else(|| Refusal::plain("asset", "the settlement currency has no name"))?)
    }

    /// The key that signs; an address alone cannot.
    fn signer(&self) -> Result<Signer> {
        if self.secret.parse::<novate_client::AccountId>().is_ok() {
            return Err(Refusal::new(
                "no_key",
                "an address can be looked at, but it cannot sign",
                "--account with a secret URI, or NOVATE_ACCOUNT",
            )
            .into());
        }
        Ok(Signer::new(
            self.chain.clone(),
            Wallet::from_uri(&self.secret)?,
        ))
    }

    async fn account_info(&self) -> Result<AccountInfo> {
        self.chain.account(self.account, None).await
    }
}

/// Carries the command out.
pub async fn run(args: &Args) -> Result<()> {
    let command = match &args.command {
        Command::Calc(calc) => return calc::run(calc, args.json),
        Command::Liquidator { config, dry_run } => {
            return liquidate(config, *dry_run, args.json).await
        }
        Command::Chain(command) => command,
    };
    let session = Session::open(args).await?;
    let watch = matches!(
        command,
        OnChain::Book { watch: true, .. }
            | OnChain::Account { watch: true }
            | OnChain::Chain { watch: true, .. }
    );
    if watch {
        return keep_watching(&session, command, args.json).await;
    }
    once(&session, command).await?.print(args.json);
    Ok(())
}

/// The liquidator, a line for each thing that it says.
async fn liquidate(config: &Path, dry_run: bool, as_json: bool) -> Result<()> {
    let text = std::fs::read_to_string(config).map_err(|e| {
        let file = config.display();
        Refusal::plain("config", format!("{file} cannot be read: {e}"))
    })?;
    let say = |said: &Said| {
        let text = match &said.account {
            Some(account) => format!(
                "{} {} {}: {}",
                said.block, said.about, account.owner, said.text
            ),
            None => format!("{} {}:\n{}", said.block, said.about, said.text),
        };
        Report::new(json!(said), text).print(as_json);
    };
    liquidator::run(Config::read(&text)?, dry_run, say).await
}

/// The report again with every block, until interrupted.
async fn keep_watching(session: &Session, command: &OnChain, as_json: bool) -> Result<()> {
    let mut blocks = session.chain.blocks(false).await?;
    let clears = !as_json && std::io::stdout().is_terminal();
    loop {
        let report = once(session, command).await?;
        if clears {
            print!("\x1b[2J\x1b[H");
        }
        report.print(as_json);
        tokio::select! {
            block = blocks.next() => block?,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
    }
}

async fn once(session: &Session, command: &OnChain) -> Result<Report> {
    let chain = &session.chain;
    match command {
        OnChain::Deposit { amount, asset } => deposit(session, amount, asset).await,
        OnChain::Withdraw { amount, asset } => withdraw(session, amount, asset).await,
        OnChain::Order(order) => order::place(session, order).await,
        OnChain::Cancel {
            sequence,
            client_id,
            market,
            ..
        } => {
            let operation = match (sequence, client_id, market) {
                (Some(sequence), ..) => Operation::Cancel(OrderTarget::Sequence(*sequence)),
                (_, Some(id), _) => Operation::Cancel(OrderTarget::Client(*id)),
                (_, _, Some(symbol)) => Operation::CancelAll {
                    market: Some(chain.market(symbol, None).await?.id),
                },
                _ => Operation::CancelAll { market: None },
            };
            order::cancel(session, operation).await
        }
        OnChain::Book { market, depth, .. } => {
            let block = chain.best().await?;
            let market = chain.market(market, Some(block.hash)).await?;
            let book = chain.book(market.id, *depth, Some(block.hash)).await?;
            Ok(views::book(block.number, &market, &book))
        }
        OnChain::Account { .. } => {
            let block = chain.best().await?;
            let at = Some(block.hash);
            let markets = chain.markets(at).await?;
            let assets = chain.assets(block.hash).await?;
            let info = chain.account(session.account, at).await?;
            Ok(View {
                account: session.account,
                markets: &markets,
                assets: &assets,
            }
            .account(block.number, &info))
        }
        OnChain::Markets => {
            let block = chain.best().await?;
            Ok(views::markets(
                block.number,
                &chain.markets(Some(block.hash)).await?,
            ))
        }
        OnChain::Prices => {
            let block = chain.best().await?;
            Ok(views::prices(
                block.number,
                &chain.prices(Some(block.hash)).await?,
            ))
        }
        OnChain::Surface { underlying } => {
            let block = chain.best().await?;
            let at = Some(block.hash);
            let feed = chain.feed(underlying, at).await?;
            let slices = chain.surface(feed.feed, at).await?;
            Ok(surface::show(block.number, &feed, &slices))
        }
        OnChain::Chain {
            underlying, expiry, ..
        } => chain::run(session, underlying, expiry.as_deref()).await,
        OnChain::Validators => {
            let block = chain.best().await?;
            let at = Some(block.hash);
            let scores = chain.oracle_scores(at).await?;
            let feeds = chain.prices(at).await?;
            Ok(views::validators(block.number, &scores, &feeds))
        }
        OnChain::Simulate {
            side,
            size,
            market,
            price,
            legs,
        } => {
            let first = side.zip(size.as_ref()).map(|(side, size)| Leg {
                side,
                size: size.clone(),
                market: market.clone(),
                price: price.clone(),
            });
            let legs: Vec<_> = first.into_iter().chain(legs.iter().cloned()).collect();
            simulate(session, &legs).await
        }
        OnChain::Vault { action } => vault::run(session, action.as_ref()).await,
        OnChain::Pot { action } => pot::run(session, action.as_ref()).await,
        OnChain::Stress => stress::run(session).await,
        OnChain::Status { recompute } => status(session, *recompute).await,
    }
}

async fn deposit(session: &Session, amount: &str, asset: &str) -> Result<Report> {
    let signer = session.signer()?;
    let best = session.chain.best().await?;
    let asset = session.chain.asset(asset, best.hash).await?;
    let units = asset.units(amount)?;
    let held = session
        .chain
        .wallet_balance(asset.id, session.account.owner, None)
        .await?;
    if units > held {
        let message = format!(
            "the wallet holds {} {}, less than {}",
            asset.text(held),
            asset.symbol,
            asset.text(units)
        );
        return Err(Refusal {
            rule: "wallet_balance".into(),
            message,
            suggestion: (held > 0).then(|| asset.text(held)),
        }
        .into());
    }
    let included = signer
        .execute(&Call::deposit(session.account.sub, asset.id, units))
        .await?;
    let block = included.block.number;
    // Cash arrives at once, collateral at the block's close if it then still may.
    let arrived = included.own().chain(included.close()).any(|event| {
        matches!(event, Event::Deposited { account, asset: id, amount }
            if *account == session.account && *id == asset.id && *amount == units)
    });
    if !arrived {
        return Err(Refusal {
            rule: "deposit_dropped".into(),
            message: format!(
                "the close of block {block} did not take {} {}: others' deposits of the block filled the room under its cap, its \
                 price went stale, or the wallet was emptied; it is still where it was",
                asset.text(units),
                asset.symbol
            ),
            suggestion: None,
        }
        .into());
    }
    let json = json!({ "deposited": asset.text(units), "asset": asset.symbol, "block": block,
        "account": session.account });
    let text = format!(
        "deposited {} {} in block {block}",
        asset.text(units),
        asset.symbol
    );
    Ok(Report::new(json, text))
}

async fn withdraw(session: &Session, amount: &str, asset: &str) -> Result<Report> {
    let signer = session.signer()?;
    let best = session.chain.best().await?;
    let asset = session.chain.asset(asset, best.hash).await?;
    let units = asset.units(amount)?;
    // The queue takes only what the account holds at this moment: say what that is before it does.
    let account = session.account_info().await?.account;
    let held = if asset.id == session.chain.settlement_asset()? {
        u128::try_from(account.cash).unwrap_or(0)
    } else {
        account
            .collateral
            .iter()
            .find(|c| c.0 == asset.id)
            .map_or(0, |c| c.1)
    };
    if units > held {
        return Err(Refusal {
            rule: "insufficient_balance".into(),
            message: format!(
                "the account holds {} {} that can leave, less than {}; profit that is not realised stays",
                asset.text(held),
                asset.symbol,
                asset.text(units),
            ),
            suggestion: (held > 0).then(|| asset.text(held)),
        }
        .into());
    }
    let call = Call::withdraw(session.account.sub, asset.id, units);
    let (block, asked) = ask(&signer, &call, |units| asset.text(units)).await?;
    Ok(match asked {
        Asked::Executed => Report::new(
            json!({ "withdrawn": asset.text(units), "asset": asset.symbol, "block": block,
                "account": session.account }),
            format!(
                "withdrew {} {} in block {block}",
                asset.text(units),
                asset.symbol
            ),
        ),
        Asked::Waits(number) => Report::new(
            json!({ "queued": asset.text(units), "asset": asset.symbol, "block": block,
                "request": number, "account": session.account }),
            format!(
                "{} {} wait in the queue since block {block}; novate account shows when they left",
                asset.text(units),
                asset.symbol
            ),
        ),
    })
}

/// What became of a request in the close of its block.
enum Asked {
    Executed,
    /// Others came first: its number.
    Waits(Option<u64>),
}

/// Asks the close for something, and says in which block and what became of it. What the close drops is an error.
async fn ask(signer: &Signer, call: &Call, text: impl Fn(u128) -> String) -> Result<(u32, Asked)> {
    let included = signer.execute(call).await?;
    let number = included.own().find_map(|event| match event {
        Event::Requested { id, .. } => Some(*id),
        _ => None,
    });
    let block = included.block.number;
    for event in included.close() {
        match event {
            Event::Executed { id, .. } if Some(*id) == number => {
                return Ok((block, Asked::Executed));
            }
            Event::Dropped { id, reason, .. } if Some(*id) == number => {
                return Err(refusal::of_request(reason, text).into());
            }
            _ => {}
        }
    }
    Ok((block, Asked::Waits(number)))
}

async fn simulate(session: &Session, legs: &[Leg]) -> Result<Report> {
    let block = session.chain.best().await?;
    let at = Some(block.hash);
    if legs.len() > MAX_TRADES {
        let message = format!(
            "a simulation takes {MAX_TRADES} trades, less than {}",
            legs.len()
        );
        return Err(Refusal::plain("too_many_legs", message).into());
    }
    let markets = session.chain.markets(at).await?;
    let mut trades = Vec::new();
    for leg in legs {
        let market = api::find(&markets, &leg.market)?;
        let size = &leg.size;
        let lots = Side::from(leg.side)
            .signed(market.lots(size)?)
            .ok_or_else(|| Refusal::plain("size", format!("size {size} is out of range")))?;
        trades.push(HypotheticalTrade {
            market: market.id,
            lots,
            ticks: leg.price.as_ref().map(|p| market.ticks(p)).transpose()?,
        });
    }
    let before = session.chain.account(session.account, at).await?;
    let after = session.chain.simulate(session.account, &trades, at).await?;
    let assets = session.chain.assets(block.hash).await?;
    let view = View {
        account: session.account,
        markets: &markets,
        assets: &assets,
    };
    Ok(view.simulation(block.number, &before, &after))
}

async fn status(session: &Session, recompute: bool) -> Result<Report> {
    let chain = &session.chain;
    let best = chain.best().await?;
    let finalized = chain.finalized().await?;
    let status = chain.status(Some(best.hash)).await?;
    let markets = chain.markets(Some(best.hash)).await?;
    let conservation = if recompute {
        let sums = FullState::read(chain, finalized.hash).await?.recompute()?;
        Some((sums.holds(), sums.conservation, sums.deficit))
    } else {
        None
    };
    let json = json!({
        "url": chain.url(),
        "block": best.number,
        "finalized": finalized.number,
        "time_ms": status.now,
        "markets": status.markets.iter().map(|(id, status)| {
            let symbol = markets.iter().find(|m| m.id == *id).map(|m| m.symbol.as_str());
            json!({ "market": symbol, "status": status })
        }).collect::<Vec<_>>(),
        "liquidations_queued": status.liquidations_queued,
        "withdrawals_paused": status.withdrawals_paused,
        "insurance_fund": cash(status.insurance_fund),
        "vault": cash(status.vault),
        "conserved": conservation.as_ref().map(|(holds, ..)| *holds),
        "deficit": conservation.as_ref().map(|(_, _, deficit)| cash(*deficit)),
    });
    let mut text = format!(
        "node         {}\nblock        {}, finalized {}\n",
        chain.url(),
        best.number,
        finalized.number
    );
    for (id, status) in &status.markets {
        let symbol = markets
            .iter()
            .find(|m| m.id == *id)
            .map_or("?", |m| m.symbol.as_str());
        text += &format!("market       {symbol} {}\n", views::status(*status));
    }
    text += &format!(
        "liquidation  {} queued\nwithdrawals  {}\ninsurance    {} USDC\nvault        {} USDC\n",
        status.liquidations_queued,
        if status.withdrawals_paused {
            "paused"
        } else {
            "open"
        },
        cash(status.insurance_fund),
        cash(status.vault),
    );
    if let Some((holds, sums, deficit)) = conservation {
        text += &format!(
            "books        {} over {} accounts at block {}: {} USDC in the ledger, {} in custody, deficit {}\n",
            if holds { "add up" } else { "DO NOT ADD UP" },
            sums.accounts,
            finalized.number,
            cash(sums.settlement.ledger),
            cash(sums.settlement.custody),
            cash(deficit),
        );
    }
    Ok(Report::new(json, text))
}
