//! Pro rata with the largest remainder, first over owners and then over each owner's orders.

use alloc::vec::Vec;
use core::cmp::Reverse;
use novate_types::{Lots, MathError};

/// What one order brings to a sharing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its owner.
    pub owner: u32,
    /// Lots it could execute.
    pub lots: Lots,
    /// Its place in a tie, the least first.
    pub tie: u64,
}

/// All lots offered. Never overflows: fewer than 2⁶⁴ offers fit in memory.
pub fn total(offers: &[Offer]) -> Result<u128, MathError> {
    sum(offers.iter().map(|offer| offer.lots.into()))
}

fn sum(mut lots: impl Iterator<Item = u128>) -> Result<u128, MathError> {
    lots.try_fold(0u128, u128::checked_add)
        .ok_or(MathError::Overflow)
}

/// Each offer's part of `lots`, the offers of one owner being adjacent. The parts add up to `lots`, or to the offers where
/// those are fewer, and no part exceeds its offer.
pub fn share(lots: Lots, offers: &[Offer]) -> Result<Vec<Lots>, MathError> {
    let owners = || offers.chunk_by(|a, b| a.owner == b.owner);
    let claims = owners()
        .map(|own| Ok((total(own)?, own.first().map_or(0, |oldest| oldest.tie))))
        .collect::<Result<Vec<_>, MathError>>()?;
    let mut parts = Vec::with_capacity(offers.len());
    for (own, part) in owners().zip(apportion(lots, &claims)?) {
        if let [_] = own {
            parts.push(part);
        } else {
            let claims: Vec<_> = own.iter().map(|o| (u128::from(o.lots), o.tie)).collect();
            parts.extend(apportion(part, &claims)?);
        }
    }
    Ok(parts)
}

/// Splits `lots` over `claims` (lots, tie) in proportion to `min(claim, lots)`: whole parts first, then one more to the
/// largest fractions, ties to the least `tie`. A claim beyond `lots` weighs no more than one of just `lots`.
fn apportion(lots: Lots, claims: &[(u128, u64)]) -> Result<Vec<Lots>, MathError> {
    // Both factors fit in 64 bits: `min` takes the weight there.
    let weight = |claim: u128| claim.min(lots.into());
    let weights = sum(claims.iter().map(|(claim, _)| weight(*claim)))?;
    if weights <= lots.into() {
        return claims
            .iter()
            .map(|(claim, _)| narrow(weight(*claim)))
            .collect();
    }
    let mut parts = Vec::with_capacity(claims.len());
    let mut fractions = Vec::with_capacity(claims.len());
    let mut given: Lots = 0;
    for (at, (claim, tie)) in claims.iter().enumerate() {
        let product = weight(*claim)
            .checked_mul(lots.into())
            .ok_or(MathError::Overflow)?;
        let (part, fraction) = div_rem(product, weights)?;
        let part = narrow(part)?;
        given = given.checked_add(part).ok_or(MathError::Overflow)?;
        parts.push(part);
        fractions.push((Reverse(fraction), *tie, at));
    }
    let over = lots
        .checked_sub(given)
        .and_then(|over| usize::try_from(over).ok());
    let over = over.ok_or(MathError::Overflow)?;
    if over > 0 && over < fractions.len() {
        fractions.select_nth_unstable(over);
    }
    for (_, _, at) in fractions.iter().take(over) {
        if let Some(part) = parts.get_mut(*at) {
            *part = part.checked_add(1).ok_or(MathError::Overflow)?;
        }
    }
    Ok(parts)
}

/// 128-bit division is a subroutine of some hundred steps in WASM; most quotients fit the machine's own.
fn div_rem(a: u128, b: u128) -> Result<(u128, u128), MathError> {
    let quick = u64::try_from(a)
        .ok()
        .zip(u64::try_from(b).ok())
        .and_then(|(a, b)| Some((u128::from(a.checked_div(b)?), u128::from(a.checked_rem(b)?))));
    quick
        .or_else(|| a.checked_div(b).zip(a.checked_rem(b)))
        .ok_or(MathError::DivisionByZero)
}

fn narrow(lots: u128) -> Result<Lots, MathError> {
    Lots::try_from(lots).map_err(|_| MathError::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offer(owner: u32, lots: Lots, tie: u64) -> Offer {
        Offer { owner, lots, tie }
    }

    #[test]
    fn remainder_goes_to_the_largest_fraction_then_to_the_least_tie() {
        // 10 over 5, 4, 3: 4.17, 3.33, 2.5.
        let offers = [offer(1, 5, 0), offer(2, 4, 0), offer(3, 3, 9)];
        assert_eq!(share(10, &offers), Ok(vec![4, 3, 3]));
        let offers = [offer(1, 3, 7), offer(2, 3, 5), offer(3, 3, 6)];
        assert_eq!(share(1, &offers), Ok(vec![0, 1, 0]));
        assert_eq!(share(2, &offers), Ok(vec![0, 1, 1]));
    }

    #[test]
    fn inflated_size_weighs_no_more_than_the_lots_shared() {
        let offers = [offer(1, 10, 1), offer(2, 1_000_000, 2)];
        assert_eq!(share(10, &offers), Ok(vec![5, 5]));
    }

    #[test]
    fn splitting_an_order_gains_nothing_when_its_owner_has_one_share() {
        let whole = [offer(1, 10, 1), offer(2, 10, 2)];
        assert_eq!(share(10, &whole), Ok(vec![5, 5]));
        let split = [offer(1, 10, 1), offer(2, 5, 2), offer(2, 5, 3)];
        assert_eq!(share(10, &split), Ok(vec![5, 3, 2]));
    }

    #[test]
    fn everybody_is_filled_when_there_is_enough() {
        let offers = [offer(1, 10, 1), offer(2, 0, 2), offer(2, 5, 3)];
        assert_eq!(share(20, &offers), Ok(vec![10, 0, 5]));
        assert_eq!(share(0, &offers), Ok(vec![0, 0, 0]));
        assert_eq!(share(7, &[]), Ok(vec![]));
    }

    #[test]
    fn shares_are_exact_when_products_exceed_64_bits() {
        let offers = [offer(1, u64::MAX, 1), offer(2, u64::MAX, 2)];
        assert_eq!(share(u64::MAX, &offers), Ok(vec![(1 << 63), (1 << 63) - 1]));
    }

    proptest! {
        #[test]
        fn parts_add_up_and_stay_within_a_lot_of_proportion(
            lots in 1u64..1000, sizes in prop::collection::vec((0u64..500, any::<u64>()), 1..30),
        ) {
            let offers: Vec<_> =
                sizes.iter().zip(0..).map(|((lots, tie), owner)| offer(owner, *lots, *tie)).collect();
            let all: u64 = sizes.iter().map(|(lots, _)| lots).sum();
            let parts = share(lots, &offers).unwrap();
            prop_assert_eq!(parts.iter().sum::<u64>(), lots.min(all));
            let weights: u64 = sizes.iter().map(|(size, _)| size.min(&lots)).sum();
            for (part, (size, _)) in parts.iter().zip(&sizes) {
                prop_assert!(part <= size);
                if all > lots {
                    let exact = size.min(&lots) * lots;
                    prop_assert!(part * weights < exact + weights && exact < (part + 1) * weights);
                }
            }
        }
    }
}
