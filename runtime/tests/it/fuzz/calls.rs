//! What a step sends: sizes, prices and amounts as they come to be where it is taken.

use super::{
    govern::{self, Rule},
    step::{Amount, Level, Life, Op, Shares, Shown, Size, Step, Target, Terms, Wait, Who},
    world::{account_of, market_of, owner, World},
};
use crate::common::*;
use codec::Encode;
use novate_risk::{borrowable_floor, cash_after_interest, collateral_value, debt_ceil};
use novate_runtime::{
    configs::exchange::USDC, Assets, Margin, OrderBook, Runtime, RuntimeCall, SessionKeys, System,
};
use novate_types::{
    AssetId, Cash, Ledger, Leg, Lots, MarginAccount, MarketId, MarketView, NewOrder, NewPegged,
    NewTrigger, NewTwap, OpenOrder, Operation, OrderBook as _, OrderPrice, OrderTarget, RiskModel,
    SelfTradePrevention, Standing, Ticks, TimeInForce, MILLION,
};
use pallet_order_book::AccountOrders;
use sp_core::proof_of_possession::ProofOfPossessionGenerator;
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};
use sp_runtime::MultiAddress;

impl World {
    pub fn transaction(&self, step: &Step) -> (Sr25519Keyring, RuntimeCall) {
        let of = |who: &Who| (owner(*who), account_of(*who).sub);
        match step {
            Step::Orders(who, ops) => {
                let ((signer, sub), account) = (of(who), account_of(*who));
                let open = OrderBook::open_orders(&account);
                let ops = ops.iter().map(|op| self.operation(&account, &open, op));
                (signer, submit_call(sub, ops.collect()))
            }
            Step::Deposit(who, asset, amount) => {
                let (signer, sub) = of(who);
                let (asset, amount) = (*asset, self.amount(*who, *asset, *amount));
                (
                    signer,
                    pallet_margin::Call::deposit { sub, asset, amount }.into(),
                )
            }
            Step::DepositFor(who, to, asset, amount) => {
                let (to, asset) = (account_of(*to), *asset);
                let amount = self.amount(*who, asset, *amount);
                let call = pallet_clearing::Call::deposit_for { to, asset, amount };
                (owner(*who), call.into())
            }
            Step::Withdraw(who, asset, amount) => {
                let (signer, sub) = of(who);
                let (asset, amount) = (*asset, self.amount(*who, *asset, *amount));
                (
                    signer,
                    pallet_clearing::Call::withdraw { sub, asset, amount }.into(),
                )
            }
            Step::Transfer(who, to, asset, amount) => {
                let ((signer, sub), to, asset) = (of(who), account_of(*to), *asset);
                let amount = self.amount(*who, asset, *amount);
                let call = pallet_clearing::Call::transfer {
                    sub,
                    to,
                    asset,
                    amount,
                };
                (signer, call.into())
            }
            Step::CloseAccount(who) => {
                let (signer, sub) = of(who);
                (signer, pallet_margin::Call::close_account { sub }.into())
            }
            Step::Give(who, to, asset, amount) => {
                let to = to.map_or(Margin::custody_account(), |to| owner(to).to_account_id());
                let call = pallet_assets::Call::transfer {
                    id: (*asset).into(),
                    target: MultiAddress::Id(to),
                    amount: self.amount(*who, *asset, *amount),
                };
                (owner(*who), call.into())
            }
            Step::Block(who, asset, closes) => {
                let (id, who) = (
                    (*asset).into(),
                    MultiAddress::Id(owner(*who).to_account_id()),
                );
                let call = match closes {
                    true => pallet_assets::Call::block { id, who },
                    false => pallet_assets::Call::thaw { id, who },
                };
                (Alice, call.into())
            }
            Step::BuyShares(who, amount) => {
                let amount = self.amount(*who, USDC, *amount);
                let call = pallet_liquidation::Call::vault_deposit { amount };
                (owner(*who), call.into())
            }
            Step::SellShares(who, shares) => {
                let shares = shares_of(*who, *shares);
                let call = pallet_liquidation::Call::vault_withdraw { shares };
                (owner(*who), call.into())
            }
            Step::Supply(who, amount) => {
                let amount = self.amount(*who, USDC, *amount);
                (owner(*who), pallet_clearing::Call::supply { amount }.into())
            }
            Step::Redeem(who, shares) => {
                let shares = supplied_by(*who, *shares);
                (owner(*who), pallet_clearing::Call::redeem { shares }.into())
            }
            Step::Borrow(who, amount) => {
                let (signer, sub) = of(who);
                let amount = self.amount(*who, USDC, *amount);
                (signer, pallet_clearing::Call::borrow { sub, amount }.into())
            }
            Step::Keys(nth) => (Alice, set_keys(*nth).into()),
            Step::Bid {
                taker,
                nth,
                fraction,
                least_discount,
            } => {
                let (signer, sub) = of(taker);
                let call = pallet_liquidation::Call::bid {
                    sub,
                    account: competing(*nth).unwrap_or_else(|| account_of(*nth)),
                    fraction: *fraction,
                    least_discount: *least_discount,
                };
                (signer, call.into())
            }
            Step::Govern(rule) => {
                let call = Box::new(self.rule(*rule));
                (Alice, pallet_sudo::Call::sudo { call }.into())
            }
            Step::Usurp(who, rule) => (owner(*who), self.rule(*rule)),
            Step::Price(_)
            | Step::Close(_)
            | Step::Due
            | Step::Hour
            | Step::Week
            | Step::Until(..)
            | Step::Break(_) => {
                unreachable!("no transaction")
            }
        }
    }

    fn rule(&self, rule: Rule) -> RuntimeCall {
        govern::call(rule, |asset, amount| self.amount(0, asset, amount))
    }

    /// The market, or the first where there is none of that number.
    fn market(&self, id: MarketId) -> &MarketView {
        let markets = &self.view.markets;
        let found = markets.iter().find(|market| market.id == id);
        found.or(markets.first()).expect("a market is listed")
    }

    fn ticks(&self, id: MarketId, level: Level) -> Ticks {
        let market = self.market(id);
        let tick = market.tick_size.into_inner();
        // An option's band can be wider than its mark.
        let (one, band) = (u128::from(MILLION), u128::from(market.price_band));
        let at = |ppm: u128| (market.mark.into_inner() / one * ppm / tick) as Ticks;
        match level {
            Level::Market => 0,
            Level::Mark(away) => at(one).saturating_add_signed(away),
            Level::Upper(away) => at(one + band).saturating_add_signed(away),
            Level::Lower(away) => at(one.saturating_sub(band)).saturating_add_signed(away),
            Level::Of(who, nth) => OrderBook::open_orders(&account_of(who))
                .get(usize::from(nth))
                .map_or(at(one), |order| order.ticks),
            Level::Exactly(ticks) => ticks,
        }
    }

    fn lots(&self, of: &Account, id: MarketId, ticks: Ticks, size: Size) -> u64 {
        let market = self.market(id);
        let ticks = if ticks == 0 {
            self.ticks(id, Level::Mark(0))
        } else {
            ticks
        };
        let value = i128::from(ticks)
            .saturating_mul(market.tick_value.into())
            .max(1);
        let (base, more) = match size {
            Size::Exactly(lots) => return lots,
            Size::Least(more) => (ceil_div(market.min_notional, value), more),
            Size::Held(more) => {
                let held = Margin::account(of).map_or(0, |account| account.lots(id));
                (i128::from(held.unsigned_abs()), more)
            }
            Size::Covered(more) => {
                let assessed = Margin::account(of)
                    .and_then(|account| super::world::Rules::assess(&account, &self.view).ok())
                    .unwrap_or_default();
                let free = assessed.initial_equity - assessed.initial_with_orders;
                // Initial margin and a taker's fee; a short option's margin is of the forward, a combination's of all its legs.
                let size = match !market.contract.kind.is_linear() {
                    true => {
                        let forward = market.index.into_inner() / market.tick_size.into_inner();
                        forward as i128 * i128::from(market.tick_value)
                    }
                    false => value,
                };
                let each = size.saturating_mul(i128::from(market.imf) + 500) / 1_000_000;
                (free.max(0) / each.max(1), more)
            }
            Size::Cap(more) => {
                let open = i128::from(Margin::open_interest(id));
                (i128::from(market.open_interest_cap) - open, more)
            }
        };
        u64::try_from(base.saturating_add(more.into())).unwrap_or(0)
    }

    fn new_order(&self, of: &Account, terms: &Terms) -> NewOrder {
        let (now, market) = (System::block_number(), market_of(terms.market));
        let ticks = self.ticks(market, terms.level);
        NewOrder {
            market,
            client_id: terms.client.into(),
            side: terms.side,
            lots: self.lots(of, market, ticks, terms.size),
            price: match terms.level {
                Level::Market => OrderPrice::Market,
                _ => OrderPrice::Limit(ticks),
            },
            time_in_force: match terms.life {
                Life::GoodTilCancelled => TimeInForce::GoodTilCancelled,
                Life::Blocks(blocks) => TimeInForce::GoodTilBlock(block_after(now, blocks)),
                Life::ImmediateOrCancel => TimeInForce::ImmediateOrCancel,
                Life::PostOnly => TimeInForce::PostOnly,
                Life::FillOrKill => TimeInForce::FillOrKill,
            },
            reduce_only: terms.reduce_only,
            self_trade_prevention: match terms.oldest {
                true => SelfTradePrevention::CancelOldest,
                false => SelfTradePrevention::CancelNewest,
            },
        }
    }

    fn trigger(&self, of: &Account, terms: &Terms, wait: &Wait) -> NewTrigger {
        let now = System::block_number();
        NewTrigger {
            order: self.new_order(of, terms),
            direction: wait.direction,
            ticks: self.ticks(market_of(terms.market), wait.level),
            expires: wait.expires.map(|blocks| block_after(now, blocks)),
        }
    }

    fn shown(&self, of: &Account, order: &NewOrder, shown: Shown) -> Lots {
        match shown {
            Shown::Part(parts) => order.lots / parts,
            Shown::Whole(more) => order.lots.saturating_add_signed(more),
            Shown::Lots(size) => self.lots(of, order.market, 0, size),
        }
    }

    fn operation(&self, of: &Account, open: &[OpenOrder], op: &Op) -> Operation {
        let held = Margin::account(of).unwrap_or_default();
        let nth = |target: &Target| match target {
            Target::Nth(nth) => open.get(usize::from(*nth)),
            Target::Client(client) => open.iter().find(|o| o.client_id == u64::from(*client)),
            Target::Trigger(_) | Target::Twap(_) => None,
        };
        let target = |at: &Target| {
            let known = match at {
                Target::Client(client) => return OrderTarget::Client(u64::from(*client)),
                Target::Nth(_) => nth(at).map(|order| order.sequence),
                Target::Trigger(nth) => {
                    let trigger = held.triggers.get(usize::from(*nth));
                    trigger.map(|trigger| trigger.sequence)
                }
                Target::Twap(nth) => {
                    let orders = AccountOrders::of(&held);
                    let twap = orders.twaps().nth(usize::from(*nth));
                    twap.map(|twap| twap.sequence)
                }
            };
            OrderTarget::Sequence(known.unwrap_or(1_000_000))
        };
        match op {
            Op::Place(terms) => Operation::Place(self.new_order(of, terms)),
            Op::Arm(terms, wait) => Operation::PlaceTrigger(self.trigger(of, terms, wait)),
            Op::Iceberg(terms, shown) => {
                let order = self.new_order(of, terms);
                let display = self.shown(of, &order, *shown);
                Operation::PlaceIceberg { order, display }
            }
            Op::Pair(terms, wait, other, others) => Operation::PlacePair {
                first: match wait {
                    Some(wait) => Leg::Trigger(self.trigger(of, terms, wait)),
                    None => Leg::Order(self.new_order(of, terms)),
                },
                second: self.trigger(of, other, others),
            },
            Op::Twap(terms, slices, interval) => Operation::PlaceTwap(NewTwap {
                order: self.new_order(of, terms),
                slices: *slices,
                interval: *interval,
            }),
            Op::Peg(terms, anchor, offset) => Operation::PlacePegged(NewPegged {
                order: self.new_order(of, terms),
                anchor: *anchor,
                offset: *offset,
            }),
            Op::Cancel(at) => Operation::Cancel(target(at)),
            Op::CancelAll(market) => Operation::CancelAll {
                market: market.map(market_of),
            },
            Op::Amend(at, level, size) => {
                let market = nth(at).map_or(BTC_PERP, |order| order.market);
                let price = level.map(|level| self.ticks(market, level));
                let ticks = price.or(nth(at).map(|order| order.ticks)).unwrap_or(0);
                Operation::Amend {
                    target: target(at),
                    price,
                    lots: size.map(|size| self.lots(of, market, ticks, size)),
                }
            }
        }
    }

    fn amount(&self, who: Who, asset: AssetId, amount: Amount) -> u128 {
        let account = Margin::account(&account_of(who)).unwrap_or_default();
        let held = match asset {
            USDC => account.cash,
            asset => {
                let of = account.collateral.iter().find(|(held, _)| *held == asset);
                of.map_or(0, |(_, amount)| *amount as Cash)
            }
        };
        let (base, more) = match amount {
            Amount::Exactly(amount) => return amount,
            Amount::Held(more) => (held, more),
            Amount::Free(more) => (self.free(&account, asset, held), more),
            Amount::Wallet(more) => {
                let owner = owner(who).to_account_id();
                (Assets::balance(asset, owner) as Cash, more)
            }
            Amount::Lendable(more) => (self.lendable(&account).unwrap_or(0), more),
            Amount::Owed(more) => (debt_ceil(&account, &self.view).unwrap_or(0), more),
        };
        u128::try_from(base.saturating_add(more.into())).unwrap_or(0)
    }

    /// How much of an asset may leave an account, about: collateral down to where its haircut value is all that is free.
    fn free(&self, account: &MarginAccount, asset: AssetId, held: Cash) -> Cash {
        let assessed = super::world::Rules::assess(account, &self.view).unwrap_or_default();
        if asset == USDC {
            return assessed.withdrawable;
        }
        let Ok(view) = self.view.collateral(asset) else {
            return held;
        };
        let each = view.price.to_float() * (1.0 - f64::from(view.params.haircut) / 1e6);
        let units = assessed.withdrawable as f64 / 1e6 / each.max(1e-9);
        held.min((units * 10f64.powi(view.params.decimals.into())) as Cash)
    }

    /// How much the liquidity pot lends to an account at most, what the account holds included: whatever binds first of what its collateral
    /// covers and what it may owe.
    fn lendable(&self, account: &MarginAccount) -> Option<Cash> {
        let own = cash_after_interest(account, &self.view).ok()?;
        let mut sold = account.clone();
        for (asset, held) in std::mem::take(&mut sold.collateral) {
            let terms = self.view.collateral(asset).ok()?;
            sold.cash += collateral_value(terms, held).ok()?;
        }
        let free = super::world::Rules::assess(&sold, &self.view)
            .ok()?
            .withdrawable;
        let covered = borrowable_floor(free, own).ok()?;
        Some(covered.min(own + self.view.loans.account_cap))
    }
}

fn block_after(now: u32, blocks: i64) -> u32 {
    u32::try_from(i64::from(now) + blocks).unwrap_or(0)
}

/// Shares of the vault that somebody asks to sell.
fn shares_of(who: Who, shares: Shares) -> u128 {
    let held = pallet_liquidation::ShareHoldings::<Runtime>::get(owner(who).to_account_id());
    let beside = |base: u128, more: i64| base.saturating_add_signed(more.into());
    match shares {
        Shares::Exactly(shares) => shares,
        Shares::Held(more) => beside(held.shares, more),
        Shares::Free(more) => beside(held.free(System::block_number()), more),
        Shares::Part(parts) => held.shares / parts,
    }
}

/// Shares of the liquidity pot that somebody asks to redeem.
fn supplied_by(who: Who, shares: Shares) -> u128 {
    let held = pallet_margin::Suppliers::<Runtime>::get(owner(who).to_account_id());
    match shares {
        Shares::Exactly(shares) => shares,
        Shares::Held(more) | Shares::Free(more) => held.saturating_add_signed(more.into()),
        Shares::Part(parts) => held / parts,
    }
}

/// The validator's keys of that number, with the proof that it holds them.
fn set_keys(nth: u8) -> pallet_session::Call<Runtime> {
    let signers = [Alice, Bob, Charlie, Dave];
    let finality = [
        Ed25519Keyring::Alice,
        Ed25519Keyring::Bob,
        Ed25519Keyring::Charlie,
        Ed25519Keyring::Dave,
    ];
    let at = usize::from(nth) % signers.len();
    let keys = SessionKeys {
        aura: signers[at].public().into(),
        grandpa: finality[at].public().into(),
        oracle: signers[at].public().into(),
    };
    let (of, mut signer, mut voter) = (
        Alice.to_account_id().encode(),
        signers[at].pair(),
        finality[at].pair(),
    );
    let proof = (
        signer.generate_proof_of_possession(&of),
        voter.generate_proof_of_possession(&of),
        signer.generate_proof_of_possession(&of),
    );
    pallet_session::Call::set_keys {
        keys,
        proof: proof.encode(),
    }
}

/// The account in competition, or called, of that number.
fn competing(nth: u8) -> Option<Account> {
    let takes_bids = |standing| {
        matches!(
            standing,
            Standing::Competing { .. } | Standing::Called { .. }
        )
    };
    let accounts = pallet_margin::Accounts::<Runtime>::iter();
    let mut all: Vec<_> = accounts
        .filter(|(_, account)| takes_bids(account.standing))
        .map(|(of, _)| of)
        .collect();
    all.sort();
    all.into_iter().nth(nth.into())
}
