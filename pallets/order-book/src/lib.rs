//! Order intake, the resting book, and its matching once per block.
//!
//! A trader submits up to 64 operations in one extrinsic. New orders are checked against margin and noted in the market's
//! intake; cancels and smaller sizes take effect at once. The close, driven by the clearing pallet through
//! [`novate_types::OrderBook`], loads each market that has new orders, matches it with the pure function of `novate-matching`,
//! possibly several times under narrower limits, and commits the last outcome. All orders of a block are equals: nothing that
//! intake decides reads what another account can write in the same block, and the close works in canonical order.
//!
//! What is stored:
//!
//! - `Orders`: an account's open orders, the single truth about each; the public id (account, sequence) leads there.
//! - `Intake`: per market, notes of this block: which orders came in, which pages were touched. `Waiting` counts what an earlier
//!   close left there.
//! - `Pages`: the resting orders as matching reads them, 32 to a page, found by market, side and tick group.
//! - `Directories`: per side, which groups there are and how full their pages; written only in the close.
//! - `Quotes`: best and impact prices after the last close that changed a book.
//! - `Expiries`: orders by block of expiry, in pages.
//! - `Armed`: triggers in the order in which a mark reaches them, a key each; `Reaches`: what marks have reached and is still to be
//!   worked off. The triggers themselves lie in their account, beside its orders.
//! - `Due`: orders in slices (TWAPs) by the block of their next slice, and pegged orders by that of the next look at what they follow, a
//!   key each. These themselves lie with their account's open orders.
//!
//! | file | what |
//! |---|---|
//! | [`types`] | what is stored and reported, and why operations are refused |
//! | `intake` | one extrinsic's operations on one account |
//! | [`arrangements`] | icebergs, pairs, TWAPs and pegs: what of them lies with an account's orders |
//! | [`book`] | tick groups, pages, directories |
//! | `changes` | open orders that fill or leave in a close |
//! | [`close`] | load, match, commit |
//! | `close/auction` | a market in a call auction: orders collected, and all that crosses at one price |
//! | `triggers` | stops and take-profits: their index, and firing |
//! | `due` | TWAPs and pegged orders: their index, and what is due |
//! | `rested` | rested quotes, depth and levels |
//! | `upkeep` | expiries, evictions and halted intake |
//! | `try_state` | the equalities |

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

pub mod arrangements;
#[cfg(any(feature = "runtime-benchmarks", test))]
mod benchmarking;
pub mod book;
mod changes;
pub mod close;
mod due;
mod intake;
#[cfg(test)]
mod mock;
mod page;
mod rested;
#[cfg(test)]
mod tests;
mod triggers;
mod try_state;
pub mod types;
mod upkeep;
pub mod weights;

pub use close::Market;
pub use intake::MARKET_ORDER_SLIPPAGE;
pub use pallet::*;
pub use types::*;
pub use weights::WeightInfo;

/// What new orders cost in the close beside the book: clearing knows. `()` says nothing.
pub trait Novating {
    /// The execution of one order.
    fn order() -> frame_support::weights::Weight {
        frame_support::weights::Weight::zero()
    }
    /// Check, novation and indexing of an account with so many positions and collaterals, and so many thresholds beyond two for each of them.
    fn party(_holdings: u32, _thresholds: u32) -> frame_support::weights::Weight {
        frame_support::weights::Weight::zero()
    }
    /// Picoseconds that every close has at least for the orders of triggers.
    fn least_for_triggers() -> u64 {
        u64::MAX
    }
}

impl Novating for () {}

/// What benchmarks need from the runtime around the pallet.
#[cfg(any(feature = "runtime-benchmarks", test))]
pub trait BenchmarkHelper<AccountId> {
    /// A listed, open market with a price, and its view.
    fn market() -> novate_types::MarketView;
    /// Opens the account with cash for any order of the benchmarks.
    fn fund(account: &novate_types::AccountRef<AccountId>);
    /// A view in which as many options can be held as one account may, of one underlying and an expiry each, all of them priced.
    fn options() -> novate_types::RiskView;
}

#[allow(clippy::expect_used)] // What the macro generates has some; ours has none.
#[frame_support::pallet]
pub mod pallet {
    use crate::{
        intake::{armed_by, orders_of, Held, Session},
        types::{
            Accepted, AccountOrders, CancelledOrder, Directory, DueKey, FiredTrigger, Levels,
            MaxReaches, Note, OrderError, Page, PageKey, Quotes, Reach, TriggerKey, Upkept,
            FILL_OR_KILL_READS, GROUP_ORDERS, MAX_CANCELLED, MAX_WAITING, POSITION_READS,
            WAITING_READS,
        },
        weights::WeightInfo,
        Novating,
    };
    use alloc::vec::Vec;
    use frame_support::pallet_prelude::*;
    use frame_system::pallet_prelude::*;
    use novate_types::{
        AccountRef, BlockNumber, CurrentView, Ledger, MarketId, Operation, RiskModel, Sequence,
        Side, SubaccountId, TimeInForce, MAX_ARRANGEMENTS, MAX_HOLDINGS, MAX_LEGS, MAX_OPEN_ORDERS,
        MAX_OPERATIONS, MAX_TRIGGERS,
    };

    #[pallet::pallet]
    pub struct Pallet<T>(_);

    /// What the pallet takes from the runtime.
    #[pallet::config]
    pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {
        /// Margin accounts.
        type Ledger: Ledger<Self::AccountId>;
        /// What an account needs.
        type Risk: RiskModel;
        /// Prices and parameters of this block's intake.
        type View: CurrentView;
        /// New orders that one margin account may send into one block.
        #[pallet::constant]
        type IntakeQuota: Get<u32>;
        /// Farthest block of expiry of a good-til-block order, in blocks from its intake.
        #[pallet::constant]
        type MaxExpiry: Get<BlockNumber>;
        /// Resting orders of one side that a market's matches of one block read; what lies deeper waits. At least the fills of a
        /// market, and one group is always read.
        #[pallet::constant]
        type LoadLimit: Get<u32>;
        /// Resting orders that all matches of one block read. What costs more than reading one counts as several: see
        /// [`crate::types::POSITION_READS`], [`crate::types::WAITING_READS`] and [`crate::types::NOTE_READS`]. So does what a match
        /// that is run again looks at. A market for which not enough is left waits for the next close.
        #[pallet::constant]
        type BlockReads: Get<u32>;
        /// Resting orders of one side that rested quotes and depth look at, from the best.
        #[pallet::constant]
        type QuoteDepth: Get<u32>;
        /// Pages of expired orders, as many of evicted groups, and as many of markets that have ended, that one close removes. Of the expiry index it reads up to
        /// [`crate::types::EXPIRY_READS`] times as many.
        #[pallet::constant]
        type UpkeepPages: Get<u32>;
        /// Triggers whose block of expiry has come that one close removes.
        #[pallet::constant]
        type ExpiringTriggers: Get<u32>;
        /// What new orders cost in the close beside the book.
        type Novating: crate::Novating;
        /// Weights.
        type WeightInfo: WeightInfo;
        /// Set-up of benchmarks.
        #[cfg(any(feature = "runtime-benchmarks", test))]
        type BenchmarkHelper: crate::BenchmarkHelper<Self::AccountId>;
    }

    /// Notes of this block's extrinsics by market, those of one together, appended without reading. Bounded by the block's weight: each
    /// note is prepaid.
    #[pallet::storage]
    #[pallet::unbounded]
    pub type Intake<T: Config> =
        StorageMap<_, Identity, MarketId, Vec<Vec<Note<T::AccountId>>>, ValueQuery>;

    /// New orders that an earlier close left in a market's intake, as many as were noted.
    #[pallet::storage]
    pub type Waiting<T: Config> = StorageMap<_, Identity, MarketId, u32, ValueQuery>;

    /// Accounts that have no open orders left, only client ids that they cancelled in this block; the close forgets them. Appended
    /// without reading, and prepaid like [`Intake`].
    #[pallet::storage]
    #[pallet::unbounded]
    pub type Emptied<T: Config> = StorageValue<_, Vec<AccountRef<T::AccountId>>, ValueQuery>;

    /// What this close's matches have read of [`Config::BlockReads`]; gone when it ends.
    #[pallet::storage]
    pub type Reads<T: Config> = StorageValue<_, u32, ValueQuery>;

    /// Resting orders by market, side, tick group and page.
    #[pallet::storage]
    pub type Pages<T: Config> = StorageMap<_, Identity, PageKey, Page<T::AccountId>>;

    /// Tick groups by market and side.
    #[pallet::storage]
    pub type Directories<T: Config> =
        StorageMap<_, Identity, (MarketId, Side), Directory, ValueQuery>;

    /// Sides with evicted groups whose orders are still there. At most two a listed market.
    #[pallet::storage]
    #[pallet::unbounded]
    pub type Evicting<T: Config> = StorageValue<_, Vec<(MarketId, Side)>, ValueQuery>;

    /// Rested quotes by market.
    #[pallet::storage]
    pub type RestedQuotes<T: Config> = StorageMap<_, Identity, MarketId, Quotes, ValueQuery>;

    /// Orders that came to rest with an expiry, by its block, in pages of [`crate::types::EXPIRY_PAGE`]. An order that left before
    /// keeps its entry until then.
    #[pallet::storage]
    #[pallet::unbounded]
    pub type Expiries<T: Config> = StorageMap<
        _,
        Identity,
        (BlockNumber, u32),
        Vec<(AccountRef<T::AccountId>, Sequence)>,
        ValueQuery,
    >;

    /// What this close's upkeep did.
    #[pallet::storage]
    #[pallet::whitelist_storage]
    pub type UpkeptNow<T: Config> = StorageValue<_, Upkept, ValueQuery>;

    /// Entries of the expiry index by block.
    #[pallet::storage]
    pub type ExpiryCounts<T: Config> = StorageMap<_, Identity, BlockNumber, u32, ValueQuery>;

    /// The next page of the expiry index to work off: block and page.
    #[pallet::storage]
    pub type ExpiryCursor<T: Config> = StorageValue<_, (BlockNumber, u32), ValueQuery>;

    /// Triggers in the order in which the mark reaches them, each with its block of expiry.
    #[pallet::storage]
    pub type Armed<T: Config> =
        StorageMap<_, Identity, TriggerKey<T::AccountId>, Option<BlockNumber>>;

    /// Keys of [`Armed`] by block of expiry (its most significant byte first), account and sequence number.
    #[pallet::storage]
    pub type TriggerExpiries<T: Config> = StorageMap<
        _,
        Identity,
        ([u8; 4], AccountRef<T::AccountId>, Sequence),
        TriggerKey<T::AccountId>,
    >;

    /// TWAPs by block of their next slice, then pegged orders by block of the next look at what they follow.
    #[pallet::storage]
    pub type Due<T: Config> = StorageMap<_, Identity, DueKey<T::AccountId>, ()>;

    /// Keys of [`Armed`] and [`Due`] whose trigger, TWAP or pegged order left in a close.
    #[pallet::storage]
    pub type Unowned<T: Config> = StorageValue<_, u32, ValueQuery>;

    /// What marks have reached and is still to be worked off, the oldest first.
    #[pallet::storage]
    pub type Reaches<T: Config> = StorageValue<_, BoundedVec<Reach, MaxReaches>, ValueQuery>;

    /// What happened to orders. Fills are reported by clearing.
    #[pallet::event]
    #[pallet::generate_deposit(pub(crate) fn deposit_event)]
    pub enum Event<T: Config> {
        /// An extrinsic's operations, in their order: what each did, or why it was refused.
        Submitted {
            /// The account.
            account: AccountRef<T::AccountId>,
            /// One outcome an operation.
            outcomes: BoundedVec<Result<Accepted, OrderError>, ConstU32<MAX_OPERATIONS>>,
        },
        /// Orders and triggers of a market left without having filled, for reasons other than their owner's request. At most 512 an event.
        Cancelled {
            /// The market.
            market: MarketId,
            /// Which, how much of them, and why.
            orders: Vec<CancelledOrder<T::AccountId>>,
        },
        /// The mark reached triggers of a market, or slices of TWAPs were due: their orders are in this close's match, or were refused.
        /// At most 512 an event.
        Fired {
            /// The market.
            market: MarketId,
            /// Which, in the order in which they fired, slices last, and what became of each.
            triggers: Vec<FiredTrigger<T::AccountId>>,
        },
    }

    /// Why an extrinsic was refused as a whole. Refusals of single operations are [`OrderError`]s in the event.
    #[pallet::error]
    #[derive(PartialEq, Eq)]
    pub enum Error<T> {
        /// The margin account was never opened. Deposit into it first.
        NoAccount,
        /// There are no operations. Send at least one.
        NoOperations,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn integrity_test() {
            assert!(
                T::IntakeQuota::get().saturating_add(MAX_OPEN_ORDERS) <= MAX_CANCELLED,
                "an account could cancel more orders in a block than are remembered"
            );
            assert!(
                u32::try_from(AccountOrders::max_encoded_len())
                    .is_ok_and(|most| most <= novate_types::MAX_ORDER_BYTES),
                "an account's open orders may not fit into it"
            );
            assert!(
                T::LoadLimit::get() > 0 && T::QuoteDepth::get() > 0,
                "a book nobody reads"
            );
            assert!(
                T::BlockReads::get()
                    >= WAITING_READS
                        .saturating_mul(MAX_WAITING)
                        .saturating_add(GROUP_ORDERS.saturating_mul(2)),
                "a market whose orders waited would never match"
            );
            assert!(
                T::UpkeepPages::get() > 0 && T::ExpiringTriggers::get() > 0,
                "expired orders would stay forever"
            );
            assert!(
                Self::most_of_trigger().ref_time() <= T::Novating::least_for_triggers(),
                "the largest account's trigger would never fire"
            );
            assert!(
                Self::most_of_slice().ref_time() <= T::Novating::least_for_triggers(),
                "the largest account's slice would never come in"
            );
            assert!(
                Self::most_of_look().ref_time() <= T::Novating::least_for_triggers(),
                "the largest account's pegged order would never move"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Places, amends and cancels orders of one margin account.
        ///
        /// ## Dispatch Origin
        /// Signed by the account's owner.
        ///
        /// ## Details
        /// Operations act in their order and succeed or fail one by one; a failed one changes nothing. New orders meet the market
        /// at this block's close; cancels and smaller sizes act at once. What an account's orders need is held against its initial
        /// margin from here on. A trigger holds nothing until the mark reaches its level, at this block's close or a later one, and
        /// is a new order then; it pays as one now. So does an order in slices, whose slices come in with this block's close and later
        /// ones. A pegged order moves in closes to come. A cancel takes what the order excludes with it.
        ///
        /// ## Errors
        /// - [`Error::NoAccount`]: the owner never deposited into `sub`.
        /// - [`Error::NoOperations`]: `operations` is empty.
        /// - Refusals of single operations are in the event, see [`OrderError`].
        ///
        /// ## Events
        /// - [`Event::Submitted`] with one outcome an operation.
        #[pallet::call_index(0)]
        #[pallet::weight(Pallet::<T>::weight_of(operations))]
        pub fn submit(
            origin: OriginFor<T>,
            sub: SubaccountId,
            operations: BoundedVec<Operation, ConstU32<MAX_OPERATIONS>>,
        ) -> DispatchResultWithPostInfo {
            let owner = ensure_signed(origin)?;
            let (outcomes, held) =
                Self::carry_out(&AccountRef::new(owner.clone(), sub), &operations)?;
            let actual = Self::weight_spent(&operations, &outcomes, held);
            let outcomes = BoundedVec::truncate_from(outcomes);
            let account = AccountRef::new(owner, sub);
            Self::deposit_event(Event::Submitted { account, outcomes });
            Ok(Some(actual).into())
        }
    }

    /// What each operation did, or why it was refused.
    type Outcomes = Vec<Result<Accepted, OrderError>>;

    impl<T: Config> Pallet<T> {
        /// Carries out operations of one account: one read and one write of it and of its open orders. The outcomes, one an
        /// operation; an error changes nothing.
        pub fn execute(
            account: &AccountRef<T::AccountId>,
            operations: &[Operation],
        ) -> Result<Vec<Result<Accepted, OrderError>>, Error<T>> {
            Self::carry_out(account, operations).map(|(outcomes, _)| outcomes)
        }

        /// The outcomes, and what the account holds.
        fn carry_out(
            account: &AccountRef<T::AccountId>,
            operations: &[Operation],
        ) -> Result<(Outcomes, Held), Error<T>> {
            ensure!(!operations.is_empty(), Error::<T>::NoOperations);
            let mut session = Session::<T>::open(account, operations)?;
            let outcomes = operations
                .iter()
                .map(|operation| session.apply(operation))
                .collect();
            let held = session.held();
            session.close();
            Ok((outcomes, held))
        }

        /// The open orders that an account carries, in this pallet's own terms; none without an account.
        pub fn orders(of: &AccountRef<T::AccountId>) -> AccountOrders {
            T::Ledger::account(of).map_or_else(AccountOrders::default, |account| {
                AccountOrders::of(&account)
            })
        }

        /// Changes the open orders that an account carries, and nothing with them.
        #[cfg(any(feature = "runtime-benchmarks", test))]
        pub fn change_orders(
            of: &AccountRef<T::AccountId>,
            change: impl FnOnce(&mut AccountOrders),
        ) {
            let changed = T::Ledger::update(of, |account| {
                let mut orders = AccountOrders::of(account);
                change(&mut orders);
                account.open = novate_types::OpaqueOrders::truncate_from(orders.encode());
                Ok::<_, novate_types::LedgerError>(())
            });
            assert!(changed.is_ok(), "no such account");
        }

        /// The best levels of both sides, bids then asks, at most `depth` each and of at most `QuoteDepth` orders a side.
        pub fn book(market: MarketId, depth: u32) -> (Levels, Levels) {
            let side = |side| crate::rested::levels::<T>(market, side, depth);
            (side(Side::Bid), side(Side::Ask))
        }

        /// What this pallet's part of a close costs at most, with `markets` listed: for whoever reserves it at the block's start. What
        /// executes in it is clearing's, with what triggers that fire cost, and new orders prepay their part.
        pub fn close_weight(markets: u32) -> Weight {
            let reads = Self::reads_beyond().saturating_add(T::BlockReads::get());
            // Expiries and evictions, and as many of markets that have ended.
            let pages = T::UpkeepPages::get().saturating_mul(2);
            let times = |weight: Weight, n: u32| weight.saturating_mul(u64::from(n));
            times(T::WeightInfo::match_market(), markets)
                .saturating_add(times(T::WeightInfo::read(), reads))
                .saturating_add(T::WeightInfo::housekeep(pages, markets))
                .saturating_add(T::WeightInfo::triggers(markets))
                .saturating_add(times(T::WeightInfo::expire(), T::ExpiringTriggers::get()))
        }

        /// Orders that a match may read beyond [`Config::BlockReads`]. Reading stops after the group in which the bound is reached, which may
        /// hold reduce-only orders alone. And further runs of the match that reaches it may look at all that was read of both sides: one for
        /// the sake of fill-or-kill orders, of an auction all that the check asks for.
        fn reads_beyond() -> u32 {
            let read = T::LoadLimit::get().saturating_add(GROUP_ORDERS);
            let again = crate::close::AUCTION_RUNS.saturating_sub(1);
            GROUP_ORDERS
                .saturating_mul(POSITION_READS.saturating_add(1))
                .saturating_add(read.saturating_mul(2).saturating_mul(again))
        }

        /// What is left of [`Pallet::close_weight`] once all markets but so many have matched, and nothing else of the close can use: what
        /// is left of [`Config::BlockReads`] housekeeping may.
        pub fn unmatched(markets: u32) -> Weight {
            let beyond = Reads::<T>::get().saturating_sub(T::BlockReads::get());
            let unread = Self::reads_beyond().saturating_sub(beyond);
            T::WeightInfo::match_market()
                .saturating_mul(markets.into())
                .saturating_add(T::WeightInfo::read().saturating_mul(unread.into()))
        }

        /// What this pallet's part of the close that is at its end took, in which so many markets matched. To be asked once a close.
        pub fn spent(matched: u32) -> Weight {
            let Upkept {
                read,
                pages,
                refreshed,
                markets,
                triggers,
            } = UpkeptNow::<T>::take();
            let times = |weight: Weight, n: u32| weight.saturating_mul(u64::from(n));
            times(T::WeightInfo::match_market(), matched)
                .saturating_add(times(T::WeightInfo::read(), read))
                .saturating_add(T::WeightInfo::housekeep(pages, refreshed))
                .saturating_add(T::WeightInfo::triggers(markets))
                .saturating_add(times(T::WeightInfo::expire(), triggers))
        }

        /// The close's block number.
        pub(crate) fn now() -> BlockNumber {
            use sp_runtime::SaturatedConversion;
            frame_system::Pallet::<T>::block_number().saturated_into()
        }

        /// What operations may cost at most: a sweep cancels what can be open.
        pub(crate) fn weight_of(operations: &[Operation]) -> Weight {
            let of_kind = |is: fn(&Operation) -> bool| count(operations.iter().filter(|o| is(o)));
            let armed: u32 = operations.iter().map(armed_by).sum();
            let placed = count(operations.iter().flat_map(orders_of));
            let amends = of_kind(|o| matches!(o, Operation::Amend { .. }));
            let cancels = of_kind(|o| matches!(o, Operation::Cancel(_)));
            let sweeps = of_kind(|o| matches!(o, Operation::CancelAll { .. }));
            let swept = match sweeps {
                0 => 0,
                _ => MAX_OPEN_ORDERS
                    .saturating_add(placed)
                    .saturating_add(sweeps),
            };
            let places = placed.saturating_add(amends);
            // Each may be of a combination.
            let of_legs = places.saturating_mul(u32::try_from(MAX_LEGS).unwrap_or(u32::MAX));
            // Each may be one of a pair.
            let left = cancels.saturating_mul(2).saturating_add(swept);
            let disarmed = left.min(
                MAX_TRIGGERS
                    .saturating_add(MAX_ARRANGEMENTS)
                    .saturating_add(armed),
            );
            T::WeightInfo::orders(places, left.saturating_add(amends), MAX_OPEN_ORDERS)
                .saturating_add(T::WeightInfo::most_scanned(places))
                .saturating_add(Self::arming(armed, disarmed))
                .saturating_add(Self::novating(operations, places, Held::most::<T>()))
                .saturating_add(T::Novating::order().saturating_mul(of_legs.into()))
        }

        /// What the index of triggers costs.
        fn arming(armed: u32, disarmed: u32) -> Weight {
            T::WeightInfo::arm()
                .saturating_mul(armed.into())
                .saturating_add(T::WeightInfo::disarm().saturating_mul(disarmed.into()))
        }

        /// What `places` new orders of an account that holds so much cost in the close beside the book: they may trade in every
        /// market that an operation names, and an amendment names none.
        fn novating(operations: &[Operation], places: u32, held: Held) -> Weight {
            if places == 0 {
                return Weight::zero();
            }
            let brought = || operations.iter().flat_map(orders_of);
            let mut named: Vec<MarketId> = brought().map(|order| order.market).collect();
            named.sort_unstable();
            named.dedup();
            let amends = count(
                operations
                    .iter()
                    .filter(|o| matches!(o, Operation::Amend { .. })),
            );
            let markets = u32::try_from(named.len())
                .unwrap_or(u32::MAX)
                .saturating_add(amends)
                .min(MAX_HOLDINGS);
            let further = u64::from(markets.saturating_sub(1));
            let whole = brought().map(|order| Self::further_runs(order.time_in_force));
            whole
                .fold(held.party::<T>(), Weight::saturating_add)
                .saturating_add(T::Novating::party(1, 0).saturating_mul(further))
                .saturating_add(T::Novating::order().saturating_mul(places.into()))
        }

        /// What so many operations that come with the close itself cost at most ([`novate_types::OrderBook::order`]), their new orders'
        /// execution in so many markets included.
        pub fn close_operations(operations: u32, markets: u32) -> Weight {
            let placed = T::WeightInfo::orders(operations, operations, MAX_OPEN_ORDERS);
            let swept = T::WeightInfo::orders(0, MAX_OPEN_ORDERS, MAX_OPEN_ORDERS);
            let further = u64::from(markets.saturating_sub(1));
            placed
                .max(swept)
                .saturating_add(T::Novating::order().saturating_mul(operations.into()))
                .saturating_add(Held::most::<T>().party::<T>())
                .saturating_add(T::Novating::party(1, 0).saturating_mul(further))
        }

        /// What an order pays for running its market's match again.
        pub(crate) fn further_runs(time_in_force: TimeInForce) -> Weight {
            match time_in_force {
                TimeInForce::FillOrKill => {
                    T::WeightInfo::read().saturating_mul(FILL_OR_KILL_READS.into())
                }
                _ => Weight::zero(),
            }
        }

        /// What they cost: as prepaid, but only the orders that sweeps found, and what the account may hold.
        fn weight_spent(
            operations: &[Operation],
            outcomes: &[Result<Accepted, OrderError>],
            held: Held,
        ) -> Weight {
            let mut places = count(operations.iter().flat_map(orders_of));
            let mut changes = 0u32;
            let armed: u32 = operations.iter().map(armed_by).sum();
            for (operation, outcome) in operations.iter().zip(outcomes) {
                let found = match outcome {
                    Ok(Accepted::Cancelled(orders)) => *orders,
                    _ => 0,
                };
                match operation {
                    Operation::Cancel(_) => changes = changes.saturating_add(found.max(1)),
                    Operation::Amend { .. } => {
                        places = places.saturating_add(1);
                        changes = changes.saturating_add(1);
                    }
                    Operation::CancelAll { .. } => {
                        changes = changes.saturating_add(found).saturating_add(1);
                    }
                    _ => {}
                }
            }
            T::WeightInfo::orders(places, changes, held.open)
                .saturating_add(held.scanned)
                .saturating_add(Self::arming(armed, held.disarmed))
                .saturating_add(Self::novating(operations, places, held))
                .saturating_add(T::Novating::order().saturating_mul(held.legs.into()))
        }
    }

    fn count<I>(items: impl Iterator<Item = I>) -> u32 {
        u32::try_from(items.count()).unwrap_or(u32::MAX)
    }
}
