//! The ledger once more, outside of the chain: kept from what every block changed, so that the equalities of conservation can be
//! stated after each of them over the full state, at the cost of what changed.

use anyhow::{ensure, Context, Result};
use codec::Decode;
use frame_support::storage::StoragePrefixedMap;
use novate_runtime::{
    configs::exchange::{USDC, USDT},
    AccountId, Assets, Margin, Runtime,
};
use novate_types::{AccountRef, AssetId, Cash, MarginAccount, MarketId, Pot, SignedLots};
use pallet_margin::{Accounts, Booked, Custody, Pots};
use std::collections::BTreeMap;

/// Changes of a block: keys and their new values.
pub type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;
type Of = AccountRef<AccountId>;

/// Where a key itself stands in one hashed by `Blake2_128Concat` and one by `Twox64Concat`, after 32 bytes of prefix.
const BLAKE: usize = 32 + 16;
const TWOX: usize = 32 + 8;
/// Assets that accounts hold beside the settlement currency.
const COLLATERAL: [AssetId; 1] = [USDT];

/// Every account and pot, and their sums.
#[derive(Debug, Default)]
pub struct Books {
    accounts: BTreeMap<Of, MarginAccount>,
    pots: BTreeMap<Pot, Cash>,
    custody: BTreeMap<AssetId, u128>,
    /// Lots of markets that have settled which were booked as cash already.
    booked: BTreeMap<MarketId, SignedLots>,
    /// `Σ cash − Σ cost + Σ pots`.
    settlement: Cash,
    lots: BTreeMap<MarketId, i128>,
    collateral: BTreeMap<AssetId, i128>,
}

impl Books {
    /// The whole state. Runs natively.
    pub fn read() -> Self {
        let mut books = Self::default();
        for (of, account) in Accounts::<Runtime>::iter() {
            books.put(of, Some(account));
        }
        for (pot, held) in Pots::<Runtime>::iter() {
            books.put_pot(pot, held);
        }
        for (market, lots) in Booked::<Runtime>::iter() {
            books.put_booked(market, lots);
        }
        books.custody = Custody::<Runtime>::iter().collect();
        books
    }

    /// Every account.
    pub fn accounts(&self) -> impl Iterator<Item = (&Of, &MarginAccount)> {
        self.accounts.iter()
    }

    /// One of them.
    pub fn account(&self, of: &Of) -> Option<&MarginAccount> {
        self.accounts.get(of)
    }

    fn put(&mut self, of: Of, account: Option<MarginAccount>) {
        if let Some(old) = self.accounts.remove(&of) {
            self.count(&old, -1);
        }
        if let Some(new) = account {
            self.count(&new, 1);
            self.accounts.insert(of, new);
        }
    }

    fn count(&mut self, account: &MarginAccount, sign: i128) {
        self.settlement += sign * account.cash;
        for position in &account.positions {
            self.settlement -= sign * position.cost;
            *self.lots.entry(position.market).or_default() += sign * i128::from(position.lots);
        }
        for (asset, amount) in &account.collateral {
            *self.collateral.entry(*asset).or_default() += sign * *amount as i128;
        }
    }

    fn put_pot(&mut self, pot: Pot, held: Cash) {
        self.settlement += held - self.pots.insert(pot, held).unwrap_or(0);
    }

    fn put_booked(&mut self, market: MarketId, lots: SignedLots) {
        let before = self.booked.insert(market, lots).unwrap_or(0);
        *self.lots.entry(market).or_default() += i128::from(lots) - i128::from(before);
    }

    /// Follows a block. Returns which accounts it changed, as they were before.
    pub fn follow(&mut self, changes: Changes) -> Result<BTreeMap<Of, Option<MarginAccount>>> {
        let accounts = Accounts::<Runtime>::final_prefix();
        let pots = Pots::<Runtime>::final_prefix();
        let custody = Custody::<Runtime>::final_prefix();
        let booked = Booked::<Runtime>::final_prefix();
        let mut before = BTreeMap::new();
        for (key, value) in changes {
            let own = |at: usize| key.get(at..).context("a key is too short");
            let mut value = value.as_deref();
            if key.starts_with(&accounts) {
                let of = Of::decode(&mut own(BLAKE)?)?;
                let account = value.as_mut().map(MarginAccount::decode).transpose()?;
                before.insert(of.clone(), self.accounts.get(&of).cloned());
                self.put(of, account);
            } else if key.starts_with(&pots) {
                let held = value.as_mut().map(Cash::decode).transpose()?;
                self.put_pot(Pot::decode(&mut own(TWOX)?)?, held.unwrap_or(0));
            } else if key.starts_with(&booked) {
                let lots = value.as_mut().map(SignedLots::decode).transpose()?;
                self.put_booked(MarketId::decode(&mut own(TWOX)?)?, lots.unwrap_or(0));
            } else if key.starts_with(&custody) {
                let held = value.as_mut().map(u128::decode).transpose()?;
                let asset = AssetId::decode(&mut own(TWOX)?)?;
                self.custody.insert(asset, held.unwrap_or(0));
            }
        }
        Ok(before)
    }

    /// The three equalities. `balances` is what the assets pallet says that custody holds.
    pub fn conserved(&self, balances: &BTreeMap<AssetId, u128>) -> Result<()> {
        for (market, lots) in &self.lots {
            ensure!(*lots == 0, "market {market} is {lots} lots out of balance");
        }
        let held = |asset: AssetId| -> i128 {
            let counted = self.custody.get(&asset).copied().unwrap_or(0);
            counted.min(balances.get(&asset).copied().unwrap_or(0)) as i128
        };
        ensure!(
            self.settlement == held(USDC),
            "the ledger holds {} of the settlement currency and custody {}",
            self.settlement,
            held(USDC)
        );
        for asset in COLLATERAL {
            let ledger = self.collateral.get(&asset).copied().unwrap_or(0);
            ensure!(
                ledger == held(asset),
                "the ledger holds {ledger} of asset {asset} and custody {}",
                held(asset)
            );
        }
        Ok(())
    }

    /// Nothing was missed: the state read as a whole is this, and the pallet's own sums hold. Runs natively.
    pub fn agrees(&self) -> Result<()> {
        let read = Self::read();
        ensure!(
            read.accounts == self.accounts,
            "the accounts followed from block to block are not those of the state"
        );
        ensure!(
            read.settlement == self.settlement && read.lots_held() == self.lots_held(),
            "the sums followed from block to block are not those of the state"
        );
        let sums = Margin::conservation().map_err(|why| anyhow::anyhow!("{why:?}"))?;
        ensure!(sums.holds(), "{sums:?}");
        Ok(())
    }

    fn lots_held(&self) -> Vec<(MarketId, i128)> {
        let held = self.lots.iter().filter(|(_, lots)| **lots != 0);
        held.map(|(market, lots)| (*market, *lots)).collect()
    }
}

/// What custody holds of every asset. Runs natively.
pub fn balances() -> BTreeMap<AssetId, u128> {
    let custody = Margin::custody_account();
    [USDC]
        .into_iter()
        .chain(COLLATERAL)
        .map(|asset| (asset, Assets::balance(asset, &custody)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::Encode;
    use novate_types::Position;

    fn account(cash: Cash, lots: i64, cost: Cash) -> MarginAccount {
        let mut account = MarginAccount {
            cash,
            ..Default::default()
        };
        let position = Position {
            market: 0,
            lots,
            cost,
            funding_index: 0,
            rank: Default::default(),
        };
        account.positions.try_push(position).unwrap();
        account
    }

    fn of(number: u8) -> Of {
        AccountRef::new([number; 32].into(), 0)
    }

    fn change(number: u8, account: Option<&MarginAccount>) -> (Vec<u8>, Option<Vec<u8>>) {
        let key = Accounts::<Runtime>::hashed_key_for(of(number));
        (key, account.map(Encode::encode))
    }

    fn books(first: &MarginAccount, second: &MarginAccount) -> (Books, BTreeMap<AssetId, u128>) {
        let mut books = Books::default();
        let custody = (
            Custody::<Runtime>::hashed_key_for(USDC),
            Some(1_000u128.encode()),
        );
        books
            .follow(vec![
                change(1, Some(first)),
                change(2, Some(second)),
                custody,
            ])
            .unwrap();
        (books, [(USDC, 1_000), (USDT, 0)].into())
    }

    #[test]
    fn books_balance_when_lots_and_cash_do() {
        let (mut books, balances) = books(&account(700, 5, 100), &account(300, -5, -100));
        books.conserved(&balances).unwrap();
        let before = books
            .follow(vec![change(1, Some(&account(600, 5, 0)))])
            .unwrap();
        assert_eq!(before[&of(1)], Some(account(700, 5, 100)));
        books.conserved(&balances).unwrap();
    }

    #[test]
    fn books_count_lots_that_were_booked_as_cash() {
        let (mut books, balances) = books(&account(700, 5, 100), &account(300, -5, -100));
        let booked = |lots: SignedLots| {
            let key = Booked::<Runtime>::hashed_key_for(0);
            (key, (lots != 0).then(|| lots.encode()))
        };
        let mut settled = account(600, 5, 0);
        settled.positions.clear();
        let one = |lots| vec![change(1, Some(&settled)), booked(lots)];
        books.follow(one(4)).unwrap();
        assert!(books.conserved(&balances).is_err());
        books.follow(one(5)).unwrap();
        books.conserved(&balances).unwrap();
    }

    #[test]
    fn books_notice_a_quantum_a_lot_and_a_pot_too_many() {
        let whole = || books(&account(700, 5, 100), &account(300, -5, -100));
        for wrong in [
            account(701, 5, 100),
            account(700, 6, 100),
            account(700, 5, 99),
        ] {
            let (mut books, balances) = whole();
            books.follow(vec![change(1, Some(&wrong))]).unwrap();
            assert!(books.conserved(&balances).is_err(), "{wrong:?}");
        }
        let (mut books, balances) = whole();
        books.follow(vec![change(1, None)]).unwrap();
        assert!(books.conserved(&balances).is_err());
        let (mut books, balances) = whole();
        let pot = (
            Pots::<Runtime>::hashed_key_for(Pot::Fees),
            Some(1i128.encode()),
        );
        books.follow(vec![pot]).unwrap();
        assert!(books.conserved(&balances).is_err());
        let (books, _) = whole();
        assert!(books.conserved(&[(USDC, 999), (USDT, 0)].into()).is_err());
    }
}
