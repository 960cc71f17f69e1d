//! Random sequences of everything that moves money, the equalities checked after every step.

use crate::{mock::*, Accounts};
use novate_types::{Ledger, LedgerError, Pot, RiskError, RiskView};
use proptest::prelude::*;

const OWNERS: [u64; 3] = [ALICE, BOB, FUND];

#[derive(Clone, Debug)]
enum Op {
    /// Any amount, most of them possible. Collateral waits for the close.
    Deposit {
        who: usize,
        sub: u8,
        weth: bool,
        amount: u128,
    },
    /// Cash or collateral leaves; the ledger entry and custody move together.
    Withdraw {
        who: usize,
        sub: u8,
        weth: bool,
        amount: u64,
    },
    /// A trade; the second side may fail after the first has settled, and then both are undone.
    Trade {
        buyer: usize,
        seller: usize,
        market: u16,
        lots: i64,
        value: i64,
        index_fails: bool,
    },
    /// A fee or a rebate.
    Fee {
        who: usize,
        pot: u16,
        amount: i64,
    },
    /// A change that fails half way.
    Abort {
        who: usize,
    },
    /// Somebody sends the settlement currency to custody.
    Gift {
        amount: u128,
    },
    Close {
        who: usize,
        sub: u8,
    },
    EndOfBlock,
}

fn op() -> impl Strategy<Value = Op> {
    let who = 0usize..3;
    prop_oneof![
        3 => (who.clone(), 0u8..3, any::<bool>(), prop_oneof![0u128..1_000, 0u128..2 * WALLET, any::<u128>()])
            .prop_map(|(who, sub, weth, amount)| Op::Deposit { who, sub, weth, amount }),
        2 => (who.clone(), 0u8..3, any::<bool>(), prop_oneof![0u64..1_000, any::<u64>()])
            .prop_map(|(who, sub, weth, amount)| Op::Withdraw { who, sub, weth, amount }),
        6 => (who.clone(), who.clone(), 0u16..4, -5i64..=5, -1_000i64..1_000, prop::bool::weighted(0.2))
            .prop_map(|(buyer, seller, market, lots, value, index_fails)| {
                Op::Trade { buyer, seller, market, lots, value, index_fails }
            }),
        2 => (who.clone(), 0u16..4, -50i64..50).prop_map(|(who, pot, amount)| Op::Fee { who, pot, amount }),
        1 => who.clone().prop_map(|who| Op::Abort { who }),
        1 => (1u128..100).prop_map(|amount| Op::Gift { amount }),
        1 => (who, 0u8..3).prop_map(|(who, sub)| Op::Close { who, sub }),
        2 => Just(Op::EndOfBlock),
    ]
}

fn settle(
    owner: u64,
    change: impl FnOnce(&mut novate_types::MarginAccount) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    <Margin as Ledger<u64>>::settle(&account(owner, 0), &RiskView::default(), true, change)
}

fn withdraw(owner: u64, sub: u8, weth: bool, amount: u64) -> Result<(), LedgerError> {
    <Margin as Ledger<u64>>::update(&account(owner, sub), |a| {
        let short = LedgerError::Risk(RiskError::Underflow);
        if weth {
            let held = a
                .collateral
                .iter_mut()
                .find(|(asset, _)| *asset == WETH)
                .ok_or(short)?;
            held.1 = held.1.checked_sub(amount.into()).ok_or(short)?;
        } else {
            a.cash -= i128::from(amount);
        }
        let asset = if weth { WETH } else { USDC };
        <Margin as Ledger<u64>>::pay_from_custody(&owner, asset, amount.into())
    })
}

fn apply(op: Op) -> Result<(), ()> {
    let done = match op {
        Op::Deposit {
            who,
            sub,
            weth,
            amount,
        } => {
            return ask(OWNERS[who], sub, if weth { WETH } else { USDC }, amount).map_err(|_| ());
        }
        Op::EndOfBlock => {
            close();
            return Ok(());
        }
        Op::Close { who, sub } => {
            return Margin::close_account(RuntimeOrigin::signed(OWNERS[who]), sub).map_err(|_| ());
        }
        Op::Gift { amount } => {
            let custody = Margin::custody_account();
            return Assets::transfer(RuntimeOrigin::signed(POOR), USDC, custody, amount)
                .map_err(|_| ());
        }
        Op::Withdraw {
            who,
            sub,
            weth,
            amount,
        } => withdraw(OWNERS[who], sub, weth, amount),
        Op::Trade {
            buyer,
            seller,
            market,
            lots,
            value,
            index_fails: fails,
        } => frame_support::storage::with_storage_layer(|| {
            settle(OWNERS[buyer], |a| trade(a, market, lots, value.into()))
                .map_err(|_| sp_runtime::DispatchError::Corruption)?;
            index_fails(fails);
            let second = settle(OWNERS[seller], |a| {
                trade(a, market, -lots, -i128::from(value))
            });
            index_fails(false);
            second.map_err(|_| sp_runtime::DispatchError::Corruption)
        })
        .map_err(|_| LedgerError::Custody),
        Op::Fee { who, pot, amount } => settle(OWNERS[who], |a| {
            a.cash -= i128::from(amount);
            let pot = if pot == 0 {
                Pot::Fees
            } else {
                Pot::Funding(pot)
            };
            <Margin as Ledger<u64>>::credit_pot(pot, amount.into())
        }),
        Op::Abort { who } => settle(OWNERS[who], |a| {
            a.cash += 1;
            <Margin as Ledger<u64>>::credit_pot(Pot::Rounding, 1)?;
            <Margin as Ledger<u64>>::take_into_custody(&OWNERS[who], USDC, 1)?;
            Err(LedgerError::Custody)
        }),
    };
    done.map_err(|_| ())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn equalities_hold_after_every_step_when_anything_happens(ops in prop::collection::vec(op(), 1..80)) {
        new_test_ext().execute_with(|| {
            for op in ops {
                let before = sp_io::storage::root(sp_runtime::StateVersion::V1);
                let described = format!("{op:?}");
                if apply(op).is_err() {
                    let after = sp_io::storage::root(sp_runtime::StateVersion::V1);
                    assert_eq!(before, after, "{described} failed and changed something");
                }
                if let Err(broken) = Margin::do_try_state() {
                    panic!("{described} broke the ledger: {broken:?}");
                }
            }
        });
    }

    #[test]
    fn everything_comes_back_when_everybody_leaves(amounts in prop::collection::vec((0usize..3, 0u8..4, 1u64..1_000_000), 1..20)) {
        new_test_ext().execute_with(|| {
            let wealth = |owner| {
                let inside: i128 = Accounts::<Test>::iter().filter(|(of, _)| of.owner == owner).map(|(_, a)| a.cash).sum();
                wallet(owner, USDC) + inside.unsigned_abs()
            };
            let before = OWNERS.map(wealth);
            for (who, sub, amount) in amounts {
                deposit(OWNERS[who], sub, USDC, amount.into()).unwrap();
            }
            for (of, held) in Accounts::<Test>::iter().collect::<Vec<_>>() {
                let amount = held.cash.unsigned_abs().try_into().unwrap();
                withdraw(of.owner, of.sub, false, amount).unwrap();
                Margin::close_account(RuntimeOrigin::signed(of.owner), of.sub).unwrap();
            }
            assert_eq!(OWNERS.map(|owner| wallet(owner, USDC)), before);
            assert_eq!(custody(USDC), 0);
            Margin::do_try_state().unwrap();
        });
    }
}
