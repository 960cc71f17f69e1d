//! Twenty accounts that do anything: orders of all kinds, cancels, amendments, deposits, withdrawals, transfers, governance,
//! on a price that drifts, crashes and goes silent.

use super::*;
use novate_runtime::configs::exchange::{BTC, USDT};
use novate_types::{Anchor, Direction, Leg, MarketStatus, NewPegged, NewTrigger, NewTwap};
use pallet_liquidation::Event as Liquidated;
use std::collections::BTreeMap;

/// Accounts of each owner: a rich one and a poor one.
pub const SUBACCOUNTS: SubaccountId = 2;

/// Ten owners.
pub fn owners() -> Vec<Sr25519Keyring> {
    Sr25519Keyring::well_known().take(10).collect()
}

/// What the run did, so that a run that tests nothing fails.
#[derive(Debug, Default)]
pub struct Tally {
    pub operations: u64,
    pub accepted: u64,
    pub refused: BTreeMap<String, u64>,
    pub fills: u64,
    pub fired: u64,
    pub crashes: u64,
    pub remedies: BTreeMap<&'static str, u64>,
    pub withdrawals: u64,
    pub full_blocks: u64,
}

/// How much happens to the price.
#[derive(Clone, Copy)]
pub struct Climate {
    /// One block in so many moves by 10 to 30 %; none if zero.
    pub crash: u64,
    /// Other blocks move by less than this, in ppm; none if zero.
    pub drift: u64,
    /// One block in so many comes a minute late.
    pub late: u64,
    /// One block in so many begins an outage of the oracle; none if zero.
    pub outage: u64,
}

impl Climate {
    /// Everything that can happen does.
    pub const ROUGH: Self = Self {
        crash: 25,
        drift: 4_000,
        late: 40,
        outage: 60,
    };
    /// Time passes, and funding and fees do what there is to do.
    pub const STILL: Self = Self {
        crash: 0,
        drift: 0,
        late: 2,
        outage: 0,
    };
    /// As in a market that trades all day.
    pub const FAIR: Self = Self {
        crash: 0,
        drift: 12_000,
        late: 10,
        outage: 0,
    };
}

/// The second market: the same underlying in ticks of 1 USD and lots of 0.001 BTC.
pub const BTC_MINI: MarketId = 1;

fn list_second_market() {
    let first = pallet_instruments::Instruments::<Runtime>::get(BTC_PERP).expect("it is listed");
    let call = pallet_instruments::Call::list_market {
        symbol: b"BTC-MINI".to_vec().try_into().expect("a short name"),
        kind: first.kind,
        underlying: first.underlying,
        tick_size: usd(1),
        lot_size: Price::from_rational(1, 1_000),
        params: first.params,
    };
    govern(call).expect("the market is in order");
}

/// Two that hold large positions against each other and do nothing more, so that nobody else is a tenth of open interest and
/// goes to the vault at once.
fn bystanders() {
    let sides = [
        (Sr25519Keyring::EveStash, Side::Bid),
        (Sr25519Keyring::FerdieStash, Side::Ask),
    ];
    block(usd(20_000), || {
        for (who, side) in sides {
            deposit(who, 5_000_000);
            place(who, order(side, 400_000, ticks(20_000))).expect("there is margin");
            let mini = NewOrder {
                market: BTC_MINI,
                ..order(side, 40_000, 20_000)
            };
            place(who, mini).expect("there is margin");
        }
    });
    let [(long, _), (short, _)] = sides;
    assert_eq!(held(long).lots(BTC_PERP), 400_000);
    assert_eq!(held(short).lots(BTC_MINI), -40_000);
}

/// A run, reproducible from its seed.
pub struct Run {
    pub random: Random,
    /// Of bitcoin, in cents.
    price: i64,
    pub climate: Climate,
    pub tally: Tally,
    /// Blocks without an observation still to come.
    outage: u64,
}

impl Run {
    /// A run and its chain: BTC-PERP open at 20,000 USD, a funded vault, the accounts' deposits.
    pub fn new(seed: u64, climate: Climate) -> (Self, TestExternalities) {
        println!("seed {seed}");
        let mut chain = opened_at(usd(20_000));
        chain.execute_with(|| {
            block(usd(20_000), || {
                let (to, amount) = (vault(), 200_000_000_000);
                list_second_market();
                submit(
                    Bob,
                    pallet_clearing::Call::deposit_for {
                        to,
                        asset: USDC,
                        amount,
                    },
                )
                .unwrap();
            });
            for who in owners() {
                block(usd(20_000), || {
                    for (sub, dollars) in (0..).zip([25_000, 1_500]) {
                        deposit_into(who, sub, USDC, dollars * 1_000_000).unwrap();
                    }
                });
            }
            bystanders();
        });
        let run = Self {
            random: Random::new(seed),
            price: 2_000_000,
            climate,
            tally: Tally::default(),
            outage: 0,
        };
        (run, chain)
    }

    /// The price that the next observation moves from.
    pub fn price(&self) -> Price {
        Price::from_inner(self.price as u128 * 10_000_000_000_000_000)
    }

    fn ticks(&self) -> Ticks {
        (self.price / 50) as Ticks
    }

    fn someone(&mut self) -> (Sr25519Keyring, SubaccountId) {
        (
            *self.random.pick(&owners()),
            self.random.below(u64::from(SUBACCOUNTS)) as u8,
        )
    }

    fn some_account(&mut self) -> AccountRef<AccountId> {
        match self.random.below(12) {
            0 => vault(),
            _ => {
                let (who, sub) = self.someone();
                AccountRef::new(who.to_account_id(), sub)
            }
        }
    }

    fn some_asset(&mut self) -> (u32, u128) {
        match self.random.below(6) {
            0 => (USDT, u128::from(self.random.below(2_000)) * 1_000_000),
            1 => (BTC, u128::from(self.random.below(10_000_000))),
            _ => (USDC, u128::from(self.random.below(2_000_000_000))),
        }
    }

    /// Everybody prefers a side for a while, or nobody would come near a margin.
    fn an_order(&mut self, of: &Account) -> NewOrder {
        let era = u64::from(System::block_number() / 80);
        let leaning = u64::from(of.owner.encode()[0]) + u64::from(of.sub) + era;
        let random = &mut self.random;
        let side = match (leaning % 2 == 0) ^ random.one_in(5) {
            true => Side::Bid,
            false => Side::Ask,
        };
        let lots = match random.below(10) {
            0 => random.below(4),
            1 => random.below(200_000),
            _ => 20 + random.below(10_000),
        };
        let spread = if random.one_in(8) { 2_000 } else { 80 };
        let away = random.within(-spread, spread);
        let time_in_force = match random.below(10) {
            0..4 => TimeInForce::GoodTilCancelled,
            4 => TimeInForce::ImmediateOrCancel,
            5 => TimeInForce::FillOrKill,
            6..8 => TimeInForce::PostOnly,
            _ => TimeInForce::GoodTilBlock(System::block_number() + random.below(12) as u32),
        };
        let price = if random.one_in(10) {
            OrderPrice::Market
        } else {
            OrderPrice::Limit(self.ticks().saturating_add_signed(away))
        };
        let random = &mut self.random;
        let (market, lots, price) = match (random.below(3), price) {
            (0, OrderPrice::Limit(ticks)) => (BTC_MINI, lots / 10, OrderPrice::Limit(ticks / 2)),
            (0, OrderPrice::Market) => (BTC_MINI, lots / 10, price),
            _ => (BTC_PERP, lots, price),
        };
        NewOrder {
            market,
            price,
            time_in_force,
            reduce_only: random.one_in(5),
            self_trade_prevention: *random.pick(&[
                SelfTradePrevention::CancelNewest,
                SelfTradePrevention::CancelOldest,
            ]),
            // Some are taken already, some were cancelled in this block.
            client_id: random.below(60),
            ..order(side, lots, 1)
        }
    }

    /// An order that waits for a mark near the present one.
    fn a_trigger(&mut self, of: &Account) -> NewTrigger {
        let order = self.an_order(of);
        let away = self.random.within(-600, 600);
        let here = self.ticks() / if order.market == BTC_MINI { 2 } else { 1 };
        let random = &mut self.random;
        NewTrigger {
            order,
            // Some are met already.
            direction: match (away < 0) ^ random.one_in(20) {
                true => Direction::Down,
                false => Direction::Up,
            },
            ticks: here.saturating_add_signed(away),
            expires: random
                .one_in(3)
                .then(|| System::block_number() + random.below(40) as u32),
        }
    }

    /// Two that exclude each other; some cannot.
    fn a_pair(&mut self, of: &Account) -> Operation {
        let first = if self.random.one_in(3) {
            Leg::Trigger(self.a_trigger(of))
        } else {
            Leg::Order(self.an_order(of))
        };
        let mut second = self.a_trigger(of);
        if !self.random.one_in(8) {
            second.expires = Some(System::block_number() + 1 + self.random.below(40) as u32);
            second.order.market = match first {
                Leg::Order(order) => order.market,
                Leg::Trigger(trigger) => trigger.order.market,
            };
        }
        Operation::PlacePair { first, second }
    }

    /// An order in slices, most of which can be.
    fn a_twap(&mut self, of: &Account) -> NewTwap {
        let order = self.an_order(of);
        NewTwap {
            order: NewOrder {
                time_in_force: TimeInForce::ImmediateOrCancel,
                ..order
            },
            slices: 1 + self.random.below(5) as u16,
            interval: self.random.below(4) as u16,
        }
    }

    fn an_operation(&mut self, of: &Account, open: &[u64]) -> Operation {
        let target = match open {
            [] => OrderTarget::Client(self.random.below(60)),
            open if self.random.one_in(2) => OrderTarget::Sequence(*self.random.pick(open)),
            _ => OrderTarget::Client(self.random.below(60)),
        };
        match self.random.below(20) {
            0..3 => Operation::Cancel(target),
            3..6 => Operation::Amend {
                target,
                price: (!self.random.one_in(3)).then(|| {
                    let away = self.random.within(-100, 100);
                    self.ticks().saturating_add_signed(away)
                }),
                lots: self.random.one_in(2).then(|| self.random.below(8_000)),
            },
            6 if self.random.one_in(5) => Operation::CancelAll {
                market: self.random.one_in(2).then_some(BTC_PERP),
            },
            7..9 => Operation::PlaceTrigger(self.a_trigger(of)),
            9 => self.a_pair(of),
            10 => Operation::PlaceTwap(self.a_twap(of)),
            11 => {
                let order = NewOrder {
                    time_in_force: TimeInForce::PostOnly,
                    ..self.an_order(of)
                };
                Operation::PlacePegged(NewPegged {
                    order,
                    anchor: *self.random.pick(&[Anchor::Mark, Anchor::Best]),
                    offset: self.random.within(-60, 60) as i32,
                })
            }
            12 => {
                let order = self.an_order(of);
                let display = 1 + order.lots / (1 + self.random.below(5));
                Operation::PlaceIceberg { order, display }
            }
            _ => Operation::Place(self.an_order(of)),
        }
    }

    fn some_orders(&mut self) -> (Sr25519Keyring, RuntimeCall) {
        use novate_types::OrderBook as _;
        let (who, sub) = self.someone();
        let of = AccountRef::new(who.to_account_id(), sub);
        let open: Vec<u64> = novate_runtime::OrderBook::open_orders(&of)
            .iter()
            .map(|order| order.sequence)
            .collect();
        let count = 1 + self.random.below(8);
        let operations: Vec<_> = (0..count).map(|_| self.an_operation(&of, &open)).collect();
        self.tally.operations += count;
        (who, submit_call(sub, operations))
    }

    fn something_of_governance(&mut self) -> RuntimeCall {
        let random = &mut self.random;
        let market = *random.pick(&[BTC_PERP, BTC_MINI]);
        match random.below(12) {
            0 => pallet_instruments::Call::restrict_market {
                market,
                new_value: *random.pick(&[MarketStatus::ReduceOnly, MarketStatus::Halted]),
            }
            .into(),
            5..11 => pallet_instruments::Call::set_status {
                market,
                new_value: MarketStatus::Open,
            }
            .into(),
            1 => pallet_instruments::Call::lower_open_interest_cap {
                market,
                new_value: 400_000 + random.below(2_000_000),
            }
            .into(),
            2 => pallet_liquidation::Call::lower_loss_cap {
                market,
                cap: i128::from(random.below(100_000)) * USD,
            }
            .into(),
            3 => {
                let new_value = random.below(4) as u8;
                pallet_margin::Call::set_fee_tier {
                    account: self.some_account(),
                    new_value,
                }
                .into()
            }
            _ => pallet_margin::Call::lower_global_cap {
                asset: *random.pick(&[USDT, BTC]),
                new_value: u128::from(random.next()),
            }
            .into(),
        }
    }

    /// Somebody's next transaction.
    pub fn something(&mut self) -> (Sr25519Keyring, RuntimeCall) {
        let random = &mut self.random;
        let what = random.below(100);
        if what < 80 {
            return self.some_orders();
        }
        self.tally.operations += 1;
        let (who, sub) = self.someone();
        let (asset, amount) = self.some_asset();
        let call = match what {
            80..88 => pallet_margin::Call::deposit { sub, asset, amount }.into(),
            88..93 => pallet_clearing::Call::withdraw { sub, asset, amount }.into(),
            93..96 => {
                let to = self.some_account();
                pallet_clearing::Call::transfer {
                    sub,
                    to,
                    asset,
                    amount,
                }
                .into()
            }
            96..98 => {
                let to = self.some_account();
                pallet_clearing::Call::deposit_for {
                    to,
                    asset: USDC,
                    amount,
                }
                .into()
            }
            98 => pallet_margin::Call::close_account { sub }.into(),
            _ => {
                let call = Box::new(self.something_of_governance());
                return (Alice, pallet_sudo::Call::sudo { call }.into());
            }
        };
        (who, call)
    }

    /// Moves the price: mostly a little, now and then by 10 to 30 % at once.
    fn move_price(&mut self) {
        let Climate { crash, drift, .. } = self.climate;
        let ppm = if crash > 0 && self.random.one_in(crash) {
            self.tally.crashes += 1;
            self.random.within(100_000, 300_000)
        } else if drift > 0 {
            self.random.below(drift) as i64
        } else {
            return;
        };
        // Back towards where it began, so that a long run stays within reach.
        let falls = self.random.within(0, 4_000_000) < self.price;
        let moved = self.price * ppm / 1_000_000;
        self.price += if falls { -moved } else { moved };
    }

    /// The validator's observation, if there is one.
    pub fn observe(&mut self) {
        let Some(bitcoin) = self.next_price() else {
            return;
        };
        let cents = |cents: i64| Price::from_inner(cents as u128 * 10_000_000_000_000_000);
        let usdc = 96 + self.random.below(5) as i64;
        let usdt = 95 + self.random.below(7) as i64;
        let mut prices = vec![(BTC_FEED, bitcoin), (USDC_FEED, cents(usdc))];
        if !self.random.one_in(20) {
            prices.push((USDT_FEED, cents(usdt)));
        }
        observe_all(&prices);
    }

    /// Counts what the block did. The sweep finds nothing that the index missed.
    pub fn count_events(&mut self) {
        self.tally.fills += fills().len() as u64;
        for event in events() {
            if let RuntimeEvent::OrderBook(pallet_order_book::Event::Fired { triggers, .. }) = event
            {
                self.tally.fired += triggers.len() as u64;
            }
        }
        for event in liquidations() {
            let remedy = match event {
                Liquidated::OrdersCancelled { .. } => "1 orders cancelled",
                Liquidated::LiquidationOrderPlaced { .. } => "2 order placed",
                Liquidated::TakenOver { .. } => "4 taken over",
                Liquidated::TakeoverRefused { .. } => "4 refused",
                Liquidated::CollateralCalled { .. } => "3 collateral called",
                Liquidated::DebtPaid { .. } => "4 debt paid",
                Liquidated::InsurancePaid { .. } => "5 insurance",
                Liquidated::Deleveraged { .. } => "6 deleveraged",
                Liquidated::LossShared { .. } => "7 shared",
                Liquidated::DeficitUncovered { .. } => "7 uncovered",
                Liquidated::Recovered { .. } => "recovered",
                Liquidated::FoundBySweep { .. } => panic!("the sweep found what the index missed"),
                _ => continue,
            };
            *self.tally.remedies.entry(remedy).or_default() += 1;
        }
        let paid = |event: &_| {
            matches!(
                event,
                RuntimeEvent::Clearing(pallet_clearing::Event::Executed { .. })
            )
        };
        self.tally.withdrawals += events().iter().filter(|event| paid(event)).count() as u64;
    }

    /// The next price, if the oracle is not silent.
    pub fn next_price(&mut self) -> Option<Price> {
        if self.outage > 0 {
            self.outage -= 1;
            return None;
        }
        if self.climate.outage > 0 && self.random.one_in(self.climate.outage) {
            self.outage = self.random.below(20);
        }
        self.move_price();
        Some(self.price())
    }

    /// Time to the next block.
    pub fn pause(&mut self) -> Millis {
        match self.random.below(3 * self.climate.late) {
            0 => 70_000,
            1 | 2 => 60_000,
            3..6 => 1_000 * (1 + self.random.below(20)),
            _ => 1_000,
        }
    }

    /// A block of random transactions, with `check` after each.
    pub fn block(&mut self, check: impl Fn()) {
        let pause = self.pause();
        begin(pause);
        self.observe();
        for _ in 0..4 + self.random.below(16) {
            let (who, call) = self.something();
            // A full block takes no more.
            let Ok(done) = send(who, call) else {
                self.tally.full_blocks += 1;
                break;
            };
            match done {
                Ok(()) => self.tally.accepted += 1,
                Err(error) => {
                    let name = <&'static str>::from(error).to_string();
                    *self.tally.refused.entry(name).or_default() += 1;
                }
            }
            check();
        }
        end();
        self.count_events();
    }
}
