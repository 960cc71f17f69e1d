//! Attacks of record, each refused or bounded as the specification says.

use crate::common::*;
use frame_support::traits::Get;
use novate_runtime::{
    configs::exchange::{BTC, USDC},
    Liquidation, Runtime,
};
use novate_types::{
    AccountRef, Cash, Liquidations, MarketStatus, NewOrder, Operation, OrderPrice, Price, Side,
    Standing, TimeInForce,
};
use pallet_clearing::Refusal;
use pallet_liquidation::Event as Liquidated;
use sp_keyring::Sr25519Keyring;

/// Two accounts that trade only with each other, at any price they like.
struct Ring {
    random: Random,
    accounts: [(Sr25519Keyring, u8); 2],
    /// What they brought.
    deposited: Cash,
    /// An order that waits for the account of that number to take it.
    resting: Option<(usize, NewOrder)>,
}

impl Ring {
    fn account(&self, at: usize) -> Account {
        let (who, sub) = self.accounts[at];
        AccountRef::new(who.to_account_id(), sub)
    }

    /// One of the two rests an order at or near an edge of the band, mostly so as to hold more than before; in the next block
    /// the other takes it. Either may be the one that loses by it, and now and then an order is reduce-only.
    fn trade(&mut self, mark: u64) {
        if let Some((taker, made)) = self.resting.take() {
            let (who, sub) = self.accounts[taker];
            let OrderPrice::Limit(at) = made.price else {
                return;
            };
            let taken = NewOrder {
                time_in_force: TimeInForce::ImmediateOrCancel,
                reduce_only: self.random.one_in(8),
                ..order(made.side.opposite(), made.lots, at)
            };
            operate(who, sub, vec![Operation::Place(taken)]).unwrap();
            return;
        }
        let maker = self.random.below(2) as usize;
        let (who, sub) = self.accounts[maker];
        let is_long = account(&self.account(maker)).lots(BTC_PERP) >= 0;
        let side = match is_long ^ self.random.one_in(8) {
            true => Side::Bid,
            false => Side::Ask,
        };
        // Better for the maker or worse, but always beyond the mark for the order to rest.
        let away = *self.random.pick(&[100i64, 5_000, 15_000, 29_000, 30_000]);
        let away = if side == Side::Bid { -away } else { away };
        let at = (mark as i64 * (1_000_000 + away) / 1_000_000 * 2) as u64;
        let carried = self.deposited as u64 / 2_000_000 * 20 * 10_000 / mark;
        let share = *self.random.pick(&[2, 6, 20]);
        let made = NewOrder {
            reduce_only: self.random.one_in(8),
            ..order(side, 10 + self.random.below(carried / share), at)
        };
        let cancel = Operation::CancelAll { market: None };
        operate(who, sub, vec![cancel, Operation::Place(made)]).unwrap();
        self.resting = Some((1 - maker, made));
    }
}

/// Trades margin away between two accounts while the price moves by less than MMF less the costs of liquidation. Insurance
/// fund and vault lose nothing by it, nobody ends below zero, and the ring never has more than it brought. Returns how many
/// fills and steps of liquidation there were.
fn trade_away(
    seed: u64,
    accounts: [(Sr25519Keyring, u8); 2],
    move_ppm: i64,
    alone: bool,
) -> (usize, usize) {
    println!("seed {seed}");
    opened_at(usd(20_000)).execute_with(|| {
        let mut ring = Ring {
            random: Random::new(seed),
            accounts,
            deposited: 0,
            resting: None,
        };
        block(usd(20_000), || {
            for (who, sub) in accounts {
                let dollars = 1_000 + ring.random.below(9_000);
                deposit_into(who, sub, USDC, u128::from(dollars) * 1_000_000).unwrap();
                ring.deposited += i128::from(dollars) * USD;
            }
        });
        if !alone {
            crowd();
            block(usd(20_000), || fund_vault(100_000));
        }
        let funded = insurance();
        let (mut mark, mut filled, mut liquidated) = (20_000i64, 0, 0);
        for _ in 0..configured("NOVATE_BLOCKS", 120) {
            mark += mark * ring.random.within(-move_ppm, move_ppm) / 1_000_000;
            block(usd(mark as u64), || ring.trade(mark as u64));
            filled += fills().len();
            for event in liquidations() {
                liquidated += 1;
                assert!(
                    !matches!(
                        event,
                        Liquidated::InsurancePaid { .. }
                            | Liquidated::LossShared { .. }
                            | Liquidated::DeficitUncovered { .. }
                    ),
                    "{event:?}"
                );
            }
            let equity = [0, 1].map(|at| assess(&ring.account(at)).equity);
            assert!(equity.iter().all(|equity| *equity >= 0), "{equity:?}");
            // Where nobody else stands by to take market risk over, the two can only lose.
            assert!(
                !alone || equity.iter().sum::<Cash>() <= ring.deposited,
                "{equity:?}"
            );
            assert!(insurance() >= funded);
        }
        println!("{filled} fills, {liquidated} steps of liquidation");
        equalities();
        (filled, liquidated)
    })
}

#[test]
fn margin_is_not_traded_away_when_both_accounts_are_of_one_owner() {
    for seed in seeds(2) {
        assert_eq!(trade_away(seed, [(Bob, 0), (Bob, 1)], 8_000, true), (0, 0));
    }
}

#[test]
fn margin_traded_away_costs_nobody_else_when_owners_collude() {
    let (mut filled, mut liquidated) = (0, 0);
    for seed in seeds(4) {
        for move_ppm in [0, 4_000, 8_000] {
            for alone in [true, false] {
                let ring = [(Bob, 0), (Charlie, 0)];
                let (fills, steps) = trade_away(seed, ring, move_ppm, alone);
                filled += fills;
                liquidated += steps;
            }
        }
    }
    assert!(filled > 100, "only {filled} fills");
    assert!(liquidated > 5, "only {liquidated} steps of liquidation");
}

/// Whole USDC from Alice to the vault.
fn fund_vault(dollars: u128) {
    let (to, amount) = (vault(), dollars * 1_000_000);
    submit(
        Alice,
        pallet_clearing::Call::deposit_for {
            to,
            asset: USDC,
            amount,
        },
    )
    .unwrap();
}

/// A crowd whose open interest keeps the victim's from being a tenth of it.
fn crowd() {
    block(usd(20_000), || {
        deposit(Eve, 200_000);
        deposit(Ferdie, 200_000);
        bid(Eve, 100_000, ticks(20_000)).unwrap();
        ask(Ferdie, 100_000, ticks(20_000)).unwrap();
    });
}

#[test]
fn liquidation_fills_are_never_worse_than_bankruptcy_when_an_accomplice_lies_in_wait() {
    opened_at(usd(20_000)).execute_with(|| {
        crowd();
        block(usd(20_000), || {
            deposit(Bob, 10_000);
            deposit(Charlie, 1_000);
            ask(Bob, 8_000, ticks(20_000)).unwrap();
            bid(Charlie, 8_000, ticks(20_000)).unwrap();
        });
        let funded = insurance();
        // The only bids are Bob's, a dollar above the band's edge at the price to come, far beyond Charlie's bankruptcy at
        // 18,760.
        block(usd(20_000), || {
            bid(Bob, 20_000, ticks(18_722)).unwrap();
        });
        for _ in 0..8 {
            block(usd(19_300), || ());
            for fill in fills()
                .iter()
                .filter(|fill| fill.account == main_account(Charlie))
            {
                assert!(fill.ticks >= ticks(18_760), "{fill:?}");
            }
            assert!(assess(&main_account(Charlie)).equity >= 0);
        }
        // Nobody bought at a price that the fund would have had to make good.
        assert!(insurance() >= funded);
        equalities();
    });
}

#[test]
fn withdrawal_pays_no_profit_when_two_accounts_push_the_price() {
    opened_at(usd(20_000)).execute_with(|| {
        // Mango Markets, October 2022: long one account, short the other, push the price, borrow against the profit.
        block(usd(20_000), || {
            deposit(Bob, 5_000);
            deposit(Charlie, 5_000);
            ask(Bob, 40_000, ticks(20_000)).unwrap();
            bid(Charlie, 40_000, ticks(20_000)).unwrap();
        });
        assert_eq!(held(Charlie).lots(BTC_PERP), 40_000);
        // Quotes of their own, high above the index, for as long as they like: the mark stays within 1 % of it.
        block(usd(20_000), || {
            let _ = bid(Charlie, 50, ticks(20_580));
            let _ = ask(Bob, 50, ticks(20_590));
        });
        for _ in 0..30 {
            block(usd(20_000), || ());
            assert!(market().mark <= Price::from_rational(20_200, 1));
        }
        // And even were the index itself pushed: up by a half, while Bob can still bear it by a deposit.
        for price in (20_500..=30_000).step_by(500) {
            block(usd(price), || {
                deposit(Bob, 2_500);
            });
        }
        let charlie = assess(&main_account(Charlie));
        assert!(charlie.equity > 40_000 * USD, "{charlie:?}");
        // The whole profit is there, and none of it leaves: only cash above the margin could.
        assert_eq!(charlie.withdrawable, 0);
        block(usd(30_000), || withdraw(Charlie, USDC, 1_000_000).unwrap());
        assert_eq!(dropped(), vec![Refusal::InsufficientMargin { at_most: 0 }]);
        block(usd(30_000), || {
            let call = pallet_clearing::Call::transfer {
                sub: 0,
                to: main_account(Bob),
                asset: USDC,
                amount: 1,
            };
            submit(Charlie, call).unwrap();
        });
        assert_eq!(dropped(), vec![Refusal::InsufficientMargin { at_most: 0 }]);
        // Nor does it lift collateral out.
        block(usd(30_000), || {
            deposit_into(Charlie, 0, BTC, 10_000_000).unwrap()
        });
        block(usd(30_000), || withdraw(Charlie, BTC, 10_000_000).unwrap());
        assert!(matches!(
            dropped()[..],
            [Refusal::InsufficientMargin { .. }]
        ));
        equalities();
    });
}

#[test]
fn taker_pays_each_seller_its_own_price_when_a_few_lots_ask_far_away() {
    opened_at(usd(20_000)).execute_with(|| {
        block(usd(20_000), || {
            for who in [Bob, Charlie, Dave] {
                deposit(who, 50_000);
            }
            ask(Bob, 9_990, ticks(20_010)).unwrap();
            ask(Charlie, 10, ticks(20_500)).unwrap();
        });
        block(usd(20_000), || bid(Dave, 10_000, ticks(20_500)).unwrap());
        // In one uniform price Dave would pay 20,500 for all: 245 USD more.
        let cost = 9_990 * 40_020 * TICK_VALUE + 10 * 41_000 * TICK_VALUE;
        assert_eq!(held(Dave).position(BTC_PERP).unwrap().cost, cost);
        assert_eq!(
            held(Bob).position(BTC_PERP).unwrap().cost,
            -9_990 * 40_020 * TICK_VALUE
        );
        equalities();
    });
}

/// What Bob and Charlie get of 3,000 lots when they bid for `bob` and `charlie` lots in one block.
fn shares(bob: u64, charlie: u64, split: u64) -> (i64, i64) {
    opened_at(usd(20_000)).execute_with(|| {
        block(usd(20_000), || {
            deposit(Dave, 100_000);
            deposit(Bob, 100_000);
            deposit(Charlie, 2_000_000);
        });
        block(usd(20_000), || {
            ask(Dave, 3_000, ticks(20_000)).unwrap();
            bid(Bob, bob, ticks(20_000)).unwrap();
            for _ in 0..split {
                bid(Charlie, charlie / split, ticks(20_000)).unwrap();
            }
        });
        (held(Bob).lots(BTC_PERP), held(Charlie).lots(BTC_PERP))
    })
}

#[test]
fn inflated_size_buys_no_more_when_orders_share_pro_rata() {
    let honest = shares(3_000, 3_000, 1);
    assert_eq!(honest, (1_500, 1_500));
    assert_eq!(shares(3_000, 300_000, 1), honest);
    // Nor do many orders of one owner.
    assert_eq!(shares(3_000, 300_000, 60), honest);
}

#[test]
fn mark_stays_at_the_index_when_quotes_are_pulled_before_they_could_be_hit() {
    opened_at(usd(20_000)).execute_with(|| {
        block(usd(20_000), || {
            deposit(Bob, 50_000);
            deposit(Charlie, 50_000);
        });
        for _ in 0..10 {
            // Placed in one block, pulled in the next: both closes take the index.
            let (low, high) = block(usd(20_000), || {
                (
                    bid(Bob, 1_000, ticks(20_150)).unwrap(),
                    ask(Charlie, 1_000, ticks(20_250)).unwrap(),
                )
            });
            assert_eq!(market().mark, usd(20_000));
            block(usd(20_000), || {
                cancel(Bob, low).unwrap();
                cancel(Charlie, high).unwrap();
            });
            assert_eq!(market().mark, usd(20_000));
        }
        // Left to be hit for two closes they count, by one part in 151 a second: 200 USD above the index, 1.32 USD.
        block(usd(20_000), || {
            bid(Bob, 1_000, ticks(20_150)).unwrap();
            ask(Charlie, 1_000, ticks(20_250)).unwrap();
        });
        blocks(1, usd(20_000));
        assert_eq!(market().mark, usd(20_000));
        blocks(1, usd(20_000));
        let moved = market().mark.into_inner() - usd(20_000).into_inner();
        assert!(
            (1_320_000_000_000_000_000..1_330_000_000_000_000_000).contains(&moved),
            "{moved}"
        );
        blocks(400, usd(20_000));
        // The median of quotes and last trade bounds it: the best bid, since nobody trades.
        assert_eq!(market().mark, usd(20_150));
        equalities();
    });
}

#[test]
fn large_account_is_handled_first_when_dust_lengthens_the_queue() {
    const DUST: u8 = 100;
    opened_at(usd(20_000)).execute_with(|| {
        crowd();
        block(usd(20_000), || {
            deposit(Bob, 30_000);
            deposit(Charlie, 1_000);
            ask(Bob, 8_000 + 5 * u64::from(DUST), ticks(20_000)).unwrap();
            bid(Charlie, 8_000, ticks(20_000)).unwrap();
            fund_vault(100_000);
        });
        // Ten dollars of notional each, and 1.30 USD against the least maintenance margin of one.
        for batch in 0..DUST / 10 {
            for sub in batch * 10..batch * 10 + 10 {
                block(usd(20_000), || {
                    deposit_into(Dave, sub, USDC, 1_300_000).unwrap();
                    place_sub(Dave, sub, order(Side::Bid, 5, ticks(20_000))).unwrap();
                });
            }
        }
        let dust = |(of, account): &(Account, novate_types::MarginAccount)| {
            of.owner == Dave.to_account_id() && account.lots(BTC_PERP) == 5
        };
        assert_eq!(
            accounts().iter().filter(|entry| dust(entry)).count(),
            usize::from(DUST)
        );

        block(usd(19_000), || ());
        // All are below, more than a close finds and works on, and the large one is among the first.
        assert!(
            liquidations().iter().any(|event| matches!(
                event,
                Liquidated::TakenOver { account, .. } if *account == main_account(Charlie)
            )),
            "{:#?}",
            liquidations()
        );
        let left = <Liquidation as Liquidations<_>>::queued();
        assert!(left > 0 && left <= u32::from(DUST), "{left}");
        // The dust drains, 26 closes' worth of work for each (five in the market, twenty in competition, one takeover), once a few closes
        // have found all of it; and what it costs is its own.
        let steps = <<Runtime as pallet_liquidation::Config>::MaxLiquidations as Get<u32>>::get();
        let most = steps / (pallet_liquidation::ACCOUNT_STEPS + 1);
        blocks(26 * (u32::from(DUST) / most + 1) + 6, usd(19_000));
        assert_eq!(<Liquidation as Liquidations<_>>::queued(), 0);
        assert!(accounts()
            .iter()
            .all(|(_, account)| account.standing == Standing::Good));
        equalities();
    });
}

#[test]
fn dust_cannot_be_made_when_orders_are_below_the_least_notional() {
    opened_at(usd(20_000)).execute_with(|| {
        block(usd(20_000), || {
            deposit(Bob, 10);
            let refused = pallet_order_book::OrderError::BelowMinNotional;
            assert_eq!(bid(Bob, 4, ticks(20_000)), Err(refused));
            assert_eq!(bid(Bob, 1_000, 1), Err(refused));
            let at_market = NewOrder {
                price: OrderPrice::Market,
                ..order(Side::Bid, 4, 1)
            };
            assert_eq!(place(Bob, at_market), Err(refused));
        });
        assert_eq!(market().status, MarketStatus::Open);
    });
}
