//! Every call of the exchange's pallets with hostile arguments: refused by name, and nothing changed.

use crate::common::*;
use frame_support::traits::{GetCallMetadata, UnfilteredDispatchable};
use novate_risk::portfolio::PortfolioParams;
use novate_runtime::{
    configs::exchange::{BTC_FEED, USDC, USDT},
    AccountId, Oracle, Runtime, RuntimeCall, RuntimeOrigin, System,
};
use novate_types::OrderBook as _;
use novate_types::{
    AccountRef, CollateralParams, FeeTier, InstrumentKind, MarketParams, MarketStatus, NewOrder,
    Operation, OrderPrice, OrderTarget, Price, RiskTier, Side, TimeInForce,
};
use pallet_order_book::OrderError;
use sp_core::storage::StateVersion;
use sp_keyring::Sr25519Keyring;
use sp_runtime::{DispatchError, FixedI128, FixedU128};
use std::collections::BTreeSet;

const PALLETS: [&str; 6] = [
    "Instruments",
    "Oracle",
    "Margin",
    "OrderBook",
    "Clearing",
    "Liquidation",
];

/// The root of the whole state, events of this block left out.
fn root() -> Vec<u8> {
    System::reset_events();
    sp_io::storage::root(StateVersion::V1)
}

/// The name of a refusal.
fn name(error: DispatchError) -> &'static str {
    match error {
        DispatchError::Module(error) => error.message.expect("pallets name their errors"),
        other => other.into(),
    }
}

/// Calls, and the errors that they must give.
#[derive(Default)]
struct Hostile {
    seen: BTreeSet<(String, String)>,
}

impl Hostile {
    fn refused(&mut self, origin: RuntimeOrigin, call: impl Into<RuntimeCall>, why: &str) {
        let call = call.into();
        let metadata = call.get_call_metadata();
        let called = (
            metadata.pallet_name.to_string(),
            metadata.function_name.to_string(),
        );
        let before = root();
        // As a transaction dispatches it: in a storage layer of its own.
        let done = frame_support::storage::with_storage_layer(|| {
            call.clone()
                .dispatch_bypass_filter(origin)
                .map_err(|e| e.error)
        });
        let error = done.expect_err(&format!("{called:?} was not refused: {call:?}"));
        assert_eq!(name(error), why, "{call:?}");
        assert_eq!(root(), before, "{call:?} changed something");
        self.seen.insert(called);
    }

    fn by(&mut self, who: Sr25519Keyring, call: impl Into<RuntimeCall>, why: &str) {
        self.refused(RuntimeOrigin::signed(who.to_account_id()), call, why);
    }

    fn by_root(&mut self, call: impl Into<RuntimeCall>, why: &str) {
        self.refused(RuntimeOrigin::root(), call, why);
    }

    /// Only root may.
    fn only_root(&mut self, call: impl Into<RuntimeCall>) {
        let call = call.into();
        self.by(Bob, call.clone(), "Bad origin");
        self.refused(RuntimeOrigin::none(), call, "Bad origin");
    }

    /// Only an account may.
    fn only_signed(&mut self, call: impl Into<RuntimeCall>) {
        let call = call.into();
        self.by_root(call.clone(), "Bad origin");
        self.refused(RuntimeOrigin::none(), call, "Bad origin");
    }
}

/// A running market with positions, orders and a queue of requests, in the middle of a block.
fn with_traders(test: impl FnOnce(&mut Hostile)) -> Hostile {
    let mut hostile = Hostile::default();
    opened_at(usd(20_000)).execute_with(|| {
        block(usd(20_000), || {
            for who in [Bob, Charlie] {
                deposit(who, 10_000);
                deposit_into(who, 0, USDT, 1_000_000).unwrap();
            }
            ask(Bob, 5_000, ticks(20_000)).unwrap();
            bid(Charlie, 4_000, ticks(20_000)).unwrap();
        });
        begin(1_000);
        observe(usd(20_000));
        test(&mut hostile);
        end();
        equalities();
    });
    hostile
}

fn instruments(hostile: &mut Hostile) {
    use pallet_instruments::{Call, Instruments, Subject, Tiers};
    let listed = Instruments::<Runtime>::get(BTC_PERP).unwrap();
    let tier = Tiers::<Runtime>::get(0).unwrap();
    let list =
        |symbol: &[u8], feed, tick: Price, lot: Price, params| Call::<Runtime>::list_market {
            symbol: symbol.to_vec().try_into().unwrap(),
            kind: InstrumentKind::Perpetual,
            underlying: feed,
            tick_size: tick,
            lot_size: lot,
            params,
        };
    let (tick, lot) = (listed.tick_size, listed.lot_size);
    let (zero, largest) = (Price::from_inner(0), Price::from_inner(u128::MAX));
    hostile.only_root(list(b"X-PERP", BTC_FEED, tick, lot, listed.params));
    hostile.by_root(list(b"X-PERP", 99, tick, lot, listed.params), "UnknownFeed");
    hostile.by_root(
        list(b"", BTC_FEED, tick, lot, listed.params),
        "InvalidSymbol",
    );
    hostile.by_root(
        list(b"X\x00", BTC_FEED, tick, lot, listed.params),
        "InvalidSymbol",
    );
    hostile.by_root(
        list(b"BTC-PERP", BTC_FEED, tick, lot, listed.params),
        "SymbolTaken",
    );
    for (tick, lot) in [
        (zero, lot),
        (tick, zero),
        (largest, largest),
        (Price::from_inner(1), lot),
    ] {
        hostile.by_root(
            list(b"X-PERP", BTC_FEED, tick, lot, listed.params),
            "TickValueNotWhole",
        );
    }
    let params = |change: fn(&mut MarketParams)| {
        let mut params = listed.params;
        change(&mut params);
        params
    };
    for (params, why) in [
        (params(|p| p.tier = 255), "UnknownTier"),
        (params(|p| p.min_notional = -1), "InvalidMinNotional"),
        (
            params(|p| p.open_interest_cap = u64::MAX),
            "InvalidOpenInterestCap",
        ),
        (params(|p| p.interest_8h_ppm = i32::MIN), "InvalidInterest"),
        (params(|p| p.interest_8h_ppm = i32::MAX), "InvalidInterest"),
        (
            params(|p| p.funding_cap_factor = u32::MAX),
            "InvalidFundingCapFactor",
        ),
    ] {
        hostile.by_root(list(b"X-PERP", BTC_FEED, tick, lot, params), why);
        let new_value = params;
        let call = Call::schedule_market_params {
            market: BTC_PERP,
            new_value,
        };
        hostile.by_root(call, why);
    }
    let changed = |change: fn(&mut RiskTier)| {
        let mut tier = tier;
        change(&mut tier);
        tier
    };
    for (new_value, why) in [
        (changed(|t| t.imf = u32::MAX), "InvalidMarginFractions"),
        (changed(|t| t.mmf = 0), "InvalidMarginFractions"),
        (changed(|t| t.mmf = t.imf + 1), "InvalidMarginFractions"),
        (changed(|t| t.mark_band = t.mmf), "InvalidMarkBand"),
        (changed(|t| t.price_band = u32::MAX), "InvalidPriceBand"),
        (
            changed(|t| t.open_interest_upper = -1),
            "InvalidOpenInterestLimits",
        ),
        (changed(|t| t.profit_credit = -1), "InvalidProfitCredit"),
        (changed(|t| t.impact_notional = 0), "InvalidImpactNotional"),
        (changed(|t| t.call_blocks = 0), "InvalidCallBlocks"),
        (changed(|t| t.edge_blocks = 0), "InvalidEdgeBlocks"),
    ] {
        hostile.by_root(Call::add_tier { tier: 7, new_value }, why);
        hostile.by_root(Call::schedule_tier_change { tier: 0, new_value }, why);
    }
    hostile.only_root(Call::add_tier {
        tier: 7,
        new_value: tier,
    });
    hostile.by_root(
        Call::add_tier {
            tier: 0,
            new_value: tier,
        },
        "TierExists",
    );
    hostile.only_root(Call::schedule_tier_change {
        tier: 0,
        new_value: tier,
    });
    hostile.by_root(
        Call::schedule_tier_change {
            tier: 9,
            new_value: tier,
        },
        "UnknownTier",
    );
    hostile.by_root(
        Call::schedule_tier_change {
            tier: 0,
            new_value: tier,
        },
        "Unchanged",
    );
    let leap = changed(|t| t.imf = 200_000);
    hostile.by_root(
        Call::schedule_tier_change {
            tier: 0,
            new_value: leap,
        },
        "StepTooLarge",
    );
    let new_value = listed.params;
    hostile.only_root(Call::schedule_market_params {
        market: BTC_PERP,
        new_value,
    });
    hostile.by_root(
        Call::schedule_market_params {
            market: 9,
            new_value,
        },
        "UnknownMarket",
    );
    hostile.by_root(
        Call::schedule_market_params {
            market: BTC_PERP,
            new_value,
        },
        "Unchanged",
    );
    let fees = |tiers: &[(i32, i32)]| Call::<Runtime>::schedule_fee_tiers {
        new_value: tiers
            .iter()
            .map(|(maker_ppm, taker_ppm)| FeeTier {
                maker_ppm: *maker_ppm,
                taker_ppm: *taker_ppm,
            })
            .collect::<Vec<_>>()
            .try_into()
            .unwrap(),
    };
    hostile.only_root(fees(&[(100, 500)]));
    hostile.by_root(fees(&[]), "NoFeeTier");
    hostile.by_root(fees(&[(i32::MAX, i32::MAX)]), "FeeTooHigh");
    hostile.by_root(fees(&[(i32::MIN, 500)]), "FeeTooHigh");
    hostile.by_root(fees(&[(-501, 500)]), "FeePairBelowZero");
    for subject in [
        Subject::Market(BTC_PERP),
        Subject::Tier(0),
        Subject::FeeTiers,
    ] {
        hostile.only_root(Call::cancel_change { subject });
        hostile.by_root(Call::cancel_change { subject }, "NoSuchChange");
    }
    let (market, new_value) = (BTC_PERP, MarketStatus::Open);
    hostile.only_root(Call::set_status { market, new_value });
    hostile.by_root(Call::set_status { market, new_value }, "Unchanged");
    hostile.by_root(
        Call::set_status {
            market: 9,
            new_value,
        },
        "UnknownMarket",
    );
    hostile.only_root(Call::restrict_market { market, new_value });
    hostile.by_root(Call::restrict_market { market, new_value }, "NotStricter");
    hostile.by_root(
        Call::restrict_market {
            market: 9,
            new_value,
        },
        "UnknownMarket",
    );
    hostile.only_root(Call::lower_open_interest_cap {
        market,
        new_value: 0,
    });
    hostile.by_root(
        Call::lower_open_interest_cap {
            market,
            new_value: u64::MAX,
        },
        "NotLower",
    );
    hostile.by_root(
        Call::lower_open_interest_cap {
            market: 9,
            new_value: 0,
        },
        "UnknownMarket",
    );
    hostile.only_root(Call::delist_market { market });
    hostile.by_root(Call::delist_market { market }, "NotHalted");
    hostile.by_root(Call::delist_market { market: u16::MAX }, "UnknownMarket");

    let rule = pallet_instruments::SeriesRule {
        base: b"BTC".to_vec().try_into().unwrap(),
        tick_size: tick,
        lot_size: lot,
        futures: listed.params,
        options: listed.params,
        strike_step: 1_000,
        strikes: 1,
    };
    let set =
        |underlying, rule: &pallet_instruments::SeriesRule| Call::<Runtime>::set_series_rule {
            underlying,
            new_value: Some(rule.clone()),
        };
    hostile.only_root(set(BTC_FEED, &rule));
    hostile.by_root(set(99, &rule), "UnknownFeed");
    let none = Call::<Runtime>::set_series_rule {
        underlying: BTC_FEED,
        new_value: None,
    };
    hostile.by_root(none, "Unchanged");
    let bad = |change: fn(&mut pallet_instruments::SeriesRule)| {
        let mut rule = rule.clone();
        change(&mut rule);
        set(BTC_FEED, &rule)
    };
    hostile.by_root(bad(|rule| rule.base = Default::default()), "InvalidRule");
    hostile.by_root(bad(|rule| rule.strikes = u8::MAX), "InvalidRule");
    for tick in [zero, largest] {
        let rule = pallet_instruments::SeriesRule {
            tick_size: tick,
            ..rule.clone()
        };
        hostile.by_root(set(BTC_FEED, &rule), "TickValueNotWhole");
    }
}

fn oracle(hostile: &mut Hostile) {
    use pallet_price_oracle::{
        crypto::AuthoritySignature, surface::SurfaceObservation, Call, Feed, Observation, Source,
        SourceName, Sources, Subject, Text,
    };
    let observation = Observation {
        validator: 0,
        round: System::block_number(),
        observed_at: now(),
        prices: Default::default(),
    };
    let signature = AuthoritySignature::from(sp_core::sr25519::Signature::from_raw([0; 64]));
    let observe = Call::<Runtime>::observe {
        observation,
        signature,
    };
    hostile.by(Alice, observe.clone(), "Bad origin");
    hostile.only_signed(observe);
    let observation = SurfaceObservation {
        validator: 0,
        round: System::block_number(),
        observed_at: now(),
        feed: BTC_FEED,
        smiles: Default::default(),
    };
    let signature = AuthoritySignature::from(sp_core::sr25519::Signature::from_raw([0; 64]));
    let observe = Call::<Runtime>::observe_surface {
        observation,
        signature,
    };
    hostile.by(Alice, observe.clone(), "Bad origin");
    hostile.only_signed(observe);

    let (name, source) = Sources::<Runtime>::iter().next().unwrap();
    let schedule = |name: SourceName, source: Option<Source>| Call::<Runtime>::schedule_source {
        name,
        new_value: source.map(Box::new),
    };
    let with = |change: fn(&mut Source)| {
        let mut source = source.clone();
        change(&mut source);
        schedule(name.clone(), Some(source))
    };
    let nameless = SourceName::truncated("");
    hostile.only_root(schedule(name.clone(), None));
    hostile.by_root(with(|_| ()), "Unchanged");
    hostile.by_root(with(|s| s.base_url = Text::truncated("ftp://x")), "BadUrl");
    hostile.by_root(with(|s| s.base_url = Text::truncated("")), "BadUrl");
    hostile.by_root(schedule(nameless.clone(), Some(source.clone())), "BadText");
    hostile.by_root(schedule(nameless.clone(), None), "UnknownSource");
    hostile.only_root(Call::disable_source { name: name.clone() });
    hostile.by_root(Call::disable_source { name: nameless }, "UnknownSource");

    let policy = Feed::new("X");
    let schedule = |feed, new_value| Call::<Runtime>::schedule_feed { feed, new_value };
    hostile.only_root(schedule(9, Some(policy.clone())));
    let zero = Feed {
        min_usd: 0,
        ..policy.clone()
    };
    hostile.by_root(schedule(9, Some(zero)), "BadPolicy");
    let inverted = Feed {
        min_accepted: 255,
        ..policy
    };
    hostile.by_root(schedule(9, Some(inverted)), "BadPolicy");
    let one_chain = Feed {
        min_chains: 1,
        ..Feed::new("X")
    };
    hostile.by_root(schedule(9, Some(one_chain)), "BadPolicy");
    hostile.by_root(schedule(9, Some(Feed::new(""))), "BadText");
    let farther = Feed {
        min_configured: 7,
        ..Feed::new("BTC")
    };
    hostile.by_root(schedule(BTC_FEED, Some(farther)), "StepTooLarge");
    hostile.by_root(schedule(BTC_FEED, Some(Feed::new("BTC"))), "Unchanged");
    hostile.by_root(schedule(BTC_FEED, None), "FeedInUse");
    hostile.by_root(schedule(u16::MAX, None), "UnknownFeed");
    for subject in [Subject::Source(name), Subject::Feed(BTC_FEED)] {
        let call = Call::<Runtime>::cancel_change { subject };
        hostile.only_root(call.clone());
        hostile.by_root(call, "NoSuchChange");
    }
}

fn margin(hostile: &mut Hostile) {
    use pallet_margin::{Call, Collaterals};
    let deposit = |sub, asset, amount| Call::<Runtime>::deposit { sub, asset, amount };
    hostile.only_signed(deposit(0, USDC, 1));
    hostile.by(Bob, deposit(0, USDC, 0), "ZeroAmount");
    hostile.by(Bob, deposit(0, 99, 1), "UnknownAsset");
    hostile.by(Bob, deposit(0, u32::MAX, u128::MAX), "UnknownAsset");
    hostile.by(Bob, deposit(255, USDC, u128::MAX), "NotSpendable");
    hostile.by(Bob, deposit(0, USDC, 1 << 127), "NotSpendable");
    hostile.by(Bob, deposit(0, USDT, u128::MAX), "OutOfRange");
    hostile.by(Bob, deposit(0, USDT, 1 << 100), "GlobalCapReached");
    hostile.by(Bob, deposit(0, USDT, 20_000_000_000_000), "NotSpendable");
    hostile.by(Sr25519Keyring::One, deposit(0, USDC, 1), "NotSpendable");

    hostile.only_signed(Call::close_account { sub: 0 });
    hostile.by(Bob, Call::close_account { sub: 0 }, "AccountNotEmpty");
    hostile.by(Bob, Call::close_account { sub: 1 }, "NoAccount");
    hostile.by(Dave, Call::close_account { sub: 0 }, "NoAccount");

    let usdt = Collaterals::<Runtime>::get()[&USDT];
    let schedule = |asset, new_value| Call::<Runtime>::schedule_collateral { asset, new_value };
    let with = |change: fn(&mut CollateralParams)| {
        let mut params = usdt;
        change(&mut params);
        schedule(USDT, params)
    };
    hostile.only_root(with(|p| p.haircut += 1));
    hostile.by_root(schedule(99, usdt), "NoSuchAsset");
    hostile.by_root(schedule(USDC, usdt), "IsSettlementAsset");
    hostile.by_root(with(|_| ()), "Unchanged");
    hostile.by_root(with(|p| p.haircut = u32::MAX), "InvalidHaircuts");
    hostile.by_root(with(|p| p.value_cap = -1), "InvalidAmounts");
    hostile.by_root(with(|p| p.global_cap = u128::MAX), "InvalidAmounts");
    hostile.by_root(with(|p| p.haircut = 140_000), "StepTooLarge");
    hostile.only_root(Call::cancel_collateral { asset: USDT });
    hostile.by_root(Call::cancel_collateral { asset: USDT }, "NoSuchChange");
    hostile.only_root(Call::lower_global_cap {
        asset: USDT,
        new_value: 0,
    });
    let new_value = u128::MAX;
    hostile.by_root(
        Call::lower_global_cap {
            asset: USDT,
            new_value,
        },
        "NotLower",
    );
    hostile.by_root(
        Call::lower_global_cap {
            asset: 99,
            new_value: 0,
        },
        "UnknownAsset",
    );
    let account = main_account(Bob);
    let tier = |account, new_value| Call::<Runtime>::set_fee_tier { account, new_value };
    hostile.only_root(tier(account.clone(), 1));
    hostile.by_root(tier(account.clone(), 255), "UnknownFeeTier");
    hostile.by_root(tier(account.clone(), 0), "Unchanged");
    hostile.by_root(tier(AccountRef::new(account.owner, 9), 1), "NoAccount");
    let old = pallet_margin::Lending::<Runtime>::get().params;
    let schedule = |new_value| Call::<Runtime>::schedule_loans { new_value };
    hostile.only_root(schedule(novate_types::LoanParams {
        slope: old.slope + 1,
        ..old
    }));
    hostile.by_root(schedule(old), "Unchanged");
    for account_cap in [-1, i128::MIN] {
        let bad = novate_types::LoanParams { account_cap, ..old };
        hostile.by_root(schedule(bad), "InvalidLoanParams");
    }
    let far = novate_types::LoanParams {
        account_cap: i128::MAX,
        ..old
    };
    hostile.by_root(schedule(far), "StepTooLarge");
    for ppm in [0, 1_000_000, u32::MAX] {
        let bad = novate_types::LoanParams { kink: ppm, ..old };
        hostile.by_root(schedule(bad), "InvalidLoanParams");
    }
    hostile.only_root(Call::cancel_loans {});
    hostile.by_root(Call::cancel_loans {}, "NoSuchChange");
    let lower = |new_value| Call::<Runtime>::lower_utilisation_cap { new_value };
    hostile.only_root(lower(0));
    hostile.by_root(lower(old.utilisation_cap), "NotLower");
    hostile.by_root(lower(u32::MAX), "NotLower");
}

fn clearing(hostile: &mut Hostile) {
    use pallet_clearing::Call;
    type Of = AccountRef<AccountId>;
    let withdraw = |sub, asset, amount| Call::<Runtime>::withdraw { sub, asset, amount };
    let transfer = |to: Of, asset, amount| Call::<Runtime>::transfer {
        sub: 0,
        to,
        asset,
        amount,
    };
    let deposit_for = |to: Of, asset, amount| Call::<Runtime>::deposit_for { to, asset, amount };
    let (own, other) = (main_account(Bob), main_account(Charlie));
    hostile.only_signed(withdraw(0, USDC, 1));
    hostile.only_signed(transfer(other.clone(), USDC, 1));
    hostile.only_signed(deposit_for(other.clone(), USDC, 1));
    for (asset, amount, why) in [
        (USDC, 0, "ZeroAmount"),
        (USDC, u128::MAX, "AmountTooLarge"),
        (99, 1, "UnknownAsset"),
    ] {
        hostile.by(Bob, withdraw(0, asset, amount), why);
        hostile.by(Bob, transfer(other.clone(), asset, amount), why);
        hostile.by(Bob, deposit_for(other.clone(), asset, amount), why);
    }
    hostile.by(
        Bob,
        withdraw(0, USDC, 20_000_000_000),
        "InsufficientBalance",
    );
    hostile.by(Bob, withdraw(0, USDT, 1_000_001), "InsufficientBalance");
    hostile.by(Bob, withdraw(9, USDC, 1), "NoAccount");
    hostile.by(Dave, withdraw(0, USDC, 1), "NoAccount");
    hostile.by(Dave, transfer(other.clone(), USDC, 1), "NoAccount");
    hostile.by(Bob, transfer(own, USDC, 1), "SameAccount");
    hostile.by(Bob, deposit_for(other.clone(), USDT, 1), "CashOnly");
    let supply = |amount| Call::<Runtime>::supply { amount };
    let redeem = |shares| Call::<Runtime>::redeem { shares };
    let borrow = |sub, amount| Call::<Runtime>::borrow { sub, amount };
    hostile.only_signed(supply(1));
    hostile.only_signed(redeem(1));
    hostile.only_signed(borrow(0, 1));
    for (amount, why) in [(0, "ZeroAmount"), (u128::MAX, "AmountTooLarge")] {
        hostile.by(Bob, supply(amount), why);
        hostile.by(Bob, redeem(amount), why);
        hostile.by(Bob, borrow(0, amount), why);
    }
    hostile.by(Bob, redeem(1), "InsufficientBalance");
    hostile.by(Bob, borrow(9, 1), "NoAccount");
    hostile.by(Dave, borrow(0, 1), "NoAccount");
    let rules = |change: &dyn Fn(&mut PortfolioParams)| {
        let mut params = PortfolioParams::standard();
        change(&mut params);
        let params = Some(Box::new(params));
        Call::<Runtime>::schedule_portfolio_rules { params }
    };
    let withdrawn = Call::<Runtime>::schedule_portfolio_rules { params: None };
    hostile.only_root(withdrawn.clone());
    hostile.only_root(rules(&|params| {
        params.factors.initial = FixedU128::from_u32(2)
    }));
    hostile.by_root(withdrawn, "NothingToChange");
    hostile.by_root(rules(&|_| ()), "NothingToChange");
    for factor in [0, 11, u128::MAX / 10u128.pow(18)].map(|times| times * 10u128.pow(18)) {
        let factor = FixedU128::from_inner(factor);
        let unsound = rules(&|params| params.factors.initial = factor);
        hostile.by_root(unsound, "UnsoundRules");
    }
    let falling = FixedI128::from_inner(-11 * 10i128.pow(17));
    let moved = |by| rules(&|params| params.grid.scenarios[0].price = by);
    for by in [
        falling,
        FixedI128::from_inner(i128::MAX),
        FixedI128::from_inner(i128::MIN),
    ] {
        hostile.by_root(moved(by), "UnsoundRules");
    }
    let crowded = rules(&|params| {
        let first = params.grid.scenarios[0];
        params.grid.scenarios.try_push(first).unwrap();
    });
    hostile.by_root(crowded, "TooManyScenarios");
    for _ in 0..16 {
        submit(Bob, withdraw(0, USDC, 1)).unwrap();
    }
    hostile.by(Bob, withdraw(0, USDC, 1), "TooManyRequests");
}

fn liquidation(hostile: &mut Hostile) {
    use pallet_liquidation::Call;
    let schedule = |market, cap| Call::<Runtime>::schedule_loss_cap { market, cap };
    let lower = |market, cap| Call::<Runtime>::lower_loss_cap { market, cap };
    let cancel = |market| Call::<Runtime>::cancel_loss_cap { market };
    hostile.only_root(schedule(BTC_PERP, 250_000 * USD));
    hostile.only_root(lower(BTC_PERP, 0));
    hostile.only_root(cancel(BTC_PERP));
    for cap in [-1, i128::MIN] {
        hostile.by_root(schedule(BTC_PERP, cap), "NegativeCap");
        hostile.by_root(lower(BTC_PERP, cap), "NegativeCap");
    }
    for cap in [0, i128::MAX] {
        hostile.by_root(schedule(BTC_PERP, cap), "StepTooLarge");
    }
    hostile.by_root(lower(BTC_PERP, i128::MAX), "NotLower");
    hostile.by_root(cancel(BTC_PERP), "NothingPending");
    hostile.by_root(schedule(u16::MAX, 0), "UnknownMarket");
    hostile.by_root(lower(u16::MAX, 0), "UnknownMarket");
    hostile.by_root(cancel(u16::MAX), "UnknownMarket");
    let bid = |sub, fraction, least_discount| Call::<Runtime>::bid {
        sub,
        account: main_account(Charlie),
        fraction,
        least_discount,
    };
    hostile.only_signed(bid(0, 1_000_000, 0));
    for (fraction, discount) in [(0, 0), (1_000_001, 0), (u32::MAX, 0), (1, u32::MAX)] {
        hostile.by(Bob, bid(0, fraction, discount), "BadFraction");
    }
    hostile.by(Bob, bid(9, 1, 0), "NoAccount");
    hostile.by(Dave, bid(0, 1, 0), "NoAccount");
    hostile.by(Bob, bid(0, 1, 1_000_000), "NotCompeting");
    let enter = |amount| Call::<Runtime>::vault_deposit { amount };
    let leave = |shares| Call::<Runtime>::vault_withdraw { shares };
    hostile.only_signed(enter(10_000_000));
    hostile.only_signed(leave(1));
    for amount in [0, 1, 9_999_999] {
        hostile.by(Bob, enter(amount), "DepositTooSmall");
    }
    hostile.by(Bob, enter(u128::MAX), "OutOfRange");
    hostile.by(Bob, enter(1 << 100), "WalletTooSmall");
    hostile.by(Bob, leave(0), "NoShares");
    for shares in [1, u128::MAX] {
        hostile.by(Bob, leave(shares), "TooFewShares");
    }
}

fn order_book(hostile: &mut Hostile) {
    let place = vec![Operation::Place(order(Side::Bid, 10, ticks(20_000)))];
    hostile.only_signed(submit_call(0, place.clone()));
    hostile.by(Bob, submit_call(0, vec![]), "NoOperations");
    hostile.by(Bob, submit_call(1, place.clone()), "NoAccount");
    hostile.by(Dave, submit_call(0, place), "NoAccount");
}

#[test]
fn every_call_is_refused_by_name_and_changes_nothing_when_hostile() {
    let hostile = with_traders(|hostile| {
        instruments(hostile);
        oracle(hostile);
        margin(hostile);
        order_book(hostile);
        liquidation(hostile);
        clearing(hostile);
    });
    for pallet in PALLETS {
        for call in RuntimeCall::get_call_names(pallet) {
            let called = (pallet.to_string(), call.to_string());
            assert!(hostile.seen.contains(&called), "{called:?} was never tried");
        }
    }
}

/// Operations are refused one by one: the extrinsic is fine, the outcome names the rule, the state is as it was.
#[test]
fn every_operation_is_refused_by_name_and_changes_nothing_when_hostile() {
    with_traders(|_| {
        let good = order(Side::Bid, 100, ticks(20_000));
        let resting = novate_runtime::OrderBook::open_orders(&main_account(Bob));
        let foreign = resting[0].sequence;
        let bad = |change: fn(&mut NewOrder)| {
            let mut order = good;
            change(&mut order);
            Operation::Place(order)
        };
        let client = OrderTarget::Client;
        let amend = |target, price, lots| Operation::Amend {
            target,
            price,
            lots,
        };
        let block = System::block_number();
        let until = |block| {
            Operation::Place(NewOrder {
                time_in_force: TimeInForce::GoodTilBlock(block),
                ..good
            })
        };
        let cases = [
            (bad(|o| o.market = u16::MAX), OrderError::UnknownMarket),
            (bad(|o| o.lots = 0), OrderError::ZeroLots),
            (
                bad(|o| o.price = OrderPrice::Limit(0)),
                OrderError::ZeroPrice,
            ),
            (bad(|o| o.lots = 1), OrderError::BelowMinNotional),
            (
                bad(|o| o.price = OrderPrice::Limit(1)),
                OrderError::BelowMinNotional,
            ),
            (bad(|o| o.lots = u64::MAX), OrderError::OutOfRange),
            (bad(|o| o.lots = i64::MAX as u64), OrderError::OutOfRange),
            (
                bad(|o| o.price = OrderPrice::Limit(u64::MAX)),
                OrderError::InsufficientMargin,
            ),
            (bad(|o| o.lots = 1_000_000), OrderError::InsufficientMargin),
            (
                bad(|o| {
                    o.price = OrderPrice::Market;
                    o.time_in_force = TimeInForce::PostOnly;
                }),
                OrderError::Contradiction,
            ),
            (until(0), OrderError::ExpiryPast),
            (until(block), OrderError::ExpiryPast),
            (until(u32::MAX), OrderError::ExpiryTooFar),
            // Bob's order by its number, which is Bob's alone.
            (
                Operation::Cancel(OrderTarget::Sequence(foreign)),
                OrderError::NoSuchOrder,
            ),
            (Operation::Cancel(client(u64::MAX)), OrderError::NoSuchOrder),
            (
                amend(client(u64::MAX), Some(1), Some(1)),
                OrderError::NoSuchOrder,
            ),
        ];
        for (operation, why) in cases {
            let before = root();
            let call = submit_call(0, vec![operation]);
            let origin = RuntimeOrigin::signed(Charlie.to_account_id());
            call.dispatch_bypass_filter(origin)
                .expect("operations fail one by one");
            assert_eq!(outcomes(), vec![Err(why)], "{operation:?}");
            assert_eq!(root(), before, "{operation:?} changed something");
        }

        // Against an order of one's own.
        let sequence = place(Charlie, good).unwrap();
        let own = OrderTarget::Sequence(sequence);
        for (operation, why) in [
            (Operation::Place(good), OrderError::DuplicateClientId),
            (amend(own, None, None), OrderError::NothingToChange),
            (
                amend(own, Some(ticks(20_000)), None),
                OrderError::NothingToChange,
            ),
            (amend(own, None, Some(0)), OrderError::ZeroLots),
            (amend(own, Some(0), None), OrderError::ZeroPrice),
            (amend(own, None, Some(1)), OrderError::BelowMinNotional),
            (
                amend(own, None, Some(1_000_000)),
                OrderError::InsufficientMargin,
            ),
        ] {
            let before = root();
            let call = submit_call(0, vec![operation]);
            let origin = RuntimeOrigin::signed(Charlie.to_account_id());
            call.dispatch_bypass_filter(origin)
                .expect("operations fail one by one");
            assert_eq!(outcomes(), vec![Err(why)], "{operation:?}");
            assert_eq!(root(), before, "{operation:?} changed something");
        }
        cancel(Charlie, sequence).unwrap();
        assert_eq!(place(Charlie, good), Err(OrderError::ClientIdCancelled));
    });
}

/// Observations are transactions without a signer: whatever is wrong with one makes it invalid, and it costs nobody anything.
#[test]
fn observation_is_invalid_and_changes_nothing_when_anything_about_it_is_wrong() {
    use pallet_price_oracle::{crypto::AuthorityPair, Call, Observation, ObservedPrice};
    use sp_core::Pair;
    with_traders(|_| {
        let good = |round, observed_at, feed, price| Observation {
            validator: 0,
            round,
            observed_at,
            prices: vec![ObservedPrice {
                feed,
                price,
                confidence: Price::from_inner(0),
            }]
            .try_into()
            .unwrap(),
        };
        let (block, time, price) = (System::block_number(), now(), usd(20_000));
        let set = pallet_price_oracle::Observers::<Runtime>::get().id;
        let stranger = AuthorityPair::from(Bob.pair());
        let validator = AuthorityPair::from(Alice.pair());
        let unknown = Observation {
            validator: u32::MAX,
            ..good(block, time, 0, price)
        };
        for (key, observation) in [
            (&stranger, good(block, time, 0, price)),
            (&validator, unknown),
            (&validator, good(block + 1, time, 0, price)),
            (&validator, good(u32::MAX, time, 0, price)),
            (&validator, good(block - 1, time, 0, price)),
            (&validator, good(block, time + 10_001, 0, price)),
            (&validator, good(block, time - 10_001, 0, price)),
            (&validator, good(block, u64::MAX, 0, price)),
            (&validator, good(block, time, u16::MAX, price)),
            (&validator, good(block, time, 0, Price::from_inner(0))),
        ] {
            let signature = key.sign(&Oracle::payload(set, &observation));
            let call = Call::<Runtime>::observe {
                observation: observation.clone(),
                signature,
            };
            let before = pallet_price_oracle::Observations::<Runtime>::get(0);
            let applied = novate_runtime::Executive::apply_extrinsic(general(call));
            assert!(applied.is_err(), "{observation:?}: {applied:?}");
            let after = pallet_price_oracle::Observations::<Runtime>::get(0);
            assert_eq!(after, before);
            assert_eq!(
                pallet_price_oracle::Observations::<Runtime>::iter().count(),
                1
            );
        }
    });
}

/// Prices at the ends of their range reach the marks of a market with positions: nothing panics, and nothing is created.
#[test]
fn chain_survives_when_the_price_is_at_the_ends_of_its_range() {
    for price in [
        1,
        1_000_000,
        u128::MAX / 1_000_000_000_000,
        u128::MAX / 2,
        u128::MAX,
    ] {
        opened_at(usd(20_000)).execute_with(|| {
            block(usd(20_000), || {
                deposit(Bob, 10_000);
                deposit(Charlie, 10_000);
                ask(Bob, 4_000, ticks(20_000)).unwrap();
                bid(Charlie, 4_000, ticks(20_000)).unwrap();
            });
            for _ in 0..3 {
                block(Price::from_inner(price), || {
                    let _ = ask(Bob, 100, ticks(20_000));
                    let _ = bid(Charlie, 100, ticks(20_000));
                });
                conserved();
            }
            for _ in 0..12 {
                block(usd(20_000), || ());
                conserved();
            }
            equalities();
        });
    }
}
