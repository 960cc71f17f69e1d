//! # Margin
//!
//! The clearing house's ledger: who holds which cash, collateral and positions, and the custody behind it. Every other
//! pallet reads and writes margin accounts through [`Ledger`], never through storage, so that these equalities hold after
//! every change, whoever made it:
//!
//! 1. per market, `Σ lots = 0` over all accounts;
//! 2. `Σ cash − Σ cost + Σ pots` = the settlement currency in custody;
//! 3. per collateral asset, `Σ amounts` = what is in custody;
//! 4. what debtors owe, and the interest on it that is due, = what the liquidity pot's book says.
//!
//! [`Pallet::conservation`] computes both sides of each; `do_try_state` refuses when one fails.
//!
//! **Custody** is one account of this pallet in the assets pallet. Anybody can send assets to it; what was sent without a
//! deposit belongs to nobody and is left out of the equalities: [`Custody`] records what deposits brought less what was
//! paid out, and an equality's right side is that record, or the account's balance where that is smaller.
//!
//! **An owner's first account** takes a provider reference, so that an owner who deposits everything keeps a system
//! account, a nonce and the ability to sign.
//!
//! **Deposits** of cash into one's own account act at once. Those of collateral share the room under a global cap with
//! everybody's of the same block: intake tries them on the state that the last close left, and the close takes them, owners in
//! an order that nobody chooses, as far as the cap allows. It does so before anything else ([`PostTransactions`]), so that
//! whoever deposits in time is not liquidated. Withdrawals, transfers and deposits for others are not of this pallet.
//!
//! **Negative cash** is lent by the liquidity pot, at interest: `loans.rs`.
//!
//! [`PostTransactions`]: frame_support::traits::PostTransactions
//!
//! **Collateral parameters** decide solvency: they change through a timelock and in bounded steps, applied when a block
//! begins. One that lowers what holdings are worth also waits for a sweep of the threshold index.

#![cfg_attr(not(feature = "std"), no_std)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

extern crate alloc;

#[cfg(any(test, feature = "runtime-benchmarks"))]
mod benchmarking;
mod collateral;
mod conservation;
mod deferred;
mod ledger;
mod loans;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;
mod try_state;
pub mod weights;

pub use collateral::{CollateralStep, ScheduledCollateral};
pub use conservation::{Conservation, Equality};
pub use deferred::Deferred;
pub use loans::LoanStep;
pub use pallet::*;
pub use weights::WeightInfo;

#[allow(clippy::expect_used)] // What the macro generates has some; ours has none.
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use alloc::vec::Vec;
    use frame_support::{
        pallet_prelude::*,
        traits::{
            fungibles::{metadata, Inspect, Mutate},
            Contains, PostTransactions,
        },
        BoundedBTreeMap, PalletId,
    };
    use frame_system::pallet_prelude::*;
    use novate_risk::LoanBook;
    use novate_types::{
        AccountRef, AssetId, BlockNumber, Cash, CollateralParams, CurrentView, FeedId, LedgerError,
        LoanParams, Lots, MarginAccount, MarketId, Pot, RiskError, SignedLots, Standing,
        SubaccountId, ThresholdSweep,
    };

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// Assets that can be taken as collateral: as many as a risk view holds.
    pub const MAX_COLLATERAL_ASSETS: u32 = 16;

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {
        /// The assets that custody holds. A minimum balance of one unit lets every unit be paid out.
        type Assets: Inspect<Self::AccountId, AssetId = AssetId, Balance = u128>
            + Mutate<Self::AccountId>
            + metadata::Inspect<Self::AccountId>;
        /// The asset that cash is, with six decimals.
        #[pallet::constant]
        type SettlementAsset: Get<AssetId>;
        /// Derives the custody account.
        #[pallet::constant]
        type PalletId: Get<PalletId>;
        /// The threshold and deleveraging indices, refreshed after every settlement.
        type RiskIndex: novate_types::RiskIndex<Self::AccountId>;
        /// Prices and parameters in force: whether collateral has a fresh price, and the number of fee tiers.
        type View: CurrentView;
        /// The oracle's feeds: collateral is priced by one of them.
        type Feeds: Contains<FeedId>;
        /// What changes that lower the worth of collateral wait for.
        type Sweep: ThresholdSweep;
        /// Lists collateral, changes its parameters, sets fee tiers.
        type GovernanceOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// Lowers caps; nothing else.
        type EmergencyOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// Blocks from scheduling a change of collateral to the first block that can begin with it.
        #[pallet::constant]
        type Timelock: Get<BlockNumber>;
        /// How far a collateral parameter moves in one change.
        #[pallet::constant]
        type MaxStep: Get<CollateralStep>;
        /// How far a parameter of loans moves in one change.
        #[pallet::constant]
        type MaxLoanStep: Get<LoanStep>;
        /// Weights of this pallet's calls.
        type WeightInfo: WeightInfo;
    }

    /// Margin accounts.
    #[pallet::storage]
    pub type Accounts<T: Config> =
        StorageMap<_, Blake2_128Concat, AccountRef<T::AccountId>, MarginAccount>;

    /// How many margin accounts an owner has open. While there is one, the owner's system account has a provider
    /// reference from here.
    #[pallet::storage]
    pub type Subaccounts<T: Config> =
        StorageMap<_, Blake2_128Concat, T::AccountId, u16, ValueQuery>;

    /// Cash that no account holds, in quantums.
    #[pallet::storage]
    pub type Pots<T: Config> = StorageMap<_, Twox64Concat, Pot, Cash, ValueQuery>;

    /// Lots open in a market: the sum of its long positions.
    #[pallet::storage]
    pub type OpenInterest<T: Config> = StorageMap<_, Twox64Concat, MarketId, Lots, ValueQuery>;

    /// Of a market that has settled, the lots of positions that were booked as cash, signed: with those that accounts still hold they sum to
    /// zero, and so to nothing once everybody is booked.
    #[pallet::storage]
    pub type Booked<T: Config> = StorageMap<_, Twox64Concat, MarketId, SignedLots, ValueQuery>;

    /// Of each asset, in its smallest units, what deposits brought into custody less what was paid out.
    #[pallet::storage]
    pub type Custody<T: Config> = StorageMap<_, Twox64Concat, AssetId, u128, ValueQuery>;

    /// Assets taken as collateral. Never removed: with a global cap of zero no more is taken.
    #[pallet::storage]
    pub type Collaterals<T: Config> = StorageValue<
        _,
        BoundedBTreeMap<AssetId, CollateralParams, ConstU32<MAX_COLLATERAL_ASSETS>>,
        ValueQuery,
    >;

    /// Scheduled changes of collateral, at most one an asset.
    #[pallet::storage]
    pub type PendingCollaterals<T: Config> = StorageValue<
        _,
        BoundedBTreeMap<AssetId, ScheduledCollateral, ConstU32<MAX_COLLATERAL_ASSETS>>,
        ValueQuery,
    >;

    /// What this block's extrinsics leave to its close, which acts on it first of all. Appended without reading, and bounded by
    /// the block's weight: each prepays what the close does for it.
    #[pallet::storage]
    #[pallet::unbounded]
    pub type AtClose<T: Config> = StorageValue<_, Vec<Deferred<T::AccountId>>, ValueQuery>;

    /// The liquidity pot's parameters and sums. Every close reads it, and whoever changes what an account owes.
    #[pallet::storage]
    pub type Lending<T: Config> = StorageValue<_, LoanBook, ValueQuery>;

    /// Shares of the liquidity pot.
    #[pallet::storage]
    pub type Suppliers<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, u128, ValueQuery>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A margin account was opened.
        AccountOpened {
            /// Whose, and which.
            account: AccountRef<T::AccountId>,
        },
        /// An empty margin account was closed.
        AccountClosed {
            /// Whose, and which.
            account: AccountRef<T::AccountId>,
        },
        /// An asset went from the owner's wallet into a margin account.
        Deposited {
            /// Whose, and which.
            account: AccountRef<T::AccountId>,
            /// The asset; the settlement asset is credited as cash.
            asset: AssetId,
            /// In the asset's smallest unit.
            amount: u128,
        },
        /// An extrinsic was taken, and the close of its block acts on it.
        LeftToClose {
            /// What the close does.
            what: Deferred<T::AccountId>,
        },
        /// The close could not do what was left to it, and nothing changed.
        Dropped {
            /// What it was.
            what: Deferred<T::AccountId>,
            /// The rule it breaks now.
            error: DispatchError,
        },
        /// A listing of collateral or a change of its parameters was scheduled.
        CollateralScheduled {
            /// The asset.
            asset: AssetId,
            /// Its parameters to be.
            new_value: CollateralParams,
            /// The first block that can begin with them.
            due: BlockNumber,
        },
        /// A scheduled change of collateral was withdrawn.
        CollateralCancelled {
            /// The asset.
            asset: AssetId,
        },
        /// A scheduled change of collateral was due and no longer allowed.
        CollateralDropped {
            /// The asset.
            asset: AssetId,
            /// The rule it breaks now.
            error: DispatchError,
        },
        /// A change of collateral came into force.
        CollateralChanged {
            /// The asset.
            asset: AssetId,
            /// What was in force; none for a new asset.
            old_value: Option<CollateralParams>,
            /// What is in force.
            new_value: CollateralParams,
        },
        /// The emergency origin lowered a collateral asset's global cap.
        GlobalCapLowered {
            /// The asset.
            asset: AssetId,
            /// The cap before, in the asset's smallest unit.
            old_value: u128,
            /// The cap now.
            new_value: u128,
        },
        /// An account pays other fees.
        FeeTierChanged {
            /// Whose, and which.
            account: AccountRef<T::AccountId>,
            /// Its tier before.
            old_value: u8,
            /// Its tier now.
            new_value: u8,
        },
        /// A position in a contract that has settled became cash.
        PositionSettled {
            /// Whose, and which.
            account: AccountRef<T::AccountId>,
            /// The market.
            market: MarketId,
            /// What was held, signed.
            lots: SignedLots,
            /// What it came to, less its cost, in quantums.
            cash: Cash,
        },
        /// New parameters of loans were scheduled.
        LoanParamsScheduled {
            /// To be in force.
            new_value: LoanParams,
            /// The first block whose close puts them into force.
            due: BlockNumber,
        },
        /// Scheduled parameters of loans were withdrawn.
        LoanParamsCancelled,
        /// Parameters of loans came into force.
        LoanParamsChanged {
            /// What was in force.
            old_value: LoanParams,
            /// What is in force.
            new_value: LoanParams,
        },
        /// Somebody supplied the liquidity pot.
        Supplied {
            /// Who.
            owner: T::AccountId,
            /// In quantums.
            amount: Cash,
            /// Shares for it.
            shares: u128,
        },
        /// Somebody took shares out of the liquidity pot.
        Redeemed {
            /// Who.
            owner: T::AccountId,
            /// Shares taken back.
            shares: u128,
            /// What they were worth, in quantums.
            amount: Cash,
        },
        /// An account's cash changed that owed something: the interest until then was taken out of it.
        InterestPaid {
            /// Whose, and which.
            account: AccountRef<T::AccountId>,
            /// In quantums, rounded up.
            paid: Cash,
        },
        /// Interest of the insurance fund's left the liquidity pot for it.
        InterestReserved {
            /// In quantums.
            amount: Cash,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// The amount is zero; deposit at least one unit.
        ZeroAmount,
        /// The asset is neither the settlement currency nor listed as collateral; `Collaterals` holds those that are.
        UnknownAsset,
        /// The chain holds as much of this collateral as it takes; deposit less, another asset, or the settlement currency.
        GlobalCapReached,
        /// The wallet cannot spend that much of the asset: it holds less, or the asset is frozen.
        NotSpendable,
        /// The asset had no fresh price at the last close, and would keep its account from being liquidated: wait for one, or
        /// deposit the settlement currency.
        NoFreshPrice,
        /// No such margin account; a deposit opens it.
        NoAccount,
        /// The account still holds cash, collateral, positions, orders or triggers, or owes something, or cancelled orders in this block; settle
        /// and withdraw first.
        AccountNotEmpty,
        /// The owner's system account lives on this margin account's reference; leave some native currency in it first.
        StillReferenced,
        /// The account holds as many kinds of collateral as it can; withdraw one first.
        ListFull,
        /// The asset did not move between wallet and custody, whole: the amount is below its minimum balance, or more
        /// than custody holds for accounts.
        NotMoved,
        /// The ledger's sum for this value is out of range; use a smaller amount.
        OutOfRange,
        /// The asset does not exist; create it in the assets pallet first.
        NoSuchAsset,
        /// The settlement currency is cash and cannot be collateral.
        IsSettlementAsset,
        /// The oracle has no feed of this number; configure it there first.
        UnknownFeed,
        /// The decimals must be those of the asset's metadata, at most 24.
        WrongDecimals,
        /// Haircuts must satisfy `haircut ≤ large_haircut ≤ 1,000,000`.
        InvalidHaircuts,
        /// `large_value` and `value_cap` must not be below zero, nor `global_cap` above 2¹²⁷ − 1.
        InvalidAmounts,
        /// An asset's feed and decimals stay as they were listed.
        FeedAndDecimalsFixed,
        /// A parameter moves farther than `MaxStep` allows; go there in several changes.
        StepTooLarge,
        /// The new value is what is in force.
        Unchanged,
        /// A change of this asset is scheduled already; wait for it or cancel it first.
        ChangePending,
        /// As many assets are listed or scheduled as a close can carry.
        TooManyCollaterals,
        /// No change of this asset is scheduled.
        NoSuchChange,
        /// The emergency origin only lowers a cap; governance raises it with `schedule_collateral`.
        NotLower,
        /// There is no fee tier of this number; the view lists them.
        UnknownFeeTier,
        /// Rates must add up to at most 1,000 % a year, the kink lie between zero and one, `reserve_factor` and `utilisation_cap` be at most one
        /// and `account_cap` at least zero.
        InvalidLoanParams,
        /// What was to be taken out of the liquidity pot is lent out; take less, or wait until debts are repaid.
        PotLent,
        /// The liquidity pot has fewer shares of yours, or the amount buys none.
        NoShares,
    }

    impl<T> From<LedgerError> for Error<T> {
        fn from(error: LedgerError) -> Self {
            match error {
                LedgerError::NoAccount => Self::NoAccount,
                LedgerError::Custody => Self::NotMoved,
                LedgerError::Risk(RiskError::Full) => Self::ListFull,
                LedgerError::Risk(_) => Self::OutOfRange,
                LedgerError::Lent => Self::PotLent,
                LedgerError::Shares => Self::NoShares,
            }
        }
    }

    impl<T> From<novate_types::MathError> for Error<T> {
        fn from(_: novate_types::MathError) -> Self {
            Self::OutOfRange
        }
    }

    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// Accounts open from the start, such as the insurance fund's and the vault's, and the quantums that go into
        /// each from its owner's wallet. The assets pallet's genesis is built before this one.
        pub accounts: Vec<(T::AccountId, SubaccountId, u128)>,
        /// Collateral taken from the start. Existence, metadata and feed are not asked for here.
        pub collaterals: Vec<(AssetId, CollateralParams)>,
        /// What the liquidity pot charges and lends from the start.
        pub loans: LoanParams,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        // A genesis that breaks a rule must not start a chain.
        #[allow(clippy::expect_used, clippy::panic)]
        fn build(&self) {
            for (asset, params) in &self.collaterals {
                Pallet::<T>::check_collateral_bounds(*asset, params)
                    .unwrap_or_else(|e| panic!("genesis collateral {asset}: {e:?}"));
                Collaterals::<T>::mutate(|all| all.try_insert(*asset, *params).map(|_| ()))
                    .expect("at most 16 collateral assets");
            }
            Pallet::<T>::check_loan_bounds(&self.loans)
                .unwrap_or_else(|e| panic!("genesis loans: {e:?}"));
            if self.loans != LoanParams::default() {
                Lending::<T>::mutate(|book| book.params = self.loans);
            }
            for (owner, sub, amount) in &self.accounts {
                let of = AccountRef::new(owner.clone(), *sub);
                Pallet::<T>::fund(&of, T::SettlementAsset::get(), *amount)
                    .unwrap_or_else(|e| panic!("genesis account {owner:?}/{sub}: {e:?}"));
            }
        }
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_initialize(_: BlockNumberFor<T>) -> Weight {
            // The close looks whether anything was left to it, which prepaid the rest.
            T::WeightInfo::apply_due(Self::apply_due_collaterals())
                .saturating_add(T::DbWeight::get().reads(1))
        }

        fn integrity_test() {
            assert!(
                T::MaxStep::get()
                    .relative
                    .max(T::MaxLoanStep::get().relative)
                    <= novate_types::MILLION,
                "a step is at most the whole value"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call(weight(<T as Config>::WeightInfo))]
    impl<T: Config> Pallet<T> {
        /// Moves an asset from the caller's wallet into one of the caller's margin accounts, and opens it if need be.
        ///
        /// ## Dispatch Origin
        ///
        /// `Signed` by the owner.
        ///
        /// ## Details
        ///
        /// The settlement currency becomes cash at once. Anything else becomes collateral at the close of this block, before
        /// accounts are looked at for liquidation: it is tried here and undone, and is left in the wallet until then. Where the
        /// deposits of a block exceed the room under a global cap, owners have their turn by lot, and each deposit that no longer
        /// fits is dropped.
        ///
        /// The wallet may be emptied. The owner's first margin account keeps the owner's system account alive. An account
        /// under margin may deposit, and one that is being deleveraged too: it only gains equity, and each step is priced at
        /// what it has then.
        ///
        /// ## Errors
        ///
        /// - [`Error::ZeroAmount`], [`Error::UnknownAsset`], [`Error::NotSpendable`], [`Error::GlobalCapReached`].
        /// - [`Error::NoFreshPrice`], [`Error::ListFull`], [`Error::NotMoved`], [`Error::OutOfRange`].
        ///
        /// ## Events
        ///
        /// - [`Event::Deposited`], and [`Event::AccountOpened`] with the first deposit.
        /// - For collateral [`Event::LeftToClose`], and these or [`Event::Dropped`] at the close.
        #[pallet::call_index(0)]
        #[pallet::weight(Pallet::<T>::deposit_weight(*asset))]
        pub fn deposit(
            origin: OriginFor<T>,
            sub: SubaccountId,
            asset: AssetId,
            amount: u128,
        ) -> DispatchResult {
            let account = AccountRef::new(ensure_signed(origin)?, sub);
            ensure!(amount > 0, Error::<T>::ZeroAmount);
            if asset == T::SettlementAsset::get() {
                return Ok(Self::take_deposit(&account, asset, amount)?);
            }
            Self::try_collateral(&account, asset, amount)?;
            Self::leave_to_close(Deferred::Deposit {
                account,
                asset,
                amount,
            });
            Ok(())
        }

        /// Closes an empty margin account of the caller.
        ///
        /// ## Dispatch Origin
        ///
        /// `Signed` by the owner.
        ///
        /// ## Details
        ///
        /// With the owner's last margin account goes the provider reference that the first one took. Should the account
        /// be opened again, its orders are numbered on beyond all that it ever had.
        ///
        /// ## Errors
        ///
        /// - [`Error::NoAccount`], [`Error::AccountNotEmpty`].
        /// - [`Error::StillReferenced`]: assets in the wallet need a system account, and nothing else keeps it alive.
        ///
        /// ## Events
        ///
        /// - [`Event::AccountClosed`].
        #[pallet::call_index(1)]
        pub fn close_account(origin: OriginFor<T>, sub: SubaccountId) -> DispatchResult {
            let account = AccountRef::new(ensure_signed(origin)?, sub);
            let held = Accounts::<T>::get(&account).ok_or(Error::<T>::NoAccount)?;
            let is_empty = held.is_plain()
                && held.open.is_empty()
                && held.triggers.is_empty()
                && held.cash == 0
                && held.standing == Standing::Good;
            ensure!(is_empty, Error::<T>::AccountNotEmpty);
            Self::forget_subaccount(&account.owner)?;
            Accounts::<T>::remove(&account);
            Self::deposit_event(Event::AccountClosed { account });
            Ok(())
        }

        /// Schedules the listing of a collateral asset, or new parameters for one.
        ///
        /// ## Dispatch Origin
        ///
        /// `GovernanceOrigin`.
        ///
        /// ## Details
        ///
        /// In force from the first block after the timelock. What lowers the worth of holdings also waits for a sweep of
        /// the threshold index that began after this call. Feed and decimals stay as listed.
        ///
        /// ## Errors
        ///
        /// - [`Error::NoSuchAsset`], [`Error::IsSettlementAsset`], [`Error::UnknownFeed`], [`Error::WrongDecimals`],
        ///   [`Error::InvalidHaircuts`], [`Error::InvalidAmounts`].
        /// - [`Error::FeedAndDecimalsFixed`], [`Error::StepTooLarge`], [`Error::Unchanged`].
        /// - [`Error::ChangePending`], [`Error::TooManyCollaterals`].
        ///
        /// ## Events
        ///
        /// - [`Event::CollateralScheduled`]; later [`Event::CollateralChanged`] or [`Event::CollateralDropped`].
        #[pallet::call_index(2)]
        pub fn schedule_collateral(
            origin: OriginFor<T>,
            asset: AssetId,
            new_value: CollateralParams,
        ) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            let due = Self::schedule(asset, new_value)?;
            Self::deposit_event(Event::CollateralScheduled {
                asset,
                new_value,
                due,
            });
            Ok(())
        }

        /// Withdraws a scheduled change of collateral.
        ///
        /// ## Dispatch Origin
        ///
        /// `GovernanceOrigin`.
        ///
        /// ## Errors
        ///
        /// - [`Error::NoSuchChange`].
        ///
        /// ## Events
        ///
        /// - [`Event::CollateralCancelled`].
        #[pallet::call_index(3)]
        pub fn cancel_collateral(origin: OriginFor<T>, asset: AssetId) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            ensure!(Self::withdraw_change(asset), Error::<T>::NoSuchChange);
            Ok(())
        }

        /// Lowers a collateral asset's global cap.
        ///
        /// ## Dispatch Origin
        ///
        /// `EmergencyOrigin`.
        ///
        /// ## Details
        ///
        /// What is held stays and counts as before; deposits beyond the cap are refused, and those of this block dropped at its
        /// close. A change scheduled for the asset is cancelled, lest it raise the cap again.
        ///
        /// ## Errors
        ///
        /// - [`Error::UnknownAsset`], [`Error::NotLower`].
        ///
        /// ## Events
        ///
        /// - [`Event::GlobalCapLowered`], and [`Event::CollateralCancelled`] if a change was scheduled.
        #[pallet::call_index(4)]
        pub fn lower_global_cap(
            origin: OriginFor<T>,
            asset: AssetId,
            new_value: u128,
        ) -> DispatchResult {
            T::EmergencyOrigin::ensure_origin(origin)?;
            let old_value = Collaterals::<T>::try_mutate(|all| {
                let cap = &mut all
                    .get_mut(&asset)
                    .ok_or(Error::<T>::UnknownAsset)?
                    .global_cap;
                ensure!(new_value < *cap, Error::<T>::NotLower);
                Ok::<_, DispatchError>(core::mem::replace(cap, new_value))
            })?;
            Self::withdraw_change(asset);
            Self::deposit_event(Event::GlobalCapLowered {
                asset,
                old_value,
                new_value,
            });
            Ok(())
        }

        /// Puts an account into another fee tier.
        ///
        /// ## Dispatch Origin
        ///
        /// `GovernanceOrigin`.
        ///
        /// ## Details
        ///
        /// At the close of this block, so that this block's orders are taken on the fees that the last close left: it pays
        /// the new ones from this block's match on. What its open orders hold for fees stays as it was.
        ///
        /// ## Errors
        ///
        /// - [`Error::UnknownFeeTier`], [`Error::NoAccount`], [`Error::Unchanged`].
        ///
        /// ## Events
        ///
        /// - [`Event::LeftToClose`], and [`Event::FeeTierChanged`] or [`Event::Dropped`] at the close.
        #[pallet::call_index(5)]
        pub fn set_fee_tier(
            origin: OriginFor<T>,
            account: AccountRef<T::AccountId>,
            new_value: u8,
        ) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            let tiers = T::View::view().fee_tiers.len();
            ensure!(usize::from(new_value) < tiers, Error::<T>::UnknownFeeTier);
            let held = Accounts::<T>::get(&account).ok_or(Error::<T>::NoAccount)?;
            ensure!(held.fee_tier != new_value, Error::<T>::Unchanged);
            Self::leave_to_close(Deferred::FeeTier { account, new_value });
            Ok(())
        }

        /// Schedules what the liquidity pot charges and lends.
        ///
        /// ## Dispatch Origin
        ///
        /// `GovernanceOrigin`.
        ///
        /// ## Details
        ///
        /// In force from the first close after the timelock. The first parameters may be any; from then on each moves by a step. A lower cap of
        /// what an account may owe acts on a debtor when it is settled, or the sweep comes by.
        ///
        /// ## Errors
        ///
        /// - [`Error::InvalidLoanParams`], [`Error::StepTooLarge`], [`Error::Unchanged`], [`Error::ChangePending`].
        ///
        /// ## Events
        ///
        /// - [`Event::LoanParamsScheduled`]; later [`Event::LoanParamsChanged`].
        #[pallet::call_index(6)]
        pub fn schedule_loans(origin: OriginFor<T>, new_value: LoanParams) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            let due = Self::schedule_loan_params(new_value)?;
            Self::deposit_event(Event::LoanParamsScheduled { new_value, due });
            Ok(())
        }

        /// Withdraws scheduled parameters of loans.
        ///
        /// ## Dispatch Origin
        ///
        /// `GovernanceOrigin`.
        ///
        /// ## Errors
        ///
        /// - [`Error::NoSuchChange`].
        ///
        /// ## Events
        ///
        /// - [`Event::LoanParamsCancelled`].
        #[pallet::call_index(7)]
        pub fn cancel_loans(origin: OriginFor<T>) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            let pending = Lending::<T>::mutate(|book| book.pending.take());
            ensure!(pending.is_some(), Error::<T>::NoSuchChange);
            Self::deposit_event(Event::LoanParamsCancelled);
            Ok(())
        }

        /// Lowers the part of the liquidity pot that is lent to whoever asks.
        ///
        /// ## Dispatch Origin
        ///
        /// `EmergencyOrigin`.
        ///
        /// ## Details
        ///
        /// At zero nobody borrows any more but by losses. What is lent stays lent. Scheduled parameters are cancelled, lest they raise the cap
        /// again.
        ///
        /// ## Errors
        ///
        /// - [`Error::NotLower`].
        ///
        /// ## Events
        ///
        /// - [`Event::LoanParamsChanged`], and [`Event::LoanParamsCancelled`] if some were scheduled.
        #[pallet::call_index(8)]
        pub fn lower_utilisation_cap(
            origin: OriginFor<T>,
            new_value: novate_types::Ppm,
        ) -> DispatchResult {
            T::EmergencyOrigin::ensure_origin(origin)?;
            Lending::<T>::try_mutate(|book| {
                let old_value = book.params;
                ensure!(new_value < old_value.utilisation_cap, Error::<T>::NotLower);
                book.params.utilisation_cap = new_value;
                if book.pending.take().is_some() {
                    Self::deposit_event(Event::LoanParamsCancelled);
                }
                Self::deposit_event(Event::LoanParamsChanged {
                    old_value,
                    new_value: book.params,
                });
                Ok(())
            })
        }
    }

    impl<T: Config> Pallet<T> {
        /// Collateral is tried, undone and done again at the close, with the view read on either occasion.
        fn deposit_weight(asset: AssetId) -> Weight {
            let times = if asset == T::SettlementAsset::get() {
                1
            } else {
                3
            };
            T::WeightInfo::deposit()
                .max(T::WeightInfo::deposit_more())
                .saturating_mul(times)
        }
    }

    impl<T: Config> PostTransactions for Pallet<T> {
        fn post_transactions() {
            Self::act_on_deferred();
        }
    }
}
