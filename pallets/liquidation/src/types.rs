//! What the pallet stores and reports.

use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::pallet_prelude::TypeInfo;
use novate_types::{
    AccountRef, BlockNumber, Cash, LedgerError, MarginAccount, MarketId, MathError, RiskError,
};
use sp_runtime::DispatchError;

/// Every margin account, in an order that stays while accounts come and go.
pub trait AllAccounts<AccountId> {
    /// At most `most` accounts after `previous`, or from the first. Fewer mean that there are no more.
    fn after(previous: Option<&AccountRef<AccountId>>, most: u32) -> Vec<AccountRef<AccountId>>;
}

/// What benchmarks need from the runtime.
#[cfg(any(test, feature = "runtime-benchmarks"))]
pub trait BenchmarkHelper<AccountId> {
    /// A view with a fresh, open market 0, made the current one.
    fn view() -> novate_types::RiskView;
    /// An account that does not exist yet.
    fn account(number: u32) -> AccountRef<AccountId>;
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
}

/// Why an account goes from the market (remedy 2) to the vault (remedy 4).
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
}

/// Why a step of the remedies was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum Refusal {
    /// It is the vault's own account.
    OwnAccount,
    /// Its equity is below zero, and the insurance fund could not help it.
    Deficit,
    /// The vault would not cover its initial margin.
    Margin,
    /// The vault would owe cash.
    Cash,
    /// The vault has lost too much in that market.
    LossCap(MarketId),
    /// The counterparty would be below maintenance margin.
    CounterpartyMargin,
    /// The ledger refused.
    Ledger(LedgerError),
    /// Storage layers are nested too deep.
    Layers,
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
