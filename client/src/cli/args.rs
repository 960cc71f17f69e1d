//! The command line.

use super::calc::Calc;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use novate_types::{Anchor, BlockNumber, SelfTradePrevention, Side, SubaccountId, TimeInForce};
use std::str::FromStr;

/// Trade on Novate, and look at what it does.
///
/// Refusals name the rule and the nearest valid input, and exit with 2; what cannot be done at all exits with 1.
#[derive(Debug, Parser)]
#[command(name = "novate", version)]
pub struct Args {
    /// The node's WebSocket; else NOVATE_URL, else ws://127.0.0.1:9944.
    #[arg(long, global = true)]
    pub url: Option<String>,
    /// Who: a secret URI such as //Alice, or an address to look at; else NOVATE_ACCOUNT, else //Alice.
    #[arg(long, global = true)]
    pub account: Option<String>,
    /// Which of its 256 margin accounts.
    #[arg(long, global = true, default_value_t = 0)]
    pub sub: SubaccountId,
    /// Print JSON; amounts are decimal strings, exact.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// On the chain.
    #[command(flatten)]
    Chain(OnChain),
    /// The chain's formulas, without a node.
    #[command(subcommand)]
    Calc(Calc),
    /// Bid for accounts in open competition until interrupted. The file names the node, the environment variables with the keys, and the
    /// limits: see docs/liquidator.md.
    Liquidator {
        /// The configuration, a TOML file.
        config: std::path::PathBuf,
        /// Say what would be bid, and sign nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

/// What to do on the chain.
#[derive(Debug, Subcommand)]
pub enum OnChain {
    /// Move an asset from the wallet into the margin account.
    Deposit {
        /// How much, such as 1000.5.
        amount: String,
        /// Of which asset.
        #[arg(long, default_value = "USDC")]
        asset: String,
    },
    /// Move an asset from the margin account to the wallet, at the block's close.
    Withdraw {
        /// How much, such as 1000.5.
        amount: String,
        /// Of which asset.
        #[arg(long, default_value = "USDC")]
        asset: String,
    },
    /// Place an order and say what became of it.
    Order(Order),
    /// Cancel one order, or all of them.
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Cancel {
        /// The order with this number of the chain's.
        #[arg(long, group = "which")]
        sequence: Option<u64>,
        /// The order with this number of your own.
        #[arg(long, group = "which")]
        client_id: Option<u64>,
        /// Every open order.
        #[arg(long, group = "which")]
        all: bool,
        /// With --all: of this market only.
        #[arg(long, conflicts_with_all = ["sequence", "client_id"])]
        market: Option<String>,
    },
    /// A market's resting orders.
    Book {
        /// The market.
        #[arg(default_value = "BTC-PERP")]
        market: String,
        /// Levels a side.
        #[arg(long, default_value_t = 10)]
        depth: u32,
        /// Again with every block.
        #[arg(long)]
        watch: bool,
    },
    /// The margin account: equity, margins, positions with their Greeks, open orders, liquidation prices, and what its portfolios need and lose.
    Account {
        /// Again with every block.
        #[arg(long)]
        watch: bool,
    },
    /// Every market: its grid, margins, prices, funding and what it admits.
    Markets,
    /// The oracle's prices and their age.
    Prices,
    /// The volatility surface of an underlying: of each expiry the volatility at places of `ln(K/F)/√T`, and its age.
    Surface {
        /// The underlying.
        #[arg(default_value = "BTC")]
        underlying: String,
    },
    /// The option chain of an underlying: by expiry and strike, calls left and puts right, with bid, ask, mark, its volatility and its Greeks in
    /// Deribit's units (vega per volatility point, theta per day, rho per point of interest).
    Chain {
        /// The underlying.
        #[arg(default_value = "BTC")]
        underlying: String,
        /// Only this expiry, such as 26JUN26.
        #[arg(long)]
        expiry: Option<String>,
        /// Again with every block.
        #[arg(long)]
        watch: bool,
    },
    /// How the validators observe prices: what each missed, where it was an outlier, and what follows.
    Validators,
    /// The account as it would be after a trade, or after several at once: margins by both rules and which of them binds, the worst scenario,
    /// and Greeks.
    Simulate {
        /// Buy or sell.
        #[arg(requires = "size", required_unless_present = "legs")]
        side: Option<BuySell>,
        /// How much of the underlying, such as 0.5.
        size: Option<String>,
        /// In which market.
        #[arg(long, default_value = "BTC-PERP")]
        market: String,
        /// At this price instead of the mark.
        #[arg(long, requires = "side")]
        price: Option<String>,
        /// A further leg, such as sell:1:BTC-26JUN26-60000-C, or with @1200 behind it at that price instead of the mark. May be repeated; perpetuals,
        /// futures and options.
        #[arg(long = "leg", value_name = "SIDE:SIZE:MARKET[@PRICE]")]
        legs: Vec<Leg>,
    },
    /// The backstop vault: what it is worth, and what of it is yours. With an action: buy or sell shares of it, at the end of the epoch.
    Vault {
        /// What to do; nothing shows it.
        #[command(subcommand)]
        action: Option<VaultAction>,
    },
    /// The liquidity pot: what is supplied and lent, at which rates, and what of it is yours. With an action: supply it, leave it, or borrow.
    Pot {
        /// What to do; nothing shows it.
        #[command(subcommand)]
        action: Option<PotAction>,
    },
    /// Volatility forecasts, the margin that follows them, and what all accounts would lack if prices moved, against fund and vault.
    Stress,
    /// Where the chain stands, and whether its books add up.
    Status {
        /// Also read the full state and add it up here.
        #[arg(long)]
        recompute: bool,
    },
}

/// What to do with shares of the vault.
#[derive(Debug, Subcommand)]
pub enum VaultAction {
    /// Buy shares with the wallet's settlement currency. They are locked for a while.
    Deposit {
        /// How much, such as 1000.5.
        amount: String,
    },
    /// Sell shares; the wallet is paid.
    #[command(group = clap::ArgGroup::new("how_many").required(true))]
    Withdraw {
        /// How many, such as 1000.5.
        #[arg(group = "how_many")]
        shares: Option<String>,
        /// All that are not locked.
        #[arg(long, group = "how_many")]
        all: bool,
    },
}

/// What to do with the liquidity pot.
#[derive(Debug, Subcommand)]
pub enum PotAction {
    /// Supply the wallet's settlement currency, at the block's close, for shares that earn what debtors pay.
    Supply {
        /// How much, such as 1000.5.
        amount: String,
    },
    /// Give shares back, at the block's close; the wallet is paid as far as it is not lent.
    #[command(group = clap::ArgGroup::new("how_many").required(true))]
    Redeem {
        /// How many, such as 1000.5.
        #[arg(group = "how_many")]
        shares: Option<String>,
        /// All of them.
        #[arg(long, group = "how_many")]
        all: bool,
    },
    /// Move settlement currency from the margin account to the wallet beyond what it holds, against its collateral, at interest. A deposit
    /// repays.
    Borrow {
        /// How much, such as 1000.5.
        amount: String,
    },
}

/// An order.
#[derive(Debug, ClapArgs)]
#[command(group = clap::ArgGroup::new("limit").required(true))]
pub struct Order {
    /// Buy or sell.
    pub side: BuySell,
    /// How much of the underlying, such as 0.5.
    pub size: String,
    /// In which market.
    #[arg(long, default_value = "BTC-PERP")]
    pub market: String,
    /// No worse than this price.
    #[arg(long, group = "limit")]
    pub price: Option<String>,
    /// What the market gives, close to the mark, at once or not at all.
    #[arg(long, group = "limit")]
    pub market_order: bool,
    /// gtc, ioc, fok, post-only, gtt:60s (or 5m, 2h), gtt:BLOCK.
    #[arg(long, value_name = "TIF")]
    pub tif: Option<Tif>,
    /// Only ever bring the position nearer to zero.
    #[arg(long)]
    pub reduce_only: bool,
    /// Wait until the mark has fallen to this price: a stop of a long, a take-profit of a short.
    #[arg(long, value_name = "PRICE", conflicts_with = "when_rises_to")]
    pub when_falls_to: Option<String>,
    /// Wait until the mark has risen to this price: a stop of a short, a take-profit of a long.
    #[arg(long, value_name = "PRICE")]
    pub when_rises_to: Option<String>,
    /// One cancels the other: beside this order, a market order of the same side and size that only reduces, once the mark has fallen
    /// to this price. Whichever executes first, or is cancelled, cancels the other.
    #[arg(long, value_name = "PRICE", conflicts_with = "or_when_rises_to")]
    pub or_when_falls_to: Option<String>,
    /// The same, once the mark has risen to this price.
    #[arg(long, value_name = "PRICE")]
    pub or_when_rises_to: Option<String>,
    /// Wait no longer than this for the mark: gtt:60s (or 5m, 2h), gtt:BLOCK. Of one that cancels another, a week if not given.
    #[arg(long, value_name = "TIME")]
    pub wait: Option<Tif>,
    /// Show the market no more than this size at a time (iceberg).
    #[arg(long, value_name = "SIZE", conflicts_with_all = ["twap", "when_falls_to", "when_rises_to", "or_when_falls_to", "or_when_rises_to"])]
    pub display: Option<String>,
    /// Work it off in slices over time, such as 10m/20: twenty slices in ten minutes.
    #[arg(long, value_name = "TIME/SLICES", conflicts_with_all = ["when_falls_to", "when_rises_to", "or_when_falls_to", "or_when_rises_to"])]
    pub twap: Option<Plan>,
    /// Follow the mark or the best price of its side at this distance, such as mark:-5 or best:0, never beyond --price and never taking.
    #[arg(long, value_name = "ANCHOR:DISTANCE", allow_hyphen_values = true, conflicts_with_all = ["market_order", "tif", "display", "twap", "when_falls_to", "when_rises_to", "or_when_falls_to", "or_when_rises_to"])]
    pub peg: Option<Follow>,
    /// Which order gives way rather than trade with yourself.
    #[arg(long, default_value = "cancel-newest")]
    pub stp: Stp,
    /// Your own number for it, unique among your open orders; the clock's milliseconds if not given.
    #[arg(long)]
    pub client_id: Option<u64>,
    /// Return once the pool has it, without waiting for a block.
    #[arg(long)]
    pub no_wait: bool,
}

/// Buy or sell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BuySell {
    /// Bid.
    Buy,
    /// Ask.
    Sell,
}

impl From<BuySell> for Side {
    fn from(side: BuySell) -> Self {
        match side {
            BuySell::Buy => Side::Bid,
            BuySell::Sell => Side::Ask,
        }
    }
}

/// A trade to imagine, as it is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Buy or sell.
    pub side: BuySell,
    /// How much of the underlying.
    pub size: String,
    /// In which market.
    pub market: String,
    /// At this price instead of the mark.
    pub price: Option<String>,
}

impl FromStr for Leg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let near = "try sell:1:BTC-26JUN26-60000-C or buy:0.5:BTC-PERP@60000";
        let mut parts = text.splitn(3, ':');
        let (Some(side), Some(size), Some(market)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(format!("a leg is a side, a size and a market; {near}"));
        };
        let side = BuySell::from_str(side, true)
            .map_err(|_| format!("{side} is neither buy nor sell; {near}"))?;
        let (market, price) = match market.split_once('@') {
            Some((market, price)) => (market, Some(price.to_owned())),
            None => (market, None),
        };
        if market.is_empty() {
            return Err(format!("a leg is in a market; {near}"));
        }
        Ok(Self {
            side,
            size: size.to_owned(),
            market: market.to_owned(),
            price,
        })
    }
}

/// Which of two orders of one owner gives way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stp {
    /// The incoming one.
    CancelNewest,
    /// The resting one.
    CancelOldest,
}

impl From<Stp> for SelfTradePrevention {
    fn from(stp: Stp) -> Self {
        match stp {
            Stp::CancelNewest => SelfTradePrevention::CancelNewest,
            Stp::CancelOldest => SelfTradePrevention::CancelOldest,
        }
    }
}

/// Slices over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How many.
    pub slices: u16,
    /// Blocks from one to the next; a block is a second.
    pub interval: u16,
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let near = "try 10m/20";
        let (time, slices) = text
            .split_once('/')
            .ok_or(format!("it is no time and number of slices; {near}"))?;
        let Ok(Tif::ForSeconds(seconds)) = format!("gtt:{time}").parse() else {
            return Err(format!("{time} is no time; {near}"));
        };
        let slices: u16 = slices
            .parse()
            .map_err(|_| format!("{slices} is no number of slices; {near}"))?;
        let interval = seconds.checked_div(slices.into()).unwrap_or(0);
        match u16::try_from(interval) {
            Ok(interval) if interval > 0 && slices > 1 => Ok(Self { slices, interval }),
            Ok(_) => Err(format!(
                "there are at least two slices, a second or more apart; {near}"
            )),
            Err(_) => Err("slices are at most 65535 seconds apart; use more of them".into()),
        }
    }
}

/// What a limit follows, and how far from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follow {
    /// What.
    pub anchor: Anchor,
    /// Below it.
    pub below: bool,
    /// How far, as a price.
    pub away: String,
}

impl FromStr for Follow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (anchor, away) = text.split_once(':').unwrap_or((text, "0"));
        let anchor = match anchor {
            "mark" => Anchor::Mark,
            "best" => Anchor::Best,
            _ => return Err("an order follows mark or best; try mark:-5 or best:0".into()),
        };
        let (below, away) = match away.strip_prefix('-') {
            Some(away) => (true, away),
            None => (false, away.strip_prefix('+').unwrap_or(away)),
        };
        Ok(Self {
            anchor,
            below,
            away: away.into(),
        })
    }
}

/// How long an order stands, with the time not yet turned into a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tif {
    /// Until it fills or is cancelled.
    Gtc,
    /// At once or not at all.
    Ioc,
    /// Whole and at once or not at all.
    Fok,
    /// Never takes.
    PostOnly,
    /// Until this block.
    UntilBlock(BlockNumber),
    /// For this many seconds; a block is a second.
    ForSeconds(u32),
}

impl Tif {
    /// As the chain knows it, counted from the block `now`.
    pub fn at(self, now: BlockNumber) -> TimeInForce {
        match self {
            Self::Gtc => TimeInForce::GoodTilCancelled,
            Self::Ioc => TimeInForce::ImmediateOrCancel,
            Self::Fok => TimeInForce::FillOrKill,
            Self::PostOnly => TimeInForce::PostOnly,
            Self::UntilBlock(block) => TimeInForce::GoodTilBlock(block),
            Self::ForSeconds(seconds) => TimeInForce::GoodTilBlock(now.saturating_add(seconds)),
        }
    }
}

impl FromStr for Tif {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str, near: &str| Err(format!("{why}; try {near}"));
        let text = text.to_ascii_lowercase();
        let until = match text.as_str() {
            "gtc" => return Ok(Self::Gtc),
            "ioc" => return Ok(Self::Ioc),
            "fok" => return Ok(Self::Fok),
            "post-only" => return Ok(Self::PostOnly),
            other => match other.strip_prefix("gtt:") {
                Some(until) => until,
                None => {
                    return wrong(
                        "it is none of gtc, ioc, fok, post-only, gtt:TIME",
                        "gtc or gtt:60s",
                    )
                }
            },
        };
        let (digits, seconds_each) = match until.strip_suffix(['s', 'm', 'h']) {
            Some(digits) if until.ends_with('h') => (digits, Some(3_600)),
            Some(digits) if until.ends_with('m') => (digits, Some(60)),
            Some(digits) => (digits, Some(1)),
            None => (until, None),
        };
        let Ok(number) = digits.parse::<u32>() else {
            return wrong(
                "gtt needs a duration or a block",
                "gtt:60s, gtt:5m or gtt:12345",
            );
        };
        match seconds_each {
            _ if number == 0 => wrong("gtt of zero is past already", "gtt:1s"),
            None => Ok(Self::UntilBlock(number)),
            Some(each) => match number.checked_mul(each) {
                Some(seconds) => Ok(Self::ForSeconds(seconds)),
                None => wrong("gtt lies beyond the last block there can be", "gtc"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn order_takes_every_option() {
        let args = parse(
            "novate --account //Bob --sub 3 order sell 0.5 --price 20000.5 --tif gtt:5m --reduce-only \
             --stp cancel-oldest --client-id 9 --json --url ws://x",
        )
        .unwrap();
        assert_eq!(
            (args.sub, args.json, args.url.as_deref()),
            (3, true, Some("ws://x"))
        );
        let Command::Chain(OnChain::Order(order)) = args.command else {
            panic!("an order")
        };
        assert_eq!(Side::from(order.side), Side::Ask);
        assert_eq!(order.tif, Some(Tif::ForSeconds(300)));
        assert_eq!(
            SelfTradePrevention::from(order.stp),
            SelfTradePrevention::CancelOldest
        );
        assert_eq!((order.reduce_only, order.client_id), (true, Some(9)));
    }

    #[test]
    fn order_is_refused_when_it_has_no_limit_or_two() {
        assert!(parse("novate order buy 1").is_err());
        assert!(parse("novate order buy 1 --price 5 --market-order").is_err());
        assert!(parse("novate order buy 1 --market-order").is_ok());
        assert!(parse("novate order hold 1 --price 5").is_err());
    }

    #[test]
    fn order_waits_for_one_level_at_most() {
        let stop = "novate order sell 1 --market-order --reduce-only --when-falls-to 19000";
        let args = parse(&format!("{stop} --wait gtt:2h")).unwrap();
        let Command::Chain(OnChain::Order(order)) = args.command else {
            panic!("an order")
        };
        assert_eq!(order.when_falls_to.as_deref(), Some("19000"));
        assert_eq!(order.wait, Some(Tif::ForSeconds(7_200)));
        assert!(parse(&format!("{stop} --when-rises-to 21000")).is_err());
    }

    #[test]
    fn order_is_one_of_its_kinds_at_most() {
        let order = |line: &str| -> Result<Order, clap::Error> {
            match parse(line)?.command {
                Command::Chain(OnChain::Order(order)) => Ok(order),
                other => panic!("{other:?}"),
            }
        };
        let plain = "novate order sell 1 --price 21000";
        let iceberg = order(&format!("{plain} --display 0.1")).unwrap();
        assert_eq!(iceberg.display.as_deref(), Some("0.1"));
        let twap = order(&format!("{plain} --twap 10m/20")).unwrap();
        let plan = Plan {
            slices: 20,
            interval: 30,
        };
        assert_eq!(twap.twap, Some(plan));
        let pair = order(&format!("{plain} --or-when-falls-to 19000 --wait gtt:2h")).unwrap();
        assert_eq!(pair.or_when_falls_to.as_deref(), Some("19000"));
        let triggers = format!("{plain} --when-rises-to 21000 --or-when-falls-to 19000");
        assert!(order(&triggers).is_ok());

        let pegged = order(&format!("{plain} --peg mark:-5")).unwrap();
        let follow = Follow {
            anchor: Anchor::Mark,
            below: true,
            away: "5".into(),
        };
        assert_eq!(pegged.peg, Some(follow));
        assert!(order("novate order buy 1 --market-order --peg best:0").is_err());

        for two in [
            "--peg best --display 0.1",
            "--peg index:3",
            "--display 0.1 --twap 10m/20",
            "--display 0.1 --when-falls-to 19000",
            "--display 0.1 --or-when-falls-to 19000",
            "--twap 10m/20 --or-when-rises-to 22000",
            "--or-when-falls-to 19000 --or-when-rises-to 22000",
        ] {
            assert!(order(&format!("{plain} {two}")).is_err(), "{two}");
        }
        for wrong in ["10m", "10/20", "10m/1", "10s/20", "10m/x", "99999h/2"] {
            assert!(
                order(&format!("{plain} --twap {wrong}")).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn simulation_is_of_one_trade_or_of_legs() {
        let legs = |line: &str| -> Result<(Option<BuySell>, Vec<Leg>), clap::Error> {
            match parse(line)?.command {
                Command::Chain(OnChain::Simulate { side, legs, .. }) => Ok((side, legs)),
                other => panic!("{other:?}"),
            }
        };
        let (side, none) = legs("novate simulate buy 0.5 --market BTC-PERP").unwrap();
        assert_eq!((side, none.len()), (Some(BuySell::Buy), 0));
        let (side, two) =
            legs("novate simulate --leg sell:1:BTC-26JUN26-60000-C@1200.5 --leg buy:0.5:BTC-PERP")
                .unwrap();
        assert_eq!(side, None);
        let call = Leg {
            side: BuySell::Sell,
            size: "1".into(),
            market: "BTC-26JUN26-60000-C".into(),
            price: Some("1200.5".into()),
        };
        assert_eq!(two[0], call);
        assert_eq!((two[1].side, two[1].price.as_deref()), (BuySell::Buy, None));
        assert!(legs("novate simulate buy 0.5 --leg sell:1:BTC-PERP").is_ok());
        for wrong in [
            "novate simulate",
            "novate simulate buy",
            "novate simulate --price 5 --leg buy:1:BTC-PERP",
            "novate simulate --leg buy:1",
            "novate simulate --leg hold:1:BTC-PERP",
            "novate simulate --leg buy:1:",
        ] {
            assert!(legs(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn chain_is_of_an_underlying_and_one_expiry_if_asked() {
        let args = parse("novate chain ETH --expiry 26JUN26 --json").unwrap();
        let Command::Chain(OnChain::Chain {
            underlying, expiry, ..
        }) = args.command
        else {
            panic!("the option chain")
        };
        assert_eq!(
            (underlying.as_str(), expiry.as_deref()),
            ("ETH", Some("26JUN26"))
        );
        assert!(parse("novate chain").is_ok());
    }

    #[test]
    fn calculator_takes_numbers_below_zero() {
        let args = parse(
            "novate calc liquidation-price --size -0.5 --entry 60000 --cash -1 --maintenance 0.03 --json",
        )
        .unwrap();
        let Command::Calc(Calc::LiquidationPrice { size, cash, .. }) = args.command else {
            panic!("a liquidation price")
        };
        assert_eq!(
            (size.as_str(), cash.as_str(), args.json),
            ("-0.5", "-1", true)
        );
        assert!(parse(
            "novate calc option --forward 1 --strike 1 --vol 1 --expiry 14d --rate -0.01"
        )
        .is_ok());
        assert!(parse("novate calc option --forward 1 --strike 1 --vol 1").is_err());
        assert!(parse("novate calc margin portfolio.json").is_ok());
        assert!(parse("novate calc backtest bars.csv.gz --series BTC-USD --half-life 1h").is_ok());
        assert!(parse("novate calc backtest").is_err());
        assert!(parse("novate calc cases").is_ok());
        assert!(parse("novate calc").is_err());
    }

    #[test]
    fn liquidator_takes_a_file_and_may_only_look() {
        let args = parse("novate liquidator bot.toml --dry-run").unwrap();
        let Command::Liquidator { config, dry_run } = args.command else {
            panic!("the liquidator")
        };
        assert_eq!((config.to_str(), dry_run), (Some("bot.toml"), true));
        assert!(parse("novate liquidator").is_err());
    }

    #[test]
    fn cancel_is_refused_when_it_does_not_say_which() {
        assert!(parse("novate cancel").is_err());
        assert!(parse("novate cancel --sequence 1 --all").is_err());
        assert!(parse("novate cancel --market BTC-PERP --sequence 1").is_err());
        assert!(parse("novate cancel --all --market BTC-PERP").is_ok());
        assert!(parse("novate cancel --client-id 4").is_ok());
    }

    #[test]
    fn time_in_force_reads_durations_and_blocks() {
        for (text, tif) in [
            ("gtc", Tif::Gtc),
            ("IOC", Tif::Ioc),
            ("post-only", Tif::PostOnly),
            ("fok", Tif::Fok),
            ("gtt:60s", Tif::ForSeconds(60)),
            ("gtt:5m", Tif::ForSeconds(300)),
            ("gtt:2h", Tif::ForSeconds(7_200)),
            ("gtt:12345", Tif::UntilBlock(12_345)),
        ] {
            assert_eq!(text.parse(), Ok(tif), "{text}");
        }
        for text in [
            "",
            "fill",
            "gtt",
            "gtt:",
            "gtt:0s",
            "gtt:-5",
            "gtt:9999999999",
            "gtt:4000000h",
        ] {
            let error = text.parse::<Tif>().unwrap_err();
            assert!(error.contains("; try "), "{text}: {error}");
        }
        assert_eq!(Tif::ForSeconds(60).at(100), TimeInForce::GoodTilBlock(160));
        assert_eq!(
            Tif::ForSeconds(60).at(u32::MAX),
            TimeInForce::GoodTilBlock(u32::MAX)
        );
    }
}
