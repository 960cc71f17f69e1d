//! Stateful fuzzing of the whole chain: random steps, biased to edges, of everything that can happen to ledger, book, clearing and
//! liquidation, on the real runtime. The equalities are checked after every step, by sums of the harness's own over one reading of the accounts;
//! every pallet's own checks, which read all of its storage, after every few closes. Contracts that expire are settled here once more, from
//! prices alone.
//!
//! A case is decided by its seed. One that fails is shrunk, and printed as data, to be kept in [`kept`] with its repair:
//! seeds mean something else once the generator changes.
//!
//! `NOVATE_STEPS` steps (`make fuzz STEPS=n`), in cases from `NOVATE_SEED` on.

mod calls;
mod coverage;
mod expiry;
mod faults;
mod generate;
mod govern;
mod holds;
mod kept;
mod sights;
mod step;
mod world;

use crate::common::*;
use coverage::unseen;
use faults::{Found, FAULTS};
use frame_support::storage::{with_transaction, TransactionOutcome};
use generate::Generator;
use novate_runtime::configs::exchange::{USDC, USDT};
use novate_types::{Anchor, Direction, Side};
use sp_runtime::DispatchError;
use std::{
    cell::Cell,
    sync::{
        atomic::{AtomicU64, Ordering},
        Mutex, Once,
    },
    time::Instant,
};
use step::{Amount, Level, Life, Moment, Move, Op, Scene, Shown, Size, Step, Terms, Wait};
use world::{run, Failure, Tally};

/// Steps of one case.
const CASE: u64 = 2_500;
/// Everything is checked after each so many closes, the equalities after every step.
const EVERY: u32 = 4;
/// Cases tried at most to make one that fails smaller.
const TRIES: u32 = 600;

// ---------------------------------------------------------------------------------------------------------------------
// Shrinking
// ---------------------------------------------------------------------------------------------------------------------

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `act` without reports of its panics.
fn quietly<R>(act: impl FnOnce() -> R) -> R {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                report(info);
            }
        }));
    });
    QUIET.set(true);
    let done = act();
    QUIET.set(false);
    done
}

/// What a reason says, without its numbers.
fn kind(why: &str) -> String {
    why.chars()
        .filter(|c| !c.is_ascii_digit())
        .take(60)
        .collect()
}

/// A case that fails, while it is made smaller.
struct Shrinking {
    scene: Scene,
    steps: Vec<Step>,
    failure: Failure,
    tries: u32,
}

impl Shrinking {
    /// Tries other steps, and keeps them if they fail for the same reason.
    fn keeps(&mut self, tried: Vec<Step>) -> bool {
        self.tries += 1;
        let (_, ended) = quietly(|| run(self.scene, &tried, 1));
        match ended {
            Err(failure) if kind(&failure.why) == kind(&self.failure.why) => {
                self.steps = tried;
                self.steps.truncate(failure.at + 1);
                self.failure = failure;
                true
            }
            _ => false,
        }
    }

    fn may_try(&self) -> bool {
        self.tries < TRIES
    }

    /// Leaves out chunks of `size` steps, the last first.
    fn leave_out(&mut self, size: usize) {
        let mut end = self.steps.len();
        while end > 0 && self.may_try() {
            let from = end.saturating_sub(size);
            let mut tried = self.steps.clone();
            tried.drain(from..end);
            if !tried.is_empty() {
                self.keeps(tried);
            }
            end = from.min(self.steps.len());
        }
    }

    /// Leaves out operations of the extrinsic at a step.
    fn thin_out(&mut self, at: usize) {
        let mut op = 0;
        while self.may_try() {
            let mut tried = self.steps.clone();
            match tried.get_mut(at) {
                Some(Step::Orders(_, ops)) if ops.len() > 1 && op < ops.len() => ops.remove(op),
                _ => return,
            };
            if !self.keeps(tried) {
                op += 1;
            }
        }
    }
}

/// The smallest case found that fails for the same reason: chunks of steps are left out, then operations of extrinsics.
fn shrink(scene: Scene, mut steps: Vec<Step>, failure: Failure) -> (Vec<Step>, Failure) {
    steps.truncate(failure.at + 1);
    let mut size = steps.len().div_ceil(2);
    let mut least = Shrinking {
        scene,
        steps,
        failure,
        tries: 0,
    };
    while size > 0 {
        least.leave_out(size);
        size /= 2;
    }
    for at in (0..least.steps.len()).rev() {
        least.thin_out(at);
    }
    (least.steps, least.failure)
}

/// A case as [`kept`] holds it.
fn as_code(scene: Scene, steps: &[Step]) -> String {
    let steps: Vec<_> = steps
        .iter()
        .map(|step| format!("        {},\n", format!("{step:?}").replace('[', "vec![")))
        .collect();
    format!(
        "    scene: {scene:?},\n    steps: || vec![\n{}    ],",
        steps.concat()
    )
}

// ---------------------------------------------------------------------------------------------------------------------
// Many cases
// ---------------------------------------------------------------------------------------------------------------------

/// Runs the cases of seeds from `first` on, one after another on every processor, and stops at a failure.
fn cases(first: u64, many: u64) -> (Tally, Option<(u64, Failure)>) {
    let next = AtomicU64::new(first);
    let done = Mutex::new((Tally::new(), None::<(u64, Failure)>));
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= first + many {
            break;
        }
        let (scene, steps) = Generator::case(seed, CASE);
        let (mut tally, ended) = run(scene, &steps, EVERY);
        tally.insert("steps".into(), steps.iter().map(Step::count).sum());
        let mut done = done.lock().expect("no thread panics with it");
        for (what, count) in tally {
            *done.0.entry(what).or_default() += count;
        }
        if let Err(failure) = ended {
            next.store(first + many, Ordering::Relaxed);
            // Whichever thread is first: the same seed is reported again.
            if done.1.as_ref().is_none_or(|(known, _)| seed < *known) {
                done.1 = Some((seed, failure));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.min(many) {
            scope.spawn(work);
        }
    });
    done.into_inner().expect("no thread panicked with it")
}

#[test]
fn nothing_breaks_when_anything_happens() {
    let (wanted, first) = (
        configured("NOVATE_STEPS", 100_000),
        configured("NOVATE_SEED", 1),
    );
    let (many, began) = (wanted.div_ceil(CASE).max(1), Instant::now());
    let (tally, failed) = cases(first, many);
    if let Some((seed, failure)) = failed {
        let (scene, steps) = Generator::case(seed, CASE);
        let (least, shrunk) = shrink(scene, steps, failure.clone());
        panic!(
            "seed {seed}, step {}: {}\n{} steps are enough: {}\nKept {{\n{}\n}}",
            failure.at,
            failure.why,
            least.len(),
            shrunk.why,
            as_code(scene, &least),
        );
    }
    let (steps, seconds) = (tally["steps"], began.elapsed().as_secs_f64());
    println!("{tally:#?}");
    println!(
        "novate-fuzz: seeds={first}..{} steps={steps} fills={} seconds={seconds:.0} steps_a_second={:.0} failures=0",
        first + many,
        tally["fills"],
        steps as f64 / seconds,
    );
    let unseen = unseen(&tally);
    println!("never: {unseen:#?}");
    if wanted >= SHORT {
        for what in EXPECTED {
            assert!(tally.contains_key(*what), "never: {what}");
        }
    }
    if wanted >= LONG {
        assert_eq!(unseen, [""; 0], "never in {steps} steps");
    }
}

/// Steps of a run that does what is usual.
const SHORT: u64 = 100_000;
/// Steps of a run that does everything, see [`coverage`].
const LONG: u64 = 500_000;

/// What a run of some length that does not do it does not try.
const EXPECTED: &[&str] = &[
    "did Place",
    "did PlaceTrigger",
    "did PlaceIceberg",
    "did PlacePair",
    "did PlaceTwap",
    "did PlacePegged",
    "did Amend",
    "did Cancel",
    "fills",
    "iceberg showed more",
    "left OtherExecuted",
    "margined by scan",
    "liquidated by scan",
    "slice came in",
    "trigger fired",
    "TWAP ended",
    "called Clearing.supply",
    "called Clearing.borrow",
    "called Oracle.observe_surface",
    "Clearing.AuctionCalled",
    "Clearing.Executed",
    "Clearing.Settled",
    "Clearing.StatusChanged",
    "Clearing.Uncrossed",
    "Instruments.MarketDelisted",
    "Liquidation.LiquidationStarted",
    "Liquidation.OrdersCancelled",
    "Liquidation.LiquidationOrderPlaced",
    "Liquidation.CompetitionStarted",
    "Liquidation.BidFilled",
    "Liquidation.CompetitionEnded",
    "Liquidation.TakenOver",
    "Liquidation.TakeoverRefused",
    "Liquidation.InsurancePaid",
    "Liquidation.Deleveraged",
    "Liquidation.Recovered",
    "Liquidation.SharesBought",
    "Liquidation.SharesSettled",
    "Margin.Supplied",
    "Oracle.SurfaceRenewed",
];

// ---------------------------------------------------------------------------------------------------------------------
// Whether it finds anything
// ---------------------------------------------------------------------------------------------------------------------

fn terms(side: Side, level: Level, life: Life, client: u8) -> Terms {
    Terms {
        market: BTC_PERP,
        side,
        size: Size::Exactly(1_000),
        level,
        life,
        reduce_only: false,
        oldest: false,
        client,
    }
}

/// Positions, collateral, a loan, resting orders, one that expires, a trigger, one arrangement of each kind, a surface, a volatility, shares of
/// the vault; and in the present block an order and requests.
fn rich() -> Vec<Step> {
    use Life::{Blocks, GoodTilCancelled, ImmediateOrCancel, PostOnly};
    let place = |side, level, life, client| Op::Place(terms(side, level, life, client));
    let stop = Wait {
        direction: Direction::Down,
        level: Level::Mark(-900),
        expires: Some(40),
    };
    let sell = terms(Side::Ask, Level::Market, ImmediateOrCancel, 4);
    let shown = terms(Side::Ask, Level::Mark(60), GoodTilCancelled, 6);
    let profit = terms(Side::Ask, Level::Mark(80), GoodTilCancelled, 7);
    let patient = terms(Side::Bid, Level::Mark(-300), ImmediateOrCancel, 9);
    let followed = terms(Side::Bid, Level::Mark(0), PostOnly, 10);
    vec![
        Step::BuyShares(8, Amount::Exactly(50_000_000)),
        Step::Supply(6, Amount::Exactly(5_000_000_000)),
        Step::Close(3_600_000),
        Step::Borrow(10, Amount::Held(100_000_000)),
        Step::Hour,
        Step::Close(1_000),
        Step::Orders(
            2,
            vec![place(Side::Bid, Level::Mark(0), GoodTilCancelled, 1)],
        ),
        Step::Orders(
            4,
            vec![place(Side::Ask, Level::Mark(0), GoodTilCancelled, 1)],
        ),
        Step::Close(1_000),
        Step::Orders(
            2,
            vec![
                place(Side::Bid, Level::Mark(-20), PostOnly, 2),
                place(Side::Bid, Level::Mark(-30), Blocks(50), 3),
                Op::Arm(sell, stop),
            ],
        ),
        Step::Orders(
            8,
            vec![
                Op::Iceberg(shown, Shown::Part(10)),
                Op::Pair(profit, None, Terms { client: 8, ..sell }, stop),
                Op::Twap(patient, 5, 100),
                Op::Peg(followed, Anchor::Mark, -10),
            ],
        ),
        Step::Close(1_000),
        Step::Price(Move::By(-500)),
        Step::Close(1_000),
        Step::Orders(6, vec![place(Side::Ask, Level::Mark(40), PostOnly, 5)]),
        Step::Withdraw(8, USDC, Amount::Exactly(1)),
        Step::Deposit(8, USDT, Amount::Exactly(1)),
        Step::BuyShares(6, Amount::Exactly(10_000_000)),
    ]
}

#[test]
fn every_error_is_found_by_name_when_it_is_put_into_storage() {
    let mut chain = world::after(Scene::Crowded, &rich());
    chain.execute_with(|| {
        assert_eq!(holds::sound(), Ok(()));
        for fault in FAULTS {
            if matches!(fault.found, Found::Expiry(_)) {
                continue;
            }
            let said = with_transaction(|| {
                fault.inject();
                let said = (holds::holds().map(|_| ()), holds::sound());
                TransactionOutcome::Rollback(Ok::<_, DispatchError>(said))
            });
            let (at_once, sound) = said.expect("no transaction is too deep");
            let says = |said: &Result<(), String>, found: Option<&str>| match (said, found) {
                (Ok(()), None) => true,
                (Err(why), Some(found)) => why.starts_with(found),
                _ => false,
            };
            let (first, then) = match fault.found {
                Found::Equality(what) => (Some(what), Some(what)),
                Found::AtOnce(first, then) => (Some(first), then),
                Found::Sound(what) => (None, Some(what)),
                Found::Close(_) | Found::Expiry(_) => (None, None),
            };
            assert!(says(&at_once, first), "{}: {at_once:?}", fault.name);
            assert!(says(&sound, then), "{}: {sound:?}", fault.name);
        }
        assert_eq!(holds::sound(), Ok(()));
    });
}

#[test]
fn error_is_found_at_its_step_and_shrunk_to_it_when_it_hides_in_a_long_case() {
    let (scene, mut steps) = Generator::case(7, 120);
    steps.truncate(120);
    let at = steps.len() * 3 / 4;
    // A quantum of cash more.
    steps.insert(at, Step::Break(2));
    let (_, ended) = run(scene, &steps, EVERY);
    let failure = ended.expect_err("it was found");
    assert_eq!(failure.at, at);
    assert!(failure.why.starts_with("equality 2"), "{}", failure.why);
    let (least, shrunk) = shrink(scene, steps, failure);
    assert_eq!(least, [Step::Break(2)]);
    assert_eq!(shrunk.at, 0);
}

/// What a close leaves is looked at as a whole, no matter that the equalities hold.
#[test]
fn error_is_found_by_the_next_close_when_no_equality_says_it() {
    let open_interest = FAULTS
        .iter()
        .position(|f| f.name == "a lot of open interest more");
    let mut steps = rich();
    steps.push(Step::Break(open_interest.expect("it is one of them")));
    steps.push(Step::Close(1_000));
    let (_, ended) = run(Scene::Crowded, &steps, 1);
    let failure = ended.expect_err("it was found");
    assert_eq!(failure.at, steps.len() - 1);
    assert!(failure.why.contains("open interest"), "{}", failure.why);
}

/// What a close does is measured by what was there before it and by its own events.
#[test]
fn error_is_found_by_the_next_close_when_storage_does_not_say_it() {
    let mut found = 0;
    for (at, fault) in FAULTS.iter().enumerate() {
        let Found::Close(what) = fault.found else {
            continue;
        };
        let mut steps = rich();
        steps.extend([Step::Break(at), Step::Close(1_000)]);
        let (_, ended) = run(Scene::Crowded, &steps, 1);
        let failure = ended.expect_err(fault.name);
        assert_eq!(failure.at, steps.len() - 1, "{}", fault.name);
        let why = &failure.why;
        assert!(why.contains(what), "{}: {why}", fault.name);
        found += 1;
    }
    assert!(found > 3);
}

/// A future of hours, in the middle of the mean that it settles at.
fn expiring() -> Vec<Step> {
    let mut steps = rich();
    steps.push(Step::Until(Moment::Mean, 0));
    steps.extend((0..20).map(|_| Step::Close(60_000)));
    steps
}

#[test]
fn contracts_settle_when_nothing_is_wrong_with_them() {
    let mut steps = expiring();
    steps.extend([
        Step::Until(Moment::Expiry, 0),
        Step::Close(1_000),
        Step::Close(1_000),
        Step::Close(1_000),
        Step::Close(1_000),
    ]);
    let (tally, ended) = run(Scene::Crowded, &steps, 1);
    assert_eq!(ended, Ok(()));
    // The future, the call and the put of that expiry.
    assert_eq!(tally["Clearing.Settled"], 3);
    assert!(tally.contains_key("Oracle.SurfaceRenewed"));
}

/// What a contract comes to is reckoned here from prices alone.
#[test]
fn error_is_found_when_a_contract_settles_that_it_is_put_into() {
    let mut found = 0;
    for (at, fault) in FAULTS.iter().enumerate() {
        let Found::Expiry(what) = fault.found else {
            continue;
        };
        let mut steps = expiring();
        steps.extend([
            Step::Break(at),
            Step::Until(Moment::Expiry, 0),
            Step::Close(1_000),
            Step::Close(1_000),
            Step::Close(1_000),
            Step::Close(1_000),
        ]);
        let (_, ended) = run(Scene::Crowded, &steps, 1);
        let failure = ended.expect_err(fault.name);
        let why = &failure.why;
        assert!(why.contains(what), "{}: {why}", fault.name);
        found += 1;
    }
    assert!(found > 1);
}

/// Kinds of events and calls are the types' own: one that nobody thought of is missed by name.
#[test]
fn every_kind_is_asked_for_when_nothing_was_seen() {
    let all = unseen(&Tally::new());
    for what in EXPECTED.iter().filter(|what| **what != "fills") {
        let is_reason = what.starts_with("left ");
        assert!(is_reason || all.iter().any(|name| name == what), "{what}");
    }
    assert!(all.len() > 100, "{}", all.len());
    let seen: Tally = all.iter().map(|name| (name.clone(), 1)).collect();
    assert_eq!(unseen(&seen), [""; 0]);
}

/// One account of the chain's life: options, expiries and crashes, ten thousand steps without a new beginning.
#[test]
fn books_balance_through_ten_thousand_steps_of_one_case() {
    let (scene, steps) = Generator::case(10_000, 10_000);
    let (tally, ended) = run(scene, &steps, EVERY);
    assert_eq!(ended, Ok(()));
    assert!(steps.iter().map(Step::count).sum::<u64>() >= 10_000);
    for what in [
        "Clearing.Settled",
        "Liquidation.LiquidationStarted",
        "Liquidation.InsurancePaid",
        "Oracle.SurfaceRenewed",
    ] {
        assert!(tally.contains_key(what), "never: {what}");
    }
}

#[test]
fn same_things_happen_when_a_case_is_run_again() {
    let (scene, steps) = Generator::case(11, 300);
    assert_eq!(Generator::case(11, 300), (scene, steps.clone()));
    assert_eq!(run(scene, &steps, EVERY), run(scene, &steps, EVERY));
}

#[test]
fn nothing_breaks_any_more_when_a_case_that_did_is_run_again() {
    for case in kept::KEPT {
        let (_, ended) = run(case.scene, &(case.steps)(), 1);
        assert_eq!(ended, Ok(()), "{}", case.what);
    }
}
