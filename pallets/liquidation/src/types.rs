//! What the pallet stores and reports.

use crate::{
    stress::{Deviations, StressSums},
    weights::SMALL_POSITIONS,
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::cmp::Reverse;
use frame_support::{pallet_prelude::TypeInfo, BoundedVec};
use novate_types::{
    AccountRef, BlockNumber, Cash, FundingIndex, LedgerError, Lots, MarginAccount, MarketId,
    MathError, Millis, Ppm, RiskError, Side, MAX_MARKETS,
};
use sp_core::ConstU32;
use sp_runtime::DispatchError;

/// One account below maintenance margin among so many looked at means that there are more where the budget ended.
const PRESSING_SHARE: u32 = 16;

/// What benchmarks need from the runtime.
#[cfg(any(test, feature = "runtime-benchmarks"))]
pub trait BenchmarkHelper<AccountId> {
    /// A view with a fresh, open market 0, made the current one.
    fn view() -> novate_types::RiskView;
    /// An account that does not exist yet.
    fn account(number: u32) -> AccountRef<AccountId>;
    /// Gives a wallet so much of the settlement currency.
    fn fill_wallet(owner: &AccountId, amount: u128);
    /// Rests so many small orders of the account, as far from each other as they can be.
    fn place(account: &AccountRef<AccountId>, orders: u32);
    /// A view in which as many options can be held as one account may, of one underlying and an expiry each, all of them priced.
    fn options() -> novate_types::RiskView;
}

/// Work of one close, at most. What an account costs grows with what it holds, so accounts are counted in *steps*:
/// [`ACCOUNT_STEPS`], and more for each position and collateral beyond the first few.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Work {
    /// Entries taken out of the threshold index.
    pub pops: u32,
    /// Steps of the accounts behind those that are live.
    pub looks: u32,
    /// Steps of the accounts for which remedies are taken.
    pub liquidations: u32,
    /// Steps of the counterparties deleveraged.
    pub deleveraged: u32,
    /// Entries of the deleveraging index read.
    pub ranks: u32,
}

/// What the first part of a close leaves to its second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct HalfClose {
    /// Picoseconds that are left.
    pub left: u64,
    /// Steps of accounts for which remedies may still be taken, see [`Work`].
    pub steps: u32,
    /// What its search of the threshold index came to.
    pub search: Search,
}

/// What a search of the threshold index came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Search {
    /// Its budget ended before all crossed thresholds were looked behind.
    pub is_used_up: bool,
    /// Accounts looked at.
    pub looked_at: u32,
    /// Of them, queued.
    pub found: u32,
}

impl Search {
    /// This one and another after it in the same close, as one: it ended where the other did, and spent its budget on whom both looked at.
    pub fn then(self, later: Self) -> Self {
        Self {
            is_used_up: later.is_used_up,
            looked_at: self.looked_at.saturating_add(later.looked_at),
            found: self.found.saturating_add(later.found),
        }
    }

    /// Whether the next close should look at more: the budget is used up, and accounts below maintenance margin were among those it was
    /// spent on. A crowd that only stands near the line does not press.
    pub fn presses(&self) -> bool {
        self.is_used_up && self.found.saturating_mul(PRESSING_SHARE) >= self.looked_at
    }
}

/// What the vault may lose in one market and window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct LossCap {
    /// In force until `next` is due, in quantums.
    pub now: Cash,
    /// Scheduled, and the first block that it is in force in.
    pub next: Option<(Cash, BlockNumber)>,
}

/// Steps of an account with [`crate::weights::SMALL_POSITIONS`] or fewer.
pub const ACCOUNT_STEPS: u32 = 4;
/// Steps of looking at an account that goes to the queue: none of its thresholds is drawn.
pub(crate) const QUEUED_STEPS: u32 = 2;

/// Steps of an account with so many positions and collaterals: beyond the first few, each is measured to take two and a half.
pub(crate) const fn steps_of(holdings: u32) -> u32 {
    let more = holdings.saturating_sub(SMALL_POSITIONS);
    more.saturating_mul(5)
        .div_ceil(2)
        .saturating_add(ACCOUNT_STEPS)
}

/// Steps of an account, see [`Work`].
pub(crate) fn steps(account: &MarginAccount) -> u32 {
    steps_of(account.holdings())
}

impl LossCap {
    /// What is in force in a block.
    pub fn at(&self, block: BlockNumber) -> Cash {
        match self.next {
            Some((cap, due)) if due <= block => cap,
            _ => self.now,
        }
    }

    /// What waits in a block.
    pub fn waiting(&self, block: BlockNumber) -> Option<Cash> {
        self.next
            .filter(|(_, due)| *due > block)
            .map(|(cap, _)| cap)
    }
}

/// How far a loss cap moves in one change: by `relative` of what is in force, or by `cash`, whichever is farther.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct LossCapStep {
    /// Of the old value.
    pub relative: Ppm,
    /// Least step, in quantums.
    pub cash: u128,
}

/// An account's place in the queue.
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
pub struct Queued {
    /// Block at which it came in.
    pub since: BlockNumber,
    /// Octave of its notional at risk, greatest first; zero waits behind all others.
    pub priority: u8,
    /// What its equity was below zero when last assessed, in quantums.
    pub deficit: Cash,
}

/// What one side of a market bears of somebody's loss (remedy 7).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct LossCharge {
    /// The market.
    pub market: MarketId,
    /// Whose lots bear it: longs' for bids, shorts' for asks.
    pub side: Side,
    /// In quantums.
    pub loss: Cash,
    /// Lots among which it is shared.
    pub lots: Lots,
    /// What each of them owes, in quantums with 32 fractional bits, rounded up.
    pub per_lot: FundingIndex,
}

/// The vault's loss in one market.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct VaultLoss {
    /// Number of the window in which it was counted.
    pub window: BlockNumber,
    /// Losses less gains since the window began or gains last made them good, in quantums; at least zero.
    pub loss: Cash,
}

/// How far the sweep over all accounts has come.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct SweepState<AccountId> {
    /// Block at which the present sweep began.
    pub began: BlockNumber,
    /// The account it saw last.
    pub cursor: Option<AccountRef<AccountId>>,
    /// Block at which the last complete sweep began.
    pub completed: Option<BlockNumber>,
    /// What the present sweep has added up of accounts under stress; none if it does not.
    pub stress: Option<StressSums<AccountId>>,
    /// Time at which the last sweep that did began.
    pub assessed: Millis,
    /// Whether underlyings are still to be sampled in this interval.
    pub sampling: bool,
    /// The forecasts that margin calls are measured in, and margin follows.
    pub deviations: Deviations,
}

impl<AccountId> SweepState<AccountId> {
    /// Before the first account, with the first sweep to begin at a block.
    pub(crate) fn at(began: BlockNumber) -> Self {
        Self {
            began,
            cursor: None,
            completed: None,
            stress: None,
            assessed: 0,
            sampling: false,
            deviations: Deviations::default(),
        }
    }
}

/// What a whole sweep found of accounts under stress.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct StressReport {
    /// Block at which the sweep began.
    pub began: BlockNumber,
    /// Block at which it saw the last account. Each was valued at the block that saw it.
    pub completed: BlockNumber,
    /// Accounts seen, vault and fund not counted.
    pub accounts: u32,
    /// What the default fund should be, in quantums.
    pub default_fund: Cash,
    /// Cash of the insurance fund and equity of the vault, in quantums.
    pub available: Cash,
    /// By market, the expected shortfall of all accounts, in quantums; of the others it is zero.
    pub shortfalls: BoundedVec<(MarketId, Cash), ConstU32<MAX_MARKETS>>,
}

/// What somebody asks of an account in competition, in one block's close.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Bid<AccountId> {
    /// Who takes it.
    pub taker: AccountRef<AccountId>,
    /// Of which account.
    pub account: AccountRef<AccountId>,
    /// How much of it at most, in ppm.
    pub fraction: Ppm,
    /// The least discount at which, in ppm of the way from the mark to the bankruptcy value.
    pub least_discount: Ppm,
    /// Initial margin of what it asks for that its taker had free at the last close's prices, in quantums: where a block's bids are too
    /// many, those that carry most stay.
    pub carries: Cash,
    /// A hash of the parent block and the taker: who is first among equals.
    pub tie: [u8; 16],
    /// What it prepaid for: positions and collaterals of the account and its taker.
    pub holdings: u32,
    /// And thresholds that its taker can come to have beyond two for each of them.
    pub thresholds: u32,
}

impl<AccountId> Bid<AccountId> {
    /// Which of two bids stays where there is room for one: the greater.
    pub(crate) fn rank(&self) -> (Cash, Reverse<[u8; 16]>) {
        (self.carries, Reverse(self.tie))
    }
}

/// On which terms the next close sells an account in competition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Of the way from the mark to the bankruptcy value, in ppm.
    pub discount: Ppm,
    /// The largest fraction that may go, in ppm.
    pub available: Ppm,
    /// What the whole is worth at the marks, in quantums.
    pub worth: Cash,
    /// Closes that are left, this one included.
    pub closes: u8,
}

/// Why an account goes on from a remedy: from the market (2) to open competition (3) if that was not enough, from either to the vault (4)
/// else.
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
pub enum Escalation {
    /// Equity is below two thirds of maintenance margin.
    DeepShortfall,
    /// The lots queued in one of its markets exceed their share of open interest.
    Backlog,
    /// It has been offered to the market long enough, or closing there would cost more than it frees.
    MarketExhausted,
    /// It is being deleveraged already; the vault is asked again each time.
    Frozen,
    /// Nobody took enough of it in open competition, up to its bankruptcy value.
    CompetitionExhausted,
}

/// Why a step of the remedies was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum Refusal {
    /// It is the vault's own account.
    OwnAccount,
    /// Its equity is below zero, and the insurance fund could not help it.
    Deficit,
    /// The vault, or whoever bids, would not cover its initial margin.
    Margin,
    /// The vault, or whoever bids, would owe cash, or more of it.
    Cash,
    /// The vault has lost too much in that market.
    LossCap(MarketId),
    /// The counterparty would be below maintenance margin.
    CounterpartyMargin,
    /// The ledger refused.
    Ledger(LedgerError),
    /// Storage layers are nested too deep.
    Layers,
    /// Nothing of the account is for sale any more, or this close had no time for it.
    NotCompeting,
    /// The discount is not yet as large as the bid asks for.
    Discount,
    /// The bidder's own account is under margin.
    TakerStanding,
    /// The bid's share of what is available comes to less than a lot of anything, or others' bids left nothing of it.
    TooSmall,
    /// More bids came in than the block takes, and those of takers who can carry more stayed.
    Outbid,
    /// Something that whoever bids holds has no fresh price: what it could carry is not known.
    StalePrice,
}

impl From<LedgerError> for Refusal {
    fn from(e: LedgerError) -> Self {
        Self::Ledger(e)
    }
}

impl From<RiskError> for Refusal {
    fn from(e: RiskError) -> Self {
        Self::Ledger(e.into())
    }
}

impl From<MathError> for Refusal {
    fn from(e: MathError) -> Self {
        Self::Ledger(e.into())
    }
}

impl From<DispatchError> for Refusal {
    fn from(_: DispatchError) -> Self {
        Self::Layers
    }
}

/// The account, or which error says that there is none.
pub(crate) fn opened(account: Option<MarginAccount>) -> Result<MarginAccount, Refusal> {
    account.ok_or(Refusal::Ledger(LedgerError::NoAccount))
}
