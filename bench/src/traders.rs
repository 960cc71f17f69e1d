//! Accounts that sign.

use crate::{
    oracle::{opaque, signing},
    world::secret,
};
use codec::Encode;
use frame_support::traits::{fungible::Mutate as _, fungibles::Mutate as _};
use frame_system::{offchain::CreateAuthorizedTransaction, RawOrigin};
use novate_runtime::{
    configs::exchange::USDC, AccountId, Assets, Balances, Hash, Margin, Runtime, RuntimeCall,
    System, UncheckedExtrinsic, UNIT,
};
use novate_types::{
    AccountRef, ClientId, Lots, MarketId, NewOrder, Operation, OrderPrice, SelfTradePrevention,
    Side, Ticks, TimeInForce,
};
use sp_core::{sr25519, Pair};
use sp_runtime::{generic::SignedPayload, MultiAddress, MultiSignature, OpaqueExtrinsic};
use sp_state_machine::BasicExternalities;
use std::{collections::VecDeque, thread};

/// The chain's token that everybody is given.
const TOKENS: u128 = 1_000_000 * UNIT;

/// Somebody with a key.
pub struct Trader {
    pair: sr25519::Pair,
    /// The account.
    pub account: AccountId,
    nonce: u32,
    next_client: ClientId,
}

impl Trader {
    /// The first margin account.
    pub fn margin(&self) -> AccountRef<AccountId> {
        AccountRef::new(self.account.clone(), 0)
    }

    /// A client id not used before.
    pub fn client_id(&mut self) -> ClientId {
        self.next_client += 1;
        self.next_client
    }

    /// So many, one after the other; the first of them.
    pub fn client_ids(&mut self, many: usize) -> ClientId {
        let first = self.next_client + 1;
        self.next_client += many as ClientId;
        first
    }

    /// An order with a client id of its own.
    pub fn order(&mut self, market: MarketId, side: Side, lots: Lots, ticks: Ticks) -> NewOrder {
        NewOrder {
            market,
            client_id: self.client_id(),
            side,
            lots,
            price: OrderPrice::Limit(ticks),
            time_in_force: TimeInForce::GoodTilCancelled,
            reduce_only: false,
            self_trade_prevention: SelfTradePrevention::CancelNewest,
        }
    }
}

/// The call that operates on the first margin account.
pub fn submit(operations: Vec<Operation>) -> RuntimeCall {
    let operations = operations.try_into().expect("at most 64");
    pallet_order_book::Call::<Runtime>::submit { sub: 0, operations }.into()
}

/// As many as one likes, all different.
pub struct Traders {
    /// They.
    pub all: Vec<Trader>,
    genesis: Hash,
}

impl Traders {
    /// `count` of them on the chain that begins with `genesis`. Those of another `purpose` are others.
    pub fn new(purpose: &str, count: u32, genesis: Hash) -> Self {
        let all = in_parallel((0..count).collect(), |numbers| {
            let trader = |number| {
                let pair = sr25519::Pair::from_seed(&secret(purpose, number));
                Trader {
                    account: pair.public().into(),
                    pair,
                    nonce: 0,
                    next_client: 0,
                }
            };
            numbers.into_iter().map(trader).collect()
        });
        Self { all, genesis }
    }

    /// Gives everybody tokens and, if `dollars` are not zero, a margin account with as many. Runs natively.
    pub fn fund(&self, dollars: u64) {
        let amount = u128::from(dollars) * 1_000_000;
        for Trader { account, .. } in &self.all {
            Balances::mint_into(account, TOKENS).expect("there is room");
            if amount > 0 {
                Assets::mint_into(USDC, account, amount).expect("the asset exists");
                let origin = RawOrigin::Signed(account.clone()).into();
                Margin::deposit(origin, 0, USDC, amount).expect("the wallet has it");
            }
        }
        System::reset_events();
    }

    /// Signs `calls` of numbered traders, each with its trader's next nonce.
    pub fn sign(&mut self, calls: Vec<(usize, RuntimeCall)>) -> VecDeque<OpaqueExtrinsic> {
        let mut jobs = Vec::new();
        for (number, call) in calls {
            let trader = &mut self.all[number];
            jobs.push((trader.pair.clone(), trader.nonce, call));
            trader.nonce += 1;
        }
        let genesis = self.genesis;
        in_parallel(jobs, |jobs| {
            BasicExternalities::execute_with_storage(&mut signing(genesis), || {
                jobs.into_iter()
                    .map(|(pair, nonce, call)| signed(&pair, nonce, call))
                    .collect()
            })
        })
        .into()
    }
}

fn signed(pair: &sr25519::Pair, nonce: u32, call: RuntimeCall) -> OpaqueExtrinsic {
    type Any = pallet_price_oracle::Call<Runtime>;
    let mut extension = <Runtime as CreateAuthorizedTransaction<Any>>::create_extension();
    extension.6 = frame_system::CheckNonce::from(nonce);
    let payload = SignedPayload::new(call, extension).expect("the genesis is known");
    let signature = payload.using_encoded(|bytes| pair.sign(bytes));
    let (call, extension, _) = payload.deconstruct();
    let signer = MultiAddress::Id(pair.public().into());
    let signature = MultiSignature::Sr25519(signature);
    let extrinsic = UncheckedExtrinsic::new_signed(call, signer, signature, extension);
    opaque(&extrinsic)
}

/// Does the work in two halves at once.
fn in_parallel<T: Send, R: Send>(
    mut work: Vec<T>,
    act: impl Fn(Vec<T>) -> Vec<R> + Sync,
) -> Vec<R> {
    let second = work.split_off(work.len() / 2);
    thread::scope(|scope| {
        let other = scope.spawn(|| act(second));
        let mut done = act(work);
        done.extend(other.join().expect("it does not panic"));
        done
    })
}
