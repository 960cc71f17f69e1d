//! What holds for every portfolio, and worked examples.

use crate::{common::float, generate::*};
use codec::{Decode, Encode, MaxEncodedLen};
use novate_math::{black76::Kind, normal_cdf, Scaled};
use novate_risk::{maintenance_ceil, portfolio::*, ModelError};
use novate_types::{Cash, MarketStatus, MarketView, Price, QUANTUMS};
use proptest::{collection::vec, prelude::*};
use sp_arithmetic::FixedU128;

fn fresh(legs: &[Leg], market: &Underlying, params: &PortfolioParams) -> (Scan, PortfolioMargin) {
    let mut prices = Prices::new(market, params).unwrap();
    let scan = Scan::of(legs, &mut prices).unwrap();
    (scan, PortfolioMargin::of(legs, &mut prices).unwrap())
}

fn scaled(legs: &[Leg], times: i64) -> Vec<Leg> {
    let scale = |leg: &Leg| Leg {
        lots: leg.lots * times,
        ..*leg
    };
    legs.iter().map(scale).collect()
}

fn is_option(leg: &Leg) -> bool {
    matches!(leg.contract, Contract::Option { .. })
}

fn any_volatility() -> impl Strategy<Value = VolatilityShock> {
    prop_oneof![
        Just(VolatilityShock::Same),
        Just(VolatilityShock::Up),
        Just(VolatilityShock::Down)
    ]
}

/// The default with other cells.
fn any_params() -> impl Strategy<Value = PortfolioParams> {
    let cell = (-1_000_000i64..4_000_000, any_volatility(), 0u64..=1_000_000);
    vec(cell, 1..40).prop_map(|cells| {
        let mut params = PortfolioParams::standard();
        let scenarios = cells
            .into_iter()
            .map(|(price, volatility, weight)| Scenario {
                price: signed_ppm(price),
                volatility,
                weight: ppm(weight),
            });
        params.grid.scenarios = scenarios.collect::<Vec<_>>().try_into().unwrap();
        params
    })
}

proptest! {
    #![proptest_config(runs(600))]

    /// What others asked for before changes nothing, and nobody pays for a price twice.
    #[test]
    fn prices_are_the_same_and_computed_once_when_accounts_share_them(
        market in any_market(0), accounts in vec(any_picks(), 1..6),
    ) {
        let params = PortfolioParams::standard();
        let mut shared = Prices::new(&market, &params).unwrap();
        let mut used = std::collections::BTreeSet::new();
        for picks in &accounts {
            let legs = legs(&market, picks);
            for _ in 0..2 {
                let got = (Scan::of(&legs, &mut shared).unwrap(), PortfolioMargin::of(&legs, &mut shared).unwrap());
                prop_assert_eq!(got, fresh(&legs, &market, &params));
            }
            used.extend(legs.iter().filter_map(|leg| match leg.contract {
                Contract::Option { series, .. } => Some(series),
                _ => None,
            }));
        }
        // The unmoved point and the two of the basis are cells of the grid.
        prop_assert_eq!(shared.priced(), used.len() as u64 * 33);
    }

    #[test]
    fn closed_form_is_the_scan_when_there_are_no_options(
        (market, legs) in any_portfolio(0), params in any_params(),
    ) {
        let legs: Vec<_> = legs.into_iter().filter(|leg| !is_option(leg)).collect();
        let mut prices = Prices::new(&market, &params).unwrap();
        let scan = Scan::of(&legs, &mut prices).unwrap();
        prop_assert_eq!(scan_risk(&legs, &mut prices), Ok(scan.risk()));
        prop_assert_eq!(prices.priced(), 0);
    }

    #[test]
    fn scan_of_a_combination_is_at_most_the_sum_of_its_legs(
        (market, legs) in any_portfolio(0), params in prop_oneof![Just(PortfolioParams::standard()), any_params()],
    ) {
        let mut prices = Prices::new(&market, &params).unwrap();
        let whole = Scan::of(&legs, &mut prices).unwrap();
        let mut sum = (0, 0, 0);
        for leg in &legs {
            let scan = Scan::of(&[*leg], &mut prices).unwrap();
            let margin = PortfolioMargin::of(&[*leg], &mut prices).unwrap().by_scan;
            sum = (sum.0 + scan.risk(), sum.1 + margin.maintenance, sum.2 + margin.initial);
        }
        let margin = PortfolioMargin::of(&legs, &mut prices).unwrap().by_scan;
        prop_assert!(whole.risk() <= sum.0);
        prop_assert!(margin.maintenance <= sum.1 && margin.initial <= sum.2);
    }

    #[test]
    fn requirement_never_falls_when_a_portfolio_grows_in_proportion(
        (market, legs) in any_portfolio(0), by in 2i64..9,
    ) {
        let params = PortfolioParams::standard();
        let (scan, margin) = fresh(&legs, &market, &params);
        let (larger, more) = fresh(&scaled(&legs, by), &market, &params);
        // A loss is linear in size, but for the last bit of each expiry's discount, of a weight and of what is linear.
        let bits = market.terms.len() as i128 + 2;
        prop_assert!(larger.risk() <= by as i128 * scan.risk() && larger.risk() >= by as i128 * (scan.risk() - bits));
        prop_assert!(margin.required().maintenance <= more.required().maintenance);
        prop_assert!(margin.required().initial <= more.required().initial);
    }

    #[test]
    fn requirement_is_at_most_that_of_the_parts_when_a_leg_is_added(
        (market, legs) in any_portfolio(0), hedge in (0u8..8, any::<u16>(), -20 * UNIT..20 * UNIT),
    ) {
        let params = PortfolioParams::standard();
        let hedge = leg(&market, hedge);
        let before = fresh(&legs, &market, &params).1;
        let alone = fresh(&[hedge], &market, &params).1;
        let after = fresh(&[legs.as_slice(), &[hedge]].concat(), &market, &params).1;
        for (required, parts, scan, most) in [
            (after.required().maintenance, after.by_parts.maintenance, after.by_scan.maintenance,
                before.by_parts.maintenance + alone.by_parts.maintenance),
            (after.required().initial, after.by_parts.initial, after.by_scan.initial,
                before.by_parts.initial + alone.by_parts.initial),
        ] {
            prop_assert_eq!(required, parts.min(scan));
            // An option may close one that is held, and then parts cost less.
            prop_assert!(required <= most);
        }
        prop_assert!(after.required().initial >= after.required().maintenance);
    }

    #[test]
    fn options_need_nothing_when_they_are_closed_by_their_opposite((market, legs) in any_portfolio(0)) {
        let options: Vec<_> = legs.into_iter().filter(is_option).collect();
        let closed = [options.clone(), scaled(&options, -1)].concat();
        let (scan, margin) = fresh(&closed, &market, &PortfolioParams::standard());
        prop_assert_eq!(scan.risk(), 0);
        prop_assert_eq!(scan.option_value, 0);
        prop_assert_eq!(margin, PortfolioMargin::default());
    }

    /// Put, call and future of an expiry: `C − P = D·(F − K)`, to half the last bit of a lot.
    #[test]
    fn scan_sees_a_forward_when_a_call_is_long_and_its_put_short(
        market in any_market(DAY), which in any::<u16>(), lots in 1i64..100 * UNIT,
    ) {
        let series = which % market.series.len() as u16;
        let of = |kind, lots| Leg { contract: Contract::Option { series, kind }, lots };
        let (scan, _) = fresh(&[of(Kind::Call, lots), of(Kind::Put, -lots)], &market, &PortfolioParams::standard());
        let params = PortfolioParams::standard();
        let term = &market.terms[usize::from(market.series[usize::from(series)].term)];
        let notional = float(number(term.forward).times(term.discount).unwrap()) * lots as f64 / UNIT as f64 * 1e6;
        for (cell, loss) in params.grid.scenarios.iter().zip(&scan.losses) {
            let weighted = cell.price.into_inner() as f64 / 1e18 * cell.weight.into_inner() as f64 / 1e18;
            let want = -notional * weighted;
            let got = *loss as f64 / 2f64.powi(FINE_BITS as i32);
            prop_assert!((want - got).abs() <= 1e-9 * notional + 1e-6, "{} for {}", got, want);
        }
    }
}

/// A number in floating point, for the reference.
fn f(x: Unsigned) -> f64 {
    float(number(x))
}

fn cdf(x: f64) -> f64 {
    let x: Scaled = format!("{x:e}").parse().unwrap();
    float(normal_cdf(x).unwrap())
}

fn black(kind: Kind, forward: f64, strike: f64, s: f64, discount: f64) -> f64 {
    let sign = if kind == Kind::Call { 1.0 } else { -1.0 };
    if s == 0.0 {
        return discount * (sign * (forward - strike)).max(0.0);
    }
    let d = (forward / strike).ln() / s + s / 2.0;
    discount * sign * (forward * cdf(sign * d) - strike * cdf(sign * (d - s)))
}

/// Section 11 in floating point, leg by leg and cell by cell, nothing shared: losses of the default grid in USD.
fn reference(legs: &[Leg], market: &Underlying) -> (Vec<f64>, f64) {
    let grid = Grid::standard();
    let volatility = |volatility: f64, years: f64, k: f64, shock| {
        let days = years * 365.0;
        let power = if years <= 30.0 / 365.0 { 0.30 } else { 0.13 };
        let m = (30.0 / days.max(1.0)).powf(power);
        let turned = |k: f64| {
            let root = years.sqrt();
            let cap = 0.15 - 0.05 * root;
            let width = (root * 4.0 * (0.6 - 0.1 * root)).max(0.01);
            volatility * (1.0 + (k * cap / width).clamp(-cap, cap))
        };
        match shock {
            VolatilityShock::Same => volatility,
            VolatilityShock::Up => (volatility * (1.0 + 0.5 * m)).max(0.45),
            VolatilityShock::Down => volatility * (1.0 - 0.275 * m).max(0.0),
            VolatilityShock::SkewLinear => turned(k),
            VolatilityShock::SkewAbsolute => turned(k.abs()),
        }
    };
    let change = |leg: &Leg, price: f64, shock| {
        let lots = leg.lots as f64 / UNIT as f64;
        match leg.contract {
            Contract::Linear { mark, term, .. } => {
                let settled = term.map_or(0.0, |at| f(market.terms[usize::from(at)].settled));
                (None, term, lots * (f(mark) - settled.min(f(mark))) * price)
            }
            Contract::Collateral {
                price: worth,
                moves,
                ..
            } => (
                None,
                None,
                if moves { lots * f(worth) * price } else { 0.0 },
            ),
            Contract::Option { series, kind } => {
                let series = &market.series[usize::from(series)];
                let term = &market.terms[usize::from(series.term)];
                let (forward, strike, years) =
                    (f(term.forward), f(series.strike), float(term.years));
                let (settled, discount) = (f(term.settled), float(term.discount));
                let moved = (forward - settled) * (1.0 + price) + settled;
                let shocked =
                    volatility(f(series.volatility), years, (strike / forward).ln(), shock);
                let value = |forward, volatility: f64| {
                    black(kind, forward, strike, volatility * years.sqrt(), discount)
                };
                let change = value(moved, shocked) - value(forward, f(series.volatility));
                (Some(series.term), Some(series.term), lots * change)
            }
        }
    };
    let losses = grid.scenarios.iter().map(|cell| {
        let price = cell.price.into_inner() as f64 / 1e18;
        let mut by_term = std::collections::BTreeMap::<_, f64>::new();
        let mut sum = 0.0;
        for leg in legs {
            match change(leg, price, cell.volatility) {
                (Some(term), _, value) => *by_term.entry(term).or_default() += value,
                (None, _, value) => sum += value,
            }
        }
        let turned = cell.volatility >= VolatilityShock::SkewLinear;
        sum += by_term
            .values()
            .map(|v| if turned { -v.abs() } else { *v })
            .sum::<f64>();
        -sum * cell.weight.into_inner() as f64 / 1e18
    });
    let losses = losses.collect();
    let mut basis = 0.0;
    for (at, term) in market.terms.iter().enumerate() {
        let moved = |price: f64| -> f64 {
            let of_term = |leg: &&Leg| change(leg, 0.0, VolatilityShock::Same).1 == Some(at as u16);
            legs.iter()
                .filter(of_term)
                .map(|leg| change(leg, price, VolatilityShock::Same).2)
                .sum()
        };
        basis += -moved(0.045).min(moved(-0.045)).min(0.0) * (0.5 + 2.0 * float(term.years));
    }
    (losses, basis)
}

proptest! {
    #![proptest_config(runs(250))]

    #[test]
    fn scan_agrees_with_section_eleven_in_floating_point((market, legs) in any_portfolio(0)) {
        let (scan, _) = fresh(&legs, &market, &PortfolioParams::standard());
        let (losses, basis) = reference(&legs, &market);
        let gross: f64 = legs.iter().map(|leg| leg.lots.unsigned_abs() as f64 / UNIT as f64 * f(market.index)).sum();
        let usd = |x: Fine| x as f64 / 1e6 / 2f64.powi(FINE_BITS as i32);
        prop_assert_eq!(losses.len(), scan.losses.len());
        for (at, (want, got)) in losses.iter().zip(&scan.losses).enumerate() {
            prop_assert!((want - usd(*got)).abs() <= 1e-11 * gross + 1e-12, "cell {}: {} for {}", at, usd(*got), want);
        }
        prop_assert!((basis - usd(scan.basis)).abs() <= 1e-11 * gross + 1e-12);
    }
}

fn usd(units: i128) -> Cash {
    units * QUANTUMS
}

/// An expiry in 30 days around an index of 1,000, no interest.
fn plain() -> Underlying {
    let one = ppm(1_000_000);
    let price = Price::from_u32;
    Underlying {
        index: price(1_000),
        confidence: one,
        settlement: one,
        open_interest: 0,
        terms: vec![Term::new(30 * DAY, price(1_000), price(0), signed_ppm(0)).unwrap()],
        series: [900, 1_000, 1_100, 1_500]
            .map(|strike| Series {
                term: 0,
                strike: price(strike),
                volatility: ppm(600_000),
                lot_size: LOT,
            })
            .into(),
    }
}

fn option(series: u16, kind: Kind, lots: i64) -> Leg {
    Leg {
        contract: Contract::Option { series, kind },
        lots,
    }
}

#[test]
fn default_has_the_cells_that_section_eleven_names() {
    let params = PortfolioParams::standard();
    assert_eq!(params.validate(), Ok(()));
    let cells = &params.grid.scenarios;
    let one = ppm(1_000_000);
    let turned = |cell: &&Scenario| cell.volatility >= VolatilityShock::SkewLinear;
    assert_eq!(cells.len(), 33);
    assert_eq!(cells.iter().filter(turned).count(), 2);
    assert_eq!(cells.iter().filter(|cell| cell.weight < one).count(), 8);
    for tail in cells.iter().filter(|cell| cell.weight < one) {
        let product =
            tail.weight.into_inner() as f64 * tail.price.into_inner().unsigned_abs() as f64 / 1e36;
        assert!((product - 0.036).abs() < 1e-15);
    }
}

#[test]
fn params_fit_their_bound_and_come_back() {
    let mut params = PortfolioParams::standard();
    params.contingencies.sizes = vec![
        SizeStep {
            above: usd(1),
            rate: ppm(1)
        };
        4
    ]
    .try_into()
    .unwrap();
    let bytes = params.encode();
    assert!(bytes.len() <= PortfolioParams::max_encoded_len());
    assert_eq!(PortfolioParams::decode(&mut &bytes[..]), Ok(params));
}

#[test]
fn params_are_refused_when_they_contradict_themselves() {
    type Change = fn(&mut PortfolioParams);
    let changes: [Change; 13] = [
        |p| p.grid.scenarios = Default::default(),
        |p| p.grid.scenarios[0].price = signed_ppm(-1_000_001),
        |p| p.grid.basis.down = signed_ppm(-1_000_001),
        |p| p.grid.long.base = ppm(950_000),
        |p| p.grid.short.base = ppm(999_999),
        |p| p.grid.skew.least_width = ppm(0),
        |p| p.grid.skew.linear.flat = signed_ppm(250_001),
        |p| p.grid.skew.absolute.per_root_year = signed_ppm(-125_001),
        |p| p.grid.skew.level_per_root_year = signed_ppm(-300_001),
        |p| p.factors.maintenance = ppm(1_000_001),
        |p| p.parts.maintenance.most = ppm(150_001),
        |p| p.parts.maintenance.least = ppm(100_001),
        |p| {
            if let VolatilityRange::Relative { short_power, .. } = &mut p.grid.volatility {
                *short_power = ppm(500_001);
            }
        },
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut params = PortfolioParams::standard();
        change(&mut params);
        assert_eq!(params.validate(), Err(ModelError::Invalid), "change {at}");
    }
    let mut span = PortfolioParams::standard();
    span.grid = Grid::span16(Price::from_u32(100), ppm(200_000), ppm(330_000));
    assert_eq!(span.validate(), Ok(()));
}

#[test]
fn perpetual_alone_needs_what_the_linear_rule_says() {
    let market = plain();
    let contract = perpetual(Price::from_u32(1_001));
    let view = MarketView {
        id: 1,
        underlying: 1,
        status: MarketStatus::Open,
        tick_size: LOT,
        lot_size: LOT,
        tick_value: 1,
        mark: Price::from_u32(1_001),
        index: market.index,
        observed_at: 0,
        fresh: true,
        funding_index: 0,
        short_funding_index: 0,
        imf: 50_000,
        mmf: 30_000,
        profit_credit: 0,
        price_band: 0,
        min_notional: 0,
        impact_notional: 0,
        open_interest_cap: 0,
        auction_at: 0,
        contract: Default::default(),
    };
    for lots in [-7 * UNIT, -1, 0, 1, 3, 7 * UNIT + 1] {
        let (_, margin) = fresh(
            &[Leg { contract, lots }],
            &market,
            &PortfolioParams::standard(),
        );
        assert_eq!(
            margin.by_parts.maintenance,
            maintenance_ceil(&view, lots).unwrap()
        );
        if lots.abs() >= 7 * UNIT {
            assert_eq!(margin.required(), margin.by_parts);
        }
    }
}

/// Index 1,000; maintenance `max(10 % − otm, 7.5 %)`, initial `max(15 % − otm, 10 %)`.
#[test]
fn short_options_need_their_worked_margins_by_parts() {
    let market = plain();
    let parts = |leg: Leg| {
        fresh(&[leg], &market, &PortfolioParams::standard())
            .1
            .by_parts
    };
    let margins = |maintenance, initial| Margins {
        maintenance: usd(maintenance),
        initial: usd(initial),
    };
    for (series, kind, maintenance, initial) in [
        // In the money, at it, 10 % and 50 % out of it.
        (0, Kind::Call, 100, 150),
        (1, Kind::Call, 100, 150),
        (2, Kind::Call, 75, 100),
        (3, Kind::Call, 75, 100),
        (0, Kind::Put, 75, 100),
        (1, Kind::Put, 100, 150),
        (3, Kind::Put, 100, 150),
    ] {
        let got = parts(option(series, kind, -2 * UNIT));
        assert_eq!(got, margins(2 * maintenance, 2 * initial));
    }
    // A put on a strike of 4 never costs more than 4.
    let mut cheap = plain();
    cheap.series[0].strike = Price::from_u32(4);
    let of = |leg| {
        fresh(&[leg], &cheap, &PortfolioParams::standard())
            .1
            .by_parts
    };
    assert_eq!(of(option(0, Kind::Put, -UNIT)), margins(4, 4));
    // A long one needs its own value, and finances nothing.
    let long = fresh(
        &[option(1, Kind::Call, UNIT)],
        &market,
        &PortfolioParams::standard(),
    );
    let value = cash_ceil(long.0.option_value).unwrap();
    assert!(value > usd(60));
    assert_eq!(
        (long.1.by_parts.maintenance, long.1.by_parts.initial),
        (value, value)
    );
}

/// Everything that is added to the scan, on a portfolio whose scan risk is nothing.
#[test]
fn contingencies_are_exact_on_worked_numbers() {
    let mut market = plain();
    let params = {
        let mut params = PortfolioParams::standard();
        params.contingencies.sizes = vec![SizeStep {
            above: usd(1_500),
            rate: ppm(10_000),
        }]
        .try_into()
        .unwrap();
        params
    };
    // Two shorts against one long of the strike: one is net short. A long and a short perpetual.
    let hedged = |mark| Leg {
        contract: perpetual(mark),
        lots: UNIT,
    };
    let mark = Price::from_u32(1_000);
    let legs = [
        hedged(mark),
        Leg {
            lots: -UNIT,
            ..hedged(mark)
        },
        option(1, Kind::Call, -2 * UNIT),
        option(1, Kind::Put, UNIT),
    ];
    let extra = |market: &Underlying| {
        let (scan, margin) = fresh(&legs, market, &params);
        let factor =
            |risk: Fine, tenths: i128| (risk * tenths / 10) as f64 / 2f64.powi(FINE_BITS as i32);
        let maintenance = margin.by_scan.maintenance as f64 - factor(scan.risk(), 8);
        let initial = margin.by_scan.initial as f64 - factor(scan.risk(), 10);
        (maintenance, initial)
    };
    let near = |got: (f64, f64), maintenance: f64, initial: f64| {
        assert!(
            (got.0 - maintenance * 1e6).abs() < 2.0,
            "{} for {maintenance}",
            got.0 / 1e6
        );
        assert!(
            (got.1 - initial * 1e6).abs() < 2.0,
            "{} for {initial}",
            got.1 / 1e6
        );
    };
    // 1.5 % and 2 % of 2,000; 0.3 % and 0.5 % of 1,000; 1 % of the size above 1,500.
    near(extra(&market), 33.0, 40.0 + 5.0 + 15.0);
    // 4,000 open: a share of 75 %, 65 % over, at 20 %: 13 % of 3,000.
    market.open_interest = usd(4_000);
    near(extra(&market), 33.0, 60.0 + 390.0);
    market.open_interest = 0;
    // Confidence 0.5 in the forward: half of the option's notional; in the index: of all.
    market.terms[0].confidence = ppm(500_000);
    near(extra(&market), 33.0, 60.0 + 500.0);
    market.confidence = ppm(500_000);
    near(extra(&market), 33.0, 60.0 + 1_500.0);
    market.confidence = ppm(550_000);
    near(extra(&market), 33.0, 60.0 + 500.0);
}

#[test]
fn initial_factor_rises_when_the_settlement_currency_falls() {
    let params = PortfolioParams::standard();
    for (settlement, factor) in [
        (1_020_000, 1_000_000),
        (980_000, 1_000_000),
        (880_000, 1_200_000),
    ] {
        let market = Underlying {
            settlement: ppm(settlement),
            ..plain()
        };
        let prices = Prices::new(&market, &params).unwrap();
        assert_eq!(initial_factor(&prices), Ok(ppm(factor)));
    }
}

#[test]
fn term_settles_within_its_last_half_hour() {
    let price = Price::from_u32;
    let term =
        |seconds, settled| Term::new(seconds, price(1_800), price(settled), signed_ppm(0)).unwrap();
    assert_eq!(term(1_801, 0).settled, price(0));
    assert_eq!(term(1_800, 0).settled, price(0));
    assert_eq!(term(600, 0).settled, price(1_200));
    assert_eq!(term(600, 7).settled, price(7));
    assert_eq!(term(0, 0).settled, price(1_800));
    assert!(term(0, 0).years.is_zero());
    let discount = |rate| {
        Term::new(365 * DAY, price(1), price(0), signed_ppm(rate))
            .unwrap()
            .discount
    };
    assert_eq!(discount(-50_000), Scaled::ONE);
    assert!((float(discount(50_000)) - (-0.05f64).exp()).abs() < 1e-15);
}

#[test]
fn options_move_no_more_when_they_have_expired() {
    let mut market = plain();
    let price = Price::from_u32;
    market.terms[0] = Term::new(0, price(1_040), price(0), signed_ppm(0)).unwrap();
    let legs = [option(1, Kind::Call, -UNIT), option(2, Kind::Put, UNIT)];
    let (scan, _) = fresh(&legs, &market, &PortfolioParams::standard());
    assert_eq!(scan.risk(), 0);
    // 1,100 − 1,040 less 1,040 − 1,000.
    assert_eq!(cash_ceil(scan.option_value), Ok(usd(20)));
}

#[test]
fn leg_is_refused_when_its_series_or_expiry_is_not_listed() {
    let market = plain();
    let params = PortfolioParams::standard();
    let mut prices = Prices::new(&market, &params).unwrap();
    let future = Contract::Linear {
        mark: market.index,
        lot_size: LOT,
        term: Some(1),
        mmf: 1,
        imf: 1,
    };
    for leg in [
        option(4, Kind::Call, 1),
        Leg {
            contract: future,
            lots: 1,
        },
    ] {
        assert_eq!(Scan::of(&[leg], &mut prices), Err(ModelError::Missing));
        assert_eq!(
            PortfolioMargin::of(&[leg], &mut prices),
            Err(ModelError::Missing)
        );
    }
}

#[test]
fn scan_overflows_as_an_error_when_a_position_is_absurd() {
    let mut market = plain();
    market.series[0].lot_size = FixedU128::from_inner(u128::MAX / 4);
    let params = PortfolioParams::standard();
    let mut prices = Prices::new(&market, &params).unwrap();
    assert!(Scan::of(&[option(0, Kind::Call, i64::MAX)], &mut prices).is_err());
}
