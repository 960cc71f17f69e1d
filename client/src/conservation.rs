//! The equalities of conservation, computed here from the full state: every account, every pot, every balance in custody.
//!
//! The chain computes them too (`NovateApi_conservation`); a reader who trusts nobody adds up himself.

use crate::{chain::Hash, Account, AccountId, Chain, Error, Result};
use futures::future::try_join_all;
use novate_risk::LoanBook;
use novate_runtime_api::{Conservation, Equality};
use novate_types::{AssetId, Cash, LoanTotals, Lots, MarginAccount, MarketId, Pot, SignedLots};
use std::collections::BTreeMap;

/// The state that conservation speaks of, read at one block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FullState {
    /// Every margin account.
    pub accounts: Vec<(Account, MarginAccount)>,
    /// What the pots hold.
    pub pots: Vec<(Pot, Cash)>,
    /// Lots open by market: the sum of long positions, as the chain keeps count.
    pub open_interest: BTreeMap<MarketId, Lots>,
    /// Of markets that have settled, lots of positions booked as cash, signed.
    pub booked: BTreeMap<MarketId, SignedLots>,
    /// The liquidity pot's book.
    pub lending: LoanBook,
    /// Shares of the pot, of each supplier.
    pub suppliers: Vec<u128>,
    /// The settlement currency in custody.
    pub settlement: u128,
    /// Collateral assets in custody.
    pub collateral: BTreeMap<AssetId, u128>,
}

/// What the state adds up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recomputed {
    /// The equalities.
    pub conservation: Conservation,
    /// Per market, long lots over all accounts and the chain's count of open interest.
    pub open_interest: Vec<(MarketId, i128, i128)>,
    /// `Σ cash` below zero over accounts: what is owed and not covered by cash.
    pub deficit: Cash,
}

impl Recomputed {
    /// Whether every equality holds.
    pub fn holds(&self) -> bool {
        self.conservation.holds() && self.open_interest.iter().all(|(_, sum, kept)| sum == kept)
    }
}

/// Bytes before the key in maps hashed with `Blake2_128Concat`, and with `Twox64Concat`.
const BLAKE2_128: usize = 16;
const TWOX_64: usize = 8;

impl FullState {
    /// Reads it at a block: accounts, pots and custody entry by entry, and the custody account's own balances.
    ///
    /// # Errors
    ///
    /// `Rpc` if the node no longer has that block's state.
    pub async fn read(chain: &Chain, at: Hash) -> Result<Self> {
        let settlement = chain.settlement_asset()?;
        let custodian = custody_account(chain.constant("Margin", "PalletId")?);
        let recorded: Vec<(AssetId, u128)> =
            chain.entries("Margin", "Custody", TWOX_64, at).await?;
        // What was sent to custody without a deposit is nobody's; what is missing from it is missed here.
        let mut custody: BTreeMap<AssetId, u128> =
            try_join_all(recorded.into_iter().map(|(asset, recorded)| async move {
                let balance = chain.wallet_balance(asset, custodian, Some(at)).await?;
                Ok::<_, Error>((asset, recorded.min(balance)))
            }))
            .await?
            .into_iter()
            .collect();
        let mut pots: Vec<(Pot, Cash)> = chain.entries("Margin", "Pots", TWOX_64, at).await?;
        pots.sort_unstable();
        let suppliers: Vec<(AccountId, u128)> =
            chain.entries("Margin", "Suppliers", BLAKE2_128, at).await?;
        Ok(Self {
            lending: chain
                .value("Margin", "Lending", (), Some(at))
                .await?
                .unwrap_or_default(),
            suppliers: suppliers.into_iter().map(|(_, shares)| shares).collect(),
            accounts: chain.entries("Margin", "Accounts", BLAKE2_128, at).await?,
            pots,
            open_interest: chain
                .entries("Margin", "OpenInterest", TWOX_64, at)
                .await?
                .into_iter()
                .collect(),
            booked: chain
                .entries("Margin", "Booked", TWOX_64, at)
                .await?
                .into_iter()
                .collect(),
            settlement: custody.remove(&settlement).unwrap_or(0),
            collateral: custody,
        })
    }

    /// Adds it up.
    ///
    /// # Errors
    ///
    /// `Mismatch` when a sum leaves the range of its type.
    pub fn recompute(&self) -> Result<Recomputed> {
        let range = || Error::mismatch("the full state", "a sum is out of range");
        let mut lots: BTreeMap<MarketId, (i128, i128)> =
            self.open_interest.keys().map(|m| (*m, (0, 0))).collect();
        for (market, booked) in &self.booked {
            lots.entry(*market).or_default().0 += i128::from(*booked);
        }
        let mut collateral: BTreeMap<AssetId, Cash> =
            self.collateral.keys().map(|a| (*a, 0)).collect();
        let (mut ledger, mut deficit): (Cash, Cash) = (0, 0);
        let mut loans = LoanTotals::default();
        for shares in &self.suppliers {
            loans.shares = loans.shares.checked_add(*shares).ok_or_else(range)?;
        }
        for (_, account) in &self.accounts {
            ledger = ledger.checked_add(account.cash).ok_or_else(range)?;
            loans
                .count(account, self.lending.index)
                .map_err(|_| range())?;
            deficit = deficit.checked_sub(account.cash.min(0)).ok_or_else(range)?;
            for position in &account.positions {
                ledger = ledger.checked_sub(position.cost).ok_or_else(range)?;
                let (sum, long) = lots.entry(position.market).or_default();
                *sum += i128::from(position.lots);
                *long += i128::from(position.lots.max(0));
            }
            for (asset, amount) in &account.collateral {
                let amount = Cash::try_from(*amount).map_err(|_| range())?;
                let sum = collateral.entry(*asset).or_default();
                *sum = sum.checked_add(amount).ok_or_else(range)?;
            }
        }
        for (_, pot) in &self.pots {
            ledger = ledger.checked_add(*pot).ok_or_else(range)?;
        }
        let held = |asset: &AssetId| {
            let amount = self.collateral.get(asset).copied().unwrap_or(0);
            Cash::try_from(amount).map_err(|_| range())
        };
        let conservation = Conservation {
            lots: lots.iter().map(|(m, (sum, _))| (*m, *sum)).collect(),
            settlement: Equality {
                ledger,
                custody: Cash::try_from(self.settlement).map_err(|_| range())?,
            },
            collateral: collateral
                .iter()
                .map(|(asset, sum)| {
                    Ok((
                        *asset,
                        Equality {
                            ledger: *sum,
                            custody: held(asset)?,
                        },
                    ))
                })
                .collect::<Result<_>>()?,
            pots: self.pots.clone(),
            loans: (loans, self.lending.totals()),
            accounts: u32::try_from(self.accounts.len()).map_err(|_| range())?,
        };
        let open_interest = lots
            .iter()
            .map(|(m, (_, long))| {
                (
                    *m,
                    *long,
                    i128::from(self.open_interest.get(m).copied().unwrap_or(0)),
                )
            })
            .collect();
        Ok(Recomputed {
            conservation,
            open_interest,
            deficit,
        })
    }
}

/// The account that a pallet's id derives.
fn custody_account(pallet_id: [u8; 8]) -> AccountId {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(b"modl");
    bytes[4..12].copy_from_slice(&pallet_id);
    AccountId::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use novate_types::{Loan, Position, RankSlot};

    fn account(byte: u8, cash: Cash, lots: i64, cost: Cash) -> (Account, MarginAccount) {
        let position = Position {
            market: 1,
            lots,
            cost,
            funding_index: 0,
            rank: RankSlot::default(),
        };
        let account = MarginAccount {
            cash,
            loan: (cash < 0).then_some(Loan {
                principal: -cash,
                index: 3,
            }),
            positions: vec![position].try_into().unwrap(),
            collateral: vec![(3, 10u128)].try_into().unwrap(),
            ..MarginAccount::default()
        };
        (Account::new(AccountId::from([byte; 32]), 0), account)
    }

    fn balanced() -> FullState {
        FullState {
            accounts: vec![account(1, 100, 5, 50), account(2, -20, -5, -60)],
            pots: vec![(Pot::Fees, 7), (Pot::Funding(1), -3)],
            open_interest: BTreeMap::from([(1, 5)]),
            booked: BTreeMap::from([(2, 0)]),
            lending: LoanBook {
                borrowed: 20,
                index: 7,
                accrued: 20 * 4,
                shares: 9,
                ..LoanBook::default()
            },
            suppliers: vec![4, 5],
            settlement: 94,
            collateral: BTreeMap::from([(3, 20)]),
        }
    }

    #[test]
    fn conservation_holds_when_every_equality_does() {
        let sums = balanced().recompute().unwrap();
        assert!(sums.holds(), "{sums:?}");
        assert_eq!(sums.deficit, 20);
        assert_eq!(sums.conservation.accounts, 2);
    }

    #[test]
    fn conservation_fails_when_anything_drifts_by_one() {
        let drifts: [fn(&mut FullState); 12] = [
            |s| s.settlement += 1,
            |s| s.pots[0].1 -= 1,
            |s| s.accounts[0].1.cash += 1,
            |s| s.accounts[0].1.positions[0].lots += 1,
            |s| s.accounts[1].1.positions[0].cost += 1,
            |s| *s.collateral.get_mut(&3).unwrap() -= 1,
            |s| *s.open_interest.get_mut(&1).unwrap() += 1,
            |s| *s.booked.get_mut(&2).unwrap() += 1,
            |s| s.lending.borrowed += 1,
            |s| s.lending.accrued -= 1,
            |s| s.lending.index += 1,
            |s| s.suppliers[0] += 1,
        ];
        for (number, drift) in drifts.into_iter().enumerate() {
            let mut state = balanced();
            drift(&mut state);
            assert!(!state.recompute().unwrap().holds(), "drift {number}");
        }
    }

    #[test]
    fn recompute_is_refused_when_a_sum_leaves_its_range() {
        let mut state = balanced();
        state.accounts[0].1.cash = Cash::MAX;
        state.pots[0].1 = Cash::MAX;
        assert!(state.recompute().is_err());
    }
}
