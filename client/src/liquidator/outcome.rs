//! What became of a bid in the block that took it in, in words.

use crate::{
    decimal::cash_floor,
    event::{Escalation, Portion, Unremedied},
    Account, Event,
};
use novate_types::{Cash, Ppm};
use std::fmt;

/// What became of a bid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took something.
    Filled {
        /// How much, in ppm.
        fraction: Ppm,
        /// How much it asked for.
        asked: Ppm,
        /// What others took of the same account in the same close, in ppm, and how many they were.
        others: (Ppm, usize),
        /// What it bought.
        portion: Portion,
        /// What it did not pay for it, in quantums.
        discount: Cash,
    },
    /// It took nothing.
    Dropped {
        /// Why.
        refusal: Unremedied,
        /// What others took of the same account in the same close, in ppm, and how many they were.
        others: (Ppm, usize),
        /// What became of the account's competition in that close, if it ended.
        ended: Option<Option<Escalation>>,
    },
    /// The block says nothing of it: chain and client are of different versions.
    Unanswered,
}

impl Outcome {
    /// What a block's events say of `taker`'s bid for `asked` of `account`.
    pub fn of<'a>(
        events: impl Iterator<Item = &'a Event> + Clone,
        taker: &Account,
        account: &Account,
        asked: Ppm,
    ) -> Self {
        let mut others = (0, 0);
        let mut ended = None;
        for event in events.clone() {
            match event {
                Event::BidFilled {
                    account: of,
                    taker: by,
                    fraction,
                    ..
                } if of == account && by != taker => {
                    others = (fraction.saturating_add(others.0), others.1 + 1);
                }
                Event::CompetitionEnded {
                    account: of, why, ..
                } if of == account => ended = Some(*why),
                _ => {}
            }
        }
        let of_bid = events.filter_map(|event| match event {
            Event::BidFilled {
                account: of,
                taker: by,
                fraction,
                portion,
                discount,
                ..
            } if of == account && by == taker => Some(Self::Filled {
                fraction: *fraction,
                asked,
                others,
                portion: portion.clone(),
                discount: *discount,
            }),
            Event::BidDropped {
                account: of,
                taker: by,
                refusal,
            } if of == account && by == taker => Some(Self::Dropped {
                refusal: *refusal,
                others,
                ended,
            }),
            _ => None,
        });
        of_bid.last().unwrap_or(Self::Unanswered)
    }

    /// Its name, for metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Filled {
                fraction, asked, ..
            } if *fraction < *asked => "partly_filled",
            Self::Filled { .. } => "filled",
            Self::Dropped { .. } => "dropped",
            Self::Unanswered => "unanswered",
        }
    }
}

/// A fraction in percent.
pub fn percent(ppm: Ppm) -> String {
    format!("{}.{:04} %", ppm / 10_000, ppm % 10_000)
}

fn by_others(others: &(Ppm, usize)) -> String {
    match others {
        (_, 0) => "nobody else took any".into(),
        (fraction, 1) => format!("another took {}", percent(*fraction)),
        (fraction, many) => format!("{many} others took {}", percent(*fraction)),
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filled {
                fraction,
                asked,
                others,
                discount,
                ..
            } => {
                write!(
                    f,
                    "took {} with a discount of {} USD",
                    percent(*fraction),
                    cash_floor(*discount)
                )?;
                if fraction < asked {
                    write!(
                        f,
                        "; asked for {}: outcompeted, {}",
                        percent(*asked),
                        by_others(others)
                    )?;
                }
                Ok(())
            }
            Self::Dropped {
                refusal,
                others,
                ended,
            } => {
                f.write_str("took nothing: ")?;
                match refusal {
                    Unremedied::TooSmall => write!(
                        f,
                        "outcompeted, the share came to less than a lot; {}",
                        by_others(others)
                    ),
                    Unremedied::NotCompeting => f.write_str(match ended {
                        Some(None) => "the account recovered before it was sold",
                        Some(Some(Escalation::DeepShortfall)) => {
                            "the account fell too deep and went to the vault"
                        }
                        Some(Some(Escalation::Backlog)) => {
                            "too much was queued, and the account went to the vault"
                        }
                        Some(Some(_)) => "the competition was over",
                        None => "the close did not come to it, or its price is old",
                    }),
                    Unremedied::Discount => f.write_str("the discount was smaller than asked for"),
                    Unremedied::Margin => {
                        f.write_str("our account would not have covered its initial margin")
                    }
                    Unremedied::Cash => f.write_str("our account would have owed cash"),
                    Unremedied::TakerStanding => f.write_str("our account is under margin itself"),
                    Unremedied::StalePrice => {
                        f.write_str("something that our account holds has no fresh price")
                    }
                    Unremedied::Outbid => f.write_str(
                        "outcompeted, the block takes so many bids and others have more free margin",
                    ),
                    other => write!(f, "{other:?}"),
                }
            }
            Self::Unanswered => f.write_str("the block says nothing of it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(n: u8) -> Account {
        Account::new([n; 32].into(), 0)
    }

    fn filled(account: u8, taker: u8, fraction: Ppm) -> Event {
        Event::BidFilled {
            account: of(account),
            taker: of(taker),
            fraction,
            portion: Portion::default(),
            worth: 10,
            discount: 1_500_000,
        }
    }

    fn dropped(refusal: Unremedied) -> Event {
        Event::BidDropped {
            account: of(1),
            taker: of(9),
            refusal,
        }
    }

    fn said(events: &[Event]) -> String {
        Outcome::of(events.iter(), &of(9), &of(1), 400_000).to_string()
    }

    #[test]
    fn bid_says_who_took_the_rest_when_it_is_outcompeted() {
        let events = [
            filled(1, 2, 100_000),
            filled(1, 9, 250_000),
            filled(1, 3, 50_000),
            filled(7, 3, 1),
        ];
        assert_eq!(
            said(&events),
            "took 25.0000 % with a discount of 1.50 USD; asked for 40.0000 %: outcompeted, 2 others took 15.0000 %"
        );
        assert_eq!(
            said(&[filled(1, 2, 400_000), dropped(Unremedied::TooSmall)]),
            "took nothing: outcompeted, the share came to less than a lot; another took 40.0000 %"
        );
        let outcome = Outcome::of(events.iter(), &of(9), &of(1), 250_000);
        assert_eq!(outcome.name(), "filled");
    }

    #[test]
    fn bid_says_where_the_account_went_when_it_is_dropped() {
        let ended = |why| Event::CompetitionEnded {
            account: of(1),
            why,
            equity: 0,
            maintenance: 0,
        };
        let gone = || dropped(Unremedied::NotCompeting);
        assert!(said(&[ended(None), gone()]).contains("recovered"));
        let deep = Some(Escalation::DeepShortfall);
        assert!(said(&[ended(deep), gone()]).contains("vault"));
        assert!(said(&[gone()]).contains("did not come to it"));
        assert!(said(&[dropped(Unremedied::Margin)]).contains("initial margin"));
        assert!(said(&[dropped(Unremedied::Outbid)]).contains("more free margin"));
        assert_eq!(said(&[]), "the block says nothing of it");
    }
}
