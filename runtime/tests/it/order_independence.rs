//! A block's ordering is worth nothing: its extrinsics shuffled between owners, each owner's own order kept, leave every account,
//! order, page and balance the same (section 4).
//!
//! `PROPTEST_CASES` runs of `NOVATE_BLOCKS` blocks, each block executed in four orders.

use crate::common::{crowd::*, *};
use codec::Encode;
use frame_support::{
    storage::{with_transaction, TransactionOutcome},
    traits::PalletInfoAccess,
};
use novate_runtime::{
    configs::exchange::BTC, Assets, Balances, Clearing, Instruments, Liquidation, Margin, Oracle,
    OrderBook, Runtime, RuntimeCall, RuntimeEvent, SLOT_MILLIS,
};
use novate_types::{Operation, Side};
use pallet_margin::Deferred;
use sp_keyring::Sr25519Keyring;
use sp_runtime::DispatchError;
use std::collections::BTreeMap;

/// All storage of the exchange, of assets and of balances. Orders that wait for a market's turn are stored as they came in, and are
/// equals when it comes: here they are in one order.
fn state() -> BTreeMap<Vec<u8>, Vec<u8>> {
    let pallets = [
        Instruments::name(),
        Oracle::name(),
        Margin::name(),
        OrderBook::name(),
        Clearing::name(),
        Liquidation::name(),
        Assets::name(),
        Balances::name(),
    ];
    let mut all = BTreeMap::new();
    for name in pallets {
        let prefix = sp_io::hashing::twox_128(name.as_bytes());
        let mut key = prefix.to_vec();
        while let Some(next) = sp_io::storage::next_key(&key).filter(|k| k.starts_with(&prefix)) {
            let value = sp_io::storage::get(&next).expect("the key is there");
            all.insert(next.clone(), value.to_vec());
            key = next;
        }
    }
    for market in pallet_order_book::Intake::<Runtime>::iter_keys() {
        let notes = pallet_order_book::Intake::<Runtime>::get(market);
        let mut notes: Vec<_> = notes.iter().map(Encode::encode).collect();
        notes.sort_unstable();
        let key = pallet_order_book::Intake::<Runtime>::hashed_key_for(market);
        all.insert(key, notes.concat());
    }
    all
}

/// The same transactions, owners interleaved in another way.
fn shuffle(
    transactions: &[(Sr25519Keyring, RuntimeCall)],
    random: &mut Random,
) -> Vec<(Sr25519Keyring, RuntimeCall)> {
    let mut queues = BTreeMap::<_, std::collections::VecDeque<_>>::new();
    for (who, call) in transactions {
        queues.entry(*who).or_default().push_back(call.clone());
    }
    let mut shuffled = Vec::new();
    while !queues.is_empty() {
        let owners: Vec<_> = queues.keys().copied().collect();
        let who = *random.pick(&owners);
        let queue = queues.get_mut(&who).expect("owners of queues");
        shuffled.extend(queue.pop_front().map(|call| (who, call)));
        if queue.is_empty() {
            queues.remove(&who);
        }
    }
    shuffled
}

/// The state after a block, and what became of each owner's transactions.
type Executed = (
    BTreeMap<Vec<u8>, Vec<u8>>,
    BTreeMap<Sr25519Keyring, Vec<bool>>,
);

/// What `act` returns; what it wrote is forgotten.
fn undone<R>(act: impl FnOnce() -> R) -> R {
    with_transaction(|| TransactionOutcome::Rollback(Ok::<_, DispatchError>(act()))).unwrap()
}

/// Holds two executions to one result.
fn same((state, outcomes): &Executed, (other, others): &Executed) {
    assert_eq!(outcomes, others, "another extrinsic failed");
    for key in state.keys().chain(other.keys()) {
        assert_eq!(state.get(key), other.get(key), "{}", describe(key));
    }
}

/// One block of `transactions`.
fn execute(
    run: &mut Run,
    pause: u64,
    transactions: Vec<(Sr25519Keyring, RuntimeCall)>,
    observation: impl Fn(&mut Run),
) -> Executed {
    begin(pause);
    observation(run);
    let mut outcomes = BTreeMap::<_, Vec<bool>>::new();
    for (who, call) in transactions {
        let done = send(who, call).expect("few enough for a block");
        outcomes.entry(who).or_default().push(done.is_ok());
    }
    end();
    (state(), outcomes)
}

/// Which pallet and item a key belongs to, for a failure that can be read.
fn describe(key: &[u8]) -> String {
    use frame_support::traits::StorageInfoTrait;
    let known = novate_runtime::AllPalletsWithSystem::storage_info();
    known
        .iter()
        .find(|info| key.starts_with(&info.prefix))
        .map_or(format!("{key:02x?}"), |info| {
            let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            format!("{}::{}", name(&info.pallet_name), name(&info.storage_name))
        })
}

#[test]
fn state_is_the_same_when_a_blocks_extrinsics_are_shuffled_between_owners() {
    for seed in seeds(2) {
        let (mut run, mut chain) = Run::new(seed + 500, Climate::ROUGH);
        let mut random = Random::new(seed);
        let mut transactions_in_all = 0;
        for _ in 0..configured("NOVATE_BLOCKS", 60) {
            chain.execute_with(|| {
                let transactions: Vec<_> = std::iter::repeat_with(|| run.something())
                    .take(18)
                    .collect();
                transactions_in_all += transactions.len();
                let pause = run.pause();
                let price = run.next_price();
                let observed = |_: &mut Run| price.iter().for_each(|price| observe(*price));
                let mut shuffled = Vec::new();
                for _ in 0..3 {
                    let order = shuffle(&transactions, &mut random);
                    shuffled.push(undone(|| execute(&mut run, pause, order, observed)));
                }
                let done = execute(&mut run, pause, transactions, observed);
                run.count_events();
                shuffled.iter().for_each(|other| same(&done, other));
            });
            chain.commit_all().unwrap();
        }
        println!("{transactions_in_all} transactions, {:#?}", run.tally);
        assert!(run.tally.fills > 200 && run.tally.fired > 0);
    }
}

/// Everybody deposits bitcoin, of which the chain takes less than they all bring, while the cap is lowered and fee tiers change.
#[test]
fn state_is_the_same_when_deposits_exceed_a_cap_and_are_shuffled_between_owners() {
    const CAP: u128 = 100_000_000;
    let (mut run, mut chain) = Run::new(900, Climate::STILL);
    let mut random = Random::new(900);
    let (mut taken, mut dropped) = (BTreeMap::<_, u64>::new(), 0);
    chain.execute_with(|| {
        for _ in 0..12 {
            let root = |call: RuntimeCall| {
                let call = Box::new(call);
                (Alice, pallet_sudo::Call::sudo { call }.into())
            };
            let mut transactions = vec![root(
                pallet_margin::Call::lower_global_cap {
                    asset: BTC,
                    new_value: CAP,
                }
                .into(),
            )];
            for who in owners() {
                for sub in 0..SUBACCOUNTS {
                    let amount = u128::from(1 + random.below(20_000_000));
                    let asset = BTC;
                    let deposit = pallet_margin::Call::deposit { sub, asset, amount };
                    transactions.push((who, deposit.into()));
                }
                let operations = vec![Operation::Place(order(
                    Side::Bid,
                    10 + random.below(100),
                    ticks(19_000),
                ))];
                transactions.push((who, submit_call(0, operations)));
                transactions.push(root(
                    pallet_margin::Call::set_fee_tier {
                        account: main_account(who),
                        new_value: random.below(3) as u8,
                    }
                    .into(),
                ));
            }
            let observed = |_: &mut Run| observe(usd(20_000));
            let mut shuffled = Vec::new();
            for _ in 0..6 {
                let order = shuffle(&transactions, &mut random);
                shuffled.push(undone(|| execute(&mut run, 1_000, order, observed)));
            }
            let last = undone(|| {
                let done = execute(&mut run, 1_000, transactions, observed);
                for event in events() {
                    use pallet_margin::Event;
                    match event {
                        RuntimeEvent::Margin(Event::Deposited { account, .. }) => {
                            *taken.entry(account.owner).or_default() += 1;
                        }
                        RuntimeEvent::Margin(Event::Dropped { what, .. }) => {
                            dropped += u64::from(matches!(what, Deferred::Deposit { .. }));
                        }
                        _ => {}
                    }
                }
                let held = pallet_margin::Custody::<Runtime>::get(BTC);
                assert!(held > CAP * 3 / 4 && held <= CAP, "{held}");
                equalities();
                done
            });
            shuffled.iter().for_each(|other| same(&last, other));
            // The next round draws other lots, on the same chain.
            begin(SLOT_MILLIS);
            observe(usd(20_000));
            end();
        }
    });
    println!("{taken:?}, {dropped} dropped");
    assert!(dropped > 60);
    assert_eq!(taken.len(), owners().len(), "somebody is always last");
}
