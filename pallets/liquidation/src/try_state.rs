//! What must hold between blocks, as equalities where there are two sides. Always compiled; the hook is behind `try-runtime`.

use crate::{
    index::{entry_bucket, is_waiting, side_of},
    pages::{Entry, Shelf, Span},
    remedies::{
        call::CALL_CLOSES,
        competition::{takes_bids, COMPETITION_CLOSES},
    },
    Backstop, Bids, Config, OpenInterestScale, Pallet, Queue, RiskDirectory, RiskPage, RiskSpan,
    ShareHoldings, ShareRequests, ShareWish, Suspended, Sweeping, UncoveredDeficit, Volatilities,
    Wishes, Working,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use frame_support::{ensure, traits::Get};
use novate_risk::STRESS_MOVES;
use novate_types::{
    AccountRef, Cash, CurrentView, Ledger, MarginAccount, Pot, RiskModel, RiskView, Side, Standing,
    MILLION,
};
use sp_runtime::TryRuntimeError;

/// Accounts read at once.
const BATCH: u32 = 1_000;

/// How often each entry stands in the pages.
type Entries<AccountId> = BTreeMap<(Shelf, u32, AccountRef<AccountId>, u32), u32>;

impl<T: Config> Pallet<T> {
    /// Checks the pallet's storage against itself and against every account.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        let entries = Self::check_pages()?;
        Self::check_queue(&entries)?;
        Self::check_bids()?;
        Self::check_shares()?;
        Self::check_stress()?;
        let view = T::View::view();
        let mut last: Option<AccountRef<T::AccountId>> = None;
        loop {
            let accounts = T::Ledger::accounts_after(last.as_ref(), BATCH);
            for of in &accounts {
                let account =
                    T::Ledger::account(of).ok_or("an account of the sweep is not in the ledger")?;
                Self::check_entries(of, &account, &entries, &view)?;
                Self::check_standing(of, &account, &view)?;
            }
            last = accounts.into_iter().next_back();
            if last.is_none() {
                return Ok(());
            }
        }
    }

    /// What is known of volatility and stress has the order and the bounds that are relied on.
    fn check_stress() -> Result<(), TryRuntimeError> {
        let feeds = Volatilities::<T>::get();
        let mut pairs = feeds.iter().zip(feeds.iter().skip(1));
        ensure!(
            pairs.all(|((a, ..), (b, ..))| a < b),
            "volatilities are not in the order of their feeds"
        );
        ensure!(
            feeds.iter().all(|(.., kept)| kept.price.into_inner() > 0),
            "a volatility has no price to go on from"
        );
        ensure!(
            OpenInterestScale::<T>::get() <= MILLION,
            "more than the whole of the open-interest caps is in force"
        );
        ensure!(
            OpenInterestScale::<T>::get() >= T::Stress::get().least_scale,
            "less than the least of the open-interest caps is in force"
        );
        let Some(state) = Sweeping::<T>::get() else {
            return Ok(());
        };
        ensure!(
            state
                .deviations
                .iter()
                .all(|(feed, _)| feeds.iter().any(|(known, ..)| known == feed)),
            "a forecast has no past"
        );
        let is_largest = |largest: &[(T::AccountId, Cash)]| {
            let owners: BTreeSet<_> = largest.iter().map(|(owner, _)| owner).collect();
            largest.is_sorted_by(|(_, a), (_, b)| a >= b)
                && largest.iter().all(|(_, loss)| *loss > 0)
                && owners.len() == largest.len()
        };
        let sums = state.stress.unwrap_or_default();
        ensure!(
            sums.largest.iter().all(|largest| is_largest(largest)),
            "the largest losses are not the largest"
        );
        let markets: BTreeSet<_> = sums.markets.iter().map(|(market, _)| market).collect();
        ensure!(
            markets.len() == sums.markets.len(),
            "a market's losses are counted twice"
        );
        ensure!(
            sums.markets
                .iter()
                .all(|(_, by_move)| by_move.len() == STRESS_MOVES),
            "a market's losses are not those of the moves"
        );
        Ok(())
    }

    /// Directory, spans and pages name the same buckets, and no page is empty.
    fn check_pages() -> Result<Entries<T::AccountId>, TryRuntimeError> {
        let mut marked = BTreeSet::new();
        for (shelf, directory) in RiskDirectory::<T>::iter() {
            marked.extend(directory.buckets().map(|bucket| (shelf, bucket)));
        }
        let mut spans: BTreeMap<_, _> = RiskSpan::<T>::iter().collect();
        ensure!(
            spans.values().all(|span| *span != Span::default()),
            "a span is stored that goes without saying"
        );
        let mut pages = BTreeSet::new();
        for (shelf, bucket) in marked {
            let span = spans.remove(&(shelf, bucket)).unwrap_or_default();
            pages.extend((span.first..=span.last).map(|page| (shelf, bucket, page)));
        }
        ensure!(spans.is_empty(), "a bucket has pages and is not marked");
        let mut stored = BTreeSet::new();
        let mut entries = Entries::new();
        for ((shelf, bucket, page), list) in RiskPage::<T>::iter() {
            ensure!(!list.is_empty(), "a page is empty");
            stored.insert((shelf, bucket, page));
            for Entry {
                account,
                generation,
            } in list
            {
                let count = entries
                    .entry((shelf, bucket, account, generation))
                    .or_default();
                *count = count.saturating_add(1);
            }
        }
        ensure!(stored == pages, "a bucket spans other pages than there are");
        Ok(entries)
    }

    /// Every queued account is in the queue's pages or being worked on, once; the deficits, of those who wait for a price too, add
    /// up.
    fn check_queue(entries: &Entries<T::AccountId>) -> Result<(), TryRuntimeError> {
        let mut paged: Vec<_> = entries
            .iter()
            .filter(|((shelf, ..), _)| *shelf == Shelf::Queue)
            .flat_map(|((_, bucket, account, _), count)| {
                (0..*count).map(move |_| (account.clone(), Some(*bucket)))
            })
            .chain(
                Working::<T>::get()
                    .into_iter()
                    .map(|account| (account, None)),
            )
            .collect();
        paged.sort();
        let mut queued: Vec<_> = Queue::<T>::iter().collect();
        queued.sort_by(|a, b| a.0.cmp(&b.0));
        ensure!(
            paged.len() == queued.len(),
            "the queue's pages and its map differ in number"
        );
        let mut deficit: Cash = 0;
        for ((paged, bucket), (queued, place)) in paged.iter().zip(&queued) {
            ensure!(
                paged == queued,
                "the queue's pages and its map name different accounts"
            );
            ensure!(
                bucket.is_none_or(|b| b == u32::from(place.priority)),
                "a queued account stands in the wrong bucket"
            );
            ensure!(place.deficit >= 0, "a deficit is below zero");
            deficit = deficit
                .checked_add(place.deficit)
                .ok_or("the deficits overflow")?;
        }
        for (of, lacked) in Suspended::<T>::iter() {
            let waits = T::Ledger::account(&of)
                .is_none_or(|account| account.risk.iter().any(|s| is_waiting(s.bucket)));
            ensure!(
                lacked > 0 && waits && !Queue::<T>::contains_key(&of),
                "a suspended deficit is nobody's who waits for a price"
            );
            deficit = deficit.checked_add(lacked).ok_or("the deficits overflow")?;
        }
        ensure!(
            deficit == UncoveredDeficit::<T>::get(),
            "the deficits do not add up"
        );
        Ok(())
    }

    /// Shares add up, requests are those that are counted, and the pot holds what they brought and are owed.
    fn check_shares() -> Result<(), TryRuntimeError> {
        let book = Backstop::<T>::get();
        let mut shares = 0u128;
        let mut waiting = BTreeMap::<T::AccountId, u32>::new();
        let mut add = |more: u128| -> Result<(), TryRuntimeError> {
            shares = shares.checked_add(more).ok_or("the shares overflow")?;
            Ok(())
        };
        // Those being executed are counted no more: what they brought is the vault's.
        let executed_until = book.terms.map_or(book.first, |terms| terms.until);
        let returns = book.terms.is_some_and(|terms| terms.value.is_none());
        let mut counted = Wishes::default();
        let mut in_pot: Cash = book.terms.map_or(0, |terms| terms.unpaid);
        let overflows = |_| "the requests for shares overflow";
        for (id, request) in ShareRequests::<T>::iter() {
            ensure!(
                (book.first..book.next).contains(&id),
                "a request for shares is not among those that wait"
            );
            let many = waiting.entry(request.owner).or_default();
            *many = many.saturating_add(1);
            if let ShareWish::Leave(leaving) = request.wish {
                add(leaving)?;
            }
            let is_executed = id < executed_until;
            if !is_executed {
                counted.count(&request.wish).map_err(overflows)?;
            }
            if let ShareWish::Enter(amount) = request.wish {
                if !is_executed || returns {
                    in_pot = in_pot.checked_add(amount).ok_or("the pot overflows")?;
                }
            }
        }
        for (owner, holding) in ShareHoldings::<T>::iter() {
            add(holding.shares)?;
            ensure!(
                waiting.remove(&owner).unwrap_or(0) == holding.waiting,
                "an owner has another number of requests for shares than is counted"
            );
        }
        ensure!(waiting.is_empty(), "a request for shares is nobody's");
        ensure!(shares == book.shares, "the shares do not add up");
        let mut kept = book.coming;
        kept.count(&ShareWish::Enter(book.due.entering))
            .and_then(|()| kept.count(&ShareWish::Leave(book.due.leaving)))
            .map_err(overflows)?;
        ensure!(
            kept == counted,
            "the requests for shares do not add up to what is counted"
        );
        ensure!(
            in_pot == T::Ledger::pot(Pot::Vault),
            "the vault's pot does not hold what its requests brought and are owed"
        );
        Ok(())
    }

    /// Every bid is for an account of which something is for sale, and an owner's only one for it.
    fn check_bids() -> Result<(), TryRuntimeError> {
        let mut known = BTreeSet::new();
        let mut by_account = BTreeMap::<_, u32>::new();
        for bid in Bids::<T>::get() {
            let account = T::Ledger::account(&bid.account);
            ensure!(
                account.as_ref().is_some_and(takes_bids),
                "a bid is for an account that is not in competition"
            );
            ensure!(
                (1..=MILLION).contains(&bid.fraction) && bid.least_discount <= MILLION,
                "a bid asks for nothing or for more than there is"
            );
            ensure!(
                known.insert((bid.account.clone(), bid.taker.owner)),
                "an owner bids twice for an account"
            );
            let many = by_account.entry(bid.account).or_default();
            *many = many.saturating_add(1);
            ensure!(
                *many <= T::MaxBidsPerAccount::get(),
                "an account has more bids than it may have"
            );
        }
        Ok(())
    }

    /// Every slot of an account stands in the pages exactly once.
    fn check_entries(
        of: &AccountRef<T::AccountId>,
        account: &MarginAccount,
        entries: &Entries<T::AccountId>,
        view: &RiskView,
    ) -> Result<(), TryRuntimeError> {
        let count = |shelf, bucket, generation| {
            entries
                .get(&(shelf, bucket, of.clone(), generation))
                .copied()
                .unwrap_or(0)
        };
        for slot in &account.risk {
            let shelf = Shelf::Threshold(slot.axis, slot.direction);
            ensure!(
                count(shelf, slot.bucket, slot.generation) == 1,
                "a threshold is not in the pages exactly once"
            );
        }
        for position in &account.positions {
            let (side, rank) = (side_of(position), position.rank);
            ensure!(
                count(
                    Shelf::Rank(position.market, side),
                    rank.bucket.into(),
                    rank.generation
                ) == 1,
                "a position is not in the deleveraging index exactly once"
            );
            let deserved = entry_bucket(position, view);
            let is_found = match side {
                Side::Bid => rank.bucket <= deserved,
                Side::Ask => rank.bucket >= deserved,
            };
            ensure!(
                is_found,
                "a position stands worse in the deleveraging index than it deserves"
            );
        }
        Ok(())
    }

    /// Accounts in remedies are queued or wait for a price; accounts below maintenance margin are found by the next close.
    fn check_standing(
        of: &AccountRef<T::AccountId>,
        account: &MarginAccount,
        view: &RiskView,
    ) -> Result<(), TryRuntimeError> {
        let is_queued = Queue::<T>::contains_key(of);
        let waits = account.risk.iter().any(|slot| is_waiting(slot.bucket));
        ensure!(
            account.standing == Standing::Good || is_queued || waits,
            "an account in remedies is neither queued nor waiting"
        );
        let spent = match account.standing {
            Standing::Competing { closes, .. } => Some(closes <= COMPETITION_CLOSES),
            Standing::Called { closes, .. } => Some(closes <= CALL_CLOSES),
            _ => None,
        };
        if let Some(is_within) = spent {
            ensure!(
                is_within,
                "an account has spent more closes in competition than there are"
            );
            ensure!(
                account.orders.is_empty(),
                "an account in competition has open orders"
            );
        }
        let assessment =
            T::Risk::assess(account, view).map_err(|_| "an account cannot be assessed")?;
        ensure!(
            (0..=assessment.maintenance).contains(&assessment.long_options),
            "long options are worth more than the margin that they need"
        );
        ensure!(
            !assessment.is_below_maintenance() || is_queued || Self::is_crossed(account, view),
            "an account below maintenance margin would not be found"
        );
        Ok(())
    }
}
