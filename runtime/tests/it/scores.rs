//! The oracle's scores on the real runtime: sessions turn them, and the API tells them. What scores a validator is tested with
//! the oracle pallet.

use crate::common::*;
use novate_runtime::{queries::oracle_scores, RuntimeEvent, System, HOURS};
use novate_types::{OracleScore, ValidatorScore, Verdict};
use pallet_price_oracle::Event;

/// The one validator, with so many rounds of which it missed some.
fn alice(rounds: u32, missed: u32) -> Vec<ValidatorScore<novate_runtime::AccountId>> {
    vec![ValidatorScore {
        validator: Alice.to_account_id(),
        score: OracleScore {
            rounds,
            missed,
            ..OracleScore::default()
        },
        verdict: Verdict::Good,
    }]
}

#[test]
fn era_ends_with_its_sixth_session_and_the_api_tells_what_it_came_to() {
    opened_at(usd(20_000)).execute_with(|| {
        let opened = System::block_number();
        // An observation counts for six seconds.
        for _ in 0..8 {
            begin(1_000);
            end();
        }
        let scores = oracle_scores();
        assert_eq!(scores.running.era, 0);
        assert_eq!(scores.running.scores, alice(opened + 8, 2));
        assert!(scores.kept.is_empty());

        for session in 1..=6 {
            begin_at(session * HOURS, 1_000);
            observe(usd(20_000));
            end();
        }
        // From block 1 to the one before the seventh session.
        let era = alice(6 * HOURS - 1, 2);
        let ended: Vec<_> = events()
            .into_iter()
            .filter_map(|event| match event {
                RuntimeEvent::Oracle(Event::EraEnded { era, scores }) => Some((era, scores)),
                _ => None,
            })
            .collect();
        assert_eq!(ended, [(0, era.clone())]);
        let scores = oracle_scores();
        assert_eq!((scores.running.era, scores.kept.len()), (1, 1));
        assert_eq!(scores.running.scores, alice(1, 0));
        assert_eq!(scores.kept[0].scores, era);
        novate_runtime::Oracle::do_try_state().unwrap();
    });
}
