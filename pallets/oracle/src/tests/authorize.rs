//! Who may observe what, and when.

use crate::{mock::*, types::*, Observations, Observers};
use codec::Encode;
use frame_support::{assert_noop, dispatch::GetDispatchInfo, traits::Get};
use sp_runtime::{
    transaction_validity::{InvalidTransaction, TransactionValidityError},
    DispatchError, RuntimeAppPublic,
};

fn refuses(signed: (Observation, crate::crypto::AuthoritySignature), why: InvalidTransaction) {
    assert_noop!(
        apply(transaction(signed)),
        TransactionValidityError::Invalid(why)
    );
}

const PRICES: &[(u16, &str)] = &[(BTC, "20000"), (USDC, "1")];

#[test]
fn observe_records_when_everything_holds() {
    with_validators(4, |keys| {
        let signed = observe(&keys[2], 2, PRICES, |_| {});
        let valid = apply(transaction(signed.clone())).unwrap();
        assert_eq!(Observations::<Test>::get(2), Some(signed.0));
        assert_eq!(
            valid.provides,
            vec![("NovateOracle", (2u32, BLOCK - 1)).encode()]
        );
        assert!(valid.requires.is_empty() && valid.propagate);
        assert!(valid.longevity <= 10);
    });
}

#[test]
fn observe_replaces_the_last_when_the_round_is_newer() {
    with_validators(1, |keys| {
        apply(transaction(observe(&keys[0], 0, PRICES, |o| {
            o.round = BLOCK - 2
        })))
        .unwrap();
        let newer = observe(&keys[0], 0, &[(BTC, "20100")], |_| {});
        apply(transaction(newer.clone())).unwrap();
        assert_eq!(Observations::<Test>::get(0), Some(newer.0));
        assert_eq!(Observations::<Test>::iter().count(), 1);
    });
}

#[test]
fn observe_is_refused_when_an_account_signs_it() {
    with_validators(1, |keys| {
        let (observation, signature) = observe(&keys[0], 0, PRICES, |_| {});
        for origin in [
            RuntimeOrigin::signed(1),
            RuntimeOrigin::root(),
            RuntimeOrigin::none(),
        ] {
            assert_noop!(
                Oracle::observe(origin, observation.clone(), signature.clone()),
                DispatchError::BadOrigin
            );
        }
    });
}

#[test]
fn observe_is_refused_when_the_validator_is_unknown() {
    with_validators(2, |keys| {
        refuses(
            observe(&keys[0], 2, PRICES, |_| {}),
            InvalidTransaction::BadSigner,
        );
        refuses(
            observe(&keys[0], u32::MAX, PRICES, |_| {}),
            InvalidTransaction::BadSigner,
        );
    });
}

#[test]
fn observe_is_refused_when_the_key_is_not_the_validators() {
    with_validators(2, |keys| {
        refuses(
            observe(&keys[1], 0, PRICES, |_| {}),
            InvalidTransaction::BadProof,
        );
        let stranger = generate("//Mallory");
        refuses(
            observe(&stranger, 0, PRICES, |_| {}),
            InvalidTransaction::BadProof,
        );
    });
}

#[test]
fn observe_is_refused_when_anything_signed_was_changed() {
    with_validators(1, |keys| {
        let (observation, signature) = observe(&keys[0], 0, PRICES, |_| {});
        let changes: [fn(&mut Observation); 4] = [
            |o| o.round -= 1,
            |o| o.observed_at += 1,
            |o| o.prices[0].price = price("20001"),
            |o| o.prices[1].confidence = price("2"),
        ];
        for change in changes {
            let mut changed = observation.clone();
            change(&mut changed);
            refuses((changed, signature.clone()), InvalidTransaction::BadProof);
        }
        apply(transaction((observation, signature))).unwrap();
    });
}

#[test]
fn observe_is_refused_when_it_was_signed_for_another_chain() {
    with_validators(1, |keys| {
        let (observation, _) = observe(&keys[0], 0, PRICES, |_| {});
        let genesis = System::block_hash(0);
        frame_system::BlockHash::<Test>::insert(0, sp_core::H256::repeat_byte(7));
        let set = Observers::<Test>::get().id;
        let foreign = keys[0].sign(&Oracle::payload(set, &observation)).unwrap();
        frame_system::BlockHash::<Test>::insert(0, genesis);
        refuses((observation, foreign), InvalidTransaction::BadProof);
    });
}

#[test]
fn observe_is_refused_when_it_is_replayed() {
    with_validators(2, |keys| {
        let signed = observe(&keys[0], 0, PRICES, |_| {});
        apply(transaction(signed.clone())).unwrap();
        refuses(signed.clone(), InvalidTransaction::Stale);
        // Not in later blocks either, nor after the set changed and came back.
        next_block(1_000);
        refuses(signed.clone(), InvalidTransaction::Stale);
        set_validators(&keys[1..]);
        set_validators(keys);
        assert_eq!(Observations::<Test>::get(0), None);
        refuses(signed, InvalidTransaction::BadProof);
    });
}

#[test]
fn observe_is_refused_when_the_round_is_old_or_to_come() {
    with_validators(1, |keys| {
        let at = |round| observe(&keys[0], 0, PRICES, |o| o.round = round);
        refuses(at(BLOCK - 11), InvalidTransaction::Stale);
        refuses(at(0), InvalidTransaction::Stale);
        refuses(at(BLOCK + 1), InvalidTransaction::Future);
        refuses(at(u32::MAX), InvalidTransaction::Future);
        apply(transaction(at(BLOCK - 10))).unwrap();
        apply(transaction(at(BLOCK - 5))).unwrap();
        refuses(at(BLOCK - 6), InvalidTransaction::Stale);
        apply(transaction(at(BLOCK))).unwrap();
    });
}

#[test]
fn observe_is_refused_when_its_time_is_not_the_blocks() {
    with_validators(2, |keys| {
        let at = |validator: u32, time| {
            observe(&keys[validator as usize], validator, PRICES, |o| {
                o.observed_at = time
            })
        };
        for time in [NOW + 10_001, NOW - 10_001, 0, u64::MAX] {
            refuses(at(0, time), InvalidTransaction::Custom(1));
        }
        apply(transaction(at(0, NOW + 10_000))).unwrap();
        apply(transaction(at(1, NOW - 10_000))).unwrap();
    });
}

#[test]
fn observe_is_refused_when_its_prices_are_malformed() {
    with_validators(1, |keys| {
        let bad: [&[(u16, &str)]; 5] = [
            &[],
            &[(BTC, "0")],
            &[(BTC, "20000"), (BTC, "20000")],
            &[(USDC, "1"), (BTC, "20000")],
            &[(BTC, "20000"), (77, "1")],
        ];
        for prices in bad {
            refuses(
                observe(&keys[0], 0, prices, |_| {}),
                InvalidTransaction::Custom(2),
            );
        }
    });
}

#[test]
fn observe_is_weighed_with_its_authorisation_and_costs_nothing() {
    with_validators(1, |keys| {
        use crate::WeightInfo;
        let transaction = transaction(observe(&keys[0], 0, PRICES, |_| {}));
        let info = transaction.get_dispatch_info();
        assert_eq!(info.call_weight, <() as WeightInfo>::observe());
        assert_eq!(
            info.extension_weight,
            <() as WeightInfo>::authorize_observe()
        );
        assert_eq!(
            info.class,
            frame_support::dispatch::DispatchClass::Operational
        );
    });
}

#[test]
fn observers_change_with_the_session() {
    with_validators(3, |keys| {
        observe_all(keys, BTC, &["1", "2", "3"]);
        let set = Observers::<Test>::get();
        // The same keys again: nothing happens.
        set_validators(keys);
        assert_eq!(Observers::<Test>::get(), set);
        assert_eq!(Observations::<Test>::iter().count(), 3);
        // Two of them change places: an index no longer means the same validator.
        set_validators(&[keys[1].clone(), keys[0].clone(), keys[2].clone()]);
        assert_eq!(Observers::<Test>::get().id, set.id + 1);
        assert_eq!(Observations::<Test>::iter().count(), 0);
    });
}

#[test]
fn observers_are_cut_to_the_bound_when_the_session_is_larger() {
    with_validators(1, |_| {
        let bound = <<Test as crate::Config>::MaxValidators as Get<u32>>::get();
        let keys: Vec<_> = (0..bound + 3)
            .map(|i| generate(&format!("//Many{i}")))
            .collect();
        set_validators(&keys);
        assert_eq!(Observers::<Test>::get().keys[..], keys[..bound as usize]);
    });
}
