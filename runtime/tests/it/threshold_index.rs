//! The threshold index never misses an account that an exhaustive scan finds: after every close each account is assessed, and
//! whoever is below maintenance margin at fresh prices stands in the queue. A jump, such as over a halt, may cross more than a calm close
//! looks at: then the close says that thresholds wait, and the next one finds everybody.
//!
//! `PROPTEST_CASES` runs of each kind, `NOVATE_BLOCKS` blocks each, or one run of `NOVATE_SEED`.

use crate::common::{crowd::*, *};
use novate_runtime::configs::exchange::RiskRules;
use novate_runtime::{Runtime, System};
use novate_types::{Operation, RiskModel, RiskTier};

/// Scans every account. `late` are those that the last close did not look at; returns those of this one.
fn scan(late: &[Account]) -> Vec<Account> {
    let view = view();
    let mut missed = Vec::new();
    for (of, account) in accounts() {
        let assessed = RiskRules::assess(&account, &view).expect("every account can be assessed");
        let is_queued = pallet_liquidation::Queue::<Runtime>::contains_key(&of);
        if is_queued || !assessed.fresh || !assessed.is_below_maintenance() {
            continue;
        }
        let presses = pallet_liquidation::Allowance::<Runtime>::exists();
        assert!(
            presses && !late.contains(&of),
            "block {}: {of:?} is missed (pressing: {presses}, late: {late:?}): {assessed:?}, {account:?}",
            view.block
        );
        missed.push(of);
    }
    missed
}

fn run(climate: Climate, offset: u64, expects_liquidations: bool) {
    let mut remedies = 0;
    for seed in seeds(2) {
        let (mut run, mut chain) = Run::new(seed + offset, climate);
        let mut late = Vec::new();
        for _ in 0..configured("NOVATE_BLOCKS", 150) {
            chain.execute_with(|| {
                run.block(|| ());
                late = scan(&late);
            });
            chain.commit_all().unwrap();
        }
        chain.execute_with(equalities);
        println!("{:#?}", run.tally);
        assert!(run.tally.fills > 300);
        remedies += run.tally.remedies.values().sum::<u64>();
    }
    assert!(
        !expects_liquidations || remedies > 5,
        "only {remedies} remedies"
    );
}

#[test]
fn index_misses_nobody_when_prices_crash() {
    run(Climate::ROUGH, 100, true);
}

#[test]
fn index_misses_nobody_when_prices_drift() {
    run(Climate::FAIR, 200, true);
}

#[test]
fn index_misses_nobody_when_only_fees_and_funding_eat_equity() {
    run(Climate::STILL, 300, false);
}

/// Accounts at all distances from their maintenance margin, and nothing but time: funding alone brings them down one by one.
#[test]
fn index_finds_everybody_when_funding_alone_drains_them() {
    opened_at(usd(20_000)).execute_with(|| {
        // A large bid 3.4 % above the index holds the premium up as long as nobody sells into it.
        let price = usd(20_000);
        block(price, || {
            deposit(Dave, 1_000_000);
            deposit(Ferdie, 1_000_000);
            for sub in 0..60u8 {
                deposit_into(Charlie, sub, 1, 1_000_000 * (330 + 7 * u128::from(sub))).unwrap();
            }
        });
        block(price, || ask(Dave, 60 * 5_000, ticks(20_000)).unwrap());
        for batch in 0..6u8 {
            block(price, || {
                for sub in batch * 10..batch * 10 + 10 {
                    let _ = place_sub(
                        Charlie,
                        sub,
                        order(novate_types::Side::Bid, 5_000, ticks(20_000)),
                    );
                }
            });
        }
        let long = accounts()
            .iter()
            .filter(|(_, account)| account.lots(BTC_PERP) > 0)
            .count();
        assert!(long > 20, "only {long} could buy");
        block(price, || {
            operate(Dave, 0, vec![Operation::CancelAll { market: None }]).unwrap();
        });
        block(price, || bid(Ferdie, 100_000, ticks(20_300)).unwrap());
        let price = usd(19_620);
        let mut found = 0;
        for _ in 0..configured("NOVATE_BLOCKS", 150) {
            begin(60_000);
            observe(price);
            end();
            found += liquidations()
                .iter()
                .filter(|e| matches!(e, pallet_liquidation::Event::LiquidationStarted { .. }))
                .count();
            assert!(!liquidations()
                .iter()
                .any(|e| matches!(e, pallet_liquidation::Event::FoundBySweep { .. })));
            assert!(scan(&[]).is_empty());
        }
        println!(
            "{long} longs, {found} found, index {}",
            market().funding_index >> 32
        );
        assert!(found > 3, "funding brought down only {found}");
        equalities();
    });
}

/// A maintenance margin that governance raises lowers everybody's slack at once, and no threshold was drawn for it: it comes
/// into force only after a sweep, and the next closes find whom it puts below.
#[test]
fn index_finds_everybody_when_governance_raises_maintenance_margin() {
    let (mut run, mut chain) = Run::new(77, Climate::FAIR);
    for _ in 0..60 {
        chain.execute_with(|| run.block(|| ()));
        chain.commit_all().unwrap();
    }
    chain.execute_with(|| {
        let price = run.price();
        let tier = pallet_instruments::Tiers::<Runtime>::get(0).unwrap();
        let raised = RiskTier {
            mmf: 37_000,
            imf: 55_000,
            ..tier
        };
        block(price, || {
            govern(pallet_instruments::Call::schedule_tier_change {
                tier: 0,
                new_value: raised,
            })
            .unwrap()
        });
        // A day of blocks, of which nobody sees more than the last hour.
        let due = System::block_number() + novate_runtime::DAYS;
        begin_at(due, 1_000);
        observe(price);
        end();
        let mut blocks_after = None;
        for number in 0..60 {
            begin(1_000);
            observe(price);
            end();
            if market().mmf == 37_000 {
                let since = *blocks_after.get_or_insert(number);
                // Every account is swept within accounts / 8 closes.
                if number > since + 6 {
                    assert!(scan(&[]).is_empty());
                }
            }
        }
        assert!(blocks_after.is_some(), "the change never came into force");
        equalities();
    });
}
