use crate::{
    expiry::Settlement, mock::*, Error, Event, NextRequest, Pending, PremiumHistory, PremiumMinute,
    Settlements, States, View,
};
use frame_support::{
    assert_noop,
    traits::{Get, Hooks},
    weights::Weight,
};
use novate_types::{CurrentView, LiquidationOrder, Side};
use sp_runtime::BoundedVec;

fn listed(feeds: u16) {
    for id in 10..10 + feeds {
        Instruments::insert(id, instrument("X-PERP", BTC_FEED));
    }
    run(6);
    steps();
}

#[test]
fn the_close_goes_in_the_order_of_the_protocol() {
    new_test_ext().execute_with(|| {
        run(1);
        let names: Vec<_> = steps().into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "parameters",
                "oracle",
                "interest",
                "thresholds",
                "triggers",
                "match",
                "waterfall",
                "housekeeping"
            ]
        );
    });
}

#[test]
fn the_close_does_nothing_when_a_migration_runs() {
    new_test_ext().execute_with(|| {
        let before = View::<Test>::get();
        Migrating::put(true);
        run(1);
        assert_eq!(View::<Test>::get(), before);
        assert!(steps().is_empty());
        Migrating::put(false);
        run(1);
        assert_eq!(<Clearing as CurrentView>::view().block, before.block + 2);
    });
}

#[test]
fn markets_take_turns_at_being_first_when_blocks_pass() {
    new_test_ext().execute_with(|| {
        listed(2);
        let mut firsts = Vec::new();
        for _ in 0..3 {
            run(1);
            let matched: Vec<_> = steps()
                .into_iter()
                .filter(|(step, _)| step == "match")
                .map(|(_, market)| market)
                .collect();
            let mut sorted = matched.clone();
            sorted.sort();
            assert_eq!(sorted, [1, 10, 11]);
            firsts.push(matched[0]);
        }
        firsts.sort();
        assert_eq!(firsts, [1, 10, 11]);
    });
}

#[test]
fn a_market_waits_for_the_next_close_when_the_blocks_fills_are_used_up() {
    new_test_ext().execute_with(|| {
        listed(1);
        for owner in [ALICE, BOB] {
            deposit(owner, 100_000);
        }
        for market in [BTC, 10] {
            place_in(market, BOB, Side::Ask, ticks(20_000), 10);
        }
        run(1);
        for market in [BTC, 10] {
            place_in(market, ALICE, Side::Bid, ticks(20_000), 10);
        }
        MaxFillsTotal::set(1);
        run(1);
        let held = || {
            let account = Accounts::get(of(ALICE)).unwrap();
            (account.lots(BTC) != 0) as u8 + (account.lots(10) != 0) as u8
        };
        assert_eq!(held(), 1);
        run(1);
        assert_eq!(held(), 2);
    });
}

#[test]
fn liquidation_orders_meet_the_match_of_their_market() {
    new_test_ext().execute_with(|| {
        for owner in [ALICE, BOB, CHARLIE] {
            deposit(owner, 100_000);
        }
        open(ALICE, BOB, 100, ticks(20_000));
        place(CHARLIE, Side::Bid, ticks(19_990), 100);
        run(1);
        Liquidating::put(vec![LiquidationOrder {
            account: of(ALICE),
            market: BTC,
            side: Side::Ask,
            lots: 40,
            limit: ticks(19_900),
        }]);
        run(1);
        assert_eq!((lots_of(ALICE), lots_of(CHARLIE)), (60, 40));
        assert_eq!(
            States::<Test>::get()[0].last.map(|last| last.ticks),
            Some(ticks(19_990))
        );
    });
}

#[test]
fn the_reserve_covers_fills_requests_and_the_other_pallets_when_the_block_begins() {
    new_test_ext().execute_with(|| {
        let reserve = || <Clearing as Hooks<u32>>::on_initialize(2);
        let empty = reserve();
        let fills = <() as crate::WeightInfo>::fill().saturating_mul(2_048 + 512);
        let own = fills.saturating_add(<() as crate::WeightInfo>::close(1));
        assert!(empty.all_gte(own.saturating_add(OthersNow::get())));
        let more = Weight::from_parts(7, 0);
        OthersNow::mutate(|others| *others = others.saturating_add(more));
        assert_eq!(reserve().saturating_sub(empty), more);
        OthersNow::mutate(|others| *others = others.saturating_sub(more));
        deposit(ALICE, 1);
        Clearing::withdraw(RuntimeOrigin::signed(ALICE), 0, USDC, 1).unwrap();
        assert_eq!(
            reserve().saturating_sub(empty),
            // Any request may be the liquidity pot's.
            <() as crate::WeightInfo>::request()
                .saturating_add(<() as crate::WeightInfo>::lending())
        );
        assert_ne!(empty, Weight::zero());
        // A long queue crowds out orders and the accounts behind them.
        let busy = reserve();
        Presses::set(true);
        let parties = PartiesWeight::get().saturating_sub(PressedPartiesWeight::get());
        let fills = <() as crate::WeightInfo>::fill().saturating_mul(2_048 / 4 * 3);
        let looks = Clearing::looks(crate::LAST_ROUND_LOOKS / 4 * 3);
        assert_eq!(
            busy.saturating_sub(reserve()),
            parties.saturating_add(fills).saturating_add(looks)
        );
    });
}

#[test]
fn remedies_have_what_the_matches_leave_of_their_reserve() {
    new_test_ext().execute_with(|| {
        listed(2);
        let left = || {
            LeftByMatches::set(0);
            run(1);
            LeftByMatches::get()
        };
        // In none of the three markets there is anything to match: what is reserved for reading their books is left, too.
        let all = |presses| Clearing::matches_reserve(presses).ref_time();
        let unmatched = |markets: u64| 1_000_000 * markets;
        assert_eq!(left(), all(false) + unmatched(3));
        Presses::set(true);
        assert_eq!(left(), all(true) + unmatched(3));
        Presses::set(false);
        for owner in [ALICE, BOB] {
            deposit(owner, 100_000);
        }
        place(BOB, Side::Ask, ticks(20_000), 10);
        run(1);
        place(ALICE, Side::Bid, ticks(20_000), 10);
        // Bob had no position yet.
        let fill = <() as crate::WeightInfo>::fill().saturating_add(Clearing::party(1, 0));
        assert_eq!(left(), all(false) - fill.ref_time() + unmatched(2));
    });
}

#[test]
fn the_worst_close_leaves_extrinsics_their_part_of_a_block() {
    new_test_ext().execute_with(|| {
        let fits =
            || std::panic::catch_unwind(|| <Clearing as Hooks<u32>>::integrity_test()).is_ok();
        assert!(fits());
        let weights: frame_system::limits::BlockWeights =
            <Test as frame_system::Config>::BlockWeights::get();
        let block = weights.max_block.ref_time();
        let own = Clearing::reserve(novate_types::MAX_MARKETS, u64::MAX, false, Weight::zero())
            .saturating_add(Clearing::most_for_expiring())
            .ref_time();
        assert_eq!(Clearing::room().ref_time(), block / 10 * 9);
        let room = Clearing::room().ref_time() - own;
        let before = OthersWorst::get();
        OthersWorst::set(Weight::from_parts(room, 0));
        assert!(fits());
        OthersWorst::set(Weight::from_parts(room + 1, 0));
        assert!(!fits());
        OthersWorst::set(before);
    });
}

#[test]
fn markets_with_liquidation_orders_go_first_when_fills_are_scarce() {
    new_test_ext().execute_with(|| {
        listed(2);
        for owner in [ALICE, BOB, CHARLIE] {
            deposit(owner, 100_000);
        }
        open(ALICE, BOB, 100, ticks(20_000));
        place(CHARLIE, Side::Bid, ticks(19_990), 100);
        run(1);
        steps();
        MaxFillsTotal::set(1);
        // Whichever is first by rotation.
        for n in 1..=3 {
            for market in [10, 11] {
                place_in(market, BOB, Side::Ask, ticks(20_000), 1);
                place_in(market, CHARLIE, Side::Bid, ticks(20_000), 1);
                Book::mutate(market, |book| {
                    book.as_mut()
                        .unwrap()
                        .iter_mut()
                        .for_each(|o| o.resting = o.side == Side::Ask)
                });
            }
            Liquidating::put(vec![LiquidationOrder {
                account: of(ALICE),
                market: BTC,
                side: Side::Ask,
                lots: 10,
                limit: ticks(19_900),
            }]);
            run(1);
            assert_eq!(lots_of(ALICE), 100 - 10 * n);
        }
        MaxFillsTotal::set(2_048);
    });
}

#[test]
fn drift_is_detected_by_try_state() {
    let detects = |drift: fn()| {
        new_test_ext().execute_with(|| {
            deposit(ALICE, 10);
            Clearing::withdraw(RuntimeOrigin::signed(ALICE), 0, USDC, 1).unwrap();
            assert_eq!(Clearing::do_try_state(), Ok(()));
            drift();
            assert!(Clearing::do_try_state().is_err());
        })
    };
    detects(|| Pending::<Test>::insert(ALICE, 2));
    detects(|| Pending::<Test>::insert(BOB, 1));
    detects(|| NextRequest::<Test>::put(9));
    detects(|| States::<Test>::mutate(|states| states[0].premiums.past += 1));
    detects(|| {
        let stray = PremiumMinute { minute: 1, sum: 0 };
        PremiumHistory::<Test>::insert(BTC, BoundedVec::truncate_from(vec![stray]))
    });
    detects(|| {
        Instruments::remove(BTC);
    });
    detects(|| Instruments::mutate(BTC, |i| i.as_mut().unwrap().tick_value += 1));
    detects(|| {
        Accounts::mutate(of(ALICE), |account| {
            let position = novate_types::Position {
                market: 99,
                lots: 1,
                cost: 0,
                funding_index: 0,
                rank: Default::default(),
            };
            let positions = &mut account.as_mut().unwrap().positions;
            positions.try_push(position).unwrap();
        })
    });
    detects(|| {
        Accounts::mutate(of(ALICE), |account| {
            let account = account.as_mut().unwrap();
            novate_risk::add_order(account, 99, Side::Bid, 1, 1).unwrap();
        })
    });
    detects(|| {
        let mean = Settlement::of(BTC_FEED, 1);
        Settlements::<Test>::put(BoundedVec::truncate_from(vec![mean]))
    });
    detects(|| {
        View::<Test>::mutate(|view| {
            let market = view.markets[0].clone();
            view.markets = BoundedVec::truncate_from(vec![market.clone(), market]);
        })
    });
    detects(|| View::<Test>::mutate(|view| view.collaterals[0].fresh = false));
    detects(|| {
        View::<Test>::mutate(|view| {
            view.markets[0].mark = Default::default();
        })
    });
    detects(|| View::<Test>::mutate(|view| view.markets[0].index = Default::default()));
}

#[test]
fn a_market_is_left_as_it_was_when_its_match_cannot_be_written() {
    new_test_ext().execute_with(|| {
        for owner in [ALICE, BOB] {
            deposit(owner, 100_000);
        }
        place(BOB, Side::Ask, ticks(20_000), 10);
        place(ALICE, Side::Bid, ticks(20_000), 10);
        let before = (
            Accounts::get(of(ALICE)),
            Accounts::get(of(BOB)),
            Book::get(BTC).map(|b| b.len()),
        );
        Sabotage::put(true);
        next_block();
        refresh();
        // Debug builds stop where it says that this cannot happen.
        let _ = std::panic::catch_unwind(close);
        Sabotage::kill();
        let after = (
            Accounts::get(of(ALICE)),
            Accounts::get(of(BOB)),
            Book::get(BTC).map(|b| b.len()),
        );
        assert_eq!(before, after);
        assert!(!events()
            .iter()
            .any(|event| matches!(event, Event::Cleared { .. })));
        run(1);
        assert_eq!(lots_of(ALICE), 10);
    });
}

#[test]
fn calls_are_refused_when_arguments_are_hostile() {
    new_test_ext().execute_with(|| {
        deposit(ALICE, 10);
        let alice = || RuntimeOrigin::signed(ALICE);
        assert_noop!(
            Clearing::withdraw(alice(), 0, USDC, 0),
            Error::<Test>::ZeroAmount
        );
        assert_noop!(
            Clearing::withdraw(alice(), 0, USDC, u128::MAX),
            Error::<Test>::AmountTooLarge
        );
        assert_noop!(
            Clearing::withdraw(alice(), 0, 99, 1),
            Error::<Test>::UnknownAsset
        );
        assert_noop!(
            Clearing::withdraw(alice(), 1, USDC, 1),
            Error::<Test>::NoAccount
        );
        assert_noop!(
            Clearing::withdraw(alice(), 0, USDC, 10_000_001),
            Error::<Test>::InsufficientBalance
        );
        assert_noop!(
            Clearing::withdraw(alice(), 0, GOLD, 1),
            Error::<Test>::InsufficientBalance
        );
        assert_noop!(
            Clearing::transfer(alice(), 0, of(ALICE), USDC, 1),
            Error::<Test>::SameAccount
        );
        assert_noop!(
            Clearing::deposit_for(alice(), of(ALICE), GOLD, 1),
            Error::<Test>::CashOnly
        );
        for origin in [RuntimeOrigin::root(), RuntimeOrigin::none()] {
            assert_noop!(
                Clearing::withdraw(origin, 0, USDC, 1),
                sp_runtime::DispatchError::BadOrigin
            );
        }
        for _ in 0..8 {
            Clearing::withdraw(alice(), 0, USDC, 1).unwrap();
        }
        assert_noop!(
            Clearing::withdraw(alice(), 0, USDC, 1),
            Error::<Test>::TooManyRequests
        );
        for owner in 10..17 {
            deposit(owner, 1);
            for _ in 0..8 {
                Clearing::withdraw(RuntimeOrigin::signed(owner), 0, USDC, 1).unwrap();
            }
        }
        assert_noop!(
            Clearing::deposit_for(RuntimeOrigin::signed(BOB), FUND, USDC, 1),
            Error::<Test>::QueueFull
        );
    });
}
