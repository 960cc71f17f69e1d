//! The default waterfall through whole blocks: a competition that bidders share, and a gap after which every quantum of loss is somebody's.

use crate::common::{losses::*, *};
use novate_runtime::configs::exchange::RiskRules;
use novate_runtime::{configs::exchange::USDC, Runtime};
use novate_types::{Ppm, RiskModel, Side, SignedLots, Standing};
use pallet_liquidation::{Event as Liquidated, Refusal};
use sp_keyring::Sr25519Keyring;
use std::collections::BTreeMap;

/// A crowd whose open interest keeps others from being a tenth of it.
fn crowd() {
    block(usd(20_000), || {
        deposit(Sr25519Keyring::EveStash, 200_000);
        deposit(Sr25519Keyring::FerdieStash, 200_000);
        bid(Sr25519Keyring::EveStash, 100_000, ticks(20_000)).unwrap();
        ask(Sr25519Keyring::FerdieStash, 100_000, ticks(20_000)).unwrap();
    });
}

/// Bids with the first account of `taker` for that of `of`.
fn bid_for(taker: Sr25519Keyring, of: Sr25519Keyring, fraction: Ppm) {
    let call = pallet_liquidation::Call::bid {
        sub: 0,
        account: main_account(of),
        fraction,
        least_discount: 0,
    };
    submit(taker, call).expect("the bid is taken");
}

#[test]
fn bidders_share_an_account_in_competition_and_it_ends_at_its_target_when_the_market_was_not_enough(
) {
    opened_at(usd(20_000)).execute_with(|| {
        crowd();
        block(usd(20_000), || {
            for (who, dollars) in [(Bob, 10_000), (Charlie, 1_000), (Dave, 10_000), (Eve, 10_000)] {
                deposit(who, dollars);
            }
            deposit(Ferdie, 10);
            ask(Bob, 8_000, ticks(20_000)).unwrap();
            bid(Charlie, 8_000, ticks(20_000)).unwrap();
        });
        assert_eq!(held(Charlie).lots(BTC_PERP), 8_000);
        let funded = insurance();

        // 992 − 560 = 432 USD less funding against 463.20: below maintenance margin, and nobody bids in the book for five closes.
        for _ in 0..5 {
            block(usd(19_300), || ());
            assert!(fills().is_empty());
        }
        let started = |event: &Liquidated<Runtime>| {
            matches!(event, Liquidated::CompetitionStarted { account, .. } if *account == main_account(Charlie))
        };
        assert!(liquidations().iter().any(started), "{:#?}", liquidations());
        assert!(matches!(held(Charlie).standing, Standing::Competing { closes: 0, .. }));

        // The next block's bids: for all of it, for a tenth, and one that cannot carry what it asks for.
        let before = held(Charlie);
        block(usd(19_300), || {
            bid_for(Dave, Charlie, 1_000_000);
            bid_for(Eve, Charlie, 100_000);
            bid_for(Ferdie, Charlie, 1_000_000);
        });
        // In the first close nothing is given away, so what is left of 579 USD, 1.25 times maintenance margin, is sold of 579.
        let found = RiskRules::assess(&before, &view()).unwrap();
        assert_eq!(found.maintenance, 463_200_000);
        let target = 579 * USD;
        let available = ceil_div((target - found.equity) * 1_000_000, target) as Ppm;
        assert!((253_887..253_900).contains(&available), "{available}");

        let mut filled = BTreeMap::new();
        let mut dropped = Vec::new();
        for event in liquidations() {
            match event {
                Liquidated::BidFilled {
                    account,
                    taker,
                    fraction,
                    portion,
                    discount,
                    ..
                } => {
                    assert_eq!(account, main_account(Charlie));
                    let [(market, lots, value)] = portion.positions[..] else {
                        panic!("{portion:?}")
                    };
                    assert_eq!(market, BTC_PERP);
                    assert_eq!(value, i128::from(lots) * 38_600 * TICK_VALUE);
                    assert_eq!(discount, 0);
                    filled.insert(taker.owner, (fraction, lots));
                }
                Liquidated::BidDropped { taker, refusal, .. } => dropped.push((taker, refusal)),
                _ => (),
            }
        }
        assert_eq!(dropped, [(main_account(Ferdie), Refusal::Margin)]);
        let ((dave, daves), (eve, eves)) = (
            filled[&Dave.to_account_id()],
            filled[&Eve.to_account_id()],
        );
        // Shares of `available` by min(asked, available), rounded by less than one part in a million.
        assert_eq!(dave + eve, available);
        let fair = u64::from(available) * 100_000 / (u64::from(available) + 100_000);
        assert!(u64::from(eve).abs_diff(fair) <= 1, "{eve} {fair}");
        // 25.4 % of 8,000 lots, rounded up; between the two at most a lot is decided by a hash.
        let sold = ceil_div(8_000 * i128::from(available), 1_000_000) as SignedLots;
        assert_eq!((daves + eves, sold), (sold, 2_032));
        assert!(eves.abs_diff(8_000 * i64::from(eve) / 1_000_000) <= 1, "{eves}");
        assert_eq!(held(Dave).lots(BTC_PERP), daves);
        assert_eq!(held(Eve).lots(BTC_PERP), eves);
        let cost = held(Dave).position(BTC_PERP).unwrap().cost;
        assert_eq!(cost, i128::from(daves) * 38_600 * TICK_VALUE);

        // It keeps its equity, needs less, stands above its target, and trades again. Nobody else paid.
        let after = assess(&main_account(Charlie));
        assert_eq!(held(Charlie).lots(BTC_PERP), 8_000 - sold);
        assert_eq!(after.equity, found.equity);
        assert!(after.equity * 4 >= after.maintenance * 5, "{after:?}");
        assert_eq!(held(Charlie).standing, Standing::Good);
        assert_eq!(queued(), 0);
        assert_eq!(insurance(), funded);
        assert!(liquidations().iter().any(|event| matches!(
            event,
            Liquidated::CompetitionEnded { why: None, .. }
        )));
        equalities();
        // And it stays there.
        block(usd(19_300), || ());
        assert!(liquidations().is_empty(), "{:#?}", liquidations());
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// A gap
// ---------------------------------------------------------------------------------------------------------------------

const SHORTS: u8 = 100;
const EACH: u64 = 4_000;
/// Who is long against them.
const LONGS: [Sr25519Keyring; 3] = [Bob, Charlie, Eve];

fn shorts() -> Vec<Account> {
    (0..SHORTS)
        .map(|sub| Account::new(Dave.to_account_id(), sub))
        .collect()
}

/// A hundred shorts of 0.4 BTC, each with another margin, opened at prices from 20,000 to 20,100 USD against three longs.
fn hundred_shorts(vault_dollars: u128) {
    block(usd(20_000), || {
        for who in LONGS {
            deposit(who, 300_000);
        }
        let call = pallet_clearing::Call::deposit_for {
            to: vault(),
            asset: USDC,
            amount: vault_dollars * 1_000_000,
        };
        submit(Alice, call).unwrap();
    });
    for batch in 0..SHORTS / 10 {
        let price = 20_000 + 10 * u64::from(batch);
        block(usd(price), || {
            let each = EACH * 10;
            let long = LONGS[usize::from(batch) % 3];
            bid(long, each, ticks(price)).unwrap();
            for sub in batch * 10..batch * 10 + 10 {
                let dollars = 450 + 7 * u128::from(sub);
                deposit_into(Dave, sub, USDC, dollars * 1_000_000).unwrap();
                place_sub(Dave, sub, order(Side::Ask, EACH, ticks(price))).unwrap();
            }
        });
    }
    for of in shorts() {
        assert_eq!(account(&of).lots(BTC_PERP), -(EACH as i64), "{of:?}");
    }
}

/// A block at `price`, each account's deficit set against what was paid for it.
fn account_for(price: u64, losses: &mut Losses) {
    let longs = LONGS.map(main_account);
    losses.account_for(&shorts(), &longs, || block(usd(price), || ()));
    assert_eq!(market().mark, usd(price));
}

/// The gap, and blocks at its price until the queue is empty.
fn gap(vault_dollars: u128) -> Losses {
    opened_at(usd(20_000)).execute_with(|| {
        hundred_shorts(vault_dollars);
        // The last is bankrupt at (20,090 · 0.4 + 1,143) / 0.4 less what it paid in fees, 22,937; a quarter beyond that is 28,671.
        let mut losses = Losses::default();
        account_for(28_700, &mut losses);
        while queued() > 0 {
            assert!(losses.blocks < 60, "the queue does not drain: {losses:?}");
            account_for(28_700, &mut losses);
        }
        for of in shorts() {
            let left = account(&of);
            assert!(
                left.positions.is_empty() && left.cash == 0,
                "{of:?}: {left:?}"
            );
            assert_eq!(left.standing, Standing::Good);
        }
        // Never more lots than were bankrupt.
        assert_eq!(losses.lots + losses.taken, EACH * u64::from(SHORTS));
        losses.are_covered();
        // Marks of whole ticks leave nothing to round, and nobody was worth anything.
        assert_eq!(losses.made_good, losses.insured + losses.deleveraged);
        assert_eq!(losses.borne, losses.deleveraged);
        assert_eq!((losses.given, losses.taken_equity), (0, 0));
        println!("{losses:?}");
        losses
    })
}

#[test]
fn each_quantum_of_loss_is_a_remedys_when_a_hundred_shorts_gap_through_bankruptcy() {
    let losses = gap(20_000);
    // All three had to help: the fund until it was empty, the vault as far as its margin went, counterparties for the rest.
    assert!(losses.insured > 0 && losses.deleveraged > 0, "{losses:?}");
    assert!(losses.taken > 0 && losses.lots > 0, "{losses:?}");
}

#[test]
fn counterparties_close_every_lot_when_the_vault_is_empty() {
    let losses = gap(1);
    assert_eq!((losses.taken, losses.lots), (0, EACH * u64::from(SHORTS)));
}
