//! Answers of the runtime API: what pallets and formulas know, put together. Nothing here decides anything.

use crate::{
    configs::exchange::{InsuranceFund, RiskRules, Vault},
    AccountId, Clearing, Instruments, Liquidation, Margin, Oracle, OrderBook, Runtime, Timestamp,
};
use alloc::vec::Vec;
use frame_support::traits::Get;
use novate_risk::{
    portfolio::{Margins, Portfolio},
    surface::GRID,
};
use novate_runtime_api::{
    AccountInfo, AuctionInfo, Book, BookLevel, Candidate, Competition, Conservation, Equality,
    EraInfo, FeedInfo, FollowedInfo, ForecastInfo, HypotheticalTrade, LoanPotInfo, MarginsInfo,
    MarketInfo, NoLiquidationPrice, OracleScores, PortfolioInfo, PositionInfo, QueryError,
    QuoteInfo, ScanInfo, ShareholderInfo, SliceInfo, SmilePoint, StatusInfo, StressInfo,
    StressReportInfo, VaultInfo, VaultPosition, VolatilityInfo, MAX_TRADES, SHARE_DECIMALS,
};
use novate_types::{
    math, AccountRef, Assessment, Cash, CurrentView, FeedId, Ledger, Liquidations, Listing, Loans,
    MarginAccount, MarketId, OrderBook as _, Pot, Price, RiskModel, RiskView,
    VolatilitySurface as _, INTEREST_FRACTION_BITS, QUANTUMS,
};
use pallet_liquidation::{ShareWish, SHARES_PER_QUANTUM};
use sp_runtime::traits::Zero;

/// Most levels a side that one query returns.
const MAX_DEPTH: u32 = 256;
/// Most candidates one page holds.
const MAX_CANDIDATES: u32 = 256;

/// Every market.
pub fn markets() -> Vec<(MarketId, MarketInfo)> {
    let view = Clearing::view();
    let states = pallet_clearing::States::<Runtime>::get();
    <Instruments as Listing>::markets()
        .into_iter()
        .filter_map(|(id, instrument)| {
            let tier = <Instruments as Listing>::tier(instrument.params.tier)?;
            let state = states.iter().find(|s| s.id == id);
            let funding_rate_8h = state
                .filter(|_| instrument.kind.expiry().is_none())
                .and_then(|s| pallet_clearing::funding::mean(&s.premiums, view.now).ok())
                .and_then(|mean| {
                    novate_risk::funding_rate_8h(
                        mean,
                        instrument.params.interest_8h_ppm,
                        instrument.params.funding_cap_factor,
                        &tier,
                    )
                    .ok()
                });
            let info = MarketInfo {
                tier,
                view: view.market(id).ok().cloned(),
                open_interest: Margin::open_interest(id),
                funding_rate_8h: funding_rate_8h.unwrap_or(0),
                rested: OrderBook::rested(id),
                last_trade: state.and_then(|s| s.last).map(|last| (last.ticks, last.at)),
                auction: Clearing::indicative(id).map(|indicative| AuctionInfo {
                    at: indicative.at,
                    reference: indicative.reference,
                    price: indicative.price,
                    volume: indicative.volume,
                }),
                instrument,
            };
            Some((id, info))
        })
        .collect()
}

/// A market's best levels.
pub fn book(market: MarketId, depth: u32) -> Book {
    let level = |(ticks, lots, orders)| BookLevel {
        ticks,
        lots,
        orders,
    };
    let (bids, asks) = OrderBook::book(market, depth.min(MAX_DEPTH));
    Book {
        bids: bids.into_iter().map(level).collect(),
        asks: asks.into_iter().map(level).collect(),
    }
}

/// The oracle's feeds.
pub fn prices() -> Vec<FeedInfo> {
    let now = Timestamp::get();
    let prices = pallet_price_oracle::Prices::<Runtime>::get();
    pallet_price_oracle::Feeds::<Runtime>::get()
        .iter()
        .map(|(feed, config)| {
            let last = prices.get(feed);
            let observed_at = last.map_or(0, |p| p.observed_at);
            FeedInfo {
                feed: *feed,
                symbol: config.symbol.as_str().as_bytes().to_vec(),
                price: last.map(|p| p.price),
                confidence: last.map_or(Price::zero(), |p| p.confidence),
                observed_at,
                age: now.saturating_sub(observed_at),
            }
        })
        .collect()
}

/// The volatility surface of an underlying.
pub fn surface(underlying: FeedId) -> Vec<SliceInfo> {
    let now = Timestamp::get();
    let surface = pallet_price_oracle::Surfaces::<Runtime>::get(underlying);
    surface
        .0
        .iter()
        .map(|slice| SliceInfo {
            expiry: slice.expiry,
            left: slice.expiry.saturating_sub(now),
            observed_at: slice.observed_at,
            age: now.saturating_sub(slice.observed_at),
            is_fresh: Oracle::is_fresh(&surface, slice.expiry, now),
            points: GRID
                .into_iter()
                .zip(slice.smile.0)
                .map(|(moneyness, variance)| SmilePoint {
                    moneyness,
                    variance,
                })
                .collect(),
        })
        .collect()
}

/// Every instrument of an underlying.
pub fn quotes(underlying: FeedId) -> Vec<QuoteInfo> {
    let view = Clearing::view();
    let listed = view.markets.iter().filter(|m| m.underlying == underlying);
    listed
        .map(|market| {
            let Book { bids, asks } = book(market.id, 1);
            let volatility = novate_risk::mark_volatility_floor(market, view.now);
            QuoteInfo {
                market: market.id,
                bid: bids.into_iter().next(),
                ask: asks.into_iter().next(),
                mark: Some(market.mark).filter(|mark| !mark.is_zero()),
                volatility: volatility.ok().flatten(),
                greeks: novate_risk::unit_greeks(market, market.contract.fixed, view.now)
                    .ok()
                    .flatten(),
            }
        })
        .collect()
}

/// How the oracle's validators observe.
pub fn oracle_scores() -> OracleScores<AccountId> {
    let info = |(era, scores)| EraInfo { era, scores };
    OracleScores {
        running: info(Oracle::running_era()),
        kept: Oracle::kept_eras().into_iter().map(info).collect(),
    }
}

/// One account.
pub fn account(of: &AccountRef<AccountId>) -> Result<AccountInfo, QueryError> {
    let account = Margin::account(of).ok_or(QueryError::NoAccount)?;
    describe(account, of, &Clearing::view())
}

/// The account after some trades, with their taker fees.
pub fn simulate(
    of: &AccountRef<AccountId>,
    trades: &[HypotheticalTrade],
) -> Result<AccountInfo, QueryError> {
    let mut account = Margin::account(of).ok_or(QueryError::NoAccount)?;
    let view = Clearing::view();
    let taker_ppm = view.fee_tier(account.fee_tier).taker_ppm;
    if trades.len() > MAX_TRADES {
        return Err(QueryError::OutOfRange);
    }
    for trade in trades {
        let market = view.market(trade.market)?;
        if market.mark.is_zero() {
            return Err(QueryError::NoPrice);
        }
        let ticks = match trade.ticks {
            Some(ticks) => ticks,
            None => math::ticks_nearest(market.mark, market.tick_size).map_err(out_of_range)?,
        };
        let legs = novate_risk::Legs::of(market, &view)?;
        legs.apply(&mut account, trade.lots, ticks)?;
        let charged = legs.charged(trade.lots, ticks).map_err(out_of_range)?;
        let fee = novate_risk::fee(charged, taker_ppm).map_err(out_of_range)?;
        account.cash = math::sub(account.cash, fee).map_err(out_of_range)?;
    }
    describe(account, of, &view)
}

fn out_of_range(_: novate_types::MathError) -> QueryError {
    QueryError::OutOfRange
}

fn describe(
    account: MarginAccount,
    of: &AccountRef<AccountId>,
    view: &RiskView,
) -> Result<AccountInfo, QueryError> {
    let assessment = RiskRules::assess(&account, view)?;
    let positions = account
        .positions
        .iter()
        .map(|position| {
            let market = view.market(position.market)?;
            let value = math::position_value_floor(position.lots, market.mark, market.lot_size)
                .map_err(out_of_range)?;
            let owed = novate_risk::funding_owed_ceil(position, market).map_err(out_of_range)?;
            let funding = math::neg(owed).map_err(out_of_range)?;
            let unrealised = math::sub(value, position.cost)
                .and_then(|profit| math::add(profit, funding))
                .map_err(out_of_range)?;
            Ok(PositionInfo {
                market: position.market,
                lots: position.lots,
                cost: position.cost,
                funding_index: position.funding_index,
                value,
                funding,
                unrealised,
                liquidation_price: liquidation_price(&assessment, &account, view, position.market)?,
                greeks: novate_risk::position_greeks(
                    market,
                    position.lots,
                    market.contract.fixed,
                    view.now,
                )
                .ok()
                .flatten(),
            })
        })
        .collect::<Result<_, QueryError>>()?;
    Ok(AccountInfo {
        portfolios: portfolios(&account, view),
        distance: Liquidation::distance(&account, &assessment, view),
        standing: account.standing,
        debt: novate_risk::debt_ceil(&account, view).map_err(out_of_range)?,
        account,
        assessment,
        positions,
        open_orders: OrderBook::open_orders(of),
        arrangements: OrderBook::orders(of).arrangements.into_inner(),
    })
}

/// The account's positions by underlying. What has no number is left out, so that it does not hide the rest of the account.
fn portfolios(account: &MarginAccount, view: &RiskView) -> Vec<PortfolioInfo> {
    let params = pallet_clearing::PortfolioRules::<Runtime>::get();
    let greeks = novate_risk::account_greeks(account, view, |m| m.contract.fixed).ok();
    let margins = |of: Margins| MarginsInfo {
        initial: of.initial,
        maintenance: of.maintenance,
    };
    let portfolios = Portfolio::of(account, view).unwrap_or_default();
    portfolios
        .into_iter()
        .map(|portfolio| {
            let mut sums = greeks.iter().flatten();
            let sum = sums.find(|(of, _)| *of == portfolio.underlying);
            let scanned = portfolio.is_netted().then(|| portfolio.scan(&params).ok());
            let scanned = scanned.flatten();
            PortfolioInfo {
                underlying: portfolio.underlying,
                greeks: sum.map(|(_, greeks)| *greeks),
                by_parts: margins(portfolio.by_parts),
                by_scan: scanned.map(|scanned| ScanInfo {
                    margins: margins(scanned.margins),
                    loss: scanned.loss,
                    worst: scanned.worst,
                }),
            }
        })
        .collect()
}

fn liquidation_price(
    assessment: &Assessment,
    account: &MarginAccount,
    view: &RiskView,
    market: MarketId,
) -> Result<Result<Price, NoLiquidationPrice>, QueryError> {
    let contract = view.market(market)?.contract;
    if contract.kind.is_option() || contract.settled {
        return Ok(Err(NoLiquidationPrice::NotLinear));
    }
    if view.market(market)?.mark.is_zero() {
        return Ok(Err(NoLiquidationPrice::NoPrice));
    }
    if assessment.is_below_maintenance() {
        return Ok(Err(NoLiquidationPrice::AlreadyBelow));
    }
    Ok(
        novate_risk::liquidation_price(assessment, account, view, market)?
            .ok_or(NoLiquidationPrice::Covered),
    )
}

/// Accounts by nearness to their maintenance margin.
pub fn liquidation_candidates(from: u32, count: u32) -> Vec<Candidate<AccountId>> {
    let view = Clearing::view();
    Liquidation::candidates(&view, from, count.min(MAX_CANDIDATES))
        .into_iter()
        .filter_map(|of| {
            let account = Margin::account(&of)?;
            let assessment = RiskRules::assess(&account, &view).ok()?;
            Some(Candidate {
                account: of,
                standing: account.standing,
                equity: assessment.equity,
                maintenance: assessment.maintenance,
                long_options: assessment.long_options,
                notional: assessment.notional,
            })
        })
        .collect()
}

/// Accounts in open competition.
pub fn competitions() -> Vec<Competition<AccountId>> {
    Liquidation::competitions(&Clearing::view())
        .into_iter()
        .map(|(account, assessment, terms)| Competition {
            account,
            equity: assessment.equity,
            maintenance: assessment.maintenance,
            worth: terms.worth,
            discount: terms.discount,
            available: terms.available,
            closes_left: terms.closes,
        })
        .collect()
}

/// A share, in the smallest unit: worth a USD at first.
const SHARE: u128 = 10u128.pow(SHARE_DECIMALS);
const _: () = assert!(SHARE == SHARES_PER_QUANTUM * QUANTUMS.unsigned_abs());

/// The vault as an investment.
pub fn vault(owner: &AccountId) -> Result<VaultInfo, QueryError> {
    use pallet_liquidation::{ShareHoldings, ShareRequests};
    let view = Clearing::view();
    let of = Vault::get();
    let account = Margin::account(&of).unwrap_or_default();
    let assessed = RiskRules::assess(&account, &view)?;
    let (equity, value) = Liquidation::share_value().map_err(|_| QueryError::OutOfRange)?;
    let worth = |shares| {
        let worth = value.map(|value| value.worth_floor(shares)).transpose();
        worth.map_err(out_of_range)
    };
    let book = pallet_liquidation::Backstop::<Runtime>::get();
    let holding = ShareHoldings::<Runtime>::get(owner);
    let block = view.block.saturating_add(1);
    let mut mine = ShareholderInfo {
        shares: holding.shares,
        free: holding.free(block),
        unlocks: holding.unlocks,
        worth: worth(holding.shares)?,
        ..ShareholderInfo::default()
    };
    if holding.waiting > 0 {
        for request in ShareRequests::<Runtime>::iter_values().filter(|r| r.owner == *owner) {
            match request.wish {
                ShareWish::Enter(amount) => mine.entering = mine.entering.saturating_add(amount),
                ShareWish::Leave(shares) => mine.leaving = mine.leaving.saturating_add(shares),
            }
        }
    }
    let epoch = Liquidation::share_epoch(block);
    let length = <Runtime as pallet_liquidation::Config>::EpochLength::get();
    let ends = epoch.saturating_add(1).saturating_mul(length);
    let positions = account.positions.iter().map(|position| VaultPosition {
        market: position.market,
        lots: position.lots,
        lost: Liquidation::vault_loss(position.market, view.block),
        loss_cap: Liquidation::loss_cap(position.market, view.block),
    });
    Ok(VaultInfo {
        equity,
        withdrawable: assessed.withdrawable,
        shares: book.shares,
        protocol_shares: ShareHoldings::<Runtime>::get(&of.owner).shares,
        share_value: worth(SHARE)?,
        epoch,
        epoch_ends: ends.saturating_sub(1),
        settling: book.terms.is_some(),
        entering: book.coming.entering.saturating_add(book.due.entering),
        leaving: book.coming.leaving.saturating_add(book.due.leaving),
        positions: positions.collect(),
        mine,
    })
}

/// The liquidity pot.
pub fn loan_pot(owner: &AccountId) -> Result<LoanPotInfo, QueryError> {
    let book = pallet_margin::Lending::<Runtime>::get();
    let pot = Margin::pot(Pot::Loans);
    let whole = |interest: u128| {
        let quantums = interest.checked_shr(INTEREST_FRACTION_BITS).unwrap_or(0);
        math::signed(quantums).map_err(out_of_range)
    };
    let value = book.share_value(pot).map_err(out_of_range)?;
    let worth = |shares| {
        let worth = value.map(|value| value.worth_floor(shares)).transpose();
        worth.map_err(out_of_range)
    };
    let utilisation = book.utilisation_ceil(pot).map_err(out_of_range)?;
    let borrow_rate = book.params.rate_ceil(utilisation).map_err(out_of_range)?;
    let supply_rate = book.supply_rate_floor(pot).map_err(out_of_range)?;
    let my_shares = <Margin as Loans<AccountId>>::shares(owner);
    Ok(LoanPotInfo {
        params: book.params,
        pending: book.pending,
        supplied: book.supplied_floor(pot).map_err(out_of_range)?,
        borrowed: book.borrowed,
        interest: whole(book.accrued)?,
        liquid: math::sub(pot, book.borrowed).map_err(out_of_range)?,
        lendable: <Margin as Loans<AccountId>>::lendable(),
        utilisation,
        borrow_rate,
        supply_rate,
        shares: book.shares,
        share_value: worth(SHARE)?,
        reserve: whole(book.reserve)?,
        my_shares,
        my_worth: worth(my_shares)?,
    })
}

/// Volatility, margin that follows it, and stress.
pub fn stress() -> StressInfo {
    use pallet_liquidation::{Config, OpenInterestScale, Stress, Volatilities};
    let params = <Runtime as Config>::Volatility::get();
    let interval = <Runtime as Config>::StressInterval::get();
    let volatilities = Volatilities::<Runtime>::get()
        .into_iter()
        .map(|(underlying, at, known)| VolatilityInfo {
            underlying,
            at,
            price: known.price,
            samples: known.samples,
            forecast: known.forecast(&params).ok().flatten().and_then(|f| {
                Some(ForecastInfo {
                    ewma: f.ewma,
                    garch: f.garch,
                    stressed: f.stressed,
                    long_run: f.long_run,
                    deviation: f.deviation,
                    maintenance: f.maintenance_ceil(&params).ok()?,
                })
            }),
        });
    let mut followed: Vec<_> = pallet_instruments::AboveFloor::<Runtime>::iter()
        .map(|(tier, followed)| FollowedInfo {
            tier,
            floor: followed.floor,
            factor: followed.factor,
        })
        .collect();
    followed.sort_unstable_by_key(|f| f.tier);
    StressInfo {
        interval,
        horizon: interval.saturating_mul(params.horizon.into()),
        needed: params.seed,
        volatilities: volatilities.collect(),
        followed,
        report: Stress::<Runtime>::get().map(|report| StressReportInfo {
            began: report.began,
            completed: report.completed,
            accounts: report.accounts,
            default_fund: report.default_fund,
            available: report.available,
            shortfalls: report.shortfalls.into_inner(),
        }),
        open_interest_scale: OpenInterestScale::<Runtime>::get(),
    }
}

/// The equalities, computed over the whole state.
pub fn conservation() -> Result<Conservation, QueryError> {
    let sums = Margin::conservation().map_err(out_of_range)?;
    let equality = |e: pallet_margin::Equality| Equality {
        ledger: e.ledger,
        custody: e.custody,
    };
    Ok(Conservation {
        lots: sums.lots,
        settlement: equality(sums.settlement),
        collateral: sums
            .collaterals
            .into_iter()
            .map(|(asset, e)| (asset, equality(e)))
            .collect(),
        pots: sums.pots,
        loans: sums.loans,
        accounts: sums.accounts,
    })
}

/// Where the chain stands.
pub fn status() -> StatusInfo {
    let view = Clearing::view();
    let equity = |of: AccountRef<AccountId>| -> Cash {
        Margin::account(&of)
            .and_then(|account| RiskRules::assess(&account, &view).ok())
            .map_or(0, |assessment| assessment.equity)
    };
    StatusInfo {
        block: view.block,
        now: view.now,
        markets: view.markets.iter().map(|m| (m.id, m.status)).collect(),
        liquidations_queued: <Liquidation as Liquidations<AccountId>>::queued(),
        withdrawals_paused: <Liquidation as Liquidations<AccountId>>::withdrawals_paused(),
        insurance_fund: equity(InsuranceFund::get()),
        vault: equity(Vault::get()),
    }
}
