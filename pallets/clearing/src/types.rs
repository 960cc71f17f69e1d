//! What the pallet keeps: the state behind a market's mark and funding, and the queue of requests.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{traits::ConstU32, BoundedVec};
use novate_types::{
    AccountRef, AssetId, AuctionTerms, BlockNumber, Cash, LedgerError, MarketId, MarketStatus,
    Millis, SubaccountId, Ticks, MAX_MARKETS,
};
use scale_info::TypeInfo;
use sp_runtime::DispatchError;

/// How far a market, or its price, is from normal. It leaves [`Phase::Closed`] only through
/// [`Phase::Reopening`], so that nobody is liquidated on the first price after a gap. A market goes on from there, and from
/// [`Phase::Interrupted`], by its auction; a price, which has none, by time.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub enum Phase {
    /// Halted.
    #[default]
    Closed,
    /// Deposits and orders are taken. Nothing matches before the close of block `at`, which uncrosses the market in a call auction;
    /// nothing is liquidated, funded or withdrawn on its price until that has ended, or block `until` is over.
    Reopening {
        /// The first block whose close may uncross it.
        at: BlockNumber,
        /// `call_blocks` after what was `at` first: a call that begins again stops nothing for longer.
        until: BlockNumber,
    },
    /// Everything.
    Running,
    /// It wanted to trade at the edge of its band for long: as while reopening, but its price is trusted.
    Interrupted {
        /// The first block whose close may uncross it.
        at: BlockNumber,
    },
}

impl Phase {
    /// The phase of the close of `block`, after the phase of the close before it. A price that comes and
    /// goes while reopening starts the wait again, and an interrupted market waits for a fresh one.
    pub fn next(
        self,
        admitted: MarketStatus,
        fresh: bool,
        block: BlockNumber,
        wait: BlockNumber,
    ) -> Self {
        match self {
            _ if !admitted.allows_matching() => Self::Closed,
            Self::Closed if fresh => {
                let at = block.saturating_add(wait);
                let until = at.saturating_add(wait);
                Self::Reopening { at, until }
            }
            Self::Reopening { .. } if !fresh => Self::Closed,
            Self::Interrupted { at } if !fresh => Self::Interrupted {
                at: at.max(block.saturating_add(1)),
            },
            other => other,
        }
    }

    /// The phase of a price, which nobody trades at: it is trusted again after the block of the auction that a market would have.
    pub const fn after(self, block: BlockNumber) -> Self {
        match self {
            Self::Reopening { at, .. } if block > at => Self::Running,
            other => other,
        }
    }

    /// The first block whose close may uncross the market; zero if it is not in a call auction.
    pub const fn auction_at(self) -> BlockNumber {
        match self {
            Self::Closed | Self::Running => 0,
            Self::Reopening { at, .. } | Self::Interrupted { at } => at,
        }
    }

    /// Whether it is neither halted nor reopening.
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::Interrupted { .. })
    }
}

/// Why a market goes through a call auction.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub enum CallReason {
    /// It was listed, or was halted.
    Opening,
    /// It wanted to trade at the edge of its band for long.
    Volatility,
    /// The mark left the band of the index at which the call before had begun.
    Moved,
}

/// The last trade of a market.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct LastTrade {
    /// Its price.
    pub ticks: Ticks,
    /// When.
    pub at: Millis,
}

/// The part of the premium's hour that changes in every block; the full minutes are in
/// [`crate::PremiumHistory`]. Sums are premium (10⁻¹²) × milliseconds.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct Premiums {
    /// The present minute since 1970.
    pub minute: u32,
    /// Its sum so far.
    pub sum: i128,
    /// The sum of the 59 minutes before it.
    pub past: i128,
}

/// A market's full minute in the premium's hour.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct PremiumMinute {
    /// Minute since 1970.
    pub minute: u32,
    /// Premium (10⁻¹²) × milliseconds.
    pub sum: i128,
}

/// What one close hands the next about a market beside the view.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct MarketState {
    /// The market.
    pub id: MarketId,
    /// How far it is from trading freely, by the stricter of governance's status and the price's age.
    pub phase: Phase,
    /// How far its price is from being trusted again, by its age alone: governance's halt does not make a price stale.
    pub price: Phase,
    /// Moving average of mid less index, in 10⁻¹⁸ USD.
    pub basis: i128,
    /// The last trade.
    pub last: Option<LastTrade>,
    /// The hour over which funding averages the premium.
    pub premiums: Premiums,
    /// What bounds the price of its call auction, if it is in one.
    pub auction: AuctionTerms,
    /// Block of the first of its last matches that all ended at the band's edge; zero if the last one did not.
    pub edge_since: BlockNumber,
}

/// Every market's state, sorted by id.
pub type MarketStates = BoundedVec<MarketState, ConstU32<MAX_MARKETS>>;

/// What a request asks for.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Action<AccountId> {
    /// From the owner's margin account to the owner's wallet.
    Withdraw {
        /// The owner's account.
        sub: SubaccountId,
    },
    /// From the owner's margin account to another margin account.
    Transfer {
        /// The owner's account.
        sub: SubaccountId,
        /// The account credited.
        to: AccountRef<AccountId>,
    },
    /// From the owner's wallet to a margin account.
    DepositFor {
        /// The account credited.
        to: AccountRef<AccountId>,
    },
    /// From the owner's wallet to the liquidity pot, for shares of it.
    Supply,
    /// Shares of the liquidity pot, as many as the amount, for what they are worth, to the owner's wallet.
    Redeem,
    /// From the owner's margin account to the owner's wallet, beyond its cash: the liquidity pot lends it.
    Borrow {
        /// The owner's account.
        sub: SubaccountId,
    },
}

/// A movement of assets that waits for the close.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Request<AccountId> {
    /// Who asked.
    pub owner: AccountId,
    /// For what.
    pub action: Action<AccountId>,
    /// The asset.
    pub asset: AssetId,
    /// How much of it, in its smallest unit; shares of the liquidity pot where those are redeemed.
    pub amount: u128,
}

/// Why the close dropped a request. Nothing has moved.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub enum Refusal {
    /// The account debited is being liquidated or deleveraged; deposit to it first.
    UnderLiquidation,
    /// An uncovered deficit exceeds the insurance fund; ask again when it is covered.
    Paused,
    /// Something the account debited holds has no fresh price, or the asset has none and the account credited is under
    /// margin; ask again when it has.
    StalePrice,
    /// The account holds less cash.
    InsufficientCash {
        /// What it holds, in quantums.
        held: Cash,
    },
    /// The account holds less of the collateral.
    InsufficientCollateral {
        /// What it holds.
        held: u128,
    },
    /// Margin, or profit that is not realised, would leave with it.
    InsufficientMargin {
        /// The most that may leave: quantums of cash, or of the collateral's haircut value.
        at_most: Cash,
    },
    /// The account credited was never opened; its owner deposits first.
    NoRecipient,
    /// The wallet or custody does not hold that much, or an account cannot take it.
    Ledger(LedgerError),
    /// Storage layers are nested too deep; cannot happen in the close.
    Storage,
    /// The account may owe no more, or the liquidity pot lends no more: ask for less, or when debts are repaid.
    LoanCap {
        /// The most that may leave, in quantums.
        at_most: Cash,
    },
}

impl From<LedgerError> for Refusal {
    fn from(e: LedgerError) -> Self {
        Self::Ledger(e)
    }
}

impl From<DispatchError> for Refusal {
    fn from(_: DispatchError) -> Self {
        Self::Storage
    }
}
