use crate::{mock::*, Collaterals, GenesisConfig, Subaccounts};
use novate_types::CollateralParams;
use sp_runtime::BuildStorage;

fn build(genesis: GenesisConfig<Test>) {
    genesis.build_storage().map(|_| ()).unwrap();
}

#[test]
fn genesis_opens_and_funds_accounts_and_lists_collateral() {
    run(|| {
        assert_eq!(cash(FUND, 0), 1_000_000_000);
        assert_eq!(wallet(FUND, USDC), WALLET - 1_000 * UNIT);
        assert_eq!(Subaccounts::<Test>::get(FUND), 1);
        assert_eq!(
            Collaterals::<Test>::get().into_iter().collect::<Vec<_>>(),
            [(WETH, weth())]
        );
        assert!(Margin::conservation().unwrap().holds());
    });
}

#[test]
fn genesis_opens_accounts_without_a_wallet_when_nothing_goes_in() {
    let genesis = GenesisConfig::<Test> {
        accounts: vec![(9, 3, 0)],
        ..Default::default()
    };
    let storage = genesis.build_storage().unwrap();
    sp_io::TestExternalities::new(storage).execute_with(|| {
        assert!(held(9, 3).is_plain() && held(9, 3).cash == 0);
        // Order number zero is that of liquidation orders.
        assert_eq!(held(9, 3).next_sequence, 1);
        Margin::do_try_state().unwrap();
    });
}

#[test]
#[should_panic(expected = "NotMoved")]
fn genesis_is_refused_when_a_wallet_holds_too_little() {
    build(GenesisConfig {
        accounts: vec![(ALICE, 0, 1)],
        ..Default::default()
    });
}

#[test]
#[should_panic(expected = "InvalidHaircuts")]
fn genesis_is_refused_when_a_collateral_breaks_a_bound() {
    let bad = CollateralParams {
        haircut: 1_000_001,
        ..weth()
    };
    build(GenesisConfig {
        collaterals: vec![(WETH, bad)],
        ..Default::default()
    });
}
