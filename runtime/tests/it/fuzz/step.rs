//! What can happen, as data. Sizes, prices and amounts are said in terms of what stands when the step is taken (one lot beyond the
//! position, the band's edge, all that may leave), so that a case stays one about the same edge when steps before it are left out.

use crate::common::Random;
use novate_runtime::configs::exchange::{BTC, USDC, USDT};
use novate_types::{AssetId, Direction, MarketId, MarketStatus, Millis, Ppm, Side};

/// One of the accounts that act, by number.
pub type Who = u8;

/// Accounts that act: two of each owner.
pub const ACTORS: Who = 12;
/// The vault, as somebody who is paid.
pub const VAULT: Who = ACTORS;
/// The insurance fund, likewise.
pub const FUND: Who = ACTORS + 1;
/// An account that nobody opened.
pub const NOBODY: Who = ACTORS + 2;

/// Where the chain begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scene {
    /// Two bystanders hold most of the open interest, and the vault is rich: accounts go through the market and the competition.
    Crowded,
    /// Nobody else, and an empty vault: whoever falls is a tenth of open interest, and is deleveraged.
    Thin,
}

/// A limit, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A market order.
    Market,
    /// So far from the mark.
    Mark(i64),
    /// So far from the highest price inside the band.
    Upper(i64),
    /// So far from the lowest.
    Lower(i64),
    /// Of somebody's order: whose and which.
    Of(Who, u8),
    /// At that price.
    Exactly(u64),
}

/// A size, in lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// So many.
    Exactly(u64),
    /// So many more than the least that may be ordered.
    Least(i64),
    /// So many more than the account's position.
    Held(i64),
    /// So many more than its margin covers, about.
    Covered(i64),
    /// So many more than open interest may still grow by.
    Cap(i64),
}

/// An amount of an asset, in its smallest units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So much.
    Exactly(u128),
    /// So much more than the account holds.
    Held(i64),
    /// So much more than may leave it.
    Free(i64),
    /// So much more than its owner has outside.
    Wallet(i64),
}

/// How long an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    GoodTilCancelled,
    /// So many blocks from this one.
    Blocks(i64),
    ImmediateOrCancel,
    PostOnly,
    FillOrKill,
}

/// An order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub market: MarketId,
    pub side: Side,
    pub size: Size,
    pub level: Level,
    pub life: Life,
    pub reduce_only: bool,
    /// Of orders that would trade with one another the oldest gives way.
    pub oldest: bool,
    pub client: u8,
}

/// An open order of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Nth(u8),
    Client(u8),
}

/// One operation of an extrinsic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Place(Terms),
    /// A trigger: its order, its level, and blocks until it expires.
    Arm(Terms, Direction, Level, Option<i64>),
    Cancel(Target),
    CancelAll(Option<MarketId>),
    Amend(Target, Option<Level>, Option<Size>),
}

/// What the next observations say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Bitcoin moves, in ppm.
    By(i64),
    /// To where an account is at its maintenance margin, and so many cents further up.
    Line(Who, i64),
    /// So many ppm beyond where an account is worth nothing.
    Bankruptcy(Who, i64),
    /// To where it began.
    Home,
    /// No observation for so many blocks.
    Silence(u8),
    /// USDC, in a thousandth of a USD.
    Usdc(u16),
    /// USDT; zero for none in the observations.
    Usdt(u16),
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
    LossCap(MarketId, u32),
    /// It moves by so many ppm, in a day.
    MoveLossCap(MarketId, i64),
    FeeTier(Who, u8),
    GlobalCap(AssetId, Amount),
    /// Initial and maintenance margin move by so many ppm of one, in a day.
    Tier(i64, i64),
    /// Interest and least notional move, in a day.
    Params(MarketId, i64, i64),
    /// What an account may owe moves by so many ppm, in a day.
    Loans(i64),
    /// What the liquidity pot lends falls to so many ppm of it.
    UtilisationCap(Ppm),
    /// A haircut moves, in a day.
    Haircut(AssetId, i64),
}

/// An error put into storage, see [`super::faults`].
pub type Fault = usize;

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// One extrinsic with an account's operations.
    Orders(Who, Vec<Op>),
    Deposit(Who, AssetId, Amount),
    /// From an owner's wallet into another's account.
    DepositFor(Who, Who, AssetId, Amount),
    Withdraw(Who, AssetId, Amount),
    Transfer(Who, Who, AssetId, Amount),
    /// From an owner's wallet to the liquidity pot.
    Supply(Who, Amount),
    /// So many ppm of an owner's shares of it.
    Redeem(Who, Ppm),
    Borrow(Who, Amount),
    CloseAccount(Who),
    /// For the account in competition of that number; for that actor if there is none.
    Bid {
        taker: Who,
        nth: u8,
        fraction: Ppm,
        least_discount: Ppm,
    },
    Govern(Rule),
    Price(Move),
    /// The block's close, and the next block so many milliseconds later.
    Close(Millis),
    /// The same, and the next block is a day of blocks away: what was scheduled is due.
    Due,
    /// Something that must not be.
    Break(Fault),
}

impl Step {
    /// How many steps it counts as: an extrinsic's operations are one each.
    pub fn count(&self) -> u64 {
        match self {
            Self::Orders(_, ops) => ops.len() as u64,
            _ => 1,
        }
    }
}

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
        match self.random.below(200) {
            0..92 => self.orders(),
            92..104 => {
                let step = Step::Deposit(self.who(), self.asset(), self.amount());
                self.push(step);
            }
            104..112 => {
                let step = Step::Withdraw(self.who(), self.asset(), self.amount());
                self.push(step);
            }
            112..116 => {
                let (who, to) = (self.who(), self.anybody());
                let step = Step::Transfer(who, to, self.asset(), self.amount());
                self.push(step);
            }
            116..119 => {
                let (who, to) = (self.who(), self.anybody());
                let asset = if self.random.one_in(10) { BTC } else { USDC };
                let step = Step::DepositFor(who, to, asset, self.amount());
                self.push(step);
            }
            119 => {
                let step = Step::CloseAccount(self.who());
                self.push(step);
            }
            120..126 => self.bid(),
            126..130 => {
                let step = Step::Govern(self.rule());
                self.push(step);
            }
            130..150 => {
                let step = Step::Price(self.movement());
                self.push(step);
            }
            150 if self.random.one_in(8) => self.push(Step::Due),
            151 if self.random.one_in(2) => self.fall(),
            152 if self.random.one_in(3) => self.gap(),
            153 => self.era += 1,
            154..160 => self.lend(),
            _ => {
                let step = Step::Close(self.pause());
                self.push(step);
            }
        }
    }

    /// Somebody supplies the liquidity pot, leaves it or borrows from it.
    fn lend(&mut self) {
        let who = self.who();
        let step = match self.random.below(8) {
            0..3 => Step::Supply(who, self.amount()),
            3 => Step::Redeem(
                who,
                *self.random.pick(&[0, 1, 500_000, 1_000_000, 1_000_001]),
            ),
            _ => Step::Borrow(who, self.amount()),
        };
        self.push(step);
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
        match self.random.below(24) {
            0..6 => USDT,
            6..11 => BTC,
            11 => 99,
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
            10..12 => Amount::Exactly(u128::from(self.random.below(10_000))),
            _ => Amount::Exactly(u128::from(self.random.below(3_000_000_000))),
        }
    }

    fn market(&mut self) -> MarketId {
        match self.random.below(60) {
            0 => 77,
            1..20 => 1,
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
        match self.random.below(3) {
            0 => Target::Client(self.client()),
            _ => Target::Nth(self.random.below(8) as u8),
        }
    }

    fn op(&mut self, who: Who) -> Op {
        match self.random.below(40) {
            0..5 => Op::Cancel(self.target()),
            5..12 => {
                let target = self.target();
                let level = (!self.random.one_in(3)).then(|| self.level());
                let size = self.random.one_in(2).then(|| self.size());
                Op::Amend(target, level, size)
            }
            12 => Op::CancelAll(*self.random.pick(&[None, Some(0), Some(1), Some(77)])),
            13..17 => {
                let away = self.random.within(-60, 60);
                // Some are met already.
                let direction = match (away < 0) ^ self.random.one_in(20) {
                    true => Direction::Down,
                    false => Direction::Up,
                };
                let level = match self.random.below(20) {
                    0 => self.level(),
                    _ => Level::Mark(away * *self.random.pick(&[1, 10])),
                };
                let expires = self.random.one_in(3).then(|| self.random.within(0, 30));
                Op::Arm(self.terms(who), direction, level, expires)
            }
            _ => Op::Place(self.terms(who)),
        }
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
            fraction: *self
                .random
                .pick(&[0, 1, 1_000, 50_000, 300_000, 999_999, 1_000_000, 1_000_001]),
            least_discount: *self
                .random
                .pick(&[0, 0, 0, 0, 1, 52_631, 500_000, 1_000_000, 1_000_001]),
        };
        self.push(step);
    }

    fn rule(&mut self) -> Rule {
        let market = self.market();
        let beside = self.beside();
        match self.random.below(24) {
            0..3 => {
                let status = [MarketStatus::ReduceOnly, MarketStatus::Halted];
                Rule::Restrict(market, *self.random.pick(&status))
            }
            3..12 => Rule::SetStatus(market, MarketStatus::Open),
            12 => Rule::OpenInterestCap(market, *self.random.pick(&[-1, 0, 1, 50_000])),
            13 => Rule::LossCap(market, *self.random.pick(&[0, 1, 1_000, 100_000])),
            14 => Rule::MoveLossCap(market, *self.random.pick(&[-250_000, 250_000, 250_001])),
            15..17 => Rule::FeeTier(self.anybody(), self.random.below(4) as u8),
            17 => {
                let asset = *self.random.pick(&[USDT, BTC]);
                Rule::GlobalCap(asset, Amount::Wallet(beside))
            }
            18..21 => {
                let by = |random: &mut Random| *random.pick(&[-5_000, -1_000, 0, 1_000, 7_500]);
                Rule::Tier(by(&mut self.random), by(&mut self.random))
            }
            21 if self.random.one_in(2) => {
                if self.random.one_in(2) {
                    Rule::Loans(*self.random.pick(&[-250_000, 250_000, 250_001]))
                } else {
                    Rule::UtilisationCap(*self.random.pick(&[500_000, 800_000, 900_000]))
                }
            }
            21 => Rule::Params(
                market,
                *self.random.pick(&[-100, 0, 100]),
                *self.random.pick(&[-1, 0, 1, 2_500_000]),
            ),
            _ => {
                let asset = *self.random.pick(&[USDT, BTC]);
                Rule::Haircut(asset, *self.random.pick(&[-10_000, 10_000, 25_000]))
            }
        }
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
            _ => Move::By(small),
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
