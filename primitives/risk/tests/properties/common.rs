//! Markets, collaterals and accounts to draw from.

use novate_types::*;
use proptest::{collection::vec, prelude::*};

pub const MARKETS: u16 = 3;
pub const ASSETS: u32 = 2;

/// As many cases as a property needs, or as `PROPTEST_CASES` asks for.
pub fn cases(needed: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok());
    let cases = asked.unwrap_or(needed);
    ProptestConfig {
        cases,
        max_global_rejects: 20 * cases,
        ..ProptestConfig::default()
    }
}

/// A Bitcoin perpetual: tick 0.5 USD, lot 0.0001 BTC, IMF 5 %, MMF 3 %, no profit credit.
pub fn bitcoin(mark: Price) -> MarketView {
    market(
        1,
        Price::from_rational(1, 2),
        Size::from_rational(1, 10_000),
        50,
        mark,
        50_000,
        30_000,
        0,
    )
}

#[allow(clippy::too_many_arguments)]
pub fn market(
    id: MarketId,
    tick_size: Price,
    lot_size: Size,
    tick_value: u64,
    mark: Price,
    imf: Ppm,
    mmf: Ppm,
    profit_credit: Cash,
) -> MarketView {
    assert_eq!(math::tick_value(tick_size, lot_size), Some(tick_value));
    MarketView {
        id,
        underlying: id,
        status: MarketStatus::Open,
        tick_size,
        lot_size,
        tick_value,
        mark,
        index: mark,
        observed_at: 0,
        fresh: true,
        funding_index: 0,
        short_funding_index: 0,
        imf,
        mmf,
        profit_credit,
        price_band: 50_000,
        min_notional: 0,
        impact_notional: 0,
        open_interest_cap: u64::MAX,
        auction_at: 0,
        contract: Default::default(),
    }
}

pub fn collateral(asset: AssetId, decimals: u8, price: Price, haircut: Ppm) -> CollateralView {
    CollateralView {
        asset,
        price,
        fresh: true,
        params: CollateralParams {
            feed: 100 + asset as FeedId,
            decimals,
            haircut,
            large_value: Cash::MAX,
            large_haircut: haircut,
            value_cap: Cash::MAX,
            global_cap: u128::MAX,
        },
    }
}

pub fn view(markets: Vec<MarketView>, collaterals: Vec<CollateralView>) -> RiskView {
    RiskView {
        markets: markets.try_into().unwrap(),
        collaterals: collaterals.try_into().unwrap(),
        ..RiskView::default()
    }
}

pub fn usd(units: i128) -> Cash {
    units * QUANTUMS
}

pub fn position(
    market: MarketId,
    lots: SignedLots,
    cost: Cash,
    funding_index: FundingIndex,
) -> Position {
    Position {
        market,
        lots,
        cost,
        funding_index,
        rank: RankSlot::default(),
    }
}

pub fn account(cash: Cash, positions: Vec<Position>) -> MarginAccount {
    MarginAccount {
        cash,
        positions: positions.try_into().unwrap(),
        ..MarginAccount::default()
    }
}

/// Three contracts of different grain.
fn grain() -> impl Strategy<Value = (Price, Size, u64)> {
    prop_oneof![
        Just((
            Price::from_rational(1, 2),
            Size::from_rational(1, 10_000),
            50
        )),
        Just((
            Price::from_rational(1, 100),
            Size::from_rational(1, 100),
            100
        )),
        Just((Price::from_rational(1, 10_000), Size::from_u32(1), 100)),
        Just((
            Price::from_rational(1, 1_000),
            Size::from_rational(1, 1_000),
            1
        )),
    ]
}

/// A mark between a thousandth and a hundred thousand USD, rarely on a tick.
pub fn any_mark() -> impl Strategy<Value = Price> {
    (0u32..8, 1u128..1_000_000_000).prop_map(|(magnitude, digits)| {
        Price::from_inner(digits * 10u128.pow(6 + magnitude) + digits % 7)
    })
}

pub fn any_market(id: MarketId) -> impl Strategy<Value = MarketView> {
    (
        grain(),
        any_mark(),
        1u32..400_000,
        0u32..400_000,
        0i128..10_000 * QUANTUMS,
        any::<i64>(),
    )
        .prop_map(
            move |((tick, lot, value), mark, mmf, above, credit, funding)| MarketView {
                funding_index: i128::from(funding) >> 12,
                short_funding_index: i128::from(funding) >> 13,
                ..market(id, tick, lot, value, mark, mmf + above, mmf, credit)
            },
        )
}

pub fn any_collateral(asset: AssetId) -> impl Strategy<Value = CollateralView> {
    (
        any_mark(),
        6u8..19,
        0u32..1_000_000,
        0u32..1_000_000,
        0i128..1 << 45,
        0i128..1 << 50,
    )
        .prop_map(
            move |(price, decimals, haircut, large_haircut, large_value, value_cap)| {
                let mut view = collateral(asset, decimals, price, haircut);
                view.params.large_haircut = large_haircut;
                view.params.large_value = large_value;
                view.params.value_cap = value_cap;
                view
            },
        )
}

pub fn any_view() -> impl Strategy<Value = RiskView> {
    (
        (any_market(1), any_market(2), any_market(3)),
        (any_collateral(1), any_collateral(2)),
        any::<bool>(),
    )
        .prop_map(|((a, b, mut c), (x, y), same)| {
            if same {
                c.underlying = b.underlying;
            }
            view(vec![a, b, c], vec![x, y])
        })
}

/// Lots of either side, dust and large.
pub fn any_lots() -> impl Strategy<Value = SignedLots> {
    prop_oneof![
        -20i64..=20,
        -1_000_000i64..=1_000_000,
        -(1i64 << 36)..=1i64 << 36
    ]
}

/// An account in `view` with up to three positions and two collaterals. Unrealised profit lies between −100 % and +100 % of
/// notional; cash lies in the order of notional.
pub fn any_account(view: RiskView) -> impl Strategy<Value = (RiskView, MarginAccount)> {
    let held = vec(
        (any_lots(), -1_000i128..=1_000, any::<i32>()),
        MARKETS as usize,
    );
    let assets = vec(
        prop_oneof![Just(0u128), 0u128..1 << 40, 0u128..1 << 70],
        ASSETS as usize,
    );
    (held, assets, -1_500i128..=1_500).prop_map(move |(held, assets, cash)| {
        let mut account = MarginAccount::default();
        let mut notional = 0;
        for (market, (lots, gain, funding)) in view.markets.iter().zip(held) {
            if lots == 0 {
                continue;
            }
            let value = math::position_value_floor(lots, market.mark, market.lot_size).unwrap();
            notional += value.abs();
            let cost = value - value.abs() * gain / 1_000;
            let settled = market.funding_index_of(lots) + i128::from(funding);
            account
                .positions
                .try_push(position(market.id, lots, cost, settled))
                .unwrap();
        }
        account.cash = notional * cash / 1_000 + cash;
        for (collateral, amount) in view.collaterals.iter().zip(assets) {
            if amount > 0 {
                account
                    .collateral
                    .try_push((collateral.asset, amount))
                    .unwrap();
            }
        }
        (view.clone(), account)
    })
}

pub fn any_case() -> impl Strategy<Value = (RiskView, MarginAccount)> {
    any_view().prop_flat_map(any_account)
}
