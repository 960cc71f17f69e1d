//! What governance does: every parameter, within its step, at its bound and beyond it; every status; listings and their end.

use super::{
    step::{Amount, Who},
    world::{account_of, market_of},
};
use crate::common::{now, usd, Random, USD};
use novate_risk::portfolio::PortfolioParams;
use novate_runtime::{
    configs::exchange::{BTC, BTC_FEED, USDC, USDT, USDT_FEED},
    Margin, Runtime, RuntimeCall, System,
};
use novate_types::{
    symbol::symbol_of, AssetId, FeedId, InstrumentKind, Ledger, LoanParams, MarketId, MarketParams,
    MarketStatus, OptionRight, Price, RiskTier, TierId,
};
use pallet_instruments::{SeriesRule, LEAST_TERM, MOST_STRIKES, MOST_TERM};
use pallet_price_oracle::{Feed, Source, SourceName, Subject as Configured, Text};

use sp_runtime::{FixedI128, FixedU128};

/// Wrapped bitcoin: an asset that is no collateral until governance lists it.
pub const WRAPPED: AssetId = 4;
/// A feed that nobody needs.
pub const IDLE_FEED: FeedId = 7;

/// A parameter's new value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// The old one and so many ppm of it more.
    By(i64),
    /// So many units more.
    Plus(i64),
    Exactly(i64),
}

impl Value {
    /// What follows `old`; that again where its type cannot hold it.
    fn after<T: Copy + TryFrom<i128> + TryInto<i128>>(self, old: T) -> T {
        let was = old.try_into().unwrap_or(i128::MAX);
        let is = match self {
            Self::By(ppm) => was.saturating_add(was.saturating_mul(ppm.into()) / 1_000_000),
            Self::Plus(units) => was.saturating_add(units.into()),
            Self::Exactly(value) => value.into(),
        };
        T::try_from(is).unwrap_or(old)
    }
}

/// A parameter of a tier, in the order of [`RiskTier`].
pub type TierField = u8;
/// A parameter of a market, in the order of [`MarketParams`].
pub type MarketField = u8;
/// A parameter of collateral, in the order of `CollateralParams`.
pub type CollateralField = u8;
/// A parameter of loans, in the order of [`LoanParams`].
pub type LoanField = u8;

/// A parameter of the portfolio model: a factor on the scan, all moves of prices, a contingency, or scenarios beyond those that may be.
pub type ScanField = u8;

/// A contract that expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dated {
    Future,
    /// Its strike is so many steps of 1,000 USD from the index.
    Call(i8),
    Put(i8),
}

/// What a scheduled change is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Tier(TierId),
    Market(MarketId),
    Fees,
    Collateral(AssetId),
    LossCap(MarketId),
    Feed(FeedId),
    Source(u8),
    Loans,
    Scan,
}

/// What governance does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The emergency's: only narrower.
    Restrict(MarketId, MarketStatus),
    SetStatus(MarketId, MarketStatus),
    /// The open-interest cap falls to so many lots above open interest.
    OpenInterestCap(MarketId, i64),
    /// The vault's loss cap falls, to so many USD.
    LossCap(MarketId, i32),
    /// It moves, in a day.
    MoveLossCap(MarketId, Value),
    FeeTier(Who, u8),
    GlobalCap(AssetId, Amount),
    /// Parameters move, in a day.
    Tier(TierId, TierField, Value),
    Market(MarketId, MarketField, Value),
    Collateral(AssetId, CollateralField, Value),
    /// A fee of that number moves, in a day: the maker's, or the taker's.
    Fees(u8, bool, Value),
    /// Wrapped bitcoin has so many decimals.
    Redenominate(u8),
    /// What was scheduled will not come.
    Cancel(Subject),
    /// Another tier like the first, with one parameter that differs.
    AddTier(TierId, TierField, Value),
    /// A market of that symbol: its feed, its grid of so many, its tier.
    List(u8, FeedId, u8, TierId),
    Delist(MarketId),
    /// So many more quotes that a feed needs, in a day; none to remove it.
    Feed(FeedId, Option<i8>),
    /// Another interval of a source, in a day; none to remove it.
    Source(u8, Option<Value>),
    DisableSource(u8),
    /// How many option chains a feed's surface needs, in a day; none for no surface.
    Chains(FeedId, u8),
    /// A parameter of loans moves, in a day.
    Loans(LoanField, Value),
    /// A parameter of the portfolio model moves, in a day.
    Scan(ScanField, Value),
    /// What the pot lends falls to such a part of it.
    UtilisationCap(Value),
    /// A contract that expires so many milliseconds from now.
    Dated(Dated, u64),
    /// So many strikes on each side, so many USD apart, are listed by rule on a feed, in such a tier; none for no rule.
    Series(FeedId, Option<(u8, u64, TierId)>),
}

impl Rule {
    /// The same of the market that is listed.
    fn of_listed(self) -> Self {
        match self {
            Self::Restrict(market, to) => Self::Restrict(market_of(market), to),
            Self::SetStatus(market, to) => Self::SetStatus(market_of(market), to),
            Self::OpenInterestCap(market, to) => Self::OpenInterestCap(market_of(market), to),
            Self::LossCap(market, to) => Self::LossCap(market_of(market), to),
            Self::MoveLossCap(market, to) => Self::MoveLossCap(market_of(market), to),
            Self::Market(market, field, to) => Self::Market(market_of(market), field, to),
            Self::Delist(market) => Self::Delist(market_of(market)),
            Self::Cancel(Subject::Market(market)) => {
                Self::Cancel(Subject::Market(market_of(market)))
            }
            Self::Cancel(Subject::LossCap(market)) => {
                Self::Cancel(Subject::LossCap(market_of(market)))
            }
            other => other,
        }
    }
}

fn value(random: &mut Random) -> Value {
    match random.below(12) {
        0..4 => Value::By(*random.pick(&[-250_001, -250_000, 250_000, 250_001])),
        4..7 => Value::By(random.within(-60_000, 60_000)),
        7 => Value::Plus(0),
        8..10 => Value::Plus(*random.pick(&[-1_000, -100, -1, 1, 100, 1_000, 7_500])),
        _ => Value::Exactly(*random.pick(&[i64::MIN, -1, 0, 1, 1_000_000, 1_000_001, i64::MAX])),
    }
}

fn subject(random: &mut Random, market: MarketId) -> Subject {
    match random.below(10) {
        0..2 => Subject::Tier(0),
        2 => Subject::Market(market),
        3 => Subject::Fees,
        4 => Subject::Collateral(*random.pick(&[USDT, BTC, WRAPPED])),
        5 => Subject::LossCap(market),
        6 => Subject::Feed(*random.pick(&[BTC_FEED, IDLE_FEED])),
        7 => Subject::Loans,
        8 => Subject::Scan,
        _ => Subject::Source(random.below(6) as u8),
    }
}

/// Something that governance does to `market`, `who`, or neither.
pub fn rule(random: &mut Random, market: MarketId, who: Who) -> Rule {
    let asset = *random.pick(&[USDT, BTC, WRAPPED, USDC, 99]);
    match random.below(61) {
        0..5 => {
            let status = [MarketStatus::ReduceOnly, MarketStatus::Halted];
            Rule::Restrict(market, *random.pick(&status))
        }
        5..20 => Rule::SetStatus(market, MarketStatus::Open),
        20..22 => Rule::OpenInterestCap(market, *random.pick(&[-1, 0, 1, 50_000])),
        22 => Rule::LossCap(market, *random.pick(&[-1, 0, 1, 1_000, 100_000])),
        23 => Rule::MoveLossCap(market, value(random)),
        24..27 => Rule::FeeTier(who, random.below(4) as u8),
        27 => Rule::GlobalCap(asset, Amount::Wallet(random.within(-1, 1))),
        28..32 => {
            let tier = *random.pick(&[0, 0, 0, 1, 9]);
            Rule::Tier(tier, random.below(10) as u8, value(random))
        }
        32..34 => Rule::Market(market, random.below(5) as u8, value(random)),
        34..37 => Rule::Collateral(asset, random.below(7) as u8, value(random)),
        37..39 => Rule::Fees(random.below(4) as u8, random.one_in(2), value(random)),
        39..42 => Rule::Cancel(subject(random, market)),
        42 => Rule::AddTier(
            *random.pick(&[0, 1, 2]),
            random.below(10) as u8,
            value(random),
        ),
        43 => Rule::List(
            random.below(4) as u8,
            *random.pick(&[BTC_FEED, BTC_FEED, USDT_FEED, 9]),
            random.below(4) as u8,
            *random.pick(&[0, 0, 0, 1]),
        ),
        44 => Rule::Delist(market),
        45 => {
            let more = *random.pick(&[None, Some(-2), Some(-1), Some(0), Some(1), Some(2)]);
            Rule::Feed(*random.pick(&[BTC_FEED, USDT_FEED, IDLE_FEED, 9]), more)
        }
        46 => {
            let interval = random.one_in(3).then_some(Value::Exactly(6_001));
            let interval = interval.or((!random.one_in(4)).then(|| value(random)));
            Rule::Source(random.below(6) as u8, interval)
        }
        47 => Rule::DisableSource(random.below(12) as u8),
        48..50 => Rule::Loans(random.below(7) as u8, value(random)),
        50 => {
            let to = *random.pick(&[0, 1, 500_000, 899_999, 900_000, 900_001]);
            Rule::UtilisationCap(Value::Exactly(to))
        }
        51..55 => dated(random),
        55 => Rule::Chains(
            *random.pick(&[BTC_FEED, BTC_FEED, USDT_FEED, 9]),
            *random.pick(&[0, 1, 2, 2, 3, 3, u8::MAX]),
        ),
        56..59 => Rule::Scan(random.below(5) as u8, value(random)),
        _ => series(random),
    }
}

/// A contract of an hour, of more, and of a moment less than may be.
fn dated(random: &mut Random) -> Rule {
    let steps = random.within(-3, 3) as i8;
    let kind = match random.below(5) {
        0 => Dated::Future,
        1..3 => Dated::Call(steps),
        _ => Dated::Put(steps),
    };
    let term = match random.below(12) {
        0 => *random.pick(&[0, LEAST_TERM - 1, MOST_TERM, MOST_TERM + 1, u64::MAX >> 1]),
        1 => LEAST_TERM,
        2..9 => LEAST_TERM + 60_000 * random.below(120),
        _ => 86_400_000 * (1 + random.below(100)),
    };
    Rule::Dated(kind, term)
}

fn series(random: &mut Random) -> Rule {
    let feed = *random.pick(&[BTC_FEED, BTC_FEED, BTC_FEED, USDT_FEED, 9]);
    let strikes = match random.below(12) {
        0 => *random.pick(&[MOST_STRIKES, MOST_STRIKES + 1]),
        _ => random.below(2) as u8,
    };
    let step = *random.pick(&[1_000, 1_000, 1_000, 0, u64::MAX >> 20]);
    let tier = *random.pick(&[0, 0, 0, 9]);
    Rule::Series(feed, (!random.one_in(3)).then_some((strikes, step, tier)))
}

fn tier(of: TierId, field: TierField, value: Value) -> RiskTier {
    let tiers = |id| pallet_instruments::Tiers::<Runtime>::get(id);
    let mut tier = tiers(of).or_else(|| tiers(0)).expect("it is there");
    match field {
        0 => tier.imf = value.after(tier.imf),
        1 => tier.mmf = value.after(tier.mmf),
        2 => tier.open_interest_lower = value.after(tier.open_interest_lower),
        3 => tier.open_interest_upper = value.after(tier.open_interest_upper),
        4 => tier.profit_credit = value.after(tier.profit_credit),
        5 => tier.impact_notional = value.after(tier.impact_notional),
        6 => tier.mark_band = value.after(tier.mark_band),
        7 => tier.price_band = value.after(tier.price_band),
        8 => tier.call_blocks = value.after(tier.call_blocks),
        _ => tier.edge_blocks = value.after(tier.edge_blocks),
    }
    tier
}

fn params(of: MarketId, field: MarketField, value: Value) -> MarketParams {
    let listed = |id| pallet_instruments::Instruments::<Runtime>::get(id);
    let market = listed(of).or_else(|| listed(0)).expect("it is listed");
    let mut params = market.params;
    match field {
        0 => params.tier = value.after(params.tier),
        1 => params.min_notional = value.after(params.min_notional),
        2 => params.open_interest_cap = value.after(params.open_interest_cap),
        3 => params.interest_8h_ppm = value.after(params.interest_8h_ppm),
        _ => params.funding_cap_factor = value.after(params.funding_cap_factor),
    }
    params
}

fn collateral(of: AssetId, field: CollateralField, value: Value) -> RuntimeCall {
    let listed = pallet_margin::Collaterals::<Runtime>::get();
    // Whatever is not listed yet is like bitcoin.
    let mut params = *listed.get(&of).unwrap_or(&listed[&BTC]);
    match field {
        0 => params.feed = value.after(params.feed),
        1 => params.decimals = value.after(params.decimals),
        2 => params.haircut = value.after(params.haircut),
        3 => params.large_value = value.after(params.large_value),
        4 => params.large_haircut = value.after(params.large_haircut),
        5 => params.value_cap = value.after(params.value_cap),
        _ => params.global_cap = value.after(params.global_cap),
    }
    pallet_margin::Call::schedule_collateral {
        asset: of,
        new_value: params,
    }
    .into()
}

fn fees(of: u8, makers: bool, value: Value) -> RuntimeCall {
    let mut new_value = pallet_instruments::FeeTierList::<Runtime>::get();
    // One beyond the last is another last.
    if let Some(fee) = new_value.get_mut(usize::from(of)) {
        let part = match makers {
            true => &mut fee.maker_ppm,
            false => &mut fee.taker_ppm,
        };
        *part = value.after(*part);
    } else if let Some(last) = new_value.last().copied() {
        _ = new_value.try_push(last);
    }
    pallet_instruments::Call::schedule_fee_tiers { new_value }.into()
}

/// The source of that number, or an unknown one.
fn source(of: u8) -> (SourceName, Option<Source>) {
    let mut all: Vec<_> = pallet_price_oracle::Sources::<Runtime>::iter().collect();
    all.sort_by_key(|(name, _)| name.as_str().to_string());
    match all.into_iter().nth(of.into()) {
        Some((name, source)) => (name, Some(source)),
        None => (Text::truncated("nobody"), None),
    }
}

fn feed(of: FeedId, more: Option<i8>) -> RuntimeCall {
    let known = pallet_price_oracle::Feeds::<Runtime>::get();
    let new_value = more.map(|more| {
        let mut feed = known.get(&of).cloned().unwrap_or(Feed::new("IDLE"));
        feed.min_configured = feed.min_configured.saturating_add_signed(more);
        feed
    });
    pallet_price_oracle::Call::schedule_feed {
        feed: of,
        new_value,
    }
    .into()
}

fn cancel(of: Subject) -> RuntimeCall {
    use pallet_instruments::Subject as Scheduled;
    let listed = |subject| pallet_instruments::Call::cancel_change { subject }.into();
    let configured = |subject| pallet_price_oracle::Call::cancel_change { subject }.into();
    match of {
        Subject::Tier(tier) => listed(Scheduled::Tier(tier)),
        Subject::Market(market) => listed(Scheduled::Market(market)),
        Subject::Fees => listed(Scheduled::FeeTiers),
        Subject::Collateral(asset) => pallet_margin::Call::cancel_collateral { asset }.into(),
        Subject::LossCap(market) => pallet_liquidation::Call::cancel_loss_cap { market }.into(),
        Subject::Feed(feed) => configured(Configured::Feed(feed)),
        Subject::Source(nth) => configured(Configured::Source(source(nth).0)),
        Subject::Loans => pallet_margin::Call::cancel_loans {}.into(),
        Subject::Scan => pallet_clearing::Call::schedule_portfolio_rules { params: None }.into(),
    }
}

/// Wrapped bitcoin, of so many decimals.
pub fn describe_wrapped(decimals: u8) -> RuntimeCall {
    pallet_assets::Call::force_set_metadata {
        id: WRAPPED.into(),
        name: b"Wrapped bitcoin".to_vec(),
        symbol: b"WBTC".to_vec(),
        decimals,
        is_frozen: false,
    }
    .into()
}

fn loans(field: LoanField, value: Value) -> LoanParams {
    let mut params = pallet_margin::Lending::<Runtime>::get().params;
    match field {
        0 => params.base_rate = value.after(params.base_rate),
        1 => params.slope = value.after(params.slope),
        2 => params.steep_slope = value.after(params.steep_slope),
        3 => params.kink = value.after(params.kink),
        4 => params.reserve_factor = value.after(params.reserve_factor),
        5 => params.utilisation_cap = value.after(params.utilisation_cap),
        _ => params.account_cap = value.after(params.account_cap),
    }
    params
}

fn chains(of: FeedId, least: u8) -> RuntimeCall {
    let known = pallet_price_oracle::Feeds::<Runtime>::get();
    let old = known.get(&of).cloned().unwrap_or(Feed::new("IDLE"));
    let new_value = Some(Feed {
        min_chains: least,
        ..old
    });
    pallet_price_oracle::Call::schedule_feed {
        feed: of,
        new_value,
    }
    .into()
}

fn scan(field: ScanField, value: Value) -> PortfolioParams {
    let mut params = pallet_clearing::PortfolioRules::<Runtime>::get();
    let unsigned = |x: FixedU128| FixedU128::from_inner(value.after(x.into_inner()));
    let (factors, scenarios) = (&mut params.factors, &mut params.grid.scenarios);
    let linear = &mut params.contingencies.linear.maintenance;
    match field {
        0 => factors.initial = unsigned(factors.initial),
        1 => factors.maintenance = unsigned(factors.maintenance),
        2 => scenarios
            .iter_mut()
            .for_each(|of| of.price = FixedI128::from_inner(value.after(of.price.into_inner()))),
        3 => *linear = unsigned(*linear),
        _ => {
            let more = scenarios.first().copied();
            scenarios
                .try_extend(more.into_iter())
                .expect("the type has room for more");
        }
    }
    params
}

/// On a grid of 1 USD and a thousandth of bitcoin.
fn list_dated(of: Dated, term: u64) -> RuntimeCall {
    let (tick_size, lot_size) = grid(0);
    let expiry = now() + term;
    let prices = pallet_price_oracle::Prices::<Runtime>::get();
    let index = prices.get(&BTC_FEED).map_or(0, |seen| {
        (seen.price.into_inner() / tick_size.into_inner()) as u64
    });
    let option = |steps: i8, right| InstrumentKind::Option {
        expiry,
        strike: (index / 1_000).saturating_add_signed(steps.into()) * 1_000,
        right,
    };
    let kind = match of {
        Dated::Future => InstrumentKind::Future { expiry },
        Dated::Call(steps) => option(steps, OptionRight::Call),
        Dated::Put(steps) => option(steps, OptionRight::Put),
    };
    let symbol = symbol_of("D", &kind, tick_size).ok().flatten();
    pallet_instruments::Call::list_market {
        symbol: symbol.unwrap_or_default(),
        kind,
        underlying: BTC_FEED,
        tick_size,
        lot_size,
        params: params(0, 1, Value::Plus(0)),
    }
    .into()
}

fn series_rule(strikes: u8, strike_step: u64, tier: TierId) -> SeriesRule {
    let (tick_size, lot_size) = grid(0);
    let terms = MarketParams {
        tier,
        ..params(0, 1, Value::Plus(0))
    };
    SeriesRule {
        base: b"S".to_vec().try_into().expect("a short name"),
        tick_size,
        lot_size,
        futures: terms,
        options: terms,
        strike_step,
        strikes,
    }
}

/// Tick and lot of a listing: two that trade, one of a price about one, and one whose product is not whole.
fn grid(nth: u8) -> (Price, Price) {
    match nth {
        0 => (usd(1), Price::from_rational(1, 1_000)),
        1 => (usd(10), Price::from_rational(1, 100)),
        2 => (Price::from_rational(1, 10_000), usd(1)),
        _ => (Price::from_rational(1, 7), Price::from_rational(1, 1_000)),
    }
}

/// The call, for the origin of governance or of the emergency. `amount` says what an amount of an asset is.
pub fn call(rule: Rule, amount: impl FnOnce(AssetId, Amount) -> u128) -> RuntimeCall {
    use pallet_instruments::Call as Instruments;
    use pallet_liquidation::Call as Liquidation;
    match rule.of_listed() {
        Rule::Restrict(market, new_value) => {
            Instruments::restrict_market { market, new_value }.into()
        }
        Rule::SetStatus(market, new_value) => Instruments::set_status { market, new_value }.into(),
        Rule::OpenInterestCap(market, more) => {
            let open = Margin::open_interest(market);
            let new_value = open.saturating_add_signed(more);
            Instruments::lower_open_interest_cap { market, new_value }.into()
        }
        Rule::LossCap(market, dollars) => {
            let cap = i128::from(dollars) * USD;
            Liquidation::lower_loss_cap { market, cap }.into()
        }
        Rule::MoveLossCap(market, value) => {
            let cap = pallet_liquidation::LossCaps::<Runtime>::get(market)
                .map_or(250_000 * USD, |cap| cap.at(System::block_number()));
            let cap = value.after(cap);
            Liquidation::schedule_loss_cap { market, cap }.into()
        }
        Rule::FeeTier(who, new_value) => pallet_margin::Call::set_fee_tier {
            account: account_of(who),
            new_value,
        }
        .into(),
        Rule::GlobalCap(asset, to) => pallet_margin::Call::lower_global_cap {
            asset,
            new_value: amount(asset, to),
        }
        .into(),
        Rule::Tier(of, field, value) => Instruments::schedule_tier_change {
            tier: of,
            new_value: tier(of, field, value),
        }
        .into(),
        Rule::Market(market, field, value) => Instruments::schedule_market_params {
            market,
            new_value: params(market, field, value),
        }
        .into(),
        Rule::Collateral(asset, field, value) => collateral(asset, field, value),
        Rule::Fees(of, makers, value) => fees(of, makers, value),
        Rule::Redenominate(decimals) => describe_wrapped(decimals),
        Rule::Cancel(subject) => cancel(subject),
        Rule::AddTier(of, field, value) => Instruments::add_tier {
            tier: of,
            new_value: tier(0, field, value),
        }
        .into(),
        Rule::List(symbol, underlying, nth, tier) => {
            let (tick_size, lot_size) = grid(nth);
            Instruments::list_market {
                symbol: vec![b'M', b'0' + symbol].try_into().expect("a short name"),
                kind: InstrumentKind::Perpetual,
                underlying,
                tick_size,
                lot_size,
                params: MarketParams {
                    tier,
                    ..params(0, 1, Value::Plus(0))
                },
            }
            .into()
        }
        Rule::Delist(market) => Instruments::delist_market { market }.into(),
        Rule::Feed(of, more) => feed(of, more),
        Rule::Source(of, interval) => {
            let (name, old) = source(of);
            let new_value = old.zip(interval).map(|(old, interval)| {
                Box::new(Source {
                    min_interval: interval.after(old.min_interval),
                    ..old
                })
            });
            pallet_price_oracle::Call::schedule_source { name, new_value }.into()
        }
        Rule::DisableSource(of) => {
            let name = source(of).0;
            pallet_price_oracle::Call::disable_source { name }.into()
        }
        Rule::Chains(of, least) => chains(of, least),
        Rule::Loans(field, value) => pallet_margin::Call::schedule_loans {
            new_value: loans(field, value),
        }
        .into(),
        Rule::Scan(field, value) => pallet_clearing::Call::schedule_portfolio_rules {
            params: Some(Box::new(scan(field, value))),
        }
        .into(),
        Rule::UtilisationCap(value) => {
            let old = pallet_margin::Lending::<Runtime>::get().params;
            pallet_margin::Call::lower_utilisation_cap {
                new_value: value.after(old.utilisation_cap),
            }
            .into()
        }
        Rule::Dated(of, term) => list_dated(of, term),
        Rule::Series(underlying, terms) => Instruments::set_series_rule {
            underlying,
            new_value: terms.map(|(strikes, step, tier)| series_rule(strikes, step, tier)),
        }
        .into(),
    }
}
