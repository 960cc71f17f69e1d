//! What blocks report, in the client's own types. Pallets of the chain's frame and events added later are named, not read.

use crate::{chain::decode_all, Account, AccountId, Refusal};
use codec::{Decode, Encode};
use novate_types::{
    AssetId, BlockNumber, CancelReason, Cash, EraIndex, FeedId, Fill, FundingIndex, LedgerError,
    Lots, MarginCall, MarketId, MarketStatus, Ppm, Price, RiskError, Sequence, Side, SignedLots,
    SubaccountId, Ticks, ValidatorScore,
};

/// When in its block an event was deposited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// While the transaction of this place was applied.
    Extrinsic(u32),
    /// At the block's start or in its close.
    Block,
}

/// An event and when it was deposited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// When.
    pub phase: Phase,
    /// What.
    pub event: Event,
}

/// What an accepted order operation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Accepted {
    /// An order was taken in under this number.
    Placed(Sequence),
    /// An order got smaller and kept its time.
    Reduced,
    /// This many orders and triggers were cancelled.
    Cancelled(u32),
    /// A trigger was taken in under this number.
    Armed(Sequence),
    /// Two that exclude each other were taken in under these numbers.
    Paired(Sequence, Sequence),
    /// An order in slices was taken in under this number.
    Scheduled(Sequence),
}

/// Why an order operation was refused; it changed nothing. [`crate::refusal::of_order`] says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[allow(missing_docs)]
pub enum OrderError {
    UnknownMarket,
    MarketHalted,
    MarketReduceOnly,
    NoPrice,
    ZeroLots,
    ZeroPrice,
    OutOfRange,
    BelowMinNotional,
    DuplicateClientId,
    ClientIdCancelled,
    TooManyOrders,
    TooManyMarkets,
    QuotaExceeded,
    NotTrading,
    InsufficientMargin,
    ExpiryPast,
    ExpiryTooFar,
    Contradiction,
    NoSuchOrder,
    NothingToChange,
    Risk(RiskError),
    TooManyTriggers,
    TriggerMet,
    TriggersWaiting,
    TriggerNotAmended,
    NothingToReduce,
    BadDisplay,
    PairApart,
    PairWithoutExpiry,
    BadSchedule,
    TooManyArrangements,
    BadPeg,
    NothingToFollow,
    CallPhase,
    Uncrossing,
    PremiumNotCovered,
    CombinationNotReduced,
    TooManyScans,
}

/// A trigger that fired, or a slice that was due, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FiredTrigger {
    /// Whose.
    pub account: Account,
    /// Which; the order that it became has the same number.
    pub sequence: Sequence,
    /// It is an order of this close's match, or why it was cancelled.
    pub outcome: Result<(), OrderError>,
}

/// Part of an order that left without having filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CancelledOrder {
    /// Whose.
    pub account: Account,
    /// Which of its orders.
    pub sequence: Sequence,
    /// Lots that left.
    pub lots: Lots,
    /// Why.
    pub reason: CancelReason,
}

/// What one side of a market bears of somebody's loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LossCharge {
    /// The market.
    pub market: MarketId,
    /// Whose lots bear it: longs' for bids, shorts' for asks.
    pub side: Side,
    /// In quantums.
    pub loss: Cash,
    /// Lots among which it is shared.
    pub lots: Lots,
    /// What each of them owes, in quantums with 32 fractional bits.
    pub per_lot: FundingIndex,
}

/// Standard deviations of an underlying's return over the liquidation horizon, in ppm, each rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Forecast {
    /// By the exponentially weighted variance.
    pub ewma: Ppm,
    /// By GARCH(1,1).
    pub garch: Ppm,
    /// In the stress that is remembered.
    pub stressed: Ppm,
    /// In the long run.
    pub long_run: Ppm,
    /// What margin is held for.
    pub deviation: Ppm,
}

/// What somebody asks of the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ShareWish {
    /// Shares for so many quantums.
    Enter(Cash),
    /// Quantums for so many shares.
    Leave(u128),
}

/// A request for shares of the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ShareRequest {
    /// Who asks.
    pub owner: AccountId,
    /// For what.
    pub wish: ShareWish,
}

/// What a request of the close asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Action {
    /// From a margin account to its owner's wallet.
    Withdraw {
        /// The owner's account.
        sub: SubaccountId,
    },
    /// Between margin accounts.
    Transfer {
        /// The owner's account.
        sub: SubaccountId,
        /// The account credited.
        to: Account,
    },
    /// From the owner's wallet to somebody's margin account.
    DepositFor {
        /// The account credited.
        to: Account,
    },
    /// From the owner's wallet to the liquidity pot.
    Supply,
    /// Shares of the liquidity pot, for what they are worth.
    Redeem,
    /// From a margin account to its owner's wallet, beyond its cash.
    Borrow {
        /// The owner's account.
        sub: SubaccountId,
    },
}

/// A movement of assets that waits for the close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Request {
    /// Who asked.
    pub owner: AccountId,
    /// For what.
    pub action: Action,
    /// The asset.
    pub asset: AssetId,
    /// How much, in its smallest unit.
    pub amount: u128,
}

/// Why the close dropped a request; nothing has moved. [`crate::refusal::of_request`] says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[allow(missing_docs)]
pub enum RequestRefusal {
    UnderLiquidation,
    Paused,
    StalePrice,
    InsufficientCash { held: Cash },
    InsufficientCollateral { held: u128 },
    InsufficientMargin { at_most: Cash },
    NoRecipient,
    Ledger(LedgerError),
    Storage,
    LoanCap { at_most: Cash },
}

/// What the taker of a fraction of an account buys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Portion {
    /// Markets, signed lots, and quantums that they cost: below zero for what is short.
    pub positions: Vec<(MarketId, SignedLots, Cash)>,
    /// Assets, amounts in their smallest units, and quantums that they cost.
    pub collateral: Vec<(AssetId, u128, Cash)>,
}

/// Why a remedy was not taken, or a bid took nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[allow(missing_docs)]
pub enum Unremedied {
    OwnAccount,
    Deficit,
    Margin,
    Cash,
    LossCap(MarketId),
    CounterpartyMargin,
    Ledger(LedgerError),
    Layers,
    NotCompeting,
    Discount,
    TakerStanding,
    TooSmall,
    Outbid,
    StalePrice,
}

/// Why an account goes on from the market to open competition, or from either to the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Escalation {
    /// Equity is below two thirds of maintenance margin.
    DeepShortfall,
    /// Too many lots are queued in one of its markets.
    Backlog,
    /// It has been offered to the market long enough, or closing there would cost more than it frees.
    MarketExhausted,
    /// It is being deleveraged already.
    Frozen,
    /// Nobody took enough of it in open competition.
    CompetitionExhausted,
}

/// Why a market goes through a call auction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum CallReason {
    /// It was listed, or was halted.
    Opening,
    /// It wanted to trade at the edge of its band for long.
    Volatility,
    /// The mark left the band of the index at which the call before had begun.
    Moved,
}

/// A feed's aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AggregatedPrice {
    /// The feed.
    pub feed: FeedId,
    /// Stake-weighted median.
    pub price: Price,
    /// Half its confidence interval.
    pub confidence: Price,
    /// Validators whose observations counted.
    pub observers: u32,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// What an order extrinsic's operations did, in their order.
    Submitted {
        /// The account.
        account: Account,
        /// One outcome an operation.
        outcomes: Vec<Result<Accepted, OrderError>>,
    },
    /// Orders left without having filled, for other reasons than their owner's request.
    Cancelled {
        /// The market.
        market: MarketId,
        /// Which, how much of them, and why.
        orders: Vec<CancelledOrder>,
    },
    /// The mark reached triggers, or slices were due.
    Fired {
        /// The market.
        market: MarketId,
        /// Which, in their order, and what became of each.
        triggers: Vec<FiredTrigger>,
    },
    /// A market's match was novated.
    Cleared {
        /// The market.
        market: MarketId,
        /// Price of the last trade.
        price: Ticks,
        /// Lots traded, each counted once.
        volume: Lots,
        /// Every order's fills.
        fills: Vec<Fill<AccountId>>,
    },
    /// Fills of a combination in one of its legs; its own [`Event::Cleared`], which has their fees, comes after.
    LegCleared {
        /// The combination.
        combination: MarketId,
        /// The leg.
        market: MarketId,
        /// Every order's fills in it, without fees.
        fills: Vec<Fill<AccountId>>,
    },
    /// A match was done again because accounts would not have covered their fills.
    CheckFailed {
        /// The market.
        market: MarketId,
        /// Accounts whose orders in it were cancelled.
        cancelled: u32,
    },
    /// What a market admits has changed.
    StatusChanged {
        /// The market.
        market: MarketId,
        /// Before.
        from: MarketStatus,
        /// From this close on.
        to: MarketStatus,
    },
    /// A market takes orders without matching them, for a call auction.
    AuctionCalled {
        /// The market.
        market: MarketId,
        /// Why.
        reason: CallReason,
        /// The first block whose close may uncross it.
        at: BlockNumber,
        /// The index from which the auction's price is no farther than the band.
        reference: Price,
    },
    /// A market was uncrossed at one price, or a part of what crossed was.
    Uncrossed {
        /// The market.
        market: MarketId,
        /// The price; none if nothing executed.
        price: Option<Ticks>,
        /// Lots traded in this close, each counted once.
        volume: Lots,
        /// Whether it trades continuously from the next block on.
        done: bool,
    },
    /// Funding, once a minute.
    FundingAccrued {
        /// The market.
        market: MarketId,
        /// Rate per eight hours in 10⁻¹²; above zero longs pay.
        rate: i64,
        /// Owed by a long lot since the listing.
        index: FundingIndex,
    },
    /// A contract has settled: positions in it are cash.
    Settled {
        /// The market.
        market: MarketId,
        /// The mean of the index over the 30 minutes before expiry.
        price: Ticks,
        /// What a unit is worth at it: the same, or what an option pays.
        worth: Ticks,
    },
    /// A request waits for the close.
    Requested {
        /// Its number.
        id: u64,
        /// What it asks for.
        request: Request,
    },
    /// A request was executed.
    Executed {
        /// Its number.
        id: u64,
        /// What moved.
        request: Request,
    },
    /// A request was dropped.
    Dropped {
        /// Its number.
        id: u64,
        /// Who asked.
        owner: AccountId,
        /// Why.
        reason: RequestRefusal,
    },
    /// An asset went from the owner's wallet into a margin account.
    Deposited {
        /// Which account.
        account: Account,
        /// The asset.
        asset: AssetId,
        /// In its smallest unit.
        amount: u128,
    },
    /// An account is below maintenance margin.
    LiquidationStarted {
        /// Which.
        account: Account,
        /// Its equity.
        equity: Cash,
        /// Its maintenance margin.
        maintenance: Cash,
    },
    /// Remedy 1: its open orders are gone.
    OrdersCancelled {
        /// Which.
        account: Account,
        /// How many.
        orders: u32,
    },
    /// Remedy 2: an order that reduces it goes into this close's match.
    LiquidationOrderPlaced {
        /// For which account.
        account: Account,
        /// The market.
        market: MarketId,
        /// The side that reduces its position.
        side: Side,
        /// Size.
        lots: Lots,
        /// No worse than this.
        limit: Ticks,
        /// Equity before it.
        equity: Cash,
        /// Maintenance margin before it.
        maintenance: Cash,
    },
    /// Remedy 3: from the next block on anyone may bid for fractions of it.
    CompetitionStarted {
        /// Which.
        account: Account,
        /// Its equity.
        equity: Cash,
        /// Its maintenance margin.
        maintenance: Cash,
    },
    /// Remedy 3: somebody took a fraction of it.
    BidFilled {
        /// Of which account.
        account: Account,
        /// Who took it.
        taker: Account,
        /// How much of it, in ppm.
        fraction: Ppm,
        /// What it bought, at the mark.
        portion: Portion,
        /// What that was worth to the account beyond the margin it freed.
        worth: Cash,
        /// What of the worth the taker did not pay.
        discount: Cash,
    },
    /// Remedy 3: a bid took nothing.
    BidDropped {
        /// For which account.
        account: Account,
        /// Whose bid.
        taker: Account,
        /// Why.
        refusal: Unremedied,
    },
    /// Remedy 3 is over.
    CompetitionEnded {
        /// For which account.
        account: Account,
        /// Why it goes on to the vault; none if it recovered.
        why: Option<Escalation>,
        /// Its equity.
        equity: Cash,
        /// Its maintenance margin.
        maintenance: Cash,
    },
    /// Remedy 4: the vault holds everything it held.
    TakenOver {
        /// Which.
        account: Account,
        /// Why what came before was not enough.
        why: Escalation,
        /// Equity that went with it.
        equity: Cash,
        /// Maintenance margin that went with it.
        maintenance: Cash,
    },
    /// An account's collateral is auctioned for what it owes.
    CollateralCalled {
        /// Whose.
        account: Account,
        /// What it owes, in quantums.
        debt: Cash,
    },
    /// A position in a contract that has settled was booked as cash.
    PositionSettled {
        /// Whose, and which.
        account: Account,
        /// The market.
        market: MarketId,
        /// What was held, signed.
        lots: SignedLots,
        /// What it came to, less its cost, in quantums.
        cash: Cash,
    },
    /// An account paid interest on what it owes.
    InterestPaid {
        /// Which.
        account: Account,
        /// Quantums paid.
        paid: Cash,
    },
    /// Somebody supplied the liquidity pot.
    Supplied {
        /// Who.
        owner: AccountId,
        /// In quantums.
        amount: Cash,
        /// Shares for it.
        shares: u128,
    },
    /// Somebody took shares out of the liquidity pot.
    Redeemed {
        /// Who.
        owner: AccountId,
        /// Shares taken back.
        shares: u128,
        /// What they were worth, in quantums.
        amount: Cash,
    },
    /// The vault paid a debt and took collateral for it.
    DebtPaid {
        /// Whose.
        account: Account,
        /// Quantums paid.
        paid: Cash,
    },
    /// Remedy 5: the insurance fund paid.
    InsurancePaid {
        /// For which account.
        account: Account,
        /// Quantums paid.
        paid: Cash,
        /// What its equity still is below zero.
        left: Cash,
    },
    /// Remedy 6: a counterparty's position was closed against the account's.
    Deleveraged {
        /// The bankrupt account.
        account: Account,
        /// Whose position was reduced with it.
        counterparty: Account,
        /// The market.
        market: MarketId,
        /// Lots closed on both sides.
        lots: Lots,
        /// Quantums the bankrupt account paid; below zero, received.
        value: Cash,
    },
    /// An account is out of the queue, and trades again.
    Recovered {
        /// Which.
        account: Account,
        /// Its equity.
        equity: Cash,
        /// Its maintenance margin.
        maintenance: Cash,
    },
    /// Nothing covered an account this time.
    DeficitUncovered {
        /// Which.
        account: Account,
        /// Quantums below zero.
        deficit: Cash,
    },
    /// Remedy 7: what nobody covered was charged to everybody across.
    LossShared {
        /// The bankrupt account, at zero now.
        account: Account,
        /// Quantums that it received.
        loss: Cash,
        /// Who bears it.
        charges: Vec<LossCharge>,
    },
    /// Somebody wants to buy or sell shares of the vault.
    SharesAsked {
        /// The request's number.
        id: u64,
        /// Who asks for what.
        request: ShareRequest,
    },
    /// Somebody has bought shares of the vault.
    SharesBought {
        /// Who.
        owner: AccountId,
        /// For so many quantums.
        amount: Cash,
        /// How many.
        shares: u128,
        /// The first block in which they may leave.
        unlocks: BlockNumber,
    },
    /// Somebody has sold shares of the vault.
    SharesSold {
        /// Who.
        owner: AccountId,
        /// How many.
        shares: u128,
        /// For so many quantums.
        paid: Cash,
        /// Shares that wait for the next epoch.
        left: u128,
    },
    /// A deposit was returned: the vault was worth nothing.
    ShareDepositReturned {
        /// To whose wallet.
        owner: AccountId,
        /// Quantums.
        amount: Cash,
    },
    /// A price was sampled, and this is what its past lets expect.
    VolatilityForecast {
        /// Its feed.
        underlying: FeedId,
        /// Standard deviations over the liquidation horizon.
        forecast: Forecast,
    },
    /// An account has come nearer to liquidation than two forecast standard deviations, or than one.
    MarginCalled {
        /// Which.
        account: Account,
        /// How near.
        call: MarginCall,
        /// Its equity, in quantums.
        equity: Cash,
        /// Its maintenance margin, in quantums.
        maintenance: Cash,
        /// One standard deviation of what it has beyond that, in quantums.
        deviation: Cash,
    },
    /// A sweep has seen every account under stress.
    StressAssessed {
        /// Block at which it began.
        began: BlockNumber,
        /// Accounts.
        accounts: u32,
        /// What the default fund should be, in quantums.
        default_fund: Cash,
        /// What fund and vault have, in quantums.
        available: Cash,
        /// Expected shortfall by market, in quantums.
        shortfalls: Vec<(MarketId, Cash)>,
    },
    /// Another part of the open-interest caps is in force from the next close on.
    OpenInterestScaled {
        /// In ppm of the caps that governance set.
        old_value: Ppm,
        /// From now on.
        new_value: Ppm,
    },
    /// Feeds have new prices.
    PricesAggregated {
        /// Those that changed.
        prices: Vec<AggregatedPrice>,
    },
    /// An era of the oracle ended.
    EraEnded {
        /// Which.
        era: EraIndex,
        /// How its validators observed, and what follows.
        scores: Vec<ValidatorScore<AccountId>>,
    },
    /// A transaction failed as a whole.
    Failed(Refusal),
    /// An event the client does not read.
    Other {
        /// Of which pallet.
        pallet: String,
        /// Its name.
        name: String,
    },
}

impl Event {
    /// Reads an event's fields. One whose name is known must have the fields known: silence would lose a fill.
    pub(crate) fn decode(pallet: &str, name: &str, fields: &[u8]) -> Result<Self, codec::Error> {
        Ok(match (pallet, name) {
            ("OrderBook", "Submitted") => {
                let (account, outcomes) = decode_all(fields)?;
                Self::Submitted { account, outcomes }
            }
            ("OrderBook", "Cancelled") => {
                let (market, orders) = decode_all(fields)?;
                Self::Cancelled { market, orders }
            }
            ("OrderBook", "Fired") => {
                let (market, triggers) = decode_all(fields)?;
                Self::Fired { market, triggers }
            }
            ("Clearing", "Cleared") => {
                let (market, price, volume, _part, fills): (_, _, _, u32, _) = decode_all(fields)?;
                Self::Cleared {
                    market,
                    price,
                    volume,
                    fills,
                }
            }
            ("Clearing", "LegCleared") => {
                let (combination, market, fills) = decode_all(fields)?;
                Self::LegCleared {
                    combination,
                    market,
                    fills,
                }
            }
            ("Clearing", "CheckFailed") => {
                let (market, _rounds, cancelled, _tightened): (_, u32, _, u32) =
                    decode_all(fields)?;
                Self::CheckFailed { market, cancelled }
            }
            ("Clearing", "StatusChanged") => {
                let (market, from, to) = decode_all(fields)?;
                Self::StatusChanged { market, from, to }
            }
            ("Clearing", "AuctionCalled") => {
                let (market, reason, at, reference) = decode_all(fields)?;
                Self::AuctionCalled {
                    market,
                    reason,
                    at,
                    reference,
                }
            }
            ("Clearing", "Uncrossed") => {
                let (market, price, volume, done) = decode_all(fields)?;
                Self::Uncrossed {
                    market,
                    price,
                    volume,
                    done,
                }
            }
            ("Clearing", "FundingAccrued") => {
                let (market, rate, index) = decode_all(fields)?;
                Self::FundingAccrued {
                    market,
                    rate,
                    index,
                }
            }
            ("Clearing", "Settled") => {
                let (market, price, worth) = decode_all(fields)?;
                Self::Settled {
                    market,
                    price,
                    worth,
                }
            }
            ("Clearing", "Requested") => {
                let (id, request) = decode_all(fields)?;
                Self::Requested { id, request }
            }
            ("Clearing", "Executed") => {
                let (id, request) = decode_all(fields)?;
                Self::Executed { id, request }
            }
            ("Clearing", "Dropped") => {
                let (id, owner, reason) = decode_all(fields)?;
                Self::Dropped { id, owner, reason }
            }
            ("Margin", "Deposited") => {
                let (account, asset, amount) = decode_all(fields)?;
                Self::Deposited {
                    account,
                    asset,
                    amount,
                }
            }
            ("Liquidation", "LiquidationStarted") => {
                let (account, equity, maintenance) = decode_all(fields)?;
                Self::LiquidationStarted {
                    account,
                    equity,
                    maintenance,
                }
            }
            ("Liquidation", "OrdersCancelled") => {
                let (account, orders) = decode_all(fields)?;
                Self::OrdersCancelled { account, orders }
            }
            ("Liquidation", "LiquidationOrderPlaced") => {
                let (account, market, side, lots, limit, equity, maintenance) = decode_all(fields)?;
                Self::LiquidationOrderPlaced {
                    account,
                    market,
                    side,
                    lots,
                    limit,
                    equity,
                    maintenance,
                }
            }
            ("Liquidation", "CompetitionStarted") => {
                let (account, equity, maintenance) = decode_all(fields)?;
                Self::CompetitionStarted {
                    account,
                    equity,
                    maintenance,
                }
            }
            ("Liquidation", "BidFilled") => {
                let (account, taker, fraction, portion, worth, discount) = decode_all(fields)?;
                Self::BidFilled {
                    account,
                    taker,
                    fraction,
                    portion,
                    worth,
                    discount,
                }
            }
            ("Liquidation", "BidDropped") => {
                let (account, taker, refusal) = decode_all(fields)?;
                Self::BidDropped {
                    account,
                    taker,
                    refusal,
                }
            }
            ("Liquidation", "CompetitionEnded") => {
                let (account, why, equity, maintenance) = decode_all(fields)?;
                Self::CompetitionEnded {
                    account,
                    why,
                    equity,
                    maintenance,
                }
            }
            ("Liquidation", "TakenOver") => {
                let (account, why, equity, maintenance) = decode_all(fields)?;
                Self::TakenOver {
                    account,
                    why,
                    equity,
                    maintenance,
                }
            }
            ("Liquidation", "CollateralCalled") => {
                let (account, debt) = decode_all(fields)?;
                Self::CollateralCalled { account, debt }
            }
            ("Margin", "PositionSettled") => {
                let (account, market, lots, cash) = decode_all(fields)?;
                Self::PositionSettled {
                    account,
                    market,
                    lots,
                    cash,
                }
            }
            ("Margin", "InterestPaid") => {
                let (account, paid) = decode_all(fields)?;
                Self::InterestPaid { account, paid }
            }
            ("Margin", "Supplied") => {
                let (owner, amount, shares) = decode_all(fields)?;
                Self::Supplied {
                    owner,
                    amount,
                    shares,
                }
            }
            ("Margin", "Redeemed") => {
                let (owner, shares, amount) = decode_all(fields)?;
                Self::Redeemed {
                    owner,
                    shares,
                    amount,
                }
            }
            ("Liquidation", "DebtPaid") => {
                let (account, paid) = decode_all(fields)?;
                Self::DebtPaid { account, paid }
            }
            ("Liquidation", "InsurancePaid") => {
                let (account, paid, left) = decode_all(fields)?;
                Self::InsurancePaid {
                    account,
                    paid,
                    left,
                }
            }
            ("Liquidation", "Deleveraged") => {
                let (account, counterparty, market, lots, value) = decode_all(fields)?;
                Self::Deleveraged {
                    account,
                    counterparty,
                    market,
                    lots,
                    value,
                }
            }
            ("Liquidation", "Recovered") => {
                let (account, equity, maintenance) = decode_all(fields)?;
                Self::Recovered {
                    account,
                    equity,
                    maintenance,
                }
            }
            ("Liquidation", "DeficitUncovered") => {
                let (account, deficit) = decode_all(fields)?;
                Self::DeficitUncovered { account, deficit }
            }
            ("Liquidation", "LossShared") => {
                let (account, loss, charges) = decode_all(fields)?;
                Self::LossShared {
                    account,
                    loss,
                    charges,
                }
            }
            ("Liquidation", "SharesAsked") => {
                let (id, request) = decode_all(fields)?;
                Self::SharesAsked { id, request }
            }
            ("Liquidation", "SharesBought") => {
                let (owner, amount, shares, unlocks) = decode_all(fields)?;
                Self::SharesBought {
                    owner,
                    amount,
                    shares,
                    unlocks,
                }
            }
            ("Liquidation", "SharesSold") => {
                let (owner, shares, paid, left) = decode_all(fields)?;
                Self::SharesSold {
                    owner,
                    shares,
                    paid,
                    left,
                }
            }
            ("Liquidation", "VolatilityForecast") => {
                let (underlying, forecast) = decode_all(fields)?;
                Self::VolatilityForecast {
                    underlying,
                    forecast,
                }
            }
            ("Liquidation", "MarginCalled") => {
                let (account, call, equity, maintenance, deviation) = decode_all(fields)?;
                Self::MarginCalled {
                    account,
                    call,
                    equity,
                    maintenance,
                    deviation,
                }
            }
            ("Liquidation", "StressAssessed") => {
                let (began, accounts, default_fund, available, shortfalls) = decode_all(fields)?;
                Self::StressAssessed {
                    began,
                    accounts,
                    default_fund,
                    available,
                    shortfalls,
                }
            }
            ("Liquidation", "OpenInterestScaled") => {
                let (old_value, new_value) = decode_all(fields)?;
                Self::OpenInterestScaled {
                    old_value,
                    new_value,
                }
            }
            ("Liquidation", "ShareDepositReturned") => {
                let (owner, amount) = decode_all(fields)?;
                Self::ShareDepositReturned { owner, amount }
            }
            ("Oracle", "PricesAggregated") => Self::PricesAggregated {
                prices: decode_all(fields)?,
            },
            ("Oracle", "EraEnded") => {
                let (era, scores) = decode_all(fields)?;
                Self::EraEnded { era, scores }
            }
            _ => Self::Other {
                pallet: pallet.to_owned(),
                name: name.to_owned(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::Encode;
    use novate_types::{OracleScore, Outlier, Role, Verdict};

    fn account(byte: u8) -> Account {
        Account::new(AccountId::from([byte; 32]), 2)
    }

    fn fill() -> Fill<AccountId> {
        Fill {
            account: account(1),
            sequence: 7,
            side: Side::Ask,
            role: Role::Taker,
            ticks: 40_000,
            lots: 3,
            fee: -5,
            liquidation: true,
        }
    }

    #[test]
    fn fills_are_read_from_the_bytes_of_a_match() {
        let bytes = (1u16, 40_000u64, 3u64, 0u32, vec![fill()]).encode();
        let event = Event::decode("Clearing", "Cleared", &bytes).unwrap();
        assert_eq!(
            event,
            Event::Cleared {
                market: 1,
                price: 40_000,
                volume: 3,
                fills: vec![fill()]
            }
        );
    }

    #[test]
    fn a_combinations_fills_are_read_leg_by_leg() {
        let bytes = (9u16, 1u16, vec![fill()]).encode();
        assert_eq!(
            Event::decode("Clearing", "LegCleared", &bytes).unwrap(),
            Event::LegCleared {
                combination: 9,
                market: 1,
                fills: vec![fill()]
            }
        );
    }

    #[test]
    fn outcomes_are_read_in_their_order() {
        let outcomes: Vec<Result<Accepted, OrderError>> = vec![
            Ok(Accepted::Placed(9)),
            Err(OrderError::InsufficientMargin),
            Err(OrderError::Risk(RiskError::UnknownMarket(4))),
        ];
        let bytes = (account(3), outcomes.clone()).encode();
        let event = Event::decode("OrderBook", "Submitted", &bytes).unwrap();
        assert_eq!(
            event,
            Event::Submitted {
                account: account(3),
                outcomes
            }
        );
        // The chain numbers its refusals as the client does.
        assert_eq!(OrderError::UnknownMarket.encode(), [0]);
        assert_eq!(OrderError::InsufficientMargin.encode(), [14]);
        assert_eq!(OrderError::NothingToReduce.encode(), [25]);
        assert_eq!(OrderError::Uncrossing.encode(), [34]);
        assert_eq!(OrderError::PremiumNotCovered.encode(), [35]);
        assert_eq!(OrderError::CombinationNotReduced.encode(), [36]);
        assert_eq!(OrderError::TooManyScans.encode(), [37]);
        assert_eq!(Accepted::Armed(7).encode()[0], 3);
        assert_eq!(RequestRefusal::Storage.encode(), [8]);
    }

    #[test]
    fn an_auction_is_read_from_its_call_to_its_end() {
        let bytes = (1u16, CallReason::Volatility, 44u32, Price::from_u32(7)).encode();
        assert_eq!(
            Event::decode("Clearing", "AuctionCalled", &bytes).unwrap(),
            Event::AuctionCalled {
                market: 1,
                reason: CallReason::Volatility,
                at: 44,
                reference: Price::from_u32(7)
            }
        );
        let bytes = (1u16, Some(40_000u64), 9u64, true).encode();
        assert_eq!(
            Event::decode("Clearing", "Uncrossed", &bytes).unwrap(),
            Event::Uncrossed {
                market: 1,
                price: Some(40_000),
                volume: 9,
                done: true
            }
        );
    }

    #[test]
    fn unknown_events_are_named_and_known_ones_with_other_fields_are_refused() {
        let other = Event::decode("Balances", "Transfer", &[1, 2, 3]).unwrap();
        assert_eq!(
            other,
            Event::Other {
                pallet: "Balances".into(),
                name: "Transfer".into()
            }
        );
        let bytes = (1u16, 40_000u64, 3u64, 0u32, vec![fill()], 1u8).encode();
        assert!(Event::decode("Clearing", "Cleared", &bytes).is_err());
        assert!(Event::decode("Clearing", "Cleared", &bytes[..20]).is_err());
        assert!(Event::decode("Liquidation", "TakenOver", &[]).is_err());
    }

    #[test]
    fn an_era_is_read_with_its_verdicts() {
        let liar = ValidatorScore {
            validator: AccountId::from([4; 32]),
            score: OracleScore {
                rounds: 21_600,
                missed: 3,
                outliers: 21_597,
                farthest: Some(Outlier {
                    distance: 9_000_000,
                    feed: 1,
                }),
            },
            verdict: Verdict::Reported,
        };
        let bytes = (7u32, vec![liar.clone()]).encode();
        assert_eq!(
            Event::decode("Oracle", "EraEnded", &bytes).unwrap(),
            Event::EraEnded {
                era: 7,
                scores: vec![liar]
            }
        );
    }

    #[test]
    fn liquidation_is_read_with_its_reason() {
        let bytes = (account(1), Escalation::Backlog, -5i128, 6i128).encode();
        assert_eq!(
            Event::decode("Liquidation", "TakenOver", &bytes).unwrap(),
            Event::TakenOver {
                account: account(1),
                why: Escalation::Backlog,
                equity: -5,
                maintenance: 6
            }
        );
    }
}
