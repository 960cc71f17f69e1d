//! Every market's prices and parameters in one value, written once a block, and what an account is worth against it.

use crate::{
    math, AssetId, BlockNumber, Cash, CollateralParams, Contract, FeeTier, FeedId, FundingIndex,
    LoanView, Lots, MarginAccount, MarketId, MarketStatus, MathError, Millis, Ppm, Price,
    RiskError, Side, SignedLots, Size, MAX_MARKETS,
};
use alloc::{collections::BTreeSet, vec::Vec};
use codec::{Compact, Decode, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};
use sp_core::{bounded::BoundedVec, ConstU32};

/// One market as margin, intake and matching see it during a block.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
pub struct MarketView {
    /// The market.
    pub id: MarketId,
    /// Feed of its underlying.
    pub underlying: FeedId,
    /// The stricter of governance's status and what the age of the price allows.
    pub status: MarketStatus,
    /// USD per unit and tick.
    pub tick_size: Price,
    /// Units per lot.
    pub lot_size: Size,
    /// Quantums per lot and tick.
    pub tick_value: u64,
    /// The price positions are valued and liquidated at; zero before the first. Of a combination, what its legs' marks come to; zero if that is less
    /// than a tick.
    pub mark: Price,
    /// The oracle's aggregate. Of a dated future, what it settles at if the aggregate stays where it is: within the last 30 minutes the part
    /// of the mean that has happened is fixed. Of an option, the forward of its expiry; of a combination, what its legs come to at such prices,
    /// those sold added to those bought.
    pub index: Price,
    /// Median time at which the index was observed.
    pub observed_at: Millis,
    /// The index is fresh enough to liquidate, fund and withdraw on.
    pub fresh: bool,
    /// What a long lot has owed since the listing: cumulative funding, and losses shared (remedy 7).
    pub funding_index: FundingIndex,
    /// What a short lot has been owed since the listing: the same cumulative funding, less losses shared.
    pub short_funding_index: FundingIndex,
    /// Initial margin fraction in force: with open interest, confidence and depeg add-ons. Of a combination, what its legs need one by one, of its index.
    pub imf: Ppm,
    /// Maintenance margin fraction.
    pub mmf: Ppm,
    /// Unrealised profit of this market that supports initial margin elsewhere.
    pub profit_credit: Cash,
    /// Farthest from the mark that orders execute.
    pub price_band: Ppm,
    /// Least notional of a new order.
    pub min_notional: Cash,
    /// Notional of impact prices.
    pub impact_notional: Cash,
    /// Most lots open.
    pub open_interest_cap: Lots,
    /// Block from whose close on the market is uncrossed at one price; zero while it trades continuously.
    pub auction_at: BlockNumber,
    /// What kind of contract it is, and how it ends.
    pub contract: Contract,
}

impl MarketView {
    /// Whether orders are collected for a call auction, or one that began has not ended: nothing matches otherwise, and the book may
    /// cross.
    pub const fn is_in_auction(&self) -> bool {
        self.auction_at > 0
    }

    /// Whether a close before that of block `now` began to uncross it and did not end: it executes in parts, or nothing within its bands
    /// has executed so far. The orders wait.
    pub const fn is_uncrossing(&self, now: BlockNumber) -> bool {
        self.is_in_auction() && self.auction_at < now
    }

    /// The cumulative index that a position of so many lots (signed) settles against.
    pub const fn funding_index_of(&self, lots: SignedLots) -> FundingIndex {
        if lots < 0 {
            self.short_funding_index
        } else {
            self.funding_index
        }
    }

    /// Funding accrues: a long lot owes `by` more, a short lot is owed as much.
    pub fn accrue_funding(&mut self, by: FundingIndex) -> Result<(), MathError> {
        let of_longs = math::add(self.funding_index, by)?;
        self.short_funding_index = math::add(self.short_funding_index, by)?;
        self.funding_index = of_longs;
        Ok(())
    }

    /// Every lot of one side (a bid's side is long) owes `per_lot` more; the other side gets nothing of it.
    pub fn charge(&mut self, side: Side, per_lot: FundingIndex) -> Result<(), MathError> {
        match side {
            Side::Bid => self.funding_index = math::add(self.funding_index, per_lot)?,
            Side::Ask => self.short_funding_index = math::sub(self.short_funding_index, per_lot)?,
        }
        Ok(())
    }
}

/// One collateral asset as margin sees it during a block.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
pub struct CollateralView {
    /// The asset.
    pub asset: AssetId,
    /// Settlement value of one whole unit: USD price over `max(1, settlement currency's USD price)`, rounded down.
    /// Zero while it has no fresh price: it then counts for nothing towards initial margin, and nobody is liquidated for it.
    pub price: Price,
    /// Its price is fresh enough to liquidate and withdraw on.
    pub fresh: bool,
    /// How it counts.
    pub params: CollateralParams,
}

/// Markets whose contract has expired that a close deals with.
pub const ENDED_A_CLOSE: usize = 4;

/// What every check of a block is made against.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    Encode,
    Decode,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct RiskView {
    /// The block whose close wrote it.
    pub block: BlockNumber,
    /// That block's time.
    pub now: Millis,
    /// Markets, sorted by id.
    pub markets: BoundedVec<MarketView, ConstU32<MAX_MARKETS>>,
    /// Collateral assets, sorted by id.
    pub collaterals: BoundedVec<CollateralView, ConstU32<16>>,
    /// Fee tiers.
    pub fee_tiers: BoundedVec<FeeTier, ConstU32<8>>,
    /// The liquidity pot's loans.
    pub loans: LoanView,
}

impl RiskView {
    /// Decodes a view of which only the markets that are `wanted` are looked at, and the legs of those that are combinations: there may be
    /// many, and an account trades in few. The others are skipped unread, which their constant length allows.
    pub fn decode_of(
        mut encoded: &[u8],
        wanted: impl Fn(MarketId) -> bool,
    ) -> Result<Self, codec::Error> {
        let input = &mut encoded;
        let (block, now) = Decode::decode(input)?;
        let listed = Compact::<u32>::decode(input)?.0;
        let length = MarketView::max_encoded_len();
        let listed = usize::try_from(listed.min(MAX_MARKETS)).map_err(|_| "too many markets")?;
        let left = *input;
        let (all, rest) = listed
            .checked_mul(length)
            .and_then(|whole| left.split_at_checked(whole))
            .ok_or("a view ends within a market")?;
        *input = rest;
        let mut markets = Vec::new();
        let mut legs = BTreeSet::new();
        // A combination has a greater number than its legs, which were listed before it: the last come first.
        for mut market in all.rchunks_exact(length) {
            // A market begins with its number.
            let id = MarketId::decode(&mut &*market)?;
            if wanted(id) || legs.contains(&id) {
                let market = MarketView::decode(&mut market)?;
                legs.extend(market.contract.legs.iter().map(|leg| leg.market));
                markets.push(market);
            }
        }
        markets.reverse();
        Ok(Self {
            block,
            now,
            markets: BoundedVec::truncate_from(markets),
            collaterals: Decode::decode(input)?,
            fee_tiers: Decode::decode(input)?,
            loans: Decode::decode(input)?,
        })
    }

    /// Takes out the markets that are not `wanted`, nor legs of those that are.
    pub fn retain(&mut self, wanted: impl Fn(MarketId) -> bool) {
        let of_wanted = self.markets.iter().filter(|market| wanted(market.id));
        let legs: BTreeSet<_> = of_wanted
            .flat_map(|market| market.contract.legs.iter().map(|leg| leg.market))
            .collect();
        self.markets
            .retain(|market| wanted(market.id) || legs.contains(&market.id));
    }

    /// Markets whose contract has expired, a few of them: beginning with another one in every block.
    pub fn ended(&self) -> impl Iterator<Item = &MarketView> {
        let now = self.now;
        let ended = move |market: &&MarketView| market.contract.has_expired(now);
        let many = self.markets.iter().filter(ended).count();
        let first = usize::try_from(self.block)
            .ok()
            .and_then(|block| block.checked_rem(many))
            .unwrap_or(0);
        let markets = self.markets.iter().filter(ended);
        markets.cycle().skip(first).take(many.min(ENDED_A_CLOSE))
    }

    /// A market, or which one is missing.
    pub fn market(&self, id: MarketId) -> Result<&MarketView, RiskError> {
        self.markets
            .binary_search_by_key(&id, |m| m.id)
            .ok()
            .and_then(|at| self.markets.get(at))
            .ok_or(RiskError::UnknownMarket(id))
    }

    /// The same, to be changed.
    pub fn market_mut(&mut self, id: MarketId) -> Result<&mut MarketView, RiskError> {
        self.markets
            .iter_mut()
            .find(|m| m.id == id)
            .ok_or(RiskError::UnknownMarket(id))
    }

    /// A collateral asset, or which one is missing.
    pub fn collateral(&self, asset: AssetId) -> Result<&CollateralView, RiskError> {
        self.collaterals
            .binary_search_by_key(&asset, |c| c.asset)
            .ok()
            .and_then(|at| self.collaterals.get(at))
            .ok_or(RiskError::UnknownCollateral(asset))
    }

    /// The fee tier, or the first one (the dearest) if there is none of that number.
    pub fn fee_tier(&self, tier: u8) -> FeeTier {
        self.fee_tiers
            .get(usize::from(tier))
            .or_else(|| self.fee_tiers.first())
            .copied()
            .unwrap_or(FeeTier {
                maker_ppm: 0,
                taker_ppm: 0,
            })
    }
}

/// An account against a view. All in quantums; what the account has is rounded down, what it needs up.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize,
)]
pub struct Assessment {
    /// Cash less interest due, position values, accrued funding and haircut collateral.
    pub equity: Cash,
    /// Equity with each market's unrealised profit limited to what may support initial margin; of an underlying that a scan margins, with their
    /// net sum limited so.
    pub initial_equity: Cash,
    /// Initial margin of the positions alone.
    pub initial: Cash,
    /// Initial margin of positions and open orders, over every subset of fills.
    pub initial_with_orders: Cash,
    /// Maintenance margin of the positions.
    pub maintenance: Cash,
    /// What long options are worth that need their own value: as much of `equity` and of `maintenance` cancels out. At least zero, at most
    /// `maintenance`; of an underlying that is margined by scan, what that asks for beyond the need of all else by itself, so none where long
    /// options are all hedge.
    pub long_options: Cash,
    /// Cash that may leave: no unrealised profit, and initial margin with orders stays covered.
    pub withdrawable: Cash,
    /// Notional of all positions at their marks.
    pub notional: Cash,
    /// What `equity − maintenance` can lose, at most, per unit of relative price move.
    pub exposure: Cash,
    /// The same per unit of relative move of the deviation that options are marked with; zero where nothing is margined by scan.
    pub deviation: Cash,
    /// Positions that are margined by scan, by place: the first is the lowest bit.
    pub scanned: u32,
    /// Everything it holds has a fresh price.
    pub fresh: bool,
}

impl Assessment {
    /// Equity above maintenance margin; below zero the account is liquidated.
    pub fn slack(&self) -> Option<Cash> {
        self.equity.checked_sub(self.maintenance)
    }
    /// Equity without long options: what supports all else.
    pub fn net_equity(&self) -> Result<Cash, MathError> {
        math::sub(self.equity, self.long_options)
    }
    /// Maintenance margin without long options: what all else needs.
    pub fn net_maintenance(&self) -> Result<Cash, MathError> {
        math::sub(self.maintenance, self.long_options)
    }
    /// What prices of liquidation share out over [`Self::net_maintenance`]: equity without long options, which pay for what that is below
    /// zero as far as they go. `max(net equity, min(equity, 0))`.
    pub fn bankruptcy_equity(&self) -> Result<Cash, MathError> {
        Ok(self.net_equity()?.max(self.equity.min(0)))
    }
    /// As it is against what it was before a trade: of long options only what needed its own value then too. What needs it since is needed like all
    /// else.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            long_options: self.long_options.min(before.long_options),
            ..*self
        }
    }
    /// Whether the position in this place is margined by scan.
    pub fn is_scanned(&self, place: usize) -> bool {
        u32::try_from(place)
            .is_ok_and(|place| self.scanned.checked_shr(place).unwrap_or(0) & 1 == 1)
    }
    /// Whether it may be liquidated.
    pub const fn is_below_maintenance(&self) -> bool {
        self.equity < self.maintenance
    }
    /// Whether its positions are covered initially.
    pub const fn covers_initial(&self) -> bool {
        self.initial_equity >= self.initial
    }
    /// Whether positions and every subset of its orders are covered initially.
    pub const fn covers_orders(&self) -> bool {
        self.initial_equity >= self.initial_with_orders
    }
}

/// The margin model, hidden from ledger, book and liquidation.
pub trait RiskModel {
    /// What `account` is worth and needs against `view`.
    fn assess(account: &MarginAccount, view: &RiskView) -> Result<Assessment, RiskError>;

    /// The same as if it had no orders, of which only `initial_with_orders` and `withdrawable` tell: for who asks for maintenance margin.
    fn assess_held(account: &MarginAccount, view: &RiskView) -> Result<Assessment, RiskError> {
        if account.orders.is_empty() {
            return Self::assess(account, view);
        }
        let held = MarginAccount {
            orders: Default::default(),
            ..account.clone()
        };
        Self::assess(&held, view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FeeTier, MILLION};
    use proptest::prelude::*;

    fn market(id: MarketId, seed: u64) -> MarketView {
        MarketView {
            id,
            underlying: 1,
            status: match seed % 3 {
                0 => MarketStatus::Open,
                1 => MarketStatus::ReduceOnly,
                _ => MarketStatus::Halted,
            },
            tick_size: Price::from_inner(seed.into()),
            lot_size: Size::from_inner(1),
            tick_value: seed,
            mark: Price::from_inner(u128::MAX - u128::from(seed)),
            index: Price::from_inner(seed.into()),
            observed_at: seed,
            fresh: seed % 2 == 0,
            funding_index: -FundingIndex::from(seed),
            short_funding_index: FundingIndex::from(seed),
            imf: MILLION,
            mmf: 1,
            profit_credit: Cash::from(seed),
            price_band: 5,
            min_notional: 6,
            impact_notional: Cash::MIN,
            open_interest_cap: seed,
            auction_at: (seed % 7) as BlockNumber,
            contract: Contract {
                expiry: seed,
                settled: seed % 5 == 0,
                ..Contract::from(crate::InstrumentKind::Option {
                    expiry: 1,
                    strike: seed,
                    right: crate::OptionRight::Put,
                })
            },
        }
    }

    /// Of a combination: the market before it, and one farther ahead.
    fn legs_of(id: MarketId) -> crate::CombinationLegs {
        crate::CombinationLegs::new(&[(id - 1, 1), (id - 5, -2)]).unwrap()
    }

    proptest! {
        #[test]
        fn a_view_of_some_markets_is_the_whole_without_the_others(
            seeds in prop::collection::vec(any::<u64>(), 0..=MAX_MARKETS as usize),
            wanted in any::<u64>(),
        ) {
            let markets: Vec<_> = (0..).zip(&seeds).map(|(id, seed)| market(id, *seed)).collect();
            let combined = |id: MarketId| id % 8 == 7 && usize::from(id) < seeds.len();
            let mut whole = RiskView {
                block: 7,
                now: 8,
                markets: BoundedVec::try_from(markets).unwrap(),
                ..RiskView::default()
            };
            for market in whole.markets.iter_mut().filter(|m| combined(m.id)) {
                market.contract.legs = legs_of(market.id);
            }
            whole.fee_tiers.try_push(FeeTier { maker_ppm: -1, taker_ppm: 2 }).unwrap();
            let encoded = whole.encode();
            let is_wanted = |id: MarketId| wanted >> (id % 64) & 1 == 1;
            let some = RiskView::decode_of(&encoded, is_wanted).unwrap();
            let is_leg = |id: MarketId| (0..64).any(|c| combined(c) && is_wanted(c) && legs_of(c).contains(id));
            let mut kept = whole.clone();
            kept.retain(is_wanted);
            whole.markets.retain(|m| is_wanted(m.id) || is_leg(m.id));
            prop_assert_eq!(&some, &whole);
            prop_assert_eq!(&kept, &whole);
            // Cut short it is no view.
            prop_assert!(RiskView::decode_of(&encoded[..encoded.len() - 1], is_wanted).is_err());
        }
    }
}
