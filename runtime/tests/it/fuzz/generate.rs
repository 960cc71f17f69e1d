//! Steps from a seed: what is likely, and at which edges.

use super::{
    govern::{self, Dated, Rule, Subject, Value, IDLE_FEED, WRAPPED},
    step::*,
};
use crate::common::Random;
use novate_runtime::configs::exchange::{BTC, BTC_FEED, USDC, USDT};
use novate_types::{Anchor, AssetId, Direction, MarketId, Millis, Side, TierId};

/// Steps from a seed.
pub struct Generator {
    random: Random,
    /// Everybody prefers a side for a while, or nobody would come near a margin.
    era: u64,
    steps: Vec<Step>,
}

impl Generator {
    /// The case of a seed, with at least `count` steps.
    pub fn case(seed: u64, count: u64) -> (Scene, Vec<Step>) {
        let mut generator = Self {
            random: Random::new(seed),
            era: 0,
            steps: Vec::new(),
        };
        let scene = *generator
            .random
            .pick(&[Scene::Crowded, Scene::Crowded, Scene::Thin]);
        let (mut counted, mut done) = (0, 0);
        while counted < count {
            generator.something();
            counted += generator.steps[done..].iter().map(Step::count).sum::<u64>();
            done = generator.steps.len();
        }
        (scene, generator.steps)
    }

    fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    fn something(&mut self) {
        match self.random.below(250) {
            0..100 => self.orders(),
            100..112 => {
                let step = Step::Deposit(self.who(), self.asset(), self.amount());
                self.push(step);
            }
            112..120 => {
                let step = Step::Withdraw(self.who(), self.asset(), self.amount());
                self.push(step);
            }
            120..126 => {
                let (who, to) = (self.who(), self.anybody());
                let step = Step::Transfer(who, to, self.asset(), self.amount());
                self.push(step);
            }
            126..129 => {
                let (who, to) = (self.who(), self.anybody());
                let asset = if self.random.one_in(10) { BTC } else { USDC };
                let step = Step::DepositFor(who, to, asset, self.amount());
                self.push(step);
            }
            129 => {
                let step = Step::CloseAccount(self.who());
                self.push(step);
            }
            130..136 => self.bid(),
            136..142 => {
                let (market, who) = (self.market(), self.anybody());
                let rule = govern::rule(&mut self.random, market, who);
                let step = match self.random.below(40) {
                    0 => Step::Usurp(self.who(), rule),
                    _ => Step::Govern(rule),
                };
                self.push(step);
            }
            142..146 => {
                let step = match self.random.one_in(2) {
                    true => Step::BuyShares(self.who(), self.entry()),
                    false => Step::SellShares(self.who(), self.shares()),
                };
                self.push(step);
            }
            146 => self.wallets(),
            147..170 => {
                let step = Step::Price(self.movement());
                self.push(step);
            }
            170 if self.random.one_in(8) => self.push(Step::Due),
            171 if self.random.one_in(2) => self.fall(),
            172 if self.random.one_in(3) => self.gap(),
            173 => self.era += 1,
            174 if self.random.one_in(3) => self.epoch(),
            175 if self.random.one_in(12) => self.week(),
            176 if self.random.one_in(8) => self.flood(),
            176 if self.random.one_in(8) => self.haggle(),
            177 if self.random.one_in(8) => {
                let step = Step::Keys(self.random.below(4) as u8);
                self.push(step);
            }
            178..184 => self.lend(),
            184 if self.random.one_in(2) => self.expire(),
            185 if self.random.one_in(3) => self.indebt(),
            186 if self.random.one_in(20) => self.vigil(),
            187 if self.random.one_in(4) => self.edge(),
            188 if self.random.one_in(3) => self.retract(),
            189 if self.random.one_in(5) => self.overtake(),
            190 if self.random.one_in(6) => self.rush(),
            191 if self.random.one_in(20) => self.breadth(),
            192 if self.random.one_in(8) => self.sessions(),
            193 if self.random.one_in(3) => self.write(),
            _ => {
                let step = Step::Close(self.pause());
                self.push(step);
            }
        }
    }

    /// Somebody supplies the liquidity pot, leaves it, borrows from it, or pays back.
    fn lend(&mut self) {
        let (who, beside) = (self.who(), self.beside());
        let step = match self.random.below(10) {
            0..3 => Step::Supply(who, self.amount()),
            3 => Step::Redeem(who, self.shares()),
            4..8 => {
                let amount = match self.random.one_in(3) {
                    true => self.amount(),
                    false => Amount::Lendable(beside),
                };
                Step::Borrow(who, amount)
            }
            8 => Step::Deposit(who, USDC, Amount::Owed(beside)),
            _ => Step::Redeem(who, Shares::Held(beside)),
        };
        self.push(step);
    }

    /// An account pledges all of its owner's bitcoin, or a little, and borrows all that is lent for it; then it is held for a while, and bitcoin
    /// may fall, or suppliers leave.
    fn indebt(&mut self) {
        let (who, supplier) = (self.who(), self.who());
        let beside = self.beside();
        let pledged = *self.random.pick(&[
            Amount::Wallet(0),
            Amount::Exactly(500_000_000),
            Amount::Exactly(20_000_000),
        ]);
        self.push(Step::Deposit(who, BTC, pledged));
        let supplied = *self
            .random
            .pick(&[1_000_000_000, 100_000_000_000, 1_200_000_000_000]);
        self.push(Step::Supply(supplier, Amount::Exactly(supplied)));
        self.push(Step::Close(1_000));
        self.push(Step::Borrow(who, Amount::Lendable(beside)));
        let closes = 3 + self.random.below(12);
        for _ in 0..closes {
            let pause = *self.random.pick(&[1_000, 1_000, 6_000, 60_000]);
            self.push(Step::Close(pause));
            match self.random.below(8) {
                0 => self.push(Step::Redeem(supplier, Shares::Held(beside))),
                1 => {
                    let by = self.random.within(-60_000, 10_000);
                    self.push(Step::Price(Move::By(by)));
                }
                2 => self.bid(),
                3 => self.lend(),
                _ => {}
            }
        }
    }

    /// The mean before the next expiry is taken, whole, in part or not at all, while what expires is traded; then it expires and settles.
    fn expire(&mut self) {
        let beside = self.beside();
        self.push(Step::Until(Moment::Mean, beside));
        for _ in 0..*self.random.pick(&[0, 1, 14, 15, 16, 29, 30, 31]) {
            self.in_mean();
        }
        let beside = self.beside();
        self.push(Step::Until(Moment::Expiry, beside));
        for _ in 0..*self.random.pick(&[1, 2, 15, 16, 17]) {
            self.in_mean();
        }
    }

    /// A minute before an expiry, or after it.
    fn in_mean(&mut self) {
        let who = self.who();
        match self.random.below(8) {
            0..3 => {
                let ops = (0..1 + self.random.below(3))
                    .map(|_| {
                        let market = DATED + self.random.below(4) as MarketId;
                        Op::Place(Terms {
                            market,
                            ..self.terms(who)
                        })
                    })
                    .collect();
                self.push(Step::Orders(who, ops));
            }
            3 => {
                let step = Step::Price(self.movement());
                self.push(step);
            }
            4 => self.orders(),
            _ => {}
        }
        let pause = *self
            .random
            .pick(&[60_000, 60_000, 60_000, 60_000, 59_999, 60_001, 1_000]);
        self.push(Step::Close(pause));
    }

    /// Somebody stands at the edge of the band for as long as it takes to interrupt the market, or a block less; then come the call and its end.
    fn edge(&mut self) {
        // The second of an owner's accounts has too little for it.
        let who = self.who() / 2 * 2;
        let (market, least) = *self.random.pick(&[(0, 5_500), (1, 550)]);
        let side = *self.random.pick(&[Side::Bid, Side::Ask]);
        let level = match side {
            Side::Bid => Level::Upper(0),
            Side::Ask => Level::Lower(0),
        };
        for nth in 0..29 + self.random.below(4) {
            let terms = Terms {
                market,
                side,
                size: Size::Exactly(least),
                level,
                life: Life::GoodTilCancelled,
                reduce_only: false,
                oldest: false,
                // One that was cancelled in a block is free in the next.
                client: 50 + (nth % 2) as u8,
            };
            let again = vec![Op::CancelAll(Some(market)), Op::Place(terms)];
            self.push(Step::Orders(who, again));
            self.push(Step::Close(1_000));
        }
        for _ in 0..8 + self.random.below(8) {
            if self.random.one_in(2) {
                self.orders();
            }
            self.push(Step::Close(1_000));
        }
    }

    /// Five days of an hour a block: forecasts begin, margin follows them, and accounts are called.
    fn vigil(&mut self) {
        let wild = *self.random.pick(&[1_000, 10_000, 40_000]);
        for _ in 0..125 {
            let by = self.random.within(-wild, wild);
            self.push(Step::Price(Move::By(by)));
            if self.random.one_in(6) {
                self.orders();
            }
            self.push(Step::Close(3_600_000));
        }
    }

    /// Some buy shares of the vault, some sell theirs, and the epoch ends.
    fn epoch(&mut self) {
        for _ in 0..self.random.below(6) {
            let step = Step::BuyShares(self.who(), self.entry());
            self.push(step);
        }
        for _ in 0..self.random.below(4) {
            let step = Step::SellShares(self.who(), self.shares());
            self.push(step);
        }
        self.push(Step::Hour);
        for _ in 0..1 + self.random.below(4) {
            self.push(Step::Close(1_000));
        }
    }

    /// What was bought may be sold again, and is.
    fn week(&mut self) {
        self.push(Step::Week);
        for who in (0..ACTORS).step_by(2) {
            if self.random.one_in(2) {
                let step = Step::SellShares(who, self.shares());
                self.push(step);
            }
        }
        self.push(Step::Hour);
        for _ in 0..2 + self.random.below(3) {
            self.push(Step::Close(1_000));
        }
    }

    /// One account asks for as many orders as it can in a block, and for more.
    fn flood(&mut self) {
        let who = self.who();
        let mut client = 0u8;
        for _ in 0..2 + self.random.below(4) {
            let ops = (0..64)
                .map(|_| {
                    client = client.wrapping_add(1);
                    let terms = Terms {
                        market: self.random.below(2) as MarketId,
                        size: Size::Least(1),
                        level: Level::Mark(-500 - i64::from(client)),
                        side: Side::Bid,
                        life: Life::GoodTilCancelled,
                        client,
                        ..self.terms(who)
                    };
                    match self.random.below(12) {
                        0..3 => Op::Arm(terms, self.wait(true)),
                        3..6 => Op::Peg(
                            Terms {
                                life: Life::PostOnly,
                                ..terms
                            },
                            Anchor::Mark,
                            -900,
                        ),
                        _ => Op::Place(terms),
                    }
                })
                .collect();
            self.push(Step::Orders(who, ops));
            if self.random.one_in(3) {
                self.push(Step::Orders(who, vec![Op::CancelAll(None)]));
            }
        }
    }

    /// An order is amended as often as it can be in a block, and more often.
    fn haggle(&mut self) {
        let who = self.who();
        let terms = Terms {
            market: 0,
            side: Side::Bid,
            size: Size::Least(1),
            level: Level::Mark(-400),
            life: Life::GoodTilCancelled,
            reduce_only: false,
            oldest: false,
            client: 60,
        };
        self.push(Step::Orders(who, vec![Op::Place(terms)]));
        for nth in 0..5_i64 {
            let amend = |op: i64| {
                let level = Level::Mark(-500 - 64 * nth - op);
                Op::Amend(Target::Client(60), Some(level), None)
            };
            self.push(Step::Orders(who, (0..64).map(amend).collect()));
        }
    }

    /// Everybody has as many stops as there can be, the price jumps past them all and comes back, and some are placed where others still
    /// wait for their turn.
    fn rush(&mut self) {
        let direction = *self.random.pick(&[Direction::Down, Direction::Up]);
        let away = |by: i64| match direction {
            Direction::Down => -by,
            Direction::Up => by,
        };
        let stop = |client: u8, level: Level, leaning: bool| {
            let terms = Terms {
                market: 0,
                side: if leaning { Side::Bid } else { Side::Ask },
                size: Size::Least(1),
                level: Level::Market,
                life: Life::ImmediateOrCancel,
                reduce_only: false,
                oldest: false,
                client,
            };
            let wait = Wait {
                direction,
                level,
                expires: None,
            };
            Op::Arm(terms, wait)
        };
        for who in 0..ACTORS {
            let stops = (0..32).map(|client| {
                let level = Level::Mark(away(20 + self.random.within(0, 300)));
                stop(client, level, self.random.one_in(2))
            });
            let mut ops = vec![Op::CancelAll(None)];
            ops.extend(stops);
            self.push(Step::Orders(who, ops));
            if self.random.one_in(4) {
                self.push(Step::Close(1_000));
            }
        }
        self.push(Step::Close(1_000));
        self.push(Step::Price(Move::By(away(30_000))));
        self.push(Step::Close(1_000));
        self.push(Step::Price(Move::By(-away(30_000))));
        for client in 0..3 + self.random.below(4) as u8 {
            let who = self.who();
            let level = Level::Mark(away(20 + self.random.within(0, 300)));
            self.push(Step::Orders(who, vec![stop(40 + client, level, false)]));
            self.push(Step::Close(1_000));
        }
    }

    /// More contracts are listed than an account may trade, and one asks for all of them.
    fn breadth(&mut self) {
        let term = 7_200_000 + 60_000 * self.random.below(600);
        for steps in 0..17 {
            self.push(Step::Govern(Rule::Dated(Dated::Call(-steps), term)));
            self.push(Step::Govern(Rule::Dated(Dated::Put(steps), term)));
        }
        for _ in 0..3 {
            self.push(Step::Close(31_000));
        }
        // The first of an owner's accounts has cash for the premiums.
        let (who, other) = self.two();
        let asked = |nth: MarketId, side| {
            Op::Place(Terms {
                market: DATED + nth,
                side,
                size: Size::Least(0),
                level: Level::Mark(0),
                life: Life::GoodTilCancelled,
                reduce_only: false,
                oldest: false,
                client: 100 + nth as u8,
            })
        };
        for eight in 0..6 {
            let ops = (8 * eight..8 * eight + 8).map(|nth| asked(nth, Side::Bid));
            self.push(Step::Orders(who, ops.collect()));
        }
        let ops = (4..20).map(|nth| asked(nth, Side::Ask));
        self.push(Step::Orders(other, ops.collect()));
        self.call();
        // It holds options and has orders for more, and is looked at with all of them for each of these.
        let more = (0..60).map(|nth| {
            Op::Place(Terms {
                market: 0,
                side: Side::Bid,
                size: Size::Least(1),
                level: Level::Mark(-400),
                life: Life::GoodTilCancelled,
                reduce_only: false,
                oldest: false,
                client: 160 + nth,
            })
        });
        self.push(Step::Orders(who, more.collect()));
    }

    /// Somebody writes options against what he holds, takes out what is free, and the price moves.
    fn write(&mut self) {
        let (who, other) = self.two();
        let steps = self.random.within(-1, 1) as i8;
        let (kind, held) = *self.random.pick(&[
            (Dated::Call(steps), Side::Bid),
            (Dated::Put(steps), Side::Ask),
        ]);
        let term = 7_200_000 + 3_600_000 * self.random.below(48);
        self.push(Step::Govern(Rule::Dated(kind, term)));
        for _ in 0..3 {
            self.push(Step::Close(31_000));
        }
        let lots = 200 + self.random.below(800);
        let placed = |market, side| {
            Op::Place(Terms {
                market,
                side,
                size: Size::Exactly(lots),
                level: Level::Mark(0),
                life: Life::GoodTilCancelled,
                reduce_only: false,
                oldest: false,
                client: 70 + market as u8 % 2,
            })
        };
        let both = |side: Side| vec![placed(1, side), placed(NEWEST, Side::Ask)];
        self.push(Step::Orders(who, both(held)));
        let met = vec![placed(1, held.opposite()), placed(NEWEST, Side::Bid)];
        self.push(Step::Orders(other, met));
        self.call();
        for asset in [BTC, USDT, USDC] {
            self.push(Step::Withdraw(who, asset, Amount::Free(0)));
            self.push(Step::Close(1_000));
        }
        let by = self.random.within(5_000, 80_000);
        let by = if held == Side::Bid { -by } else { by };
        self.push(Step::Price(Move::By(by)));
        for _ in 0..2 + self.random.below(10) {
            self.push(Step::Close(1_000));
        }
    }

    /// As long as a call of a market that was listed takes.
    fn call(&mut self) {
        for _ in 0..12 {
            self.push(Step::Close(1_000));
        }
    }

    /// The first accounts of two owners: their second ones hold little.
    fn two(&mut self) -> (Who, Who) {
        let owners = u64::from(ACTORS / 2);
        let first = self.random.below(owners);
        let second = (first + 1 + self.random.below(owners - 1)) % owners;
        (2 * first as Who, 2 * second as Who)
    }

    /// A change is scheduled and withdrawn.
    fn retract(&mut self) {
        let by = Value::By(*self.random.pick(&[-100_000, 100_000]));
        let market = self.random.below(2) as MarketId;
        let source = self.random.below(6) as u8;
        let (change, subject) = *self.random.pick(&[
            (Rule::MoveLossCap(market, by), Subject::LossCap(market)),
            (Rule::Source(source, Some(by)), Subject::Source(source)),
            (Rule::Feed(BTC_FEED, Some(1)), Subject::Feed(BTC_FEED)),
            (Rule::Loans(0, by), Subject::Loans),
            (Rule::Scan(3, by), Subject::Scan),
            (Rule::Tier(0, 0, by), Subject::Tier(0)),
            (Rule::Market(market, 1, by), Subject::Market(market)),
            (Rule::Collateral(BTC, 3, by), Subject::Collateral(BTC)),
            (Rule::Fees(0, false, by), Subject::Fees),
        ]);
        self.push(Step::Govern(change));
        if self.random.one_in(2) {
            self.push(Step::Close(1_000));
        }
        self.push(Step::Govern(Rule::Cancel(subject)));
    }

    /// A scheduled change that what comes before it makes impossible.
    fn overtake(&mut self) {
        let market = self.random.below(2) as MarketId;
        let tier = 3 + self.random.below(6) as TierId;
        let rules = match self.random.below(3) {
            // The tier that a market leaves becomes cheaper, so that it is more than a step to the other.
            0 => vec![
                Rule::AddTier(tier, 0, Value::By(250_000)),
                Rule::Tier(0, 0, Value::By(-250_000)),
                Rule::Market(market, 0, Value::Exactly(tier.into())),
            ],
            1 => vec![
                Rule::Collateral(WRAPPED, 2, Value::Plus(0)),
                Rule::Redenominate(9),
            ],
            // A market is listed on a feed that is to go.
            _ => {
                self.push(Step::Govern(Rule::Feed(IDLE_FEED, Some(0))));
                self.push(Step::Due);
                let symbol = self.random.below(4) as u8;
                vec![
                    Rule::Feed(IDLE_FEED, None),
                    Rule::List(symbol, IDLE_FEED, 0, 0),
                ]
            }
        };
        for rule in rules {
            self.push(Step::Govern(rule));
        }
        self.push(Step::Close(1_000));
        let who = self.who();
        let order = Terms {
            market: NEWEST,
            ..self.terms(who)
        };
        self.push(Step::Orders(who, vec![Op::Place(order)]));
        self.push(Step::Due);
        self.push(Step::Close(1_000));
        self.push(Step::Govern(Rule::Redenominate(8)));
    }

    /// As many sessions as an era has, and more.
    fn sessions(&mut self) {
        for _ in 0..6 + self.random.below(8) {
            self.push(Step::Hour);
            if self.random.one_in(3) {
                self.orders();
            }
            self.push(Step::Close(1_000));
        }
    }

    /// What happens to the assets outside.
    fn wallets(&mut self) {
        let who = self.who();
        let step = match self.random.below(8) {
            0 => Step::Block(who, self.asset(), true),
            1..5 => Step::Block(who, USDC, false),
            _ => {
                let to = self.random.one_in(2).then(|| self.who());
                Step::Give(who, to, self.asset(), self.amount())
            }
        };
        self.push(step);
    }

    /// What buys shares of the vault.
    fn entry(&mut self) -> Amount {
        let beside = self.beside();
        match self.random.below(8) {
            0 => self.amount(),
            // The least that buys any.
            1..3 => Amount::Exactly(10_000_000_u128.saturating_add_signed(beside.into())),
            3 => Amount::Wallet(beside),
            _ => Amount::Exactly(u128::from(10_000_000 + self.random.below(3_000_000_000))),
        }
    }

    fn shares(&mut self) -> Shares {
        let beside = self.beside();
        match self.random.below(10) {
            0 => Shares::Exactly(*self.random.pick(&[0, 1, u128::MAX])),
            1..3 => Shares::Held(beside),
            3..6 => Shares::Free(beside),
            _ => Shares::Part(1 + u128::from(self.random.below(5))),
        }
    }

    /// Everybody leaves the book, one account falls a little below its maintenance margin, and others bid for it.
    fn fall(&mut self) {
        for who in 0..ACTORS {
            if !self.random.one_in(8) {
                self.push(Step::Orders(who, vec![Op::CancelAll(None)]));
            }
        }
        let who = self.who();
        let beyond = self.random.within(-200, 200);
        self.push(Step::Price(Move::Line(who, beyond)));
        let closes = 6 + self.random.below(20);
        for close in 0..closes {
            self.push(Step::Close(1_000));
            if close >= 5 {
                for _ in 0..self.random.below(3) {
                    self.bid();
                }
            }
            if self.random.one_in(12) {
                let by = self.random.within(-1_500, 1_500);
                self.push(Step::Price(Move::By(by)));
            }
        }
    }

    /// The price jumps past an account's bankruptcy, the close works it off, and the price may come back.
    fn gap(&mut self) {
        let who = self.who();
        let beyond = *self.random.pick(&[0, 1, 1_000, 50_000, 250_000]);
        self.push(Step::Price(Move::Bankruptcy(who, beyond)));
        for _ in 0..1 + self.random.below(5) {
            self.push(Step::Close(1_000));
            if self.random.one_in(3) {
                self.orders();
            }
        }
        if self.random.one_in(2) {
            self.push(Step::Price(Move::Home));
        }
    }

    fn who(&mut self) -> Who {
        self.random.below(ACTORS.into()) as Who
    }

    fn anybody(&mut self) -> Who {
        self.random.below(u64::from(NOBODY) + 1) as Who
    }

    fn asset(&mut self) -> AssetId {
        match self.random.below(25) {
            0..6 => USDT,
            6..11 => BTC,
            11 => 99,
            12 => WRAPPED,
            _ => USDC,
        }
    }

    /// One less, none or one more.
    fn beside(&mut self) -> i64 {
        self.random.within(-1, 1)
    }

    fn amount(&mut self) -> Amount {
        let beside = self.beside();
        match self.random.below(16) {
            0 => Amount::Exactly(0),
            1 => Amount::Exactly(1),
            2 => Amount::Exactly(*self.random.pick(&[u128::MAX, 1 << 127, i128::MAX as u128])),
            3..5 => Amount::Held(beside),
            5..9 => Amount::Free(beside),
            9 => Amount::Wallet(beside),
            10 => *self
                .random
                .pick(&[Amount::Lendable(beside), Amount::Owed(beside)]),
            11 => Amount::Exactly(u128::from(self.random.below(10_000))),
            _ => Amount::Exactly(u128::from(self.random.below(3_000_000_000))),
        }
    }

    fn market(&mut self) -> MarketId {
        match self.random.below(60) {
            0 => 77,
            1..14 => 1,
            14..16 => 2 + self.random.below(8) as MarketId,
            16..30 => DATED + self.random.below(8) as MarketId,
            _ => 0,
        }
    }

    fn size(&mut self) -> Size {
        let beside = self.beside();
        match self.random.below(40) {
            0 => Size::Exactly(0),
            1 => Size::Exactly(1),
            2 => Size::Exactly(*self.random.pick(&[u64::MAX, i64::MAX as u64, 1 << 62])),
            3..6 => Size::Least(beside),
            6..11 => Size::Held(beside),
            11..15 => Size::Covered(beside),
            15 => Size::Cap(beside),
            16..26 => Size::Exactly(5 + self.random.below(200)),
            _ => Size::Exactly(20 + self.random.below(8_000)),
        }
    }

    fn level(&mut self) -> Level {
        let (beside, near, far) = (
            self.beside(),
            self.random.within(-4, 4),
            self.random.within(-800, 800),
        );
        match self.random.below(40) {
            0 => Level::Exactly(0),
            1 => Level::Exactly(1),
            2 => Level::Exactly(*self.random.pick(&[u64::MAX, i64::MAX as u64, 1 << 40])),
            3..7 => Level::Upper(beside),
            7..11 => Level::Lower(beside),
            11..14 => Level::Market,
            14..19 => Level::Of(self.who(), self.random.below(6) as u8),
            19..30 => Level::Mark(near),
            _ => Level::Mark(far),
        }
    }

    fn client(&mut self) -> u8 {
        self.random.below(40) as u8
    }

    fn terms(&mut self, who: Who) -> Terms {
        let leaning = (u64::from(who) + self.era) % 2 == 0;
        let is_bid = leaning ^ self.random.one_in(5);
        Terms {
            market: self.market(),
            side: if is_bid { Side::Bid } else { Side::Ask },
            size: self.size(),
            level: self.level(),
            life: match self.random.below(14) {
                0..6 => Life::GoodTilCancelled,
                6..8 => Life::Blocks(self.random.within(-1, 12)),
                8 => Life::Blocks(self.random.within(2_591_999, 2_592_001)),
                9 => Life::ImmediateOrCancel,
                10 => Life::FillOrKill,
                _ => Life::PostOnly,
            },
            reduce_only: self.random.one_in(6),
            oldest: self.random.one_in(2),
            client: self.client(),
        }
    }

    fn target(&mut self) -> Target {
        match self.random.below(8) {
            0..2 => Target::Client(self.client()),
            2 => Target::Trigger(self.random.below(4) as u8),
            3 => Target::Twap(self.random.below(2) as u8),
            _ => Target::Nth(self.random.below(8) as u8),
        }
    }

    /// What a trigger waits for; some are met already.
    fn wait(&mut self, expires: bool) -> Wait {
        let away = self.random.within(-60, 60);
        let direction = match (away < 0) ^ self.random.one_in(20) {
            true => Direction::Down,
            false => Direction::Up,
        };
        Wait {
            direction,
            level: match self.random.below(20) {
                0 => self.level(),
                _ => Level::Mark(away * *self.random.pick(&[1, 10])),
            },
            expires: expires.then(|| self.random.within(0, 30)),
        }
    }

    fn op(&mut self, who: Who) -> Op {
        match self.random.below(60) {
            0..6 => Op::Cancel(self.target()),
            6..14 => {
                let target = self.target();
                let level = (!self.random.one_in(3)).then(|| self.level());
                let size = self.random.one_in(2).then(|| self.size());
                Op::Amend(target, level, size)
            }
            14 => {
                Op::CancelAll(
                    *self
                        .random
                        .pick(&[None, Some(0), Some(1), Some(77), Some(DATED)]),
                )
            }
            15..20 => {
                let expires = self.random.one_in(3);
                Op::Arm(self.terms(who), self.wait(expires))
            }
            20..25 => self.iceberg(who),
            25..29 => self.pair(who),
            29..33 => self.twap(who),
            33..38 => self.peg(who),
            _ => Op::Place(self.terms(who)),
        }
    }

    fn iceberg(&mut self, who: Who) -> Op {
        let beside = self.beside();
        let mut terms = self.terms(who);
        if !self.random.one_in(8) {
            terms.life = *self.random.pick(&[
                Life::GoodTilCancelled,
                Life::GoodTilCancelled,
                Life::PostOnly,
                Life::Blocks(40),
            ]);
            terms.size = Size::Exactly(100 + self.random.below(3_000));
        }
        let shown = match self.random.below(8) {
            0 => Shown::Lots(self.size()),
            1 => Shown::Whole(beside),
            2 => Shown::Lots(Size::Least(beside)),
            _ => Shown::Part(2 + self.random.below(8)),
        };
        Op::Iceberg(terms, shown)
    }

    fn pair(&mut self, who: Who) -> Op {
        let first = self.terms(who);
        let expires = !self.random.one_in(10);
        let waits = self.random.one_in(3).then(|| self.wait(expires));
        let mut second = self.terms(who);
        if !self.random.one_in(8) {
            second.market = first.market;
            second.client = first.client.wrapping_add(1);
        }
        let expires = !self.random.one_in(10);
        Op::Pair(first, waits, second, self.wait(expires))
    }

    fn twap(&mut self, who: Who) -> Op {
        let mut terms = self.terms(who);
        if !self.random.one_in(8) {
            let near = self.random.within(-10, 40);
            let level = match terms.side {
                Side::Bid => Level::Mark(near),
                Side::Ask => Level::Mark(-near),
            };
            terms.level = *self.random.pick(&[Level::Market, level]);
            terms.life = Life::ImmediateOrCancel;
            terms.size = Size::Exactly(50 + self.random.below(2_000));
        }
        let slices = *self
            .random
            .pick(&[0, 1, 2, 2, 3, 5, 5, 8, 13, 100, u16::MAX]);
        let interval = *self.random.pick(&[0, 1, 1, 1, 2, 2, 3, 7, u16::MAX]);
        Op::Twap(terms, slices, interval)
    }

    fn peg(&mut self, who: Who) -> Op {
        let mut terms = self.terms(who);
        if !self.random.one_in(8) {
            let worst = self.random.within(-60, 60);
            terms.level = Level::Mark(worst);
            terms.life = Life::PostOnly;
        }
        let anchor = *self.random.pick(&[Anchor::Mark, Anchor::Best]);
        let offset = match self.random.below(12) {
            0 => *self.random.pick(&[i32::MIN, i32::MAX, 0]),
            1..6 => self.random.within(-3, 3) as i32,
            _ => self.random.within(-40, 40) as i32,
        };
        Op::Peg(terms, anchor, offset)
    }

    fn orders(&mut self) {
        let who = self.who();
        let many = match self.random.below(60) {
            0 => 64,
            1..20 => 2 + self.random.below(8),
            _ => 1 + self.random.below(3),
        };
        let ops = (0..many).map(|_| self.op(who)).collect();
        self.push(Step::Orders(who, ops));
    }

    fn bid(&mut self) {
        let step = Step::Bid {
            taker: self.who(),
            nth: self.random.below(3) as u8,
            fraction: *self.random.pick(&[
                0,
                1,
                1_000,
                50_000,
                300_000,
                999_999,
                1_000_000,
                1_000_001,
                u32::MAX,
            ]),
            least_discount: *self.random.pick(&[
                0,
                0,
                0,
                0,
                1,
                52_631,
                500_000,
                1_000_000,
                1_000_001,
                u32::MAX,
            ]),
        };
        self.push(step);
    }

    fn movement(&mut self) -> Move {
        let small = self.random.within(-4_000, 4_000);
        match self.random.below(40) {
            0..3 => {
                let far = self.random.within(50_000, 300_000);
                Move::By(if self.random.one_in(2) { far } else { -far })
            }
            3..8 => Move::Line(self.who(), self.random.within(-3, 3)),
            8 => Move::Bankruptcy(self.who(), *self.random.pick(&[-1, 0, 1, 10_000])),
            9..11 => Move::Home,
            11 => Move::Silence(1 + self.random.below(20) as u8),
            12..14 => Move::Usdc(*self.random.pick(&[900, 979, 980, 999, 1_000, 1_001])),
            14..16 => Move::Usdt(*self.random.pick(&[0, 500, 950, 1_000, 1_000, 1_050])),
            16..19 => self.sight(),
            _ => Move::By(small),
        }
    }

    /// What validators see of options.
    fn sight(&mut self) -> Move {
        match self.random.below(12) {
            0 => Move::Wings(*self.random.pick(&[0, 5, 20, 100, 1_000])),
            1 => Move::Kink(self.random.below(21) as u8),
            2 => Move::Inverted,
            3 => Move::Blind(1 + self.random.below(200) as u8),
            4 => Move::Volatility(*self.random.pick(&[0, 1, 2, 999, 1_000, 1_001])),
            _ => Move::Volatility(20 + self.random.below(120) as u16),
        }
    }

    fn pause(&mut self) -> Millis {
        const EDGES: [Millis; 11] = [
            5_999, 6_000, 6_001, 14_999, 15_001, 59_999, 60_000, 60_001, 70_000, 3_600_000,
            28_800_000,
        ];
        match self.random.below(24) {
            0 => *self.random.pick(&EDGES),
            1 => 1_000 * (1 + self.random.below(20)),
            _ => 1_000,
        }
    }
}
