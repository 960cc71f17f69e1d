//! The validators' observations, as their workers would send them.

use codec::Encode;
use frame_system::offchain::CreateAuthorizedTransaction;
use novate_runtime::configs::exchange::BTC_FEED;
use novate_runtime::{Hash, Oracle as OraclePallet, Runtime, UncheckedExtrinsic};
use novate_types::{BlockNumber, FeedId, Millis, Price};
use pallet_price_oracle::{
    crypto::AuthorityPair,
    surface::{ObservedSmile, SurfaceObservation},
    Call, Observation, ObservedPrice,
};
use sp_core::{sr25519, Pair};
use sp_runtime::OpaqueExtrinsic;
use sp_state_machine::BasicExternalities;
use sp_storage::Storage;
use std::collections::BTreeMap;

/// A price in cents.
pub fn cents(cents: u64) -> Price {
    Price::from_inner(u128::from(cents) * 10_000_000_000_000_000)
}

/// Who observes what.
pub struct Oracle {
    validators: Vec<AuthorityPair>,
    /// Number of the validators' set.
    set: u64,
    /// Prices that all of them see; without any they send nothing.
    pub prices: BTreeMap<FeedId, Price>,
    /// Bitcoin's smiles that the first of them sees; without any it sends none.
    pub smiles: Vec<ObservedSmile>,
    /// When it last sent them.
    seen_at: Millis,
    signing: Storage,
}

/// Milliseconds after which smiles that stayed the same are sent again.
const SURFACE_HEARTBEAT: Millis = 30_000;

impl Oracle {
    /// Observers of set `set`, by their numbers in it.
    pub fn new(validators: Vec<sr25519::Pair>, set: u64, prices: BTreeMap<FeedId, Price>) -> Self {
        Self {
            validators: validators.into_iter().map(AuthorityPair::from).collect(),
            set,
            prices,
            smiles: Vec::new(),
            seen_at: 0,
            signing: Storage::default(),
        }
    }

    /// Observers of the chain that begins with `genesis`.
    pub fn on(mut self, genesis: Hash) -> Self {
        self.signing = signing(genesis);
        self
    }

    /// How many observe.
    pub fn validators(&self) -> usize {
        self.validators.len()
    }

    /// What they send into the block after `round`.
    pub fn observe(&mut self, round: BlockNumber, observed_at: Millis) -> Vec<OpaqueExtrinsic> {
        if self.prices.is_empty() {
            return Vec::new();
        }
        let prices: Vec<_> = self
            .prices
            .iter()
            .map(|(feed, price)| ObservedPrice {
                feed: *feed,
                price: *price,
                confidence: Price::from_inner(0),
            })
            .collect();
        // Either way: a chain may go back to where it was.
        let is_time = observed_at.abs_diff(self.seen_at) >= SURFACE_HEARTBEAT;
        let smiles = if self.smiles.is_empty() || !is_time {
            None
        } else {
            self.seen_at = observed_at;
            Some(SurfaceObservation {
                validator: 0,
                round,
                observed_at,
                feed: BTC_FEED,
                smiles: self.smiles.clone().try_into().expect("few expiries"),
            })
        };
        let (set, validators) = (self.set, &self.validators);
        BasicExternalities::execute_with_storage(&mut self.signing, || {
            let smiles = smiles.map(|observation| {
                let pair = &validators[0];
                let signature = pair.sign(&OraclePallet::surface_payload(set, &observation));
                authorized(Call::observe_surface {
                    observation,
                    signature,
                })
            });
            (0..)
                .zip(validators)
                .map(|(validator, pair)| {
                    let observation = Observation {
                        validator,
                        round,
                        observed_at,
                        prices: prices.clone().try_into().expect("at most 64 feeds"),
                    };
                    let signature = pair.sign(&OraclePallet::payload(set, &observation));
                    authorized(Call::observe {
                        observation,
                        signature,
                    })
                })
                .chain(smiles)
                .collect()
        })
    }
}

/// A call that no account signs.
fn authorized(call: Call<Runtime>) -> OpaqueExtrinsic {
    let extension = <Runtime as CreateAuthorizedTransaction<Call<Runtime>>>::create_extension();
    opaque(&UncheckedExtrinsic::new_transaction(call.into(), extension))
}

/// An extrinsic as clients pass it on.
pub fn opaque(extrinsic: &UncheckedExtrinsic) -> OpaqueExtrinsic {
    OpaqueExtrinsic::try_from_encoded_extrinsic(&extrinsic.encode()).expect("it is bytes")
}

/// A state that knows no more than what signatures are bound to.
pub fn signing(genesis: Hash) -> Storage {
    let mut state = Storage::default();
    BasicExternalities::execute_with_storage(&mut state, || {
        frame_system::BlockHash::<Runtime>::insert(0, genesis)
    });
    state
}
