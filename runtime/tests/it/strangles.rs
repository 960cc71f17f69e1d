//! A hundred short strangles on the whole runtime, with its own budgets and weights, when the price gaps by a quarter and volatilities rise by three fifths
//! in the same block. The mock's test of the same bounds nothing: `pallets/liquidation/src/tests/portfolio.rs`.

use crate::common::{losses::*, *};
use novate_risk::{
    portfolio::{AtOnce, Lesser},
    surface::{Smile, GRID, UNIT},
    Linear,
};
use novate_runtime::{
    configs::{
        exchange::{BTC_FEED, USDC},
        system::MAXIMUM_BLOCK_WEIGHT,
    },
    Executive, Liquidation, Margin, Runtime, System, SLOT_MILLIS,
};
use novate_types::{
    math::ticks_nearest, InstrumentKind, Ledger, Lots, MarketId, MarketParams, Millis, NewOrder,
    OptionRight, Price, RiskModel, Side, Standing,
};
use pallet_liquidation::Event as Liquidated;
use pallet_price_oracle::surface::ObservedSmile;
use sp_keyring::Sr25519Keyring;

const DAY: Millis = 86_400_000;
/// The presets' tier of options.
const TIER: u8 = 1;
/// Bitcoin before the gap, in USD, and volatilities, in percent a year.
const PRICE: u64 = 20_000;
const CALM: u64 = 60;
const WILD: u64 = 96;
/// A tenth to either side, as in the mock's test.
const CALL: u64 = 22_000;
const PUT: u64 = 18_000;

const STRANGLES: u8 = 100;
/// Who has bought them.
const LONGS: [Sr25519Keyring; 3] = [Bob, Charlie, Eve];
/// Who hold more of the same against each other, where it is not all the market.
const CROWD: [(Sr25519Keyring, Side); 2] = [
    (Sr25519Keyring::EveStash, Side::Bid),
    (Sr25519Keyring::FerdieStash, Side::Ask),
];

/// What differs between one gap and another.
#[derive(Clone, Copy)]
struct Setting {
    /// To where bitcoin gaps, in USD.
    price: u64,
    /// Of each leg of a strangle, in lots of 0.001 bitcoins.
    each: Lots,
    /// What each account has more than the one before beyond its initial margin, in a thousandth of that.
    step: i128,
    /// What is in the vault, in USD.
    vault: u128,
    /// So many times as many lots are held by others against each other: below nine, what is queued is more than a tenth of all.
    others: Lots,
    /// In which everything is over.
    most_blocks: u32,
}

fn strangles() -> Vec<Account> {
    (0..STRANGLES)
        .map(|sub| Account::new(Dave.to_account_id(), sub))
        .collect()
}

/// The two options of an expiry.
#[derive(Clone, Copy)]
struct Legs {
    call: MarketId,
    put: MarketId,
    expiry: Millis,
}

impl Legs {
    /// Lists them, for two weeks.
    fn list() -> Self {
        with_option_chains();
        let expiry = now() + 14 * DAY;
        let listed = pallet_instruments::Instruments::<Runtime>::get(BTC_PERP).unwrap();
        let params = MarketParams {
            tier: TIER,
            ..listed.params
        };
        let list = |strike, right| {
            let kind = InstrumentKind::Option {
                expiry,
                strike,
                right,
            };
            list_on_bitcoin(kind, usd(1), Price::from_rational(1, 1_000), params)
        };
        Self {
            call: list(CALL, OptionRight::Call),
            put: list(PUT, OptionRight::Put),
            expiry,
        }
    }

    /// Within a block: the validator has seen volatilities.
    fn observe(&self, percent: u64) {
        let seen = ObservedSmile {
            expiry: self.expiry,
            smile: Smile([UNIT / 10_000 * percent * percent; GRID.len()]),
        };
        Executive::apply_extrinsic(surface_observation(BTC_FEED, vec![seen]))
            .expect("it is authorised")
            .expect("and recorded");
    }

    /// Within a block: it has seen the price and, as often as a worker reports them where nothing moves, volatilities.
    fn watch(&self, price: u64, percent: u64) {
        observe(usd(price));
        if System::block_number() % 30 == 0 {
            self.observe(percent);
        }
    }

    /// A block before the gap.
    fn block(&self, act: impl FnOnce()) {
        begin(SLOT_MILLIS);
        self.watch(PRICE, CALM);
        act();
        end();
    }

    fn both(&self) -> [MarketId; 2] {
        [self.call, self.put]
    }

    /// Volatility a year of a mark, in percent.
    fn volatilities(&self) -> [f64; 2] {
        let view = view();
        self.both().map(|id| {
            let market = view.market(id).unwrap();
            let found = novate_risk::mark_volatility_floor(market, view.now);
            found.unwrap().unwrap().into_inner() as f64 / 1e16
        })
    }

    fn are_open(&self) -> bool {
        let view = view();
        self.both().iter().all(|id| {
            let market = view.market(*id);
            market.is_ok_and(|market| market.fresh && !market.is_in_auction())
        })
    }

    /// The mark, in ticks.
    fn ticks(&self, id: MarketId) -> u64 {
        ticks_nearest(view().market(id).unwrap().mark, usd(1)).unwrap()
    }
}

/// Two options that trade, and an owner's hundred accounts that have each sold as many of either, at the mark. What they have beyond their initial margin
/// is nothing in the first, and more in each.
fn hundred_strangles(setting: Setting) -> Legs {
    let Setting {
        each, step, others, ..
    } = setting;
    let mut legs = None;
    block(usd(PRICE), || {
        let listed = Legs::list();
        listed.observe(CALM);
        legs = Some(listed);
        for who in LONGS {
            deposit(who, 1_000_000);
        }
        let call = pallet_clearing::Call::deposit_for {
            to: vault(),
            asset: USDC,
            amount: setting.vault * 1_000_000,
        };
        submit(Alice, call).unwrap();
    });
    let legs = legs.unwrap();
    let listed = System::block_number();
    while !legs.are_open() {
        legs.block(|| ());
        assert!(System::block_number() < listed + 60, "they do not open");
    }
    let of = |market, side, lots| NewOrder {
        market,
        ..order(side, lots, legs.ticks(market))
    };
    if others > 0 {
        legs.block(|| {
            for (who, side) in CROWD {
                deposit(who, 9_000_000);
                for market in legs.both() {
                    let lots = each * u64::from(STRANGLES) * others;
                    place(who, of(market, side, lots)).unwrap();
                }
            }
        });
    }
    for batch in 0..STRANGLES / 10 {
        legs.block(|| {
            let long = LONGS[usize::from(batch) % 3];
            for market in legs.both() {
                place(long, of(market, Side::Bid, each * 10)).unwrap();
            }
            for sub in batch * 10..batch * 10 + 10 {
                // 30 %: each leg has to be covered by itself.
                deposit_into(Dave, sub, USDC, u128::from(each) * 6_000_000).unwrap();
                for market in legs.both() {
                    place_sub(Dave, sub, of(market, Side::Ask, each)).unwrap();
                }
            }
        });
    }
    // As many as a close pays out.
    for batch in strangles().chunks(8) {
        legs.block(|| {
            for of in batch {
                let found = assess(of);
                let kept = found.initial / 1_000 * (1_000 + step * i128::from(of.sub));
                let amount = (found.initial_equity - kept) as u128;
                withdraw_from(Dave, of.sub, USDC, amount).unwrap();
            }
        });
        assert_eq!(dropped(), []);
    }
    legs
}

/// Nobody is near liquidation, and a scan asks for less than the parts.
fn all_are_covered(legs: &Legs, each: Lots) {
    let view = view();
    for of in strangles() {
        let held = account(&of);
        for market in legs.both() {
            assert_eq!(held.lots(market), -(each as i64), "{of:?}");
        }
        let found = assess(&of);
        assert!(found.covers_initial(), "{of:?}: {found:?}");
        assert_eq!(found.scanned, 0b11);
        assert_eq!(Ok(found), Lesser::<AtOnce>::assess(&held, &view));
        let parts = Linear::assess(&held, &view).unwrap();
        assert!(found.maintenance < parts.maintenance && found.initial < parts.initial);
    }
    assert!(below().is_empty() && queued() == 0);
}

/// Whoever is below maintenance margin.
fn below() -> Vec<Account> {
    let all = accounts().into_iter().map(|(of, _)| of);
    all.filter(|of| assess(of).is_below_maintenance()).collect()
}

/// What a block weighs, in picoseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Weighed {
    /// With all that its close may take.
    reserved: u64,
    /// What of that is for liquidation.
    liquidation: u64,
    /// As it was.
    spent: u64,
    /// What of that its close took.
    close: u64,
}

/// A block that fits the limit with all that its close may take, and whose close takes less.
fn weighed(act: impl FnOnce()) -> Weighed {
    begin(SLOT_MILLIS);
    act();
    let reserved = System::block_weight().total();
    let of_close = pallet_clearing::Reserved::<Runtime>::get().unwrap();
    let liquidation = Liquidation::budget();
    end();
    let spent = System::block_weight().total();
    assert!(reserved.all_lte(MAXIMUM_BLOCK_WEIGHT), "{reserved:?}");
    assert!(spent.all_lte(reserved) && liquidation.all_lte(of_close));
    let given_back = reserved.ref_time() - spent.ref_time();
    // Had it taken more than was reserved, nothing would have been given back.
    assert!(given_back > 0 && given_back < of_close.ref_time());
    Weighed {
        reserved: reserved.ref_time(),
        liquidation: liquidation.ref_time(),
        spent: spent.ref_time(),
        close: of_close.ref_time() - given_back,
    }
}

impl Weighed {
    /// The more of each.
    fn or(self, other: Self) -> Self {
        Self {
            reserved: self.reserved.max(other.reserved),
            liquidation: self.liquidation.max(other.liquidation),
            spent: self.spent.max(other.spent),
            close: self.close.max(other.close),
        }
    }
}

/// What came of a gap.
struct Outcome {
    losses: Losses,
    /// Orders offered to the market.
    offered: u32,
    /// Accounts offered to bidders.
    competed: u32,
}

/// The gap, and blocks at its price until nobody is below maintenance margin.
fn gap(setting: Setting) -> Outcome {
    let price = setting.price;
    opened_at(usd(PRICE)).execute_with(|| {
        let legs = hundred_strangles(setting);
        // Volatilities are renewed some closes after somebody reported new ones: in the next close.
        let due = pallet_price_oracle::SurfacesDue::<Runtime>::get;
        let quiet = loop {
            let quiet = weighed(|| {
                observe(usd(PRICE));
                if due().is_empty() {
                    legs.observe(CALM);
                }
            });
            if due().first().map(|(_, at)| *at) == Some(System::block_number() + 1) {
                break quiet;
            }
        };
        all_are_covered(&legs, setting.each);
        let are_near = |percent: u64| {
            let found = legs.volatilities();
            let is_near = |found: &f64| (found - percent as f64).abs() < 0.1;
            assert!(found.iter().all(is_near), "{found:?}");
        };
        are_near(CALM);

        let across: Vec<_> = LONGS
            .into_iter()
            .chain(CROWD.map(|(who, _)| who))
            .map(main_account)
            .filter(|of| Margin::account(of).is_some())
            .collect();
        let of = strangles();
        let (mut losses, mut heaviest) = (Losses::default(), Weighed::default());
        let (mut offered, mut competed) = (0, 0);
        while losses.blocks == 0 || queued() > 0 || !below().is_empty() {
            assert!(losses.blocks < setting.most_blocks, "{losses:#?}");
            let gaps = losses.blocks == 0;
            let mut block = Weighed::default();
            losses.account_for(&of, &across, || {
                block = weighed(|| match gaps {
                    true => {
                        observe(usd(price));
                        legs.observe(WILD);
                    }
                    false => legs.watch(price, WILD),
                })
            });
            // What it takes beyond a quiet one is for liquidation.
            let took = block.close.saturating_sub(quiet.close);
            assert!(took <= block.liquidation, "{took} of {block:?}");
            heaviest = heaviest.or(block);
            if gaps {
                assert_eq!(market().mark, usd(price));
                are_near(WILD);
            }
            for event in liquidations() {
                match event {
                    Liquidated::LiquidationOrderPlaced { .. } => offered += 1,
                    Liquidated::CompetitionStarted { .. } => competed += 1,
                    _ => {}
                }
            }
        }
        println!("{losses:?}, at most {heaviest:?}, quiet {quiet:?}");
        losses.are_covered();
        for of in of {
            assert_eq!(account(&of).standing, Standing::Good);
        }
        Outcome {
            losses,
            offered,
            competed,
        }
    })
}

/// As in the mock's test: ten bitcoins of either leg, and nobody else holds any, so that all of it is a backlog.
const SETTING: Setting = Setting {
    price: PRICE * 3 / 4,
    each: 10_000,
    step: 3,
    vault: 5_000_000,
    others: 0,
    most_blocks: 3,
};

#[test]
fn fund_and_vault_take_a_hundred_short_strangles_when_the_price_falls_by_a_quarter() {
    let Outcome { losses, .. } = gap(SETTING);
    assert_eq!((losses.started, losses.taken_over), (100, 100));
    assert!(losses.topped_up > 30 && losses.topped_up < 60, "{losses:?}");
    assert_eq!(losses.made_good, losses.insured);
    assert!(losses.made_good > 50_000 * USD && losses.taken_equity > 0);
}

#[test]
fn counterparties_bear_what_the_fund_does_not_when_the_price_rises_by_a_quarter() {
    // Calls cost more there than puts do after the fall: the fund lacks almost a third.
    let Outcome { losses, .. } = gap(Setting {
        price: PRICE * 5 / 4,
        ..SETTING
    });
    assert_eq!(losses.started, 100);
    assert_eq!(losses.taken_over + losses.closed, 100);
    assert!(losses.taken_over > 0 && losses.closed > 0, "{losses:?}");
    assert_eq!(losses.insured, 250_000 * USD);
    assert!(losses.deleveraged > 50_000 * USD, "{losses:?}");
}

#[test]
fn strangles_wait_for_the_market_and_for_bidders_when_they_are_no_backlog() {
    // From no more than initial margin to more than twice that: some are bankrupt, some near maintenance margin, some above it.
    let Outcome {
        losses,
        offered,
        competed,
    } = gap(Setting {
        each: 1_000,
        step: 14,
        others: 11,
        most_blocks: 30,
        ..SETTING
    });
    assert!(losses.started > 50 && losses.started < 100, "{losses:?}");
    assert_eq!(losses.taken_over, losses.started);
    assert!(offered > 0 && competed > 10, "{offered}, {competed}");
    // Five closes in the market and twenty in competition, in which nobody trades with them or bids.
    assert!(losses.blocks > 25, "{losses:?}");
    assert!(losses.topped_up > 0 && losses.made_good == losses.insured);
}
