//! The liquidity pot through whole blocks: a loan, its interest, and crashes after which the pot is whole and every loss is somebody's.

use crate::common::*;
use novate_runtime::{
    configs::exchange::{BTC, USDC},
    Assets, Margin, Runtime,
};
use novate_types::{Cash, Ledger, Loans, Pot, Standing};
use pallet_liquidation::Event as Liquidated;
use sp_keyring::Sr25519Keyring;

const BITCOIN: u128 = 100_000_000;

fn supply(who: Sr25519Keyring, dollars: u128) {
    let amount = dollars * 1_000_000;
    submit(who, pallet_clearing::Call::supply { amount }).expect("the wallet has it");
}

fn borrow(who: Sr25519Keyring, dollars: u128) {
    let amount = dollars * 1_000_000;
    submit(who, pallet_clearing::Call::borrow { sub: 0, amount }).expect("it is asked for");
}

fn shares(who: Sr25519Keyring) -> u128 {
    <Margin as Loans<_>>::shares(&who.to_account_id())
}

fn wallet(who: Sr25519Keyring) -> u128 {
    Assets::balance(USDC, who.to_account_id())
}

fn borrowed() -> Cash {
    pallet_margin::Lending::<Runtime>::get().borrowed
}

/// Bob supplies 50,000 USD, of which Charlie owes 17,000 behind a bitcoin that counts for 18,000: a twentieth of a loan stays free.
fn a_debtor() {
    block(usd(20_000), || {
        supply(Bob, 50_000);
        deposit_into(Charlie, 0, BTC, BITCOIN).expect("the wallet has it");
        deposit(Dave, 50_000);
    });
    let before = wallet(Charlie);
    block(usd(20_000), || borrow(Charlie, 17_143));
    let refused = |reason: &pallet_clearing::Refusal| matches!(reason, pallet_clearing::Refusal::InsufficientMargin { at_most } if *at_most == 17_142_857_142);
    assert!(
        dropped().iter().all(refused) && dropped().len() == 1,
        "{:?}",
        dropped()
    );
    block(usd(20_000), || borrow(Charlie, 17_000));
    assert_eq!(dropped(), []);
    assert_eq!(wallet(Charlie), before + 17_000_000_000);
    assert_eq!(
        (held(Charlie).cash, borrowed()),
        (-17_000 * USD, 17_000 * USD)
    );
    equalities();
}

/// Bob takes out all that he has, which is no less than he brought.
fn the_pot_is_whole(price: u64) {
    assert_eq!(borrowed(), 0);
    let before = wallet(Bob);
    block(usd(price), || {
        let shares = shares(Bob);
        submit(Bob, pallet_clearing::Call::redeem { shares }).expect("they are his");
    });
    assert_eq!(dropped(), []);
    assert!(wallet(Bob) >= before + 50_000_000_000);
    assert_eq!(shares(Bob), 0);
    equalities();
}

#[test]
fn a_debtor_owes_more_with_every_block_and_pays_it_with_a_deposit() {
    opened_at(usd(20_000)).execute_with(|| {
        a_debtor();
        let equity = assess(&main_account(Charlie)).equity;
        blocks(60, usd(20_000));
        // 34 % are lent, at 4.4 % a year: 1,423 quantums in 60 of 31,536,000 seconds.
        let paid = equity - assess(&main_account(Charlie)).equity;
        let due = 17_000 * USD * 44_000 / 1_000_000 * 60 / 31_536_000;
        assert!((due..=due + 60).contains(&paid), "{paid} {due}");
        assert_eq!(held(Charlie).cash, -17_000 * USD);
        block(usd(20_000), || deposit(Charlie, 17_001));
        assert!(held(Charlie).cash < USD && held(Charlie).cash > 0);
        assert_eq!(held(Charlie).loan, None);
        the_pot_is_whole(20_000);
    });
}

#[test]
fn collateral_pays_the_debt_when_somebody_bids_in_a_crash() {
    opened_at(usd(20_000)).execute_with(|| {
        a_debtor();
        let funded = insurance();
        // It counts for 16,650 and brings 18,500.
        block(usd(18_500), || ());
        assert!(matches!(held(Charlie).standing, Standing::Called { .. }));
        block(usd(18_500), || {
            let call = pallet_liquidation::Call::bid {
                sub: 0,
                account: main_account(Charlie),
                fraction: 1_000_000,
                least_discount: 0,
            };
            submit(Dave, call).expect("the bid is taken");
        });
        let filled = |event: &Liquidated<Runtime>| {
            matches!(event, Liquidated::BidFilled { discount: 0, .. })
        };
        assert!(liquidations().iter().any(filled), "{:#?}", liquidations());
        let charlie = held(Charlie);
        assert_eq!((charlie.standing, charlie.loan), (Standing::Good, None));
        assert!((0..USD).contains(&charlie.cash), "{charlie:?}");
        // 17,000 of 18,500 USD.
        let left = charlie.collateral[0].1;
        assert!((8_100_000..8_110_000).contains(&left), "{left}");
        assert_eq!(insurance(), funded);
        equalities();
        the_pot_is_whole(18_500);
    });
}

#[test]
fn the_fund_and_the_vault_make_the_pot_whole_when_collateral_crashes_and_nobody_bids() {
    opened_at(usd(20_000)).execute_with(|| {
        a_debtor();
        block(usd(20_000), || {
            let (to, asset, amount) = (vault(), USDC, 20_000_000_000);
            let call = pallet_clearing::Call::deposit_for { to, asset, amount };
            submit(Bob, call).expect("the wallet has it");
        });
        let funded = insurance();
        // It counts for 9,000.
        for _ in 0..8 {
            block(usd(10_000), || ());
            equalities();
        }
        let charlie = held(Charlie);
        assert_eq!(
            (charlie.standing, charlie.cash, charlie.loan),
            (Standing::Good, 0, None)
        );
        assert!(charlie.collateral.is_empty());
        let paid = funded - insurance();
        assert!((8_000 * USD..8_001 * USD).contains(&paid), "{paid}");
        let vault = account(&vault());
        assert_eq!(vault.collateral[..], [(BTC, BITCOIN)]);
        assert!(
            (11_000 * USD..11_001 * USD).contains(&vault.cash),
            "{vault:?}"
        );
        assert!(Margin::pot(Pot::Loans) >= 50_000 * USD);
        the_pot_is_whole(10_000);
    });
}
