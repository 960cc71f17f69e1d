//! A block's ordering is worth nothing: its extrinsics shuffled between owners, each owner's own order kept, leave every account,
//! order, page and balance the same (section 4).
//!
//! `PROPTEST_CASES` runs of `NOVATE_BLOCKS` blocks, each block executed in four orders.

mod common;

use common::{crowd::*, *};
use frame_support::{
    storage::{with_transaction, TransactionOutcome},
    traits::PalletInfoAccess,
};
use novate_runtime::{
    Assets, Balances, Clearing, Instruments, Liquidation, Margin, Oracle, OrderBook, RuntimeCall,
};
use sp_keyring::Sr25519Keyring;
use sp_runtime::DispatchError;
use std::collections::BTreeMap;

/// All storage of the exchange, of assets and of balances.
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

/// One block of `transactions`; the state afterwards, and what became of each owner's transactions.
fn execute(
    run: &mut Run,
    pause: u64,
    transactions: Vec<(Sr25519Keyring, RuntimeCall)>,
    observation: impl Fn(&mut Run),
) -> (
    BTreeMap<Vec<u8>, Vec<u8>>,
    BTreeMap<Sr25519Keyring, Vec<bool>>,
) {
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
                    .filter(|(_, call)| !matches!(call, RuntimeCall::Sudo(_)))
                    .take(18)
                    .collect();
                transactions_in_all += transactions.len();
                let pause = run.pause();
                let price = run.next_price();
                let observed = |_: &mut Run| price.iter().for_each(|price| observe(*price));
                let mut shuffled = Vec::new();
                for _ in 0..3 {
                    let order = shuffle(&transactions, &mut random);
                    shuffled.push(
                        with_transaction(|| {
                            let done = execute(&mut run, pause, order, observed);
                            TransactionOutcome::Rollback(Ok::<_, DispatchError>(done))
                        })
                        .unwrap(),
                    );
                }
                let (state, outcomes) = execute(&mut run, pause, transactions, observed);
                run.count_events();
                for (other, others) in shuffled {
                    assert_eq!(outcomes, others, "another extrinsic failed");
                    for key in state.keys().chain(other.keys()) {
                        assert_eq!(state.get(key), other.get(key), "{}", describe(key));
                    }
                }
            });
            chain.commit_all().unwrap();
        }
        println!("{transactions_in_all} transactions, {:#?}", run.tally);
        assert!(run.tally.fills > 200);
    }
}
