//! Random governance, good and bad, over many blocks.

use crate::{mock::*, Pending, Subject, Tiers};
use novate_types::{
    math::is_within_step, FollowVolatility, Listing, MarketParams, MarketStatus, RiskTier, TierId,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Tier(TierId, RiskTier),
    Market(MarketParams),
    /// The tier's margins and bands by so many ppm.
    Scale(TierId, i32),
    Move(TierId),
    Fees(Vec<(i32, i32)>),
    Cancel(TierId),
    Status(MarketStatus),
    Restrict(MarketStatus),
    Cap(u64),
    /// The forecast asks for a maintenance margin fraction.
    Follow(u32),
    Blocks(u32),
}

fn status() -> impl Strategy<Value = MarketStatus> {
    prop_oneof![
        Just(MarketStatus::Open),
        Just(MarketStatus::ReduceOnly),
        Just(MarketStatus::Halted)
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0u8..3, 30_000u32..80_000, 20_000u32..45_000, 5_000u32..20_000).prop_map(
            |(id, imf, mmf, mark_band)| Op::Tier(id, RiskTier { imf, mmf, mark_band, ..tier() })
        ),
        3 => (0u8..3, 0u64..2_000_000, -500i32..500).prop_map(|(tier, open_interest_cap, interest_8h_ppm)| {
            Op::Market(MarketParams { tier, open_interest_cap, interest_8h_ppm, ..params() })
        }),
        4 => (0u8..2, -250_000i32..250_000).prop_map(|(id, by)| Op::Scale(id, by)),
        3 => (0u8..2).prop_map(Op::Move),
        2 => prop::collection::vec((-400i32..400, 0i32..800), 0..4).prop_map(Op::Fees),
        1 => (0u8..3).prop_map(Op::Cancel),
        1 => status().prop_map(Op::Status),
        1 => status().prop_map(Op::Restrict),
        1 => (0u64..2_000_000).prop_map(Op::Cap),
        3 => (0u32..150_000).prop_map(Op::Follow),
        4 => (1u32..8).prop_map(Op::Blocks),
    ]
}

/// What governance can change only slowly.
#[derive(Clone, Debug, PartialEq)]
struct Parameters {
    tiers: Vec<RiskTier>,
    market: MarketParams,
}

impl Parameters {
    /// The market's own tier.
    fn in_force(&self) -> RiskTier {
        self.tiers[usize::from(self.market.tier)]
    }
}

fn parameters() -> Parameters {
    Parameters {
        tiers: (0..2).map(|id| Tiers::<Test>::get(id).unwrap()).collect(),
        market: Instruments::market(0).unwrap().params,
    }
}

fn step(old: u32, new: u32) -> bool {
    is_within_step(old.into(), new.into(), 250_000, 1_000).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn parameters_move_at_most_one_step_a_timelock_when_governance_is_hostile(
        ops in prop::collection::vec(op(), 1..80)
    ) {
        new_test_ext().execute_with(|| {
            let root = RuntimeOrigin::root;
            let mut block = 1;
            let mut moved_at = [0u32; 2];
            // What positions in the market were held to, and since when.
            let mut held_to = vec![(0, parameters().in_force())];
            for op in ops {
                let before = parameters();
                let scheduled = Pending::<Test>::get();
                let mut capped = false;
                let mut closed = false;
                match op {
                    Op::Tier(id, new) => {
                        let _ = Instruments::schedule_tier_change(root(), id, new);
                    }
                    Op::Market(new) => {
                        let _ = Instruments::schedule_market_params(root(), 0, new);
                    }
                    Op::Scale(id, by) => {
                        let by = |x: u32| x.saturating_add_signed((i64::from(x) * i64::from(by) / 1_000_000) as i32);
                        let old = before.tiers[usize::from(id)];
                        let new = RiskTier { imf: by(old.imf), mmf: by(old.mmf), mark_band: by(old.mark_band), ..old };
                        let _ = Instruments::schedule_tier_change(root(), id, new);
                    }
                    Op::Move(tier) => {
                        let new = MarketParams { tier, ..before.market };
                        let _ = Instruments::schedule_market_params(root(), 0, new);
                    }
                    Op::Fees(new) => {
                        let _ = Instruments::schedule_fee_tiers(root(), fees(&new));
                    }
                    Op::Cancel(id) => {
                        let _ = Instruments::cancel_change(root(), Subject::Tier(id));
                    }
                    Op::Status(new) => {
                        let _ = Instruments::set_status(root(), 0, new);
                    }
                    Op::Restrict(new) => {
                        let old = Instruments::market(0).unwrap().status;
                        let done = Instruments::restrict_market(RuntimeOrigin::signed(EMERGENCY), 0, new);
                        assert_eq!(done.is_ok(), new > old);
                    }
                    Op::Cap(new) => {
                        let done =
                            Instruments::lower_open_interest_cap(RuntimeOrigin::signed(EMERGENCY), 0, new);
                        capped = done.is_ok();
                        assert_eq!(capped, new < before.market.open_interest_cap);
                    }
                    Op::Follow(asked) => Instruments::follow(&[(0, asked)]),
                    Op::Blocks(n) => {
                        block += n;
                        close(block);
                        closed = true;
                    }
                }
                let after = parameters();
                if !closed && !capped {
                    assert_eq!(before, after, "a call changed a parameter at once");
                }
                for (at, (old, new)) in before.tiers.iter().zip(&after.tiers).enumerate() {
                    if old != new {
                        assert!(step(old.imf, new.imf) && step(old.mmf, new.mmf));
                        assert!(step(old.mark_band, new.mark_band));
                        assert!(block - moved_at[at] >= TIMELOCK, "two steps within one timelock");
                        moved_at[at] = block;
                    }
                }
                let new = after.in_force();
                if held_to.last().is_some_and(|(_, old)| *old != new) {
                    held_to.push((block, new));
                    for ((_, old), (until, _)) in held_to.iter().zip(&held_to[1..]) {
                        // Until less than a timelock ago.
                        if block - until < TIMELOCK {
                            assert!(step(old.imf, new.imf) && step(old.mmf, new.mmf));
                            assert!(step(old.mark_band, new.mark_band));
                        }
                    }
                }
                if closed {
                    // What left the queue had waited its time.
                    let left = Pending::<Test>::get();
                    for gone in scheduled.iter().filter(|s| !left.contains(s)) {
                        assert!(gone.since + TIMELOCK <= block);
                    }
                }
                let lowest = |f: &dyn Fn(&novate_types::FeeTier) -> i32| {
                    Instruments::fee_tiers().iter().map(f).min().unwrap()
                };
                assert!(lowest(&|f| f.maker_ppm) + lowest(&|f| f.taker_ppm) >= 0);
                Instruments::do_try_state().unwrap();
            }
        });
    }
}
