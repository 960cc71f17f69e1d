//! Random blocks: whatever is traded, moved and repriced, the three equalities hold after every close
//! (`mock::close` asserts them), and no match leaves an account that the check would not pass.

use crate::{mock::*, Event, View, MAX_ROUNDS};
use novate_risk::{passes_check, Linear};
use novate_types::{LiquidationOrder, RiskModel, Side};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Place {
        owner: u64,
        bid: bool,
        offset: i64,
        lots: u64,
    },
    Reduce {
        owner: u64,
        offset: i64,
        lots: u64,
    },
    Liquidate {
        owner: u64,
        offset: i64,
        lots: u64,
    },
    Withdraw {
        owner: u64,
        amount: u128,
    },
    Transfer {
        owner: u64,
        to: u64,
        amount: u128,
    },
    DepositFor {
        owner: u64,
        to: u64,
        amount: u128,
    },
    Price {
        dollars: u128,
    },
    Close {
        seconds: u64,
    },
}

const OWNERS: std::ops::Range<u64> = 1..7;

fn step() -> impl Strategy<Value = Step> {
    let offset = -1_500i64..1_500;
    let amount = 1u128..3_000_000_000;
    prop_oneof![
        6 => (OWNERS, any::<bool>(), -60i64..60, 1u64..2_000)
            .prop_map(|(owner, bid, offset, lots)| Step::Place { owner, bid, offset, lots }),
        2 => (OWNERS, offset.clone(), 1u64..2_000)
            .prop_map(|(owner, offset, lots)| Step::Reduce { owner, offset, lots }),
        1 => (OWNERS, offset, 1u64..2_000)
            .prop_map(|(owner, offset, lots)| Step::Liquidate { owner, offset, lots }),
        1 => (OWNERS, amount.clone()).prop_map(|(owner, amount)| Step::Withdraw { owner, amount }),
        1 => (OWNERS, OWNERS, amount.clone())
            .prop_map(|(owner, to, amount)| Step::Transfer { owner, to, amount }),
        1 => (OWNERS, OWNERS, amount)
            .prop_map(|(owner, to, amount)| Step::DepositFor { owner, to, amount }),
        1 => (19_000u128..21_000).prop_map(|dollars| Step::Price { dollars }),
        6 => (1u64..90).prop_map(|seconds| Step::Close { seconds }),
    ]
}

fn reducing(owner: u64) -> Option<Side> {
    match lots_of(owner) {
        0 => None,
        1.. => Some(Side::Ask),
        _ => Some(Side::Bid),
    }
}

fn near_the_mark(offset: i64) -> u64 {
    let mark = novate_types::math::ticks_nearest(market_view().mark, market_view().tick_size);
    mark.unwrap().saturating_add_signed(offset)
}

fn apply(step: Step) {
    match step {
        Step::Place {
            owner,
            bid,
            offset,
            lots,
        } => {
            let side = if bid { Side::Bid } else { Side::Ask };
            place(owner, side, near_the_mark(offset), lots);
        }
        Step::Reduce {
            owner,
            offset,
            lots,
        } => {
            if let Some(side) = reducing(owner) {
                place_reduce_only(owner, side, near_the_mark(offset), lots);
            }
        }
        Step::Liquidate {
            owner,
            offset,
            lots,
        } => {
            if let Some(side) = reducing(owner) {
                let lots = lots.min(lots_of(owner).unsigned_abs());
                let limit = near_the_mark(offset);
                let account = of(owner);
                Liquidating::append(LiquidationOrder {
                    account,
                    market: BTC,
                    side,
                    lots,
                    limit,
                });
            }
        }
        Step::Withdraw { owner, amount } => {
            let _ = Clearing::withdraw(RuntimeOrigin::signed(owner), 0, USDC, amount);
        }
        Step::Transfer { owner, to, amount } => {
            let _ = Clearing::transfer(RuntimeOrigin::signed(owner), 0, of(to), USDC, amount);
        }
        Step::DepositFor { owner, to, amount } => {
            let _ = Clearing::deposit_for(RuntimeOrigin::signed(owner), of(to), USDC, amount);
        }
        Step::Price { dollars } => set_price(BTC_FEED, usd(dollars)),
        Step::Close { seconds } => {
            System::reset_events();
            next_block();
            Now::mutate(|now| *now = now.map(|now| now + (seconds - 1) * 1_000));
            // A long step leaves prices stale, so that the market halts and reopens now and then.
            if seconds < 75 {
                refresh();
            }
            let before: Vec<_> = OWNERS
                .map(|owner| Accounts::get(of(owner)).unwrap())
                .collect();
            close();
            // The last round's limits leave nothing that fails.
            let rounds = events().into_iter().filter_map(|event| match event {
                Event::CheckFailed { rounds, .. } => Some(rounds),
                _ => None,
            });
            assert!(rounds.max().unwrap_or(0) <= MAX_ROUNDS);
            for (owner, before) in OWNERS.zip(before) {
                if before.lots(BTC) == lots_of(owner) {
                    continue;
                }
                // At the marks of the match. What left or came in the same close kept margin covered.
                let before = Linear::assess(&before, &View::<Test>::get()).unwrap();
                let after = assess(owner);
                assert!(
                    passes_check(&before, &after),
                    "{owner}: {before:?} {after:?}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(48),
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn the_equalities_hold_when_blocks_are_random(
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        new_test_ext().execute_with(|| {
            for owner in OWNERS {
                deposit(owner, 2_000);
                Wallets::insert((owner, USDC), 1_000_000_000);
                Accounts::mutate(of(owner), |a| a.as_mut().unwrap().fee_tier = (owner % 2) as u8);
            }
            for step in steps {
                apply(step);
            }
        });
    }
}
