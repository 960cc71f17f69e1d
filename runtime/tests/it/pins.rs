//! What wallets, clients and stored state depend on: numbers of pallets and calls, and names of storage. A change here needs a
//! new `transaction_version` or a migration.

use frame_support::traits::{GetCallIndex, GetCallName, PalletInfoAccess, StorageInfoTrait};
use novate_runtime::{AllPalletsWithSystem, Runtime};
use std::collections::{BTreeMap, BTreeSet};

/// Storage items of a pallet, each under `twox_128(pallet) ++ twox_128(item)`.
const STORAGE: &[(&str, &[&str])] = &[
    (
        "Instruments",
        &[
            "AboveFloor",
            "CounterForInstruments",
            "FeeTierList",
            "Instruments",
            "NextMarket",
            "Pending",
            "SeriesRules",
            "Tiers",
        ],
    ),
    (
        "Oracle",
        &[
            "CounterForSources",
            "CurrentEra",
            "Eras",
            "Feeds",
            "Observations",
            "Observers",
            "Pending",
            "Prices",
            "SessionScores",
            "Sources",
            "SurfaceObservations",
            "Surfaces",
            "SurfacesDue",
        ],
    ),
    (
        "Margin",
        &[
            "Accounts",
            "AtClose",
            "Booked",
            "Collaterals",
            "Custody",
            "Lending",
            "OpenInterest",
            "PendingCollaterals",
            "Pots",
            "Subaccounts",
            "Suppliers",
        ],
    ),
    (
        "OrderBook",
        &[
            "Armed",
            "Directories",
            "Due",
            "Emptied",
            "Evicting",
            "Expiries",
            "ExpiryCounts",
            "ExpiryCursor",
            "Intake",
            "Pages",
            "Reaches",
            "Reads",
            "RestedQuotes",
            "TriggerExpiries",
            "Unowned",
            "UpkeptNow",
            "Waiting",
        ],
    ),
    (
        "Clearing",
        &[
            "Marked",
            "NextPortfolioRules",
            "NextRequest",
            "OldestRequest",
            "Pending",
            "PortfolioRules",
            "PremiumHistory",
            "Requests",
            "Reserved",
            "Scenarios",
            "Settlements",
            "States",
            "View",
        ],
    ),
    (
        "Liquidation",
        &[
            "Allowance",
            "Backstop",
            "Bids",
            "Coming",
            "CounterForQueue",
            "Halfway",
            "LossCaps",
            "OpenInterestScale",
            "Queue",
            "RiskDirectory",
            "RiskPage",
            "RiskSpan",
            "ShareHoldings",
            "ShareRequests",
            "Stress",
            "Suspended",
            "Sweeping",
            "Tightenings",
            "Took",
            "TookForVault",
            "UncoveredDeficit",
            "VaultLosses",
            "Volatilities",
            "Working",
        ],
    ),
];

/// Pallets by number.
const PALLETS: &[(usize, &str)] = &[
    (0, "System"),
    (1, "Timestamp"),
    (2, "Aura"),
    (3, "Authorship"),
    (4, "Balances"),
    (5, "Session"),
    (6, "Grandpa"),
    (7, "TransactionPayment"),
    (8, "Assets"),
    (9, "Sudo"),
    (20, "Instruments"),
    (21, "Oracle"),
    (22, "Margin"),
    (23, "OrderBook"),
    (24, "Clearing"),
    (25, "Liquidation"),
];

#[test]
fn pallets_keep_their_numbers_and_names() {
    use frame_support::traits::PalletsInfoAccess;
    let mut pallets: Vec<_> = AllPalletsWithSystem::infos()
        .into_iter()
        .map(|info| (info.index, info.name))
        .collect();
    pallets.sort_unstable();
    assert_eq!(pallets, PALLETS);
}

#[test]
fn storage_keeps_its_prefixes() {
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    for info in AllPalletsWithSystem::storage_info() {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("names are ASCII");
        let hashed = [&info.pallet_name, &info.storage_name]
            .map(|name| sp_io::hashing::twox_128(name))
            .concat();
        assert_eq!(info.prefix, hashed);
        found
            .entry(text(&info.pallet_name))
            .or_default()
            .insert(text(&info.storage_name));
    }
    for (pallet, items) in STORAGE {
        let items: BTreeSet<String> = items.iter().map(|item| item.to_string()).collect();
        assert_eq!(found[*pallet], items, "{pallet}");
    }
}

/// Calls of the exchange's pallets, in the order of their numbers from zero.
macro_rules! pinned {
    ($($pallet:ident, $module:ident: $names:expr;)*) => {
        #[test]
        fn calls_keep_their_numbers() {
            $(
                let names: &[&str] = &$names;
                let numbers: Vec<u8> = (0..).take(names.len()).collect();
                let pallet = novate_runtime::$pallet::name();
                assert_eq!($module::Call::<Runtime>::get_call_names(), names, "{pallet}");
                assert_eq!($module::Call::<Runtime>::get_call_indices(), numbers, "{pallet}");
            )*
        }
    };
}

pinned! {
    Instruments, pallet_instruments: [
        "list_market",
        "add_tier",
        "schedule_tier_change",
        "schedule_market_params",
        "schedule_fee_tiers",
        "cancel_change",
        "set_status",
        "restrict_market",
        "lower_open_interest_cap",
        "delist_market",
        "set_series_rule",
    ];
    Oracle, pallet_price_oracle: [
        "observe",
        "schedule_source",
        "schedule_feed",
        "cancel_change",
        "disable_source",
        "observe_surface",
    ];
    Margin, pallet_margin: [
        "deposit",
        "close_account",
        "schedule_collateral",
        "cancel_collateral",
        "lower_global_cap",
        "set_fee_tier",
        "schedule_loans",
        "cancel_loans",
        "lower_utilisation_cap",
    ];
    OrderBook, pallet_order_book: ["submit"];
    Clearing, pallet_clearing: [
        "withdraw",
        "transfer",
        "deposit_for",
        "supply",
        "redeem",
        "borrow",
        "schedule_portfolio_rules",
    ];
    Liquidation, pallet_liquidation: [
        "schedule_loss_cap",
        "cancel_loss_cap",
        "lower_loss_cap",
        "bid",
        "vault_deposit",
        "vault_withdraw",
    ];
}
