//! The exchange from deposit to liquidation, with every number worked out by hand. BTC-PERP: ticks of 0.5 USD, lots of
//! 0.0001 BTC, IMF 5 %, MMF 3 %, maker 0.01 %, taker 0.05 %.

use crate::common::*;
use novate_runtime::{
    configs::exchange::{BTC, USDC},
    Margin, Runtime, System,
};
use novate_types::{
    CombinationLegs, InstrumentKind, Ledger, Liquidations, MarketId, MarketStatus, NewOrder,
    OrderBook as _, OrderPrice, Pot, Side, Standing, TimeInForce,
};
use pallet_clearing::Refusal;
use pallet_liquidation::{Escalation, Event as Liquidation};
use pallet_order_book::OrderError;

/// 0.01 % in eight hours, at an index of 20,000 USD: 200 quantums per lot, in 28,800 steps of which each is truncated at its
/// 32nd fractional bit.
const FUNDING_A_SECOND: i128 = 200 * (1 << 32) / 28_800;

/// Charlie buys 0.8 BTC from Bob at 20,000 USD. Charlie has 1,000 USD, Bob `bob`.
///
/// Value 16,000 USD. Bob rested and pays 1.60, Charlie took and pays 8.00.
fn charlie_buys_from_bob(bob: u64) {
    block(usd(20_000), || {
        deposit(Bob, bob);
        deposit(Charlie, 1_000);
        ask(Bob, 8_000, ticks(20_000)).unwrap();
    });
    block(usd(20_000), || bid(Charlie, 8_000, ticks(20_000)).unwrap());
    assert_eq!(held(Charlie).lots(BTC_PERP), 8_000);
    assert_eq!(held(Charlie).cash, 992 * USD);
    assert_eq!(held(Bob).cash, i128::from(bob) * USD - 1_600_000);
}

/// Funding that `lots` have come to owe since they were bought, rounded up.
fn funding(lots: i128, settled: i128) -> i128 {
    -(-(market().funding_index - settled) * lots).div_euclid(1 << 32)
}

#[test]
fn fill_moves_position_cash_and_fees_exactly_when_a_taker_meets_a_resting_order() {
    opened_at(usd(20_000)).execute_with(|| {
        block(usd(20_000), || {
            deposit(Bob, 10_000);
            deposit(Charlie, 10_000);
            ask(Bob, 10_000, ticks(20_005)).unwrap();
        });
        assert!(fills().is_empty());
        block(usd(20_000), || bid(Charlie, 4_000, ticks(20_010)).unwrap());

        // 4,000 lots at 40,010 ticks of 50 quantums: 8,002 USD, at the resting order's price.
        let value = 8_002 * USD;
        let (bob, charlie) = (held(Bob), held(Charlie));
        assert_eq!(
            (bob.lots(BTC_PERP), charlie.lots(BTC_PERP)),
            (-4_000, 4_000)
        );
        assert_eq!(bob.position(BTC_PERP).unwrap().cost, -value);
        assert_eq!(charlie.position(BTC_PERP).unwrap().cost, value);
        assert_eq!(bob.cash, 10_000 * USD - 800_200);
        assert_eq!(charlie.cash, 10_000 * USD - 4_001_000);
        assert_eq!(pot(Pot::Fees), 4_801_200);
        assert_eq!(fills().len(), 2);

        // Bob still offers 6,000 lots, five dollars above the mark: 5 % of 20,000 USD on what he would be short of, and the
        // dearer fee on what he asks; a sale above the mark reserves no loss.
        let assessed = assess(&main_account(Bob));
        assert_eq!(assessed.initial, 400 * USD);
        assert_eq!(assessed.initial_with_orders, 1_000 * USD + 6_001_500);
        assert_eq!(assessed.maintenance, 240 * USD);
        equalities();
    });
}

#[test]
fn fills_share_pro_rata_at_the_mark_when_orders_of_one_block_meet() {
    opened_at(usd(20_000)).execute_with(|| {
        block(usd(20_000), || {
            for who in [Bob, Charlie, Dave] {
                deposit(who, 10_000);
            }
            ask(Bob, 3_000, ticks(19_990)).unwrap();
            bid(Charlie, 1_000, ticks(20_050)).unwrap();
            bid(Dave, 5_000, ticks(20_001)).unwrap();
        });
        // Everybody trades at the mark. Weights are min(size, 3,000): Charlie 1,000 of 4,000, Dave 3,000 of 4,000.
        assert!(fills().iter().all(|fill| fill.ticks == ticks(20_000)));
        assert_eq!(held(Charlie).lots(BTC_PERP), 750);
        assert_eq!(held(Dave).lots(BTC_PERP), 2_250);
        assert_eq!(held(Bob).lots(BTC_PERP), -3_000);
        // All of them took: 0.05 % of 1,500, 4,500 and 6,000 USD.
        assert_eq!(held(Charlie).cash, 10_000 * USD - 750_000);
        assert_eq!(held(Dave).cash, 10_000 * USD - 2_250_000);
        assert_eq!(held(Bob).cash, 10_000 * USD - 3_000_000);
        equalities();
    });
}

#[test]
fn funding_accrues_by_the_second_and_conserves_when_nothing_trades() {
    opened_at(usd(20_000)).execute_with(|| {
        charlie_buys_from_bob(10_000);
        let settled = market().funding_index;
        // Without depth on both sides the premium is zero and the rate is the interest. One close of a minute's gap
        // truncates once, one of a second sixty times.
        blocks(90, usd(20_000));
        assert_eq!(market().funding_index - settled, 90 * FUNDING_A_SECOND);
        begin(45_000);
        observe(usd(20_000));
        end();
        let owed = 90 * FUNDING_A_SECOND + 45 * 200 * (1 << 32) / 28_800;
        assert_eq!(market().funding_index - settled, owed);

        // Charlie sells back at once, to Dave's bid: funding is settled on the way.
        block(usd(20_000), || {
            deposit(Dave, 10_000);
            bid(Dave, 8_000, ticks(20_000)).unwrap();
        });
        let before = held(Charlie).cash;
        block(usd(20_000), || ask(Charlie, 8_000, ticks(20_000)).unwrap());
        let owed = funding(8_000, settled);
        // 137 seconds of 200/28,800 quantums for 8,000 lots, or 7,612 quantums.
        assert_eq!(owed, 7_612);
        assert_eq!(held(Charlie).cash, before - 8_000_000 - owed);
        assert!(held(Charlie).positions.is_empty());
        assert_eq!(pot(Pot::Funding(BTC_PERP)), owed);

        // Bob buys back and receives it, rounded down: the pot keeps what rounds.
        block(usd(20_000), || {
            ask(Dave, 8_000, ticks(20_000)).unwrap();
            bid(Bob, 8_000, ticks(20_000)).unwrap();
        });
        assert_eq!(Margin::open_interest(BTC_PERP), 0);
        assert!((0..=3).contains(&pot(Pot::Funding(BTC_PERP))));
        equalities();
    });
}

#[test]
fn liquidation_cancels_and_sells_into_the_book_when_equity_is_below_maintenance() {
    opened_at(usd(20_000)).execute_with(|| {
        charlie_buys_from_bob(10_000);
        let settled = held(Charlie).position(BTC_PERP).unwrap().funding_index;
        // A market in which Charlie is less than a tenth of open interest: more would go to the vault at once.
        block(usd(20_000), || {
            deposit(Eve, 200_000);
            deposit(Ferdie, 200_000);
            bid(Eve, 100_000, ticks(20_000)).unwrap();
            ask(Ferdie, 100_000, ticks(20_000)).unwrap();
            deposit(Dave, 20_000);
            bid(Dave, 10_000, ticks(19_299)).unwrap();
            bid(Charlie, 100, ticks(19_000)).unwrap();
        });
        blocks(1, usd(20_000));
        let funded = insurance();
        let fees = pot(Pot::Fees);
        block(usd(19_300), || ());

        // 992 − 560 = 432 USD less funding, against 3 % of 15,440 = 463.20 USD: below, but above two thirds of it (308.80).
        let owed = funding(8_000, settled);
        let (equity, maintenance) = (432 * USD - owed, 463_200_000);
        assert!(liquidations().contains(&Liquidation::LiquidationStarted {
            account: main_account(Charlie),
            equity,
            maintenance,
        }));
        // Remedy 1.
        assert!(liquidations().contains(&Liquidation::OrdersCancelled {
            account: main_account(Charlie),
            orders: 1
        }));
        assert!(held(Charlie).orders.is_empty());
        // Remedy 2: (1.25·463.20 − 432) / (19,300·(0.03·1.25 − 0.0055 − 0.001)) = 147 / 598.30 = 0.24570 BTC (funding is a
        // fraction of a cent). Fillable price: 19,300 − (1 − 432/463.2)·0.1·463.2/0.8 = 19,296.10, up to 19,296.5.
        assert!(
            liquidations().contains(&Liquidation::LiquidationOrderPlaced {
                account: main_account(Charlie),
                market: BTC_PERP,
                side: Side::Ask,
                lots: 2_457,
                limit: 38_593,
                equity,
                maintenance,
            })
        );
        // It met Dave's bid at 19,299: 4,741.7643 USD. Trading fee 0.05 %, liquidation fee 0.5 %, each rounded up.
        let value = 2_457 * 38_598 * TICK_VALUE;
        assert_eq!(value, 4_741_764_300);
        let (fee, penalty) = (2_370_883, 23_708_822);
        assert_eq!(held(Charlie).lots(BTC_PERP), 8_000 - 2_457);
        assert_eq!(insurance() - funded, penalty);
        assert_eq!(pot(Pot::Fees) - fees, fee + 474_177);
        // A quarter of the cost, 2,457/8,000 of 16,000 USD, is realised.
        assert_eq!(
            held(Charlie).cash,
            992 * USD - owed + value - 4_914 * USD - fee - penalty
        );
        assert_eq!(held(Charlie).standing, Standing::Good);
        assert_eq!(
            <novate_runtime::Liquidation as Liquidations<_>>::queued(),
            0
        );
        equalities();
    });
}

fn fund_vault(dollars: u128) {
    let call = pallet_clearing::Call::deposit_for {
        to: vault(),
        asset: USDC,
        amount: dollars * 1_000_000,
    };
    submit(Eve, call).unwrap();
}

#[test]
fn vault_takes_everything_when_equity_is_below_two_thirds_of_maintenance() {
    opened_at(usd(20_000)).execute_with(|| {
        charlie_buys_from_bob(10_000);
        let settled = held(Charlie).position(BTC_PERP).unwrap().funding_index;
        block(usd(20_000), || fund_vault(100_000));
        block(usd(19_000), || ());
        // 992 − 800 = 192 USD of equity against 456 of maintenance margin.
        let owed = funding(8_000, settled);
        assert!(liquidations().contains(&Liquidation::TakenOver {
            account: main_account(Charlie),
            why: Escalation::DeepShortfall,
            equity: 192 * USD - owed,
            maintenance: 456 * USD,
        }));
        let charlie = held(Charlie);
        assert!(charlie.positions.is_empty() && charlie.cash == 0);
        assert_eq!(charlie.standing, Standing::Good);
        let taken = account(&vault());
        assert_eq!(taken.lots(BTC_PERP), 8_000);
        assert_eq!(taken.cash, 100_992 * USD - owed);
        assert_eq!(taken.position(BTC_PERP).unwrap().cost, 16_000 * USD);
        equalities();
    });
}

#[test]
fn insurance_pays_the_deficit_and_the_vault_takes_over_when_equity_is_below_zero() {
    opened_at(usd(20_000)).execute_with(|| {
        charlie_buys_from_bob(10_000);
        let settled = held(Charlie).position(BTC_PERP).unwrap().funding_index;
        block(usd(20_000), || fund_vault(100_000));
        let funded = insurance();
        block(usd(18_500), || ());
        // 992 − 1,200 = −208 USD.
        let owed = funding(8_000, settled);
        let paid = 208 * USD + owed;
        assert!(liquidations().contains(&Liquidation::InsurancePaid {
            account: main_account(Charlie),
            paid,
            left: 0,
        }));
        assert_eq!(insurance(), funded - paid);
        assert_eq!(held(Charlie).cash, 0);
        assert_eq!(assess(&vault()).equity, 100_000 * USD);
        assert_eq!(account(&vault()).lots(BTC_PERP), 8_000);
        equalities();
    });
}

#[test]
fn counterparties_are_deleveraged_at_bankruptcy_when_the_vault_refuses() {
    opened_at(usd(20_000)).execute_with(|| {
        charlie_buys_from_bob(10_000);
        let settled = held(Charlie).position(BTC_PERP).unwrap().funding_index;
        let bob = held(Bob).cash;
        let funded = insurance();
        // An empty vault takes nothing.
        block(usd(18_500), || ());
        let owed = funding(8_000, settled);
        let paid = 208 * USD + owed;
        let of = main_account(Charlie);
        assert!(liquidations().iter().any(|event| matches!(
            event,
            Liquidation::TakeoverRefused { account, .. } if *account == of
        )));
        // The fund paid, and so the bankruptcy price is the mark: 8,000 lots at 18,500 USD, 14,800 in all.
        assert_eq!(insurance(), funded - paid);
        assert!(liquidations().contains(&Liquidation::Deleveraged {
            account: of,
            counterparty: main_account(Bob),
            market: BTC_PERP,
            lots: 8_000,
            value: -14_800 * USD,
        }));
        assert_eq!(held(Charlie).cash, 0);
        assert!(held(Charlie).positions.is_empty() && held(Bob).positions.is_empty());
        assert_eq!(held(Charlie).standing, Standing::Good);
        // Bob's profit is 1,200 USD and the funding he was owed, rounded down.
        let received = (market().funding_index - settled) * 8_000 / (1 << 32);
        assert_eq!(held(Bob).cash, bob + 1_200 * USD + received);
        equalities();
    });
}

#[test]
fn withdrawal_is_dropped_when_profit_is_not_realised_or_margin_would_leave() {
    opened_at(usd(20_000)).execute_with(|| {
        charlie_buys_from_bob(10_000);
        // Charlie gains 800 USD at 21,000, and 500 more of margin.
        block(usd(21_000), || {
            deposit(Charlie, 500);
            // More than the cash is refused at once; all of it would leave the position on its profit.
            let refused = withdraw(Charlie, USDC, 1_493_000_000);
            assert_eq!(
                refused,
                Err(pallet_clearing::Error::<novate_runtime::Runtime>::InsufficientBalance.into())
            );
            withdraw(Charlie, USDC, 1_492_000_000).unwrap();
        });
        // 5 % of 16,800 = 840 stays, and the funding of one second at 21,000 that is due, 59 quantums: at most 1,492 − 840 =
        // 652 USD less those. The profit counts for nothing.
        let at_most = 652 * USD - 59;
        assert_eq!(dropped(), vec![Refusal::InsufficientMargin { at_most }]);
        assert_eq!(held(Charlie).cash, 1_492 * USD);
        // By the next close two seconds are due, 116.7 quantums; by the one after it three, 175.
        block(usd(21_000), || {
            withdraw(Charlie, USDC, 651_999_884).unwrap()
        });
        let at_most = 652 * USD - 117;
        assert_eq!(dropped(), vec![Refusal::InsufficientMargin { at_most }]);
        block(usd(21_000), || {
            withdraw(Charlie, USDC, 651_999_825).unwrap()
        });
        assert_eq!(dropped(), vec![]);
        assert_eq!(held(Charlie).cash, 840 * USD + 175);
        block(usd(21_000), || withdraw(Charlie, USDC, 1).unwrap());
        assert_eq!(dropped(), vec![Refusal::InsufficientMargin { at_most: 0 }]);

        // Bob's loss of 800 USD stays too, beside 840 of margin: 9,998.40 − 1,640 less nothing that he is owed in funding.
        block(usd(21_000), || withdraw(Bob, USDC, 9_000_000_000).unwrap());
        match dropped()[..] {
            [Refusal::InsufficientMargin { at_most }] => {
                assert!(
                    (8_358_400_000..8_358_410_000).contains(&at_most),
                    "{at_most}"
                )
            }
            ref other => panic!("{other:?}"),
        }
        equalities();
    });
}

#[test]
fn withdrawal_waits_for_a_fresh_price_when_anything_but_cash_is_held() {
    opened_at(usd(20_000)).execute_with(|| {
        charlie_buys_from_bob(10_000);
        block(usd(20_000), || {
            deposit(Dave, 100);
            deposit_into(Eve, 0, BTC, 100_000_000).unwrap();
        });
        begin(7_000);
        withdraw(Bob, USDC, 1_000_000).unwrap();
        withdraw(Dave, USDC, 100_000_000).unwrap();
        withdraw(Eve, BTC, 1).unwrap();
        end();
        assert_eq!(dropped(), vec![Refusal::StalePrice, Refusal::StalePrice]);
        assert_eq!(held(Dave).cash, 0);
        block(usd(20_000), || {
            withdraw(Bob, USDC, 1_000_000).unwrap();
            withdraw(Eve, BTC, 100_000_000).unwrap();
        });
        assert_eq!(dropped(), vec![]);
        assert!(held(Eve).collateral.is_empty());
        equalities();
    });
}

#[test]
fn market_narrows_in_steps_and_reopens_in_order_when_prices_stop_and_return() {
    opened_at(usd(20_000)).execute_with(|| {
        charlie_buys_from_bob(10_000);
        let silent = |seconds: u64| {
            begin(seconds * 1_000);
            end();
        };
        let charlie = main_account(Charlie);
        assert!(market().fresh && market().status == MarketStatus::Open);
        let index = market().funding_index;
        // Six seconds old: still fresh. Seven: nothing is liquidated, funded or paid out, but everything trades.
        silent(6);
        assert!(market().fresh);
        silent(1);
        assert!(!market().fresh && market().status == MarketStatus::Open);
        let stale = market().funding_index;
        assert!(stale > index);
        // Sixteen: only what reduces.
        silent(8);
        assert_eq!(market().status, MarketStatus::Open);
        silent(1);
        assert_eq!(market().status, MarketStatus::ReduceOnly);
        begin(1_000);
        assert_eq!(
            bid(Charlie, 10, ticks(20_000)),
            Err(OrderError::MarketReduceOnly)
        );
        assert!(ask(Charlie, 10, ticks(20_000)).is_ok());
        end();
        // Sixty-one: cancels only.
        silent(43);
        assert_eq!(market().status, MarketStatus::ReduceOnly);
        silent(1);
        assert_eq!(market().status, MarketStatus::Halted);
        begin(1_000);
        assert_eq!(
            ask(Charlie, 10, ticks(20_000)),
            Err(OrderError::MarketHalted)
        );
        let open = novate_runtime::OrderBook::open_orders(&charlie);
        assert!(cancel(Charlie, open[0].sequence).is_ok());
        end();
        assert_eq!(market().funding_index, stale);

        // The price is back, and far lower: Charlie is under water. Ten blocks of deposits and orders, then an auction, and
        // only then liquidations.
        block(usd(18_900), || ());
        for _ in 0..9 {
            assert_eq!(market().status, MarketStatus::Open);
            assert!(!market().fresh);
            assert!(assess(&charlie).is_below_maintenance());
            assert_eq!(held(Charlie).standing, Standing::Good);
            block(usd(18_900), || ());
            assert!(fills().is_empty());
        }
        block(usd(18_900), || {
            deposit(Dave, 10_000);
            deposit(Eve, 10_000);
            ask(Dave, 100, ticks(18_900)).unwrap();
            bid(Eve, 100, ticks(18_900)).unwrap();
        });
        assert_eq!(fills().len(), 2, "the reopening auction");
        assert_eq!(held(Charlie).standing, Standing::Good);
        block(usd(18_900), || ());
        assert!(market().fresh);
        assert_ne!(held(Charlie).lots(BTC_PERP), 8_000, "then liquidation");
        equalities();
    });
}

#[test]
fn account_equals_its_recomputation_when_many_orders_fill() {
    for seed in seeds(2) {
        println!("seed {seed}");
        opened_at(usd(20_000)).execute_with(|| {
            let mut random = Random::new(seed);
            let traders = [Bob, Charlie, Dave, Eve, Ferdie];
            block(usd(20_000), || {
                traders.iter().for_each(|who| deposit(*who, 100_000))
            });
            let mut price = 20_000;
            let mut filled = 0;
            for _ in 0..60 {
                price += random.within(-40, 40);
                block(usd(price as u64), || {
                    for who in traders {
                        let side = *random.pick(&[Side::Bid, Side::Ask]);
                        let at = ticks(price as u64) as i64 + random.within(-60, 60);
                        let placed = NewOrder {
                            time_in_force: *random.pick(&[
                                TimeInForce::GoodTilCancelled,
                                TimeInForce::ImmediateOrCancel,
                                TimeInForce::PostOnly,
                            ]),
                            price: OrderPrice::Limit(at as u64),
                            ..order(side, 10 + random.below(3_000), 1)
                        };
                        let _ = place(who, placed);
                    }
                });
                filled += fills().len();
                recompute();
                for who in traders {
                    let (is, was) = (held(who), recomputed(&main_account(who)));
                    assert_eq!(is.cash, 100_000 * USD + was.cash, "{who:?}");
                    assert_eq!(i128::from(is.lots(BTC_PERP)), was.lots);
                    let position = is.position(BTC_PERP);
                    assert_eq!(position.map_or(0, |p| p.cost), was.cost);
                    if let Some(position) = position {
                        assert_eq!(position.funding_index, was.settled);
                    }
                }
            }
            assert!(filled > 100, "only {filled} fills");
            equalities();
        });
    }
}

/// Twice a second perpetual less the first: worth a perpetual.
fn list_combination() -> MarketId {
    let first = pallet_instruments::Instruments::<Runtime>::get(BTC_PERP).expect("it is listed");
    let list = |symbol: &[u8], kind| {
        let market = pallet_instruments::NextMarket::<Runtime>::get();
        let call = pallet_instruments::Call::list_market {
            symbol: symbol.to_vec().try_into().expect("a short name"),
            kind,
            underlying: first.underlying,
            tick_size: first.tick_size,
            lot_size: first.lot_size,
            params: first.params,
        };
        govern(call).expect("the market is in order");
        market
    };
    let second = list(b"BTC-TWO", first.kind);
    let legs = CombinationLegs::new(&[(second, 2), (BTC_PERP, -1)]).expect("two legs");
    let kind = InstrumentKind::Combination { legs, expiry: None };
    list(b"BTC-SPREAD", kind)
}

#[test]
fn combination_is_novated_in_its_legs_when_two_orders_meet() {
    opened_at(usd(20_000)).execute_with(|| {
        let combination = block(usd(20_000), list_combination);
        let opens = |market: &novate_types::MarketView| {
            market.status == MarketStatus::Open && !market.is_in_auction()
        };
        while !view().market(combination).is_ok_and(opens) {
            block(usd(20_000), || ());
            assert!(System::block_number() < 100, "it does not open");
        }
        let order = |side, lots| NewOrder {
            market: combination,
            ..order(side, lots, ticks(20_000))
        };
        block(usd(20_000), || {
            deposit(Bob, 10_000);
            deposit(Charlie, 10_000);
            place(Bob, order(Side::Ask, 1_500)).unwrap();
        });
        block(usd(20_000), || {
            place(Charlie, order(Side::Bid, 1_000)).unwrap();
            let reducing = NewOrder {
                reduce_only: true,
                ..order(Side::Bid, 1)
            };
            assert_eq!(
                place(Charlie, reducing),
                Err(OrderError::CombinationNotReduced)
            );
        });
        let second = combination - 1;
        let legs = |who| {
            let held = held(who);
            (
                held.lots(second),
                held.lots(BTC_PERP),
                held.lots(combination),
            )
        };
        assert_eq!(
            (legs(Bob), legs(Charlie)),
            ((-2_000, 1_000, 0), (2_000, -1_000, 0))
        );
        // Fees are of the dearer side, 4,000 USD of the second.
        assert_eq!(held(Charlie).cash, 10_000 * USD - 2_000_000);
        assert_eq!(held(Bob).cash, 10_000 * USD - 400_000);
        let cost: i128 = held(Charlie).positions.iter().map(|p| p.cost).sum();
        assert_eq!(cost, 2_000 * USD);
        // 5 % of both, and no more for the order that has filled.
        let assessed = assess(&main_account(Charlie));
        assert_eq!(assessed.initial, 300 * USD);
        assert_eq!(assessed.initial_with_orders, assessed.initial);
        equalities();
    });
}
