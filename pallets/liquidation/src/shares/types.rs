//! What the vault's shares are stored as.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::pallet_prelude::TypeInfo;
use novate_types::{math::add, BlockNumber, Cash, MathError};
pub use novate_types::{ShareValue, SHARES_PER_QUANTUM};

/// What an owner holds of the vault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Holding {
    /// Shares, those that are locked included and those that wait to leave not.
    pub shares: u128,
    /// Of these, locked.
    pub locked: u128,
    /// The first block in which none of them is locked.
    pub unlocks: BlockNumber,
    /// Requests of the owner that wait.
    pub waiting: u32,
}

impl Holding {
    /// Shares that may leave in a block.
    pub const fn free(&self, block: BlockNumber) -> u128 {
        if block < self.unlocks {
            self.shares.saturating_sub(self.locked)
        } else {
            self.shares
        }
    }

    /// Takes in shares that are locked until `unlocks`; those locked before that are still locked wait with them.
    pub fn lock(
        &mut self,
        shares: u128,
        now: BlockNumber,
        unlocks: BlockNumber,
    ) -> Result<(), MathError> {
        let sum = |a: u128| a.checked_add(shares).ok_or(MathError::Overflow);
        let locked = if now < self.unlocks { self.locked } else { 0 };
        (self.locked, self.shares) = (sum(locked)?, sum(self.shares)?);
        self.unlocks = unlocks;
        Ok(())
    }
}

/// What somebody asks of the vault at an epoch's end.
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
pub enum ShareWish {
    /// Shares for so many quantums, which wait in [`novate_types::Pot::Vault`].
    Enter(Cash),
    /// Quantums for so many shares, which have left their owner's holding.
    Leave(u128),
}

/// A request that waits for its epoch's end.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct ShareRequest<AccountId> {
    /// Who asks.
    pub owner: AccountId,
    /// For what.
    pub wish: ShareWish,
}

/// Sums over requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Wishes {
    /// Quantums that want to enter.
    pub entering: Cash,
    /// Shares that want to leave.
    pub leaving: u128,
}

impl Wishes {
    /// Counts a request.
    pub fn count(&mut self, wish: &ShareWish) -> Result<(), MathError> {
        match wish {
            ShareWish::Enter(amount) => self.entering = add(self.entering, *amount)?,
            ShareWish::Leave(shares) => {
                let sum = self.leaving.checked_add(*shares);
                self.leaving = sum.ok_or(MathError::Overflow)?;
            }
        }
        Ok(())
    }

    fn join(&mut self, others: Self) -> Result<(), MathError> {
        self.count(&ShareWish::Enter(others.entering))?;
        self.count(&ShareWish::Leave(others.leaving))
    }
}

/// On which terms an epoch's requests are executed, whichever close comes to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct EpochTerms {
    /// What shares are worth; none if nobody enters or leaves this time.
    pub value: Option<ShareValue>,
    /// What those leaving are worth together, rounded up.
    pub claimed: Cash,
    /// What of that they are paid: each its part.
    pub payable: Cash,
    /// What of `payable` was not yet paid out. It is in the pot.
    pub unpaid: Cash,
    /// The first request that is not among them.
    pub until: u64,
}

/// What every close has to know of the vault: its shares, the requests of the epochs, and whether it quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct VaultBook {
    /// All shares, those that want to leave included.
    pub shares: u128,
    /// Cash that came to the vault's account for no shares while there were some: the protocol's, which has no shares for it yet.
    pub given: Cash,
    /// The oldest request that waits.
    pub first: u64,
    /// The number of the next.
    pub next: u64,
    /// The last epoch in which there was a request.
    pub epoch: BlockNumber,
    /// Its requests.
    pub coming: Wishes,
    /// Requests of epochs that are over, up to before `due_until`, that are not among those of `terms`.
    pub due: Wishes,
    /// See `due`.
    pub due_until: u64,
    /// Those that are being executed.
    pub terms: Option<EpochTerms>,
    /// The last close found something to quote, or to cancel: the next is reserved for it.
    pub quotes: bool,
}

impl VaultBook {
    /// Requests that wait.
    pub const fn waiting(&self) -> u64 {
        self.next.saturating_sub(self.first)
    }

    /// Requests of an epoch that is over become due.
    pub fn turn(&mut self, epoch: BlockNumber) -> Result<(), MathError> {
        if self.epoch < epoch {
            self.due.join(core::mem::take(&mut self.coming))?;
            self.due_until = self.next;
            self.epoch = epoch;
        }
        Ok(())
    }

    /// Whether the close of a block in `epoch` has something to do.
    pub const fn is_due(&self, epoch: BlockNumber) -> bool {
        self.has_requests_due(epoch) || self.has_gifts_due()
    }

    /// Whether requests are being executed, or their epoch is over.
    pub const fn has_requests_due(&self, epoch: BlockNumber) -> bool {
        self.waiting() > 0
            && (self.terms.is_some() || self.epoch < epoch || self.due_until > self.first)
    }

    /// Whether shares are to be given for what came for none: not while others are executed at a value that does not count it.
    pub const fn has_gifts_due(&self) -> bool {
        self.given > 0 && self.terms.is_none()
    }
}
