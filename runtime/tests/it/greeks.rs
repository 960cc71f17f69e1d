//! Options in the runtime API: quotes with Greeks, and accounts with what their portfolios need by either rule.

use crate::common::{account as account_of, *};
use novate_risk::{
    portfolio::{AtOnce, Lesser, Signed, Worst},
    surface::{Slice, Smile, Surface, GRID},
    Linear,
};
use novate_runtime::{
    configs::exchange::{RiskRules, BTC_FEED},
    queries::{account, quotes, simulate},
    Runtime,
};
use novate_runtime_api::{HypotheticalTrade, QueryError, MAX_TRADES};
use novate_types::{
    ContractKind, InstrumentKind, MarketId, MarketParams, Millis, OptionRight, Position, Price,
    RiskModel, SignedLots, QUANTUMS,
};

const DAY: Millis = 86_400_000;

/// Lists calls and puts at 20,000 and a future of one expiry, under a surface of 60 % a year that has just been seen.
fn list(expiry: Millis) {
    let tick_size = Price::from_rational(1, 2);
    let option = |right| InstrumentKind::Option {
        expiry,
        strike: ticks(20_000),
        right,
    };
    let kinds = [
        option(OptionRight::Call),
        option(OptionRight::Put),
        InstrumentKind::Future { expiry },
    ];
    let params = MarketParams {
        tier: 0,
        min_notional: 10 * QUANTUMS,
        open_interest_cap: 100_000_000,
        interest_8h_ppm: 100,
        funding_cap_factor: 6_000_000,
    };
    for kind in kinds {
        list_on_bitcoin(kind, tick_size, Price::from_rational(1, 10_000), params);
    }
    let slice = Slice {
        expiry,
        observed_at: now(),
        smile: Smile([360_000_000_000; GRID.len()]),
    };
    let surface = Surface(vec![slice].try_into().unwrap());
    pallet_price_oracle::Surfaces::<Runtime>::insert(BTC_FEED, surface);
}

fn listed(kind: ContractKind) -> MarketId {
    let view = view();
    let found = view.markets.iter().find(|m| m.contract.kind == kind);
    found.unwrap_or_else(|| panic!("no {kind:?}")).id
}

fn trade(kind: ContractKind, lots: SignedLots) -> HypotheticalTrade {
    HypotheticalTrade {
        market: listed(kind),
        lots,
        ticks: None,
    }
}

#[test]
fn quotes_have_greeks_and_portfolios_both_rules() {
    opened_at(usd(20_000)).execute_with(|| {
        let expiry = (now() / DAY + 8) * DAY;
        block(usd(20_000), || {
            deposit(Bob, 100_000);
            list(expiry);
        });
        blocks(2, usd(20_000));

        let all = quotes(BTC_FEED);
        assert_eq!(all.len(), 4);
        let of = |kind| *all.iter().find(|q| q.market == listed(kind)).unwrap();
        let (call, put) = (of(ContractKind::Call), of(ContractKind::Put));
        let delta = |q: novate_runtime_api::QuoteInfo| q.greeks.unwrap().delta;
        assert_eq!(delta(of(ContractKind::Perpetual)), Signed::from_u32(1));
        assert_eq!(delta(of(ContractKind::Future)), Signed::from_u32(1));
        let parity = (delta(call) - delta(put) - Signed::from_u32(1)).into_inner();
        assert!(parity.abs() <= 2, "{parity}");
        let volatility = call.volatility.unwrap().into_inner() as f64 / 1e18;
        assert!((volatility - 0.6).abs() < 1e-6, "{volatility}");
        assert!(call.mark > Some(Price::from_u32(100)) && call.bid.is_none());
        assert!(quotes(BTC_FEED + 1_000).is_empty());

        // A unit of everything: a covered call, and a put against it.
        let bob = main_account(Bob);
        let before = account(&bob).unwrap();
        assert!(before.portfolios.is_empty());
        let trades = [
            trade(ContractKind::Perpetual, 10_000),
            trade(ContractKind::Call, -10_000),
        ];
        let covered = simulate(&bob, &trades).unwrap();
        let [portfolio] = covered.portfolios[..] else {
            panic!("{:?}", covered.portfolios)
        };
        let required = portfolio.required();
        assert_eq!(required.initial, covered.assessment.initial);
        assert_eq!(required.maintenance, covered.assessment.maintenance);
        let scan = portfolio.by_scan.unwrap();
        assert!(scan.margins.maintenance <= scan.margins.initial && scan.loss > 0);
        let Worst::Scenario(worst) = scan.worst else {
            panic!("{scan:?}")
        };
        assert!(worst.price < Signed::from_u32(0), "{worst:?}");
        let expected = Signed::from_u32(1) - delta(call);
        assert_eq!(portfolio.greeks.unwrap().delta, expected);
        assert_eq!(covered.positions[1].greeks.unwrap().delta, -delta(call));

        let many = vec![trades[0]; MAX_TRADES + 1];
        assert_eq!(simulate(&bob, &many).unwrap_err(), QueryError::OutOfRange);
        assert!(simulate(&bob, &many[1..]).is_ok());
    });
}

#[test]
fn the_chain_margins_a_hedge_as_whoever_prices_it_from_the_view() {
    opened_at(usd(20_000)).execute_with(|| {
        let expiry = (now() / DAY + 8) * DAY;
        block(usd(20_000), || {
            deposit(Bob, 100_000);
            list(expiry);
        });
        blocks(2, usd(20_000));
        let priced = pallet_clearing::Scenarios::<Runtime>::get((BTC_FEED, expiry));
        assert_eq!(priced.map(|rows| rows.len()), Some(2));
        let view = view();
        for held in [
            [
                (ContractKind::Call, -10_000),
                (ContractKind::Perpetual, 10_000),
            ],
            [(ContractKind::Call, -10_000), (ContractKind::Put, 10_000)],
            [(ContractKind::Put, -10_000), (ContractKind::Future, -5_000)],
        ] {
            let mut holder = account_of(&main_account(Bob));
            let mut positions: Vec<_> = held
                .map(|(kind, lots)| Position {
                    market: listed(kind),
                    lots,
                    cost: 0,
                    funding_index: 0,
                    rank: Default::default(),
                })
                .into();
            positions.sort_by_key(|position| position.market);
            holder.positions = positions.try_into().unwrap();
            let found = RiskRules::assess(&holder, &view);
            assert_eq!(found, Lesser::<AtOnce>::assess(&holder, &view));
            let parts = Linear::assess(&holder, &view).unwrap();
            assert!(found.unwrap().maintenance <= parts.maintenance, "{held:?}");
        }
    });
}

#[test]
fn what_stands_of_a_settlement_moves_no_delta() {
    opened_at(usd(20_000)).execute_with(|| {
        // A quarter of an hour before the expiry: half of the mean stands.
        let expiry = now() + 2 * 3_600_000;
        block(usd(20_000), || list(expiry));
        while now() + 900_000 < expiry {
            begin(10_000);
            observe(usd(20_000));
            end();
        }
        let all = quotes(BTC_FEED);
        let of = |kind| all.iter().find(|q| q.market == listed(kind)).unwrap();
        let future = of(ContractKind::Future).greeks.unwrap().delta;
        let open = future.into_inner() as f64 / 1e18;
        assert!((open - 0.5).abs() < 0.01, "{open} of the future moves");
        assert_eq!(
            of(ContractKind::Perpetual).greeks.unwrap().delta,
            Signed::from_u32(1)
        );
    });
}
